/* The connections of a server, and what requests that are still coming in hold. */
#ifndef FRESHET_SERVER_HTTP_CROWD_H
#define FRESHET_SERVER_HTTP_CROWD_H

#include "server/net/farewell.h"

#include <h2o.h>

#define REPLY_STALLED_US INT64_C(5000000)

struct crowd_member {
    struct crowd_member *next, *previous;
    h2o_socket_t *socket;
    void *context;
    bool is_ended; /* by crowd_relieve */
};

/* A reply that its client has not taken whole; embedded in whatever is freed with it. */
struct crowd_reply {
    struct crowd_reply *next, *previous; /* NULL: none under way */
    int fd;
    size_t size;
    int64_t since_us;
};

/* Reactor only. */
struct crowd {
    struct crowd_member head;   /* of a ring */
    struct crowd_reply replies; /* of a ring, oldest first */
    size_t reply_bytes, reply_bytes_max;
};

void crowd_init(struct crowd *crowd, size_t reply_bytes_max);
/* A reply begins to be sent. Past the limit those that began REPLY_STALLED_US ago or earlier are
 * cut, the oldest first, until the rest is within it. */
void crowd_reply_begin(struct crowd *crowd, struct crowd_reply *reply, int fd, size_t size,
                       int64_t now_us);
/* Sent, or its connection is gone. Nothing for one that never began. */
void crowd_reply_end(struct crowd *crowd, struct crowd_reply *reply);
/* Owner: the crowd, until crowd_leave(). */
struct crowd_member *crowd_join(struct crowd *crowd, h2o_socket_t *socket, void *context);
void crowd_leave(struct crowd_member *member);
/* Ends connections in the middle of a request, the one that holds most first, with 429, until all
 * together and the `others`, if those hold less, hold at most `limit` bytes. Gives how many, and
 * what is held now. Their on_close is called. */
size_t crowd_relieve(struct crowd *crowd, size_t limit, size_t others, struct farewell *farewell,
                     int64_t now_us, size_t *held);

#endif
