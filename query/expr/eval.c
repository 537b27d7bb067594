/* The evaluator: a tree of nodes beside the expression, run a batch at a time.
 *
 *   evaluator_run -> node_run -> by kind:   column, constant           borrowed
 *                                           call, cast                 arguments first, then the
 * function's vector or row form AND OR CASE COALESCE …     eval_logic.c, each step on the rows that
 * need it IN, ANY, ALL               eval_set.c
 *
 * A subtree that depends on one text column only is computed once per dictionary entry in use where
 * that column comes as DICTIONARY (eval_dictionary.c). Results live in one arena that is emptied at
 * the next run. NULL rows hold zeros, so vector forms may compute over them; only valid selected
 * rows can raise. A call on constants alone runs once and gives a CONSTANT. */
#include "query/expr/node.h"

#include "query/kernel/kernel.h"

#include <assert.h>
#include <string.h>

/* --- results --- */

struct column result_create(struct frame *frame, struct type type)
{
    size_t size = physical_size(type_physical(type.id));
    return (struct column){
        .type = type,
        .form = COLUMN_FLAT,
        .values = arena_alloc_zero(&frame->evaluator->batch, (frame->row_count + 1) * size)};
}

/* The validity bytes of a result, made (all 1) when first needed. */
static uint8_t *result_validity(struct frame *frame, struct column *column)
{
    if (column->validity == NULL) {
        uint8_t *validity = arena_alloc(&frame->evaluator->batch, frame->row_count + 1);
        memset(validity, 1, frame->row_count + 1);
        column->validity = validity;
    }
    return (uint8_t *)column->validity;
}

void result_set_null(struct frame *frame, struct column *column, size_t row)
{
    result_validity(frame, column)[row] = 0;
}

void result_set(struct frame *frame, struct column *column, size_t row, const struct value *value)
{
    if (value->is_null) {
        result_set_null(frame, column, row);
        return;
    }
    if (column->validity != NULL)
        ((uint8_t *)column->validity)[row] = 1;
    void *values = (void *)column->values;
    switch (type_physical(column->type.id)) {
    case PHYSICAL_BOOL:
        ((uint8_t *)values)[row] = value->b;
        break;
    case PHYSICAL_INT:
        ((int64_t *)values)[row] = value->i;
        break;
    case PHYSICAL_FLOAT:
        ((double *)values)[row] = value->f;
        break;
    case PHYSICAL_NUMERIC:
        ((struct numeric *)values)[row] = value->n;
        break;
    case PHYSICAL_TEXT:
        ((struct slice *)values)[row] = value->text;
        break;
    case PHYSICAL_INTERVAL:
        ((struct interval *)values)[row] = value->interval;
        break;
    }
}

/* Eight bytes a value, none NULL so far, as what CASE picks most often is. */
static void copy_words(uint64_t *values, const struct column *from, struct rows rows)
{
    const uint64_t *words = from->values;
    if (from->form == COLUMN_CONSTANT) {
        for (size_t k = 0; k < rows.count; k++)
            values[rows_at(rows, k)] = words[0];
        return;
    }
    for (size_t k = 0; k < rows.count; k++)
        values[rows_at(rows, k)] = words[rows_at(rows, k)];
}

void result_copy(struct frame *frame, struct column *column, const struct column *from,
                 struct rows rows)
{
    enum physical physical = type_physical(column->type.id);
    size_t size = physical_size(physical);
    char *values = (char *)column->values;
    if (physical == PHYSICAL_INT && from->form != COLUMN_DICTIONARY && from->validity == NULL &&
        column->validity == NULL) {
        copy_words((uint64_t *)(void *)values, from, rows);
        return;
    }
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        if (column_is_null(from, row)) {
            result_set_null(frame, column, row);
            continue;
        }
        if (column->validity != NULL)
            ((uint8_t *)column->validity)[row] = 1;
        if (from->form == COLUMN_DICTIONARY)
            ((struct slice *)values)[row] = column_text(from, row);
        else
            memcpy(values + row * size, (const char *)from->values + column_index(from, row) * size,
                   size);
    }
}

struct column result_constant(struct frame *frame, const struct value *value)
{
    return column_from_value(value, &frame->evaluator->batch);
}

