/* What the files that know h2o share: the server and its exchanges as the reactor sees them.
 * Private to server/http. */
#ifndef FRESHET_SERVER_HTTP_REACTOR_H
#define FRESHET_SERVER_HTTP_REACTOR_H

#include "server/http/crowd.h"
#include "server/http/later.h"
#include "server/http/server.h"
#include "server/http/tally.h"
#include "server/net/farewell.h"

#include <h2o.h>

struct link {
    struct link *next, *previous;
};

/* A connection that the ring has handed over, and what it sent so far. */
struct handed {
    struct handed *next;
    int fd;
    size_t size;
    char bytes[];
};

/* What hangs off an exchange on this side of the fence. */
struct session {
    struct exchange exchange; /* first, see session_of() */
    struct http_server *server;
    h2o_req_t *req; /* NULL once h2o has let go of it */
    struct session *next_finished;
    struct link watch; /* next NULL: not watched */
    struct later_item later;
    exchange_work work; /* once the item's turn has come */
    struct crowd_reply reply;
    size_t body_size;
    size_t sent_size;         /* of the answer, piece by piece where it is encrypted */
    bool is_dispatching;      /* reactor only: inside screen() */
    bool is_answered_here;    /* reactor only: answered inside screen() */
    bool is_answered;         /* reactor's view: exchange_answer() has come back */
    _Atomic bool is_finished; /* release by exchange_answer, acquire by on_gone */
    h2o_generator_t generator;
};

struct http_server {
    struct http_server_options options;
    struct thread *thread;
    _Atomic bool has_ended; /* release by the reactor, acquire by http_server_stop */
    int event_fd;
    _Atomic(struct session *) finished; /* stack: push release, take-all acquire */
    _Atomic bool is_kicked;             /* the eventfd has been written and not yet read */
    _Atomic int command;                /* enum: 1 drain, 2 cancel the watched, 4 stop */
    struct http_tally tally;
    struct front *front;             /* NULL: h2o listens itself; before the thread starts */
    _Atomic(struct handed *) handed; /* stack, as `finished` */
    /* reactor only */
    h2o_globalconf_t config;
    h2o_context_t h2o;
    h2o_accept_ctx_t accept, accept_tls;
    h2o_timeout_t greeting_timeout;
    h2o_socket_t *listener, *wake;
    h2o_timeout_t watch_timeout;
    h2o_timeout_entry_t watch_entry;
    h2o_timeout_t farewell_timeout;
    h2o_timeout_entry_t farewell_entry;
    struct farewell farewell;
    h2o_timeout_t crowd_timeout;
    h2o_timeout_entry_t crowd_entry;
    struct crowd crowd;
    uint32_t crowd_tick;
    struct link watched;
    struct later later;
    struct session *answering; /* its reply is being started: `rewrite` leaves it alone */
    uint32_t connections;      /* of h2o */
    bool is_accepting, is_draining, is_stopped;
};

enum { COMMAND_DRAIN = 1, COMMAND_CANCEL = 2, COMMAND_STOP = 4 };

struct handler {
    h2o_handler_t super;
    struct http_server *server;
};
struct filter {
    h2o_filter_t super;
    struct http_server *server;
};

/* --- connections.c: all on the reactor thread --- */

/* Starts or stops taking connections from the listener. */
void connections_set_accepting(struct http_server *server, bool is_accepting);
/* An answer came before the end of the body: the connection of `fd` is read on for a while. */
void connections_farewell(struct http_server *server, int fd);
/* Timer callbacks. */
void connections_on_farewell(h2o_timeout_entry_t *entry);
void connections_on_crowd(h2o_timeout_entry_t *entry);
/* Takes those that the ring has handed over. */
void connections_take_handed(struct http_server *server);

#endif
