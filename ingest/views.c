/* CREATE VIEW, DROP VIEW: definitions that query has bound become records. What a view reads cannot
 * be dropped before it, and no view comes to read itself: both are decided here, under the lock of
 * DDL, so that no two statements can undo each other's checks. */
#include "ingest/internal.h"

#include <string.h>

/* Changes of queries' plans are seen by this number: it moves with each change of a view. */
uint64_t ingest_view_version(struct ingest *ingest)
{
    return atomic_load_explicit(&ingest->view_version, memory_order_acquire);
}

/* By name, or by id where there is no name. */
static bool copy_view(struct ingest *ingest, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out)
{
    mutex_lock(&ingest->lock);
    const struct view_definition *view =
        name.size > 0 ? views_find(&ingest->views, name) : views_get(&ingest->views, id);
    if (view != NULL)
        view_definition_copy(view, arena, out);
    mutex_unlock(&ingest->lock);
    return view != NULL;
}

bool ingest_find_view(struct ingest *ingest, struct slice name, struct arena *arena,
                      struct view_definition *out)
{
    return name.size > 0 && copy_view(ingest, name, 0, arena, out);
}

bool ingest_get_view(struct ingest *ingest, uint32_t id, struct arena *arena,
                     struct view_definition *out)
{
    return copy_view(ingest, SLICE(""), id, arena, out);
}

size_t ingest_list_views(struct ingest *ingest, struct arena *arena, struct view_definition **out)
{
    mutex_lock(&ingest->lock);
    size_t count = ingest->views.count;
    *out = arena_alloc_array(arena, count + 1, sizeof(**out));
    for (size_t i = 0; i < count; i++)
        view_definition_copy(&ingest->views.list[i]->definition, arena, &(*out)[i]);
    mutex_unlock(&ingest->lock);
    return count;
}

bool ingest_find_endpoint(struct ingest *ingest, struct slice endpoint, struct arena *arena,
                          struct slice *view_name)
{
    mutex_lock(&ingest->lock);
    const struct view_definition *view = views_find_endpoint(&ingest->views, endpoint);
    if (view != NULL)
        *view_name = arena_copy(arena, view->name);
    mutex_unlock(&ingest->lock);
    return view != NULL;
}

bool ingest_is_view(struct ingest *ingest, struct slice name)
{
    mutex_lock(&ingest->lock);
    bool is_view = views_find(&ingest->views, name) != NULL;
    mutex_unlock(&ingest->lock);
    return is_view;
}

enum err ingest_not_a_table(struct ingest *ingest, struct slice name, struct error *error)
{
    if (!ingest_is_view(ingest, name))
        return ingest_no_table(name, error);
    return error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not a table", SLICE_ARGS(name));
}

enum err ingest_check_readers(struct ingest *ingest, uint32_t table_id, const char *what,
                              struct slice name, struct error *error)
{
    enum err err = OK;
    mutex_lock(&ingest->lock);
    const struct view_definition *view = views_reader(&ingest->views, table_id, false);
    if (view != NULL) {
        err = error_set(error, ERR_INPUT, "2BP01",
                        "cannot drop %s \"%.*s\": view \"%.*s\" depends on it", what,
                        SLICE_ARGS(name), SLICE_ARGS(view->name));
        error_hint(error, "DROP %sVIEW %.*s first", view->is_materialized ? "MATERIALIZED " : "",
                   SLICE_ARGS(view->name));
    }
    mutex_unlock(&ingest->lock);
    return err;
}

/* --- CREATE --- */

static const struct schema *find_table(struct snapshot *snapshot, uint32_t id)
{
    for (size_t i = 0; i < snapshot_table_count(snapshot); i++) {
        const struct schema *schema = table_view_schema(snapshot_table(snapshot, i));
        if (schema->table_id == id)
            return schema;
    }
    return NULL;
}

