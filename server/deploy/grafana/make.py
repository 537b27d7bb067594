#!/usr/bin/env python3
"""Writes the dashboards and alert rules beside it: server/deploy/grafana/make.py [--check]

Each panel is written once, as SQL with the macros of Grafana's PostgreSQL data source; from it come the dashboards for that
data source (dashboards/), the same for the Infinity data source over POST /v1/sql (infinity/), and the alert rules
(provisioning/alerting/). --check writes nothing and fails if a file differs from what would be written."""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PG = {"type": "grafana-postgresql-datasource", "uid": "freshet"}
INFINITY = {"type": "yesoreyeram-infinity-datasource", "uid": "freshet-http"}

TIME, NUMBER, TEXT = "timestamp", "number", "string"


def panel(title, kind, size, sql, columns, unit=None, text="", **options):
    """kind: timeseries, stat, table, barchart; size: (width, height); columns: (name, kind) of the answer, in order."""
    return {"title": title, "kind": kind, "size": size, "sql": " ".join(sql.split()), "columns": columns, "unit": unit, "text": text,
            "options": options}


TRAFFIC = {
    "uid": "freshet-traffic", "title": "Freshet: traffic of the demo",
    "variables": [("country", "SELECT DISTINCT country FROM events WHERE $__timeFilter(ts) ORDER BY 1"),
                  ("event", "SELECT DISTINCT event FROM events WHERE $__timeFilter(ts) ORDER BY 1")],
    "annotations": [("Late data", """SELECT minute AS time, table_name || ': ' || sum(late_diverted + late_dropped) || ' late rows put aside'
                     AS text, 'late' AS tags FROM freshet.ledger WHERE $__timeFilter(minute) AND late_diverted + late_dropped > 0
                     GROUP BY minute, table_name ORDER BY 1""")],
    "panels": [
        panel("Events per second", "timeseries", (12, 8), """
            SELECT $__timeGroupAlias(ts, $__interval), count(*) / ($__interval_ms / 1000.0) AS events FROM events
            WHERE $__timeFilter(ts) AND country IN ($country) AND event IN ($event) GROUP BY 1 ORDER BY 1""",
              [("time", TIME), ("events", NUMBER)], "short"),
        panel("Latency", "timeseries", (12, 8), """
            SELECT $__timeGroupAlias(ts, $__interval), approx_percentile(0.5, latency_ms) AS p50,
                   approx_percentile(0.95, latency_ms) AS p95, approx_percentile(0.99, latency_ms) AS p99 FROM events
            WHERE $__timeFilter(ts) AND country IN ($country) AND event IN ($event) GROUP BY 1 ORDER BY 1""",
              [("time", TIME), ("p50", NUMBER), ("p95", NUMBER), ("p99", NUMBER)], "ms"),
        panel("Errors by country", "timeseries", (12, 8), """
            SELECT $__timeGroupAlias(ts, $__interval), country, count(*) FILTER (WHERE status >= 500) AS errors FROM events
            WHERE $__timeFilter(ts) AND country IN (SELECT country FROM events WHERE $__timeFilter(ts) AND status >= 500 GROUP BY 1
                                                    ORDER BY count(*) DESC LIMIT 8) GROUP BY 1, 2 ORDER BY 1, 2""",
              [("time", TIME), ("country", TEXT), ("errors", NUMBER)], "short"),
        panel("Top pages", "table", (12, 8), """
            SELECT page, count(*) AS views, count(DISTINCT user_id) AS users, round(avg(latency_ms)::numeric, 1) AS avg_ms,
                   count(*) FILTER (WHERE status >= 500)::float8 / count(*) AS error_ratio FROM events
            WHERE $__timeFilter(ts) AND country IN ($country) GROUP BY page ORDER BY views DESC LIMIT 20""",
              [("page", TEXT), ("views", NUMBER), ("users", NUMBER), ("avg_ms", NUMBER), ("error_ratio", NUMBER)]),
        panel("Error ratio", "stat", (4, 5), """
            SELECT count(*) FILTER (WHERE status >= 500)::float8 / nullif(count(*), 0) AS error_ratio FROM events
            WHERE $__timeFilter(ts) AND country IN ($country)""", [("error_ratio", NUMBER)], "percentunit"),
        panel("Users", "stat", (4, 5), """
            SELECT approx_count_distinct(user_id) AS users FROM events WHERE $__timeFilter(ts) AND country IN ($country)""",
              [("users", NUMBER)], "short"),
        panel("Newest event", "stat", (4, 5), """
            SELECT extract(epoch FROM now() - max(ts)) AS age FROM events WHERE ts > now() - interval '1 day'""",
              [("age", NUMBER)], "s", "How old the newest event is: the freshness that a reader sees."),
        panel("Events by kind", "barchart", (12, 5), """
            SELECT event, count(*) AS events FROM events WHERE $__timeFilter(ts) AND country IN ($country) GROUP BY 1
            ORDER BY 2 DESC LIMIT 10""", [("event", TEXT), ("events", NUMBER)]),
    ],
}

