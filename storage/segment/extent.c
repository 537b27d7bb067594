/* What is known of a morsel's rows without their being looked at: how many pass the filter, and the
 * least, the greatest and the sum of a column's values among them.
 *
 *   all rows of a block pass   number, NULLs, least and greatest: the footer's; the sum: added up
 *                              while the values are packed (block_sum)
 *   bitmaps name the rows      their number; where none of the block is NULL, their values are
 *                              picked and added up or compared, and never become vectors; of the
 *                              column that the segment is sorted by, the first row has the least
 *                              value and the last the greatest
 *   otherwise                  nothing: the rows say it
 *
 * Whether something is known follows from footers alone, so it can be asked before anything is
 * read. Zones of doubles and numerics say less than their values where these have an order of their
 * own: -0 and 0 are equal, and NaN, the greatest numeric, is the least of digits. */
#include "storage/segment/cursor.h"

#include "storage/base/fault.h"

#include <assert.h>

enum err cursor_rows(struct cursor *cursor, bool *is_known, uint64_t *row_count,
                     struct error *error)
{
    struct sealed_place *place = &cursor->place;
    enum err err = OK;
    *is_known = cursor->chunk == NULL && place->sealed != NULL;
    if (!*is_known)
        return OK;
    if (place->sieve.rows != NULL) {
        err = cursor_block_rows(cursor, error);
        *row_count = place->block_row_count;
        return err;
    }
    for (size_t i = 0; i < place->sieve.sift_count; i++)
        *is_known = *is_known && !place->sieve.sifts[i].is_pending;
    *row_count = place->end;
    return OK;
}

/* --- least and greatest --- */

/* From the terms of a zone; false: they say less than the value. */
static bool value_of(struct type type, enum block_class class, int64_t raw, struct value *out)
{
    *out = (struct value){.type = type};
    if (class == BLOCK_FLOAT) {
        out->f = float_unorder(raw);
        return out->f != 0;
    }
    if (type.id == TYPE_NUMERIC) {
        cursor_convert(type, &raw, 1, &out->n);
        return raw != INT64_MIN;
    }
    out->i = raw;
    return type_physical(type.id) == PHYSICAL_INT;
}

static bool range_of_zone(const struct cursor_column *column, const struct block_zone *zone,
                          struct scan_extent *out)
{
    struct type type = column->sealed->type;
    enum block_class class = block_class_of(type.id);
    if (column->sealed->entry_count != 0 || (class != BLOCK_INTEGER && class != BLOCK_FLOAT))
        return false;
    if (zone->null_count == out->row_count)
        return true;
    int64_t max = zone->max - (fault_is("sealed.extent_of_zone") ? 1 : 0);
    return zone->has_range && value_of(type, class, zone->min, &out->least) &&
           value_of(type, class, max, &out->greatest);
}

/* --- rows that bitmaps leave --- */

static bool is_sorted_by(const struct cursor *cursor, const struct cursor_column *column)
{
    return cursor->place.footer->time_column_id == column->sealed->column_id &&
           type_physical(column->sealed->type.id) == PHYSICAL_INT;
}

/* Least and greatest of what is picked, some rows at a time. */
static enum err widen_by_rows(struct cursor *cursor, struct cursor_column *column,
                              const struct block *block, int64_t *low, int64_t *high,
                              struct error *error)
{
    const struct sealed_place *place = &cursor->place;
    int64_t *values = cursor_raw(cursor, column), least = INT64_MAX, greatest = INT64_MIN;
    for (uint32_t done = 0; done < place->block_row_count;) {
        uint32_t left = place->block_row_count - done;
        uint32_t count = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
        enum err err =
            block_read_at(block, place->block_rows + done, count, &column->scratch, values, error);
        if (err != OK)
            return err;
        for (uint32_t i = 0; i < count; i++) {
            least = values[i] < least ? values[i] : least;
            greatest = values[i] > greatest ? values[i] : greatest;
        }
        done += count;
    }
    *low = least;
    *high = greatest;
    return OK;
}

