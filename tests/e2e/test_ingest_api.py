"""POST /v1/ingest: every status of the interface, headers, encodings, bad input, back pressure, a full disk, visibility."""

import gzip
import http.client
import json
import os
import subprocess
import threading
import time

import pytest
import zstandard

TABLE = "CREATE TABLE t (ts timestamptz NOT NULL, a bigint, b text)"
ROW = {"ts": "2026-05-01T10:00:00Z", "a": 1, "b": "x"}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def table(shared_server):
    """A fresh table of the shared server."""
    name = f"t{time.monotonic_ns()}"
    shared_server.sql(TABLE.replace("TABLE t", f"TABLE {name}"))
    return name


def count(server, table):
    return server.rows(f"SELECT count(*) FROM {table}")[0][0]


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "text/plain", "application/x-www-form-urlencoded",
                                          "application/octet-stream", "application/x-ndjson; charset=utf-8"])
@pytest.mark.parametrize("encode", [None, "gzip", "multi", "zstd", "identity"])
def test_types_and_encodings(shared_server, table, content_type, encode):
    body = lines(ROW, ROW).encode()
    coded = {None: body, "identity": body, "gzip": gzip.compress(body), "zstd": zstandard.compress(body),
             "multi": gzip.compress(lines(ROW).encode()) + gzip.compress(lines(ROW).encode())}[encode]
    headers = {"Content-Type": content_type}
    if encode:
        headers["Content-Encoding"] = "gzip" if encode == "multi" else encode
    status, answer = shared_server.ingest(table, coded, **{k.replace("-", "_"): v for k, v in headers.items()})
    assert status == 200 and answer["rows"] == 2 and answer["rejected_rows"] == 0, answer
    assert isinstance(answer["position"], str) and int(answer["position"]) > 0
    assert count(shared_server, table) == 2


def test_formats(shared_server, table):
    for body, content_type, rows in [
        (json.dumps(ROW), "application/json", 1), (json.dumps([ROW, ROW]), "application/json", 2),
        (json.dumps(ROW) + json.dumps(ROW), "application/json", 2), ("\n\n" + lines(ROW) + "\n", "application/x-ndjson", 1),
        ("", "application/x-ndjson", 0), ("[]", "application/json", 0),
        ("ts,a,b\r\n2026-05-01T10:00:00Z,1,\"x,\n\"\"y\"\"\"\r\n", "text/csv", 1),
    ]:
        status, answer = shared_server.ingest(table, body, content_type=content_type)
        assert (status, answer["rows"]) == (200, rows), (body, answer)


@pytest.mark.parametrize("body, content_type", [
    ('[{"a":1},{"a":', "application/json"), ('{"a":1}}', "application/json"), ('ts,a,b\n"2026', "text/csv")])
def test_broken_framing_stores_nothing(shared_server, table, body, content_type):
    status, answer = shared_server.ingest(table, body, content_type=content_type)
    assert status == 400 and answer["status"] == 400, answer
    assert count(shared_server, table) == 0


def test_statuses(shared_server, table):
    row = lines(ROW)
    for query, headers, body, status in [
        ("", {"content_type": "application/xml"}, row, 415), ("", {"content_encoding": "br"}, row, 415),
        ("?format=xml", {}, row, 415), ("?create=maybe", {}, row, 400), ("?colour=red", {}, row, 400),
        ("?format=%zz", {}, row, 400), ("", {"content_encoding": "gzip"}, row, 400), ("", {"content_encoding": "zstd"}, row, 400),
        ("", {"freshet_sequence": "1"}, row, 400), ("", {"freshet_producer": "p", "freshet_sequence": "x"}, row, 400),
        ("", {"freshet_producer": "p", "freshet_sequence": "-1"}, row, 400), ("", {"freshet_producer": "p" * 129}, row, 400),
        ("", {"idempotency_key": "k" * 129}, row, 400), ("", {"idempotency_key": '"'}, row, 400),
        ("", {"idempotency_key": "k", "freshet_producer": "p", "freshet_sequence": "1"}, row, 400),
    ]:
        got, answer = shared_server.ingest(table, body, query, **headers)
        assert got == status and answer["status"] == status, (query, headers, answer)
    assert shared_server.ingest("no_such_table", row)[0] == 404
    assert count(shared_server, table) == 0


