/* What is known of a morsel's rows, or of a part of them, without vectors being made: how many pass
 * the filter, and the least, the greatest and the sum of a column's values among them.
 *
 *   all rows of a block   number, NULLs, least and greatest: the footer's; of texts these are codes
 *                         of the segment's dictionary, which is sorted
 *   a run of rows         nothing in it is NULL: sums while the values are packed, else what one
 *                         pass over them says; of the column that the segment is sorted by, the
 *                         first row has the least value and the last the greatest
 *   rows by number        bitmaps name them, or the filter was held against all rows for them
 *                         (cursor_list): their values are picked
 *   otherwise             nothing: the rows say it
 *
 * Parts are told by places: the how-many-th of the rows that come. The times of a segment are in
 * order, so where a bucket of time ends is found by halving: first among the vectors' first times,
 * then in the one vector that holds it, which is kept for the next search.
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
    if (place_has_list(place)) {
        err = cursor_block_rows(cursor, error);
        *row_count = place->block_row_count;
        return err;
    }
    struct sift *sifts;
    size_t sift_count = sieve_all(&place->sieve, &sifts);
    for (size_t i = 0; i < sift_count; i++)
        *is_known = *is_known && !sifts[i].is_pending;
    *row_count = place->end;
    return OK;
}

bool cursor_has_parts(const struct cursor *cursor)
{
    return cursor->chunk == NULL && cursor->place.sealed != NULL;
}

enum err cursor_list(struct cursor *cursor, struct error *error)
{
    assert(cursor_has_parts(cursor) && cursor->place.row == 0);
    return cursor_block_rows(cursor, error);
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

/* The texts of a dictionary that a block's codes begin and end with. */
static bool has_codes(const struct cursor_column *column, const struct block_zone *zone)
{
    uint8_t type = column->sealed->type.id;
    return (type == TYPE_TEXT || type == TYPE_VARCHAR) && zone->has_range && zone->min >= 0 &&
           zone->min <= zone->max && zone->max < (int64_t)column->sealed->entry_count;
}

static enum err range_of_codes(struct cursor *cursor, struct cursor_column *column,
                               struct scan_extent *out, struct error *error)
{
    const struct block_zone *zone = &column->sealed->blocks[cursor->place.block].zone;
    const struct cache_entry *dictionary;
    enum err err = cursor_dictionary(cursor, column, &dictionary, error);
    if (err != OK)
        return err;
    assert(dictionary->text_count == column->sealed->entry_count);
    struct type type = column->sealed->type;
    int64_t max = zone->max - (fault_is("sealed.extent_of_codes") && zone->max > 0 ? 1 : 0);
    out->least = (struct value){.type = type, .text = dictionary->texts[zone->min]};
    out->greatest = (struct value){.type = type, .text = dictionary->texts[max]};
    return OK;
}

/* --- values --- */

/* Values that can be added up and compared as the block has them: integers and doubles, numerics
 * none of which is NaN, no NULL among them. */
static bool is_plain_block(const struct cursor_column *column, const struct block_zone *zone)
{
    struct type type = column->sealed->type;
    enum physical physical = type_physical(type.id);
    bool has_nan = type.id == TYPE_NUMERIC && zone->has_range && zone->min == INT64_MIN;
    return column->sealed->entry_count == 0 && zone->null_count == 0 && !has_nan &&
           (physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT || type.id == TYPE_NUMERIC);
}

static bool is_sorted_by(const struct cursor *cursor, const struct cursor_column *column)
{
    return cursor->place.footer->time_column_id == column->sealed->column_id &&
           type_physical(column->sealed->type.id) == PHYSICAL_INT;
}

/* Rows at places [begin, end). */
static struct block_part part_of(const struct cursor *cursor, uint32_t begin, uint32_t end)
{
    const struct sealed_place *place = &cursor->place;
    return (struct block_part){
        .begin = begin, .end = end, .rows = place_has_list(place) ? place->block_rows : NULL};
}

static uint32_t row_at(const struct block_part *part, uint32_t place)
{
    return part->rows == NULL ? place : part->rows[place];
}

static enum err range_of_part(struct cursor *cursor, struct cursor_column *column,
                              const struct block_part *part, struct scan_extent *out,
                              struct error *error)
{
    struct type type = column->sealed->type;
    const struct block *block;
    int64_t low, high;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err != OK)
        return err;
    if (block->class == BLOCK_FLOAT) {
        out->least.type = out->greatest.type = type;
        return block_part_extremes(block, part, &column->scratch, &out->least.f, &out->greatest.f,
                                   error);
    }
    if (is_sorted_by(cursor, column)) {
        uint32_t first = row_at(part, part->begin), last = row_at(part, part->end - 1);
        err = block_read_at(block, &first, 1, &column->scratch, &low, error);
        if (err == OK)
            err = block_read_at(block, &last, 1, &column->scratch, &high, error);
    } else {
        block_part_range(block, part, &low, &high);
    }
    bool is_value = err == OK && value_of(type, BLOCK_INTEGER, low, &out->least) &&
                    value_of(type, BLOCK_INTEGER, high, &out->greatest);
    assert(err != OK || is_value);
    return err;
}

