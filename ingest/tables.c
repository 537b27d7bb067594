/* DDL: each statement one record, durable when it returns; one at a time, so that what it checked
 * still holds when it is written. Definitions are immutable: every change is a copy under the next
 * version. */
#include "ingest/internal.h"

#include "query/expr/eval.h"
#include "storage/base/clock.h"

#include <assert.h>

static enum err commit_change(struct ingest *ingest, enum change_kind kind, uint32_t table_id,
                              struct schema *schema, uint64_t *position, struct error *error)
{
    struct commit *commit = commit_create(ingest->store);
    commit_set_change(commit, kind, table_id, schema);
    return store_commit(ingest->store, commit, position, error);
}

static size_t table_count(struct ingest *ingest)
{
    struct snapshot *snapshot = snapshot_open(ingest->store);
    size_t count = snapshot_table_count(snapshot);
    snapshot_close(snapshot);
    return count;
}

/* --- CREATE --- */

static struct column_definition define_column(struct schema *schema,
                                              const struct ingest_column *column)
{
    return (struct column_definition){
        .id = schema->next_column_id++,
        .name = arena_copy(&schema->arena, column->name),
        .type = column->type,
        .is_not_null = column->is_not_null,
        .default_text = arena_copy(&schema->arena, column->default_text),
        .missing = {.type = column->type, .is_null = true},
    };
}

static enum err build_schema(struct ingest *ingest, const struct ingest_table *table,
                             struct schema **out, struct error *error)
{
    if (table->column_count > SCHEMA_COLUMNS_MAX)
        return error_set(error, ERR_INPUT, "54011", "tables can have at most %d columns",
                         SCHEMA_COLUMNS_MAX);
    struct schema *schema = schema_create();
    schema->table_id = store_next_table_id(ingest->store);
    schema->version = 1;
    schema->name = arena_copy(&schema->arena, table->name);
    schema->created_at_us = clock_wall_us();
    schema->columns =
        arena_alloc_zero(&schema->arena, table->column_count * sizeof(*schema->columns));
    for (size_t i = 0; i < table->column_count; i++)
        schema->columns[i] = define_column(schema, &table->columns[i]);
    schema->column_count = (uint32_t)table->column_count;
    enum err err = schema_validate(schema, error);
    if (err == OK)
        err = options_apply(schema, table->options, table->option_count, error);
    if (err == OK)
        err = schema_validate(schema, error);
    struct definition
        *definition; /* made once, so that a DEFAULT that cannot be bound fails here */
    if (err == OK)
        err = definition_create(schema, &ingest->options, &definition, error);
    if (err != OK) {
        schema_unref(schema);
        return err;
    }
    definition_unref(definition);
    *out = schema;
    return OK;
}

/* The table and its rows: one record, so that neither is without the other. */
static enum err commit_create_as(struct ingest *ingest, const struct ingest_table *table,
                                 struct schema *schema, uint64_t *position, struct error *error)
{
    struct definition *definition;
    uint64_t row_count;
    enum err err = definition_create(schema, &ingest->options, &definition, error);
    if (err != OK) {
        schema_unref(schema);
        return err;
    }
    struct commit *commit = commit_create(ingest->store);
    uint32_t *ids = memory_alloc(table->column_count * sizeof(*ids));
    for (size_t i = 0; i < table->column_count; i++)
        ids[i] = schema->columns[i].id;
    err = insert_add(commit, definition, schema, ids, table->batches, table->batch_count,
                     &row_count, error);
    memory_free(ids);
    definition_unref(definition);
    if (err != OK) {
        commit_destroy(commit);
        schema_unref(schema);
        return err;
    }
    commit_set_change(commit, CHANGE_CREATE, schema->table_id, schema);
    return store_commit(ingest->store, commit, position, error);
}

static enum err create_locked(struct ingest *ingest, const struct ingest_table *table,
                              uint64_t *position, struct error *error)
{
    const struct schema *existing = ingest_schema(ingest, table->name);
    if (existing != NULL) {
        schema_unref(existing);
        if (table->if_not_exists)
            return OK;
        return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                         SLICE_ARGS(table->name));
    }
    if (ingest_is_index(ingest, table->name) || ingest_is_view(ingest, table->name)) {
        if (table->if_not_exists)
            return OK;
        return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                         SLICE_ARGS(table->name));
    }
    if (table_count(ingest) >= TABLES_MAX)
        return error_set(error, ERR_LIMIT, "54000", "there are %d tables, the most there may be",
                         TABLES_MAX);
    struct schema *schema = NULL;
    enum err err = build_schema(ingest, table, &schema, error);
    if (err != OK)
        return err;
    if (table->batch_count > 0)
        return commit_create_as(ingest, table, schema, position, error);
    return commit_change(ingest, CHANGE_CREATE, schema->table_id, schema, position, error);
}

enum err ingest_create_table(struct ingest *ingest, const struct ingest_table *table,
                             uint64_t *position, struct error *error)
{
    *position = 0;
    mutex_lock(&ingest->ddl);
    enum err err = create_locked(ingest, table, position, error);
    mutex_unlock(&ingest->ddl);
    return err;
}

