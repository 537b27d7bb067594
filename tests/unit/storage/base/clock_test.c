/* Clocks: the real ones go forward, an installed one is what everybody sees. */
#include "storage/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int64_t fixed_wall(void *context)
{
    return *(int64_t *)context + 5;
}

static int64_t fixed_monotonic(void *context)
{
    return *(int64_t *)context;
}

static void test_real_clocks_go_forward(void **state)
{
    (void)state;
    int64_t monotonic = clock_monotonic_us();
    int64_t cpu = clock_process_cpu_us();
    clock_sleep_us(2000);
    clock_sleep_us(-1);
    assert_true(clock_monotonic_us() >= monotonic + 2000);
    assert_true(clock_monotonic_ns() / 1000 >= monotonic);
    assert_true(clock_process_cpu_us() >= cpu);
    assert_true(clock_thread_cpu_us() >= 0);
    assert_true(clock_wall_us() > INT64_C(1700000000000000));
}

static void test_installed_clock(void **state)
{
    (void)state;
    int64_t now = 42;
    struct clock_source source = {fixed_wall, fixed_monotonic, &now};
    clock_install(&source);
    assert_int_equal(clock_wall_us(), 47);
    assert_int_equal(clock_monotonic_us(), 42);
    assert_int_equal(clock_monotonic_ns(), 42000);
    clock_install(NULL);
    assert_true(clock_wall_us() > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_clocks_go_forward),
        cmocka_unit_test(test_installed_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