OPERATIONS = {
    "uid": "freshet-operations", "title": "Freshet: operations",
    "variables": [("table", "SELECT table_name AS \"table\" FROM freshet.tables ORDER BY 1")],
    "annotations": TRAFFIC["annotations"],
    "panels": [
        panel("Rows per minute by fate", "timeseries", (12, 8), """
            SELECT minute AS time, sum(stored) AS stored, sum(duplicate) AS duplicate, sum(filtered) AS filtered, sum(dead) AS dead,
                   sum(late_diverted) AS late_diverted, sum(late_dropped) AS late_dropped FROM freshet.ledger
            WHERE $__timeFilter(minute) AND table_name IN ($table) GROUP BY 1 ORDER BY 1""",
              [("time", TIME), *((name, NUMBER) for name in ("stored", "duplicate", "filtered", "dead", "late_diverted", "late_dropped"))],
              "short", "The ledger: received is the sum of what became of each row."),
        panel("Rows per minute by source", "timeseries", (12, 8), """
            SELECT minute AS time, source, sum(received) AS received FROM freshet.ledger
            WHERE $__timeFilter(minute) AND table_name IN ($table) GROUP BY 1, 2 ORDER BY 1, 2""",
              [("time", TIME), ("source", TEXT), ("received", NUMBER)], "short"),
        panel("Latency by stage", "table", (12, 8), """
            SELECT stage, source, count, p50_ms, p95_ms, p99_ms, max_ms FROM freshet.latency WHERE count > 0 ORDER BY stage, source""",
              [("stage", TEXT), ("source", TEXT), *((name, NUMBER) for name in ("count", "p50_ms", "p95_ms", "p99_ms", "max_ms"))],
              "ms", "Of the last one to two minutes. freshness: until rows are visible."),
        panel("Freshness p99", "stat", (6, 8), """
            SELECT source, p99_ms FROM freshet.latency WHERE stage = 'freshness' AND count > 0 ORDER BY 1""",
              [("source", TEXT), ("p99_ms", NUMBER)], "ms"),
        panel("Complete through", "table", (6, 8), """
            SELECT table_name, min(watermark) AS complete_through, round(extract(epoch FROM now() - min(watermark)), 1) AS age_s,
                   count(*) AS sources FROM freshet.watermarks WHERE NOT idle GROUP BY 1 ORDER BY age_s DESC""",
              [("table_name", TEXT), ("complete_through", TIME), ("age_s", NUMBER), ("sources", NUMBER)], None,
              "By the watermarks of the sources that are not idle: answers are complete up to there."),
        panel("Watermarks", "table", (12, 8), """
            SELECT table_name, source, watermark, max_time, idle FROM freshet.watermarks ORDER BY watermark LIMIT 100""",
              [("table_name", TEXT), ("source", TEXT), ("watermark", TIME), ("max_time", TIME), ("idle", "boolean")]),
        panel("Sources and lag", "table", (12, 8), """
            SELECT table_name, source, topic, partition, state, lag_rows, lag_ms, last_row_at, last_error FROM freshet.sources
            ORDER BY state <> 'failed', state <> 'stalled', lag_rows DESC NULLS LAST LIMIT 100""",
              [("table_name", TEXT), ("source", TEXT), ("topic", TEXT), ("partition", NUMBER), ("state", TEXT), ("lag_rows", NUMBER),
               ("lag_ms", NUMBER), ("last_row_at", TIME), ("last_error", TEXT)]),
        panel("Lag", "stat", (6, 6), "SELECT coalesce(sum(lag_rows), 0) AS lag_rows FROM freshet.sources", [("lag_rows", NUMBER)], "short"),
        panel("Dead letters kept", "stat", (6, 6), "SELECT count(*) AS dead_letters FROM freshet.dead_letters WHERE state = 'new'",
              [("dead_letters", NUMBER)], "short"),
        panel("Newest dead letters", "table", (12, 6), """
            SELECT at, table_name, source, column_name, sqlstate, reason, left(encode(raw, 'escape'), 200) AS raw
            FROM freshet.dead_letters WHERE $__timeFilter(at) ORDER BY at DESC LIMIT 50""",
              [("at", TIME), ("table_name", TEXT), ("source", TEXT), ("column_name", TEXT), ("sqlstate", TEXT), ("reason", TEXT),
               ("raw", TEXT)]),
        panel("Schema drift", "table", (12, 6), """
            SELECT last_at, table_name, source, path, kind, count, example FROM freshet.drift ORDER BY last_at DESC LIMIT 50""",
              [("last_at", TIME), ("table_name", TEXT), ("source", TEXT), ("path", TEXT), ("kind", TEXT), ("count", NUMBER),
               ("example", TEXT)]),
        panel("Queries under way", "table", (12, 6), """
            SELECT started_at, elapsed_ms, state, user_name, client, rows_scanned, memory_bytes, left(query, 200) AS query
            FROM freshet.queries ORDER BY elapsed_ms DESC""",
              [("started_at", TIME), ("elapsed_ms", NUMBER), ("state", TEXT), ("user_name", TEXT), ("client", TEXT),
               ("rows_scanned", NUMBER), ("memory_bytes", NUMBER), ("query", TEXT)]),
        panel("Tables", "table", (12, 6), """
            SELECT table_name, rows, mutable_rows, bytes, mutable_bytes, segments, min_time, max_time FROM freshet.tables ORDER BY bytes DESC""",
              [("table_name", TEXT), *((name, NUMBER) for name in ("rows", "mutable_rows", "bytes", "mutable_bytes", "segments")),
               ("min_time", TIME), ("max_time", TIME)]),
        panel("Memory", "barchart", (6, 6), """
            SELECT labels ->> 'part' AS part, value AS bytes FROM freshet.metrics WHERE name = 'freshet_memory_bytes' ORDER BY 1""",
              [("part", TEXT), ("bytes", NUMBER)], "bytes"),
        panel("Disk free", "stat", (6, 6), """
            SELECT max(value) FILTER (WHERE name = 'freshet_disk_free_bytes') / max(value) FILTER (WHERE name = 'freshet_disk_size_bytes')
            AS free FROM freshet.metrics WHERE name LIKE 'freshet_disk_%'""", [("free", NUMBER)], "percentunit"),
    ],
}

