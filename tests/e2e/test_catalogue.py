"""The catalogue queries that clients send, as they were recorded from them (psql 15, SQLAlchemy 2 with psycopg2, pgjdbc 42.7,
Grafana 12, asyncpg 0.32, pgx 5.12, psycopg 3.2, and over node-postgres 8 knex, Sequelize and TypeORM; parameters as constants), run
unchanged. Where PostgreSQL 15 has the same tables, the answers that tell of those must be the same."""

import pathlib

import pytest

from differential.pg import PostgreSQL

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "catalogue"

# What is asked of the tables of schema.sql only, so that both answer alike.
SAME = [
    "SELECT nspname FROM pg_namespace WHERE nspname IN ('public', 'pg_catalog', 'information_schema') ORDER BY 1",
    "SELECT relname, relkind, relnatts, relhasindex, relpersistence FROM pg_class WHERE relnamespace = 2200 ORDER BY 1",
    "SELECT c.relname, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attlen, a.attnotnull, a.atthasdef, a.attndims,"
    " format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE c.relnamespace = 2200 AND a.attnum > 0 ORDER BY 1, 2",
    "SELECT c.relname, d.adnum, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid"
    " WHERE d.adnum = 12 ORDER BY 1, 2",
    "SELECT 'clicks'::regclass::oid = oid FROM pg_class WHERE relname = 'clicks'",
    "SELECT (oid::regclass)::text FROM pg_class WHERE relname IN ('clicks', 'pg_class', 'pg_type') ORDER BY 1",
    "SELECT 'int4'::regtype::oid::bigint, 'timestamp with time zone'::regtype::oid::bigint, 'text[]'::regtype::oid::bigint",
    "SELECT oid::bigint, typname, typlen, typtype, typcategory, typelem::bigint, typarray::bigint, typinput::text FROM pg_type"
    " WHERE oid IN (16, 20, 21, 23, 25, 700, 701, 1043, 1082, 1114, 1184, 1700, 2950, 3802, 1009, 1016) ORDER BY 1",
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    "SELECT table_name, column_name, ordinal_position, is_nullable, data_type, udt_name, character_maximum_length,"
    " character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision"
    " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3",
    "SELECT character_set_name FROM information_schema.character_sets",
    "SELECT count(*) FROM information_schema.key_column_usage WHERE table_schema = 'public'",
    "SELECT count(*) FROM pg_get_keywords()",
    "SELECT current_schema(), current_schemas(true)::text[], pg_encoding_to_char(6), to_regclass('nothing') IS NULL",
    "SELECT pg_size_pretty(n) FROM unnest('{0,10239,10240,10485247,10485248,1234567890123}'::bigint[]) n",
    "SELECT generate_subscripts('{a,b,c}'::text[], 1)",
    "SELECT (information_schema._pg_expandarray('{7,8}'::bigint[])).x, (information_schema._pg_expandarray('{7,8}'::bigint[])).n",
    "SELECT typname FROM pg_type WHERE oid::regtype = 'integer'::regtype",
    "SELECT count(*) FROM pg_partition_ancestors('pg_class'::regclass)",
    "SELECT parse_ident('Public.\"A b\"')",
]


def texts(client):
    return (FOLDER / f"{client}.sql").read_text().split("\n----\n")


def statements():
    return [part for part in (FOLDER / "schema.sql").read_text().split(";") if part.strip()]


@pytest.fixture(scope="module")
def catalogue(shared_server):
    for statement in statements():
        shared_server.sql(statement)
    return shared_server


@pytest.mark.parametrize("client", ["psql", "sqlalchemy", "pgjdbc", "grafana", "asyncpg", "pgx", "psycopg", "node_postgres"])
def test_recorded_texts_run(catalogue, client):
    failures, answered = [], 0
    for text in texts(client):
        status, answer = catalogue.query(text)
        answered += status == 200
        if status != 200:
            failures.append((status, answer, text))
    print(f"{client}: {answered} of {len(texts(client))}")
    assert not failures, (len(failures), failures)


def test_recorded_texts_find_the_tables(catalogue):
    found = catalogue.rows(next(text for text in texts("psql") if "c.relkind IN ('r','p','')" in text))
    assert [row[1] for row in found if row[0] == "public"] == ["clicks", "plain"]
    columns = catalogue.rows(texts("grafana")[3])
    assert ["ts", "timestamp with time zone"] in columns and len(columns) == 12
    assert [row[0] for row in catalogue.rows(texts("grafana")[2])][:2] == ["clicks", "plain"]


@pytest.fixture
def relations(catalogue):
    """A view and an index beside the tables, for one test."""
    catalogue.sql("CREATE VIEW v AS SELECT country, count(*) AS n, sum(amount)::numeric(18,3) AS total FROM clicks GROUP BY country")
    catalogue.sql("CREATE INDEX by_n ON clicks USING bitmap (n)")
    yield catalogue
    catalogue.sql("DROP INDEX by_n")
    catalogue.sql("DROP VIEW v")


