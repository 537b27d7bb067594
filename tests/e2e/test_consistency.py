"""Queries beside ingest and DDL: every answer is one moment of the store."""

import http.client
import json
import threading
import time

SECONDS, TURNS_MIN = 6, 5
WRITERS, READERS = 3, 4


class Worker(threading.Thread):
    def __init__(self, server, body, stop):
        super().__init__(daemon=True)
        self.connection, self.body, self.stop = server.connection(), body, stop
        self.turns, self.failure = 0, None

    def run(self):
        try:
            while not self.stop.is_set():
                self.body(self.connection, self.turns)
                self.turns += 1
        except Exception as error:  # noqa: BLE001 - reported by the test
            self.failure = error


def post(connection, target, body, kind, allowed=(200,)):
    try:
        connection.request("POST", target, body, {"Content-Type": kind})
        reply = connection.getresponse()
        text = reply.read()
    except (http.client.HTTPException, ConnectionError):
        connection.close()
        raise
    assert reply.status in allowed, (reply.status, text[:500])
    return json.loads(text)


def test_pairs_sum_to_nothing_in_every_answer(server):
    """Each request stores +x and -x rows of one key; no query may ever see half of one, whatever DDL runs beside."""
    server.sql("CREATE TABLE pairs (at timestamptz NOT NULL, k bigint, x bigint)")

    def write(connection, turn):
        rows = "".join(f'{{"at":{int(time.time() * 1e6)},"k":{(turn * 7 + i) % 50},"x":{sign * (i + 1)}}}\n'
                       for i in range(20) for sign in (1, -1))
        post(connection, "/v1/ingest/pairs", rows, "application/x-ndjson")

    def read(connection, turn):
        sql = ("SELECT sum(x), count(*) % 40 FROM pairs", "SELECT k, sum(x) FROM pairs GROUP BY k HAVING sum(x) <> 0",
               "SELECT count(*) FILTER (WHERE x > 0) - count(*) FILTER (WHERE x < 0), 0 FROM pairs")[turn % 3]
        rows = post(connection, "/v1/sql", sql, "text/plain")["rows"]
        assert rows in ([], [[0, 0]], [[None, 0]]), (sql, rows)

    def define(connection, turn):
        statement = ("ALTER TABLE pairs ADD COLUMN extra text DEFAULT 'none'", "ALTER TABLE pairs DROP COLUMN extra",
                     "TRUNCATE pairs", "CREATE TABLE other (at timestamptz NOT NULL)", "DROP TABLE other", "CHECKPOINT")[turn % 6]
        post(connection, "/v1/sql", statement, "text/plain")
        time.sleep(0.05)

    stop = threading.Event()
    workers = [Worker(server, write, stop) for _ in range(WRITERS)] + [Worker(server, read, stop) for _ in range(READERS)] + \
        [Worker(server, define, stop)]
    for worker in workers:
        worker.start()
    least, most = time.monotonic() + SECONDS, time.monotonic() + 200
    while time.monotonic() < least or any(worker.turns <= TURNS_MIN and worker.is_alive() for worker in workers):
        assert time.monotonic() < most
        time.sleep(0.1)
    stop.set()
    for worker in workers:
        worker.join(100)
        assert not worker.is_alive()
        assert worker.failure is None, worker.failure
