/* The functions that tools call over pg_catalog. Functions of one's own and constraints are not
 * there, so what asks about them says so as PostgreSQL does of a number that names nothing: NULL.
 * What needs the tables asks the query's snapshot, which has those that the asker may see.
 *
 * The types regclass, regtype and their like are functions here: of a text the number, of a number
 * the name. oid is bigint, name and "char" are text. */
#include "query/func/catalog.h"
#include "query/func/text.h"
#include "query/view.h"
#include "storage/base/number.h"
#include "storage/store.h"

#include <stdio.h>
#include <string.h>

enum word { WORD_VERSION, WORD_ROLE, WORD_DATABASE, WORD_SCHEMA };

static enum err word_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    static const char *const words[] = {
        [WORD_VERSION] = "PostgreSQL 15.0 (Freshet)",
        [WORD_ROLE] = CATALOG_ROLE,
        [WORD_DATABASE] = CATALOG_DATABASE,
        [WORD_SCHEMA] = "public",
    };
    (void)a, (void)count;
    const struct asker *asker = call->context->asker;
    bool is_role = call->function->operation == WORD_ROLE;
    out->text =
        is_role && asker != NULL ? asker->name : slice_from_cstr(words[call->function->operation]);
    return OK;
}

static enum err schemas_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct value names[2] = {{.type = type_of(TYPE_TEXT), .text = SLICE("pg_catalog")},
                             {.type = type_of(TYPE_TEXT), .text = SLICE("public")}};
    out->text =
        array_build(TYPE_TEXT_ARRAY, a[0].b ? names : names + 1, a[0].b ? 2 : 1, call->arena);
    return OK;
}

/* --- numbers to names --- */

static void set_number(struct call *call, int64_t oid, struct value *out)
{
    out->text =
        oid == 0 ? SLICE("-") : slice_from_cstr(arena_printf(call->arena, "%lld", (long long)oid));
}

static enum err class_name_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    out->text = catalog_class_name(call->context, a[0].i, call->arena);
    if (out->text.size == 0)
        set_number(call, a[0].i, out);
    return OK;
}

static const struct {
    const char *name;
    int64_t oid;
} schemas[] = {
    {"pg_catalog", OID_PG_CATALOG},
    {"public", OID_PUBLIC},
    {"information_schema", OID_INFORMATION_SCHEMA},
    {"freshet", OID_FRESHET},
};

static enum err schema_name_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    (void)count;
    set_number(call, a[0].i, out);
    for (size_t index = 0; index < array_count(schemas); index++)
        if (schemas[index].oid == a[0].i)
            out->text = slice_from_cstr(schemas[index].name);
    return OK;
}

static enum err role_name_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    struct role_entry role;
    (void)count;
    if (catalog_find_role(call->context, a[0].i, SLICE(""), call->arena, &role))
        out->text = role.asker.name;
    else if (call->function->operation == 1)
        out->text =
            slice_from_cstr(arena_printf(call->arena, "unknown (OID=%lld)", (long long)a[0].i));
    else
        set_number(call, a[0].i, out);
    return OK;
}

static enum err number_name_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    (void)count;
    set_number(call, a[0].i, out);
    return OK;
}

/* format_type(oid, modifier), and regtype of a number. */
static enum err type_name_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    if (a[0].is_null) {
        out->is_null = true;
        return OK;
    }
    struct writer text;
    writer_init(&text);
    catalog_type_print(a[0].i, count > 1 && !a[1].is_null ? a[1].i : -1, &text);
    out->text = arena_copy(call->arena, writer_as_slice(&text));
    writer_deinit(&text);
    return OK;
}

/* --- names to numbers --- */

enum named { NAMED_CLASS, NAMED_TYPE, NAMED_SCHEMA, NAMED_ROLE };

static bool all_digits(struct slice text)
{
    for (size_t index = 0; index < text.size; index++)
        if (text.data[index] < '0' || text.data[index] > '9')
            return false;
    return text.size > 0 && text.size <= 10;
}

