"""The hostile set: queries that would take all time or all memory, and what is watched while they run.

`CASES` names each with the sqlstates that are right answers (None: an answer). `Load` sends rows and asks a short panel
query all the while, and measures both; `attack` runs statements at once. Used by tests/e2e/test_hostile.py and by
bench/hostile."""

import contextlib
import http.client
import json
import threading
import time

MEMORY, TIME, SIZE, DEPTH = "53200", "57014", "54000", "54001"

TABLE = "CREATE TABLE h (ts timestamptz NOT NULL, k bigint, country text, url text, v double precision) WITH (time = 'ts')"
PANEL = "SELECT country, count(*), avg(v) FROM h WHERE k % 1000 < 20 GROUP BY country ORDER BY country"


def in_list(text_max=250_000):
    numbers, size, n = [], 0, 0
    while size < text_max:
        numbers.append(str(n * 7919))
        size += len(numbers[-1]) + 1
        n += 1
    return f"SELECT count(*) FROM h WHERE k IN ({','.join(numbers)})"


def text_in_list(text_max=250_000):
    return "SELECT count(*) FROM h WHERE url IN (" + ",".join(f"'/page/{n}'" for n in range(text_max // 15)) + ")"


def values(text_max=250_000):
    return "SELECT count(*), sum(a) FROM (VALUES " + ",".join(f"({n},'x')" for n in range(text_max // 12)) + ") t(a, b)"


def chain(text, count, joiner):
    return joiner.join([text] * count)


def doubling(depth):
    """Common table expressions of which each reads the one before twice."""
    parts = ["c0 AS (SELECT k FROM h)"]
    parts += [f"c{n} AS (SELECT a.k FROM c{n - 1} a JOIN c{n - 1} b ON a.k = b.k)" for n in range(1, depth)]
    return f"WITH {', '.join(parts)} SELECT count(*) FROM c{depth - 1}"


def nested_select(depth):
    return "SELECT count(*) FROM " + "(SELECT * FROM " * depth + "h" + "".join(f") s{n}" for n in range(depth))


def nested_lateral(depth):
    """Each reads the one before, a hundred times."""
    text = "SELECT sum(n0) FROM generate_series(1, 100) g0(n0)"
    return text + "".join(f", LATERAL (SELECT g{n}.n{n} + 1 FROM generate_series(1, 100)) g{n + 1}(n{n + 1})" for n in range(depth))


def grouping_sets(columns):
    names = [f"k % {n + 2}" for n in range(columns)]
    return f"SELECT count(*) FROM (SELECT {', '.join(f'{e} AS c{n}' for n, e in enumerate(names))} FROM h) s GROUP BY CUBE ({', '.join(f'c{n}' for n in range(columns))})"


# name, statement, right answers
CASES = [
    ("cross join of three", "SELECT count(*) FROM h a, h b, h c WHERE a.v + b.v + c.v = -1", {TIME}),
    ("cross join kept", "SELECT a.url || b.url || c.url FROM h a, h b, h c", {TIME, MEMORY, SIZE}),
    ("sort of a cross join", "SELECT a.k, b.url FROM h a, h b, h c ORDER BY a.v * b.v DESC, b.url, c.k", {TIME, MEMORY, SIZE}),
    ("group by a cross join", "SELECT a.k * 100000 + b.k, c.k, count(*) FROM h a, h b, h c GROUP BY 1, 2", {TIME, MEMORY, SIZE}),
    ("distinct of a cross join", "SELECT count(DISTINCT a.url || b.k || c.k) FROM h a, h b, h c", {TIME, MEMORY}),
    ("join without an equality", "SELECT count(*) FROM h a JOIN h b ON a.v < b.v JOIN h c ON b.v < c.v", {TIME, MEMORY}),
    ("full join of a cross join", "SELECT count(*) FROM (SELECT a.k * 1000 + b.k AS k FROM h a, h b) x FULL JOIN (SELECT a.k * 999 + b.k AS k FROM h a, h b) y USING (k)", {TIME, MEMORY}),
    ("window over a cross join", "SELECT max(s) FROM (SELECT sum(a.v) OVER (ORDER BY b.v ROWS BETWEEN 5000 PRECEDING AND CURRENT ROW EXCLUDE TIES) s FROM h a, h b) x", {TIME, MEMORY}),
    ("IN list that fills the text", in_list(), {None}),
    ("IN list of texts", text_in_list(), {None}),
    ("NOT IN list", in_list().replace(" IN ", " NOT IN "), {None}),
    ("= ANY of a million", "SELECT count(*) FROM h WHERE k = ANY ((SELECT array_agg(n) FROM generate_series(1, 1000000) g(n))::bigint[])", {None, MEMORY}),
    ("= ANY of a million texts", "SELECT count(*) FROM h WHERE url = ANY (ARRAY(SELECT '/page/' || n FROM generate_series(1, 1000000) g(n)))", {None, MEMORY}),
    ("= ANY made per row", "SELECT count(*) FROM h WHERE k = ANY (string_to_array(repeat(k::text || ',', 100000), ',')::bigint[])", {TIME, MEMORY, None}),
    ("array of 10 million", "SELECT cardinality(array_agg(n)) FROM generate_series(1, 10000000) g(n)", {None, MEMORY, TIME}),
    ("regular expression, nested", "SELECT count(*) FROM h WHERE repeat('a', 5000) || k::text ~ '^(a+)+$'", {TIME, "2201B", None, SIZE}),
    ("regular expression, alternatives", "SELECT count(*) FROM h WHERE repeat('a', 30) || url ~ '^(a|a|aa)*b$'", {TIME, "2201B", None}),
    ("regular expression, back reference", r"SELECT count(*) FROM h WHERE repeat('ab', 2000) || url ~ '(.*)(.*)(.*)\1\2\3x$'", {TIME, "2201B", None}),
    ("regular expression, large", "SELECT count(*) FROM h WHERE url ~ '((((x{1,100}){1,100}){1,100}){1,100})'", {TIME, "2201B", None}),
    ("regular expression replaced", "SELECT sum(length(regexp_replace(repeat(url, 10000), '(a|b|c|.)*?e', '\\1\\1', 'g'))) FROM h", {TIME, MEMORY, "2201B", None, SIZE}),
    ("LIKE with many marks", "SELECT count(*) FROM h WHERE repeat(url, 500) LIKE '" + "%a" * 100 + "b'", {None, TIME, "2201B"}),
    ("string_agg of 1 GB", "SELECT length(string_agg(repeat('x', 10000), ',')) FROM generate_series(1, 100000)", {MEMORY, SIZE, TIME}),
    ("array_agg of long texts", "SELECT cardinality(array_agg(repeat('x', 10000))) FROM generate_series(1, 1000000)", {MEMORY, SIZE, TIME}),
    ("jsonb_agg of all", "SELECT length(json_agg(x)::text) FROM (SELECT repeat('y', 1000) x FROM generate_series(1, 10000000)) s", {MEMORY, SIZE, TIME}),
    ("generate_series(1, 1e12)", "SELECT count(*) FROM generate_series(1, 1000000000000)", {TIME}),
    ("generate_series kept", "SELECT n FROM generate_series(1, 1000000000000) g(n)", {SIZE, MEMORY, TIME}),
    ("generate_series sorted", "SELECT n FROM generate_series(1, 1000000000000) g(n) ORDER BY n DESC LIMIT 1", {MEMORY, TIME}),
    ("generate_series times unnest", "SELECT count(*) FROM generate_series(1, 1000000), unnest(ARRAY(SELECT generate_series(1, 100000))) u", {TIME, MEMORY}),
    ("repeat of repeat", "SELECT length(repeat(repeat(repeat('x', 1000), 1000), 1000))", {MEMORY, SIZE, None}),
    ("repeat in each row", "SELECT count(*) FROM h WHERE repeat(url, 10000000) = 'x'", {MEMORY, SIZE}),
    ("lpad of a gigabyte", "SELECT length(lpad('x', 1000000000, 'yz'))", {MEMORY, SIZE}),
    ("doubling by replace", "SELECT length(" + "replace(" * 40 + "'x'" + ", 'x', 'xx')" * 40 + ")", {MEMORY, SIZE}),
    ("doubling by ||", "SELECT length(x) FROM (SELECT a || a || a || a FROM (SELECT a || a || a || a FROM (SELECT repeat('z', 30000000) a) s) t(a)) u(x)", {MEMORY, SIZE, None}),
    ("texts hashed again and again", "SELECT count(*) FROM generate_series(1, 100000) g(n) WHERE md5(repeat('x', 20000000) || n) = ''", {TIME, MEMORY}),
    ("texts cut again and again", "SELECT count(*) FROM generate_series(1, 100000) g(n) WHERE split_part(repeat('x,', 10000000) || n, ',', 9999999) = ''", {TIME, MEMORY}),
    ("nesting, parentheses", "SELECT " + "(" * 100_000 + "1" + ")" * 100_000, {DEPTH}),
    ("nesting, operators", "SELECT 1" + "+1" * 100_000, {DEPTH}),
    ("nesting, NOT", "SELECT " + "NOT " * 50_000 + "true", {DEPTH}),
    ("nesting, CASE", "SELECT " + "CASE WHEN true THEN " * 5_000 + "1" + " END" * 5_000, {DEPTH}),
    ("nesting, sub-selects", nested_select(150), {None, DEPTH}),
    ("nesting, sub-selects, deep", nested_select(900), {None, DEPTH}),
    ("nesting, UNION", chain("SELECT k FROM h", 5000, " UNION ALL "), {DEPTH, MEMORY, TIME, SIZE, None}),
    ("nesting, arrays", "SELECT " + "ARRAY[" * 5_000 + "1" + "]" * 5_000, {DEPTH, None}),
    ("nesting, json", "SELECT ('" + "[" * 100_000 + "]" * 100_000 + "')::jsonb", {DEPTH, "22P02"}),
    ("nesting, json paths", "SELECT '{}'::jsonb" + "->'a'" * 30_000, {DEPTH}),
    ("joins of many", "SELECT count(*) FROM " + ", ".join(f"h t{n}" for n in range(60)), {TIME, MEMORY, "54001", None}),
    ("CTEs, each twice the one before", doubling(40), {TIME, MEMORY, DEPTH, SIZE}),
    ("CTEs, many", "WITH " + ", ".join(f"c{n} AS (SELECT {n} AS x)" for n in range(5000)) + " SELECT count(*) FROM c4999", {None, DEPTH}),
    ("laterals, nested", nested_lateral(12), {TIME, MEMORY}),
    ("apply in apply", "SELECT count(*) FROM h a WHERE (SELECT count(*) FROM h b WHERE b.v > a.v AND (SELECT count(*) FROM h c WHERE c.v > b.v + a.v) > 10) > 5", {TIME, MEMORY}),
    ("CUBE of 20", grouping_sets(20), {None, "54000", "54001", "54011", MEMORY, TIME}),
    ("CUBE of 12", grouping_sets(12), {None, "54000", "54001", "54011", MEMORY, TIME}),
    ("VALUES that fill the text", values(), {None}),
    ("columns, many", "SELECT " + ",".join(f"k+{n}" for n in range(30_000)) + " FROM h LIMIT 1", {None, "54011", "54000", MEMORY, SIZE, TIME}),
    ("group keys, many", "SELECT count(*) FROM h GROUP BY " + ",".join(f"k+{n}" for n in range(20_000)), {"54000", "54011", "54001", None, MEMORY, TIME}),
    ("a result of many rows", "SELECT a.url FROM h a, h b", {SIZE, TIME, MEMORY}),
    ("a result of many bytes", "SELECT repeat(url, 2000) FROM h", {SIZE, MEMORY}),
    ("json taken apart", "SELECT count(*) FROM h, jsonb_array_elements((SELECT jsonb_agg(n) FROM generate_series(1, 1000000) g(n))) e", {TIME, MEMORY}),
    ("json made large", "SELECT length(('[' || repeat('1,', 100000000) || '1]')::jsonb::text)", {MEMORY, SIZE, None, TIME}),
    ("funnel over a cross join", "SELECT max(x) FROM (SELECT funnel(interval '1 hour', a.ts, a.k % 2 = 0, b.k % 3 = 0, c.k % 5 = 0) x FROM h a, h b, h c GROUP BY a.k % 7) s", {TIME, MEMORY, SIZE}),
    ("percentile over a cross join", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a.v * b.v) FROM h a, h b, h c", {TIME, MEMORY}),
    ("numeric that grows", "SELECT sum(x) FROM (SELECT exp(n::numeric / 1e9) x FROM generate_series(1, 100000000) g(n)) s", {TIME, "22003", None}),
]


class Client:
    """One kept connection."""

    def __init__(self, address, timeout=120):
        self.connection = http.client.HTTPConnection(address, timeout=timeout)

    def post(self, target, body, kind):
        self.connection.request("POST", target, body, {"Content-Type": kind})
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def query(self, sql, **fields):
        status, text = self.post("/v1/sql", json.dumps({"query": sql, **fields}), "application/json")
        return status, text

    def close(self):
        self.connection.close()


def ask(address, sql, **fields):
    """(status, sqlstate or None, detail, seconds) of one statement."""
    client = Client(address)
    begin = time.monotonic()
    try:
        status, text = client.query(sql, **fields)
    finally:
        client.close()
    seconds = time.monotonic() - begin
    if status == 200:
        return status, None, "", seconds
    answer = json.loads(text)
    return status, answer["sqlstate"], answer["detail"], seconds


def fill(address, rows):
    client = Client(address)
    status, text = client.query(TABLE)
    assert status == 200, text
    for first in range(0, rows, 10_000):
        body = "".join(line(n) for n in range(first, min(first + 10_000, rows)))
        status, text = client.post("/v1/ingest/h", body, "application/x-ndjson")
        assert status == 200, text
    client.close()


def line(n):
    return (f'{{"ts":"2026-05-01T{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z","k":{n},"country":"{"DE FR US GB".split()[n % 4]}",'
            f'"url":"/page/{n % 5000}","v":{n % 9973}.5}}\n')


def percentile(values, share):
    if not values:
        return float("nan")
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Load:
    """Rows in and a panel out, measured: latencies in seconds by phase, rows acknowledged, memory."""

    def __init__(self, address, process_id, table="acks", period=0.005, panel_period=0.02):
        self.address, self.process_id, self.table = address, process_id, table
        self.period, self.panel_period = period, panel_period
        self.phase = "before"
        self.acks, self.panels, self.failures = {}, {}, []
        self.rows_acknowledged = 0
        self.peak_bytes = 0
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=run) for run in (self._send, self._ask, self._watch)]

    def __enter__(self):
        client = Client(self.address)
        status, text = client.query(f"CREATE TABLE {self.table} (ts timestamptz NOT NULL, n bigint, s text) WITH (time = 'ts')")
        assert status == 200, text
        client.close()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def _send(self):
        client, n = Client(self.address), 0
        while not self.is_over.is_set():
            body = "".join(f'{{"ts":"2026-05-01T10:00:00Z","n":{n + i},"s":"row {n + i}"}}\n' for i in range(50))
            begin = time.monotonic()
            status, text = client.post(f"/v1/ingest/{self.table}", body, "application/x-ndjson")
            self.acks.setdefault(self.phase, []).append(time.monotonic() - begin)
            if status == 200:
                self.rows_acknowledged += 50
                n += 50
            else:
                self.failures.append(("ingest", status, text[:300]))
                time.sleep(0.1)
            time.sleep(self.period)
        client.close()

    def _ask(self):
        client = Client(self.address)
        while not self.is_over.is_set():
            begin = time.monotonic()
            status, text = client.query(PANEL)
            self.panels.setdefault(self.phase, []).append(time.monotonic() - begin)
            if status != 200:
                self.failures.append(("panel", status, text[:300]))
            time.sleep(self.panel_period)
        client.close()

    def _watch(self):
        while not self.is_over.wait(0.05):
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{self.process_id}/statm") as file:
                    self.peak_bytes = max(self.peak_bytes, int(file.read().split()[1]) * 4096)

    def is_complete(self):
        """Whether each acknowledged row is there, once."""
        client = Client(self.address)
        status, text = client.query(f"SELECT count(*), count(DISTINCT n), max(n) FROM {self.table}")
        client.close()
        count = self.rows_acknowledged
        return status == 200 and json.loads(text)["rows"] == [[count, count, count - 1 if count else None]]


def attack(address, cases, at_once, timeout_ms, settings=None):
    """Runs the cases, `at_once` at a time; gives (name, right answers, (status, sqlstate, detail, seconds)) in the order of
    the cases. A connection that breaks gives status 0."""
    answers = [None] * len(cases)
    left = list(range(len(cases)))
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                if not left:
                    return
                at = left.pop(0)
            name, sql, right = cases[at]
            begin = time.monotonic()
            try:
                got = ask(address, sql, timeout_ms=timeout_ms, settings=settings or {})
            except (OSError, http.client.HTTPException) as error:
                got = (0, "broken", repr(error), time.monotonic() - begin)
            answers[at] = (name, right, got)

    threads = [threading.Thread(target=run) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
