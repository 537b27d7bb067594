"""Users: made on the command line, asked for by the ports, kept to what their role may."""

import base64
import contextlib
import json
import re
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import threading
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import freshet
import psycopg
import pytest


def user(data, *arguments, password=None):
    return subprocess.run([freshet.binary(), "user", *arguments, "--data", str(data)], input=password, capture_output=True,
                          text=True, timeout=300)


def wait_for(condition):
    """Slowly: a log-in that fails is an attempt."""
    end = time.monotonic() + 200
    time.sleep(0.4)
    while not condition():
        assert time.monotonic() < end
        time.sleep(1)


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Users:
    """A server with one user of each kind; `of[kind]` are the headers of its password."""

    def __init__(self, data):
        self.of = {}
        for kind in ("admin", "writer", "reader", "none"):
            made = user(data, "add", f"the_{kind}", "--role", kind, password=f"secret of {kind}\n")
            assert made.returncode == 0, made.stderr
            self.of[kind] = basic(f"the_{kind}", f"secret of {kind}")
        self.token = user(data, "passwd", "the_writer", "--token").stdout.strip()
        self.server = freshet.Server(data, headers=self.of["admin"])

    def ask(self, headers, method, target, body=None):
        status, head, text = self.server.request(method, target, body, headers)
        return status, head, text.decode()

    def sql(self, kind, text):
        status, _, body = self.ask(self.of[kind], "POST", "/v1/sql", text)
        return status, json.loads(body)


@pytest.fixture
def users(tmp_path):
    """One for each test: log-ins that fail are attempts of this address, and few."""
    made = Users(tmp_path / "data")
    made.server.sql("CREATE TABLE open_t (n int)")
    yield made
    assert made.server.stop() == 0


def test_command_line(tmp_path):
    data = tmp_path / "data"
    assert user(data, "list").stdout == ""
    assert user(data, "add", "ann", "--role", "reader", password="right\n").returncode == 0
    assert (data / "users").stat().st_mode & 0o777 == 0o600
    assert "already exists" in user(data, "add", "ann", "--role", "reader", password="x\n").stderr
    token = user(data, "add", "bot", "--role", "writer", "--token")
    assert token.returncode == 0 and token.stdout.startswith("freshet_")
    assert token.stdout.strip().split(".")[1].encode() not in (data / "users").read_bytes()
    assert b"right" not in (data / "users").read_bytes()
    listed = user(data, "list").stdout
    assert "ann" in listed and "reader" in listed and "bot" in listed and token.stdout.strip() not in listed
    for wrong in (("add", "x"), ("add", "x", "--role", "king"), ("add",), ("dance", "x"), (), ("drop",), ("passwd", "ann", "word")):
        assert user(data, *wrong, password="x\n").returncode == 64, wrong
    for bad in ("\n", "", "\u0065\u0301\n", "x" * 2000 + "\n"):
        assert user(data, "passwd", "ann", password=bad).returncode == 1, bad
    assert user(data, "passwd", "nobody", password="x\n").returncode == 1
    assert user(data, "drop", "ann").returncode == 0 and user(data, "drop", "ann").returncode == 1


class Terminal:
    """`freshet user` in a session of its own at a terminal of its own."""

    def __init__(self, data, *arguments):
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in the background of a script has it ignored
            os.execv(freshet.binary(), [freshet.binary(), "user", *arguments, "--data", str(data)])
        self.seen = ""

    def until(self, text):
        while text not in self.seen:
            assert select.select([self.end], [], [], 60)[0], self.seen
            self.seen += os.read(self.end, 4096).decode()

    def type(self, text):
        os.write(self.end, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.end)[3] & termios.ECHO)

    def status(self):
        give_up = time.monotonic() + 60
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > give_up:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        return os.waitstatus_to_exitcode(ended[1])


def test_a_password_is_not_shown(tmp_path):
    ask = Terminal(tmp_path, "add", "ann", "--role", "reader")
    ask.until("Password: ")
    assert not ask.echoes()
    ask.type("not to be seen\n")
    ask.until("Again: ")
    ask.type("not to be seen\n")
    assert ask.status() == 0 and ask.echoes()
    assert "seen" not in ask.seen
    assert "ann" in user(tmp_path, "list").stdout


def test_ctrl_c_gives_the_terminal_its_echo_back(tmp_path):
    ask = Terminal(tmp_path, "add", "ann", "--role", "reader")
    ask.until("Password: ")
    ask.type("half\x03")
    assert ask.status() == -signal.SIGINT
    assert ask.echoes()
    assert user(tmp_path, "list").stdout == ""


def test_nobody_gets_in_without(users):
    for method, target in (("GET", "/"), ("GET", "/metrics"), ("GET", "/readyz"), ("POST", "/v1/sql"), ("GET", "/nothing"),
                           ("POST", "/v1/ingest/open_t"), ("POST", "/v1/ingest/no_t"), ("PUT", "/v1/sql"), ("GET", "/v1/endpoints/x")):
        status, head, _ = users.ask({"Authorization": ""}, method, target, "x" if method == "POST" else None)
        assert status == 401 and "www-authenticate" in head, (method, target)
    assert users.ask({"Authorization": ""}, "GET", "/healthz")[0] == 200


def test_wrong_credentials_look_alike(users):
    answers = set()
    for headers in (basic("the_reader", "wrong"), basic("nobody", "wrong"), basic("the_reader", ""), basic("", ""),
                    {"Authorization": "Basic !!!"}, {"Authorization": "Digest x"}, bearer("freshet_00000000.x"), bearer("x")):
        status, head, text = users.ask(headers, "POST", "/v1/sql", "SELECT 1")
        answers.add((status, text))
    assert len(answers) == 1 and answers.pop()[0] == 401
    log = users.server.log_text()
    assert r'login failed role=\"nobody\"' in log and r'login failed role=\"the_reader\"' in log
    assert "wrong" not in log and "secret of" not in log


