"""Queries that would take all time or all memory, alone and 64 at once, while rows come in and a panel is asked: the server
lives, answers each in time with the right error, keeps its memory and every acknowledged row. And fairness beside that: what
is refused, what shows in freshet.queries, what ends a query."""

import json
import os
import signal
import socket
import threading
import time

import freshet
import hostile
import psycopg
import pytest
from topics import wait_until

IS_CHECKED = any(name in freshet.binary() for name in ("/asan/", "/tsan/", "/debug/"))
SLACK_S = 90 if IS_CHECKED else 20  # beyond statement_timeout, on a machine that does other things too
TIMEOUT_MS = 3000
MEMORY_BYTES = 1 << 30
ROWS = 4000 if IS_CHECKED else 20_000
SLOW = "SELECT count(*) FROM h a, h b, h c WHERE a.v + b.v + c.v = -1"


@pytest.fixture(scope="module")
def filled(new_module_folder):
    data = new_module_folder("hostile") / "store"
    server = freshet.Server(data, ["--memory", str(MEMORY_BYTES)])
    hostile.fill(server.http, ROWS)
    yield server
    assert server.stop() == 0, server.log_text()[-4000:]


def check(answers):
    wrong = [(name, got[:3]) for name, right, got in answers if got[1] not in right | {hostile.TIME, hostile.MEMORY}]
    late = [(name, got) for name, _, got in answers if got[3] > TIMEOUT_MS / 1000 + SLACK_S]
    assert not wrong and not late, (wrong, late)


def test_all_at_once(filled):
    """The whole set, 64 at a time, while rows come in and a panel is asked."""
    with hostile.Load(filled.http, filled.process.pid) as load:
        time.sleep(0.5)
        load.phase = "during"
        answers = hostile.attack(filled.http, hostile.CASES, 64, TIMEOUT_MS)
        load.phase = "after"
        wait_until(lambda: load.panels.get("after"), "no panel after it")
    check(answers)
    assert filled.process.poll() is None and not load.failures, load.failures[:5]
    assert load.is_complete() and load.rows_acknowledged > 0
    assert load.acks.get("during") and load.panels.get("after")
    if not IS_CHECKED:
        assert load.peak_bytes < 1.25 * MEMORY_BYTES, load.peak_bytes


@pytest.mark.parametrize("name", ["cross join of three", "string_agg of 1 GB", "generate_series(1, 1e12)", "regular expression replaced",
                                  "sort of a cross join"])
def test_the_same_64_times(filled, name):
    """A query that has used nothing yet does not wait for 64 that have used much."""
    case = next(case for case in hostile.CASES if case[0] == name)
    seconds = []  # of each attack: again until there are panels enough for a median, as one that comes with the 64 is one of them
    with hostile.Load(filled.http, filled.process.pid, table="acks_" + "".join(c for c in name.lower() if c.isalpha())) as load:
        while not seconds or (len(load.panels.get("during", [])) < 16 and len(seconds) < 8):
            load.phase, begin = "during", time.monotonic()
            check(hostile.attack(filled.http, [case] * 64, 64, TIMEOUT_MS))
            load.phase = "after"
            seconds.append(time.monotonic() - begin)
    assert not load.failures and load.is_complete(), load.failures[:5]
    panels = load.panels.get("during", [])
    assert IS_CHECKED or hostile.percentile(panels, 0.5) < sum(seconds) / len(seconds) / 2, (seconds, panels)


