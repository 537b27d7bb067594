"""What bench/hostile runs: each case of tests/hostile.py alone, then all of them at once and the heaviest 64 times, with the server's
memory and the times of acknowledgements and of a short panel query beside them. The attackers are a process of their own, so that
their work in Python is not in the times that are measured here."""

import argparse
import multiprocessing
import sys
import time

import hostile

HEAVIEST = ("cross join of three", "sort of a cross join", "string_agg of 1 GB", "regular expression replaced")


def milliseconds(values):
    if not values:
        return "none"
    return f"p50 {hostile.percentile(values, 0.5) * 1e3:.1f} p99 {hostile.percentile(values, 0.99) * 1e3:.1f} max {max(values) * 1e3:.1f}"


def phase(load, name):
    print(f"  {name:34} acknowledgements, ms: {milliseconds(load.acks.get(name))} ({len(load.acks.get(name, []))}); "
          f"panel, ms: {milliseconds(load.panels.get(name))} ({len(load.panels.get(name, []))})")


def storm(load, pool, address, name, cases, at_once, timeout_ms):
    load.peak_bytes = 0
    load.phase = name
    begin = time.monotonic()
    answers = pool.apply(hostile.attack, (address, cases, at_once, timeout_ms))
    seconds = time.monotonic() - begin
    load.phase = "between"
    counts = {}
    for _, _, (_, sqlstate, _, _) in answers:
        counts[sqlstate or "answer"] = counts.get(sqlstate or "answer", 0) + 1
    latest = max(got[3] for _, _, got in answers)
    print(f"{name}: {seconds:.1f} s, last answer after {latest:.2f} s, peak {load.peak_bytes >> 20} MiB: "
          + ", ".join(f"{code} {count}" for code, count in sorted(counts.items())))
    phase(load, name)
    time.sleep(1)
    return [(case, got) for case, right, got in answers if got[1] not in right | {hostile.TIME, hostile.MEMORY}]


def alone(load, pool, address, cases, timeout_ms):
    wrong = []
    print(f"{'one at a time':40} {'answer':>8} {'s':>6} {'peak MiB':>9}")
    load.phase = "one at a time"
    for case in cases:
        load.peak_bytes = 0
        ((name, right, got),) = pool.apply(hostile.attack, (address, [case], 1, timeout_ms))
        is_wrong = got[1] not in right | {hostile.TIME}
        print(f"{name:40} {got[1] or 'answer':>8} {got[3]:6.2f} {load.peak_bytes >> 20:9}{'  WRONG: ' + got[2][:200] if is_wrong else ''}",
              flush=True)
        if is_wrong:
            wrong.append((name, got))
    phase(load, "one at a time")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--timeout-ms", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--only", default="", help="cases whose name has this")
    options = parser.parse_args()
    cases = [case for case in hostile.CASES if options.only in case[0]]
    with multiprocessing.Pool(1) as pool:
        hostile.fill(options.address, options.rows)
        with hostile.Load(options.address, options.pid) as load:
            time.sleep(5)
            phase(load, "before")
            wrong = alone(load, pool, options.address, cases, options.timeout_ms)
            wrong += storm(load, pool, options.address, "all at once", cases, options.at_once, options.timeout_ms)
            for case in cases:
                if case[0] in HEAVIEST:
                    wrong += storm(load, pool, options.address, case[0], [case] * options.at_once, options.at_once, options.timeout_ms)
        is_complete = load.is_complete()
    print(f"{load.rows_acknowledged} rows acknowledged, {'all there, each once' if is_complete else 'NOT ALL THERE'}; "
          f"{len(load.failures)} refused requests of load and panel; {len(wrong)} wrong answers")
    sys.exit(1 if wrong or not is_complete else 0)


if __name__ == "__main__":
    main()