def text_with(client, *parts):
    return next(text for text in texts(client) if all(part in text for part in parts))


def test_functions_have_rows(catalogue):
    """Each function by its own number, its types among those of pg_type, and what it is called."""
    rows = catalogue.rows("SELECT oid, proname, prokind, pronargs, pg_get_function_arguments(oid), pg_get_function_result(oid), prorettype,"
                          " proretset, provolatile FROM pg_proc")
    assert len(rows) > 500 and len({str(row[0]) for row in rows}) == len(rows)
    assert not [row for row in rows if "???" in row[4] + row[5] or row[5] in ("", "-") or (row[3] == 0) != (row[4].split("OUT")[0] == "")]
    told = {(row[1], row[4]): (row[2], row[5]) for row in rows}
    assert told["max", "bigint"] == ("a", "bigint") and told["array_agg", "anyelement"] == ("a", "anyarray")
    assert told["row_number", ""] == ("w", "bigint") and told["nth_value", "anyelement, integer"] == ("w", "anyelement")
    assert told["count", ""] == told["count", '"any"'] == ("a", "bigint")
    assert told["rank", 'VARIADIC "any" ORDER BY VARIADIC "any"'] == ("a", "bigint") and told["rank", ""] == ("w", "bigint")
    assert told["regexp_matches", "text, text"] == ("f", "SETOF text[]")
    unknown = catalogue.rows("SELECT proname FROM pg_proc p WHERE NOT EXISTS (SELECT 1 FROM pg_type t WHERE t.oid = p.prorettype)")
    assert unknown == []
    assert catalogue.rows("SELECT count(*) FROM pg_proc WHERE proname IN ('+', '_regexp_matches')")[0][0] in (0, "0")
    assert catalogue.rows("SELECT pg_get_function_result(7999), pg_get_function_arguments(12000)") == [[None, None]]
    assert catalogue.rows("SELECT DISTINCT l.lanname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang") == [["internal"]]
    told = catalogue.rows("SELECT obj_description(oid, 'pg_proc') FROM pg_proc WHERE proname = 'row_number'")
    assert told == [["the row's place in its partition, from 1"]]


def test_tables_of_the_catalogue_have_their_number(catalogue):
    assert [str(row[0]) for row in catalogue.rows("SELECT DISTINCT tableoid FROM pg_namespace")] == ["2615"]
    assert catalogue.rows("SELECT c.tableoid::regclass FROM pg_class c WHERE c.relname = 'clicks'") == [["pg_class"]]
    assert catalogue.rows("SELECT d.tableoid FROM pg_namespace n LEFT JOIN pg_description d ON d.objoid = n.oid AND false LIMIT 1") == [[None]]
    names = [column["name"] for column in catalogue.sql("SELECT * FROM pg_namespace")["columns"]]
    assert names == [column["name"] for column in catalogue.sql("SELECT n.* FROM pg_namespace n NATURAL JOIN pg_namespace m")["columns"]]
    assert names == ["oid", "nspname", "nspowner", "nspacl"]
    for text, state in (("SELECT tableoid FROM pg_class a, pg_class b", "42702"), ("SELECT * FROM pg_namespace n(a, b, c, d, e)", "42P10"),
                        ("SELECT tableoid FROM (SELECT * FROM pg_namespace) n", "42703"), ("SELECT tableoid FROM pg_tables", "42703")):
        status, answer = catalogue.query(text)
        assert status == 400 and answer["sqlstate"] == state, (text, answer)


def number(server, name):
    return server.rows(f"SELECT '{name}'::regclass")[0][0]


def about(server, name, *parts):
    """What psql asks of one relation."""
    return server.rows(text_with("psql", *parts).replace("16384", str(number(server, name))))


def test_psql_describes_a_view(relations):
    assert ["public", "v", "view", "freshet"] in relations.rows(text_with("psql", "relkind IN ('v','')"))  # \dv
    ours = [row[1:3] for row in relations.rows(text_with("psql", "relkind IN ('r','p','v','m','S','f','')")) if row[0] == "public"]
    assert ours == [["clicks", "table"], ["plain", "table"], ["v", "view"]]  # \d
    found = relations.rows(text_with("psql", "'^(clicks)$'", "c.relname", "ORDER BY 2, 3").replace("clicks", "v"))
    assert [row[1:] for row in found] == [["public", "v"]] and int(found[0][0]) == int(number(relations, "v"))
    assert about(relations, "v", "c.relispartition, '', c.reltablespace")[0][1] == "v"  # \d v
    columns = about(relations, "v", "format_type(a.atttypid", "a.attgenerated\nFROM")
    assert [row[:2] for row in columns] == [["country", "text"], ["n", "bigint"], ["total", "numeric(18,3)"]]
    definition = about(relations, "v", "pg_get_viewdef")[0][0]  # \d+ v
    assert definition == "SELECT country, count(*) AS n, sum(amount)::numeric(18,3) AS total FROM clicks GROUP BY country"
    assert about(relations, "v", "pg_rewrite") == []


