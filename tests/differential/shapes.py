"""Shapes of whole queries for the generator: calls with OVER, set operations, DISTINCT ON, grouping sets, series.

Each answer is one answer: what depends on the order of rows stands over an order that ends in a unique column.
"""

from differential.tables import COLUMNS

COLUMNS_T = COLUMNS["t"]
OFFSETS = {"int4": ["0", "1", "7", "1000"], "int8": ["5", "100000"], "int2": ["3"], "numeric": ["0.5", "100", "12345.678"],
           "double": ["0.25", "1e3", "'Infinity'"], "timestamptz": ["interval '1 day'", "interval '1 month 2 hours'"],
           "timestamp": ["interval '36 hours'", "interval '2 months'"], "date": ["interval '10 days'", "interval '1 month'"]}
MODES = ("ROWS", "RANGE", "GROUPS")
BOUNDS = ("UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING")


def query(g):
    form = g.pick("over", "over", "over", "set", "set", "first", "over groups", "sets", "sets", "series", "series")
    return {"over": over_query, "set": set_query, "first": first_query, "over groups": over_groups, "sets": grouping_sets,
            "series": series_query}[form](g)


def direction(g):
    return g.pick("", "", " ASC", " DESC") + g.pick("", "", " NULLS FIRST", " NULLS LAST")


def frame(g, mode, kind):
    start, end = sorted((g.rng.randint(0, 3), g.rng.randint(1, 4)))
    if start == 4:
        start = 3

    def bound(index):
        if BOUNDS[index] not in ("PRECEDING", "FOLLOWING"):
            return BOUNDS[index]
        offset = g.pick(*OFFSETS[kind]) if mode == "RANGE" else str(g.rng.choice([0, 1, 2, 5, 40]))
        return f"{offset} {BOUNDS[index]}"

    text = f"{mode} BETWEEN {bound(start)} AND {bound(end)}"
    g.used["frame " + mode] += 1
    if g.rng.random() < 0.3:
        text += g.use("EXCLUDE", " EXCLUDE " + g.pick("CURRENT ROW", "GROUP", "TIES", "NO OTHERS"))
    return text


def partition(g):
    if g.rng.random() < 0.45:
        return ""
    return g.use("PARTITION BY", "PARTITION BY " + g.pick("g", "k", "g, k", "k % 2", "b", "date_trunc('month', ts)", "lower(g)"))


def unordered(g):
    """A call that rows of equal keys give in any order."""
    kind = g.pick("int2", "int4", "int8", "numeric", "text", "timestamptz", "date", "double")
    column = {"int2": "i2", "int4": "i4", "int8": "i8", "numeric": "n", "text": "s", "timestamptz": "ts", "date": "day", "double": "d"}[kind]
    form = g.rng.randint(0, 5)
    if form == 0:
        text = g.use("OVER: count", "count(*)")
    elif form == 1 and kind not in ("text", "timestamptz", "date", "double"):
        text = g.use("OVER: sum/avg", f"{g.pick('sum', 'avg')}({column})")
    elif form <= 3:
        text = g.use("OVER: min/max", f"{g.pick('min', 'max')}({column})")
    elif form == 4:
        text = g.use("OVER: bool", f"{g.pick('bool_and', 'bool_or')}(b)")
    else:
        text = f"count({column})"
    if g.rng.random() < 0.3:
        text += g.use("OVER: FILTER", f" FILTER (WHERE {g.condition(COLUMNS_T, 1)})")
    return text


def by_order(g):
    """A call that the order of rows decides."""
    form = g.rng.randint(0, 8)
    column = g.pick("i4", "s", "n", "ts", "k", "d", "ta")
    if form == 0:
        return g.use("row_number", "row_number()")
    if form == 1:
        return g.use("rank", g.pick("rank()", "dense_rank()", "percent_rank()", "cume_dist()"))
    if form == 2:
        return g.use("ntile", f"ntile({g.rng.randint(1, 9)})")
    if form in (3, 4):
        rest = g.pick("", ", 2", ", 0", ", k", ", -1")
        return g.use("lag/lead", f"{g.pick('lag', 'lead')}({column}{rest})")
    if form == 5:
        return g.use("lag with default", f"{g.pick('lag', 'lead')}(i4, {g.rng.randint(1, 5)}, {g.pick('0', 'k', '2.5')})")
    if form == 6:
        return g.use("first/last_value", f"{g.pick('first_value', 'last_value')}({column})")
    if form == 7:
        return g.use("nth_value", f"nth_value({column}, {g.rng.randint(1, 5)})")
    return unordered(g)


