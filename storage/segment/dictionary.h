/* A growing dictionary: texts to 16-bit codes and back, one writer, readers without locks. */
#ifndef FRESHET_STORAGE_SEGMENT_DICTIONARY_H
#define FRESHET_STORAGE_SEGMENT_DICTIONARY_H

#include "storage/column/column.h"
#include "storage/segment/pool.h"

#define DICTIONARY_ENTRIES_MAX 65536

/* Text bytes of one segment: blocks that never move and go back together. Writer only. */
struct heap_block;
struct heap {
    struct pool *pool;
    struct heap_block *blocks;
    char *next; /* free bytes of the newest block */
    size_t left;
    char *touched; /* pages of the newest block are there up to here; NULL: all, or it is small */
    size_t block_size;
    size_t total; /* bytes taken from the pool */
};
void heap_init(struct heap *heap, struct pool *pool);
void heap_deinit(struct heap *heap);
char *heap_take(struct heap *heap, size_t size); /* not aligned */

struct dictionary;

/* Entries are copied into the heap, which must outlive the dictionary. */
struct dictionary *dictionary_create(struct heap *heap);
void dictionary_destroy(struct dictionary *dictionary);
/* Writer: the code of a text, added if it is new. False when all codes are given away. */
bool dictionary_code(struct dictionary *dictionary, struct slice text, uint16_t *code);
/* The same for many; codes of those before the one that found no room are set, and they stay added.
 * end: from each text on, bytes up to there may be read; it is quicker with some behind the last.
 */
bool dictionary_codes(struct dictionary *dictionary, const struct slice *texts, uint32_t count,
                      const char *end, uint16_t *codes);
uint32_t dictionary_size(const struct dictionary *dictionary); /* writer */
size_t
dictionary_bytes(const struct dictionary *dictionary); /* allocated, without the texts; writer */
uint64_t dictionary_id(const struct dictionary *dictionary);
/* Any thread: entries [0, *count), at least all that published rows name. The array holds as long
 * as the dictionary. */
const struct slice *dictionary_entries(const struct dictionary *dictionary, uint32_t *count);
/* Any thread: where readers leave what they learned of its entries. */
struct dictionary_notes *dictionary_notes(const struct dictionary *dictionary);

#endif
