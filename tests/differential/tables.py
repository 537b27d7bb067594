"""The tables that random queries ask: what columns they have, and rows by seed; few, and so many that segments have many
chunks."""

import random

COLUMNS = {
    "t": [("id", "int8"), ("ts", "timestamptz"), ("b", "bool"), ("i2", "int2"), ("i4", "int4"), ("i8", "int8"),
          ("r", "real"), ("d", "double"), ("n", "numeric"), ("s", "text"), ("v", "text"), ("day", "date"),
          ("tl", "timestamp"), ("u", "uuid"), ("j", "jsonb"), ("ta", "text[]"), ("ia", "int8[]"), ("g", "text"),
          ("k", "int4")],
    "w": [("k", "int4"), ("g", "text"), ("label", "text"), ("x", "double"), ("at", "timestamptz"), ("m", "numeric")],
}

DDL = {
    "t": "id bigint NOT NULL, ts timestamptz NOT NULL, b boolean, i2 smallint, i4 integer, i8 bigint, r real, "
         "d double precision, n numeric(12,3), s text, v varchar(12), day date, tl timestamp, u uuid, j jsonb, ta text[], "
         "ia bigint[], g text, k integer",
    "w": "k integer, g text, label text, x double precision, at timestamptz NOT NULL, m numeric(9,2)",
}

WORDS = ["", "a", "abc", "Abc", "ABC", "foo", "Foo bar", "%", "_x", "x_y", "été", "日本", "naïve", "100%", "it''s", " pad ",
         "zebra", "alpha", "beta", "gamma", "delta", "a.b.c", "A-1", "0", "12", "-7"]
GROUPS = ["red", "green", "blue", "grey", "Äpfel"]
QUOTED_AB = "'Ab'"
SQL_NAME = {"bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "real": "real",
            "double": "double precision", "numeric": "numeric", "text": "text", "timestamptz": "timestamptz",
            "timestamp": "timestamp", "date": "date", "interval": "interval", "uuid": "uuid"}


def table_rows(table, count, seed):
    """INSERT cells as SQL text, the same for both servers."""
    rng = random.Random(seed)

    def maybe(text, share=0.15):
        return "NULL" if rng.random() < share else text

    def stamp():
        return f"2026-0{rng.randint(1, 6)}-{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:" \
               f"{rng.randint(0, 59):02d}" + rng.choice(["", ".5", f".{rng.randint(0, 999999):06d}"])

    rows = []
    for index in range(count):
        if table == "w":
            rows.append([maybe(str(rng.randint(0, 9))), maybe(f"'{rng.choice(GROUPS)}'"), f"'{rng.choice(WORDS)}'",
                         maybe(repr(rng.choice([0.0, 1.5, -2.25, rng.uniform(-1e3, 1e3)]))), f"'{stamp()}+00'",
                         maybe(f"{rng.uniform(-999, 999):.2f}")])
            continue
        words = ",".join('"%s"' % rng.choice(WORDS).replace("''", "") if rng.random() > 0.1 else "NULL"
                         for _ in range(rng.randint(0, 4)))
        numbers = ",".join(str(rng.randint(-5, 20)) if rng.random() > 0.1 else "NULL" for _ in range(rng.randint(0, 4)))
        rows.append([
            str(index), f"'{stamp()}+00'", maybe(rng.choice(["true", "false"])),
            maybe(str(rng.choice([0, 1, -1, 32767, -32768, rng.randint(-100, 100)]))),
            maybe(str(rng.choice([0, 1, -1, 2147483647, rng.randint(-1000, 1000), rng.randint(-10**9, 10**9)]))),
            maybe(str(rng.choice([0, 7, 9007199254740993, rng.randint(-10**6, 10**6), rng.randint(-10**15, 10**15)]))),
            maybe(str(rng.choice([0, 1.5, -2.25, 0.1, rng.randint(-1000, 1000) / 8]))),
            maybe(repr(rng.choice([0.0, -0.0, 1e-7, 1e20, 0.1, 123456.789, rng.uniform(-1000, 1000)])) if rng.random() > 0.03
                  else "'NaN'"),
            maybe(f"{rng.choice([0, 1, rng.uniform(-99999, 99999)]):.3f}"), maybe(f"'{rng.choice(WORDS)}'"),
            maybe(f"'{rng.choice(WORDS)[:12]}'"), maybe(f"'2026-0{rng.randint(1, 9)}-{rng.randint(1, 28):02d}'"),
            maybe(f"'{stamp()}'"), maybe("'%08x-1111-4222-8333-444455556666'" % rng.randint(0, 40)),
            maybe("'" + rng.choice(['{"a": 1, "b": "x"}', '{"a": null, "c": [1, 2, {"d": "deep"}]}', '[1, "two", null]', '"text"', "5",
                                    '{"a": "1", "b": {"c": true}}']) + "'"),
            maybe("'{" + words + "}'"), maybe("'{" + numbers + "}'"), maybe(f"'{rng.choice(GROUPS)}'"),
            maybe(str(rng.randint(0, 6)))])
    return rows


BIG_ROWS = 150_000
BIG_ALTER = 40_000  # rows before the last two columns of t exist
BIG_ADDED = 2
NULL_RUN = (70_000, 76_000)
DISTINCT_TEXTS = (30_000, 100_000)  # dictionaries give up here


def big_rows(count, seed):
    """Cells of t for many vectors and chunks: repeated rows, then texts that never repeat, a run of NULLs, rising times."""
    rng = random.Random(seed)
    base = table_rows("t", 5_000, seed)
    s, v, ts = (list(COLUMNS["t"]).index(pair) for pair in (("s", "text"), ("v", "text"), ("ts", "timestamptz")))
    for index in range(count):
        row = list(rng.choice(base))
        row[0] = str(index)
        row = ["0.0" if cell == "-0.0" else cell for cell in row]  # a literal's minus is not the value's
        if index % 3:
            row[ts] = f"'2026-03-{1 + index * 28 // count:02d} {index // 60 % 24:02d}:{index % 60:02d}:00.25+00'"
        if DISTINCT_TEXTS[0] <= index < DISTINCT_TEXTS[1] and index % 7:
            row[s] = f"'{row[s].strip(chr(39)).replace('NULL', '')}-{rng.getrandbits(64):x}'"
            row[v] = f"'{rng.getrandbits(40):x}'"
        if NULL_RUN[0] <= index < NULL_RUN[1]:
            row[2:] = ["NULL"] * (len(row) - 2)
        if index < BIG_ALTER:
            row[-BIG_ADDED:] = ["NULL"] * BIG_ADDED
        yield row
