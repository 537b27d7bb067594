/* Values of parameters: from JSON, to the statement's types, what is missing, unknown or wrong. */
#include "tests/unit/query/sql/prepare.h"

#include "query/parameter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char statement_text[] =
    "SELECT $1::int, $2::text, $3::bigint[], $4::text[], $5::jsonb, $6::boolean, $7::numeric, "
    "$8::timestamptz";

/* Values, '|' between them, or the SQLSTATE and the text of the error. */
static void bind_to(const struct statement *statement, const char *json, struct budget *budget,
                    struct writer *out)
{
    struct arena arena;
    struct error error = {0};
    struct query_parameter *list = NULL;
    struct value *values = NULL;
    size_t count = 0;
    struct text_context context = {.zone = timezone_utc};
    arena_init(&arena);
    enum err err = parameters_from_json(slice_from_cstr(json), &arena, &list, &count, &error);
    if (err == OK)
        err = parameters_bind(statement, list, count, &context, budget, &arena, &values, &error);
    if (err != OK)
        writer_printf(out, "%s %s", error.sqlstate, error.text);
    for (size_t index = 0; err == OK && index < statement->parameter_count; index++) {
        assert_int_equal(values[index].type.id, statement->parameters[index].type.id);
        if (index > 0)
            writer_u8(out, '|');
        if (values[index].is_null)
            writer_cstr(out, "NULL");
        else
            value_print(&values[index], &context, out);
    }
    arena_deinit(&arena);
}

static void check(const struct statement *statement, const char *json, const char *want)
{
    struct writer got;
    struct budget budget = {.limit = 1 << 20, .name = "test"};
    writer_init(&got);
    bind_to(statement, json, &budget, &got);
    writer_u8(&got, 0);
    assert_string_equal((const char *)got.data, want);
    writer_deinit(&got);
}

static const struct {
    const char *json, *want;
} by_number[] = {
    {"[1,\"a\",[1,null,\"-3\"],[\"x\",null,\"\\u00e4\",2,true],{\"a\":[1]},true,1.50,"
     "\"2026-01-01\"]",
     "1|a|{1,NULL,-3}|{x,NULL,ä,2,true}|{\"a\":[1]}|t|1.50|2026-01-01 00:00:00+00"},
    {"[null,null,null,null,null,null,null,null]", "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL"},
    {" [ \" 7 \" , 12.5e1, \"{4,5}\", [], [1,{\"b\":null}], \"off\", \"NaN\", \"2026-01-01 "
     "00:00+02\" ] ",
     "7|12.5e1|{4,5}|{}|[1,{\"b\":null}]|f|NaN|2025-12-31 22:00:00+00"},
    {"[1.5,\"\",[],[],{},true,1,\"2026-01-01\"]",
     "22P02 parameter $1: invalid input syntax for type integer: \"1.5\""},
    {"[3000000000,\"\",[],[],{},true,1,\"2026-01-01\"]",
     "22003 parameter $1: value \"3000000000\" is out of range for type integer"},
    {"[1,[1,2],[[1]],[],{},true,1,\"2026-01-01\"]",
     "22023 parameter $3: arrays have one dimension"},
    {"[1,[1,2],[1.5],[],{},true,1,\"2026-01-01\"]",
     "22P02 parameter $3: invalid input syntax for type bigint: \"1.5\""},
    {"[1,\"\\u0000\",[],[],{},true,1,\"2026-01-01\"]",
     "22P05 parameter $2: a text has an invalid escape"},
    {"[1,\"\",[],[\"\\ud800\"],{},true,1,\"2026-01-01\"]",
     "22P05 parameter $4: a text has an invalid escape"},
    {"[1]", "08P01 1 parameters by number are given, but the statement requires 8"},
    {"[1,2,3,4,5,6,7,8,9]", "08P01 9 parameters by number are given, but the statement requires 8"},
    {"{\"a\":1}", "08P01 0 parameters by number are given, but the statement requires 8"},
    {"1", "22023 params must be an array, or an object of names"},
    {"", "22023 params must be an array, or an object of names"},
    {"[1,", "22023 params are not JSON: the text ends too early at byte 4"},
    {"{\"\":1}", "22023 a name in params is not a text"},
    {"[1] ]", "22023 params are not JSON: a value is expected at byte 5"},
    {"[1]x", "22023 params are not JSON: a value is expected at byte 4"},
};

static void values_take_the_types(void **state)
{
    (void)state;
    struct catalogue catalogue;
    struct prepare_job job;
    catalogue_open(&catalogue);
    prepare(&catalogue, SLICE(statement_text), &job);
    assert_int_equal(job.result, OK);
    for (size_t index = 0; index < array_count(by_number); index++)
        check(job.statement, by_number[index].json, by_number[index].want);
    statement_unref(job.statement);
    catalogue_close(&catalogue);
}

