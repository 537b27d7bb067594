/* Times and dates from text.
 *
 * One scanner for all of them: it walks over the fields (numbers, words, offsets) and fills a
 * `struct parsed`; what is missing or too much is judged at the end. Taken are the forms that
 * machines write: ISO 8601 with and without separators, RFC 3339, RFC 1123, PostgreSQL's own
 * output, month names, month/day/year. The exact RFC 3339 form has a path of its own that costs a
 * few nanoseconds, because nearly every event carries one. */
#include "storage/base/datetime.h"

#include <assert.h>

#define QUOTE_SIZE_MAX 200
#define OFFSET_HOURS_MAX 15 /* PostgreSQL's */

enum fault { FAULT_NONE, FAULT_FORM, FAULT_FIELD, FAULT_OFFSET, FAULT_ZONE };
enum relative {
    RELATIVE_NONE,
    RELATIVE_NOW,
    RELATIVE_TODAY,
    RELATIVE_TOMORROW,
    RELATIVE_YESTERDAY,
    RELATIVE_EPOCH,
    RELATIVE_INFINITY,
    RELATIVE_MINUS_INFINITY
};

struct parsed {
    const char *p, *end;
    struct civil civil;
    bool has_year, has_month, has_day, has_time, is_bc, is_year_short;
    bool has_offset;
    int32_t offset;              /* seconds east */
    const struct timezone *zone; /* named in the text */
    enum relative relative;
    int meridiem; /* 1 am, 2 pm */
};

/* --- characters --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z';
}

static bool at(const struct parsed *parsed, char c)
{
    return parsed->p < parsed->end && *parsed->p == c;
}

static bool take(struct parsed *parsed, char c)
{
    if (!at(parsed, c))
        return false;
    parsed->p++;
    return true;
}

/* Digits, at most nine; how many in *count. */
static int32_t take_digits(struct parsed *parsed, int *count)
{
    int32_t value = 0;
    for (*count = 0; parsed->p < parsed->end && is_digit(*parsed->p) && *count < 9; (*count)++)
        value = value * 10 + (*parsed->p++ - '0');
    return value;
}

/* Fraction digits to microseconds, rounded; 1,000,000 is possible. */
static int32_t take_fraction(struct parsed *parsed)
{
    int32_t value = 0;
    int places = 0;
    bool rounds_up = false;
    for (; parsed->p < parsed->end && is_digit(*parsed->p); parsed->p++, places++) {
        if (places < 6)
            value = value * 10 + (*parsed->p - '0');
        else if (places == 6)
            rounds_up = *parsed->p >= '5';
    }
    for (; places < 6; places++)
        value *= 10;
    return value + rounds_up;
}

/* --- fields --- */

static enum fault set_time(struct parsed *parsed, int32_t hour, int32_t minute, int32_t second)
{
    if (parsed->has_time)
        return FAULT_FORM;
    parsed->has_time = true;
    parsed->civil.hour = hour;
    parsed->civil.minute = minute;
    parsed->civil.second = second;
    if (take(parsed, '.'))
        parsed->civil.microsecond = take_fraction(parsed);
    return FAULT_NONE;
}

/* hh:mm[:ss[.f]], the hour read already. */
static enum fault scan_clock(struct parsed *parsed, int32_t hour)
{
    int count;
    int32_t second = 0;
    if (!take(parsed, ':'))
        return FAULT_FORM;
    int32_t minute = take_digits(parsed, &count);
    if (count == 0 || count > 2)
        return FAULT_FORM;
    if (take(parsed, ':')) {
        second = take_digits(parsed, &count);
        if (count == 0 || count > 2)
            return FAULT_FORM;
    }
    return set_time(parsed, hour, minute, second);
}

static enum fault set_date(struct parsed *parsed, int32_t year, int32_t month, int32_t day)
{
    if (parsed->has_year || parsed->has_month || parsed->has_day)
        return FAULT_FORM;
    parsed->has_year = parsed->has_month = parsed->has_day = true;
    parsed->civil.year = year;
    parsed->civil.month = month;
    parsed->civil.day = day;
    return FAULT_NONE;
}

static int32_t month_by_name(struct slice word)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    if (word.size == 4 && slice_equal_ignore_case(word, SLICE("sept")))
        return 9;
    for (size_t index = 0; index < array_count(names); index++) {
        struct slice name = slice_from_cstr(names[index]);
        if (slice_equal_ignore_case(word, name) ||
            (word.size == 3 && slice_equal_ignore_case(word, slice_of(name.data, 3))))
            return (int32_t)index + 1;
    }
    return 0;
}

