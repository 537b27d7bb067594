"""Random queries in several processes: each seed's query once on PostgreSQL and once on each layout, and what differs reduced.

    build/venv/bin/python -m differential.campaign --queries 1000000 [--seed N] [--jobs 2] [--check metamorphic]   (in tests/)

prints how many ran, what was generated how often, and for each mismatch its seed, the query, and a small case to paste."""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import sys
import tempfile
import time

from differential import calls, explained, generator, ground, harness, metamorphic, panels, pg, reduce

SLICE = 250  # seeds that a process takes at a time
ROUNDS = 4   # … where a seed is many queries
OCCURRENCES_MIN = 4
# A share of queries runs with these: none of them may change an answer.
KNOBS = ({}, {}, {}, {"freshet.threads": "2"}, {"freshet.bitmaps": "off"}, {"freshet.optimizer": "off"}, {"freshet.partial_cache": "off"},
         {"freshet.spill": "off"})


class Part:
    """What one slice of seeds found."""

    def __init__(self):
        self.used, self.refused, self.skipped = collections.Counter(), collections.Counter(), collections.Counter()
        self.found, self.errors, self.count = [], 0, 0
        self.explained = []  # (why PostgreSQL differs from itself, *as found)

    def add(self, other):
        self.used += other.used
        self.refused += other.refused
        self.skipped += other.skipped
        self.found += other.found
        self.explained += other.explained
        self.errors += other.errors
        self.count += other.count


here = {}  # of a process: its connections


def connect(dsn, addresses):
    here["theirs"] = harness.Reference(dsn, is_first=False) if dsn else None
    here["ours"] = {layout: harness.Freshet(address) for layout, address in addresses.items()}
    here["calls"] = calls.Calls(calls.signatures(here["theirs"].connection)) if dsn else None


def make(seed, method="query"):
    source = generator.Generator(seed, here["calls"])
    sql, _, is_ordered = getattr(source, method)()
    return source, sql, is_ordered


def check(seed, layouts=None, method="query"):
    """(source, whether the order is total, [(layout, sql, settings, why)], reason to skip or None, PostgreSQL's answer)"""
    source, sql, is_ordered = make(seed, method)
    ways = {}
    for place, layout in enumerate(layouts or here["ours"]):
        ways[layout] = {**KNOBS[(seed + place * 3) % len(KNOBS)], **({"timezone": source.zone} if source.zone != "UTC" else {})}
        here["ours"][layout].begin(sql, ways[layout])
    expected = here["theirs"].answer(sql, source.zone)
    answers = {layout: here["ours"][layout].answer(sql, settings) for layout, settings in ways.items()}  # all at once: each waits for the other
    if expected.state in ("57014", "53200", "54000"):  # the reference's own limits
        return source, is_ordered, [], "limit of the reference", expected
    found = []
    for layout, settings in ways.items():
        answer = answers[layout]
        if answer.state in ("42883", "0A000") and answer.state != expected.state:
            return source, is_ordered, [], answer.text, expected  # refused by name: counted
        why = harness.difference(answer, expected, is_ordered, sql)
        if why and "freshet.optimizer" in settings and harness.is_runtime(answer.state):
            why = None  # columns that nobody uses are computed, and may raise
        # A row that another condition took out first raises nothing: conditions stay in place, or go below the windows of sessions.
        if why and answer.state is None and harness.is_runtime(expected.state) and ("freshet.optimizer" in settings or "FROM session(" in sql):
            why = None
        if why:
            found.append((layout, sql, settings, why))
    return source, is_ordered, found, None, expected


def sort_out(part, seed, found, is_ordered):
    """A query counts once: as different if PostgreSQL does not explain it on every layout."""
    reasons = []
    for layout, sql, settings, why in found:
        server = here["ours"][layout]
        reasons.append(explained.explain(here["theirs"], server, sql, settings, server.answer(sql, settings), is_ordered))
        if reasons[-1] is None:
            part.found.append((seed, layout, sql, settings, why))
            return
    if found:
        part.explained.append((reasons[0], seed, *found[0]))


def run_slice(first, count, check_name="postgresql", method="query"):
    part = Part()
    for seed in range(first, first + count):
        if check_name == "metamorphic":
            metamorphic.check(here["ours"], seed, part)
            continue
        if check_name == "panels":
            panels.check(here["theirs"], here["ours"], seed, part)
            continue
        source, is_ordered, found, reason, expected = check(seed, method=method)
        part.used += source.used
        part.count += 1
        part.errors += expected.state is not None
        if reason:
            part.refused[reason] += 1
        sort_out(part, seed, found, is_ordered)
    return part


