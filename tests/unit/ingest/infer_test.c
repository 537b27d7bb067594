/* Sniffing and inferring: what a body is, and the table for it. */
#include "ingest/decode/decode.h"
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_sniff(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum ingest_format want;
    } cases[] = {
        {"", INGEST_NDJSON},
        {" \r\n\n", INGEST_NDJSON},
        {"{\"a\":1}\n{\"a\":2}\n", INGEST_NDJSON},
        {"{\"a\":1}", INGEST_NDJSON},
        {"\xEF\xBB\xBF{\"a\":1}\n", INGEST_NDJSON},
        {"{\"a\":\"}\"}\n", INGEST_NDJSON},
        {"{\"a\":\n{\"a\":2}\n", INGEST_NDJSON},
        {"{\n  \"a\": 1\n}\n", INGEST_JSON},
        {"{\"a\":1}{\"a\":2}", INGEST_JSON},
        {" [{\"a\":1}]", INGEST_JSON},
        {"a,b\n1,2\n", INGEST_CSV},
        {"\"a\"\n1\n", INGEST_CSV},
    };
    for (size_t i = 0; i < array_count(cases); i++)
        assert_int_equal(decode_sniff(slice_from_cstr(cases[i].body)), cases[i].want);
}

static void test_infer(void **state)
{
    (void)state;
    static const struct {
        const char *sample, *want;
    } cases[] = {
        {"{\"ts\":\"2026-05-01T10:00:00Z\",\"n\":1,\"f\":1,\"b\":true,\"s\":\"x\",\"o\":{},\"a\":["
         "1],\"z\":null}\n{"
         "\"f\":1.5}\n",
         "CREATE TABLE t (\n  ts timestamptz,\n  n bigint,\n  f double precision,\n  b boolean,\n  "
         "s text,\n  o "
         "jsonb,\n"
         "  a jsonb,\n  z text\n) WITH (time = 'ts');\n"},
        {"[{\"time\":1714500000,\"x\":\"2026-05-01T10:00:00Z\"},{\"time\":1714500001.5}]",
         "CREATE TABLE t (\n  time timestamptz,\n  x timestamptz\n) WITH (time = 'time');\n"},
        {"{\"ts\":5,\"when\":\"2026-05-01 10:00:00\"}",
         "CREATE TABLE t (\n  ts bigint,\n  \"when\" timestamptz\n) WITH (time = 'when');\n"},
        {"{\"a\":1}\n{\"a\":\"x\"}\n{\"it's \\\"q\\\"\":true}",
         "CREATE TABLE t (\n  a text,\n  \"it's \"\"q\"\"\" boolean\n);\n"},
        {"Name,ts,n\nx,2026-05-01T10:00:00Z,1\n,2026-05-01T10:00:01Z,2.5\n",
         "CREATE TABLE t (\n  \"Name\" text,\n  ts timestamptz,\n  n double precision\n) WITH "
         "(time = 'ts');\n"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct arena arena;
        struct slice text;
        struct error error;
        arena_init(&arena);
        if (ingest_infer(slice_from_cstr(cases[i].sample), INGEST_SNIFF, SLICE("t"), &arena, &text,
                         &error) != OK)
            fail_msg("%s: %s", cases[i].sample, error.text);
        assert_string_equal(arena_copy_cstr(&arena, text), cases[i].want);
        arena_deinit(&arena);
    }
}

static void test_nothing_to_infer(void **state)
{
    (void)state;
    static const char *const samples[] = {"", "\n", "[]", "nonsense", "[1,2]"};
    for (size_t i = 0; i < array_count(samples); i++) {
        struct arena arena;
        struct slice text;
        struct error error;
        arena_init(&arena);
        enum err err = ingest_infer(slice_from_cstr(samples[i]), INGEST_SNIFF, SLICE("t"), &arena,
                                    &text, &error);
        assert_true(err == ERR_INPUT || i == 3); /* one word is a header without rows */
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sniff),
        cmocka_unit_test(test_infer),
        cmocka_unit_test(test_nothing_to_infer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