def test_bad_rows_are_named_and_good_ones_stored(shared_server, table):
    rows = [lines({**ROW, "a": i}) for i in range(1000)]
    rows[499] = lines({**ROW, "a": "not a number"})
    rows[700] = '{"a": \n'
    status, answer = shared_server.ingest(table, "".join(rows))
    assert status == 200 and answer["rows"] == 998 and answer["rejected_rows"] == 2, answer
    assert [entry["row"] for entry in answer["rejected"]] == [500, 701]
    assert answer["rejected"][0]["column"] == "a" and answer["rejected"][0]["sqlstate"] == "22P02"
    assert count(shared_server, table) == 998


def test_create(shared_server):
    status, answer = shared_server.ingest("made", lines(ROW), "?create=true")
    assert status == 200 and answer["rows"] == 1, answer
    assert count(shared_server, "made") == 1


def test_producer_sequences(shared_server, table):
    def post(sequence, body=None, name="p"):
        return shared_server.ingest(table, body or lines({**ROW, "a": sequence}), freshet_producer=name,
                                    freshet_sequence=str(sequence))

    first = post(7)
    assert first[0] == 200
    assert post(7) == first
    assert post(7, lines({**ROW, "b": "other"}))[0] == 422
    status, answer = post(9)
    assert status == 409 and answer["expected"] == 8, answer
    assert post(8)[1]["rows"] == 1
    status, answer = post(7)
    assert (status, answer["rows"], answer["duplicates"]) == (200, 0, 1), answer
    assert count(shared_server, table) == 2


def test_idempotency_keys(shared_server, table):
    def post(key, row=ROW):
        return shared_server.request("POST", f"/v1/ingest/{table}", lines(row), {"Idempotency-Key": key})

    status, headers, body = post('"a key"')
    assert status == 200 and headers["idempotency-expires"].endswith("GMT")
    assert post('"a key"')[2] == body
    assert post('"a key"', {**ROW, "a": 2})[0] == 422
    assert post("bare")[0] == 200 and post('"bare"')[0] == 200
    assert count(shared_server, table) == 2


@pytest.mark.parametrize("body, content_type", [
    (b'{"b":"\xff\xfe"}\n', "application/x-ndjson"), (b"[" * 10000 + b"]" * 10000, "application/json"),
    (b'{"a":' + b"9" * 1000000 + b"}\n", "application/x-ndjson"), (b'{"a":1e999999999}\n', "application/x-ndjson"),
    (b'{"b":"\\ud800"}\n', "application/x-ndjson"), (b"\x00" * 1000, "application/octet-stream"),
    (b'{"x":' * 10000 + b"1" + b"}" * 10000, "application/x-ndjson")])
def test_bad_input_is_answered(shared_server, table, body, content_type):
    status, answer = shared_server.ingest(table, body, content_type=content_type)
    assert status in (200, 400, 413, 422), answer
    assert count(shared_server, table) == 0
    assert shared_server.ingest(table, lines(ROW))[0] == 200


def test_bombs(shared_server, table):
    bomb = b"\n" * (1 << 28)
    for coding, body in (("gzip", gzip.compress(bomb, 6)), ("zstd", zstandard.compress(bomb))):
        status, answer = shared_server.ingest(table, body, content_encoding=coding)
        assert status == 413 and "freshet load" in json.dumps(answer), answer


