/* The structured log: nothing that comes in can end a line or a quote. */
#include "storage/base/logger.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static const struct {
    struct slice input;
    const char *want;
} cases[] = {
    {{"plain key=value", 15}, "plain key=value"},
    {{"a\nb\rc\"d\\e", 9}, "a\\nb\\x0dc\\\"d\\\\e"},
    {{"\x1b[31m\x7f", 6}, "\\x1b[31m\\x7f"},
    {{"\xc3\xa9", 2}, "\xc3\xa9"},
    {{"\xc2\x85", 2}, "\\xc2\\x85"},
    {{"\xff\xc3", 2}, "\\xff\\xc3"},
    {{"", 0}, ""},
};

static void test_escape(void **state)
{
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        char out[256];
        size_t size = escape(out, cases[index].input);
        out[size] = '\0';
        assert_string_equal(out, cases[index].want);
    }
}

static void test_levels(void **state)
{
    (void)state;
    FILE *real = stderr;
    char *text = NULL;
    size_t size = 0;
    stderr = open_memstream(&text, &size);
    logger_write(LOG_DEBUG, "not shown");
    logger_set_level(LOG_DEBUG);
    logger_write(LOG_WARN, "forged\nlevel=%d", 7);
    logger_set_level(LOG_INFO);
    fclose(stderr);
    stderr = real;
    assert_non_null(strstr(text, "level=warn msg=\"forged\\nlevel=7\"\n"));
    assert_null(strstr(text, "not shown"));
    assert_int_equal(text[size - 1], '\n');
    free(text);
}

static void test_limit(void **state)
{
    (void)state;
    struct logger_limit limit = {0};
    uint64_t held, passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += logger_limit_pass(&limit, 3, INT64_C(3600000000), &held);
    assert_int_equal(passed, 3);
    assert_int_equal(atomic_load(&limit.held), 997);
    atomic_store(&limit.full_us, 0); /* long after */
    assert_true(logger_limit_pass(&limit, 3, INT64_C(3600000000), &held));
    assert_int_equal(held, 997);
    assert_true(logger_limit_pass(&limit, 3, INT64_C(3600000000), &held));
    assert_int_equal(held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
