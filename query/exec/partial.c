/* Partial results: the groups of some rows made compact, and added to others.
 *
 *   rows of a portion ──▶ a tier of its own ──▶ keys as columns, states as bytes ──▶ the first tier
 *                                                └ what states point to: copied by combining them
 *                                                  into empty ones
 *
 * A portion that turns out to have many groups is given up while it is read: numbering its keys
 * once more would cost what it saves. Where that is depends on its rows and on the query's memory
 * limit alone: which sums of doubles are made, and in which order they are added up, must be the
 * same whether a partial result was kept from an earlier query, came from another thread or was
 * made now.
 *
 * Aggregates take part whose states stay small and combine for the same result as if all rows had
 * come to one state. Lists, bags of values and DISTINCT do not. */
#include "query/exec/partial.h"
#include "query/exec/tally.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

/* Of the query's memory: what a portion's groups may take. */
#define MEMORY_SHARE 8
/* Of dictionaries that are partials' keys: above those of rows in memory, below all others. */
#define DICTIONARY_ID_FIRST (UINT64_C(1) << 62)

/* --- which plans --- */

static bool is_small(const struct aggregate *aggregate)
{
    static const struct aggregate_group *const groups[] = {
        &aggregates_sum,  &aggregates_bool, &aggregates_extreme,  &aggregates_spread,
        &aggregates_pair, &aggregates_one,  &aggregates_distinct, &aggregates_percentile};
    for (size_t i = 0; i < array_count(groups); i++)
        if (aggregate_is_of(aggregate, groups[i]))
            return aggregate->combine != NULL && !aggregate->is_ordered_set &&
                   !aggregate->is_order_sensitive;
    return false;
}

/* Nothing in it is another value when it is evaluated another time, or needs a query of its own. */
static bool is_steady(const struct expr *expr)
{
    if (expr == NULL)
        return true;
    if (expr_is_subquery(expr) || expr->kind == EXPR_OUTER ||
        (expr->kind == EXPR_CALL && expr_is_volatile(expr)))
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!is_steady(expr->arguments[i]))
            return false;
    return true;
}

static bool are_steady(struct expr *const *exprs, size_t count)
{
    bool are = true;
    for (size_t i = 0; are && i < count; i++)
        are = is_steady(exprs[i]);
    return are;
}

bool partial_call_is_steady(const struct aggregate_call *call)
{
    return is_steady(call->filter) && is_steady(call->order_by) &&
           are_steady(call->arguments, call->argument_count);
}

static bool is_call_for(const struct aggregate_call *call)
{
    return is_small(call->aggregate) && !call->is_distinct && call->order_by == NULL &&
           call->order_count == 0 && partial_call_is_steady(call);
}

bool partial_rows_are_steady(const struct plan *group)
{
    bool are = are_steady(group->group.keys, group->group.key_count);
    const struct plan *plan = group->children[0];
    for (;
         are && (plan->kind == PLAN_FILTER || plan->kind == PLAN_PROJECT || plan->kind == PLAN_HOP);
         plan = plan->children[0])
        are = (plan->kind != PLAN_FILTER || is_steady(plan->filter.predicate)) &&
              (plan->kind != PLAN_PROJECT || are_steady(plan->project.exprs, plan->column_count));
    return are && plan->kind == PLAN_SCAN && is_steady(plan->scan.filter);
}

bool partial_is_for(const struct plan *group)
{
    bool is = partial_rows_are_steady(group);
    for (size_t i = 0; is && i < group->group.aggregate_count; i++)
        is = is_call_for(&group->group.aggregates[i]);
    return is;
}

bool partial_call_is_exact(const struct aggregate_call *call)
{
    bool is = aggregate_is_of(call->aggregate, &aggregates_sum) ||
              aggregate_is_of(call->aggregate, &aggregates_bool) ||
              aggregate_is_of(call->aggregate, &aggregates_extreme);
    for (size_t i = 0; is && i < call->argument_count; i++)
        is = type_physical(call->arguments[i]->type.id) != PHYSICAL_FLOAT;
    return is;
}

bool partial_is_exact(const struct plan *group)
{
    bool is = true;
    for (size_t i = 0; is && i < group->group.aggregate_count; i++)
        is = partial_call_is_exact(&group->group.aggregates[i]);
    return is;
}

struct exec_node *partial_scan(const struct exec_node *group)
{
    struct exec_node *node = group->children[0];
    while (node->plan->kind != PLAN_SCAN)
        node = node->children[0];
    return node;
}

void partial_range(const struct exec_node *group, size_t begin, size_t end)
{
    struct exec_node *node = group->children[0];
    for (; node->plan->kind != PLAN_SCAN; node = node->children[0])
        if (node->plan->kind == PLAN_HOP)
            exec_hop_drop(node);
    exec_scan_range(node, begin, end);
}