def test_a_gigabyte_number_is_refused_at_its_head(shared_server, table):
    connection = http.client.HTTPConnection(shared_server.http, timeout=100)
    connection.putrequest("POST", f"/v1/ingest/{table}")
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_back_pressure_and_queries_go_on(freshet_factory):
    server = freshet_factory(arguments=["--memory", "48 MiB"])
    server.sql("CREATE TABLE t (n bigint, s text)")
    bodies = ["".join(f'{{"n":{i},"s":"{body:06d}{i:06d}{"x" * 200}"}}\n' for i in range(1000)) for body in range(8)]
    stored, refused = [], []

    def send(first):  # several at once, with nothing to do between two bodies: faster than rows can be sealed
        for turn in range(4000):
            if refused:
                return
            status, headers, text = server.request("POST", "/v1/ingest/t", bodies[(first + turn) % len(bodies)])
            if status == 200:
                stored.append(1000)
            else:
                refused.append((status, headers, json.loads(text)))

    senders = [threading.Thread(target=send, args=(first,)) for first in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    status, headers, answer = refused[0]
    assert int(headers["retry-after"]) > 0
    assert status == 429 and answer["sqlstate"] == "53200", (status, answer)
    assert server.rows("SELECT count(*) FROM t") == [[sum(stored)]]
    server.sql("TRUNCATE t")
    end = time.monotonic() + 100
    while server.request("POST", "/v1/ingest/t", '{"n":1,"s":"after"}\n')[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert server.rows("SELECT s FROM t") == [["after"]]
    metrics = server.request("GET", "/metrics")[2].decode()
    assert float(metrics.split("\nfreshet_backpressure_total ")[1].split()[0]) >= 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with little room."""
    point = tmp_path / "disk"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(point)], check=True)
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_full_disk(small_disk, freshet_factory):
    """Below the low mark ingest answers 507; queries go on; with room again it resumes by itself."""
    server = freshet_factory(data=small_disk / "store", arguments=["--log-file", "4 MiB", "--disk-low", "16 MiB"])
    server.sql(TABLE)
    assert server.ingest("t", lines(ROW))[0] == 200
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"\0" * max(0, free - (8 << 20)))
    end = time.monotonic() + 100
    while (got := server.request("POST", "/v1/ingest/t", lines(ROW)))[0] == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    status, headers, body = got
    assert status == 507 and int(headers["retry-after"]) > 0 and json.loads(body)["sqlstate"] == "53100", got
    before = server.rows("SELECT count(*) FROM t")[0][0]
    assert server.query(f"INSERT INTO t VALUES ('{ROW['ts']}', 1, 'x')")[0] == 507
    filler.unlink()
    while server.request("POST", "/v1/ingest/t", lines(ROW))[0] != 200:
        assert time.monotonic() < end + 100
        time.sleep(0.05)
    assert server.rows("SELECT count(*) FROM t") == [[before + 1]]


def test_disk_that_fills_in_the_middle(small_disk, freshet_factory):
    """The same without a low mark worth the name: the log itself meets the end of the disk, and lives on."""
    server = freshet_factory(data=small_disk / "store", arguments=["--log-file", "4 MiB", "--disk-low", "1"])
    server.sql("CREATE TABLE t (n bigint, s text)")
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"\0" * max(0, free - (9 << 20)))
    stored = 0
    for batch in range(200):
        body = "".join(f'{{"n":{batch * 1000 + i},"s":"{os.urandom(100).hex()}"}}\n' for i in range(1000))
        status, headers, text = server.request("POST", "/v1/ingest/t", body)
        if status != 200:
            break
        stored += 1000
    assert status == 507 and "retry-after" in headers, (status, text)
    assert server.rows("SELECT count(*) FROM t") == [[stored]]
    filler.unlink()
    end = time.monotonic() + 100
    while server.request("POST", "/v1/ingest/t", '{"n":-1,"s":"after"}\n')[0] != 200:
        assert time.monotonic() < end, server.log_text()[-2000:]
        time.sleep(0.1)
    server.kill()
    again = freshet_factory(data=server.data)
    assert again.rows("SELECT count(*) FROM t") == [[stored + 1]]


def test_acknowledged_rows_are_visible_at_once(freshet_factory):
    """R16: 100,000 markers; each batch is asked for over another connection the moment it is acknowledged."""
    server = freshet_factory()
    server.sql("CREATE TABLE m (n bigint)")
    total, batch, missing = 100_000, 20, []

    def work(part, parts):
        writer, reader = server.connection(), server.connection()
        for first in range(part * batch, total, parts * batch):
            writer.request("POST", "/v1/ingest/m", "".join(f'{{"n":{n}}}\n' for n in range(first, first + batch)))
            reply = writer.getresponse()
            assert reply.status == 200, reply.read()
            reply.read()
            reader.request("POST", "/v1/sql", f"SELECT count(*) FROM m WHERE n >= {first} AND n < {first + batch}")
            found = json.loads(reader.getresponse().read())["rows"][0][0]
            if found != batch:
                missing.append((first, found))
        writer.close()
        reader.close()

    threads = [threading.Thread(target=work, args=(part, 4)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert server.rows("SELECT count(*), count(DISTINCT n) FROM m") == [[total, total]]
