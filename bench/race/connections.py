"""Many idle connections: what each holds of the server's memory, and what they cost those that work.

Half of them are of the PostgreSQL port, half of HTTP, from ten addresses of loopback. Each has logged in (HTTP: none is needed) and asked one
query before it falls idle, as a pool's do. A hundred others work all the time, half on each port, each with one small query under way. Memory
is what the server's resident pages grow by; CPU is the server's, per answered request: without the idle ones, with them, and once they have
gone."""

import argparse
import contextlib
import os
import pathlib
import resource
import selectors
import socket
import struct
import sys
import tempfile
import time

import engines
import report

ADDRESSES = 10
WORKERS = 100
QUERY = "SELECT 1"
READY = b"Z\0\0\0\5I"


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/connections", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000, help="idle ones, half on each port (10000)")
    parser.add_argument("--requests", type=int, default=20_000, help="of each port in each of the three measurements (20000)")
    return parser.parse_args()


def room_make(count):
    """As many open files as it takes, for this process and the server that it starts."""
    wanted = count + 4096
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (ValueError, PermissionError):
            sys.exit(f"bench/connections: needs {wanted} open files, and at most {hard} are allowed")


def message(kind, content):
    return kind + struct.pack(">I", len(content) + 4) + content


class Wire:
    """A session of the PostgreSQL port with one prepared statement."""

    run = (message(b"B", b"\0s\0" + b"\0" * 6) + message(b"D", b"P\0") + message(b"E", b"\0" * 5) + message(b"S", b""))

    def __init__(self, address, source):
        self.socket = connect(address, source)
        body = b"\0\3\0\0user\0bench\0database\0freshet\0\0"
        self.socket.sendall(struct.pack(">I", len(body) + 4) + body)
        self.answer(self.socket)
        self.socket.sendall(message(b"P", b"s\0" + QUERY.encode() + b"\0\0\0") + message(b"S", b""))
        self.answer(self.socket)

    @staticmethod
    def is_whole(reply):
        return reply.endswith(READY)

    def answer(self, source):
        reply = b""
        while not self.is_whole(reply):
            part = source.recv(65536)
            if not part:
                sys.exit(f"bench/connections: the connection ended after {reply!r}")
            reply += part
        return reply


class Http(Wire):
    """A kept connection of HTTP."""

    run = (f"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {len(QUERY)}\r\n\r\n{QUERY}").encode()

    def __init__(self, address, source):
        self.socket = connect(address, source)

    @staticmethod
    def is_whole(reply):
        head, found, body = reply.partition(b"\r\n\r\n")
        if not found:
            return False
        size = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
        return len(body) >= size if size is not None else body.endswith(b"0\r\n\r\n")


def connect(address, source):
    host, port = address.rsplit(":", 1)
    opened = socket.create_connection((host, int(port)), timeout=60, source_address=(source, 0))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def ask(connection):
    connection.socket.sendall(connection.run)
    reply = connection.answer(connection.socket)
    if b"HTTP/1.1 200" not in reply[:20] and not reply.endswith(READY):
        sys.exit(f"bench/connections: {reply[:300]!r}")


def open_many(kind, address, count):
    opened = []
    for index in range(count):
        connection = kind(address, f"127.0.0.{1 + index % ADDRESSES}")
        ask(connection)
        opened.append(connection)
    return opened


def resident_bytes(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10


def settled_bytes(server):
    time.sleep(1.5)  # what is given back is given back by ticks
    return resident_bytes(server)


def cpu_per_request_us(server, workers, requests):
    """All of them ask one after the other without a pause."""
    selector = selectors.DefaultSelector()
    for worker in workers:
        selector.register(worker.socket, selectors.EVENT_READ, [worker, b""])
    begin, asked, answered = server.cpu_s(), 0, 0
    for worker in workers:
        worker.socket.sendall(worker.run)
        asked += 1
    while answered < asked:
        for key, _ in selector.select(30):
            worker, reply = key.data
            reply += worker.socket.recv(65536)
            key.data[1] = reply
            if not worker.is_whole(reply):
                continue
            key.data[1] = b""
            answered += 1
            if asked < requests:
                worker.socket.sendall(worker.run)
                asked += 1
    cpu = server.cpu_s() - begin
    selector.close()
    return 1e6 * cpu / answered


def main():
    options = arguments_read()
    room_make(options.connections)
    half = options.connections // 2
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-connections-"))
        server = engines.Freshet(os.path.join(directory, "freshet"), "--request-timeout", "1000 s", "--connections-max", str(half + 1000),
                                 "--pg-connections-max", str(half + 1000))
        stack.callback(server.stop)
        ports = {"PostgreSQL": (Wire, server.pg_address), "HTTP": (Http, server.address)}
        working = {name: open_many(kind, address, WORKERS // len(ports)) for name, (kind, address) in ports.items()}
        costs = {name: [] for name in ports}

        def measure():
            for name, workers in working.items():
                cpu_per_request_us(server, workers, options.requests // 10)
                costs[name].append(cpu_per_request_us(server, workers, options.requests))

        measure()
        sizes, idle = {}, []
        for name, (kind, address) in ports.items():
            before = settled_bytes(server)
            idle += open_many(kind, address, half)
            sizes[name] = (settled_bytes(server) - before) / half
        begin, wall = server.cpu_s(), time.monotonic()
        time.sleep(3)
        resting = (server.cpu_s() - begin) / (time.monotonic() - wall)
        measure()
        for connection in idle:
            ask(connection)  # each is still there
        again = resident_bytes(server)
        for connection in idle:
            connection.socket.close()
        time.sleep(2)
        measure()
        for workers in working.values():
            for connection in workers:
                connection.socket.close()
    print(f"{server.version}: {half} idle connections on each port from {ADDRESSES} addresses, {WORKERS} working\n")
    report.print_table(["", "bytes a connection", "CPU us a request", "with the idle", "x", "after them"],
                       [[name, f"{sizes[name]:,.0f}", f"{costs[name][0]:.1f}", f"{costs[name][1]:.1f}",
                         f"{costs[name][1] / costs[name][0]:.2f}", f"{costs[name][2]:.1f}"] for name in ports])
    print(f"\nwhile nobody asks: {100 * resting:.2f} % of a core; resident when each has asked again: {again / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
