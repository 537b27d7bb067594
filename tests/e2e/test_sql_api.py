"""/v1/sql: forms of request, formats, errors with their statuses, cancel, limits, commands."""

import json
import socket
import threading
import time
import urllib.parse

import pytest


@pytest.fixture(scope="module")
def loaded(shared_server):
    shared_server.sql("CREATE TABLE r (ts timestamptz NOT NULL, a bigint, s text)")
    body = "".join(f'{{"ts":"2026-05-01T10:00:{i % 60:02d}Z","a":{i},"s":"v{i % 7}"}}\n' for i in range(20000))
    assert shared_server.ingest("r", body)[0] == 200
    return shared_server


def post(server, body, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, got, text = server.request("POST", "/v1/sql", body, named)
    return status, got, text


def test_text_json_and_get(loaded):
    want = [[20000]]
    assert json.loads(post(loaded, "SELECT count(*) FROM r")[2])["rows"] == want
    assert json.loads(post(loaded, "SELECT count(*) FROM r", content_type="application/x-www-form-urlencoded")[2])["rows"] == want
    assert loaded.rows("SELECT count(*) FROM r") == want
    target = "/v1/sql?q=" + urllib.parse.quote("SELECT count(*) FROM r")
    assert json.loads(loaded.request("GET", target)[2])["rows"] == want
    assert loaded.request("GET", target + "&format=csv")[2] == b"count\r\n20000\r\n"


def test_shape_of_an_answer(loaded):
    answer = loaded.sql("SELECT a, s FROM r ORDER BY a LIMIT 2")
    assert answer["command"] == "SELECT" and answer["rows"] == [[0, "v0"], [1, "v1"]]
    assert answer["columns"] == [{"name": "a", "type": "bigint"}, {"name": "s", "type": "text"}]
    completeness = answer["completeness"]
    assert int(completeness["position"]) > 0 and completeness["recovering"] is False
    assert completeness["sources_total"] == 1 and completeness["sources"][0]["source"] == "http"
    assert {"elapsed_ms", "rows_scanned", "segments", "segments_skipped"} <= set(answer["stats"])


def test_formats(loaded):
    sql = "SELECT a, s, NULL::text AS n, '' AS e FROM r ORDER BY a LIMIT 2"
    status, headers, text = post(loaded, sql, accept="application/x-ndjson")
    assert status == 200 and headers["content-type"].startswith("application/x-ndjson")
    parts = [json.loads(line) for line in text.splitlines()]
    assert "columns" in parts[0] and parts[1] == [0, "v0", None, ""] and parts[-1]["end"] is True and parts[-1]["rows"] == 2
    status, headers, text = post(loaded, sql, accept="text/html, text/csv;q=0.5")
    assert headers["content-type"].startswith("text/csv") and text == b'a,s,n,e\r\n0,v0,,""\r\n1,v1,,""\r\n'
    status, answer = loaded.query(sql, format="arrow")
    assert status == 400 and answer["sqlstate"] == "0A000", answer
    status, _, text = post(loaded, sql, accept="application/vnd.apache.arrow.stream")
    assert status == 400 and json.loads(text)["sqlstate"] == "0A000"


@pytest.mark.parametrize("sql, status, sqlstate", [
    ("SELECT nothing FROM r", 400, "42703"), ("SELECT * FROM nowhere", 400, "42P01"), ("SELEC 1", 400, "42601"),
    ("SELECT 1/0", 400, "22012"), ("SELECT 'x'::int", 400, "22P02"), ("", 400, None), ("SELECT 1; SELECT 2", 400, None),
    ("SELECT " + "(" * 100000 + "1" + ")" * 100000, 422, "54001"), ("SELECT 1" + "+1" * 100000, 422, "54001"),
    ("SELECT '" + "x" * 300000 + "'", 422, "54000"),
    ("CREATE MATERIALIZED VIEW v AS SELECT 1", 400, "0A000"), ("DELETE FROM r", 400, "0A000"),
])
def test_errors(loaded, sql, status, sqlstate):
    begin = time.monotonic()
    got, answer = loaded.query(sql)
    assert got == status and answer["status"] == status, answer
    assert sqlstate is None or answer["sqlstate"] == sqlstate, answer
    assert answer["type"] and answer["title"] and answer["detail"] and "errors" in answer and "query_id" in answer
    assert time.monotonic() - begin < 120
    assert loaded.rows("SELECT 1") == [[1]]


def test_error_position_counts_characters(loaded):
    answer = loaded.query("SELECT 'äöü', nothing FROM r")[1]
    assert answer["text_position"] == 15, answer


@pytest.mark.parametrize("body, position", [
    ('{"query":"SELECT 1\\u0000"}', 10), ('{"format":"json", "query": "ä\\ud800"}', 28),
    ('{"query":"SELECT 1","settings":{"timezone":"\\u0000"}}', 44), ('{"query":"SELECT 1","settings":{"a":[1,}}', 40),
])
def test_a_body_that_is_no_json_is_told_by_its_place(loaded, body, position):
    status, _, text = loaded.request("POST", "/v1/sql", body.encode(), {"Content-Type": "application/json"})
    answer = json.loads(text)
    assert status == 400 and answer["sqlstate"] == "22P02", answer
    assert answer["text_position"] == position and f"at character {position}" in answer["detail"], answer


@pytest.mark.parametrize("body", [
    b"{", b"[]", b'{"query":1}', b"{}", b'{"query":"SELECT 1","colour":"red"}', b'{"query":"SELECT 1","format":"xml"}',
    b'{"query":"SELECT 1","timeout_ms":-1}', b'{"query":"SELECT 1","max_rows":"many"}', b'{"query":"SELECT 1","settings":[]}',
    b'{"query":"SELECT 1","settings":{"no_such":"1"}}', b'{"query":"SELECT 1","query_id":""}', b"\xff\xfe",
    b'{"query":"SELECT 1","at_least":1.5}'])
def test_malformed_requests(loaded, body):
    status, _, text = post(loaded, body, content_type="application/json")
    assert status == 400 and json.loads(text)["sqlstate"], text


@pytest.mark.parametrize("name, target, body", [
    ("query", "", b'{"query":"SELECT 1","query":"SELECT 2"}'), ("max_rows", "", b'{"max_rows":5,"query":"SELECT 1","max_rows":null}'),
    ("params", "", b'{"query":"SELECT $1","params":[1],"par\\u0061ms":[2]}'), ("format", "?format=csv", b'{"query":"SELECT 1","format":"json"}'),
    ("timezone", "", b'{"query":"SELECT 1","settings":{"timezone":"UTC","timezone":"Europe/Berlin"}}')])
def test_fields_given_twice_are_named(loaded, name, target, body):
    status, _, text = loaded.request("POST", "/v1/sql" + target, body, {"Content-Type": "application/json"})
    answer = json.loads(text)
    assert (status, answer["sqlstate"]) == (400, "22023") and f'"{name}"' in answer["detail"], answer


def test_timeout_of_nothing_lifts_it(loaded):
    statement = "SELECT count(*) FROM generate_series(1, 300000)"
    settings = {"statement_timeout": "1us"}
    assert loaded.query(statement, settings=settings)[1]["sqlstate"] == "57014"
    assert loaded.sql(statement, settings=settings, timeout_ms=0)["rows"] == [[300000]]


def test_limits(loaded):
    status, answer = loaded.query("SELECT a FROM r", max_rows=100)
    assert status == 422 and answer["sqlstate"] == "54000", answer
    assert len(loaded.sql("SELECT a FROM r LIMIT 100", max_rows=100)["rows"]) == 100
    begin = time.monotonic()
    status, answer = loaded.query("SELECT count(*) FROM r x CROSS JOIN r y CROSS JOIN r z", timeout_ms=200)
    assert status == 504 and answer["sqlstate"] == "57014", answer
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("expression", ["repeat(s || a, 100000) <> ''", "lpad(s || a, 1000000) LIKE 'q%'", "max(repeat(s || a, 100000)) <> ''",
                                        "length(repeat('x', 100000000)) > a"])
def test_values_made_inside_of_a_batch_are_charged(loaded, expression):
    status, answer = loaded.query(f"SELECT {expression} FROM r" + ("" if "max" in expression else f" WHERE {expression}"),
                                  settings={"freshet.query_memory": "64MB"})
    assert status == 422 and answer["sqlstate"] == "53200", answer


def test_results_kept_for_dictionary_entries_are_charged(server):
    server.sql("CREATE TABLE c (n bigint, s text)")
    body = "".join(f'{{"n":{i},"s":"entry {i // 400}"}}\n' for i in range(20_000))  # a few entries are new in each vector
    assert server.ingest("c", body)[0] == 200
    status, answer = server.query("SELECT min(repeat(s, 600000)) FROM c", settings={"freshet.query_memory": "96MB"})
    assert status == 422 and answer["sqlstate"] == "53200", answer


@pytest.mark.parametrize("sql, status", [("/*" * 50_000 + "*/" * 50_000 + "SELECT 1", 200), ("/**/" * 60_000 + "SELECT 1", 200),
                                         ("SELECT 1 /*" * 9_000, 400),
                                         ("SELECT count(*) FROM r GROUP BY " + ",".join(f"a+{i}" for i in range(20_000)), 422)])
def test_time_to_read_a_statement_is_bounded(loaded, sql, status):
    begin = time.monotonic()
    assert loaded.query(sql, timeout_ms=20_000)[0] == status
    assert time.monotonic() - begin < 60


def test_memory_limit_of_a_query(freshet_factory):
    server = freshet_factory(arguments=["--query-memory", "1 MiB"])
    server.sql("CREATE TABLE b (n bigint, s text)")
    for part in range(4):
        body = "".join(f'{{"n":{part * 20000 + i},"s":"{i:040d}"}}\n' for i in range(20000))
        assert server.ingest("b", body)[0] == 200
    status, answer = server.query("SELECT s, n, count(*) FROM b GROUP BY s, n ORDER BY s")
    assert status == 422 and answer["sqlstate"] == "53200", answer
    assert server.rows("SELECT count(*) FROM b") == [[80000]]


def test_get_only_reads(loaded):
    for sql, status in [("SELECT 1", 200), ("VALUES (1)", 200), ("SHOW TABLES", 200), ("EXPLAIN SELECT 1", 200),
                        ("CREATE TABLE g (a int)", 405), ("INSERT INTO r VALUES (now(), 1, 'x')", 405),
                        ("TRUNCATE r", 405), ("CHECKPOINT", 405)]:
        got, headers, text = loaded.request("GET", "/v1/sql?q=" + urllib.parse.quote(sql))
        assert got == status, (sql, text)
        assert status != 405 or "POST" in headers["allow"]
    assert loaded.request("GET", "/v1/sql")[0] == 400


def test_read_your_own_writes(loaded):
    position = loaded.ingest("r", '{"ts":"2026-05-01T10:00:00Z","a":-5}\n')[1]["position"]
    assert loaded.sql("SELECT count(*) FROM r WHERE a = -5", at_least=position)["rows"] == [[1]]
    assert loaded.sql("SELECT count(*) FROM r WHERE a = -5", at_least=int(position))["rows"] == [[1]]
    status, answer = loaded.query("SELECT 1", at_least=str(int(position) + 10**9), timeout_ms=200)
    assert status == 504, answer
    loaded.sql("SELECT 1")


SLOW = "SELECT count(*) FROM r x CROSS JOIN r y CROSS JOIN r z WHERE x.a + y.a + z.a = -1"


def wait_running(server, query_id, is_running):
    end = time.monotonic() + 100
    while bool(server.rows(f"SELECT 1 FROM freshet.queries WHERE query_id = '{query_id}'")) != is_running:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cancel(loaded):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(loaded.query(SLOW, query_id="slow-1", timeout_ms=60000)))
    thread.start()
    wait_running(loaded, "slow-1", True)
    status, _, text = loaded.request("DELETE", "/v1/sql/slow-1")
    assert status == 200 and json.loads(text)["query_id"] == "slow-1"
    thread.join(100)
    assert answers[0][0] == 504 and answers[0][1]["sqlstate"] == "57014", answers
    assert loaded.request("DELETE", "/v1/sql/slow-1")[0] == 404


