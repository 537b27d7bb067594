"""The interface of ingest, promise by promise: names, values, options, CSV, limits at their edge, exact answers."""

import datetime
import gzip
import json
import socket
import threading
import time

import freshet
import pytest
import zstandard


def make(server, columns, options=""):
    name = f"p{time.monotonic_ns()}"
    server.sql(f"CREATE TABLE {name} ({columns}) {options}")
    return name


def post(server, table, rows, **headers):
    body = rows if isinstance(rows, (str, bytes)) else "".join(json.dumps(row) + "\n" for row in rows)
    status, answer = server.ingest(table, body, **headers)
    assert status == 200, answer
    return answer


def test_the_answer_has_these_members_and_no_others(shared_server):
    table = make(shared_server, "a bigint NOT NULL")
    answer = post(shared_server, table, [{"a": 1, "x": 1}, {"a": None}, {"b": 2}, {"a": 3, "x": {"y": 1}}])
    assert set(answer) == {"position", "rows", "duplicates", "rejected_rows", "rejected", "unknown"}
    assert (answer["rows"], answer["duplicates"], answer["rejected_rows"]) == (2, 0, 2)
    assert answer["unknown"] == {"x": 2, "b": 1}
    assert [set(entry) for entry in answer["rejected"]] == [{"row", "column", "error", "sqlstate"}] * 2
    assert [(entry["row"], entry["column"], entry["sqlstate"]) for entry in answer["rejected"]] == [
        (2, "a", "23502"), (3, "a", "23502")]


def test_lists_in_the_answer_end(shared_server):
    table = make(shared_server, "a bigint")
    answer = post(shared_server, table, [{"a": "x", f"u{i}": 1} for i in range(150)])
    assert answer["rejected_rows"] == 150 and len(answer["rejected"]) == 100 and len(answer["unknown"]) == 16
    assert shared_server.rows(f"SELECT count(*) FROM freshet.dead_letters WHERE table_name = '{table}'") == [[150]]
    assert shared_server.rows(f"SELECT count(*) FROM freshet.drift WHERE table_name = '{table}' "
                              "AND path LIKE 'u%'") == [[150]]


@pytest.mark.parametrize("columns, options, row, want", [
    ('"user.id" bigint', "", {"user.id": 1, "user": {"id": 2}}, [1]),
    ('"user.id" bigint', "", {"user": {"id": 2}}, [2]),
    ("userid bigint", "", {"UserID": 3}, [3]),
    ("userid bigint", "", {"UserID": 3, "userid": 4}, [4]),
    ("userid bigint", "", {"userid": 4, "UserID": 3}, [4]),
    ('userid bigint, "UserId" bigint', "", {"USERID": 3}, [None, None]),
    ("gw_id bigint", """WITH (map = '{"gw_id": "/gateway/id"}')""", {"gateway": {"id": 5}}, [5]),
    ("gw_id bigint", """WITH (map = '{"gw_id": "/gateway/id"}')""", {"gw_id": 6, "gateway": {"id": 5}}, [6]),
    ("a bigint", """WITH (map = '{"a": "/x~1y/z~0"}')""", {"x/y": {"z~": 7}}, [7]),
    ("a bigint", "", {"a": 1, "b": 2}, [1]),
    ("a bigint DEFAULT 9, b bigint", "", {}, [9, None]),
    ("a bigint DEFAULT 9", "", {"a": None}, [None]),
])
def test_names(shared_server, columns, options, row, want):
    table = make(shared_server, columns, options)
    answer = post(shared_server, table, [row])
    assert answer["rows"] == 1 and shared_server.rows(f"SELECT * FROM {table}") == [want], answer


def test_last_of_duplicate_keys_wins_and_takes_errors_back(shared_server):
    table = make(shared_server, "a bigint")
    assert post(shared_server, table, '{"a":1,"a":2}\n{"a":"x","a":3}\n{"a":4,"a":"x"}\n')["rejected_rows"] == 1
    assert shared_server.rows(f"SELECT a FROM {table} ORDER BY 1") == [[2], [3]]


