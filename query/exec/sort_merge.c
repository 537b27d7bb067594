/* ORDER BY past the query's memory: sorted runs on disk, merged.
 *
 *   kept rows ──sorted──▶ run 0, run 1 … ──▶ heap of the runs' next rows ──▶ batches in order
 *
 * A run is a stream of rows in order, with the keys that are not columns of the child. Runs are
 * numbered in the order their rows came in and rows of equal keys leave by that number, so the sort
 * is as stable as the one in memory. As many runs are merged at once as their blocks in hand fit a
 * quarter of the query's memory; more than those are first merged by neighbours into longer ones,
 * until few enough are left: each pass writes the rows once more. Where a limit is known no run is
 * longer than it.
 *
 * A batch given borrows texts from the runs' pieces. So it ends where a piece does, and the next
 * piece is read at the next call. */
#include "query/exec/sort.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

#define FAN_SHARE 4       /* of the limit, for blocks in hand */
#define BLOCKS_OF_A_RUN 3 /* the block, and the piece's arrays and texts */
#define FAN_MIN 2

struct source {
    struct spill_stream *rows;
    struct batch piece;
    struct sort_entry entry; /* of the next row, entry.row */
    bool is_empty;           /* of the piece: the next one is to be read */
};

struct sort_merge {
    struct source *sources;
    size_t source_count;
    uint32_t *heap; /* source numbers, the least row first */
    size_t heap_count;
    bool is_last; /* runs are not read again */
    uint64_t given;
    /* Where columns come late: rows in hand, in the node's scratch, and how many of them came out.
     */
    struct batch kept;
    size_t kept_next;
};

/* --- runs --- */

static struct sort_run *add_run(struct exec_node *node)
{
    struct sort *sort = node->state;
    if (sort->run_count == sort->run_capacity) {
        sort->run_capacity = sort->run_capacity == 0 ? 16 : 2 * sort->run_capacity;
        sort->runs = memory_realloc(sort->runs, sort->run_capacity * sizeof(*sort->runs));
    }
    struct sort_run *run = &sort->runs[sort->run_count++];
    spill_stream_init(&run->rows, node, sort->types, sort->column_count);
    return run;
}

enum err sort_spill_run(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    uint32_t selection[VECTOR_ROWS_MAX];
    size_t total = sort->entry_count < sort->top ? sort->entry_count : sort->top;
    struct sort_run *run = add_run(node);
    struct column *columns = memory_alloc((sort->column_count + 1) * sizeof(*columns));
    for (size_t i = 0; i < sort->column_count; i++)
        columns[i] = rowset_column(&sort->rows, i, 0);
    struct batch all = {
        .row_count = sort->rows.row_count, .column_count = sort->column_count, .columns = columns};
    enum err err = OK;
    for (size_t first = 0; err == OK && first < total; first += VECTOR_ROWS_MAX) {
        size_t count = total - first < VECTOR_ROWS_MAX ? total - first : VECTOR_ROWS_MAX;
        for (size_t i = 0; i < count; i++)
            selection[i] = sort->entries[first + i].row;
        err = spill_stream_write(&run->rows, &all, selection, count, error);
    }
    if (err == OK)
        err = spill_stream_end(&run->rows, error);
    memory_free(columns);
    if (fault_is("sort.run_dropped") && sort->run_count == 2)
        spill_stream_deinit(&sort->runs[--sort->run_count].rows);
    rowset_clear(&sort->rows);
    sort->entry_count = 0;
    return err;
}

/* --- the heap --- */

static bool is_before(const struct sort *sort, const struct sort_merge *merge, uint32_t a,
                      uint32_t b)
{
    const struct source *left = &merge->sources[a], *right = &merge->sources[b];
    const struct sort_order *order = &sort->order;
    const struct column *left_columns = left->piece.columns, *right_columns = right->piece.columns;
    if (fault_is("sort.merge_order"))
        return left->entry.prefix < right->entry.prefix;
    if (a < b) /* of equal rows the earlier run's comes first */
        return !sort_is_after(order, &left->entry, left_columns, &right->entry, right_columns);
    return sort_is_after(order, &right->entry, right_columns, &left->entry, left_columns);
}

