/* Probes: a LATERAL lookup for a batch of left rows at once.
 *
 *   Limit n ◀ Project … ◀ Lookup by k = $1, t <= $2 in order of t
 *
 *   left batch ──▶ numbers of all keys ──▶ a place in each key's order ──▶ row numbers of all left
 *              rows ──▶ one gather, one run of each projection
 *
 * The newest row of each key and as-of joins are of this shape. Run row by row they cost the
 * opening of four operators a left row; here a search. What each left row is given is compared as
 * the lookup does it; the values have to be slots as they are. Where order begins with a whole
 * number without NULLs, its values are put side by side in their order once, for the searches. */
#include "query/exec/probe.h"

#include "query/exec/lookup.h"
#include "query/kernel/kernel.h"
#include "query/plan/rewrite.h"

#include <string.h>

struct step {
    const struct plan *plan; /* PROJECT */
    struct evaluator **exprs;
};

struct probe {
    struct exec_node *lookup;
    size_t step_count;
    struct step *steps; /* the one above the lookup first */
    uint32_t limit;
    uint32_t *key_values, *bound_values; /* which of the slots */
    struct column *keys;
    size_t row_count, row; /* of the left batch; the next row to take from */
    uint32_t next[VECTOR_ROWS_MAX], end[VECTOR_ROWS_MAX];
    uint32_t taken[VECTOR_ROWS_MAX];
};

/* --- the shape --- */

/* Does it compute the same whichever left row it is for? */
static bool is_plain(const struct plan *project)
{
    for (size_t index = 0; index < project->column_count; index++) {
        const struct expr *expr = project->project.exprs[index];
        if (expr_is_volatile(expr) || expr_has_parameter(expr) || expr_uses_slots(expr, NULL))
            return false;
    }
    return true;
}

/* The lookup below projections and limits; NULL: there is none. */
static const struct plan *find_lookup(const struct plan *right, size_t *step_count, int64_t *limit)
{
    *step_count = 0;
    *limit = UINT32_MAX;
    for (; right->kind != PLAN_LOOKUP; right = right->children[0]) {
        const struct expr *most = right->sort.limit;
        if (right->kind == PLAN_PROJECT && is_plain(right)) {
            ++*step_count;
        } else if (right->kind == PLAN_LIMIT && right->sort.offset == NULL && most != NULL &&
                   most->kind == EXPR_CONSTANT && !most->constant.is_null &&
                   most->constant.i >= 0) {
            *limit = most->constant.i < *limit ? most->constant.i : *limit;
        } else {
            return NULL;
        }
    }
    return right->lookup.condition == NULL ? right : NULL;
}

static bool find_slot(const struct subplan_slots *slots, const struct expr *expr, uint32_t *out)
{
    for (uint32_t index = 0; expr->kind == EXPR_OUTER && index < slots->count; index++)
        if (slots->slots[index] == expr->parameter) {
            *out = index;
            return true;
        }
    return false;
}

static bool find_values(struct probe *probe, const struct plan *plan,
                        const struct subplan_slots *slots, struct arena *arena)
{
    probe->key_values = arena_alloc_array(arena, plan->lookup.key_count + 1, sizeof(uint32_t));
    probe->bound_values = arena_alloc_array(arena, plan->lookup.bound_count + 1, sizeof(uint32_t));
    probe->keys = arena_alloc_array(arena, plan->lookup.key_count + 1, sizeof(*probe->keys));
    for (size_t index = 0; index < plan->lookup.key_count; index++)
        if (!find_slot(slots, plan->lookup.values[index], &probe->key_values[index]))
            return false;
    for (size_t index = 0; index < plan->lookup.bound_count; index++)
        if (!find_slot(slots, plan->lookup.bounds[index].value, &probe->bound_values[index]))
            return false;
    return true;
}

enum err probe_open(struct exec *exec, const struct plan *right, const struct subplan_slots *slots,
                    struct probe **out, struct error *error)
{
    size_t step_count;
    int64_t limit;
    const struct plan *plan = find_lookup(right, &step_count, &limit);
    *out = NULL;
    if (plan == NULL)
        return OK;
    struct probe *probe = arena_alloc_zero(&exec->arena, sizeof(*probe));
    if (!find_values(probe, plan, slots, &exec->arena))
        return OK;
    probe->limit = (uint32_t)limit;
    probe->step_count = step_count;
    probe->steps = arena_alloc_array(&exec->arena, step_count + 1, sizeof(*probe->steps));
    for (; right->kind != PLAN_LOOKUP; right = right->children[0])
        if (right->kind == PLAN_PROJECT)
            probe->steps[--step_count] = (struct step){
                right, exec_evaluators(exec, right->project.exprs, right->column_count)};
    *out = probe;
    return exec_open(exec, plan, &probe->lookup, error);
}

void probe_close(struct probe *probe)
{
    if (probe == NULL)
        return;
    exec_close(probe->lookup);
    for (size_t index = 0; index < probe->step_count; index++)
        exec_evaluators_destroy(probe->steps[index].exprs, probe->steps[index].plan->column_count);
}

/* --- places --- */

/* The first things ordered by, side by side; short of memory they are looked up where they are. */
static void make_firsts(struct lookup_rows *rows)
{
    struct error ignored;
    const struct rowset *order = &rows->order;
    if (rows->firsts != NULL || order->column_count == 0 || order->columns[0].has_null ||
        type_physical((enum type_id)order->columns[0].type.id) != PHYSICAL_INT)
        return;
    size_t count = 0;
    for (size_t row = 0; row < order->row_count; row++)
        count += rows->ids[row] != KEY_NONE;
    if (exec_memory_grow(&rows->memory, (void **)&rows->firsts, &rows->first_capacity, count + 1,
                         sizeof(*rows->firsts), &ignored) != OK)
        return;
    struct column values = rowset_column(order, 0, 0);
    for (size_t index = 0; index < count; index++)
        rows->firsts[index] = values.i[rows->numbers[index]];
}