EDGES = {  # the last size that is answered, and what one more gives
    "parentheses": (lambda n: "SELECT " + "(" * n + "1" + ")" * n, 1000, hostile.DEPTH),
    "operators": (lambda n: "SELECT 1" + "+1" * n, 998, hostile.DEPTH),
    "CASE": (lambda n: "SELECT " + "CASE WHEN true THEN " * n + "1" + " END" * n, 998, hostile.DEPTH),
    "calls": (lambda n: "SELECT " + "abs(" * n + "1" + ")" * n, 998, hostile.DEPTH),
    "sub-selects": (hostile.nested_select, 499, hostile.DEPTH),
    "UNION": (lambda n: " UNION ALL ".join(["SELECT 1"] * n), 999, hostile.DEPTH),
    "json": (lambda n: "SELECT '" + "[" * n + "]" * n + "'::jsonb", 1024, hostile.DEPTH),
    "text": (lambda n: "SELECT '" + "x" * (n - 9) + "'", 256 << 10, hostile.SIZE),
    "IN list": (lambda n: "SELECT 1 WHERE 1 IN (" + ",".join(["1"] * n) + ")", ((256 << 10) - 21) // 2, hostile.SIZE),
    "columns": (lambda n: "SELECT " + ",".join(["1"] * n), 4096, "54011"),
    "CUBE": (lambda n: f"SELECT count(*) FROM (SELECT {','.join(f'1 AS c{i}' for i in range(n))}) s GROUP BY CUBE ({','.join(f'c{i}' for i in range(n))})",
             12, "54011"),
    "rows": (lambda n: f"SELECT generate_series(1, {n})", 1_000_000, hostile.SIZE),
    "length": (lambda n: f"SELECT length(repeat('x', {n}))", 256 << 20, hostile.SIZE),
}


@pytest.mark.parametrize("name", EDGES)
def test_limits_at_their_edges(filled, name):
    make, last, sqlstate = EDGES[name]
    right = (None, hostile.MEMORY) if name == "length" else (None,)
    assert hostile.ask(filled.http, make(last), timeout_ms=60_000)[1] in right
    assert hostile.ask(filled.http, make(last + 1), timeout_ms=60_000)[1] == sqlstate


def wait_for_slow(server, count):
    wait_until(lambda: server.rows("SELECT count(*) FROM freshet.queries WHERE query_id LIKE 'slow-%' AND cpu_ms > 0")[0][0] >= count,
               lambda: server.rows("SELECT * FROM freshet.queries"))


class Crowd:
    """Slow queries, each on a connection of its own."""

    def __init__(self, server, count, timeout_ms=300_000):
        self.answers = {}
        self.threads = [threading.Thread(target=self._run, args=(server, f"slow-{n}", timeout_ms)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, server, query_id, timeout_ms):
        begin = time.monotonic()
        self.answers[query_id] = *hostile.ask(server.http, SLOW, query_id=query_id, timeout_ms=timeout_ms)[:2], time.monotonic() - begin

    def join(self):
        for thread in self.threads:
            thread.join(SLACK_S + 30)
            assert not thread.is_alive()


def test_each_shows_and_can_be_cancelled(filled):
    crowd = Crowd(filled, 40)
    wait_for_slow(filled, 40)
    rows = filled.sql("SELECT query_id, client, query, state, started_at, elapsed_ms, rows_scanned, memory_bytes, cpu_ms FROM freshet.queries "
                      "WHERE query_id LIKE 'slow-%'")["rows"]
    assert len(rows) == 40 and all(row[2] == SLOW and row[3] == "running" and row[5] > 0 and row[8] > 0 for row in rows), rows
    total_ms = sum(row[8] for row in rows)
    assert total_ms <= 1000 * 3600
    for n in range(40):  # most of them wait for their turn just now
        begin = time.monotonic()
        status, _, text = filled.request("DELETE", f"/v1/sql/slow-{n}")
        assert status == 200 and json.loads(text)["cancelled"], text
        crowd.threads[n].join(SLACK_S)
        assert time.monotonic() - begin < SLACK_S
    crowd.join()
    assert all(answer[:2] == (504, "57014") for answer in crowd.answers.values()), crowd.answers
    assert filled.rows("SELECT count(*) FROM freshet.queries WHERE query_id LIKE 'slow-%'") == [[0]]


def test_clients_that_hang_up_end_their_queries(filled):
    host, port = filled.http.rsplit(":", 1)
    sockets = []
    for n in range(20):
        body = json.dumps({"query": SLOW, "query_id": f"slow-gone-{n}", "timeout_ms": 300_000}).encode()
        connection = socket.create_connection((host, int(port)))
        connection.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                           % len(body) + body)
        sockets.append(connection)
    wait_for_slow(filled, 20)
    for connection in sockets:
        connection.close()
    wait_until(lambda: filled.rows("SELECT count(*) FROM freshet.queries WHERE query_id LIKE 'slow-%'") == [[0]], "they go on")


def test_time_runs_out_in_line_too(filled):
    crowd = Crowd(filled, 64, timeout_ms=1500)
    crowd.join()
    assert all(answer[:2] == (504, "57014") and 1.4 < answer[2] < 1.5 + SLACK_S for answer in crowd.answers.values()), crowd.answers


def test_more_than_may_wait_are_refused(freshet_factory):
    server = freshet_factory(arguments=["--queries-max", "2"])
    hostile.fill(server.http, 3000)
    crowd = Crowd(server, 30)
    wait_until(lambda: len(crowd.answers) >= 30 - (2 + 2 * 4 + 2), lambda: crowd.answers)

    def is_over_when_cancelled():
        for n in range(30):
            server.request("DELETE", f"/v1/sql/slow-{n}")
        return len(crowd.answers) == 30

    wait_until(is_over_when_cancelled, lambda: crowd.answers)
    crowd.join()
    codes = [answer[:2] for answer in crowd.answers.values()]
    assert set(codes) == {(504, "57014"), (503, "53300")}, codes
    assert 2 <= codes.count((504, "57014")) <= 2 + 2 * 4 + 2, codes
    assert server.rows("SELECT count(*) FROM h") == [[3000]]


def queued(server):
    text = server.request("GET", "/metrics")[2].decode()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("freshet_queries_queued ")))


