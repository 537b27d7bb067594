/* From a plan's conditions to the cursor's: bounds evaluated, brought to the column's own type,
 * ranges over one column made one.
 *
 * Integers, dates and times: exclusive ends move by one; what the type cannot hold is no bound, or
 * lets no row pass. Floats: ranges only, from -0.0 and up to +0.0, which are equal here and not to
 * a zone map; NaN is no bound. numeric: finite values, of any scale. Text: equality and ranges by
 * bytes; LIKE 'head%' is a range, any other predicate is asked entry by entry.
 *
 * A bound that cannot be evaluated makes no condition: the filter raises when a row comes to it.
 * The same holds for a text that a predicate raises for. */
#include "query/exec/condition.h"

#include "query/kernel/kernel.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan_matcher {
    struct evaluator *evaluator;
};

struct range {
    bool has_low, has_high;
    struct value low, high;
};

struct builder_state {
    struct exec *exec;
    const struct plan *plan;
    struct scan_conditions *out;
    struct scan_condition *list;
    struct range *ranges; /* by output column */
    bool is_whole;        /* every condition so far is what the filter has for it, exactly */
};

/* --- values of the column's type --- */

enum fit { FITS, IS_BELOW, IS_ABOVE, IS_OTHER };

static enum fit fit_int(enum type_id type, struct value *value)
{
    int64_t min = type == TYPE_INT2 ? INT16_MIN : type == TYPE_INT4 ? INT32_MIN : INT64_MIN;
    int64_t max = type == TYPE_INT2 ? INT16_MAX : type == TYPE_INT4 ? INT32_MAX : INT64_MAX;
    return value->i < min ? IS_BELOW : value->i > max ? IS_ABOVE : FITS;
}

/* Makes a value that is not NULL one of the column's type. */
static enum fit fit_value(struct type type, struct value *value)
{
    enum type_id from = (enum type_id)value->type.id, to = (enum type_id)type.id;
    bool is_text = from == TYPE_TEXT || from == TYPE_VARCHAR;
    enum fit fit = IS_OTHER;
    switch (to) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        if (from == TYPE_INT2 || from == TYPE_INT4 || from == TYPE_INT8)
            fit = fit_int(to, value);
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        if ((from == TYPE_FLOAT4 || from == TYPE_FLOAT8) && !isnan(value->f))
            fit = FITS;
        break;
    case TYPE_NUMERIC:
        if (from == to && value->n.kind == NUMERIC_FINITE)
            fit = FITS;
        break;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
        fit = is_text ? FITS : IS_OTHER;
        break;
    case TYPE_BOOL:
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
    case TYPE_UUID:
        fit = from == to ? FITS : IS_OTHER;
        break;
    default:
        break;
    }
    value->type = type;
    return fit;
}

static bool evaluate(struct builder_state *b, const struct expr *expr, struct value *out)
{
    struct error ignored;
    return expr_evaluate_constant(expr, &b->exec->eval, &b->exec->arena, out, &ignored) == OK;
}

static struct scan_condition *add(struct builder_state *b, enum scan_test test, uint32_t column)
{
    struct scan_condition *condition = &b->list[b->out->filter.condition_count++];
    *condition = (struct scan_condition){.test = test, .column = column};
    return condition;
}

/* --- ranges --- */

static void raise_low(struct builder_state *b, uint32_t column, struct value value)
{
    struct range *range = &b->ranges[column];
    if (type_physical(value.type.id) == PHYSICAL_FLOAT && value.f == 0)
        value.f = -0.0;
    if (!range->has_low || value_compare(&value, &range->low) > 0)
        range->low = value;
    range->has_low = true;
}

static void lower_high(struct builder_state *b, uint32_t column, struct value value)
{
    struct range *range = &b->ranges[column];
    if (type_physical(value.type.id) == PHYSICAL_FLOAT && value.f == 0)
        value.f = 0.0;
    if (!range->has_high || value_compare(&value, &range->high) < 0)
        range->high = value;
    range->has_high = true;
}

static void add_values(struct builder_state *b, uint32_t column, struct value *values,
                       size_t count);

static void compare(struct builder_state *b, const struct plan_condition *condition)
{
    struct value value;
    struct type type = b->plan->columns[condition->column].type;
    bool is_whole = b->is_whole;
    b->is_whole = false;
    if (!evaluate(b, condition->values[0], &value))
        return;
    if (value.is_null) {
        b->out->is_never = true;
        return;
    }
    enum fit fit = fit_value(type, &value);
    enum compare_operation operation = condition->operation;
    bool is_above = operation == COMPARE_GT || operation == COMPARE_GE;
    if (fit == IS_OTHER)
        return;
    if (fit != FITS) {
        if (operation == COMPARE_EQ || is_above == (fit == IS_ABOVE))
            b->out->is_never = true;
        return;
    }
    bool is_int = type_physical(type.id) == PHYSICAL_INT;
    bool is_exclusive = operation == COMPARE_GT || operation == COMPARE_LT;
    b->is_whole = is_whole && (is_int || !is_exclusive);
    if (operation == COMPARE_EQ) {
        add_values(b, condition->column, &value, 1);
        return;
    }
    if (is_exclusive && is_int && __builtin_add_overflow(value.i, is_above ? 1 : -1, &value.i)) {
        b->out->is_never = true;
        return;
    }
    if (is_above)
        raise_low(b, condition->column, value);
    else
        lower_high(b, condition->column, value);
}