static void sift_down(const struct sort *sort, struct sort_merge *merge, size_t at)
{
    uint32_t moved = merge->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= merge->heap_count)
            break;
        if (child + 1 < merge->heap_count &&
            is_before(sort, merge, merge->heap[child + 1], merge->heap[child]))
            child++;
        if (!is_before(sort, merge, merge->heap[child], moved))
            break;
        merge->heap[at] = merge->heap[child];
        at = child;
    }
    merge->heap[at] = moved;
}

static void set_entry(const struct sort *sort, struct source *source, uint32_t row)
{
    source->entry =
        sort_make_entry(&sort->order.keys[0], &source->piece.columns[sort->places[0]], row);
    source->entry.row = row;
}

static enum err read_piece(const struct sort *sort, struct sort_merge *merge, struct source *source,
                           struct error *error)
{
    source->is_empty = false;
    enum err err = spill_stream_read(source->rows, 1, merge->is_last, &source->piece, error);
    if (err == OK && source->piece.row_count != 0)
        set_entry(sort, source, 0);
    return err;
}

/* The source at the top of the heap has nothing in hand: its next piece, or it leaves. */
static enum err refill_top(const struct sort *sort, struct sort_merge *merge, struct error *error)
{
    struct source *source = &merge->sources[merge->heap[0]];
    if (!source->is_empty)
        return OK;
    enum err err = read_piece(sort, merge, source, error);
    if (err != OK)
        return err;
    if (source->piece.row_count == 0)
        merge->heap[0] = merge->heap[--merge->heap_count];
    if (merge->heap_count != 0)
        sift_down(sort, merge, 0);
    return OK;
}

static void merge_free(struct sort_merge *merge)
{
    if (merge == NULL)
        return;
    memory_free(merge->sources);
    memory_free(merge->heap);
    memory_free(merge);
}

static enum err merge_create(struct exec_node *node, size_t first_run, size_t run_count,
                             struct sort_merge **out, struct error *error)
{
    struct sort *sort = node->state;
    struct sort_merge *merge = memory_alloc_zero(sizeof(*merge));
    merge->sources = memory_alloc_zero((run_count + 1) * sizeof(*merge->sources));
    merge->heap = memory_alloc_zero((run_count + 1) * sizeof(*merge->heap));
    merge->source_count = run_count;
    merge->is_last = true;
    *out = merge;
    for (size_t i = 0; i < run_count; i++) {
        struct source *source = &merge->sources[i];
        source->rows = &sort->runs[first_run + i].rows;
        enum err err = read_piece(sort, merge, source, error);
        if (err != OK)
            return err;
        if (source->piece.row_count != 0)
            merge->heap[merge->heap_count++] = (uint32_t)i;
    }
    for (size_t i = merge->heap_count / 2; i-- > 0;)
        sift_down(sort, merge, i);
    return OK;
}

/* --- merging --- */

struct taken {
    uint32_t source, row;
};

/* The next rows in order, until one of the pieces ends. */
static enum err take_rows(const struct sort *sort, struct sort_merge *merge, size_t wanted,
                          struct taken *taken, size_t *count, struct error *error)
{
    *count = 0;
    if (merge->heap_count == 0)
        return OK;
    enum err err = refill_top(sort, merge, error);
    while (err == OK && merge->heap_count != 0 && *count < wanted) {
        struct source *source = &merge->sources[merge->heap[0]];
        uint32_t row = source->entry.row;
        taken[(*count)++] = (struct taken){merge->heap[0], row};
        if (row + 1 == source->piece.row_count) {
            source->is_empty = true; /* what is given may lie in it: read at the next call */
            break;
        }
        set_entry(sort, source, row + 1);
        sift_down(sort, merge, 0);
    }
    return err;
}

/* One column of the rows taken, in the arena; texts stay in the pieces. */
static struct column collect(const struct sort_merge *merge, const struct taken *taken,
                             size_t count, size_t index, struct type type, struct arena *arena)
{
    size_t size = physical_size(type_physical(type.id));
    char *values = arena_alloc_array(arena, count, size);
    uint8_t *validity = arena_alloc(arena, count);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &merge->sources[taken[i].source].piece.columns[index];
        validity[i] = column->validity[taken[i].row];
        memcpy(values + i * size, (const char *)column->values + taken[i].row * size, size);
    }
    bool has_null = memchr(validity, 0, count) != NULL;
    return (struct column){.type = type,
                           .form = COLUMN_FLAT,
                           .validity = has_null ? validity : NULL,
                           .values = values};
}

