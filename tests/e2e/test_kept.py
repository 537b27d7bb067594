"""Results that are kept of segments go with them: merges and retention under a warm cache, and a planted fault that is found by it."""

import json
import time

BATCH = 20_000  # rows: ten minutes, and a segment of their own
BATCHES = 8
PANELS = [
    "SELECT count(*), sum(n), sum(x), min(ts), max(ts), approx_count_distinct(n) FROM e",
    "SELECT kind, count(*), avg(x), approx_percentile(0.9, x) FROM e GROUP BY 1 ORDER BY 1",
    "SELECT time_bucket('5 minutes', ts), kind, count(*), sum(x) FROM e WHERE ts >= '2026-05-01 00:05Z' GROUP BY 1, 2 ORDER BY 1, 2",
]


def fill(server, batch):
    rows = []
    for i in range(batch * BATCH, (batch + 1) * BATCH):
        seconds = i * 3 // 100
        ts = f"2026-05-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"
        rows.append(json.dumps({"ts": ts, "kind": "abc"[i % 3 * (i // 100) % 3], "n": i * 7919 % 10007, "x": i * 31 % 1000 / 8}))
    server.ingest("e", "\n".join(rows).encode())
    server.sql("CHECKPOINT")


def metric(server, name):
    text = server.request("GET", "/metrics")[2].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def answer(server, panel, cache):
    return server.sql(panel, settings={"freshet.partial_cache": cache})["rows"]


def is_one_different(server):
    """Segments go while we ask: what counts is an answer that neither the rows before it nor those after it give."""
    for panel in PANELS:
        while True:
            before, kept, after = (answer(server, panel, cache) for cache in ("off", "on", "off"))
            if before == after:
                break
        if kept != before:
            return True
    return False


def is_kept(server):
    plan = server.sql("EXPLAIN ANALYZE " + PANELS[0], settings={"freshet.partial_cache": "on"})["rows"]
    return any("partials=" in line and " kept" in line and "partials=0" not in line for line, in plan)


def is_ever_different(server):
    server.sql("CREATE TABLE e (ts timestamptz NOT NULL, kind text, n int, x float8) WITH (retention = '2 h')")
    merged = metric(server, "freshet_merges_total")
    for batch in range(BATCHES):
        fill(server, batch)
        if is_one_different(server):
            return True
    if is_different_until(server, lambda: metric(server, "freshet_merges_total") > merged):
        return True
    if is_different_until(server, lambda: is_kept(server)):  # not where one more merge comes between
        return True
    for batch in (36, 60, 84):  # hours later: what was there before goes, unless it is merged with these
        fill(server, batch)
    return is_different_until(server, lambda: server.rows("SELECT min(ts) > '2026-05-01 00:00Z' FROM e") == [[True]])


def is_different_until(server, condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, server.rows("SELECT * FROM freshet.segments")
        if is_one_different(server):
            return True
        time.sleep(0.05)
    return is_one_different(server)


def test_what_is_kept_goes_with_its_segment(freshet_factory):
    server = freshet_factory()
    assert not is_ever_different(server)


def test_results_kept_by_place_would_be_found(freshet_factory, checked_binary):
    assert is_ever_different(freshet_factory(binary=checked_binary, environment={"FRESHET_FAULT": "partial.stale_after_truncate"}))
