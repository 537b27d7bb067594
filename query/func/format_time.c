/* to_char of times and intervals: templates and how each field is written.
 *
 * A template is read one part at a time: a field with what stands before it (FM, TM) and behind it
 * (TH), text in quotes, or one other character. format_parse.c reads the same templates the other
 * way. Names are English: there is no locale. */
#include "query/func/format_time.h"

#include <string.h>

const char *const month_names[12] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
const char *const day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                  "Thursday", "Friday", "Saturday"};
const char *const roman_months[12] = {"I",   "II",   "III", "IV", "V",  "VI",
                                      "VII", "VIII", "IX",  "X",  "XI", "XII"};

/* --- templates --- */

/* Longer names before those they start with. A name is matched in capitals or small letters;
 * those of letters with a capital first too. */
static const struct {
    const char *name;
    enum time_field field;
    uint8_t width;
} fields[] = {
    {"A.D.", FIELD_BC, 1},     {"A.M.", FIELD_AM, 1},       {"AD", FIELD_BC, 0},
    {"AM", FIELD_AM, 0},       {"B.C.", FIELD_BC, 1},       {"BC", FIELD_BC, 0},
    {"CC", FIELD_CC, 2},       {"DAY", FIELD_DAY, 0},       {"DDD", FIELD_DDD, 3},
    {"DD", FIELD_DD, 2},       {"DY", FIELD_DY, 0},         {"D", FIELD_D, 1},
    {"FF1", FIELD_FF, 1},      {"FF2", FIELD_FF, 2},        {"FF3", FIELD_FF, 3},
    {"FF4", FIELD_FF, 4},      {"FF5", FIELD_FF, 5},        {"FF6", FIELD_FF, 6},
    {"FX", FIELD_FX, 0},       {"HH24", FIELD_HH24, 2},     {"HH12", FIELD_HH12, 2},
    {"HH", FIELD_HH12, 2},     {"IDDD", FIELD_IDDD, 3},     {"ID", FIELD_ID, 1},
    {"IW", FIELD_IW, 2},       {"IYYY", FIELD_ISO_YEAR, 4}, {"IYY", FIELD_ISO_YEAR, 3},
    {"IY", FIELD_ISO_YEAR, 2}, {"I", FIELD_ISO_YEAR, 1},    {"J", FIELD_J, 1},
    {"MI", FIELD_MI, 2},       {"MM", FIELD_MM, 2},         {"MONTH", FIELD_MONTH, 0},
    {"MON", FIELD_MON, 0},     {"MS", FIELD_MS, 3},         {"OF", FIELD_OF, 0},
    {"P.M.", FIELD_AM, 1},     {"PM", FIELD_AM, 0},         {"Q", FIELD_Q, 1},
    {"RM", FIELD_RM, 0},       {"SSSSS", FIELD_SSSS, 5},    {"SSSS", FIELD_SSSS, 4},
    {"SS", FIELD_SS, 2},       {"TZH", FIELD_TZH, 2},       {"TZM", FIELD_TZM, 2},
    {"TZ", FIELD_TZ, 0},       {"US", FIELD_US, 6},         {"WW", FIELD_WW, 2},
    {"W", FIELD_W, 1},         {"Y,YYY", FIELD_Y_YYY, 4},   {"YYYY", FIELD_YEAR, 4},
    {"YYY", FIELD_YEAR, 3},    {"YY", FIELD_YEAR, 2},       {"Y", FIELD_YEAR, 1},
};

bool time_field_is_digits(const struct time_part *part)
{
    return part->field <= FIELD_TZM;
}

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Does the text start with the name in one of the ways it may be written? */
static bool starts_with_name(struct slice text, const char *name, bool has_first_form,
                             uint8_t *letters)
{
    size_t size = strlen(name), lower = 0, upper = 0;
    if (text.size < size)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (to_upper(text.data[i]) != name[i])
            return false;
        lower += text.data[i] >= 'a' && text.data[i] <= 'z';
        upper += text.data[i] >= 'A' && text.data[i] <= 'Z';
    }
    bool is_first = text.data[0] >= 'A' && text.data[0] <= 'Z';
    *letters = lower == 0 ? LETTERS_UPPER : upper == 0 ? LETTERS_LOWER : LETTERS_FIRST;
    return lower == 0 || upper == 0 || (has_first_form && is_first && upper == 1);
}

