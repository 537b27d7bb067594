/* Calls with OVER, above a sort by partition and order.
 *
 *   sorted rows ─▶ block: whole partitions, then the beginning of the next ─▶ batches with results
 *
 * Rows are kept until a partition ends and at least a batch of them is there, so that many small
 * partitions still make full batches, and one partition of all rows is kept whole; past the query's
 * memory they are on disk (window_store.c). Columns of the child go out as views of what is kept,
 * beside a column a call, computed a batch at a time. Where partitions and peers begin is told once
 * for all calls, by comparing neighbours.
 *
 * What is kept is charged to the query's budget; arguments are kept beside the rows. When a block
 * is given out the rows behind it move to its front: each row moves at most once. */
#include "query/exec/window.h"

#include "query/func/aggregate.h"
#include "query/func/over.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct window {
    struct window_store store;
    struct exec_memory memory; /* of the arrays below */
    uint32_t *group;           /* by row */
    uint32_t *group_first;     /* by group, one more at the end */
    uint32_t *starts;          /* rows where partitions begin */
    size_t group_capacity, group_first_capacity, starts_capacity;
    uint32_t group_count, start_count;
    size_t whole;     /* rows of whole partitions: those before it can be given out */
    size_t next;      /* the first row not given out */
    size_t partition; /* the one it is of */
    bool is_end;
    struct window_run *runs;
};

/* --- open, close --- */

static bool gives_rows(const struct window_call *call)
{
    return call->function != NULL && call->function->result == OVER_SAME;
}

static void open_run(struct exec_node *node, struct window_run *run, const struct window_call *call)
{
    const struct aggregate_call *aggregate = &call->aggregate;
    struct type types[AGGREGATE_ARGUMENTS_MAX];
    run->node = node;
    run->call = call;
    exec_memory_init(&run->memory, node->exec->budget);
    frame_walk_init(&run->walk, node, &call->frame);
    run->argument_count = aggregate->argument_count;
    assert(run->argument_count <= array_count(types));
    for (size_t index = 0; index < run->argument_count; index++)
        types[index] = aggregate->arguments[index]->type;
    rowset_init_types(&run->inputs, types, run->argument_count, node->exec->budget);
    run->arguments = exec_evaluators(node->exec, aggregate->arguments, run->argument_count);
    if (aggregate->filter != NULL)
        run->filter = evaluator_create(aggregate->filter, &node->exec->eval);
    if (call->function == NULL)
        window_aggregate_open(run);
}

/* Bytes that stay in memory of a row at least. */
static size_t row_need(const struct window *window, size_t call_count)
{
    size_t bytes = 2 * sizeof(uint32_t) + (window->store.has_keys ? sizeof(int64_t) + 1 : 0);
    for (size_t index = 0; index < call_count; index++) {
        const struct rowset *inputs = &window->runs[index].inputs;
        bytes += window->runs[index].filter != NULL ? sizeof(uint32_t) : 0;
        for (size_t column = 0; column < inputs->column_count; column++)
            bytes += physical_size(type_physical(inputs->columns[column].type.id)) + 1;
    }
    return bytes;
}

static enum err window_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct window *window = node->state;
    const struct plan *plan = node->plan;
    exec_memory_init(&window->memory, node->exec->budget);
    window_store_init(&window->store, node);
    window->runs =
        arena_alloc_zero(&node->exec->arena, (plan->window.call_count + 1) * sizeof(*window->runs));
    for (size_t index = 0; index < plan->window.call_count; index++)
        open_run(node, &window->runs[index], &plan->window.calls[index]);
    if (plan->children[0]->kind == PLAN_SORT)
        exec_sort_leave_room(node->children[0], row_need(window, plan->window.call_count));
    return OK;
}

