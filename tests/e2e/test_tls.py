"""TLS on both ports: with real clients, by hand, byte by byte, and with certificates that change under a running server."""

import base64
import http.client
import json
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import freshet
import psycopg
import pytest

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)
STARTUP = struct.pack("!II", 8 + len(b"user\0ann\0\0"), 196608) + b"user\0ann\0\0"


def make_certificate(folder, name, *options, days=30):
    """A certificate that signs itself, for localhost and 127.0.0.1."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", str(days), "-subj", f"/CN={name}", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate, "-keyout", key,
         *(options or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"))],
        capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    key.chmod(0o600)
    return certificate, key


def add_user(data, name, role, password):
    made = subprocess.run([freshet.binary(), "user", "add", name, "--role", role, "--data", str(data)], input=password + "\n",
                          capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr


class Secure:
    def __init__(self, folder):
        self.folder = folder
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        certificate, key = make_certificate(folder, "first")
        certificate.rename(self.certificate)
        key.rename(self.key)
        add_user(folder / "data", "ann", "admin", "right")
        self.headers = {"Authorization": "Basic " + base64.b64encode(b"ann:right").decode()}
        self.tls_arguments = ["--ssl-cert-file", str(self.certificate), "--ssl-key-file", str(self.key)]
        self.server = freshet.Server(folder / "data", [*self.tls_arguments, "--login-timeout", "5 min"], headers=self.headers)
        self.pg_host, port = self.server.pg.split(":")
        self.pg_port = int(port)
        self.server.sql("CREATE TABLE t (n bigint, s text)")
        status, answer = self.server.ingest("t", "".join('{"n":%d,"s":"%s"}\n' % (n, "x" * 100) for n in range(50000)))
        assert status == 200 and answer["rows"] == 50000, answer

    def pg(self, **options):
        return psycopg.connect(**{"host": "127.0.0.1", "port": self.pg_port, "user": "ann", "password": "right", "dbname": "d",
                                  "autocommit": True, "sslmode": "verify-full", "sslrootcert": str(self.certificate), **options})

    def context(self):
        return ssl.create_default_context(cafile=str(self.certificate))

    def https(self, method, target, body=None, headers=None):
        connection = http.client.HTTPSConnection(self.server.http, timeout=60, context=self.context())
        connection.request(method, target, body, {**self.headers, **(headers or {})})
        reply = connection.getresponse()
        answer = reply.status, reply.read()
        connection.close()
        return answer

    def wire(self, first=SSL_REQUEST):
        wire = socket.create_connection((self.pg_host, self.pg_port), timeout=60)
        wire.sendall(first)
        return wire

    def metric(self, name):
        text = self.server.request("GET", "/metrics")[2].decode()
        return float(re.search(re.escape(name) + r" (\S+)", text).group(1))


@pytest.fixture(scope="module")
def secure(new_module_folder):
    made = Secure(new_module_folder("tls"))
    yield made
    assert made.server.stop() == 0


def test_psql(secure):
    def psql(options, password="right"):
        return subprocess.run(["psql", f"host=localhost hostaddr=127.0.0.1 port={secure.pg_port} user=ann dbname=d {options}", "-Atc",
                               "SELECT count(*) FROM t"], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "PGPASSWORD": password, "PGGSSENCMODE": "disable"})
    root = f"sslrootcert={secure.certificate}"
    for options in ("sslmode=disable", "sslmode=require", "sslmode=require channel_binding=require",
                    f"sslmode=verify-full {root} channel_binding=require", f"sslmode=verify-ca {root} ssl_min_protocol_version=TLSv1.2",
                    "sslmode=require ssl_max_protocol_version=TLSv1.2 channel_binding=require", "sslmode=prefer channel_binding=disable"):
        answer = psql(options)
        assert answer.stdout.strip() == "50000", (options, answer.stderr)
    assert "channel binding" in psql("sslmode=disable channel_binding=require").stderr
    wrong = psql("sslmode=require", "wrong")
    assert wrong.returncode != 0 and "password authentication failed" in wrong.stderr


def test_asyncpg(secure):
    import asyncio

    import asyncpg

    async def run():
        connection = await asyncpg.connect(host="127.0.0.1", port=secure.pg_port, user="ann", password="right", database="d",
                                           ssl=secure.context())
        assert await connection.fetchval("SELECT count(*) FROM t WHERE n >= $1", 10) == 49990
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host="127.0.0.1", port=secure.pg_port, user="ann", password="wrong", database="d",
                                  ssl=secure.context())
    asyncio.run(run())


def test_curl_on_both_protocols(secure):
    for scheme, more in (("https", ("--cacert", secure.certificate)), ("http", ()), ("https", ("--cacert", secure.certificate, "--tls-max", "1.2"))):
        answer = subprocess.run(["curl", "-sS", "-u", "ann:right", *more, f"{scheme}://{secure.server.http}/v1/sql", "-d",
                                 "SELECT count(*) FROM t"], capture_output=True, text=True, timeout=300)
        assert json.loads(answer.stdout)["rows"] == [[50000]], answer


def test_old_versions_are_refused(secure):
    for address, more in ((secure.server.http, ()), (secure.server.pg, ("-starttls", "postgres"))):
        def connect(version):
            return subprocess.run(["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", address, *more],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300).stdout
        assert "Cipher is (NONE)" in connect("-tls1_1") or "Cipher    : 0000" in connect("-tls1_1")
        assert "Cipher is ECDHE-ECDSA" in connect("-tls1_2")
        assert "Cipher is TLS_" in connect("-tls1_3")


def test_large_results_and_bodies(secure):
    want = sum(range(50000))
    with secure.pg() as connection:
        assert sum(n for n, _ in connection.execute("SELECT n, s FROM t")) == want
        with connection.cursor().copy("COPY t TO STDOUT") as copy:
            assert sum(len(piece) for piece in copy) > 5000000
        connection.execute("CREATE TABLE copied (n bigint, s text)")
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            for n in range(30000):
                copy.write_row((n, "y" * 200))
        assert connection.execute("SELECT count(*), sum(n) FROM copied").fetchone() == (30000, sum(range(30000)))
    status, body = secure.https("POST", "/v1/sql", "SELECT n, s FROM t")
    assert status == 200 and sum(row[0] for row in json.loads(body)["rows"]) == want
    body = "".join('{"n":%d,"s":"%s"}\n' % (n, "z" * 200) for n in range(40000))
    status, answer = secure.https("POST", "/v1/ingest/copied", body, {"Content-Type": "application/x-ndjson"})
    assert status == 200 and json.loads(answer)["rows"] == 40000


def test_a_slow_reader_of_a_large_answer(secure):
    wire = socket.create_connection(secure.server.http.split(":"), timeout=60)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    stream = secure.context().wrap_socket(wire, server_hostname="localhost")
    text = b"SELECT n, s FROM t"
    stream.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + secure.headers["Authorization"].encode() +
                   b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(text) + text)
    time.sleep(0.3)
    got = b""
    while True:
        piece = stream.recv(100000)
        if not piece:
            break
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and len(json.loads(body)["rows"]) == 50000
    stream.close()


def test_words_put_in_before_the_handshake_are_refused(secure):
    for first in (SSL_REQUEST + STARTUP, SSL_REQUEST + b"\x16\x03\x01\x00\x05hello", SSL_REQUEST + b"x"):
        with secure.wire(first) as wire:
            answer = wire.recv(1000)
            assert answer[:1] == b"E" and b"unencrypted data after SSL request" in answer
            assert wire.recv(1000) == b""
    with secure.wire(GSS_REQUEST) as wire:  # no, and then TLS on the same connection
        assert wire.recv(1) == b"N"
        wire.sendall(SSL_REQUEST)
        assert wire.recv(1) == b"S"


def shake_by_hand(wire, context, step):
    """A handshake over `wire`, sent in pieces of `step` bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def flush():
        data = outgoing.read()
        for at in range(0, len(data), step):
            wire.sendall(data[at:at + step])
    while True:
        try:
            stream.do_handshake()
            flush()
            return stream, incoming, outgoing, flush
        except ssl.SSLWantReadError:
            flush()
            incoming.write(wire.recv(65536))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_byte_by_byte(secure, version):
    context = secure.context()
    context.maximum_version = version
    with secure.wire() as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert wire.recv(1) == b"S"
        stream, incoming, outgoing, flush = shake_by_hand(wire, context, 1)
        stream.write(STARTUP)
        flush()
        while True:
            incoming.write(wire.recv(65536))
            try:
                answer = stream.read(1000)
                break
            except ssl.SSLWantReadError:
                pass
        assert answer[:1] == b"R" and b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0" in answer
    with socket.create_connection(secure.server.http.split(":"), timeout=60) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream, incoming, outgoing, flush = shake_by_hand(wire, context, 1)
        stream.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        flush()
        while True:
            incoming.write(wire.recv(65536))
            try:
                assert stream.read(1000).startswith(b"HTTP/1.1 200")
                break
            except ssl.SSLWantReadError:
                pass


