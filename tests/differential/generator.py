"""Random SELECTs by seed over two fixed tables, built from typed productions.

Every production counts itself in `Generator.used`, so that a run can say how often each construct of the language occurred.
Queries are built so that PostgreSQL's answer is one answer: LIMIT only behind a total order, no volatile functions, sums of
doubles compared with a tolerance by the caller.
"""

import re

from differential import edges, shapes
from differential.expressions import Expressions
from differential.tables import COLUMNS

# What the language has, and a run must have asked for: campaign.missing() compares what was generated with this list.
CONSTRUCTS = frozenset("""
= ANY(array); AND; ANY/ALL (subquery); ANY/ALL(array); ARRAY or EXISTS as a value; AT TIME ZONE; BETWEEN; CASE; CASE x WHEN; CROSS JOIN;
CUBE or SETS; DISTINCT; DISTINCT ON; EXCEPT; EXCEPT ALL; EXCLUDE; EXISTS; FILTER; FULL JOIN (few); GROUP BY alias; GROUP BY expression;
GROUP BY ordinal; HAVING; IN list; IN subquery; INNER JOIN; INNER JOIN (few); INTERSECT; INTERSECT ALL; IS DISTINCT FROM; IS NULL; IS
TRUE/FALSE/UNKNOWN; JOIN USING; LATERAL; LATERAL ORDER BY LIMIT; LEFT JOIN; LEFT JOIN (few); LIKE/ILIKE; LIMIT; NATURAL JOIN; NOT; NULLS
FIRST/LAST; OFFSET; ON; OR; ORDER BY; OVER; OVER groups; OVER: FILTER; OVER: bool; OVER: count; OVER: min/max; OVER: sum/avg; PARTITION BY;
RIGHT JOIN (few); ROLLUP; SELECT without FROM; SIMILAR TO; UNION; UNION ALL; VALUES; VALUES in FROM; WHERE; WINDOW; WITH; WITH ORDINALITY;
abs; array_agg; arrays of any type; arrays to integer; avg; bigint arithmetic; bigint subscript; bit_and/or; bool_and; bool_or; bucket: date_trunc; bucket:
epoch; cast to bigint; cast to date; cast to double; cast to integer; cast to text; cast to timestamptz; coalesce; comma join; comparison; concat;
conditions of arrays; correlated EXISTS; correlated IN; correlated LIMIT 1; correlated aggregate; correlated count; count(*); count(DISTINCT); count(x); cross-type
comparison; date - date; date ± integer; date_bin; date_trunc; date_trunc timestamp; date_trunc with zone; double arithmetic; double
division; double functions; extract; first/last_value; floor/ceil/trunc; format/quote; frame GROUPS; frame RANGE; frame ROWS;
generate_series; greatest; grouping(); hop; integer arithmetic; integer division; integer modulo; integer to numeric; interval arithmetic;
interval literal; json path; json_agg; jsonb conditions; jsonb functions; lag with default; lag/lead; least; left/right; length;
lower/upper; lpad/rpad; max; md5; min; mixed arithmetic; nested correlation; now(); nth_value; ntile; nullif; numeric arithmetic; numeric
division; numeric modulo; percentile_cont; percentile_disc/mode; percentiles at once; place of a row; raising; rank; real arithmetic; regexp_count/_instr; regexp_replace;
regexp_substr; regr/covar; regular expression; replace; residual ON; reverse/repeat; round; row IN; row_number; rows in the select list;
scalar subquery; session; sign/abs; split_part; sqrt/ln; stddev; string_agg; strpos; subquery in FROM; substring; sum; table of edges; text
arrays; three tables; time_bucket; timestamp - timestamp; timestamp ± interval; timestamptz ± interval; to_char of numbers; to_char of
times; trim; tumble; variance; window in a subquery; zone with clock changes; ||
""".replace("\n", " ").strip().split("; "))


