/* extract (numeric, with PostgreSQL's scales) and date_part (double): one field of a time, date or
 * interval.
 *
 * Fields are computed once as numeric; date_part converts. Infinite times give infinity for the
 * fields that grow without end (epoch, year …) and NULL for the ones that repeat. A name that is no
 * field is 22023, a field the type has not is 0A000. */
#include "query/func/func.h"

static enum err unit_error(struct call *call, struct slice name, enum type_id type, bool is_known)
{
    return error_set(call->error, ERR_INPUT, is_known ? "0A000" : "22023",
                     "unit \"%.*s\" not %s for type %s", SLICE_ARGS(name),
                     is_known ? "supported" : "recognized", type_name(type));
}

static int64_t floor_divide(int64_t value, int64_t divisor)
{
    int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

static bool grows_without_end(enum time_unit unit)
{
    switch (unit) {
    case UNIT_EPOCH:
    case UNIT_YEAR:
    case UNIT_ISOYEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
    case UNIT_JULIAN:
        return true;
    default:
        return false;
    }
}

/* ISO year and week of a day. */
static void iso_week(int64_t days, int64_t *year, int64_t *week)
{
    int64_t weekday = days + 3 - floor_divide(days + 3, 7) * 7; /* Monday 0 */
    int32_t iso_year, month, day;
    civil_from_days(days - weekday + 3, &iso_year, &month, &day); /* that week's Thursday */
    *year = iso_year;
    *week = (days - weekday + 3 - days_from_civil(iso_year, 1, 1)) / 7 + 1;
}

/* Years as people count them: no year 0. */
static int64_t shown_year(int64_t year)
{
    return year > 0 ? year : year - 1;
}

static int64_t year_field(enum time_unit unit, int64_t year)
{
    if (unit == UNIT_YEAR)
        return shown_year(year);
    if (unit == UNIT_DECADE)
        return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
    int64_t span = unit == UNIT_CENTURY ? 100 : 1000;
    return year > 0 ? (year + span - 1) / span : -((span - 1 - (year - 1)) / span);
}

/* Fields of the calendar day; false if the unit is not one of them. */
static bool day_field(enum time_unit unit, int64_t days, int64_t *out)
{
    int32_t year, month, day;
    int64_t iso_year, week;
    civil_from_days(days, &year, &month, &day);
    switch (unit) {
    case UNIT_DAY:
        *out = day;
        return true;
    case UNIT_MONTH:
        *out = month;
        return true;
    case UNIT_QUARTER:
        *out = (month - 1) / 3 + 1;
        return true;
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
        *out = year_field(unit, year);
        return true;
    case UNIT_WEEK:
        iso_week(days, &iso_year, out);
        return true;
    case UNIT_ISOYEAR:
        iso_week(days, out, &week);
        *out = shown_year(*out);
        return true;
    case UNIT_DOW:
    case UNIT_ISODOW:
        *out = days + 4 - floor_divide(days + 4, 7) * 7; /* Sunday 0 */
        if (unit == UNIT_ISODOW && *out == 0)
            *out = 7;
        return true;
    case UNIT_DOY:
        *out = days - days_from_civil(year, 1, 1) + 1;
        return true;
    default:
        return false;
    }
}

/* Fields of the time of day, the same for intervals (whose hours may pass 24). */
static bool clock_field(enum time_unit unit, int64_t us, struct numeric *out)
{
    int64_t below_minute = us % MICROSECONDS_PER_MINUTE;
    switch (unit) {
    case UNIT_MICROSECOND:
        *out = numeric_from_int(below_minute);
        return true;
    case UNIT_MILLISECOND:
        *out = numeric_from_int128(below_minute, 3);
        return true;
    case UNIT_SECOND:
        *out = numeric_from_int128(below_minute, 6);
        return true;
    case UNIT_MINUTE:
        *out = numeric_from_int(us / MICROSECONDS_PER_MINUTE % 60);
        return true;
    case UNIT_HOUR:
        *out = numeric_from_int(us / MICROSECONDS_PER_HOUR);
        return true;
    default:
        return false;
    }
}

static bool zone_field(enum time_unit unit, int64_t offset, int64_t *out)
{
    switch (unit) {
    case UNIT_TIMEZONE:
        *out = offset;
        return true;
    case UNIT_TIMEZONE_HOUR:
        *out = offset / 3600;
        return true;
    case UNIT_TIMEZONE_MINUTE:
        *out = offset % 3600 / 60;
        return true;
    default:
        return false;
    }
}

#define JULIAN_1970 2440588

static enum err time_field(struct call *call, enum time_unit unit, struct slice name,
                           const struct value *time, struct numeric *out)
{
    bool has_zone = time->type.id == TYPE_TIMESTAMPTZ;
    if (unit == UNIT_EPOCH) {
        *out = numeric_from_int128(time->i, 6);
        return OK;
    }
    int64_t local = has_zone ? timezone_to_local(call->context->zone, time->i) : time->i;
    int64_t days = floor_divide(local, MICROSECONDS_PER_DAY), field;
    int64_t us = local - days * MICROSECONDS_PER_DAY;
    if (clock_field(unit, us, out))
        return OK;
    if (unit == UNIT_JULIAN) {
        struct numeric part;
        enum err err = numeric_divide(numeric_from_int(us), numeric_from_int(MICROSECONDS_PER_DAY),
                                      &part, call->error);
        return err != OK
                   ? err
                   : numeric_add(numeric_from_int(days + JULIAN_1970), part, out, call->error);
    }
    if (!day_field(unit, days, &field) &&
        !(has_zone && zone_field(unit, (local - time->i) / MICROSECONDS_PER_SECOND, &field)))
        return unit_error(call, name, time->type.id, true);
    *out = numeric_from_int(field);
    return OK;
}

static enum err date_field(struct call *call, enum time_unit unit, struct slice name, int64_t days,
                           struct numeric *out)
{
    int64_t field;
    if (unit == UNIT_EPOCH)
        field = days * 86400;
    else if (unit == UNIT_JULIAN)
        field = days + JULIAN_1970;
    else if (!day_field(unit, days, &field))
        return unit_error(call, name, TYPE_DATE, true);
    *out = numeric_from_int(field);
    return OK;
}

static enum err interval_field(struct call *call, enum time_unit unit, struct slice name,
                               struct interval in, struct numeric *out)
{
    if (clock_field(unit, in.microseconds, out))
        return OK;
    int64_t field, years = in.months / 12;
    switch (unit) {
    case UNIT_DAY:
        field = in.days;
        break;
    case UNIT_MONTH:
        field = in.months % 12;
        break;
    case UNIT_QUARTER:
        field = in.months % 12 / 3 + 1;
        break;
    case UNIT_YEAR:
        field = years;
        break;
    case UNIT_DECADE:
        field = years / 10;
        break;
    case UNIT_CENTURY:
        field = years / 100;
        break;
    case UNIT_MILLENNIUM:
        field = years / 1000;
        break;
    case UNIT_EPOCH: { /* a year has 365.25 days, a month 30 */
        int64_t quarter_days =
            1461 * years + 120 * (int64_t)(in.months % 12) + 4 * (int64_t)in.days;
        *out = numeric_from_int128(
            (__int128)quarter_days * (86400 / 4) * MICROSECONDS_PER_SECOND + in.microseconds, 6);
        return OK;
    }
    default:
        return unit_error(call, name, TYPE_INTERVAL, true);
    }
    *out = numeric_from_int(field);
    return OK;
}

static bool is_infinite(const struct value *time)
{
    if (time->type.id == TYPE_DATE)
        return time->i == DATE_INFINITY || time->i == DATE_MINUS_INFINITY;
    return time->type.id != TYPE_INTERVAL &&
           (time->i == TIME_INFINITY || time->i == TIME_MINUS_INFINITY);
}

/* One field of a finite time. */
static enum err unit_of(struct call *call, enum time_unit unit, struct slice name,
                        const struct value *time, struct numeric *out)
{
    if (time->type.id == TYPE_INTERVAL)
        return interval_field(call, unit, name, time->interval, out);
    if (time->type.id == TYPE_DATE)
        return date_field(call, unit, name, time->i, out);
    return time_field(call, unit, name, time, out);
}

static enum err field_of(struct call *call, struct slice name, const struct value *time,
                         struct numeric *out, bool *is_null)
{
    enum time_unit unit;
    *is_null = false;
    if (!time_unit_find(name, &unit))
        return unit_error(call, name, time->type.id, false);
    bool is_clock = unit <= UNIT_HOUR || (unit >= UNIT_TIMEZONE && unit <= UNIT_TIMEZONE_MINUTE);
    if (time->type.id == TYPE_DATE && is_clock)
        return unit_error(call, name, TYPE_DATE, true);
    if (is_infinite(time)) {
        *is_null = !grows_without_end(unit);
        *out = (struct numeric){.kind = time->i > 0 ? NUMERIC_INFINITY : NUMERIC_MINUS_INFINITY};
        return OK;
    }
    return unit_of(call, unit, name, time, out);
}

static enum err extract_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    return field_of(call, a[0].text, &a[1], &out->n, &out->is_null);
}

