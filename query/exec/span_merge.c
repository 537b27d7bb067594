/* The groups of another thread's rows, added to those of the rows before them.
 *
 *   keys, text by text once ──▶ numbers here ──▶ states combined, lists adopted
 *   what DISTINCT has seen  ──▶ what was not seen here ──▶ the aggregate, as rows
 *
 * Texts are told as a dictionary, with the lexicon's numbers where all came by them, so that they
 * are numbered here as those of a segment are, and stay where they are. */
#include "query/exec/partial.h"
#include "query/exec/span.h"

#include "storage/base/fault.h"

/* Of the query's memory: less than where rows are put aside (group_spill.c) … */
#define READ_SHARE(limit) ((limit) / 8 * 3)
/* … and what may be used while groups are added, twice over for a moment. */
#define MERGE_SHARE(limit) ((limit) / 4 * 3)

/* --- which plans --- */

static bool is_of_count(const struct aggregate *aggregate)
{
    return aggregate_is_of(aggregate, &aggregates_sum) &&
           (aggregate->need == NEED_ROWS || aggregate->need == NEED_NULLS);
}

/* Is a value that DISTINCT has seen the one that came, and not one that is equal to it: 0 to -0,
 * 1.0 to 1.00, 30 days to 1 month? */
static bool is_told_whole(const struct expr *argument)
{
    enum physical physical = type_physical(argument->type.id);
    bool has_scale = physical == PHYSICAL_NUMERIC && argument->type.precision != 0;
    return physical == PHYSICAL_BOOL || physical == PHYSICAL_INT || physical == PHYSICAL_TEXT ||
           has_scale;
}

static bool is_call_for(const struct aggregate_call *call)
{
    const struct aggregate *aggregate = call->aggregate;
    if (call->order_count != 0 || aggregate->combine == NULL || !partial_call_is_steady(call))
        return false;
    if (aggregate->adopt != NULL)
        return !call->is_distinct;
    if (call->order_by != NULL)
        return false;
    bool is_count = is_of_count(aggregate);
    bool is_exact = is_count || partial_call_is_exact(call) ||
                    aggregate_is_of(aggregate, &aggregates_extreme) ||
                    aggregate_is_of(aggregate, &aggregates_bool);
    return is_exact && (!call->is_distinct || (call->argument_count == 1 &&
                                               (is_count || is_told_whole(call->arguments[0]))));
}

bool span_is_for(const struct plan *group)
{
    bool is = partial_rows_are_steady(group);
    for (size_t i = 0; is && i < group->group.aggregate_count; i++)
        is = is_call_for(&group->group.aggregates[i]);
    return is;
}

/* --- memory --- */

static bool is_above(const struct exec_node *node, size_t need, size_t share)
{
    const struct budget *budget = node->exec->budget, *all = budget->parent;
    if (atomic_load_explicit(&budget->used, memory_order_relaxed) + need > share)
        return true;
    return all != NULL && atomic_load_explicit(&all->used, memory_order_relaxed) + need >
                              MERGE_SHARE(all->limit - all->reserve);
}

bool span_is_short(const struct exec_node *node, size_t need)
{
    return is_above(node, need, READ_SHARE(node->exec->budget->limit));
}

/* Room for what the first tier may grow by. */
static bool has_room(struct exec_node *node, const struct group_tier *from)
{
    const struct group *group = node->state;
    size_t rows = from->keys.count, need = sizeof(uint32_t) * (size_t)from->keys.count;
    for (size_t i = 0; i < from->keys.column_count; i++)
        need += from->keys.columns[i].text_bytes +
                2 * sizeof(uint32_t) * (size_t)tuple_table_values(&from->keys, i);
    for (size_t a = 0; a < group->call_count; a++)
        if (group->calls[a].call->is_distinct) {
            const struct distinct *distinct = &from->own[a].distinct;
            size_t values = distinct->values.count + distinct->direct.count;
            rows = values > rows ? values : rows;
            rows = distinct->pair_count > rows ? distinct->pair_count : rows;
            for (size_t i = 0; i < distinct->values.column_count; i++)
                need += distinct->values.columns[i].text_bytes;
        }
    need += group_need(group, &group->tiers[0], rows) + from->aggregate_arena.arena.total;
    return !fault_is("span.no_room") &&
           !is_above(node, need, MERGE_SHARE(node->exec->budget->limit));
}

/* --- values of a table of keys, for another one --- */

struct told {
    const struct tuple_table *table;
    size_t index;
    struct column texts; /* of texts: all of them, without codes */
    struct dictionary_notes notes;
};

