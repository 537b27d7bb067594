/* Ranges of integers: the extremes at any place of any count, by every instruction set. */
#include "storage/encoding/private.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT_MAX 70u

/* How many are wrong of all counts and places. */
static uint32_t count_wrong(void)
{
    int64_t values[COUNT_MAX], low, high;
    struct random_stream chance;
    uint32_t wrong = 0;
    random_stream_init(&chance, 11);
    for (uint32_t count = 1; count <= COUNT_MAX; count++) {
        for (uint32_t place = 0; place < count; place++) {
            for (uint32_t i = 0; i < count; i++)
                values[i] = (int64_t)random_below(&chance, 1000) - 500;
            uint32_t other = (place + count / 2) % count;
            values[other] = INT64_MAX - 1;
            values[place] = place % 2 == 0 ? INT64_MIN : -501; /* the same place, of one value */
            integers_range(values, count, &low, &high);
            wrong += low != values[place] || high != values[other];
        }
    }
    return wrong;
}

static void test_range(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (kernels_choose((enum kernel_isa)isa))
            assert_int_equal(count_wrong(), 0);
    }
}

static void test_fault_is_found(void **state)
{
    (void)state;
    if (!kernels_choose(KERNEL_AVX512))
        return;
    fault_plant("range.no_rest");
    uint32_t wrong = count_wrong();
    fault_clear();
    assert_true(wrong > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_range),
                                       cmocka_unit_test(test_fault_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
