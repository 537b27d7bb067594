/* Buckets empty, fill again, belong to one key and are forgotten in the right order. */
#include "server/access/attempts.h"

#include "storage/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <stdio.h>

static void test_burst_and_refill(void **state)
{
    (void)state;
    struct attempts *attempts = memory_alloc(sizeof(*attempts));
    int64_t now = 1000;
    attempts_init(attempts, 1);
    for (int i = 0; i < ATTEMPTS_BURST; i++)
        assert_true(attempts_has(attempts, SLICE("a"), now) &&
                    attempts_take(attempts, SLICE("a"), now));
    assert_false(attempts_has(attempts, SLICE("a"), now));
    assert_false(attempts_take(attempts, SLICE("a"), now));
    assert_true(attempts_take(attempts, SLICE("b"), now));
    now += ATTEMPTS_PERIOD_US;
    assert_true(attempts_take(attempts, SLICE("a"), now));
    assert_false(attempts_take(attempts, SLICE("a"), now));
    attempts_give_back(attempts, SLICE("a"), now);
    assert_true(attempts_take(attempts, SLICE("a"), now));
    now += 1000 * (int64_t)ATTEMPTS_PERIOD_US;
    for (int i = 0; i < ATTEMPTS_BURST; i++)
        assert_true(attempts_take(attempts, SLICE("a"), now));
    assert_false(attempts_take(attempts, SLICE("a"), now));
    memory_free(attempts);
}

/* Whoever tries much stays known however many others come by. */
static void test_forgets_the_idle_first(void **state)
{
    (void)state;
    struct attempts *attempts = memory_alloc(sizeof(*attempts));
    attempts_init(attempts, 1);
    for (int i = 0; i < ATTEMPTS_BURST; i++)
        assert_true(attempts_take(attempts, SLICE("bad"), 5));
    for (int i = 0; i < 100000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        assert_true(attempts_take(attempts, slice_from_cstr(key), 5));
    }
    assert_false(attempts_take(attempts, SLICE("bad"), 5));
    memory_free(attempts);
}

static void test_addresses(void **state)
{
    (void)state;
    char a[64], b[64];
    assert_true(slice_equal(attempts_address(SLICE("127.0.0.1:4711"), a), SLICE("127.0.0.1")));
    assert_true(slice_equal(attempts_address(SLICE("2001:db8:1:2::3:4711"), a),
                            attempts_address(SLICE("2001:db8:1:2:ffff::9:1"), b)));
    assert_false(slice_equal(attempts_address(SLICE("2001:db8:1:2::3:4711"), a),
                             attempts_address(SLICE("2001:db8:1:3::3:4711"), b)));
    assert_true(slice_equal(attempts_address(SLICE("::ffff:192.0.2.7:1"), a),
                            attempts_address(SLICE("::ffff:192.0.2.7:2"), b)));
    assert_false(slice_equal(attempts_address(SLICE("::ffff:192.0.2.7:1"), a),
                             attempts_address(SLICE("::ffff:192.0.2.8:1"), b)));
    assert_true(slice_equal(attempts_address(SLICE(""), a), SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_forgets_the_idle_first),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
