"""The PostgreSQL port measured: small prepared queries beside PostgreSQL 15, panels over the wire and over HTTP, large results beside PostgreSQL 15.

Both servers run on this machine with what they are installed with, over TCP of loopback, and are asked the same by the same client: `pgbench
-M prepared` for small queries, in turn, so that what else the machine does meets both. What counts is the CPU time of all processes of a
server, divided by what it answered; PostgreSQL's includes starting its process for each connection, which is little over thousands of
queries."""

import argparse
import contextlib
import json
import mmap
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import engines
import report
from events import events_file
from panels import panels_read

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from differential import pg  # noqa: E402

SMALL_ROWS = 100_000
SMALL_DDL = "CREATE TABLE small (id bigint NOT NULL, name text, v integer, at timestamptz NOT NULL)"
SMALL_VALUES = ("SELECT g, 'name ' || g % 1000, (g * 7919 % 10007)::int, timestamptz '2026-05-01 00:00:00+00' + g * interval '1 second' "
                f"FROM generate_series(1, {SMALL_ROWS}) AS s(g)")
# (name, pgbench's script)
QUERIES = [
    ("SELECT 1", "SELECT 1;\n"),
    ("one row of 100,000 by key", f"\\set id random(1, {SMALL_ROWS})\nSELECT id, name, v, at FROM small WHERE id = :id;\n"),
    ("sum of 100 rows by a range of keys", f"\\set id random(1, {SMALL_ROWS} - 100)\n"
     "SELECT count(*), sum(v), max(v) FROM small WHERE id BETWEEN :id AND :id + 99;\n"),
]
CLIENTS = (1, 8)
PARTS = ("small", "moving", "plans", "panels", "large")


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/wire", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part alone; may be repeated")
    parser.add_argument("--queries", type=int, default=40_000, help="of each run of pgbench (40000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, taken in turn; the median counts (3)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="events that panels and large results are asked of (1000000)")
    return parser.parse_args()


class PostgreSQL(pg.PostgreSQL):
    """As installed, but for its place and its address."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {self.directory} -c timezone=UTC -c autovacuum=off -c max_wal_size=8GB"
        self._run("pg_ctl", "-D", self.data, "-l", self.directory / "log", "-o", options, "-w", "start")
        self.postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        self.dsn = f"host=127.0.0.1 port={port} user=freshet dbname=postgres"

    def cpu_s(self):
        """Of the postmaster, its children, and those that have ended."""
        ended = pathlib.Path(f"/proc/{self.postmaster}/stat").read_text().rsplit(")", 1)[1].split()[13:15]
        children = pathlib.Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text().split()
        return (sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")
                + sum(engines.process_cpu_s(int(pid)) for pid in [self.postmaster, *children]))


def connect(dsn):
    import psycopg

    return psycopg.connect(dsn, autocommit=True)


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- small prepared queries ---


def pgbench(dsn, script, clients, queries, server):
    """CPU microseconds of the server a query."""
    parts = dict(part.split("=") for part in dsn.split())
    begin = server.cpu_s()
    done = subprocess.run(["pgbench", "-h", parts["host"], "-p", parts["port"], "-U", parts["user"], "-n", "-M", "prepared", "-f", script,
                           "-c", str(clients), "-j", "1", "-t", str(queries // clients), parts["dbname"]], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench/wire: pgbench: {done.stderr}")
    time.sleep(0.3)  # PostgreSQL's processes end
    lines = done.stdout.splitlines()
    answered = next(int(line.split(":")[1].split("/")[0]) for line in lines if "actually processed" in line)
    return 1e6 * (server.cpu_s() - begin) / answered


def fill_small(ours, theirs):
    ours.execute(SMALL_DDL + " WITH (time = 'at', lateness = '365 days')")
    ours.execute("INSERT INTO small " + SMALL_VALUES)
    ours.execute("CHECKPOINT")
    theirs.execute(SMALL_DDL.replace("id bigint NOT NULL", "id bigint PRIMARY KEY"))
    theirs.execute("INSERT INTO small " + SMALL_VALUES)
    theirs.execute("VACUUM ANALYZE small")


def small_part(options, servers, directory):
    lines = []
    for index, (name, script) in enumerate(QUERIES):
        path = pathlib.Path(directory) / f"{index}.sql"
        path.write_text(script)
        for clients in CLIENTS:
            costs = {}
            for _ in range(options.runs):
                for which, server, dsn in servers:
                    costs.setdefault(which, []).append(pgbench(dsn, path, clients, options.queries, server))
            ours, theirs = (statistics.median(costs[which]) for which, _, _ in servers)
            lines.append([name, clients, f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"])
    print(f"\nSmall prepared queries, server CPU us a query, median of {options.runs} runs of {options.queries} taken in turn:\n")
    report.print_table(["", "clients", "freshet", "postgresql", "x"], lines)


# --- panels whose times move ---


MOVING_DDL = ("CREATE TABLE moving (ts timestamptz NOT NULL, host text, v double precision, n integer) WITH (time = 'ts', lateness = '365 days')",
              "INSERT INTO moving SELECT timestamptz '2026-05-01 00:00:00+00' + g * interval '100 milliseconds', 'host-' || g % 20, g % 977 / 3.0, "
              "g % 1000 FROM generate_series(0, 199999) AS s(g)", "CHECKPOINT")
MOVING = [
    "SELECT date_trunc('minute', ts) AS time, avg(v) AS value FROM moving WHERE ts BETWEEN '{a}' AND '{b}' GROUP BY 1 ORDER BY 1",
    "SELECT date_trunc('minute', ts) AS time, host AS metric, max(v) AS value FROM moving WHERE ts BETWEEN '{a}' AND '{b}' "
    "AND host IN ('host-1', 'host-2') GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT count(*), sum(n) FROM moving WHERE ts >= '{a}' AND ts < '{b}' AND n > 500",
    "SELECT host, count(*) FROM moving WHERE ts BETWEEN '{a}' AND '{b}' GROUP BY host ORDER BY 2 DESC, 1 LIMIT 5",
    "SELECT ts, host, v FROM moving WHERE ts BETWEEN '{a}' AND '{b}' AND host = 'host-7' ORDER BY ts DESC LIMIT 10",
]


def moving_text(number):
    """A minute's window that is never the same: 1.007 s on from one to the next."""
    def stamp(ms):
        return f"2026-05-01T{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}Z"

    begin = number * 1007 % 18_000_000
    return MOVING[number % len(MOVING)].format(a=stamp(begin), b=stamp(begin + 60_000))


def moving_part(options, freshet, connection):
    for statement in MOVING_DDL:
        connection.execute(statement)
    count, number, costs = max(options.queries // 20, 100), 0, {}
    for run in range(options.runs + 1):
        for way in ("HTTP", "wire"):
            for mode in ("off", "text", "on"):
                settings = {"freshet.plan_cache": mode, "freshet.partial_cache": "off"}
                for name, value in settings.items():
                    connection.execute(f"SET {name} = '{value}'")
                begin = freshet.cpu_s()
                for number in range(number, number + count):
                    if way == "wire":
                        connection.execute(moving_text(number), prepare=False).fetchall()
                        continue
                    order = {"query": moving_text(number), "settings": settings}
                    status, _ = freshet.request("POST", "/v1/sql", json.dumps(order), {"Content-Type": "application/json"})
                    assert status == 200
                number += 1
                if run > 0:  # the first one warms
                    costs.setdefault((way, mode), []).append(1e6 * (freshet.cpu_s() - begin) / count)
    print(f"\nFive small panels whose times move with each query, server CPU us a query, median of {options.runs} runs of {count}, one connection:\n")
    report.print_table(["freshet.plan_cache", "off", "text", "on"],
                       [[way] + [f"{statistics.median(costs[way, mode]):.0f}" for mode in ("off", "text", "on")] for way in ("HTTP", "wire")])


# --- plans: what making one costs, over a table without rows ---

PLANS_DDL = "CREATE TABLE plans (ts timestamptz NOT NULL, country text, page text, status integer, ms double precision) WITH (time = 'ts')"
# {t} moves from one refresh to the next, {k} is a literal that does when somebody changes the panel.
PLANS = (
    ("a rate per bucket", "SELECT time_bucket('{k} seconds', ts) AS time, count(*) / {k}.0 AS rate FROM plans WHERE ts >= '{t}' GROUP BY 1 ORDER BY 1"),
    ("percentile", "SELECT date_trunc('minute', ts) AS time, percentile_cont(0.{k}) WITHIN GROUP (ORDER BY ms) FROM plans "
                   "WHERE ts >= '{t}' AND country IN ('de', 'fr') GROUP BY 1 ORDER BY 1"),
    ("FILTER", "SELECT date_trunc('minute', ts) AS time, count(*) FILTER (WHERE status >= 5{k}) * 100.0 / count(*), "
               "sum(ms) FILTER (WHERE page = '/{k}') FROM plans WHERE ts >= '{t}' GROUP BY 1 ORDER BY 1"),
    ("CASE", "SELECT CASE WHEN status >= 5{k} THEN 'error' WHEN status >= 4{k} THEN 'client' ELSE 'ok' END AS class, count(*) "
             "FROM plans WHERE ts >= '{t}' GROUP BY 1 ORDER BY 2 DESC"),
    ("HAVING", "SELECT page, count(*) AS n FROM plans WHERE ts >= '{t}' GROUP BY page HAVING count(*) > {k} ORDER BY n DESC LIMIT 20"),
)
PLAN_WAYS = (("anew", "off", False, False), ("by text", "text", False, False), ("by shape", "on", True, False), ("another literal", "on", False, True))


def plans_part(options, freshet, connection):
    connection.execute(PLANS_DDL)
    count, costs = max(options.queries // 100, 60), {}
    for run in range(options.runs + 1):
        for name, statement in PLANS:
            for way, mode, moves, changes in PLAN_WAYS:
                begin = freshet.cpu_s()
                for number in range(count):
                    text = statement.format(t=f"2026-05-01 00:{number // 60 % 60 if moves else 0:02}:{number % 60 if moves else 0:02}+00",
                                            k=10 + number % 60 if changes else 50)
                    freshet.ask(text, plan_cache=mode)
                if run > 0:  # the first one warms
                    costs.setdefault((name, way), []).append(1e6 * (freshet.cpu_s() - begin) / count)
    print(f"\nQueries of a table without rows over HTTP, server CPU us a query by where the plan comes from, median of {options.runs} runs of {count}:\n")
    report.print_table(["plan", *(way[0] for way in PLAN_WAYS)],
                       [[name] + [f"{statistics.median(costs[name, way[0]]):.0f}" for way in PLAN_WAYS] for name, _ in PLANS])


# --- panels ---


def panels_part(options, freshet, connection):
    _, panels = panels_read(str(pathlib.Path(__file__).resolve().parents[1] / "panels.sql"))
    connection.execute("SET freshet.partial_cache = 'off'")
    lines, ratios = [], []
    for name, texts in panels:
        costs = {"wire": [], "http": []}
        for run in range(options.runs + 1):
            for way in costs:
                cpu, wall = freshet.cpu_s(), time.monotonic()
                for text in texts["freshet"]:
                    if way == "wire":
                        connection.execute(text, prepare=True, binary=False).fetchall()
                    else:
                        order = {"query": text, "settings": {"freshet.partial_cache": "off"}}
                        status, _ = freshet.request("POST", "/v1/sql", json.dumps(order), {"Content-Type": "application/json"})
                        assert status == 200
                if run > 0:  # the first one warms
                    costs[way].append((1e3 * (freshet.cpu_s() - cpu), 1e3 * (time.monotonic() - wall)))
        (wire_cpu, wire_ms), (http_cpu, http_ms) = (
            tuple(statistics.median(run[index] for run in costs[way]) for index in (0, 1)) for way in costs)
        ratios.append(wire_cpu / http_cpu)
        lines.append([name, f"{wire_cpu:.2f}", f"{http_cpu:.2f}", f"{wire_cpu / http_cpu:.2f}",
                      f"{wire_ms:.1f}", f"{http_ms:.1f}", f"{wire_ms / http_ms:.2f}"])
    lines.append(["geometric mean", "", "", f"{report.geometric_mean(ratios):.2f}", "", "", ""])
    print(f"\nPanels over {options.rows} events, each over the wire (text) and over HTTP (JSON); the time contains the client, Python:\n")
    report.print_table(["", "wire CPU ms", "HTTP CPU ms", "x", "wire ms", "HTTP ms", "x"], lines)


# --- large results ---


LARGE = [
    ("all 21 columns", "SELECT * FROM events LIMIT {rows}"),
    ("six numbers and times", "SELECT ts, user_id, status, latency_ms, bytes, is_new FROM events LIMIT {rows}"),
    ("three texts", "SELECT page, session_id, message FROM events LIMIT {rows}"),
]


def read_all(connection, text, binary):
    """(bytes of the values' messages, seconds): libpq reads, nothing is made of the rows."""
    from psycopg import pq

    result = 0
    raw = connection.pgconn
    begin = time.monotonic()
    raw.send_query_params(text.encode(), None, result_format=pq.Format.BINARY if binary else pq.Format.TEXT)
    raw.set_chunked_rows_mode(1000) if hasattr(raw, "set_chunked_rows_mode") else raw.set_single_row_mode()
    while (answer := raw.get_result()) is not None:
        if answer.status == pq.ExecStatus.FATAL_ERROR:
            sys.exit(f"bench/wire: {answer.error_message.decode()}")
        result += answer.ntuples
    return result, time.monotonic() - begin


def wire_bytes(connection, text, binary):
    """What the server writes of it: the bytes that came in on the socket."""
    import socket

    from psycopg import pq

    parts = {info.keyword.decode(): (info.val or b"").decode() for info in connection.pgconn.info}
    with socket.create_connection((parts["host"], int(parts["port"]))) as raw:
        body = b"\0\3\0\0" + b"user\0" + parts["user"].encode() + b"\0database\0" + parts["dbname"].encode() + b"\0\0"
        raw.sendall((len(body) + 4).to_bytes(4, "big") + body)
        form = int(pq.Format.BINARY if binary else pq.Format.TEXT)

        def message(kind, content):
            return kind + (len(content) + 4).to_bytes(4, "big") + content

        buffer = bytearray()
        while not buffer.endswith(b"Z\0\0\0\5I"):
            buffer += raw.recv(65536)
        begin = time.monotonic()
        raw.sendall(message(b"P", b"\0" + text.encode() + b"\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\1" + form.to_bytes(2, "big"))
                    + message(b"E", b"\0\0\0\0\0") + message(b"S", b""))
        total, tail = 0, b""
        into = bytearray(1 << 20)
        while not tail.endswith(b"Z\0\0\0\5I"):
            size = raw.recv_into(into)
            if not size:
                sys.exit("bench/wire: the connection ended")
            total += size
            tail = (tail + bytes(into[max(0, size - 6):size]))[-6:]
        return total, time.monotonic() - begin


def large_part(options, servers, connections):
    rows = min(options.rows, 200_000)
    lines = []
    for name, template in LARGE:
        for binary in (False, True):
            runs = {}
            for _ in range(options.runs):
                for which, server, _ in servers:
                    begin = server.cpu_s()
                    size, seconds = wire_bytes(connections[which], template.format(rows=rows), binary)
                    runs.setdefault(which, []).append((size, seconds, server.cpu_s() - begin))
            figures = {}
            for which, all_runs in runs.items():
                figures[which] = [statistics.median(size / 1e6 / run for size, *rest in all_runs for run in [rest[index]]) for index in (0, 1)]
            ours, theirs = (figures[which] for which, _, _ in servers)
            lines.append([f"{name}, {'binary' if binary else 'text'}", f"{runs[servers[0][0]][0][0] / 1e6:.1f}",
                          f"{ours[0]:.0f}", f"{theirs[0]:.0f}", f"{ours[0] / theirs[0]:.2f}",
                          f"{ours[1]:.0f}", f"{theirs[1]:.0f}", f"{ours[1] / theirs[1]:.2f}"])
    print(f"\nResults of {rows} rows, a client that reads and does nothing else; x: freshet / postgresql, above 1 Freshet is faster:\n")
    report.print_table(["", "MB", "freshet MB/s", "postgresql MB/s", "x", "freshet MB/CPU-s", "postgresql MB/CPU-s", "x"], lines)


def fill_events(options, stack, freshet, ours, postgres, theirs):
    path = stack.enter_context(events_file(options.rows, 1, 0, options.rows))
    freshet.create()
    with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
        freshet.post(view, 1 << 20)
    freshet.checkpoint()
    if theirs is None:
        return
    theirs.execute(f"CREATE UNLOGGED TABLE events ({engines.FRESHET_COLUMNS})")
    rows = min(options.rows, 200_000)
    with ours.cursor() as source, theirs.cursor() as target:
        with source.copy(f"COPY (SELECT * FROM events LIMIT {rows}) TO STDOUT (FORMAT binary)") as data, \
                target.copy("COPY events FROM STDIN (FORMAT binary)") as copy:
            for part in data:
                copy.write(part)
    theirs.execute("VACUUM ANALYZE events")


def main():
    options = arguments_read()
    parts = options.only or PARTS
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-wire-"))
        freshet = engines.Freshet(os.path.join(directory, "freshet"))
        stack.callback(freshet.stop)
        host, port = freshet.pg_address.rsplit(":", 1)
        dsn = f"host={host} port={port} user=bench dbname=freshet"
        ours = stack.enter_context(connect(dsn))
        ours.execute("SET freshet.max_rows = '100000000'")
        postgres = theirs = None
        if "small" in parts or "large" in parts:
            postgres = PostgreSQL(free_port())
            stack.callback(postgres.stop)
            theirs = stack.enter_context(connect(postgres.dsn))
            version = subprocess.run(["postgres", "--version"], capture_output=True, text=True,
                                     executable=pg.BINARIES / "postgres").stdout.strip()
            print(f"{freshet.version}; {version}", flush=True)
        servers = [("freshet", freshet, dsn), ("postgresql", postgres, postgres.dsn if postgres else "")]
        if "small" in parts:
            fill_small(ours, theirs)
            small_part(options, servers, directory)
        if "moving" in parts:
            moving_part(options, freshet, ours)
        if "plans" in parts:
            plans_part(options, freshet, ours)
        if "panels" in parts or "large" in parts:
            fill_events(options, stack, freshet, ours, postgres, theirs if "large" in parts else None)
        if "panels" in parts:
            panels_part(options, freshet, ours)
        if "large" in parts:
            large_part(options, servers, {"freshet": ours, "postgresql": theirs})


if __name__ == "__main__":
    main()