static struct column result_null(struct frame *frame, struct type type)
{
    struct value value = {.type = type, .is_null = true};
    return column_from_value(&value, &frame->evaluator->batch);
}

/* --- limits inside of a batch --- */

#define CHARGE_STEP ((size_t)1 << 20) /* smaller batches are the operator's small change */
#define ROWS_PER_LOOK 256
#define BYTES_PER_LOOK ((size_t)4 << 20)

/* Charges what the batch's values have grown by: a thousand short texts can become gigabytes before
 * the batch ends. */
static enum err charge_batch(struct frame *frame)
{
    struct evaluator *evaluator = frame->evaluator;
    if (evaluator->batch.total < evaluator->charged + CHARGE_STEP ||
        evaluator->context->budget == NULL)
        return OK;
    enum err err = budget_charge(evaluator->context->budget,
                                 evaluator->batch.total - evaluator->charged, frame->error);
    if (err == OK)
        evaluator->charged = evaluator->batch.total;
    return err;
}

/* Clock and cancel, after so many bytes read and made: few calls over large texts take as long as
 * many over small ones. */
static enum err check_bytes(struct frame *frame, size_t read)
{
    struct evaluator *evaluator = frame->evaluator;
    evaluator->read += read;
    if (evaluator->batch.total < evaluator->looked_at)
        evaluator->looked_at = 0;
    if (evaluator->batch.total - evaluator->looked_at + evaluator->read < BYTES_PER_LOOK)
        return OK;
    evaluator->looked_at = evaluator->batch.total;
    evaluator->read = 0;
    return context_look(evaluator->context, frame->error);
}

static size_t text_bytes(const struct value *values, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (!values[i].is_null && type_physical(values[i].type.id) == PHYSICAL_TEXT)
            bytes += values[i].text.size;
    return bytes;
}

/* Before the next row of a loop: memory always, clock and cancel now and then. */
static enum err check_row(struct frame *frame, size_t k)
{
    enum err err = charge_batch(frame);
    if (err != OK || k % ROWS_PER_LOOK != ROWS_PER_LOOK - 1)
        return err;
    return context_look(frame->evaluator->context, frame->error);
}

static void reset_batch(struct evaluator *evaluator)
{
    arena_reset(&evaluator->batch);
    if (evaluator->charged <= evaluator->batch.total)
        return;
    budget_release(evaluator->context->budget, evaluator->charged - evaluator->batch.total);
    evaluator->charged = evaluator->batch.total;
}

/* --- calls --- */

static void call_prepare(struct frame *frame, struct node *node)
{
    node->call.context = frame->evaluator->context;
    node->call.arena = &frame->evaluator->batch;
    node->call.error = frame->error;
}

/* One application of the node's function or cast to values. */
static enum err apply_row(struct node *node, const struct value *arguments, size_t count,
                          struct value *out)
{
    const struct expr *expr = node->expr;
    if (expr->kind == EXPR_CAST)
        return cast_value(&node->call, &arguments[0], expr->is_all, out);
    return expr->function->row(&node->call, arguments, count, out);
}

static bool is_strict(const struct expr *expr)
{
    return expr->kind == EXPR_CAST || !expr->function->is_null_tolerant;
}

static enum err call_constant(struct frame *frame, struct node *node,
                              const struct column *arguments, struct column *out)
{
    const struct expr *expr = node->expr;
    struct value *values =
        arena_alloc_array(&frame->evaluator->batch, expr->argument_count + 1, sizeof(*values));
    struct value result = {.type = expr->type};
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        values[i] = column_value(&arguments[i], 0);
        result.is_null |= values[i].is_null && is_strict(expr);
    }
    if (!result.is_null) {
        enum err err = check_bytes(frame, text_bytes(values, expr->argument_count));
        if (err == OK)
            err = apply_row(node, values, expr->argument_count, &result);
        if (err != OK)
            return err;
        result.type = expr->type;
    }
    *out = result_constant(frame, &result);
    return charge_batch(frame);
}

