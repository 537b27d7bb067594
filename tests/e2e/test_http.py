"""The port: routes, statuses, framing, safety, clients that vanish, and stopping. Raw sockets where a client library is too polite."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import freshet
import pytest


def address(server):
    host, port = server.http.rsplit(":", 1)
    return host, int(port)


def raw(server, data, timeout=60):
    """What the server sends for these bytes until it closes or says nothing more, and whether it closed."""
    with socket.create_connection(address(server), timeout=timeout) as connection:
        connection.sendall(data)
        received = b""
        try:
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return received, True
                received += piece
        except (TimeoutError, ConnectionResetError) as error:
            return received, isinstance(error, ConnectionResetError)


def status_of(reply):
    return int(reply.split(b" ", 2)[1])


@pytest.mark.parametrize("method, target, status", [
    ("GET", "/healthz", 200), ("HEAD", "/healthz", 200), ("GET", "/readyz", 200), ("GET", "/metrics", 200), ("GET", "/", 200),
    ("GET", "/nope", 404), ("GET", "/v1/ingest/", 404), ("GET", "/v1/ingest/a/b", 404), ("PUT", "/healthz", 405),
    ("GET", "/v1/ingest/t", 405), ("DELETE", "/v1/sql", 405), ("GET", "/v1/live?q=x", 501), ("POST", "/write", 501),
    ("POST", "/api/v2/write", 501), ("GET", "/v1/endpoints/x", 404), ("GET", "/readyz?fresh=soon", 400),
    ("POST", "/v1/ingest/%ff", 400), ("DELETE", "/v1/sql/nothing-like-it", 404),
])
def test_routes(shared_server, method, target, status):
    got, headers, body = shared_server.request(method, target)
    assert got == status, body
    if status == 405:
        assert headers["allow"]
    if status >= 400:
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert problem["status"] == status and problem["sqlstate"] and problem["detail"]
    if method == "HEAD":
        assert body == b"" and int(headers["content-length"]) > 0


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("name, data", [
    ("both lengths", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("both lengths, turned", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    ("length twice", POST + b"Content-Length: 8\r\nContent-Length: 8\r\n\r\nSELECT 1"),
    ("length twice, different", POST + b"Content-Length: 8\r\nContent-Length: 3\r\n\r\nSELECT 1"),
    ("coding twice", POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("folded", HEALTH + b"X: a\r\n b\r\n\r\n"),
    ("folded by tab", HEALTH + b"X: a\r\n\tb\r\n\r\n"),
    ("bare LF", b"GET /healthz HTTP/1.1\nHost: localhost\n\n"),
    ("one bare LF", b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n"),
    ("no host", b"GET /healthz HTTP/1.1\r\n\r\n"),
    ("two hosts", HEALTH + b"Host: localhost\r\n\r\n"),
    ("negative length", POST + b"Content-Length: -8\r\n\r\nSELECT 1"),
    ("length with a sign", POST + b"Content-Length: +8\r\n\r\nSELECT 1"),
    ("huge length", POST + b"Content-Length: 99999999999999999999\r\n\r\n"),
    ("bad chunk", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ("large head", HEALTH + b"X: " + b"a" * 40000 + b"\r\n\r\n"),
    ("too many headers", HEALTH + b"X: a\r\n" * 200 + b"\r\n"),
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
])
def test_ambiguous_requests_are_refused(shared_server, name, data):
    reply, is_closed = raw(shared_server, data + HEALTH + b"\r\n")
    assert status_of(reply) == 400 and is_closed, (name, reply)
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", reply)) == 1, (name, reply)


@pytest.mark.parametrize("data", [
    HEALTH + b"Connection: close\r\n\r\n",
    b"\r\n" + HEALTH + b"Connection: close\r\n\r\n",
    b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    HEALTH + b"\r\n" + HEALTH + b"\r\n" + HEALTH + b"Connection: close\r\n\r\n",
    HEALTH + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
])
def test_odd_but_sound_requests_are_served(shared_server, data):
    reply, is_closed = raw(shared_server, data)
    assert is_closed and reply.count(b"HTTP/1.1 200 OK") == data.count(b"GET "), reply


def test_heads_cut_at_every_byte(shared_server):
    data = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\nSELECT 1\r\n0\r\n\r\n"
    for cut in range(1, len(data)):
        with socket.create_connection(address(shared_server), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(data[:cut])
            time.sleep(0.001)
            connection.sendall(data[cut:])
            reply = b""
            while piece := connection.recv(65536):
                reply += piece
            assert status_of(reply) == 200, (cut, reply)


@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("127.0.0.1:1", 200), ("[::1]", 200), ("a.localhost", 200), ("evil.example", 403),
    ("127.0.0.1.evil.example", 403), ("10.1.2.3", 403),
])
def test_host_must_be_ours(shared_server, host, status):
    assert shared_server.request("GET", "/healthz", headers={"Host": host})[0] == status


def test_origins(freshet_factory):
    server = freshet_factory(arguments=["--cors-origins", "https://a.example, https://b.example"])
    own = "http://" + server.http
    assert server.request("GET", "/healthz", headers={"Origin": own})[0] == 200
    for origin in ("null", "https://evil.example", "https://a.example.evil.example", "http://a.example"):
        status, headers, _ = server.request("POST", "/v1/sql", "SELECT 1", {"Origin": origin})
        assert status == 403 and "access-control-allow-origin" not in headers
    status, headers, _ = server.request("POST", "/v1/sql", "SELECT 1", {"Origin": "https://b.example"})
    assert status == 200 and headers["access-control-allow-origin"] == "https://b.example"
    status, headers, body = server.request("OPTIONS", "/v1/sql", headers={
        "Origin": "https://a.example", "Access-Control-Request-Method": "POST"})
    assert status == 204 and "POST" in headers["access-control-allow-methods"] and body == b""


def test_only_loopback_without_insecure(tmp_path):
    command = [freshet.binary(), "serve", "--data", str(tmp_path / "d"), "--http", "0.0.0.0:0", "--pg", "off"]
    result = subprocess.run(command, capture_output=True, timeout=120, text=True)
    assert result.returncode != 0 and "loopback" in result.stderr
    assert not (tmp_path / "d").exists()


def test_body_over_the_limit(freshet_factory):
    server = freshet_factory(arguments=["--body-max", "1 MiB"])
    head = b"POST /v1/ingest/t HTTP/1.1\r\nHost: localhost\r\n"
    reply, is_closed = raw(server, head + b"Content-Length: 1048577\r\n\r\n")
    assert status_of(reply) == 413 and is_closed and b"freshet load" in reply
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(20):  # the answer arrives though the body was not read to its end
        reply, is_closed = raw(server, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17)
        assert status_of(reply) == 413 and is_closed
        reply, is_closed = raw(server, head + b"Content-Length: 9000000\r\n\r\n" + b"x" * 9000000)
        assert status_of(reply) == 413 and is_closed
    reply, _ = raw(server, head + b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n")
    assert status_of(reply) == 413


def resident_mib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) >> 10


def test_bodies_that_never_end_stay_within_their_memory(freshet_factory):
    """Requests that stop before their last byte hold no more than the share of bodies; the largest of them get 429."""
    server = freshet_factory(arguments=["--memory", "256 MiB"])
    server.sql("CREATE TABLE t (a bigint)")
    before, statuses = resident_mib(server), []
    held = [socket.create_connection(address(server), timeout=5) for _ in range(40)]
    for connection in held:
        connection.sendall(b"POST /v1/ingest/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\n\r\n")
    for _ in range(30):
        for connection in list(held):
            try:
                connection.sendall(b" " * 500000)
            except OSError:
                held.remove(connection)
        if "release" in freshet.binary():  # sanitizers keep what was freed
            assert resident_mib(server) - before < 400, "the bodies hold too much"
    assert server.ingest("t", '{"a":1}\n')[0] == 200
    for connection in held:
        connection.settimeout(0.05)
        try:
            if reply := connection.recv(4000):
                statuses.append(status_of(reply))
        except OSError:
            pass
        connection.close()
    assert set(statuses) <= {429}
    metrics = server.request("GET", "/metrics")[2].decode()
    assert float(metrics.split('freshet_http_responses_total{code="429"} ')[1].split()[0]) >= 10


def test_replies_that_nobody_reads_are_cut_when_room_is_needed(freshet_factory):
    """Clients that ask for much and read nothing; one that reads slowly while there is room gets everything."""
    server = freshet_factory(arguments=["--memory", "256 MiB"])
    server.sql("CREATE TABLE t (a bigint)")
    server.ingest("t", "".join(f'{{"a":{i}}}\n' for i in range(1000)))
    sql = b"SELECT a.a, b.a, '" + b"x" * 40 + b"' FROM t a, t b LIMIT 200000"
    request = POST + b"Content-Length: %d\r\n\r\n" % len(sql) + sql
    held = []
    for _ in range(12):
        held.append(socket.create_connection(address(server), timeout=120))
        held[-1].sendall(request)
        assert held[-1].recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
    time.sleep(5.5)
    whole = server.request("POST", "/v1/sql", sql)  # needs room: those make it
    assert whole[0] == 200 and json.loads(whole[2])["rows"][-1] == [199, 999, "x" * 40]

    def read_to_end(connection):
        size = 0
        try:
            while piece := connection.recv(1 << 20):
                size += len(piece)
                if size >= len(whole[2]):
                    return True
        except OSError:
            pass
        return False

    outcomes = [read_to_end(connection) for connection in held]
    for connection in held:
        connection.close()
    assert 4 <= outcomes.count(False) < 12, outcomes
    assert outcomes == sorted(outcomes), "the oldest are cut first"


def test_slow_and_idle_connections_are_closed(freshet_factory):
    server = freshet_factory(arguments=["--request-timeout", "1 s"])
    for start in (b"", b"GET /hea", POST + b"Content-Length: 100\r\n\r\nSELECT"):
        begin = time.monotonic()
        reply, is_closed = raw(server, start or HEALTH + b"\r\n")
        assert is_closed and time.monotonic() - begin > 0.5, (start, reply)
    assert server.request("GET", "/healthz")[0] == 200


def test_connection_limit_makes_others_wait(freshet_factory):
    server = freshet_factory(arguments=["--connections-max", "8"])
    held = [socket.create_connection(address(server), timeout=60) for _ in range(8)]
    time.sleep(0.2)
    with socket.create_connection(address(server), timeout=60) as late:
        late.sendall(HEALTH + b"\r\n")
        late.settimeout(0.5)
        with pytest.raises(TimeoutError):
            late.recv(100)
        for connection in held:
            connection.close()
        late.settimeout(60)
        assert late.recv(100).startswith(b"HTTP/1.1 200")


def vanish(server, seed, count):
    """Connections that end at a random byte, by FIN, RST or half-close."""
    chance = random.Random(seed)
    rows = b"".join(b'{"ts":%d,"a":%d,"s":"%s"}\n' % (1780000000 + i, i, b"x" * 50) for i in range(2000))
    requests = [
        b"POST /v1/ingest/vanish?create=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(rows) + rows,
        b"POST /v1/ingest/vanish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(rows) + rows
        + b"\r\n0\r\n\r\n",
        b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70\r\n\r\n" + b"SELECT a, count(*) FROM vanish GROUP BY a ORDER BY a".ljust(70),
    ]
    for _ in range(count):
        data = chance.choice(requests)
        cut = chance.choice([len(data), chance.randrange(1, len(data) + 1)])
        connection = socket.create_connection(address(server), timeout=20)
        try:
            connection.sendall(data[:cut])
            time.sleep(chance.choice([0, 0, 0.0005, 0.004]))
            end = chance.randrange(4)
            if end == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif end == 1:
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(0.002)
                connection.recv(100)
            elif end == 2:
                connection.settimeout(0.002)
                connection.recv(10)
        except (OSError, TimeoutError):
            pass
        finally:
            connection.close()


def test_vanishing_clients_leak_and_crash_nothing(freshet_factory):
    """R15: 2,000 aborts at random points. Run with FRESHET_BINARY set to the ASan build for its verdict at the end."""
    server = freshet_factory()
    threads = [threading.Thread(target=vanish, args=(server, seed, 250)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.request("GET", "/healthz")[0] == 200
    server.sql("SELECT 1")
    end = time.monotonic() + 100
    while True:  # all connections but ours are gone, and no body is accounted for any more
        metrics = server.request("GET", "/metrics")[2].decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in metrics if line and line[0] != "#")
        if float(values["freshet_http_connections"]) <= 1 and float(values["freshet_http_bodies_bytes"]) == 0:
            break
        assert time.monotonic() < end, values
        time.sleep(0.1)
    assert server.stop() == 0, server.log_text()[-4000:]


def test_stop_answers_what_is_under_way(freshet_factory):
    server = freshet_factory()
    server.sql("CREATE TABLE t (a bigint)")
    idle = [socket.create_connection(address(server), timeout=60) for _ in range(20)]
    half = socket.create_connection(address(server), timeout=60)
    half.sendall(POST + b"Content-Length: 100\r\n\r\nSEL")
    answers = []

    def send():
        with contextlib.suppress(ConnectionError):  # who comes after the end
            answers.append(server.ingest("t", b'{"a":1}\n' * 100000)[0])

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert server.process.wait(100) == 0
    assert all(status in (200, 503) for status in answers), answers
    for connection in [*idle, half]:
        connection.close()
    again = freshet_factory(data=server.data)
    assert again.rows("SELECT count(*) FROM t") == [[100000 * answers.count(200)]]


def test_healthz_before_readyz(tmp_path, freshet_factory):
    """The port is open before the log is replayed; a signal in that time ends the process at once."""
    server = freshet_factory()
    assert server.request("GET", "/healthz")[0] == 200
    assert "listening" in server.log_text()
    assert server.log_text().index("listening") < server.log_text().index("ready position")


def test_ready_names_sources_that_are_not_fresh(server):
    server.sql("CREATE TABLE f (ts timestamptz NOT NULL)")
    assert server.ingest("f", '{"ts":"2026-05-01T00:00:00Z"}\n', Freshet_Producer="lamp", Freshet_Sequence="1")[0] == 200
    assert server.request("GET", "/readyz?fresh=1min")[0] == 200
    time.sleep(1.2)
    status, headers, body = server.request("GET", "/readyz?fresh=1s")
    assert status == 503 and "f/lamp" in json.loads(body)["detail"] and "retry-after" in headers, body
    assert server.request("GET", "/readyz")[0] == 200


def test_metrics_are_clean(shared_server):
    shared_server.ingest("m", b'{"ts":"2026-05-01T00:00:00Z","a":1}\n{"ts":"x"}\n', "?create=true", freshet_producer='p"\\x', freshet_sequence="1")
    shared_server.query("SELECT nonsense")
    status, headers, text = shared_server.request("GET", "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == b"", result.stderr
    assert ",," not in text.decode()
    names = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    for wanted in ("freshet_build_info", "freshet_io_backend", "freshet_memory_bytes", "freshet_disk_free_bytes",
                   "freshet_http_requests_total", "freshet_backpressure_total", "freshet_log_sync_failures_total",
                   "freshet_lexicon_bytes", "process_cpu_seconds_total"):
        assert wanted in names, sorted(names)
