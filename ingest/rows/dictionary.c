/* Text to code within one batch.
 *
 * Columns of events repeat: a country, a status, a page. Finding that here, while the text is in
 * the first-level cache, makes the log record smaller and turns the append into one look-up per
 * distinct text instead of one per row. Open addressing with linear steps over 8-byte slots that
 * carry 32 bits of the hash, so a probe that misses rarely touches the text itself. Texts are
 * borrowed from the body.
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

static inline uint64_t load_u32(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* Short texts are nearly all of them: two overlapping words, one wide multiplication. Not keyed:
 * whoever floods a slot makes his own batch slow, and no more than DICTIONARY_ENTRIES_MAX steps a
 * row. */
static inline uint64_t text_hash(struct slice text)
{
    uint64_t a, b;
    if (text.size > 16)
        return hash64(text.data, text.size);
    if (text.size >= 8) {
        a = load_u64(text.data);
        b = load_u64(text.data + text.size - 8);
    } else if (text.size >= 4) {
        a = load_u32(text.data);
        b = load_u32(text.data + text.size - 4);
    } else if (text.size > 0) {
        a = (uint8_t)text.data[0];
        b = (uint64_t)(uint8_t)text.data[text.size / 2] << 8 | (uint8_t)text.data[text.size - 1];
    } else {
        a = b = 0;
    }
    unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15ULL ^ text.size) * (b ^ 0xd6e8feb86659fd93ULL);
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return hash ^ hash >> 29;
}

void local_dictionary_init(struct local_dictionary *dictionary, struct arena *arena)
{
    *dictionary = (struct local_dictionary){
        .arena = arena, .mask = SLOTS_FIRST - 1, .capacity = ENTRIES_FIRST};
    dictionary->slots = arena_alloc_zero(arena, SLOTS_FIRST * sizeof(uint64_t));
    dictionary->entries = arena_alloc_array(arena, ENTRIES_FIRST, sizeof(struct slice));
}

/* Twice the slots and entries; old arrays stay behind in the arena. */
static void local_dictionary_grow(struct local_dictionary *dictionary)
{
    uint32_t capacity = dictionary->capacity * 2;
    struct slice *entries = arena_alloc_array(dictionary->arena, capacity, sizeof(struct slice));
    memcpy(entries, dictionary->entries, dictionary->count * sizeof(struct slice));
    dictionary->entries = entries;
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

uint32_t local_dictionary_code(struct local_dictionary *dictionary, struct slice text)
{
    uint64_t tag = text_hash(text) & 0xFFFFFFFF;
    uint64_t at = tag & dictionary->mask;
    for (uint64_t slot; (slot = dictionary->slots[at]) != 0; at = (at + 1) & dictionary->mask) {
        if (slot >> 32 != tag)
            continue;
        uint32_t code = (uint32_t)slot - 1;
        const struct slice *entry = &dictionary->entries[code];
        if (entry->size == text.size && memcmp(entry->data, text.data, text.size) == 0)
            return code;
    }
    if (dictionary->count == DICTIONARY_ENTRIES_MAX)
        return UINT32_MAX;
    uint32_t code = dictionary->count++;
    dictionary->entries[code] = text;
    dictionary->slots[at] = tag << 32 | (code + 1);
    if (dictionary->count == dictionary->capacity)
        local_dictionary_grow(dictionary);
    assert(dictionary->count < dictionary->capacity);
    return code;
}

bool local_dictionary_is_hopeless(const struct local_dictionary *dictionary, size_t rows)
{
    if (rows < 32)
        return false;
    if (rows < 256)
        return (size_t)dictionary->count * 8 > rows * 7;
    return (size_t)dictionary->count * 2 > rows;
}
