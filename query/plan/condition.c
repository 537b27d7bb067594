/* What a scan can do without: conditions on one column that follow from the filter.
 *
 * A comparison of the column with a bound (no column, no subquery, nothing volatile in it), either
 * way round; IN over bounds, OR of such over one column, = ANY; IS [NOT] NULL; a boolean column and
 * its negation. Any other conjunct over one text column alone is asked text by text, and LIKE
 * 'head…' is a range besides.
 *
 * They are hints: the filter stays as it is. Reading stops at the first conjunct that could raise:
 * a row that a later conjunct would leave out must still come to it, or a query's error would
 * depend on which rows are sealed. The column may stand under casts that change neither value nor
 * order. Bounds are evaluated when the scan opens (exec/condition.c), which also knows what the
 * column's own type can hold. */
#include "query/plan/rewrite.h"

#include "query/func/func.h"

#include <assert.h>

/* --- what may raise --- */

static bool is_named(const struct expr *expr, const char *const *names, size_t count)
{
    for (size_t index = 0; index < count; index++)
        if (strcmp(expr->function->name, names[index]) == 0)
            return true;
    return false;
}

/* A pattern that LIKE never refuses: constant, and not ending in the escape character. */
static bool is_fine_pattern(const struct expr *expr)
{
    if (expr->kind != EXPR_CONSTANT)
        return false;
    struct slice pattern = expr->constant.text;
    return expr->constant.is_null || pattern.size == 0 || pattern.data[pattern.size - 1] != '\\';
}

static bool is_safe_call(const struct expr *expr)
{
    static const char *const always[] = {"=",      "<>",          "<",      "<=",
                                         ">",      ">=",          "lower",  "upper",
                                         "length", "starts_with", "strpos", "now"};
    static const char *const patterns[] = {"~~", "!~~", "~~*", "!~~*"};
    static const char *const buckets[] = {"date_trunc", "time_bucket", "tumble_start"};
    if (is_named(expr, patterns, array_count(patterns)))
        return is_fine_pattern(expr->arguments[1]);
    if (is_named(expr, buckets, array_count(buckets))) { /* a bad unit raises for any row */
        size_t columns = 0;
        for (uint32_t index = 0; index < expr->argument_count; index++)
            columns += expr->arguments[index]->kind == EXPR_COLUMN;
        return columns <= 1;
    }
    return is_named(expr, always, array_count(always));
}

/* Elements of an array that become values of another type, which may raise. */
static bool reads_elements(const struct expr *compare)
{
    enum type_id left = (enum type_id)compare->arguments[0]->type.id;
    enum type_id element = type_element((enum type_id)compare->arguments[1]->type.id);
    return left != element && !cast_is_relabel(type_of(element), type_of(left), NULL) &&
           !cast_is_relabel(type_of(left), type_of(element), NULL);
}

bool plan_is_safe(const struct expr *expr)
{
    uint32_t least;
    uint32_t greatest;
    if (!expr_column_range(expr, &least, &greatest))
        return !expr_has_parameter(expr); /* one value for all rows */
    switch (expr->kind) {
    case EXPR_COLUMN:
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS_NULL:
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
    case EXPR_IS_UNKNOWN:
    case EXPR_IS_DISTINCT:
    case EXPR_COALESCE:
    case EXPR_IN:
        break;
    case EXPR_ARRAY_COMPARE:
        if (!is_safe_call(expr) || reads_elements(expr))
            return false;
        break;
    case EXPR_CAST:
        if (!cast_is_relabel(expr->arguments[0]->type, expr->type, NULL) &&
            !(expr->arguments[0]->type.id == TYPE_DATE && expr->type.id == TYPE_TIMESTAMP))
            return false;
        break;
    case EXPR_CALL:
        if (!is_safe_call(expr))
            return false;
        break;
    default:
        return false;
    }
    for (uint32_t index = 0; index < expr->argument_count; index++)
        if (!plan_is_safe(expr->arguments[index]))
            return false;
    return true;
}

/* --- columns and bounds --- */

