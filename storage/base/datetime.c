/* The calendar: days and civil dates (Howard Hinnant's era arithmetic: 400 years are 146,097 days), clock
 * faces, truncation, binning and the addition of intervals. Pure functions over integers; text is in
 * datetime_parse.c and datetime_print.c, zones in timezone.c. */
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