/* What the text names may be gone, or another by now, since it was bound. */
static enum err check_dependencies(struct ingest *ingest, const struct view_definition *view,
                                   struct error *error)
{
    struct snapshot *snapshot = snapshot_open(ingest->store);
    bool is_there = true;
    for (size_t i = 0; i < view->table_count && is_there; i++) {
        const struct schema *schema = find_table(snapshot, view->table_ids[i]);
        is_there = schema != NULL &&
                   (view->table_marks == NULL || view->table_marks[i] == schema->version);
    }
    snapshot_close(snapshot);
    for (size_t i = 0; i < view->view_count && is_there; i++) {
        const struct view_definition *read = views_get(&ingest->views, view->view_ids[i]);
        is_there =
            read != NULL && (view->view_marks == NULL || view->view_marks[i] == view_mark(read));
    }
    if (is_there)
        return OK;
    return error_set(error, ERR_BUSY, "40001",
                     "the tables changed while the view was made; try again");
}

static enum err check_column_type(const struct view_column *old, const struct view_column *new,
                                  struct error *error)
{
    if (type_equal(old->type, new->type))
        return OK;
    struct writer types;
    writer_init(&types);
    type_print(old->type, &types);
    writer_cstr(&types, " to ");
    type_print(new->type, &types);
    enum err err = error_set(error, ERR_INPUT, "42P16",
                             "cannot change data type of view column \"%.*s\" from %.*s",
                             SLICE_ARGS(old->name), SLICE_ARGS(writer_as_slice(&types)));
    writer_deinit(&types);
    return err;
}

/* OR REPLACE: the columns that were there stay, more may follow. */
static enum err check_replacement(const struct view_definition *old,
                                  const struct view_definition *new, struct error *error)
{
    if (new->column_count < old->column_count)
        return error_set(error, ERR_INPUT, "42P16", "cannot drop columns from view");
    for (size_t i = 0; i < old->column_count; i++) {
        if (!slice_equal(old->columns[i].name, new->columns[i].name))
            return error_set(error, ERR_INPUT, "42P16",
                             "cannot change name of view column \"%.*s\" to \"%.*s\"",
                             SLICE_ARGS(old->columns[i].name), SLICE_ARGS(new->columns[i].name));
        enum err err = check_column_type(&old->columns[i], &new->columns[i], error);
        if (err != OK)
            return err;
    }
    return OK;
}

/* Views that read it have found its parameters to agree with theirs, and give them as their own. */
static enum err check_parameters(const struct ingest *ingest, const struct view_definition *old,
                                 const struct view_definition *new, struct error *error)
{
    if (slice_equal(old->parameters, new->parameters))
        return OK;
    for (uint32_t i = 0; i < ingest->views.count; i++) {
        const struct view_definition *reader = &ingest->views.list[i]->definition;
        for (size_t v = 0; v < reader->view_count; v++) {
            if (reader->view_ids[v] != old->id || reader->id == old->id)
                continue;
            error_set(error, ERR_INPUT, "2BP01",
                      "cannot change the parameters of view \"%.*s\": view \"%.*s\" reads it",
                      SLICE_ARGS(old->name), SLICE_ARGS(reader->name));
            error_hint(error, "DROP VIEW %.*s first, and make it again", SLICE_ARGS(reader->name));
            return ERR_INPUT;
        }
    }
    return OK;
}

/* Views and materialized views are not taken for each other. */
static enum err refuse_kind(struct slice name, bool is_materialized, struct error *error)
{
    error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not a %sview", SLICE_ARGS(name),
              is_materialized ? "materialized " : "");
    error_hint(error, "DROP %sVIEW removes it", is_materialized ? "" : "MATERIALIZED ");
    return ERR_INPUT;
}

