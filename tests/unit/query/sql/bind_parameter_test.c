/* parameter('name' [, default]) and where parameters may not stand. */
#include "tests/unit/query/sql/prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
    const char *text, *want;
} cases[] = {
    {"SELECT parameter('a')", "ok"},
    {"SELECT parameter('a') + 1", "ok"},
    {"SELECT 1 + parameter('a', 1) + parameter('a', 1) + parameter('a')", "ok"},
    {"SELECT parameter('a', 1) + parameter('a', 2)", "42601 @43"},
    {"SELECT parameter('a', NULL) IS NULL", "42P18 @0"},
    {"SELECT parameter('a', NULL)::text IS NULL", "ok"},
    {"SELECT n FROM clicks WHERE n > parameter('a', 'x')", "22P02 @0"},
    {"SELECT n FROM clicks WHERE n > parameter('a', true)", "22P02 @0"},
    {"SELECT n FROM clicks WHERE ts > parameter('a', now() - interval '1 day')", "ok"},
    {"SELECT n FROM clicks WHERE ts > parameter('a', n + 1)", "42883 @31"},
    {"SELECT n FROM clicks WHERE n = parameter('a') OR country = parameter('a')", "42883 @58"},
    {"SELECT parameter()", "42883 @8"},
    {"SELECT parameter('')", "42601 @8"},
    {"SELECT parameter(country) FROM clicks", "42601 @8"},
    {"SELECT parameter('a', 'b', 'c')", "42601 @8"},
    {"SELECT n FROM clicks WHERE n = $1 AND country = parameter('c')", "ok"},
    {"EXPLAIN SELECT n FROM clicks WHERE n = $1", "ok"},
    {"CREATE TABLE x (a int DEFAULT $1)", "42P02 @31"},
    {"CREATE VIEW v AS SELECT n FROM clicks WHERE n = $1", "42P02 @49"},
    {"CREATE VIEW v AS SELECT n FROM clicks WHERE n = parameter('n')", "ok"},
    {"COPY (SELECT $1) TO STDOUT WITH (FORMAT csv)", "42P02 @14"},
    {"SELECT $65536", "42P02 @8"},
    {"SELECT $99999999999999999999", "42P02 @8"},
    /* Places that take constants only, while there are no values. */
    {"SELECT count(*) FROM tumble(clicks, ts, $1)", "ok"},
    {"SELECT count(*) FROM hop(clicks, ts, $1, $2, $3)", "ok"},
    {"SELECT approx_percentile($1, latency_ms) FROM clicks", "ok"},
    {"SELECT sequence_match($1, ts, n = 1) FROM clicks", "ok"},
    {"SELECT n FROM clicks TABLESAMPLE BERNOULLI ($1)", "ok"},
};

static void statements(void **state)
{
    (void)state;
    struct catalogue catalogue;
    size_t wrong = 0;
    catalogue_open(&catalogue);
    for (size_t index = 0; index < array_count(cases); index++) {
        char *got = prepare_text(&catalogue, cases[index].text, false);
        if (strcmp(got, cases[index].want) != 0) {
            print_error("%s: want %s, got %s\n", cases[index].text, cases[index].want, got);
            wrong++;
        }
        free(got);
    }
    catalogue_close(&catalogue);
    assert_int_equal(wrong, 0);
}

/* What stands in for a value is for the types only. */
static void constants_are_asked_for(void **state)
{
    (void)state;
    struct catalogue catalogue;
    struct prepare_job job;
    catalogue_open(&catalogue);
    prepare(&catalogue, SLICE("SELECT count(*) FROM hop(clicks, ts, $1, $2)"), &job);
    assert_int_equal(job.result, OK);
    assert_true(job.statement->needs_values);
    assert_int_equal(job.statement->parameter_count, 2);
    assert_int_equal(job.statement->parameters[1].type.id, TYPE_INTERVAL);
    statement_unref(job.statement);
    struct value values[2] = {
        {.type = type_of(TYPE_INTERVAL), .interval = {.microseconds = 60000000}},
        {.type = type_of(TYPE_INTERVAL), .interval = {.microseconds = 90000000}}};
    catalogue.context.parameter_values = values;
    catalogue.context.parameter_value_count = catalogue.context.numbered_value_count = 2;
    prepare(&catalogue, SLICE("SELECT count(*) FROM hop(clicks, ts, $1, $2)"), &job);
    assert_int_equal(job.result, ERR_INPUT); /* no multiple */
    assert_string_equal(job.error.sqlstate, "22023");
    values[1].interval.microseconds = 120000000;
    prepare(&catalogue, SLICE("SELECT count(*) FROM hop(clicks, ts, $1, $2)"), &job);
    assert_int_equal(job.result, OK);
    assert_false(job.statement->needs_values);
    statement_unref(job.statement);
    catalogue.context.parameter_value_count = catalogue.context.numbered_value_count = 1;
    prepare(&catalogue, SLICE("SELECT count(*) FROM hop(clicks, ts, $1, $2)"), &job);
    assert_int_equal(job.result, ERR_INPUT); /* as when a view changes in between */
    assert_string_equal(job.error.sqlstate, "40001");
    catalogue_close(&catalogue);
}

static void types_may_be_given(void **state)
{
    (void)state;
    struct catalogue catalogue;
    struct prepare_job job;
    const struct type types[2] = {{.id = TYPE_INT8}, {.id = TYPE_UNKNOWN}};
    catalogue_open(&catalogue);
    catalogue.context.parameter_types = types;
    catalogue.context.parameter_type_count = 2;
    prepare(&catalogue, SLICE("SELECT $1 + 1, $2 = $1"), &job);
    assert_int_equal(job.result, OK);
    assert_int_equal(job.statement->parameters[0].type.id, TYPE_INT8);
    assert_int_equal(job.statement->parameters[1].type.id, TYPE_INT8);
    assert_int_equal(job.statement->plan->columns[0].type.id, TYPE_INT8);
    statement_unref(job.statement);
    prepare(&catalogue, SLICE("SELECT $1"), &job); /* nothing says what $2 is */
    assert_int_equal(job.result, ERR_INPUT);
    assert_string_equal(job.error.sqlstate, "42P18");
    catalogue_close(&catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(statements),
                                       cmocka_unit_test(constants_are_asked_for),
                                       cmocka_unit_test(types_may_be_given)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
