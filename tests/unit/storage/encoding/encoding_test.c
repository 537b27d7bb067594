/* Blocks against a naive model: the values themselves. Every encoding is forced in turn on data of
 * many shapes, lengths and patterns of NULLs, by every instruction set. */
#include "storage/base/arena.h"
#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"
#include "storage/encoding/encoding.h"
#include "storage/encoding/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define TAG_COUNT 10
/* Sanitizers see one in so many of the long blocks. */
#ifdef FRESHET_CHECK
#define LONG_SHARE 12
#else
#define LONG_SHARE 1
#endif

static struct random_stream chance;
static uint32_t reached[4]; /* per class, bit per encoding */

/* --- shapes --- */

struct data {
    struct block_values values;
    int64_t integers[BLOCK_ROWS_MAX];
    uint8_t wide[BLOCK_ROWS_MAX * 16];
    struct slice text[BLOCK_ROWS_MAX];
    uint8_t validity[BLOCK_ROWS_MAX];
    char pool[(size_t)4 << 20];
};
static struct data data;

enum integer_shape {
    INTEGER_ZERO,
    INTEGER_RUNS,
    INTEGER_TIMES,
    INTEGER_MILLISECONDS,
    INTEGER_SKEWED,
    INTEGER_RANDOM,
    INTEGER_EXTREME,
    INTEGER_OUTLIER,
    INTEGER_FALLING,
    INTEGER_FAR_APART,
    INTEGER_CODES,
    INTEGER_SHAPE_COUNT
};

static int64_t integer_of(enum integer_shape shape, uint32_t row, int64_t before)
{
    uint64_t random = random_next(&chance);
    switch (shape) {
    case INTEGER_ZERO:
        return 0;
    case INTEGER_RUNS:
        return row % (1 + random % 64) != 0 ? before : (int64_t)(random >> 40);
    case INTEGER_TIMES:
        return (row == 0 ? INT64_C(1790000000000000) : before) + (int64_t)(random % 24);
    case INTEGER_MILLISECONDS:
        return (row == 0 ? INT64_C(1790000000000007) : before) + (int64_t)(random % 3) * 1000;
    case INTEGER_SKEWED:
        return (int64_t)(random % 100 < 95 ? random % 4 : random % 1000);
    case INTEGER_RANDOM:
        return (int64_t)random;
    case INTEGER_EXTREME:
        return random % 3 == 0 ? INT64_MIN : random % 3 == 1 ? INT64_MAX : 0;
    case INTEGER_OUTLIER:
        return row == 3000 ? INT64_MAX : (int64_t)(random % 16) - 8;
    case INTEGER_FALLING:
        return row == 0 ? INT64_MIN + 5 : (int64_t)((uint64_t)before - (random % 7) * 12);
    case INTEGER_FAR_APART:
        return (int64_t)hash_mix(random % 50);
    case INTEGER_CODES:
    default:
        return (int64_t)(random % 5000);
    }
}

static void fill_integers(uint32_t row_count, unsigned shape)
{
    data.values.class = BLOCK_INTEGER;
    data.values.i = data.integers;
    for (uint32_t row = 0; row < row_count; row++)
        data.integers[row] =
            integer_of((enum integer_shape)shape, row, row == 0 ? 0 : data.integers[row - 1]);
}

#define FLOAT_SHAPE_COUNT 8
static double float_of(unsigned shape)
{
    static const uint64_t odd[] = {0x7ff8000000000000, 0x7ff8000000000123, 0xfff8000000000000,
                                   0x7ff0000000000001, 0x8000000000000000, 0,
                                   0x7ff0000000000000, 0xfff0000000000000, 1};
    uint64_t random = random_next(&chance);
    double value;
    switch (shape) {
    case 0:
        return 2.5;
    case 1:
        memcpy(&value, &odd[random % array_count(odd)], sizeof(value));
        return value;
    case 2:
        return (double)(random % 100000) / 100;
    case 3:
        return (float)((double)(random % 1000000) / 3);
    case 4:
        return sqrt((double)(random % 12));
    case 5:
        memcpy(&value, &random, sizeof(value));
        return value;
    case 6:
        return (double)(random % 10000000) * 1e3;
    default:
        return exp((double)(random >> 11) * 0x1p-53 * 5);
    }
}