static bool is_weekday(struct slice word)
{
    static const char *const names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};
    for (size_t index = 0; index < array_count(names); index++) {
        struct slice name = slice_from_cstr(names[index]);
        if (slice_equal_ignore_case(word, name) ||
            (word.size == 3 && slice_equal_ignore_case(word, slice_of(name.data, 3))))
            return true;
    }
    return false;
}

static struct slice take_letters(struct parsed *parsed)
{
    const char *start = parsed->p;
    while (parsed->p < parsed->end && is_letter(*parsed->p))
        parsed->p++;
    return slice_of(start, (size_t)(parsed->p - start));
}

/* a-b-c, a/b/c or a.b.c, the first number read already. */
static enum fault scan_date(struct parsed *parsed, int32_t first, int first_count)
{
    char separator = *parsed->p++;
    int count;
    int32_t second, third;
    bool is_named = parsed->p < parsed->end && is_letter(*parsed->p);
    if (is_named) {
        second = month_by_name(take_letters(parsed));
        count = second != 0 ? 2 : 0;
    } else {
        second = take_digits(parsed, &count);
    }
    if (count == 0 || count > 3 || !take(parsed, separator)) {
        if (first_count >= 3 && count == 3 &&
            separator == '-') { /* 2026-121: the day of the year */
            enum fault fault = set_date(parsed, first, 1, 1);
            if (fault != FAULT_NONE || second < 1 || second > 365 + (days_in_month(first, 2) == 29))
                return fault != FAULT_NONE ? fault : FAULT_FIELD;
            civil_from_days(days_from_civil(first, 1, 1) + second - 1, &parsed->civil.year,
                            &parsed->civil.month, &parsed->civil.day);
            return FAULT_NONE;
        }
        return FAULT_FORM;
    }
    third = take_digits(parsed, &count);
    if (count == 0)
        return FAULT_FORM;
    if (first_count >= 3)
        return set_date(parsed, first, second, third);
    parsed->is_year_short = count <= 2;
    if (is_named)
        return set_date(parsed, third, second, first);
    return set_date(parsed, third, first, second);
}

/* +hh[[:]mm[[:]ss]], the sign read already. */
static enum fault scan_offset(struct parsed *parsed, bool is_negative)
{
    int count;
    int32_t minutes = 0, seconds = 0;
    int32_t hours = take_digits(parsed, &count);
    if (count == 0 || parsed->has_offset || parsed->zone != NULL)
        return FAULT_FORM;
    if (count > 2) { /* hhmm, hmm, hhmmss */
        seconds = count > 4 ? hours % 100 : 0;
        hours = count > 4 ? hours / 100 : hours;
        minutes = hours % 100;
        hours /= 100;
    } else if (take(parsed, ':')) {
        minutes = take_digits(parsed, &count);
        if (count == 0)
            return FAULT_FORM;
        if (take(parsed, ':'))
            seconds = take_digits(parsed, &count);
    }
    if (hours > OFFSET_HOURS_MAX || minutes > 59 || seconds > 59)
        return FAULT_OFFSET;
    int32_t offset = hours * 3600 + minutes * 60 + seconds;
    parsed->has_offset = true;
    parsed->offset = is_negative ? -offset : offset;
    return FAULT_NONE;
}

/* Numbers without separators: 20260501, 100000, or a part of a date with a named month. */
static enum fault scan_bare_number(struct parsed *parsed, int32_t value, int count)
{
    bool has_date = parsed->has_year && parsed->has_month && parsed->has_day;
    if (has_date && (count == 6 || count == 4) && !parsed->has_time) {
        int32_t with_seconds = count == 6 ? value : value * 100;
        return set_time(parsed, with_seconds / 10000, with_seconds / 100 % 100, with_seconds % 100);
    }
    if (count == 8)
        return set_date(parsed, value / 10000, value / 100 % 100, value % 100);
    if (count == 6 && !parsed->has_month) {
        parsed->is_year_short = true;
        return set_date(parsed, value / 10000, value / 100 % 100, value % 100);
    }
    if (count <= 2 && !parsed->has_day) {
        parsed->has_day = true;
        parsed->civil.day = value;
        return FAULT_NONE;
    }
    if (parsed->has_month && !parsed->has_year) {
        parsed->has_year = true;
        parsed->is_year_short = count <= 2;
        parsed->civil.year = value;
        return FAULT_NONE;
    }
    return FAULT_FORM;
}

