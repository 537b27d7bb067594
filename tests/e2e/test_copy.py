"""COPY over the PostgreSQL protocol: in and out in its three formats, bad rows, exactly once, kills."""

import datetime
import decimal
import random
import subprocess
import threading
import time
import uuid

import psycopg
import pytest
from psycopg.types.json import Jsonb

COLUMNS = ("id bigint NOT NULL, at timestamptz, name text, price numeric(12,3), share float8, ok boolean, tag uuid, raw bytea, "
           "tags text[], numbers bigint[], attrs jsonb, day date, small smallint, word varchar(10)")
TYPES = ["int8", "timestamptz", "text", "numeric", "float8", "bool", "uuid", "bytea", "text[]", "int8[]", "jsonb", "date",
         "int2", "varchar"]


def connect(server, **options):
    host, port = server.pg.rsplit(":", 1)
    return psycopg.connect(host=host, port=port, user="test", dbname="freshet", autocommit=True, **options)


def make(server, columns=COLUMNS):
    name = f"c{time.monotonic_ns()}"
    server.sql(f"CREATE TABLE {name} ({columns})")
    return name


def some_rows(count, seed=7):
    chance = random.Random(seed)
    start = datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
    texts = ["", "plain", "tab\tand\nline\\", "ä \"quoted\", 'x'", "\\N", "\\.", "NULL", None]
    rows = []
    for i in range(count):
        rows.append((
            i, start + datetime.timedelta(microseconds=chance.randrange(10**12)), chance.choice(texts),
            None if i % 7 == 0 else decimal.Decimal(chance.randrange(-10**9, 10**9)).scaleb(-3),
            chance.choice([0.1, -1e300, 0.0, float("inf")]), chance.random() < 0.5, uuid.UUID(int=chance.getrandbits(128)),
            bytes(chance.randrange(256) for _ in range(i % 5)), [chance.choice(texts) for _ in range(i % 4)],
            [chance.randrange(-2**63, 2**63) for _ in range(i % 3)], Jsonb({"a": [1, "x\n", None]}),
            datetime.date(2026, 1, 1) + datetime.timedelta(days=i % 300), i % 1000, chance.choice(["a", "äöü", ""])))
    return rows


def shown(connection, table):
    with connection.cursor() as cursor:
        return cursor.execute(f"SELECT id, at, name, price, share, ok, tag, raw, tags, numbers, attrs, day, small, word "
                              f"FROM {table} ORDER BY id").fetchall()


def plain(rows):
    """As rows come back: the document, not its wrapper."""
    return [tuple(value.obj if isinstance(value, Jsonb) else value for value in row) for row in rows]


@pytest.mark.parametrize("form", ["text", "binary"])
def test_rows_come_back(shared_server, form):
    rows, table = some_rows(1000), make(shared_server)
    with connect(shared_server) as connection:
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT {form})") as copy:
                copy.set_types(TYPES)
                for row in rows:
                    copy.write_row(row)
            assert cursor.statusmessage == "COPY 1000"
            assert shown(connection, table) == plain(rows)
            with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT (FORMAT {form})") as copy:
                copy.set_types(TYPES)
                back = list(copy.rows())
            if form == "binary":
                assert back == plain(rows)
            assert len(back) == 1000 and cursor.rowcount == 1000


@pytest.mark.parametrize("options", ["", "(FORMAT csv)", "(FORMAT csv, HEADER match, DELIMITER ';', QUOTE '''', ESCAPE '!', NULL 'nil')",
                                     "(DELIMITER '|', NULL 'nil', HEADER)", "(FORMAT binary)"])
def test_what_goes_out_comes_in_again(shared_server, options):
    rows, first, second = some_rows(500, seed=8), make(shared_server), make(shared_server)
    with connect(shared_server) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY {first} FROM STDIN BINARY") as copy:
            copy.set_types(TYPES)
            for row in rows:
                copy.write_row(row)
        with cursor.copy(f"COPY {first} TO STDOUT {options}") as copy:
            data = b"".join(bytes(part) for part in copy)
        for size in (1 << 20, 1000, 7):
            with cursor.copy(f"COPY {second} FROM STDIN {options}") as copy:
                for at in range(0, len(data), size):
                    copy.write(data[at:at + size])
            assert shown(connection, second) == plain(rows), (options, size)
            shared_server.sql(f"TRUNCATE {second}")


