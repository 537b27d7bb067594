/* Options in both spellings; words that only look like one are left alone. */
#include "server/cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_options(void **state)
{
    (void)state;
    char *argv[] = {"sql", "--http", "a:1", "--http=b:2", "--https", "x", "--http"};
    int index = 1;
    assert_string_equal(cli_option("http", 7, argv, &index), "a:1");
    assert_int_equal(index, 2);
    assert_null(cli_option("http", 7, argv, &index));
    index = 3;
    assert_string_equal(cli_option("http", 7, argv, &index), "b:2");
    assert_int_equal(index, 3);
    index = 4;
    assert_null(cli_option("http", 7, argv, &index));
    index = 6;
    assert_null(cli_option("http", 7, argv, &index));
    assert_int_equal(index, 6);
}

static void test_check_wants_a_directory(void **state)
{
    (void)state;
    char *argv[] = {"check", "/no/such/directory", NULL};
    assert_int_equal(cli_check(2, argv), 2);
    assert_int_equal(cli_check(1, argv), EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_check_wants_a_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
