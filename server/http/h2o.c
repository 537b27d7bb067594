/* The file that knows h2o (crowd.c beside it knows its sockets).
 *
 *   accept ─▶ h2o parses ─▶ on_request ─▶ screen: head, Host, Origin ─▶ dispatch ─▶ (worker …)
 *                                                                                   │
 *   reply ◀─ session_send ◀─ on_wake: the finished list ◀─ eventfd ◀─ exchange_answer ┘ any thread
 *
 * Small bodies that no worker is awake for are decoded here at the end of the round (later.h).
 *
 * Everything of h2o runs on the reactor thread. Other threads touch only the finished list (a
 * lock-free stack) and the eventfd; an atomic flag lets only the first of a batch write it. Replies
 * leave inside loop callbacks: h2o 2.2.5 forgets writes made elsewhere until the next event. EINTR
 * from the loop is a normal wake-up.
 *
 * A client that hangs up. While a request is worked on, h2o neither reads nor watches the
 * connection, so the request's memory stays until we reply: workers read the body in place.
 * Exchanges that ask for it (queries) are polled for POLLRDHUP every 50 ms and get their cancel
 * flag; a half-closed connection looks the same and is treated the same. A `guard` in the request's
 * pool tells when h2o lets go of the request: the exchange is freed then.
 *
 * Bounds: connections (the listener is not read past the limit), body size on the wire (h2o answers
 * 413; `rewrite` gives it our form), bytes of bodies under way and of those still coming in (429,
 * crowd.c). One timer of h2o covers head, body and idling; a peer that does not take its reply is
 * cut by TCP_USER_TIMEOUT, set by the listener. A connection that ends with a body half read
 * lingers (net/farewell.c), else the peer would lose the answer. */
#include "server/http/reactor.h"

#include "query/query.h"
#include "server/http/crowd.h"
#include "server/http/head.h"
#include "server/http/target.h"
#include "server/net/farewell.h"
#include "server/ring/front.h"
#include "storage/base/clock.h"
#include "storage/base/defer.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <h2o.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A body of 1 MiB and its head fit without growing. h2o keeps 16 such buffers; pages that no body
 * touched cost nothing. */
#define FIRST_BUFFER_SIZE ((size_t)1088 << 10)
#define WATCH_PERIOD_MS 50
#define FAREWELL_PERIOD_MS 5
#define PIECE_SIZE ((size_t)1 << 20)
#define CROWD_PERIOD_MS 20
#define STACK_SIZE ((size_t)16 << 20) /* it decodes, too */

static _Thread_local bool is_reactor;

static struct session *session_of(struct exchange *exchange)
{
    return (struct session *)exchange; /* container-of with offset 0 */
}

/* ---- watching for clients that hang up ---- */

static void watch_remove(struct session *session)
{
    if (session->watch.next != NULL) {
        session->watch.next->previous = session->watch.previous;
        session->watch.previous->next = session->watch.next;
        session->watch.next = NULL;
    }
}

static struct session *session_of_watch(struct link *link)
{
    return (struct session *)((char *)link - offsetof(struct session, watch));
}

static int socket_fd(h2o_req_t *req)
{
    return h2o_socket_get_fd(req->conn->callbacks->get_socket(req->conn));
}

/* After is_cancelled was set. */
static void tell_cancelled(struct http_server *server)
{
    if (server->options.cancelled != NULL) {
        server->options.cancelled(server->options.context);
    }
}

