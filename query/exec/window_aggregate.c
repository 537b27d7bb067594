/* Aggregates over frames, in better than quadratic time.
 *
 *   GROW   frames begin where the partition does: one state, to which rows are added as frames end
 *          later. A row a step, or a vector of peers a step.
 *   SLIDE  counts and sums of whole numbers: what leaves the frame is taken away again, exactly.
 *   TREE   everything else, and every frame with EXCLUDE. States of 8 rows, of 64, of 512 … are
 * made once a partition; a frame is put together from at most 14 of each size and as many rows:
 *          doubles lose nothing by it, since nothing is ever taken away. In row order, which
 *          matters to aggregates that keep it.
 *   EACH   aggregates that cannot be combined: each frame anew.
 *
 * A frame equal to the one before gives the value it gave. States' own memory lives as long as the
 * partition, results' as long as the batch. */
#include "query/exec/window.h"

#include "query/func/aggregate.h"

#include <assert.h>
#include <string.h>

#define FANOUT 8

static const struct aggregate *aggregate_of(const struct window_run *run)
{
    return run->call->aggregate.aggregate;
}

static struct aggregate_memory memory_of(struct window_run *run, struct exec_memory *memory)
{
    return (struct aggregate_memory){.arena = &memory->arena,
                                     .budget = run->node->exec->budget,
                                     .zone = run->node->exec->eval.zone};
}

void window_aggregate_open(struct window_run *run)
{
    const struct window_frame *frame = &run->call->frame;
    const struct aggregate *aggregate = aggregate_of(run);
    exec_memory_init(&run->states, run->node->exec->budget);
    exec_memory_init(&run->frame, run->node->exec->budget);
    exec_memory_init(&run->finished, run->node->exec->budget);
    run->state = arena_alloc_zero(&run->node->exec->arena, aggregate->state_size + 16);
    bool is_whole = frame->exclusion == EXCLUDE_NONE;
    run->strategy = is_whole && frame->start == BOUND_UNBOUNDED_PRECEDING ? STRATEGY_GROW
                    : is_whole && aggregate->remove != NULL               ? STRATEGY_SLIDE
                    : aggregate->combine != NULL                          ? STRATEGY_TREE
                                                                          : STRATEGY_EACH;
}

void window_aggregate_close(struct window_run *run)
{
    size_t size = aggregate_of(run)->state_size;
    for (size_t level = 0; level < WINDOW_LEVELS_MAX; level++)
        if (run->level_capacity[level] != 0)
            exec_memory_release(&run->memory, run->levels[level],
                                run->level_capacity[level] * size);
    exec_memory_deinit(&run->states);
    exec_memory_deinit(&run->frame);
    exec_memory_deinit(&run->finished);
}

/* Rows of the block to rows of the inputs: FILTER leaves some out. */
static size_t to_input(const struct window_run *run, size_t row)
{
    return run->filter == NULL ? row : run->passed[row];
}

void window_aggregate_begin(struct window_run *run, const struct window_partition *partition)
{
    run->begin = run->end = to_input(run, partition->begin);
    run->has_last = false;
    run->has_tree = false;
    arena_reset(&run->states.arena);
    aggregate_of(run)->init(run->state);
}

/* --- rows into a state --- */

static void view_rows(const struct window_run *run, size_t first, struct column *out)
{
    assert(run->argument_count <= AGGREGATE_ARGUMENTS_MAX);
    for (size_t index = 0; index < run->argument_count; index++)
        out[index] = rowset_column(&run->inputs, index, first);
    out[run->argument_count] = (struct column){.type = type_of(TYPE_UNKNOWN)};
}

static enum err add_rows(struct window_run *run, char *state, size_t begin, size_t end,
                         struct aggregate_memory *memory, struct error *error)
{
    struct column arguments[AGGREGATE_ARGUMENTS_MAX + 1];
    if (begin >= end)
        return OK;
    view_rows(run, begin, arguments);
    return aggregate_of(run)->update(state, aggregate_of(run)->state_size, NULL, NULL, end - begin,
                                     arguments, memory, error);
}

