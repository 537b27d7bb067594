/* Views: figures about what a snapshot sees of a table, chunk by chunk.
 *
 * A morsel is a chunk. Where a chunk ends is known from the next chunk's first row, or for the last
 * one from the view's row count, so chunks that ended early (a new definition, a dictionary that
 * gave up) need no field that changes. */
#include "storage/segment/view.h"

#include <assert.h>
#include <stdio.h>

struct morsel_range view_morsel(const struct table_view *view, uint32_t chunk_index)
{
    assert(chunk_index < view->published.chunk_count);
    struct morsel_range range = {.begin = segment_chunk(view->segment, chunk_index)->first_row,
                                 .end = view->published.rows};
    if (chunk_index + 1 < view->published.chunk_count)
        range.end = segment_chunk(view->segment, chunk_index + 1)->first_row;
    return range;
}

const struct schema *table_view_schema(const struct table_view *view)
{
    return view->schema;
}

uint64_t table_view_rows(const struct table_view *view)
{
    return view->published.rows;
}

size_t table_view_morsel_count(const struct table_view *view)
{
    return view->published.chunk_count;
}

struct morsel_range table_view_morsel(const struct table_view *view, size_t morsel)
{
    return view_morsel(view, (uint32_t)morsel);
}

bool table_view_morsel_times(const struct table_view *view, size_t morsel, int64_t *min_us,
                             int64_t *max_us)
{
    const struct schema *schema = view->schema;
    if (schema->time_column < 0)
        return false;
    const struct chunk *chunk = segment_chunk(view->segment, (uint32_t)morsel);
    if (chunk->time_column_id != schema->columns[schema->time_column].id)
        return false;
    *min_us = atomic_load_explicit(&chunk->min_time_us, memory_order_relaxed);
    *max_us = atomic_load_explicit(&chunk->max_time_us, memory_order_relaxed);
    return true;
}

void table_view_statistics(const struct table_view *view, struct table_statistics *out)
{
    size_t bytes = segment_bytes(view->segment);
    *out = (struct table_statistics){
        .rows = view->published.rows,
        .mutable_rows = view->published.rows,
        .bytes = bytes,
        .mutable_bytes = bytes,
        .segment_count = view->published.rows != 0 ? 1 : 0,
        .min_time_us = INT64_MAX,
        .max_time_us = INT64_MIN,
        .first_position = view->published.first_position,
        .last_position = view->published.last_position,
    };
    for (uint32_t i = 0; i < view->published.chunk_count; i++) {
        int64_t min_us, max_us;
        if (!table_view_morsel_times(view, i, &min_us, &max_us))
            continue;
        out->min_time_us = min_us < out->min_time_us ? min_us : out->min_time_us;
        out->max_time_us = max_us > out->max_time_us ? max_us : out->max_time_us;
    }
}

/* Bytes of the texts of a chunk's first `row_count` rows as if each row had its own. */
static uint64_t text_bytes(const struct chunk_column *column, uint64_t row_count)
{
    uint64_t total = 0;
    if (column->form == CHUNK_TEXT) {
        const struct slice *texts = column->values;
        for (uint64_t i = 0; i < row_count; i++)
            total += texts[i].size;
        return total;
    }
    uint32_t count;
    const struct slice *entries = dictionary_entries(column->dictionary, &count);
    const uint16_t *codes = column->values;
    for (uint64_t i = 0; i < row_count && count != 0; i++)
        total += entries[codes[i]].size;
    return total;
}

/* The same, remembered for chunks that no longer grow. */
static uint64_t text_bytes_cached(struct chunk_column *column, uint64_t row_count, bool is_last)
{
    uint64_t cached = atomic_load_explicit(&column->text_bytes, memory_order_relaxed);
    if (cached != 0)
        return cached - 1;
    uint64_t bytes = text_bytes(column, row_count);
    if (!is_last)
        atomic_store_explicit(&column->text_bytes, bytes + 1, memory_order_relaxed);
    return bytes;
}

static struct chunk_column *find_column(const struct chunk *chunk, uint32_t column_id)
{
    for (uint32_t i = 0; i < chunk->column_count; i++) {
        if (chunk->columns[i].column_id == column_id)
            return (struct chunk_column *)&chunk->columns[i];
    }
    return NULL;
}

void table_view_column_statistics(const struct table_view *view, uint32_t column_index,
                                  uint64_t *bytes, uint64_t *raw_bytes, char *encodings,
                                  size_t encodings_size)
{
    static const char *const names[] = {"plain", "dictionary", "constant"};
    const struct column_definition *definition = &view->schema->columns[column_index];
    bool has[array_count(names)] = {false};
    *bytes = 0;
    *raw_bytes = 0;
    for (uint32_t i = 0; i < view->published.chunk_count; i++) {
        struct chunk_column *column = find_column(segment_chunk(view->segment, i), definition->id);
        struct morsel_range range = view_morsel(view, i);
        uint64_t rows = range.end - range.begin;
        if (column == NULL) {
            has[2] = true;
            continue;
        }
        *bytes += rows * column->width;
        if (column->form == CHUNK_FIXED) {
            *raw_bytes += rows * column->width;
        } else {
            uint64_t text = text_bytes_cached(column, rows, i + 1 == view->published.chunk_count);
            *raw_bytes += text;
            *bytes += column->form == CHUNK_TEXT ? text : 0;
        }
        has[column->form == CHUNK_CODES ? 1 : 0] = true;
    }
    size_t used = 0;
    if (encodings_size != 0)
        encodings[0] = 0;
    for (size_t i = 0; i < array_count(names); i++) {
        if (has[i] && used < encodings_size)
            used += (size_t)snprintf(encodings + used, encodings_size - used, "%s%s",
                                     used == 0 ? "" : ",", names[i]);
    }
}
