/* Dictionary of a block: its distinct values once, sorted, and packed codes.
 *
 *   entry count (4), 0 (4) | entries (8 or 16 bytes each, ascending) | codes (packed.c)
 *
 * For few distinct values that lie far apart: doubles, 64-bit ids, uuids. INTEGER entries ascend as
 * numbers, so a range of values is a range of codes; FLOAT entries ascend as their bits without
 * sign, WIDE by bytes. A sample tells where a dictionary cannot be the smallest; else distinct
 * values are counted in a hash table that gives up at the first one too many.
 */
#include "storage/encoding/private.h"

#include "storage/base/arena.h"

#include <stdlib.h>

#define ENTRIES_MAX 16384u
#define SLOTS (4 * ENTRIES_MAX)
#define SAMPLE_ROWS 1024u
#define FIXED_ENTRIES_MAX 4096u
#define FIXED_ROWS 2u /* rows an entry, at least, for sums in integers */
#define SAMPLE_SLOTS (4 * SAMPLE_ROWS)

struct dictionary_plan {
    uint32_t count;
    uint8_t *entries; /* sorted; width bytes each */
    int64_t *codes;   /* a row each */
};

struct dictionary_own {
    struct packed codes;
    const uint8_t *entries;
    uint32_t count;
    uint32_t width;
    uint64_t is_in_order; /* FLOAT: codes compare as what they stand for, none is -0 or NaN */
};

/* --- writing --- */

void dictionary_plan_destroy(struct dictionary_plan *plan)
{
    if (plan == NULL)
        return;
    memory_free(plan->entries);
    memory_free(plan->codes);
    memory_free(plan);
}

static inline uint32_t hash_of(const uint8_t *value, uint32_t width)
{
    uint64_t hash = load_u64(value) * UINT64_C(0x9e3779b97f4a7c15);
    if (width == 16)
        hash = (hash ^ load_u64(value + 8)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 40);
}

static inline bool is_equal(const uint8_t *a, const uint8_t *b, uint32_t width)
{
    return load_u64(a) == load_u64(b) && (width == 8 || load_u64(a + 8) == load_u64(b + 8));
}

/* Body of `count` entries and as many rows, at the least: a ninth of a byte, since vectors may need
 * fewer bits than the whole. */
static uint64_t least_size(const struct encode_job *job, uint64_t count)
{
    return 8 + count * job->width + job->row_count / 9 * (uint64_t)bits_of(count - 1);
}

