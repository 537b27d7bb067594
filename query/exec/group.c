/* GROUP BY and DISTINCT: numbers for keys (keys.c), one row of aggregate states a number.
 *
 *   batch ── keys ──▶ group[row] ──▶ states + group * stride + offset of each aggregate
 *
 * Aggregates are updated a batch at a time. Where all keys are constant over a batch (a time bucket
 * over rows in time order) there is one number, and the aggregates' loops for totals run. FILTER
 * narrows the rows by a selection before the arguments are evaluated, so rows it leaves out cannot
 * raise. DISTINCT numbers the (group, arguments) pairs and passes on only rows that made a new
 * number. Without keys there is one state from the start, and one row out even if no row came in;
 * DISTINCT and GROUP BY without rows give none. Groups come out in order of first sight. Without
 * keys, right above a scan, some aggregates are told of whole morsels instead (digest.c). */
#include "query/exec/keys.h"
#include "query/exec/ordered.h"
#include "query/exec/digest.h"
#include "query/func/aggregate.h"

#include <assert.h>
#include <string.h>

#define ARGUMENTS_MAX (AGGREGATE_ARGUMENTS_MAX + 1)

struct group_aggregate {
    const struct aggregate_call *call;
    size_t state_offset;
    size_t argument_count; /* order_by comes last */
    struct evaluator *arguments[ARGUMENTS_MAX];
    struct evaluator *filter;
    struct ordered *ordered;   /* ORDER BY in the call; NULL: rows go on as they come */
    bool is_digested;          /* may be told of whole morsels instead of rows */
    struct tuple_table values; /* DISTINCT */
    struct pair_table seen;
};

struct group {
    struct exec_memory memory;          /* of keys */
    struct exec_memory aggregate_arena; /* of states that grow: charged here, batch by batch */
    struct aggregate_memory aggregate_memory;
    struct tuple_table keys;
    struct evaluator **key_exprs;
    size_t aggregate_count;
    struct group_aggregate *aggregates;
    char *states;
    size_t stride, state_capacity;
    uint32_t state_count;
    bool is_built, has_distinct, is_digested;
    uint32_t next_out;
};

static struct evaluator *open_expr(struct exec_node *node, const struct expr *expr)
{
    return expr == NULL ? NULL : evaluator_create(expr, &node->exec->eval);
}

static void open_aggregate(struct exec_node *node, struct group_aggregate *aggregate,
                           const struct aggregate_call *call)
{
    struct group *group = node->state;
    struct type types[ARGUMENTS_MAX];
    aggregate->call = call;
    aggregate->state_offset = group->stride;
    group->stride += call->aggregate->state_size;
    assert(call->argument_count < ARGUMENTS_MAX);
    for (uint32_t i = 0; i < call->argument_count; i++) {
        types[i] = call->arguments[i]->type;
        aggregate->arguments[aggregate->argument_count++] = open_expr(node, call->arguments[i]);
    }
    if (call->order_by != NULL) {
        types[aggregate->argument_count] = call->order_by->type;
        aggregate->arguments[aggregate->argument_count++] = open_expr(node, call->order_by);
    }
    aggregate->filter = open_expr(node, call->filter);
    group->has_distinct = group->has_distinct || call->is_distinct;
    if (call->order_count > 0)
        aggregate->ordered = ordered_create(node->exec, call);
    if (call->is_distinct) {
        tuple_table_init(&aggregate->values, types, aggregate->argument_count - call->order_count,
                         &group->memory);
        pair_table_init(&aggregate->seen, &group->memory);
    }
}

static enum err grow_states(struct group *group, uint32_t count, struct error *error)
{
    if (count <= group->state_count || group->stride == 0)
        return OK;
    enum err err = exec_memory_grow(&group->memory, (void **)&group->states, &group->state_capacity,
                                    count, group->stride, error);
    for (; err == OK && group->state_count < count; group->state_count++)
        for (size_t a = 0; a < group->aggregate_count; a++)
            group->aggregates[a].call->aggregate->init(group->states +
                                                       group->state_count * group->stride +
                                                       group->aggregates[a].state_offset);
    return err;
}

