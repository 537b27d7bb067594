/* Lists of closed segments.
 *
 * A list is made by every seal, merge and freeze, and read by every scan: sums of rows and morsels
 * are laid down once, so that a row or a morsel is found by halving. */
#include "storage/encoding/encoding.h"
#include "storage/segment/view.h"

#include <assert.h>

static uint64_t entry_rows(const struct segment_entry *entry)
{
    return entry->sealed != NULL ? sealed_info(entry->sealed)->row_count : entry->published.rows;
}

static uint64_t entry_morsels(const struct segment_entry *entry)
{
    if (entry->sealed == NULL)
        return entry->published.chunk_count;
    return (entry_rows(entry) + BLOCK_ROWS_MAX - 1) / BLOCK_ROWS_MAX;
}

struct segment_list *segment_list_create(const struct segment_entry *entries, uint32_t count)
{
    if (count == 0)
        return NULL;
    size_t entries_size = count * sizeof(entries[0]);
    size_t sums_size = ((size_t)count + 1) * sizeof(uint64_t);
    struct segment_list *list = memory_alloc(sizeof(*list) + entries_size + 2 * sums_size);
    atomic_init(&list->references, 1);
    list->count = count;
    list->first_rows = (uint64_t *)(void *)(list->entries + count);
    list->first_morsels = list->first_rows + count + 1;
    list->row_count = 0;
    list->morsel_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        assert((entries[i].sealed != NULL) != (entries[i].segment != NULL));
        list->entries[i] = entries[i];
        if (entries[i].sealed != NULL)
            sealed_ref(entries[i].sealed);
        else
            segment_ref(entries[i].segment);
        list->first_rows[i] = list->row_count;
        list->first_morsels[i] = list->morsel_count;
        list->row_count += entry_rows(&entries[i]);
        list->morsel_count += entry_morsels(&entries[i]);
    }
    list->first_rows[count] = list->row_count;
    list->first_morsels[count] = list->morsel_count;
    return list;
}

struct segment_list *segment_list_ref(struct segment_list *list)
{
    if (list != NULL)
        atomic_fetch_add_explicit(&list->references, 1, memory_order_relaxed);
    return list;
}

void segment_list_unref(struct segment_list *list)
{
    if (list == NULL)
        return;
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&list->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before != 1)
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entries[i].sealed != NULL)
            sealed_unref(list->entries[i].sealed);
        else
            segment_unref(list->entries[i].segment);
    }
    memory_free(list);
}
