/* Pairs of numbers to numbers.
 *
 *   dense    the pair is an index into an array, left above right; rebuilt from the list of pairs
 *            when a range outgrows its bits, with one bit in reserve
 *   packed   past 18 bits in all (1 MiB): a table by hash of 64-bit words, pair above number + 1.
 *            2^n words have numbers of less than n bits, so 64 - n are left for the pair; a probe
 *            compares the whole pair in the one line it reads, and what is made larger goes from
 *            one end of the words to the other
 *   wide     ranges that do not fit into that: a table by hash of pair and number, for good
 *
 * Numbers never change on the way. */
#include "query/exec/id_map.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

/* Bits of both sides together up to which pairs lie in an array (4 bytes each). */
#define DENSE_BITS_MAX 18
#define DENSE_SHARE 32 /* of the query's memory, where that is small */

enum err id_map_reserve(struct id_map *map, size_t extra, struct exec_memory *memory,
                        struct error *error)
{
    size_t capacity = key_room(map->capacity, map->count + extra, map->expected, MAP_LOAD,
                               sizeof(*map->entries), memory->budget);
    if (capacity == map->capacity)
        return OK;
    enum err err = budget_charge(memory->budget, capacity * sizeof(*map->entries), error);
    if (err != OK)
        return err;
    struct id_map next = {.capacity = capacity,
                          .expected = map->expected,
                          .shift = 64U - (unsigned)__builtin_ctzll(capacity)};
    memory->keys_moved += map->count;
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
    exec_memory_release(table->memory, table->slots, table->slot_count * sizeof(*table->slots));
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

/* Makes the array wide enough, or leaves it. One bit is added as reserve, so that
 * growing ranges do not rebuild it each batch. */
static enum err pair_widen(struct pair_table *table, const struct pair_input *input,
                           struct error *error)
{
    unsigned left = bits_for(input->left_count), right = bits_for(input->right_count);
    if (left <= table->left_bits && right <= table->right_bits)
        return OK;
    left = left <= table->left_bits ? table->left_bits : left + (left < 32);
    right = right <= table->right_bits ? table->right_bits : right + (right < 32);
    enum err err;
    size_t size = sizeof(*table->dense) << (left + right < 32 ? left + right : 32);
    if (left + right > DENSE_BITS_MAX || size > table->memory->budget->limit / DENSE_SHARE) {
        exec_memory_release(table->memory, table->dense,
                            table->dense_capacity * sizeof(*table->dense));
        table->dense = NULL;
        table->dense_capacity = 0;
        table->left_bits = table->right_bits = 0;
        table->form = PAIRS_PACKED;
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

/* --- packed --- */

static unsigned right_bits_for(const struct pair_table *table, uint32_t right_count)
{
    unsigned right = bits_for(right_count);
    return right <= table->right_bits ? table->right_bits : right + 1;
}

/* How words have to be for so many pairs of numbers below these bounds; false: they cannot. */
struct packing {
    unsigned slot_bits, right_bits;
};
static bool pack(const struct pair_table *table, uint32_t left_count, uint32_t right_count,
                 size_t count, struct packing *out)
{
    size_t least = key_places(table->slot_count, count, MAP_LOAD);
    size_t room = key_room(table->slot_count, count, table->expected, MAP_LOAD,
                           sizeof(*table->slots), table->memory->budget);
    unsigned left = bits_for(left_count);
    out->right_bits = right_bits_for(table, right_count);
    out->slot_bits = (unsigned)__builtin_ctzll(room);
    if (left + out->right_bits + out->slot_bits > 64)
        out->slot_bits = (unsigned)__builtin_ctzll(least);
    return left + out->right_bits + out->slot_bits <= 64;
}

static inline size_t slot_of(uint64_t key, unsigned slot_bits)
{
    key ^= key >> 32;
    return (size_t)((key * 0x9E3779B97F4A7C15ULL) >> (64 - slot_bits));
}

/* A pair that is not there yet. */
static inline void slots_put(uint64_t *slots, unsigned slot_bits, uint64_t key, uint32_t id)
{
    size_t slot = slot_of(key, slot_bits);
    while (slots[slot] != 0)
        slot = (slot + 1) & (((size_t)1 << slot_bits) - 1);
    slots[slot] = key << slot_bits | (id + (uint64_t)1);
}

static void free_slots(struct pair_table *table)
{
    exec_memory_release(table->memory, table->slots, table->slot_count * sizeof(*table->slots));
    table->slots = NULL;
    table->slot_count = 0;
}

static enum err go_wide(struct pair_table *table, struct error *error)
{
    enum err err = id_map_reserve(&table->map, (size_t)table->count + 1, table->memory, error);
    if (err != OK)
        return err;
    for (uint32_t id = 0; id < table->count; id++)
        id_map_put(&table->map, table->pairs[id], id);
    free_slots(table);
    table->form = PAIRS_WIDE;
    return OK;
}

/* Words of another number or form: of the old ones, in their order, which is nearly that of the new
 * ones; where the form is another, of the list. */
static enum err repack(struct pair_table *table, struct packing to, struct error *error)
{
    struct packing from = {table->slot_bits, table->right_bits};
    size_t slot_count = (size_t)1 << to.slot_bits;
    enum err err = budget_charge(table->memory->budget, slot_count * sizeof(*table->slots), error);
    if (err != OK)
        return err;
    uint64_t *slots = memory_alloc_zero_huge(slot_count * sizeof(*slots));
    table->memory->keys_moved += table->slot_count == 0 ? 0 : table->count;
    if (to.right_bits == from.right_bits || fault_is("pairs.repacked")) {
        uint64_t id_mask = ((uint64_t)1 << from.slot_bits) - 1;
        for (size_t i = 0; i < table->slot_count; i++)
            if (table->slots[i] != 0)
                slots_put(slots, to.slot_bits, table->slots[i] >> from.slot_bits,
                          (uint32_t)((table->slots[i] & id_mask) - 1));
    } else {
        for (uint32_t id = 0; id < table->count; id++) {
            uint64_t left = table->pairs[id] >> 32, right = (uint32_t)table->pairs[id];
            slots_put(slots, to.slot_bits, left << to.right_bits | right, id);
        }
    }
    free_slots(table);
    table->slots = slots;
    table->slot_count = slot_count;
    table->slot_bits = to.slot_bits;
    table->right_bits = to.right_bits;
    return OK;
}

static enum err packed_reserve(struct pair_table *table, const struct pair_input *input,
                               struct error *error)
{
    struct packing packing;
    table->left_count = input->left_count;
    table->right_count = input->right_count;
    if (!pack(table, input->left_count, input->right_count, (size_t)table->count + input->count,
              &packing))
        return go_wide(table, error);
    bool is_same = table->slot_count == (size_t)1 << packing.slot_bits &&
                   table->right_bits == packing.right_bits;
    return is_same ? OK : repack(table, packing, error);
}

bool pair_table_fits(const struct pair_table *table, uint32_t left_count, uint32_t right_count,
                     size_t extra)
{
    struct packing packing;
    assert(table->form != PAIRS_DENSE);
    return table->form == PAIRS_WIDE ||
           pack(table, left_count, right_count, table->count + extra, &packing);
}

void pair_table_place_again(struct pair_table *table, uint32_t right_count)
{
    if (table->form == PAIRS_WIDE) {
        table->map.count = 0;
        for (size_t i = 0; i < table->map.capacity; i++)
            table->map.entries[i] = (struct id_entry){.key = 0, .id = KEY_NONE};
        for (uint32_t id = 0; id < table->count; id++)
            id_map_put(&table->map, table->pairs[id], id);
        return;
    }
    table->right_bits = right_bits_for(table, right_count);
    memset(table->slots, 0, table->slot_count * sizeof(*table->slots));
    for (uint32_t id = 0; id < table->count; id++) {
        uint64_t left = table->pairs[id] >> 32, right = (uint32_t)table->pairs[id];
        slots_put(table->slots, table->slot_bits, left << table->right_bits | right, id);
    }
}

void pair_table_cover(struct pair_table *table, uint32_t right_count)
{
    if (table->form == PAIRS_PACKED && right_bits_for(table, right_count) != table->right_bits)
        pair_table_place_again(table, right_count);
}

static size_t pairs_wanted(const struct pair_table *table, size_t extra)
{
    return key_wanted(table->pairs_capacity, table->count + extra, table->expected,
                      sizeof(*table->pairs), table->memory->budget);
}

size_t pair_table_growth(const struct pair_table *table, size_t extra)
{
    struct packing packing;
    size_t bytes = exec_memory_growth(table->pairs_capacity, pairs_wanted(table, extra),
                                      sizeof(*table->pairs));
    size_t dense = table->form != PAIRS_DENSE
                       ? 0
                       : exec_memory_growth(table->dense_capacity, table->dense_capacity + 1,
                                            sizeof(*table->dense));
    size_t places = key_room(table->map.capacity, table->count + extra, table->map.expected,
                             MAP_LOAD, sizeof(*table->map.entries), table->memory->budget);
    size_t wide = places == table->map.capacity ? 0 : places * sizeof(*table->map.entries);
    uint64_t left = table->left_count + (uint64_t)extra, right = table->right_count + extra;
    if (table->form == PAIRS_WIDE || left > UINT32_MAX || right > UINT32_MAX ||
        !pack(table, (uint32_t)left, (uint32_t)right, table->count + extra, &packing))
        return bytes + (wide > dense ? wide : dense);
    bool is_same = table->slot_count == (size_t)1 << packing.slot_bits &&
                   table->right_bits == packing.right_bits;
    size_t packed = is_same ? 0 : sizeof(*table->slots) << packing.slot_bits;
    return bytes + (packed > dense ? packed : dense);
}

/* --- rows --- */

/* The number of a packed pair; if it is new, `next` becomes its number. */
static inline uint32_t packed_add(uint64_t *slots, unsigned slot_bits, uint64_t key, uint32_t next)
{
    size_t slot = slot_of(key, slot_bits), mask = ((size_t)1 << slot_bits) - 1;
    uint64_t word;
    while ((word = slots[slot]) != 0) {
        if (word >> slot_bits == key)
            return (uint32_t)((word & mask) - 1);
        slot = (slot + 1) & mask;
    }
    slots[slot] = key << slot_bits | (next + (uint64_t)1);
    return next;
}

INLINE void ask_for_pair(const struct pair_table *table, enum pair_form form, uint64_t left,
                         uint64_t right)
{
    if (form == PAIRS_PACKED)
        __builtin_prefetch(
            &table->slots[slot_of(left << table->right_bits | right, table->slot_bits)], 1);
    else
        __builtin_prefetch(&table->map.entries[id_map_slot(&table->map, left << 32 | right)], 1);
}

/* `is_whole` and `form` are constants where this is called, so that each shape is a loop of its
 * own. */
INLINE void pair_insert_shape(struct pair_table *table, const struct pair_input *input,
                              uint32_t *ids, bool is_whole, enum pair_form form)
{
    const uint32_t *lefts = input->left, *rights = input->right;
    uint32_t *dense = table->dense, known = table->count;
    uint64_t *slots = table->slots, *pairs = table->pairs;
    unsigned right_bits = table->right_bits, slot_bits = table->slot_bits;
    /* Tables past the caches: their entries are asked for some rows ahead. */
    bool is_large = form == PAIRS_PACKED ? table->slot_count >= 2 * MAP_LARGE
                                         : table->map.capacity >= MAP_LARGE;
    size_t ahead = form != PAIRS_DENSE && is_whole && is_large ? ROWS_AHEAD : 0;
    for (size_t i = 0; i < ahead && i < input->count; i++)
        ask_for_pair(table, form, lefts[i], rights[i]);
    for (size_t i = 0; i < input->count; i++) {
        size_t row = is_whole ? i : input->selection[i];
        uint32_t left = lefts[row], right = rights[row], id;
        if (ahead != 0 && i + ahead < input->count)
            ask_for_pair(table, form, lefts[i + ahead], rights[i + ahead]);
        if (form == PAIRS_PACKED) {
            id = packed_add(slots, slot_bits, (uint64_t)left << right_bits | right, known);
        } else if (form == PAIRS_WIDE) {
            id = id_map_add(&table->map, (uint64_t)left << 32 | right, known);
        } else {
            uint32_t *cell = &dense[(size_t)left << right_bits | right];
            id = *cell;
            if (__builtin_expect(id == KEY_NONE, 0))
                id = *cell = known;
        }
        if (__builtin_expect(id == known, form == PAIRS_DENSE ? 0 : 1))
            pairs[known++] = (uint64_t)left << 32 | right;
        ids[row] = id;
    }
    table->count = known;
}

static void pair_insert(struct pair_table *table, const struct pair_input *input, uint32_t *ids)
{
    bool is_whole = input->selection == NULL;
    if (table->form == PAIRS_PACKED && is_whole)
        pair_insert_shape(table, input, ids, true, PAIRS_PACKED);
    else if (table->form == PAIRS_PACKED)
        pair_insert_shape(table, input, ids, false, PAIRS_PACKED);
    else if (table->form == PAIRS_WIDE && is_whole)
        pair_insert_shape(table, input, ids, true, PAIRS_WIDE);
    else if (table->form == PAIRS_WIDE)
        pair_insert_shape(table, input, ids, false, PAIRS_WIDE);
    else if (is_whole)
        pair_insert_shape(table, input, ids, true, PAIRS_DENSE);
    else
        pair_insert_shape(table, input, ids, false, PAIRS_DENSE);
}

static uint32_t packed_find(const struct pair_table *table, uint32_t left, uint32_t right)
{
    unsigned slot_bits = table->slot_bits;
    uint64_t key = (uint64_t)left << table->right_bits | right;
    size_t slot = slot_of(key, slot_bits), mask = table->slot_count - 1;
    if ((uint64_t)right >> table->right_bits != 0 || key >> (64 - slot_bits) != 0)
        return KEY_NONE; /* no pair that is there has such numbers */
    for (; table->slots[slot] != 0; slot = (slot + 1) & mask)
        if (table->slots[slot] >> slot_bits == key)
            return (uint32_t)((table->slots[slot] & mask) - 1);
    return KEY_NONE;
}

static void pair_lookup(const struct pair_table *table, const struct pair_input *input,
                        uint32_t *ids)
{
    for (size_t i = 0; i < input->count; i++) {
        size_t row = input->selection != NULL ? input->selection[i] : i;
        uint32_t left = input->left[row], right = input->right[row];
        if (left == KEY_NONE || right == KEY_NONE || table->count == 0)
            ids[row] = KEY_NONE;
        else if (table->form == PAIRS_PACKED)
            ids[row] = packed_find(table, left, right);
        else if (table->form == PAIRS_WIDE)
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
                         pairs_wanted(table, input->count), sizeof(*table->pairs), error);
    if (err == OK && table->form == PAIRS_DENSE)
        err = pair_widen(table, input, error);
    if (err == OK && table->form == PAIRS_PACKED)
        err = packed_reserve(table, input, error);
    if (err == OK && table->form == PAIRS_WIDE)
        err = id_map_reserve(&table->map, input->count, table->memory, error);
    if (err == OK)
        pair_insert(table, input, ids);
    return err;
}
