/* The block pool: a free list per size, a stock, one lock.
 *
 * A segment takes a handful of blocks per chunk (65,536 rows) and gives them all back at its end,
 * so a lock is never waited for. Sizes are the powers of two from 64 bytes to 1 MiB, then every 2
 * MiB up to 16 MiB; larger blocks (a text of that size) come from and go to the allocator directly.
 * What lies on the free lists is bounded by a quarter of the budget, and with what is in use it is
 * never more than the budget.
 *
 * The stock is one region of huge pages. A thread makes them present, once, one after the other;
 * blocks are cut off its beginning, of what is present already, and are never given to the
 * allocator: when they come back they wait on the free lists. So the first segment's rows meet
 * memory that is there, in pages that the core's table of addresses has room for, as those of later
 * segments do anyway. What of it nobody has had counts as free. Where other memory would then go
 * past the budget, the rest that has not been cut goes back to the system for good. */
#include "storage/segment/pool.h"

#include "storage/base/fault.h"
#include "storage/base/pages.h"
#include "storage/base/thread.h"

#include <assert.h>

#define CLASS_FIRST 6  /* 64 bytes */
#define CLASS_SMALL 20 /* 1 MiB: the last power of two */
#define CLASS_LAST 28  /* 16 MiB */
#define CLASS_STEP ((size_t)2 << 20)
#define FREE_SHARE 4              /* free bytes are at most limit / FREE_SHARE */
#define CUT_MIN ((size_t)4 << 10) /* smaller blocks are the allocator's */
#define ALIGNMENT 64              /* of blocks that are not smaller than that: slots of tables */

struct free_block {
    struct free_block *next;
};

struct pool {
    struct budget *budget;
    struct mutex mutex; /* over the free lists and the stock's counts */
    struct free_block *free[CLASS_LAST + 1];
    size_t free_bytes;               /* on the lists, and of the stock */
    char *stock;                     /* NULL: none */
    size_t stock_size;               /* as allocated: fixed */
    size_t stock_end;                /* so much of it may be made present */
    size_t stock_present, stock_cut; /* stock_cut <= stock_present <= stock_end */
    char *beside;                    /* another's, made present behind the stock */
    size_t beside_size;
    struct thread *stock_thread;
    atomic_bool is_stopping;    /* relaxed: only a wish */
    _Atomic size_t taken_bytes; /* relaxed: checked at the end only */
    _Atomic uint64_t next_id;
};

struct pool *pool_create(struct budget *budget)
{
    struct pool *pool = memory_alloc_zero(sizeof(*pool));
    pool->budget = budget;
    mutex_init(&pool->mutex);
    atomic_init(&pool->next_id, 1);
    atomic_init(&pool->is_stopping, false);
    return pool;
}

/* --- the stock --- */

static bool is_of_stock(const struct pool *pool, const void *block)
{
    uintptr_t at = (uintptr_t)block, begin = (uintptr_t)pool->stock;
    return pool->stock != NULL && at >= begin && at - begin < pool->stock_size;
}

/* Makes the next page present. False: there is none left to make. */
static bool stock_step(struct pool *pool, size_t at)
{
    memory_touch(pool->stock + at, MEMORY_HUGE_SIZE);
    mutex_lock(&pool->mutex);
    bool is_wanted = at < pool->stock_end;
    if (is_wanted) {
        pool->stock_present = at + MEMORY_HUGE_SIZE;
        pool->free_bytes += MEMORY_HUGE_SIZE;
    }
    mutex_unlock(&pool->mutex);
    if (!is_wanted) /* given up meanwhile */
        pages_discard(pool->stock + at, MEMORY_HUGE_SIZE);
    return is_wanted;
}

static void stock_run(void *context)
{
    struct pool *pool = context;
    for (size_t at = 0; at < pool->stock_size; at += MEMORY_HUGE_SIZE) {
        if (atomic_load_explicit(&pool->is_stopping, memory_order_relaxed) || !stock_step(pool, at))
            return;
    }
    for (size_t at = 0; at < pool->beside_size; at += MEMORY_HUGE_SIZE) {
        size_t left = pool->beside_size - at;
        if (atomic_load_explicit(&pool->is_stopping, memory_order_relaxed))
            return;
        memory_touch(pool->beside + at, left < MEMORY_HUGE_SIZE ? left : MEMORY_HUGE_SIZE);
    }
}

