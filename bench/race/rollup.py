"""What a rollup answers, against the same by rows and against DuckDB."""

import argparse
import statistics
import tempfile
import time

import engines
import panels as panel_file
import peers
import report

VIEW = ("CREATE MATERIALIZED VIEW IF NOT EXISTS by_minute WITH (rollup = 'true') AS SELECT date_trunc('minute', ts) AS minute, country, "
        "count(*), sum(amount), avg(latency_ms), max(bytes) FROM events GROUP BY 1, 2")
PANELS = (
    ("per hour and country", "SELECT date_trunc('hour', ts) AS hour, country, count(*), sum(amount) FROM events GROUP BY 1, 2 ORDER BY 1, 2"),
    ("by country", "SELECT country, count(*), sum(amount), avg(latency_ms), max(bytes) FROM events GROUP BY 1 ORDER BY 1"),
    ("one country per minute", "SELECT date_trunc('minute', ts) AS minute, count(*), avg(latency_ms) FROM events "
                               "WHERE country = 'AA' GROUP BY 1 ORDER BY 1"),
    ("an hour's totals", "SELECT count(*), sum(amount), avg(latency_ms), max(bytes) FROM events "
                         "WHERE ts >= {tz} '2026-05-01 01:00:00{zero}' AND ts < {tz} '2026-05-01 02:00:00{zero}'"),
)
READY_S = 60


def arguments_read():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--memory", default="8 GiB")
    parser.add_argument("--peers", default="duckdb", help='"" is Freshet alone')
    parser.add_argument("--keep", help="directory of loaded rows that is used again")
    return parser.parse_args()


def spell(text, is_freshet):
    return text.replace("{tz}", "timestamptz" if is_freshet else "TIMESTAMP").replace("{zero}", "+00" if is_freshet else "")


def make_rollup(freshet):
    """Says what it took and has; all sealed rows are covered afterwards, or the bench ends."""
    cpu, begin = freshet.cpu_s(), time.monotonic()
    freshet.ask(VIEW)
    while True:
        rows, covered, size = freshet.answer("SELECT (SELECT count(*) FROM events), rows_covered, bytes FROM freshet.rollups")[0]
        if rows == covered:
            break
        if time.monotonic() - begin > READY_S:
            raise RuntimeError(f"the rollup covers {covered} of {rows} rows after {READY_S} s")
        time.sleep(0.05)
    print(f"rollup of {rows:,} rows: {size:,} bytes, made in {(freshet.cpu_s() - cpu) * 1e3:.0f} ms of CPU (0: it was there)", flush=True)


def race(options, running):
    freshet = running["freshet"]
    peer = next(iter(running.keys() - {"freshet"}), None)
    make_rollup(freshet)
    table = []
    for name, text in PANELS:
        own = spell(text, True)
        on, off, theirs = [], [], []
        for turn in range(options.runs + 1):
            rows, kinds, with_it, _ = freshet.timed_answer(own, rollups="on")
            by_rows, _, without, _ = freshet.timed_answer(own, rollups="off")
            if turn == 0:  # compares, and is not counted
                wrong = panel_file.difference(rows, by_rows, kinds)
                if not wrong and peer:
                    wrong = panel_file.difference(rows, running[peer].answer(spell(text, False)), kinds)
                if wrong:
                    raise RuntimeError(f"{name}: {wrong}")
                continue
            on.append(with_it * 1e3)
            off.append(without * 1e3)
            if peer:
                theirs.append(running[peer].run([spell(text, False)])[0] * 1e3)
        on, off = statistics.median(on), statistics.median(off)
        row = [name, f"{on:.2f}", f"{off:.2f}", f"{off / on:.1f}x"]
        table.append(row + ([f"{statistics.median(theirs):.1f}", f"{statistics.median(theirs) / on:.0f}x"] if peer else []))
    print("\nCPU ms, medians; answers equal\n")
    report.print_table(["panel", "rollup", "by rows", ""] + ([peer, ""] if peer else []), table)


def main():
    options = arguments_read()
    names = ["freshet"] + [name for name in options.peers.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="freshet-rollup-") as own:
        directory = options.keep or own
        peers.load(names, directory, options.rows, options.memory)
        running = {name: peers.start(name, directory, options.memory) for name in names}
        try:
            race(options, running)
        finally:
            for engine in running.values():
                engine.stop()


if __name__ == "__main__":
    main()
