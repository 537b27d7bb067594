/* The PostgreSQL port: connections of server/net/loop.h, a session each. */
#ifndef FRESHET_SERVER_PGWIRE_PORT_H
#define FRESHET_SERVER_PGWIRE_PORT_H

#include "server/net/listener.h"
#include "storage/base/bytes.h"
#include "storage/base/worker.h"

struct access;
struct query_engine;
struct tls;
struct pg_port;

struct pg_port_options {
    const struct listener *listener; /* taken over */
    struct worker_pool *workers;
    bool is_plain; /* not io_uring */
    uint32_t connections_max;
    size_t message_max, messages_max;          /* of one; of all that are half there */
    int64_t login_timeout_us, idle_timeout_us; /* 0: none */
    void *context;
    struct query_engine *(*engine)(void *context); /* NULL: not ready yet */
    struct access *access;                         /* as in pg_session_options */
    struct tls *tls;                               /* NULL: none */
    bool is_tls_required;                          /* as in pg_session_options */
    struct ingest *(*ingest)(void *context);       /* once there is an engine */
};

struct pg_port *pg_port_start(const struct pg_port_options *options);
/* No new connections; idle ones end with 57P01, others when their statement has. At once. */
void pg_port_drain(struct pg_port *port);
/* As http_server_wait(). */
bool pg_port_wait(struct pg_port *port, int64_t cancel_after_us, int64_t give_up_us);
/* After pg_port_drain(). NULL is nothing. */
void pg_port_stop(struct pg_port *port);
/* Families of /metrics. Any thread. */
void pg_port_metrics(void *port, struct writer *out);

#endif
