/* Small pieces of work that the reactor does itself, at the end of its round.
 *
 * To wake a worker for a body of 64 KB costs about as much as to decode it, so bodies wait here
 * while the round goes on. At its end the first are worked on by this thread, as long as all of
 * them together take a fraction of a millisecond; what is more is handed to workers before that
 * begins. Where they take long all the same (bodies that are costly for their size) none is kept
 * for LATER_PAUSE times as long: only so small a share of the reactor's time is lost to them.
 * One thread. */
#ifndef FRESHET_SERVER_HTTP_LATER_H
#define FRESHET_SERVER_HTTP_LATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATER_BYTES_MAX ((size_t)256 << 10) /* of the pieces that are kept in a round */
#define LATER_COUNT_MAX 4   /* more are worth a worker's wake, and are this thread's bottleneck */
#define LATER_BUDGET_US 300 /* after which no further piece is begun */
#define LATER_SLOW_US 2000  /* CPU time that is too much for a round */
#define LATER_PAUSE 64
#define LATER_DOUBT_US 1000000

/* Part of whatever the work is about; it may be gone once `work` was called. */
struct later_item {
    struct later_item *next;
    size_t size; /* bytes */
    /* is_here: do it on this thread, now; else give it to another. */
    void (*work)(struct later_item *item, bool is_here);
};

struct later {
    struct later_item *first, **last; /* NULL: none */
    /* monotonic */
    int64_t pause_end_us; /* 0: none */
    int64_t doubt_end_us; /* a round took long not long ago: their CPU time is looked at */
};

void later_init(struct later *later);
/* False: not now, another thread should do it. */
bool later_push(struct later *later, struct later_item *item);
/* Calls `work` of each, in their order, but first of those that others get. More may be pushed
 * meanwhile: they are for the next call. */
void later_run(struct later *later);

#endif
