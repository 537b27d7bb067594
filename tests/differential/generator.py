"""Random SELECTs by seed over two fixed tables, built from typed productions.

Every production counts itself in `Generator.used`, so that a run can say how often each construct of the language occurred.
Queries are built so that PostgreSQL's answer is one answer: LIMIT only behind a total order, no volatile functions, sums of
doubles compared with a tolerance by the caller.
"""

import collections
import random
import re

from differential import edges, shapes

COLUMNS = {
    "t": [("id", "int8"), ("ts", "timestamptz"), ("b", "bool"), ("i2", "int2"), ("i4", "int4"), ("i8", "int8"),
          ("r", "real"), ("d", "double"), ("n", "numeric"), ("s", "text"), ("v", "text"), ("day", "date"),
          ("tl", "timestamp"), ("u", "uuid"), ("j", "jsonb"), ("ta", "text[]"), ("ia", "int8[]"), ("g", "text"),
          ("k", "int4")],
    "w": [("k", "int4"), ("g", "text"), ("label", "text"), ("x", "double"), ("at", "timestamptz"), ("m", "numeric")],
}

DDL = {
    "t": "id bigint NOT NULL, ts timestamptz NOT NULL, b boolean, i2 smallint, i4 integer, i8 bigint, r real, "
         "d double precision, n numeric(12,3), s text, v varchar(12), day date, tl timestamp, u uuid, j jsonb, ta text[], "
         "ia bigint[], g text, k integer",
    "w": "k integer, g text, label text, x double precision, at timestamptz NOT NULL, m numeric(9,2)",
}

WORDS = ["", "a", "abc", "Abc", "ABC", "foo", "Foo bar", "%", "_x", "x_y", "été", "日本", "naïve", "100%", "it''s", " pad ",
         "zebra", "alpha", "beta", "gamma", "delta", "a.b.c", "A-1", "0", "12", "-7"]
GROUPS = ["red", "green", "blue", "grey", "Äpfel"]
QUOTED_AB = "'Ab'"
SQL_NAME = {"bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "real": "real",
            "double": "double precision", "numeric": "numeric", "text": "text", "timestamptz": "timestamptz",
            "timestamp": "timestamp", "date": "date", "interval": "interval", "uuid": "uuid"}


def table_rows(table, count, seed):
    """INSERT cells as SQL text, the same for both servers."""
    rng = random.Random(seed)

    def maybe(text, share=0.15):
        return "NULL" if rng.random() < share else text

    def stamp():
        return f"2026-0{rng.randint(1, 6)}-{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:" \
               f"{rng.randint(0, 59):02d}" + rng.choice(["", ".5", f".{rng.randint(0, 999999):06d}"])

    rows = []
    for index in range(count):
        if table == "w":
            rows.append([maybe(str(rng.randint(0, 9))), maybe(f"'{rng.choice(GROUPS)}'"), f"'{rng.choice(WORDS)}'",
                         maybe(repr(rng.choice([0.0, 1.5, -2.25, rng.uniform(-1e3, 1e3)]))), f"'{stamp()}+00'",
                         maybe(f"{rng.uniform(-999, 999):.2f}")])
            continue
        words = ",".join('"%s"' % rng.choice(WORDS).replace("''", "") if rng.random() > 0.1 else "NULL"
                         for _ in range(rng.randint(0, 4)))
        numbers = ",".join(str(rng.randint(-5, 20)) if rng.random() > 0.1 else "NULL" for _ in range(rng.randint(0, 4)))
        rows.append([
            str(index), f"'{stamp()}+00'", maybe(rng.choice(["true", "false"])),
            maybe(str(rng.choice([0, 1, -1, 32767, -32768, rng.randint(-100, 100)]))),
            maybe(str(rng.choice([0, 1, -1, 2147483647, rng.randint(-1000, 1000), rng.randint(-10**9, 10**9)]))),
            maybe(str(rng.choice([0, 7, 9007199254740993, rng.randint(-10**6, 10**6), rng.randint(-10**15, 10**15)]))),
            maybe(str(rng.choice([0, 1.5, -2.25, 0.1, rng.randint(-1000, 1000) / 8]))),
            maybe(repr(rng.choice([0.0, -0.0, 1e-7, 1e20, 0.1, 123456.789, rng.uniform(-1000, 1000)])) if rng.random() > 0.03
                  else "'NaN'"),
            maybe(f"{rng.choice([0, 1, rng.uniform(-99999, 99999)]):.3f}"), maybe(f"'{rng.choice(WORDS)}'"),
            maybe(f"'{rng.choice(WORDS)[:12]}'"), maybe(f"'2026-0{rng.randint(1, 9)}-{rng.randint(1, 28):02d}'"),
            maybe(f"'{stamp()}'"), maybe("'%08x-1111-4222-8333-444455556666'" % rng.randint(0, 40)),
            maybe("'" + rng.choice(['{"a": 1, "b": "x"}', '{"a": null, "c": [1, 2, {"d": "deep"}]}', '[1, "two", null]', '"text"', "5",
                                    '{"a": "1", "b": {"c": true}}']) + "'"),
            maybe("'{" + words + "}'"), maybe("'{" + numbers + "}'"), maybe(f"'{rng.choice(GROUPS)}'"),
            maybe(str(rng.randint(0, 6)))])
    return rows


