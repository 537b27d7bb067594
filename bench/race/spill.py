"""What bench/spill runs: each query uncapped (its peak of memory looked at meanwhile), then under a third of that."""

import argparse
import os
import pathlib
import re
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
import freshet  # noqa: E402

MEMORY = min(32 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4)
UNCAPPED = min(8 << 30, MEMORY // 3)
# Keys are spread by a multiplication, so neither side meets them in order.
QUERIES = {
    "sort": "SELECT count(*), sum(i), min(k), max(t) FROM (SELECT i, i * 7919 % 100000007 AS k, 'page ' || i AS t "
            "FROM {series} ORDER BY k, t OFFSET {half}) AS q",
    "group": "SELECT count(*), sum(c), sum(s), max(t) FROM (SELECT 'user ' || i * 7919 % {users} AS t, count(*) AS c, sum(i) AS s "
             "FROM {series} GROUP BY 1) AS q",
    "join": "SELECT count(*), sum(l.i), sum(r.j), max(t) FROM (SELECT i, i * 7919 % 100000007 AS a FROM {series}) AS l "
            "JOIN (SELECT i AS j, i * 7919 % 100000007 AS b, 'page ' || i AS t FROM {series}) AS r ON a = b",
    "except": "SELECT count(*), sum(k), max(t) FROM (SELECT i * 7919 % 100000007 AS k, 'user ' || i AS t FROM {series} "
              "EXCEPT SELECT i * 7919 % 100000007, 'user ' || i FROM {series} WHERE i % 3 <> 0) AS q",
    "intersect": "SELECT count(*), sum(k), max(t) FROM (SELECT i * 7919 % 100000007 AS k, 'user ' || i AS t FROM {series} "
                 "INTERSECT SELECT i * 7919 % 100000007, 'user ' || i FROM {series} WHERE i % 3 = 0) AS q",
    "window": "SELECT count(*), sum(n * 7 % 1009), sum(b), max(t) FROM (SELECT t, row_number() OVER w AS n, lag(k) OVER w AS b FROM "
              "(SELECT i * 7919 % 100000007 AS k, 'page ' || i || repeat('x', 60) AS t FROM {series}) AS s2 WINDOW w AS (ORDER BY k)) AS q",
}


def texts(rows, is_duckdb):
    series = f"range(1, {rows + 1}) AS g(i)" if is_duckdb else f"(SELECT g::bigint AS i FROM generate_series(1, {rows}) AS g) AS s"
    return {name: text.format(series=series, half=rows // 2, users=rows // 2) for name, text in QUERIES.items()}


def ask(server, text, memory, query_id):
    """Milliseconds, rows, bytes spilled."""
    answer = server.sql(text, query_id=query_id, settings={"freshet.query_memory": str(memory), "statement_timeout": "10min"})
    return answer["stats"]["elapsed_ms"], answer["rows"], answer["stats"]["spilled_bytes"]


def peak(server, query_id, is_done):
    """The most memory that a query is seen to hold."""
    most = 0
    while not is_done.wait(0.01):
        for row in server.rows(f"SELECT memory_bytes FROM freshet.queries WHERE query_id = '{query_id}'"):
            most = max(most, int(row[0]))
    return most


def watched(server, text, query_id):
    is_done, found = threading.Event(), []
    watcher = threading.Thread(target=lambda: found.append(peak(server, query_id, is_done)))
    watcher.start()
    try:
        outcome = ask(server, text, UNCAPPED, query_id)
    finally:
        is_done.set()
        watcher.join()
    return outcome, found[0]


def duckdb_times(rows, caps, runs):
    """By query: milliseconds and rows, or a text that says why there is none."""
    try:
        import duckdb
    except ImportError:
        return {}
    outcomes = {}
    for name, text in texts(rows, True).items():
        with tempfile.TemporaryDirectory() as folder:
            connection = duckdb.connect()
            connection.execute(f"SET threads = 1; SET memory_limit = '{caps[name] >> 10}KiB'; SET temp_directory = '{folder}'")
            try:
                times = []
                for _ in range(runs):
                    begin = time.perf_counter()
                    answer = connection.execute(text).fetchall()
                    times.append((time.perf_counter() - begin) * 1000)
                outcomes[name] = (statistics.median(times), [[str(cell) for cell in row] for row in answer])
            except duckdb.Error as error:
                outcomes[name] = (None, re.sub(r"\s+", " ", str(error))[:60])
            connection.close()
    return outcomes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--share", type=int, default=3)
    options = parser.parse_args()
    caps, table, is_right = {}, [], True
    with tempfile.TemporaryDirectory() as folder:
        server = freshet.Server(pathlib.Path(folder) / "store", ["--memory", str(MEMORY), "--query-memory", str(UNCAPPED)])
        for name, text in texts(options.rows, False).items():
            (first_ms, rows, _), most = watched(server, text, name)
            caps[name] = most // options.share
            uncapped = statistics.median([first_ms, *(ask(server, text, UNCAPPED, name)[0] for _ in range(options.runs - 1))])
            capped = [ask(server, text, caps[name], name) for _ in range(options.runs)]
            is_same = all(run[1] == rows for run in capped)
            is_right = is_right and is_same and all(run[2] > 0 for run in capped)
            table.append((name, most, uncapped, statistics.median(run[0] for run in capped), capped[0][2], is_same, rows))
        server.stop()
    peers = duckdb_times(options.rows, caps, options.runs)
    print(f"{options.rows:,} rows, one thread, median of {options.runs}")
    print(f"{'query':10}{'takes MiB':>11}{'cap MiB':>9}{'uncapped ms':>13}{'capped ms':>11}{'written MiB':>13}{'equal':>7}{'DuckDB, capped':>17}")
    for name, most, uncapped, capped, written, is_same, rows in table:
        peer_ms, answer = peers.get(name, (None, "not installed"))
        peer = answer if peer_ms is None else f"{peer_ms:.0f} ms"
        if peer_ms is not None and answer != [[str(cell) for cell in row] for row in rows]:
            is_right, peer = False, "another answer"
        print(f"{name:10}{most >> 20:11}{caps[name] >> 20:9}{uncapped:13.0f}{capped:11.0f}{written >> 20:13}"
              f"{'yes' if is_same else 'NO':>7}{peer:>17}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
