"""Clients in other languages: a program of checks, told the server's address, that prints NAME, a tab and "ok" or what is wrong for each."""

import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).parent


def names(source):
    """Of the checks in a program's source, in order."""
    found = re.findall(r'^\s*(?:await )?check\("([^"]+)"', (HERE / source).read_text(), re.MULTILINE)
    assert found and len(set(found)) == len(found)
    return found


def results(command, server, **more):
    """{name: "ok", or what is wrong}"""
    done = subprocess.run([*map(str, command), server.pg], capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL, **more)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    found = {}
    for line in done.stdout.splitlines():
        name, _, why = line.partition("\t")
        found[name] = why
    return found