BIG_ROWS = 150_000
BIG_ALTER = 40_000  # rows before the last two columns of t exist
BIG_ADDED = 2
NULL_RUN = (70_000, 76_000)
DISTINCT_TEXTS = (30_000, 100_000)  # dictionaries give up here


def big_rows(count, seed):
    """Cells of t for many vectors and chunks: repeated rows, then texts that never repeat, a run of NULLs, rising times."""
    rng = random.Random(seed)
    base = table_rows("t", 5_000, seed)
    s, v, ts = (list(COLUMNS["t"]).index(pair) for pair in (("s", "text"), ("v", "text"), ("ts", "timestamptz")))
    for index in range(count):
        row = list(rng.choice(base))
        row[0] = str(index)
        row = ["0.0" if cell == "-0.0" else cell for cell in row]  # a literal's minus is not the value's
        if index % 3:
            row[ts] = f"'2026-03-{1 + index * 28 // count:02d} {index // 60 % 24:02d}:{index % 60:02d}:00.25+00'"
        if DISTINCT_TEXTS[0] <= index < DISTINCT_TEXTS[1] and index % 7:
            row[s] = f"'{row[s].strip(chr(39)).replace('NULL', '')}-{rng.getrandbits(64):x}'"
            row[v] = f"'{rng.getrandbits(40):x}'"
        if NULL_RUN[0] <= index < NULL_RUN[1]:
            row[2:] = ["NULL"] * (len(row) - 2)
        if index < BIG_ALTER:
            row[-BIG_ADDED:] = ["NULL"] * BIG_ADDED
        yield row


# What the language has, and a run must have asked for: campaign.missing() compares what was generated with this list.
CONSTRUCTS = frozenset("""
= ANY(array); AND; ANY/ALL (subquery); ANY/ALL(array); ARRAY or EXISTS as a value; AT TIME ZONE; BETWEEN; CASE; CASE x WHEN; CROSS JOIN;
CUBE or SETS; DISTINCT; DISTINCT ON; EXCEPT; EXCEPT ALL; EXCLUDE; EXISTS; FILTER; FULL JOIN (few); GROUP BY alias; GROUP BY expression;
GROUP BY ordinal; HAVING; IN list; IN subquery; INNER JOIN; INNER JOIN (few); INTERSECT; INTERSECT ALL; IS DISTINCT FROM; IS NULL; IS
TRUE/FALSE/UNKNOWN; JOIN USING; LATERAL; LATERAL ORDER BY LIMIT; LEFT JOIN; LEFT JOIN (few); LIKE/ILIKE; LIMIT; NATURAL JOIN; NOT; NULLS
FIRST/LAST; OFFSET; ON; OR; ORDER BY; OVER; OVER groups; OVER: FILTER; OVER: bool; OVER: count; OVER: min/max; OVER: sum/avg; PARTITION BY;
RIGHT JOIN (few); ROLLUP; SELECT without FROM; SIMILAR TO; UNION; UNION ALL; VALUES; VALUES in FROM; WHERE; WINDOW; WITH; WITH ORDINALITY;
abs; array_agg; arrays to integer; avg; bigint arithmetic; bigint subscript; bit_and/or; bool_and; bool_or; bucket: date_trunc; bucket:
epoch; cast to bigint; cast to date; cast to double; cast to integer; cast to text; cast to timestamptz; coalesce; comma join; comparison; concat; correlated
EXISTS; correlated IN; correlated LIMIT 1; correlated aggregate; correlated count; count(*); count(DISTINCT); count(x); cross-type
comparison; date - date; date ± integer; date_bin; date_trunc; date_trunc timestamp; date_trunc with zone; double arithmetic; double
division; double functions; extract; first/last_value; floor/ceil/trunc; format/quote; frame GROUPS; frame RANGE; frame ROWS;
generate_series; greatest; grouping(); hop; integer arithmetic; integer division; integer modulo; integer to numeric; interval arithmetic;
interval literal; json path; json_agg; jsonb conditions; jsonb functions; lag with default; lag/lead; least; left/right; length;
lower/upper; lpad/rpad; max; md5; min; mixed arithmetic; nested correlation; now(); nth_value; ntile; nullif; numeric arithmetic; numeric
division; numeric modulo; percentile_cont; percentile_disc/mode; raising; rank; real arithmetic; regexp_count/_instr; regexp_replace;
regexp_substr; regr/covar; regular expression; replace; residual ON; reverse/repeat; round; row IN; row_number; rows in the select list;
scalar subquery; session; sign/abs; split_part; sqrt/ln; stddev; string_agg; strpos; subquery in FROM; substring; sum; table of edges; text
arrays; three tables; time_bucket; timestamp - timestamp; timestamp ± interval; timestamptz ± interval; to_char of numbers; to_char of
times; trim; tumble; variance; window in a subquery; zone with clock changes; ||
""".replace("\n", " ").strip().split("; "))


