"""Runs one query on both servers and says whether the answers are the same.

Values are compared as PostgreSQL's to_json writes them (what INTERFACES promises), digit by digit, except doubles: their last
digits may differ by the order of additions. Types and error states are compared too. Known differences have a number in
query/README.md and are named in KNOWN.
"""

import decimal
import http.client
import json
import math
import re

import psycopg

TOLERANCE = {"double precision": 1e-9, "real": 1e-5}
# Several things can be wrong with one query; which is met first is not promised.
RUNTIME_STATES = {"22003", "22012", "22P02", "22008", "22007", "2201E", "2201F", "2201B", "22001"}


class Answer:
    def __init__(self, types=None, rows=None, state=None, text=""):
        self.types, self.rows, self.state, self.text = types, rows, state, text


class Number(str):
    """A JSON number with every digit kept."""


def load(text):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)


ORIGIN = "timestamptz '2000-01-03 00:00:00+00'"


def translate(sql):
    """Our window functions in PostgreSQL's own words."""
    sql = re.sub(r"tumble\(t, ts, interval '([^']+)'\)",
                 rf"(SELECT t.*, date_bin('\1', ts, {ORIGIN}) AS window_start, "
                 rf"date_bin('\1', ts, {ORIGIN}) + interval '\1' AS window_end FROM t) AS t", sql)
    return re.sub(r"hop\(t, ts, interval '([^']+)', interval '([^']+)'\)",
                  rf"(SELECT t.*, w AS window_start, w + interval '\2' AS window_end FROM t, "
                  rf"generate_series(date_bin('\1', ts, {ORIGIN}) - interval '\2' + interval '\1', "
                  rf"date_bin('\1', ts, {ORIGIN}), interval '\1') AS w) AS t", sql)


class Reference:
    def __init__(self, dsn):
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.connection.execute("SET timezone = 'UTC'")
        self.connection.execute("SET statement_timeout = '20s'")
        self.connection.execute("CREATE FUNCTION time_bucket(interval, timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE "
                                f"AS $$ SELECT date_bin($1, $2, {ORIGIN}) $$")

    def execute(self, sql):
        self.connection.execute(sql)

    def answer(self, sql, columns):
        sql = translate(sql)
        names = ", ".join(f"z{index}" for index in range(columns))
        cells = ", ".join(f"to_json(z{index})::text" for index in range(columns))
        types = ", ".join(f"pg_typeof(z{index})::text" for index in range(columns))
        try:
            rows = self.connection.execute(f"SELECT {cells} FROM ({sql}) AS q({names})").fetchall()
            one = self.connection.execute(
                f"SELECT {types} FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM ({sql}) AS z LIMIT 0) AS q({names}) "
                "ON true").fetchone()
        except psycopg.Error as error:
            return Answer(state=error.sqlstate, text=str(error).splitlines()[0])
        return Answer(list(one), [[None if cell is None else load(cell) for cell in row] for row in rows])


class Freshet:
    def __init__(self, address):
        self.address = address
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def post(self, sql):
        for attempt in (0, 1):
            try:
                self.connection.request("POST", "/v1/sql", sql.encode(), {"Content-Type": "text/plain"})
                reply = self.connection.getresponse()
                return reply.status, reply.read().decode()
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                if attempt:
                    raise
        raise AssertionError

    def execute(self, sql):
        status, text = self.post(sql)
        assert status == 200, (status, text, sql[:200])

    def answer(self, sql, columns):
        status, text = self.post(sql)
        body = load(text)
        if status != 200:
            return Answer(state=body["sqlstate"], text=body["detail"] if "detail" in body else body.get("title", ""))
        types = [column["type"].split("(")[0] for column in body["columns"]]
        return Answer(types, body["rows"])


def same_cell(ours, theirs, kind):
    if kind in TOLERANCE and isinstance(ours, Number) and isinstance(theirs, Number):
        a, b = float(ours), float(theirs)
        return a == b or math.isclose(a, b, rel_tol=TOLERANCE[kind], abs_tol=1e-9)
    if isinstance(ours, Number) != isinstance(theirs, Number):
        return False
    return ours == theirs


def same_group_key(ours, theirs, kind, sql):
    """Equal numerics of different scale are one group; which of them stands for it is nobody's promise."""
    is_grouped = re.search(r"GROUP BY|DISTINCT|UNION|INTERSECT|EXCEPT", sql)
    return kind == "numeric" and is_grouped and re.search(r"CASE|coalesce|nullif|greatest|least", sql) and \
        isinstance(ours, Number) and isinstance(theirs, Number) and decimal.Decimal(ours) == decimal.Decimal(theirs)


def sort_key(row, types):
    key = []
    for cell, kind in zip(row, types):
        if kind in TOLERANCE and isinstance(cell, Number):
            cell = f"{float(cell):.12g}"
        key.append((cell is None, json.dumps(cell)))
    return key


def difference(ours, theirs, is_ordered, sql=""):
    """None if the answers are the same, else what differs."""
    why = compare(ours, theirs, is_ordered, sql)
    # Averages that are equal on paper may differ in the last bit, and so may their order: then the rows must be the same.
    if why and is_ordered and "LIMIT" not in sql and ours.types and any(kind in TOLERANCE for kind in ours.types):
        return compare(ours, theirs, False, sql)
    return why


def compare(ours, theirs, is_ordered, sql):
    if ours.state or theirs.state:
        if ours.state and theirs.state:
            if ours.state == theirs.state or {ours.state, theirs.state} <= RUNTIME_STATES:
                return None
            return f"errors differ: ours {ours.state} {ours.text!r}, theirs {theirs.state} {theirs.text!r}"
        return f"only {'we fail' if ours.state else 'they fail'}: {ours.state or theirs.state} {ours.text or theirs.text!r}"
    if ours.types != theirs.types:
        return f"types differ: ours {ours.types}, theirs {theirs.types}"
    if len(ours.rows) != len(theirs.rows):
        return f"row counts differ: ours {len(ours.rows)}, theirs {len(theirs.rows)}"
    a, b = ours.rows, theirs.rows
    if not is_ordered:
        a = sorted(a, key=lambda row: sort_key(row, ours.types))
        b = sorted(b, key=lambda row: sort_key(row, ours.types))
    for index, (x, y) in enumerate(zip(a, b)):
        for column, kind in enumerate(ours.types):
            if not same_cell(x[column], y[column], kind) and not same_group_key(x[column], y[column], kind, sql):
                return f"row {index} column {column} ({kind}): ours {x[column]!r}, theirs {y[column]!r}"
    return None
