/* Variance and its roots in doubles, and percentile_cont.
 *
 * The sums of squares follow Youngs and Cramer, as PostgreSQL's do for doubles: one pass, no
 * cancellation, and two states combine exactly as two halves of one input. percentile_cont keeps
 * every value (8 bytes each, in the operator's arena, which the operator charges) and selects at
 * the end: of many values, out of the few that a sample leaves in question. */
#include "query/func/percentile.h"

#include "query/func/func.h"
#include "query/kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct spread {
    double count, sum, squares; /* squares: of the differences from the mean */
};
#define PIECE_MIN 8
#define PIECE_MAX 4096
#define SAMPLE_KEYS 512
#define SAMPLE_MIN 4096 /* values of which a sample is taken */
#define SAMPLE_SPREAD 4 /* standard deviations, and keys, on both sides */

/* Values in pieces, each twice as large as the last up to PIECE_MAX: nothing is copied while they
 * come, and little is taken that is not used. */
struct piece {
    struct piece *before;
    size_t count;
    double items[];
};
struct values {
    struct piece *last;
    size_t count; /* of all pieces */
    size_t room;  /* left in the last one */
};
struct intervals {
    struct interval *items;
    size_t count, capacity;
};

#define STATE(type) ((sizeof(struct type) + 15) / 16 * 16)
#define ROW(k) (selection != NULL ? selection[k] : (k))

static void spread_init(void *state)
{
    memset(state, 0, sizeof(struct spread));
}
static void values_init(void *state)
{
    memset(state, 0, sizeof(struct values));
}

static enum err overflow(struct error *error)
{
    return error_set(error, ERR_INPUT, "22003", "value out of range: overflow");
}

static inline bool spread_add(struct spread *s, double value)
{
    double before = s->count, sum = s->sum;
    s->count += 1;
    s->sum += value;
    if (before > 0) {
        double difference = value * s->count - s->sum;
        s->squares += difference * difference / (s->count * before);
        if (isinf(s->sum) || isinf(s->squares)) {
            if (!isinf(sum) && !isinf(value))
                return false;
            s->squares = NAN;
        }
    } else if (!isfinite(value)) {
        s->squares = NAN;
    }
    return true;
}

static enum err spread_update(char *states, size_t stride, const uint32_t *group,
                              const uint32_t *selection, size_t count,
                              const struct column *arguments, struct aggregate_memory *memory,
                              struct error *error)
{
    (void)memory;
    const struct column *in = &arguments[0];
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        if (!spread_add(aggregate_state(states, stride, group, row), in->f[column_index(in, row)]))
            return overflow(error);
    }
    return OK;
}

static enum err spread_combine(void *target, const void *source, struct aggregate_memory *memory,
                               struct error *error)
{
    (void)memory;
    struct spread *a = target;
    const struct spread *b = source;
    if (b->count == 0)
        return OK;
    if (a->count == 0) {
        *a = *b;
        return OK;
    }
    double count = a->count + b->count, difference = a->sum / a->count - b->sum / b->count;
    double squares =
        a->squares + b->squares + a->count * b->count * difference * difference / count;
    if (isinf(squares) && !isinf(a->squares) && !isinf(b->squares))
        return overflow(error);
    *a = (struct spread){count, a->sum + b->sum, squares};
    return OK;
}

static enum err spread_value(const struct spread *s, double less, bool is_root,
                             const struct aggregate_call *call, struct value *out)
{
    *out = (struct value){.type = call->type, .is_null = s->count <= less};
    if (!out->is_null)
        out->f = is_root ? sqrt(s->squares / (s->count - less)) : s->squares / (s->count - less);
    return OK;
}

#define FINISH(name, less, is_root)                                                                \
    static enum err name(const void *state, const struct aggregate_call *call,                     \
                         struct aggregate_memory *memory, struct value *out, struct error *error)  \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        return spread_value(state, less, is_root, call, out);                                      \
    }
FINISH(var_samp_finish, 1, false)
FINISH(var_pop_finish, 0, false)
FINISH(stddev_samp_finish, 1, true)
FINISH(stddev_pop_finish, 0, true)

/* --- percentile_cont --- */

