/* Arena blocks double from 4 KiB to 1 MiB; larger requests get a block of their own. Nothing is
 * freed singly, which is the point: a query's or a batch's memory goes in one call. */
#include "storage/base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_SIZE_MIN ((size_t)4 << 10)
#define BLOCK_SIZE_MAX ((size_t)1 << 20)
#define ALIGNMENT ((size_t)16)
#define PAGE_SIZE ((size_t)4096)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct arena_block {
    struct arena_block *older;
    size_t capacity;
    alignas(16) char bytes[];
};

/* First blocks that this thread gave back: a small query takes and gives back five, and malloc
 * keeps none of their size at hand. Not under sanitizers, which are to see each. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPARE_COUNT_MAX 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SPARE_COUNT_MAX 0
#endif
#endif
#ifndef SPARE_COUNT_MAX
#define SPARE_COUNT_MAX 8
#endif
static _Thread_local struct {
    struct arena_block *first;
    unsigned count;
} spare;

void *memory_alloc(size_t size)
{
    void *p = malloc(size > 0 ? size : 1);
    if (p == NULL)
        abort();
    return p;
}

void *memory_alloc_zero(size_t size)
{
    void *p = calloc(1, size > 0 ? size : 1);
    if (p == NULL)
        abort();
    return p;
}

void *memory_realloc(void *old, size_t size)
{
    void *p = realloc(old, size > 0 ? size : 1);
    if (p == NULL)
        abort();
    return p;
}

void *memory_alloc_aligned(size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p == NULL)
        abort();
    return p;
}

void memory_free(void *p)
{
    free(p);
}

void memory_touch(void *p, size_t size)
{
    char *begin = (char *)((uintptr_t)p & ~(uintptr_t)(PAGE_SIZE - 1));
    size_t length = ((size_t)((char *)p - begin) + size) & ~(PAGE_SIZE - 1);
    if (length > 0)
        (void)madvise(begin, length, MADV_POPULATE_WRITE); /* an old kernel does not know it */
}

void *memory_alloc_huge(size_t size)
{
    void *p = memory_alloc_aligned(MEMORY_HUGE_SIZE, size);
    /* The rest of a last page that is mostly ours is whoever's it is; it does no harm there. */
    (void)madvise(p, (size + MEMORY_HUGE_SIZE / 2) & ~(MEMORY_HUGE_SIZE - 1), MADV_HUGEPAGE);
    return p;
}

static void *advise_huge(char *p, size_t size)
{
    size_t before = -(uintptr_t)p & (MEMORY_HUGE_SIZE - 1);
    if (size > before + MEMORY_HUGE_SIZE)
        (void)madvise(p + before, (size - before) & ~(MEMORY_HUGE_SIZE - 1), MADV_HUGEPAGE);
    return p;
}

void *memory_alloc_zero_huge(size_t size)
{
    return advise_huge(memory_alloc_zero(size), size);
}

void *memory_realloc_huge(void *old, size_t size)
{
    return advise_huge(memory_realloc(old, size), size);
}

void memory_trim(size_t kept)
{
    if (mallinfo2().fordblks > kept)
        (void)malloc_trim(0);
}

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

static void give_block_back(struct arena_block *block)
{
    if (block == NULL || block->capacity != BLOCK_SIZE_MIN || spare.count == SPARE_COUNT_MAX) {
        free(block);
        return;
    }
    block->older = spare.first;
    spare.first = block;
    spare.count++;
}

void arena_deinit(struct arena *arena)
{
    while (arena->block != NULL) {
        struct arena_block *older = arena->block->older;
        give_block_back(arena->block);
        arena->block = older;
    }
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    struct arena_block *largest = NULL;
    while (arena->block != NULL) {
        struct arena_block *block = arena->block;
        arena->block = block->older;
        if (largest == NULL || block->capacity > largest->capacity) {
            give_block_back(largest);
            largest = block;
        } else {
            give_block_back(block);
        }
    }
    arena->used = 0;
    arena->total = 0;
    arena->block = largest;
    if (largest != NULL) {
        largest->older = NULL;
        arena->total = largest->capacity;
    }
}

static void add_block(struct arena *arena, size_t size)
{
    size_t capacity = arena->block == NULL ? BLOCK_SIZE_MIN : arena->block->capacity * 2;
    if (capacity > BLOCK_SIZE_MAX)
        capacity = BLOCK_SIZE_MAX;
    if (capacity < size)
        capacity = size;
    struct arena_block *block = spare.first;
    if (capacity == BLOCK_SIZE_MIN && block != NULL) {
        spare.first = block->older;
        spare.count--;
    } else {
        block = memory_alloc(sizeof(*block) + capacity);
    }
    block->older = arena->block;
    block->capacity = capacity;
    arena->block = block;
    arena->used = 0;
    arena->total += capacity;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        abort();
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (arena->block == NULL || arena->block->capacity - arena->used < size)
        add_block(arena, size);
    void *p = arena->block->bytes + arena->used;
    arena->used += size;
    assert(arena->used <= arena->block->capacity);
    return p;
}

void *arena_alloc_zero(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        abort();
    return arena_alloc(arena, total);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.size);
    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    return slice_of(copy, s.size);
}

char *arena_copy_cstr(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.size + 1);
    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    char *text = arena_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

enum err budget_charge(struct budget *budget, size_t size, struct error *error)
{
    size_t child_used = 0;
    for (struct budget *level = budget; level != NULL; level = level->parent) {
        size_t before = atomic_fetch_add_explicit(&level->used, size, memory_order_relaxed);
        size_t limit = child_used > level->small ? level->limit - level->reserve : level->limit;
        child_used = before + size;
        if (child_used <= limit && child_used >= before)
            continue;
        for (struct budget *undo = budget;; undo = undo->parent) {
            atomic_fetch_sub_explicit(&undo->used, size, memory_order_relaxed);
            if (undo == level)
                break;
        }
        return error_set(error, ERR_LIMIT, "53200",
                         "out of memory: the limit of %zu bytes for %s is reached", limit,
                         level->name);
    }
    return OK;
}

void budget_charge_always(struct budget *budget, size_t size)
{
    for (struct budget *level = budget; level != NULL; level = level->parent)
        atomic_fetch_add_explicit(&level->used, size, memory_order_relaxed);
}

void budget_release(struct budget *budget, size_t size)
{
    for (struct budget *level = budget; level != NULL; level = level->parent) {
        size_t before = atomic_fetch_sub_explicit(&level->used, size, memory_order_relaxed);
        assert(before >= size);
    }
}