static void open_digest(struct exec_node *node)
{
    struct group *group = node->state;
    struct digest_call *calls =
        arena_alloc_array(&node->exec->arena, group->aggregate_count, sizeof(*calls));
    for (size_t i = 0; i < group->aggregate_count; i++)
        calls[i] = (struct digest_call){.call = group->aggregates[i].call,
                                        .state = group->states + group->aggregates[i].state_offset};
    group->is_digested = digest_open(node->children[0], calls, group->aggregate_count);
    for (size_t i = 0; i < group->aggregate_count; i++)
        group->aggregates[i].is_digested = calls[i].is_digested;
}

static enum err group_open(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    const struct plan *plan = node->plan;
    exec_memory_init(&group->memory, node->exec->budget);
    exec_memory_init(&group->aggregate_arena, node->exec->budget);
    group->aggregate_memory = (struct aggregate_memory){.arena = &group->aggregate_arena.arena,
                                                        .budget = node->exec->budget,
                                                        .zone = node->exec->eval.zone};
    group->key_exprs = exec_evaluators(node->exec, plan->group.keys, plan->group.key_count);
    struct type *types =
        arena_alloc_array(&node->exec->arena, plan->group.key_count, sizeof(*types));
    for (size_t i = 0; i < plan->group.key_count; i++)
        types[i] = plan->group.keys[i]->type;
    tuple_table_init(&group->keys, types, plan->group.key_count, &group->memory);
    group->aggregate_count = plan->group.aggregate_count;
    group->aggregates = arena_alloc_zero(&node->exec->arena,
                                         (group->aggregate_count + 1) * sizeof(*group->aggregates));
    for (size_t i = 0; i < group->aggregate_count; i++)
        open_aggregate(node, &group->aggregates[i], &plan->group.aggregates[i]);
    if (plan->group.key_count != 0)
        return OK;
    enum err err = grow_states(group, 1, error);
    if (err == OK && node->children[0]->plan->kind == PLAN_SCAN)
        open_digest(node);
    return err;
}

struct group_rows {
    const uint32_t *group; /* NULL: all rows are of one group */
    uint32_t only;         /* that group */
    uint32_t group_count;
    const uint32_t *selection; /* NULL: all */
    size_t count;
};

/* DISTINCT: the rows of the selection whose (group, arguments) were not seen before, into `fresh`.
 */
static enum err keep_unseen(struct group_aggregate *aggregate, const struct column *arguments,
                            const struct group_rows *rows, uint32_t *fresh, size_t *fresh_count,
                            struct error *error)
{
    uint32_t ids[VECTOR_ROWS_MAX];
    uint32_t next = aggregate->values.count;
    enum err err = tuple_table_ids(&aggregate->values, arguments, rows->selection, rows->count,
                                   true, ids, error);
    if (err == OK && rows->group != NULL) {
        struct pair_input input = {
            .left = rows->group,
            .right = ids,
            .left_count = rows->group_count,
            .right_count = aggregate->values.count,
            .selection = rows->selection,
            .count = rows->count,
            .is_insert = true,
        };
        next = aggregate->seen.count;
        err = pair_table_ids(&aggregate->seen, &input, ids, error);
    }
    *fresh_count = 0;
    for (size_t i = 0; err == OK && i < rows->count; i++) {
        uint32_t row = rows->selection != NULL ? rows->selection[i] : (uint32_t)i;
        if (ids[row] == next) {
            fresh[(*fresh_count)++] = row;
            next++;
        }
    }
    return err;
}

