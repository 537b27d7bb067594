/* What is made of a unit's values in registers: the same as of the values themselves, for every
 * width and instruction set, of units full of the least, of the greatest and of anything. */
#include "storage/encoding/encoding.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct random_stream chance;

/* What is not of the unit is other than 0, so that a look at it would be seen. */
struct made {
    uint64_t values[UNIT_VALUES];
    uint8_t room[2 * UNIT_ROW_BYTES + UNIT_VALUES * sizeof(uint64_t)];
    const uint8_t *unit;
};

static void make_unit(unsigned width, unsigned shape, struct made *out)
{
    const struct bitpack *pack = kernels_of(KERNEL_BASE)->pack;
    uint64_t mask = (UINT64_C(1) << (width - 1) << 1) - 1;
    uint32_t narrow[UNIT_VALUES];
    for (uint32_t i = 0; i < UNIT_VALUES; i++) {
        uint64_t any = random_next(&chance);
        out->values[i] = shape == 0 ? 0 : shape == 1 ? mask : shape == 2 ? any & mask : any % 3;
        out->values[i] &= mask;
        narrow[i] = (uint32_t)out->values[i];
    }
    memset(out->room, UINT8_MAX, sizeof(out->room));
    uint8_t *unit = out->room + 1 + random_below(&chance, UNIT_ROW_BYTES);
    if (width <= 32)
        pack->pack32(narrow, width, unit);
    else
        pack->pack64(out->values, width, unit);
    out->unit = unit;
}

static bool is_sum(const struct kernels *kernels, const struct made *made, unsigned width)
{
    uint64_t want = 0;
    for (uint32_t i = 0; i < UNIT_VALUES; i++)
        want += made->values[i];
    return kernels->fold->sum[width](made->unit) == want;
}

/* Extremes begin at what was before. */
static bool are_ends(const struct kernels *kernels, const struct made *made, unsigned width)
{
    struct lane_ends ends;
    uint32_t least[32], greatest[32];
    for (uint32_t lane = 0; lane < 32; lane++) {
        ends.least[lane] = least[lane] = lane == 3 ? 1 : UINT32_MAX;
        ends.greatest[lane] = greatest[lane] = lane == 5 ? UINT32_MAX - 1 : 0;
    }
    for (uint32_t i = 0; i < UNIT_VALUES; i++) {
        uint32_t value = (uint32_t)made->values[i];
        least[i % 32] = value < least[i % 32] ? value : least[i % 32];
        greatest[i % 32] = value > greatest[i % 32] ? value : greatest[i % 32];
    }
    kernels->fold->ends[width](made->unit, &ends);
    return memcmp(ends.least, least, sizeof(least)) == 0 &&
           memcmp(ends.greatest, greatest, sizeof(greatest)) == 0;
}

static bool are_codes(const struct kernels *kernels, const struct made *made, unsigned width,
                      uint32_t base, uint32_t limit)
{
    uint32_t got[UNIT_VALUES];
    bool is = true;
    kernels->pack->codes32[width](made->unit, base, limit, got);
    for (uint32_t i = 0; i < UNIT_VALUES; i++) {
        uint32_t code = base + (uint32_t)made->values[i];
        is = is && got[i] == (code < limit ? code : limit);
    }
    return is;
}

static void test_units(void **state)
{
    (void)state;
    static struct made made;
    random_stream_init(&chance, 53);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
        for (unsigned i = 0; kernels != NULL && i < FOLD_SUM_WIDTH_MAX * 4; i++) {
            unsigned width = i / 4 + 1;
            make_unit(width, i % 4, &made);
            assert_true(is_sum(kernels, &made, width));
            if (width > 32)
                continue;
            assert_true(are_ends(kernels, &made, width));
            assert_true(are_codes(kernels, &made, width, 0, UINT32_MAX));
            assert_true(are_codes(kernels, &made, width, 7, (UINT32_C(1) << (width - 1)) + 5));
            assert_true(are_codes(kernels, &made, width, UINT32_MAX - 1, 9)); /* wraps */
        }
    }
}

/* --- blocks, of which units are parts --- */

static struct {
    int64_t values[BLOCK_ROWS_MAX];
    struct writer out;
    struct block block;
} made_block;

