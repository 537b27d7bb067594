"""Published endpoints: a view's rows by GET, its parameters by name."""

import json
import urllib.parse


def get(server, target, **headers):
    status, got, text = server.request("GET", "/v1/endpoints/" + target, None, headers)
    return status, got, text


def rows(server, target):
    status, _, text = get(server, target)
    assert status == 200, text
    return json.loads(text)["rows"]


def refused(server, target, status, sqlstate):
    got, _, text = get(server, target)
    answer = json.loads(text)
    assert (got, answer["sqlstate"]) == (status, sqlstate), answer
    return answer["detail"]


def fill(server):
    server.sql("CREATE TABLE hits (ts timestamptz NOT NULL, url text, country text, ms double precision, n int)")
    server.sql("INSERT INTO hits VALUES ('2026-05-01 10:00', '/a', 'DE', 1.5, 1), ('2026-05-01 11:00', '/b', 'DE', 2.5, 2), "
               "('2026-05-01 12:00', '/a', 'AT', 3.5, 3), ('2026-05-01 13:00', '/a', 'DE', 4.5, 4)")
    server.sql("CREATE VIEW top_pages WITH (endpoint = 'top_pages') AS SELECT url, count(*) AS hits FROM hits "
               "WHERE country = parameter('country') AND ts >= parameter('since', '2026-01-01') "
               "GROUP BY url ORDER BY hits DESC, url LIMIT parameter('top', 10)")


def test_rows_and_formats(server):
    fill(server)
    for _ in range(2):  # the second time by the plan that is kept
        assert rows(server, "top_pages?country=DE") == [["/a", 2], ["/b", 1]]
        assert rows(server, "top_pages?country=AT&top=5") == [["/a", 1]]
    assert rows(server, "top_pages?country=DE&top=1") == [["/a", 2]]
    assert rows(server, "top_pages?since=2026-05-01T11:30Z&country=DE") == [["/a", 1]]
    assert rows(server, "top_pages?country=") == []
    status, headers, text = get(server, "top_pages?country=DE&format=csv")
    assert status == 200 and headers["content-type"].startswith("text/csv") and text == b"url,hits\r\n/a,2\r\n/b,1\r\n"
    status, headers, text = get(server, "top_pages?country=DE", accept="application/x-ndjson")
    assert status == 200 and text.splitlines()[1:3] == [b'["/a",2]', b'["/b",1]']
    answer = json.loads(get(server, "top_pages?country=DE&query_id=mine")[2])
    assert answer["columns"] == [{"name": "url", "type": "text"}, {"name": "hits", "type": "bigint"}] and "completeness" in answer
    assert refused(server, "top_pages?country=DE&max_rows=1", 422, "54000")
    # Text is a value, never SQL.
    assert rows(server, "top_pages?country=" + urllib.parse.quote("' OR true --")) == []
    assert server.sql("SELECT * FROM top_pages", params={"country": "AT"})["rows"] == [["/a", 1]]
    assert server.query("SELECT * FROM top_pages")[1]["sqlstate"] == "42P02"
    assert server.rows("SELECT endpoint, parameters FROM freshet.views") == [
        ["top_pages", "country text, since timestamp with time zone = '2026-01-01', top bigint = '10'"]]


def test_what_is_wrong_is_named(server):
    fill(server)
    assert "country" in refused(server, "top_pages", 400, "42P02")
    assert "town" in refused(server, "top_pages?country=DE&town=x", 400, "42P02")
    assert "country" in refused(server, "top_pages?country=DE&country=AT", 400, "22023")
    assert '"top"' in refused(server, "top_pages?country=DE&top=many", 400, "22P02")
    assert '"since"' in refused(server, "top_pages?country=DE&since=2026-13-01", 400, "22008")
    refused(server, "top_pages?country=DE&top=-1", 400, "2201W")
    refused(server, "top_pages?country=%ff", 400, "22021")
    refused(server, "top_pages?country=DE&=1", 400, "42P02")
    refused(server, "top_pages?country=DE&q=SELECT%201", 400, "42P02")
    refused(server, "top_pages?country=DE&format=pdf", 400, "22023")
    assert "max_rows" in refused(server, "top_pages?country=DE&max_rows=1&max_rows=9", 400, "22023")
    assert "nothing" in refused(server, "nothing?country=DE", 404, "42704")
    refused(server, "hits", 404, "42704")
    for method in ("POST", "DELETE", "HEAD"):
        status, headers, _ = server.request(method, "/v1/endpoints/top_pages?country=DE", "" if method == "POST" else None)
        assert status == 405 and headers["allow"] == "GET"
    for options, sqlstate in (("endpoint = ''", "22023"), ("endpoint = 'a/b'", "22023"), ("endpoint = '..'", "22023"), ("end = 1", "22023"),
                              ("endpoint = 'x', endpoint = 'y'", "22023"), ("endpoint = 'top_pages'", "42P07")):
        assert server.query(f"CREATE VIEW v WITH ({options}) AS SELECT 1 AS a")[1]["sqlstate"] == sqlstate
    for option in ("endpoint", "endpoint = on", "endpoint = true"):
        answer = server.query(f"CREATE VIEW v WITH ({option}) AS SELECT 1 AS a")[1]
        assert answer["sqlstate"] == "22023" and answer["hint"] == "write WITH (endpoint = 'v')", answer
    assert server.query("CREATE VIEW v WITH (endpoint = 'v') AS SELECT parameter('format')::text AS a")[1]["sqlstate"] == "42601"
    assert server.query("CREATE VIEW v WITH (endpoint = 'v') AS SELECT parameter('a') IS NULL AS a")[1]["sqlstate"] == "42P18"
    assert server.query("CREATE VIEW v AS SELECT n FROM hits WHERE n > parameter('a', 'many')")[1]["sqlstate"] == "22P02"


def test_life(freshet_factory):
    odd = "s\u00e4ulen & \"b\" %"
    server = freshet_factory()
    fill(server)
    server.sql('CREATE VIEW "Odd ""name" WITH (endpoint = \'' + odd + "') AS SELECT sum(n) AS s FROM hits WHERE n > parameter('least', 0)")
    assert rows(server, urllib.parse.quote(odd, safe="") + "?least=1") == [[9]]
    server.sql("CHECKPOINT")
    server.sql("CREATE OR REPLACE VIEW top_pages WITH (endpoint = 'pages') AS SELECT url, 1::bigint AS hits FROM hits WHERE n = parameter('n')")
    refused(server, "top_pages?country=DE", 404, "42704")
    assert rows(server, "pages?n=2") == [["/b", 1]]
    server.kill()
    server = freshet_factory(data=server.data)
    assert rows(server, "pages?n=2") == [["/b", 1]]
    assert rows(server, urllib.parse.quote(odd, safe="")) == [[10]]
    server.sql("CHECKPOINT")
    server.sql("DROP VIEW top_pages")
    refused(server, "pages?n=2", 404, "42704")
    server.sql("CREATE OR REPLACE VIEW \"Odd \"\"name\" AS SELECT sum(n) AS s FROM hits")
    refused(server, urllib.parse.quote(odd, safe=""), 404, "42704")
