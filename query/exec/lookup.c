/* Lookups: rows of a subquery's source, kept by key over all of its runs.
 *
 *   first run:  source ──▶ rowset, number of each key (keys.c) ──▶ row numbers by key, each key's
 *               rows in input order, or sorted
 *   each run:   values of the query around ──▶ a key's rows ──▶ bounds: a place in their order
 *               ──▶ condition ──▶ batches, small ones first: who wants one row has it soon
 *
 * Where only the first rows of each key can be wanted, the others are cut away while the source is
 * read. So a subquery that reads a few rows of a key costs as many, and the sort is paid once. NULL
 * is equal to nothing. What is kept is charged to the query's memory; where it does not fit, an
 * unordered lookup reads the source anew in each run (an ordered one is 53200). */
#include "query/exec/lookup.h"

#include "query/exec/subquery.h"
#include "query/kernel/kernel.h"

#include "storage/base/fault.h"

#include <string.h>

#define CUT_ROWS_MIN 65536
#define FIRST_BATCH 16
#define BATCH_GROWTH 4

static void rows_clear(struct lookup_rows *rows)
{
    exec_memory_release(&rows->memory, rows->ids, rows->id_capacity * sizeof(uint32_t));
    exec_memory_release(&rows->memory, rows->numbers, rows->number_capacity * sizeof(uint32_t));
    exec_memory_release(&rows->memory, rows->starts, rows->start_capacity * sizeof(uint32_t));
    exec_memory_release(&rows->memory, rows->spare, rows->spare_capacity * sizeof(uint32_t));
    exec_memory_release(&rows->memory, rows->firsts, rows->first_capacity * sizeof(int64_t));
    tuple_table_deinit(&rows->keys);
    rowset_deinit(&rows->rows);
    rowset_deinit(&rows->order);
    exec_memory_deinit(&rows->memory);
    *rows = (struct lookup_rows){0};
}

void lookup_rows_free(struct lookup_rows *rows)
{
    if (rows == NULL)
        return;
    if (rows->is_built)
        rows_clear(rows);
    memory_free(rows);
}

static void rows_init(struct lookup_rows *rows, const struct exec_node *node)
{
    const struct plan *plan = node->plan, *child = plan->children[0];
    struct budget *budget = node->exec->budget;
    size_t count = plan->lookup.key_count, order_count = plan->lookup.order_count;
    struct type *types =
        arena_alloc_array(&node->exec->arena, count + order_count + 1, sizeof(*types));
    for (size_t i = 0; i < count; i++)
        types[i] = plan->lookup.keys[i]->type;
    exec_memory_init(&rows->memory, budget);
    tuple_table_init(&rows->keys, types, count, &rows->memory);
    for (size_t i = 0; i < order_count; i++)
        types[i] = plan->lookup.order[i].expr->type;
    rowset_init(&rows->rows, child->columns, child->column_count, budget);
    rowset_init_types(&rows->order, types, order_count, budget);
    rows->row_limit = CUT_ROWS_MIN;
    rows->is_built = true;
}

static enum err lookup_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct lookup *lookup = node->state;
    const struct plan *plan = node->plan;
    struct exec *exec = node->exec;
    if (exec->lookups[plan->id] == NULL)
        exec->lookups[plan->id] = memory_alloc_zero(sizeof(struct lookup_rows));
    lookup->kept = exec->lookups[plan->id];
    lookup->keys = exec_evaluators(exec, plan->lookup.keys, plan->lookup.key_count);
    lookup->values = exec_evaluators(exec, plan->lookup.values, plan->lookup.key_count);
    if (plan->lookup.condition != NULL)
        lookup->condition = evaluator_create(plan->lookup.condition, &exec->eval);
    lookup->batch_rows = FIRST_BATCH;
    return OK;
}

/* --- keys --- */

