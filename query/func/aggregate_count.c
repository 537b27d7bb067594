/* Aggregates that count by value: histogram(x, low, high, n) and top_k(k, x).
 *
 * histogram: n buckets of one width over [low, high), one below and one above, as width_bucket()
 * numbers them; the first row's bounds hold for its group, others beside them are 22023.
 *
 * top_k is exact: a hash table a group, whose memory is charged to the query as it grows. Equal
 * counts are in the order of the values, so the answer does not depend on the order of rows, and
 * two states combine without loss. */
#include "query/func/aggregate.h"

#include "storage/base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MAX 10000
#define TOP_MAX 10000

struct histogram_state {
    int64_t *counts; /* buckets + 2 */
    double low, high;
    int64_t buckets;
};

struct top_entry {
    uint64_t hash;
    int64_t count; /* 0: free */
    struct value value;
};
struct top {
    struct top_entry *entries;
    size_t capacity, used;
};

static void histogram_init(void *state)
{
    memset(state, 0, sizeof(struct histogram_state));
}
static void top_init(void *state)
{
    memset(state, 0, sizeof(struct top));
}

/* --- histogram --- */

static enum err histogram_begin(struct histogram_state *s, double low, double high, int64_t buckets,
                                struct aggregate_memory *memory, struct error *error)
{
    if (buckets < 1 || buckets > BUCKETS_MAX)
        return error_set(error, ERR_INPUT, "22023",
                         "the number of buckets of a histogram must be from 1 to %d", BUCKETS_MAX);
    if (!isfinite(low) || !isfinite(high) || low >= high || !isfinite(high - low))
        return error_set(error, ERR_INPUT, "22023",
                         "the lower bound of a histogram must be below the upper one");
    size_t size = (size_t)(buckets + 2) * sizeof(*s->counts);
    *s = (struct histogram_state){arena_alloc_zero(memory->arena, size), low, high, buckets};
    return OK;
}

static int64_t bucket_of(const struct histogram_state *s, double value)
{
    if (value < s->low)
        return 0;
    if (!(value < s->high)) /* NaN is above everything */
        return s->buckets + 1;
    int64_t bucket = (int64_t)((value - s->low) / (s->high - s->low) * (double)s->buckets) + 1;
    return bucket > s->buckets ? s->buckets : bucket;
}

static AGGREGATE_UPDATE(histogram_update)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        bool is_missing = false;
        for (size_t a = 0; a < 4; a++)
            is_missing = is_missing || column_is_null(&arguments[a], row);
        if (is_missing)
            continue;
        struct histogram_state *s = aggregate_state(states, stride, group, row);
        double low = arguments[1].f[column_index(&arguments[1], row)];
        double high = arguments[2].f[column_index(&arguments[2], row)];
        int64_t buckets = arguments[3].i[column_index(&arguments[3], row)];
        enum err err =
            s->counts != NULL ? OK : histogram_begin(s, low, high, buckets, memory, error);
        if (err == OK && (s->low != low || s->high != high || s->buckets != buckets))
            err = error_set(error, ERR_INPUT, "22023",
                            "the bounds of a histogram must be the same for all rows");
        if (err != OK)
            return err;
        s->counts[bucket_of(s, arguments[0].f[column_index(&arguments[0], row)])]++;
    }
    return OK;
}

static AGGREGATE_COMBINE(histogram_combine)
{
    struct histogram_state *to = target;
    const struct histogram_state *from = source;
    if (from->counts == NULL)
        return OK;
    enum err err = to->counts != NULL
                       ? OK
                       : histogram_begin(to, from->low, from->high, from->buckets, memory, error);
    if (err == OK &&
        (to->low != from->low || to->high != from->high || to->buckets != from->buckets))
        err = error_set(error, ERR_INPUT, "22023",
                        "the bounds of a histogram must be the same for all rows");
    for (int64_t i = 0; err == OK && i < from->buckets + 2; i++)
        to->counts[i] += from->counts[i];
    return err;
}

static AGGREGATE_FINISH(histogram_finish)
{
    (void)error;
    const struct histogram_state *s = state;
    *out = (struct value){.type = call->type, .is_null = s->counts == NULL};
    if (out->is_null)
        return OK;
    size_t count = (size_t)s->buckets + 2;
    struct value *values = memory_alloc_zero(count * sizeof(*values));
    for (size_t i = 0; i < count; i++)
        values[i] = (struct value){.type = type_of(TYPE_INT8), .i = s->counts[i]};
    out->text = array_build(TYPE_INT8_ARRAY, values, count, memory->arena);
    memory_free(values);
    return OK;
}

/* --- top_k --- */

