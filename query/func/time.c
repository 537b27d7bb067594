/* Functions of time: now() and its kin, date_trunc, date_bin, windows, AT TIME ZONE, to_timestamp,
 * the justify family. Buckets over whole batches are in time_bucket.c. */
#include "query/func/time.h"

#include "storage/base/clock.h"

#include <float.h>
#include <math.h>

static bool is_infinite(int64_t us)
{
    return us == TIME_INFINITY || us == TIME_MINUS_INFINITY;
}

static enum err find_zone(struct call *call, struct slice name, const struct timezone **out)
{
    return timezone_find(name, out, call->error);
}

/* --- the present --- */

static enum err now_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)a, (void)count;
    out->i = call->context->now_us;
    return OK;
}

static enum err clock_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)call, (void)a, (void)count;
    out->i = clock_wall_us();
    return OK;
}

static enum err local_now_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)a, (void)count;
    int64_t local = timezone_to_local(call->context->zone, call->context->now_us);
    out->i = local;
    if (out->type.id == TYPE_DATE)
        out->i = (local -
                  ((local % MICROSECONDS_PER_DAY) + MICROSECONDS_PER_DAY) % MICROSECONDS_PER_DAY) /
                 MICROSECONDS_PER_DAY;
    return OK;
}

/* --- date_trunc --- */

static enum err find_unit(struct call *call, struct slice name, enum type_id type,
                          enum time_unit last, enum time_unit *out)
{
    if (time_unit_find(name, out) && *out <= last)
        return OK;
    return error_set(call->error, ERR_INPUT, "22023", "unit \"%.*s\" not recognized for type %s",
                     SLICE_ARGS(name), type_name(type));
}

/* The zone a call works in: its last argument, or the session's, or none for timestamps. */
static enum err call_zone(struct call *call, const struct value *a, size_t count, size_t time_index,
                          const struct timezone **out)
{
    bool has_zone =
        count > 2 && (a[count - 1].type.id == TYPE_TEXT || a[count - 1].type.id == TYPE_UNKNOWN);
    *out = a[time_index].type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    return has_zone ? find_zone(call, a[count - 1].text, out) : OK;
}

static enum err date_trunc_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    enum time_unit unit;
    const struct timezone *zone;
    if (is_infinite(a[1].i)) { /* whatever the unit, even none */
        out->i = a[1].i;
        return OK;
    }
    enum err err = find_unit(call, a[0].text, a[1].type.id, UNIT_MILLENNIUM, &unit);
    if (err == OK)
        err = call_zone(call, a, count, 1, &zone);
    if (err == OK)
        out->i = time_truncate(a[1].i, unit, zone);
    return err;
}

static enum err interval_trunc_row(struct call *call, const struct value *a, size_t count,
                                   struct value *out)
{
    (void)count;
    enum time_unit unit;
    enum err err = find_unit(call, a[0].text, TYPE_INTERVAL, UNIT_MILLENNIUM, &unit);
    if (err != OK)
        return err;
    struct interval in = a[1].interval;
    static const int32_t months[] = {
        [UNIT_MONTH] = 1,    [UNIT_QUARTER] = 3,    [UNIT_YEAR] = 12,
        [UNIT_DECADE] = 120, [UNIT_CENTURY] = 1200, [UNIT_MILLENNIUM] = 12000};
    if (unit == UNIT_WEEK) {
        error_set(call->error, ERR_INPUT, "0A000", "unit \"%.*s\" not supported for type interval",
                  SLICE_ARGS(a[0].text));
        error_hint(call->error, "Months usually have fractional weeks.");
        return ERR_INPUT;
    }
    if (unit >= UNIT_MONTH) {
        out->interval = (struct interval){.months = in.months - in.months % months[unit]};
    } else if (unit == UNIT_DAY) {
        out->interval = (struct interval){.months = in.months, .days = in.days};
    } else {
        int64_t span = unit == UNIT_MICROSECOND ? 1 : time_unit_span(unit);
        out->interval = in;
        out->interval.microseconds -= in.microseconds % span;
    }
    return OK;
}

