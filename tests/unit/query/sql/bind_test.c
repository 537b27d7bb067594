/* Names and types: what is accepted, what is refused, with which SQLSTATE and where. */
#include "tests/unit/query/sql/group.h"

struct bind_case {
    const char *text, *want;
};

static void run(const struct bind_case *cases, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        char *got = prepare_text(&catalogue, cases[index].text, false);
        if (strcmp(got, cases[index].want) != 0)
            fail_msg("%s: %s, wanted %s", cases[index].text, got, cases[index].want);
        free(got);
    }
}

static void test_names(void **state)
{
    static const struct bind_case cases[] = {
        {"select id from users", "ok"},
        {"select users.id, public.users.id from public.users", "ok"},
        {"select u.id from users u", "ok"},
        {"select users.id from users u", "42P01 @8"},
        {"select nope from users", "42703 @8"},
        {"select u.nope from users u", "42703 @8"},
        {"select country from users, clicks", "42702 @8"},
        {"select * from users, users", "42712 @22"},
        {"select * from users a, users b", "ok"},
        {"select * from nope", "42P01 @15"},
        {"select * from nope.users", "42P01 @15"},
        {"select * from pg_catalog.pg_class", "42P01 @15"},
        {"select * from freshet.tables", "ok"},
        {"select * from freshet.nope", "42P01 @15"},
        {"select users from users", "0A000 @8"},
        {"select x.* from users u", "42P01 @8"},
        {"select *", "42601 @8"},
        {"select a, b from users as u(a, b)", "ok"},
        {"select a from users as u(a, b, c, d)", "42P10 @15"},
        {"select x.c from (select country as c from users) x", "ok"},
        {"with x as (select 1 as a) select a from x", "ok"},
        {"with x(b) as (select 1 as a) select b from x", "ok"},
        {"with x as (select 1), x as (select 2) select 1", "42712 @23"},
        {"with recursive x as (select 1) select 1 from x", "ok"},
        {"with x as (select * from y), y as (select 1) select * from x", "42P01 @26"},
        {"select * from users u, (select id from clicks) x", "42703 @32"},
        {"select (select name from users where id = user_id) from clicks", "ok"},
        {"select 1 from users where exists (select 1 from clicks where user_id = users.id)", "ok"},
        {"select 1 from users where exists (select 1 from clicks where user_id = users.nope)",
         "42703 @72"},
        {"select 1 from users where exists (select 1 from clicks where user_id = nobody.id)",
         "42P01 @72"},
        {"select 1 from users u, users v where exists (select 1 from clicks where user_id = id)",
         "42702 @83"},
        {"select country, (select max(n) from clicks where user_id = id) from users group by 1",
         "42803 @60"},
        {"select 1 from users where (select max(id) from clicks) > 1", "42803 @35"},
        {"with q as (select 1) select exists (with r as (select name) select (select 1 from r)) "
         "from users",
         "0A000 @83"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_groups(void **state)
{
    static const struct bind_case cases[] = {
        {"select n, count(*) from clicks", "42803 @8"},
        {"select n, count(*) from clicks group by n", "ok"},
        {"select n + 1, count(*) from clicks group by n", "ok"},
        {"select n + 1, count(*) from clicks group by n + 1", "ok"},
        {"select n + 2, count(*) from clicks group by n + 1", "42803 @8"},
        {"select n as country, count(*) from clicks group by country", "42803 @8"},
        {"select n as m, count(*) from clicks group by m", "ok"},
        {"select n, count(*) from clicks group by 1", "ok"},
        {"select n, count(*) from clicks group by 3", "42P10 @41"},
        {"select n, count(*) from clicks group by 2", "42803 @41"},
        {"select n from clicks group by 'x'", "42601 @31"},
        {"select * from clicks group by n", "42803 @8"},
        {"select count(*) from clicks where count(*) > 1", "42803 @35"},
        {"select sum(count(*)) from clicks", "42803 @12"},
        {"select count() from clicks", "42809 @8"},
        {"select n from clicks having n > 1", "42803 @8"},
        {"select 1 from clicks having count(*) > 1", "ok"},
        {"select count(*) filter (where n > 1), count(distinct n) from clicks", "ok"},
        {"select date_trunc('hour', ts) filter (where true) from clicks", "42809 @8"},
        {"select percentile_cont(0.5) within group (order by n) from clicks", "ok"},
        {"select count(*) over () from clicks", "ok"},
        {"select n, count(*) from clicks group by rollup(n)", "ok"},
        {"select n from clicks group by n order by count(*)", "ok"},
        {"select n from clicks group by n order by country", "42803 @42"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_order(void **state)
{
    static const struct bind_case cases[] = {
        {"select n from clicks order by n desc nulls last", "ok"},
        {"select n from clicks order by country", "ok"},
        {"select n as country from clicks order by country", "ok"},
        {"select n from clicks order by 2", "42P10 @31"},
        {"select n, country as n from clicks order by n", "42702 @45"},
        {"select distinct n from clicks order by country", "42P10 @40"},
        {"select distinct n from clicks order by n", "ok"},
        {"select distinct on (n) n from clicks", "ok"},
        {"select n from clicks limit 1 offset 2", "ok"},
        {"select n from clicks limit -1", "2201W @28"},
        {"select n from clicks offset -1", "2201X @29"},
        {"select n from clicks limit null", "ok"},
        {"select n from clicks limit all", "ok"},
        {"select n from clicks limit n", "42703 @28"},
        {"select n from clicks fetch first 3 rows only", "ok"},
        {"select n from clicks order by n fetch first 3 rows with ties", "0A000 @0"},
        {"select n from clicks for update", "0A000 @0"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_sets(void **state)
{
    static const struct bind_case cases[] = {
        {"values (1, 'a'), (2, null)", "ok"},
        {"values (1), (1, 2)", "42601 @14"},
        {"values (1), ('x')", "22P02 @14"},
        {"values (1), (true)", "42804 @14"},
        {"select column1 from (values (1)) v", "ok"},
        {"select 1 union all select 2.5 union all select null", "ok"},
        {"select 1 union all select 1, 2", "42601 @0"},
        {"select 1 union all select true", "42804 @27"},
        {"select 1 union select 2", "ok"},
        {"select 1 intersect select 2", "ok"},
        {"select 1 as a union all select 2 order by a", "ok"},
        {"select 1 as a union all select 2 order by b", "42703 @43"},
        {"select 1 in (select n from clicks)", "ok"},
        {"select 'a' in (select n from clicks)", "22P02 @8"},
        {"select true in (select n from clicks)", "42883 @13"},
        {"select (select 1, 2)", "42601 @8"},
        {"select 1 = any (select n from clicks), 1 <> all (select n from clicks)", "ok"},
        {"select 1 < any (select n from clicks)", "ok"},
        {"select (1, 2) in (select n, n from clicks), (1, 2) <> all (select n, n from clicks)",
         "ok"},
        {"select (1, 2) in (select n from clicks)", "42601 @15"},
        {"select (1, 2) < any (select n, n from clicks)", "0A000 @15"},
        {"select array(select country from users)", "ok"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_joins(void **state)
{
    static const struct bind_case cases[] = {
        {"select 1 from users u join clicks c on u.id = c.user_id", "ok"},
        {"select 1 from users u join clicks c on id = user_id", "ok"},
        {"select 1 from users u, clicks c left join users v on u.id = v.id", "42P01 @54"},
        {"select 1 from users u join clicks c using (country)", "ok"},
        {"select 1 from users u right join clicks c on true", "ok"},
        {"select 1 from users u full join clicks c on true", "ok"},
        {"select 1 from users u natural join clicks c", "ok"},
        {"select 1 from users u join clicks c on 1", "42804 @40"},
        {"select 1 from users u, lateral (select 1) x", "ok"},
        {"select 1 from users u, lateral (select u.id) x", "ok"},
        {"select 1 from users u, (select u.id) x", "42P01 @32"},
        {"select 1 from users u right join lateral (select u.id) x on true", "42P10 @50"},
        {"select * from users tablesample system (1)", "ok"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_windows(void **state)
{
    static const struct bind_case cases[] = {
        {"select window_start, window_end, n from tumble(clicks, ts, interval '1 minute')", "ok"},
        {"select window_start from tumble(public.clicks, ts, '1 minute') w", "ok"},
        {"select w.n from tumble((select * from clicks), ts, interval '1 day', 'UTC') w", "ok"},
        {"select clicks.n from tumble(clicks, ts, interval '1 minute')", "ok"},
        {"select 1 from tumble(clicks, n, interval '1 minute')", "42804 @30"},
        {"select 1 from tumble(clicks, nope, interval '1 minute')", "42703 @30"},
        {"select 1 from tumble(nope, ts, interval '1 minute')", "42P01 @22"},
        {"select 1 from tumble(clicks, ts, interval '0 minute')", "22023 @34"},
        {"select 1 from tumble(clicks, ts, interval '1 mon 1 day')", "22023 @34"},
        {"select 1 from tumble(clicks, ts, interval '1 minute', 'Nowhere/Land')", "22023 @55"},
        {"select 1 from tumble(clicks, ts)", "42883 @15"},
        {"select 1 from hop(clicks, ts, interval '1 minute', interval '5 minutes')", "ok"},
        {"select 1 from hop(clicks, ts, interval '2 minutes', interval '5 minutes')", "22023 @53"},
        {"select 1 from hop(clicks, ts, interval '1 month', interval '1 year')", "ok"},
        {"select 1 from session(clicks, ts, interval '1 minute', n)", "ok"},
        {"select 1 from generate_series(1, 2)", "ok"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_types(void **state)
{
    static const struct {
        const char *text, *name, *type;
    } cases[] = {
        {"select -5", "?column?", "integer"},
        {"select -2147483648", "?column?", "integer"},
        {"select 2147483648", "?column?", "bigint"},
        {"select -1.5", "?column?", "numeric"},
        {"select 'x'", "?column?", "text"},
        {"select n::text from clicks", "n", "text"},
        {"select '1'::int", "int4", "integer"},
        {"select case when true then 1 end", "case", "integer"},
        {"select case when true then 1 else n end from clicks", "n", "integer"},
        {"select coalesce(n, 1) from clicks", "coalesce", "integer"},
        {"select count(*) from clicks", "count", "bigint"},
        {"select avg(n) from clicks", "avg", "numeric"},
        {"select (select max(n) from clicks)", "max", "integer"},
        {"select exists (select 1)", "exists", "boolean"},
        {"select extract(epoch from ts) from clicks", "extract", "numeric"},
        {"select ts at time zone 'UTC' from clicks", "timezone", "timestamp without time zone"},
        {"select current_date", "current_date", "date"},
        {"select interval '5' minute", "interval", "interval"},
        {"select amount from clicks", "amount", "numeric(10,2)"},
        {"show timezone", "timezone", "text"},
    };
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        struct prepare_job job;
        struct writer type;
        prepare(&catalogue, slice_from_cstr(cases[index].text), &job);
        if (job.result != OK)
            fail_msg("%s: %s", cases[index].text, job.error.text);
        const struct plan_column *column = &job.statement->plan->columns[0];
        writer_init(&type);
        type_print(column->type, &type);
        if (!slice_equal(column->name, slice_from_cstr(cases[index].name)) ||
            !slice_equal(writer_as_slice(&type), slice_from_cstr(cases[index].type)))
            fail_msg("%s: %.*s %.*s", cases[index].text, SLICE_ARGS(column->name),
                     SLICE_ARGS(writer_as_slice(&type)));
        writer_deinit(&type);
        statement_unref(job.statement);
    }
}

/* t0 JOIN t1 … of so many columns each. */
static void prepare_chain(struct prepare_job *job, int joins, int columns)
{
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "with w as (select n as k");
    for (int column = 0; column < columns; column++)
        writer_printf(&text, ", n as c%d", column);
    writer_cstr(&text, " from clicks) select count(*) from w t0");
    for (int table = 1; table <= joins; table++)
        writer_printf(&text, " join w t%d on t%d.k = t%d.k", table, table, table - 1);
    prepare(&catalogue, writer_as_slice(&text), job);
    writer_deinit(&text);
}

/* What a chain of joins takes to plan: names of all columns once, and a limit. */
static void test_chains(void **state)
{
    (void)state;
    struct prepare_job job;
    prepare_chain(&job, 300, 20);
    assert_int_equal(job.result, OK);
    assert_in_range(job.statement->arena.total, 0, 48 << 20);
    statement_unref(job.statement);
    prepare_chain(&job, 300, 300);
    assert_int_equal(job.result, ERR_LIMIT);
    assert_string_equal(job.error.sqlstate, "54001");
}

/* --- looks while a statement is prepared --- */

struct looks {
    size_t count, stop_at, bytes;
};

static enum err count_look(void *context, size_t bytes, struct error *error)
{
    struct looks *looks = context;
    assert_true(bytes >= looks->bytes); /* plans only grow */
    looks->bytes = bytes;
    if (++looks->count == looks->stop_at)
        return error_set(error, ERR_TIMEOUT, "57014", "too late");
    return OK;
}

/* A long list, many steps and many expressions are looked at on the way, and any look ends it. */
static void test_preparing_can_be_ended(void **state)
{
    (void)state;
    static const char *const parts[][3] = {
        {"select id from users where id in (0", ",17", ")"},
        {"select id from users", " union all select id from users", ""},
        {"select 0", ", id + 1", " from users"},
        {"select 1 from (select id from users", " union all select id from users",
         ") as u where id < 1 and id < 2 and id < 3 and id < 4 and id < 5 and id < 6 and id < 7"},
    };
    for (size_t i = 0; i < array_count(parts); i++) {
        struct writer text;
        struct prepare_job job;
        struct looks looks = {0};
        writer_init(&text);
        writer_cstr(&text, parts[i][0]);
        for (int k = 0; k < 900; k++)
            writer_cstr(&text, parts[i][1]);
        writer_cstr(&text, parts[i][2]);
        catalogue.context.look = count_look;
        catalogue.context.look_context = &looks;
        prepare(&catalogue, writer_as_slice(&text), &job);
        assert_int_equal(job.result, OK);
        statement_unref(job.statement);
        assert_true(looks.count >= 10);
        assert_true(looks.bytes > 0);
        for (size_t stop_at = 1; stop_at <= looks.count; stop_at += looks.count / 5) {
            struct looks stopped = {.stop_at = stop_at};
            catalogue.context.look_context = &stopped;
            prepare(&catalogue, writer_as_slice(&text), &job);
            assert_int_equal(job.result, ERR_TIMEOUT);
            assert_string_equal(job.error.sqlstate, "57014");
            assert_int_equal(stopped.count, stop_at);
        }
        catalogue.context.look = NULL;
        writer_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_preparing_can_be_ended),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