# name, SQL that gives a number per thing, threshold, for, severity, summary. The same as prometheus/alerts.yml, by their names.
RULES = [
    ("FreshetSlowEndToEnd", "SELECT source, p99_ms FROM freshet.latency WHERE stage = 'freshness' AND count > 0", "gt", 1000, "5m",
     "warning", "1 % of rows take over a second to be visible"),
    ("FreshetLag", "SELECT table_name, source, sum(lag_rows) AS lag FROM freshet.sources WHERE kind = 'kafka' GROUP BY 1, 2", "gt", 1000,
     "5m", "warning", "a subscription is over 1,000 messages behind"),
    ("FreshetLagRising", """SELECT labels ->> 'subscription' AS subscription, sum(value) AS change FROM freshet.metrics
     WHERE name = 'freshet_kafka_lag_change' GROUP BY 1""", "gt", 100, "0s", "warning",
     "a subscription has fallen further behind over the last ten minutes"),
    ("FreshetThroughputHalved", """SELECT table_name,
     coalesce(sum(stored) FILTER (WHERE minute >= date_trunc('minute', now()) - interval '5 minutes'), 0)::float8 / 5
     / nullif(sum(stored) FILTER (WHERE minute < date_trunc('minute', now()) - interval '5 minutes') / 60.0, 0)::float8 AS share
     FROM freshet.ledger WHERE minute >= date_trunc('minute', now()) - interval '65 minutes' AND minute < date_trunc('minute', now())
     GROUP BY 1 HAVING sum(stored) FILTER (WHERE minute < date_trunc('minute', now()) - interval '5 minutes') > 3600""", "lt", 0.5, "5m",
     "warning", "a table gets less than half the rows it got in the hour before"),
    ("FreshetSchemaDrift", """SELECT table_name, count(*) AS paths FROM freshet.drift WHERE last_at > now() - interval '5 minutes'
     GROUP BY 1""", "gt", 0, "0s", "info", "fields arrive that a table does not have, or of other types"),
    ("FreshetBackpressure", """SELECT (extract(epoch FROM now()) - value < 60)::int AS refused FROM freshet.metrics
     WHERE name = 'freshet_backpressure_timestamp_seconds'""", "gt", 0, "1m", "warning", "rows are refused for lack of memory or disk"),
    ("FreshetWriteFailures", """SELECT greatest(max(value) FILTER (WHERE name = 'freshet_store_failed'),
     (extract(epoch FROM now()) - max(value) FILTER (WHERE name = 'freshet_write_failure_timestamp_seconds') < 300)::int) AS failed
     FROM freshet.metrics WHERE name IN ('freshet_store_failed', 'freshet_write_failure_timestamp_seconds')""", "gt", 0, "0s", "critical",
     "writing to disk fails"),
    ("FreshetDeadLetters", """SELECT table_name, source, count(*) AS dead FROM freshet.dead_letters
     WHERE at > now() - interval '5 minutes' GROUP BY 1, 2""", "gt", 0, "0s", "warning", "rows could not be stored; they are kept"),
    ("FreshetDiskLow", """SELECT max(value) FILTER (WHERE name = 'freshet_disk_free_bytes')
     / max(value) FILTER (WHERE name = 'freshet_disk_size_bytes') AS free FROM freshet.metrics WHERE name LIKE 'freshet_disk_%'""", "lt",
     0.1, "1m", "critical", "less than a tenth of the disk is free"),
    ("FreshetSourceStalled", """SELECT table_name, source, count(*) AS partitions FROM freshet.sources
     WHERE state IN ('stalled', 'failed') GROUP BY 1, 2""", "gt", 0, "1m", "warning", "a source does not get on; freshet.sources says why"),
]


