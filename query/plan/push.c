/* Conditions on their way down. Each node gets the conditions that hold above it, keeps what cannot
 * pass, and hands the rest to its children in terms of their columns.
 *
 *   node          passes
 *   PROJECT       what names non-volatile expressions, those put in its place (up to
 *                 SUBSTITUTED_SIZE_MAX)
 *   GROUP         what names keys only
 *   JOIN          inner: either side's; equalities become keys, the rest the condition. left: above
 *                 it, the left side's only; in ON, the right side's only (a row of the left side
 *                 that fails ON still comes out); right the other way round; full: nothing
 *   APPLY         as JOIN, without keys
 *   LOOKUP        nothing: its rows are kept for other values too
 *   UNION ALL     everything, to each side
 *   SORT          everything without LIMIT, nothing with it
 *   HOP           what does not name the window
 *   EXPAND        nothing, nor a GROUP above it: () gives a row where no row is
 *   SERIES        nothing
 *   SET           everything, to both sides
 *   FIRST         what names keys only
 *   WINDOW        what names PARTITION BY only
 *   SCAN          everything: the scan filters
 *
 * What the text says once can be work many times over (each condition for each side of a union, or
 * for each projection on its way), so the caller looks at time and memory on the way (build_look);
 * once it has failed the statement is not run, and what is left out then does not matter.
 *
 * Volatile conditions stay where they were written, those without columns stand above all others of
 * their WHERE. Order among conditions is kept, which is what decides about errors in rows that a
 * condition to the left would have taken out. */
#include "query/plan/rewrite.h"

#include "storage/base/fault.h"

#include <assert.h>

/* A condition grows when expressions are put into it; past this it stays above. */
#define SUBSTITUTED_SIZE_MAX 256

static struct plan *push(struct builder *build, struct plan *plan, struct expr_list *conditions);

static struct plan *keep(struct builder *build, struct plan *plan, const struct expr_list *kept)
{
    if (kept->count == 0)
        return plan;
    struct plan *filter = arena_alloc_zero(build->arena, sizeof(*filter));
    filter->kind = PLAN_FILTER;
    filter->column_count = plan->column_count;
    filter->columns = plan->columns;
    filter->child_count = 1;
    filter->children = arena_alloc(build->arena, sizeof(struct plan *));
    filter->children[0] = plan;
    filter->filter.predicate = expr_join(build->arena, kept);
    return filter;
}

struct substitution {
    struct expr *const *exprs;
    size_t limit, size;
    bool is_volatile;
};

static void weigh(void *context, uint32_t column)
{
    struct substitution *s = context;
    if (column >= s->limit) {
        s->is_volatile = true;
        return;
    }
    s->is_volatile = s->is_volatile || expr_is_volatile(s->exprs[column]);
    if (s->size < SUBSTITUTED_SIZE_MAX)
        s->size += expr_size(s->exprs[column], SUBSTITUTED_SIZE_MAX);
}

/* Conditions over a node's output to conditions over its input by its first `limit` expressions;
 * others are kept. */
static void push_through(struct builder *build, const struct expr_list *conditions,
                         struct expr *const *exprs, size_t limit, struct expr_list *below,
                         struct expr_list *kept)
{
    for (size_t index = 0; index < conditions->count && build_look(build) == OK; index++) {
        struct expr *condition = conditions->items[index];
        struct substitution s = {.exprs = exprs, .limit = limit};
        expr_visit_columns(condition, weigh, &s);
        if (s.is_volatile ||
            s.size + expr_size(condition, SUBSTITUTED_SIZE_MAX) > SUBSTITUTED_SIZE_MAX)
            expr_list_add(build->arena, kept, condition);
        else
            expr_list_add(build->arena, below, expr_substitute(condition, exprs, build->arena));
    }
}

static struct plan *push_child(struct builder *build, struct plan *plan, struct expr_list *below,
                               const struct expr_list *kept)
{
    plan->children[0] = push(build, plan->children[0], below);
    return keep(build, plan, kept);
}

/* One value for all rows: asked before the first of them is, so that what would raise on their way
 * does not where none of them passes. */
static bool is_gate(const struct expr *expr)
{
    return !expr_has_kind(expr, EXPR_COLUMN) && !expr_has_kind(expr, EXPR_OUTER) &&
           !expr_is_volatile(expr);
}

