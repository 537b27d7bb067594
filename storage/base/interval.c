/* Intervals from text.
 *
 * The text is cut into fields (words, and numbers with their sign, point, colons or a hyphen),
 * which are read from the right as PostgreSQL does: a word names the unit of the number to its
 * left, a time makes a number to its left days, and a number on its own is seconds. Fractions flow
 * down: of years to months, of months to days of 30, of days to microseconds. ISO 8601 (P1DT2H) is
 * read from the left. */
#include "storage/base/datetime.h"

#include <assert.h>
#include <math.h>

#define FIELDS_MAX 25 /* PostgreSQL's MAXDATEFIELDS */
#define QUOTE_SIZE_MAX 200

enum fault { FAULT_NONE, FAULT_FORM, FAULT_RANGE, FAULT_SUM };

struct scan {
    struct slice fields[FIELDS_MAX];
    size_t count;
    int64_t months, days, us; /* months and days beyond int32 are found at the end */
    uint32_t seen;            /* a bit a unit: none may come twice */
    bool is_ago;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z';
}

/* --- adding up --- */

static enum fault add(int64_t *target, int64_t value)
{
    return __builtin_add_overflow(*target, value, target) ? FAULT_RANGE : FAULT_NONE;
}

static enum fault add_scaled(int64_t *target, int64_t value, int64_t scale)
{
    return __builtin_mul_overflow(value, scale, &value) ? FAULT_RANGE : add(target, value);
}

static enum fault add_fraction_us(struct scan *scan, double fraction, int64_t scale)
{
    return fraction == 0 ? FAULT_NONE
                         : add(&scan->us, (int64_t)nearbyint(fraction * (double)scale));
}

static enum fault add_fraction_days(struct scan *scan, double fraction, int days)
{
    double exact = fraction * days;
    int64_t whole = (int64_t)exact;
    enum fault fault = add(&scan->days, whole);
    return fault != FAULT_NONE ? fault
                               : add_fraction_us(scan, exact - (double)whole, MICROSECONDS_PER_DAY);
}

static enum fault add_years(struct scan *scan, int64_t value, double fraction, int years)
{
    enum fault fault = add_scaled(&scan->months, value, 12 * years);
    return fault != FAULT_NONE ? fault : add(&scan->months, (int64_t)rint(fraction * years * 12));
}

static enum fault add_us(struct scan *scan, int64_t value, double fraction, int64_t scale)
{
    enum fault fault = add_scaled(&scan->us, value, scale);
    return fault != FAULT_NONE ? fault : add_fraction_us(scan, fraction, scale);
}

static enum fault add_unit(struct scan *scan, enum time_unit unit, int64_t value, double fraction)
{
    enum fault fault;
    if ((scan->seen & (1u << unit)) != 0)
        return FAULT_FORM;
    scan->seen |= 1u << unit;
    switch (unit) {
    case UNIT_MICROSECOND:
        return add_us(scan, value, fraction, 1);
    case UNIT_MILLISECOND:
        return add_us(scan, value, fraction, 1000);
    case UNIT_SECOND:
        return add_us(scan, value, fraction, MICROSECONDS_PER_SECOND);
    case UNIT_MINUTE:
        return add_us(scan, value, fraction, MICROSECONDS_PER_MINUTE);
    case UNIT_HOUR:
        return add_us(scan, value, fraction, MICROSECONDS_PER_HOUR);
    case UNIT_DAY:
        fault = add(&scan->days, value);
        return fault != FAULT_NONE ? fault : add_fraction_us(scan, fraction, MICROSECONDS_PER_DAY);
    case UNIT_WEEK:
        fault = add_scaled(&scan->days, value, 7);
        return fault != FAULT_NONE ? fault : add_fraction_days(scan, fraction, 7);
    case UNIT_MONTH:
        fault = add(&scan->months, value);
        return fault != FAULT_NONE ? fault : add_fraction_days(scan, fraction, 30);
    case UNIT_YEAR:
        return add_years(scan, value, fraction, 1);
    case UNIT_DECADE:
        return add_years(scan, value, fraction, 10);
    case UNIT_CENTURY:
        return add_years(scan, value, fraction, 100);
    case UNIT_MILLENNIUM:
        return add_years(scan, value, fraction, 1000);
    default:
        return FAULT_FORM;
    }
}

/* --- fields --- */

static bool is_in_number(char c)
{
    return is_digit(c) || c == '.' || c == ':' || c == '-';
}