def test_a_client_that_hangs_up_ends_its_query(loaded):
    host, port = loaded.http.rsplit(":", 1)
    body = json.dumps({"query": SLOW, "query_id": "slow-2", "timeout_ms": 60000}).encode()
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                       % len(body) + body)
    wait_running(loaded, "slow-2", True)
    connection.close()
    wait_running(loaded, "slow-2", False)


def test_commands(server):
    for sql, command in [
        ("CREATE TABLE c (ts timestamptz NOT NULL, a int DEFAULT 7)", "CREATE TABLE"), ("ALTER TABLE c ADD COLUMN b text", "ALTER TABLE"),
        ("INSERT INTO c (ts, b) VALUES ('2026-05-01 10:00:00Z', 'x')", None), ("COMMENT ON TABLE c IS 'hello'", "COMMENT"),
        ("CREATE TABLE IF NOT EXISTS c (a int)", "CREATE TABLE"), ("SET statement_timeout = '1s'", "SET"), ("CHECKPOINT", "CHECKPOINT"),
    ]:
        answer = server.sql(sql)
        assert command is None or answer["command"] == command, answer
    assert server.rows("SELECT a, b FROM c") == [[7, "x"]]
    status, answer = server.query("CREATE TABLE c (a int)")
    assert status == 400 and answer["sqlstate"] == "42P07"
    status, answer = server.query("INSERT INTO c (a) VALUES (1)")
    assert status == 400 and answer["sqlstate"] == "23502"
    server.kill()


