"""Runs one query on both servers and says whether the answers are the same.

Values are compared as PostgreSQL's to_json writes them (what answers over HTTP promise), digit by digit, except doubles: their last
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
def is_runtime(state):
    return state is not None and (state[:2] == "22" or state == "21000")


ARRAY_OF = {"character varying[]": "text[]"}  # 7


class Answer:
    def __init__(self, types=None, rows=None, state=None, text=""):
        self.types, self.rows, self.state, self.text = types, rows, state, text


class Number(str):
    """A JSON number with every digit kept."""


def load(text):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)


STAMP = "timestamp with time zone"


def in_utc(text):
    """Answers over HTTP have times in UTC whatever the zone, those in arrays too."""
    if text is None or isinstance(text, list):
        return text and [in_utc(each) for each in text]
    return text if "infinity" in text else text.replace(" BC", "+00:00 BC") if text.endswith(" BC") else text + "+00:00"


def cell_text(name, kind):
    """An answer's cell as JSON, without a zone where it is of times."""
    if kind == STAMP:
        name = f"{name} AT TIME ZONE 'UTC'"
    if kind == STAMP + "[]":
        name = f"CASE WHEN {name} IS NOT NULL THEN ARRAY(SELECT u AT TIME ZONE 'UTC' FROM unnest({name}) WITH ORDINALITY AS x(u, o) ORDER BY o) END"
    return f"to_json({name})::text"


ORIGIN = "timestamptz '2000-01-03 00:00:00+00'"


def session_text(match):
    """Sessions by hand: a row begins one if it is `gap` or more behind the row before it."""
    table, gap, keys = match.group(1), match.group(2), match.group(3) or ""
    names = [name for name in keys.split(", ") if name]
    over = "PARTITION BY " + ", ".join(names) if names else ""
    inner = f"SELECT x.*, CASE WHEN ts < lag(ts) OVER ({over} ORDER BY ts) + interval '{gap}' THEN 0 ELSE 1 END AS is_new FROM {table} x WHERE ts IS NOT NULL"
    middle = f"SELECT y.*, sum(is_new) OVER ({over} ORDER BY ts) AS nth FROM ({inner}) y"
    both = "PARTITION BY " + ", ".join([*names, "nth"])
    columns = "id, ts, b, i2, i4, i8, r, d, n, s, v, day, tl, u, j, ta, ia, g, k"
    return f"(SELECT {columns}, min(ts) OVER ({both}) AS window_start, max(ts) OVER ({both}) + interval '{gap}' AS window_end FROM ({middle}) z) AS t"


def translate(sql):
    """Our own constructs in PostgreSQL's words."""
    sql = re.sub(r"session\((\w), ts, interval '([^']+)'(?:, ([^)]*))?\) AS t", session_text, sql)
    sql = re.sub(r"\b(first|last)\(([\w.]+), ([\w.]+)\)",
                 lambda m: f"(array_agg({m[2]} ORDER BY {m[3]}{' DESC' if m[1] == 'last' else ''}) FILTER (WHERE {m[3]} IS NOT NULL))[1]", sql)
    sql = re.sub(r"tumble\((\w), ts, interval '([^']+)'\) AS t",
                 rf"(SELECT t.*, date_bin('\2', ts, {ORIGIN}) AS window_start, "
                 rf"date_bin('\2', ts, {ORIGIN}) + interval '\2' AS window_end FROM \1 t) AS t", sql)
    return re.sub(r"hop\((\w), ts, interval '([^']+)', interval '([^']+)'\) AS t",
                  rf"(SELECT t.*, w AS window_start, w + interval '\3' AS window_end FROM \1 t, "
                  rf"generate_series(date_bin('\2', ts, {ORIGIN}) - interval '\3' + interval '\2', "
                  rf"date_bin('\2', ts, {ORIGIN}), interval '\2') AS w) AS t", sql)


