/* Rows of pg_catalog. Numbers that PostgreSQL has fixed are those; tables are numbered from their
 * ids (query/func/catalog.h), so a number lasts as long as its table. */
#include "query/catalog.h"

#include "query/expr/eval.h"

#include <string.h>

/* --- pg_class, pg_attribute, pg_attrdef, pg_description --- */

static bool has_index(const struct schema *schema)
{
    for (uint32_t column = 0; column < schema->column_count; column++)
        if (schema->columns[column].index == INDEX_ON)
            return true;
    return false;
}

static void add_class(struct catalog_rows *rows, const struct catalog_item *item)
{
    const char kind[2] = {item->kind, 0};
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", item->oid);
    catalog_set_text(rows, "relname", item->name);
    catalog_set_int(rows, "relnamespace", item->schema_oid);
    catalog_set_text(rows, "relkind", arena_copy(rows->scan->arena, slice_from_cstr(kind)));
    catalog_set_int(rows, "relnatts", (int64_t)item->column_count);
    if (item->kind != 'r')
        catalog_set_int(rows, "relam", item->kind == 'i' ? OID_BITMAP : 0);
    if (item->view != NULL) {
        catalog_set_bool(rows, "relhasindex", has_index(table_view_schema(item->view)));
        struct table_statistics statistics;
        table_view_statistics(item->view, &statistics);
        catalog_set_int(rows, "reltuples", (int64_t)statistics.rows);
        catalog_set_int(rows, "relpages",
                        (int64_t)((statistics.bytes + statistics.mutable_bytes) / 8192));
    }
    struct slice acl = catalog_acl(rows, item);
    if (acl.size > 0)
        catalog_set_text(rows, "relacl", acl);
    catalog_row_end(rows);
}

static void fill_class(struct catalog_rows *rows)
{
    catalog_each(rows, add_class);
}

static void add_attributes(struct catalog_rows *rows, const struct catalog_item *item)
{
    for (size_t index = 0; index < item->column_count; index++) {
        struct catalog_column column = catalog_column_get(item, index);
        const struct catalog_type *type = catalog_type_by_oid(column.type_oid);
        catalog_row_begin(rows);
        catalog_set_int(rows, "attrelid", item->oid);
        catalog_set_text(rows, "attname", column.name);
        catalog_set_int(rows, "atttypid", column.type_oid);
        catalog_set_int(rows, "attlen", type->size);
        catalog_set_int(rows, "attnum", (int64_t)index + 1);
        catalog_set_int(rows, "attndims", type->category == 'A');
        catalog_set_int(rows, "atttypmod", catalog_type_modifier(column.type));
        catalog_set_bool(rows, "attbyval", type->is_by_value);
        catalog_set_text(rows, "attalign", slice_of(&type->alignment, 1));
        catalog_set_text(rows, "attstorage", slice_of(&type->storage, 1));
        catalog_set_bool(rows, "attnotnull", column.is_not_null);
        catalog_set_bool(rows, "atthasdef", column.default_text.size > 0);
        catalog_set_int(rows, "attcollation", type->collation);
        catalog_row_end(rows);
    }
}

static void fill_attribute(struct catalog_rows *rows)
{
    catalog_each(rows, add_attributes);
}

static void add_defaults(struct catalog_rows *rows, const struct catalog_item *item)
{
    for (size_t index = 0; item->view != NULL && index < item->column_count; index++) {
        struct catalog_column column = catalog_column_get(item, index);
        if (column.default_text.size == 0)
            continue;
        catalog_row_begin(rows);
        catalog_set_int(rows, "oid", item->oid + OID_DEFAULT_FIRST + (int64_t)index);
        catalog_set_int(rows, "adrelid", item->oid);
        catalog_set_int(rows, "adnum", (int64_t)index + 1);
        catalog_set_text(rows, "adbin", column.default_text);
        catalog_row_end(rows);
    }
}

static void fill_attrdef(struct catalog_rows *rows)
{
    catalog_each(rows, add_defaults);
}

static void add_description(struct catalog_rows *rows, int64_t class_oid, int64_t oid,
                            size_t column, struct slice text)
{
    if (text.size == 0)
        return;
    catalog_row_begin(rows);
    catalog_set_int(rows, "objoid", oid);
    catalog_set_int(rows, "classoid", class_oid);
    catalog_set_int(rows, "objsubid", (int64_t)column);
    catalog_set_text(rows, "description", text);
    catalog_row_end(rows);
}

