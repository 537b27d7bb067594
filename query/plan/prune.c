/* Columns that nothing above uses go away. Each node is told which of its output columns are
 * needed, tells its children the same, and answers with where each old column went (UINT32_MAX:
 * gone), by which the expressions above are renumbered. A node may keep more than was asked (a
 * filter's own columns); PROJECT, VALUES and UNION ALL keep exactly that, so the sides of a union
 * stay alike. */
#include "query/plan/rewrite.h"

#include <assert.h>

#define GONE UINT32_MAX

static uint32_t *prune(struct builder *build, struct plan *plan, const bool *needed);

static void need(void *context, uint32_t column)
{
    ((bool *)context)[column] = true;
}

static bool *new_needed(struct builder *build, size_t count)
{
    return arena_alloc_zero(build->arena, count * sizeof(bool));
}

static bool *copy_needed(struct builder *build, const bool *needed, size_t count)
{
    bool *copy = new_needed(build, count);
    if (count > 0)
        memcpy(copy, needed, count * sizeof(bool));
    return copy;
}

static void need_expr(const struct expr *expr, bool *needed)
{
    if (expr != NULL)
        expr_visit_columns(expr, need, needed);
}

static void renumber(struct builder *build, struct expr **expr, const uint32_t *map)
{
    if (*expr != NULL)
        *expr = expr_copy(*expr, map, build->arena);
}

/* Squeezes the output columns (and `array` of element size `size` beside them) to the kept ones. */
static uint32_t *squeeze(struct builder *build, struct plan *plan, const bool *kept, void *array,
                         size_t size)
{
    uint32_t *map = arena_alloc_array(build->arena, plan->column_count, sizeof(*map));
    struct plan_column *columns =
        arena_alloc_array(build->arena, plan->column_count, sizeof(*columns));
    uint32_t count = 0;
    for (uint32_t index = 0; index < plan->column_count; index++) {
        map[index] = GONE;
        if (!kept[index])
            continue;
        if (array != NULL)
            memmove((char *)array + count * size, (char *)array + index * size, size);
        columns[count] = plan->columns[index];
        map[index] = count++;
    }
    plan->columns = columns;
    plan->column_count = count;
    return map;
}

static uint32_t *prune_scan(struct builder *build, struct plan *plan, const bool *needed,
                            uint32_t *columns, struct expr **filter)
{
    bool *kept = copy_needed(build, needed, plan->column_count);
    need_expr(*filter, kept);
    uint32_t *map = squeeze(build, plan, kept, columns, sizeof(*columns));
    renumber(build, filter, map);
    return map;
}

static uint32_t *prune_values(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t count = plan->column_count;
    size_t out = 0;
    for (size_t cell = 0; cell < plan->values.row_count * count; cell++)
        if (needed[cell % count])
            plan->values.cells[out++] = plan->values.cells[cell];
    return squeeze(build, plan, needed, NULL, 0);
}

/* The node's output is its child's. */
static uint32_t *take_child(struct plan *plan, uint32_t *map)
{
    plan->columns = plan->children[0]->columns;
    plan->column_count = plan->children[0]->column_count;
    return map;
}

static uint32_t *prune_filter(struct builder *build, struct plan *plan, const bool *needed)
{
    bool *below = copy_needed(build, needed, plan->column_count);
    need_expr(plan->filter.predicate, below);
    uint32_t *map = prune(build, plan->children[0], below);
    renumber(build, &plan->filter.predicate, map);
    return take_child(plan, map);
}

static uint32_t *prune_project(struct builder *build, struct plan *plan, const bool *needed)
{
    uint32_t *map = squeeze(build, plan, needed, plan->project.exprs, sizeof(struct expr *));
    bool *below = new_needed(build, plan->children[0]->column_count);
    for (size_t index = 0; index < plan->column_count; index++)
        need_expr(plan->project.exprs[index], below);
    uint32_t *child_map = prune(build, plan->children[0], below);
    for (size_t index = 0; index < plan->column_count; index++)
        renumber(build, &plan->project.exprs[index], child_map);
    return map;
}

