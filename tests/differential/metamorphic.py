"""Checks that need no other server: two ways to ask for the same rows must give the same rows. They cover what PostgreSQL does not
have (windows over time, sketches, funnels), and the ways of running a query: settings, layouts, indexes, kernels, plans kept.

Each check makes texts from a generator's own pieces and compares multisets (or sums, where parts are put together again)."""

import decimal
import re

from differential import generator, harness, tables

KNOBS = ({"freshet.spill": "off"}, {"freshet.optimizer": "off"}, {"freshet.bitmaps": "off"}, {"freshet.threads": "2"}, {"freshet.threads": "1"}, {"freshet.partial_cache": "off"})


class Refused(Exception):
    """A text of the check is refused by name, or fails for its data: then there is nothing to compare."""


def ask(server, sql, settings=None):
    answer = server.answer(sql, settings)
    if answer.state is not None:
        if answer.state == "XX000":
            raise AssertionError(f"internal error: {answer.text}: {sql}")
        raise Refused(answer.state)
    return answer


def keys(rows, types):
    """Comparable: doubles by twelve digits."""
    return sorted(harness.sort_key(row, types)[:-1] for row in rows)


def same(first, second, what):
    if first.types != second.types:
        return f"{what}: types {first.types} and {second.types}"
    if keys(first.rows, first.types) == keys(second.rows, second.types):
        return None
    return harness.compare(first, second, False, "") and f"{what}: {harness.compare(first, second, False, '')}"


def together(answers):
    return harness.Answer(answers[0].types, [row for answer in answers for row in answer.rows])


def scope_of(g):
    """A FROM with few enough rows, its columns, a condition over them."""
    while True:
        from_text, scope = g.from_clause(1)
        if from_text != "t a, w c":
            break
    predicate = g.condition(scope, 2)
    return from_text, scope, predicate


def parts_of(predicate):
    return f"({predicate})", f"NOT ({predicate})", f"({predicate}) IS NULL"


def partition_rows(g, server):
    """All rows are those of p, of not p, and of p unknown."""
    from_text, scope, predicate = scope_of(g)
    columns, _ = g.select_list(scope, g.rng.randint(1, 3))
    distinct = g.pick("", "", "DISTINCT ")
    text = f"SELECT {distinct}" + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns)) + f" FROM {from_text}"
    whole = ask(server, text)
    parts = together([ask(server, f"{text} WHERE {part}") for part in parts_of(predicate)])
    if distinct:
        seen = {repr(harness.sort_key(row, whole.types)[:-1]): row for row in parts.rows}
        parts = harness.Answer(parts.types, list(seen.values()))
    return same(whole, parts, f"{text} WHERE {predicate}")


def merged(name, cells):
    """One cell of three."""
    known = [decimal.Decimal(cell) if isinstance(cell, harness.Number) else cell for cell in cells if cell is not None]
    if name == "count":
        return sum(known)
    if not known:
        return None
    return sum(known) if name == "sum" else min(known) if name == "min" else max(known) if name == "max" else \
        all(known) if name == "bool_and" else any(known)


def partition_aggregates(g, server):
    """count, sum, min, max, bool_and, bool_or over all rows are put together from the three parts."""
    from_text, scope, predicate = scope_of(g)
    kind = g.pick("int4", "int2", "numeric", "int8")
    x, test = g.expr(kind, scope, 1), g.condition(scope, 1)
    calls = [("count", "count(*)"), ("count", f"count({x})"), ("sum", f"sum({x})"), ("min", f"min({x})"), ("max", f"max({x})"),
             ("bool_and", f"bool_and({test})"), ("bool_or", f"bool_or({test})")]
    text = "SELECT " + ", ".join(call for _, call in calls) + f" FROM {from_text}"
    whole = ask(server, text).rows[0]
    parts = [ask(server, f"{text} WHERE {part}").rows[0] for part in parts_of(predicate)]
    filtered = ask(server, "SELECT " + ", ".join(f"count(*) FILTER (WHERE {part})" for part in parts_of(predicate)) + f" FROM {from_text}").rows[0]
    if [part[0] for part in parts] != filtered:
        return f"{text} WHERE {predicate}: counts {[part[0] for part in parts]}, by FILTER {filtered}"
    for place, (name, call) in enumerate(calls):
        expected = merged(name, [part[place] for part in parts])
        found = decimal.Decimal(whole[place]) if isinstance(whole[place], harness.Number) else whole[place]
        if found != expected and str(found) != str(expected):
            return f"{text} WHERE {predicate}: {call} is {found}, of the parts {expected}"
    return None


