/* A filter that is made up for a segment (sieve.c) against its blocks and their rows.
 *
 *   block    zones and the set of rows: nothing in it, it is left out unread; all of it inside, no
 *            row needs a look; a column that can have one value only is not read
 *   rows     without bitmaps vector by vector, predicates on encoded values, intersected; with
 *            bitmaps their rows of the block, each held against the other conditions */
#include "storage/segment/cursor.h"

#include "storage/base/fault.h"

#include <assert.h>

#define LIST_LOOK_MAX 64 /* keys that a row is held against */
/* At most 1 row in so many is left by the conditions so far: the next one looks at these alone (3
 * ns a row) and not at the whole vector (0.2 ns). */
#define FEW_SHARE 12
#define SHIFT_STRIDE 16

/* --- a block --- */

static bool set_has_range(const uint64_t *set, int64_t first, int64_t last)
{
    for (int64_t word = first / 64; word <= last / 64; word++) {
        uint64_t bits = set[word];
        if (word == first / 64)
            bits &= ~UINT64_C(0) << (first % 64);
        if (word == last / 64 && last % 64 != 63)
            bits &= (UINT64_C(1) << (last % 64 + 1)) - 1;
        if (bits != 0)
            return true;
    }
    return false;
}

static bool list_has_range(const struct sift *sift, int64_t low, int64_t high)
{
    size_t first = 0, last = sift->key_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (sift->keys[middle] < low)
            first = middle + 1;
        else
            last = middle;
    }
    return first < sift->key_count && sift->keys[first] <= high;
}

/* Whether the zone leaves room for rows that pass; *is_all: each of them does. */
static bool zone_passes(const struct sift *sift, const struct block_zone *zone, uint32_t row_count,
                        bool *is_all)
{
    *is_all = false;
    if (sift->way == SIFT_NULL || sift->way == SIFT_NOT_NULL) {
        uint32_t count = sift->way == SIFT_NULL ? zone->null_count : row_count - zone->null_count;
        *is_all = count == row_count;
        return count != 0;
    }
    if (!zone->has_range)
        return zone->null_count < row_count;
    if (sift->has_nan && zone->min == INT64_MIN)
        return true;
    int64_t max = zone->max - (fault_is("sealed.zone_off_by_one") ? 1 : 0);
    if (max < sift->low || zone->min > sift->high)
        return false;
    if (sift->way == SIFT_RANGE)
        *is_all = zone->null_count == 0 && sift->low <= zone->min && zone->max <= sift->high;
    if (sift->way == SIFT_LIST)
        return list_has_range(sift, zone->min, zone->max);
    if (sift->way == SIFT_SET) {
        int64_t first = zone->min > sift->low ? zone->min : sift->low;
        int64_t last = zone->max < sift->high ? zone->max : sift->high;
        return set_has_range(sift->set, first, last);
    }
    return true;
}

bool sieve_block(struct sieve *sieve, uint32_t block, uint32_t row_count)
{
    uint32_t begin = block * BLOCK_ROWS_MAX;
    if (sieve->is_empty ||
        (sieve->rows != NULL && !row_set_has_range(sieve->rows, begin, begin + row_count)))
        return false;
    sieve->is_exact = !sieve->is_loose;
    for (size_t i = 0; i < sieve->sift_count; i++) {
        struct sift *sift = &sieve->sifts[i];
        const struct block_zone *zone = &sift->column->sealed->blocks[block].zone;
        bool is_all;
        if (!zone_passes(sift, zone, row_count, &is_all))
            return false;
        bool is_blind = sift->way == SIFT_ZONE || (sift->has_nan && zone->min == INT64_MIN) ||
                        (sift->way == SIFT_LIST && sift->key_count > LIST_LOOK_MAX);
        sift->is_pending = !is_all && !sift->is_by_bitmap && !is_blind;
        sieve->is_exact = sieve->is_exact && (is_all || sift->is_by_bitmap || !is_blind);
        if (sift->way == SIFT_RANGE && sift->low == sift->high && !is_blind) {
            sift->column->is_fixed = true;
            sift->column->fixed = sift->low;
        }
    }
    return bound_block(sieve, block, row_count);
}

