/* Apply: the right side is run for each left row, with the row's values in its slots (LATERAL).
 *
 *   left batch ──▶ arguments ──▶ the right side's rows for each row (subquery.c remembers them)
 *              ──▶ pairs, up to 2,048 at a time ──▶ condition ──▶ batch
 *
 * A right side that is a lookup is asked for a batch of left rows at once (probe.c) and its rows go
 * into the batch as they come. Else right rows are copied beside the numbers of their left rows
 * until a batch is full, since what is remembered may be forgotten at the next row. LEFT gives the
 * left rows that met nothing, with NULLs to the right, when their batch is done. */
#include "query/exec/probe.h"
#include "query/exec/raise.h"
#include "query/exec/subquery.h"

#include <string.h>

struct apply {
    struct subquery subquery;
    struct evaluator **arguments;
    struct evaluator *condition;
    struct batch left; /* the batch in hand */
    struct column *values;
    uint32_t row;                      /* the next left row */
    const struct parameter_rows *rows; /* of that row, NULL: to be asked for */
    size_t next;                       /* of `rows` */
    struct rowset copied;
    struct batch right;  /* of the batch being made */
    struct probe *probe; /* NULL: the right side is run row by row */
    uint32_t numbers[VECTOR_ROWS_MAX];
    uint8_t has_match[VECTOR_ROWS_MAX];
    bool is_open, is_done;
    size_t unchecked;
};

static enum err apply_open(struct exec_node *node, struct error *error)
{
    struct apply *apply = node->state;
    const struct plan *plan = node->plan, *right = plan->children[1];
    subquery_init(&apply->subquery, right, &plan->join.slots, node->exec->budget);
    rowset_init(&apply->copied, right->columns, right->column_count, node->exec->budget);
    apply->is_open = true;
    apply->arguments = exec_evaluators(node->exec, plan->join.arguments, plan->join.slots.count);
    apply->values =
        arena_alloc_array(&node->exec->arena, plan->join.slots.count, sizeof(*apply->values));
    if (plan->join.condition != NULL)
        apply->condition = evaluator_create(plan->join.condition, &node->exec->eval);
    return probe_open(node->exec, right, &plan->join.slots, &apply->probe, error);
}

static enum err next_left(struct exec_node *node, struct error *error)
{
    struct apply *apply = node->state;
    enum err err = exec_next(node->children[0], &apply->left, error);
    if (err != OK || apply->left.row_count == 0) {
        apply->is_done = true;
        return err;
    }
    node->exec->actual[node->plan->id].rows_in += apply->left.row_count;
    memset(apply->has_match, 0, apply->left.row_count);
    apply->row = 0;
    apply->rows = NULL;
    size_t row_count = apply->left.row_count;
    err = raise_evaluate(apply->arguments, node->plan->join.slots.count, &apply->left,
                         apply->values, error);
    if (err == OK && apply->left.row_count != row_count)
        raise_next(node->children[0], error);
    bool is_kept = true;
    if (err == OK && apply->probe != NULL)
        err = probe_begin(apply->probe, apply->values, apply->left.row_count, &is_kept, error);
    if (!is_kept) {
        probe_close(apply->probe);
        apply->probe = NULL;
    }
    return err;
}

static enum err ask(struct exec_node *node, struct error *error)
{
    struct apply *apply = node->state;
    size_t count = node->plan->join.slots.count;
    struct value *values = arena_alloc_array(&node->scratch, count, sizeof(*values));
    for (size_t i = 0; i < count; i++)
        values[i] = column_value(&apply->values[i], apply->row);
    apply->next = 0;
    enum err err = subquery_rows(&apply->subquery, node->exec, values, &apply->rows, error);
    if (err == OK && ++apply->unchecked >= EXEC_CHECK_ROWS / 64) {
        apply->unchecked = 0;
        err = exec_check(node->exec, error);
    }
    return err;
}

/* Puts pairs aside until there are enough or the left batch is at its end. */
static enum err collect(struct exec_node *node, size_t *count, struct error *error)
{
    struct apply *apply = node->state;
    size_t column_count = node->plan->children[1]->column_count;
    rowset_clear(&apply->copied);
    *count = 0;
    enum err err = OK;
    while (err == OK && *count < VECTOR_ROWS_MAX && apply->row < apply->left.row_count) {
        if (apply->rows == NULL)
            err = ask(node, error);
        if (err != OK)
            break;
        size_t take = apply->rows->row_count - apply->next;
        if (take > VECTOR_ROWS_MAX - *count)
            take = VECTOR_ROWS_MAX - *count;
        struct column *columns =
            arena_alloc_array(&node->scratch, column_count + 1, sizeof(*columns));
        for (size_t i = 0; i < column_count; i++)
            columns[i] = column_from(&apply->rows->columns[i], apply->next);
        struct batch batch = {.row_count = take, .column_count = column_count, .columns = columns};
        err = rowset_append(&apply->copied, &batch, NULL, take, error);
        for (size_t i = 0; i < take; i++)
            apply->numbers[*count + i] = apply->row;
        *count += take;
        apply->next += take;
        if (apply->next == apply->rows->row_count) {
            apply->row++;
            apply->rows = NULL;
        }
    }
    struct column *right = arena_alloc_array(&node->scratch, column_count + 1, sizeof(*right));
    for (size_t i = 0; i < column_count; i++)
        right[i] = rowset_column(&apply->copied, i, 0);
    apply->right =
        (struct batch){.row_count = *count, .column_count = column_count, .columns = right};
    return err;
}

