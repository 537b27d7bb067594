"""Queries while the log is replayed: each answer is one moment and says so; everything that changes something waits.

The server is killed with all of its rows in the log, and started again by a build whose replay rests after each record."""

import re
import subprocess
import threading
import time

import freshet
import pytest

RECORDS, PAIRS = 150, 5
RECORDS_LONG = 400  # more than any machine replays while a query under way is looked for


@pytest.fixture
def killed(request, freshet_factory):
    """A store with records of PAIRS of rows, x and -x, and a table that comes last; nothing is sealed."""
    server = freshet_factory()
    server.sql("CREATE TABLE pairs (at timestamptz NOT NULL, n bigint, x bigint)")
    for record in range(request.param):
        rows = "".join(f'{{"at":{1790000000 + record},"n":{record},"x":{sign * (i + 1)}}}\n' for i in range(PAIRS) for sign in (1, -1))
        status, answer = server.ingest("pairs", rows)
        assert status == 200, answer
    server.sql("CREATE TABLE last (at timestamptz NOT NULL)")
    server.last_position = int(server.sql("SELECT count(*) FROM last")["completeness"]["position"])
    server.kill()
    return server


def start_slowly(freshet_factory, checked_binary, killed):
    """Up to the open port."""
    killed.log_path.write_text("")
    server = freshet_factory(killed.data, binary=checked_binary, environment={"FRESHET_FAULT": "store.slow_replay"}, wait_ready=False)
    end = time.monotonic() + 60
    while not (match := re.search(r"listening http=(\S+)", server.log_text())):
        assert time.monotonic() < end and server.process.poll() is None, server.log_text()
        time.sleep(0.005)
    server.http = match.group(1)
    return server


def wait_readable(server):
    end = time.monotonic() + 60
    while True:
        status, answer = server.query("SELECT count(*) FROM pairs")
        if status == 200:
            assert answer["completeness"]["recovering"], "the log was replayed before anyone could ask"
            return
        assert (status, answer["sqlstate"]) == (503, "57P03"), answer
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("killed", [RECORDS], indirect=True)
def test_queries_run_while_the_log_is_replayed(freshet_factory, checked_binary, killed):
    server = start_slowly(freshet_factory, checked_binary, killed)
    assert server.request("GET", "/healthz")[0] == 200
    wait_readable(server)
    for method, target, body in (("GET", "/readyz", None), ("POST", "/v1/ingest/pairs", '{"at":1790000000}'),
                                 ("POST", "/v1/sql", "CREATE TABLE t (at timestamptz NOT NULL)"), ("POST", "/v1/sql", "CHECKPOINT"),
                                 ("POST", "/v1/sql", "INSERT INTO pairs (at) VALUES (now())"),
                                 ("POST", "/v1/sql", "SELECT * FROM last")):
        status, headers, text = server.request(method, target, body)
        assert status == 503 and "retry-after" in headers and b"57P03" in text, (target, body, status, text)
    late = []
    waiter = threading.Thread(target=lambda: late.append(server.query("SELECT count(*) FROM pairs", at_least=str(killed.last_position))))
    waiter.start()
    seen = []
    while True:
        answer = server.sql("SELECT count(*), sum(x), max(n) + 1, count(DISTINCT n) FROM pairs")
        rows, total, *records = answer["rows"][0]
        recovering = answer["completeness"]["recovering"]
        assert rows % (2 * PAIRS) == 0 and total in (0, None), answer
        assert records in ([rows // (2 * PAIRS)] * 2, [None, 0]), answer
        seen.append((int(answer["completeness"]["position"]), rows))
        if not recovering:
            break
    assert seen == sorted(seen) and len(set(seen)) > 3, seen
    assert seen[-1] == (killed.last_position, RECORDS * 2 * PAIRS)
    waiter.join(60)
    status, answer = late[0]
    assert status == 200 and answer["rows"] == [[RECORDS * 2 * PAIRS]], answer
    server.wait_ready()
    assert server.rows("SELECT count(*) FROM last") == [[0]]


@pytest.mark.parametrize("killed", [RECORDS_LONG], indirect=True)
def test_users_that_are_made_meanwhile_shut_the_server(freshet_factory, checked_binary, killed):
    server = start_slowly(freshet_factory, checked_binary, killed)
    wait_readable(server)
    made = subprocess.run([freshet.binary(), "user", "add", "ann", "--role", "admin", "--data", str(killed.data)], input="x\n",
                          capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    while (status := server.request("GET", "/")[0]) == 200:
        time.sleep(0.01)
    assert status == 401 and "ready position=" not in server.log_text()
    assert server.stop() == 0


@pytest.mark.parametrize("killed", [RECORDS_LONG], indirect=True)
def test_a_signal_ends_the_replay_when_the_queries_under_way_have_ended(freshet_factory, checked_binary, killed):
    server = start_slowly(freshet_factory, checked_binary, killed)
    wait_readable(server)
    answers = []
    query = threading.Thread(target=lambda: answers.append(server.query("SELECT count(*) FROM generate_series(1, 1000000)")))
    query.start()
    while not answers and not server.rows("SELECT 1 FROM freshet.queries WHERE query LIKE '%generate_series(1, 1000000)%' "
                                          "AND state = 'running' AND query NOT LIKE '%freshet.queries%'"):
        pass
    assert server.stop() == 0
    query.join(60)
    status, answer = answers[0]  # where it takes longer than a stop waits it is cancelled, and told so
    assert answer["completeness"]["recovering"] if status == 200 else answer["sqlstate"] == "57014", answers
    assert "stopped before the log was replayed" in server.log_text()
    whole = freshet_factory(killed.data)
    assert whole.rows("SELECT count(*) FROM pairs") == [[RECORDS_LONG * 2 * PAIRS]]
