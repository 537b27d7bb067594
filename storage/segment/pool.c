/* The block pool: a free list per size, one lock.
 *
 * A segment takes a handful of blocks per chunk (65,536 rows) and gives them all back at its end,
 * so a lock is never waited for. Sizes are the powers of two from 64 bytes to 1 MiB, then every 2
 * MiB up to 16 MiB; larger blocks (a text of that size) come from and go to the allocator directly.
 * What lies on the free lists is bounded by a quarter of the budget, and with what is in use it is
 * never more than the budget. */
#include "storage/segment/pool.h"

#include "storage/base/thread.h"

#include <assert.h>

#define CLASS_FIRST 6  /* 64 bytes */
#define CLASS_SMALL 20 /* 1 MiB: the last power of two */
#define CLASS_LAST 28  /* 16 MiB */
#define CLASS_STEP ((size_t)2 << 20)
#define FREE_SHARE 4 /* free bytes are at most limit / FREE_SHARE */

struct free_block {
    struct free_block *next;
};

struct pool {
    struct budget *budget;
    struct mutex mutex; /* over free and free_bytes */
    struct free_block *free[CLASS_LAST + 1];
    size_t free_bytes;
    _Atomic size_t taken_bytes; /* relaxed: checked at the end only */
    _Atomic uint64_t next_id;
};

struct pool *pool_create(struct budget *budget)
{
    struct pool *pool = memory_alloc_zero(sizeof(*pool));
    pool->budget = budget;
    mutex_init(&pool->mutex);
    atomic_init(&pool->next_id, 1);
    return pool;
}

void pool_destroy(struct pool *pool)
{
    assert(atomic_load_explicit(&pool->taken_bytes, memory_order_acquire) == 0);
    for (int class = CLASS_FIRST; class <= CLASS_LAST; class ++) {
        struct free_block *block = pool->free[class];
        while (block != NULL) {
            struct free_block *next = block->next;
            memory_free(block);
            block = next;
        }
    }
    mutex_deinit(&pool->mutex);
    memory_free(pool);
}

/* The least class whose blocks hold `size`; past CLASS_LAST: not pooled. */
static int class_of(size_t size)
{
    if (size <= (size_t)1 << CLASS_FIRST)
        return CLASS_FIRST;
    if (size <= (size_t)1 << CLASS_SMALL)
        return 64 - __builtin_clzll((unsigned long long)size - 1);
    if (size > (CLASS_LAST - CLASS_SMALL) * CLASS_STEP)
        return CLASS_LAST + 1;
    return CLASS_SMALL + (int)((size + CLASS_STEP - 1) / CLASS_STEP);
}

static size_t class_size(int class, size_t size)
{
    if (class > CLASS_LAST)
        return size;
    return class <= CLASS_SMALL ? (size_t)1 << class : (size_t)(class - CLASS_SMALL) * CLASS_STEP;
}

static void charge(struct budget *budget, size_t size)
{
    for (; budget != NULL; budget = budget->parent)
        atomic_fetch_add_explicit(&budget->used, size, memory_order_relaxed);
}

void *pool_take(struct pool *pool, size_t size, size_t *taken)
{
    bool is_fresh;
    return pool_take_told(pool, size, taken, &is_fresh);
}

void *pool_take_told(struct pool *pool, size_t size, size_t *taken, bool *is_fresh)
{
    int class = class_of(size);
    *taken = class_size(class, size);
    charge(pool->budget, *taken);
    atomic_fetch_add_explicit(&pool->taken_bytes, *taken, memory_order_relaxed);
    *is_fresh = true;
    if (class > CLASS_LAST)
        return memory_alloc(*taken);
    mutex_lock(&pool->mutex);
    struct free_block *block = pool->free[class];
    if (block != NULL) {
        pool->free[class] = block->next;
        pool->free_bytes -= *taken;
    }
    mutex_unlock(&pool->mutex);
    *is_fresh = block == NULL;
    return block != NULL ? (void *)block : memory_alloc(*taken);
}

void pool_give(struct pool *pool, void *block, size_t taken)
{
    budget_release(pool->budget, taken);
    atomic_fetch_sub_explicit(&pool->taken_bytes, taken, memory_order_release);
    int class = class_of(taken);
    bool is_kept = false;
    if (class <= CLASS_LAST) {
        assert(taken == class_size(class, taken));
        mutex_lock(&pool->mutex);
        size_t limit = pool->budget->limit, kept = pool->free_bytes + taken;
        size_t used = atomic_load_explicit(&pool->budget->used, memory_order_relaxed);
        is_kept = kept <= limit / FREE_SHARE && (used >= limit ? 0 : limit - used) >= kept;
        if (is_kept) {
            struct free_block *first = block;
            first->next = pool->free[class];
            pool->free[class] = first;
            pool->free_bytes += taken;
        }
        mutex_unlock(&pool->mutex);
    }
    if (!is_kept)
        memory_free(block);
}

uint64_t pool_next_id(struct pool *pool)
{
    return atomic_fetch_add_explicit(&pool->next_id, 1, memory_order_relaxed);
}