/* Numbers of keys; KEY_NONE where one is NULL or, not inserting, unknown. */
static enum err number_keys(struct exec_node *node, struct evaluator **exprs,
                            const struct batch *in, bool is_insert, uint32_t *ids,
                            struct error *error)
{
    struct lookup *lookup = node->state;
    size_t key_count = node->plan->lookup.key_count;
    struct column *keys = arena_alloc_array(&node->scratch, key_count + 1, sizeof(*keys));
    enum err err = exec_evaluate(exprs, key_count, in, keys, error);
    return err != OK ? err
                     : tuple_table_equal_ids(&lookup->kept->keys, keys, in->row_count, is_insert,
                                             ids, error);
}

static enum err keep_order(struct exec_node *node, const struct batch *in, struct error *error)
{
    const struct plan *plan = node->plan;
    size_t count = plan->lookup.order_count;
    struct column *columns = arena_alloc_array(&node->scratch, count + 1, sizeof(*columns));
    struct expr **exprs = arena_alloc_array(&node->scratch, count + 1, sizeof(*exprs));
    for (size_t i = 0; i < count; i++)
        exprs[i] = plan->lookup.order[i].expr;
    struct evaluator **evaluators = exec_evaluators(node->exec, exprs, count);
    enum err err = exec_evaluate(evaluators, count, in, columns, error);
    struct batch batch = {.row_count = in->row_count, .column_count = count, .columns = columns};
    if (err == OK)
        err = rowset_append(&((struct lookup *)node->state)->kept->order, &batch, NULL,
                            in->row_count, error);
    exec_evaluators_destroy(evaluators, count);
    return err;
}

static enum err keep_batch(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct lookup *lookup = node->state;
    struct lookup_rows *rows = lookup->kept;
    size_t first = rows->rows.row_count;
    node->exec->actual[node->plan->id].rows_in += in->row_count;
    arena_reset(&node->scratch);
    enum err err = exec_memory_grow(&rows->memory, (void **)&rows->ids, &rows->id_capacity,
                                    first + in->row_count, sizeof(uint32_t), error);
    if (err == OK)
        err = rowset_append(&rows->rows, in, NULL, in->row_count, error);
    if (err == OK)
        err = number_keys(node, lookup->keys, in, true, rows->ids + first, error);
    if (err == OK && node->plan->lookup.order_count > 0)
        err = keep_order(node, in, error);
    return err;
}

/* --- order --- */

/* Of two rows: below 0 if the first comes first. */
static int compare_rows(const struct plan *plan, const struct column *order, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < plan->lookup.order_count; i++) {
        const struct sort_key *key = &plan->lookup.order[i];
        bool is_null = column_is_null(&order[i], a), is_other_null = column_is_null(&order[i], b);
        if (is_null || is_other_null) {
            if (is_null != is_other_null)
                return is_null == key->is_nulls_first ? -1 : 1;
            continue;
        }
        struct value x = column_value(&order[i], a), y = column_value(&order[i], b);
        int difference = value_compare(&x, &y);
        if (difference != 0)
            return key->is_descending && !fault_is("plan.lookup_order") ? -difference : difference;
    }
    return 0;
}

/* Merge sort, so that equal rows stay as they were placed. */
static void sort_rows(const struct plan *plan, const struct column *order, uint32_t *numbers,
                      size_t count, uint32_t *spare)
{
    if (count < 2)
        return;
    size_t half = count / 2, left = 0, right = half, out = 0;
    sort_rows(plan, order, numbers, half, spare);
    sort_rows(plan, order, numbers + half, count - half, spare);
    if (compare_rows(plan, order, numbers[half - 1], numbers[half]) <= 0)
        return;
    while (left < half && right < count)
        spare[out++] = compare_rows(plan, order, numbers[left], numbers[right]) <= 0
                           ? numbers[left++]
                           : numbers[right++];
    while (left < half)
        spare[out++] = numbers[left++];
    memcpy(numbers, spare, out * sizeof(*numbers));
}

static struct column *order_columns(struct exec_node *node)
{
    struct lookup *lookup = node->state;
    size_t count = node->plan->lookup.order_count;
    struct column *columns = arena_alloc_array(&node->scratch, count + 1, sizeof(*columns));
    for (size_t i = 0; i < count; i++)
        columns[i] = rowset_column(&lookup->kept->order, i, 0);
    return columns;
}

