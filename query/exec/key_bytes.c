/* Values that are told apart by their bytes: texts, numerics, intervals.
 *
 *   text                hash ──▶ slot {hash, number} ──▶ slice ──▶ bytes
 *   code of a text      array by code ──▶ number; unknown: its text
 *   numeric, interval   bytes that are equal where the values are ──▶ as a text
 *
 * What a number needs lies at up to four places of memory one after the other, so texts are taken
 * some at a time and their places asked for ahead, step by step for all of them. A dictionary that
 * is known again (its id) keeps its codes' numbers; one that is not is looked through once a batch.
 */
#include "query/exec/key_table.h"

#include "storage/base/hash.h"

#include <string.h>

/* A code not looked up yet; KEY_NONE is "looked up and absent". */
#define CODE_UNKNOWN (UINT32_MAX - 1)

#define TEXTS_AHEAD 32

static const struct slice *key_bytes(const struct key_table *table)
{
    return table->physical == PHYSICAL_TEXT ? (const struct slice *)(const void *)table->values
                                            : table->bytes;
}

enum err key_bytes_reserve(struct key_table *table, size_t extra, struct error *error)
{
    size_t capacity = key_places(table->text_capacity, (size_t)table->count + extra, KEY_LOAD);
    if (capacity == table->text_capacity)
        return OK;
    enum err err =
        budget_charge(table->memory->budget, capacity * sizeof(*table->text_entries), error);
    if (err != OK)
        return err;
    struct text_entry *entries = memory_alloc(capacity * sizeof(*entries));
    for (size_t i = 0; i < capacity; i++)
        entries[i] = (struct text_entry){.id = KEY_NONE};
    for (size_t i = 0; i < table->text_capacity; i++) {
        struct text_entry entry = table->text_entries[i];
        if (entry.id == KEY_NONE)
            continue;
        size_t slot = entry.hash & (capacity - 1);
        while (entries[slot].id != KEY_NONE)
            slot = (slot + 1) & (capacity - 1);
        entries[slot] = entry;
    }
    memory_free(table->text_entries);
    if (table->text_capacity != 0)
        budget_release(table->memory->budget, table->text_capacity * sizeof(*entries));
    table->text_entries = entries;
    table->text_capacity = capacity;
    return OK;
}

/* The number of a value by its bytes and their hash; `value` is its physical form, kept for a new
 * number. */
static uint32_t number_hashed(struct key_table *table, struct slice bytes, uint32_t hash,
                              const void *value, bool is_insert)
{
    if (table->text_capacity == 0)
        return KEY_NONE;
    size_t slot = hash & (table->text_capacity - 1);
    const struct slice *known = key_bytes(table);
    while (table->text_entries[slot].id != KEY_NONE) {
        const struct text_entry *entry = &table->text_entries[slot];
        if (entry->hash == hash && slice_equal(known[entry->id], bytes))
            return entry->id;
        slot = (slot + 1) & (table->text_capacity - 1);
    }
    if (!is_insert)
        return KEY_NONE;
    uint32_t id = table->count++;
    table->text_entries[slot] = (struct text_entry){.hash = hash, .id = id};
    struct slice own = arena_copy(&table->memory->arena, bytes);
    if (table->physical == PHYSICAL_TEXT) {
        ((struct slice *)(void *)table->values)[id] = own;
    } else {
        table->bytes[id] = own;
        memcpy(table->values + id * value_size(table), value, value_size(table));
    }
    return id;
}

static uint32_t number_bytes(struct key_table *table, struct slice bytes, const void *value,
                             bool is_insert)
{
    return number_hashed(table, bytes, (uint32_t)hash64(bytes.data, bytes.size), value, is_insert);
}

