/* What a GROUP BY over one table says, without the steps it was planned as.
 *
 *   GROUP ─▶ PROJECT ─▶ FILTER ─▶ SCAN
 *     keys, calls └ put in ┘ └──┴─▶ conditions     all over the places of the table's columns
 *
 * So tumble(), a sub-select and the plain form are one and the same, and so are a literal, a lifted
 * one and a parameter of that value. */
#include "query/plan/rollup.h"

#include "query/func/aggregate.h"
#include "query/func/func.h"

#include <string.h>

#define SIZE_MAX_NODES ((size_t)2048)

struct former {
    const struct eval_context *context;
    struct arena *arena;
    bool is_good; /* so far */
};

static bool has_columns(const struct expr *expr)
{
    bool has = expr->kind == EXPR_COLUMN;
    for (uint32_t i = 0; !has && i < expr->argument_count; i++)
        has = has_columns(expr->arguments[i]);
    return has;
}

/* In a copy of its own: values for what has no columns. */
static struct expr *fold(struct former *f, struct expr *expr)
{
    if (!f->is_good || expr->kind == EXPR_CONSTANT || expr->kind == EXPR_COLUMN)
        return expr;
    if (expr_is_subquery(expr) || expr->kind == EXPR_OUTER) {
        f->is_good = false;
        return expr;
    }
    if (f->context != NULL && !has_columns(expr)) {
        struct error ignored;
        struct expr *constant = arena_alloc_zero(f->arena, sizeof(*constant));
        *constant = (struct expr){.kind = EXPR_CONSTANT, .type = expr->type};
        f->is_good =
            !expr_is_volatile(expr) &&
            expr_evaluate_constant(expr, f->context, f->arena, &constant->constant, &ignored) == OK;
        return constant;
    }
    for (uint32_t i = 0; i < expr->argument_count; i++)
        expr->arguments[i] = fold(f, expr->arguments[i]);
    return expr;
}

/* What an expression over a plan's output is of the table's columns. */
static struct expr *lower(struct former *f, const struct plan *plan, const struct expr *expr)
{
    struct expr *out = expr_copy(expr, NULL, f->arena);
    for (; f->is_good && plan->kind != PLAN_SCAN; plan = plan->children[0]) {
        if (plan->kind == PLAN_PROJECT)
            out = expr_substitute(out, plan->project.exprs, f->arena);
        f->is_good = expr_size(out, SIZE_MAX_NODES) < SIZE_MAX_NODES;
    }
    if (!f->is_good)
        return out;
    return fold(f, expr_copy(out, plan->scan.columns, f->arena));
}

static void take_conditions(struct former *f, const struct plan *plan, struct rollup_form *out)
{
    const struct expr *condition = plan->kind == PLAN_SCAN     ? plan->scan.filter
                                   : plan->kind == PLAN_FILTER ? plan->filter.predicate
                                                               : NULL;
    if (plan->kind != PLAN_SCAN)
        take_conditions(f, plan->children[0], out);
    if (condition != NULL)
        expr_split(f->arena,
                   lower(f, plan->kind == PLAN_SCAN ? plan : plan->children[0], condition),
                   &out->conditions);
}

static struct rollup_call take_call(struct former *f, const struct plan *below,
                                    const struct aggregate_call *call)
{
    struct rollup_call out = {.aggregate = call->aggregate,
                              .argument_count = call->argument_count,
                              .text_position = call->text_position};
    f->is_good = f->is_good && !call->is_distinct && call->order_by == NULL &&
                 call->order_count == 0 && rollup_is_mergeable(call->aggregate);
    out.arguments = arena_alloc_array(f->arena, call->argument_count + 1, sizeof(struct expr *));
    for (uint32_t i = 0; f->is_good && i < call->argument_count; i++)
        out.arguments[i] = lower(f, below, call->arguments[i]);
    if (f->is_good && call->filter != NULL)
        out.filter = lower(f, below, call->filter);
    return out;
}

bool rollup_form_make(const struct plan *group, const struct eval_context *context,
                      struct arena *arena, struct rollup_form *out)
{
    struct former f = {.context = context, .arena = arena, .is_good = true};
    const struct plan *below = group->children[0], *scan = below;
    *out = (struct rollup_form){0};
    while (scan->kind == PLAN_PROJECT || scan->kind == PLAN_FILTER)
        scan = scan->children[0];
    if (scan->kind != PLAN_SCAN)
        return false;
    out->schema = scan->scan.schema;
    out->key_count = group->group.key_count;
    out->keys = arena_alloc_array(arena, out->key_count + 1, sizeof(struct expr *));
    for (size_t i = 0; f.is_good && i < out->key_count; i++)
        out->keys[i] = lower(&f, below, group->group.keys[i]);
    out->call_count = group->group.aggregate_count;
    out->calls = arena_alloc_zero(arena, (out->call_count + 1) * sizeof(*out->calls));
    for (size_t i = 0; f.is_good && i < out->call_count; i++)
        out->calls[i] = take_call(&f, below, &group->group.aggregates[i]);
    if (f.is_good)
        take_conditions(&f, below, out);
    return f.is_good;
}

/* --- compared --- */

/* Equal values that are told apart: 1.0 and 1.00, 0 and -0. */
static bool is_one_value(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    if (type_physical(a->type.id) == PHYSICAL_NUMERIC)
        return a->n.scale == b->n.scale && a->n.kind == b->n.kind;
    return type_physical(a->type.id) != PHYSICAL_FLOAT || memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
}

static bool are_constants_same(const struct expr *a, const struct expr *b)
{
    bool are = a->kind != EXPR_CONSTANT || is_one_value(&a->constant, &b->constant);
    for (uint32_t i = 0; are && i < a->argument_count; i++)
        are = are_constants_same(a->arguments[i], b->arguments[i]);
    return are;
}

bool rollup_is_same(const struct expr *a, const struct expr *b)
{
    return expr_equal(a, b) && are_constants_same(a, b);
}

bool rollup_is_mergeable(const struct aggregate *aggregate)
{
    static const struct aggregate_group *const groups[] = {
        &aggregates_sum, &aggregates_bool, &aggregates_extreme, &aggregates_distinct,
        &aggregates_percentile};
    for (size_t i = 0; i < array_count(groups); i++)
        if (aggregate_is_of(aggregate, groups[i]))
            return aggregate->combine != NULL && !aggregate->is_ordered_set &&
                   !aggregate->is_order_sensitive;
    return false;
}

bool rollup_is_one_state(const struct aggregate *a, const struct aggregate *b)
{
    return a == b || (a->argument == b->argument && a->init == b->init && a->update == b->update &&
                      a->combine == b->combine && a->state_size == b->state_size);
}

const struct expr *rollup_find_loose(const struct expr *expr)
{
    bool is_value = expr->kind != EXPR_COLUMN && !has_columns(expr); /* now() is none for ever */
    if (!expr_is_zoned(expr) || (is_value && !expr_is_constant(expr)))
        return expr;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        const struct expr *loose = rollup_find_loose(expr->arguments[i]);
        if (loose != NULL)
            return loose;
    }
    return NULL;
}
