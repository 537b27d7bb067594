/* The rows that calls with OVER are computed beside: of whole partitions and the one that is read.
 *
 *   rows 0 … first      put aside in a stream on disk, in order; read back once, to be given out
 *   rows first … count  in memory
 *
 * A partition may have more rows than the query's memory holds. What a call needs of a row is small
 * (its arguments, the number of its peers) and is looked at in any order, so it stays in memory;
 * the rows themselves are only given out again, first to last, and can lie on disk until then. The
 * last one stays, since the next is compared with it, and of the others the key that frames are
 * found by, where there are such frames. */
#include "query/exec/window.h"

#include "query/func/over.h"
#include "storage/base/fault.h"

#include <assert.h>

/* --- open, close --- */

/* Are keys of rows other than the one in hand looked at? */
static bool looks_at_keys(const struct window_call *call)
{
    const struct window_frame *frame = &call->frame;
    bool has_range =
        frame->mode == FRAME_RANGE && (frame->start_offset != NULL || frame->end_offset != NULL);
    return has_range || (call->function != NULL && call->function->kind == OVER_INTERPOLATE);
}

void window_store_init(struct window_store *store, struct exec_node *node)
{
    const struct plan *plan = node->plan, *child = plan->children[0];
    struct type *types =
        arena_alloc_array(&node->exec->arena, child->column_count + 1, sizeof(*types));
    for (size_t index = 0; index < child->column_count; index++)
        types[index] = child->columns[index].type;
    *store = (struct window_store){.node = node, .types = types};
    rowset_init(&store->rows, child->columns, child->column_count, node->exec->budget);
    if (plan->window.key_count == plan->window.partition_count)
        return;
    store->key = plan->window.keys[plan->window.partition_count].expr->column;
    for (size_t index = 0; index < plan->window.call_count; index++)
        store->has_keys = store->has_keys || looks_at_keys(&plan->window.calls[index]);
}

void window_store_deinit(struct window_store *store)
{
    if (store->node == NULL)
        return;
    rowset_deinit(&store->rows);
    rowset_deinit(&store->keys);
    spill_stream_deinit(&store->aside);
}

/* --- rows in --- */

static enum err keep_keys(struct window_store *store, const struct column *key, size_t count,
                          struct error *error)
{
    struct column column = *key;
    struct batch one = {.row_count = count, .column_count = 1, .columns = &column};
    return rowset_append(&store->keys, &one, NULL, count, error);
}

/* From here on the keys of all rows are kept apart. */
static enum err begin_aside(struct window_store *store, struct error *error)
{
    enum err err = OK;
    if (store->aside.node != NULL)
        return OK;
    spill_stream_init(&store->aside, store->node, store->types, store->rows.column_count);
    if (store->has_keys)
        rowset_init_types(&store->keys, &store->types[store->key], 1, store->node->exec->budget);
    for (size_t row = 0, count; err == OK && store->has_keys && row < store->rows.row_count;
         row += count) {
        size_t left = store->rows.row_count - row;
        count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
        struct column key = rowset_column(&store->rows, store->key, row);
        err = keep_keys(store, &key, count, error);
    }
    return err;
}

/* All rows but the last go to disk. */
static enum err put_aside(struct window_store *store, struct error *error)
{
    size_t total = store->rows.row_count - (fault_is("window.last_row_aside") ? 0 : 1);
    struct column *columns = memory_alloc((store->rows.column_count + 1) * sizeof(*columns));
    enum err err = begin_aside(store, error);
    for (size_t row = 0, count; err == OK && row < total; row += count) {
        count = total - row < VECTOR_ROWS_MAX ? total - row : VECTOR_ROWS_MAX;
        for (size_t index = 0; index < store->rows.column_count; index++)
            columns[index] = rowset_column(&store->rows, index, row);
        struct batch batch = {
            .row_count = count, .column_count = store->rows.column_count, .columns = columns};
        err = spill_stream_write(&store->aside, &batch, NULL, count, error);
    }
    memory_free(columns);
    if (err != OK)
        return err;
    store->first += store->rows.row_count - 1;
    return rowset_drop_front(&store->rows, store->rows.row_count - 1, error);
}

enum err window_store_make_room(struct window_store *store, const struct batch *in, size_t need,
                                struct error *error)
{
    need += rowset_growth(&store->rows, in, NULL, in->row_count);
    if (store->rows.row_count < 2 ||
        !spill_is_due(store->node->exec, rowset_size(&store->rows), need))
        return OK;
    return put_aside(store, error);
}

enum err window_store_append(struct window_store *store, const struct batch *in,
                             struct error *error)
{
    if (window_store_count(store) + in->row_count > UINT32_MAX - 1)
        return error_set(error, ERR_LIMIT, "54000", "a query cannot keep more than %u rows",
                         UINT32_MAX);
    enum err err = rowset_append(&store->rows, in, NULL, in->row_count, error);
    if (err == OK && store->aside.node != NULL && store->has_keys)
        err = keep_keys(store, &in->columns[store->key], in->row_count, error);
    return err;
}

/* --- rows out --- */

enum err window_store_end(struct window_store *store, struct error *error)
{
    return store->aside.node == NULL ? OK : spill_stream_end(&store->aside, error);
}

struct column window_store_key(const struct window_store *store)
{
    bool is_apart = store->aside.node != NULL && store->has_keys;
    return rowset_column(is_apart ? &store->keys : &store->rows, is_apart ? 0 : store->key, 0);
}

enum err window_store_read(struct window_store *store, size_t row, size_t *count,
                           struct column *columns, struct error *error)
{
    size_t most = *count < VECTOR_ROWS_MAX ? *count : VECTOR_ROWS_MAX;
    struct batch batch;
    if (row >= store->first) {
        *count = most;
        for (size_t index = 0; index < store->rows.column_count; index++)
            columns[index] = rowset_column(&store->rows, index, row - store->first);
        return OK;
    }
    enum err err = spill_stream_read(&store->aside, VECTOR_ROWS_MAX, true, &batch, error);
    if (err != OK)
        return err;
    if (batch.row_count == 0 || batch.row_count > store->first - row || batch.row_count > most)
        return error_set(error, ERR_CORRUPT, "XX001", "rows that were spilled to disk are damaged");
    *count = batch.row_count;
    memcpy(columns, batch.columns, store->rows.column_count * sizeof(*columns));
    return OK;
}

enum err window_store_drop(struct window_store *store, size_t row, struct error *error)
{
    assert(row >= store->first);
    spill_stream_deinit(&store->aside);
    rowset_deinit(&store->keys);
    size_t first = row - store->first;
    store->first = 0;
    return rowset_drop_front(&store->rows, first, error);
}