bool bound_block(struct sieve *sieve, uint32_t block, uint32_t row_count)
{
    if (sieve->bound_is_empty)
        return false;
    if (!sieve->has_bound)
        return true;
    struct sift *sift = &sieve->sifts[-1];
    const struct block_zone *zone = &sift->column->sealed->blocks[block].zone;
    bool is_all;
    sift->is_pending = false;
    if (sieve->bound_passes_null && zone->null_count != 0 && !fault_is("bound.null_lost"))
        return true;
    if (!zone_passes(sift, zone, row_count, &is_all))
        return false;
    bool is_blind = sift->way == SIFT_ZONE || (sift->has_nan && zone->min == INT64_MIN);
    sift->is_pending = !is_all && !is_blind;
    return true;
}

/* --- a vector --- */

/* Of rows in `selection` those whose validity is `wanted`. */
static uint32_t select_validity(const struct block *block, uint32_t begin, uint32_t count,
                                bool is_null_wanted, uint32_t *selection)
{
    uint8_t validity[VECTOR_ROOM];
    bool has_null = block_validity(block, begin, count, validity);
    uint32_t selected = 0;
    for (uint32_t row = 0; row < count; row++) {
        selection[selected] = row;
        bool is_null = has_null && validity[row] == 0;
        selected += is_null == is_null_wanted ? 1 : 0;
    }
    return selected;
}

/* Keys that lie apart: the range of them first, then each row that is left. */
static enum err select_list(const struct block *block, const struct sift *sift, uint32_t begin,
                            uint32_t count, uint32_t *selection, uint32_t *selected,
                            struct error *error)
{
    int64_t values[VECTOR_ROOM];
    uint32_t found = block_select_range(block, begin, count, sift->low, sift->high, selection);
    *selected = 0;
    if (found == 0)
        return OK;
    enum err err = block_read(block, begin, count, &sift->column->scratch, values, error);
    for (uint32_t i = 0; err == OK && i < found; i++) {
        int64_t value = values[selection[i]];
        selection[*selected] = selection[i];
        *selected += list_has_range(sift, value, value) ? 1 : 0;
    }
    return err;
}

static enum err select_rows(struct cursor *cursor, const struct sift *sift, uint32_t begin,
                            uint32_t count, uint32_t *selection, uint32_t *selected,
                            struct error *error)
{
    const struct block *block;
    enum err err = cursor_page(cursor, sift->column, &block, error);
    if (err != OK)
        return err;
    switch (sift->way) {
    case SIFT_RANGE:
        *selected = block_select_range(block, begin, count, sift->low, sift->high, selection);
        break;
    case SIFT_SET:
        *selected = block_select_set(block, begin, count, sift->set, selection);
        break;
    case SIFT_LIST:
        err = select_list(block, sift, begin, count, selection, selected, error);
        break;
    default:
        *selected = select_validity(block, begin, count, sift->way == SIFT_NULL, selection);
        break;
    }
    return err;
}

/* --- single rows --- */

static bool passes(const struct sift *sift, int64_t value)
{
    switch (sift->way) {
    case SIFT_RANGE:
        return sift->low <= value && value <= sift->high;
    case SIFT_SET: /* single values may be any, whatever the block says of its greatest */
        return sift->low <= value && value <= sift->high &&
               (sift->set[value / 64] >> (value % 64) & 1) != 0;
    default:
        return list_has_range(sift, value, value);
    }
}

