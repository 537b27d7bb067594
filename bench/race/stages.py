"""What an event costs on its way in, by the threads that it goes through: receiving (reactor, ring), decoding and encoding (workers), the log
with the append to rows in memory (log), then sealing: what CHECKPOINT adds. Few enough events that no segment is full before (bench/ingest
--stages starts this)."""

import argparse
import contextlib
import mmap
import statistics
import sys
import tempfile

sys.path.insert(0, "bench")

import engines  # noqa: E402
import kafka_watch  # noqa: E402
import report  # noqa: E402
from events import events_file  # noqa: E402

BODIES = {"1 MB": 1 << 20, "256 KB": 256 << 10, "64 KB": 64 << 10}
STAGES = {"receive": {"reactor", "ring"}, "decode": {"worker"}, "log, append": {"log"}, "files ahead": {"log-prepare"}, "kernel's": {"iou"}}


def spent(before, after, names):
    return sum(after.get(name, 0) - before.get(name, 0) for name in names)


def run(directory, memory, path, rows, body_bytes):
    """ns of CPU an event by stage, the rest of the process, the sum until answered, and sealing."""
    server = engines.Freshet(directory, "--memory", memory)
    try:
        server.create()
        server.settle()
        with open(path, "rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as view:
            cpu, threads = server.cpu_s(), kafka_watch.threads_ns(server.process.pid)
            server.post(view, body_bytes)
            answered, then = server.cpu_s(), kafka_watch.threads_ns(server.process.pid)
            server.checkpoint()
            sealed = server.cpu_s()
        stages = [spent(threads, then, names) / rows for names in STAGES.values()]
        total = (answered - cpu) * 1e9 / rows
        return [*stages, total - sum(stages), total, (sealed - answered) * 1e9 / rows]
    finally:
        server.stop()
        server.wipe()


def main():
    parser = argparse.ArgumentParser(prog="bench/ingest --stages")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs, medians (3)")
    parser.add_argument("--memory", default="6 GiB")
    options = parser.parse_args()
    runs = {name: [] for name in BODIES}
    with tempfile.TemporaryDirectory(prefix="freshet-stages-") as directory, events_file(options.events, 1, 0, options.events) as path:
        for _ in range(options.runs):
            for name, size in BODIES.items():
                runs[name].append(run(directory, options.memory, path, options.events, size))
    print(f"ns of CPU an event of 1 KB, {options.events:,} events over four connections, medians of {options.runs}\n")
    report.print_table(["bodies", *STAGES, "other", "until answered", "seal"],
                       [[name, *(f"{statistics.median(column):,.0f}" for column in zip(*list_))] for name, list_ in runs.items()])


if __name__ == "__main__":
    main()