def test_the_startup_packet_right_behind_the_handshake(secure):
    """The client's last message of the handshake and its first packet in one piece."""
    with secure.wire() as wire:
        assert wire.recv(1) == b"S"
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        stream = secure.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                stream.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.sendall(outgoing.read())
                incoming.write(wire.recv(65536))
        stream.write(STARTUP)
        wire.sendall(outgoing.read())
        answer = b""
        while not answer:
            incoming.write(wire.recv(65536))
            try:
                answer = stream.read(1000)
            except ssl.SSLWantReadError:
                pass
        assert answer[:1] == b"R" and b"SCRAM" in answer


def sasl(secure, mechanism, first):
    """The answer to a first message over TLS."""
    with secure.wire() as wire:
        assert wire.recv(1) == b"S"
        with secure.context().wrap_socket(wire, server_hostname="localhost") as stream:
            stream.sendall(STARTUP)
            assert b"SCRAM-SHA-256-PLUS" in stream.recv(1000)
            body = mechanism + b"\0" + struct.pack("!I", len(first)) + first
            stream.sendall(b"p" + struct.pack("!I", 4 + len(body)) + body)
            return stream.recv(1000)


def test_binding_to_the_channel_cannot_be_negotiated_away(secure):
    """y: the client could bind, and somebody has told it that we cannot."""
    assert b"channel binding negotiation" in sasl(secure, b"SCRAM-SHA-256", b"y,,n=,r=abc")
    assert sasl(secure, b"SCRAM-SHA-256", b"n,,n=,r=abc")[:1] == b"R"
    assert sasl(secure, b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc")[:1] == b"R"
    assert b"unsupported SCRAM channel-binding type" in sasl(secure, b"SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abc")


def ssl_hello(secure):
    """A client's first message."""
    outgoing = ssl.MemoryBIO()
    stream = secure.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    return outgoing.read()


def test_garbage_instead_of_a_handshake(secure):
    failed = secure.metric('freshet_tls_handshakes_total{outcome="failed"}')
    with secure.wire() as wire:
        assert wire.recv(1) == b"S"
        wire.sendall(b"this is no handshake, and never was one\n" * 10)
        while wire.recv(1000):  # an alert, then the end
            pass
    assert secure.metric('freshet_tls_handshakes_total{outcome="failed"}') == failed + 1
    chance = random.Random(7)
    hello = ssl_hello(secure)
    for _ in range(200):
        data = bytearray(hello)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = bytes(data[:chance.randint(1, len(data))])
        for address, first in ((secure.server.http, b""), (secure.server.pg, SSL_REQUEST)):
            with socket.create_connection(address.split(":"), timeout=60) as wire:
                if first:
                    wire.sendall(first)
                    assert wire.recv(1) == b"S"
                wire.sendall(data)
    assert secure.server.rows("SELECT 1") == [[1]]


def test_stalled_handshakes_end(secure, tmp_path):
    server = freshet.Server(tmp_path / "data", [*secure.tls_arguments, "--login-timeout", "2 s"])

    def logging_in():
        text = server.request("GET", "/metrics")[2].decode()
        return float(re.search(r'freshet_pg_connections{state="login"} (\S+)', text).group(1))
    stalled = [socket.create_connection(address.split(":"), timeout=300) for address in (server.pg, server.http) for _ in range(20)]
    for wire in stalled[:20]:
        wire.sendall(SSL_REQUEST)
    for wire in stalled[10:30]:
        wire.sendall(b"\x16\x03\x01\x02\x00\x01")  # a message of 512 bytes, of which one comes
    for wire in stalled:
        try:
            while wire.recv(1000):
                pass
        except ConnectionResetError:
            pass
        wire.close()
    while logging_in() > 0:
        time.sleep(0.05)
    assert server.rows("SELECT 1") == [[1]]
    assert server.stop() == 0


def test_half_open_connections_are_counted(secure):
    wires = [secure.wire() for _ in range(5)]
    while secure.metric('freshet_pg_connections{state="login"}') < 5:
        time.sleep(0.05)
    for wire in wires:
        wire.close()


def test_cancel(secure):
    with secure.pg() as connection:
        timer = threading.Timer(0.5, connection.cancel)  # by a connection of its own, plain or not
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT count(*) FROM t a, t b, t c WHERE a.n + b.n + c.n < 0")
        timer.join()


def read_until(stream, letter):
    """Messages up to the first of that letter, whose body is the answer."""
    def exactly(size):
        got = b""
        while len(got) < size:
            piece = stream.recv(size - len(got))
            assert piece
            got += piece
        return got
    while True:
        head = exactly(5)
        body = exactly(struct.unpack("!I", head[1:])[0] - 4)
        if head[:1] == letter:
            return body


def test_cancel_over_tls(secure, tmp_path):
    server = freshet.Server(tmp_path / "data", secure.tls_arguments)
    host, port = server.pg.split(":")

    def connect():
        wire = socket.create_connection((host, int(port)), timeout=60)
        wire.sendall(SSL_REQUEST)
        assert wire.recv(1) == b"S"
        return secure.context().wrap_socket(wire, server_hostname="localhost")
    with connect() as session:
        session.sendall(STARTUP)
        pid_and_secret = read_until(session, b"K")
        read_until(session, b"Z")
        text = b"SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 1000) c WHERE a + b + c < 0\0"
        session.sendall(b"Q" + struct.pack("!I", 4 + len(text)) + text)
        time.sleep(0.3)
        with connect() as other:
            other.sendall(struct.pack("!II", 16, 80877102) + pid_and_secret)
            assert other.recv(10) == b""
        assert b"57014" in read_until(session, b"E")
    assert server.stop() == 0


def serial(secure, address, starttls):
    pem = subprocess.run(["openssl", "s_client", "-connect", address, *starttls], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=300).stdout
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, text=True, timeout=60).stdout


