/* GROUP BY and DISTINCT: numbers for keys (keys.c), one row of aggregate states a number.
 *
 *   batch ── keys ──▶ group[row] ──▶ states + group * stride + offset of each aggregate
 *
 * Aggregates are updated a batch at a time. Where all keys are constant over a batch (a time bucket
 * over rows in time order) there is one number, and the aggregates' loops for totals run. FILTER
 * narrows the rows by a selection before the arguments are evaluated, so rows it leaves out cannot
 * raise. DISTINCT passes on only rows whose (group, arguments) were not seen before (distinct.c).
 * Without keys there is one state from the start, and one row out even if no row came in; DISTINCT
 * and GROUP BY without rows give none. Groups come out in order of first sight. Without keys, right
 * above a scan, some aggregates are told of whole morsels instead (digest.c); groups by time are
 * told of runs of rows (runs.c).
 *
 * Over a large table rows are grouped portion by portion where that pays (partial_run.c), or run by
 * run on several threads (span.c), or each of two makes half of the groups (split.c).
 *
 * Tables and states are one tier; there are further ones where groups do not fit the query's
 * memory and rows are put aside (group_spill.c). */
#include "query/exec/digest.h"
#include "query/exec/group.h"
#include "query/exec/span.h"
#include "query/exec/split.h"
#include "query/exec/tally.h"

#include <assert.h>
#include <string.h>

#define STATES_FAR ((size_t)1 << 20) /* bytes: as much as the second cache holds */

static struct evaluator *open_expr(struct exec_node *node, const struct expr *expr)
{
    return expr == NULL ? NULL : evaluator_create(expr, &node->exec->eval);
}

static void open_call(struct exec_node *node, struct group_call *out,
                      const struct aggregate_call *call)
{
    struct group *group = node->state;
    size_t size = call->aggregate->state_size, align = size % 16 == 0 ? 16 : 8;
    out->call = call;
    out->state_offset = group_state_offset(group->stride, call->aggregate);
    group->stride = out->state_offset + size;
    group->state_align = align > group->state_align ? align : group->state_align;
    assert(call->argument_count < GROUP_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < call->argument_count; i++)
        out->arguments[out->argument_count++] = open_expr(node, call->arguments[i]);
    if (call->order_by != NULL)
        out->arguments[out->argument_count++] = open_expr(node, call->order_by);
    out->filter = open_expr(node, call->filter);
    group->has_distinct = group->has_distinct || call->is_distinct;
}

/* --- tiers --- */

static struct group_rest *open_rests(struct exec_node *node, struct group_tier *tier)
{
    struct group *group = node->state;
    struct group_rest *rests = memory_alloc_zero((group->call_count + 1) * sizeof(*rests));
    for (size_t a = 0; a < group->call_count; a++) {
        const struct aggregate_call *call = group->calls[a].call;
        struct type types[GROUP_ARGUMENTS_MAX];
        if (call->order_count > 0)
            rests[a].ordered = ordered_create(node->exec, call);
        if (!call->is_distinct)
            continue;
        for (uint32_t i = 0; i < call->argument_count; i++)
            types[i] = call->arguments[i]->type;
        if (call->order_by != NULL)
            types[call->argument_count] = call->order_by->type;
        distinct_init(&rests[a].distinct, types, group->calls[a].argument_count - call->order_count,
                      &tier->memory);
        bool is_count = aggregate_is_of(call->aggregate, &aggregates_sum); /* of a text */
        if (is_count && node->plan->group.key_count == 0 && !tier->is_portion &&
            !node->exec->is_fork)
            distinct_defer(&rests[a].distinct);
    }
    return rests;
}

static void close_rests(struct group *group, struct group_rest *rests)
{
    for (size_t a = 0; rests != NULL && a < group->call_count; a++) {
        ordered_destroy(rests[a].ordered);
        if (group->calls[a].call->is_distinct)
            distinct_deinit(&rests[a].distinct);
    }
    memory_free(rests);
}

