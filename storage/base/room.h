/* Memory that work of one kind takes, gives back and takes again: a stack whose pages stay.
 *
 * Buffers of tens of megabytes that come and go through malloc meet fresh pages each time, since
 * every thread has a heap of its own and whoever does the work next is another one; a page costs
 * more to clear and map than what is done with it. One owner at a time. */
#ifndef FRESHET_STORAGE_BASE_ROOM_H
#define FRESHET_STORAGE_BASE_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#define ROOM_MAX ((size_t)40 << 20) /* that stays */

struct room_extra;

struct room {
    /* private */
    char *bytes; /* NULL: nothing yet */
    size_t capacity;
    bool is_fixed;
    size_t used;              /* of the stack, past `capacity` too */
    struct room_extra *extra; /* what did not fit, newest first */
};

void room_init(struct room *room); /* takes no memory */
void room_deinit(struct room *room);
/* While nothing is taken: so much will be, at most ROOM_MAX of which are kept from now on. Pages
 * become present when they are written. */
void room_expect(struct room *room, size_t size);
/* The same, and it stays so large whatever is expected later: what is kept, NULL for nothing, for
 * somebody who makes it present. It moves no more. */
void *room_fix(struct room *room, size_t size, size_t *kept_size);
/* 64-byte aligned, not zeroed. Valid until the room is given back to a mark from before. What does
 * not fit is malloc's; never NULL. */
void *room_take(struct room *room, size_t size);
size_t room_mark(const struct room *room);
/* All that was taken since the mark. */
void room_give_back(struct room *room, size_t mark);

#endif
