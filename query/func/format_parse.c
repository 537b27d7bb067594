/* to_timestamp(text, template) and to_date: the templates of to_char read the other way.
 *
 * As in PostgreSQL a blank or separator in the template stands for one such character in the text
 * or for none, blanks before a field are passed over, and other text passes over as many characters
 * (FX: exactly what is there). A number takes as many digits as its field has, or all that come
 * where the next part of the template is no digit. What the text does not say is year 1 BC, first
 * of January, midnight. Form: 22007, range: 22008. */
#include "query/func/format_time.h"

#include <limits.h>
#include <string.h>

#define OFFSET_HOURS_MAX 15

struct reading {
    struct call *call;
    struct slice template, text;
    size_t at; /* in the text */
    bool is_exact, is_bc, is_pm, has_pm, is_iso, has_offset;
    int skipped;
    uint64_t seen; /* one bit a field */
    int year_width;
    int64_t year, month, day, hour, minute, second, microsecond, seconds_of_day, day_of_year, week,
        century, julian, iso_year, iso_day, week_of_month;
    int64_t offset_hour, offset_minute;
    bool is_offset_negative;
};

static enum err bad_form(const struct reading *r, const char *what, struct slice part)
{
    return error_set(r->call->error, ERR_INPUT, "22007", "%s \"%.*s\"", what, SLICE_ARGS(part));
}

static enum err bad_range(const struct reading *r)
{
    return error_set(r->call->error, ERR_INPUT, "22008",
                     "date/time field value out of range: \"%.*s\"", SLICE_ARGS(r->text));
}