def test_copy_to_stdout(server):
    server.sql("CREATE TABLE copied (a int, b text)")
    server.sql("INSERT INTO copied VALUES (1, 'x,y'), (2, NULL), (3, '')")
    for header, first in [(", HEADER", "a,B\n"), (", HEADER false", ""), ("", "")]:
        for method, target, body in [
            ("POST", "/v1/sql", f"COPY (SELECT a, b AS \"B\" FROM copied ORDER BY a) TO STDOUT WITH (FORMAT csv{header})"),
            ("GET", "/v1/sql?q=" + urllib.parse.quote(f"COPY (SELECT a, b AS \"B\" FROM copied ORDER BY a) TO STDOUT (FORMAT csv{header})"), None),
        ]:
            connection = server.connection()
            connection.request(method, target, body)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200 and text == first + '1,"x,y"\n2,\n3,""\n', text
            assert answer.getheader("content-type").endswith("header=present" if first else "header=absent")
    for statement, want in [
        ("COPY copied TO STDOUT", b"1\tx,y\n2\t\\N\n3\t\n"),
        ("COPY copied (b) TO STDOUT (FORMAT csv, DELIMITER ';', NULL '-', QUOTE '!')", b"x,y\n-\n\n"),
        ("COPY copied (a) TO STDOUT BINARY", b"PGCOPY\n\377\r\n\0" + bytes(8) + b"".join(
            b"\0\1\0\0\0\4\0\0\0" + bytes([a]) for a in (1, 2, 3)) + b"\377\377"),
    ]:
        connection = server.connection()
        connection.request("POST", "/v1/sql", statement)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == want
    status, answer = server.query("COPY copied FROM STDIN")
    assert status == 400 and answer["sqlstate"] == "0A000" and "/v1/ingest/copied" in answer["hint"]
    status, answer = server.query("COPY (SELECT 1 / (a - 3) FROM copied) TO STDOUT WITH (FORMAT csv)")
    assert status == 400 and answer["sqlstate"] == "22012"
    answer = server.sql("EXPLAIN (ANALYZE, FORMAT JSON) SELECT b FROM copied WHERE a > 1 ORDER BY b")
    assert answer["columns"] == [{"name": "QUERY PLAN", "type": "json"}] and len(answer["rows"]) == 1
    document = answer["rows"][0][0]
    plan = (json.loads(document) if isinstance(document, str) else document)[0]["Plan"]
    assert plan["Node Type"] and plan["Actual Rows"] == 2 and plan["Plans"], plan