static void close_run(struct window_run *run)
{
    if (run->call == NULL)
        return;
    if (run->call->function == NULL)
        window_aggregate_close(run);
    exec_evaluators_destroy(run->arguments, run->argument_count);
    if (run->filter != NULL)
        evaluator_destroy(run->filter);
    rowset_deinit(&run->inputs);
    exec_memory_release(&run->memory, run->passed, run->passed_capacity * sizeof(*run->passed));
    exec_memory_deinit(&run->memory);
}

static void window_close(struct exec_node *node)
{
    struct window *window = node->state;
    if (window->memory.budget == NULL)
        return;
    for (size_t index = 0; index < node->plan->window.call_count; index++)
        close_run(&window->runs[index]);
    window_store_deinit(&window->store);
    exec_memory_release(&window->memory, window->group, window->group_capacity * sizeof(uint32_t));
    exec_memory_release(&window->memory, window->group_first,
                        window->group_first_capacity * sizeof(uint32_t));
    exec_memory_release(&window->memory, window->starts,
                        window->starts_capacity * sizeof(uint32_t));
    exec_memory_deinit(&window->memory);
}

/* --- borders --- */

static bool differ(const struct column *column, size_t row)
{
    struct value a = column_value(column, row - 1), b = column_value(column, row);
    return value_compare(&a, &b) != 0;
}

/* changed[i] is set where row first + i differs from the row before it; first is at least 1. */
static void mark_changes(const struct column *column, size_t first, size_t count, uint8_t *changed)
{
    enum physical physical = type_physical((enum type_id)column->type.id);
    const uint8_t *validity = column->validity;
    if (physical == PHYSICAL_INT && validity == NULL) {
        const int64_t *values = column->i + first;
        for (size_t index = 0; index < count; index++)
            changed[index] |= values[index] != values[(ptrdiff_t)index - 1];
        return;
    }
    for (size_t index = 0; index < count; index++) {
        size_t row = first + index;
        bool is_null = validity != NULL && validity[row] == 0;
        bool was_null = validity != NULL && validity[row - 1] == 0;
        if (changed[index] == 0)
            changed[index] = is_null != was_null || (!is_null && differ(column, row));
    }
}

/* session(): times so far apart begin a partition; rows are in the order of times. */
static enum err mark_gaps(struct exec_node *node, size_t first, size_t count, uint8_t *changed,
                          struct error *error)
{
    struct window *window = node->state;
    const struct plan *plan = node->plan;
    const struct sort_key *key = &plan->window.keys[plan->window.partition_count];
    struct column times = rowset_column(&window->store.rows, key->expr->column, 0);
    const struct timezone *zone =
        times.type.id == TYPE_TIMESTAMPTZ ? node->exec->eval.zone : timezone_utc;
    first -= window->store.first;
    for (size_t index = 0; index < count; index++) {
        int64_t before = times.i[first + index - 1], until = before;
        if (changed[index] != 0 || before == times.i[first + index])
            continue;
        if (before != TIME_MINUS_INFINITY) {
            enum err err = time_add_interval(before, plan->window.gap, zone, &until, error);
            if (err != OK)
                return err;
        }
        changed[index] = times.i[first + index] >= until;
    }
    return OK;
}

