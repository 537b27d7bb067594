/* A blocking HTTP/1.1 client for the command line and the load generator: one connection, kept
 * alive, opened again when the server closed it while idle. One thread per client. A token in the
 * environment variable FRESHET_TOKEN goes with every request. */
#ifndef FRESHET_SERVER_CLIENT_HTTP_CLIENT_H
#define FRESHET_SERVER_CLIENT_HTTP_CLIENT_H

#include "server/client/http_reply.h"

struct http_client;

/* `address` is host:port (an IPv4 address, [IPv6] or a name), behind https:// for TLS (secure.h);
 * http:// is taken too. Connects at the first call. The timeout is of each wait for the peer, 0:
 * none. */
struct http_client *http_client_create(const char *address, int64_t timeout_us);
void http_client_destroy(struct http_client *client);

struct http_call {
    const char *method;  /* "POST" */
    struct slice target; /* "/v1/ingest/t?format=csv", encoded already: http_encode() */
    struct slice
        headers; /* further header lines, each with its CRLF; Host and Content-Length are ours */
    struct slice body;
    bool is_repeatable; /* sending it twice does no harm: it is sent again if a kept connection
                           breaks before the reply */
};
/* Sends and waits for the whole reply, whatever its status. *reply is the client's, until the next
 * call. ERR_IO (refused, broken), ERR_TIMEOUT; the connection is closed then. */
MUST_CHECK enum err http_client_call(struct http_client *client, const struct http_call *call,
                                     const struct http_reply **reply, struct error *error);
/* Percent-encodes all but unreserved characters. */
void http_encode(struct slice text, struct writer *out);
/* A connected TCP socket with TCP_NODELAY, blocking; close() it. */
MUST_CHECK enum err http_connect(const char *address, int *fd, struct error *error);

#endif
