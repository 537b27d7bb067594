/* Times and intervals from their parts; OVERLAPS. */
#include "query/func/text.h"

#include <limits.h>
#include <math.h>

static enum err make_time_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    int64_t year = a[0].i;
    double seconds = a[5].f;
    const struct timezone *zone = call->context->zone;
    bool is_good =
        year != 0 && year > -4713 && year < 294277 && a[1].i >= 1 && a[1].i <= 12 && a[2].i >= 1;
    if (year < 0)
        year++;
    is_good = is_good && a[2].i <= days_in_month((int32_t)year, (int32_t)a[1].i);
    if (!is_good)
        return error_set(call->error, ERR_INPUT, "22008",
                         "date field value out of range: %lld-%02lld-%02lld", (long long)a[0].i,
                         (long long)a[1].i, (long long)a[2].i);
    if (a[3].i < 0 || a[3].i > 24 || a[4].i < 0 || a[4].i > 59 ||
        !(seconds >= 0 && seconds <= 60) || (a[3].i == 24 && (a[4].i > 0 || seconds > 0)))
        return error_set(call->error, ERR_INPUT, "22008",
                         "time field value out of range: %lld:%02lld:%g", (long long)a[3].i,
                         (long long)a[4].i, seconds);
    out->i =
        days_from_civil((int32_t)year, (int32_t)a[1].i, (int32_t)a[2].i) * MICROSECONDS_PER_DAY +
        (a[3].i * 60 + a[4].i) * MICROSECONDS_PER_MINUTE + (int64_t)rint(seconds * 1000000);
    if (call->function->result != TYPE_TIMESTAMPTZ)
        return OK;
    enum err err = count > 6 ? timezone_find(a[6].text, &zone, call->error) : OK;
    if (err == OK)
        out->i = timezone_to_utc(zone != NULL ? zone : timezone_utc, out->i);
    return err;
}

/* make_interval(years, months, weeks, days, hours, mins, secs): those that are given. As in
 * PostgreSQL 15 only seconds that are no number are refused: what is too great goes round, and
 * seconds beyond 64 bits of microseconds are the least number there is. */
static enum err make_interval_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    uint64_t parts[6] = {0}; /* without a sign, so that going round is defined */
    double us = count > 6 ? rint(a[6].f * 1000000) : 0;
    for (size_t i = 0; i < count && i < 6; i++)
        parts[i] = (uint64_t)a[i].i;
    if (count > 6 && !isfinite(a[6].f))
        return error_set(call->error, ERR_INPUT, "22008", "interval out of range");
    uint64_t rest = us >= -0x1p63 && us < 0x1p63 ? (uint64_t)(int64_t)us : (uint64_t)INT64_MIN;
    out->interval = (struct interval){
        (int32_t)(uint32_t)(parts[0] * 12 + parts[1]), (int32_t)(uint32_t)(parts[2] * 7 + parts[3]),
        (int64_t)(parts[4] * MICROSECONDS_PER_HOUR + parts[5] * MICROSECONDS_PER_MINUTE + rest)};
    return OK;
}

/* (start, end) OVERLAPS (start, end): ends may come in either order and may be NULL. */
static void order_period(struct value *start, struct value *end)
{
    if (start->is_null || (!end->is_null && end->i < start->i)) {
        struct value other = *start;
        *start = *end;
        *end = other;
    }
}

/* The end is a time, or an interval from the start. */
static enum err find_end(struct call *call, const struct value *start, const struct value *given,
                         struct value *end)
{
    *end = *given;
    if (given->type.id != TYPE_INTERVAL)
        return OK;
    const struct timezone *zone =
        start->type.id == TYPE_TIMESTAMPTZ ? call->context->zone : timezone_utc;
    end->type = start->type;
    end->is_null = start->is_null || given->is_null;
    if (end->is_null)
        return OK;
    return time_add_interval(start->i, given->interval, zone, &end->i, call->error);
}

static enum err overlaps_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    struct value s1 = a[0], e1, s2 = a[2], e2;
    enum err err = find_end(call, &a[0], &a[1], &e1);
    if (err == OK)
        err = find_end(call, &a[2], &a[3], &e2);
    if (err != OK)
        return err;
    order_period(&s1, &e1);
    order_period(&s2, &e2);
    out->is_null = s1.is_null || s2.is_null;
    if (out->is_null)
        return OK;
    if (s1.i == s2.i) { /* both ends known: they share this moment */
        out->b = true;
        out->is_null = e1.is_null || e2.is_null;
        return OK;
    }
    const struct value *first_end = s1.i < s2.i ? &e1 : &e2;
    const struct value *second_end = s1.i < s2.i ? &e2 : &e1;
    int64_t second = s1.i < s2.i ? s2.i : s1.i;
    out->b = !first_end->is_null && second < first_end->i;
    out->is_null = first_end->is_null || (!out->b && second_end->is_null);
    return OK;
}

