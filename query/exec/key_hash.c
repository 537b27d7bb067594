/* Hashes of key combinations, for rows that are put aside by them, and what a table of keys may
 * grow by.
 *
 * Hashes follow the equality of keys.c: NULLs are one value, -0 is 0, NaN is NaN, 1.0 is 1.00, an
 * interval is its span. They are of the values, never of dictionary codes, so they are the same for
 * one value wherever it comes from. */
#include "query/exec/key_table.h"

#include "storage/base/hash.h"

#include <string.h>

#define HASH_NULL 0x9E3779B97F4A7C15ULL
#define DIRECT_GROWTH 2 /* an array of places is made anew for twice the keys, about */

static uint64_t hash_float(double value)
{
    uint64_t word = 0x7FF8000000000000ULL;
    if (value == 0)
        word = 0;
    else if (value == value)
        memcpy(&word, &value, sizeof(word));
    return hash_mix(word + 1);
}

static uint64_t hash_value(const struct column *column, enum physical physical, size_t row)
{
    char buffer[32];
    struct slice bytes;
    size_t index = column_index(column, row);
    switch (physical) {
    case PHYSICAL_BOOL:
        return hash_mix(column->b[index] != 0 ? 2 : 1);
    case PHYSICAL_INT:
        return hash_mix((uint64_t)column->i[index] + 1);
    case PHYSICAL_FLOAT:
        return hash_float(column->f[index]);
    case PHYSICAL_TEXT:
        bytes = column_text(column, row);
        return hash64(bytes.data, bytes.size);
    case PHYSICAL_NUMERIC:
    case PHYSICAL_INTERVAL:
        break;
    }
    bytes = key_canonical(column, index, buffer);
    return hash64(bytes.data, bytes.size);
}

void tuple_hashes(const struct column *columns, size_t column_count, const uint32_t *selection,
                  size_t count, uint64_t *hashes)
{
    for (size_t i = 0; i < count; i++)
        hashes[selection != NULL ? selection[i] : i] = 0;
    for (size_t c = 0; c < column_count; c++) {
        enum physical physical = type_physical(columns[c].type.id);
        for (size_t i = 0; i < count; i++) {
            size_t row = selection != NULL ? selection[i] : i;
            uint64_t hash = column_is_null(&columns[c], row)
                                ? HASH_NULL
                                : hash_value(&columns[c], physical, row);
            hashes[row] = hash_mix(hashes[row] * 31 + hash);
        }
    }
}

/* --- growth --- */

/* Are so many elements little of what the query may still take? */
static bool is_little(size_t count, size_t element_size, const struct budget *budget)
{
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t left = used < budget->limit ? budget->limit - used : 0;
    return count <= left / EXPECT_BUDGET_SHARE / element_size;
}

size_t key_room(size_t capacity, size_t count, size_t expected, size_t eighths, size_t entry_size,
                const struct budget *budget)
{
    size_t places = key_places(capacity, count, eighths);
    if (places == capacity || expected <= count || count < expected / EXPECT_SHARE)
        return places;
    size_t room = key_places(places, expected, eighths);
    return is_little(room, entry_size, budget) ? room : places;
}

size_t key_wanted(size_t capacity, size_t needed, size_t expected, size_t element_size,
                  const struct budget *budget)
{
    if (needed <= capacity || expected <= needed || needed < expected / EXPECT_SHARE)
        return needed;
    return is_little(expected, element_size, budget) ? expected : needed;
}

/* The new entries are there beside the old ones for a moment. */
static size_t map_growth(const struct id_map *map, size_t extra, const struct budget *budget)
{
    size_t capacity = key_room(map->capacity, map->count + extra, map->expected, MAP_LOAD,
                               sizeof(*map->entries), budget);
    return capacity == map->capacity ? 0 : capacity * sizeof(*map->entries);
}

size_t key_values_wanted(const struct key_table *table, size_t extra)
{
    return key_wanted(table->values_capacity, (size_t)table->count + extra + 1, table->expected,
                      physical_size(table->physical), table->memory->budget);
}

