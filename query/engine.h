/* The inside of the query engine, shared by query.c, registry.c and system.c. */
#ifndef FRESHET_QUERY_ENGINE_H
#define FRESHET_QUERY_ENGINE_H

#include "query/cache.h"
#include "query/exec/exec.h"
#include "query/query.h"
#include "query/rollups.h"
#include "storage/base/logger.h"
#include "storage/base/thread.h"
#include "storage/base/worker.h"

#define PROVIDERS_MAX 256

enum query_outcome {
    OUTCOME_OK,
    OUTCOME_ERROR,
    OUTCOME_CANCELLED,
    OUTCOME_TIMEOUT,
    OUTCOME_LIMIT,
    OUTCOME_COUNT
};

/* A query under way. */
struct query_entry {
    struct query_entry *next, *previous;
    char query_id[40];
    struct slice user, client, text; /* the request's: hold while it is registered */
    uint32_t user_id;                /* of its role, 0: none */
    int64_t started_at_us;           /* wall */
    int64_t started_us;              /* monotonic */
    int32_t backend_pid;             /* of its session, 0: none */
    const char *application_name;    /* of its session, or "" */
    int64_t cpu_clock, cpu_begin_us; /* of the thread that runs it; 0: none does now */
    int64_t cpu_used_us;             /* in earlier stays on threads */
    int64_t queued_us;               /* before a worker began with it */
    int64_t queued_since_us;         /* monotonic: none has yet; 0: one has */
    struct worker_waits waits;       /* since then, for its turn */
    struct budget budget;
    _Atomic bool is_cancelled;
    _Atomic bool has_unseen;   /* it reads what its asker may not see: nor how much of it */
    const char *_Atomic state; /* "queued", "waiting", "planning", "running" */
    const struct exec *exec;   /* under the registry's lock; NULL while none runs */
};

/* By the role's number: a later role of the same name is somebody else. */
static inline bool query_entry_is_seen(const struct query_entry *entry, const struct asker *asker)
{
    return asker_is_admin(asker) || entry->user_id == asker->id;
}

/* A statement that waits for others to end, before there is a run of it. */
struct query_waiting {
    struct query_engine *engine;
    struct query_entry entry;
    int64_t due_us; /* monotonic; 0: never */
};

struct query_registry {
    struct mutex mutex;
    struct query_entry *first;
};

struct query_engine {
    struct query_engine_options options;
    struct plan_cache *cache;
    struct partial_cache *partials; /* NULL: none are kept */
    struct rollups *rollups;
    const struct table_provider *providers[PROVIDERS_MAX];
    size_t provider_count;
    struct table_provider own[4]; /* system.c */
    struct arena catalog_arena;   /* of what catalog.c registers */
    struct query_registry registry;
    _Atomic uint64_t outcomes[OUTCOME_COUNT];
    struct logger_limit refusals; /* lines of what was not permitted */
};

void registry_init(struct query_registry *registry);
void registry_deinit(struct query_registry *registry);
/* 22023 if a query of that id and role is under way, where its id is chosen by who asks: then the
 * others are looked through. */
MUST_CHECK enum err registry_add(struct query_registry *registry, struct query_entry *entry,
                                 bool is_id_chosen, struct error *error);
/* `entry` in the place of `other`, which has the same id; it is cancelled if that was. */
void registry_replace(struct query_registry *registry, struct query_entry *other,
                      struct query_entry *entry);
void registry_remove(struct query_registry *registry, struct query_entry *entry);
void registry_set_exec(struct query_registry *registry, struct query_entry *entry,
                       const struct exec *exec);
/* The thread that runs it is another now, or (0) none. */
void registry_set_clock(struct query_registry *registry, struct query_entry *entry,
                        int64_t cpu_clock, int64_t begin_us);
bool registry_cancel(struct query_registry *registry, struct slice query_id,
                     const struct asker *asker);
void registry_visit(struct query_registry *registry,
                    void (*visit)(void *context, const struct query_entry *entry), void *context);

/* freshet.latency and freshet.metrics: query/system_figures.c */
#define SYSTEM_FIGURES_COUNT 2
extern const struct table_provider system_figures[SYSTEM_FIGURES_COUNT];

/* Registers freshet.tables, columns, segments, queries, latency and metrics. */
void system_register(struct query_engine *engine);
/* Registers pg_catalog and information_schema: query/catalog.c */
void catalog_register(struct query_engine *engine);

#endif