static int64_t find_named(struct call *call, enum named kind, struct slice text)
{
    struct slice schema, name;
    if (kind == NAMED_TYPE) {
        const struct catalog_type *type = catalog_type_by_name(slice_trim(text));
        if (type == NULL && memchr(text.data, '"', text.size) != NULL &&
            catalog_parse_name(text, call->arena, &schema, &name) &&
            (schema.size == 0 || slice_equal(schema, SLICE("pg_catalog"))))
            type = catalog_type_by_name(name);
        return type == NULL ? 0 : type->oid;
    }
    if (!catalog_parse_name(text, call->arena, &schema, &name))
        return 0;
    if (kind == NAMED_CLASS)
        return catalog_find_class(call->context, schema, name, call->arena);
    struct role_entry role;
    if (kind == NAMED_ROLE)
        return catalog_find_role(call->context, 0, name, call->arena, &role)
                   ? catalog_role_oid(&role)
                   : 0;
    for (size_t index = 0; index < array_count(schemas); index++)
        if (slice_equal(name, slice_from_cstr(schemas[index].name)))
            return schemas[index].oid;
    return 0;
}

/* regclass(text) and its like; to_regclass is NULL where these raise. */
static enum err find_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    static const struct {
        const char *sqlstate, *kind;
    } failures[] = {
        [NAMED_CLASS] = {"42P01", "relation"},
        [NAMED_TYPE] = {"42704", "type"},
        [NAMED_SCHEMA] = {"3F000", "schema"},
        [NAMED_ROLE] = {"42704", "role"},
    };
    (void)count;
    enum named kind = (enum named)call->function->operation;
    struct slice text = slice_trim(a[0].text);
    bool is_tried = call->function->name[0] == 't';
    out->i = 0;
    if (!is_tried && slice_equal(text, SLICE("-")))
        return OK;
    for (size_t index = 0; !is_tried && all_digits(text) && index < text.size; index++)
        out->i = out->i * 10 + (text.data[index] - '0');
    if (!is_tried && all_digits(text))
        return OK;
    out->i = find_named(call, kind, text);
    if (out->i != 0)
        return OK;
    out->is_null = is_tried;
    return is_tried
               ? OK
               : error_set(call->error, ERR_INPUT, failures[kind].sqlstate,
                           "%s \"%.*s\" does not exist", failures[kind].kind, SLICE_ARGS(text));
}

/* regproc of a text: the name as pg_type has it. */
static enum err procedure_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)call, (void)count;
    out->text = a[0].text;
    if (slice_starts_with(out->text, SLICE("pg_catalog.")))
        out->text = slice_of(a[0].text.data + 11, a[0].text.size - 11);
    return OK;
}

/* --- what holds of all --- */

enum answer { ANSWER_TRUE, ANSWER_FALSE, ANSWER_NULL, ANSWER_ZERO };

static enum err answer_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)a, (void)count;
    out->is_null = call->function->operation == ANSWER_NULL;
    if (call->function->operation == ANSWER_ZERO)
        out->i = 0;
    else
        out->b = call->function->operation == ANSWER_TRUE;
    return OK;
}

static enum err nothing_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)call, (void)a, (void)count;
    out->text = SLICE("");
    return OK;
}

static enum err first_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)call, (void)count;
    out->text = a[0].text;
    return OK;
}

static enum err visible_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    const struct catalog_relation *relation = catalog_relation_by_oid(a[0].i);
    out->b = relation != NULL && strcmp(relation->schema, "pg_catalog") == 0;
    if (relation == NULL && a[0].i >= OID_TABLE_FIRST)
        out->b = true;
    else if (relation == NULL)
        out->is_null = a[0].i < OID_FRESHET_FIRST;
    (void)call;
    return OK;
}

static enum err encoding_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)call, (void)count;
    out->text = a[0].i == 6 ? SLICE("UTF8") : a[0].i == 0 ? SLICE("SQL_ASCII") : SLICE("");
    return OK;
}

static enum err database_encoding_row(struct call *call, const struct value *a, size_t count,
                                      struct value *out)
{
    (void)call, (void)a, (void)count;
    out->text = SLICE("UTF8");
    return OK;
}

