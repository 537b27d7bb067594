/* percentile_disc and mode over values of any type, and the rank that one more value would have
 * among them (rank, dense_rank, percent_rank, cume_dist WITHIN GROUP).
 *
 * Values are kept as they lie in columns (8 bytes for integers and times), texts in the operator's
 * arena, which the operator charges; the end sorts them. Integers, times and doubles are sorted as
 * 64-bit keys, the rest by value_compare. Both results are independent of the order rows came in.
 */
#include "query/func/aggregate.h"

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

static AGGREGATE_FINISH(disc_finish)
{
    const struct bag *bag = state;
    double fraction = call->direct[0].f;
    *out =
        (struct value){.type = call->type, .is_null = bag->count == 0 || call->direct[0].is_null};
    if (!call->direct[0].is_null && !(fraction >= 0 && fraction <= 1))
        return error_set(error, ERR_INPUT, "22003", "percentile value %g is not between 0 and 1",
                         fraction);
    size_t size = 0;
    enum err err = out->is_null ? OK : charge_copy(bag, memory, &size, error);
    if (err != OK || out->is_null)
        return err;
    size_t rank = (size_t)ceil(fraction * (double)bag->count);
    rank = rank > 0 ? rank - 1 : 0;
    if (call->is_descending)
        rank = bag->count - 1 - rank;
    if (has_keys(bag)) {
        uint64_t *keys = memory_alloc(size);
        bag_keys(bag, keys);
        key_value(bag, select_rank(keys, bag->count, rank), out);
        memory_free(keys);
    } else {
        struct value *values = sorted_values(bag);
        *out = values[rank];
        out->type = call->type;
        memory_free(values);
    }
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return OK;
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

/* --- the rank of a value that is not there --- */

struct ranking {
    struct bag bag; /* first: its update takes the state */
    uint64_t null_count;
};

static void ranking_init(void *state)
{
    memset(state, 0, sizeof(struct ranking));
}

static AGGREGATE_UPDATE(ranking_update)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        struct ranking *ranking = aggregate_state(states, stride, group, row);
        ranking->null_count += column_is_null(&arguments[0], row);
    }
    return bag_update(states, stride, group, selection, count, arguments, memory, error);
}

static AGGREGATE_COMBINE(ranking_combine)
{
    ((struct ranking *)target)->null_count += ((const struct ranking *)source)->null_count;
    return bag_combine(target, source, memory, error);
}

struct place {
    double before, peers, distinct; /* rows ahead of it and beside it, different values ahead */
};

static void place_null(const struct ranking *ranking, bool is_first, size_t distinct,
                       struct place *out)
{
    out->peers = (double)ranking->null_count;
    out->before = is_first ? 0 : (double)ranking->bag.count;
    out->distinct = is_first ? 0 : (double)distinct;
}

/* Where it would stand among sorted values. */
static void place_value(const struct ranking *ranking, const struct value *values,
                        const struct aggregate_call *call, struct place *out)
{
    size_t distinct = 0;
    for (size_t i = 0; i < ranking->bag.count; i++) {
        bool is_new = i == 0 || value_compare(&values[i - 1], &values[i]) != 0;
        distinct += is_new;
        if (call->direct[0].is_null)
            continue;
        int order = value_compare(&values[i], &call->direct[0]);
        bool is_ahead = call->is_descending ? order > 0 : order < 0;
        out->peers += order == 0;
        out->before += is_ahead;
        out->distinct += is_ahead && is_new;
    }
    if (call->direct[0].is_null) {
        place_null(ranking, call->is_nulls_first, distinct, out);
    } else if (call->is_nulls_first && ranking->null_count > 0) {
        out->before += (double)ranking->null_count;
        out->distinct += 1;
    }
}

static enum err ranking_place(const struct ranking *ranking, const struct aggregate_call *call,
                              struct aggregate_memory *memory, struct place *out,
                              struct error *error)
{
    const struct bag *bag = &ranking->bag;
    size_t size = bag->count * sizeof(struct value);
    *out = (struct place){0};
    enum err err = memory->budget == NULL ? OK : budget_charge(memory->budget, size, error);
    if (err != OK)
        return err;
    struct value *values = bag->count > 0 ? sorted_values(bag) : NULL;
    place_value(ranking, values, call, out);
    memory_free(values);
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return OK;
}

static AGGREGATE_FINISH(rank_finish)
{
    struct place place;
    *out = (struct value){.type = call->type};
    enum err err = ranking_place(state, call, memory, &place, error);
    out->i = 1 + (int64_t)place.before;
    return err;
}

static AGGREGATE_FINISH(dense_rank_finish)
{
    struct place place;
    *out = (struct value){.type = call->type};
    enum err err = ranking_place(state, call, memory, &place, error);
    out->i = 1 + (int64_t)place.distinct;
    return err;
}

static double ranking_rows(const struct ranking *ranking)
{
    return (double)ranking->bag.count + (double)ranking->null_count;
}

static AGGREGATE_FINISH(percent_rank_finish)
{
    struct place place;
    *out = (struct value){.type = call->type};
    enum err err = ranking_place(state, call, memory, &place, error);
    double rows = ranking_rows(state);
    out->f = rows > 0 ? place.before / rows : 0;
    return err;
}

static AGGREGATE_FINISH(cume_dist_finish)
{
    struct place place;
    *out = (struct value){.type = call->type};
    enum err err = ranking_place(state, call, memory, &place, error);
    out->f = (place.before + place.peers + 1) / (ranking_rows(state) + 1);
    return err;
}

#define RANKING(name_text, to, finish_form, doc_text)                                              \
    {.name = name_text,                                                                            \
     .direct = {AGGREGATE_ANY},                                                                    \
     .argument = AGGREGATE_ANY,                                                                    \
     .result = to,                                                                                 \
     .is_ordered_set = true,                                                                       \
     .state_size = AGGREGATE_STATE_SIZE(ranking),                                                  \
     .init = ranking_init,                                                                         \
     .update = ranking_update,                                                                     \
     .combine = ranking_combine,                                                                   \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = name_text "(2) WITHIN GROUP (ORDER BY x)"},

/* clang-format off: a row an aggregate */
static const struct aggregate aggregates[] = {
    {.name = "percentile_disc",
     .direct = {TYPE_FLOAT8},
     .argument = AGGREGATE_ANY,
     .result = AGGREGATE_SAME,
     .is_ordered_set = true,
     .state_size = AGGREGATE_STATE_SIZE(bag),
     .init = bag_init,
     .update = bag_update,
     .combine = bag_combine,
     .finish = disc_finish,
     .doc = "the first value at or above that fraction",
     .example = "percentile_disc(0.5) WITHIN GROUP (ORDER BY x)"},
    {.name = "mode",
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
    RANKING("rank", TYPE_INT8, rank_finish, "the place a value would have") RANKING(
        "dense_rank", TYPE_INT8, dense_rank_finish, "the place a value would have, without gaps")
        RANKING("percent_rank", TYPE_FLOAT8, percent_rank_finish,
                "the share of rows ahead of a value")
            RANKING("cume_dist", TYPE_FLOAT8, cume_dist_finish,
                    "the share of rows up to a value, and it")};
/* clang-format on */

const struct aggregate_group aggregates_rank = {aggregates, array_count(aggregates)};
