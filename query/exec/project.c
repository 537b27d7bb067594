/* The operators that hold no rows: filter, project, limit, union all, and VALUES at the leaves.
 *
 * Filter hands a batch on untouched where every row passes; project borrows columns from its child
 * where an expression is just a column. Limit cuts by narrowing views and stops pulling once it has
 * enough. */
#include "query/exec/raise.h"

#include <assert.h>

/* --- filter --- */

struct filter {
    struct evaluator *predicate;
    bool is_asked, is_open; /* of a gate */
};

static enum err filter_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct filter *filter = node->state;
    filter->predicate = evaluator_create(node->plan->filter.predicate, &node->exec->eval);
    return OK;
}

/* One value for all rows: asked once, and where no row passes none is asked for. */
static enum err gate_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct filter *filter = node->state;
    struct batch one = {.row_count = 1};
    uint32_t kept[16];
    size_t kept_count = 0;
    enum err err = OK;
    if (!filter->is_asked)
        err = evaluator_filter(filter->predicate, &one, NULL, 0, kept, &kept_count, error);
    filter->is_asked = err == OK;
    filter->is_open = filter->is_open || kept_count > 0;
    if (err == OK && filter->is_open)
        err = exec_next(node->children[0], out, error);
    if (err == OK)
        node->exec->actual[node->plan->id].rows_in += out->row_count;
    return err;
}

static enum err filter_next(struct exec_node *node, struct batch *out, struct error *error)
{
    const struct filter *filter = node->state;
    if (node->plan->filter.is_gate)
        return gate_next(node, out, error);
    for (;;) {
        enum err err = exec_next(node->children[0], out, error);
        if (err != OK || out->row_count == 0)
            return err;
        node->exec->actual[node->plan->id].rows_in += out->row_count;
        arena_reset(&node->scratch);
        err = exec_keep(node, filter->predicate, out, error);
        if (err != OK || out->row_count != 0)
            return err;
    }
}

static void filter_close(struct exec_node *node)
{
    struct filter *filter = node->state;
    if (filter->predicate != NULL)
        evaluator_destroy(filter->predicate);
}

const struct exec_operator exec_filter_operator = {
    .name = "filter",
    .state_size = sizeof(struct filter),
    .open = filter_open,
    .next = filter_next,
    .close = filter_close,
};

/* --- project --- */

struct project {
    struct evaluator **exprs;
};

static enum err project_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct project *project = node->state;
    project->exprs =
        exec_evaluators(node->exec, node->plan->project.exprs, node->plan->column_count);
    return OK;
}

static enum err project_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct project *project = node->state;
    struct batch in;
    enum err err = exec_next(node->children[0], &in, error);
    if (err != OK || in.row_count == 0)
        return err;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, node->plan->column_count, sizeof(*columns));
    size_t row_count = in.row_count;
    err = raise_evaluate(project->exprs, node->plan->column_count, &in, columns, error);
    if (err == OK && in.row_count != row_count) {
        if (in.row_count == 0)
            return error->code;
        raise_next(node, error);
    }
    *out = (struct batch){
        .row_count = in.row_count, .column_count = node->plan->column_count, .columns = columns};
    return err;
}

static void project_close(struct exec_node *node)
{
    struct project *project = node->state;
    exec_evaluators_destroy(project->exprs, node->plan->column_count);
}

const struct exec_operator exec_project_operator = {
    .name = "project",
    .state_size = sizeof(struct project),
    .open = project_open,
    .next = project_next,
    .close = project_close,
};

/* --- limit --- */

struct limit {
    int64_t left;   /* rows still to give, -1: all */
    int64_t offset; /* rows still to pass over */
};

static enum err limit_open(struct exec_node *node, struct error *error)
{
    struct limit *limit = node->state;
    enum err err = exec_row_limit(node->exec, node->plan->sort.limit, false, &limit->left, error);
    if (err == OK)
        err = exec_row_limit(node->exec, node->plan->sort.offset, true, &limit->offset, error);
    return err;
}

/* The rows [first, first + count) of a batch, as views. */
static void narrow(struct exec_node *node, struct batch *batch, size_t first, size_t count)
{
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, batch->column_count, sizeof(*columns));
    for (size_t i = 0; i < batch->column_count; i++)
        columns[i] = column_from(&batch->columns[i], first);
    batch->columns = columns;
    batch->row_count = count;
}

static enum err limit_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct limit *limit = node->state;
    while (limit->left != 0) {
        enum err err = exec_next(node->children[0], out, error);
        if (err != OK || out->row_count == 0)
            return err;
        size_t first = 0, count = out->row_count;
        node->exec->actual[node->plan->id].rows_in += count;
        if (limit->offset > 0) {
            first = (uint64_t)limit->offset < count ? (size_t)limit->offset : count;
            limit->offset -= (int64_t)first;
            count -= first;
        }
        if (count == 0)
            continue;
        if (limit->left > 0 && (uint64_t)limit->left < count)
            count = (size_t)limit->left;
        if (limit->left > 0)
            limit->left -= (int64_t)count;
        if (count != out->row_count)
            narrow(node, out, first, count);
        return OK;
    }
    out->row_count = 0;
    return OK;
}

const struct exec_operator exec_limit_operator = {
    .name = "limit",
    .state_size = sizeof(struct limit),
    .open = limit_open,
    .next = limit_next,
};

/* --- union all --- */

struct union_all {
    size_t child;
};

static enum err union_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct union_all *state = node->state;
    for (; state->child < node->plan->child_count; state->child++) {
        enum err err = exec_next(node->children[state->child], out, error);
        if (err != OK || out->row_count != 0)
            return err;
    }
    out->row_count = 0;
    return OK;
}

const struct exec_operator exec_union_operator = {
    .name = "union all",
    .state_size = sizeof(struct union_all),
    .next = union_next,
};

/* --- values --- */

struct values {
    size_t row;
};

static enum err values_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct values *values = node->state;
    const struct plan *plan = node->plan;
    arena_reset(&node->scratch);
    size_t count = plan->values.row_count - values->row;
    if (count > VECTOR_ROWS_MAX)
        count = VECTOR_ROWS_MAX;
    if (count == 0)
        return OK;
    enum err err = exec_check(node->exec, error);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count, sizeof(*columns));
    for (size_t c = 0; err == OK && c < plan->column_count; c++) {
        struct column_builder builder;
        column_builder_init(&builder, plan->columns[c].type, &node->scratch);
        for (size_t r = 0; err == OK && r < count; r++) {
            const struct expr *cell =
                plan->values.cells[(values->row + r) * plan->column_count + c];
            struct value value;
            if (cell->kind == EXPR_CONSTANT)
                value = cell->constant;
            else
                err =
                    expr_evaluate_constant(cell, &node->exec->eval, &node->scratch, &value, error);
            if (err == OK)
                column_builder_add(&builder, &value);
        }
        columns[c] = column_builder_finish(&builder);
    }
    values->row += count;
    *out =
        (struct batch){.row_count = count, .column_count = plan->column_count, .columns = columns};
    return err;
}

const struct exec_operator exec_values_operator = {
    .name = "values",
    .state_size = sizeof(struct values),
    .next = values_next,
};