/* Runs of equal values are five rows long, or thousands. */
static void make_block(const char *encoding, unsigned width, uint32_t row_count)
{
    bool has_runs = strcmp(encoding, "rle") == 0;
    uint32_t mean = row_count < BLOCK_ROWS_MAX && random_below(&chance, 4) == 0 ? 3000 : 5;
    struct block_values values = {
        .class = BLOCK_INTEGER, .row_count = row_count, .values = made_block.values};
    struct encode_options options = {0};
    struct block_encoded encoded;
    struct error error;
    for (uint8_t tag = 0; tag < ENCODING_COUNT_MAX; tag++)
        if (encoding_name(tag) != NULL && strcmp(encoding_name(tag), encoding) != 0)
            options.forbidden |= 1u << tag;
    for (uint32_t row = 0; row < row_count; row++)
        made_block.values[row] = has_runs && row > 0 && random_below(&chance, mean) != 0
                                     ? made_block.values[row - 1]
                                     : (int64_t)(random_next(&chance) >> (64 - width)) - 5;
    writer_reset(&made_block.out);
    block_encode(&values, &options, &made_block.out, &encoded);
    assert_int_equal(block_open(writer_as_slice(&made_block.out), BLOCK_INTEGER, row_count,
                                &made_block.block, &error),
                     OK);
}

static bool is_part(uint32_t begin, uint32_t end)
{
    struct block_part part = {.begin = begin, .end = end};
    __int128 sum = 0;
    int64_t low = INT64_MAX, high = INT64_MIN, least, greatest;
    for (uint32_t row = begin; row < end; row++) {
        int64_t value = made_block.values[row];
        sum += value;
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    block_part_range(&made_block.block, &part, &least, &greatest);
    return block_part_sum(&made_block.block, &part) == sum && least == low && greatest == high;
}

/* From and to all rows about where units and vectors end; of many rows a few of these. */
static bool are_parts(uint32_t row_count)
{
    static const uint32_t edges[] = {0,    1,    31,   32,   33,   63,   64,  65,
                                     1023, 1024, 1025, 2047, 2048, 2049, 3072};
    size_t step = row_count > 10000 ? 7 : 1;
    bool is = true;
    for (size_t i = 0; i < array_count(edges); i += step) {
        for (size_t k = 0; k < array_count(edges); k += step) {
            uint32_t end = row_count - (edges[k] < row_count ? edges[k] : 0);
            if (edges[i] < end)
                is = is_part(edges[i], end) && is;
        }
    }
    return is;
}

static void test_parts_of_blocks(void **state)
{
    static const uint32_t lengths[] = {1, 63, 64, 65, 1024, 2048, 3 * BLOCK_VECTOR_ROWS};
    (void)state;
    const struct kernels *before = kernels_chosen();
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (unsigned width = 1; width <= 63; width += width < 8 || width > 24 ? 1 : 4) {
            for (size_t i = 0; i < array_count(lengths); i++) {
                make_block("frame", width, lengths[i]);
                assert_true(are_parts(lengths[i]));
            }
            fault_plant("packed.lanes_lost");
            assert_true(width > 32 || !are_parts(lengths[array_count(lengths) - 1]));
            fault_plant("packed.rest_lost");
            assert_true(width > 60 || !are_parts(lengths[array_count(lengths) - 1]));
            fault_clear();
        }
    }
    assert_true(kernels_choose(before->isa));
    writer_deinit(&made_block.out);
}

static void test_runs_of_blocks(void **state)
{
    static const uint32_t lengths[] = {2, 65, 2049, 40000, BLOCK_ROWS_MAX};
    (void)state;
    const struct kernels *before = kernels_chosen();
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (unsigned width = 1; width <= 63; width += width < 8 ? 3 : 8) {
            for (size_t i = 0; i < array_count(lengths); i++) {
                make_block("rle", width, lengths[i]);
                assert_true(are_parts(lengths[i]));
            }
            fault_plant("rle.sum_off_by_one");
            assert_true(width > 32 || !are_parts(lengths[array_count(lengths) - 1]));
            fault_clear();
        }
    }
    assert_true(kernels_choose(before->isa));
    writer_deinit(&made_block.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_units),
                                       cmocka_unit_test(test_parts_of_blocks),
                                       cmocka_unit_test(test_runs_of_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
