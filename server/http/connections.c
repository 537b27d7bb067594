/* Connections: taken from the listener up to a limit, counted, relieved of bodies that never end
 * when they are too many (crowd.c), and read on for a while after an early answer (net/farewell.c).
 * All of it runs on the reactor thread. */
#include "server/http/reactor.h"

#include "storage/base/clock.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define CROWD_PER_TICK 2048 /* with more connections every second, third … tick looks */
#define ACCEPTS_PER_TURN 64

void connections_count_response(struct http_server *server, int status)
{
    assert(status > 0 && status < STATUS_COUNT);
    atomic_fetch_add_explicit(&server->responses[status], 1, memory_order_relaxed);
    metric_add(&metrics.http_requests, 1);
}

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
    size_t ended = !is_due ? 0
                           : crowd_relieve(&server->crowd, server->options.bodies_max,
                                           &server->farewell, clock_monotonic_us());
    metric_add(&metrics.ingest_backpressure, (int64_t)ended);
    for (size_t i = 0; i < ended; i++) {
        connections_count_response(server, 429);
    }
    if (ended > 0) {
        metric_mark(&metrics.backpressure_at);
        farewell_keep(server);
    }
    if (is_crowded(server)) {
        h2o_timeout_link(server->h2o.loop, &server->crowd_timeout, &server->crowd_entry);
    }
}

static void on_connection_closed(void *context)
{
    struct crowd_member *member = context;
    struct http_server *server = member->context;
    crowd_leave(member);
    assert(server->connections > 0);
    server->connections--;
    metric_set(&metrics.http_connections, server->connections);
    if (server->connections < server->options.connections_max) {
        connections_set_accepting(server, true);
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
        server->connections++;
        connection->on_close.cb = on_connection_closed;
        connection->on_close.data = crowd_join(&server->crowd, connection, server);
        h2o_accept(&server->accept, connection);
    }
    if (is_crowded(server) && !h2o_timeout_is_linked(&server->crowd_entry)) {
        h2o_timeout_link(server->h2o.loop, &server->crowd_timeout, &server->crowd_entry);
    }
    metric_set(&metrics.http_connections, server->connections);
}