void group_tier_open(struct exec_node *node, struct group_tier *tier)
{
    struct group *group = node->state;
    struct budget *budget = node->exec->budget;
    tier->used_before = atomic_load_explicit(&budget->used, memory_order_relaxed);
    exec_memory_init(&tier->memory, budget);
    tier->memory.context = &node->exec->eval;
    exec_memory_init(&tier->aggregate_arena, budget);
    tier->aggregate_memory = (struct aggregate_memory){
        .arena = &tier->aggregate_arena.arena, .budget = budget, .zone = node->exec->eval.zone};
    tuple_table_init(&tier->keys, group->key_types, node->plan->group.key_count, &tier->memory);
    tier->own = open_rests(node, tier);
    if (group_tier_above(group, tier) != NULL)
        tier->above = open_rests(node, tier);
}

void group_tier_forget(struct exec_node *node, struct group_tier *tier)
{
    if (tier->memory.budget != NULL)
        tally_reset(node->state);
    group_tier_free(node, tier);
}

void group_tier_free(struct exec_node *node, struct group_tier *tier)
{
    struct group *group = node->state;
    if (tier->memory.budget == NULL)
        return;
    close_rests(group, tier->own);
    close_rests(group, tier->above);
    tier->own = tier->above = NULL;
    tuple_table_deinit(&tier->keys);
    exec_memory_release(&tier->memory, tier->states, tier->state_capacity * group->stride);
    exec_memory_release(&tier->memory, tier->part_of, tier->part_capacity);
    tier->part_of = NULL;
    tier->part_capacity = 0;
    tier->states = NULL;
    tier->state_capacity = tier->state_count = 0;
    exec_memory_deinit(&tier->memory);
    exec_memory_deinit(&tier->aggregate_arena);
    tier->memory.budget = NULL;
}

size_t group_states_wanted(const struct group *group, const struct group_tier *tier, size_t count)
{
    return key_wanted(tier->state_capacity, count, tuple_table_expected(&tier->keys), group->stride,
                      tier->memory.budget);
}

static enum err grow_to(struct exec_node *node, struct group_tier *tier, uint32_t count,
                        struct error *error)
{
    struct group *group = node->state;
    if (count <= tier->state_count || group->stride == 0)
        return OK;
    enum err err = exec_memory_grow(&tier->memory, (void **)&tier->states, &tier->state_capacity,
                                    group_states_wanted(group, tier, count), group->stride, error);
    for (; err == OK && tier->state_count < count; tier->state_count++)
        for (size_t a = 0; a < group->call_count; a++)
            group->calls[a].call->aggregate->init(tier->states + tier->state_count * group->stride +
                                                  group->calls[a].state_offset);
    return err;
}

enum err group_grow_states(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    return grow_to(node, tier, tier->keys.count, error);
}

enum err group_grow_only(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    return grow_to(node, tier, 1, error);
}

/* --- open --- */

static void open_digest(struct exec_node *node)
{
    struct group *group = node->state;
    struct digest_call *calls =
        arena_alloc_array(&node->exec->arena, group->call_count, sizeof(*calls));
    for (size_t i = 0; i < group->call_count; i++)
        calls[i] = (struct digest_call){.call = group->calls[i].call,
                                        .offset = group->calls[i].state_offset};
    group->digest_tier = &group->tiers[0];
    group->is_digested =
        digest_open(node->children[0], calls, group->call_count, &group->digest_tier);
    for (size_t i = 0; i < group->call_count; i++)
        group->calls[i].is_digested = calls[i].is_digested;
}