static void add_descriptions(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->view == NULL)
        return;
    add_description(rows, OID_CLASS_RELATION, item->oid, 0, table_view_schema(item->view)->comment);
    for (size_t index = 0; index < item->column_count; index++)
        add_description(rows, OID_CLASS_RELATION, item->oid, index + 1,
                        catalog_column_get(item, index).comment);
}

static void fill_description(struct catalog_rows *rows)
{
    catalog_each(rows, add_descriptions);
    struct catalog_function function;
    for (size_t place = 0; catalog_function_at(place, &function); place++)
        if (function.name != NULL)
            add_description(rows, OID_CLASS_FUNCTION, function.oid, 0,
                            slice_from_cstr(function.doc));
}

/* --- pg_proc, pg_language --- */

static struct slice number_array(struct catalog_rows *rows, const uint16_t *numbers, size_t count)
{
    struct value values[CATALOG_ARGUMENTS_MAX + 2];
    for (size_t index = 0; index < count; index++)
        values[index] = (struct value){.type = type_of(TYPE_INT8), .i = numbers[index]};
    return array_build(TYPE_INT8_ARRAY, values, count, rows->scan->arena);
}

/* Arguments and the columns of the result in one, where those have names. */
static void set_outs(struct catalog_rows *rows, const struct catalog_function *function)
{
    uint16_t types[CATALOG_ARGUMENTS_MAX + 2];
    struct value modes[CATALOG_ARGUMENTS_MAX + 2], names[CATALOG_ARGUMENTS_MAX + 2];
    size_t in_count = function->argument_count, count = in_count + function->out_count;
    for (size_t index = 0; index < count; index++) {
        bool is_out = index >= in_count;
        types[index] = is_out ? function->outs[index - in_count] : function->arguments[index];
        modes[index] = names[index] = (struct value){.type = type_of(TYPE_TEXT)};
        modes[index].text = is_out ? SLICE("o") : SLICE("i");
        names[index].text = slice_from_cstr(is_out ? function->out_names[index - in_count] : "");
    }
    struct arena *arena = rows->scan->arena;
    catalog_set_text(rows, "proallargtypes", number_array(rows, types, count));
    catalog_set_text(rows, "proargmodes", array_build(TYPE_TEXT_ARRAY, modes, count, arena));
    catalog_set_text(rows, "proargnames", array_build(TYPE_TEXT_ARRAY, names, count, arena));
}

static void fill_proc(struct catalog_rows *rows)
{
    struct catalog_function function;
    for (size_t place = 0; catalog_function_at(place, &function); place++) {
        if (function.name == NULL)
            continue;
        struct arena *arena = rows->scan->arena;
        catalog_row_begin(rows);
        catalog_set_int(rows, "oid", function.oid);
        catalog_set_cstr(rows, "proname", function.name);
        if (function.name[0] == '_')
            catalog_set_int(rows, "pronamespace", OID_INFORMATION_SCHEMA);
        catalog_set_int(rows, "prorows", function.gives_set ? 1000 : 0);
        catalog_set_int(rows, "provariadic", function.variadic);
        catalog_set_text(rows, "prokind", arena_copy(arena, slice_of(&function.kind, 1)));
        catalog_set_bool(rows, "proisstrict", function.is_strict);
        catalog_set_bool(rows, "proretset", function.gives_set);
        catalog_set_text(rows, "provolatile", arena_copy(arena, slice_of(&function.volatility, 1)));
        catalog_set_int(rows, "pronargs", function.argument_count);
        catalog_set_int(rows, "prorettype", function.result);
        catalog_set_text(rows, "proargtypes",
                         number_array(rows, function.arguments, function.argument_count));
        if (function.out_count > 0)
            set_outs(rows, &function);
        catalog_set_cstr(rows, "prosrc", function.name);
        catalog_row_end(rows);
    }
}

static void fill_language(struct catalog_rows *rows)
{
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", OID_INTERNAL);
    catalog_set_cstr(rows, "lanname", "internal");
    catalog_row_end(rows);
}

