"""Differences that PostgreSQL has with itself: the same query, asked so that its planner has less to choose, gets our answer.

Which rows reach a condition that can raise is the planner's choice: it moves conditions below joins, asks the cheap ones first, makes an outer join
an inner one (in 15 also where `NULL = ANY ('{}')` is false, not NULL), and min, max, bool_and and bool_or may end a scan early. A difference is
explained only if PostgreSQL gives our answer, digit by digit or the same class of error, to a text that means the same, or under another of its settings."""

import re

from differential import harness
from differential.reduce import text_of, tokens

SETTINGS = ("join_collapse_limit = 1", "from_collapse_limit = 1", "enable_hashjoin = off", "enable_mergejoin = off", "enable_nestloop = off",
            "enable_hashagg = off", "enable_sort = off", "enable_material = off")
ENDS = {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET"}
JOINS = {"JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "ON", "USING", ","}
# 2 of query/README.md: sum(real) adds in double.
SUMS = """
CREATE FUNCTION add_in_double(double precision, real) RETURNS double precision LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN $2 IS NULL THEN $1 ELSE coalesce($1 + $2, $2::double precision) END $$;
CREATE FUNCTION as_real(double precision) RETURNS real LANGUAGE sql IMMUTABLE AS $$ SELECT $1::real $$;
CREATE AGGREGATE our_sum(real) (sfunc = add_in_double, stype = double precision, finalfunc = as_real);
CREATE AGGREGATE our_sum(smallint) (sfunc = int2_sum, stype = bigint);
CREATE AGGREGATE our_sum(integer) (sfunc = int4_sum, stype = bigint);
CREATE AGGREGATE our_sum(bigint) (sfunc = int8_avg_accum, stype = internal, finalfunc = numeric_poly_sum);
CREATE AGGREGATE our_sum(numeric) (sfunc = numeric_avg_accum, stype = internal, finalfunc = numeric_sum);
CREATE AGGREGATE our_sum(double precision) (sfunc = float8pl, stype = double precision);
CREATE AGGREGATE our_sum(interval) (sfunc = interval_pl, stype = interval)
"""


def prepare(reference):
    """Once for a PostgreSQL."""
    for statement in SUMS.split(";\n"):
        reference.execute(statement)


def clauses(listed):
    """[(word, tokens)] of the outermost SELECT, its list first; None: it is none, or one of several."""
    found, depth = [["", []]], 0
    for index, token in enumerate(listed):
        depth += (token in "([") - (token in ")]")
        if depth == 0 and token.upper() in ("UNION", "INTERSECT", "EXCEPT"):
            return None
        is_distinct_from = index > 1 and listed[index - 1] == "DISTINCT" and listed[index - 2] in ("IS", "NOT")
        if depth == 0 and (token in ENDS or (token == "FROM" and not is_distinct_from)):
            found.append([token, []])
        else:
            found[-1][1].append(token)
    return found if listed and listed[0] == "SELECT" and any(word == "FROM" for word, _ in found) else None


def aliases(listed):
    """Names that rows of FROM have: whatever stands for each item of it."""
    names, depth, index, is_item = [], 0, 0, True
    while index < len(listed):
        token = listed[index]
        depth += (token in "([") - (token in ")]")
        if depth == 0 and is_item and token not in ("LATERAL", "SELECT"):
            rest = listed[index + 1:index + 3]
            if rest[:1] == ["AS"]:
                rest = rest[1:]
            is_name = bool(rest) and re.fullmatch(r"[a-z]\w*", rest[0]) is not None
            if rest[:1] != ["("] or token == ")":  # else a function's name
                if is_name or re.fullmatch(r"[a-z]\w*", token):
                    names.append(rest[0] if is_name else token)
                    is_item = False
        elif depth == 0 and token in JOINS:
            is_item = token in ("JOIN", ",")
        index += 1
    return names


def put_together(parts):
    return text_of([token for word, listed in parts for token in ([word] if word else []) + listed])


def fenced(parts):
    """The condition is asked of whole rows of FROM, in the order it is written: nothing is moved out of a CASE."""
    listed = dict((word, part) for word, part in parts)
    names = aliases(listed["FROM"])
    if "WHERE" not in listed or not names:
        return None
    condition = ["CASE", "WHEN", "num_nulls", "(", *", ".join(names).replace(",", " ,").split(), ")", ">=", "0", "THEN", "(", *listed["WHERE"], ")", "END"]
    return [(word, condition if word == "WHERE" else part) for word, part in parts]


def counted(parts):
    """With an aggregate that wants all rows."""
    words = [word for word, _ in parts]
    if "GROUP" in words or "HAVING" in words or not re.search(r"\b(min|max|bool_and|bool_or|every) ?\(", put_together(parts)):
        return None
    at = next((index for index, word in enumerate(words) if word in ("WINDOW", "ORDER", "LIMIT", "OFFSET")), len(words))
    return [*parts[:at], ("HAVING", "count ( * ) >= 0".split()), *parts[at:]]


def unlimited(parts):
    words = [word for word, _ in parts]
    return [part for part in parts if part[0] not in ("LIMIT", "OFFSET")] if "LIMIT" in words or "OFFSET" in words else None


def texts(sql):
    """(why, text that means the same)"""
    sql = harness.translate(sql)
    if "sum(" in sql:
        yield "sum of real", re.sub(r"\bsum\(", "our_sum(", sql)
    parts = clauses(tokens(sql))
    if parts is None:
        return
    for why, change in (("place of a condition", fenced), ("early end of min or max", counted)):
        changed = change(parts)
        if changed:
            yield why, put_together(changed)
    both = fenced(parts) and counted(fenced(parts))
    if both:
        yield "place of a condition", put_together(both)


def explain(reference, server, sql, settings, answer, is_ordered):
    """Why PostgreSQL's answer is no other than ours, or None."""
    zone = settings.get("timezone", "UTC")
    for why, text in texts(sql):
        if harness.difference(answer, reference.answer(text, zone), is_ordered, sql) is None:
            return why
    for setting in SETTINGS:
        reference.execute("SET " + setting)
        try:
            theirs = reference.answer(sql, zone)
        finally:
            reference.execute("RESET " + setting.split()[0])
        if harness.difference(answer, theirs, is_ordered, sql) is None:
            return setting
    return behind_the_limit(reference, server, sql, settings, answer)


def behind_the_limit(reference, server, sql, settings, answer):
    """Some row raises, and whether it comes before LIMIT is reached is said by no order that is: both raise without it."""
    parts = clauses(tokens(sql))
    changed = parts and unlimited(parts)
    if not changed:
        return None
    text = put_together(changed)
    theirs = reference.answer(text, settings.get("timezone", "UTC"))
    ours = server.answer(text, settings)
    return "row behind LIMIT" if harness.is_runtime(theirs.state) and harness.is_runtime(ours.state) else None
