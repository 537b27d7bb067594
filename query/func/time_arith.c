/* + - * / on dates, times and intervals.
 *
 * Adding an interval to a timestamptz walks the clock face of the session's zone, so those forms
 * are STABLE. The difference of two times is whole days and the rest (PostgreSQL's justified
 * hours). An interval times a number carries fractions of months into days and of days into time,
 * rounding at the microsecond, step by step as PostgreSQL does. */
#include "query/func/func.h"

#include <math.h>

enum { OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE };

static enum err out_of_range(struct error *error, const char *what)
{
    return error_set(error, ERR_INPUT, "22008", "%s out of range", what);
}

/* --- dates --- */

static bool is_infinite_date(int64_t days)
{
    return days == DATE_INFINITY || days == DATE_MINUS_INFINITY;
}

static enum err date_int_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    bool is_swapped = a[0].type.id != TYPE_DATE;
    int64_t days = a[is_swapped ? 1 : 0].i, offset = a[is_swapped ? 0 : 1].i;
    out->i = days;
    if (is_infinite_date(days))
        return OK;
    out->i = call->function->operation == OP_SUBTRACT ? days - offset : days + offset;
    if (out->i < days_from_civil(-4713, 11, 24) || out->i >= days_from_civil(5874898, 1, 1) ||
        is_infinite_date(out->i))
        return out_of_range(call->error, "date");
    return OK;
}

static enum err date_date_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    if (is_infinite_date(a[0].i) || is_infinite_date(a[1].i))
        return error_set(call->error, ERR_INPUT, "22008", "cannot subtract infinite dates");
    out->i = a[0].i - a[1].i;
    return OK;
}

/* --- times and intervals --- */

static bool negate_interval(struct interval *interval)
{
    return !__builtin_sub_overflow(0, interval->months, &interval->months) &&
           !__builtin_sub_overflow(0, interval->days, &interval->days) &&
           !__builtin_sub_overflow((int64_t)0, interval->microseconds, &interval->microseconds);
}

static enum err time_interval_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    (void)count;
    bool is_swapped = a[0].type.id == TYPE_INTERVAL;
    struct value time = a[is_swapped ? 1 : 0];
    struct interval interval = a[is_swapped ? 0 : 1].interval;
    if (call->function->operation == OP_SUBTRACT && !negate_interval(&interval))
        return out_of_range(call->error, "interval");
    if (time.type.id == TYPE_DATE) {
        struct value as_time = {.type = type_of(TYPE_TIMESTAMP)};
        enum err err = cast_value(call, &time, false, &as_time);
        if (err != OK)
            return err;
        time = as_time;
    }
    const struct timezone *zone =
        time.type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    if (time.i == TIME_INFINITY || time.i == TIME_MINUS_INFINITY) {
        out->i = time.i;
        return OK;
    }
    return time_add_interval(time.i, interval, zone, &out->i, call->error);
}

static enum err time_time_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    for (size_t i = 0; i < 2; i++) {
        if (a[i].i == TIME_INFINITY || a[i].i == TIME_MINUS_INFINITY)
            return error_set(call->error, ERR_INPUT, "22008",
                             "cannot subtract infinite timestamps");
    }
    int64_t us;
    if (__builtin_sub_overflow(a[0].i, a[1].i, &us))
        return out_of_range(call->error, "interval");
    out->interval = (struct interval){.days = (int32_t)(us / MICROSECONDS_PER_DAY),
                                      .microseconds = us % MICROSECONDS_PER_DAY};
    return OK;
}

static enum err interval_interval_row(struct call *call, const struct value *a, size_t count,
                                      struct value *out)
{
    struct interval left = a[0].interval, right = count > 1 ? a[1].interval : (struct interval){0};
    bool is_fine;
    if (count == 1) { /* - interval */
        out->interval = left;
        return negate_interval(&out->interval) ? OK : out_of_range(call->error, "interval");
    }
    if (call->function->operation == OP_ADD)
        is_fine = !__builtin_add_overflow(left.months, right.months, &out->interval.months) &&
                  !__builtin_add_overflow(left.days, right.days, &out->interval.days) &&
                  !__builtin_add_overflow(left.microseconds, right.microseconds,
                                          &out->interval.microseconds);
    else
        is_fine = !__builtin_sub_overflow(left.months, right.months, &out->interval.months) &&
                  !__builtin_sub_overflow(left.days, right.days, &out->interval.days) &&
                  !__builtin_sub_overflow(left.microseconds, right.microseconds,
                                          &out->interval.microseconds);
    return is_fine ? OK : out_of_range(call->error, "interval");
}