def test_reload(secure):
    ports = ((secure.server.http, ()), (secure.server.pg, ("-starttls", "postgres")))
    def serials():
        return {serial(secure, address, starttls) for address, starttls in ports}
    def reload(outcome):
        name = f'freshet_tls_reloads_total{{outcome="{outcome}"}}'
        before = secure.metric(name)
        secure.server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while secure.metric(name) == before:
            assert time.monotonic() < end
            time.sleep(0.05)
    first = serials()
    assert len(first) == 1 and first != {""}
    old = secure.pg()
    kept = http.client.HTTPSConnection(secure.server.http, timeout=60, context=secure.context())
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()
    good = secure.certificate.read_bytes(), secure.key.read_bytes()
    secure.certificate.write_text("no certificate")
    reload("failed")
    assert "the old certificate stays" in secure.server.log_text()
    secure.certificate.write_bytes(good[0])
    other = make_certificate(secure.folder, "other")
    secure.key.write_bytes(other[1].read_bytes())  # another certificate's key
    reload("failed")
    secure.key.chmod(0o644)
    reload("failed")
    assert "can be read by others" in secure.server.log_text()
    assert serials() == first
    rsa = make_certificate(secure.folder, "second", "-newkey", "rsa:2048", "-sha384")
    secure.key.chmod(0o600)
    secure.certificate.write_bytes(rsa[0].read_bytes())
    secure.key.write_bytes(rsa[1].read_bytes())
    reload("ok")
    second = serials()
    assert len(second) == 1 and second != first
    assert old.execute("SELECT 1").fetchone() == (1,)  # who was there stays
    kept.request("GET", "/healthz")
    assert kept.getresponse().status == 200
    old.close()
    kept.close()
    with secure.pg(channel_binding="require") as connection:  # the binding is the new certificate's, by its own hash
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert secure.https("GET", "/healthz")[0] == 200