static void told_open(struct told *told, const struct tuple_table *table, size_t index,
                      struct exec *exec)
{
    const struct key_table *from = &table->columns[index];
    *told = (struct told){.table = table, .index = index};
    if (from->physical != PHYSICAL_TEXT)
        return;
    told->texts = (struct column){.type = from->type,
                                  .form = COLUMN_DICTIONARY,
                                  .dictionary = (const struct slice *)(const void *)from->values,
                                  .dictionary_count = from->count,
                                  .dictionary_id = exec_dictionary_id(exec),
                                  .notes = &told->notes,
                                  .is_lasting = true};
    key_codes_note(from, &told->texts);
}

static void told_close(struct told *told)
{
    dictionary_notes_free(&told->notes);
}

/* Those of these numbers, which are overwritten. */
static struct column told_values(const struct told *told, uint32_t *ids, size_t count,
                                 struct arena *arena)
{
    const struct key_table *from = &told->table->columns[told->index];
    if (from->physical != PHYSICAL_TEXT)
        return tuple_table_column(told->table, told->index, ids, count, arena);
    struct column column = told->texts;
    column.codes = ids;
    if (from->null_id == KEY_NONE)
        return column;
    uint8_t *validity = arena_alloc(arena, count);
    for (size_t i = 0; i < count; i++) {
        bool is_null = ids[i] == from->null_id;
        validity[i] = !is_null || (from->null_id != 0 && fault_is("span.null_text"));
        ids[i] = is_null ? 0 : ids[i];
    }
    column.validity = validity;
    return column;
}

/* --- groups --- */

static enum err adopt_states(struct exec_node *node, char *states, const uint32_t *ids,
                             size_t count, struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    for (size_t a = 0; a < group->call_count; a++) {
        const struct group_call *call = &group->calls[a];
        for (size_t i = 0;
             call->call->aggregate->adopt != NULL && i + fault_is("span.values_lost") < count; i++)
            call->call->aggregate->adopt(tier->states + ids[i] * group->stride + call->state_offset,
                                         states + i * group->stride + call->state_offset);
    }
    return partial_combine_states(node, tier, states, ids, count, error);
}

/* ids: of each of the other tier's groups, the one here. */
static enum err add_groups(struct exec_node *node, struct group_tier *from, uint32_t *ids,
                           struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    size_t key_count = from->keys.column_count, group_count = from->keys.count;
    struct told *told = memory_alloc_zero((key_count + 1) * sizeof(*told));
    enum err err = OK;
    for (size_t i = 0; i < key_count; i++)
        told_open(&told[i], &from->keys, i, node->exec);
    for (size_t first = 0; err == OK && first < group_count; first += VECTOR_ROWS_MAX) {
        size_t left = group_count - first, count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
        arena_reset(&node->scratch);
        struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
        for (size_t i = 0; i < key_count; i++) {
            uint32_t *numbers = arena_alloc_array(&node->scratch, count, sizeof(*numbers));
            tuple_table_column_ids(&from->keys, i, (uint32_t)first, count, numbers);
            keys[i] = told_values(&told[i], numbers, count, &node->scratch);
        }
        err = tuple_table_ids(&tier->keys, keys, NULL, count, true, ids + first, error);
        if (err == OK)
            err = group_grow_states(node, tier, error);
        if (err == OK)
            err =
                adopt_states(node, from->states + first * group->stride, ids + first, count, error);
        if (err == OK && first % EXEC_CHECK_ROWS == 0)
            err = exec_check(node->exec, error);
    }
    for (size_t i = 0; i < key_count; i++)
        told_close(&told[i]);
    memory_free(told);
    return err;
}

/* --- DISTINCT --- */

/* Up to a batch of what one call has seen, as rows. */
struct seen {
    struct column column;
    uint32_t *groups; /* of the other tier */
    size_t count;
};

static void next_seen(const struct told *told, struct distinct *from, struct distinct_at *at,
                      bool is_grouped, struct arena *arena, struct seen *out)
{
    uint32_t *values = arena_alloc_array(arena, VECTOR_ROWS_MAX, sizeof(*values));
    int64_t *integers;
    out->groups = arena_alloc_zero(arena, VECTOR_ROWS_MAX * sizeof(*out->groups));
    if (!from->has_direct || is_grouped) {
        out->count = distinct_list(from, is_grouped, at, out->groups, values);
        out->column = told_values(told, values, out->count, arena);
        return;
    }
    integers = arena_alloc_array(arena, VECTOR_ROWS_MAX, sizeof(*integers));
    out->count = seen_bits_list(&from->direct, &at->place, integers, VECTOR_ROWS_MAX);
    out->column = (struct column){
        .type = from->values.columns[0].type, .form = COLUMN_FLAT, .values = integers};
    if (out->count == 0 && from->direct.has_null && !at->is_null_told) {
        out->count = 1;
        out->column = column_null(out->column.type);
        at->is_null_told = true;
    }
}

