"""The engines that race. Each runs in a process of its own with one query thread; its CPU time is that whole process's.

DuckDB and the ClickHouse engine (chDB) are libraries: a worker process (this file as a program) loads them and does what it is told over
its standard input, one JSON object a line. Freshet is a server: it is asked over HTTP, and its CPU time is read from its process clock. So
Freshet's figures contain HTTP and JSON, the peers' do not: they hand over columns in the cheapest form they have.

Types are each engine's fastest for the same range of values: DuckDB TIMESTAMP (TIMESTAMPTZ goes through a slow path), chDB
DateTime64(3,'UTC') and LowCardinality for columns of under 10,000 values. Caches of results are off.
"""

import calendar
import contextlib
import functools
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

FRESHET_COLUMNS = (
    "ts timestamptz NOT NULL, event_id uuid, event text, user_id bigint, session_id text, country text, city text, device text, os text, "
    "browser text, page text, referrer text, campaign text, status smallint, latency_ms double precision, amount numeric(12,2), "
    "bytes integer, is_new boolean, ip text, agent text, message text"
)
DUCKDB_COLUMNS = (
    "ts TIMESTAMP NOT NULL, event_id UUID, event VARCHAR, user_id BIGINT, session_id VARCHAR, country VARCHAR, city VARCHAR, device VARCHAR, "
    "os VARCHAR, browser VARCHAR, page VARCHAR, referrer VARCHAR, campaign VARCHAR, status SMALLINT, latency_ms DOUBLE, "
    "amount DECIMAL(12,2), bytes INTEGER, is_new BOOLEAN, ip VARCHAR, agent VARCHAR, message VARCHAR"
)
CHDB_COLUMNS = (
    "ts DateTime64(3,'UTC'), event_id UUID, event LowCardinality(String), user_id Int64, session_id String, country LowCardinality(String), "
    "city LowCardinality(String), device LowCardinality(String), os LowCardinality(String), browser LowCardinality(String), page String, "
    "referrer LowCardinality(String), campaign LowCardinality(String), status Int16, latency_ms Float64, amount Decimal(12,2), "
    "bytes Int32, is_new Bool, ip String, agent LowCardinality(String), message String"
)
FRESHET_DDL = f"CREATE TABLE events ({FRESHET_COLUMNS}) WITH (time = 'ts', lateness = '10 s')"
DUCKDB_DDL = f"CREATE TABLE events ({DUCKDB_COLUMNS})"
CHDB_DDL = f"CREATE TABLE events ({CHDB_COLUMNS}) ENGINE = MergeTree ORDER BY ts"
CHDB_ZSTD_ROWS = 4_000_000  # the second copy is for its size only


def process_cpu_s(pid):
    """CPU time of a whole process so far, in nanosecond steps: Linux makes a clock's number from a process id like this."""
    return time.clock_gettime((~pid << 3) | 2)


