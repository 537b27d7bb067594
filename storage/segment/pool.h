/* The block pool: memory of mutable segments, in blocks of few sizes that are used again.
 *
 * Fresh memory costs a page fault every 4 KiB, as much as writing the rows; blocks of dropped and
 * truncated tables go to free lists instead of back to the system, up to a share of the budget. Any
 * thread. */
#ifndef FRESHET_STORAGE_SEGMENT_POOL_H
#define FRESHET_STORAGE_SEGMENT_POOL_H

#include "storage/base/arena.h"

#include <stdatomic.h>

struct pool;

/* `budget` counts the blocks in use. It is charged without asking: the limit is checked where
 * commits are let in, since what is already in the log must find room. */
struct pool *pool_create(struct budget *budget);
void pool_destroy(struct pool *pool); /* all blocks must be back */
/* Once, before blocks are taken: begins to make `size` bytes present on a thread of its own, at
 * most a quarter of the budget, which blocks are then cut from. Less than MEMORY_HUGE_SIZE:
 * nothing. Then `beside_size` bytes of the caller's too, who keeps them until pool_stock_wait or
 * pool_destroy; they may be used meanwhile. */
void pool_stock(struct pool *pool, size_t size, void *beside, size_t beside_size);
void pool_stock_wait(struct pool *pool); /* until all of it is */
/* Bytes that blocks can be had of without a page fault; SIZE_MAX where nothing was stocked. */
size_t pool_present(struct pool *pool);
/* At least `size` bytes, not zeroed, aligned to 16, or to 64 from 4 KiB on; *taken is what is
 * charged and must be given back. */
void *pool_take(struct pool *pool, size_t size, size_t *taken);
/* Says too whether its pages may not be there yet. */
void *pool_take_told(struct pool *pool, size_t size, size_t *taken, bool *is_fresh);
void pool_give(struct pool *pool, void *block, size_t taken);
/* Never 0, never twice: names of dictionaries within the store. */
uint64_t pool_next_id(struct pool *pool);

#endif