def test_commands_survive_a_kill(freshet_factory):
    server = freshet_factory()
    server.sql("CREATE TABLE c (a int DEFAULT 7, b text)")
    server.sql("INSERT INTO c (b) VALUES ('x'), ('y')")
    answer = server.sql("INSERT INTO c (a, b) SELECT a + 1, 'z' FROM c WHERE b = 'x'")
    assert answer["command"] == "INSERT" and answer["rows"] == 1 and int(answer["position"]) > 0, answer
    assert server.sql("INSERT INTO c SELECT * FROM c WHERE a = 9")["rows"] == 0
    server.sql("ALTER TABLE c DROP COLUMN a")
    server.sql("CREATE VIEW kept AS SELECT upper(b) AS u FROM c")
    server.sql("CHECKPOINT")
    assert server.sql("CREATE VIEW above AS SELECT u || '!' AS u FROM kept")["command"] == "CREATE VIEW"
    server.sql("CREATE VIEW gone AS SELECT 1 AS a")
    server.sql("DROP VIEW gone")
    server.sql("ALTER TABLE c ADD COLUMN d bigint DEFAULT 3")
    server.kill()
    again = freshet_factory(data=server.data)
    assert again.rows("SELECT b, d FROM c ORDER BY b") == [["x", 3], ["y", 3], ["z", 3]]
    assert again.rows("SELECT u FROM above ORDER BY u") == [["X!"], ["Y!"], ["Z!"]]
    assert again.rows("SELECT view_name FROM freshet.views ORDER BY 1") == [["above"], ["kept"]]
    assert again.query("DROP TABLE c")[1]["sqlstate"] == "2BP01"
    again.sql("DROP VIEW kept, above")
    again.sql("TRUNCATE c")
    again.sql("DROP TABLE c")
    assert again.query("SELECT * FROM c")[1]["sqlstate"] == "42P01"


