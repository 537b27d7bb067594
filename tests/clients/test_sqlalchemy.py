"""SQLAlchemy 2 over psycopg and over asyncpg: reflection, ORM, streams, transactions; pandas reads and writes through it."""

import asyncio
import datetime
import decimal

import pandas
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

UTC = datetime.timezone.utc


def url(server, driver):
    return f"postgresql+{driver}://me@{server.pg}/freshet"


@pytest.fixture(scope="module")
def tables(shared_server):
    shared_server.sql("""CREATE TABLE visits (id bigint NOT NULL, name text, at timestamptz, n numeric(12,3), ok boolean, v double precision,
                      tags text[], doc jsonb, day date, short varchar(9), small smallint, u uuid)""")
    for text in ("COMMENT ON TABLE visits IS 'who came'", "COMMENT ON COLUMN visits.name IS 'called'", "CREATE INDEX visits_name ON visits (name)",
                 "CREATE VIEW big AS SELECT id, upper(name) AS name FROM visits WHERE id > 1"):
        shared_server.sql(text)
    return shared_server


@pytest.fixture(scope="module", params=["psycopg", "asyncpg"])
def call(request, tables):
    """call(f): f(connection) in a transaction that is committed, over the driver; asyncpg through run_sync()."""
    if request.param == "psycopg":
        engine = sa.create_engine(url(tables, "psycopg"))

        def run(function):
            with engine.begin() as connection:
                return function(connection)

        yield run
        engine.dispose()
        return
    loop = asyncio.new_event_loop()
    engine = create_async_engine(url(tables, "asyncpg"))

    async def in_loop(function):
        async with engine.begin() as connection:
            return await connection.run_sync(function)

    yield lambda function: loop.run_until_complete(in_loop(function))
    loop.run_until_complete(engine.dispose())
    loop.close()


def test_reflection(call):
    def look(connection):
        seen = sa.inspect(connection)
        assert seen.default_schema_name == "public"
        assert set(seen.get_schema_names()) >= {"public", "information_schema", "freshet"}
        assert seen.get_table_names() == ["visits"] and seen.get_view_names() == ["big"]
        assert seen.get_materialized_view_names() == [] and seen.get_sequence_names() == [] and seen.get_temp_table_names() == []
        assert seen.has_table("visits") and seen.has_table("big") and not seen.has_table("nothing") and not seen.has_sequence("s")
        columns = {column["name"]: column for column in seen.get_columns("visits")}
        assert {name: str(column["type"]) for name, column in columns.items()} == {
            "id": "BIGINT", "name": "TEXT", "at": "TIMESTAMP", "n": "NUMERIC(12, 3)", "ok": "BOOLEAN", "v": "DOUBLE PRECISION",
            "tags": "ARRAY", "doc": "JSONB", "day": "DATE", "short": "VARCHAR(9)", "small": "SMALLINT", "u": "UUID"}
        assert columns["at"]["type"].timezone and isinstance(columns["tags"]["type"].item_type, sa.Text)
        assert [name for name, column in columns.items() if not column["nullable"]] == ["id"]
        assert columns["name"]["comment"] == "called" and columns["id"]["comment"] is None
        assert seen.get_table_comment("visits") == {"text": "who came"}
        assert seen.get_pk_constraint("visits")["constrained_columns"] == []
        assert seen.get_foreign_keys("visits") == [] and seen.get_unique_constraints("visits") == []
        assert seen.get_check_constraints("visits") == []
        assert [(index["name"], index["column_names"], index["unique"]) for index in seen.get_indexes("visits")] == [
            ("visits_name", ["name"], False)]
        assert "upper(name)" in seen.get_view_definition("big")
        assert [column["name"] for column in seen.get_columns("big")] == ["id", "name"]
        assert len(seen.get_multi_columns()) == 1 and seen.get_enums() == [] and seen.get_domains() == []
        with pytest.raises(sa.exc.NoSuchTableError):
            seen.get_columns("nothing")

    call(look)


def test_autoload(call):
    def look(connection):
        everything = sa.MetaData()
        everything.reflect(connection, views=True)
        assert set(everything.tables) == {"visits", "big"}
        system = sa.Table("queries", sa.MetaData(), schema="freshet", autoload_with=connection)
        assert connection.execute(sa.select(sa.func.count()).select_from(system)).scalar() >= 1
        return sa.Table("visits", sa.MetaData(), autoload_with=connection)

    assert call(look).c.n.type.scale == 3


class Base(orm.DeclarativeBase):
    pass


class Person(Base):
    """Rows of the ORM have a key that the program gives; the table needs to know of none."""
    __tablename__ = "people"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    name: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    born: orm.Mapped[datetime.date | None]
    seen: orm.Mapped[datetime.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    worth: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(12, 2))
    marks: orm.Mapped[list[str] | None] = orm.mapped_column(sa.ARRAY(sa.Text))
    doc: orm.Mapped[dict | None] = orm.mapped_column(postgresql.JSONB)