def infinity_sql(sql):
    """The macros of the PostgreSQL data source as what Grafana itself fills in."""
    sql = re.sub(r"\$__timeGroupAlias\((\w+), \$__interval\)",
                 r"date_bin('$__interval_ms milliseconds', \1, '1970-01-01') AS time", sql)
    sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '${__from:date:iso}' AND '${__to:date:iso}'", sql)
    return re.sub(r"IN \(\$(\w+)\)", r"IN (${\1:singlequote})", sql)


def infinity_target(sql, columns, kind):
    """A request of POST /v1/sql; the rows are arrays, so a column is found by its place."""
    return {"refId": "A", "datasource": INFINITY, "type": "json", "source": "url", "parser": "backend",
            "format": "timeseries" if kind == "timeseries" else "table", "url": "/v1/sql",
            "url_options": {"method": "POST", "body_type": "raw", "body_content_type": "application/json",
                            "data": json.dumps({"query": infinity_sql(sql)})},
            "root_selector": "rows",
            "columns": [{"selector": str(place), "text": name, "type": "timestamp" if what == TIME else what}
                        for place, (name, what) in enumerate(columns)]}


def pg_target(sql, kind):
    return {"refId": "A", "datasource": PG, "format": "time_series" if kind == "timeseries" else "table", "rawQuery": True,
            "editorMode": "code", "rawSql": sql}