def over(g):
    """(call, window)"""
    if g.rng.random() < 0.5:  # an order without ties
        key = g.pick("", "k", "ts", "length(s)", "n", "g")
        order = "ORDER BY " + (f"{key}{direction(g)}, " if key else "") + f"id{g.pick('', ' DESC')}"
        mode = g.pick("ROWS", "GROUPS", "")
        text = frame(g, mode, None) if mode else ""
        return by_order(g), " ".join(part for part in (partition(g), order, text) if part)
    kind = g.pick(*OFFSETS)
    column = {"int4": "i4", "int8": "i8", "int2": "i2", "numeric": "n", "double": "d", "timestamptz": "ts", "timestamp": "tl", "date": "day"}[kind]
    mode = g.pick("RANGE", "RANGE", "GROUPS", "")
    text = frame(g, mode, kind) if mode else ""
    return unordered(g), " ".join(part for part in (partition(g), f"ORDER BY {column}{direction(g)}", text) if part)


def over_query(g):
    columns, named = ["id"], []
    for index in range(g.rng.randint(1, 4)):
        call, window = over(g)
        if g.rng.random() < 0.25:
            named.append(f"w{index} AS ({window})")
            columns.append(g.use("WINDOW", f"{call} OVER w{index}"))
        else:
            columns.append(g.use("OVER", f"{call} OVER ({window})"))
    where = f" WHERE {g.condition(COLUMNS_T, 1)}" if g.rng.random() < 0.4 else ""
    text = "SELECT " + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns)) + f" FROM t{where}"
    if named:
        text += " WINDOW " + ", ".join(named)
    if g.rng.random() < 0.2:
        text = g.use("window in a subquery", f"SELECT * FROM ({text}) AS q WHERE o1 IS NOT NULL AND o0 < 300")
    return text + " ORDER BY 1", len(columns), True


def over_groups(g):
    calls = [g.pick("sum(count(*))", "rank()", "max(sum(i2))", "count(*)", "lag(count(*))", "row_number()") for _ in range(2)]
    windows = [f"{g.pick('', 'PARTITION BY k % 2 ')}ORDER BY {g.pick('', 'count(*) DESC, ')}g NULLS FIRST, k" for _ in calls]
    columns = ", ".join(g.use("OVER groups", f"{call} OVER ({window})") for call, window in zip(calls, windows))
    return f"SELECT g, k, {columns} FROM t GROUP BY g, k ORDER BY 1, 2", 4, True


def side(g, kinds, depth):
    if depth > 0 and g.rng.random() < 0.4:
        return "(" + operation(g, kinds, depth - 1) + ")"
    if g.rng.random() < 0.15:
        return "SELECT " + ", ".join(g.literal(kind) for kind in kinds)
    columns = {"int4": ["k", "k + 1"], "text": ["g"], "numeric": ["m", "k * 0.5"], "int8": ["k::bigint"]}
    table = g.pick("t", "w")
    columns = {**columns, "numeric": ["n" if table == "t" else "m", "k * 0.5"]}
    where = f" WHERE {g.pick('k > 2', 'g IS NOT NULL', 'k IS NULL', 'g > ' + chr(39) + 'c' + chr(39))}" if g.rng.random() < 0.5 else ""
    return "SELECT " + ", ".join(g.pick(*columns[kind]) for kind in kinds) + f" FROM {table}{where}"


def operation(g, kinds, depth):
    word = g.pick("UNION", "INTERSECT", "EXCEPT") + g.pick("", " ALL")
    other = [g.pick("int4", "int8") if kind in ("int4", "int8") else kind for kind in kinds]
    return g.use(word, f"{side(g, kinds, depth)} {word} {side(g, other, depth)}")


def set_query(g):
    kinds = [g.pick("int4", "text", "int8", "int4") for _ in range(g.rng.randint(1, 2))]
    text = operation(g, kinds, 2)
    if g.rng.random() < 0.3:
        text += f" {g.pick('UNION', 'EXCEPT', 'INTERSECT', 'UNION ALL')} " + side(g, kinds, 1)
    return text + g.order_and_limit(len(kinds)), len(kinds), True


def first_query(g):
    keys = g.rng.sample(["k", "g", "b", "k % 3", "day"], g.rng.randint(1, 2))
    order = ", ".join(f"{key}{direction(g)}" for key in g.rng.sample(keys, len(keys)))
    columns = keys + ["id", g.pick("s", "ts", "i2 + 1")]
    text = "SELECT DISTINCT ON (" + ", ".join(keys) + ") " + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns))
    text += f" FROM t ORDER BY {order}, {g.pick('', 'ts DESC, ', 'n NULLS FIRST, ')}id{g.pick('', ' DESC')}"
    return g.use("DISTINCT ON", text), len(columns), True