static enum err update_aggregate(struct group *group, struct group_aggregate *aggregate,
                                 const struct batch *in, struct group_rows rows,
                                 struct error *error)
{
    uint32_t kept[VECTOR_ROWS_MAX + 16], fresh[VECTOR_ROWS_MAX];
    struct column arguments[ARGUMENTS_MAX];
    enum err err = OK;
    arguments[aggregate->argument_count] = (struct column){.type = type_of(TYPE_UNKNOWN)};
    if (aggregate->filter != NULL) {
        size_t count = 0;
        err = evaluator_filter(aggregate->filter, in, NULL, 0, kept, &count, error);
        if (err != OK || count == 0)
            return err;
        rows.selection = count == in->row_count ? NULL : kept;
        rows.count = count;
    }
    for (size_t i = 0; err == OK && i < aggregate->argument_count; i++)
        err = evaluator_run(aggregate->arguments[i], in, rows.selection, rows.count, &arguments[i],
                            error);
    if (err == OK && aggregate->call->is_distinct) {
        size_t count = 0;
        err = keep_unseen(aggregate, arguments, &rows, fresh, &count, error);
        if (err == OK && count == 0)
            return OK;
        rows.selection = fresh;
        rows.count = count;
    }
    if (err != OK)
        return err;
    if (aggregate->ordered != NULL)
        return ordered_add(aggregate->ordered, arguments, in->row_count, rows.group, rows.only,
                           rows.selection, rows.count, error);
    char *states = group->states + aggregate->state_offset;
    if (rows.group == NULL)
        states += rows.only * group->stride;
    return aggregate->call->aggregate->update(states, group->stride, rows.group, rows.selection,
                                              rows.count, arguments, &group->aggregate_memory,
                                              error);
}

/* The keys' numbers for the rows of a batch, new groups' states made. `ids` has VECTOR_ROWS_MAX. */
static enum err number_batch(struct exec_node *node, const struct batch *in, uint32_t *ids,
                             struct group_rows *rows, struct error *error)
{
    struct group *group = node->state;
    size_t key_count = node->plan->group.key_count;
    arena_reset(&node->scratch);
    struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
    bool is_one = true;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < key_count; i++) {
        err = evaluator_run(group->key_exprs[i], in, NULL, 0, &keys[i], error);
        is_one = is_one && keys[i].form == COLUMN_CONSTANT;
    }
    if (err == OK)
        err =
            tuple_table_ids(&group->keys, keys, NULL, is_one ? 1 : in->row_count, true, ids, error);
    if (err == OK)
        err = grow_states(group, group->keys.count, error);
    rows->only = ids[0];
    rows->group = is_one && !group->has_distinct ? NULL : ids;
    rows->group_count = group->keys.count;
    for (size_t i = 1; err == OK && is_one && group->has_distinct && i < in->row_count; i++)
        ids[i] = ids[0];
    return err;
}

static enum err add_batch(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct group *group = node->state;
    uint32_t ids[VECTOR_ROWS_MAX] = {0};
    struct group_rows rows = {.count = in->row_count};
    if (node->plan->group.key_count != 0) {
        enum err err = number_batch(node, in, ids, &rows, error);
        if (err != OK)
            return err;
    }
    bool is_digested = group->is_digested && exec_scan_is_digested(node->children[0]);
    for (size_t i = 0; i < group->aggregate_count; i++) {
        if (is_digested && group->aggregates[i].is_digested)
            continue;
        enum err err = update_aggregate(group, &group->aggregates[i], in, rows, error);
        if (err != OK)
            return err;
    }
    return exec_memory_settle(&group->aggregate_arena, error);
}

/* After the last batch: the rows that aggregates want in an order. */
static enum err finish_ordered(struct group *group, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < group->aggregate_count; i++) {
        struct group_aggregate *aggregate = &group->aggregates[i];
        if (aggregate->ordered != NULL)
            err = ordered_finish(aggregate->ordered, group->states + aggregate->state_offset,
                                 group->stride, &group->aggregate_memory, &group->aggregate_arena,
                                 error);
    }
    return err;
}

/* Grouping sets of no keys give a row even where no row came in. */
static enum err add_empty_sets(struct exec_node *node, struct error *error)
{
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
        if (expand->expand.sets[set] != 0)
            continue;
        exec_expand_set(expand, set, NULL, arena, columns + before);
        err = number_batch(node, &one, ids, &rows, error);
    }
    return err;
}