def test_orm(call):
    moment = datetime.datetime(2026, 10, 25, 1, 30, 0, 250000, UTC)
    call(lambda connection: connection.execute(sa.text(
        "CREATE TABLE people (id bigint NOT NULL, name text, born date, seen timestamptz, worth numeric(12,2), marks text[], doc jsonb)")))

    def write(connection):
        with orm.Session(connection) as session:
            session.add(Person(id=1, name="é'\"", born=datetime.date(1999, 12, 31), seen=moment, worth=decimal.Decimal("12.50"),
                               marks=["a", None, "b c"], doc={"a": [1, None]}))
            session.add_all(Person(id=i, name=f"n{i % 3}") for i in range(2, 1002))
            session.flush()
            session.commit()

    def read(connection):
        with orm.Session(connection) as session:
            first = session.get(Person, 1)
            assert (first.name, first.born, first.seen, first.worth) == ("é'\"", datetime.date(1999, 12, 31), moment, decimal.Decimal("12.50"))
            assert first.marks == ["a", None, "b c"] and first.doc == {"a": [1, None]}
            assert session.scalar(sa.select(sa.func.count()).where(Person.name.in_(["n1", "n2"]))) == 667
            assert session.execute(sa.select(Person.name, sa.func.max(Person.id)).where(Person.id > 1).group_by(Person.name)
                                   .order_by(Person.name)).all() == [("n0", 999), ("n1", 1000), ("n2", 1001)]
            other = orm.aliased(Person)
            assert session.execute(sa.select(Person.id, other.id).join(other, other.id == Person.id + 1).where(Person.id < 3)
                                   .order_by(Person.id)).all() == [(1, 2), (2, 3)]
            assert session.scalars(sa.select(Person.id).where(Person.marks.any("a"))).all() == [1]
            assert session.scalars(sa.select(Person.id).where(Person.doc["a"][0].astext == "1")).all() == [1]
            page = sa.select(Person).order_by(Person.id.desc()).limit(2).offset(1)
            assert [person.id for person in session.scalars(page)] == [1000, 999]

    def returning(connection):
        rows = connection.execute(sa.insert(Person).returning(Person.id, Person.name), [{"id": 5000 + i, "name": str(i)} for i in range(3)])
        assert sorted(rows.all()) == [(5000, "0"), (5001, "1"), (5002, "2")]

    try:
        call(write)
        call(read)
        call(returning)
    finally:
        call(Base.metadata.drop_all)


def test_made_and_dropped_by_metadata(call):
    """create_all() and drop_all(), with a check of what is there before each."""
    table = sa.Table("made", sa.MetaData(), sa.Column("a", sa.BigInteger, nullable=False), sa.Column("b", sa.Text, comment="told"),
                     sa.Column("at", sa.DateTime(timezone=True)), comment="a table")
    call(table.metadata.create_all)
    call(table.metadata.create_all)
    assert call(lambda connection: sa.inspect(connection).get_table_comment("made")) == {"text": "a table"}
    call(table.metadata.drop_all)
    assert not call(lambda connection: sa.inspect(connection).has_table("made"))


def test_transactions(call):
    table = sa.Table("txn", sa.MetaData(), sa.Column("a", sa.BigInteger))
    call(table.metadata.create_all)

    def undone(connection):
        connection.execute(table.insert(), [{"a": 1}, {"a": 2}])
        raise KeyError

    def nested(connection):
        with pytest.raises(sa.exc.DBAPIError), connection.begin_nested():
            connection.execute(sa.text("SELECT nope"))
        assert connection.scalar(sa.text("SELECT 1")) == 1

    try:
        with pytest.raises(KeyError):
            call(undone)
        assert call(lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(table))) == 0
        call(nested)
        with pytest.raises(sa.exc.ProgrammingError):
            call(lambda connection: connection.execute(sa.text("SELECT nope")))
    finally:
        call(table.metadata.drop_all)


def test_stream(tables):
    """A server-side cursor."""
    engine = sa.create_engine(url(tables, "psycopg"))
    with engine.connect().execution_options(stream_results=True, max_row_buffer=50) as connection:
        rows = connection.execute(sa.text("SELECT g FROM generate_series(1, 1000) g"))
        assert sum(row[0] for row in rows) == 500500
    isolation = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    assert isolation.get_isolation_level() == "REPEATABLE READ" or isolation.get_isolation_level() == "AUTOCOMMIT"
    isolation.close()
    engine.dispose()


def test_pandas(tables):
    engine = sa.create_engine(url(tables, "psycopg"))
    times = pandas.date_range("2026-01-01", periods=500, freq="min", tz="UTC")
    frame = pandas.DataFrame({"at": times, "n": range(500), "v": [i / 8 for i in range(500)], "s": [None if i % 7 == 0 else f"s{i}" for i in range(500)]})
    frame.to_sql("frames", engine, index=False, method="multi", chunksize=200)
    read = pandas.read_sql("SELECT * FROM frames ORDER BY n", engine)
    assert len(read) == 500 and read["n"].sum() == 124750 and read["s"].isna().sum() == 72
    assert (pandas.to_datetime(read["at"], utc=True) == times).all() and (read["v"] == frame["v"]).all()
    assert len(pandas.read_sql_table("frames", engine)) == 500
    parts = list(pandas.read_sql("SELECT n FROM frames WHERE n >= %(least)s", engine, params={"least": 100}, chunksize=150))
    assert [len(part) for part in parts] == [150, 150, 100]
    frame.head(1).to_sql("frames", engine, index=False, if_exists="replace")
    assert pandas.read_sql("SELECT count(*) AS c FROM frames", engine)["c"][0] == 1
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE frames"))
    engine.dispose()
