/* The front door of query: text in, result bytes out, with cancel, timeout, budget, completeness.
 *
 * query_run() is called inside a worker job (64 MiB stack) and yields the worker at morsel borders.
 */
#ifndef FRESHET_QUERY_QUERY_H
#define FRESHET_QUERY_QUERY_H

#include "query/asker.h"
#include "query/completeness.h"
#include "query/parameter.h"
#include "query/plan/plan.h"
#include "query/provider.h"
#include "query/sql/command.h"
#include "query/view.h"
#include "storage/base/worker.h"
#include "storage/store.h"

#define QUERY_MEMORY_MIN (256 << 10) /* of one query, bytes */

enum result_format { RESULT_JSON, RESULT_NDJSON, RESULT_CSV, RESULT_COPY };

struct query_engine;
struct temp_space; /* storage/io/temp.h */

struct command_answer {
    uint64_t position;  /* of the record, 0: none */
    uint64_t row_count; /* INSERT */
    /* INSERT: given, takes the rows instead of the store. NULL: they are stored. */
    struct commit *held;
    const struct asker *asker; /* TRUNCATE: given, asked again of the tables that it finds */
};

struct query_engine_options {
    struct store *store;
    struct budget *memory;        /* of all queries */
    size_t query_memory_limit;    /* of one */
    struct worker_pool *workers;  /* further threads for one query; NULL: none */
    size_t partial_memory;        /* of partial results kept for later queries; 0: none are */
    struct temp_space *temp;      /* where queries put rows that do not fit; NULL: they fail */
    int64_t statement_timeout_us; /* 30 s; 0: none */
    uint64_t max_rows;            /* 1,000,000 */
    void *context;                /* of the callbacks */
    /* What is known about the tables read, called *before* the snapshot is taken, so that it never
     * claims more than the snapshot holds. Texts in the arena. */
    void (*completeness)(void *context, const uint32_t *table_ids, size_t count,
                         struct arena *arena, struct completeness *out);
    /* Runs a command. For INSERT the rows are in batches. */
    enum err (*command)(void *context, const struct command *command, const struct batch *batches,
                        size_t batch_count, struct command_answer *out, struct error *error);
    /* Is the log being replayed? Answers say so, and what is not found may be there later: 57P03.
     */
    bool (*is_recovering)(void *context);
    /* A view by name, or (empty) by id, copied into the arena; NULL: there are none. With it a
     * number that grows with each change of a view: plans that stand on views are made anew then.
     */
    bool (*find_view)(void *context, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out);
    uint64_t (*view_version)(void *context);
    /* All of them, copied into the arena: how many. With find_view. */
    size_t (*list_views)(void *context, struct arena *arena, struct view_definition **out);
    /* The roles that the asker may see, by name: admins all, others themselves. Copied into the
     * arena: how many. NULL: there are none. */
    size_t (*list_roles)(void *context, const struct asker *asker, struct arena *arena,
                         struct role_entry **out);
};

/* Options are copied, what they point at outlives the engine. Every query has ended, the store is
 * still open, when it is destroyed. */
struct query_engine *query_engine_create(const struct query_engine_options *options);
void query_engine_destroy(struct query_engine *engine);
/* Every 100 ms or so, once the log is replayed: makes rollups of new segments, in worker jobs. One
 * thread; cheap. */
void query_engine_upkeep(struct query_engine *engine);
/* All that is due, on the caller's thread: for engines without workers. */
void query_engine_finish_upkeep(struct query_engine *engine);
/* Before the workers are stopped. */
void query_engine_stop_upkeep(struct query_engine *engine);
/* Before the first query. At most 64; the engine registers its own (tables, columns, segments,
 * queries). */
void query_engine_register(struct query_engine *engine, const struct table_provider *provider);

struct query_setting {
    struct slice name, value;
};

struct prepared_entry; /* query/provider.h */

struct query_request {
    struct slice text;
    struct slice query_id;     /* empty: one is made */
    const struct asker *asker; /* NULL: everybody may everything */
    struct slice user, client; /* as freshet.queries tells them */
    enum result_format format;
    int64_t timeout_us; /* -1: the setting */
    int64_t max_rows;   /* -1: the setting */
    uint64_t at_least;  /* wait for this position first */
    bool is_read_only;  /* GET: only SELECT, VALUES, SHOW, EXPLAIN; else ERR_UNSUPPORTED with
                           sqlstate 25006 → 405 */
    size_t setting_count;
    const struct query_setting *settings; /* of the request; unknown names 42704 */
    int64_t arrived_us;                   /* monotonic: its time runs from then; 0: from the call */
    /* Values of $1 … and of named parameters; those by number come first. */
    size_t parameter_count;
    const struct query_parameter *parameters;
    /* Types of $1 … given beforehand (a prepared statement's); TYPE_UNKNOWN: to be found out. */
    size_t type_count;
    const struct type *types;
    const _Atomic bool *is_cancelled; /* the client went away; may be NULL */
    /* A session's: statements of sessions are known, and rows are given while they come. */
    bool has_session;
    int32_t backend_pid;
    size_t (*list_prepared)(void *context, struct arena *arena, struct prepared_entry **out);
    void *prepared_context;
    bool is_short;               /* run_begin() */
    struct statement *statement; /* planned earlier from the same text, types, zone; may be NULL */
    struct snapshot *snapshot;   /* what its transaction sees; NULL: what there is now */
    struct query_waiting *waiting; /* from query_wait(); ended by query_run(). NULL: it did not */
};

struct query_answer {
    enum err result;
    struct error error; /* if result is not OK */
    char query_id[40];
    enum result_format format; /* as asked, but json for commands and copy for COPY */
    const char *content_type;  /* of copy */
    struct writer body;        /* the whole result in `format`; the caller deinits it */
    uint64_t row_count;
};

/* A request that waits until it is run: from now on, until query_run() or query_waiting_end(), it
 * is in freshet.queries and can be cancelled by its id. The arena, where it is, and the request's
 * texts outlive it. NULL: it has mistakes, which query_run() will tell, and does not show. */
struct query_waiting *query_wait(struct query_engine *engine, const struct query_request *request,
                                 struct arena *arena);
void query_waiting_end(struct query_waiting *waiting);
/* When its time is over (monotonic), by the request, its settings or the engine's; 0: never. */
int64_t query_waiting_due_us(const struct query_waiting *waiting);
/* It was cancelled: there is no need to wait. Any thread. */
bool query_waiting_is_over(const struct query_waiting *waiting);

/* Fills *answer whatever happens; returns answer->result. */
enum err query_run(struct query_engine *engine, const struct query_request *request,
                   struct query_answer *answer);
/* Any thread. NOT_FOUND if no such query runs, or it is not the asker's, who is no admin. */
MUST_CHECK enum err query_cancel(struct query_engine *engine, struct slice query_id,
                                 const struct asker *asker, struct error *error);
/* Outcomes and counts for /metrics. */
void query_engine_metrics(struct query_engine *engine, struct writer *out);

/* The problem+json body of an error (RFC 9457). query_id may be NULL. */
void query_error_json(const struct error *error, int status, const char *query_id,
                      struct writer *out);

#endif
