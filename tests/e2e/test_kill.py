"""SIGKILL under load: nothing acknowledged is lost, nothing is stored twice, however often the server dies.

Several producers send numbered rows without pause; the server is killed at random moments and started again on the same
data; each producer then sends its unanswered batch again with the same sequence. In the end every number of every producer
must be there exactly once, and the ledger must add up.

    FRESHET_KILLS=50 FRESHET_KILL_LOAD=headline pytest tests/e2e/test_kill.py

does it 50 times under the generator's events of 1 KB, 83,000 a second.
"""

import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import pytest

import freshet

KILLS = int(os.environ.get("FRESHET_KILLS", "50" if os.environ.get("FRESHET_TESTS_LONG") else "8"))
KILLS_PER_STORE = 10
PRODUCERS = 4
IS_HEADLINE = os.environ.get("FRESHET_KILL_LOAD") == "headline"
BATCH_ROWS = 1000 if IS_HEADLINE else 500
TARGET_ROWS_PER_S = 83_000 if IS_HEADLINE else 50_000
EVENT_COLUMNS = """, ts timestamptz, event_id uuid, event text, user_id bigint, session_id text, country text, city text,
    device text, os text, browser text, page text, referrer text, campaign text, status smallint,
    latency_ms double precision, amount numeric(12,2), bytes integer, is_new boolean, ip text, agent text, message text"""


def row_tails():
    """What follows the number in each row of a batch: a short text, or an event of the generator."""
    if not IS_HEADLINE:
        return [f'"s":"value {row % 97}"}}\n' for row in range(BATCH_ROWS)]
    bench = pathlib.Path(freshet.binary()).with_name("freshet-bench")
    events = subprocess.run([bench, "--print", "--events", str(BATCH_ROWS), "--malformed", "0"], capture_output=True, text=True,
                            check=True, timeout=60).stdout
    return [line[1:] + "\n" for line in events.splitlines()]


TAILS = row_tails()


class Producer(threading.Thread):
    """Sends batch after batch; after a break the same batch again with the same sequence."""

    def __init__(self, run, number):
        super().__init__(daemon=True)
        self.run_state, self.number = run, number
        self.sequence = 0          # of the last acknowledged batch
        self.acknowledged = 0      # rows
        self.repeats = 0
        self.failure = None

    def body(self, sequence):
        first = (sequence - 1) * BATCH_ROWS
        stamp = int(time.time() * 1e6)
        return "".join([f'{{"at":{stamp},"p":{self.number},"n":{number},{tail}'
                        for number, tail in enumerate(TAILS, first)]).encode()

    def run(self):
        try:
            self.loop()
        except Exception as error:  # noqa: BLE001 - reported by the test
            self.failure = error

    def loop(self):
        connection, pending, sends = None, None, 0
        pause = PRODUCERS * BATCH_ROWS / TARGET_ROWS_PER_S
        due = time.monotonic()
        while not (self.run_state.is_over and pending is None):
            if pending is None:
                pending, sends = self.body(self.sequence + 1), 0
                due += pause
                time.sleep(max(0, due - time.monotonic()))
            address = self.run_state.address
            if address is None:
                time.sleep(0.005)
                continue
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(address, timeout=20)
                sends += 1
                connection.request("POST", "/v1/ingest/numbers", pending,
                                   {"Content-Type": "application/x-ndjson", "Freshet-Producer": f"p{self.number}",
                                    "Freshet-Sequence": str(self.sequence + 1)})
                reply = connection.getresponse()
                text = reply.read()
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.01)
                continue
            if reply.status == 200:
                answer = json.loads(text)
                assert answer["rows"] == BATCH_ROWS, answer
                self.sequence += 1
                self.acknowledged += BATCH_ROWS
                self.repeats += sends > 1
                pending = None
                due = max(due, time.monotonic() - 0.2)
            else:
                assert reply.status in (409, 429, 503), (reply.status, text)
                time.sleep(0.02)


class Run:
    def __init__(self):
        self.address, self.is_over = None, False


def check_store(server, producers):
    lost = doubled = 0
    for producer in producers:
        rows, distinct, low, high = server.rows(
            f"SELECT count(*), count(DISTINCT n), min(n), max(n) FROM numbers WHERE p = {producer.number}")[0]
        lost += producer.acknowledged - distinct
        doubled += rows - distinct
        assert (low, high) == (0, producer.acknowledged - 1)
    received, stored, duplicate, dead = (int(x) for x in server.rows(
        "SELECT sum(received), sum(stored), sum(duplicate), sum(dead) FROM freshet.ledger WHERE table_name = 'numbers'")[0])
    total = sum(producer.acknowledged for producer in producers)
    assert (lost, doubled) == (0, 0)
    assert received == stored + duplicate + dead and stored == total and dead == 0
    return total


@pytest.mark.timeout(1800)
def test_kill_under_load_loses_and_doubles_nothing(freshet_factory, tmp_path, tell):
    rng = random.Random(7)
    restarts, rows, repeats, done = [], 0, 0, 0
    for store in range((KILLS + KILLS_PER_STORE - 1) // KILLS_PER_STORE):
        data = tmp_path / f"store{store}"
        server = freshet_factory(data=data)
        server.sql("CREATE TABLE numbers (at timestamptz NOT NULL, p integer NOT NULL, n bigint NOT NULL, s text"
                   f"{EVENT_COLUMNS if IS_HEADLINE else ''}) WITH (time = 'at')")
        run = Run()
        run.address = server.http
        producers = [Producer(run, number) for number in range(PRODUCERS)]
        for producer in producers:
            producer.start()
        for _ in range(min(KILLS_PER_STORE, KILLS - done)):
            time.sleep(rng.uniform(0.2, 0.9))
            run.address = None
            server.kill(signal.SIGKILL)
            begin = time.monotonic()
            server = freshet_factory(data=data)
            restarts.append(time.monotonic() - begin)
            run.address = server.http
            done += 1
        time.sleep(0.5)
        run.is_over = True
        for producer in producers:
            producer.join(200)
            assert not producer.is_alive() and producer.failure is None, producer.failure
        rows += check_store(server, producers)
        repeats += sum(producer.repeats for producer in producers)
        server.stop()
    restarts.sort()
    tell(f"kills: {done}, rows acknowledged {rows}, lost 0, doubled 0, batches repeated {repeats}; start until ready: "
         f"median {restarts[len(restarts) // 2]:.2f} s, longest {restarts[-1]:.2f} s")
