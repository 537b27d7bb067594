"""Every function, operator and cast that PostgreSQL's catalogue has over our types and that query/README.md names, called with
values from the edges: as constants, over one row of e, and over all rows of t. The signatures are the reference's own."""

import pathlib
import random
import re

from differential import edges

README = pathlib.Path(__file__).resolve().parents[2] / "query" / "README.md"
KINDS = {"boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "real", "double precision": "double",
         "numeric": "numeric", "text": "text", "character varying": "text", "timestamp with time zone": "timestamptz",
         "timestamp without time zone": "timestamp", "date": "date", "interval": "interval", "uuid": "uuid", "jsonb": "jsonb", "json": "json",
         "bytea": "bytea", "text[]": "text[]", "bigint[]": "int8[]", "integer[]": "int4[]", "anyelement": "any", "anyarray": "any[]", "anycompatible": "any",
         "anycompatiblearray": "any[]", "anynonarray": "any", '"any"': "any"}
SQL = {"bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "double": "double precision", "int8[]": "bigint[]"}
COLUMN = {"bool": "b", "int2": "i2", "int4": "i4", "int8": "i8", "real": "r", "double": "d", "numeric": "n", "text": "s", "timestamptz": "ts",
          "timestamp": "tl", "date": "day", "uuid": "u", "jsonb": "j", "text[]": "ta", "int8[]": "ia"}
# Volatile, of the session or of the catalogue: their answers are not the same on two servers by right.
APART = re.compile(r"^(pg_|has_|to_reg|reg|current_|session_|clock_|statement_|transaction_|random|gen_random|now|version|obj_|col_|shobj|getdatabase|"
                   r"format_type|localtime|setseed)")
TEMPLATES = {"to_char": {"number": ["999,999.99", "FM9990.009", "S99999", "99999MI", "FM999999PR", "9.99EEEE", "RN", "000", "L99", "9V9",
                                    "99th", "FMSG9.9x"],
                         "time": ["YYYY-MM-DD HH24:MI:SS.US", "FMDay, FMDDth FMMonth YYYY", "Dy DD Mon HH12:MI am", "IYYY-IW-ID", "DDD D W WW Q CC J",
                                  "MS SSSS RM", "Y,YYY YY Y", "BC AD", "TZH:TZM OF"]}}
ARGUMENTS = {("date_trunc", 0): ["second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium", "x"],
             ("date_part", 0): ["year", "month", "day", "hour", "minute", "second", "dow", "doy", "week", "quarter", "isodow", "isoyear", "epoch",
                                "century", "decade", "millennium", "julian", "timezone", "x"],
             ("timezone", 0): edges.ZONES, ("date_trunc", 2): edges.ZONES, ("encode", 1): ["hex", "base64", "escape"], ("decode", 1): ["hex", "base64", "escape"],
             ("decode", 0): ["414243", "QUJD", "a\\\\b", "zz"], ("repeat", 1): ["0", "1", "3", "-1"], ("lpad", 1): ["0", "3", "8", "-2"],
             ("rpad", 1): ["0", "3", "8", "-2"], ("factorial", 0): ["0", "1", "5", "20", "-1"], ("convert_from", 1): ["UTF8"], ("convert_to", 1): ["UTF8"],
             ("set_config", 0): ["jit", "JIT", "nothing", "a b", "", "a..b", ".a", "a.", ".", "a.1b", "1a.b", "a-b.c", "a.b c"], ("set_config", 1): ["off"],
             ("to_date", 1): ["YYYY-MM-DD", "DD Mon YYYY"], ("to_timestamp", 1): ["YYYY-MM-DD", "YYYY-MM-DD HH24:MI"], ("to_number", 1): ["999.99", "S9999", "99G999", "9V9", "999S", "9.9PR", "MI99", "9th9"],
             ("to_number", 0): ["12", "345", "7", "<12>", "0012.340", "1e400", "", "abc", "1-", "- 5", "1,2 3", "😀1"],
             ("make_interval", 6): [*edges.DOUBLES, "59.5", "-0.000001", "1e15"], ("make_date", 0): ["2026", "2000", "-44", "0", "9999"], ("make_timestamp", 0): ["2026", "1", "9999"], ("make_timestamptz", 0): ["2026", "1", "9999"]}
PATTERNS = ["a", "^a", "o+", "[a-f]{2}", "^.$", "(a)(b)?", "b|c", "\\d+", "", "."]


def names():
    """(functions, operators, aggregates) of the table that query/README.md has."""
    found = {"function": set(), "operator": set(), "aggregate": set()}
    for line in README.read_text().split("functions: begin")[1].splitlines():
        match = re.match(r"\| `(.+?)` \| (\w+) \|", line)
        if match and match.group(2) in found:
            found[match.group(2)].add(match.group(1).replace("\\|", "|"))
    return found["function"], found["operator"], found["aggregate"]


def signatures(reference):
    """[(form, name, kinds)] in a fixed order, of a psycopg connection."""
    functions, operators, aggregates = names()
    rows = reference.execute(
        "SELECT DISTINCT p.prokind::text, p.proname::text, ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u(a, n) ORDER BY n) "
        "FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a') AND NOT p.proretset "
        "AND NOT EXISTS (SELECT 1 FROM pg_aggregate g WHERE g.aggfnoid = p.oid AND g.aggkind <> 'n') ORDER BY 1, 2, 3").fetchall()
    listed = []
    for form, name, kinds in rows:
        if name in (functions if form == "f" else aggregates) and not APART.match(name) and all(kind in KINDS for kind in kinds):
            listed.append(({"f": "function", "a": "aggregate"}[form], name, tuple(KINDS[kind] for kind in kinds)))
    for name, left, right in reference.execute(
            "SELECT DISTINCT oprname::text, CASE WHEN oprleft <> 0 THEN format_type(oprleft, NULL) END, format_type(oprright, NULL) FROM pg_operator "
            "ORDER BY 1, 2, 3").fetchall():
        if name in operators and right in KINDS and (left is None or left in KINDS):
            listed.append(("operator", name, ((KINDS[left],) if left else ()) + (KINDS[right],)))
    casts = reference.execute("SELECT DISTINCT format_type(castsource, NULL), format_type(casttarget, NULL) FROM pg_cast ORDER BY 1, 2").fetchall()
    own = sorted(set(KINDS.values()) - {"any", "any[]", "int4[]"})
    pairs = {(KINDS[a], KINDS[b]) for a, b in casts if a in KINDS and b in KINDS} | {("text", kind) for kind in own} | {(kind, "text") for kind in own}
    return listed + [("cast", target, (source,)) for source, target in sorted(pairs) if source != target or source == "numeric"]


class Calls:
    def __init__(self, listed):
        self.listed = listed

    def argument(self, rng, name, place, kind, mode):
        if kind.endswith("[]") and (kind not in COLUMN or rng.random() < 0.3):
            element = kind[:-2]
            items = [self.argument(rng, "", place, element, mode) for _ in range(rng.randint(0, 3))]
            return f"ARRAY[{', '.join(items)}]::{SQL.get(element, element)}[]"
        if mode != "constant" and kind in COLUMN and rng.random() < 0.75 and (name, place) not in ARGUMENTS:
            return COLUMN[kind]
        if (name, place) in ARGUMENTS:
            text = rng.choice(ARGUMENTS[name, place])
        elif name.startswith("regexp") and place == 1 or name in ("~", "~*", "!~", "!~*") and place == 1:
            text = rng.choice(PATTERNS)
        elif kind in edges.FAR_POOLS and rng.random() < 0.08:
            text = rng.choice(edges.FAR_POOLS[kind])
        elif kind in ("int2", "int4", "int8") and rng.random() < 0.5:
            text = str(rng.randint(-3, 12))
        else:
            text = rng.choice(edges.POOLS[kind])
        if rng.random() < 0.04:
            return f"NULL::{SQL.get(kind, kind)}"
        return f"'{text.replace(chr(39), chr(39) * 2)}'::{SQL.get(kind, kind)}"

    def expression(self, rng, mode):
        """(construct, SQL)"""
        form, name, kinds = rng.choice(self.listed)
        element = rng.choice(["text", "int8", "int4", "int2", "double", "real", "numeric", "bool", "timestamptz", "timestamp", "date", "uuid"])
        if form == "aggregate" or "any[]" not in kinds:
            element = rng.choice([kind for kind in COLUMN if not kind.endswith("]")]) if "any[]" not in kinds else element
        kinds = [element if kind == "any" else element + "[]" if kind == "any[]" else kind for kind in kinds]
        if re.match("stddev|var(iance|_)", name) and kinds[0] in ("int4", "int8", "numeric"):  # a numbered difference: computed in double
            kinds = ["double"]
        arguments = [self.argument(rng, name, place, kind, mode) for place, kind in enumerate(kinds)]
        if name == "to_char":
            templates = TEMPLATES["to_char"]["time" if kinds[0] in ("timestamp", "timestamptz", "interval") else "number"]
            arguments[1] = f"'{rng.choice(templates)}'"
        if form == "operator":
            text = f"({arguments[0]} {name} {arguments[1]})" if len(kinds) == 2 else f"({name} {arguments[0]})"
        elif form == "cast":
            target = SQL.get(name, name)
            target = rng.choice([f"numeric({rng.randint(3, 15)},{rng.randint(0, 3)})", "numeric"]) if name == "numeric" else target
            target = rng.choice(["text", f"varchar({rng.randint(1, 6)})", "varchar"]) if name == "text" else target
            text = f"({arguments[0]})::{target}"
        elif form == "aggregate" and not arguments:
            text = f"{name}(*)"
        elif form == "aggregate":
            order = f" ORDER BY {arguments[0] + ', ' if 'jsonb' not in kinds else ''}id" if mode != "constant" and name.endswith("_agg") else ""
            distinct = "DISTINCT " if not order and rng.random() < 0.2 and name not in ("json_agg", "json_object_agg") else ""
            text = f"{name}({distinct}{', '.join(arguments)}{order})"
        else:
            text = f"{name}({', '.join(arguments)})"
        if re.match("stddev|var(iance|_)", name):  # a numbered difference: double
            text = f"({text})::double precision"
        return f"{form} {name}" if form != "cast" else "cast " + kinds[0] + " to " + name, text, form == "aggregate"

    def query(self, g):
        """Like Generator.query."""
        rng = g.rng
        mode = rng.choice(["constant", "constant", "row", "row", "rows"])
        name, text, is_aggregate = self.expression(rng, mode)
        g.used["call: " + name] += 1
        if "json" in name:
            text = f"({text})::text"
        if mode == "constant":
            return f"SELECT {text} AS o0", 1, True
        if is_aggregate:
            table = "t" if mode == "rows" else f"e WHERE id % {rng.randint(2, 20)} = 1"
            return f"SELECT {text} AS o0 FROM {table}", 1, True
        where = f"e WHERE id = {rng.randrange(edges.E_ROWS)}" if mode == "row" else "t"
        return f"SELECT id AS o0, {text} AS o1 FROM {where} ORDER BY 1", 2, True
