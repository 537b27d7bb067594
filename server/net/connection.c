/* A connection of the loop: the two places that all its bytes pass, and what its jobs call.
 *
 * A job sends by itself, at once: for small answers the loop is not woken at all. What the socket
 * does not take stays in `output` and the loop sends it when the socket is writable again. Both do
 * so under its lock, in connection_push(); that and connection_take_bytes() are the two places that
 * all bytes pass.
 *
 * TLS: PLAIN ──connection_start_tls──▶ SHAKING ──shake──▶ ENCRYPTED. While a connection shakes
 * hands its input is what the peer sent, and its jobs are ours: they compute for as long as a
 * query. From then on connection_take_bytes() decrypts, under the lock, and jobs find plain bytes
 * in `input`; connection_send() encrypts, under the lock too. */
#include "server/net/inside.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_STEP_US 50000
#define KEPT_BUFFER_SIZE                                                                           \
    ((size_t)16 << 10) /* of an idle connection: a larger one is given back                        \
                        */

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof(one));
}

/* With the connection's lock held. */
void connection_call_loop(struct connection *connection)
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
        loop_wake(loop);
}

/* --- the two places that all bytes pass --- */

/* Emptied; what is idle is small. */
void connection_empty(struct writer *writer)
{
    writer_reset(writer);
    if (writer->capacity > KEPT_BUFFER_SIZE) {
        writer_deinit(writer);
        writer_init(writer);
    }
}

/* Who is in the middle of an answer fills it again at once. */
static void drop_output(struct connection *connection)
{
    if (connection->is_busy || connection->is_again)
        writer_reset(&connection->output);
    else
        connection_empty(&connection->output);
    connection->output_sent = 0;
}

void connection_set_gone(struct connection *connection)
{
    atomic_store_explicit(&connection->is_gone, true, memory_order_relaxed);
    drop_output(connection);
    condition_broadcast(&connection->has_room);
    if (connection->is_busy)
        worker_end_waiting(connection->loop->options.workers);
}

/* Sends what the socket takes now. With the lock held. */
void connection_push(struct connection *connection)
{
    while (connection_unsent(connection) > 0) {
        ssize_t sent = send(connection->fd, connection->output.data + connection->output_sent,
                            connection_unsent(connection), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            connection_set_gone(connection);
        if (sent < 0)
            return;
        connection->output_sent += (size_t)sent;
    }
    drop_output(connection);
}

/* With the lock held, and not gone. */
static void take_encrypted(struct connection *connection, struct slice bytes)
{
    size_t before = connection->input.size, to_send = connection->output.size;
    bool is_open = tls_stream_read(connection->tls, bytes, &connection->input, &connection->output);
    atomic_fetch_add_explicit(&connection->loop->held, connection->input.size - before,
                              memory_order_relaxed);
    /* What is to be said to bytes alone (that they ask for another handshake) is not for who sends
     * such and reads nothing. */
    bool is_abused = connection->output.size > to_send &&
                     connection_unsent(connection) > connection->loop->options.output_max;
    if (!is_open || is_abused)
        connection_set_gone(connection);
}

void connection_take_bytes(struct connection *connection, struct slice bytes)
{
    mutex_lock(&connection->mutex);
    if (connection_is_gone(connection)) {
        /* Nobody will look at them, and nothing ends the reading. */
    } else if (connection->wire == WIRE_ENCRYPTED) {
        take_encrypted(connection, bytes);
    } else {
        writer_slice(&connection->input, bytes);
        atomic_fetch_add_explicit(&connection->loop->held, bytes.size, memory_order_relaxed);
    }
    mutex_unlock(&connection->mutex);
}

void connection_release_input(struct connection *connection)
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
        connection_empty(&connection->input);
    }
    if (!connection->is_reading)
        connection_call_loop(connection);
    mutex_unlock(&connection->mutex);
}

enum err connection_send(struct connection *connection, struct slice bytes, struct error *error)
{
    mutex_lock(&connection->mutex);
    if (connection_is_gone(connection)) {
        /* There is nobody to send it to. */
    } else if (connection->wire != WIRE_ENCRYPTED) {
        writer_slice(&connection->output, bytes);
    } else if (!tls_stream_write(connection->tls, bytes, &connection->output)) {
        connection_set_gone(connection);
    }
    connection_push(connection);
    if (connection_unsent(connection) > 0)
        connection_call_loop(connection);
    mutex_unlock(&connection->mutex);
    return connection_is_gone(connection)
               ? error_set(error, ERR_CANCELLED, "08006", "the client has gone")
               : OK;
}

bool connection_is_behind(struct connection *connection)
{
    mutex_lock(&connection->mutex);
    bool is_behind = connection_unsent(connection) > connection->loop->options.output_max;
    mutex_unlock(&connection->mutex);
    return is_behind;
}

/* Until half of it has gone: to be woken for each little piece costs more than to send it. */
static bool wait_for_half(struct connection *connection, bool (*is_over)(void *context),
                          void *context)
{
    bool goes_on = true;
    mutex_lock(&connection->mutex);
    while (goes_on && connection_unsent(connection) > connection->loop->options.output_max / 2) {
        condition_wait_for(&connection->has_room, &connection->mutex, WAIT_STEP_US);
        goes_on = is_over != NULL && !is_over(context);
    }
    mutex_unlock(&connection->mutex);
    return goes_on || is_over == NULL;
}

bool connection_wait(struct connection *connection, bool (*is_over)(void *context), void *context)
{
    if (!connection_is_behind(connection))
        return true;
    worker_block_begin();
    bool is_done = wait_for_half(connection, is_over, context);
    worker_block_end();
    return is_done;
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
    if (connection->wire == WIRE_ENCRYPTED && !connection_is_gone(connection))
        tls_stream_end(connection->tls, &connection->output);
    connection->is_finishing = true;
    connection_call_loop(connection);
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

void connection_end_waiting(struct connection *connection)
{
    worker_end_waiting(connection->loop->options.workers);
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
    if (is_clean && !connection_is_gone(connection)) {
        connection->tls = tls_stream_create(connection->loop->options.tls);
        connection->wire = WIRE_SHAKING;
        writer_slice(&connection->output, answer);
        connection_push(connection);
        if (connection_unsent(connection) > 0)
            connection_call_loop(connection);
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
    if (!connection_is_gone(connection))
        take_encrypted(connection, writer_as_slice(&raw));
    atomic_fetch_sub_explicit(&connection->loop->held, raw.size, memory_order_relaxed);
    writer_deinit(&raw);
}

void connection_shake(struct connection *connection)
{
    struct writer input, output;
    writer_init(&input);
    writer_init(&output);
    connection_take(connection, &input);
    struct slice rest = writer_as_slice(&input);
    enum tls_step step = tls_stream_shake(connection->tls, &rest, &output);
    mutex_lock(&connection->mutex);
    if (!connection_is_gone(connection)) {
        writer_slice(&connection->output, writer_as_slice(&output));
        if (step == TLS_OPEN)
            begin_encrypted(connection, rest);
        connection->is_finishing = step == TLS_FAILED || connection_is_draining(connection);
        connection_push(connection);
        connection_call_loop(connection);
    }
    mutex_unlock(&connection->mutex);
    writer_deinit(&input);
    writer_deinit(&output);
}