class Generator(Expressions):
    """One query. `calls`: what every function can be called with, see calls.py."""

    def __init__(self, seed, calls=None):
        super().__init__(seed)
        self.calls = calls
        self.zone = self.rng.choice(edges.ZONES) if self.rng.random() < 0.3 else "UTC"

    # --- FROM ---
    def qualified(self, table, alias):
        return [(f"{alias}.{name}", kind) for name, kind in COLUMNS[table]]

    def from_clause(self, depth):
        """(FROM text, scope)"""
        form = self.rng.randint(0, 14)
        if depth > 0 and self.rng.random() < 0.25:
            return self.joined()
        if form <= 5 or depth <= 0:
            return "t", COLUMNS["t"]
        windows = COLUMNS["t"] + [("window_start", "timestamptz"), ("window_end", "timestamptz")]
        if form == 12:
            return self.use("tumble", f"tumble(t, ts, interval '{self.pick('1 hour', '15 minutes', '1 day', '7 days')}') AS t"), windows
        if form == 14:
            keys = self.pick("", ", g", ", k", ", g, k")
            return self.use("session", f"session(t, ts, interval '{self.pick('30 minutes', '1 day', '3 days')}'{keys}) AS t"), windows
        if form == 13:
            slide, size = self.pick(("30 minutes", "1 hour"), ("1 day", "3 days"), ("20 minutes", "1 hour"))
            return self.use("hop", f"hop(t, ts, interval '{slide}', interval '{size}') AS t"), windows
        if form == 6:
            condition = self.pick("a.k = c.k", "a.g = c.g", "a.k = c.k AND a.g = c.g", "a.k = c.k AND c.x > 0")
            return self.use("INNER JOIN", f"t a JOIN w c ON {condition}"), self.qualified("t", "a") + self.qualified("w", "c")
        if form == 7:
            condition = self.pick("a.k = c.k", "a.g = c.g AND a.k = c.k", "a.k = c.k AND c.label <> 'a'")
            return self.use("LEFT JOIN", f"t a LEFT JOIN w c ON {condition}"), self.qualified("t", "a") + self.qualified("w", "c")
        if form == 8:
            return self.use("CROSS JOIN", "(SELECT * FROM t WHERE id < 12) a CROSS JOIN w c"), self.qualified("t", "a") + self.qualified("w", "c")
        if form == 9:
            inner, kinds = self.select_list(COLUMNS["t"], 3)
            where = self.condition(COLUMNS["t"], 1)
            names = [f"c{index}" for index in range(len(inner))]
            listed = ", ".join(f"{text} AS {name}" for text, name in zip(inner, names))
            return self.use("subquery in FROM", f"(SELECT {listed} FROM t WHERE {where}) q"), list(zip(["q." + n for n in names], kinds))
        if form == 10:
            return self.use("comma join", "t a, w c"), self.qualified("t", "a") + self.qualified("w", "c")
        return self.use("VALUES in FROM", "(VALUES (1, 'red', 0.5), (2, NULL, 1.25), (NULL, 'blue', 3)) AS z(k, g, m)"), [("z.k", "int4"), ("z.g", "text"), ("z.m", "numeric")]

    # --- joins and sub-selects ---
    FEW = "(SELECT * FROM t WHERE id < 40)"

    def joined(self):
        """Joins of every kind over few rows of t and all of w: pairs stay in the thousands at most."""
        both = self.qualified("t", "a") + self.qualified("w", "c")
        form = self.pick("on", "on", "using", "natural", "lateral", "lateral", "three")
        if form == "on":
            kind = self.pick("LEFT", "RIGHT", "FULL", "INNER")
            equal = self.pick("a.k = c.k", "a.g = c.g", "c.k = a.k AND a.g = c.g")
            residual = self.pick("", " AND a.d < c.x", " AND c.x > 0", " AND a.i2 > 0", " AND a.n <> c.m", " AND a.ts > c.at")
            unequal = self.pick("a.k < c.k", "a.n > c.m OR a.g = c.g", "a.ts <= c.at AND a.g = c.g", "c.x > 0", "a.b", "false")
            on = unequal if kind != "FULL" and self.rng.random() < 0.4 else equal + residual
            self.used["residual ON" if on.startswith(equal) and residual else "ON"] += 1
            return self.use(f"{kind} JOIN (few)", f"{self.FEW} a {kind} JOIN w c ON {on}"), both
        if form == "using":
            kind, names = self.pick("LEFT", "RIGHT", "FULL", "INNER"), self.pick("k", "g", "k, g", "g, k")
            merged = [(name, dict(COLUMNS["w"])[name]) for name in names.split(", ")]
            return self.use("JOIN USING", f"{self.FEW} a {kind} JOIN w c USING ({names})"), merged + both
        if form == "natural":
            kind = self.pick("", "LEFT ", "RIGHT ", "FULL ")
            return self.use("NATURAL JOIN", f"{self.FEW} a NATURAL {kind}JOIN w c"), [("k", "int4"), ("g", "text")] + both
        if form == "three":
            first, second = self.pick("LEFT", "RIGHT", "FULL", "INNER"), self.pick("LEFT", "RIGHT", "FULL", "INNER")
            return self.use("three tables", f"{self.FEW} a {first} JOIN w c ON a.k = c.k {second} JOIN w e ON e.g = {self.pick('a', 'c')}.g"), \
                both + self.qualified("w", "e")
        return self.lateral()

    def lateral(self):
        kind = self.pick("CROSS JOIN LATERAL", "LEFT JOIN LATERAL")
        on = " ON true" if kind[0] == "L" else ""
        form = self.pick("latest", "as of", "aggregate", "expression", "plain", "several")
        key = self.pick("w.k = a.k", "w.g = a.g", "w.k = a.k AND w.g = a.g")
        way = self.pick("", " DESC")
        total = f"w.at{way}, w.label, w.x, w.m, w.k, w.g"
        names = [("s.l", "text"), ("s.x", "double"), ("s.at", "timestamptz")]
        if form == "latest":
            inner = f"SELECT w.label AS l, w.x, w.at FROM w WHERE {key} ORDER BY {total} LIMIT {self.pick(1, 1, 2, 3)}"
        elif form == "as of":
            bound = self.pick("w.at <= a.ts", "w.at < a.ts", "w.at >= a.ts", "a.ts > w.at", "w.at BETWEEN a.ts - interval '20 days' AND a.ts")
            inner = f"SELECT w.label AS l, w.x, w.at FROM w WHERE {key} AND {bound} ORDER BY {total} LIMIT 1"
        elif form == "aggregate":
            inner = f"SELECT min(w.label) AS l, max(w.x) AS x, max(w.at) AS at FROM w WHERE {key}" + self.pick("", " AND w.m > a.n", " GROUP BY w.k")
        elif form == "expression":
            inner, names = "SELECT a.k + 1 AS l, a.s || 'x' AS x, a.ts AS at", [("s.l", "int4"), ("s.x", "text"), ("s.at", "timestamptz")]
        elif form == "several":
            inner = f"SELECT w.label AS l, v.x, w.at FROM w JOIN w v ON v.k = w.k WHERE {key.replace('w.', 'v.')} AND w.m > 0"
        else:
            inner = f"SELECT w.label AS l, w.x, w.at FROM w WHERE {key}" + self.pick("", " AND w.at > a.ts", " AND w.x IS NOT NULL")
        return self.use("LATERAL ORDER BY LIMIT" if form in ("latest", "as of") else "LATERAL", f"{self.FEW} a {kind} ({inner}) s{on}"), self.qualified("t", "a") + names

    def correlated(self, scope):
        """A condition with a subquery over w that names columns of the query around."""
        few = [name for name, kind in scope if name.split(".")[-1] in ("k",)] or self.columns(scope, "int4")
        texts = [name for name, kind in scope if name.split(".")[-1] == "g"]
        if not few or not texts:
            return "true"
        k, g = self.pick(*few), self.pick(*texts)
        k, g = (name if "." in name else "t." + name for name in (k, g))
        where = self.pick(f"y.k = {k}", f"y.g = {g}", f"y.k = {k} AND y.g = {g}", f"y.k < {k}", f"y.k = {k} AND y.x > 0", f"y.k = {k} OR y.g = {g}")
        form = self.rng.randint(0, 8)
        no = self.pick("", "NOT ")
        if form <= 1:
            return self.use("correlated EXISTS", f"{no}EXISTS (SELECT 1 FROM w y WHERE {where})")
        if form == 2:
            return self.use("correlated IN", f"{k} {no}IN (SELECT y.k FROM w y WHERE {where})")
        if form == 3:
            return self.use("row IN", f"({k}, {g}) {no}IN (SELECT y.k, y.g FROM w y{self.pick('', ' WHERE ' + where, ' WHERE y.k IS NOT NULL AND y.g IS NOT NULL')})")
        if form == 4:
            return self.use("ANY/ALL (subquery)", f"{k} {self.pick('<', '>=', '=', '<>')} {self.pick('ANY', 'ALL')} (SELECT y.k FROM w y WHERE {self.pick(where, 'y.k > 2', 'true')})")
        if form == 5:
            return self.use("correlated count", f"(SELECT count(*) FROM w y WHERE {where}) {self.pick('=', '>', '<')} {self.rng.randint(0, 3)}")
        if form == 6:
            return self.use("correlated aggregate", f"(SELECT {self.pick('max', 'min')}(y.m) FROM w y WHERE {where}) > {self.rng.randint(-500, 500)}")
        if form == 7:
            return self.use("correlated LIMIT 1", f"(SELECT y.label FROM w y WHERE {where} ORDER BY y.at, y.label, y.x, y.m LIMIT 1) {self.pick('>', '<=')} 'c'")
        return self.use("nested correlation", f"EXISTS (SELECT 1 FROM w y WHERE {where} AND {no}EXISTS (SELECT 1 FROM w z WHERE z.k = {k} AND z.g <> y.g))")

    def correlated_value(self, scope):
        k = [name for name, kind in scope if name.split(".")[-1] == "k"]
        if not k:
            return "1"
        k = self.pick(*k)
        k = k if "." in k else "t." + k
        where = self.pick(f"y.k = {k}", f"y.k > {k}", f"y.k = {k} AND y.x > 0", f"y.k + 1 = {k}")
        form = self.rng.randint(0, 5)
        if form == 0:
            return self.use("scalar subquery", f"(SELECT count(*) FROM w y WHERE {where})")
        if form == 1:
            return self.use("scalar subquery", f"(SELECT {self.pick('sum(y.m)', 'max(y.label)', 'avg(y.k)', 'count(y.x) + 1', 'coalesce(max(y.m), 0)')} FROM w y WHERE {where})")
        if form == 2:
            self.has_rounding = True  # no LIMIT: who stops early does not see the second row
            return self.use("scalar subquery", f"(SELECT y.label FROM w y WHERE {where}{self.pick('', ' AND y.m > 900')})")
        if form == 3:
            return self.use("scalar subquery", f"(SELECT y.m FROM w y WHERE {where} ORDER BY y.at{self.pick('', ' DESC')}, y.m, y.x, y.label LIMIT 1)")
        if form == 4:
            return self.use("ARRAY or EXISTS as a value", f"ARRAY(SELECT y.label FROM w y WHERE {where} ORDER BY y.label)")
        return self.use("ARRAY or EXISTS as a value", f"EXISTS (SELECT 1 FROM w y WHERE {where})")

    def select_list(self, scope, count):
        kinds = [self.pick("int4", "int8", "numeric", "double", "text", "bool", "timestamptz", "timestamp", "date", "interval", "real", "uuid")
                 for _ in range(count)]
        return [self.expr(kind, scope, self.rng.randint(1, 3)) for kind in kinds], kinds

    def where(self, scope, from_text, depth):
        conditions = []
        if from_text == "t a, w c":
            conditions.append("a.k = c.k")
        if self.rng.random() < 0.6:
            conditions.append(self.use("WHERE", self.condition(scope, depth)))
        if self.rng.random() < 0.08 and from_text == "t":
            conditions.append(self.use("IN subquery", f"k {self.pick('', 'NOT ')}IN (SELECT k FROM w WHERE {self.pick('k IS NOT NULL', 'x > 0', 'k > 3')})"))
        if self.rng.random() < 0.06 and from_text == "t":
            conditions.append(self.use("scalar subquery", "i4 > (SELECT avg(k) FROM w)"))
        if self.rng.random() < 0.04:
            conditions.append(self.use("EXISTS", f"{self.pick('', 'NOT ')}EXISTS (SELECT 1 FROM w WHERE k = {self.rng.randint(0, 12)})"))
        if self.rng.random() < 0.18:
            conditions.append(self.correlated(scope))
        return " WHERE " + " AND ".join(conditions) if conditions else ""

    def order_and_limit(self, count):
        ordinals = list(range(1, count + 1))
        self.rng.shuffle(ordinals)
        keys = [f"{o}{self.pick('', ' ASC', ' DESC')}{self.pick('', ' NULLS FIRST', ' NULLS LAST')}" for o in ordinals]
        for key in keys:
            if "NULLS" in key:
                self.used["NULLS FIRST/LAST"] += 1
        text = self.use("ORDER BY", " ORDER BY " + ", ".join(keys))
        if self.rng.random() < 0.5 and not self.has_rounding:
            text += self.use("LIMIT", f" LIMIT {self.rng.randint(0, 20)}")
            if self.rng.random() < 0.4:
                text += self.use("OFFSET", f" OFFSET {self.rng.randint(0, 5)}")
        return text

    def group_query(self, depth):
        from_text, scope = self.from_clause(depth)
        keys = [self.group_key(scope) for _ in range(self.rng.randint(0, 2))]
        aggregates = [self.aggregate(scope)[0] for _ in range(self.rng.randint(1, 3))]
        columns = keys + aggregates
        text = "SELECT " + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns)) + f" FROM {from_text}{self.where(scope, from_text, 2)}"
        if keys:
            form = self.pick("ordinal", "alias", "expression")
            self.used["GROUP BY " + form] += 1
            named = {"ordinal": [str(i + 1) for i in range(len(keys))], "alias": [f"o{i}" for i in range(len(keys))], "expression": keys}[form]
            text += " GROUP BY " + ", ".join(named)
            if self.rng.random() < 0.3:
                text += self.use("HAVING", " HAVING " + self.having(scope))
        return text, len(columns)

    def having(self, scope):
        numbers = self.columns(scope, "int4") + self.columns(scope, "numeric")
        return self.pick("count(*) > 1", "count(*) BETWEEN 2 AND 50", f"max({self.pick(*(numbers or ['1']))}) > 0")

    def group_key(self, scope):
        form = self.rng.randint(0, 4)
        stamps = self.columns(scope, "timestamptz")
        if form == 0 and stamps:
            return self.use("bucket: date_trunc", f"date_trunc('{self.pick('hour', 'day', 'month')}', {self.pick(*stamps)})")
        if form == 1 and stamps:
            n = self.pick(3600, 86400, 900)
            return self.use("bucket: epoch", f"floor(extract(epoch from {self.pick(*stamps)})/{n})*{n}")
        if form == 2:
            return self.expr(self.pick("int4", "bool", "text"), scope, 1)
        kind = self.pick("text", "int4", "bool", "date", "numeric")
        return self.expr(kind, scope, self.rng.randint(0, 2)) if self.columns(scope, kind) else self.pick(*[n for n, _ in scope[:1]])

    def plain_query(self, depth):
        from_text, scope = self.from_clause(depth)
        columns, _ = self.select_list(scope, self.rng.randint(1, 4))
        if self.rng.random() < 0.12:
            columns.append(self.correlated_value(scope))
        distinct = self.use("DISTINCT", "DISTINCT ") if self.rng.random() < 0.15 else ""
        text = f"SELECT {distinct}" + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns))
        return text + f" FROM {from_text}{self.where(scope, from_text, 2)}", len(columns)

    def query(self):
        """(SQL, number of columns, whether the order is total)"""
        if self.calls and self.rng.random() < 0.2:
            return self.calls.query(self)
        text, count, is_ordered = self.tame_query()
        if self.rng.random() < 0.2:
            text = self.over_edges(text)
        self.settle_zone(text)
        if self.zone != "UTC":
            self.used["zone with clock changes"] += 1
        return text, count, is_ordered

    def settle_zone(self, text):
        if re.search(r"\b(tumble|hop|time_bucket)\(", text):  # they follow the zone; by hand that is another query
            self.zone = "UTC"

    def over_edges(self, text):
        """The same query over table e."""
        text = re.sub(r"\b(FROM|JOIN) t\b(?= a\b)", r"\1 e", text)
        text = re.sub(r"\b(FROM|JOIN) t\b(?! AS)", r"\1 e t", text)
        return self.use("table of edges", re.sub(r"\b(tumble|hop|session)\(t,", r"\1(e,", text))

    def tame_query(self):
        if self.rng.random() < 0.25:
            return shapes.query(self)
        form = self.rng.randint(0, 19)
        if form == 0:
            kinds = [self.pick("int4", "text", "int8", "timestamptz") for _ in range(2)]
            parts = [", ".join(self.expr(kind, COLUMNS["t"], 1) for kind in kinds) for _ in range(2)]
            text = self.use("UNION ALL", f"SELECT {parts[0]} FROM t WHERE id < 50 UNION ALL SELECT {parts[1]} FROM t WHERE id > 300")
            return text + self.order_and_limit(2), 2, True
        if form == 1:
            inner, count = self.group_query(0)
            text = self.use("WITH", f"WITH q AS ({inner}) SELECT * FROM q")
            return text + self.order_and_limit(count), count, True
        if form == 2:
            cells = ", ".join(f"({self.literal('int4')}, {self.literal('text')}, {self.literal('numeric')})" for _ in range(3))
            return self.use("VALUES", f"VALUES {cells}"), 3, False
        if form == 3:
            columns, _ = self.select_list([], 3)
            return self.use("SELECT without FROM", "SELECT " + ", ".join(columns)), 3, False
        if form == 4 and self.rng.random() < 0.5:
            raising = self.pick("i8 * 9223372036854775807", "i4 / (k - k)", "s::integer", "(i2 + 32767::smallint)", "n / 0.00", "d / 0",
                                "ln(i4 - i4)", "v::date", "(i4 * 2147483647)", "sqrt(-1.0 - abs(d))", "s::numeric", "id / 0",
                                "s::boolean", "CASE WHEN k > 2 THEN 1 / (k - k) ELSE k END", "g::uuid")
            return self.use("raising", f"SELECT {raising} FROM t WHERE id < {self.rng.randint(1, 60)}"), 1, False
        if form == 5 and self.rng.random() < 0.4:
            kind = self.pick("timestamptz", "interval", "int4")
            probe = {"timestamptz": "now() > timestamptz '2020-01-01'", "interval": "now() - now()", "int4": "(now() = current_timestamp)::integer"}
            return self.use("now()", f"SELECT {probe[kind]}, count(*) FROM t WHERE ts < now() + interval '100 years'"), 2, False
        text, count = self.group_query(1) if form < 12 else self.plain_query(1)
        if self.rng.random() < 0.5:
            return text + self.order_and_limit(count), count, True
        return text, count, False

    def big_query(self):
        """Like query, for a table of many chunks: the result is small, the work is not."""
        text, count, is_ordered = self.tame_big_query()
        self.settle_zone(text)
        return text, count, is_ordered

    def tame_big_query(self):
        while True:
            self.has_rounding = False
            if self.rng.random() < 0.45:
                return (*self.few_groups(), False)
            text, count = self.group_query(1) if self.rng.random() < 0.5 else self.plain_query(1)
            if not self.has_rounding:
                keys = ", ".join(f"{o}{self.pick('', ' DESC')}{self.pick('', ' NULLS FIRST', ' NULLS LAST')}"
                                 for o in self.rng.sample(range(1, count + 1), count))
                return f"{text} ORDER BY {keys} LIMIT {self.rng.randint(1, 40)} OFFSET {self.pick(0, 0, 3, 5000)}", count, True

    def few_groups(self):
        from_text, scope = self.from_clause(1)
        few = [name for name, kind in scope if name.split(".")[-1] in ("g", "k", "b", "window_start") or kind == "bool"]
        stamps = self.columns(scope, "timestamptz")
        few += [f"date_trunc('month', {name})" for name in stamps]
        keys = self.rng.sample(few, min(len(few), self.rng.randint(0, 2)))
        columns = keys + [self.aggregate(scope)[0] for _ in range(self.rng.randint(1, 4))]
        text = "SELECT " + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns)) + f" FROM {from_text}{self.where(scope, from_text, 2)}"
        return text + (" GROUP BY " + ", ".join(str(i + 1) for i in range(len(keys))) if keys else ""), len(columns)
