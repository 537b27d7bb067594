/* Columns that a top-N reads late: SELECT * … ORDER BY key LIMIT 10 over fifty columns looks at one
 * of them, and at ten rows of the others.
 *
 *   scan ── keys, columns of the filter, row numbers ──▶ sort ── numbers of the top ──▶ cursor_pick
 *
 * Late is a column of the table that comes to the sort as it is and is none of its keys, while no
 * expression between scan and sort reads it: what is computed is computed for every row, as it may
 * raise. A column that the filter alone reads besides comes late from blocks where the cursor has
 * held every row against the filter. The scan gives late columns as NULLs, unread, and the sort
 * does not keep them; the rows that come out are read by their numbers, a batch in the order they
 * lie in, and put back in theirs. Only where few of the rows can come out: reading many by number
 * is dearer than reading all. */
#include "query/exec/late.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX ((size_t)64 << 10)   /* that come out … */
#define ROWS_SHARE 128                /* … and at most one of so many … */
#define ROWS_SMALL ((size_t)64 << 10) /* … of a table with more than these */
#define MEMORY_SHARE 8                /* of the query's memory for rows that come out at once */
#define CHECK_PICKS 64                /* batches of rows by number between two looks at the clock */

static void need(void *context, uint32_t column)
{
    ((bool *)context)[column] = true;
}

/* Columns of the scan that expressions above it read, by `needed`; *sources: the scan's column that
 * a column of the sort's child is as it comes, UINT32_MAX: none. */
static void find_needed(const struct plan *sort, const struct plan *scan, uint32_t *sources,
                        bool *needed, bool *keys)
{
    const struct plan *child = sort->children[0];
    for (size_t i = 0; i < sort->sort.key_count; i++)
        expr_visit_columns(sort->sort.keys[i].expr, need, keys);
    for (uint32_t i = 0; i < child->column_count; i++) {
        const struct expr *expr = child == scan ? NULL : child->project.exprs[i];
        sources[i] = expr == NULL ? i : expr->kind == EXPR_COLUMN ? expr->column : UINT32_MAX;
        if (sources[i] == UINT32_MAX)
            expr_visit_columns(expr, need, needed);
        else if (keys[i])
            needed[sources[i]] = true;
    }
}

static bool is_worth_it(const struct exec_node *scan, size_t top)
{
    uint64_t rows = table_view_rows(exec_scan_view(scan));
    return top > 0 && top <= ROWS_MAX && (rows <= ROWS_SMALL || top <= rows / ROWS_SHARE);
}

void late_open(struct exec_node *sort, size_t top, struct late *late)
{
    struct arena *arena = &sort->exec->arena;
    struct exec_node *child = sort->children[0], *scan = child;
    if (child->plan->kind == PLAN_PROJECT)
        scan = child->children[0];
    if (scan->plan->kind != PLAN_SCAN || !is_worth_it(scan, top))
        return;
    const struct plan *plan = scan->plan;
    size_t column_count = child->plan->column_count;
    uint32_t *sources = arena_alloc_array(arena, column_count, sizeof(*sources));
    bool *keys = arena_alloc_zero(arena, column_count + 1);
    bool *left_out = arena_alloc_zero(arena, 2 * (plan->column_count + 1));
    bool *left_out_if_exact = left_out + plan->column_count + 1;
    find_needed(sort->plan, plan, sources, left_out_if_exact, keys);
    memcpy(left_out, left_out_if_exact, plan->column_count);
    if (plan->scan.filter != NULL)
        expr_visit_columns(plan->scan.filter, need, left_out);
    late->outputs = arena_alloc_array(arena, column_count + 1, sizeof(*late->outputs));
    late->columns = arena_alloc_array(arena, column_count + 1, sizeof(*late->columns));
    late->is_late = arena_alloc_zero(arena, column_count + 1);
    for (uint32_t i = 0; i < column_count; i++) {
        if (sources[i] == UINT32_MAX || left_out_if_exact[sources[i]])
            continue;
        late->is_late[i] = true;
        late->outputs[late->count] = i;
        late->columns[late->count++] = plan->scan.columns[sources[i]];
    }
    if (late->count == 0)
        return;
    for (size_t i = 0; i < plan->column_count; i++) { /* needed became left out */
        left_out[i] = !left_out[i];
        left_out_if_exact[i] = !left_out_if_exact[i];
    }
    late->scan = scan;
    exec_scan_leave_out(scan, left_out, left_out_if_exact);
}

