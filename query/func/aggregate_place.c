/* The place that one more row would have: rank, dense_rank, percent_rank, cume_dist WITHIN GROUP.
 *
 *   rank(5, 'b') WITHIN GROUP (ORDER BY x DESC, y)
 *     update's arguments: 'dfal', x, y, 5, 'b'
 *
 * Each row is compared with the values key by key and counted as ahead or beside, so nothing is
 * kept of it but for dense_rank, which has to know different rows: their keys' bytes, each once, in
 * a table whose memory the operator charges. */
#include "query/func/aggregate.h"

#include "storage/base/hash.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct place {
    uint64_t before, peers, rows;
    /* Of dense_rank: the rows ahead, each once. */
    struct slice *known;
    size_t known_count, capacity;
};

static void place_init(void *state)
{
    memset(state, 0, sizeof(struct place));
}

/* Keys of a row, behind the directions. */
static size_t key_count(const struct column *arguments)
{
    size_t count = 0;
    while (arguments[count].type.id != TYPE_UNKNOWN)
        count++;
    assert(count % 2 == 1);
    return count / 2;
}

/* Is the row ahead of the values (< 0), beside them, or behind? */
static int compare_row(const struct column *arguments, size_t count, size_t row)
{
    struct slice directions = column_text(&arguments[0], row);
    for (size_t i = 0; i < count; i++) {
        struct value key = column_value(&arguments[1 + i], row);
        struct value wanted = column_value(&arguments[1 + count + i], row);
        bool is_first = directions.data[2 * i + 1] == 'f';
        if (key.is_null && wanted.is_null)
            continue;
        if (key.is_null || wanted.is_null)
            return key.is_null == is_first ? -1 : 1;
        int order = value_compare(&key, &wanted);
        if (order != 0)
            return directions.data[2 * i] == 'd' ? -order : order;
    }
    return 0;
}

static AGGREGATE_UPDATE(place_update)
{
    (void)memory, (void)error;
    size_t keys = key_count(arguments);
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        struct place *place = aggregate_state(states, stride, group, row);
        int order = compare_row(arguments, keys, row);
        place->rows++;
        place->before += order < 0;
        place->peers += order == 0;
    }
    return OK;
}

static AGGREGATE_COMBINE(place_combine)
{
    (void)memory, (void)error;
    struct place *to = target;
    const struct place *from = source;
    to->before += from->before;
    to->peers += from->peers;
    to->rows += from->rows;
    return OK;
}

/* --- rows that are different --- */

static struct slice *find_known(const struct place *place, struct slice bytes)
{
    size_t slot = hash64(bytes.data, bytes.size) & (place->capacity - 1);
    while (place->known[slot].data != NULL && !slice_equal(place->known[slot], bytes))
        slot = (slot + 1) & (place->capacity - 1);
    return &place->known[slot];
}

static void grow_known(struct place *place, struct arena *arena)
{
    struct place old = *place;
    place->capacity = old.capacity == 0 ? 16 : 2 * old.capacity;
    place->known = arena_alloc_zero(arena, place->capacity * sizeof(*place->known));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.known[i].data != NULL)
            *find_known(place, old.known[i]) = old.known[i];
}

static void add_known(struct place *place, struct slice bytes, struct arena *arena)
{
    if (4 * (place->known_count + 1) > 3 * place->capacity)
        grow_known(place, arena);
    struct slice *slot = find_known(place, bytes);
    if (slot->data != NULL)
        return;
    *slot = arena_copy(arena, bytes);
    place->known_count++;
}

/* Bytes that are equal where the values are: -0 is 0, numerics have no zeros at their end and
 * intervals are their length. */
static void write_key(struct value key, struct writer *out)
{
    switch (type_physical((enum type_id)key.type.id)) {
    case PHYSICAL_FLOAT:
        key.f = key.f != key.f ? (double)NAN : key.f + 0.0;
        break;
    case PHYSICAL_NUMERIC:
        while (!key.is_null && key.n.scale > 0 && key.n.digits % 10 == 0) {
            key.n.digits /= 10;
            key.n.scale--;
        }
        break;
    case PHYSICAL_INTERVAL: {
        __int128 span = key.is_null ? 0 : interval_span(key.interval);
        writer_u8(out, key.is_null);
        writer_bytes(out, &span, sizeof(span));
        return;
    }
    default:
        break;
    }
    value_write(&key, out);
}

static AGGREGATE_UPDATE(dense_update)
{
    (void)error;
    size_t keys = key_count(arguments);
    struct writer bytes;
    writer_init(&bytes);
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (compare_row(arguments, keys, row) >= 0)
            continue;
        writer_reset(&bytes);
        for (size_t i = 0; i < keys; i++)
            write_key(column_value(&arguments[1 + i], row), &bytes);
        add_known(aggregate_state(states, stride, group, row), writer_as_slice(&bytes),
                  memory->arena);
    }
    writer_deinit(&bytes);
    return OK;
}

static AGGREGATE_COMBINE(dense_combine)
{
    (void)error;
    const struct place *from = source;
    for (size_t i = 0; i < from->capacity; i++)
        if (from->known[i].data != NULL)
            add_known(target, from->known[i], memory->arena);
    return OK;
}

/* --- results --- */

static AGGREGATE_FINISH(rank_finish)
{
    (void)memory, (void)error;
    *out = (struct value){.type = call->type};
    out->i = 1 + (int64_t)((const struct place *)state)->before;
    return OK;
}

static AGGREGATE_FINISH(dense_finish)
{
    (void)memory, (void)error;
    *out = (struct value){.type = call->type};
    out->i = 1 + (int64_t)((const struct place *)state)->known_count;
    return OK;
}

static AGGREGATE_FINISH(percent_finish)
{
    (void)memory, (void)error;
    const struct place *place = state;
    *out = (struct value){.type = call->type};
    out->f = place->rows > 0 ? (double)place->before / (double)place->rows : 0;
    return OK;
}

static AGGREGATE_FINISH(cume_finish)
{
    (void)memory, (void)error;
    const struct place *place = state;
    *out = (struct value){.type = call->type};
    out->f = ((double)place->before + (double)place->peers + 1) / ((double)place->rows + 1);
    return OK;
}

#define PLACE(name_text, to, prefix, finish_form, doc_text)                                        \
    {.name = name_text,                                                                            \
     .argument = TYPE_TEXT,                                                                        \
     .more = {AGGREGATE_ANY},                                                                      \
     .is_variadic = true,                                                                          \
     .result = to,                                                                                 \
     .is_ordered_set = true,                                                                       \
     .is_hypothetical = true,                                                                      \
     .state_size = AGGREGATE_STATE_SIZE(place),                                                    \
     .init = place_init,                                                                           \
     .update = prefix##_update,                                                                    \
     .combine = prefix##_combine,                                                                  \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = name_text "(2) WITHIN GROUP (ORDER BY x)"},

/* clang-format off */
static const struct aggregate aggregates[] = {
    PLACE("rank", TYPE_INT8, place, rank_finish, "the place a value would have") PLACE(
        "dense_rank", TYPE_INT8, dense, dense_finish, "the place a value would have, without gaps")
        PLACE("percent_rank", TYPE_FLOAT8, place, percent_finish,
              "the share of rows ahead of a value")
            PLACE("cume_dist", TYPE_FLOAT8, place, cume_finish,
                  "the share of rows up to a value, and it")};
/* clang-format on */

const struct aggregate_group aggregates_place = {aggregates, array_count(aggregates)};
