/* Table definitions: how a table looks from one position of the log on.
 *
 * A schema is filled by one owner, checked by schema_validate, and from the moment it is shared it
 * never changes: ALTER makes a copy under a greater version. Everything in it lies in its own
 * arena, so the last reference frees it in one step and a snapshot that holds one needs no lock.
 *
 * Columns have an id besides their place: ids are never reused within a table, chunks and commit
 * records name columns by id, so add and drop column touch no row (a row written before the column
 * existed reads as `missing`, a dropped column's values are skipped).
 *
 * Bytes (schema_write), little-endian, in commit records of kind CREATE and ALTER and in
 * checkpoints:
 *
 *   u8 format = 2 | u32 table_id | u32 version | u32 index_version (2) | text name | text comment
 *   u32 next_column_id
 *   i32 time_column | i64 created_at_us
 *   i64 lateness_us | i64 future_us | i64 retention_us | u8 unknown | i32 rest_column | i32
 * whole_column text map | text text u32 column_count, then per column: u32 id | text name | type |
 * u8 is_not_null | text default_text | value missing | text comment
 * | format 2: u8 index policy | text index_name
 *
 * `text` is a varint length and the bytes; type and value as storage/column/type.c writes them.
 * Reading bounds everything and ends in schema_validate, so hostile bytes give ERR_CORRUPT and
 * never a schema that others would trip over. */
#include "storage/column/schema.h"

#include <assert.h>
#include <string.h>

#define SCHEMA_FORMAT 2 /* 1 had no indexes */

/* --- life --- */

struct schema *schema_create(void)
{
    struct schema *schema = memory_alloc_zero(sizeof(*schema));
    arena_init(&schema->arena);
    atomic_init(&schema->references, 1);
    schema->time_column = -1;
    schema->next_column_id = 1;
    schema->options = (struct table_options){
        .lateness_us = 30 * INT64_C(1000000),
        .future_us = 86400 * INT64_C(1000000),
        .unknown = UNKNOWN_IGNORE,
        .rest_column = -1,
        .whole_column = -1,
    };
    return schema;
}

static struct value value_copy(const struct value *value, struct arena *arena)
{
    struct value out = *value;
    if (!out.is_null && type_physical(out.type.id) == PHYSICAL_TEXT)
        out.text = arena_copy(arena, out.text);
    return out;
}

struct schema *schema_copy(const struct schema *schema)
{
    struct schema *copy = schema_create();
    struct arena *arena = &copy->arena;
    copy->table_id = schema->table_id;
    copy->version = schema->version;
    copy->index_version = schema->index_version;
    copy->name = arena_copy(arena, schema->name);
    copy->comment = arena_copy(arena, schema->comment);
    copy->next_column_id = schema->next_column_id;
    copy->time_column = schema->time_column;
    copy->options = schema->options;
    copy->options.map = arena_copy(arena, schema->options.map);
    copy->options.text = arena_copy(arena, schema->options.text);
    copy->created_at_us = schema->created_at_us;
    copy->column_count = schema->column_count;
    copy->columns = arena_alloc_array(arena, schema->column_count, sizeof(*copy->columns));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column_definition *from = &schema->columns[i];
        copy->columns[i] = *from;
        copy->columns[i].name = arena_copy(arena, from->name);
        copy->columns[i].default_text = arena_copy(arena, from->default_text);
        copy->columns[i].missing = value_copy(&from->missing, arena);
        copy->columns[i].comment = arena_copy(arena, from->comment);
        copy->columns[i].index_name = arena_copy(arena, from->index_name);
    }
    return copy;
}

const struct schema *schema_ref(const struct schema *schema)
{
    struct schema *own = (struct schema *)schema;
    atomic_fetch_add_explicit(&own->references, 1, memory_order_relaxed);
    return schema;
}

void schema_unref(const struct schema *schema)
{
    if (schema == NULL)
        return;
    struct schema *own = (struct schema *)schema;
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        arena_deinit(&own->arena);
        memory_free(own);
    }
}

/* --- finding --- */

int32_t schema_find(const struct schema *schema, struct slice name)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (slice_equal(schema->columns[i].name, name))
            return (int32_t)i;
    }
    return -1;
}

int32_t schema_find_id(const struct schema *schema, uint32_t column_id)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].id == column_id)
            return (int32_t)i;
    }
    return -1;
}

/* --- checking --- */

