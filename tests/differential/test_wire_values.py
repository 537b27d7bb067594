"""Values on the PostgreSQL protocol beside a real PostgreSQL 15: bytes, oid, length and modifier of each, in text and in binary; and
parameters in binary, given as both take them."""

import psycopg
import pytest

from differential import pg

VALUES = [
    "true", "false", "NULL::boolean", "(-32768)::smallint", "2147483647", "(-2)::bigint", "9223372036854775807", "0.1::real", "'NaN'::real",
    "'-Infinity'::real", "0.1::float8", "1e-7::float8", "1e30::float8", "'NaN'::float8", "'-0'::float8", "12345.6789", "-0.00012", "0.00",
    "10000", "100000000.000", "'NaN'::numeric", "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001",
    "123.4::numeric(10,2)", "'Infinity'::numeric", "'-Infinity'::numeric", "''::text", "'äö'::text", "'abc'::varchar(5)", "'plain'",
    "'\\x00ff'::bytea", "'2024-01-02'::date", "'infinity'::date", "'0044-03-15 BC'::date", "'2024-01-02 03:04:05.678901'::timestamp",
    "'2024-01-02 03:04:05.678901+02'::timestamptz", "'infinity'::timestamptz", "'-infinity'::timestamp", "'1 mon 2 days 3 s'::interval",
    "'-1 year 00:00:00.5'::interval", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "'{\"a\": [1, null]}'::json",
    "'{\"a\": [1, null]}'::jsonb", "'{a,\"b c\",NULL,\"\"}'::text[]", "'{}'::text[]", "'{1,-2,NULL}'::bigint[]",
]
PARAMETERS = [
    ("bigint", 21, b"\x00\xc8"), ("bigint", 20, b"\xff" * 7 + b"\xfe"), ("text", 25, "äö".encode()), ("float8", 701, b"\x3f\xb9" + b"\x99" * 5 + b"\x9a"),
    ("numeric", 1700, bytes.fromhex("0003000100000004000109291a85")), ("numeric", 1700, bytes.fromhex("0002ffff40000005000107d0")),
    ("timestamptz", 1184, bytes.fromhex("0002b0ec85204f35")), ("date", 1082, bytes.fromhex("0000223f")), ("boolean", 16, b"\x01"),
    ("interval", 1186, bytes.fromhex("00000000002dc6c00000000200000001")), ("jsonb", 3802, b"\x01[1, 2]"), ("bytea", 17, b"\x00\xff"),
    ("text[]", 1009, bytes.fromhex("00000001000000010000001900000002000000010000000161ffffffff")),
    ("bigint[]", 1016, bytes.fromhex("00000001000000000000001400000001000000010000000800000000000000ff")),
]


@pytest.fixture(scope="module")
def both(new_module_folder):
    import freshet

    postgres, server = pg.PostgreSQL(), freshet.Server(new_module_folder("wire") / "store")
    host, port = server.pg.rsplit(":", 1)
    connections = [psycopg.connect(postgres.dsn, autocommit=True), psycopg.connect(f"host={host} port={port} user=t dbname=freshet", autocommit=True)]
    for connection in connections:
        connection.execute("SET TIME ZONE 'Europe/Berlin'")
    yield [connection.pgconn for connection in connections]
    for connection in connections:
        connection.close()
    server.stop()
    postgres.stop()


def told(connection, text, form, **parameters):
    result = connection.exec_params(text.encode(), **{"param_values": [], "result_format": form, **parameters})
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, (text, result.error_message)
    return result.get_value(0, 0), result.ftype(0), result.fsize(0), result.fmod(0), result.fformat(0)


@pytest.mark.parametrize("form", [0, 1])
def test_results(both, form):
    for value in VALUES:
        theirs, ours = (told(connection, f"SELECT {value}", form) for connection in both)
        assert ours == theirs, value


@pytest.mark.parametrize("form", [0, 1])
def test_parameters(both, form):
    for name, oid, data in PARAMETERS:
        given = {"param_values": [data], "param_types": [oid], "param_formats": [1]}
        theirs, ours = (told(connection, f"SELECT $1::{name}", form, **given) for connection in both)
        assert ours == theirs, name
