"""The unit for systemd: how far it is shut in, and that the server runs so: under a systemd that is the first process of namespaces of
its own (tests/deploy/booted)."""

import os
import pathlib
import subprocess

import freshet
import pytest

HERE = pathlib.Path(__file__).parent
UNIT = freshet.ROOT / "server" / "deploy" / "freshet.service"


def test_exposure():
    answer = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", UNIT], capture_output=True,
                            text=True, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def make_certificate(folder, name):
    made = subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "3", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                           "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", folder / f"{name}.crt", "-keyout",
                           folder / f"{name}.key"], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr


def test_the_server_runs_under_the_unit(tmp_path):
    for name in ("first", "second"):
        make_certificate(tmp_path, name)
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    answer = subprocess.run([*as_root, HERE / "booted", freshet.binary(), HERE / "booted_trial", tmp_path], capture_output=True, text=True, timeout=300)
    if answer.returncode == 77 or (as_root and "sudo:" in answer.stderr):
        pytest.skip("namespaces and mounts of one's own are root's")
    assert answer.returncode == 0, answer.stdout[-6000:] + answer.stderr[-3000:]
