/* Subqueries that are conditions become joins: EXISTS and ANY a semi join, NOT EXISTS, ALL and NOT
 * IN an anti join.
 *
 *   Filter: a AND EXISTS (Project ◀ Filter: p(x, slot) AND q(x) ◀ source) AND b
 *     ▶ Filter: b ◀ Semi join on p(x, left) ◀ Filter: a ◀ …  |  Filter: q(x) ◀ source
 *
 * Only where that is the same: the conjunct stands at the top of a WHERE, HAVING or ON of inner
 * rows, and what the subquery takes of the query around stands in its own WHERE alone. ALL is true
 * where the test is true of every row, so what an anti join looks for is a row where it is false or
 * NULL: that is how NOT IN treats NULLs. Other subqueries are run by their values
 * (exec/subquery.c), with lookups where those are equalities (lookup.c). */
#include "query/plan/rewrite.h"

#include "storage/base/fault.h"

struct decorrelator {
    struct builder *build;
    struct statement *statement;
};

/* A conjunct as a join: the kind, and which rows of the subquery it looks for. */
struct search {
    const struct expr *subquery;
    enum join_kind kind;
    enum {
        LOOK_FOR_ANY,
        LOOK_FOR_TRUE,
        LOOK_FOR_FALSE,
        LOOK_FOR_NOT_TRUE,
        LOOK_FOR_NOT_FALSE
    } test;
};

static bool is_search(const struct expr *expr, struct search *out)
{
    bool is_negated = false;
    while (expr->kind == EXPR_NOT) {
        is_negated = !is_negated;
        expr = expr->arguments[0];
    }
    *out = (struct search){.subquery = expr, .kind = JOIN_SEMI, .test = LOOK_FOR_ANY};
    if (expr->kind == EXPR_EXISTS) {
        out->kind = is_negated != expr->is_negated ? JOIN_ANTI : JOIN_SEMI;
        return expr->argument_count > 0;
    }
    if (expr->kind != EXPR_QUANTIFIED)
        return false;
    out->kind = expr->is_all != is_negated ? JOIN_ANTI : JOIN_SEMI;
    if (expr->is_all)
        out->test = is_negated ? LOOK_FOR_FALSE : LOOK_FOR_NOT_TRUE;
    else
        out->test = is_negated ? LOOK_FOR_NOT_FALSE : LOOK_FOR_TRUE;
    return true;
}

/* --- the subquery taken apart --- */

struct peeled {
    struct plan *source;
    struct expr *const *exprs; /* the subquery's columns over the source's; NULL: the same */
    struct expr_list correlated, plain;
};

static bool keeps_a_row(const struct plan *plan)
{
    const struct expr *limit = plan->sort.limit;
    return plan->sort.offset == NULL &&
           (limit == NULL ||
            (limit->kind == EXPR_CONSTANT && !limit->constant.is_null && limit->constant.i >= 1));
}

static bool is_distinct(const struct plan *plan)
{
    if (plan->kind != PLAN_GROUP || plan->group.aggregate_count > 0 || plan->group.key_count == 0 ||
        plan->group.key_count != plan->children[0]->column_count)
        return false;
    for (uint32_t index = 0; index < plan->group.key_count; index++)
        if (plan->group.keys[index]->kind != EXPR_COLUMN ||
            plan->group.keys[index]->column != index)
            return false;
    return true;
}

/* Nodes above the WHERE that do not matter to whether there is such a row. */
static struct plan *peel_top(struct plan *plan, bool is_exists, struct peeled *out)
{
    for (;; plan = plan->children[0]) {
        bool is_order = plan->kind == PLAN_SORT || plan->kind == PLAN_LIMIT;
        if (is_order &&
            (is_exists ? keeps_a_row(plan) : plan->sort.limit == NULL && plan->sort.offset == NULL))
            continue;
        if (is_distinct(plan))
            continue;
        if (plan->kind != PLAN_PROJECT)
            return plan;
        if (is_exists)
            continue;
        if (out->exprs != NULL)
            return plan;
        out->exprs = plan->project.exprs;
    }
}

static bool peel(struct decorrelator *d, struct plan *plan, const struct subplan_slots *slots,
                 bool is_exists, struct peeled *out)
{
    *out = (struct peeled){0};
    plan = peel_top(plan, is_exists, out);
    for (; plan->kind == PLAN_FILTER; plan = plan->children[0]) {
        struct expr_list parts = {0};
        expr_split(d->build->arena, plan->filter.predicate, &parts);
        for (size_t index = 0; index < parts.count; index++) {
            struct expr *part = parts.items[index];
            if (expr_is_volatile(part))
                return false;
            expr_list_add(d->build->arena,
                          expr_uses_slots(part, slots) ? &out->correlated : &out->plain, part);
        }
    }
    out->source = plan;
    return !plan_uses_slots(plan, slots);
}

/* --- the join --- */

struct lift {
    struct arena *arena;
    uint32_t left_count;
    const struct subplan_slots *slots;
    struct expr *const *arguments;
};

/* An expression over the subquery's rows and slots, over the join's columns. */
static struct expr *lift(const struct lift *l, const struct expr *expr)
{
    for (size_t index = 0; expr->kind == EXPR_OUTER && index < l->slots->count; index++)
        if (l->slots->slots[index] == expr->parameter)
            return l->arguments[index];
    struct expr *copy = arena_alloc(l->arena, sizeof(*copy));
    *copy = *expr;
    if (expr->kind == EXPR_COLUMN)
        copy->column += l->left_count;
    if (expr->argument_count == 0)
        return copy;
    copy->arguments = arena_alloc_array(l->arena, expr->argument_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < expr->argument_count; index++)
        copy->arguments[index] = lift(l, expr->arguments[index]);
    return copy;
}