def grouping_sets(g):
    keys = g.rng.sample(["g", "k", "b", "k % 2", "lower(g)", "date_trunc('month', ts)"], g.rng.randint(1, 3))

    def element(depth):
        form = g.pick("key", "row", "ROLLUP", "CUBE", "CUBE", "SETS", "SETS", "none") if depth > 0 else g.pick("key", "key", "row", "none")
        some = g.rng.sample(keys, g.rng.randint(1, len(keys)))
        if form == "key":
            return some[0]
        if form == "none":
            return "()"
        if form == "row":
            return "(" + ", ".join(some) + ")"
        if form == "SETS":
            return g.use("CUBE or SETS", "GROUPING SETS (" + ", ".join(element(depth - 1) for _ in range(g.rng.randint(1, 3))) + ")")
        return g.use("ROLLUP" if form == "ROLLUP" else "CUBE or SETS", f"{form} (" + ", ".join(some) + ")")

    rollup = g.use("ROLLUP", "ROLLUP (" + ", ".join(keys) + ")")  # every key is in some set
    listed = [rollup] + [element(1) for _ in range(g.rng.choice([0, 1, 1]))]
    grouping = g.use("grouping()", f"grouping({', '.join(keys)})")
    aggregates = [g.pick("count(*)", "sum(i2)", "min(s)", "max(n)", "count(DISTINCT k)", "count(*) FILTER (WHERE b)") for _ in range(2)]
    columns = keys + [grouping] + aggregates
    where = g.pick("", " WHERE id < 100", " WHERE false", " WHERE k > 2")
    text = "SELECT " + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns)) + f" FROM t{where} GROUP BY " + \
        g.pick("", "", "DISTINCT ") + ", ".join(listed)
    if g.rng.random() < 0.3:
        text += f" HAVING {g.pick('count(*) > 3', grouping + ' > 0', keys[0] + ' IS NOT NULL')}"
    return text + " ORDER BY " + ", ".join(str(i + 1) for i in range(len(columns))), len(columns), True


def series_query(g):
    form = g.rng.randint(0, 7)
    if form == 0:
        call = g.pick("generate_series(1, 9, 2)", "generate_series(5, -5, -3)", "generate_series(1.5, 4, 0.25)",
                      "generate_series(1::bigint, 4)", "generate_series(3, 1)", "generate_series(1, NULL)")
        return g.use("generate_series", f"SELECT x, x * 2 FROM {call} AS x{g.pick('', ' WHERE x > 2')} ORDER BY 1"), 2, True
    if form == 1:
        kind = g.pick("timestamptz", "timestamp")
        step = g.pick("1 day", "6 hours", "1 month", "-1 day", "1 month -2 days")
        return g.use("generate_series", f"SELECT x FROM generate_series({kind} '2026-03-27', '2026-04-02', interval '{step}') AS x ORDER BY 1"), 1, True
    if form == 2:
        return g.use("WITH ORDINALITY", f"SELECT id, x, y, nth FROM t, unnest(ta, ia) WITH ORDINALITY AS u(x, y, nth) WHERE {g.pick('id < 50', 'nth = 1', 'x > y::text')} ORDER BY 1, 4"), 4, True
    if form == 3:
        return g.use("generate_series", f"SELECT id, x FROM t {g.pick('JOIN', 'LEFT JOIN')} LATERAL generate_series({g.pick('1, k', 'k, 1, -1', '0, k, 2')}) AS x ON {g.pick('true', 'x <> 2')} WHERE id < 60 ORDER BY 1, 2"), 2, True
    if form == 4:
        return g.use("generate_series", f"SELECT at, count(id), max(n) FROM generate_series(timestamptz '2026-01-01', '2026-06-30', '{g.pick('1 day', '7 days')}') AS at LEFT JOIN t ON ts >= at AND ts < at + interval '1 day' AND k > 1 GROUP BY at ORDER BY at"), 3, True
    if g.rng.random() < 0.4:
        return g.use("rows in the select list", f"SELECT {g.pick('id', 'k', 'g')} AS o0, unnest({g.pick('ta', 'ia')}), generate_series(1, {g.pick('k', '2')}) FROM t WHERE id < 80 ORDER BY id, 3, 2"), 3, True
    if g.rng.random() < 0.3:
        return g.use("rows in the select list", f"SELECT unnest(ta) AS x, {g.pick('count(*)', 'sum(k)', 'max(s)')} FROM t GROUP BY {g.pick('1', 'x', 'unnest(ta)')} ORDER BY 1"), 2, True
    return g.use("WITH ORDINALITY", "SELECT id, x, nth FROM t, string_to_table(s, 'o') WITH ORDINALITY AS p(x, nth) ORDER BY 1, 3"), 3, True
