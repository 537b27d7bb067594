/* Frames: which rows a call with OVER sees from a row.
 *
 *   ROWS    the row's place, plus or minus
 *   GROUPS  the place of its peers among the peers of the partition, plus or minus
 *   RANGE   the rows whose key lies within key ± offset; two pointers that only move forward, since
 *           rows are in key order, so a partition costs its rows, not its frames
 *
 * EXCLUDE then takes a hole out, which leaves up to three pieces (TIES: before the peers, the row
 * itself, behind the peers). RANGE follows PostgreSQL's in_range functions: integers cannot wrap,
 * NaN is within reach of NaN only, an infinite key and an infinite offset that meet reach all,
 * NULLs are peers of NULLs. Time keys move on the clock of the session's zone. */
#include "query/exec/window.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <math.h>

#define NO_GROUP UINT32_MAX

void frame_walk_init(struct frame_walk *walk, const struct exec_node *node,
                     const struct window_frame *frame)
{
    *walk = (struct frame_walk){.node = node, .frame = frame, .group = NO_GROUP};
}

void frame_walk_begin(struct frame_walk *walk, const struct window_partition *partition)
{
    walk->group = NO_GROUP;
    walk->head = walk->tail = partition->begin;
}

/* --- offsets --- */

static enum err read_offset(struct frame_walk *walk, const struct expr *expr, bool is_start,
                            struct value *out, struct error *error)
{
    struct exec *exec = walk->node->exec;
    if (expr == NULL)
        return OK;
    enum err err = expr_evaluate_constant(expr, &exec->eval, &exec->arena, out, error);
    if (err != OK)
        return err;
    const char *which = is_start ? "starting" : "ending";
    if (out->is_null)
        return error_set(error, ERR_INPUT, "22004", "frame %s offset must not be null", which);
    if (walk->frame->mode != FRAME_RANGE && out->i < 0)
        return error_set(error, ERR_INPUT, "22013", "frame %s offset must not be negative", which);
    return OK;
}

static enum err read_offsets(struct frame_walk *walk, struct error *error)
{
    if (walk->has_offsets)
        return OK;
    enum err err = read_offset(walk, walk->frame->start_offset, true, &walk->start, error);
    if (err == OK)
        err = read_offset(walk, walk->frame->end_offset, false, &walk->end, error);
    walk->has_offsets = err == OK;
    return err;
}

static bool is_negative(const struct value *offset)
{
    switch (type_physical((enum type_id)offset->type.id)) {
    case PHYSICAL_FLOAT:
        return !(offset->f >= 0); /* NaN too */
    case PHYSICAL_NUMERIC:
        return offset->n.kind == NUMERIC_NAN || numeric_compare(offset->n, numeric_from_int(0)) < 0;
    case PHYSICAL_INTERVAL:
        return interval_span(offset->interval) < 0;
    default:
        return offset->i < 0;
    }
}

/* --- RANGE with offsets --- */

/* Where the keys of a frame end on one side. */
struct limit {
    bool is_all; /* every key but NaN is within it */
    bool is_nan; /* the row's own key is NaN */
    struct value sum;
    __int128 wide; /* integers */
};

static enum err add_time(const struct frame_walk *walk, const struct value *key,
                         struct interval offset, struct limit *out, struct error *error)
{
    int64_t us = key->i;
    const struct timezone *zone =
        key->type.id == TYPE_TIMESTAMPTZ ? walk->node->exec->eval.zone : timezone_utc;
    if (key->type.id == TYPE_DATE && us != DATE_INFINITY && us != DATE_MINUS_INFINITY) {
        if (us > TIME_MAX / MICROSECONDS_PER_DAY || us < TIME_MIN / MICROSECONDS_PER_DAY)
            return error_set(error, ERR_INPUT, "22008", "date out of range for timestamp");
        us *= MICROSECONDS_PER_DAY;
    } else if (key->type.id == TYPE_DATE) {
        us = us == DATE_INFINITY ? TIME_INFINITY : TIME_MINUS_INFINITY;
    }
    out->sum = (struct value){.type = type_of(TYPE_TIMESTAMP), .i = us};
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return OK;
    return time_add_interval(us, offset, zone, &out->sum.i, error);
}

