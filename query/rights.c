/* What the asker of a run may see and do.
 *
 * What may not be seen does not exist: names are looked up in a snapshot that lacks it, and so do
 * the catalogues and system tables. Views read with the rights of their owner, an admin, as in
 * PostgreSQL: their text is bound against the whole, and whoever may read the view reads through
 * it. Rights on what a statement names itself are looked at where it is bound (query/sql). */
#include "query/run.h"

#include "storage/base/hash.h"

#include <string.h>

struct slice rights_mark(const struct asker *asker, struct arena *arena)
{
    if (asker_is_admin(asker))
        return SLICE("");
    size_t size = asker->grant_count * sizeof(*asker->grants);
    uint64_t parts[3] = {asker->rights, hash64_seed(asker->grants, size, 1),
                         hash64_seed(asker->grants, size, 2)};
    return arena_copy(arena, slice_of(parts, sizeof(parts)));
}

struct snapshot *run_snapshot(struct run *run)
{
    struct snapshot *held = run->request->snapshot;
    return held != NULL ? snapshot_ref(held) : snapshot_open(run->engine->options.store);
}

static bool is_seen(const void *context, uint32_t table_id)
{
    return asker_rights(context, table_id) != 0;
}

struct snapshot *run_seen(const struct run *run, struct snapshot *whole)
{
    const struct asker *asker = run->request->asker;
    return asker_is_restricted(asker) ? snapshot_restrict(whole, is_seen, asker)
                                      : snapshot_ref(whole);
}

const struct asker *asker_copy(const struct asker *asker, struct arena *arena)
{
    struct asker *copy = arena_alloc(arena, sizeof(*copy));
    size_t size = asker->grant_count * sizeof(*asker->grants);
    struct table_right *grants = arena_alloc(arena, size);
    if (size > 0)
        memcpy(grants, asker->grants, size);
    *copy = *asker;
    copy->name = arena_copy(arena, asker->name);
    copy->grants = grants;
    return copy;
}

/* Whether all that a view's text names is seen. */
static bool is_text_seen(const struct asker *asker, const struct view_definition *view)
{
    for (size_t i = 0; i < view->table_count; i++)
        if (asker_rights(asker, view->table_ids[i]) == 0)
            return false;
    for (size_t i = 0; i < view->view_count; i++)
        if (asker_rights(asker, view->view_ids[i] | RIGHT_VIEW) == 0)
            return false;
    return true;
}

bool view_trim(const struct asker *asker, struct view_definition *view)
{
    if (asker_rights(asker, view->id | RIGHT_VIEW) == 0)
        return false;
    if (!is_text_seen(asker, view))
        view->text = SLICE("");
    return true;
}

bool run_find_seen_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                        struct view_definition *out)
{
    const struct run *run = context;
    const struct query_engine_options *options = &run->engine->options;
    return options->find_view != NULL &&
           options->find_view(options->context, name, id, arena, out) &&
           view_trim(run->request->asker, out);
}

/* Functions ask for them row by row: read once a run. */
size_t run_list_roles(void *context, struct arena *arena, struct role_entry **out)
{
    struct run *run = context;
    const struct query_engine_options *options = &run->engine->options;
    (void)arena;
    if (!run->has_roles && options->list_roles != NULL)
        run->role_count =
            options->list_roles(options->context, run->request->asker, &run->arena, &run->roles);
    run->has_roles = true;
    *out = run->roles;
    return run->role_count;
}

size_t rights_list_seen(const struct asker *asker, const struct statement *statement, uint32_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < statement->table_count; i++) {
        uint32_t table_id = statement->tables[i].schema->table_id;
        if (asker_rights(asker, table_id) != 0)
            out[count++] = table_id;
    }
    return count;
}

/* TRUNCATE of tables that one may empty. */
static enum err check_truncate(struct run *run, const struct command *command, struct error *error)
{
    for (size_t i = 0; i < command->table_count; i++) {
        struct slice name = command->tables[i];
        const struct table_view *view = snapshot_find(run->seen, name);
        struct view_definition found;
        if (view == NULL && run_find_seen_view(run, name, 0, &run->arena, &found))
            return error_set(error, ERR_INPUT, "42809", "\"%.*s\" is not a table",
                             SLICE_ARGS(name));
        if (view == NULL)
            return error_set(error, ERR_INPUT, "42P01", "relation \"%.*s\" does not exist",
                             SLICE_ARGS(name));
        uint32_t table_id = table_view_schema(view)->table_id;
        if ((asker_rights(run->request->asker, table_id) & RIGHT_TRUNCATE) == 0)
            return error_set(error, ERR_INPUT, "42501", "permission denied for table %.*s",
                             SLICE_ARGS(name));
    }
    return OK;
}

/* Nobody drops themselves. */
static enum err check_drop(const struct asker *asker, const struct statement *statement,
                           struct error *error)
{
    if (asker == NULL || statement->kind != STATEMENT_COMMAND ||
        statement->command->kind != COMMAND_DROP_ROLE)
        return OK;
    const struct command_role *role = &statement->command->role;
    for (size_t i = 0; i < role->name_count; i++)
        if (slice_equal(role->names[i], asker->name))
            return error_set(error, ERR_INPUT, "55006", "current user cannot be dropped");
    return OK;
}

/* Rights on the tables that a statement names were looked at when it was bound; what is left are
 * statements that change what there is, and plans that would show what stands behind a view. */
enum err run_check_rights(struct run *run, struct error *error)
{
    const struct asker *asker = run->request->asker;
    const struct statement *statement = run->statement;
    if (asker_is_admin(asker))
        return check_drop(asker, statement, error);
    if (statement->kind == STATEMENT_EXPLAIN)
        for (size_t i = 0; i < statement->table_count; i++)
            if (asker_rights(asker, statement->tables[i].schema->table_id) == 0)
                return error_set(error, ERR_INPUT, "42501",
                                 "permission denied to explain a view of other tables");
    if (statement->kind != STATEMENT_COMMAND)
        return OK;
    switch (statement->command->kind) {
    case COMMAND_SET:
    case COMMAND_SESSION:
    case COMMAND_INSERT:
    case COMMAND_COPY:
        return OK;
    case COMMAND_TRUNCATE:
        return check_truncate(run, statement->command, error);
    default:
        return error_set(error, ERR_INPUT, "42501", "permission denied: %s is for admins",
                         statement->command_tag);
    }
}
