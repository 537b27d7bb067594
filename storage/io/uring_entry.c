/* io_uring_submit() may fail: for want of memory, or because completions have to be taken first. It
 * takes what it can of the queue, and without room in it nobody can go on: there is no way to say
 * to a connection that it is not received from any more. So it is tried again for a while, with
 * pauses, as the machine may have memory again; spinning would take the very time of the core that
 * others need to free some. */
#include "storage/io/uring_entry.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#define TRIES_MAX 1000
#define PAUSE_US 1000

static int submit(struct io_uring *ring)
{
    return fault_is("uring.takes_nothing") ? -ENOMEM : io_uring_submit(ring);
}

struct io_uring_sqe *uring_entry(struct io_uring *ring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    for (int tries = 0; entry == NULL; tries++) {
        int result = submit(ring);
        entry = io_uring_get_sqe(ring);
        if (entry != NULL)
            break;
        if (tries == TRIES_MAX) {
            logger_write(LOG_ERROR, "the process ends: io_uring takes no entries errno=%d",
                         -result);
            abort();
        }
        clock_sleep_us(PAUSE_US);
    }
    return entry;
}
