"""Panels under load: 32 connections ask a mix of six panels over the newest minutes while events come in, Freshet and then QuestDB.

Both get the same history, the same events at the same rate and the same questions; the answers of both over the history are compared first.
Senders and askers are bench/micro/pressure.c, a process each, whose own CPU time is printed beside the server's: they run on the same
cores. A panel's window moves with the clock, to the millisecond, so that no two texts are the same. Before it counts each engine is asked
for some seconds, so that a cold JVM is no excuse, and takes events for some seconds while nobody asks. Freshet answers a request when its
rows are synced and visible, QuestDB (by default) when they are in its log unsynced. Freshet is asked twice, its partial aggregates per
segment off (they are a cache, which the other does not have) and on (as it comes); the ratio to QuestDB is told for both.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import engines
import panels as panel_file
import questdb
import report
from events import MINUTES, START

BATCH_EVENTS = 500
SENDERS = 8
WARM_SECONDS = 8
CLIENT = "build/release/bench_pressure"
LIVE = START + MINUTES * 60  # event time of the first live event
LONG, SHORT = "2026-05-01T02:50:00.000", "2026-05-01T03:10:00.000"  # where the windows begin before they move: 30 and 10 minutes back

# (name, where its window begins, Freshet's SQL, QuestDB's); @ is that time.
MIX = [
    ("per minute", LONG, "SELECT date_trunc('minute', ts) AS minute, count(*) FROM events WHERE ts >= timestamptz '@+00' "
     "GROUP BY 1 ORDER BY 1", "SELECT ts, count() FROM events WHERE ts >= '@Z' SAMPLE BY 1m ALIGN TO CALENDAR"),
    ("by event", SHORT, "SELECT event, count(*), avg(latency_ms) FROM events WHERE ts >= timestamptz '@+00' GROUP BY 1 ORDER BY 1",
     "SELECT event, count(), avg(latency_ms) FROM events WHERE ts >= '@Z' ORDER BY event"),
    ("top pages", SHORT, "SELECT page, count(*) AS n FROM events WHERE ts >= timestamptz '@+00' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
     "SELECT page, count() AS n FROM events WHERE ts >= '@Z' ORDER BY n DESC, page LIMIT 10"),
    ("one country", LONG, "SELECT date_trunc('minute', ts) AS minute, count(*), max(latency_ms) FROM events WHERE country = 'AA' AND "
     "ts >= timestamptz '@+00' GROUP BY 1 ORDER BY 1",
     "SELECT ts, count(), max(latency_ms) FROM events WHERE country = 'AA' AND ts >= '@Z' SAMPLE BY 1m ALIGN TO CALENDAR"),
    ("errors by page", SHORT, "SELECT page, sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS errors, count(*) FROM events "
     "WHERE ts >= timestamptz '@+00' GROUP BY 1 ORDER BY errors DESC, 1 LIMIT 20",
     "SELECT page, sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS errors, count() FROM events WHERE ts >= '@Z' "
     "ORDER BY errors DESC, page LIMIT 20"),
    ("totals", SHORT, "SELECT count(*), avg(latency_ms), max(bytes) FROM events WHERE ts >= timestamptz '@+00'",
     "SELECT count(), avg(latency_ms), max(bytes) FROM events WHERE ts >= '@Z'"),
]


class FreshetServer(engines.Freshet):
    ingest = ("--path", "/v1/ingest/events")

    def __init__(self, directory, memory, cache):
        super().__init__(directory, "--memory", memory)
        self.name, self.settings = f"freshet, partials {cache}", {"freshet.partial_cache": cache}

    def request_bytes(self, statement):
        body = json.dumps({"query": statement, "settings": self.settings}).encode()
        return (f"POST /v1/sql HTTP/1.1\r\nHost: {self.address}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body

    def rows(self):
        return int(self.answer("SELECT count(*) FROM events")[0][0])


class QuestServer(questdb.QuestDB):
    ingest = ("--path", "/write?precision=n", "--line")


def client(*arguments):
    return subprocess.Popen([CLIENT, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def result_of(process):
    text = process.communicate()[0]
    if process.returncode:
        sys.exit("bench/peers: a client failed")
    return json.loads(text)


def sender(server, options, seed, first_s, seconds):
    """Live events at the rate, which is that of event time too, from so many seconds into the live time on."""
    return client("send", server.address, *server.ingest, "--events", int(options.rate * seconds), "--seed", seed, "--start", LIVE + first_s,
                  "--spread", options.rate, "--rate", options.rate, "--seconds", seconds, "--batch", BATCH_EVENTS, "--connections", SENDERS)


def asker(server, requests, options, first_s, seconds):
    return client("ask", server.address, "--requests", requests, "--connections", options.connections, "--seconds", seconds,
                  "--moved", 1000 * first_s)


def fill(server, options):
    """The history; waits until all of it is visible."""
    filled = result_of(client("send", server.address, *server.ingest, "--events", options.history, "--seed", 1, "--start", START,
                              "--spread", options.history / (MINUTES * 60), "--batch", 1000, "--connections", 4))
    if filled["answered"] < options.history:
        sys.exit(f"bench/peers: {server.name} refused events of the history")
    while server.rows() < options.history:
        time.sleep(0.1)


def write_requests(server, which, file):
    """The file that bench_pressure reads: name, size, place of the time and where it begins, then the request."""
    for name, begin, *texts in MIX:
        request = server.request_bytes(texts[which].replace("@", begin))
        begin_ms = 1000 * engines.utc_seconds(begin[:19])
        file.write(f"{name}\t{len(request)}\t{request.index(begin.encode())}\t{begin_ms}\n".encode() + request)
    file.flush()


def timed(server, *starts):
    """Results of the clients, CPU seconds of the server, and how many rows became visible meanwhile."""
    rows, cpu = server.rows(), server.cpu_s()
    running = [start() for start in starts]
    results = [result_of(process) for process in running]
    return results, server.cpu_s() - cpu, server.rows() - rows


def run_load(server, which, options):
    """One engine: events alone, then panels alone, then both, then panels alone over all that has come in: the events of the load are in
    the panels' windows, so that these have more to read than before. Event time goes on through all of it."""
    alone_s = max(options.seconds // 5, 1)
    warm_s = min(WARM_SECONDS, options.seconds)
    with tempfile.NamedTemporaryFile(prefix="freshet-requests-") as file:
        write_requests(server, which, file)
        (alone,), alone_cpu, _ = timed(server, lambda: sender(server, options, 2, 0, alone_s))
        (idle,), idle_cpu, _ = timed(server, lambda: asker(server, file.name, options, alone_s, warm_s))
        (sent, asked), cpu, visible = timed(server, lambda: sender(server, options, 3, alone_s, options.seconds),
                                            lambda: asker(server, file.name, options, alone_s, options.seconds))
        (after,), after_cpu, _ = timed(server, lambda: asker(server, file.name, options, alone_s + options.seconds, warm_s))
    for events, seconds in ((alone, alone_s), (sent, options.seconds)):
        events["seconds"] = max(events["seconds"], seconds)  # the last request is due a little before the end
    return {"engine": server.name, "panels_per_s": asked["count"] / asked["seconds"], "p50_ms": asked["p50_ms"], "p99_ms": asked["p99_ms"],
            "max_ms": asked["max_ms"], "idle_panels_per_s": idle["count"] / idle["seconds"], "idle_p99_ms": idle["p99_ms"],
            "idle_cpu_ms": 1000 * idle_cpu / max(idle["count"], 1), "after_panels_per_s": after["count"] / after["seconds"],
            "after_p99_ms": after["p99_ms"], "after_cpu_ms": 1000 * after_cpu / max(after["count"], 1),
            "events_per_s": sent["answered"] / sent["seconds"], "alone_per_s": alone["answered"] / alone["seconds"],
            "visible": visible, "sent": sent["sent"], "behind_s": sent["behind_s"], "answer_p50_ms": sent["p50_ms"],
            "answer_p99_ms": sent["p99_ms"], "alone_p99_ms": alone["p99_ms"], "failed": sum(part["failed"] for part in (sent, asked, alone, idle, after)),
            "seconds": sent["seconds"], "cores": cpu / sent["seconds"], "alone_cores": alone_cpu / alone["seconds"],
            "sender_cores": sent["cpu_s"] / sent["seconds"], "asker_cores": asked["cpu_s"] / asked["seconds"],
            "panels": asked["panels"]}


def answers_of(server, which):
    return [server.answer(entry[2 + which].replace("@", entry[1])) for entry in MIX]


def compare(answers, kinds, name):
    for index, entry in enumerate(MIX):
        wrong = panel_file.difference(answers["freshet, partials off"][index], answers[name][index], kinds[index])
        if wrong:
            sys.exit(f"bench/peers: panel “{entry[0]}”: freshet and {name} differ: {wrong}")


def starters(options, directory):
    """(which spelling, how to start it) of each that runs."""
    for cache in ("off", "on"):
        yield 0, lambda cache=cache: FreshetServer(os.path.join(directory, f"serving-{cache}"), options.memory, cache)
    if options.peers:
        yield 1, lambda: QuestServer(os.path.join(directory, "serving-questdb"))


def print_load(outcome, options):
    print(f"\nAnswers of {len(MIX)} panels over the history are equal. {options.connections} connections for {options.seconds} s each, while "
          f"{options.rate:,} events/s of 1 KB come in, after a history of {options.history:,}:\n")
    report.print_table(["", "panels/s", "p50 ms", "p99 ms", "slowest", "without events: panels/s", "p99 ms", "server CPU ms a panel",
                        "after them: panels/s", "p99 ms", "server CPU ms a panel", "server cores", "askers' cores", "failed"],
                       [[run["engine"], f"{run['panels_per_s']:.1f}", f"{run['p50_ms']:.1f}", f"{run['p99_ms']:.1f}", f"{run['max_ms']:.0f}",
                         f"{run['idle_panels_per_s']:.1f}", f"{run['idle_p99_ms']:.1f}", f"{run['idle_cpu_ms']:.2f}",
                         f"{run['after_panels_per_s']:.1f}", f"{run['after_p99_ms']:.1f}", f"{run['after_cpu_ms']:.2f}", f"{run['cores']:.2f}", f"{run['asker_cores']:.2f}",
                         run["failed"]] for run in outcome])
    print("\nEvents meanwhile, and unasked:\n")
    report.print_table(["", "acknowledged/s", "visible/s", "answer p50 ms", "p99 ms", "behind s", "sender's cores", "unasked: acknowledged/s",
                        "answer p99 ms", "server cores"],
                       [[run["engine"], f"{run['events_per_s']:,.0f}", f"{run['visible'] / run['seconds']:,.0f}", f"{run['answer_p50_ms']:.1f}",
                         f"{run['answer_p99_ms']:.1f}", f"{run['behind_s']:.2f}", f"{run['sender_cores']:.2f}", f"{run['alone_per_s']:,.0f}",
                         f"{run['alone_p99_ms']:.1f}", f"{run['alone_cores']:.2f}"] for run in outcome])
    print("\np50 / p99 ms of each panel:\n")
    report.print_table(["", *[entry[0] for entry in MIX]],
                       [[run["engine"], *[f"{panel['p50_ms']:.1f} / {panel['p99_ms']:.1f}" for panel in run["panels"].values()]]
                        for run in outcome])


def print_verdict(outcome, options):
    print()
    for run in outcome:
        kept = min(run["events_per_s"], run["visible"] / run["seconds"])
        if kept < 0.97 * options.rate:
            print(f"{run['engine']} did not keep the rate: {kept:,.0f} of {options.rate:,} events/s were visible")
    peers = [run for run in outcome if run["engine"] == "questdb"]
    for run in outcome:
        print(f"{run['engine']}: events a second with panels / without: {run['events_per_s'] / run['alone_per_s']:.3f}; "
              f"p99 with events / without: {run['p99_ms'] / run['idle_p99_ms']:.2f}, and {run['p99_ms'] / run['after_p99_ms']:.2f} "
              "of what it is without once their rows are there"
              + "".join(f"; panels a second / questdb's: {run['panels_per_s'] / peer['panels_per_s']:.1f}" for peer in peers if peer is not run))


def serving_part(options, directory, result):
    outcome, answers, kinds = [], {}, []
    for which, start in starters(options, directory):
        server = start()
        try:
            print(f"{server.name}: {server.version}\n    {server.ddl}", flush=True)
            server.create()
            fill(server, options)
            answers[server.name] = answers_of(server, which)
            kinds = kinds or [server.timed_answer(entry[2].replace("@", entry[1]))[1] for entry in MIX]
            compare(answers, kinds, server.name)
            outcome.append(run_load(server, which, options))
        finally:
            server.stop()
    print_load(outcome, options)
    print_verdict(outcome, options)
    result["serving"] = outcome
