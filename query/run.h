/* One statement under way: planned over a snapshot, registered, its rows asked for batch by batch.
 *
 * query.c makes whole answers of it (HTTP), query/session/ keeps it open between pieces of a result
 * (the PostgreSQL protocol). Called inside worker jobs; one at a time, but not always on the same
 * thread: run_resume() and run_pause() stand around each stay. Internal to query. */
#ifndef FRESHET_QUERY_RUN_H
#define FRESHET_QUERY_RUN_H

#include "query/engine.h"
#include "query/setting.h"

/* Where rows go, batch by batch. */
struct query_sink {
    void *context;
    enum err (*rows)(void *context, const struct batch *batch, struct error *error);
};

struct run {
    struct query_engine *engine;
    const struct query_request *request; /* outlives it */
    struct settings settings;
    struct query_entry entry;
    struct arena arena;
    int64_t deadline_us;
    struct statement *statement;
    struct statement *typed; /* by which `bound` was read, if it is not `statement`; else NULL */
    struct value *bound;     /* of its parameters, then of its lifted literals */
    struct text_shape shape; /* of its text; no text: not asked for yet */
    struct value *lifted;    /* of those literals, if the plan was found by its shape; else NULL */
    struct snapshot *snapshot;
    struct snapshot *seen; /* what the asker may see of it */
    bool has_roles;        /* the next two: by rights.c */
    size_t role_count;
    struct role_entry *roles;
    struct completeness completeness;
    struct exec exec;
    struct rollup_set *rollups;         /* that may answer it; NULL: none */
    struct exec_node *node;             /* of the plan, from run_open() on */
    const struct query_sink *returning; /* takes the rows of INSERT … RETURNING; NULL: nobody */
    size_t plan_charged;
    bool is_registered, is_planned;
    bool is_known_stale; /* request->statement is not current any more */
    bool is_recovering;  /* as it was before the snapshot was taken */
    bool is_put_off;     /* it will be begun anew: its end is no outcome */
};

/* The engine's settings before a request's own. */
struct settings run_default_settings(const struct query_engine *engine);
/* Fills *run and registers it: from here on it can be cancelled. `base` NULL: the defaults. On
 * failure run_end() is due all the same. A short request is registered if it is paused: before, it
 * is over within a millisecond, nobody sees it, and what nobody sees costs nothing. */
MUST_CHECK enum err run_begin(struct run *run, struct query_engine *engine,
                              const struct query_request *request, const struct settings *base,
                              struct error *error);
/* query_wait(), of a session that has these settings; NULL: the defaults. They outlive it. */
struct query_waiting *run_wait(struct query_engine *engine, const struct query_request *request,
                               const struct settings *base, struct arena *arena);
/* The statement, its parameters' values and the snapshot; ready for run_open(). */
MUST_CHECK enum err run_plan(struct run *run, struct error *error);
/* Only the statement, without values and without a snapshot to run over: for a description. */
MUST_CHECK enum err run_prepare(struct run *run, struct statement **out, struct error *error);
/* Opens the plan: rows come by exec_next(run->node). */
MUST_CHECK enum err run_open(struct run *run, struct error *error);
MUST_CHECK enum err run_next(struct run *run, struct batch *out, struct error *error);
/* What a statement's rows look like, how many columns; of EXPLAIN, `line` says it. */
size_t run_columns(const struct statement *statement, struct plan_column *line,
                   const struct plan_column **out);
/* EXPLAIN: its lines, a row each; with ANALYZE the plan is run before. */
MUST_CHECK enum err run_explain(struct run *run, const struct query_sink *sink,
                                struct error *error);
/* A statement of kind STATEMENT_COMMAND but SET: carried out. What RETURNING gives is handed on
 * before the rows are stored: they are if this is OK. */
MUST_CHECK enum err run_command(struct run *run, struct command_answer *out, struct error *error);
/* Rows for the table of an INSERT, as one command. */
struct rowset; /* query/exec/rowset.h */
MUST_CHECK enum err run_hand_over_rows(struct query_engine *engine,
                                       const struct statement *statement, const struct rowset *rows,
                                       struct command_answer *out, struct error *error);
/* Between two stays in worker jobs; the time of the statement runs anew from run_resume(). */
void run_pause(struct run *run);
void run_resume(struct run *run);
/* Gives way, then: whether there is still somebody to answer, and time. */
MUST_CHECK enum err run_check_time(struct run *run, struct error *error);
/* CPU time that it has taken so far; on the thread that runs it. 0: it is not registered. */
int64_t run_cpu_us(const struct run *run);
/* Sooner than its settings say. */
void run_set_deadline(struct run *run, int64_t deadline_us);
/* Unregisters, counts the outcome, frees and releases all it holds. */
void run_end(struct run *run, enum err result, const struct error *error);

/* --- query/run_plan.c, for run.c --- */

/* run->statement: the one that its session knows, one from the cache, or planned now. */
MUST_CHECK enum err run_find_statement(struct run *run, struct error *error);
/* That, the parameters' values, completeness and a snapshot that the plan is right for. */
MUST_CHECK enum err run_find_plan(struct run *run, struct error *error);

/* --- query/rights.c --- */

/* Tells rights apart in the plan cache. Empty: everything is theirs. In the arena. */
struct slice rights_mark(const struct asker *asker, struct arena *arena);

/* What there is now, or what the session's transaction sees; what the asker may see of it; each one
 * reference. */
struct snapshot *run_snapshot(struct run *run);
struct snapshot *run_seen(const struct run *run, struct snapshot *whole);
/* find_view of the options, of a struct run, and only views that the asker may see. */
bool run_find_seen_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                        struct view_definition *out);
/* list_roles of an eval_context, of a struct run. */
size_t run_list_roles(void *context, struct arena *arena, struct role_entry **out);
/* The tables of the statement that the asker may see, which those behind views need not be. `out`
 * has room for all. */
size_t rights_list_seen(const struct asker *asker, const struct statement *statement,
                        uint32_t *out);
/* 42501 for statements that are not for the asker. */
MUST_CHECK enum err run_check_rights(struct run *run, struct error *error);

#endif