/* Rows by key: counted, placed, each key's sorted. They mostly come in order of time, so where the
 * latest is to be first they are placed from the end: then little is left to sort. */
static enum err arrange(struct exec_node *node, struct error *error)
{
    struct lookup_rows *rows = ((struct lookup *)node->state)->kept;
    size_t count = rows->rows.row_count, key_count = rows->keys.count, unchecked = 0;
    enum err err = exec_memory_grow(&rows->memory, (void **)&rows->starts, &rows->start_capacity,
                                    key_count + 2, sizeof(uint32_t), error);
    if (err == OK)
        err = exec_memory_grow(&rows->memory, (void **)&rows->numbers, &rows->number_capacity,
                               count, sizeof(uint32_t), error);
    if (err == OK && node->plan->lookup.order_count > 0)
        err = exec_memory_grow(&rows->memory, (void **)&rows->spare, &rows->spare_capacity, count,
                               sizeof(uint32_t), error);
    if (err != OK)
        return err;
    memset(rows->starts, 0, (key_count + 2) * sizeof(uint32_t));
    for (size_t row = 0; row < count; row++)
        if (rows->ids[row] != KEY_NONE)
            rows->starts[rows->ids[row] + 2]++;
    for (size_t key = 1; key + 1 < key_count + 2; key++)
        rows->starts[key + 1] += rows->starts[key];
    bool is_backward =
        node->plan->lookup.order_count > 0 && node->plan->lookup.order[0].is_descending;
    for (size_t index = 0; index < count; index++) {
        size_t row = is_backward ? count - 1 - index : index;
        if (rows->ids[row] != KEY_NONE)
            rows->numbers[rows->starts[rows->ids[row] + 1]++] = (uint32_t)row;
    }
    if (node->plan->lookup.order_count == 0)
        return OK;
    const struct column *order = order_columns(node);
    for (size_t key = 0; key < key_count && err == OK; key++) {
        size_t first = rows->starts[key], length = rows->starts[key + 1] - first;
        sort_rows(node->plan, order, rows->numbers + first, length, rows->spare);
        unchecked += length;
        if (unchecked >= EXEC_CHECK_ROWS) {
            unchecked = 0;
            err = exec_check(node->exec, error);
        }
    }
    return err;
}

/* Only the first rows of each key stay, in the order they came in. */
static enum err cut_to_top(struct exec_node *node, struct error *error)
{
    struct lookup_rows *rows = ((struct lookup *)node->state)->kept;
    size_t top = node->plan->lookup.top, count = 0;
    enum err err = arrange(node, error);
    if (err != OK)
        return err;
    uint32_t *order = rows->spare; /* by row: its place, KEY_NONE: goes */
    memset(order, 0xff, rows->rows.row_count * sizeof(*order));
    for (size_t key = 0; key < rows->keys.count; key++)
        for (size_t at = rows->starts[key]; at < rows->starts[key + 1]; at++)
            if (at - rows->starts[key] < top)
                order[rows->numbers[at]] = 0;
    for (uint32_t row = 0; row < rows->rows.row_count; row++) {
        if (order[row] == KEY_NONE)
            continue;
        rows->numbers[count] = row;
        rows->ids[count++] = rows->ids[row];
    }
    err = rowset_compact(&rows->rows, rows->numbers, count, error);
    if (err == OK)
        err = rowset_compact(&rows->order, rows->numbers, count, error);
    rows->row_limit = count * 4 > CUT_ROWS_MIN ? count * 4 : CUT_ROWS_MIN;
    return err;
}

static enum err read_source(struct exec_node *node, struct error *error)
{
    struct lookup_rows *rows = ((struct lookup *)node->state)->kept;
    struct exec_node *source;
    struct batch in;
    size_t unchecked = 0;
    enum err err = exec_open(node->exec, node->plan->children[0], &source, error);
    while (err == OK && (err = exec_next(source, &in, error)) == OK && in.row_count != 0) {
        err = keep_batch(node, &in, error);
        if (err == OK && node->plan->lookup.top > 0 && rows->rows.row_count > rows->row_limit)
            err = cut_to_top(node, error);
        unchecked += in.row_count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            unchecked = 0;
            err = exec_check(node->exec, error);
        }
    }
    exec_close(source);
    return err == OK ? arrange(node, error) : err;
}