static struct plan *push_filter(struct builder *build, struct plan *plan,
                                const struct expr_list *conditions)
{
    struct expr_list all = {0};
    struct expr_list gates = {0};
    struct expr_list stuck = {0};
    struct expr_list passing = {0};
    expr_split(build->arena, plan->filter.predicate, &all);
    for (size_t index = 0; index < conditions->count; index++)
        expr_list_add(build->arena, &all, conditions->items[index]);
    for (size_t index = 0; index < all.count; index++)
        expr_list_add(build->arena,
                      is_gate(all.items[index])            ? &gates
                      : expr_is_volatile(all.items[index]) ? &stuck
                                                           : &passing,
                      all.items[index]);
    plan = keep(build, push(build, plan->children[0], &passing), &stuck);
    struct plan *gate = keep(build, plan, &gates);
    if (gates.count > 0)
        gate->filter.is_gate = true;
    return gate;
}

static void push_scan(struct builder *build, struct expr **filter,
                      const struct expr_list *conditions)
{
    struct expr_list all = {0};
    if (*filter != NULL)
        expr_split(build->arena, *filter, &all);
    for (size_t index = 0; index < conditions->count; index++)
        expr_list_add(build->arena, &all, conditions->items[index]);
    *filter = expr_join(build->arena, &all);
}

/* --- joins --- */

enum side { SIDE_NONE, SIDE_LEFT, SIDE_RIGHT, SIDE_BOTH };

static enum side side_of(const struct expr *expr, uint32_t left_count)
{
    uint32_t least;
    uint32_t greatest;
    if (!expr_column_range(expr, &least, &greatest))
        return SIDE_NONE;
    return greatest < left_count ? SIDE_LEFT : least >= left_count ? SIDE_RIGHT : SIDE_BOTH;
}

struct join_lists {
    struct expr_list left, right, left_keys, right_keys, condition, kept;
    uint32_t *right_columns; /* by column of both: the right child's own; NULL: not made yet */
};

/* In the right child's own numbers. */
static struct expr *to_right(struct builder *build, const struct plan *plan,
                             const struct expr *expr, struct join_lists *lists)
{
    uint32_t left_count = (uint32_t)plan->children[0]->column_count;
    uint32_t count = left_count + (uint32_t)plan->children[1]->column_count;
    if (lists->right_columns == NULL) {
        lists->right_columns = arena_alloc_array(build->arena, count, sizeof(uint32_t));
        for (uint32_t index = 0; index < count; index++)
            lists->right_columns[index] = index >= left_count ? index - left_count : UINT32_MAX;
    }
    return expr_copy(expr, lists->right_columns, build->arena);
}

/* Where a condition may go without changing which rows come out. A side that is preserved (its rows
 * come out whatever ON says) takes conditions from above only; the other one from ON only, but for
 * inner and semi joins, where both mean the same. */
static bool on_may_go_left(enum join_kind kind)
{
    return kind == JOIN_INNER || kind == JOIN_CROSS || kind == JOIN_RIGHT || kind == JOIN_SEMI;
}

static bool on_may_go_right(enum join_kind kind)
{
    return kind != JOIN_RIGHT && kind != JOIN_FULL;
}

static bool is_key(const struct expr *expr, uint32_t left_count, bool *is_swapped)
{
    if (!expr_is_operator(expr, "=") ||
        !type_is_alike(expr->arguments[0]->type, expr->arguments[1]->type) ||
        expr_is_volatile(expr))
        return false;
    enum side first = side_of(expr->arguments[0], left_count);
    enum side second = side_of(expr->arguments[1], left_count);
    *is_swapped = first == SIDE_RIGHT;
    return (first == SIDE_LEFT && second == SIDE_RIGHT) ||
           (first == SIDE_RIGHT && second == SIDE_LEFT);
}

/* A part of ON, or of a condition above an inner join. */
static void place_condition(struct builder *build, const struct plan *plan, struct expr *expr,
                            struct join_lists *lists)
{
    uint32_t left_count = (uint32_t)plan->children[0]->column_count;
    enum join_kind kind = plan->join.kind;
    enum side side = side_of(expr, left_count);
    bool is_swapped = false;
    if (expr_is_volatile(expr)) {
        expr_list_add(build->arena, &lists->condition, expr);
    } else if (side == SIDE_RIGHT && on_may_go_right(kind)) {
        expr_list_add(build->arena, &lists->right, to_right(build, plan, expr, lists));
    } else if (side == SIDE_LEFT && on_may_go_left(kind)) {
        expr_list_add(build->arena, &lists->left, expr);
    } else if (side == SIDE_NONE && on_may_go_left(kind) && kind != JOIN_RIGHT) {
        expr_list_add(build->arena, &lists->left, expr);
    } else if (plan->kind == PLAN_JOIN && is_key(expr, left_count, &is_swapped)) {
        expr_list_add(build->arena, &lists->left_keys, expr->arguments[is_swapped ? 1 : 0]);
        expr_list_add(build->arena, &lists->right_keys,
                      to_right(build, plan, expr->arguments[is_swapped ? 0 : 1], lists));
    } else {
        expr_list_add(build->arena, &lists->condition, expr);
    }
}

