"""For random grants: of all that a role can ask for, on both ports, nothing holds a name that the role may not see.

Every table, column, view, endpoint, index, default, comment, source and producer has a marker in its name. A role's answers
(catalogues, system tables, functions over numbers, errors, explanations, figures) are searched for the markers that are not its own.
That the search can fail is tested by grants that it is not told of."""

import json
import random
import re

import psycopg
import pytest
from test_access import Users, basic

TABLES = 6
MARKER = re.compile(r"zq\d+q")


def marker(number):
    return f"zq{number}q"


class World(Users):
    """Tables 0 … 5; view i + 100 stands on table i, view i + 200 on view i + 100."""

    def __init__(self, data):
        super().__init__(data)
        server = self.server
        for i in range(TABLES):
            m, v, w = marker(i), marker(i + 100), marker(i + 200)
            for text in (f"CREATE TABLE t_{m} (ts timestamptz NOT NULL DEFAULT now(), c_{m} int DEFAULT {i}, s_{m} text DEFAULT 'd_{m}') "
                         f"WITH (time = 'ts')", f"CREATE INDEX i_{m} ON t_{m} (c_{m})", f"COMMENT ON TABLE t_{m} IS 'about {m}'",
                         f"COMMENT ON COLUMN t_{m}.c_{m} IS 'column of {m}'",
                         f"CREATE VIEW v_{v} WITH (endpoint = 'e_{v}') AS SELECT c_{m} AS a_{v}, s_{m} AS b_{v} FROM t_{m}",
                         f"CREATE VIEW w_{w} AS SELECT a_{v} AS a_{w} FROM v_{v}"):
                server.sql(text)
            server.ingest(f"t_{m}", json.dumps({f"c_{m}": i}) + "\n" + json.dumps({f"c_{m}": f"bad {m}"}) + "\n" +
                          json.dumps({f"c_{m}": 1, f"new_{m}": 2}), freshet_producer=f"p_{m}", freshet_sequence="1")
        server.sql("CHECKPOINT")
        self.relations = [f"{schema}.{name}" for schema, name in server.rows(
            "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname <> 'public' AND relkind IN ('r', 'v') ORDER BY 1, 2")]
        self.oids = [row[0] for row in server.rows("SELECT oid FROM pg_class WHERE oid >= 16384")]
        self.roles = 0

    def add_role(self, grants):
        """A role with these rights: {table or view name: rights}."""
        self.roles += 1
        name = f"narrow_{self.roles}"
        self.server.sql(f"CREATE USER {name} PASSWORD 'secret of {name}'")
        for relation, rights in grants.items():
            self.server.sql(f"GRANT {rights} ON {relation} TO {name}")
        return name

    def name_of(self, number):
        letter = "t" if number < 100 else "v" if number < 200 else "w"
        return f"{letter}_{marker(number)}"


def questions(world, own):
    """Texts whose answers may show names. None of them holds the marker of a table."""
    yield from (f"SELECT * FROM {relation}" for relation in world.relations)
    yield from ("SHOW TABLES", "SHOW ALL", "SELECT pg_database_size('freshet')", "SELECT * FROM nobody", "SELECT nobody FROM pg_class",
                "DROP TABLE nobody", "DROP TABLE IF EXISTS nobody", "TRUNCATE nobody", "SELECT nobody()", "ALTER TABLE nobody ADD COLUMN x int",
                "SELECT query FROM freshet.queries", "SELECT * FROM public.nobody", "INSERT INTO nobody VALUES (1)", "COPY nobody TO STDOUT",
                "SELECT string_agg(relname, ',') FROM pg_class", "SELECT has_table_privilege('nobody', 'SELECT')", "CHECKPOINT",
                "CREATE VIEW x AS SELECT * FROM nobody", "EXPLAIN SELECT * FROM nobody", "SELECT 'nobody'::regclass",
                "SELECT relname, pg_get_userbyid(relowner), obj_description(oid) FROM pg_class",
                "SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v'",
                "SELECT attrelid::bigint, attname, col_description(attrelid, attnum) FROM pg_attribute")
    for oid in world.oids:
        yield (f"SELECT regclass({oid}), pg_get_viewdef({oid}), pg_get_indexdef({oid}), obj_description({oid}), col_description({oid}, 2), "
               f"pg_relation_size({oid}), has_table_privilege({oid}::bigint, 'SELECT'), pg_table_is_visible({oid})")
    for number in own:
        name = world.name_of(number)
        yield from (f"SELECT * FROM {name}", f"SELECT nobody FROM {name}", f"EXPLAIN SELECT * FROM {name}", f"EXPLAIN (FORMAT JSON) TABLE {name}",
                    f"EXPLAIN ANALYZE SELECT count(*) FROM {name}", f"INSERT INTO {name} VALUES (now(), 1, 'x') RETURNING *",
                    f"INSERT INTO {name} VALUES (now(), 'x')", f"COPY {name} TO STDOUT", f"DROP TABLE {name}", f"DROP VIEW {name}",
                    f"ALTER TABLE {name} RENAME TO other", f"TRUNCATE {name}", f"CREATE VIEW other AS SELECT * FROM {name}",
                    f"SELECT * FROM {name}, nobody", f"COMMENT ON TABLE {name} IS 'x'")