static enum err build(struct exec_node *node, struct error *error)
{
    struct lookup_rows *rows = ((struct lookup *)node->state)->kept;
    struct error own = {0};
    rows_init(rows, node);
    enum err err = read_source(node, &own);
    if (err == OK)
        return OK;
    rows_clear(rows);
    if (node->plan->lookup.order_count == 0 && strcmp(own.sqlstate, "53200") == 0) {
        rows->is_too_large = true;
        return OK;
    }
    if (error != NULL)
        *error = own;
    return err;
}

/* --- a run --- */

/* Is the row's first order value on the near side of the bound: does it still come before all that
 * meet it (for a bound that cuts the start), or does it meet it (one that cuts the end)? */
bool lookup_meets(const struct lookup_bound *bound, int difference)
{
    switch (bound->operation) {
    case COMPARE_LT:
        return difference < 0;
    case COMPARE_LE:
        return difference <= 0;
    case COMPARE_GT:
        return difference > 0;
    default:
        return difference >= 0;
    }
}

/* The first place in [next, end) where `is_past` of the row's value and the bound changes. */
static uint32_t find_place(const struct lookup *lookup, const struct column *order,
                           const struct lookup_bound *bound, const struct value *value,
                           bool is_start)
{
    uint32_t low = lookup->next, high = lookup->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct value own = column_value(&order[0], lookup->kept->numbers[middle]);
        bool is_met = lookup_meets(bound, value_compare(&own, value));
        if (is_met == is_start)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* NULLs are at one end. */
void lookup_cut_nulls(struct exec_node *node, const struct column *order)
{
    struct lookup *lookup = node->state;
    bool is_nulls_first = node->plan->lookup.order[0].is_nulls_first;
    uint32_t low = lookup->next, high = lookup->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (column_is_null(&order[0], lookup->kept->numbers[middle]) == is_nulls_first)
            low = middle + 1;
        else
            high = middle;
    }
    if (is_nulls_first)
        lookup->next = low;
    else
        lookup->end = low;
}

void lookup_cut(struct exec_node *node, const struct column *order,
                const struct lookup_bound *bound, const struct value *value)
{
    struct lookup *lookup = node->state;
    bool is_upper = bound->operation == COMPARE_LT || bound->operation == COMPARE_LE;
    if (value->is_null)
        lookup->end = lookup->next;
    else if (is_upper == node->plan->lookup.order[0].is_descending) /* what is out comes first */
        lookup->next = find_place(lookup, order, bound, value, true);
    else
        lookup->end = find_place(lookup, order, bound, value, false);
}

static enum err cut(struct exec_node *node, struct error *error)
{
    struct lookup *lookup = node->state;
    const struct plan *plan = node->plan;
    if (plan->lookup.bound_count == 0 || lookup->next == lookup->end)
        return OK;
    const struct column *order = order_columns(node);
    lookup_cut_nulls(node, order);
    for (size_t i = 0; i < plan->lookup.bound_count; i++) {
        struct value value;
        enum err err = expr_evaluate_constant(plan->lookup.bounds[i].value, &node->exec->eval,
                                              &node->scratch, &value, error);
        if (err != OK)
            return err;
        lookup_cut(node, order, &plan->lookup.bounds[i], &value);
    }
    return OK;
}

enum err lookup_prepare(struct exec_node *node, struct error *error)
{
    struct lookup *lookup = node->state;
    return lookup->kept->is_built || lookup->kept->is_too_large ? OK : build(node, error);
}

static enum err start(struct exec_node *node, struct error *error)
{
    struct lookup *lookup = node->state;
    struct batch one = {.row_count = 1};
    uint32_t id[1] = {KEY_NONE};
    enum err err = lookup_prepare(node, error);
    lookup->is_started = err == OK;
    if (err == OK && lookup->kept->is_too_large)
        return exec_open(node->exec, node->plan->children[0], &lookup->source, error);
    arena_reset(&node->scratch);
    if (err == OK)
        err = number_keys(node, lookup->values, &one, false, id, error);
    if (err != OK || id[0] == KEY_NONE)
        return err;
    lookup->next = lookup->kept->starts[id[0]];
    lookup->end = lookup->kept->starts[id[0] + 1];
    return cut(node, error);
}