static void fill_floats(uint32_t row_count, unsigned shape)
{
    data.values.class = BLOCK_FLOAT;
    data.values.values = data.integers;
    for (uint32_t row = 0; row < row_count; row++) {
        double value = float_of(shape);
        memcpy(&data.integers[row], &value, sizeof(value));
    }
}

#define WIDE_SHAPE_COUNT 4
static void fill_wide(uint32_t row_count, unsigned shape)
{
    data.values.class = BLOCK_WIDE;
    data.values.wide = data.wide;
    for (uint32_t row = 0; row < row_count; row++) {
        uint64_t random = random_next(&chance);
        uint64_t seed = shape == 0 ? 7 : shape == 1 ? row / 100 : shape == 2 ? random % 40 : random;
        uint64_t words[2] = {hash_mix(seed), hash_mix(seed + 1)};
        memcpy(data.wide + (size_t)row * 16, words, sizeof(words));
    }
}

#define TEXT_SHAPE_COUNT 7
#define POOL_SHORT ((size_t)128 << 10) /* bytes that short texts are cut from */
static void fill_texts(uint32_t row_count, unsigned shape)
{
    data.values.class = BLOCK_TEXT;
    data.values.text = data.text;
    uint32_t few = 1 + (uint32_t)random_below(&chance, 70); /* of shape 6: bytes that occur */
    size_t pool_size = shape == 5 ? sizeof(data.pool) : POOL_SHORT;
    for (size_t i = 0; i < pool_size; i += 8) {
        uint64_t random = random_next(&chance);
        for (size_t k = 0; shape == 6 && k < 8; k++)
            data.pool[i + k] = (char)(200 - (random >> 8 * k & 255) % few);
        if (shape == 6)
            continue;
        if (shape < 4) /* words that repeat */
            memcpy(data.pool + i, &"the of  and http://www page "[random % 20], 8);
        else
            memcpy(data.pool + i, &random, 8);
    }
    for (uint32_t row = 0; row < row_count; row++) {
        uint64_t random = random_next(&chance);
        size_t size = shape == 0   ? 0
                      : shape == 1 ? 13
                      : shape == 5 ? (row < 2 ? (size_t)1 << 20 : random % 3)
                                   : random % 80 * (random >> 32 & 1);
        size_t offset = shape == 1 ? 0 : (random >> 8) % (pool_size - size);
        data.text[row] = slice_of(data.pool + offset, size);
    }
}

#define NULLS_COUNT 5
static void fill_nulls(uint32_t row_count, unsigned pattern)
{
    data.values.validity = pattern == 0 ? NULL : data.validity;
    for (uint32_t row = 0; row < row_count; row++) {
        uint64_t random = random_next(&chance);
        data.validity[row] = pattern == 1   ? 0
                             : pattern == 2 ? random % 10 != 0
                             : pattern == 3 ? row / 2048 % 2 == 0 && row != 0
                                            : 1;
    }
}

/* --- the model --- */

static bool is_valid(uint32_t row)
{
    return data.values.validity == NULL || data.values.validity[row] != 0;
}

static void check_value(const void *read, uint32_t index, uint32_t row)
{
    if (!is_valid(row))
        return;
    if (data.values.class == BLOCK_TEXT)
        assert_true(slice_equal(((const struct slice *)read)[index], data.text[row]));
    else if (data.values.class == BLOCK_WIDE)
        assert_memory_equal((const uint8_t *)read + (size_t)index * 16,
                            data.wide + (size_t)row * 16, 16);
    else
        assert_true(((const int64_t *)read)[index] == data.integers[row]);
}

static void check_zone(const struct block_encoded *encoded)
{
    uint32_t null_count = 0;
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (uint32_t row = 0; row < data.values.row_count; row++) {
        int64_t order = 0;
        null_count += !is_valid(row);
        if (!is_valid(row) || data.values.class == BLOCK_WIDE)
            continue;
        if (data.values.class == BLOCK_TEXT) {
            order = text_order(data.text[row]);
        } else if (data.values.class == BLOCK_FLOAT) {
            double value;
            memcpy(&value, &data.integers[row], sizeof(value));
            order = float_order(value);
        } else {
            order = data.integers[row];
        }
        min = order < min ? order : min;
        max = order > max ? order : max;
    }
    assert_int_equal(encoded->zone.null_count, null_count);
    assert_int_equal(encoded->zone.has_range, min <= max);
    if (min <= max) {
        assert_true(encoded->zone.min == min);
        assert_true(encoded->zone.max == max);
    }
}