static enum err call_rows(struct frame *frame, struct node *node, const struct column *arguments,
                          struct rows rows, const uint8_t *validity, struct column *out)
{
    const struct expr *expr = node->expr;
    struct value *values =
        arena_alloc_array(&frame->evaluator->batch, expr->argument_count + 1, sizeof(*values));
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        if (validity != NULL && validity[row] == 0)
            continue;
        enum err err = check_row(frame, k);
        if (err != OK)
            return err;
        for (uint32_t i = 0; i < expr->argument_count; i++)
            values[i] = column_value(&arguments[i], row);
        err = check_bytes(frame, text_bytes(values, expr->argument_count));
        if (err != OK)
            return err;
        struct value result = {.type = expr->type};
        err = apply_row(node, values, expr->argument_count, &result);
        if (err != OK)
            return err;
        result_set(frame, out, row, &result);
    }
    return OK;
}

/* Joins the arguments' validity; false if some argument is NULL for every row. */
static bool join_validity(struct frame *frame, const struct column *arguments, uint32_t count,
                          uint8_t **out)
{
    uint8_t *joined = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *validity = arguments[i].validity;
        if (validity == NULL)
            continue;
        if (arguments[i].form == COLUMN_CONSTANT) {
            if (validity[0] == 0)
                return false;
            continue;
        }
        if (joined == NULL) {
            joined = arena_alloc(&frame->evaluator->batch, frame->row_count + 1);
            memcpy(joined, validity, frame->row_count);
        } else {
            validity_and(joined, validity, frame->row_count, joined);
        }
    }
    *out = joined;
    return true;
}

static enum err call_batch(struct frame *frame, struct node *node, struct column *arguments,
                           struct rows rows, struct column *out)
{
    const struct expr *expr = node->expr;
    uint8_t *validity = NULL;
    if (is_strict(expr) && !join_validity(frame, arguments, expr->argument_count, &validity)) {
        *out = result_null(frame, expr->type);
        return OK;
    }
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (arguments[i].form == COLUMN_DICTIONARY)
            arguments[i] =
                column_flatten(&arguments[i], frame->row_count, &frame->evaluator->batch);
    struct vector vector = {.arguments = arguments,
                            .row_count = frame->row_count,
                            .count = rows.count,
                            .selection = rows.selection,
                            .validity = validity};
    struct value whole;
    enum err err;
    if (expr->kind == EXPR_CALL && expr->function->vector != NULL &&
        function_is_whole(&node->call, &vector, &whole)) {
        *out = result_constant(frame, &whole);
        return OK;
    }
    *out = result_create(frame, expr->type);
    out->validity = validity;
    vector.out = (void *)out->values;
    if (expr->kind == EXPR_CAST &&
        cast_vector(&node->call, expr->arguments[0]->type, &vector, &err))
        return err;
    if (expr->kind == EXPR_CALL && expr->function->vector != NULL) {
        err = expr->function->vector(&node->call, &vector);
        if (err != VECTOR_DECLINED)
            return err;
    }
    return call_rows(frame, node, arguments, rows, validity, out);
}

static enum err call_run(struct frame *frame, struct node *node, struct rows rows,
                         struct column *out)
{
    const struct expr *expr = node->expr;
    struct column *arguments =
        arena_alloc_zero(&frame->evaluator->batch, (expr->argument_count + 1) * sizeof(*arguments));
    bool is_constant = expr->kind == EXPR_CAST || expr->function->volatility != VOLATILE;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        enum err err = node_run(frame, &node->children[i], rows, &arguments[i]);
        if (err != OK)
            return err;
        is_constant = is_constant && arguments[i].form == COLUMN_CONSTANT;
    }
    if (expr->kind == EXPR_CAST &&
        cast_is_relabel(expr->arguments[0]->type, expr->type, frame->evaluator->context->zone)) {
        *out = arguments[0];
        out->type = expr->type;
        return OK;
    }
    call_prepare(frame, node);
    if (is_constant)
        return call_constant(frame, node, arguments, out);
    return call_batch(frame, node, arguments, rows, out);
}

/* Borrowed: an array of a million elements is not copied for each batch. */
static struct column bound_column(struct frame *frame, const struct expr *expr)
{
    const struct value *value = eval_bound(frame->evaluator->context, expr);
    if (value->is_null)
        return result_null(frame, expr->type);
    return (struct column){
        .type = expr->type, .form = COLUMN_CONSTANT, .values = (const void *)&value->i};
}

