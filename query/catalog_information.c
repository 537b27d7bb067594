/* Rows of information_schema: tables, columns, schemata, views and character sets; those that tell
 * of roles and rights are in catalog_roles.c, and what tells of constraints and routines has none.
 */
#include "query/catalog.h"

static void add_table(struct catalog_rows *rows, const struct catalog_item *item)
{
    if (item->kind == 'i' || item->kind == 'm') /* the standard has no materialized views */
        return;
    catalog_row_begin(rows);
    catalog_set_cstr(rows, "table_schema", item->schema_name);
    catalog_set_text(rows, "table_name", item->name);
    if (item->kind == 'v')
        catalog_set_cstr(rows, "table_type", "VIEW");
    if (item->view == NULL)
        catalog_set_cstr(rows, "is_insertable_into", "NO");
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
    catalog_set_cstr(rows, "table_schema", item->schema_name);
    catalog_set_text(rows, "table_name", item->name);
    if (item->definition != NULL)
        catalog_set_text(rows, "view_definition", item->definition->text);
    catalog_row_end(rows);
}

static void fill_views(struct catalog_rows *rows)
{
    catalog_each(rows, add_view);
}

static void fill_schemata(struct catalog_rows *rows)
{
    static const char *const names[] = {"pg_catalog", "public", "information_schema", "freshet"};
    for (size_t index = 0; index < array_count(names); index++) {
        catalog_row_begin(rows);
        catalog_set_cstr(rows, "schema_name", names[index]);
        catalog_row_end(rows);
    }
}

static void fill_character_sets(struct catalog_rows *rows)
{
    catalog_row_begin(rows);
    catalog_row_end(rows);
}

static void fill_catalog_name(struct catalog_rows *rows)
{
    catalog_row_begin(rows);
    catalog_set_cstr(rows, "catalog_name", CATALOG_DATABASE);
    catalog_row_end(rows);
}

/* --- columns --- */

static void set_numbers(struct catalog_rows *rows, struct type type)
{
    static const struct {
        enum type_id type;
        int64_t precision, radix, scale; /* scale -1: NULL */
    } numbers[] = {{TYPE_INT2, 16, 2, 0},
                   {TYPE_INT4, 32, 2, 0},
                   {TYPE_INT8, 64, 2, 0},
                   {TYPE_FLOAT4, 24, 2, -1},
                   {TYPE_FLOAT8, 53, 2, -1}};
    if (type.id == TYPE_NUMERIC) {
        catalog_set_int(rows, "numeric_precision_radix", 10);
        if (type.precision == 0)
            return;
        catalog_set_int(rows, "numeric_precision", type.precision);
        catalog_set_int(rows, "numeric_scale", type.scale);
    }
    for (size_t index = 0; index < array_count(numbers); index++) {
        if (numbers[index].type != type.id)
            continue;
        catalog_set_int(rows, "numeric_precision", numbers[index].precision);
        catalog_set_int(rows, "numeric_precision_radix", numbers[index].radix);
        if (numbers[index].scale >= 0)
            catalog_set_int(rows, "numeric_scale", numbers[index].scale);
    }
}

static void set_sizes(struct catalog_rows *rows, const struct catalog_column *column)
{
    struct type type = column->type;
    if (type.id == TYPE_VARCHAR && type.length > 0) {
        catalog_set_int(rows, "character_maximum_length", type.length);
        catalog_set_int(rows, "character_octet_length", (int64_t)type.length * 4);
    } else if (column->type_oid == 25 || type.id == TYPE_VARCHAR) {
        catalog_set_int(rows, "character_octet_length", INT64_C(1) << 30);
    }
    if (column->type_oid != 26 && column->type_oid != 28)
        set_numbers(rows, type);
    if (type.id == TYPE_DATE)
        catalog_set_int(rows, "datetime_precision", 0);
    else if (type.id == TYPE_TIMESTAMP || type.id == TYPE_TIMESTAMPTZ || type.id == TYPE_INTERVAL)
        catalog_set_int(rows, "datetime_precision", 6);
}

static void add_columns(struct catalog_rows *rows, const struct catalog_item *item)
{
    for (size_t index = 0; item->kind != 'i' && index < item->column_count; index++) {
        struct catalog_column column = catalog_column_get(item, index);
        const struct catalog_type *type = catalog_type_by_oid(column.type_oid);
        struct writer text;
        writer_init(&text);
        catalog_type_print(column.type_oid, -1, &text);
        bool is_array = type->category == 'A';
        catalog_row_begin(rows);
        catalog_set_cstr(rows, "table_schema", item->schema_name);
        catalog_set_text(rows, "table_name", item->name);
        catalog_set_text(rows, "column_name", column.name);
        catalog_set_int(rows, "ordinal_position", (int64_t)index + 1);
        if (column.default_text.size > 0)
            catalog_set_text(rows, "column_default", column.default_text);
        catalog_set_cstr(rows, "is_nullable", column.is_not_null ? "NO" : "YES");
        catalog_set_text(rows, "data_type",
                         is_array ? SLICE("ARRAY")
                                  : arena_copy(rows->scan->arena, writer_as_slice(&text)));
        catalog_set_cstr(rows, "udt_name", type->name);
        catalog_set_cstr(rows, "dtd_identifier", arena_printf(rows->scan->arena, "%zu", index + 1));
        if (item->view == NULL)
            catalog_set_cstr(rows, "is_updatable", "NO");
        set_sizes(rows, &column);
        catalog_row_end(rows);
        writer_deinit(&text);
    }
}

static void fill_columns(struct catalog_rows *rows)
{
    catalog_each(rows, add_columns);
}

const struct catalog_filler catalog_information_fillers[] = {
    {"tables", fill_tables},
    {"columns", fill_columns},
    {"schemata", fill_schemata},
    {"views", fill_views},
    {"character_sets", fill_character_sets},
    {"information_schema_catalog_name", fill_catalog_name},
};
const size_t catalog_information_filler_count = array_count(catalog_information_fillers);