def by_http(world, name, own):
    headers = basic(name, f"secret of {name}")
    for text in questions(world, own):
        yield text, world.ask(headers, "POST", "/v1/sql", text)[2]
    for method, target, body in (("GET", "/metrics", None), ("GET", "/", None), ("GET", "/readyz?fresh=1s", None), ("GET", "/readyz", None),
                                 ("GET", "/v1/endpoints/nobody", None), ("GET", "/v1/endpoints/", None), ("POST", "/v1/ingest/nobody", "{}"),
                                 ("POST", "/v1/ingest/nobody?create=true", "{}"), ("DELETE", "/v1/sql/nobody", None), ("GET", "/v1/nobody", None)):
        yield f"{method} {target}", world.ask(headers, method, target, body)[2]
    for number in own:
        relation = world.name_of(number)
        yield "endpoint", world.ask(headers, "GET", f"/v1/endpoints/e_{marker(number)}")[2]
        yield "ingest", world.ask(headers, "POST", f"/v1/ingest/{relation}", '{"nobody":1}')[2]


def by_wire(world, name, own):
    host, port = world.server.pg.rsplit(":", 1)
    with psycopg.connect(host=host, port=port, user=name, password=f"secret of {name}", dbname="freshet", autocommit=True) as connection:
        notices = []
        connection.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
        for number, text in enumerate(questions(world, own)):
            try:
                cursor = connection.cursor()
                if text.startswith("COPY"):
                    with cursor.copy(text) as copy:
                        yield text, str(list(copy))
                    continue
                cursor.execute(text, prepare=number % 2 == 0)
                yield text, str([column.name for column in cursor.description or ()]) + str(cursor.fetchall() if cursor.description else "")
            except psycopg.Error as error:
                shown = error.diag
                yield text, str([getattr(shown, field) for field in dir(shown) if not field.startswith("_")]) + str(error)
        yield "notices", str(notices)


def leaks(answers, allowed):
    """(question, marker) of everything shown that is not allowed."""
    return {(text, found) for text, answer in answers for found in MARKER.findall(answer) if found not in allowed}


def choose(world, dice):
    """Random grants, the numbers of what they are on, and the markers that may be shown for them."""
    grants, own = {}, []
    for number in [i + step for i in range(TABLES) for step in (0, 100, 200)]:
        if dice.random() < 0.3:
            rights = ["SELECT", "SELECT, INSERT", "ALL", "INSERT", "TRUNCATE"] if number < 100 else ["SELECT"]
            grants[world.name_of(number)] = dice.choice(rights)
            own.append(number)
    return grants, own, {marker(number) for number in own}


def data_of(own):
    """A view shows the values of its table: the default text of the rows holds the table's marker."""
    return {marker(number % 100) for number in own if 100 <= number < 200}


@pytest.fixture(scope="module")
def world(new_module_folder):
    made = World(new_module_folder("visibility") / "data")
    yield made
    assert made.server.stop() == 0


def is_data(text, found, own):
    """Rows of a view, which are for whoever may read it."""
    return found in data_of(own) and (text == "endpoint" or re.match(r"(SELECT \*|COPY|SELECT \* FROM .*, nobody)", text) is not None and "v_" in text)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_hidden_is_shown(world, seed):
    dice = random.Random(seed)
    grants, own, allowed = choose(world, dice)
    name = world.add_role(grants)
    for port in (by_http, by_wire):
        found = {leak for leak in leaks(port(world, name, own), allowed) if not is_data(*leak, own)}
        assert not found, (seed, grants, port.__name__, sorted(found)[:10])
    world.server.sql(f"DROP ROLE {name}")


