/* The PostgreSQL port until its protocol comes: every connection is told so and closed. */
#ifndef FRESHET_SERVER_PGWIRE_REFUSE_H
#define FRESHET_SERVER_PGWIRE_REFUSE_H

#include "server/net/listener.h"
#include "storage/base/slice.h"

enum refuse_step {
    REFUSE_MORE,
    REFUSE_DENY_ENCRYPTION /* answer 'N', go on behind `used` */,
    REFUSE_TELL,
    REFUSE_CLOSE
};
/* Looks at the start of what a client sent. */
enum refuse_step refuse_step(struct slice received, size_t *used);
/* The FATAL ErrorResponse, in a static buffer. */
struct slice refuse_message(void);

struct refuse_server;
struct refuse_server *
refuse_start(const struct listener *listener); /* takes the listener's descriptor over */
void refuse_stop(struct refuse_server *server);

#endif