static void poll_batch(struct pollfd *polls, struct session **sessions, size_t count)
{
    bool is_any = false;
    if (count == 0 || poll(polls, count, 0) <= 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if ((polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
            atomic_store_explicit(&sessions[i]->exchange.is_cancelled, true, memory_order_relaxed);
            watch_remove(sessions[i]);
            is_any = true;
        }
    }
    if (is_any) {
        tell_cancelled(sessions[0]->server);
    }
}

static void on_watch(h2o_timeout_entry_t *entry)
{
    struct http_server *server =
        (struct http_server *)((char *)entry - offsetof(struct http_server, watch_entry));
    struct pollfd polls[128];
    struct session *sessions[128];
    size_t count = 0;
    for (struct link *at = server->watched.next, *next; at != &server->watched; at = next) {
        next = at->next;
        struct session *session = session_of_watch(at);
        polls[count] = (struct pollfd){.fd = socket_fd(session->req), .events = POLLRDHUP};
        sessions[count++] = session;
        if (count == array_count(polls)) {
            poll_batch(polls, sessions, count);
            count = 0;
        }
    }
    poll_batch(polls, sessions, count);
    if (server->watched.next != &server->watched) {
        h2o_timeout_link(server->h2o.loop, &server->watch_timeout, &server->watch_entry);
    }
}

static void h2o_watch(struct exchange *exchange)
{
    struct session *session = session_of(exchange);
    struct http_server *server = session->server;
    assert(is_reactor);
    assert(session->watch.next == NULL);
    session->watch.next = &server->watched;
    session->watch.previous = server->watched.previous;
    server->watched.previous->next = &session->watch;
    server->watched.previous = &session->watch;
    if (!h2o_timeout_is_linked(&server->watch_entry)) {
        h2o_timeout_link(server->h2o.loop, &server->watch_timeout, &server->watch_entry);
    }
}

/* ---- work that is done here ---- */

static void work(struct later_item *item, bool is_here)
{
    struct session *session = (struct session *)((char *)item - offsetof(struct session, later));
    session->work(&session->exchange, is_here);
}

static bool h2o_later(struct exchange *exchange, exchange_work work_of_it)
{
    struct session *session = session_of(exchange);
    assert(is_reactor && session->is_dispatching);
    session->work = work_of_it;
    session->later = (struct later_item){.size = exchange->body.size, .work = work};
    return later_push(&session->server->later, &session->later);
}

/* ---- the request's parts ---- */

static struct slice h2o_header(const struct exchange *exchange, const char *name)
{
    const struct session *session = session_of((struct exchange *)(uintptr_t)exchange);
    ssize_t at = h2o_find_header_by_str(&session->req->headers, name, strlen(name), -1);
    if (at == -1) {
        return (struct slice){NULL, 0};
    }
    h2o_iovec_t value = session->req->headers.entries[at].value;
    return slice_of(value.base, value.len);
}

static size_t h2o_header_count(const struct exchange *exchange, const char *name)
{
    const struct session *session = session_of((struct exchange *)(uintptr_t)exchange);
    size_t count = 0, size = strlen(name);
    for (ssize_t at = -1;
         (at = h2o_find_header_by_str(&session->req->headers, name, size, at)) != -1;) {
        count++;
    }
    return count;
}

static size_t h2o_peer(const struct exchange *exchange, struct sockaddr_storage *out)
{
    h2o_conn_t *connection = session_of((struct exchange *)(uintptr_t)exchange)->req->conn;
    return connection->callbacks->get_peername(connection, (struct sockaddr *)out);
}

static bool h2o_is_encrypted(const struct exchange *exchange)
{
    h2o_conn_t *connection = session_of((struct exchange *)(uintptr_t)exchange)->req->conn;
    return connection->callbacks->get_socket(connection)->ssl != NULL;
}

/* ---- replies ---- */

static void session_free(struct session *session)
{
    arena_deinit(&session->exchange.arena);
    writer_deinit(&session->exchange.content);
    memory_free(session);
}

/* The pool of a request that h2o refused by itself is going: its answer has been sent. */
struct refused {
    struct http_server *server;
    int fd;
};

static void on_refused_gone(void *guard)
{
    const struct refused *refused = guard;
    connections_farewell(refused->server, refused->fd);
}

/* The request's pool is going. Before the reply that does not happen (see above), except when the
 * process tears down: then the worker must finish with the body first. */
static void on_gone(void *guard)
{
    struct session *session = *(struct session **)guard;
    watch_remove(session);
    crowd_reply_end(&session->server->crowd, &session->reply);
    if (session->is_answered && session->exchange.is_closing) {
        connections_farewell(session->server, socket_fd(session->req));
    }
    session->req = NULL;
    if (session->is_answered) {
        session_free(session);
        return;
    }
    atomic_store_explicit(&session->exchange.is_cancelled, true, memory_order_relaxed);
    tell_cancelled(session->server); /* else it may wait for other queries, and we for it */
    while (!atomic_load_explicit(&session->is_finished, memory_order_acquire)) {
        clock_sleep_us(100);
    }
}

static void add_headers(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    h2o_req_t *req = session->req;
    if (exchange->content_type.size > 0) {
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       exchange->content_type.data, exchange->content_type.size);
    }
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-content-type-options"), 0,
                          NULL, H2O_STRLIT("nosniff"));
    for (size_t i = 0; i < exchange->header_count; i++) {
        const struct exchange_header *header = &exchange->headers[i];
        h2o_add_header_by_str(&req->pool, &req->res.headers, header->name.data, header->name.size,
                              1, NULL, header->value.data, header->value.size);
    }
}