static enum err build_groups(struct exec_node *node, struct error *error)
{
    size_t unchecked = 0;
    bool has_rows = false;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err == OK && in.row_count == 0 && !has_rows &&
            node->plan->children[0]->kind == PLAN_EXPAND)
            err = add_empty_sets(node, error);
        if (err == OK && in.row_count == 0)
            return finish_ordered(node->state, error);
        has_rows = true;
        if (err != OK)
            return err;
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        err = add_batch(node, &in, error);
        unchecked += in.row_count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            err = exec_check(node->exec, error);
            unchecked = 0;
        }
        if (err != OK)
            return err;
    }
}

/* One aggregate's results for the groups first … first + count - 1. */
static enum err finish_aggregate(struct exec_node *node, const struct group_aggregate *aggregate,
                                 uint32_t first, size_t count, struct column *out,
                                 struct error *error)
{
    struct group *group = node->state;
    struct column_builder builder;
    column_builder_init(&builder, aggregate->call->type, &node->scratch);
    for (size_t i = 0; i < count; i++) {
        const char *state = group->states + (first + i) * group->stride + aggregate->state_offset;
        struct value value = {.type = aggregate->call->type};
        enum err err = aggregate->call->aggregate->finish(state, aggregate->call,
                                                          &group->aggregate_memory, &value, error);
        if (err == OK)
            err = exec_memory_settle(&group->aggregate_arena, error);
        if (err != OK)
            return err;
        column_builder_add(&builder, &value);
    }
    *out = column_builder_finish(&builder);
    return OK;
}

static enum err group_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct group *group = node->state;
    const struct plan *plan = node->plan;
    if (!group->is_built) {
        enum err err = build_groups(node, error);
        if (err != OK)
            return err;
        group->is_built = true;
    }
    uint32_t total = plan->group.key_count == 0 ? 1 : group->keys.count;
    size_t count = total - group->next_out;
    if (count == 0)
        return OK;
    if (count > VECTOR_ROWS_MAX)
        count = VECTOR_ROWS_MAX;
    enum err err = exec_check(node->exec, error);
    if (err != OK)
        return err;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count, sizeof(*columns));
    tuple_table_keys(&group->keys, plan->group.key_count == 0 ? 0 : group->next_out,
                     plan->group.key_count == 0 ? 0 : count, &node->scratch, columns);
    for (size_t i = 0; err == OK && i < group->aggregate_count; i++)
        err = finish_aggregate(node, &group->aggregates[i], group->next_out, count,
                               &columns[plan->group.key_count + i], error);
    group->next_out += (uint32_t)count;
    *out =
        (struct batch){.row_count = count, .column_count = plan->column_count, .columns = columns};
    return err;
}

static void group_close(struct exec_node *node)
{
    struct group *group = node->state;
    if (group->memory.budget == NULL)
        return;
    exec_evaluators_destroy(group->key_exprs, node->plan->group.key_count);
    for (size_t i = 0; group->aggregates != NULL && i < group->aggregate_count; i++) {
        struct group_aggregate *aggregate = &group->aggregates[i];
        exec_evaluators_destroy(aggregate->arguments, aggregate->argument_count);
        if (aggregate->filter != NULL)
            evaluator_destroy(aggregate->filter);
        ordered_destroy(aggregate->ordered);
        if (aggregate->call != NULL && aggregate->call->is_distinct) {
            tuple_table_deinit(&aggregate->values);
            pair_table_deinit(&aggregate->seen);
        }
    }
    tuple_table_deinit(&group->keys);
    memory_free(group->states);
    if (group->state_capacity != 0)
        budget_release(node->exec->budget, group->state_capacity * group->stride);
    exec_memory_deinit(&group->memory);
    exec_memory_deinit(&group->aggregate_arena);
}

const struct exec_operator exec_group_operator = {
    .name = "group",
    .state_size = sizeof(struct group),
    .open = group_open,
    .next = group_next,
    .close = group_close,
};
