/* Joins past the query's memory: both sides are put aside in parts by the hashes of their keys, and
 * joined part by part.
 *
 *   build side ──▶ 32 parts ─┐
 *   probe side ──▶ 32 parts ─┴▶ each pair of parts a task: built, probed as join.c does
 *
 * A task whose built rows do not fit either is split again, by five more bits of the hash, four
 * times at most. Where splitting would be of no use (all rows built have one key, or there are no
 * keys: a cross join) the built rows are taken in passes, as many at a time as fit, and the probing
 * side is read anew for each; of its rows a byte each says whether some pass met it, so what comes
 * out for having met nothing, or something, comes out in the last one. Rows with NULL in a key meet
 * nothing, but some kinds of join give them: they go with the part their hash says.
 *
 * A semi or anti join that keeps keys alone puts aside keys alone. */
#include "query/exec/join.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

#define DEPTH_MAX 4

static size_t part_count(const struct exec_node *node)
{
    return node->plan->join.key_count == 0 ? 1 : SPILL_PARTS;
}

/* --- when --- */

bool join_spill_is_due(const struct exec_node *node, const struct batch *in)
{
    const struct join *join = node->state;
    size_t rows = join->rows.row_count + in->row_count, keys = join->keys.count + in->row_count;
    if (!join->can_spill)
        return false;
    size_t own = rowset_size(&join->rows) + join->keys.count * sizeof(struct id_entry);
    size_t need = tuple_table_growth(&join->keys, in->row_count);
    if (!join->is_keys_only)
        need += rowset_growth(&join->rows, in, NULL, in->row_count) +
                exec_memory_growth(join->head_capacity, keys, sizeof(uint32_t)) +
                exec_memory_growth(join->tail_capacity, keys, sizeof(uint32_t)) +
                exec_memory_growth(join->chain_capacity, rows, sizeof(uint32_t)) +
                exec_memory_growth(join->met_capacity, rows, 1);
    return spill_is_due(node->exec, own, need);
}

/* --- parts --- */

/* The tasks that rows go to now: the last part_count() ones. */
static struct join_task *open_tasks(struct exec_node *node, unsigned depth)
{
    struct join *join = node->state;
    const struct plan *plan = node->plan;
    size_t count = part_count(node), needed = join->task_count + count;
    if (needed > join->task_capacity) {
        join->tasks = memory_realloc(join->tasks, needed * sizeof(*join->tasks));
        join->task_capacity = needed;
    }
    const struct type *types = join->is_keys_only ? join->key_types : join->side_types[join->build];
    size_t build_columns =
        join->is_keys_only ? plan->join.key_count : plan->children[join->build]->column_count;
    for (size_t i = 0; i < count; i++) {
        struct join_task *task = &join->tasks[join->task_count++];
        task->depth = depth;
        spill_stream_init(&task->build, node, types, build_columns);
        spill_stream_init(&task->probe, node, join->side_types[join->probe],
                          plan->children[join->probe]->column_count);
    }
    return &join->tasks[join->task_count - count];
}

static enum err end_tasks(struct exec_node *node, bool is_build, struct error *error)
{
    struct join *join = node->state;
    size_t count = part_count(node);
    enum err err = OK;
    for (size_t i = 0; err == OK && i < count; i++) {
        struct join_task *task = &join->tasks[join->task_count - count + i];
        err = spill_stream_end(is_build ? &task->build : &task->probe, error);
    }
    return err;
}

/* Writes the rows of a batch to the streams of the parts they are in. `keys` are its keys. */
static enum err write_parts(struct exec_node *node, const struct batch *in,
                            const struct column *keys, bool is_build, struct error *error)
{
    struct join *join = node->state;
    struct join_task *tasks = &join->tasks[join->task_count - SPILL_PARTS];
    struct spill_stream *streams[SPILL_PARTS];
    uint64_t hashes[VECTOR_ROWS_MAX];
    for (size_t part = 0; part < SPILL_PARTS; part++)
        streams[part] = is_build ? &tasks[part].build : &tasks[part].probe;
    tuple_hashes(keys, node->plan->join.key_count, NULL, in->row_count, hashes);
    return spill_write_parts(streams, tasks->depth, in, NULL, in->row_count, hashes, error);
}