/* Sends the next piece. All at once, but for TLS: h2o encrypts what it is given into a copy, and on
 * this thread. */
static void send_piece(h2o_generator_t *generator, h2o_req_t *req)
{
    struct session *session =
        (struct session *)((char *)generator - offsetof(struct session, generator));
    const struct exchange *exchange = &session->exchange;
    bool is_encrypted = req->conn->callbacks->get_socket(req->conn)->ssl != NULL;
    size_t left = exchange->method == HTTP_HEAD ? 0 : exchange->content.size - session->sent_size;
    size_t size = is_encrypted && left > PIECE_SIZE ? PIECE_SIZE : left;
    h2o_iovec_t piece = h2o_iovec_init(exchange->content.data + session->sent_size, size);
    session->sent_size += size;
    h2o_send(req, &piece, size == 0 ? 0 : 1,
             size == left ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void session_send(struct session *session)
{
    struct http_server *server = session->server;
    struct exchange *exchange = &session->exchange;
    h2o_req_t *req = session->req;
    session->is_answered = true;
    watch_remove(session);
    atomic_fetch_sub_explicit(&server->tally.bodies, (int64_t)session->body_size,
                              memory_order_relaxed);
    http_tally_response(&server->tally, exchange->status);
    if (req == NULL) {
        session_free(session);
        atomic_fetch_sub_explicit(&server->tally.in_flight, 1, memory_order_release);
        return;
    }
    if (exchange->is_closing || server->is_draining) {
        req->http1_is_persistent = 0;
    }
    req->res.status = exchange->status;
    req->res.reason = http_status_title(exchange->status);
    req->res.content_length = exchange->content.size;
    add_headers(session);
    crowd_reply_begin(&server->crowd, &session->reply, socket_fd(req), exchange->content.size,
                      clock_monotonic_us());
    server->answering = session;
    h2o_start_response(req, &session->generator);
    session->generator.proceed = send_piece;
    send_piece(&session->generator, req);
    server->answering = NULL;
    /* `session` may be gone by now. */
    atomic_fetch_sub_explicit(&server->tally.in_flight, 1, memory_order_release);
}

static void kick(void *context)
{
    struct http_server *server = context;
    if (!atomic_exchange_explicit(&server->is_kicked, true, memory_order_acq_rel)) {
        uint64_t one = 1;
        ssize_t written = write(server->event_fd, &one, sizeof(one));
        assert(written == sizeof(one));
        (void)written;
    }
}

static void h2o_answer(struct exchange *exchange)
{
    struct session *session = session_of(exchange);
    struct http_server *server = session->server;
    atomic_store_explicit(&session->is_finished, true, memory_order_release);
    if (is_reactor && session->is_dispatching) {
        session->is_answered_here = true; /* on_request() sends */
        return;
    }
    struct session *head = atomic_load_explicit(&server->finished, memory_order_relaxed);
    do {
        session->next_finished = head;
    } while (!atomic_compare_exchange_weak_explicit(&server->finished, &head, session,
                                                    memory_order_release, memory_order_relaxed));
    /* `session` may be gone by now. */
    defer_call(kick, server);
}

/* Oldest first: the stack is turned around. */
static void send_finished(struct http_server *server)
{
    struct session *session =
                       atomic_exchange_explicit(&server->finished, NULL, memory_order_acquire),
                   *oldest = NULL;
    while (session != NULL) {
        struct session *next = session->next_finished;
        session->next_finished = oldest;
        oldest = session;
        session = next;
    }
    while (oldest != NULL) {
        struct session *next = oldest->next_finished;
        session_send(oldest);
        oldest = next;
    }
}

/* ---- h2o's own errors in our form ---- */

static void rewritten_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *parts,
                           size_t part_count, h2o_send_state_t state)
{
    (void)parts;
    (void)part_count;
    h2o_iovec_t *text = (h2o_iovec_t *)(self + 1);
    if (state != H2O_SEND_STATE_IN_PROGRESS) {
        h2o_ostream_send_next(self, req, text, 1, state);
    }
}

static void rewrite_setup(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    struct http_server *server = ((struct filter *)self)->server;
    if (server->answering == NULL && req->res.status >= 400) {
        struct writer text;
        writer_init(&text);
        http_refusal_json(req->res.status, server->options.body_max, &text);
        req->res.content_length = text.size;
        req->res.reason = http_status_title(req->res.status);
        req->res.headers.size = 0;
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       H2O_STRLIT("application/problem+json"));
        h2o_ostream_t *stream = h2o_add_ostream(req, sizeof(*stream) + sizeof(h2o_iovec_t), slot);
        stream->do_send = rewritten_send;
        *(h2o_iovec_t *)(stream + 1) = h2o_strdup(&req->pool, (const char *)text.data, text.size);
        slot = &stream->next;
        writer_deinit(&text);
        http_tally_response(&server->tally, req->res.status);
        struct refused *refused =
            h2o_mem_alloc_shared(&req->pool, sizeof(*refused), on_refused_gone);
        *refused = (struct refused){.server = server, .fd = socket_fd(req)};
    }
    h2o_setup_next_ostream(req, slot);
}

