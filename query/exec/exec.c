/* The pull loop: nodes beside plans, the table of operators, memory, cancel and time.
 *
 *   exec_open(plan)  ->  node ── children ──▶ nodes of the children
 *   exec_next(node)  ->  a batch of 1 … 2,048 rows that holds until the next call, or 0 rows: the
 * end
 *
 * A worker's permit is given up, and flags and clock are looked at, in exec_check(): at each morsel
 * border of scans and every 64 Ki rows of operators that block. Memory that grows with data is
 * charged at its growth points to the budget of the query; whoever made that budget releases what
 * is left at the end, so that error paths need no accounts of their own.
 *
 * Subqueries that stand in expressions are run when an evaluator asks for their value (subquery.c),
 * over the same snapshot. */
#include "query/exec/raise.h"
#include "query/exec/spill.h"
#include "query/exec/subquery.h"

#include "query/func/func.h"
#include "storage/base/clock.h"
#include "storage/base/worker.h"

#include <assert.h>

/* Of an arena's blocks. */
#define ARENA_STEP_MIN ((size_t)4 << 10)
#define ARENA_STEP_MAX ((size_t)1 << 20)
#define ARRAY_HUGE ((size_t)4 << 20) /* read here and there: 4 KiB pages would cost look-ups */
#define ARRAY_LARGE ((size_t)8 << 20)

static const struct exec_operator *const operators[] = {
    [PLAN_LOOKUP] = &exec_lookup_operator,
    [PLAN_SCAN] = &exec_scan_operator,
    [PLAN_PROVIDER] = &exec_provider_operator,
    [PLAN_VALUES] = &exec_values_operator,
    [PLAN_FILTER] = &exec_filter_operator,
    [PLAN_PROJECT] = &exec_project_operator,
    [PLAN_GROUP] = &exec_group_operator,
    [PLAN_SORT] = &exec_sort_operator,
    [PLAN_LIMIT] = &exec_limit_operator,
    [PLAN_JOIN] = &exec_join_operator,
    [PLAN_APPLY] = &exec_apply_operator,
    [PLAN_UNION_ALL] = &exec_union_operator,
    [PLAN_HOP] = &exec_hop_operator,
    [PLAN_WINDOW] = &exec_window_operator,
    [PLAN_EXPAND] = &exec_expand_operator,
    [PLAN_SERIES] = &exec_series_operator,
    [PLAN_SET] = &exec_set_operator,
    [PLAN_FIRST] = &exec_first_operator,
    [PLAN_RECURSION] = &exec_recursion_operator,
    [PLAN_WORKING] = &exec_working_operator,
};

/* --- memory --- */

void exec_memory_init(struct exec_memory *memory, struct budget *budget)
{
    *memory = (struct exec_memory){.budget = budget};
    arena_init(&memory->arena);
}

void exec_memory_deinit(struct exec_memory *memory)
{
    if (memory->arena_charged != 0)
        budget_release(memory->budget, memory->arena_charged);
    memory->arena_charged = 0;
    arena_deinit(&memory->arena);
}

enum err exec_memory_look(const struct exec_memory *memory, struct error *error)
{
    return memory->context != NULL ? context_look(memory->context, error) : OK;
}

enum err exec_memory_settle(struct exec_memory *memory, struct error *error)
{
    size_t total = memory->arena.total;
    if (total <= memory->arena_charged)
        return OK;
    enum err err = budget_charge(memory->budget, total - memory->arena_charged, error);
    if (err == OK)
        memory->arena_charged = total;
    return err;
}

size_t exec_memory_step(const struct exec_memory *memory)
{
    size_t total = memory->arena.total + ARENA_STEP_MIN;
    return total < ARENA_STEP_MAX ? total : ARENA_STEP_MAX;
}

/* Large arrays are moved by their pages, so they need not double. */
static size_t next_capacity(size_t capacity, size_t needed, size_t element_size)
{
    size_t next = capacity + (capacity * element_size < ARRAY_LARGE ? capacity : capacity / 4);
    if (next < needed)
        next = needed;
    return next < 64 ? 64 : next;
}

size_t exec_memory_growth(size_t capacity, size_t needed, size_t element_size)
{
    return needed <= capacity
               ? 0
               : (next_capacity(capacity, needed, element_size) - capacity) * element_size;
}

enum err exec_memory_grow(struct exec_memory *memory, void **array, size_t *capacity, size_t needed,
                          size_t element_size, struct error *error)
{
    if (needed <= *capacity)
        return OK;
    size_t next = next_capacity(*capacity, needed, element_size);
    enum err err = budget_charge(memory->budget, (next - *capacity) * element_size, error);
    if (err != OK)
        return err;
    size_t size = next * element_size;
    *array = size < ARRAY_HUGE ? memory_realloc(*array, size) : memory_realloc_huge(*array, size);
    *capacity = next;
    return OK;
}

void exec_memory_release(struct exec_memory *memory, void *array, size_t size)
{
    memory_free(array);
    if (size != 0)
        budget_release(memory->budget, size);
}