def own_address():
    """An address of this machine that is not loopback; none in some sandboxes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


def test_off_loopback_users_log_in_by_tls_only(secure, tmp_path):
    add_user(tmp_path / "data", "ann", "admin", "right")
    command = [freshet.binary(), "serve", "--data", str(tmp_path / "data"), "--http", "0.0.0.0:0", "--pg", "0.0.0.0:0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert refused.returncode == 1 and "there is no certificate" in refused.stderr
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    process = subprocess.Popen([*command, *secure.tls_arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ready = process.stdout.readline().decode()
    http_port, pg_port = (int(re.search(rf"{name}=\S+:(\d+)", ready).group(1)) for name in ("http", "pg"))
    for host, status in ((address, 403), ("127.0.0.1", 200)):
        connection = http.client.HTTPConnection(host, http_port, timeout=60)
        connection.request("POST", "/v1/sql", "SELECT 1", secure.headers)
        reply = connection.getresponse()
        text = reply.read()
        assert reply.status == status, text
        connection.close()
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, http_port, timeout=60, context=insecure)
    connection.request("POST", "/v1/sql", "SELECT 1", secure.headers)
    assert connection.getresponse().status == 200
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="logs in by TLS only"):
        psycopg.connect(host=address, port=pg_port, user="ann", password="right", dbname="d", sslmode="disable")
    psycopg.connect(host=address, port=pg_port, user="ann", password="right", dbname="d", sslmode="require").close()
    psycopg.connect(host="127.0.0.1", port=pg_port, user="ann", password="right", dbname="d", sslmode="disable").close()
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()


def test_the_command_line(secure, tmp_path):
    token = subprocess.run([freshet.binary(), "user", "passwd", "ann", "--token", "--data", str(secure.folder / "data")],
                           capture_output=True, text=True, timeout=300).stdout.strip()
    _, port = secure.server.http.split(":")

    def run(*arguments, trusted=secure.certificate, **more):
        return subprocess.run([freshet.binary(), *arguments], capture_output=True, text=True, timeout=300,
                              env={"FRESHET_TOKEN": token, "SSL_CERT_FILE": str(trusted)}, **more)
    for host in ("localhost", "127.0.0.1"):
        for _ in range(100):  # until the server has seen the token
            answer = run("sql", "--http", f"https://{host}:{port}", "SELECT count(*) + 7 AS n FROM t")
            if answer.returncode == 0:
                break
            time.sleep(0.2)
        assert "50007" in answer.stdout, answer.stderr
    assert run("sql", "--http", f"http://localhost:{port}/", "SELECT 1").returncode == 0
    secure.server.sql("CREATE TABLE loaded (n bigint)")
    lines = "".join('{"n":%d}\n' % n for n in range(100000))
    answer = run("load", "loaded", "-", "--http", f"https://localhost:{port}", "--format", "ndjson", input=lines)
    assert answer.returncode == 0, answer.stderr
    assert secure.server.rows("SELECT count(*), sum(n) FROM loaded") == [[100000, 4999950000]]
    other = make_certificate(tmp_path, "other")
    for host, trusted in (("localhost", other[0]), ("ip6-localhost", secure.certificate), ("127.1", secure.certificate)):
        answer = run("sql", "--http", f"https://{host}:{port}", "SELECT 1", trusted=trusted)
        assert answer.returncode != 0 and ("cannot trust" in answer.stderr or "cannot connect" in answer.stderr or
                                           "cannot look up" in answer.stderr), answer
    assert "cannot trust" in run("sql", "--http", f"https://localhost:{port}", "SELECT 1", trusted=other[0]).stderr
    plain = freshet.Server(tmp_path / "plain")
    assert "cannot trust" in run("sql", "--http", f"https://{plain.http}", "SELECT 1").stderr
    assert plain.stop() == 0


def test_settings_that_cannot_be(tmp_path, secure):
    def serve(*arguments):
        return subprocess.run([freshet.binary(), "serve", "--data", str(tmp_path / "d"), "--http", "127.0.0.1:0", "--pg", "off", *arguments],
                              capture_output=True, text=True, timeout=300)
    assert "come together" in serve("--ssl-cert-file", str(secure.certificate)).stderr
    other = make_certificate(tmp_path, "other")
    for certificate, key, complaint in ((secure.certificate, other[1], "cannot use"), (tmp_path / "none", other[1], "cannot read"),
                                        (other[1], other[1], "cannot use")):
        answer = serve("--ssl-cert-file", str(certificate), "--ssl-key-file", str(key))
        assert answer.returncode == 1 and complaint in answer.stderr, answer.stderr
    made = subprocess.run(["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", other[1], "-out", tmp_path / "locked.key"],
                          capture_output=True, timeout=60)
    assert made.returncode == 0
    (tmp_path / "locked.key").chmod(0o600)
    answer = serve("--ssl-cert-file", str(other[0]), "--ssl-key-file", str(tmp_path / "locked.key"))
    assert answer.returncode == 1 and "cannot use" in answer.stderr


def test_the_plain_ports_stay_plain(tmp_path):
    server = freshet.Server(tmp_path / "data")
    host, port = server.pg.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        wire.sendall(SSL_REQUEST)
        assert wire.recv(1) == b"N"
        wire.sendall(STARTUP)
        assert wire.recv(1) == b"R"
    assert server.stop() == 0
