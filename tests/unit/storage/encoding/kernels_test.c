/* Every instruction set's kernels against the plain ones; and sums of entries that begin at a
 * number above all of them lose nothing, in every variant. */
#include "storage/encoding/encoding.h"
#include "storage/encoding/kernels.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ENTRIES 300
#define ROWS 2048

static struct random_stream chance;

/* Multiples of 2^-20 add up without a loss in 128 bits. */
static bool is_exact(const struct kernels *kernels, uint32_t count, double scale)
{
    static double entries[ENTRIES];
    static uint32_t codes[ROWS];
    const struct kernels *base = kernels_of(KERNEL_BASE);
    double sum, lost, sum_base, lost_base;
    long double want = 0;
    for (uint32_t i = 0; i < ENTRIES; i++)
        entries[i] = (double)(random_next(&chance) >> (14 + random_below(&chance, 50))) * scale;
    entries[0] = 0x1p50 * scale; /* the most there may be */
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = (uint32_t)random_below(&chance, random_below(&chance, ENTRIES) + 1);
        want += entries[codes[i]];
    }
    const uint8_t *bytes = (const uint8_t *)entries;
    kernels->sum_near(bytes, codes, count, 0x1p50 * scale, &sum, &lost);
    base->sum_near(bytes, codes, count, 0x1p50 * scale, &sum_base, &lost_base);
    return sum == sum_base && lost == lost_base && (long double)sum + lost == want;
}

static void test_sums_near_a_power_of_two(void **state)
{
    (void)state;
    static const double scales[] = {1, 0x1p-20, 0x1p-900, 0x1p850};
    random_stream_init(&chance, 31);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
        for (size_t i = 0; kernels != NULL && i < sizeof(scales) / sizeof(scales[0]); i++) {
            for (uint32_t count = 0; count < 40; count++)
                assert_true(is_exact(kernels, count, scales[i]));
            assert_true(is_exact(kernels, ROWS, scales[i]));
            fault_plant("kernels.near_lost");
            assert_false(is_exact(kernels, ROWS, scales[i]));
            fault_clear();
        }
    }
}

static void check_unpack(const struct kernels *kernels, uint32_t width)
{
    static uint64_t values[UNIT_VALUES], wide[UNIT_VALUES];
    static uint32_t narrow_values[UNIT_VALUES], narrow[UNIT_VALUES];
    static uint8_t packed[UNIT_ROW_BYTES * 64 + 1]; /* read from an odd address */
    uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
    for (uint32_t i = 0; i < UNIT_VALUES; i++) {
        values[i] = random_next(&chance) & mask;
        narrow_values[i] = (uint32_t)values[i];
    }
    if (width <= 32) {
        if (width > 0)
            kernels->pack->pack32(narrow_values, width, packed + 1);
        kernels->pack->unpack32[width](packed + 1, narrow);
        assert_memory_equal(narrow, narrow_values, sizeof(narrow));
        if (width > 0)
            kernels_of(KERNEL_BASE)->pack->pack32(narrow_values, width, packed + 1);
        kernels->pack->unpack32[width](packed + 1, narrow);
        assert_memory_equal(narrow, narrow_values, sizeof(narrow));
        return;
    }
    kernels->pack->pack64(values, width, packed + 1);
    kernels_of(KERNEL_BASE)->pack->unpack64[width - 33](packed + 1, wide);
    assert_memory_equal(wide, values, sizeof(wide));
    kernels->pack->unpack64[width - 33](packed + 1, wide);
    assert_memory_equal(wide, values, sizeof(wide));
}

static void check_selects(const struct kernels *kernels, uint32_t count)
{
    const struct kernels *base = kernels_of(KERNEL_BASE);
    static uint32_t narrow[BLOCK_VECTOR_ROWS], got[BLOCK_VECTOR_ROWS + SELECT_ROOM],
        want[BLOCK_VECTOR_ROWS + SELECT_ROOM];
    static uint64_t wide[BLOCK_VECTOR_ROWS], set[1024];
    static const uint32_t limits[] = {0, 31, 63, 64, 255, 256, 511, 512, 65535};
    uint64_t low = random_next(&chance), span = random_next(&chance) >> random_below(&chance, 64);
    uint32_t selected;
    for (uint32_t i = 0; i < BLOCK_VECTOR_ROWS; i++) {
        wide[i] = low + (random_next(&chance) >> random_below(&chance, 64));
        narrow[i] = (uint32_t)wide[i];
    }
    selected = kernels->select32(narrow, count, (uint32_t)low, (uint32_t)span, got);
    assert_int_equal(selected, base->select32(narrow, count, (uint32_t)low, (uint32_t)span, want));
    assert_memory_equal(got, want, selected * sizeof(*got));
    selected = kernels->select64(wide, count, low, span, got);
    assert_int_equal(selected, base->select64(wide, count, low, span, want));
    assert_memory_equal(got, want, selected * sizeof(*got));
    for (size_t index = 0; index < array_count(limits); index++) {
        for (size_t word = 0; word < array_count(set); word++)
            set[word] = random_next(&chance);
        for (uint32_t i = 0; i < count; i++)
            narrow[i] = (uint32_t)random_below(&chance, limits[index] + 1);
        selected = kernels->select_set(narrow, count, set, limits[index], got);
        assert_int_equal(selected, base->select_set(narrow, count, set, limits[index], want));
        assert_memory_equal(got, want, selected * sizeof(*got));
    }
}