static enum err encoding_number_row(struct call *call, const struct value *a, size_t count,
                                    struct value *out)
{
    (void)call, (void)count;
    bool is_utf8 = slice_equal_ignore_case(a[0].text, SLICE("UTF8"));
    out->i = is_utf8 ? 6 : slice_equal_ignore_case(a[0].text, SLICE("SQL_ASCII")) ? 0 : -1;
    return OK;
}

static enum err field_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct array_reader array;
    struct value element;
    if (!array_begin(&array, TYPE_INT8_ARRAY, a[0].text))
        return call_bad_array(call);
    out->is_null = true;
    for (int index = 0; array_next(&array, &element); index++) {
        if (index != call->function->operation)
            continue;
        out->is_null = element.is_null;
        out->i = element.i;
    }
    return OK;
}

static enum err setting_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    const struct eval_context *context = call->context;
    bool is_known = false;
    if (context->setting != NULL)
        out->text = context->setting(context->setting_context, a[0].text, call->arena, &is_known);
    for (size_t index = 0; index < catalog_setting_count && !is_known; index++) {
        const struct catalog_setting *setting = &catalog_settings[index];
        if (setting->fixed == NULL ||
            !slice_equal_ignore_case(a[0].text, slice_from_cstr(setting->name)))
            continue;
        out->text = slice_from_cstr(setting->fixed);
        is_known = true;
    }
    out->is_null = !is_known;
    if (is_known || (count > 1 && a[1].b))
        return OK;
    return error_set(call->error, ERR_INPUT, "42704",
                     "unrecognized configuration parameter \"%.*s\"", SLICE_ARGS(a[0].text));
}

/* pg_backend_pid(): 0 where there is no session. */
static enum err backend_pid_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    const struct eval_context *context = call->context;
    bool is_known;
    (void)a, (void)count;
    out->i = 0;
    if (context->setting == NULL)
        return OK;
    struct slice text = context->setting(context->setting_context, SLICE("freshet.backend_pid"),
                                         call->arena, &is_known);
    return int_parse(text, 0, INT32_MAX, "integer", &out->i, call->error);
}

/* a.b: simple identifiers with dots between them; one alone is not of that form. */
static bool is_custom_name(struct slice name)
{
    bool is_first = true, has_dot = false;
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
        bool is_later = (c >= '0' && c <= '9') || c == '$' || c == '.';
        if (!is_letter && (is_first || !is_later))
            return false;
        is_first = c == '.';
        has_dot = has_dot || is_first;
    }
    return has_dot && !is_first;
}

/* set_config(name, value, is_local): a function cannot change the session, so it gives the value if
 * it is that already. NULL as a value means the default, NULL as is_local false, as in PostgreSQL.
 */
static enum err set_config_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    if (a[0].is_null)
        return error_set(call->error, ERR_INPUT, "22004", "SET requires parameter name");
    bool is_custom = is_custom_name(a[0].text);
    if (!is_custom && a[0].text.size > 0 && memchr(a[0].text.data, '.', a[0].text.size) != NULL)
        return error_set(call->error, ERR_INPUT, "42602",
                         "invalid configuration parameter name \"%.*s\"", SLICE_ARGS(a[0].text));
    struct value if_unknown[2] = {a[0], {.type = type_of(TYPE_BOOL), .b = is_custom}};
    enum err err = setting_row(call, if_unknown, 2, out);
    bool is_same = !out->is_null && !a[1].is_null && slice_equal_ignore_case(out->text, a[1].text);
    if (err != OK || is_same)
        return err;
    error_set(call->error, ERR_UNSUPPORTED, "0A000", "set_config cannot change \"%.*s\"",
              SLICE_ARGS(a[0].text));
    error_hint(call->error, "write SET");
    return ERR_UNSUPPORTED;
}

/* --- definitions --- */