static void visit_aggregate(struct builder *build, struct aggregate_call *call, bool *needed,
                            const uint32_t *map)
{
    struct expr **arguments = call->arguments;
    if (map != NULL) {
        arguments = arena_alloc_array(build->arena, call->argument_count, sizeof(*arguments));
        if (call->argument_count != 0)
            memcpy(arguments, call->arguments, call->argument_count * sizeof(*arguments));
        call->arguments = arguments;
    }
    for (uint32_t index = 0; index < call->argument_count; index++) {
        if (map == NULL)
            need_expr(arguments[index], needed);
        else
            renumber(build, &arguments[index], map);
    }
    if (map == NULL) {
        need_expr(call->filter, needed);
        need_expr(call->order_by, needed);
    } else {
        renumber(build, &call->filter, map);
        renumber(build, &call->order_by, map);
    }
}

static uint32_t *prune_group(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t key_count = plan->group.key_count;
    bool *kept = copy_needed(build, needed, plan->column_count);
    for (size_t index = 0; index < key_count; index++)
        kept[index] = true;
    size_t count = 0;
    for (size_t index = 0; index < plan->group.aggregate_count; index++)
        if (kept[key_count + index])
            plan->group.aggregates[count++] = plan->group.aggregates[index];
    plan->group.aggregate_count = count;
    uint32_t *map = squeeze(build, plan, kept, NULL, 0);
    bool *below = new_needed(build, plan->children[0]->column_count);
    for (size_t index = 0; index < key_count; index++)
        need_expr(plan->group.keys[index], below);
    for (size_t index = 0; index < count; index++)
        visit_aggregate(build, &plan->group.aggregates[index], below, NULL);
    uint32_t *child_map = prune(build, plan->children[0], below);
    for (size_t index = 0; index < key_count; index++)
        renumber(build, &plan->group.keys[index], child_map);
    for (size_t index = 0; index < count; index++)
        visit_aggregate(build, &plan->group.aggregates[index], NULL, child_map);
    return map;
}

static uint32_t *prune_sort(struct builder *build, struct plan *plan, const bool *needed)
{
    bool *below = copy_needed(build, needed, plan->column_count);
    for (size_t index = 0; index < plan->sort.key_count; index++)
        need_expr(plan->sort.keys[index].expr, below);
    uint32_t *map = prune(build, plan->children[0], below);
    for (size_t index = 0; index < plan->sort.key_count; index++)
        renumber(build, &plan->sort.keys[index].expr, map);
    return take_child(plan, map);
}

static uint32_t *prune_lookup(struct builder *build, struct plan *plan, const bool *needed)
{
    bool *below = copy_needed(build, needed, plan->column_count);
    need_expr(plan->lookup.condition, below);
    for (size_t index = 0; index < plan->lookup.key_count; index++)
        need_expr(plan->lookup.keys[index], below);
    for (size_t index = 0; index < plan->lookup.order_count; index++)
        need_expr(plan->lookup.order[index].expr, below);
    uint32_t *map = prune(build, plan->children[0], below);
    renumber(build, &plan->lookup.condition, map);
    for (size_t index = 0; index < plan->lookup.key_count; index++)
        renumber(build, &plan->lookup.keys[index], map);
    for (size_t index = 0; index < plan->lookup.order_count; index++)
        renumber(build, &plan->lookup.order[index].expr, map);
    return take_child(plan, map);
}

static uint32_t *prune_join(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t left_count = plan->children[0]->column_count;
    size_t right_count = plan->children[1]->column_count;
    bool is_left_only = plan->join.kind == JOIN_SEMI || plan->join.kind == JOIN_ANTI;
    bool *both = new_needed(build, left_count + right_count);
    if (plan->column_count > 0)
        memcpy(both, needed, plan->column_count * sizeof(bool));
    need_expr(plan->join.condition, both);
    for (size_t index = 0; index < plan->join.slots.count; index++)
        need_expr(plan->join.arguments[index], both);
    bool *right = copy_needed(build, both + left_count, right_count);
    for (size_t index = 0; index < plan->join.key_count; index++) {
        need_expr(plan->join.left_keys[index], both);
        need_expr(plan->join.right_keys[index], right);
    }
    uint32_t *left_map = prune(build, plan->children[0], both);
    uint32_t *right_map = prune(build, plan->children[1], right);
    size_t new_left = plan->children[0]->column_count;
    size_t new_right = plan->children[1]->column_count;
    uint32_t *map = arena_alloc_array(build->arena, left_count + right_count, sizeof(*map));
    for (size_t index = 0; index < left_count; index++)
        map[index] = left_map[index];
    for (size_t index = 0; index < right_count; index++)
        map[left_count + index] =
            right_map[index] == GONE ? GONE : right_map[index] + (uint32_t)new_left;
    for (size_t index = 0; index < plan->join.key_count; index++) {
        renumber(build, &plan->join.left_keys[index], left_map);
        renumber(build, &plan->join.right_keys[index], right_map);
    }
    for (size_t index = 0; index < plan->join.slots.count; index++)
        renumber(build, &plan->join.arguments[index], left_map);
    renumber(build, &plan->join.condition, map);
    if (is_left_only)
        return take_child(plan, map);
    plan->column_count = new_left + new_right;
    plan->columns = arena_alloc_array(build->arena, plan->column_count, sizeof(*plan->columns));
    if (new_left > 0)
        memcpy(plan->columns, plan->children[0]->columns, new_left * sizeof(*plan->columns));
    if (new_right > 0)
        memcpy(plan->columns + new_left, plan->children[1]->columns,
               new_right * sizeof(*plan->columns));
    return map;
}

