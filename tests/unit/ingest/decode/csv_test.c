/* The CSV decoder: records, quotes, NULL and empty text, headers, framing errors. */
#include "tests/unit/ingest/decode/decode_harness.h"

static const struct {
    const char *columns, *input, *want;
} cases[] = {
    {"a bigint, t text", "a,t\n1,x\n2,y\n", "1|x;2|y;"},
    {"a bigint, t text", "t,a\r\nx,1\r\ny,2", "1|x;2|y;"},
    {"a bigint, t text", "a,t\n,\n1,\"\"\n", "~|~;1|;"},
    {"a bigint, t text", "a,t\n1,\"x,\"\"y\"\"\nz\"\n", "1|x,\"y\"\nz;"},
    {"a bigint, t text", "\"a\",\"t\"\n\"1\",\"x\"\r\n", "1|x;"},
    {"a bigint, t text", "A,T\n1,x\n", "1|x;"},
    {"a bigint, t text",
     "\xEF\xBB\xBF"
     "a,t\n1,x\n",
     "1|x;"},
    {"a bigint, t text", "a,t\n1\n1,x,2\n\n2,y\n", "2|y;!1::22P04;!2::22P04;"},
    {"a bigint, t text", "a,zz\n1,x\n2,\n", "1|~;2|~;?zz=2;"},
    {"a bigint!, t text", "a,t\n,x\nq,x\n1,x\n", "1|x;!1:a:23502;!2:a:22P02;"},
    {"a bigint, t text", "t\n\xFF\n", "!1::22021;"},
    {"ts timestamptz, b boolean, f float8, j jsonb",
     "ts,b,f,j\n2026-05-01 10:00:00,t,1e3,\"{\"\"a\"\": 1}\"\n1714500000,off,NaN,{\n",
     "2026-05-01 10:00:00+00|t|1000|{\"a\": 1};!2:j:22P02;"},
    {"a bigint, a.b text", "a.b,a\nx,1\n", "1|x;"},
    {"a bigint, t text", "a,t\n1,\"x\n", "400 22P04"},
    {"a bigint, t text", "a,t\n1,\"x\"y\n", "400 22P04"},
    {"a bigint, t text", "hello\nworld\n", "400 22P04"},
    {"a bigint, t text", "", ""},
    {"a bigint, t text", "a,t\n", ""},
    {"t text", "t\n\n\"\"\n x \n", "; x ;"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct harness h;
        harness_init(&h, harness_schema(cases[i].columns));
        harness_check(&h, INGEST_CSV, slice_from_cstr(cases[i].input), cases[i].want);
        harness_deinit(&h);
    }
}

static void test_whole_and_rest(void **state)
{
    (void)state;
    struct schema *schema = harness_schema("a bigint, r jsonb, w jsonb");
    schema->options.rest_column = 1;
    schema->options.whole_column = 2;
    struct harness h;
    harness_init(&h, schema);
    harness_check(
        &h, INGEST_CSV, SLICE("a,q\n1,x\n2,\n"),
        "1|{\"q\":\"x\"}|{\"a\":\"1\",\"q\":\"x\"};2|{\"q\":null}|{\"a\":\"2\",\"q\":null};?q=2;");
    harness_deinit(&h);
}

/* Any cut of a body, in exact memory, is rows or an error. */
static void test_every_cut(void **state)
{
    (void)state;
    static const char text[] = "a,t\r\n1,\"x,\"\"y\r\n\"\r\n2,z\r\n";
    struct harness h;
    harness_init(&h, harness_schema("a bigint, t text"));
    for (size_t size = 0; size < sizeof(text); size++) {
        char *exact = malloc(size == 0 ? 1 : size);
        memcpy(exact, text, size);
        enum err err = harness_decode(&h, INGEST_CSV, slice_of(exact, size), DECODE_ISA_BEST);
        assert_true(err == OK || err == ERR_INPUT);
        free(exact);
    }
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_whole_and_rest),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
