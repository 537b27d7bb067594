/* The functions that give rows.
 *
 *   generate_series   counts, in whole numbers, numerics or on the clock of the session's zone: a
 *                     day is a day there, 23 or 25 hours long
 *   unnest            elements of an array, where they lie
 *   json_…            one pass over the text, a value at a time
 *
 * string_to_table, regexp_split_to_table and jsonb_path_query are such a function over the one that
 * gives the array: the elements are written here as if the array were their argument. */
#include "query/func/series.h"

#include "query/func/text.h"

#include "storage/base/number.h"

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

/* regexp_matches: the first element says how many there are in each row. */
static enum err matches_begin(struct series *series, struct error *error)
{
    struct value width;
    int64_t count = 0;
    enum err err = array_begin_series(series, error);
    if (err == OK && (!array_next(&series->array, &width) || width.is_null ||
                      int_parse(width.text, 1, UINT16_MAX, "integer", &count, NULL) != OK))
        err = error_set(error, ERR_CORRUPT, "XX000", "an array cannot be read");
    series->width = (uint32_t)count;
    return err;
}

static enum err matches_next(struct series *series, struct value *row, bool *has_row,
                             struct error *error)
{
    (void)error;
    struct value *groups = arena_alloc_array(series->row, series->width, sizeof(*groups));
    uint32_t count = 0;
    while (count < series->width && array_next(&series->array, &groups[count]))
        count++;
    *has_row = count == series->width;
    if (*has_row)
        row->text = array_build(TYPE_TEXT_ARRAY, groups, count, series->row);
    return OK;
}

/* The subscripts of an array, of its one dimension; from the last on if asked for. */
static enum err subscripts_begin(struct series *series, struct error *error)
{
    struct array_reader array;
    const struct value *whole = &series->arguments[0];
    if (!array_begin(&array, (enum type_id)whole->type.id, whole->text))
        return error_set(error, ERR_CORRUPT, "XX000", "an array cannot be read");
    bool is_backwards = series->argument_count > 2 && series->arguments[2].b;
    int64_t count = series->arguments[1].i == 1 ? array.count : 0;
    series->whole.next = is_backwards ? count : 1;
    series->whole.step = is_backwards ? -1 : 1;
    series->whole.stop = is_backwards ? 1 : count;
    return OK;
}

/* Elements and their places, as pairs: array[element, place]. */
static enum err expand_next(struct series *series, struct value *row, bool *has_row,
                            struct error *error)
{
    (void)error;
    struct value pair[2] = {{.type = type_of(TYPE_INT8)}, {.type = type_of(TYPE_INT8)}};
    *has_row = array_next(&series->array, &pair[0]);
    pair[1].i = series->array.index;
    if (*has_row)
        row->text = array_build(TYPE_INT8_ARRAY, pair, 2, series->row);
    return OK;
}

/* No table is a partition of another. */
static enum err nothing_begin(struct series *series, struct error *error)
{
    (void)series, (void)error;
    return OK;
}

static enum err nothing_next(struct series *series, struct value *row, bool *has_row,
                             struct error *error)
{
    (void)series, (void)row, (void)error;
    *has_row = false;
    return OK;
}

/* --- pg_get_keywords --- */

