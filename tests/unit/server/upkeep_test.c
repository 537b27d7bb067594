/* The low mark of free disk and its hysteresis. */
#include "server/upkeep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define GIB ((uint64_t)1 << 30)

static void test_mark(void **state)
{
    (void)state;
    assert_int_equal(upkeep_disk_mark(0, 20 * GIB), GIB);
    assert_int_equal(upkeep_disk_mark(0, 400 * GIB), 2 * GIB);
    assert_int_equal(upkeep_disk_mark(7 * GIB, 400 * GIB), 7 * GIB);
    assert_int_equal(upkeep_disk_mark(0, 0), 0);
}

static void test_hysteresis(void **state)
{
    (void)state;
    static const struct {
        bool was_low;
        uint64_t free_bytes;
        bool is_low;
    } cases[] = {{false, 1000, false}, {false, 999, true},  {true, 999, true}, {true, 1000, true},
                 {true, 1249, true},   {true, 1250, false}, {false, 0, true}};
    for (size_t i = 0; i < array_count(cases); i++) {
        assert_int_equal(upkeep_is_disk_low(cases[i].was_low, cases[i].free_bytes, 1000),
                         cases[i].is_low);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mark),
                                       cmocka_unit_test(test_hysteresis)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
