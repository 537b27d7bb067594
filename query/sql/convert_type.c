/* Type names. Modifiers are checked here; types that PostgreSQL has and Freshet has not are 0A000,
 * names of other systems 42704 with our name for them as the hint. */
#include "query/sql/convert.h"

#include "storage/column/binary_form.h"

static bool is_postgres_type(struct slice name)
{
    static const char *const names[] = {
        "time",      "timetz",   "money",     "inet",        "cidr",      "macaddr", "macaddr8",
        "bit",       "varbit",   "xml",       "point",       "line",      "lseg",    "box",
        "path",      "polygon",  "circle",    "tsvector",    "tsquery",   "bpchar",  "int4range",
        "int8range", "numrange", "tsrange",   "tstzrange",   "daterange", "hstore",  "record",
        "void",      "serial",   "bigserial", "smallserial", "serial4",   "serial8", "serial2",
        "refcursor", "pg_lsn"};
    for (size_t index = 0; index < array_count(names); index++)
        if (slice_equal(name, slice_from_cstr(names[index])))
            return true;
    return false;
}

/* Types of PostgreSQL's catalogue, as what they are here. */
static bool catalogue_type(struct slice name, struct type *out)
{
    static const struct {
        const char *name;
        enum type_id type;
        enum type_alias alias;
    } types[] = {
        {"oid", TYPE_INT8, ALIAS_OID},
        {"xid", TYPE_INT8, ALIAS_XID},
        {"name", TYPE_TEXT, ALIAS_NAME},
        {"char", TYPE_TEXT, ALIAS_CHAR},
        {"regclass", TYPE_INT8, ALIAS_NONE},
        {"regtype", TYPE_INT8, ALIAS_NONE},
        {"regnamespace", TYPE_INT8, ALIAS_NONE},
        {"regrole", TYPE_INT8, ALIAS_NONE},
        {"regproc", TYPE_TEXT, ALIAS_NONE},
        {"regprocedure", TYPE_TEXT, ALIAS_NONE},
        {"sql_identifier", TYPE_TEXT, ALIAS_NONE},
        {"pg_node_tree", TYPE_TEXT, ALIAS_NONE},
        {"jsonpath", TYPE_TEXT, ALIAS_NONE},
    };
    for (size_t index = 0; index < array_count(types); index++) {
        if (!slice_equal(name, slice_from_cstr(types[index].name)))
            continue;
        *out = type_of(types[index].type);
        out->alias = (uint8_t)types[index].alias;
        return true;
    }
    return false;
}

bool convert_is_reg_type(struct slice name)
{
    return (slice_starts_with(name, SLICE("reg")) && name.size > 3) ||
           slice_equal(name, SLICE("jsonpath"));
}

static enum err unknown_type(struct converter *c, struct slice name, int32_t position)
{
    if (is_postgres_type(name))
        return convert_unsupported(c, position, "type \"%.*s\"", SLICE_ARGS(name));
    convert_error(c, position, "42704", "type \"%.*s\" does not exist", SLICE_ARGS(name));
    const char *ours = hint_type(name);
    if (ours != NULL && c->error != NULL)
        error_hint(c->error, "write %s", ours);
    return ERR_INPUT;
}

static enum err set_numeric(struct converter *c, const struct json_value *modifiers,
                            int32_t position, struct type *out)
{
    int64_t precision = 0;
    int64_t scale = 0;
    if (modifiers->count > 2 || !tree_integer(c, modifiers->child, &precision) ||
        (modifiers->count == 2 && !tree_integer(c, modifiers->child->next, &scale)))
        return convert_error(c, position, "22023", "invalid NUMERIC type modifier");
    if (precision < 1 || precision > 1000)
        return convert_error(c, position, "22023",
                             "NUMERIC precision %lld must be between 1 and 1000",
                             (long long)precision);
    if (precision > NUMERIC_DIGITS_MAX)
        return convert_unsupported(c, position, "numeric with more than %d digits",
                                   NUMERIC_DIGITS_MAX);
    if (scale < 0 || scale > precision)
        return convert_unsupported(c, position, "numeric with a scale outside of 0 … precision");
    out->precision = (uint8_t)precision;
    out->scale = (uint8_t)scale;
    return OK;
}