def test_the_search_finds_what_is_shown(world):
    """Rights that the search is not told of are found in many places; and everything is, of a reader and an admin."""
    name = world.add_role({world.name_of(3): "SELECT", world.name_of(104): "SELECT"})
    for port in (by_http, by_wire):
        found = leaks(port(world, name, []), set())
        assert {m for _, m in found} >= {marker(3), marker(104)}, port.__name__
        places = {text for text, _ in found}
        for relation in ("pg_catalog.pg_class", "pg_catalog.pg_attribute", "pg_catalog.pg_attrdef", "pg_catalog.pg_description",
                         "pg_catalog.pg_indexes", "pg_catalog.pg_tables", "pg_catalog.pg_views", "information_schema.columns",
                         "information_schema.tables", "information_schema.views", "information_schema.table_privileges", "freshet.tables",
                         "freshet.columns", "freshet.segments", "freshet.views", "freshet.dead_letters", "freshet.ledger",
                         "freshet.producers", "freshet.sources", "freshet.drift", "freshet.watermarks"):
            assert f"SELECT * FROM {relation}" in places, (port.__name__, relation)
    world.server.sql(f"GRANT reader TO {name}")
    found = leaks(by_http(world, name, [3]), set())
    assert {m for _, m in found} >= {marker(number + step) for number in range(TABLES) for step in (0, 100, 200)}
    assert "GET /metrics" in {text for text, _ in found}
    world.server.sql(f"DROP ROLE {name}")


@pytest.mark.parametrize("hidden", [1, 101, 201])
def test_a_hidden_name_is_answered_as_none(world, hidden):
    """The texts are the same up to the name, whatever is asked of it."""
    name = world.add_role({world.name_of(0): "SELECT"})
    headers = basic(name, f"secret of {name}")
    relation, nobody = world.name_of(hidden), "t_zzzz"[:2] + "z" * (len(world.name_of(hidden)) - 2)
    column = f"c_{marker(hidden)}"
    for text in ("SELECT * FROM {}", "SELECT {c} FROM {}", "SELECT {}.{c} FROM {}", "INSERT INTO {} VALUES (1)", "INSERT INTO {} ({c}) VALUES (1)",
                 "INSERT INTO {} SELECT * FROM {}", "SELECT '{}'::regclass", "SELECT to_regclass('{}')", "TRUNCATE {}", "DROP TABLE {}",
                 "DROP TABLE IF EXISTS {}", "DROP VIEW {}", "DROP VIEW IF EXISTS {}", "DROP INDEX {}", "CREATE TABLE {} (a int)",
                 "CREATE TABLE IF NOT EXISTS {} (a int)", "CREATE TABLE {} AS SELECT 1", "CREATE VIEW {} AS SELECT 1", "CREATE TABLE x AS SELECT * FROM {}",
                 "CREATE OR REPLACE VIEW {} AS SELECT 1", "CREATE VIEW x AS SELECT * FROM {}", "CREATE INDEX x ON {} ({c})", "COPY {} TO STDOUT",
                 "ALTER TABLE {} ADD COLUMN a int", "ALTER TABLE {} RENAME TO x", "ALTER TABLE t_zq0q RENAME TO {}", "COMMENT ON TABLE {} IS 'x'",
                 "ALTER TABLE {} RENAME COLUMN {c} TO x", "EXPLAIN SELECT * FROM {}", "SELECT has_table_privilege('{}', 'SELECT')",
                 "SELECT has_column_privilege('{}', '{c}', 'SELECT')", "GRANT SELECT ON {} TO x", "REVOKE SELECT ON {} FROM x",
                 "SELECT 1 FROM t_zq0q, {}", "SELECT (SELECT count(*) FROM {})", "WITH a AS (SELECT * FROM {}) SELECT * FROM a",
                 "SELECT pg_relation_size('{}'::regclass)", "EXPLAIN INSERT INTO {} VALUES (1)", "INSERT INTO t_zq0q SELECT * FROM {}"):
        answers = []
        for asked in (relation, nobody):
            status, _, answer = world.ask(headers, "POST", "/v1/sql", text.replace("{c}", column).replace("{}", asked))
            answer = re.sub(r'"query_id": ?"[0-9a-f]+"|"(elapsed|position|stats|statistics)[^}]*', "", answer)
            answers.append((status, answer.replace(asked, "NAME")))
        assert answers[0] == answers[1], (text, answers)
    for method, target in (("POST", "/v1/ingest/{}"), ("POST", "/v1/ingest/{}?create=true"), ("GET", "/v1/endpoints/{}")):
        answers = []
        for asked in (relation, nobody) if "endpoints" not in target else (f"e_{marker(hidden)}", "e_none"):
            status, _, answer = world.ask(headers, method, target.format(asked), "{}" if method == "POST" else None)
            answers.append((status, answer.replace(asked, "NAME")))
        assert answers[0] == answers[1], (target, answers)
    world.server.sql(f"DROP ROLE {name}")
