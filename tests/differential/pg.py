"""A PostgreSQL 15 of the test's own, on a Unix socket in a temporary directory, with C.UTF-8 and UTC."""

import os
import pathlib
import shutil
import subprocess
import tempfile

BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")


class PostgreSQL:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="freshet-pg-"))
        self.as_user = []
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self.directory, "postgres", "postgres")
            self.as_user = ["runuser", "-u", "postgres", "--"]
        self.data = self.directory / "data"
        self._run("initdb", "-D", self.data, "--locale=C.UTF-8", "--encoding=UTF8", "-A", "trust", "-U", "freshet", "-N")
        options = f"-c listen_addresses='' -k {self.directory} -c timezone=UTC -c fsync=off -c jit=off -c max_connections=8"
        self._run("pg_ctl", "-D", self.data, "-l", self.directory / "log", "-o", options, "-t", "300", "-w", "start")
        self.dsn = f"host={self.directory} user=freshet dbname=postgres"

    def _run(self, program, *arguments):
        subprocess.run([*self.as_user, str(BINARIES / program), *map(str, arguments)], check=True, cwd=self.directory,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def stop(self):
        try:
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
