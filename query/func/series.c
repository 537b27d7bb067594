/* The functions that give rows.
 *
 *   generate_series   counts, in whole numbers, numerics or on the clock of the session's zone: a
 *                     day is a day there, 23 or 25 hours long
 *   unnest            elements of an array, where they lie
 *   json_…            one pass over the text, a value at a time
 *
 * string_to_table and regexp_split_to_table are unnest over the function that gives the array. */
#include "query/func/series.h"

#include "query/func/func.h"

#include <string.h>

/* --- generate_series --- */

static enum err zero_step(struct error *error)
{
    return error_set(error, ERR_INPUT, "22023", "step size cannot equal zero");
}

static enum err whole_begin(struct series *series, struct error *error)
{
    series->whole.next = series->arguments[0].i;
    series->whole.stop = series->arguments[1].i;
    series->whole.step = series->argument_count > 2 ? series->arguments[2].i : 1;
    return series->whole.step == 0 ? zero_step(error) : OK;
}

/* The type's end is the series' end. */
static enum err whole_next(struct series *series, struct value *row, bool *has_row,
                           struct error *error)
{
    (void)error;
    int64_t value = series->whole.next;
    *has_row = series->whole.step > 0 ? value <= series->whole.stop : value >= series->whole.stop;
    row->i = value;
    series->is_done = __builtin_add_overflow(value, series->whole.step, &series->whole.next) ||
                      (row->type.id == TYPE_INT4 &&
                       (series->whole.next > INT32_MAX || series->whole.next < INT32_MIN));
    return OK;
}

static enum err numeric_begin(struct series *series, struct error *error)
{
    static const char *const names[] = {"start value", "stop value", "step size"};
    for (size_t index = 0; index < series->argument_count; index++) {
        int kind = series->arguments[index].n.kind;
        if (kind != NUMERIC_FINITE)
            return error_set(error, ERR_INPUT, "22023", "%s cannot be %s", names[index],
                             kind == NUMERIC_NAN ? "NaN" : "infinity");
    }
    series->numeric.next = series->arguments[0].n;
    series->numeric.stop = series->arguments[1].n;
    series->numeric.step =
        series->argument_count > 2 ? series->arguments[2].n : numeric_from_int(1);
    return series->numeric.step.digits == 0 ? zero_step(error) : OK;
}

static enum err numeric_next(struct series *series, struct value *row, bool *has_row,
                             struct error *error)
{
    int order = numeric_compare(series->numeric.next, series->numeric.stop);
    *has_row = series->numeric.step.digits > 0 ? order <= 0 : order >= 0;
    row->n = series->numeric.next;
    if (!*has_row)
        return OK;
    return numeric_add(series->numeric.next, series->numeric.step, &series->numeric.next, error);
}

static enum err time_begin(struct series *series, struct error *error)
{
    series->time.next = series->arguments[0].i;
    series->time.stop = series->arguments[1].i;
    series->time.step = series->arguments[2].interval;
    __int128 span = interval_span(series->time.step);
    series->time.is_down = span < 0;
    return span == 0 ? zero_step(error) : OK;
}

static enum err time_next(struct series *series, struct value *row, bool *has_row,
                          struct error *error)
{
    int64_t value = series->time.next;
    const struct timezone *zone =
        row->type.id == TYPE_TIMESTAMPTZ ? series->context->zone : timezone_utc;
    *has_row = series->time.is_down ? value >= series->time.stop : value <= series->time.stop;
    row->i = value;
    if (!*has_row || value == TIME_INFINITY || value == TIME_MINUS_INFINITY)
        return OK;
    return time_add_interval(value, series->time.step, zone, &series->time.next, error);
}

/* --- unnest --- */

static enum err array_begin_series(struct series *series, struct error *error)
{
    const struct value *array = &series->arguments[0];
    if (!array_begin(&series->array, (enum type_id)array->type.id, array->text))
        return error_set(error, ERR_CORRUPT, "XX000", "an array cannot be read");
    return OK;
}