static bool cut_fields(struct slice text, struct scan *scan)
{
    size_t index = 0;
    while (index < text.size) {
        char c = text.data[index];
        size_t start = index++;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '@' || c == ',')
            continue;
        if (is_letter(c)) {
            while (index < text.size && is_letter(text.data[index]))
                index++;
            if (index < text.size && is_digit(text.data[index])) /* '1day2hours' */
                return false;
        } else if (is_digit(c) || c == '+' || c == '-' || c == '.') {
            while (index < text.size && is_in_number(text.data[index]))
                index++;
        } else {
            return false;
        }
        if (scan->count == FIELDS_MAX)
            return false;
        scan->fields[scan->count++] = slice_of(text.data + start, index - start);
    }
    return true;
}

/* Digits at *p to a number; false past int64. */
static bool take_integer(const char **p, const char *end, int64_t *out)
{
    bool is_good = true;
    *out = 0;
    for (; *p < end && is_digit(**p); (*p)++)
        is_good = is_good && !__builtin_mul_overflow(*out, 10, out) &&
                  !__builtin_add_overflow(*out, **p - '0', out);
    return is_good;
}

/* Behind the point. */
static double take_fraction(const char **p, const char *end)
{
    double value = 0, unit = 1;
    for (; *p < end && is_digit(**p); (*p)++) {
        if (unit >= 1e17)
            continue;
        value = value * 10 + (**p - '0');
        unit *= 10;
    }
    return value / unit;
}

/* hh:mm, hh:mm:ss, hh:mm:ss.f, and mm:ss.f. */
static enum fault read_clock(const char *p, const char *end, int64_t *out)
{
    int64_t parts[3] = {0};
    double fraction = 0;
    size_t count = 0;
    bool has_fraction = false;
    for (;;) {
        if (p == end || !is_digit(*p))
            return FAULT_FORM;
        if (!take_integer(&p, end, &parts[count++]))
            return FAULT_RANGE;
        if (p == end || *p != ':' || count == 3)
            break;
        p++;
    }
    if (p < end && *p == '.') {
        p++;
        has_fraction = true;
        fraction = take_fraction(&p, end);
    }
    if (p != end || count < 2)
        return FAULT_FORM;
    if (count == 2 && has_fraction) {
        parts[2] = parts[1];
        parts[1] = parts[0];
        parts[0] = 0;
    }
    if (parts[1] > 59 || parts[2] > 60)
        return FAULT_RANGE;
    *out = parts[1] * MICROSECONDS_PER_MINUTE + parts[2] * MICROSECONDS_PER_SECOND +
           (int64_t)nearbyint(fraction * 1e6);
    return add_scaled(out, parts[0], MICROSECONDS_PER_HOUR);
}

static enum fault add_clock(struct scan *scan, struct slice field)
{
    uint32_t units = 1u << UNIT_HOUR | 1u << UNIT_MINUTE | 1u << UNIT_SECOND;
    bool is_negative = field.data[0] == '-';
    bool is_signed = is_negative || field.data[0] == '+';
    int64_t us = 0;
    enum fault fault = read_clock(field.data + is_signed, field.data + field.size, &us);
    if (fault != FAULT_NONE)
        return fault;
    if ((scan->seen & units) != 0)
        return FAULT_FORM;
    scan->seen |= units;
    return add(&scan->us, is_negative ? -us : us);
}

/* A number in a unit, or years-months. */
static enum fault add_number(struct scan *scan, struct slice field, enum time_unit unit)
{
    const char *p = field.data;
    const char *end = p + field.size;
    bool is_negative = *p == '-';
    int64_t value, months;
    double fraction = 0;
    p += is_negative || *p == '+';
    if (p == end || (!is_digit(*p) && *p != '.'))
        return FAULT_FORM;
    if (!take_integer(&p, end, &value))
        return FAULT_RANGE;
    if (p < end && *p == '-') {
        p++;
        if (p == end || !take_integer(&p, end, &months) || p != end)
            return FAULT_FORM;
        if (months > 11 || __builtin_mul_overflow(value, 12, &value))
            return FAULT_RANGE;
        value += months;
        unit = UNIT_MONTH;
    } else if (p < end && *p == '.') {
        p++;
        fraction = take_fraction(&p, end);
    }
    if (p != end)
        return FAULT_FORM;
    return add_unit(scan, unit, is_negative ? -value : value, is_negative ? -fraction : fraction);
}

