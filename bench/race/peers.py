"""The race: the same events into every engine, the same panels, answers compared before a time is printed (bench/peers starts this)."""

import argparse
import contextlib
import functools
import json
import mmap
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

import engines
import multiply
import panels as panel_file
import report
from events import events_file

PART_ROWS = 1_000_000


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/peers", description="Races Freshet against DuckDB and the ClickHouse engine.")
    parser.add_argument("--rows", type=int, default=20_000_000, help="events of the panels and sizes (20000000)")
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs of each panel, after the one that compares answers; the median counts; 0: that one (5)")
    parser.add_argument("--ingest-rows", type=int, default=2_000_000, help="events of each ingest run (2000000)")
    parser.add_argument("--ingest-runs", type=int, default=3, help="interleaved ingest runs (3)")
    parser.add_argument("--only", choices=("ingest", "panels", "bytes", "serving"), help="one part; bytes and panels load the same data")
    parser.add_argument("--panels", metavar="FILE", default="bench/panels.sql", help="the panels (bench/panels.sql)")
    parser.add_argument("--panel", help="only panels whose name holds this text")
    parser.add_argument("--bound", type=float, help="end with 1 if a panel takes Freshet more than so many times what DuckDB takes, differs or fails")
    parser.add_argument("--quick", action="store_true", help="1 M rows, 3 runs, 300,000 events of ingest once")
    parser.add_argument("--serving", action="store_true", help="panels under load against QuestDB, instead of the other parts")
    parser.add_argument("--seconds", type=int, default=30, help="of the serving part, each engine (30)")
    parser.add_argument("--rate", type=int, default=83_000, help="events a second of the serving part (83000)")
    parser.add_argument("--history", type=int, default=1_000_000, help="events before the serving part (1000000)")
    parser.add_argument("--connections", type=int, default=32, help="query connections of the serving part (32)")
    parser.add_argument("--peers", default="duckdb,chdb", help="who races against Freshet in panels and bytes; may be empty (duckdb,chdb)")
    parser.add_argument("--threads", type=int, default=1, help="of one query, in every engine (1)")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=VALUE,…",
                        help="ask Freshet the panels once more in each run, with these settings (threads=2,plan_cache=off); may come several times")
    parser.add_argument("--multiply", type=int, default=1, metavar="N",
                        help="panels over N times the rows: the columns that they read, each event N times, a millisecond apart (1)")
    parser.add_argument("--keep", metavar="DIR", help="load into DIR, and use what an earlier run loaded there")
    parser.add_argument("--memory", default="8 GiB", help="Freshet's memory setting (8 GiB)")
    parser.add_argument("--query-memory", help="Freshet's query_memory setting (a quarter of --memory)")
    parser.add_argument("--out", default="build/peers", help="where JSON and SVG go (build/peers)")
    options = parser.parse_args()
    options.peers = [name for name in options.peers.split(",") if name]
    if options.variant and not options.runs:
        parser.error("--variant wants --runs of one or more")
    if options.quick:
        options.rows, options.runs, options.ingest_rows, options.ingest_runs = min(options.rows, PART_ROWS), 3, 300_000, 1
    return options


def say(text):
    print(text, flush=True)


