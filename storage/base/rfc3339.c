/* The fast path for times that machines write: fixed places, no fields to find, a few nanoseconds.
 * What is not exactly of the form is left to datetime_parse.c, and both say the same where both
 * answer. */
#include "storage/base/datetime.h"

#define OFFSET_HOURS_MAX 15 /* PostgreSQL's */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* `count` digits at p, -1 if one of them is none. */
static int32_t fixed_digits(const char *p, int count)
{
    int32_t value = 0;
    for (int index = 0; index < count; index++) {
        if (!is_digit(p[index]))
            return -1;
        value = value * 10 + (p[index] - '0');
    }
    return value;
}

/* Z, ±hh, ±hh:mm or nothing. */
static bool rfc3339_offset(const char *p, const char *end, int32_t *seconds)
{
    size_t left = (size_t)(end - p);
    *seconds = 0;
    if (left == 0 || (left == 1 && (*p == 'Z' || *p == 'z')))
        return true;
    if ((*p != '+' && *p != '-') || (left != 3 && left != 6))
        return false;
    int32_t hours = fixed_digits(p + 1, 2);
    int32_t minutes = left == 6 && p[3] == ':' ? fixed_digits(p + 4, 2) : left == 3 ? 0 : -1;
    if (hours < 0 || hours > OFFSET_HOURS_MAX || minutes < 0 || minutes > 59)
        return false;
    *seconds = (hours * 60 + minutes) * (*p == '-' ? -60 : 60);
    return true;
}

/* Fraction digits to microseconds, rounded. */
static int32_t take_fraction(const char **p, const char *end)
{
    static const int32_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int32_t value = 0;
    int places = 0;
    for (; *p < end && is_digit(**p) && places < 6; (*p)++, places++)
        value = value * 10 + (**p - '0');
    value *= units[places];
    if (*p < end && is_digit(**p))
        value += **p >= '5';
    while (*p < end && is_digit(**p))
        (*p)++;
    return value;
}

bool timestamptz_parse_rfc3339(struct slice text, int64_t *out)
{
    const char *p = text.data;
    if (text.size < 19 || p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' ') ||
        p[13] != ':' || p[16] != ':')
        return false;
    struct civil civil = {.year = fixed_digits(p, 4),
                          .month = fixed_digits(p + 5, 2),
                          .day = fixed_digits(p + 8, 2),
                          .hour = fixed_digits(p + 11, 2),
                          .minute = fixed_digits(p + 14, 2),
                          .second = fixed_digits(p + 17, 2)};
    if (civil.year < 1 || civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.hour < 0 ||
        civil.hour > 23 || civil.minute < 0 || civil.minute > 59 || civil.second < 0 ||
        civil.second > 59)
        return false;
    if (civil.day > 28 && civil.day > days_in_month(civil.year, civil.month))
        return false;
    const char *rest = p + 19;
    const char *end = p + text.size;
    if (rest < end && *rest == '.') {
        rest++;
        if (rest == end || !is_digit(*rest))
            return false;
        civil.microsecond = take_fraction(&rest, end);
    }
    int32_t offset;
    if (!rfc3339_offset(rest, end, &offset))
        return false;
    *out = time_from_civil(&civil) - offset * MICROSECONDS_PER_SECOND;
    return true;
}