/* --- DROP, TRUNCATE --- */

/* A topic would flow into nothing, a view would read nothing: 2BP01. */
static enum err check_dependents(struct ingest *ingest, struct slice name, struct error *error)
{
    enum err err = OK;
    const struct schema *schema = ingest_schema(ingest, name);
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->subscriptions.count && err == OK && schema != NULL; i++) {
        const struct subscription_definition *user = &ingest->subscriptions.list[i]->definition;
        if (user->table_id != schema->table_id)
            continue;
        err = error_set(error, ERR_INPUT, "2BP01",
                        "cannot drop table \"%.*s\": subscription \"%.*s\" flows into it",
                        SLICE_ARGS(name), SLICE_ARGS(user->name));
        if (error != NULL)
            error_hint(error, "DROP SUBSCRIPTION %.*s first", SLICE_ARGS(user->name));
    }
    mutex_unlock(&ingest->lock);
    if (err == OK && schema != NULL)
        err = ingest_check_readers(ingest, schema->table_id, "table", name, error);
    schema_unref(schema);
    return err;
}

/* They may have had these names for a moment only: the statement was looked at before. */
static enum err check_truncate(const struct asker *asker, const struct schema *schema,
                               struct error *error)
{
    uint32_t rights = asker_rights(asker, schema->table_id);
    if (rights == 0)
        return ingest_no_table(schema->name, error);
    if ((rights & RIGHT_TRUNCATE) == 0)
        return error_set(error, ERR_INPUT, "42501", "permission denied for table %.*s",
                         SLICE_ARGS(schema->name));
    return OK;
}

/* One change for each name; all names are checked before the first is written. */
static enum err change_tables(struct ingest *ingest, enum change_kind kind,
                              const struct slice *names, size_t count, bool if_exists,
                              const struct asker *asker, uint64_t *position, struct error *error)
{
    *position = 0;
    enum err err = OK;
    mutex_lock(&ingest->ddl);
    for (size_t i = 0; i < count && err == OK; i++) {
        const struct schema *schema = ingest_schema(ingest, names[i]);
        if (schema == NULL && (!if_exists || ingest_is_view(ingest, names[i])))
            err = ingest_not_a_table(ingest, names[i], error);
        else if (schema != NULL && kind == CHANGE_TRUNCATE)
            err = check_truncate(asker, schema, error);
        schema_unref(schema);
    }
    for (size_t i = 0; i < count && err == OK && kind == CHANGE_DROP; i++)
        err = check_dependents(ingest, names[i], error);
    for (size_t i = 0; i < count && err == OK; i++) {
        const struct schema *schema = ingest_schema(ingest, names[i]);
        if (schema == NULL)
            continue; /* IF EXISTS, or named twice */
        err = commit_change(ingest, kind, schema->table_id, NULL, position, error);
        schema_unref(schema);
    }
    mutex_unlock(&ingest->ddl);
    return err;
}

enum err ingest_drop_tables(struct ingest *ingest, const struct slice *names, size_t count,
                            bool if_exists, uint64_t *position, struct error *error)
{
    return change_tables(ingest, CHANGE_DROP, names, count, if_exists, NULL, position, error);
}

enum err ingest_truncate(struct ingest *ingest, const struct slice *names, size_t count,
                         const struct asker *asker, uint64_t *position, struct error *error)
{
    return change_tables(ingest, CHANGE_TRUNCATE, names, count, false, asker, position, error);
}

/* --- ALTER, COMMENT --- */

enum err ingest_commit_altered(struct ingest *ingest, struct schema *altered, uint64_t *position,
                               struct error *error)
{
    altered->version++;
    enum err err = schema_validate(altered, error);
    struct definition *definition;
    if (err == OK)
        err = definition_create(altered, &ingest->options, &definition, error);
    if (err != OK) {
        schema_unref(altered);
        return err;
    }
    definition_unref(definition);
    return commit_change(ingest, CHANGE_ALTER, altered->table_id, altered, position, error);
}

/* What rows from before the column read as: its DEFAULT, evaluated now. */
static enum err missing_value(const struct ingest_column *column, struct schema *schema,
                              struct value *out, struct error *error)
{
    *out = (struct value){.type = column->type, .is_null = true};
    if (column->default_expr == NULL)
        return OK;
    struct eval_context eval = {.zone = timezone_utc, .now_us = clock_wall_us()};
    enum err err = expr_evaluate_constant(column->default_expr, &eval, &schema->arena, out, error);
    out->type = column->type;
    return err;
}

