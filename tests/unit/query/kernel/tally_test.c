/* Counts and sums by code against adding up in long double, by every instruction set. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define CODES 20
#define ROWS 2048

struct sums {
    uint32_t counts[CODES * TALLY_LANES];
    struct tally_sum parts[CODES * TALLY_LANES], doubles[CODES * TALLY_LANES];
    int64_t ints[CODES * TALLY_LANES];
};

static struct sums sums;
static uint32_t codes[ROWS];
static double values[ROWS];
static int64_t ints[ROWS];

static void make_rows(struct random_stream *random, double scale)
{
    for (size_t i = 0; i < ROWS; i++) {
        codes[i] = (uint32_t)random_below(random, random_below(random, CODES) + 1);
        values[i] = random_below(random, 9) == 0
                        ? 0
                        : ((double)random_below(random, 1 << 20) + 1) / 1000 * scale;
        ints[i] = (int64_t)random_below(random, UINT64_C(1) << 32) - (INT64_C(1) << 31);
    }
}

static double total(const struct tally_sum *places, uint32_t code)
{
    long double sum = 0;
    for (size_t lane = 0; lane < TALLY_LANES; lane++)
        sum += (long double)places[code * TALLY_LANES + lane].sum +
               places[code * TALLY_LANES + lane].lost;
    return (double)sum;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-15 * fabs(b);
}

/* Whether all sums of some calls of `count` rows each are what they should be. */
static bool holds(size_t count, double scale, uint64_t seed)
{
    struct random_stream random;
    struct tally_window window;
    long double expected[CODES] = {0};
    int64_t expected_ints[CODES] = {0};
    uint32_t rows[CODES] = {0};
    bool is = true;
    random_stream_init(&random, seed);
    memset(&sums, 0, sizeof(sums));
    for (size_t call = 0; call < 4; call++) {
        make_rows(&random, scale);
        if (call == 0)
            assert_true(tally_window_make(values, ROWS, &window));
        assert_true(tally_window_holds(&window, values, ROWS));
        uint32_t seen = tally_parts(&window, codes, values, count, sums.parts, sums.counts);
        is = is && (call != 0 || seen < count) && (count < ROWS || call == 0 || seen != 0);
        tally_doubles(codes, values, count, sums.doubles);
        tally_ints(codes, ints, count, sums.ints);
        for (size_t i = 0; i < count; i++) {
            expected[codes[i]] += values[i];
            expected_ints[codes[i]] += ints[i];
            rows[codes[i]]++;
        }
    }
    for (uint32_t code = 0; code < CODES; code++) {
        uint32_t counted = 0;
        int64_t sum = 0;
        for (size_t lane = 0; lane < TALLY_LANES; lane++) {
            counted += sums.counts[code * TALLY_LANES + lane];
            sum += sums.ints[code * TALLY_LANES + lane];
        }
        is = is && counted == rows[code] && sum == expected_ints[code] &&
             is_near(total(sums.parts, code), (double)expected[code]) &&
             is_near(total(sums.doubles, code), (double)expected[code]);
    }
    return is;
}

static void each_isa(void (*test)(void))
{
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++)
        if (kernels_choose((enum kernel_isa)isa))
            test();
}

static void try_sums(void)
{
    static const double scales[] = {1, 1e-300, 1e280, 3e-7};
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++)
        for (size_t count = 1; count <= ROWS; count += count < 20 ? 1 : 1014)
            assert_true(holds(count, scales[i], count + i));
    fault_plant("kernel.tally_parts");
    assert_false(holds(ROWS, 1, 7));
    fault_clear();
}

static void test_sums(void **state)
{
    (void)state;
    each_isa(try_sums);
}

static void try_windows(void)
{
    static const double outside[] = {-1, NAN, -NAN, INFINITY, -INFINITY, -0.0, 1e9, 1e-9, 5e-324};
    struct tally_window window;
    double some[70];
    for (size_t count = 1; count <= 70; count++)
        for (size_t place = 0; place < count; place++) {
            for (size_t i = 0; i < count; i++)
                some[i] = i % 5 == 3 ? 0 : 1 + (double)i;
            assert_true(tally_window_make(some, count, &window));
            for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
                some[place] = outside[i];
                assert_false(tally_window_holds(&window, some, count));
            }
        }
    for (size_t i = 0; i < 6; i++)
        assert_false(tally_window_make(&outside[i], 1, &window));
    assert_false(tally_window_make(&(double){1e308}, 1, &window));
    assert_false(tally_window_make(&(double){1e-308}, 1, &window));
    assert_false(tally_window_make(&(double){0}, 1, &window));
}

static void test_windows(void **state)
{
    (void)state;
    each_isa(try_windows);
}

static void test_selected(void **state)
{
    (void)state;
    static const uint32_t some[] = {3, 1, 3, 0, 2}, selection[] = {0, 2, 4};
    uint32_t counts[4] = {0};
    tally_selected(some, selection, 3, counts);
    assert_true(counts[0] == 0 && counts[1] == 0 && counts[2] == 1 && counts[3] == 2);
    uint32_t places[4 * TALLY_LANES] = {0};
    places[3 * TALLY_LANES] = 0x80000000U;
    assert_int_equal(tally_rows(some, 5, places), 0x80000000U);
    assert_int_equal(places[3 * TALLY_LANES], 0x80000001U);
    assert_int_equal(tally_rows(some + 1, 1, places), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_selected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
