/* Integers close together as parts of pairs: how far they are from a base, in place of numbers.
 *
 *   users   7, 9, 7, 12 … ──▶ offsets  7, 9, 7, 12 (+ 1 - base) ─┐
 *   countries             ──▶ numbers  0, 1, 1, 0  ─────────────┴▶ pairs.c ──▶ number of the pair
 *
 * To number a million users is a place of an array and a value to keep, each a miss of the caches,
 * and another one when the value is told. A pair does not care what its sides are numbers of. So
 * once there are many values, as part of pairs that are in a table of words, an integer is its
 * offset, and of the column nothing is kept but the base. The pairs that are there by then have
 * that side changed, and go to their places again where these lie: no memory is asked for.
 *
 * Offsets have gaps, so words need some more bits; what does not fit, or is too far apart from the
 * start, stays with numbers. Values below the base move it, and all pairs: with room for an eighth
 * of the span each time. Values too far apart make it numbers again, for good, as the pairs' order
 * of first sight has them. */
#include "query/exec/key_table.h"

#include "storage/base/fault.h"

#include <assert.h>

#define OFFSETS_FROM 8192               /* values: their array leaves the first cache … */
#define OFFSETS_MAX ((uint64_t)1 << 30) /* and words have bits left for the other side */
#define RESERVE_SHARE 8

/* The pairs that a column is a side of. */
static struct pair_table *pairs_of(struct tuple_table *tuples, size_t column)
{
    return &tuples->pairs[column == 0 ? 1 : column];
}

static inline uint32_t side_of(uint64_t pair, size_t column)
{
    return (uint32_t)(column == 0 ? pair >> 32 : pair);
}

static inline void change_side(uint64_t *pair, size_t column, uint32_t number)
{
    *pair = column == 0 ? (uint64_t)number << 32 | (uint32_t)*pair
                        : (*pair & ~(uint64_t)UINT32_MAX) | number;
}

/* A bound of the other side's numbers, once so many rows are in. */
static uint32_t bound_beside(const struct tuple_table *tuples, size_t column, size_t extra)
{
    uint64_t count = column == 0   ? tuples->columns[1].count
                     : column == 1 ? tuples->columns[0].count
                                   : tuples->pairs[column - 1].count;
    return count + extra < UINT32_MAX ? (uint32_t)(count + extra) : UINT32_MAX;
}

/* Words that are too small for a batch's offsets would be made a table by hash, of whose size
 * nobody was told before: tuple_table_growth() knows of one value a row, not of gaps. */
static bool fits(struct tuple_table *tuples, size_t column, uint64_t count, size_t extra)
{
    const struct pair_table *pairs = pairs_of(tuples, column);
    uint32_t beside = bound_beside(tuples, column, extra);
    return count <= OFFSETS_MAX &&
           (column == 0 ? pair_table_fits(pairs, (uint32_t)count, beside, extra)
                        : pair_table_fits(pairs, beside, (uint32_t)count, extra));
}

/* After pairs have other numbers of a column. */
static void place_again(struct tuple_table *tuples, size_t column, uint32_t count)
{
    struct pair_table *pairs = pairs_of(tuples, column);
    tuples->columns[column].count = count;
    pair_table_place_again(pairs, column == 0 ? pairs->right_count : count);
    if (!fault_is("keys.offset_shortcut"))
        tuples->shortcut.dictionary_id = 0;
}

/* Below `low` there is room for what comes next. */
static int64_t base_for(int64_t low, uint64_t span)
{
    uint64_t reserve = span / RESERVE_SHARE, left = (uint64_t)low - (uint64_t)INT64_MIN;
    return (int64_t)((uint64_t)low - (reserve < left ? reserve : left));
}

static void enter(struct tuple_table *tuples, size_t column, size_t extra)
{
    struct key_table *table = &tuples->columns[column];
    struct pair_table *pairs = pairs_of(tuples, column);
    const int64_t *values = (const int64_t *)(const void *)table->values;
    int64_t low = INT64_MAX, high = INT64_MIN;
    table->is_offset_tried = true;
    for (uint32_t id = 0; id < table->count; id++) {
        bool is_null = id == table->null_id;
        low = !is_null && values[id] < low ? values[id] : low;
        high = !is_null && values[id] > high ? values[id] : high;
    }
    uint64_t span = (uint64_t)high - (uint64_t)low;
    int64_t base = base_for(low, span);
    uint64_t count = (uint64_t)high - (uint64_t)base + 2;
    if (span >= OFFSETS_MAX || !fits(tuples, column, count, extra))
        return;
    for (uint32_t id = 0; id < pairs->count; id++) {
        uint32_t number = side_of(pairs->pairs[id], column);
        uint64_t offset = (uint64_t)values[number] - (uint64_t)base + 1;
        bool is_null = number == table->null_id && !fault_is("keys.offset_null");
        change_side(&pairs->pairs[id], column, is_null ? 0 : (uint32_t)offset);
    }
    key_values_free(table);
    table->null_id = table->null_id == KEY_NONE ? KEY_NONE : 0;
    table->is_offset = true;
    table->offset_base = base;
    place_again(tuples, column, (uint32_t)count);
}

