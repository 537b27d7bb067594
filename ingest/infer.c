/* A table for a sample of input: column names in order of appearance, the narrowest type that held
 * every value seen.
 *
 *   true, false                        boolean
 *   integers                           bigint
 *   integers and other numbers         double precision
 *   text like 2026-05-01T10:00:00Z     timestamptz
 *   objects, arrays                    jsonb (not taken apart: paths reach into it)
 *   anything else, or mixed            text
 *
 * The event time is the first of ts, time, timestamp, @timestamp, created_at that holds times
 * (epoch numbers too), else the first column of such texts. Only the first rows are looked at:
 * 1,000, or 4 MiB. */
#include "ingest/internal.h"

#include "ingest/decode/decode.h"
#include "ingest/rows/coerce.h"
#include "storage/base/json.h"
#include "storage/base/number.h"

#include <assert.h>
#include <stdio.h>

#define SAMPLE_ROWS_MAX 1000
#define SAMPLE_SIZE_MAX ((size_t)4 << 20)
#define DEPTH_MAX 64

enum seen {
    SEEN_BOOL = 1,
    SEEN_INT = 2,
    SEEN_FLOAT = 4,
    SEEN_TIME = 8,
    SEEN_TEXT = 16,
    SEEN_DOCUMENT = 32,
    SEEN_ODD = 64
};

struct field {
    struct slice name;
    unsigned seen;
    bool is_epoch; /* every number could be a time */
};
struct inference {
    struct arena *arena;
    struct field *fields;
    size_t count, rows;
};

static struct field *get_field(struct inference *inference, struct slice name)
{
    for (size_t i = 0; i < inference->count; i++)
        if (slice_equal(inference->fields[i].name, name))
            return &inference->fields[i];
    if (inference->count == SCHEMA_COLUMNS_MAX || name.size == 0 ||
        name.size > IDENTIFIER_SIZE_MAX || memchr(name.data, 0, name.size) != NULL ||
        utf8_validate(name) != name.size)
        return NULL;
    struct field *field = &inference->fields[inference->count++];
    *field = (struct field){.name = arena_copy(inference->arena, name), .is_epoch = true};
    return field;
}

/* --- values --- */

static void see_number(struct field *field, struct slice text)
{
    bool is_integer;
    int64_t i;
    double d;
    if (!json_number_parse(text, &is_integer, &i, &d))
        return;
    field->seen |= is_integer ? SEEN_INT : SEEN_FLOAT;
    field->is_epoch &= d >= 1e8 && d < 5e18; /* from 1973 on, seconds to nanoseconds */
}

static void see_text(struct field *field, struct slice text)
{
    int64_t time;
    field->seen |=
        text.size >= 19 && timestamptz_parse_rfc3339(text, &time) ? SEEN_TIME : SEEN_TEXT;
}

static void see_json(struct field *field, const struct json_value *value)
{
    switch (value->kind) {
    case JSON_TRUE:
    case JSON_FALSE:
        field->seen |= SEEN_BOOL;
        break;
    case JSON_NUMBER:
        see_number(field, value->text);
        break;
    case JSON_STRING:
        see_text(field, value->text);
        break;
    case JSON_OBJECT_BEGIN:
    case JSON_ARRAY_BEGIN:
        field->seen |= SEEN_DOCUMENT;
        break;
    default:
        break;
    }
}

/* CSV: what a text without quotes around it may be. */
static void see_cell(struct field *field, struct slice text)
{
    struct decimal number;
    if (slice_equal_ignore_case(text, SLICE("true")) ||
        slice_equal_ignore_case(text, SLICE("false")))
        field->seen |= SEEN_BOOL;
    else if (decimal_parse(text, &number))
        see_number(field, text);
    else
        see_text(field, text);
}

/* --- rows --- */

static void see_object(struct inference *inference, struct slice source)
{
    struct arena arena;
    struct json_value *object;
    arena_init(&arena);
    if (json_parse(source, &arena, DEPTH_MAX, &object, NULL) == OK &&
        object->kind == JSON_OBJECT_BEGIN) {
        inference->rows++;
        for (const struct json_value *member = object->child; member != NULL;
             member = member->next) {
            struct field *field = get_field(inference, member->key);
            if (field != NULL)
                see_json(field, member);
        }
    }
    arena_deinit(&arena);
}

static void see_lines(struct inference *inference, struct slice sample)
{
    const char *p = sample.data, *end = p + sample.size;
    while (p < end && inference->rows < SAMPLE_ROWS_MAX) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (line_end == NULL)
            line_end = end;
        struct slice line = slice_trim(slice_of(p, (size_t)(line_end - p)));
        if (line.size > 0)
            see_object(inference, line);
        p = line_end < end ? line_end + 1 : end;
    }
}

