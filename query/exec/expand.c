/* ROLLUP, CUBE, GROUPING SETS, below a GROUP: each row once for each set, with the keys that are
 * not of the set NULL and the set's number beside them. A batch is handed on set after set as it
 * came, the keys that are out as constants: nothing is copied, and aggregates see the rows' own
 * columns.
 */
#include "query/exec/operator.h"

struct expand {
    struct evaluator **exprs;
    struct batch in;
    struct column *keys;
    size_t set; /* the next for the batch in hand; 0: read another */
};

static enum err expand_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct expand *expand = node->state;
    const struct plan *plan = node->plan;
    expand->exprs = exec_evaluators(node->exec, plan->expand.keys, plan->expand.key_count);
    expand->keys =
        arena_alloc_array(&node->exec->arena, plan->expand.key_count + 1, sizeof(*expand->keys));
    return OK;
}

static enum err read_batch(struct exec_node *node, struct error *error)
{
    struct expand *expand = node->state;
    enum err err = exec_next(node->children[0], &expand->in, error);
    if (err != OK || expand->in.row_count == 0)
        return err;
    node->exec->actual[node->plan->id].rows_in += expand->in.row_count;
    return exec_evaluate(expand->exprs, node->plan->expand.key_count, &expand->in, expand->keys,
                         error);
}

static struct column constant(int64_t i, struct type type, struct arena *arena)
{
    struct value value = {.type = type, .i = i};
    return column_from_value(&value, arena);
}

void exec_expand_set(const struct plan *plan, size_t set, const struct column *keys,
                     struct arena *arena, struct column *out)
{
    size_t first = plan->children[0]->column_count, key_count = plan->expand.key_count;
    for (size_t key = 0; key < key_count; key++)
        out[key] = keys != NULL && (plan->expand.sets[set] >> key & 1) != 0
                       ? keys[key]
                       : column_null(plan->columns[first + key].type);
    out[key_count] = constant((int64_t)set, type_of(TYPE_INT8), arena);
    for (size_t mask = 0; mask < plan->expand.mask_count; mask++)
        out[key_count + 1 + mask] = constant(
            plan->expand.masks[set * plan->expand.mask_count + mask], type_of(TYPE_INT4), arena);
}

static enum err expand_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct expand *expand = node->state;
    const struct plan *plan = node->plan;
    enum err err = expand->set == 0 ? read_batch(node, error) : OK;
    if (err != OK || expand->in.row_count == 0)
        return err;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count, sizeof(*columns));
    for (size_t index = 0; index < expand->in.column_count; index++)
        columns[index] = expand->in.columns[index];
    exec_expand_set(plan, expand->set, expand->keys, &node->scratch,
                    columns + expand->in.column_count);
    if (++expand->set == plan->expand.set_count)
        expand->set = 0;
    *out = (struct batch){
        .row_count = expand->in.row_count, .column_count = plan->column_count, .columns = columns};
    return OK;
}

static void expand_close(struct exec_node *node)
{
    struct expand *expand = node->state;
    exec_evaluators_destroy(expand->exprs, node->plan->expand.key_count);
}

const struct exec_operator exec_expand_operator = {
    .name = "expand",
    .state_size = sizeof(struct expand),
    .open = expand_open,
    .next = expand_next,
    .close = expand_close,
};