static enum err group_open(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    const struct plan *plan = node->plan, *child = plan->children[0];
    struct arena *arena = &node->exec->arena;
    size_t key_count = plan->group.key_count;
    group->is_open = true;
    group->key_exprs = exec_evaluators(node->exec, plan->group.keys, key_count);
    group->key_types = arena_alloc_array(arena, key_count, sizeof(*group->key_types));
    group->types = arena_alloc_array(arena, child->column_count, sizeof(*group->types));
    group->can_spill = key_count != 0 && spill_is_on(node->exec);
    for (size_t i = 0; i < key_count; i++) {
        group->key_types[i] = plan->group.keys[i]->type;
        group->can_spill = group->can_spill && !expr_is_volatile(plan->group.keys[i]);
    }
    for (size_t i = 0; i < child->column_count; i++)
        group->types[i] = child->columns[i].type;
    group->call_count = plan->group.aggregate_count;
    group->calls = arena_alloc_zero(arena, (group->call_count + 1) * sizeof(*group->calls));
    for (size_t i = 0; i < group->call_count; i++)
        open_call(node, &group->calls[i], &plan->group.aggregates[i]);
    if (group->stride % 16 != 0 && group->state_align == 16)
        group->stride += 8;
    group->tier_count = 1;
    group_tier_open(node, &group->tiers[0]);
    if (!node->exec->is_fork)
        group_sizes_expect(node, &group->tiers[0], 1);
    enum err err = key_count != 0 ? OK : group_grow_only(node, &group->tiers[0], error);
    if (err == OK && key_count == 0 && child->kind == PLAN_SCAN)
        open_digest(node);
    if (err == OK && key_count != 0)
        group_runs_open(node);
    if (err == OK && key_count != 0)
        tally_open(node);
    if (err == OK)
        err = portions_open(node, error);
    return err;
}

/* --- rows in --- */

/* Of the rows those whose (group, arguments) were not seen before. What a closed tier above has
 * seen of its groups is asked first. */
static enum err keep_distinct(const struct group_target *target, size_t index,
                              const struct column *arguments, struct group_rows *rows,
                              uint32_t *fresh, struct error *error)
{
    struct distinct_rows asked = {.group = rows->group,
                                  .group_count = rows->group_count,
                                  .selection = rows->selection,
                                  .count = rows->count};
    enum err err = OK;
    if (target->owner != target->tier) {
        size_t unseen = 0;
        err = distinct_keep(&target->owner->own[index].distinct, arguments, &asked, fresh, &unseen,
                            error);
        asked.selection = fresh;
        asked.count = unseen;
    }
    asked.is_insert = true;
    rows->count = 0;
    rows->selection = fresh;
    return err == OK && asked.count != 0 ? distinct_keep(&target->rest[index].distinct, arguments,
                                                         &asked, fresh, &rows->count, error)
                                         : err;
}

static enum err update_call(struct exec_node *node, const struct group_target *target, size_t index,
                            const struct batch *in, struct group_rows rows, struct error *error)
{
    struct group *group = node->state;
    const struct group_call *call = &group->calls[index];
    uint32_t kept[VECTOR_ROWS_MAX + 16], fresh[VECTOR_ROWS_MAX];
    struct column arguments[GROUP_ARGUMENTS_MAX];
    enum err err = OK;
    arguments[call->argument_count] = (struct column){.type = type_of(TYPE_UNKNOWN)};
    if (call->filter != NULL) {
        size_t count = 0;
        err = evaluator_filter(call->filter, in, rows.selection,
                               rows.selection == NULL ? 0 : rows.count, kept, &count, error);
        if (err != OK || count == 0)
            return err;
        rows.selection = count == in->row_count ? NULL : kept;
        rows.count = count;
    }
    for (size_t i = 0; err == OK && i < call->argument_count; i++)
        err =
            evaluator_run(call->arguments[i], in, rows.selection, rows.count, &arguments[i], error);
    if (err == OK && call->call->is_distinct)
        err = keep_distinct(target, index, arguments, &rows, fresh, error);
    if (err != OK || rows.count == 0)
        return err;
    if (target->rest[index].ordered != NULL)
        return ordered_add(target->rest[index].ordered, arguments, in->row_count, rows.group,
                           rows.only, rows.selection, rows.count, error);
    char *states = target->owner->states + call->state_offset;
    if (rows.group == NULL)
        states += rows.only * group->stride;
    return call->call->aggregate->update(states, group->stride, rows.group, rows.selection,
                                         rows.count, arguments, &target->tier->aggregate_memory,
                                         error);
}

