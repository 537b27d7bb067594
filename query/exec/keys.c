/* Key values to dense numbers.
 *
 *   column 1 ──▶ key_table ─┐
 *   column 2 ──▶ key_table ─┴▶ pair_table ─┐
 *   column 3 ──▶ key_table ────────────────┴▶ pair_table ──▶ number of the combination
 *
 * Each column is numbered alone, then combinations are folded from the left. What that buys: a
 * dictionary's code is looked up in an array and its text hashed once an entry, never once a row;
 * many integers close together (ids of users) become places in an array in place of a hash table; a
 * time bucket costs one comparison with the row before in time-ordered data; and two small ranges
 * meet in a dense array, so a panel over (minute, country) hashes nothing. What it costs: k keys of
 * many distinct values each make 2k - 1 probes instead of one.
 *
 * Integers close together that are part of many pairs are not numbered at all: how far one is from
 * a base takes no look-up, and their pairs need no values (key_offsets.c).
 *
 * Where all columns but one are constant over a batch and that one is of a dictionary, an array
 * from its codes to combinations is kept as long as the constants last.
 *
 * Equality is that of GROUP BY: NULLs are one value, -0 is 0, NaN is NaN, 1.0 is 1.00, an interval
 * is its span. The value kept for a number is the first one seen. Numbers are given in the order of
 * first sight, which is what makes results the same in every run. */
#include "query/exec/id_map.h"
#include "query/exec/key_table.h"
#include "query/kernel/kernel.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

#define DIRECT_MIN 8192 /* keys */
/* A map has at least two entries of 16 bytes a key when it has grown: an array of 4-byte places is
 * no larger up to so many a key. */
#define DIRECT_SHARE 16
#define BELIEVED_MAX 8 /* so many times the values that are there, if the last run had as many */

/* --- one column --- */

/* Room for the values of as many new keys as there are rows (and NULL). */
static enum err reserve_values(struct key_table *table, size_t extra, struct error *error)
{
    size_t needed = key_values_wanted(table, extra);
    enum err err = exec_memory_grow(table->memory, (void **)&table->values, &table->values_capacity,
                                    needed, value_size(table), error);
    if (err == OK && (table->physical == PHYSICAL_NUMERIC || table->physical == PHYSICAL_INTERVAL))
        err = exec_memory_grow(table->memory, (void **)&table->bytes, &table->bytes_capacity,
                               needed, sizeof(*table->bytes), error);
    return err;
}

uint32_t key_null_number(struct key_table *table, bool is_insert)
{
    if (fault_is("group.null_key") && table->count > 0)
        return 0;
    if (table->null_id == KEY_NONE && is_insert && table->is_offset) {
        table->null_id = 0;
    } else if (table->null_id == KEY_NONE && is_insert) {
        table->null_id = table->count++;
        memset(table->values + table->null_id * value_size(table), 0, value_size(table));
        if (table->bytes != NULL)
            table->bytes[table->null_id] = slice_of(NULL, 0);
    }
    return table->null_id;
}

static inline uint64_t float_word(double value)
{
    uint64_t word;
    if (value == 0)
        return 0;
    if (value != value)
        return 0x7FF8000000000000ULL;
    memcpy(&word, &value, sizeof(word));
    return word;
}

INLINE uint64_t word_at(const struct column *column, size_t row, enum physical physical)
{
    if (physical == PHYSICAL_INT)
        return (uint64_t)column->i[row];
    if (physical == PHYSICAL_FLOAT)
        return float_word(column->f[row]);
    return column->b[row] != 0;
}

/* --- integers as places in an array --- */

/* Values that there will be, as far as that is known of the last run and these do not say
 * otherwise. */
static uint64_t believed_count(const struct key_table *table)
{
    uint64_t most = (uint64_t)table->count * BELIEVED_MAX;
    uint64_t believed = table->expected < most ? table->expected : most;
    return believed > table->count ? believed : table->count;
}

/* Is an array of so many places little of what the query may still take? */
static bool is_little(const struct key_table *table, size_t places)
{
    const struct budget *budget = table->memory->budget;
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t left = used < budget->limit ? budget->limit - used : 0;
    return places <= left / EXPECT_BUDGET_SHARE / sizeof(*table->direct);
}

/* Makes the array cover the values known and [low, high]; false: it would be larger than a map of
 * them, or there is no memory for it. Where it is not little it is not begun, and what the last run
 * had is not believed: rows can be put aside before a map is refused, not before this is. */
