/* Scans of user tables, through a cursor over the snapshot's view.
 *
 *   view ── morsel ── morsel ── morsel          bounds of event time against [time_from, time_to]
 *             └ vectors of 2,048 rows ── filter ── gather ──▶ batch
 *
 * The bounds, and the conditions that the cursor is given (condition.c), only skip; the filter
 * holds the exact condition. They are evaluated once, when the scan opens, so now() in them is the
 * statement's. A vector that passes the filter whole is handed
 * on as the cursor gave it; else its columns are gathered, dictionaries staying dictionaries.
 * A group without keys may be told of a morsel as a whole instead of its rows (digest.c); columns
 * it needs for nothing else stay unread then. A group by time is told of runs of a morsel whose
 * rows are in order of time (runs.c): where a bucket ends is found by halving. Between morsels the
 * worker's permit may change hands. Under ORDER BY time DESC LIMIT n morsels come last first, and
 * the sort moves a bound as it learns what it still wants: the newest rows of a table are found
 * without reading the old ones. By another column the best morsels come first, and rows behind the
 * bound do not come (top.c). */
#include "query/exec/condition.h"
#include "query/exec/top.h"

#include <assert.h>
#include <string.h>

#define RUNS_MAX 512     /* of a morsel */
#define RUNS_FEW 4       /* a block's first and last bucket are cut */
#define RUN_ROWS_MIN 128 /* on average: below it rows cost less than looking for ends */

struct scan_run {
    int64_t us; /* of its first row */
    uint64_t end;
};

struct scan {
    struct cursor *cursor;
    struct evaluator *filter;
    const struct table_view *view;
    size_t morsel, morsel_end, morsel_count, morsels_read;
    bool is_in_morsel;
    uint64_t row_begin, row_end; /* of the one morsel there is; row_end 0: all of its rows */
    struct scan_bounds bounds;
    struct scan_conditions conditions;
    const struct scan_digest *digest;         /* NULL: none */
    struct scan_extent *extents;              /* of its items */
    struct scan_run *runs;                    /* RUNS_MAX, where it is told of runs */
    bool is_digested;                         /* the current morsel */
    bool is_joined;                           /* another scan of the query counts what it skipped */
    bool is_reversed;                         /* morsels from the last to the first */
    struct top_bound top;                     /* of a sort above */
    const bool *left_out, *left_out_if_exact; /* NULL: no column is */
    bool has_row_numbers;
    struct column row_numbers; /* of the last batch */
    uint64_t charged;          /* for dictionaries that the snapshot keeps */
    size_t segment_count;
    uint64_t *segment_ends; /* row numbers */
    bool *is_segment_read;
};

static enum err read_bound(struct exec *exec, const struct expr *expr, bool *has, int64_t *us,
                           struct error *error)
{
    *has = false;
    if (expr == NULL)
        return OK;
    struct value value;
    enum err err = expr_evaluate_constant(expr, &exec->eval, &exec->arena, &value, error);
    if (err != OK || value.is_null)
        return err;
    *has = true;
    *us = value.i;
    return OK;
}

/* Where segments end, to tell which of them were read. */
static void note_segments(struct exec_node *node)
{
    struct scan *scan = node->state;
    struct arena *arena = &node->exec->arena;
    scan->segment_count = table_view_segment_count(scan->view);
    scan->segment_ends = arena_alloc_array(arena, scan->segment_count, sizeof(uint64_t));
    scan->is_segment_read = arena_alloc_zero(arena, scan->segment_count + 1);
    uint64_t rows = 0;
    for (size_t i = 0; i < scan->segment_count; i++) {
        struct segment_statistics segment;
        table_view_segment(scan->view, i, &segment);
        scan->segment_ends[i] = rows += segment.rows;
    }
}

static void note_read(struct scan *scan, size_t morsel)
{
    uint64_t row = table_view_morsel(scan->view, morsel).begin;
    size_t low = 0, high = scan->segment_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scan->segment_ends[middle] <= row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < scan->segment_count)
        scan->is_segment_read[low] = true;
    scan->morsels_read++;
}

static void note_skipped(struct exec_node *node)
{
    struct scan *scan = node->state;
    struct plan_actual *actual = &node->exec->actual[node->plan->id];
    size_t skipped = 0;
    for (size_t i = 0; i < scan->segment_count; i++)
        skipped += !scan->is_segment_read[i];
    node->exec->statistics.segments += scan->segment_count;
    node->exec->statistics.segments_skipped += skipped;
    actual->segments += scan->segment_count;
    actual->segments_skipped += skipped;
    actual->blocks += scan->morsel_count;
    if (scan->morsels_read < scan->morsel_count) /* some may have been read twice */
        actual->blocks_skipped += scan->morsel_count - scan->morsels_read;
}

