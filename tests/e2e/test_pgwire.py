"""The PostgreSQL port as its clients use it: psql, pgbench, psycopg, asyncpg, postgres_fdw of a real PostgreSQL; and as hostile clients do."""

import asyncio
import os
import socket
import struct
import subprocess
import threading
import time

import asyncpg
import psycopg
import pytest

import freshet
from differential.pg import PostgreSQL


def psql(server, *commands, check=True):
    host, port = server.pg.rsplit(":", 1)
    arguments = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(["psql", "-X", "-A", "-t", "-h", host, "-p", port, "-U", "me", "-d", "freshet", *arguments],
                          capture_output=True, text=True, timeout=300, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert not check or done.returncode == 0, done.stderr
    return done.stdout if check else done


def connect(server, **more):
    host, port = server.pg.rsplit(":", 1)
    return psycopg.connect(host=host, port=port, user="me", dbname="freshet", connect_timeout=100, **more)


def test_psql(server):
    assert psql(server, "CREATE TABLE w (a bigint, b text)", "INSERT INTO w VALUES (1, 'x'), (2, NULL)") == "CREATE TABLE\nINSERT 0 2\n"
    assert psql(server, "SELECT * FROM w ORDER BY a; SELECT 'second'") == "1|x\n2|\nsecond\n"
    failed = psql(server, "SELECT 1; SELECT 'é', nope FROM w", check=False)
    assert failed.returncode == 1 and 'column "nope" does not exist' in failed.stderr
    assert "LINE 1: SELECT 1; SELECT 'é', nope FROM w\n                              ^" in failed.stderr
    assert "a" in psql(server, r"\d w") and "w" in psql(server, r"\dt")
    psql(server, "DROP TABLE w")


def run_psql(server, script):
    """What a script gives: (standard output, standard error)."""
    host, port = server.pg.rsplit(":", 1)
    done = subprocess.run(["psql", "-X", "-A", "-t", "-h", host, "-p", port, "-U", "me", "-d", "freshet"], input=script, capture_output=True,
                          text=True, timeout=300, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.stdout, done.stderr


def test_prepared_statements_are_told(server):
    """Of one's own session, those with names, without what nobody is to read."""
    told = psql(server, "PREPARE p(text) AS SELECT $1, $2::integer + 1", "SELECT name, statement, parameter_types[1], parameter_types[2],"
                " from_sql, prepare_time <= now(), prepare_time > now() - interval '1 hour' FROM pg_prepared_statements", "DEALLOCATE p",
                "SELECT count(*) FROM pg_prepared_statements")
    assert told == "PREPARE\np|SELECT $1, $2::integer + 1|25|23|t|t|t\nDEALLOCATE\n0\n"
    assert psql(server, "SELECT count(*) FROM pg_prepared_statements") == "0\n"
    assert server.rows("SELECT count(*) FROM pg_prepared_statements")[0][0] in (0, "0")


def test_psql_describes(server):
    server.sql("CREATE TABLE w (a bigint NOT NULL, b text DEFAULT 'x')")
    for sql in ("COMMENT ON COLUMN w.b IS 'told'", "CREATE INDEX w_b ON w (b)", "CREATE VIEW v AS SELECT a FROM w"):
        server.sql(sql)
    wanted = {r"\d": "w|table", r"\d w": "a|bigint||not null|", r"\d+ w": "told", r"\d w_b": "b|", r"\dt+": "w|table",
              r"\dv": "v|view", r"\di": "w_b|index", r"\dn": "public|", r"\dT int8": "bigint", r"\l": "freshet|", r"\du": "Superuser",
              r"\dp": "w|table", r"\dS pg_class": "relname|name", r"\conninfo": 'You are connected to database "freshet"', r"\encoding": "UTF8",
              r"\df": "", r"\dx": "", r"\ds": "", r"\dm": "", r"\da": "", r"\do": "", r"\dc": "", r"\dC": "", r"\dD": "", r"\db": "",
              r"\dO": "", r"\dF": "", r"\ddp": "", r"\drds": "", r"\dRp": "", r"\dRs": "", r"\dy": "", r"\dE": "", r"\sv v": "SELECT a FROM w",
              r"\df sum": "sum|numeric|bigint|agg", r"\df lag": "lag|anyelement|anyelement, integer, anyelement|window",
              r"\df generate_series": "SETOF integer|integer, integer|func", r"\df json_each": "SETOF record|json, OUT key text, OUT value json|func",
              r"\df concat": 'text|VARIADIC "any"|func', r"\df percentile_cont": "double precision|double precision ORDER BY double precision|agg",
              r"\da count": "bigint|*|how many rows", r"\df+ sqrt": "|internal|sqrt|", r"\dL": "", r"\dd": ""}
    for command, text in wanted.items():
        told, failed = run_psql(server, command)
        assert text in told and "ERROR" not in failed, (command, told, failed)
    server.sql("DROP VIEW v")
    server.sql("DROP TABLE w")


def test_psql_commands(server, tmp_path):
    server.sql("CREATE TABLE w (a bigint, b text)")
    (tmp_path / "in.csv").write_text('a,b\n1,"x,y"\n2,\n')
    out, failed = run_psql(server, f"""\\copy w from '{tmp_path}/in.csv' csv header
\\copy (select * from w order by a) to '{tmp_path}/out.csv' csv header
\\copy w (b, a) from stdin
z\t3
\\.
SELECT a, b, 1.5::numeric(4,2) AS n FROM w WHERE a = 1 \\gdesc
SELECT 'SELECT ' || g FROM generate_series(7, 8) g \\gexec
SELECT count(*) AS c FROM w \\gset
\\echo :c
SELECT a, b, 5 AS n FROM w WHERE a = 1 \\crosstabview a b n
\\set FETCH_COUNT 2
SELECT g FROM generate_series(1, 5) g;
\\timing on
\\errverbose
""")
    assert (tmp_path / "out.csv").read_text() == 'a,b\n1,"x,y"\n2,\n'
    assert out.split("\n")[:9] == ["COPY 2", "COPY 2", "COPY 1", "a|bigint", "b|text", "n|numeric(4,2)", "7", "8", "3"], (out, failed)
    assert "1\n2\n3\n4\n5\n" in out and failed == "", (out, failed)
    server.sql("DROP TABLE w")


def test_psql_watch(server):
    host, port = server.pg.rsplit(":", 1)
    process = subprocess.Popen(["psql", "-X", "-A", "-t", "-h", host, "-p", port, "-U", "me", "-d", "freshet"], stdout=subprocess.PIPE,
                               stdin=subprocess.PIPE, text=True)
    process.stdin.write("SELECT 7 \\watch 0.1\n")
    process.stdin.close()
    seen = 0
    while seen < 3:
        line = process.stdout.readline()
        assert line != ""
        seen += line == "7\n"
    process.terminate()
    process.wait(20)
    process.stdout.close()


def test_psycopg(server):
    with connect(server) as connection:
        connection.autocommit = True
        connection.execute("CREATE TABLE p (a bigint, b text, t timestamptz, n numeric(12,3))")
        connection.autocommit = False
        connection.execute("INSERT INTO p VALUES (%s, %s, '2026-01-02 03:04:05.5+00', %s)", (200, "text", 1))
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute("SELECT * FROM p")
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM p").fetchone() == (0,)
        connection.rollback()
        for value in (1, 2):
            connection.execute("INSERT INTO p VALUES (%s, %s, '2026-01-02 03:04:05.5+00', %s)", (value, None, value))
        connection.commit()
        for binary in (False, True):
            rows = connection.cursor(binary=binary).execute("SELECT a, b, n FROM p WHERE a >= %s ORDER BY a", (1,)).fetchall()
            assert [tuple(map(str, row)) for row in rows] == [("1", "None", "1.000"), ("2", "None", "2.000")]
        with connection.cursor(name="c") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT g FROM generate_series(1, 1000) g")
            assert sum(row[0] for row in cursor) == 500500
        connection.rollback()
        connection.autocommit = True
        connection.execute("DROP TABLE p")


def test_sessions(server):
    """BEGIN, cursors, PREPARE, SET LOCAL, savepoints: what each answers, as psql prints it."""
    told = psql(server,
                "START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 5) g", "FETCH 2 c",
                "MOVE 1 IN c", "FETCH ALL c", "FETCH 1 c", "COMMIT",
                "DECLARE h CURSOR WITH HOLD FOR VALUES (1), (2)", "FETCH 1 h", "CLOSE h",
                "PREPARE p (bigint) AS SELECT $1 + 1", "EXECUTE p (41)", "DEALLOCATE ALL",
                "SET timezone = 'Asia/Tokyo'", "PREPARE d (date) AS SELECT $1", "EXECUTE d ('2026-05-01 20:00+00'::timestamptz)", "DISCARD ALL",
                "BEGIN", "SET LOCAL timezone = 'Europe/Paris'", "SHOW timezone", "COMMIT", "SHOW timezone",
                "BEGIN", "SET timezone = 'Europe/Paris'", "ROLLBACK", "SHOW timezone", "DISCARD ALL").split("\n")
    assert told[:-1] == ["START TRANSACTION", "DECLARE CURSOR", "1", "2", "MOVE 1", "4", "5", "COMMIT", "DECLARE CURSOR", "1", "CLOSE CURSOR",
                         "PREPARE", "42", "DEALLOCATE ALL", "SET", "PREPARE", "2026-05-02", "DISCARD ALL", "BEGIN", "SET", "Europe/Paris", "COMMIT", "UTC", "BEGIN", "SET", "ROLLBACK", "UTC",
                         "DISCARD ALL"]
    failed = psql(server, "BEGIN", "SELECT nope", "SELECT 1", "COMMIT", check=False)
    assert "current transaction is aborted" in failed.stderr and failed.stdout.split() == ["BEGIN", "ROLLBACK"]
    warned = psql(server, "BEGIN", "CREATE TABLE ddl (a int)", "ROLLBACK", "SELECT count(*) FROM ddl", "DROP TABLE ddl", check=False)
    assert "WARNING" in warned.stderr and warned.returncode == 0 and "0" in warned.stdout.split()
    refused = psql(server, "LISTEN x", "BEGIN READ ONLY", "CREATE TABLE never (a int)", check=False)
    assert "LISTEN is not supported" in refused.stderr and "read-only transaction" in refused.stderr
    psql(server, "CREATE TABLE written (a bigint)")
    for reads in ("SELECT * FROM written", "INSERT INTO written SELECT a + 1 FROM written", "INSERT INTO written VALUES ((SELECT max(a) FROM written))"):
        refused = psql(server, "BEGIN", "INSERT INTO written VALUES (1)", reads, "COMMIT", check=False)
        assert "reading a table" in refused.stderr and refused.stdout.split("\n")[-2] == "ROLLBACK"
    psql(server, "BEGIN", "INSERT INTO written VALUES (1)", "INSERT INTO written VALUES (2)", "COMMIT",
         "INSERT INTO written SELECT a + 10 FROM written")
    assert [str(value) for value in server.rows("SELECT count(*), sum(a) FROM written")[0]] == ["4", "26"]
    psql(server, "DROP TABLE written")


def test_one_snapshot(server):
    with connect(server) as reader, connect(server, autocommit=True) as writer:
        writer.execute("CREATE TABLE snap (a bigint)")
        assert reader.execute("SELECT count(*) FROM snap").fetchone() == (0,)
        writer.execute("INSERT INTO snap VALUES (1)")
        assert reader.execute("SELECT count(*) FROM snap").fetchone() == (0,)
        reader.commit()
        assert reader.execute("SELECT count(*) FROM snap").fetchone() == (1,)
        reader.rollback()
        writer.execute("DROP TABLE snap")


def test_asyncpg(server):
    async def talk():
        host, port = server.pg.rsplit(":", 1)
        connection = await asyncpg.connect(host=host, port=int(port), user="me", database="freshet", timeout=120)
        row = await connection.fetchrow("SELECT $1::int8 AS a, $2::text AS b, 1.25::numeric AS n", 5, "x")
        assert (row["a"], row["b"], str(row["n"])) == (5, "x", "1.25")
        await connection.execute("CREATE TABLE ap (a bigint, b text)")
        await connection.executemany("INSERT INTO ap VALUES ($1, $2)", [(i, str(i)) for i in range(20)])
        async with connection.transaction(readonly=True):
            got = [r["a"] async for r in connection.cursor("SELECT a FROM ap ORDER BY a", prefetch=7)]
            assert got == list(range(20))
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch("SELECT nope")
        assert await connection.fetchval("SELECT count(*) FROM ap WHERE b = $1", "3") == 1
        for kind, values in (("bigint", [1, None, -3]), ("boolean", [True, None]), ("float8", [0.5]), ("text", ["a", None]), ("int", [])):
            assert await connection.fetchval(f"SELECT $1::{kind}[]", values) == values  # it looks up what arrays are made of
        assert await connection.fetchval("SELECT array_agg(oid ORDER BY oid) FROM pg_type WHERE oid < 18") == [16, 17]
        await connection.set_type_codec("jsonb", encoder=str, decoder=lambda text: ("json", text), schema="pg_catalog")
        assert await connection.fetchval("SELECT '{}'::jsonb") == ("json", "{}")
        await connection.execute("DROP TABLE ap")
        await connection.close()
        async with asyncpg.create_pool(host=host, port=int(port), user="me", database="freshet", min_size=1, max_size=3) as pool:
            assert sorted(await asyncio.gather(*(pool.fetchval("SELECT $1::int8", i) for i in range(20)))) == list(range(20))

    asyncio.run(talk())


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(server, mode, tmp_path):
    script = tmp_path / "script.sql"
    script.write_text("\\set i random(1, 1000)\nSELECT :i + g FROM generate_series(1, 3) g;\n")
    host, port = server.pg.rsplit(":", 1)
    done = subprocess.run(["pgbench", "-n", "-M", mode, "-f", script, "-c", "4", "-t", "50", "-h", host, "-p", port, "-U", "me", "freshet"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "number of transactions actually processed: 200/200" in done.stdout, done.stderr


def test_postgres_fdw(server):
    with connect(server, autocommit=True) as connection:
        connection.execute("CREATE TABLE ft (id bigint, name text, v double precision, at timestamptz, n numeric(12,2), ok boolean)")
        connection.execute("INSERT INTO ft SELECT g, 'n' || (g % 10), g * 0.5, '2026-01-01+00'::timestamptz + g * interval '1 minute', g / 4.0, "
                           "g % 2 = 0 FROM generate_series(1, 1000) g")
    host, port = server.pg.rsplit(":", 1)
    real = PostgreSQL()
    try:
        with psycopg.connect(real.dsn, autocommit=True) as local:
            local.execute("CREATE EXTENSION postgres_fdw")
            local.execute(f"CREATE SERVER fr FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname 'freshet')")
            local.execute("CREATE USER MAPPING FOR current_user SERVER fr OPTIONS (user 'me', password_required 'false')")
            local.execute("IMPORT FOREIGN SCHEMA public FROM SERVER fr INTO public")
            assert local.execute("SELECT count(*), min(at)::text FROM ft").fetchone()[0] == 1000
            assert local.execute("SELECT name, sum(v), avg(n) FROM ft WHERE name LIKE 'n1%' GROUP BY name").fetchall()[0][:2] == ("n1", 24800.0)
            plan = "\n".join(r[0] for r in local.execute("EXPLAIN (VERBOSE, COSTS OFF) SELECT name, sum(v) FROM ft GROUP BY name"))
            assert "Aggregate" in plan and "sum(v)" in plan.split("Remote SQL")[1]
            local.execute("CREATE TABLE loc AS SELECT g::bigint AS id, 'l' || g AS l FROM generate_series(1, 3) g")
            assert local.execute("SELECT l, name FROM loc JOIN ft USING (id) ORDER BY 1").fetchall() == [("l1", "n1"), ("l2", "n2"), ("l3", "n3")]
            local.execute("INSERT INTO ft (id, name) VALUES (5000, 'new')")
            assert local.execute("SELECT name FROM ft WHERE id = 5000").fetchone() == ("new",)
    finally:
        real.stop()
    psql(server, "DROP TABLE ft")


# --- raw bytes ---

class Raw:
    def __init__(self, server, login=True, **names):
        host, port = server.pg.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.settimeout(20)
        self.left = b""
        if login:
            pairs = b"".join(f"{k}\0{v}\0".encode() for k, v in {"user": "me", **names}.items())
            self.socket.sendall(struct.pack(">ii", len(pairs) + 9, 196608) + pairs + b"\0")
            self.pid, self.key = struct.unpack(">iI", dict(self.until(b"Z"))[b"K"])

    def send(self, *messages):
        self.socket.sendall(b"".join(t + struct.pack(">i", len(b) + 4) + b for t, b in messages))

    def query(self, text):
        self.send((b"Q", text.encode() + b"\0"))
        return self.until(b"Z")

    def read(self):
        while len(self.left) < 5 or len(self.left) <= struct.unpack(">i", self.left[1:5])[0]:
            got = self.socket.recv(1 << 16)
            if not got:
                return None
            self.left += got
        size = 1 + struct.unpack(">i", self.left[1:5])[0]
        message, self.left = self.left[:size], self.left[size:]
        return message[:1], message[5:]

    def until(self, kind):
        messages = []
        while not messages or messages[-1] is not None and messages[-1][0] != kind:
            messages.append(self.read())
        return messages

    def close(self):
        self.socket.close()


def cancel(server, pid, key):
    raw = Raw(server, login=False)
    raw.socket.sendall(struct.pack(">iiiI", 16, 80877102, pid, key))
    assert raw.socket.recv(1) == b""
    raw.close()


LONG = "SELECT count(*) FROM generate_series(1, 100000000000) g"


def running(server):
    return int(server.rows("SELECT count(*) FROM freshet.queries WHERE query LIKE '%generate_series%' AND query NOT LIKE '%freshet.queries%'")[0][0])


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cancel(server):
    raw = Raw(server)
    answer = []
    thread = threading.Thread(target=lambda: answer.extend(raw.query(LONG)))
    thread.start()
    wait_until(lambda: running(server) == 1)
    cancel(server, raw.pid, raw.key ^ 1)
    cancel(server, raw.pid + 1000, raw.key)
    time.sleep(0.2)
    assert running(server) == 1
    cancel(server, raw.pid, raw.key)
    thread.join(20)
    assert answer[-2][0] == b"E" and b"57014" in answer[-2][1] and answer[-1] == (b"Z", b"I")
    assert raw.query("SELECT 1")[1] == (b"D", b"\0\1\0\0\0\1" + b"1")
    raw.close()


def test_cancel_where_no_query_has_room(tmp_path):
    server = freshet.Server(tmp_path / "data", ["--queries-max", "2"])
    try:
        raws = [Raw(server) for _ in range(4)]
        for raw in raws:
            raw.send((b"Q", b"SET statement_timeout = 0\0"))
            raw.until(b"Z")
        for raw in raws:
            raw.send((b"Q", LONG.encode() + b"\0"))
        time.sleep(1)
        for raw in raws:
            cancel(server, raw.pid, raw.key)
            time.sleep(0.5)
        for raw in raws[:2]:
            assert b"57014" in raw.until(b"Z")[-2][1]
        for raw in raws[2:]:  # they may not have begun when they were cancelled
            raw.close()
    finally:
        server.stop()


def test_one_that_goes_ends_its_statement(server):
    raw = Raw(server)
    raw.send((b"Q", LONG.encode() + b"\0"))
    wait_until(lambda: running(server) == 1)
    raw.close()
    wait_until(lambda: running(server) == 0)


def test_statement_timeout(server):
    raw = Raw(server, options="-c statement_timeout=200ms")
    assert b"57014" in raw.query(LONG)[-2][1]
    raw.close()


@pytest.mark.parametrize("setting, other, before, code", [
    ("idle_session_timeout", "idle_in_transaction_session_timeout", "SELECT 1", b"57P05"),
    ("idle_in_transaction_session_timeout", "idle_session_timeout", "BEGIN", b"25P03")])
def test_idle_sessions(server, setting, other, before, code):
    """They are told so and end; the other limit does not touch them."""
    ends, stays = Raw(server), Raw(server)
    for raw, name in ((stays, other), (ends, setting)):
        raw.query(f"SET {name} = '300ms'")
        raw.query(before)
    began = time.monotonic()
    kind, body = ends.read()
    assert (kind, code in body, b"FATAL" in body) == (b"E", True, True)
    assert 0.2 < time.monotonic() - began < 10
    assert ends.read() is None
    assert stays.query("SELECT 1")[-1][0] == b"Z"
    ends.close()
    stays.close()


def test_a_copy_that_waits_ends(server):
    """After statement_timeout without data; the session goes on."""
    raw = Raw(server)
    raw.query("CREATE TABLE waiting (ts timestamptz NOT NULL, v int) WITH (time = 'ts')")
    raw.query("SET statement_timeout = '600ms'")
    raw.send((b"Q", b"COPY waiting FROM STDIN\0"))
    raw.until(b"G")
    row = b"2026-01-01 00:00:00\t1\n"
    for _ in range(5):  # as long as something comes in it goes on
        time.sleep(0.2)
        raw.send((b"d", row))
    kind, body = raw.read()
    assert (kind, b"57014" in body) == (b"E", True)
    assert raw.read() == (b"Z", b"I")
    raw.send((b"d", row), (b"c", b""))
    assert raw.query("SELECT count(*) FROM waiting")[1] == (b"D", b"\0\1\0\0\0\0010")
    raw.query("DROP TABLE waiting")
    raw.close()


def test_slow_reader_holds_no_memory(server):
    raw = Raw(server)
    raw.send((b"Q", b"SELECT repeat('x', 10000) FROM generate_series(1, 1000000) g\0"))
    wait_until(lambda: running(server) == 1)
    held = int(server.rows("SELECT memory_bytes FROM freshet.queries WHERE query LIKE '%repeat%' AND query NOT LIKE '%freshet.queries%'")[0][0])
    assert held < 64 << 20
    assert Raw(server).query("SELECT 1")[-1] == (b"Z", b"I")
    for _ in range(100):
        assert raw.read()[0] in b"TD"
    raw.close()
    wait_until(lambda: running(server) == 0)


@pytest.mark.parametrize("statement", ["SELECT g, repeat('x', 10000) FROM generate_series(1, 3000) g",
                                       "COPY (SELECT g, repeat('x', 10000) FROM generate_series(1, 3000) g) TO STDOUT"])
def test_slow_readers_hold_no_place(tmp_path, statement):
    """More of them than queries may run, without a time limit: others are answered meanwhile, and they get all their rows."""
    server = freshet.Server(tmp_path / "data", ["--queries-max", "2"])
    try:
        raws = [Raw(server) for _ in range(6)]
        for raw in raws:
            raw.query("SET statement_timeout = 0")
            raw.send((b"Q", statement.encode() + b"\0"))
        wait_until(lambda: running(server) == 6)
        other = Raw(server)
        for _ in range(20):
            assert other.query("SELECT 1")[-1] == (b"Z", b"I")
        other.close()
        cancel(server, raws[0].pid, raws[0].key)
        raws.pop().close()
        wait_until(lambda: running(server) == 5)
        for raw in raws[1:]:
            messages = raw.until(b"Z")
            rows = [body for kind, body in messages if kind in (b"D", b"d")]
            numbers = [int(body.split(b"\t")[0]) if statement.startswith("COPY") else int(body[6:6 + struct.unpack(">i", body[2:6])[0]])
                       for body in rows]
            assert numbers == list(range(1, 3001))
        messages = raws[0].until(b"Z")  # cancelled while it waited
        assert any(kind == b"E" and b"57014" in body for kind, body in messages)
        for raw in raws:
            raw.close()
    finally:
        server.stop()


def test_slow_reader_in_time(server):
    raw = Raw(server)
    raw.query("SET statement_timeout = '700ms'")
    raw.send((b"Q", b"SELECT repeat('x', 10000) FROM generate_series(1, 1000000) g\0"))
    wait_until(lambda: running(server) == 1)
    wait_until(lambda: running(server) == 0)
    assert b"57014" in raw.until(b"Z")[-2][1]
    raw.close()


def test_pipelines(server):
    raw = Raw(server)
    one = [(b"P", b"\0SELECT $1::int8 + 1\0\0\0"), (b"B", b"\0\0\0\0\0\1\0\0\0\3" b"123\0\0"), (b"E", b"\0\0\0\0\0")]
    raw.send(*(one * 1000), (b"S", b""))
    got = b"".join(kind for kind, _ in raw.until(b"Z"))
    assert got == b"12DC" * 1000 + b"Z"
    raw.send((b"P", b"\0SELECT nope\0\0\0"), *one, (b"S", b""))
    assert b"".join(kind for kind, _ in raw.until(b"Z")) == b"EZ"
    raw.close()


@pytest.mark.parametrize("bytes_", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n"])
def test_broken_start(server, bytes_):
    raw = Raw(server, login=False)
    raw.socket.sendall(bytes_)
    assert b"08P01" in raw.read()[1] and raw.read() is None
    raw.close()


@pytest.mark.parametrize("bytes_", [b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"Q\0\0\0\3", b"!\0\0\0\4"])
def test_broken_message(server, bytes_):
    raw = Raw(server)
    raw.socket.sendall(bytes_)
    assert b"08P01" in raw.read()[1] and raw.read() is None
    raw.close()


def test_a_table_made_anew_between_parse_and_execute(server):
    raw, other = Raw(server), Raw(server)
    value = [(b"B", b"\0n\0\0\0\0\1\0\0\0\1" b"7\0\0"), (b"E", b"\0\0\0\0\0"), (b"S", b"")]
    for text, answer in (("INSERT INTO anew VALUES ($1)", b"2CZ"), ("SELECT a FROM anew WHERE a = $1", b"2EZ")):
        other.query("CREATE TABLE anew (a bigint)")
        raw.send((b"C", b"Sn\0"), (b"P", b"n\0" + text.encode() + b"\0\0\0"), (b"S", b""))
        raw.until(b"Z")
        other.query("DROP TABLE anew")
        other.query("CREATE TABLE anew (a text)")
        raw.send(*value)
        assert b"".join(kind for kind, _ in raw.until(b"Z")) == answer
        other.query("DROP TABLE anew")
    raw.close()
    other.close()


def test_a_copy_bound_before_its_transaction_failed(server):
    raw = Raw(server)
    raw.query("CREATE TABLE bound (a bigint)")
    raw.query("BEGIN")
    raw.send((b"P", b"n\0COPY bound FROM STDIN\0\0\0"), (b"B", b"o\0n\0\0\0\0\0\0\0"), (b"S", b""))
    raw.until(b"Z")
    raw.query("SELECT nope")
    raw.send((b"E", b"o\0\0\0\0\0"), (b"d", b"1\n"), (b"c", b""), (b"S", b""))
    assert b"25P02" in raw.until(b"Z")[0][1]
    raw.query("ROLLBACK")
    assert raw.query("SELECT count(*) FROM bound")[1][1].endswith(b"0")
    raw.query("DROP TABLE bound")
    raw.close()


def test_answers_that_nobody_reads(server):
    """Half a megabyte of Describe asks for gigabytes: no more is made than is read."""
    raw = Raw(server)
    columns = ", ".join(f"{i} AS a_column_with_a_rather_long_name_{i}" for i in range(2000))
    raw.send((b"P", f"wide\0SELECT {columns}\0\0\0".encode()), (b"S", b""))
    assert raw.until(b"Z")[0] == (b"1", b"")
    before = resident(server)
    raw.send(*[(b"D", b"Swide\0")] * 40000, (b"S", b""))
    time.sleep(2)
    assert resident(server) - before < 200 << 20
    for _ in range(200):
        assert raw.read()[0] in b"tT"
    raw.close()
    assert Raw(server).query("SELECT 1")[-1] == (b"Z", b"I")


def resident(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_half_a_message_and_gone(server):
    for bytes_ in (b"", b"\0\0", b"\0\0\0\x50\0\3\0\0us"):
        raw = Raw(server, login=False)
        raw.socket.sendall(bytes_)
        raw.close()
    raw = Raw(server)
    raw.socket.sendall(b"Q\0\0\1\0SELECT")
    raw.close()
    assert Raw(server).query("SELECT 1")[-1] == (b"Z", b"I")


def test_thousand_connections(server):
    raws = [Raw(server) for _ in range(1000)]
    for raw in raws[::10]:
        raw.send((b"Q", b"SELECT 1\0"))
    for raw in raws[::10]:
        assert raw.until(b"Z")[-1] == (b"Z", b"I")
    for raw in raws:
        raw.close()


@pytest.mark.parametrize("arguments", [["--io", "plain"], []])
def test_limits_and_end(tmp_path, arguments):
    """Connections past the limit, silent ones, and SIGTERM; with io_uring and without."""
    server = freshet.Server(tmp_path / "data", ["--pg-connections-max", "3", "--login-timeout", "1 s", *arguments])
    try:
        raws = [Raw(server, client_encoding="'utf-8'"), Raw(server)]  # none that has ended still counts
        assert raws[0].query("SELECT 1")[-1] == (b"Z", b"I")
        silent = Raw(server, login=False)
        wait_until(lambda: b"53300" in (Raw(server, login=False).read() or (b"", b""))[1])
        assert silent.socket.recv(1) == b""
        wait_until(lambda: Raw(server, login=False).socket.recv(1) == b"", 5)
        server.process.terminate()
        assert b"57P01" in raws[0].read()[1] and raws[0].read() is None
        assert server.process.wait(30) == 0
    finally:
        server.stop()


def test_catalogue_types_are_one_value_in_both_forms(shared_server):
    cases = [("(-1)::oid", 26, 4294967295), ("'7'::oid", 26, 7), ("i::oid", 26, 4294967294), ("min(c.oid) OVER ()", 26, None),
             ("nullif(c.oid, 1)", 26, None), ("ARRAY[c.oid, '-1']", 1028, None), ("ARRAY[c.oid, 5000000000]", 1016, None),
             ("'abc'::\"char\"", 18, None), ("CASE WHEN i = 0 THEN 'x' ELSE relkind END", 18, None), ("coalesce(relkind, 'x')", 18, None), ("repeat('x', 100)::name", 19, "x" * 63)]
    with connect(shared_server) as connection:
        for expression, oid, wanted in cases:
            values = []
            for binary in (False, True):
                cursor = connection.cursor(binary=binary)
                values += cursor.execute(f"SELECT {expression} FROM pg_class c, (VALUES (-2)) v (i) LIMIT 1").fetchone()
                assert cursor.description[0].type_code == oid, expression
            values = [value.decode() if isinstance(value, bytes) else value for value in values]
            assert values[0] == values[1] and wanted in (None, values[0]), expression
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            for statement in ("SELECT 5000000000::bigint::oid", "SELECT (-1)::bigint::oid", "SELECT '5000000000'::xid"):
                with pytest.raises(psycopg.errors.NumericValueOutOfRange), connection.transaction():
                    cursor.execute(statement)
            with pytest.raises(psycopg.errors.NumericValueOutOfRange), connection.transaction():
                cursor.execute("SELECT %s::oid", (5000000000,))
        assert connection.execute("SELECT min(oid) FROM pg_type").description[0].type_code == 26
