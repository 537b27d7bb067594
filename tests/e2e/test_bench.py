"""freshet-bench and bench/demo as a user runs them; and what the generator sent against what the ledger says became of it."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import xml.etree.ElementTree

import pytest

import freshet

BENCH = pathlib.Path(freshet.binary()).with_name("freshet-bench")
LEDGER = "SELECT sum(received), sum(stored), sum(duplicate), sum(filtered), sum(sampled_out), sum(late_diverted), " \
         "sum(late_dropped), sum(dead) FROM freshet.ledger WHERE table_name = '{}'"


def bench(server, *arguments):
    return subprocess.run([BENCH, "--http", server.http, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_ledger_equals_what_the_generator_sent(server, tmp_path):
    report_file, chart = tmp_path / "report.json", tmp_path / "chart.svg"
    done = bench(server, "--rate", 5000, "--seconds", 3, "--malformed", 0.01, "--late", 0.01, "--duplicate", 0.2, "--query-pause", 100,
                 "--json", report_file, "--svg", chart)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(report_file.read_text())
    received, stored, duplicate, filtered, sampled, diverted, dropped, dead = (
        int(x) for x in server.rows(LEDGER.format("events"))[0])
    assert report["sent_rows"] > 1000 and report["duplicate_rows"] > 0 and report["malformed_rows"] > 0
    assert received == report["sent_rows"] + report["duplicate_rows"]
    assert duplicate == report["duplicate_rows"]
    assert dead == report["malformed_rows"] == report["rejected_rows"]
    assert stored == report["stored_rows"] == report["sent_rows"] - report["malformed_rows"]
    assert (filtered, sampled, diverted, dropped) == (0, 0, 0, 0)
    assert received == stored + duplicate + dead
    assert server.rows("SELECT count(*) FROM events") == [[stored]]
    assert server.rows("SELECT count(*) FROM freshet.dead_letters WHERE table_name = 'events'") == [[dead]]
    assert report["queries"] > 0 and report["query_failures"] == 0
    assert report["markers"] > 0 and report["markers_lost"] == 0
    assert server.sql("SELECT count(*) FROM events")["completeness"]["late_rows"] > 0
    assert xml.etree.ElementTree.parse(chart).getroot().tag.endswith("svg")


def test_events_do_not_compress_absurdly():
    import zstandard
    events = subprocess.run([BENCH, "--print", "--events", "20000", "--malformed", "0"], capture_output=True, timeout=60).stdout
    lines = events.splitlines()
    assert len(lines) == 20000 and max(map(len, lines)) <= 1023
    assert len(json.loads(lines[0])) == 21
    assert len(events) / len(zstandard.ZstdCompressor(level=1).compress(events)) < 4


def test_same_seed_same_events():
    runs = [subprocess.run([BENCH, "--print", "--events", "50", "--seed", seed], capture_output=True, text=True).stdout
            for seed in ("5", "5", "6")]
    without_time = [[line.split('"event_id"')[1] for line in run.splitlines() if '"event_id"' in line] for run in runs]
    assert without_time[0] == without_time[1] != without_time[2]


@pytest.mark.parametrize("arguments", [["--rate", "x"], ["--batch", "10"], ["--nonsense"], ["--line", "5000"], ["extra"]])
def test_bad_options_are_named(arguments):
    done = subprocess.run([BENCH, *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and arguments[-1 if arguments == ["extra"] else 0].lstrip("-") in done.stderr


def children(pid):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def demo(folder, *arguments):
    return subprocess.Popen([freshet.ROOT / "bench" / "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env={**os.environ, "TMPDIR": str(folder)},
                            preexec_fn=freshet.heed_interrupts)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("listens", [False, True], ids=["held", "answered"])
def test_demo_moves_numbers_and_stops(tmp_path, listens):
    """Also where another has the default port, whether it answers there or only holds it."""
    with socket.socket() as other:
        with contextlib.suppress(OSError):  # another test's demo has it
            other.bind(("127.0.0.1", 8080))
            if listens:
                other.listen()
        process = demo(tmp_path, "--seconds", "3", "--rate", "2000")
        text, _ = process.communicate(timeout=500)
    assert process.returncode == 0, text
    assert "Freshet is up" in text and "acknowledgement" in text and "received" in text


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_demo_stops_what_it_started(tmp_path, number):
    process = demo(tmp_path, "--rate", "2000")
    for line in process.stdout:
        if "sent/s" in line:
            break
    started = children(process.pid)
    assert started
    process.send_signal(number)
    process.stdout.read()
    assert process.wait(200) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGKILL:  # they are told of it, and end by themselves
        freshet.wait_until(lambda: not any(map(freshet.is_running, started)))
    assert not any(map(freshet.is_running, started))
