"""What a run of tests started ends with it, also where the run is killed: servers, databases with a session and a user of their
own, children of scripts; and nothing else does."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

import freshet
import keeper
from freshet import is_running, wait_until

TESTS = freshet.ROOT / "tests"
HANG_S = 300

WAITING = """
import pathlib
import threading

from differential import pg


def test_waits_for_ever(freshet_factory):
    server = freshet_factory()
    database = pg.PostgreSQL()
    postmaster = (database.data / "postmaster.pid").read_text().split()[0]
    place = pathlib.Path(__file__).with_name("started")
    place.with_name("new").write_text(f"{server.process.pid} {postmaster} {database.directory}")
    place.with_name("new").rename(place)
    threading.Event().wait()
"""

SCRIPT = f"""
export {keeper.VARIABLE}=$({TESTS}/keeper.py $$)
if [ "$1" -gt 0 ]; then
    bash "$0" $(($1 - 1)) &
else
    setsid sleep 1000 &
    echo $!
fi
wait
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_interrupted_run_leaves_no_server(tmp_path, number):
    (tmp_path / "test_waiting.py").write_text(WAITING)
    with open(tmp_path / "log", "wb") as log:
        run = subprocess.Popen([sys.executable, "-m", "pytest", "-c", TESTS / "pytest.ini", "-p", "conftest", "-p", "no:cacheprovider", "-n", "1",
                                "--basetemp", tmp_path / "base", tmp_path / "test_waiting.py"], stdout=log, stderr=log,
                               stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(TESTS)}, start_new_session=True,
                               preexec_fn=freshet.heed_interrupts)
    wait_until(lambda: (tmp_path / "started").exists() or run.poll() is not None)
    assert run.poll() is None, (tmp_path / "log").read_text()
    *pids, directory = (tmp_path / "started").read_text().split()
    assert all(map(is_running, pids))
    run.send_signal(number)
    run.wait(HANG_S)
    wait_until(lambda: not any(map(is_running, pids)))
    shutil.rmtree(directory, ignore_errors=True)


REFUSING = """
import os


def refuse(*arguments):
    raise PermissionError(1, "Operation not permitted")


os.pidfd_open = refuse
"""


@pytest.mark.parametrize("is_refused", [False, True], ids=["", "without descriptors of processes"])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_script_is_kept_and_strangers_are_not_ended(tmp_path, depth, is_refused):
    """With a depth of 1 the script that is killed has started one that has a keeper of its own. A sandbox may refuse pidfd_open."""
    (tmp_path / "script").write_text(SCRIPT)
    environment = dict(os.environ)
    if is_refused:
        (tmp_path / "sitecustomize.py").write_text(REFUSING)
        environment["PYTHONPATH"] = str(tmp_path)
    stranger = subprocess.Popen(["sleep", "1000"])
    script = subprocess.Popen(["bash", tmp_path / "script", str(depth)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        child = script.stdout.readline().strip()
        assert is_running(child)
        script.kill()
        script.wait(HANG_S)
        wait_until(lambda: not is_running(child))
        assert is_running(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait(HANG_S)
        script.stdout.close()