static bool negate_interval(struct interval *interval)
{
    return !__builtin_sub_overflow(0, interval->months, &interval->months) &&
           !__builtin_sub_overflow(0, interval->days, &interval->days) &&
           !__builtin_sub_overflow(0, interval->microseconds, &interval->microseconds);
}

static enum err add_interval(const struct value *key, struct interval offset, struct limit *out,
                             struct error *error)
{
    struct interval sum = key->interval;
    out->sum = *key;
    if (__builtin_add_overflow(sum.months, offset.months, &sum.months) ||
        __builtin_add_overflow(sum.days, offset.days, &sum.days) ||
        __builtin_add_overflow(sum.microseconds, offset.microseconds, &sum.microseconds))
        return error_set(error, ERR_INPUT, "22008", "interval out of range");
    out->sum.interval = sum;
    return OK;
}

/* key + offset, or key - offset. */
static enum err find_limit(const struct frame_walk *walk, const struct value *key,
                           const struct value *offset, bool is_minus, struct limit *out,
                           struct error *error)
{
    *out = (struct limit){.sum = *key};
    struct interval span = {0};
    if (offset->type.id == TYPE_INTERVAL) {
        span = offset->interval;
        if (is_minus && !negate_interval(&span))
            return error_set(error, ERR_INPUT, "22008", "interval out of range");
    }
    switch (type_physical((enum type_id)key->type.id)) {
    case PHYSICAL_FLOAT:
        out->is_nan = isnan(key->f);
        out->is_all = isinf(offset->f) && isinf(key->f) && (key->f > 0) == is_minus;
        out->sum.f = is_minus ? key->f - offset->f : key->f + offset->f;
        return OK;
    case PHYSICAL_NUMERIC:
        out->is_nan = key->n.kind == NUMERIC_NAN;
        out->is_all = offset->n.kind == NUMERIC_INFINITY &&
                      key->n.kind == (is_minus ? NUMERIC_INFINITY : NUMERIC_MINUS_INFINITY);
        if (out->is_nan || out->is_all)
            return OK;
        return is_minus ? numeric_subtract(key->n, offset->n, &out->sum.n, error)
                        : numeric_add(key->n, offset->n, &out->sum.n, error);
    case PHYSICAL_INTERVAL:
        return add_interval(key, span, out, error);
    default:
        if (offset->type.id == TYPE_INTERVAL)
            return add_time(walk, key, span, out, error);
        out->wide = is_minus ? (__int128)key->i - offset->i : (__int128)key->i + offset->i;
        return OK;
    }
}

static int compare_int(__int128 a, __int128 b)
{
    return (a > b) - (a < b);
}

/* Is the key on the inner side of the limit: not above it (is_less), or not below it? */
static bool is_within(const struct limit *limit, const struct value *key, bool is_less)
{
    int order;
    switch (type_physical((enum type_id)key->type.id)) {
    case PHYSICAL_FLOAT:
        if (isnan(key->f) || limit->is_nan)
            return isnan(key->f) ? limit->is_nan || !is_less : is_less;
        order = (key->f > limit->sum.f) - (key->f < limit->sum.f);
        break;
    case PHYSICAL_NUMERIC:
        if (key->n.kind == NUMERIC_NAN || limit->is_nan)
            return key->n.kind == NUMERIC_NAN ? limit->is_nan || !is_less : is_less;
        order = limit->is_all ? 0 : numeric_compare(key->n, limit->sum.n);
        break;
    case PHYSICAL_INTERVAL:
        order = compare_int(interval_span(key->interval), interval_span(limit->sum.interval));
        break;
    default:
        if (limit->sum.type.id != TYPE_TIMESTAMP) {
            order = compare_int(key->i, limit->wide);
        } else if (key->type.id == TYPE_DATE) {
            __int128 us = key->i == DATE_INFINITY         ? TIME_INFINITY
                          : key->i == DATE_MINUS_INFINITY ? TIME_MINUS_INFINITY
                                                          : (__int128)key->i * MICROSECONDS_PER_DAY;
            order = compare_int(us, limit->sum.i);
        } else {
            order = compare_int(key->i, limit->sum.i);
        }
    }
    return limit->is_all || (is_less ? order <= 0 : order >= 0);
}