static struct expr *wrap(struct arena *arena, enum expr_kind kind, bool is_negated,
                         struct expr *argument)
{
    struct expr *expr = arena_alloc_zero(arena, sizeof(*expr));
    expr->kind = kind;
    expr->type = type_of(TYPE_BOOL);
    expr->is_negated = is_negated;
    expr->argument_count = 1;
    expr->arguments = arena_alloc(arena, sizeof(struct expr *));
    expr->arguments[0] = argument;
    return expr;
}

/* The test of a QUANTIFIED over the join's columns, turned to what is looked for. */
static struct expr *lift_test(const struct lift *l, const struct search *search,
                              const struct peeled *peeled)
{
    const struct expr *subquery = search->subquery;
    uint32_t left_count = subquery->left_count;
    struct expr **columns = arena_alloc_array(l->arena, (size_t)left_count * 2, sizeof(*columns));
    for (uint32_t index = 0; index < left_count; index++)
        columns[index] = subquery->arguments[index];
    for (uint32_t index = 0; index < left_count; index++) { /* as many columns as values */
        struct expr column = {.kind = EXPR_COLUMN};
        if (peeled->exprs != NULL) {
            columns[left_count + index] = lift(l, peeled->exprs[index]);
            continue;
        }
        column.column = index;
        column.type = peeled->source->columns[index].type;
        columns[left_count + index] = lift(l, &column);
    }
    struct expr *test = expr_substitute(subquery->test, columns, l->arena);
    if (fault_is("plan.not_in_null"))
        return test;
    switch (search->test) {
    case LOOK_FOR_FALSE:
        return wrap(l->arena, EXPR_IS_FALSE, false, test);
    case LOOK_FOR_NOT_TRUE:
        return wrap(l->arena, EXPR_IS_TRUE, true, test);
    case LOOK_FOR_NOT_FALSE:
        return wrap(l->arena, EXPR_IS_FALSE, true, test);
    default:
        return test;
    }
}

static struct plan *new_node(struct decorrelator *d, enum plan_kind kind, const struct plan *like,
                             struct plan *first, struct plan *second)
{
    struct plan *plan = arena_alloc_zero(d->build->arena, sizeof(*plan));
    plan->kind = kind;
    plan->column_count = like->column_count;
    plan->columns = like->columns;
    plan->child_count = second == NULL ? 1 : 2;
    plan->children = arena_alloc_array(d->build->arena, 2, sizeof(struct plan *));
    plan->children[0] = first;
    plan->children[1] = second;
    return plan;
}

static struct plan *filter(struct decorrelator *d, struct plan *plan, const struct expr_list *list)
{
    if (list->count == 0)
        return plan;
    struct plan *node = new_node(d, PLAN_FILTER, plan, plan, NULL);
    node->filter.predicate = expr_join(d->build->arena, list);
    return node;
}

/* NULL if it has to stay an expression. */
static struct plan *join(struct decorrelator *d, struct plan *left, const struct search *search)
{
    const struct expr *subquery = search->subquery;
    struct plan *inner = d->statement->subplans[subquery->parameter];
    const struct subplan_slots *slots = &d->statement->subplan_slots[subquery->parameter];
    bool is_exists = subquery->kind == EXPR_EXISTS;
    struct peeled peeled;
    if (inner == NULL || expr_is_volatile(subquery) || !peel(d, inner, slots, is_exists, &peeled))
        return NULL;
    struct lift l = {.arena = d->build->arena,
                     .left_count = (uint32_t)left->column_count,
                     .slots = slots,
                     .arguments = subquery->arguments + (is_exists ? 0 : subquery->left_count)};
    struct expr_list condition = {0};
    for (size_t index = 0; index < peeled.correlated.count; index++)
        expr_list_add(l.arena, &condition, lift(&l, peeled.correlated.items[index]));
    if (!is_exists)
        expr_list_add(l.arena, &condition, lift_test(&l, search, &peeled));
    d->statement->subplans[subquery->parameter] = NULL;
    struct plan *plan = new_node(d, PLAN_JOIN, left, left, filter(d, peeled.source, &peeled.plain));
    plan->join.kind = search->kind;
    plan->join.condition = expr_join(l.arena, &condition);
    return plan;
}

static struct plan *take_filter(struct decorrelator *d, struct plan *plan)
{
    struct expr_list parts = {0};
    struct expr_list before = {0};
    struct plan *child = plan->children[0];
    expr_split(d->build->arena, plan->filter.predicate, &parts);
    for (size_t index = 0; index < parts.count; index++) {
        struct search search;
        struct plan *joined = NULL;
        if (is_search(parts.items[index], &search))
            joined = join(d, filter(d, child, &before), &search);
        if (joined == NULL) {
            expr_list_add(d->build->arena, &before, parts.items[index]);
            continue;
        }
        child = joined;
        before = (struct expr_list){0};
    }
    return filter(d, child, &before);
}

static struct plan *walk(struct decorrelator *d, struct plan *plan)
{
    if (plan->kind == PLAN_FILTER)
        plan = take_filter(d, plan);
    for (size_t index = 0; index < plan->child_count; index++)
        plan->children[index] = walk(d, plan->children[index]);
    return plan;
}

struct plan *plan_decorrelate(struct builder *build, struct statement *statement, struct plan *plan)
{
    struct decorrelator d = {.build = build, .statement = statement};
    return walk(&d, plan);
}