/* The fields that PostgreSQL adds up in doubles, in its order of operations; false if it is none of
 * them. */
static bool part_in_doubles(enum time_unit unit, const struct value *time, double *out)
{
    bool is_interval = time->type.id == TYPE_INTERVAL;
    int64_t us = is_interval ? time->interval.microseconds : time->i,
            minute = us % MICROSECONDS_PER_MINUTE;
    if (!is_interval && minute < 0)
        minute += MICROSECONDS_PER_MINUTE;
    double seconds = (double)(minute / MICROSECONDS_PER_SECOND),
           fraction = (double)(minute % MICROSECONDS_PER_SECOND);
    if (is_infinite(time))
        return false;
    if (unit == UNIT_SECOND) {
        *out = seconds + fraction / 1000000.0;
        return true;
    }
    if (unit == UNIT_MILLISECOND) {
        *out = seconds * 1000.0 + fraction / 1000.0;
        return true;
    }
    if (unit != UNIT_EPOCH || !is_interval)
        return false;
    *out = (double)us / 1000000.0;
    *out += (365.25 * 86400) * (time->interval.months / 12);
    *out += (30.0 * 86400) * (time->interval.months % 12);
    *out += 86400.0 * time->interval.days;
    return true;
}

static enum err date_part_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct value time = a[1];
    if (time.type.id == TYPE_DATE) { /* date_part takes a date as a timestamp */
        time = (struct value){.type = type_of(TYPE_TIMESTAMP)};
        enum err err = cast_value(call, &a[1], false, &time);
        if (err != OK)
            return err;
    }
    struct numeric field;
    enum time_unit unit;
    if (time_unit_find(a[0].text, &unit) && part_in_doubles(unit, &time, &out->f))
        return OK;
    enum err err = field_of(call, a[0].text, &time, &field, &out->is_null);
    if (err == OK && !out->is_null)
        out->f = numeric_to_double(field);
    return err;
}