static bool take_word(struct slice template, size_t *at, const char *upper, const char *lower)
{
    struct slice rest = slice_of(template.data + *at, template.size - *at);
    if (!slice_starts_with(rest, slice_from_cstr(upper)) &&
        !slice_starts_with(rest, slice_from_cstr(lower)))
        return false;
    *at += strlen(upper);
    return true;
}

static bool find_field(struct slice rest, struct time_part *part)
{
    for (size_t i = 0; i < array_count(fields); i++) {
        enum time_field field = fields[i].field;
        bool has_first =
            field == FIELD_MONTH || field == FIELD_MON || field == FIELD_DAY || field == FIELD_DY;
        if (!starts_with_name(rest, fields[i].name, has_first, &part->letters))
            continue;
        part->field = field;
        part->width = fields[i].width;
        part->has_points = fields[i].width == 1 && (field == FIELD_AM || field == FIELD_BC);
        part->text = slice_of(rest.data, strlen(fields[i].name));
        return true;
    }
    return false;
}

struct time_part time_part_next(struct slice template, size_t *at, bool *is_in_quotes)
{
    struct time_part part = {.field = FIELD_NONE};
    if (!*is_in_quotes) {
        for (bool is_more = true; is_more;) {
            bool is_filled = take_word(template, at, "FM", "fm");
            bool is_translated = !is_filled && take_word(template, at, "TM", "tm");
            part.is_filled = part.is_filled || is_filled;
            part.is_translated = part.is_translated || is_translated;
            is_more = is_filled || is_translated;
        }
        if (find_field(slice_of(template.data + *at, template.size - *at), &part)) {
            *at += part.text.size;
            part.has_ordinal = take_word(template, at, "TH", "th");
            if (part.has_ordinal)
                part.letters = template.data[*at - 1] == 'H' ? LETTERS_UPPER : LETTERS_LOWER;
            return part;
        }
        if (*at == template.size)
            return part; /* FM at the end is nothing */
        if (template.data[*at] == '"') {
            *is_in_quotes = true;
            ++*at;
            return part;
        }
        if (template.data[*at] == '\\' && *at + 1 < template.size && template.data[*at + 1] == '"')
            ++*at;
    } else if (template.data[*at] == '"') {
        *is_in_quotes = false;
        ++*at;
        return part;
    } else if (template.data[*at] == '\\' && *at + 1 < template.size) {
        ++*at;
    }
    part.is_quoted = *is_in_quotes;
    size_t size = text_prefix_size(slice_of(template.data + *at, template.size - *at), 1);
    part.text = slice_of(template.data + *at, size);
    *at += size;
    return part;
}

/* --- to_char --- */

/* A time taken apart, or an interval. */
struct clock {
    bool is_interval, has_zone;
    int64_t year, month, day, hour, minute, second, microsecond;
    int64_t day_of_year, day_number; /* days since 1970 */
    int32_t offset;                  /* seconds east of UTC */
    const struct timezone *zone;
};

static void write_ordinal(struct writer *out, int64_t number, const struct time_part *part)
{
    static const char *const endings[2][4] = {{"TH", "ST", "ND", "RD"}, {"th", "st", "nd", "rd"}};
    if (!part->has_ordinal)
        return;
    int64_t last = (number < 0 ? -number : number) % 100;
    int64_t digit = last >= 11 && last <= 13 ? 0 : last % 10;
    writer_cstr(out, endings[part->letters == LETTERS_LOWER][digit > 3 ? 0 : digit]);
}

/* Padded with zeros to the width, one more before it for a sign. */
static void write_number(struct writer *out, int64_t number, int width,
                         const struct time_part *part)
{
    if (part->is_filled)
        width = 0;
    else if (number < 0 && width > 0 && part->field != FIELD_DD && part->field != FIELD_DDD)
        width++;
    writer_printf(out, "%0*lld", width, (long long)number);
    write_ordinal(out, number, part);
}

