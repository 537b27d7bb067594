/* Memory of requests: a head and its body in one piece, recycled where it is large. */
#ifndef FRESHET_SERVER_RING_BLOCKS_H
#define FRESHET_SERVER_RING_BLOCKS_H

#include <stddef.h>

#define BLOCKS_KEPT_MAX 16

/* One thread. All zero is empty. */
struct blocks {
    char *kept[BLOCKS_KEPT_MAX]; /* newest last: its lines may still be in a cache */
    size_t count;
};

/* At least `size` bytes, not zeroed. */
char *blocks_take(struct blocks *blocks, size_t size);
/* The same `size`. */
void blocks_give(struct blocks *blocks, char *block, size_t size);
void blocks_deinit(struct blocks *blocks);

#endif
