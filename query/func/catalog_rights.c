/* Roles by name and by number, and who may do what: has_table_privilege and its kin.
 *
 * There are no rights on columns, schemas, functions or types of their own: columns have those of
 * their table, making things is for admins, and everybody may use what is built in. What the asker
 * may not see is not there, so asking for it by name is an error, and by number NULL. */
#include "query/func/catalog.h"
#include "query/func/text.h"
#include "query/view.h"
#include "storage/store.h"

#include <string.h>

/* --- roles --- */

struct role_entry catalog_kind(size_t place)
{
    static const struct {
        const char *name;
        uint32_t rights;
    } kinds[CATALOG_KIND_COUNT] = {
        {"reader", RIGHT_SELECT}, {"writer", RIGHT_SELECT | RIGHT_INSERT}, {"admin", RIGHT_ALL}};
    return (struct role_entry){.kind = kinds[place].name,
                               .asker = {.name = slice_from_cstr(kinds[place].name),
                                         .is_admin = place == CATALOG_KIND_COUNT - 1,
                                         .rights = kinds[place].rights}};
}

/* Users have ids from 1 on; what has none is a kind, or the owner of all. */
int64_t catalog_role_oid(const struct role_entry *role)
{
    if (role->asker.id > 0)
        return OID_ROLE_FIRST + (int64_t)role->asker.id;
    for (size_t i = 0; i < CATALOG_KIND_COUNT; i++)
        if (slice_equal(role->asker.name, catalog_kind(i).asker.name))
            return OID_READER + (int64_t)i;
    return OID_ROLE;
}

static bool is_wanted(const struct role_entry *role, int64_t oid, struct slice name)
{
    return oid != 0 ? catalog_role_oid(role) == oid : slice_equal(role->asker.name, name);
}

size_t catalog_list_roles(const struct eval_context *context, struct arena *arena,
                          struct role_entry **out)
{
    *out = NULL;
    return context->list_roles == NULL ? 0
                                       : context->list_roles(context->roles_context, arena, out);
}

bool catalog_find_role(const struct eval_context *context, int64_t oid, struct slice name,
                       struct arena *arena, struct role_entry *out)
{
    struct role_entry *roles;
    struct role_entry owner = {.kind = "admin", .asker = {.name = SLICE(CATALOG_ROLE)}};
    size_t count = catalog_list_roles(context, arena, &roles);
    for (size_t i = 0; i < count; i++) {
        *out = roles[i];
        if (is_wanted(out, oid, name))
            return true;
    }
    for (size_t i = 0; i < CATALOG_KIND_COUNT && count > 0; i++) {
        *out = catalog_kind(i);
        if (is_wanted(out, oid, name))
            return true;
    }
    owner.asker.is_admin = true;
    *out = owner;
    return is_wanted(out, oid, name);
}

/* --- arguments --- */

static bool is_text(const struct value *value)
{
    return type_physical(value->type.id) == PHYSICAL_TEXT;
}

static enum err check_count(struct call *call, size_t count, size_t least)
{
    if (count == least || count == least + 1)
        return OK;
    return error_set(call->error, ERR_INPUT, "42883", "function %s takes %zu or %zu arguments",
                     call->function->name, least, least + 1);
}

/* Whose rights: of whom the first of one argument more names, or the asker's. Takes it away. */
static enum err read_role(struct call *call, const struct value **a, size_t count, size_t least,
                          struct asker *out)
{
    const struct asker *self = call->context->asker;
    struct role_entry role;
    enum err err = check_count(call, count, least);
    *out = self != NULL ? *self : (struct asker){.is_admin = true, .name = SLICE(CATALOG_ROLE)};
    if (err != OK || count == least)
        return err;
    const struct value *who = (*a)++;
    struct slice name = is_text(who) ? who->text : SLICE("");
    int64_t oid = is_text(who) ? 0 : who->i;
    bool is_known = catalog_find_role(call->context, oid, name, call->arena, &role);
    if (!is_known && is_text(who))
        return error_set(call->error, ERR_INPUT, "42704", "role \"%.*s\" does not exist",
                         SLICE_ARGS(slice_cut(name, 100)));
    *out = is_known ? role.asker : (struct asker){.name = SLICE("")};
    return OK;
}

