/* Statements that ingest runs: what stands in the command, and what is refused by name. */
#include "tests/unit/query/sql/group.h"

static struct statement *must(const char *text)
{
    struct prepare_job job;
    prepare(&catalogue, slice_from_cstr(text), &job);
    if (job.result != OK)
        fail_msg("%s: %s", text, job.error.text);
    return job.statement;
}

#define assert_slice(got, want) assert_true(slice_equal((got), slice_from_cstr(want)))

static void test_create(void **state)
{
    (void)state;
    struct statement *statement = must(
        "create table if not exists public.t (a int not null default 1+2, b numeric(10,2) null,"
        " c varchar(5) default 'x, (y' , d timestamptz DEFAULT now() not null, e text[] default "
        "(null),"
        " f int default -1)"
        " with (time = 'd', lateness = '30 s', x = -1, y = true, z = word, m, \"group\" = 1.5)");
    const struct command *command = statement->command;
    static const struct {
        const char *name, *text;
        enum type_id type;
        bool is_not_null;
    } columns[] = {{"a", "1+2", TYPE_INT4, true},           {"b", "", TYPE_NUMERIC, false},
                   {"c", "'x, (y'", TYPE_VARCHAR, false},   {"d", "now()", TYPE_TIMESTAMPTZ, true},
                   {"e", "(null)", TYPE_TEXT_ARRAY, false}, {"f", "-1", TYPE_INT4, false}};
    static const struct {
        const char *name, *value;
    } options[] = {{"time", "d"}, {"lateness", "30 s"}, {"x", "-1"},     {"y", "true"},
                   {"z", "word"}, {"m", "true"},        {"group", "1.5"}};
    assert_string_equal(statement->command_tag, "CREATE TABLE");
    assert_false(statement->is_read_only);
    assert_int_equal(command->kind, COMMAND_CREATE_TABLE);
    assert_true(command->if_exists);
    assert_slice(command->table, "t");
    assert_int_equal(command->column_count, array_count(columns));
    for (size_t index = 0; index < array_count(columns); index++) {
        const struct command_column *column = &command->columns[index];
        assert_slice(column->name, columns[index].name);
        assert_slice(column->default_text, columns[index].text);
        assert_int_equal(column->type.id, columns[index].type);
        assert_int_equal(column->is_not_null, columns[index].is_not_null);
        assert_int_equal(column->default_expr != NULL, columns[index].text[0] != 0);
        if (column->default_expr != NULL)
            assert_int_equal(column->default_expr->type.id, columns[index].type);
    }
    assert_int_equal(command->columns[1].type.precision, 10);
    assert_int_equal(command->columns[2].type.length, 5);
    assert_int_equal(command->option_count, array_count(options));
    for (size_t index = 0; index < array_count(options); index++) {
        assert_slice(command->options[index].name, options[index].name);
        assert_slice(command->options[index].value, options[index].value);
    }
    statement_unref(statement);
}

