/* Decimals as integers: every double there is comes back bit by bit, by every variant; quotients by
 * multiplication are the division's; hostile bodies are refused. */
#include "storage/encoding/private.h"

#include "storage/base/random.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ALP_TAG 9
#define BODY BLOCK_HEADER_SIZE

static struct random_stream chance;
static union {
    double f[BLOCK_ROWS_MAX];
    uint64_t bits[BLOCK_ROWS_MAX];
} values;
static uint8_t validity[BLOCK_ROWS_MAX];
static struct writer out;
static struct block block;
static struct block_scratch scratch;
static struct block_encoded encoded;
static char *exact; /* the block at the end of its memory, so that one byte more is noticed */

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* --- shapes --- */

static double odd_value(void)
{
    static const uint64_t odd[] = {0x7ff8000000000000, 0x7ff8000000000123, 0xfff8000000000000,
                                   0x7ff0000000000001, 0xfff4000000000abc, 0x7ff0000000000000,
                                   0xfff0000000000000, 0x8000000000000000, 1,
                                   0x000fffffffffffff, 0x8000000000000001, 0x0010000000000000,
                                   0x7fefffffffffffff, 0xffefffffffffffff, 0x4320000000000000,
                                   0x431fffffffffffff, 0xc320000000000000, 0x4340000000000001};
    return of_bits(odd[random_below(&chance, array_count(odd))]);
}

static double cents(void)
{
    return (double)((int64_t)random_below(&chance, 200000000) - 100000000) / 100;
}

enum shape {
    SHAPE_CENTS,
    SHAPE_POSITIONS,
    SHAPE_ODD,
    SHAPE_MIXED,
    SHAPE_RANDOM,
    SHAPE_LONG,
    SHAPE_INTEGERS,
    SHAPE_SINGLES,
    SHAPE_WIDE_RANGE,
    SHAPE_COUNT
};

static double value_of(enum shape shape)
{
    uint64_t random = random_next(&chance);
    char text[40];
    switch (shape) {
    case SHAPE_CENTS:
        return cents();
    case SHAPE_POSITIONS:
        return ((double)(random % 180000000) - 90000000) / 1e6;
    case SHAPE_ODD:
        return odd_value();
    case SHAPE_MIXED:
        return random % 20 == 0 ? odd_value() : cents();
    case SHAPE_RANDOM:
        return of_bits(random);
    case SHAPE_LONG: /* 17 digits */
        snprintf(text, sizeof(text), "%u.%016llu", (unsigned)(random % 10),
                 (unsigned long long)(random_next(&chance) % 10000000000000000));
        return strtod(text, NULL);
    case SHAPE_INTEGERS: /* up to 2^63 */
        return (double)((int64_t)random >> random_below(&chance, 64));
    case SHAPE_SINGLES:
        return (float)((double)(random % 1000000) / 1000);
    case SHAPE_WIDE_RANGE:
    default:
        return (double)(random >> random_below(&chance, 63) & (DBL_MAX_EXP - 1)) *
               pow(10, (double)(random % 40) - 20);
    }
}

/* --- a block and what it says --- */

static void encode_as(const struct block_values *from, bool is_alp)
{
    struct encode_options options = {.forbidden = is_alp ? ~(1u << ALP_TAG) : 0};
    writer_reset(&out);
    block_encode(from, is_alp ? &options : NULL, &out, &encoded);
    free(exact);
    exact = malloc(out.size);
    memcpy(exact, out.data, out.size);
    assert_int_equal(
        block_open(slice_of(exact, out.size), BLOCK_FLOAT, from->row_count, &block, NULL), OK);
}

static bool is_row(const struct block_values *from, uint32_t row, uint64_t bits)
{
    return (from->validity != NULL && !from->validity[row]) || bits == values.bits[row];
}

