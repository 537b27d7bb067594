/* Frame of reference: integers as packed distances from the least of their vector (packed.c). */
#include "storage/encoding/private.h"

struct frame_own {
    struct packed packed;
};

static uint64_t measure(struct encode_job *job)
{
    packed_plan_make(job->integers, job->row_count, job->scale, &job->frame);
    return job->frame.size;
}

static void encode(struct encode_job *job, struct writer *out)
{
    packed_write(&job->frame, job->integers, out);
}

static bool open_body(struct block *block, struct slice body)
{
    struct frame_own own;
    size_t size;
    if (!packed_open(body, block->row_count, &own.packed, &size) || size != body.size)
        return false;
    block_set_own(block, &own);
    return true;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct frame_own own;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    packed_read(&own.packed, begin / BLOCK_VECTOR_ROWS, count, out);
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct frame_own own;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    packed_pick(&own.packed, rows, count, out);
    return OK;
}

static void read_codes(const struct block *block, uint32_t begin, uint32_t count, uint32_t limit,
                       uint32_t *out)
{
    struct frame_own own;
    block_own(block, &own);
    packed_read_codes(&own.packed, begin / BLOCK_VECTOR_ROWS, count, limit, out);
}

static __int128 sum_rows(const struct block *block, uint32_t begin, uint32_t count)
{
    struct frame_own own;
    block_own(block, &own);
    return packed_sum(&own.packed, begin / BLOCK_VECTOR_ROWS, count);
}

static bool range(const struct block *block, const struct span *span, int64_t *least,
                  int64_t *greatest)
{
    struct frame_own own;
    block_own(block, &own);
    return span->rows == NULL &&
           packed_range(&own.packed, span->vector / BLOCK_VECTOR_ROWS, span->first - span->vector,
                        span->count, least, greatest);
}

static uint32_t select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                             int64_t high, uint32_t *selection)
{
    struct frame_own own;
    block_own(block, &own);
    return packed_select(&own.packed, begin / BLOCK_VECTOR_ROWS, count, low, high, selection);
}

static uint32_t select_set(const struct block *block, uint32_t begin, uint32_t count,
                           const uint64_t *set, uint32_t limit, uint32_t *selection)
{
    struct frame_own own;
    block_own(block, &own);
    return packed_select_set(&own.packed, begin / BLOCK_VECTOR_ROWS, count, set, limit, selection);
}

const struct encoding encoding_frame = {
    .name = "frame",
    .doc = "distances from the least value, bit-packed",
    .tag = 2,
    .classes = CLASS_BIT(BLOCK_INTEGER),
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .is_at_anywhere = true,
    .codes = read_codes,
    .sum = sum_rows,
    .range = range,
    .select_range = select_range,
    .select_set = select_set,
};