static void remove_rows(struct window_run *run, size_t begin, size_t end)
{
    struct column arguments[AGGREGATE_ARGUMENTS_MAX + 1];
    view_rows(run, begin, arguments);
    aggregate_of(run)->remove(run->state, end - begin, arguments);
}

static enum err grow(struct window_run *run, const struct window_range *pieces, size_t count,
                     struct error *error)
{
    size_t end = count > 0 ? pieces[0].end : run->end;
    struct aggregate_memory memory = memory_of(run, &run->states);
    assert(count <= 1 && end >= run->end);
    enum err err = add_rows(run, run->state, run->end, end, &memory, error);
    run->end = end;
    return err;
}

static enum err slide(struct window_run *run, const struct window_range *pieces, size_t count,
                      struct error *error)
{
    struct window_range frame = count > 0 ? pieces[0] : (struct window_range){run->end, run->end};
    assert(count <= 1 && frame.begin >= run->begin && frame.end >= run->end);
    if (frame.begin >= run->end) {
        aggregate_of(run)->init(run->state);
        run->begin = run->end = frame.begin;
    } else {
        remove_rows(run, run->begin, frame.begin);
        run->begin = frame.begin;
    }
    struct aggregate_memory memory = memory_of(run, &run->states);
    enum err err = add_rows(run, run->state, run->end, frame.end, &memory, error);
    run->end = frame.end;
    return err;
}

/* --- the tree --- */

static char *tree_state(const struct window_run *run, size_t level, size_t index)
{
    return run->levels[level] + index * aggregate_of(run)->state_size;
}

/* levels[0] holds states of 8 rows each, levels[1] of 64 …; incomplete ones are left out, since no
 * frame needs them. */
static enum err build_tree(struct window_run *run, size_t begin, size_t end, struct error *error)
{
    const struct aggregate *aggregate = aggregate_of(run);
    struct aggregate_memory memory = memory_of(run, &run->states);
    run->tree_first = begin;
    memset(run->level_count, 0, sizeof(run->level_count));
    size_t count = (end - begin) / FANOUT;
    for (size_t level = 0; level < WINDOW_LEVELS_MAX && count > 0; level++) {
        enum err err =
            exec_memory_grow(&run->memory, (void **)&run->levels[level],
                             &run->level_capacity[level], count, aggregate->state_size, error);
        for (size_t index = 0; err == OK && index < count; index++) {
            char *state = tree_state(run, level, index);
            size_t first = index * FANOUT;
            aggregate->init(state);
            if (level == 0)
                err = add_rows(run, state, begin + first, begin + first + FANOUT, &memory, error);
            for (size_t part = 0; level > 0 && err == OK && part < FANOUT; part++)
                err = aggregate->combine(state, tree_state(run, level - 1, first + part), &memory,
                                         error);
            if (err == OK && index % EXEC_CHECK_ROWS == EXEC_CHECK_ROWS - 1)
                err = exec_check(run->node->exec, error);
        }
        if (err == OK)
            err = exec_memory_settle(&run->states, error);
        if (err != OK)
            return err;
        run->level_count[level] = count;
        count /= FANOUT;
    }
    run->has_tree = true;
    return OK;
}

static enum err take_states(struct window_run *run, size_t level, size_t begin, size_t end,
                            struct aggregate_memory *memory, struct error *error)
{
    enum err err = OK;
    for (size_t index = begin; err == OK && index < end; index++)
        err = aggregate_of(run)->combine(run->state, tree_state(run, level, index), memory, error);
    return err;
}

/* Adds [begin, end): rows where `level` is 0 (counted from the partition's start), else the states
 * of levels[level - 1]. What can be is left to the level above. */