static bool has_all(const struct block_values *from)
{
    uint64_t *read = malloc(BLOCK_VECTOR_ROWS * sizeof(*read)), one;
    uint32_t rows[BLOCK_VECTOR_ROWS], count = 0, gap = 1 + from->row_count / 700;
    bool is_same = true;
    scratch.tag = 0;
    for (uint32_t begin = 0; begin < from->row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t some = vector_rows_of(from->row_count, begin / BLOCK_VECTOR_ROWS);
        assert_int_equal(block_read(&block, begin, some, &scratch, read, NULL), OK);
        for (uint32_t i = 0; i < some; i++)
            is_same = is_same && is_row(from, begin + i, read[i]);
    }
    for (uint32_t row = from->row_count - 1; row < from->row_count && count < BLOCK_VECTOR_ROWS;
         row -= 1 + (uint32_t)random_below(&chance, gap))
        rows[BLOCK_VECTOR_ROWS - ++count] = row; /* the last row among them, ascending */
    const uint32_t *first = rows + BLOCK_VECTOR_ROWS - count;
    assert_int_equal(block_read_at(&block, first, count, &scratch, read, NULL), OK);
    for (uint32_t i = 0; i < count; i++) {
        is_same = is_same && is_row(from, first[i], read[i]);
        assert_int_equal(block_read_at(&block, &first[i], 1, &scratch, &one, NULL), OK);
        is_same = is_same && is_row(from, first[i], one);
    }
    free(read);
    return is_same;
}

static struct block_values fill(enum shape shape, uint32_t row_count, unsigned nulls)
{
    for (uint32_t row = 0; row < row_count; row++) {
        values.f[row] = value_of(shape);
        validity[row] = nulls == 1 ? random_below(&chance, 5) != 0 : nulls != 2;
    }
    return (struct block_values){.class = BLOCK_FLOAT,
                                 .row_count = row_count,
                                 .f = values.f,
                                 .validity = nulls == 0 ? NULL : validity};
}

/* Blocks of all variants are the same, bytes and reads. */
static void test_every_double(void **state)
{
    static const uint32_t lengths[] = {1,    2,    63,   64,   65,   127,  128,
                                       2047, 2048, 2049, 4096, 5000, 65536};
    (void)state;
    random_stream_init(&chance, 41);
    for (unsigned shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t length = 0; length < array_count(lengths); length++) {
            struct block_values from =
                fill((enum shape)shape, lengths[length], (shape + (unsigned)length) % 3);
            struct slice before = {0};
            char *copy = NULL;
            for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
                if (!kernels_choose((enum kernel_isa)isa))
                    continue;
                encode_as(&from, true);
                assert_int_equal(encoded.encoding, ALP_TAG);
                assert_true(has_all(&from));
                if (copy != NULL)
                    assert_true(slice_equal(before, writer_as_slice(&out)));
                free(copy);
                copy = malloc(out.size);
                memcpy(copy, out.data, out.size);
                before = slice_of(copy, out.size);
            }
            free(copy);
            encode_as(&from, false);
            assert_true(has_all(&from));
            assert_true(out.size <= 64 + lengths[length] / 8 + (uint64_t)lengths[length] * 8);
        }
    }
}

/* Digits at the edges of what fits, over every power: as strtod() has them. */
static void test_quotients(void **state)
{
    (void)state;
    random_stream_init(&chance, 43);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (int exponent = 0; exponent <= 18; exponent++) {
            for (uint32_t row = 0; row < BLOCK_ROWS_MAX; row++) {
                uint64_t digits = random_next(&chance) >> (13 + random_below(&chance, 40));
                digits = row % 16 == 0 ? (UINT64_C(1) << 51) - 1 - row / 16 : digits;
                values.f[row] = (double)digits / pow(10, exponent);
                if (row % 3 == 0)
                    values.f[row] = -values.f[row];
                if (row % 1024 == 1) {
                    char text[40];
                    snprintf(text, sizeof(text), "%llue-%d", (unsigned long long)digits, exponent);
                    assert_true(strtod(text, NULL) == fabs(values.f[row]));
                }
            }
            struct block_values from = {
                .class = BLOCK_FLOAT, .row_count = BLOCK_ROWS_MAX, .f = values.f};
            encode_as(&from, true);
            assert_true(has_all(&from));
        }
    }
}

