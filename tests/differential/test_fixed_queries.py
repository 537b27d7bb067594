"""Queries that random ones found to differ from PostgreSQL 15, by what they were about: answers and errors as PostgreSQL's, from now on."""

import pytest

from differential import explained, harness, pg

ROWS = """SELECT timestamptz '2026-05-01 10:00:00+00' + g * interval '1 second', g, CASE WHEN g = 30 THEN 'infinity' ELSE date '2026-05-01' + g END
FROM generate_series(0, 99) g"""
FAMILY = [f"SELECT array_position({array}, {wanted}{start})" for array in ("NULL::int[]", "ARRAY[]::int[]", "ARRAY[1, 2]", "ARRAY[1, NULL, 2, 1]")
          for wanted in ("NULL", "1", "2", "3") for start in ("", ", NULL", ", 1", ", 2", ", 5", ", -7")] + \
    [f"SELECT array_positions({array}, {wanted})" for array in ("NULL::int[]", "ARRAY[]::int[]", "ARRAY[1, 2]", "ARRAY[1, NULL, 2, 1]")
     for wanted in ("NULL", "1", "3")] + ["SELECT array_position(ARRAY[]::date[], date '2026-05-01', NULL)"]
# A row that raises, and how many are wanted before it.
LIMITS = [f"SELECT id FROM r WHERE {where} LIMIT {count}{offset}"
          for where in ("day - date '2026-05-01' NOT BETWEEN 0 AND 27", "10 / (id - 3) < 0", "10 / (id - 3) < 0 AND 1 / (id - 1) < 5", "1 / id > 0")
          for count in (0, 1, 2, 3, 4) for offset in ("", " OFFSET 1", " OFFSET 2")] + \
    [f"SELECT 1 / (id - 5), id FROM r LIMIT {count}" for count in (1, 5, 6)] + \
    [f"SELECT id, 1 / (id - 9) FROM r WHERE 1 / (id - 8) <= 0 LIMIT {count}" for count in (1, 8, 9)] + \
    [f"SELECT count(*) FROM (SELECT 1 / (id - 50) FROM r LIMIT {count}) q" for count in (50, 51)] + \
    [f"SELECT * FROM (SELECT 10 / (id - 3) FROM r) q UNION ALL SELECT 7 LIMIT {count}" for count in (2, 4)] + \
    ["SELECT EXISTS (SELECT 1 FROM r WHERE 10 / (id - 3) < 0)", "SELECT EXISTS (SELECT 1 FROM r WHERE 10 / (id - 3) < 0 AND id > 2)",
     "SELECT NOT EXISTS (SELECT 1 FROM r WHERE 10 / (id - 3) < -5)", "SELECT (SELECT 10 / (id - 3) FROM r LIMIT 1)",
     "SELECT (SELECT 10 / (id - 3) FROM r)", "SELECT (SELECT 10 / (id - 3) FROM r WHERE id > 2)", "SELECT sum(1 / (id - 50)) FROM r",
     "SELECT id FROM r ORDER BY 1 / (id - 50) LIMIT 1", "SELECT array_agg(x) FROM (SELECT 1 / (id - 9) AS x FROM r) q",
     "SELECT id, (SELECT 1 / (y.id - 4) FROM r y WHERE y.id >= x.id LIMIT 1) FROM r x LIMIT 4",
     "SELECT id, (SELECT 1 / (y.id - 4) FROM r y WHERE y.id >= x.id LIMIT 1) FROM r x LIMIT 5"]


@pytest.fixture(scope="module")
def both(shared_server):
    postgres = pg.PostgreSQL()
    ours, theirs = harness.Freshet(shared_server.http), harness.Reference(postgres.dsn)
    try:
        ours.execute("CREATE TABLE r (ts timestamptz, id int, day date) WITH (time = 'ts')")
        theirs.execute("CREATE TABLE r (ts timestamptz, id int, day date)")
        for each in (ours, theirs):
            each.execute("INSERT INTO r " + ROWS)
        yield ours, theirs
        theirs.connection.close()
    finally:
        postgres.stop()


@pytest.mark.parametrize("queries", [FAMILY, LIMITS], ids=["array_position", "limits"])
def test_answers_are_postgresqls(both, queries):
    ours, theirs = both
    found = [(sql, why) for sql in queries if (why := harness.difference(ours.answer(sql), theirs.answer(sql), True, sql))]
    assert not found
    assert len({theirs.answer(sql).state for sql in queries}) > 1


# PostgreSQL's planner is the reason, and it says so itself where it has no choice.
EXPLAINED = {
    "early end of min or max": "SELECT bool_or('x' NOT LIKE '%') FROM r WHERE 1 / (id - 50) < 5",
    "sum of real": "SELECT sum(x) FROM (VALUES ('3.4e38'::real), ('3.4e38'), ('-3.4e38')) v (x)",
    "place of a condition": "SELECT count(*) FROM r a FULL JOIN (SELECT id + 98 AS id, 'x' AS s FROM r) b ON a.id = b.id "
                            "WHERE (b.s = ANY (CASE WHEN a.id > 5 THEN '{}' ELSE '{x}' END::text[])) IS FALSE",
}


@pytest.mark.parametrize("why", EXPLAINED)
def test_explained(both, why):
    """What PostgreSQL explains is told apart, and a wrong answer is not explained."""
    ours, theirs = both
    sql = EXPLAINED[why]
    if theirs.connection.execute("SELECT count(*) FROM pg_proc WHERE proname = 'our_sum'").fetchone()[0] == 0:
        explained.prepare(theirs)
    answer = ours.answer(sql)
    assert harness.difference(answer, theirs.answer(sql), False, sql)
    assert explained.explain(theirs, ours, sql, {}, answer, False) == why
    wrong = harness.Answer(answer.types, [["7"]]) if answer.rows else harness.Answer(["boolean"], [[True]])
    assert explained.explain(theirs, ours, sql, {}, wrong, False) is None