static struct top_entry *top_find(const struct top *s, const struct top_entry *wanted)
{
    for (size_t at = wanted->hash & (s->capacity - 1);; at = (at + 1) & (s->capacity - 1)) {
        struct top_entry *entry = &s->entries[at];
        if (entry->count == 0)
            return entry;
        if (entry->hash == wanted->hash && value_compare(&entry->value, &wanted->value) == 0)
            return entry;
    }
}

static void top_grow(struct top *s, struct aggregate_memory *memory)
{
    struct top old = *s;
    s->capacity = old.capacity == 0 ? 16 : 2 * old.capacity;
    s->entries = arena_alloc_zero(memory->arena, s->capacity * sizeof(*s->entries));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].count != 0)
            *top_find(s, &old.entries[i]) = old.entries[i];
}

/* Adds entry->count of a value; its text is copied if it is new. */
static void top_add(struct top *s, const struct top_entry *entry, struct aggregate_memory *memory)
{
    if (4 * (s->used + 1) > 3 * s->capacity)
        top_grow(s, memory);
    struct top_entry *found = top_find(s, entry);
    if (found->count != 0) {
        found->count += entry->count;
        return;
    }
    *found = *entry;
    if (type_physical((enum type_id)entry->value.type.id) == PHYSICAL_TEXT)
        found->value.text = arena_copy(memory->arena, entry->value.text);
    s->used++;
}

static AGGREGATE_UPDATE(top_update)
{
    (void)error;
    const struct column *in = &arguments[0];
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(in, row))
            continue;
        struct top *s = aggregate_state(states, stride, group, row);
        struct top_entry entry = {.count = 1, .value = column_value(in, row)};
        entry.hash = value_hash(&entry.value);
        top_add(s, &entry, memory);
    }
    return OK;
}

static AGGREGATE_COMBINE(top_combine)
{
    (void)error;
    struct top *to = target;
    const struct top *from = source;
    for (size_t i = 0; i < from->capacity; i++) {
        if (from->entries[i].count != 0)
            top_add(to, &from->entries[i], memory);
    }
    return OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct top_entry *x = a, *y = b;
    int order = (x->count < y->count) - (x->count > y->count);
    return order != 0 ? order : value_compare(&x->value, &y->value);
}

static AGGREGATE_FINISH(top_finish)
{
    const struct top *s = state;
    int64_t wanted = call->direct[0].i;
    *out = (struct value){.type = call->type, .is_null = s->used == 0 || call->direct[0].is_null};
    if (!call->direct[0].is_null && (wanted < 1 || wanted > TOP_MAX))
        return error_set(error, ERR_INPUT, "22023", "top_k takes a number from 1 to %d", TOP_MAX);
    if (out->is_null)
        return OK;
    size_t count = 0, size = s->used * sizeof(struct top_entry);
    enum err err = memory->budget == NULL ? OK : budget_charge(memory->budget, size, error);
    if (err != OK)
        return err;
    struct top_entry *sorted = memory_alloc(size);
    for (size_t i = 0; i < s->capacity; i++)
        if (s->entries[i].count != 0)
            sorted[count++] = s->entries[i];
    qsort(sorted, count, sizeof(*sorted), compare_entries);
    if (count > (size_t)wanted)
        count = (size_t)wanted;
    struct value *values = memory_alloc_zero(count * sizeof(*values));
    for (size_t i = 0; i < count; i++)
        values[i] = sorted[i].value;
    out->text = array_build(call->type.id, values, count, memory->arena);
    memory_free(values);
    memory_free(sorted);
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return OK;
}

static const struct aggregate aggregates[] = {
    {.name = "histogram",
     .argument = TYPE_FLOAT8,
     .more = {TYPE_FLOAT8, TYPE_FLOAT8, TYPE_INT4},
     .result = TYPE_INT8_ARRAY,
     .state_size = AGGREGATE_STATE_SIZE(histogram_state),
     .init = histogram_init,
     .update = histogram_update,
     .combine = histogram_combine,
     .finish = histogram_finish,
     .doc = "how many values are below, in each of n buckets from low to high, and above",
     .example = "histogram(x, 0, 4, 2)"},
    {.name = "top_k",
     .direct = {TYPE_INT4},
     .argument = AGGREGATE_ANY,
     .result = AGGREGATE_ARRAY,
     .state_size = AGGREGATE_STATE_SIZE(top),
     .init = top_init,
     .update = top_update,
     .combine = top_combine,
     .finish = top_finish,
     .doc = "the k most frequent values, exactly",
     .example = "top_k(2, s)"},
};

const struct aggregate_group aggregates_count = {aggregates, array_count(aggregates)};
