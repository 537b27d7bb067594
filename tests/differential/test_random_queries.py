"""Random queries by seed against PostgreSQL 15 on the same rows (the oracle of every construct of the language)."""

import collections
import json
import os
import re

import pytest

from differential import generator, harness, pg

QUERIES = 200_000 if os.environ.get("FRESHET_TESTS_LONG") else int(os.environ.get("FRESHET_RANDOM_QUERIES", "5000"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
BIG_QUERIES = 20_000 if os.environ.get("FRESHET_TESTS_LONG") else int(os.environ.get("FRESHET_BIG_QUERIES", "300"))
OCCURRENCES_MIN = 20


# How the rows lie is nobody's business but the store's: in memory, in sealed segments, or some here and some there.
LAYOUTS = ("mutable", "sealed", "mixed")


def seal(server, dialect, layout, step, steps):
    """After `step` of `steps` inserts: mixed layouts have several sealed segments and rows in memory behind them."""
    is_due = step == steps if layout == "sealed" else step in (steps // 3, steps * 3 // 4) if layout == "mixed" else False
    if dialect == "freshet" and is_due:
        server.execute("CHECKPOINT")


def fill_table(server, dialect, table, count, layout="mutable"):
    options = " WITH (time = '%s')" % ("ts" if table == "t" else "at") if dialect == "freshet" else ""
    server.execute(f"CREATE TABLE {table} ({generator.DDL[table]}){options}")
    rows = generator.table_rows(table, count, 7)
    for begin in range(0, count, 50):
        cells = ",\n".join("(" + ", ".join(row) + ")" for row in rows[begin:begin + 50])
        server.execute(f"INSERT INTO {table} VALUES {cells}")
        seal(server, dialect, layout, begin // 50 + 1, (count + 49) // 50)


def fill(server, dialect, layout="mutable"):
    for table, count in (("t", 400), ("w", 30)):
        fill_table(server, dialect, table, count, layout)


def check_layout(server, layout):
    """The rows lie where the test means them to."""
    answer = server.answer("SELECT state, count(*) FROM freshet.segments GROUP BY 1 ORDER BY 1", 2)
    states = {row[0] for row in answer.rows}
    assert states == {"mutable": {"mutable"}, "sealed": {"sealed"}, "mixed": {"mutable", "sealed"}}[layout], answer.rows


@pytest.fixture(scope="module")
def reference():
    server = pg.PostgreSQL()
    try:
        connection = harness.Reference(server.dsn)
        fill(connection, "postgresql")
        yield connection
        connection.connection.close()
    finally:
        server.stop()


def plain(cell):
    """A literal's own text, None for NULL."""
    return None if cell == "NULL" else cell[1:-1].replace("''", "'") if cell[0] == "'" else cell


def csv_text(rows, names):
    """RFC 4180: NULL is empty, an empty text is quoted."""
    lines = [",".join(names)]
    for row in rows:
        cells = (plain(cell) for cell in row)
        lines.append(",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells))
    return "\r\n".join(lines) + "\r\n"


def ndjson_text(rows):
    lines = []
    for row in rows:
        cells = []
        for (name, kind), cell in zip(generator.COLUMNS["t"], row):
            text = plain(cell)
            if text is not None:
                cells.append(f'"{name}":' + (text if cell[0] != "'" or kind == "jsonb" else json.dumps(text)))
        lines.append("{" + ",".join(cells) + "}")
    return "\n".join(lines) + "\n"


def fill_big(ours, theirs, ingest, rows, layout="mutable"):
    """The same rows by INSERT, then ALTER TABLE, then by CSV and NDJSON in turns; one COPY on the other side."""
    names = [name for name, _ in generator.COLUMNS["t"]]
    definitions = re.split(r", (?=\w+ [a-z])", generator.DDL["t"])
    old, added = definitions[:-generator.BIG_ADDED], definitions[-generator.BIG_ADDED:]
    for server, option in ((ours, " WITH (time = 'ts')"), (theirs, "")):
        server.execute(f"CREATE TABLE t ({', '.join(old)}){option}")
    for begin in range(0, generator.BIG_ALTER, 500):
        cells = ", ".join("(" + ", ".join(row[:-generator.BIG_ADDED]) + ")" for row in rows[begin:begin + 500])
        ours.execute(f"INSERT INTO t VALUES {cells}")
    if layout == "mixed":  # a segment that lacks the columns that are added next
        ours.execute("CHECKPOINT")
    for server in (ours, theirs):
        for definition in added:
            server.execute(f"ALTER TABLE t ADD COLUMN {definition}")
    for turn, begin in enumerate(range(generator.BIG_ALTER, len(rows), 4_000)):
        part = rows[begin:begin + 4_000]
        body, kind = (csv_text(part, names), "text/csv") if turn % 2 else (ndjson_text(part), "application/x-ndjson")
        status, answer = ingest("t", body, content_type=kind)
        assert status == 200 and answer["rows"] == len(part) and not answer["rejected_rows"], answer
        if layout == "mixed" and begin < len(rows) // 2 <= begin + 4_000:
            ours.execute("CHECKPOINT")
    if layout == "sealed":
        ours.execute("CHECKPOINT")
    with theirs.connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write(csv_text(rows, names))
    theirs.execute("ANALYZE t")


def run(ours, theirs, first, count, method="query"):
    used, found = collections.Counter(), []
    errors = 0
    for seed in range(first, first + count):
        source = generator.Generator(seed)
        sql, columns, is_ordered = getattr(source, method)()
        used += source.used
        expected = theirs.answer(sql, columns)
        if expected.state == "57014":  # the reference's own limit of time
            continue
        errors += expected.state is not None
        why = harness.difference(ours.answer(sql, columns), expected, is_ordered, sql)
        if why:
            found.append((seed, sql, why))
    return used, found, errors


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_queries_equal_postgresql(reference, freshet_factory, capsys, layout):
    server = freshet_factory()
    ours = harness.Freshet(server.http)
    fill(ours, "freshet", layout)
    check_layout(ours, layout)
    used, found, errors = run(ours, reference, SEED * 1_000_000, QUERIES)
    with capsys.disabled():
        print(f"\nrandom queries, {layout}: {QUERIES}, with an error on PostgreSQL {errors}, different {len(found)}")
        print("  " + ", ".join(f"{name} {count}" for name, count in sorted(used.items())))
        for seed, sql, why in found[:40]:
            print(f"  seed {seed}: {why}\n    {sql}")
    assert not found
    assert QUERIES < 2000 or min(used.values()) >= OCCURRENCES_MIN


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_queries_over_many_chunks(freshet_factory, capsys, layout):
    server, postgresql = freshet_factory(), pg.PostgreSQL()
    try:
        ours, theirs = harness.Freshet(server.http), harness.Reference(postgresql.dsn)
        fill_big(ours, theirs, server.ingest, list(generator.big_rows(generator.BIG_ROWS, 11)), layout)
        for each, dialect in ((ours, "freshet"), (theirs, "postgresql")):
            fill_table(each, dialect, "w", 30, layout)
        check_layout(ours, layout)
        used, found, errors = run(ours, theirs, SEED * 1_000_000, BIG_QUERIES, "big_query")
        theirs.connection.close()
    finally:
        postgresql.stop()
    with capsys.disabled():
        print(f"\nrandom queries over {generator.BIG_ROWS} rows, {layout}: {BIG_QUERIES}, with an error on PostgreSQL {errors}, different {len(found)}")
        for seed, sql, why in found[:40]:
            print(f"  seed {seed}: {why}\n    {sql}")
    assert not found


PLANTED_KERNELS = ["kernel.add", "kernel.less", "kernel.and_null", "kernel.like", "aggregate.sum", "group.null_key"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", PLANTED_KERNELS)
def test_planted_wrong_kernel_is_found(reference, freshet_factory, checked_binary, fault):
    """The same harness must find a kernel that is wrong on purpose (a build with checks plants it by name)."""
    server = freshet_factory(binary=checked_binary, environment={"FRESHET_FAULT": fault})
    ours = harness.Freshet(server.http)
    fill(ours, "freshet")
    for begin in range(0, 1000, 50):
        if run(ours, reference, SEED * 1_000_000 + begin, 50)[1]:
            return
    pytest.fail(f"{fault} was not found in 1,000 queries")


PLANTED_READERS = ["sealed.zone_off_by_one", "sealed.code_set_edge", "sealed.bitmap_wrong_key", "sealed.stale_page"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", PLANTED_READERS)
def test_planted_wrong_reader_is_found(freshet_factory, checked_binary, fault):
    """A reader of sealed segments that leaves rows out, or takes the wrong ones: the same rows in memory answer otherwise.

    Rows enough for two blocks, and filters of the kinds that sealed segments answer by zones, codes and bitmaps."""
    servers = []
    for binary_fault, is_sealed in ((fault, True), (None, False)):
        environment = {"FRESHET_FAULT": binary_fault} if binary_fault else {}
        server = freshet_factory(binary=checked_binary, environment=environment)
        ours = harness.Freshet(server.http)
        ours.execute("CREATE TABLE e (ts timestamptz NOT NULL, n bigint, few text, many text) WITH (time = 'ts')")
        ours.execute("CREATE INDEX ON e USING bitmap (many)")
        lines = [f'{{"ts":{1767225600000 + row},"n":{row // 7},"few":"f{row * 7919 % 90 % 17}","many":"m{row * 104729 % 500}"}}'
                 for row in range(90_000)]
        for begin in range(0, len(lines), 10_000):
            status, answer = server.ingest("e", "\n".join(lines[begin:begin + 10_000]), content_type="application/x-ndjson")
            assert status == 200, answer
        if is_sealed:
            ours.execute("CHECKPOINT")
        servers.append(ours)
    conditions = [f"n >= {value}" for value in (9362, 12857, 12856, 5)] + \
        [f"few IN ('f{a}', 'f{a + 3}', 'f{a + 6}')" for a in range(9)] + \
        [f"many = 'm{a}'" for a in range(0, 500, 61)] + ["few = 'f3' AND n > 100", "n % 2 = 0"]
    for condition in conditions:
        sql = f"SELECT count(*), sum(n), min(ts), max(ts) FROM e WHERE {condition}"
        if harness.difference(*(server.answer(sql, 4) for server in servers), True):
            return
    pytest.fail(f"{fault} was not found")
