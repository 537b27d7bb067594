/* Requests whose password must be derived, in line: few at a time, and without a worker's permit.
 */
#ifndef FRESHET_SERVER_HTTP_ENTRANCE_H
#define FRESHET_SERVER_HTTP_ENTRANCE_H

#include "server/http/exchange.h"
#include "storage/base/thread.h"

#define ENTRANCE_AT_ONCE 2
#define ENTRANCE_LINE_MAX 1024
#define ENTRANCE_CLIENT_MAX 128 /* of one address */

struct worker_pool;

/* One in the line; in the exchange's arena. */
struct entrant {
    struct exchange *exchange;
    struct slice client; /* attempts_address(), in the same arena */
    void (*run)(struct exchange *exchange);
    struct entrant *next;
};

struct entrance {
    struct worker_pool *workers;
    struct mutex door;  /* one comes in at a time: taken before `mutex` */
    struct mutex mutex; /* of all below */
    struct entrant *first, *last;
    size_t count;
    int running; /* jobs that serve the line; where somebody is in it there is one */
};

void entrance_init(struct entrance *entrance, struct worker_pool *workers);
/* Nobody is in the line and no job serves it: the workers have been joined. */
void entrance_deinit(struct entrance *entrance);
/* entrant->run(exchange) will be called once, on a worker, outside of its permit; at once if the
 * client has gone (exchange->is_cancelled). Any thread. False: the line is full, of this
 * address or of all, or the server stops. */
bool entrance_submit(struct entrance *entrance, struct entrant *entrant);

#endif