/* Numbers the peers of the rows from `first` on, which were just kept. */
static enum err mark_rows(struct exec_node *node, size_t first, struct error *error)
{
    struct window *window = node->state;
    const struct plan *plan = node->plan;
    size_t total = window_store_count(&window->store), count = total - first;
    enum err err = exec_memory_grow(&window->memory, (void **)&window->group,
                                    &window->group_capacity, total, sizeof(uint32_t), error);
    if (err == OK)
        err = exec_memory_grow(&window->memory, (void **)&window->group_first,
                               &window->group_first_capacity, window->group_count + count + 1,
                               sizeof(uint32_t), error);
    if (err == OK)
        err = exec_memory_grow(&window->memory, (void **)&window->starts, &window->starts_capacity,
                               window->start_count + count + 1, sizeof(uint32_t), error);
    if (err != OK)
        return err;
    uint8_t *partitions = arena_alloc_zero(&node->scratch, 2 * count);
    uint8_t *groups = partitions + count;
    size_t skipped = first == 0; /* the very first row has none before it */
    for (size_t key = 0; key < plan->window.key_count; key++) {
        struct column column =
            rowset_column(&window->store.rows, plan->window.keys[key].expr->column, 0);
        mark_changes(&column, first - window->store.first + skipped, count - skipped,
                     (key < plan->window.partition_count ? partitions : groups) + skipped);
    }
    if (interval_span(plan->window.gap) != 0)
        err = mark_gaps(node, first + skipped, count - skipped, partitions + skipped, error);
    if (err != OK)
        return err;
    for (size_t index = 0; index < count; index++) {
        size_t row = first + index;
        bool is_start = row == 0 || partitions[index] != 0;
        if (is_start)
            window->starts[window->start_count++] = (uint32_t)row;
        if (is_start || groups[index] != 0)
            window->group_first[window->group_count++] = (uint32_t)row;
        window->group[row] = window->group_count - 1;
    }
    window->group_first[window->group_count] = (uint32_t)total;
    return OK;
}

/* --- rows in --- */

static enum err keep_inputs(struct exec_node *node, struct window_run *run, const struct batch *in,
                            size_t first, struct error *error)
{
    uint32_t selected[VECTOR_ROWS_MAX + 16], *selection = NULL;
    size_t count = in->row_count;
    enum err err = OK;
    if (run->filter != NULL) {
        selection = selected;
        err = evaluator_filter(run->filter, in, NULL, 0, selection, &count, error);
        if (err == OK)
            err = exec_memory_grow(&run->memory, (void **)&run->passed, &run->passed_capacity,
                                   first + in->row_count + 1, sizeof(*run->passed), error);
        if (err != OK)
            return err;
        uint32_t passed = first == 0 ? 0 : run->passed[first];
        run->passed[first] = passed;
        for (size_t row = 0, at = 0; row < in->row_count; row++) {
            if (at < count && selected[at] == row)
                at++;
            run->passed[first + row + 1] = passed + (uint32_t)at;
        }
    }
    if (run->argument_count == 0 || count == 0)
        return OK;
    struct column *columns =
        arena_alloc_array(&node->scratch, run->argument_count, sizeof(*columns));
    for (size_t index = 0; err == OK && index < run->argument_count; index++)
        err = evaluator_run(run->arguments[index], in, selection, count, &columns[index], error);
    struct batch arguments = {
        .row_count = in->row_count, .column_count = run->argument_count, .columns = columns};
    return err != OK ? err : rowset_append(&run->inputs, &arguments, selection, count, error);
}

/* Bytes that so many rows will take beside the rows themselves, texts aside. */
static size_t batch_need(const struct exec_node *node, size_t row_count)
{
    const struct window *window = node->state;
    size_t total = window_store_count(&window->store) + row_count, size = sizeof(uint32_t);
    size_t bytes =
        exec_memory_growth(window->group_capacity, total, size) +
        exec_memory_growth(window->group_first_capacity, window->group_count + row_count + 1,
                           size) +
        exec_memory_growth(window->starts_capacity, window->start_count + row_count + 1, size);
    for (size_t index = 0; index < node->plan->window.call_count; index++) {
        const struct window_run *run = &window->runs[index];
        const struct rowset *inputs = &run->inputs;
        size_t needed = inputs->row_count + row_count;
        bytes +=
            run->filter == NULL ? 0 : exec_memory_growth(run->passed_capacity, total + 1, size);
        for (size_t column = 0; column < inputs->column_count; column++) {
            const struct rowset_column *input = &inputs->columns[column];
            bytes += exec_memory_growth(input->values_capacity, needed,
                                        physical_size(type_physical(input->type.id))) +
                     exec_memory_growth(input->validity_capacity, needed, 1);
        }
        bytes += exec_memory_step(&inputs->memory);
    }
    return bytes;
}

