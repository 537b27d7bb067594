/* What the parts of the running server share: made by serve.c, read by api/ and upkeep. */
#ifndef FRESHET_SERVER_APP_H
#define FRESHET_SERVER_APP_H

#include "ingest/ingest.h"
#include "query/query.h"
#include "server/access/access.h"
#include "server/config.h"
#include "server/http/entrance.h"
#include "server/http/server.h"
#include "storage/base/logger.h"
#include "storage/base/worker.h"
#include "storage/io/temp.h"

#define FRESHET_VERSION "0.1.0"

/* RECOVERING: the log is replayed, queries run once the store is readable, nothing else does. */
enum app_state { APP_STARTING, APP_RECOVERING, APP_READY, APP_STOPPING };

struct app {
    const struct config *config;
    struct io *io;
    struct store *store; /* valid from APP_RECOVERING on, like the next three */
    struct ingest *ingest;
    struct query_engine *engine;
    struct temp_space *temp; /* NULL: queries cannot spill */
    struct worker_pool *workers;
    struct entrance entrance; /* of log-ins over HTTP */
    struct access *access;
    struct http_server *http;
    struct budget query_memory;
    int64_t begin_us; /* monotonic, at start */
    _Atomic int
        state; /* enum app_state; release by serve.c after the fields above, acquire by requests */
    _Atomic bool is_replayed; /* release by serve.c: whole snapshots from then on */
    struct logger_limit refusals, creations; /* lines about requests to ingest */
    _Atomic bool is_disk_low; /* by upkeep; relaxed */
    _Atomic int64_t disk_free_bytes, disk_total_bytes; /* by upkeep; relaxed */
};

static inline enum app_state app_state(struct app *app)
{
    return (enum app_state)atomic_load_explicit(&app->state, memory_order_acquire);
}

/* Still starting for whoever only reads. */
static inline bool app_is_unreadable(struct app *app)
{
    enum app_state state = app_state(app);
    return state == APP_STARTING || (state == APP_RECOVERING && !store_is_readable(app->store));
}

#endif
