/* Delta: steps from one value to the next, less the smallest step of their vector, bit-packed.
 *
 *   scale | per vector: first, step, least, greatest, offset, width | units …
 *
 *   value[0] = first,   value[i] = value[i - 1] + step + scale * packed[i]
 *
 * For times, which a segment has in order: 83,000 events a second are steps of a few bits, where
 * distances from the vector's first would take fifteen. A vector begins with its first value, so it
 * is read alone; a single value costs a sum over the vector up to it. Least and greatest decide
 * most predicates before anything is unpacked. All arithmetic is modulo 2^64. The running sum is
 * one addition a value, or sixteen values at a time with AVX-512; the rest is vector instructions.
 */
#include "storage/encoding/private.h"

#define HEAD_SIZE 40u
#define PICK_SHARE 16     /* of more rows than one in so many each value is made */
#define PICK_WIDTH_MAX 21 /* 2,047 steps of so many bits add up within 32 */

struct delta_own {
    const uint8_t *heads;
    const uint8_t *units;
    uint64_t scale;
};

#define STRIDE 32u /* a fixed length, of which the compiler makes vectors */

static inline void find_some(const int64_t *from, uint32_t count, int64_t *restrict steps)
{
    for (uint32_t i = 0; i < count; i++)
        steps[i] = (int64_t)((uint64_t)from[i + 1] - (uint64_t)from[i]);
}

/* From each value but the first one; steps[0] is not written. */
static void find_steps(const int64_t *value, uint32_t count, int64_t *steps)
{
    uint32_t row = 1;
    for (; row + STRIDE <= count; row += STRIDE)
        find_some(value + row - 1, STRIDE, steps + row);
    find_some(value + row - 1, count - row, steps + row);
}

/* Plans one vector; bytes of its units. */
static uint64_t measure_vector(struct encode_job *job, uint32_t vector)
{
    struct delta_plan *plan = &job->delta;
    int64_t steps[BLOCK_VECTOR_ROWS], low = 0, high = 0;
    const int64_t *value = job->integers + (size_t)vector * BLOCK_VECTOR_ROWS;
    uint32_t count = vector_rows_of(job->row_count, vector);
    find_steps(value, count, steps);
    if (count > 1)
        integers_range(steps + 1, count - 1, &low, &high);
    plan->step[vector] = low;
    plan->width[vector] = (uint8_t)bits_of(((uint64_t)high - (uint64_t)low) / plan->scale);
    return units_size(count, plan->width[vector]);
}

/* By a few vectors: steps between values in no order take a bit more than the values. */
static bool is_sample_hopeless(struct encode_job *job, uint64_t rest)
{
    uint32_t vectors = vector_count_of(job->row_count), sampled = 0;
    uint64_t size = 0;
    for (uint32_t vector = 0; vector < vectors; vector += SAMPLE_VECTORS_STEP, sampled++)
        size += measure_vector(job, vector);
    return vectors >= SAMPLE_VECTORS_STEP && rest + size / sampled * vectors >= job->best;
}

static uint64_t measure(struct encode_job *job)
{
    uint32_t vectors = vector_count_of(job->row_count);
    struct delta_plan *plan = &job->delta;
    /* Steps that wrap around are no multiples of anything but powers of two. */
    plan->scale = (uint64_t)job->high - (uint64_t)job->low > INT64_MAX ? 1 : job->scale;
    plan->size = sizeof(uint64_t) + (uint64_t)vectors * HEAD_SIZE;
    if (is_sample_hopeless(job, plan->size))
        return BODY_IMPOSSIBLE;
    for (uint32_t vector = 0; vector < vectors; vector++)
        plan->size += measure_vector(job, vector);
    return plan->size;
}

