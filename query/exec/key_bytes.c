/* Values that are told apart by their bytes: texts, numerics, intervals.
 *
 *   text                hash ──▶ slot {hash, number} ──▶ slice ──▶ bytes
 *   code of a text      key_codes.c
 *   numeric, interval   bytes that are equal where the values are ──▶ as a text
 *
 * What a number needs lies at up to four places of memory one after the other, so texts are taken
 * some at a time and their places asked for ahead, step by step for all of them. */
#include "query/exec/key_table.h"

#include "storage/base/hash.h"

#include <string.h>

static const struct slice *key_bytes(const struct key_table *table)
{
    return table->physical == PHYSICAL_TEXT ? (const struct slice *)(const void *)table->values
                                            : table->bytes;
}

enum err key_bytes_reserve(struct key_table *table, size_t extra, struct error *error)
{
    size_t capacity = key_room(table->text_capacity, (size_t)table->count + extra, table->expected,
                               KEY_LOAD, sizeof(*table->text_entries), table->memory->budget);
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
    table->memory->keys_moved += table->text_capacity == 0 ? 0 : table->count;
    memory_free(table->text_entries);
    if (table->text_capacity != 0)
        budget_release(table->memory->budget, table->text_capacity * sizeof(*entries));
    table->text_entries = entries;
    table->text_capacity = capacity;
    return OK;
}

uint32_t key_bytes_number(struct key_table *table, struct slice bytes, uint32_t hash,
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
    table->text_bytes += bytes.size;
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
    return key_bytes_number(table, bytes, (uint32_t)hash64(bytes.data, bytes.size), value,
                            is_insert);
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
void key_bytes_ask_ahead(const struct key_table *table, const uint32_t *hashes, uint32_t count)
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
        key_bytes_ask_ahead(table, hashes, (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            size_t row = row_at(rows, begin + i);
            ids[row] = column_is_null(column, row)
                           ? key_null_number(table, rows->is_insert)
                           : key_bytes_number(table, column_text(column, row), hashes[i], NULL,
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

enum err key_bytes_ids(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                       struct error *error)
{
    const struct column *column = rows->column;
    bool is_text = table->physical == PHYSICAL_TEXT;
    if (is_text && column->form == COLUMN_DICTIONARY &&
        (column->dictionary_id != 0 || column->dictionary_count <= rows->count))
        return key_codes_ids(table, rows, ids, error);
    enum err err = key_codes_leave(table, error);
    if (err == OK && rows->is_insert)
        err = key_bytes_reserve(table, rows->count, error);
    if (err == OK && is_text)
        number_texts(table, rows, ids);
    else if (err == OK)
        number_each(table, rows, ids);
    return err;
}
