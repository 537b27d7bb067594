/* Runs plans: pull-based operators, each giving batches of at most VECTOR_ROWS_MAX rows.
 *
 * The plan stays read-only; each run has a tree of nodes of its own. A batch holds until the next
 * call on the node that gave it; a batch of 0 rows is the end. One thread runs one execution. */
#ifndef FRESHET_QUERY_EXEC_EXEC_H
#define FRESHET_QUERY_EXEC_EXEC_H

#include "query/expr/eval.h"
#include "query/plan/plan.h"
#include "storage/store.h"

/* Rows between two looks at the clock and the cancel flags in operators that block. */
#define EXEC_CHECK_ROWS ((size_t)64 << 10)

struct subquery;    /* query/exec/subquery.h */
struct lookup_rows; /* query/exec/lookup.c */
struct rowset;      /* query/exec/rowset.h */
struct temp_space;  /* storage/io/temp.h */
struct worker_pool;
struct partial_cache; /* query/exec/partial_cache.h */
struct rollup_set;    /* query/exec/rollup.h */
struct temp_file;

/* What a run counts; other threads read it for freshet.queries. */
struct exec_statistics {
    _Atomic uint64_t rows_scanned;
    _Atomic uint64_t spilled_bytes; /* written to temporary files */
    _Atomic int64_t helpers_cpu_us; /* of threads that compute for it beside its own */
    uint64_t segments, segments_skipped;
};

/* One run of a statement. Filled by the caller between exec_init() and the first open. */
struct exec {
    const struct statement *statement;
    const struct snapshot *snapshot;
    const struct asker *asker; /* NULL: everybody may everything */
    struct eval_context eval;  /* zone, now_us: the caller's; the rest is set here */
    struct budget *budget;     /* of this query alone: its owner releases what is left at the end */
    struct temp_space *temp;   /* where rows go that do not fit it; NULL: nowhere, 53200 */
    _Atomic bool *is_cancelled;         /* set by query_cancel; may be NULL */
    const _Atomic bool *is_client_gone; /* may be NULL */
    int64_t deadline_us;                /* on the monotonic clock; 0: none */
    struct partial_cache *partials;     /* of earlier queries and for later ones; NULL: none */
    struct rollup_set *rollups;         /* that may answer it; NULL: none */
    struct worker_pool *workers;        /* may lend it further threads; NULL: they do not */
    int64_t thread_max;                 /* freshet.threads; 0: as many as there are permits */
    bool is_without_bitmaps;            /* freshet.bitmaps = off */
    bool is_timed;                      /* EXPLAIN ANALYZE: measure each node */
    struct exec_statistics statistics;
    struct plan_actual *actual; /* by plan id */
    bool is_fork;               /* another thread's part */
    /* private */
    struct arena arena;
    struct temp_file *spill_file; /* query/exec/spill.c */
    uint64_t spill_stream_count;
    uint64_t dictionary_count;
    struct subquery *subqueries;   /* by parameter number */
    struct value *outer;           /* by slot */
    const struct rowset **working; /* by number of recursion: its last rows */
    struct lookup_rows **lookups;  /* by plan id: kept over all runs of a subquery */
};

struct exec_node;

void exec_init(struct exec *exec, const struct statement *statement,
               const struct snapshot *snapshot, struct budget *budget);
void exec_deinit(struct exec *exec);
/* For another thread that runs a part of the statement, with what is `from`'s: no subqueries. */
void exec_fork(struct exec *exec, const struct exec *from);
/* Adds what a fork counted, when its nodes are closed. */
void exec_join(struct exec *exec, const struct exec *fork);
/* Gives the worker's permit to others for a moment; 57014 when the query was cancelled or ran out
 * of time. */
MUST_CHECK enum err exec_check(struct exec *exec, struct error *error);

/* Children are opened too. On failure nothing is left open. */
MUST_CHECK enum err exec_open(struct exec *exec, const struct plan *plan, struct exec_node **out,
                              struct error *error);
MUST_CHECK enum err exec_next(struct exec_node *node, struct batch *out, struct error *error);
void exec_close(struct exec_node *node); /* NULL is nothing */

#endif