/* With so many entries it may be smaller than the best so far. */
static uint32_t entries_max_of(const struct encode_job *job)
{
    uint32_t low = 0, high = ENTRIES_MAX;
    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        if (least_size(job, middle) < job->best)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Distinct values of a few rows from all over the block: there are no fewer in the whole. */
static uint32_t count_sample(const struct encode_job *job)
{
    uint16_t slots[SAMPLE_SLOTS] = {0}; /* sampled row + 1 */
    uint32_t width = job->width, step = job->row_count / SAMPLE_ROWS, count = 0;
    step = step == 0 ? 1 : step;
    for (uint32_t i = 0; i < SAMPLE_ROWS && i * step < job->row_count; i++) {
        const uint8_t *value = job->bytes + (size_t)i * step * width;
        uint32_t slot = hash_of(value, width) % SAMPLE_SLOTS;
        while (slots[slot] != 0 &&
               !is_equal(job->bytes + (size_t)(slots[slot] - 1) * step * width, value, width))
            slot = (slot + 1) % SAMPLE_SLOTS;
        count += slots[slot] == 0;
        slots[slot] = (uint16_t)(i + 1);
    }
    return count;
}

/* What is seen of the values leaves no room for fewer bits, or says that they are too many: of
 * 1,024 rows as many are distinct only where there are several thousand values. */
static bool is_hopeless(const struct encode_job *job, uint32_t entries_max)
{
    uint32_t count = count_sample(job);
    uint64_t span = ((uint64_t)job->high - (uint64_t)job->low) / job->scale;
    if (count > entries_max)
        return true;
    if (job->class == BLOCK_INTEGER && bits_of(count - 1) >= bits_of(span))
        return true;
    return count > SAMPLE_ROWS - SAMPLE_ROWS / 32;
}

/* Gives every row the number of its value, in order of appearance. False: too many. */
static inline bool collect_wide(const struct encode_job *job, uint32_t width, uint32_t entries_max,
                                struct dictionary_plan *plan)
{
    uint32_t *slots = memory_alloc_zero(SLOTS * sizeof(*slots)); /* entry + 1 */
    bool fits = true;
    for (uint32_t row = 0; row < job->row_count; row++) {
        const uint8_t *value = job->bytes + (size_t)row * width;
        uint32_t slot = hash_of(value, width) % SLOTS;
        while (slots[slot] != 0 &&
               !is_equal(plan->entries + (size_t)(slots[slot] - 1) * width, value, width))
            slot = (slot + 1) % SLOTS;
        if (slots[slot] == 0) {
            fits = plan->count < entries_max;
            if (!fits)
                break;
            memcpy(plan->entries + (size_t)plan->count * width, value, width);
            slots[slot] = ++plan->count;
        }
        plan->codes[row] = slots[slot] - 1;
    }
    memory_free(slots);
    return fits;
}

static bool collect(const struct encode_job *job, uint32_t entries_max,
                    struct dictionary_plan *plan)
{
    return job->width == 8 ? collect_wide(job, 8, entries_max, plan)
                           : collect_wide(job, 16, entries_max, plan);
}

/* One byte of an entry, the least significant for its order first. */
static uint8_t digit_of(const struct encode_job *job, const uint8_t *entry, uint32_t digit)
{
    if (job->class == BLOCK_WIDE)
        return entry[15 - digit];
    bool is_sign = job->class == BLOCK_INTEGER && digit == 7;
    return (uint8_t)(load_u64(entry) >> 8 * digit) ^ (is_sign ? 0x80 : 0);
}

/* Radix sort, a byte at a time: a tenth of what comparing them takes. */
static void sort_order(const struct encode_job *job, const struct dictionary_plan *plan,
                       uint32_t *order)
{
    uint32_t *other = memory_alloc(plan->count * sizeof(*other));
    for (uint32_t digit = 0; digit < job->width; digit++) {
        uint32_t begins[257] = {0};
        for (uint32_t entry = 0; entry < plan->count; entry++)
            begins[1 + digit_of(job, plan->entries + (size_t)entry * job->width, digit)]++;
        for (uint32_t value = 0; value < 256; value++)
            begins[value + 1] += begins[value];
        for (uint32_t i = 0; i < plan->count; i++) {
            uint32_t entry = order[i];
            other[begins[digit_of(job, plan->entries + (size_t)entry * job->width, digit)]++] =
                entry;
        }
        memcpy(order, other, plan->count * sizeof(*order));
    }
    memory_free(other);
}

static void sort_entries(const struct encode_job *job, struct dictionary_plan *plan)
{
    uint32_t *order = memory_alloc(plan->count * sizeof(*order));
    uint32_t *rank = memory_alloc(plan->count * sizeof(*rank));
    uint8_t *sorted = memory_alloc((size_t)plan->count * job->width);
    for (uint32_t entry = 0; entry < plan->count; entry++)
        order[entry] = entry;
    sort_order(job, plan, order);
    for (uint32_t code = 0; code < plan->count; code++) {
        rank[order[code]] = code;
        memcpy(sorted + (size_t)code * job->width, plan->entries + (size_t)order[code] * job->width,
               job->width);
    }
    job_pause(job);
    for (uint32_t row = 0; row < job->row_count; row++)
        plan->codes[row] = rank[plan->codes[row]];
    memory_free(plan->entries);
    plan->entries = sorted;
    memory_free(order);
    memory_free(rank);
}

static uint64_t measure(struct encode_job *job)
{
    uint32_t entries_max = entries_max_of(job);
    if (entries_max == 0 || (job->best != UINT64_MAX && is_hopeless(job, entries_max)))
        return BODY_IMPOSSIBLE;
    struct dictionary_plan *plan = memory_alloc_zero(sizeof(*plan));
    plan->entries = memory_alloc((size_t)(entries_max + 1) * job->width);
    plan->codes = memory_alloc(job->row_count * sizeof(*plan->codes));
    dictionary_plan_destroy(job->dictionary);
    job->dictionary = plan;
    if (!collect(job, entries_max, plan) || least_size(job, plan->count) >= job->best)
        return BODY_IMPOSSIBLE;
    job_pause(job);
    sort_entries(job, plan);
    packed_plan_make(plan->codes, job->row_count, 1, &job->codes);
    return 8 + (uint64_t)plan->count * job->width + job->codes.size;
}

static void encode(struct encode_job *job, struct writer *out)
{
    writer_u32(out, job->dictionary->count);
    writer_u32(out, 0);
    writer_bytes(out, job->dictionary->entries, (size_t)job->dictionary->count * job->width);
    packed_write(&job->codes, job->dictionary->codes, out);
}

/* --- reading --- */

static int64_t entry_of(const struct dictionary_own *own, uint32_t code)
{
    return (int64_t)load_u64(own->entries + (size_t)code * 8);
}

/* Predicates search by halving: only INTEGER needs an order. */
static bool is_ascending(const struct dictionary_own *own)
{
    for (uint32_t code = 1; code < own->count; code++) {
        if (entry_of(own, code - 1) >= entry_of(own, code))
            return false;
    }
    return true;
}

/* Entries are sorted by their bits: for doubles that is their order where none has a sign. */
static bool are_doubles_in_order(const struct dictionary_own *own)
{
    static const int64_t infinity = INT64_C(0x7ff0000000000000);
    return entry_of(own, 0) >= 0 && entry_of(own, own->count - 1) <= infinity && is_ascending(own);
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    size_t size;
    if (body.size < 8)
        return false;
    struct dictionary_own own = {
        .entries = data + 8, .count = load_u32(data), .width = block_width(block->class)};
    if (own.count == 0 || own.count > block->row_count ||
        (size_t)own.count * own.width > body.size - 8)
        return false;
    size_t entries_size = (size_t)own.count * own.width;
    struct slice rest = slice_of(own.entries + entries_size, body.size - 8 - entries_size);
    if (!packed_open(rest, block->row_count, &own.codes, &size) || size != rest.size)
        return false;
    own.is_in_order = block->class == BLOCK_FLOAT && are_doubles_in_order(&own);
    block_set_own(block, &own);
    return block->class != BLOCK_INTEGER || is_ascending(&own);
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct dictionary_own own;
    uint32_t codes[BLOCK_VECTOR_ROWS];
    block_own(block, &own);
    (void)scratch;
    (void)error;
    packed_read_codes(&own.codes, begin / BLOCK_VECTOR_ROWS, count, own.count - 1, codes);
    const uint8_t *entries = own.entries; /* stays in a register: `out` might be anything */
    if (own.width == 8) {
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)out)[i] = load_u64(entries + (size_t)codes[i] * 8);
        return OK;
    }
    for (uint32_t i = 0; i < count; i++)
        memcpy((uint8_t *)out + (size_t)i * 16, entries + (size_t)codes[i] * 16, 16);
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct dictionary_own own;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = (uint32_t)packed_at(&own.codes, rows[i]);
        code = code < own.count ? code : own.count - 1;
        if (own.width == 8) /* a size the compiler knows: a load, not a call */
            ((uint64_t *)out)[i] = load_u64(own.entries + (size_t)code * 8);
        else
            memcpy((uint8_t *)out + (size_t)i * 16, own.entries + (size_t)code * 16, 16);
    }
    return OK;
}