@functools.lru_cache(maxsize=4096)
def utc_seconds(text):
    """2026-05-01T00:00:00 as seconds since 1970."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def directory_bytes(path):
    return sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(path) for name in names)


class DuckDB:
    ddl = DUCKDB_DDL

    def __init__(self, directory):
        import duckdb

        self.file = os.path.join(directory, "events.duckdb")
        self.connection = duckdb.connect(self.file)
        self.version = "DuckDB " + duckdb.__version__
        self.connection.execute("SET memory_limit = '8GB'; SET TimeZone = 'UTC'; SET threads = 1")

    def create(self):
        self.connection.execute(self.ddl)

    def load(self, path):
        names = ", ".join(f"{part.split()[0]}: '{' '.join(part.split()[1:]).replace(' NOT NULL', '')}'"
                          for part in DUCKDB_COLUMNS.replace("(12,2)", "(12;2)").split(", ")).replace("(12;2)", "(12,2)")
        self.connection.execute(f"SET threads = {os.cpu_count()}")
        self.connection.execute(f"INSERT INTO events SELECT * FROM read_json('{path}', format = 'newline_delimited', "
                                f"columns = {{{names}}}, timestampformat = '%Y-%m-%dT%H:%M:%S.%fZ')")
        self.connection.execute("SET threads = 1")

    def finish(self):
        self.connection.execute("CHECKPOINT")

    def threads(self, count):
        self.connection.execute(f"SET threads = {count}")

    def multiply(self, times):
        import multiply

        others = ", ".join(multiply.COLUMNS[1:])
        self.connection.execute(f"DROP TABLE IF EXISTS {multiply.TABLE}")
        self.connection.execute(f"CREATE TABLE {multiply.TABLE} ({multiply.narrowed(DUCKDB_COLUMNS)})")
        self.connection.execute(f"SET threads = {os.cpu_count()}")
        self.connection.execute(f"INSERT INTO {multiply.TABLE} SELECT ts + to_milliseconds(k), {others} FROM "
                                f"(SELECT *, unnest(range({times})) AS k FROM events)")
        self.finish()

    def bytes(self):
        return {"DuckDB's file": [os.path.getsize(self.file), self.connection.execute("SELECT count(*) FROM events").fetchone()[0]]}

    def run(self, statements):
        for statement in statements:
            self.connection.sql(statement).to_arrow_table()

    def answer(self, statement):
        return [[value if isinstance(value, (int, float, bool, type(None))) else str(value) for value in row]
                for row in self.connection.execute(statement).fetchall()]


class ChDB:
    ddl = CHDB_DDL

    def __init__(self, directory):
        from chdb import session

        self.session = session.Session(os.path.join(directory, "chdb"))
        self.version = "chDB (ClickHouse " + self.session.query("SELECT version()", "TSVRaw").data().strip() + ")"
        for setting in ("max_threads = 1", "max_insert_threads = 1", "date_time_input_format = 'best_effort'",
                        "input_format_parallel_parsing = 0", "use_query_cache = 0", "use_query_condition_cache = 0",
                        "output_format_json_quote_64bit_integers = 0"):
            self.session.query("SET " + setting)

    def create(self):
        self.session.query(self.ddl)

    def load(self, path):
        # Read as plain String and made LowCardinality on insert: 1.6 times as fast as reading into LowCardinality.
        plain = CHDB_COLUMNS.replace("LowCardinality(String)", "String").replace("'", "\\'")
        self.session.query(f"INSERT INTO events SELECT * FROM file('{path}', 'JSONEachRow', '{plain}')")

    def finish(self):
        """Waits until background merges have nothing left to do, then forbids them."""
        quiet = 0
        while quiet < 5:
            running = int(self.session.query("SELECT count() FROM system.merges", "TSVRaw").data().strip())
            quiet = 0 if running else quiet + 1
            time.sleep(0.2)
        self.session.query("SYSTEM STOP MERGES")

    def threads(self, count):
        self.session.query(f"SET max_threads = {count}")

    def multiply(self, times):
        import multiply

        others = ", ".join(multiply.COLUMNS[1:])
        self.session.query("SYSTEM START MERGES")
        self.session.query(f"DROP TABLE IF EXISTS {multiply.TABLE} SYNC")
        self.session.query(f"CREATE TABLE {multiply.TABLE} ({multiply.narrowed(CHDB_COLUMNS)}) ENGINE = MergeTree ORDER BY ts")
        self.session.query(f"INSERT INTO {multiply.TABLE} SELECT addMilliseconds(ts, arrayJoin(range({times}))), {others} FROM events")
        self.finish()

    def parts(self, table):
        text = self.session.query(f"SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND table = '{table}'", "TSVRaw")
        return [int(value) for value in text.data().split()]

    def bytes(self):
        self.session.query("DROP TABLE IF EXISTS zstd")
        self.session.query(CHDB_DDL.replace("events", "zstd") + " SETTINGS default_compression_codec = 'ZSTD(1)'")
        self.session.query(f"INSERT INTO zstd SELECT * FROM events LIMIT {CHDB_ZSTD_ROWS}")
        result = {"chDB's parts, LZ4": self.parts("events"), "chDB's parts, ZSTD(1)": self.parts("zstd")}
        self.session.query("DROP TABLE zstd SYNC")
        return result

    def run(self, statements):
        for statement in statements:
            self.session.query(statement, "Native")

    def answer(self, statement):
        return json.loads(self.session.query(statement, "JSONCompact").data())["data"]


def worker_main(name, directory):
    """Answers {"do": method, "with": [arguments]} with {"value", "cpu_s", "wall_s"} or {"error"}."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    engine = {"duckdb": DuckDB, "chdb": ChDB}[name](directory)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            member = getattr(engine, order["do"])
            cpu, wall = time.process_time(), time.monotonic()
            value = member(*order["with"]) if callable(member) else member
            reply = {"value": value, "cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall}
        except Exception as failure:  # reported to the parent, which stops
            reply = {"error": str(failure)}
        print(json.dumps(reply, default=str), file=out, flush=True)


class Worker:
    """A library engine in its own process."""

    def __init__(self, name, directory):
        self.name, self.directory = name, directory
        os.makedirs(directory, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, __file__, name, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version, self.ddl = self.call("version")["value"], self.call("ddl")["value"]

    def call(self, what, *arguments):
        self.process.stdin.write(json.dumps({"do": what, "with": arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": "the process ended"}
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {what}: {reply['error']}")
        return reply

    def run(self, statements):
        reply = self.call("run", statements)
        return reply["cpu_s"], reply["wall_s"]

    def answer(self, statement):
        return self.call("answer", statement)["value"]

    def timed_answer(self, statement):
        """Rows, CPU and wall time."""
        reply = self.call("answer", statement)
        return reply["value"], reply["cpu_s"], reply["wall_s"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Freshet:
    """The server, in its own process, asked over one kept connection."""

    name, ddl = "freshet", FRESHET_DDL
    query_threads = 1

    def __init__(self, directory, *arguments):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.log = open(os.path.join(directory, "log"), "a")
        begin = time.monotonic()
        self.process = subprocess.Popen(["build/release/freshet", "serve", "--data", os.path.join(directory, "store"), "--http", "127.0.0.1:0",
                                         "--pg", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.address = ""
        while not self.address:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"freshet did not start: see {directory}/log")
            self.address = "".join(word[5:] for word in line.split() if word.startswith("http="))
            self.pg_address = "".join(word[3:] for word in line.split() if word.startswith("pg="))
        self.connection = http.client.HTTPConnection(self.address, timeout=900)
        self.wait_ready()
        self.ready_s = time.monotonic() - begin
        self.version = "Freshet " + subprocess.run(["git", "log", "-1", "--format=%h"], capture_output=True, text=True).stdout.strip()

    def request(self, method, path, body=None, headers=None):
        for attempt in (0, 1):
            try:
                self.connection.request(method, path, body, headers or {})
                reply = self.connection.getresponse()
                return reply.status, reply.read()
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
                self.connection.close()  # kept too long without a request: the server had closed it
                if attempt == 1:
                    raise

    def wait_ready(self):
        while self.request("GET", "/readyz")[0] != 200:
            time.sleep(0.02)

    def ask(self, statement, timeout_ms=900000, **settings):
        """The answer's bytes. Settings (partial_cache="on") are those of freshet.*; what is not said is as for the peers."""
        chosen = {"threads": str(self.query_threads), "partial_cache": "off", **settings}
        order = {"query": statement, "timeout_ms": timeout_ms, "settings": {"freshet." + name: value for name, value in chosen.items()}}
        status, body = self.request("POST", "/v1/sql", json.dumps(order), {"Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"freshet: {statement}: {body.decode(errors='replace')}")
        return body

    def cpu_s(self):
        return process_cpu_s(self.process.pid)

    def run(self, statements, **settings):
        cpu, wall = self.cpu_s(), time.monotonic()
        for statement in statements:
            self.ask(statement, **settings)
        return self.cpu_s() - cpu, time.monotonic() - wall

    def answer(self, statement):
        return json.loads(self.ask(statement)).get("rows")

    def timed_answer(self, statement, **settings):
        """Rows, types of the columns, CPU and wall time in seconds."""
        cpu, wall = self.cpu_s(), time.monotonic()
        body = self.ask(statement, **settings)
        cpu, wall = self.cpu_s() - cpu, time.monotonic() - wall
        answer = json.loads(body)
        return answer["rows"], [column["type"] for column in answer["columns"]], cpu, wall

    def settle(self):
        """Until the memory that the server makes present at its start is there."""
        def name(task):
            try:
                with open(f"/proc/{self.process.pid}/task/{task}/comm") as comm:
                    return comm.read().strip()
            except OSError:  # it has ended
                return ""
        while "pool-stock" in map(name, os.listdir(f"/proc/{self.process.pid}/task")):
            time.sleep(0.02)

    def create(self):
        self.ask(self.ddl)

    def post(self, view, body_bytes, connections=4):
        """Sends a file's lines in bodies of at most that size over several connections; each waits for its answer."""
        lock, place, failures = threading.Lock(), [0], []

        def take():
            with lock:
                begin = place[0]
                if begin >= len(view):
                    return None
                end = min(begin + body_bytes, len(view))
                if end < len(view):
                    end = view.rfind(b"\n", begin, end) + 1
                place[0] = end
                return view[begin:end]

        def send():
            connection = http.client.HTTPConnection(self.address, timeout=900)
            with contextlib.closing(connection):
                while not failures and (body := take()) is not None:
                    while True:
                        connection.request("POST", "/v1/ingest/events", body, {"Content-Type": "application/x-ndjson"})
                        reply = connection.getresponse()
                        text = reply.read()
                        if reply.status not in (429, 503):
                            break
                        time.sleep(0.2)
                    if reply.status != 200 or json.loads(text)["rejected_rows"]:
                        failures.append(f"HTTP {reply.status}: {text[:500]!r}")

        threads = [threading.Thread(target=send) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise RuntimeError("freshet: ingest: " + failures[0])

    def metric(self, name):
        for line in self.request("GET", "/metrics")[1].decode().splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def kill(self):
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def checkpoint(self):
        self.ask("CHECKPOINT")

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        if status:
            raise RuntimeError(f"freshet ended with status {status}: see {self.directory}/log")

    def wipe(self):
        shutil.rmtree(os.path.join(self.directory, "store"), ignore_errors=True)


if __name__ == "__main__":
    worker_main(sys.argv[1], sys.argv[2])