static union {
    int64_t integers[BLOCK_VECTOR_ROWS];
    uint8_t wide[BLOCK_VECTOR_ROWS * 16];
    struct slice text[BLOCK_VECTOR_ROWS];
} values_read;

static void check_selection(uint32_t begin, uint32_t count, const uint32_t *selection,
                            uint32_t selected, const bool *want)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (want[i] && is_valid(begin + i)) {
            assert_true(at < selected);
            assert_int_equal(selection[at], i);
            at++;
        }
    }
    assert_int_equal(at, selected);
}

static void check_predicates(const struct block *block, uint32_t begin, uint32_t count)
{
    uint32_t selection[BLOCK_VECTOR_ROWS + SELECT_ROOM];
    bool want[BLOCK_VECTOR_ROWS];
    for (unsigned question = 0; question < 6; question++) {
        int64_t a = data.integers[random_below(&chance, data.values.row_count)];
        int64_t b = data.integers[random_below(&chance, data.values.row_count)];
        int64_t low = question == 0 ? INT64_MIN : a < b ? a : b;
        int64_t high = question == 1 ? INT64_MAX : a < b ? b : a;
        if (question == 2)
            low = high = a;
        if (question == 3 && low < INT64_MAX)
            low++;
        if (question == 4 && high > INT64_MIN)
            high--;
        for (uint32_t i = 0; i < count; i++)
            want[i] = data.integers[begin + i] >= low && data.integers[begin + i] <= high;
        check_selection(begin, count, selection,
                        block_select_range(block, begin, count, low, high, selection), want);
    }
}

static void check_codes(const struct block *block, uint32_t begin, uint32_t count)
{
    static uint64_t set[(1 << 24) / 64];
    uint32_t selection[BLOCK_VECTOR_ROWS + SELECT_ROOM], codes[BLOCK_VECTOR_ROWS];
    bool want[BLOCK_VECTOR_ROWS];
    int64_t low, high;
    if (!block_bounds(block, &low, &high) || low < 0 || high >= 1 << 24)
        return;
    block_read_codes(block, begin, count, codes);
    for (int64_t word = 0; word <= high / 64; word++)
        set[word] = random_next(&chance) & random_next(&chance);
    for (uint32_t i = 0; i < count; i++) {
        if (is_valid(begin + i))
            assert_int_equal(codes[i], data.integers[begin + i]);
        assert_true(codes[i] <= high);
        want[i] = set[codes[i] / 64] >> codes[i] % 64 & 1;
    }
    check_selection(begin, count, selection, block_select_set(block, begin, count, set, selection),
                    want);
}

static void check_sum(const struct block *block, uint32_t begin, uint32_t count)
{
    __int128 want = 0;
    for (uint32_t i = begin; i < begin + count; i++)
        want += is_valid(i) ? data.integers[i] : 0;
    assert_true(block_sum(block, begin, count) == want);
}

/* Rows of all vectors at once, as many as fit a batch. */
static void check_picks(const struct block *block, struct block_scratch *scratch)
{
    struct error error;
    uint32_t rows[BLOCK_VECTOR_ROWS], row_count = 0;
    uint64_t gap = 1 + block->row_count / 300 + random_below(&chance, 4000);
    for (uint32_t i = (uint32_t)random_below(&chance, gap);
         i < block->row_count && row_count < BLOCK_VECTOR_ROWS;
         i += 1 + (uint32_t)random_below(&chance, gap))
        rows[row_count++] = i;
    assert_int_equal(block_read_at(block, rows, row_count, scratch, &values_read, &error), OK);
    __int128 sum = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        check_value(&values_read, i, rows[i]);
        sum += block->class == BLOCK_INTEGER ? data.integers[rows[i]] : 0;
    }
    if (block->class == BLOCK_INTEGER && block->null_count == 0)
        assert_true(block_part_sum(block, &(struct block_part){.end = row_count, .rows = rows}) ==
                    sum);
}