static enum err validate_identifier(struct slice name, const char *noun, struct error *error)
{
    if (name.size == 0)
        return error_set(error, ERR_INPUT, "42602", "%s name is empty", noun);
    if (name.size > IDENTIFIER_SIZE_MAX)
        return error_set(error, ERR_INPUT, "42622", "%s name \"%.*s\" is longer than %d bytes",
                         noun, SLICE_ARGS(name), IDENTIFIER_SIZE_MAX);
    if (memchr(name.data, 0, name.size) != NULL || utf8_validate(name) != name.size)
        return error_set(error, ERR_INPUT, "22021", "%s name is not valid UTF-8", noun);
    return OK;
}

static enum err validate_column(const struct schema *schema, uint32_t index, struct error *error)
{
    const struct column_definition *column = &schema->columns[index];
    enum err err = validate_identifier(column->name, "column", error);
    if (err != OK)
        return err;
    if (!type_is_storable(column->type.id))
        return error_set(error, ERR_INPUT, "42P16",
                         "column \"%.*s\" has type %s, which cannot be stored",
                         SLICE_ARGS(column->name), type_name(column->type.id));
    if (column->type.id == TYPE_NUMERIC &&
        (column->type.precision < 1 || column->type.precision > 18 ||
         column->type.scale > column->type.precision))
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "column \"%.*s\": numeric columns need a precision of 1 to 18",
                         SLICE_ARGS(column->name));
    if (column->id == 0 || column->id >= schema->next_column_id)
        return error_set(error, ERR_INPUT, "XX000",
                         "column \"%.*s\" has the id %u past the next id %u",
                         SLICE_ARGS(column->name), column->id, schema->next_column_id);
    if (!column->missing.is_null &&
        type_physical(column->missing.type.id) != type_physical(column->type.id))
        return error_set(error, ERR_INPUT, "42804", "column \"%.*s\" has a default of another type",
                         SLICE_ARGS(column->name));
    return OK;
}

/* Quadratic on purpose only up to here: 1,024 columns are half a million comparisons of sizes
 * first. */
static enum err validate_distinct(const struct schema *schema, struct error *error)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (slice_equal(schema->columns[i].name, schema->columns[j].name))
                return error_set(error, ERR_INPUT, "42701",
                                 "column \"%.*s\" specified more than once",
                                 SLICE_ARGS(schema->columns[i].name));
            if (schema->columns[i].id == schema->columns[j].id)
                return error_set(error, ERR_INPUT, "XX000", "column id %u used twice",
                                 schema->columns[i].id);
        }
    }
    return OK;
}

static bool is_column_index(const struct schema *schema, int32_t index)
{
    return index >= -1 && index < (int32_t)schema->column_count;
}

enum err schema_validate(const struct schema *schema, struct error *error)
{
    enum err err = validate_identifier(schema->name, "table", error);
    if (err != OK)
        return err;
    if (schema->column_count == 0)
        return error_set(error, ERR_INPUT, "42P16", "table \"%.*s\" has no columns",
                         SLICE_ARGS(schema->name));
    if (schema->column_count > SCHEMA_COLUMNS_MAX)
        return error_set(error, ERR_INPUT, "54011", "tables can have at most %d columns",
                         SCHEMA_COLUMNS_MAX);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        err = validate_column(schema, i, error);
        if (err != OK)
            return err;
    }
    err = validate_distinct(schema, error);
    if (err != OK)
        return err;
    const struct table_options *options = &schema->options;
    if (!is_column_index(schema, schema->time_column) ||
        !is_column_index(schema, options->rest_column) ||
        !is_column_index(schema, options->whole_column))
        return error_set(error, ERR_INPUT, "42703", "an option names a column that does not exist");
    if (schema->time_column >= 0 &&
        schema->columns[schema->time_column].type.id != TYPE_TIMESTAMPTZ)
        return error_set(error, ERR_INPUT, "42P16",
                         "the event time column \"%.*s\" must be timestamp with time zone",
                         SLICE_ARGS(schema->columns[schema->time_column].name));
    return OK;
}

/* --- bytes --- */