/* What was not read by the time the scan closes was skipped. */
static void note_end(struct exec_node *node)
{
    struct scan *scan = node->state;
    struct plan_actual *actual = &node->exec->actual[node->plan->id];
    if (!scan->is_joined)
        note_skipped(node);
    const struct scan_counts *counts = cursor_counts(scan->cursor);
    actual->counts.rows_by_bitmap += counts->rows_by_bitmap;
    actual->counts.rows_considered += counts->rows_considered;
    actual->counts.bitmap_columns |= counts->bitmap_columns;
    actual->counts.bitmaps_used += counts->bitmaps_used;
    actual->counts.pages_read += counts->pages_read;
    actual->counts.bytes_read += counts->bytes_read;
}

static enum err scan_open(struct exec_node *node, struct error *error)
{
    struct scan *scan = node->state;
    const struct plan *plan = node->plan;
    const struct schema *schema = plan->scan.schema;
    scan->view = snapshot_find_id(node->exec->snapshot, schema->table_id);
    if (scan->view == NULL)
        return error_set(error, ERR_NOT_FOUND, "42P01", "relation \"%.*s\" does not exist",
                         SLICE_ARGS(schema->name));
    struct scan_bounds *bounds = &scan->bounds;
    enum err err =
        read_bound(node->exec, plan->scan.time_from, &bounds->has_from, &bounds->from_us, error);
    if (err == OK)
        err = read_bound(node->exec, plan->scan.time_to, &bounds->has_to, &bounds->to_us, error);
    if (err != OK)
        return err;
    scan_conditions_open(node->exec, plan, bounds, &scan->conditions);
    scan->cursor =
        cursor_open(scan->view, plan->scan.columns, plan->column_count, &scan->conditions.filter);
    if (plan->scan.filter != NULL)
        scan->filter = evaluator_create(plan->scan.filter, &node->exec->eval);
    scan->morsel_count = scan->morsel_end = table_view_morsel_count(scan->view);
    note_segments(node);
    return OK;
}

static bool can_skip(const struct scan *scan, size_t morsel)
{
    int64_t min_us, max_us;
    const struct scan_bounds *bounds = &scan->bounds;
    if ((!bounds->has_from && !bounds->has_to) ||
        !table_view_morsel_times(scan->view, morsel, &min_us, &max_us))
        return false;
    return (bounds->has_from && max_us < bounds->from_us) ||
           (bounds->has_to && min_us > bounds->to_us);
}

static size_t morsel_at(const struct scan *scan)
{
    if (scan->top.order != NULL)
        return scan->top.order[scan->morsel];
    return scan->is_reversed ? scan->morsel_count - 1 - scan->morsel : scan->morsel;
}

void exec_scan_follow_order(struct exec_node *node, bool is_descending)
{
    struct scan *scan = node->state;
    scan->is_reversed = is_descending;
}

static bool is_skipped(const void *context, size_t morsel)
{
    return can_skip(context, morsel);
}

enum err exec_scan_top(struct exec_node *node, struct top_key *key, bool is_ordered,
                       struct error *error)
{
    struct scan *scan = node->state;
    top_init(&scan->top, key);
    scan->conditions.filter.bound = &scan->top.bound;
    if (is_ordered || scan->conditions.is_never)
        return OK;
    enum err err = top_order(&scan->top, scan->cursor, scan->view, is_skipped, scan,
                             &node->exec->arena, error);
    key->is_by_place = scan->top.key.is_by_place;
    return err;
}

void exec_scan_worst(struct exec_node *node, const struct value *worst, uint64_t row)
{
    struct scan *scan = node->state;
    top_set_worst(&scan->top, worst, row);
}

void exec_scan_leave_out(struct exec_node *node, const bool *columns, const bool *if_exact)
{
    struct scan *scan = node->state;
    scan->left_out = columns;
    scan->left_out_if_exact = if_exact;
}

void exec_scan_number_rows(struct exec_node *node)
{
    struct scan *scan = node->state;
    scan->has_row_numbers = true;
}

const struct column *exec_scan_row_numbers(const struct exec_node *node)
{
    const struct scan *scan = node->state;
    assert(scan->has_row_numbers);
    return &scan->row_numbers;
}