/* With `lock` held. */
static enum err check_view(struct ingest *ingest, struct view_definition *view, bool is_replace,
                           struct error *error)
{
    const struct view_definition *old = views_find(&ingest->views, view->name);
    view->id = old != NULL ? old->id : ingest->views.next_id;
    if (old != NULL && is_replace && old->is_materialized)
        return refuse_kind(view->name, false, error);
    if (old != NULL && !is_replace)
        return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                         SLICE_ARGS(view->name));
    const struct view_definition *other = views_find_endpoint(&ingest->views, view->endpoint);
    if (other != NULL && other != old)
        return error_set(error, ERR_EXISTS, "42P07",
                         "endpoint \"%.*s\" already exists: it is that of view \"%.*s\"",
                         SLICE_ARGS(view->endpoint), SLICE_ARGS(other->name));
    if (old == NULL && ingest->views.count >= VIEWS_MAX)
        return error_set(error, ERR_LIMIT, "54000", "there are %d views, the most there may be",
                         VIEWS_MAX);
    enum err err = check_dependencies(ingest, view, error);
    if (err == OK && old != NULL)
        err = check_replacement(old, view, error);
    if (err == OK && old != NULL)
        err = check_parameters(ingest, old, view, error);
    if (err == OK && old != NULL &&
        views_reach(&ingest->views, view->view_ids, view->view_count, view->id))
        err = error_set(error, ERR_INPUT, "42P17",
                        "infinite recursion detected in rules for relation \"%.*s\"",
                        SLICE_ARGS(view->name));
    return err;
}

static enum err check_name(struct ingest *ingest, struct slice name, bool is_replace,
                           struct error *error)
{
    const struct schema *schema = ingest_schema(ingest, name);
    bool is_taken = schema != NULL || ingest_is_index(ingest, name);
    schema_unref(schema);
    if (is_taken && is_replace)
        return error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not a view", SLICE_ARGS(name));
    if (is_taken)
        return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                         SLICE_ARGS(name));
    return OK;
}

enum err ingest_create_view(struct ingest *ingest, const struct view_definition *view,
                            enum view_making making, uint64_t *position, struct error *error)
{
    struct view_definition made = *view;
    bool is_replace = making == VIEW_OR_REPLACE;
    *position = 0;
    mutex_lock(&ingest->ddl);
    enum err err = check_name(ingest, view->name, is_replace, error);
    bool is_there = making == VIEW_IF_NOT_EXISTS &&
                    (err == ERR_EXISTS || (err == OK && ingest_is_view(ingest, view->name)));
    if (is_there)
        err = OK;
    if (err == OK && !is_there) {
        mutex_lock(&ingest->lock);
        err = check_view(ingest, &made, is_replace, error);
        mutex_unlock(&ingest->lock);
    }
    if (err == OK && !is_there) {
        struct writer section;
        writer_init(&section);
        view_write_put(&section, &made);
        struct commit *commit = commit_create(ingest->store);
        commit_add_section(commit, SECTION_VIEW, writer_as_slice(&section));
        writer_deinit(&section);
        err = store_commit(ingest->store, commit, position, error);
    }
    mutex_unlock(&ingest->ddl);
    return err;
}

/* --- DROP --- */

static bool is_named(const struct slice *names, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(names[i], name))
            return true;
    return false;
}

/* Who reads it must be named too. With `lock` held. */
static enum err check_drop(struct ingest *ingest, const struct view_definition *view,
                           const struct slice *names, size_t count, struct error *error)
{
    for (uint32_t i = 0; i < ingest->views.count; i++) {
        const struct view_definition *reader = &ingest->views.list[i]->definition;
        bool is_reader = false;
        for (size_t v = 0; v < reader->view_count; v++)
            is_reader = is_reader || reader->view_ids[v] == view->id;
        if (!is_reader || is_named(names, count, reader->name))
            continue;
        error_set(error, ERR_INPUT, "2BP01",
                  "cannot drop view \"%.*s\": view \"%.*s\" depends on it", SLICE_ARGS(view->name),
                  SLICE_ARGS(reader->name));
        error_hint(error, "DROP %sVIEW %.*s first", reader->is_materialized ? "MATERIALIZED " : "",
                   SLICE_ARGS(reader->name));
        return ERR_INPUT;
    }
    return OK;
}

