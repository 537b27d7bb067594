/* Walks over bound expressions: equality for GROUP BY, properties for folding, copies with columns
 * renumbered.
 *
 * Every walk is the same plain recursion over `arguments`; depth is bounded by the parser's limit.
 */
#include "query/expr/expr.h"

#include "query/func/func.h"

#include <string.h>

static bool constant_equal(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null && b->is_null;
    if (value_compare(a, b) != 0)
        return false;
    /* Equal numerics of different scale print differently, so do equal intervals and signed zeros.
     */
    if (type_physical(a->type.id) == PHYSICAL_NUMERIC)
        return a->n.scale == b->n.scale;
    if (type_physical(a->type.id) == PHYSICAL_INTERVAL)
        return memcmp(&a->interval, &b->interval, sizeof(a->interval)) == 0;
    if (type_physical(a->type.id) == PHYSICAL_FLOAT)
        return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
    return true;
}

static bool node_equal(const struct expr *a, const struct expr *b)
{
    switch (a->kind) {
    case EXPR_CONSTANT:
        return constant_equal(&a->constant, &b->constant);
    case EXPR_COLUMN:
        return a->column == b->column;
    case EXPR_PARAMETER:
    case EXPR_EXISTS:
    case EXPR_IN_SUBQUERY:
    case EXPR_QUANTIFIED:
    case EXPR_OUTER:
    case EXPR_BOUND:
        return a->parameter == b->parameter;
    case EXPR_CALL:
        return a->function == b->function && a->function->volatility != VOLATILE;
    default:
        return true;
    }
}

bool expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return !expr_is_volatile(a);
    if (a->kind != b->kind || !type_equal(a->type, b->type) || a->is_negated != b->is_negated ||
        a->is_all != b->is_all || a->argument_count != b->argument_count || !node_equal(a, b))
        return false;
    for (uint32_t i = 0; i < a->argument_count; i++) {
        if (!expr_equal(a->arguments[i], b->arguments[i]))
            return false;
    }
    return true;
}

static bool node_is_constant(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_COLUMN:
    case EXPR_PARAMETER:
    case EXPR_EXISTS:
    case EXPR_IN_SUBQUERY:
    case EXPR_QUANTIFIED:
    case EXPR_OUTER:
    case EXPR_BOUND:
        return false;
    case EXPR_CALL:
        return expr->function->volatility == IMMUTABLE;
    case EXPR_CAST:
        return cast_is_immutable(expr->arguments[0]->type.id, expr->type.id);
    default:
        return true;
    }
}

bool expr_is_constant(const struct expr *expr)
{
    if (!node_is_constant(expr))
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (!expr_is_constant(expr->arguments[i]))
            return false;
    }
    return true;
}

bool expr_is_volatile(const struct expr *expr)
{
    if (expr->kind == EXPR_CALL && expr->function->volatility == VOLATILE)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (expr_is_volatile(expr->arguments[i]))
            return true;
    }
    return false;
}

bool expr_has_kind(const struct expr *expr, enum expr_kind kind)
{
    if (expr->kind == kind)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (expr_has_kind(expr->arguments[i], kind))
            return true;
    }
    return false;
}

bool expr_is_subquery(const struct expr *expr)
{
    return expr->kind == EXPR_PARAMETER || expr->kind == EXPR_EXISTS ||
           expr->kind == EXPR_IN_SUBQUERY || expr->kind == EXPR_QUANTIFIED;
}

void expr_visit_columns(const struct expr *expr, void (*visit)(void *context, uint32_t column),
                        void *context)
{
    if (expr->kind == EXPR_COLUMN)
        visit(context, expr->column);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        expr_visit_columns(expr->arguments[i], visit, context);
}

struct expr *expr_copy(const struct expr *expr, const uint32_t *map, struct arena *arena)
{
    struct expr *copy = arena_alloc(arena, sizeof(*copy));
    *copy = *expr;
    if (expr->kind == EXPR_COLUMN && map != NULL)
        copy->column = map[expr->column];
    if (expr->kind == EXPR_CONSTANT && !expr->constant.is_null &&
        type_physical(expr->constant.type.id) == PHYSICAL_TEXT)
        copy->constant.text = arena_copy(arena, expr->constant.text);
    if (expr->argument_count == 0)
        return copy;
    copy->arguments = arena_alloc_array(arena, expr->argument_count, sizeof(*copy->arguments));
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = expr_copy(expr->arguments[i], map, arena);
    return copy;
}