static enum err array_next_series(struct series *series, struct value *row, bool *has_row,
                                  struct error *error)
{
    (void)error;
    struct type type = row->type;
    *has_row = array_next(&series->array, row);
    row->type = type;
    return OK;
}

/* --- json --- */

/* `wanted` is what the text has to be; `refusal` what is said of an array, an object or else. */
static enum err json_begin(struct series *series, enum json_token wanted, const char *array,
                           const char *object, const char *scalar, struct error *error)
{
    json_parser_init(&series->json, series->arguments[0].text, 1000);
    enum json_token token = json_next(&series->json);
    if (token == wanted)
        return OK;
    return error_set(error, ERR_INPUT, "22023", "%s",
                     token == JSON_ARRAY_BEGIN    ? array
                     : token == JSON_OBJECT_BEGIN ? object
                                                  : scalar);
}

static enum err elements_begin(struct series *series, struct error *error)
{
    return json_begin(series, JSON_ARRAY_BEGIN, "", "cannot extract elements from an object",
                      "cannot extract elements from a scalar", error);
}

static enum err each_begin(struct series *series, struct error *error)
{
    return json_begin(series, JSON_OBJECT_BEGIN, "cannot deconstruct an array as an object", "",
                      "cannot deconstruct a scalar", error);
}

static enum err keys_begin(struct series *series, struct error *error)
{
    return json_begin(series, JSON_OBJECT_BEGIN, "cannot call json_object_keys on an array", "",
                      "cannot call json_object_keys on a scalar", error);
}

static enum err json_fail(struct error *error)
{
    return error_set(error, ERR_INPUT, "22P02", "invalid input syntax for type json");
}

/* The value that starts with this token: as it stands, or as text. */
static enum err json_value(struct series *series, enum json_token token, bool is_text,
                           struct value *out, struct error *error)
{
    struct json_parser *json = &series->json;
    size_t begin = json->token_offset;
    struct slice raw = json->text;
    if ((token == JSON_ARRAY_BEGIN || token == JSON_OBJECT_BEGIN) && !json_skip(json, token))
        return json_fail(error);
    out->text = slice_of(json->data + begin, json->offset - begin);
    out->is_null = is_text && token == JSON_NULL;
    if (is_text && token == JSON_STRING && !json_unescape(raw, series->row, &out->text))
        return json_fail(error);
    return OK;
}

static enum err elements_next(struct series *series, struct value *row, bool *has_row,
                              struct error *error)
{
    enum json_token token = json_next(&series->json);
    *has_row = token != JSON_ARRAY_END;
    if (token == JSON_ERROR || token == JSON_END)
        return json_fail(error);
    return *has_row ? json_value(series, token, row->type.id == TYPE_TEXT, row, error) : OK;
}

static enum err each_next(struct series *series, struct value *row, bool *has_row,
                          struct error *error)
{
    enum json_token token = json_next(&series->json);
    *has_row = token == JSON_KEY;
    if (!*has_row)
        return token == JSON_OBJECT_END ? OK : json_fail(error);
    if (!json_unescape(series->json.text, series->row, &row[0].text))
        return json_fail(error);
    if (series->function->column_count == 1)
        return json_skip(&series->json, JSON_KEY) ? OK : json_fail(error);
    token = json_next(&series->json);
    if (token == JSON_ERROR || token == JSON_END)
        return json_fail(error);
    return json_value(series, token, row[1].type.id == TYPE_TEXT, &row[1], error);
}

/* --- the table --- */

#define SERIES(of, by, begin_form, next_form, example_text)                                        \
    {                                                                                              \
        .name = "generate_series", .argument_min = by == TYPE_INTERVAL ? 3 : 2, .argument_max = 3, \
        .arguments = {of, of, by}, .column_count = 1, .columns = {of}, .begin = begin_form,        \
        .next = next_form, .doc = "from the first to the second, in steps",                        \
        .example = example_text                                                                    \
    }
#define UNNEST(of, element)                                                                        \
    {                                                                                              \
        .name = "unnest", .argument_min = 1, .argument_max = 1, .arguments = {of},                 \
        .column_count = 1, .columns = {element}, .begin = array_begin_series,                      \
        .next = array_next_series, .doc = "the elements of arrays, side by side",                  \
        .example = "unnest('{a,b}'::text[])"                                                       \
    }
