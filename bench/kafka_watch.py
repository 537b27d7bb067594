"""What bench/kafka asks of a running server, and how it prints it.

    kafka_watch.py drain ADDRESS BOOTSTRAP TOPIC EVENTS PID   subscribes, waits for all of the topic; one line of JSON
    kafka_watch.py halt ADDRESS SUBSCRIPTION SECONDS RATE disables it under load, enables it, waits for the lag to be 0
    kafka_watch.py used PID                               CPU seconds of a process so far
    kafka_watch.py kept REPORT RATE PID USED              says whether a run kept the rate, and who took which share of the cores
    kafka_watch.py cost                                   "RUN WHO JSON" lines from standard input to a table of medians
"""

import http.client
import json
import os
import pathlib
import re
import statistics
import sys
import time

TIMEOUT_S = 390
ASK_EVERY_S = 0.25  # whoever asks more often measures his own questions


class Server:
    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=600)

    def ask(self, sql):
        self.connection.request("POST", "/v1/sql", sql)
        reply = self.connection.getresponse()
        answer = json.loads(reply.read())
        if reply.status != 200:
            sys.exit(f"{sql}: {answer}")
        return answer["rows"] if "rows" in answer else None

    def cpu_s(self):
        self.connection.request("GET", "/metrics")
        page = self.connection.getresponse().read().decode()
        return float(re.search(r"^process_cpu_seconds_total (\S+)", page, re.M).group(1))


