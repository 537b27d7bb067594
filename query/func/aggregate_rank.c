/* percentile_disc and mode over values of any type.
 *
 * Values are kept as they lie in columns (8 bytes for integers and times), texts in the operator's
 * arena, which the operator charges; the end sorts them. Integers, times and doubles are sorted as
 * 64-bit keys, the rest by value_compare. Both results are independent of the order rows came in.
 */
#include "query/func/percentile.h"

#include "query/kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bag {
    char *items; /* in physical form */
    size_t count, capacity;
    struct type type;
};

static void bag_init(void *state)
{
    memset(state, 0, sizeof(struct bag));
}

static void bag_reserve(struct bag *bag, size_t more, struct aggregate_memory *memory)
{
    if (bag->capacity - bag->count >= more)
        return;
    size_t size = physical_size(type_physical(bag->type.id));
    size_t capacity = bag->capacity < 8 ? 8 : 2 * bag->capacity;
    if (capacity < bag->count + more)
        capacity = bag->count + more;
    char *items = arena_alloc_array(memory->arena, capacity, size);
    if (bag->count > 0)
        memcpy(items, bag->items, bag->count * size);
    bag->items = items;
    bag->capacity = capacity;
}

static AGGREGATE_UPDATE(bag_update)
{
    (void)error;
    const struct column *in = &arguments[0];
    enum physical physical = type_physical(in->type.id);
    size_t size = physical_size(physical);
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(in, row))
            continue;
        struct bag *bag = aggregate_state(states, stride, group, row);
        bag->type = in->type;
        bag_reserve(bag, 1, memory);
        char *item = bag->items + bag->count++ * size;
        if (physical == PHYSICAL_TEXT)
            *(struct slice *)(void *)item = arena_copy(memory->arena, column_text(in, row));
        else
            memcpy(item, (const char *)in->values + column_index(in, row) * size, size);
    }
    return OK;
}

static AGGREGATE_COMBINE(bag_combine)
{
    (void)error;
    struct bag *to = target;
    const struct bag *from = source;
    if (from->count == 0)
        return OK;
    to->type = from->type;
    bag_reserve(to, from->count, memory);
    size_t size = physical_size(type_physical(from->type.id));
    memcpy(to->items + to->count * size, from->items, from->count * size);
    to->count += from->count;
    return OK;
}

/* --- keys in the order of the values --- */

static bool has_keys(const struct bag *bag)
{
    enum physical physical = type_physical(bag->type.id);
    return physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT;
}

static void bag_keys(const struct bag *bag, uint64_t *keys)
{
    const void *items = bag->items;
    bool is_float = type_physical(bag->type.id) == PHYSICAL_FLOAT;
    for (size_t i = 0; i < bag->count; i++) {
        uint64_t word;
        if (!is_float) {
            keys[i] = (uint64_t)((const int64_t *)items)[i] ^ (uint64_t)1 << 63;
            continue;
        }
        double value = ((const double *)items)[i] + 0.0; /* -0 is 0 */
        memcpy(&word, &value, sizeof(word));
        word ^= word >> 63 != 0 ? UINT64_MAX : (uint64_t)1 << 63;
        keys[i] = value != value ? UINT64_MAX : word;
    }
}

