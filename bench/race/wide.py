"""Ingest into a table of many columns of which an event names 21: the others NULL, or by their default; and a body whose rows alone are
more than the memory for rows (bench/ingest --columns starts this)."""

import argparse
import contextlib
import http.client
import mmap
import os
import tempfile

import engines
import report
from events import events_file

OWN_COLUMNS = engines.FRESHET_COLUMNS.count(", ") + 1
BODY_BYTES = 256 << 10
EMPTY_ROWS = 90_000


def columns(count, rest):
    """The event's own, and then as many bigints as are missing."""
    return ", ".join([engines.FRESHET_COLUMNS, *(f"c{index} bigint{rest}" for index in range(OWN_COLUMNS, count))])


def ingest(directory, memory, path, rows, definition):
    """CPU ns an event until answered and until sealed, bytes a row sealed."""
    server = engines.Freshet(directory, "--memory", memory)
    try:
        server.ask(f"CREATE TABLE events ({definition}) WITH (time = 'ts', lateness = '10 s')")
        server.settle()
        with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
            begin = server.cpu_s()
            server.post(view, BODY_BYTES)
            answered = server.cpu_s() - begin
            server.checkpoint()
            sealed = server.cpu_s() - begin
        size = sum(os.path.getsize(entry) for entry in os.scandir(os.path.join(directory, "store", "segments")))
        return [f"{answered / rows * 1e9:,.0f}", f"{sealed / rows * 1e9:,.0f}", f"{size / rows:.1f}"]
    finally:
        server.stop()
        server.wipe()


def peak_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def refuse(directory, count):
    """A body of empty objects for columns with defaults, under a memory that could not hold its rows."""
    server = engines.Freshet(directory, "--memory", "1 GiB")
    try:
        server.ask("CREATE TABLE wide (" + ", ".join(f"c{index} bigint DEFAULT {index}" for index in range(count)) + ")")
        server.settle()
        cpu, peak = server.cpu_s(), peak_kb(server.process.pid)
        connection = http.client.HTTPConnection(server.address, timeout=900)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/ingest/wide", b"{}\n" * EMPTY_ROWS, {"Content-Type": "application/x-ndjson"})
            reply = connection.getresponse()
            reply.read()
        return reply.status, server.cpu_s() - cpu, (peak_kb(server.process.pid) - peak) / 1024
    finally:
        server.stop()
        server.wipe()


def main():
    parser = argparse.ArgumentParser(prog="bench/ingest --columns N")
    parser.add_argument("--columns", type=int, required=True)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--memory", default="6 GiB")
    options = parser.parse_args()
    tables = {f"{OWN_COLUMNS} columns": columns(OWN_COLUMNS, ""), f"{options.columns:,} columns, the others NULL": columns(options.columns, ""),
              f"{options.columns:,} columns, the others by DEFAULT": columns(options.columns, " DEFAULT 7")}
    with tempfile.TemporaryDirectory(prefix="freshet-wide-") as directory, events_file(options.events, 1, 0, options.events) as path:
        print(f"{options.events:,} events of 1 KB in bodies of {BODY_BYTES >> 10} KB, CPU ns of the server an event\n")
        report.print_table(["table", "until answered", "until sealed", "bytes/row"],
                           [[name, *ingest(directory, options.memory, path, options.events, definition)] for name, definition in tables.items()])
        status, cpu, grown = refuse(directory, options.columns)
        print(f"\n{EMPTY_ROWS:,} rows {{}} for {options.columns:,} columns with defaults, memory 1 GiB: HTTP {status}, {cpu:.2f} s of CPU, peak memory {grown:+.0f} MB")


if __name__ == "__main__":
    main()