/* States past the caches are asked for together, before the aggregates come to them one by one. */
static void ask_for_states(const struct group_tier *owner, size_t stride,
                           const struct group_rows *rows)
{
    if (rows->group == NULL || owner->state_count * stride < STATES_FAR)
        return;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = rows->selection != NULL ? rows->selection[i] : i;
        __builtin_prefetch(owner->states + rows->group[row] * stride, 1);
    }
}

enum err group_update(struct exec_node *node, const struct group_target *target,
                      const struct batch *in, struct group_rows rows, struct error *error)
{
    struct group *group = node->state;
    bool is_digested = group->is_digested && exec_scan_is_digested(node->children[0]);
    ask_for_states(target->owner, group->stride, &rows);
    for (size_t i = 0; i < group->call_count; i++) {
        if ((is_digested && group->calls[i].is_digested) ||
            (rows.is_tallied && group->calls[i].is_tallied))
            continue;
        enum err err = update_call(node, target, i, in, rows, error);
        if (err != OK)
            return err;
    }
    return exec_memory_settle(&target->tier->aggregate_arena, error);
}

static enum err evaluate_keys(struct exec_node *node, const struct batch *in, struct column **out,
                              bool *is_one, struct error *error)
{
    struct group *group = node->state;
    size_t key_count = node->plan->group.key_count;
    arena_reset(&node->scratch);
    struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
    enum err err = exec_evaluate(group->key_exprs, key_count, in, keys, error);
    *is_one = true;
    *out = keys;
    for (size_t i = 0; err == OK && i < key_count; i++)
        *is_one = *is_one && keys[i].form == COLUMN_CONSTANT;
    return err;
}

/* The keys' numbers for the rows of a batch, new groups' states made. `ids` has VECTOR_ROWS_MAX. */
static enum err number_batch(struct exec_node *node, struct group_tier *tier,
                             const struct batch *in, const struct column *keys, bool is_one,
                             uint32_t *ids, struct group_rows *rows, struct error *error)
{
    struct group *group = node->state;
    enum err err =
        tuple_table_ids(&tier->keys, keys, NULL, is_one ? 1 : in->row_count, true, ids, error);
    if (err == OK)
        err = group_grow_states(node, tier, error);
    rows->only = ids[0];
    rows->group = is_one && !group->has_distinct ? NULL : ids;
    rows->group_count = tier->keys.count;
    for (size_t i = 1; err == OK && is_one && group->has_distinct && i < in->row_count; i++)
        ids[i] = ids[0];
    return err;
}

static struct group_tier *last_tier(struct group *group)
{
    return &group->tiers[group->tier_count - 1];
}

enum err group_add_batch(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = last_tier(group);
    uint32_t ids[VECTOR_ROWS_MAX] = {0};
    struct group_rows rows = {.count = in->row_count};
    struct group_target target = {.tier = tier, .owner = tier, .rest = tier->own};
    if (node->plan->group.key_count != 0) {
        struct column *keys;
        bool is_one;
        enum err err = evaluate_keys(node, in, &keys, &is_one, error);
        if (err == OK && group_spill_check(node, tier, in->row_count)) {
            err = tally_flush(node, tier, error);
            return err == OK ? group_spill_batch(node, tier, in, keys, error) : err;
        }
        bool is_taken = false;
        if (err == OK && group->tally != NULL && !is_one)
            err = tally_add(node, tier, in, keys, &is_taken, error);
        if (err == OK && is_taken)
            return exec_memory_settle(&tier->aggregate_arena, error);
        if (err == OK)
            err = number_batch(node, tier, in, keys, is_one, ids, &rows, error);
        if (err != OK)
            return err;
    }
    return group_update(node, &target, in, rows, error);
}

enum err group_add_whole(struct exec_node *node, struct group_tier *tier, const struct batch *in,
                         uint32_t *ids, struct error *error)
{
    struct group_rows rows = {.count = in->row_count};
    struct group_target target = {.tier = tier, .owner = tier, .rest = tier->own};
    struct column *keys;
    bool is_one;
    enum err err = evaluate_keys(node, in, &keys, &is_one, error);
    if (err == OK)
        err = number_batch(node, tier, in, keys, is_one, ids, &rows, error);
    return err == OK ? group_update(node, &target, in, rows, error) : err;
}

