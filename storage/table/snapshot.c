/* Snapshots: one moment of the store.
 *
 * Taken under the publishing lock: a reference to the catalog, the position, and a copy of the list
 * with its published pairs (40 bytes a table). From then on a snapshot is immutable and needs no
 * lock; segments that were dropped or truncated live until the last snapshot that has them goes. */
#include "storage/table/private.h"

#include <assert.h>

struct snapshot {
    _Atomic uint32_t references;
    struct catalog *catalog;
    struct snapshot *whole; /* whose tables these are, NULL: its own */
    uint64_t position;
    struct view_pins pins; /* of all tables */
    uint32_t table_count;
    struct table_view tables[];
};

struct snapshot *snapshot_open(struct store *store)
{
    mutex_lock(&store->publish_mutex);
    struct catalog *catalog = catalog_ref(store->catalog);
    size_t size = catalog->table_count * sizeof(catalog->tables[0]);
    struct snapshot *snapshot = memory_alloc(sizeof(*snapshot) + size);
    memcpy(snapshot->tables, catalog->tables, size);
    snapshot->position = atomic_load_explicit(&store->position, memory_order_relaxed);
    mutex_unlock(&store->publish_mutex);
    atomic_init(&snapshot->references, 1);
    snapshot->catalog = catalog;
    snapshot->whole = NULL;
    snapshot->table_count = catalog->table_count;
    view_pins_init(&snapshot->pins);
    for (uint32_t i = 0; i < snapshot->table_count; i++)
        snapshot->tables[i].pins = &snapshot->pins;
    return snapshot;
}

/* The tables' views point at the pins of the whole, which lives as long. */
struct snapshot *snapshot_restrict(struct snapshot *whole,
                                   bool (*is_seen)(const void *context, uint32_t table_id),
                                   const void *context)
{
    size_t size = whole->table_count * sizeof(whole->tables[0]);
    struct snapshot *snapshot = memory_alloc(sizeof(*snapshot) + size);
    atomic_init(&snapshot->references, 1);
    snapshot->catalog = whole->catalog;
    snapshot->whole = snapshot_ref(whole);
    snapshot->position = whole->position;
    snapshot->table_count = 0;
    for (uint32_t i = 0; i < whole->table_count; i++)
        if (is_seen(context, whole->tables[i].schema->table_id))
            snapshot->tables[snapshot->table_count++] = whole->tables[i];
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_close(struct snapshot *snapshot)
{
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        if (snapshot->whole != NULL) {
            snapshot_close(snapshot->whole);
        } else {
            view_pins_release(&snapshot->pins);
            catalog_unref(snapshot->catalog);
        }
        memory_free(snapshot);
    }
}

uint64_t snapshot_position(const struct snapshot *snapshot)
{
    return snapshot->position;
}

size_t snapshot_table_count(const struct snapshot *snapshot)
{
    return snapshot->table_count;
}

const struct table_view *snapshot_table(const struct snapshot *snapshot, size_t index)
{
    assert(index < snapshot->table_count);
    return &snapshot->tables[index];
}

const struct table_view *snapshot_find(const struct snapshot *snapshot, struct slice name)
{
    uint32_t first = 0, last = snapshot->table_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        int order = slice_compare(snapshot->tables[middle].schema->name, name);
        if (order == 0)
            return &snapshot->tables[middle];
        if (order < 0)
            first = middle + 1;
        else
            last = middle;
    }
    return NULL;
}

const struct table_view *snapshot_find_id(const struct snapshot *snapshot, uint32_t table_id)
{
    for (uint32_t i = 0; i < snapshot->table_count; i++) {
        if (snapshot->tables[i].schema->table_id == table_id)
            return &snapshot->tables[i];
    }
    return NULL;
}
