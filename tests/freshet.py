"""The real binary under test: started on a free port of loopback, asked over HTTP, ended by its process id."""

import http.client
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY_TIMEOUT_S = 300


def binary():
    return os.environ.get("FRESHET_BINARY", str(ROOT / "build" / "release" / "freshet"))


def heed_interrupts():
    """Who started the tests may ignore SIGINT (a job in the background does), and a shell cannot take that back."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_running(pid):
    """Whether there is such a process and it has not ended: one that nobody has waited for yet has."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition, hang_s=300):
    end = time.monotonic() + hang_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Server:
    """One running server. `http` is its host:port."""

    def __init__(self, data, arguments=(), environment=None, program=None, wrapper=(), wait_ready=True, headers=None):
        self.data = pathlib.Path(data)
        self.headers = headers or {}  # of every request: Authorization where there are users
        self.log_path = self.data.parent / f"{self.data.name}.log"
        # The low mark of free disk is 2 GiB unless told otherwise: what the machine happens to have free decides no test.
        command = [*wrapper, program or binary(), "serve", "--data", str(self.data), "--http", "127.0.0.1:0",
                   "--pg", "127.0.0.1:0", "--rows-ready", "16 MiB", "--disk-low", "64 MiB",
                   *shlex.split(os.environ.get("FRESHET_ARGUMENTS", "")), *arguments]
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **(environment or {})})
        self.ready_line = ""
        self.http = self.pg = None
        if wait_ready:
            self.wait_ready()

    def wait_ready(self):
        self.ready_line = self.process.stdout.readline().decode()
        match = re.search(r"http=(\S+)", self.ready_line)
        assert match, f"no ready line: {self.ready_line!r}\n{self.log_text()[-4000:]}"
        self.http = match.group(1)
        pg = re.search(r"pg=(\S+)", self.ready_line)
        self.pg = pg.group(1) if pg else None
        end = time.monotonic() + READY_TIMEOUT_S
        while self.request("GET", "/readyz")[0] != 200:
            assert time.monotonic() < end, self.log_text()[-4000:]
            time.sleep(0.01)

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def connection(self, timeout=300):
        return http.client.HTTPConnection(self.http, timeout=timeout)

    def request(self, method, target, body=None, headers=None):
        """(status, headers, body bytes)"""
        connection = self.connection()
        try:
            connection.request(method, target, body, {**self.headers, **(headers or {})})
            reply = connection.getresponse()
            return reply.status, dict((k.lower(), v) for k, v in reply.getheaders()), reply.read()
        finally:
            connection.close()

    def ingest(self, table, body, query="", **headers):
        """(status, parsed answer)"""
        if isinstance(body, str):
            body = body.encode()
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        named.setdefault("Content-Type", "application/x-ndjson")
        status, _, text = self.request("POST", f"/v1/ingest/{table}{query}", body, named)
        return status, json.loads(text)

    def query(self, sql, **fields):
        """(status, parsed answer)"""
        status, _, text = self.request("POST", "/v1/sql", json.dumps({"query": sql, **fields}),
                                       {"Content-Type": "application/json"})
        return status, json.loads(text)

    def sql(self, sql, **fields):
        status, answer = self.query(sql, **fields)
        assert status == 200, (status, answer, sql)
        return answer

    def rows(self, sql):
        return self.sql(sql)["rows"]

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(200)
        self._close()

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(200)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(10)
        self._close()
        return status

    def _close(self):
        self.process.stdout.close()
        self.log.close()