/* ---- requests ---- */

static const struct exchange_transport h2o_transport = {
    .header = h2o_header,
    .header_count = h2o_header_count,
    .peer = h2o_peer,
    .is_encrypted = h2o_is_encrypted,
    .watch = h2o_watch,
    .later = h2o_later,
    .answer = h2o_answer,
};

static struct session *session_create(struct http_server *server, h2o_req_t *req)
{
    struct session *session = memory_alloc_zero(sizeof(*session));
    struct slice target = target_origin_form(slice_of(req->path.base, req->path.len));
    const char *mark = memchr(target.data, '?', target.size);
    size_t path_size = mark == NULL ? target.size : (size_t)(mark - target.data);
    size_t query_begin = mark == NULL ? target.size : path_size + 1;
    session->server = server;
    session->req = req;
    session->exchange.transport = &h2o_transport;
    session->exchange.is_loopback = server->options.listener->is_loopback;
    session->exchange.context = server->options.context;
    session->exchange.method = http_method_of(slice_of(req->method.base, req->method.len));
    session->exchange.path = slice_of(target.data, path_size);
    session->exchange.query = slice_of(target.data + query_begin, target.size - query_begin);
    session->exchange.body = slice_of(req->entity.base, req->entity.len);
    session->exchange.begin_us = clock_monotonic_us();
    session->body_size = req->entity.len;
    arena_init(&session->exchange.arena);
    writer_init(&session->exchange.content);
    struct session **guard = h2o_mem_alloc_shared(&req->pool, sizeof(*guard), on_gone);
    *guard = session;
    return session;
}

/* CORS for an origin that the settings name. True: it was a preflight and is answered. */
static bool answer_cors(struct exchange *exchange, struct slice origin)
{
    exchange_add_header(exchange, "access-control-allow-origin", "%.*s", SLICE_ARGS(origin));
    exchange_add_header(exchange, "vary", "Origin");
    if (exchange->method != HTTP_OPTIONS ||
        exchange_request_header(exchange, "access-control-request-method").data == NULL) {
        return false;
    }
    exchange_add_header(exchange, "access-control-allow-methods", "GET, POST, DELETE");
    exchange_add_header(exchange, "access-control-allow-headers",
                        "authorization, content-type, content-encoding, accept, idempotency-key, "
                        "freshet-producer, freshet-sequence");
    exchange_add_header(exchange, "access-control-max-age", "600");
    exchange->status = 204;
    exchange_answer(exchange);
    return true;
}

