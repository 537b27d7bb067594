/* The inside of a session, shared by the files of this folder. */
#ifndef FRESHET_QUERY_SESSION_INSIDE_H
#define FRESHET_QUERY_SESSION_INSIDE_H

#include "query/exec/rowset.h"
#include "query/run.h"
#include "query/session/session.h"

#define SAVEPOINTS_MAX 1000

struct savepoint {
    struct savepoint *next; /* the one before */
    struct settings settings, kept;
    char name[SETTING_NAME_MAX];
};

/* Rows of a transaction: one record at COMMIT. */
struct pending_rows { /* of the INSERTs of one table and one list of columns */
    struct pending_rows *next;
    struct statement *statement; /* the first of them */
    struct rowset rows;
};
struct pending_copy { /* of a COPY */
    struct pending_copy *next;
    const struct schema *schema;
    struct commit *commit;
};
struct pending {
    struct budget budget;
    struct pending_rows *rows;
    struct pending_copy *copies;
};

struct transaction {
    bool has_failed;
    struct snapshot *snapshot; /* what its reads see; NULL: none has been */
    struct settings before;    /* for ROLLBACK */
    struct settings kept;      /* for COMMIT: without SET LOCAL */
    struct savepoint *savepoints;
    size_t savepoint_count;
    struct pending pending;
};

struct portal {
    struct portal *next;
    struct query_session *session;
    struct arena arena;
    struct slice name;
    struct prepared *prepared; /* a reference, or NULL: request.text */
    bool is_hold, is_cursor;
    bool is_empty;
    bool is_outdated; /* it failed for that its rows look otherwise now */
    enum { PORTAL_NEW, PORTAL_PLANNED, PORTAL_OPEN, PORTAL_DONE, PORTAL_FAILED } state;
    size_t format_count;
    int16_t *formats;
    struct query_request request;
    struct statement *statement; /* a reference, from PORTAL_PLANNED on */
    struct statement *before;    /* a reference to what it was, where rights changed meanwhile */
    struct run *run;             /* until it is done */
    struct batch batch;
    size_t batch_row;
    uint64_t row_count;
    size_t kept_size;       /* as session_keep() was told */
    uint64_t stopped_count; /* rows of the execution under way, while its sink has stopped */
    bool is_stopped;
    int64_t started_us;  /* monotonic */
    bool is_warm;        /* its run is not paused, though nobody is at it: while all is short */
    int64_t deadline_us; /* of its run, were it not to end sooner */
};

struct query_session {
    struct query_session_options options;
    struct settings settings, initial;
    struct transaction *transaction; /* NULL: none */
    int64_t short_until_us;          /* session_begin_short(); 0: none */
    bool is_put_off;
    bool has_warm; /* a portal is */
    struct prepared *prepared;
    struct portal *portals;
    size_t prepared_count, portal_count;
    struct budget budget; /* of what they keep, past a first part that is free */
    size_t kept_size;
    struct arena waiting_arena;
    int64_t since_us;    /* of the next statement, where it has waited; 0: from its start */
    struct mutex mutex;  /* around: */
    struct run *running; /* to be cancelled */
    struct query_waiting *waiting; /* the same; until the next is running */
};

void session_notice(struct query_session *session, const char *severity, const char *sqlstate,
                    const char *format, ...) PRINTF_LIKE(4, 5);
void session_pause_warm(struct query_session *session);
/* The request takes over what has waited; then the run is begun, and is the running one. */
void session_take_waiting(const struct query_session *session, struct query_request *request);
void session_set_running(struct query_session *session, struct run *run);
/* Who asks now. */
MUST_CHECK enum err session_asker(struct query_session *session, struct arena *arena,
                                  const struct asker **out, struct error *error);
/* 25P02 unless `text` ends the transaction. */
MUST_CHECK enum err session_check_failed(const struct query_session *session, struct slice text,
                                         struct error *error);
/* Texts, values and plans that stay between messages: 53200 when there are too many. */
MUST_CHECK enum err session_keep(struct query_session *session, size_t size, struct error *error);
void session_let_go(struct query_session *session, size_t size);
void prepared_unref(struct prepared *prepared);
/* list_prepared of a request, of a struct query_session: those that have names. */
size_t session_list_prepared(void *context, struct arena *arena, struct prepared_entry **out);
void session_close_all_prepared(struct query_session *session);
/* All, or but those WITH HOLD. */
void session_close_portals(struct query_session *session, bool keeps_held);

/* transaction.c */
MUST_CHECK enum err transaction_run(struct query_session *session,
                                    const struct session_command *command,
                                    struct portal_outcome *out, struct error *error);
void transaction_end(struct query_session *session);
/* The rows of an INSERT, kept for COMMIT. */
MUST_CHECK enum err transaction_keep_rows(struct query_session *session, struct run *run,
                                          uint64_t *row_count, struct error *error);
/* 0A000 if it reads what the transaction has written. */
MUST_CHECK enum err transaction_check_reads(const struct query_session *session,
                                            const struct statement *statement, struct error *error);

/* What was written to tables that are gone or were emptied is forgotten. */
void transaction_forget(struct query_session *session, const struct command *command);

/* pending.c */
void pending_init(struct pending *pending, struct query_session *session);
void pending_deinit(struct pending *pending);
bool pending_is_empty(const struct pending *pending);
bool pending_has_table(const struct pending *pending, uint32_t table_id);
void pending_forget(struct pending *pending,
                    bool (*is_gone)(const void *context, uint32_t table_id), const void *context);
/* The rows of an INSERT; what it returns is given away. */
MUST_CHECK enum err pending_insert(struct pending *pending, struct run *run, uint64_t *row_count,
                                   struct error *error);
/* Takes the commit over, whose rows are of one table. */
void pending_take(struct pending *pending, const struct schema *schema, struct commit *commit);
/* All of it, as one record, durable and visible; or nothing. */
MUST_CHECK enum err pending_store(struct pending *pending, struct query_engine *engine,
                                  struct error *error);

/* command.c: statements that a session runs itself. */
bool session_is_own(const struct statement *statement);
MUST_CHECK enum err session_run_own(struct query_session *session,
                                    const struct statement *statement,
                                    const struct portal_sink *sink, struct portal_outcome *out,
                                    struct error *error);

#endif