/* --- helpers of operators --- */

struct evaluator **exec_evaluators(struct exec *exec, struct expr *const *exprs, size_t count)
{
    struct evaluator **evaluators = arena_alloc_array(&exec->arena, count, sizeof(*evaluators));
    for (size_t i = 0; i < count; i++)
        evaluators[i] = exprs[i] == NULL ? NULL : evaluator_create(exprs[i], &exec->eval);
    return evaluators;
}

void exec_evaluators_destroy(struct evaluator **evaluators, size_t count)
{
    for (size_t i = 0; evaluators != NULL && i < count; i++)
        if (evaluators[i] != NULL)
            evaluator_destroy(evaluators[i]);
}

enum err exec_evaluate(struct evaluator **evaluators, size_t count, const struct batch *in,
                       struct column *out, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < count; i++)
        err = evaluator_run(evaluators[i], in, NULL, 0, &out[i], error);
    return err;
}

enum err exec_row_limit(struct exec *exec, const struct expr *expr, bool is_offset, int64_t *out,
                        struct error *error)
{
    *out = -1;
    if (expr == NULL)
        return OK;
    struct value value;
    enum err err = expr_evaluate_constant(expr, &exec->eval, &exec->arena, &value, error);
    if (err != OK || value.is_null)
        return err;
    if (value.i < 0)
        return error_set(error, ERR_INPUT, is_offset ? "2201X" : "2201W", "%s must not be negative",
                         is_offset ? "OFFSET" : "LIMIT");
    *out = value.i;
    return OK;
}

enum err exec_keep(struct exec_node *node, struct evaluator *predicate, struct batch *batch,
                   struct error *error)
{
    uint32_t *selection =
        arena_alloc_array(&node->scratch, batch->row_count + 16, sizeof(*selection));
    size_t count = 0;
    size_t row_count = batch->row_count;
    enum err err = raise_filter(predicate, batch, selection, &count, error);
    if (err == OK && batch->row_count != row_count) {
        if (count == 0)
            return error->code;
        raise_next(node, error);
    }
    if (err != OK || count == batch->row_count)
        return err;
    struct column *columns =
        arena_alloc_array(&node->scratch, batch->column_count, sizeof(*columns));
    for (size_t i = 0; count != 0 && i < batch->column_count; i++)
        columns[i] = column_gather(&batch->columns[i], selection, count, &node->scratch);
    batch->columns = columns;
    batch->row_count = count;
    return OK;
}

enum err exec_each(struct exec_node *node, size_t child,
                   enum err (*take)(struct exec_node *node, const struct batch *in,
                                    struct error *error),
                   struct error *error)
{
    size_t unchecked = 0;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[child], &in, error);
        if (err != OK || in.row_count == 0)
            return err;
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        err = take(node, &in, error);
        unchecked += in.row_count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            err = exec_check(node->exec, error);
            unchecked = 0;
        }
        if (err != OK)
            return err;
    }
}

struct column column_null(struct type type)
{
    static const uint8_t invalid[1] = {0};
    static const _Alignas(16) char zeros[64] = {0};
    return (struct column){
        .type = type, .form = COLUMN_CONSTANT, .validity = invalid, .values = zeros};
}

static enum err give_parameter(void *context, uint32_t number, const struct value *values,
                               const struct parameter_rows **out, struct error *error)
{
    struct exec *exec = context;
    assert(number < exec->statement->subplan_count);
    return subquery_rows(&exec->subqueries[number], exec, values, out, error);
}

/* --- a run --- */

void exec_init(struct exec *exec, const struct statement *statement,
               const struct snapshot *snapshot, struct budget *budget)
{
    *exec = (struct exec){.statement = statement, .snapshot = snapshot, .budget = budget};
    arena_init(&exec->arena);
    exec->actual =
        arena_alloc_zero(&exec->arena, ((size_t)statement->plan_count + 1) * sizeof(*exec->actual));
    exec->subqueries =
        arena_alloc_zero(&exec->arena, (statement->subplan_count + 1) * sizeof(*exec->subqueries));
    exec->outer =
        arena_alloc_zero(&exec->arena, ((size_t)statement->slot_count + 1) * sizeof(*exec->outer));
    exec->working = arena_alloc_zero(&exec->arena, ((size_t)statement->recursion_count + 1) *
                                                       sizeof(*exec->working));
    exec->lookups = arena_alloc_zero(&exec->arena,
                                     ((size_t)statement->plan_count + 1) * sizeof(*exec->lookups));
    for (size_t i = 0; i < statement->subplan_count; i++)
        if (statement->subplans[i] != NULL)
            subquery_init(&exec->subqueries[i], statement->subplans[i],
                          &statement->subplan_slots[i], budget);
    exec->eval = (struct eval_context){
        .zone = timezone_utc,
        .budget = budget,
        .parameter = give_parameter,
        .parameter_context = exec,
        .outer = exec->outer,
        .snapshot = snapshot,
    };
}