static enum fault scan_number(struct parsed *parsed)
{
    int count;
    int32_t value = take_digits(parsed, &count);
    if (at(parsed, ':') && count <= 2)
        return scan_clock(parsed, value);
    bool is_dotted = at(parsed, '.') && count <= 4;
    if ((at(parsed, '-') || at(parsed, '/') || is_dotted) && !parsed->has_day)
        return scan_date(parsed, value, count);
    if (parsed->p < parsed->end && is_digit(*parsed->p))
        return FAULT_FORM;
    return scan_bare_number(parsed, value, count);
}

/* --- words --- */

static const struct {
    const char *name;
    int32_t minutes; /* east */
} abbreviations[] = {
    {"z", 0},       {"utc", 0},    {"gmt", 0},    {"ut", 0},     {"zulu", 0},   {"wet", 0},
    {"west", 60},   {"bst", 60},   {"cet", 60},   {"met", 60},   {"cest", 120}, {"eet", 120},
    {"eest", 180},  {"msk", 180},  {"ist", 120},  {"est", -300}, {"edt", -240}, {"cst", -360},
    {"cdt", -300},  {"mst", -420}, {"mdt", -360}, {"pst", -480}, {"pdt", -420}, {"akst", -540},
    {"akdt", -480}, {"hst", -600}, {"jst", 540},  {"kst", 540},
};

static const struct {
    const char *name;
    enum relative relative;
} relatives[] = {
    {"now", RELATIVE_NOW},           {"today", RELATIVE_TODAY},
    {"tomorrow", RELATIVE_TOMORROW}, {"yesterday", RELATIVE_YESTERDAY},
    {"epoch", RELATIVE_EPOCH},       {"infinity", RELATIVE_INFINITY},
};

static enum fault scan_zone_name(struct parsed *parsed, const char *start)
{
    while (parsed->p < parsed->end &&
           (is_letter(*parsed->p) || is_digit(*parsed->p) || *parsed->p == '/' ||
            *parsed->p == '_' || *parsed->p == '-' || *parsed->p == '+'))
        parsed->p++;
    struct slice name = slice_of(start, (size_t)(parsed->p - start));
    if (parsed->zone != NULL || parsed->has_offset)
        return FAULT_FORM;
    if (timezone_find(name, &parsed->zone, NULL) == OK)
        return FAULT_NONE;
    /* What looks like a zone is told so; any other word is just wrong. */
    return memchr(name.data, '/', name.size) != NULL ? FAULT_ZONE : FAULT_FORM;
}

static enum fault scan_known_word(struct parsed *parsed, struct slice word, bool *is_known)
{
    *is_known = true;
    for (size_t index = 0; index < array_count(relatives); index++) {
        if (slice_equal_ignore_case(word, slice_from_cstr(relatives[index].name))) {
            bool is_second = parsed->relative != RELATIVE_NONE || parsed->has_day;
            parsed->relative = relatives[index].relative;
            return is_second ? FAULT_FORM : FAULT_NONE;
        }
    }
    for (size_t index = 0; index < array_count(abbreviations); index++) {
        if (slice_equal_ignore_case(word, slice_from_cstr(abbreviations[index].name))) {
            bool is_second = parsed->has_offset || parsed->zone != NULL;
            parsed->has_offset = true;
            parsed->offset = abbreviations[index].minutes * 60;
            return is_second ? FAULT_FORM : FAULT_NONE;
        }
    }
    if (slice_equal_ignore_case(word, SLICE("bc")) || slice_equal_ignore_case(word, SLICE("ad"))) {
        parsed->is_bc = (word.data[0] | 0x20) == 'b';
        return FAULT_NONE;
    }
    if (slice_equal_ignore_case(word, SLICE("am")) || slice_equal_ignore_case(word, SLICE("pm"))) {
        parsed->meridiem = (word.data[0] | 0x20) == 'a' ? 1 : 2;
        return parsed->has_time ? FAULT_NONE : FAULT_FORM;
    }
    if (is_weekday(word))
        return FAULT_NONE;
    *is_known = false;
    return FAULT_FORM;
}

static enum fault scan_word(struct parsed *parsed)
{
    const char *start = parsed->p;
    struct slice word = take_letters(parsed);
    bool continues =
        parsed->p < parsed->end && (is_digit(*parsed->p) || *parsed->p == '/' || *parsed->p == '_');
    if (word.size == 1 && (start[0] | 0x20) == 't' && parsed->has_day && continues)
        return FAULT_NONE;
    int32_t month = month_by_name(word);
    if (month != 0 && !parsed->has_month && !continues) {
        parsed->has_month = true;
        parsed->civil.month = month;
        if (!take(parsed, '-'))
            take(parsed, ',');
        return FAULT_NONE;
    }
    bool is_known = false;
    if (!continues && !at(parsed, '+') && !at(parsed, '-')) {
        enum fault fault = scan_known_word(parsed, word, &is_known);
        if (is_known)
            return fault;
    }
    return scan_zone_name(parsed, start);
}

