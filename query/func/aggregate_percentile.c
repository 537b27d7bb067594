/* approx_percentile(fraction, x): DDSketch.
 *
 * A value falls into the bucket ceil(log(|x|) / log(gamma)), gamma = 1.01 / 0.99, and is read back
 * as the middle of its bucket: never more than 1 % off the value that percentile_disc would give
 * (Masson, Rim and Lee, "DDSketch", 2019). Negative values have buckets of their own; zero, the
 * infinities and NaN (above everything) are counted apart. Least and greatest value are exact. A
 * double has some 75,000 buckets at most, so a state stays below 1.2 MB whatever comes; one of
 * values within a factor of 1,000 takes 3 KB. States combine by adding counts, without loss.
 *
 * A state as bytes (_state, read by _merge): 'P', version 1, u16 0, u64 counts of zeros, +infinity,
 * -infinity, NaN, f64 least, f64 greatest, then for positives and negatives u32 buckets and for
 * each i32 index (ascending), u64 count; then the CRC32C of all before. Whatever differs is 22023.
 */
#include "query/func/aggregate.h"

#include "storage/base/bytes.h"
#include "storage/base/hash.h"

#include <math.h>
#include <string.h>

#define ACCURACY 0.01
#define GAMMA ((1 + ACCURACY) / (1 - ACCURACY))
#define LOG_GAMMA 0.020000666706669435 /* log(GAMMA) */
#define INDEX_MAX 40000                /* log(5e-324) / log(gamma) is -37,221 */
#define ROOM_MIN 16
#define VERSION 1
#define COUNT_MAX ((uint64_t)1 << 62)

/* counts[i] is of bucket first + i. */
struct buckets {
    uint64_t *counts;
    int32_t first;
    uint32_t room;
};
struct sketch {
    struct buckets positive, negative;
    uint64_t zeros, infinities, minus_infinities, nans, count;
    double least, greatest; /* of the finite ones */
};

static void sketch_init(void *state)
{
    memset(state, 0, sizeof(struct sketch));
    ((struct sketch *)state)->least = INFINITY;
    ((struct sketch *)state)->greatest = -INFINITY;
}

/* Room for buckets low … high. */
static void buckets_reserve(struct buckets *b, int32_t low, int32_t high, struct arena *arena)
{
    int32_t end = b->first + (int32_t)b->room;
    if (b->room != 0 && low >= b->first && high < end)
        return;
    if (b->room != 0) {
        low = low < b->first ? low - (int32_t)b->room / 2 : b->first;
        high = high >= end ? high + (int32_t)b->room / 2 : end - 1;
    }
    uint32_t room = (uint32_t)(high - low + 1);
    if (room < ROOM_MIN) {
        low -= (int32_t)(ROOM_MIN - room) / 2;
        room = ROOM_MIN;
    }
    uint64_t *counts = arena_alloc_zero(arena, room * sizeof(*counts));
    if (b->room != 0)
        memcpy(counts + (b->first - low), b->counts, b->room * sizeof(*counts));
    *b = (struct buckets){counts, low, room};
}

static void buckets_add(struct buckets *b, int32_t index, uint64_t count, struct arena *arena)
{
    buckets_reserve(b, index, index, arena);
    b->counts[index - b->first] += count;
}

static void sketch_add(struct sketch *s, double value, struct arena *arena)
{
    s->count++;
    if (value != value) {
        s->nans++;
        return;
    }
    if (isinf(value)) {
        ++*(value > 0 ? &s->infinities : &s->minus_infinities);
        return;
    }
    s->least = value < s->least ? value : s->least;
    s->greatest = value > s->greatest ? value : s->greatest;
    if (value == 0) {
        s->zeros++;
        return;
    }
    int32_t index = (int32_t)ceil(log(fabs(value)) / LOG_GAMMA);
    buckets_add(value > 0 ? &s->positive : &s->negative, index, 1, arena);
}

static AGGREGATE_UPDATE(sketch_update)
{
    (void)error;
    const struct column *in = &arguments[0];
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (!column_is_null(in, row))
            sketch_add(aggregate_state(states, stride, group, row), in->f[column_index(in, row)],
                       memory->arena);
    }
    return OK;
}

static void buckets_combine(struct buckets *to, const struct buckets *from, struct arena *arena)
{
    if (from->room == 0)
        return;
    buckets_reserve(to, from->first, from->first + (int32_t)from->room - 1, arena);
    for (uint32_t i = 0; i < from->room; i++)
        to->counts[from->first - to->first + (int32_t)i] += from->counts[i];
}