/* A constant field name is looked up once. Infinite times, whose fields may be NULL, are the row
 * form's. */
static enum err extract_vector(struct call *call, const struct vector *v)
{
    const struct column *names = &v->arguments[0], *times = &v->arguments[1];
    struct numeric *out = v->out;
    enum time_unit unit;
    if (names->form != COLUMN_CONSTANT || v->count == 0 || !time_unit_find(names->text[0], &unit))
        return VECTOR_DECLINED;
    bool is_epoch = unit == UNIT_EPOCH && times->type.id != TYPE_DATE;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        struct value time = {.type = times->type, .i = times->i[column_index(times, row)]};
        if (is_infinite(&time))
            return VECTOR_DECLINED;
        if (is_epoch) {
            out[row] = (struct numeric){.digits = time.i, .scale = 6};
            continue;
        }
        enum err err = unit_of(call, unit, names->text[0], &time, &out[row]);
        if (err != OK)
            return err;
    }
    return OK;
}

#define PAIR(of, vector_form, example_text)                                                        \
    {.name = "extract",                                                                            \
     .argument_count = 2,                                                                          \
     .arguments = {TYPE_TEXT, of},                                                                 \
     .result = TYPE_NUMERIC,                                                                       \
     .volatility = of == TYPE_TIMESTAMPTZ ? STABLE : IMMUTABLE,                                    \
     .row = extract_row,                                                                           \
     .vector = vector_form,                                                                        \
     .doc = "one field of a time",                                                                 \
     .example = "extract(day FROM " example_text ")"},                                             \
        {.name = "date_part",                                                                      \
         .argument_count = 2,                                                                      \
         .arguments = {TYPE_TEXT, of},                                                             \
         .result = TYPE_FLOAT8,                                                                    \
         .volatility = of == TYPE_TIMESTAMPTZ ? STABLE : IMMUTABLE,                                \
         .row = date_part_row,                                                                     \
         .doc = "one field of a time, as a double",                                                \
         .example = "date_part('day', " example_text ")"},

/* clang-format off */
static const struct function functions[] = {
    PAIR(TYPE_TIMESTAMPTZ, extract_vector, "timestamptz '2026-05-01 10:17:03Z'")
    PAIR(TYPE_TIMESTAMP, extract_vector, "timestamp '2026-05-01 10:17:03'")
    PAIR(TYPE_DATE, extract_vector, "date '2026-05-01'")
    PAIR(TYPE_INTERVAL, NULL, "interval '3 days'")
};
/* clang-format on */

const struct function_group functions_extract = {functions, array_count(functions)};
