"""tests/sql/parameter_types.txt against PostgreSQL 15: types of parameters as PREPARE finds them. The unit test of
query/expr/parameter.c compares the same lines with ours."""

import pathlib

import psycopg
import pytest

from differential import pg

LINES = pathlib.Path(__file__).parents[1] / "sql" / "parameter_types.txt"


@pytest.fixture(scope="module")
def reference():
    server = pg.PostgreSQL()
    try:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE clicks (ts timestamptz NOT NULL, user_id bigint, country text, latency_ms double precision, "
                               "amount numeric(10,2), tags text[], n integer)")
            connection.execute("CREATE TABLE users (id bigint, name text, country text)")
            yield connection
    finally:
        server.stop()


def types_of(connection, name, text):
    try:
        connection.execute(f"PREPARE {name} AS {text}")
    except psycopg.Error as error:
        return "!" + error.sqlstate
    found = connection.execute("SELECT array_to_string(parameter_types::text[], ', ') FROM pg_prepared_statements WHERE name = %s", [name])
    return found.fetchone()[0]


def test_the_file_says_what_postgresql_says(reference):
    lines = [line for line in LINES.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) >= 80
    for index, line in enumerate(lines):
        want, text = line.split(" ==> ")[0].split(" | ", 1)
        assert types_of(reference, f"p{index}", text) == want, text
