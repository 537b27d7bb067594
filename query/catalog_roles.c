/* Rows about roles and rights: pg_roles and its kin, memberships, relacl, the grants of
 * information_schema.
 *
 * Without users there is one role, which owns all there is. With users there are besides the kinds,
 * as roles that others are members of, and the users: admins see all of them, others themselves and
 * their own rights. What proves who somebody is has no column: passwords are shown as stars. */
#include "query/catalog.h"
#include "query/func/text.h"

/* --- the roles --- */

static struct role_entry owner(void)
{
    return (struct role_entry){
        .asker = {.name = SLICE(CATALOG_ROLE), .is_admin = true},
        .kind = "admin",
        .can_log_in = true,
    };
}

static void each_role(struct catalog_rows *rows,
                      void (*visit)(struct catalog_rows *rows, const struct role_entry *role))
{
    struct role_entry *roles, one = owner();
    size_t count = catalog_list_roles(rows->scan->context, rows->scan->arena, &roles);
    visit(rows, &one);
    for (size_t i = 0; i < CATALOG_KIND_COUNT && count > 0; i++) {
        one = catalog_kind(i);
        visit(rows, &one);
    }
    for (size_t i = 0; i < count; i++)
        visit(rows, &roles[i]);
}

static void add_role(struct catalog_rows *rows, const struct role_entry *role)
{
    bool is_admin = role->asker.is_admin && role->can_log_in;
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", catalog_role_oid(role));
    catalog_set_text(rows, "rolname", role->asker.name);
    catalog_set_bool(rows, "rolsuper", is_admin);
    catalog_set_bool(rows, "rolinherit", true);
    catalog_set_bool(rows, "rolcreaterole", is_admin);
    catalog_set_bool(rows, "rolcreatedb", false);
    catalog_set_bool(rows, "rolcanlogin", role->can_log_in);
    catalog_set_bool(rows, "rolreplication", false);
    catalog_set_bool(rows, "rolbypassrls", is_admin);
    catalog_set_int(rows, "rolconnlimit", -1);
    catalog_row_end(rows);
}

static void fill_roles(struct catalog_rows *rows)
{
    each_role(rows, add_role);
}

static void add_user(struct catalog_rows *rows, const struct role_entry *role)
{
    if (!role->can_log_in)
        return;
    catalog_row_begin(rows);
    catalog_set_int(rows, "usesysid", catalog_role_oid(role));
    catalog_set_text(rows, "usename", role->asker.name);
    catalog_set_bool(rows, "usecreatedb", false);
    catalog_set_bool(rows, "usesuper", role->asker.is_admin);
    catalog_set_bool(rows, "userepl", false);
    catalog_set_bool(rows, "usebypassrls", role->asker.is_admin);
    catalog_row_end(rows);
}

static void fill_users(struct catalog_rows *rows)
{
    each_role(rows, add_user);
}

static int64_t kind_oid(const struct role_entry *role)
{
    for (size_t i = 0; i < CATALOG_KIND_COUNT; i++) {
        struct role_entry kind = catalog_kind(i);
        if (role->asker.id > 0 && strcmp(role->kind, kind.kind) == 0)
            return catalog_role_oid(&kind);
    }
    return 0;
}

static void add_membership(struct catalog_rows *rows, const struct role_entry *role)
{
    if (kind_oid(role) == 0)
        return;
    catalog_row_begin(rows);
    catalog_set_int(rows, "roleid", kind_oid(role));
    catalog_set_int(rows, "member", catalog_role_oid(role));
    catalog_set_int(rows, "grantor", OID_ROLE);
    catalog_set_bool(rows, "admin_option", role->asker.is_admin);
    catalog_row_end(rows);
}

static void fill_memberships(struct catalog_rows *rows)
{
    each_role(rows, add_membership);
}

static void add_applicable(struct catalog_rows *rows, const struct role_entry *role)
{
    if (kind_oid(role) == 0)
        return;
    catalog_row_begin(rows);
    catalog_set_text(rows, "grantee", role->asker.name);
    catalog_set_cstr(rows, "role_name", role->kind);
    catalog_set_cstr(rows, "is_grantable", role->asker.is_admin ? "YES" : "NO");
    catalog_row_end(rows);
}

static void fill_applicable(struct catalog_rows *rows)
{
    each_role(rows, add_applicable);
}

static void add_enabled(struct catalog_rows *rows, const struct role_entry *role)
{
    catalog_row_begin(rows);
    catalog_set_text(rows, "role_name", role->asker.name);
    catalog_row_end(rows);
}

static void fill_enabled(struct catalog_rows *rows)
{
    each_role(rows, add_enabled);
}

/* --- rights --- */

/* What GRANT takes a table or view by. False: it is neither. */
static bool id_of(const struct catalog_item *item, uint32_t *out)
{
    if (item->view != NULL)
        *out = table_view_schema(item->view)->table_id;
    else if (item->definition != NULL)
        *out = item->definition->id | RIGHT_VIEW;
    return item->view != NULL || item->definition != NULL;
}