/* Room for at least one more. */
static void values_extend(struct values *s, struct arena *arena)
{
    size_t size = s->count < PIECE_MIN ? PIECE_MIN : s->count < PIECE_MAX ? s->count : PIECE_MAX;
    struct piece *piece = arena_alloc(arena, sizeof(*piece) + size * sizeof(double));
    piece->before = s->last;
    piece->count = 0;
    s->last = piece;
    s->room = size;
}

static inline void values_push(struct values *s, double value, struct arena *arena)
{
    if (__builtin_expect(s->room == 0, 0))
        values_extend(s, arena);
    s->last->items[s->last->count++] = value;
    s->room--;
    s->count++;
}

static void values_push_flat(struct values *s, const double *values, size_t count,
                             struct arena *arena)
{
    while (count > 0) {
        if (s->room == 0)
            values_extend(s, arena);
        size_t part = count < s->room ? count : s->room;
        memcpy(s->last->items + s->last->count, values, part * sizeof(double));
        s->last->count += part;
        s->room -= part;
        s->count += part;
        values += part;
        count -= part;
    }
}

static enum err values_update(char *states, size_t stride, const uint32_t *group,
                              const uint32_t *selection, size_t count,
                              const struct column *arguments, struct aggregate_memory *memory,
                              struct error *error)
{
    (void)error;
    const struct column *in = &arguments[0];
    if (group == NULL && selection == NULL && in->form == COLUMN_FLAT && in->validity == NULL) {
        values_push_flat((struct values *)states, in->f, count, memory->arena);
        return OK;
    }
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (!column_is_null(in, row))
            values_push(aggregate_state(states, stride, group, row), in->f[column_index(in, row)],
                        memory->arena);
    }
    return OK;
}

static enum err values_combine(void *target, const void *source, struct aggregate_memory *memory,
                               struct error *error)
{
    (void)error;
    const struct values *from = source;
    for (const struct piece *piece = from->last; piece != NULL; piece = piece->before)
        values_push_flat(target, piece->items, piece->count, memory->arena);
    return OK;
}

static void values_adopt(void *target, void *source)
{
    struct values *to = target, *from = source;
    struct piece *first = from->last;
    if (first == NULL)
        return;
    while (first->before != NULL)
        first = first->before;
    first->before = to->last;
    to->last = from->last;
    to->count += from->count;
    to->room = from->room;
    *from = (struct values){0};
}

/* Values as keys in some order, all of them or those that are asked for. */
struct ranked {
    const struct values *values;
    uint64_t *items;
    bool has_all, is_descending;
};

static void rank_all(struct ranked *ranked)
{
    uint64_t *next = ranked->items;
    for (const struct piece *piece = ranked->values->last; piece != NULL; piece = piece->before) {
        keys_of_doubles(piece->items, piece->count, next);
        next += piece->count;
    }
    ranked->has_all = true;
}

/* A range that holds the keys of that rank and the next one, very likely. */
static void guess_range(const struct values *s, size_t rank, uint64_t *low, uint64_t *high)
{
    uint64_t sample[SAMPLE_KEYS];
    size_t step = s->count / SAMPLE_KEYS, at = 0, count = 0;
    for (const struct piece *piece = s->last; piece != NULL; piece = piece->before) {
        for (; at < piece->count && count < SAMPLE_KEYS; at += step)
            keys_of_doubles(&piece->items[at], 1, &sample[count++]);
        at = at > piece->count ? at - piece->count : 0;
    }
    double share = (double)rank / (double)s->count;
    double spread = SAMPLE_SPREAD * sqrt((double)count * share * (1 - share)) + SAMPLE_SPREAD;
    double first = floor((double)count * share - spread),
           last = ceil((double)count * share + spread);
    *low = first < 0 ? 0 : select_rank(sample, count, (size_t)first);
    *high = last >= (double)count ? UINT64_MAX : select_rank(sample, count, (size_t)last);
}

/* The keys of that rank and the next. Of many, a sample tells between which two the rank lies; one
 * pass counts what is below and keeps what is between, and only that is looked through further. */
