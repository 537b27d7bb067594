/* Joins: a hash table over the right side, probed by batches of the left one; nested loops without
 * keys.
 *
 *   right ──▶ rowset + number of each key (keys.c) + chains of rows by number
 *   left batch ──▶ its keys' numbers ──▶ candidate pairs, up to 2,048 at a time ──▶ condition ──▶
 * batch
 *
 * A NULL in any key matches nothing: such right rows are not chained, such left rows have no
 * candidates. Without keys every right row is a candidate of every left row (CROSS, or ON with any
 * condition). LEFT joins mark the left rows that had a match and give the others, with NULLs to the
 * right, when their batch is done. The right side is charged to the query's memory; the flags are
 * looked at every 64 Ki candidates, so that a cross join can always be stopped. */
#include "query/exec/keys.h"
#include "query/exec/rowset.h"

#include <string.h>

struct join {
    struct exec_memory memory;
    struct rowset right;
    struct tuple_table keys;
    struct evaluator **left_keys, **right_keys;
    struct evaluator *condition;
    uint32_t *heads; /* by key number: first right row, KEY_NONE: none */
    uint32_t *chain; /* by right row: the next one of its key */
    uint32_t *tails; /* while building */
    size_t head_capacity, chain_capacity, tail_capacity;
    bool is_built, is_left_done;
    /* the left batch in hand */
    struct batch left;
    uint32_t left_row;
    uint32_t candidate; /* right row to try next for left_row, KEY_NONE: none */
    uint32_t ids[VECTOR_ROWS_MAX];
    uint8_t has_match[VECTOR_ROWS_MAX];
    size_t unchecked;
};

static struct evaluator **open_keys(struct exec_node *node, struct expr *const *exprs)
{
    return exec_evaluators(node->exec, exprs, node->plan->join.key_count);
}

static enum err join_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct join *join = node->state;
    const struct plan *plan = node->plan, *right = plan->children[1];
    exec_memory_init(&join->memory, node->exec->budget);
    rowset_init(&join->right, right->columns, right->column_count, node->exec->budget);
    join->left_keys = open_keys(node, plan->join.left_keys);
    join->right_keys = open_keys(node, plan->join.right_keys);
    struct type *types =
        arena_alloc_array(&node->exec->arena, plan->join.key_count, sizeof(*types));
    for (size_t i = 0; i < plan->join.key_count; i++)
        types[i] = plan->join.right_keys[i]->type;
    tuple_table_init(&join->keys, types, plan->join.key_count, &join->memory);
    if (plan->join.condition != NULL)
        join->condition = evaluator_create(plan->join.condition, &node->exec->eval);
    return OK;
}

/* --- the right side --- */

/* The numbers of a batch's keys; KEY_NONE where a key is NULL or, probing, unknown. */
static enum err number_keys(struct exec_node *node, struct evaluator **exprs,
                            const struct batch *in, bool is_insert, uint32_t *ids,
                            struct error *error)
{
    struct join *join = node->state;
    size_t key_count = node->plan->join.key_count, count = 0;
    struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
    uint32_t selection[VECTOR_ROWS_MAX];
    for (size_t i = 0; i < key_count; i++) {
        enum err err = evaluator_run(exprs[i], in, NULL, 0, &keys[i], error);
        if (err != OK)
            return err;
    }
    for (uint32_t row = 0; row < in->row_count; row++) {
        bool is_null = false;
        for (size_t i = 0; i < key_count; i++)
            is_null = is_null || column_is_null(&keys[i], row);
        ids[row] = KEY_NONE;
        selection[count] = row;
        count += !is_null;
    }
    return tuple_table_ids(&join->keys, keys, selection, count, is_insert, ids, error);
}

