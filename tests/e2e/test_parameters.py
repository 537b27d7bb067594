"""Parameters over HTTP: $1 by an array, parameter('name') by an object."""

import json
import urllib.parse

import pytest


@pytest.fixture(scope="module")
def clicks(shared_server):
    shared_server.sql("CREATE TABLE params_clicks (ts timestamptz NOT NULL, id bigint, n int, country text, tags text[], j jsonb)")
    shared_server.sql("INSERT INTO params_clicks VALUES ('2026-01-01', 1, 5, 'DE', '{a,b}', '{\"a\": 1}')")
    shared_server.sql("INSERT INTO params_clicks VALUES ($1, $2, $3, $4, $5, $6), (now(), $2 + 1, $7, NULL, NULL, NULL)",
                      params=["2026-01-02", 7, "6", "O'Hara; --", ["x", None, "ü\"}{"], {"b": [1, None]}, None])
    return shared_server


def refused(server, sql, params, **fields):
    status, answer = server.query(sql, params=params, **fields)
    return status, answer["sqlstate"], answer["detail"]


def test_values_by_number(clicks):
    got = clicks.rows("SELECT id, n, country, tags, j FROM params_clicks ORDER BY id")
    assert got == [[1, 5, "DE", ["a", "b"], {"a": 1}], [7, 6, "O'Hara; --", ["x", None, "ü\"}{"], {"b": [1, None]}], [8, None, None, None, None]]
    for params, want in ((["DE"], [[1]]), (["O'Hara; --"], [[7]]), ([None], []), ([""], [])):  # the second time by a plan that is kept
        assert clicks.sql("SELECT id FROM params_clicks WHERE country = $1", params=params)["rows"] == want
    answer = clicks.sql("SELECT $1::numeric, $2::float8, $3::boolean, $4::text, $5::timestamptz",
                        params=["12345678901234567890.5", "NaN", False, 1.50, "2026-05-01 10:00+02"])
    assert [column["type"] for column in answer["columns"]] == ["numeric", "double precision", "boolean", "text", "timestamp with time zone"]
    assert answer["rows"][0][1:] == ["NaN", False, "1.5", "2026-05-01T08:00:00+00:00"]
    assert clicks.sql("SELECT id FROM params_clicks ORDER BY id LIMIT $1 OFFSET $2", params=[1, 1])["rows"] == [[7]]
    assert clicks.sql("SELECT id FROM params_clicks WHERE id IN ($1, $2) ORDER BY 1", params=[8, "1"])["rows"] == [[1], [8]]
    assert clicks.sql("SELECT count(*) FROM params_clicks WHERE country LIKE $1 OR country ~ $2", params=["D%", "^O"])["rows"] == [[2]]


def test_values_where_constants_are_wanted(clicks):
    sql = "SELECT count(*) FROM hop(params_clicks, ts, $1, $2) WHERE id < 8"
    assert clicks.sql(sql, params=["1 hour", "2 hours"])["rows"] == [[4]]
    assert clicks.sql(sql, params=["1 hour", "3 hours"])["rows"] == [[6]]
    assert refused(clicks, sql, ["2 hours", "3 hours"])[:2] == (400, "22023")
    sql = "SELECT percentile_cont($1) WITHIN GROUP (ORDER BY n) FROM params_clicks"
    assert [clicks.sql(sql, params=[share])["rows"] for share in (0, 0.5, 1)] == [[[5]], [[5.5]], [[6]]]
    assert refused(clicks, sql, [2])[:2] == (400, "22003")


def test_values_by_name(clicks):
    sql = "SELECT id FROM params_clicks WHERE country = parameter('country', 'DE') AND n >= parameter('least')"
    assert clicks.sql(sql, params={"least": 1})["rows"] == [[1]]
    assert clicks.sql(sql, params={"country": "O'Hara; --", "least": "6"})["rows"] == [[7]]
    assert refused(clicks, sql, {}) == (400, "42P02", 'parameter "least": a value is missing')
    assert refused(clicks, sql, {"least": 1, "most": 2}) == (400, "42P02", 'there is no parameter "most"')
    assert refused(clicks, sql, {"least": "x"})[:2] == (400, "22P02")
    assert clicks.sql("SELECT id FROM params_clicks WHERE ts > parameter('since', now() - interval '1 hour')")["rows"] == [[8]]


