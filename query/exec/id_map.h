/* The inner loops' map from 64-bit keys to numbers: linear probing at a load of at most one half.
 */
#ifndef FRESHET_QUERY_EXEC_ID_MAP_H
#define FRESHET_QUERY_EXEC_ID_MAP_H

#include "query/exec/keys.h"

#define MAP_LARGE                                                                                  \
    ((size_t)1 << 14) /* entries: more than the second cache holds with what else is */
/* Rows that an entry is asked for ahead of its own: a miss past the caches takes 250 ns and more, a
 * row 5 to 10. Half of it was 1.1 times as slow, twice as many no faster. */
#define ROWS_AHEAD 48

#define INLINE static inline __attribute__((always_inline))

/* Room for `extra` more keys. */
MUST_CHECK enum err id_map_reserve(struct id_map *map, size_t extra, struct exec_memory *memory,
                                   struct error *error);

static inline size_t id_map_slot(const struct id_map *map, uint64_t key)
{
    key ^= key >> 32;
    return (size_t)((key * 0x9E3779B97F4A7C15ULL) >> map->shift);
}

static inline void id_map_put(struct id_map *map, uint64_t key, uint32_t id)
{
    size_t slot = id_map_slot(map, key);
    while (map->entries[slot].id != KEY_NONE)
        slot = (slot + 1) & (map->capacity - 1);
    map->entries[slot] = (struct id_entry){.key = key, .id = id};
    map->count++;
}

/* The number of a key; if it is new, `next_id` becomes its number. Room must have been reserved. */
static inline uint32_t id_map_add(struct id_map *map, uint64_t key, uint32_t next_id)
{
    size_t slot = id_map_slot(map, key);
    while (map->entries[slot].id != KEY_NONE) {
        if (map->entries[slot].key == key)
            return map->entries[slot].id;
        slot = (slot + 1) & (map->capacity - 1);
    }
    map->entries[slot] = (struct id_entry){.key = key, .id = next_id};
    map->count++;
    return next_id;
}

static inline uint32_t id_map_find(const struct id_map *map, uint64_t key)
{
    if (map->capacity == 0)
        return KEY_NONE;
    size_t slot = id_map_slot(map, key);
    while (map->entries[slot].id != KEY_NONE) {
        if (map->entries[slot].key == key)
            return map->entries[slot].id;
        slot = (slot + 1) & (map->capacity - 1);
    }
    return KEY_NONE;
}

#endif
