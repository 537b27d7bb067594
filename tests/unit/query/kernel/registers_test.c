/* Hashes of integers and registers of sketches by every instruction set, beside their definition.
 */
#include "query/kernel/kernel.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define COUNT 300

static void add_by_definition(uint8_t *registers, uint64_t hash)
{
    uint8_t rank = 1;
    for (unsigned bit = 64 - REGISTERS_BITS; bit-- > 0 && (hash >> bit & 1) == 0;)
        rank++;
    if (registers[hash >> (64 - REGISTERS_BITS)] < rank)
        registers[hash >> (64 - REGISTERS_BITS)] = rank;
}

static void test_all(void **state)
{
    (void)state;
    static uint8_t got[REGISTERS_COUNT], want[REGISTERS_COUNT], others[REGISTERS_COUNT];
    static const uint64_t edges[] = {0,
                                     1,
                                     UINT64_MAX,
                                     (uint64_t)1 << 63,
                                     (uint64_t)1 << (64 - REGISTERS_BITS),
                                     ((uint64_t)1 << (64 - REGISTERS_BITS)) - 1};
    struct random_stream random;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        random_stream_init(&random, 7);
        memset(got, 0, sizeof(got));
        memset(want, 0, sizeof(want));
        for (size_t count = 0; count <= COUNT; count++) {
            int64_t values[COUNT];
            uint64_t hashes[COUNT + 1];
            for (size_t i = 0; i < count; i++)
                values[i] = (int64_t)random_next(&random) >> random_below(&random, 64);
            hashes[count] = 77;
            hash_ints(values, count, hashes);
            assert_int_equal(hashes[count], 77);
            for (size_t i = 0; i < count; i++)
                assert_true(hashes[i] == hash_mix((uint64_t)values[i]));
            for (size_t i = 0; i < count; i++) /* few leading bits: high ranks */
                hashes[i] =
                    i < array_count(edges)
                        ? edges[i]
                        : hashes[i] & ~(UINT64_MAX >> REGISTERS_BITS >> random_below(&random, 51));
            registers_add(got, hashes, count);
            for (size_t i = 0; i < count; i++)
                add_by_definition(want, hashes[i]);
            assert_memory_equal(got, want, sizeof(got));
        }
        for (size_t i = 0; i < REGISTERS_COUNT; i++) {
            others[i] = (uint8_t)random_below(&random, 52);
            want[i] = got[i] > others[i] ? got[i] : others[i];
        }
        registers_max(got, others);
        assert_memory_equal(got, want, sizeof(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
