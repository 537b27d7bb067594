/* Pairs of numbers to numbers.
 *
 * While both ranges are small a pair is an index into an array, left above right; the array is
 * rebuilt from the list of pairs when a range outgrows its bits, with one bit in reserve. Past 18
 * bits in all (1 MiB) pairs go into a hash table for good. Numbers never change on the way. */
#include "query/exec/id_map.h"

#include <string.h>

/* Bits of both sides together up to which pairs lie in an array (4 bytes each). */
#define DENSE_BITS_MAX 18
#define DENSE_SHARE 32 /* of the query's memory, where that is small */

enum err id_map_reserve(struct id_map *map, size_t extra, struct exec_memory *memory,
                        struct error *error)
{
    size_t capacity = key_places(map->capacity, map->count + extra, MAP_LOAD);
    if (capacity == map->capacity)
        return OK;
    enum err err = budget_charge(memory->budget, capacity * sizeof(*map->entries), error);
    if (err != OK)
        return err;
    struct id_map next = {.capacity = capacity, .shift = 64U - (unsigned)__builtin_ctzll(capacity)};
    next.entries = memory_alloc(capacity * sizeof(*next.entries));
    for (size_t i = 0; i < capacity; i++)
        next.entries[i] = (struct id_entry){.key = 0, .id = KEY_NONE};
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].id != KEY_NONE)
            id_map_put(&next, map->entries[i].key, map->entries[i].id);
    memory_free(map->entries);
    if (map->capacity != 0)
        budget_release(memory->budget, map->capacity * sizeof(*map->entries));
    *map = next;
    return OK;
}

void pair_table_init(struct pair_table *table, struct exec_memory *memory)
{
    *table = (struct pair_table){.memory = memory};
}

void pair_table_deinit(struct pair_table *table)
{
    exec_memory_release(table->memory, table->dense, table->dense_capacity * sizeof(*table->dense));
    exec_memory_release(table->memory, table->map.entries,
                        table->map.capacity * sizeof(*table->map.entries));
    exec_memory_release(table->memory, table->pairs, table->pairs_capacity * sizeof(*table->pairs));
}

static unsigned bits_for(uint32_t count)
{
    unsigned bits = 1;
    while (bits < 32 && ((uint64_t)1 << bits) < count)
        bits++;
    return bits;
}

/* Makes the array wide enough, or goes over to hashing. One bit is added as reserve, so that
 * growing ranges do not rebuild it each batch. */
static enum err pair_widen(struct pair_table *table, const struct pair_input *input,
                           struct error *error)
{
    unsigned left = bits_for(input->left_count), right = bits_for(input->right_count);
    if (table->is_hashed || (left <= table->left_bits && right <= table->right_bits))
        return OK;
    left = left <= table->left_bits ? table->left_bits : left + (left < 32);
    right = right <= table->right_bits ? table->right_bits : right + (right < 32);
    enum err err;
    size_t size = sizeof(*table->dense) << (left + right < 32 ? left + right : 32);
    if (left + right > DENSE_BITS_MAX || size > table->memory->budget->limit / DENSE_SHARE) {
        err = id_map_reserve(&table->map, (size_t)table->count + 1, table->memory, error);
        if (err != OK)
            return err;
        for (uint32_t id = 0; id < table->count; id++)
            id_map_put(&table->map, table->pairs[id], id);
        exec_memory_release(table->memory, table->dense,
                            table->dense_capacity * sizeof(*table->dense));
        table->dense = NULL;
        table->dense_capacity = 0;
        table->is_hashed = true;
        return OK;
    }
    size = (size_t)1 << (left + right);
    err = exec_memory_grow(table->memory, (void **)&table->dense, &table->dense_capacity, size,
                           sizeof(*table->dense), error);
    if (err != OK)
        return err;
    memset(table->dense, 0xFF, size * sizeof(*table->dense));
    table->left_bits = left;
    table->right_bits = right;
    for (uint32_t id = 0; id < table->count; id++) {
        size_t l = (size_t)(table->pairs[id] >> 32), r = (size_t)(uint32_t)table->pairs[id];
        table->dense[l << right | r] = id;
    }
    return OK;
}

INLINE void pair_insert_shape(struct pair_table *table, const struct pair_input *input,
                              uint32_t *ids, bool is_whole, bool is_hashed)
{
    const uint32_t *lefts = input->left, *rights = input->right;
    uint32_t *dense = table->dense;
    unsigned right_bits = table->right_bits;
    /* A map past the caches: its entries are asked for some rows ahead. */
    size_t ahead = is_hashed && is_whole && table->map.capacity >= MAP_LARGE ? ROWS_AHEAD : 0;
    for (size_t i = 0; i < input->count; i++) {
        size_t row = is_whole ? i : input->selection[i];
        uint32_t left = lefts[row], right = rights[row], id;
        if (ahead != 0 && i + ahead < input->count) {
            uint64_t next = (uint64_t)lefts[i + ahead] << 32 | rights[i + ahead];
            __builtin_prefetch(&table->map.entries[id_map_slot(&table->map, next)], 1);
        }
        if (is_hashed) {
            id = id_map_add(&table->map, (uint64_t)left << 32 | right, table->count);
        } else {
            uint32_t *cell = &dense[(size_t)left << right_bits | right];
            id = *cell;
            if (__builtin_expect(id == KEY_NONE, 0))
                id = *cell = table->count;
        }
        if (__builtin_expect(id == table->count, 0))
            table->pairs[table->count++] = (uint64_t)left << 32 | right;
        ids[row] = id;
    }
}

static void pair_insert(struct pair_table *table, const struct pair_input *input, uint32_t *ids)
{
    if (table->is_hashed && input->selection == NULL)
        pair_insert_shape(table, input, ids, true, true);
    else if (table->is_hashed)
        pair_insert_shape(table, input, ids, false, true);
    else if (input->selection == NULL)
        pair_insert_shape(table, input, ids, true, false);
    else
        pair_insert_shape(table, input, ids, false, false);
}

static void pair_lookup(const struct pair_table *table, const struct pair_input *input,
                        uint32_t *ids)
{
    for (size_t i = 0; i < input->count; i++) {
        size_t row = input->selection != NULL ? input->selection[i] : i;
        uint32_t left = input->left[row], right = input->right[row];
        if (left == KEY_NONE || right == KEY_NONE || table->count == 0)
            ids[row] = KEY_NONE;
        else if (table->is_hashed)
            ids[row] = id_map_find(&table->map, (uint64_t)left << 32 | right);
        else
            ids[row] = table->dense[(size_t)left << table->right_bits | right];
    }
}

enum err pair_table_ids(struct pair_table *table, const struct pair_input *input, uint32_t *ids,
                        struct error *error)
{
    if (!input->is_insert) {
        pair_lookup(table, input, ids);
        return OK;
    }
    enum err err =
        exec_memory_grow(table->memory, (void **)&table->pairs, &table->pairs_capacity,
                         (size_t)table->count + input->count, sizeof(*table->pairs), error);
    if (err == OK)
        err = pair_widen(table, input, error);
    if (err == OK && table->is_hashed)
        err = id_map_reserve(&table->map, input->count, table->memory, error);
    if (err == OK)
        pair_insert(table, input, ids);
    return err;
}