static enum err chain_rows(struct exec_node *node, const struct batch *in, size_t first,
                           struct error *error)
{
    struct join *join = node->state;
    uint32_t ids[VECTOR_ROWS_MAX];
    size_t known = join->keys.count;
    enum err err = number_keys(node, join->right_keys, in, true, ids, error);
    if (err == OK)
        err = exec_memory_grow(&join->memory, (void **)&join->heads, &join->head_capacity,
                               join->keys.count, sizeof(*join->heads), error);
    if (err == OK)
        err = exec_memory_grow(&join->memory, (void **)&join->tails, &join->tail_capacity,
                               join->keys.count, sizeof(*join->tails), error);
    if (err == OK)
        err = exec_memory_grow(&join->memory, (void **)&join->chain, &join->chain_capacity,
                               first + in->row_count, sizeof(*join->chain), error);
    if (err != OK)
        return err;
    for (; known < join->keys.count; known++)
        join->heads[known] = KEY_NONE;
    for (size_t i = 0; i < in->row_count; i++) {
        uint32_t row = (uint32_t)(first + i);
        join->chain[row] = KEY_NONE;
        if (ids[i] == KEY_NONE)
            continue;
        if (join->heads[ids[i]] == KEY_NONE)
            join->heads[ids[i]] = row;
        else
            join->chain[join->tails[ids[i]]] = row;
        join->tails[ids[i]] = row;
    }
    return OK;
}

static enum err build_right(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    size_t unchecked = 0;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[1], &in, error);
        if (err != OK || in.row_count == 0)
            return err;
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        arena_reset(&node->scratch);
        size_t first = join->right.row_count;
        err = rowset_append(&join->right, &in, NULL, in.row_count, error);
        if (err == OK && node->plan->join.key_count != 0)
            err = chain_rows(node, &in, first, error);
        unchecked += in.row_count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            err = exec_check(node->exec, error);
            unchecked = 0;
        }
        if (err != OK)
            return err;
    }
}

/* --- the left side --- */

static uint32_t first_candidate(const struct exec_node *node, uint32_t left_row)
{
    const struct join *join = node->state;
    if (node->plan->join.key_count == 0)
        return join->right.row_count == 0 ? KEY_NONE : 0;
    uint32_t id = join->ids[left_row];
    return id == KEY_NONE ? KEY_NONE : join->heads[id];
}

static uint32_t next_candidate(const struct exec_node *node, uint32_t right_row)
{
    const struct join *join = node->state;
    if (node->plan->join.key_count == 0)
        return right_row + 1 < join->right.row_count ? right_row + 1 : KEY_NONE;
    return join->chain[right_row];
}

static enum err next_left(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    enum err err = exec_next(node->children[0], &join->left, error);
    if (err != OK || join->left.row_count == 0) {
        join->is_left_done = true;
        return err;
    }
    node->exec->actual[node->plan->id].rows_in += join->left.row_count;
    arena_reset(&node->scratch);
    memset(join->has_match, 0, join->left.row_count);
    if (node->plan->join.key_count != 0)
        err = number_keys(node, join->left_keys, &join->left, false, join->ids, error);
    join->left_row = 0;
    join->candidate = err == OK ? first_candidate(node, 0) : KEY_NONE;
    return err;
}

/* Up to a batch of candidate pairs of the left batch in hand. */
static size_t take_candidates(struct exec_node *node, uint32_t *left, uint32_t *right)
{
    struct join *join = node->state;
    size_t count = 0;
    while (count < VECTOR_ROWS_MAX && join->left_row < join->left.row_count) {
        if (join->candidate == KEY_NONE) {
            join->left_row++;
            if (join->left_row < join->left.row_count)
                join->candidate = first_candidate(node, join->left_row);
            continue;
        }
        left[count] = join->left_row;
        right[count++] = join->candidate;
        join->candidate = next_candidate(node, join->candidate);
    }
    return count;
}