static AGGREGATE_COMBINE(sketch_combine)
{
    (void)error;
    struct sketch *to = target;
    const struct sketch *from = source;
    buckets_combine(&to->positive, &from->positive, memory->arena);
    buckets_combine(&to->negative, &from->negative, memory->arena);
    to->zeros += from->zeros;
    to->infinities += from->infinities;
    to->minus_infinities += from->minus_infinities;
    to->nans += from->nans;
    to->count += from->count;
    to->least = from->least < to->least ? from->least : to->least;
    to->greatest = from->greatest > to->greatest ? from->greatest : to->greatest;
    return OK;
}

/* --- the estimate --- */

static double clip(const struct sketch *s, double value)
{
    return value < s->least ? s->least : value > s->greatest ? s->greatest : value;
}

static double bucket_value(int32_t index)
{
    return exp(index * LOG_GAMMA) * (2 / (1 + GAMMA));
}

/* The value of the row with that number in order, from 0. */
static double sketch_value(const struct sketch *s, uint64_t rank)
{
    if (rank < s->minus_infinities)
        return -INFINITY;
    rank -= s->minus_infinities;
    for (uint32_t i = s->negative.room; i-- > 0;) {
        if (rank < s->negative.counts[i])
            return clip(s, -bucket_value(s->negative.first + (int32_t)i));
        rank -= s->negative.counts[i];
    }
    if (rank < s->zeros)
        return 0;
    rank -= s->zeros;
    for (uint32_t i = 0; i < s->positive.room; i++) {
        if (rank < s->positive.counts[i])
            return clip(s, bucket_value(s->positive.first + (int32_t)i));
        rank -= s->positive.counts[i];
    }
    return rank < s->infinities ? INFINITY : NAN;
}

static AGGREGATE_FINISH(sketch_finish)
{
    (void)memory;
    const struct sketch *s = state;
    double fraction = call->direct[0].f;
    *out = (struct value){.type = call->type, .is_null = s->count == 0 || call->direct[0].is_null};
    if (!call->direct[0].is_null && !(fraction >= 0 && fraction <= 1))
        return error_set(error, ERR_INPUT, "22003", "percentile value %g is not between 0 and 1",
                         fraction);
    if (out->is_null)
        return OK;
    uint64_t rank = (uint64_t)ceil(fraction * (double)s->count);
    rank = rank > 0 ? rank - 1 : 0;
    bool has_only_finite = s->count > 0 && s->infinities + s->minus_infinities + s->nans == 0;
    if (has_only_finite && (rank == 0 || rank >= s->count - 1))
        out->f = rank == 0 ? s->least : s->greatest;
    else
        out->f = sketch_value(s, rank);
    return OK;
}

/* --- as bytes --- */

static void write_buckets(const struct buckets *b, struct writer *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->room; i++)
        count += b->counts[i] != 0;
    writer_u32(out, count);
    for (uint32_t i = 0; i < b->room; i++) {
        if (b->counts[i] == 0)
            continue;
        writer_u32(out, (uint32_t)(b->first + (int32_t)i));
        writer_u64(out, b->counts[i]);
    }
}

static void write_double(struct writer *out, double value)
{
    uint64_t word;
    memcpy(&word, &value, sizeof(word));
    writer_u64(out, word);
}

static AGGREGATE_FINISH(sketch_state_finish)
{
    (void)error;
    const struct sketch *s = state;
    *out = (struct value){.type = call->type, .is_null = s->count == 0};
    if (out->is_null)
        return OK;
    struct writer bytes;
    writer_init(&bytes);
    writer_u8(&bytes, 'P');
    writer_u8(&bytes, VERSION);
    writer_u16(&bytes, 0);
    writer_u64(&bytes, s->zeros);
    writer_u64(&bytes, s->infinities);
    writer_u64(&bytes, s->minus_infinities);
    writer_u64(&bytes, s->nans);
    write_double(&bytes, s->least);
    write_double(&bytes, s->greatest);
    write_buckets(&s->positive, &bytes);
    write_buckets(&s->negative, &bytes);
    writer_u32(&bytes, crc32c(0, bytes.data, bytes.size));
    out->text = arena_copy(memory->arena, writer_as_slice(&bytes));
    writer_deinit(&bytes);
    return OK;
}

/* A count that keeps the total within bounds. */
static bool take_count(struct sketch *s, uint64_t *place, uint64_t count)
{
    if (count > COUNT_MAX || s->count > COUNT_MAX - count)
        return false;
    s->count += count;
    *place += count;
    return true;
}