/* A condition over the join's output. */
static void place_above(struct builder *build, const struct plan *plan, struct expr *expr,
                        struct join_lists *lists)
{
    enum join_kind kind = plan->join.kind;
    enum side side = side_of(expr, (uint32_t)plan->children[0]->column_count);
    if (kind == JOIN_INNER || kind == JOIN_CROSS)
        place_condition(build, plan, expr, lists);
    else if (kind == JOIN_RIGHT && side == SIDE_RIGHT)
        expr_list_add(build->arena, &lists->right, to_right(build, plan, expr, lists));
    else if (kind != JOIN_RIGHT && kind != JOIN_FULL && (side == SIDE_LEFT || side == SIDE_NONE))
        expr_list_add(build->arena, &lists->left, expr);
    else if (kind == JOIN_LEFT && side == SIDE_RIGHT && fault_is("plan.push_nullable"))
        expr_list_add(build->arena, &lists->right, to_right(build, plan, expr, lists));
    else
        expr_list_add(build->arena, &lists->kept, expr);
}

static struct plan *push_join(struct builder *build, struct plan *plan,
                              const struct expr_list *conditions)
{
    struct join_lists lists = {0};
    struct expr_list on = {0};
    if (plan->join.condition != NULL)
        expr_split(build->arena, plan->join.condition, &on);
    for (size_t index = 0; index < on.count && build_look(build) == OK; index++)
        place_condition(build, plan, on.items[index], &lists);
    for (size_t index = 0; index < conditions->count && build_look(build) == OK; index++)
        place_above(build, plan, conditions->items[index], &lists);
    plan->join.key_count = lists.left_keys.count;
    plan->join.left_keys = lists.left_keys.items;
    plan->join.right_keys = lists.right_keys.items;
    plan->join.condition = expr_join(build->arena, &lists.condition);
    bool has_condition = plan->join.key_count > 0 || plan->join.condition != NULL;
    if (plan->join.kind == JOIN_INNER || plan->join.kind == JOIN_CROSS)
        plan->join.kind = has_condition ? JOIN_INNER : JOIN_CROSS;
    plan->children[0] = push(build, plan->children[0], &lists.left);
    plan->children[1] = push(build, plan->children[1], &lists.right);
    return keep(build, plan, &lists.kept);
}

/* --- the walk --- */

/* The sides of a union keep exactly the columns they are asked for: a filter does not, a projection
 * does. */
static struct plan *as_project(struct builder *build, struct plan *plan)
{
    if (plan->kind == PLAN_PROJECT || plan->kind == PLAN_UNION_ALL || plan->kind == PLAN_VALUES)
        return plan;
    struct plan *project = arena_alloc_zero(build->arena, sizeof(*project));
    project->kind = PLAN_PROJECT;
    project->column_count = plan->column_count;
    project->columns = plan->columns;
    project->child_count = 1;
    project->children = arena_alloc(build->arena, sizeof(struct plan *));
    project->children[0] = plan;
    project->project.exprs =
        arena_alloc_array(build->arena, plan->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < plan->column_count; index++)
        project->project.exprs[index] = build_column(build, index, plan->columns[index].type, 0);
    return project;
}

static struct expr_list copy_list(struct builder *build, const struct expr_list *list)
{
    struct expr_list copy = {0};
    for (size_t index = 0; index < list->count && build_look(build) == OK; index++)
        expr_list_add(build->arena, &copy, expr_copy(list->items[index], NULL, build->arena));
    return copy;
}

static struct plan *push_union(struct builder *build, struct plan *plan,
                               const struct expr_list *conditions)
{
    for (size_t child = 0; child < plan->child_count; child++) {
        struct expr_list copy = copy_list(build, conditions);
        plan->children[child] = as_project(build, push(build, plan->children[child], &copy));
    }
    return plan;
}

/* Rows are told apart by all their columns, so what fails a condition fails it on both sides. */
static struct plan *push_sides(struct builder *build, struct plan *plan,
                               const struct expr_list *conditions)
{
    for (size_t child = 0; child < plan->child_count; child++) {
        struct expr_list copy = copy_list(build, conditions);
        plan->children[child] = push(build, plan->children[child], &copy);
    }
    return plan;
}