static enum err check_signs(struct frame_walk *walk, struct error *error)
{
    if (walk->is_checked)
        return OK;
    if ((walk->frame->start_offset != NULL && is_negative(&walk->start)) ||
        (walk->frame->end_offset != NULL && is_negative(&walk->end)))
        return error_set(error, ERR_INPUT, "22013",
                         "invalid preceding or following size in window function");
    walk->is_checked = true;
    return OK;
}

/* NULL keys stand together at one end. Does the frame's start pass over the key at `at`, or its end
 * take it in, for a row whose key is NULL or not? */
static bool passes_null(const struct window_partition *partition, bool is_start, bool is_at_null,
                        bool is_row_null)
{
    if (partition->is_nulls_first)
        return is_start ? is_at_null && !is_row_null : is_at_null;
    return is_start ? !is_at_null && is_row_null : is_row_null;
}

/* Moves the frame's start, or its end, forward to where it is for `row`. */
static enum err move(struct frame_walk *walk, const struct window_partition *partition, size_t row,
                     bool is_start, size_t *at, struct error *error)
{
    const struct column *keys = &partition->key;
    enum frame_bound bound = is_start ? walk->frame->start : walk->frame->end;
    const struct value *offset = is_start ? &walk->start : &walk->end;
    bool is_row_null = column_is_null(keys, row);
    /* PRECEDING subtracts; in descending order what precedes is greater. */
    bool is_minus = (bound == BOUND_PRECEDING) != partition->is_descending;
    bool is_less = is_start == partition->is_descending;
    struct limit limit = {0};
    if (!is_row_null) {
        struct value key = column_value(keys, row);
        enum err err = check_signs(walk, error);
        if (err == OK)
            err = find_limit(walk, &key, offset, is_minus, &limit, error);
        if (err != OK)
            return err;
    }
    for (; *at < partition->end; (*at)++) {
        bool is_at_null = column_is_null(keys, *at);
        bool passes;
        if (is_at_null || is_row_null) {
            passes = passes_null(partition, is_start, is_at_null, is_row_null);
        } else {
            struct value key = column_value(keys, *at);
            passes = is_within(&limit, &key, is_less) != is_start;
        }
        if (!passes)
            break;
    }
    return OK;
}

/* --- the frame of a row --- */

static size_t first_of(const struct window_partition *partition, size_t group)
{
    return partition->group_first[group];
}

/* The first row of the group so many away, held within the partition. */
static size_t group_at(const struct window_partition *partition, size_t row, int64_t away)
{
    int64_t first = partition->group[partition->begin];
    int64_t last = partition->group[partition->end - 1];
    int64_t group = partition->group[row];
    if (away > last + 1 - group)
        away = last + 1 - group;
    if (away < first - group)
        away = first - group;
    size_t at = first_of(partition, (size_t)(group + away));
    return at > partition->end ? partition->end : at;
}

static size_t row_at(const struct window_partition *partition, size_t row, int64_t away)
{
    int64_t after = (int64_t)(partition->end - row), before = (int64_t)(row - partition->begin);
    if (away > after)
        away = after;
    if (away < -before)
        away = -before;
    return (size_t)((int64_t)row + away);
}

static int64_t signed_offset(enum frame_bound bound, const struct value *offset)
{
    return bound == BOUND_PRECEDING ? -offset->i : offset->i;
}

