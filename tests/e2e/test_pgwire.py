"""The PostgreSQL port as its clients use it: psql, psycopg, raw bytes."""

import os
import subprocess

import psycopg
import pytest


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