void partial_seek(const struct exec_node *group, const struct portion *portion)
{
    partial_range(group, portion->begin, portion->end);
    if (portion->row_end != 0)
        exec_scan_rows(partial_scan(group), portion->row_begin, portion->row_end);
}

/* --- made --- */

size_t partial_tier_size(const struct group *group, const struct group_tier *tier)
{
    size_t size = (size_t)tier->keys.count * (group->stride + tier->keys.column_count * 64) +
                  tier->aggregate_arena.arena.total;
    for (size_t i = 0; i < tier->keys.column_count; i++) /* not where texts are: that differs */
        size += tier->keys.columns[i].text_bytes;
    return size;
}

static bool is_too_large(const struct exec_node *node, const struct group_tier *tier,
                         const struct portion *portion)
{
    const struct group *group = node->state;
    return tier->keys.count > portion->groups_max ||
           (group->can_spill &&
            partial_tier_size(group, tier) > node->exec->budget->limit / MEMORY_SHARE);
}

/* A text's groups by codes of the different ones, which are the dictionary. */
static void copy_text_key(const struct key_table *table, struct partial *partial, size_t index,
                          uint32_t *codes)
{
    static _Atomic uint64_t next_id = DICTIONARY_ID_FIRST; /* relaxed: each has its own */
    struct column *column = &partial->keys[index];
    const struct slice *values = (const struct slice *)(const void *)table->values;
    struct slice *texts = arena_alloc_array(&partial->arena, table->count, sizeof(*texts));
    for (uint32_t id = 0; id < table->count; id++)
        texts[id] =
            id == table->null_id ? slice_of(NULL, 0) : arena_copy(&partial->arena, values[id]);
    *column = (struct column){.type = table->type,
                              .form = COLUMN_DICTIONARY,
                              .codes = codes,
                              .dictionary = texts,
                              .dictionary_count = table->count,
                              .dictionary_id =
                                  atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed),
                              .notes = &partial->notes[index]};
    if (table->null_id != KEY_NONE) {
        uint8_t *validity = arena_alloc(&partial->arena, partial->group_count);
        for (uint32_t i = 0; i < partial->group_count; i++) {
            validity[i] = codes[i] != table->null_id;
            codes[i] = validity[i] != 0 ? codes[i] : 0;
        }
        column->validity = validity;
    }
    key_codes_note(table, column);
    partial->size += table->count * sizeof(uint32_t); /* as much as notes take, if there are any */
}

static void copy_keys(struct exec_node *node, const struct group_tier *tier,
                      struct partial *partial)
{
    struct arena *arena = &partial->arena;
    size_t key_count = node->plan->group.key_count, count = partial->group_count;
    partial->keys = arena_alloc_array(arena, key_count, sizeof(*partial->keys));
    partial->notes = arena_alloc_zero(arena, key_count * sizeof(*partial->notes));
    partial->key_count = key_count;
    for (size_t i = 0; i < key_count; i++) {
        bool is_text = tier->keys.columns[i].physical == PHYSICAL_TEXT;
        arena_reset(&node->scratch);
        struct arena *ids_arena = is_text ? arena : &node->scratch;
        uint32_t *ids = arena_alloc_array(ids_arena, count, sizeof(*ids));
        tuple_table_column_ids(&tier->keys, i, 0, count, ids);
        if (is_text)
            copy_text_key(&tier->keys.columns[i], partial, i, ids);
        else
            partial->keys[i] = tuple_table_column(&tier->keys, i, ids, count, arena);
    }
}

/* States that point to nothing are their bytes; others are combined into empty ones. */
static enum err copy_states(struct exec_node *node, const struct group_tier *tier,
                            struct partial *partial, struct error *error)
{
    struct group *group = node->state;
    size_t size = partial->group_count * group->stride;
    partial->stride = group->stride;
    partial->states = arena_alloc(&partial->arena, size);
    partial->is_plain = tier->aggregate_arena.arena.total == 0;
    if (partial->is_plain) {
        if (size != 0)
            memcpy(partial->states, tier->states, size);
        return OK;
    }
    struct aggregate_memory memory = tier->aggregate_memory;
    memory.arena = &partial->arena;
    enum err err = OK;
    for (size_t i = 0; i < partial->group_count; i++)
        for (size_t a = 0; err == OK && a < group->call_count; a++) {
            const struct aggregate *aggregate = group->calls[a].call->aggregate;
            size_t at = i * group->stride + group->calls[a].state_offset;
            aggregate->init(partial->states + at);
            err = aggregate->combine(partial->states + at, tier->states + at, &memory, error);
        }
    return err;
}

struct partial *partial_create(void)
{
    struct partial *partial = memory_alloc_zero(sizeof(*partial));
    arena_init(&partial->arena);
    atomic_init(&partial->references, 1);
    partial->size = sizeof(*partial);
    return partial;
}

