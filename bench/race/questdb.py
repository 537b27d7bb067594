"""QuestDB from Maven Central, on a free port of loopback: started, asked, and fed line protocol made of the events' JSON."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse

import engines

VERSION = "9.3.4"
DDL = ("CREATE TABLE events (ts TIMESTAMP, event_id UUID, event SYMBOL, user_id LONG, session_id VARCHAR, country SYMBOL, "
       "city SYMBOL CAPACITY 8192, device SYMBOL, os SYMBOL, browser SYMBOL, page SYMBOL CAPACITY 65536, referrer SYMBOL CAPACITY 4096, "
       "campaign SYMBOL CAPACITY 512, status SHORT, latency_ms DOUBLE, amount DOUBLE, bytes INT, is_new BOOLEAN, ip VARCHAR, "
       "agent SYMBOL CAPACITY 8192, message VARCHAR) TIMESTAMP(ts) PARTITION BY HOUR WAL")
SYMBOLS = ("event", "country", "city", "device", "os", "browser", "page", "referrer", "campaign", "agent")
TEXTS = ("event_id", "session_id", "ip", "message")
ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


def jar():
    """The one jar, resolved by plain mvn with whatever settings the machine has, once."""
    directory = f"build/questdb-{VERSION}"
    path = f"{directory}/questdb-{VERSION}.jar"
    if not os.path.exists(path):
        subprocess.run(["mvn", "-B", "-q", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
                        f"-Dartifact=org.questdb:questdb:{VERSION}", f"-DoutputDirectory={directory}"], check=True)
    return path


def lines_of(path):
    """A file of JSON events as line protocol, one bytes object."""
    out = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            tags = ",".join(f"{name}={event[name].translate(ESCAPES)}" for name in SYMBOLS)
            texts = ",".join(f'{name}="{event[name]}"' for name in TEXTS)
            when = event["ts"]  # 2026-05-01T00:00:00.123000Z
            seconds = engines.utc_seconds(when[:19])
            out.append(f"events,{tags} user_id={event['user_id']}i,{texts},status={event['status']}i,latency_ms={event['latency_ms']},"
                       f"amount={event['amount']},bytes={event['bytes']}i,is_new={'t' if event['is_new'] else 'f'} "
                       f"{seconds}{when[20:26]}000\n")
    return "".join(out).encode()


class QuestDB:
    name, ddl = "questdb", DDL

    def __init__(self, directory):
        root = os.path.join(directory, "root")
        os.makedirs(root, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = dict(os.environ, QDB_HTTP_BIND_TO=f"127.0.0.1:{port}", QDB_HTTP_MIN_ENABLED="false", QDB_PG_ENABLED="false",
                           QDB_LINE_TCP_ENABLED="false", QDB_TELEMETRY_ENABLED="false", QDB_HTTP_NET_CONNECTION_LIMIT="128")
        self.log = open(os.path.join(directory, "log"), "w")
        self.process = subprocess.Popen(["java", "-p", jar(), "-m", "io.questdb/io.questdb.ServerMain", "-d", root],
                                        env=environment, stdout=self.log, stderr=self.log)
        self.address, self.version = f"127.0.0.1:{port}", f"QuestDB {VERSION}"
        for _ in range(1200):
            try:
                self.ask("SELECT 1")
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"QuestDB did not start: see {directory}/log")

    def target(self, statement):
        return "/exec?" + urllib.parse.urlencode({"query": statement, "count": "false"}, safe=":")

    def request_bytes(self, statement):
        return f"GET {self.target(statement)} HTTP/1.1\r\nHost: {self.address}\r\n\r\n".encode()

    def ingest_head(self, size):
        return f"POST /write?precision=n HTTP/1.1\r\nHost: {self.address}\r\nContent-Length: {size}\r\n\r\n".encode()

    def ask(self, statement):
        connection = http.client.HTTPConnection(self.address, timeout=120)
        connection.request("GET", self.target(statement))
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        if reply.status != 200:
            raise RuntimeError(f"questdb: {statement}: {body.decode(errors='replace')}")
        return json.loads(body)

    def answer(self, statement):
        return self.ask(statement)["dataset"]

    def create(self):
        self.ask(self.ddl)

    def rows(self):
        return self.answer("SELECT count() FROM events")[0][0]

    def cpu_s(self):
        return engines.process_cpu_s(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