/* Reads until a partition is whole and a batch of rows is there, or the input ends. */
static enum err read_block(struct exec_node *node, struct error *error)
{
    struct window *window = node->state;
    size_t unchecked = 0;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err != OK)
            return err;
        if (in.row_count == 0) {
            window->is_end = true;
            window->whole = window_store_count(&window->store);
            return window_store_end(&window->store, error);
        }
        size_t first = window_store_count(&window->store);
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        arena_reset(&node->scratch);
        err = window_store_make_room(&window->store, &in, batch_need(node, in.row_count), error);
        for (size_t index = 0; err == OK && index < node->plan->window.call_count; index++)
            err = keep_inputs(node, &window->runs[index], &in, first, error);
        if (err == OK)
            err = window_store_append(&window->store, &in, error);
        if (err == OK)
            err = mark_rows(node, first, error);
        unchecked += in.row_count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            err = exec_check(node->exec, error);
            unchecked = 0;
        }
        if (err != OK)
            return err;
        window->whole = window->starts[window->start_count - 1];
        if (window->whole >= VECTOR_ROWS_MAX)
            return window_store_end(&window->store, error);
    }
}

/* What was given out goes; the partition that began behind it comes to the front. */
static enum err drop_block(struct exec_node *node, struct error *error)
{
    struct window *window = node->state;
    size_t first = window->whole, left = window_store_count(&window->store) - first;
    enum err err = OK;
    for (size_t index = 0; err == OK && index < node->plan->window.call_count; index++) {
        struct window_run *run = &window->runs[index];
        size_t input = run->filter == NULL ? first : run->passed[first];
        for (size_t row = 0; run->filter != NULL && row <= left; row++)
            run->passed[row] = run->passed[first + row] - (uint32_t)input;
        if (run->argument_count > 0)
            err = rowset_drop_front(&run->inputs, input, error);
    }
    if (err == OK)
        err = window_store_drop(&window->store, first, error);
    if (err != OK)
        return err;
    uint32_t group = left > 0 ? window->group[first] : window->group_count;
    for (size_t row = 0; row < left; row++)
        window->group[row] = window->group[first + row] - group;
    for (uint32_t index = group; index <= window->group_count; index++)
        window->group_first[index - group] = window->group_first[index] - (uint32_t)first;
    window->group_count -= group;
    window->start_count = left > 0;
    window->starts[0] = 0;
    window->whole = window->next = window->partition = 0;
    return OK;
}

/* --- rows out --- */

static void begin_batch(struct exec_node *node, struct window_run *run, size_t count)
{
    struct arena *scratch = &node->scratch;
    run->filled = 0;
    run->has_null = false;
    if (run->call->function == NULL) {
        run->has_last = false;
        arena_reset(&run->finished.arena);
        column_builder_init(&run->builder, run->call->aggregate.type, scratch);
    } else if (gives_rows(run->call)) {
        run->rows = arena_alloc_array(scratch, count, sizeof(*run->rows));
        run->is_default = arena_alloc_array(scratch, count, sizeof(*run->is_default));
    } else {
        run->values = arena_alloc_array(scratch, count, sizeof(int64_t));
        run->validity = arena_alloc_array(scratch, count, 1);
    }
}

/* The values the rows say, NULL for none, the third argument where that was asked for. */
static struct column gather_rows(struct exec_node *node, const struct window_run *run, size_t first,
                                 size_t count)
{
    struct column values = rowset_column(&run->inputs, 0, 0);
    bool has_default = false, has_none = false;
    for (size_t index = 0; index < count; index++) {
        has_none = has_none || run->rows[index] == WINDOW_NO_ROW;
        has_default = has_default || run->is_default[index];
    }
    if (!has_none)
        return column_gather(&values, run->rows, count, &node->scratch);
    struct column_builder builder;
    struct column defaults = values;
    if (has_default)
        defaults = rowset_column(&run->inputs, 2, 0);
    column_builder_init(&builder, run->call->aggregate.type, &node->scratch);
    for (size_t index = 0; index < count; index++) {
        bool is_none = run->rows[index] == WINDOW_NO_ROW;
        if (is_none && !run->is_default[index]) {
            column_builder_add_null(&builder);
            continue;
        }
        struct value value = is_none ? column_value(&defaults, first + index)
                                     : column_value(&values, run->rows[index]);
        value.type = run->call->aggregate.type;
        column_builder_add(&builder, &value);
    }
    return column_builder_finish(&builder);
}