static enum err sum_of_part(struct cursor *cursor, struct cursor_column *column,
                            const struct block_part *part, struct scan_extent *out,
                            struct error *error)
{
    const struct block *block;
    struct float_total total;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err != OK)
        return err;
    if (block->class != BLOCK_FLOAT) {
        out->sum = block_part_sum(block, part);
        return OK;
    }
    err = block_part_total(block, part, &column->scratch, &total, error);
    out->total = total.sum;
    out->lost = total.lost;
    out->infinite_count = total.infinite_count;
    return err;
}

/* The sum over a whole block that has NULLs. */
static enum err sum_of_valid(struct cursor *cursor, struct cursor_column *column,
                             struct scan_extent *out, struct error *error)
{
    const struct block *block;
    enum err err = cursor_page(cursor, column, &block, error);
    for (uint32_t begin = 0; err == OK && begin < block->row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t left = block->row_count - begin;
        out->sum += block_sum(block, begin, left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS);
    }
    return err;
}

static bool can_sum_valid(const struct cursor_column *column, const struct block_zone *zone)
{
    struct block_zone other = *zone;
    other.null_count = 0;
    return is_plain_block(column, &other) && block_class_of(column->sealed->type.id) != BLOCK_FLOAT;
}

/* --- extents --- */

/* What a column is asked for, and what it takes to know it. */
enum extent_way {
    EXTENT_UNKNOWN,
    EXTENT_BY_ZONE,
    EXTENT_BY_CODES,
    EXTENT_BY_PART,
    EXTENT_BY_VALID
};

static enum extent_way way_of(struct cursor *cursor, struct cursor_column *column,
                              enum scan_want want, bool is_whole, struct scan_extent *extent)
{
    if (column->sealed == NULL)
        return EXTENT_UNKNOWN;
    const struct block_zone *zone = &column->sealed->blocks[cursor->place.block].zone;
    extent->null_count = zone->null_count;
    extent->scale = column->sealed->type.scale;
    is_whole = is_whole && !place_has_list(&cursor->place);
    if (want == SCAN_WANT_NULLS) /* which rows are NULL is not known */
        return is_whole || zone->null_count == 0 ? EXTENT_BY_ZONE : EXTENT_UNKNOWN;
    if (is_whole && want == SCAN_WANT_RANGE && range_of_zone(column, zone, extent))
        return EXTENT_BY_ZONE;
    if (is_whole && want == SCAN_WANT_RANGE && column->sealed->entry_count != 0 &&
        (zone->null_count == extent->row_count || has_codes(column, zone)))
        return zone->null_count == extent->row_count ? EXTENT_BY_ZONE : EXTENT_BY_CODES;
    if (is_plain_block(column, zone))
        return EXTENT_BY_PART;
    if (!is_whole || want != SCAN_WANT_SUM || !can_sum_valid(column, zone))
        return EXTENT_UNKNOWN;
    return zone->null_count == extent->row_count ? EXTENT_BY_ZONE : EXTENT_BY_VALID;
}

enum err cursor_extent_part(struct cursor *cursor, size_t index, enum scan_want want,
                            uint64_t begin, uint64_t end, struct scan_extent *out,
                            struct error *error)
{
    struct cursor_column *column = &cursor->columns[index];
    struct scan_extent extent = {.row_count = end - begin};
    struct block_part part = part_of(cursor, (uint32_t)begin, (uint32_t)end);
    uint64_t row_count =
        cursor->place.sieve.rows != NULL ? cursor->place.block_row_count : cursor->place.end;
    enum err err = OK;
    assert(begin < end && end <= row_count);
    enum extent_way way = way_of(cursor, column, want, begin == 0 && end == row_count, &extent);
    assert(way != EXTENT_UNKNOWN);
    switch (way) {
    case EXTENT_UNKNOWN:
        break;
    case EXTENT_BY_ZONE:
        break;
    case EXTENT_BY_CODES:
        err = range_of_codes(cursor, column, &extent, error);
        break;
    case EXTENT_BY_PART:
        err = want == SCAN_WANT_RANGE ? range_of_part(cursor, column, &part, &extent, error)
                                      : sum_of_part(cursor, column, &part, &extent, error);
        break;
    case EXTENT_BY_VALID:
        err = sum_of_valid(cursor, column, &extent, error);
        break;
    }
    *out = extent;
    return err;
}