static void test_alter_and_others(void **state)
{
    (void)state;
    struct statement *s =
        must("alter table clicks add column if not exists b int default 5, drop column c");
    assert_int_equal(s->command->action_count, 2);
    assert_int_equal(s->command->actions[0].kind, ALTER_ADD_COLUMN);
    assert_true(s->command->actions[0].if_exists);
    assert_slice(s->command->actions[0].column.default_text, "5");
    assert_int_equal(s->command->actions[1].kind, ALTER_DROP_COLUMN);
    assert_slice(s->command->actions[1].column.name, "c");
    statement_unref(s);
    s = must("drop table if exists a, public.b cascade");
    assert_true(s->command->if_exists && s->command->table_count == 2);
    assert_slice(s->command->tables[1], "b");
    statement_unref(s);
    s = must("create index if not exists i on clicks using bitmap (n)");
    assert_int_equal(s->command->kind, COMMAND_CREATE_INDEX);
    assert_true(s->command->if_exists);
    assert_slice(s->command->index, "i");
    assert_slice(s->command->table, "clicks");
    assert_slice(s->command->index_column, "n");
    assert_int_equal(s->command->text_position, 33);
    assert_int_equal(s->command->index_column_position, 54);
    statement_unref(s);
    s = must("drop index if exists a, public.b");
    assert_int_equal(s->command->kind, COMMAND_DROP_INDEX);
    assert_true(s->command->if_exists && s->command->table_count == 2);
    statement_unref(s);
    s = must("truncate clicks");
    assert_int_equal(s->command->kind, COMMAND_TRUNCATE);
    assert_slice(s->command->tables[0], "clicks");
    statement_unref(s);
    s = must("comment on column clicks.n is 'it''s'");
    assert_slice(s->command->comment_column, "n");
    assert_slice(s->command->comment, "it's");
    statement_unref(s);
    s = must("set freshet.max_rows = -5");
    assert_slice(s->command->setting, "freshet.max_rows");
    assert_slice(s->command->value, "-5");
    statement_unref(s);
    s = must("reset all");
    assert_true(s->command->is_reset);
    assert_slice(s->command->setting, "all");
    statement_unref(s);
    s = must("create subscription s connection 'kafka://h' publication \"a.b\" with (table = t, "
             "\"group\" = 'g')");
    assert_int_equal(s->command->kind, COMMAND_CREATE_SUBSCRIPTION);
    assert_string_equal(s->command_tag, "CREATE SUBSCRIPTION");
    assert_slice(s->command->subscription, "s");
    assert_slice(s->command->connection, "kafka://h");
    assert_slice(s->command->topic, "a.b");
    assert_int_equal(s->command->option_count, 2);
    assert_slice(s->command->options[1].name, "group");
    assert_int_equal(s->command->options[1].text_position, 81);
    statement_unref(s);
    s = must("alter subscription s disable");
    assert_int_equal(s->command->alter_subscription, SUBSCRIPTION_DISABLE);
    statement_unref(s);
    s = must("alter subscription s enable");
    assert_int_equal(s->command->alter_subscription, SUBSCRIPTION_ENABLE);
    statement_unref(s);
    s = must("alter subscription s set (start = '0:5')");
    assert_int_equal(s->command->alter_subscription, SUBSCRIPTION_SET);
    assert_slice(s->command->options[0].value, "0:5");
    statement_unref(s);
    s = must("drop subscription if exists s");
    assert_true(s->command->kind == COMMAND_DROP_SUBSCRIPTION && s->command->if_exists);
    statement_unref(s);
    s = must("create or replace view v (a) as /* as */ select id, 'x' as l from users ; ");
    assert_int_equal(s->command->kind, COMMAND_CREATE_VIEW);
    assert_true(s->command->is_replace && !s->is_read_only);
    assert_slice(s->command->view.name, "v");
    assert_slice(s->command->view.text, "select id, 'x' as l from users");
    assert_int_equal(s->command->view.column_count, 2);
    assert_slice(s->command->view.columns[0].name, "a");
    assert_slice(s->command->view.columns[0].source, "id");
    assert_int_equal(s->command->view.columns[1].type.id, TYPE_TEXT);
    assert_int_equal(s->command->view.table_count, 1);
    statement_unref(s);
    s = must("drop view if exists v, w");
    assert_int_equal(s->command->kind, COMMAND_DROP_VIEW);
    assert_int_equal(s->command->table_count, 2);
    statement_unref(s);
    s = must("checkpoint");
    assert_int_equal(s->command->kind, COMMAND_CHECKPOINT);
    statement_unref(s);
}

static void test_insert(void **state)
{
    (void)state;
    struct statement *s =
        must("insert into clicks (n, ts) values (default, '2026-01-01'), (1.5, now())");
    assert_int_equal(s->command->column_id_count, 2);
    assert_int_equal(s->command->column_ids[0], 7);
    assert_int_equal(s->command->column_ids[1], 1);
    assert_int_equal(s->plan->kind, PLAN_VALUES);
    assert_int_equal(s->plan->values.row_count, 2);
    for (size_t cell = 0; cell < 4; cell++)
        assert_int_equal(s->plan->values.cells[cell]->type.id,
                         cell % 2 == 0 ? TYPE_INT4 : TYPE_TIMESTAMPTZ);
    assert_int_equal(s->plan->values.cells[0]->constant.i, 3); /* DEFAULT 1 + 2 */
    assert_int_equal(s->table_count, 1);
    statement_unref(s);
    s = must("insert into users default values");
    assert_int_equal(s->plan->values.row_count, 1);
    assert_int_equal(s->command->column_id_count, 0);
    statement_unref(s);
}