static void take_rows(struct exec_node *node, struct batch *out)
{
    struct lookup *lookup = node->state;
    size_t column_count = node->plan->column_count, count = lookup->end - lookup->next;
    if (count > lookup->batch_rows)
        count = lookup->batch_rows;
    struct column *columns = arena_alloc_array(&node->scratch, column_count + 1, sizeof(*columns));
    for (size_t i = 0; i < column_count; i++) {
        struct column all = rowset_column(&lookup->kept->rows, i, 0);
        columns[i] =
            column_gather(&all, lookup->kept->numbers + lookup->next, count, &node->scratch);
    }
    *out = (struct batch){.row_count = count, .column_count = column_count, .columns = columns};
    lookup->next += (uint32_t)count;
    if (lookup->batch_rows < VECTOR_ROWS_MAX)
        lookup->batch_rows *= BATCH_GROWTH;
    if (lookup->batch_rows > VECTOR_ROWS_MAX)
        lookup->batch_rows = VECTOR_ROWS_MAX;
}

/* The rows of the batch whose keys are the values: what a source that is not kept is asked. */
static enum err keep_equal(struct exec_node *node, struct batch *batch, struct error *error)
{
    struct lookup *lookup = node->state;
    size_t count = batch->row_count;
    uint32_t *selection = arena_alloc_array(&node->scratch, count + 16, sizeof(*selection));
    for (uint32_t row = 0; row < count; row++)
        selection[row] = row;
    for (size_t i = 0; i < node->plan->lookup.key_count && count > 0; i++) {
        struct batch one = {.row_count = 1};
        struct column own, given;
        enum err err = evaluator_run(lookup->values[i], &one, NULL, 0, &given, error);
        if (err == OK)
            err = evaluator_run(lookup->keys[i], batch, NULL, 0, &own, error);
        if (err != OK)
            return err;
        struct value wanted = column_value(&given, 0);
        size_t kept = 0;
        for (size_t k = 0; k < count; k++) {
            struct value value = column_value(&own, selection[k]);
            selection[kept] = selection[k];
            kept += !wanted.is_null && !value.is_null && value_compare(&value, &wanted) == 0;
        }
        count = kept;
    }
    struct column *columns =
        arena_alloc_array(&node->scratch, batch->column_count + 1, sizeof(*columns));
    for (size_t i = 0; i < batch->column_count && count > 0; i++)
        columns[i] = column_gather(&batch->columns[i], selection, count, &node->scratch);
    batch->columns = columns;
    batch->row_count = count;
    return OK;
}

static enum err lookup_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct lookup *lookup = node->state;
    enum err err = lookup->is_started ? OK : start(node, error);
    out->row_count = 0;
    while (err == OK && out->row_count == 0) {
        arena_reset(&node->scratch);
        if (lookup->source != NULL) {
            err = exec_next(lookup->source, out, error);
            if (err != OK || out->row_count == 0)
                break;
            err = keep_equal(node, out, error);
        } else if (lookup->next < lookup->end) {
            take_rows(node, out);
        } else {
            break;
        }
        if (err == OK && out->row_count > 0 && lookup->condition != NULL)
            err = exec_keep(node, lookup->condition, out, error);
    }
    return err;
}

static void lookup_close(struct exec_node *node)
{
    struct lookup *lookup = node->state;
    exec_close(lookup->source);
    exec_evaluators_destroy(lookup->keys, node->plan->lookup.key_count);
    exec_evaluators_destroy(lookup->values, node->plan->lookup.key_count);
    if (lookup->condition != NULL)
        evaluator_destroy(lookup->condition);
}

const struct exec_operator exec_lookup_operator = {
    .name = "lookup",
    .state_size = sizeof(struct lookup),
    .is_right_lazy = true,
    .open = lookup_open,
    .next = lookup_next,
    .close = lookup_close,
};