static enum fault read_fields(struct scan *scan)
{
    enum time_unit unit = UNIT_SECOND;
    for (size_t index = scan->count; index-- > 0;) {
        struct slice field = scan->fields[index];
        enum fault fault = FAULT_NONE;
        if (is_letter(field.data[0])) {
            if (slice_equal_ignore_case(field, SLICE("ago")))
                scan->is_ago = true;
            else if (!time_unit_find(field, &unit) || unit > UNIT_MILLENNIUM)
                fault = FAULT_FORM;
        } else if (memchr(field.data, ':', field.size) != NULL) {
            fault = add_clock(scan, field);
            unit = UNIT_DAY;
        } else {
            fault = add_number(scan, field, unit);
        }
        if (fault != FAULT_NONE)
            return fault;
    }
    return scan->seen == 0 ? FAULT_FORM : FAULT_NONE;
}

/* --- ISO 8601: PnYnMnWnDTnHnMnS --- */

static bool iso_unit(char c, bool is_time, enum time_unit *unit)
{
    static const char names[] = "YMWDHMS";
    static const enum time_unit units[] = {UNIT_YEAR, UNIT_MONTH,  UNIT_WEEK,  UNIT_DAY,
                                           UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    size_t first = is_time ? 4 : 0;
    size_t last = is_time ? 7 : 4;
    for (size_t index = first; index < last; index++) {
        if (names[index] == c) {
            *unit = units[index];
            return true;
        }
    }
    return false;
}

static enum fault read_iso(struct slice text, struct scan *scan)
{
    const char *p = text.data + 1;
    const char *end = text.data + text.size;
    bool is_time = false;
    while (p < end) {
        if (*p == 'T' && !is_time) {
            is_time = true;
            p++;
            continue;
        }
        bool is_negative = *p == '-';
        p += is_negative || *p == '+';
        int64_t value = 0;
        double fraction = 0;
        if (p == end || (!is_digit(*p) && *p != '.'))
            return FAULT_FORM;
        if (!take_integer(&p, end, &value))
            return FAULT_RANGE;
        if (p < end && *p == '.') {
            p++;
            fraction = take_fraction(&p, end);
        }
        enum time_unit unit;
        if (p == end || !iso_unit(*p, is_time, &unit))
            return FAULT_FORM;
        p++;
        enum fault fault =
            add_unit(scan, unit, is_negative ? -value : value, is_negative ? -fraction : fraction);
        if (fault != FAULT_NONE)
            return fault;
    }
    return scan->seen == 0 && !is_time ? FAULT_FORM : FAULT_NONE; /* 'PT' is none at all */
}

/* --- the whole --- */

static enum fault finish(struct scan *scan, struct interval *out)
{
    if (scan->is_ago) {
        if (scan->us == INT64_MIN)
            return FAULT_RANGE;
        scan->months = -scan->months;
        scan->days = -scan->days;
        scan->us = -scan->us;
    }
    if (scan->months != (int32_t)scan->months)
        return FAULT_SUM;
    if (scan->days != (int32_t)scan->days)
        return FAULT_RANGE;
    *out = (struct interval){
        .months = (int32_t)scan->months, .days = (int32_t)scan->days, .microseconds = scan->us};
    return FAULT_NONE;
}

enum err interval_parse(struct slice text, struct interval *out, struct error *error)
{
    struct scan scan = {0};
    struct slice trimmed = slice_trim(text);
    enum fault fault;
    if (trimmed.size > 1 && trimmed.data[0] == 'P' && !is_letter(trimmed.data[1]))
        fault = read_iso(trimmed, &scan);
    else if (trimmed.size >= 2 && trimmed.data[0] == 'P' && trimmed.data[1] == 'T')
        fault = read_iso(trimmed, &scan);
    else
        fault = cut_fields(trimmed, &scan) ? read_fields(&scan) : FAULT_FORM;
    if (fault == FAULT_NONE)
        fault = finish(&scan, out);
    if (fault == FAULT_NONE)
        return OK;
    struct slice quote = slice_cut(text, QUOTE_SIZE_MAX);
    if (fault == FAULT_SUM)
        return error_set(error, ERR_INPUT, "22008", "interval out of range");
    if (fault == FAULT_RANGE)
        return error_set(error, ERR_INPUT, "22015", "interval field value out of range: \"%.*s\"",
                         SLICE_ARGS(quote));
    return error_set(error, ERR_INPUT, "22007", "invalid input syntax for type interval: \"%.*s\"",
                     SLICE_ARGS(quote));
}
