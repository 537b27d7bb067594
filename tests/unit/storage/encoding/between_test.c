/* Rows of packed values in a range, found in registers: the same as unpacking and asking each
 * value, for every width, at the ends of the range, of a unit and of the selection. */
#include "storage/encoding/kernels.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MARK UINT32_C(0xdeadbeef)

static struct random_stream chance;

static uint32_t mask_of(uint32_t width)
{
    return width == 32 ? UINT32_MAX : (UINT32_C(1) << width) - 1;
}

/* What is behind the room that a selection has is left alone. */
static bool is_same(const struct kernels *kernels, const uint32_t *values, const uint8_t *unit,
                    uint32_t width, uint32_t count, uint32_t low, uint32_t span)
{
    uint32_t want[UNIT_VALUES], got[UNIT_VALUES + SELECT_ROOM + 1], wanted = 0;
    for (uint32_t i = 0; i < count; i++)
        if (values[i] - low <= span)
            want[wanted++] = i;
    got[wanted + SELECT_ROOM] = MARK;
    uint32_t found = kernels->select_packed(unit, width, count, low, span, got);
    return found == wanted && memcmp(want, got, wanted * sizeof(*want)) == 0 &&
           got[wanted + SELECT_ROOM] == MARK;
}

static bool check_width(const struct kernels *kernels, uint32_t width)
{
    static const uint32_t counts[] = {1,  2,  15, 16,  17,   31,   32,   33,
                                      63, 64, 65, 500, 1000, 1008, 1023, 1024};
    uint32_t values[UNIT_VALUES], mask = mask_of(width);
    uint8_t unit[UNIT_VALUES * sizeof(uint32_t)];
    bool is = true;
    for (uint32_t i = 0; i < UNIT_VALUES; i++)
        values[i] = (uint32_t)random_next(&chance) & mask;
    values[0] = 0;
    values[UNIT_VALUES - 1] = mask;
    kernels->pack->pack32(values, width, unit);
    for (uint32_t i = 0; i < array_count(counts); i++) {
        uint32_t count = counts[i], low = (uint32_t)random_next(&chance) & mask;
        is = is_same(kernels, values, unit, width, count, 0, mask) && is;       /* all */
        is = is_same(kernels, values, unit, width, count, 0, 0) && is;          /* the least */
        is = is_same(kernels, values, unit, width, count, mask, 0) && is;       /* the greatest */
        is = is_same(kernels, values, unit, width, count, low, 0) && is;        /* next to none */
        is = is_same(kernels, values, unit, width, count, low, mask / 2) && is; /* wraps, at 32 */
        is = is_same(kernels, values, unit, width, count, low, mask / 10) && is;
    }
    return is;
}

static bool check_all(void)
{
    bool is = true;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        const struct kernels *kernels = kernels_of((enum kernel_isa)isa);
        if (kernels == NULL || kernels->select_packed == NULL)
            continue;
        for (uint32_t width = 1; width <= 32; width++)
            is = check_width(kernels, width) && is;
    }
    return is;
}

static void test_every_width(void **state)
{
    (void)state;
    random_stream_init(&chance, 41);
    assert_true(check_all());
    fault_plant("kernels.no_vbmi2");
    assert_true(check_all());
    fault_clear();
    const struct kernels *best = kernels_chosen();
    fault_plant("kernels.hit_behind");
    assert_true(best->select_packed == NULL || !check_all());
    fault_clear();
}

/* A list of hits longer or shorter than a multiple of 64, dense and sparse. */
static void test_lists(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (kernels_of(KERNEL_AVX512) == NULL)
        return;
    for (uint32_t count = 0; count <= UNIT_VALUES; count++) {
        uint16_t hits[UNIT_VALUES / 16];
        uint32_t want[UNIT_VALUES], got[UNIT_VALUES + SELECT_ROOM], wanted = 0;
        uint32_t density = count % 5;
        for (uint32_t i = 0; i < UNIT_VALUES / 16; i++) {
            uint64_t bits = random_next(&chance);
            hits[i] = (uint16_t)(density == 0   ? 0
                                 : density == 1 ? bits & bits >> 16 & bits >> 32
                                 : density == 2 ? bits
                                 : density == 3 ? bits | bits >> 16 | bits >> 32
                                                : UINT16_MAX);
        }
        for (uint32_t i = 0; i < count; i++)
            if (hits[i / 16] >> i % 16 & 1)
                want[wanted++] = i;
        assert_int_equal(list_hits_avx512(hits, count, 0, got), wanted);
        assert_memory_equal(want, got, wanted * sizeof(*want));
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_width),
                                       cmocka_unit_test(test_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