/* Head, Host, Origin, room for the body; then the routes. */
static void screen(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    struct http_server *server = session->server;
    h2o_req_t *req = session->req;
    const h2o_buffer_t *input = req->conn->callbacks->get_socket(req->conn)->input;
    struct http_head head = http_head_check(slice_of(input->bytes, input->size));
    if (head.complaint != NULL) {
        exchange->is_closing = true;
        exchange_answer_problem(exchange, 400, "08P01", "%s", head.complaint);
        return;
    }
    if (!safety_host_is_ours(&server->options.safety, head.host)) {
        exchange_answer_problem(
            exchange, 403, "42501",
            "the Host \"%.*s\" is neither loopback nor the address of this server",
            (int)(head.host.size < 100 ? head.host.size : 100), head.host.data);
        return;
    }
    struct slice origin = exchange_request_header(exchange, "origin");
    enum origin_verdict verdict = safety_judge_origin(&server->options.safety, origin, head.host);
    if (verdict == ORIGIN_REFUSED || exchange_request_header_count(exchange, "origin") > 1) {
        exchange_answer_problem(exchange, 403, "42501",
                                "the setting cors_origins does not name the origin of this page");
        return;
    }
    if (verdict == ORIGIN_ALLOWED && answer_cors(exchange, origin)) {
        return;
    }
    if (http_tally_has_room(&server->tally, server->options.bodies_max, exchange)) {
        server->options.dispatch(exchange);
    }
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    struct http_server *server = ((struct handler *)self)->server;
    struct session *session = session_create(server, req);
    http_tally_begin(&server->tally, session->body_size);
    /* An answer given inside screen() is sent below it: nobody up there may work on a session that
     * is gone. A worker's answer goes through the list, which is read after we have returned. */
    session->is_dispatching = true;
    screen(session);
    session->is_dispatching = false;
    if (session->is_answered_here) {
        session_send(session);
    }
    return 0;
}

/* ---- the loop ---- */

static void cancel_watched(struct http_server *server)
{
    for (struct link *at = server->watched.next; at != &server->watched; at = at->next) {
        atomic_store_explicit(&session_of_watch(at)->exchange.is_cancelled, true,
                              memory_order_relaxed);
    }
    tell_cancelled(server);
}

static void obey(struct http_server *server, int command)
{
    if ((command & COMMAND_DRAIN) != 0 && !server->is_draining) {
        server->is_draining = true;
        if (server->listener != NULL) {
            h2o_socket_close(server->listener);
        }
        server->listener = NULL;
        h2o_context_request_shutdown(&server->h2o);
    }
    if ((command & COMMAND_CANCEL) != 0) {
        cancel_watched(server);
    }
    if ((command & COMMAND_STOP) != 0) {
        server->is_stopped = true;
        /* h2o 2.2.5 has no call that closes idle connections: its timer does. */
        server->h2o.http1.req_timeout.timeout = 1;
    }
}

static void on_wake(h2o_socket_t *wake, const char *error)
{
    struct http_server *server = wake->data;
    uint64_t count;
    (void)error;
    ssize_t got = read(server->event_fd, &count, sizeof(count));
    (void)got; /* EAGAIN after a spurious wake-up */
    atomic_store_explicit(&server->is_kicked, false, memory_order_seq_cst);
    connections_take_handed(server);
    send_finished(server);
    obey(server, atomic_exchange_explicit(&server->command, 0, memory_order_acquire));
}

