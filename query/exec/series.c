/* Functions in FROM that give rows: pulled side by side, a batch at a time, until the last of them
 * ends; those that ended before give NULLs. Nothing is kept, so a series may be as long as it will.
 * Arguments are evaluated once a run; under an apply, a run is a row of the left side. */
#include "query/exec/operator.h"

#include "query/func/series.h"

struct series_run {
    struct series series;
    bool is_once; /* a plain function: one row, its value */
    struct value once;
};

struct series_state {
    struct series_run *runs;
    bool is_begun;
    int64_t ordinal;
};

static enum err begin_run(struct exec_node *node, struct series_run *run,
                          const struct series_call *call, struct error *error)
{
    struct exec *exec = node->exec;
    struct series *series = &run->series;
    series->function = call->function;
    series->context = &exec->eval;
    series->row = &node->scratch;
    series->argument_count = call->argument_count;
    run->is_once = call->function == NULL;
    for (uint32_t index = 0; index < call->argument_count; index++) {
        struct value *value = run->is_once ? &run->once : &series->arguments[index];
        enum err err =
            expr_evaluate_constant(call->arguments[index], &exec->eval, &exec->arena, value, error);
        if (err != OK)
            return err;
        series->is_done = series->is_done || (!run->is_once && value->is_null);
    }
    return run->is_once || series->is_done ? OK : call->function->begin(series, error);
}

static enum err next_row(struct series_run *run, struct value *row, size_t count, bool *has_row,
                         struct error *error)
{
    struct series *series = &run->series;
    *has_row = !series->is_done;
    enum err err = OK;
    if (*has_row && run->is_once) {
        series->is_done = true;
        row[0] = run->once;
    } else if (*has_row) {
        err = series->function->next(series, row, has_row, error);
        series->is_done = series->is_done || !*has_row;
    }
    for (size_t index = 0; !*has_row && index < count; index++)
        row[index].is_null = true;
    return err;
}

/* One row of all functions into the builders; false in *has_row: none has one. */
static enum err add_row(struct exec_node *node, struct column_builder *builders, bool *has_row,
                        struct error *error)
{
    struct series_state *state = node->state;
    const struct plan *plan = node->plan;
    struct value row[SERIES_COLUMNS_MAX];
    size_t call_count = plan->series.call_count, first = 0;
    struct value *cells = NULL;
    *has_row = false;
    if (call_count > 1)
        cells = arena_alloc_array(&node->scratch, plan->column_count, sizeof(*cells));
    else
        cells = row;
    for (size_t index = 0; index < call_count; index++) {
        size_t count = plan->series.calls[index].column_count;
        bool has_own;
        for (size_t column = 0; column < count; column++)
            cells[first + column] = (struct value){.type = plan->columns[first + column].type};
        enum err err = next_row(&state->runs[index], cells + first, count, &has_own, error);
        if (err != OK)
            return err;
        *has_row = *has_row || has_own;
        first += count;
    }
    for (size_t column = 0; *has_row && column < first; column++)
        column_builder_add(&builders[column], &cells[column]);
    return OK;
}

static enum err series_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct series_state *state = node->state;
    const struct plan *plan = node->plan;
    enum err err = exec_check(node->exec, error);
    arena_reset(&node->scratch);
    if (err == OK && !state->is_begun) {
        state->is_begun = true;
        state->runs =
            arena_alloc_zero(&node->exec->arena, plan->series.call_count * sizeof(*state->runs));
        for (size_t index = 0; err == OK && index < plan->series.call_count; index++)
            err = begin_run(node, &state->runs[index], &plan->series.calls[index], error);
    }
    struct column_builder *builders =
        arena_alloc_array(&node->scratch, plan->column_count, sizeof(*builders));
    for (size_t column = 0; column < plan->column_count; column++)
        column_builder_init(&builders[column], plan->columns[column].type, &node->scratch);
    size_t count = 0;
    bool has_row = true;
    while (err == OK && has_row && count < VECTOR_ROWS_MAX) {
        err = add_row(node, builders, &has_row, error);
        if (err != OK || !has_row)
            break;
        struct value ordinal = {.type = type_of(TYPE_INT8), .i = ++state->ordinal};
        if (plan->series.has_ordinality)
            column_builder_add(&builders[plan->column_count - 1], &ordinal);
        count++;
    }
    if (err != OK || count == 0)
        return err;
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count, sizeof(*columns));
    for (size_t column = 0; column < plan->column_count; column++)
        columns[column] = column_builder_finish(&builders[column]);
    *out =
        (struct batch){.row_count = count, .column_count = plan->column_count, .columns = columns};
    return OK;
}

const struct exec_operator exec_series_operator = {
    .name = "series",
    .state_size = sizeof(struct series_state),
    .next = series_next,
};