@pytest.mark.parametrize("kind,may", [("admin", "sic"), ("writer", "si"), ("reader", "s")])
def test_kinds(users, kind, may):
    assert users.sql(kind, "SELECT count(*) FROM open_t")[0] == 200
    for letter, texts in {"i": ["INSERT INTO open_t VALUES (1)"],
                          "c": ["CREATE TABLE c (n int)", "ALTER TABLE c ADD COLUMN m int", "CREATE VIEW w AS SELECT 1 AS a",
                                "DROP VIEW w", "TRUNCATE open_t", "COMMENT ON TABLE c IS 'x'", "DROP TABLE c", "CHECKPOINT"]}.items():
        for text in texts:
            status, answer = users.sql(kind, text)
            assert status == (200 if letter in may else 403), (kind, text, answer)
            if letter not in may:
                assert answer["sqlstate"] == "42501", answer
    status, _, _ = users.ask(users.of[kind], "POST", "/v1/ingest/open_t", '{"n":1}')
    assert status == (200 if "i" in may else 403)
    status, _, _ = users.ask(users.of[kind], "POST", f"/v1/ingest/made_by_{kind}?create=true", '{"n":1}')
    assert status == (200 if "c" in may else 403)
    for target in ("/metrics", "/readyz", "/"):
        assert users.ask(users.of[kind], "GET", target)[0] == 200


def test_a_role_without_rights_only_logs_in(users):
    assert users.sql("none", "SELECT count(*) FROM open_t")[1]["sqlstate"] == "42P01"
    assert users.sql("none", "SELECT relname FROM pg_class WHERE relname = 'open_t'")[1]["rows"] == []
    for name in ("open_t", "no_t"):
        status, _, text = users.ask(users.of["none"], "POST", f"/v1/ingest/{name}", '{"n":1}')
        assert status == 404 and "42P01" in text
    for kind in ("none", "reader"):
        assert users.ask(users.of[kind], "DELETE", "/v1/sql/some_id")[0] == 404
    assert users.ask(users.of["none"], "GET", "/readyz")[0] == 200
    for target in ("/metrics", "/readyz?fresh=1s"):
        assert users.ask(users.of["none"], "GET", target)[0] == 403


def pg(users, kind, password=None, **options):
    host, port = users.server.pg.split(":")
    return psycopg.connect(host=host, port=port, user=f"the_{kind}", password=password or f"secret of {kind}", dbname="any",
                           autocommit=True, **{"sslmode": "disable", **options})


def test_passwords_at_the_postgresql_port(users):
    for kind in ("admin", "writer", "reader"):
        with pg(users, kind) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    for kind, password in (("admin", "secret of writer"), ("nobody", "secret"), ("none", "wrong")):
        with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "the_{kind}"'):
            pg(users, kind, password)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"postgresql://the_admin@{users.server.pg}/freshet?sslmode=disable")
    log = users.server.log_text()
    assert r'login ok role=\"the_reader\" method=scram' in log and r'login failed role=\"the_nobody\" method=scram' in log
    assert "secret of" not in log