static void configure(struct http_server *server)
{
    const struct http_server_options *options = &server->options;
    h2o_socket_buffer_prototype._initial_buf.capacity = FIRST_BUFFER_SIZE;
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; /* never a body in /tmp */
    h2o_config_init(&server->config);
    server->config.server_name = h2o_iovec_init(NULL, 0);
    server->config.http1.req_timeout = (uint64_t)options->request_timeout_us / 1000;
    server->config.http1.upgrade_to_http2 = 0;
    server->config.handshake_timeout = (uint64_t)options->login_timeout_us / 1000;
    server->config.max_request_entity_size = options->body_max;
    h2o_hostconf_t *host =
        h2o_config_register_host(&server->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *paths[] = {h2o_config_register_path(host, "/", 0), &host->fallback_path};
    for (size_t i = 0; i < array_count(paths); i++) {
        struct handler *handler = (struct handler *)h2o_create_handler(paths[i], sizeof(*handler));
        handler->super.on_req = on_request;
        handler->server = server;
        struct filter *filter = (struct filter *)h2o_create_filter(paths[i], sizeof(*filter));
        filter->super.on_setup_ostream = rewrite_setup;
        filter->server = server;
    }
    h2o_context_init(&server->h2o, h2o_evloop_create(), &server->config);
    server->accept = (h2o_accept_ctx_t){.ctx = &server->h2o, .hosts = server->config.hosts};
    server->accept_tls = server->accept;
    h2o_timeout_init(server->h2o.loop, &server->greeting_timeout,
                     (uint64_t)options->login_timeout_us / 1000);
    h2o_timeout_init(server->h2o.loop, &server->watch_timeout, WATCH_PERIOD_MS);
    server->watch_entry.cb = on_watch;
    h2o_timeout_init(server->h2o.loop, &server->farewell_timeout, FAREWELL_PERIOD_MS);
    server->farewell_entry.cb = connections_on_farewell;
    h2o_timeout_init(server->h2o.loop, &server->crowd_timeout, CROWD_PERIOD_MS);
    server->crowd_entry.cb = connections_on_crowd;
    crowd_init(&server->crowd, options->bodies_max);
    later_init(&server->later);
    server->wake =
        h2o_evloop_socket_create(server->h2o.loop, server->event_fd, H2O_SOCKET_FLAG_DONT_READ);
    server->wake->data = server;
    h2o_socket_read_start(server->wake, on_wake);
    if (server->front == NULL) {
        server->listener = h2o_evloop_socket_create(server->h2o.loop, options->listener->fd,
                                                    H2O_SOCKET_FLAG_DONT_READ);
        server->listener->data = server;
        connections_set_accepting(server, true);
    }
}

static void reactor_run(void *context)
{
    struct http_server *server = context;
    is_reactor = true;
    configure(server);
    int64_t give_up_us = INT64_MAX;
    for (;;) {
        if (server->is_stopped) {
            give_up_us = give_up_us == INT64_MAX ? clock_monotonic_us() + 1000000 : give_up_us;
            if (server->connections == 0 || clock_monotonic_us() > give_up_us) {
                break;
            }
        }
        if (h2o_evloop_run(server->h2o.loop, server->is_stopped ? 10 : INT32_MAX) != 0 &&
            errno != EINTR) {
            logger_write(LOG_ERROR, "the reactor's loop failed errno=%d", errno);
            abort();
        }
        defer_begin(); /* the log is woken once for all of them */
        later_run(&server->later);
        defer_end();
    }
    atomic_store_explicit(&server->has_ended, true, memory_order_release);
    for (;;) {
        pause();
    }
}

/* A connection that is not for the ring. On the ring's thread. */
static void hand_over(void *context, int fd, struct slice bytes)
{
    struct http_server *server = context;
    struct handed *handed = memory_alloc(sizeof(*handed) + bytes.size);
    handed->fd = fd;
    handed->size = bytes.size;
    memcpy(handed->bytes, bytes.data, bytes.size);
    handed->next = atomic_load_explicit(&server->handed, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&server->handed, &handed->next, handed,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    kick(server);
}

struct http_server *http_server_start(const struct http_server_options *options)
{
    assert(options->dispatch != NULL);
    struct http_server *server = memory_alloc_zero(sizeof(*server));
    server->options = *options;
    server->watched.next = server->watched.previous = &server->watched;
    server->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(server->event_fd >= 0);
    if (options->has_ring && options->tls == NULL) {
        server->front = front_start(&(struct front_options){
            .server = &server->options,
            .tally = &server->tally,
            .hand_over = hand_over,
            .context = server,
        });
    }
    server->thread = thread_start(&(struct thread_options){
        .name = "reactor", .stack_size = STACK_SIZE, .run = reactor_run, .context = server});
    return server;
}

static void give_command(struct http_server *server, int command)
{
    atomic_fetch_or_explicit(&server->command, command, memory_order_release);
    kick(server);
}

void http_server_drain(struct http_server *server)
{
    if (server->front != NULL) {
        front_drain(server->front);
    }
    give_command(server, COMMAND_DRAIN);
}

bool http_server_wait(struct http_server *server, int64_t cancel_after_us, int64_t give_up_us)
{
    int64_t begin_us = clock_monotonic_us();
    while (atomic_load_explicit(&server->tally.in_flight, memory_order_acquire) > 0) {
        int64_t waited_us = clock_monotonic_us() - begin_us;
        if (waited_us > give_up_us) {
            return false;
        }
        if (waited_us > cancel_after_us) {
            give_command(server, COMMAND_CANCEL);
        }
        clock_sleep_us(2000);
    }
    return true;
}

void http_server_stop(struct http_server *server)
{
    if (server->front != NULL) {
        front_stop(server->front);
    }
    give_command(server, COMMAND_STOP);
    while (!atomic_load_explicit(&server->has_ended, memory_order_acquire)) {
        clock_sleep_us(500);
    }
    /* h2o 2.2.5 cannot give its configuration, loop and thread-local caches back: they, and the
     * thread that holds them, live as long as the process. */
}

void http_server_metrics(void *context, struct writer *out)
{
    struct http_server *server = context;
    http_tally_metrics(&server->tally, out);
}
