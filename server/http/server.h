/* The HTTP server: one reactor thread that turns connections into exchanges and exchanges into
 * replies. */
#ifndef FRESHET_SERVER_HTTP_SERVER_H
#define FRESHET_SERVER_HTTP_SERVER_H

#include "server/http/exchange.h"
#include "server/http/safety.h"
#include "server/net/listener.h"

struct http_server;
struct tls;

struct http_server_options {
    const struct listener *listener; /* taken over: closed by the server */
    struct safety safety;            /* texts outlive the server */
    size_t body_max;                 /* on the wire */
    size_t bodies_max;               /* of all requests under way: past it 429 */
    uint32_t connections_max;
    struct tls *tls;          /* NULL: plain connections only */
    bool has_ring;            /* the ring goes before h2o, unless it is refused or there is `tls` */
    int64_t login_timeout_us; /* to the end of a TLS handshake */
    int64_t request_timeout_us; /* head, body and idle time together: h2o knows one timer */
    /* Called on the reactor for every request that passed the checks of head and safety; answers
     * it, or hands it to a worker that does. Must not block. */
    void (*dispatch)(struct exchange *exchange);
    /* On the reactor: of exchanges under way, is_cancelled was set. NULL: nobody wants to know. */
    void (*cancelled)(void *context);
    void *context; /* exchange->context */
};

struct http_server *http_server_start(const struct http_server_options *options);
/* Closes the listener; idle connections end, requests under way are finished. At once. */
void http_server_drain(struct http_server *server);
/* Waits until every request is answered; past cancel_after_us the watched ones are cancelled. False
 * after give_up_us. */
bool http_server_wait(struct http_server *server, int64_t cancel_after_us, int64_t give_up_us);
/* Ends the thread. After http_server_drain(); no worker may hold an exchange any more. */
void http_server_stop(struct http_server *server);

/* Families: connections, bodies, responses by status. Any thread. */
void http_server_metrics(void *server, struct writer *out);

#endif