static bool has_one_order(struct type from, struct type to)
{
    static const uint8_t families[TYPE_COUNT] = {
        [TYPE_INT2] = 1,    [TYPE_INT4] = 1,   [TYPE_INT8] = 1,  [TYPE_TEXT] = 2,
        [TYPE_VARCHAR] = 2, [TYPE_FLOAT4] = 3, [TYPE_FLOAT8] = 3};
    return families[from.id] != 0 && families[from.id] == families[to.id] &&
           cast_is_relabel(from, to, NULL);
}

/* The column an expression is, under casts that keep its order. */
static bool find_column(const struct expr *expr, uint32_t *column)
{
    while (expr->kind == EXPR_CAST && has_one_order(expr->arguments[0]->type, expr->type))
        expr = expr->arguments[0];
    if (expr->kind != EXPR_COLUMN)
        return false;
    *column = expr->column;
    return true;
}

static bool is_bound(const struct expr *expr)
{
    uint32_t least;
    uint32_t greatest;
    return !expr_column_range(expr, &least, &greatest) && !expr_has_parameter(expr) &&
           !expr_is_volatile(expr);
}

struct finder {
    struct builder *build;
    struct plan *plan;
    size_t capacity;
};

static struct plan_condition *add(struct finder *f, enum condition_kind kind, uint32_t column)
{
    struct plan *plan = f->plan;
    if (plan->scan.condition_count == f->capacity) {
        f->capacity = f->capacity == 0 ? 8 : f->capacity * 2;
        struct plan_condition *conditions =
            arena_alloc_array(f->build->arena, f->capacity, sizeof(*conditions));
        if (plan->scan.condition_count > 0)
            memcpy(conditions, plan->scan.conditions,
                   plan->scan.condition_count * sizeof(*conditions));
        plan->scan.conditions = conditions;
    }
    struct plan_condition *condition = &plan->scan.conditions[plan->scan.condition_count++];
    *condition = (struct plan_condition){.kind = kind, .column = column};
    return condition;
}

/* --- one kind each --- */

static bool find_compare(struct finder *f, const struct expr *expr)
{
    uint32_t column;
    enum compare_operation operation;
    if (expr->kind != EXPR_CALL || expr->argument_count != 2)
        return false;
    bool is_swapped = !find_column(expr->arguments[0], &column);
    if (is_swapped && !find_column(expr->arguments[1], &column))
        return false;
    struct expr *bound = expr->arguments[is_swapped ? 0 : 1];
    if (!is_bound(bound) || !expr_comparison(expr, is_swapped, &operation))
        return false;
    struct plan_condition *condition = add(f, CONDITION_COMPARE, column);
    condition->operation = operation;
    condition->value_count = 1;
    condition->values = arena_alloc_array(f->build->arena, 1, sizeof(struct expr *));
    condition->values[0] = bound;
    return true;
}

/* The values of `column = a`, `column IN (…)`, or OR of such over one column. */
static bool collect_values(struct finder *f, const struct expr *expr, int64_t *column,
                           struct expr_list *values)
{
    uint32_t found;
    if (expr->kind == EXPR_OR) {
        for (uint32_t index = 0; index < expr->argument_count; index++)
            if (!collect_values(f, expr->arguments[index], column, values))
                return false;
        return true;
    }
    bool is_in = expr->kind == EXPR_IN && !expr->is_negated;
    if (!is_in && !expr_is_operator(expr, "="))
        return false;
    size_t at = is_in || find_column(expr->arguments[0], &found) ? 0 : 1;
    if (!find_column(expr->arguments[at], &found) || (*column >= 0 && *column != found))
        return false;
    *column = found;
    for (uint32_t index = 0; index < expr->argument_count; index++) {
        if (index == at)
            continue;
        if (!is_bound(expr->arguments[index]))
            return false;
        expr_list_add(f->build->arena, values, expr->arguments[index]);
    }
    return true;
}

static bool find_in(struct finder *f, const struct expr *expr)
{
    int64_t column = -1;
    struct expr_list values = {0};
    if (!collect_values(f, expr, &column, &values))
        return false;
    struct plan_condition *condition = add(f, CONDITION_IN, (uint32_t)column);
    condition->value_count = values.count;
    condition->values = values.items;
    return true;
}