def send_slow(server, query_id, timeout_ms=300_000, comment=""):
    """The connection, its answer not waited for."""
    host, port = server.http.rsplit(":", 1)
    body = json.dumps({"query": SLOW + comment, "query_id": query_id, "timeout_ms": timeout_ms}).encode()
    connection = socket.create_connection((host, int(port)), timeout=600)
    connection.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                       % len(body) + body)
    return connection


@pytest.fixture
def busy(request, freshet_factory):
    """A server with one query under way, which is all it may have, and three behind it. Its parameter: a fault that is planted in it."""
    planted = getattr(request, "param", None)
    options = {"binary": request.getfixturevalue("checked_binary"), "environment": {"FRESHET_FAULT": planted}} if planted else {}
    server = freshet_factory(arguments=["--queries-max", "1"], **options)
    hostile.fill(server.http, 3000)
    connections = []
    for n in range(4):
        connections.append(send_slow(server, f"slow-{n}"))
        wait_until(lambda: server.request("DELETE", "/v1/sql/nobody")[0] == 404 and queued(server) == max(0, len(connections) - 1), "not queued")
    yield server, connections
    for connection in connections:
        connection.close()


def test_who_waits_for_others_to_end_can_be_cancelled(busy):
    server, connections = busy
    for n in (3, 1):  # behind the one that is under way
        status, _, text = server.request("DELETE", f"/v1/sql/slow-{n}")
        assert status == 200, text
        answer = connections[n].recv(65536)
        assert answer.startswith(b"HTTP/1.1 504 ") and b"57014" in answer, answer
    wait_until(lambda: queued(server) == 1, "not queued")
    assert server.request("DELETE", "/v1/sql/slow-1")[0] == 404
    for n in (0, 2):
        assert server.request("DELETE", f"/v1/sql/slow-{n}")[0] == 200
        assert connections[n].recv(65536).startswith(b"HTTP/1.1 504 ")


def test_who_waits_for_others_to_end_may_hang_up(busy):
    server, connections = busy
    connections[2].close()
    wait_until(lambda: queued(server) == 2, "it waits on")
    connections[1].close()
    connections[3].close()
    wait_until(lambda: queued(server) == 0, "they wait on")
    assert server.request("DELETE", "/v1/sql/slow-0")[0] == 200  # under way until now