static void check_sums(const struct kernels *kernels, uint32_t count)
{
    static uint32_t narrow[BLOCK_VECTOR_ROWS];
    static int64_t wide[BLOCK_VECTOR_ROWS];
    uint32_t want32 = 0;
    __int128 want64 = 0;
    for (uint32_t i = 0; i < count; i++) {
        narrow[i] = (uint32_t)random_next(&chance);
        wide[i] = (int64_t)random_next(&chance) >> random_below(&chance, 64);
        wide[i] = random_below(&chance, 5) == 0 ? INT64_MIN : wide[i];
        want32 += narrow[i];
        want64 += wide[i];
    }
    assert_int_equal(kernels->sum32(narrow, count), want32);
    assert_true(kernels->sum64(wide, count) == want64);
}

static void check_widening(const struct kernels *kernels)
{
    static uint32_t values[100], codes[2][100];
    static uint64_t wide[2][100];
    const struct kernels *base = kernels_of(KERNEL_BASE);
    for (uint32_t i = 0; i < array_count(values); i++)
        values[i] = (uint32_t)random_next(&chance);
    for (uint64_t scale = 1; scale < 2000; scale += 999) {
        kernels->pack->widen(values, array_count(values), 77, scale, wide[0]);
        base->pack->widen(values, array_count(values), 77, scale, wide[1]);
        assert_memory_equal(wide[0], wide[1], sizeof(wide[0]));
        assert_true(wide[0][99] == 77 + values[99] * scale);
        kernels->pack->codes(values, array_count(values), 5, (uint32_t)scale, 1000000, codes[0]);
        base->pack->codes(values, array_count(values), 5, (uint32_t)scale, 1000000, codes[1]);
        assert_memory_equal(codes[0], codes[1], sizeof(codes[0]));
    }
}

/* All differences there are, of which 32 bits are kept. */
static void check_narrowing(const struct kernels *kernels)
{
    static uint64_t values[100];
    static uint32_t narrow[101];
    for (uint32_t count = 0; count <= array_count(values); count++) {
        for (uint32_t shift = 0; shift < 64; shift += 21) {
            uint64_t base = random_next(&chance);
            uint32_t factor = (uint32_t)random_next(&chance) | 1;
            for (uint32_t i = 0; i < count; i++)
                values[i] = base + (random_next(&chance) >> random_below(&chance, 64));
            narrow[count] = 77;
            kernels->pack->narrow(values, count, base, shift, factor, narrow);
            for (uint32_t i = 0; i < count; i++)
                assert_int_equal(narrow[i], (uint32_t)((values[i] - base) >> shift) * factor);
            assert_int_equal(narrow[count], 77);
        }
    }
}

static void test_kernels(void **state)
{
    (void)state;
    random_stream_init(&chance, 9);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
        if (kernels == NULL)
            continue;
        for (uint32_t width = 0; width <= 64; width++)
            check_unpack(kernels, width);
        for (uint32_t count = 0; count < 40; count++)
            check_selects(kernels, count);
        check_selects(kernels, BLOCK_VECTOR_ROWS);
        for (uint32_t count = 0; count < 40; count++)
            check_sums(kernels, count);
        check_sums(kernels, BLOCK_VECTOR_ROWS);
        check_widening(kernels);
        check_narrowing(kernels);
    }
}

/* Values and lengths of all sizes, and the largest of both. */
static void test_sums_of_lengths(void **state)
{
    (void)state;
    static uint32_t values[ROWS];
    static uint16_t lengths[ROWS];
    for (uint32_t count = 0; count <= ROWS; count += count < 70 ? 1 : 989) {
        uint64_t want_rows = 0, want = 0, rows, sum;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t any = random_next(&chance);
            values[i] = count % 3 == 0 ? UINT32_MAX : (uint32_t)(any >> 32 >> any % 32);
            lengths[i] = count % 3 == 0 ? 32768 : (uint16_t)((any >> 8 & UINT16_MAX) >> any % 16);
            want_rows += lengths[i];
            want += (uint64_t)values[i] * lengths[i];
        }
        for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
            const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
            if (kernels == NULL)
                continue;
            kernels->sum_lengths(values, lengths, count, &rows, &sum);
            assert_int_equal(rows, want_rows);
            assert_int_equal(sum, want);
        }
    }
}

/* What is behind the last value is left alone, the first one is not looked at. */
static bool are_steps(const struct kernels *kernels, uint32_t count, uint64_t step, uint64_t scale)
{
    static uint32_t values[ROWS];
    static uint64_t got[ROWS + 1];
    uint64_t value = random_next(&chance);
    bool is = true;
    for (uint32_t i = 0; i < ROWS; i++)
        values[i] = (uint32_t)(random_next(&chance) >> 43 >> (count % 2 == 0 ? 0 : i % 21));
    memset(got, 0x5a, sizeof(got));
    kernels->add_steps(values, count, value, step, scale, got);
    for (uint32_t i = 0; i < count; i++) {
        value += i == 0 ? 0 : step + values[i] * scale;
        is = is && got[i] == value;
    }
    return is && got[count] == UINT64_C(0x5a5a5a5a5a5a5a5a);
}

static bool are_all_steps(const struct kernels *kernels)
{
    bool is = true;
    for (uint32_t count = 1; count <= ROWS; count += count < 70 || count > ROWS - 5 ? 1 : 218) {
        is = are_steps(kernels, count, 0, 1) && is;
        is = are_steps(kernels, count, 1000, 1000) && is;
        is = are_steps(kernels, count, UINT64_MAX - 6, UINT64_C(1) << 40 | 7) && is;
    }
    return is;
}

static void test_steps(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
        if (kernels == NULL || kernels->add_steps == NULL)
            continue;
        assert_true(are_all_steps(kernels));
        fault_plant("kernels.carry_lost");
        assert_false(are_all_steps(kernels));
        fault_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_near_a_power_of_two), cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_sums_of_lengths), cmocka_unit_test(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
