"""Values, conditions and aggregates of random queries: typed productions over the columns in scope, each counted in `used`."""

import collections
import random

from differential.tables import QUOTED_AB, SQL_NAME, WORDS


class Expressions:
    """What a query is made of. `scope`: [(column, kind)]; `depth`: how far an expression may nest."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
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

    def array(self, scope, kind=None):
        """(kind, an array of it)"""
        kind = kind or self.pick("int2", "int4", "int8", "numeric", "double", "real", "bool", "timestamptz", "timestamp", "date", "uuid", "text", "interval")
        items = [self.pick(self.expr(kind, scope, 0), self.literal(kind), "NULL") for _ in range(self.rng.randint(0, 3))]
        return kind, f"ARRAY[{', '.join(items)}]::{SQL_NAME.get(kind, kind)}[]"

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
                f"width_bucket({a}::double precision, -5, 12, 4)", f"cardinality({self.array(scope)[1]})",
                f"array_position({self.array(scope, 'numeric')[1]}, {self.expr('numeric', scope, 0)})"))
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
        form = self.rng.randint(0, 22)
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
        if form == 22:
            kind, array = self.array(scope)
            item = f"CAST({self.expr(kind, scope, 0)} AS {SQL_NAME.get(kind, kind)})"
            other = self.array(scope, kind)[1]
            return self.use("arrays of any type", self.pick(f"({array} || {item})::text", f"({array} || {other})::text", f"({array})[1:2]::text",
                                                            f"array_remove({array}, {item})::text", f"array_replace({array}, {item}, NULL)::text",
                                                            f"greatest({array}, {other})::text", f"to_json({array})::text", f"array_to_string({array}, ',', '-')"))
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
            if self.rng.random() < 0.4:
                kind, array = self.array(scope)
                other = self.array(scope, kind)[1]
                return self.use("conditions of arrays", self.pick(
                    f"{self.expr(kind, scope, 0)} {self.pick('=', '<', '>=', '<>')} {self.pick('ANY', 'ALL')}({array})",
                    f"{array} {self.pick('@>', '<@', '&&', '=', '<', '>=', '<>')} {other}"))
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
            own = self.pick("int8", "text", "int4", "int2", "bool", "timestamptz", "date", "uuid")  # of equal doubles either may come first
            x = f"CAST({self.expr(own, scope, 0)} AS {SQL_NAME.get(own, own)})"
            text, kind = self.use("array_agg", f"array_agg({self.pick('', 'DISTINCT ')}{x} ORDER BY {x}{self.pick('', ' DESC')})"), own + "[]"
            if own not in ("int8", "text"):
                text, kind = f"{text}::text", "text"
        elif form == 14:
            own = self.pick("int4", "numeric", "text", "timestamptz", "date", "double", "bool", "uuid")
            order = f"CAST({self.expr(own, scope, 0)} AS {SQL_NAME[own]}){self.pick('', ' DESC')}"
            text = self.use("percentile_disc/mode", f"{self.pick('mode()', 'percentile_disc(0.5)', 'percentile_disc(0.9)', 'percentile_disc(0)')} WITHIN GROUP (ORDER BY {order})")
            kind = own
            if own not in ("double", "numeric") and self.rng.random() < 0.3:  # of equal ones either may be given
                text = self.use("percentiles at once", f"percentile_disc(ARRAY[0.9, 0, 0.5]) WITHIN GROUP (ORDER BY {order})::text")
                kind = "text"
            elif self.rng.random() < 0.25:
                y = f"CAST({self.expr('int4', scope, 0)} AS integer){self.pick('', ' DESC', ' NULLS FIRST')}"
                text = self.use("place of a row", f"{self.pick('rank', 'dense_rank')}({self.literal(own)}, 3) WITHIN GROUP (ORDER BY {order}, {y})")
                kind = "int8"
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