/* Any batch may have values far apart, and needs a map then, and values where there are none;
 * the half of both that was there before is for a moment beside it. */
static size_t leave_growth(const struct key_table *table, size_t count, size_t extra)
{
    size_t size = key_places(0, count + extra, MAP_LOAD) * sizeof(*table->map.entries);
    if (table->is_offset)
        size += size / 2 + (count + extra) * 2 * physical_size(table->physical);
    return size;
}

/* *seldom: what else it may be, but mostly is not. */
static size_t column_growth(const struct tuple_table *tuples, size_t column, size_t extra,
                            size_t *seldom)
{
    const struct key_table *table = &tuples->columns[column];
    if (table->is_offset) {
        *seldom += leave_growth(table, tuple_table_values(tuples, column), extra);
        return 0;
    }
    size_t needed = key_values_wanted(table, extra);
    size_t bytes =
        exec_memory_growth(table->values_capacity, needed, physical_size(table->physical));
    if (table->physical == PHYSICAL_BOOL || table->physical == PHYSICAL_INT ||
        table->physical == PHYSICAL_FLOAT) {
        if (table->direct == NULL)
            return bytes + map_growth(&table->map, extra, table->memory->budget);
        *seldom += leave_growth(table, table->count, extra);
        return bytes + exec_memory_growth(table->direct_capacity,
                                          table->direct_size + DIRECT_GROWTH * extra,
                                          sizeof(*table->direct));
    }
    bytes += exec_memory_growth(table->bytes_capacity, needed, sizeof(*table->bytes));
    if (!table->is_plain &&
        table->physical == PHYSICAL_TEXT) /* an array by the lexicon's numbers */
        bytes += table->memory->budget->limit / KEY_LEXICON_SHARE;
    size_t capacity = key_room(table->text_capacity, table->count + extra, table->expected,
                               KEY_LOAD, sizeof(*table->text_entries), table->memory->budget);
    return bytes + (capacity == table->text_capacity ? 0 : capacity * sizeof(*table->text_entries));
}

/* What is seldom wanted is told only where it could not be had. */
size_t tuple_table_growth(const struct tuple_table *table, size_t extra)
{
    size_t bytes = 0, seldom = 0;
    for (size_t c = 0; c < table->column_count; c++)
        bytes += column_growth(table, c, extra, &seldom);
    for (size_t c = 1; c < table->column_count; c++)
        bytes += pair_table_growth(&table->pairs[c], extra);
    if (table->column_count > 1)
        bytes += exec_memory_growth(table->shortcut.capacity, SHORTCUT_CODES_MAX,
                                    sizeof(*table->shortcut.ids));
    const struct budget *budget = table->memory->budget;
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t left = used < budget->limit ? budget->limit - used : 0;
    return seldom != 0 && bytes + seldom > left / 4 * 3 ? bytes + seldom : bytes;
}

/* --- sizes --- */

void tuple_table_sizes(const struct tuple_table *table, uint32_t *sizes)
{
    for (size_t c = 0; c < table->column_count; c++) {
        sizes[2 * c] = tuple_table_values(table, c);
        sizes[2 * c + 1] = c == 0 ? 0 : table->pairs[c].count;
    }
}

/* A little more than there were: each batch has room for as many new ones as it has rows. */
static uint32_t expected_of(uint32_t size)
{
    uint32_t more = size / 64 + VECTOR_ROWS_MAX;
    return size == 0 ? 0 : size < UINT32_MAX - more ? size + more : UINT32_MAX;
}

void tuple_table_expect(struct tuple_table *table, const uint32_t *sizes)
{
    for (size_t c = 0; c < table->column_count; c++) {
        uint32_t values = expected_of(sizes[2 * c]), pairs = expected_of(sizes[2 * c + 1]);
        table->columns[c].expected = values;
        table->columns[c].map.expected = values;
        table->pairs[c].expected = pairs;
        table->pairs[c].map.expected = pairs;
    }
}
