"""Queries past their memory through the real server: the same answers by way of the disk, and nothing left there whatever happens."""

import os
import pathlib
import threading
import time

SORT = "SELECT count(*), sum(i), max(t) FROM (SELECT i, i::bigint * 7919 % 1000003 AS k, 'row ' || i AS t " \
       "FROM generate_series(1, 400000) AS g(i) ORDER BY k, t OFFSET 200000) AS q"
GROUP = "SELECT count(*), sum(c), sum(s), max(t) FROM (SELECT 'user ' || i % 150000 AS t, count(*) AS c, sum(i) AS s " \
        "FROM generate_series(1, 400000) AS g(i) GROUP BY 1) AS q"
JOIN = "SELECT count(*), sum(i), sum(j), max(t) FROM (SELECT i, 'left ' || i AS t FROM generate_series(1, 200000) AS g(i)) AS l " \
       "FULL JOIN (SELECT j, 'right ' || j AS u FROM generate_series(100001, 300000) AS h(j)) AS r ON i = j"
ENDLESS = "SELECT count(*) FROM (SELECT i, md5(i::text) AS t FROM generate_series(1, 50000000) AS g(i) ORDER BY t OFFSET 10) AS q"
SMALL = {"freshet.query_memory": "4MB"}


def folder(server):
    return pathlib.Path(server.data) / "spill"


def open_files(server):
    """Of the process: files of the folder, which have no names any more."""
    fds = pathlib.Path(f"/proc/{server.process.pid}/fd")
    names = []
    for fd in fds.iterdir():
        try:
            names.append(os.readlink(fd))
        except FileNotFoundError:
            pass
    return [name for name in names if "/spill/" in name]


def test_answers_are_the_same(server):
    for text in (SORT, GROUP, JOIN):
        large = server.sql(text)
        small = server.sql(text, settings=SMALL)
        assert small["rows"] == large["rows"], text
        assert large["stats"]["spilled_bytes"] == 0 and small["stats"]["spilled_bytes"] > 1_000_000, text
    plan = "\n".join(row[0] for row in server.sql("EXPLAIN ANALYZE " + SORT, settings=SMALL)["rows"])
    assert "bytes to disk" in plan
    assert open_files(server) == [] and list(folder(server).iterdir()) == []


def test_off_and_limit(freshet_factory):
    server = freshet_factory(arguments=["--spill-limit", "1 MiB"])
    status, answer = server.query(SORT, settings={**SMALL, "freshet.spill": "off"})
    assert (status, answer["sqlstate"]) == (422, "53200")
    status, answer = server.query(SORT, settings=SMALL)
    assert (status, answer["sqlstate"]) == (422, "53200") and "spill_limit" in answer["detail"]
    assert open_files(server) == []
    assert server.sql(GROUP)["rows"]


def in_background(server, **fields):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(server.query(ENDLESS, settings=SMALL, **fields)), daemon=True)
    thread.start()
    end = time.monotonic() + 100
    while not any(row[0] for row in server.rows("SELECT spilled_bytes FROM freshet.queries WHERE query_id = 'endless'")):
        assert time.monotonic() < end, "nothing is spilled"
        time.sleep(0.05)
    return thread, outcome


def test_cancelled_and_timed_out(server):
    thread, outcome = in_background(server, query_id="endless")
    assert open_files(server) != [] and list(folder(server).iterdir()) == []
    assert server.request("DELETE", "/v1/sql/endless")[0] in (200, 202, 204)
    thread.join(100)
    assert outcome and outcome[0][1]["sqlstate"] == "57014"
    assert open_files(server) == []
    status, answer = server.query(ENDLESS, settings={**SMALL, "statement_timeout": "1s"})
    assert (status, answer["sqlstate"]) == (504, "57014")
    assert open_files(server) == []


def test_killed(freshet_factory, tmp_path):
    server = freshet_factory(tmp_path / "store")
    in_background(server, query_id="endless")
    server.kill()
    (folder(server) / "7").write_bytes(b"as if it had died before the name was taken away")
    again = freshet_factory(tmp_path / "store")
    assert list(folder(again).iterdir()) == []
    assert again.sql(SORT, settings=SMALL)["stats"]["spilled_bytes"] > 0