/* What the call has not seen here goes to its aggregate. */
static enum err see(struct exec_node *node, size_t index, struct seen *seen, const uint32_t *ids,
                    struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    const struct group_call *call = &group->calls[index];
    uint32_t fresh[VECTOR_ROWS_MAX];
    struct distinct_rows rows = {.group_count = tier->keys.count, .is_insert = true};
    size_t count = 0;
    for (size_t i = 0; ids != NULL && i < seen->count; i++)
        seen->groups[i] = ids[seen->groups[i]];
    rows.group = ids != NULL ? seen->groups : NULL;
    rows.count = seen->count;
    enum err err =
        distinct_keep(&tier->own[index].distinct, &seen->column, &rows, fresh, &count, error);
    for (; err == OK && fault_is("span.seen_again") && count < seen->count; count++)
        fresh[count] = (uint32_t)count;
    struct column arguments[2] = {seen->column, {.type = type_of(TYPE_UNKNOWN)}};
    if (err == OK && count != 0)
        err = call->call->aggregate->update(tier->states + call->state_offset, group->stride,
                                            rows.group, fresh, count, arguments,
                                            &tier->aggregate_memory, error);
    return err == OK ? exec_memory_settle(&tier->aggregate_arena, error) : err;
}

/* Integers counted without groups are bits on both sides, mostly. */
static enum err add_bits(struct exec_node *node, size_t index, const struct distinct *from,
                         bool *is_done, struct error *error)
{
    struct group *group = node->state;
    const struct group_call *call = &group->calls[index];
    struct distinct *to = &group->tiers[0].own[index].distinct;
    size_t count = 0;
    *is_done = false;
    if (!from->has_direct || !to->has_direct || !is_of_count(call->call->aggregate))
        return OK;
    enum err err = seen_bits_add(&to->direct, &from->direct, is_done, &count, error);
    if (err != OK || !*is_done)
        return err;
    to->direct.has_null = to->direct.has_null || from->direct.has_null;
    struct scan_extent extent = {.row_count = count};
    struct group_tier *tier = &group->tiers[0];
    return call->call->aggregate->take(tier->states + call->state_offset, &extent,
                                       &tier->aggregate_memory, error);
}

/* ids NULL: there are no groups. */
static enum err add_distinct(struct exec_node *node, size_t index, struct distinct *from,
                             const uint32_t *ids, struct error *error)
{
    struct told told;
    struct distinct_at at = {0};
    struct seen seen;
    size_t unchecked = 0;
    bool is_done = false;
    enum err err = ids == NULL ? add_bits(node, index, from, &is_done, error) : OK;
    if (err != OK || is_done)
        return err;
    told_open(&told, &from->values, 0, node->exec);
    do {
        arena_reset(&node->scratch);
        next_seen(&told, from, &at, ids != NULL, &node->scratch, &seen);
        if (seen.count != 0)
            err = see(node, index, &seen, ids, error);
        unchecked += seen.count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            unchecked = 0;
            err = exec_check(node->exec, error);
        }
    } while (err == OK && seen.count != 0);
    told_close(&told);
    return err;
}

/* --- all of it --- */

static void release(struct exec_node *other, struct group_tier *from)
{
    const struct group *group = other->state;
    for (size_t a = 0; a < group->call_count; a++)
        if (group->calls[a].call->is_distinct) {
            distinct_deinit(&from->own[a].distinct);
            from->own[a].distinct = (struct distinct){0};
        }
    tuple_table_deinit(&from->keys);
    from->keys = (struct tuple_table){0};
    exec_memory_release(&from->memory, from->states, from->state_capacity * group->stride);
    from->states = NULL;
    from->state_capacity = from->state_count = 0;
}

enum err span_merge(struct exec_node *node, struct exec_node *other, struct group_tier *from,
                    bool *is_done, struct error *error)
{
    struct group *group = node->state;
    size_t key_count = node->plan->group.key_count, capacity = 0;
    uint32_t *ids = NULL, only = 0;
    enum err err = OK;
    *is_done = group->tiers[0].parts == NULL && has_room(node, from);
    if (!*is_done)
        return OK;
    if (key_count == 0) {
        err = adopt_states(node, from->states, &only, 1, error);
    } else {
        err = exec_memory_grow(&group->tiers[0].memory, (void **)&ids, &capacity,
                               (size_t)from->keys.count + 1, sizeof(*ids), error);
        if (err == OK)
            err = add_groups(node, from, ids, error);
    }
    for (size_t a = 0; err == OK && a < group->call_count; a++)
        if (group->calls[a].call->is_distinct)
            err = add_distinct(node, a, &from->own[a].distinct, ids, error);
    exec_memory_release(&group->tiers[0].memory, ids, capacity * sizeof(*ids));
    release(other, from);
    return err;
}