/* pg_get_indexdef(oid [, part, is_pretty]) */
static enum err index_text_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    uint32_t column;
    const struct schema *table = catalog_find_index(call->context, a[0].i, &column);
    out->is_null = table == NULL;
    if (table != NULL)
        out->text = catalog_index_part(table, column, count == 3 ? a[1].i : 0, call->arena);
    return OK;
}

/* The query of a view as it was written; the relations of pg_catalog and its like have none. */
static enum err view_text_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    struct view_definition view;
    (void)count;
    out->is_null = !catalog_find_view(call->context, a[0].i, call->arena, &view);
    if (!out->is_null)
        out->text = view.text;
    return OK;
}

/* --- comments and sizes --- */

static enum err comment_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    bool is_column = call->function->operation == 1;
    struct catalog_function function;
    if (!is_column && catalog_function_by_oid(a[0].i, &function) &&
        (count == 1 || slice_equal(a[1].text, SLICE("pg_proc")))) {
        out->text = slice_from_cstr(function.doc);
        return OK;
    }
    const struct schema *table = catalog_find_table(call->context, a[0].i);
    struct slice comment = SLICE("");
    if (table != NULL && is_column && a[1].i >= 1 && a[1].i <= table->column_count)
        comment = table->columns[a[1].i - 1].comment;
    else if (table != NULL && !is_column &&
             (count == 1 || slice_equal(a[1].text, SLICE("pg_class"))))
        comment = table->comment;
    out->text = comment;
    out->is_null = comment.size == 0;
    return OK;
}

static int64_t table_bytes(const struct table_view *view)
{
    struct table_statistics statistics;
    table_view_statistics(view, &statistics);
    return (int64_t)(statistics.bytes + statistics.mutable_bytes);
}

enum size_of { SIZE_TABLE, SIZE_DATABASE };

static enum err size_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    const struct snapshot *snapshot = call->context->snapshot;
    out->i = 0;
    if (call->function->operation == SIZE_DATABASE) {
        for (size_t index = 0; snapshot != NULL && index < snapshot_table_count(snapshot); index++)
            out->i += table_bytes(snapshot_table(snapshot, index));
        return OK;
    }
    int64_t id = table_id_of_oid(a[0].i);
    const struct table_view *view =
        id < 0 || snapshot == NULL ? NULL : snapshot_find_id(snapshot, (uint32_t)id);
    if (view != NULL)
        out->i = table_bytes(view);
    else
        out->is_null = catalog_class_name(call->context, a[0].i, call->arena).size == 0;
    return OK;
}

static enum err size_pretty_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    (void)count;
    int64_t sign = a[0].i < 0 ? -1 : 1;
    uint64_t size = a[0].i < 0 ? -(uint64_t)a[0].i : (uint64_t)a[0].i;
    size_t unit = 0;
    /* As PostgreSQL: the next unit from 10 * 1024 - ½ on; halves of a unit are rounded up. */
    for (bool is_half = false; unit + 1 < array_count(units); unit++) {
        uint64_t limit = is_half ? 2 * 10 * 1024 - 1 : 10 * 1024;
        if (size < limit)
            break;
        size >>= is_half ? 10 : 9;
        is_half = true;
    }
    if (unit > 0)
        size = (size + 1) / 2;
    out->text =
        slice_from_cstr(arena_printf(call->arena, "%lld %s", (long long)size * sign, units[unit]));
    return OK;
}

/* --- identifiers --- */

#define IDENT_PARTS_MAX 64

/* parse_ident(text [, is_strict]): not strict, anything may follow the name. */
static enum err parse_ident_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    struct slice parts[IDENT_PARTS_MAX];
    struct value values[IDENT_PARTS_MAX];
    size_t used;
    size_t found = catalog_parse_path(a[0].text, call->arena, parts, IDENT_PARTS_MAX, &used);
    bool is_strict = count < 2 || a[1].b;
    if (found == 0 || (is_strict && used < a[0].text.size))
        return error_set(call->error, ERR_INPUT, "22023",
                         "string is not a valid identifier: \"%.*s\"", SLICE_ARGS(a[0].text));
    for (size_t i = 0; i < found; i++)
        values[i] = (struct value){.type = type_of(TYPE_TEXT), .text = parts[i]};
    out->text = array_build(TYPE_TEXT_ARRAY, values, found, call->arena);
    return OK;
}

