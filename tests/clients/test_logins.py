"""Passwords and TLS with each driver as it is: pgjdbc, pgx, lib/pq and node-postgres. (psql, psycopg and asyncpg: e2e/test_tls.py.)"""

import shutil
import subprocess

import artefacts
import freshet
import programs
import pytest


class Port:
    """What programs.results() asks of a server, with the certificate before the address."""

    def __init__(self, folder):
        self.certificate = folder / "server.crt"
        made = subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "3", "-subj", "/CN=localhost", "-addext",
                               "subjectAltName=DNS:localhost,IP:127.0.0.1", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                               "-out", self.certificate, "-keyout", folder / "server.key"], capture_output=True, text=True, timeout=300)
        assert made.returncode == 0, made.stderr
        (folder / "server.key").chmod(0o600)
        made = subprocess.run([freshet.binary(), "user", "add", "ann", "--role", "reader", "--data", folder / "data"], input="right\n",
                              capture_output=True, text=True, timeout=300)
        assert made.returncode == 0, made.stderr
        self.server = freshet.Server(folder / "data", ["--ssl-cert-file", str(self.certificate), "--ssl-key-file",
                                                       str(folder / "server.key"), "--login-timeout", "5 min"], wait_ready=False)
        self.server.ready_line = self.server.process.stdout.readline().decode()
        self.pg = self.server.ready_line.split("pg=")[1].split()[0].replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def port(new_module_folder):
    made = Port(new_module_folder("logins"))
    yield made
    assert made.server.stop() == 0


def assert_all_ok(results, count):
    assert len(results) == count and set(results.values()) == {"ok"}, results


def test_go(port, tmp_path):
    binary = artefacts.go_build(programs.HERE / "go", tmp_path / "login", "./login")
    assert_all_ok(programs.results([binary, port.certificate], port), 9)


def test_node_postgres(port):
    folder = artefacts.node_modules("node-pg-8.23.1", programs.HERE / "node")
    shutil.copy(programs.HERE / "node" / "login.js", folder)
    assert_all_ok(programs.results([artefacts.node(), folder / "login.js", port.certificate], port), 5)


def test_pgjdbc(port):
    jars = artefacts.jars("pgjdbc-42.7.11", ["org.postgresql:postgresql:42.7.11"])
    assert_all_ok(programs.results([artefacts.java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}/*",
                                    programs.HERE / "jdbc" / "Login.java", port.certificate], port), 6)
