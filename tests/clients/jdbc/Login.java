// Logging in with pgjdbc, plain, by TLS, and bound to the certificate. One line for each check: its name, a tab, "ok" or what is wrong.
// Arguments: the certificate to trust, HOST:PORT.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;

public class Login {
    static String certificate, address;

    static void connect(String user, String password, String... settings) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        properties.setProperty("sslrootcert", certificate);
        for (int i = 0; i < settings.length; i += 2)
            properties.setProperty(settings[i], settings[i + 1]);
        try (Connection connection = DriverManager.getConnection("jdbc:postgresql://" + address + "/d", properties);
             ResultSet rows = connection.createStatement().executeQuery("SELECT 1")) {
            if (!rows.next() || rows.getInt(1) != 1)
                throw new SQLException("another answer");
        }
    }

    static void check(String name, String user, String password, String... settings) {
        boolean isRight = user.equals("ann") && password.equals("right");
        try {
            connect(user, password, settings);
            System.out.println(name + "\t" + (isRight ? "ok" : "let in"));
        } catch (SQLException problem) {
            boolean isWanted = !isRight && "28P01".equals(problem.getSQLState());
            System.out.println(name + "\t" + (isWanted ? "ok" : String.valueOf(problem).replace('\n', ' ')));
        }
    }

    public static void main(String[] arguments) {
        certificate = arguments[0];
        address = arguments[1];
        check("plain", "ann", "right", "sslmode", "disable");
        check("verified", "ann", "right", "sslmode", "verify-full");
        check("bound", "ann", "right", "sslmode", "verify-full", "channelBinding", "require");
        check("unbound", "ann", "right", "sslmode", "require", "channelBinding", "disable");
        check("wrong password", "ann", "wrong", "sslmode", "verify-full");
        check("unknown name", "eve", "right", "sslmode", "verify-full");
    }
}
