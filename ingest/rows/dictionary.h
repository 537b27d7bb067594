/* A batch's own dictionary of one text column: text to code, texts borrowed. */
#ifndef FRESHET_INGEST_ROWS_DICTIONARY_H
#define FRESHET_INGEST_ROWS_DICTIONARY_H

#include "storage/base/arena.h"

#define DICTIONARY_ENTRIES_MAX 65536

struct local_dictionary {
    struct arena *arena;
    uint64_t *slots; /* hash in the upper half, code + 1 in the lower; 0: free */
    uint64_t mask;
    struct slice *entries; /* by code */
    uint32_t count, capacity;
};

void local_dictionary_init(struct local_dictionary *dictionary, struct arena *arena);
/* The text's code, a new one if it is new; UINT32_MAX when the dictionary is full. The text must
 * live as long as the batch. */
uint32_t local_dictionary_code(struct local_dictionary *dictionary, struct slice text);
/* Is a column of `rows` rows better off without it? */
bool local_dictionary_is_hopeless(const struct local_dictionary *dictionary, size_t rows);

#endif
