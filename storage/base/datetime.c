/* The calendar: days and civil dates (Howard Hinnant's era arithmetic: 400 years are 146,097 days),
 * clock faces, truncation, binning and the addition of intervals. Pure functions over integers;
 * text is in datetime_parse.c and datetime_print.c, zones in timezone.c. */
#include "storage/base/datetime.h"

#include <assert.h>

#define DAYS_PER_ERA 146097

/* Division that rounds down, for times before 1970. */
static int64_t floor_divide(int64_t value, int64_t divisor)
{
    int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

int64_t days_from_civil(int32_t year, int32_t month, int32_t day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = floor_divide(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - 719468;
}

void civil_from_days(int64_t days, int32_t *year, int32_t *month, int32_t *day)
{
    days += 719468;
    int64_t era = floor_divide(days, DAYS_PER_ERA);
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int32_t)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int32_t)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int32_t)(year_of_era + era * 400 + (*month <= 2));
}

void civil_from_time(int64_t local_us, struct civil *out)
{
    int64_t days = floor_divide(local_us, MICROSECONDS_PER_DAY);
    int64_t rest = local_us - days * MICROSECONDS_PER_DAY;
    civil_from_days(days, &out->year, &out->month, &out->day);
    out->hour = (int32_t)(rest / MICROSECONDS_PER_HOUR);
    out->minute = (int32_t)(rest / MICROSECONDS_PER_MINUTE % 60);
    out->second = (int32_t)(rest / MICROSECONDS_PER_SECOND % 60);
    out->microsecond = (int32_t)(rest % MICROSECONDS_PER_SECOND);
}

int64_t time_from_civil(const struct civil *civil)
{
    int64_t days = days_from_civil(civil->year, civil->month, civil->day);
    return days * MICROSECONDS_PER_DAY + civil->hour * MICROSECONDS_PER_HOUR +
           civil->minute * MICROSECONDS_PER_MINUTE + civil->second * MICROSECONDS_PER_SECOND +
           civil->microsecond;
}

