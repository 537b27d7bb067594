/* Least and greatest by every instruction set, at every place. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

#include "storage/base/random.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 70

static void test_ranges(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 11);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (size_t count = 1; count <= ROWS; count++)
            for (size_t place = 0; place < count; place++) {
                int64_t values[ROWS], low, high;
                for (size_t i = 0; i < count; i++)
                    values[i] = (int64_t)random_below(&random, 1000) - 500;
                values[place] = INT64_MIN + (int64_t)place;
                values[(place * 7 + 3) % count] = count == 1 ? values[0] : INT64_MAX;
                int64_t least = values[0], greatest = values[0];
                for (size_t i = 0; i < count; i++) {
                    least = values[i] < least ? values[i] : least;
                    greatest = values[i] > greatest ? values[i] : greatest;
                }
                range_ints(values, count, &low, &high);
                assert_true(low == least && high == greatest);
            }
    }
}

static void test_infinities(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (size_t count = 0; count <= ROWS; count++) {
            static const double others[] = {0, -0.0, NAN, -NAN, DBL_MAX, -DBL_MAX, 5e-324};
            double values[ROWS + 1];
            for (size_t i = 0; i <= count && i < ROWS; i++)
                values[i] = others[i % (sizeof(others) / sizeof(others[0]))];
            assert_false(has_infinite(values, count));
            for (size_t place = 0; place < count; place++) {
                double kept = values[place];
                values[place] = place % 2 == 0 ? INFINITY : -INFINITY;
                assert_true(has_infinite(values, count));
                values[place] = kept;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_infinities)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
