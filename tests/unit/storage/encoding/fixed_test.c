/* Sums of a dictionary's doubles in integers: as near to the sum as a compensated one comes, the
 * same with every instruction set, whatever part of a block is added up, and not taken where most
 * values are small beside the greatest. */
#include "storage/encoding/private.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS BLOCK_ROWS_MAX

static struct random_stream chance;
static double values[ROWS];
static int bits_right; /* of sums */
static struct writer out;
static struct block block;

static void make_block(void)
{
    struct block_values from = {.class = BLOCK_FLOAT, .row_count = ROWS, .values = values};
    struct encode_options options = {0};
    struct block_encoded encoded;
    struct error error;
    for (uint8_t tag = 0; tag < ENCODING_COUNT_MAX; tag++)
        if (encoding_name(tag) != NULL && strcmp(encoding_name(tag), "dictionary") != 0)
            options.forbidden |= 1u << tag;
    writer_reset(&out);
    block_encode(&from, &options, &out, &encoded);
    assert_string_equal(encoding_name(encoded.encoding), "dictionary");
    assert_int_equal(block_open(writer_as_slice(&out), BLOCK_FLOAT, ROWS, &block, &error), OK);
}

/* Few of the rows have the greatest value, the others one of `count` steps of `step`. */
static void fill(uint32_t count, double step, double greatest)
{
    for (uint32_t row = 0; row < ROWS; row++)
        values[row] = step * (double)random_below(&chance, count);
    values[ROWS / 2] = greatest;
    make_block();
}

/* With a long mantissa: what it loses itself is nothing beside what is asked. */
static bool is_near(uint32_t begin, uint32_t end, const struct float_total *total)
{
    long double sum = 0, lost = 0;
    for (uint32_t row = begin; row < end; row++) {
        long double next = sum + values[row], part = next - sum;
        lost += (sum - (next - part)) + (values[row] - part);
        sum = next;
    }
    long double wrong = total->sum - sum + (total->lost - lost);
    return fabsl(wrong) <= ldexpl(sum, -bits_right);
}

static bool check_part(uint32_t begin, uint32_t end)
{
    struct block_part part = {.begin = begin, .end = end};
    struct float_total first, other;
    struct error error;
    const struct kernels *before = kernels_chosen();
    assert_int_equal(block_part_total(&block, &part, NULL, &first, &error), OK);
    bool is = is_near(begin, end, &first);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        assert_int_equal(block_part_total(&block, &part, NULL, &other, &error), OK);
        is = is && memcmp(&first, &other, sizeof(first)) == 0;
    }
    assert_true(kernels_choose(before->isa));
    return is;
}

static bool check_parts(void)
{
    static const uint32_t lengths[] = {1, 7, 8, 9, 600, 2047, 2048, 2049, 10000, ROWS};
    bool is = true;
    for (size_t i = 0; i < array_count(lengths); i++) {
        uint32_t begin = (uint32_t)random_below(&chance, ROWS - lengths[i] + 1);
        is = check_part(begin, begin + lengths[i]) && is;
        is = check_part(0, lengths[i]) && is;
    }
    return is;
}

static bool check_all(void)
{
    static const uint32_t counts[] = {2, 9, 255, 256, 300, 4000, 4095, 4096, 5000};
    bool is = true;
    bits_right = 57; /* of a sum and what it lost */
    for (size_t i = 0; i < array_count(counts); i++) {
        fill(counts[i], 0.001, 0.001 * counts[i]);
        is = check_parts() && is;
    }
    fill(200, 1e-280, 1e-277); /* where no power of two is fit */
    is = check_parts() && is;
    fill(200, 1e280, 1e283);
    is = check_parts() && is;
    fill(200, 1e-265, 1e-262); /* and next to it */
    is = check_parts() && is;
    fill(200, 1e262, 1e265);
    is = check_parts() && is;
    bits_right = 53;
    fill(300, 0.1, 1e3); /* rows are small beside the greatest, more and more */
    is = check_parts() && is;
    fill(300, 0.1, 1e5);
    is = check_parts() && is;
    fill(300, 1.0 / 3, 1e12);
    bits_right = 47; /* as compensated sums have there */
    return check_parts() && is;
}

static void test_sums(void **state)
{
    (void)state;
    writer_init(&out);
    random_stream_init(&chance, 83);
    assert_true(check_all());
    fault_plant("fixed.small_kept");
    assert_false(check_all());
    fault_plant("fixed.rest_lost");
    assert_false(check_all());
    fault_clear();
    writer_deinit(&out);
}

/* Numbers near / 2^60 apart. */
static void test_integers(void **state)
{
    (void)state;
    double entries[] = {0, 0.25, 1.0 / 3, 0.5, 0.75, 0.8, 0.9, 0.95, 1 - 0x1p-53}, sum, lost;
    uint32_t codes[] = {1, 1, 3, 8, 0, 2, 2, 2, 3, 3, 3};
    uint64_t fixed[array_count(entries)];
    fixed_make((const uint8_t *)entries, array_count(entries), 1, fixed);
    assert_int_equal(fixed[0], 0);
    assert_int_equal(fixed[3], UINT64_C(1) << 59);
    assert_int_equal(fixed[8], (UINT64_C(1) << 60) - (1 << 7));
    unsigned __int128 all = fixed_sum(fixed, codes, array_count(codes));
    assert_true(all == 2 * fixed[1] + 4 * fixed[3] + fixed[8] + 3 * fixed[2]);
    assert_true(fixed_sum(fixed, codes, 0) == 0);
    assert_true(fixed_result(all, array_count(codes), 1, &sum, &lost));
    assert_true(fabs(sum - 4.5) < 1e-15 && fabs(lost) < 1e-15);
    assert_false(fixed_result((UINT64_C(1) << 50) - 1, 1, 1, &sum, &lost));
    assert_true(fixed_result(UINT64_C(1) << 50, 1, 1, &sum, &lost));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums),
                                       cmocka_unit_test(test_integers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
