/* Different texts among very many, of which most come once: told at the end, not row by row. */
#ifndef FRESHET_QUERY_EXEC_TEXT_SET_H
#define FRESHET_QUERY_EXEC_TEXT_SET_H

#include "query/exec/operator.h"

#define TEXT_SET_SIZE_MAX 1024 /* bytes of a text; longer ones are not for it */

struct text_slot {
    uint32_t hash, place; /* 0: free */
};

struct text_set {
    /* private */
    struct exec_memory *memory;
    struct text_part {
        char *at, *end;       /* of the last chunk: what is free */
        uint32_t first, last; /* chunks; 0: none */
        uint32_t count;       /* of texts, one that came twice is two until it is noticed */
    } * parts;
    struct text_chunk {
        char *bytes;
        uint32_t used, next;
    } * chunks; /* from 1 on */
    size_t chunk_capacity, chunk_count, slab_count;
    uint32_t spare;    /* chunks that are empty */
    size_t used_count; /* that are not */
    size_t sift_at;    /* so many are: look for texts that came twice */
    struct text_slot *slots;
    size_t slot_capacity;
    /* text_set_next() */
    size_t next_part;
    uint32_t next_chunk, next_at;
};

/* Whether what it takes at least is little of what the query may still take. */
bool text_set_is_fine(const struct exec_memory *memory);
/* Memory comes from `memory`, which must outlive it. */
void text_set_init(struct text_set *set, struct exec_memory *memory);
void text_set_deinit(struct text_set *set);
/* Adds texts of at most TEXT_SET_SIZE_MAX bytes each, copied; at most VECTOR_ROWS_MAX of them.
 * is_told: text_set_next() is not to give them; such ones are added before all others. */
MUST_CHECK enum err text_set_add(struct text_set *set, const struct slice *texts, size_t count,
                                 bool is_told, struct error *error);
/* After the last was added, until *count is 0: up to VECTOR_ROWS_MAX of the texts that were not
 * told, each once, in any order. They lie in the set. */
MUST_CHECK enum err text_set_next(struct text_set *set, struct slice *texts, size_t *count,
                                  struct error *error);

#endif
