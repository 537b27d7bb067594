/* The inside of the loop and its connections, shared by loop.c and connection.c. */
#ifndef FRESHET_SERVER_NET_INSIDE_H
#define FRESHET_SERVER_NET_INSIDE_H

#include "server/net/loop.h"
#include "server/net/poller.h"
#include "server/net/tls.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/thread.h"

struct connection {
    struct loop *loop;
    void *own;
    int fd;
    uint32_t slot, generation;
    struct connection *next_called;
    char peer[64];
    _Atomic bool is_gone;
    struct mutex mutex; /* around all below but what is the loop's */
    struct condition has_room;
    struct writer input, output;
    size_t output_sent;                                     /* of its start */
    enum { WIRE_PLAIN, WIRE_SHAKING, WIRE_ENCRYPTED } wire; /* changed by jobs alone */
    struct tls_stream *tls;                                 /* the job's while it shakes hands */
    size_t taken;                                           /* of the input, by the job that runs */
    bool is_busy;                                           /* a job has it, or is due */
    bool is_called;                                         /* on the list */
    bool is_finishing;
    bool is_again;    /* connection_again() */
    bool is_due;      /* a job could not be handed in: again later */
    int64_t since_us; /* of the last job, or the start */
    int64_t due_us;   /* connection_set_due() */
    bool is_overdue;
    bool has_logged_in;
    bool has_rested; /* since the last job */
    /* the loop's */
    bool is_armed, is_reading, is_writable_wanted, is_lingering;
};

struct loop {
    struct loop_options options;
    struct poller *poller;
    struct thread *thread;
    int wake_fd;
    struct mutex mutex; /* around `called` */
    struct connection *called;
    _Atomic bool is_draining, is_stopping, is_cancelling;
    _Atomic uint32_t open, busy, new;
    _Atomic size_t held; /* bytes of all inputs, and of those that jobs have taken */
    _Atomic uint64_t taken, refused;
    /* the loop's */
    struct connection **table; /* by slot */
    uint32_t *generations, next_slot;
    bool is_accepting, has_drained, has_cancelled;
    int64_t here_since_us; /* of this turn's first job here; 0: none yet */
    bool has_due;
};

/* --- connection.c; all but take_bytes() and shake() with the connection's lock held --- */

static inline bool connection_is_gone(const struct connection *connection)
{
    return atomic_load_explicit(&connection->is_gone, memory_order_relaxed);
}

static inline size_t connection_unsent(const struct connection *connection)
{
    return connection->output.size - connection->output_sent;
}

void loop_wake(struct loop *loop); /* any thread, no lock */
/* The loop is to look at it. */
void connection_call_loop(struct connection *connection);
/* Emptied; what is idle is small. */
void connection_empty(struct writer *writer);
void connection_set_gone(struct connection *connection);
/* Sends what the socket takes now. */
void connection_push(struct connection *connection);
void connection_take_bytes(struct connection *connection, struct slice bytes);
/* Its input counts no longer. */
void connection_release_input(struct connection *connection);
/* A job of a connection that shakes hands. */
void connection_shake(struct connection *connection);

#endif