def test_refusals(clicks):
    assert refused(clicks, "SELECT 1", [1])[:2] == (400, "08P01")
    assert refused(clicks, "SELECT $1::int", [])[:2] == (400, "08P01")
    assert refused(clicks, "SELECT $1 IS NULL", [1])[:2] == (400, "42P18")
    assert refused(clicks, "SELECT $1::int", ["1; DROP TABLE params_clicks"])[:2] == (400, "22P02")
    assert refused(clicks, "CREATE VIEW params_v AS SELECT $1::int", [1])[:2] == (400, "42P02")
    for body in ('{"query": "SELECT $1::int", "params": "[1]"}', '{"query": "SELECT $1::int", "params": 1}'):
        status, _, text = clicks.request("POST", "/v1/sql", body, {"content-type": "application/json"})
        assert status == 400 and json.loads(text)["sqlstate"] == "22023"
    for body in ('{"query": "SELECT $1::int", "params": [1', '{"query": "SELECT 1",}', '{"query": "SELECT 1"} x', '{"query" "SELECT 1"}'):
        status, _, text = clicks.request("POST", "/v1/sql", body, {"content-type": "application/json"})
        assert status == 400 and json.loads(text)["sqlstate"] == "22P02", text


def test_get_takes_them_too(clicks):
    target = "/v1/sql?q=" + urllib.parse.quote("SELECT id FROM params_clicks WHERE country = $1")
    status, _, text = clicks.request("GET", target + "&params=" + urllib.parse.quote('["DE"]'))
    assert status == 200 and json.loads(text)["rows"] == [[1]]


def test_a_million_elements(clicks):
    numbers = list(range(1_000_000))
    for sql, params, want in (("SELECT count(*) FROM params_clicks WHERE id = ANY($1)", numbers, 3),
                              ("SELECT count(*) FROM generate_series(1, 100000) g WHERE g <> ALL($1)", numbers[:99_990] + numbers[100_001:], 11),
                              ("SELECT count(*) FROM params_clicks WHERE country = ANY($1)", [f"k{number}" for number in numbers] + ["DE"], 1)):
        answer = clicks.sql(sql, params=[params])
        assert answer["rows"] == [[want]] and answer["stats"]["elapsed_ms"] < 10_000
    status, answer = clicks.query("SELECT count(*) FROM params_clicks WHERE id = ANY($1)", params=[numbers], settings={"freshet.query_memory": "4 MB"})
    assert status == 422 and answer["sqlstate"] == "53200"


def test_arrays_of_other_types_behind_any(clicks):
    times = [row[0] for row in clicks.rows("SELECT ts::text FROM params_clicks ORDER BY ts")]
    for sql, params, want in (("SELECT count(*) FROM params_clicks WHERE ts = ANY($1)", times[:2], len(set(times[:2]))),
                              ("SELECT count(*) FROM params_clicks WHERE ts <> ALL($1)", "{" + ",".join(f'"{time}"' for time in times) + "}", 0),
                              ("SELECT count(*) FROM params_clicks WHERE ts::date = ANY($1)", [times[0][:10], None], None),
                              ("SELECT count(*) FROM generate_series(1, 9) g WHERE g / 2.0 = ANY($1)", [0.5, 1, "2.50"], 3),
                              ("SELECT count(*) FROM generate_series(1, 9) g WHERE (g > 4) = ANY($1)", [True], 5),
                              ("SELECT count(*) FROM generate_series(1, 9) g WHERE g / 2.0 > ALL($1::numeric[])", [0.5, 3], 3)):
        got = clicks.sql(sql, params=[params])["rows"]
        assert want is None and got[0][0] > 0 or got == [[want]], (sql, got)
    assert refused(clicks, "SELECT 1 FROM params_clicks WHERE ts = ANY($1)", [["2026-01-01", "nope"]])[:2] == (400, "22007")