/* The first code whose entry is at least `value`; count: none. */
static uint32_t lower_bound(const struct dictionary_own *own, int64_t value)
{
    uint32_t begin = 0, end = own->count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (entry_of(own, middle) < value)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

static uint32_t select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                             int64_t high, uint32_t *selection)
{
    struct dictionary_own own;
    block_own(block, &own);
    uint32_t first = lower_bound(&own, low);
    uint32_t end = high == INT64_MAX ? own.count : lower_bound(&own, high + 1);
    if (first >= end)
        return 0;
    return packed_select(&own.codes, begin / BLOCK_VECTOR_ROWS, count, first, (int64_t)end - 1,
                         selection);
}

/* Codes of a span, in `codes`; what is returned is the first of them. Whole units are read as far
 * as there are any: a part of one takes longer, as it goes through a copy. */
static const uint32_t *read_span_codes(const struct dictionary_own *own, const struct span *span,
                                       uint32_t *codes)
{
    uint32_t reach = (span_reach(span) + UNIT_VALUES - 1) / UNIT_VALUES * UNIT_VALUES;
    uint32_t left = own->codes.row_count - span->vector;
    packed_read_codes(&own->codes, span->vector / BLOCK_VECTOR_ROWS, reach < left ? reach : left,
                      own->count - 1, codes);
    if (span->rows == NULL)
        return codes + (span->first - span->vector);
    for (uint32_t i = 0; i < span->count; i++) /* a row never lies before its place */
        codes[i] = codes[span->rows[i] - span->vector];
    return codes;
}