bool group_can_add(struct exec_node *node, size_t group_count)
{
    struct group *group = node->state;
    return !group_spill_check(node, last_tier(group), group_count);
}

enum err group_states_of(struct exec_node *node, const struct batch *one, char **states,
                         struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = last_tier(group);
    uint32_t ids[VECTOR_ROWS_MAX];
    struct group_rows rows = {.count = 1};
    struct column *keys;
    bool is_one;
    enum err err = evaluate_keys(node, one, &keys, &is_one, error);
    if (err == OK)
        err = number_batch(node, tier, one, keys, true, ids, &rows, error);
    *states = err == OK ? tier->states + rows.only * group->stride : NULL;
    return err;
}

/* Grouping sets of no keys give a row even where no row came in. */
static enum err add_empty_sets(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    const struct plan *expand = node->plan->children[0];
    struct arena *arena = &node->exec->arena;
    struct column *columns = arena_alloc_array(arena, expand->column_count, sizeof(*columns));
    size_t before = expand->children[0]->column_count;
    enum err err = OK;
    for (size_t index = 0; index < before; index++)
        columns[index] = column_null(expand->columns[index].type);
    for (size_t set = 0; err == OK && set < expand->expand.set_count; set++) {
        uint32_t ids[VECTOR_ROWS_MAX];
        struct group_rows rows = {.count = 1};
        struct batch one = {
            .row_count = 1, .column_count = expand->column_count, .columns = columns};
        struct column *keys;
        bool is_one;
        if (expand->expand.sets[set] != 0)
            continue;
        exec_expand_set(expand, set, NULL, arena, columns + before);
        err = evaluate_keys(node, &one, &keys, &is_one, error);
        if (err == OK)
            err = number_batch(node, &group->tiers[0], &one, keys, is_one, ids, &rows, error);
    }
    return err;
}

/* --- the end of rows --- */

static enum err finish_ordered(struct group *group, struct group_tier *tier,
                               struct group_tier *owner, struct group_rest *rests,
                               struct error *error)
{
    enum err err = OK;
    for (size_t a = 0; err == OK && rests != NULL && a < group->call_count; a++)
        if (rests[a].ordered != NULL)
            err = ordered_finish(rests[a].ordered, owner->states + group->calls[a].state_offset,
                                 group->stride, &tier->aggregate_memory, &tier->aggregate_arena,
                                 error);
    return err;
}

/* Values that DISTINCT tells of at the end. Without groups only. */
static enum err finish_distinct(struct exec_node *node, struct group_tier *tier,
                                struct error *error)
{
    struct group *group = node->state;
    struct slice texts[VECTOR_ROWS_MAX];
    enum err err = OK;
    for (size_t a = 0; err == OK && a < group->call_count; a++) {
        const struct group_call *call = &group->calls[a];
        size_t count = call->call->is_distinct ? 1 : 0;
        while (err == OK && count != 0) {
            struct column arguments[2] = {{.type = type_of(TYPE_TEXT)},
                                          {.type = type_of(TYPE_UNKNOWN)}};
            err = distinct_rest(&tier->own[a].distinct, texts, arguments, &count, error);
            if (err == OK && count != 0)
                err = call->call->aggregate->update(tier->states + call->state_offset,
                                                    group->stride, NULL, NULL, count, arguments,
                                                    &tier->aggregate_memory, error);
            if (err == OK)
                err = exec_check(node->exec, error);
        }
    }
    return err;
}

static enum err read_part(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    for (;;) {
        struct batch in;
        enum err err = spill_stream_read(tier->source, VECTOR_ROWS_MAX, true, &in, error);
        if (err == OK && in.row_count == 0) {
            spill_stream_deinit(tier->source); /* its memory is for the groups */
            return OK;
        }
        if (err == OK)
            err = group_add_batch(node, &in, error);
        if (err != OK)
            return err;
    }
}