static enum err cover(struct key_table *table, int64_t low, int64_t high, bool *fits,
                      struct error *error)
{
    const int64_t *values = (const int64_t *)(const void *)table->values;
    for (uint32_t id = 0; id < table->count; id++) {
        bool is_null = id == table->null_id;
        low = !is_null && values[id] < low ? values[id] : low;
        high = !is_null && values[id] > high ? values[id] : high;
    }
    uint64_t span = (uint64_t)high - (uint64_t)low;
    *fits = span < believed_count(table) * DIRECT_SHARE;
    if (!*fits)
        return OK;
    uint64_t reserve = span / 8; /* on both sides: what comes next is seldom just outside */
    low = low < INT64_MIN + (int64_t)reserve ? INT64_MIN : low - (int64_t)reserve;
    size_t size = (size_t)(span + 2 * reserve) + 1;
    *fits = is_little(table, size) ||
            (table->direct != NULL && span < (uint64_t)table->count * DIRECT_SHARE);
    if (!*fits)
        return OK;
    enum err err = exec_memory_grow(table->memory, (void **)&table->direct, &table->direct_capacity,
                                    size, sizeof(*table->direct), error);
    *fits = err != ERR_LIMIT;
    if (err != OK)
        return err == ERR_LIMIT ? OK : err;
    table->direct_base = low;
    table->direct_size = size;
    memset(table->direct, 0xFF, size * sizeof(*table->direct)); /* KEY_NONE */
    for (uint32_t id = 0; id < table->count; id++) {
        if (id != table->null_id)
            table->direct[(uint64_t)values[id] - (uint64_t)low] = id;
    }
    return OK;
}

static void free_map(struct key_table *table)
{
    exec_memory_release(table->memory, table->map.entries,
                        table->map.capacity * sizeof(*table->map.entries));
    table->map = (struct id_map){.expected = table->expected};
}

/* Back to the map, for good. */
static enum err leave_direct(struct key_table *table, size_t extra, struct error *error)
{
    const int64_t *values = (const int64_t *)(const void *)table->values;
    enum err err = id_map_reserve(&table->map, table->count + extra, table->memory, error);
    if (err != OK)
        return err;
    for (uint32_t id = 0; id < table->count; id++) {
        if (id != table->null_id)
            id_map_put(&table->map, (uint64_t)values[id], id);
    }
    exec_memory_release(table->memory, table->direct,
                        table->direct_capacity * sizeof(*table->direct));
    table->direct = NULL;
    table->direct_capacity = table->direct_size = 0;
    table->is_far = true;
    return OK;
}

void key_range(const struct key_rows *rows, int64_t *low, int64_t *high)
{
    const struct column *column = rows->column;
    size_t count = column->form == COLUMN_CONSTANT ? 1 : rows->count;
    *low = INT64_MAX;
    *high = INT64_MIN;
    if (count != 0 && rows->selection == NULL && column->validity == NULL) {
        range_ints(column->i, count, low, high);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t row = column->form == COLUMN_CONSTANT ? 0 : row_at(rows, i);
        if (column->validity != NULL && column->validity[row] == 0)
            continue;
        *low = column->i[row] < *low ? column->i[row] : *low;
        *high = column->i[row] > *high ? column->i[row] : *high;
    }
}

/* Before rows are numbered: the array covers them, or a map has room for them. The array is tried
 * where the map would be made larger, past what the caches hold. */
static enum err reserve_words(struct key_table *table, const struct key_rows *rows,
                              struct error *error)
{
    bool is_full = key_places(table->map.capacity, table->map.count + rows->count, MAP_LOAD) !=
                   table->map.capacity;
    if (table->direct == NULL && is_full && table->count >= DIRECT_MIN && !table->is_far &&
        table->physical == PHYSICAL_INT) {
        enum err err = cover(table, INT64_MAX, INT64_MIN, &is_full, error);
        if (err != OK)
            return err;
        if (table->direct != NULL)
            free_map(table);
    }
    if (table->direct == NULL)
        return id_map_reserve(&table->map, rows->count, table->memory, error);
    int64_t low, high;
    key_range(rows, &low, &high);
    bool fits = low > high || (low >= table->direct_base &&
                               (uint64_t)high - (uint64_t)table->direct_base < table->direct_size);
    if (fits)
        return OK;
    enum err err = cover(table, low, high, &fits, error);
    return err != OK || fits ? err : leave_direct(table, rows->count, error);
}