static enum err make(struct exec_node *node, const struct group_tier *tier, struct partial **out,
                     struct error *error)
{
    struct partial *partial = partial_create();
    partial->group_count = node->plan->group.key_count == 0 ? 1 : tier->keys.count;
    copy_keys(node, tier, partial);
    enum err err = copy_states(node, tier, partial, error);
    partial->size += partial->arena.total;
    if (err == OK)
        *out = partial;
    else
        partial_unref(partial);
    return err;
}

static bool is_unwanted(const struct group *group)
{
    return group->is_unwanted != NULL &&
           atomic_load_explicit(group->is_unwanted, memory_order_relaxed);
}

/* Batch by batch into the last tier, until its groups are too many or rows end. */
static enum err read_rows(struct exec_node *node, const struct portion *portion, bool *is_given_up,
                          struct error *error)
{
    struct group *group = node->state;
    const struct group_tier *tier = &group->tiers[group->tier_count - 1];
    *is_given_up = false;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err != OK || in.row_count == 0) { /* runs of rows come without batches */
            *is_given_up = err == OK && is_too_large(node, tier, portion);
            return err;
        }
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        err = group_add_batch(node, &in, error);
        *is_given_up = err == OK && (is_too_large(node, tier, portion) || is_unwanted(group));
        if (err != OK || *is_given_up)
            return err;
    }
}

static uint64_t rows_scanned(const struct exec_node *node)
{
    return atomic_load_explicit(&node->exec->statistics.rows_scanned, memory_order_relaxed);
}

/* The one below it, which has the number `at` from the group down; NULL: it is not counted. */
static const struct exec_node *next_node(const struct exec_node *node, size_t at)
{
    return node->plan->kind == PLAN_SCAN || at > PARTIAL_CHAIN_MAX ? NULL : node->children[0];
}

struct partial_counted partial_counted(const struct exec_node *group)
{
    struct partial_counted counted; /* of most nodes there are none */
    size_t at = 0;
    counted.scanned = rows_scanned(group);
    for (const struct exec_node *node = group; node != NULL; node = next_node(node, at++)) {
        const struct plan_actual *actual = &node->exec->actual[node->plan->id];
        counted.nodes[at].rows = actual->rows;
        counted.nodes[at].rows_in = actual->rows_in;
    }
    return counted;
}

void partial_count_back(struct exec_node *group, const struct partial_counted *counted)
{
    size_t at = 0;
    atomic_fetch_sub_explicit(&group->exec->statistics.rows_scanned,
                              rows_scanned(group) - counted->scanned, memory_order_relaxed);
    for (const struct exec_node *node = group; node != NULL; node = next_node(node, at++)) {
        struct plan_actual *actual = &node->exec->actual[node->plan->id];
        actual->rows = counted->nodes[at].rows;
        actual->rows_in = counted->nodes[at].rows_in;
    }
}

void partial_count_take(struct exec_node *group, const struct partial_counted *since,
                        struct partial_counted *taken)
{
    size_t at = 0;
    taken->scanned += rows_scanned(group) - since->scanned;
    for (const struct exec_node *node = group; node != NULL; node = next_node(node, at++)) {
        const struct plan_actual *actual = &node->exec->actual[node->plan->id];
        taken->nodes[at].rows += actual->rows - since->nodes[at].rows;
        taken->nodes[at].rows_in += actual->rows_in - since->nodes[at].rows_in;
    }
    if (!fault_is("partial.taken_twice"))
        partial_count_back(group, since);
}

void partial_count_add(struct exec_node *group, const struct partial_counted *taken)
{
    size_t at = 0;
    atomic_fetch_add_explicit(&group->exec->statistics.rows_scanned, taken->scanned,
                              memory_order_relaxed);
    for (const struct exec_node *node = group; node != NULL; node = next_node(node, at++)) {
        struct plan_actual *actual = &node->exec->actual[node->plan->id];
        actual->rows += taken->nodes[at].rows;
        actual->rows_in += taken->nodes[at].rows_in;
    }
}

enum err partial_compute(struct exec_node *node, const struct portion *portion,
                         struct partial **out, struct error *error)
{
    struct group *group = node->state;
    bool is_given_up;
    struct partial_counted counted = partial_counted(node);
    assert(group->tier_count == 1);
    struct group_tier *tier = &group->tiers[group->tier_count++];
    *tier = (struct group_tier){.is_portion = true};
    *out = NULL;
    group_tier_open(node, tier);
    enum err err = node->plan->group.key_count != 0 ? OK : group_grow_only(node, tier, error);
    group->digest_tier = tier;
    partial_seek(node, portion);
    if (err == OK)
        err = read_rows(node, portion, &is_given_up, error);
    if (err == OK && is_given_up && !fault_is("partial.counted_twice"))
        partial_count_back(node, &counted);
    if (err == OK && !is_given_up)
        err = tally_flush(node, tier, error);
    if (err == OK && !is_given_up)
        err = make(node, tier, out, error);
    group_drop_tier(node);
    group->digest_tier = &group->tiers[0];
    return err;
}

