/* The kinds that decide which rows run what: AND, OR, NOT, IS …, CASE, COALESCE, NULLIF, GREATEST,
 * LEAST, ARRAY.
 *
 * Each keeps a vector of the rows that are still open and hands only those to the next argument,
 * left to right, so that a row raises exactly when PostgreSQL would have reached that argument for
 * it:
 *
 *   AND   false closes a row; NULL is remembered and the row stays open; open at the end: NULL or
 * true CASE  a true condition moves the row to its branch; the rest goes on to the next condition
 */
#include "query/expr/node.h"
#include "storage/base/fault.h"

#include <string.h>

static uint32_t *rows_buffer(struct frame *frame, size_t count)
{
    return arena_alloc_array(&frame->evaluator->batch, count + 1, sizeof(uint32_t));
}

static bool is_true(const struct column *column, size_t row)
{
    return !column_is_null(column, row) && column->b[column_index(column, row)] != 0;
}

static enum err and_or_run(struct frame *frame, struct node *node, struct rows rows,
                           struct column *out)
{
    bool closing = node->expr->kind == EXPR_OR; /* the value that decides */
    *out = result_create(frame, node->expr->type);
    uint8_t *values = (uint8_t *)out->values;
    memset(values, !closing, frame->row_count);
    uint32_t *open = rows_buffer(frame, rows.count);
    for (uint32_t i = 0; i < node->expr->argument_count && rows.count > 0; i++) {
        struct column column;
        enum err err = node_run(frame, &node->children[i], rows, &column);
        if (err != OK)
            return err;
        if (column.form == COLUMN_CONSTANT && column.validity == NULL &&
            (column.b[0] != 0) != closing)
            continue;
        size_t count = 0;
        for (size_t k = 0; k < rows.count; k++) {
            size_t row = rows_at(rows, k);
            if (column_is_null(&column, row)) {
                if (!fault_is("kernel.and_null"))
                    result_set_null(frame, out, row);
                open[count++] = (uint32_t)row;
            } else if ((column.b[column_index(&column, row)] != 0) == closing) {
                values[row] = closing;
                if (out->validity != NULL)
                    ((uint8_t *)out->validity)[row] = 1;
            } else {
                open[count++] = (uint32_t)row;
            }
        }
        rows = (struct rows){open, count};
    }
    return OK;
}

static enum err not_run(struct frame *frame, struct node *node, struct rows rows,
                        struct column *out)
{
    struct column column;
    enum err err = node_run(frame, &node->children[0], rows, &column);
    if (err != OK)
        return err;
    *out = column;
    size_t count = column.form == COLUMN_CONSTANT ? 1 : frame->row_count;
    uint8_t *values = arena_alloc(&frame->evaluator->batch, count + 1);
    for (size_t i = 0; i < count; i++)
        values[i] = column.b[i] == 0;
    out->b = values;
    return OK;
}

/* IS [NOT] NULL, TRUE, FALSE, UNKNOWN: never NULL themselves. */
static enum err is_run(struct frame *frame, struct node *node, struct rows rows, struct column *out)
{
    struct column column;
    enum err err = node_run(frame, &node->children[0], rows, &column);
    if (err != OK)
        return err;
    bool is_negated = node->expr->is_negated;
    *out = result_create(frame, node->expr->type);
    uint8_t *values = (uint8_t *)out->values;
    size_t count = frame->row_count;
    if (column.form == COLUMN_CONSTANT) {
        out->form = COLUMN_CONSTANT;
        count = 1;
    }
    for (size_t row = 0; row < count; row++) {
        bool is_null = column.validity != NULL && column.validity[row] == 0;
        bool holds;
        if (node->expr->kind == EXPR_IS_TRUE)
            holds = !is_null && column.b[row] != 0;
        else if (node->expr->kind == EXPR_IS_FALSE)
            holds = !is_null && column.b[row] == 0;
        else
            holds = is_null;
        values[row] = holds != is_negated;
    }
    return OK;
}

static enum err pair_run(struct frame *frame, struct node *node, struct rows rows,
                         struct column pair[2])
{
    enum err err = node_run(frame, &node->children[0], rows, &pair[0]);
    return err != OK ? err : node_run(frame, &node->children[1], rows, &pair[1]);
}

static enum err distinct_run(struct frame *frame, struct node *node, struct rows rows,
                             struct column *out)
{
    struct column pair[2];
    enum err err = pair_run(frame, node, rows, pair);
    if (err != OK)
        return err;
    *out = result_create(frame, node->expr->type);
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        struct value a = column_value(&pair[0], row), b = column_value(&pair[1], row);
        bool is_distinct =
            a.is_null || b.is_null ? a.is_null != b.is_null : value_compare(&a, &b) != 0;
        ((uint8_t *)out->values)[row] = is_distinct != node->expr->is_negated;
    }
    return OK;
}

static enum err nullif_run(struct frame *frame, struct node *node, struct rows rows,
                           struct column *out)
{
    struct column pair[2];
    enum err err = pair_run(frame, node, rows, pair);
    if (err != OK)
        return err;
    *out = result_create(frame, node->expr->type);
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        struct value a = column_value(&pair[0], row), b = column_value(&pair[1], row);
        if (!a.is_null && !b.is_null && value_compare(&a, &b) == 0)
            a.is_null = true;
        result_set(frame, out, row, &a);
    }
    return OK;
}