/* --- lists --- */

static int compare_values(const void *a, const void *b)
{
    return value_compare(a, b);
}

/* Values that fit, not NULL; they are sorted in place. */
static void add_values(struct builder_state *b, uint32_t column, struct value *values, size_t count)
{
    if (count == 0) {
        b->out->is_never = true;
        return;
    }
    qsort(values, count, sizeof(*values), compare_values);
    if (type_physical(values[0].type.id) == PHYSICAL_FLOAT) {
        b->is_whole = b->is_whole && count == 1;
        raise_low(b, column, values[0]);
        lower_high(b, column, values[count - 1]);
        return;
    }
    size_t distinct = 1;
    for (size_t i = 1; i < count; i++)
        if (value_compare(&values[i], &values[distinct - 1]) != 0)
            values[distinct++] = values[i];
    struct value *kept = arena_alloc_array(&b->exec->arena, distinct, sizeof(*kept));
    memcpy(kept, values, distinct * sizeof(*kept));
    struct scan_condition *condition = add(b, SCAN_IN, column);
    condition->values = kept;
    condition->value_count = distinct;
}

/* False: one of the values cannot be judged. NULL and what the type cannot hold equal no row. */
static bool keep_value(struct type type, struct value value, struct value *values, size_t *count)
{
    if (value.is_null)
        return true;
    enum fit fit = fit_value(type, &value);
    if (fit == FITS)
        values[(*count)++] = value;
    return fit != IS_OTHER;
}

static void list(struct builder_state *b, const struct plan_condition *condition)
{
    struct type type = b->plan->columns[condition->column].type;
    struct value *values =
        arena_alloc_array(&b->exec->arena, condition->value_count, sizeof(*values));
    size_t count = 0;
    for (size_t i = 0; i < condition->value_count; i++) {
        struct value value;
        if (!evaluate(b, condition->values[i], &value) ||
            !keep_value(type, value, values, &count)) {
            b->is_whole = false;
            return;
        }
    }
    add_values(b, condition->column, values, count);
}

/* More values than a list is worth: from the least to the greatest. */
#define ANY_VALUES_MAX ((size_t)1 << 16)
static void any_range(struct builder_state *b, uint32_t column, const struct value *array)
{
    struct type type = b->plan->columns[column].type;
    struct value low = {.is_null = true}, high = low, element, fitting;
    struct array_reader reader;
    size_t count;
    if (!array_begin(&reader, (enum type_id)array->type.id, array->text))
        return;
    while (array_next(&reader, &element)) {
        count = 0;
        if (!keep_value(type, element, &fitting, &count))
            return;
        if (count > 0 && (low.is_null || value_compare(&fitting, &low) < 0))
            low = fitting;
        if (count > 0 && (high.is_null || value_compare(&fitting, &high) > 0))
            high = fitting;
    }
    if (low.is_null)
        return;
    raise_low(b, column, low);
    lower_high(b, column, high);
}

static void any(struct builder_state *b, const struct plan_condition *condition)
{
    struct type type = b->plan->columns[condition->column].type;
    struct value array, element;
    struct array_reader reader;
    bool is_whole = b->is_whole;
    b->is_whole = false;
    if (!evaluate(b, condition->values[0], &array))
        return;
    if (array.is_null) {
        b->out->is_never = true;
        return;
    }
    size_t total = 0, count = 0;
    if (!array_begin(&reader, (enum type_id)array.type.id, array.text))
        return;
    while (array_next(&reader, &element))
        total++;
    if (total > ANY_VALUES_MAX) {
        any_range(b, condition->column, &array);
        return;
    }
    struct value *values = arena_alloc_array(&b->exec->arena, total + 1, sizeof(*values));
    if (!array_begin(&reader, (enum type_id)array.type.id, array.text))
        return;
    while (array_next(&reader, &element))
        if (!keep_value(type, element, values, &count))
            return;
    b->is_whole = is_whole;
    add_values(b, condition->column, values, count);
}

/* --- predicates over texts --- */

