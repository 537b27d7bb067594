#!/usr/bin/env python3
"""Ends what a run has started once the run itself is over, however it ended: SIGKILL runs no handler of whom it ends, and the
servers, brokers and databases of a run have sessions, users and parents of their own, so that no process group has them all.

As a module: keeper.watch(), by the process that is the run. As a program, for a script:

    export FRESHET_RUNS=$(tests/keeper.py $$)

Whatever a run starts inherits that variable, so the environment of a process tells whose it is, also when its parents are gone.
A run within another adds its own name to it. The keeper is a process beside the run, in a session of its own; it waits until the
run has ended, asks all that bear its name to end, and ends those that have not after a while. A run that stopped what it started
leaves it nothing to do.
"""

import contextlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

VARIABLE = "FRESHET_RUNS"
ENDING_S = 20  # what a server under a sanitizer may take to stop by itself


def bears(path, run):
    """Whether a process of /proc bears the name of a run; what has ended or is another user's does not."""
    with contextlib.suppress(OSError):
        for each in (path / "environ").read_bytes().split(b"\0"):
            name, _, value = each.partition(b"=")
            if name == VARIABLE.encode():
                return run.encode() in value.split()
    return False


def opened(pid):
    """A descriptor of a process; -1 where the kernel, or a sandbox around us, gives none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def begin_of(pid):
    """When a process began, in ticks: a later one of the same number began later. None: it has ended."""
    try:
        state, *fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if state in "ZX" else fields[18]


def tell(run, number, told):
    """Sends a signal to all of a run that were not told yet; how many there still are."""
    count = 0
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        descriptor = opened(pid)  # first: a later process of the same number is not this one
        if bears(path, run):
            count += 1
            if pid not in told:
                told.add(pid)
                with contextlib.suppress(OSError):
                    if descriptor >= 0:
                        signal.pidfd_send_signal(descriptor, number)
                    else:
                        os.kill(pid, number)
        if descriptor >= 0:
            os.close(descriptor)
    return count


def end(run):
    for number in signal.SIGTERM, signal.SIGKILL:
        told = set()
        limit = time.monotonic() + ENDING_S
        while time.monotonic() < limit:
            if tell(run, number, told) == 0:
                return
            time.sleep(0.1)


def start(pid):
    """Starts the keeper of a process; the value that what the process starts is to have in its environment."""
    run = f"{pid}-{os.urandom(8).hex()}"
    watched = opened(pid)
    until = ["--until-stdin-has-ended"] if watched >= 0 else ["--until-has-ended", str(pid), str(begin_of(pid))]
    keeper = subprocess.Popen([sys.executable, pathlib.Path(__file__).resolve(), *until, run],
                              stdin=watched if watched >= 0 else subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True, cwd="/")
    keeper.returncode = 0  # it outlives us, which Popen would warn of
    if watched >= 0:
        os.close(watched)
    return f"{os.environ.get(VARIABLE, '')} {run}".strip()


def watch():
    os.environ[VARIABLE] = start(os.getpid())


def main():
    if sys.argv[1] == "--until-stdin-has-ended":
        select.select([0], [], [])  # a process descriptor is readable once its process has ended
        end(sys.argv[2])
    elif sys.argv[1] == "--until-has-ended":
        while begin_of(sys.argv[2]) == sys.argv[3]:
            time.sleep(0.2)
        end(sys.argv[4])
    else:
        print(start(int(sys.argv[1])))


if __name__ == "__main__":
    main()
