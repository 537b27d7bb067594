"""More rows than the disk holds events: the columns that the panels read, each loaded row several times, a millisecond apart.

100 M events of 1 KB in three engines are 75 GB; the panels read eleven of their columns, and none of the others. Every engine makes the
table itself, from its own table of the loaded events and in order of time, so that the rows are the same in all of them.
"""

import os
import re

import engines

TABLE = "events_multiplied"
COLUMNS = ("ts", "event_id", "event", "user_id", "country", "page", "referrer", "status", "latency_ms", "amount", "bytes")
SECONDS = 200 * 60 + 60  # of the events, and the last ones' copies
SLICE_S = 10  # of one INSERT: what Freshet reads by its zone maps and takes as one batch


def narrowed(columns):
    """Definitions of those columns out of an engine's text of all."""
    parts = [part.replace(";", ",") for part in re.sub(r"\(([^()]*),([^()]*)\)", r"(\1;\2)", columns).split(", ")]
    return ", ".join(part for part in parts if part.split()[0] in COLUMNS)


def multiply_freshet(server, times):
    server.ask(f"DROP TABLE IF EXISTS {TABLE}")
    server.ask(f"CREATE TABLE {TABLE} ({narrowed(engines.FRESHET_COLUMNS)}) WITH (time = 'ts', lateness = '10 s')")
    others = ", ".join(COLUMNS[1:])
    for second in range(-10, SECONDS, SLICE_S):
        begin, end = (f"timestamptz '2026-05-01 00:00:00+00' + interval '{at} seconds'" for at in (second, second + SLICE_S))
        server.ask(f"INSERT INTO {TABLE} SELECT ts + k * interval '1 millisecond', {others} FROM events, generate_series(0, {times - 1}) k "
                   f"WHERE ts >= {begin} AND ts < {end}")
    server.checkpoint()


def multiply(running, directory, rows, times, say):
    """Makes the table in the engines that do not have it from an earlier run in that directory."""
    for name, engine in running.items():
        mark, wanted = os.path.join(directory, f"{name}.multiplied"), f"{rows} {times}"
        if os.path.exists(mark) and open(mark).read() == wanted:
            continue
        if name == "freshet":
            multiply_freshet(engine, times)
        else:
            engine.call("multiply", times)
        with open(mark, "w") as file:
            file.write(wanted)
        say(f"{name}: {rows * times:,} rows made")


def renamed(spellings):
    """A panel's statements, of that table."""
    return {name: [re.sub(r"\bevents\b", TABLE, statement) for statement in statements] for name, statements in spellings.items()}
