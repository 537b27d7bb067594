/* Plain: values as they are, 8 or 16 bytes each; doubles that are all floats in 4. */
#include "storage/encoding/private.h"

#include <float.h>
#include <math.h>

struct plain_own {
    const uint8_t *values;
    uint32_t width;
};

static bool is_all_float(const struct encode_job *job)
{
    for (uint32_t i = 0; i < job->row_count; i++) {
        uint64_t bits = (uint64_t)job->integers[i], back_bits;
        double value, back;
        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value) && (value > FLT_MAX || value < -FLT_MAX))
            return false;
        back = (double)(float)value;
        memcpy(&back_bits, &back, sizeof(back_bits));
        if (back_bits != bits)
            return false;
    }
    return true;
}

static uint32_t stored_width(const struct encode_job *job)
{
    return job->class == BLOCK_FLOAT && is_all_float(job) ? 4 : job->width;
}

static uint64_t measure(struct encode_job *job)
{
    return sizeof(uint64_t) + align8((uint64_t)job->row_count * stored_width(job));
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    uint32_t width = stored_width(job);
    size_t size = (size_t)job->row_count * width;
    writer_u64(out, width);
    if (width == job->width) {
        writer_bytes(out, job->bytes, size);
    } else {
        uint8_t *to = writer_reserve(out, size);
        for (uint32_t i = 0; to != NULL && i < job->row_count; i++) {
            double value;
            memcpy(&value, &job->integers[i], sizeof(value));
            float narrow = (float)value;
            memcpy(to + (size_t)i * 4, &narrow, sizeof(narrow));
        }
        out->size += to == NULL ? 0 : size;
    }
    writer_bytes(out, zeros, align8(size) - size);
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    if (body.size < sizeof(uint64_t))
        return false;
    uint64_t width = load_u64(data);
    struct plain_own own = {.values = data + sizeof(uint64_t), .width = (uint32_t)width};
    block_set_own(block, &own);
    return (width == block_width(block->class) || (width == 4 && block->class == BLOCK_FLOAT)) &&
           body.size - sizeof(uint64_t) == align8(block->row_count * width);
}

static void widen_float(const uint8_t *from, double *out)
{
    float narrow;
    memcpy(&narrow, from, sizeof(narrow));
    *out = narrow;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct plain_own own;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    const uint8_t *from = own.values + (size_t)begin * own.width;
    if (own.width != 4) {
        memcpy(out, from, (size_t)count * own.width);
        return OK;
    }
    for (uint32_t i = 0; i < count; i++)
        widen_float(from + (size_t)i * 4, (double *)out + i);
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct plain_own own;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *from = own.values + (size_t)rows[i] * own.width;
        if (own.width == 4)
            widen_float(from, (double *)out + i);
        else
            memcpy((uint8_t *)out + (size_t)i * own.width, from, own.width);
    }
    return OK;
}

const struct encoding encoding_plain = {
    .name = "plain",
    .doc = "values as they are",
    .tag = 5,
    .classes = CLASS_BIT(BLOCK_INTEGER) | CLASS_BIT(BLOCK_FLOAT) | CLASS_BIT(BLOCK_WIDE),
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .is_at_anywhere = true,
};