/* `exprs` NULL: the batch is nothing but keys. */
static enum err route(struct exec_node *node, const struct batch *in, struct evaluator **exprs,
                      bool is_build, struct error *error)
{
    struct join *join = node->state;
    size_t key_count = node->plan->join.key_count;
    struct join_task *last = &join->tasks[join->task_count - 1];
    if (key_count == 0)
        return spill_stream_write(is_build ? &last->build : &last->probe, in, NULL, in->row_count,
                                  error);
    arena_reset(&node->scratch);
    struct column *keys;
    enum err err = join_keys(node, exprs, in, &keys, error);
    if (err != OK)
        return err;
    struct batch of_keys = {.row_count = in->row_count, .column_count = key_count, .columns = keys};
    return write_parts(node, is_build && join->is_keys_only ? &of_keys : in, keys, is_build, error);
}

enum err join_route_build(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct join *join = node->state;
    return route(node, in, join->side_keys[join->build], true, error);
}

static enum err route_probe(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct join *join = node->state;
    return route(node, in, join->side_keys[join->probe], false, error);
}

/* What is built goes to the parts. */
static enum err route_kept(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    size_t total = join->is_keys_only ? join->keys.count : join->rows.row_count;
    size_t column_count = join->is_keys_only ? node->plan->join.key_count : join->rows.column_count;
    struct column *columns = memory_alloc((column_count + 1) * sizeof(*columns));
    struct arena arena;
    enum err err = OK;
    arena_init(&arena);
    for (size_t first = 0; err == OK && first < total; first += VECTOR_ROWS_MAX) {
        size_t count = total - first < VECTOR_ROWS_MAX ? total - first : VECTOR_ROWS_MAX;
        struct batch batch = {.row_count = count, .column_count = column_count, .columns = columns};
        arena_reset(&arena);
        if (join->is_keys_only)
            tuple_table_keys(&join->keys, (uint32_t)first, count, &arena, columns);
        for (size_t i = 0; !join->is_keys_only && i < column_count; i++)
            columns[i] = rowset_column(&join->rows, i, first);
        err = route(node, &batch, join->is_keys_only ? NULL : join->side_keys[join->build], true,
                    error);
    }
    arena_deinit(&arena);
    memory_free(columns);
    join_tables_close(node);
    join_tables_open(node);
    return err;
}

enum err join_split(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    join->is_split = true;
    open_tasks(node, node->plan->join.key_count == 0 ? DEPTH_MAX : 0);
    return route_kept(node, error);
}

enum err join_split_probe(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    enum err err = end_tasks(node, true, error);
    if (err == OK)
        err = exec_each(node, join->probe, route_probe, error);
    return err == OK ? end_tasks(node, false, error) : err;
}

/* --- tasks --- */

static void close_task(struct join_task *task)
{
    spill_stream_deinit(&task->build);
    spill_stream_deinit(&task->probe);
}

static enum err route_rest(struct exec_node *node, struct spill_stream *stream, bool is_build,
                           struct error *error)
{
    struct join *join = node->state;
    bool is_of_keys = is_build && join->is_keys_only;
    struct evaluator **exprs =
        is_of_keys ? NULL : join->side_keys[is_build ? join->build : join->probe];
    for (;;) {
        struct batch in;
        enum err err = spill_stream_read(stream, VECTOR_ROWS_MAX, true, &in, error);
        if (err != OK || in.row_count == 0)
            return err;
        err = route(node, &in, exprs, is_build, error);
        if (err != OK)
            return err;
    }
}

/* The task in hand becomes 32 smaller ones. `first` was read of it and not kept. */
static enum err split_task(struct exec_node *node, const struct batch *first, struct error *error)
{
    struct join *join = node->state;
    struct evaluator **exprs = join->is_keys_only ? NULL : join->side_keys[join->build];
    open_tasks(node, join->task.depth + 1);
    enum err err = route_kept(node, error);
    if (err == OK)
        err = route(node, first, exprs, true, error);
    if (err == OK)
        err = route_rest(node, &join->task.build, true, error);
    if (err == OK)
        err = end_tasks(node, true, error);
    if (err == OK)
        err = route_rest(node, &join->task.probe, false, error);
    if (err == OK)
        err = end_tasks(node, false, error);
    close_task(&join->task);
    join->has_task = false;
    return err;
}