static void check_vector(const struct block *block, uint32_t begin, uint32_t count,
                         struct block_scratch *scratch)
{
    struct error error;
    uint32_t rows[BLOCK_VECTOR_ROWS], row_count = 0;
    uint8_t validity[BLOCK_VECTOR_ROWS];
    assert_int_equal(block_read(block, begin, count, scratch, &values_read, &error), OK);
    bool has_nulls = block_validity(block, begin, count, validity);
    bool want_nulls = false;
    for (uint32_t i = 0; i < count; i++) {
        check_value(&values_read, i, begin + i);
        want_nulls |= !is_valid(begin + i);
        if (has_nulls)
            assert_int_equal(validity[i], is_valid(begin + i));
    }
    assert_int_equal(has_nulls, want_nulls);
    uint64_t gap = 1 + random_below(&chance, 300);
    for (uint32_t i = (uint32_t)random_below(&chance, gap); i < count;
         i += 1 + (uint32_t)random_below(&chance, gap))
        rows[row_count++] = begin + i;
    if (random_below(&chance, 2) == 0) /* with nothing of it in the scratch */
        scratch->tag = 0;
    assert_int_equal(block_read_at(block, rows, row_count, scratch, &values_read, &error), OK);
    for (uint32_t i = 0; i < row_count; i++)
        check_value(&values_read, i, rows[i]);
    if (data.values.class == BLOCK_INTEGER) {
        check_predicates(block, begin, count);
        check_codes(block, begin, count);
        check_sum(block, begin, count);
    }
}

static void count_pause(void *context)
{
    ++*(uint32_t *)context;
}

static void check_block(uint32_t forbidden)
{
    static struct writer out;
    static struct block_scratch scratch;
    struct block block;
    struct block_encoded encoded;
    struct error error;
    uint32_t pauses = 0;
    struct encode_options options = {
        .forbidden = forbidden, .pause = count_pause, .context = &pauses};
    writer_reset(&out);
    block_encode(&data.values, &options, &out, &encoded);
    assert_false(out.failed);
    assert_true(pauses > 0);
    struct slice bytes = writer_as_slice(&out);
    enum err result = block_open(bytes, data.values.class, data.values.row_count, &block, &error);
    if (result != OK)
        fail_msg("%s %s", encoding_name(encoded.encoding), error.text);
    assert_int_equal(block.encoding, encoded.encoding);
    reached[data.values.class] |= 1u << encoded.encoding;
    check_zone(&encoded);
    if (block.class != BLOCK_TEXT)
        check_picks(&block, &scratch);
    for (uint32_t begin = 0; begin < block.row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t count = block.row_count - begin;
        count = count < BLOCK_VECTOR_ROWS ? count : BLOCK_VECTOR_ROWS;
        check_vector(&block, begin, count, &scratch);
        if (begin == 0)
            check_vector(&block, begin, 1 + (uint32_t)random_below(&chance, count), &scratch);
    }
    /* Cut anywhere it is refused. */
    for (size_t cut = 8; cut <= bytes.size; cut += 8 + random_below(&chance, bytes.size / 4 + 1))
        assert_int_equal(block_open(slice_of(bytes.data, bytes.size - cut), data.values.class,
                                    data.values.row_count, &block, &error),
                         ERR_CORRUPT);
}

static const struct {
    void (*fill)(uint32_t row_count, unsigned shape);
    unsigned shape_count;
    uint32_t encodings; /* that it is to be seen in */
} classes[] = {
    [BLOCK_INTEGER] = {fill_integers, INTEGER_SHAPE_COUNT, 0x3f},
    [BLOCK_FLOAT] = {fill_floats, FLOAT_SHAPE_COUNT, 0x273},
    [BLOCK_WIDE] = {fill_wide, WIDE_SHAPE_COUNT, 0x73},
    [BLOCK_TEXT] = {fill_texts, TEXT_SHAPE_COUNT, 0x1e1},
};