/* --- pg_index, pg_indexes --- */

/* int2vector and oidvector of one number. */
static void set_vector(struct catalog_rows *rows, const char *name, int64_t number)
{
    struct value element = {.type = type_of(TYPE_INT8), .i = number};
    catalog_set_text(rows, name, array_build(TYPE_INT8_ARRAY, &element, 1, rows->scan->arena));
}

static void add_index(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->indexed == NULL)
        return;
    int64_t type_oid = catalog_column_get(item, 0).type_oid;
    catalog_row_begin(rows);
    catalog_set_int(rows, "indexrelid", item->oid);
    catalog_set_int(rows, "indrelid", table_oid(item->indexed->table_id));
    catalog_set_int(rows, "indnatts", 1);
    catalog_set_int(rows, "indnkeyatts", 1);
    set_vector(rows, "indkey", (int64_t)item->indexed_column + 1);
    set_vector(rows, "indcollation", catalog_type_by_oid(type_oid)->collation);
    set_vector(rows, "indclass", 0);
    set_vector(rows, "indoption", 0);
    catalog_row_end(rows);
}

static void fill_index(struct catalog_rows *rows)
{
    catalog_each(rows, add_index);
}

static void add_index_text(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->indexed == NULL)
        return;
    catalog_row_begin(rows);
    catalog_set_cstr(rows, "schemaname", item->schema_name);
    catalog_set_text(rows, "tablename", item->indexed->name);
    catalog_set_text(rows, "indexname", item->name);
    catalog_set_text(rows, "indexdef",
                     catalog_index_text(item->indexed, item->indexed_column, rows->scan->arena));
    catalog_row_end(rows);
}

static void fill_indexes(struct catalog_rows *rows)
{
    catalog_each(rows, add_index_text);
}

/* --- pg_tables, pg_views, pg_matviews, pg_stat_user_tables --- */

static void add_table(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->kind != 'r')
        return;
    catalog_row_begin(rows);
    catalog_set_cstr(rows, "schemaname", item->schema_name);
    catalog_set_text(rows, "tablename", item->name);
    if (item->view != NULL)
        catalog_set_bool(rows, "hasindexes", has_index(table_view_schema(item->view)));
    catalog_row_end(rows);
}

static void fill_tables(struct catalog_rows *rows)
{
    catalog_each(rows, add_table);
}

static void add_view(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->kind != 'v')
        return;
    catalog_row_begin(rows);
    catalog_set_cstr(rows, "schemaname", item->schema_name);
    catalog_set_text(rows, "viewname", item->name);
    catalog_set_cstr(rows, "viewowner", CATALOG_ROLE);
    if (item->definition != NULL)
        catalog_set_text(rows, "definition", item->definition->text);
    catalog_row_end(rows);
}

static void fill_views(struct catalog_rows *rows)
{
    catalog_each(rows, add_view);
}

static void add_materialized(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->kind != 'm')
        return;
    catalog_row_begin(rows);
    catalog_set_cstr(rows, "schemaname", item->schema_name);
    catalog_set_text(rows, "matviewname", item->name);
    catalog_set_cstr(rows, "matviewowner", CATALOG_ROLE);
    catalog_set_bool(rows, "hasindexes", false);
    catalog_set_bool(rows, "ispopulated", true);
    catalog_set_text(rows, "definition", item->definition->text);
    catalog_row_end(rows);
}

static void fill_materialized(struct catalog_rows *rows)
{
    catalog_each(rows, add_materialized);
}

static void begin_user_table(struct catalog_rows *rows, const struct catalog_item *item)
{
    catalog_row_begin(rows);
    catalog_set_int(rows, "relid", item->oid);
    catalog_set_cstr(rows, "schemaname", item->schema_name);
    catalog_set_text(rows, "relname", item->name);
}

/* Reads of tables are not counted. */
static void add_table_reads(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->view == NULL)
        return;
    begin_user_table(rows, item);
    catalog_row_end(rows);
}

static void fill_table_reads(struct catalog_rows *rows)
{
    catalog_each(rows, add_table_reads);
}

static void add_user_table(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->view == NULL)
        return;
    struct table_statistics statistics;
    table_view_statistics(item->view, &statistics);
    begin_user_table(rows, item);
    catalog_set_int(rows, "n_live_tup", (int64_t)statistics.rows);
    catalog_row_end(rows);
}

