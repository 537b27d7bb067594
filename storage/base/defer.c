/* See defer.h. A thread has a handful of calls at most; where there are more, they are made at
 * once. */
#include "storage/base/defer.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define CALLS_MAX 8

struct deferred {
    void (*call)(void *context);
    void *context;
};

static _Thread_local struct {
    unsigned depth;
    size_t count;
    struct deferred calls[CALLS_MAX];
} mine;

void defer_begin(void)
{
    mine.depth++;
}

void defer_end(void)
{
    assert(mine.depth > 0);
    if (--mine.depth > 0)
        return;
    struct deferred calls[CALLS_MAX]; /* the calls may defer others */
    size_t count = mine.count;
    memcpy(calls, mine.calls, count * sizeof(calls[0]));
    mine.count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!fault_is("defer.forgotten"))
            calls[i].call(calls[i].context);
    }
}

void defer_call(void (*call)(void *context), void *context)
{
    if (mine.depth > 0) {
        for (size_t i = 0; i < mine.count; i++) {
            if (mine.calls[i].call == call && mine.calls[i].context == context)
                return;
        }
        if (mine.count < CALLS_MAX) {
            mine.calls[mine.count++] = (struct deferred){call, context};
            return;
        }
    }
    call(context);
}
