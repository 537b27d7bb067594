/* Parts of a rollup as bytes, for a side file.
 *
 *   format u32, mark u64, segment u64, portions u32, rows u64
 *   per portion: 0, or 1, groups u32, keys column by column, states call by call
 *
 * States of sums and counts hold no addresses and are their own bytes; an extreme is the value it
 * gives; sketches are the states that SQL can store (approx_count_distinct_state and its like),
 * read by what merges those. The same groups are the same bytes.
 *
 * Whoever reads believes nothing: the checksum around it says that the bytes are those that were
 * written, not who wrote them. */
#include "query/exec/rollup.h"

#include <assert.h>
#include <string.h>

#define FORMAT 1
#define PORTIONS_MAX 65536

enum state_form { STATE_BYTES, STATE_VALUE, STATE_SKETCH };

static enum state_form form_of(const struct aggregate *aggregate)
{
    return aggregate_is_of(aggregate, &aggregates_sum) ||
                   aggregate_is_of(aggregate, &aggregates_bool)
               ? STATE_BYTES
           : aggregate_is_of(aggregate, &aggregates_extreme) ? STATE_VALUE
                                                             : STATE_SKETCH;
}

/* --- states --- */

/* The aggregate that gives a sketch's state as bytes, or takes it so. */
static const struct aggregate *sketch_form(const struct aggregate *aggregate, bool is_read)
{
    bool is_distinct = aggregate_is_of(aggregate, &aggregates_distinct);
    return aggregate_next(is_read ? (is_distinct ? SLICE("approx_count_distinct_merge")
                                                 : SLICE("approx_percentile_merge"))
                                  : (is_distinct ? SLICE("approx_count_distinct_state")
                                                 : SLICE("approx_percentile_state")),
                          NULL);
}

static void write_state(struct writer *out, const struct aggregate_call *call, const char *state)
{
    const struct aggregate *aggregate = call->aggregate;
    struct error error;
    struct arena arena;
    enum state_form form = form_of(aggregate);
    if (form == STATE_BYTES) {
        aggregate_sum_write(aggregate, state, out);
        return;
    }
    arena_init(&arena);
    struct aggregate_memory memory = {.arena = &arena};
    struct aggregate_call asked = *call;
    struct value value = {.is_null = true};
    if (form == STATE_SKETCH) {
        aggregate = sketch_form(aggregate, false);
        asked.type = type_of(TYPE_BYTEA);
    }
    out->failed = aggregate->finish(state, &asked, &memory, &value, &error) != OK || out->failed;
    value_write_bare(&value, out);
    arena_deinit(&arena);
}

static bool read_state(struct reader *in, const struct aggregate_call *call, char *state,
                       struct aggregate_memory *memory)
{
    const struct aggregate *aggregate = call->aggregate;
    struct error error;
    enum state_form form = form_of(aggregate);
    if (form == STATE_BYTES)
        return aggregate_sum_read(aggregate, in, state);
    if (form == STATE_SKETCH)
        aggregate = sketch_form(aggregate, true);
    call->aggregate->init(state);
    struct value value;
    struct type type = form == STATE_SKETCH ? type_of(TYPE_BYTEA) : call->type;
    if (value_read_bare(in, type, memory->arena, &value) != OK)
        return false;
    if (value.is_null)
        return true;
    struct column column = {.type = value.type, .form = COLUMN_CONSTANT};
    column.values = type_physical(value.type.id) == PHYSICAL_TEXT      ? (const void *)&value.text
                    : type_physical(value.type.id) == PHYSICAL_NUMERIC ? (const void *)&value.n
                    : type_physical(value.type.id) == PHYSICAL_INTERVAL
                        ? (const void *)&value.interval
                    : type_physical(value.type.id) == PHYSICAL_BOOL ? (const void *)&value.b
                                                                    : (const void *)&value.i;
    return aggregate->update(state, 0, NULL, NULL, 1, &column, memory, &error) == OK;
}

/* --- parts --- */

static void write_part(const struct rollup *rollup, const struct partial *part, struct writer *out)
{
    const struct plan *group = rollup->group;
    writer_u8(out, part != NULL);
    if (part == NULL)
        return;
    writer_u32(out, part->group_count);
    for (size_t k = 0; k < group->group.key_count; k++)
        for (size_t i = 0; i < part->group_count; i++) {
            struct value value = column_value(&part->keys[k], i);
            value_write_bare(&value, out);
        }
    assert(part->stride == rollup->stride);
    for (size_t a = 0; a < group->group.aggregate_count; a++) {
        const struct aggregate_call *call = &group->group.aggregates[a];
        for (size_t i = 0; i < part->group_count; i++)
            write_state(out, call, part->states + i * part->stride + rollup->offsets[a]);
    }
}