/* --- date_bin, time_bucket, tumble --- */

static enum err date_bin_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    struct interval stride = a[0].interval;
    if (is_infinite(a[1].i)) {
        out->i = a[1].i;
        return OK;
    }
    if (is_infinite(a[2].i))
        return error_set(call->error, ERR_INPUT, "22008", "origin out of range");
    if (stride.months != 0)
        return error_set(call->error, ERR_INPUT, "0A000",
                         "timestamps cannot be binned into intervals containing months or years");
    int64_t us;
    if (__builtin_mul_overflow((int64_t)stride.days, MICROSECONDS_PER_DAY, &us) ||
        __builtin_add_overflow(us, stride.microseconds, &us))
        return error_set(call->error, ERR_INPUT, "22008", "interval out of range");
    if (us <= 0)
        return error_set(call->error, ERR_INPUT, "22008", "stride must be greater than zero");
    out->i = time_bin(a[1].i, us, a[2].i);
    return OK;
}

/* Arguments: size and time in either order, then a zone. */
static enum err window_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    size_t time = a[0].type.id == TYPE_INTERVAL ? 1 : 0;
    const struct timezone *zone;
    int64_t start, end;
    enum err err = call_zone(call, a, count, time, &zone);
    if (err == OK)
        err = window_find(a[time].i, a[1 - time].interval, zone, &start, &end, call->error);
    if (err == OK)
        out->i = call->function->operation == WINDOW_START ? start : end;
    return err;
}

/* time_bucket(size, time, origin): date_bin with months allowed from no other origin. */
static enum err bucket_origin_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    return date_bin_row(call, a, count, out);
}

/* --- zones --- */

static enum err timezone_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    bool to_local = a[1].type.id == TYPE_TIMESTAMPTZ;
    out->i = a[1].i;
    if (is_infinite(a[1].i))
        return OK;
    if (a[0].type.id == TYPE_INTERVAL) {
        if (a[0].interval.months != 0 || a[0].interval.days != 0)
            return error_set(call->error, ERR_INPUT, "22023",
                             "interval time zone must not include months or days");
        int64_t offset =
            a[0].interval.microseconds / MICROSECONDS_PER_SECOND * MICROSECONDS_PER_SECOND;
        out->i = to_local ? a[1].i + offset : a[1].i - offset;
        return OK;
    }
    const struct timezone *zone;
    enum err err = find_zone(call, a[0].text, &zone);
    if (err == OK)
        out->i = to_local ? timezone_to_local(zone, a[1].i) : timezone_to_utc(zone, a[1].i);
    return err;
}

/* --- to_timestamp and makers --- */

static enum err to_timestamp_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    double seconds = a[0].f;
    if (isnan(seconds))
        return error_set(call->error, ERR_INPUT, "22008", "timestamp cannot be NaN");
    if (isinf(seconds)) {
        out->i = seconds > 0 ? TIME_INFINITY : TIME_MINUS_INFINITY;
        return OK;
    }
    /* PostgreSQL counts from 2000, and rounds there. */
    const double epoch_shift = 946684800.0;
    double us = rint((seconds - epoch_shift) * 1000000.0);
    if (!(seconds >= -210866803200.0 && seconds < 9224318016000.0) || !(fabs(us) < 9.2e18))
        return error_set(call->error, ERR_INPUT, "22008", "timestamp out of range: \"%g\"",
                         seconds);
    if (__builtin_add_overflow((int64_t)us, (int64_t)epoch_shift * MICROSECONDS_PER_SECOND,
                               &out->i))
        return error_set(call->error, ERR_INPUT, "22008", "timestamp out of range: \"%g\"",
                         seconds);
    return OK;
}

static enum err make_date_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    int64_t year = a[0].i < 0 ? a[0].i + 1 : a[0].i, month = a[1].i, day = a[2].i;
    if (a[0].i == 0 || month < 1 || month > 12 || year < -4712 || year > 5874897 || day < 1 ||
        day > days_in_month((int32_t)year, (int32_t)month))
        return error_set(call->error, ERR_INPUT, "22008",
                         "date field value out of range: %lld-%02lld-%02lld", (long long)a[0].i,
                         (long long)month, (long long)day);
    out->i = days_from_civil((int32_t)year, (int32_t)month, (int32_t)day);
    return OK;
}