const struct table_view *exec_scan_view(const struct exec_node *node)
{
    const struct scan *scan = node->state;
    return scan->view;
}

bool exec_scan_can_skip(const struct exec_node *node, size_t morsel)
{
    const struct scan *scan = node->state;
    return scan->conditions.is_never || can_skip(scan, morsel);
}

void exec_scan_range(struct exec_node *node, size_t begin, size_t end)
{
    struct scan *scan = node->state;
    assert(!scan->is_reversed && begin <= end && end <= scan->morsel_count);
    scan->morsel = begin;
    scan->morsel_end = end;
    scan->is_in_morsel = false;
    scan->row_begin = scan->row_end = 0;
}

void exec_scan_rows(struct exec_node *node, uint64_t begin, uint64_t end)
{
    struct scan *scan = node->state;
    assert(scan->morsel + 1 == scan->morsel_end && begin < end);
    scan->row_begin = begin;
    scan->row_end = end;
}

void exec_scan_join(struct exec_node *node, struct exec_node *other)
{
    struct scan *scan = node->state, *from = other->state;
    for (size_t i = 0; i < scan->segment_count; i++)
        scan->is_segment_read[i] = scan->is_segment_read[i] || from->is_segment_read[i];
    scan->morsels_read += from->morsels_read;
    from->is_joined = true;
}

void exec_scan_bound(struct exec_node *node, int64_t worst_us)
{
    struct scan *scan = node->state;
    struct scan_bounds *bounds = &scan->bounds;
    if (scan->is_reversed && (!bounds->has_from || worst_us > bounds->from_us)) {
        bounds->has_from = true;
        bounds->from_us = worst_us;
    } else if (!scan->is_reversed && (!bounds->has_to || worst_us < bounds->to_us)) {
        bounds->has_to = true;
        bounds->to_us = worst_us;
    }
}

void exec_scan_digest(struct exec_node *node, const struct scan_digest *digest)
{
    struct scan *scan = node->state;
    scan->digest = digest;
    scan->extents =
        arena_alloc_zero(&node->exec->arena, (digest->item_count + 1) * sizeof(*scan->extents));
    if (digest->runs != NULL)
        scan->runs = arena_alloc_array(&node->exec->arena, RUNS_MAX, sizeof(*scan->runs));
}

bool exec_scan_is_digested(const struct exec_node *node)
{
    const struct scan *scan = node->state;
    return scan->is_digested;
}

static void count_rows(struct exec_node *node, uint64_t count)
{
    atomic_fetch_add_explicit(&node->exec->statistics.rows_scanned, count, memory_order_relaxed);
    node->exec->actual[node->plan->id].rows_in += count;
}

/* Whether an item before this one was asked the same. */
static bool has_same(const struct scan_digest *digest, size_t index, size_t *same)
{
    const struct scan_digest_item *item = &digest->items[index];
    for (*same = 0; *same < index; ++*same) {
        const struct scan_digest_item *other = &digest->items[*same];
        if (other->has_column && item->has_column && other->column == item->column &&
            other->want == item->want)
            return true;
    }
    return false;
}

/* Extents of all items over rows [begin, end) of those that come. */
static enum err read_extents(struct scan *scan, uint64_t begin, uint64_t end, struct error *error)
{
    const struct scan_digest *digest = scan->digest;
    enum err err = OK;
    for (size_t i = 0, same; err == OK && i < digest->item_count; i++) {
        const struct scan_digest_item *item = &digest->items[i];
        scan->extents[i] = (struct scan_extent){.row_count = end - begin};
        if (has_same(digest, i, &same))
            scan->extents[i] = scan->extents[same];
        else if (item->has_column)
            err = cursor_extent_part(scan->cursor, item->column, item->want, begin, end,
                                     &scan->extents[i], error);
    }
    return err;
}

/* All of the digest's items, or nothing is read for any of them. */
static enum err knows_all(struct scan *scan, bool *is_known, struct error *error)
{
    const struct scan_digest *digest = scan->digest;
    enum err err = OK;
    for (size_t i = 0; err == OK && *is_known && i < digest->item_count; i++)
        if (digest->items[i].has_column)
            err = cursor_extent(scan->cursor, digest->items[i].column, digest->items[i].want,
                                is_known, NULL, error);
    return err;
}

static bool knows_parts(struct scan *scan)
{
    const struct scan_digest *digest = scan->digest;
    bool is_known = true;
    for (size_t i = 0; is_known && i < digest->item_count; i++)
        is_known = !digest->items[i].has_column ||
                   cursor_knows_parts(scan->cursor, digest->items[i].column, digest->items[i].want);
    return is_known;
}

