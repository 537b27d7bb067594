/* Statements about roles and rights, carried over to the access control.
 *
 * Rights stand on the numbers of tables and views: a table that is renamed keeps them, one that is
 * dropped and made anew has none, and the next GRANT or REVOKE leaves out what stood on the old
 * one. */
#include "server/api/api.h"

#include "server/access/crypto.h"
#include "server/app.h"

#include <stdlib.h>

struct role_change {
    struct app *app;
    const struct command *command;
    const struct verifier *verifier;
};

/* --- changes of the set, under its lock --- */

static enum err find_role(const struct role_set *set, struct slice name, struct role **out,
                          struct error *error)
{
    *out = role_set_find(set, name);
    return *out != NULL ? OK
                        : error_set(error, ERR_NOT_FOUND, "42704", "role \"%.*s\" does not exist",
                                    (int)(name.size < 100 ? name.size : 100), name.data);
}

static void set_options(const struct role_change *change, struct role *role)
{
    const struct command_role *wanted = &change->command->role;
    enum role_kind kind = role->kind;
    if (wanted->kind.size > 0)
        (void)role_kind_parse(wanted->kind, &kind);
    if (kind != ROLE_PLAIN || role->kind == ROLE_ADMIN) /* NOSUPERUSER takes but that */
        role->kind = kind;
    if (wanted->has_login)
        role->cannot_log_in = !wanted->can_log_in;
    if (!wanted->has_password)
        return;
    role->has_verifier = change->verifier != NULL;
    role->verifier = role->has_verifier ? *change->verifier : (struct verifier){0};
}

static bool is_usable_admin(const struct role *role)
{
    return role->kind == ROLE_ADMIN && !role->cannot_log_in &&
           (role->has_verifier || role->token_count > 0);
}

/* A store that nobody could administer any more can only be mended on the command line. */
static enum err check_admin_left(const struct role_set *set, struct error *error)
{
    for (size_t i = 0; i < set->count; i++)
        if (is_usable_admin(&set->roles[i]))
            return OK;
    if (set->last_id == 0) /* there never was one */
        return OK;
    return error_set(error, ERR_INPUT, "55006", "no admin would be left who can log in");
}

static enum err create_role(void *context, struct role_set *set, struct error *error)
{
    const struct role_change *change = context;
    struct role *role;
    enum err result = role_set_add(set, change->command->role.names[0], &role, error);
    if (result != OK)
        return result;
    set_options(change, role);
    if (set->count == 1 && !is_usable_admin(role)) {
        result =
            error_set(error, ERR_INPUT, "42501", "the first role must be an admin who can log in");
        error_hint(error, "With users nobody else may do anything: "
                          "CREATE USER … PASSWORD '…' IN ROLE admin.");
    }
    return result;
}

static enum err alter_role(void *context, struct role_set *set, struct error *error)
{
    const struct role_change *change = context;
    struct role *role;
    enum err result = find_role(set, change->command->role.names[0], &role, error);
    if (result != OK)
        return result;
    set_options(change, role);
    return check_admin_left(set, error);
}

static enum err drop_roles(void *context, struct role_set *set, struct error *error)
{
    const struct role_change *change = context;
    const struct command *command = change->command;
    for (size_t i = 0; i < command->role.name_count; i++) {
        struct role *role;
        enum err result = find_role(set, command->role.names[i], &role, error);
        if (result == OK)
            role_set_remove(set, role);
        else if (!command->if_exists)
            return result;
    }
    return check_admin_left(set, error);
}

static enum err grant_kind(void *context, struct role_set *set, struct error *error)
{
    const struct role_change *change = context;
    const struct command_role *wanted = &change->command->role;
    enum role_kind kind = ROLE_PLAIN;
    (void)role_kind_parse(wanted->kind, &kind);
    for (size_t i = 0; i < wanted->name_count; i++) {
        struct role *role;
        enum err result = find_role(set, wanted->names[i], &role, error);
        if (result != OK)
            return result;
        if (!wanted->is_revoke)
            role->kind = kind;
        else if (role->kind == kind)
            role->kind = ROLE_PLAIN;
    }
    return check_admin_left(set, error);
}

/* --- what GRANT names --- */

/* All tables and views that there are, and those that GRANT means; in the arena. */
struct relations {
    size_t count, named_count;
    uint32_t *ids; /* ascending; views with their bit */
    uint32_t *named;
};