class Reference:
    """PostgreSQL. `is_first`: the functions that our language adds are still to be made."""

    def __init__(self, dsn, is_first=True):
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
        self.zone = None
        self.is_limited = False  # answers end after a time, filling tables does not
        if is_first:
            self.connection.execute("CREATE FUNCTION time_bucket(interval, timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE "
                                    f"AS $$ SELECT date_bin($1, $2, {ORIGIN}) $$")
        self.types = dict(self.connection.execute("SELECT oid::int, format_type(oid, NULL) FROM pg_type").fetchall())
        self.set_zone("UTC")

    def set_zone(self, zone):
        if zone != self.zone:
            self.connection.execute(f"SET timezone = '{zone}'")
            self.zone = zone

    def execute(self, sql):
        self.connection.execute(sql)

    def describe(self, sql):
        """The types of the result's columns; raises what PostgreSQL has against the text."""
        raw = self.connection.pgconn
        for reply in (raw.prepare(b"", sql.encode()), raw.describe_prepared(b"")):
            if reply.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.lookup(reply.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode())(reply.error_message.decode())
        return [self.types[reply.ftype(index)] for index in range(reply.nfields)]

    def answer(self, sql, zone="UTC"):
        sql = translate(sql)
        try:
            if not self.is_limited:
                self.connection.execute("SET statement_timeout = '20s'")
                self.is_limited = True
            self.set_zone(zone)
            types = self.describe(sql)
            names = ", ".join(f"z{index}" for index in range(len(types)))
            cells = ", ".join(cell_text(f"z{index}", kind) for index, kind in enumerate(types))
            rows = self.connection.execute(f"SELECT {cells} FROM ({sql}) AS q({names})").fetchall()
        except psycopg.Error as error:
            return Answer(state=error.sqlstate, text=(str(error).splitlines() or [""])[0])
        return Answer(types, [[None if cell is None else in_utc(load(cell)) if kind in (STAMP, STAMP + "[]") else load(cell)
                               for cell, kind in zip(row, types)] for row in rows])


class Freshet:
    def __init__(self, address):
        self.address = address
        self.begun = None
        self.connection = http.client.HTTPConnection(address, timeout=300)

    def begin(self, sql, settings=None):
        """Asks without waiting: the next post() must be of the same, and waits."""
        try:
            self.send(sql, settings)
            self.begun = (sql, settings)
        except (http.client.HTTPException, ConnectionError):  # closed meanwhile: post() asks
            self.connection.close()

    def send(self, sql, settings):
        body = json.dumps({"query": sql, "settings": settings}) if settings else sql
        self.connection.request("POST", "/v1/sql", body.encode(), {"Content-Type": "application/json" if settings else "text/plain"})

    def post(self, sql, settings=None):
        assert self.begun in (None, (sql, settings))
        is_begun, self.begun = self.begun is not None, None
        for attempt in (0, 1):
            try:
                if not is_begun or attempt:
                    self.send(sql, settings)
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

    def answer(self, sql, settings=None):
        status, text = self.post(sql, settings)
        body = load(text)
        if status != 200:
            return Answer(state=body["sqlstate"], text=body["detail"] if "detail" in body else body.get("title", ""))
        types = [re.sub(r"\([^)]*\)", "", column["type"]) for column in body["columns"]]
        return Answer(types, body["rows"])


# --- differences that query/README.md numbers ---

def as_value(text):
    return json.loads(text, parse_int=decimal.Decimal, parse_float=decimal.Decimal, parse_constant=str)


def is_same_json(ours, theirs):
    """5: jsonb keeps the text as it came."""
    try:
        return as_value(ours if isinstance(ours, str) else json.dumps(ours)) == as_value(theirs if isinstance(theirs, str) else json.dumps(theirs))
    except ValueError:
        return False


