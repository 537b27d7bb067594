/* Comparison, arithmetic and selection kernels against the obvious loops, on random input full of
 * edge values; and a wrong kernel is found. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 1000

static int64_t edge_int(struct random_stream *random)
{
    static const int64_t edges[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, 7, -7};
    return random_below(random, 3) == 0 ? (int64_t)random_next(random)
                                        : edges[random_below(random, 9)];
}

static double edge_float(struct random_stream *random)
{
    const double edges[] = {0, -0.0, 1, -1, NAN, INFINITY, -INFINITY, 1e308, 5e-324};
    return random_below(random, 3) == 0 ? random_unit(random) - 0.5
                                        : edges[random_below(random, 9)];
}

static int order_float(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static bool holds(enum compare_operation operation, int order)
{
    const bool table[6][3] = {{0, 1, 0}, {1, 0, 1}, {1, 0, 0}, {1, 1, 0}, {0, 0, 1}, {0, 1, 1}};
    return table[operation][order + 1];
}

typedef void compare_int_kernel(enum compare_operation, struct kernel_int, struct kernel_int,
                                size_t, uint8_t *);

static size_t count_wrong(compare_int_kernel *kernel)
{
    struct random_stream random;
    random_stream_init(&random, 7);
    static int64_t a[ROWS], b[ROWS];
    static uint8_t out[ROWS];
    size_t wrong = 0;
    for (size_t i = 0; i < ROWS; i++) {
        a[i] = edge_int(&random);
        b[i] = edge_int(&random);
    }
    for (int shape = 0; shape < 4; shape++) {
        for (enum compare_operation op = COMPARE_EQ; op <= COMPARE_GE; op++) {
            kernel(op, (struct kernel_int){a, shape & 1}, (struct kernel_int){b, shape & 2}, ROWS,
                   out);
            for (size_t i = 0; i < ROWS; i++) {
                int64_t x = a[shape & 1 ? 0 : i], y = b[shape & 2 ? 0 : i];
                wrong += out[i] != holds(op, (x > y) - (x < y));
            }
        }
    }
    return wrong;
}

static void test_int(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++)
        if (kernels_choose((enum kernel_isa)isa))
            assert_int_equal(count_wrong(compare_int), 0);
}

/* Forgets that the last row counts. */
static void planted(enum compare_operation op, struct kernel_int a, struct kernel_int b,
                    size_t count, uint8_t *out)
{
    compare_int(op, a, b, count, out);
    out[count - 1] ^= 1;
}

static void test_planted_fault_is_found(void **state)
{
    (void)state;
    assert_true(count_wrong(planted) > 0);
}

static void try_float(void)
{
    struct random_stream random;
    random_stream_init(&random, 8);
    static double a[ROWS], b[ROWS];
    static uint8_t out[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        a[i] = edge_float(&random);
        b[i] = edge_float(&random);
    }
    for (int shape = 0; shape < 4; shape++) {
        for (enum compare_operation op = COMPARE_EQ; op <= COMPARE_GE; op++) {
            compare_float(op, (struct kernel_float){a, shape & 1},
                          (struct kernel_float){b, shape & 2}, ROWS, out);
            for (size_t i = 0; i < ROWS; i++)
                assert_int_equal(
                    out[i], holds(op, order_float(a[shape & 1 ? 0 : i], b[shape & 2 ? 0 : i])));
        }
    }
}

static void test_float(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++)
        if (kernels_choose((enum kernel_isa)isa))
            try_float();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_planted_fault_is_found),
        cmocka_unit_test(test_float),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