def test_rest_whole_and_unknown(shared_server):
    rest = make(shared_server, "a bigint, more jsonb, event jsonb", "WITH (rest = 'more', whole = 'event')")
    post(shared_server, rest, '{"a":1,"b":[1, 2],"c":{"d":null}}\n{"a":2}\n')
    assert shared_server.rows(f"SELECT a, more, event FROM {rest} ORDER BY 1") == [
        [1, {"b": [1, 2], "c": {"d": None}}, {"a": 1, "b": [1, 2], "c": {"d": None}}], [2, None, {"a": 2}]]
    strict = make(shared_server, "a bigint", "WITH (unknown = 'reject')")
    answer = post(shared_server, strict, [{"a": 1}, {"a": 2, "b": 3}])
    assert answer["rows"] == 1 and answer["rejected"][0]["row"] == 2 and answer["rejected"][0]["sqlstate"] == "42703"


@pytest.mark.parametrize("kind, value, want", [
    ("bigint", "1.0", 1), ("bigint", "1e3", 1000), ("bigint", "1.5", "22P02"), ("bigint", '"12"', 12), ("bigint", '" 12 "', 12),
    ("bigint", "9223372036854775807", 9223372036854775807), ("bigint", "9223372036854775808", "22003"),
    ("bigint", "-9223372036854775808", -9223372036854775808), ("bigint", "-9223372036854775809", "22003"),
    ("bigint", "1000000000000000000000e-3", 1000000000000000000), ("bigint", "true", "22P02"),
    ("smallint", "32767", 32767), ("smallint", "32768", "22003"), ("integer", "-2147483648", -2147483648),
    ("integer", "2147483648", "22003"), ("bigint", "01", "22P02"), ("bigint", "1.", "22P02"), ("bigint", "+1", "22P02"),
    ("double precision", "1e308", 1e308), ("double precision", "1e309", "22003"), ("double precision", '"NaN"', "NaN"),
    ("double precision", '"-Infinity"', "-Infinity"), ("real", "1e39", "22003"), ("double precision", "NaN", "22P02"),
    ("numeric(5,2)", "123.456", 123.46), ("numeric(5,2)", "1000", "22003"), ("numeric(5,2)", '"1.005"', 1.01),
    ("boolean", '"t"', True), ("boolean", '"off"', False), ("boolean", '"maybe"', "22P02"), ("boolean", "false", False),
    ("uuid", '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), ("uuid", '"x"', "22P02"),
    ("uuid", '"{a0eebc999c0b4ef8bb6d6bb9bd380a11}"', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("date", '"2026-05-01"', "2026-05-01"), ("date", '"2026-02-30"', "22008"), ("date", '"May 1 2026"', "2026-05-01"),
    ("text", "1.50", "1.50"), ("text", "true", "true"), ("text", '{"a": 1}', '{"a": 1}'), ("text", "[1,  2]", "[1,  2]"),
    ("text", '"\\u00e9\\n"', "é\n"), ("text", '"\\ud83d\\ude00"', "\U0001f600"), ("text", '"\\u0000"', "22P05"),
    ("varchar(3)", '"abc"', "abc"), ("varchar(3)", '"abcd"', "22001"), ("varchar(3)", '"äöü"', "äöü"),
    ("jsonb", '{"a": [1, null]}', {"a": [1, None]}), ("jsonb", '"x"', "x"), ("jsonb", "1.5", 1.5), ("jsonb", "null", None),
    ("text[]", '["a", null, "b,c"]', ["a", None, "b,c"]), ("bigint[]", "[1, 2.0, \"3\"]", [1, 2, 3]),
    ("bigint[]", '["x"]', "22P02"), ("bigint[]", "[]", []), ("bigint[]", '"{1,2}"', [1, 2]),
    ("bytea", '"\\\\x00ff"', "\\x00ff"), ("bytea", '"\\\\xzz"', "22023"),
])
def test_values(shared_server, kind, value, want):
    table = make(shared_server, f"v {kind}, n bigint")
    answer = post(shared_server, table, f'{{"n":1,"v":{value}}}\n')
    is_error = isinstance(want, str) and len(want) == 5 and want[:2] in ("22", "23", "54")
    if is_error:
        assert answer["rejected_rows"] == 1 and answer["rejected"][0]["sqlstate"] == want, answer
    else:
        assert answer["rejected_rows"] == 0, answer
        assert shared_server.rows(f"SELECT v FROM {table}") == [[want]]


@pytest.mark.parametrize("value, want", [
    ("1780000000", "2026-05-28T20:26:40+00:00"), ('"1780000000"', "2026-05-28T20:26:40+00:00"),
    ("1780000000.25", "2026-05-28T20:26:40.25+00:00"), ("1780000000123", "2026-05-28T20:26:40.123+00:00"),
    ("1780000000123456", "2026-05-28T20:26:40.123456+00:00"), ("1780000000123456789", "2026-05-28T20:26:40.123456+00:00"),
    ("4999999999", "22008"), ("5000000000", "1970-02-27T20:53:20+00:00"), ("4999999999999", "22008"),
    ("5000000000000", "1970-02-27T20:53:20+00:00"), ("5000000000000000", "1970-02-27T20:53:20+00:00"),
    ("-1", "1969-12-31T23:59:59+00:00"), ("0", "1970-01-01T00:00:00+00:00"), ('"2026-05-01T10:00:00"', "2026-05-01T10:00:00+00:00"),
    ('"2026-05-01 10:00:00+02"', "2026-05-01T08:00:00+00:00"), ('"2026-05-01T10:00:00.1234567Z"', "2026-05-01T10:00:00.123457+00:00"),
    ('"2026-13-01"', "22008"), ('"yesterday-ish"', "22007"), ("1e400", "22003"), ("{}", "22007"), ("true", "22007"),
])
def test_times(shared_server, value, want):
    table = make(shared_server, "ts timestamptz NOT NULL")
    answer = post(shared_server, table, f'{{"ts":{value}}}\n')
    if len(want) == 5:
        assert answer["rejected_rows"] == 1 and answer["rejected"][0]["sqlstate"] == want, answer
    else:
        assert shared_server.rows(f"SELECT ts FROM {table}") == [[want]], answer


@pytest.mark.parametrize("body, want", [
    ("a,b\n1,x\n", [[1, "x"]]), ("a,b\r\n1,x\r\n", [[1, "x"]]), ("a,b\n1,x", [[1, "x"]]), ("\ufeffa,b\n1,x\n", [[1, "x"]]),
    ("b,a\n\"x,\"\"y\n\",1\n", [[1, 'x,"y\n']]), ("A,B\n1,\n", [[1, None]]), ('a,b\n1,""\n', [[1, ""]]), (" a , b \n1, x\n", [[1, " x"]]),
    ("a,b\n\n1,x\n\n", [[1, "x"]]), ("a,b,c\n1,x,9\n", [[1, "x"]]), ('"a","b"\n1,x\n', [[1, "x"]]), ("a,b\n", []), ("a\n1\n", [[1, None]]),
])
def test_csv(shared_server, body, want):
    table = make(shared_server, "a bigint, b text")
    answer = post(shared_server, table, body.encode(), content_type="text/csv")
    assert answer["rows"] == len(want) and answer["rejected_rows"] == 0, answer
    assert shared_server.rows(f"SELECT a, b FROM {table}") == want


def test_csv_rows_that_do_not_fit(shared_server):
    table = make(shared_server, "a bigint, b text")
    answer = post(shared_server, table, b"a,b\n1\n1,2,3\nx,y\n2,\xff\n5,z\n", content_type="text/csv; charset=utf-8")
    assert answer["rows"] == 1 and [(r["row"], r["sqlstate"]) for r in answer["rejected"]] == [
        (1, "22P04"), (2, "22P04"), (3, "22P02"), (4, "22021")], answer
    for body in (b'a,b\n1,"x\n', b'a,b\n1,"x"y\n', b"c,d\n1,2\n"):
        assert shared_server.ingest(table, body, content_type="text/csv")[0] == 400
    raw = shared_server.rows(f"SELECT raw FROM freshet.dead_letters WHERE table_name = '{table}' ORDER BY id")
    assert [bytes.fromhex(value[2:]) for value, in raw] == [b"1", b"1,2,3", b"x,y", b"2,\xff"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("body, rows", [
    ('{"a":1}\n{"a":2}\n', 2), ('[{"a":1},{"a":2}]', 2), ('{"a":1}{"a":2}', 2), ('{\n "a": 1\n}\n', 1), ("a,b\n1,x\n2,y\n", 2),
    ("\n\n  \n", 0), ("", 0), ('\ufeff{"a":1}\n', 1), ("{\"a\":1\n{\"a\":2}\n", 1),
])
def test_sniffing(shared_server, content_type, body, rows):
    table = make(shared_server, "a bigint, b text")
    headers = {"Content-Type": content_type} if content_type else {}
    status, _, text = shared_server.request("POST", f"/v1/ingest/{table}", body.encode(), headers)
    assert status == 200 and json.loads(text)["rows"] == rows, text


def test_format_parameter_beats_the_type(shared_server):
    table = make(shared_server, "a bigint")
    for query, body in (("?format=csv", "a\n1\n"), ("?format=json", '[{"a":1}]'), ("?format=ndjson", '{"a":1}\n')):
        status, answer = shared_server.ingest(table, body, query, content_type="text/csv")
        assert status == 200 and answer["rows"] == 1, answer


def padded(size):
    """One row of exactly so many bytes, its strings within their limit of 1 MiB."""
    text = '{"a":1'
    for i in range(5):
        part = min(1 << 20, size - len(text) - 9)
        if part >= 0:
            text += f',"s{i}":"' + "x" * part + '"'
        if len(text) + 1 == size:
            break
    return text + "}"


def test_string_limit_at_its_edge(shared_server):
    table = make(shared_server, "s text")
    limit = 1 << 20
    for size, sqlstate in ((limit, None), (limit + 1, "54000")):
        for body, kind in ((json.dumps({"s": "x" * size}), "application/x-ndjson"), ("s\n" + "x" * size, "text/csv")):
            answer = post(shared_server, table, body, content_type=kind)
            assert (answer["rejected"][0]["sqlstate"] if answer["rejected"] else None) == sqlstate, (size, kind)


def test_row_limit_at_its_edge(shared_server):
    table = make(shared_server, "a bigint, s0 text, s1 text, s2 text, s3 text, s4 text")
    limit = 4 << 20
    assert len(padded(limit)) == limit
    assert post(shared_server, table, padded(limit) + "\n")["rows"] == 1
    answer = post(shared_server, table, padded(limit + 1) + "\n" + '{"a":2}\n')
    assert answer["rows"] == 1 and answer["rejected"][0]["sqlstate"] == "54000", answer
    assert shared_server.rows(f"SELECT length(raw) FROM freshet.dead_letters WHERE table_name = '{table}'") == [[limit]]
    assert shared_server.rows(f"SELECT max(length(s3)), max(length(s4)) FROM {table}") == [[(1 << 20) - 39, None]]


def test_rows_limit_at_its_edge(shared_server):
    table = make(shared_server, "a bigint")
    assert post(shared_server, table, '{"a":1}\n' * 1_000_000)["rows"] == 1_000_000
    status, answer = shared_server.ingest(table, '{"a":1}\n' * 1_000_001)
    assert status == 413 and answer["sqlstate"] == "54000" and "freshet load" in answer["detail"], answer
    assert shared_server.rows(f"SELECT count(*) FROM {table}") == [[1_000_000]]


def test_body_limit_at_its_edge(freshet_factory):
    server = freshet_factory(arguments=["--body-max", "1 MiB"])
    server.sql("CREATE TABLE t (a bigint, s0 text, s1 text)")
    limit = 1 << 20
    for body, encoding, status in [
        (padded(limit).encode(), "identity", 200), (padded(limit + 1).encode(), "identity", 413),
        (gzip.compress(padded(limit).encode()), "gzip", 200), (gzip.compress(padded(limit + 1).encode()), "gzip", 413),
        (zstandard.compress(padded(limit).encode()), "zstd", 200), (zstandard.compress(padded(limit + 1).encode()), "zstd", 413),
    ]:
        got, answer = server.ingest("t", body, content_encoding=encoding)
        assert got == status, (encoding, len(body), answer)
        if status == 413:
            assert "freshet load" in json.dumps(answer)
    assert server.rows("SELECT count(*) FROM t") == [[3]]


def test_json_limits_at_their_edge(shared_server):
    table = make(shared_server, "a bigint, d double precision, j jsonb")
    keys = lambda count: "{" + ",".join(f'"k{i}":1' for i in range(count)) + "}"
    for row, sqlstate in [
        ('{"j":' + "[" * 63 + "]" * 63 + "}", None), ('{"j":' + "[" * 64 + "]" * 64 + "}", "54001"),
        (keys(4096), None), (keys(4097), "54000"), ('{"j":' + keys(4096) + "}", None), ('{"j":' + keys(4097) + "}", "54000"),
        ('{"d":0.' + "1" * 398 + "}", None), ('{"d":0.' + "1" * 399 + "}", "22003"),
    ]:
        answer = post(shared_server, table, row + "\n")
        if sqlstate:
            assert answer["rejected_rows"] == 1 and answer["rejected"][0]["sqlstate"] == sqlstate, (row[:50], answer)
        else:
            assert answer["rows"] == 1, (row[:50], answer)


def test_columns_limit_at_its_edge(shared_server):
    columns = lambda count: ", ".join(f"c{i} int" for i in range(count))
    table = make(shared_server, columns(1024))
    assert post(shared_server, table, [{f"c{i}": i for i in range(1024)}])["rows"] == 1
    assert shared_server.rows(f"SELECT c0, c1023 FROM {table}") == [[0, 1023]]
    status, answer = shared_server.query(f"CREATE TABLE too_wide ({columns(1025)})")
    assert status == 422 and answer["sqlstate"] == "54011", answer
    assert shared_server.query(f"ALTER TABLE {table} ADD COLUMN one_more int")[1]["sqlstate"] == "54011"


def test_names_of_deliveries_at_their_edge(shared_server):
    table = make(shared_server, "a bigint")
    assert shared_server.ingest(table, '{"a":1}\n', idempotency_key="k" * 128)[0] == 200
    assert shared_server.ingest(table, '{"a":1}\n', idempotency_key='"' + "q" * 128 + '"')[0] == 200
    assert shared_server.ingest(table, '{"a":1}\n', idempotency_key="k" * 129)[0] == 400
    assert shared_server.ingest(table, '{"a":1}\n', freshet_producer="p" * 128, freshet_sequence="0")[0] == 200
    assert shared_server.ingest(table, '{"a":1}\n', freshet_producer="p" * 129, freshet_sequence="0")[0] == 400
    top = str((1 << 63) - 1)
    assert shared_server.ingest(table, '{"a":1}\n', freshet_producer="top", freshet_sequence=top)[0] == 200
    assert shared_server.ingest(table, '{"a":1}\n', freshet_producer="top", freshet_sequence=str(1 << 63))[0] == 400
    assert shared_server.rows(f"SELECT producer, last_sequence FROM freshet.producers WHERE table_name = '{table}' "
                              "ORDER BY last_sequence") == [["p" * 128, 0], ["top", int(top)]]


def test_state_is_by_table(shared_server):
    one, two = make(shared_server, "a bigint"), make(shared_server, "a bigint")
    for table in (one, two):
        assert post(shared_server, table, [{"a": 1}], idempotency_key="same")["rows"] == 1
        assert post(shared_server, table, [{"a": 2}], freshet_producer="same", freshet_sequence="5")["rows"] == 1


def test_a_gap_names_what_was_expected(shared_server):
    table = make(shared_server, "a bigint")
    post(shared_server, table, [{"a": 1}], freshet_producer="p", freshet_sequence="41")
    status, headers, text = shared_server.request("POST", f"/v1/ingest/{table}", '{"a":2}\n', {
        "Freshet-Producer": "p", "Freshet-Sequence": "43"})
    problem = json.loads(text)
    assert status == 409 and headers["content-type"] == "application/problem+json"
    assert problem["expected"] == 42 and problem["sqlstate"] == "55000" and problem["title"] and problem["type"], problem


def test_a_key_in_progress_is_409(shared_server):
    """Many requests with one key at once: one stores, the others are its repetitions or 409, and none stores twice."""
    table = make(shared_server, "a bigint")
    body = '{"a":1}\n' * 100_000
    for attempt in range(20):
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(
            shared_server.ingest(table, body, idempotency_key=f"k{attempt}")[0])) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {200, 409} and 200 in statuses, statuses
        assert shared_server.rows(f"SELECT count(*) FROM {table}") == [[100_000 * (attempt + 1)]]
        if 409 in statuses:
            return
    pytest.fail("no request met another in progress")


def test_key_expiry_is_a_day_from_now(shared_server):
    table = make(shared_server, "a bigint")
    _, headers, _ = shared_server.request("POST", f"/v1/ingest/{table}", '{"a":1}\n', {"Idempotency-Key": "k"})
    expires = datetime.datetime.strptime(headers["idempotency-expires"], "%a, %d %b %Y %H:%M:%S GMT")
    ahead = expires - datetime.datetime.utcnow()
    assert datetime.timedelta(hours=23, minutes=58) < ahead < datetime.timedelta(hours=24, minutes=1)
    _, again, _ = shared_server.request("POST", f"/v1/ingest/{table}", '{"a":1}\n', {"Idempotency-Key": "k"})
    assert again["idempotency-expires"] == headers["idempotency-expires"]


def test_ledger_balances(shared_server):
    table = make(shared_server, "a bigint")
    for _ in range(2):
        post(shared_server, table, [{"a": 1}, {"a": "x"}, {"a": 3}], freshet_producer="p", freshet_sequence="1")
    post(shared_server, table, [{"a": 4}])
    assert shared_server.rows(
        "SELECT source, sum(received), sum(stored), sum(duplicate), sum(dead), sum(filtered) + sum(sampled_out) + "
        f"sum(late_diverted) + sum(late_dropped) FROM freshet.ledger WHERE table_name = '{table}' GROUP BY 1 ORDER BY 1") == [
        ["http", 1, 1, 0, 0, 0], ["p", 6, 2, 3, 1, 0]]


def test_create_true_and_what_it_makes(shared_server):
    name = f"made{time.monotonic_ns()}"
    body = '{"ts":"2026-05-01T10:00:00Z","n":1,"f":1.5,"ok":true,"s":"x","o":{"p":1},"l":["a"]}\n' * 2
    status, answer = shared_server.ingest(name, body, "?create=true")
    assert status == 200 and answer["rows"] == 2, answer
    types = dict(shared_server.rows(f"SELECT column_name, type FROM freshet.columns WHERE table_name = '{name}'"))
    assert types["ts"] == "timestamp with time zone" and types["n"] == "bigint" and types["ok"] == "boolean", types
    assert shared_server.rows(f"SELECT time_column FROM freshet.tables WHERE table_name = '{name}'") == [["ts"]]
    assert shared_server.ingest(name + "x", body, "?create=false")[0] == 404
    assert shared_server.ingest(name + "y", "\n", "?create=true")[0] == 400


@pytest.mark.parametrize("options, sqlstate", [
    ("late = 'divert'", "0A000"), ("late = 'drop'", "0A000"), ("late = 'amend'", None), ("schema_on_write = 'on'", "0A000"),
    ("schema_on_write = 'off'", None), ("raw = 'off'", None), ("raw = '1 d'", None), ("version = 'a'", None), ("order_by = 'a'", None),
    ("retention = '30 d'", None), ("lateness = '1 min', future = '1 h'", None), ("lateness = 'soon'", "22023"),
    ("time = 'nothing'", "42703"), ("colour = 'red'", "22023"), ("map = 'x'", "22023"), ("map = '{\"zz\": \"/a\"}'", "42703"),
    ("rest = 'a'", "22023"), ("unknown = 'maybe'", "22023"), ("lateness = '1 s', lateness = '2 s'", "22023"),
])
def test_options(shared_server, options, sqlstate):
    name = f"o{time.monotonic_ns()}"
    status, answer = shared_server.query(f"CREATE TABLE {name} (ts timestamptz NOT NULL, a bigint) WITH ({options})")
    if sqlstate:
        assert status >= 400 and answer["sqlstate"] == sqlstate, answer
    else:
        assert status == 200, answer


def test_future_rows_are_dead_letters(shared_server):
    table = make(shared_server, "ts timestamptz NOT NULL", "WITH (future = '1 h')")
    now = time.time()
    answer = post(shared_server, table, [{"ts": now}, {"ts": now + 3500}, {"ts": now + 3700}])
    assert answer["rows"] == 2 and answer["rejected"][0]["sqlstate"] == "22008" and answer["rejected"][0]["column"] == "ts"


def exchange(server, data, timeout=60):
    host, port = server.http.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(data)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            pass
        return received


def test_expect_chunks_and_pipelining(shared_server):
    table = make(shared_server, "a bigint")
    head = f"POST /v1/ingest/{table} HTTP/1.1\r\nHost: localhost\r\n".encode()
    host, port = shared_server.http.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: 8\r\nConnection: close\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b'{"a":1}\n')
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    chunked = head + b"Transfer-Encoding: chunked\r\n%s\r\n3;x=y\r\n{\"a\r\n5\r\n\":2}\n\r\n0\r\nTrailer: x\r\n\r\n"
    reply = exchange(shared_server, (chunked % b"") * 3 + chunked % b"Connection: close\r\n")
    assert reply.count(b"HTTP/1.1 200 OK") == 4, reply
    assert shared_server.rows(f"SELECT count(*), sum(a) FROM {table}") == [[5, 9]]


def test_small_memory_serves(freshet_factory):
    """Dead letters, which live in memory too, stay within their share of a small one; the oldest go and are counted."""
    server = freshet_factory(arguments=["--memory", "32 MiB"])
    server.sql("CREATE TABLE t (a bigint)")
    row = '{"a":"' + "x" * (1 << 20) + '"}\n'
    for _ in range(40):
        assert post(server, "t", row)["rejected_rows"] == 1
    kept, size = server.rows("SELECT count(*), sum(length(raw)) FROM freshet.dead_letters")[0]
    assert 0 < kept < 40 and size <= 4 << 20, (kept, size)
    metrics = server.request("GET", "/metrics")[2].decode()
    assert float(metrics.split("\nfreshet_dead_letters_dropped_total ")[1].split()[0]) == 40 - kept
    assert server.rows("SELECT min(id) FROM freshet.dead_letters") == [[40 - kept + 1]]


def peak_mib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) >> 10