static char text_char(const struct reading *r, size_t ahead)
{
    return r->at + ahead < r->text.size ? r->text.data[r->at + ahead] : 0;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_separator(char c)
{
    return c > 0x20 && c < 0x7f && !is_digit(c) && !(c >= 'a' && c <= 'z') &&
           !(c >= 'A' && c <= 'Z');
}

static void skip_blanks(struct reading *r)
{
    while (is_blank(text_char(r, 0))) {
        r->at++;
        r->skipped++;
    }
}

/* Is what comes in the template after `at` no digit, so that a number may be of any length? */
static bool is_number_free(const struct reading *r, size_t at, const struct time_part *part)
{
    bool is_in_quotes = false;
    if (part->is_filled || part->has_ordinal || at >= r->template.size)
        return true;
    struct time_part next = time_part_next(r->template, &at, &is_in_quotes);
    while (next.field == FIELD_NONE && next.text.size == 0 && at < r->template.size)
        next = time_part_next(r->template, &at, &is_in_quotes);
    if (next.field == FIELD_NONE)
        return next.text.size == 0 || !is_digit(next.text.data[0]);
    return !time_field_is_digits(&next);
}

/* A number of at most `width` characters, or of any number; *used: its characters. */
static enum err read_number(struct reading *r, const struct time_part *part, size_t width,
                            size_t template_at, int64_t *out, size_t *used)
{
    while (is_blank(text_char(r, 0)))
        r->at++;
    bool is_free = is_number_free(r, template_at, part);
    if (!is_free && r->text.size - r->at < width)
        return bad_form(r, "source string too short for formatting field", part->text);
    size_t first = r->at, end = is_free ? r->text.size : r->at + width;
    bool is_negative = false;
    if (r->at < end && (text_char(r, 0) == '-' || text_char(r, 0) == '+'))
        is_negative = r->text.data[r->at++] == '-';
    size_t digits = r->at;
    for (*out = 0; r->at < end && is_digit(text_char(r, 0)); r->at++) {
        *out = *out * 10 + (text_char(r, 0) - '0');
        if (*out > INT_MAX)
            return error_set(r->call->error, ERR_INPUT, "22008",
                             "value for \"%.*s\" in source string is out of range",
                             SLICE_ARGS(part->text));
    }
    if (r->at == digits || (!is_free && r->at != end))
        return bad_form(r, "invalid value for", part->text);
    *out = is_negative ? -*out : *out;
    *used = r->at - first;
    return OK;
}

/* Sets a field once; another value for it is a conflict. */
static enum err set_field(struct reading *r, const struct time_part *part, unsigned bit,
                          int64_t *place, int64_t value)
{
    if ((r->seen >> bit & 1) != 0 && *place != value)
        return bad_form(r, "conflicting values in formatting string for", part->text);
    r->seen |= UINT64_C(1) << bit;
    *place = value;
    return OK;
}

static bool has(const struct reading *r, enum time_field field)
{
    return (r->seen >> field & 1) != 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The name in the list that the text starts with (its first `width` letters; 0: all). */
static enum err read_name(struct reading *r, const struct time_part *part, const char *const *names,
                          size_t count, size_t width, int64_t *out)
{
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = width > 0 ? width : strlen(names[i]), k = 0;
        while (k < size && lower(text_char(r, k)) == lower(names[i][k]))
            k++;
        if (k == size && size > best) {
            best = size;
            *out = (int64_t)i;
        }
    }
    r->at += best;
    return best > 0 ? OK : bad_form(r, "invalid value for", part->text);
}

/* Two digits and fewer are of the years 1970 to 2069, three near 2020. */
static int64_t full_year(int64_t year, size_t width)
{
    if (year < 0 || width > 3)
        return year;
    return year < 70     ? year + 2000
           : year < 100  ? year + 1900
           : year < 520  ? year + 2000
           : year < 1000 ? year + 1000
                         : year;
}

static enum err read_years(struct reading *r, const struct time_part *part, size_t template_at)
{
    int64_t value, thousands = 0;
    size_t used;
    enum err err;
    bool is_iso = part->field == FIELD_ISO_YEAR;
    if (part->field == FIELD_Y_YYY) {
        while (is_digit(text_char(r, 0)))
            thousands = (thousands * 10 + (r->text.data[r->at++] - '0')) % 1000000;
        if (text_char(r, 0) != ',')
            return bad_form(r, "invalid input string for", part->text);
        r->at++;
        err = read_number(r, part, 3, template_at, &value, &used);
        if (err == OK)
            err = set_field(r, part, FIELD_YEAR, &r->year, thousands * 1000 + value);
        r->year_width = 4;
        return err;
    }
    err = read_number(r, part, part->width, template_at, &value, &used);
    if (err == OK && part->width < 4 && used < 4)
        value = full_year(value, used);
    r->year_width = part->width;
    if (err != OK)
        return err;
    return is_iso ? set_field(r, part, FIELD_ISO_YEAR, &r->iso_year, value)
                  : set_field(r, part, FIELD_YEAR, &r->year, value);
}

static enum err read_fraction(struct reading *r, const struct time_part *part, size_t template_at)
{
    int64_t value;
    size_t used;
    enum err err = read_number(r, part, part->width, template_at, &value, &used);
    for (size_t i = used; err == OK && i < (part->field == FIELD_MS ? 3 : 6); i++)
        value *= 10;
    if (part->field == FIELD_MS && err == OK)
        value *= 1000;
    return err != OK ? err : set_field(r, part, part->field, &r->microsecond, value);
}

static enum err read_half(struct reading *r, const struct time_part *part)
{
    static const char *const halves[2][4] = {{"am", "pm", "a.m.", "p.m."},
                                             {"ad", "bc", "a.d.", "b.c."}};
    int64_t index;
    bool is_era = part->field == FIELD_BC;
    enum err err = read_name(r, part, halves[is_era], 4, 0, &index);
    if (err != OK)
        return err;
    if (is_era)
        r->is_bc = index % 2 == 1;
    else
        r->is_pm = index % 2 == 1;
    return OK;
}

static enum err read_offset(struct reading *r, const struct time_part *part, size_t template_at)
{
    int64_t value;
    size_t used;
    char sign = text_char(r, 0);
    if (part->field == FIELD_TZH && (sign == '+' || sign == '-' || sign == ' ')) {
        r->is_offset_negative = sign == '-';
        r->at++;
    } else if (part->field == FIELD_TZH) { /* the sign may have been taken for a separator */
        r->is_offset_negative = r->skipped > 0 && r->at > 0 && r->text.data[r->at - 1] == '-';
    }
    enum err err = read_number(r, part, 2, template_at, &value, &used);
    r->has_offset = true;
    if (part->field == FIELD_TZH)
        r->offset_hour = value;
    else
        r->offset_minute = value;
    return err;
}

/* Fields that are one number. NULL: none. */
static int64_t *number_place(struct reading *r, enum time_field field)
{
    switch (field) {
    case FIELD_HH12:
    case FIELD_HH24:
        return &r->hour;
    case FIELD_MI:
        return &r->minute;
    case FIELD_SS:
        return &r->second;
    case FIELD_SSSS:
        return &r->seconds_of_day;
    case FIELD_MM:
        return &r->month;
    case FIELD_DDD:
    case FIELD_IDDD:
        return &r->day_of_year;
    case FIELD_DD:
        return &r->day;
    case FIELD_W:
        return &r->week_of_month;
    case FIELD_WW:
    case FIELD_IW:
        return &r->week;
    case FIELD_ID:
    case FIELD_D:
        return &r->iso_day;
    case FIELD_CC:
        return &r->century;
    case FIELD_J:
        return &r->julian;
    default:
        return NULL;
    }
}

static enum err read_names(struct reading *r, const struct time_part *part)
{
    int64_t index = 0;
    enum err err = OK;
    switch (part->field) {
    case FIELD_MONTH:
    case FIELD_MON:
        err = read_name(r, part, month_names, 12, part->field == FIELD_MON ? 3 : 0, &index);
        return err != OK ? err : set_field(r, part, FIELD_MM, &r->month, index + 1);
    case FIELD_DAY:
    case FIELD_DY: /* said, and not looked at */
        return read_name(r, part, day_names, 7, part->field == FIELD_DY ? 3 : 0, &index);
    case FIELD_RM:
        err = read_name(r, part, roman_months, 12, 0, &index);
        return err != OK ? err : set_field(r, part, FIELD_MM, &r->month, index + 1);
    default:
        return error_set(r->call->error, ERR_UNSUPPORTED, "0A000",
                         "formatting field \"%.*s\" is only supported in to_char",
                         SLICE_ARGS(part->text));
    }
}

static enum err read_field(struct reading *r, const struct time_part *part, size_t template_at)
{
    int64_t value, *place = number_place(r, part->field);
    size_t used;
    enum err err;
    switch (part->field) {
    case FIELD_FX:
        r->is_exact = true;
        return OK;
    case FIELD_Y_YYY:
    case FIELD_YEAR:
    case FIELD_ISO_YEAR:
        return read_years(r, part, template_at);
    case FIELD_MS:
    case FIELD_US:
    case FIELD_FF:
        return read_fraction(r, part, template_at);
    case FIELD_AM:
    case FIELD_BC:
        r->has_pm = r->has_pm || part->field == FIELD_AM;
        return read_half(r, part);
    case FIELD_TZH:
    case FIELD_TZM:
        return read_offset(r, part, template_at);
    case FIELD_Q:
        return read_number(r, part, 1, template_at, &value, &used);
    default:
        break;
    }
    if (place == NULL)
        return read_names(r, part);
    err = read_number(r, part, part->width, template_at, &value, &used);
    bool is_clock12 = part->field == FIELD_HH12;
    r->has_pm = r->has_pm || is_clock12;
    if (err == OK)
        err = set_field(r, part, is_clock12 ? FIELD_HH24 : part->field, place, value);
    if (err == OK && part->has_ordinal)
        r->at += r->text.size - r->at >= 2 ? 2 : r->text.size - r->at;
    return err;
}

/* Text of the template: passes over what stands for it. */
static void pass_text(struct reading *r, const struct time_part *part)
{
    char c = part->text.data[0];
    size_t size = text_prefix_size(slice_of(r->text.data + r->at, r->text.size - r->at), 1);
    if (r->is_exact) {
        r->at += size;
    } else if (!part->is_quoted && (is_blank(c) || is_separator(c))) {
        r->skipped--;
        if (is_blank(text_char(r, 0)) || is_separator(text_char(r, 0))) {
            r->at++;
            r->skipped++;
        }
    } else if (r->skipped > 0) {
        r->skipped--;
    } else {
        r->at += size;
    }
}

static enum err read_template(struct reading *r)
{
    bool is_in_quotes = false, is_first = true;
    for (size_t at = 0; at < r->template.size && r->at < r->text.size;) {
        struct time_part part = time_part_next(r->template, &at, &is_in_quotes);
        if (part.field == FIELD_NONE && part.text.size == 0)
            continue;
        bool is_field = part.field != FIELD_NONE;
        if (!r->is_exact && part.field != FIELD_FX && (is_field || is_first))
            skip_blanks(r);
        is_first = false;
        if (!is_field) {
            pass_text(r, &part);
            continue;
        }
        enum err err = read_field(r, &part, at);
        if (err != OK)
            return err;
        if (!r->is_exact && part.field != FIELD_FX) {
            r->skipped = 0;
            skip_blanks(r);
        }
    }
    return OK;
}

/* --- what was read, as a time --- */

static enum err settle_clock(struct reading *r)
{
    if (r->offset_hour < 0 || r->offset_hour > OFFSET_HOURS_MAX || r->offset_minute < 0 ||
        r->offset_minute >= 60)
        return error_set(r->call->error, ERR_INPUT, "22009",
                         "time zone displacement out of range: \"%.*s\"", SLICE_ARGS(r->text));
    if (has(r, FIELD_SSSS)) {
        r->hour = r->seconds_of_day / 3600;
        r->minute = r->seconds_of_day / 60 % 60;
        r->second = r->seconds_of_day % 60;
    }
    if (r->has_pm && has(r, FIELD_HH24)) {
        if (r->hour < 1 || r->hour > 12)
            return error_set(r->call->error, ERR_INPUT, "22007",
                             "hour \"%lld\" is invalid for the 12-hour clock", (long long)r->hour);
        r->hour = r->hour % 12 + (r->is_pm ? 12 : 0);
    }
    bool is_good = r->hour >= 0 && r->hour < 24 && r->minute >= 0 && r->minute < 60 &&
                   r->second >= 0 && r->second < 60 && r->microsecond >= 0 &&
                   r->microsecond < 1000000;
    return is_good ? OK : bad_range(r);
}

/* The year as the calendar counts: 0 is 1 BC, and what a year of 0 or none is, BC or not. */
static int64_t settle_year(const struct reading *r)
{
    int64_t year = has(r, FIELD_ISO_YEAR) ? r->iso_year : r->year;
    if (year == 0 && (!has(r, FIELD_CC) || r->century == 0))
        return 0;
    if (year == 0) /* the first of the century */
        return r->is_bc ? 1 - r->century * 100 : (r->century - 1) * 100 + 1;
    if (has(r, FIELD_CC) && has(r, FIELD_YEAR) && r->year_width <= 2)
        year = (r->century - 1) * 100 + year % 100 + (year % 100 == 0 ? 100 : 0);
    year = r->is_bc ? -year : year;
    return year < 0 ? year + 1 : year;
}

static enum err settle_days(const struct reading *r, int64_t *days)
{
    if (has(r, FIELD_J)) {
        *days = r->julian - 2440588;
        return OK;
    }
    int64_t year = settle_year(r), month = r->month != 0 ? r->month : 1,
            day = r->day != 0 ? r->day : 1, day_of_year = r->day_of_year;
    if (year < -4800 || year > 294276)
        return bad_range(r);
    int64_t first = days_from_civil((int32_t)year, 1, 1);
    if (has(r, FIELD_IW) || has(r, FIELD_IDDD)) {
        int64_t fourth = first + 3, monday = fourth - ((fourth + 3) % 7 + 7) % 7;
        int64_t weekday = has(r, FIELD_ID)  ? r->iso_day - 1
                          : has(r, FIELD_D) ? (r->iso_day + 5) % 7
                                            : 0;
        *days =
            has(r, FIELD_IDDD) ? monday + day_of_year - 1 : monday + (r->week - 1) * 7 + weekday;
        return OK;
    }
    if (has(r, FIELD_WW))
        day_of_year = (r->week - 1) * 7 + 1;
    if (has(r, FIELD_W))
        day = (r->week_of_month - 1) * 7 + 1;
    if ((has(r, FIELD_DDD) || has(r, FIELD_WW)) && !(has(r, FIELD_MM) && has(r, FIELD_DD))) {
        int64_t length = days_from_civil((int32_t)year + 1, 1, 1) - first;
        if (day_of_year < 1 || day_of_year > length)
            return bad_range(r);
        *days = first + day_of_year - 1;
        return OK;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month((int32_t)year, (int32_t)month))
        return bad_range(r);
    *days = days_from_civil((int32_t)year, (int32_t)month, (int32_t)day);
    return OK;
}

static enum err read_time(struct call *call, const struct value *a, struct reading *r,
                          int64_t *days)
{
    *r = (struct reading){.call = call, .text = a[0].text, .template = a[1].text};
    enum err err = read_template(r);
    if (err == OK)
        err = settle_clock(r);
    return err != OK ? err : settle_days(r, days);
}

static enum err to_timestamp_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    struct reading r;
    int64_t days, us;
    enum err err = read_time(call, a, &r, &days);
    if (err != OK)
        return err;
    int64_t clock =
        (r.hour * 3600 + r.minute * 60 + r.second) * MICROSECONDS_PER_SECOND + r.microsecond;
    if (__builtin_mul_overflow(days, MICROSECONDS_PER_DAY, &us) ||
        __builtin_add_overflow(us, clock, &us) || us < TIME_MIN || us > TIME_MAX)
        return error_set(call->error, ERR_INPUT, "22008", "timestamp out of range");
    int64_t offset = (r.offset_hour * 60 + r.offset_minute) * MICROSECONDS_PER_MINUTE;
    if (r.has_offset)
        out->i = us - (r.is_offset_negative ? -offset : offset);
    else
        out->i = call->context->zone != NULL ? timezone_to_utc(call->context->zone, us) : us;
    return out->i < TIME_MIN || out->i > TIME_MAX
               ? error_set(call->error, ERR_INPUT, "22008", "timestamp out of range")
               : OK;
}