static void key_value(const struct bag *bag, uint64_t key, struct value *out)
{
    if (type_physical(bag->type.id) == PHYSICAL_INT) {
        out->i = (int64_t)(key ^ (uint64_t)1 << 63);
        return;
    }
    key ^= key >> 63 != 0 ? (uint64_t)1 << 63 : UINT64_MAX;
    memcpy(&out->f, &key, sizeof(key));
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int compare_values(const void *a, const void *b)
{
    return value_compare(a, b);
}

static struct value *sorted_values(const struct bag *bag)
{
    struct value *values = memory_alloc(bag->count * sizeof(*values));
    struct column column = {.type = bag->type, .form = COLUMN_FLAT, .values = bag->items};
    for (size_t i = 0; i < bag->count; i++)
        values[i] = column_value(&column, i);
    qsort(values, bag->count, sizeof(*values), compare_values);
    return values;
}

/* Room for one kind of copy of the bag, given back by the caller. */
static enum err charge_copy(const struct bag *bag, struct aggregate_memory *memory, size_t *size,
                            struct error *error)
{
    *size = bag->count * (has_keys(bag) ? sizeof(uint64_t) : sizeof(struct value));
    return memory->budget == NULL ? OK : budget_charge(memory->budget, *size, error);
}

/* --- percentile_disc --- */

/* The values in order, in one of two forms. */
struct sorted_bag {
    const struct bag *bag;
    uint64_t *keys;
    struct value *values;
    bool is_descending;
};

static enum err disc_at(void *context, double fraction, struct value *out, struct error *error)
{
    (void)error;
    const struct sorted_bag *sorted = context;
    size_t count = sorted->bag->count;
    size_t rank = (size_t)ceil(fraction * (double)count);
    rank = rank > 0 ? rank - 1 : 0;
    if (sorted->is_descending)
        rank = count - 1 - rank;
    struct type type = out->type;
    if (sorted->keys != NULL)
        key_value(sorted->bag, select_rank(sorted->keys, count, rank), out);
    else
        *out = sorted->values[rank];
    out->type = type;
    return OK;
}

static AGGREGATE_FINISH(disc_finish)
{
    const struct bag *bag = state;
    bool is_done;
    enum err err = percentile_begin(call, bag->count, out, &is_done, error);
    size_t size = 0;
    if (err == OK && !is_done)
        err = charge_copy(bag, memory, &size, error);
    if (err != OK || is_done)
        return err;
    struct sorted_bag sorted = {.bag = bag, .is_descending = call->is_descending};
    if (has_keys(bag)) {
        sorted.keys = memory_alloc(size);
        bag_keys(bag, sorted.keys);
    } else {
        sorted.values = sorted_values(bag);
    }
    err = percentile_each(call, disc_at, &sorted, memory, out, error);
    memory_free(sorted.keys);
    memory_free(sorted.values);
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return err;
}

/* --- mode --- */

/* The first of the most frequent in the order asked for. */
static size_t mode_of(const void *items, size_t count, size_t item_size, bool is_descending,
                      int (*compare)(const void *, const void *))
{
    const char *bytes = items;
    size_t best = 0, best_count = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && compare(bytes + i * item_size, bytes + end * item_size) == 0)
            end++;
        if (end - i > best_count || (is_descending && end - i == best_count)) {
            best = i;
            best_count = end - i;
        }
        i = end;
    }
    return best;
}

static AGGREGATE_FINISH(mode_finish)
{
    const struct bag *bag = state;
    *out = (struct value){.type = call->type, .is_null = bag->count == 0};
    size_t size = 0;
    enum err err = out->is_null ? OK : charge_copy(bag, memory, &size, error);
    if (err != OK || out->is_null)
        return err;
    if (has_keys(bag)) {
        uint64_t *keys = memory_alloc(size);
        bag_keys(bag, keys);
        qsort(keys, bag->count, sizeof(*keys), compare_keys);
        key_value(bag,
                  keys[mode_of(keys, bag->count, sizeof(*keys), call->is_descending, compare_keys)],
                  out);
        memory_free(keys);
    } else {
        struct value *values = sorted_values(bag);
        *out = values[mode_of(values, bag->count, sizeof(*values), call->is_descending,
                              compare_values)];
        out->type = call->type;
        memory_free(values);
    }
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return OK;
}

#define DISC(fraction, to, doc_text, example_text)                                                 \
    {.name = "percentile_disc",                                                                    \
     .direct = {fraction},                                                                         \
     .argument = AGGREGATE_ANY,                                                                    \
     .result = to,                                                                                 \
     .is_ordered_set = true,                                                                       \
     .state_size = AGGREGATE_STATE_SIZE(bag),                                                      \
     .init = bag_init,                                                                             \
     .update = bag_update,                                                                         \
     .combine = bag_combine,                                                                       \
     .finish = disc_finish,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},

/* clang-format off */
static const struct aggregate aggregates[] = {
    DISC(TYPE_FLOAT8, AGGREGATE_SAME, "the first value at or above that fraction",
         "percentile_disc(0.5) WITHIN GROUP (ORDER BY x)")
        DISC(TYPE_FLOAT8_ARRAY, AGGREGATE_ARRAY, "the first value at or above each fraction",
             "percentile_disc(ARRAY[0.5, 1]) WITHIN GROUP (ORDER BY x)"){
            .name = "mode",
            .argument = AGGREGATE_ANY,
            .result = AGGREGATE_SAME,
            .is_ordered_set = true,
            .state_size = AGGREGATE_STATE_SIZE(bag),
            .init = bag_init,
            .update = bag_update,
            .combine = bag_combine,
            .finish = mode_finish,
            .doc = "the most frequent value, of several the first",
            .example = "mode() WITHIN GROUP (ORDER BY s)"},
};
/* clang-format on */

const struct aggregate_group aggregates_rank = {aggregates, array_count(aggregates)};