def partition_groups(g, server):
    """Groups of p, of not p and of p unknown, their counts and sums added up by key."""
    from_text, scope, predicate = scope_of(g)
    key = g.group_key(scope)
    text = f"SELECT {key} AS o0, count(*), sum({g.small_int(scope, 0)}) FROM {from_text}"
    whole = ask(server, f"{text} GROUP BY 1")
    sums = {}
    for part in parts_of(predicate):
        for name, count, total in ask(server, f"{text} WHERE {part} GROUP BY 1").rows:
            seen = sums.setdefault(repr(harness.sort_key([name], whole.types[:1])[:-1]), [name, 0, None])
            seen[1] += int(count)
            seen[2] = seen[2] if total is None else int(total) + (seen[2] or 0)
    parts = harness.Answer(whole.types, [[name, harness.Number(count), total if total is None else harness.Number(total)] for name, count, total in sums.values()])
    return same(whole, parts, f"{text} WHERE {predicate} GROUP BY 1")


def filter_as_value(g, server):
    """Rows that WHERE keeps are those for which the condition, computed as a value, is true."""
    from_text, scope, predicate = scope_of(g)
    kept = ask(server, f"SELECT count(*) FROM {from_text} WHERE {predicate}").rows[0][0]
    counted = ask(server, f"SELECT sum((({predicate}) IS TRUE)::integer) FROM {from_text}", {"freshet.optimizer": "off"}).rows[0][0] or "0"
    return None if kept == counted else f"FROM {from_text} WHERE {predicate}: {kept} rows, {counted} by value"


def split_limit(g, server):
    """Rows 0 … n and n … of an ordered query are all of it."""
    from_text, scope, predicate = scope_of(g)
    columns, _ = g.select_list(scope, 2)
    text = "SELECT " + ", ".join(f"{c} AS o{i}" for i, c in enumerate(columns)) + f" FROM {from_text} WHERE {predicate} ORDER BY 1{g.pick('', ' DESC')}, 2"
    n = g.rng.randint(0, 30)
    whole = ask(server, text)
    parts = together([ask(server, f"{text} LIMIT {n}"), ask(server, f"{text} OFFSET {n}")])
    return same(whole, parts, f"{text} at {n}") or harness.compare(whole, parts, True, "")


def union_of_halves(g, server):
    """A table is its halves; a view, a WITH query and a subquery are their text."""
    _, scope, predicate = "t", tables.COLUMNS["t"], g.condition(tables.COLUMNS["t"], 2)
    key, call = g.group_key(scope), g.pick("count(*)", "sum(i2)", "max(n)", "min(s)", "count(DISTINCT k)", "approx_count_distinct(s)", "array_agg(id ORDER BY id)")
    half = g.pick("id < 200", "k > 3", "b", "g = 'red'")
    parts = f"(SELECT * FROM t WHERE {half} UNION ALL SELECT * FROM t WHERE ({half}) IS NOT TRUE)"
    text = "SELECT {key}, {call} FROM {source} t WHERE {where} GROUP BY 1"
    first = ask(server, text.format(key=key, call=call, source="t AS", where=predicate))
    second = ask(server, g.pick("", "WITH q AS " + parts + " ") + text.format(key=key, call=call, source=parts + " AS", where=predicate))
    return same(first, second, text.format(key=key, call=call, source=parts, where=predicate))


def view_is_its_text(g, server):
    inner, count = g.group_query(0)
    name = f"v{g.rng.getrandbits(40):x}"
    server.execute(f"CREATE VIEW {name} AS {inner}") if server.answer(f"EXPLAIN {inner}").state is None else None
    try:
        outer = f"SELECT * FROM {{}} AS q WHERE o0 IS NOT NULL"
        return same(ask(server, outer.format(name)), ask(server, outer.format(f"({inner})")), inner)
    finally:
        server.post(f"DROP VIEW IF EXISTS {name}")


def windows_by_hand(g, server):
    """tumble, hop and session against the same by arithmetic, over the same rows."""
    predicate = g.condition(tables.COLUMNS["t"], 1)
    seconds = g.pick(60, 900, 3600, 86400, 7 * 86400)
    origin = 946857600  # 2000-01-03, a Monday
    start = f"to_timestamp(floor((extract(epoch FROM ts) - {origin}) / {seconds}) * {seconds} + {origin})"
    calls = "count(*), sum(i2), max(n), min(s)"
    by_hand = f"SELECT {start} AS b, {calls} FROM t WHERE {predicate} GROUP BY 1"
    form = g.rng.randint(0, 3)
    if form == 0:
        text = f"SELECT window_start, {calls} FROM tumble(t, ts, interval '{seconds} seconds') AS t WHERE {predicate} GROUP BY 1"
    elif form == 1:
        text = f"SELECT window_start, {calls} FROM hop(t, ts, interval '{seconds} seconds', interval '{seconds} seconds') AS t WHERE {predicate} GROUP BY 1"
    elif form == 2:
        text = f"SELECT time_bucket(interval '{seconds} seconds', ts), {calls} FROM t WHERE {predicate} GROUP BY 1"
    else:
        sql = f"SELECT id, window_start, window_end FROM session(t, ts, interval '{seconds} seconds'{g.pick('', ', g', ', k, g')}) AS t WHERE {predicate}"
        return same(ask(server, sql), ask(server, harness.translate(sql)), sql)
    return same(ask(server, text), ask(server, by_hand), text)