static void fill_user_tables(struct catalog_rows *rows)
{
    catalog_each(rows, add_user_table);
}

/* --- pg_type --- */

static void fill_type(struct catalog_rows *rows)
{
    for (size_t index = 0; index < catalog_type_count; index++) {
        const struct catalog_type *type = &catalog_types[index];
        catalog_row_begin(rows);
        catalog_set_int(rows, "oid", type->oid);
        catalog_set_cstr(rows, "typname", type->name);
        catalog_set_int(rows, "typlen", type->size);
        catalog_set_bool(rows, "typbyval", type->is_by_value);
        catalog_set_text(rows, "typtype", slice_of(&type->kind, 1));
        catalog_set_text(rows, "typcategory", slice_of(&type->category, 1));
        catalog_set_bool(rows, "typispreferred", type->is_preferred);
        catalog_set_int(rows, "typelem", type->element);
        catalog_set_int(rows, "typarray", type->array);
        catalog_set_cstr(rows, "typinput", type->input);
        catalog_set_cstr(rows, "typoutput", type->output);
        catalog_set_text(rows, "typalign", slice_of(&type->alignment, 1));
        catalog_set_text(rows, "typstorage", slice_of(&type->storage, 1));
        catalog_set_int(rows, "typcollation", type->collation);
        catalog_row_end(rows);
    }
}

/* --- what there is one or a few of --- */

static void fill_namespace(struct catalog_rows *rows)
{
    static const struct {
        int64_t oid;
        const char *name;
    } schemas[] = {{OID_PG_CATALOG, "pg_catalog"},
                   {OID_PUBLIC, "public"},
                   {OID_INFORMATION_SCHEMA, "information_schema"},
                   {OID_FRESHET, "freshet"}};
    for (size_t index = 0; index < array_count(schemas); index++) {
        catalog_row_begin(rows);
        catalog_set_int(rows, "oid", schemas[index].oid);
        catalog_set_cstr(rows, "nspname", schemas[index].name);
        catalog_row_end(rows);
    }
}

static void fill_database(struct catalog_rows *rows)
{
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", OID_DATABASE);
    catalog_set_cstr(rows, "datname", CATALOG_DATABASE);
    catalog_row_end(rows);
}

static void fill_am(struct catalog_rows *rows)
{
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", 2);
    catalog_set_cstr(rows, "amname", "heap");
    catalog_set_cstr(rows, "amhandler", "heap_tableam_handler");
    catalog_row_end(rows);
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", OID_BITMAP);
    catalog_set_cstr(rows, "amname", "bitmap");
    catalog_set_cstr(rows, "amhandler", "bitmap_handler");
    catalog_set_cstr(rows, "amtype", "i");
    catalog_row_end(rows);
}

static void fill_tablespace(struct catalog_rows *rows)
{
    catalog_row_begin(rows);
    catalog_set_int(rows, "oid", 1663);
    catalog_set_cstr(rows, "spcname", "pg_default");
    catalog_row_end(rows);
}

static void fill_collation(struct catalog_rows *rows)
{
    static const struct {
        int64_t oid;
        const char *name, *provider, *locale;
    } collations[] = {
        {100, "default", "d", NULL}, {950, "C", "c", "C"}, {951, "POSIX", "c", "POSIX"}};
    for (size_t index = 0; index < array_count(collations); index++) {
        catalog_row_begin(rows);
        catalog_set_int(rows, "oid", collations[index].oid);
        catalog_set_cstr(rows, "collname", collations[index].name);
        catalog_set_cstr(rows, "collprovider", collations[index].provider);
        if (collations[index].locale != NULL) {
            catalog_set_cstr(rows, "collcollate", collations[index].locale);
            catalog_set_cstr(rows, "collctype", collations[index].locale);
        }
        catalog_row_end(rows);
    }
}

