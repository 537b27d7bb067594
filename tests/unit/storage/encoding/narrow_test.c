/* Hits found 64 or 32 values at a time: the same as asking each value, for every width there is a
 * form for, at the ends of ranges, tables, units and vectors. */
#include "storage/encoding/kernels.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/encoding/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ROWS BLOCK_VECTOR_ROWS
#define TABLE_WORDS ((1u << PACKED_SET_WIDTH_MAX) / 64)

static struct random_stream chance;
static uint32_t values[ROWS];
static uint8_t units[ROWS * sizeof(uint32_t)];
static uint16_t hits[ROWS / 16];
static const uint32_t counts[] = {1,  2,  15,  16,   17,   31,   32,   33,   63,
                                  64, 65, 500, 1023, 1024, 1025, 1100, 2047, ROWS};

static void fill(uint32_t width)
{
    const struct kernels *kernels = kernels_of(KERNEL_BASE);
    uint32_t mask = (UINT32_C(1) << width) - 1;
    for (uint32_t i = 0; i < ROWS; i++)
        values[i] = (uint32_t)random_next(&chance) & mask;
    values[0] = values[UNIT_VALUES] = 0;
    values[ROWS - 1] = values[UNIT_VALUES - 1] = mask;
    for (uint32_t done = 0; done < ROWS; done += UNIT_VALUES)
        kernels->pack->pack32(values + done, width,
                              units + (size_t)done / UNIT_VALUES * UNIT_ROW_BYTES * width);
}

static bool is_hit(uint32_t row)
{
    return hits[row / 16] >> row % 16 & 1;
}

static bool check_range(uint32_t width, uint32_t count, uint32_t low, uint32_t span)
{
    bool is = narrow_find_range(units, width, count, low, span, hits);
    for (uint32_t row = 0; row < count; row++)
        is = is && is_hit(row) == (values[row] - low <= span);
    return is;
}

static bool check_ranges(void)
{
    bool is = true;
    for (uint32_t width = 1; width <= 8; width++) {
        uint32_t mask = (1u << width) - 1;
        fill(width);
        for (uint32_t low = 0; low <= mask; low += 1 + low / 8)
            for (uint32_t span = 0; span <= mask - low; span += 1 + span / 4)
                is = check_range(width, ROWS, low, span) && is;
        for (size_t i = 0; i < array_count(counts); i++) {
            is = check_range(width, counts[i], 0, mask) && is;
            is = check_range(width, counts[i], mask, 0) && is;
            is = check_range(width, counts[i], mask, 255 - mask) && is; /* behind all values */
            is = check_range(width, counts[i], mask / 2, mask / 2) && is;
        }
    }
    return is;
}

/* A table has bits behind those of its width too, which are nobody's. */
static bool check_table(uint32_t width, uint32_t count, const uint64_t *table)
{
    bool is = narrow_find_set(units, width, count, table, hits);
    for (uint32_t row = 0; row < count; row++)
        is = is && is_hit(row) == (table[values[row] / 64] >> values[row] % 64 & 1);
    return is;
}

static bool check_tables(void)
{
    uint64_t table[TABLE_WORDS + 1];
    bool is = true;
    for (uint32_t width = 1; width <= PACKED_SET_WIDTH_MAX; width++) {
        if (width == 9) /* between.c has a register for it */
            continue;
        uint32_t mask = (1u << width) - 1;
        fill(width);
        for (size_t i = 0; i < array_count(counts); i++) {
            for (size_t word = 0; word < array_count(table); word++)
                table[word] = random_next(&chance);
            is = check_table(width, counts[i], table) && is;
            memset(table, 0, sizeof(table));
            is = check_table(width, counts[i], table) && is;
            table[mask / 64] = UINT64_C(1) << mask % 64;
            is = check_table(width, counts[i], table) && is;
            table[values[i] / 64] |= UINT64_C(1) << values[i] % 64;
            is = check_table(width, counts[i], table) && is;
        }
    }
    return is;
}

static bool check_runs(uint32_t width, uint32_t count, const struct value_run *runs)
{
    bool is = narrow_find_runs(units, width, count, runs, hits);
    for (uint32_t row = 0; row < count; row++) {
        bool is_wanted = false;
        for (uint32_t run = 0; run < SELECT_RUNS; run++)
            is_wanted = is_wanted || values[row] - runs[run].low <= runs[run].span;
        is = is && is_hit(row) == is_wanted;
    }
    return is;
}

static bool check_all_runs(void)
{
    bool is = true;
    for (uint32_t width = PACKED_RUNS_WIDTH_MIN; width <= PACKED_RUNS_WIDTH_MAX; width++) {
        uint32_t mask = (1u << width) - 1;
        fill(width);
        for (size_t i = 0; i < array_count(counts); i++) {
            struct value_run runs[SELECT_RUNS] = {{0, 0}, {mask, 0}, {mask / 2, mask - mask / 2}};
            runs[3].low = (uint32_t)random_below(&chance, mask);
            runs[3].span = (uint32_t)random_below(&chance, mask - runs[3].low);
            is = check_runs(width, counts[i], runs) && is;
            runs[2] = runs[0];
            is = check_runs(width, counts[i], runs) && is;
        }
        is = check_runs(width, ROWS, (struct value_run[SELECT_RUNS]){{0, mask}}) && is;
    }
    return is;
}

static bool is_there(void)
{
    return kernels_of(KERNEL_AVX512) != NULL && narrow_find_range(units, 1, 1, 0, 0, hits);
}

static void test_ranges(void **state)
{
    (void)state;
    random_stream_init(&chance, 71);
    if (!is_there())
        return;
    assert_true(check_ranges());
    fault_plant("narrow.range_short");
    assert_false(check_ranges());
    fault_clear();
}

static void test_tables(void **state)
{
    (void)state;
    if (!is_there())
        return;
    assert_true(check_tables());
    fault_plant("narrow.table_shifted");
    assert_false(check_tables());
    fault_clear();
}

static void test_runs(void **state)
{
    (void)state;
    if (!is_there())
        return;
    assert_true(check_all_runs());
    fault_plant("narrow.runs_lost");
    assert_false(check_all_runs());
    fault_clear();
}

/* What it leaves to others. */
static void test_not_here(void **state)
{
    (void)state;
    uint64_t table[TABLE_WORDS] = {0};
    if (!is_there())
        return;
    assert_false(narrow_find_range(units, 9, ROWS, 0, 1, hits));
    assert_false(narrow_find_range(units, 8, ROWS, 200, 56, hits)); /* ends behind 255 */
    assert_false(narrow_find_range(units, 8, ROWS, 256, 0, hits));
    assert_false(narrow_find_set(units, 9, ROWS, table, hits));
    assert_int_equal(packed_set_width_max_avx512(), PACKED_SET_WIDTH_MAX);
    fault_plant("kernels.no_vbmi2");
    assert_false(narrow_find_range(units, 8, ROWS, 0, 1, hits));
    assert_false(narrow_find_set(units, 8, ROWS, table, hits));
    assert_false(narrow_find_runs(units, 10, ROWS, (struct value_run[SELECT_RUNS]){{0, 0}}, hits));
    assert_int_equal(packed_set_width_max_avx512(), PACKED_SET_WIDTH_MAX_PLAIN);
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges), cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_runs),
                                       cmocka_unit_test(test_not_here)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