void exec_fork(struct exec *exec, const struct exec *from)
{
    exec_init(exec, from->statement, from->snapshot, from->budget);
    struct eval_context eval = from->eval;
    eval.parameter = exec->eval.parameter;
    eval.parameter_context = exec;
    eval.outer = exec->outer;
    exec->eval = eval;
    exec->asker = from->asker;
    exec->temp = from->temp;
    exec->is_cancelled = from->is_cancelled;
    exec->is_client_gone = from->is_client_gone;
    exec->deadline_us = from->deadline_us;
    exec->is_without_bitmaps = from->is_without_bitmaps;
    exec->is_timed = from->is_timed;
    exec->is_fork = true;
}

void exec_join(struct exec *exec, const struct exec *fork)
{
    atomic_fetch_add_explicit(
        &exec->statistics.rows_scanned,
        atomic_load_explicit(&fork->statistics.rows_scanned, memory_order_relaxed),
        memory_order_relaxed);
    for (uint32_t i = 0; i < exec->statement->plan_count; i++) {
        struct plan_actual *to = &exec->actual[i];
        const struct plan_actual *from = &fork->actual[i];
        to->rows += from->rows;
        to->rows_in += from->rows_in;
        to->time_ns += from->time_ns;
        to->counts.rows_considered += from->counts.rows_considered;
        to->counts.rows_by_bitmap += from->counts.rows_by_bitmap;
        to->counts.bitmaps_used += from->counts.bitmaps_used;
        to->counts.bitmap_columns |= from->counts.bitmap_columns;
        to->counts.pages_read += from->counts.pages_read;
        to->counts.bytes_read += from->counts.bytes_read;
    }
}

void exec_deinit(struct exec *exec)
{
    for (size_t i = 0; i < exec->statement->subplan_count; i++)
        subquery_deinit(&exec->subqueries[i]);
    for (uint32_t i = 0; i < exec->statement->plan_count; i++)
        lookup_rows_free(exec->lookups[i]);
    spill_close(exec);
    arena_deinit(&exec->arena);
}

enum err exec_check(struct exec *exec, struct error *error)
{
    worker_yield();
    bool is_gone = exec->is_client_gone != NULL &&
                   atomic_load_explicit(exec->is_client_gone, memory_order_relaxed);
    if (is_gone && exec->is_cancelled != NULL)
        atomic_store_explicit(exec->is_cancelled, true, memory_order_relaxed);
    if (is_gone || (exec->is_cancelled != NULL &&
                    atomic_load_explicit(exec->is_cancelled, memory_order_relaxed)))
        return error_set(error, ERR_CANCELLED, "57014", "canceling statement due to user request");
    if (exec->deadline_us != 0 && clock_monotonic_us() >= exec->deadline_us)
        return error_set(error, ERR_TIMEOUT, "57014",
                         "canceling statement due to statement timeout");
    return OK;
}

enum err exec_open(struct exec *exec, const struct plan *plan, struct exec_node **out,
                   struct error *error)
{
    assert((size_t)plan->kind < array_count(operators));
    struct exec_node *node = arena_alloc_zero(&exec->arena, sizeof(*node));
    node->exec = exec;
    node->plan = plan;
    node->operator= operators[plan->kind];
    arena_init(&node->scratch);
    node->state = arena_alloc_zero(&exec->arena, node->operator->state_size);
    node->children =
        arena_alloc_zero(&exec->arena, (plan->child_count + 1) * sizeof(*node->children));
    enum err err = OK;
    size_t open_count = plan->child_count - (node->operator->is_right_lazy ? 1 : 0);
    for (size_t i = 0; err == OK && i < open_count; i++)
        err = exec_open(exec, plan->children[i], &node->children[i], error);
    if (err == OK && node->operator->open != NULL)
        err = node->operator->open(node, error);
    if (err != OK) {
        exec_close(node);
        node = NULL;
    }
    *out = node;
    return err;
}

enum err exec_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct exec *exec = node->exec;
    *out = (struct batch){.column_count = node->plan->column_count};
    if (node->raised != NULL) {
        *error = *node->raised;
        return error->code;
    }
    int64_t start_ns = exec->is_timed ? clock_monotonic_ns() : 0;
    enum err err = node->operator->next(node, out, error);
    struct plan_actual *actual = &exec->actual[node->plan->id];
    if (exec->is_timed)
        actual->time_ns += clock_monotonic_ns() - start_ns;
    if (err != OK) {
        out->row_count = 0;
        return err;
    }
    assert(out->row_count <= VECTOR_ROWS_MAX);
    actual->rows += out->row_count;
    return OK;
}

void exec_close(struct exec_node *node)
{
    if (node == NULL)
        return;
    if (node->operator->close != NULL)
        node->operator->close(node);
    for (size_t i = 0; i < node->plan->child_count; i++)
        exec_close(node->children[i]);
    arena_deinit(&node->scratch);
}
