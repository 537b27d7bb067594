/* Hash to place: open addressing over 8-byte slots. The entries and their comparison are the
 * caller's. */
#ifndef FRESHET_INGEST_STATE_INDEX_H
#define FRESHET_INGEST_STATE_INDEX_H

#include "storage/base/arena.h"

struct index_slot {
    uint32_t tag;   /* of the hash; its low bits are the home slot */
    uint32_t value; /* place + 1; 0: free */
};
struct index {
    struct index_slot *slots;
    uint32_t mask;
    uint32_t count;
};

void index_deinit(struct index *index); /* a zeroed index is empty */
void index_add(struct index *index, uint64_t hash, uint32_t place);
/* Takes out the entry of that hash and place; it must be there. */
void index_remove(struct index *index, uint64_t hash, uint32_t place);

/* for (cursor = index_begin(…); index_next(…, &place);) compare(place) … */
struct index_cursor {
    uint32_t tag, at;
};
static inline struct index_cursor index_begin(const struct index *index, uint64_t hash)
{
    return (struct index_cursor){.tag = (uint32_t)hash, .at = (uint32_t)hash & index->mask};
}
static inline bool index_next(const struct index *index, struct index_cursor *cursor,
                              uint32_t *place)
{
    if (index->slots == NULL)
        return false;
    for (;;) {
        struct index_slot slot = index->slots[cursor->at];
        if (slot.value == 0)
            return false;
        cursor->at = (cursor->at + 1) & index->mask;
        if (slot.tag == cursor->tag) {
            *place = slot.value - 1;
            return true;
        }
    }
}

#endif
