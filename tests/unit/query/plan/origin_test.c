/* Where columns of the output come from, through all passes. */
#include "query/func/catalog.h"
#include "tests/unit/query/sql/group.h"

/* "users.2", "-" for none. */
static void put_origin(const struct statement *statement, size_t column, struct writer *out)
{
    struct plan_origin origin = plan_origin(statement->plan, column);
    if (column > 0)
        writer_u8(out, ' ');
    if (origin.table_oid == 0) {
        assert_int_equal(origin.attribute, 0);
        writer_u8(out, '-');
        return;
    }
    const char *relation =
        origin.table_oid < OID_TABLE_FIRST ? catalog_relation_by_oid(origin.table_oid)->name : NULL;
    for (size_t index = 0; index < statement->table_count && relation == NULL; index++) {
        const struct schema *schema = statement->tables[index].schema;
        if (table_oid(schema->table_id) == origin.table_oid)
            writer_printf(out, "%.*s", SLICE_ARGS(schema->name));
    }
    writer_printf(out, "%s.%u", relation == NULL ? "" : relation, origin.attribute);
}

static void test_origins(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"select id, name, country from users", "users.1 users.2 users.3"},
        {"select country, id + 1, 7, id from users where name = 'x'", "users.3 - - users.1"},
        {"select u.name, c.n from clicks c left join users u on u.id = c.user_id",
         "users.2 clicks.7"},
        {"select country, count(*) from users group by country order by 2 limit 3", "users.3 -"},
        {"select n, row_number() over (order by n) from clicks", "clicks.7 -"},
        {"select x from (select name as x from users order by id limit 2) s", "users.2"},
        {"select s.name from users u, lateral (select * from users v where v.id < u.id order by "
         "v.id limit 1) s",
         "users.2"},
        {"select id from users union all select 1", "-"},
        {"select id from users where id in (select user_id from clicks)", "users.1"},
        {"select 1, now()", "- -"},
        {"select distinct on (country) name from users order by country, id", "users.2"},
        {"select g from generate_series(1, 2) g", "-"},
        {"select a.id from users a join users b using (id)", "users.1"},
    };
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        struct prepare_job job;
        struct writer got;
        writer_init(&got);
        prepare(&catalogue, slice_from_cstr(cases[index].text), &job);
        assert_int_equal(job.result, OK);
        for (size_t column = 0; column < job.statement->plan->column_count; column++)
            put_origin(job.statement, column, &got);
        if (!slice_equal(writer_as_slice(&got), slice_from_cstr(cases[index].want)))
            fail_msg("%s: %.*s", cases[index].text, SLICE_ARGS(writer_as_slice(&got)));
        writer_deinit(&got);
        statement_unref(job.statement);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_origins)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
