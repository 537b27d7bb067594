/* CREATE, ALTER and DROP INDEX: a column's policy, a new version of its table's definition, nothing
 * more. Segments sealed from then on have the index (or not); older ones are written anew by
 * upkeep, which sees that index_version has grown.
 *
 * A column has at most one index. Text columns have one by rule, under the name PostgreSQL would
 * give it, <table>_<column>_idx: dropping that name switches the rule off for the column, creating
 * it makes it the user's. Names are one space over all tables, shared with the tables' own. */
#include "ingest/internal.h"

#include <stdio.h>
#include <string.h>

static bool is_text(struct type type)
{
    return type.id == TYPE_TEXT || type.id == TYPE_VARCHAR;
}

static bool can_index(struct type type)
{
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
        return true;
    default:
        return false;
    }
}

/* A name that is not cut inside of a character. */
static struct slice cut(struct slice name, size_t size)
{
    while (size > 0 && size < name.size && ((unsigned char)name.data[size] & 0xC0) == 0x80)
        size--;
    return slice_of(name.data, size < name.size ? size : name.size);
}

/* PostgreSQL's choice: the longer of the two names gives way until all fits into 63 bytes. */
static struct slice default_name(struct slice table, struct slice column, unsigned number,
                                 char *out)
{
    char suffix[16] = "idx";
    if (number > 0)
        snprintf(suffix, sizeof(suffix), "idx%u", number);
    size_t table_size = table.size, column_size = column.size, room = IDENTIFIER_SIZE_MAX - 2;
    while (table_size + column_size > room - strlen(suffix))
        *(table_size > column_size ? &table_size : &column_size) -= 1;
    table = cut(table, table_size);
    column = cut(column, column_size);
    int size = snprintf(out, IDENTIFIER_SIZE_MAX + 1, "%.*s_%.*s_%s", SLICE_ARGS(table),
                        SLICE_ARGS(column), suffix);
    return slice_of(out, (size_t)size);
}

/* The name of a column's index; empty if it has none. `buffer` has IDENTIFIER_SIZE_MAX + 1. */
static struct slice index_name(const struct schema *schema, const struct column_definition *column,
                               char *buffer)
{
    if (column->index == INDEX_ON)
        return column->index_name;
    if (column->index == INDEX_AUTO && is_text(column->type))
        return default_name(schema->name, column->name, 0, buffer);
    return slice_of(NULL, 0);
}

/* The table and column that have the index; false: none of that name. */
static bool find_index(struct snapshot *snapshot, struct slice name, const struct schema **schema,
                       uint32_t *column)
{
    char buffer[IDENTIFIER_SIZE_MAX + 1];
    for (size_t i = 0; i < snapshot_table_count(snapshot); i++) {
        *schema = table_view_schema(snapshot_table(snapshot, i));
        for (*column = 0; *column < (*schema)->column_count; ++*column)
            if (slice_equal(index_name(*schema, &(*schema)->columns[*column], buffer), name))
                return true;
    }
    return false;
}

static enum err commit_policy(struct ingest *ingest, const struct schema *schema, uint32_t column,
                              enum index_policy policy, struct slice name, uint64_t *position,
                              struct error *error)
{
    struct schema *altered = schema_copy(schema);
    altered->columns[column].index = policy;
    altered->columns[column].index_name = arena_copy(&altered->arena, name);
    altered->index_version++;
    return ingest_commit_altered(ingest, altered, position, error);
}

/* --- CREATE --- */

static enum err at(int32_t position, enum err err, struct error *error)
{
    if (error != NULL)
        error->text_position = position;
    return err;
}

static enum err find_column(const struct schema *schema, const struct ingest_index *index,
                            int32_t *column, struct error *error)
{
    *column = schema_find(schema, index->column);
    if (*column < 0)
        return at(index->column_position,
                  error_set(error, ERR_INPUT, "42703", "column \"%.*s\" does not exist",
                            SLICE_ARGS(index->column)),
                  error);
    struct type type = schema->columns[*column].type;
    if (can_index(type))
        return OK;
    error_set(error, ERR_UNSUPPORTED, "0A000", "an index over a column of type %s is not supported",
              type_name((enum type_id)type.id));
    error_hint(error, "Bitmap indexes are for text, integers, booleans, dates and times; least and "
                      "greatest values of each block are kept of every column.");
    return at(index->column_position, ERR_UNSUPPORTED, error);
}

/* The first free name of the default form, or the one that was asked for. */
static enum err choose_name(struct ingest *ingest, struct snapshot *snapshot,
                            const struct schema *schema, uint32_t column,
                            const struct ingest_index *index, char *buffer, struct slice *name,
                            struct error *error)
{
    for (unsigned number = 0;; number++) {
        const struct schema *owner;
        uint32_t owned;
        *name = index->name.size > 0
                    ? index->name
                    : default_name(schema->name, schema->columns[column].name, number, buffer);
        bool is_taken = snapshot_find(snapshot, *name) != NULL || ingest_is_view(ingest, *name);
        if (!is_taken && find_index(snapshot, *name, &owner, &owned))
            is_taken = owner->table_id != schema->table_id || owned != column;
        if (!is_taken)
            return OK;
        if (index->name.size > 0)
            return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                             SLICE_ARGS(*name));
    }
}