static void test_every_encoding(void **state)
{
    static const uint32_t lengths[] = {1,    2,    31,   32,   33,    63,    64,   1023, 1024,
                                       1025, 2047, 2048, 2049, 65535, 65536, 4097, 20000};
    (void)state;
    unsigned turn = 0;
    random_stream_init(&chance, 11);
    for (unsigned class = 0; class < array_count(classes); class ++) {
        for (unsigned shape = 0; shape < classes[class].shape_count; shape++) {
            for (size_t length = 0; length < array_count(lengths); length++) {
                uint32_t rows = lengths[length];
                if (rows >= 5000 && (shape + length) % LONG_SHARE != 0)
                    continue;
                data.values.row_count = rows;
                classes[class].fill(rows, shape);
                fill_nulls(rows, turn % NULLS_COUNT);
                check_block(0);
                for (unsigned tag = 0; tag < TAG_COUNT; tag++, turn += tag == TAG_COUNT) {
                    fill_nulls(rows, turn++ % NULLS_COUNT);
                    if (rows < 5000 || (tag + shape + length) % 5 == 0)
                        check_block(~(1u << tag));
                }
            }
        }
        assert_int_equal(reached[class], classes[class].encodings);
    }
}

static void test_random_programs(void **state)
{
    uint64_t seed = getenv("FRESHET_SEED") == NULL ? 3 : strtoull(getenv("FRESHET_SEED"), NULL, 10);
    (void)state;
    random_stream_init(&chance, seed);
    for (int turn = 0; turn < 300; turn++) {
        unsigned class = (unsigned)random_below(&chance, array_count(classes));
        uint32_t rows = 1 + (uint32_t)random_below(&chance, turn % 50 == 0 ? 65536 : 3000);
        data.values.row_count = rows;
        classes[class].fill(rows, (unsigned)random_below(&chance, classes[class].shape_count));
        fill_nulls(rows, (unsigned)random_below(&chance, NULLS_COUNT));
        check_block((uint32_t)random_next(&chance) & (uint32_t)random_next(&chance));
    }
}

/* Bytes that no text of the sample has: one more, so many that numbers get wider, so many that no
 * alphabet is large enough. */
static void test_bytes_outside_of_the_sample(void **state)
{
    static const unsigned strangers[] = {1, 30, 60};
    static char odd[64];
    (void)state;
    random_stream_init(&chance, 15);
    data.values.row_count = 20000;
    for (size_t i = 0; i < array_count(strangers); i++) {
        fill_texts(data.values.row_count, 0);
        for (size_t at = 0; at < sizeof(data.pool); at++)
            data.pool[at] = "0123456789abcdef"[random_below(&chance, 16)];
        for (uint32_t row = 0; row < data.values.row_count; row++)
            data.text[row] = slice_of(data.pool + random_below(&chance, 1000), row % 50);
        for (unsigned k = 0; k < strangers[i]; k++)
            odd[k] = (char)(128 + k);
        data.text[15001] = slice_of(odd, strangers[i]);
        fill_nulls(data.values.row_count, 0);
        check_block(0);
        check_block(~(1u << 7));
    }
}