/* All rows lie in the array if they are to be numbered. */
INLINE void number_direct(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                          bool is_insert)
{
    const struct column *column = rows->column;
    const int64_t *in = column->i;
    int64_t *values = (int64_t *)(void *)table->values;
    uint64_t base = (uint64_t)table->direct_base;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        if (column->validity != NULL && column->validity[row] == 0) {
            ids[row] = key_null_number(table, is_insert);
            continue;
        }
        uint64_t place = (uint64_t)in[row] - base;
        if (!is_insert && place >= table->direct_size) {
            ids[row] = KEY_NONE;
            continue;
        }
        uint32_t id = table->direct[place];
        if (is_insert && id == KEY_NONE) {
            id = table->direct[place] = table->count++;
            values[id] = in[row];
        }
        ids[row] = id;
    }
}

/* Whole columns that are to be numbered: what is new is written in any case and counted where it
 * is, as whether it is surprises once in three rows of a million users. */
static void number_direct_whole(struct key_table *table, const struct key_rows *rows, uint32_t *ids)
{
    const int64_t *in = rows->column->i;
    int64_t *values = (int64_t *)(void *)table->values;
    uint32_t *direct = table->direct, count = table->count;
    uint64_t base = (uint64_t)table->direct_base;
    for (size_t row = 0; row < rows->count; row++) {
        if (row + ROWS_AHEAD < rows->count)
            __builtin_prefetch(&direct[(uint64_t)in[row + ROWS_AHEAD] - base], 1);
        uint32_t *place = &direct[(uint64_t)in[row] - base], id = *place;
        bool is_new = id == KEY_NONE;
        values[count] = in[row];
        id = is_new ? count : id;
        count += is_new;
        *place = id;
        ids[row] = id;
    }
    table->count = count;
}

static void number_directs(struct key_table *table, const struct key_rows *rows, uint32_t *ids)
{
    bool is_whole = rows->selection == NULL && rows->column->validity == NULL;
    if (rows->is_insert && is_whole)
        number_direct_whole(table, rows, ids);
    else if (rows->is_insert)
        number_direct(table, rows, ids, true);
    else
        number_direct(table, rows, ids, false);
}

/* --- integers and doubles by hash --- */

static uint32_t add_word(struct key_table *table, uint64_t word, const struct column *column,
                         size_t row)
{
    uint32_t id = id_map_add(&table->map, word, table->count);
    if (id == table->count) {
        size_t size = value_size(table);
        memcpy(table->values + id * size, (const char *)column->values + row * size, size);
        table->count++;
    }
    return id;
}

/* bool, int, float: flat columns. Runs of one value cost a comparison. `physical` and the two flags
 * are constants where this is called, so that each shape is a loop of its own. */
INLINE void number_shape(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                         enum physical physical, bool is_whole, bool is_insert)
{
    const struct column *column = rows->column;
    uint64_t last_word = 0;
    uint32_t last_id = KEY_NONE;
    /* A map past the caches: its entries are asked for some rows ahead. */
    bool is_ahead = is_whole && table->map.capacity >= MAP_LARGE;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = is_whole ? i : row_at(rows, i);
        if (is_ahead && i + ROWS_AHEAD < rows->count)
            __builtin_prefetch(
                &table->map
                     .entries[id_map_slot(&table->map, word_at(column, i + ROWS_AHEAD, physical))],
                1);
        if (!is_whole && column->validity != NULL && column->validity[row] == 0) {
            ids[row] = key_null_number(table, is_insert);
            continue;
        }
        uint64_t word = word_at(column, row, physical);
        if (word != last_word || last_id == KEY_NONE) {
            last_word = word;
            last_id =
                is_insert ? add_word(table, word, column, row) : id_map_find(&table->map, word);
        }
        ids[row] = last_id;
    }
}

INLINE void number_physical(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                            enum physical physical)
{
    if (!rows->is_insert)
        number_shape(table, rows, ids, physical, false, false);
    else if (rows->selection == NULL && rows->column->validity == NULL)
        number_shape(table, rows, ids, physical, true, true);
    else
        number_shape(table, rows, ids, physical, false, true);
}

static void number_words(struct key_table *table, const struct key_rows *rows, uint32_t *ids)
{
    if (table->direct != NULL)
        number_directs(table, rows, ids);
    else if (table->physical == PHYSICAL_INT)
        number_physical(table, rows, ids, PHYSICAL_INT);
    else if (table->physical == PHYSICAL_FLOAT)
        number_physical(table, rows, ids, PHYSICAL_FLOAT);
    else
        number_physical(table, rows, ids, PHYSICAL_BOOL);
}

