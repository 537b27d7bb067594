"""PostgreSQL's own list of its functions and operators, as far as their types are ours, and arguments to try them with."""

# Every name in here is refused here; why, stands in query/README.md, which lists the same names.
REFUSED = {
    "jsonb order": ["<", "<=", ">", ">="],
    "types": ["array_agg", "json_populate_record", "json_populate_recordset", "jsonb_populate_record",
              "jsonb_populate_recordset", "xml_is_well_formed", "xml_is_well_formed_content",
              "xml_is_well_formed_document"],
    "text search": ["@@"],
    "unicode tables": ["is_normalized", "normalize", "to_ascii"],
    "bytes as patterns": ["~~", "!~~", "like", "notlike", "like_escape"],
    "session": ["current_query", "inet_client_port", "inet_server_port", "setseed", "timeofday", "lastval", "row_security_active",
                "txid_current", "txid_current_if_assigned", "txid_status", "loread", "lowrite"],
    "inside names": ["dexp", "dlog1", "dlog10", "dround", "dtrunc", "int4inc", "numeric_div_trunc", "numeric_exp", "numeric_inc",
                     "numeric_ln", "numeric_log", "numeric_sqrt", "similar_escape", "textlen", "daterange_subdiff",
                     "int4range_subdiff", "int8range_subdiff", "numrange_subdiff", "tsrange_subdiff", "tstzrange_subdiff"],
    "byte order": ["~<=~", "~<~", "~>=~", "~>~"],
    "not here": ["jsonb_set_lax"],
}

# Types that are ours, with those that stand for several; paths are texts here.
TYPES = ["boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric", "text", "varchar", "timestamptz",
         "timestamp", "date", "interval", "uuid", "bytea", "jsonb", "json", "jsonpath", "text[]", "bigint[]", "smallint[]",
         "integer[]", "anyarray", "anyelement", '"any"', "anynonarray", "anycompatible", "anycompatiblearray",
         "anycompatiblenonarray"]

# Functions and operators with their descriptions; those that only operators, casts, aggregates and access methods call are
# left out by what PostgreSQL says of them.
CATALOGUE = """
WITH ours(o) AS (SELECT unnest($TYPES$::text[])::regtype::oid)
SELECT p.proname, p.prokind::text, p.proretset, p.provolatile::text,
       ARRAY(SELECT format_type(CASE WHEN provariadic <> 0 AND n = pronargs THEN provariadic ELSE a END, NULL)
             FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY x(a, n) ORDER BY n)
FROM pg_proc p JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
WHERE pronamespace = 'pg_catalog'::regnamespace AND p.prorettype IN (SELECT o FROM ours)
  AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) a WHERE a NOT IN (SELECT o FROM ours))
  AND d.description !~ '^(implementation of|I/O|aggregate (tr|f|co|se|de)|hash|sort support|less-equal|planner support|window sup|statistics:|transform)'
  AND d.description !~ '(support function|support)$' AND p.proname !~ '^(pg_|lo_|brin_|gin|gist|spg|binary_upgrade|has_)'
  AND NOT EXISTS (SELECT FROM pg_aggregate WHERE p.oid IN (aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn,
                                                             aggmtransfn, aggminvtransfn, aggmfinalfn))
  AND NOT EXISTS (SELECT FROM pg_cast WHERE castfunc = p.oid)
UNION ALL
SELECT oprname, 'o', false, 'i', CASE oprleft WHEN 0 THEN '{}' ELSE ARRAY[format_type(oprleft, NULL)] END || format_type(oprright, NULL)
FROM pg_operator WHERE (oprleft = 0 OR oprleft IN (SELECT o FROM ours)) AND oprright IN (SELECT o FROM ours)
ORDER BY 1, 2, 5
"""

CONCRETE = {"anyelement": "bigint", "anyarray": "bigint[]", "anynonarray": "text", "anycompatible": "bigint", '"any"': "text",
            "anycompatiblearray": "bigint[]", "anycompatiblenonarray": "bigint"}