static struct plan *push_hop(struct builder *build, struct plan *plan,
                             const struct expr_list *conditions)
{
    struct expr_list below = {0};
    struct expr_list kept = {0};
    for (size_t index = 0; index < conditions->count; index++) {
        uint32_t least;
        uint32_t greatest;
        bool passes = !expr_column_range(conditions->items[index], &least, &greatest) ||
                      greatest < plan->column_count - 2;
        expr_list_add(build->arena, passes ? &below : &kept, conditions->items[index]);
    }
    return push_child(build, plan, &below, &kept);
}

struct key_test {
    const bool *is_key; /* by column */
    bool is_outside;
};

static void test_key(void *context, uint32_t column)
{
    struct key_test *test = context;
    test->is_outside = test->is_outside || !test->is_key[column];
}

/* Conditions that name keys alone, at least one, go below; the others stay. */
static struct plan *push_keys(struct builder *build, struct plan *plan, const bool *is_key,
                              const struct expr_list *conditions)
{
    struct expr_list below = {0};
    struct expr_list kept = {0};
    for (size_t index = 0; index < conditions->count; index++) {
        struct key_test test = {.is_key = is_key};
        uint32_t least;
        uint32_t greatest;
        test.is_outside = !expr_column_range(conditions->items[index], &least, &greatest);
        expr_visit_columns(conditions->items[index], test_key, &test);
        expr_list_add(build->arena, test.is_outside ? &kept : &below, conditions->items[index]);
    }
    return push_child(build, plan, &below, &kept);
}

static struct plan *push_first(struct builder *build, struct plan *plan,
                               const struct expr_list *conditions)
{
    bool *is_key = arena_alloc_zero(build->arena, plan->column_count * sizeof(bool));
    for (size_t key = 0; key < plan->first.key_count; key++)
        if (plan->first.keys[key]->kind == EXPR_COLUMN)
            is_key[plan->first.keys[key]->column] = true;
    return push_keys(build, plan, is_key, conditions);
}

/* A condition on PARTITION BY columns alone takes whole partitions away; any other changes what the
 * calls see. */
static struct plan *push_window(struct builder *build, struct plan *plan,
                                const struct expr_list *conditions)
{
    bool *is_key = arena_alloc_zero(build->arena, plan->column_count * sizeof(bool));
    for (size_t key = 0; key < plan->window.partition_count; key++)
        is_key[plan->window.keys[key].expr->column] = true;
    return push_keys(build, plan, is_key, conditions);
}

static struct plan *push(struct builder *build, struct plan *plan, struct expr_list *conditions)
{
    struct expr_list below = {0};
    struct expr_list kept = {0};
    switch (plan->kind) {
    case PLAN_SCAN:
        push_scan(build, &plan->scan.filter, conditions);
        return plan;
    case PLAN_PROVIDER:
        push_scan(build, &plan->provider.filter, conditions);
        return plan;
    case PLAN_VALUES:
    case PLAN_WORKING:
        return keep(build, plan, conditions);
    case PLAN_RECURSION: /* a row that fails a condition may lead to one that meets it */
        return keep(build, push_sides(build, plan, &kept), conditions);
    case PLAN_FILTER:
        return push_filter(build, plan, conditions);
    case PLAN_PROJECT:
        push_through(build, conditions, plan->project.exprs, plan->column_count, &below, &kept);
        return push_child(build, plan, &below, &kept);
    case PLAN_GROUP:
        if (plan->group.key_count == 0 || plan->children[0]->kind == PLAN_EXPAND)
            return push_child(build, plan, &below, conditions);
        push_through(build, conditions, plan->group.keys, plan->group.key_count, &below, &kept);
        return push_child(build, plan, &below, &kept);
    case PLAN_SORT:
    case PLAN_LIMIT:
        if (plan->sort.limit != NULL || plan->sort.offset != NULL)
            return push_child(build, plan, &below, conditions);
        return push_child(build, plan, conditions, &kept);
    case PLAN_JOIN:
    case PLAN_APPLY:
        return push_join(build, plan, conditions);
    case PLAN_LOOKUP: /* its rows are kept for all values */
        return push_child(build, plan, &below, conditions);
    case PLAN_UNION_ALL:
        return push_union(build, plan, conditions);
    case PLAN_EXPAND:
        return push_child(build, plan, &below, conditions);
    case PLAN_SERIES:
        return keep(build, plan, conditions);
    case PLAN_SET:
        return push_sides(build, plan, conditions);
    case PLAN_FIRST:
        return push_first(build, plan, conditions);
    case PLAN_HOP:
        return push_hop(build, plan, conditions);
    case PLAN_WINDOW:
        return push_window(build, plan, conditions);
    }
    return plan;
}

struct plan *plan_push(struct builder *build, struct plan *plan)
{
    struct expr_list none = {0};
    return push(build, plan, &none);
}
