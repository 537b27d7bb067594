"""Every function and operator that PostgreSQL 15 lists over types that are ours: it is here, and with the same arguments says
the same, or it is one of those that are refused by name. Paths in jsonb by random paths. FRESHET_CALLS: how many calls each."""

import collections
import os
import random
import re

import pytest

from differential import functions
from differential.harness import Freshet, Reference
from differential.jsonpaths import Paths
from differential.pg import PostgreSQL

CALLS = int(os.environ.get("FRESHET_CALLS", "6"))
PATHS = int(os.environ.get("FRESHET_PATHS", "1500"))
REFUSALS = {"42883", "42809", "0A000", "42601", "42P13"}
# The values are nobody's promise, or differ as query/README.md says (numeric has 38 digits; what overflows a rounding is an
# error here).
UNLIKE = re.compile(r"^(random|gen_random_uuid|now|clock_timestamp|statement_timestamp|transaction_timestamp|version|current_.*|"
                    r"pg_.*|getdatabaseencoding|to_tsvector|jsonb_path_.*_tz|factorial|exp|power|pow|\^|sqrt|ln|log|log10|"
                    r"obj_description|col_description|shobj_description|format_type|to_reg.*|parse_ident|array_fill|"
                    r"round|trunc|regexp_.*|~|!~|~\*|!~\*|substring|txid.*|inet_.*)$")


@pytest.fixture(scope="module")
def both(shared_server):
    postgres = PostgreSQL()
    try:
        reference = Reference(postgres.dsn)
        yield Freshet(shared_server.http), reference
    finally:
        postgres.stop()


def catalogue(reference):
    types = "{" + ",".join('"%s"' % name.replace('"', '\\"') for name in functions.TYPES) + "}"
    return reference.connection.execute(functions.CATALOGUE.replace("$TYPES$", f"'{types}'")).fetchall()


def refused(server, row):
    name, kind, _, _, types = row
    answer = server.answer("SELECT " + functions.call(name, kind, functions.nulls(types)))
    return answer.state in REFUSALS


def test_what_is_refused_is_named(both):
    server, reference = both
    rows = [row for row in catalogue(reference) if row[0] not in functions.SYNTAX]
    missing = [row for row in rows if refused(server, row)]
    named = {name for names in functions.REFUSED.values() for name in names}
    counts = collections.Counter(row[1] for row in rows)
    print(f"{len(rows) - len(missing)} of {len(rows)} forms ({dict(counts)}), {len({row[0] for row in missing})} names refused")
    surprises = [row for row in missing if row[0] not in named]
    assert not surprises, surprises


def test_calls_say_the_same(both):
    server, reference = both
    rng, tried, different = random.Random(11), 0, []
    for row in catalogue(reference):
        name, kind, is_set, volatility, types = row
        if kind not in "fo" or is_set or volatility == "v" or name in functions.SYNTAX or UNLIKE.match(name):
            continue
        if refused(server, row):
            continue
        for _ in range(CALLS if types else 1):
            sql = f"SELECT ({functions.call(name, kind, functions.arguments(rng, types))})::text"
            ours, theirs = server.answer(sql), reference.answer(sql)
            tried += 1
            if theirs.state in ("57014", "53200", "54000"):  # the reference's own limits
                continue
            if ours.state != theirs.state or (ours.rows != theirs.rows and not same_number(ours, theirs)):
                different.append((sql, ours.state or ours.rows, theirs.state or theirs.rows))
    print(f"{tried} calls, {len(different)} differ")
    assert not different, different[:20]


def same_number(ours, theirs):
    try:
        a, b = float(ours.rows[0][0]), float(theirs.rows[0][0])
    except (TypeError, ValueError, IndexError):
        return False
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def test_paths_say_the_same(both):
    server, reference = both
    paths, different = Paths(random.Random(12)), []
    for _ in range(PATHS):
        sql = f"SELECT ({paths.expression()})::text"
        ours, theirs = server.answer(sql), reference.answer(sql)
        if ours.state != theirs.state or ours.rows != theirs.rows:
            different.append((sql, ours.state or ours.rows, theirs.state or theirs.rows))
    print(f"{PATHS} paths, {len(different)} differ")
    assert not different, different[:10]
