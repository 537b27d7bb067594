/* The ring before h2o: takes the connections of the HTTP port, serves the requests that are of its
 * strict subset (head.h) and hands over every connection that asks for anything else. */
#ifndef FRESHET_SERVER_RING_FRONT_H
#define FRESHET_SERVER_RING_FRONT_H

#include "server/http/server.h"
#include "server/http/tally.h"

struct front;

struct front_options {
    const struct http_server_options *server; /* outlives the front; its listener is taken over */
    struct http_tally *tally;                 /* outlives it too */
    /* The connection of `fd`, which is not blocking, belongs to the callee, who copies `bytes`:
     * what came and was not answered. On the front's thread. It stays counted. */
    void (*hand_over)(void *context, int fd, struct slice bytes);
    void *context;
};

/* Starts its thread. NULL where io_uring is refused: nothing has happened then. */
struct front *front_start(const struct front_options *options);
/* Closes the listener; each further answer ends its connection. At once, any thread. */
void front_drain(struct front *front);
/* Ends the connections and the thread. No worker may hold an exchange any more. */
void front_stop(struct front *front);

#endif