/* The smallest wins, and it is what one would expect. */
static void test_choice(void **state)
{
    static const struct {
        unsigned class, shape;
        const char *want;
        uint64_t bytes_max;
    } cases[] = {
        {BLOCK_INTEGER, INTEGER_ZERO, "constant", 40},
        {BLOCK_INTEGER, INTEGER_TIMES, "delta", 45000},
        {BLOCK_INTEGER, INTEGER_MILLISECONDS, "delta", 20000},
        {BLOCK_INTEGER, INTEGER_SKEWED, "dictionary", 52000},
        {BLOCK_INTEGER, INTEGER_CODES, "frame", 110000},
        {BLOCK_INTEGER, INTEGER_FAR_APART, "dictionary", 52000},
        {BLOCK_INTEGER, INTEGER_OUTLIER, "dictionary", 34000},
        {BLOCK_INTEGER, INTEGER_RANDOM, "plain", 525000},
        {BLOCK_FLOAT, 3, "plain", 263000},
        {BLOCK_FLOAT, 4, "dictionary", 35000},
        {BLOCK_FLOAT, 2, "alp", 140000},
        {BLOCK_FLOAT, 5, "plain", 525000},
        {BLOCK_FLOAT, 6, "alp", 200000},
        {BLOCK_WIDE, 1, "rle", 15000},
        {BLOCK_WIDE, 2, "dictionary", 52000},
        {BLOCK_WIDE, 3, "plain", 1049000},
        {BLOCK_TEXT, 1, "constant", 60},
        {BLOCK_TEXT, 3, "words", 450000},
        {BLOCK_TEXT, 4, "plain", 1500000},
        {BLOCK_TEXT, 6, "alphabet", 1150000},
    };
    (void)state;
    random_stream_init(&chance, 5);
    data.values.row_count = BLOCK_ROWS_MAX;
    data.values.validity = NULL;
    for (size_t index = 0; index < array_count(cases); index++) {
        struct writer out;
        struct block_encoded encoded;
        writer_init(&out);
        classes[cases[index].class].fill(BLOCK_ROWS_MAX, cases[index].shape);
        block_encode(&data.values, NULL, &out, &encoded);
        if (strcmp(encoding_name(encoded.encoding), cases[index].want) != 0 ||
            out.size > cases[index].bytes_max)
            fail_msg("case %zu: %s, %zu bytes", index, encoding_name(encoded.encoding), out.size);
        writer_deinit(&out);
    }
}

/* A scratch that held another block's texts at the same address is not taken for this one's. */
static void test_scratch_of_another_block(void **state)
{
    struct writer out;
    struct block block;
    struct block_encoded encoded;
    struct block_scratch scratch;
    struct encode_options options = {.forbidden = ~(1u << 6)};
    struct slice texts[2][2] = {{SLICE("one one one one"), SLICE("two")},
                                {SLICE("six six six six"), SLICE("ten")}};
    (void)state;
    writer_init(&out);
    block_scratch_init(&scratch);
    for (int turn = 0; turn < 2; turn++) {
        struct block_values values = {.class = BLOCK_TEXT, .row_count = 2, .text = texts[turn]};
        writer_reset(&out);
        block_encode(&values, &options, &out, &encoded);
        assert_int_equal(block_open(writer_as_slice(&out), BLOCK_TEXT, 2, &block, NULL), OK);
        assert_int_equal(block_read(&block, 0, 2, &scratch, &values_read, NULL), OK);
        assert_true(slice_equal(values_read.text[0], texts[turn][0]));
        assert_true(slice_equal(values_read.text[1], texts[turn][1]));
    }
    block_scratch_deinit(&scratch);
    writer_deinit(&out);
}

static void test_orders(void **state)
{
    static const double ascending[] = {-INFINITY, -1e300, -2.5,  -1e-300, 0,
                                       5e-324,    1,      1e300, INFINITY};
    static const char *const texts[] = {"", "\x01", "a", "aa", "ab", "b", "\xc3\xa9", "\xff\xff"};
    (void)state;
    for (size_t index = 0; index < array_count(ascending); index++) {
        assert_true(float_unorder(float_order(ascending[index])) == ascending[index]);
        assert_true(float_order(ascending[index]) < float_order(NAN));
        if (index > 0)
            assert_true(float_order(ascending[index - 1]) < float_order(ascending[index]));
    }
    assert_true(float_order(-0.0) == float_order(0.0));
    assert_true(float_order(-NAN) == float_order(NAN));
    for (size_t index = 1; index < array_count(texts); index++)
        assert_true(text_order(slice_from_cstr(texts[index - 1])) <
                    text_order(slice_from_cstr(texts[index])));
    assert_true(text_order(SLICE("12345678")) == text_order(SLICE("123456789")));
    assert_int_equal(block_class_of(TYPE_UUID), BLOCK_WIDE);
    assert_int_equal(block_class_of(TYPE_NUMERIC), BLOCK_INTEGER);
    assert_int_equal(block_class_of(TYPE_FLOAT4), BLOCK_FLOAT);
    assert_int_equal(block_class_of(TYPE_JSONB), BLOCK_TEXT);
    assert_string_equal(encoding_name(3), "delta");
    assert_string_equal(encoding_name(200), "unknown");
}