void pool_stock(struct pool *pool, size_t size, void *beside, size_t beside_size)
{
    assert(pool->stock == NULL);
    size_t max = pool->budget->limit / FREE_SHARE;
    size = (size < max ? size : max) / MEMORY_HUGE_SIZE * MEMORY_HUGE_SIZE;
    if (size == 0)
        return;
    pool->stock = memory_alloc_huge(size);
    pool->stock_size = pool->stock_end = size;
    pool->beside = beside;
    pool->beside_size = beside_size;
    pool->stock_thread = thread_try_start(
        &(struct thread_options){.name = "pool-stock", .run = stock_run, .context = pool});
}

void pool_stock_wait(struct pool *pool)
{
    if (pool->stock_thread != NULL)
        thread_join(pool->stock_thread);
    pool->stock_thread = NULL;
}

size_t pool_present(struct pool *pool)
{
    mutex_lock(&pool->mutex);
    size_t present = pool->stock != NULL ? pool->free_bytes : SIZE_MAX;
    mutex_unlock(&pool->mutex);
    return present;
}

/* A block off the stock, or NULL. Under the mutex. */
static void *stock_cut(struct pool *pool, size_t taken)
{
    if (taken < CUT_MIN || pool->stock_present - pool->stock_cut < taken)
        return NULL;
    char *block = pool->stock + pool->stock_cut;
    if (!fault_is("pool.stock_cut_twice"))
        pool->stock_cut += taken;
    pool->free_bytes -= taken;
    return block;
}

/* Memory is short: what of the stock nobody has had goes. Under the mutex. */
static void stock_give_up(struct pool *pool)
{
    size_t kept = (pool->stock_cut + MEMORY_HUGE_SIZE - 1) & ~(MEMORY_HUGE_SIZE - 1);
    if (pool->stock_present > kept) {
        pages_discard(pool->stock + kept, pool->stock_present - kept);
        pool->free_bytes -= pool->stock_present - kept;
        pool->stock_present = kept;
    }
    pool->stock_end = pool->stock_present;
}

void pool_destroy(struct pool *pool)
{
    assert(atomic_load_explicit(&pool->taken_bytes, memory_order_acquire) == 0);
    atomic_store_explicit(&pool->is_stopping, true, memory_order_relaxed);
    pool_stock_wait(pool);
    for (int class = CLASS_FIRST; class <= CLASS_LAST; class ++) {
        struct free_block *block = pool->free[class];
        while (block != NULL) {
            struct free_block *next = block->next;
            if (!is_of_stock(pool, block))
                memory_free(block);
            block = next;
        }
    }
    if (pool->stock != NULL)
        memory_free(pool->stock);
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

/* --- blocks --- */

void *pool_take(struct pool *pool, size_t size, size_t *taken)
{
    bool is_fresh;
    return pool_take_told(pool, size, taken, &is_fresh);
}

static size_t budget_left(const struct pool *pool)
{
    size_t used = atomic_load_explicit(&pool->budget->used, memory_order_relaxed);
    return used >= pool->budget->limit ? 0 : pool->budget->limit - used;
}

static void *allocate(size_t taken)
{
    return taken < CUT_MIN ? memory_alloc(taken) : memory_alloc_aligned(ALIGNMENT, taken);
}

/* A block that was used before, or one of the stock. */
static void *take_present(struct pool *pool, int class, size_t taken)
{
    mutex_lock(&pool->mutex);
    void *block = NULL;
    if (class <= CLASS_LAST && pool->free[class] != NULL) {
        block = pool->free[class];
        pool->free[class] = pool->free[class]->next;
        pool->free_bytes -= taken;
    } else if (class <= CLASS_LAST) {
        block = stock_cut(pool, taken);
    }
    if (block == NULL && pool->stock_end > pool->stock_cut && budget_left(pool) < pool->free_bytes)
        stock_give_up(pool);
    mutex_unlock(&pool->mutex);
    return block;
}

void *pool_take_told(struct pool *pool, size_t size, size_t *taken, bool *is_fresh)
{
    int class = class_of(size);
    *taken = class_size(class, size);
    charge(pool->budget, *taken);
    atomic_fetch_add_explicit(&pool->taken_bytes, *taken, memory_order_relaxed);
    void *block = take_present(pool, class, *taken);
    *is_fresh = block == NULL;
    return block != NULL ? block : allocate(*taken);
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
        size_t kept = pool->free_bytes + taken;
        is_kept = is_of_stock(pool, block) ||
                  (kept <= pool->budget->limit / FREE_SHARE && budget_left(pool) >= kept);
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