static enum err range_of_rows(struct cursor *cursor, struct cursor_column *column,
                              struct scan_extent *out, struct error *error)
{
    const struct sealed_place *place = &cursor->place;
    struct type type = column->sealed->type;
    const struct block *block;
    int64_t low = 0, high = 0;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err == OK && is_sorted_by(cursor, column)) {
        err = block_read_at(block, &place->block_rows[0], 1, &column->scratch, &low, error);
        if (err == OK)
            err = block_read_at(block, &place->block_rows[place->block_row_count - 1], 1,
                                &column->scratch, &high, error);
    } else if (err == OK) {
        err = widen_by_rows(cursor, column, block, &low, &high, error);
    }
    bool is_value = err == OK && value_of(type, BLOCK_INTEGER, low, &out->least) &&
                    value_of(type, BLOCK_INTEGER, high, &out->greatest);
    assert(err != OK || is_value);
    return err;
}

static enum err sum_of_rows(struct cursor *cursor, struct cursor_column *column,
                            struct scan_extent *out, struct error *error)
{
    const struct sealed_place *place = &cursor->place;
    const struct block *block;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err == OK)
        out->sum = block_sum_at(block, place->block_rows, place->block_row_count);
    return err;
}

/* Integers, or numerics none of which is NaN, and no NULL among them. */
static bool is_plain_block(const struct cursor_column *column, const struct block_zone *zone)
{
    struct type type = column->sealed->type;
    bool has_nan = type.id == TYPE_NUMERIC && zone->has_range && zone->min == INT64_MIN;
    return column->sealed->entry_count == 0 && !has_nan &&
           (type_physical(type.id) == PHYSICAL_INT || type.id == TYPE_NUMERIC);
}

/* --- sums of whole blocks --- */

static enum err sum_of_block(struct cursor *cursor, struct cursor_column *column,
                             const struct block_zone *zone, struct scan_extent *out,
                             struct error *error)
{
    const struct block *block;
    if (zone->null_count == out->row_count)
        return OK;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err != OK)
        return err;
    for (uint32_t begin = 0; begin < block->row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t left = block->row_count - begin;
        out->sum += block_sum(block, begin, left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS);
    }
    return OK;
}

enum err cursor_extent(struct cursor *cursor, size_t index, enum scan_want want, bool *is_known,
                       struct scan_extent *out, struct error *error)
{
    assert(index < cursor->column_count);
    struct cursor_column *column = &cursor->columns[index];
    struct scan_extent extent = {0};
    enum err err = cursor_rows(cursor, is_known, &extent.row_count, error);
    *is_known = *is_known && column->sealed != NULL && extent.row_count != 0;
    if (err != OK || !*is_known)
        return err;
    const struct block_zone *zone = &column->sealed->blocks[cursor->place.block].zone;
    bool is_by_bitmap = cursor->place.sieve.rows != NULL;
    extent.null_count = zone->null_count;
    extent.scale = column->sealed->type.scale;
    if (is_by_bitmap) /* which of them are NULL is not known */
        *is_known =
            zone->null_count == 0 && (want == SCAN_WANT_NULLS || is_plain_block(column, zone));
    else if (want == SCAN_WANT_RANGE)
        *is_known = range_of_zone(column, zone, &extent);
    else if (want == SCAN_WANT_SUM)
        *is_known = is_plain_block(column, zone);
    if (!*is_known || out == NULL)
        return OK;
    if (is_by_bitmap && want == SCAN_WANT_RANGE)
        err = range_of_rows(cursor, column, &extent, error);
    else if (is_by_bitmap && want == SCAN_WANT_SUM)
        err = sum_of_rows(cursor, column, &extent, error);
    else if (want == SCAN_WANT_SUM)
        err = sum_of_block(cursor, column, zone, &extent, error);
    *out = extent;
    return err;
}