static void move_base(struct tuple_table *tuples, size_t column, int64_t base, uint32_t count)
{
    struct key_table *table = &tuples->columns[column];
    struct pair_table *pairs = pairs_of(tuples, column);
    uint32_t more = (uint32_t)((uint64_t)table->offset_base - (uint64_t)base);
    for (uint32_t id = 0; id < pairs->count; id++) {
        uint32_t number = side_of(pairs->pairs[id], column);
        if (number != 0)
            change_side(&pairs->pairs[id], column, number + more);
    }
    if (!fault_is("keys.offset_base"))
        table->offset_base = base;
    place_again(tuples, column, count);
}

/* Back to numbers. */
static enum err leave(struct tuple_table *tuples, size_t column, struct error *error)
{
    struct key_table *table = &tuples->columns[column];
    struct pair_table *pairs = pairs_of(tuples, column);
    const struct key_table from = *table;
    int64_t values[VECTOR_ROWS_MAX];
    uint8_t validity[VECTOR_ROWS_MAX];
    uint32_t ids[VECTOR_ROWS_MAX];
    struct column told = {.type = table->type, .form = COLUMN_FLAT, .i = values};
    enum err err = OK;
    table->is_offset = false;
    table->is_far = true;
    table->count = 0;
    table->null_id = KEY_NONE;
    for (uint32_t first = 0; err == OK && first < pairs->count; first += VECTOR_ROWS_MAX) {
        uint32_t left = pairs->count - first;
        struct key_rows rows = {.column = &told,
                                .count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX,
                                .is_insert = true};
        for (size_t i = 0; i < rows.count; i++) {
            ids[i] = side_of(pairs->pairs[first + i], column);
            validity[i] = ids[i] != 0;
        }
        told.validity = from.null_id == KEY_NONE ? NULL : validity;
        key_offsets_values(&from, ids, rows.count, values);
        err = key_column_ids(table, &rows, ids, error);
        for (size_t i = 0; err == OK && i < rows.count; i++)
            change_side(&pairs->pairs[first + i], column, ids[i]);
    }
    if (err == OK)
        place_again(tuples, column, table->count);
    return err;
}

enum err key_offsets_reserve(struct tuple_table *tuples, size_t column, const struct key_rows *rows,
                             struct error *error)
{
    struct key_table *table = &tuples->columns[column];
    const struct pair_table *pairs = pairs_of(tuples, column);
    int64_t low, high;
    if (!table->is_offset && table->physical == PHYSICAL_INT && table->count >= OFFSETS_FROM &&
        !table->is_offset_tried && pairs->form == PAIRS_PACKED)
        enter(tuples, column, rows->count);
    if (!table->is_offset)
        return OK;
    key_range(rows, &low, &high);
    if (low > high)
        return OK;
    uint64_t most = table->count - 2; /* the offset of what was greatest */
    int64_t base = table->offset_base, top = (int64_t)((uint64_t)base + most);
    bool is_below = low < base;
    low = is_below ? low : base;
    high = high > top ? high : top;
    uint64_t span = (uint64_t)high - (uint64_t)low;
    base = is_below && span < OFFSETS_MAX ? base_for(low, span) : low;
    uint64_t count = (uint64_t)high - (uint64_t)base + 2;
    bool is_wider = is_below || count > table->count;
    if (span >= OFFSETS_MAX || (is_wider && !fits(tuples, column, count, rows->count)))
        return leave(tuples, column, error);
    if (is_below)
        move_base(tuples, column, base, (uint32_t)count);
    else if (column != 0)
        pair_table_cover(pairs_of(tuples, column), (uint32_t)count);
    table->count = (uint32_t)count;
    return OK;
}

void key_offsets_ids(struct key_table *table, const struct key_rows *rows, uint32_t *ids)
{
    const struct column *column = rows->column;
    const int64_t *in = column->i;
    uint64_t before = (uint64_t)table->offset_base - 1;
    if (rows->selection == NULL && column->validity == NULL && rows->is_insert) {
        for (size_t row = 0; row < rows->count; row++)
            ids[row] = (uint32_t)((uint64_t)in[row] - before);
        return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        uint64_t number = (uint64_t)in[row] - before;
        if (column->validity != NULL && column->validity[row] == 0)
            ids[row] = key_null_number(table, rows->is_insert);
        else
            ids[row] = number != 0 && number < table->count ? (uint32_t)number : KEY_NONE;
    }
}

void key_offsets_values(const struct key_table *table, const uint32_t *ids, size_t count,
                        int64_t *values)
{
    uint64_t before = (uint64_t)table->offset_base - 1;
    for (size_t i = 0; i < count; i++)
        values[i] = ids[i] == 0 ? 0 : (int64_t)(before + ids[i]);
}
