/* Times, dates and intervals as PostgreSQL's ISO style prints them. */
#include "storage/base/datetime.h"

#include "storage/base/number.h"

#include <stdio.h>
#include <stdlib.h>

static void print_padded(struct writer *out, int64_t value, int width)
{
    char digits[24];
    int used = 0;
    do {
        digits[sizeof(digits) - 1 - (size_t)used++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || used < width);
    writer_bytes(out, digits + sizeof(digits) - (size_t)used, (size_t)used);
}

/* The year BC counts down from 1. Returns whether ' BC' is due at the end. */
static bool print_date(const struct civil *civil, struct writer *out)
{
    bool is_bc = civil->year <= 0;
    print_padded(out, is_bc ? 1 - civil->year : civil->year, 4);
    writer_u8(out, '-');
    print_padded(out, civil->month, 2);
    writer_u8(out, '-');
    print_padded(out, civil->day, 2);
    return is_bc;
}

/* .5, .000001, or nothing. */
static void print_fraction(int32_t microsecond, struct writer *out)
{
    if (microsecond == 0)
        return;
    int width = 6;
    for (; microsecond % 10 == 0; microsecond /= 10)
        width--;
    writer_u8(out, '.');
    print_padded(out, microsecond, width);
}

static bool print_face(int64_t local_us, enum time_style style, struct writer *out)
{
    struct civil civil;
    civil_from_time(local_us, &civil);
    bool is_bc = print_date(&civil, out);
    writer_u8(out, style == TIME_STYLE_JSON ? 'T' : ' ');
    print_padded(out, civil.hour, 2);
    writer_u8(out, ':');
    print_padded(out, civil.minute, 2);
    writer_u8(out, ':');
    print_padded(out, civil.second, 2);
    print_fraction(civil.microsecond, out);
    return is_bc;
}

static bool print_infinity(int64_t us, struct writer *out)
{
    if (us != TIME_INFINITY && us != TIME_MINUS_INFINITY)
        return false;
    writer_cstr(out, us == TIME_INFINITY ? "infinity" : "-infinity");
    return true;
}

void timestamptz_print(int64_t us, const struct timezone *zone, enum time_style style,
                       struct writer *out)
{
    if (print_infinity(us, out))
        return;
    int32_t offset = timezone_offset_at(zone, us);
    bool is_bc = print_face(us + offset * MICROSECONDS_PER_SECOND, style, out);
    writer_u8(out, offset < 0 ? '-' : '+');
    int32_t seconds = abs(offset);
    print_padded(out, seconds / 3600, 2);
    if (seconds % 3600 != 0 || style == TIME_STYLE_JSON) {
        writer_u8(out, ':');
        print_padded(out, seconds / 60 % 60, 2);
    }
    if (seconds % 60 != 0) {
        writer_u8(out, ':');
        print_padded(out, seconds % 60, 2);
    }
    if (is_bc)
        writer_cstr(out, " BC");
}

void timestamp_print(int64_t us, enum time_style style, struct writer *out)
{
    if (!print_infinity(us, out) && print_face(us, style, out))
        writer_cstr(out, " BC");
}

void date_print(int64_t days, struct writer *out)
{
    if (days == DATE_INFINITY || days == DATE_MINUS_INFINITY) {
        writer_cstr(out, days == DATE_INFINITY ? "infinity" : "-infinity");
        return;
    }
    struct civil civil = {0};
    civil_from_days(days, &civil.year, &civil.month, &civil.day);
    if (print_date(&civil, out))
        writer_cstr(out, " BC");
}

/* One part of an interval. After a negative part a positive one gets its sign. */
static void print_part(int32_t value, const char *unit, bool *is_first, bool *was_negative,
                       struct writer *out)
{
    if (value == 0)
        return;
    writer_printf(out, "%s%s%d %s%s", *is_first ? "" : " ", *was_negative && value > 0 ? "+" : "",
                  value, unit, value == 1 ? "" : "s");
    *is_first = false;
    *was_negative = value < 0;
}

void interval_print(struct interval value, struct writer *out)
{
    bool is_first = true;
    bool was_negative = false;
    print_part(value.months / 12, "year", &is_first, &was_negative, out);
    print_part(value.months % 12, "mon", &is_first, &was_negative, out);
    print_part(value.days, "day", &is_first, &was_negative, out);
    if (value.microseconds == 0 && !is_first)
        return;
    uint64_t us =
        value.microseconds < 0 ? -(uint64_t)value.microseconds : (uint64_t)value.microseconds;
    writer_cstr(out, is_first ? "" : " ");
    writer_cstr(out, value.microseconds < 0 ? "-" : was_negative ? "+" : "");
    print_padded(out, (int64_t)(us / (uint64_t)MICROSECONDS_PER_HOUR), 2);
    writer_u8(out, ':');
    print_padded(out, (int64_t)(us / (uint64_t)MICROSECONDS_PER_MINUTE % 60), 2);
    writer_u8(out, ':');
    print_padded(out, (int64_t)(us / (uint64_t)MICROSECONDS_PER_SECOND % 60), 2);
    print_fraction((int32_t)(us % (uint64_t)MICROSECONDS_PER_SECOND), out);
}