static bool read_buckets(struct reader *reader, struct sketch *s, struct buckets *b,
                         struct arena *arena)
{
    uint32_t count = reader_u32(reader);
    if (reader->failed || count > 2 * INDEX_MAX || reader_left(reader) < (size_t)count * 12)
        return false;
    int32_t before = -INDEX_MAX - 1;
    for (uint32_t i = 0; i < count; i++) {
        int32_t index = (int32_t)reader_u32(reader);
        uint64_t rows = reader_u64(reader);
        if (index <= before || index > INDEX_MAX || rows == 0)
            return false;
        before = index;
        buckets_reserve(b, index, index, arena);
        if (!take_count(s, &b->counts[index - b->first], rows))
            return false;
    }
    return true;
}

static double read_double(struct reader *reader)
{
    uint64_t word = reader_u64(reader);
    double value;
    memcpy(&value, &word, sizeof(value));
    return value;
}

/* Adds the state in the bytes to `s`; false if they are none, `s` is then of no use. */
static bool add_bytes(struct slice bytes, struct sketch *s, struct arena *arena)
{
    if (bytes.size < 4)
        return false;
    struct reader tail = reader_of(slice_of(bytes.data + bytes.size - 4, 4));
    if (reader_u32(&tail) != crc32c(0, bytes.data, bytes.size - 4))
        return false;
    struct reader reader = reader_of(slice_of(bytes.data, bytes.size - 4));
    bool is_ours = reader_u8(&reader) == 'P' && reader_u8(&reader) == VERSION;
    if (reader_u16(&reader) != 0 || !is_ours)
        return false;
    uint64_t before = s->count, *const places[] = {&s->zeros, &s->infinities, &s->minus_infinities,
                                                   &s->nans};
    uint64_t special = 0;
    for (size_t i = 0; i < array_count(places); i++) {
        uint64_t rows = reader_u64(&reader);
        if (reader.failed || !take_count(s, places[i], rows))
            return false;
        special += i > 0 ? rows : 0;
    }
    double least = read_double(&reader), greatest = read_double(&reader);
    if (!read_buckets(&reader, s, &s->positive, arena) ||
        !read_buckets(&reader, s, &s->negative, arena) || reader_left(&reader) != 0)
        return false;
    uint64_t rows = s->count - before;
    if (rows == special) /* nothing finite */
        return least == INFINITY && greatest == -INFINITY && rows > 0;
    s->least = least < s->least ? least : s->least;
    s->greatest = greatest > s->greatest ? greatest : s->greatest;
    return isfinite(least) && isfinite(greatest) && least <= greatest;
}

static AGGREGATE_UPDATE(sketch_merge_update)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(&arguments[0], row))
            continue;
        if (!add_bytes(column_text(&arguments[0], row), aggregate_state(states, stride, group, row),
                       memory->arena))
            return error_set(error, ERR_INPUT, "22023",
                             "these bytes are not a state of approx_percentile");
    }
    return OK;
}

#define FORM(name_text, first, from, to, update_form, finish_form, doc_text, example_text)         \
    {.name = name_text,                                                                            \
     .direct = {first},                                                                            \
     .argument = from,                                                                             \
     .result = to,                                                                                 \
     .state_size = AGGREGATE_STATE_SIZE(sketch),                                                   \
     .init = sketch_init,                                                                          \
     .update = update_form,                                                                        \
     .combine = sketch_combine,                                                                    \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},

static const struct aggregate aggregates[] = {
    FORM("approx_percentile", TYPE_FLOAT8, TYPE_FLOAT8, TYPE_FLOAT8, sketch_update, sketch_finish,
         "about the value at that fraction: at most 1 % off percentile_disc",
         "round(approx_percentile(0.5, x)::numeric, 1)")
        FORM("approx_percentile_state", 0, TYPE_FLOAT8, TYPE_BYTEA, sketch_update,
             sketch_state_finish, "the state of approx_percentile, to be stored",
             "length(approx_percentile_state(x))")
            FORM("approx_percentile_merge", TYPE_FLOAT8, TYPE_BYTEA, TYPE_FLOAT8,
                 sketch_merge_update, sketch_finish,
                 "about the value at that fraction of all these states",
                 "approx_percentile_merge(0.5, NULL::bytea)")
                FORM("approx_percentile_merge_state", 0, TYPE_BYTEA, TYPE_BYTEA,
                     sketch_merge_update, sketch_state_finish, "all these states as one",
                     "approx_percentile_merge_state(NULL::bytea)")};

const struct aggregate_group aggregates_percentile = {aggregates, array_count(aggregates)};