static void rank_pair(struct ranked *ranked, size_t rank, uint64_t pair[2])
{
    const struct values *s = ranked->values;
    uint64_t low, high;
    size_t below = 0, kept = 0;
    if (s->count < SAMPLE_MIN && !ranked->has_all)
        rank_all(ranked);
    if (!ranked->has_all) {
        guess_range(s, rank, &low, &high);
        for (const struct piece *piece = s->last; piece != NULL; piece = piece->before)
            kept +=
                keys_between(piece->items, piece->count, low, high, ranked->items + kept, &below);
        if (rank >= below && rank - below < kept &&
            (rank + 1 - below < kept || below + kept == s->count)) {
            select_pair(ranked->items, kept, rank - below, pair);
            return;
        }
        rank_all(ranked);
    }
    select_pair(ranked->items, s->count, rank, pair);
}

static enum err cont_at(void *context, double fraction, struct value *out, struct error *error)
{
    (void)error;
    struct ranked *ranked = context;
    double place = fraction * (double)(ranked->values->count - 1);
    size_t first = (size_t)floor(place), second = (size_t)ceil(place),
           last = ranked->values->count - 1;
    uint64_t pair[2];
    rank_pair(ranked, ranked->is_descending ? last - second : first, pair);
    double low = double_of_key(pair[ranked->is_descending && first != second ? 1 : 0]);
    double high = double_of_key(pair[ranked->is_descending || first == second ? 0 : 1]);
    out->f = first == second ? low : low + (place - (double)first) * (high - low);
    return OK;
}

static AGGREGATE_FINISH(percentile_finish)
{
    const struct values *s = state;
    bool is_done;
    enum err err = percentile_begin(call, s->count, out, &is_done, error);
    size_t size = (s->count + BETWEEN_ROOM) * sizeof(uint64_t);
    if (err == OK && !is_done && memory->budget != NULL)
        err = budget_charge(memory->budget, size, error);
    if (err != OK || is_done)
        return err;
    struct ranked ranked = {
        .values = s, .items = memory_alloc(size), .is_descending = call->is_descending};
    err = percentile_each(call, cont_at, &ranked, memory, out, error);
    memory_free(ranked.items);
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return err;
}

/* Intervals: the same over three fields. */
static int compare_intervals(const void *a, const void *b)
{
    __int128 x = interval_span(*(const struct interval *)a),
             y = interval_span(*(const struct interval *)b);
    return (x > y) - (x < y);
}

static enum err intervals_update(char *states, size_t stride, const uint32_t *group,
                                 const uint32_t *selection, size_t count,
                                 const struct column *arguments, struct aggregate_memory *memory,
                                 struct error *error)
{
    (void)error;
    const struct column *in = &arguments[0];
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        struct intervals *s = aggregate_state(states, stride, group, row);
        if (s->count == s->capacity) {
            size_t capacity = s->capacity == 0 ? 8 : s->capacity * 2;
            struct interval *items = arena_alloc_array(memory->arena, capacity, sizeof(*items));
            if (s->count > 0)
                memcpy(items, s->items, s->count * sizeof(*items));
            s->items = items;
            s->capacity = capacity;
        }
        s->items[s->count++] = in->interval[column_index(in, row)];
    }
    return OK;
}

static enum err intervals_combine(void *target, const void *source, struct aggregate_memory *memory,
                                  struct error *error)
{
    const struct intervals *from = source;
    struct column column = {
        .type = type_of(TYPE_INTERVAL), .form = COLUMN_FLAT, .interval = from->items};
    return from->count == 0
               ? OK
               : intervals_update(target, 0, NULL, NULL, from->count, &column, memory, error);
}

/* low + share * (high - low); 22008 where a part leaves its range, as PostgreSQL has it. */
static enum err interval_between(struct interval low, struct interval high, double share,
                                 struct interval *out, struct error *error)
{
    struct interval difference, part = {0};
    bool is_out =
        __builtin_sub_overflow(high.months, low.months, &difference.months) ||
        __builtin_sub_overflow(high.days, low.days, &difference.days) ||
        __builtin_sub_overflow(high.microseconds, low.microseconds, &difference.microseconds);
    enum err err = is_out ? OK : interval_multiply(difference, share, &part, error);
    if (err != OK)
        return err;
    is_out = is_out || __builtin_add_overflow(low.months, part.months, &out->months) ||
             __builtin_add_overflow(low.days, part.days, &out->days) ||
             __builtin_add_overflow(low.microseconds, part.microseconds, &out->microseconds);
    return is_out ? error_set(error, ERR_INPUT, "22008", "interval out of range") : OK;
}