static void encode_vector(const struct encode_job *job, uint32_t vector, uint8_t *head,
                          uint8_t *units)
{
    int64_t steps[BLOCK_VECTOR_ROWS], low, high;
    const int64_t *value = job->integers + (size_t)vector * BLOCK_VECTOR_ROWS;
    uint32_t count = vector_rows_of(job->row_count, vector);
    int64_t step = job->delta.step[vector];
    const struct units_from from = {.base = (uint64_t)step, .scale = divisor_of(job->delta.scale)};
    find_steps(value, count, steps);
    steps[0] = step; /* to the first value there is none */
    integers_range(value, count, &low, &high);
    memcpy(head, &value[0], sizeof(int64_t));
    memcpy(head + 8, &step, sizeof(step));
    memcpy(head + 16, &low, sizeof(low));
    memcpy(head + 24, &high, sizeof(high));
    head[36] = job->delta.width[vector];
    units_write((const uint64_t *)steps, count, &from, job->delta.width[vector], units);
}

static void encode(struct encode_job *job, struct writer *out)
{
    uint32_t vectors = vector_count_of(job->row_count), offset = 0;
    uint8_t *to = writer_reserve(out, job->delta.size);
    if (to == NULL)
        return;
    memset(to, 0, sizeof(uint64_t) + (size_t)vectors * HEAD_SIZE);
    memcpy(to, &job->delta.scale, sizeof(job->delta.scale));
    uint8_t *head = to + sizeof(uint64_t), *units = head + (size_t)vectors * HEAD_SIZE;
    for (uint32_t vector = 0; vector < vectors; vector++, head += HEAD_SIZE) {
        encode_vector(job, vector, head, units + offset);
        memcpy(head + 32, &offset, sizeof(offset));
        offset += units_size(vector_rows_of(job->row_count, vector), job->delta.width[vector]);
    }
    assert((uint64_t)(units - to) + offset == job->delta.size);
    out->size += job->delta.size;
}

static bool open_body(struct block *block, struct slice body)
{
    uint32_t vectors = vector_count_of(block->row_count), offset = 0;
    size_t heads_size = (size_t)vectors * HEAD_SIZE;
    const uint8_t *data = (const uint8_t *)body.data;
    if (body.size < sizeof(uint64_t) + heads_size)
        return false;
    struct delta_own own = {.heads = data + sizeof(uint64_t),
                            .units = data + sizeof(uint64_t) + heads_size,
                            .scale = load_u64(data)};
    size_t left = body.size - sizeof(uint64_t) - heads_size;
    for (uint32_t vector = 0; vector < vectors; vector++) {
        const uint8_t *head = own.heads + (size_t)vector * HEAD_SIZE;
        if (head[36] > 64 || load_u32(head + 32) != offset)
            return false;
        offset += units_size(vector_rows_of(block->row_count, vector), head[36]);
        if (offset > left)
            return false;
    }
    block_set_own(block, &own);
    return offset == left && own.scale != 0;
}

/* Four at a time: only one addition of four waits for the four before. */
static inline __attribute__((always_inline)) void sum32(const uint32_t *packed, uint32_t count,
                                                        uint64_t first, uint64_t step,
                                                        uint64_t scale, uint64_t *out)
{
    uint64_t value = first;
    uint32_t i = 1;
    for (; i + 4 <= count; i += 4) {
        uint64_t a = packed[i] * scale + step, b = a + packed[i + 1] * scale + step;
        uint64_t c = packed[i + 2] * scale + step, d = c + packed[i + 3] * scale + step;
        out[i] = value + a;
        out[i + 1] = value + b;
        out[i + 2] = value + b + c;
        out[i + 3] = value + b + d;
        value += b + d;
    }
    for (; i < count; i++) {
        value += packed[i] * scale + step;
        out[i] = value;
    }
}