enum err partial_add_rows(struct exec_node *node, const struct portion *portion,
                          struct error *error)
{
    struct group *group = node->state;
    assert(group->tier_count == 1);
    partial_seek(node, portion);
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err == OK && in.row_count == 0)
            return tally_flush(node, &group->tiers[0], error);
        if (err != OK)
            return err;
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        err = fault_is("partial.rows_left") && portion->begin != 0
                  ? OK
                  : group_add_batch(node, &in, error);
        if (err != OK)
            return err;
    }
}

/* --- combined --- */

enum err partial_combine_states(struct exec_node *node, struct group_tier *tier, const char *states,
                                const uint32_t *ids, size_t count, struct error *error)
{
    struct group *group = node->state;
    enum err err = OK;
    for (size_t a = 0; a < group->call_count; a++) {
        const struct group_call *call = &group->calls[a];
        const char *from = states + call->state_offset;
        char *to = tier->states + call->state_offset;
        if (call->call->is_distinct || call->call->aggregate->adopt != NULL)
            continue;
        if (aggregate_sum_combine(call->call->aggregate, to, ids, from, group->stride, count))
            continue;
        for (size_t i = 0; err == OK && i < count; i++)
            err = call->call->aggregate->combine(to + ids[i] * group->stride,
                                                 from + i * group->stride, &tier->aggregate_memory,
                                                 error);
    }
    return err == OK ? exec_memory_settle(&tier->aggregate_arena, error) : err;
}

/* Are states the same bytes in empty groups as if they had been combined into them? */
static bool is_copied(const struct exec_node *node, const struct group_tier *tier,
                      const struct partial *partial)
{
    return tier->keys.count == 0 && node->plan->group.key_count != 0 && partial->is_plain &&
           partial_is_exact(node->plan);
}

enum err partial_combine(struct exec_node *node, const struct partial *partial, bool is_held,
                         struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[group->tier_count - 1];
    size_t key_count = node->plan->group.key_count;
    bool is_copy = is_copied(node, tier, partial);
    uint32_t ids[VECTOR_ROWS_MAX] = {0};
    enum err err = OK;
    assert(partial->stride == group->stride);
    for (size_t first = 0; err == OK && first < partial->group_count; first += VECTOR_ROWS_MAX) {
        size_t left = partial->group_count - first;
        size_t count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
        arena_reset(&node->scratch);
        struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
        for (size_t i = 0; i < key_count; i++) {
            keys[i] = column_from(&partial->keys[i], first);
            keys[i].is_lasting = is_held;
        }
        if (key_count != 0)
            err = tuple_table_ids(&tier->keys, keys, NULL, count, true, ids, error);
        if (err == OK && key_count != 0)
            err = group_grow_states(node, tier, error);
        bool are_new = key_count != 0 && tier->keys.count == first + count;
        if (err == OK && is_copy && are_new && group->stride != 0)
            memcpy(tier->states + first * group->stride, partial->states + first * group->stride,
                   (count - fault_is("partial.copied_states")) * group->stride);
        else if (err == OK)
            err = partial_combine_states(node, tier, partial->states + first * partial->stride, ids,
                                         count, error);
    }
    return err;
}

enum err partial_merge(struct exec_node *node, struct partial *const *list, size_t count,
                       struct partial **out, struct error *error)
{
    struct group *group = node->state;
    enum err err = OK;
    assert(group->tier_count == 1);
    struct group_tier *tier = &group->tiers[group->tier_count++];
    *tier = (struct group_tier){.is_portion = true};
    *out = NULL;
    group_tier_open(node, tier);
    for (size_t i = 0; err == OK && i < count; i++) {
        err = exec_check(node->exec, error);
        if (err == OK)
            err = partial_combine(node, list[i], true, error);
    }
    if (err == OK)
        err = make(node, tier, out, error);
    group_drop_tier(node);
    return err;
}

/* --- shared --- */

struct partial *partial_ref(struct partial *partial)
{
    atomic_fetch_add_explicit(&partial->references, 1, memory_order_relaxed);
    return partial;
}

void partial_unref(struct partial *partial)
{
    /* acq_rel: who frees has seen every other owner's last use. */
    if (partial == NULL ||
        atomic_fetch_sub_explicit(&partial->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < partial->key_count; i++)
        dictionary_notes_free(&partial->notes[i]);
    arena_deinit(&partial->arena);
    memory_free(partial);
}