static uint32_t granted(const struct role_entry *role, uint32_t id)
{
    struct asker only = role->asker;
    only.is_admin = false;
    only.rights = 0;
    return asker_rights(&only, id);
}

static void write_name(struct writer *out, struct slice name)
{
    bool is_plain = true;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        is_plain = is_plain && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '_');
    }
    writer_cstr(out, is_plain ? "" : "\"");
    writer_slice(out, name); /* a role's name holds no quote */
    writer_cstr(out, is_plain ? "" : "\"");
}

static const char *letters_of(uint32_t rights, char out[4])
{
    size_t size = 0;
    if ((rights & RIGHT_INSERT) != 0)
        out[size++] = 'a';
    if ((rights & RIGHT_SELECT) != 0)
        out[size++] = 'r';
    if ((rights & RIGHT_TRUNCATE) != 0)
        out[size++] = 'D';
    out[size] = 0;
    return out;
}

static struct value acl_cell(struct slice name, const char *letters, struct arena *arena)
{
    struct writer text;
    writer_init(&text);
    write_name(&text, name);
    writer_printf(&text, "=%s/" CATALOG_ROLE, letters);
    struct value cell = {.type = type_of(TYPE_TEXT),
                         .text = arena_copy(arena, writer_as_slice(&text))};
    writer_deinit(&text);
    return cell;
}

struct slice catalog_acl(struct catalog_rows *rows, const struct catalog_item *item)
{
    struct role_entry *roles;
    struct arena *arena = rows->scan->arena;
    uint32_t id;
    size_t count = catalog_list_roles(rows->scan->context, arena, &roles), used = 0;
    if (!id_of(item, &id))
        return SLICE("");
    for (size_t i = 0; i < count; i++)
        used += granted(&roles[i], id) != 0;
    if (used == 0)
        return SLICE("");
    struct value *cells = arena_alloc_array(arena, used + 1, sizeof(*cells));
    cells[0] = acl_cell(SLICE(CATALOG_ROLE), "arwdDxt", arena);
    used = 1;
    for (size_t i = 0; i < count; i++) {
        char letters[4];
        uint32_t rights = granted(&roles[i], id);
        if (rights != 0)
            cells[used++] = acl_cell(roles[i].asker.name, letters_of(rights, letters), arena);
    }
    return array_build(TYPE_TEXT_ARRAY, cells, used, arena);
}

static void add_grants(struct catalog_rows *rows, const struct catalog_item *item,
                       struct slice grantee, uint32_t rights, bool is_owner)
{
    static const struct {
        const char *name;
        uint32_t right;
    } names[] = {{"SELECT", RIGHT_SELECT}, {"INSERT", RIGHT_INSERT}, {"TRUNCATE", RIGHT_TRUNCATE}};
    for (size_t i = 0; i < array_count(names); i++) {
        if ((rights & names[i].right) == 0)
            continue;
        catalog_row_begin(rows);
        catalog_set_cstr(rows, "grantor", CATALOG_ROLE);
        catalog_set_text(rows, "grantee", grantee);
        catalog_set_cstr(rows, "table_catalog", CATALOG_DATABASE);
        catalog_set_cstr(rows, "table_schema", item->schema_name);
        catalog_set_text(rows, "table_name", item->name);
        catalog_set_cstr(rows, "privilege_type", names[i].name);
        catalog_set_cstr(rows, "is_grantable", is_owner ? "YES" : "NO");
        catalog_set_cstr(rows, "with_hierarchy", names[i].right == RIGHT_SELECT ? "YES" : "NO");
        catalog_row_end(rows);
    }
}

/* Admins see the owner's rights and what was granted; others what they have, by grant or kind. */
static void add_privileges(struct catalog_rows *rows, const struct catalog_item *item)
{
    const struct asker *asker = rows->scan->asker;
    struct role_entry *roles;
    uint32_t id;
    if (!id_of(item, &id))
        return;
    if (!asker_is_admin(asker)) {
        add_grants(rows, item, asker->name, asker_rights(asker, id), false);
        return;
    }
    size_t count = catalog_list_roles(rows->scan->context, rows->scan->arena, &roles);
    add_grants(rows, item, SLICE(CATALOG_ROLE), RIGHT_ALL, true);
    for (size_t i = 0; i < count; i++)
        add_grants(rows, item, roles[i].asker.name, granted(&roles[i], id), false);
}

static void fill_privileges(struct catalog_rows *rows)
{
    catalog_each(rows, add_privileges);
}

const struct catalog_filler catalog_role_fillers[] = {
    {"pg_roles", fill_roles},
    {"pg_authid", fill_roles},
    {"pg_user", fill_users},
    {"pg_shadow", fill_users},
    {"pg_auth_members", fill_memberships},
    {"applicable_roles", fill_applicable},
    {"enabled_roles", fill_enabled},
    {"table_privileges", fill_privileges},
    {"role_table_grants", fill_privileges},
};
const size_t catalog_role_filler_count = array_count(catalog_role_fillers);