static enum err case_run(struct frame *frame, struct node *node, struct rows rows,
                         struct column *out)
{
    *out = result_create(frame, node->expr->type);
    uint32_t *open = rows_buffer(frame, rows.count), *taken = rows_buffer(frame, rows.count);
    uint32_t count = node->expr->argument_count, i = 0;
    for (; i + 1 < count && rows.count > 0; i += 2) {
        struct column condition, branch;
        enum err err = node_run(frame, &node->children[i], rows, &condition);
        if (err != OK)
            return err;
        size_t open_count = 0, taken_count = 0;
        for (size_t k = 0; k < rows.count; k++) {
            uint32_t row = (uint32_t)rows_at(rows, k);
            if (is_true(&condition, row))
                taken[taken_count++] = row;
            else
                open[open_count++] = row;
        }
        rows = (struct rows){open, open_count};
        if (taken_count == 0)
            continue;
        err = node_run(frame, &node->children[i + 1], (struct rows){taken, taken_count}, &branch);
        if (err != OK)
            return err;
        result_copy(frame, out, &branch, (struct rows){taken, taken_count});
    }
    if (rows.count == 0)
        return OK;
    if (count % 2 == 0) {
        for (size_t k = 0; k < rows.count; k++)
            result_set_null(frame, out, rows_at(rows, k));
        return OK;
    }
    struct column rest;
    enum err err = node_run(frame, &node->children[count - 1], rows, &rest);
    if (err == OK)
        result_copy(frame, out, &rest, rows);
    return err;
}

static enum err coalesce_run(struct frame *frame, struct node *node, struct rows rows,
                             struct column *out)
{
    struct column column;
    enum err err = node_run(frame, &node->children[0], rows, &column);
    if (err != OK)
        return err;
    if (column.validity == NULL) { /* the usual case of a column without NULLs */
        *out = column;
        return OK;
    }
    *out = result_create(frame, node->expr->type);
    uint32_t *open = rows_buffer(frame, rows.count);
    for (uint32_t i = 0;; i++) {
        result_copy(frame, out, &column, rows);
        size_t count = 0;
        for (size_t k = 0; k < rows.count; k++) {
            size_t row = rows_at(rows, k);
            if (column_is_null(&column, row))
                open[count++] = (uint32_t)row;
        }
        rows = (struct rows){open, count};
        if (count == 0 || i + 1 == node->expr->argument_count)
            return OK;
        err = node_run(frame, &node->children[i + 1], rows, &column);
        if (err != OK)
            return err;
    }
}

/* NULLs are passed over; NULL only where all are. */
static enum err extreme_run(struct frame *frame, struct node *node, struct rows rows,
                            struct column *out)
{
    bool is_greatest = node->expr->kind == EXPR_GREATEST;
    uint32_t count = node->expr->argument_count;
    struct column *columns;
    enum err err = node_run_children(frame, node, rows, &columns);
    if (err != OK)
        return err;
    *out = result_create(frame, node->expr->type);
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        struct value best = {.type = node->expr->type, .is_null = true};
        for (uint32_t i = 0; i < count; i++) {
            struct value value = column_value(&columns[i], row);
            if (value.is_null)
                continue;
            int order = best.is_null ? 0 : value_compare(&value, &best);
            if (best.is_null || (is_greatest ? order > 0 : order < 0))
                best = value;
        }
        result_set(frame, out, row, &best);
    }
    return OK;
}

static enum err array_run(struct frame *frame, struct node *node, struct rows rows,
                          struct column *out)
{
    uint32_t count = node->expr->argument_count;
    struct arena *arena = &frame->evaluator->batch;
    struct value *elements = arena_alloc_array(arena, count + 1, sizeof(*elements));
    struct column *columns;
    enum err err = node_run_children(frame, node, rows, &columns);
    if (err != OK)
        return err;
    *out = result_create(frame, node->expr->type);
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        for (uint32_t i = 0; i < count; i++)
            elements[i] = column_value(&columns[i], row);
        struct value array = {.type = node->expr->type};
        array.text = array_build(node->expr->type.id, elements, count, arena);
        result_set(frame, out, row, &array);
    }
    return OK;
}

enum err logic_run(struct frame *frame, struct node *node, struct rows rows, struct column *out)
{
    switch (node->expr->kind) {
    case EXPR_AND:
    case EXPR_OR:
        return and_or_run(frame, node, rows, out);
    case EXPR_NOT:
        return not_run(frame, node, rows, out);
    case EXPR_IS_NULL:
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
    case EXPR_IS_UNKNOWN:
        return is_run(frame, node, rows, out);
    case EXPR_IS_DISTINCT:
        return distinct_run(frame, node, rows, out);
    case EXPR_NULLIF:
        return nullif_run(frame, node, rows, out);
    case EXPR_CASE:
        return case_run(frame, node, rows, out);
    case EXPR_COALESCE:
        return coalesce_run(frame, node, rows, out);
    case EXPR_GREATEST:
    case EXPR_LEAST:
        return extreme_run(frame, node, rows, out);
    case EXPR_ARRAY:
        return array_run(frame, node, rows, out);
    default:
        return error_set(frame->error, ERR_UNSUPPORTED, "0A000",
                         "this expression cannot be evaluated");
    }
}
