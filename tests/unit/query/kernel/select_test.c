/* Masks to selections: every density, with and without NULLs, in place. */
#include "query/kernel/kernel.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 500

static void try_select(void)
{
    struct random_stream random;
    random_stream_init(&random, 5);
    uint8_t mask[ROWS], validity[ROWS];
    uint32_t out[ROWS], some[ROWS], want[ROWS];
    for (uint64_t density = 0; density <= 10; density++) {
        size_t some_count = 0, count = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            mask[i] = random_below(&random, 10) < density;
            validity[i] = random_below(&random, 3) != 0;
            if (random_below(&random, 2) == 0)
                some[some_count++] = i;
            if (mask[i] && validity[i])
                want[count++] = i;
        }
        assert_int_equal(select_mask(mask, validity, ROWS, out), count);
        assert_memory_equal(out, want, count * sizeof(uint32_t));
        for (size_t part = 0; part < 40; part++) { /* nothing is written past the last row */
            count = 0;
            for (uint32_t i = 0; i < part; i++)
                if (mask[i])
                    want[count++] = i;
            out[part] = 12345;
            assert_int_equal(select_mask(mask, NULL, part, out), count);
            assert_memory_equal(out, want, count * sizeof(uint32_t));
            assert_int_equal(out[part], 12345);
        }
        count = 0;
        for (size_t k = 0; k < some_count; k++)
            if (mask[some[k]])
                want[count++] = some[k];
        assert_int_equal(select_rows(mask, NULL, some, some_count, some), count);
        assert_memory_equal(some, want, count * sizeof(uint32_t));
    }
}

static void test_select(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        const uint8_t ones[17] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        uint32_t out[17];
        try_select();
        fault_plant("kernel.select_last");
        assert_int_equal(select_mask(ones, NULL, 17, out), 16);
        fault_clear();
    }
}

static void test_validity_and(void **state)
{
    (void)state;
    const uint8_t a[4] = {1, 1, 0, 0}, b[4] = {1, 0, 1, 0}, want[4] = {1, 0, 0, 0};
    uint8_t out[4];
    validity_and(a, b, 4, out);
    assert_memory_equal(out, want, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_validity_and),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