static double round_us(double seconds)
{
    return rint(seconds * 1000000.0) / 1000000.0;
}

static bool fits_int32(double value)
{
    return value > -2147483649.0 && value < 2147483648.0;
}

/* months, days and time already scaled; whole parts stay, fractions are carried down. */
static enum err interval_carry(double months, double days, double time, struct interval *out,
                               struct error *error)
{
    if (isnan(months) || isnan(days) || !fits_int32(months) || !fits_int32(days))
        return out_of_range(error, "interval");
    out->months = (int32_t)months;
    out->days = (int32_t)days;
    double rest_days = round_us((months - out->months) * 30.0);
    double seconds = round_us((days - out->days + rest_days - (int)rest_days) * 86400.0);
    if (fabs(seconds) >= 86400.0) {
        out->days += (int32_t)(seconds / 86400.0);
        seconds -= (int)(seconds / 86400.0) * 86400.0;
    }
    out->days += (int32_t)rest_days;
    double us = rint(time + seconds * 1000000.0);
    if (!(us >= -9223372036854775808.0 && us < 9223372036854775808.0))
        return out_of_range(error, "interval");
    out->microseconds = (int64_t)us;
    return OK;
}

enum err interval_multiply(struct interval interval, double factor, struct interval *out,
                           struct error *error)
{
    return interval_carry(interval.months * factor, interval.days * factor,
                          (double)interval.microseconds * factor, out, error);
}

enum err interval_divide(struct interval interval, double divisor, struct interval *out,
                         struct error *error)
{
    if (divisor == 0)
        return error_set(error, ERR_INPUT, "22012", "division by zero");
    return interval_carry(interval.months / divisor, interval.days / divisor,
                          (double)interval.microseconds / divisor, out, error);
}

static enum err interval_number_row(struct call *call, const struct value *a, size_t count,
                                    struct value *out)
{
    (void)count;
    bool is_swapped = a[0].type.id != TYPE_INTERVAL;
    struct interval interval = a[is_swapped ? 1 : 0].interval;
    double factor = a[is_swapped ? 0 : 1].f;
    if (call->function->operation == OP_MULTIPLY)
        return interval_multiply(interval, factor, &out->interval, call->error);
    return interval_divide(interval, factor, &out->interval, call->error);
}

/* A constant interval of days and time, on a clock without jumps: one add a row. */
static enum err time_interval_vector(struct call *call, const struct vector *v)
{
    const struct column *times = &v->arguments[0], *intervals = &v->arguments[1];
    struct interval interval = intervals->interval[0];
    bool is_simple = intervals->form == COLUMN_CONSTANT && interval.months == 0 &&
                     (interval.days == 0 || times->type.id != TYPE_TIMESTAMPTZ ||
                      call->context->zone == timezone_utc);
    int64_t offset = 0;
    is_simple = is_simple &&
                !__builtin_mul_overflow((int64_t)interval.days, MICROSECONDS_PER_DAY, &offset) &&
                !__builtin_add_overflow(offset, interval.microseconds, &offset);
    if (call->function->operation == OP_SUBTRACT)
        offset = is_simple ? -offset : 0;
    int64_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        int64_t us = times->i[column_index(times, row)];
        bool is_usual = is_simple && us > TIME_MIN / 2 && us < TIME_MAX / 2 &&
                        offset > TIME_MIN / 2 && offset < TIME_MAX / 2;
        if (is_usual) {
            out[row] = us + offset;
            continue;
        }
        struct value arguments[2] = {
            {.type = times->type, .i = us},
            {.type = intervals->type,
             .interval = intervals->interval[column_index(intervals, row)]}};
        struct value result = {.type = call->type};
        enum err err = time_interval_row(call, arguments, 2, &result);
        if (err != OK)
            return err;
        out[row] = result.i;
    }
    return OK;
}