/* Portion by portion, then by several threads in one way or the other, then row by row. */
static enum err read_child(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    size_t rest = 0;
    enum split_end end = SPLIT_NOT;
    enum err err = group->portions != NULL ? portions_read(node, &rest, error) : OK;
    if (err == OK)
        err = split_read(node, rest, NULL, &end, error);
    bool is_done = end == SPLIT_DONE;
    if (err == OK && end == SPLIT_NOT)
        err = group_sample(node, &rest, &is_done, error);
    if (err == OK && !is_done)
        err = spans_read(node, rest, &is_done, error);
    return err != OK || is_done ? err : exec_each(node, 0, group_add_batch, error);
}

static enum err build_tier(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    struct group *group = node->state;
    enum err err = tier->source == NULL ? read_child(node, error) : read_part(node, tier, error);
    bool is_empty = tier->source == NULL && tier->keys.count == 0;
    if (err == OK && is_empty && node->plan->children[0]->kind == PLAN_EXPAND)
        err = add_empty_sets(node, error);
    if (err == OK)
        err = tally_flush(node, tier, error);
    if (err == OK && node->plan->group.key_count == 0)
        err = finish_distinct(node, tier, error);
    if (err == OK && tier == &group->tiers[0] && !node->exec->is_fork)
        group_sizes_note(node, tier);
    if (err == OK)
        err = group_spill_end(node, tier, error);
    if (err != OK || tier->is_closed)
        return err;
    if (tier->above != NULL)
        err = finish_ordered(group, tier, group_tier_above(group, tier), tier->above, error);
    return err == OK ? finish_ordered(group, tier, tier, tier->own, error) : err;
}

/* --- groups out --- */

/* Of counts and sums of integers those of all groups at once. */
static bool finish_ints(struct exec_node *node, const struct group_tier *owner,
                        const struct group_call *call, uint32_t first, size_t count,
                        struct column *out)
{
    const struct group *group = node->state;
    bool has_null;
    if (type_physical(call->call->type.id) != PHYSICAL_INT)
        return false;
    int64_t *values = arena_alloc_array(&node->scratch, count, sizeof(*values));
    uint8_t *validity = arena_alloc(&node->scratch, count);
    const char *states = owner->states + (size_t)first * group->stride + call->state_offset;
    if (!aggregate_sum_ints(call->call, states, group->stride, count, values, validity, &has_null))
        return false;
    *out = (struct column){.type = call->call->type,
                           .form = COLUMN_FLAT,
                           .validity = has_null ? validity : NULL,
                           .values = values};
    return true;
}

/* One aggregate's results for groups of `owner`: those numbered first + selection[i], or from first
 * on. */
static enum err finish_call(struct exec_node *node, struct group_tier *tier,
                            const struct group_tier *owner, size_t index, uint32_t first,
                            const uint32_t *selection, size_t count, struct column *out,
                            struct error *error)
{
    struct group *group = node->state;
    const struct group_call *call = &group->calls[index];
    struct column_builder builder;
    if (selection == NULL && finish_ints(node, owner, call, first, count, out))
        return OK;
    column_builder_init(&builder, call->call->type, &node->scratch);
    for (size_t i = 0; i < count; i++) {
        size_t number = first + (selection != NULL ? selection[i] : i);
        const char *state = owner->states + number * group->stride + call->state_offset;
        struct value value = {.type = call->call->type};
        const struct value *ready =
            owner == &group->tiers[0] ? spans_find_result(group->spans, index, number) : NULL;
        if (ready != NULL) {
            column_builder_add(&builder, ready);
            continue;
        }
        enum err err = call->call->aggregate->finish(state, call->call, &tier->aggregate_memory,
                                                     &value, error);
        if (err == OK)
            err = exec_memory_settle(&tier->aggregate_arena, error);
        if (err != OK)
            return err;
        column_builder_add(&builder, &value);
    }
    *out = column_builder_finish(&builder);
    return OK;
}