/* --- intervals --- */

enum { JUSTIFY_HOURS, JUSTIFY_DAYS, JUSTIFY_BOTH };

/* Moves whole units of `limit` from *low to *high, and makes both have one sign. */
static void justify(int64_t *high, int64_t *low, int64_t limit)
{
    *high += *low / limit;
    *low %= limit;
    if (*high > 0 && *low < 0) {
        *low += limit;
        (*high)--;
    } else if (*high < 0 && *low > 0) {
        *low -= limit;
        (*high)++;
    }
}

static enum err justify_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    int64_t months = a[0].interval.months, days = a[0].interval.days,
            us = a[0].interval.microseconds;
    int kind = call->function->operation;
    if (kind == JUSTIFY_BOTH) {
        days += us / MICROSECONDS_PER_DAY;
        us %= MICROSECONDS_PER_DAY;
        months += days / 30;
        days %= 30;
        if (months > 0 && (days < 0 || (days == 0 && us < 0))) {
            days += 30;
            months--;
        } else if (months < 0 && (days > 0 || (days == 0 && us > 0))) {
            days -= 30;
            months++;
        }
    }
    if (kind == JUSTIFY_DAYS)
        justify(&months, &days, 30);
    else
        justify(&days, &us, MICROSECONDS_PER_DAY);
    if (months != (int32_t)months || days != (int32_t)days)
        return error_set(call->error, ERR_INPUT, "22008", "interval out of range");
    out->interval = (struct interval){(int32_t)months, (int32_t)days, us};
    return OK;
}

static enum err is_finite_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)call, (void)count;
    if (a[0].type.id == TYPE_DATE)
        out->b = a[0].i != DATE_INFINITY && a[0].i != DATE_MINUS_INFINITY;
    else
        out->b = a[0].type.id == TYPE_INTERVAL || !is_infinite(a[0].i);
    return OK;
}

/* What the clock shows at a time. PostgreSQL counts 'infinity' as the last microsecond that its 64
 * bits hold since 2000, in the year 294277, which is more than ours hold since 1970: it is found
 * one cycle of the calendar before. */
static void age_civil(int64_t us, const struct timezone *zone, struct civil *out)
{
    static const int64_t cycle_us = 146097 * MICROSECONDS_PER_DAY;
    static const int64_t epoch_us = 10957 * MICROSECONDS_PER_DAY; /* of 2000 */
    bool is_last = us == TIME_INFINITY;
    civil_from_time(timezone_to_local(zone, is_last ? INT64_MAX - cycle_us + epoch_us : us), out);
    out->year += is_last ? 400 : 0;
}

/* age(a, b): years, months, days and time between, by the calendar. */
static enum err age_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    if (a[0].i == TIME_MINUS_INFINITY || a[1].i == TIME_MINUS_INFINITY)
        return error_set(call->error, ERR_INPUT, "22008", "timestamp out of range");
    const struct timezone *zone =
        a[0].type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    bool is_negative = a[0].i < a[1].i;
    struct civil late, early;
    age_civil(is_negative ? a[1].i : a[0].i, zone, &late);
    age_civil(is_negative ? a[0].i : a[1].i, zone, &early);
    int64_t us = ((int64_t)(late.hour - early.hour) * 3600 + (late.minute - early.minute) * 60 +
                  late.second - early.second) *
                     MICROSECONDS_PER_SECOND +
                 late.microsecond - early.microsecond;
    int64_t days = late.day - early.day;
    int64_t months = ((int64_t)late.year - early.year) * 12 + late.month - early.month;
    if (us < 0) {
        us += MICROSECONDS_PER_DAY;
        days--;
    }
    for (; days < 0; months--) /* PostgreSQL borrows the length of the earlier time's month */
        days += days_in_month(early.year, early.month);
    int sign = is_negative ? -1 : 1;
    out->interval = (struct interval){sign * (int32_t)months, sign * (int32_t)days, sign * us};
    return OK;
}