/* U unreserved, C a name of columns but of no function, T of functions or types, R reserved. */
/* clang-format off */
static const char keywords[] =
    "abort:U absolute:U access:U action:U add:U admin:U after:U aggregate:U all:R also:U "
    "alter:U always:U analyse:R analyze:R and:R any:R array:R as:R asc:R asensitive:U "
    "assertion:U assignment:U asymmetric:R at:U atomic:U attach:U attribute:U "
    "authorization:T backward:U before:U begin:U between:C bigint:C binary:T bit:C "
    "boolean:C both:R breadth:U by:U cache:U call:U called:U cascade:U cascaded:U case:R "
    "cast:R catalog:U chain:U char:C character:C characteristics:U check:R checkpoint:U "
    "class:U close:U cluster:U coalesce:C collate:R collation:T column:R columns:U "
    "comment:U comments:U commit:U committed:U compression:U concurrently:T "
    "configuration:U conflict:U connection:U constraint:R constraints:U content:U "
    "continue:U conversion:U copy:U cost:U create:R cross:T csv:U cube:U current:U "
    "current_catalog:R current_date:R current_role:R current_schema:T current_time:R "
    "current_timestamp:R current_user:R cursor:U cycle:U data:U database:U day:U "
    "deallocate:U dec:C decimal:C declare:U default:R defaults:U deferrable:R deferred:U "
    "definer:U delete:U delimiter:U delimiters:U depends:U depth:U desc:R detach:U "
    "dictionary:U disable:U discard:U distinct:R do:R document:U domain:U double:U drop:U "
    "each:U else:R enable:U encoding:U encrypted:U end:R enum:U escape:U event:U except:R "
    "exclude:U excluding:U exclusive:U execute:U exists:C explain:U expression:U "
    "extension:U external:U extract:C false:R family:U fetch:R filter:U finalize:U "
    "first:U float:C following:U for:R force:U foreign:R forward:U freeze:T from:R full:T "
    "function:U functions:U generated:U global:U grant:R granted:U greatest:C group:R "
    "grouping:C groups:U handler:U having:R header:U hold:U hour:U identity:U if:U "
    "ilike:T immediate:U immutable:U implicit:U import:U in:R include:U including:U "
    "increment:U index:U indexes:U inherit:U inherits:U initially:R inline:U inner:T "
    "inout:C input:U insensitive:U insert:U instead:U int:C integer:C intersect:R "
    "interval:C into:R invoker:U is:T isnull:T isolation:U join:T key:U label:U "
    "language:U large:U last:U lateral:R leading:R leakproof:U least:C left:T level:U "
    "like:T limit:R listen:U load:U local:U localtime:R localtimestamp:R location:U "
    "lock:U locked:U logged:U mapping:U match:U matched:U materialized:U maxvalue:U "
    "merge:U method:U minute:U minvalue:U mode:U month:U move:U name:U names:U national:C "
    "natural:T nchar:C new:U next:U nfc:U nfd:U nfkc:U nfkd:U no:U none:C normalize:C "
    "normalized:U not:R nothing:U notify:U notnull:T nowait:U null:R nullif:C nulls:U "
    "numeric:C object:U of:U off:U offset:R oids:U old:U on:R only:R operator:U option:U "
    "options:U or:R order:R ordinality:U others:U out:C outer:T over:U overlaps:T "
    "overlay:C overriding:U owned:U owner:U parallel:U parameter:U parser:U partial:U "
    "partition:U passing:U password:U placing:R plans:U policy:U position:C preceding:U "
    "precision:C prepare:U prepared:U preserve:U primary:R prior:U privileges:U "
    "procedural:U procedure:U procedures:U program:U publication:U quote:U range:U read:U "
    "real:C reassign:U recheck:U recursive:U ref:U references:R referencing:U refresh:U "
    "reindex:U relative:U release:U rename:U repeatable:U replace:U replica:U reset:U "
    "restart:U restrict:U return:U returning:R returns:U revoke:U right:T role:U "
    "rollback:U rollup:U routine:U routines:U row:C rows:U rule:U savepoint:U schema:U "
    "schemas:U scroll:U search:U second:U security:U select:R sequence:U sequences:U "
    "serializable:U server:U session:U session_user:R set:U setof:C sets:U share:U show:U "
    "similar:T simple:U skip:U smallint:C snapshot:U some:R sql:U stable:U standalone:U "
    "start:U statement:U statistics:U stdin:U stdout:U storage:U stored:U strict:U "
    "strip:U subscription:U substring:C support:U symmetric:R sysid:U system:U table:R "
    "tables:U tablesample:T tablespace:U temp:U template:U temporary:U text:U then:R "
    "ties:U time:C timestamp:C to:R trailing:R transaction:U transform:U treat:C "
    "trigger:U trim:C true:R truncate:U trusted:U type:U types:U uescape:U unbounded:U "
    "uncommitted:U unencrypted:U union:R unique:R unknown:U unlisten:U unlogged:U until:U "
    "update:U user:R using:R vacuum:U valid:U validate:U validator:U value:U values:C "
    "varchar:C variadic:R varying:U verbose:T version:U view:U views:U volatile:U when:R "
    "where:R whitespace:U window:R with:R within:U without:U work:U wrapper:U write:U "
    "xml:U xmlattributes:C xmlconcat:C xmlelement:C xmlexists:C xmlforest:C "
    "xmlnamespaces:C xmlparse:C xmlpi:C xmlroot:C xmlserialize:C xmltable:C year:U yes:U "
    "zone:U";
/* clang-format on */

static enum err keywords_begin(struct series *series, struct error *error)
{
    (void)error;
    series->whole.next = 0;
    return OK;
}