struct slice key_canonical(const struct column *column, size_t row, char *buffer)
{
    if (type_physical(column->type.id) == PHYSICAL_INTERVAL) {
        __int128 span = interval_span(column->interval[row]);
        memcpy(buffer, &span, sizeof(span));
        return slice_of(buffer, sizeof(span));
    }
    struct numeric n = column->n[row];
    if (n.kind != NUMERIC_FINITE) {
        n.digits = 0;
        n.scale = 0;
    }
    while (n.scale > 0 && n.digits % 10 == 0) {
        n.digits /= 10;
        n.scale--;
    }
    memcpy(buffer, &n.digits, 16);
    memcpy(buffer + 16, &n.scale, 4);
    memcpy(buffer + 20, &n.kind, 4);
    return slice_of(buffer, 24);
}

/* A text needs three places of memory one after the other: the slot of its hash, what is known of
 * the text there, its bytes. They are asked for step by step for up to TEXTS_AHEAD texts. */
static void ask_ahead(const struct key_table *table, const uint32_t *hashes, uint32_t count)
{
    const struct slice *known = key_bytes(table);
    const struct text_entry *likely[TEXTS_AHEAD];
    uint32_t likely_count = 0;
    if (table->text_capacity == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&table->text_entries[hashes[i] & (table->text_capacity - 1)]);
    for (uint32_t i = 0; i < count; i++) {
        const struct text_entry *entry =
            &table->text_entries[hashes[i] & (table->text_capacity - 1)];
        if (entry->id == KEY_NONE || entry->hash != hashes[i])
            continue;
        __builtin_prefetch(&known[entry->id]);
        likely[likely_count++] = entry;
    }
    for (uint32_t i = 0; i < likely_count; i++)
        __builtin_prefetch(known[likely[i]->id].data);
}

/* Text that is not in a dictionary. */
static void number_texts(struct key_table *table, const struct key_rows *rows, uint32_t *ids)
{
    const struct column *column = rows->column;
    for (size_t begin = 0; begin < rows->count; begin += TEXTS_AHEAD) {
        size_t left = rows->count - begin, count = left < TEXTS_AHEAD ? left : TEXTS_AHEAD;
        uint32_t hashes[TEXTS_AHEAD] = {0};
        for (size_t i = 0; i < count; i++) {
            size_t row = row_at(rows, begin + i);
            struct slice text = column_text(column, row);
            if (!column_is_null(column, row))
                hashes[i] = (uint32_t)hash64(text.data, text.size);
        }
        ask_ahead(table, hashes, (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            size_t row = row_at(rows, begin + i);
            ids[row] = column_is_null(column, row)
                           ? key_null_number(table, rows->is_insert)
                           : number_hashed(table, column_text(column, row), hashes[i], NULL,
                                           rows->is_insert);
        }
    }
}

/* numeric and interval. */
static void number_each(struct key_table *table, const struct key_rows *rows, uint32_t *ids)
{
    const struct column *column = rows->column;
    char buffer[32];
    size_t size = value_size(table), last_row = SIZE_MAX;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        if (column->validity != NULL && column->validity[row] == 0) {
            ids[row] = key_null_number(table, rows->is_insert);
            continue;
        }
        const char *value = (const char *)column->values + row * size;
        if (last_row != SIZE_MAX &&
            memcmp(value, (const char *)column->values + last_row * size, size) == 0)
            ids[row] = ids[last_row]; /* time buckets come in runs */
        else
            ids[row] =
                number_bytes(table, key_canonical(column, row, buffer), value, rows->is_insert);
        last_row = row;
    }
}

/* --- dictionaries --- */

/* The map of this column's dictionary, all of its codes at least CODE_UNKNOWN. */
static enum err find_code_map(struct key_table *table, const struct column *column,
                              struct code_map **out, struct error *error)
{
    struct code_map *map = NULL;
    for (unsigned i = 0; column->dictionary_id != 0 && i < CODE_MAPS; i++)
        if (table->code_maps[i].dictionary_id == column->dictionary_id)
            map = &table->code_maps[i];
    if (map == NULL) {
        map = &table->code_maps[table->next_code_map];
        table->next_code_map = (table->next_code_map + 1) % CODE_MAPS;
        map->dictionary_id = column->dictionary_id;
        map->known = 0;
    }
    enum err err = exec_memory_grow(table->memory, (void **)&map->ids, &map->capacity,
                                    column->dictionary_count, sizeof(*map->ids), error);
    for (; err == OK && map->known < column->dictionary_count; map->known++)
        map->ids[map->known] = CODE_UNKNOWN;
    *out = map;
    return err;
}

