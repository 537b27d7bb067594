/* Lists of rows as distances: random ones of every length by each instruction set, and bytes that
 * are no such list. */
#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"
#include "storage/index/bitmap_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 3000

static const enum kernel_isa isas[] = {KERNEL_BASE, KERNEL_AVX2, KERNEL_AVX512};

/* What was read has to be the same for all. */
static bool read_by_all(struct slice list, uint32_t count, uint32_t row_count, uint32_t *rows)
{
    uint32_t *first = NULL;
    bool was_good = false;
    enum kernel_isa chosen = kernels_chosen()->isa;
    for (size_t i = 0; i < array_count(isas); i++) {
        if (!kernels_choose(isas[i]))
            continue;
        bool is_good = deltas_read(list, count, row_count, rows);
        if (first == NULL) {
            was_good = is_good;
            first = memory_alloc((size_t)count * sizeof(*rows) + 1);
            if (is_good)
                memcpy(first, rows, count * sizeof(*rows));
        }
        assert_int_equal(is_good, was_good);
        if (is_good)
            assert_memory_equal(rows, first, count * sizeof(*rows));
    }
    memory_free(first);
    assert_true(kernels_choose(chosen));
    return was_good;
}

/* Distances below 2^bits, another number of bits for each stretch. */
static uint32_t make_list(struct random_stream *random, uint32_t count, uint32_t *rows,
                          struct writer *out)
{
    uint32_t row = 0, bits = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (random_below(random, 20) == 0)
            bits = 1 + (uint32_t)random_below(random, i % 3 == 0 ? 16 : 9);
        uint32_t delta = (uint32_t)random_below(random, UINT64_C(1) << bits) + (i > 0 ? 1 : 0);
        row += delta;
        rows[i] = row;
        writer_varint(out, delta);
    }
    return row;
}

/* How many instruction sets write other bytes, or count neighbours wrongly. */
static uint32_t write_by_all(const uint32_t *rows, uint32_t count, struct slice want)
{
    static uint8_t bytes[ROWS_MAX * DELTA_SIZE_MAX + DELTAS_ROOM];
    enum kernel_isa chosen = kernels_chosen()->isa;
    uint32_t wrong = 0, neighbours = rows[0] == 1;
    for (uint32_t i = 1; i < count; i++)
        neighbours += rows[i] - rows[i - 1] == 1;
    for (size_t i = 0; i < array_count(isas); i++) {
        uint32_t found;
        if (!kernels_choose(isas[i]))
            continue;
        size_t size = (size_t)(deltas_write(rows, count, bytes, &found) - bytes);
        wrong += !slice_equal(slice_of((char *)bytes, size), want) || found != neighbours;
    }
    assert_true(kernels_choose(chosen));
    return wrong;
}

static void test_fault_is_found(void **state)
{
    (void)state;
    static uint32_t rows[ROWS_MAX];
    struct random_stream random;
    struct writer out;
#if defined(__x86_64__)
    bool has_it = kernels_choose(KERNEL_AVX512) && __builtin_cpu_supports("avx512vbmi2");
#else
    bool has_it = false;
#endif
    if (!has_it)
        return;
    random_stream_init(&random, 13);
    writer_init(&out);
    (void)make_list(&random, ROWS_MAX, rows, &out);
    fault_plant("deltas.one_byte");
    uint32_t wrong = write_by_all(rows, ROWS_MAX, writer_as_slice(&out));
    fault_clear();
    assert_true(wrong > 0);
    writer_deinit(&out);
}

static void test_random_lists(void **state)
{
    (void)state;
    static uint32_t want[ROWS_MAX], rows[ROWS_MAX];
    struct random_stream random;
    random_stream_init(&random, 11);
    for (int turn = 0; turn < 400; turn++) {
        uint32_t count = 1 + (uint32_t)random_below(&random, turn % 2 == 0 ? 20 : ROWS_MAX);
        struct writer out;
        writer_init(&out);
        uint32_t last = make_list(&random, count, want, &out);
        struct slice list = slice_of(out.data, out.size);
        assert_int_equal(write_by_all(want, count, list), 0);
        assert_true(read_by_all(list, count, last + 1, rows));
        assert_memory_equal(rows, want, count * sizeof(*rows));
        assert_false(read_by_all(list, count, last, rows)); /* a row behind the last */
        assert_false(read_by_all(slice_of(out.data, out.size - 1), count, last + 1, rows));
        if (count > 1)
            assert_false(read_by_all(list, count - 1, last + 1, rows)); /* bytes are left */
        writer_deinit(&out);
    }
}

/* One distance of many is 0, or any byte is another one: each instruction set says the same. */
static void test_bad_lists(void **state)
{
    (void)state;
    static uint32_t rows[ROWS_MAX];
    struct random_stream random;
    uint8_t zeros[64];
    for (uint32_t at = 1; at < 20; at++) {
        memset(zeros, 1, sizeof(zeros));
        zeros[at] = 0;
        assert_false(read_by_all(slice_of(zeros, 20), 20, 1000, rows));
    }
    memset(zeros, 1, sizeof(zeros));
    zeros[0] = 0;
    assert_true(read_by_all(slice_of(zeros, 20), 20, 1000, rows));
    random_stream_init(&random, 12);
    for (int turn = 0; turn < 2000; turn++) {
        uint32_t count = 1 + (uint32_t)random_below(&random, 60);
        struct writer out;
        writer_init(&out);
        uint32_t last = make_list(&random, count, rows, &out);
        out.data[random_below(&random, out.size)] = (char)random_next(&random);
        (void)read_by_all(slice_of(out.data, out.size), count, last + 1, rows);
        writer_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lists),
        cmocka_unit_test(test_fault_is_found),
        cmocka_unit_test(test_bad_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
