"""The dashboards and Grafana's alert rules, every query of them: through Grafana's own driver and frame conversion over the wire
(grafana/, a Go program), and for the Infinity data source by the requests it is documented to make. And the dashboard that
`freshet dashboards` makes of a table."""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import artefacts
import freshet
import pytest

DEPLOY = freshet.ROOT / "server" / "deploy" / "grafana"
PROGRAM = pathlib.Path(__file__).with_name("grafana")
BOARDS = sorted(path.name for path in (DEPLOY / "dashboards").iterdir())
RULES = {rule["title"]: rule for rule in json.loads((DEPLOY / "provisioning/alerting/freshet.json").read_text())["groups"][0]["rules"]}
# Panels and rules that are right to have no rows here: no Kafka, no hour of history.
MAY_BE_EMPTY = {"FreshetLag", "FreshetLagRising", "FreshetThroughputHalved", "FreshetSourceStalled", "Late data"}


@pytest.fixture(scope="module")
def driver(new_module_folder):
    """Grafana's driver as a function: queries to answers, by name."""
    binary = artefacts.go_build(PROGRAM, new_module_folder("go") / "grafana")

    def ask(server, queries):
        host, port = server.pg.rsplit(":", 1)
        now = datetime.datetime.now(datetime.timezone.utc)
        span = {"from": (now - datetime.timedelta(minutes=15)).isoformat(), "to": (now + datetime.timedelta(seconds=5)).isoformat()}
        done = subprocess.run([binary], input=json.dumps({
            "connection": f"host={host} port={port} user=grafana dbname=freshet sslmode=disable",
            "queries": [{"interval_ms": 2000, **span, **query} for query in queries]}), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return {answer["name"]: answer for answer in json.loads(done.stdout)}

    return ask


@pytest.fixture(scope="module")
def demo(shared_server):
    """A server with some of the demo's events, dead letters, drift and a late row."""
    server = shared_server
    bench = pathlib.Path(freshet.binary()).with_name("freshet-bench")
    subprocess.run([bench, "--http", server.http, "--rate", "2000", "--seconds", "4", "--malformed", "0.01", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL, timeout=120)
    server.sql("CREATE TABLE strict (ts timestamptz NOT NULL) WITH (time = 'ts', lateness = '1 s')")
    add_row(server, 0)
    add_row(server, 600)
    return server


def add_row(server, age):
    ts = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    assert server.ingest("strict", json.dumps({"ts": ts.isoformat(), "more": 1}) + "\n")[0] == 200


def variables(server, board):
    """What $name stands for: all values, quoted, as Grafana puts them for multi-value variables."""
    found = {}
    for variable in board["templating"]["list"]:
        sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > now() - interval '1 day'", variable["definition"])
        found[variable["name"]] = ",".join("'" + row[0].replace("'", "''") + "'" for row in server.rows(sql))
        assert found[variable["name"]], variable
    return found


def fill(sql, values):
    return re.sub(r"\$(?!_)(\w+)", lambda match: values[match.group(1)], sql)


def queries_of(board, values):
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield {"name": panel["title"], "sql": fill(target["rawSql"], values), "format": target["format"]}
    for annotation in board["annotations"]["list"]:
        if "rawQuery" in annotation:
            yield {"name": annotation["name"], "sql": annotation["rawQuery"], "format": "table"}


def check_frames(answers, wanted):
    for query in wanted:
        answer = answers[query["name"]]
        assert "error" not in answer, answer
        assert answer["rows"] > 0 or query["name"] in MAY_BE_EMPTY, answer
        types = [field["type"] for field in answer["fields"]]
        if query["format"] == "time_series" and answer["rows"] > 0:
            assert types.count("time.Time") + types.count("*time.Time") == 1 and len(types) >= 2, answer
            assert set(types) <= {"time.Time", "*time.Time", "*float64"}, answer


def test_files_are_what_make_writes():
    subprocess.run([sys.executable, DEPLOY / "make.py", "--check"], check=True)


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_gives_frames(name, demo, driver):
    board = json.loads((DEPLOY / "dashboards" / name).read_text())
    wanted = list(queries_of(board, variables(demo, board)))
    assert len(wanted) >= 9 and len({query["name"] for query in wanted}) == len(wanted)
    add_row(demo, 0)  # a source that is not idle, however long it took to come here
    check_frames(driver(demo, wanted), wanted)


def test_a_wrong_panel_is_found(demo, driver):
    """The checks above fail where they ought to: no such column, no time, rows out of order, twice the same name."""
    board = [{"name": "column", "sql": "SELECT nothing FROM events", "format": "table"},
             {"name": "time", "sql": "SELECT count(*) FROM events", "format": "time_series"},
             {"name": "order", "sql": "SELECT ts AS time, country, user_id FROM events ORDER BY ts DESC LIMIT 100", "format": "time_series"},
             {"name": "twice", "sql": "SELECT 1 AS a, 2 AS a", "format": "table"}]
    answers = driver(demo, board)
    for name, text in (("column", "does not exist"), ("time", "time column is missing"), ("order", "ascending"), ("twice", "duplicate")):
        assert text in answers[name].get("error", ""), answers[name]


def test_types_of_fields(demo, driver):
    """As the same program finds them on a PostgreSQL 15."""
    sql = """SELECT 1::int2 AS int2, 1::int4 AS int4, 1::int8 AS int8, 1.5::float4 AS float4, 1.5::float8 AS float8, 1.5::numeric AS
             numeric, true AS bool, 'x'::text AS text, now() AS timestamptz, now()::timestamp AS timestamp, now()::date AS date,
             '{"a":1}'::jsonb AS jsonb, ARRAY[1,2] AS list, NULL::int8 AS empty"""
    fields = driver(demo, [{"name": "types", "sql": sql, "format": "table"}])["types"]["fields"]
    assert [(field["name"], field["type"]) for field in fields] == [
        ("int2", "int16"), ("int4", "*int32"), ("int8", "*int64"), ("float4", "*float64"), ("float8", "*float64"),
        ("numeric", "*float64"), ("bool", "*bool"), ("text", "*string"), ("timestamptz", "*time.Time"), ("timestamp", "*time.Time"),
        ("date", "*time.Time"), ("jsonb", "*string"), ("list", "*string"), ("empty", "*int64")]


def test_alert_rules_give_frames(demo, driver):
    """One number and names beside it, which is what a rule can be told apart by; the same rules as Prometheus has."""
    prometheus = (DEPLOY.parent / "prometheus" / "alerts.yml").read_text()
    assert set(RULES) == set(re.findall(r"- alert: (\w+)", prometheus))
    wanted = [{"name": title, "sql": rule["data"][0]["model"]["rawSql"], "format": "table"} for title, rule in RULES.items()]
    answers = driver(demo, wanted)
    check_frames(answers, wanted)
    for answer in answers.values():
        types = [field["type"] for field in answer["fields"]]
        assert len([kind for kind in types if kind != "*string"]) == (1 if answer["rows"] else len(types) and 1), answer


def values_of(rule, server):
    """(the rule's threshold is passed, values): what Grafana would fire on."""
    condition = rule["data"][1]["model"]["conditions"][0]["evaluator"]
    numbers = [float(cell) for row in server.rows(rule["data"][0]["model"]["rawSql"]) for cell in row
               if isinstance(cell, (int, float)) and not isinstance(cell, bool)]
    limit = condition["params"][0]
    return any(number > limit if condition["type"] == "gt" else number < limit for number in numbers), numbers


def test_alert_rules_fire(demo, freshet_factory):
    """The demo has dead letters and drift; a fresh server has neither, nor anything else."""
    fired = {title for title, rule in RULES.items() if values_of(rule, demo)[0]}
    assert {"FreshetSchemaDrift", "FreshetDeadLetters"} <= fired <= {"FreshetSchemaDrift", "FreshetDeadLetters", "FreshetDiskLow",
                                                                    "FreshetSlowEndToEnd"}
    quiet = freshet_factory(arguments=["--disk-low", "4000 TiB"])
    assert {title for title, rule in RULES.items() if values_of(rule, quiet)[0]} <= {"FreshetDiskLow"}
    quiet.sql("CREATE TABLE t (n bigint)")
    end = time.monotonic() + 20
    while quiet.ingest("t", '{"n":1}\n')[0] != 507:  # the disk is low: rows are refused
        assert time.monotonic() < end
        time.sleep(0.1)
    assert values_of(RULES["FreshetBackpressure"], quiet)[0]


@pytest.mark.parametrize("name", sorted(path.name for path in (DEPLOY / "infinity").iterdir()))
def test_infinity_requests(name, demo):
    """The plugin posts the body, takes the value under root_selector and reads each column by its selector."""
    board = json.loads((DEPLOY / "infinity" / name).read_text())
    now = datetime.datetime.now(datetime.timezone.utc)
    times = {"${__from:date:iso}": (now - datetime.timedelta(minutes=15)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
             "${__to:date:iso}": (now + datetime.timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%S.000Z"), "$__interval_ms": "2000"}

    def ask(target, values):
        body = target["url_options"]["data"]
        for text, value in {**times, **{f"${{{name}:singlequote}}": value for name, value in values.items()}}.items():
            body = body.replace(text, value)
        assert "$" not in body and target["url"] == "/v1/sql" and target["url_options"]["method"] == "POST"
        status, _, answer = demo.request("POST", target["url"], body, {"Content-Type": target["url_options"]["body_content_type"]})
        answer = json.loads(answer)
        assert status == 200, answer
        assert [column["text"] for column in target["columns"]] == [column["name"] for column in answer["columns"]]
        return [[row[int(column["selector"])] for column in target["columns"]] for row in answer[target["root_selector"]]]

    values = {}
    for variable in board["templating"]["list"]:
        found = ask(variable["query"]["infinityQuery"], {})
        values[variable["name"]] = ",".join("'" + row[0] + "'" for row in found)
    for panel in board["panels"]:
        rows = ask(panel["targets"][0], values)
        assert rows, panel["title"]
        for place, column in enumerate(panel["targets"][0]["columns"]):
            for row in rows:
                if column["type"] == "timestamp" and row[place] is not None:
                    datetime.datetime.fromisoformat(row[place])
                assert column["type"] != "number" or isinstance(row[place], (int, float, type(None))), (panel["title"], row)


def test_dashboard_of_a_table(demo, driver):
    demo.sql('CREATE TABLE "odd ""name" (id bigint, "a b" double precision, kind text, ok boolean, payload jsonb)')
    demo.sql("INSERT INTO \"odd \"\"name\" VALUES (1, 1.5, 'x', true, '{}'), (2, NULL, 'y', false, NULL)")
    titles = {}
    for table in ("events", 'odd "name'):
        made = subprocess.run([freshet.binary(), "dashboards", table, "--http", demo.http], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stderr
        board = json.loads(made.stdout)
        wanted = [{"name": str(panel["id"]), "sql": panel["targets"][0]["rawSql"], "format": panel["targets"][0]["format"]}
                  for panel in board["panels"]]
        check_frames(driver(demo, wanted), wanted)
        titles[table] = [panel["title"] for panel in board["panels"]]
    assert titles['odd "name'] == ["Rows", "a b", "Top of kind", "Newest rows"]
    assert {"Rows per second", "latency_ms", "Top of country", "Share of is_new", "Newest rows"} <= set(titles["events"])
    assert not {"user_id", "Top of session_id"} & set(titles["events"])
    missing = subprocess.run([freshet.binary(), "dashboards", "nothing", "--http", demo.http], capture_output=True, text=True, timeout=60)
    assert missing.returncode == 1 and 'no table "nothing"' in missing.stderr
