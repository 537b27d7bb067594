/* Fuzz target: bytes as a block. Whatever they are, it is refused or every read stays inside, and
 * codes stay at or below what block_bounds() says.
 *
 * Byte 0: class (2 bits), 4: mend the header's class and row count. Bytes 1 and 2: rows, less 1. */
#include "storage/base/hash.h"
#include "storage/base/random.h"
#include "storage/encoding/encoding.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static void select_codes(const struct block *block, uint32_t begin, uint32_t count)
{
    uint32_t selection[BLOCK_VECTOR_ROWS + 16], codes[BLOCK_VECTOR_ROWS];
    int64_t low, high;
    bool has_range = block_bounds(block, &low, &high);
    uint32_t selected = block_select_range(block, begin, count, low / 2, high - 1, selection);
    assert(selected <= count);
    selected = block_select_range(block, begin, count, INT64_MIN, INT64_MAX, selection);
    assert(selected <= count);
    if (low < 0 || high >= 1 << 20 || (!has_range && high != 0))
        return;
    uint64_t *set = malloc(((size_t)high / 64 + 1) * sizeof(*set)); /* no word more */
    memset(set, 0x5a, ((size_t)high / 64 + 1) * sizeof(*set));
    block_read_codes(block, begin, count, codes);
    for (uint32_t i = 0; i < count; i++)
        assert(codes[i] <= high);
    selected = block_select_set(block, begin, count, set, selection);
    assert(selected <= count);
    for (uint32_t i = 0; i < selected; i++)
        assert(selection[i] < count && (i == 0 || selection[i - 1] < selection[i]));
    free(set);
}

static uint64_t touched; /* of all texts: what is read is not left out */

static uint64_t touch(const struct block *block, const struct slice *text, uint32_t count)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; block->class == BLOCK_TEXT && i < count; i++) {
        if (text[i].size > 0)
            hash ^= hash64(text[i].data, text[i].size);
    }
    return hash;
}

static void read_all(const struct block *block)
{
    static struct slice out[BLOCK_VECTOR_ROWS]; /* the widest class */
    uint8_t validity[BLOCK_VECTOR_ROWS];
    struct block_scratch scratch;
    struct error error;
    block_scratch_init(&scratch);
    for (uint32_t begin = 0; begin < block->row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t count = block->row_count - begin;
        count = count < BLOCK_VECTOR_ROWS ? count : BLOCK_VECTOR_ROWS;
        uint32_t rows[] = {begin, begin + count / 2, begin + count - 1};
        uint32_t row_count = count < 3 ? 1 : 3;
        if (block_read_at(block, rows, row_count, &scratch, out, &error) == OK)
            touched ^= touch(block, out, row_count);
        if (block_read(block, begin, count, &scratch, out, &error) == OK)
            touched ^= touch(block, out, count);
        if (block_read_at(block, rows, row_count, &scratch, out, &error) == OK)
            touched ^= touch(block, out, row_count);
        if (block->class == BLOCK_INTEGER && block->null_count == 0)
            touched ^= (uint64_t)block_part_sum(
                block, &(struct block_part){.end = row_count, .rows = rows});
        struct block_part run = {.begin = begin + count / 3, .end = begin + count};
        struct float_total total;
        int64_t least, greatest;
        double low, high;
        if (block->class == BLOCK_INTEGER) {
            touched ^= (uint64_t)block_part_sum(block, &run);
            block_part_range(block, &run, &least, &greatest);
        } else if (block->class == BLOCK_FLOAT) {
            if (block_part_total(block, &run, &scratch, &total, &error) == OK &&
                block_part_extremes(block, &run, &scratch, &low, &high, &error) == OK)
                touched ^= total.infinite_count;
        }
        block_validity(block, begin, count, validity);
        if (block->class == BLOCK_INTEGER)
            select_codes(block, begin, count);
    }
    block_scratch_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block block;
    struct error error;
    if (size < 3)
        return 0;
    enum block_class class = (enum block_class)(data[0] & 3);
    uint32_t row_count = 1u + data[1] + ((uint32_t)data[2] << 8);
    size_t block_size = (size - 3) / 8 * 8;
    uint8_t *copy = malloc(block_size + 1); /* just its bytes, so that one more is noticed */
    memcpy(copy, data + 3, block_size);
    if (data[0] & 4 && block_size >= 8) {
        copy[1] = (uint8_t) class;
        memcpy(copy + 4, &row_count, sizeof(row_count));
    }
    if (block_open(slice_of(copy, block_size), class, row_count, &block, &error) == OK)
        read_all(&block);
    free(copy);
    return 0;
}

/* --- seeds: each class in each of its encodings --- */

#define SEED_ROWS 3000

static void fill(struct random_stream *chance, enum block_class class, struct block_values *values)
{
    static int64_t numbers[SEED_ROWS * 2];
    static double decimals[SEED_ROWS];
    static struct slice text[SEED_ROWS];
    static uint8_t validity[SEED_ROWS];
    static const char words[] = "one two three four five six seven eight nine ten eleven twelve";
    for (uint32_t row = 0; row < SEED_ROWS; row++) {
        validity[row] = random_below(chance, 9) != 0;
        int64_t number = (int64_t)(row / 7 * 3 + random_below(chance, 9));
        numbers[row] = numbers[row + SEED_ROWS] = number;
        decimals[row] = row % 100 == 7 ? 1.0 / 3 : (double)number / 100;
        text[row] = slice_of(words + random_below(chance, 30), random_below(chance, 30));
    }
    *values = (struct block_values){.class = class, .row_count = SEED_ROWS, .values = numbers};
    if (class == BLOCK_FLOAT)
        values->f = decimals;
    if (class == BLOCK_TEXT)
        values->text = text;
    if (random_below(chance, 2) == 0)
        values->validity = validity;
}

struct slice fuzz_seed(size_t index)
{
    static struct writer out;
    struct random_stream chance;
    struct block_values values;
    struct block_encoded encoded;
    enum block_class class = (enum block_class)(index % 4);
    if (index >= 4 * 11)
        return slice_of(NULL, 0);
    random_stream_init(&chance, index + 1);
    struct encode_options options = {.forbidden = index / 4 == 10 ? 0 : ~(1u << index / 4)};
    fill(&chance, class, &values);
    writer_reset(&out);
    writer_u8(&out, (uint8_t)(class | 4));
    writer_u8(&out, (SEED_ROWS - 1) & 0xff);
    writer_u8(&out, (SEED_ROWS - 1) >> 8);
    block_encode(&values, &options, &out, &encoded);
    return writer_as_slice(&out);
}
