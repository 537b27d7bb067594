/* The loop: sockets on one side, worker jobs on the other.
 *
 *   poller ─bytes─▶ input ─is_ready─▶ worker job ─connection_send─▶ output ─▶ socket
 *                         └is_short─▶ here ────────────┘
 *                     │ more than input_max: reading pauses          │ the socket takes no more:
 *                     ▼                                              ▼ the loop waits for it
 *   OPEN ──finish──▶ LINGERING (all sent, end told, what comes is thrown away) ──▶ closed
 *
 * A job sends by itself, at once: for small answers the loop is not woken at all. What the socket
 * does not take stays in `output` and the loop sends it when the socket is writable again. Both do
 * so under the connection's lock, in push(); push() and take_bytes() are the two places that all
 * bytes pass.
 *
 * To hand a job over wakes a thread and costs 15 us of CPU time, half and more of a small query's:
 * what is_short() is done here, for HERE_US a turn.
 *
 * TLS: PLAIN ──connection_start_tls──▶ SHAKING ──shake──▶ ENCRYPTED. While a connection shakes
 * hands its input is what the peer sent, and its jobs are ours: they compute for as long as a
 * query. From then on take_bytes() decrypts, under the lock, and jobs find plain bytes in `input`;
 * connection_send() encrypts, under the lock too.
 *
 * Who may do what: the loop's thread owns the table, the poller and the life of each connection; a
 * connection is closed only when no job has it. A job that needs the loop (for output, an end, room
 * to read again) puts its connection on the list `called` and writes the eventfd. */
#include "server/net/loop.h"

#include "server/net/poller.h"
#include "server/net/tls.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)64 << 20) /* as workers have: jobs run here too */
#define TICK_US 250000
#define RETRY_US 5000
#define LINGER_US 1000000
#define WAIT_STEP_US 50000
#define REST_AFTER_US 1000000
#define FINISH_US 60000000 /* for the rest of what was sent to one that has ended to be read */
#define KEPT_BUFFER_SIZE                                                                           \
    ((size_t)16 << 10) /* of an idle connection: a larger one is given back                        \
                        */
#define SLOT_BITS 24
/* Of one turn for what is done here: past it the others may be done elsewhere, so that many busy
 * connections use many cores. */
#define HERE_US 1000

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

static uint64_t token_of(const struct connection *connection)
{
    return (uint64_t)connection->generation << SLOT_BITS | connection->slot;
}

static struct connection *find(struct loop *loop, uint64_t token)
{
    uint32_t slot = (uint32_t)(token & ((1u << SLOT_BITS) - 1));
    struct connection *connection = slot < loop->options.connections_max ? loop->table[slot] : NULL;
    return connection != NULL && token_of(connection) == token ? connection : NULL;
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof(one));
}

/* With the connection's lock held. */
static void call_loop(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if (connection->is_called)
        return;
    connection->is_called = true;
    mutex_lock(&loop->mutex);
    bool was_empty = loop->called == NULL;
    connection->next_called = loop->called;
    loop->called = connection;
    mutex_unlock(&loop->mutex);
    if (was_empty)
        wake(loop);
}

/* --- the two places that all bytes pass --- */

/* Emptied; what is idle is small. */
static void empty(struct writer *writer)
{
    writer_reset(writer);
    if (writer->capacity > KEPT_BUFFER_SIZE) {
        writer_deinit(writer);
        writer_init(writer);
    }
}

static bool is_gone(const struct connection *connection)
{
    return atomic_load_explicit(&connection->is_gone, memory_order_relaxed);
}

static void drop_output(struct connection *connection)
{
    empty(&connection->output);
    connection->output_sent = 0;
}

static void set_gone(struct connection *connection)
{
    atomic_store_explicit(&connection->is_gone, true, memory_order_relaxed);
    drop_output(connection);
    condition_broadcast(&connection->has_room);
}

