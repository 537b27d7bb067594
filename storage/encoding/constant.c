/* Constant: every row that is not NULL has the same value.
 *
 *   INTEGER, FLOAT: 8 bytes · WIDE: 16 bytes · TEXT: size (8 bytes), bytes
 *
 * Also what a block is whose rows are all NULL: zeros, or the empty text. Reads and predicates cost
 * nothing a row but filling the output.
 */
#include "storage/encoding/private.h"

#include <assert.h>

struct constant_own {
    const uint8_t *value;
    size_t size;
};

static uint64_t measure(struct encode_job *job)
{
    if (!job->is_constant)
        return BODY_IMPOSSIBLE;
    if (job->width != 0)
        return job->width;
    size_t size = job->first_valid == job->row_count ? 0 : job->text[job->first_valid].size;
    return sizeof(uint64_t) + align8(size);
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[16];
    bool has_value = job->first_valid < job->row_count;
    if (job->width != 0) {
        writer_bytes(out, has_value ? job->bytes + (size_t)job->first_valid * job->width : zeros,
                     job->width);
        return;
    }
    struct slice text = has_value ? job->text[job->first_valid] : slice_of(zeros, 0);
    writer_u64(out, text.size);
    writer_slice(out, text);
    writer_bytes(out, zeros, align8(text.size) - text.size);
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    struct constant_own own = {.value = data, .size = block_width(block->class)};
    if (block->class == BLOCK_TEXT) {
        if (body.size < sizeof(uint64_t))
            return false;
        uint64_t size = load_u64(data);
        if (size > body.size || align8(size) != body.size - sizeof(uint64_t))
            return false;
        own = (struct constant_own){.value = data + sizeof(uint64_t), .size = size};
    } else if (body.size != own.size) {
        return false;
    }
    block_set_own(block, &own);
    return true;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct constant_own own;
    block_own(block, &own);
    (void)begin;
    (void)scratch;
    (void)error;
    if (block->class == BLOCK_TEXT) {
        struct slice *text = out;
        for (uint32_t i = 0; i < count; i++)
            text[i] = slice_of(own.value, own.size);
    } else if (block->class == BLOCK_WIDE) {
        for (uint32_t i = 0; i < count; i++)
            memcpy((uint8_t *)out + (size_t)i * 16, own.value, 16);
    } else {
        uint64_t value = load_u64(own.value), *values = out;
        for (uint32_t i = 0; i < count; i++)
            values[i] = value;
    }
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    (void)rows;
    return read_rows(block, 0, count, scratch, out, error);
}

static int64_t integer_of(const struct block *block)
{
    struct constant_own own;
    block_own(block, &own);
    return (int64_t)load_u64(own.value);
}

static uint32_t code_of(const struct block *block, uint32_t limit)
{
    uint32_t code = (uint32_t)integer_of(block);
    return code < limit ? code : limit;
}

static void read_codes(const struct block *block, uint32_t begin, uint32_t count, uint32_t limit,
                       uint32_t *out)
{
    uint32_t code = code_of(block, limit);
    (void)begin;
    for (uint32_t i = 0; i < count; i++)
        out[i] = code;
}

static __int128 sum_rows(const struct block *block, uint32_t begin, uint32_t count)
{
    (void)begin;
    return (__int128)integer_of(block) * count;
}

static uint32_t select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                             int64_t high, uint32_t *selection)
{
    int64_t value = integer_of(block);
    (void)begin;
    return value >= low && value <= high ? select_rows_between(0, count, selection, 0) : 0;
}

static uint32_t select_set(const struct block *block, uint32_t begin, uint32_t count,
                           const uint64_t *set, uint32_t limit, uint32_t *selection)
{
    uint32_t code = code_of(block, limit);
    (void)begin;
    return set[code / 64] >> code % 64 & 1 ? select_rows_between(0, count, selection, 0) : 0;
}

const struct encoding encoding_constant = {
    .name = "constant",
    .doc = "one value for all rows",
    .tag = 0,
    .classes = CLASS_BIT(BLOCK_INTEGER) | CLASS_BIT(BLOCK_FLOAT) | CLASS_BIT(BLOCK_WIDE) |
               CLASS_BIT(BLOCK_TEXT),
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .is_at_anywhere = true,
    .codes = read_codes,
    .sum = sum_rows,
    .select_range = select_range,
    .select_set = select_set,
};