/* One section for each view, all in one record. */
static enum err add_drops(struct ingest *ingest, const struct slice *names, size_t count,
                          bool is_materialized, bool if_exists, struct commit *commit,
                          size_t *dropped, struct error *error)
{
    enum err err = OK;
    mutex_lock(&ingest->lock);
    for (size_t i = 0; i < count && err == OK; i++) {
        const struct view_definition *view = views_find(&ingest->views, names[i]);
        if (view == NULL && !if_exists)
            err = error_set(error, ERR_INPUT, "42P01", "%sview \"%.*s\" does not exist",
                            is_materialized ? "materialized " : "", SLICE_ARGS(names[i]));
        if (view == NULL)
            continue;
        if (view->is_materialized != is_materialized) {
            err = refuse_kind(names[i], is_materialized, error);
            break;
        }
        err = check_drop(ingest, view, names, count, error);
        struct writer section;
        writer_init(&section);
        view_write_drop(&section, view->id);
        commit_add_section(commit, SECTION_VIEW, writer_as_slice(&section));
        writer_deinit(&section);
        ++*dropped;
    }
    mutex_unlock(&ingest->lock);
    return err;
}

enum err ingest_drop_views(struct ingest *ingest, const struct slice *names, size_t count,
                           bool is_materialized, bool if_exists, uint64_t *position,
                           struct error *error)
{
    enum err err = OK;
    size_t dropped = 0;
    *position = 0;
    mutex_lock(&ingest->ddl);
    for (size_t i = 0; i < count && err == OK; i++) {
        const struct schema *schema = ingest_schema(ingest, names[i]);
        if (schema != NULL)
            err = error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not a view",
                            SLICE_ARGS(names[i]));
        schema_unref(schema);
    }
    struct commit *commit = commit_create(ingest->store);
    if (err == OK)
        err = add_drops(ingest, names, count, is_materialized, if_exists, commit, &dropped, error);
    if (err == OK && dropped > 0)
        err = store_commit(ingest->store, commit, position, error);
    else
        commit_destroy(commit);
    mutex_unlock(&ingest->ddl);
    return err;
}

/* --- freshet.views --- */

static const struct provider_column columns[] = {
    {"view_name", {.id = TYPE_TEXT}},  {"definition", {.id = TYPE_TEXT}},
    {"columns", {.id = TYPE_TEXT}},    {"endpoint", {.id = TYPE_TEXT}},
    {"parameters", {.id = TYPE_TEXT}},
};

static void add_view(const struct view_definition *view, struct provider_scan *scan)
{
    struct writer list;
    writer_init(&list);
    for (size_t c = 0; c < view->column_count; c++) {
        writer_cstr(&list, c == 0 ? "" : ", ");
        writer_slice(&list, view->columns[c].name);
        writer_u8(&list, ' ');
        type_print(view->columns[c].type, &list);
    }
    provider_text(scan, 0, view->name);
    provider_text(scan, 1, view->text);
    provider_text(scan, 2, writer_as_slice(&list));
    if (view->endpoint.size > 0)
        provider_text(scan, 3, view->endpoint);
    else
        provider_null(scan, 3);
    provider_text(scan, 4, view->parameters);
    writer_deinit(&list);
}

static enum err scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)error;
    struct ingest *ingest = context;
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->views.count; i++) {
        struct view_definition view = ingest->views.list[i]->definition;
        if (view_trim(scan->asker, &view))
            add_view(&view, scan);
    }
    mutex_unlock(&ingest->lock);
    return OK;
}

void views_init_provider(struct ingest *ingest, struct table_provider *out)
{
    *out = (struct table_provider){.schema_name = "freshet",
                                   .name = "views",
                                   .column_count = array_count(columns),
                                   .columns = columns,
                                   .context = ingest,
                                   .scan = scan,
                                   .sight = SIGHT_CHOSEN};
}