/* --- a column's rows --- */

static void key_table_init(struct key_table *table, struct type type, struct exec_memory *memory)
{
    *table = (struct key_table){
        .type = type, .physical = type_physical(type.id), .null_id = KEY_NONE, .memory = memory};
}

void key_values_free(struct key_table *table)
{
    free_map(table);
    exec_memory_release(table->memory, table->direct,
                        table->direct_capacity * sizeof(*table->direct));
    exec_memory_release(table->memory, table->values, table->values_capacity * value_size(table));
    table->direct = NULL;
    table->values = NULL;
    table->direct_capacity = table->direct_size = table->values_capacity = 0;
}

static void key_table_deinit(struct key_table *table)
{
    key_values_free(table);
    exec_memory_release(table->memory, table->text_entries,
                        table->text_capacity * sizeof(*table->text_entries));
    exec_memory_release(table->memory, table->bytes, table->bytes_capacity * sizeof(*table->bytes));
    exec_memory_release(table->memory, table->by_number,
                        table->by_number_capacity * sizeof(*table->by_number));
    for (unsigned i = 0; i < CODE_MAPS; i++)
        exec_memory_release(table->memory, table->code_maps[i].ids,
                            table->code_maps[i].capacity * sizeof(*table->code_maps[i].ids));
}

enum err key_column_ids(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                        struct error *error)
{
    enum err err = OK;
    bool is_word = table->physical == PHYSICAL_BOOL || table->physical == PHYSICAL_INT ||
                   table->physical == PHYSICAL_FLOAT;
    if (rows->is_insert && !table->is_offset) {
        err = reserve_values(table, rows->count, error);
        if (err == OK && is_word)
            err = reserve_words(table, rows, error);
    }
    if (err != OK || rows->count == 0)
        return err;
    uint32_t id;
    bool is_constant = rows->column->form == COLUMN_CONSTANT;
    struct key_rows one = {.column = rows->column, .count = 1, .is_insert = rows->is_insert};
    if (table->is_offset)
        key_offsets_ids(table, is_constant ? &one : rows, is_constant ? &id : ids);
    else if (is_word)
        number_words(table, is_constant ? &one : rows, is_constant ? &id : ids);
    else
        err = key_bytes_ids(table, is_constant ? &one : rows, is_constant ? &id : ids, error);
    for (size_t i = 0; err == OK && is_constant && i < rows->count; i++)
        ids[row_at(rows, i)] = id;
    return err == OK ? exec_memory_settle(table->memory, error) : err;
}

/* --- combinations --- */

void tuple_table_init(struct tuple_table *table, const struct type *types, size_t count,
                      struct exec_memory *memory)
{
    *table = (struct tuple_table){.memory = memory, .column_count = count};
    table->columns = arena_alloc_array(&memory->arena, count, sizeof(*table->columns));
    table->pairs = arena_alloc_array(&memory->arena, count, sizeof(*table->pairs));
    table->scratch = arena_alloc_array(&memory->arena, VECTOR_ROWS_MAX, sizeof(*table->scratch));
    table->shortcut.constants = arena_alloc_zero(&memory->arena, count * sizeof(uint32_t));
    for (size_t i = 0; i < count; i++) {
        key_table_init(&table->columns[i], types[i], memory);
        pair_table_init(&table->pairs[i], memory);
    }
}

void tuple_table_deinit(struct tuple_table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        key_table_deinit(&table->columns[i]);
        pair_table_deinit(&table->pairs[i]);
    }
    exec_memory_release(table->memory, table->shortcut.ids,
                        table->shortcut.capacity * sizeof(*table->shortcut.ids));
    table->column_count = 0;
}

static enum err column_ids(struct tuple_table *table, size_t column, const struct key_rows *rows,
                           uint32_t *ids, struct error *error)
{
    enum err err = rows->is_insert && table->column_count > 1
                       ? key_offsets_reserve(table, column, rows, error)
                       : OK;
    return err == OK ? key_column_ids(&table->columns[column], rows, ids, error) : err;
}

