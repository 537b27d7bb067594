/* Words: a dictionary of pieces of text, and texts as numbers of its entries. What words.c,
 * words_learn.c and words_split.c share. */
#ifndef FRESHET_STORAGE_ENCODING_WORDS_H
#define FRESHET_STORAGE_ENCODING_WORDS_H

#include "storage/encoding/private.h"

#define WORDS_WIDTH_MIN 8u /* bits of a code: the one behind an escape holds a byte */
#define WORDS_WIDTH_MAX 16u
#define WORDS_LENGTH_MAX 64u /* bytes of an entry, of any writer */
#define WORDS_KEY_MAX 14u    /* of this one */
/* Texts are coded by pieces of so many bytes, behind which so many can be read. */
#define WORDS_PIECE 2048u
#define WORDS_PIECE_ROOM 64u
#define WORDS_CODES_MAX (WORDS_PIECE * 2) /* a piece of bytes that are all escaped */

/* Up to 14 bytes, zeros behind them; the last one is not zero, which so tells their number. */
struct words_key {
    uint64_t low, high;
};

/* What of 16 bytes belongs to a key. */
extern const struct words_key words_masks[WORDS_KEY_MAX + 1];

/* 16 bytes can be read. */
static inline struct words_key words_key_of(const uint8_t *from, uint64_t size)
{
    return (struct words_key){.low = load_u64(from) & words_masks[size].low,
                              .high = load_u64(from + 8) & words_masks[size].high};
}

static inline uint32_t words_key_size(struct words_key key)
{
    return key.high != 0 ? 8 + (bits_of(key.high) + 7) / 8 : (bits_of(key.low) + 7) / 8;
}

static inline uint64_t words_mix(struct words_key key)
{
    return key.low ^ key.high * UINT64_C(0x9e3779b97f4a7c15);
}

static inline bool words_key_equal(struct words_key a, struct words_key b)
{
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

/* Codes of keys, found without a search: a part of a key's hash chooses a distance, and that far
 * from where another part says is a slot that no other key has (words_find.c). */
enum words_form { WORDS_PLAIN, WORDS_AES, WORDS_AVX512 };
struct words_table {
    struct words_key *slots; /* with the code in the highest 16 bits; all zero: empty */
    uint32_t *distances;     /* in bytes, like the mask: an offset's bits that are turned over */
    uint64_t factor;
    uint32_t mask, distance_bits, offset_shift;
    enum words_form form; /* what finds; WORDS_AES has a hash of its own */
};
#define WORDS_MIX_TURN 29     /* of the hash: by how much the second word is turned */
#define WORDS_OFFSET_SHIFT 27 /* of the same: where its bits begin that are an offset */
/* Of `count` keys, the first with code 1. */
void words_table_init(struct words_table *table, const struct words_key *keys, uint32_t count);
void words_table_deinit(struct words_table *table);
/* 0: none. */
uint32_t words_find(const struct words_table *table, struct words_key key);
/* Codes of the words that begin at `starts`, 0 for those that are not there or longer than a key;
 * whether none is 0. No word ends with a byte that is zero. WORDS_ROOM places more can be read,
 * where words of any size begin, and as many codes be written. */
#define WORDS_ROOM 8u
bool words_find_all(const struct words_table *table, const uint8_t *bytes, const uint16_t *starts,
                    uint32_t count, uint16_t *codes);
bool words_find_all_avx512(const struct words_table *table, const uint8_t *bytes,
                           const uint16_t *starts, uint32_t count, uint16_t *codes);

/* Eights of codes to `width` bytes each; 16 more are written. */
void words_pack(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out);
void words_pack_avx512(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out);

#define WORDS_BEGINNINGS 4096u
static inline uint32_t words_beginning(const uint8_t *two_bytes)
{
    return load_u16(two_bytes) * 0x9e37u >> 4 & (WORDS_BEGINNINGS - 1);
}

/* Entries by length; code 0 is the escape, entry i has code i. */
struct words {
    uint32_t width, count;
    uint32_t lengths[WORDS_LENGTH_MAX + 1]; /* entries of each */
    uint16_t single[256];                   /* codes of bytes, 0: none */
    struct words_key *keys;                 /* [count], of code 1 on */
    /* Which lengths entries have that begin with two bytes (or others of the same place): bits. */
    uint16_t beginnings[WORDS_BEGINNINGS];
    struct words_table table;
    double sample_ratio; /* bytes of codes for one of the sample */
    uint64_t estimate;   /* bytes of the block's body */
};

/* A dictionary for the job's texts from a sample of them. NULL: repeated words are too few of
 * it for more to be tried, and nothing is forced (`job->best`). */
struct words *words_learn(const struct encode_job *job);
void words_destroy(struct words *words);
/* Whether a dictionary of another block is as good for this one's texts as it was for that one's,
 * which a small sample says; its estimate is then this one's. */
bool words_is_good(struct words *words, const struct encode_job *job);

/* Codes of a piece, of which WORDS_PIECE_ROOM more bytes can be read; their number. `codes` has
 * room for WORDS_CODES_MAX. */
uint32_t words_encode(const struct words *words, const uint8_t *bytes, uint32_t size,
                      uint16_t *codes);

/* Where words of a text begin, ascending, the first at `from`, where the text begins in a piece: a
 * word is a run of letters and digits with what is before it up to the last one. Their number, half
 * as many as bytes and one at most; 32 more are written. Of texts that stand one behind the other
 * each begins a word, and ends one. */
uint32_t words_split(const uint8_t *bytes, uint32_t from, uint32_t size, uint16_t *starts);
/* The same of a text that is not in the piece yet, and puts it there; up to 64 bytes behind it are
 * written too. */
uint32_t words_take(struct slice text, uint32_t from, uint8_t *piece, uint16_t *starts);
#define WORDS_STARTS_MAX (WORDS_PIECE + 64) /* of any texts of a piece, with what is behind */
/* Behind the last one: where the last word ends, and for words_find_all() some more of it. */
static inline void words_split_end(uint16_t *starts, uint32_t end)
{
    for (uint32_t i = 0; i <= WORDS_ROOM; i++)
        starts[i] = (uint16_t)end;
}

#endif