static bool is_leap_year(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in_month(int32_t year, int32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    assert(month >= 1 && month <= 12);
    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* --- truncation --- */

/* Years as PostgreSQL counts decades, centuries and millennia: there is no year 0 in the last two.
 */
static int32_t truncate_year(int32_t year, enum time_unit unit)
{
    switch (unit) {
    case UNIT_DECADE:
        return (int32_t)floor_divide(year, 10) * 10;
    case UNIT_CENTURY:
        return year > 0 ? (year + 99) / 100 * 100 - 99 : -((99 - (year - 1)) / 100) * 100 + 1;
    case UNIT_MILLENNIUM:
        return year > 0 ? (year + 999) / 1000 * 1000 - 999
                        : -((999 - (year - 1)) / 1000) * 1000 + 1;
    default:
        return year;
    }
}

/* From a day on: the local midnight that begins the unit. */
static int64_t truncate_days(int64_t local_us, enum time_unit unit)
{
    int64_t days = floor_divide(local_us, MICROSECONDS_PER_DAY);
    if (unit == UNIT_DAY)
        return days * MICROSECONDS_PER_DAY;
    if (unit == UNIT_WEEK) /* 1970-01-01 was a Thursday */
        return (days - ((days + 3) - floor_divide(days + 3, 7) * 7)) * MICROSECONDS_PER_DAY;
    struct civil civil;
    civil_from_time(local_us, &civil);
    int32_t month = civil.month;
    if (unit == UNIT_QUARTER)
        month = (month - 1) / 3 * 3 + 1;
    else if (unit != UNIT_MONTH)
        month = 1;
    return days_from_civil(truncate_year(civil.year, unit), month, 1) * MICROSECONDS_PER_DAY;
}

int64_t time_truncate(int64_t us, enum time_unit unit, const struct timezone *zone)
{
    static const int64_t steps[] = {1, 1000, MICROSECONDS_PER_SECOND, MICROSECONDS_PER_MINUTE,
                                    MICROSECONDS_PER_HOUR};
    assert(unit <= UNIT_MILLENNIUM);
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return us;
    int64_t offset_us = timezone_offset_at(zone, us) * MICROSECONDS_PER_SECOND;
    /* Within a day the offset stays, so an hour that occurs twice keeps its two halves apart. */
    if (unit < UNIT_DAY)
        return floor_divide(us + offset_us, steps[unit]) * steps[unit] - offset_us;
    return timezone_to_utc(zone, truncate_days(us + offset_us, unit));
}

int64_t time_bin(int64_t us, int64_t stride_us, int64_t origin_us)
{
    assert(stride_us > 0);
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return us;
    __int128 distance = (__int128)us - origin_us;
    __int128 rest = distance % stride_us;
    __int128 start = us - (rest < 0 ? rest + stride_us : rest);
    return start < TIME_MIN ? TIME_MIN : (int64_t)start;
}

/* --- intervals --- */

static enum err time_out_of_range(struct error *error)
{
    return error_set(error, ERR_INPUT, "22008", "timestamp out of range");
}

static bool add_months(int64_t local_us, int32_t months, int64_t *out)
{
    struct civil civil;
    civil_from_time(local_us, &civil);
    int64_t month = (int64_t)civil.year * 12 + civil.month - 1 + months;
    int64_t year = floor_divide(month, 12);
    if (year < -5000 || year > 300000)
        return false;
    civil.year = (int32_t)year;
    civil.month = (int32_t)(month - year * 12) + 1;
    int32_t last = days_in_month(civil.year, civil.month);
    civil.day = civil.day < last ? civil.day : last;
    if (civil.year > 294246)
        return false;
    *out = time_from_civil(&civil);
    return true;
}

enum err time_add_interval(int64_t us, struct interval interval, const struct timezone *zone,
                           int64_t *out, struct error *error)
{
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY) {
        *out = us;
        return OK;
    }
    if (interval.months != 0) {
        int64_t local;
        if (!add_months(timezone_to_local(zone, us), interval.months, &local))
            return time_out_of_range(error);
        us = timezone_to_utc(zone, local);
    }
    if (interval.days != 0) {
        int64_t local = timezone_to_local(zone, us);
        int64_t span;
        if (__builtin_mul_overflow((int64_t)interval.days, MICROSECONDS_PER_DAY, &span) ||
            __builtin_add_overflow(local, span, &local) || local > TIME_MAX || local < TIME_MIN)
            return time_out_of_range(error);
        us = timezone_to_utc(zone, local);
    }
    if (__builtin_add_overflow(us, interval.microseconds, &us) || us < TIME_MIN || us > TIME_MAX)
        return time_out_of_range(error);
    *out = us;
    return OK;
}

__int128 interval_span(struct interval value)
{
    int64_t days = (int64_t)value.months * 30 + value.days;
    return (__int128)days * MICROSECONDS_PER_DAY + value.microseconds;
}

/* --- unit names --- */

bool time_unit_find(struct slice name, enum time_unit *out)
{
    static const struct {
        const char *name;
        enum time_unit unit;
    } names[] = {
        {"us", UNIT_MICROSECOND},
        {"usec", UNIT_MICROSECOND},
        {"usecs", UNIT_MICROSECOND},
        {"usecond", UNIT_MICROSECOND},
        {"useconds", UNIT_MICROSECOND},
        {"microsecond", UNIT_MICROSECOND},
        {"microseconds", UNIT_MICROSECOND},
        {"microsecon", UNIT_MICROSECOND},
        {"ms", UNIT_MILLISECOND},
        {"msec", UNIT_MILLISECOND},
        {"msecs", UNIT_MILLISECOND},
        {"msecond", UNIT_MILLISECOND},
        {"mseconds", UNIT_MILLISECOND},
        {"millisecond", UNIT_MILLISECOND},
        {"milliseconds", UNIT_MILLISECOND},
        {"millisecon", UNIT_MILLISECOND},
        {"s", UNIT_SECOND},
        {"sec", UNIT_SECOND},
        {"secs", UNIT_SECOND},
        {"second", UNIT_SECOND},
        {"seconds", UNIT_SECOND},
        {"m", UNIT_MINUTE},
        {"min", UNIT_MINUTE},
        {"mins", UNIT_MINUTE},
        {"minute", UNIT_MINUTE},
        {"minutes", UNIT_MINUTE},
        {"h", UNIT_HOUR},
        {"hr", UNIT_HOUR},
        {"hrs", UNIT_HOUR},
        {"hour", UNIT_HOUR},
        {"hours", UNIT_HOUR},
        {"d", UNIT_DAY},
        {"day", UNIT_DAY},
        {"days", UNIT_DAY},
        {"w", UNIT_WEEK},
        {"week", UNIT_WEEK},
        {"weeks", UNIT_WEEK},
        {"mon", UNIT_MONTH},
        {"mons", UNIT_MONTH},
        {"month", UNIT_MONTH},
        {"months", UNIT_MONTH},
        {"qtr", UNIT_QUARTER},
        {"quarter", UNIT_QUARTER},
        {"y", UNIT_YEAR},
        {"yr", UNIT_YEAR},
        {"yrs", UNIT_YEAR},
        {"year", UNIT_YEAR},
        {"years", UNIT_YEAR},
        {"dec", UNIT_DECADE},
        {"decs", UNIT_DECADE},
        {"decade", UNIT_DECADE},
        {"decades", UNIT_DECADE},
        {"c", UNIT_CENTURY},
        {"cent", UNIT_CENTURY},
        {"century", UNIT_CENTURY},
        {"centuries", UNIT_CENTURY},
        {"mil", UNIT_MILLENNIUM},
        {"mils", UNIT_MILLENNIUM},
        {"millennia", UNIT_MILLENNIUM},
        {"millennium", UNIT_MILLENNIUM},
        {"dow", UNIT_DOW},
        {"isodow", UNIT_ISODOW},
        {"doy", UNIT_DOY},
        {"epoch", UNIT_EPOCH},
        {"isoyear", UNIT_ISOYEAR},
        {"timezone", UNIT_TIMEZONE},
        {"timezone_h", UNIT_TIMEZONE_HOUR},
        {"timezone_hour", UNIT_TIMEZONE_HOUR},
        {"timezone_m", UNIT_TIMEZONE_MINUTE},
        {"timezone_minute", UNIT_TIMEZONE_MINUTE},
        {"julian", UNIT_JULIAN},
        {"j", UNIT_JULIAN},
        {"jd", UNIT_JULIAN},
    };
    for (size_t index = 0; index < array_count(names); index++) {
        /* Asked once a row where the unit is no constant of a whole batch. */
        bool is_alike = name.size > 0 && (name.data[0] | 0x20) == names[index].name[0];
        if (is_alike && slice_equal_ignore_case(name, slice_from_cstr(names[index].name))) {
            *out = names[index].unit;
            return true;
        }
    }
    return false;
}