def load(names, directory, rows, memory):
    """Loads every engine that has not been loaded there before; parts of a million, so that no 20 GB of JSON are kept."""
    marks = {name: os.path.join(directory, f"{name}.loaded") for name in names}
    missing = [name for name in names if not os.path.exists(marks[name]) or open(marks[name]).read() != str(rows)]
    if not missing:
        return say(f"using the {rows:,} rows loaded earlier in {directory}")
    running, took = {}, dict.fromkeys(missing, 0.0)
    try:
        for name in missing:
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
            running[name] = start(name, directory, memory)
            running[name].create() if name == "freshet" else running[name].call("create")
        for part, first in enumerate(range(0, rows, PART_ROWS)):
            with events_file(min(PART_ROWS, rows - first), part + 1, first, rows) as path:
                for name, engine in running.items():
                    begin = time.monotonic()
                    load_part(engine, path)
                    took[name] += time.monotonic() - begin
        for name, engine in running.items():
            begin = time.monotonic()
            engine.checkpoint() if name == "freshet" else engine.call("finish")
            took[name] += time.monotonic() - begin
    finally:
        for engine in running.values():
            engine.stop()
    for name in missing:
        with open(marks[name], "w") as file:
            file.write(str(rows))
    say("loaded: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()))


def load_part(engine, path):
    if engine.name == "freshet":
        with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
            engine.post(view, 1 << 20)
    else:
        engine.call("load", path)


def start(name, directory, memory, query_memory=None):
    path = os.path.join(directory, name)
    if name != "freshet":
        return engines.Worker(name, path)
    return engines.Freshet(path, "--memory", memory, *(("--query_memory", query_memory) if query_memory else ()))


def variant_settings(variant):
    return dict(part.split("=", 1) for part in variant.split(","))


def check_answers(panel, running, variants):
    """The number of rows of the panel's answer, the same in every engine, and by engine what it took; RuntimeError if they differ or one
    gives none. Freshet's variants give the same to the last bit."""
    spellings = panel[1]
    rows, took = 0, {engine: [] for engine in running}
    for index, statement in enumerate(spellings["freshet"]):
        own, kinds, *times = running["freshet"].timed_answer(statement)
        rows += len(own)
        took["freshet"].append(times)
        for variant in variants:
            if running["freshet"].timed_answer(statement, **variant_settings(variant))[0] != own:
                raise RuntimeError(f"freshet differs with {variant}")
        for peer in running.keys() - {"freshet"}:
            answer, *times = running[peer].timed_answer(spellings[peer][index])
            took[peer].append(times)
            wrong = panel_file.difference(own, answer, kinds)
            if wrong:
                raise RuntimeError(f"freshet and {peer} differ: {wrong}")
    return rows, {engine: tuple(sum(column) for column in zip(*times)) for engine, times in took.items()}


def check_panels(chosen, running, variants, bound):
    """Rows and times of that run by panel. Without a bound the first panel that fails ends the race; with one the others go on, and it is told."""
    counts, first, failed = {}, {}, 0
    for panel in chosen:
        try:
            counts[panel[0]], first[panel[0]] = check_answers(panel, running, variants)
        except RuntimeError as failure:
            say(f"panel “{panel[0]}”: {failure}")
            failed += 1
            if bound is None:
                sys.exit(1)
    return counts, first, failed


def race_panels(chosen, running, variants, runs, first):
    """Median CPU and wall time of each panel, engines, variants and panels interleaved; the run that compared the answers came before and
    warmed up. Without further runs that one is it."""
    asked = {engine: (engine, running[engine].run) for engine in running}
    for variant in variants:
        asked[variant] = "freshet", functools.partial(running["freshet"].run, **variant_settings(variant))
    times = {name: {who: [] if runs else [first[name][who]] for who in asked} for name, _ in chosen}
    for _ in range(runs):
        for name, spellings in chosen:
            for who, (engine, run) in asked.items():
                times[name][who].append(run(spellings[engine]))
    return {name: {engine: tuple(1000 * statistics.median(column) for column in zip(*list_)) for engine, list_ in by_engine.items()}
            for name, by_engine in times.items()}


def panels_part(options, directory, result):
    """Compares and times the panels. True if one did not hold the bound."""
    running = {name: start(name, directory, options.memory, options.query_memory) for name in ("freshet", *options.peers)}
    for engine in running.values():
        say(f"{engine.version}\n    {engine.ddl}")
    state = json.loads(running["freshet"].ask("SELECT state, count(*), sum(rows) FROM freshet.segments WHERE table_name = 'events' "
                                              "GROUP BY 1 ORDER BY 1"))["rows"]
    say("Freshet's rows: " + ", ".join(f"{rows:,} {kind} in {count} segments" for kind, count, rows in state))
    try:
        if options.only != "panels":
            bytes_part(running, result)
        if options.only == "bytes":
            return
        setup, panels = panel_file.panels_read(options.panels)
        for name, engine in running.items():
            for statement in setup[name]:
                engine.answer(statement)
        chosen = [panel for panel in panels if not options.panel or options.panel in panel[0]]
        if options.multiply > 1:
            multiply.multiply(running, directory, options.rows, options.multiply, say)
            chosen = [(name, multiply.renamed(spellings)) for name, spellings in chosen]
        threads_set(running, options.threads)
        counts, first, failed = check_panels(chosen, running, options.variant, options.bound)
        chosen = [panel for panel in chosen if panel[0] in counts]
        if not chosen:
            sys.exit("no panel to measure")
        if options.peers:
            say(f"\nAnswers of {len(chosen)} panels are equal in all engines (doubles within {panel_file.TOLERANCE:g} of each other).")
        times = race_panels(chosen, running, options.variant, options.runs, first)
        table = [{"panel": name, "rows": counts[name], "ms": {engine: cpu for engine, (cpu, _) in times[name].items()},
                  "wall_ms": {engine: wall for engine, (_, wall) in times[name].items()}} for name, _ in chosen]
        rows, threads = options.rows * options.multiply, "one query thread" if options.threads == 1 else f"{options.threads} query threads"
        say(f"\nPanels over {rows:,} rows: CPU ms of the process, {threads}, "
            + (f"median of {options.runs} interleaved runs\n" if options.runs else "one run\n"))
        means = report.print_panels(table, options.peers)
        for peer in options.peers:
            ratios = [panel["wall_ms"][peer] / panel["wall_ms"]["freshet"] for panel in table]
            say(f"by the clock, {peer}/freshet: geometric mean {report.geometric_mean(ratios):.2f}, least {min(ratios):.2f}")
        report.print_variants(table, options.variant)
        slowest = max(table, key=lambda panel: panel["wall_ms"]["freshet"])
        say(f"\nFreshet's slowest by the clock: {slowest['panel']}, {slowest['wall_ms']['freshet']:.0f} ms")
        result["panels"], result["geometric_mean"] = table, means
        report.write_svg(os.path.join(options.out, "panels.svg"), f"CPU time of {len(table)} panels over {rows:,} rows, {threads}",
                         table, list(running))
        if options.bound is not None:
            slow = [panel["panel"] for panel in table if panel["ms"]["freshet"] > options.bound * panel["ms"]["duckdb"]]
            say(f"\nOver {options.bound:g} times as slow as DuckDB: {len(slow)} of {len(table)}; differed or failed: {failed}"
                + "".join(f"\n    {name}" for name in slow))
            return bool(slow or failed)
        return False
    finally:
        for engine in running.values():
            engine.stop()


def threads_set(running, count):
    for name, engine in running.items():
        if name == "freshet":
            engine.query_threads = count
        else:
            engine.call("threads", count)


def bytes_part(running, result):
    freshet = running["freshet"]
    rows, size = json.loads(freshet.ask("SELECT sum(rows), sum(bytes) FROM freshet.segments "
                                        "WHERE table_name = 'events' AND state = 'sealed'"))["rows"][0]
    sizes = {"Freshet's segments": [size or 0, rows or 0]}
    for name in running.keys() - {"freshet"}:
        sizes.update(running[name].call("bytes")["value"])
    folder = os.path.join(freshet.directory, "store", "segments")
    on_disk = engines.directory_bytes(folder) if os.path.isdir(folder) else 0
    say("\nBytes per row on disk, all 21 columns, indexes included\n")
    own = sizes["Freshet's segments"]
    per_row = own[0] / own[1] if own[1] else 0
    report.print_table(["", "rows", "bytes", "bytes/row", "freshet/this"],
                       [[name, f"{count:,}", f"{size:,}", f"{size / count if count else 0:.1f}", f"{per_row * count / size if size else 0:.2f}"]
                        for name, (size, count) in sizes.items()])
    say(f"    files under {os.path.basename(folder)}/: {on_disk:,} bytes")
    result["bytes"] = {name: {"bytes": size, "rows": count} for name, (size, count) in sizes.items()}
    result["bytes"]["Freshet's files"] = on_disk


def ingest_freshet(path, body_bytes, directory, memory):
    """CPU seconds of the server from before the first byte until CHECKPOINT has returned."""
    server = engines.Freshet(os.path.join(directory, "ingest"), "--memory", memory)
    try:
        server.create()
        server.settle()
        with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
            cpu, wall = server.cpu_s(), time.monotonic()
            server.post(view, body_bytes)
            posted = server.cpu_s() - cpu
            server.checkpoint()
            return server.cpu_s() - cpu, time.monotonic() - wall, posted
    finally:
        server.stop()
        server.wipe()


def ingest_chdb(path, directory):
    shutil.rmtree(os.path.join(directory, "ingest-chdb"), ignore_errors=True)
    worker = engines.Worker("chdb", os.path.join(directory, "ingest-chdb"))
    try:
        worker.call("create")
        reply = worker.call("load", path)
        return reply["cpu_s"], reply["wall_s"], reply["cpu_s"]
    finally:
        worker.stop()
        shutil.rmtree(os.path.join(directory, "ingest-chdb"), ignore_errors=True)


def ingest_part(options, directory, result):
    rows = options.ingest_rows
    bodies = {"freshet, 1 MB bodies": 1 << 20, "freshet, 256 KB bodies": 256 << 10, "freshet, 64 KB bodies": 64 << 10}
    runs = {name: [] for name in (*bodies, "chdb, the file")}
    with events_file(rows, 1, 0, rows) as path:
        for _ in range(options.ingest_runs):
            for name, size in bodies.items():
                runs[name].append(ingest_freshet(path, size, directory, options.memory))
            runs["chdb, the file"].append(ingest_chdb(path, directory))
    rates = {name: rows / statistics.median(cpu for cpu, _, _ in list_) for name, list_ in runs.items()}
    posted = {name: rows / statistics.median(part for _, _, part in list_) for name, list_ in runs.items()}
    walls = {name: rows / statistics.median(wall for _, wall, _ in list_) for name, list_ in runs.items()}
    say(f"\nIngest of {rows:,} events of 1 KB: events per CPU-second of the process, median of {options.ingest_runs} interleaved runs.\n"
        "Freshet: over HTTP, each body synced and visible at its answer, until CHECKPOINT has sealed it all. chDB: one INSERT from the file.\n")
    report.print_table(["", "events/CPU-s", "until answered", "events/s", "ratio to chdb"],
                       [[name, f"{rate:,.0f}", f"{posted[name]:,.0f}", f"{walls[name]:,.0f}", f"{rate / rates['chdb, the file']:.2f}"]
                        for name, rate in rates.items()])
    result["ingest"] = {name: {"events_per_cpu_s": rate, "until_answered": posted[name], "events_per_s": walls[name]}
                        for name, rate in rates.items()}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started and made goes
    options = arguments_read()
    os.makedirs(options.out, exist_ok=True)
    result = {"rows": options.rows, "runs": options.runs, "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    is_over = False
    with contextlib.ExitStack() as stack:
        directory = options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-peers-"))
        os.makedirs(directory, exist_ok=True)
        if options.serving or options.only == "serving":
            import serving

            serving.serving_part(options, directory, result)
        else:
            if options.only in (None, "ingest"):
                ingest_part(options, directory, result)
            if options.only != "ingest":
                load(("freshet", *options.peers), directory, options.rows, options.memory)
                is_over = panels_part(options, directory, result)
    report.write_json(os.path.join(options.out, "serving.json" if "serving" in result else "peers.json"), result)
    return 1 if is_over else 0


if __name__ == "__main__":
    sys.exit(main())
