/* Text to code within one batch.
 *
 * Columns of events repeat: a country, a status, a page. Finding that here, while the text is in
 * the first-level cache, makes the log record smaller and turns the append into one look-up per
 * distinct text instead of one per row. Open addressing with linear steps over 8-byte slots that
 * carry 32 bits of the hash. Texts of up to 16 bytes, nearly all of them, are kept as two words
 * beside the entries, so that neither hash nor comparison looks at bytes that may have left the
 * cache, and nothing branches on their size. Texts are borrowed from the body.
 *
 * A column whose texts do not repeat pays for nothing: it gives up after 32 rows if nearly all
 * differ, after 256 rows if more than half do, or when there are more than 65,536 texts. */
#include "ingest/rows/dictionary.h"

#include "storage/base/hash.h"

#include <assert.h>

#define SLOTS_FIRST 128
#define ENTRIES_FIRST 64

static inline uint64_t load_u64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* Texts of 17 bytes or more: up to 64 as words from both ends that may overlap. Not keyed: whoever
 * floods a slot makes his own batch slow, and no more than DICTIONARY_ENTRIES_MAX steps a row. */
static uint64_t long_hash(struct slice text)
{
    const char *p = text.data, *end = text.data + text.size;
    if (text.size > 64)
        return hash64(p, text.size);
    uint64_t hash = local_dictionary_mix(load_u64(p) ^ text.size, load_u64(p + 8)) ^
                    local_dictionary_mix(load_u64(end - 16), load_u64(end - 8) ^ text.size);
    if (text.size > 32)
        hash ^= local_dictionary_mix(load_u64(p + 16) ^ hash, load_u64(p + 24)) ^
                local_dictionary_mix(load_u64(end - 32), load_u64(end - 24) ^ hash);
    return hash;
}

void local_dictionary_init(struct local_dictionary *dictionary, struct arena *arena)
{
    *dictionary = (struct local_dictionary){
        .arena = arena, .mask = SLOTS_FIRST - 1, .capacity = ENTRIES_FIRST};
    dictionary->slots = arena_alloc_zero(arena, SLOTS_FIRST * sizeof(uint64_t));
    dictionary->entries = arena_alloc_array(arena, ENTRIES_FIRST, sizeof(struct slice));
    dictionary->keys = arena_alloc_array(arena, ENTRIES_FIRST, sizeof(struct local_key));
}

void local_dictionary_clear(struct local_dictionary *dictionary)
{
    memset(dictionary->slots, 0, (dictionary->mask + 1) * sizeof(uint64_t));
    dictionary->count = 0;
}

/* Twice the slots and entries; old arrays stay behind in the arena. */
static void local_dictionary_grow(struct local_dictionary *dictionary)
{
    uint32_t capacity = dictionary->capacity * 2;
    struct slice *entries = arena_alloc_array(dictionary->arena, capacity, sizeof(struct slice));
    memcpy(entries, dictionary->entries, dictionary->count * sizeof(struct slice));
    dictionary->entries = entries;
    struct local_key *keys = arena_alloc_array(dictionary->arena, capacity, sizeof(*keys));
    memcpy(keys, dictionary->keys, dictionary->count * sizeof(*keys));
    dictionary->keys = keys;
    dictionary->capacity = capacity;
    uint64_t mask = dictionary->mask * 2 + 1;
    uint64_t *slots = arena_alloc_zero(dictionary->arena, (mask + 1) * sizeof(uint64_t));
    for (uint64_t i = 0; i <= dictionary->mask; i++) {
        uint64_t slot = dictionary->slots[i];
        if (slot == 0)
            continue;
        uint64_t at = (slot >> 32) & mask;
        while (slots[at] != 0)
            at = (at + 1) & mask;
        slots[at] = slot;
    }
    dictionary->slots = slots;
    dictionary->mask = mask;
}

uint32_t local_dictionary_add(struct local_dictionary *dictionary, struct slice text,
                              struct local_key key, uint64_t tag)
{
    if (dictionary->count == DICTIONARY_ENTRIES_MAX)
        return DICTIONARY_NONE;
    uint64_t at = tag & dictionary->mask;
    while (dictionary->slots[at] != 0)
        at = (at + 1) & dictionary->mask;
    uint32_t code = dictionary->count++;
    dictionary->entries[code] = text;
    dictionary->keys[code] = key;
    dictionary->slots[at] = tag << 32 | (code + 1);
    if (dictionary->count == dictionary->capacity)
        local_dictionary_grow(dictionary);
    assert(dictionary->count < dictionary->capacity);
    return code;
}

static uint32_t short_code(struct local_dictionary *dictionary, struct slice text)
{
    struct local_key key = {.size = text.size};
    char bytes[DICTIONARY_SHORT_MAX] = {0};
    if (text.size > 0)
        memcpy(bytes, text.data, text.size);
    key.low = load_u64(bytes);
    key.high = load_u64(bytes + 8);
    uint64_t tag = local_dictionary_tag(key);
    uint32_t code = local_dictionary_find_key(dictionary, key, tag);
    return code != DICTIONARY_NONE ? code : local_dictionary_add(dictionary, text, key, tag);
}

uint32_t local_dictionary_code(struct local_dictionary *dictionary, struct slice text)
{
    if (text.size <= DICTIONARY_SHORT_MAX)
        return short_code(dictionary, text);
    uint64_t hash = long_hash(text), tag = hash & UINT32_MAX;
    struct local_key key = {.low = hash, .size = text.size};
    uint64_t at = tag & dictionary->mask;
    for (uint64_t slot; (slot = dictionary->slots[at]) != 0; at = (at + 1) & dictionary->mask) {
        uint32_t code = (uint32_t)slot - 1;
        const struct local_key *other = &dictionary->keys[code];
        if (slot >> 32 == tag && other->low == hash && other->size == text.size &&
            memcmp(dictionary->entries[code].data, text.data, text.size) == 0)
            return code;
    }
    return local_dictionary_add(dictionary, text, key, tag);
}

bool local_dictionary_is_hopeless(const struct local_dictionary *dictionary, size_t rows)
{
    if (rows < 32)
        return false;
    if (rows < 256)
        return (size_t)dictionary->count * 8 > rows * 7;
    return (size_t)dictionary->count * 2 > rows;
}
