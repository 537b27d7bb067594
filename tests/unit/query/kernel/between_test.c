/* Doubles as keys, and keys in a range, by every instruction set against a plain loop. */
#include "query/kernel/kernel.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { ROWS = 300 };

static const double specials[] = {-INFINITY, -1e300, -1.5, -5e-324, -0.0,     0.0,
                                  5e-324,    0.25,   1.5,  1e300,   INFINITY, NAN};
enum { SPECIALS = sizeof(specials) / sizeof(specials[0]) };

static void test_order(void **state)
{
    (void)state;
    uint64_t keys[SPECIALS];
    keys_of_doubles(specials, SPECIALS, keys);
    for (size_t i = 0; i < SPECIALS; i++) {
        double back = double_of_key(keys[i]);
        assert_true(i == 0 || keys[i - 1] < keys[i]);
        assert_true(isnan(specials[i]) ? isnan(back)
                                       : memcmp(&back, &specials[i], sizeof(back)) == 0);
    }
    uint64_t other;
    keys_of_doubles(&(double){-NAN}, 1, &other);
    assert_true(other == keys[SPECIALS - 1]);
}

static bool is_as_plain(struct random_stream *random, size_t count)
{
    double values[ROWS] = {0};
    uint64_t keys[ROWS], kept[ROWS + BETWEEN_ROOM];
    for (size_t i = 0; i < count; i++)
        values[i] = random_below(random, 2) == 0 ? specials[random_below(random, SPECIALS)]
                                                 : (double)random_below(random, 9) - 4;
    keys_of_doubles(values, count, keys);
    uint64_t low = count == 0 ? 5 : keys[random_below(random, count)];
    uint64_t high = count == 0 ? 3 : keys[random_below(random, count)];
    size_t below = 7, under = 7, next = 0;
    size_t got = keys_between(values, count, low, high, kept, &below);
    for (size_t i = 0; i < count; i++) {
        under += keys[i] < low;
        if (keys[i] >= low && keys[i] <= high && (next >= got || kept[next++] != keys[i]))
            return false;
    }
    return next == got && under == below;
}

static void test_ranges(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 12);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++)
        for (size_t count = 0; kernels_choose((enum kernel_isa)isa) && count <= ROWS; count++)
            for (int round = 0; round < 20; round++)
                assert_true(is_as_plain(&random, count));
}

static void test_a_planted_mistake_is_found(void **state)
{
    (void)state;
    struct random_stream random;
    bool is_found = false;
    random_stream_init(&random, 13);
    fault_plant("kernel.between");
    for (size_t count = 1; count < 40; count++)
        is_found = is_found || !is_as_plain(&random, count);
    fault_clear();
    assert_true(is_found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_a_planted_mistake_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
