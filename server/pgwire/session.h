/* One client of the PostgreSQL protocol: bytes in, bytes out, in worker jobs; owns no socket.
 *
 *   STARTUP ──StartupMessage──▶ LOGIN ──password proved──▶ READY ──X, FATAL──▶ ENDED
 *      │                          (no users: at once)
 *      └─ SSLRequest (S: TLS, or N), GSSENCRequest (N), CancelRequest ─▶ ENDED
 *
 * In READY: an error of the extended protocol skips to Sync. COPY … FROM: copy_stream.c. */
#ifndef FRESHET_SERVER_PGWIRE_SESSION_H
#define FRESHET_SERVER_PGWIRE_SESSION_H

#include "ingest/ingest.h"
#include "query/session/session.h"
#include "server/pgwire/backend.h"
#include "server/pgwire/message.h"

struct access;
struct pg_session;

struct pg_session_options {
    void *context;
    /* NULL: the server is not ready yet. */
    struct query_engine *(*engine)(void *context);
    struct access *access; /* who may come in; NULL: everybody */
    /* SSLRequest: sends 'S' and encrypts from there on. False: more bytes have come already. NULL:
     * there is no certificate. */
    bool (*start_tls)(void *context);
    /* Whether all is encrypted by now, and the hash of the certificate, empty if it has none. */
    bool (*is_encrypted)(void *context, struct slice *binding);
    bool is_tls_required; /* of peers that are not on loopback, where there are users */
    struct ingest *(*ingest)(void *context); /* once there is an engine; for COPY */
    struct backends *backends;
    const char *peer;            /* lives as long as the session */
    const _Atomic bool *is_gone; /* may be NULL */
    size_t message_max;
    /* Output to the client, taken whole. */
    enum err (*send)(void *context, struct slice bytes, struct error *error);
    /* So much of it is kept that no more answers are to be begun. NULL: never. */
    bool (*is_behind)(void *context);
    /* Waits until it is not so; false: is_over has ended that. Without is_over a short while. */
    bool (*wait)(void *context, bool (*is_over)(void *context), void *over_context);
    /* Login is done. */
    void (*logged_in)(void *context);
    /* Any thread: what pg_session_is_over() says may have changed. NULL: nothing waits. */
    void (*end_waiting)(void *context);
};

struct pg_session *pg_session_create(const struct pg_session_options *options);
void pg_session_destroy(struct pg_session *session);
/* Bytes that the input must have before its first message is worth a call of pg_session_feed(), as
 * far as they tell. Cheap; while no other call runs. */
size_t pg_session_wanted(const struct pg_session *session, struct slice input);
/* All whole messages at the start of the input, unless is_behind() said so in between or the client
 * has gone: how many bytes they were. Output is sent. */
size_t pg_session_feed(struct pg_session *session, struct slice input);
/* It has left the rest for another call, which is to wait as any other. */
bool pg_session_is_cut(const struct pg_session *session);
/* The next three, while no other call runs, on any thread: may the next pg_session_feed() have to
 * wait for queries of others to end? Not where it only skips to a Sync. */
bool pg_session_is_query(const struct pg_session *session);
/* It has to, and `begun` with `input` behind it is what it will be given: the statement shows, and
 * its time runs. When that is over (monotonic); 0: never. */
int64_t pg_session_wait(struct pg_session *session, struct slice begun, struct slice input);
/* It need not wait any longer: the statement was cancelled, or its time is over. */
bool pg_session_is_over(const struct pg_session *session);
/* Is all of it executions of prepared statements that have been short so far? Cheap; while no other
 * call runs. */
bool pg_session_is_short(const struct pg_session *session, struct slice input);
/* As pg_session_feed(), for such input, and it never waits: what takes longer than it did before is
 * undone and left, and *is_put_off set. */
size_t pg_session_feed_short(struct pg_session *session, struct slice input, bool *is_put_off);
/* When pg_session_overdue() is to be called if nothing comes in before (monotonic), 0: never. By
 * its own settings, or idle_timeout_us where they leave it open. */
int64_t pg_session_due(const struct pg_session *session, int64_t idle_timeout_us);
/* Before pg_session_feed(), when it is overdue: a statement whose reader is behind has no more
 * time.
 */
void pg_session_hurry(struct pg_session *session);
/* A COPY that waits ends with an error, who idles is told so and ends. */
void pg_session_overdue(struct pg_session *session);
/* No call runs, and none may for long: what is kept for the next one is given back. */
void pg_session_rest(struct pg_session *session);
/* Nothing more is to be read: the connection ends when its output is sent. */
bool pg_session_has_ended(const struct pg_session *session);
/* The server stops: FATAL 57P01, unless it has ended. */
void pg_session_stop(struct pg_session *session);
/* Any thread, the server stops: what runs ends, and no other message is taken. */
void pg_session_cancel(struct pg_session *session);

#endif