/* '-infinity' and '+infinity', else an offset after a time. */
static enum fault scan_signed(struct parsed *parsed)
{
    bool is_negative = *parsed->p++ == '-';
    if (parsed->p < parsed->end && is_letter(*parsed->p)) {
        if (!slice_equal_ignore_case(take_letters(parsed), SLICE("infinity")) || parsed->has_day)
            return FAULT_FORM;
        parsed->relative = is_negative ? RELATIVE_MINUS_INFINITY : RELATIVE_INFINITY;
        return FAULT_NONE;
    }
    if (!parsed->has_time && !parsed->has_day)
        return FAULT_FORM;
    return scan_offset(parsed, is_negative);
}

/* --- the whole --- */

static enum fault check_fields(struct parsed *parsed)
{
    struct civil *civil = &parsed->civil;
    if (parsed->has_time) {
        if (parsed->meridiem != 0 && (civil->hour < 1 || civil->hour > 12))
            return FAULT_FIELD;
        if (parsed->meridiem != 0)
            civil->hour = civil->hour % 12 + (parsed->meridiem == 2 ? 12 : 0);
        if (civil->hour > 24 || civil->minute > 59 || civil->second > 60)
            return FAULT_FIELD;
        if (civil->hour == 24 && (civil->minute > 0 || civil->second > 0 || civil->microsecond > 0))
            return FAULT_FIELD;
    }
    if (parsed->relative != RELATIVE_NONE)
        return parsed->has_day || parsed->has_year || parsed->has_month ? FAULT_FORM : FAULT_NONE;
    if (!parsed->has_year || !parsed->has_month || !parsed->has_day)
        return FAULT_FORM;
    if (parsed->is_year_short && !parsed->is_bc)
        civil->year += civil->year < 70 ? 2000 : civil->year < 100 ? 1900 : 0;
    if (civil->year == 0 || civil->year > 300000 || civil->month < 1 || civil->month > 12)
        return FAULT_FIELD;
    if (parsed->is_bc)
        civil->year = 1 - civil->year;
    return civil->day < 1 || civil->day > days_in_month(civil->year, civil->month) ? FAULT_FIELD
                                                                                   : FAULT_NONE;
}

static enum fault scan(struct slice text, struct parsed *parsed)
{
    struct slice trimmed = slice_trim(text);
    *parsed = (struct parsed){.p = trimmed.data, .end = trimmed.data + trimmed.size};
    if (trimmed.size == 0)
        return FAULT_FORM;
    while (parsed->p < parsed->end) {
        enum fault fault = FAULT_NONE;
        char c = *parsed->p;
        if (c == ' ' || c == '\t' || c == ',')
            parsed->p++;
        else if (is_digit(c))
            fault = scan_number(parsed);
        else if (is_letter(c))
            fault = scan_word(parsed);
        else if (c == '+' || c == '-')
            fault = scan_signed(parsed);
        else
            fault = FAULT_FORM;
        if (fault != FAULT_NONE)
            return fault;
    }
    return check_fields(parsed);
}

static enum err report(enum fault fault, const char *type_name, struct slice text,
                       struct error *error)
{
    struct slice quote = slice_cut(text, QUOTE_SIZE_MAX);
    switch (fault) {
    case FAULT_FIELD:
        return error_set(error, ERR_INPUT, "22008", "date/time field value out of range: \"%.*s\"",
                         SLICE_ARGS(quote));
    case FAULT_ZONE:
        return error_set(error, ERR_INPUT, "22023", "time zone in \"%.*s\" not recognized",
                         SLICE_ARGS(quote));
    case FAULT_OFFSET:
        return error_set(error, ERR_INPUT, "22009", "time zone displacement out of range: \"%.*s\"",
                         SLICE_ARGS(quote));
    default:
        return error_set(error, ERR_INPUT, "22007", "invalid input syntax for type %s: \"%.*s\"",
                         type_name, SLICE_ARGS(quote));
    }
}

static enum err out_of_range(const char *what, struct slice text, struct error *error)
{
    return error_set(error, ERR_INPUT, "22008", "%s out of range: \"%.*s\"", what,
                     SLICE_ARGS(slice_cut(text, QUOTE_SIZE_MAX)));
}