static enum err merge_batch(struct exec_node *node, struct sort_merge *merge, size_t wanted,
                            size_t column_count, struct batch *out, struct error *error)
{
    struct sort *sort = node->state;
    struct taken taken[VECTOR_ROWS_MAX];
    size_t count = 0;
    if (wanted > VECTOR_ROWS_MAX)
        wanted = VECTOR_ROWS_MAX;
    arena_reset(&node->scratch);
    *out = (struct batch){.column_count = column_count};
    while (count == 0 && wanted != 0 && merge->heap_count != 0) {
        enum err err = take_rows(sort, merge, wanted, taken, &count, error);
        if (err != OK)
            return err;
    }
    out->columns = arena_alloc_array(&node->scratch, column_count + 1, sizeof(*out->columns));
    for (size_t i = 0; count != 0 && i < column_count; i++)
        out->columns[i] = collect(merge, taken, count, i, sort->types[i], &node->scratch);
    out->row_count = count;
    return OK;
}

/* Runs first … first + count - 1 become the last run of the list. */
static enum err merge_to_run(struct exec_node *node, size_t first, size_t count,
                             struct error *error)
{
    struct sort *sort = node->state;
    struct sort_merge *merge = NULL;
    struct sort_run *run = add_run(node); /* may move the others: before sources point at them */
    enum err err = merge_create(node, first, count, &merge, error);
    size_t left = sort->top;
    while (err == OK && left != 0) {
        struct batch batch;
        err = merge_batch(node, merge, left, sort->column_count, &batch, error);
        if (err != OK || batch.row_count == 0)
            break;
        err = spill_stream_write(&run->rows, &batch, NULL, batch.row_count, error);
        left -= batch.row_count;
    }
    if (err == OK)
        err = spill_stream_end(&run->rows, error);
    merge_free(merge);
    for (size_t i = first; i < first + count; i++)
        spill_stream_deinit(&sort->runs[i].rows);
    return err;
}

static size_t fan_in(const struct exec *exec)
{
    size_t fan = exec->budget->limit / FAN_SHARE / (BLOCKS_OF_A_RUN * spill_block_size(exec));
    return fan < FAN_MIN ? FAN_MIN : fan;
}

enum err sort_merge_begin(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    size_t fan = fan_in(node->exec);
    assert(sort->entry_count == 0);
    while (sort->run_count > fan) {
        enum err err = OK;
        size_t before = sort->run_count;
        for (size_t first = 0; err == OK && first < before; first += fan)
            err = merge_to_run(node, first, before - first < fan ? before - first : fan, error);
        if (err != OK)
            return err;
        sort->run_count -= before;
        memmove(sort->runs, sort->runs + before, sort->run_count * sizeof(*sort->runs));
    }
    return merge_create(node, 0, sort->run_count, &sort->merge, error);
}

/* The next rows behind the offset as the runs have them. */
static enum err next_merged(struct exec_node *node, size_t column_count, struct batch *out,
                            struct error *error)
{
    struct sort *sort = node->state;
    struct sort_merge *merge = sort->merge;
    for (;;) {
        uint64_t offset = (uint64_t)sort->offset;
        bool is_skipped = merge->given < offset;
        uint64_t end = is_skipped ? offset : sort->top;
        enum err err =
            merge_batch(node, merge, (size_t)(end - merge->given), column_count, out, error);
        merge->given += out->row_count;
        if (err != OK || !is_skipped || out->row_count == 0)
            return err;
    }
}

enum err sort_merge_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct sort *sort = node->state;
    struct sort_merge *merge = sort->merge;
    if (sort->late.count == 0)
        return next_merged(node, node->plan->column_count, out, error);
    enum err err = OK;
    if (merge->kept_next == merge->kept.row_count) {
        err = next_merged(node, sort->column_count, &merge->kept, error);
        merge->kept_next = 0;
    }
    if (err == OK)
        err = sort_arrange(node, &merge->kept, merge->kept_next, out, error);
    merge->kept_next += err == OK ? out->row_count : 0;
    return err;
}

void sort_merge_end(struct exec_node *node)
{
    struct sort *sort = node->state;
    merge_free(sort->merge);
    for (size_t i = 0; i < sort->run_count; i++)
        spill_stream_deinit(&sort->runs[i].rows);
    memory_free(sort->runs);
    sort->runs = NULL;
    sort->run_count = 0;
    sort->merge = NULL;
}
