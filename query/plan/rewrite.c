/* The passes over a bound plan and what they share. The binder makes plans as the text reads:
 * conditions where they were written, every column of every table. The passes then move conditions
 * down, merge projections, drop columns and derive the event-time range of each scan, by which
 * whole morsels are skipped, and its other conditions (condition.c). */
#include "query/plan/rewrite.h"

#include "query/func/func.h"

#include <assert.h>

void expr_list_add(struct arena *arena, struct expr_list *list, struct expr *expr)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct expr **items = arena_alloc_array(arena, capacity, sizeof(*items));
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = expr;
}

void expr_split(struct arena *arena, struct expr *expr, struct expr_list *out)
{
    if (expr->kind == EXPR_CONSTANT && !expr->constant.is_null && expr->constant.b)
        return;
    if (expr->kind != EXPR_AND) {
        expr_list_add(arena, out, expr);
        return;
    }
    for (uint32_t index = 0; index < expr->argument_count; index++)
        expr_split(arena, expr->arguments[index], out);
}

struct expr *expr_join(struct arena *arena, const struct expr_list *list)
{
    if (list->count == 0)
        return NULL;
    if (list->count == 1)
        return list->items[0];
    struct expr *expr = arena_alloc_zero(arena, sizeof(*expr));
    expr->kind = EXPR_AND;
    expr->type = type_of(TYPE_BOOL);
    expr->text_position = list->items[0]->text_position;
    expr->argument_count = (uint32_t)list->count;
    expr->arguments = arena_alloc_array(arena, list->count, sizeof(struct expr *));
    memcpy(expr->arguments, list->items, list->count * sizeof(struct expr *));
    return expr;
}

struct expr *expr_substitute(const struct expr *expr, struct expr *const *exprs,
                             struct arena *arena)
{
    if (expr->kind == EXPR_COLUMN)
        return exprs[expr->column];
    struct expr *copy = arena_alloc(arena, sizeof(*copy));
    *copy = *expr;
    if (expr->argument_count == 0)
        return copy;
    copy->arguments = arena_alloc_array(arena, expr->argument_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < expr->argument_count; index++)
        copy->arguments[index] = expr_substitute(expr->arguments[index], exprs, arena);
    return copy;
}

size_t expr_size(const struct expr *expr, size_t limit)
{
    size_t size = 1;
    for (uint32_t index = 0; index < expr->argument_count && size < limit; index++)
        size += expr_size(expr->arguments[index], limit - size);
    return size;
}

struct column_range {
    uint32_t least, greatest;
    bool is_found;
};

static void note_column(void *context, uint32_t column)
{
    struct column_range *range = context;
    if (!range->is_found || column < range->least)
        range->least = column;
    if (!range->is_found || column > range->greatest)
        range->greatest = column;
    range->is_found = true;
}

bool expr_column_range(const struct expr *expr, uint32_t *least, uint32_t *greatest)
{
    struct column_range range = {0};
    expr_visit_columns(expr, note_column, &range);
    *least = range.least;
    *greatest = range.greatest;
    return range.is_found;
}

bool type_is_alike(struct type a, struct type b)
{
    bool is_integer =
        a.id >= TYPE_INT2 && a.id <= TYPE_INT8 && b.id >= TYPE_INT2 && b.id <= TYPE_INT8;
    bool is_float = (a.id == TYPE_FLOAT4 || a.id == TYPE_FLOAT8) &&
                    (b.id == TYPE_FLOAT4 || b.id == TYPE_FLOAT8);
    return a.id == b.id || is_integer || is_float;
}

bool expr_is_operator(const struct expr *expr, const char *name)
{
    return expr->kind == EXPR_CALL && expr->argument_count == 2 &&
           strcmp(expr->function->name, name) == 0;
}

bool expr_comparison(const struct expr *expr, bool is_swapped, enum compare_operation *out)
{
    static const struct {
        const char *name;
        enum compare_operation plain, swapped;
    } table[] = {{"=", COMPARE_EQ, COMPARE_EQ},
                 {"<", COMPARE_LT, COMPARE_GT},
                 {"<=", COMPARE_LE, COMPARE_GE},
                 {">", COMPARE_GT, COMPARE_LT},
                 {">=", COMPARE_GE, COMPARE_LE}};
    for (size_t i = 0; i < array_count(table); i++)
        if (expr_is_operator(expr, table[i].name)) {
            *out = is_swapped ? table[i].swapped : table[i].plain;
            return true;
        }
    return false;
}