/* Builds as much of the task as fits; it may be split instead, and not be there any more. */
static enum err build_pass(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    bool is_first = join->pending.row_count == 0;
    join_tables_close(node);
    join_tables_open(node);
    join->is_more = false;
    for (;;) {
        enum err err = OK;
        if (join->pending.row_count == 0)
            err =
                spill_stream_read(&join->task.build, VECTOR_ROWS_MAX, true, &join->pending, error);
        if (err != OK || join->pending.row_count == 0)
            return err;
        if (join_spill_is_due(node, &join->pending)) {
            struct batch rest = join->pending;
            bool can_split = is_first && join->task.depth < DEPTH_MAX && join->keys.count > 1;
            if (can_split)
                join->pending.row_count = 0;
            join->is_more = !can_split;
            return can_split ? split_task(node, &rest, error) : OK;
        }
        err = join_keep(node, &join->pending, error);
        join->pending.row_count = 0;
        if (err != OK)
            return err;
    }
}

/* Several passes: a byte for each probing row. */
static enum err note_probes(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    size_t before = join->probe_met_capacity;
    if (!join->is_more || before >= join->task.probe.row_count)
        return OK;
    enum err err =
        exec_memory_grow(&join->memory, (void **)&join->probe_met, &join->probe_met_capacity,
                         (size_t)join->task.probe.row_count, 1, error);
    if (err == OK)
        memset(join->probe_met + before, 0, join->probe_met_capacity - before);
    return err;
}

static void drop_probes(struct exec_node *node)
{
    struct join *join = node->state;
    memory_free(join->probe_met);
    if (join->probe_met_capacity != 0)
        budget_release(node->exec->budget, join->probe_met_capacity);
    join->probe_met = NULL;
    join->probe_met_capacity = 0;
}

/* Is there anything to come of a task without rows on one side? */
static bool is_idle(const struct join *join, const struct join_task *task)
{
    bool has_build = task->build.row_count != 0, has_probe = task->probe.row_count != 0;
    if (has_build && has_probe)
        return false;
    return !(has_build && join->is_build_outer) &&
           !(has_probe && (join->is_probe_outer || join->is_first_enough));
}

enum err join_next_pass(struct exec_node *node, bool *is_end, struct error *error)
{
    struct join *join = node->state;
    for (;;) {
        if (join->has_task && join->is_more) {
            spill_stream_rewind(&join->task.probe);
        } else {
            if (join->has_task)
                close_task(&join->task);
            drop_probes(node);
            join->has_task = join->task_count != 0;
            *is_end = !join->has_task;
            if (*is_end)
                return OK;
            join->task = join->tasks[--join->task_count];
        }
        if (is_idle(join, &join->task)) {
            join->is_more = false;
            continue;
        }
        enum err err = build_pass(node, error);
        if (err == OK && join->has_task)
            err = note_probes(node, error);
        if (err != OK)
            return err;
        if (!join->has_task) /* it was split */
            continue;
        join->is_probe_done = false;
        join->in.row_count = 0;
        join->next_unmet = 0;
        join->probe_row = 0;
        return OK;
    }
}

/* --- the probing side --- */

enum err join_read_probe(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    enum err err =
        spill_stream_read(&join->task.probe, VECTOR_ROWS_MAX, !join->is_more, &join->in, error);
    if (err != OK || join->in.row_count == 0)
        return err;
    if (join->probe_met != NULL)
        memcpy(join->has_match, join->probe_met + join->probe_row, join->in.row_count);
    else
        memset(join->has_match, 0, join->in.row_count);
    join->probe_row += join->in.row_count;
    return OK;
}

void join_note_pass(struct join *join)
{
    size_t count = join->in.row_count;
    if (fault_is("join.pass_forgotten"))
        return;
    memcpy(join->probe_met + join->probe_row - count, join->has_match, count);
}

void join_spill_close(struct exec_node *node)
{
    struct join *join = node->state;
    drop_probes(node);
    if (join->has_task)
        close_task(&join->task);
    for (size_t i = 0; i < join->task_count; i++)
        close_task(&join->tasks[i]);
    memory_free(join->tasks);
    join->tasks = NULL;
    join->task_count = 0;
}