static void fill_settings(struct catalog_rows *rows)
{
    for (size_t index = 0; index < catalog_setting_count; index++) {
        const struct catalog_setting *setting = &catalog_settings[index];
        catalog_row_begin(rows);
        catalog_set_cstr(rows, "name", setting->name);
        catalog_set_cstr(rows, "short_desc", setting->description);
        if (setting->fixed != NULL) {
            catalog_set_cstr(rows, "setting", setting->fixed);
            catalog_set_cstr(rows, "boot_val", setting->fixed);
            catalog_set_cstr(rows, "reset_val", setting->fixed);
        }
        catalog_row_end(rows);
    }
}

/* --- pg_stat_activity --- */

static struct slice without_port(struct slice client)
{
    const char *colon = memrchr(client.data, ':', client.size);
    return colon == NULL ? client : slice_of(client.data, (size_t)(colon - client.data));
}

static void add_activity(void *context, const struct query_entry *entry)
{
    struct catalog_rows *rows = context;
    if (!query_entry_is_seen(entry, rows->scan->asker))
        return;
    catalog_row_begin(rows);
    catalog_set_int(rows, "datid", OID_DATABASE);
    catalog_set_cstr(rows, "datname", CATALOG_DATABASE);
    struct slice user = entry->user.size > 0 ? entry->user : SLICE(CATALOG_ROLE);
    catalog_set_text(rows, "usename", arena_copy(rows->scan->arena, user));
    catalog_set_int(rows, "usesysid",
                    entry->user_id > 0 ? OID_ROLE_FIRST + (int64_t)entry->user_id : OID_ROLE);
    catalog_set_text(rows, "application_name",
                     arena_copy(rows->scan->arena, slice_from_cstr(entry->application_name)));
    catalog_set_text(rows, "client_addr",
                     arena_copy(rows->scan->arena, without_port(entry->client)));
    if (entry->backend_pid != 0)
        catalog_set_int(rows, "pid", entry->backend_pid);
    catalog_set_int(rows, "query_start", entry->started_at_us);
    catalog_set_cstr(rows, "state", "active");
    catalog_set_text(rows, "query", arena_copy(rows->scan->arena, entry->text));
    catalog_set_cstr(rows, "backend_type", "client backend");
    catalog_row_end(rows);
}

static void fill_activity(struct catalog_rows *rows)
{
    registry_visit(&rows->relation->engine->registry, add_activity, rows);
}

/* --- pg_prepared_statements --- */

static void fill_prepared(struct catalog_rows *rows)
{
    const struct eval_context *context = rows->scan->context;
    struct arena *arena = rows->scan->arena;
    struct prepared_entry *entries;
    size_t count = context->list_prepared == NULL
                       ? 0
                       : context->list_prepared(context->prepared_context, arena, &entries);
    for (size_t index = 0; index < count; index++) {
        const struct prepared_entry *entry = &entries[index];
        catalog_row_begin(rows);
        catalog_set_text(rows, "name", entry->name);
        catalog_set_text(rows, "statement", entry->text);
        catalog_set_int(rows, "prepare_time", entry->prepared_at_us);
        catalog_set_text(rows, "parameter_types",
                         array_build(TYPE_INT8_ARRAY, entry->type_oids, entry->type_count, arena));
        catalog_set_bool(rows, "from_sql", entry->is_from_sql);
        catalog_row_end(rows);
    }
}

const struct catalog_filler catalog_fillers[] = {
    {"pg_prepared_statements", fill_prepared},
    {"pg_class", fill_class},
    {"pg_attribute", fill_attribute},
    {"pg_attrdef", fill_attrdef},
    {"pg_description", fill_description},
    {"pg_proc", fill_proc},
    {"pg_language", fill_language},
    {"pg_index", fill_index},
    {"pg_indexes", fill_indexes},
    {"pg_tables", fill_tables},
    {"pg_views", fill_views},
    {"pg_matviews", fill_materialized},
    {"pg_stat_user_tables", fill_user_tables},
    {"pg_stat_all_tables", fill_user_tables},
    {"pg_statio_user_tables", fill_table_reads},
    {"pg_statio_all_tables", fill_table_reads},
    {"pg_type", fill_type},
    {"pg_namespace", fill_namespace},
    {"pg_database", fill_database},
    {"pg_am", fill_am},
    {"pg_tablespace", fill_tablespace},
    {"pg_collation", fill_collation},
    {"pg_settings", fill_settings},
    {"pg_stat_activity", fill_activity},
};
const size_t catalog_filler_count = array_count(catalog_fillers);
