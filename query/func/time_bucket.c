/* Time buckets over batches: date_trunc, date_bin, time_bucket, tumble.
 *
 * Truncations and windows map runs of times to one start. Rows mostly come in time order, so the
 * vector forms keep the last [start, end) and compute a new one only when a time falls outside of
 * it: one compare a row instead of a division and a calendar. That holds where a zone's clock does
 * not jump inside the run, so for zones other than UTC it is used from days upward, where the ends
 * are computed on the clock.
 *
 * A bucket often holds a whole batch: then it is the value of every row, and what is above (GROUP
 * BY first of all) has one key instead of 2,048. The test is the bucket of the first row and the
 * least and the greatest time. */
#include "query/func/time.h"

#include "query/kernel/kernel.h"
#include "storage/base/fault.h"

#define RUN_ROWS 16

static bool is_infinite(int64_t us)
{
    return us == TIME_INFINITY || us == TIME_MINUS_INFINITY;
}

/* Where a calendar unit that starts here ends. */
static int64_t unit_end(int64_t start, enum time_unit unit)
{
    static const int32_t months[] = {
        [UNIT_MONTH] = 1,    [UNIT_QUARTER] = 3,    [UNIT_YEAR] = 12,
        [UNIT_DECADE] = 120, [UNIT_CENTURY] = 1200, [UNIT_MILLENNIUM] = 12000};
    int64_t end;
    if (unit < UNIT_MONTH || time_add_interval(start, (struct interval){.months = months[unit]},
                                               timezone_utc, &end, NULL) != OK)
        return start + 1;
    return end;
}

/* How long a unit is where that is always the same. */
int64_t time_unit_span(enum time_unit unit)
{
    switch (unit) {
    case UNIT_MILLISECOND:
        return 1000;
    case UNIT_SECOND:
        return MICROSECONDS_PER_SECOND;
    case UNIT_MINUTE:
        return MICROSECONDS_PER_MINUTE;
    case UNIT_HOUR:
        return MICROSECONDS_PER_HOUR;
    case UNIT_DAY:
        return MICROSECONDS_PER_DAY;
    case UNIT_WEEK:
        return 7 * MICROSECONDS_PER_DAY;
    default:
        return 0;
    }
}

static enum err rows_by_row_form(struct call *call, const struct vector *v)
{
    size_t count = call->function->argument_count;
    struct value arguments[FUNCTION_ARGUMENTS_MAX];
    int64_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        for (size_t i = 0; i < count; i++)
            arguments[i] = column_value(&v->arguments[i], row);
        struct value result = {.type = call->type};
        enum err err = call->function->row(call, arguments, count, &result);
        if (err != OK)
            return err;
        out[row] = result.i;
    }
    return OK;
}

/* The rows from k on that lie in [start, end) one behind the other, sixteen at a time, get the
 * value: where times are in order that is nearly all of a bucket. Returns the first that was not
 * looked at. */
static size_t fill_run(const struct vector *v, const struct column *times, size_t k, int64_t start,
                       int64_t end, int64_t value)
{
    if (v->selection != NULL || v->validity != NULL || times->form != COLUMN_FLAT || start >= end)
        return k;
    uint64_t first = (uint64_t)start, last = (uint64_t)end - 1;
    int64_t *out = v->out;
    if (fault_is("bucket.run_end"))
        last += 1000;
    for (; k + RUN_ROWS <= v->count; k += RUN_ROWS) {
        uint64_t outside = 0; /* the top bit: before, or behind */
        for (size_t i = 0; i < RUN_ROWS; i++)
            outside |= ((uint64_t)times->i[k + i] - first) | (last - (uint64_t)times->i[k + i]);
        if (outside >> 63 != 0)
            break;
        for (size_t i = 0; i < RUN_ROWS; i++)
            out[k + i] = value;
    }
    return k;
}