static uint32_t *prune_union(struct builder *build, struct plan *plan, const bool *needed)
{
    uint32_t *map = squeeze(build, plan, needed, NULL, 0);
    for (size_t index = 0; index < plan->child_count; index++) {
        prune(build, plan->children[index], needed);
        assert(plan->children[index]->column_count == plan->column_count);
    }
    return map;
}

static uint32_t *prune_hop(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t before = plan->children[0]->column_count;
    struct plan_column *window = plan->columns + before;
    bool *below = copy_needed(build, needed, before);
    below[plan->hop.time_column] = true;
    uint32_t *child_map = prune(build, plan->children[0], below);
    size_t after = plan->children[0]->column_count;
    plan->hop.time_column = child_map[plan->hop.time_column];
    uint32_t *map = arena_alloc_array(build->arena, before + 2, sizeof(*map));
    memcpy(map, child_map, before * sizeof(*map));
    map[before] = (uint32_t)after;
    map[before + 1] = (uint32_t)after + 1;
    struct plan_column *columns = arena_alloc_array(build->arena, after + 2, sizeof(*columns));
    memcpy(columns, plan->children[0]->columns, after * sizeof(*columns));
    memcpy(columns + after, window, 2 * sizeof(*columns));
    plan->columns = columns;
    plan->column_count = after + 2;
    return map;
}

static uint32_t *prune_expand(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t before = plan->children[0]->column_count;
    size_t extra = plan->column_count - before;
    const struct plan_column *own = plan->columns + before;
    bool *below = copy_needed(build, needed, before);
    for (size_t key = 0; key < plan->expand.key_count; key++)
        need_expr(plan->expand.keys[key], below);
    uint32_t *child_map = prune(build, plan->children[0], below);
    size_t after = plan->children[0]->column_count;
    for (size_t key = 0; key < plan->expand.key_count; key++)
        renumber(build, &plan->expand.keys[key], child_map);
    uint32_t *map = arena_alloc_array(build->arena, plan->column_count, sizeof(*map));
    memcpy(map, child_map, before * sizeof(*map));
    for (size_t index = 0; index < extra; index++)
        map[before + index] = (uint32_t)(after + index);
    plan->columns = arena_alloc_array(build->arena, after + extra, sizeof(*plan->columns));
    memcpy(plan->columns, plan->children[0]->columns, after * sizeof(*plan->columns));
    memcpy(plan->columns + after, own, extra * sizeof(*own));
    plan->column_count = after + extra;
    return map;
}

static uint32_t *prune_sides(struct builder *build, struct plan *plan)
{
    uint32_t *map = arena_alloc_array(build->arena, plan->column_count + 1, sizeof(*map));
    bool *all = arena_alloc(build->arena, plan->column_count * sizeof(bool) + 1);
    memset(all, true, plan->column_count * sizeof(bool));
    for (size_t index = 0; index < plan->child_count; index++) {
        prune(build, plan->children[index], all);
        assert(plan->children[index]->column_count == plan->column_count);
    }
    for (uint32_t index = 0; index < plan->column_count; index++)
        map[index] = index;
    return map;
}