struct privilege {
    const char *name;
    uint32_t right; /* 0: admins only; RIGHT_ALL: everybody */
};

/* A list "SELECT, INSERT WITH GRANT OPTION": *held if one of them is. */
static enum err read_privileges(struct call *call, struct slice text,
                                const struct privilege *privileges, size_t count, bool is_admin,
                                uint32_t rights, bool *held)
{
    static const struct slice option = SLICE(" WITH GRANT OPTION");
    *held = false;
    while (text.size > 0) {
        const char *comma = memchr(text.data, ',', text.size);
        size_t size = comma == NULL ? text.size : (size_t)(comma - text.data), i = 0;
        struct slice word = slice_trim(slice_of(text.data, size));
        bool has_option = word.size > option.size &&
                          slice_equal_ignore_case(
                              slice_of(word.data + word.size - option.size, option.size), option);
        if (has_option)
            word = slice_trim(slice_of(word.data, word.size - option.size));
        while (i < count && !slice_equal_ignore_case(word, slice_from_cstr(privileges[i].name)))
            i++;
        if (i == count)
            return error_set(call->error, ERR_INPUT, "22023",
                             "unrecognized privilege type: \"%.*s\"",
                             SLICE_ARGS(slice_cut(word, 100)));
        *held = *held || is_admin || (!has_option && (privileges[i].right & rights) != 0);
        text = slice_of(text.data + size, text.size - size);
        if (comma != NULL)
            text = slice_of(text.data + 1, text.size - 1);
    }
    return OK;
}

/* --- relations --- */

static const struct privilege on_tables[] = {
    {"SELECT", RIGHT_SELECT},
    {"INSERT", RIGHT_INSERT},
    {"TRUNCATE", RIGHT_TRUNCATE},
    {"UPDATE", 0},
    {"DELETE", 0},
    {"REFERENCES", 0},
    {"TRIGGER", 0},
};

/* The relation that an argument names or numbers; 0: that number is none's. */
static enum err read_relation(struct call *call, const struct value *a, int64_t *oid)
{
    struct slice schema, name;
    *oid = 0;
    if (!is_text(a)) {
        bool is_there = catalog_class_name(call->context, a->i, call->arena).size > 0;
        *oid = is_there ? a->i : 0;
        return OK;
    }
    if (catalog_parse_name(a->text, call->arena, &schema, &name))
        *oid = catalog_find_class(call->context, schema, name, call->arena);
    return *oid != 0
               ? OK
               : error_set(call->error, ERR_INPUT, "42P01", "relation \"%.*s\" does not exist",
                           SLICE_ARGS(slice_cut(a->text, 200)));
}

static uint32_t rights_on(const struct call *call, const struct asker *asker, int64_t oid)
{
    struct view_definition view;
    if (oid < OID_TABLE_FIRST)
        return RIGHT_SELECT; /* of ours: everybody reads them, and sees there what is theirs */
    if (catalog_find_view(call->context, oid, call->arena, &view))
        return asker_rights(asker, view.id | RIGHT_VIEW);
    int64_t offset = (oid - OID_TABLE_FIRST) % OID_TABLE_STEP;
    const struct schema *table = catalog_find_table(call->context, oid - offset);
    return table == NULL ? 0 : asker_rights(asker, table->table_id);
}

/* ([role,] table, privileges); for columns ([role,] table, column, privileges). */
static enum err table_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    bool has_column = call->function->operation == 1;
    struct asker asker;
    int64_t oid;
    enum err err = read_role(call, &a, count, has_column ? 3 : 2, &asker);
    if (err == OK)
        err = read_relation(call, a, &oid);
    if (err != OK)
        return err;
    out->is_null = oid == 0;
    return read_privileges(call, a[has_column ? 2 : 1].text, on_tables, array_count(on_tables),
                           asker_is_admin(&asker), rights_on(call, &asker, oid), &out->b);
}