static bool read_keys(const struct rollup *rollup, struct reader *in, struct partial *part)
{
    size_t key_count = rollup->group->group.key_count;
    part->keys = arena_alloc_array(&part->arena, key_count, sizeof(*part->keys));
    for (size_t k = 0; k < key_count; k++) {
        struct column_builder builder;
        column_builder_init(&builder, rollup->group->group.keys[k]->type, &part->arena);
        for (size_t i = 0; i < part->group_count; i++) {
            struct value value;
            if (value_read_bare(in, builder.type, &part->arena, &value) != OK)
                return false;
            if (value.is_null)
                column_builder_add_null(&builder);
            else
                column_builder_add(&builder, &value);
        }
        part->keys[k] = column_builder_finish(&builder);
    }
    return true;
}

static bool read_states(const struct rollup *rollup, struct reader *in, struct partial *part)
{
    const struct plan *group = rollup->group;
    struct aggregate_memory memory = {.arena = &part->arena};
    part->stride = rollup->stride;
    part->states = arena_alloc_zero(&part->arena, part->group_count * part->stride);
    for (size_t a = 0; a < group->group.aggregate_count; a++) {
        const struct aggregate_call *call = &group->group.aggregates[a];
        for (size_t i = 0; i < part->group_count; i++)
            if (!read_state(in, call, part->states + i * part->stride + rollup->offsets[a],
                            &memory))
                return false;
    }
    return true;
}

/* Bytes that a group has in the file at the least. */
static size_t least_size(const struct rollup *rollup)
{
    const struct plan *group = rollup->group;
    size_t size = group->group.key_count;
    for (size_t a = 0; a < group->group.aggregate_count; a++) {
        const struct aggregate *aggregate = group->group.aggregates[a].aggregate;
        size += form_of(aggregate) == STATE_BYTES ? aggregate->state_size : 1;
    }
    return size;
}

static bool read_part(const struct rollup *rollup, struct reader *in, struct partial **out)
{
    *out = NULL;
    uint8_t has = reader_u8(in);
    if (in->failed || has == 0)
        return !in->failed;
    uint32_t count = reader_u32(in);
    if (has != 1 || in->failed || count > reader_left(in) / least_size(rollup))
        return false;
    struct partial *part = partial_create();
    part->group_count = count;
    *out = part;
    bool is_good = read_keys(rollup, in, part) && read_states(rollup, in, part);
    part->size = sizeof(*part) + part->arena.total;
    return is_good;
}

void rollup_cover_drop_parts(struct rollup_cover *cover)
{
    for (uint32_t i = 0; cover->parts != NULL && i < cover->portion_count; i++)
        partial_unref(cover->parts[i]);
    memory_free(cover->parts);
    cover->parts = NULL;
}

void rollup_write(const struct rollup *rollup, const struct rollup_cover *cover, struct writer *out)
{
    writer_u32(out, FORMAT);
    writer_u64(out, rollup->mark);
    writer_u64(out, cover->segment);
    writer_u32(out, cover->portion_count);
    writer_u64(out, cover->rows);
    for (uint32_t i = 0; i < cover->portion_count; i++)
        write_part(rollup, cover->parts[i], out);
}

enum err rollup_read(const struct rollup *rollup, uint64_t segment, struct slice bytes,
                     struct rollup_cover *out, struct error *error)
{
    struct reader in = reader_of(bytes);
    *out = (struct rollup_cover){.segment = segment, .file_size = bytes.size};
    bool is_good =
        reader_u32(&in) == FORMAT && reader_u64(&in) == rollup->mark && reader_u64(&in) == segment;
    uint32_t count = reader_u32(&in);
    out->rows = reader_u64(&in);
    if (!is_good || in.failed || count > PORTIONS_MAX)
        return error_set(error, ERR_CORRUPT, NULL, "it is of another definition");
    out->portion_count = count;
    out->parts = memory_alloc_zero((count + 1) * sizeof(struct partial *));
    for (uint32_t i = 0; i < count && is_good; i++) {
        is_good = read_part(rollup, &in, &out->parts[i]);
        if (out->parts[i] == NULL)
            continue;
        out->size += out->parts[i]->size;
        out->groups += out->parts[i]->group_count;
    }
    if (is_good && reader_left(&in) == 0)
        return OK;
    rollup_cover_drop_parts(out);
    return error_set(error, ERR_CORRUPT, NULL, "its bytes cannot be read");
}
