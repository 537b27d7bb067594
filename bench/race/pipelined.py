"""Posts single events of about 1 KB, 16 at a time on each connection: `pipelined.py HOST:PORT CONNECTIONS EVENTS`."""

import socket
import sys
import threading

DEPTH = 16
EVENT = b'{"ts":"2026-05-01T00:00:00Z","user_id":%d,"message":"' + b"x" * 940 + b'"}\n'


def send(address, count):
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, count, DEPTH):
            depth, data = min(DEPTH, count - at), b""
            for number in range(depth):
                body = EVENT % (at + number)
                data += b"POST /v1/ingest/events?create=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            connection.sendall(data)
            received = b""
            while received.count(b"HTTP/1.1 200 ") < depth or not received.endswith(b"}"):
                piece = connection.recv(1 << 16)
                assert piece, received
                received += piece


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    connections, events = int(sys.argv[2]), int(sys.argv[3])
    threads = [threading.Thread(target=send, args=((host, int(port)), events // connections)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
