/* Words: a dictionary of pieces of text, and texts as numbers of its entries. What words.c,
 * words_learn.c and words_split.c share. */
#ifndef FRESHET_STORAGE_ENCODING_WORDS_H
#define FRESHET_STORAGE_ENCODING_WORDS_H

#include "storage/encoding/private.h"

#define WORDS_WIDTH_MIN 8u /* bits of a code: the one behind an escape holds a byte */
#define WORDS_WIDTH_MAX 16u
#define WORDS_LENGTH_MAX 64u /* bytes of an entry, of any writer */
#define WORDS_KEY_MAX 15u    /* of this one */
/* Texts are coded by pieces of so many bytes, behind which so many can be read. */
#define WORDS_PIECE 2048u
#define WORDS_PIECE_ROOM 64u
#define WORDS_CODES_MAX (WORDS_PIECE * 2) /* a piece of bytes that are all escaped */

/* Up to 15 bytes, zeros behind them, their number in the highest byte. */
struct words_key {
    uint64_t low, high;
};

/* What of 16 bytes belongs to a key. */
static const struct words_key words_masks[WORDS_KEY_MAX + 1] = {
    {0, 0},
    {0xff, 0},
    {0xffff, 0},
    {0xffffff, 0},
    {0xffffffff, 0},
    {0xffffffffff, 0},
    {0xffffffffffff, 0},
    {0xffffffffffffff, 0},
    {UINT64_MAX, 0},
    {UINT64_MAX, 0xff},
    {UINT64_MAX, 0xffff},
    {UINT64_MAX, 0xffffff},
    {UINT64_MAX, 0xffffffff},
    {UINT64_MAX, 0xffffffffff},
    {UINT64_MAX, 0xffffffffffff},
    {UINT64_MAX, 0xffffffffffffff},
};

/* 16 bytes can be read. */
static inline struct words_key words_key_of(const uint8_t *from, uint64_t size)
{
    return (struct words_key){.low = load_u64(from) & words_masks[size].low,
                              .high = (load_u64(from + 8) & words_masks[size].high) | size << 56};
}

static inline uint64_t words_hash(struct words_key key)
{
    return (key.low ^ key.high * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
}

static inline bool words_key_equal(struct words_key a, struct words_key b)
{
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

/* Codes of keys, found without a search: a part of a hash chooses a step, and so many steps of a
 * size that another part says lead from a third to a slot that no other entry has. */
struct words_table {
    struct words_key *keys;  /* [count + 1], the first is none */
    uint16_t *slots, *steps; /* codes, 0: empty */
    uint32_t slot_mask, step_bits;
};

/* Entries by length; code 0 is the escape, entry i has code i. */
struct words {
    uint32_t width, count;
    uint32_t lengths[WORDS_LENGTH_MAX + 1]; /* entries of each */
    uint16_t single[256];                   /* codes of bytes, 0: none */
    struct words_table table;
    uint64_t estimate; /* bytes of the block's body */
};

static inline uint32_t words_slot(const struct words_table *table, uint64_t hash, uint32_t steps)
{
    return ((uint32_t)(hash >> 16) + (uint32_t)(hash >> 36) * steps) & table->slot_mask;
}

/* 0: none. */
static inline uint32_t words_find(const struct words_table *table, struct words_key key)
{
    uint64_t hash = words_hash(key);
    uint32_t steps = table->steps[hash >> (64 - table->step_bits)];
    uint32_t code = table->slots[words_slot(table, hash, steps)];
    return words_key_equal(table->keys[code], key) ? code : 0;
}

/* A dictionary for the job's texts from a sample of them. NULL: repeated words are too few of
 * it for more to be tried, and nothing is forced (`job->best`). */
struct words *words_learn(const struct encode_job *job);
void words_destroy(struct words *words);

/* Codes of a piece, of which WORDS_PIECE_ROOM more bytes can be read; their number. */
uint32_t words_encode(const struct words *words, const uint8_t *bytes, uint32_t size,
                      uint16_t *codes);

/* Where words of a piece begin, ascending, the first at 0, and its size behind the last: a word is
 * a run of letters and digits with what is before it up to the last one. Their number (the size
 * not counted). `starts` has room for `size` + 66. */
uint32_t words_split(const uint8_t *bytes, uint32_t size, uint16_t *starts);

#endif