static void see_documents(struct inference *inference, struct slice sample)
{
    struct json_parser parser;
    json_parser_init(&parser, sample, DEPTH_MAX);
    while (inference->rows < SAMPLE_ROWS_MAX) {
        enum json_token token = json_next(&parser);
        if (token == JSON_END || token == JSON_ERROR)
            return;
        if (token != JSON_OBJECT_BEGIN)
            continue; /* the array around the rows */
        size_t begin = parser.token_offset;
        if (!json_skip(&parser, token))
            return;
        see_object(inference, slice_of(sample.data + begin, parser.offset - begin));
    }
}

/* Header names in order: quotes taken off, nothing else. */
static void see_header(struct inference *inference, struct slice line)
{
    for (size_t begin = 0, i = 0; i <= line.size; i++) {
        if (i < line.size && line.data[i] != ',')
            continue;
        struct slice name = slice_trim(slice_of(line.data + begin, i - begin));
        if (name.size >= 2 && name.data[0] == '"' && name.data[name.size - 1] == '"')
            name = slice_of(name.data + 1, name.size - 2);
        get_field(inference, name);
        begin = i + 1;
    }
}

/* The CSV decoder into text columns by the header's names. */
static enum err see_csv(struct inference *inference, struct slice sample, struct error *error)
{
    struct slice body = slice_trim(sample);
    if (slice_starts_with(body, SLICE("\xEF\xBB\xBF")))
        body = slice_of(body.data + 3, body.size - 3);
    const char *line_end = body.size == 0 ? NULL : memchr(body.data, '\n', body.size);
    see_header(inference,
               slice_of(body.data, line_end == NULL ? body.size : (size_t)(line_end - body.data)));
    if (inference->count == 0)
        return error_set(error, ERR_INPUT, "22P04", "the first line is not a header");
    struct schema *schema = schema_create();
    schema->name = SLICE("sample");
    schema->columns = arena_alloc_zero(&schema->arena, inference->count * sizeof(*schema->columns));
    for (size_t i = 0; i < inference->count; i++) {
        schema->columns[i] =
            (struct column_definition){.id = (uint32_t)i + 1, .type = type_of(TYPE_TEXT)};
        schema->columns[i].name = inference->fields[i].name;
    }
    schema->column_count = (uint32_t)inference->count;
    struct mapping *mapping;
    struct arena arena;
    arena_init(&arena);
    enum err err = mapping_create(schema, &mapping, error);
    assert(err == OK);
    struct rows rows;
    struct rows_options options = {.mapping = mapping,
                                   .arena = &arena,
                                   .rows_max = SAMPLE_ROWS_MAX,
                                   .row_size_max = SAMPLE_SIZE_MAX};
    struct decode_options decode = {.depth_max = DEPTH_MAX, .keys_max = SCHEMA_COLUMNS_MAX};
    rows_init(&rows, &options);
    err = decode_csv(&rows, body, &decode, error);
    struct batch batch;
    const uint32_t *ids;
    rows_finish(&rows, &batch, &ids);
    for (size_t i = 0; i < batch.column_count; i++)
        for (size_t row = 0; row < batch.row_count; row++)
            if (!column_is_null(&batch.columns[i], row))
                see_cell(&inference->fields[i], column_text(&batch.columns[i], row));
    inference->rows = batch.row_count;
    rows_deinit(&rows);
    mapping_unref(mapping);
    arena_deinit(&arena);
    schema_unref(schema);
    return err == ERR_LIMIT ? OK : err; /* enough rows were seen */
}

/* --- the table --- */

static enum type_id field_type(const struct field *field)
{
    switch (field->seen) {
    case SEEN_BOOL:
        return TYPE_BOOL;
    case SEEN_INT:
        return TYPE_INT8;
    case SEEN_FLOAT:
    case SEEN_INT | SEEN_FLOAT:
        return TYPE_FLOAT8;
    case SEEN_TIME:
        return TYPE_TIMESTAMPTZ;
    default:
        return (field->seen & SEEN_DOCUMENT) != 0 ? TYPE_JSONB : TYPE_TEXT;
    }
}

/* Index of the event time, or SIZE_MAX. */
static size_t find_time(const struct inference *inference)
{
    static const char *const names[] = {"ts", "time", "timestamp", "@timestamp", "created_at"};
    for (size_t n = 0; n < array_count(names); n++) {
        for (size_t i = 0; i < inference->count; i++) {
            const struct field *field = &inference->fields[i];
            bool is_number =
                field->seen != 0 && (field->seen & ~(unsigned)(SEEN_INT | SEEN_FLOAT)) == 0;
            if (slice_equal_ignore_case(field->name, slice_from_cstr(names[n])) &&
                (field->seen == SEEN_TIME || (is_number && field->is_epoch)))
                return i;
        }
    }
    for (size_t i = 0; i < inference->count; i++)
        if (inference->fields[i].seen == SEEN_TIME)
            return i;
    return SIZE_MAX;
}

