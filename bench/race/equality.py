"""Equality over sealed rows: what bitmap indexes gain and what they cost. CPU time of the server, medians of interleaved runs."""

import argparse
import http.client
import json
import pathlib
import random
import statistics

SHARES = (4, 32, 200, 2000)
BATCH = 20_000


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/equality", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=21)
    return parser.parse_args()


class Server:
    def __init__(self, address, pid):
        self.connection = http.client.HTTPConnection(address)
        self.tasks = pathlib.Path(f"/proc/{pid}/task")

    def post(self, path, body, kind):
        self.connection.request("POST", path, body, {"Content-Type": kind})
        reply = self.connection.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        return json.loads(text)

    def ask(self, statement, bitmaps="on"):
        settings = {"freshet.partial_cache": "off", "freshet.bitmaps": bitmaps}
        return self.post("/v1/sql", json.dumps({"query": statement, "settings": settings}), "application/json").get("rows")

    def cpu_ns(self):
        return sum(int(path.read_text().split()[0]) for path in self.tasks.glob("*/schedstat"))


def fill(server, count):
    """Each column has so many values, equally often, in no order; the measured columns are a number and a time."""
    rng = random.Random(7)
    columns = ", ".join(f"of_{share} text" for share in SHARES)
    for name in ("e", "nothing"):
        server.ask(f"CREATE TABLE {name} (ts timestamptz NOT NULL, n bigint, {columns}) WITH (time = 'ts')")
    for share in SHARES:
        server.ask(f"CREATE INDEX ON e USING bitmap (of_{share})")
    for begin in range(0, count, BATCH):
        lines = [f'{{"ts":{1767225600000 + row},"n":{rng.randrange(1000)},' +
                 ",".join(f'"of_{share}":"value {rng.randrange(share)}"' for share in SHARES) + "}"
                 for row in range(begin, min(count, begin + BATCH))]
        server.post("/v1/ingest/e", "\n".join(lines), "application/x-ndjson")
    server.ask("CHECKPOINT")


def fixed(server, runs):
    """Milliseconds of the same statement where there are no rows: receiving, planning, threads, answering."""
    times = []
    for _ in range(runs + 2):
        before = server.cpu_ns()
        server.ask("SELECT sum(n), max(ts) FROM nothing WHERE of_200 = 'value 1'")
        times.append((server.cpu_ns() - before) / 1e6)
    return statistics.median(times[2:])


def measure(server, statement, runs):
    """Milliseconds with and without bitmaps; both must answer the same."""
    times = {"on": [], "off": []}
    answers = []
    for run in range(runs + 2):
        for bitmaps in ("on", "off") if run % 2 else ("off", "on"):
            before = server.cpu_ns()
            answers.append(server.ask(statement, bitmaps))
            if run >= 2:  # the first ones fill the cache
                times[bitmaps].append((server.cpu_ns() - before) / 1e6)
    assert all(answer == answers[0] for answer in answers), statement
    return statistics.median(times["on"]), statistics.median(times["off"])


def main():
    arguments = arguments_read()
    server = Server(arguments.address, arguments.pid)
    if not server.ask("SELECT 1 FROM freshet.tables WHERE table_name = 'e'"):
        fill(server, arguments.rows)
    segments, size = server.ask("SELECT count(*), sum(bytes) FROM freshet.segments WHERE state = 'sealed'")[0]
    print(f"{arguments.rows:,} rows, {segments} sealed segments, {int(size) / arguments.rows:.1f} bytes a row; "
          f"CPU milliseconds of the server, of which {fixed(server, 5 * arguments.runs):.2f} are the statement's own")
    conditions = [(f"1/{share:,}", f"of_{share} = 'value 1'") for share in SHARES]
    conditions += [(f"1/{a:,} and 1/{b:,}", f"of_{a} = 'value 1' AND of_{b} = 'value 2'")
                   for a, b in ((4, 32), (4, 200), (32, 200), (32, 2000), (200, 2000))]
    print(f"{'rows that are equal':20} {'query':12} {'bitmaps':>8} {'none':>8} {'gain':>7}")
    for name, condition in conditions:
        for what, select in (("count(*)", "count(*)"), ("sum(n), max(ts)", "sum(n), max(ts)")):
            on, off = measure(server, f"SELECT {select} FROM e WHERE {condition}", arguments.runs)
            print(f"{name:20} {what:15} {on:8.2f} {off:8.2f} {off / on:6.2f}x")
    for name, size in server.ask("SELECT column_name, bytes FROM freshet.columns WHERE table_name = 'e' ORDER BY ordinal"):
        print(f"{name:20} {int(size) / arguments.rows:6.2f} bytes a row, index included")


if __name__ == "__main__":
    main()
