/* See later.h. What others get is handed over first, so that they work while we do. */
#include "server/http/later.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <assert.h>

void later_init(struct later *later)
{
    *later = (struct later){.last = &later->first};
}

bool later_push(struct later *later, struct later_item *item)
{
    assert(item->work != NULL);
    if (later->pause_end_us != 0) {
        if (clock_monotonic_us() < later->pause_end_us)
            return false;
        later->pause_end_us = 0;
    }
    item->next = NULL;
    *later->last = item;
    later->last = &item->next;
    return true;
}

static void hand_on(struct later_item *item)
{
    while (item != NULL) {
        struct later_item *next = item->next; /* the item is theirs in a moment */
        item->work(item, false);
        item = next;
    }
}

/* Parts the list; returns what is too much for one round. The first is never too much. */
static struct later_item *cut(struct later_item *item)
{
    size_t count = 1, bytes = item->size;
    while (item->next != NULL) {
        bytes += item->next->size;
        if (++count > LATER_COUNT_MAX || bytes > LATER_BYTES_MAX)
            break;
        item = item->next;
    }
    struct later_item *rest = item->next;
    item->next = NULL;
    return rest;
}

void later_run(struct later *later)
{
    struct later_item *item = later->first;
    if (item == NULL)
        return;
    later->first = NULL;
    later->last = &later->first;
    hand_on(cut(item));
    int64_t begin_us = clock_monotonic_us(), now_us = begin_us;
    bool is_doubted = begin_us < later->doubt_end_us;
    int64_t cpu_us = is_doubted ? clock_thread_cpu_us() : 0;
    while (item != NULL && (now_us - begin_us < LATER_BUDGET_US || fault_is("later.no_end"))) {
        struct later_item *next = item->next;
        item->work(item, true);
        item = next;
        now_us = clock_monotonic_us();
    }
    hand_on(item);
    if (now_us - begin_us < LATER_SLOW_US)
        return;
    /* Others may have had the core. To ask for the CPU time is a call of the kernel. */
    later->doubt_end_us = now_us + LATER_DOUBT_US;
    cpu_us = is_doubted ? clock_thread_cpu_us() - cpu_us : 0;
    if (cpu_us >= LATER_SLOW_US && !fault_is("later.no_pause"))
        later->pause_end_us = now_us + LATER_PAUSE * cpu_us;
}