enum err infer_columns(struct slice sample, enum ingest_format format, struct arena *arena,
                       struct ingest_column **columns, size_t *count, struct slice *time_column,
                       struct error *error)
{
    struct inference inference = {.arena = arena};
    inference.fields = arena_alloc_array(arena, SCHEMA_COLUMNS_MAX, sizeof(*inference.fields));
    if (format == INGEST_SNIFF)
        format = decode_sniff(sample);
    if (sample.size > SAMPLE_SIZE_MAX && format != INGEST_JSON) {
        const char *cut = memrchr(sample.data, '\n', SAMPLE_SIZE_MAX);
        sample.size = cut == NULL ? SAMPLE_SIZE_MAX : (size_t)(cut - sample.data) + 1;
    }
    enum err err = OK;
    if (format == INGEST_CSV)
        err = see_csv(&inference, sample, error);
    else if (format == INGEST_JSON)
        see_documents(&inference, sample);
    else
        see_lines(&inference, sample);
    if (err != OK)
        return err;
    if (inference.count == 0)
        return error_set(error, ERR_INPUT, "22P02", "the input has no rows to infer columns from");
    *columns = arena_alloc_zero(arena, inference.count * sizeof(**columns));
    *count = inference.count;
    size_t time = find_time(&inference);
    *time_column = time == SIZE_MAX ? (struct slice){0} : inference.fields[time].name;
    for (size_t i = 0; i < inference.count; i++) {
        (*columns)[i].name = inference.fields[i].name;
        (*columns)[i].type =
            type_of(i == time ? TYPE_TIMESTAMPTZ : field_type(&inference.fields[i]));
    }
    return OK;
}

/* PostgreSQL's reserved words (its appendix C), blank on both sides of each. */
static const char reserved_words[] = " all analyse analyze and any array as asc asymmetric "
                                     "authorization binary both case cast check collate "
                                     "collation column "
                                     "concurrently constraint create cross current_catalog "
                                     "current_date current_role current_schema current_time "
                                     "current_timestamp current_user default deferrable desc "
                                     "distinct do else end except false fetch for foreign "
                                     "freeze "
                                     "from full grant group having ilike in initially inner "
                                     "intersect into is isnull join lateral leading left like "
                                     "limit "
                                     "localtime localtimestamp natural not notnull null offset on "
                                     "only or order outer overlaps placing primary "
                                     "references "
                                     "returning right select session_user similar some symmetric "
                                     "table tablesample then to trailing true union unique "
                                     "user "
                                     "using variadic verbose when where window with ";

static bool is_plain_identifier(struct slice name)
{
    bool is_plain = name.data[0] == '_' || (name.data[0] >= 'a' && name.data[0] <= 'z');
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        is_plain &= c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    }
    char word[IDENTIFIER_SIZE_MAX + 3];
    if (!is_plain || name.size > IDENTIFIER_SIZE_MAX)
        return false;
    snprintf(word, sizeof(word), " %.*s ", SLICE_ARGS(name));
    return strstr(reserved_words, word) == NULL;
}

static void write_identifier(struct writer *out, struct slice name)
{
    if (is_plain_identifier(name)) {
        writer_slice(out, name);
        return;
    }
    writer_u8(out, '"');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"')
            writer_u8(out, '"');
        writer_u8(out, (uint8_t)name.data[i]);
    }
    writer_u8(out, '"');
}

enum err ingest_infer(struct slice sample, enum ingest_format format, struct slice table,
                      struct arena *arena, struct slice *out, struct error *error)
{
    struct ingest_column *columns;
    struct slice time_column;
    size_t count;
    enum err err = infer_columns(sample, format, arena, &columns, &count, &time_column, error);
    if (err != OK)
        return err;
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "CREATE TABLE ");
    write_identifier(&text, table.size > 0 ? table : SLICE("events"));
    writer_cstr(&text, " (\n");
    for (size_t i = 0; i < count; i++) {
        writer_cstr(&text, "  ");
        write_identifier(&text, columns[i].name);
        writer_u8(&text, ' ');
        if (columns[i].type.id == TYPE_TIMESTAMPTZ)
            writer_cstr(&text, "timestamptz");
        else
            type_print(columns[i].type, &text);
        writer_cstr(&text, i + 1 < count ? ",\n" : "\n");
    }
    writer_u8(&text, ')');
    if (time_column.size > 0) {
        writer_cstr(&text, " WITH (time = '");
        for (size_t i = 0; i < time_column.size; i++) {
            if (time_column.data[i] == '\'')
                writer_u8(&text, '\'');
            writer_u8(&text, (uint8_t)time_column.data[i]);
        }
        writer_cstr(&text, "')");
    }
    writer_cstr(&text, ";\n");
    *out = arena_copy(arena, writer_as_slice(&text));
    writer_deinit(&text);
    return OK;
}
