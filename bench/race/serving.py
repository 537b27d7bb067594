"""Panels under load: 32 connections ask a mix of six panels over the newest minutes while events come in, Freshet and then QuestDB.

Both get the same history, the same events at the same rate and the same questions; the answers of both over the history are compared first.
Before it counts each is asked for ten seconds, so that a cold JVM is no excuse. Freshet answers a request when its rows are synced and
visible, QuestDB (by default) when they are in its log unsynced. Each server has the whole machine, on which sender and askers run too.
"""

import json
import multiprocessing
import os
import selectors
import socket
import sys
import time

import engines
import panels as panel_file
import questdb
import report
from events import MINUTES, START, events_file

BATCH_EVENTS = 500
SENDERS = 8
WARM_SECONDS = 10

# (name, Freshet's SQL, QuestDB's): over the last ten or thirty minutes of the history and all that has come since.
MIX = [
    ("per minute", "SELECT date_trunc('minute', ts) AS minute, count(*) FROM events WHERE ts >= timestamptz '2026-05-01 02:50:00+00' "
     "GROUP BY 1 ORDER BY 1", "SELECT ts, count() FROM events WHERE ts >= '2026-05-01T02:50:00Z' SAMPLE BY 1m ALIGN TO CALENDAR"),
    ("by event", "SELECT event, count(*), avg(latency_ms) FROM events WHERE ts >= timestamptz '2026-05-01 03:10:00+00' GROUP BY 1 ORDER BY 1",
     "SELECT event, count(), avg(latency_ms) FROM events WHERE ts >= '2026-05-01T03:10:00Z' ORDER BY event"),
    ("top pages", "SELECT page, count(*) AS n FROM events WHERE ts >= timestamptz '2026-05-01 03:10:00+00' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
     "SELECT page, count() AS n FROM events WHERE ts >= '2026-05-01T03:10:00Z' ORDER BY n DESC, page LIMIT 10"),
    ("one country", "SELECT date_trunc('minute', ts) AS minute, count(*), max(latency_ms) FROM events WHERE country = 'AA' AND "
     "ts >= timestamptz '2026-05-01 02:50:00+00' GROUP BY 1 ORDER BY 1",
     "SELECT ts, count(), max(latency_ms) FROM events WHERE country = 'AA' AND ts >= '2026-05-01T02:50:00Z' SAMPLE BY 1m ALIGN TO CALENDAR"),
    ("errors by page", "SELECT page, sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS errors, count(*) FROM events "
     "WHERE ts >= timestamptz '2026-05-01 03:10:00+00' GROUP BY 1 ORDER BY errors DESC, 1 LIMIT 20",
     "SELECT page, sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS errors, count() FROM events WHERE ts >= '2026-05-01T03:10:00Z' "
     "ORDER BY errors DESC, page LIMIT 20"),
    ("totals", "SELECT count(*), avg(latency_ms), max(bytes) FROM events WHERE ts >= timestamptz '2026-05-01 03:10:00+00'",
     "SELECT count(), avg(latency_ms), max(bytes) FROM events WHERE ts >= '2026-05-01T03:10:00Z'"),
]


