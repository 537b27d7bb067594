/* WITH (…) of a table: one row of the table below per name.
 *
 * A value that asks for what is not there yet is 0A000 with the option's name; one that asks for
 * nothing (off, the default) is taken; order_by, version and raw are checked and kept, and nothing
 * acts on them yet. The options as given are kept as a JSON object for freshet.tables. */
#include "ingest/internal.h"

#include "storage/base/json.h"

#include <assert.h>

struct option_context {
    struct schema *schema;
    const struct ingest_option *option;
    struct error *error;
};

static enum err bad_value(const struct option_context *c, const char *want)
{
    enum err err = error_set(c->error, ERR_INPUT, "22023", "option \"%.*s\": \"%.*s\" is not %s",
                             SLICE_ARGS(c->option->name), SLICE_ARGS(c->option->value), want);
    if (c->error != NULL)
        c->error->text_position = c->option->text_position;
    return err;
}

static enum err not_there(const struct option_context *c)
{
    enum err err = error_set(c->error, ERR_UNSUPPORTED, "0A000",
                             "option \"%.*s\" = '%.*s' is not supported yet",
                             SLICE_ARGS(c->option->name), SLICE_ARGS(c->option->value));
    if (c->error != NULL)
        c->error->text_position = c->option->text_position;
    return err;
}

static bool is_value(const struct option_context *c, const char *text)
{
    return slice_equal_ignore_case(c->option->value, slice_from_cstr(text));
}

static bool is_off(const struct option_context *c)
{
    return is_value(c, "off") || is_value(c, "false") || is_value(c, "none") ||
           c->option->value.size == 0;
}

static enum err find_column(const struct option_context *c, int32_t *out)
{
    *out = schema_find(c->schema, c->option->value);
    if (*out >= 0)
        return OK;
    enum err err =
        error_set(c->error, ERR_INPUT, "42703", "option \"%.*s\": column \"%.*s\" does not exist",
                  SLICE_ARGS(c->option->name), SLICE_ARGS(c->option->value));
    if (c->error != NULL)
        c->error->text_position = c->option->text_position;
    return err;
}

/* An interval >= 0 without months. */
static enum err parse_span(const struct option_context *c, int64_t *out)
{
    struct interval interval;
    struct error reason;
    if (interval_parse(c->option->value, &interval, &reason) != OK)
        return bad_value(c, "an interval such as '30 s'");
    __int128 span = interval_span(interval);
    if (span < 0 || span > INT64_MAX / 4)
        return bad_value(c, "an interval of zero or more");
    *out = (int64_t)span;
    return OK;
}

static enum err set_time(const struct option_context *c)
{
    enum err err = find_column(c, &c->schema->time_column);
    if (err == OK && c->schema->columns[c->schema->time_column].type.id != TYPE_TIMESTAMPTZ)
        return bad_value(c, "a column of type timestamp with time zone");
    return err;
}

static enum err set_lateness(const struct option_context *c)
{
    return parse_span(c, &c->schema->options.lateness_us);
}

static enum err set_future(const struct option_context *c)
{
    return parse_span(c, &c->schema->options.future_us);
}

static enum err set_retention(const struct option_context *c)
{
    return is_off(c) ? OK : parse_span(c, &c->schema->options.retention_us);
}

static enum err set_late(const struct option_context *c)
{
    if (is_value(c, "amend"))
        return OK;
    return is_value(c, "divert") || is_value(c, "drop") ? not_there(c)
                                                        : bad_value(c, "amend, divert or drop");
}

bool options_next_order(struct slice *list, struct slice *name, struct slice *direction)
{
    if (list->data == NULL)
        return false;
    const char *comma = list->size == 0 ? NULL : memchr(list->data, ',', list->size);
    size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
    struct slice item = slice_trim(slice_of(list->data, size));
    const char *blank = item.size == 0 ? NULL : memchr(item.data, ' ', item.size);
    *name = blank == NULL ? item : slice_of(item.data, (size_t)(blank - item.data));
    *direction = blank == NULL ? SLICE("") : slice_trim(slice_of(blank, item.size - name->size));
    if (name->size >= 2 && name->data[0] == '"' && name->data[name->size - 1] == '"')
        *name = slice_of(name->data + 1, name->size - 2);
    *list = comma == NULL ? slice_of(NULL, 0) : slice_of(comma + 1, list->size - size - 1);
    return true;
}

/* 'country, ts desc': columns that exist. Recorded. */
static enum err set_order_by(const struct option_context *c)
{
    struct slice list = c->option->value, name, direction;
    while (options_next_order(&list, &name, &direction)) {
        if (direction.size > 0 && !slice_equal_ignore_case(direction, SLICE("asc")) &&
            !slice_equal_ignore_case(direction, SLICE("desc")))
            return bad_value(c, "a list of columns");
        if (schema_find(c->schema, name) < 0)
            return bad_value(c, "a list of columns of the table");
    }
    return OK;
}