/* --- instruction sets --- */

/* Whole blocks by every instruction set, at the lengths where units and vectors end. */
static void test_blocks_by_instruction_set(void **state)
{
    static const uint32_t lengths[] = {1, 1023, 1024, 1025, 2047, 2048, 2049, 3000, 10000};
    (void)state;
    random_stream_init(&chance, 21);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (unsigned shape = 0; shape < INTEGER_SHAPE_COUNT; shape++) {
            for (size_t length = 0; length < array_count(lengths); length++) {
                data.values.row_count = lengths[length];
                fill_integers(lengths[length], shape);
                fill_nulls(lengths[length], (unsigned)length % NULLS_COUNT);
                check_block(0);
            }
        }
    }
}

/* Single rows of packed vectors of every width, with vectors of one value between them, by every
 * instruction set; the block lies at the end of its memory. */
static void check_width(unsigned width, uint32_t row_count)
{
    struct writer out;
    struct block block;
    struct block_encoded encoded;
    struct encode_options options = {.forbidden = ~(1u << 2)};
    static uint32_t rows[BLOCK_VECTOR_ROWS];
    uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
    for (uint32_t row = 0; row < row_count; row++) {
        bool is_constant = row / BLOCK_VECTOR_ROWS % 3 == 1;
        uint64_t value = row % 5 == 0 ? mask : random_next(&chance) & mask;
        data.integers[row] = (int64_t)(is_constant ? 7 : value);
    }
    data.values =
        (struct block_values){.class = BLOCK_INTEGER, .row_count = row_count, .i = data.integers};
    writer_init(&out);
    block_encode(&data.values, &options, &out, &encoded);
    assert_string_equal(encoding_name(encoded.encoding), "frame");
    char *exact = malloc(out.size);
    memcpy(exact, out.data, out.size);
    assert_int_equal(block_open(slice_of(exact, out.size), BLOCK_INTEGER, row_count, &block, NULL),
                     OK);
    for (uint32_t wanted = 1; wanted <= 300; wanted += wanted < 10 ? 1 : 61) {
        uint32_t count = wanted < row_count ? wanted : row_count;
        for (uint32_t i = 0; i < count; i++) /* the last row among them */
            rows[count - 1 - i] = row_count - 1 - (uint32_t)((uint64_t)i * row_count / count);
        assert_int_equal(block_read_at(&block, rows, count, NULL, &values_read, NULL), OK);
        for (uint32_t i = 0; i < count; i++)
            check_value(&values_read, i, rows[i]);
    }
    free(exact);
    writer_deinit(&out);
}

static void test_picks_of_every_width(void **state)
{
    static const uint32_t lengths[] = {1, 9, 31, 33, 1023, 1025, 2049, 4097, 6200};
    (void)state;
    random_stream_init(&chance, 31);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (unsigned width = 0; width <= 64; width++) {
            for (size_t length = 0; length < array_count(lengths); length++)
                check_width(width, lengths[length]);
        }
    }
}

static void test_a_fault_is_found(void **state)
{
    struct writer out;
    struct block block;
    struct block_encoded encoded;
    struct encode_options options = {.forbidden = ~(1u << 2)};
    __int128 sum = 0;
    (void)state;
    for (uint32_t row = 0; row < 2000; row++)
        sum += data.integers[row] = row * 7 % 1000;
    data.values =
        (struct block_values){.class = BLOCK_INTEGER, .row_count = 2000, .i = data.integers};
    for (int turn = 0; turn < 2; turn++) {
        writer_init(&out);
        if (turn == 0)
            fault_plant("packed.base_moved");
        block_encode(&data.values, &options, &out, &encoded);
        fault_clear();
        assert_int_equal(block_open(writer_as_slice(&out), BLOCK_INTEGER, 2000, &block, NULL), OK);
        assert_int_equal(block_sum(&block, 0, 2000) == sum, turn);
        writer_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_every_encoding),
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_bytes_outside_of_the_sample),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_scratch_of_another_block),
        cmocka_unit_test(test_blocks_by_instruction_set),
        cmocka_unit_test(test_picks_of_every_width),
        cmocka_unit_test(test_a_fault_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