/* Numbers for up to TEXTS_AHEAD codes that have none yet, in order. */
static void number_new_codes(struct key_table *table, const struct slice *dictionary,
                             const uint32_t *codes, uint32_t count, uint32_t *ids, bool is_insert)
{
    uint32_t hashes[TEXTS_AHEAD];
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&dictionary[codes[i]]);
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(dictionary[codes[i]].data);
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = (uint32_t)hash64(dictionary[codes[i]].data, dictionary[codes[i]].size);
    ask_ahead(table, hashes, count);
    for (uint32_t i = 0; i < count; i++) {
        if (ids[codes[i]] == CODE_UNKNOWN)
            ids[codes[i]] = number_hashed(table, dictionary[codes[i]], hashes[i], NULL, is_insert);
    }
}

/* Rows [0, count), none NULL: those whose codes are known first, then the others together. */
static void number_whole_codes(struct key_table *table, const struct key_rows *rows,
                               struct code_map *map, uint32_t *ids)
{
    const struct column *column = rows->column;
    uint32_t unknown[VECTOR_ROWS_MAX + 1], unknown_count = 0, codes[TEXTS_AHEAD];
    const uint32_t *known = map->ids, *all_codes = column->codes;
    bool is_any_unknown = false;
    for (uint32_t row = 0; row < rows->count; row++) {
        uint32_t id = known[all_codes[row]];
        ids[row] = id;
        is_any_unknown |= id == CODE_UNKNOWN;
    }
    for (uint32_t row = 0; is_any_unknown && row < rows->count; row++) {
        unknown[unknown_count] = row;
        unknown_count += ids[row] == CODE_UNKNOWN ? 1 : 0;
    }
    for (uint32_t i = 0; i < unknown_count; i += TEXTS_AHEAD) {
        uint32_t left = unknown_count - i, count = left < TEXTS_AHEAD ? left : TEXTS_AHEAD;
        for (uint32_t k = 0; k < count; k++)
            codes[k] = column->codes[unknown[i + k]];
        number_new_codes(table, column->dictionary, codes, count, map->ids, rows->is_insert);
        for (uint32_t k = 0; k < count; k++)
            ids[unknown[i + k]] = map->ids[codes[k]];
    }
}

static enum err number_codes(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                             struct error *error)
{
    struct code_map *map;
    const struct column *column = rows->column;
    enum err err = find_code_map(table, column, &map, error);
    if (err != OK)
        return err;
    if (column->validity == NULL && rows->selection == NULL) {
        number_whole_codes(table, rows, map, ids);
        return OK;
    }
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        if (column->validity != NULL && column->validity[row] == 0) {
            ids[row] = key_null_number(table, rows->is_insert);
            continue;
        }
        uint32_t code = column->codes[row], id = map->ids[code];
        if (id == CODE_UNKNOWN)
            id = map->ids[code] =
                number_bytes(table, column->dictionary[code], NULL, rows->is_insert);
        ids[row] = id;
    }
    return OK;
}

enum err key_bytes_ids(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                       struct error *error)
{
    const struct column *column = rows->column;
    if (table->physical != PHYSICAL_TEXT)
        number_each(table, rows, ids);
    else if (column->form == COLUMN_DICTIONARY &&
             (column->dictionary_id != 0 || column->dictionary_count <= rows->count))
        return number_codes(table, rows, ids, error);
    else
        number_texts(table, rows, ids);
    return OK;
}