static enum err create_index(struct ingest *ingest, struct snapshot *snapshot,
                             const struct ingest_index *index, uint64_t *position,
                             struct error *error)
{
    const struct table_view *view = snapshot_find(snapshot, index->table);
    if (view == NULL)
        return at(index->table_position, ingest_no_table(index->table, error), error);
    const struct schema *schema = table_view_schema(view);
    int32_t column;
    char buffer[IDENTIFIER_SIZE_MAX + 1];
    enum err err = find_column(schema, index, &column, error);
    if (err != OK)
        return err;
    const struct column_definition *definition = &schema->columns[column];
    struct slice has = index_name(schema, definition, buffer);
    if (definition->index == INDEX_ON) {
        bool is_same = index->name.size == 0 || slice_equal(has, index->name);
        if (is_same && index->if_not_exists)
            return OK;
        error_set(error, ERR_EXISTS, "42P07",
                  "column \"%.*s\" of relation \"%.*s\" has the index \"%.*s\" already",
                  SLICE_ARGS(definition->name), SLICE_ARGS(schema->name), SLICE_ARGS(has));
        return at(index->column_position, ERR_EXISTS, error);
    }
    struct slice name;
    err = choose_name(ingest, snapshot, schema, (uint32_t)column, index, buffer, &name, error);
    if (err != OK && index->if_not_exists)
        return OK; /* something of that name is there, as PostgreSQL puts it */
    if (err != OK)
        return err;
    return commit_policy(ingest, schema, (uint32_t)column, INDEX_ON, name, position, error);
}

enum err ingest_create_index(struct ingest *ingest, const struct ingest_index *index,
                             uint64_t *position, struct error *error)
{
    *position = 0;
    mutex_lock(&ingest->ddl);
    struct snapshot *snapshot = snapshot_open(ingest->store);
    enum err err = create_index(ingest, snapshot, index, position, error);
    snapshot_close(snapshot);
    mutex_unlock(&ingest->ddl);
    return err;
}

bool ingest_is_index(struct ingest *ingest, struct slice name)
{
    const struct schema *schema;
    uint32_t column;
    struct snapshot *snapshot = snapshot_open(ingest->store);
    bool is_index =
        find_index(snapshot, name, &schema, &column) && schema->columns[column].index == INDEX_ON;
    snapshot_close(snapshot);
    return is_index;
}

/* --- DROP --- */

static enum err no_index(struct snapshot *snapshot, struct slice name, struct error *error)
{
    if (snapshot_find(snapshot, name) != NULL)
        return error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not an index", SLICE_ARGS(name));
    error_set(error, ERR_INPUT, "42704", "index \"%.*s\" does not exist", SLICE_ARGS(name));
    error_hint(error, "An index that was not named is <table>_<column>_idx.");
    return ERR_INPUT;
}

static enum err drop_index(struct ingest *ingest, struct slice name, bool if_exists, bool is_check,
                           uint64_t *position, struct error *error)
{
    const struct schema *schema;
    uint32_t column;
    struct snapshot *snapshot = snapshot_open(ingest->store);
    bool is_found = find_index(snapshot, name, &schema, &column);
    enum err err = OK;
    if (!is_found && (!if_exists || snapshot_find(snapshot, name) != NULL))
        err = no_index(snapshot, name, error);
    else if (is_found && !is_check)
        err = commit_policy(ingest, schema, column, INDEX_OFF, slice_of(NULL, 0), position, error);
    snapshot_close(snapshot);
    return err;
}

enum err ingest_drop_indexes(struct ingest *ingest, const struct slice *names, size_t count,
                             bool if_exists, uint64_t *position, struct error *error)
{
    *position = 0;
    enum err err = OK;
    mutex_lock(&ingest->ddl);
    for (size_t i = 0; i < count && err == OK; i++) /* all names, before the first is written */
        err = drop_index(ingest, names[i], if_exists, true, position, error);
    for (size_t i = 0; i < count && err == OK; i++) /* one may be named twice */
        err = drop_index(ingest, names[i], true, false, position, error);
    mutex_unlock(&ingest->ddl);
    return err;
}

/* --- RENAME --- */

/* An index that stands by rule is the user's from then on. What is sealed has no names in it. */
static enum err rename_found(struct ingest *ingest, const struct schema *schema, uint32_t column,
                             struct slice name, uint64_t *position, struct error *error)
{
    struct schema *altered = schema_copy(schema);
    altered->columns[column].index = INDEX_ON;
    altered->columns[column].index_name = arena_copy(&altered->arena, name);
    return ingest_commit_altered(ingest, altered, position, error);
}

enum err index_rename(struct ingest *ingest, const struct ingest_rename *rename, uint64_t *position,
                      struct error *error)
{
    const struct schema *schema, *other;
    uint32_t column, other_column;
    struct snapshot *snapshot = snapshot_open(ingest->store);
    bool is_found = find_index(snapshot, rename->name, &schema, &column);
    bool is_taken = snapshot_find(snapshot, rename->new_name) != NULL ||
                    ingest_is_view(ingest, rename->new_name) ||
                    find_index(snapshot, rename->new_name, &other, &other_column);
    enum err err = OK;
    if (!is_found && (!rename->if_exists || snapshot_find(snapshot, rename->name) != NULL))
        err = no_index(snapshot, rename->name, error);
    else if (is_found && is_taken)
        err = error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                        SLICE_ARGS(rename->new_name));
    else if (is_found)
        err = rename_found(ingest, schema, column, rename->new_name, position, error);
    snapshot_close(snapshot);
    return err;
}