def run(dsn, addresses, first, count, jobs=2, check_name="postgresql", seconds=None, progress=None, method="query", stop_at=None):
    """All seeds of first … first + count, or as many as the time allows."""
    total, begun = Part(), time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(jobs, initializer=connect, initargs=(dsn, addresses)) as pool:
        waiting, at = set(), first
        while waiting or at < first + count:
            while at < first + count and len(waiting) < jobs * 2 and (seconds is None or time.monotonic() - begun < seconds) and \
                    (stop_at is None or len(total.found) < stop_at):
                size = min(ROUNDS if check_name == "panels" else 50 if stop_at else SLICE, first + count - at, max(1, count // (jobs * 4)))
                waiting.add(pool.submit(run_slice, at, size, check_name, method))
                at += size
            if not waiting:
                break
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                part = future.result()
                total.add(part)
                if progress:
                    progress(total, part)
    return total


def floor(queries):
    """How often each construct must have been generated in so many queries."""
    return OCCURRENCES_MIN if queries >= 5000 else 0


def missing(used, queries):
    """Constructs of generator.CONSTRUCTS that came less often than the floor, and names that it does not list."""
    plain = {name: count for name, count in used.items() if not name.startswith("call: ")}
    few = [f"{name} {plain.get(name, 0)} < {floor(queries)}" for name in sorted(generator.CONSTRUCTS) if plain.get(name, 0) < floor(queries)]
    return few + [f"{name} is not in the list of constructs" for name in sorted(set(plain) - generator.CONSTRUCTS)]


def describe(part, name):
    own = {name: count for name, count in part.used.items() if not name.startswith("call: ")}
    called = {name: count for name, count in part.used.items() if name.startswith("call: ")}
    lines = [f"{name}: {part.count} queries, with an error on PostgreSQL {part.errors}, refused by us {sum(part.refused.values())} "
             f"({len(part.refused)} reasons), explained {len(part.explained)}, different {len(part.found)}",
             f"  constructs {len(own)}: " + ", ".join(f"{key} {count}" for key, count in sorted(own.items())),
             f"  functions, operators, aggregates and casts called {len(called)}, {sum(called.values())} times"]
    return "\n".join(lines)


class Ground:
    """PostgreSQL and a Freshet of each layout with the same rows."""

    def __init__(self, start, layouts=ground.LAYOUTS, needs_reference=True, is_indexed=False):
        self.postgresql = pg.PostgreSQL() if needs_reference else None
        self.dsn = self.postgresql.dsn if needs_reference else None
        self.addresses = {}
        if needs_reference:
            theirs = harness.Reference(self.dsn)
            explained.prepare(theirs)
            ground.fill(theirs, "postgresql")
            theirs.connection.close()
        for layout in layouts:
            server = start(layout)
            ours = harness.Freshet(server.http)
            ground.fill(ours, "freshet", layout, is_indexed)
            ground.check_layout(ours, layout)
            self.addresses[layout] = server.http

    def stop(self):
        if self.postgresql:
            self.postgresql.stop()


def main():
    parser = argparse.ArgumentParser(description="random queries against PostgreSQL 15, or metamorphic checks")
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1, help="the first query's seed is this × 1,000,000")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--check", choices=("postgresql", "metamorphic", "panels"), default="postgresql")
    parser.add_argument("--no-reduce", action="store_true")
    parser.add_argument("--constructs", action="store_true", help="print how often each was generated")
    arguments = parser.parse_args()
    import freshet

    servers = []
    with tempfile.TemporaryDirectory(prefix="freshet-campaign-") as directory:
        def start(layout):
            servers.append(freshet.Server(pathlib.Path(directory) / layout, environment={}))
            return servers[-1]

        has_reference = arguments.check != "metamorphic"
        place = Ground(start, needs_reference=has_reference, is_indexed=not has_reference)
        try:
            first, begun = arguments.seed * 1_000_000, time.monotonic()

            def progress(total, part):
                for reason, seed, layout, sql, settings, why in part.explained:
                    print(f"explained ({reason}): seed {seed} {layout} {settings}: {why[:300]}\n    {sql}", flush=True)
                for seed, layout, sql, settings, why in part.found:
                    print(f"seed {seed} {layout} {settings}: {why[:300]}\n    {sql}", flush=True)
                if total.count // 10_000 != (total.count - part.count) // 10_000:
                    print(f"{total.count} in {time.monotonic() - begun:.0f} s, different {len(total.found)}", file=sys.stderr, flush=True)

            total = run(place.dsn, place.addresses, first, arguments.queries, arguments.jobs, arguments.check, arguments.seconds, progress)
            text = describe(total, f"seed {first}, {time.monotonic() - begun:.0f} s")
            print(text if arguments.constructs else text.splitlines()[0])
            if arguments.constructs:
                for reason, count in total.refused.most_common():
                    print(f"    {count} {reason}")
            if arguments.check == "postgresql" and not arguments.no_reduce:
                for case in reduce.cases(place.dsn, start("scratch").http, total.found):
                    print(case, flush=True)
        finally:
            for server in servers:
                server.stop()
            place.stop()
    return 1 if total.found else 0


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(pathlib.Path(__file__).resolve().parents[1]))
    sys.exit(main())