#define T TYPE_TEXT
#define L TYPE_INT8
#define I TYPE_INT4
#define B TYPE_BOOL
#define FUNCTION(name_text, n, list, to, kind, row_form, doc_text, example_text)                   \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .volatility = STABLE,                                                                         \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define WORD(name_text, kind, doc_text, example_text)                                              \
    FUNCTION(name_text, 0, LIST(0), T, kind, word_row, doc_text, example_text)
#define VISIBLE(name_text)                                                                         \
    FUNCTION(name_text, 1, LIST(L), B, ANSWER_TRUE, answer_row, "true: one schema is searched",    \
             name_text "(16)")
#define NOTHING(name_text)                                                                         \
    FUNCTION(name_text, 1, LIST(L), T, ANSWER_NULL, answer_row, "NULL: there are none",            \
             name_text "(1)")                                                                      \
    FUNCTION(name_text, 2, LIST(L, B), T, ANSWER_NULL, answer_row, "NULL: there are none",         \
             name_text "(1, true)")
#define REG(name_text, kind, row_form, example_text, other)                                        \
    FUNCTION("reg" name_text, 1, LIST(T), L, kind, find_row, "the number of that name",            \
             "reg" name_text "('" example_text "')")                                               \
    FUNCTION("to_reg" name_text, 1, LIST(T), L, kind, find_row,                                    \
             "the number of that name, NULL if there is none",                                     \
             "to_reg" name_text "('" example_text "')")                                            \
    FUNCTION("reg" name_text, 1, LIST(L), T, 0, row_form, "the name of that number",               \
             "reg" name_text "(" other ")")