class Generator:
    """One query. `calls`: what every function can be called with, see calls.py."""

    def __init__(self, seed, calls=None):
        self.rng = random.Random(seed)
        self.calls = calls
        self.zone = self.rng.choice(edges.ZONES) if self.rng.random() < 0.3 else "UTC"
        self.used = collections.Counter()
        self.has_rounding = False  # an aggregate whose last bits depend on the order of additions

    # --- small helpers ---
    def use(self, name, text):
        self.used[name] += 1
        return text

    def pick(self, *choices):
        return self.rng.choice(choices)

    def columns(self, scope, kind):
        return [name for name, own in scope if own == kind]

    # --- literals ---
    def literal(self, kind):
        rng = self.rng
        if kind == "bool":
            return self.pick("true", "false", "NULL::boolean")
        if kind == "int2":
            return f"{rng.randint(-50, 50)}::smallint"
        if kind == "int4":
            return str(rng.randint(-50, 50)) if rng.random() < 0.95 else "NULL::integer"
        if kind == "int8":
            return self.pick(f"{rng.randint(-1000, 1000)}::bigint", str(rng.randint(3 * 10**9, 4 * 10**9)))
        if kind == "numeric":
            return self.pick(f"{rng.uniform(-100, 100):.{rng.randint(1, 4)}f}", "0.5", "10.00")
        if kind in ("real", "double"):
            return f"'{self.pick('0.5', '-1.25', '3', '100.125', '1e3')}'::{SQL_NAME[kind]}"
        if kind == "text":
            return f"'{self.pick(*WORDS)}'"
        if kind == "timestamptz":
            return f"timestamptz '2026-0{rng.randint(1, 6)}-{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}:30:15.25+00'"
        if kind == "timestamp":
            return f"timestamp '2026-0{rng.randint(1, 6)}-{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}:10:00'"
        if kind == "date":
            return f"date '2026-0{rng.randint(1, 9)}-{rng.randint(1, 28):02d}'"
        if kind == "interval":
            return self.use("interval literal", "interval '%s'" % self.pick(
                "1 minute", "90 seconds", "2 hours 30 minutes", "1 day", "1 month", "-3 days", "1 day 02:03:04.5"))
        if kind == "uuid":
            return "'%08x-1111-4222-8333-444455556666'::uuid" % rng.randint(0, 40)
        if kind == "text[]":
            return self.pick("ARRAY['a','abc','foo']", "'{red,blue}'::text[]", "ARRAY['x', NULL]")
        if kind == "int8[]":
            return self.pick("ARRAY[1,2,3]::bigint[]", "'{5,NULL,7}'::bigint[]", "'{}'::bigint[]")
        raise KeyError(kind)

    # --- expressions ---
    def expr(self, kind, scope, depth):
        candidates = self.columns(scope, kind)
        if depth <= 0 or self.rng.random() < 0.08:
            if candidates and self.rng.random() < 0.75:
                return self.pick(*candidates)
            return self.literal(kind) if kind != "jsonb" or not candidates else self.pick(*candidates)
        if self.rng.random() < 0.12 and kind not in ("jsonb", "text[]", "int8[]"):
            return self.conditional(kind, scope, depth - 1)
        method = getattr(self, "expr_" + kind.replace("[]", "_array"), None)
        if method is None:
            return self.expr(kind, scope, 0)
        return method(scope, depth - 1)

    def conditional(self, kind, scope, depth):
        form = self.pick("case", "simple case", "coalesce", "nullif", "greatest", "least")
        if form == "case":
            return self.use("CASE", f"CASE WHEN {self.condition(scope, depth)} THEN {self.expr(kind, scope, depth)} "
                                    f"ELSE {self.expr(kind, scope, depth)} END")
        if form == "simple case":
            return self.use("CASE x WHEN", f"CASE {self.expr('int4', scope, 0)} WHEN 1 THEN {self.expr(kind, scope, depth)} "
                                           f"WHEN 2 THEN {self.expr(kind, scope, 0)} END")
        if form == "nullif":
            return self.use("nullif", f"nullif({self.expr(kind, scope, depth)}, {self.expr(kind, scope, 0)})")
        return self.use(form, f"{form}({self.expr(kind, scope, depth)}, {self.expr(kind, scope, 0)})")

    def expr_bool(self, scope, depth):
        return "(" + self.condition(scope, depth) + ")"

    def small_int(self, scope, depth):
        """An integer that stays small enough for + - * not to overflow bigint."""
        column = self.columns(scope, "int2") + [c for c in self.columns(scope, "int4") if c.split(".")[-1] == "k"]
        return self.pick(*(column + [str(self.rng.randint(1, 20))]))

    def expr_int2(self, scope, depth):
        return self.pick(*(self.columns(scope, "int2") + ["7::smallint"]))

    def expr_int4(self, scope, depth):
        a = self.small_int(scope, depth)
        form = self.rng.randint(0, 11)
        if form == 10:
            s = self.expr("text", scope, 0)
            return self.use("regexp_count/_instr", self.pick(f"regexp_count({s}, '[a-o]')", f"regexp_count({s}, 'O', 1, 'i')",
                                                             f"regexp_instr({s}, '[ao]', 1, 2)", f"regexp_instr({s}, '(.)b', 1, 1, 1)"))
        if form == 11:
            return self.use("arrays to integer", self.pick(
                f"cardinality({self.expr('int8[]', scope, 0)})", f"array_position({self.expr('text[]', scope, 0)}, 'abc')",
                f"array_length({self.expr('text[]', scope, 0)}, 1)",
                f"num_nulls({self.expr('int4', scope, 0)}, {self.expr('text', scope, 0)})",
                f"width_bucket({a}::double precision, -5, 12, 4)"))
        if form <= 2:
            return self.use("integer arithmetic", f"({a}::integer {self.pick('+', '-', '*')} {self.rng.randint(1, 9)})")
        if form == 3:
            return self.use("integer division", f"({a} / nullif({self.small_int(scope, depth)}, 0))::integer")
        if form == 4:
            return self.use("integer modulo", f"({a} % {self.rng.randint(1, 9)})::integer")
        if form == 5:
            return self.use("length", f"{self.pick('length', 'char_length', 'octet_length')}({self.expr('text', scope, depth)})")
        if form == 6:
            return self.use("date - date", f"({self.expr('date', scope, depth)} - {self.literal('date')})")
        if form == 7:
            return self.use("strpos", f"strpos({self.expr('text', scope, depth)}, '{self.pick('a', 'o')}')")
        if form == 8:
            return self.use("cast to integer", f"({self.condition(scope, 0)})::integer")
        return self.use("abs", f"abs({a}::integer)")

    def expr_int8(self, scope, depth):
        form = self.rng.randint(0, 5)
        if form <= 2:
            return self.use("bigint arithmetic",
                            f"({self.small_int(scope, depth)}::bigint {self.pick('+', '-', '*')} {self.literal('int4')})")
        if form == 3:
            return self.use("cast to bigint", f"({self.expr('int4', scope, depth)})::bigint")
        if form == 4:
            return self.use("sign/abs", f"{self.pick('abs')}({self.expr('int4', scope, 0)}::bigint)")
        if form == 5:
            return self.use("bigint subscript", f"({self.expr('int8[]', scope, 0)})[{self.rng.randint(0, 4)}]")
        return self.expr("int8", scope, 0)

    def expr_numeric(self, scope, depth):
        a = self.expr("numeric", scope, 0)
        form = self.rng.randint(0, 7)
        if form <= 1:
            return self.use("numeric arithmetic", f"({a} {self.pick('+', '-', '*')} {self.literal('numeric')})")
        if form == 2:
            return self.use("numeric division", f"({a} / {self.pick('3', '7.5', '0.25', '100')})")
        if form == 3:
            return self.use("round", f"round({a}, {self.rng.randint(0, 3)})")
        if form == 4:
            return self.use("floor/ceil/trunc", f"{self.pick('floor', 'ceil', 'trunc')}({a})")
        if form == 5:
            unit = self.pick("year", "month", "day", "hour", "minute", "second", "epoch", "dow", "doy", "week", "quarter",
                             "isodow", "isoyear", "milliseconds", "microseconds")
            return self.use("extract", f"extract({unit} FROM {self.expr(self.pick('timestamptz', 'timestamp'), scope, depth)})")
        if form == 6:
            return self.use("integer to numeric", f"({self.expr('int4', scope, depth)} * 1.5)")
        return self.use("numeric modulo", f"({a} % 7.25)")

    def expr_double(self, scope, depth):
        a = self.expr("double", scope, 0)
        form = self.rng.randint(0, 7)
        if form <= 1:
            return self.use("double arithmetic", f"({a} {self.pick('+', '-', '*')} {self.literal('double')})")
        if form == 2:
            return self.use("double division", f"({a} / {self.pick('3', '7.5', '0.25')})")
        if form == 3:
            return self.use("double functions", f"{self.pick('floor', 'ceil', 'abs', 'trunc', 'round', 'sign')}({a})")
        if form == 4:
            return self.use("sqrt/ln", f"{self.pick('sqrt', 'cbrt')}(abs({self.expr('int4', scope, depth)})::double precision)")
        if form == 5:
            return self.use("cast to double", f"({self.expr('int4', scope, depth)})::double precision")
        if form == 6:
            return self.use("mixed arithmetic", f"({self.expr('int4', scope, 0)} + {self.literal('double')})")
        return a

    def expr_real(self, scope, depth):
        return self.use("real arithmetic", f"({self.expr('real', scope, 0)} {self.pick('+', '-', '*')} {self.literal('real')})")

    def expr_text(self, scope, depth):
        a = self.expr("text", scope, 0)
        form = self.rng.randint(0, 21)
        if form == 15:
            t = self.expr(self.pick("timestamptz", "timestamp"), scope, 0)
            template = self.pick("YYYY-MM-DD HH24:MI:SS.US", "FMDay, FMDDth FMMonth YYYY", "Dy DD Mon HH12:MI am", "IYYY-IW-ID",
                                 "DDD D W WW Q CC J", '"at" HH24"h"MI', "MS SSSS RM")
            return self.use("to_char of times", f"to_char({t}, '{template}')")
        if form == 16:
            n = self.expr(self.pick("numeric", "int4", "int8"), scope, 0)
            template = self.pick("999,999.99", "FM9990.009", "S99999", "99999MI", "00000.0", "FM999999PR", "9.99EEEE", "FM99G999D9", "RN")
            return self.use("to_char of numbers", f"to_char({n}, '{template}')")
        if form == 17:
            return self.use("regexp_replace", self.pick(f"regexp_replace({a}, '[aeiou]', '<\\&>', 'g')", f"regexp_replace({a}, 'o', '0', 1, 2)",
                                                        f"regexp_replace({a}, '(.)(.)', '\\2\\1')"))
        if form == 18:
            return self.use("regexp_substr", self.pick(f"regexp_substr({a}, '[a-f]+')", f"regexp_substr({a}, '.', 1, 2)", f"substring({a} FROM 'o(.)')"))
        if form == 19:
            return self.use("format/quote", self.pick(f"format('%s|%5s|%L', {a}, {self.expr('int4', scope, 0)}, {a})", f"quote_ident({a})",
                                                      f"quote_nullable({a})", f"translate({a}, 'abo', 'xy')", f"initcap({a})"))
        if form == 20:
            return self.use("text arrays", self.pick(f"({self.expr('text[]', scope, 0)})[{self.rng.randint(0, 3)}]",
                                                     f"array_to_string(array_remove({self.expr('text[]', scope, 0)}, 'abc'), ',', '-')",
                                                     f"array_to_string(({self.expr('text[]', scope, 0)})[2:3], '/')",
                                                     f"array_to_string(regexp_split_to_array({a}, '[.o]'), '|')"))
        if form == 21 and self.columns(scope, "jsonb"):
            j = self.pick(*self.columns(scope, "jsonb"))
            return self.use("jsonb functions", self.pick(
                f"jsonb_strip_nulls({j})::text", f"({j} || '{{\"z\": [1]}}')::text", f"jsonb_build_object('k', {j}, 'n', {self.expr('int4', scope, 0)})::text",
                f"jsonb_pretty({j})", f"to_json(CAST({a} AS text))::text", f"json_build_array({a}, {self.expr('bool', scope, 0)})::text"))
        if form == 0:
            return self.use("||", f"({a} || {self.expr('text', scope, depth)})")
        if form == 1:
            return self.use("lower/upper", f"{self.pick('lower', 'upper')}({self.pick(*(self.columns(scope, 'text')[-2:] or [QUOTED_AB]))})")
        if form == 2:
            return self.use("substring", f"{self.pick(f'substring({a} FROM 2 FOR 3)', f'substr({a}, 1, 2)', f'substring({a} FROM 2)')}")
        if form == 3:
            return self.use("trim", f"{self.pick('trim', 'ltrim', 'rtrim', 'btrim')}({a})")
        if form == 4:
            return self.use("replace", f"replace({a}, 'a', 'ZZ')")
        if form == 5:
            return self.use("left/right", f"{self.pick('left', 'right')}({a}, {self.rng.randint(-2, 4)})")
        if form == 6:
            return self.use("split_part", f"split_part({a}, '.', {self.rng.randint(1, 3)})")
        if form == 7:
            return self.use("cast to text", f"({self.expr(self.pick('int4', 'int8', 'numeric', 'bool', 'date', 'timestamp', 'timestamptz', 'double', 'uuid'), scope, 0)})::text")
        if form == 8:
            return self.use("concat", f"concat({a}, {self.expr('int4', scope, 0)}, NULL, {self.expr('bool', scope, 0)})")
        if form == 9:
            return self.use("reverse/repeat", f"{self.pick(f'reverse({a})', f'repeat({a}, 2)')}")
        if form == 10:
            return self.use("lpad/rpad", f"{self.pick('lpad', 'rpad')}({a}, {self.rng.randint(0, 8)}, '*-')")
        if form == 11 and self.columns(scope, "jsonb"):
            j = self.pick(*self.columns(scope, "jsonb"))
            return self.use("json path", self.pick(f"({j} ->> 'a')", f"({j} ->> 1)", f"({j} #>> '{{c,2,d}}')", f"({j} -> 'b' ->> 'c')"))
        if form == 12:
            return self.use("md5", f"md5({a})")
        return a

    def expr_timestamptz(self, scope, depth):
        a = self.expr("timestamptz", scope, 0)
        unit = self.pick("second", "minute", "hour", "day", "week", "month", "quarter", "year")
        form = self.rng.randint(0, 6)
        if form == 0:
            return self.use("date_trunc", f"date_trunc('{unit}', {a})")
        if form == 1:
            return self.use("date_trunc with zone", f"date_trunc('{unit}', {a}, '{self.pick('UTC', 'Europe/Berlin', 'America/New_York')}')")
        if form == 2:
            if self.rng.random() < 0.4:
                return self.use("time_bucket", f"time_bucket(interval '{self.pick('5 minutes', '1 hour', '7 days')}', {a})")
            return self.use("date_bin", f"date_bin('{self.pick('5 minutes', '1 hour', '90 seconds')}', {a}, timestamptz '2001-01-01 00:00:00+00')")
        if form in (3, 4):
            return self.use("timestamptz ± interval", f"({a} {self.pick('+', '-')} {self.literal('interval')})")
        if form == 5:
            return self.use("AT TIME ZONE", f"({self.expr('timestamp', scope, 0)} AT TIME ZONE '{self.pick('UTC', 'Europe/Berlin', 'Asia/Kolkata')}')")
        if self.rng.random() < 0.5:
            return self.use("cast to timestamptz", f"({self.expr('date', scope, 0)})::timestamptz")
        return a

    def expr_timestamp(self, scope, depth):
        a = self.expr("timestamp", scope, 0)
        form = self.rng.randint(0, 3)
        if form == 0:
            return self.use("date_trunc timestamp", f"date_trunc('{self.pick('minute', 'hour', 'day', 'month')}', {a})")
        if form == 1:
            return self.use("AT TIME ZONE", f"({self.expr('timestamptz', scope, 0)} AT TIME ZONE '{self.pick('UTC', 'Europe/Berlin', 'America/New_York')}')")
        if form == 2:
            return self.use("timestamp ± interval", f"({a} {self.pick('+', '-')} {self.literal('interval')})")
        return a

    def expr_date(self, scope, depth):
        form = self.rng.randint(0, 2)
        if form == 0:
            return self.use("date ± integer", f"({self.expr('date', scope, 0)} {self.pick('+', '-')} {self.rng.randint(0, 40)})")
        if form == 1:
            return self.use("cast to date", f"({self.expr(self.pick('timestamptz', 'timestamp'), scope, 0)})::date")
        return self.expr("date", scope, 0)

    def expr_interval(self, scope, depth):
        if self.rng.random() < 0.5:
            kind = self.pick("timestamptz", "timestamp")
            return self.use("timestamp - timestamp", f"({self.expr(kind, scope, 0)} - {self.literal(kind)})")
        return self.use("interval arithmetic", f"({self.literal('interval')} {self.pick('+', '-')} {self.literal('interval')})")

    # --- conditions ---
    def condition(self, scope, depth):
        if depth > 0 and self.rng.random() < 0.35:
            form = self.pick("AND", "OR", "NOT")
            if form == "NOT":
                return self.use("NOT", f"NOT ({self.condition(scope, depth - 1)})")
            return self.use(form, f"({self.condition(scope, depth - 1)} {form} {self.condition(scope, depth - 1)})")
        form = self.rng.randint(0, 13)
        kind = self.pick("int4", "int8", "numeric", "double", "text", "timestamptz", "date", "timestamp", "bool", "real", "uuid")
        if form <= 3:
            return self.use("comparison", f"{self.expr(kind, scope, depth - 1)} {self.pick('=', '<>', '<', '<=', '>', '>=')} {self.expr(kind, scope, 0)}")
        if form == 4:
            return self.use("IS NULL", f"{self.expr(kind, scope, depth - 1)} IS {self.pick('', 'NOT ')}NULL")
        if form == 5:
            return self.use("BETWEEN", f"{self.expr('int4', scope, depth - 1)} {self.pick('', 'NOT ')}BETWEEN {self.rng.randint(-9, 3)} AND {self.rng.randint(3, 60)}")
        if form == 6:
            kind = self.pick("int4", "text")
            cells = ", ".join(self.literal(kind) for _ in range(self.rng.randint(1, 5)))
            return self.use("IN list", f"{self.expr(kind, scope, 0)} {self.pick('', 'NOT ')}IN ({cells})")
        if form == 7:
            pattern = self.pick("a%", "%o%", "_b_", "%\\%", "A%", "", "%", "f__%")
            return self.use("LIKE/ILIKE", f"{self.expr('text', scope, 0)} {self.pick('', 'NOT ')}{self.pick('LIKE', 'ILIKE')} '{pattern}'")
        if form == 8:
            return self.use("regular expression", f"{self.expr('text', scope, 0)} {self.pick('~', '~*', '!~', '!~*')} '{self.pick('^a', 'o+', '[a-f]{2}', '^.$', 'b|z')}'")
        if form == 9:
            if self.columns(scope, "text[]") and self.rng.random() < 0.5:
                return self.use("= ANY(array)", f"{self.expr('text', scope, 0)} = ANY({self.expr('text[]', scope, 0)})")
            return self.use("ANY/ALL(array)", f"{self.expr('int8', scope, 0)} {self.pick('=', '<', '>', '<>')} {self.pick('ANY', 'ALL')}({self.expr('int8[]', scope, 0)})")
        if form == 10:
            return self.use("IS TRUE/FALSE/UNKNOWN", f"({self.condition(scope, 0)}) IS {self.pick('', 'NOT ')}{self.pick('TRUE', 'FALSE', 'UNKNOWN')}")
        if form == 11:
            return self.use("IS DISTINCT FROM", f"{self.expr(kind, scope, 0)} IS {self.pick('', 'NOT ')}DISTINCT FROM {self.expr(kind, scope, 0)}")
        if form == 12:
            if self.rng.random() < 0.3 and self.columns(scope, "jsonb"):
                j = self.pick(*self.columns(scope, "jsonb"))
                return self.use("jsonb conditions", self.pick(f"{j} @> '{{\"a\": 1}}'", f"{j} @> '[1]'", f"{j} <@ '{{\"a\": 1, \"b\": \"x\"}}'",
                                                              f"{j} ?| ARRAY['a', 'two']", f"{j} ?& ARRAY['a', 'b']"))
            if self.rng.random() < 0.3:
                return self.use("SIMILAR TO", f"{self.expr('text', scope, 0)} {self.pick('', 'NOT ')}SIMILAR TO '{self.pick('%(a|o)%', '_+', 'a%', '[A-Z]%', '(ab|f)%c?')}'")
            return self.use("cross-type comparison", f"{self.expr('int4', scope, 0)} {self.pick('<', '>', '=')} {self.expr(self.pick('numeric', 'double', 'int8', 'real'), scope, 0)}")
        return self.pick(*(self.columns(scope, "bool") or ["true"]))

    # --- aggregates ---
    def aggregate(self, scope):
        form = self.rng.randint(0, 17)
        if form == 12:
            own = self.expr("text", scope, 1)
            distinct = self.pick("", "DISTINCT ")
            text = self.use("string_agg", f"string_agg({distinct}{own}, ',' ORDER BY {own}{self.pick('', ' DESC', ' NULLS FIRST')})"
                            if not distinct else f"string_agg(DISTINCT {own}, '-')")
            kind = "text"
        elif form == 13:
            own = self.pick("int8", "text")
            x = f"CAST({self.expr(own, scope, 0)} AS {SQL_NAME[own]})"
            text, kind = self.use("array_agg", f"array_agg({self.pick('', 'DISTINCT ')}{x} ORDER BY {x}{self.pick('', ' DESC')})"), own + "[]"
        elif form == 14:
            own = self.pick("int4", "numeric", "text", "timestamptz", "date", "double", "bool", "uuid")
            order = f"CAST({self.expr(own, scope, 0)} AS {SQL_NAME[own]}){self.pick('', ' DESC')}"
            text = self.use("percentile_disc/mode", f"{self.pick('mode()', 'percentile_disc(0.5)', 'percentile_disc(0.9)', 'percentile_disc(0)')} WITHIN GROUP (ORDER BY {order})")
            kind = own
        elif form == 15:
            name = self.pick("regr_count", "regr_slope", "regr_sxx", "regr_avgx", "regr_intercept", "covar_pop", "covar_samp", "regr_sxy")
            text = self.use("regr/covar", f"{name}({self.expr('int2', scope, 0)} % 100, {self.small_int(scope, 0)} % 50)")
            kind = "int8" if name == "regr_count" else "double"
        elif form == 16:
            own = self.pick("int2", "int4", "int8")
            text, kind = self.use("bit_and/or", f"{self.pick('bit_and', 'bit_or', 'bit_xor')}({self.expr(own, scope, 0)})"), own
        elif form == 17:
            x = self.expr("int4", scope, 0)
            text, kind = self.use("json_agg", f"json_agg({x} ORDER BY {x})::text"), "text"
        elif form == 0:
            text, kind = self.use("count(*)", "count(*)"), "int8"
        elif form == 1:
            text, kind = self.use("count(x)", f"count({self.expr(self.pick('int4', 'text', 'bool'), scope, 1)})"), "int8"
        elif form == 2:
            text, kind = self.use("count(DISTINCT)", f"count(DISTINCT {self.expr(self.pick('int4', 'text', 'numeric', 'bool', 'double', 'uuid'), scope, 0)})"), "int8"
        elif form == 3:
            own = self.pick("int2", "int4", "int8", "numeric", "double")  # sum(real): a numbered difference
            text = self.use("sum", f"sum({self.expr(own, scope, 1)})")
            kind = {"int2": "int8", "int4": "int8", "int8": "numeric"}.get(own, own)
        elif form == 4:
            own = self.pick("int2", "int4", "int8", "numeric", "double")
            text, kind = self.use("avg", f"avg({self.expr(own, scope, 0)})"), "double" if own == "double" else "numeric"
        elif form in (5, 6):
            own = self.pick("int4", "int8", "numeric", "double", "text", "timestamptz", "date", "timestamp", "real")
            name = self.pick("min", "max")
            text, kind = self.use(name, f"{name}({self.expr(own, scope, 1)})"), own
        elif form == 7:
            name = self.pick("stddev", "stddev_pop", "stddev_samp")
            text, kind = self.use("stddev", f"{name}({self.expr(self.pick('int2', 'double'), scope, 0)})::double precision"), "double"
        elif form == 8:
            name = self.pick("variance", "var_pop", "var_samp")
            text, kind = self.use("variance", f"{name}({self.expr(self.pick('int2', 'double'), scope, 0)})::double precision"), "double"
        elif form == 9:
            name = self.pick("bool_and", "bool_or")
            return self.use(name, f"{name}({self.condition(scope, 1)})"), "bool"
        elif form == 10:
            text = self.use("percentile_cont", f"percentile_cont({self.pick('0.5', '0.95', '0', '1')}) WITHIN GROUP (ORDER BY {self.expr('double', scope, 0)})")
            kind = "double"
        else:
            text, kind = self.use("sum", f"sum({self.expr('int4', scope, 1)})"), "int8"
        self.has_rounding |= kind == "double"
        if self.rng.random() < 0.15 and "::" not in text:
            text = self.use("FILTER", f"{text} FILTER (WHERE {self.condition(scope, 1)})")
        return text, kind

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
