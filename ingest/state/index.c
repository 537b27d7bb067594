/* Open addressing with linear steps; removal shifts back, so there are no tombstones and a window
 * of keys can turn over for ever. The tag holds all that placing needs, so growing and shifting
 * never look at entries. At most 60 % full. */
#include "ingest/state/index.h"

#include <assert.h>

#define SLOTS_FIRST 16

void index_deinit(struct index *index)
{
    memory_free(index->slots);
    *index = (struct index){0};
}

static void place_slot(struct index *index, struct index_slot slot)
{
    uint32_t at = slot.tag & index->mask;
    while (index->slots[at].value != 0)
        at = (at + 1) & index->mask;
    index->slots[at] = slot;
}

static void index_grow(struct index *index)
{
    struct index old = *index;
    size_t count = old.slots == NULL ? SLOTS_FIRST : ((size_t)old.mask + 1) * 2;
    index->slots = memory_alloc_zero(count * sizeof(*index->slots));
    index->mask = (uint32_t)(count - 1);
    if (old.slots == NULL)
        return;
    for (size_t i = 0; i <= old.mask; i++)
        if (old.slots[i].value != 0)
            place_slot(index, old.slots[i]);
    memory_free(old.slots);
}

void index_add(struct index *index, uint64_t hash, uint32_t place)
{
    if (index->slots == NULL || (uint64_t)(index->count + 1) * 5 > ((uint64_t)index->mask + 1) * 3)
        index_grow(index);
    place_slot(index, (struct index_slot){.tag = (uint32_t)hash, .value = place + 1});
    index->count++;
}

void index_remove(struct index *index, uint64_t hash, uint32_t place)
{
    uint32_t at = (uint32_t)hash & index->mask;
    while (index->slots[at].value != place + 1 || index->slots[at].tag != (uint32_t)hash) {
        assert(index->slots[at].value != 0);
        at = (at + 1) & index->mask;
    }
    index->count--;
    for (uint32_t next = at;;) {
        index->slots[at].value = 0;
        /* The next entry that may not stand behind the gap moves into it. */
        for (;;) {
            next = (next + 1) & index->mask;
            if (index->slots[next].value == 0)
                return;
            uint32_t home = index->slots[next].tag & index->mask;
            if (((next - home) & index->mask) >= ((next - at) & index->mask))
                break;
        }
        index->slots[at] = index->slots[next];
        at = next;
    }
}
