"""Transactions that write: rows of several tables, of INSERT and of COPY, are one record at COMMIT, whatever happens to the server."""

import itertools
import random
import signal
import socket
import struct
import threading

import psycopg
import pytest

import freshet


def connect(server, **options):
    host, port = server.pg.rsplit(":", 1)
    return psycopg.connect(host=host, port=port, user="test", dbname="freshet", **{"autocommit": True, **options})


names = itertools.count()


def make(connection, *columns):
    """As many tables as column lists."""
    made = [f"t{next(names)}_{random.randrange(1 << 40)}" for _ in columns]
    for name, list_of_columns in zip(made, columns):
        connection.execute(f"CREATE TABLE {name} ({list_of_columns})")
    return made


def count(connection, table):
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def copy(connection, table, rows):
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as stream:
        for row in rows:
            stream.write(f"{row}\n")
        return cursor


def test_several_tables_are_one_record(shared_server):
    with connect(shared_server) as connection, connect(shared_server) as other:
        a, b, c = make(connection, "x bigint, y text", "ts timestamptz NOT NULL, v int", "x bigint")
        with connection.transaction():
            connection.execute(f"INSERT INTO {a} VALUES (1, 'one'), (2, 'two')")
            connection.execute(f"INSERT INTO {b} VALUES ('2026-05-01', 1)")
            connection.execute(f"INSERT INTO {a} (y, x) VALUES ('three', 3)")
            assert connection.execute(f"INSERT INTO {c} VALUES (7) RETURNING x + 1").fetchone() == (8,)
            copy(connection, b, ["2026-05-02\t2", "2026-05-03\t3"])
            copy(connection, c, range(100))
            assert [count(other, table) for table in (a, b, c)] == [0, 0, 0]
        assert [count(other, table) for table in (a, b, c)] == [3, 3, 101]
        assert other.execute(f"SELECT x, y FROM {a} ORDER BY x").fetchall() == [(1, "one"), (2, "two"), (3, "three")]
        positions = other.execute("SELECT DISTINCT last_position FROM freshet.segments WHERE table_name = ANY(%s)", ([a, b, c],)).fetchall()
        assert len(positions) == 1
        ledger = other.execute("SELECT table_name, source, sum(received), sum(stored) FROM freshet.ledger WHERE table_name = ANY(%s) "
                               "GROUP BY 1, 2 ORDER BY 1, 2", ([a, b, c],)).fetchall()
        assert ledger == sorted([(a, "sql", 3, 3), (b, "copy", 2, 2), (b, "sql", 1, 1), (c, "copy", 100, 100), (c, "sql", 1, 1)])
        # Each source's watermark is of its own rows.
        newest = dict(other.execute("SELECT source, watermark::date::text FROM freshet.sources WHERE table_name = %s", (b,)).fetchall())
        assert newest == {"sql": "2026-04-30", "copy": "2026-05-02"}


def test_copies_are_stored_in_their_order(shared_server):
    with connect(shared_server) as connection:
        (table,) = make(connection, "x bigint")
        with connection.transaction():
            for first in (1, 3, 5):
                copy(connection, table, [first, first + 1])
        assert [row[0] for row in connection.execute(f"SELECT x FROM {table}")] == [1, 2, 3, 4, 5, 6]


def test_what_ends_without_commit(shared_server):
    with connect(shared_server) as connection:
        a, b = make(connection, "x bigint NOT NULL, ts timestamptz NOT NULL DEFAULT now()", "x bigint")
        with connection.transaction(force_rollback=True):
            connection.execute(f"INSERT INTO {a} VALUES (1)")
            copy(connection, b, [1, 2])
        assert (count(connection, a), count(connection, b)) == (0, 0)
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            copy(connection, b, [1, 2])
            connection.execute("SELECT 1 / 0")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation), connection.transaction():
            connection.execute(f"INSERT INTO {a} VALUES (1)")
            connection.execute("SET LOCAL freshet.copy_errors = 'abort'")
            copy(connection, b, ["nope"])
        assert (count(connection, a), count(connection, b)) == (0, 0)
        # One table refuses at COMMIT: none gets its rows, and AND CHAIN begins no other transaction.
        for end in ("COMMIT", "COMMIT AND CHAIN"):
            connection.execute("BEGIN")
            connection.execute(f"INSERT INTO {b} VALUES (1)")
            connection.execute(f"INSERT INTO {a} VALUES (1, '2999-01-01')")
            with pytest.raises(psycopg.errors.DatetimeFieldOverflow):
                connection.execute(end)
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert (count(connection, a), count(connection, b)) == (0, 0)
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO {b} VALUES (1)")
        connection.execute("COMMIT AND CHAIN")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        connection.execute("ROLLBACK")
        assert count(connection, b) == 1


def test_a_null_is_refused_by_its_statement(shared_server):
    with connect(shared_server) as connection:
        (table,) = make(connection, "x bigint NOT NULL, y text, z bigint NOT NULL DEFAULT 7")
        for statement, column in [("VALUES (NULL)", "x"), ("VALUES (1), (2), (NULL)", "x"), ("SELECT nullif(i, 2999) FROM generate_series(1, 3000) i", "x"),
                                  ("(y) VALUES ('only')", "x"), ("(x, z) VALUES (1, NULL)", "z")]:
            with pytest.raises(psycopg.errors.NotNullViolation) as caught, connection.transaction():
                connection.execute(f"INSERT INTO {table} VALUES (5)")
                try:
                    connection.execute(f"INSERT INTO {table} {statement}")
                except psycopg.Error as error:
                    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
                    raise error
                raise AssertionError(f"{statement} was taken")
            assert f'null value in column "{column}" of relation "{table}" violates not-null constraint' in str(caught.value)
        with connection.transaction():
            assert connection.execute(f"INSERT INTO {table} (y) SELECT 'none' WHERE false").statusmessage == "INSERT 0 0"
            connection.execute(f"INSERT INTO {table} (x) VALUES (1)")
        assert connection.execute(f"SELECT x, y, z FROM {table}").fetchall() == [(1, None, 7)]