static void read_vector(const struct delta_own *own, uint32_t vector, uint32_t count, uint64_t *out)
{
    const uint8_t *head = own->heads + (size_t)vector * HEAD_SIZE;
    uint64_t first = load_u64(head), step = load_u64(head + 8);
    const uint8_t *units = own->units + load_u32(head + 32);
    if (count == 0)
        return;
    out[0] = first;
    if (head[36] <= 32) {
        uint32_t narrow[BLOCK_VECTOR_ROWS];
        units_read(units, count, head[36], narrow);
        if (head[36] <= PICK_WIDTH_MAX && kernels_chosen()->add_steps != NULL)
            kernels_chosen()->add_steps(narrow, count, first, step, own->scale, out);
        else if (own->scale == 1)
            sum32(narrow, count, first, step, 1, out);
        else
            sum32(narrow, count, first, step, own->scale, out);
        return;
    }
    uint64_t wide[BLOCK_VECTOR_ROWS];
    units_read(units, count, head[36], wide);
    for (uint32_t i = 1; i < count; i++)
        out[i] = out[i - 1] + step + wide[i] * own->scale;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct delta_own own;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    read_vector(&own, begin / BLOCK_VECTOR_ROWS, count, out);
    return OK;
}

/* What lies between two rows is added up without a value for each, in 32 bits, which vector
 * instructions do at a tenth of what the running sum costs. False: sums may need more bits. */
static bool pick_few(const struct delta_own *own, const uint32_t *rows, uint32_t count,
                     uint64_t *out)
{
    const uint8_t *head = own->heads + (size_t)(rows[0] / BLOCK_VECTOR_ROWS) * HEAD_SIZE;
    uint64_t first = load_u64(head), step = load_u64(head + 8), width = head[36];
    uint32_t packed[BLOCK_VECTOR_ROWS], sum = 0, next = 1;
    if (width > PICK_WIDTH_MAX)
        return false;
    if (width != 0) /* else all steps are the same */
        units_read(own->units + load_u32(head + 32), rows[count - 1] % BLOCK_VECTOR_ROWS + 1,
                   (uint32_t)width, packed);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i] % BLOCK_VECTOR_ROWS;
        if (width != 0 && row >= next)
            sum += kernels_chosen()->sum32(packed + next, row + 1 - next);
        next = row + 1;
        out[i] = first + row * step + sum * own->scale;
    }
    return true;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct delta_own own;
    uint64_t values[BLOCK_VECTOR_ROWS];
    block_own(block, &own);
    (void)scratch;
    (void)error;
    if (count == 0)
        return OK;
    uint32_t last = rows[count - 1] % BLOCK_VECTOR_ROWS;
    if (count <= (last + 1) / PICK_SHARE && pick_few(&own, rows, count, out))
        return OK;
    read_vector(&own, rows[0] / BLOCK_VECTOR_ROWS, last + 1, values);
    for (uint32_t i = 0; i < count; i++)
        ((uint64_t *)out)[i] = values[rows[i] % BLOCK_VECTOR_ROWS];
    return OK;
}

static uint32_t select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                             int64_t high, uint32_t *selection)
{
    struct delta_own own;
    uint64_t values[BLOCK_VECTOR_ROWS];
    block_own(block, &own);
    uint32_t vector = begin / BLOCK_VECTOR_ROWS;
    const uint8_t *head = own.heads + (size_t)vector * HEAD_SIZE;
    int64_t least = (int64_t)load_u64(head + 16), greatest = (int64_t)load_u64(head + 24);
    if (high < least || low > greatest)
        return 0;
    if (low <= least && high >= greatest)
        return select_rows_between(0, count, selection, 0);
    read_vector(&own, vector, count, values);
    return kernels_chosen()->select64(values, count, (uint64_t)low, (uint64_t)high - (uint64_t)low,
                                      selection);
}

const struct encoding encoding_delta = {
    .name = "delta",
    .doc = "steps between neighbours, bit-packed",
    .tag = 3,
    .handicap = 3,
    .classes = CLASS_BIT(BLOCK_INTEGER),
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .select_range = select_range,
};