def timed_out(server):
    text = server.request("GET", "/metrics")[2].decode()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith('freshet_queries_total{outcome="timeout"}')))


def test_who_waits_for_others_to_end_has_its_time(busy):
    """None of them has had a turn when its time is over: it is answered then, and gives up its place."""
    server, _ = busy
    before = timed_out(server)
    large = "-- " + "x" * 300_000  # which is not read by the reactor
    for query_id, comment in (("late-1", ""), ("late-2", large)):
        connection = send_slow(server, query_id, timeout_ms=300, comment=comment)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 504 ") and b"57014" in answer, answer
        connection.close()
    assert queued(server) == 3 and timed_out(server) == before + 2
    assert server.request("DELETE", "/v1/sql/slow-0")[0] == 200  # under way until now


@pytest.mark.parametrize("busy", ["route.time_begins_late"], indirect=True)
def test_whose_time_begins_late_would_be_found(busy):
    server, _ = busy
    connection = send_slow(server, "late-1", timeout_ms=300)
    connection.settimeout(3)
    with pytest.raises(TimeoutError):  # nobody ends the one that is under way
        connection.recv(65536)
    connection.close()
    assert server.request("DELETE", "/v1/sql/slow-0")[0] == 200


def test_an_endpoint_that_waits_for_others_to_end_has_its_time(freshet_factory):
    server = freshet_factory(arguments=["--queries-max", "1"])
    hostile.fill(server.http, 3000)
    server.sql("CREATE VIEW slow WITH (endpoint = 'slow') AS " + SLOW)
    first = send_slow(server, "slow-0")
    wait_until(lambda: server.request("DELETE", "/v1/sql/nobody")[0] == 404, "no answer")
    wait_until(lambda: server.request("GET", "/v1/endpoints/slow?timeout_ms=300")[0] == 504, "it is answered")
    assert queued(server) == 0 and server.request("DELETE", "/v1/sql/slow-0")[0] == 200  # under way until now
    first.close()


def pg_waiting(server, is_extended=False, timeout_ms=0):
    """A connection whose statement waits for the one that is under way."""
    host, port = server.pg.rsplit(":", 1)
    connection = psycopg.connect(host=host, port=port, user="me", dbname="freshet", connect_timeout=100, autocommit=True,
                                 options=f"-c statement_timeout={timeout_ms}")
    before = queued(server)
    if is_extended:
        connection.pgconn.send_query_params(SLOW.encode(), [])
    else:
        connection.pgconn.send_query(SLOW.encode())
    if timeout_ms == 0:
        wait_until(lambda: queued(server) == before + 1, "not queued")
    return connection


def test_a_session_that_waits_for_others_to_end_may_hang_up(busy):
    server, _ = busy
    connection = pg_waiting(server)
    connection.close()
    wait_until(lambda: queued(server) == 3, "it waits on")


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_session_that_waits_for_others_to_end_can_be_cancelled(busy, is_extended):
    server, connections = busy
    connection = pg_waiting(server, is_extended)
    connection.cancel()
    result = connection.pgconn.get_result()
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014", result.error_message
    assert connection.pgconn.get_result() is None and queued(server) == 3
    for n in range(4):
        assert server.request("DELETE", f"/v1/sql/slow-{n}")[0] == 200
        assert connections[n].recv(65536).startswith(b"HTTP/1.1 504 ")
    assert connection.execute("SELECT count(*) FROM h").fetchone() == (3000,)  # no later statement is
    connection.close()


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_session_that_waits_for_others_to_end_has_its_time(busy, is_extended):
    server, _ = busy
    before = timed_out(server)
    connection = pg_waiting(server, is_extended, timeout_ms=500)
    result = connection.pgconn.get_result()
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014", result.error_message
    assert connection.pgconn.get_result() is None and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert queued(server) == 3 and timed_out(server) == before + 1
    for n in range(4):
        assert server.request("DELETE", f"/v1/sql/slow-{n}")[0] == 200

    def counted():
        try:
            return connection.execute("SELECT count(*) FROM h").fetchone() == (3000,)
        except psycopg.errors.QueryCanceled:  # the machine is slow
            return False

    wait_until(counted, "no answer")
    connection.close()