static void open_cursor(struct exec_node *sort, struct late *late)
{
    struct arena *arena = &sort->exec->arena;
    late->rows_max = VECTOR_ROWS_MAX;
    struct type *types = arena_alloc_array(arena, late->count, sizeof(*types));
    for (size_t i = 0; i < late->count; i++)
        types[i] = sort->plan->children[0]->columns[late->outputs[i]].type;
    rowset_init_types(&late->rows, types, late->count, sort->exec->budget);
    late->cursor = cursor_open(exec_scan_view(late->scan), late->columns, late->count, NULL);
}

static enum err charge_dictionaries(struct exec_node *sort, struct late *late, struct error *error)
{
    uint64_t pinned = cursor_counts(late->cursor)->bytes_pinned;
    if (pinned == late->charged)
        return OK;
    enum err err = budget_charge(sort->exec->budget, pinned - late->charged, error);
    late->charged = err == OK ? pinned : late->charged;
    return err;
}

/* Whether these rows beside the ones read take too much, while fewer could be read instead. */
static bool is_too_much(const struct exec_node *sort, const struct late *late,
                        const struct batch *batch, size_t count)
{
    size_t share = sort->exec->budget->limit / MEMORY_SHARE;
    return count > 1 &&
           rowset_size(&late->rows) + rowset_growth(&late->rows, batch, NULL, batch->row_count) >
               share;
}

/* All of the rows, ascending, into late->rows; *is_done false: they are too many at once. */
static enum err read_rows(struct exec_node *sort, struct late *late, const uint64_t *rows,
                          size_t count, bool *is_done, struct error *error)
{
    enum err err = OK;
    rowset_clear(&late->rows);
    *is_done = true;
    for (size_t done = 0, picks = 0; err == OK && done < count; picks++) {
        struct batch batch;
        if (picks % CHECK_PICKS == 0)
            err = exec_check(sort->exec, error);
        if (err == OK)
            err = cursor_pick(late->cursor, rows + done, count - done, &batch, error);
        if (err == OK)
            err = charge_dictionaries(sort, late, error);
        if (err != OK)
            return err;
        *is_done = !is_too_much(sort, late, &batch, count);
        if (!*is_done)
            return OK;
        err = rowset_append(&late->rows, &batch, NULL, batch.row_count, error);
        done += batch.row_count;
    }
    return err;
}

struct place {
    uint64_t row;
    uint32_t index;
};

static int compare_places(const void *a, const void *b)
{
    uint64_t x = ((const struct place *)a)->row, y = ((const struct place *)b)->row;
    return (x > y) - (x < y);
}

/* The first `count` of the rows; *is_done as above. selection[i]: which of those read is the i-th.
 */
static enum err read_first(struct exec_node *sort, struct late *late, const struct column *numbers,
                           size_t count, uint32_t *selection, bool *is_done, struct error *error)
{
    struct place *places = arena_alloc_array(&sort->scratch, count, sizeof(*places));
    uint64_t *rows = arena_alloc_array(&sort->scratch, count, sizeof(*rows));
    for (uint32_t i = 0; i < count; i++)
        places[i] = (struct place){(uint64_t)numbers->i[i], i};
    qsort(places, count, sizeof(*places), compare_places);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = places[i].row;
        selection[fault_is("topn.late_row") ? i : places[i].index] = i;
    }
    return read_rows(sort, late, rows, count, is_done, error);
}

enum err late_read(struct exec_node *sort, struct late *late, const struct column *numbers,
                   size_t *count, struct column *out, struct error *error)
{
    assert(*count > 0 && *count <= VECTOR_ROWS_MAX && numbers->form == COLUMN_FLAT);
    uint32_t *selection = arena_alloc_array(&sort->scratch, *count, sizeof(*selection));
    if (late->cursor == NULL)
        open_cursor(sort, late);
    enum err err = OK;
    for (bool is_done = false; err == OK && !is_done;) {
        *count = *count < late->rows_max ? *count : late->rows_max;
        err = read_first(sort, late, numbers, *count, selection, &is_done, error);
        if (err == OK && !is_done)
            late->rows_max = *count / 2;
    }
    for (size_t i = 0; err == OK && i < late->count; i++) {
        struct column all = rowset_column(&late->rows, i, 0);
        out[late->outputs[i]] = column_gather(&all, selection, *count, &sort->scratch);
    }
    struct plan_actual *actual = &sort->exec->actual[sort->plan->id];
    actual->late_rows += *count;
    actual->late_columns = late->count;
    return err;
}

void late_close(struct exec_node *sort, struct late *late)
{
    if (late->cursor == NULL)
        return;
    const struct scan_counts *counts = cursor_counts(late->cursor);
    struct plan_actual *actual = &sort->exec->actual[late->scan->plan->id];
    actual->counts.pages_read += counts->pages_read;
    actual->counts.bytes_read += counts->bytes_read;
    cursor_close(late->cursor);
    rowset_deinit(&late->rows);
    late->cursor = NULL;
}