enum err group_give(struct exec_node *node, struct group_tier *tier, uint32_t first, size_t count,
                    struct column *columns, struct error *error)
{
    const struct group *group = node->state;
    enum err err = OK;
    tuple_table_keys(&tier->keys, first, count, &node->scratch, columns);
    for (size_t i = 0; err == OK && i < group->call_count; i++)
        err = finish_call(node, tier, tier, i, first, NULL, count,
                          &columns[node->plan->group.key_count + i], error);
    return err;
}

static enum err give(struct exec_node *node, struct group_tier *tier, struct group_tier *owner,
                     uint32_t first, const uint32_t *selection, size_t span, size_t count,
                     struct batch *out, struct error *error)
{
    struct group *group = node->state;
    const struct plan *plan = node->plan;
    size_t key_count = plan->group.key_count;
    enum err err = exec_check(node->exec, error);
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count, sizeof(*columns));
    tuple_table_keys(&owner->keys, key_count == 0 ? 0 : first, key_count == 0 ? 0 : span,
                     &node->scratch, columns);
    for (size_t i = 0; selection != NULL && i < key_count; i++)
        columns[i] = column_gather(&columns[i], selection, count, &node->scratch);
    for (size_t i = 0; err == OK && i < group->call_count; i++)
        err = finish_call(node, tier, owner, i, first, selection, count, &columns[key_count + i],
                          error);
    *out = (struct batch){
        .row_count = err == OK ? count : 0, .column_count = plan->column_count, .columns = columns};
    return err;
}

/* The next groups of a tier: first those of a closed one above that are of this part. */
static enum err give_tier(struct exec_node *node, struct group_tier *tier, struct batch *out,
                          struct error *error)
{
    struct group_tier *above = group_tier_above(node->state, tier);
    uint32_t selection[VECTOR_ROWS_MAX];
    while (above != NULL && tier->next_above < above->keys.count) {
        uint32_t first = tier->next_above, left = above->keys.count - first;
        uint32_t span = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
        size_t count = 0;
        for (uint32_t i = 0; i < span; i++)
            if (above->part_of[first + i] == tier->part)
                selection[count++] = i;
        tier->next_above += span;
        if (count != 0)
            return give(node, tier, above, first, selection, span, count, out, error);
    }
    uint32_t total = node->plan->group.key_count == 0 ? 1 : tier->keys.count;
    uint32_t first = tier->next_out, left = total - first;
    uint32_t count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
    tier->next_out += count;
    return count == 0 ? OK : give(node, tier, tier, first, NULL, count, count, out, error);
}

static enum err group_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct group *group = node->state;
    while (group->tier_count != 0) {
        struct group_tier *tier = last_tier(group);
        enum err err = OK;
        switch (tier->phase) {
        case TIER_READS:
            err = build_tier(node, tier, error);
            tier->phase = tier->is_closed ? TIER_SPLITS : TIER_GIVES;
            break;
        case TIER_GIVES:
            err = group->split != NULL ? split_give(node, out, error)
                                       : give_tier(node, tier, out, error);
            if (err != OK || out->row_count != 0)
                return err;
            if (!group->can_spill)
                return OK; /* there is nothing else; the last batch holds until the next call */
            group_tier_forget(node, tier);
            tier->phase = TIER_SPLITS;
            break;
        case TIER_SPLITS:
            err = group_next_part(node, error);
            break;
        }
        if (err != OK)
            return err;
    }
    return OK;
}

static void group_close(struct exec_node *node)
{
    struct group *group = node->state;
    if (!group->is_open)
        return;
    portions_close(node, group->portions);
    spans_close(group->spans);
    split_close(group->split);
    while (group->tier_count != 0)
        group_drop_tier(node);
    tally_close(group->tally);
    exec_evaluators_destroy(group->key_exprs, node->plan->group.key_count);
    for (size_t i = 0; group->calls != NULL && i < group->call_count; i++) {
        exec_evaluators_destroy(group->calls[i].arguments, group->calls[i].argument_count);
        if (group->calls[i].filter != NULL)
            evaluator_destroy(group->calls[i].filter);
    }
}

const struct exec_operator exec_group_operator = {
    .name = "group",
    .state_size = sizeof(struct group),
    .open = group_open,
    .next = group_next,
    .close = group_close,
};