/* One more than an offset, which may be the greatest there is. */
static int64_t next(int64_t offset)
{
    return offset == INT64_MAX ? offset : offset + 1;
}

static enum err find_start(struct frame_walk *walk, const struct window_partition *partition,
                           size_t row, size_t *out, struct error *error)
{
    const struct window_frame *frame = walk->frame;
    *out = partition->begin;
    if (frame->start == BOUND_UNBOUNDED_PRECEDING)
        return OK;
    if (frame->start == BOUND_CURRENT) {
        *out = frame->mode == FRAME_ROWS ? row : first_of(partition, partition->group[row]);
        return OK;
    }
    if (frame->mode == FRAME_RANGE) {
        enum err err = move(walk, partition, row, true, &walk->head, error);
        *out = walk->head;
        return err;
    }
    int64_t away = signed_offset(frame->start, &walk->start) + fault_is("window.frame_start");
    *out =
        frame->mode == FRAME_ROWS ? row_at(partition, row, away) : group_at(partition, row, away);
    return OK;
}

static enum err find_end(struct frame_walk *walk, const struct window_partition *partition,
                         size_t row, size_t *out, struct error *error)
{
    const struct window_frame *frame = walk->frame;
    *out = partition->end;
    if (frame->end == BOUND_UNBOUNDED_FOLLOWING)
        return OK;
    if (frame->end == BOUND_CURRENT) {
        *out = frame->mode == FRAME_ROWS ? row + 1 : group_at(partition, row, 1);
        return OK;
    }
    if (frame->mode == FRAME_RANGE) {
        enum err err = move(walk, partition, row, false, &walk->tail, error);
        *out = walk->tail;
        return err;
    }
    int64_t away = next(signed_offset(frame->end, &walk->end));
    *out =
        frame->mode == FRAME_ROWS ? row_at(partition, row, away) : group_at(partition, row, away);
    return OK;
}

static size_t add_piece(struct window_range *pieces, size_t count, size_t begin, size_t end)
{
    if (begin >= end)
        return count;
    if (count > 0 && pieces[count - 1].end == begin) {
        pieces[count - 1].end = end;
        return count;
    }
    pieces[count] = (struct window_range){begin, end};
    return count + 1;
}

static size_t cut_hole(const struct frame_walk *walk, const struct window_partition *partition,
                       size_t row, struct window_range *pieces)
{
    enum frame_exclusion exclusion = walk->frame->exclusion;
    struct window_range frame = walk->base, hole = {row, row + 1};
    if (exclusion != EXCLUDE_CURRENT) {
        hole.begin = first_of(partition, partition->group[row]);
        hole.end = group_at(partition, row, 1);
    }
    size_t count =
        add_piece(pieces, 0, frame.begin, frame.end < hole.begin ? frame.end : hole.begin);
    if (exclusion == EXCLUDE_TIES && row >= frame.begin && row < frame.end)
        count = add_piece(pieces, count, row, row + 1);
    return add_piece(pieces, count, frame.begin > hole.end ? frame.begin : hole.end, frame.end);
}

enum err frame_walk_row(struct frame_walk *walk, const struct window_partition *partition,
                        size_t row, struct window_range *pieces, size_t *count, struct error *error)
{
    assert(row >= partition->begin && row < partition->end);
    bool is_shared = walk->frame->mode != FRAME_ROWS && walk->group == partition->group[row];
    if (!is_shared) {
        enum err err = read_offsets(walk, error);
        if (err == OK)
            err = find_start(walk, partition, row, &walk->base.begin, error);
        if (err == OK)
            err = find_end(walk, partition, row, &walk->base.end, error);
        if (err != OK)
            return err;
        walk->group = partition->group[row];
    }
    if (walk->frame->exclusion == EXCLUDE_NONE)
        *count = add_piece(pieces, 0, walk->base.begin, walk->base.end);
    else
        *count = cut_hole(walk, partition, row, pieces);
    return OK;
}
