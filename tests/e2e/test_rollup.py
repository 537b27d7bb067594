"""Rollups: made beside ingest, found again after SIGKILL, never another answer than the rows'."""

import json
import pathlib
import time

ROWS = 90_000
QUERIES = [
    "SELECT country, count(*), sum(n), avg(price), max(url) FROM hits GROUP BY 1 ORDER BY 1",
    "SELECT date_trunc('hour', ts), sum(n), approx_count_distinct(url) FROM hits GROUP BY 1 ORDER BY 1",
    "SELECT count(*), sum(price) FROM hits WHERE ts >= '2026-05-01 04:00Z' AND ts < '2026-05-01 20:00Z'",
    "SELECT * FROM by_minute WHERE country = 'DE' ORDER BY minute LIMIT 50",
]


def fill(server, first, count):
    text = "".join(json.dumps({"ts": f"2026-05-01T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z", "country": ["DE", "FR", "AT"][i % 3],
                               "url": f"/{i % 40}", "n": i % 1009, "price": i % 500 / 100}) + "\n" for i in range(first, first + count))
    server.ingest("hits", text.encode())


def answers(server, is_on):
    return [server.sql(query, settings={"freshet.rollups": "on" if is_on else "off", "freshet.partial_cache": "off"})["rows"]
            for query in QUERIES]


def covered(server):
    return server.rows("SELECT segments, segments_covered, rows_covered FROM freshet.rollups")[0]


def wait_covered(server):
    until = time.monotonic() + 60
    while (row := covered(server))[0] != row[1] or row[0] == 0:
        assert time.monotonic() < until, row
        time.sleep(0.1)


def plan(server, query):
    return "\n".join(row[0] for row in server.rows("EXPLAIN " + query))


def same(server):
    assert answers(server, True) == answers(server, False)


def test_rollups_outlive_sigkill(freshet_factory):
    server = freshet_factory()
    server.sql("CREATE TABLE hits (ts timestamptz NOT NULL, country text, url text, n int, price numeric(10,2))")
    fill(server, 0, ROWS)
    server.sql("CHECKPOINT")
    server.sql("CREATE MATERIALIZED VIEW by_minute WITH (rollup = 'true') AS SELECT time_bucket('1 minute', ts) AS minute, country, "
               "sum(n) AS n, sum(price) AS price, max(url) AS url, approx_count_distinct(url) AS urls FROM hits GROUP BY 1, 2")
    wait_covered(server)
    assert "rollup=by_minute segments=1" in plan(server, QUERIES[0])
    fill(server, 100, 500)  # fresh rows, late ones
    same(server)
    server.kill()
    server = freshet_factory(server.data)
    same(server)
    wait_covered(server)
    files = sorted(pathlib.Path(server.data, "sides").iterdir())
    assert len(files) == covered(server)[0]
    assert "rollup=by_minute" in plan(server, QUERIES[0])
    same(server)
    # Files that are damaged or gone are made anew.
    server.kill()
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    server = freshet_factory(server.data)
    wait_covered(server)
    same(server)
    server.kill()
    assert files[0].read_bytes() == whole
    files[0].unlink()
    server = freshet_factory(server.data)
    wait_covered(server)
    assert files[0].read_bytes() == whole
    same(server)
    # New segments are covered, those that are gone are not.
    fill(server, ROWS, 3000)
    server.sql("CHECKPOINT")
    wait_covered(server)
    same(server)
    server.sql("TRUNCATE hits")
    fill(server, 0, 70_000)
    same(server)
    server.sql("CHECKPOINT")
    wait_covered(server)
    same(server)
    assert server.rows("SELECT count(*) FROM pg_matviews") == [[1]]
    server.sql("DROP MATERIALIZED VIEW by_minute")
    until = time.monotonic() + 30
    while list(pathlib.Path(server.data, "sides").iterdir()):
        assert time.monotonic() < until
        time.sleep(0.1)
    server.sql("DROP TABLE hits")