/* Combinations of a batch's rows, column by column. */
static enum err number_tuples(struct tuple_table *table, const struct column *columns,
                              struct key_rows rows, uint32_t *ids, struct error *error)
{
    rows.column = &columns[0];
    enum err err = column_ids(table, 0, &rows, ids, error);
    table->count = table->columns[0].count;
    for (size_t c = 1; err == OK && c < table->column_count; c++) {
        rows.column = &columns[c];
        err = column_ids(table, c, &rows, table->scratch, error);
        if (err != OK)
            break;
        struct pair_input input = {
            .left = ids,
            .right = table->scratch,
            .left_count = table->count,
            .right_count = table->columns[c].count,
            .selection = rows.selection,
            .count = rows.count,
            .is_insert = rows.is_insert,
        };
        err = pair_table_ids(&table->pairs[c], &input, ids, error);
        table->count = table->pairs[c].count;
    }
    return err;
}

/* --- all but one column constant --- */

/* The column that is not, if it is of few texts and none is NULL, and it is not the only one; else
 * their count. */
static size_t find_varying(const struct tuple_table *table, const struct column *columns)
{
    size_t varying = 0, count = table->column_count, found = 0;
    for (size_t c = 0; c < count; c++)
        if (columns[c].form != COLUMN_CONSTANT) {
            varying = c;
            found++;
        }
    const struct column *column = &columns[varying];
    return found == 1 && count > 1 && column->form == COLUMN_DICTIONARY &&
                   column->dictionary_id != 0 && column->validity == NULL &&
                   column->dictionary_count <= SHORTCUT_CODES_MAX
               ? varying
               : count;
}

/* Makes the array one for these constants and this dictionary. */
static enum err turn_shortcut(struct tuple_table *table, const struct column *columns,
                              size_t varying, struct error *error)
{
    struct key_shortcut *shortcut = &table->shortcut;
    const struct column *column = &columns[varying];
    bool is_same = shortcut->column == varying && shortcut->dictionary_id == column->dictionary_id;
    enum err err = OK;
    for (size_t c = 0; err == OK && c < table->column_count; c++) {
        uint32_t id = 0;
        struct key_rows one = {.column = &columns[c], .count = 1, .is_insert = true};
        if (c != varying)
            err = column_ids(table, c, &one, &id, error);
        is_same = is_same && (c == varying || shortcut->constants[c] == id);
        if (!fault_is("keys.shortcut") || c > 0)
            shortcut->constants[c] = id;
    }
    if (err == OK)
        err = exec_memory_grow(table->memory, (void **)&shortcut->ids, &shortcut->capacity,
                               column->dictionary_count, sizeof(*shortcut->ids), error);
    if (!is_same || shortcut->dictionary_id == 0) /* 0: a column has got other numbers */
        shortcut->known = 0;
    shortcut->column = varying;
    shortcut->dictionary_id = err == OK ? column->dictionary_id : 0;
    for (; err == OK && shortcut->known < column->dictionary_count; shortcut->known++)
        shortcut->ids[shortcut->known] = KEY_NONE;
    return err;
}

/* A minute's rows by country: one array from codes to groups while the minute lasts. Rows whose
 * codes are not in it go the long way, in their order. */
static enum err number_by_code(struct tuple_table *table, const struct column *columns,
                               size_t varying, size_t count, uint32_t *ids, struct error *error)
{
    const struct key_shortcut *shortcut = &table->shortcut;
    const uint32_t *codes = columns[varying].codes;
    uint32_t unknown[VECTOR_ROWS_MAX + 1], unknown_count = 0;
    bool is_any_unknown = false;
    enum err err = turn_shortcut(table, columns, varying, error);
    if (err != OK)
        return err;
    uint32_t *known = shortcut->ids;
    for (size_t row = 0; row < count; row++) {
        uint32_t id = known[codes[row]];
        ids[row] = id;
        is_any_unknown |= id == KEY_NONE;
    }
    if (!is_any_unknown)
        return OK;
    for (uint32_t row = 0; row < count; row++) {
        unknown[unknown_count] = row;
        unknown_count += ids[row] == KEY_NONE;
    }
    err = number_tuples(
        table, columns,
        (struct key_rows){.selection = unknown, .count = unknown_count, .is_insert = true}, ids,
        error);
    for (uint32_t i = 0; err == OK && i < unknown_count; i++)
        known[codes[unknown[i]]] = ids[unknown[i]];
    return err;
}