static enum err set_modifiers(struct converter *c, const struct json_value *modifiers,
                              int32_t position, struct type *out)
{
    int64_t value = 0;
    switch (out->id) {
    case TYPE_NUMERIC:
        return set_numeric(c, modifiers, position, out);
    case TYPE_VARCHAR:
        if (modifiers->count != 1 || !tree_integer(c, modifiers->child, &value) || value < 1 ||
            value > 10485760)
            return convert_error(c, position, "22023",
                                 "length for type varchar must be between 1 and 10485760");
        out->length = (uint32_t)value;
        return OK;
    case TYPE_INTERVAL:
        return OK; /* the caller knows the literal it qualifies */
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
        if (modifiers->count == 1 && tree_integer(c, modifiers->child, &value) && value == 6)
            return OK;
        return convert_unsupported(c, position, "a timestamp precision other than 6");
    default:
        return convert_error(c, position, "42601", "type modifier is not allowed for type \"%s\"",
                             type_name(out->id));
    }
}

/* char and char(1) in an expression: a text of one character, where no blanks are to be filled in.
 */
static bool is_one_character(struct converter *c, struct slice name,
                             const struct json_value *fields)
{
    const struct json_value *modifiers = tree_get(fields, "typmods");
    int64_t length = 0;
    return slice_equal(name, SLICE("bpchar")) && !c->is_stored &&
           tree_count(tree_get(fields, "arrayBounds")) == 0 && tree_count(modifiers) == 1 &&
           tree_integer(c, modifiers->child, &length) && length == 1;
}

enum err convert_type(struct converter *c, const struct json_value *type_name_fields,
                      struct type *out, struct slice *label)
{
    int32_t position = tree_position(c, type_name_fields);
    struct slice *names;
    size_t count = tree_strings(c, tree_get(type_name_fields, "names"), &names);
    if (count == 0 || tree_bool(type_name_fields, "setof") ||
        tree_bool(type_name_fields, "pct_type"))
        return convert_unsupported(c, position, "this type");
    struct slice name = names[count - 1];
    if (count > 1 && !slice_equal(names[0], SLICE("pg_catalog")) &&
        !slice_equal(names[0], SLICE("information_schema")))
        return convert_error(c, position, "42704", "type \"%.*s.%.*s\" does not exist",
                             SLICE_ARGS(names[0]), SLICE_ARGS(name));
    *label = name;
    enum type_id id;
    if (is_one_character(c, name, type_name_fields)) {
        *out = (struct type){.id = TYPE_VARCHAR, .length = 1};
        return OK;
    }
    bool is_catalogue = catalogue_type(name, out);
    if (is_catalogue && c->is_stored)
        return convert_unsupported(c, position, "a column of type \"%.*s\"", SLICE_ARGS(name));
    if (!is_catalogue && (hint_type(name) != NULL || is_postgres_type(name) ||
                          !type_find(name, &id) || id == TYPE_UNKNOWN))
        return unknown_type(c, name, position);
    if (!is_catalogue)
        *out = type_of(id);
    id = (enum type_id)out->id;
    size_t bounds = tree_count(tree_get(type_name_fields, "arrayBounds"));
    const struct json_value *modifiers = tree_get(type_name_fields, "typmods");
    if (bounds == 0)
        return modifiers == NULL ? OK : set_modifiers(c, modifiers, position, out);
    if (bounds > 1)
        return convert_unsupported(c, position, "an array of more than one dimension");
    if (modifiers != NULL) {
        enum err result = set_modifiers(c, modifiers, position, out);
        if (result != OK)
            return result;
    }
    /* An array of varchar is text[], which has no length to cut at; one that is stored no digits.
     */
    bool is_cut = id == TYPE_VARCHAR && (c->is_stored || out->length != 0);
    out->id = (uint8_t)type_array_of(id);
    out->alias = (uint8_t)alias_array((enum type_alias)out->alias);
    bool is_lost = out->precision != 0 || !type_is_storable((enum type_id)out->id);
    if (out->id == TYPE_UNKNOWN || is_cut || (c->is_stored && is_lost))
        return convert_unsupported(c, position, "an array of %s", type_name(id));
    return OK;
}
