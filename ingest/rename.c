/* ALTER TABLE, ALTER VIEW and ALTER INDEX … RENAME: a record with the definition under its new
 * name.
 *
 * Rows, chunks, files, positions and indexes go by ids, so nothing else is written, and what was
 * decoded under the old name is stored all the same. Views go by ids too: they keep the names that
 * their text has for what it reads (query/sql/bind_view.c). The names of columns stand in more
 * texts: a table's map and options are written anew; a view that reads the table, a subscription
 * whose map names the column, or an order that is only recorded refuse it. */
#include "ingest/internal.h"

#include "storage/base/json.h"

#include <string.h>

/* Tables, views and indexes have one set of names. */
static enum err check_free(struct ingest *ingest, struct slice name, struct error *error)
{
    const struct schema *schema = ingest_schema(ingest, name);
    bool is_taken = schema != NULL || ingest_is_index(ingest, name) || ingest_is_view(ingest, name);
    schema_unref(schema);
    return is_taken ? error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                                SLICE_ARGS(name))
                    : OK;
}

/* --- tables --- */

/* A view names columns as its text has them; tables too if it was made before views kept names. */
static enum err check_readers(struct ingest *ingest, uint32_t table_id, bool is_column,
                              struct slice name, struct error *error)
{
    enum err err = OK;
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->views.count && err == OK; i++) {
        const struct view_definition *view = &ingest->views.list[i]->definition;
        for (size_t t = 0; t < view->table_count && err == OK; t++)
            if (view->table_ids[t] == table_id && (is_column || view->table_names[t].size == 0))
                err = error_set(error, ERR_INPUT, "2BP01",
                                "cannot rename %s \"%.*s\": view \"%.*s\" depends on it",
                                is_column ? "column" : "table", SLICE_ARGS(name),
                                SLICE_ARGS(view->name));
    }
    mutex_unlock(&ingest->lock);
    return err;
}

static enum err rename_table(struct ingest *ingest, const struct schema *schema,
                             const struct ingest_rename *rename, uint64_t *position,
                             struct error *error)
{
    enum err err = check_free(ingest, rename->new_name, error);
    if (err == OK)
        err = check_readers(ingest, schema->table_id, false, schema->name, error);
    if (err != OK)
        return err;
    struct schema *altered = schema_copy(schema);
    altered->name = arena_copy(&altered->arena, rename->new_name);
    return ingest_commit_altered(ingest, altered, position, error);
}

/* --- columns --- */

static void write_member(struct writer *out, size_t index, struct slice key, struct slice value)
{
    writer_cstr(out, index > 0 ? "," : "");
    json_write_string(out, key);
    writer_u8(out, ':');
    writer_slice(out, value);
}

/* A map with one key renamed; values keep their source. */
static struct slice rename_key(struct slice map, struct slice from, struct slice to,
                               struct arena *arena)
{
    struct json_value *object;
    struct writer out;
    if (map.size == 0 || json_parse(map, arena, 16, &object, NULL) != OK)
        return map;
    writer_init(&out);
    writer_u8(&out, '{');
    size_t index = 0;
    for (const struct json_value *at = object->child; at != NULL; at = at->next) {
        struct writer value;
        writer_init(&value);
        json_write_string(&value, at->text);
        write_member(&out, index++, slice_equal(at->key, from) ? to : at->key,
                     writer_as_slice(&value));
        writer_deinit(&value);
    }
    writer_u8(&out, '}');
    struct slice copy = arena_copy(arena, writer_as_slice(&out));
    writer_deinit(&out);
    return copy;
}

static bool names_key(struct slice map, struct slice column)
{
    struct arena arena;
    struct json_value *object;
    arena_init(&arena);
    bool is_named = map.size > 0 && json_parse(map, &arena, 16, &object, NULL) == OK &&
                    json_get_slice(object, column) != NULL;
    arena_deinit(&arena);
    return is_named;
}

static bool is_one_of(struct slice key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal_ignore_case(key, slice_from_cstr(names[i])))
            return true;
    return false;
}

