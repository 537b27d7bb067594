/* The table of routes: which path and method leads to which function, and where that runs. */
#ifndef FRESHET_SERVER_HTTP_ROUTE_H
#define FRESHET_SERVER_HTTP_ROUTE_H

#include "server/http/exchange.h"

enum route_place {
    ROUTE_INLINE, /* on the reactor: constant time, never blocks */
    ROUTE_DECODE, /* a worker, before queries */
    ROUTE_QUERY   /* a worker; watched for clients that hang up */
};

/* What of the store must be there, else 503: nothing, what is read, all of it. */
enum route_need { NEEDS_NOTHING, NEEDS_READING, NEEDS_ALL };

struct route {
    const char *path; /* a final '*' takes one part, decoded into exchange->argument */
    unsigned methods; /* enum http_method */
    enum route_place place;
    enum route_need need;
    bool is_open;                              /* for everybody, although there are users */
    void (*handle)(struct exchange *exchange); /* NULL: not there yet, 501 */
    const char *doc;                           /* one line; for 501 the name of the feature */
};
extern const struct route routes[];
extern const size_t route_count;

enum route_match { ROUTE_FOUND, ROUTE_UNKNOWN, ROUTE_WRONG_METHOD };
/* *allowed: the methods of the path. *argument: the part under '*', still encoded. */
enum route_match route_find(struct slice path, enum http_method method, const struct route **out,
                            unsigned *allowed, struct slice *argument);
/* "GET, HEAD, POST" */
void route_print_methods(unsigned methods, struct writer *out);
/* For http_server_options.dispatch: exchange->context is the struct app. */
void route_dispatch(struct exchange *exchange);
/* For http_server_options.cancelled: who waits for queries under way ends at once. */
void route_cancelled(void *app);

#endif
