/* Windows of event time: which [start, end) of a size holds a time. One rule for time_bucket,
 * tumble_start, tumble_end and the window operators.
 *
 * Windows tile the zone's local clock from 2000-01-03 00:00, a Monday (months from 2000-01-01), so
 * a day is a day of that zone, 23 or 25 hours long where the clock jumps. Sizes of time only, up to
 * an hour, are laid over the clock with the offset in force at that moment, so that the two hours
 * of an autumn night stay apart. */
#include "query/func/func.h"

static int64_t floor_divide(int64_t value, int64_t divisor)
{
    int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

static __int128 month_start(int64_t month)
{
    int64_t year = 2000 + floor_divide(month, 12);
    int64_t in_year = month - floor_divide(month, 12) * 12;
    return (__int128)days_from_civil((int32_t)year, (int32_t)in_year + 1, 1) * MICROSECONDS_PER_DAY;
}

/* A day before the ends of what 64 bits hold, so that a zone's offset fits too. */
static bool narrow(__int128 wide, int64_t *out)
{
    *out = (int64_t)wide;
    return wide > INT64_MIN + MICROSECONDS_PER_DAY && wide < INT64_MAX - MICROSECONDS_PER_DAY;
}

static enum err bad_size(struct error *error, const char *text)
{
    return error_set(error, ERR_INPUT, "22023", "%s", text);
}

enum err window_find(int64_t us, struct interval size, const struct timezone *zone, int64_t *start,
                     int64_t *end, struct error *error)
{
    int64_t span;
    if (size.months != 0 && (size.days != 0 || size.microseconds != 0))
        return bad_size(error, "a window size cannot mix months with days or time");
    if (__builtin_mul_overflow((int64_t)size.days, MICROSECONDS_PER_DAY, &span) ||
        __builtin_add_overflow(span, size.microseconds, &span))
        return bad_size(error, "the window size is out of range");
    if (size.months < 0 || span < 0 || (size.months == 0 && span == 0))
        return bad_size(error, "a window size must be greater than zero");
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY) {
        *start = *end = us;
        return OK;
    }
    int64_t local = timezone_to_local(zone, us), local_start, local_end;
    __int128 from, to;
    if (size.months > 0) {
        struct civil civil;
        civil_from_time(local, &civil);
        int64_t month = ((int64_t)civil.year - 2000) * 12 + civil.month - 1;
        month = floor_divide(month, size.months) * size.months;
        from = month_start(month);
        to = month_start(month + size.months);
    } else {
        int64_t origin = days_from_civil(2000, 1, 3) * MICROSECONDS_PER_DAY;
        from = origin + (__int128)floor_divide(local - origin, span) * span;
        to = from + span;
    }
    if (!narrow(from, &local_start) || !narrow(to, &local_end))
        return bad_size(error, "the window size is out of range");
    if (zone == timezone_utc || (size.months == 0 && span <= MICROSECONDS_PER_HOUR)) {
        int64_t offset = local - us;
        *start = local_start - offset;
        *end = local_end - offset;
        return OK;
    }
    *start = timezone_to_utc(zone, local_start);
    *end = timezone_to_utc(zone, local_end);
    return OK;
}
