/* The inside of a session of the PostgreSQL protocol, shared by the files of this folder. */
#ifndef FRESHET_SERVER_PGWIRE_INSIDE_H
#define FRESHET_SERVER_PGWIRE_INSIDE_H

#include "server/access/access.h"
#include "server/pgwire/session.h"

#define SEND_AT ((size_t)64 << 10) /* output is handed over when there is so much of it */
/* Of a row on the wire: its columns may all be the same large text, which is there but once. */
#define ROW_SIZE_MAX ((size_t)256 << 20)

enum pg_state { PG_STARTUP, PG_LOGIN, PG_READY, PG_ENDED };

struct entry;

struct pg_session {
    struct pg_session_options options;
    enum pg_state state;
    struct query_session *_Atomic query; /* from login on; a cancel may look before */
    struct backend backend;
    bool is_listed;
    char user[SETTING_NAME_MAX], database[SETTING_NAME_MAX];
    struct entry *login;       /* in PG_LOGIN */
    bool is_somebody;          /* has logged in, as `user` … */
    struct access_known known; /* … which is, at the last statement */
    bool is_followed;          /* more has come behind the message that is looked at */
    struct slice binding;      /* of the connection's certificate, for SCRAM; empty: none */
    struct writer out;
    struct arena arena; /* of one message */
    bool skips_to_sync;
    bool is_short;   /* nothing waits: what does not end soon is put off */
    bool is_stopped; /* the last message is not done: its reader is behind */
    bool is_resumed; /* the message fed now has stopped before */
    bool must_go_on; /* all the same: its time is over */
    int64_t stop_deadline_us;
    size_t piece;                     /* of a text of statements: the one that has stopped */
    struct copy_out *copy_out;        /* COPY … TO that has stopped */
    bool is_put_off;                  /* the last message is: it has had no effect */
    struct ingest_copy *copy;         /* COPY … FROM under way; else NULL */
    const struct schema *copy_schema; /* of its table */
    bool is_copy_held;                /* for COMMIT */
    bool is_copy_simple;              /* it came by the simple protocol */
    _Atomic bool is_copy_cancelled;
    bool is_cut; /* it has not waited for others to end, and left what has to */
    _Atomic bool is_stopping;
    /* Of the text around a statement: its errors count from there. */
    int64_t text_position;
    /* Of the next error: the function of PostgreSQL's that drivers know it by; NULL: none. */
    const char *routine;
    /* As ParameterStatus last said them. */
    const struct timezone *told_zone;
    char told_name[SETTING_NAME_MAX];
    bool told_read_only;
};

/* --- answer.c: what we say that is no row --- */

/* ErrorResponse; the query session learns of it too. */
void answer_error(struct pg_session *session, const struct error *error);
/* The same with FATAL, after which there is nothing. */
void answer_fatal(struct pg_session *session, const struct error *error);
void answer_notice(void *context, const char *severity, const char *sqlstate, const char *text);
/* A message without a body. */
void answer_bare(struct pg_session *session, char type);
void answer_complete(struct pg_session *session, const char *tag);
/* All thirteen. */
void answer_all_settings(struct pg_session *session);
/* ReadyForQuery, what changed before it; output leaves. */
void answer_ready(struct pg_session *session);
/* Output leaves; never waits. */
void answer_flush(struct pg_session *session);
/* 08P01 */
enum err answer_violation(struct error *error, const char *what);

/* --- session.c --- */

/* Any thread: the statement under way ends, a COPY too. */
void session_cancel_statement(void *session);

/* --- startup.c --- */

void startup_message(struct pg_session *session, struct slice body);
/* Who it is is known: the parameters behind the packet's code, the welcome. */
void startup_enter(struct pg_session *session, struct slice parameters);

/* --- login.c --- */

/* There are users. */
bool login_is_needed(const struct pg_session *session);
/* Asks for a password; messages go to login_message() then. `packet`: for startup_enter(). */
void login_begin(struct pg_session *session, struct slice packet);
void login_message(struct pg_session *session, const struct message *message);
void login_destroy(struct pg_session *session);
bool login_is_admin(struct pg_session *session);
/* For the query session: who asks, with the rights of now. */
enum err login_asker(void *session, struct arena *arena, const struct asker **out,
                     struct error *error);
/* Who asks has a right on the table. */
bool login_may_see(struct pg_session *session, uint32_t table_id);
/* Who asks may still write rows to the table: 28000, 42P01, 42501. */
MUST_CHECK enum err login_check_insert(struct pg_session *session, const struct schema *schema,
                                       struct error *error);

/* --- rows.c --- */

/* RowDescription of what the statement gives (NULL: nothing) in the portal's formats (NULL: text),
 * or NoData. */
void rows_describe(struct pg_session *session, const struct statement *statement,
                   const struct portal *portal);
/* Runs it: rows, then CommandComplete or PortalSuspended. */
MUST_CHECK enum err rows_run(struct pg_session *session, struct portal *portal, uint64_t max_rows,
                             struct error *error);

/* 54000 if the row that begins there is too large; it is taken back. */
MUST_CHECK enum err rows_check_size(struct pg_session *session, size_t begin, struct error *error);

/* What is there leaves. Where the client is slow *is_full says so, or, without it, this waits. */
MUST_CHECK enum err rows_hand_over(struct pg_session *session, bool *is_full, struct error *error);
/* A portal has stopped: the message is fed again, by deadline_us at the latest (0: never). */
void rows_stop(struct pg_session *session, int64_t deadline_us);

/* --- copy_stream.c --- */

bool copy_is_in(const struct statement *statement);
bool copy_is_out(const struct statement *statement);
/* COPY … TO: all of it, or on from where it has stopped. */
MUST_CHECK enum err copy_run_out(struct pg_session *session, struct portal *portal,
                                 struct error *error);
void copy_forget_out(struct pg_session *session);
/* COPY … FROM: from here on messages go to copy_message(), until session->copy is NULL. */
MUST_CHECK enum err copy_begin(struct pg_session *session, struct portal *portal, bool is_simple,
                               struct error *error);
void copy_message(struct pg_session *session, const struct message *message);
/* Nothing of it has come in for statement_timeout: it ends with an error. */
void copy_time_out(struct pg_session *session);

/* --- simple.c, extended.c: each a message --- */

void simple_query(struct pg_session *session, struct slice body);
void extended_message(struct pg_session *session, const struct message *message);

#endif
