/* Sums of entries that begin at a number above all of them: nothing is lost, in every variant.
 * The other kernels are compared with each other in encoding_test.c. */
#include "storage/encoding/kernels.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ENTRIES 300
#define ROWS 2048

static struct random_stream chance;

/* Multiples of 2^-20 add up without a loss in 128 bits. */
static bool is_exact(const struct kernels *kernels, uint32_t count, double scale)
{
    static double entries[ENTRIES];
    static uint32_t codes[ROWS];
    const struct kernels *base = kernels_of(KERNEL_BASE);
    double sum, lost, sum_base, lost_base;
    long double want = 0;
    for (uint32_t i = 0; i < ENTRIES; i++)
        entries[i] = (double)(random_next(&chance) >> (14 + random_below(&chance, 50))) * scale;
    entries[0] = 0x1p50 * scale; /* the most there may be */
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = (uint32_t)random_below(&chance, random_below(&chance, ENTRIES) + 1);
        want += entries[codes[i]];
    }
    const uint8_t *bytes = (const uint8_t *)entries;
    kernels->sum_near(bytes, codes, count, 0x1p50 * scale, &sum, &lost);
    base->sum_near(bytes, codes, count, 0x1p50 * scale, &sum_base, &lost_base);
    return sum == sum_base && lost == lost_base && (long double)sum + lost == want;
}

static void test_sums_near_a_power_of_two(void **state)
{
    (void)state;
    static const double scales[] = {1, 0x1p-20, 0x1p-900, 0x1p850};
    random_stream_init(&chance, 31);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
        for (size_t i = 0; kernels != NULL && i < sizeof(scales) / sizeof(scales[0]); i++) {
            for (uint32_t count = 0; count < 40; count++)
                assert_true(is_exact(kernels, count, scales[i]));
            assert_true(is_exact(kernels, ROWS, scales[i]));
            fault_plant("kernels.near_lost");
            assert_false(is_exact(kernels, ROWS, scales[i]));
            fault_clear();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums_near_a_power_of_two)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
