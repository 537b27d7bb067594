"""The subcommands of the binary, run as a user runs them."""

import json
import subprocess
import time

import freshet
import pytest


def run(*arguments, text=None, timeout=200):
    return subprocess.run([freshet.binary(), *map(str, arguments)], input=text, capture_output=True, text=True, timeout=timeout)


def test_words():
    assert run("--version").stdout.startswith("freshet ")
    assert "serve" in run("--help").stdout
    assert "body_max" in run("serve", "--help").stdout
    for wrong in ((), ("dance",), ("sql", "--colour", "red"), ("load", "t"), ("infer",), ("serve", "--colour", "red"),
                  ("serve", "--body-max", "big")):
        assert run(*wrong).returncode == 64, wrong
    result = run("check", "no-such-directory")
    assert result.returncode == 2 and "no-such-directory" in result.stdout + result.stderr, result


def test_sql(shared_server):
    flag = f"--http={shared_server.http}"
    result = run("sql", "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 23, NULL; SELECT 'second;'", flag)
    assert result.returncode == 0, result.stderr
    assert result.stdout == " a  | b\n----+---\n  1 | x\n 23 | \n(2 rows)\n ?column?\n----------\n second;\n(1 row)\n"
    result = run("sql", flag, text="CREATE TABLE cli_t (a int);\n-- a comment; with a semicolon\nINSERT INTO cli_t VALUES (1),\n(2);\n"
                                   "SELECT sum(a) FROM cli_t")
    assert result.returncode == 0 and " 3\n" in result.stdout, result
    result = run("sql", flag, "SELECT nothing")
    assert result.returncode == 1 and "42703" in result.stderr
    assert run("sql", flag, "--format", "csv", "SELECT 1 AS a").stdout == "a\n1\n"  # CRLF, read as text
    assert run("sql", flag, "COPY (SELECT 1 AS a, NULL AS b) TO STDOUT WITH (FORMAT csv, HEADER)").stdout == "a,b\n1,\n"
    assert run("sql", "--http", "127.0.0.1:1", "SELECT 1").returncode == 1


def test_load_resumes_exactly_once(shared_server, tmp_path):
    path = tmp_path / "events.ndjson"
    count = 60_000
    path.write_text("".join(json.dumps({"ts": 1780000000 + i, "n": i, "s": "x" * 150}) + "\n" for i in range(count)))
    shared_server.sql("CREATE TABLE big (ts timestamptz NOT NULL, n bigint, s text)")
    first = run("load", "big", path, "--http", shared_server.http)
    assert first.returncode == 0 and f"{count} rows" in first.stderr, first.stderr
    for _ in range(2):
        again = run("load", "big", path, "--http", shared_server.http)
        assert again.returncode == 0 and "there already" in again.stderr, again.stderr
    assert shared_server.rows("SELECT count(*), count(DISTINCT n) FROM big") == [[count, count]]


def test_load_survives_a_kill(freshet_factory, tmp_path):
    path = tmp_path / "events.csv"
    count = 200_000
    path.write_text("n,s\n" + "".join(f'{i},"quoted\n{"y" * 60}"\n' for i in range(count)))
    server = freshet_factory()
    server.sql("CREATE TABLE k (n bigint, s text)")
    loader = subprocess.Popen([freshet.binary(), "load", "k", str(path), "--http", server.http], stderr=subprocess.PIPE)
    end = time.monotonic() + 100
    while server.rows("SELECT count(*) FROM k")[0][0] == 0 and loader.poll() is None:
        assert time.monotonic() < end
    server.kill()
    loader.kill()
    loader.communicate()
    again = freshet_factory(data=server.data)
    result = run("load", "k", path, "--http", again.http)
    assert result.returncode == 0, result.stderr
    assert again.rows("SELECT count(*), count(DISTINCT n), min(s) = max(s) FROM k") == [[count, count, True]]


def test_load_from_standard_input_and_rejects(shared_server):
    rows = '{"n":1}\n{"n":"x"}\n{"n":3}\n'
    shared_server.sql("CREATE TABLE piped (n bigint)")
    result = run("load", "piped", "-", "--http", shared_server.http, text=rows)
    assert result.returncode == 0 and "2 rows" in result.stderr and "1 rejected" in result.stderr, result.stderr
    assert run("load", "nowhere", "-", "--http", shared_server.http, text=rows).returncode == 1
    assert run("load", "made_by_load", "-", "--create", "--http", shared_server.http, text='{"n":1}\n').returncode == 0


@pytest.mark.parametrize("name, content", [
    ("a.ndjson", '{"ts":"2026-05-01T10:00:00Z","n":1,"price":1.5,"ok":true,"tags":["a"],"user":{"id":7}}\n' * 3),
    ("b.csv", "ts,n,price\n2026-05-01 10:00:00,1,1.5\n2026-05-01 10:00:01,2,2.5\n"),
    ("c.json", json.dumps([{"ts": 1780000000, "n": 1, "name": "x"}]))])
def test_infer_makes_a_table_that_takes_the_file(shared_server, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    result = run("infer", path, "--table", "inferred_" + name[0])
    assert result.returncode == 0 and result.stdout.startswith("CREATE TABLE"), result
    shared_server.sql(result.stdout)
    load = run("load", "inferred_" + name[0], path, "--http", shared_server.http)
    assert load.returncode == 0 and " 0 rejected" in load.stderr, load.stderr


def test_settings_file(tmp_path, freshet_factory):
    path = tmp_path / "freshet.conf"
    path.write_text("# a comment\nbody_max = 1 MiB\nlog_level = 'debug'\n")
    server = freshet_factory(arguments=["--config", str(path), "--max-rows", "5"])
    assert server.ingest("t", b"x" * (2 << 20))[0] == 413
    assert server.query("SELECT * FROM (VALUES (1),(2),(3),(4),(5),(6)) v")[1]["sqlstate"] == "54000"
    path.write_text("colour = red\n")
    result = run("serve", "--config", path, "--data", tmp_path / "d")
    assert result.returncode == 64 and "line 1" in result.stderr and "colour" in result.stderr


@pytest.mark.parametrize("text, wanted", [
    ("body_max = lots", "line 1: body_max"), ("body_max", "line 1: expected"), ("\n\n= 3", "line 3"),
    ("insecure = perhaps", "line 1: insecure takes on or off"), ("memory = -1", "line 1: memory takes a size"),
    ("body_max = 0", "body_max must be between"), ("http = 'x", "quotes"), ("io = floppy", "io is auto, uring or plain"),
    ("memory = 99999999999999 GiB", "memory takes a size"), ("body_max = 5 GiB", "body_max must be between")])
def test_wrong_settings_are_named(tmp_path, text, wanted):
    path = tmp_path / "freshet.conf"
    path.write_text(text + "\n")
    result = run("serve", "--config", path, "--data", tmp_path / "d")
    assert result.returncode == 64 and wanted in result.stderr, result
    assert not (tmp_path / "d").exists()


def test_exit_codes_and_reasons(tmp_path):
    for words, status, wanted in [
        (("serve", "--config", tmp_path / "none"), 64, "cannot read"),
        (("serve", "--data", "/proc/none", "--http", "127.0.0.1:0", "--pg", "off"), 1, "cannot make directory"),
        (("sql", "--http", "nonsense", "SELECT 1"), 1, "host:port"), (("infer", tmp_path / "none"), 1, "No such file"),
        (("load", "t", tmp_path / "none"), 1, "No such file"),
    ]:
        result = run(*words)
        assert result.returncode == status and wanted in result.stderr, (words, result)
        assert "io_uring" not in result.stderr, result.stderr  # not its fault
