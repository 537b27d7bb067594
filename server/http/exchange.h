/* One request and its answer: what the transport gives to api/ and what api/ gives back.
 *
 * The request's parts are borrowed from the connection until exchange_answer(). The answer's parts
 * belong to the exchange. An exchange is answered exactly once, from any thread. */
#ifndef FRESHET_SERVER_HTTP_EXCHANGE_H
#define FRESHET_SERVER_HTTP_EXCHANGE_H

#include "query/asker.h"
#include "storage/base/arena.h"
#include "storage/base/bytes.h"

#include <stdatomic.h>

#define EXCHANGE_HEADERS_MAX 10

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_DELETE = 8,
    HTTP_OPTIONS = 16,
    HTTP_OTHER = 32
};

struct exchange_header {
    struct slice name, value;
};

struct exchange;
struct sockaddr_storage;
/* is_here: do it on this thread, without waiting for anything; else give it to another. */
typedef void (*exchange_work)(struct exchange *exchange, bool is_here);

/* Who carries an exchange: h2o, or the ring. */
struct exchange_transport {
    /* data NULL if it is not there. */
    struct slice (*header)(const struct exchange *exchange, const char *name);
    size_t (*header_count)(const struct exchange *exchange, const char *name);
    /* Size of the peer's address; 0: nobody knows. */
    size_t (*peer)(const struct exchange *exchange, struct sockaddr_storage *out);
    bool (*is_encrypted)(const struct exchange *exchange);
    void (*watch)(struct exchange *exchange); /* NULL: it cannot */
    /* NULL: it cannot. See exchange_later. */
    bool (*later)(struct exchange *exchange, exchange_work work);
    void (*answer)(struct exchange *exchange);
};

struct exchange {
    const struct exchange_transport *transport;
    /* request */
    void *context;    /* of the server: what it was started with */
    bool is_loopback; /* the port is */
    enum http_method method;
    struct slice path;  /* as sent, without the query */
    struct slice query; /* behind '?', as sent */
    struct slice body;
    struct slice argument;         /* the last part of the path where the route has one, decoded */
    int64_t begin_us;              /* monotonic: the body was complete */
    const struct asker *asker;     /* by http/guard.c, in the arena; NULL: there are no users */
    _Atomic bool is_cancelled;     /* the client went away or the server stops; relaxed: a hint */
    struct query_waiting *waiting; /* by api_…_wait(), until the handler is called; else NULL */

    /* answer */
    int status;
    struct slice content_type;
    struct writer content;
    size_t header_count;
    struct exchange_header headers[EXCHANGE_HEADERS_MAX];
    bool is_closing;    /* the connection ends with this answer */
    struct arena arena; /* of whoever works on it: the reactor, then one worker */
};

/* Value of a request header; `name` in lower case. data NULL if it is not there. */
struct slice exchange_request_header(const struct exchange *exchange, const char *name);
/* How often it occurs. */
size_t exchange_request_header_count(const struct exchange *exchange, const char *name);
/* The client's address as text, in the exchange's arena. */
struct slice exchange_client(struct exchange *exchange);
/* Nobody on the way can read along: it came by TLS, or from loopback. */
bool exchange_is_private(struct exchange *exchange);
/* Watches the connection from now on: is_cancelled is set when the client hangs up. Reactor only.
 */
void exchange_watch(struct exchange *exchange);
/* While it is dispatched: has `work` called soon, by the transport's thread, for a body that is
 * small. False: that thread cannot, or has no time. */
bool exchange_later(struct exchange *exchange, exchange_work work);

/* Adds a header to the answer; `name` a literal in lower case. */
void exchange_add_header(struct exchange *exchange, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Sends. The caller must not touch the exchange afterwards. */
void exchange_answer(struct exchange *exchange);
/* Sets status, type and a copy of the text, then answers. */
void exchange_answer_text(struct exchange *exchange, int status, const char *content_type,
                          struct slice text);
/* problem+json of an error, then answers. 429, 503 and 507 get a Retry-After unless there is one.
 */
void exchange_answer_error(struct exchange *exchange, int status, const struct error *error,
                           const char *query_id);
/* The same with an error made here. sqlstate may be NULL. */
void exchange_answer_problem(struct exchange *exchange, int status, const char *sqlstate,
                             const char *format, ...) PRINTF_LIKE(4, 5);

/* The problem for a request that the transport refused by itself. */
void http_refusal_json(int status, size_t body_max, struct writer *out);
/* HTTP_OTHER for what we do not know. */
enum http_method http_method_of(struct slice name);

#endif
