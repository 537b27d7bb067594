/* What is known of a morsel's rows without their being looked at: how many pass the filter, and the
 * least, the greatest and the sum of a column's values among them.
 *
 *   all rows of a block pass   number, NULLs, least and greatest: the footer's; the sum: added up
 *                              while the values are packed (block_sum)
 *   bitmaps name the rows      their number; of the column that the segment is sorted by, the first
 *                              row has the least value and the last the greatest
 *   otherwise                  nothing: the rows say it
 *
 * Zones of doubles and numerics say less than their values where these have an order of their own:
 * -0 and 0 are equal, and NaN, the greatest numeric, is the least of digits. */
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

/* The first and the last of the rows that bitmaps leave. */
static enum err range_of_sorted(struct cursor *cursor, struct cursor_column *column, bool *is_known,
                                struct scan_extent *out, struct error *error)
{
    const struct sealed_place *place = &cursor->place;
    const struct block *block;
    int64_t values[2];
    uint32_t last = place->block_row_count - 1;
    *is_known = place->footer->time_column_id == column->sealed->column_id &&
                type_physical(column->sealed->type.id) == PHYSICAL_INT;
    if (!*is_known)
        return OK;
    enum err err = cursor_page(cursor, column, &block, error);
    for (uint32_t i = 0; err == OK && i < 2; i++)
        err = block_read_at(block, &place->block_rows[i == 0 ? 0 : last], 1, &column->scratch,
                            &values[i], error);
    if (err != OK)
        return err;
    out->least = (struct value){.type = column->sealed->type, .i = values[0]};
    out->greatest = (struct value){.type = column->sealed->type, .i = values[1]};
    return OK;
}

/* --- sums --- */

static enum err sum_of_block(struct cursor *cursor, struct cursor_column *column, bool *is_known,
                             struct scan_extent *out, struct error *error)
{
    struct type type = column->sealed->type;
    const struct block_zone *zone = &column->sealed->blocks[cursor->place.block].zone;
    const struct block *block;
    bool has_nan = type.id == TYPE_NUMERIC && zone->has_range && zone->min == INT64_MIN;
    *is_known = column->sealed->entry_count == 0 && !has_nan &&
                (type_physical(type.id) == PHYSICAL_INT || type.id == TYPE_NUMERIC);
    out->sum = 0;
    out->scale = type.scale;
    if (!*is_known || zone->null_count == out->row_count)
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
    *out = (struct scan_extent){0};
    enum err err = cursor_rows(cursor, is_known, &out->row_count, error);
    *is_known = *is_known && column->sealed != NULL && out->row_count != 0;
    if (err != OK || !*is_known)
        return err;
    const struct block_zone *zone = &column->sealed->blocks[cursor->place.block].zone;
    out->null_count = zone->null_count;
    if (cursor->place.sieve.rows != NULL) { /* which of them are NULL is not known */
        *is_known = zone->null_count == 0 && want != SCAN_WANT_SUM;
        if (*is_known && want == SCAN_WANT_RANGE)
            err = range_of_sorted(cursor, column, is_known, out, error);
    } else if (want == SCAN_WANT_RANGE) {
        *is_known = range_of_zone(column, zone, out);
    } else if (want == SCAN_WANT_SUM) {
        err = sum_of_block(cursor, column, is_known, out, error);
    }
    return err;
}