/* --- time bounds --- */

bool expr_has_parameter(const struct expr *expr)
{
    if (expr_is_subquery(expr))
        return true;
    for (uint32_t index = 0; index < expr->argument_count; index++)
        if (expr_has_parameter(expr->arguments[index]))
            return true;
    return false;
}

/* Can be computed before the scan starts. */
static bool is_bound(const struct expr *expr)
{
    return expr->type.id == TYPE_TIMESTAMPTZ && !expr_has_kind(expr, EXPR_COLUMN) &&
           !expr_has_parameter(expr) && !expr_is_volatile(expr);
}

/* The time column itself, or the start of a bucket that holds it: then only a lower bound carries
 * over. */
static bool is_time(const struct expr *expr, uint32_t time, bool *is_bucket)
{
    static const char *const buckets[] = {"tumble_start", "date_trunc", "time_bucket", "date_bin"};
    *is_bucket = false;
    if (expr->kind == EXPR_COLUMN)
        return expr->column == time;
    for (size_t index = 0; index < array_count(buckets) && expr->kind == EXPR_CALL; index++) {
        uint32_t least;
        uint32_t greatest;
        if (strcmp(expr->function->name, buckets[index]) != 0 ||
            expr->type.id != TYPE_TIMESTAMPTZ || !expr_column_range(expr, &least, &greatest) ||
            least != time || greatest != time)
            continue;
        *is_bucket = true;
        for (uint32_t argument = 0; argument < expr->argument_count; argument++)
            if (expr->arguments[argument]->kind == EXPR_COLUMN &&
                expr->arguments[argument]->column == time)
                return true;
    }
    return false;
}

/* The tightest of them; one that is NULL makes its condition false, so any will do then. */
static struct expr *tightest(struct builder *build, const struct expr_list *bounds,
                             enum expr_kind kind)
{
    struct expr *out = NULL;
    if (bounds->count < 2)
        return bounds->count == 0 ? NULL : bounds->items[0];
    enum err err = build_node(build, kind, false, bounds->items, bounds->count,
                              bounds->items[0]->text_position, &out);
    return err == OK ? out : bounds->items[0];
}

static void find_bounds(struct builder *build, struct plan *plan)
{
    const struct schema *schema = plan->scan.schema;
    uint32_t time = UINT32_MAX;
    for (uint32_t index = 0; index < plan->column_count; index++)
        if ((int32_t)plan->scan.columns[index] == schema->time_column)
            time = index;
    if (plan->scan.filter == NULL || schema->time_column < 0 || time == UINT32_MAX)
        return;
    struct expr_list conditions = {0}, from = {0}, to = {0};
    expr_split(build->arena, plan->scan.filter, &conditions);
    for (size_t index = 0; index < conditions.count; index++) {
        struct expr *test = conditions.items[index];
        if (test->kind != EXPR_CALL || test->argument_count != 2)
            continue;
        bool is_bucket;
        bool is_left = is_time(test->arguments[0], time, &is_bucket);
        struct expr *bound = test->arguments[is_left ? 1 : 0];
        if ((!is_left && !is_time(test->arguments[1], time, &is_bucket)) || !is_bound(bound))
            continue;
        const char *name = test->function->name;
        bool is_equal = strcmp(name, "=") == 0;
        bool is_greater = strcmp(name, ">") == 0 || strcmp(name, ">=") == 0;
        bool is_less = strcmp(name, "<") == 0 || strcmp(name, "<=") == 0;
        if (is_equal || (is_left ? is_greater : is_less))
            expr_list_add(build->arena, &from, bound);
        if (!is_bucket && (is_equal || (is_left ? is_less : is_greater)))
            expr_list_add(build->arena, &to, bound);
    }
    plan->scan.time_from = tightest(build, &from, EXPR_GREATEST);
    plan->scan.time_to = tightest(build, &to, EXPR_LEAST);
}

void plan_bound_scans(struct builder *build, struct plan *plan)
{
    if (plan->kind == PLAN_SCAN) {
        find_bounds(build, plan);
        plan_conditions(build, plan);
    }
    for (size_t index = 0; index < plan->child_count; index++)
        plan_bound_scans(build, plan->children[index]);
}

struct plan *plan_rewrite(struct builder *build, struct plan *plan)
{
    plan = plan_push(build, plan);
    plan = plan_merge(build, plan);
    plan_prune(build, plan);
    plan_heads(build, plan);
    return plan;
}