def test_tables_emptied_and_dropped_in_between(shared_server):
    with connect(shared_server) as connection:
        a, b, c = make(connection, "x bigint", "x bigint", "x bigint")
        connection.execute(f"INSERT INTO {a} VALUES (0)")
        with connection.transaction():
            connection.execute(f"INSERT INTO {a} VALUES (1)")
            copy(connection, a, [2])
            connection.execute(f"INSERT INTO {b} VALUES (1)")
            copy(connection, c, [1])
            connection.execute(f"TRUNCATE {a}")
            connection.execute(f"DROP TABLE {c}")
            assert count(connection, a) == 0  # nothing is held of it
            connection.execute(f"INSERT INTO {a} VALUES (3)")
        assert connection.execute(f"SELECT x FROM {a}").fetchall() == [(3,)]
        assert count(connection, b) == 1


def test_what_is_refused(shared_server):
    with connect(shared_server) as connection:
        a, b = make(connection, "x bigint", "x bigint")
        for statement in (f"INSERT INTO {a} VALUES (1)", f"COPY {a} FROM STDIN"):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="between SAVEPOINT"), connection.transaction():
                connection.execute("SAVEPOINT s")
                connection.execute(statement) if "INSERT" in statement else copy(connection, a, [1])
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="reading a table"), connection.transaction():
            copy(connection, a, [1])
            count(connection, b)
            count(connection, a)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="has written"), connection.transaction():
            copy(connection, a, [1])
            connection.execute("SAVEPOINT s")
        connection.execute("SET freshet.producer = 'p'")
        connection.execute("SET freshet.sequence = '1'")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="freshet.sequence"), connection.transaction():
            copy(connection, a, [1])
        assert (count(connection, a), count(connection, b)) == (0, 0)


def test_more_than_a_transaction_may_hold(shared_server):
    """Outside of a transaction it is stored part by part."""
    rows = [f"{i}\t{i:05x}" + "x" * 5000 for i in range(3000)]
    with connect(shared_server) as connection:
        a, = make(connection, "x bigint, y text")
        connection.execute("SET freshet.query_memory = '4MB'")
        with pytest.raises(psycopg.Error, match="memory") as caught, connection.transaction():
            copy(connection, a, rows)
        assert caught.value.sqlstate == "53200" and "COMMIT" in caught.value.diag.message_hint
        assert count(connection, a) == 0
        copy(connection, a, rows)
        assert count(connection, a) == 3000


def message(kind, body):
    return kind + struct.pack(">i", len(body) + 4) + body


@pytest.mark.parametrize("statement, first", [("COPY {} FROM STDIN", b"G"), ("COPY {} TO STDOUT", b"H"), ("INSERT INTO {} VALUES (1)", b"C")])
def test_a_portal_is_run_once(shared_server, statement, first):
    with connect(shared_server) as connection:
        a, = make(connection, "x bigint")
        raw = socket.create_connection(shared_server.pg.rsplit(":", 1))
        raw.settimeout(20)
        names_of = b"user\0me\0\0"
        raw.sendall(struct.pack(">ii", len(names_of) + 8, 196608) + names_of)
        text = statement.format(a).encode()
        done = b"" if first != b"G" else message(b"d", b"5\n") + message(b"c", b"")
        raw.sendall(message(b"P", b"\0" + text + b"\0\0\0") + message(b"B", b"\0" * 8) + message(b"E", b"\0" * 5) + done
                    + message(b"E", b"\0" * 5) + message(b"S", b""))
        received = b""
        while not received.count(b"Z\0\0\0\5I") == 2:
            part = raw.recv(65536)
            assert part
            received += part
        raw.close()
        behind = received.split(b"Z\0\0\0\5I")[1]
        assert behind.startswith(b"1\0\0\0\0042\0\0\0\4" + first), behind
        assert b"C55000\0" in behind and b"cannot be run" in behind
        assert count(connection, a) == (0 if first == b"H" else 1)


def test_killed_between_commits(tmp_path):
    """Every transaction is there with all its tables or not at all, and those that were answered are there."""
    server = freshet.Server(tmp_path / "data")
    with connect(server) as connection:
        connection.execute("CREATE TABLE a (n bigint, x int)")
        connection.execute("CREATE TABLE b (n bigint, x int)")
        connection.execute("CREATE TABLE c (n bigint, x int)")
    acknowledged, number = [], itertools.count()

    def write():
        try:
            with connect(server) as connection:
                while True:
                    n = next(number)
                    with connection.transaction():
                        connection.execute("INSERT INTO a SELECT %s::bigint, x FROM generate_series(1, 50) s(x)", (n,))
                        connection.execute("INSERT INTO b SELECT %s::bigint, x FROM generate_series(1, 30) s(x)", (n,))
                        copy(connection, "c", (f"{n}\t{x}" for x in range(20)))
                    acknowledged.append(n)
        except psycopg.Error:
            pass

    for _ in range(4):
        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        threading.Event().wait(random.uniform(0.2, 0.7))
        server.process.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.join()
        server.process.wait()
        server = freshet.Server(tmp_path / "data")
    with connect(server) as connection:
        found = [dict(connection.execute(f"SELECT n, count(*) FROM {table} GROUP BY n").fetchall()) for table in "abc"]
    assert acknowledged and set(acknowledged) <= set(found[0])
    assert found[0].keys() == found[1].keys() == found[2].keys()
    assert [set(each.values()) for each in found] == [{50}, {30}, {20}]
    server.stop()