enum err date_trunc_vector(struct call *call, const struct vector *v)
{
    const struct column *units = &v->arguments[0], *times = &v->arguments[1];
    const struct timezone *zone =
        times->type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    enum time_unit unit;
    if (units->form != COLUMN_CONSTANT || call->function->argument_count > 2 || v->count == 0)
        return rows_by_row_form(call, v);
    if (!time_unit_find(units->text[0], &unit) || unit > UNIT_MILLENNIUM || zone != timezone_utc)
        return rows_by_row_form(call, v);
    int64_t span = time_unit_span(unit), start = 0, end = 0;
    int64_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        int64_t us = times->i[column_index(times, row)];
        if (us >= start && us < end) {
            out[row] = start;
            continue;
        }
        if ((v->validity != NULL && v->validity[row] == 0) || is_infinite(us)) {
            out[row] = us;
            continue;
        }
        start = out[row] = time_truncate(us, unit, zone);
        end = span != 0 ? start + span : unit_end(start, unit);
        k = fill_run(v, times, k + 1, start, end, start) - 1;
    }
    return OK;
}

/* Days and time of a stride; false if they are out of range. */
static bool read_stride(struct interval stride, int64_t *span)
{
    return !__builtin_mul_overflow((int64_t)stride.days, MICROSECONDS_PER_DAY, span) &&
           !__builtin_add_overflow(*span, stride.microseconds, span);
}

enum err date_bin_vector(struct call *call, const struct vector *v)
{
    const struct column *strides = &v->arguments[0], *times = &v->arguments[1],
                        *origins = &v->arguments[2];
    if (strides->form != COLUMN_CONSTANT || origins->form != COLUMN_CONSTANT)
        return rows_by_row_form(call, v);
    struct interval stride = strides->interval[0];
    int64_t span, start = 0, end = 0;
    bool is_usual = stride.months == 0 && read_stride(stride, &span) && span > 0;
    if (!is_usual || span > TIME_MAX / 4 || is_infinite(origins->i[0]))
        return rows_by_row_form(call, v);
    int64_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        int64_t us = times->i[column_index(times, row)];
        if (us >= start && us < end) {
            out[row] = start;
        } else if ((v->validity != NULL && v->validity[row] == 0) || is_infinite(us)) {
            out[row] = us;
        } else {
            start = out[row] = time_bin(us, span, origins->i[0]);
            end = start + span;
            k = fill_run(v, times, k + 1, start, end, start) - 1;
        }
    }
    return OK;
}

/* Does the clock go on evenly from start to end? Where it is set back over the end, an hour of the
 * next bucket lies before it. */
static bool is_even(const struct timezone *zone, int64_t start, int64_t end)
{
    return zone == timezone_utc ||
           timezone_to_local(zone, end) - timezone_to_local(zone, start) == end - start;
}

enum err window_vector(struct call *call, const struct vector *v)
{
    size_t time = v->arguments[0].type.id == TYPE_INTERVAL ? 1 : 0;
    const struct column *times = &v->arguments[time], *sizes = &v->arguments[1 - time];
    bool is_start = call->function->operation == WINDOW_START;
    const struct timezone *zone =
        times->type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    if (sizes->form != COLUMN_CONSTANT)
        return rows_by_row_form(call, v);
    if (call->function->argument_count > 2) {
        if (v->arguments[2].form != COLUMN_CONSTANT)
            return rows_by_row_form(call, v);
        enum err err = timezone_find(v->arguments[2].text[0], &zone, call->error);
        if (err != OK)
            return err;
    }
    struct interval size = sizes->interval[0];
    bool is_short = size.months == 0 && size.days == 0 && size.microseconds < MICROSECONDS_PER_DAY;
    bool is_kept = zone == timezone_utc || !is_short;
    bool has_range = false;
    int64_t start = 0, end = 0;
    int64_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        int64_t us = times->i[column_index(times, row)];
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        if (!has_range || us < start || us >= end) {
            enum err err = window_find(us, size, zone, &start, &end, call->error);
            if (err != OK)
                return err;
            has_range = is_kept && start < end && is_even(zone, start, end);
            if (has_range) {
                out[row] = is_start ? start : end;
                k = fill_run(v, times, k + 1, start, end, out[row]) - 1;
                continue;
            }
        }
        out[row] = is_start ? start : end;
    }
    return OK;
}

/* --- one bucket for a whole batch: see time_whole.c --- */