static void write_name(struct writer *out, const char *name, size_t size, size_t width,
                       const struct time_part *part)
{
    for (size_t i = 0; i < size; i++) {
        char upper = to_upper(name[i]);
        bool is_lower =
            upper >= 'A' && upper <= 'Z' &&
            (part->letters == LETTERS_LOWER || (part->letters == LETTERS_FIRST && i > 0));
        writer_u8(out, (uint8_t)(is_lower ? upper - 'A' + 'a' : upper));
    }
    for (size_t i = size; i < width && !part->is_filled && !part->is_translated; i++)
        writer_u8(out, ' ');
}

static int64_t floor_to_monday(int64_t days)
{
    int64_t weekday = ((days + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    return days - weekday;
}

/* The ISO year and week of a day. */
static void iso_week(int64_t days, int64_t *year, int64_t *week)
{
    int64_t thursday = floor_to_monday(days) + 3;
    int32_t y, month, day;
    civil_from_days(thursday, &y, &month, &day);
    *year = y;
    *week = (thursday - days_from_civil(y, 1, 1)) / 7 + 1;
}

static int64_t week_day(const struct clock *c) /* 0: Sunday */
{
    return ((c->day_number + 4) % 7 + 7) % 7;
}

static int64_t shown_year(const struct clock *c, int64_t year)
{
    return c->is_interval || year > 0 ? year : 1 - year;
}

static void write_year(struct writer *out, const struct clock *c, int64_t year,
                       const struct time_part *part)
{
    static const int64_t moduli[] = {0, 10, 100, 1000, INT64_MAX};
    int64_t shown = shown_year(c, year);
    if (part->field == FIELD_Y_YYY) {
        writer_printf(out, "%lld,%03lld", (long long)(shown / 1000), (long long)(shown % 1000));
        write_ordinal(out, shown % 1000, part);
        return;
    }
    write_number(out, shown % moduli[part->width], part->width, part);
}

static void write_century(struct writer *out, const struct clock *c, const struct time_part *part)
{
    int64_t century = c->is_interval ? c->year / 100
                      : c->year > 0  ? (c->year - 1) / 100 + 1
                                     : c->year / 100 - 1;
    write_number(out, century, 2, part);
}

static void write_zone(struct writer *out, const struct clock *c, const struct time_part *part)
{
    int32_t offset = c->offset < 0 ? -c->offset : c->offset;
    int hours = offset / 3600, minutes = offset / 60 % 60;
    const char *sign = c->offset < 0 ? "-" : "+";
    if (part->field == FIELD_TZM)
        writer_printf(out, "%02d", minutes);
    else
        writer_printf(out, "%s%02d", sign, hours);
    if (part->field == FIELD_OF && minutes != 0)
        writer_printf(out, ":%02d", minutes);
}

static void write_fraction(struct writer *out, const struct clock *c, int width,
                           const struct time_part *part)
{
    int64_t value = c->microsecond;
    for (int i = width; i < 6; i++)
        value /= 10;
    writer_printf(out, "%0*lld", width, (long long)value);
    write_ordinal(out, value, part);
}

static void write_half(struct writer *out, const char *first, const char *second, bool is_second,
                       const struct time_part *part)
{
    const char *name = is_second ? second : first;
    for (size_t i = 0; i < 2; i++) {
        struct time_part one = *part;
        one.is_filled = true;
        write_name(out, name + i, 1, 0, &one);
        if (part->has_points)
            writer_u8(out, '.');
    }
}

static bool is_of_dates_only(enum time_field field)
{
    return field == FIELD_BC || field == FIELD_MONTH || field == FIELD_MON || field == FIELD_DAY ||
           field == FIELD_DY || field == FIELD_D || field == FIELD_ID || field == FIELD_TZ ||
           field == FIELD_TZH || field == FIELD_TZM || field == FIELD_OF;
}

/* Fields of dates; false for another one. */
static bool write_date_field(struct writer *out, const struct clock *c,
                             const struct time_part *part)
{
    int64_t year = 0, week = 0, day = week_day(c);
    if (part->field == FIELD_ISO_YEAR || part->field == FIELD_IW || part->field == FIELD_IDDD)
        iso_week(c->day_number, &year, &week);
    switch (part->field) {
    case FIELD_Y_YYY:
    case FIELD_YEAR:
        write_year(out, c, c->year, part);
        return true;
    case FIELD_ISO_YEAR:
        write_year(out, c, year, part);
        return true;
    case FIELD_MM:
        write_number(out, c->month, 2, part);
        return true;
    case FIELD_DDD:
        write_number(out, c->day_of_year, 3, part);
        return true;
    case FIELD_IDDD:
        write_number(out, (week - 1) * 7 + (day == 0 ? 7 : day), 3, part);
        return true;
    case FIELD_DD:
        write_number(out, c->day, 2, part);
        return true;
    case FIELD_D:
    case FIELD_ID:
        write_number(out, part->field == FIELD_D ? day + 1 : day == 0 ? 7 : day, 0, part);
        return true;
    case FIELD_W:
        write_number(out, (c->day - 1) / 7 + 1, 0, part);
        return true;
    case FIELD_WW:
        write_number(out, (c->day_of_year - 1) / 7 + 1, 2, part);
        return true;
    case FIELD_IW:
        write_number(out, week, 2, part);
        return true;
    case FIELD_CC:
        write_century(out, c, part);
        return true;
    case FIELD_J:
        write_number(out, c->day_number + 2440588, 0, part);
        return true;
    case FIELD_Q:
        if (c->month != 0)
            write_number(out, (c->month - 1) / 3 + 1, 0, part);
        return true;
    default:
        return false;
    }
}

/* An interval of whole years has XII, a negative one I, none at all nothing. */
static void write_roman_month(struct writer *out, const struct clock *c,
                              const struct time_part *part)
{
    int64_t index = c->month > 0   ? c->month - 1
                    : c->month < 0 ? 12 + c->month
                    : c->year > 0  ? 11
                                   : 0;
    if (c->month != 0 || c->year != 0)
        write_name(out, roman_months[index], strlen(roman_months[index]), 4, part);
}

static enum err write_field(struct call *call, struct writer *out, const struct clock *c,
                            const struct time_part *part)
{
    int64_t half = c->hour % 12;
    if (c->is_interval && is_of_dates_only(part->field))
        return error_set(call->error, ERR_INPUT, "22007",
                         "invalid format specification for an interval value");
    if (write_date_field(out, c, part))
        return OK;
    switch (part->field) {
    case FIELD_HH12:
        write_number(out, half == 0 ? 12 : half, 2, part);
        break;
    case FIELD_HH24:
        write_number(out, c->hour, 2, part);
        break;
    case FIELD_MI:
        write_number(out, c->minute, 2, part);
        break;
    case FIELD_SS:
        write_number(out, c->second, 2, part);
        break;
    case FIELD_MS:
    case FIELD_US:
    case FIELD_FF:
        write_fraction(out, c, part->width, part);
        break;
    case FIELD_SSSS:
        write_number(out, c->hour * 3600 + c->minute * 60 + c->second, 0, part);
        break;
    case FIELD_AM:
        write_half(out, "AM", "PM", c->hour % 24 >= 12, part);
        break;
    case FIELD_BC:
        write_half(out, "AD", "BC", c->year <= 0, part);
        break;
    case FIELD_MONTH:
    case FIELD_MON: {
        const char *name = month_names[c->month - 1];
        bool is_short = part->field == FIELD_MON;
        write_name(out, name, is_short ? 3 : strlen(name), is_short ? 0 : 9, part);
        break;
    }
    case FIELD_DAY:
    case FIELD_DY: {
        const char *name = day_names[week_day(c)];
        bool is_short = part->field == FIELD_DY;
        write_name(out, name, is_short ? 3 : strlen(name), is_short ? 0 : 9, part);
        break;
    }
    case FIELD_RM:
        write_roman_month(out, c, part);
        break;
    case FIELD_TZ:
        if (c->has_zone && c->zone != timezone_utc)
            return error_set(call->error, ERR_UNSUPPORTED, "0A000",
                             "the format TZ is not supported: OF, TZH and TZM are");
        if (c->has_zone)
            write_name(out, "UTC", 3, 0, part);
        break;
    case FIELD_TZH:
    case FIELD_TZM:
    case FIELD_OF:
        write_zone(out, c, part);
        break;
    default:
        break;
    }
    return OK;
}

#define PARTS_PER_LOOK 4096

static enum err write_template(struct call *call, const struct clock *c, struct slice template,
                               struct value *out)
{
    struct writer writer;
    enum err err = OK;
    bool is_in_quotes = false;
    text_begin(&writer);
    for (size_t at = 0, parts = 1; at < template.size && err == OK; parts++) {
        if (parts % PARTS_PER_LOOK == 0 && (err = call_look(call)) != OK)
            break;
        struct time_part part = time_part_next(template, &at, &is_in_quotes);
        if (part.field == FIELD_NONE)
            writer_slice(&writer, part.text);
        else
            err = write_field(call, &writer, c, &part);
    }
    return text_end(call, &writer, err, out);
}

static enum err time_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    bool has_zone = a[0].type.id == TYPE_TIMESTAMPTZ;
    out->is_null = a[0].i == TIME_INFINITY || a[0].i == TIME_MINUS_INFINITY || a[1].text.size == 0;
    if (out->is_null)
        return OK;
    const struct timezone *zone =
        has_zone && call->context->zone != NULL ? call->context->zone : timezone_utc;
    struct civil civil;
    civil_from_time(timezone_to_local(zone, a[0].i), &civil);
    int64_t days = days_from_civil(civil.year, civil.month, civil.day);
    struct clock c = {.has_zone = has_zone,
                      .year = civil.year,
                      .month = civil.month,
                      .day = civil.day,
                      .hour = civil.hour,
                      .minute = civil.minute,
                      .second = civil.second,
                      .microsecond = civil.microsecond,
                      .day_number = days,
                      .day_of_year = days - days_from_civil(civil.year, 1, 1) + 1,
                      .offset = timezone_offset_at(zone, a[0].i),
                      .zone = zone};
    return write_template(call, &c, a[1].text, out);
}

static enum err interval_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    struct interval i = a[0].interval;
    out->is_null = a[1].text.size == 0;
    if (out->is_null)
        return OK;
    int64_t seconds = i.microseconds / MICROSECONDS_PER_SECOND;
    struct clock c = {.is_interval = true,
                      .year = i.months / 12,
                      .month = i.months % 12,
                      .day = i.days,
                      .hour = seconds / 3600,
                      .minute = seconds / 60 % 60,
                      .second = seconds % 60,
                      .microsecond = i.microseconds % MICROSECONDS_PER_SECOND,
                      .day_of_year = (int64_t)i.months * 30 + i.days,
                      .zone = timezone_utc};
    return write_template(call, &c, a[1].text, out);
}

#define FORM(from, doc_text, example_text, row_form)                                               \
    {.name = "to_char",                                                                            \
     .argument_count = 2,                                                                          \
     .arguments = {from, TYPE_TEXT},                                                               \
     .result = TYPE_TEXT,                                                                          \
     .volatility = STABLE,                                                                         \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},

/* clang-format off */
static const struct function functions[] = {
    FORM(TYPE_TIMESTAMPTZ, "a time by a template",
         "to_char(timestamptz '2026-05-01 10:17:03Z', 'Dy DD Mon YYYY HH24:MI:SS OF')", time_row)
    FORM(TYPE_TIMESTAMP, "a time by a template",
         "to_char(timestamp '2026-05-01 10:17:03', 'FMDDth Month YYYY')", time_row)
    FORM(TYPE_INTERVAL, "an interval by a template", "to_char(interval '90 minutes', 'HH24:MI')",
         interval_row)
};
/* clang-format on */

const struct function_group functions_format_time = {functions, array_count(functions)};
