"""Attempts to log in with wrong passwords, for names that are users' and names that are not, in random order.

Attempts are limited by address (20, then one every 3 s) and by name: each comes from an address of loopback of its own, and there are
enough names of both sorts. A step of the exchange is timed from its last byte sent to the first byte of the answer. What two medians (or
10th percentiles, which a busy machine blurs less) may differ by if nothing differs is found by dealing the same times out at random, a
thousand times: the noise is the 99th percentile of that.
`guess` is how often who sees one time of each sort guesses right which is which: 50 % is chance.
"""

import argparse
import base64
import bisect
import pathlib
import random
import re
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / "build" / "release" / "freshet"
ATTEMPTS = 18  # of one name: 20 would be limited


def own_address(number):
    return f"127.{1 + (number >> 16) % 250}.{(number >> 8) & 255}.{1 + (number & 255) % 254}"


def connect(port, number):
    wire = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(own_address(number), 0))
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def message(letter, body):
    return letter + struct.pack("!I", 4 + len(body)) + body


def try_pg(port, name, number):
    """Seconds of both steps of SCRAM."""
    with connect(port, number) as wire:
        parameters = b"user\0" + name.encode() + b"\0\0"
        wire.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
        assert b"SCRAM-SHA-256" in wire.recv(1000)
        first = b"n,,n=,r=0123456789abcdefghijklmn"
        begin = time.perf_counter()
        wire.sendall(message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first))
        answer = wire.recv(1000)
        middle = time.perf_counter()
        assert answer[:1] == b"R" and answer[5:9] == b"\0\0\0\x0b", answer
        nonce = answer[9:].decode().split(",")[0]
        proof = base64.b64encode(random.randbytes(32)).decode()
        final = message(b"p", f"c=biws,{nonce},p={proof}".encode())
        between = time.perf_counter()
        wire.sendall(final)
        answer = wire.recv(1000)
        end = time.perf_counter()
        assert b"28P01" in answer, answer
        return middle - begin, end - between


def try_http(port, name, number):
    """Seconds of Basic; the password is another each time, or it would be known as wrong."""
    with connect(port, number) as wire:
        credential = base64.b64encode(f"{name}:{random.randbytes(8).hex()}".encode()).decode()
        request = f"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credential}\r\nContent-Length: 8\r\n\r\nSELECT 1"
        begin = time.perf_counter()
        wire.sendall(request.encode())
        answer = wire.recv(1000)
        end = time.perf_counter()
        assert answer.startswith(b"HTTP/1.1 401"), answer
        return (end - begin,)


def tenth(times):
    return sorted(times)[len(times) // 10]


def noise_of(middle, times, count):
    """99th percentile of the difference of two groups dealt out at random."""
    differences = []
    for _ in range(1000):
        random.shuffle(times)
        differences.append(abs(middle(times[:count]) - middle(times[count:])))
    return sorted(differences)[989]


def guess_right(known, unknown):
    """How often the larger of one each is the known one's, or the other way round."""
    ranks = sorted(unknown)
    wins = sum((bisect.bisect_left(ranks, time) + bisect.bisect_right(ranks, time)) / 2 for time in known)
    share = wins / (len(known) * len(unknown))
    return max(share, 1 - share)


def report(name, known, unknown):
    for what, middle in (("median", statistics.median), ("10th percentile", tenth)):
        noise = noise_of(middle, known + unknown, len(known))
        difference = middle(known) - middle(unknown)
        print(f"| {name}, {what} | {len(known)} + {len(unknown)} | {middle(known) * 1e6:.1f} | {middle(unknown) * 1e6:.1f} | "
              f"{difference * 1e6:+.2f} | {noise * 1e6:.2f} | {guess_right(known, unknown) * 100:.1f} % | "
              f"{'YES' if abs(difference) > noise else 'no'} |", flush=True)


def measure(title, steps, attempt, port, known, unknown, samples, number):
    plan = [(name, is_known) for names, is_known in ((known, True), (unknown, False))
            for name in (names * ATTEMPTS)[:samples]]
    random.shuffle(plan)
    times = {True: [], False: []}
    for at, (name, is_known) in enumerate(plan):
        times[is_known].append(attempt(port, name, number + at))
    warm = samples // 10  # of each sort, for caches to be warm
    for index, step in enumerate(steps):
        report(f"{title}: {step}", [t[index] for t in times[True][warm:]], [t[index] for t in times[False][warm:]])
    return number + len(plan)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=3000, help="attempts for each sort of names, on each port; HTTP a third of that")
    parser.add_argument("--users", type=int, default=0, help="names of each sort; 0: as many as the attempts need")
    arguments = parser.parse_args()
    count = arguments.users or (arguments.samples + arguments.samples // 3) // ATTEMPTS + 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="freshet-login-"))
    known = [f"user{number:05d}" for number in range(count)]
    unknown = [f"nope{number:05d}" for number in range(count)]
    for name in known:
        subprocess.run([BINARY, "user", "add", name, "--role", "reader", "--data", folder / "data"], input=b"a password\n", check=True,
                       capture_output=True)
    log = open(folder / "log", "w")
    server = subprocess.Popen([BINARY, "serve", "--data", folder / "data", "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        ready = server.stdout.readline()
        http, pg = (int(re.search(rf"{name}=127.0.0.1:(\d+)", ready).group(1)) for name in ("http", "pg"))
        print(f"{count} users, {count} names that are none; microseconds\n")
        print("| what | attempts | users | others | difference | noise | guess | told apart |\n|---|---|---|---|---|---|---|---|")
        split = count * 3 // 4  # no name is used up by one port
        number = measure("PostgreSQL", ("salt", "proof"), try_pg, pg, known[:split], unknown[:split], arguments.samples, 0)
        measure("HTTP", ("Basic",), try_http, http, known[split:], unknown[split:], arguments.samples // 3, number)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
