/* Rows whose code is in a set: the same as asking each code, for every width and instruction set,
 * where units and vectors end, of sets with no run of codes, one, few and many. */
#include "storage/encoding/encoding.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS (2 * BLOCK_VECTOR_ROWS)
#define WIDTH_MAX 18
#define HIGH_PLACE 24 /* of a block's greatest value, in its header */

static struct random_stream chance;
static int64_t codes[ROWS];
static uint64_t set[((2u << WIDTH_MAX) + 64) / 64];
static struct writer out;
static struct block block;

static void make_block(unsigned width, uint32_t base, uint32_t row_count)
{
    struct block_values values = {.class = BLOCK_INTEGER, .row_count = row_count, .values = codes};
    struct encode_options options = {0};
    struct block_encoded encoded;
    struct error error;
    for (uint8_t tag = 0; tag < ENCODING_COUNT_MAX; tag++)
        if (encoding_name(tag) != NULL && strcmp(encoding_name(tag), "frame") != 0)
            options.forbidden |= 1u << tag;
    for (uint32_t row = 0; row < row_count; row++)
        codes[row] = base + (int64_t)random_below(&chance, UINT64_C(1) << width);
    codes[0] = base;
    codes[row_count - 1] = base + (INT64_C(1) << width) - 1;
    writer_reset(&out);
    block_encode(&values, &options, &out, &encoded);
    assert_int_equal(block_open(writer_as_slice(&out), BLOCK_INTEGER, row_count, &block, &error),
                     OK);
}

static void set_run(uint64_t begin, uint64_t end)
{
    for (uint64_t code = begin; code < end && code / 64 < array_count(set); code++)
        set[code / 64] |= UINT64_C(1) << code % 64;
}

/* Shapes 0 … 6 have so many runs about where the codes are; then sets of single codes, the first
 * and the last, half of all, a quarter. */
static void make_set(unsigned shape, unsigned width, uint32_t base)
{
    uint64_t span = UINT64_C(1) << width;
    memset(set, 0, sizeof(set));
    for (unsigned run = 0; shape <= 6 && run < shape; run++) {
        uint64_t begin = base + run * span / shape;
        set_run(begin, begin + 1 + random_below(&chance, span / shape / 2 + 1));
    }
    for (unsigned i = 0; shape == 7 && i < 3; i++) {
        uint64_t code = base + random_below(&chance, span);
        set_run(code, code + 1);
    }
    if (shape == 8) {
        set_run(base, base + 1);
        set_run(base + span - 1, base + span);
    }
    if (shape == 10) /* ends where the codes of half a block do */
        set_run(base + span / 4, base + span / 2);
    for (size_t i = 0; shape == 9 && i < array_count(set); i++)
        set[i] = random_next(&chance);
}

/* Codes above `limit` count as it; what is behind the room of a selection is left alone. */
static bool is_same(uint32_t row_count, uint32_t limit)
{
    uint32_t want[BLOCK_VECTOR_ROWS], got[BLOCK_VECTOR_ROWS + SELECT_ROOM + 1];
    bool is = true;
    for (uint32_t begin = 0; begin < row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t left = row_count - begin, wanted = 0;
        left = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
        for (uint32_t i = 0; i < left; i++) {
            uint64_t code = (uint64_t)codes[begin + i];
            code = code < limit ? code : limit;
            if (set[code / 64] >> code % 64 & 1)
                want[wanted++] = i;
        }
        got[wanted + SELECT_ROOM] = 0xdeadbeef;
        uint32_t found = block_select_set(&block, begin, left, set, got);
        is = is && found == wanted && memcmp(want, got, wanted * sizeof(*want)) == 0 &&
             got[wanted + SELECT_ROOM] == 0xdeadbeef;
    }
    return is;
}

/* And with a block that says of itself that its codes end before they do. */
static bool check_block(unsigned width, uint32_t base, uint32_t row_count)
{
    struct error error;
    bool is = true;
    uint64_t top = base + (UINT64_C(1) << width) - 1;
    make_block(width, base, row_count);
    for (unsigned shape = 0; shape <= 10; shape++) {
        make_set(shape, width, base);
        is = is_same(row_count, (uint32_t)top) && is;
    }
    uint64_t limit = base + ((UINT64_C(1) << width) - 1) / 2, low = 0;
    memcpy(out.data + HIGH_PLACE - 8, &low, sizeof(low));
    memcpy(out.data + HIGH_PLACE, &limit, sizeof(limit));
    assert_int_equal(block_open(writer_as_slice(&out), BLOCK_INTEGER, row_count, &block, &error),
                     OK);
    for (unsigned shape = 0; shape <= 10; shape++) {
        make_set(shape, width, base);
        is = is_same(row_count, (uint32_t)limit) && is;
    }
    return is;
}

static bool check_all(void)
{
    static const uint32_t lengths[] = {2, 63, 64, 65, 1023, 1025, BLOCK_VECTOR_ROWS, ROWS};
    bool is = true;
    for (unsigned width = 1; width <= WIDTH_MAX; width++) {
        for (size_t i = 0; i < array_count(lengths); i++) {
            is = check_block(width, 0, lengths[i]) && is;
            is = check_block(width, 1 + (uint32_t)random_below(&chance, 200), lengths[i]) && is;
        }
    }
    return is;
}

static void test_sets(void **state)
{
    (void)state;
    const struct kernels *before = kernels_chosen();
    random_stream_init(&chance, 61);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        assert_true(check_all());
        fault_plant("kernels.no_vbmi2");
        assert_true(check_all());
        fault_clear();
        fault_plant("packed.set_limit_lost");
        assert_false(check_all());
        fault_clear();
    }
    assert_true(kernels_choose(before->isa));
    writer_deinit(&out);
}

/* Runs and sets of every size a variant tells apart, of codes that are there already. */
static void test_unpacked(void **state)
{
    (void)state;
    static const uint32_t limits[] = {0, 63, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 70000};
    static uint32_t values[ROWS];
    uint32_t want[ROWS + SELECT_ROOM], got[ROWS + SELECT_ROOM];
    const struct kernels *base = kernels_of(KERNEL_BASE);
    for (size_t i = 0; i < array_count(limits); i++) {
        struct value_run runs[SELECT_RUNS];
        for (uint32_t run = 0; run < SELECT_RUNS; run++) {
            runs[run].low = (uint32_t)random_below(&chance, limits[i] + 1);
            runs[run].span = (uint32_t)random_below(&chance, limits[i] / 8 + 1);
        }
        make_set(9, 1, 0);
        for (uint32_t row = 0; row < ROWS; row++)
            values[row] = (uint32_t)random_below(&chance, limits[i] + 1);
        for (int isa = KERNEL_AVX2; isa < KERNEL_ISA_COUNT; isa++) {
            const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
            for (uint32_t count = 0; kernels != NULL && count <= ROWS;
                 count += count < 70 ? 1 : 671) {
                uint32_t found = base->select_set(values, count, set, limits[i], want);
                assert_int_equal(kernels->select_set(values, count, set, limits[i], got), found);
                assert_memory_equal(want, got, found * sizeof(*want));
                found = base->select_runs(values, count, runs, want);
                assert_int_equal(kernels->select_runs(values, count, runs, got), found);
                assert_memory_equal(want, got, found * sizeof(*want));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sets),
                                       cmocka_unit_test(test_unpacked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
