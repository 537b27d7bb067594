/* Roles and rights: CREATE, ALTER and DROP ROLE or USER, GRANT and REVOKE. What a role is, the
 * server's access control says; here the words are read and what is not there is refused by name.
 */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"
#include "query/sql/sql.h"

/* The role a RoleSpec names; PUBLIC, CURRENT_USER and the like are refused. */
static enum err role_name(struct converter *c, const struct json_value *spec, struct slice *out)
{
    int32_t position = tree_position(c, spec);
    if (!tree_text_is(spec, "roletype", "ROLESPEC_CSTRING"))
        return convert_unsupported(c, position, "PUBLIC, or a role by anything but its name,");
    *out = arena_copy(c->arena, tree_text(spec, "rolename"));
    return OK;
}

static enum err role_names(struct converter *c, const struct json_value *list,
                           struct command_role *role)
{
    enum err result = OK;
    role->names = arena_alloc_array(c->arena, tree_count(list), sizeof(*role->names));
    for (const struct json_value *item = list == NULL ? NULL : list->child;
         item != NULL && result == OK; item = item->next)
        result = role_name(c, tree_unwrap(item).fields, &role->names[role->name_count++]);
    return result;
}

/* reader, writer or admin. */
static enum err read_kind(struct converter *c, struct slice name, int32_t position,
                          struct command_role *role)
{
    static const char *const kinds[] = {"reader", "writer", "admin"};
    for (size_t i = 0; i < array_count(kinds); i++) {
        if (slice_equal(name, slice_from_cstr(kinds[i]))) {
            role->kind = slice_from_cstr(kinds[i]);
            return OK;
        }
    }
    return convert_unsupported(c, position, "membership in other roles than reader, writer, admin");
}

static enum err refuse_option(struct converter *c, int32_t position, struct slice name)
{
    static const char *const words[][2] = {
        {"createdb", "CREATEDB"},         {"createrole", "CREATEROLE"},
        {"isreplication", "REPLICATION"}, {"bypassrls", "BYPASSRLS"},
        {"inherit", "NOINHERIT"},         {"connectionlimit", "CONNECTION LIMIT"},
        {"validUntil", "VALID UNTIL"},    {"rolemembers", "ROLE or USER, members of a role,"},
        {"adminmembers", "ADMIN"},        {"sysid", "SYSID"}};
    for (size_t i = 0; i < array_count(words); i++)
        if (slice_equal(name, slice_from_cstr(words[i][0])))
            return convert_unsupported(c, position, "%s of a role", words[i][1]);
    return convert_unsupported(c, position, "the option %.*s of a role", SLICE_ARGS(name));
}

static enum err read_option(struct converter *c, const struct json_value *option,
                            struct command_role *role)
{
    struct slice name = tree_text(option, "defname");
    int32_t position = tree_position(c, option);
    if (slice_equal(name, SLICE("password"))) {
        struct tree_node value = tree_unwrap(tree_get(option, "arg"));
        role->has_password = true;
        role->password = arena_copy(c->arena, tree_text(value.fields, "sval"));
        return OK;
    }
    if (slice_equal(name, SLICE("addroleto"))) {
        struct tree_node list = tree_unwrap(tree_get(option, "arg"));
        const struct json_value *items = tree_get(list.fields, "items");
        if (tree_count(items) != 1)
            return convert_unsupported(c, position, "IN ROLE with several roles");
        struct slice kind, before = role->kind;
        enum err result = role_name(c, tree_unwrap(items->child).fields, &kind);
        if (result == OK)
            result = read_kind(c, kind, position, role);
        if (slice_equal(before, SLICE("admin"))) /* SUPERUSER: whichever is said first */
            role->kind = before;
        return result;
    }
    bool is_on = tree_bool(tree_unwrap(tree_get(option, "arg")).fields, "boolval");
    if (slice_equal(name, SLICE("inherit")) && is_on)
        return OK;
    if (slice_equal(name, SLICE("canlogin"))) {
        role->has_login = true;
        role->can_log_in = is_on;
        return OK;
    }
    if (slice_equal(name, SLICE("superuser"))) {
        role->kind = is_on ? SLICE("admin") : role->kind.size > 0 ? role->kind : SLICE("none");
        return OK;
    }
    bool is_harmless =
        slice_equal(name, SLICE("createdb")) || slice_equal(name, SLICE("createrole")) ||
        slice_equal(name, SLICE("isreplication")) || slice_equal(name, SLICE("bypassrls"));
    return is_harmless && !is_on ? OK : refuse_option(c, position, name);
}