static enum err cover(struct window_run *run, size_t level, size_t begin, size_t end,
                      struct aggregate_memory *memory, struct error *error)
{
    size_t upper_begin = (begin + FANOUT - 1) / FANOUT, upper_end = end / FANOUT;
    bool is_top = upper_begin >= upper_end || level == WINDOW_LEVELS_MAX ||
                  upper_end > run->level_count[level];
    size_t left_end = is_top ? end : upper_begin * FANOUT;
    size_t right_begin = is_top ? end : upper_end * FANOUT;
    size_t first = run->tree_first;
    enum err err = level == 0
                       ? add_rows(run, run->state, first + begin, first + left_end, memory, error)
                       : take_states(run, level - 1, begin, left_end, memory, error);
    if (err == OK && !is_top)
        err = cover(run, level + 1, upper_begin, upper_end, memory, error);
    if (err == OK)
        err = level == 0
                  ? add_rows(run, run->state, first + right_begin, first + end, memory, error)
                  : take_states(run, level - 1, right_begin, end, memory, error);
    return err;
}

static enum err put_together(struct window_run *run, const struct window_partition *partition,
                             const struct window_range *pieces, size_t count, struct error *error)
{
    struct aggregate_memory memory = memory_of(run, &run->frame);
    enum err err = OK;
    arena_reset(&run->frame.arena);
    aggregate_of(run)->init(run->state);
    bool is_tree = run->strategy == STRATEGY_TREE;
    if (is_tree && !run->has_tree)
        err =
            build_tree(run, to_input(run, partition->begin), to_input(run, partition->end), error);
    for (size_t index = 0; err == OK && index < count; index++)
        err = is_tree ? cover(run, 0, pieces[index].begin - run->tree_first,
                              pieces[index].end - run->tree_first, &memory, error)
                      : add_rows(run, run->state, pieces[index].begin, pieces[index].end, &memory,
                                 error);
    return err == OK ? exec_memory_settle(&run->frame, error) : err;
}

/* --- a row --- */

static bool same_pieces(const struct window_run *run, const struct window_range *pieces,
                        size_t count)
{
    if (!run->has_last || run->last_count != count)
        return false;
    for (size_t index = 0; index < count; index++)
        if (run->last[index].begin != pieces[index].begin ||
            run->last[index].end != pieces[index].end)
            return false;
    return true;
}

static size_t to_inputs(const struct window_run *run, struct window_range *pieces, size_t count)
{
    size_t kept = 0;
    for (size_t index = 0; index < count; index++) {
        struct window_range piece = {to_input(run, pieces[index].begin),
                                     to_input(run, pieces[index].end)};
        if (piece.begin < piece.end)
            pieces[kept++] = piece;
    }
    return kept;
}

static enum err compute(struct window_run *run, const struct window_partition *partition,
                        const struct window_range *pieces, size_t count, struct error *error)
{
    struct aggregate_memory memory = memory_of(run, &run->finished);
    enum err err = run->strategy == STRATEGY_GROW ? grow(run, pieces, count, error)
                   : run->strategy == STRATEGY_SLIDE
                       ? slide(run, pieces, count, error)
                       : put_together(run, partition, pieces, count, error);
    if (err != OK)
        return err;
    run->last_value = (struct value){.type = run->call->aggregate.type};
    err = aggregate_of(run)->finish(run->state, &run->call->aggregate, &memory, &run->last_value,
                                    error);
    run->has_last = true;
    run->last_count = count;
    memcpy(run->last, pieces, count * sizeof(*pieces));
    if (err == OK)
        err = exec_memory_settle(&run->states, error);
    return err != OK ? err : exec_memory_settle(&run->finished, error);
}

enum err window_aggregate_fill(struct window_run *run, const struct window_partition *partition,
                               size_t first, size_t count, struct error *error)
{
    for (size_t row = first; row < first + count; row++) {
        struct window_range pieces[WINDOW_PIECES_MAX];
        size_t piece_count;
        enum err err = frame_walk_row(&run->walk, partition, row, pieces, &piece_count, error);
        if (err == OK && run->filter != NULL)
            piece_count = to_inputs(run, pieces, piece_count);
        if (err == OK && !same_pieces(run, pieces, piece_count))
            err = compute(run, partition, pieces, piece_count, error);
        if (err != OK)
            return err;
        column_builder_add(&run->builder, &run->last_value);
        if ((row & 255) == 255) {
            err = exec_check(run->node->exec, error);
            if (err != OK)
                return err;
        }
    }
    return OK;
}
