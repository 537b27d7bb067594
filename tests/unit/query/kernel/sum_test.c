/* Sums of arrays: exact where integers are, nearly exact where doubles cancel, and what is no plain
 * array told. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 2048

static void test_doubles(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 3);
    static double values[ROWS];
    for (size_t count = 0; count <= ROWS; count += count < 20 ? 1 : 507) {
        long double exact = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = (double)((int64_t)random_next(&random) >> (i % 40));
            exact += (long double)values[i];
        }
        double sum, lost;
        sum_doubles(values, count, &sum, &lost);
        assert_true(fabsl((long double)(sum + lost) - exact) <= fabsl(exact) * 1e-15L);
    }
    for (size_t i = 0; i < ROWS; i++) /* 1e100 and back: only the small ones are left */
        values[i] = i % 8 == 0 ? 1e100 : i % 8 == 4 ? -1e100 : 0.5;
    double sum, lost;
    sum_doubles(values, ROWS, &sum, &lost);
    assert_true(sum + lost == ROWS * 3 / 8);
    values[77] = INFINITY;
    sum_doubles(values, ROWS, &sum, &lost);
    assert_false(isfinite(sum) && isfinite(lost));
}

/* Every instruction set gives the same bits. */
static void test_doubles_by_instruction_set(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 5);
    static double values[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        values[i] = (double)(int64_t)random_next(&random) / 7 * (i % 3 == 0 ? 1e-9 : 1);
    for (size_t count = 0; count <= ROWS; count += count < 20 ? 1 : 331) {
        double sum[KERNEL_ISA_COUNT], lost[KERNEL_ISA_COUNT];
        for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
            sum[isa] = sum[KERNEL_BASE];
            lost[isa] = lost[KERNEL_BASE];
            if (kernels_choose((enum kernel_isa)isa))
                sum_doubles(values, count, &sum[isa], &lost[isa]);
            assert_memory_equal(&sum[isa], &sum[KERNEL_BASE], sizeof(double));
            assert_memory_equal(&lost[isa], &lost[KERNEL_BASE], sizeof(double));
        }
    }
}

static void test_numerics(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 4);
    static struct numeric values[ROWS];
    __int128 exact = 0;
    for (size_t i = 0; i < ROWS; i++) {
        values[i] = numeric_from_int128((int64_t)random_next(&random), 2);
        exact += values[i].digits;
    }
    struct numeric sum;
    assert_true(sum_numerics(values, ROWS, &sum));
    assert_true(sum.digits == exact && sum.scale == 2 && sum.kind == NUMERIC_FINITE);
    assert_false(sum_numerics(values, 0, &sum));
    struct numeric kept = values[9];
    values[9].scale = 3;
    assert_false(sum_numerics(values, ROWS, &sum));
    values[9] = kept;
    values[9].kind = NUMERIC_NAN;
    assert_false(sum_numerics(values, ROWS, &sum));
    values[9] = kept;
    values[9].digits = (__int128)1 << 63;
    assert_false(sum_numerics(values, ROWS, &sum));
    values[9].digits = -((__int128)1 << 63);
    assert_true(sum_numerics(values, ROWS, &sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_doubles),
                                       cmocka_unit_test(test_doubles_by_instruction_set),
                                       cmocka_unit_test(test_numerics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
