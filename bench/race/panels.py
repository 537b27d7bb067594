"""Reads bench/panels.sql and its like, and says whether two engines gave the same answer."""

import datetime
import decimal
import re

ENGINES = ("freshet", "duckdb", "chdb", "questdb")
TOLERANCE = 1e-9  # relative, for doubles only: sums of doubles depend on their order


def panels_read(path):
    """({engine: [statement, …]} that make what the panels ask for, [(name, {engine: [statement, …]})] in the file's order); an engine
    without a spelling of its own gets Freshet's."""
    panels, engine = [("", {"freshet": ""})], None
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if line == "-- setup:":
            engine = "freshet"
        elif begun := re.match(r"-- panel: (.+)", line):
            panels.append((begun[1], {"freshet": ""}))
            engine = "freshet"
        elif (begun := re.match(r"-- (\w+):$", line)) and begun[1] in ENGINES:
            engine = begun[1]
            panels[-1][1][engine] = ""
        elif engine and line and not line.startswith("--"):
            panels[-1][1][engine] += " " + line
    result = []
    for name, texts in panels:
        split = {key: [part.strip() for part in text.split(";") if part.strip()] for key, text in texts.items()}
        result.append((name, {key: split.get(key, split["freshet"]) for key in ENGINES}))
    return result[0][1], result[1:]


def cell(value, kind):
    """One value as (kind, comparable): times as microseconds, numbers by what Freshet calls their type."""
    if value is None:
        return None
    if kind.startswith("timestamp"):
        if isinstance(value, str):
            text = value.replace("T", " ").replace("Z", "").split("+")[0]
            value = datetime.datetime.fromisoformat(text)
        return round(value.replace(tzinfo=datetime.timezone.utc).timestamp() * 1e6)
    if kind in ("smallint", "integer", "bigint"):
        return int(value)
    if kind.startswith("numeric"):
        return decimal.Decimal(str(value)).normalize()
    if kind in ("double precision", "real"):
        return float(value)
    if kind == "boolean":
        return bool(value)
    return str(value)


def difference(left, right, kinds):
    """None, or the first place where two answers differ, as text. `kinds` are Freshet's column types."""
    if len(left) != len(right):
        return f"{len(left)} rows against {len(right)}"
    for row, (a, b) in enumerate(zip(left, right)):
        if len(a) != len(kinds) or len(b) != len(kinds):
            return f"row {row}: {len(a)} and {len(b)} columns against {len(kinds)}"
        for column, kind in enumerate(kinds):
            x, y = cell(a[column], kind), cell(b[column], kind)
            if x == y:
                continue
            if isinstance(x, float) and isinstance(y, float) and abs(x - y) <= TOLERANCE * max(abs(x), abs(y)):
                continue
            return f"row {row}, column {column} ({kind}): {x!r} against {y!r}"
    return None