static enum err add_column(struct ingest *ingest, const struct schema *schema,
                           const struct ingest_column *column, uint64_t *position,
                           struct error *error)
{
    if (schema->column_count == SCHEMA_COLUMNS_MAX)
        return error_set(error, ERR_INPUT, "54011", "tables can have at most %d columns",
                         SCHEMA_COLUMNS_MAX);
    struct schema *altered = schema_copy(schema);
    struct column_definition *columns =
        arena_alloc_array(&altered->arena, altered->column_count + 1u, sizeof(*columns));
    memcpy(columns, altered->columns, altered->column_count * sizeof(*columns));
    struct column_definition *added = &columns[altered->column_count];
    *added = define_column(altered, column);
    enum err err = missing_value(column, altered, &added->missing, error);
    if (err == OK && added->is_not_null && added->missing.is_null)
        err = error_set(error, ERR_INPUT, "23502",
                        "column \"%.*s\" of relation \"%.*s\" is NOT NULL and has no default",
                        SLICE_ARGS(column->name), SLICE_ARGS(schema->name));
    if (err != OK) {
        schema_unref(altered);
        return err;
    }
    altered->columns = columns;
    altered->column_count++;
    return ingest_commit_altered(ingest, altered, position, error);
}

enum err ingest_add_column(struct ingest *ingest, struct slice table,
                           const struct ingest_column *column, bool if_not_exists,
                           uint64_t *position, struct error *error)
{
    *position = 0;
    mutex_lock(&ingest->ddl);
    const struct schema *schema = ingest_schema(ingest, table);
    enum err err = OK;
    if (schema == NULL)
        err = ingest_not_a_table(ingest, table, error);
    else if (schema_find(schema, column->name) < 0)
        err = add_column(ingest, schema, column, position, error);
    else if (!if_not_exists)
        err = error_set(error, ERR_EXISTS, "42701",
                        "column \"%.*s\" of relation \"%.*s\" already exists",
                        SLICE_ARGS(column->name), SLICE_ARGS(table));
    schema_unref(schema);
    mutex_unlock(&ingest->ddl);
    return err;
}

/* Moves an index into columns over the removal of one. */
static int32_t without(int32_t index, int32_t removed)
{
    return index == removed ? -1 : index > removed ? index - 1 : index;
}

static enum err drop_column(struct ingest *ingest, const struct schema *schema, int32_t column,
                            uint64_t *position, struct error *error)
{
    struct slice name = schema->columns[column].name;
    if (schema->column_count == 1)
        return error_set(error, ERR_UNSUPPORTED, "0A000", "a table must keep one column");
    if (column == schema->time_column || column == schema->options.rest_column ||
        column == schema->options.whole_column)
        return error_set(error, ERR_INPUT, "2BP01",
                         "cannot drop column \"%.*s\": an option of the table names it",
                         SLICE_ARGS(name));
    struct schema *altered = schema_copy(schema);
    altered->column_count--;
    memmove(&altered->columns[column], &altered->columns[column + 1],
            (altered->column_count - (uint32_t)column) * sizeof(*altered->columns));
    altered->time_column = without(altered->time_column, column);
    altered->options.rest_column = without(altered->options.rest_column, column);
    altered->options.whole_column = without(altered->options.whole_column, column);
    return ingest_commit_altered(ingest, altered, position, error);
}

enum err ingest_drop_column(struct ingest *ingest, struct slice table, struct slice column,
                            bool if_exists, uint64_t *position, struct error *error)
{
    *position = 0;
    mutex_lock(&ingest->ddl);
    const struct schema *schema = ingest_schema(ingest, table);
    enum err err = OK;
    int32_t index = schema == NULL ? -1 : schema_find(schema, column);
    if (schema == NULL)
        err = ingest_not_a_table(ingest, table, error);
    else if (index >= 0)
        err = ingest_check_readers(ingest, schema->table_id, "a column of table", table, error);
    if (err == OK && index >= 0)
        err = drop_column(ingest, schema, index, position, error);
    else if (err == OK && index < 0 && !if_exists)
        err = error_set(error, ERR_INPUT, "42703",
                        "column \"%.*s\" of relation \"%.*s\" does not exist", SLICE_ARGS(column),
                        SLICE_ARGS(table));
    schema_unref(schema);
    mutex_unlock(&ingest->ddl);
    return err;
}

enum err ingest_comment(struct ingest *ingest, struct slice table, struct slice column,
                        struct slice comment, uint64_t *position, struct error *error)
{
    *position = 0;
    mutex_lock(&ingest->ddl);
    const struct schema *schema = ingest_schema(ingest, table);
    int32_t index = schema == NULL || column.size == 0 ? -1 : schema_find(schema, column);
    enum err err = OK;
    if (schema == NULL) {
        err = ingest_not_a_table(ingest, table, error);
    } else if (column.size > 0 && index < 0) {
        err = error_set(error, ERR_INPUT, "42703",
                        "column \"%.*s\" of relation \"%.*s\" does not exist", SLICE_ARGS(column),
                        SLICE_ARGS(table));
    } else {
        struct schema *altered = schema_copy(schema);
        struct slice copy = arena_copy(&altered->arena, comment);
        *(index >= 0 ? &altered->columns[index].comment : &altered->comment) = copy;
        err = ingest_commit_altered(ingest, altered, position, error);
    }
    schema_unref(schema);
    mutex_unlock(&ingest->ddl);
    return err;
}