struct sorted_intervals {
    const struct intervals *list;
    bool is_descending;
};

static enum err interval_at(void *context, double fraction, struct value *out, struct error *error)
{
    const struct sorted_intervals *sorted = context;
    const struct intervals *s = sorted->list;
    double place = fraction * (double)(s->count - 1);
    size_t first = (size_t)floor(place), second = (size_t)ceil(place), last = s->count - 1;
    struct interval low = s->items[sorted->is_descending ? last - first : first];
    struct interval high = s->items[sorted->is_descending ? last - second : second];
    out->interval = low;
    return first == second
               ? OK
               : interval_between(low, high, place - (double)first, &out->interval, error);
}

static AGGREGATE_FINISH(percentile_interval_finish)
{
    const struct intervals *s = state;
    struct sorted_intervals sorted = {s, call->is_descending};
    bool is_done;
    enum err err = percentile_begin(call, s->count, out, &is_done, error);
    if (err != OK || is_done)
        return err;
    qsort(s->items, s->count, sizeof(struct interval), compare_intervals);
    return percentile_each(call, interval_at, &sorted, memory, out, error);
}

#define SPREAD(name_text, finish_form, doc_text)                                                   \
    {.name = name_text,                                                                            \
     .argument = TYPE_FLOAT8,                                                                      \
     .result = TYPE_FLOAT8,                                                                        \
     .state_size = STATE(spread),                                                                  \
     .init = spread_init,                                                                          \
     .update = spread_update,                                                                      \
     .combine = spread_combine,                                                                    \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = name_text "(1.5::float8)"},
#define PERCENTILE(of, fraction, to, prefix, finish_form, doc_text, example_text)                  \
    {.name = "percentile_cont",                                                                    \
     .argument = of,                                                                               \
     .result = to,                                                                                 \
     .is_ordered_set = true,                                                                       \
     .direct = {fraction},                                                                         \
     .state_size = STATE(values),                                                                  \
     .init = values_init,                                                                          \
     .update = prefix##_update,                                                                    \
     .combine = prefix##_combine,                                                                  \
     .adopt = prefix##_adopt,                                                                      \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},
/* Equal ones may differ in their fields: which of them is told depends on the order of rows. */
#define intervals_adopt NULL
#define CONT_ONE "the value below which that fraction lies, interpolated"
#define CONT_EACH "the value below which each fraction lies, interpolated"

/* clang-format off */
static const struct aggregate aggregates[] = {
    SPREAD("stddev", stddev_samp_finish, "standard deviation of a sample") SPREAD(
        "stddev_samp", stddev_samp_finish, "standard deviation of a sample")
        SPREAD("stddev_pop", stddev_pop_finish, "standard deviation of a whole population") SPREAD(
            "variance", var_samp_finish, "variance of a sample") SPREAD("var_samp", var_samp_finish,
                                                                        "variance of a sample")
            SPREAD("var_pop", var_pop_finish, "variance of a whole population")
                PERCENTILE(TYPE_FLOAT8, TYPE_FLOAT8, TYPE_FLOAT8, values, percentile_finish,
                           CONT_ONE, "percentile_cont(0.5) WITHIN GROUP (ORDER BY 1.5::float8)")
                    PERCENTILE(TYPE_INTERVAL, TYPE_FLOAT8, TYPE_INTERVAL, intervals,
                               percentile_interval_finish, CONT_ONE,
                               "percentile_cont(0.5) WITHIN GROUP (ORDER BY interval '1 minute')")
                        PERCENTILE(TYPE_FLOAT8, TYPE_FLOAT8_ARRAY, TYPE_FLOAT8_ARRAY, values,
                                   percentile_finish, CONT_EACH,
                                   "percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY x)")
                            PERCENTILE(TYPE_INTERVAL, TYPE_FLOAT8_ARRAY, TYPE_INTERVAL_ARRAY,
                                       intervals, percentile_interval_finish, CONT_EACH,
                                       "percentile_cont(ARRAY[0.5]) WITHIN GROUP (ORDER BY "
                                       "interval '1 minute')")};
/* clang-format on */

const struct aggregate_group aggregates_spread = {aggregates, array_count(aggregates)};