/* Does the list say something of this name before? Lists are long only in texts made to be slow. */
static bool is_said_before(const struct json_value *first, const struct json_value *item,
                           size_t count_max)
{
    struct slice name = tree_text(tree_unwrap(item).fields, "defname");
    for (size_t i = 0; first != item && i < count_max; first = first->next, i++)
        if (slice_equal(tree_text(tree_unwrap(first).fields, "defname"), name))
            return true;
    return first != item; /* more than there are kinds of */
}

static enum err read_options(struct converter *c, const struct json_value *options,
                             struct command_role *role)
{
    enum err result = OK;
    const struct json_value *first = options == NULL ? NULL : options->child;
    for (const struct json_value *item = first; item != NULL && result == OK; item = item->next) {
        const struct json_value *option = tree_unwrap(item).fields;
        result = is_said_before(first, item, 32)
                     ? convert_error(c, tree_position(c, option), "42601",
                                     "conflicting or redundant options")
                     : read_option(c, option, role);
    }
    return result;
}

enum err convert_create_role(struct converter *c, const struct json_value *fields,
                             struct ast_statement *out)
{
    struct command_role *role = &out->command->role;
    out->command->kind = COMMAND_CREATE_ROLE;
    if (tree_text_is(fields, "stmt_type", "ROLESTMT_GROUP"))
        return convert_unsupported(c, 0, "CREATE GROUP");
    role->has_login =
        true; /* as in PostgreSQL: a USER logs in, a ROLE does not unless it says so */
    role->can_log_in = tree_text_is(fields, "stmt_type", "ROLESTMT_USER");
    role->names = arena_alloc(c->arena, sizeof(*role->names));
    role->names[role->name_count++] = arena_copy(c->arena, tree_text(fields, "role"));
    return read_options(c, tree_get(fields, "options"), role);
}

enum err convert_alter_role(struct converter *c, const struct json_value *fields,
                            struct ast_statement *out)
{
    struct command_role *role = &out->command->role;
    out->command->kind = COMMAND_ALTER_ROLE;
    role->names = arena_alloc(c->arena, sizeof(*role->names));
    enum err result = role_name(c, tree_get(fields, "role"), &role->names[role->name_count++]);
    return result != OK ? result : read_options(c, tree_get(fields, "options"), role);
}

enum err convert_drop_role(struct converter *c, const struct json_value *fields,
                           struct ast_statement *out)
{
    out->command->kind = COMMAND_DROP_ROLE;
    out->command->if_exists = tree_bool(fields, "missing_ok");
    return role_names(c, tree_get(fields, "roles"), &out->command->role);
}

enum err convert_grant_role(struct converter *c, const struct json_value *fields,
                            struct ast_statement *out)
{
    struct command_role *role = &out->command->role;
    const struct json_value *granted = tree_get(fields, "granted_roles");
    out->command->kind = COMMAND_GRANT_ROLE;
    role->is_revoke = !tree_bool(fields, "is_grant");
    if (tree_count(granted) != 1 || tree_bool(fields, "admin_opt"))
        return convert_unsupported(c, 0, "GRANT of several roles, or WITH ADMIN OPTION");
    enum err result =
        read_kind(c, tree_text(tree_unwrap(granted->child).fields, "priv_name"), 0, role);
    return result != OK ? result : role_names(c, tree_get(fields, "grantee_roles"), role);
}

/* No list is ALL. */
static enum err read_rights(struct converter *c, const struct json_value *privileges,
                            struct command_role *role)
{
    static const struct {
        const char *name;
        uint32_t right;
    } known[] = {{"select", RIGHT_SELECT}, {"insert", RIGHT_INSERT}, {"truncate", RIGHT_TRUNCATE}};
    role->rights = privileges == NULL ? RIGHT_ALL : 0;
    for (const struct json_value *item = privileges == NULL ? NULL : privileges->child;
         item != NULL; item = item->next) {
        const struct json_value *fields = tree_unwrap(item).fields;
        struct slice name = tree_text(fields, "priv_name");
        uint32_t right = 0;
        for (size_t i = 0; i < array_count(known); i++)
            right |= slice_equal(name, slice_from_cstr(known[i].name)) ? known[i].right : 0;
        if (tree_get(fields, "cols") != NULL)
            return convert_unsupported(c, 0, "GRANT on single columns");
        if (right == 0)
            return convert_unsupported(c, 0, "the privilege %.*s", SLICE_ARGS(name));
        role->rights |= right;
    }
    return OK;
}