def test_columns_and_defaults(shared_server):
    table = make(shared_server, "a bigint, b text DEFAULT 'none', c timestamptz DEFAULT now()")
    with connect(shared_server) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} (a) FROM STDIN") as copy:
            copy.write("1\n2\n")
        with cursor.copy(f"COPY {table} (b, a) FROM STDIN CSV") as copy:
            copy.write("x,3\n,4\n\\.\n")
        assert cursor.execute(f"SELECT a, b, c IS NULL FROM {table} ORDER BY a").fetchall() == [
            (1, "none", False), (2, "none", False), (3, "x", False), (4, None, False)]
        with cursor.copy(f"COPY {table} (b, a) TO STDOUT (FORMAT csv, HEADER)") as copy:
            assert sorted(bytes(part) for part in copy) == sorted([b"b,a\n", b"none,1\n", b"none,2\n", b"x,3\n", b",4\n"])
        for statement, state in [(f"COPY {table} (nope) FROM STDIN", "42703"), ("COPY nope FROM STDIN", "42P01"),
                                 (f"COPY {table} FROM STDIN (FORMAT xml)", "22023")]:
            with pytest.raises(psycopg.Error) as caught:
                with cursor.copy(statement) as copy:
                    copy.write("1\n")
            assert caught.value.sqlstate == state
        assert cursor.execute("SELECT 1").fetchone() == (1,)


def test_bad_rows(shared_server):
    table = make(shared_server, "a bigint, b text")
    notices = []
    with connect(shared_server) as connection, connection.cursor() as cursor:
        connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.sqlstate, notice.message_primary)))
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            copy.write("1\tx\nnonsense\n2\ty\n")
        assert cursor.statusmessage == "COPY 2"
        assert notices == [("WARNING", "01000", "1 row was not stored but kept in freshet.dead_letters; "
                            "row 2: missing data for the last columns")]
        assert cursor.execute("SELECT source, row, sqlstate, raw FROM freshet.dead_letters WHERE table_name = %s",
                              (table,)).fetchall() == [("copy", 2, "22P04", b"nonsense")]
        assert cursor.execute("SELECT source, sum(received)::int, sum(stored)::int, sum(dead)::int FROM freshet.ledger "
                              "WHERE table_name = %s GROUP BY 1", (table,)).fetchall() == [("copy", 3, 2, 1)]
        cursor.execute("SET freshet.copy_errors = 'abort'")
        with pytest.raises(psycopg.Error) as caught:
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("3\tx\nz\ty\n")
        assert caught.value.sqlstate == "22P02" and "row 2: a:" in str(caught.value)
        with pytest.raises(RuntimeError):
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("5\tx\n")
                raise RuntimeError("the program changed its mind")
        assert cursor.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,)


def test_in_a_transaction(shared_server):
    table = make(shared_server, "a bigint")
    notices = []
    with connect(shared_server) as connection, connection.cursor() as cursor:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        with connection.transaction(force_rollback=True):
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("1\n")
        assert notices == []
        assert cursor.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        for ends_in_rollback, dead in [(True, 0), (False, 1)]:
            with connection.transaction(force_rollback=ends_in_rollback):
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write("z\n")
            assert notices.pop().startswith("1 row is not stored but will be kept in freshet.dead_letters at COMMIT; row 1: a:")
            assert cursor.execute("SELECT count(*) FROM freshet.dead_letters WHERE table_name = %s", (table,)).fetchone() == (dead,)
        with connection.transaction():
            cursor.execute("SET TRANSACTION READ ONLY")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                with connection.transaction(), cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write("1\n")


def copy_sequence(cursor, table, sequence, rows):
    cursor.execute(f"SET freshet.producer = 'loader'; SET freshet.sequence = '{sequence}'")
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write(f"{row}\n")
    return cursor.statusmessage


def test_exactly_once(shared_server):
    table = make(shared_server, "a bigint")
    with connect(shared_server) as connection, connection.cursor() as cursor:
        assert copy_sequence(cursor, table, 1, [1, 2]) == "COPY 2"
        assert copy_sequence(cursor, table, 1, [1, 2]) == "COPY 2"
        assert copy_sequence(cursor, table, 2, [3]) == "COPY 1"
        assert copy_sequence(cursor, table, 1, [1, 2]) == "COPY 0"
        for sequence, rows, state in [(4, [4], "55000"), (2, [9], "22023")]:
            with pytest.raises(psycopg.Error) as caught:
                copy_sequence(cursor, table, sequence, rows)
            assert caught.value.sqlstate == state
        assert cursor.execute(f"SELECT a FROM {table} ORDER BY a").fetchall() == [(1,), (2,), (3,)]


