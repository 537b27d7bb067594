/* A batch's own dictionary of one text column: text to code, texts borrowed. */
#ifndef FRESHET_INGEST_ROWS_DICTIONARY_H
#define FRESHET_INGEST_ROWS_DICTIONARY_H

#include "storage/base/arena.h"

#include <string.h>

#define DICTIONARY_ENTRIES_MAX 65536
/* Texts up to this size are compared without looking at them again. */
#define DICTIONARY_SHORT_MAX 16

/* What a text is recognized by: its bytes and zeros if it is short, else its hash. */
struct local_key {
    uint64_t low, high;
    uint64_t size;
};

struct local_dictionary {
    struct arena *arena;
    uint64_t *slots; /* hash in the upper half, code + 1 in the lower; 0: free */
    uint64_t mask;
    struct slice *entries;  /* by code */
    struct local_key *keys; /* by code */
    uint32_t count, capacity;
};

#define DICTIONARY_NONE UINT32_MAX

void local_dictionary_init(struct local_dictionary *dictionary, struct arena *arena);
/* Empty; keeps its memory. */
void local_dictionary_clear(struct local_dictionary *dictionary);
/* The text's code, a new one if it is new; DICTIONARY_NONE when the dictionary is full. The text
 * must live as long as the batch. */
uint32_t local_dictionary_code(struct local_dictionary *dictionary, struct slice text);
/* The new code of such a text (local_dictionary_short_key, local_dictionary_tag) that is not there;
 * DICTIONARY_NONE when the dictionary is full. */
uint32_t local_dictionary_add(struct local_dictionary *dictionary, struct slice text,
                              struct local_key key, uint64_t tag);
/* Is a column of `rows` rows better off without it? */
bool local_dictionary_is_hopeless(const struct local_dictionary *dictionary, size_t rows);

static inline uint64_t local_dictionary_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product =
        (unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b ^ UINT64_C(0xd6e8feb86659fd93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The code of a key that is there, or DICTIONARY_NONE. */
static inline uint32_t local_dictionary_find_key(const struct local_dictionary *dictionary,
                                                 struct local_key key, uint64_t tag)
{
    uint64_t at = tag & dictionary->mask;
    for (uint64_t slot; (slot = dictionary->slots[at]) != 0; at = (at + 1) & dictionary->mask) {
        const struct local_key *other = &dictionary->keys[(uint32_t)slot - 1];
        if (((other->low ^ key.low) | (other->high ^ key.high) | (other->size ^ key.size)) == 0)
            return (uint32_t)slot - 1;
    }
    return DICTIONARY_NONE;
}

static inline uint64_t local_dictionary_tag(struct local_key key)
{
    return local_dictionary_mix(key.low ^ key.size, key.high) & UINT32_MAX;
}

/* The key of a text of at most DICTIONARY_SHORT_MAX bytes. As many can be read from text.data on.
 * No branch depends on the size: it is not predictable. */
static inline struct local_key local_dictionary_short_key(struct slice text)
{
    static const uint64_t masks[4] = {UINT64_MAX, UINT64_MAX, 0, 0};
    struct local_key key = {.size = text.size};
    uint64_t low_mask, high_mask;
    memcpy(&key.low, text.data, 8);
    memcpy(&key.high, text.data + 8, 8);
    memcpy(&low_mask, (const char *)masks + 16 - text.size, 8);
    memcpy(&high_mask, (const char *)masks + 24 - text.size, 8);
    key.low &= low_mask;
    key.high &= high_mask;
    return key;
}

/* The code of such a text that is there, or DICTIONARY_NONE. */
static inline uint32_t local_dictionary_find_short(const struct local_dictionary *dictionary,
                                                   struct slice text)
{
    struct local_key key = local_dictionary_short_key(text);
    return local_dictionary_find_key(dictionary, key, local_dictionary_tag(key));
}

#endif