static size_t unsent(const struct connection *connection)
{
    return connection->output.size - connection->output_sent;
}

/* Sends what the socket takes now. With the lock held. */
static void push(struct connection *connection)
{
    while (unsent(connection) > 0) {
        ssize_t sent = send(connection->fd, connection->output.data + connection->output_sent,
                            unsent(connection), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            set_gone(connection);
        if (sent < 0)
            return;
        connection->output_sent += (size_t)sent;
    }
    drop_output(connection);
}

/* With the lock held, and not gone. */
static void take_encrypted(struct connection *connection, struct slice bytes)
{
    size_t before = connection->input.size;
    bool is_open = tls_stream_read(connection->tls, bytes, &connection->input, &connection->output);
    atomic_fetch_add_explicit(&connection->loop->held, connection->input.size - before,
                              memory_order_relaxed);
    if (!is_open)
        set_gone(connection);
}

static void take_bytes(struct connection *connection, struct slice bytes)
{
    mutex_lock(&connection->mutex);
    if (is_gone(connection)) {
        /* Nobody will look at them, and nothing ends the reading. */
    } else if (connection->wire == WIRE_ENCRYPTED) {
        take_encrypted(connection, bytes);
    } else {
        writer_slice(&connection->input, bytes);
        atomic_fetch_add_explicit(&connection->loop->held, bytes.size, memory_order_relaxed);
    }
    mutex_unlock(&connection->mutex);
}

static void release_input(struct connection *connection)
{
    atomic_fetch_sub_explicit(&connection->loop->held, connection->input.size,
                              memory_order_relaxed);
}

/* --- in the job --- */

void connection_take(struct connection *connection, struct writer *into)
{
    mutex_lock(&connection->mutex);
    connection->taken += connection->input.size; /* held until the job is done with it */
    if (into->size == 0) {
        struct writer other = *into;
        *into = connection->input;
        connection->input = other;
    } else {
        writer_slice(into, writer_as_slice(&connection->input));
        empty(&connection->input);
    }
    if (!connection->is_reading)
        call_loop(connection);
    mutex_unlock(&connection->mutex);
}

enum err connection_send(struct connection *connection, struct slice bytes,
                         bool (*is_over)(void *context), void *context, struct error *error)
{
    enum err err = OK;
    mutex_lock(&connection->mutex);
    if (is_gone(connection)) {
        /* There is nobody to send it to. */
    } else if (connection->wire != WIRE_ENCRYPTED) {
        writer_slice(&connection->output, bytes);
    } else if (!tls_stream_write(connection->tls, bytes, &connection->output)) {
        set_gone(connection);
    }
    push(connection);
    if (unsent(connection) > 0)
        call_loop(connection);
    if (is_over != NULL && unsent(connection) > connection->loop->options.output_max) {
        mutex_unlock(&connection->mutex);
        worker_block_begin();
        mutex_lock(&connection->mutex);
        while (err == OK && unsent(connection) > connection->loop->options.output_max) {
            condition_wait_for(&connection->has_room, &connection->mutex, WAIT_STEP_US);
            if (is_over(context))
                err = error_set(error, ERR_CANCELLED, "57014",
                                "canceling statement: the client does not read its rows");
        }
        mutex_unlock(&connection->mutex);
        worker_block_end();
        mutex_lock(&connection->mutex);
    }
    mutex_unlock(&connection->mutex);
    if (is_gone(connection))
        err = error_set(error, ERR_CANCELLED, "08006", "the client has gone");
    return err;
}

bool connection_is_behind(struct connection *connection)
{
    mutex_lock(&connection->mutex);
    bool is_behind = unsent(connection) > connection->loop->options.output_max;
    mutex_unlock(&connection->mutex);
    return is_behind;
}

void connection_again(struct connection *connection)
{
    mutex_lock(&connection->mutex);
    connection->is_again = true;
    mutex_unlock(&connection->mutex);
}

void connection_finish(struct connection *connection)
{
    mutex_lock(&connection->mutex);
    if (connection->wire == WIRE_ENCRYPTED && !is_gone(connection))
        tls_stream_end(connection->tls, &connection->output);
    connection->is_finishing = true;
    call_loop(connection);
    mutex_unlock(&connection->mutex);
}

void connection_has_logged_in(struct connection *connection)
{
    mutex_lock(&connection->mutex);
    if (!connection->has_logged_in)
        atomic_fetch_sub_explicit(&connection->loop->new, 1, memory_order_relaxed);
    connection->has_logged_in = true;
    mutex_unlock(&connection->mutex);
}

void connection_set_due(struct connection *connection, int64_t due_us)
{
    connection->due_us = due_us; /* the loop looks at it while no job runs */
}

/* Set before its job begins. */
bool connection_is_overdue(const struct connection *connection)
{
    return connection->is_overdue;
}

bool connection_is_draining(const struct connection *connection)
{
    return atomic_load_explicit(&connection->loop->is_draining, memory_order_acquire);
}

const _Atomic bool *connection_gone(const struct connection *connection)
{
    return &connection->is_gone;
}

const char *connection_peer(const struct connection *connection)
{
    return connection->peer;
}

/* --- TLS --- */

bool connection_start_tls(struct connection *connection, struct slice answer)
{
    assert(connection->loop->options.tls != NULL);
    assert(connection->wire == WIRE_PLAIN);
    mutex_lock(&connection->mutex);
    bool is_clean = connection->input.size == 0;
    if (is_clean && !is_gone(connection)) {
        connection->tls = tls_stream_create(connection->loop->options.tls);
        connection->wire = WIRE_SHAKING;
        writer_slice(&connection->output, answer);
        push(connection);
        if (unsent(connection) > 0)
            call_loop(connection);
    }
    mutex_unlock(&connection->mutex);
    return is_clean;
}

bool connection_is_encrypted(const struct connection *connection)
{
    return connection->wire == WIRE_ENCRYPTED;
}

struct slice connection_binding(const struct connection *connection)
{
    return connection->wire == WIRE_ENCRYPTED ? tls_stream_binding(connection->tls) : SLICE("");
}

/* The handshake is over: bytes that came behind it are decrypted. With the lock held. */
static void begin_encrypted(struct connection *connection, struct slice rest)
{
    struct writer raw = connection->input;
    writer_init(&connection->input);
    connection->wire = WIRE_ENCRYPTED;
    take_encrypted(connection, rest);
    if (!is_gone(connection))
        take_encrypted(connection, writer_as_slice(&raw));
    atomic_fetch_sub_explicit(&connection->loop->held, raw.size, memory_order_relaxed);
    writer_deinit(&raw);
}

static void shake(struct connection *connection)
{
    struct writer input, output;
    writer_init(&input);
    writer_init(&output);
    connection_take(connection, &input);
    struct slice rest = writer_as_slice(&input);
    enum tls_step step = tls_stream_shake(connection->tls, &rest, &output);
    mutex_lock(&connection->mutex);
    if (!is_gone(connection)) {
        writer_slice(&connection->output, writer_as_slice(&output));
        if (step == TLS_OPEN)
            begin_encrypted(connection, rest);
        connection->is_finishing = step == TLS_FAILED || connection_is_draining(connection);
        push(connection);
        call_loop(connection);
    }
    mutex_unlock(&connection->mutex);
    writer_deinit(&input);
    writer_deinit(&output);
}

/* Done by what has a connection; is there something for the loop to look at? With the lock held. */
static bool end_job(struct connection *connection)
{
    struct loop *loop = connection->loop;
    atomic_fetch_sub_explicit(&loop->held, connection->taken, memory_order_relaxed);
    connection->taken = 0;
    if (connection->has_logged_in) /* before, all of it is one time */
        connection->since_us = clock_monotonic_us();
    connection->is_busy = connection->has_rested = connection->is_overdue = false;
    return connection->input.size > 0 || connection->is_finishing || is_gone(connection) ||
           connection_is_draining(connection) || !connection->is_reading || connection->is_again;
}

static void run_job(void *context)
{
    struct connection *connection = context;
    struct loop *loop = connection->loop;
    atomic_fetch_add_explicit(&loop->busy, 1, memory_order_relaxed);
    if (connection->wire == WIRE_SHAKING)
        shake(connection);
    else
        loop->options.job(connection->own);
    atomic_fetch_sub_explicit(&loop->busy, 1, memory_order_relaxed);
    mutex_lock(&connection->mutex);
    if (end_job(connection))
        call_loop(connection); /* which looks what is to be done */
    mutex_unlock(&connection->mutex);
}

/* --- on the loop's thread --- */

static void close_connection(struct connection *connection)
{
    struct loop *loop = connection->loop;
    loop->poller->ops->forget(loop->poller, token_of(connection), connection->fd);
    loop->table[connection->slot] = NULL;
    loop->generations[connection->slot]++;
    loop->options.closed(connection->own);
    close(connection->fd);
    release_input(connection);
    tls_stream_destroy(connection->tls);
    if (!connection->has_logged_in)
        atomic_fetch_sub_explicit(&loop->new, 1, memory_order_relaxed);
    writer_deinit(&connection->input);
    writer_deinit(&connection->output);
    condition_deinit(&connection->has_room);
    mutex_deinit(&connection->mutex);
    memory_free(connection);
    atomic_fetch_sub_explicit(&loop->open, 1, memory_order_relaxed);
}

/* With the lock held. */
static void start_job(struct connection *connection)
{
    struct loop *loop = connection->loop;
    connection->is_busy = true;
    connection->is_again = false;
    /* A login, or a cancel request, is short and must not wait for queries to end. */
    enum worker_priority priority = connection->has_logged_in ? WORKER_QUERY : WORKER_DECODE;
    connection->is_due = worker_submit(loop->options.workers, priority, run_job, connection) != OK;
    loop->has_due = loop->has_due || connection->is_due;
}

/* With the lock held: is the connection's job one for this thread? */
static bool may_run_here(struct connection *connection, struct slice input)
{
    struct loop *loop = connection->loop;
    if (loop->options.is_short == NULL || !connection->has_logged_in || connection->is_again ||
        connection_is_draining(connection) || !loop->options.is_short(connection->own, input))
        return false;
    int64_t now_us = clock_monotonic_us();
    if (loop->here_since_us == 0)
        loop->here_since_us = now_us;
    return now_us - loop->here_since_us < HERE_US;
}

/* Is there more to look at? */
static bool run_here(struct connection *connection)
{
    connection->loop->options.job_here(connection->own);
    mutex_lock(&connection->mutex);
    bool has_more = end_job(connection);
    mutex_unlock(&connection->mutex);
    return has_more;
}

static void set_reading(struct connection *connection, bool is_reading)
{
    struct poller *poller = connection->loop->poller;
    connection->is_reading = is_reading;
    if (is_reading && !connection->is_armed) {
        poller->ops->receive(poller, token_of(connection), connection->fd);
        connection->is_armed = true;
    } else if (!is_reading && connection->is_armed) {
        connection->is_armed = !poller->ops->pause(poller, token_of(connection), connection->fd);
    }
}

static void linger(struct connection *connection)
{
    if (connection->is_lingering)
        return;
    connection->is_lingering = true;
    connection->since_us = clock_monotonic_us();
    shutdown(connection->fd, SHUT_WR);
    set_reading(connection, true);
}

/* A message that grows while all of them together take too much: one of the large ones ends. */
static bool is_greedy(const struct connection *connection)
{
    const struct loop *loop = connection->loop;
    return connection->input.size > loop->options.input_max &&
           atomic_load_explicit(&loop->held, memory_order_relaxed) > loop->options.inputs_max;
}

static bool has_work(const struct connection *connection, struct slice input)
{
    return input.size > 0 && (connection->wire == WIRE_SHAKING ||
                              connection->loop->options.is_ready(connection->own, input));
}

/* What is due now; true: a job here, which has it. The connection may be gone afterwards. */
static bool look_once(struct connection *connection)
{
    struct loop *loop = connection->loop;
    bool is_here = false;
    mutex_lock(&connection->mutex);
    bool is_idle = !connection->is_busy && !connection->is_called;
    bool is_closing = is_gone(connection) && is_idle;
    if (!is_closing && !is_gone(connection)) {
        push(connection);
        if (unsent(connection) <= loop->options.output_max)
            condition_broadcast(&connection->has_room);
        if (unsent(connection) > 0 && !connection->is_writable_wanted) {
            connection->is_writable_wanted = true;
            loop->poller->ops->want_writable(loop->poller, token_of(connection), connection->fd);
        }
        struct slice input = writer_as_slice(&connection->input);
        if (connection->is_finishing) {
            release_input(connection);
            empty(&connection->input);
            if (unsent(connection) == 0 && !connection->is_busy)
                linger(connection);
        } else {
            bool is_blocked = unsent(connection) > loop->options.output_max;
            bool is_wanted = connection_is_draining(connection) ||
                             (!connection->is_busy && !is_blocked &&
                              (connection->is_again || has_work(connection, input)));
            is_here = !connection->is_busy && is_wanted && may_run_here(connection, input);
            if (is_here)
                connection->is_busy = true;
            else if (!connection->is_busy && is_wanted)
                start_job(connection);
            else if (!connection->is_busy && is_greedy(connection))
                set_gone(connection);
            set_reading(connection, (!connection->is_busy && !is_blocked) ||
                                        input.size < loop->options.input_max);
        }
    }
    mutex_unlock(&connection->mutex);
    if (is_closing)
        close_connection(connection);
    return is_here;
}

/* After anything has happened to it. The connection may be gone afterwards. */
static void look_at(struct connection *connection)
{
    while (look_once(connection) && run_here(connection))
        continue;
}

static void on_called(struct loop *loop)
{
    mutex_lock(&loop->mutex);
    struct connection *called = loop->called;
    loop->called = NULL;
    mutex_unlock(&loop->mutex);
    while (called != NULL) {
        struct connection *next = called->next_called;
        mutex_lock(&called->mutex);
        called->is_called = false;
        mutex_unlock(&called->mutex);
        look_at(called);
        called = next;
    }
}

static void name_peer(struct connection *connection)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[46], port[8];
    if (getpeername(connection->fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(connection->peer, sizeof(connection->peer), "%s:%s", host, port);
}

static bool find_slot(struct loop *loop, uint32_t *out)
{
    uint32_t count = loop->options.connections_max;
    if (atomic_load_explicit(&loop->open, memory_order_relaxed) == count)
        return false;
    while (loop->table[loop->next_slot] != NULL)
        loop->next_slot = (loop->next_slot + 1) % count;
    *out = loop->next_slot;
    loop->next_slot = (loop->next_slot + 1) % count;
    return true;
}

static void on_accepted(struct loop *loop, int fd)
{
    if (fd < 0) {
        if (fd != -EMFILE && fd != -ENFILE)
            return;
        loop->is_accepting = false; /* the tick tries again */
        loop->poller->ops->accept(loop->poller, false);
        return;
    }
    uint32_t slot;
    if (!find_slot(loop, &slot)) {
        (void)!send(fd, loop->options.refusal.data, loop->options.refusal.size,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        close(fd);
        atomic_fetch_add_explicit(&loop->refused, 1, memory_order_relaxed);
        return;
    }
    struct connection *connection = memory_alloc_zero(sizeof(*connection));
    connection->loop = loop;
    connection->fd = fd;
    connection->slot = slot;
    connection->generation = loop->generations[slot];
    connection->since_us = clock_monotonic_us();
    name_peer(connection);
    mutex_init(&connection->mutex);
    condition_init(&connection->has_room);
    writer_init(&connection->input);
    writer_init(&connection->output);
    loop->table[slot] = connection;
    connection->own = loop->options.opened(loop->options.context, connection);
    atomic_fetch_add_explicit(&loop->open, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->new, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->taken, 1, memory_order_relaxed);
    set_reading(connection, true);
}

static void on_ended(struct connection *connection)
{
    mutex_lock(&connection->mutex);
    connection->is_armed = false;
    set_gone(connection);
    mutex_unlock(&connection->mutex);
    look_at(connection);
}

static void on_event(void *context, const struct poller_event *event)
{
    struct loop *loop = context;
    if (event->kind == POLLER_ACCEPTED) {
        on_accepted(loop, event->result);
        return;
    }
    if (event->kind == POLLER_WOKEN) {
        on_called(loop);
        return;
    }
    struct connection *connection = find(loop, event->token);
    if (connection == NULL)
        return;
    if (event->kind == POLLER_ENDED) {
        on_ended(connection);
        return;
    }
    if (event->kind == POLLER_WRITABLE)
        connection->is_writable_wanted = false;
    if (event->kind == POLLER_RECEIVED) {
        connection->is_armed = connection->is_armed && event->result == 0;
        if (!connection->is_lingering)
            take_bytes(connection, event->data);
        else if (!connection->is_armed)
            set_reading(connection, true);
    }
    if (!connection->is_lingering)
        look_at(connection);
}

/* Thousands of idle connections are to cost little: the buffers of one come back with its next
 * bytes. With the lock held. */
static void rest(struct connection *connection)
{
    if (connection->input.size == 0) {
        writer_deinit(&connection->input);
        writer_init(&connection->input);
    }
    if (unsent(connection) == 0) {
        writer_deinit(&connection->output);
        writer_init(&connection->output);
        connection->output_sent = 0;
    }
    connection->loop->options.rests(connection->own);
    connection->has_rested = true;
}

/* Time-outs, jobs that found no room, ends that nobody told. */
static void tick_connection(struct connection *connection, int64_t now_us)
{
    struct loop *loop = connection->loop;
    mutex_lock(&connection->mutex);
    int64_t limit_us = connection->is_lingering     ? LINGER_US
                       : connection->is_finishing   ? FINISH_US
                       : !connection->has_logged_in ? loop->options.login_timeout_us
                                                    : 0;
    bool is_waiting = !connection->is_busy || !connection->has_logged_in;
    bool is_overdue = connection->has_logged_in && !connection->is_busy && !is_gone(connection) &&
                      !connection->is_finishing && connection->due_us != 0 &&
                      now_us > connection->due_us;
    connection->is_overdue = connection->is_overdue || is_overdue;
    if ((connection->is_busy && connection->is_due) || is_overdue)
        start_job(connection);
    else if (is_waiting && limit_us > 0 && now_us - connection->since_us > limit_us)
        set_gone(connection);
    else if (!connection->is_busy && connection->has_logged_in && !connection->has_rested &&
             now_us - connection->since_us > REST_AFTER_US)
        rest(connection);
    mutex_unlock(&connection->mutex);
    if (loop->has_cancelled)
        loop->options.cancel(connection->own);
    if (!connection->is_lingering || is_gone(connection))
        look_at(connection);
}

static void tick(struct loop *loop)
{
    int64_t now_us = clock_monotonic_us();
    bool is_draining = atomic_load_explicit(&loop->is_draining, memory_order_acquire);
    loop->has_due = false;
    loop->has_cancelled = atomic_load_explicit(&loop->is_cancelling, memory_order_acquire);
    if (is_draining && !loop->has_drained) {
        loop->has_drained = true;
        loop->poller->ops->accept(loop->poller, false);
        shutdown(loop->options.listener->fd, SHUT_RD);
    } else if (!is_draining && !loop->is_accepting) {
        loop->is_accepting = true;
        loop->poller->ops->accept(loop->poller, true);
    }
    for (uint32_t slot = 0; slot < loop->options.connections_max; slot++)
        if (loop->table[slot] != NULL)
            tick_connection(loop->table[slot], now_us);
}

static void run(void *context)
{
    struct loop *loop = context;
    int64_t next_us = 0;
    loop->poller = poller_create(loop->options.is_plain, loop->options.listener->fd, loop->wake_fd);
    while (!atomic_load_explicit(&loop->is_stopping, memory_order_acquire)) {
        int64_t now_us = clock_monotonic_us();
        bool is_urgent =
            loop->has_due ||
            (atomic_load_explicit(&loop->is_draining, memory_order_acquire) && !loop->has_drained);
        if (now_us >= next_us || is_urgent) {
            tick(loop);
            next_us = now_us + TICK_US;
        }
        loop->here_since_us = 0;
        loop->poller->ops->wait(loop->poller, loop->has_due ? RETRY_US : TICK_US, on_event, loop);
    }
    for (uint32_t slot = 0; slot < loop->options.connections_max; slot++)
        if (loop->table[slot] != NULL)
            close_connection(loop->table[slot]);
    loop->poller->ops->destroy(loop->poller);
}

/* --- from outside --- */

struct loop *loop_start(const struct loop_options *options)
{
    assert(options->connections_max > 0 && options->connections_max < 1u << SLOT_BITS);
    struct loop *loop = memory_alloc_zero(sizeof(*loop));
    loop->options = *options;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(loop->wake_fd >= 0);
    mutex_init(&loop->mutex);
    loop->table = memory_alloc_zero(options->connections_max * sizeof(*loop->table));
    loop->generations = memory_alloc_zero(options->connections_max * sizeof(*loop->generations));
    loop->thread = thread_start(&(struct thread_options){
        .name = options->name, .stack_size = STACK_SIZE, .run = run, .context = loop});
    return loop;
}

void loop_drain(struct loop *loop)
{
    atomic_store_explicit(&loop->is_draining, true, memory_order_release);
    wake(loop);
}

bool loop_wait(struct loop *loop, int64_t cancel_after_us, int64_t give_up_us)
{
    int64_t begin_us = clock_monotonic_us();
    while (atomic_load_explicit(&loop->open, memory_order_relaxed) > 0) {
        int64_t waited_us = clock_monotonic_us() - begin_us;
        if (waited_us > give_up_us)
            return false;
        if (waited_us > cancel_after_us)
            atomic_store_explicit(&loop->is_cancelling, true, memory_order_release);
        clock_sleep_us(RETRY_US);
    }
    return true;
}

void loop_stop(struct loop *loop)
{
    if (loop == NULL)
        return;
    atomic_store_explicit(&loop->is_stopping, true, memory_order_release);
    wake(loop);
    thread_join(loop->thread);
    close(loop->options.listener->fd);
    close(loop->wake_fd);
    mutex_deinit(&loop->mutex);
    memory_free(loop->table);
    memory_free(loop->generations);
    memory_free(loop);
}

struct loop_statistics loop_statistics(struct loop *loop)
{
    return (struct loop_statistics){
        .open = atomic_load_explicit(&loop->open, memory_order_relaxed),
        .busy = atomic_load_explicit(&loop->busy, memory_order_relaxed),
        .new = atomic_load_explicit(&loop->new, memory_order_relaxed),
        .taken = atomic_load_explicit(&loop->taken, memory_order_relaxed),
        .refused = atomic_load_explicit(&loop->refused, memory_order_relaxed),
    };
}
