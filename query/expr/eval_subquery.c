/* Subqueries inside of expressions: the one value, EXISTS, and a test of each row (ANY, ALL, IN of
 * several columns, IN of a correlated one).
 *
 * One that names nothing of the query around has one answer. Others are asked for row by row, with
 * the values of their slots; who answers (exec/subquery.c) remembers what it found for which
 * values. Only rows that are selected ask. */
#include "query/expr/node.h"

#include <assert.h>

enum err parameter_get(struct frame *frame, uint32_t parameter, const struct value *values,
                       const struct parameter_rows **out)
{
    const struct eval_context *context = frame->evaluator->context;
    if (context->parameter == NULL)
        return error_set(frame->error, ERR_UNSUPPORTED, "0A000",
                         "subqueries are not possible here");
    return context->parameter(context->parameter_context, parameter, values, out, frame->error);
}

/* ANY: true if the test is true for a row, else NULL if it is NULL for one, else false; ALL: the
 * other way round. The rows are looked at a batch at a time. */
static enum err test_rows(struct frame *frame, struct node *node, const struct value *left,
                          const struct parameter_rows *rows, struct value *out)
{
    const struct expr *expr = node->expr;
    size_t count = expr->left_count + rows->column_count;
    struct arena *arena = &frame->evaluator->batch;
    struct column *columns = arena_alloc_array(arena, count + 1, sizeof(*columns));
    bool has_null = false;
    out->b = expr->is_all;
    if (node->test == NULL)
        node->test = evaluator_create(expr->test, frame->evaluator->context);
    for (uint32_t i = 0; i < expr->left_count; i++)
        columns[i] = column_from_value(&left[i], arena);
    for (size_t first = 0; first < rows->row_count; first += VECTOR_ROWS_MAX) {
        size_t left_over = rows->row_count - first;
        struct batch batch = {.row_count =
                                  left_over < VECTOR_ROWS_MAX ? left_over : VECTOR_ROWS_MAX,
                              .column_count = count,
                              .columns = columns};
        for (size_t i = 0; i < rows->column_count; i++)
            columns[expr->left_count + i] = column_from(&rows->columns[i], first);
        struct column result;
        enum err err = evaluator_run(node->test, &batch, NULL, 0, &result, frame->error);
        if (err != OK)
            return err;
        for (size_t row = 0; row < batch.row_count; row++) {
            if (column_is_null(&result, row)) {
                has_null = true;
            } else if ((result.b[column_index(&result, row)] != 0) != expr->is_all) {
                out->b = !expr->is_all;
                return OK;
            }
        }
    }
    out->is_null = has_null;
    return OK;
}

/* The answer from the subquery's rows; a text is borrowed from them. */
static enum err answer(struct frame *frame, struct node *node, const struct value *arguments,
                       const struct parameter_rows *rows, struct value *out)
{
    const struct expr *expr = node->expr;
    *out = (struct value){.type = expr->type};
    if (expr->kind == EXPR_QUANTIFIED)
        return test_rows(frame, node, arguments, rows, out);
    if (expr->kind == EXPR_EXISTS) {
        out->b = (rows->row_count > 0) != expr->is_negated;
        return OK;
    }
    if (rows->row_count > 1)
        return error_set(frame->error, ERR_INPUT, "21000",
                         "more than one row returned by a subquery used as an expression");
    if (rows->row_count == 1)
        *out = column_value(&rows->columns[0], 0);
    else
        out->is_null = true;
    return OK;
}

enum err subquery_run(struct frame *frame, struct node *node, struct rows rows, struct column *out)
{
    const struct expr *expr = node->expr;
    const struct parameter_rows *found = NULL;
    struct arena *arena = &frame->evaluator->batch;
    uint32_t count = expr->argument_count;
    uint32_t left_count = expr->kind == EXPR_QUANTIFIED ? expr->left_count : 0;
    struct column *columns = arena_alloc_array(arena, count + 1, sizeof(*columns));
    struct value *values = arena_alloc_array(arena, count + 1, sizeof(*values));
    struct value value;
    enum err err = OK;
    for (uint32_t i = 0; i < count && err == OK; i++)
        err = node_run(frame, &node->children[i], rows, &columns[i]);
    if (err == OK && count == left_count)
        err = parameter_get(frame, expr->parameter, NULL, &found);
    if (err == OK && count == 0) {
        err = answer(frame, node, NULL, found, &value);
        if (err == OK)
            *out = result_constant(frame, &value);
        return err;
    }
    if (err == OK)
        *out = result_create(frame, expr->type);
    for (size_t k = 0; k < rows.count && err == OK; k++) {
        size_t row = rows_at(rows, k);
        for (uint32_t i = 0; i < count; i++)
            values[i] = column_value(&columns[i], row);
        if (count > left_count)
            err = parameter_get(frame, expr->parameter, values + left_count, &found);
        if (err == OK)
            err = answer(frame, node, values, found, &value);
        if (err != OK)
            break;
        if (!value.is_null && type_physical(value.type.id) == PHYSICAL_TEXT)
            value.text = arena_copy(arena, value.text);
        result_set(frame, out, row, &value);
    }
    return err;
}
