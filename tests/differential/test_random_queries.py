"""Random queries by seed against PostgreSQL 15 on the same rows (the oracle of every construct of the language)."""

import collections
import os

import pytest

from differential import generator, harness, pg

QUERIES = 200_000 if os.environ.get("FRESHET_TESTS_LONG") else int(os.environ.get("FRESHET_RANDOM_QUERIES", "3000"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
OCCURRENCES_MIN = 20


def fill(server, dialect):
    for table, count in (("t", 400), ("w", 30)):
        options = " WITH (time = '%s')" % ("ts" if table == "t" else "at") if dialect == "freshet" else ""
        server.execute(f"CREATE TABLE {table} ({generator.DDL[table]}){options}")
        rows = generator.table_rows(table, count, 7)
        for begin in range(0, count, 50):
            cells = ",\n".join("(" + ", ".join(row) + ")" for row in rows[begin:begin + 50])
            server.execute(f"INSERT INTO {table} VALUES {cells}")


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


def run(ours, theirs, first, count):
    used, found = collections.Counter(), []
    errors = 0
    for seed in range(first, first + count):
        source = generator.Generator(seed)
        sql, columns, is_ordered = source.query()
        used += source.used
        expected = theirs.answer(sql, columns)
        errors += expected.state is not None
        why = harness.difference(ours.answer(sql, columns), expected, is_ordered, sql)
        if why:
            found.append((seed, sql, why))
    return used, found, errors


@pytest.mark.timeout(3600)
def test_random_queries_equal_postgresql(reference, freshet_factory, capsys):
    server = freshet_factory()
    ours = harness.Freshet(server.http)
    fill(ours, "freshet")
    used, found, errors = run(ours, reference, SEED * 1_000_000, QUERIES)
    with capsys.disabled():
        print(f"\nrandom queries: {QUERIES}, with an error on PostgreSQL {errors}, different {len(found)}")
        print("  " + ", ".join(f"{name} {count}" for name, count in sorted(used.items())))
        for seed, sql, why in found[:40]:
            print(f"  seed {seed}: {why}\n    {sql}")
    assert not found
    assert QUERIES < 2000 or min(used.values()) >= OCCURRENCES_MIN


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