/* Cuts the morsel into runs; *count 0: they are too short, or not known. */
static enum err find_runs(struct scan *scan, uint64_t row_count, size_t *count, struct error *error)
{
    const struct scan_runs *runs = scan->digest->runs;
    uint64_t begin = 0;
    *count = 0;
    for (size_t i = 0; begin < row_count; i++) {
        int64_t end_us;
        if (i == RUNS_MAX || (i > RUNS_FEW && begin < i * RUN_ROWS_MIN))
            return OK;
        enum err err =
            cursor_time_at(scan->cursor, runs->time_column, begin, &scan->runs[i].us, error);
        if (err != OK)
            return err;
        if (!runs->find_end(runs->context, scan->runs[i].us, &end_us))
            return OK;
        err = cursor_time_end(scan->cursor, runs->time_column, begin, end_us, &scan->runs[i].end,
                              error);
        if (err != OK)
            return err;
        begin = scan->runs[i].end;
        if (begin == row_count)
            *count = i + 1;
    }
    return OK;
}

/* Hands the digest a morsel run by run. */
static enum err digest_runs(struct exec_node *node, uint64_t row_count, struct error *error)
{
    struct scan *scan = node->state;
    const struct scan_digest *digest = scan->digest;
    size_t run_count = 0;
    enum err err = find_runs(scan, row_count, &run_count, error);
    if (err != OK || run_count == 0 || !digest->runs->begin(digest->runs->context, run_count))
        return err;
    scan->is_digested = true;
    scan->is_in_morsel = false;
    count_rows(node, row_count);
    node->exec->actual[node->plan->id].rows += row_count;
    uint64_t begin = 0;
    for (size_t i = 0; err == OK && i < run_count; begin = scan->runs[i++].end) {
        err = read_extents(scan, begin, scan->runs[i].end, error);
        if (err == OK)
            err = digest->runs->take(digest->runs->context, scan->runs[i].us, scan->extents, error);
    }
    return err;
}

/* How many rows of the morsel come, where they need not come for what the digest wants. The filter
 * is held against all of a block's rows for it only if nothing else is wanted of them. */
static enum err count_digested(struct scan *scan, bool *is_known, uint64_t *row_count,
                               struct error *error)
{
    const struct scan_digest *digest = scan->digest;
    const struct scan_runs *runs = digest->runs;
    bool has_parts = digest->is_all && cursor_has_parts(scan->cursor) && knows_parts(scan);
    *is_known =
        (scan->filter == NULL || cursor_is_exact(scan->cursor)) &&
        (runs == NULL || (has_parts && cursor_is_in_time_order(scan->cursor, runs->time_column)));
    if (!*is_known)
        return OK;
    enum err err = cursor_rows(scan->cursor, is_known, row_count, error);
    if (err == OK && !*is_known && has_parts) {
        err = cursor_list(scan->cursor, error);
        if (err == OK)
            err = cursor_rows(scan->cursor, is_known, row_count, error);
    }
    if (err == OK && *is_known && *row_count != 0 && runs == NULL)
        err = knows_all(scan, is_known, error);
    return err;
}

/* Hands the digest what is known of a morsel that was just sought, if that is all it wants. */
static enum err digest_morsel(struct exec_node *node, struct error *error)
{
    struct scan *scan = node->state;
    const struct scan_digest *digest = scan->digest;
    uint64_t row_count = 0;
    bool is_known;
    enum err err = count_digested(scan, &is_known, &row_count, error);
    if (err != OK || !is_known)
        return err;
    if (row_count == 0) {
        scan->is_in_morsel = false;
        return OK;
    }
    if (digest->runs != NULL)
        return digest_runs(node, row_count, error);
    err = read_extents(scan, 0, row_count, error);
    if (err != OK)
        return err;
    scan->is_digested = true;
    cursor_leave_out(scan->cursor, digest->is_unread);
    if (digest->is_all) {
        scan->is_in_morsel = false;
        count_rows(node, row_count);
        node->exec->actual[node->plan->id].rows += row_count;
    }
    return digest->take(digest->context, scan->extents, error);
}

/* Has the next morsel nothing that is wanted, by what is known of it without looking at it? */
static bool is_behind(struct scan *scan)
{
    size_t morsel = morsel_at(scan);
    if (can_skip(scan, morsel))
        return true;
    return scan->top.is_on &&
           !top_enter(&scan->top, scan->morsel, table_view_morsel(scan->view, morsel).end);
}

