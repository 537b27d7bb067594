/* Who tells of sockets: io_uring (multishot accept and receive, provided buffers), or epoll where
 * the kernel or the settings refuse it. The same words for both.
 *
 * Everything on one thread. A token names a connection in events: it is the caller's. */
#ifndef FRESHET_SERVER_NET_POLLER_H
#define FRESHET_SERVER_NET_POLLER_H

#include "storage/base/slice.h"

enum poller_event_kind {
    POLLER_ACCEPTED, /* result: the descriptor, or -errno */
    /* data: until the callback returns, may be empty. result 1: receiving has stopped, it wants
     * another receive(). */
    POLLER_RECEIVED,
    POLLER_ENDED,    /* the peer sends no more: result 0, or -errno */
    POLLER_WRITABLE, /* asked for by poller_want_writable(), once */
    POLLER_WOKEN     /* wake_fd was written */
};

struct poller_event {
    enum poller_event_kind kind;
    uint64_t token;
    int result;
    struct slice data;
};

struct poller;

struct poller_ops {
    const char *name;
    /* NULL if this way is refused here. */
    struct poller *(*create)(int listener, int wake_fd);
    void (*destroy)(struct poller *poller);
    void (*accept)(struct poller *poller, bool is_on);
    /* Starts, or goes on after a pause. */
    void (*receive)(struct poller *poller, uint64_t token, int fd);
    /* False: it stops with an event POLLER_RECEIVED of result 1, before which others may come. */
    bool (*pause)(struct poller *poller, uint64_t token, int fd);
    void (*want_writable)(struct poller *poller, uint64_t token, int fd);
    /* Before the descriptor is closed: no event names the token afterwards, but for those that the
     * current wait() has taken already. */
    void (*forget)(struct poller *poller, uint64_t token, int fd);
    /* Waits for at most timeout_us, then gives all events that there are. */
    void (*wait)(struct poller *poller, int64_t timeout_us,
                 void (*on_event)(void *context, const struct poller_event *event), void *context);
};

struct poller {
    const struct poller_ops *ops;
};

extern const struct poller_ops poller_uring, poller_epoll;
/* io_uring unless is_plain; epoll where that is refused. */
struct poller *poller_create(bool is_plain, int listener, int wake_fd);

#endif
