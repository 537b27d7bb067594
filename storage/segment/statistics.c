/* Figures about what a snapshot sees of a table: for limits, for pruning and for people.
 *
 * Of sealed segments they come from the manifest (rows, bytes of the file, times) and from the
 * footer (columns), of mutable ones from their chunks. Only the figures of columns may read a
 * footer; a segment whose footer cannot be read is left out of them. */
#include "storage/segment/view.h"

#include "storage/segment/footer.h"
#include "storage/segment/source.h"

#include <assert.h>
#include <stdio.h>

/* One mutable segment of the view, the open one or one that waits to be sealed. */
struct mutable_part {
    const struct segment *segment;
    const struct published *published;
};

static struct mutable_part part_of(const struct table_view *view, const struct segment_entry *entry)
{
    if (entry == NULL)
        return (struct mutable_part){view->segment, &view->published};
    return (struct mutable_part){entry->segment, &entry->published};
}

static uint64_t part_chunk_rows(struct mutable_part part, uint32_t index)
{
    uint64_t end = part.published->rows;
    if (index + 1 < part.published->chunk_count)
        end = segment_chunk(part.segment, index + 1)->first_row;
    return end - segment_chunk(part.segment, index)->first_row;
}

/* --- segments and tables --- */

static void widen_times(int64_t *min_us, int64_t *max_us, int64_t other_min_us,
                        int64_t other_max_us)
{
    *min_us = other_min_us < *min_us ? other_min_us : *min_us;
    *max_us = other_max_us > *max_us ? other_max_us : *max_us;
}

static void describe_sealed(const struct sealed_info *info, struct segment_statistics *out)
{
    *out = (struct segment_statistics){
        .is_sealed = true,
        .rows = info->row_count,
        .bytes = info->bytes,
        .min_time_us = info->min_time_us,
        .max_time_us = info->max_time_us,
        .first_position = info->first_position,
        .last_position = info->last_position,
        .created_at_us = info->created_at_us,
    };
    snprintf(out->id, sizeof(out->id), "s%llu", (unsigned long long)info->number);
}

static void describe_mutable(const struct table_view *view, struct mutable_part part,
                             struct segment_statistics *out)
{
    const struct schema *schema = view->schema;
    *out = (struct segment_statistics){
        .rows = part.published->rows,
        .bytes = segment_bytes(part.segment),
        .min_time_us = INT64_MAX,
        .max_time_us = INT64_MIN,
        .first_position = part.published->first_position,
        .last_position = part.published->last_position,
        .created_at_us = schema->created_at_us,
    };
    if (schema->time_column < 0)
        return;
    for (uint32_t i = 0; i < part.published->chunk_count; i++) {
        const struct chunk *chunk = segment_chunk(part.segment, i);
        if (chunk->time_column_id == schema->columns[schema->time_column].id)
            widen_times(&out->min_time_us, &out->max_time_us,
                        atomic_load_explicit(&chunk->min_time_us, memory_order_relaxed),
                        atomic_load_explicit(&chunk->max_time_us, memory_order_relaxed));
    }
}

static void describe(const struct table_view *view, const struct segment_entry *entry,
                     struct segment_statistics *out)
{
    if (entry != NULL && entry->sealed != NULL)
        describe_sealed(sealed_info(entry->sealed), out);
    else
        describe_mutable(view, part_of(view, entry), out);
}

static uint32_t closed_count(const struct table_view *view)
{
    return view->closed != NULL ? view->closed->count : 0;
}

static const struct segment_entry *entry_at(const struct table_view *view, uint32_t index)
{
    return index < closed_count(view) ? &view->closed->entries[index] : NULL;
}

static uint64_t rows_at(const struct table_view *view, uint32_t index)
{
    if (index < closed_count(view))
        return view->closed->first_rows[index + 1] - view->closed->first_rows[index];
    return view->published.rows;
}

size_t table_view_segment_count(const struct table_view *view)
{
    size_t count = 0;
    for (uint32_t i = 0; i <= closed_count(view); i++)
        count += rows_at(view, i) != 0 ? 1 : 0;
    return count;
}

void table_view_segment(const struct table_view *view, size_t index, struct segment_statistics *out)
{
    size_t left = index;
    uint32_t mutable_ordinal = 1;
    for (uint32_t i = 0; i <= closed_count(view); i++) {
        if (rows_at(view, i) == 0)
            continue;
        const struct segment_entry *entry = entry_at(view, i);
        if (left-- != 0) {
            mutable_ordinal += entry == NULL || entry->sealed == NULL ? 1 : 0;
            continue;
        }
        describe(view, entry, out);
        if (!out->is_sealed)
            snprintf(out->id, sizeof(out->id), "m%u-%u", view->schema->table_id, mutable_ordinal);
        return;
    }
    assert(!"index is below table_view_segment_count");
}