/* The clock face of a parsed text without infinities; relatives are taken in `zone`. */
static int64_t local_face(const struct parsed *parsed, const struct timezone *zone, int64_t now_us)
{
    struct civil clock = {.year = 1970,
                          .month = 1,
                          .day = 1,
                          .hour = parsed->civil.hour,
                          .minute = parsed->civil.minute,
                          .second = parsed->civil.second,
                          .microsecond = parsed->civil.microsecond};
    int64_t midnight;
    if (parsed->relative == RELATIVE_NONE) {
        midnight = days_from_civil(parsed->civil.year, parsed->civil.month, parsed->civil.day);
        __int128 wide = (__int128)midnight * MICROSECONDS_PER_DAY + time_from_civil(&clock);
        return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
    }
    int64_t today = time_truncate(timezone_to_local(zone, now_us), UNIT_DAY, timezone_utc);
    if (parsed->relative == RELATIVE_TOMORROW)
        today += MICROSECONDS_PER_DAY;
    else if (parsed->relative == RELATIVE_YESTERDAY)
        today -= MICROSECONDS_PER_DAY;
    else if (parsed->relative == RELATIVE_EPOCH)
        today = 0;
    return today + time_from_civil(&clock);
}

static bool is_absolute(const struct parsed *parsed, int64_t now_us, int64_t *out)
{
    switch (parsed->relative) {
    case RELATIVE_NOW:
        *out = now_us;
        return true;
    case RELATIVE_EPOCH:
        *out = 0;
        return !parsed->has_time;
    case RELATIVE_INFINITY:
    case RELATIVE_MINUS_INFINITY:
        *out = parsed->relative == RELATIVE_INFINITY ? TIME_INFINITY : TIME_MINUS_INFINITY;
        return true;
    default:
        return false;
    }
}

enum err timestamptz_parse(struct slice text, const struct timezone *zone, int64_t now_us,
                           int64_t *out, struct error *error)
{
    if (timestamptz_parse_rfc3339(text, out) &&
        (zone == timezone_utc || text.data[text.size - 1] == 'Z'))
        return OK;
    struct parsed parsed;
    enum fault fault = scan(text, &parsed);
    if (fault != FAULT_NONE)
        return report(fault, "timestamp with time zone", text, error);
    if (is_absolute(&parsed, now_us, out))
        return OK;
    const struct timezone *used = parsed.zone != NULL ? parsed.zone : zone;
    int64_t local = local_face(&parsed, used, now_us);
    if (local == INT64_MAX)
        return out_of_range("timestamp", text, error);
    int64_t us = parsed.has_offset ? local - parsed.offset * MICROSECONDS_PER_SECOND
                                   : timezone_to_utc(used, local);
    if (us < TIME_MIN || us > TIME_MAX)
        return out_of_range("timestamp", text, error);
    *out = us;
    return OK;
}

enum err timestamp_parse(struct slice text, int64_t now_us, int64_t *out, struct error *error)
{
    struct parsed parsed;
    enum fault fault = scan(text, &parsed);
    if (fault != FAULT_NONE)
        return report(fault, "timestamp", text, error);
    if (is_absolute(&parsed, now_us, out))
        return OK;
    int64_t local = local_face(&parsed, timezone_utc, now_us);
    if (local < TIME_MIN || local > TIME_MAX)
        return out_of_range("timestamp", text, error);
    *out = local;
    return OK;
}

enum err date_parse(struct slice text, int64_t now_us, int64_t *days, struct error *error)
{
    struct parsed parsed;
    int64_t us;
    enum fault fault = scan(text, &parsed);
    if (fault != FAULT_NONE)
        return report(fault, "date", text, error);
    if (parsed.relative == RELATIVE_NONE) {
        *days = days_from_civil(parsed.civil.year, parsed.civil.month, parsed.civil.day);
        if (*days < TIME_MIN / MICROSECONDS_PER_DAY || *days > TIME_MAX / MICROSECONDS_PER_DAY)
            return out_of_range("date", text, error);
        return OK;
    }
    if (!is_absolute(&parsed, now_us, &us))
        us = local_face(&parsed, timezone_utc, now_us);
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        *days = us == TIME_INFINITY ? DATE_INFINITY : DATE_MINUS_INFINITY;
    else
        *days = time_truncate(us, UNIT_DAY, timezone_utc) / MICROSECONDS_PER_DAY;
    return OK;
}