def test_few_bytes_that_are_many_cells(freshet_factory):
    """90 million cells in 270 KB are more than the memory for rows, and are told so before they take any (it was 2.4 GB). Four
    million, of which each row gives two and the others are defaults, are one record in sections."""
    server = freshet_factory(arguments=["--memory", "512 MiB"])
    server.sql("CREATE TABLE wide (" + ", ".join(f"c{i} bigint DEFAULT 7" for i in range(1000)) + ")")
    before = peak_mib(server)
    status, answer = server.ingest("wide", "{}\n" * 90_000)
    assert (status, answer["sqlstate"]) == (413, "54000")
    if "release" in freshet.binary():  # sanitizers keep what was freed
        assert peak_mib(server) - before < 512
    rows = [{f"c{i % 1000}": i, f"c{i * 7 % 1000}": None} for i in range(4000)]
    answer = post(server, "wide", rows + [{"c1": "bad"}])
    assert (answer["rows"], answer["rejected"][0]["row"]) == (4000, 4001)
    for column in (0, 1, 7, 333, 999):
        values = [row.get(f"c{column}", 7) for row in rows]
        want = [4000, sum(value is None for value in values), sum(value or 0 for value in values)]
        got = server.rows(f"SELECT count(*), count(*) - count(c{column}), sum(c{column})::bigint FROM wide")
        assert got == [want], column
