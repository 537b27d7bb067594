/* Errors: defaults, cutting at a character, statuses. */
#include "storage/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_set(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_set(&error, ERR_SPACE, NULL, "full: %d", 7), ERR_SPACE);
    assert_string_equal(error.sqlstate, "53100");
    assert_string_equal(error.text, "full: 7");
    assert_int_equal(error_set(NULL, ERR_INPUT, "22P02", "x"), ERR_INPUT);
    error_hint(&error, "try %s", "less");
    assert_string_equal(error.hint, "try less");
    char text[600];
    for (size_t index = 0; index + 1 < sizeof(text); index += 2) {
        text[index] = (char)0xC3;
        text[index + 1] = (char)0xA9;
    }
    text[sizeof(text) - 1] = '\0';
    error_set(&error, ERR_INPUT, NULL, "%s", text);
    size_t size = 0;
    while (error.text[size] != '\0')
        size++;
    assert_int_equal(size % 2, 0);
    assert_true(size >= sizeof(error.text) - 4);
}

static void test_tables(void **state)
{
    (void)state;
    for (int code = OK; code < ERR_COUNT; code++) {
        assert_non_null(err_name((enum err)code));
        assert_non_null(err_sqlstate((enum err)code));
    }
    assert_true(err_is_retryable(ERR_BUSY));
    assert_false(err_is_retryable(ERR_INPUT));
    assert_int_equal(sqlstate_http_status("22P02"), 400);
    assert_int_equal(sqlstate_http_status("53100"), 507);
    assert_int_equal(sqlstate_http_status("53200"), 422);
    assert_int_equal(sqlstate_http_status("54001"), 422);
    assert_int_equal(sqlstate_http_status("57014"), 504);
    assert_int_equal(sqlstate_http_status("42501"), 403);
    assert_int_equal(sqlstate_http_status("XX000"), 500);
    assert_string_equal(http_status_title(413), "Content Too Large");
    assert_string_equal(http_status_title(507), "Insufficient Storage");
    assert_string_equal(http_status_title(499), "Bad Request");
    assert_string_equal(http_status_title(599), "Internal Server Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
