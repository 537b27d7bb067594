"""What is not there answers as the table in server/pgwire/README.md says, each line of it."""

import re

import freshet
import psycopg
import pytest

README = (freshet.ROOT / "server" / "pgwire" / "README.md").read_text()
ANSWERS = re.findall(r"^\| `(.+)` \| (\w{5}) \| (.+) \|$", README.split("<!-- answers -->")[1], re.MULTILINE)


@pytest.fixture(scope="module")
def connection(shared_server):
    host, port = shared_server.pg.rsplit(":", 1)
    with psycopg.connect(host=host, port=port, user="me", dbname="freshet", autocommit=True) as connection:
        connection.execute("CREATE TABLE r (a bigint)")
        yield connection


@pytest.mark.parametrize("statement, state, message", ANSWERS, ids=[statement for statement, _, _ in ANSWERS])
def test_what_is_not_there(statement, state, message, connection):
    with pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)
    assert (refused.value.sqlstate, refused.value.diag.message_primary) == (state, message)


def test_the_table_is_read():
    assert len(ANSWERS) > 40