#define T TYPE_TEXT
#define I TYPE_INT4
#define D TYPE_FLOAT8
#define F TEXT_FUNCTION
#define MAKE_TIME(name_text, count, to, last, example_text)                                        \
    {.name = name_text,                                                                            \
     .argument_count = count,                                                                      \
     .arguments = {I, I, I, I, I, D, last},                                                        \
     .result = to,                                                                                 \
     .volatility = STABLE,                                                                         \
     .row = make_time_row,                                                                         \
     .doc = "a time from its parts",                                                               \
     .example = example_text},
#define MAKE_INTERVAL(count, example_text)                                                         \
    F("make_interval", count, LIST(I, I, I, I, I, I, D), TYPE_INTERVAL, 0, make_interval_row,      \
      "an interval from years, months, weeks, days, hours, minutes, seconds", example_text)
#define OVERLAPS_TO(of, first, second, stability, example_text)                                    \
    {.name = "overlaps",                                                                           \
     .argument_count = 4,                                                                          \
     .arguments = {of, first, of, second},                                                         \
     .is_null_tolerant = true,                                                                     \
     .result = TYPE_BOOL,                                                                          \
     .volatility = stability,                                                                      \
     .row = overlaps_row,                                                                          \
     .doc = "have two periods a moment in common",                                                 \
     .example = example_text},
#define OVERLAPS(of, word, stability)                                                              \
    OVERLAPS_TO(of, of, of, IMMUTABLE,                                                             \
                "(" word " '2026-05-01', " word " '2026-05-03') OVERLAPS (" word                   \
                " '2026-05-02', " word " '2026-05-04')")                                           \
    OVERLAPS_TO(of, TYPE_INTERVAL, TYPE_INTERVAL, stability,                                       \
                "(" word " '2026-05-01', interval '1 day') OVERLAPS (" word                        \
                " '2026-05-02', interval '1 day')")                                                \
    OVERLAPS_TO(of, of, TYPE_INTERVAL, stability,                                                  \
                "(" word " '2026-05-01', " word " '2026-05-03') OVERLAPS (" word                   \
                " '2026-05-02', interval '1 day')")                                                \
    OVERLAPS_TO(of, TYPE_INTERVAL, of, stability,                                                  \
                "(" word " '2026-05-01', interval '1 day') OVERLAPS (" word " '2026-05-02', " word \
                " '2026-05-04')")

/* clang-format off */
static const struct function functions[] = {
    MAKE_TIME("make_timestamp", 6, TYPE_TIMESTAMP, 0, "make_timestamp(2026, 5, 1, 10, 17, 3.5)")
    MAKE_TIME("make_timestamptz", 6, TYPE_TIMESTAMPTZ, 0,
              "make_timestamptz(2026, 5, 1, 10, 17, 3.5)")
    MAKE_TIME("make_timestamptz", 7, TYPE_TIMESTAMPTZ, T,
              "make_timestamptz(2026, 5, 1, 10, 17, 3.5, 'Europe/Berlin')")
    MAKE_INTERVAL(0, "make_interval()")
    MAKE_INTERVAL(1, "make_interval(1)")
    MAKE_INTERVAL(2, "make_interval(1, 2)")
    MAKE_INTERVAL(3, "make_interval(1, 2, 3)")
    MAKE_INTERVAL(4, "make_interval(1, 2, 3, 4)")
    MAKE_INTERVAL(5, "make_interval(1, 2, 3, 4, 5)")
    MAKE_INTERVAL(6, "make_interval(1, 2, 3, 4, 5, 6)")
    MAKE_INTERVAL(7, "make_interval(1, 2, 3, 4, 5, 6, 7.5)")
    OVERLAPS(TYPE_TIMESTAMPTZ, "timestamptz", STABLE)
    OVERLAPS(TYPE_TIMESTAMP, "timestamp", IMMUTABLE)
};
/* clang-format on */

const struct function_group functions_time_parts = {functions, array_count(functions)};
