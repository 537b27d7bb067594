/* Views: which rows a snapshot sees of a table, morsel by morsel.
 *
 * A morsel is a block of a sealed segment or a chunk of a mutable one. Where a chunk ends is known
 * from the next chunk's first row, or for the last one from its segment's published row count, so
 * chunks that ended early (a new definition, a dictionary that gave up) need no field that changes.
 */
#include "storage/segment/view.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/segment/footer.h"
#include "storage/segment/source.h"

#include <assert.h>

/* --- pins --- */

void view_pins_init(struct view_pins *pins)
{
    for (uint32_t i = 0; i < VIEW_PIN_LISTS; i++)
        atomic_init(&pins->lists[i], NULL);
}

bool view_pins_add(struct view_pins *pins, struct cache_entry *entry)
{
    uint64_t place = hash_mix((uint64_t)(uintptr_t)entry) % VIEW_PIN_LISTS;
    _Atomic(struct view_pin *) *list = &pins->lists[place];
    /* acquire: the pins of other threads are read. */
    struct view_pin *first = atomic_load_explicit(list, memory_order_acquire);
    for (const struct view_pin *pin = first; pin != NULL; pin = pin->next) {
        if (pin->entry == entry) {
            cache_entry_unref(entry);
            return false;
        }
    }
    struct view_pin *pin = memory_alloc(sizeof(*pin));
    *pin = (struct view_pin){.entry = entry, .next = first};
    while (!atomic_compare_exchange_weak_explicit(list, &pin->next, pin, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    return true;
}

void view_pins_release(struct view_pins *pins)
{
    for (uint32_t i = 0; i < VIEW_PIN_LISTS; i++) {
        if (atomic_load_explicit(&pins->lists[i], memory_order_relaxed) == NULL)
            continue; /* most are: a look costs less than an exchange */
        struct view_pin *pin =
            atomic_exchange_explicit(&pins->lists[i], NULL, memory_order_acquire);
        while (pin != NULL) {
            struct view_pin *next = pin->next;
            cache_entry_unref(pin->entry);
            memory_free(pin);
            pin = next;
        }
    }
}

/* --- rows and morsels --- */

const struct schema *table_view_schema(const struct table_view *view)
{
    return view->schema;
}

static uint64_t closed_rows(const struct table_view *view)
{
    return view->closed != NULL ? view->closed->row_count : 0;
}

static uint64_t closed_morsels(const struct table_view *view)
{
    return view->closed != NULL ? view->closed->morsel_count : 0;
}

uint64_t table_view_rows(const struct table_view *view)
{
    return closed_rows(view) + view->published.rows;
}

size_t table_view_morsel_count(const struct table_view *view)
{
    return closed_morsels(view) + view->published.chunk_count;
}

/* The closed segment that has the morsel: the last that begins at or before it and is not empty. */
static uint32_t find_entry(const struct segment_list *closed, size_t morsel)
{
    uint32_t first = 0, last = closed->count;
    while (last - first > 1) {
        uint32_t middle = first + (last - first) / 2;
        if (closed->first_morsels[middle] <= morsel)
            first = middle;
        else
            last = middle;
    }
    return first;
}

struct morsel_place view_morsel_place(const struct table_view *view, size_t morsel)
{
    assert(morsel < table_view_morsel_count(view));
    size_t closed = closed_morsels(view);
    if (morsel >= closed)
        return (struct morsel_place){.index = (uint32_t)(morsel - closed)};
    uint32_t entry = find_entry(view->closed, morsel);
    return (struct morsel_place){
        .entry = &view->closed->entries[entry],
        .index = (uint32_t)(morsel - view->closed->first_morsels[entry]),
    };
}

static struct morsel_range chunk_range(const struct segment *segment,
                                       const struct published *published, uint32_t index)
{
    assert(index < published->chunk_count);
    struct morsel_range range = {.begin = segment_chunk(segment, index)->first_row,
                                 .end = published->rows};
    if (index + 1 < published->chunk_count)
        range.end = segment_chunk(segment, index + 1)->first_row;
    return range;
}

static struct morsel_range block_range(const struct sealed *sealed, uint32_t index)
{
    uint64_t row_count = sealed_info(sealed)->row_count;
    uint64_t begin = (uint64_t)index * BLOCK_ROWS_MAX;
    assert(begin < row_count);
    uint64_t left = row_count - begin;
    return (struct morsel_range){.begin = begin,
                                 .end = begin + (left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX)};
}

struct morsel_range table_view_morsel(const struct table_view *view, size_t morsel)
{
    struct morsel_place place = view_morsel_place(view, morsel);
    const struct segment_entry *entry = place.entry;
    struct morsel_range range;
    uint64_t first_row = closed_rows(view);
    if (entry == NULL)
        range = chunk_range(view->segment, &view->published, place.index);
    else if (entry->segment != NULL)
        range = chunk_range(entry->segment, &entry->published, place.index);
    else
        range = block_range(entry->sealed, place.index);
    if (entry != NULL)
        first_row = view->closed->first_rows[entry - view->closed->entries];
    range.begin += first_row;
    range.end += first_row;
    return range;
}

struct morsel_home table_view_morsel_home(const struct table_view *view, size_t morsel)
{
    struct morsel_place place = view_morsel_place(view, morsel);
    const struct segment_entry *entry = place.entry;
    struct morsel_home home = {.index = place.index};
    home.is_sealed = entry != NULL && entry->sealed != NULL;
    if (home.is_sealed)
        home.segment = sealed_info(entry->sealed)->number;
    else if (entry != NULL)
        home.segment = segment_id(entry->segment);
    else if (place.index + 1 < view->published.chunk_count || fault_is("view.open_chunk"))
        home.segment = segment_id(view->segment);
    return home;
}

uint64_t table_view_open_segment(const struct table_view *view)
{
    return view->segment != NULL ? segment_id(view->segment) : 0;
}

/* --- times --- */

/* The manifest has the times of the column that was the time column when the segment was written. A
 * table keeps it from its creation on or loses it, so until a footer says which it was, it is this
 * one. */
static bool block_times(const struct sealed *sealed, uint32_t index, uint32_t time_column_id,
                        int64_t *min_us, int64_t *max_us)
{
    const struct sealed_info *info = sealed_info(sealed);
    *min_us = info->min_time_us;
    *max_us = info->max_time_us;
    const struct sealed_footer *footer = sealed_footer_known(sealed);
    if (footer == NULL || info->min_time_us > info->max_time_us)
        return info->min_time_us <= info->max_time_us;
    if (footer->time_column_id != time_column_id)
        return false;
    const struct sealed_column *column = sealed_column_find(footer, time_column_id);
    if (column == NULL || !column->blocks[index].zone.has_range)
        return false;
    *min_us = column->blocks[index].zone.min;
    *max_us = column->blocks[index].zone.max;
    return true;
}

enum err table_view_know_times(const struct table_view *view, size_t morsel, struct error *error)
{
    struct morsel_place place = view_morsel_place(view, morsel);
    const struct sealed_footer *footer;
    if (place.entry == NULL || place.entry->sealed == NULL)
        return OK;
    return sealed_open(place.entry->sealed, &footer, error);
}

bool table_view_morsel_times(const struct table_view *view, size_t morsel, int64_t *min_us,
                             int64_t *max_us)
{
    const struct schema *schema = view->schema;
    if (schema->time_column < 0)
        return false;
    uint32_t time_column_id = schema->columns[schema->time_column].id;
    struct morsel_place place = view_morsel_place(view, morsel);
    if (place.entry != NULL && place.entry->sealed != NULL)
        return block_times(place.entry->sealed, place.index, time_column_id, min_us, max_us);
    const struct segment *segment = place.entry != NULL ? place.entry->segment : view->segment;
    const struct chunk *chunk = segment_chunk(segment, place.index);
    if (chunk->time_column_id != time_column_id)
        return false;
    *min_us = atomic_load_explicit(&chunk->min_time_us, memory_order_relaxed);
    *max_us = atomic_load_explicit(&chunk->max_time_us, memory_order_relaxed);
    return true;
}
