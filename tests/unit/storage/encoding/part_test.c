/* Sums, least and greatest of parts of blocks against the values that went in: every encoding that
 * integers and doubles have, runs and single rows, every instruction set. */
#include "storage/encoding/encoding.h"
#include "storage/base/bytes.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct random_stream chance;

/* What the block in hand was made of; doubles by their bits. */
static struct {
    int64_t integers[BLOCK_ROWS_MAX];
} data;

static double double_at(uint32_t row)
{
    double value;
    memcpy(&value, &data.integers[row], sizeof(value));
    return value;
}

static bool is_above(double a, double b)
{
    return a > b || (isnan(a) && !isnan(b));
}

static uint32_t part_row(const struct block_part *part, uint32_t place)
{
    return part->rows == NULL ? place : part->rows[place];
}

static void check_integers_of(const struct block *block, const struct block_part *part)
{
    __int128 sum = 0;
    int64_t low = INT64_MAX, high = INT64_MIN, least, greatest;
    for (uint32_t i = part->begin; i < part->end; i++) {
        int64_t value = data.integers[part_row(part, i)];
        sum += value;
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    const struct kernels *before = kernels_chosen();
    for (int isa = 0; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        assert_true(block_part_sum(block, part) == sum);
        block_part_range(block, part, &least, &greatest);
        assert_true(least == low && greatest == high);
    }
    assert_true(kernels_choose(before->isa));
}

static void check_doubles_of(const struct block *block, const struct block_part *part,
                             struct block_scratch *scratch)
{
    struct float_total total, other;
    struct error error;
    double low = double_at(part_row(part, part->begin)), high = low, least, greatest;
    double sum = 0, size = 0;
    for (uint32_t i = part->begin; i < part->end; i++) {
        double value = double_at(part_row(part, i));
        low = is_above(low, value) ? value : low;
        high = is_above(value, high) ? value : high;
        sum += value;
        size += fabs(value);
    }
    assert_int_equal(block_part_extremes(block, part, scratch, &least, &greatest, &error), OK);
    assert_memory_equal(&least, &low, sizeof(low));
    assert_memory_equal(&greatest, &high, sizeof(high));
    assert_int_equal(block_part_total(block, part, scratch, &total, &error), OK);
    if (isfinite(size) && size < 1e300)
        assert_true(fabs(total.sum + total.lost - sum) <= 1e-10 * size);
    for (int isa = 0; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *before = kernels_chosen();
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        assert_int_equal(block_part_total(block, part, scratch, &other, &error), OK);
        assert_int_equal(block_part_extremes(block, part, scratch, &least, &greatest, &error), OK);
        assert_true(kernels_choose(before->isa));
        assert_memory_equal(&least, &low, sizeof(low));
        assert_memory_equal(&greatest, &high, sizeof(high));
        if (isfinite(total.sum))
            assert_memory_equal(&other, &total, sizeof(total));
        assert_int_equal(other.infinite_count, total.infinite_count);
    }
}

/* Runs, and rows of the whole block by number, from one in two to one in thousands. */
static void check_parts(const struct block *block, struct block_scratch *scratch)
{
    static uint32_t rows[BLOCK_ROWS_MAX];
    struct block_part parts[2] = {0};
    parts[0].begin = (uint32_t)random_below(&chance, block->row_count);
    parts[0].end =
        parts[0].begin + 1 + (uint32_t)random_below(&chance, block->row_count - parts[0].begin);
    uint64_t gap = 1 + (random_next(&chance) >> 52 >> random_below(&chance, 12));
    parts[1].rows = rows;
    for (uint32_t i = (uint32_t)random_below(&chance, gap); i < block->row_count;
         i += 1 + (uint32_t)random_below(&chance, gap))
        rows[parts[1].end++] = i;
    for (size_t i = 0; i < array_count(parts) && block->null_count == 0; i++) {
        if (parts[i].begin == parts[i].end)
            continue;
        if (block->class == BLOCK_INTEGER)
            check_integers_of(block, &parts[i]);
        else if (block->class == BLOCK_FLOAT)
            check_doubles_of(block, &parts[i], scratch);
    }
}

/* --- blocks --- */

static int64_t integer_of(unsigned shape, uint32_t row)
{
    switch (shape) {
    case 0:
        return 7;
    case 1: /* runs */
        return (int64_t)(row / 50 * UINT64_C(0x9e3779b97f4a7c15));
    case 2: /* steps */
        return row == 0 ? -1000000 : data.integers[row - 1] + (int64_t)random_below(&chance, 9);
    case 3: /* few values far apart */
        return (int64_t)(random_below(&chance, 300) * UINT64_C(0x9e3779b97f4a7c15)) >> 2;
    case 4:
        return (int64_t)random_next(&chance);
    default:
        if (shape >= 20) /* every width that units have functions for, full of the largest too */
            return (int64_t)(random_next(&chance) & 3) == 0
                       ? (INT64_C(1) << (shape - 20)) - 1
                       : (int64_t)random_below(&chance, UINT64_C(1) << (shape - 20));
        return (int64_t)random_below(&chance, UINT64_C(1) << (shape * 3)) - 1000;
    }
}

static double double_of(unsigned shape)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e308, -1e308, 1e-310};
    switch (shape) {
    case 0:
        return 0.1;
    case 1: /* few values */
        return (double)random_below(&chance, 4000) / 1000;
    case 2:
        return random_below(&chance, 2) == 0 ? 0.0 : -0.0;
    case 3:
        return odd[random_below(&chance, array_count(odd))];
    case 4: /* what rounding loses: small beside large, of both signs */
        return random_below(&chance, 2) == 0 ? 1e15 + (double)random_below(&chance, 1000)
                                             : -1e15 - (double)random_below(&chance, 1000) / 7;
    case 5: /* decimals, and what is none */
        return random_below(&chance, 50) == 0 ? odd[random_below(&chance, array_count(odd))]
                                              : (double)random_below(&chance, 100000000) / 100;
    default:
        return (double)(int64_t)random_next(&chance) / 3;
    }
}

