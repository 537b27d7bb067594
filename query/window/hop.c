/* hop(): each row once per window it falls in, with the window's bounds.
 *
 *   window k = [origin + k * slide, origin + k * slide + size)      k over all integers
 *
 * A row at t is in the windows with (t - origin - size) / slide < k <= (t - origin) / slide.
 * Windows tile the clock face of the zone from 2000-01-03 00:00 (a Monday), months from 2000-01-01:
 * the rule of time_bucket and tumble (func/window.c), which is the case slide = size. A slide of up
 * to an hour is laid over the clock with the offset in force at the row, so that the two hours of
 * an autumn night stay apart; longer ones are bounded by the clock face, so that a day is a day, 23
 * or 25 hours long. Rows without a time, or at infinity, are in no window.
 *
 * Rows of one run (neighbours in the same windows) are handed on window by window as the batch has
 * them, with the bounds as constants: nothing is copied, and GROUP BY window_start sees one key a
 * batch. Where runs are short each (row, window) pair is gathered instead. */
#include "query/exec/operator.h"

#include "storage/base/fault.h"

#define ORIGIN_US (10959 * MICROSECONDS_PER_DAY) /* 2000-01-03 */
/* Times nearer than this to either end of int64 are left out: sums stay in range. */
#define DAYS_MAX (400 * 365)
#define MONTHS_MAX (400 * 12)
#define TIME_MARGIN (INT64_C(400) * 366 * MICROSECONDS_PER_DAY)
#define RUN_ROWS_MIN 32
#define PATIENCE_MIN 64

enum hop_unit { HOP_OFFSET, HOP_CLOCK, HOP_MONTHS };

struct hop {
    enum hop_unit unit;
    int64_t slide, size; /* in microseconds or months */
    int64_t offset;      /* of the clock at the row in hand */
    bool is_zoned;       /* the time column is timestamptz */
    struct batch in;
    size_t row;
    int64_t window, last_window; /* of that row; window > last_window: next row */
    bool has_row;
    size_t run_end;  /* rows from `row` up to here are in the same windows; 0: not looked at */
    size_t patience; /* rows to gather before the next look */
};