# How what is no plain call is written, or whose NULL cannot stand for an argument: these exist, and are tried elsewhere.
SYNTAX = {"extract", "position", "normalize", "mode", "percentile_cont", "percentile_disc", "overlaps"}

POOLS = {
    "boolean": ["true", "false"],
    "smallint": ["0", "1", "-1", "7", "32767", "(-32768)"],
    "integer": ["0", "1", "-1", "2", "3", "17", "2147483647", "(-2147483648)"],
    "bigint": ["0", "1", "-1", "5", "64", "4294967296", "9223372036854775807", "(-9223372036854775808)"],
    "real": ["0", "1.5", "-2.25", "1e10", "'NaN'", "'Infinity'"],
    "double precision": ["0", "1", "-1", "0.5", "-0.25", "45", "1e10", "'NaN'", "'-Infinity'"],
    "numeric": ["0", "1", "-1.50", "0.001", "12345.678", "100", "'NaN'", "'Infinity'"],
    "text": ["''", "'a'", "'abc'", "'ABC def'", "'été 日本'", "'a,b,,c'", "'%_'", "'12'", "'x'"],
    "timestamp with time zone": ["'2026-05-01 10:17:03.5+00'", "'1999-12-31 23:59:59+00'", "'2024-02-29 00:00:00+00'", "'infinity'"],
    "timestamp without time zone": ["'2026-05-01 10:17:03.5'", "'1999-12-31 23:59:59'", "'2024-02-29 00:00:00'", "'-infinity'"],
    "date": ["'2026-05-01'", "'1999-12-31'", "'2024-02-29'", "'infinity'"],
    "interval": ["'1 day'", "'1 mon 2 days 03:04:05.6'", "'-1 year'", "'36:00'", "'0'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'6e0a4e9c-1111-4222-8333-444455556666'"],
    "bytea": [r"'\x'", r"'\x00'", r"'\x0a0b0c'", r"'\xff00ff'", "'abc'"],
    "jsonb": ["'null'", "'1'", """'{"a": 1, "b": [1, null]}'""", "'[1, 2, 3]'", """'"a"'""", "'{}'", "'[]'"],
    "json": ["'null'", "'1'", """'{"a": 1, "b": [1, null]}'""", "'[1, 2, 3]'", """'"a"'""", "'{}'", "'[]'"],
    "jsonpath": ["'$'", "'$.a'", "'strict $.a'", "'$[*] ? (@ > 1)'", "'$.b[*] == 1'"],
    "text[]": ["'{}'", "'{a,b}'", "'{a,NULL,\"x y\"}'", "'{1,2}'"],
    "bigint[]": ["'{}'", "'{1,2,3}'", "'{3,NULL,1}'", "'{5}'"],
}
POOLS["integer[]"] = POOLS["smallint[]"] = POOLS["bigint[]"]
POOLS["character varying"] = POOLS["text"]


def concrete(types):
    return [CONCRETE.get(name, name) for name in types]


HYPOTHETICAL = ("rank", "dense_rank", "percent_rank", "cume_dist")


def call(name, kind, arguments):
    if kind != "o":
        text = f"{name}({', '.join(arguments)})" if arguments or kind != "a" else f"{name}(*)"
        if kind == "a" and name in HYPOTHETICAL:
            text += f" WITHIN GROUP (ORDER BY {arguments[0]})"
        return text + (" OVER ()" if kind == "w" else "")
    return f"{name} {arguments[0]}" if len(arguments) == 1 else f"({arguments[0]}) {name} ({arguments[1]})"


def nulls(types):
    return [f"NULL::{name}" for name in concrete(types)]


def arguments(rng, types):
    return ["NULL::" + name if rng.random() < 0.06 else f"{rng.choice(POOLS[name])}::{name}" for name in concrete(types)]
