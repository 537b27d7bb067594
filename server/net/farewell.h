/* Connections that have been answered before they were read to the end. */
#ifndef FRESHET_SERVER_NET_FAREWELL_H
#define FRESHET_SERVER_NET_FAREWELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAREWELL_COUNT_MAX 64
#define FAREWELL_TIME_US INT64_C(2000000)

/* Owner thread only. All zero is empty. */
struct farewell {
    size_t count;
    struct {
        int fd;
        int64_t until_us;
    } peers[FAREWELL_COUNT_MAX];
};

/* Says goodbye on the connection of `fd` and keeps it, by a descriptor of its own, after the caller
 * has closed his. False, with nothing kept, where the list is full or the connection is gone. */
bool farewell_add(struct farewell *farewell, int fd, int64_t now_us);
/* Discards what has come. Closes what has ended or lasted FAREWELL_TIME_US. True while any is left.
 */
bool farewell_run(struct farewell *farewell, int64_t now_us);

#endif