enum err cursor_extent(struct cursor *cursor, size_t index, enum scan_want want, bool *is_known,
                       struct scan_extent *out, struct error *error)
{
    struct scan_extent extent = {0};
    assert(index < cursor->column_count);
    enum err err = cursor_rows(cursor, is_known, &extent.row_count, error);
    *is_known = *is_known && extent.row_count != 0;
    if (err != OK || !*is_known)
        return err;
    *is_known = way_of(cursor, &cursor->columns[index], want, true, &extent) != EXTENT_UNKNOWN;
    return *is_known && out != NULL
               ? cursor_extent_part(cursor, index, want, 0, extent.row_count, out, error)
               : OK;
}

bool cursor_knows_parts(struct cursor *cursor, size_t index, enum scan_want want)
{
    struct scan_extent ignored = {0};
    assert(index < cursor->column_count);
    return way_of(cursor, &cursor->columns[index], want, false, &ignored) != EXTENT_UNKNOWN;
}

/* --- runs of time --- */

bool cursor_is_in_time_order(const struct cursor *cursor, size_t index)
{
    const struct cursor_column *column = &cursor->columns[index];
    if (cursor->chunk != NULL || cursor->place.sealed == NULL || column->sealed == NULL)
        return false;
    const struct block_zone *zone = &column->sealed->blocks[cursor->place.block].zone;
    return is_sorted_by(cursor, column) && zone->null_count == 0;
}

/* The times of the vector that has the row, in cursor->times. */
static enum err read_times(struct cursor *cursor, struct cursor_column *column, uint32_t row,
                           struct error *error)
{
    struct time_vector *times = cursor->times;
    uint32_t begin = row / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
    const struct block *block;
    if (times != NULL && times->sealed == cursor->place.sealed &&
        times->block == cursor->place.block && times->begin == begin && times->count != 0)
        return OK;
    if (times == NULL)
        times = cursor->times = arena_alloc_zero(&cursor->arena, sizeof(*times));
    times->count = 0;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err != OK)
        return err;
    uint32_t left = block->row_count - begin;
    uint32_t count = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
    err = block_read(block, begin, count, &column->scratch, times->us, error);
    if (err != OK)
        return err;
    times->sealed = cursor->place.sealed;
    times->block = cursor->place.block;
    times->begin = begin;
    times->count = count;
    return OK;
}

enum err cursor_time_at(struct cursor *cursor, size_t index, uint64_t place, int64_t *us,
                        struct error *error)
{
    struct block_part part = part_of(cursor, 0, 0);
    uint32_t row = row_at(&part, (uint32_t)place);
    enum err err = read_times(cursor, &cursor->columns[index], row, error);
    if (err == OK)
        *us = cursor->times->us[row - cursor->times->begin];
    return err;
}

/* The last vector from that of `row` on which begins before `us`, by halving. */
static enum err find_vector_of(struct cursor_column *column, const struct block *block,
                               uint32_t row, int64_t us, uint32_t *vector, struct error *error)
{
    uint32_t low = row / BLOCK_VECTOR_ROWS;
    uint32_t high = (block->row_count - 1) / BLOCK_VECTOR_ROWS + 1;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2, first = middle * BLOCK_VECTOR_ROWS;
        int64_t value;
        enum err err = block_read_at(block, &first, 1, &column->scratch, &value, error);
        if (err != OK)
            return err;
        if (value < us)
            low = middle;
        else
            high = middle;
    }
    *vector = low;
    return OK;
}

/* The first row of the block, not before `row`, whose time is not below `us`. */
static enum err find_time(struct cursor *cursor, struct cursor_column *column, uint32_t row,
                          int64_t us, uint32_t *found, struct error *error)
{
    const struct block *block;
    uint32_t vector;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err == OK)
        err = find_vector_of(column, block, row, us, &vector, error);
    if (err == OK)
        err = read_times(cursor, column, vector * BLOCK_VECTOR_ROWS, error);
    if (err != OK)
        return err;
    const struct time_vector *times = cursor->times;
    uint32_t low = row > times->begin ? row - times->begin : 0, high = times->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times->us[middle] < us)
            low = middle + 1;
        else
            high = middle;
    }
    *found = times->begin + low + (fault_is("sealed.run_ends_late") && low < times->count ? 1 : 0);
    return OK;
}

enum err cursor_time_end(struct cursor *cursor, size_t index, uint64_t from, int64_t us,
                         uint64_t *end, struct error *error)
{
    const struct sealed_place *place = &cursor->place;
    struct block_part part = part_of(cursor, 0, 0);
    uint32_t row;
    enum err err =
        find_time(cursor, &cursor->columns[index], row_at(&part, (uint32_t)from), us, &row, error);
    if (err != OK || part.rows == NULL) {
        *end = err == OK ? row : 0;
        return err;
    }
    uint32_t low = (uint32_t)from, high = place->block_row_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (part.rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    *end = low;
    return OK;
}