def variable(name, sql, source):
    query = sql if source is PG else {
        "queryType": "infinity", "refId": "variable", "infinityQuery": infinity_target(sql, [(name, TEXT)], "table")}
    return {"name": name, "type": "query", "datasource": source, "query": query, "definition": sql, "refresh": 2, "multi": True,
            "includeAll": True, "current": {"text": ["All"], "value": ["$__all"]}, "sort": 1}


def annotation(name, sql, source):
    built_in = {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
                "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"}
    target = pg_target(sql, "table") if source is PG else infinity_target(sql, [("time", TIME), ("text", TEXT), ("tags", TEXT)], "table")
    return [built_in, {"name": name, "datasource": source, "enable": True, "iconColor": "orange", "target": target,
                       **({"rawQuery": sql} if source is PG else {})}]


def panels(board, source):
    x = y = height = 0
    for number, one in enumerate(board["panels"], 1):
        width, tall = one["size"]
        if x + width > 24:
            x, y, height = 0, y + height, 0
        target = pg_target(one["sql"], one["kind"]) if source is PG else infinity_target(one["sql"], one["columns"], one["kind"])
        options = {"stat": {"reduceOptions": {"values": True, "calcs": ["lastNotNull"], "fields": ""}, "textMode": "auto"}}
        yield {"id": number, "title": one["title"], "description": one["text"], "type": one["kind"], "datasource": source,
               "gridPos": {"x": x, "y": y, "w": width, "h": tall}, "targets": [target],
               "fieldConfig": {"defaults": {"unit": one["unit"]} if one["unit"] else {}, "overrides": []},
               "options": options.get(one["kind"], {})}
        x, height = x + width, max(height, tall)


def dashboard(board, source):
    suffix = "" if source is PG else "-http"
    return {"uid": board["uid"] + suffix, "title": board["title"] + ("" if source is PG else " (over HTTP)"), "tags": ["freshet"],
            "schemaVersion": 39, "version": 1, "editable": True, "timezone": "browser", "refresh": "1s",
            "time": {"from": "now-15m", "to": "now"}, "timepicker": {"refresh_intervals": ["1s", "5s", "10s", "30s", "1m", "5m"]},
            "annotations": {"list": [part for name, sql in board["annotations"] for part in annotation(name, " ".join(sql.split()), source)]},
            "templating": {"list": [variable(name, sql, source) for name, sql in board["variables"]]},
            "panels": list(panels(board, source))}


def rule(name, sql, comparison, threshold, wait, severity, summary):
    query = {"refId": "A", "relativeTimeRange": {"from": 3900, "to": 0}, "datasourceUid": PG["uid"],
             "model": {"refId": "A", "format": "table", "rawQuery": True, "editorMode": "code", "rawSql": " ".join(sql.split()),
                       "intervalMs": 1000, "maxDataPoints": 43200}}
    condition = {"refId": "B", "relativeTimeRange": {"from": 0, "to": 0}, "datasourceUid": "__expr__",
                 "model": {"refId": "B", "type": "threshold", "expression": "A",
                           "conditions": [{"evaluator": {"type": comparison, "params": [threshold]}}]}}
    return {"uid": re.sub("(?<!^)(?=[A-Z])", "-", name).lower(), "title": name, "condition": "B", "data": [query, condition],
            "noDataState": "OK", "execErrState": "Error", "for": wait, "labels": {"severity": severity},
            "annotations": {"summary": summary}, "isPaused": False}


def outputs():
    for board in (TRAFFIC, OPERATIONS):
        yield f"dashboards/{board['uid']}.json", dashboard(board, PG)
        yield f"infinity/{board['uid']}-http.json", dashboard(board, INFINITY)
    group = {"orgId": 1, "name": "freshet", "folder": "Freshet", "interval": "10s", "rules": [rule(*one) for one in RULES]}
    yield "provisioning/alerting/freshet.json", {"apiVersion": 1, "groups": [group]}


def main():
    is_check = sys.argv[1:] == ["--check"]
    different = []
    for name, content in outputs():
        path, text = HERE / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        if is_check and (not path.exists() or path.read_text() != text):
            different.append(name)
        elif not is_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if different:
        sys.exit("make.py: run it again, these differ: " + ", ".join(different))


if __name__ == "__main__":
    main()
