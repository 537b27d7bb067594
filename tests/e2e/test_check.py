"""`freshet check`: says what is wrong with a data directory, file and place, and changes nothing.

One store with sealed segments, two checkpoints and rows that are in the log alone; then a bit of each kind of file flipped
on a copy, files missing, files that nobody has.
"""

import hashlib
import pathlib
import shutil
import subprocess

import pytest

import freshet


@pytest.fixture(scope="module")
def store(new_module_folder):
    """A data directory that its server left by SIGKILL, so the log has records that nothing else has."""
    data = new_module_folder("check") / "store"
    server = freshet.Server(data)
    server.sql("CREATE TABLE t (ts timestamptz NOT NULL, n bigint, name text)")
    for part in range(3):
        body = "".join(f'{{"ts":"2026-05-01T10:{part:02}:{n % 60:02}Z","n":{n},"name":"name {n % 300}"}}\n'
                       for n in range(3000))
        assert server.ingest("t", body)[0] == 200
        if part < 2:
            server.sql("CHECKPOINT")
    server.kill()
    return data


@pytest.fixture
def copy(store, tmp_path):
    shutil.copytree(store, tmp_path / "copy")
    return tmp_path / "copy"


def check(data):
    done = subprocess.run([freshet.binary(), "check", str(data)], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)
    return done.returncode, done.stdout


def fingerprint(data):
    return {str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(data.rglob("*")) if path.is_file()}


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def only(data, pattern):
    found = sorted(data.glob(pattern))
    assert found, (pattern, sorted(p.name for p in data.rglob("*")))
    return found


def test_a_whole_directory(copy):
    before = fingerprint(copy)
    status, out = check(copy)
    assert status == 0, out
    assert "nothing is damaged" in out and "with 6000 rows" in out, out
    assert fingerprint(copy) == before


def test_without_a_lock_file(copy):
    (copy / "lock").unlink()
    status, out = check(copy)
    assert status == 0 and not (copy / "lock").exists(), out


def test_a_segment_bit(copy):
    path = only(copy, "segments/*.fseg")[0]
    flip(path, 4096 + 100)
    status, out = check(copy)
    assert status == 1 and f"damaged: segment file segments/{path.name}, offset " in out, out


def test_a_segment_missing(copy):
    path = only(copy, "segments/*.fseg")[0]
    path.unlink()
    status, out = check(copy)
    assert status == 1 and path.name in out and "no such file" in out, out


def test_a_segment_cut_short(copy):
    path = only(copy, "segments/*.fseg")[0]
    path.write_bytes(path.read_bytes()[:-4096])
    status, out = check(copy)
    assert status == 1 and path.name in out, out


@pytest.mark.parametrize("which", [0, 1])
def test_a_checkpoint_bit(copy, which):
    path = only(copy, "checkpoint-*.fckp")[which]
    flip(path, path.stat().st_size - 3)
    status, out = check(copy)
    assert status == 1 and path.name in out, out


def test_a_checkpoint_missing(copy):
    path = only(copy, "checkpoint-*.fckp")[0]
    path.unlink()
    status, out = check(copy)
    assert status == 1 and path.name in out and "no such file" in out, out


def test_a_manifest_bit(copy):
    flip(only(copy, "manifest")[0], 4096 + 40)
    status, out = check(copy)
    assert status == 1 and "damaged: manifest: " in out and "offset 4096" in out, out


def test_the_manifest_missing(copy):
    (copy / "manifest").unlink()
    status, out = check(copy)
    assert status == 1 and "damaged: manifest: there is no such file" in out, out


def test_a_log_bit(copy):
    """The newest log file's first piece is acknowledged and no checkpoint has it."""
    path = only(copy, "log-*.flog")
    last = max((p for p in path if p.read_bytes()[4096:4100] == b"LOGP"), key=lambda p: p.name)
    flip(last, 4096 + 300)
    status, out = check(copy)
    assert status == 1 and last.name in out and "offset 4096" in out, out


def test_the_log_missing(copy):
    for path in only(copy, "log-*.flog"):
        path.unlink()
    status, out = check(copy)
    assert status == 1 and "damaged: log: " in out, out


def test_files_that_nobody_has(copy):
    (copy / "segments" / "00000000000000ff.fseg").write_bytes(b"left by a crash")
    (copy / "manifest.tmp").write_bytes(b"")
    (copy / "checkpoint-00000000000000ff.fckp").write_bytes(b"")
    before = fingerprint(copy)
    status, out = check(copy)
    assert status == 0, out
    assert out.count("note: ") == 3, out
    assert fingerprint(copy) == before


def test_what_cannot_be_looked_at(freshet_factory, tmp_path):
    def run(*arguments):
        done = subprocess.run([freshet.binary(), "check", *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr
    assert run(str(tmp_path / "none"))[0] == 2
    assert not (tmp_path / "none").exists()
    assert run()[0] == 64
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no store's")
    status, text = run(str(tmp_path / "other"))
    assert status == 2 and "no store here" in text, text
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    server = freshet_factory(tmp_path / "busy")
    status, text = run(str(tmp_path / "busy"))
    assert status == 2 and text, text
    assert server.stop() == 0
    assert run(str(tmp_path / "busy"))[0] == 0
