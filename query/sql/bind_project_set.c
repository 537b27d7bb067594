/* Functions that give rows in the select list, ORDER BY or GROUP BY: as if they stood in FROM, to
 * the right of all the rest and looking at it. All of a query run side by side for each of its
 * rows; one that ends before the others gives NULLs; a row for which all are empty is none.
 *
 * They are columns from SERIES_COLUMN_FIRST on until here. Below the GROUP where a key has one,
 * else above GROUP and WINDOW. */
#include "query/sql/bind.h"

#include "query/func/series.h"

static bool same_call(const struct series_call *a, const struct series_call *b)
{
    if (a->function != b->function || a->argument_count != b->argument_count)
        return false;
    for (uint32_t index = 0; index < a->argument_count; index++)
        if (!expr_equal(a->arguments[index], b->arguments[index]))
            return false;
    return true;
}

enum err bind_series_target(struct binder *b, struct scope *scope, const struct ast_node *node,
                            struct expr **out)
{
    if (!scope->is_series_allowed || scope->is_in_aggregate || scope->is_in_over) {
        const char *where = scope->is_in_aggregate  ? "aggregate functions"
                            : scope->is_in_over     ? "window functions"
                            : scope->clause == NULL ? "this place"
                                                    : scope->clause;
        return bind_unsupported(b, node->position,
                                arena_printf(b->arena, "a function that gives rows (%.*s) in %s",
                                             SLICE_ARGS(node->text), where));
    }
    struct expr **arguments =
        arena_alloc_array(b->arena, (size_t)node->count + 1, sizeof(struct expr *));
    struct series_call call = {0};
    enum err result = OK;
    scope->is_series_allowed = false;
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        result = bind_expr(b, scope, node->arguments[index], &arguments[index]);
    scope->is_series_allowed = true;
    if (result == OK)
        result = bind_series_call(b, node->text, arguments, node->count, node->position, &call);
    if (result != OK)
        return result;
    if (call.column_count != 1)
        return bind_unsupported(b, node->position, "a row value");
    size_t index = 0;
    while (index < scope->series_count && !same_call(&scope->series[index], &call))
        index++;
    if (index == scope->series_count) {
        scope->series = bind_grow(b->arena, scope->series, index, &scope->series_capacity,
                                  sizeof(*scope->series));
        scope->series[scope->series_count++] = call;
    }
    *out = build_column(&b->build, SERIES_COLUMN_FIRST + (uint32_t)index,
                        type_of((enum type_id)call.function->columns[0]), node->position);
    return OK;
}

bool bind_has_series(const struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->column >= SERIES_COLUMN_FIRST;
    for (uint32_t index = 0; index < expr->argument_count; index++)
        if (bind_has_series(expr->arguments[index]))
            return true;
    return false;
}

static size_t walk_exprs(const struct scope *scope, struct expr **exprs, bool is_put)
{
    size_t count = 0;
    for (size_t call = 0; call < scope->series_count; call++) {
        for (uint32_t index = 0; index < scope->series[call].argument_count; index++, count++) {
            struct expr **expr = &scope->series[call].arguments[index];
            if (exprs != NULL && is_put)
                *expr = exprs[count];
            else if (exprs != NULL)
                exprs[count] = *expr;
        }
    }
    return count;
}

size_t bind_series_exprs(const struct scope *scope, struct expr **exprs)
{
    return walk_exprs(scope, exprs, false);
}

void bind_series_replace(struct scope *scope, struct expr *const *exprs)
{
    walk_exprs(scope, (struct expr **)exprs, true);
}

static struct expr *place_columns(struct binder *b, struct expr *in, uint32_t first)
{
    if (in->kind == EXPR_COLUMN && in->column >= SERIES_COLUMN_FIRST)
        return build_column(&b->build, first + in->column - SERIES_COLUMN_FIRST, in->type,
                            in->text_position);
    if (!bind_has_series(in))
        return in;
    struct expr *copy = arena_alloc(b->arena, sizeof(*copy));
    *copy = *in;
    copy->arguments = arena_alloc_array(b->arena, in->argument_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < in->argument_count; index++)
        copy->arguments[index] = place_columns(b, in->arguments[index], first);
    return copy;
}

enum err bind_series_join(struct binder *b, struct scope *scope, struct expr **exprs, size_t count,
                          struct plan **plan)
{
    struct correlation correlation = {.around = scope};
    struct plan_column *columns =
        arena_alloc_array(b->arena, scope->series_count, sizeof(*columns));
    for (size_t call = 0; call < scope->series_count; call++) {
        const struct series_function *function = scope->series[call].function;
        columns[call] = (struct plan_column){slice_from_cstr(function->name),
                                             type_of((enum type_id)function->columns[0])};
        for (uint32_t index = 0; index < scope->series[call].argument_count; index++) {
            struct expr **argument = &scope->series[call].arguments[index];
            if (expr_has_kind(*argument, EXPR_COLUMN))
                *argument = scope_cross(b, &correlation, *argument);
        }
    }
    struct plan *right;
    struct plan *left = *plan;
    enum err result = bind_series_plan(b, scope->series, scope->series_count, columns,
                                       scope->series_count, &right);
    if (result != OK)
        return result;
    bool is_alone = left->kind == PLAN_VALUES && left->column_count == 0; /* no FROM */
    if (is_alone)
        *plan = right;
    else
        result = bind_new_join(b, left, right, JOIN_CROSS, plan);
    if (result == OK && correlation.count > 0) {
        (*plan)->kind = PLAN_APPLY;
        (*plan)->join.slots = (struct subplan_slots){correlation.count, correlation.slots};
        (*plan)->join.arguments = correlation.arguments;
    }
    for (size_t index = 0; index < count && result == OK; index++)
        if (exprs[index] != NULL)
            exprs[index] = place_columns(b, exprs[index], (uint32_t)left->column_count);
    scope->series_count = 0;
    return result;
}