def is_cut(ours, theirs):
    """1: numeric has at most 38 digits."""
    if not (isinstance(ours, Number) and isinstance(theirs, Number)) or len(theirs.strip("-").replace(".", "")) <= 38:
        return False
    with decimal.localcontext(decimal.Context(prec=100_000)):
        a, b = decimal.Decimal(ours), decimal.Decimal(theirs)
        return abs(a - b) <= decimal.Decimal(1).scaleb(a.as_tuple().exponent)


def same_cell(ours, theirs, kind):
    if kind in TOLERANCE and isinstance(ours, Number) and isinstance(theirs, Number):
        a, b = float(ours), float(theirs)
        return a == b or math.isclose(a, b, rel_tol=TOLERANCE[kind], abs_tol=1e-9)
    if ours == theirs and isinstance(ours, Number) == isinstance(theirs, Number):
        return True
    return kind == "numeric" and is_cut(ours, theirs)


def same_group_key(ours, theirs, kind, sql):
    """Equal numerics of different scale are one group, and each of them the greatest; which stands for them is nobody's promise."""
    is_grouped = re.search(r"GROUP BY|DISTINCT|UNION|INTERSECT|EXCEPT|max\(|min\(", sql)
    return kind == "numeric" and is_grouped and re.search(r"CASE|coalesce|nullif|greatest|least", sql) and \
        isinstance(ours, Number) and isinstance(theirs, Number) and decimal.Decimal(ours) == decimal.Decimal(theirs)


def sort_key(row, types):
    key = []
    for cell, kind in zip(row, types):
        if kind in TOLERANCE and isinstance(cell, Number):
            cell = f"{float(cell) + 0.0:.12g}"
        elif kind == "numeric" and isinstance(cell, Number):  # equal ones of different scale stand for each other
            cell = str(decimal.Decimal(cell).normalize())
        key.append((cell is None, json.dumps(cell)))
    return key + [(False, json.dumps(row))]  # among equals by their texts


def difference(ours, theirs, is_ordered, sql=""):
    """None if the answers are the same, else what differs."""
    why = compare(ours, theirs, is_ordered, sql)
    # Averages that are equal on paper may differ in the last bit, and so may their order; numerics that are equal have no order.
    # Then the rows must be the same.
    if why and is_ordered and not re.search(r"LIMIT \d+( OFFSET \d+)?$", sql) and ours.types and {*TOLERANCE, "numeric"} & set(ours.types):
        return compare(ours, theirs, False, sql)
    return why


def compare(ours, theirs, is_ordered, sql):
    if ours.state == "22003" and ours.text == "value overflows numeric format":
        return None  # 1: results beyond 38 digits
    if ours.state or theirs.state:
        if ours.state and theirs.state:
            if ours.state == theirs.state or (is_runtime(ours.state) and is_runtime(theirs.state)):
                return None
            return f"errors differ: ours {ours.state} {ours.text!r}, theirs {theirs.state} {theirs.text!r}"
        return f"only {'we fail' if ours.state else 'they fail'}: {ours.state or theirs.state} {ours.text or theirs.text!r}"
    if ours.types != [ARRAY_OF.get(kind, kind) for kind in theirs.types]:
        return f"types differ: ours {ours.types}, theirs {theirs.types}"
    if len(ours.rows) != len(theirs.rows):
        return f"row counts differ: ours {len(ours.rows)}, theirs {len(theirs.rows)}"
    a, b = ours.rows, theirs.rows
    if not is_ordered:
        a = sorted(a, key=lambda row: sort_key(row, ours.types))
        b = sorted(b, key=lambda row: sort_key(row, ours.types))
    for index, (x, y) in enumerate(zip(a, b)):
        for column, kind in enumerate(ours.types):
            if not same_cell(x[column], y[column], kind) and not same_group_key(x[column], y[column], kind, sql) and \
                    not ("json" in sql and kind in ("text", "json", "jsonb") and is_same_json(x[column], y[column])):
                return f"row {index} column {column} ({kind}): ours {x[column]!r}, theirs {y[column]!r}"
    return None
