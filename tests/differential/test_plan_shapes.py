"""Texts that differ in literals run by one plan: answers must be those of the text's own plan, to the byte.

Random statements, the catalogue queries of clients and a dashboard's panels, each with mutants of it that differ in literals only: every
text is asked with the plan cache off, and then with it on, after its mutants, so that it runs by a plan of its shape wherever it may.
Over the PostgreSQL protocol the same as prepared statements, whose plan may be another text's too."""

import os
import random
import re

import psycopg
import pytest

from differential import campaign, ground, harness
from e2e import test_catalogue

QUERIES = 20_000 if os.environ.get("FRESHET_TESTS_LONG") else int(os.environ.get("FRESHET_SHAPE_QUERIES", "150"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
MUTANTS = 3
LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w.$\"'])\d+(?:\.\d+)?(?![\w.\"'])")
PANELS = [
    "SELECT date_trunc('minute', ts) AS time, avg(d) AS value FROM t WHERE ts BETWEEN '{a}' AND '{b}' GROUP BY 1 ORDER BY 1",
    "SELECT floor(extract(epoch FROM ts) / 300) * 300 AS time, s AS metric, count(*) FROM t WHERE ts >= '{a}' AND ts < '{b}' AND s IN ('a', 'b') "
    "GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT ts, s, i4 FROM t WHERE ts BETWEEN '{a}' AND '{b}' AND i4 > {n} ORDER BY ts DESC, i4, s, id LIMIT 20",
    "SELECT count(*), sum(i8) FROM t WHERE extract(epoch FROM ts) >= {e} AND k <> {n}",
]


def mutate(sql, chance):
    """Other digits and letters in literals behind the first WHERE; no more rows than before from functions that make them."""
    begin = sql.upper().find("WHERE")
    if begin < 0:
        return sql

    def change(match):
        text = match.group()
        if match.start() < begin or chance.random() < 0.4:
            return text
        if text[0] == "'":
            return re.sub(r"(?<=.{6})\d", lambda digit: str(chance.randrange(10)) if chance.random() < 0.3 else digit.group(), text)
        return chance.choice([str(chance.randrange(100)), f"{chance.randrange(9)}.5", str(chance.randrange(10 ** len(text))) if len(text) < 10 else text])

    return LITERAL.sub(change, sql)


def told(server, sql, mode, settings):
    status, body = server.post(sql, {**settings, "freshet.plan_cache": mode})
    body = re.sub(r'"elapsed_ms":[0-9.]+', '"elapsed_ms":0', body)
    return status, re.sub(r'"query_id":"[^"]*"', '"query_id":""', body)


def differs(server, sql, settings):
    off, on = told(server, sql, "off", settings), told(server, sql, "on", settings)
    if off == on or off != told(server, sql, "off", settings):  # it asks for chance or the time
        return None
    return f"{sql}\n  {settings}\n  off: {off}\n  on:  {on}"


def check(server, sql, seed, settings):
    chance = random.Random(seed)
    found = [differs(server, sql, settings)]
    for _ in range(MUTANTS):
        found += [differs(server, mutate(sql, chance), settings), differs(server, sql, settings)]
    return [why for why in found if why]


def shape_hits(server):
    server.connection.request("GET", "/metrics")
    page = server.connection.getresponse().read().decode()
    return int(re.search(r"^freshet_plan_cache_shape_hits_total (\d+)", page, re.M).group(1))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("layout", ["mixed", "sealed"])
def test_random_statements(freshet_factory, tell, layout):
    ours = harness.Freshet(freshet_factory(arguments=ground.PATIENT).http)
    ground.fill(ours, "freshet", layout)
    campaign.here["calls"] = None
    found = []
    for seed in range(SEED * 1_000_000, SEED * 1_000_000 + QUERIES):
        source, sql, _ = campaign.make(seed)
        found += check(ours, sql, seed, {"timezone": source.zone} if source.zone != "UTC" else {})
    hits = shape_hits(ours)
    tell(f"plans by shape, {layout}: {QUERIES} statements with {MUTANTS} mutants each, {hits} by another text's plan, different {len(found)}")
    for why in found[:10]:
        tell(why)
    assert not found
    assert hits > QUERIES // 10


def test_catalogue_and_panels(freshet_factory):
    ours = harness.Freshet(freshet_factory(arguments=ground.PATIENT).http)
    ground.fill(ours, "freshet", "mixed")
    for statement in test_catalogue.statements():
        ours.execute(statement)
    texts = [text for path in sorted(test_catalogue.FOLDER.glob("*.sql")) if path.stem != "schema" for text in test_catalogue.texts(path.stem)]
    found = []
    for seed, text in enumerate(texts[::3]):
        if re.match(r"\s*(select|with)\b", text, re.I):
            found += check(ours, text, seed, {})
    before = shape_hits(ours)
    for hour in range(19):
        for panel in PANELS:
            text = panel.format(a=f"2026-05-0{1 + hour % 9}T{hour:02}:00:00.5Z", b=f"2026-05-{11 + hour}T00:00:00Z", n=hour * 3, e=1777593600 + hour * 3600)
            found += [why for why in [differs(ours, text, {})] if why]
    assert not found, found[:5]
    assert shape_hits(ours) - before >= 18 * len(PANELS)


def rows_or_error(connection, text, prepare):
    try:
        cursor = connection.execute(text, prepare=prepare)
        return [column.name for column in cursor.description], cursor.fetchall()
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary, error.diag.statement_position


def test_prepared_statements(freshet_factory):
    """A prepared statement may have got the plan of another text, and keeps its own literals, also when its table changes."""
    server = freshet_factory(arguments=ground.PATIENT)
    ours = harness.Freshet(server.http)
    ground.fill(ours, "freshet", "mixed")
    host, port = server.pg.rsplit(":", 1)
    with psycopg.connect(f"host={host} port={port} user=test dbname=freshet", autocommit=True) as connection, \
            psycopg.connect(f"host={host} port={port} user=test dbname=freshet", autocommit=True) as other:
        other.execute("SET freshet.plan_cache = 'off'")
        texts = [f"SELECT count(*), sum(k), min(s) FROM t WHERE k > {n} AND s <> '{'x' * n}'" for n in range(12)]
        texts += [f"SELECT k FROM t WHERE s <> '{'y' * n}' AND 1 / (k - k) > {n} ORDER BY k" for n in range(4)]
        for step in range(3):
            for text in texts * 2:
                expected = rows_or_error(other, text, False)
                for prepare in (False, True):
                    assert rows_or_error(connection, text, prepare) == expected, (step, prepare, text)
            if step == 0:
                connection.execute("INSERT INTO t (id, ts, k, s) VALUES (-1, '2026-05-02 00:00:00Z', 7, 'seven')")
            if step == 1:
                connection.execute("ALTER TABLE t ADD COLUMN more integer")