/* clang-format off */
static const struct function functions[] = {
    WORD("version", WORD_VERSION, "the version of PostgreSQL whose SQL this is", "version()")
    WORD("current_database", WORD_DATABASE, "the one database", "current_database()")
    WORD("current_catalog", WORD_DATABASE, "the one database", "current_catalog")
    WORD("current_user", WORD_ROLE, "the role that asks", "current_user")
    WORD("session_user", WORD_ROLE, "the role that asks", "session_user")
    WORD("current_role", WORD_ROLE, "the role that asks", "current_role")
    WORD("current_schema", WORD_SCHEMA, "the schema of tables", "current_schema()")
    FUNCTION("current_schemas", 1, LIST(B), TYPE_TEXT_ARRAY, 0, schemas_row,
             "the schemas that are searched", "current_schemas(true)")
    FUNCTION("pg_get_userbyid", 1, LIST(L), T, 1, role_name_row, "the role of that number",
             "pg_get_userbyid(10)")
    FUNCTION("pg_encoding_to_char", 1, LIST(I), T, 0, encoding_row, "the encoding of that number",
             "pg_encoding_to_char(6)")
    {.name = "format_type", .argument_count = 2, .arguments = {L, I}, .is_null_tolerant = true,
     .result = T, .volatility = STABLE, .row = type_name_row, .doc = "a type as SQL writes it",
     .example = "format_type(1043, 14)"},
    FUNCTION("pg_get_expr", 2, LIST(T, L), T, 0, first_row, "an expression as text",
             "pg_get_expr('1 + 1', 0)")
    FUNCTION("pg_get_expr", 3, LIST(T, L, B), T, 0, first_row, "an expression as text",
             "pg_get_expr('1 + 1', 0, true)")
    FUNCTION("pg_table_is_visible", 1, LIST(L), B, 0, visible_row,
             "is the relation found without its schema", "pg_table_is_visible(1259)")
    VISIBLE("pg_type_is_visible")
    VISIBLE("pg_function_is_visible")
    VISIBLE("pg_operator_is_visible")
    VISIBLE("pg_collation_is_visible")
    VISIBLE("pg_conversion_is_visible")
    VISIBLE("pg_opclass_is_visible")
    VISIBLE("pg_opfamily_is_visible")
    VISIBLE("pg_statistics_obj_is_visible")
    VISIBLE("pg_ts_config_is_visible")
    VISIBLE("pg_ts_dict_is_visible")
    VISIBLE("pg_ts_parser_is_visible")
    VISIBLE("pg_ts_template_is_visible")
    FUNCTION("pg_get_indexdef", 1, LIST(L), T, 0, index_text_row,
             "the statement that makes an index", "pg_get_indexdef(1)")
    FUNCTION("pg_get_indexdef", 2, LIST(L, B), T, 0, index_text_row,
             "the statement that makes an index", "pg_get_indexdef(1, true)")
    FUNCTION("pg_get_indexdef", 3, LIST(L, TYPE_INT2, B), T, 0, index_text_row,
             "the statement that makes an index, or its column",
             "pg_get_indexdef(1, 1::smallint, true)")
    FUNCTION("pg_get_indexdef", 3, LIST(L, I, B), T, 0, index_text_row,
             "the statement that makes an index, or its column", "pg_get_indexdef(1, 1, true)")
    FUNCTION("pg_get_indexdef", 3, LIST(L, L, B), T, 0, index_text_row,
             "the statement that makes an index, or its column",
             "pg_get_indexdef(1, 1::bigint, true)")
    NOTHING("pg_get_constraintdef")
    FUNCTION("pg_get_viewdef", 1, LIST(L), T, 0, view_text_row, "the query of a view",
             "pg_get_viewdef(1)")
    FUNCTION("pg_get_viewdef", 2, LIST(L, B), T, 0, view_text_row, "the query of a view",
             "pg_get_viewdef(1, true)")
    NOTHING("pg_get_ruledef")
    NOTHING("pg_get_triggerdef")
    NOTHING("pg_get_partkeydef")
    NOTHING("pg_get_function_sqlbody")
    NOTHING("pg_get_statisticsobjdef_columns")
    NOTHING("pg_tablespace_location")
    FUNCTION("pg_get_serial_sequence", 2, LIST(T, T), T, ANSWER_NULL, answer_row,
             "NULL: there are no sequences", "pg_get_serial_sequence('t', 'c')")
    FUNCTION("shobj_description", 2, LIST(L, T), T, ANSWER_NULL, answer_row,
             "NULL: these have no comments", "shobj_description(5, 'pg_database')")
    FUNCTION("obj_description", 2, LIST(T, T), T, ANSWER_NULL, answer_row,
             "NULL: functions are described by their numbers", "obj_description('lower', 'pg_proc')")
    FUNCTION("getdatabaseencoding", 0, LIST(0), T, 0, database_encoding_row, "the encoding of texts",
             "getdatabaseencoding()")
    FUNCTION("pg_char_to_encoding", 1, LIST(T), I, 0, encoding_number_row,
             "the number of an encoding, -1 if there is none", "pg_char_to_encoding('UTF8')")
    FUNCTION("_pg_field_x", 1, LIST(TYPE_INT8_ARRAY), L, 0, field_row,
             "the field x of what _pg_expandarray gives", "_pg_field_x('{7,1}')")
    FUNCTION("_pg_field_n", 1, LIST(TYPE_INT8_ARRAY), L, 1, field_row,
             "the field n of what _pg_expandarray gives", "_pg_field_n('{7,1}')")
    FUNCTION("current_setting", 1, LIST(T), T, 0, setting_row, "the value of a setting",
             "current_setting('server_version_num')")
    FUNCTION("current_setting", 2, LIST(T, B), T, 0, setting_row,
             "the value of a setting, NULL if it is unknown", "current_setting('nothing', true)")
    FUNCTION("pg_backend_pid", 0, LIST(0), I, 0, backend_pid_row,
             "the number of the session, 0 over HTTP", "pg_backend_pid()")
    FUNCTION("pg_advisory_unlock_all", 0, LIST(0), T, 0, nothing_row,
             "nothing: there are no such locks to be held", "pg_advisory_unlock_all()")
    {.name = "set_config", .argument_count = 3, .arguments = {T, T, B}, .is_null_tolerant = true,
     .result = T, .volatility = VOLATILE, .row = set_config_row,
     .doc = "the value of a setting that is so already",
     .example = "set_config('jit', 'off', false)"},
    FUNCTION("obj_description", 1, LIST(L), T, 0, comment_row, "a table's or function's comment",
             "obj_description(1259)")
    FUNCTION("obj_description", 2, LIST(L, T), T, 0, comment_row, "a table's or function's comment",
             "obj_description(1259, 'pg_class')")
    FUNCTION("col_description", 2, LIST(L, I), T, 1, comment_row, "a column's comment",
             "col_description(1259, 1)")
    FUNCTION("pg_relation_is_publishable", 1, LIST(L), B, ANSWER_FALSE, answer_row,
             "false: nothing is published", "pg_relation_is_publishable(1259)")
    FUNCTION("pg_is_in_recovery", 0, LIST(0), B, ANSWER_FALSE, answer_row, "false: no standby",
             "pg_is_in_recovery()")
    FUNCTION("pg_is_other_temp_schema", 1, LIST(L), B, ANSWER_FALSE, answer_row,
             "false: there are none", "pg_is_other_temp_schema(11)")
    FUNCTION("pg_my_temp_schema", 0, LIST(0), L, ANSWER_ZERO, answer_row, "0: there is none",
             "pg_my_temp_schema()")
    FUNCTION("pg_relation_size", 1, LIST(L), L, SIZE_TABLE, size_row, "a table's bytes",
             "pg_relation_size(1259)")
    FUNCTION("pg_relation_size", 2, LIST(L, T), L, SIZE_TABLE, size_row, "a table's bytes",
             "pg_relation_size(1259, 'main')")
    FUNCTION("pg_table_size", 1, LIST(L), L, SIZE_TABLE, size_row, "a table's bytes",
             "pg_table_size(1259)")
    FUNCTION("pg_total_relation_size", 1, LIST(L), L, SIZE_TABLE, size_row,
             "a table's bytes, with its indexes", "pg_total_relation_size(1259)")
    FUNCTION("pg_stat_get_numscans", 1, LIST(L), L, ANSWER_ZERO, answer_row,
             "0: scans of a table are not counted", "pg_stat_get_numscans(1259)")
    FUNCTION("pg_indexes_size", 1, LIST(L), L, ANSWER_ZERO, answer_row,
             "0: indexes are part of their tables", "pg_indexes_size(1259)")
    FUNCTION("pg_database_size", 1, LIST(L), L, SIZE_DATABASE, size_row, "the bytes of all tables",
             "pg_database_size(5)")
    FUNCTION("pg_database_size", 1, LIST(T), L, SIZE_DATABASE, size_row, "the bytes of all tables",
             "pg_database_size('freshet')")
    FUNCTION("pg_size_pretty", 1, LIST(L), T, 0, size_pretty_row, "bytes for people",
             "pg_size_pretty(1234567)")
    FUNCTION("parse_ident", 1, LIST(T), TYPE_TEXT_ARRAY, 0, parse_ident_row,
             "the parts of a name", "parse_ident('public.\"T\"')")
    FUNCTION("parse_ident", 2, LIST(T, B), TYPE_TEXT_ARRAY, 0, parse_ident_row,
             "the parts of a name, whatever follows it", "parse_ident('a.b, c', false)")
    REG("class", NAMED_CLASS, class_name_row, "pg_class", "1259")
    REG("type", NAMED_TYPE, type_name_row, "integer", "23")
    REG("namespace", NAMED_SCHEMA, schema_name_row, "public", "2200")
    REG("role", NAMED_ROLE, role_name_row, "freshet", "10")
    FUNCTION("regproc", 1, LIST(T), T, 0, procedure_row, "the function of that name",
             "regproc('pg_catalog.array_in')")
    FUNCTION("regproc", 1, LIST(L), T, 0, number_name_row, "the function of that number",
             "regproc(0)")
};
/* clang-format on */

const struct function_group functions_catalog = {functions, array_count(functions)};