/* From today's midnight on. */
static enum err age_today_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    const struct timezone *zone = call->context->zone;
    int64_t local = timezone_to_local(zone, call->context->now_us);
    int64_t day = local % MICROSECONDS_PER_DAY;
    local -= day < 0 ? day + MICROSECONDS_PER_DAY : day;
    struct value pair[2] = {a[0], a[0]};
    pair[0].i = a[0].type.id == TYPE_TIMESTAMPTZ ? timezone_to_utc(zone, local) : local;
    return age_row(call, pair, 2, out);
}

#define ONE(name_text, n, list, to, kind, stability, row_form, vector_form, doc_text,              \
            example_text)                                                                          \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .volatility = stability,                                                                      \
     .row = row_form,                                                                              \
     .vector = vector_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define Z "timestamptz '2026-05-01 10:17:03Z'"
#define T "timestamp '2026-05-01 10:17:03'"
#define NOW(name_text, to, row_form, stability, doc_text)                                          \
    ONE(name_text, 0, LIST(0), to, 0, stability, row_form, NULL, doc_text, name_text "()")

/* clang-format off */
static const struct function functions[] = {
    NOW("now", TYPE_TIMESTAMPTZ, now_row, STABLE, "the statement's start")
    NOW("transaction_timestamp", TYPE_TIMESTAMPTZ, now_row, STABLE, "the statement's start")
    NOW("statement_timestamp", TYPE_TIMESTAMPTZ, now_row, STABLE, "the statement's start")
    ONE("current_timestamp", 0, LIST(0), TYPE_TIMESTAMPTZ, 0, STABLE, now_row, NULL,
        "the statement's start", "current_timestamp")
    ONE("current_date", 0, LIST(0), TYPE_DATE, 0, STABLE, local_now_row, NULL,
        "today in the session's zone", "current_date")
    ONE("localtimestamp", 0, LIST(0), TYPE_TIMESTAMP, 0, STABLE, local_now_row, NULL,
        "the statement's start on the session's clock", "localtimestamp")
    NOW("clock_timestamp", TYPE_TIMESTAMPTZ, clock_row, VOLATILE, "the time at this moment")
    ONE("date_trunc", 2, LIST(TYPE_TEXT, TYPE_TIMESTAMPTZ), TYPE_TIMESTAMPTZ, 0, STABLE,
        date_trunc_row, date_trunc_vector, "the start of the unit that holds the time",
        "date_trunc('minute', " Z ")")
    ONE("date_trunc", 2, LIST(TYPE_TEXT, TYPE_TIMESTAMP), TYPE_TIMESTAMP, 0, IMMUTABLE,
        date_trunc_row, date_trunc_vector, "the start of the unit that holds the time",
        "date_trunc('minute', " T ")")
    ONE("date_trunc", 3, LIST(TYPE_TEXT, TYPE_TIMESTAMPTZ, TYPE_TEXT), TYPE_TIMESTAMPTZ, 0, STABLE,
        date_trunc_row, date_trunc_vector, "the start of the unit on that zone's clock",
        "date_trunc('day', " Z ", 'Europe/Berlin')")
    ONE("date_trunc", 2, LIST(TYPE_TEXT, TYPE_INTERVAL), TYPE_INTERVAL, 0, IMMUTABLE,
        interval_trunc_row, NULL, "the interval without what is below the unit",
        "date_trunc('hour', interval '1 day 02:03:04')")
    ONE("date_bin", 3, LIST(TYPE_INTERVAL, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ), TYPE_TIMESTAMPTZ, 0,
        IMMUTABLE, date_bin_row, date_bin_vector, "the start of the bin, counted from an origin",
        "date_bin('15 minutes', " Z ", timestamptz '2001-01-01Z')")
    ONE("date_bin", 3, LIST(TYPE_INTERVAL, TYPE_TIMESTAMP, TYPE_TIMESTAMP), TYPE_TIMESTAMP, 0,
        IMMUTABLE, date_bin_row, date_bin_vector, "the start of the bin, counted from an origin",
        "date_bin('15 minutes', " T ", timestamp '2001-01-01')")
    ONE("time_bucket", 2, LIST(TYPE_INTERVAL, TYPE_TIMESTAMPTZ), TYPE_TIMESTAMPTZ, WINDOW_START,
        STABLE, window_row, window_vector, "the start of the window of that size",
        "time_bucket('5 minutes', " Z ")")
    ONE("time_bucket", 2, LIST(TYPE_INTERVAL, TYPE_TIMESTAMP), TYPE_TIMESTAMP, WINDOW_START,
        IMMUTABLE, window_row, window_vector, "the start of the window of that size",
        "time_bucket('5 minutes', " T ")")
    ONE("time_bucket", 3, LIST(TYPE_INTERVAL, TYPE_TIMESTAMPTZ, TYPE_TEXT), TYPE_TIMESTAMPTZ,
        WINDOW_START, IMMUTABLE, window_row, window_vector,
        "the start of the window on that zone's clock",
        "time_bucket('1 day', " Z ", 'Europe/Berlin')")
    ONE("time_bucket", 3, LIST(TYPE_INTERVAL, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ), TYPE_TIMESTAMPTZ,
        0, IMMUTABLE, bucket_origin_row, date_bin_vector,
        "the start of the window, counted from an origin",
        "time_bucket('5 minutes', " Z ", timestamptz '2001-01-01Z')")
    ONE("time_bucket", 3, LIST( TYPE_INTERVAL, TYPE_TIMESTAMP, TYPE_TIMESTAMP), TYPE_TIMESTAMP, 0,
        IMMUTABLE, bucket_origin_row, date_bin_vector,
        "the start of the window, counted from an origin",
        "time_bucket('5 minutes', " T ", timestamp '2001-01-01')")
    ONE("tumble_start", 2, LIST(TYPE_TIMESTAMPTZ, TYPE_INTERVAL), TYPE_TIMESTAMPTZ, WINDOW_START,
        STABLE, window_row, window_vector, "where the window of that size starts",
        "tumble_start(" Z ", '5 minutes')")
    ONE("tumble_start", 2, LIST(TYPE_TIMESTAMP, TYPE_INTERVAL), TYPE_TIMESTAMP, WINDOW_START,
        IMMUTABLE, window_row, window_vector, "where the window of that size starts",
        "tumble_start(" T ", '5 minutes')")
    ONE("tumble_start", 3, LIST( TYPE_TIMESTAMPTZ, TYPE_INTERVAL, TYPE_TEXT), TYPE_TIMESTAMPTZ,
        WINDOW_START, IMMUTABLE, window_row, window_vector,
        "where the window starts on that zone's clock",
        "tumble_start(" Z ", '1 day', 'Europe/Berlin')")
    ONE("tumble_end", 2, LIST(TYPE_TIMESTAMPTZ, TYPE_INTERVAL), TYPE_TIMESTAMPTZ, WINDOW_END,
        STABLE, window_row, window_vector, "where the window of that size ends",
        "tumble_end(" Z ", '5 minutes')")
    ONE("tumble_end", 2, LIST(TYPE_TIMESTAMP, TYPE_INTERVAL), TYPE_TIMESTAMP, WINDOW_END, IMMUTABLE,
        window_row, window_vector, "where the window of that size ends",
        "tumble_end(" T ", '5 minutes')")
    ONE("tumble_end", 3, LIST(TYPE_TIMESTAMPTZ, TYPE_INTERVAL, TYPE_TEXT), TYPE_TIMESTAMPTZ,
        WINDOW_END, IMMUTABLE, window_row, window_vector,
        "where the window ends on that zone's clock", "tumble_end(" Z ", '1 day', 'Europe/Berlin')")
    ONE("timezone", 2, LIST(TYPE_TEXT, TYPE_TIMESTAMPTZ), TYPE_TIMESTAMP, 0, IMMUTABLE,
        timezone_row, NULL, "AT TIME ZONE: what a clock there shows",
        "timezone('Europe/Berlin', " Z ")")
    ONE("timezone", 2, LIST(TYPE_TEXT, TYPE_TIMESTAMP), TYPE_TIMESTAMPTZ, 0, IMMUTABLE,
        timezone_row, NULL, "AT TIME ZONE: the time when a clock there shows this",
        "timezone('Europe/Berlin', " T ")")
    ONE("timezone", 2, LIST(TYPE_INTERVAL, TYPE_TIMESTAMPTZ), TYPE_TIMESTAMP, 0, IMMUTABLE,
        timezone_row, NULL, "AT TIME ZONE by an offset", "timezone(interval '02:00', " Z ")")
    ONE("timezone", 2, LIST(TYPE_INTERVAL, TYPE_TIMESTAMP), TYPE_TIMESTAMPTZ, 0, IMMUTABLE,
        timezone_row, NULL, "AT TIME ZONE by an offset", "timezone(interval '02:00', " T ")")
    ONE("to_timestamp", 1, LIST(TYPE_FLOAT8), TYPE_TIMESTAMPTZ, 0, IMMUTABLE, to_timestamp_row,
        NULL, "the time so many seconds after 1970", "to_timestamp(1777630623.5)")
    ONE("make_date", 3, LIST(TYPE_INT4, TYPE_INT4, TYPE_INT4), TYPE_DATE, 0, IMMUTABLE,
        make_date_row, NULL, "a date from year, month, day", "make_date(2026, 5, 1)")
    ONE("justify_hours", 1, LIST(TYPE_INTERVAL), TYPE_INTERVAL, JUSTIFY_HOURS, IMMUTABLE,
        justify_row, NULL, "24 hours become a day", "justify_hours(interval '27 hours')")
    ONE("justify_days", 1, LIST(TYPE_INTERVAL), TYPE_INTERVAL, JUSTIFY_DAYS, IMMUTABLE, justify_row,
        NULL, "30 days become a month", "justify_days(interval '35 days')")
    ONE("justify_interval", 1, LIST( TYPE_INTERVAL), TYPE_INTERVAL, JUSTIFY_BOTH, IMMUTABLE,
        justify_row, NULL, "hours become days, days months",
        "justify_interval(interval '1 mon -1 hour')")
    ONE("isfinite", 1, LIST(TYPE_TIMESTAMPTZ), TYPE_BOOL, 0, IMMUTABLE, is_finite_row, NULL,
        "is it not infinity", "isfinite(" Z ")")
    ONE("isfinite", 1, LIST( TYPE_TIMESTAMP), TYPE_BOOL, 0, IMMUTABLE, is_finite_row, NULL,
        "is it not infinity", "isfinite(" T ")")
    ONE("isfinite", 1, LIST(TYPE_DATE), TYPE_BOOL, 0, IMMUTABLE, is_finite_row, NULL,
        "is it not infinity", "isfinite(date '2026-05-01')")
    ONE("isfinite", 1, LIST( TYPE_INTERVAL), TYPE_BOOL, 0, IMMUTABLE, is_finite_row, NULL,
        "is it not infinity", "isfinite(interval '1 day')")
    ONE("age", 1, LIST(TYPE_TIMESTAMPTZ), TYPE_INTERVAL, 0, STABLE, age_today_row, NULL,
        "years, months and days until today", "age(current_date::timestamptz)")
    ONE("age", 1, LIST(TYPE_TIMESTAMP), TYPE_INTERVAL, 0, STABLE, age_today_row, NULL,
        "years, months and days until today", "age(current_date::timestamp)")
    ONE("age", 2, LIST( TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ), TYPE_INTERVAL, 0, STABLE, age_row,
        NULL, "years, months and days between", "age(" Z ", timestamptz '2001-02-03Z')")
    ONE("age", 2, LIST( TYPE_TIMESTAMP, TYPE_TIMESTAMP), TYPE_INTERVAL, 0, IMMUTABLE, age_row, NULL,
        "years, months and days between", "age(" T ", timestamp '2001-02-03')")
};
/* clang-format on */

const struct function_group functions_time = {functions, array_count(functions)};
