"""The ring before h2o: what it takes, what it hands over, and that nobody can tell which of the two answered."""

import gzip
import json
import random
import re
import signal
import socket
import struct
import threading
import time

import freshet
import pytest


@pytest.fixture
def freshet_factory(freshet_factory):
    """The ring is off unless it is asked for: here it is."""
    def start(data=None, arguments=(), **options):
        return freshet_factory(data, ["--ring", "auto", *arguments], **options)
    return start


@pytest.fixture(scope="module")
def shared_server(new_module_folder):
    server = freshet.Server(new_module_folder("data") / "store", ["--ring", "auto"])
    yield server
    assert server.stop() == 0, server.log_text()[-4000:]


def address(server):
    host, port = server.http.rsplit(":", 1)
    return host, int(port)


def connect(server, timeout=60):
    connection = socket.create_connection(address(server), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Replies:
    """Replies of one connection, one after another."""

    def __init__(self, connection):
        self.connection, self.bytes = connection, b""

    def fill(self):
        piece = self.connection.recv(1 << 20)
        if not piece:
            raise EOFError(self.bytes)
        self.bytes += piece

    def next(self):
        """(status, head, body)"""
        while b"\r\n\r\n" not in self.bytes:
            self.fill()
        head, rest = self.bytes.split(b"\r\n\r\n", 1)
        if head.startswith(b"HTTP/1.1 100"):
            self.bytes = rest
            return self.next()
        size = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        while len(rest) < size:
            self.fill()
            rest = self.bytes.split(b"\r\n\r\n", 1)[1]
        self.bytes = rest[size:]
        return int(head.split(b" ", 2)[1]), head, rest[:size]


def post(body=b'{"a":1}\n', table="t", headers=(), length=None):
    lines = [f"POST /v1/ingest/{table} HTTP/1.1", "Host: localhost", *headers]
    lines += [f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def counters(server):
    lines = server.request("GET", "/metrics")[2].decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line and line[0] != "#")
    return {name.removeprefix("freshet_http_"): float(value) for name, value in values.items() if name.startswith("freshet_http_")}


def taken(server):
    return counters(server)["ring_requests_total"]


def settled(server):
    """All connections but the one that asks are gone, and nothing is accounted for any more."""
    end = time.monotonic() + 100
    while True:
        values = counters(server)
        if values["connections"] <= 1 and values["bodies_bytes"] == 0:
            return
        assert time.monotonic() < end, values
        time.sleep(0.05)


def exchange(server, data):
    """All that comes until the server closes or is silent, without what differs from one answer to the next."""
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(1 << 16):
                received += piece
            end = b"closed"
        except TimeoutError:
            end = b"open"
        except ConnectionError:
            end = b"reset"
    received = re.sub(rb"(Date|idempotency-expires): [^\r]* GMT", rb"\1: -", received)
    return re.sub(rb'"position":"\d+"', b'"position":"-"', received) + b"<" + end + b">"


ROWS = b"".join(b'{"a":%d}\n' % i for i in range(2000))
REQUESTS = [  # name, bytes, how many of them the ring takes
    ("one row", post(), 1),
    ("many rows", post(ROWS), 1),
    ("a megabyte", post(ROWS * 60), 1),
    ("keep-alive", post(headers=["Connection: keep-alive"]), 1),
    ("close", post(headers=["Connection: close"]), 0),
    ("two, pipelined", post() + post(ROWS), 2),
    ("two, and another path", post() + HEALTH + post(), 1),
    ("another path, then rows", HEALTH + post(), 0),
    ("no table", post(table="nothing"), 1),
    ("no table, large", post(ROWS * 20, table="nothing"), 1),
    ("made on the way", post(table="made?create=true"), 1),
    ("create what", post(table="made?create=perhaps"), 1),
    ("a strange parameter", post(table="t?x=1"), 1),
    ("a strange format", post(table="t?format=xml"), 1),
    ("csv", post(b"a\n1\n2\n", table="t?format=csv"), 1),
    ("a broken escape", post(table="%zz"), 1),
    ("not UTF-8", post(table="%ff"), 1),
    ("two parts", post(table="a/b"), 0),
    ("no name", post(table=""), 0),
    ("a type that nobody reads", post(headers=["Content-Type: image/png"]), 1),
    ("a type", post(headers=["Content-Type: application/x-ndjson; charset=utf-8"]), 1),
    ("rows that are none", post(b'{"a":1}\n{"a":"x"}\nnothing\n{"b":2}\n'), 1),
    ("nothing in the body", post(b"\n"), 1),
    ("gzip", post(gzip.compress(ROWS, mtime=0), headers=["Content-Encoding: gzip"]), 1),
    ("gzip that is none", post(headers=["Content-Encoding: gzip"]), 1),
    ("a coding that nobody reads", post(headers=["Content-Encoding: br"]), 1),
    ("a producer", post(headers=["Freshet-Producer: p", "Freshet-Sequence: 1"]), 1),
    ("the same again", post(headers=["Freshet-Producer: p", "Freshet-Sequence: 1"]), 1),
    ("a gap", post(headers=["Freshet-Producer: p", "Freshet-Sequence: 7"]), 1),
    ("a sequence of nobody", post(headers=["Freshet-Sequence: 7"]), 1),
    ("a producer of no name", post(headers=["Freshet-Producer:", "Freshet-Sequence: 7"]), 0),
    ("a producer in UTF-8", post(headers=["Freshet-Producer: \u00e9", "Freshet-Sequence: 1"]), 0),
    ("a key", post(headers=['Idempotency-Key: "k"']), 1),
    ("a header twice", post(headers=["Idempotency-Key: k", "Idempotency-Key: k"]), 0),
    ("headers of a proxy", post(headers=["X-Forwarded-For: 10.1.1.1", "User-Agent: x/1", "Accept: */*"]), 1),
    ("a header that nobody knows", post(headers=["X-Own: 1"]), 0),
    ("too large", post(b"x", length=(2 << 20) + 1), 0),
    ("just not too large", post(b" " * ((2 << 20) - 8) + b'{"a":1}\n'), 1),
    ("too large inside", post(gzip.compress(b" " * (3 << 20), mtime=0), headers=["Content-Encoding: gzip"]), 1),
    ("no length", b"POST /v1/ingest/t HTTP/1.1\r\nHost: localhost\r\n\r\n", 0),
    ("length 0", post(b""), 0),
    ("two lengths", post(headers=["Content-Length: 8"]), 0),
    ("length and chunks", post(headers=["Transfer-Encoding: chunked"]), 0),
    ("chunks", b'POST /v1/ingest/t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"a":1}\n\r\n0\r\n\r\n', 0),
    ("expect", post(headers=["Expect: 100-continue"]), 0),
    ("a foreign host", post().replace(b"localhost", b"evil.example"), 0),
    ("no host", post().replace(b"Host: localhost\r\n", b""), 0),
    ("a page", post(headers=["Origin: http://evil.example"]), 0),
    ("an upgrade", post(headers=["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]), 0),
    ("HTTP/1.0", post().replace(b"HTTP/1.1", b"HTTP/1.0"), 0),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
    ("bare LF", post().replace(b"\r\n", b"\n"), 0),
    ("a fold", post(headers=["Accept: a\r\n b"]), 0),
    ("half a head", post()[:30], 0),
    ("half a body", post()[:-3], 0),
    ("nothing", b"", 0),
]


@pytest.fixture(scope="module")
def pair(new_module_folder):
    """The same server with the ring and without."""
    both = []
    for ring in ("auto", "off"):
        data = new_module_folder(ring) / "store"
        both.append(freshet.Server(data, ["--body-max", "2 MiB", "--ring", ring]))
        both[-1].sql("CREATE TABLE t (a bigint)")
    yield both
    for server in both:
        assert server.stop() == 0, server.log_text()[-4000:]


@pytest.mark.parametrize("name, data, count", REQUESTS, ids=[name for name, _, _ in REQUESTS])
def test_answers_are_the_same_bytes(pair, name, data, count):
    before = taken(pair[0])
    with_ring, without = (exchange(server, data) for server in pair)
    assert with_ring == without
    assert taken(pair[0]) - before == count
    assert taken(pair[1]) == 0


def test_rows_are_the_same_after_all_that(pair):
    ask = "SELECT count(*), sum(a) FROM t"
    assert pair[0].rows(ask) == pair[1].rows(ask)


def test_requests_cut_at_every_byte(shared_server):
    """In two pieces, where the second comes later: on connections of their own, and all on one."""
    shared_server.sql("CREATE TABLE IF NOT EXISTS cut (a bigint)")
    data = post(table="cut", headers=["Content-Type: application/x-ndjson", "User-Agent: cut/1"])
    before = taken(shared_server)
    with connect(shared_server) as kept:
        replies = Replies(kept)
        for cut in range(1, len(data)):
            kept.sendall(data[:cut])
            time.sleep(0.001)
            kept.sendall(data[cut:])
            assert replies.next()[0] == 200, cut
            with connect(shared_server) as connection:
                connection.sendall(data[:cut])
                time.sleep(0.001)
                connection.sendall(data[cut:])
                assert Replies(connection).next()[0] == 200, cut
    count = 2 * (len(data) - 1)
    assert shared_server.rows("SELECT count(*) FROM cut") == [[count]]
    assert taken(shared_server) - before == count


def test_byte_by_byte(shared_server):
    shared_server.sql("CREATE TABLE IF NOT EXISTS bytes (a bigint)")
    data = post(table="bytes")
    with connect(shared_server) as connection:
        replies = Replies(connection)
        for _ in range(2):  # the head is in more pieces than the ring waits for; then it is h2o's
            for at in range(len(data)):
                connection.sendall(data[at:at + 1])
                time.sleep(0.0005)
            assert replies.next()[0] == 200
    assert shared_server.rows("SELECT count(*) FROM bytes") == [[2]]


@pytest.mark.parametrize("seed", range(6))
def test_pipelines_in_any_pieces(shared_server, seed):
    """Requests of both kinds behind each other, cut anywhere: answered in order, each once."""
    chance = random.Random(seed)
    table = f"pipe{seed}"
    shared_server.sql(f"CREATE TABLE {table} (a bigint)")
    total, kinds, data = 0, [], b""
    for number in range(60):
        kind = chance.choice(["rows", "rows", "rows", "many", "unknown"] + (["health"] if number > 40 else []))
        kinds.append(kind)
        rows = [chance.randrange(1000) for _ in range(chance.randrange(1, 4) if kind == "rows" else 3000)]
        body = b"".join(b'{"a":%d}\n' % value for value in rows)
        data += HEALTH if kind == "health" else post(body, table if kind != "unknown" else "unknown")
        total += sum(rows) if kind in ("rows", "many") else 0
    with connect(shared_server) as connection:
        def send():
            at = 0
            while at < len(data):
                size = chance.choice([1, 7, 100, 1000, 16384, 100000])
                connection.sendall(data[at:at + size])
                at += size
                if chance.random() < 0.1:
                    time.sleep(0.001)
        sender = threading.Thread(target=send)
        sender.start()
        replies = Replies(connection)
        for number, kind in enumerate(kinds):
            status, _, body = replies.next()
            assert status == (404 if kind == "unknown" else 200), (number, kind, body)
            assert (b'"position"' in body) == (kind in ("rows", "many")), (number, kind, body)
        sender.join()
    assert shared_server.rows(f"SELECT sum(a) FROM {table}") == [[str(total)]] or \
        shared_server.rows(f"SELECT sum(a)::bigint FROM {table}") == [[total]]


def test_bodies_arrive_as_they_were_sent(shared_server):
    """Texts of many sizes over kept connections at once; each row says what its text is."""
    shared_server.sql("CREATE TABLE texts (n bigint, size bigint, hash text, text text)")

    def send(seed, failures):
        chance = random.Random(seed)
        with connect(shared_server) as connection:
            replies = Replies(connection)
            for number in range(25):
                rows, size = [], 0
                aim = chance.choice([100, 5000, 16384 - 60, 16384, 40000, 300000, 1200000, 2000000])
                while size < aim:
                    text = "".join(chance.choices("abcdefgh", k=40)) * chance.choice([1, 10, 50])
                    rows.append(json.dumps({"n": seed * 1000 + number, "size": len(text), "text": text}))
                    size += len(rows[-1]) + 1
                connection.sendall(post(("\n".join(rows) + "\n").encode(), "texts"))
                status, _, body = replies.next()
                if status != 200 or json.loads(body)["rows"] != len(rows):
                    failures.append((seed, number, status, body))

    before, failures = taken(shared_server), []
    threads = [threading.Thread(target=send, args=(seed, failures)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert shared_server.rows("SELECT count(*) FROM texts WHERE length(text) <> size") == [[0]]
    assert shared_server.rows("SELECT count(DISTINCT n) FROM texts") == [[150]]
    assert taken(shared_server) - before == 150


def test_slow_and_idle_connections_are_closed(freshet_factory):
    server = freshet_factory(arguments=["--request-timeout", "1 s"])
    server.sql("CREATE TABLE t (a bigint)")
    for start, answers in ((b"", 0), (b"POST /v1/ing", 0), (post()[:40], 0), (post()[:-1], 0), (post(), 1),
                           (post(ROWS * 20)[:-1], 0), (post() + post()[:-1], 1)):
        begin = time.monotonic()
        with connect(server) as connection:
            connection.sendall(start)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        assert time.monotonic() - begin > 0.5, (start, received)
        assert received.count(b"HTTP/1.1 200 OK") == answers, (start[:100], received)
    with connect(server) as connection:  # a byte now and then does not help
        connection.sendall(post(ROWS)[:-30])
        with pytest.raises(OSError):
            for _ in range(40):
                connection.sendall(b" ")
                time.sleep(0.1)
    settled(server)


def test_connections_of_both_kinds_have_one_limit(freshet_factory):
    server = freshet_factory(arguments=["--connections-max", "6"])
    server.sql("CREATE TABLE t (a bigint)")
    held = [connect(server) for _ in range(6)]
    for at, connection in enumerate(held):
        connection.sendall(post() if at % 2 == 0 else HEALTH)
        assert Replies(connection).next()[0] == 200
    for ended in (0, 1):  # the ring's, h2o's
        with connect(server) as late:
            late.sendall(post())
            late.settimeout(0.4)
            with pytest.raises(TimeoutError):
                late.recv(100)
            held[ended].close()
            late.settimeout(60)
            assert Replies(late).next()[0] == 200
        held[ended] = connect(server)
        held[ended].sendall(HEALTH)
        assert Replies(held[ended]).next()[0] == 200
    for connection in held:
        connection.close()
    settled(server)


def test_bodies_that_never_end_of_both_kinds(freshet_factory):
    """Half of them chunked, so h2o's: together they hold no more than their share; others are served."""
    server = freshet_factory(arguments=["--memory", "256 MiB"])
    server.sql("CREATE TABLE t (a bigint)")
    held = [connect(server, timeout=5) for _ in range(40)]
    for at, connection in enumerate(held):
        head = b"POST /v1/ingest/t HTTP/1.1\r\nHost: localhost\r\n"
        connection.sendall(head + (b"Content-Length: 16000000\r\n\r\n" if at % 2 == 0
                                   else b"Transfer-Encoding: chunked\r\n\r\nf42400\r\n"))
    for _ in range(20):
        for connection in list(held):
            try:
                connection.sendall(b" " * 400000)
            except OSError:
                held.remove(connection)
        assert server.ingest("t", '{"a":1}\n')[0] == 200
    statuses = []
    for connection in held:
        connection.settimeout(0.05)
        try:
            while reply := connection.recv(4000):
                statuses += [int(reply.split(b" ", 2)[1])]
        except OSError:
            pass
        connection.close()
    assert set(statuses) <= {429}
    assert counters(server)['responses_total{code="429"}'] >= 10
    settled(server)


def test_answers_that_nobody_reads(freshet_factory):
    """Clients that send for ever and read nothing wait; others are served, and the server stops."""
    server = freshet_factory()
    server.sql("CREATE TABLE t (a bigint)")
    bad = post(b'{"a":"x"}\n' * 2000)  # with an answer of some size
    held = []
    for _ in range(3):
        connection = connect(server)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.5)
        try:
            for _ in range(2000):
                connection.sendall(bad)
        except TimeoutError:
            pass
        held.append(connection)
    begin = time.monotonic()
    assert server.ingest("t", '{"a":1}\n')[0] == 200
    assert time.monotonic() - begin < 20
    replies = Replies(held[0])
    held[0].settimeout(60)
    for _ in range(3):  # one that begins to read goes on
        assert replies.next()[0] == 200
    assert server.stop() == 0
    for connection in held:
        connection.close()


def test_stop_with_bodies_in_flight(freshet_factory):
    server = freshet_factory()
    server.sql("CREATE TABLE t (a bigint)")
    open_ones = [connect(server) for _ in range(30)]
    for at, connection in enumerate(open_ones):
        connection.sendall([b"", post()[:20], post(ROWS * 50)[:300000], post()[:-1], post()][at % 5])
    acknowledged, stop = [], threading.Event()

    def send():
        with connect(server) as connection:
            replies = Replies(connection)
            try:
                while not stop.is_set():
                    connection.sendall(post(ROWS * 10))
                    status, head, _ = replies.next()
                    acknowledged.append(status)
                    if b"Connection: close" in head:
                        return
            except (EOFError, ConnectionError):
                pass

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert server.process.wait(60) == 0
    assert time.monotonic() - begin < 20
    stop.set()
    for thread in threads:
        thread.join()
    for connection in open_ones:
        connection.close()
    assert set(acknowledged) <= {200, 503}
    again = freshet_factory(data=server.data)
    extra = len([1 for at in range(30) if at % 5 == 4])
    count = again.rows("SELECT count(*) FROM t")[0][0]
    assert (count - extra) % len(ROWS.splitlines()) == 0
    assert count >= 20000 * acknowledged.count(200) + extra


def test_what_was_sent_before_the_stop_is_answered(freshet_factory):
    """Rows that lie in the socket when the signal comes, looked at or not: 200 or 503, never a reset."""
    server = freshet_factory()
    server.sql("CREATE TABLE t (a bigint)")
    held = [connect(server) for _ in range(40)]
    answers = [Replies(connection) for connection in held]
    for connection, replies in zip(held, answers):
        connection.sendall(post())
        assert replies.next()[0] == 200
    for at, connection in enumerate(held):
        connection.sendall(post() if at % 8 else post(ROWS * 20))
    server.process.send_signal(signal.SIGTERM)
    statuses = [replies.next()[0] for replies in answers]
    assert server.process.wait(60) == 0
    for connection in held:
        connection.close()
    assert set(statuses) <= {200, 503}


def test_resets_in_every_state(freshet_factory):
    server = freshet_factory()
    server.sql("CREATE TABLE t (a bigint)")
    chance = random.Random(7)
    for number in range(400):
        data = chance.choice([post(), post(ROWS), post() + post(ROWS * 9), post() + HEALTH, post(table="no") * 30])
        connection = connect(server)
        connection.sendall(data[:chance.randrange(len(data) + 1)] if number % 3 else data)
        if chance.random() < 0.5:
            time.sleep(chance.choice([0.0002, 0.002]))
        if chance.random() < 0.7:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert server.ingest("t", '{"a":1}\n')[0] == 200
    settled(server)


def test_refused_io_uring_leaves_all_to_h2o(freshet_factory, checked_binary):
    server = freshet_factory(binary=checked_binary, environment={"FRESHET_FAULT": "ring.refused"})
    server.sql("CREATE TABLE t (a bigint)")
    assert server.ingest("t", '{"a":1}\n')[0] == 200
    assert taken(server) == 0
    assert server.log_text().count("io_uring is refused") == 1


def test_setting(freshet_factory):
    for arguments, count in ((["--ring", "off"], 0), (["--io", "plain"], 0), (["--io", "auto"], 1)):
        server = freshet_factory(arguments=arguments)
        server.sql("CREATE TABLE t (a bigint)")
        assert server.ingest("t", '{"a":1}\n')[0] == 200
        assert taken(server) == count, arguments