/* The same for rows without NULLs: what most conditions are gets a loop that waits for nothing. */
static uint32_t keep_values(const struct sift *sift, const int64_t *values, uint32_t *rows,
                            uint32_t count)
{
    uint32_t kept = 0;
    uint64_t low = (uint64_t)sift->low, span = (uint64_t)sift->high - low;
    bool is_range = sift->way == SIFT_RANGE;
    if (is_range && sift->low > sift->high) /* the span of nothing is none */
        return 0;
    for (uint32_t i = 0; i < count && is_range; i++) {
        rows[kept] = rows[i];
        kept += (uint64_t)values[i] - low <= span ? 1 : 0;
    }
    for (uint32_t i = 0; i < count && !is_range; i++) {
        rows[kept] = rows[i];
        kept += passes(sift, values[i]) ? 1 : 0;
    }
    return kept;
}

/* Of `rows` those that pass, moved to the front; their values are picked. They are of one vector
 * where the block has NULLs, and at most as many as one has. */
static enum err keep_passing(struct cursor *cursor, const struct sift *sift, uint32_t *rows,
                             uint32_t count, uint32_t *kept, struct error *error)
{
    int64_t values[VECTOR_ROOM];
    uint8_t validity[VECTOR_ROOM];
    const struct block *block;
    *kept = 0;
    enum err err = cursor_page(cursor, sift->column, &block, error);
    if (err != OK)
        return err;
    uint32_t begin = rows[0] / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
    uint32_t left = block->row_count - begin, found = 0;
    bool is_about_null = sift->way == SIFT_NULL || sift->way == SIFT_NOT_NULL;
    bool has_null =
        block->null_count != 0 &&
        block_validity(block, begin, left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS, validity);
    if (!is_about_null)
        err = block_read_at(block, rows, count, &sift->column->scratch, values, error);
    if (err == OK && !is_about_null && !has_null) {
        *kept = keep_values(sift, values, rows, count);
        return OK;
    }
    for (uint32_t i = 0; err == OK && i < count; i++) {
        bool is_null = has_null && validity[rows[i] - begin] == 0;
        bool is_kept = is_about_null ? is_null == (sift->way == SIFT_NULL)
                                     : !is_null && passes(sift, values[i]);
        rows[found] = rows[i];
        found += is_kept ? 1 : 0;
    }
    *kept = found;
    return err;
}

/* Few rows of a vector, as offsets from its begin: only their values are looked at. */
static enum err keep_offsets(struct cursor *cursor, const struct sift *sift, uint32_t begin,
                             uint32_t *offsets, uint32_t *count, struct error *error)
{
    for (uint32_t i = 0; i < *count; i++)
        offsets[i] += begin;
    enum err err = keep_passing(cursor, sift, offsets, *count, count, error);
    for (uint32_t i = 0; i < *count; i++)
        offsets[i] -= begin;
    return err;
}

/* What two lists of a vector have in common; `out` may be either. Marks for the rows of one are a
 * store each, nothing waits for what was before; going through both at once is six times that. */
static uint32_t offsets_common(const uint32_t *a, uint32_t a_count, const uint32_t *b,
                               uint32_t b_count, uint32_t *out)
{
    uint8_t is_in[BLOCK_VECTOR_ROWS] = {0};
    uint32_t kept = 0, end = fault_is("sealed.common_short") && b_count > 1 ? b_count - 1 : b_count;
    for (uint32_t i = 0; i < a_count; i++)
        is_in[a[i]] = 1;
    for (uint32_t i = 0; i < end; i++) {
        uint32_t row = b[i];
        out[kept] = row;
        kept += is_in[row];
    }
    return kept;
}

enum err sieve_vector(struct cursor *cursor, uint32_t begin, uint32_t count, uint32_t *selected,
                      struct error *error)
{
    struct sealed_place *place = &cursor->place;
    struct sieve *sieve = &place->sieve;
    struct sift *sifts;
    size_t sift_count = sieve_all(sieve, &sifts);
    assert(sieve->rows == NULL);
    *selected = UINT32_MAX;
    for (size_t i = 0; i < sift_count && *selected != 0; i++) {
        const struct sift *sift = &sifts[i];
        if (!sift->is_pending)
            continue;
        bool is_first = *selected == UINT32_MAX;
        if (!is_first && *selected * FEW_SHARE <= count) {
            enum err err = keep_offsets(cursor, sift, begin, place->selection, selected, error);
            if (err != OK)
                return err;
            continue;
        }
        uint32_t *target = is_first ? place->selection : place->other, found = 0;
        enum err err = select_rows(cursor, sift, begin, count, target, &found, error);
        if (err != OK)
            return err;
        *selected = is_first ? found
                             : offsets_common(place->selection, *selected, place->other, found,
                                              place->selection);
    }
    if (*selected == count)
        *selected = UINT32_MAX;
    return OK;
}