static bool is_ordered_by(struct slice list, struct slice column)
{
    struct slice name, direction;
    while (options_next_order(&list, &name, &direction))
        if (slice_equal(name, column))
            return true;
    return false;
}

/* The options as given, with the column's new name. False: the list of order_by names it. */
static bool rename_in_options(struct schema *schema, struct slice from, struct slice to)
{
    static const char *const columns[] = {"time", "rest", "whole", "version"};
    struct json_value *object;
    struct writer out;
    struct arena *arena = &schema->arena;
    if (schema->options.text.size == 0 ||
        json_parse(schema->options.text, arena, 16, &object, NULL) != OK)
        return true;
    writer_init(&out);
    writer_u8(&out, '{');
    size_t index = 0;
    bool is_good = true;
    for (const struct json_value *at = object->child; at != NULL; at = at->next) {
        struct slice value = at->text;
        struct writer quoted;
        if (is_one_of(at->key, columns, array_count(columns)) && slice_equal(value, from))
            value = to;
        else if (slice_equal_ignore_case(at->key, SLICE("map")))
            value = rename_key(value, from, to, arena);
        else if (slice_equal_ignore_case(at->key, SLICE("order_by")))
            is_good = is_good && !is_ordered_by(value, from);
        writer_init(&quoted);
        json_write_string(&quoted, value);
        write_member(&out, index++, at->key, writer_as_slice(&quoted));
        writer_deinit(&quoted);
    }
    writer_u8(&out, '}');
    schema->options.text = arena_copy(arena, writer_as_slice(&out));
    writer_deinit(&out);
    return is_good;
}

static enum err check_maps(struct ingest *ingest, const struct schema *schema, struct slice column,
                           struct error *error)
{
    enum err err = OK;
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->subscriptions.count && err == OK; i++) {
        const struct subscription_definition *user = &ingest->subscriptions.list[i]->definition;
        if (user->table_id == schema->table_id && names_key(user->map, column))
            err = error_set(error, ERR_INPUT, "2BP01",
                            "cannot rename column \"%.*s\": the map of subscription \"%.*s\" names "
                            "it",
                            SLICE_ARGS(column), SLICE_ARGS(user->name));
    }
    mutex_unlock(&ingest->lock);
    return err;
}

static enum err rename_column(struct ingest *ingest, const struct schema *schema,
                              const struct ingest_rename *rename, uint64_t *position,
                              struct error *error)
{
    struct slice column = rename->column;
    int32_t index = schema_find(schema, column);
    if (index < 0)
        return error_set(error, ERR_INPUT, "42703", "column \"%.*s\" does not exist",
                         SLICE_ARGS(column));
    if (schema_find(schema, rename->new_name) >= 0)
        return error_set(error, ERR_EXISTS, "42701",
                         "column \"%.*s\" of relation \"%.*s\" already exists",
                         SLICE_ARGS(rename->new_name), SLICE_ARGS(schema->name));
    enum err err = check_readers(ingest, schema->table_id, true, column, error);
    if (err == OK)
        err = check_maps(ingest, schema, column, error);
    if (err != OK)
        return err;
    struct schema *altered = schema_copy(schema);
    struct slice name = arena_copy(&altered->arena, rename->new_name);
    if (!rename_in_options(altered, column, name)) {
        schema_unref(altered);
        return error_set(error, ERR_INPUT, "2BP01",
                         "cannot rename column \"%.*s\": order_by of the table names it",
                         SLICE_ARGS(column));
    }
    altered->options.map = rename_key(altered->options.map, column, name, &altered->arena);
    altered->columns[index].name = name;
    return ingest_commit_altered(ingest, altered, position, error);
}

/* --- views --- */

/* Their readers know them by id, if they were made when views kept names, but name their columns.
 * With `lock` held. */