enum err node_run(struct frame *frame, struct node *node, struct rows rows, struct column *out)
{
    const struct expr *expr = node->expr;
    if (rows.count == 0 && expr->kind != EXPR_COLUMN) { /* nothing may run, nothing is looked at */
        *out = result_null(frame, expr->type);
        return OK;
    }
    if (node->dictionary_column >= 0 && frame->replaced == NULL) {
        const struct column *in = &frame->in->columns[node->dictionary_column];
        if (in->form == COLUMN_DICTIONARY && dictionary_pays(in, rows.count))
            return dictionary_run(frame, node, rows, in, out);
    }
    if (node->bucket.width_us != 0)
        return bucket_run(frame, node, rows, out);
    switch (expr->kind) {
    case EXPR_CONSTANT:
        *out = result_constant(frame, &expr->constant);
        out->type = expr->type;
        return OK;
    case EXPR_COLUMN:
        if (frame->replaced == NULL)
            assert(expr->column < frame->in->column_count);
        *out = frame->replaced != NULL ? *frame->replaced : frame->in->columns[expr->column];
        return OK;
    case EXPR_BOUND:
        *out = bound_column(frame, expr);
        return OK;
    case EXPR_OUTER:
        *out = result_constant(frame, &frame->evaluator->context->outer[expr->parameter]);
        out->type = expr->type;
        return OK;
    case EXPR_PARAMETER:
    case EXPR_EXISTS:
    case EXPR_QUANTIFIED:
        return subquery_run(frame, node, rows, out);
    case EXPR_CALL:
    case EXPR_CAST:
        return call_run(frame, node, rows, out);
    case EXPR_IN:
    case EXPR_IN_SUBQUERY:
        return in_run(frame, node, rows, out);
    case EXPR_ARRAY_COMPARE:
        return array_compare_run(frame, node, rows, out);
    default:
        return logic_run(frame, node, rows, out);
    }
}

enum err node_run_children(struct frame *frame, struct node *node, struct rows rows,
                           struct column **out)
{
    uint32_t count = node->expr->argument_count;
    *out = arena_alloc_array(&frame->evaluator->batch, (size_t)count + 1, sizeof(**out));
    for (uint32_t i = 0; i < count; i++) {
        enum err err = node_run(frame, &node->children[i], rows, &(*out)[i]);
        if (err != OK)
            return err;
    }
    return OK;
}

/* --- life --- */

/* The one column all of a subtree depends on. */
struct dependence {
    int64_t column; /* -1 none yet, -2 several */
    bool is_text;
};

static struct dependence depend(const struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return (struct dependence){expr->column, type_physical(expr->type.id) == PHYSICAL_TEXT};
    struct dependence all = {-1, true};
    if (expr->kind == EXPR_CALL && expr->function->volatility == VOLATILE)
        return (struct dependence){-2, false};
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        struct dependence one = depend(expr->arguments[i]);
        if (one.column == -1)
            continue;
        if (one.column == -2 || (all.column >= 0 && all.column != one.column))
            return (struct dependence){-2, false};
        all = one;
    }
    return all;
}

static void node_init(struct evaluator *evaluator, struct node *node, const struct expr *expr,
                      bool is_covered)
{
    *node = (struct node){.expr = expr, .dictionary_column = -1};
    node->call.function =
        expr->kind == EXPR_CALL || expr->kind == EXPR_NULLIF || expr->kind == EXPR_ARRAY_COMPARE
            ? expr->function
            : NULL;
    node->call.type = expr->type;
    if (!is_covered && expr->argument_count > 0) {
        struct dependence dependence = depend(expr);
        bool is_relabel =
            expr->kind == EXPR_CAST && cast_is_relabel(expr->arguments[0]->type, expr->type, NULL);
        if (dependence.column >= 0 && dependence.is_text && !is_relabel) {
            node->dictionary_column = dependence.column;
            is_covered = true;
        }
    }
    if (!bucket_match(expr, &node->bucket))
        node->bucket.width_us = 0;
    if (expr->argument_count == 0)
        return;
    node->children =
        arena_alloc_array(&evaluator->arena, expr->argument_count, sizeof(*node->children));
    for (uint32_t i = 0; i < expr->argument_count; i++)
        node_init(evaluator, &node->children[i], expr->arguments[i], is_covered);
}