void table_view_statistics(const struct table_view *view, struct table_statistics *out)
{
    *out = (struct table_statistics){.min_time_us = INT64_MAX, .max_time_us = INT64_MIN};
    for (uint32_t i = 0; i <= closed_count(view); i++) {
        const struct segment_entry *entry = entry_at(view, i);
        if (entry == NULL && view->segment == NULL)
            continue;
        struct segment_statistics one;
        describe(view, entry, &one);
        out->rows += one.rows;
        out->bytes += one.bytes;
        out->mutable_rows += one.is_sealed ? 0 : one.rows;
        out->mutable_bytes += one.is_sealed ? 0 : one.bytes;
        out->sealed_count += one.is_sealed ? 1 : 0;
        if (one.rows == 0)
            continue;
        out->segment_count++;
        widen_times(&out->min_time_us, &out->max_time_us, one.min_time_us, one.max_time_us);
        if (out->first_position == 0 ||
            (one.first_position != 0 && one.first_position < out->first_position))
            out->first_position = one.first_position;
        if (one.last_position > out->last_position)
            out->last_position = one.last_position;
    }
}

/* --- columns --- */

struct column_figures {
    uint64_t bytes, raw_bytes;
    bool has_plain, has_dictionary, has_constant; /* of mutable chunks */
    uint32_t encodings;                           /* of blocks: bit per encoding */
};

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

static struct chunk_column *find_chunk_column(const struct chunk *chunk, uint32_t column_id)
{
    for (uint32_t i = 0; i < chunk->column_count; i++) {
        if (chunk->columns[i].column_id == column_id)
            return (struct chunk_column *)&chunk->columns[i];
    }
    return NULL;
}

static void add_mutable(struct mutable_part part, uint32_t column_id, struct column_figures *out)
{
    for (uint32_t i = 0; i < part.published->chunk_count; i++) {
        struct chunk_column *column = find_chunk_column(segment_chunk(part.segment, i), column_id);
        if (column == NULL) {
            out->has_constant = true;
            continue;
        }
        uint64_t rows = part_chunk_rows(part, i);
        out->bytes += rows * column->width;
        if (column->form == CHUNK_FIXED) {
            out->raw_bytes += rows * column->width;
        } else {
            uint64_t text = text_bytes_cached(column, rows, i + 1 == part.published->chunk_count);
            out->raw_bytes += text;
            out->bytes += column->form == CHUNK_TEXT ? text : 0;
        }
        out->has_dictionary |= column->form == CHUNK_CODES;
        out->has_plain |= column->form != CHUNK_CODES;
    }
}

static void add_sealed(struct sealed *sealed, uint32_t column_id, struct column_figures *out)
{
    const struct sealed_footer *footer;
    struct error ignored; /* a query of its rows will say it */
    if (sealed_open(sealed, &footer, &ignored) != OK)
        return;
    const struct sealed_column *column = sealed_column_find(footer, column_id);
    if (column == NULL) {
        out->has_constant = true;
        return;
    }
    out->raw_bytes += column->raw_bytes;
    out->bytes += column->dictionary.size + column->index.size;
    out->has_dictionary |= column->entry_count != 0;
    for (uint32_t i = 0; i < footer->block_count; i++) {
        out->bytes += column->blocks[i].page.size;
        out->encodings |= UINT32_C(1) << column->blocks[i].encoding;
    }
}

static void print_name(const char *name, char *out, size_t out_size)
{
    size_t used = strlen(out);
    if (used < out_size)
        snprintf(out + used, out_size - used, "%s%s", used == 0 ? "" : ",", name);
}

/* Each name once, those of mutable chunks first. */
static void print_encodings(const struct column_figures *figures, char *out, size_t out_size)
{
    const char *const names[] = {figures->has_plain ? "plain" : NULL,
                                 figures->has_dictionary ? "dictionary" : NULL,
                                 figures->has_constant ? "constant" : NULL};
    if (out_size == 0)
        return;
    out[0] = 0;
    for (size_t i = 0; i < array_count(names); i++) {
        if (names[i] != NULL)
            print_name(names[i], out, out_size);
    }
    for (uint8_t encoding = 0; encoding < ENCODING_COUNT_MAX; encoding++) {
        if ((figures->encodings >> encoding & 1) == 0)
            continue;
        const char *name = encoding_name(encoding);
        bool is_printed = false;
        for (size_t i = 0; i < array_count(names); i++)
            is_printed |= names[i] != NULL && strcmp(names[i], name) == 0;
        if (!is_printed)
            print_name(name, out, out_size);
    }
}

void table_view_column_statistics(const struct table_view *view, uint32_t column_index,
                                  uint64_t *bytes, uint64_t *raw_bytes, char *encodings,
                                  size_t encodings_size)
{
    uint32_t column_id = view->schema->columns[column_index].id;
    struct column_figures figures = {0};
    for (uint32_t i = 0; i <= closed_count(view); i++) {
        const struct segment_entry *entry = entry_at(view, i);
        if (entry != NULL && entry->sealed != NULL)
            add_sealed(entry->sealed, column_id, &figures);
        else if (entry != NULL || view->segment != NULL)
            add_mutable(part_of(view, entry), column_id, &figures);
    }
    *bytes = figures.bytes;
    *raw_bytes = figures.raw_bytes;
    print_encodings(&figures, encodings, encodings_size);
}