def test_a_sync_does_not_wait_for_others_to_end(busy):
    """It comes in a later packet than the statement that failed while it waited."""
    server, _ = busy
    connection = pg_waiting(server)
    connection.cancel()
    while connection.pgconn.get_result() is not None:
        pass
    connection.pgconn.enter_pipeline_mode()
    connection.pgconn.send_query_params(b"SELECT 1", [])
    connection.pgconn.send_flush_request()
    connection.pgconn.flush()
    wait_until(lambda: queued(server) == 4, "not queued")
    connection.cancel()
    result = connection.pgconn.get_result()
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014", result.error_message
    connection.pgconn.pipeline_sync()
    connection.pgconn.flush()
    while (result := connection.pgconn.get_result()) is None or result.status != psycopg.pq.ExecStatus.PIPELINE_SYNC:
        pass
    assert queued(server) == 3 and server.request("DELETE", "/v1/sql/slow-0")[0] == 200  # under way until now
    connection.close()


def test_a_session_that_waits_is_among_the_queries(busy):
    """Seen by one that waited before it, cancelled by its id."""
    server, _ = busy
    seen = {}
    assert server.request("DELETE", "/v1/sql/slow-3")[0] == 200  # more than four may not wait
    wait_until(lambda: queued(server) == 2, "it waits on")
    asks = threading.Thread(target=lambda: seen.update(server.sql(
        "SELECT query_id, state, query LIKE '%h a, h b%' FROM freshet.queries WHERE query_id NOT LIKE 'slow-%' AND state = 'queued'",
        timeout_ms=300_000)))
    asks.start()
    wait_until(lambda: queued(server) == 3, "not queued")
    waiting = pg_waiting(server)
    for n in range(3):
        assert server.request("DELETE", f"/v1/sql/slow-{n}")[0] == 200
    asks.join(600)
    (query_id, *rest), = seen["rows"]
    assert rest == ["queued", True], seen
    assert server.request("DELETE", f"/v1/sql/{query_id}")[0] == 200
    result = waiting.pgconn.get_result()
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014", result.error_message
    waiting.close()


def test_what_waits_is_among_the_queries(freshet_factory):
    """Asked for by one that waited before it."""
    server = freshet_factory(arguments=["--queries-max", "1"])
    hostile.fill(server.http, 3000)
    first = send_slow(server, "slow-0")
    wait_until(lambda: server.request("DELETE", "/v1/sql/nobody")[0] == 404, "no answer")
    seen = {}
    asks = threading.Thread(target=lambda: seen.update(rows=server.rows(
        "SELECT query_id, state, queued_ms > 0, query LIKE '%h a, h b%' FROM freshet.queries WHERE query_id LIKE 'slow-%' ORDER BY 1")))
    asks.start()
    wait_until(lambda: queued(server) == 1, "not queued")
    others = [send_slow(server, f"slow-{n}") for n in (1, 2)]
    wait_until(lambda: queued(server) == 3, "not queued")
    assert server.request("DELETE", "/v1/sql/slow-0")[0] == 200
    asks.join(600)
    assert seen["rows"] == [["slow-1", "queued", True, True], ["slow-2", "queued", True, True]], seen
    for connection in (first, *others):
        connection.close()


def test_stopping_ends_them(freshet_factory):
    server = freshet_factory()
    hostile.fill(server.http, 3000)
    crowd = Crowd(server, 20)
    wait_for_slow(server, 20)
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.process.wait(100) == 0  # and not for as long as they may take
    crowd.join()
    assert all(answer[0] in (503, 504) for answer in crowd.answers.values()), crowd.answers