/* A power of two that no double is above, where they are in order and not extreme; else 0. */
static double near_of(const struct dictionary_own *own)
{
    static const int64_t bias = 1023, far = 900;
    int64_t exponent = (entry_of(own, own->count - 1) >> 52) + 1;
    double near;
    if (own->is_in_order == 0 || exponent <= bias - far || exponent >= bias + far)
        return 0;
    int64_t bits = exponent << 52;
    memcpy(&near, &bits, sizeof(near));
    return near;
}

static void total(const struct block *block, const struct span *span, double *sum, double *lost)
{
    struct dictionary_own own;
    uint32_t codes[BLOCK_VECTOR_ROWS];
    block_own(block, &own);
    const uint32_t *first = read_span_codes(&own, span, codes);
    double near = near_of(&own);
    if (near != 0)
        kernels_chosen()->sum_near(own.entries, first, span->count, near, sum, lost);
    else
        kernels_chosen()->sum_entries(own.entries, first, span->count, sum, lost);
}

/* Entries are made integers once a run, where it has many rows for each. */
static bool total_run(const struct block *block, uint32_t begin, uint32_t end, double *sum,
                      double *lost)
{
    struct dictionary_own own;
    uint64_t fixed[FIXED_ENTRIES_MAX];
    uint32_t codes[BLOCK_VECTOR_ROWS];
    unsigned __int128 all = 0;
    block_own(block, &own);
    if (own.count > FIXED_ENTRIES_MAX || (end - begin) / FIXED_ROWS < own.count)
        return false;
    double near = near_of(&own);
    if (near == 0)
        return false;
    fixed_make(own.entries, own.count, near, fixed);
    for (uint32_t next, row = begin; row < end; row = next) {
        uint32_t vector = row - row % BLOCK_VECTOR_ROWS;
        next = end - vector < BLOCK_VECTOR_ROWS ? end : vector + BLOCK_VECTOR_ROWS;
        packed_read_codes(&own.codes, vector / BLOCK_VECTOR_ROWS, next - vector, own.count - 1,
                          codes);
        all += fixed_sum(fixed, codes + (row - vector), next - row);
    }
    return fixed_result(all, end - begin, near, sum, lost);
}

/* The least and the greatest code, from what is packed where that can be told of it. */
static void range_of_codes(const struct dictionary_own *own, const struct span *span, uint32_t *low,
                           uint32_t *high)
{
    uint32_t codes[BLOCK_VECTOR_ROWS], limit = own->count - 1;
    int64_t least, greatest;
    if (span->rows == NULL &&
        packed_range(&own->codes, span->vector / BLOCK_VECTOR_ROWS, span->first - span->vector,
                     span->count, &least, &greatest) &&
        least >= 0 && greatest <= UINT32_MAX) {
        *low = least < limit ? (uint32_t)least : limit;
        *high = greatest < limit ? (uint32_t)greatest : limit;
        return;
    }
    const uint32_t *first = read_span_codes(own, span, codes);
    kernels_chosen()->range32(first, span->count, low, high);
}

static bool range(const struct block *block, const struct span *span, int64_t *least,
                  int64_t *greatest)
{
    struct dictionary_own own;
    uint32_t low, high;
    block_own(block, &own);
    range_of_codes(&own, span, &low, &high);
    *least = entry_of(&own, low);
    *greatest = entry_of(&own, high);
    return true;
}

static bool extremes(const struct block *block, const struct span *span, double *least,
                     double *greatest)
{
    struct dictionary_own own;
    uint32_t low, high;
    block_own(block, &own);
    if (!own.is_in_order)
        return false;
    range_of_codes(&own, span, &low, &high);
    memcpy(least, own.entries + (size_t)low * 8, sizeof(*least));
    memcpy(greatest, own.entries + (size_t)high * 8, sizeof(*greatest));
    return true;
}

const struct encoding encoding_dictionary = {
    .name = "dictionary",
    .doc = "distinct values once, and bit-packed codes",
    .tag = 4,
    .handicap = 3,
    .classes = CLASS_BIT(BLOCK_INTEGER) | CLASS_BIT(BLOCK_FLOAT) | CLASS_BIT(BLOCK_WIDE),
    .is_dear = true,
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .is_at_anywhere = true,
    .range = range,
    .total = total,
    .total_run = total_run,
    .extremes = extremes,
    .select_range = select_range,
};
