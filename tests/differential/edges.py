"""Values at the edges of every type, and table `e` made of them: t's columns, rows that repeat, come late and stand far out."""

import random

EMOJI = ["😀", "👩‍👩‍👧", "𝔘nicode", "e\u0301té", "ß", "İi", "\u00a0x\u00a0", "日本語テキスト"]
LONG = ["x" * 300, "ab😀" * 500]
TEXTS = ["", " ", "a", "A", "abc", "ABC", "aé", "a'b", '"q"', "back\\slash", "tab\there", "line\nbreak", "%", "_", "a%b_c", "NULL", "null", "0",
         "-1", "1.5", "1e400", "NaN", "true", "f", "2026-03-29", "12:30", "{a,b}", "[1,2]", '{"a":1}', "1 day", *EMOJI]
INTEGERS = {"int2": [0, 1, -1, 2, 7, 255, 32767, -32767, -32768],
            "int4": [0, 1, -1, 2, 10, 31, 32, 65535, 65536, 2147483647, -2147483647, -2147483648],
            "int8": [0, 1, -1, 3, 63, 64, 4294967296, 9007199254740993, 9223372036854775807, -9223372036854775807, -9223372036854775808]}
NUMERICS = ["0", "0.000", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "-2.5", "0.001", "-0.001", "0.0005", "99.995", "999999999.999", "-999999999.999",
            "123456789.125", "10", "100", "3.14159265358979"]
DOUBLES = ["0", "-0", "1", "-1", "0.5", "1.5", "2.5", "-2.5", "0.1", "1e-7", "100000", "123456.789", "5e-324",
           "NaN", "Infinity", "-Infinity"]  # of greater ones the sum depends on the order of rows
REALS = ["0", "-0", "1", "-1", "0.5", "2.5", "0.1", "1e-7", "16777217", "1e-45", "3.4028235e38", "-3.4028235e38", "NaN", "Infinity", "-Infinity"]
# Berlin 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC, New York 2026-03-08 07:00 and 2026-11-01 06:00, Lord Howe 2026-04-04 15:00.
CHANGES = ["2026-03-29 00:59:59.999999", "2026-03-29 01:00:00", "2026-10-25 00:30:00", "2026-10-25 01:00:00", "2026-10-25 01:59:59.5",
           "2026-03-08 06:59:59", "2026-03-08 07:00:00", "2026-11-01 05:30:00", "2026-11-01 06:30:00", "2026-04-04 14:59:59", "2026-04-04 15:00:00"]
LOCAL = ["2026-03-29 02:30:00", "2026-10-25 02:30:00", "2026-03-08 02:30:00", "2026-11-01 01:30:00", "2026-04-05 01:45:00"]
FAR = ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2000-02-29 12:00:00", "1999-12-31 23:59:59.999999", "1900-01-01 00:00:00",
       "1582-10-15 00:00:00", "0001-01-01 00:00:00", "2100-02-28 23:00:00", "2020-12-31 00:00:00", "2021-01-03 12:00:00"]
BEYOND = ["9999-12-31 23:59:59.999999", "3900-05-05 00:00:00 BC", "0044-03-15 12:00:00 BC", "294200-12-31 23:59:59"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
INTERVALS = ["0", "1 microsecond", "-1 second", "90 minutes", "1 day", "-1 day", "1 month", "13 months", "-1 year", "1 mon -1 day", "1 day -00:00:01",
             "36:00:00", "100 years", "1 year 2 months 3 days 04:05:06.789"]
JSONS = ["null", "true", "0", "-1.50", '"text"', '""', "[]", "{}", "[1, 2, 3]", '["a", null, {"b": []}]', '{"a": 1, "b": "x"}',
         '{"a": {"b": {"c": [1, 2]}}}', '{"a": null}', '{"k": "😀"}']
TEXT_ARRAYS = ["{}", "{a}", "{a,b,c}", "{NULL,a}", '{"",a}', "{a,a,b}", "{😀,x}"]
INT_ARRAYS = ["{}", "{1}", "{1,2,3}", "{3,NULL,1}", "{0,-1,9223372036854775807}", "{2,2,2}"]
BYTEA = ["\\x", "\\x00", "\\x41", "\\xff00ff", "\\x68656c6c6f"]
UUIDS = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0000002a-1111-4222-8333-444455556666"]

POOLS = {
    "bool": ["true", "false"], **{kind: [str(value) for value in values] for kind, values in INTEGERS.items()}, "numeric": NUMERICS, "double": DOUBLES,
    "real": REALS, "text": TEXTS, "timestamptz": [text + "+00" for text in CHANGES + FAR], "timestamp": CHANGES + LOCAL + FAR,
    "date": sorted({text.split()[0] for text in CHANGES + FAR}), "interval": INTERVALS, "uuid": UUIDS, "jsonb": JSONS, "json": JSONS,
    "text[]": TEXT_ARRAYS, "int8[]": INT_ARRAYS, "bytea": BYTEA,
}
FAR_POOLS = {"timestamptz": [text.replace(" BC", "+00 BC") if "BC" in text else text + "+00" for text in BEYOND] + ["infinity", "-infinity"],
             "timestamp": BEYOND + ["infinity", "-infinity"], "date": [text.replace(" 00:00:00", "").replace(" 12:00:00", "").split(" 23")[0]
                                                                        for text in BEYOND] + ["infinity", "-infinity"],
             "double": ["1e15", "1e16", "1e20", "9007199254740993", "1e150", "-1e150", "1.7976931348623157e308", "-1.7976931348623157e308"], "text": LONG, "numeric": ["12345678901234567890.123456789", "NaN"]}
OPTIONS = ", future = '100000 days'"

E_ROWS = 240


def cell(rng, kind, nulls=0.12):
    """One cell as SQL text."""
    if rng.random() < nulls:
        return "NULL"
    pool = FAR_POOLS[kind] if kind in FAR_POOLS and kind not in ("numeric", "double") and rng.random() < 0.06 else POOLS[kind]
    text = rng.choice(pool)
    return text if kind in INTEGERS or kind == "bool" else "'" + text.replace("'", "''") + "'"


def edge_rows(columns, seed):
    """Rows for table e: a third repeats an earlier row but for its id."""
    rng = random.Random(seed)
    rows = []
    for index in range(E_ROWS):
        if rows and rng.random() < 0.3:
            row = list(rng.choice(rows))
        else:
            row = []
            for name, kind in columns:
                if name == "k":
                    row.append(rng.choice(["NULL", *map(str, range(7))]))
                elif name == "n":  # numeric(12,3)
                    row.append(rng.choice(["NULL", "'NaN'", *NUMERICS[:17]]))
                elif name == "v":  # varchar(12)
                    row.append("'" + rng.choice([text for text in TEXTS if len(text) <= 12]).replace("'", "''") + "'")
                elif name == "g":
                    row.append(rng.choice(["NULL", "'red'", "'green'", "''", "'😀'", "'Äpfel'"]))
                elif name == "ts":
                    row.append(f"'{rng.choice(POOLS[kind] + FAR_POOLS[kind][1:3])}'")
                elif name == "j":
                    row.append(cell(rng, "jsonb"))
                else:
                    row.append(cell(rng, kind))
        row[0] = str(index)
        rows.append(row)
    return rows
