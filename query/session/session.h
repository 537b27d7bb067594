/* What a client of the PostgreSQL protocol keeps between its statements: settings, prepared
 * statements, portals (cursors are portals with a name of their own), its transaction.
 *
 * One thread at a time, always inside a worker job, but where a call says otherwise. */
#ifndef FRESHET_QUERY_SESSION_SESSION_H
#define FRESHET_QUERY_SESSION_SESSION_H

#include "query/query.h"
#include "query/setting.h"

#define SESSION_PREPARED_MAX 1000
#define SESSION_PORTALS_MAX 1000

struct query_session;

struct query_session_options {
    struct query_engine *engine;
    struct slice user, client; /* copied */
    /* Who asks, with the rights of now: called for every statement; *out lives in the arena, NULL
     * is everybody. An error: who has logged in is nobody any more. NULL: everybody. */
    enum err (*asker)(void *context, struct arena *arena, const struct asker **out,
                      struct error *error);
    int32_t backend_pid;
    const _Atomic bool *is_gone; /* the connection went away; may be NULL */
    /* "NOTICE" or "WARNING" for the client, before the answer to the statement. */
    void (*notice)(void *context, const char *severity, const char *sqlstate, const char *text);
    void *context;
};

/* One thread at a time has a session. Its end is that of its transaction, whose held rows are
 * dropped. */
struct query_session *query_session_create(const struct query_session_options *options);
void query_session_destroy(struct query_session *session);
/* Any thread while the session lives: the statement under way, or that waits, if there is one, ends
 * with 57014. */
void session_cancel(struct query_session *session);
/* While no other call runs, on any thread: a statement has come whole and waits for others to end.
 * It is in freshet.queries, with this text, and its time runs, until one begins, which is taken for
 * it, or session_end_waiting(). Nothing if one waits already. */
void session_wait(struct query_session *session, struct slice text);
void session_end_waiting(struct query_session *session);
/* Any thread: one waits. */
bool session_is_waiting(struct query_session *session);
/* When its time is over (monotonic); 0: never, or none waits. */
int64_t session_due_us(struct query_session *session);
/* Any thread: what waits, or the statement under way, was cancelled or has no more time. */
bool session_is_over(struct query_session *session);
/* The statement under way was cancelled, has run out of time, or its client has gone. */
bool session_is_interrupted(struct query_session *session);
/* A setting of the start-up packet: RESET goes back to it. 42704, 22023 … */
MUST_CHECK enum err session_set_initial(struct query_session *session, struct slice name,
                                        struct slice value, struct error *error);
/* Holds until the next SET; empty if there is no such setting. */
struct slice session_show(struct query_session *session, struct slice name, struct arena *arena);
const struct settings *session_settings(const struct query_session *session);
/* 'I': no transaction, 'T': in one, 'E': in one that failed. */
char session_state(const struct query_session *session);
/* After any error of a statement. */
void session_set_failed(struct query_session *session);
/* The end of a run of messages: outside of a transaction portals end. */
void session_sync(struct query_session *session);

/* What a COPY writes in a transaction is held until its COMMIT, charged to *out; outside of one
 * *out is NULL. 0A000 between SAVEPOINT and RELEASE. */
MUST_CHECK enum err session_hold(struct query_session *session, struct budget **out,
                                 struct error *error);
/* Takes the commit over, its rows are of that table. In a transaction only. */
void session_take(struct query_session *session, const struct schema *schema,
                  struct commit *commit);

/* --- short statements --- */

/* Until session_end_short() a portal that does not end by deadline_us (monotonic) is taken back to
 * where portal_open() left it: the call fails, and session_is_put_off(). */
void session_begin_short(struct query_session *session, int64_t deadline_us);
void session_end_short(struct query_session *session);
/* Once, by the sink of a portal: it has more rows than can be handed on now. */
MUST_CHECK enum err session_put_off(struct query_session *session, struct error *error);
/* What has failed last was put off. */
bool session_is_put_off(const struct query_session *session);
/* Has this prepared SELECT ended soon each time it was run of late? */
bool session_is_short(struct query_session *session, struct slice name);

/* --- prepared statements --- */