static int64_t interval_us(struct interval interval)
{
    return interval.days * MICROSECONDS_PER_DAY + interval.microseconds;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t to_local(const struct exec_node *node, int64_t us)
{
    const struct hop *hop = node->state;
    return hop->is_zoned ? timezone_to_local(node->plan->hop.zone, us) : us;
}

static int64_t to_time(const struct exec_node *node, int64_t local_us)
{
    const struct hop *hop = node->state;
    return hop->is_zoned ? timezone_to_utc(node->plan->hop.zone, local_us) : local_us;
}

static enum err hop_open(struct exec_node *node, struct error *error)
{
    struct hop *hop = node->state;
    const struct plan *plan = node->plan;
    struct interval slide = plan->hop.slide, size = plan->hop.size;
    hop->is_zoned = plan->children[0]->columns[plan->hop.time_column].type.id == TYPE_TIMESTAMPTZ;
    if (size.months <= MONTHS_MAX && (slide.months != 0 || size.months != 0)) {
        hop->unit = HOP_MONTHS;
        hop->slide = slide.months;
        hop->size = size.months;
    } else if (size.months == 0 && slide.days < DAYS_MAX && size.days < DAYS_MAX) {
        hop->slide = interval_us(slide);
        hop->size = interval_us(size);
        hop->unit = hop->slide <= MICROSECONDS_PER_HOUR ? HOP_OFFSET : HOP_CLOCK;
    }
    if (hop->slide <= 0 || hop->size <= 0 || hop->size > TIME_MARGIN || hop->size % hop->slide != 0)
        return error_set(error, ERR_INPUT, "22023",
                         "window size must be a positive multiple of slide");
    return OK;
}

static int64_t month_number(int64_t local_us)
{
    struct civil civil;
    civil_from_time(local_us, &civil);
    return ((int64_t)civil.year - 2000) * 12 + civil.month - 1;
}

/* The windows of a time: hop->window … hop->last_window. */
static void find_windows(struct exec_node *node, int64_t us)
{
    struct hop *hop = node->state;
    int64_t local = to_local(node, us);
    int64_t at = hop->unit == HOP_MONTHS ? month_number(local) : local - ORIGIN_US;
    hop->offset = local - us;
    hop->last_window = floor_divide(at, hop->slide);
    hop->window = floor_divide(at - hop->size, hop->slide) + 1;
}

static int64_t boundary(const struct exec_node *node, int64_t offset)
{
    const struct hop *hop = node->state;
    if (hop->unit == HOP_OFFSET)
        return ORIGIN_US + offset - hop->offset;
    if (hop->unit == HOP_CLOCK)
        return to_time(node, ORIGIN_US + offset);
    int64_t year = floor_divide(offset, 12);
    struct civil civil = {
        .year = (int32_t)(2000 + year), .month = (int32_t)(offset - year * 12 + 1), .day = 1};
    return to_time(node, time_from_civil(&civil));
}

/* To the next row of the input that is in a window; false at the input's end. */
static bool next_row(struct exec_node *node)
{
    struct hop *hop = node->state;
    const struct column *time = &hop->in.columns[node->plan->hop.time_column];
    for (; hop->row < hop->in.row_count; hop->row++) {
        if (column_is_null(time, hop->row))
            continue;
        int64_t us = time->i[column_index(time, hop->row)];
        if (us < INT64_MIN + TIME_MARGIN || us > INT64_MAX - TIME_MARGIN)
            continue;
        find_windows(node, us);
        if (hop->window <= hop->last_window)
            return true;
    }
    return false;
}

/* --- for groups that are told of runs of rows --- */

bool exec_hop_has_runs(const struct exec_node *node)
{
    const struct hop *hop = node->state;
    return hop->unit == HOP_OFFSET && (!hop->is_zoned || node->plan->hop.zone == timezone_utc);
}

bool exec_hop_run(struct exec_node *node, int64_t us, struct hop_run *out)
{
    struct hop *hop = node->state;
    if (us < INT64_MIN + TIME_MARGIN || us > INT64_MAX - TIME_MARGIN)
        return false;
    find_windows(node, us);
    *out = (struct hop_run){.end_us = boundary(node, hop->last_window * hop->slide) + hop->slide,
                            .window = hop->window,
                            .last_window = hop->last_window};
    return true;
}

void exec_hop_window(const struct exec_node *node, int64_t window, int64_t *start, int64_t *end)
{
    const struct hop *hop = node->state;
    *start = boundary(node, window * hop->slide);
    *end = boundary(node, window * hop->slide + hop->size);
}

/* --- rows --- */

void exec_hop_drop(struct exec_node *node)
{
    struct hop *hop = node->state;
    if (fault_is("hop.keeps_rows"))
        return;
    hop->in = (struct batch){0};
    hop->row = hop->run_end = 0;
    hop->has_row = false;
}

/* Up to a batch of (row, window) pairs of the input in hand, of the next `patience` rows. */
static size_t take_windows(struct exec_node *node, uint32_t *rows, int64_t *starts, int64_t *ends)
{
    struct hop *hop = node->state;
    size_t count = 0, end = hop->row + hop->patience;
    while (count < VECTOR_ROWS_MAX) {
        if (!hop->has_row) {
            if (hop->row >= end || !next_row(node))
                break;
            hop->has_row = true;
        }
        rows[count] = (uint32_t)hop->row;
        starts[count] = boundary(node, hop->window * hop->slide);
        ends[count++] = boundary(node, hop->window * hop->slide + hop->size);
        if (++hop->window > hop->last_window) {
            hop->has_row = false;
            hop->row++;
        }
    }
    return count;
}

/* How far the windows of the row in hand reach: rows from it on with a time in [its slide's start,
 * that of the next slide), on a clock that stands still. */
static void find_run(struct exec_node *node)
{
    struct hop *hop = node->state;
    const struct column *time = &hop->in.columns[node->plan->hop.time_column];
    hop->run_end = hop->row + 1;
    if (hop->unit != HOP_OFFSET || time->form != COLUMN_FLAT || time->validity != NULL ||
        (hop->is_zoned && node->plan->hop.zone != timezone_utc))
        return;
    int64_t start = boundary(node, hop->last_window * hop->slide);
    while (hop->run_end < hop->in.row_count &&
           (uint64_t)time->i[hop->run_end] - (uint64_t)start < (uint64_t)hop->slide)
        hop->run_end++;
}

/* Rows [first, first + count) of a column. */
static struct column part_of(const struct column *column, size_t first)
{
    struct column part = *column;
    if (column->form == COLUMN_CONSTANT)
        return part;
    if (column->form == COLUMN_DICTIONARY)
        part.codes = column->codes + first;
    else
        part.values =
            (const char *)column->values + first * physical_size(type_physical(column->type.id));
    if (column->validity != NULL)
        part.validity = column->validity + first;
    return part;
}

/* The run in hand in its next window. */
static void give_run(struct exec_node *node, struct batch *out)
{
    struct hop *hop = node->state;
    size_t columns_in = node->plan->column_count - 2;
    struct column *columns = arena_alloc_array(&node->scratch, columns_in + 2, sizeof(*columns));
    for (size_t i = 0; i < columns_in; i++)
        columns[i] = part_of(&hop->in.columns[i], hop->row);
    for (size_t i = 0; i < 2; i++) {
        int64_t offset = hop->window * hop->slide + (i == 1 ? hop->size : 0);
        struct value bound = {.type = node->plan->columns[columns_in + i].type,
                              .i = boundary(node, offset)};
        columns[columns_in + i] = column_from_value(&bound, &node->scratch);
    }
    *out = (struct batch){
        .row_count = hop->run_end - hop->row, .column_count = columns_in + 2, .columns = columns};
    if (++hop->window > hop->last_window) {
        hop->row = hop->run_end;
        hop->has_row = false;
        hop->run_end = 0;
    }
}

/* Is there a long run at the row in hand, or in hand already? */
static bool has_run(struct exec_node *node)
{
    struct hop *hop = node->state;
    if (hop->run_end > hop->row + 1)
        return true;
    if (hop->has_row || !next_row(node))
        return false;
    hop->has_row = true;
    find_run(node);
    bool is_long = hop->run_end - hop->row >= RUN_ROWS_MIN;
    bool is_first = hop->patience == 0;
    hop->patience = is_long || is_first               ? PATIENCE_MIN
                    : hop->patience < VECTOR_ROWS_MAX ? hop->patience * 2
                                                      : VECTOR_ROWS_MAX;
    if (!is_long)
        hop->run_end = 0;
    return is_long;
}

static enum err hop_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct hop *hop = node->state;
    size_t columns_in = node->plan->column_count - 2;
    for (;;) {
        if (!hop->has_row && hop->row >= hop->in.row_count) {
            enum err err = exec_next(node->children[0], &hop->in, error);
            if (err != OK || hop->in.row_count == 0)
                return err;
            node->exec->actual[node->plan->id].rows_in += hop->in.row_count;
            hop->row = 0;
        }
        arena_reset(&node->scratch);
        if (has_run(node)) {
            give_run(node, out);
            return exec_check(node->exec, error);
        }
        uint32_t rows[VECTOR_ROWS_MAX];
        int64_t *starts = arena_alloc_array(&node->scratch, VECTOR_ROWS_MAX, sizeof(*starts));
        int64_t *ends = arena_alloc_array(&node->scratch, VECTOR_ROWS_MAX, sizeof(*ends));
        size_t count = take_windows(node, rows, starts, ends);
        enum err err = exec_check(node->exec, error);
        if (err != OK)
            return err;
        if (count == 0)
            continue;
        struct column *columns =
            arena_alloc_array(&node->scratch, columns_in + 2, sizeof(*columns));
        for (size_t i = 0; i < columns_in; i++)
            columns[i] = column_gather(&hop->in.columns[i], rows, count, &node->scratch);
        columns[columns_in] =
            (struct column){.type = node->plan->columns[columns_in].type, .values = starts};
        columns[columns_in + 1] =
            (struct column){.type = node->plan->columns[columns_in + 1].type, .values = ends};
        *out =
            (struct batch){.row_count = count, .column_count = columns_in + 2, .columns = columns};
        return OK;
    }
}

const struct exec_operator exec_hop_operator = {
    .name = "hop",
    .state_size = sizeof(struct hop),
    .open = hop_open,
    .next = hop_next,
};
