/* Values from text and to text and JSON: every type, good and bad input.
 * Expected values are PostgreSQL 15's. */
#include "storage/column/type.h"
#include "storage/io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/storage/cases.h"

static const struct {
    const char *type, *input, *text, *json;
} form_cases[] = {
    {"boolean", "t", "t", "true"},
    {"boolean", "TRUE", "t", "true"},
    {"boolean", " yes ", "t", "true"},
    {"boolean", "on", "t", "true"},
    {"boolean", "1", "t", "true"},
    {"boolean", "f", "f", "false"},
    {"boolean", "False", "f", "false"},
    {"boolean", "no", "f", "false"},
    {"boolean", "off", "f", "false"},
    {"boolean", "0", "f", "false"},
    {"boolean", "o", "!22P02", "!22P02"},
    {"boolean", "tr", "t", "true"},
    {"boolean", "fals", "f", "false"},
    {"boolean", "", "!22P02", "!22P02"},
    {"boolean", "2", "!22P02", "!22P02"},
    {"boolean", "truex", "!22P02", "!22P02"},
    {"boolean", "n", "f", "false"},
    {"boolean", "y", "t", "true"},
    {"smallint", "1", "1", "1"},
    {"smallint", "-32768", "-32768", "-32768"},
    {"smallint", "32768", "!22003", "!22003"},
    {"smallint", "1.5", "!22P02", "!22P02"},
    {"smallint", "", "!22P02", "!22P02"},
    {"integer", "2147483647", "2147483647", "2147483647"},
    {"integer", "2147483648", "!22003", "!22003"},
    {"integer", " 7 ", "7", "7"},
    {"integer", "x", "!22P02", "!22P02"},
    {"bigint", "9223372036854775807", "9223372036854775807", "9223372036854775807"},
    {"bigint", "9223372036854775808", "!22003", "!22003"},
    {"bigint", "-0", "0", "0"},
    {"real", "0.1", "0.1", "0.1"},
    {"real", "1e39", "!22003", "!22003"},
    {"real", "16777217", "1.6777216e+07", "1.6777216e+07"},
    {"real", "-0", "-0", "-0"},
    {"real", "NaN", "NaN", "\"NaN\""},
    {"double precision", "0.1", "0.1", "0.1"},
    {"double precision", "1e400", "!22003", "!22003"},
    {"double precision", "Infinity", "Infinity", "\"Infinity\""},
    {"numeric", "1.50", "1.50", "1.50"},
    {"numeric", "x", "!22P02", "!22P02"},
    {"numeric", "NaN", "NaN", "\"NaN\""},
    {"numeric(5,2)", "1.005", "1.01", "1.01"},
    {"numeric(5,2)", "999.994", "999.99", "999.99"},
    {"numeric(5,2)", "999.995", "!22003", "!22003"},
    {"numeric(5,2)", "-999.99", "-999.99", "-999.99"},
    {"numeric(5,2)", "NaN", "NaN", "\"NaN\""},
    {"numeric(5,2)", "Infinity", "!22003", "!22003"},
    {"text", "", "", "\"\""},
    {"text", " a ", " a ", "\" a \""},
    {"text", "é", "é", "\"é\""},
    {"character varying(3)", "abc", "abc", "\"abc\""},
    {"character varying(3)", "abcd", "!22001", "\"abc\""},
    {"character varying(3)", "abc   ", "abc", "\"abc\""},
    {"character varying(3)", "äöü", "äöü", "\"äöü\""},
    {"character varying(3)", "äöüx", "!22001", "\"äöü\""},
    {"character varying(3)", "", "", "\"\""},
    {"timestamp with time zone", "2026-05-01 10:00:00.5+02", "2026-05-01 08:00:00.5+00",
     "\"2026-05-01T08:00:00.5+00:00\""},
    {"timestamp with time zone", "infinity", "infinity", "\"infinity\""},
    {"timestamp with time zone", "x", "!22007", "!22007"},
    {"timestamp without time zone", "2026-05-01 10:00:00.5+02", "2026-05-01 10:00:00.5",
     "\"2026-05-01T10:00:00.5\""},
    {"timestamp without time zone", "-infinity", "-infinity", "\"-infinity\""},
    {"date", "2026-05-01", "2026-05-01", "\"2026-05-01\""},
    {"date", "infinity", "infinity", "\"infinity\""},
    {"date", "2026-02-30", "!22008", "!22008"},
    {"interval", "1 day -02:00", "1 day -02:00:00", "\"1 day -02:00:00\""},
    {"interval", "x", "!22007", "!22007"},
    {"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""},
    {"uuid", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""},
    {"uuid", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""},
    {"uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a1", "!22P02", "!22P02"},
    {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "!22P02", "!22P02"},
    {"uuid", "{a0eebc999c0b4ef8bb6d6bb9bd380a11", "!22P02", "!22P02"},
    {"uuid", "g0eebc999c0b4ef8bb6d6bb9bd380a11", "!22P02", "!22P02"},
    {"uuid", "a-0eebc999c0b4ef8bb6d6bb9bd380a11", "!22P02", "!22P02"},
    {"uuid", "", "!22P02", "!22P02"},
    {"bytea", "\\x", "\\x", "\"\\\\x\""},
    {"bytea", "\\x0AfF", "\\x0aff", "\"\\\\x0aff\""},
    {"bytea", "\\x 0a ff", "\\x0aff", "\"\\\\x0aff\""},
    {"bytea", "\\x0", "!22023", "!22023"},
    {"bytea", "\\xzz", "!22023", "!22023"},
    {"bytea", "abc", "\\x616263", "\"\\\\x616263\""},
    {"bytea", "a\\\\b", "\\x615c62", "\"\\\\x615c62\""},
    {"bytea", "\\101\\000", "\\x4100", "\"\\\\x4100\""},
    {"bytea", "\\9", "!22P02", "!22P02"},
    {"bytea", "\\4 ", "!22P02", "!22P02"},
    {"json", "{\"a\": 1}", "{\"a\": 1}", "{\"a\": 1}"},
    {"json", " [1, 2] ", "[1, 2]", "[1, 2]"},
    {"json", "", "!22P02", "!22P02"},
    {"json", "{", "!22P02", "!22P02"},
    {"json", "{\"a\":1}x", "!22P02", "!22P02"},
    {"json", "nul", "!22P02", "!22P02"},
    {"json", "\"\\u0000\"", "\"\\u0000\"", "\"\\u0000\""},
    {"text[]", "{}", "{}", "[]"},
    {"text[]", "{a,b}", "{a,b}", "[\"a\",\"b\"]"},
    {"text[]", "{ a , \"b c\" ,NULL,null,\"NULL\"}", "{a,\"b c\",NULL,NULL,\"NULL\"}",
     "[\"a\",\"b c\",null,null,\"NULL\"]"},
    {"text[]", "{\"a\\\"b\\\\c\"}", "{\"a\\\"b\\\\c\"}", "[\"a\\\"b\\\\c\"]"},
    {"text[]", "{a\\,b}", "{\"a,b\"}", "[\"a,b\"]"},
    {"text[]", "{a,}", "!22P02", "!22P02"},
    {"text[]", "{,a}", "!22P02", "!22P02"},
    {"text[]", "{a", "!22P02", "!22P02"},
    {"text[]", "a", "!22P02", "!22P02"},
    {"text[]", "{a}x", "!22P02", "!22P02"},
    {"text[]", "{\"\"}", "{\"\"}", "[\"\"]"},
    {"text[]", "{a b}", "{\"a b\"}", "[\"a b\"]"},
    {"text[]", "{\"a\"b}", "!22P02", "!22P02"},
    {"text[]", " {x} ", "{x}", "[\"x\"]"},
    {"text[]", "{\"a,b\",\"{\"}", "{\"a,b\",\"{\"}", "[\"a,b\",\"{\"]"},
    {"text[]", "{ }", "{}", "[]"},
    {"bigint[]", "{1,-2,NULL}", "{1,-2,NULL}", "[1,-2,null]"},
    {"bigint[]", "{}", "{}", "[]"},
    {"bigint[]", "{1,x}", "!22P02", "!22P02"},
    {"bigint[]", "{9223372036854775808}", "!22003", "!22003"},
    {"bigint[]", "{\"7\"}", "{7}", "[7]"},
    {"bigint[]", "{ 1 , 2 }", "{1,2}", "[1,2]"},
};

static struct type type_named(const char *name)
{
    if (strcmp(name, "numeric(5,2)") == 0)
        return (struct type){.id = TYPE_NUMERIC, .precision = 5, .scale = 2};
    if (strcmp(name, "character varying(3)") == 0)
        return (struct type){.id = TYPE_VARCHAR, .length = 3};
    enum type_id id;
    assert_true(type_find(slice_from_cstr(name), &id));
    return type_of(id);
}

static void test_forms(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out;
    arena_init(&arena);
    writer_init(&out);
    for (size_t index = 0; index < array_count(form_cases); index++) {
        struct value value;
        struct error error;
        enum err err =
            type_parse(type_named(form_cases[index].type), slice_from_cstr(form_cases[index].input),
                       NULL, &arena, &value, &error);
        if (err == OK)
            value_print(&value, NULL, &out);
        check(form_cases[index].type, form_cases[index].input, err, &error, &out,
              form_cases[index].text);
        if (err != OK)
            continue;
        value_print_json(&value, NULL, &out);
        check("json", form_cases[index].input, err, &error, &out, form_cases[index].json);
    }
    writer_deinit(&out);
    arena_deinit(&arena);
    assert_int_equal(wrong_count, 0);
}

static void test_context(void **state)
{
    (void)state;
    struct text_context context = {.now_us = INT64_C(1777672800000000)}; /* 2026-05-01 22:00 UTC */
    struct arena arena;
    struct writer out;
    struct value value;
    struct error error;
    arena_init(&arena);
    writer_init(&out);
    assert_int_equal(timezone_find(SLICE("Europe/Berlin"), &context.zone, &error), OK);
    static const struct {
        enum type_id type;
        const char *input, *want;
    } cases[] = {{TYPE_TIMESTAMPTZ, "2026-05-01 10:00", "2026-05-01 10:00:00+02"},
                 {TYPE_TIMESTAMPTZ, "today", "2026-05-02 00:00:00+02"},
                 {TYPE_TIMESTAMP, "now", "2026-05-02 00:00:00"},
                 {TYPE_DATE, "today", "2026-05-02"}};
    for (size_t index = 0; index < array_count(cases); index++) {
        enum err err = type_parse(type_of(cases[index].type), slice_from_cstr(cases[index].input),
                                  &context, &arena, &value, &error);
        if (err == OK)
            value_print(&value, &context, &out);
        check("context", cases[index].input, err, &error, &out, cases[index].want);
    }
    value = (struct value){.type = type_of(TYPE_INT8), .is_null = true};
    value_print(&value, NULL, &out);
    check("null", "text", OK, NULL, &out, "");
    value_print_json(&value, NULL, &out);
    check("null", "json", OK, NULL, &out, "null");
    char deep[3000];
    memset(deep, '[', sizeof(deep));
    assert_int_equal(
        type_parse(type_of(TYPE_JSONB), slice_of(deep, sizeof(deep)), NULL, &arena, &value, &error),
        ERR_LIMIT);
    assert_int_equal(
        type_parse(type_of(TYPE_TEXT_ARRAY), SLICE("{{a}}"), NULL, &arena, &value, &error),
        ERR_UNSUPPORTED);
    writer_deinit(&out);
    arena_deinit(&arena);
    assert_int_equal(wrong_count, 0);
}

/* What an array takes grows with its text, not with its text times its elements. */
static void test_long_array(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct arena arena;
    struct writer text;
    struct value value;
    struct error error;
    arena_init(&arena);
    writer_init(&text);
    for (int i = 0; i < COUNT; i++)
        writer_cstr(&text, i == 0 ? "{1" : ",1");
    writer_cstr(&text, "}");
    for (int i = 0; i < 2; i++) {
        struct type type = type_of(i == 0 ? TYPE_INT8_ARRAY : TYPE_TEXT_ARRAY);
        struct text_context context = {.zone = timezone_utc};
        assert_int_equal(type_parse(type, writer_as_slice(&text), &context, &arena, &value, &error),
                         OK);
        struct array_reader array;
        assert_true(array_begin(&array, (enum type_id)type.id, value.text));
        assert_int_equal(array.count, COUNT);
    }
    assert_true(arena.total < (size_t)8 << 20);
    writer_deinit(&text);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_array),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_context),
    };
    timezone_set_loader(io_load_timezone);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
