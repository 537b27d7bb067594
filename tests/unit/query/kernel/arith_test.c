/* Arithmetic kernels against 128-bit arithmetic, flags included, and selections against the obvious
 * loop. */
#include "query/kernel/kernel.h"

#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 300

static __int128 exact(enum arith_operation operation, int64_t a, int64_t b)
{
    if (operation == ARITH_ADD)
        return (__int128)a + b;
    return operation == ARITH_SUBTRACT ? (__int128)a - b : (__int128)a * b;
}

static void test_int(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 3);
    int64_t a[ROWS], b[ROWS], out[ROWS];
    for (int round = 0; round < 200; round++) {
        int shift = (int)random_below(&random, 63);
        for (size_t i = 0; i < ROWS; i++) {
            a[i] = (int64_t)random_next(&random) >> shift;
            b[i] = (int64_t)random_next(&random) >> shift;
        }
        int64_t max = round % 3 == 0   ? INT64_MAX
                      : round % 3 == 1 ? INT32_MAX
                                       : INT16_MAX,
                min = -max - 1;
        for (int shape = 0; shape < 4; shape++) {
            for (enum arith_operation op = ARITH_ADD; op <= ARITH_MULTIPLY; op++) {
                bool flagged = arith_int(op, (struct kernel_int){a, shape & 1},
                                         (struct kernel_int){b, shape & 2}, min, max, ROWS, out);
                bool is_bad = false;
                for (size_t i = 0; i < ROWS; i++) {
                    __int128 want = exact(op, a[shape & 1 ? 0 : i], b[shape & 2 ? 0 : i]);
                    is_bad |= want < min || want > max;
                    assert_true(out[i] == (int64_t)want);
                }
                assert_int_equal(flagged, is_bad);
            }
        }
    }
}

static void test_float_flags(void **state)
{
    (void)state;
    double a[4] = {1, 2, 3, 4}, b[4] = {1, 2, 3, 1e308}, out[4];
    struct kernel_float x = {a, false}, y = {b, false};
    assert_false(arith_float(ARITH_ADD, x, y, false, 4, out));
    assert_true(arith_float(ARITH_MULTIPLY, x, y, false, 4, out));
    assert_true(isinf(out[3]));
    assert_true(arith_float(ARITH_ADD, x, y, true, 4, out)); /* past what a float holds */
    a[3] = 1e-300;
    b[3] = 1e-300;
    assert_true(arith_float(ARITH_MULTIPLY, x, y, false, 4, out)); /* vanishes */
    b[3] = 0;
    assert_false(arith_float(ARITH_MULTIPLY, x, y, false, 4, out)); /* a zero that was one before */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_float_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