/* The plan that a value was read for may be stale: the table was made anew with other types. */
static void values_of_another_type_are_converted(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"SELECT $1::bigint", "7"},
        {"SELECT $1::text", "7"},
        {"SELECT $1::numeric", "7"},
        {"SELECT $1::boolean", "22P02"},
    };
    struct catalogue catalogue;
    struct text_context context = {.zone = timezone_utc};
    const struct query_parameter given = {.kind = PARAMETER_VALUE,
                                          .value = {.type = {.id = TYPE_INT4}, .i = 7}};
    catalogue_open(&catalogue);
    for (size_t index = 0; index < array_count(cases); index++) {
        struct prepare_job job;
        struct arena arena;
        struct error error = {0};
        struct value *values;
        struct writer got;
        writer_init(&got);
        arena_init(&arena);
        prepare(&catalogue, slice_from_cstr(cases[index].text), &job);
        assert_int_equal(job.result, OK);
        if (parameters_bind(job.statement, &given, 1, &context, NULL, &arena, &values, &error) ==
            OK)
            value_print(&values[0], &context, &got);
        else
            writer_cstr(&got, error.sqlstate);
        writer_u8(&got, 0);
        assert_string_equal((const char *)got.data, cases[index].want);
        statement_unref(job.statement);
        arena_deinit(&arena);
        writer_deinit(&got);
    }
    catalogue_close(&catalogue);
}

static const struct {
    const char *json, *want;
} by_name[] = {
    {"{\"country\":\"DE\",\"least\":\"4\"}", "DE|4|NULL|10"},
    {"{\"least\":4,\"country\":null,\"until\":\"2026-05-01\",\"top\":3}",
     "NULL|4|2026-05-01 00:00:00+00|3"},
    {"{\"country\":\"DE\"}", "42P02 parameter \"least\": a value is missing"},
    {"[]", "42P02 parameter \"country\": a value is missing"},
    {"{\"country\":\"DE\",\"least\":4,\"contry\":1}", "42P02 there is no parameter \"contry\""},
    {"{\"country\":\"DE\",\"least\":4,\"least\":5}", "22023 parameter \"least\" is given twice"},
    {"{\"country\":\"DE\",\"least\":\"x\"}",
     "22P02 parameter \"least\": invalid input syntax for type integer: \"x\""},
};

static void names_are_checked(void **state)
{
    (void)state;
    struct catalogue catalogue;
    struct prepare_job job;
    catalogue_open(&catalogue);
    prepare(&catalogue,
            SLICE("SELECT user_id FROM clicks WHERE country = parameter('country') AND n > "
                  "parameter('least') AND ts < parameter('until', now()) LIMIT "
                  "parameter('top', 10)"),
            &job);
    assert_int_equal(job.result, OK);
    for (size_t index = 0; index < array_count(by_name); index++)
        check(job.statement, by_name[index].json, by_name[index].want);
    statement_unref(job.statement);
    catalogue_close(&catalogue);
}

/* A large array is charged, and refused when there is no room for it; nothing stays charged but
 * what the value holds. */
static void arrays_are_charged(void **state)
{
    (void)state;
    struct catalogue catalogue;
    struct prepare_job job;
    struct writer json, got;
    catalogue_open(&catalogue);
    prepare(&catalogue, SLICE("SELECT count(*) FROM clicks WHERE user_id = ANY($1)"), &job);
    assert_int_equal(job.result, OK);
    writer_init(&json);
    writer_cstr(&json, "[[0");
    for (int i = 1; i < 400000; i++)
        writer_printf(&json, ",%d", i);
    writer_cstr(&json, "]]");
    writer_u8(&json, 0);
    for (int i = 0; i < 2; i++) {
        struct budget budget = {.limit = i == 0 ? 3 << 20 : 64 << 20, .name = "test"};
        writer_init(&got);
        bind_to(job.statement, (const char *)json.data, &budget, &got);
        assert_true(got.size > 5);
        assert_int_equal(memcmp(got.data, i == 0 ? "53200" : "{0,1,", 5), 0);
        if (i == 1)
            assert_int_equal(atomic_load(&budget.used), 4 + 400000 * 12);
        writer_deinit(&got);
    }
    writer_deinit(&json);
    statement_unref(job.statement);
    catalogue_close(&catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_take_the_types),
                                       cmocka_unit_test(values_of_another_type_are_converted),
                                       cmocka_unit_test(names_are_checked),
                                       cmocka_unit_test(arrays_are_charged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
