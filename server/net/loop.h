/* Connections of a stream protocol: one thread takes them, collects what they send and starts a
 * worker job when there is enough of it; the job answers. At most one job a connection at a time.
 *
 * The loop never waits for a job; a job never waits for the loop but when a slow reader has left no
 * room. What is short is done on the loop's thread: to hand it to another costs more than to do it.
 */
#ifndef FRESHET_SERVER_NET_LOOP_H
#define FRESHET_SERVER_NET_LOOP_H

#include "server/net/listener.h"
#include "storage/base/bytes.h"
#include "storage/base/worker.h"

#include <stdatomic.h>

struct loop;
struct connection;
struct tls;

struct loop_options {
    const struct listener *listener; /* taken over: closed by the loop */
    const char *name;                /* of the thread */
    bool is_plain;                   /* never io_uring */
    struct tls *tls;                 /* for connection_start_tls(); may be NULL */
    uint32_t connections_max;
    size_t inputs_max; /* of all connections: past it those that hold more than input_max end */
    size_t input_max;  /* bytes that a connection's job has not taken: past it reading pauses */
    size_t output_max; /* bytes not sent: past it connection_send() waits */
    int64_t login_timeout_us;
    struct slice refusal; /* sent to who comes past connections_max */
    struct worker_pool *workers;
    void *context;
    /* On the loop's thread. The result is the connection's own, for the calls below. */
    void *(*opened)(void *context, struct connection *connection);
    /* Is there something to do about what has come in? Asked while no job runs, so it need not lock
     * the connection's own state. */
    bool (*is_ready)(void *own, struct slice input);
    /* In a worker job: of WORKER_QUERY, but WORKER_DECODE until connection_has_logged_in(), after
     * which it is to end and ask for another, and where is_query() says that it is none. */
    void (*job)(void *own);
    bool (*is_query)(void *own); /* on the loop's thread, while no job runs */
    /* The same, maybe more than once: a job has to wait for others to end before it can begin with
     * this input. When is_over() will say so by itself (monotonic); 0: it will not. */
    int64_t (*wait)(void *own, struct slice input);
    /* Any thread, until the job begins: it has only to clean up, and need not wait. */
    bool (*is_over)(void *own);
    /* May what has come in be done on the loop's own thread? Asked after is_ready, once a
     * connection is logged in; NULL: never. job_here() does it: as job(), but it must not wait and
     * takes a millisecond at most, leaving what turns out longer to a job (connection_again()).
     */
    bool (*is_short)(void *own, struct slice input);
    void (*job_here)(void *own);
    /* On the loop's thread, while no job runs: nothing has come in for a second. What it keeps for
     * the next time is given back. */
    void (*rests)(void *own);
    void (*cancel)(void *own); /* any thread, while a job may run: the server has no more time */
    void (*closed)(void *own); /* on the loop's thread; no job runs, and none will */
};

struct loop *loop_start(const struct loop_options *options);
/* No new connections; all others get a job, in which connection_is_draining(). At once. */
void loop_drain(struct loop *loop);
/* Until no connection is left; past cancel_after_us jobs are cancelled. False after give_up_us. */
bool loop_wait(struct loop *loop, int64_t cancel_after_us, int64_t give_up_us);
/* After loop_drain(): closes what is left. No job may run any more. */
void loop_stop(struct loop *loop);
/* "uring" or "epoll". */
const char *loop_poller_name(const struct loop *loop);

struct loop_statistics {
    uint32_t open, busy, new; /* new: not logged in yet */
    uint64_t taken, refused;
};
struct loop_statistics loop_statistics(struct loop *loop);

/* --- in the connection's job --- */

/* All that has come in, appended. */
void connection_take(struct connection *connection, struct writer *into);
/* Sends, or keeps for the loop to send: no job starts until no more than output_max is kept. 08006:
 * the peer has gone. The bytes are taken whatever comes of it. */
MUST_CHECK enum err connection_send(struct connection *connection, struct slice bytes,
                                    struct error *error);
/* More than output_max is kept: a job that has much left to answer ends, and asks for another. */
bool connection_is_behind(struct connection *connection);
/* If so, waits for room. False: is_over has ended it. Without is_over it is one look long, for a
 * reader that is nearly as fast as we are: it costs no other job then. */
bool connection_wait(struct connection *connection, bool (*is_over)(void *context), void *context);
/* Another job is due, as soon as the reader is not behind, though no more may come in. */
void connection_again(struct connection *connection);
/* No more is read; closed when all is sent. */
void connection_finish(struct connection *connection);
/* Login is done: its time is no longer limited. */
void connection_has_logged_in(struct connection *connection);
/* If no other job comes before then (monotonic), one comes then, or a little later, in which
 * connection_is_overdue(). 0: none. Holds until the next call. */
void connection_set_due(struct connection *connection, int64_t due_us);
bool connection_is_overdue(const struct connection *connection);
bool connection_is_draining(const struct connection *connection);
/* Set when the peer has gone; lives as long as the connection. */
const _Atomic bool *connection_gone(const struct connection *connection);
/* Any thread, while the connection lives: what is_over() says may have changed. */
void connection_end_waiting(struct connection *connection);
/* "127.0.0.1:40000". */
const char *connection_peer(const struct connection *connection);
/* Sends `answer` as it is; what comes and goes from then on is encrypted, and jobs see plain bytes.
 * False: the peer has sent more before it could know the answer; nothing is sent. Once, and not
 * where there is no `tls`. */
bool connection_start_tls(struct connection *connection, struct slice answer);
bool connection_is_encrypted(const struct connection *connection);
/* tls_stream_binding(); empty without TLS. */
struct slice connection_binding(const struct connection *connection);

#endif