class FreshetServer(engines.Freshet):
    def request_bytes(self, statement):
        body = json.dumps({"query": statement, "settings": {"freshet.partial_cache": "off"}}).encode()
        return (f"POST /v1/sql HTTP/1.1\r\nHost: {self.address}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body

    def ingest_head(self, size):
        return (f"POST /v1/ingest/events HTTP/1.1\r\nHost: {self.address}\r\nContent-Type: application/x-ndjson\r\n"
                f"Content-Length: {size}\r\n\r\n").encode()

    def prepare(self, path):
        with open(path, "rb") as file:
            return file.read()

    def rows(self):
        return int(self.answer("SELECT count(*) FROM events")[0][0])


def connect(address):
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def is_complete(reply):
    """Is this one whole HTTP reply, by Content-Length or by its last chunk?"""
    head, found, body = bytes(reply).partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return body.endswith(b"0\r\n\r\n") or head.split(b" ", 2)[1] == b"204"


def send_events(address, batches, rate, seconds, result):
    """Posts prepared requests at the rate, on eight connections in turn, each after its last answer; what it managed."""
    connections = [connect(address) for _ in range(SENDERS)]
    waiting = [False] * SENDERS
    begin, sent, failed, late = time.monotonic(), 0, 0, 0.0
    for index, request in enumerate(batches):
        due = begin + index * BATCH_EVENTS / rate
        now = time.monotonic()
        if now > begin + seconds:
            break
        if due > now:
            time.sleep(due - now)
        late = max(late, now - due)
        turn = index % SENDERS
        if waiting[turn]:
            failed += not read_reply(connections[turn])
        connections[turn].sendall(request)
        waiting[turn] = True
        sent += BATCH_EVENTS
    for turn in range(SENDERS):
        if waiting[turn]:
            failed += not read_reply(connections[turn])
    result.put({"sent": sent, "failed": failed, "seconds": time.monotonic() - begin, "late_s": late})


def read_reply(connection):
    reply = bytearray()
    while not is_complete(reply):
        part = connection.recv(65536)
        if not part:
            return False
        reply += part
    return reply.split(b" ", 2)[1] in (b"200", b"204")


def ask_panels(address, requests, connections, seconds, result):
    """Each connection asks one panel after the other without a pause; latencies by panel."""
    selector = selectors.DefaultSelector()
    latencies, failed = [[] for _ in requests], 0
    begin = time.monotonic()
    for index in range(connections):
        connection = connect(address)
        state = {"panel": index % len(requests), "at": time.monotonic(), "reply": bytearray()}
        connection.sendall(requests[state["panel"]])
        selector.register(connection, selectors.EVENT_READ, state)
    while (now := time.monotonic()) < begin + seconds:
        for key, _ in selector.select(0.1):
            state = key.data
            state["reply"] += key.fileobj.recv(262144)
            if not is_complete(state["reply"]):
                continue
            now = time.monotonic()
            failed += not state["reply"].startswith(b"HTTP/1.1 200")
            latencies[state["panel"]].append(now - state["at"])
            state.update(panel=(state["panel"] + 1) % len(requests), at=now, reply=bytearray())
            key.fileobj.sendall(requests[state["panel"]])
    result.put({"latencies": latencies, "failed": failed, "seconds": time.monotonic() - begin})


def batches_of(head, data):
    """Requests of BATCH_EVENTS lines each."""
    lines = data.splitlines(keepends=True)
    for first in range(0, len(lines), BATCH_EVENTS):
        body = b"".join(lines[first:first + BATCH_EVENTS])
        yield head(len(body)) + body


def fill(server, data, rows):
    connection = connect(server.address)
    for request in batches_of(server.ingest_head, data):
        connection.sendall(request)
        if not read_reply(connection):
            sys.exit(f"bench/peers: {server.name} refused events of the history")
    connection.close()
    while server.rows() < rows:
        time.sleep(0.2)


def quantile(values, q):
    return sorted(values)[min(int(q * len(values)), len(values) - 1)] if values else 0.0


def send_alone(server, options, live, seconds):
    """Events a second that are acknowledged while nobody asks, and how many there were."""
    result = multiprocessing.Queue()
    sender = multiprocessing.Process(target=send_events, args=(server.address, live, options.rate, seconds, result))
    sender.start()
    sent = result.get()
    sender.join()
    return sent["sent"] / sent["seconds"], sent["sent"]


def run_load(server, which, options, live):
    """One engine under load: what the sender and the askers saw. The first of the live events come while nobody asks."""
    alone_per_s, alone = send_alone(server, options, live, alone_seconds(options))
    live = live[alone // BATCH_EVENTS:]
    requests = [server.request_bytes(entry[which]) for entry in MIX]
    results = [multiprocessing.Queue(), multiprocessing.Queue()]
    workers = [multiprocessing.Process(target=send_events, args=(server.address, live, options.rate, options.seconds, results[0])),
               multiprocessing.Process(target=ask_panels, args=(server.address, requests, options.connections, options.seconds, results[1]))]
    warm = multiprocessing.Queue()
    ask_panels(server.address, requests, options.connections, WARM_SECONDS, warm)
    warm.get()
    cpu = server.cpu_s()
    for worker in workers:
        worker.start()
    sent, asked = results[0].get(), results[1].get()
    cpu = server.cpu_s() - cpu
    for worker in workers:
        worker.join()
    visible = server.rows() - options.history - alone
    every = [value for values in asked["latencies"] for value in values]
    return {"engine": server.name, "panels_per_s": len(every) / asked["seconds"], "p50_ms": 1000 * quantile(every, 0.5),
            "p99_ms": 1000 * quantile(every, 0.99), "events_per_s": sent["sent"] / sent["seconds"],
            "alone_per_s": alone_per_s, "visible": visible, "sent": sent["sent"], "behind_s": sent["late_s"],
            "failed": sent["failed"] + asked["failed"], "cpu_s": cpu,
            "by_panel_p50_ms": {entry[0]: 1000 * quantile(values, 0.5) for entry, values in zip(MIX, asked["latencies"])}}


def alone_seconds(options):
    return max(options.seconds // 3, 1)


def serving_part(options, directory, result):
    seconds = options.seconds + alone_seconds(options)
    rows_live = options.rate * seconds + BATCH_EVENTS
    outcome, answers, kinds = [], {}, {}
    with events_file(options.history, 1, 0, options.history) as history, \
            events_file(rows_live, 2, 0, rows_live * MINUTES * 60 // seconds, START + MINUTES * 60) as live:
        for which, name in ((1, "freshet"), (2, "questdb")):
            server = (FreshetServer(os.path.join(directory, "serving"), "--memory", options.memory) if name == "freshet"
                      else questdb.QuestDB(os.path.join(directory, "serving-questdb")))
            try:
                print(f"{server.version}\n    {server.ddl}", flush=True)
                server.create()
                fill(server, server.prepare(history), options.history)
                answers[name] = [server.answer(entry[which]) for entry in MIX]
                if name == "freshet":
                    kinds = [server.timed_answer(entry[1])[1] for entry in MIX]
                outcome.append(run_load(server, which, options, list(batches_of(server.ingest_head, server.prepare(live)))))
            finally:
                server.stop()
    for index, entry in enumerate(MIX):
        wrong = panel_file.difference(answers["freshet"][index], answers["questdb"][index], kinds[index])
        if wrong:
            sys.exit(f"bench/peers: panel “{entry[0]}”: freshet and questdb differ: {wrong}")
    print(f"\nAnswers of {len(MIX)} panels over the history are equal. {options.connections} connections for {options.seconds} s each, while "
          f"{options.rate:,} events/s of 1 KB come in, after a history of {options.history:,}:\n")
    report.print_table(["", "panels/s", "p50 ms", "p99 ms", "sent/s", "sent/s unasked", "visible at the end", "behind s", "failed", "server CPU s"],
                       [[run["engine"], f"{run['panels_per_s']:.1f}", f"{run['p50_ms']:.1f}", f"{run['p99_ms']:.1f}",
                         f"{run['events_per_s']:,.0f}", f"{run['alone_per_s']:,.0f}", f"{100 * run['visible'] / run['sent']:.0f} %", f"{run['behind_s']:.2f}", run["failed"], f"{run['cpu_s']:.1f}"] for run in outcome])
    print(f"\npanels per second, freshet / questdb: {outcome[0]['panels_per_s'] / outcome[1]['panels_per_s']:.2f}")
    result["serving"] = outcome