def threads_ns(pid):
    """CPU of a process by the name of its threads, without their numbers."""
    used_ns = {}
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name, ns = (thread / "comm").read_text().strip(), int((thread / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it has ended
        name = "main" if name.startswith("freshet") else re.sub(r"^(iou|rdk)\b.*|[-:]?\d+(-\d+)*$", r"\1", name)
        used_ns[name] = used_ns.get(name, 0) + ns
    return used_ns


def drain(address, bootstrap, topic, events, pid):
    server, events = Server(address), int(events)
    server.ask("CREATE TABLE filled (ts timestamptz NOT NULL, event_id uuid, event text, user_id bigint, session_id text, country text, "
               "city text, device text, os text, browser text, page text, referrer text, campaign text, status smallint, latency_ms double "
               "precision, amount numeric(12,2), bytes integer, is_new boolean, ip text, agent text, message text) WITH (time = 'ts')")
    threads = threads_ns(pid)
    cpu, begin = server.cpu_s(), time.monotonic()
    server.ask(f"CREATE SUBSCRIPTION filled CONNECTION 'kafka://{bootstrap}' PUBLICATION {topic} WITH (table = 'filled')")
    while int(server.ask("SELECT coalesce(sum(received), 0) FROM freshet.ledger WHERE table_name = 'filled'")[0][0]) < events:
        if time.monotonic() > begin + TIMEOUT_S:
            sys.exit(f"the lag does not end: {server.ask('SELECT * FROM freshet.sources')}")
        time.sleep(ASK_EVERY_S)
    result = {"cpu_s": server.cpu_s() - cpu, "wall_s": time.monotonic() - begin}
    result["threads_ns"] = {name: ns - threads.get(name, 0) for name, ns in threads_ns(pid).items()}
    result["threads_ns"]["threads that ended"] = result["cpu_s"] * 1e9 - sum(result["threads_ns"].values())
    server.ask("CHECKPOINT")
    result |= {"sealed_cpu_s": server.cpu_s() - cpu, "sealed_wall_s": time.monotonic() - begin, "events": events}
    rows = server.ask("SELECT count(*) FROM filled")[0][0]
    if rows != events:
        sys.exit(f"{rows} rows of {events} events")
    print(json.dumps(result))


def cost():
    seen = {}
    for line in sys.stdin:
        _, who, text = line.split(" ", 2)
        seen.setdefault(who, []).append(json.loads(text))

    def rate(who, key):
        return statistics.median(run["events"] / run[key] for run in seen[who])

    count = seen["bare"][0]["events"]
    print(f"{'consuming ' + format(count, ',') + ' events':<52} {'events/CPU-s':>14} {'events/s':>12} {'of the loop':>12} {'set alike':>10}")
    bare, alike = rate("bare", "cpu_s"), rate("alike", "cpu_s")
    lines = [("librdkafka loop, discards, the library's settings", "bare", "cpu_s", "wall_s"),
             ("librdkafka loop, discards, set as a subscription", "alike", "cpu_s", "wall_s")]
    servers = [(who, name) for who, name in (("freshet", "Freshet"), ("against", "the other")) if who in seen]
    for who, name in servers:
        lines += [(f"{name}, durable and visible (lag 0)", who, "cpu_s", "wall_s"),
                  (f"{name}, sealed too (CHECKPOINT returned)", who, "sealed_cpu_s", "sealed_wall_s")]
    for name, who, cpu, wall in lines:
        print(f"{name:<52} {rate(who, cpu):14,.0f} {rate(who, wall):12,.0f} {rate(who, cpu) / bare:11.2f}x {rate(who, cpu) / alike:9.2f}x")
    for who, name in servers:
        shares = {thread: statistics.median(run["threads_ns"].get(thread, 0) for run in seen[who]) / count
                  for thread in {thread for run in seen[who] for thread in run["threads_ns"]}}
        parts = [f"{thread} {ns:,.0f}" for thread, ns in sorted(shares.items(), key=lambda share: -share[1]) if ns >= 5]
        print(f"{name} until lag 0, ns an event: {', '.join(parts)}")


def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used(pid):
    print(cpu_of(pid))


def kept(report_file, asked, pid, before):
    with open(report_file) as file:
        report = json.load(file)
    took, asked = report["elapsed_s"], float(asked)
    reached = report["delivered_rows"] / took
    shares = [f"{name} {cpu / took:.0%}" for name, cpu in (("broker", cpu_of(pid) - float(before)), ("generator", report["generator_cpu_s"]),
                                                           ("server", report["server_cpu_s"]))]
    verdict = "kept" if reached >= 0.95 * asked else "NOT kept, so the latencies contain the queue in front of the broker"
    print(f"rate {verdict}: {reached:,.0f} events/s of {asked:,.0f} reached the broker within {took:.0f} s; of a core, with {os.cpu_count()} "
          f"here: {', '.join(shares)}")


def halt(address, subscription, seconds, rate):
    server = Server(address)

    def lag():
        known = server.ask(f"SELECT count(*), count(lag_rows), sum(lag_rows) FROM freshet.sources WHERE source LIKE '{subscription}/%'")[0]
        return int(known[2]) if known[0] == known[1] > 0 else None

    def wait(check, limit_s, what):
        begin = time.monotonic()
        while not check():
            if time.monotonic() > begin + limit_s:
                sys.exit(f"{what}: {server.ask('SELECT * FROM freshet.sources')}")
            time.sleep(0.05)
        return time.monotonic() - begin

    name = f"SELECT count(*) FROM freshet.subscriptions WHERE name = '{subscription}'"
    wait(lambda: server.ask(name)[0][0] == 1, 60, "no subscription")
    time.sleep(8)
    usual = lag()
    server.ask(f"ALTER SUBSCRIPTION {subscription} DISABLE")
    time.sleep(float(seconds))
    server.connection.close()  # the server ends idle connections after 60 s; the next question opens another
    server.ask(f"ALTER SUBSCRIPTION {subscription} ENABLE")
    begin, most = time.monotonic(), 0

    # Rows still come while it catches up: level with the load again is as little lag as there was before.
    def is_level():
        nonlocal most
        now = lag()
        most = max(most, now or 0)
        return now is not None and most > float(seconds) * float(rate) / 2 and now <= max(usual or 0, float(rate) * 0.02)

    wait(is_level, TIMEOUT_S, "the lag does not end")
    took = time.monotonic() - begin
    print(f"disabled for {seconds} s at {rate} events/s: lag {most:,} rows, level with the load again after {took:.1f} s "
          f"({most / took + float(rate):,.0f} events/s meanwhile, the generator and the broker on the same cores)")


if __name__ == "__main__":
    {"drain": drain, "cost": cost, "halt": halt, "used": used, "kept": kept}[sys.argv[1]](*sys.argv[2:])