static void test_insert_query(void **state)
{
    (void)state;
    struct statement *s = must("insert into clicks (n, ts) select 1.5, '2026-01-01' from users");
    assert_int_equal(s->command->column_id_count, 2);
    assert_int_equal(s->plan->kind, PLAN_PROJECT);
    assert_int_equal(s->plan->columns[0].type.id, TYPE_INT4);
    assert_int_equal(s->plan->project.exprs[0]->type.id, TYPE_INT4);
    assert_int_equal(s->plan->project.exprs[1]->type.id, TYPE_TIMESTAMPTZ);
    assert_int_equal(s->table_count, 2);
    assert_true(!s->is_read_only && !s->is_cacheable);
    statement_unref(s);
    s = must(
        "with w as (select 1 as a) insert into users (id) with v as (select a from w) table v");
    assert_int_equal(s->command->column_id_count, 1);
    assert_int_equal(s->plan->columns[0].type.id, s->command->schema->columns[0].type.id);
    statement_unref(s);
    s = must("insert into users (id) select 1 union select 2 order by 1 limit 1");
    assert_int_equal(s->plan->column_count, 1);
    statement_unref(s);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"create table t (a int primary key)", "0A000 @23"},
        {"create table t (a int, unique (a))", "0A000 @24"},
        {"create table t (a int check (a > 1))", "0A000 @23"},
        {"create table t (a int references b)", "0A000 @23"},
        {"create table t (a int generated always as identity)", "0A000 @23"},
        {"create table t (like users)", "0A000 @14"},
        {"create temp table t (a int)", "0A000 @19"},
        {"create table t (a int) partition by range (a)", "0A000 @14"},
        {"create table t (a serial)", "0A000 @19"},
        {"create table t (a time)", "0A000 @19"},
        {"create table t (a interval[])", "0A000 @19"},
        {"create table t (a varchar(3)[])", "0A000 @19"},
        {"create table t (a interval)", "0A000 @17"},
        {"create table t (a numeric)", "0A000 @17"},
        {"create table t (a numeric(19,2))", "0A000 @17"},
        {"create table t (a numeric(5,-2))", "0A000 @19"},
        {"create table t (a varchar(0))", "22023 @19"},
        {"create table t (a int, a text)", "42701 @24"},
        {"create table t (a int default 'x')", "22P02 @31"},
        {"create table t (a int default now())", "42804 @31"},
        {"create table t (a int default b)", "42703 @31"},
        {"create table t (a int default (select 1))", "0A000 @31"},
        {"create table t (a int default count(*))", "42803 @31"},
        {"create table freshet.t (a int)", "42501 @14"},
        {"create table nope.t (a int)", "3F000 @14"},
        {"insert into nope values (1)", "42P01 @13"},
        {"insert into users (nope) values (1)", "42703 @20"},
        {"insert into users (id, id) values (1, 2)", "42701 @24"},
        {"insert into users (id) values (1, 2)", "42601 @35"},
        {"insert into users (id, name) values (1)", "42601 @24"},
        {"insert into users (id) values (true)", "42804 @32"},
        {"insert into users (id) select 1, 2", "42601 @34"},
        {"insert into users (id) select *, 2 from users", "42601 @0"},
        {"insert into users (id, name) select 1", "42601 @24"},
        {"insert into users (id) select true", "42804 @31"},
        {"insert into users (id) select * from nope", "42P01 @38"},
        {"insert into users (id) select count(*) from users returning id", "ok"},
        {"insert into users values (1) returning id", "ok"},
        {"insert into users values (1) on conflict do nothing", "0A000 @13"},
        {"alter table users rename to u", "ok"},
        {"alter view v rename to u", "ok"},
        {"alter table users rename column id to u", "ok"},
        {"alter index i rename to u", "ok"},
        {"alter table users alter column id type int", "0A000 @13"},
        {"delete from users", "0A000 @0"},
        {"create subscription s connection 'x' publication a, b", "0A000 @21"},
        {"alter subscription s refresh publication", "0A000 @22"},
        {"alter subscription /* ü */ s skip (lsn = '1/2')", "0A000 @30"},
        {"alter subscription s set publication b", "0A000 @22"},
        {"update users set id = 1", "0A000 @0"},
        {"create index on users (id)", "ok"},
        {"create index on users using gin (id)", "0A000 @29"},
        {"create index on \"ü\" (a, b)", "0A000 @17"},
        {"create index on /* using gin ( */ users (lower(name))", "0A000 @42"},
        {"create unique index on users (id)", "0A000 @24"},
        {"drop view v cascade", "0A000 @0"},
        {"create temp view v as select 1", "0A000 @18"},
        {"create view v as select 1 as a, 2 as a", "42701 @13"},
        {"create view v (a, b) as select 1", "42601 @13"},
        {"create view v with (endpoint = 'x') as select 1", "ok"},
        {"create view v with (endpoint = 'x/y') as select 1", "22023 @21"},
        {"create view v with (nope = 'x') as select 1", "22023 @21"},
        {"create materialized view v as select 1", "0A000 @26"},
        {"create table t as select 1", "ok"},
        {"create table t (a, b) as select 1", "42601 @14"},
        {"create table t as select 1 as a, 2 as a", "42701 @14"},
        {"create table t as select interval '1 day' as i", "0A000 @14"},
        {"create temp table t as select 1", "0A000 @19"},
        {"select 1 into t", "0A000 @0"},
        {"begin", "0A000 @0"},
        {"call freshet.backup('x')", "0A000 @6"},
        {"explain (format json) select 1", "ok"},
        {"explain (format yaml) select 1", "0A000 @10"},
        {"copy (select 1) to stdout with (format csv, header, encoding 'utf8')", "ok"},
        {"copy (select 1) to stdout", "ok"},
        {"copy (select 1) to stdout with (format binary)", "ok"},
        {"copy (select 1) to stdout with (format csv, delimiter ';')", "ok"},
        {"copy (select 1) to stdout with (format csv, delimiter ';;')", "0A000 @45"},
        {"copy (select 1) to stdout with (delimiter 'a')", "22023 @0"},
        {"copy (select 1) to stdout with (format csv, quote '''', escape '!', null 'x')", "ok"},
        {"copy (select 1) to stdout with (format csv, quote ',')", "22023 @0"},
        {"copy (select 1) to stdout with (quote ',')", "42601 @0"},
        {"copy (select 1) to stdout with (format binary, null 'x')", "42601 @0"},
        {"copy (select 1) to stdout with (format csv, format text)", "42601 @45"},
        {"copy (select 1) to stdout with (format xml)", "22023 @33"},
        {"copy (select 1) to stdout with (format csv, header 'x')", "42601 @45"},
        {"copy (select 1) to stdout csv header", "ok"},
        {"copy (select 1) to stdout with (format csv, nope 1)", "42601 @45"},
        {"copy (select nope) to stdout with (format csv)", "42703 @14"},
        {"copy (select 1) to '/tmp/x' with (format csv)", "0A000 @0"},
        {"copy (insert into users values (1)) to stdout (format csv)", "0A000 @0"},
        {"copy users to stdout", "ok"},
        {"copy users (id) to stdout", "ok"},
        {"copy users (nope) to stdout", "42703 @6"},
        {"copy users from stdin", "ok"},
        {"copy users (id) from stdin binary", "ok"},
        {"copy users (id, id) from stdin", "42701 @6"},
        {"copy users (nope) from stdin", "42703 @6"},
        {"copy nope from stdin", "42P01 @6"},
        {"copy users from '/tmp/x'", "0A000 @0"},
        {"copy users from stdin where id > 1", "0A000 @6"},
        {"explain (nope) select 1", "42601 @10"},
        {"explain insert into users values (1)", "0A000 @0"},
        {"explain (analyze, format text, timing off) select 1", "ok"},
        {"show nope", "42704 @0"},
        {"show all", "ok"},
        {"show tables", "ok"},
    };
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        char *got = prepare_text(&catalogue, cases[index].text, false);
        if (strcmp(got, cases[index].want) != 0)
            fail_msg("%s: %s, wanted %s", cases[index].text, got, cases[index].want);
        free(got);
    }
}

static void test_read_only(void **state)
{
    static const struct {
        const char *text, *tag;
        bool is_read_only, is_cacheable;
    } cases[] = {{"select 1", "SELECT", true, true},
                 {"values (1)", "SELECT", true, true},
                 {"show all", "SHOW", true, false},
                 {"explain select 1", "EXPLAIN", true, false},
                 {"set timezone = 'UTC'", "SET", false, false},
                 {"checkpoint", "CHECKPOINT", false, false}};
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        struct statement *s = must(cases[index].text);
        assert_string_equal(s->command_tag, cases[index].tag);
        assert_int_equal(s->is_read_only, cases[index].is_read_only);
        assert_int_equal(s->is_cacheable, cases[index].is_cacheable);
        statement_unref(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),  cmocka_unit_test(test_alter_and_others),
        cmocka_unit_test(test_insert),  cmocka_unit_test(test_insert_query),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_read_only),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
