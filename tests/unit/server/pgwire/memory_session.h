/* A session of the PostgreSQL protocol over an empty store, its bytes in memory: for unit tests and
 * fuzzing. */
#ifndef FRESHET_TESTS_UNIT_SERVER_PGWIRE_MEMORY_SESSION_H
#define FRESHET_TESTS_UNIT_SERVER_PGWIRE_MEMORY_SESSION_H

#include "server/pgwire/session.h"
#include "storage/io/sim.h"

#include <assert.h>

struct memory_server {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct budget memory;
    struct query_engine *engine;
    struct backends backends;
    struct access *access; /* NULL: no users */
    const char *peer;      /* NULL: of loopback */
    bool is_tls_required, has_tls, is_encrypted;
};

struct memory_client {
    struct memory_server *server;
    struct pg_session *session;
    struct writer out;
    struct writer left; /* of the input */
    size_t behind_at;   /* bytes in `out` from which on the reader is behind; 0: never */
};

static inline void memory_server_open(struct memory_server *server)
{
    struct error error;
    *server = (struct memory_server){.memory = {.limit = 64 << 20, .name = "queries"}};
    server->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(server->sim, &server->io);
    struct store_options options = {.io = server->io,
                                    .directory = "data",
                                    .log_file_size = 4 << 20,
                                    .rows_memory_limit = 16 << 20};
    enum err opened = store_open(&options, &server->store, &error);
    assert(opened == OK);
    (void)opened;
    server->engine = query_engine_create(&(struct query_engine_options){
        .store = server->store,
        .memory = &server->memory,
        .query_memory_limit = 4 << 20,
        .statement_timeout_us = 2000000,
        .max_rows = 1000,
    });
    backends_init(&server->backends);
}

static inline void memory_server_close(struct memory_server *server)
{
    query_engine_destroy(server->engine);
    backends_deinit(&server->backends);
    store_close(server->store);
    server->io->ops->destroy(server->io);
    sim_destroy(server->sim);
}

static inline struct query_engine *memory_engine(void *context)
{
    return ((struct memory_client *)context)->server->engine;
}

static inline enum err memory_send(void *context, struct slice bytes, struct error *error)
{
    struct memory_client *client = context;
    (void)error;
    if (client->out.size < (1u << 20)) /* of a fuzzer's rows the first are enough */
        writer_slice(&client->out, bytes);
    return OK;
}

static inline bool memory_is_behind(void *context)
{
    const struct memory_client *client = context;
    return client->behind_at > 0 && client->out.size >= client->behind_at;
}

static inline bool memory_wait(void *context, bool (*is_over)(void *context), void *over_context)
{
    (void)context, (void)is_over, (void)over_context;
    return true;
}

static inline bool memory_start_tls(void *context)
{
    struct memory_client *client = context;
    client->server->is_encrypted = true;
    writer_u8(&client->out, 'S');
    return true;
}

static inline bool memory_is_encrypted(void *context, struct slice *binding)
{
    const struct memory_client *client = context;
    bool is_encrypted = client->server->is_encrypted;
    *binding = is_encrypted ? SLICE("0123456789abcdef0123456789abcdef") : SLICE("");
    return is_encrypted;
}

static inline void memory_client_open(struct memory_client *client, struct memory_server *server)
{
    *client = (struct memory_client){.server = server};
    writer_init(&client->out);
    writer_init(&client->left);
    client->session = pg_session_create(&(struct pg_session_options){
        .context = client,
        .engine = memory_engine,
        .backends = &server->backends,
        .access = server->access,
        .peer = server->peer != NULL ? server->peer : "127.0.0.1:1",
        .start_tls = server->has_tls ? memory_start_tls : NULL,
        .is_encrypted = memory_is_encrypted,
        .is_tls_required = server->is_tls_required,
        .message_max = 1 << 20,
        .send = memory_send,
        .is_behind = memory_is_behind,
        .wait = memory_wait,
    });
}

static inline void memory_client_close(struct memory_client *client)
{
    pg_session_destroy(client->session);
    writer_deinit(&client->out);
    writer_deinit(&client->left);
}

static inline void memory_client_feed(struct memory_client *client, struct slice bytes)
{
    writer_slice(&client->left, bytes);
    size_t used = pg_session_feed(client->session, writer_as_slice(&client->left));
    assert(used <= client->left.size);
    if (used > 0 && used < client->left.size)
        memmove(client->left.data, client->left.data + used, client->left.size - used);
    client->left.size -= used;
}

/* A start-up packet of user u. */
#define MEMORY_STARTUP "\0\0\0\x10\0\3\0\0user\0u\0\0"

#endif