static void node_deinit(struct node *node)
{
    if (node->call.state != NULL && node->call.state_free != NULL)
        node->call.state_free(node->call.state);
    value_set_destroy(node->set);
    dictionary_cache_destroy(node->cache);
    evaluator_destroy(node->test);
    for (uint32_t i = 0; i < node->expr->argument_count; i++)
        node_deinit(&node->children[i]);
}

struct evaluator *evaluator_create(const struct expr *expr, const struct eval_context *context)
{
    struct evaluator *evaluator = memory_alloc_zero(sizeof(*evaluator));
    evaluator->expr = expr;
    evaluator->context = context;
    arena_init(&evaluator->arena);
    arena_init(&evaluator->batch);
    node_init(evaluator, &evaluator->root, expr, false);
    return evaluator;
}

void evaluator_destroy(struct evaluator *evaluator)
{
    if (evaluator == NULL)
        return;
    node_deinit(&evaluator->root);
    if (evaluator->charged > 0)
        budget_release(evaluator->context->budget, evaluator->charged);
    arena_deinit(&evaluator->batch);
    arena_deinit(&evaluator->arena);
    memory_free(evaluator);
}

enum err evaluator_run(struct evaluator *evaluator, const struct batch *in,
                       const uint32_t *selection, size_t selection_count, struct column *out,
                       struct error *error)
{
    reset_batch(evaluator);
    struct frame frame = {
        .evaluator = evaluator, .in = in, .row_count = in->row_count, .error = error};
    struct rows rows = {selection, selection != NULL ? selection_count : in->row_count};
    return node_run(&frame, &evaluator->root, rows, out);
}

/* Rows of `rows` where the boolean column is true. */
static size_t keep_true(const struct column *column, struct rows rows, uint32_t *out)
{
    if (column->form == COLUMN_CONSTANT) {
        if (column_is_null(column, 0) || column->b[0] == 0)
            return 0;
        for (size_t k = 0; k < rows.count; k++)
            out[k] = (uint32_t)rows_at(rows, k);
        return rows.count;
    }
    if (rows.selection == NULL)
        return select_mask(column->b, column->validity, rows.count, out);
    return select_rows(column->b, column->validity, rows.selection, rows.count, out);
}

enum err evaluator_filter(struct evaluator *evaluator, const struct batch *in,
                          const uint32_t *selection, size_t selection_count, uint32_t *out,
                          size_t *out_count, struct error *error)
{
    reset_batch(evaluator);
    struct frame frame = {
        .evaluator = evaluator, .in = in, .row_count = in->row_count, .error = error};
    struct rows rows = {selection, selection != NULL ? selection_count : in->row_count};
    struct node *root = &evaluator->root;
    /* A condition's top AND drops a row at the first part that is not true, as PostgreSQL's list of
     * conditions does. */
    bool is_list = root->expr->kind == EXPR_AND && root->dictionary_column < 0;
    uint32_t part_count = is_list ? root->expr->argument_count : 1;
    for (uint32_t i = 0; i < part_count; i++) {
        struct column column;
        enum err err = node_run(&frame, is_list ? &root->children[i] : root, rows, &column);
        if (err != OK)
            return err;
        size_t count = rows.count == 0 ? 0 : keep_true(&column, rows, out);
        rows = (struct rows){out, count};
        if (count == 0)
            break;
    }
    *out_count = rows.count;
    return OK;
}

static void keep_value(const struct expr *expr, struct arena *arena, struct value *value)
{
    value->type = expr->type;
    if (!value->is_null && type_physical(value->type.id) == PHYSICAL_TEXT)
        value->text = arena_copy(arena, value->text);
}

enum err expr_evaluate_constant(const struct expr *expr, const struct eval_context *context,
                                struct arena *arena, struct value *out, struct error *error)
{
    if (expr->kind == EXPR_CONSTANT || expr->kind == EXPR_BOUND) { /* most are, of most panels */
        *out = expr->kind == EXPR_BOUND ? *eval_bound(context, expr) : expr->constant;
        keep_value(expr, arena, out);
        return OK;
    }
    struct evaluator *evaluator = evaluator_create(expr, context);
    struct batch batch = {.row_count = 1};
    struct column column;
    enum err err = evaluator_run(evaluator, &batch, NULL, 1, &column, error);
    if (err == OK) {
        *out = column_value(&column, 0);
        keep_value(expr, arena, out);
    }
    evaluator_destroy(evaluator);
    return err;
}