static uint32_t *prune_first(struct builder *build, struct plan *plan, const bool *needed)
{
    bool *below = copy_needed(build, needed, plan->column_count);
    for (size_t index = 0; index < plan->first.key_count; index++)
        need_expr(plan->first.keys[index], below);
    uint32_t *map = prune(build, plan->children[0], below);
    for (size_t index = 0; index < plan->first.key_count; index++)
        renumber(build, &plan->first.keys[index], map);
    return take_child(plan, map);
}

static uint32_t *prune_window(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t before = plan->children[0]->column_count;
    bool *below = copy_needed(build, needed, before);
    for (size_t key = 0; key < plan->window.key_count; key++)
        need_expr(plan->window.keys[key].expr, below);
    size_t count = 0;
    struct plan_column *kept =
        arena_alloc_array(build->arena, plan->window.call_count + 1, sizeof(*kept));
    uint32_t *map = arena_alloc_array(build->arena, plan->column_count + 1, sizeof(*map));
    for (size_t index = 0; index < plan->window.call_count; index++) {
        map[before + index] = GONE;
        if (!needed[before + index])
            continue;
        kept[count] = plan->columns[before + index];
        plan->window.calls[count] = plan->window.calls[index];
        visit_aggregate(build, &plan->window.calls[count].aggregate, below, NULL);
        map[before + index] = (uint32_t)count++;
    }
    plan->window.call_count = count;
    uint32_t *child_map = prune(build, plan->children[0], below);
    size_t after = plan->children[0]->column_count;
    for (size_t key = 0; key < plan->window.key_count; key++)
        renumber(build, &plan->window.keys[key].expr, child_map);
    for (size_t index = 0; index < count; index++)
        visit_aggregate(build, &plan->window.calls[index].aggregate, NULL, child_map);
    memcpy(map, child_map, before * sizeof(*map));
    for (size_t index = before; index < plan->column_count; index++)
        map[index] = map[index] == GONE ? GONE : map[index] + (uint32_t)after;
    plan->columns = arena_alloc_array(build->arena, after + count, sizeof(*plan->columns));
    memcpy(plan->columns, plan->children[0]->columns, after * sizeof(*plan->columns));
    memcpy(plan->columns + after, kept, count * sizeof(*kept));
    plan->column_count = after + count;
    return map;
}

/* Columns that were kept for the filter alone. */
static void note_only_filter(const uint32_t *map, const bool *needed, size_t count, bool *out)
{
    for (size_t index = 0; index < count; index++)
        if (map[index] != GONE)
            out[map[index]] = !needed[index];
}

static uint32_t *prune(struct builder *build, struct plan *plan, const bool *needed)
{
    size_t before = plan->column_count;
    switch (plan->kind) {
    case PLAN_SCAN: {
        uint32_t *map = prune_scan(build, plan, needed, plan->scan.columns, &plan->scan.filter);
        plan->scan.is_only_filter = new_needed(build, plan->column_count);
        note_only_filter(map, needed, before, plan->scan.is_only_filter);
        return map;
    }
    case PLAN_PROVIDER:
        return prune_scan(build, plan, needed, plan->provider.columns, &plan->provider.filter);
    case PLAN_VALUES:
        return prune_values(build, plan, needed);
    case PLAN_FILTER:
        return prune_filter(build, plan, needed);
    case PLAN_PROJECT:
        return prune_project(build, plan, needed);
    case PLAN_GROUP:
        return prune_group(build, plan, needed);
    case PLAN_SORT:
    case PLAN_LIMIT:
        return prune_sort(build, plan, needed);
    case PLAN_JOIN:
    case PLAN_APPLY:
        return prune_join(build, plan, needed);
    case PLAN_LOOKUP:
        return prune_lookup(build, plan, needed);
    case PLAN_UNION_ALL:
        return prune_union(build, plan, needed);
    case PLAN_HOP:
        return prune_hop(build, plan, needed);
    case PLAN_EXPAND:
        return prune_expand(build, plan, needed);
    case PLAN_SERIES:
    case PLAN_SET:
    case PLAN_RECURSION:
    case PLAN_WORKING:
        return prune_sides(build, plan);
    case PLAN_FIRST:
        return prune_first(build, plan, needed);
    case PLAN_WINDOW:
        return prune_window(build, plan, needed);
    }
    return NULL;
}

void plan_prune(struct builder *build, struct plan *plan)
{
    bool *all = arena_alloc(build->arena, plan->column_count * sizeof(bool));
    memset(all, true, plan->column_count * sizeof(bool));
    prune(build, plan, all);
}