def test_killed_in_the_middle(freshet_factory):
    """SIGKILL at any moment of COPYs with sequences; retried after the restart each row is there once."""
    server = freshet_factory()
    server.sql("CREATE TABLE killed (a bigint)")
    rows_each, sequence, chance = 2000, 1, random.Random(11)
    for round_ in range(4):
        done = []

        def load():
            at = sequence
            try:
                with connect(server) as connection, connection.cursor() as cursor:
                    while True:
                        copy_sequence(cursor, "killed", at, range(at * rows_each, (at + 1) * rows_each))
                        done.append(at)
                        at += 1
            except psycopg.Error:
                pass

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(0.1 + chance.random() * 0.3)
        server.kill()
        thread.join()
        server = freshet_factory(server.data)
        sequence = done[-1] + 1 if done else sequence
        with connect(server) as connection, connection.cursor() as cursor:
            assert copy_sequence(cursor, "killed", sequence, range(sequence * rows_each, (sequence + 1) * rows_each)) == "COPY 2000"
            sequence += 1
            assert cursor.execute("SELECT count(*), count(DISTINCT a), min(a), max(a) FROM killed").fetchone() == (
                (sequence - 1) * rows_each, (sequence - 1) * rows_each, rows_each, sequence * rows_each - 1)


def test_longer_than_a_record(freshet_factory):
    server = freshet_factory(arguments=["--body-max", "1 MiB"])
    server.sql("CREATE TABLE long (a bigint, b text)")
    with connect(server) as connection, connection.cursor() as cursor:
        line = "x" * 90
        with cursor.copy("COPY long FROM STDIN") as copy:
            for i in range(40000):
                copy.write(f"{i}\t{line}\n")
        assert cursor.statusmessage == "COPY 40000"
        assert cursor.execute("SELECT count(*), count(DISTINCT a) FROM long").fetchone() == (40000, 40000)
        with pytest.raises(psycopg.Error) as caught:
            with cursor.copy("COPY long FROM STDIN (FORMAT csv)") as copy:
                for i in range(20000):
                    copy.write(f"{i},{line}\n")
                copy.write('1,"no end\n')
        assert caught.value.sqlstate == "22P04" and "rows of this COPY are stored" in caught.value.diag.message_hint
        stored = int(caught.value.diag.message_hint.split()[2])
        assert 0 < stored < 20000
        assert cursor.execute("SELECT count(*) FROM long").fetchone() == (40000 + stored,)
        cursor.execute("SET freshet.producer = 'p'; SET freshet.sequence = '1'")
        with pytest.raises(psycopg.Error) as caught:
            with cursor.copy("COPY long FROM STDIN") as copy:
                for i in range(20000):
                    copy.write(f"{i}\t{line}\n")
        assert caught.value.sqlstate == "54000"
        assert cursor.execute("SELECT count(*) FROM long").fetchone() == (40000 + stored,)


def test_cancelled(shared_server):
    """A cancel request ends a COPY that is still being sent; nothing of it is stored."""
    table = make(shared_server, "a bigint")
    with connect(shared_server) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("1\n" * 100000)
                connection.cancel()
                time.sleep(0.3)
                copy.write("2\n" * 100000)
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def psql(server, *commands, stdin=None):
    host, port = server.pg.rsplit(":", 1)
    arguments = [word for command in commands for word in ("-c", command)]
    return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port, "-U", "test", "-d", "freshet", "-At", *arguments],
                          input=stdin, capture_output=True, text=True, timeout=300)


def test_psql(shared_server, tmp_path):
    table = make(shared_server, "a bigint, b text")
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("a,b\n1,x\n2,\"y, z\"\n3,\n")
    result = psql(shared_server, f"\\copy {table} from '{source}' csv header", f"\\copy {table} to '{target}' csv header",
                  f"COPY (SELECT count(*) FROM {table}) TO STDOUT")
    assert result.returncode == 0 and result.stdout == "3\n", result.stderr
    assert sorted(target.read_text().splitlines()) == sorted(source.read_text().splitlines())
    result = psql(shared_server, f"COPY {table} FROM STDIN (FORMAT csv)", f"SELECT count(*) FROM {table}", stdin="4,q\n\\.\n")
    assert result.returncode == 0 and result.stdout == "4\n", result.stderr


def test_returning(shared_server):
    table = make(shared_server, "a bigint NOT NULL, b text DEFAULT 'none', c float8 DEFAULT random()")
    with connect(shared_server) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (a) VALUES (%s), (%s) RETURNING a, b, c", (1, 2))
        assert cursor.statusmessage == "INSERT 0 2"
        given = cursor.fetchall()
        assert given == cursor.execute(f"SELECT a, b, c FROM {table} ORDER BY a").fetchall()
        cursor.executemany(f"INSERT INTO {table} (a, b) VALUES (%s, %s) RETURNING a + 1", [(i, None) for i in range(10, 20)],
                           returning=True)
        for i in range(10, 20):
            assert cursor.fetchone() == (i + 1,)
            cursor.nextset()
        with connection.transaction():
            assert cursor.execute(f"INSERT INTO {table} (a) VALUES (30) RETURNING a").fetchall() == [(30,)]
        with pytest.raises(psycopg.errors.DivisionByZero):
            cursor.execute(f"INSERT INTO {table} (a) VALUES (40) RETURNING 1 / (a - 40)")
        assert cursor.execute(f"SELECT count(*) FROM {table}").fetchone() == (13,)
