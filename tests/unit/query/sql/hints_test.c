/* Words of other dialects get our form as the hint. */
#include "tests/unit/query/sql/group.h"

static void test_hints(void **state)
{
    static const struct {
        const char *text, *sqlstate, *hint;
    } cases[] = {
        {"describe clicks", "42601", "freshet.columns"},
        {"desc clicks", "42601", "freshet.columns"},
        {"show create table clicks", "42601", "freshet.columns"},
        {"show columns from clicks", "42601", "freshet.columns"},
        {"select 1 format json", "42601", "Accept"},
        {"select n from clicks format JSONEachRow", "42601", "Accept"},
        {"select count(*) from clicks sample by 1h", "42601", "tumble("},
        {"select n from clicks limit 1, 2", "42601", "LIMIT b OFFSET a"},
        {"select `n` from clicks", "42601", "double quotes"},
        {"select n from clicks where n == 1", "42883", "write ="},
        {"select n from clicks prewhere n = 1", "42601", "WHERE"},
        {"select n from clicks qualify n = 1", "42601", "sub-select"},
        {"select top 5 n from clicks", "42601", "LIMIT"},
        {"create table t (a int) engine = MergeTree", "42601", "ENGINE"},
        {"select quantile(0.5)(n) from clicks", "42601", "percentile_cont"},
        {"create table t (a uint64)", "42704", "bigint"},
        {"create table t (a UInt32)", "42704", "bigint"},
        {"create table t (a String)", "42704", "text"},
        {"create table t (a \"String\")", "42704", "text"},
        {"create table t (a LowCardinality(String))", "42704", "text"},
        {"create table t (a DateTime64(3))", "42704", "timestamptz"},
        {"select n::float64 from clicks", "42704", "double precision"},
        {"select * from tables", "42P01", "freshet.tables"},
        {"select countri from clicks", "42703", "clicks.country"},
        {"show databases", "42704", "SHOW TABLES"},
    };
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        struct prepare_job job;
        prepare(&catalogue, slice_from_cstr(cases[index].text), &job);
        assert_int_not_equal(job.result, OK);
        if (strcmp(job.error.sqlstate, cases[index].sqlstate) != 0 ||
            strstr(job.error.hint, cases[index].hint) == NULL)
            fail_msg("%s: %s %s HINT %s", cases[index].text, job.error.sqlstate, job.error.text,
                     job.error.hint);
    }
}

static void test_no_hint(void **state)
{
    struct prepare_job job;
    (void)state;
    prepare(&catalogue, SLICE("select 'describe' 'format' fro m x"), &job);
    assert_int_equal(job.result, ERR_INPUT);
    assert_string_equal(job.error.hint, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hints),
                                       cmocka_unit_test(test_no_hint)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
