/* Connections: taken from the listener up to a limit, counted, relieved of bodies that never end
 * when they are too many (crowd.c), and read on for a while after an early answer (net/farewell.c).
 * All of it runs on the reactor thread.
 *
 * Where there is a certificate the port takes both TLS and plain HTTP: the first byte tells, as a
 * handshake begins with 22 and no method does. Until it is there, and until the end of the
 * handshake, the time is login_timeout. */
#include "server/http/reactor.h"

#include "server/net/tls.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define CROWD_PER_TICK 2048 /* with more connections every second, third … tick looks */
#define ACCEPTS_PER_TURN 64
#define TLS_HANDSHAKE 22 /* a record's first byte */

static void farewell_keep(struct http_server *server)
{
    if (!h2o_timeout_is_linked(&server->farewell_entry)) {
        h2o_timeout_link(server->h2o.loop, &server->farewell_timeout, &server->farewell_entry);
    }
}

/* Answers that come before the end of the body: the connection is read on for a while. */
void connections_farewell(struct http_server *server, int fd)
{
    if (!server->is_draining && farewell_add(&server->farewell, fd, clock_monotonic_us())) {
        farewell_keep(server);
    }
}

void connections_on_farewell(h2o_timeout_entry_t *entry)
{
    struct http_server *server =
        (struct http_server *)((char *)entry - offsetof(struct http_server, farewell_entry));
    if (farewell_run(&server->farewell, clock_monotonic_us())) {
        h2o_timeout_link(server->h2o.loop, &server->farewell_timeout, &server->farewell_entry);
    }
}

/* ---- connections ---- */

static void on_accept(h2o_socket_t *listener, const char *error);

void connections_set_accepting(struct http_server *server, bool is_accepting)
{
    if (server->listener == NULL || server->is_accepting == is_accepting) {
        return;
    }
    server->is_accepting = is_accepting;
    if (is_accepting) {
        h2o_socket_read_start(server->listener, on_accept);
    } else {
        h2o_socket_read_stop(server->listener);
    }
}

/* Can the bodies of this many connections be too many? */
static bool is_crowded(const struct http_server *server)
{
    return server->connections > server->options.bodies_max / server->options.body_max;
}

void connections_on_crowd(h2o_timeout_entry_t *entry)
{
    struct http_server *server =
        (struct http_server *)((char *)entry - offsetof(struct http_server, crowd_entry));
    bool is_due = server->crowd_tick++ % (server->connections / CROWD_PER_TICK + 1) == 0;
    size_t others = atomic_load_explicit(&server->tally.incoming_ring, memory_order_relaxed), held;
    size_t ended = 0;
    if (is_due) {
        ended = crowd_relieve(&server->crowd, server->options.bodies_max, others, &server->farewell,
                              clock_monotonic_us(), &held);
        atomic_store_explicit(&server->tally.incoming_h2o, held, memory_order_relaxed);
    }
    metric_add(&metrics.ingest_backpressure, (int64_t)ended);
    for (size_t i = 0; i < ended; i++) {
        http_tally_response(&server->tally, 429);
    }
    if (ended > 0) {
        metric_mark(&metrics.backpressure_at);
        farewell_keep(server);
    }
    if (is_crowded(server)) {
        h2o_timeout_link(server->h2o.loop, &server->crowd_timeout, &server->crowd_entry);
    } else {
        atomic_store_explicit(&server->tally.incoming_h2o, 0, memory_order_relaxed);
    }
}

static void on_connection_closed(void *context)
{
    struct crowd_member *member = context;
    struct http_server *server = member->context;
    crowd_leave(member);
    assert(server->connections > 0);
    server->connections--;
    if (http_tally_connection(&server->tally, false) < server->options.connections_max) {
        connections_set_accepting(server, true);
    }
}

/* ---- TLS or not ---- */

struct greeting {
    h2o_timeout_entry_t timeout;
    struct http_server *server;
    h2o_socket_t *socket;
};

static void end_greeting(struct greeting *greeting)
{
    h2o_timeout_unlink(&greeting->timeout);
    h2o_socket_read_stop(greeting->socket);
    memory_free(greeting);
}

static void on_greeting_timeout(h2o_timeout_entry_t *entry)
{
    struct greeting *greeting = (struct greeting *)entry; /* container-of with offset 0 */
    h2o_socket_t *socket = greeting->socket;
    end_greeting(greeting);
    h2o_socket_close(socket);
}

static void on_greeting(h2o_socket_t *socket, const char *error)
{
    struct greeting *greeting = socket->data;
    struct http_server *server = greeting->server;
    bool is_over = error != NULL;
    if (!is_over && socket->input->size == 0) {
        return;
    }
    end_greeting(greeting);
    if (is_over) {
        h2o_socket_close(socket);
        return;
    }
    if (socket->input->bytes[0] != TLS_HANDSHAKE) {
        h2o_accept(&server->accept, socket);
        return;
    }
    server->accept_tls.ssl_ctx = tls_context(server->options.tls);
    h2o_accept(&server->accept_tls, socket); /* the connection has a reference of its own by now */
    tls_context_unref(server->accept_tls.ssl_ctx);
    server->accept_tls.ssl_ctx = NULL;
}

static void greet(struct http_server *server, h2o_socket_t *socket)
{
    struct greeting *greeting = memory_alloc_zero(sizeof(*greeting));
    greeting->server = server;
    greeting->socket = socket;
    greeting->timeout.cb = on_greeting_timeout;
    socket->data = greeting;
    h2o_timeout_link(server->h2o.loop, &server->greeting_timeout, &greeting->timeout);
    h2o_socket_read_start(socket, on_greeting);
}

/* One more connection, counted already, that may have sent something. */
static void take(struct http_server *server, h2o_socket_t *connection)
{
    server->connections++;
    connection->on_close.cb = on_connection_closed;
    connection->on_close.data = crowd_join(&server->crowd, connection, server);
    if (server->options.tls != NULL) {
        greet(server, connection);
    } else {
        h2o_accept(&server->accept, connection);
    }
    if (is_crowded(server) && !h2o_timeout_is_linked(&server->crowd_entry)) {
        h2o_timeout_link(server->h2o.loop, &server->crowd_timeout, &server->crowd_entry);
    }
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    struct http_server *server = listener->data;
    for (int i = 0; error == NULL && i < ACCEPTS_PER_TURN; i++) {
        if (server->connections >= server->options.connections_max) {
            connections_set_accepting(server, false);
            break;
        }
        h2o_socket_t *connection = h2o_evloop_socket_accept(listener);
        if (connection == NULL) {
            break;
        }
        http_tally_connection(&server->tally, true);
        take(server, connection);
    }
}

/* h2o reads what is in a connection's input before it reads from the connection. */
static void take_one(struct http_server *server, const struct handed *handed)
{
    h2o_socket_t *connection = h2o_evloop_socket_create(server->h2o.loop, handed->fd,
                                                        H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    if (handed->size > 0) {
        h2o_iovec_t room = h2o_buffer_reserve(&connection->input, handed->size);
        assert(room.len >= handed->size);
        memcpy(room.base, handed->bytes, handed->size);
        connection->input->size += handed->size;
    }
    take(server, connection);
}

/* Their order does not matter: each is a client of its own. */
void connections_take_handed(struct http_server *server)
{
    struct handed *handed = atomic_exchange_explicit(&server->handed, NULL, memory_order_acquire);
    while (handed != NULL) {
        struct handed *next = handed->next;
        take_one(server, handed);
        memory_free(handed);
        handed = next;
    }
}