/* lookup_cut over `firsts`. */
static void cut_firsts(struct lookup *lookup, bool is_descending, const struct lookup_bound *bound,
                       int64_t value)
{
    const int64_t *firsts = lookup->kept->firsts;
    bool is_upper = bound->operation == COMPARE_LT || bound->operation == COMPARE_LE;
    bool is_start = is_upper == is_descending;
    uint32_t low = lookup->next, high = lookup->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int64_t own = firsts[middle];
        if (lookup_meets(bound, (own > value) - (own < value)) == is_start)
            high = middle;
        else
            low = middle + 1;
    }
    if (is_start)
        lookup->next = low;
    else
        lookup->end = low;
}

static void cut_row(struct probe *probe, const struct column *order, const struct column *values,
                    size_t row)
{
    struct exec_node *node = probe->lookup;
    struct lookup *lookup = node->state;
    const struct plan *plan = node->plan;
    if (plan->lookup.bound_count > 0 && lookup->kept->firsts == NULL)
        lookup_cut_nulls(node, order);
    for (size_t index = 0; index < plan->lookup.bound_count; index++) {
        const struct lookup_bound *bound = &plan->lookup.bounds[index];
        const struct column *column = &values[probe->bound_values[index]];
        if (lookup->kept->firsts != NULL && !column_is_null(column, row)) {
            cut_firsts(lookup, plan->lookup.order[0].is_descending, bound,
                       column->i[column_index(column, row)]);
        } else {
            struct value value = column_value(column, row);
            lookup_cut(node, order, bound, &value);
        }
    }
}

static enum err find_places(struct probe *probe, const struct column *values, struct error *error)
{
    struct exec_node *node = probe->lookup;
    struct lookup *lookup = node->state;
    const struct lookup_rows *rows = lookup->kept;
    const struct plan *plan = node->plan;
    uint32_t ids[VECTOR_ROWS_MAX];
    struct column order = {0};
    for (size_t index = 0; index < plan->lookup.key_count; index++)
        probe->keys[index] = values[probe->key_values[index]];
    enum err err = tuple_table_equal_ids(&lookup->kept->keys, probe->keys, probe->row_count, false,
                                         ids, error);
    if (err != OK)
        return err;
    if (plan->lookup.order_count > 0)
        order = rowset_column(&rows->order, 0, 0);
    for (size_t row = 0; row < probe->row_count; row++) {
        probe->next[row] = probe->end[row] = 0;
        if (ids[row] == KEY_NONE)
            continue;
        lookup->next = rows->starts[ids[row]];
        lookup->end = rows->starts[ids[row] + 1];
        cut_row(probe, &order, values, row);
        uint32_t count = lookup->end - lookup->next;
        probe->next[row] = lookup->next;
        probe->end[row] = lookup->next + (count < probe->limit ? count : probe->limit);
    }
    return OK;
}

enum err probe_begin(struct probe *probe, const struct column *values, size_t row_count,
                     bool *is_kept, struct error *error)
{
    struct lookup *lookup = probe->lookup->state;
    enum err err = lookup_prepare(probe->lookup, error);
    *is_kept = !lookup->kept->is_too_large;
    probe->row_count = row_count;
    probe->row = 0;
    if (err != OK || !*is_kept)
        return err;
    make_firsts(lookup->kept);
    return find_places(probe, values, error);
}

/* --- rows --- */

static size_t take_numbers(struct probe *probe, uint32_t *numbers)
{
    const uint32_t *rows = ((struct lookup *)probe->lookup->state)->kept->numbers;
    size_t count = 0;
    for (; probe->row < probe->row_count; probe->row++) {
        uint32_t *next = &probe->next[probe->row];
        for (; *next < probe->end[probe->row] && count < VECTOR_ROWS_MAX; ++*next) {
            probe->taken[count] = rows[*next];
            numbers[count++] = (uint32_t)probe->row;
        }
        if (*next < probe->end[probe->row])
            break;
    }
    return count;
}

enum err probe_take(struct probe *probe, struct arena *scratch, struct batch *right,
                    uint32_t *numbers, struct error *error)
{
    struct exec *exec = probe->lookup->exec;
    const struct plan *plan = probe->lookup->plan;
    const struct lookup_rows *rows = ((struct lookup *)probe->lookup->state)->kept;
    size_t count = take_numbers(probe, numbers);
    enum err err = exec_check(exec, error);
    *right = (struct batch){0};
    if (err != OK || count == 0)
        return err;
    struct column *columns = arena_alloc_array(scratch, plan->column_count + 1, sizeof(*columns));
    for (size_t index = 0; index < plan->column_count; index++) {
        struct column all = rowset_column(&rows->rows, index, 0);
        columns[index] = column_gather(&all, probe->taken, count, scratch);
    }
    *right =
        (struct batch){.row_count = count, .column_count = plan->column_count, .columns = columns};
    exec->actual[plan->id].rows += count;
    for (size_t step = 0; err == OK && step < probe->step_count; step++) {
        const struct step *project = &probe->steps[step];
        size_t column_count = project->plan->column_count;
        columns = arena_alloc_array(scratch, column_count + 1, sizeof(*columns));
        err = exec_evaluate(project->exprs, column_count, right, columns, error);
        right->column_count = column_count;
        right->columns = columns;
        exec->actual[project->plan->id].rows += count;
    }
    return err;
}

void probe_end(struct probe *probe)
{
    probe->row = probe->row_count;
}