static bool first_trunc(struct call *call, const struct vector *v, int64_t us, int64_t *start,
                        int64_t *end)
{
    const struct timezone *zone =
        v->arguments[1].type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    enum time_unit unit;
    if (call->function->argument_count > 2 || v->arguments[0].form != COLUMN_CONSTANT ||
        zone != timezone_utc || !time_unit_find(v->arguments[0].text[0], &unit) ||
        unit > UNIT_MILLENNIUM)
        return false;
    *start = time_truncate(us, unit, zone);
    *end = time_unit_span(unit) != 0 ? *start + time_unit_span(unit) : unit_end(*start, unit);
    return true;
}

static bool first_bin(const struct vector *v, int64_t us, int64_t *start, int64_t *end)
{
    const struct column *strides = &v->arguments[0], *origins = &v->arguments[2];
    if (strides->form != COLUMN_CONSTANT || origins->form != COLUMN_CONSTANT)
        return false;
    struct interval stride = strides->interval[0];
    int64_t span;
    if (stride.months != 0 || !read_stride(stride, &span) || span <= 0 || span > TIME_MAX / 4 ||
        is_infinite(origins->i[0]))
        return false;
    *start = time_bin(us, span, origins->i[0]);
    *end = *start + span;
    return true;
}

static bool first_window(struct call *call, const struct vector *v, size_t time, int64_t us,
                         int64_t *start, int64_t *end)
{
    const struct column *sizes = &v->arguments[1 - time];
    const struct timezone *zone =
        v->arguments[time].type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    if (sizes->form != COLUMN_CONSTANT || call->function->argument_count > 3)
        return false;
    struct error ignored;
    if (call->function->argument_count > 2 &&
        (v->arguments[2].form != COLUMN_CONSTANT ||
         timezone_find(v->arguments[2].text[0], &zone, &ignored) != OK))
        return false;
    struct interval size = sizes->interval[0];
    bool is_short = size.months == 0 && size.days == 0 && size.microseconds < MICROSECONDS_PER_DAY;
    return (zone == timezone_utc || !is_short) &&
           window_find(us, size, zone, start, end, &ignored) == OK && *start < *end &&
           is_even(zone, *start, *end);
}

static bool bucket_of_first(struct call *call, const struct vector *v, const struct column **times,
                            int64_t *start, int64_t *end, int64_t *result)
{
    enum err (*form)(struct call *, const struct vector *) = call->function->vector;
    if (form != date_trunc_vector && form != date_bin_vector && form != window_vector)
        return false;
    size_t time = form == window_vector && v->arguments[0].type.id != TYPE_INTERVAL ? 0 : 1;
    *times = &v->arguments[time];
    int64_t us = (*times)->i[0];
    if (is_infinite(us))
        return false;
    bool is_range = form == date_trunc_vector ? first_trunc(call, v, us, start, end)
                    : form == date_bin_vector ? first_bin(v, us, start, end)
                                              : first_window(call, v, time, us, start, end);
    *result = is_range && form == window_vector && call->function->operation == WINDOW_END ? *end
                                                                                           : *start;
    return is_range;
}

bool function_bucket(const struct function *function, const struct eval_context *context,
                     const struct column *arguments, const int64_t *us, int64_t *start,
                     int64_t *end)
{
    struct call call = {.context = context, .function = function};
    struct vector vector = {.arguments = arguments, .row_count = 1, .count = 1};
    const struct column *times;
    int64_t result;
    return bucket_of_first(&call, &vector, &times, start, end, &result) && times->i == us &&
           *start < *end;
}

bool time_all_within(const int64_t *times, size_t count, int64_t start, int64_t end)
{
    int64_t low, high;
    range_ints(times, count, &low, &high);
    return low >= start && high < end;
}

bool function_is_whole(struct call *call, const struct vector *v, struct value *out)
{
    int64_t start, end, result;
    const struct column *times;
    if (v->selection != NULL || v->validity != NULL || v->count < 2 ||
        !bucket_of_first(call, v, &times, &start, &end, &result) || times->form != COLUMN_FLAT ||
        !time_all_within(times->i, v->count, start, end))
        return false;
    *out = (struct value){.type = call->type, .i = result};
    return true;
}
