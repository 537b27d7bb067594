/* Catalog versions. A change copies the list: a few dozen bytes per table, against a log write. */
#include "storage/table/catalog.h"

#include <assert.h>

static struct catalog *catalog_alloc(uint32_t table_count)
{
    struct catalog *catalog =
        memory_alloc_zero(sizeof(*catalog) + table_count * sizeof(catalog->tables[0]));
    atomic_init(&catalog->references, 1);
    return catalog;
}

struct catalog *catalog_create(void)
{
    return catalog_alloc(0);
}

struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->references, 1, memory_order_relaxed);
    return catalog;
}

void catalog_unref(struct catalog *catalog)
{
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before != 1)
        return;
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        schema_unref(catalog->tables[i].schema);
        segment_unref(catalog->tables[i].segment);
    }
    memory_free(catalog);
}

int32_t catalog_find_id(const struct catalog *catalog, uint32_t table_id)
{
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        if (catalog->tables[i].schema->table_id == table_id)
            return (int32_t)i;
    }
    return -1;
}

static void append(struct catalog *catalog, struct table_view view)
{
    schema_ref(view.schema);
    segment_ref(view.segment);
    catalog->tables[catalog->table_count++] = view;
}

/* The table of `view` after the change. */
static struct table_view changed(struct table_view view, enum change_kind kind,
                                 const struct schema *schema, struct segment *segment)
{
    if (kind == CHANGE_ALTER)
        view.schema = schema;
    if (kind == CHANGE_TRUNCATE) {
        view.segment = segment;
        view.published = (struct published){0};
    }
    return view;
}

struct catalog *catalog_change(const struct catalog *catalog, enum change_kind kind,
                               uint32_t table_id, const struct schema *schema,
                               struct segment *segment)
{
    struct catalog *next = catalog_alloc(catalog->table_count + 1);
    /* An ALTER may rename one day: take the table out and put it back where its name belongs. */
    struct table_view moved = {.schema = schema, .segment = segment};
    bool is_moved = kind == CHANGE_CREATE;
    int32_t old = catalog_find_id(catalog, table_id);
    if (old >= 0 && kind != CHANGE_DROP) {
        moved = changed(catalog->tables[old], kind, schema, segment);
        is_moved = true;
    }
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        if ((int32_t)i == old)
            continue;
        if (is_moved && slice_compare(moved.schema->name, catalog->tables[i].schema->name) < 0) {
            append(next, moved);
            is_moved = false;
        }
        append(next, catalog->tables[i]);
    }
    if (is_moved)
        append(next, moved);
    return next;
}