static enum err check_view_readers(struct ingest *ingest, const struct view_definition *view,
                                   bool is_column, struct error *error)
{
    for (uint32_t i = 0; i < ingest->views.count; i++) {
        const struct view_definition *reader = &ingest->views.list[i]->definition;
        for (size_t v = 0; v < reader->view_count; v++)
            if (reader->view_ids[v] == view->id && (is_column || reader->view_names[v].size == 0))
                return error_set(error, ERR_INPUT, "2BP01",
                                 "cannot rename %sview \"%.*s\": view \"%.*s\" depends on it",
                                 is_column ? "a column of " : "", SLICE_ARGS(view->name),
                                 SLICE_ARGS(reader->name));
    }
    return OK;
}

static const struct view_column *find_view_column(const struct view_definition *view,
                                                  struct slice name)
{
    for (size_t i = 0; i < view->column_count; i++)
        if (slice_equal(view->columns[i].name, name))
            return &view->columns[i];
    return NULL;
}

/* The text is as it was: what it gives under one name is shown under another. */
static enum err put_renamed_column(struct ingest *ingest, const struct view_definition *view,
                                   const struct ingest_rename *rename, struct writer *section,
                                   struct error *error)
{
    const struct view_column *column = find_view_column(view, rename->column);
    if (column == NULL)
        return error_set(error, ERR_INPUT, "42703", "column \"%.*s\" does not exist",
                         SLICE_ARGS(rename->column));
    if (find_view_column(view, rename->new_name) != NULL)
        return error_set(error, ERR_EXISTS, "42701",
                         "column \"%.*s\" of relation \"%.*s\" already exists",
                         SLICE_ARGS(rename->new_name), SLICE_ARGS(view->name));
    enum err err = check_view_readers(ingest, view, true, error);
    if (err != OK)
        return err;
    struct view_definition renamed = *view;
    size_t size = view->column_count * sizeof(*view->columns);
    renamed.columns = memory_alloc(size);
    memcpy(renamed.columns, view->columns, size);
    renamed.columns[column - view->columns].name = rename->new_name;
    view_write_put(section, &renamed);
    memory_free(renamed.columns);
    return OK;
}

static enum err rename_view(struct ingest *ingest, const struct ingest_rename *rename,
                            uint64_t *position, struct error *error)
{
    bool is_column = rename->column.size > 0;
    enum err err = is_column ? OK : check_free(ingest, rename->new_name, error);
    if (err != OK)
        return err;
    struct writer section;
    writer_init(&section);
    mutex_lock(&ingest->lock);
    const struct view_definition *view = views_find(&ingest->views, rename->name);
    struct view_definition renamed = *view; /* there: `ddl` is held */
    renamed.name = rename->new_name;
    err = is_column ? put_renamed_column(ingest, view, rename, &section, error)
                    : check_view_readers(ingest, view, false, error);
    if (!is_column)
        view_write_put(&section, &renamed);
    mutex_unlock(&ingest->lock);
    if (err == OK) {
        struct commit *commit = commit_create(ingest->store);
        commit_add_section(commit, SECTION_VIEW, writer_as_slice(&section));
        err = store_commit(ingest->store, commit, position, error);
    }
    writer_deinit(&section);
    return err;
}

/* --- all --- */

static enum err rename_locked(struct ingest *ingest, const struct ingest_rename *rename,
                              uint64_t *position, struct error *error)
{
    if (rename->is_index)
        return index_rename(ingest, rename, position, error);
    if (ingest_is_view(ingest, rename->name))
        return rename_view(ingest, rename, position, error);
    const struct schema *schema = ingest_schema(ingest, rename->name);
    enum err err = OK;
    if (schema == NULL)
        err = rename->if_exists ? OK : ingest_not_a_table(ingest, rename->name, error);
    else if (rename->is_view)
        err = error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not a view",
                        SLICE_ARGS(rename->name));
    else if (rename->column.size > 0)
        err = rename_column(ingest, schema, rename, position, error);
    else
        err = rename_table(ingest, schema, rename, position, error);
    schema_unref(schema);
    return err;
}

enum err ingest_rename(struct ingest *ingest, const struct ingest_rename *rename,
                       uint64_t *position, struct error *error)
{
    *position = 0;
    mutex_lock(&ingest->ddl);
    enum err err = rename_locked(ingest, rename, position, error);
    mutex_unlock(&ingest->ddl);
    return err;
}