static enum err grant_objects(struct converter *c, const struct json_value *fields,
                              struct command *command)
{
    const struct json_value *objects = tree_get(fields, "objects");
    command->role.is_all_tables = tree_text_is(fields, "targtype", "ACL_TARGET_ALL_IN_SCHEMA");
    if (!tree_text_is(fields, "objtype", "OBJECT_TABLE") ||
        !(command->role.is_all_tables || tree_text_is(fields, "targtype", "ACL_TARGET_OBJECT")))
        return convert_unsupported(c, 0, "GRANT on anything but tables");
    if (command->role.is_all_tables) {
        struct slice *schemas;
        size_t count = tree_strings(c, objects, &schemas);
        return count == 1 && slice_equal(schemas[0], SLICE("public"))
                   ? OK
                   : convert_error(c, 0, "3F000", "only schema \"public\" has tables to grant");
    }
    enum err result = OK;
    command->tables = arena_alloc_array(c->arena, tree_count(objects), sizeof(struct slice));
    for (const struct json_value *item = objects == NULL ? NULL : objects->child;
         item != NULL && result == OK; item = item->next)
        result =
            convert_relation(c, tree_unwrap(item).fields, &command->tables[command->table_count++],
                             &command->text_position);
    return result;
}

enum err convert_grant(struct converter *c, const struct json_value *fields,
                       struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_GRANT;
    command->role.is_revoke = !tree_bool(fields, "is_grant");
    if (tree_bool(fields, "grant_option"))
        return convert_unsupported(c, 0, "WITH GRANT OPTION");
    enum err result = read_rights(c, tree_get(fields, "privileges"), &command->role);
    if (result == OK)
        result = grant_objects(c, fields, command);
    return result != OK ? result : role_names(c, tree_get(fields, "grantees"), &command->role);
}

/* --- what must not be shown --- */

/* A look that most texts end with: a role's verb, or its password, must be there. (GROUP is in most
 * queries.) */
static bool may_be_about_roles(struct slice text)
{
    static const struct slice words[] = {{"create", 6}, {"alter", 5}, {"password", 8}};
    for (size_t at = 0; at + 5 <= text.size; at++) {
        char c = (char)(text.data[at] | 0x20), next = (char)(text.data[at + 1] | 0x20);
        size_t word = c == 'c' && next == 'r'   ? 0
                      : c == 'a' && next == 'l' ? 1
                      : c == 'p' && next == 'a' ? 2
                                                : array_count(words);
        if (word < array_count(words) && text.size - at >= words[word].size &&
            slice_equal_ignore_case(slice_of(text.data + at, words[word].size), words[word]))
            return true;
    }
    return false;
}

struct slice sql_masked(struct slice text, struct arena *arena)
{
    struct lexer lexer = {.text = text};
    bool was_verb = false, was_password = false, is_role = false;
    if (!may_be_about_roles(text))
        return text;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        bool is_noun = lexer_is_word(&lexer, token, "role") ||
                       lexer_is_word(&lexer, token, "user") ||
                       lexer_is_word(&lexer, token, "group");
        bool is_password = lexer_is_word(&lexer, token, "password");
        bool is_string = token == LEXER_STRING ||
                         (token == LEXER_SYMBOL && strchr("'$", lexer.token.data[0]) != NULL);
        is_role = is_role || (was_verb && is_noun);
        if ((is_role && (is_string || is_password)) || (was_password && is_string))
            return slice_from_cstr(
                arena_printf(arena, "%.*s***", (int)lexer.token_offset, text.data));
        was_verb = lexer_is_word(&lexer, token, "create") || lexer_is_word(&lexer, token, "alter");
        was_password = is_password;
    }
    return text;
}