/* Does one text (or NULL) pass, or raise? */
static bool test_text(struct scan_matcher *matcher, const struct column *column)
{
    struct error ignored;
    struct column columns[1] = {*column};
    struct batch batch = {.row_count = 1, .column_count = 1, .columns = columns};
    uint32_t selection[16];
    size_t count = 0;
    enum err err =
        evaluator_filter(matcher->evaluator, &batch, NULL, 0, selection, &count, &ignored);
    return err != OK || count != 0;
}

static bool matches(void *context, struct slice text)
{
    struct column column = {.type = type_of(TYPE_TEXT), .form = COLUMN_FLAT, .text = &text};
    return test_text(context, &column);
}

static void match(struct builder_state *b, const struct plan_condition *condition)
{
    struct scan_matcher *matcher = &b->out->matchers[b->out->matcher_count];
    matcher->evaluator = evaluator_create(condition->predicate, &b->exec->eval);
    b->out->matcher_count++;
    struct column null = column_null(b->plan->columns[condition->column].type);
    if (test_text(matcher, &null)) /* the cursor leaves NULLs out */
        return;
    if (condition->head.size > 0) {
        struct type type = b->plan->columns[condition->column].type;
        struct slice end = arena_copy(&b->exec->arena, condition->head);
        unsigned char *last = (unsigned char *)(uintptr_t)&end.data[end.size - 1];
        assert(*last < 0xFF); /* UTF-8 */
        ++*last;
        raise_low(b, condition->column, (struct value){.type = type, .text = condition->head});
        lower_high(b, condition->column, (struct value){.type = type, .text = end});
    }
    if (condition->head.size > 0 && condition->is_head_all)
        return;
    struct scan_condition *out = add(b, SCAN_MATCHES, condition->column);
    out->matches = matches;
    out->context = matcher;
}

/* --- all --- */

static void close_ranges(struct builder_state *b)
{
    for (uint32_t column = 0; column < b->plan->column_count; column++) {
        const struct range *range = &b->ranges[column];
        if (range->has_low && range->has_high && value_compare(&range->low, &range->high) > 0)
            b->out->is_never = true;
        if (!range->has_low && !range->has_high)
            continue;
        struct scan_condition *condition = add(b, SCAN_RANGE, column);
        condition->has_low = range->has_low;
        condition->has_high = range->has_high;
        condition->low = range->low;
        condition->high = range->high;
    }
}

static void bound_time(struct builder_state *b, const struct scan_bounds *bounds)
{
    const struct plan *plan = b->plan;
    for (uint32_t column = 0; column < plan->column_count; column++) {
        if ((int64_t)plan->scan.columns[column] != plan->scan.schema->time_column)
            continue;
        struct value value = {.type = plan->columns[column].type};
        value.i = bounds->from_us;
        if (bounds->has_from)
            raise_low(b, column, value);
        value.i = bounds->to_us;
        if (bounds->has_to)
            lower_high(b, column, value);
    }
}

void scan_conditions_open(struct exec *exec, const struct plan *plan,
                          const struct scan_bounds *bounds, struct scan_conditions *out)
{
    size_t count = plan->scan.condition_count;
    *out = (struct scan_conditions){0};
    struct builder_state b = {
        .exec = exec, .plan = plan, .out = out, .is_whole = plan->scan.is_conditions_whole};
    b.list = arena_alloc_zero(&exec->arena, (count + plan->column_count + 1) * sizeof(*b.list));
    b.ranges = arena_alloc_zero(&exec->arena, (plan->column_count + 1) * sizeof(*b.ranges));
    out->matchers = arena_alloc_zero(&exec->arena, (count + 1) * sizeof(*out->matchers));
    for (size_t i = 0; i < count && !out->is_never; i++) {
        const struct plan_condition *condition = &plan->scan.conditions[i];
        switch (condition->kind) {
        case CONDITION_COMPARE:
            compare(&b, condition);
            break;
        case CONDITION_IN:
            list(&b, condition);
            break;
        case CONDITION_ANY:
            any(&b, condition);
            break;
        case CONDITION_NULL:
            add(&b, SCAN_NULL, condition->column);
            break;
        case CONDITION_NOT_NULL:
            add(&b, SCAN_NOT_NULL, condition->column);
            break;
        case CONDITION_MATCHES:
            match(&b, condition);
            break;
        }
    }
    bound_time(&b, bounds);
    close_ranges(&b);
    out->filter.conditions = b.list;
    out->filter.is_without_bitmaps = exec->is_without_bitmaps;
    out->filter.is_whole = b.is_whole;
    out->filter.is_only_tested = b.is_whole ? plan->scan.is_only_filter : NULL;
}

void scan_conditions_close(struct scan_conditions *conditions)
{
    for (size_t i = 0; i < conditions->matcher_count; i++)
        evaluator_destroy(conditions->matchers[i].evaluator);
    conditions->matcher_count = 0;
}
