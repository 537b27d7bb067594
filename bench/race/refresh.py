"""The same panels again: window slid, new rows in, exact. Freshet keeps what it made of rows that have not changed; DuckDB reads anew."""

import argparse
import datetime
import os
import shutil
import statistics
import tempfile

import engines
import panels as panel_file
import peers

SLIDE_S = 5
END = datetime.datetime(2026, 5, 1, 3, 20)  # of the events, which are 200 minutes
COPIED = "2026-05-01 03:00:00"              # rows from here on come again as new ones, later

# {from}: where the window begins. The first line is Freshet's, the second DuckDB's where it differs.
PANELS = (
    ("per minute", ["SELECT date_trunc('minute', ts) AS minute, count(*), avg(latency_ms), max(bytes) FROM events "
                    "WHERE ts >= {tz} '{from}' GROUP BY 1 ORDER BY 1"]),
    ("per minute and device", ["SELECT date_trunc('minute', ts) AS minute, device, count(*), sum(amount), avg(latency_ms) FROM events "
                               "WHERE ts >= {tz} '{from}' GROUP BY 1, 2 ORDER BY 1, 2"]),
    ("by country", ["SELECT country, count(*), sum(amount), avg(latency_ms), max(bytes) FROM events "
                    "WHERE ts >= {tz} '{from}' AND status < 500 GROUP BY 1 ORDER BY 1"]),
    ("totals", ["SELECT count(*), sum(amount), avg(latency_ms), max(ts) FROM events WHERE ts >= {tz} '{from}'"]),
)


def arguments_read():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--refreshes", type=int, default=10)
    parser.add_argument("--memory", default="8 GiB")
    parser.add_argument("--peers", default="duckdb", help='"" is Freshet alone')
    parser.add_argument("--keep", help="directory of loaded rows that is used again; new rows stay in it")
    return parser.parse_args()


def spell(text, duckdb, begin):
    return text.replace("{tz}", "TIMESTAMP" if duckdb else "timestamptz").replace("{from}", f"{begin:%Y-%m-%d %H:%M:%S}" + ("" if duckdb else "+00"))


def add_rows(running, turn):
    """About 2,000 rows of each refresh: copies of earlier ones with a later time."""
    begin = datetime.datetime.fromisoformat(COPIED) + datetime.timedelta(seconds=SLIDE_S * turn)
    end = begin + datetime.timedelta(seconds=SLIDE_S)
    names = [part.split()[0] for part in engines.DUCKDB_COLUMNS.replace("(12,2)", "").split(", ")][1:]
    text = (f"INSERT INTO events SELECT ts + interval '20 minutes', {', '.join(names)} FROM events "
            "WHERE ts >= {tz} '{from}' AND ts < {tz} '{to}'")
    for name, engine in running.items():
        own = spell(text.replace("{to}", f"{end:%Y-%m-%d %H:%M:%S}" + ("+00" if name == "freshet" else "")), name != "freshet", begin)
        engine.ask(own) if name == "freshet" else engine.call("answer", own)


def check(statement, rows, kinds, running, begin):
    """The answer with the cache is the one without, digit by digit, and the peer's."""
    again = running["freshet"].answer(spell(statement, False, begin))
    if rows != again:
        raise RuntimeError(f"{statement}: another answer without the cache")
    for name in running.keys() - {"freshet"}:
        wrong = panel_file.difference(rows, running[name].answer(spell(statement, True, begin)), kinds)
        if wrong:
            raise RuntimeError(f"{statement}: freshet and {name} differ: {wrong}")


def race(options, running):
    freshet, begin = running["freshet"], END - datetime.timedelta(minutes=195)
    peer = next(iter(running.keys() - {"freshet"}), None)
    first, later, theirs = {}, {name: [] for name, _ in PANELS}, {name: [] for name, _ in PANELS}
    for name, (statement,) in PANELS:
        freshet.ask(spell(statement, False, begin))  # pages are in memory
        first[name] = freshet.timed_answer(spell(statement, False, begin), partial_cache="on")[2] * 1e3
    for turn in range(options.refreshes):
        add_rows(running, turn)
        begin += datetime.timedelta(seconds=SLIDE_S)
        for name, (statement,) in PANELS:
            rows, kinds, cpu, _ = freshet.timed_answer(spell(statement, False, begin), partial_cache="on")
            later[name].append(cpu * 1e3)
            if peer:
                theirs[name].append(running[peer].run([spell(statement, True, begin)])[0] * 1e3)
            if turn in (0, options.refreshes - 1):
                check(statement, rows, kinds, running, begin)
    print(f"{'CPU ms':24} {'first':>9} {'refresh':>9} {'ratio':>8} {peer or '':>9} {'ratio':>8}")
    for name, _ in PANELS:
        own = statistics.median(later[name])
        line = f"{name:24} {first[name]:9.2f} {own:9.2f} {first[name] / own:7.1f}x"
        if peer:
            their = statistics.median(theirs[name])
            line += f" {their:9.2f} {their / own:7.1f}x"
        print(line, flush=True)


def race_threads(options, running):
    print(f"{'ms by the clock':24} {'one':>9} {'two':>9} {'ratio':>8}")
    begin = END - datetime.timedelta(minutes=200)
    for name, (statement,) in PANELS:
        took, answers = {"1": [], "2": []}, {}
        for _ in range(max(5, options.refreshes)):
            for threads in took:
                rows, _, _, wall = running["freshet"].timed_answer(spell(statement, False, begin), threads=threads)
                took[threads].append(wall * 1e3)
                if answers.setdefault("rows", rows) != rows:
                    raise RuntimeError(f"{statement}: another answer with {threads} threads")
        one, two = statistics.median(took["1"]), statistics.median(took["2"])
        print(f"{name:24} {one:9.2f} {two:9.2f} {one / two:7.2f}x", flush=True)


def main():
    options = arguments_read()
    directory = options.keep or tempfile.mkdtemp(prefix="freshet-refresh-")
    names = ["freshet"] + [name for name in options.peers.split(",") if name]
    os.makedirs(directory, exist_ok=True)
    running = {}
    try:
        peers.load(names, directory, options.rows, options.memory)
        for name in names:
            running[name] = peers.start(name, directory, options.memory)
            print(running[name].version)
        race(options, running)
        race_threads(options, running)
    finally:
        for engine in running.values():
            engine.stop()
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