#define JSON(function_name, of, begin_form, next_form, doc_text, example_text, ...)                \
    {                                                                                              \
        .name = function_name, .argument_min = 1, .argument_max = 1, .arguments = {of},            \
        .begin = begin_form, .next = next_form, .doc = doc_text, .example = example_text,          \
        __VA_ARGS__                                                                                \
    }
#define ONE(type) .column_count = 1, .columns = {type}
#define VALUE(type) ONE(type), .names = {"value"}
#define PAIR(type) .column_count = 2, .columns = {TYPE_TEXT, type}, .names = {"key", "value"}

const struct series_function series_functions[] = {
    SERIES(TYPE_INT4, TYPE_INT4, whole_begin, whole_next, "generate_series(1, 3)"),
    SERIES(TYPE_INT8, TYPE_INT8, whole_begin, whole_next, "generate_series(1::bigint, 3)"),
    SERIES(TYPE_NUMERIC, TYPE_NUMERIC, numeric_begin, numeric_next, "generate_series(1, 2, 0.5)"),
    SERIES(TYPE_TIMESTAMPTZ, TYPE_INTERVAL, time_begin, time_next,
           "generate_series(now(), now() + '1 day', '1 hour')"),
    SERIES(TYPE_TIMESTAMP, TYPE_INTERVAL, time_begin, time_next,
           "generate_series(timestamp '2026-05-01', '2026-05-02', '1 hour')"),
    UNNEST(TYPE_TEXT_ARRAY, TYPE_TEXT),
    UNNEST(TYPE_INT8_ARRAY, TYPE_INT8),
    JSON("json_array_elements", TYPE_JSON, elements_begin, elements_next, "the elements",
         "json_array_elements('[1, \"a\"]')", VALUE(TYPE_JSON)),
    JSON("jsonb_array_elements", TYPE_JSONB, elements_begin, elements_next, "the elements",
         "jsonb_array_elements('[1, \"a\"]')", VALUE(TYPE_JSONB)),
    JSON("json_array_elements_text", TYPE_JSON, elements_begin, elements_next,
         "the elements, as text", "json_array_elements_text('[1, \"a\"]')", VALUE(TYPE_TEXT)),
    JSON("jsonb_array_elements_text", TYPE_JSONB, elements_begin, elements_next,
         "the elements, as text", "jsonb_array_elements_text('[1, \"a\"]')", VALUE(TYPE_TEXT)),
    JSON("json_each", TYPE_JSON, each_begin, each_next, "keys and values",
         "json_each('{\"a\": 1}')", PAIR(TYPE_JSON)),
    JSON("jsonb_each", TYPE_JSONB, each_begin, each_next, "keys and values",
         "jsonb_each('{\"a\": 1}')", PAIR(TYPE_JSONB)),
    JSON("json_each_text", TYPE_JSON, each_begin, each_next, "keys and values as text",
         "json_each_text('{\"a\": 1}')", PAIR(TYPE_TEXT)),
    JSON("jsonb_each_text", TYPE_JSONB, each_begin, each_next, "keys and values as text",
         "jsonb_each_text('{\"a\": 1}')", PAIR(TYPE_TEXT)),
    JSON("json_object_keys", TYPE_JSON, keys_begin, each_next, "the keys",
         "json_object_keys('{\"a\": 1}')", ONE(TYPE_TEXT)),
    JSON("jsonb_object_keys", TYPE_JSONB, keys_begin, each_next, "the keys",
         "jsonb_object_keys('{\"a\": 1}')", ONE(TYPE_TEXT)),
};

const size_t series_function_count = array_count(series_functions);

const struct series_function *series_find(struct slice name, const struct series_function *from)
{
    const struct series_function *end = series_functions + series_function_count;
    for (const struct series_function *f = from == NULL ? series_functions : from; f < end; f++)
        if (slice_equal(slice_from_cstr(f->name), name))
            return f;
    return NULL;
}