/* To the start of the next morsel that may hold rows; false after the last one. */
static enum err next_morsel(struct exec_node *node, bool *has, struct error *error)
{
    struct scan *scan = node->state;
    if (scan->conditions.is_never)
        scan->morsel = scan->morsel_end;
    while (scan->morsel < scan->morsel_end && is_behind(scan))
        scan->morsel++;
    *has = scan->morsel < scan->morsel_end;
    if (!*has)
        return OK;
    enum err err = exec_check(node->exec, error);
    if (err != OK)
        return err;
    err = cursor_seek(scan->cursor, morsel_at(scan), &scan->is_in_morsel, error);
    if (err == OK && scan->is_in_morsel)
        note_read(scan, morsel_at(scan));
    if (err == OK && scan->is_in_morsel && scan->row_end != 0)
        cursor_limit(scan->cursor, scan->row_begin, scan->row_end);
    scan->morsel++;
    scan->is_digested = false;
    if (err == OK && scan->is_in_morsel && scan->left_out != NULL)
        cursor_leave_out(scan->cursor,
                         cursor_is_exact(scan->cursor) ? scan->left_out_if_exact : scan->left_out);
    if (err == OK && scan->is_in_morsel && scan->digest != NULL)
        err = digest_morsel(node, error);
    return err;
}

/* Dictionaries that were handed out stay as long as the snapshot: past what the cache is for they
 * are the query's memory, until it ends. */
static enum err charge_dictionaries(struct exec_node *node, struct error *error)
{
    struct scan *scan = node->state;
    uint64_t pinned = cursor_counts(scan->cursor)->bytes_pinned;
    if (pinned == scan->charged)
        return OK;
    enum err err = budget_charge(node->exec->budget, pinned - scan->charged, error);
    scan->charged = err == OK ? pinned : scan->charged;
    return err;
}

/* A column more: the numbers of its rows. */
static void number_rows(struct exec_node *node, struct batch *batch)
{
    struct scan *scan = node->state;
    struct arena *arena = &node->scratch;
    size_t count = batch->column_count;
    struct column *columns = arena_alloc_array(arena, count + 1, sizeof(*columns));
    int64_t *numbers = arena_alloc_array(arena, batch->row_count, sizeof(*numbers));
    memcpy(columns, batch->columns, count * sizeof(*columns));
    cursor_row_numbers(scan->cursor, numbers);
    columns[count] =
        (struct column){.type = type_of(TYPE_INT8), .form = COLUMN_FLAT, .values = numbers};
    batch->columns = columns;
    batch->column_count++;
}

/* Of a batch of the cursor the rows that the filter leaves. */
static enum err filter_rows(struct exec_node *node, struct batch *batch, struct error *error)
{
    struct scan *scan = node->state;
    enum err err = OK;
    if (scan->has_row_numbers)
        number_rows(node, batch);
    if (scan->filter != NULL && !cursor_is_exact(scan->cursor))
        err = exec_keep(node, scan->filter, batch, error);
    if (err == OK && scan->has_row_numbers && batch->row_count != 0)
        scan->row_numbers = batch->columns[--batch->column_count];
    return err;
}

static enum err scan_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct scan *scan = node->state;
    for (;;) {
        struct batch batch = {0};
        if (!scan->is_in_morsel) {
            bool has;
            enum err err = next_morsel(node, &has, error);
            if (err != OK || !has)
                return err;
        }
        if (scan->is_in_morsel) {
            enum err err = cursor_next(scan->cursor, &batch, &scan->is_in_morsel, error);
            if (err == OK)
                err = charge_dictionaries(node, error);
            if (err != OK)
                return err;
        }
        if (!scan->is_in_morsel)
            continue;
        count_rows(node, batch.row_count);
        arena_reset(&node->scratch);
        enum err err = filter_rows(node, &batch, error);
        if (err != OK)
            return err;
        if (batch.row_count != 0) {
            *out = batch;
            return OK;
        }
    }
}

static void scan_close(struct exec_node *node)
{
    struct scan *scan = node->state;
    if (scan->cursor != NULL) {
        note_end(node);
        cursor_close(scan->cursor);
    }
    top_deinit(&scan->top);
    scan_conditions_close(&scan->conditions);
    if (scan->filter != NULL)
        evaluator_destroy(scan->filter);
}

const struct exec_operator exec_scan_operator = {
    .name = "scan",
    .state_size = sizeof(struct scan),
    .open = scan_open,
    .next = scan_next,
    .close = scan_close,
};
