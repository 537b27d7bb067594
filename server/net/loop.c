/* The loop: sockets on one side, worker jobs on the other.
 *
 *   poller ─bytes─▶ input ─is_ready─▶ worker job ─connection_send─▶ output ─▶ socket
 *                         └is_short─▶ here ────────────┘
 *                     │ more than input_max: reading pauses          │ the socket takes no more:
 *                     ▼                                              ▼ the loop waits for it
 *   OPEN ──finish──▶ LINGERING (all sent, end told, what comes is thrown away) ──▶ closed
 *
 * To hand a job over wakes a thread and costs 15 us of CPU time, half and more of a small query's:
 * what is_short() is done here, for HERE_US a turn.
 *
 * Who may do what: the loop's thread owns the table, the poller and the life of each connection; a
 * connection is closed only when no job has it. A job that needs the loop (for output, an end, room
 * to read again) puts its connection on the list `called` and writes the eventfd. */
#include "server/net/inside.h"

#include "storage/base/logger.h"

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
#define REST_AFTER_US 1000000
#define FINISH_US 60000000 /* for the rest of what was sent to one that has ended to be read */
#define SLOT_BITS 24
/* Of one turn for what is done here: past it the others may be done elsewhere, so that many busy
 * connections use many cores. */
#define HERE_US 1000

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

/* Done by what has a connection; is there something for the loop to look at? With the lock held. */
static bool end_job(struct connection *connection)
{
    struct loop *loop = connection->loop;
    atomic_fetch_sub_explicit(&loop->held, connection->taken, memory_order_relaxed);
    connection->taken = 0;
    if (connection->has_logged_in) /* before, all of it is one time */
        connection->since_us = clock_monotonic_us();
    connection->is_busy = connection->has_rested = connection->is_overdue = false;
    if (connection_unsent(connection) == 0 && !connection->is_again)
        connection_empty(&connection->output);
    return connection->input.size > 0 || connection->is_finishing ||
           connection_is_gone(connection) || connection_is_draining(connection) ||
           !connection->is_reading || connection->is_again;
}

/* Of a job that no worker has yet. */
static bool is_job_over(void *context)
{
    const struct connection *connection = context;
    return connection_is_gone(connection) || connection->loop->options.is_over(connection->own);
}

static void run_job(void *context)
{
    struct connection *connection = context;
    struct loop *loop = connection->loop;
    atomic_fetch_add_explicit(&loop->busy, 1, memory_order_relaxed);
    if (connection->wire == WIRE_SHAKING)
        connection_shake(connection);
    else
        loop->options.job(connection->own);
    atomic_fetch_sub_explicit(&loop->busy, 1, memory_order_relaxed);
    mutex_lock(&connection->mutex);
    if (end_job(connection))
        connection_call_loop(connection); /* which looks what is to be done */
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
    connection_release_input(connection);
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

static enum err submit_query(struct connection *connection)
{
    const struct loop_options *options = &connection->loop->options;
    struct worker_query query = {
        .run = run_job, .is_over = is_job_over, .context = connection, .is_at_once = true};
    enum err err = worker_submit_query(options->workers, &query);
    if (err != ERR_BUSY)
        return err;
    query.due_us = options->wait(connection->own, writer_as_slice(&connection->input));
    query.is_at_once = false;
    return worker_submit_query(options->workers, &query);
}

/* With the lock held. */
static void start_job(struct connection *connection)
{
    struct loop *loop = connection->loop;
    connection->is_busy = true;
    connection->is_again = false;
    /* A login, or a cancel request, is short and must not wait for queries to end. */
    bool is_query = connection->has_logged_in && loop->options.is_query(connection->own) &&
                    !is_job_over(connection);
    enum err err = is_query
                       ? submit_query(connection)
                       : worker_submit(loop->options.workers, WORKER_DECODE, run_job, connection);
    connection->is_due = err != OK;
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

/* Enough for a job to go on: not for a little each time. */
static bool has_drained(const struct connection *connection)
{
    return connection_unsent(connection) <= connection->loop->options.output_max / 2;
}

/* What is due now; true: a job here, which has it. The connection may be gone afterwards. */
static bool look_once(struct connection *connection)
{
    struct loop *loop = connection->loop;
    bool is_here = false;
    mutex_lock(&connection->mutex);
    bool is_idle = !connection->is_busy && !connection->is_called;
    bool is_closing = connection_is_gone(connection) && is_idle;
    if (!is_closing && !connection_is_gone(connection)) {
        connection_push(connection);
        if (has_drained(connection))
            condition_broadcast(&connection->has_room);
        if (connection_unsent(connection) > 0 && !connection->is_writable_wanted) {
            connection->is_writable_wanted = true;
            loop->poller->ops->want_writable(loop->poller, token_of(connection), connection->fd);
        }
        struct slice input = writer_as_slice(&connection->input);
        if (connection->is_finishing) {
            connection_release_input(connection);
            connection_empty(&connection->input);
            if (connection_unsent(connection) == 0 && !connection->is_busy)
                linger(connection);
        } else {
            bool is_blocked = connection_unsent(connection) > loop->options.output_max;
            /* What a job has is not looked into. */
            bool has_more = !connection->is_busy &&
                            (connection->is_again ? has_drained(connection)
                                                  : !is_blocked && has_work(connection, input));
            bool is_wanted = connection_is_draining(connection) || has_more;
            is_here = !connection->is_busy && is_wanted && may_run_here(connection, input);
            if (is_here)
                connection->is_busy = true;
            else if (!connection->is_busy && is_wanted)
                start_job(connection);
            else if (!connection->is_busy && is_greedy(connection))
                connection_set_gone(connection);
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
    connection_set_gone(connection);
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
            connection_take_bytes(connection, event->data);
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
    if (connection_unsent(connection) == 0) {
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
    bool is_overdue = connection->has_logged_in && !connection->is_busy &&
                      !connection_is_gone(connection) && !connection->is_finishing &&
                      connection->due_us != 0 && now_us > connection->due_us;
    if (is_overdue) /* else it is the job's */
        connection->is_overdue = true;
    if ((connection->is_busy && connection->is_due) || is_overdue)
        start_job(connection);
    else if (is_waiting && limit_us > 0 && now_us - connection->since_us > limit_us)
        connection_set_gone(connection);
    else if (!connection->is_busy && connection->has_logged_in && !connection->has_rested &&
             now_us - connection->since_us > REST_AFTER_US)
        rest(connection);
    mutex_unlock(&connection->mutex);
    if (loop->has_cancelled)
        loop->options.cancel(connection->own);
    if (!connection->is_lingering || connection_is_gone(connection))
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
    loop_wake(loop);
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
    loop_wake(loop);
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
