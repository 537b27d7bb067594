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
        segment_list_unref(catalog->tables[i].closed);
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
    (void)segment_list_ref(view.closed);
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
        view.closed = NULL;
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

static struct catalog *copy(const struct catalog *catalog)
{
    struct catalog *next = catalog_alloc(catalog->table_count);
    for (uint32_t i = 0; i < catalog->table_count; i++)
        append(next, catalog->tables[i]);
    return next;
}

/* Takes over the reference to the list. */
static void put_closed(struct table_view *view, struct segment_list *closed)
{
    segment_list_unref(view->closed);
    view->closed = closed;
}

struct catalog *catalog_rotate(const struct catalog *catalog, uint32_t index,
                               const struct segment_entry *entry, struct segment *opened)
{
    assert(index < catalog->table_count);
    struct catalog *next = copy(catalog);
    struct table_view *view = &next->tables[index];
    uint32_t count = view->closed != NULL ? view->closed->count : 0;
    struct segment_entry *entries = memory_alloc((count + 1) * sizeof(*entries));
    for (uint32_t i = 0; i < count; i++)
        entries[i] = view->closed->entries[i];
    entries[count] = *entry;
    put_closed(view, segment_list_create(entries, count + 1));
    memory_free(entries);
    segment_unref(view->segment);
    view->segment = segment_ref(opened);
    view->published = (struct published){0};
    return next;
}

struct catalog *catalog_set_closed(const struct catalog *catalog, uint32_t index,
                                   struct segment_list *closed)
{
    assert(index < catalog->table_count);
    struct catalog *next = copy(catalog);
    put_closed(&next->tables[index], segment_list_ref(closed));
    return next;
}
