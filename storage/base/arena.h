/* Bump arenas: memory of one lifetime, given back all at once. One owner thread; handing one over
 * is a move. Allocation never returns NULL: true exhaustion aborts. Data-sized memory is charged to
 * a `struct budget` by its owner at growth points, not here. */
#ifndef FRESHET_STORAGE_BASE_ARENA_H
#define FRESHET_STORAGE_BASE_ARENA_H

#include "storage/base/error.h"
#include "storage/base/slice.h"

#include <stdatomic.h>
#include <stddef.h>

struct arena_block;

struct arena {
    /* private */
    struct arena_block *block; /* newest first */
    size_t used;               /* in the newest block */
    size_t total;              /* bytes of all blocks */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);
/* Empty; the largest block is kept. */
void arena_reset(struct arena *arena);
/* 16-byte aligned, not zeroed. size 0 gives a valid unique pointer. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_alloc_zero(struct arena *arena, size_t size);
/* count * size with the overflow checked (aborts). */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
struct slice arena_copy(struct arena *arena, struct slice s);
/* NUL-terminated copy. */
char *arena_copy_cstr(struct arena *arena, struct slice s);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

/* malloc family that aborts on exhaustion: for objects with a lifetime of their own. */
void *memory_alloc(size_t size);
void *memory_alloc_zero(size_t size);
void *memory_realloc(void *old, size_t size);
/* The address is a multiple of `alignment`, a power of two. */
void *memory_alloc_aligned(size_t alignment, size_t size);
/* For large blocks that are used again and again: aligned to MEMORY_HUGE_SIZE, and of pages of that
 * size where the system has some. */
#define MEMORY_HUGE_SIZE ((size_t)2 << 20)
void *memory_alloc_huge(size_t size);
/* Wherever they lie, their inner part is of such pages. */
void *memory_alloc_zero_huge(size_t size);
void *memory_realloc_huge(void *old, size_t size);
void memory_free(void *p);
/* Makes pages present that are about to be written, all at once: one after the other each costs an
 * exception too. Only a hint. */
void memory_touch(void *p, size_t size);
/* Gives what is free back to the system if it is more than `kept` bytes. Costs 0.1 us a page,
 * during which the heaps' locks are held one by one, and page faults when the memory is wanted
 * again. */
void memory_trim(size_t kept);

/* A memory budget: counted with atomics, any thread. parent may be NULL; both must have room. */
struct budget {
    struct budget *parent;
    size_t limit;
    /* Of the limit, so much is for children that hold at most `small`: a few large ones cannot take
     * all from the small ones beside them. */
    size_t reserve, small;
    _Atomic size_t used; /* relaxed: a counter, orders nothing */
    const char *name;
};

/* ERR_LIMIT with 53200 and a text that names the budget; nothing charged then. */
MUST_CHECK enum err budget_charge(struct budget *budget, size_t size, struct error *error);
/* For what must be done to free memory: charged whatever the limit is, others are refused then. */
void budget_charge_always(struct budget *budget, size_t size);
void budget_release(struct budget *budget, size_t size);

#endif