static void make_batch(struct exec_node *node, const uint32_t *numbers, bool has_right,
                       size_t count, struct batch *out)
{
    struct apply *apply = node->state;
    size_t left_count = node->plan->children[0]->column_count;
    size_t right_count = node->plan->children[1]->column_count;
    struct column *columns =
        arena_alloc_array(&node->scratch, left_count + right_count + 1, sizeof(*columns));
    for (size_t i = 0; i < left_count; i++)
        columns[i] = column_gather(&apply->left.columns[i], numbers, count, &node->scratch);
    for (size_t i = 0; i < right_count; i++)
        columns[left_count + i] = has_right ? apply->right.columns[i]
                                            : column_null(node->plan->children[1]->columns[i].type);
    *out = (struct batch){
        .row_count = count, .column_count = left_count + right_count, .columns = columns};
}

/* A pair with this left row raises: those before it are all there is of their batch, and the next
 * one raises. */
static void end_before(struct exec_node *node, uint32_t row, const struct error *error)
{
    struct apply *apply = node->state;
    apply->row = row;
    apply->left.row_count = row;
    if (apply->probe != NULL)
        probe_end(apply->probe);
    raise_next(node->children[0], error);
}

static enum err match(struct exec_node *node, size_t count, struct batch *out, struct error *error)
{
    struct apply *apply = node->state;
    make_batch(node, apply->numbers, true, count, out);
    if (apply->condition == NULL) {
        for (size_t i = 0; i < count; i++)
            apply->has_match[apply->numbers[i]] = 1;
        return OK;
    }
    uint32_t *kept = arena_alloc_array(&node->scratch, count + 16, sizeof(*kept));
    size_t kept_count = 0;
    enum err err = raise_filter(apply->condition, out, kept, &kept_count, error);
    if (err == OK && out->row_count != count)
        end_before(node, apply->numbers[out->row_count], error);
    for (size_t i = 0; err == OK && i < kept_count; i++)
        apply->has_match[apply->numbers[kept[i]]] = 1;
    if (err == OK && kept_count != out->row_count) {
        for (size_t i = 0; i < out->column_count; i++)
            out->columns[i] = column_gather(&out->columns[i], kept, kept_count, &node->scratch);
        out->row_count = kept_count;
    }
    return err;
}

/* Left rows that met nothing, if they are to come out; the batch is done with. */
static void finish_left(struct exec_node *node, struct batch *out)
{
    struct apply *apply = node->state;
    uint32_t numbers[VECTOR_ROWS_MAX];
    size_t count = 0;
    for (uint32_t row = 0; row < apply->left.row_count; row++) {
        numbers[count] = row;
        count += apply->has_match[row] == 0;
    }
    if (node->plan->join.kind == JOIN_LEFT && count != 0)
        make_batch(node, numbers, false, count, out);
    apply->left.row_count = 0;
}

static enum err apply_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct apply *apply = node->state;
    enum err err = OK;
    out->row_count = 0;
    while (err == OK && out->row_count == 0 && !apply->is_done) {
        if (apply->left.row_count == 0) {
            err = next_left(node, error);
            continue;
        }
        arena_reset(&node->scratch);
        size_t count = 0;
        if (apply->probe != NULL) {
            err = probe_take(apply->probe, &node->scratch, &apply->right, apply->numbers, error);
            count = apply->right.row_count;
        } else {
            err = collect(node, &count, error);
        }
        if (err == OK && count != 0)
            err = match(node, count, out, error);
        else if (err == OK)
            finish_left(node, out);
    }
    return err;
}

static void apply_close(struct exec_node *node)
{
    struct apply *apply = node->state;
    if (!apply->is_open)
        return;
    exec_evaluators_destroy(apply->arguments, node->plan->join.slots.count);
    if (apply->condition != NULL)
        evaluator_destroy(apply->condition);
    probe_close(apply->probe);
    rowset_deinit(&apply->copied);
    subquery_deinit(&apply->subquery);
}

const struct exec_operator exec_apply_operator = {
    .name = "apply",
    .state_size = sizeof(struct apply),
    .is_right_lazy = true,
    .open = apply_open,
    .next = apply_next,
    .close = apply_close,
};