def test_rights_at_the_postgresql_port(users):
    with pg(users, "reader") as reader, pg(users, "writer") as writer, pg(users, "admin") as admin:
        admin.execute("CREATE TABLE wire_t (n int)")
        for statement in ("CREATE TABLE other_t (n int)", "DROP TABLE wire_t", "TRUNCATE wire_t", "CHECKPOINT"):
            for connection in (reader, writer):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        writer.execute("INSERT INTO wire_t VALUES (1)")
        with writer.cursor().copy("COPY wire_t FROM STDIN") as copy:
            copy.write_row((2,))
        assert sorted(reader.execute("SELECT n FROM wire_t").fetchall()) == [(1,), (2,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("INSERT INTO wire_t VALUES (3)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.cursor().copy("COPY wire_t FROM STDIN").__enter__()
        prepared = "SELECT count(*) FROM wire_t WHERE n > %s"
        assert [reader.execute(prepared, (0,), prepare=True).fetchone() for _ in range(3)] == [(2,)] * 3


def test_a_session_loses_what_its_role_loses(users):
    data = users.server.data
    assert user(data, "add", "the_late", "--role", "reader", password="secret of late\n").returncode == 0
    wait_for(lambda: users.ask(basic("the_late", "secret of late"), "POST", "/v1/sql", "SELECT 1")[0] == 200)
    with pg(users, "late") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert user(data, "drop", "the_late").returncode == 0
        wait_for(lambda: users.ask(basic("the_late", "secret of late"), "POST", "/v1/sql", "SELECT 1")[0] == 401)
        with pytest.raises(psycopg.Error, match="has been dropped"):
            connection.execute("SELECT 1")


def first_answer(users, name):
    """What an exchange for that name begins with: (salt, iterations)."""
    host, port = users.server.pg.split(":")
    with socket.create_connection((host, int(port))) as wire:
        parameters = b"user\0" + name.encode() + b"\0\0"
        wire.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
        assert b"SCRAM-SHA-256" in wire.recv(1000)
        first = b"n,,n=,r=abcdef"
        body = b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first
        wire.sendall(b"p" + struct.pack("!I", 4 + len(body)) + body)
        answer = wire.recv(1000)
        assert answer[:1] == b"R" and answer[9:].startswith(b"r=abcdef"), answer
        fields = answer[9:].decode().split(",")
        return fields[1], fields[2]


def test_unknown_names_look_like_known_ones(users):
    for name in ("the_reader", "the_nobody"):
        salt, iterations = first_answer(users, name)
        assert (salt, iterations) == first_answer(users, name) and iterations == "i=16384" and len(salt) == 26


def test_tokens(users):
    status, _, text = users.ask(bearer(users.token), "POST", "/v1/ingest/open_t", '{"n":1}')
    assert status == 200, text
    data = users.server.data
    second = user(data, "passwd", "the_writer", "--token").stdout.strip()
    third = user(data, "passwd", "the_writer", "--token").stdout.strip()

    def status_of(token):
        return users.ask(bearer(token), "POST", "/v1/sql", "SELECT 1")[0]
    wait_for(lambda: status_of(third) == 200)
    assert status_of(second) == 200 and status_of(users.token) == 401  # the newest two hold
    loaded = subprocess.run([freshet.binary(), "sql", "--http", users.server.http, "SELECT 7 AS x"], capture_output=True, text=True,
                            env={"FRESHET_TOKEN": third}, timeout=300)
    assert "7" in loaded.stdout, loaded.stderr
    users.token = third
    assert third.split(".")[1] not in users.server.log_text()


def test_changes_reach_a_running_server(users):
    data = users.server.data
    assert user(data, "add", "late", "--role", "reader", password="one\n").returncode == 0
    def status_of(password):
        return users.ask(basic("late", password), "POST", "/v1/sql", "SELECT 1")[0]
    wait_for(lambda: status_of("one") == 200)
    assert user(data, "passwd", "late", password="two\n").returncode == 0
    wait_for(lambda: status_of("one") == 401)
    assert status_of("two") == 200
    assert user(data, "drop", "late").returncode == 0
    wait_for(lambda: status_of("two") == 401)


def test_without_users_all_is_open_and_loopback_only(tmp_path):
    server = freshet.Server(tmp_path / "data")
    assert server.rows("SELECT 1") == [[1]]
    assert server.stop() == 0
    command = [freshet.binary(), "serve", "--data", str(tmp_path / "data"), "--http", "0.0.0.0:0", "--pg", "off",
               "--ssl-required", "off"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert refused.returncode == 1 and "no users" in refused.stderr
    assert user(tmp_path / "data", "add", "root", "--role", "admin", password="x\n").returncode == 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert b"ready" in process.stdout.readline()
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()


def test_limited_attempts(tmp_path):
    data = tmp_path / "data"
    assert user(data, "add", "ann", "--role", "admin", password="right\n").returncode == 0
    server = freshet.Server(data, headers=basic("ann", "right"))
    statuses = []  # tokens cost no key derivation, so attempts go faster than they come back however slow the machine
    while 429 not in statuses:
        assert len(statuses) < 1000
        statuses.append(server.request("GET", "/", None, bearer(f"guess {len(statuses)}"))[0])
    assert set(statuses) == {401, 429} and len(statuses) > 20
    assert server.rows("SELECT 1") == [[1]]  # seen before: goes on
    assert "login limited" in server.log_text()
    assert server.stop() == 0


@pytest.fixture
def narrow_made(users):
    """Somebody who may read one table and one view, write another, and see nothing else."""
    server = users.server
    for text in ("CREATE TABLE seen_t (ts timestamptz NOT NULL, n int)", "CREATE TABLE fed_t (ts timestamptz NOT NULL, n int)",
                 "CREATE TABLE hidden_t (ts timestamptz NOT NULL, hidden_column int, PRIMARY KEY (ts)) WITH (time = 'ts')"
                 .replace(", PRIMARY KEY (ts)", ""),
                 "INSERT INTO hidden_t VALUES (now(), 41), (now(), 1)", "INSERT INTO seen_t VALUES (now(), 1)",
                 "CREATE VIEW seen_v WITH (endpoint = 'seen_e') AS SELECT sum(hidden_column) AS total FROM hidden_t",
                 "CREATE VIEW hidden_v WITH (endpoint = 'hidden_e') AS SELECT n FROM seen_t",
                 "CREATE ROLE narrow LOGIN PASSWORD 'secret of narrow'"):
        server.sql(text)
    server.ingest("hidden_t", '{"hidden_column":"no number"}')
    users.of["narrow"] = basic("narrow", "secret of narrow")
    return users


@pytest.fixture
def narrow(narrow_made):
    for text in ("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM narrow", "GRANT SELECT ON seen_t, seen_v TO narrow", "GRANT INSERT ON fed_t TO narrow"):
        narrow_made.server.sql(text)
    return narrow_made


def test_what_may_not_be_seen_does_not_exist(narrow):
    own = {"seen_t", "seen_v", "fed_t"}
    assert narrow.sql("narrow", "SELECT count(*) FROM seen_t")[1]["rows"] == [[1]]
    assert narrow.sql("narrow", "SELECT total FROM seen_v")[1]["rows"] == [[42]]  # with its owner's rights
    # A name that is hidden is answered as one that nobody has.
    for hidden, nothing in (("hidden_t", "nobody_t"), ("hidden_v", "nobody_v")):
        for text in ("SELECT * FROM {}", "INSERT INTO {} VALUES (1)", "SELECT '{}'::regclass", "TRUNCATE {}", "SELECT 1 FROM seen_t, {}",
                     "EXPLAIN SELECT * FROM {}", "DROP TABLE {}", "SELECT to_regclass('{}')"):
            answers = []
            for name in (hidden, nothing):
                status, answer = narrow.sql("narrow", text.format(name))
                shown = {key: answer.get(key) for key in ("detail", "sqlstate", "rows", "hint")}
                answers.append((status, json.dumps(shown).replace(name, "NAME")))
            assert answers[0] == answers[1], (text, answers)
        for method, target in (("POST", "/v1/ingest/{}"), ("POST", "/v1/ingest/{}?create=true")):
            answers = [(status, text.replace(name, "NAME")) for name in (hidden, nothing)
                       for status, _, text in [narrow.ask(narrow.of["narrow"], method, target.format(name), "{}")]]
            assert answers[0] == answers[1] and answers[0][0] in (403, 404), answers
    # Nor is it counted, or named by its number, behind a view.
    answer = narrow.sql("narrow", "SELECT total FROM seen_v")[1]
    told = answer["completeness"]
    assert (told["sources"], told["sources_total"], told["late_rows"], told["dead_rows"], told["complete_through"]) == ([], 0, 0, 0, None)
    assert [answer["stats"][key] for key in ("rows_scanned", "segments", "segments_skipped")] == [0, 0, 0]
    answer = narrow.sql("reader", "SELECT total FROM seen_v")[1]
    assert answer["completeness"]["sources_total"] == 2 and answer["completeness"]["dead_rows"] == 1 and answer["stats"]["rows_scanned"] == 2
    narrow.server.sql("CREATE VIEW plain_v AS SELECT hidden_column FROM hidden_t")
    narrow.server.sql("GRANT SELECT ON plain_v TO narrow")
    for kind, is_named in (("narrow", False), ("reader", True)):
        with wire(narrow, "narrow" if kind == "narrow" else "the_reader", f"secret of {kind}") as connection:
            assert (connection.execute("SELECT hidden_column FROM plain_v").pgresult.ftable(0) != 0) == is_named
    assert narrow.sql("narrow", "TRUNCATE plain_v")[1]["sqlstate"] == "42809"
    narrow.server.sql("DROP VIEW plain_v")
    assert narrow.ask(narrow.of["narrow"], "GET", "/v1/endpoints/seen_e")[0] == 200
    first = narrow.ask(narrow.of["narrow"], "GET", "/v1/endpoints/hidden_e")
    assert first[0] == 404 and first[2].replace("hidden_e", "X") == narrow.ask(
        narrow.of["narrow"], "GET", "/v1/endpoints/nobody_e")[2].replace("nobody_e", "X")
    # No relation says anything of it.
    relations = narrow.server.rows("SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                                   "WHERE nspname <> 'public' AND relkind IN ('r', 'v') ORDER BY 1, 2")
    assert len(relations) > 60
    for schema, name in relations:
        status, answer = narrow.sql("narrow", f"SELECT * FROM {schema}.{name}")
        text = json.dumps(answer)
        if (schema, name) == ("freshet", "queries"):
            assert len(answer["rows"]) == 1, answer
        assert status in (200, 400), (name, text[:300])
        assert "hidden" not in text.replace(f"{schema}.{name}", ""), (schema, name)
    listed = narrow.sql("narrow", "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    if listed[0] == 200:
        assert {row[0] for row in listed[1]["rows"]} == own
    for text in ("SHOW TABLES", "SELECT table_name FROM information_schema.tables", "SELECT table_name FROM freshet.tables",
                 "SELECT pg_get_viewdef('hidden_v'::regclass)", "EXPLAIN SELECT * FROM seen_v"):
        status, answer = narrow.sql("narrow", text)
        assert "hidden_t" not in json.dumps(answer) and "hidden_column" not in json.dumps(answer), (text, answer)
    for target in ("/metrics", "/readyz?fresh=1s"):
        assert narrow.ask(narrow.of["narrow"], "GET", target)[0] == 403
    # What others may see they still do, by the same texts.
    assert narrow.server.rows("SELECT count(*) FROM hidden_t") == [[2]]
    assert narrow.sql("reader", "SELECT count(*) FROM hidden_t")[0] == 200
    assert narrow.sql("narrow", "SELECT count(*) FROM hidden_t")[0] == 400


def test_rights_on_single_tables(narrow):
    assert narrow.sql("narrow", "INSERT INTO fed_t VALUES (now(), 1)")[0] == 200
    assert narrow.ask(narrow.of["narrow"], "POST", "/v1/ingest/fed_t", '{"ts":1780000000,"n":1}')[0] == 200
    for text in ("SELECT * FROM fed_t", "INSERT INTO seen_t VALUES (now(), 1)", "TRUNCATE fed_t", "CREATE TABLE x (a int)",
                 "GRANT SELECT ON fed_t TO narrow", "CREATE ROLE y", "ALTER ROLE narrow SUPERUSER", "CHECKPOINT"):
        status, answer = narrow.sql("narrow", text)
        assert status == 403 and answer["sqlstate"] == "42501", (text, answer)
    assert narrow.ask(narrow.of["narrow"], "POST", "/v1/ingest/seen_t", "{}")[0] == 403
    server = narrow.server
    server.sql("GRANT TRUNCATE ON fed_t TO narrow")
    assert narrow.sql("narrow", "TRUNCATE fed_t")[0] == 200
    server.sql("GRANT reader TO narrow")
    assert narrow.sql("narrow", "SELECT count(*) FROM hidden_t")[0] == 200
    server.sql("REVOKE reader FROM narrow")
    assert narrow.sql("narrow", "SELECT count(*) FROM hidden_t")[0] == 400
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO narrow")
    assert narrow.sql("narrow", "SELECT count(*) FROM hidden_t")[0] == 200
    server.sql("REVOKE ALL ON hidden_t, hidden_v, fed_t FROM narrow")
    assert narrow.sql("narrow", "SELECT count(*) FROM hidden_t")[0] == 400
    server.sql("ALTER TABLE seen_t RENAME TO kept_t")
    assert narrow.sql("narrow", "SELECT count(*) FROM kept_t")[0] == 200
    server.sql("ALTER TABLE kept_t RENAME TO seen_t")


def test_roles_by_sql(users):
    server = users.server
    canary = "canary of a password"
    server.sql(f"CREATE USER made PASSWORD '{canary}' IN ROLE writer")
    assert users.ask(basic("made", canary), "POST", "/v1/sql", "INSERT INTO open_t VALUES (1)")[0] == 200
    server.sql("ALTER ROLE made WITH PASSWORD 'other'")
    assert users.ask(basic("made", canary), "POST", "/v1/sql", "SELECT 1")[0] == 401
    assert users.ask(basic("made", "other"), "POST", "/v1/sql", "SELECT 1")[0] == 200
    for text, sqlstate in ((f"CREATE USER made PASSWORD '{canary}'", "42710"), (f"ALTER ROLE nobody PASSWORD '{canary}'", "42704"),
                           ("DROP ROLE nobody", "42704"), ("GRANT SELECT ON nothing TO made", "42P01"),
                           ("GRANT UPDATE ON open_t TO made", "0A000"), ("GRANT SELECT ON open_t TO PUBLIC", "0A000"),
                           ("GRANT SELECT (n) ON open_t TO made", "0A000"), ("CREATE ROLE \"a:b\"", "42602"),
                           (f"CREATE ROLE x PASSWORD '{canary}' '{canary}'", "42601"), (f"CREATE ROLE x PASWORD '{canary}'", "42601"),
                           (f"CREATE ROLE x PASSWORD $${canary}$$ {canary}", "42601"), ("CREATE ROLE x PASSWORD 'e\u0301'", "22023")):
        status, answer = server.query(text)
        assert status in (400, 403, 404, 409) and answer["sqlstate"] == sqlstate, (text, answer)
        assert canary not in json.dumps(answer), answer
    verifier = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
    server.sql(f"CREATE ROLE moved LOGIN PASSWORD '{verifier}' IN ROLE reader")  # from a PostgreSQL
    assert users.ask(basic("moved", "pencil"), "POST", "/v1/sql", "SELECT 1")[0] == 200
    for damaged in (verifier.replace("$4096:", "$1000:"), verifier.replace("$4096:", "$100001:"), verifier[:-1]):
        status, answer = server.query(f"CREATE USER damaged PASSWORD '{damaged}'")
        assert status == 400 and answer["sqlstate"] == "22023", answer  # and never becomes a password
    server.sql("DROP ROLE made, moved")
    assert users.ask(basic("moved", "pencil"), "POST", "/v1/sql", "SELECT 1")[0] == 401
    log = server.log_text()
    assert 'command ok role=\"the_admin\" what=\"CREATE ROLE\" name=\"made\"' in log or "CREATE ROLE" in log
    assert canary not in log and "pencil" not in log


def test_rights_on_dropped_tables_go(users):
    server = users.server
    size = os.path.getsize
    server.sql("CREATE ROLE heir")
    sizes = []
    for n in range(6):
        server.sql("CREATE TABLE short_lived (n int)")
        server.sql("CREATE VIEW short_view AS SELECT n FROM open_t")
        server.sql("GRANT SELECT ON short_lived, short_view TO heir")
        sizes.append(size(users.server.data / "users"))
        server.sql("DROP VIEW short_view")
        server.sql("DROP TABLE short_lived")
    assert len(set(sizes)) == 1, sizes
    server.sql("REVOKE SELECT ON open_t FROM heir")
    assert size(users.server.data / "users") < sizes[0]
    server.sql("DROP ROLE heir")


def test_many_right_log_ins_at_once(tmp_path):
    data = tmp_path / "data"
    assert user(data, "add", "ann", "--role", "admin", password="right\n").returncode == 0
    server = freshet.Server(data, headers=basic("ann", "right"))
    with ThreadPoolExecutor(64) as pool:
        def by_wire(_):
            with psycopg.connect(f"postgresql://ann:right@{server.pg}/freshet?sslmode=disable") as connection:
                return connection.execute("SELECT 1").fetchone()
        assert list(pool.map(lambda _: server.request("POST", "/v1/sql", "SELECT 1")[0], range(64))) == [200] * 64
        assert list(pool.map(by_wire, range(60))) == [(1,)] * 60
    assert server.stop() == 0


def test_one_address_does_not_fill_the_line(users):
    """Passwords wait to be derived, slowly: of one address 128, and another's turn comes all the same."""
    text = [base64.b64encode(bytes([byte]) * size).decode() for byte, size in ((1, 16), (2, 32), (3, 32))]
    users.server.sql(f"CREATE USER slow PASSWORD 'SCRAM-SHA-256$100000:{text[0]}${text[1]}:{text[2]}'")
    assert users.sql("admin", "SELECT 1")[0] == 200
    host, port = users.server.http.rsplit(":", 1)
    head = "".join(f"{name}: {value}\r\n" for name, value in basic("slow", "wrong").items())
    sockets = [socket.create_connection((host, int(port))) for _ in range(200)]
    for one in sockets:
        one.sendall(f"POST /v1/sql HTTP/1.1\r\nHost: {host}\r\n{head}Content-Length: 8\r\n\r\nSELECT 1".encode())
    with socket.create_connection((host, int(port)), source_address=("127.0.0.9", 0)) as other:
        head = "".join(f"{name}: {value}\r\n" for name, value in users.of["reader"].items())
        other.sendall(f"POST /v1/sql HTTP/1.1\r\nHost: {host}\r\n{head}Content-Length: 8\r\n\r\nSELECT 1".encode())
        assert b" 200 " in other.recv(65536)
    statuses = []
    for one in sockets:
        statuses.append(one.recv(65536).split()[1])
        one.close()
    assert set(statuses) == {b"401", b"429", b"503"}
    assert statuses.count(b"503") <= 200 - 128


def test_the_first_role_is_an_admin(tmp_path):
    server = freshet.Server(tmp_path / "data")
    for text in ("CREATE USER a IN ROLE reader PASSWORD 'x'", "CREATE USER a IN ROLE admin", "CREATE ROLE a PASSWORD 'x' IN ROLE admin"):
        assert server.query(text)[1]["sqlstate"] == "42501"
    server.sql("CREATE USER root PASSWORD 'x' IN ROLE admin")
    assert server.query("SELECT 1")[0] == 401
    server.headers = basic("root", "x")
    assert server.rows("SELECT 1") == [[1]]
    assert server.stop() == 0


def wire(users, name, password):
    host, port = users.server.pg.rsplit(":", 1)
    return psycopg.connect(host=host, port=port, user=name, password=password, dbname="freshet", autocommit=True)


def test_roles_in_catalogues(narrow):
    """Who asks, who there is, who may do what: by the functions and relations that tools ask."""
    server = narrow.server
    with wire(narrow, "narrow", "secret of narrow") as connection:
        def ask(text):
            return connection.execute(text).fetchall()
        assert connection.info.parameter_status("is_superuser") == "off"
        assert ask("SELECT current_user, session_user, user, current_role") == [("narrow",) * 4]
        assert {row[0] for row in ask("SELECT rolname FROM pg_roles")} == {"freshet", "reader", "writer", "admin", "narrow"}
        assert ask("SELECT rolsuper, rolcanlogin, rolpassword FROM pg_roles WHERE rolname = current_user") == [(False, True, "********")]
        assert ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'narrow'") == [(None,)]
        assert ask("SELECT usename, usesuper FROM pg_user WHERE usename = user") == [("narrow", False)]
        assert ask("SELECT usename, query LIKE 'SELECT usename%' FROM pg_stat_activity") == [("narrow", True)]
        assert ask("SELECT user_name FROM freshet.queries") == [("narrow",)]
        assert ask("SELECT has_table_privilege('seen_t', 'SELECT'), has_table_privilege('seen_t', 'INSERT, DELETE'), "
                   "has_table_privilege('seen_t', 'UPDATE, SELECT'), has_table_privilege('fed_t'::regclass, 'INSERT'), "
                   "has_table_privilege('narrow', 'seen_v', 'SELECT'), has_table_privilege('seen_t', 'SELECT WITH GRANT OPTION')"
                   ) == [(True, False, True, True, True, False)]
        assert ask("SELECT pg_has_role('reader', 'USAGE'), pg_has_role('narrow', 'MEMBER'), has_schema_privilege('public', 'USAGE'), "
                   "has_schema_privilege('public', 'CREATE'), has_column_privilege('seen_t', 'n', 'SELECT')") == [(False, True, True, False, True)]
        assert ask("SELECT table_name, privilege_type FROM information_schema.role_table_grants ORDER BY 1, 2") == [
            ("fed_t", "INSERT"), ("seen_t", "SELECT"), ("seen_v", "SELECT")]
        assert ask("SELECT relacl FROM pg_class WHERE relname = 'seen_t'") == [(["freshet=arwdDxt/freshet", "narrow=r/freshet"],)]
        for text, sqlstate in (("SELECT has_table_privilege('hidden_t', 'SELECT')", "42P01"), ("SELECT has_table_privilege('seen_t', 'x')", "22023"),
                               ("SELECT has_table_privilege('the_admin', 'seen_t', 'SELECT')", "42704"), ("SET ROLE the_admin", "0A000"),
                               ("SELECT has_table_privilege('seen_t')", "42883"), ("SET SESSION AUTHORIZATION the_admin", "0A000")):
            with pytest.raises(psycopg.Error) as raised:
                connection.execute(text)
            assert raised.value.sqlstate == sqlstate, text
    names = {row[0] for row in server.rows("SELECT rolname FROM pg_roles")}
    assert names >= {"freshet", "the_admin", "the_writer", "the_reader", "the_none", "narrow", "reader"}
    assert server.rows("SELECT m.rolname, r.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member "
                       "WHERE m.rolname LIKE 'the%' ORDER BY 1") == [["the_admin", "admin"], ["the_reader", "reader"], ["the_writer", "writer"]]
    assert server.rows("SELECT pg_has_role('the_reader', 'reader', 'MEMBER'), has_table_privilege('the_writer', 'hidden_t', 'INSERT'), "
                       "has_table_privilege('the_reader', 'hidden_t', 'INSERT'), has_table_privilege('the_none', 'hidden_t', 'SELECT')"
                       ) == [[True, True, False, False]]


def test_open_sessions_learn_of_changes(narrow):
    """Rights given and taken hold from the next statement on, in prepared statements, portals and transactions too."""
    server = narrow.server
    server.sql("CREATE USER late PASSWORD 'secret of late'")
    with wire(narrow, "late", "secret of late") as connection:
        def fails(text, sqlstate, **how):
            with pytest.raises(psycopg.Error) as raised:
                connection.execute(text, **how)
            assert raised.value.sqlstate == sqlstate, (text, str(raised.value))
        count = "SELECT count(*) FROM seen_t"
        fails(count, "42P01")
        server.sql("GRANT SELECT ON seen_t TO late")
        for _ in range(8):  # prepared, and short enough to run at once
            assert connection.execute(count, prepare=True).fetchall() == [(1,)]
        server.sql("REVOKE SELECT ON seen_t FROM late")
        fails(count, "42P01", prepare=True)
        server.sql("GRANT INSERT ON seen_t TO late")
        fails(count, "42501", prepare=True)
        fails("INSERT INTO seen_t VALUES (now(), 7) RETURNING n", "42501")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            with connection.cursor().copy("COPY seen_t TO STDOUT") as copy:
                list(copy)
        server.sql("GRANT reader TO late")
        assert connection.execute("SELECT count(*) FROM hidden_t").fetchall() == [(2,)]
        server.sql("REVOKE reader FROM late")
        server.sql("ALTER USER late NOLOGIN")
        with pytest.raises(psycopg.OperationalError):
            wire(narrow, "late", "secret of late")
        server.sql("DROP USER late")
        server.sql("CREATE USER late PASSWORD 'another' IN ROLE reader")  # is somebody else
        fails("SELECT 1", "28000")
    server.sql("DROP USER late")


def test_rights_change_under_questions(narrow):
    """While one right comes and goes, each answer is that of having it or that of there being nothing."""
    server = narrow.server
    server.sql("CREATE USER busy PASSWORD 'secret of busy'")
    server.sql("CREATE TABLE fickle_t (n int)")
    server.sql("INSERT INTO fickle_t VALUES (5)")
    is_over = threading.Event()
    odd, answers = [], set()

    def by_wire():
        with wire(narrow, "busy", "secret of busy") as connection:
            while not is_over.is_set():
                try:
                    answers.add(("wire", connection.execute("SELECT n FROM fickle_t", prepare=True).fetchall()[0][0]))
                except psycopg.Error as error:
                    answers.add(("wire", error.sqlstate))
                    if "fickle_t" in str(error.diag.message_detail):
                        odd.append(str(error))
                seen = connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'fickle_t'").fetchall()[0][0]
                answers.add(("wire", "seen", seen))

    def by_http():
        headers = basic("busy", "secret of busy")
        while not is_over.is_set():
            status, _, text = narrow.ask(headers, "POST", "/v1/sql", "SELECT n FROM fickle_t")
            answer = json.loads(text)
            answers.add(("http", answer["rows"][0][0] if status == 200 else answer["sqlstate"]))

    threads = [threading.Thread(target=target) for target in (by_wire, by_wire, by_http)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        server.sql("GRANT SELECT ON fickle_t TO busy")
        time.sleep(0.02)
        server.sql("REVOKE SELECT ON fickle_t FROM busy")
        time.sleep(0.02)
    is_over.set()
    for thread in threads:
        thread.join()
    assert not odd
    assert answers == {("wire", 5), ("wire", "42P01"), ("wire", "seen", 0), ("wire", "seen", 1), ("http", 5), ("http", "42P01")}
    server.sql("DROP USER busy")


def test_copy_needs_the_right(narrow):
    with wire(narrow, "narrow", "secret of narrow") as connection:
        with connection.cursor().copy("COPY fed_t (n) FROM STDIN") as copy:
            copy.write("8\n")
        for table, sqlstate in (("seen_t", "42501"), ("hidden_t", "42P01")):
            with pytest.raises(psycopg.Error) as raised:
                with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write("8\n")
            assert raised.value.sqlstate == sqlstate
    assert narrow.server.rows("SELECT count(*) FROM fed_t WHERE n = 8") == [[0]]  # without a time: a dead letter
    assert narrow.server.rows("SELECT raw FROM freshet.dead_letters WHERE table_name = 'fed_t'") != []
    assert narrow.sql("narrow", "SELECT count(*) FROM freshet.dead_letters")[1]["rows"] == [[0]]  # of a table not to be read


def test_ids_of_queries_are_each_roles_own(narrow):
    """The answer to one's own query tells nothing of another's, and who cancels it cancels their own."""
    slow = "SELECT count(*) FROM generate_series(1, 3000) x(a), generate_series(1, 3000) y(b), generate_series(1, 3000) z(c) WHERE a + b + c = -1"
    body = json.dumps({"query": slow, "query_id": "same", "timeout_ms": 60000})
    answers = {}
    threads = [threading.Thread(target=lambda kind=kind: answers.update({kind: narrow.ask(narrow.of[kind], "POST", "/v1/sql", body)}))
               for kind in ("reader", "narrow")]
    for count, thread in enumerate(threads, 1):
        thread.start()
        wait_for(lambda count=count: narrow.server.rows("SELECT count(*) FROM freshet.queries WHERE query_id = 'same'") == [[count]])
    assert narrow.ask(narrow.of["reader"], "POST", "/v1/sql", body)[0] == 400
    assert narrow.ask(narrow.of["narrow"], "DELETE", "/v1/sql/same")[0] == 200
    threads[1].join(60)
    assert "narrow" in answers and "reader" not in answers
    assert narrow.ask(narrow.of["narrow"], "DELETE", "/v1/sql/same")[0] == 404
    assert narrow.ask(narrow.of["admin"], "DELETE", "/v1/sql/same")[0] == 200
    threads[0].join(60)
    assert [answers[kind][0] for kind in ("reader", "narrow")] == [504, 504]


def test_copy_keeps_to_its_table(narrow):
    """A COPY that has begun writes where it may write, whatever has that name by now."""
    server = narrow.server
    for text in ("CREATE TABLE moved_t (n int)", "CREATE TABLE secret_t (n int)", "GRANT INSERT ON moved_t TO narrow"):
        server.sql(text)
    with wire(narrow, "narrow", "secret of narrow") as connection:
        with connection.cursor().copy("COPY moved_t FROM STDIN") as copy:
            server.sql("ALTER TABLE moved_t RENAME TO moved_old")
            server.sql("ALTER TABLE secret_t RENAME TO moved_t")
            copy.write("8\n")
        assert server.rows("SELECT (SELECT count(*) FROM moved_t), (SELECT count(*) FROM moved_old)") == [[0, 1]]
        with pytest.raises(psycopg.Error) as raised:
            with connection.cursor().copy("COPY moved_old FROM STDIN") as copy:
                server.sql("DROP TABLE moved_old")
                server.sql("CREATE TABLE moved_old (n int)")
                copy.write("8\n")
        assert raised.value.sqlstate == "42P01"
    assert server.rows("SELECT count(*) FROM moved_old") == [[0]]
    server.sql("DROP TABLE moved_t")
    server.sql("DROP TABLE moved_old")


def test_what_has_begun_ends_with_its_rights(narrow):
    server = narrow.server
    for text in ("CREATE TABLE long_t (n int)", "INSERT INTO long_t SELECT generate_series(1, 9)", "CREATE USER brief PASSWORD 'secret of brief'"):
        server.sql(text)

    def copies_then(sqlstate, *texts):
        with wire(narrow, "brief", "secret of brief") as connection:
            with pytest.raises(psycopg.Error) as raised:
                with connection.cursor().copy("COPY long_t FROM STDIN") as copy:
                    copy.write("8\n")
                    for text in texts:
                        server.sql(text)
            assert raised.value.sqlstate == sqlstate, str(raised.value)
            assert server.rows("SELECT count(*) FROM long_t") == [[9]]

    def fetches_then(sqlstate, *texts):
        with contextlib.closing(wire(narrow, "brief", "secret of brief")) as connection:  # nor may a dropped role roll back
            connection.execute("BEGIN")
            connection.execute("DECLARE c CURSOR FOR SELECT n FROM long_t ORDER BY n")
            assert connection.execute("FETCH 2 FROM c").fetchall() == [(1,), (2,)]
            for text in texts:
                server.sql(text)
            if sqlstate is None:
                assert connection.execute("FETCH 2 FROM c").fetchall() == [(3,), (4,)]
                return
            with pytest.raises(psycopg.Error) as raised:
                connection.execute("FETCH 2 FROM c")
            assert raised.value.sqlstate == sqlstate, str(raised.value)

    server.sql("GRANT SELECT, INSERT ON long_t TO brief")
    fetches_then(None, "GRANT SELECT ON seen_t TO brief")  # more than before
    fetches_then("42501", "REVOKE SELECT ON long_t FROM brief")
    server.sql("GRANT SELECT ON long_t TO brief")
    copies_then("42501", "REVOKE INSERT ON long_t FROM brief")
    server.sql("GRANT INSERT ON long_t TO brief")
    copies_then("42P01", "REVOKE ALL ON long_t FROM brief")
    server.sql("GRANT ALL ON long_t TO brief")
    copies_then("28000", "DROP USER brief")
    server.sql("CREATE USER brief PASSWORD 'secret of brief'")
    server.sql("GRANT SELECT ON long_t TO brief")
    fetches_then("28000", "DROP USER brief", "CREATE USER brief PASSWORD 'secret of brief' IN ROLE reader")
    server.sql("DROP USER brief")
    server.sql("DROP TABLE long_t")


def test_texts_are_masked(users):
    """While it runs a statement is shown, up to its first secret."""
    server = users.server
    canary = "canary in the mine"
    with wire(users, "the_admin", "secret of admin") as connection:
        for text in (f"CREATE USER c1 PASSWORD '{canary}'", f"ALTER ROLE c1 ENCRYPTED PASSWORD E'{canary}'", f"ALTER USER c1 PASSWORD $x${canary}$x$",
                     f"CREATE /* ' */ USER c2 PASSWORD '{canary}'; SELECT query FROM freshet.queries", f"SELECT 1; ALTER USER c1 PASSWORD U&'{canary}'"):
            connection.execute(text)
        for text in (f"CREATE USER c1 PASSWORD '{canary}' '{canary}'", f"CRATE USER c1 PASSWORD '{canary}'", f"CREATE USER c1 PASWORD '{canary}'",
                     f"CREATE USER c1 PASSWORD \"{canary}\"", f"EXPLAIN CREATE USER c1 PASSWORD '{canary}'", f"CREATE USER c1 PASSWORD '{canary}",
                     f"PREPARE p AS CREATE USER c1 PASSWORD '{canary}'", f"CREATE USER c1 PASSWORD '{canary}' VALID UNTIL 'x'",
                     f"CREATE VIEW v AS SELECT 1; ALTER USER nobody PASSWORD '{canary}'", f"CREATE USER c1 PASSWORD 'md5{'0' * 32}'"):
            with pytest.raises(psycopg.Error) as raised:
                connection.execute(text)
            fields = [str(getattr(raised.value.diag, field)) for field in dir(raised.value.diag) if not field.startswith("_")]
            assert canary not in str(fields), (text, fields)  # libpq shows the client its own line
        assert canary not in str(connection.execute("SELECT * FROM pg_prepared_statements").fetchall())
    assert canary not in server.log_text() and "SCRAM-SHA-256$" not in server.log_text()
    for relation in ("pg_authid", "pg_shadow", "pg_roles", "pg_user", "pg_stat_activity", "freshet.queries", "pg_settings"):
        text = json.dumps(server.query(f"SELECT * FROM {relation}")[1])
        assert canary not in text and "SCRAM" not in text, relation
    server.sql("DROP VIEW IF EXISTS v")
    server.sql("DROP USER c1, c2")


def test_the_last_admin_stays(users):
    for text in ("DROP ROLE the_admin", "ALTER ROLE the_admin NOSUPERUSER", "REVOKE admin FROM the_admin", "ALTER ROLE the_admin NOLOGIN",
                 "GRANT reader TO the_admin"):
        status, answer = users.sql("admin", text)
        assert answer["sqlstate"] == "55006", (text, answer)


def test_nosuperuser_takes_but_that(users):
    users.sql("admin", "CREATE USER kept PASSWORD 'some long words' IN ROLE writer")
    for options, want in [("NOSUPERUSER", [["writer"]]), ("SUPERUSER", [["admin"]]), ("NOSUPERUSER", [])]:
        assert users.sql("admin", f"ALTER ROLE kept {options}")[0] == 200
        assert users.sql("admin", "SELECT role_name FROM information_schema.applicable_roles WHERE grantee = 'kept'")[1]["rows"] == want
    users.sql("admin", "DROP ROLE kept")


def test_audit(narrow):
    """A line for each command, with who, from where, on what, and one for what is refused."""
    narrow.sql("admin", 'CREATE TABLE "au""dit" (n int)')
    narrow.sql("admin", 'DROP TABLE "au""dit"')
    narrow.sql("admin", "DROP TABLE nobody_at_all")
    narrow.sql("narrow", "DROP TABLE seen_t")
    narrow.sql("narrow", "INSERT INTO seen_t VALUES (now(), 1)")
    narrow.ask(narrow.of["narrow"], "POST", "/v1/ingest/seen_t", "{}")
    narrow.server.ingest("made_by_rows", '{"n":1}', query="?create=true")
    lines = narrow.server.log_text()
    for line in (r'command ok role=\"the_admin\" client=\"127.0.0.1:[0-9]+\" what=\"CREATE TABLE\" name=\"au\?dit\"',
                 r'command failed role=\"the_admin\" client=.* what=\"DROP TABLE\" name=\"nobody_at_all\" sqlstate=42P01',
                 r'command refused role=\"narrow\" client=.* reason=\"permission denied: DROP TABLE is for admins\" others=0',
                 r'command refused role=\"narrow\" .* reason=\"permission denied for table seen_t\"',
                 r'command refused role=\"narrow\" .* reason=\"permission denied to write rows\"',
                 r'command begun role=\"the_admin\" .* what=\"CREATE TABLE by rows\" name=\"made_by_rows\"',
                 r'command ok role=\"the_admin\" .* what=\"GRANT\" name=\"seen_t\" name=\"seen_v\" role_to=\"narrow\" rights=SELECT'):
        assert re.search(line.replace('\\"', '\\\\"'), lines), line