static uint32_t check_block(enum block_class class, unsigned shape, uint32_t row_count)
{
    static struct writer out;
    struct block_scratch scratch;
    struct block block;
    struct block_encoded encoded;
    struct block_values values = {.class = class, .row_count = row_count, .values = data.integers};
    struct error error;
    for (uint32_t row = 0; row < row_count; row++) {
        double value = class == BLOCK_FLOAT ? double_of(shape) : 0;
        if (class == BLOCK_FLOAT)
            memcpy(&data.integers[row], &value, sizeof(value));
        else
            data.integers[row] = integer_of(shape, row);
    }
    writer_reset(&out);
    block_encode(&values, NULL, &out, &encoded);
    assert_int_equal(block_open(writer_as_slice(&out), class, row_count, &block, &error), OK);
    block_scratch_init(&scratch);
    for (int i = 0; i < 4; i++)
        check_parts(&block, &scratch);
    block_scratch_deinit(&scratch);
    return 1u << encoded.encoding;
}

static void test_parts(void **state)
{
    static const uint32_t lengths[] = {1, 2, 1025, 2048, 2049, 20000, BLOCK_ROWS_MAX};
    (void)state;
    uint32_t integer_ways = 0, double_ways = 0;
    random_stream_init(&chance, 29);
    for (size_t i = 0; i < array_count(lengths); i++) {
        for (unsigned shape = 0; shape < (lengths[i] == 20000 ? 54u : 20u); shape++)
            integer_ways |= check_block(BLOCK_INTEGER, shape, lengths[i]);
        for (unsigned shape = 0; shape < 7; shape++)
            double_ways |= check_block(BLOCK_FLOAT, shape, lengths[i]);
    }
    assert_int_equal(integer_ways & 0x3f, 0x3f);
    assert_int_equal(double_ways & 0x231, 0x231);
}

/* A sum that overflows is told from one with infinite values. */
static void test_infinite(void **state)
{
    static const double rows[][3] = {
        {1e308, 1e308, 1}, {INFINITY, 1, 2}, {INFINITY, -INFINITY, 1}, {NAN, 1, 2}};
    static const uint64_t infinite_counts[] = {0, 1, 2, 0};
    (void)state;
    struct writer out;
    struct block_scratch scratch;
    block_scratch_init(&scratch);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct block_values values = {.class = BLOCK_FLOAT, .row_count = 3, .values = rows[i]};
        struct block_part part = {.end = 3};
        struct block_encoded encoded;
        struct block block;
        struct float_total total;
        struct error error;
        writer_init(&out);
        block_encode(&values, NULL, &out, &encoded);
        assert_int_equal(block_open(writer_as_slice(&out), BLOCK_FLOAT, 3, &block, &error), OK);
        assert_int_equal(block_part_total(&block, &part, &scratch, &total, &error), OK);
        assert_false(isfinite(total.sum) && isfinite(total.lost));
        assert_int_equal(total.infinite_count, infinite_counts[i]);
        writer_deinit(&out);
    }
    block_scratch_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_infinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
