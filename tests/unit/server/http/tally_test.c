/* Who must give way when the two ways in hold too much together, and the 429 they say it by. */
#include "server/http/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void test_excess(void **state)
{
    (void)state;
    assert_int_equal(http_tally_excess(100, 0, 100), 0);
    assert_int_equal(http_tally_excess(101, 0, 100), 1);
    assert_int_equal(http_tally_excess(60, 50, 100), 10);
    assert_int_equal(http_tally_excess(50, 60, 100), 0);
    for (size_t a = 0; a < 200; a += 7) {
        for (size_t b = 0; b < 200; b += 7)
            assert_int_equal(a + b > 100,
                             http_tally_excess(a, b, 100) > 0 || http_tally_excess(b, a, 100) > 0);
    }
}

static void test_counts(void **state)
{
    (void)state;
    static struct http_tally tally;
    assert_int_equal(http_tally_connection(&tally, true), 1);
    assert_int_equal(http_tally_connection(&tally, true), 2);
    assert_int_equal(http_tally_connection(&tally, false), 1);
    http_tally_begin(&tally, 1000);
    assert_int_equal(tally.in_flight, 1);
    assert_int_equal(tally.bodies, 1000);
    http_tally_response(&tally, 204);
    assert_int_equal(tally.responses[204], 1);
}

static void test_crowded(void **state)
{
    (void)state;
    char text[HTTP_CROWDED_SIZE + 1] = {0};
    struct slice reply = http_tally_crowded(text);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    char length[64];
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body + 4));
    assert_non_null(strstr(text, length));
    assert_int_equal(reply.size, strlen(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_excess),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_crowded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