static void make_pairs(struct exec_node *node, const uint32_t *left, const uint32_t *right,
                       size_t count, struct batch *out)
{
    struct join *join = node->state;
    size_t left_columns = join->left.column_count, right_columns = join->right.column_count;
    struct column *columns =
        arena_alloc_array(&node->scratch, left_columns + right_columns, sizeof(*columns));
    for (size_t i = 0; i < left_columns; i++)
        columns[i] = column_gather(&join->left.columns[i], left, count, &node->scratch);
    for (size_t i = 0; i < right_columns; i++) {
        if (right == NULL) {
            columns[left_columns + i] = column_null(join->right.columns[i].type);
        } else {
            struct column all = rowset_column(&join->right, i, 0);
            columns[left_columns + i] = column_gather(&all, right, count, &node->scratch);
        }
    }
    *out = (struct batch){
        .row_count = count, .column_count = left_columns + right_columns, .columns = columns};
}

/* Left rows of the batch in hand that met nothing. */
static size_t take_unmatched(struct exec_node *node, uint32_t *left)
{
    struct join *join = node->state;
    size_t count = 0;
    for (uint32_t row = 0; row < join->left.row_count; row++) {
        left[count] = row;
        count += join->has_match[row] == 0;
    }
    join->left.row_count = 0;
    return count;
}

/* Candidates through the condition; out->row_count may be 0. */
static enum err match_candidates(struct exec_node *node, const uint32_t *left,
                                 const uint32_t *right, size_t count, struct batch *out,
                                 struct error *error)
{
    struct join *join = node->state;
    make_pairs(node, left, right, count, out);
    if (join->condition == NULL) {
        for (size_t i = 0; i < count; i++)
            join->has_match[left[i]] = 1;
        return OK;
    }
    uint32_t *kept = arena_alloc_array(&node->scratch, count + 16, sizeof(*kept));
    size_t kept_count = 0;
    enum err err = evaluator_filter(join->condition, out, NULL, 0, kept, &kept_count, error);
    for (size_t i = 0; err == OK && i < kept_count; i++)
        join->has_match[left[kept[i]]] = 1;
    if (err == OK && kept_count != count) {
        for (size_t i = 0; i < out->column_count; i++)
            out->columns[i] = column_gather(&out->columns[i], kept, kept_count, &node->scratch);
        out->row_count = kept_count;
    }
    return err;
}

static enum err join_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct join *join = node->state;
    enum err err = OK;
    if (!join->is_built) {
        err = build_right(node, error);
        join->is_built = err == OK;
    }
    out->row_count = 0;
    while (err == OK && !join->is_left_done) {
        uint32_t left[VECTOR_ROWS_MAX], right[VECTOR_ROWS_MAX];
        if (join->left.row_count == 0) {
            err = next_left(node, error);
            continue;
        }
        arena_reset(&node->scratch);
        size_t count = take_candidates(node, left, right);
        join->unchecked += count;
        if (join->unchecked >= EXEC_CHECK_ROWS) {
            join->unchecked = 0;
            err = exec_check(node->exec, error);
        }
        if (err == OK && count != 0) {
            err = match_candidates(node, left, right, count, out, error);
        } else if (err == OK) {
            bool is_left = node->plan->join.kind == JOIN_LEFT;
            count = take_unmatched(node, left);
            if (is_left && count != 0)
                make_pairs(node, left, NULL, count, out);
        }
        if (out->row_count != 0)
            break;
    }
    return err;
}

static void join_close(struct exec_node *node)
{
    struct join *join = node->state;
    if (join->memory.budget == NULL)
        return;
    exec_evaluators_destroy(join->left_keys, node->plan->join.key_count);
    exec_evaluators_destroy(join->right_keys, node->plan->join.key_count);
    if (join->condition != NULL)
        evaluator_destroy(join->condition);
    size_t bytes =
        (join->head_capacity + join->chain_capacity + join->tail_capacity) * sizeof(uint32_t);
    if (bytes != 0)
        budget_release(node->exec->budget, bytes);
    memory_free(join->heads);
    memory_free(join->chain);
    memory_free(join->tails);
    tuple_table_deinit(&join->keys);
    rowset_deinit(&join->right);
    exec_memory_deinit(&join->memory);
}

const struct exec_operator exec_join_operator = {
    .name = "join",
    .state_size = sizeof(struct join),
    .open = join_open,
    .next = join_next,
    .close = join_close,
};
