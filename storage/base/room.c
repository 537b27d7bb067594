/* A stack in huge pages; what is past its end lies in blocks of malloc's, which have places on the
 * stack like everything else and go when it shrinks to below them.
 *
 *   bytes ├── taken ──┬── taken ──┤ free │ capacity │ extra │ extra │
 *                     ╰─ mark                                        ╰─ used
 *
 * Under sanitizers all is malloc's, so that they see where each buffer ends. */
#include "storage/base/room.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <stdalign.h>

#define ALIGNMENT ((size_t)64)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_KEPT false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_KEPT false
#endif
#endif
#ifndef IS_KEPT
#define IS_KEPT true
#endif

struct room_extra {
    struct room_extra *older;
    size_t begin; /* its place on the stack */
    alignas(64) char bytes[];
};

void room_init(struct room *room)
{
    *room = (struct room){0};
}

void room_deinit(struct room *room)
{
    room_give_back(room, 0);
    memory_free(room->bytes);
    room_init(room);
}

void room_expect(struct room *room, size_t size)
{
    assert(room->used == 0);
    size = size < ROOM_MAX ? size : ROOM_MAX;
    if (!IS_KEPT || room->is_fixed || size <= room->capacity)
        return;
    memory_free(room->bytes);
    room->capacity = (size + MEMORY_HUGE_SIZE - 1) & ~(MEMORY_HUGE_SIZE - 1);
    room->bytes = memory_alloc_huge(room->capacity);
}

void *room_fix(struct room *room, size_t size, size_t *kept_size)
{
    room_expect(room, size);
    room->is_fixed = true;
    *kept_size = room->capacity;
    return room->bytes;
}

void *room_take(struct room *room, size_t size)
{
    size_t begin = room->used;
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    room->used += size;
    if (room->used <= room->capacity)
        return room->bytes + begin;
    struct room_extra *extra = memory_alloc_aligned(ALIGNMENT, sizeof(*extra) + size);
    *extra = (struct room_extra){.older = room->extra, .begin = begin};
    room->extra = extra;
    return extra->bytes;
}

size_t room_mark(const struct room *room)
{
    return room->used;
}

void room_give_back(struct room *room, size_t mark)
{
    assert(mark <= room->used);
    while (room->extra != NULL && room->extra->begin >= mark) {
        struct room_extra *older = room->extra->older;
        memory_free(room->extra);
        room->extra = older;
    }
    room->used = mark;
}
