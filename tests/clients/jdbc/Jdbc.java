// pgjdbc against a running server: what an application, a report tool or a JDBC sink asks of the driver. One line for each check:
// its name, a tab, "ok" or what is wrong. The address is the only argument, HOST:PORT.

import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Calendar;
import java.util.List;
import java.util.Properties;
import java.util.TimeZone;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.util.PGobject;

public final class Jdbc {
    private static final String LONG = "SELECT count(*) FROM generate_series(1, 100000000000) g";

    private interface Check {
        void run(Connection connection) throws Exception;
    }

    private static String address;

    private static Connection open(String... settings) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "me");
        for (int i = 0; i < settings.length; i += 2) {
            properties.setProperty(settings[i], settings[i + 1]);
        }
        return DriverManager.getConnection("jdbc:postgresql://" + address + "/freshet", properties);
    }

    private static void check(String name, Check check, String... settings) {
        try (Connection connection = open(settings)) {
            check.run(connection);
            System.out.println(name + "\tok");
        } catch (Exception | AssertionError problem) {
            StackTraceElement[] at = problem.getStackTrace();
            String line = Arrays.stream(at).filter(e -> e.getClassName().startsWith("Jdbc") && !e.getMethodName().matches("same|fails|ask|run"))
                .findFirst().map(Object::toString).orElse("");
            System.out.println(name + "\t" + problem.toString().replace('\n', ' ') + " at " + line);
        }
    }

    private static void same(Object wanted, Object got) {
        if (!(wanted == null ? got == null : wanted.equals(got))) {
            throw new AssertionError("wanted " + wanted + ", got " + got);
        }
    }

    private static void fails(String state, Callable<?> action) throws Exception {
        try {
            action.call();
        } catch (SQLException problem) {
            same(state, problem.getSQLState());
            return;
        }
        throw new AssertionError("no error, wanted " + state);
    }

    // The rows as text, a row "a|b", of the columns named or of all.
    private static List<String> rows(ResultSet result, String... names) throws SQLException {
        List<String> found = new ArrayList<>();
        int count = result.getMetaData().getColumnCount();
        while (result.next()) {
            StringBuilder row = new StringBuilder();
            for (int i = 0; i < (names.length > 0 ? names.length : count); i++) {
                row.append(i > 0 ? "|" : "").append(names.length > 0 ? result.getString(names[i]) : result.getString(i + 1));
            }
            found.add(row.toString());
        }
        result.close();
        return found;
    }

    private static List<String> ask(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return rows(statement.executeQuery(sql));
        }
    }

    private static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    // --- metadata ---

    private static void makeMetadataTables(Connection c) throws SQLException {
        run(c, "CREATE TABLE meta (id bigint NOT NULL, name text, at timestamptz, n numeric(12,3), ok boolean, tags text[])");
        run(c, "COMMENT ON TABLE meta IS 'what is told'");
        run(c, "COMMENT ON COLUMN meta.name IS 'how it is called'");
        run(c, "CREATE INDEX meta_name ON meta (name)");
        run(c, "CREATE VIEW meta_view AS SELECT id, upper(name) AS name FROM meta");
    }

    private static void metadataTables(Connection c) throws SQLException {
        DatabaseMetaData meta = c.getMetaData();
        same(List.of("meta|TABLE|what is told"), rows(meta.getTables(null, "public", "meta", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE", "REMARKS"));
        same(List.of("meta|TABLE", "meta_view|VIEW"),
            rows(meta.getTables(null, null, "meta%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME", "TABLE_TYPE"));
        same(true, rows(meta.getTables(null, "pg_catalog", "%", null), "TABLE_NAME").contains("pg_class"));
        same(true, rows(meta.getTableTypes()).contains("TABLE"));
    }

    private static void metadataColumns(Connection c) throws SQLException {
        DatabaseMetaData meta = c.getMetaData();
        same(List.of("id|-5|int8|19|0|NO|1|null", "name|12|text|2147483647|0|YES|2|how it is called",
                 "at|93|timestamptz|35|6|YES|3|null", "n|2|numeric|12|3|YES|4|null", "ok|-7|bool|1|0|YES|5|null",
                 "tags|2003|_text|2147483647|0|YES|6|null"),
            rows(meta.getColumns(null, "public", "meta", "%"), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS",
                "IS_NULLABLE", "ORDINAL_POSITION", "REMARKS"));
        same(List.of("id", "name"), rows(meta.getColumns(null, null, "meta_view", null), "COLUMN_NAME"));
    }

    private static void metadataKeys(Connection c) throws SQLException {
        DatabaseMetaData meta = c.getMetaData();
        same(List.of(), rows(meta.getPrimaryKeys(null, "public", "meta")));
        same(List.of(), rows(meta.getImportedKeys(null, "public", "meta")));
        same(List.of(), rows(meta.getExportedKeys(null, "public", "meta")));
        same(List.of(), rows(meta.getCrossReference(null, "public", "meta", null, "public", "meta")));
        same(List.of("meta_name|name|true|1"),
            rows(meta.getIndexInfo(null, "public", "meta", false, false), "INDEX_NAME", "COLUMN_NAME", "NON_UNIQUE", "ORDINAL_POSITION")
                .stream().map(row -> row.replace("|t|", "|true|")).toList());
        same(List.of(), rows(meta.getIndexInfo(null, "public", "meta", true, false)));
        same(List.of(), rows(meta.getBestRowIdentifier(null, "public", "meta", DatabaseMetaData.bestRowSession, true)));
        rows(meta.getVersionColumns(null, "public", "meta"));
    }

    private static void metadataServer(Connection c) throws SQLException {
        DatabaseMetaData meta = c.getMetaData();
        same("PostgreSQL", meta.getDatabaseProductName());
        same(15, meta.getDatabaseMajorVersion());
        same(List.of("freshet"), rows(meta.getCatalogs()));
        same(true, rows(meta.getSchemas(), "TABLE_SCHEM").containsAll(List.of("information_schema", "pg_catalog", "public")));
        same(List.of("public"), rows(meta.getSchemas(null, "pub%"), "TABLE_SCHEM"));
        List<String> types = rows(meta.getTypeInfo(), "TYPE_NAME", "DATA_TYPE");
        same(true, types.containsAll(List.of("int8|-5", "text|12", "timestamptz|93", "numeric|2", "_int4|2003")));
        same(true, rows(meta.getFunctions(null, null, "date_trunc"), "FUNCTION_NAME").contains("date_trunc"));
        same(true, rows(meta.getFunctionColumns(null, null, "lower", null), "FUNCTION_NAME", "TYPE_NAME").contains("lower|text"));
        rows(meta.getProcedures(null, null, "%"));
        rows(meta.getTablePrivileges(null, "public", "meta"));
        rows(meta.getColumnPrivileges(null, "public", "meta", "%"));
        rows(meta.getClientInfoProperties());
        rows(meta.getUDTs(null, null, "%", null));
        same(true, meta.getSQLKeywords().length() > 0);
        same(true, meta.getMaxColumnNameLength() > 0);
        same(Connection.TRANSACTION_REPEATABLE_READ, meta.getDefaultTransactionIsolation());
        same("public", c.getSchema());
        same("freshet", c.getCatalog());
        same(true, c.isValid(10));
    }

    private static void metadataResults(Connection c) throws SQLException {
        try (PreparedStatement statement = c.prepareStatement("SELECT id, name AS called, n, count(*) OVER () AS c FROM meta WHERE id > ?")) {
            ResultSetMetaData columns = statement.getMetaData();
            same(4, columns.getColumnCount());
            same("called", columns.getColumnLabel(2));
            same("int8", columns.getColumnTypeName(1));
            same(12, columns.getPrecision(3));
            same(3, columns.getScale(3));
            same("meta", columns.getTableName(1));
            same("name", ((org.postgresql.PGResultSetMetaData) columns).getBaseColumnName(2));
            same(ResultSetMetaData.columnNoNulls, columns.isNullable(1));
            same(ResultSetMetaData.columnNullable, columns.isNullable(2));
            same(false, columns.isAutoIncrement(1));
            same(1, statement.getParameterMetaData().getParameterCount());
            same("int8", statement.getParameterMetaData().getParameterTypeName(1));
        }
    }

    // --- statements ---

    private static void prepare(Connection c) throws SQLException {
        try (PreparedStatement statement = c.prepareStatement("SELECT ?::int8 + 1, ?::text, ?::timestamptz")) {
            for (int i = 0; i < 12; i++) {  // the fifth makes a named statement, whose results come in binary
                statement.setLong(1, i);
                statement.setString(2, i % 3 == 0 ? null : "é" + i);
                statement.setObject(3, OffsetDateTime.of(2026, 1, 2, 3, 4, 5, 6000, ZoneOffset.ofHours(2)));
                ResultSet result = statement.executeQuery();
                same(true, result.next());
                same(i + 1L, result.getLong(1));
                same(i % 3 == 0 ? null : "é" + i, result.getString(2));
                same(Instant.parse("2026-01-02T01:04:05.000006Z"), result.getObject(3, OffsetDateTime.class).toInstant());
                same(false, result.next());
            }
            same(true, ((PGStatement) statement).isUseServerPrepare());
        }
        try (PreparedStatement statement = c.prepareStatement("SELECT ? + 1")) {
            statement.setInt(1, 41);
            same(List.of("42"), rows(statement.executeQuery()));
            statement.setBigDecimal(1, new BigDecimal("1.5"));  // other types of the same text
            same(List.of("2.5"), rows(statement.executeQuery()));
        }
    }

    private static void changedTable(Connection c) throws Exception {
        run(c, "CREATE TABLE changed (a bigint)");
        run(c, "INSERT INTO changed VALUES (1)");
        try (PreparedStatement statement = c.prepareStatement("SELECT * FROM changed")) {
            for (int i = 0; i < 7; i++) {
                same(List.of("1"), rows(statement.executeQuery()));
            }
            run(c, "ALTER TABLE changed ADD COLUMN b text");
            same(List.of("1|null"), rows(statement.executeQuery()));  // autosave or not: outside of a transaction pgjdbc asks anew
        } finally {
            run(c, "DROP TABLE changed");
        }
    }

    private static void discarded(Connection c) throws SQLException {
        try (PreparedStatement statement = c.prepareStatement("SELECT 7")) {
            for (int i = 0; i < 7; i++) {
                same(List.of("7"), rows(statement.executeQuery()));
            }
            run(c, "DISCARD ALL");
            same(List.of("7"), rows(statement.executeQuery()));
        }
    }

    private static void batches(Connection c) throws Exception {
        run(c, "CREATE TABLE batch (a bigint, b text)");
        try (PreparedStatement statement = c.prepareStatement("INSERT INTO batch VALUES (?, ?)")) {
            for (int i = 0; i < 1000; i++) {
                statement.setLong(1, i);
                statement.setString(2, "text " + i);
                statement.addBatch();
            }
            same(1000, statement.executeBatch().length);
            same(List.of("1000|499500"), ask(c, "SELECT count(*), sum(a) FROM batch"));
            statement.setLong(1, 5000);
            statement.setString(2, null);
            same(1, statement.executeUpdate());
        }
        try (Statement statement = c.createStatement()) {
            statement.addBatch("INSERT INTO batch VALUES (9001, 'x')");
            statement.addBatch("INSERT INTO batch VALUES (1 / 0, 'x')");
            statement.addBatch("INSERT INTO batch VALUES (9002, 'x')");
            try {
                statement.executeBatch();
                throw new AssertionError("a batch that divides by zero was done");
            } catch (BatchUpdateException problem) {
                same("22012", problem.getSQLState());
            }
        } finally {
            run(c, "DROP TABLE batch");
        }
    }

    private static void transactions(Connection c) throws Exception {
        run(c, "CREATE TABLE txn (a bigint)");
        c.setAutoCommit(false);
        run(c, "INSERT INTO txn VALUES (1)");
        c.rollback();
        same(List.of("0"), ask(c, "SELECT count(*) FROM txn"));
        c.commit();
        run(c, "INSERT INTO txn VALUES (1), (2)");
        c.commit();
        same(List.of("2"), ask(c, "SELECT count(*) FROM txn"));
        fails("42703", () -> ask(c, "SELECT nope FROM txn"));
        fails("25P02", () -> ask(c, "SELECT 1"));
        c.rollback();
        c.setReadOnly(true);
        fails("25006", () -> { run(c, "INSERT INTO txn VALUES (3)"); return null; });
        c.rollback();
        c.setReadOnly(false);
        c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        same(List.of("2"), ask(c, "SELECT count(*) FROM txn"));
        c.commit();
        c.setAutoCommit(true);
        run(c, "DROP TABLE txn");
    }

    private static void autosave(Connection c) throws Exception {
        c.setAutoCommit(false);
        same(List.of("1"), ask(c, "SELECT 1"));
        fails("42703", () -> ask(c, "SELECT nope"));
        same(List.of("2"), ask(c, "SELECT 2"));  // the driver went back to its savepoint
        c.commit();
    }

    private static void fetchSize(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (PreparedStatement statement = c.prepareStatement("SELECT g, repeat('x', 20) FROM generate_series(1, ?) g ORDER BY g")) {
            statement.setFetchSize(100);
            statement.setInt(1, 2500);
            try (ResultSet first = statement.executeQuery(); Statement other = c.createStatement()) {
                long sum = 0;
                for (int i = 0; i < 150; i++) {
                    same(true, first.next());
                    sum += first.getLong(1);
                }
                same(List.of("1"), rows(other.executeQuery("SELECT 1")));  // between two Executes of the portal
                while (first.next()) {
                    sum += first.getLong(1);
                }
                same(2500L * 2501 / 2, sum);
            }
            statement.setMaxRows(7);
            same(7, rows(statement.executeQuery()).size());
        }
        c.commit();
    }

    private static void cursors(Connection c) throws SQLException {
        c.setAutoCommit(false);
        run(c, "DECLARE held CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 5) g");
        c.commit();
        same(List.of("1", "2"), ask(c, "FETCH 2 FROM held"));
        run(c, "CLOSE held");
        c.commit();
        try (Statement statement = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet result = statement.executeQuery("SELECT g FROM generate_series(1, 5) g");
            same(true, result.last());
            same(5, result.getInt(1));
            same(true, result.absolute(2));
            same(2, result.getInt(1));
        }
        c.commit();
    }

    // --- types ---

    private static void types(Connection c) throws Exception {
        run(c, "CREATE TABLE kinds (b boolean, s smallint, i integer, l bigint, r real, d double precision, n numeric(18,4), t text, v varchar(9), "
            + "dt date, ts timestamp, tz timestamptz, u uuid, y bytea, j jsonb, la bigint[], ta text[])");
        try (PreparedStatement statement = c.prepareStatement("INSERT INTO kinds VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")) {
            PGobject json = new PGobject();
            json.setType("jsonb");
            json.setValue("{\"a\": [1, null]}");
            UUID uuid = UUID.fromString("01234567-89ab-cdef-0123-456789abcdef");
            Object[] values = {true, (short) -7, 1 << 30, Long.MIN_VALUE, 0.1f, 1e-300, new BigDecimal("-1234567890.1250"), "é\t\u20ac", "short",
                LocalDate.of(2024, 2, 29), LocalDateTime.of(2026, 3, 29, 2, 30, 0, 123456000),
                OffsetDateTime.of(2026, 10, 25, 2, 30, 0, 0, ZoneOffset.ofHours(1)), uuid, new byte[] {0, 1, (byte) 255}, json,
                c.createArrayOf("int8", new Long[] {1L, null, -3L}), c.createArrayOf("text", new String[] {"a", null, "b\"c,{}"})};
            for (int round = 0; round < 8; round++) {
                for (int i = 0; i < values.length; i++) {
                    if (round % 4 == 3) {
                        statement.setNull(i + 1, i == 13 ? Types.BINARY : Types.OTHER);
                    } else {
                        statement.setObject(i + 1, values[i]);
                    }
                }
                same(1, statement.executeUpdate());
            }
            try (PreparedStatement read = c.prepareStatement("SELECT * FROM kinds WHERE l = ?")) {
                read.setLong(1, Long.MIN_VALUE);
                for (int round = 0; round < 7; round++) {  // as text at first, in binary later
                    ResultSet r = read.executeQuery();
                    for (int row = 0; row < 6; row++) {
                        same(true, r.next());
                        for (int i = 0; i < 9; i++) {
                            same(i == 1 ? Integer.valueOf(-7) : values[i], r.getObject(i + 1));
                        }
                        same(values[9], r.getObject(10, LocalDate.class));
                        same(values[10], r.getObject(11, LocalDateTime.class));
                        same(((OffsetDateTime) values[11]).toInstant(), r.getObject(12, OffsetDateTime.class).toInstant());
                        same(uuid, r.getObject(13));
                        same(true, Arrays.equals((byte[]) values[13], r.getBytes(14)));
                        same("{\"a\": [1, null]}", r.getString(15));
                        same(Arrays.asList(1L, null, -3L), Arrays.asList((Long[]) r.getArray(16).getArray()));
                        same(Arrays.asList("a", null, "b\"c,{}"), Arrays.asList((String[]) r.getArray(17).getArray()));
                    }
                    same(false, r.next());
                    r.close();
                }
            }
            same(List.of("2"), ask(c, "SELECT count(*) FROM kinds WHERE l IS NULL AND j IS NULL AND ta IS NULL"));
        } finally {
            run(c, "DROP TABLE kinds");
        }
    }

    private static void zones(Connection c) throws SQLException {
        Calendar paris = Calendar.getInstance(TimeZone.getTimeZone("Europe/Paris"));
        Timestamp moment = Timestamp.from(Instant.parse("2026-07-01T10:00:00.25Z"));
        try (PreparedStatement statement = c.prepareStatement("SELECT ?::timestamptz, extract(epoch FROM ?::timestamptz), ?::timestamptz::text")) {
            for (int i = 0; i < 7; i++) {
                statement.setTimestamp(1, moment);
                statement.setTimestamp(2, moment, paris);
                statement.setObject(3, moment.toInstant().atOffset(ZoneOffset.UTC));
                ResultSet result = statement.executeQuery();
                same(true, result.next());
                same(moment, result.getTimestamp(1));
                same(0, new BigDecimal("1782900000.25").compareTo(result.getBigDecimal(2)));
                same("2026-07-01 15:30:00.25+05:30", result.getString(3));  // the JVM's zone is the session's
            }
        }
        same(List.of("Asia/Kolkata"), ask(c, "SHOW TimeZone"));
        try (PreparedStatement statement = c.prepareStatement("SELECT ? > '2026-01-01'::timestamptz, ?::date")) {
            statement.setTimestamp(1, moment);  // a parameter whose type the driver leaves open
            statement.setDate(2, java.sql.Date.valueOf("2026-07-01"));
            same(List.of("t|2026-07-01"), rows(statement.executeQuery()));
        }
    }

    private static void lists(Connection c) throws SQLException {
        try (PreparedStatement statement = c.prepareStatement("SELECT g FROM generate_series(1, 9) g WHERE g = ANY (?) ORDER BY 1")) {
            for (int i = 0; i < 7; i++) {
                statement.setArray(1, c.createArrayOf("int4", new Integer[] {2, 4, 11}));
                same(List.of("2", "4"), rows(statement.executeQuery()));
            }
        }
        Array made = c.createArrayOf("text", new String[] {"a", null, "b c"});
        try (PreparedStatement statement = c.prepareStatement("SELECT ?::text[]")) {
            statement.setObject(1, made);
            ResultSet result = statement.executeQuery();
            same(true, result.next());
            same("{a,NULL,\"b c\"}", result.getString(1));
            same(List.of("1|a", "2|null", "3|b c"), rows(result.getArray(1).getResultSet()));
        }
    }

    // --- COPY, RETURNING, limits ---

    private static void copying(Connection c) throws Exception {
        run(c, "CREATE TABLE copied (a bigint, b text)");
        org.postgresql.copy.CopyManager copies = ((PGConnection) c).getCopyAPI();
        same(2L, copies.copyIn("COPY copied FROM STDIN", new StringReader("1\tx\n2\t\\N\n")));
        same(2L, copies.copyIn("COPY copied (b, a) FROM STDIN WITH (FORMAT csv, HEADER)", new StringReader("b,a\n\"q,r\",3\n,4\n")));
        StringWriter out = new StringWriter();
        same(4L, copies.copyOut("COPY (SELECT * FROM copied ORDER BY a) TO STDOUT WITH (FORMAT csv)", out));
        same("1,x\n2,\n3,\"q,r\"\n4,\n", out.toString());
        same(0L, copies.copyIn("COPY copied FROM STDIN", new StringReader("z\tx\n")));  // kept aside
        run(c, "SET freshet.copy_errors = 'abort'");
        fails("22P02", () -> copies.copyIn("COPY copied FROM STDIN", new StringReader("z\tx\n")));
        org.postgresql.copy.CopyIn half = copies.copyIn("COPY copied FROM STDIN");
        half.writeToCopy("9\tx\n".getBytes(), 0, 4);
        half.cancelCopy();
        same(List.of("4|10"), ask(c, "SELECT count(*), sum(a) FROM copied"));
        run(c, "DROP TABLE copied");
    }

    private static void returning(Connection c) throws SQLException {
        run(c, "CREATE TABLE returned (a bigint, b text)");
        try (PreparedStatement statement = c.prepareStatement("INSERT INTO returned VALUES (?, ?)", new String[] {"a"})) {
            statement.setLong(1, 17);
            statement.setString(2, "x");
            same(1, statement.executeUpdate());
            same(List.of("17"), rows(statement.getGeneratedKeys()));
        }
        run(c, "DROP TABLE returned");
    }

    private static void severalResults(Connection c) throws SQLException {
        try (Statement statement = c.createStatement()) {
            same(true, statement.execute("SELECT 1; SELECT 2, 3"));
            same(List.of("1"), rows(statement.getResultSet()));
            same(true, statement.getMoreResults());
            same(List.of("2|3"), rows(statement.getResultSet()));
            same(false, statement.getMoreResults());
        }
    }

    private static void cancel(Connection c) throws Exception {
        try (Statement statement = c.createStatement()) {
            FutureTask<Void> other = new FutureTask<>(() -> {
                while (ask(open(), "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT count%' AND state = 'active'").isEmpty()) {
                    Thread.sleep(20);
                }
                statement.cancel();
                return null;
            });
            new Thread(other).start();
            fails("57014", () -> statement.execute(LONG));
            other.get();
            statement.setQueryTimeout(1);
            fails("57014", () -> statement.execute(LONG));
            statement.setQueryTimeout(0);
            same(List.of("1"), rows(statement.executeQuery("SELECT 1")));
        }
        run(c, "SET statement_timeout = 100");
        fails("57014", () -> ask(c, LONG));
    }

    private static void largeValues(Connection c) throws SQLException {
        String text = "0123456789abcdef".repeat(1 << 16);
        try (PreparedStatement statement = c.prepareStatement("SELECT ?::text, length(?)")) {
            statement.setString(1, text);
            statement.setString(2, text);
            ResultSet result = statement.executeQuery();
            same(true, result.next());
            same(text, result.getString(1));
            same(1 << 20, result.getInt(2));
        }
    }

    // The driver, the session's parameters and what it asks when a connection is made.
    private static void session(Connection c) throws SQLException {
        same("reports", ask(c, "SHOW application_name").get(0));
        c.setClientInfo("ApplicationName", "other");
        same("other", ask(c, "SHOW application_name").get(0));
        c.setSchema("public");
        same("public", c.getSchema());
        same("15", ((PGConnection) c).getParameterStatus("server_version").split("\\.")[0]);
        same(true, ((PGConnection) c).getBackendPID() != 0);
    }

    public static void main(String[] arguments) throws SQLException {
        address = arguments[0];
        TimeZone.setDefault(TimeZone.getTimeZone("Asia/Kolkata"));
        try (Connection connection = open()) {
            makeMetadataTables(connection);
        }
        check("metadata: tables", Jdbc::metadataTables);
        check("metadata: columns", Jdbc::metadataColumns);
        check("metadata: keys and indexes", Jdbc::metadataKeys);
        check("metadata: server, types, functions", Jdbc::metadataServer);
        check("metadata: results and parameters", Jdbc::metadataResults);
        check("server-side prepare", Jdbc::prepare);
        check("prepare at once", Jdbc::prepare, "prepareThreshold", "-1");
        check("simple protocol", Jdbc::types, "preferQueryMode", "simple");
        check("a table changed under a prepared statement", Jdbc::changedTable);
        check("prepared statements discarded", Jdbc::discarded);
        check("batches", Jdbc::batches);
        check("batches rewritten", Jdbc::batches, "reWriteBatchedInserts", "true");
        check("transactions", Jdbc::transactions);
        check("autosave", Jdbc::autosave, "autosave", "always");
        check("fetch size", Jdbc::fetchSize);
        check("fetch size, adaptive", Jdbc::fetchSize, "adaptiveFetch", "true", "maxResultBuffer", "1M", "defaultRowFetchSize", "50");
        check("cursors", Jdbc::cursors);
        check("types", Jdbc::types);
        check("types, all in binary", Jdbc::types, "prepareThreshold", "-1");
        check("types, none in binary", Jdbc::types, "binaryTransfer", "false");
        check("types of strings left open", Jdbc::prepare, "stringtype", "unspecified");
        check("times and zones", Jdbc::zones);
        check("lists", Jdbc::lists);
        check("COPY", Jdbc::copying);
        check("RETURNING", Jdbc::returning);
        check("several results", Jdbc::severalResults);
        check("cancel and timeouts", Jdbc::cancel);
        check("large values", Jdbc::largeValues);
        check("session", Jdbc::session, "ApplicationName", "reports", "options", "-c statement_timeout=60s");
    }
}