def sketches(g, server):
    """A sketch of all rows is the merge of the sketches of parts; and exact where it promises to be."""
    predicate, x = g.condition(tables.COLUMNS["t"], 1), g.pick("s", "k", "n", "u", "ts", "lower(v)")
    number = g.pick("k", "i2", "d", "n")
    text = f"SELECT approx_count_distinct({x}), approx_percentile(0.9, {number}) FROM t WHERE {predicate}"
    merged_text = f"SELECT approx_count_distinct_merge(a), approx_percentile_merge(0.9, b) FROM (SELECT approx_count_distinct_state({x}) AS a, " \
                  f"approx_percentile_state({number}) AS b FROM t WHERE {predicate} GROUP BY {g.pick('k', 'g', 'id % 7')}) AS q"
    exact = ask(server, f"SELECT count(DISTINCT {x}) FROM t WHERE {predicate}").rows[0][0]
    whole = ask(server, text)
    if whole.rows[0][0] != exact:
        return f"{text}: {whole.rows[0][0]}, exactly {exact}"
    return None if exact == "0" else same(whole, ask(server, merged_text), text)


def funnels(g, server):
    """A funnel's steps, the same as patterns; the first step alone is a condition that held."""
    a, b = g.condition(tables.COLUMNS["t"], 0), g.condition(tables.COLUMNS["t"], 0)
    key = g.pick("k", "g", "b")
    # One step only says whether the condition held; two without a bound in time are the pattern "a, then anything, then b".
    one = f"SELECT {key}, funnel(interval '1000 years', ts, {a}) FROM t GROUP BY 1"
    other = f"SELECT {key}, coalesce(bool_or({a}), false)::integer FROM t GROUP BY 1"
    first, second = ask(server, one), ask(server, other)
    first.types = second.types
    why = same(first, second, one)
    if why:
        return why
    pattern = f"SELECT {key}, sequence_match('(?1)', ts, {a}, {b}) FROM t GROUP BY 1"
    third = ask(server, pattern)
    held = ask(server, f"SELECT {key}, coalesce(bool_or({a}), false) FROM t GROUP BY 1")
    return same(third, held, pattern)


def other_ways(g, servers):
    """The same text on every layout, and with settings that change how it runs; twice, so that the second time has a kept plan."""
    text, _, is_ordered = g.query()
    zone = {"timezone": g.zone} if g.zone != "UTC" else {}
    first, described = None, ""
    for name, server in servers.items():
        ways = [{}, {}, g.pick(*KNOBS)] if first is None else [g.pick({}, *KNOBS)]
        for way in ways:
            answer = server.answer(text, {**way, **zone})
            if answer.state == "XX000":
                raise AssertionError(f"internal error: {answer.text}: {text}")
            if first is None:
                first, described = answer, name
                continue
            if "freshet.optimizer" in way and (harness.is_runtime(answer.state) or harness.is_runtime(first.state)):
                continue
            why = harness.difference(answer, first, is_ordered, text)
            if why:
                return f"{name} {way} against {described}: {why}: {text}"
    return None


CHECKS = {"rows in three parts": partition_rows, "aggregates in three parts": partition_aggregates, "groups in three parts": partition_groups,
          "condition as a value": filter_as_value, "limit and offset": split_limit, "union of halves": union_of_halves, "view": view_is_its_text,
          "windows by hand": windows_by_hand, "sketches": sketches, "funnels": funnels}


def check(servers, seed, part, only=None):
    """One check of the seed's choice; what it finds and what it counted goes to `part`."""
    g = generator.Generator(seed)
    name = only or g.pick("other ways", "other ways", "other ways", *CHECKS)
    layout = g.pick(*servers)
    part.count += 1
    part.used["check: " + name] += 1
    try:
        why = other_ways(g, servers) if name == "other ways" else CHECKS[name](g, servers[layout])
    except Refused as refused:
        part.refused[f"{name}: {refused}"] += 1
        return
    except AssertionError as error:
        why = str(error)
    if why:
        part.found.append((seed, layout, re.sub(r"\s+", " ", why), {}, name))
