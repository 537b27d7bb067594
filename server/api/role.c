/* Statements about roles and rights, carried over to the access control.
 *
 * Rights stand on the numbers of tables and views: a table that is renamed keeps them, one that is
 * dropped and made anew has none. */
#include "server/api/api.h"

#include "server/access/crypto.h"
#include "server/app.h"

struct role_change {
    const struct command *command;
    const struct verifier *verifier;
    size_t id_count;
    const uint32_t *ids; /* of GRANT: tables, and views with their bit */
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

static enum err grant_rights(void *context, struct role_set *set, struct error *error)
{
    const struct role_change *change = context;
    const struct command_role *wanted = &change->command->role;
    for (size_t i = 0; i < wanted->name_count; i++) {
        struct role *role;
        enum err result = find_role(set, wanted->names[i], &role, error);
        for (size_t t = 0; t < change->id_count && result == OK; t++) {
            if (wanted->is_revoke)
                role_revoke(role, change->ids[t], wanted->rights);
            else
                result = role_grant(role, change->ids[t], wanted->rights, error);
        }
        if (result != OK)
            return result;
    }
    return OK;
}

/* --- what GRANT names --- */

static enum err find_ids(struct app *app, const struct command *command, struct arena *arena,
                         struct role_change *change, struct error *error)
{
    struct snapshot *snapshot = snapshot_open(app->store);
    struct view_definition *views, view;
    size_t view_count = ingest_list_views(app->ingest, arena, &views), count = 0;
    size_t room = snapshot_table_count(snapshot) + view_count + command->table_count;
    uint32_t *ids = arena_alloc_array(arena, room, sizeof(*ids));
    enum err result = OK;
    for (size_t i = 0; command->role.is_all_tables && i < snapshot_table_count(snapshot); i++)
        ids[count++] = table_view_schema(snapshot_table(snapshot, i))->table_id;
    for (size_t i = 0; command->role.is_all_tables && i < view_count; i++)
        ids[count++] = views[i].id | RIGHT_VIEW;
    for (size_t i = 0; i < command->table_count && result == OK; i++) {
        const struct table_view *table = snapshot_find(snapshot, command->tables[i]);
        if (table != NULL)
            ids[count++] = table_view_schema(table)->table_id;
        else if (ingest_find_view(app->ingest, command->tables[i], arena, &view))
            ids[count++] = view.id | RIGHT_VIEW;
        else
            result = error_set(error, ERR_INPUT, "42P01", "relation \"%.*s\" does not exist",
                               SLICE_ARGS(command->tables[i]));
    }
    snapshot_close(snapshot);
    change->ids = ids;
    change->id_count = count;
    return result;
}

/* As an older PostgreSQL keeps passwords: as a password of ours it would be nobody's. */
static bool is_md5(struct slice text)
{
    bool is_hex = text.size == 35 && slice_starts_with(text, SLICE("md5"));
    for (size_t i = 3; is_hex && i < text.size; i++)
        is_hex = (text.data[i] >= '0' && text.data[i] <= '9') ||
                 (text.data[i] >= 'a' && text.data[i] <= 'f');
    return is_hex;
}

/* A password as it is, or a verifier that another server made of it. */
static enum err make_verifier(const struct command_role *role, struct verifier *out,
                              struct error *error)
{
    if (verifier_parse(role->password, out))
        return OK;
    if (is_md5(role->password))
        return error_set(error, ERR_UNSUPPORTED, "0A000", "MD5 passwords are not supported");
    enum err result = password_check(role->password, error);
    if (result == OK)
        verifier_make(role->password, out);
    return result;
}

static enum err change_roles(struct app *app, struct role_change *change, struct error *error)
{
    struct arena arena;
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
        break;
    }
    arena_init(&arena);
    enum err result = find_ids(app, change->command, &arena, change, error);
    if (result == OK)
        result = access_change(app->access, grant_rights, change, error);
    arena_deinit(&arena);
    return result;
}

enum err api_role_command(struct app *app, const struct command *command, struct error *error)
{
    struct verifier verifier;
    struct role_change change = {.command = command};
    enum err result = OK;
    if (command->role.has_password && command->role.password.size > 0) {
        result = make_verifier(&command->role, &verifier, error);
        change.verifier = &verifier;
    }
    if (result == OK)
        result = change_roles(app, &change, error);
    crypto_wipe(&verifier, sizeof(verifier));
    return result;
}

size_t api_list_roles(void *context, struct arena *arena, struct role_entry **out)
{
    struct app *app = context;
    return access_list(app->access, arena, out);
}
