/* The relations that statements make, by number and by name: tables, the indexes that CREATE INDEX
 * gave their columns, and views. A table's text columns have indexes by rule too: those are the
 * table's own business and not told of. Views give the columns that they were made with, so one
 * whose text no longer binds is found like any other. */
#include "query/expr/eval.h"
#include "query/func/catalog.h"
#include "query/func/text.h"
#include "query/view.h"
#include "storage/store.h"

#include <string.h>

const struct schema *catalog_find_table(const struct eval_context *context, int64_t oid)
{
    int64_t id = table_id_of_oid(oid);
    const struct table_view *view = id < 0 || id > UINT32_MAX || context->snapshot == NULL
                                        ? NULL
                                        : snapshot_find_id(context->snapshot, (uint32_t)id);
    return view == NULL ? NULL : table_view_schema(view);
}

const struct schema *catalog_find_index(const struct eval_context *context, int64_t oid,
                                        uint32_t *column)
{
    if (oid < OID_TABLE_FIRST)
        return NULL;
    int64_t offset = (oid - OID_TABLE_FIRST) % OID_TABLE_STEP;
    const struct schema *table = catalog_find_table(context, oid - offset);
    if (table == NULL || offset < OID_INDEX_FIRST ||
        offset - OID_INDEX_FIRST >= table->column_count)
        return NULL;
    *column = (uint32_t)(offset - OID_INDEX_FIRST);
    return table->columns[*column].index == INDEX_ON ? table : NULL;
}

bool catalog_find_view(const struct eval_context *context, int64_t oid, struct arena *arena,
                       struct view_definition *out)
{
    int64_t id = view_id_of_oid(oid);
    return id >= 0 && id <= UINT32_MAX && context->find_view != NULL &&
           context->find_view(context->view_context, SLICE(""), (uint32_t)id, arena, out);
}

static int64_t find_index_name(const struct snapshot *snapshot, struct slice name)
{
    for (size_t index = 0; index < snapshot_table_count(snapshot); index++) {
        const struct schema *table = table_view_schema(snapshot_table(snapshot, index));
        for (uint32_t column = 0; column < table->column_count; column++)
            if (table->columns[column].index == INDEX_ON &&
                slice_equal(table->columns[column].index_name, name))
                return index_oid(table->table_id, column);
    }
    return 0;
}

int64_t catalog_find_class(const struct eval_context *context, struct slice schema,
                           struct slice name, struct arena *arena)
{
    const struct catalog_relation *relation =
        catalog_relation_by_name(schema.size == 0 ? SLICE("pg_catalog") : schema, name);
    if (relation != NULL)
        return relation->oid;
    if ((schema.size > 0 && !slice_equal(schema, SLICE("public"))) || context->snapshot == NULL)
        return 0;
    const struct table_view *table = snapshot_find(context->snapshot, name);
    if (table != NULL)
        return table_oid(table_view_schema(table)->table_id);
    struct view_definition view;
    if (name.size > 0 && context->find_view != NULL &&
        context->find_view(context->view_context, name, 0, arena, &view))
        return view_oid(view.id);
    return find_index_name(context->snapshot, name);
}

static struct slice identifier(struct slice name, struct arena *arena)
{
    struct writer text;
    writer_init(&text);
    text_write_identifier(&text, name);
    struct slice out = arena_copy(arena, writer_as_slice(&text));
    writer_deinit(&text);
    return out;
}

struct slice catalog_class_name(const struct eval_context *context, int64_t oid,
                                struct arena *arena)
{
    uint32_t column;
    struct view_definition view;
    const struct catalog_relation *relation = catalog_relation_by_oid(oid);
    const struct schema *table = catalog_find_table(context, oid);
    if (table != NULL)
        return identifier(table->name, arena);
    if ((table = catalog_find_index(context, oid, &column)) != NULL)
        return identifier(table->columns[column].index_name, arena);
    if (catalog_find_view(context, oid, arena, &view))
        return identifier(view.name, arena);
    if (relation == NULL)
        return SLICE("");
    if (strcmp(relation->schema, "pg_catalog") == 0)
        return slice_from_cstr(relation->name);
    return slice_from_cstr(arena_printf(arena, "%s.%s", relation->schema, relation->name));
}

struct slice catalog_index_text(const struct schema *table, uint32_t column, struct arena *arena)
{
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "CREATE INDEX ");
    text_write_identifier(&text, table->columns[column].index_name);
    writer_cstr(&text, " ON public.");
    text_write_identifier(&text, table->name);
    writer_cstr(&text, " USING bitmap (");
    text_write_identifier(&text, table->columns[column].name);
    writer_cstr(&text, ")");
    struct slice out = arena_copy(arena, writer_as_slice(&text));
    writer_deinit(&text);
    return out;
}

struct slice catalog_index_part(const struct schema *table, uint32_t column, int64_t part,
                                struct arena *arena)
{
    if (part == 0)
        return catalog_index_text(table, column, arena);
    return part == 1 ? identifier(table->columns[column].name, arena) : SLICE("");
}