def test_large_results_arrive_whole(loaded):
    connection = loaded.connection()
    connection.request("POST", "/v1/sql", json.dumps({"query": "SELECT x.a, x.s, y.a AS ya FROM r x CROSS JOIN (SELECT a FROM r LIMIT 40) y",
                                                      "format": "ndjson"}), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    lines = text.splitlines()
    rows = loaded.rows("SELECT count(*) FROM r")[0][0] * 40
    assert reply.status == 200 and len(lines) == rows + 2 and json.loads(lines[-1])["rows"] == rows
    connection.close()


def test_tables_made_of_queries_and_renamed_survive_a_kill(freshet_factory):
    server = freshet_factory()
    server.sql("CREATE TABLE c (ts timestamptz NOT NULL, a int) WITH (map = '{\"a\": \"/deep/a\"}')")
    assert server.ingest("c", '{"ts":"2026-05-01T10:00:00Z","deep":{"a":1}}')[0] == 200
    answer = server.sql("CREATE TABLE d WITH (time = 'ts') AS SELECT ts, a + $1 AS a FROM c, generate_series(1, 1000)", params=[1])
    assert answer["command"] == "CREATE TABLE AS" and answer["rows"] == 1000 and int(answer["position"]) > 0, answer
    server.sql("CREATE VIEW v WITH (endpoint = 'v') AS SELECT count(*), sum(d.a) FROM d")
    server.sql("ALTER TABLE d RENAME TO e")
    server.sql("ALTER TABLE c RENAME COLUMN a TO b")
    server.kill()
    for _ in range(2):
        server = freshet_factory(data=server.data)
        assert server.rows("SELECT * FROM v") == [[1000, 2000]]
        assert json.loads(server.request("GET", "/v1/endpoints/v")[2])["rows"] == [[1000, 2000]]
        assert server.query("SELECT * FROM d")[1]["sqlstate"] == "42P01"
        assert server.ingest("c", '{"ts":"2026-05-01T10:00:01Z","deep":{"a":2}}')[0] == 200
        assert server.rows("SELECT max(b) FROM c") == [[2]]
        assert server.rows("SELECT table_name, source FROM freshet.sources ORDER BY 1") == [["c", "http"], ["e", "sql"]]
        server.sql("CHECKPOINT")
        server.kill()