static int compare_ids(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static enum err find_named(const struct snapshot *snapshot, struct ingest *ingest,
                           const struct command *command, struct arena *arena,
                           struct relations *out, struct error *error)
{
    struct view_definition view;
    out->named = arena_alloc_array(arena, command->table_count, sizeof(*out->named));
    for (size_t i = 0; i < command->table_count; i++) {
        const struct table_view *table = snapshot_find(snapshot, command->tables[i]);
        if (table != NULL)
            out->named[out->named_count++] = table_view_schema(table)->table_id;
        else if (ingest_find_view(ingest, command->tables[i], arena, &view))
            out->named[out->named_count++] = view.id | RIGHT_VIEW;
        else
            return error_set(error, ERR_INPUT, "42P01", "relation \"%.*s\" does not exist",
                             SLICE_ARGS(command->tables[i]));
    }
    return OK;
}

static enum err find_relations(struct app *app, const struct command *command, struct arena *arena,
                               struct relations *out, struct error *error)
{
    struct snapshot *snapshot = snapshot_open(app->store);
    struct view_definition *views;
    size_t view_count = ingest_list_views(app->ingest, arena, &views);
    size_t table_count = snapshot_table_count(snapshot);
    *out = (struct relations){0};
    out->ids = arena_alloc_array(arena, table_count + view_count, sizeof(*out->ids));
    for (size_t i = 0; i < table_count; i++)
        out->ids[out->count++] = table_view_schema(snapshot_table(snapshot, i))->table_id;
    for (size_t i = 0; i < view_count; i++)
        out->ids[out->count++] = views[i].id | RIGHT_VIEW;
    qsort(out->ids, out->count, sizeof(*out->ids), compare_ids);
    enum err result = find_named(snapshot, app->ingest, command, arena, out, error);
    snapshot_close(snapshot);
    if (command->role.is_all_tables) {
        out->named = out->ids;
        out->named_count = out->count;
    }
    return result;
}

/* What there is is looked up under the lock of the roles: what another GRANT has given rights on is
 * there then, and rights on what has been dropped can go. */
static enum err grant_rights(void *context, struct role_set *set, struct error *error)
{
    const struct role_change *change = context;
    const struct command_role *wanted = &change->command->role;
    struct relations relations;
    struct arena arena;
    arena_init(&arena);
    enum err result = find_relations(change->app, change->command, &arena, &relations, error);
    for (size_t i = 0; i < set->count && result == OK; i++)
        role_keep_grants(&set->roles[i], relations.ids, relations.count);
    for (size_t i = 0; i < wanted->name_count && result == OK; i++) {
        struct role *role;
        result = find_role(set, wanted->names[i], &role, error);
        for (size_t t = 0; t < relations.named_count && result == OK; t++) {
            if (wanted->is_revoke)
                role_revoke(role, relations.named[t], wanted->rights);
            else
                result = role_grant(role, relations.named[t], wanted->rights, error);
        }
    }
    arena_deinit(&arena);
    return result;
}

static enum err change_roles(struct app *app, struct role_change *change, struct error *error)
{
    switch (change->command->kind) {
    case COMMAND_CREATE_ROLE:
        return access_change(app->access, create_role, change, error);
    case COMMAND_ALTER_ROLE:
        return access_change(app->access, alter_role, change, error);
    case COMMAND_DROP_ROLE:
        return access_change(app->access, drop_roles, change, error);
    case COMMAND_GRANT_ROLE:
        return access_change(app->access, grant_kind, change, error);
    default:
        return access_change(app->access, grant_rights, change, error);
    }
}

enum err api_role_command(struct app *app, const struct command *command, struct error *error)
{
    struct verifier verifier;
    struct role_change change = {.app = app, .command = command};
    enum err result = OK;
    if (command->role.has_password && command->role.password.size > 0) {
        result = verifier_take(command->role.password, &verifier, error);
        change.verifier = &verifier;
    }
    if (result == OK)
        result = change_roles(app, &change, error);
    crypto_wipe(&verifier, sizeof(verifier));
    return result;
}

size_t api_list_roles(void *context, const struct asker *asker, struct arena *arena,
                      struct role_entry **out)
{
    struct app *app = context;
    return access_list(app->access, asker, arena, out);
}