static enum err set_map(const struct option_context *c)
{
    c->schema->options.map = arena_copy(&c->schema->arena, c->option->value);
    struct mapping *mapping; /* compiled once to see that it is good */
    enum err err = mapping_create(c->schema, &mapping, c->error);
    if (err == OK)
        mapping_unref(mapping);
    return err;
}

static enum err find_document(const struct option_context *c, int32_t *out)
{
    if (is_off(c))
        return OK;
    enum err err = find_column(c, out);
    if (err != OK)
        return err;
    enum type_id type = c->schema->columns[*out].type.id;
    return type == TYPE_JSONB || type == TYPE_JSON || type == TYPE_TEXT
               ? OK
               : bad_value(c, "a jsonb column");
}

static enum err set_rest(const struct option_context *c)
{
    return find_document(c, &c->schema->options.rest_column);
}

static enum err set_whole(const struct option_context *c)
{
    return find_document(c, &c->schema->options.whole_column);
}

static enum err set_unknown(const struct option_context *c)
{
    if (!is_value(c, "ignore") && !is_value(c, "reject"))
        return bad_value(c, "ignore or reject");
    c->schema->options.unknown = is_value(c, "reject") ? UNKNOWN_REJECT : UNKNOWN_IGNORE;
    return OK;
}

static enum err set_raw(const struct option_context *c)
{
    int64_t span;
    return is_off(c) ? OK : parse_span(c, &span);
}

static enum err set_version(const struct option_context *c)
{
    int32_t column;
    return is_off(c) ? OK : find_column(c, &column);
}

/* Columns made by writing: off is all there is. */
static enum err set_schema_on_write(const struct option_context *c)
{
    if (is_off(c))
        return OK;
    return is_value(c, "on") || is_value(c, "true") ? not_there(c) : bad_value(c, "on or off");
}

static const struct {
    const char *name;
    enum err (*set)(const struct option_context *context);
} option_table[] = {
    {"time", set_time},
    {"lateness", set_lateness},
    {"future", set_future},
    {"late", set_late},
    {"retention", set_retention},
    {"order_by", set_order_by},
    {"map", set_map},
    {"rest", set_rest},
    {"whole", set_whole},
    {"unknown", set_unknown},
    {"raw", set_raw},
    {"version", set_version},
    {"schema_on_write", set_schema_on_write},
};

static enum err apply_one(const struct option_context *c)
{
    for (size_t i = 0; i < array_count(option_table); i++)
        if (slice_equal_ignore_case(c->option->name, slice_from_cstr(option_table[i].name)))
            return option_table[i].set(c);
    enum err err = error_set(c->error, ERR_INPUT, "22023", "unrecognized option \"%.*s\"",
                             SLICE_ARGS(c->option->name));
    error_hint(
        c->error,
        "Options of a table: time, lateness, future, late, retention, order_by, map, rest, whole, "
        "unknown, raw, version, schema_on_write.");
    if (c->error != NULL)
        c->error->text_position = c->option->text_position;
    return err;
}

static bool is_repeated(const struct ingest_option *options, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (slice_equal_ignore_case(options[i].name, options[index].name))
            return true;
    return false;
}

/* Without `time`: the only timestamptz NOT NULL column. */
static void choose_time_column(struct schema *schema)
{
    int32_t found = -1;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].type.id != TYPE_TIMESTAMPTZ || !schema->columns[i].is_not_null)
            continue;
        if (found >= 0)
            return;
        found = (int32_t)i;
    }
    schema->time_column = found;
}

enum err options_apply(struct schema *schema, const struct ingest_option *options, size_t count,
                       struct error *error)
{
    struct error ignored;
    struct writer text;
    bool has_time = false;
    writer_init(&text);
    writer_u8(&text, '{');
    enum err err = OK;
    for (size_t i = 0; i < count && err == OK; i++) {
        struct option_context context = {
            .schema = schema, .option = &options[i], .error = error == NULL ? &ignored : error};
        if (is_repeated(options, i))
            err = error_set(error, ERR_INPUT, "22023", "option \"%.*s\" specified more than once",
                            SLICE_ARGS(options[i].name));
        else
            err = apply_one(&context);
        has_time |= slice_equal_ignore_case(options[i].name, SLICE("time"));
        if (i > 0)
            writer_u8(&text, ',');
        json_write_string(&text, options[i].name);
        writer_u8(&text, ':');
        json_write_string(&text, options[i].value);
    }
    writer_u8(&text, '}');
    schema->options.text = arena_copy(&schema->arena, writer_as_slice(&text));
    writer_deinit(&text);
    if (err == OK && !has_time)
        choose_time_column(schema);
    return err;
}