/* The rows of a block that bitmaps leave, held against another condition. */
static enum err sift_rows(struct cursor *cursor, const struct sift *sift, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    uint32_t *rows = place->block_rows, total = 0;
    const struct block *block;
    enum err err = cursor_page(cursor, sift->column, &block, error);
    for (uint32_t i = 0, end; err == OK && i < place->block_row_count; i = end) {
        uint32_t vector = rows[i] / BLOCK_VECTOR_ROWS, kept;
        uint32_t left = place->block_row_count - i;
        end = i + (left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS);
        for (uint32_t next = i + 1; block->null_count != 0 && next < end; next++) {
            if (rows[next] / BLOCK_VECTOR_ROWS != vector)
                end = next;
        }
        err = keep_passing(cursor, sift, rows + i, end - i, &kept, error);
        memmove(rows + total, rows + i, kept * sizeof(*rows));
        total += kept;
    }
    place->block_row_count = total;
    return err;
}

/* Both have room for a whole last stride. */
static void shift_rows(const uint32_t *restrict from, uint32_t count, uint32_t by,
                       uint32_t *restrict out)
{
    typedef uint32_t stride __attribute__((vector_size(SHIFT_STRIDE * sizeof(uint32_t))));
    for (uint32_t done = 0; done < count; done += SHIFT_STRIDE) {
        stride rows;
        memcpy(&rows, from + done, sizeof(rows));
        rows += by;
        memcpy(out + done, &rows, sizeof(rows));
    }
}

/* Without bitmaps: vector by vector, as they would come. */
static enum err list_rows(struct cursor *cursor, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    uint32_t *rows = place->block_rows, total = 0;
    for (uint32_t begin = 0; begin < place->end; begin += BLOCK_VECTOR_ROWS) {
        uint32_t left = place->end - begin, selected;
        uint32_t count = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
        enum err err = sieve_vector(cursor, begin, count, &selected, error);
        if (err != OK)
            return err;
        if (selected == UINT32_MAX)
            for (selected = 0; selected < count; selected++)
                place->selection[selected] = selected;
        shift_rows(place->selection, selected, begin, rows + total);
        total += selected;
    }
    place->block_row_count = total - (fault_is("sealed.list_short") && total > 1 ? 1 : 0);
    place->is_listed = true;
    return OK;
}

enum err sieve_rows(struct cursor *cursor, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    struct sieve *sieve = &place->sieve;
    if (place->block_rows == NULL)
        place->block_rows = arena_alloc_array(&cursor->arena, BLOCK_ROWS_MAX + SHIFT_STRIDE,
                                              sizeof(*place->block_rows));
    place->block_row_next = 0;
    if (sieve->rows == NULL)
        return list_rows(cursor, error);
    uint32_t first = place->block * BLOCK_ROWS_MAX;
    place->block_row_count =
        row_set_read(sieve->rows, first, first + place->end, place->block_rows, BLOCK_ROWS_MAX);
    cursor->counts.rows_by_bitmap += place->block_row_count;
    enum err err = OK;
    struct sift *sifts;
    size_t sift_count = sieve_all(sieve, &sifts);
    for (size_t i = 0; err == OK && i < sift_count && place->block_row_count != 0; i++) {
        if (sifts[i].is_pending)
            err = sift_rows(cursor, &sifts[i], error);
    }
    return err;
}
