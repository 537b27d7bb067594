"""Files of events in memory, always the same for the same numbers."""

import contextlib
import shutil
import subprocess
import tempfile

START = 1777593600  # 2026-05-01 00:00 UTC
MINUTES = 200


@contextlib.contextmanager
def events_file(rows, seed, first_row, rows_in_all, start=START):
    """A file with that many distinct events of the 200 minutes that `rows_in_all` are spread over; gone afterwards."""
    rate = rows_in_all / (MINUTES * 60)
    directory = "/dev/shm" if shutil.disk_usage("/dev/shm").free > rows * 1100 else tempfile.gettempdir()
    with tempfile.NamedTemporaryFile(dir=directory, prefix="freshet-events-", suffix=".ndjson") as file:
        subprocess.run(["build/release/freshet-bench", "--print", "--malformed", "0", "--events", str(rows), "--seed", str(seed),
                        "--start", f"{start + first_row / rate:.6f}", "--rate", f"{rate:.9f}"], stdout=file, check=True)
        yield file.name
