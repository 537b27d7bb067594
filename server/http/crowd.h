/* The connections of a server, and what requests that are still coming in hold. */
#ifndef FRESHET_SERVER_HTTP_CROWD_H
#define FRESHET_SERVER_HTTP_CROWD_H

#include "server/net/farewell.h"

#include <h2o.h>

struct crowd_member {
    struct crowd_member *next, *previous;
    h2o_socket_t *socket;
    void *context;
    bool is_ended; /* by crowd_relieve */
};

/* Reactor only. */
struct crowd {
    struct crowd_member head; /* of a ring */
};

void crowd_init(struct crowd *crowd);
/* Owner: the crowd, until crowd_leave(). */
struct crowd_member *crowd_join(struct crowd *crowd, h2o_socket_t *socket, void *context);
void crowd_leave(struct crowd_member *member);
/* Ends connections in the middle of a request, the one that holds most first, with 429, until all together hold at most
 * `limit` bytes. Gives how many. Their on_close is called. */
size_t crowd_relieve(struct crowd *crowd, size_t limit, struct farewell *farewell, int64_t now_us);

#endif
