/* INTERSECT, EXCEPT and DISTINCT ON: rows told apart by numbers for their keys (keys.c).
 *
 * The left side's rows are numbered by all their columns and counted, the right side's are looked
 * up and counted; what comes out is each number so many times:
 *
 *   INTERSECT      once if the right side has it      ALL: the lesser of both counts
 *   EXCEPT         once if it has not                 ALL: what the left side has more
 *
 * in order of first sight. The right side keeps nothing. DISTINCT ON hands on the rows that make a
 * new number as they come, so it needs no order below beyond the one that says which row is first.
 */
#include "query/exec/keys.h"

#include "storage/base/fault.h"

#include <string.h>

/* --- INTERSECT, EXCEPT --- */

struct set_counts {
    uint64_t left, right;
};

struct set {
    struct exec_memory memory;
    struct tuple_table rows;
    struct set_counts *counts; /* by number */
    size_t counts_capacity, known;
    bool is_built;
    uint32_t next;  /* number */
    uint64_t given; /* of it */
};

static enum err set_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct set *set = node->state;
    const struct plan *plan = node->plan;
    exec_memory_init(&set->memory, node->exec->budget);
    struct type *types = arena_alloc_array(&node->exec->arena, plan->column_count, sizeof(*types));
    for (size_t index = 0; index < plan->column_count; index++)
        types[index] = plan->columns[index].type;
    tuple_table_init(&set->rows, types, plan->column_count, &set->memory);
    return OK;
}

static enum err count_rows(struct exec_node *node, const struct batch *in, bool is_left,
                           struct error *error)
{
    struct set *set = node->state;
    uint32_t ids[VECTOR_ROWS_MAX];
    enum err err =
        tuple_table_ids(&set->rows, in->columns, NULL, in->row_count, is_left, ids, error);
    if (err == OK)
        err = exec_memory_grow(&set->memory, (void **)&set->counts, &set->counts_capacity,
                               set->rows.count, sizeof(*set->counts), error);
    if (err != OK)
        return err;
    for (; set->known < set->rows.count; set->known++)
        set->counts[set->known] = (struct set_counts){0};
    for (size_t row = 0; row < in->row_count; row++) {
        if (is_left)
            set->counts[ids[row]].left++;
        else if (ids[row] != KEY_NONE)
            set->counts[ids[row]].right++;
    }
    return OK;
}

static enum err count_left(struct exec_node *node, const struct batch *in, struct error *error)
{
    return count_rows(node, in, true, error);
}

static enum err count_right(struct exec_node *node, const struct batch *in, struct error *error)
{
    return count_rows(node, in, false, error);
}

static uint64_t copies(const struct plan *plan, struct set_counts counts)
{
    if (!plan->set.is_all)
        return (counts.right > 0) != plan->set.is_except;
    if (plan->set.is_except)
        return counts.left <= counts.right    ? 0
               : fault_is("setop.except_all") ? counts.left
                                              : counts.left - counts.right;
    return counts.left < counts.right ? counts.left : counts.right;
}

static enum err set_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct set *set = node->state;
    const struct plan *plan = node->plan;
    enum err err = OK;
    if (!set->is_built) {
        err = exec_each(node, 0, count_left, error);
        if (err == OK && set->rows.count > 0)
            err = exec_each(node, 1, count_right, error);
        set->is_built = true;
    }
    if (err == OK)
        err = exec_check(node->exec, error);
    if (err != OK)
        return err;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count + 1, sizeof(*columns));
    uint32_t *selection = arena_alloc_array(&node->scratch, VECTOR_ROWS_MAX, sizeof(*selection));
    size_t count = 0;
    uint32_t first = set->next;
    while (set->next < set->rows.count && count < VECTOR_ROWS_MAX) {
        if (count == 0)
            first = set->next;
        if (set->next - first >= VECTOR_ROWS_MAX)
            break;
        uint64_t left = copies(plan, set->counts[set->next]) - set->given;
        for (; left > 0 && count < VECTOR_ROWS_MAX; left--, set->given++)
            selection[count++] = set->next - first;
        if (left > 0)
            break;
        set->next++;
        set->given = 0;
    }
    if (count == 0)
        return OK;
    tuple_table_keys(&set->rows, first, selection[count - 1] + (size_t)1, &node->scratch, columns);
    for (size_t index = 0; index < plan->column_count; index++)
        columns[index] = column_gather(&columns[index], selection, count, &node->scratch);
    *out =
        (struct batch){.row_count = count, .column_count = plan->column_count, .columns = columns};
    return OK;
}

static void set_close(struct exec_node *node)
{
    struct set *set = node->state;
    if (set->memory.budget == NULL)
        return;
    tuple_table_deinit(&set->rows);
    exec_memory_release(&set->memory, set->counts, set->counts_capacity * sizeof(*set->counts));
    exec_memory_deinit(&set->memory);
}

const struct exec_operator exec_set_operator = {
    .name = "set",
    .state_size = sizeof(struct set),
    .open = set_open,
    .next = set_next,
    .close = set_close,
};

/* --- DISTINCT ON --- */

struct first {
    struct exec_memory memory;
    struct tuple_table keys;
    struct evaluator **exprs;
};

static enum err first_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct first *first = node->state;
    const struct plan *plan = node->plan;
    exec_memory_init(&first->memory, node->exec->budget);
    first->exprs = exec_evaluators(node->exec, plan->first.keys, plan->first.key_count);
    struct type *types =
        arena_alloc_array(&node->exec->arena, plan->first.key_count, sizeof(*types));
    for (size_t index = 0; index < plan->first.key_count; index++)
        types[index] = plan->first.keys[index]->type;
    tuple_table_init(&first->keys, types, plan->first.key_count, &first->memory);
    return OK;
}

static enum err first_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct first *first = node->state;
    const struct plan *plan = node->plan;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err != OK || in.row_count == 0)
            return err;
        node->exec->actual[plan->id].rows_in += in.row_count;
        arena_reset(&node->scratch);
        struct column *keys =
            arena_alloc_array(&node->scratch, plan->first.key_count, sizeof(*keys));
        uint32_t ids[VECTOR_ROWS_MAX];
        err = exec_evaluate(first->exprs, plan->first.key_count, &in, keys, error);
        uint32_t next = first->keys.count;
        if (err == OK)
            err = tuple_table_ids(&first->keys, keys, NULL, in.row_count, true, ids, error);
        if (err == OK)
            err = exec_check(node->exec, error);
        if (err != OK)
            return err;
        uint32_t *selection = arena_alloc_array(&node->scratch, in.row_count, sizeof(*selection));
        size_t count = 0;
        for (uint32_t row = 0; row < in.row_count; row++) {
            if (ids[row] != next)
                continue;
            selection[count++] = row;
            next++;
        }
        if (count == 0)
            continue;
        struct column *columns =
            arena_alloc_array(&node->scratch, in.column_count + 1, sizeof(*columns));
        for (size_t index = 0; index < in.column_count; index++)
            columns[index] = column_gather(&in.columns[index], selection, count, &node->scratch);
        *out =
            (struct batch){.row_count = count, .column_count = in.column_count, .columns = columns};
        return OK;
    }
}

static void first_close(struct exec_node *node)
{
    struct first *first = node->state;
    if (first->memory.budget == NULL)
        return;
    exec_evaluators_destroy(first->exprs, node->plan->first.key_count);
    tuple_table_deinit(&first->keys);
    exec_memory_deinit(&first->memory);
}

const struct exec_operator exec_first_operator = {
    .name = "first",
    .state_size = sizeof(struct first),
    .open = first_open,
    .next = first_next,
    .close = first_close,
};
