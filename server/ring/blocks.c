/* A fresh page costs more than receiving what fills it, so blocks for bodies of up to 1 MiB and
 * their heads are all of one size and the last few are kept; pages of them that no body touched
 * cost nothing. Small requests and larger bodies have memory of their own size. */
#include "server/ring/blocks.h"

#include "storage/base/arena.h"

#include <assert.h>

#define SMALL_SIZE ((size_t)32 << 10)
#define BLOCK_SIZE ((size_t)1088 << 10)

static bool is_kept(size_t size)
{
    return size > SMALL_SIZE && size <= BLOCK_SIZE;
}

char *blocks_take(struct blocks *blocks, size_t size)
{
    assert(size > 0);
    if (!is_kept(size))
        return memory_alloc(size);
    return blocks->count > 0 ? blocks->kept[--blocks->count] : memory_alloc(BLOCK_SIZE);
}

void blocks_give(struct blocks *blocks, char *block, size_t size)
{
    assert(block != NULL);
    if (is_kept(size) && blocks->count < BLOCKS_KEPT_MAX)
        blocks->kept[blocks->count++] = block;
    else
        memory_free(block);
}

void blocks_deinit(struct blocks *blocks)
{
    while (blocks->count > 0)
        memory_free(blocks->kept[--blocks->count]);
}
