/* Rows by their numbers in the view: what number a row has that came, and rows of given numbers.
 *
 *   sealed    the block's values are picked, those of one vector at a time where they are texts
 *   mutable   the vector around the first one, gathered
 *
 * For columns that are wanted of a few rows, once it is known which: a page is read for each block
 * and column that has one. */
#include "storage/segment/cursor.h"

#include "storage/base/fault.h"

#include <assert.h>

void cursor_row_numbers(const struct cursor *cursor, int64_t *out)
{
    const struct batch_place *last = &cursor->last;
    int64_t base = (int64_t)(table_view_morsel(cursor->view, cursor->morsel).begin + last->base);
    for (size_t i = 0; last->rows != NULL && i < last->count; i++)
        out[i] = base + last->rows[i];
    for (size_t i = 0; last->rows == NULL && i < last->count; i++)
        out[i] = base + (int64_t)i;
}

static size_t find_morsel(const struct table_view *view, uint64_t row)
{
    size_t first = 0, last = table_view_morsel_count(view);
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (table_view_morsel(view, middle).end <= row)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static void chunk_pick(struct cursor *cursor, const uint32_t *rows, size_t count,
                       struct batch *batch)
{
    struct arena *arena = &cursor->place.texts;
    uint32_t *selection = arena_alloc_array(arena, count, sizeof(*selection));
    size_t span = (size_t)rows[count - 1] - rows[0] + 1;
    assert(span <= VECTOR_ROWS_MAX);
    for (size_t i = 0; i < count; i++)
        selection[i] = rows[i] - rows[0];
    for (size_t i = 0; i < cursor->column_count; i++) {
        struct column all = cursor_chunk_vector(cursor, &cursor->columns[i], rows[0], span);
        cursor->vectors[i] = column_gather(&all, selection, count, arena);
    }
    cursor->last = (struct batch_place){.rows = rows, .count = count};
    *batch = (struct batch){
        .row_count = count, .column_count = cursor->column_count, .columns = cursor->vectors};
}

enum err cursor_pick(struct cursor *cursor, const uint64_t *rows, size_t count, struct batch *batch,
                     struct error *error)
{
    assert(cursor->filter == NULL && count > 0);
    size_t morsel = find_morsel(cursor->view, rows[0]), taken = 0;
    if (morsel != cursor->morsel) {
        bool has;
        enum err err = cursor_seek(cursor, morsel, &has, error);
        if (err != OK)
            return err;
        assert(has);
    }
    struct morsel_range range = table_view_morsel(cursor->view, morsel);
    uint64_t end = range.end;
    if (cursor->chunk != NULL && end - rows[0] > VECTOR_ROWS_MAX)
        end = rows[0] + VECTOR_ROWS_MAX;
    uint32_t *picked = cursor->place.picked;
    for (; taken < count && taken < BLOCK_VECTOR_ROWS && rows[taken] < end; taken++) {
        assert(taken == 0 || rows[taken] > rows[taken - 1]);
        picked[taken] = (uint32_t)(rows[taken] - range.begin);
    }
    if (fault_is("cursor.pick_beside") && picked[0] > 0)
        picked[0]--;
    if (cursor->chunk == NULL)
        return sealed_pick(cursor, picked, (uint32_t)taken, batch, error);
    arena_reset(&cursor->place.texts);
    chunk_pick(cursor, picked, taken, batch);
    return OK;
}