enum err tuple_table_ids(struct tuple_table *table, const struct column *columns,
                         const uint32_t *selection, size_t count, bool is_insert, uint32_t *ids,
                         struct error *error)
{
    if (table->column_count == 0) {
        for (size_t i = 0; i < count; i++)
            ids[selection != NULL ? selection[i] : i] =
                table->count != 0 || is_insert ? 0 : KEY_NONE;
        if (is_insert && count != 0)
            table->count = 1;
        return OK;
    }
    bool can_shorten = is_insert && selection == NULL && count > 1;
    size_t varying = can_shorten ? find_varying(table, columns) : table->column_count;
    if (varying < table->column_count)
        return number_by_code(table, columns, varying, count, ids, error);
    struct key_rows rows = {.selection = selection, .count = count, .is_insert = is_insert};
    return number_tuples(table, columns, rows, ids, error);
}

enum err tuple_table_equal_ids(struct tuple_table *table, const struct column *columns,
                               size_t row_count, bool is_insert, uint32_t *ids, struct error *error)
{
    uint32_t selection[VECTOR_ROWS_MAX];
    size_t count = 0;
    bool has_validity = false;
    for (size_t i = 0; i < table->column_count; i++)
        has_validity = has_validity || columns[i].validity != NULL;
    if (!has_validity)
        return tuple_table_ids(table, columns, NULL, row_count, is_insert, ids, error);
    for (uint32_t row = 0; row < row_count; row++) {
        bool is_null = false;
        for (size_t i = 0; i < table->column_count; i++)
            is_null = is_null || column_is_null(&columns[i], row);
        ids[row] = KEY_NONE;
        selection[count] = row;
        count += !is_null;
    }
    return tuple_table_ids(table, columns, selection, count, is_insert, ids, error);
}

/* The values of one column's numbers. */
static struct column number_column(const struct key_table *table, const uint32_t *ids, size_t count,
                                   struct arena *arena)
{
    size_t size = value_size(table);
    char *values = arena_alloc_array(arena, count, size);
    struct column column = {.type = table->type, .form = COLUMN_FLAT, .values = values};
    if (table->is_offset) {
        key_offsets_values(table, ids, count, (int64_t *)(void *)values);
    } else if (size == 16) { /* sizes that are known are moved without a call */
        for (size_t i = 0; i < count; i++)
            memcpy(values + i * 16, table->values + (size_t)ids[i] * 16, 16);
    } else if (size == 8) {
        for (size_t i = 0; i < count; i++)
            memcpy(values + i * 8, table->values + (size_t)ids[i] * 8, 8);
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy(values + i * size, table->values + ids[i] * size, size);
    }
    if (table->null_id == KEY_NONE)
        return column;
    uint8_t *validity = arena_alloc(arena, count);
    for (size_t i = 0; i < count; i++)
        validity[i] = ids[i] != table->null_id;
    column.validity = validity;
    return column;
}

void tuple_table_column_ids(const struct tuple_table *table, size_t column, uint32_t first,
                            size_t count, uint32_t *ids)
{
    assert((size_t)first + count <= table->count && column < table->column_count);
    for (size_t i = 0; i < count; i++)
        ids[i] = first + (uint32_t)i;
    for (size_t c = table->column_count - 1; c > column; c--)
        for (size_t i = 0; i < count; i++)
            ids[i] = (uint32_t)(table->pairs[c].pairs[ids[i]] >> 32);
    for (size_t i = 0; column != 0 && i < count; i++)
        ids[i] = (uint32_t)table->pairs[column].pairs[ids[i]];
}

struct column tuple_table_column(const struct tuple_table *table, size_t column,
                                 const uint32_t *ids, size_t count, struct arena *arena)
{
    return number_column(&table->columns[column], ids, count, arena);
}

void tuple_table_keys(const struct tuple_table *table, uint32_t first, size_t count,
                      struct arena *arena, struct column *out)
{
    assert((size_t)first + count <= table->count);
    uint32_t *ids = arena_alloc_array(arena, count, sizeof(*ids));
    uint32_t *right = arena_alloc_array(arena, count, sizeof(*right));
    for (size_t i = 0; i < count; i++)
        ids[i] = first + (uint32_t)i;
    for (size_t c = table->column_count; c-- > 1;) {
        for (size_t i = 0; i < count; i++) {
            uint64_t pair = table->pairs[c].pairs[ids[i]];
            right[i] = (uint32_t)pair;
            ids[i] = (uint32_t)(pair >> 32);
        }
        out[c] = number_column(&table->columns[c], right, count, arena);
    }
    if (table->column_count != 0)
        out[0] = number_column(&table->columns[0], ids, count, arena);
}
