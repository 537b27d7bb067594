"""COPY of the same events in text and binary: events per CPU-second of the server until they are durable and visible.

Freshet and PostgreSQL 15 (a logged and an unlogged table, fsync on, everything else as it comes) take the same bytes through the same
client; QuestDB takes the events as line protocol over HTTP, where it can be had. CPU is that of all processes of a server from the first
byte until the answer, and for Freshet and PostgreSQL once more until a CHECKPOINT behind it is done: what is put off counts there."""

import argparse
import contextlib
import mmap
import os
import pathlib
import statistics
import sys
import tempfile
import time

import engines
import report
from events import events_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from differential import pg  # noqa: E402

POSTGRES_COLUMNS = engines.FRESHET_COLUMNS
PIECE = 64 << 10


def arguments_read():
    parser = argparse.ArgumentParser(prog="bench/copy", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="events of a COPY (200000)")
    parser.add_argument("--runs", type=int, default=5, help="COPYs of each kind, taken in turn; the median counts (5)")
    parser.add_argument("--no-questdb", action="store_true", help="leave QuestDB out")
    return parser.parse_args()


class PostgreSQL(pg.PostgreSQL):
    """As installed, but for its place; it syncs."""

    def __init__(self):
        super().__init__()
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
        options = f"-c listen_addresses='' -k {self.directory} -c timezone=UTC -c max_wal_size=8GB -c autovacuum=off"
        self._run("pg_ctl", "-D", self.data, "-l", self.directory / "log", "-o", options, "-w", "start")
        self.postmaster = int((self.data / "postmaster.pid").read_text().split()[0])

    def cpu_s(self):
        children = pathlib.Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text().split()
        return sum(engines.process_cpu_s(int(pid)) for pid in [self.postmaster, *children])


def connect(dsn):
    import psycopg

    return psycopg.connect(dsn, autocommit=True)


def copy_in(connection, form, data):
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY events FROM STDIN (FORMAT {form})") as copy:
            for at in range(0, len(data), PIECE):
                copy.write(data[at:at + PIECE])
        return int(cursor.statusmessage.split()[1])


def measure(server, connection, ddl, form, data, rows):
    """(CPU s until the answer, until the CHECKPOINT is done too)"""
    connection.execute("DROP TABLE IF EXISTS events")
    connection.execute(ddl)
    connection.execute("CHECKPOINT")
    begin = server.cpu_s()
    copied = copy_in(connection, form, data)
    answered = server.cpu_s()
    assert copied == rows, (copied, rows)
    assert connection.execute("SELECT count(*) FROM events").fetchone()[0] == rows
    looked = server.cpu_s()
    connection.execute("CHECKPOINT")
    return answered - begin, answered - begin + server.cpu_s() - looked


def measure_questdb(server, bodies, rows):
    import http.client

    server.ask("DROP TABLE IF EXISTS events")
    server.create()
    connection = http.client.HTTPConnection(server.address, timeout=120)
    begin = server.cpu_s()
    for body in bodies:
        connection.request("POST", "/write?precision=n", body)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 204, reply.status
    end = time.monotonic() + 120
    while server.rows() != rows:  # written to its log at the answer; visible when applied
        assert time.monotonic() < end
        time.sleep(0.05)
    connection.close()
    return server.cpu_s() - begin


def bodies_of(data, size=1 << 20):
    at = 0
    while at < len(data):
        end = len(data) if at + size >= len(data) else data.rindex(b"\n", at, at + size) + 1
        yield data[at:end]
        at = end


def main():
    options = arguments_read()
    rows, results = options.rows, {}
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-copy-"))
        path = stack.enter_context(events_file(rows, 1, 0, rows))
        freshet = engines.Freshet(os.path.join(directory, "freshet"))
        stack.callback(freshet.stop)
        freshet.create()
        with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
            freshet.post(view, 1 << 20)
        address = freshet.pg_address
        host, port = address.rsplit(":", 1)
        ours = stack.enter_context(connect(f"host={host} port={port} user=bench dbname=freshet"))
        ours.execute("SET freshet.max_rows = '100000000'")
        data = {}
        for form in ("text", "binary"):
            with ours.cursor() as cursor, cursor.copy(f"COPY events TO STDOUT (FORMAT {form})") as copy:
                data[form] = b"".join(bytes(part) for part in copy)
        postgres = PostgreSQL()
        stack.callback(postgres.stop)
        theirs = stack.enter_context(connect(postgres.dsn))
        questdb_bodies, quest = [], None
        if not options.no_questdb:
            import questdb

            quest = questdb.QuestDB(stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-copy-quest-")))
            stack.callback(quest.stop)
            questdb_bodies = list(bodies_of(questdb.lines_of(path)))
        logged = f"CREATE TABLE events ({POSTGRES_COLUMNS})"
        for _ in range(options.runs):
            for form in ("text", "binary"):
                for name, server, connection, ddl in (
                        ("freshet", freshet, ours, engines.FRESHET_DDL), ("postgresql, logged", postgres, theirs, logged),
                        ("postgresql, unlogged", postgres, theirs, logged.replace("CREATE", "CREATE UNLOGGED"))):
                    results.setdefault((name, f"COPY {form}"), []).append(measure(server, connection, ddl, form, data[form], rows))
            if quest is not None:
                results.setdefault(("questdb", "line protocol"), []).append((measure_questdb(quest, questdb_bodies, rows), 0))
    print(f"{rows} events; MB: " + ", ".join(f"{form} {len(data[form]) / 1e6:.1f}" for form in data) +
          f"; median of {options.runs} runs taken in turn\n")
    lines = []
    for (name, way), runs in results.items():
        answered, sealed = (statistics.median(run[index] for run in runs) for index in (0, 1))
        own = [statistics.median(run[index] for run in results["freshet", way if way.startswith("COPY") else "COPY text"]) for index in (0, 1)]
        lines.append([f"{name}: {way}", f"{rows / answered:,.0f}", f"{answered / own[0]:.2f}",
                      f"{rows / sealed:,.0f}" if sealed else "", f"{sealed / own[1]:.2f}" if sealed else ""])
    report.print_table(["", "events / CPU-s", "x", "with CHECKPOINT", "x"], lines)


if __name__ == "__main__":
    main()
