"""What bench/growth runs: two servers with the same newest events, one of them with ten times the history behind them.

Events come at the same rate in both, so ten times the rows are ten times the minutes, and the newest minutes are the same to the event.
Queries run in turn, one thread, nothing kept from one to the next; what counts is CPU time of the server, over as many runs of a query at
a time as take a few hundred milliseconds.
"""

import argparse
import contextlib
import json
import mmap
import os
import statistics
import sys
import tempfile
import time

import engines
import report
from events import MINUTES, START, events_file

TIMES = 10
BATCH_S = 0.2
# (name, goal, text): the 200 newest minutes end at 03:20.
PANELS = [
    ("5-minute panel", "1.05", "SELECT date_trunc('minute', ts) AS minute, event, count(*), avg(latency_ms) FROM events "
     "WHERE ts >= timestamptz '2026-05-01 03:15:00+00' GROUP BY 1, 2 ORDER BY 1, 2"),
    ("5-minute panel, one country", "1.05", "SELECT date_trunc('minute', ts) AS minute, count(*), max(latency_ms) FROM events "
     "WHERE country = 'AA' AND ts >= timestamptz '2026-05-01 03:15:00+00' GROUP BY 1 ORDER BY 1"),
    ("its 20 newest rows", "1.05", "SELECT ts, event_id, event, page FROM events WHERE ts >= timestamptz '2026-05-01 03:15:00+00' "
     "ORDER BY ts DESC, event_id LIMIT 20"),
]
SCANS = [
    ("full scan, sums", "10", "SELECT count(*), sum(latency_ms), sum(bytes), max(amount) FROM events WHERE bytes >= 0"),
    ("full scan by event", "10", "SELECT event, count(*), avg(latency_ms), sum(bytes) FROM events GROUP BY 1 ORDER BY 1"),
]


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events of the smaller server (1000000)")
    parser.add_argument("--runs", type=int, default=7, help="of each query, in turn; the median counts (7)")
    return parser.parse_args()


def fill(server, rows, times):
    """The newest `rows` events are the same whatever `times` is."""
    server.create()
    start = START - (times - 1) * MINUTES * 60
    for part in range(times):
        with events_file(rows, TIMES - times + part + 1, part * rows, rows, start) as path, open(path, "rb") as file, \
                contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
            server.post(view, 1 << 20)
    server.checkpoint()


def cpu_ms(server, text, repeats):
    begin = server.cpu_s()
    for _ in range(repeats):
        server.ask(text)
    return 1e3 * (server.cpu_s() - begin) / repeats


def repeats_for(server, text):
    """So many that the clock of the system, which ticks a hundred times a second, is no matter."""
    repeats = 1
    while True:
        begin = server.cpu_s()
        cpu_ms(server, text, repeats)
        taken = server.cpu_s() - begin
        if taken >= BATCH_S or repeats >= 4096:
            return repeats
        repeats *= 4 if taken < BATCH_S / 4 else 2


def main():
    options = arguments_read()
    wrong = 0
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-growth-"))
        servers = []
        for times in (1, TIMES):
            server = engines.Freshet(os.path.join(directory, str(times)), "--memory", "8 GiB")
            stack.callback(server.stop)
            begin = time.monotonic()
            fill(server, options.rows, times)
            print(f"{times * options.rows:,} rows loaded in {time.monotonic() - begin:.0f} s", flush=True)
            servers.append(server)
        print(f"{servers[0].version}, {options.rows} and {TIMES * options.rows} rows", flush=True)
        lines = []
        for name, goal, text in PANELS + SCANS:
            answers = [json.loads(server.ask(text))["rows"] for server in servers]
            if (name, goal, text) in PANELS and answers[0] != answers[1]:
                print(f"{name}: the answers differ")
                wrong = 1
            costs, repeats = ([], []), [repeats_for(server, text) for server in servers]
            for _ in range(options.runs):
                for index, server in enumerate(servers):
                    costs[index].append(cpu_ms(server, text, repeats[index]))
            one, ten = (statistics.median(cost) for cost in costs)
            lines.append([name, f"{one:.2f}", f"{ten:.2f}", f"{ten / one:.2f}", goal])
    print(f"\nServer CPU ms, median of {options.runs}:\n")
    report.print_table(["", "1x", f"{TIMES}x", "x", "goal"], lines)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
