/* The k-th smallest of many: quickselect with the median of three, whose partition has no branch to
 * mispredict (about 2 ns a key over all rounds). Keys equal to the pivot are set aside in a second
 * pass where they are wanted, so many equal keys cost no more; input made to defeat the choice of
 * pivots is sorted after a few rounds. */
#include "query/kernel/kernel.h"

#include <stdlib.h>

#define ROUNDS_MAX 64
#define FEW 24

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sort_few(uint64_t *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        size_t at = i;
        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

static uint64_t median_of_three(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* Keys below the limit to the front; how many. */
static size_t partition(uint64_t *keys, size_t count, uint64_t limit)
{
    size_t below = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[i];
        keys[i] = keys[below];
        keys[below] = key;
        below += key < limit;
    }
    return below;
}

uint64_t select_rank(uint64_t *keys, size_t count, size_t rank)
{
    for (int round = 0; count > FEW && round < ROUNDS_MAX; round++) {
        uint64_t pivot = median_of_three(keys[count / 4], keys[count / 2], keys[count - count / 4]);
        size_t below = partition(keys, count, pivot);
        if (rank < below) {
            count = below;
            continue;
        }
        keys += below;
        count -= below;
        rank -= below;
        size_t equal = pivot == UINT64_MAX ? count : partition(keys, count, pivot + 1);
        if (rank < equal)
            return pivot;
        keys += equal;
        count -= equal;
        rank -= equal;
    }
    if (count > FEW)
        qsort(keys, count, sizeof(*keys), compare_keys);
    else
        sort_few(keys, count);
    return keys[rank];
}

void select_pair(uint64_t *keys, size_t count, size_t rank, uint64_t pair[2])
{
    pair[0] = select_rank(keys, count, rank);
    if (rank + 1 >= count) {
        pair[1] = pair[0];
        return;
    }
    /* The next one: as large if enough are, else the least that is larger. */
    size_t not_above = 0;
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        bool is_above = keys[i] > pair[0];
        not_above += !is_above;
        next = is_above && keys[i] < next ? keys[i] : next;
    }
    pair[1] = not_above > rank + 1 ? pair[0] : next;
}