static bool find_any(struct finder *f, const struct expr *expr)
{
    uint32_t column;
    if (expr->kind != EXPR_ARRAY_COMPARE || expr->is_all ||
        strcmp(expr->function->name, "=") != 0 || !find_column(expr->arguments[0], &column) ||
        !is_bound(expr->arguments[1]) || reads_elements(expr))
        return false;
    struct plan_condition *condition = add(f, CONDITION_ANY, column);
    condition->value_count = 1;
    condition->values = &expr->arguments[1];
    return true;
}

static struct expr *bool_constant(struct finder *f, bool value)
{
    struct expr *expr = arena_alloc_zero(f->build->arena, sizeof(*expr));
    expr->kind = EXPR_CONSTANT;
    expr->type = type_of(TYPE_BOOL);
    expr->constant = (struct value){.type = expr->type, .b = value};
    return expr;
}

/* flag, NOT flag, flag IS TRUE, flag IS FALSE. */
static bool find_flag(struct finder *f, const struct expr *expr)
{
    bool is_true = expr->kind == EXPR_COLUMN || expr->kind == EXPR_IS_TRUE;
    if (!is_true && expr->kind != EXPR_NOT && expr->kind != EXPR_IS_FALSE)
        return false;
    const struct expr *column = expr->kind == EXPR_COLUMN ? expr : expr->arguments[0];
    if (expr->is_negated || column->kind != EXPR_COLUMN || column->type.id != TYPE_BOOL)
        return false;
    struct plan_condition *condition = add(f, CONDITION_IN, column->column);
    condition->value_count = 1;
    condition->values = arena_alloc_array(f->build->arena, 1, sizeof(struct expr *));
    condition->values[0] = bool_constant(f, is_true);
    return true;
}

static bool find_null(struct finder *f, const struct expr *expr)
{
    uint32_t column;
    if (expr->kind != EXPR_IS_NULL || !find_column(expr->arguments[0], &column))
        return false;
    add(f, expr->is_negated ? CONDITION_NOT_NULL : CONDITION_NULL, column);
    return true;
}

/* Anything over one text column alone. */
static void find_match(struct finder *f, struct expr *expr)
{
    uint32_t least;
    uint32_t greatest;
    if (!expr_column_range(expr, &least, &greatest) || least != greatest ||
        expr_has_parameter(expr) || expr_is_volatile(expr))
        return;
    uint8_t type = f->plan->columns[least].type.id;
    if (type != TYPE_TEXT && type != TYPE_VARCHAR)
        return;
    struct plan_condition *condition = add(f, CONDITION_MATCHES, least);
    uint32_t *map = arena_alloc_zero(f->build->arena, ((size_t)least + 1) * sizeof(*map));
    condition->predicate = expr_copy(expr, map, f->build->arena);
    uint32_t column;
    if (!expr_is_operator(expr, "~~") || !find_column(expr->arguments[0], &column) ||
        expr->arguments[1]->kind != EXPR_CONSTANT || expr->arguments[1]->constant.is_null)
        return;
    struct slice pattern = expr->arguments[1]->constant.text;
    size_t head = 0;
    while (head < pattern.size && strchr("%_\\", pattern.data[head]) == NULL)
        head++;
    if (head == 0)
        return;
    condition->head = slice_of(pattern.data, head);
    condition->is_head_all = head + 1 == pattern.size && pattern.data[head] == '%';
}

void plan_conditions(struct builder *build, struct plan *plan)
{
    assert(plan->kind == PLAN_SCAN);
    struct finder f = {.build = build, .plan = plan};
    struct expr_list conjuncts = {0};
    if (plan->scan.filter != NULL)
        expr_split(build->arena, plan->scan.filter, &conjuncts);
    plan->scan.is_conditions_whole = conjuncts.count > 0;
    for (size_t index = 0; index < conjuncts.count; index++) {
        struct expr *expr = conjuncts.items[index];
        if (!find_compare(&f, expr) && !find_in(&f, expr) && !find_any(&f, expr) &&
            !find_flag(&f, expr) && !find_null(&f, expr)) {
            plan->scan.is_conditions_whole = false;
            find_match(&f, expr);
        }
        if (!plan_is_safe(expr)) {
            plan->scan.is_conditions_whole = false;
            break;
        }
    }
}