static void test_sizes(void **state)
{
    static const struct {
        enum shape shape;
        const char *want;
        double bytes_max; /* a row */
    } cases[] = {{SHAPE_CENTS, "alp", 3.6},      {SHAPE_POSITIONS, "alp", 3.6},
                 {SHAPE_SINGLES, "alp", 2.6},    {SHAPE_RANDOM, "plain", 8.01},
                 {SHAPE_ODD, "dictionary", 0.7}, {SHAPE_MIXED, "alp", 4.6}};
    (void)state;
    random_stream_init(&chance, 44);
    for (size_t index = 0; index < array_count(cases); index++) {
        struct block_values from = fill(cases[index].shape, BLOCK_ROWS_MAX, 0);
        encode_as(&from, false);
        if (strcmp(encoding_name(encoded.encoding), cases[index].want) != 0 ||
            (double)out.size / BLOCK_ROWS_MAX > cases[index].bytes_max)
            fail_msg("case %zu: %s, %zu bytes", index, encoding_name(encoded.encoding), out.size);
    }
}

static void test_lost_exception_is_found(void **state)
{
    (void)state;
    random_stream_init(&chance, 45);
    struct block_values from = fill(SHAPE_MIXED, 3000, 0);
    encode_as(&from, true);
    assert_true(has_all(&from));
    fault_plant("alp.exception_lost");
    bool is_same = has_all(&from);
    fault_clear();
    assert_false(is_same);
}

/* --- hostile bodies --- */

static uint8_t *body_at(size_t offset)
{
    return (uint8_t *)exact + BODY + offset;
}

static void check_refused(uint32_t row_count)
{
    struct block other;
    assert_int_equal(block_open(slice_of(exact, out.size), BLOCK_FLOAT, row_count, &other, NULL),
                     ERR_CORRUPT);
}

static void check_lie(uint32_t row_count, size_t offset, uint8_t byte)
{
    uint8_t *place = body_at(offset), was = *place;
    *place = byte;
    check_refused(row_count);
    *place = was;
}

static void test_hostile_bodies(void **state)
{
    enum { ROWS = 3000, EXCEPTIONS = 30 };
    (void)state;
    random_stream_init(&chance, 46);
    struct block_values from = fill(SHAPE_CENTS, ROWS, 0);
    for (uint32_t i = 0; i < EXCEPTIONS; i++)
        values.f[i * 100 + 7] = NAN;
    encode_as(&from, true);
    uint32_t count = load_u32(body_at(4));
    assert_int_equal(count, EXCEPTIONS);
    size_t rows = out.size - BODY - align8(EXCEPTIONS * 10) + EXCEPTIONS * 8;
    assert_int_equal(load_u16(body_at(rows)), 7);
    check_lie(ROWS, 0, 19); /* exponent */
    check_lie(ROWS, 1, 2);  /* form */
    check_lie(ROWS, 4, 31); /* exceptions */
    check_lie(ROWS, 4, 0);
    check_lie(ROWS, 7, 1);           /* more than rows */
    check_lie(ROWS, 8 + 8 + 12, 65); /* width of the first vector */
    check_lie(ROWS, 8 + 8 + 12, 64);
    check_lie(ROWS, rows, 200);                       /* behind the next */
    check_lie(ROWS, rows + 2, 7);                     /* the same as the one before */
    check_lie(ROWS, rows + 2 * EXCEPTIONS - 1, 0xff); /* past the last row */
    for (size_t cut = 8; cut <= out.size; cut += 8) {
        struct block other;
        char *less = malloc(out.size - cut + 1);
        memcpy(less, exact, out.size - cut);
        assert_int_equal(
            block_open(slice_of(less, out.size - cut), BLOCK_FLOAT, ROWS, &other, NULL),
            ERR_CORRUPT);
        free(less);
    }
    /* Digits that no writer has: garbage, and the same of every variant. */
    memset(body_at(8 + 8), 0xa5, 8);
    uint64_t first[BLOCK_VECTOR_ROWS], read[BLOCK_VECTOR_ROWS];
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        struct block other;
        assert_int_equal(block_open(slice_of(exact, out.size), BLOCK_FLOAT, ROWS, &other, NULL),
                         OK);
        assert_int_equal(
            block_read(&other, 0, BLOCK_VECTOR_ROWS, NULL, isa == 0 ? first : read, NULL), OK);
        if (isa != 0)
            assert_memory_equal(first, read, sizeof(first));
    }
}

static int set_up(void **state)
{
    (void)state;
    writer_init(&out);
    block_scratch_init(&scratch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    writer_deinit(&out);
    block_scratch_deinit(&scratch);
    free(exact);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_double),   cmocka_unit_test(test_quotients),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_lost_exception_is_found),
        cmocka_unit_test(test_hostile_bodies),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