struct prepared {
    struct prepared *next;
    struct query_session *session;
    size_t kept_size; /* as session_keep() was told */
    uint32_t references;
    struct arena arena; /* of all below */
    struct slice name, text;
    size_t type_count; /* as given; TYPE_UNKNOWN: to be found out */
    struct type *types;
    uint32_t *oids;            /* beside them, 0: none was given */
    int64_t prepared_at_us;    /* on the wall clock */
    bool is_from_sql;          /* by PREPARE */
    bool is_empty;             /* the text holds no statement */
    const struct asker *asker; /* whom it was planned for */
    const struct timezone *zone;
    struct statement *statement; /* NULL if empty */
    /* Runs that were short, one after the other, and how many it takes until the next is expected
     * to be: twice as many after each that was not. */
    uint32_t short_count, short_count_min;
};

struct prepare_options {
    struct slice name, text; /* name empty: replaces the one without a name */
    size_t type_count;
    const struct type *types;
    const uint32_t *oids; /* may be NULL */
};

/* 42P05, 54000, 53200, 25P02, and what sql_prepare() finds. The session keeps it. */
MUST_CHECK enum err session_prepare(struct query_session *session,
                                    const struct prepare_options *options, struct prepared **out,
                                    struct error *error);
/* 26000 */
MUST_CHECK enum err session_find_prepared(struct query_session *session, struct slice name,
                                          struct prepared **out, struct error *error);
/* Nothing if there is none; an empty name: the one without. */
void session_close_prepared(struct query_session *session, struct slice name);

/* --- portals --- */

struct portal;

struct portal_options {
    struct slice name;               /* empty: replaces the one without a name */
    const struct prepared *prepared; /* or text, of one statement */
    struct slice text;
    size_t parameter_count; /* values are copied */
    const struct query_parameter *parameters;
    size_t format_count; /* of the results, as in Bind; copied */
    const int16_t *formats;
};

/* 42P03, 54000, 53200, 25P02. The session keeps it. */
MUST_CHECK enum err portal_open(struct query_session *session, const struct portal_options *options,
                                struct portal **out, struct error *error);
/* 34000 */
MUST_CHECK enum err session_find_portal(struct query_session *session, struct slice name,
                                        struct portal **out, struct error *error);
void session_close_portal(struct query_session *session, struct slice name);

/* Columns of what a statement gives; 0: it gives no rows. `line` must live as long as *out. */
size_t session_columns(struct query_session *session, const struct statement *statement,
                       struct plan_column *line, const struct plan_column **out);
/* Plans it, if that has not been done; then it can be described. 25P02; 55000 if it has failed
 * before; 0A000 if its rows look otherwise now than when it was prepared. */
MUST_CHECK enum err portal_start(struct portal *portal, struct error *error);
const struct statement *portal_statement(const struct portal *portal); /* NULL: not started */
/* 0: text; of column `index`, by the rules of Bind. */
int16_t portal_format(const struct portal *portal, size_t index);
size_t portal_format_count(const struct portal *portal);
struct slice portal_text(const struct portal *portal);
bool portal_is_empty(const struct portal *portal);
/* 55000: it has been run to its end, and gives no rows that there could be no more of. */
MUST_CHECK enum err portal_check_done(const struct portal *portal, struct error *error);
/* One that was planned for other rights than who asks has now, and has not begun, is planned anew:
 * as portal_start(). One that has begun ends where a right has been taken: 42501. 28000: nobody
 * asks any more. */
MUST_CHECK enum err portal_check_asker(struct portal *portal, struct error *error);
/* It is carried out elsewhere (COPY … FROM), and not again. */
void portal_end(struct portal *portal);
/* portal_start() has failed because the statement has to be prepared again. */
bool portal_is_outdated(const struct portal *portal);

struct portal_sink {
    void *context;
    /* *count rows from `first` on. It takes all of them, or, where it may stop, as many as there is
     * room for, and says in *count how many. */
    enum err (*rows)(void *context, const struct batch *batch, size_t first, size_t *count,
                     bool may_stop, struct error *error);
    bool may_stop;
};

struct portal_outcome {
    bool is_suspended; /* max_rows were given, and there may be more */
    /* The sink has stopped: the same call again goes on, until deadline_us (monotonic; 0: whenever
     * there is room). The portal holds its memory, and no thread. */
    bool is_stopped;
    int64_t deadline_us;
    char tag[64]; /* else: of CommandComplete */
    uint64_t row_count;
};

/* On from where it stands. max_rows 0: all. */
MUST_CHECK enum err portal_run(struct portal *portal, uint64_t max_rows,
                               const struct portal_sink *sink, struct portal_outcome *out,
                               struct error *error);

#endif
