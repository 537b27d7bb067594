"""kill -9 under load, with a number of sealed segments and with ten times as many: how long until ready and until the first correct answer."""

import argparse
import contextlib
import json
import mmap
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import engines
import report
from events import events_file


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/restart", description=__doc__)
    parser.add_argument("--segments", type=int, default=4, help="sealed segments of the small case; the large one has ten times as many (4)")
    parser.add_argument("--rows", type=int, default=200_000, help="of each segment (200000)")
    parser.add_argument("--rate", type=int, default=83_000, help="events a second while it is killed (83000)")
    parser.add_argument("--seconds", type=float, default=4, help="of load before the kill (4)")
    parser.add_argument("--runs", type=int, default=3, help="kills of each case (3)")
    parser.add_argument("--memory", default="8 GiB")
    return parser.parse_args()


def number(server, statement):
    return int(json.loads(server.ask(statement))["rows"][0][0] or 0)


def fill(server, segments, rows):
    """Each part is sealed by its own CHECKPOINT; merging may make fewer segments of them, which is what a user has too."""
    server.create()
    for part in range(segments):
        with events_file(rows, part + 1, part * rows, segments * rows) as path:
            with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
                server.post(view, 1 << 20)
        server.checkpoint()


def load_until_killed(server, options, directory):
    """Kills the server in the middle of the load; rows sent and rows acknowledged."""
    out = os.path.join(directory, "load.json")
    bench = subprocess.Popen(["build/release/freshet-bench", "--http", server.address, "--rate", str(options.rate), "--seconds", "600",
                              "--queries", "1", "--freshness", "0", "--duplicate", "0", "--malformed", "0", "--quiet", "--json", out],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(options.seconds)
    server.kill()
    bench.terminate()
    bench.wait()
    with open(out) as file:
        result = json.load(file)
    return result["sent_rows"], result["stored_rows"]


def kill_once(options, directory, before):
    """One kill of a server with `before` rows: what the start after it took."""
    server = engines.Freshet(directory, "--memory", options.memory)
    sent, acknowledged = load_until_killed(server, options, directory)
    begin = time.monotonic()
    server = engines.Freshet(directory, "--memory", options.memory)
    ready = time.monotonic() - begin
    count = number(server, "SELECT count(*) FROM events")
    answered = time.monotonic() - begin
    if not before + acknowledged <= count <= before + sent:
        raise SystemExit(f"bench/restart: {count} rows, acknowledged {before + acknowledged}, sent {before + sent}: lost or doubled")
    log_bytes = server.metric("freshet_log_size_bytes")
    segments = number(server, "SELECT count(*) FROM freshet.segments WHERE table_name = 'events' AND state = 'sealed'")
    server.stop()
    return {"rows": count, "segments": segments, "log MB": log_bytes / 1e6, "ready ms": 1000 * ready, "answer ms": 1000 * answered,
            "acknowledged": acknowledged}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments_read()
    cases = []
    for name, segments in (("1x", options.segments), ("10x", 10 * options.segments)):
        with tempfile.TemporaryDirectory(prefix="freshet-restart-") as directory:
            server = engines.Freshet(directory, "--memory", options.memory)
            fill(server, segments, options.rows)
            rows = number(server, "SELECT count(*) FROM events")
            server.stop()
            runs = []
            for _ in range(options.runs):
                runs.append(kill_once(options, directory, rows))
                rows = runs[-1]["rows"]
            cases.append([name, *(statistics.median(run[key] for run in runs)
                                  for key in ("segments", "rows", "log MB", "ready ms", "answer ms")), len(runs)])
    print(f"kill -9 after {options.seconds:g} s at {options.rate:,} events/s; every acknowledged row was there after each start, none twice.\n"
          f"Medians of {options.runs} kills; from the start of the process.\n")
    report.print_table(["", "segments", "rows", "log MB", "ready ms", "first answer ms"],
                       [[case[0], f"{case[1]:.0f}", f"{case[2]:,.0f}", f"{case[3]:.0f}", f"{case[4]:.0f}", f"{case[5]:.0f}"] for case in cases])
    print(f"\n10x against 1x: {cases[1][5] / cases[0][5]:.2f}")


if __name__ == "__main__":
    main()