#define BINARY(symbol, op, left, right, to, is_stable, row_form, vector_form, doc_text,            \
               example_text)                                                                       \
    {.name = symbol,                                                                               \
     .argument_count = 2,                                                                          \
     .arguments = {left, right},                                                                   \
     .result = to,                                                                                 \
     .operation = op,                                                                              \
     .volatility = is_stable ? STABLE : IMMUTABLE,                                                 \
     .row = row_form,                                                                              \
     .vector = vector_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define D "date '2026-05-01'"
#define T "timestamp '2026-05-01 10:00'"
#define Z "timestamptz '2026-05-01 10:00Z'"
#define I "interval '1 day'"

/* clang-format off */
static const struct function functions[] = {
    BINARY("+", OP_ADD, TYPE_DATE, TYPE_INT4, TYPE_DATE, 0, date_int_row, NULL, "days later",
           D " + 1")
    BINARY("+", OP_ADD, TYPE_INT4, TYPE_DATE, TYPE_DATE, 0, date_int_row, NULL, "days later",
           "1 + " D)
    BINARY("-", OP_SUBTRACT, TYPE_DATE, TYPE_INT4, TYPE_DATE, 0, date_int_row, NULL, "days earlier",
           D " - 1")
    BINARY("-", OP_SUBTRACT, TYPE_DATE, TYPE_DATE, TYPE_INT4, 0, date_date_row, NULL,
           "days between", D " - " D)
    BINARY("+", OP_ADD, TYPE_DATE, TYPE_INTERVAL, TYPE_TIMESTAMP, 0, time_interval_row, NULL,
           "a time later", D " + " I)
    BINARY("+", OP_ADD, TYPE_INTERVAL, TYPE_DATE, TYPE_TIMESTAMP, 0, time_interval_row, NULL,
           "a time later", I " + " D)
    BINARY("-", OP_SUBTRACT, TYPE_DATE, TYPE_INTERVAL, TYPE_TIMESTAMP, 0, time_interval_row, NULL,
           "a time earlier", D " - " I)
    BINARY("+", OP_ADD, TYPE_TIMESTAMP, TYPE_INTERVAL, TYPE_TIMESTAMP, 0, time_interval_row,
           time_interval_vector, "a time later", T " + " I)
    BINARY("+", OP_ADD, TYPE_INTERVAL, TYPE_TIMESTAMP, TYPE_TIMESTAMP, 0, time_interval_row, NULL,
           "a time later", I " + " T)
    BINARY("-", OP_SUBTRACT, TYPE_TIMESTAMP, TYPE_INTERVAL, TYPE_TIMESTAMP, 0, time_interval_row,
           time_interval_vector, "a time earlier", T " - " I)
    BINARY("+", OP_ADD, TYPE_TIMESTAMPTZ, TYPE_INTERVAL, TYPE_TIMESTAMPTZ, 1, time_interval_row,
           time_interval_vector, "a time later, by the session's clock", Z " + " I)
    BINARY("+", OP_ADD, TYPE_INTERVAL, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, 1, time_interval_row,
           NULL, "a time later, by the session's clock", I " + " Z)
    BINARY("-", OP_SUBTRACT, TYPE_TIMESTAMPTZ, TYPE_INTERVAL, TYPE_TIMESTAMPTZ, 1,
           time_interval_row, time_interval_vector, "a time earlier, by the session's clock",
           Z " - " I)
    BINARY("-", OP_SUBTRACT, TYPE_TIMESTAMP, TYPE_TIMESTAMP, TYPE_INTERVAL, 0, time_time_row, NULL,
           "time between", T " - " T)
    BINARY("-", OP_SUBTRACT, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_INTERVAL, 0, time_time_row,
           NULL, "time between", Z " - " Z)
    BINARY("+", OP_ADD, TYPE_INTERVAL, TYPE_INTERVAL, TYPE_INTERVAL, 0, interval_interval_row, NULL,
           "both together", I " + " I)
    BINARY("-", OP_SUBTRACT, TYPE_INTERVAL, TYPE_INTERVAL, TYPE_INTERVAL, 0, interval_interval_row,
           NULL, "the difference", I " - " I)
    {.name = "-",
     .argument_count = 1,
     .arguments = {TYPE_INTERVAL},
     .result = TYPE_INTERVAL,
     .operation = OP_SUBTRACT,
     .row = interval_interval_row,
     .doc = "changes the sign",
     .example = "- " I},
    BINARY("*", OP_MULTIPLY, TYPE_INTERVAL, TYPE_FLOAT8, TYPE_INTERVAL, 0, interval_number_row,
           NULL, "the interval so many times", I " * 1.5")
    BINARY("*", OP_MULTIPLY, TYPE_FLOAT8, TYPE_INTERVAL, TYPE_INTERVAL, 0, interval_number_row,
           NULL, "the interval so many times", "1.5 * " I)
    BINARY("/", OP_DIVIDE, TYPE_INTERVAL, TYPE_FLOAT8, TYPE_INTERVAL, 0, interval_number_row, NULL,
           "a part of the interval", I " / 2")
};
/* clang-format on */

const struct function_group functions_time_arith = {functions, array_count(functions)};