void schema_write(const struct schema *schema, struct writer *out)
{
    const struct table_options *options = &schema->options;
    writer_u8(out, SCHEMA_FORMAT);
    writer_u32(out, schema->table_id);
    writer_u32(out, schema->version);
    writer_u32(out, schema->index_version);
    writer_text(out, schema->name);
    writer_text(out, schema->comment);
    writer_u32(out, schema->next_column_id);
    writer_u32(out, (uint32_t)schema->time_column);
    writer_i64(out, schema->created_at_us);
    writer_i64(out, options->lateness_us);
    writer_i64(out, options->future_us);
    writer_i64(out, options->retention_us);
    writer_u8(out, (uint8_t)options->unknown);
    writer_u32(out, (uint32_t)options->rest_column);
    writer_u32(out, (uint32_t)options->whole_column);
    writer_text(out, options->map);
    writer_text(out, options->text);
    writer_u32(out, schema->column_count);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column_definition *column = &schema->columns[i];
        writer_u32(out, column->id);
        writer_text(out, column->name);
        type_write(column->type, out);
        writer_u8(out, column->is_not_null ? 1 : 0);
        writer_text(out, column->default_text);
        /* A NULL may come without a type of its own; it is the column's. */
        struct value missing = column->missing;
        if (missing.is_null)
            missing.type = column->type;
        value_write(&missing, out);
        writer_text(out, column->comment);
        writer_u8(out, (uint8_t)column->index);
        writer_text(out, column->index_name);
    }
}

static struct slice read_text(struct reader *reader, struct arena *arena)
{
    struct slice text = reader_text(reader);
    return arena_copy(arena, text);
}

static bool read_head(struct reader *reader, struct schema *schema, uint8_t *format)
{
    struct table_options *options = &schema->options;
    *format = reader_u8(reader);
    schema->table_id = reader_u32(reader);
    schema->version = reader_u32(reader);
    schema->index_version = *format >= 2 ? reader_u32(reader) : 0;
    schema->name = read_text(reader, &schema->arena);
    schema->comment = read_text(reader, &schema->arena);
    schema->next_column_id = reader_u32(reader);
    schema->time_column = (int32_t)reader_u32(reader);
    schema->created_at_us = reader_i64(reader);
    options->lateness_us = reader_i64(reader);
    options->future_us = reader_i64(reader);
    options->retention_us = reader_i64(reader);
    uint8_t unknown = reader_u8(reader);
    options->unknown = unknown == UNKNOWN_REJECT ? UNKNOWN_REJECT : UNKNOWN_IGNORE;
    options->rest_column = (int32_t)reader_u32(reader);
    options->whole_column = (int32_t)reader_u32(reader);
    options->map = read_text(reader, &schema->arena);
    options->text = read_text(reader, &schema->arena);
    schema->column_count = reader_u32(reader);
    return !reader->failed && *format >= 1 && *format <= SCHEMA_FORMAT &&
           unknown <= UNKNOWN_REJECT && schema->column_count <= SCHEMA_COLUMNS_MAX;
}

static bool read_column(struct reader *reader, uint8_t format, struct arena *arena,
                        struct column_definition *column)
{
    column->id = reader_u32(reader);
    column->name = read_text(reader, arena);
    column->type = type_read(reader);
    uint8_t is_not_null = reader_u8(reader);
    column->is_not_null = is_not_null == 1;
    column->default_text = read_text(reader, arena);
    if (reader->failed || is_not_null > 1)
        return false;
    struct value missing;
    if (value_read(reader, arena, &missing) != OK)
        return false;
    column->missing = value_copy(&missing, arena);
    column->comment = read_text(reader, arena);
    if (format < 2)
        return !reader->failed;
    uint8_t index = reader_u8(reader);
    column->index = (enum index_policy)index;
    column->index_name = read_text(reader, arena);
    return !reader->failed && index <= INDEX_OFF;
}

enum err schema_read(struct reader *reader, struct schema **out, struct error *error)
{
    struct schema *schema = schema_create();
    uint8_t format;
    if (!read_head(reader, schema, &format))
        goto out_corrupt;
    schema->columns =
        arena_alloc_zero(&schema->arena, schema->column_count * sizeof(*schema->columns));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (!read_column(reader, format, &schema->arena, &schema->columns[i]))
            goto out_corrupt;
    }
    struct error reason = {0};
    if (schema_validate(schema, &reason) != OK) {
        schema_unref(schema);
        return error_set(error, ERR_CORRUPT, NULL, "a stored table definition is not valid: %s",
                         reason.text);
    }
    *out = schema;
    return OK;

out_corrupt:
    schema_unref(schema);
    return error_set(error, ERR_CORRUPT, NULL, "a stored table definition cannot be read");
}