static enum err to_date_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct reading r;
    enum err err = read_time(call, a, &r, &out->i);
    bool is_in_range =
        out->i >= days_from_civil(-4713, 11, 24) && out->i < days_from_civil(5874898, 1, 1);
    return err != OK || is_in_range ? err
                                    : error_set(call->error, ERR_INPUT, "22008",
                                                "date out of range: \"%.*s\"", SLICE_ARGS(r.text));
}

/* clang-format off */
static const struct function functions[] = {
    {.name = "to_timestamp",
     .argument_count = 2,
     .arguments = {TYPE_TEXT, TYPE_TEXT},
     .result = TYPE_TIMESTAMPTZ,
     .volatility = STABLE,
     .row = to_timestamp_row,
     .doc = "a time from text by a template",
     .example = "to_timestamp('01 May 2026 10:17', 'DD Mon YYYY HH24:MI')"},
    {.name = "to_date",
     .argument_count = 2,
     .arguments = {TYPE_TEXT, TYPE_TEXT},
     .result = TYPE_DATE,
     .volatility = STABLE,
     .row = to_date_row,
     .doc = "a date from text by a template",
     .example = "to_date('20260501', 'YYYYMMDD')"},
};
/* clang-format on */

const struct function_group functions_format_parse = {functions, array_count(functions)};
