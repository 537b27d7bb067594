"""How files are written: nothing but the ring touches data files where it is used; plain calls where it is refused."""

import os
import re
import signal
import subprocess
import time

import pytest

CALLS = "pwrite64,pwritev,pwritev2,pread64,preadv,preadv2,fdatasync,fsync,write,openat"
ROW = '{"n":1}\n'


def work(server):
    server.sql("CREATE TABLE t (n bigint)")
    for _ in range(200):
        assert server.ingest("t", ROW * 100)[0] == 200
    server.sql("CHECKPOINT")
    assert server.rows("SELECT count(*) FROM t") == [[20000]]


def backend(server):
    return re.search(r'freshet_io_backend\{backend="(\w+)"\} 1', server.request("GET", "/metrics")[2].decode()).group(1)


def stop_traced(server):
    """strace does not pass signals on: the server itself is told."""
    pid = int(re.search(r"pid=(\d+)", server.ready_line).group(1))
    os.kill(pid, signal.SIGTERM)
    server.process.wait(200)
    server._close()


def test_the_ring_does_all_writes(freshet_factory, tmp_path):
    trace = tmp_path / "trace"
    server = freshet_factory(wrapper=["strace", "-f", "-y", "-o", str(trace), "-e", f"trace={CALLS},io_uring_enter"])
    assert backend(server) == "uring"
    work(server)
    stop_traced(server)
    text = trace.read_text(errors="replace")
    assert text.count("io_uring_enter(") > 200
    # Upkeep moves from worker to worker, where a ring has one issuer: its files are written by plain calls. So are the zeros of the
    # log's next file, by the thread that prepares it.
    upkeeps = ("/lock>", "/manifest", "/segments", "/checkpoint-")
    zeros = re.compile(r'^\d+ +pwrite64\(\d+<[^>]*\.flog>, "(\\0)+"')
    preparing = {line.split()[0] for line in text.splitlines() if zeros.search(line)}

    def is_preparing(line):
        return zeros.search(line) or (line.split()[0] in preparing and re.search(r" fdatasync\(\d+<[^>]*\.flog>", line))

    touched = [line for line in text.splitlines() if f"<{server.data}/" in line and not any(u in line for u in upkeeps) and
               not is_preparing(line) and re.search(r" (pwrite64|pwritev2?|pread64|preadv2?|fdatasync|fsync|write)\(", line)]
    assert touched == [], touched[:10]


def refused_environment(tmp_path, name, *extra):
    return ["strace", "-f", "-o", str(tmp_path / name), "-e", "trace=io_uring_setup,pwrite64,fdatasync", *extra]


def test_a_refused_ring_means_plain_calls(freshet_factory, tmp_path):
    wrapper = refused_environment(tmp_path, "trace", "-e", "inject=io_uring_setup:error=EPERM")
    server = freshet_factory(wrapper=wrapper)
    assert backend(server) == "plain"
    assert re.search(r"io_uring|uring", server.log_text())
    work(server)
    stop_traced(server)
    assert (tmp_path / "trace").read_text(errors="replace").count("fdatasync(") > 10


@pytest.mark.parametrize("kind", ["uring", "plain"])
def test_backends_by_setting_read_each_others_files(freshet_factory, kind):
    server = freshet_factory(arguments=["--io", kind])
    assert backend(server) == kind
    work(server)
    server.kill()
    other = freshet_factory(data=server.data, arguments=["--io", "plain" if kind == "uring" else "uring"])
    assert other.rows("SELECT count(*) FROM t") == [[20000]]


def test_a_directory_has_one_server(freshet_factory):
    import freshet
    server = freshet_factory()
    time.sleep(0.01)
    result = subprocess.run([freshet.binary(), "serve", "--data", str(server.data), "--http", "127.0.0.1:0", "--pg", "off"],
                            capture_output=True, text=True, timeout=200)
    assert result.returncode == 1 and str(server.data) in result.stderr, result