static struct column finish_batch(struct exec_node *node, struct window_run *run, size_t first,
                                  size_t count)
{
    if (run->call->function == NULL)
        return column_builder_finish(&run->builder);
    if (gives_rows(run->call))
        return gather_rows(node, run, first, count);
    return (struct column){.type = run->call->aggregate.type,
                           .validity = run->has_null ? run->validity : NULL,
                           .values = run->values};
}

static struct window_partition partition_of(const struct exec_node *node, size_t index)
{
    const struct window *window = node->state;
    const struct plan *plan = node->plan;
    struct window_partition partition = {
        .begin = window->starts[index],
        .end = index + 1 < window->start_count ? window->starts[index + 1]
                                               : window_store_count(&window->store),
        .group = window->group,
        .group_first = window->group_first,
    };
    if (plan->window.key_count == plan->window.partition_count)
        return partition;
    const struct sort_key *key = &plan->window.keys[plan->window.partition_count];
    partition.key = window_store_key(&window->store);
    partition.is_descending = key->is_descending;
    partition.is_nulls_first = key->is_nulls_first;
    return partition;
}

/* Results of all calls for the rows [next, next + count), partition by partition. */
static enum err fill_batch(struct exec_node *node, size_t count, struct error *error)
{
    struct window *window = node->state;
    size_t end = window->next + count;
    for (size_t row = window->next; row < end;) {
        struct window_partition partition = partition_of(node, window->partition);
        size_t until = partition.end < end ? partition.end : end;
        for (size_t index = 0; index < node->plan->window.call_count; index++) {
            struct window_run *run = &window->runs[index];
            bool is_aggregate = run->call->function == NULL;
            if (row == partition.begin) {
                frame_walk_begin(&run->walk, &partition);
                if (is_aggregate)
                    window_aggregate_begin(run, &partition);
                else
                    window_value_begin(run, &partition);
            }
            enum err err = is_aggregate
                               ? window_aggregate_fill(run, &partition, row, until - row, error)
                               : window_value_fill(run, &partition, row, until - row, error);
            if (err != OK)
                return err;
        }
        row = until;
        window->partition += until == partition.end;
    }
    return OK;
}

static enum err window_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct window *window = node->state;
    const struct plan *plan = node->plan;
    enum err err = OK;
    if (window->next == window->whole) {
        if (window->is_end)
            return OK;
        if (window->whole > 0)
            err = drop_block(node, error);
        if (err == OK)
            err = read_block(node, error);
        if (err != OK || window->whole == 0)
            return err;
    }
    err = exec_check(node->exec, error);
    if (err != OK)
        return err;
    size_t first = window->next, count = window->whole - first;
    size_t kept = window->store.rows.column_count;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count + 1, sizeof(*columns));
    err = window_store_read(&window->store, first, &count, columns, error);
    if (err != OK)
        return err;
    for (size_t index = 0; index < plan->window.call_count; index++)
        begin_batch(node, &window->runs[index], count);
    err = fill_batch(node, count, error);
    if (err != OK)
        return err;
    for (size_t index = 0; index < plan->window.call_count; index++)
        columns[kept + index] = finish_batch(node, &window->runs[index], first, count);
    window->next += count;
    *out =
        (struct batch){.row_count = count, .column_count = plan->column_count, .columns = columns};
    return OK;
}

const struct exec_operator exec_window_operator = {
    .name = "window",
    .state_size = sizeof(struct window),
    .open = window_open,
    .next = window_next,
    .close = window_close,
};