static enum err keywords_next(struct series *series, struct value *row, bool *has_row,
                              struct error *error)
{
    (void)error;
    const char *word = keywords + series->whole.next;
    size_t size = strcspn(word, ":");
    *has_row = size > 0;
    if (size == 0)
        return OK;
    row[0].text = slice_of(word, size);
    row[1].text = slice_of(word + size + 1, 1);
    series->whole.next += (int64_t)size + 2 + (word[size + 2] == ' ');
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
#define SUBSCRIPTS(of)                                                                             \
    {                                                                                              \
        .name = "generate_subscripts", .argument_min = 2, .argument_max = 3,                       \
        .arguments = {of, TYPE_INT4, TYPE_BOOL}, .column_count = 1, .columns = {TYPE_INT4},        \
        .begin = subscripts_begin, .next = whole_next, .doc = "the subscripts of an array",        \
        .example = "generate_subscripts('{a,b}'::text[], 1)"                                       \
    }
#define ARRAY(array, element, literal, item) UNNEST(array, element), SUBSCRIPTS(array),
#define JSON(function_name, of, begin_form, next_form, doc_text, example_text, ...)                \
    {                                                                                              \
        .name = function_name, .argument_min = 1, .argument_max = 1, .arguments = {of},            \
        .begin = begin_form, .next = next_form, .doc = doc_text, .example = example_text,          \
        __VA_ARGS__                                                                                \
    }
#define ONE(type) .column_count = 1, .columns = {type}
#define VALUE(type) ONE(type), .names = {"value"}
#define PAIR(type) .column_count = 2, .columns = {TYPE_TEXT, type}, .names = {"key", "value"}

/* clang-format off */
const struct series_function series_functions[] = {
    SERIES(TYPE_INT4, TYPE_INT4, whole_begin, whole_next, "generate_series(1, 3)"),
    SERIES(TYPE_INT8, TYPE_INT8, whole_begin, whole_next, "generate_series(1::bigint, 3)"),
    SERIES(TYPE_NUMERIC, TYPE_NUMERIC, numeric_begin, numeric_next, "generate_series(1, 2, 0.5)"),
    SERIES(TYPE_TIMESTAMPTZ, TYPE_INTERVAL, time_begin, time_next,
           "generate_series(now(), now() + '1 day', '1 hour')"),
    SERIES(TYPE_TIMESTAMP, TYPE_INTERVAL, time_begin, time_next,
           "generate_series(timestamp '2026-05-01', '2026-05-02', '1 hour')"),
    FOR_COMPARED_ARRAYS(ARRAY)
    FOR_OTHER_ARRAYS(ARRAY)
    {.name = "regexp_matches",
     .argument_min = 1,
     .argument_max = 1,
     .arguments = {TYPE_TEXT_ARRAY},
     .column_count = 1,
     .columns = {TYPE_TEXT_ARRAY},
     .begin = matches_begin,
     .next = matches_next,
     .doc = "the groups of the first match, with the flag g of each",
     .example = "regexp_matches('abab', '(.)b', 'g')"},
    {.name = "pg_partition_ancestors",
     .argument_min = 1,
     .argument_max = 1,
     .arguments = {TYPE_INT8},
     .column_count = 1,
     .columns = {TYPE_INT8},
     .names = {"relid"},
     .begin = nothing_begin,
     .next = nothing_next,
     .doc = "no rows: there are no partitions",
     .example = "pg_partition_ancestors(1259)"},
    {.name = "pg_get_keywords",
     .column_count = 2,
     .columns = {TYPE_TEXT, TYPE_TEXT},
     .names = {"word", "catcode"},
     .begin = keywords_begin,
     .next = keywords_next,
     .doc = "the words of SQL and how reserved they are",
     .example = "pg_get_keywords() LIMIT 1"},
    {.name = "_pg_expandarray",
     .argument_min = 1,
     .argument_max = 1,
     .arguments = {TYPE_INT8_ARRAY},
     .column_count = 1,
     .columns = {TYPE_INT8_ARRAY},
     .begin = array_begin_series,
     .next = expand_next,
     .doc = "elements and their places: fields x and n",
     .example = "_pg_expandarray('{7}'::bigint[])"},
    JSON("json_array_elements", TYPE_JSON, elements_begin, elements_next, "the elements",
         "json_array_elements('[1, \"a\"]')", VALUE(TYPE_JSON)),
    JSON("jsonb_array_elements", TYPE_JSONB, elements_begin, elements_next, "the elements",
         "jsonb_array_elements('[1, \"a\"]')", VALUE(TYPE_JSONB)),
    JSON("jsonb_path_query", TYPE_JSONB, elements_begin, elements_next, "what a path selects",
         "jsonb_path_query('{\"a\": [1, 2]}', '$.a[*]')", ONE(TYPE_JSONB)),
    JSON("jsonb_path_query_tz", TYPE_JSONB, elements_begin, elements_next, "what a path selects",
         "jsonb_path_query_tz('{\"a\": [1, 2]}', '$.a[*]')", ONE(TYPE_JSONB)),
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
/* clang-format on */

const size_t series_function_count = array_count(series_functions);

const struct series_function *series_find(struct slice name, const struct series_function *from)
{
    const struct series_function *end = series_functions + series_function_count;
    for (const struct series_function *f = from == NULL ? series_functions : from; f < end; f++)
        if (slice_equal(slice_from_cstr(f->name), name))
            return f;
    return NULL;
}

const struct series_over_array series_over_arrays[] = {
    {"string_to_table", "string_to_array", "unnest"},
    {"regexp_split_to_table", "regexp_split_to_array", "unnest"},
    {"regexp_matches", "_regexp_matches", "regexp_matches"},
    {"jsonb_path_query", "jsonb_path_query_array", "jsonb_path_query"},
    {"jsonb_path_query_tz", "jsonb_path_query_array_tz", "jsonb_path_query_tz"},
};

const size_t series_over_array_count = array_count(series_over_arrays);

const struct series_over_array *series_over_array_find(struct slice name)
{
    for (size_t index = 0; index < series_over_array_count; index++)
        if (slice_equal(name, slice_from_cstr(series_over_arrays[index].name)))
            return &series_over_arrays[index];
    return NULL;
}