/* --- what is not a relation --- */

static const struct privilege on_others[] = {
    {"USAGE", RIGHT_ALL},  {"EXECUTE", RIGHT_ALL}, {"CONNECT", RIGHT_ALL},
    {"SELECT", RIGHT_ALL}, {"CREATE", 0},          {"TEMP", 0},
    {"TEMPORARY", 0},      {"UPDATE", 0},          {"SET", RIGHT_ALL},
    {"ALTER SYSTEM", 0},
};

/* ([role,] thing, privileges) */
static enum err other_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct asker asker;
    enum err err = read_role(call, &a, count, 2, &asker);
    if (err != OK)
        return err;
    return read_privileges(call, a[1].text, on_others, array_count(on_others),
                           asker_is_admin(&asker), RIGHT_ALL, &out->b);
}

/* pg_has_role([role,] role, privileges): is the first the second, or a member of it? */
static enum err role_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    static const struct privilege on_roles[] = {
        {"USAGE", RIGHT_ALL},
        {"MEMBER", RIGHT_ALL},
        {"SET", RIGHT_ALL},
        {"MEMBER WITH ADMIN OPTION", 0},
        {"USAGE WITH ADMIN OPTION", 0},
    };
    struct asker asker, group;
    enum err err = read_role(call, &a, count, 2, &asker);
    if (err == OK) {
        const struct value *which = a;
        err = read_role(call, &which, 3, 2, &group);
    }
    if (err != OK)
        return err;
    bool is_self = group.name.size > 0 && slice_equal(asker.name, group.name);
    bool is_kind = group.id == 0 && asker.id > 0 && group.rights == asker.rights &&
                   group.rights != 0 && asker.is_admin == group.is_admin;
    return read_privileges(call, a[1].text, on_roles, array_count(on_roles), asker_is_admin(&asker),
                           is_self || is_kind ? RIGHT_ALL : 0, &out->b);
}

#define PRIVILEGE(name_text, kind, row_form, doc_text, example_text)                               \
    {.name = name_text,                                                                            \
     .argument_count = 1,                                                                          \
     .arguments = {TYPE_ANY_NONARRAY},                                                             \
     .is_variadic = true,                                                                          \
     .result = TYPE_BOOL,                                                                          \
     .operation = kind,                                                                            \
     .volatility = STABLE,                                                                         \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},

/* clang-format off */
static const struct function functions[] = {
    PRIVILEGE("has_table_privilege", 0, table_row, "may the role do one of these to the table",
              "has_table_privilege('pg_class', 'SELECT')")
    PRIVILEGE("has_any_column_privilege", 0, table_row, "rights on columns are those on the table",
              "has_any_column_privilege('pg_class', 'SELECT')")
    PRIVILEGE("has_column_privilege", 1, table_row, "rights on columns are those on the table",
              "has_column_privilege('pg_class', 'oid', 'SELECT')")
    PRIVILEGE("has_schema_privilege", 0, other_row, "USAGE is everybody's, CREATE is for admins",
              "has_schema_privilege('public', 'USAGE')")
    PRIVILEGE("has_database_privilege", 0, other_row, "CONNECT is everybody's",
              "has_database_privilege('freshet', 'CONNECT')")
    PRIVILEGE("has_function_privilege", 0, other_row, "EXECUTE is everybody's",
              "has_function_privilege('lower', 'EXECUTE')")
    PRIVILEGE("has_sequence_privilege", 0, other_row, "USAGE is everybody's",
              "has_sequence_privilege('s', 'USAGE')")
    PRIVILEGE("has_type_privilege", 0, other_row, "USAGE is everybody's",
              "has_type_privilege('text', 'USAGE')")
    PRIVILEGE("pg_has_role", 0, role_row, "is one role a member of the other",
              "pg_has_role('freshet', 'USAGE')")
};
/* clang-format on */

const struct function_group functions_catalog_rights = {functions, array_count(functions)};