def test_psql_describes_an_index(relations):
    assert relations.rows(text_with("psql", "relkind IN ('i','I','')")) == [["public", "by_n", "index", "freshet", "clicks"]]  # \di
    assert about(relations, "clicks", "c.relispartition, '', c.reltablespace")[0][2] is True  # \d clicks
    index = about(relations, "clicks", "c2.relname, i.indisprimary")
    assert [row[:6] for row in index] == [["by_n", False, False, False, True, "CREATE INDEX by_n ON public.clicks USING bitmap (n)"]]
    assert about(relations, "by_n", "AS is_key") == [["n", "integer", "yes", "n"]]  # \d by_n
    assert about(relations, "by_n", "indimmediate")[0][8:10] == ["bitmap", "clicks"]


def test_sqlalchemy_finds_views_and_indexes(relations):
    names = text_with("sqlalchemy", "relkind = ANY (ARRAY['v'])", "relpersistence != 't'")
    assert ["v"] in relations.rows(names)
    assert relations.rows(text_with("sqlalchemy", "pg_get_viewdef"))[0][0].startswith("SELECT country")
    clicks = str(number(relations, "clicks"))
    indexes = relations.rows(text_with("sqlalchemy", "elements_opclass", "pg_index").replace("16384", clicks))
    assert [row[1] for row in indexes] == ["by_n"] and "n" in str(indexes[0])


def test_a_view_that_binds_no_more_stays_in_the_catalogue(relations):
    """What it gave when it was made is kept with it; nothing is bound to tell of it."""
    relations.sql("CREATE TABLE base (a integer, b text)")
    relations.sql("CREATE TABLE other (a integer)")
    relations.sql("CREATE VIEW over AS SELECT base.a, b FROM base JOIN other ON base.a = other.a")
    try:
        relations.sql("ALTER TABLE other ADD COLUMN b text")
        status, answer = relations.query("SELECT * FROM over")
        assert status == 400 and answer["sqlstate"] == "42702", answer
        rows = relations.rows("SELECT attname FROM pg_attribute WHERE attrelid = 'over'::regclass ORDER BY attnum")
        assert rows == [["a"], ["b"]]
        assert relations.rows("SELECT count(*) FROM information_schema.columns WHERE table_name = 'over'") in ([[2]], [["2"]])
    finally:
        relations.sql("DROP VIEW over")
        relations.sql("DROP TABLE base")
        relations.sql("DROP TABLE other")


# Texts, by their place, whose answers differ: numbers of tables, names and versions that are ours, how a default is written
# back ('x' for 'x'::text), and what only PostgreSQL has some of (casts, access methods, operator classes, row types, ranges).
DIFFERENT = {
    "psql": {13, 15, 22, 23, 32, 42, 46},
    "sqlalchemy": {1, 9, 10, 11, 14, 15, 22, 26, 27, 34},
    "pgjdbc": {6, 9, 16, 17, 23, 27, 28},
    "grafana": {2},
    "asyncpg": set(),
    "pgx": {8, 11, 12},
    "psycopg": {4},
    "node_postgres": {0, 4, 7, 11},
}
OWN_NAMES = {"freshet", "pg_catalog", "information_schema", "postgres", "template1", "pg_database_owner"}


def public_rows(rows):
    """Rows that tell of what both have: no system relations, databases or roles."""
    return [row for row in ([str(plain(value)) for value in row] for row in rows) if not OWN_NAMES & set(row)]


def ask_both(catalogue, connection, text):
    """`clicks` has the number 16384 in the recorded texts."""
    number = "SELECT oid::bigint FROM pg_class WHERE relname = 'clicks'"
    theirs = connection.execute(number).fetchone()[0]
    ours = catalogue.rows(number)[0][0]
    cursor = connection.execute(text.replace("16384", str(theirs)))
    answer = catalogue.sql(text.replace("16384", str(ours)))
    assert [column["name"] for column in answer["columns"]] == [column.name for column in cursor.description], text
    return public_rows(answer["rows"]), public_rows(cursor.fetchall())


def test_recorded_texts_are_answered_as_by_postgresql(catalogue):
    import psycopg

    postgres = PostgreSQL()
    different = {client: set() for client in DIFFERENT}
    try:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            for statement in statements():
                connection.execute(statement)
            for client in DIFFERENT:
                for place, text in enumerate(texts(client)):
                    ours, theirs = ask_both(catalogue, connection, text)
                    if ours != theirs:
                        different[client].add(place)
    finally:
        postgres.stop()
    assert different == DIFFERENT


def test_answers_are_those_of_postgresql(catalogue):
    import psycopg

    postgres = PostgreSQL()
    try:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            for statement in statements():
                connection.execute(statement)
            for text in SAME:
                theirs = [list(map(plain, row)) for row in connection.execute(text).fetchall()]
                ours = [list(map(plain, row)) for row in catalogue.rows(text)]
                assert ours == theirs, text
    finally:
        postgres.stop()


def plain(value):
    return value.decode() if isinstance(value, bytes) else value
