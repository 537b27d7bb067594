/* WITH RECURSIVE: rows that make rows, until none come.
 *
 *   children[0] ──▶ rows that come out, and are the working rows
 *   children[1] ──▶ is run over the working rows; what it gives comes out, and is the next ones
 *
 * The second child is opened for each round anew, in an arena of its own: a thousand rounds take no
 * more memory than one. Rounds go on as rows are pulled, so a LIMIT above ends what would never end
 * by itself; else time and the memory for one round's rows do. UNION keeps all rows that came. */
#include "query/exec/distinct.h"
#include "query/exec/rowset.h"

#include <string.h>

#define ROUNDS_PER_LOOK 64

struct recursion {
    struct rowset now, next; /* the working rows, and those of the next round */
    struct exec_memory memory;
    struct distinct seen;
    struct arena run; /* of the second child's nodes */
    struct column *kept;
    size_t rounds;
    bool is_ready, is_distinct, is_base_over;
};

static enum err recursion_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct recursion *r = node->state;
    const struct plan *plan = node->plan;
    struct exec *exec = node->exec;
    rowset_init(&r->now, plan->columns, plan->column_count, exec->budget);
    rowset_init(&r->next, plan->columns, plan->column_count, exec->budget);
    exec_memory_init(&r->memory, exec->budget);
    arena_init(&r->run);
    r->kept = arena_alloc_array(&exec->arena, plan->column_count + 1, sizeof(*r->kept));
    r->is_distinct = plan->recursion.is_distinct;
    if (r->is_distinct) {
        struct type *types = arena_alloc_array(&exec->arena, plan->column_count, sizeof(*types));
        for (size_t i = 0; i < plan->column_count; i++)
            types[i] = plan->columns[i].type;
        distinct_init(&r->seen, types, plan->column_count, &r->memory);
    }
    r->is_ready = true;
    return OK;
}

/* What the second child does happens in its own arena. */
static enum err run_right(struct exec_node *node, struct batch *out, struct error *error)
{
    struct recursion *r = node->state;
    struct exec *exec = node->exec;
    const struct plan *right = node->plan->children[1];
    struct arena around = exec->arena;
    enum err err = OK;
    exec->arena = r->run;
    exec->working[node->plan->recursion.number] = &r->now;
    if (node->children[1] == NULL)
        err = exec_open(exec, right, &node->children[1], error);
    if (err == OK)
        err = exec_next(node->children[1], out, error);
    if (err != OK || out->row_count == 0) {
        exec_close(node->children[1]);
        node->children[1] = NULL;
    }
    r->run = exec->arena;
    exec->arena = around;
    return err;
}

/* The next batch of either child; none: it is over. */
static enum err pull(struct exec_node *node, struct batch *out, struct error *error)
{
    struct recursion *r = node->state;
    while (true) {
        enum err err = OK;
        if (!r->is_base_over) {
            err = exec_next(node->children[0], out, error);
            r->is_base_over = err == OK && out->row_count == 0;
        } else {
            err = run_right(node, out, error);
        }
        if (err != OK || out->row_count != 0)
            return err;
        struct rowset before = r->now;
        r->now = r->next;
        r->next = before;
        rowset_clear(&r->next);
        arena_reset(&r->run);
        if (r->now.row_count == 0)
            return OK;
        if (++r->rounds % ROUNDS_PER_LOOK == 0)
            err = exec_check(node->exec, error);
        if (err != OK)
            return err;
    }
}

/* Only rows that have not been. */
static enum err keep_new(struct exec_node *node, struct batch *batch, struct error *error)
{
    struct recursion *r = node->state;
    uint32_t fresh[VECTOR_ROWS_MAX];
    size_t count = 0;
    const struct distinct_rows rows = {
        .group_count = 1, .count = batch->row_count, .is_insert = true};
    enum err err = distinct_keep(&r->seen, batch->columns, &rows, fresh, &count, error);
    if (err != OK || count == batch->row_count)
        return err;
    for (size_t i = 0; i < batch->column_count; i++)
        r->kept[i] = column_gather(&batch->columns[i], fresh, count, &node->scratch);
    batch->columns = r->kept;
    batch->row_count = count;
    return OK;
}

static enum err recursion_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct recursion *r = node->state;
    enum err err;
    do {
        arena_reset(&node->scratch);
        err = pull(node, out, error);
        if (err != OK || out->row_count == 0)
            return err;
        node->exec->actual[node->plan->id].rows_in += out->row_count;
        if (r->is_distinct)
            err = keep_new(node, out, error);
        if (err == OK && out->row_count > 0)
            err = rowset_append(&r->next, out, NULL, out->row_count, error);
    } while (err == OK && out->row_count == 0);
    return err;
}

static void recursion_close(struct exec_node *node)
{
    struct recursion *r = node->state;
    if (!r->is_ready)
        return;
    exec_close(node->children[1]);
    node->children[1] = NULL;
    if (r->is_distinct)
        distinct_deinit(&r->seen);
    rowset_deinit(&r->now);
    rowset_deinit(&r->next);
    exec_memory_deinit(&r->memory);
    arena_deinit(&r->run);
}

const struct exec_operator exec_recursion_operator = {
    .name = "recursion",
    .state_size = sizeof(struct recursion),
    .is_right_lazy = true,
    .open = recursion_open,
    .next = recursion_next,
    .close = recursion_close,
};

/* --- the working rows --- */

struct working {
    size_t row;
};

static enum err working_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct working *working = node->state;
    const struct rowset *rows = node->exec->working[node->plan->recursion.number];
    size_t count = rows->row_count - working->row;
    if (count > VECTOR_ROWS_MAX)
        count = VECTOR_ROWS_MAX;
    if (count == 0)
        return OK;
    enum err err = count == VECTOR_ROWS_MAX ? exec_check(node->exec, error) : OK;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, rows->column_count + 1, sizeof(*columns));
    for (size_t i = 0; i < rows->column_count; i++)
        columns[i] = rowset_column(rows, i, working->row);
    working->row += count;
    *out =
        (struct batch){.row_count = count, .column_count = rows->column_count, .columns = columns};
    return err;
}

const struct exec_operator exec_working_operator = {
    .name = "working rows",
    .state_size = sizeof(struct working),
    .next = working_next,
};
