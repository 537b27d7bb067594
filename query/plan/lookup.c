/* Lookups: a subquery that asks its rows for equality with a value of the query around is run once
 * for each such value, but need not read its rows each time.
 *
 *   Filter: k = $1 AND p(x, $2) AND q(x) ◀ source     (source takes nothing of the query around)
 *     ▶ Lookup: k = $1, p(x, $2) ◀ Filter: q(x) ◀ source
 *
 * The lookup keeps the source's rows by k over all runs. Under ORDER BY … LIMIT n the rows of each
 * k are kept in that order, and comparisons of the first thing ordered by with a value of the query
 * around are a place in it: the latest row of each key, and the last row not after a time, are a
 * search each. Then there need not be an equality. Where nothing but the order decides, no more
 * rows of a key are kept than LIMIT can reach. */
#include "query/plan/rewrite.h"

struct finder {
    struct builder *build;
};

/* `own operation given`: one side of the rows alone, one of the query around alone. */
static bool split_sides(const struct expr *expr, struct expr **own, struct expr **given,
                        bool *is_swapped)
{
    if (expr->kind != EXPR_CALL || expr->argument_count != 2 ||
        !type_is_alike(expr->arguments[0]->type, expr->arguments[1]->type))
        return false;
    for (size_t side = 0; side < 2; side++) {
        *own = expr->arguments[side];
        *given = expr->arguments[1 - side];
        *is_swapped = side == 1;
        if (expr_has_kind(*own, EXPR_COLUMN) && !expr_uses_slots(*own, NULL) &&
            !expr_has_parameter(*own) && !expr_has_kind(*given, EXPR_COLUMN) &&
            expr_uses_slots(*given, NULL))
            return true;
    }
    return false;
}

static bool find_bound(const struct expr *expr, const struct sort_key *first,
                       struct lookup_bound *out)
{
    struct expr *own;
    bool is_swapped;
    if (first == NULL || !split_sides(expr, &own, &out->value, &is_swapped) ||
        !expr_equal(own, first->expr))
        return false;
    enum compare_operation operation;
    bool is_bound = expr_comparison(expr, is_swapped, &operation) && operation != COMPARE_EQ;
    out->operation = is_bound ? operation : out->operation;
    return is_bound;
}

struct parts {
    struct expr_list keys, values, condition, plain;
    size_t bound_count;
    struct lookup_bound *bounds;
};

static void sort_parts(struct finder *f, const struct plan *plan, const struct sort_key *first,
                       struct parts *out)
{
    struct arena *arena = f->build->arena;
    struct expr_list all = {0};
    expr_split(arena, plan->filter.predicate, &all);
    out->bounds = arena_alloc_array(arena, all.count, sizeof(*out->bounds));
    for (size_t index = 0; index < all.count; index++) {
        struct expr *part = all.items[index];
        struct expr *own;
        struct expr *given;
        bool is_swapped;
        if (!expr_uses_slots(part, NULL)) {
            expr_list_add(arena, &out->plain, part);
        } else if (expr_is_operator(part, "=") && split_sides(part, &own, &given, &is_swapped)) {
            expr_list_add(arena, &out->keys, own);
            expr_list_add(arena, &out->values, given);
        } else if (find_bound(part, first, &out->bounds[out->bound_count])) {
            out->bound_count++;
        } else {
            expr_list_add(arena, &out->condition, part);
        }
    }
}

/* The filter as a lookup, in the order given (order_count 0: none); false if it is none. */
static bool make_lookup(struct finder *f, struct plan *plan, struct sort_key *order,
                        size_t order_count)
{
    struct plan *source = plan->children[0];
    struct parts parts = {0};
    if (expr_is_volatile(plan->filter.predicate) || plan_uses_slots(source, NULL) ||
        plan_is_volatile(source))
        return false;
    sort_parts(f, plan, order_count > 0 ? &order[0] : NULL, &parts);
    if (parts.keys.count == 0 && parts.bound_count == 0)
        return false;
    if (parts.plain.count > 0) {
        struct plan *below = arena_alloc(f->build->arena, sizeof(*below));
        *below = *plan;
        below->filter.predicate = expr_join(f->build->arena, &parts.plain);
        below->children = arena_alloc(f->build->arena, sizeof(struct plan *));
        below->children[0] = source;
        plan->children[0] = below;
    }
    plan->kind = PLAN_LOOKUP;
    plan->lookup.key_count = parts.keys.count;
    plan->lookup.keys = parts.keys.items;
    plan->lookup.values = parts.values.items;
    plan->lookup.condition = expr_join(f->build->arena, &parts.condition);
    plan->lookup.order_count = order_count;
    plan->lookup.order = order;
    plan->lookup.bound_count = parts.bound_count;
    plan->lookup.bounds = parts.bounds;
    return true;
}

#define TOP_MAX 1024

/* How many rows of a key LIMIT and OFFSET can reach; 0: not known, or many. */
static size_t find_top(const struct plan *sort)
{
    const struct expr *parts[2] = {sort->sort.limit, sort->sort.offset};
    size_t top = 0;
    for (size_t index = 0; index < 2; index++) {
        if (parts[index] == NULL)
            continue;
        if (parts[index]->kind != EXPR_CONSTANT || parts[index]->constant.is_null ||
            parts[index]->constant.i < 0 || parts[index]->constant.i > TOP_MAX)
            return 0;
        top += (size_t)parts[index]->constant.i;
    }
    return top;
}

/* ORDER BY … LIMIT over projections over the filter: the lookup gives the order. */
static void order_lookup(struct finder *f, struct plan *sort)
{
    size_t count = sort->sort.key_count;
    struct sort_key *order = arena_alloc_array(f->build->arena, count, sizeof(*order));
    memcpy(order, sort->sort.keys, count * sizeof(*order));
    struct plan *plan = sort->children[0];
    for (; plan->kind == PLAN_PROJECT; plan = plan->children[0])
        for (size_t index = 0; index < count; index++)
            order[index].expr =
                expr_substitute(order[index].expr, plan->project.exprs, f->build->arena);
    if (plan->kind != PLAN_FILTER)
        return;
    for (size_t index = 0; index < count; index++)
        if (expr_is_volatile(order[index].expr) || expr_has_parameter(order[index].expr) ||
            expr_uses_slots(order[index].expr, NULL))
            return;
    if (!make_lookup(f, plan, order, count))
        return;
    if (plan->lookup.bound_count == 0 && plan->lookup.condition == NULL)
        plan->lookup.top = find_top(sort);
    sort->kind = PLAN_LIMIT;
    sort->sort.key_count = 0;
}

static void walk(struct finder *f, struct plan *plan, bool is_inside)
{
    if (is_inside && plan->kind == PLAN_SORT && plan->sort.limit != NULL)
        order_lookup(f, plan);
    else if (is_inside && plan->kind == PLAN_FILTER)
        make_lookup(f, plan, NULL, 0);
    for (size_t index = 0; index < plan->child_count; index++) {
        bool is_right = plan->kind == PLAN_APPLY && index == 1;
        walk(f, plan->children[index], is_inside || is_right);
    }
}

void plan_lookups(struct builder *build, struct plan *plan, bool is_inside)
{
    walk(&(struct finder){build}, plan, is_inside);
}
