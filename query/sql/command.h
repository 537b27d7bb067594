/* Statements that query does not run itself: server/api carries them to ingest. */
#ifndef FRESHET_QUERY_SQL_COMMAND_H
#define FRESHET_QUERY_SQL_COMMAND_H

#include "query/copy.h"
#include "query/asker.h"
#include "query/expr/expr.h"
#include "query/view.h"
#include "storage/column/schema.h"

enum command_kind {
    COMMAND_CREATE_TABLE,
    COMMAND_DROP_TABLE,
    COMMAND_ALTER_TABLE,
    COMMAND_RENAME, /* table, column, new_name */
    COMMAND_CREATE_INDEX,
    COMMAND_DROP_INDEX,
    COMMAND_TRUNCATE,
    COMMAND_INSERT,
    COMMAND_COMMENT,
    COMMAND_SET,     /* SET, RESET: over HTTP checked, and ends with the request */
    COMMAND_SESSION, /* `session`: what only a session knows */
    COMMAND_CHECKPOINT,
    COMMAND_COPY, /* FROM STDIN: table, schema, column_ids, copy; its rows come by the session */
    COMMAND_CREATE_SUBSCRIPTION,
    COMMAND_ALTER_SUBSCRIPTION,
    COMMAND_DROP_SUBSCRIPTION,
    COMMAND_CREATE_ROLE, /* `role` */
    COMMAND_ALTER_ROLE,
    COMMAND_DROP_ROLE,
    COMMAND_GRANT_ROLE,  /* GRANT reader TO …, REVOKE reader FROM … */
    COMMAND_GRANT,       /* GRANT, REVOKE … ON `tables` */
    COMMAND_CREATE_VIEW, /* `view`; text_position: its name */
    COMMAND_DROP_VIEW    /* `tables` */
};

enum alter_subscription {
    SUBSCRIPTION_ENABLE,
    SUBSCRIPTION_DISABLE,
    SUBSCRIPTION_SET,       /* options */
    SUBSCRIPTION_CONNECTION /* connection */
};

/* Statements about the session's own transaction, prepared statements and cursors. */
enum session_action {
    SESSION_BEGIN, /* and START TRANSACTION */
    SESSION_COMMIT,
    SESSION_ROLLBACK,
    SESSION_SAVEPOINT,
    SESSION_RELEASE,
    SESSION_ROLLBACK_TO,
    SESSION_PREPARE, /* text: the statement */
    SESSION_EXECUTE, /* text: the arguments, between the parentheses */
    SESSION_DEALLOCATE,
    SESSION_DISCARD,
    SESSION_DECLARE, /* text: the query */
    SESSION_FETCH,
    SESSION_MOVE,
    SESSION_CLOSE
};

struct session_command {
    enum session_action action;
    struct slice name; /* empty: ALL */
    struct slice text;
    size_t type_count; /* PREPARE's */
    struct type *types;
    int64_t count; /* FETCH, MOVE: rows; INT64_MAX: all */
    bool is_hold, is_chain;
    bool is_start;                    /* START TRANSACTION */
    bool is_read_only, is_read_write; /* BEGIN */
};

struct command_option { /* WITH (name = 'value') */
    struct slice name, value;
    int32_t text_position;
};

struct command_column {
    struct slice name;
    struct type type;
    bool is_not_null;
    struct slice default_text; /* SQL, deparsed or as written; empty: none */
    struct expr *default_expr; /* bound, assignment-cast to the type; NULL: none */
    int32_t text_position;
};

struct alter_action {
    enum { ALTER_ADD_COLUMN, ALTER_DROP_COLUMN } kind;
    bool if_exists;               /* ADD: IF NOT EXISTS */
    struct command_column column; /* DROP: name only */
};

struct command_role {
    struct slice *names;
    size_t name_count;
    /* "reader", "writer", "admin"; "none" (NOSUPERUSER): not "admin"; empty: not said */
    struct slice kind;
    bool has_login, can_log_in;
    bool has_password;
    struct slice password; /* empty: NULL, none */
    uint32_t rights;       /* enum right, of GRANT */
    bool is_revoke, is_all_tables;
};

struct command {
    enum command_kind kind;
    struct slice table;
    int32_t text_position;
    bool if_exists;       /* or IF NOT EXISTS */
    bool is_as;           /* CREATE TABLE … AS: statement->plan gives the rows of `columns` … */
    bool is_without_rows; /* … WITH NO DATA: it is not run */
    struct slice *tables; /* DROP and TRUNCATE may name several; DROP INDEX: indexes */
    size_t table_count;
    size_t column_count; /* CREATE */
    struct command_column *columns;
    size_t option_count;
    struct command_option *options;
    struct slice column, new_name; /* RENAME; column empty: the relation */
    bool is_view;                  /* ALTER VIEW … RENAME */
    bool is_materialized;          /* … of a MATERIALIZED VIEW; and CREATE and DROP of one */
    bool is_index;                 /* ALTER INDEX … RENAME */
    size_t action_count;           /* ALTER */
    struct alter_action *actions;
    /* INSERT: statement->plan gives rows whose columns are these, already cast for assignment.
     * Columns not named take their DEFAULT. */
    const struct schema *schema;
    const struct copy_options *copy;
    uint32_t *column_ids;
    size_t column_id_count;
    size_t returning_count;           /* INSERT … RETURNING: the last columns of the plan */
    struct slice index, index_column; /* CREATE INDEX; index empty: a name is made */
    int32_t index_column_position;
    struct slice comment_column; /* COMMENT ON COLUMN; empty: on the table */
    struct slice comment;        /* empty: IS NULL */
    struct slice setting, value; /* SET; value empty with is_reset */
    bool is_reset, is_local;
    bool is_characteristics; /* SET SESSION CHARACTERISTICS, SET TRANSACTION: value is its mode */
    struct session_command session;
    struct slice subscription, connection,
        topic; /* …_SUBSCRIPTION; `options` are its WITH or SET */
    enum alter_subscription alter_subscription;
    struct view_definition view; /* without id */
    bool is_replace;             /* CREATE OR REPLACE VIEW */
    struct command_role role;
};

#endif
