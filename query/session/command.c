/* Statements that a session runs itself: SET, PREPARE and EXECUTE, cursors, DISCARD; transactions
 * are transaction.c's.
 *
 * EXECUTE's arguments are expressions: they are run as a SELECT of their own, and their texts are
 * the values. */
#include "query/session/inside.h"

#include "query/sql/command.h"

#include <assert.h>
#include <stdio.h>

bool session_is_own(const struct statement *statement)
{
    return statement->kind == STATEMENT_COMMAND &&
           (statement->command->kind == COMMAND_SESSION || statement->command->kind == COMMAND_SET);
}

/* --- settings --- */

static enum err run_set(struct query_session *session, const struct command *command,
                        struct error *error)
{
    struct transaction *transaction = session->transaction;
    struct settings changed = session->settings;
    if (command->is_local && transaction == NULL) {
        session_notice(session, "WARNING", "25P01",
                       "SET LOCAL can only be used in transaction blocks");
        return OK;
    }
    enum err err = setting_run(&changed, &session->initial, command, error);
    if (err == OK && transaction != NULL && !command->is_local)
        err = setting_run(&transaction->kept, &session->initial, command, error);
    if (err == OK)
        session->settings = changed;
    return err;
}

/* --- prepared statements --- */

static enum err run_prepare_command(struct query_session *session,
                                    const struct session_command *command, struct error *error)
{
    struct prepared *prepared;
    const struct prepare_options options = {
        .name = command->name,
        .text = command->text,
        .type_count = command->type_count,
        .types = command->types,
    };
    enum err err = session_prepare(session, &options, &prepared, error);
    if (err == OK && (prepared->is_empty || session_is_own(prepared->statement))) {
        session_close_prepared(session, command->name);
        err = error_set(error, ERR_INPUT, "42601", "PREPARE takes SELECT, VALUES or INSERT");
    }
    if (err == OK)
        prepared->is_from_sql = true;
    return err;
}

struct arguments {
    struct arena *arena;
    const struct timezone *zone; /* in which the texts are read again */
    struct query_parameter *list;
    size_t count;
};

static enum err take_arguments(void *context, const struct batch *batch, size_t first,
                               size_t *count, bool may_stop, struct error *error)
{
    struct arguments *arguments = context;
    (void)may_stop;
    if (*count != 1 || arguments->list != NULL)
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "set-returning functions are not allowed in EXECUTE parameters");
    arguments->count = batch->column_count;
    arguments->list =
        arena_alloc_zero(arguments->arena, batch->column_count * sizeof(*arguments->list));
    for (size_t i = 0; i < batch->column_count; i++) {
        struct value value = column_value(&batch->columns[i], first);
        struct writer text;
        writer_init(&text);
        value_print(&value, &(struct text_context){.zone = arguments->zone}, &text);
        arguments->list[i].kind = value.is_null ? PARAMETER_NULL : PARAMETER_TEXT;
        arguments->list[i].text = arena_copy(arguments->arena, writer_as_slice(&text));
        writer_deinit(&text);
    }
    return OK;
}

/* A portal of its own, run to its end and closed; its name is one that no client can write. */
static enum err run_whole(struct query_session *session, const struct portal_options *options,
                          const struct portal_sink *sink, struct portal_outcome *out,
                          struct error *error)
{
    struct portal *portal;
    struct portal_options named = *options;
    named.name = slice_of("\0own", 4);
    enum err err = portal_open(session, &named, &portal, error);
    if (err != OK)
        return err;
    err = portal_run(portal, 0, sink, out, error);
    session_close_portal(session, named.name);
    return err;
}

static enum err evaluate_arguments(struct query_session *session, struct slice text,
                                   struct arguments *out, struct error *error)
{
    const struct portal_sink sink = {.context = out, .rows = take_arguments};
    struct portal_outcome outcome;
    if (text.size == 0)
        return OK;
    const struct portal_options options = {
        .text = slice_from_cstr(arena_printf(out->arena, "SELECT %.*s", SLICE_ARGS(text)))};
    return run_whole(session, &options, &sink, &outcome, error);
}

static enum err run_execute(struct query_session *session, const struct session_command *command,
                            const struct portal_sink *sink, struct portal_outcome *out,
                            struct error *error)
{
    struct arena arena;
    struct prepared *prepared;
    arena_init(&arena);
    struct arguments arguments = {.arena = &arena, .zone = session->settings.zone};
    enum err err = session_find_prepared(session, command->name, &prepared, error);
    if (err == OK && prepared->is_empty) /* Parse takes a text without a statement */
        err = error_set(error, ERR_INPUT, "42601", "prepared statement \"%.*s\" is empty",
                        SLICE_ARGS(command->name));
    if (err == OK)
        err = evaluate_arguments(session, command->text, &arguments, error);
    if (err == OK) {
        const struct portal_options options = {
            .prepared = prepared, .parameter_count = arguments.count, .parameters = arguments.list};
        err = run_whole(session, &options, sink, out, error);
    }
    arena_deinit(&arena);
    return err;
}

static enum err run_deallocate(struct query_session *session, const struct session_command *command,
                               struct error *error)
{
    struct prepared *prepared;
    if (command->name.size == 0) {
        session_close_all_prepared(session);
        return OK;
    }
    enum err err = session_find_prepared(session, command->name, &prepared, error);
    if (err == OK)
        session_close_prepared(session, command->name);
    return err;
}

static enum err run_discard(struct query_session *session, const struct session_command *command,
                            struct portal_outcome *out, struct error *error)
{
    if (command->is_chain) { /* PLANS, TEMP, SEQUENCES: there are none to discard */
        bool is_named = command->name.size > 0; /* UNLISTEN */
        snprintf(out->tag, sizeof(out->tag), "%s", is_named ? "UNLISTEN" : "DISCARD");
        return OK;
    }
    if (session->transaction != NULL)
        return error_set(error, ERR_INPUT, "25001",
                         "DISCARD ALL cannot run inside a transaction block");
    session_close_portals(session, false);
    session_close_all_prepared(session);
    session->settings = session->initial;
    return OK;
}

/* --- cursors --- */

static enum err run_declare(struct query_session *session, const struct session_command *command,
                            struct error *error)
{
    struct portal *portal;
    if (session->transaction == NULL && !command->is_hold)
        return error_set(error, ERR_INPUT, "25P01",
                         "DECLARE CURSOR can only be used in transaction blocks");
    const struct portal_options options = {.name = command->name, .text = command->text};
    enum err err = portal_open(session, &options, &portal, error);
    if (err != OK)
        return err;
    portal->is_hold = command->is_hold;
    portal->is_cursor = true;
    err = portal_start(portal, error);
    if (err == OK && portal_statement(portal)->kind != STATEMENT_SELECT)
        err = error_set(error, ERR_INPUT, "42601", "DECLARE CURSOR takes a SELECT or VALUES");
    if (err != OK)
        session_close_portal(session, command->name);
    return err;
}

static enum err skip_rows(void *context, const struct batch *batch, size_t first, size_t *count,
                          bool may_stop, struct error *error)
{
    (void)context, (void)batch, (void)first, (void)count, (void)may_stop, (void)error;
    return OK;
}

static enum err find_cursor(struct query_session *session, struct slice name, struct portal **out,
                            struct error *error)
{
    if (session_find_portal(session, name, out, error) == OK)
        return OK;
    return error_set(error, ERR_NOT_FOUND, "34000", "cursor \"%.*s\" does not exist",
                     SLICE_ARGS(name));
}

static enum err run_fetch(struct query_session *session, const struct session_command *command,
                          const struct portal_sink *sink, struct portal_outcome *out,
                          struct error *error)
{
    const struct portal_sink nowhere = {.rows = skip_rows};
    bool is_move = command->action == SESSION_MOVE;
    struct portal *cursor;
    enum err err = find_cursor(session, command->name, &cursor, error);
    if (err == OK && portal_is_empty(cursor)) /* Bind makes such */
        err = error_set(error, ERR_INPUT, "42601", "cursor \"%.*s\" is of an empty statement",
                        SLICE_ARGS(command->name));
    if (err != OK)
        return err;
    uint64_t count = command->count == INT64_MAX ? 0 : (uint64_t)command->count;
    if (command->count != 0)
        err = portal_run(cursor, count, is_move ? &nowhere : sink, out, error);
    out->is_suspended = false;
    snprintf(out->tag, sizeof(out->tag), "%s %llu", is_move ? "MOVE" : "FETCH",
             (unsigned long long)out->row_count);
    return err;
}

static enum err run_close(struct query_session *session, const struct session_command *command,
                          struct error *error)
{
    struct portal *cursor;
    if (command->name.size == 0) {
        session_close_portals(session, false);
        return OK;
    }
    enum err err = find_cursor(session, command->name, &cursor, error);
    if (err == OK)
        session_close_portal(session, command->name);
    return err;
}

/* --- which --- */

static enum err run_session_command(struct query_session *session,
                                    const struct session_command *command,
                                    const struct portal_sink *sink, struct portal_outcome *out,
                                    struct error *error)
{
    switch (command->action) {
    case SESSION_PREPARE:
        return run_prepare_command(session, command, error);
    case SESSION_EXECUTE:
        return run_execute(session, command, sink, out, error);
    case SESSION_DEALLOCATE:
        return run_deallocate(session, command, error);
    case SESSION_DISCARD:
        return run_discard(session, command, out, error);
    case SESSION_DECLARE:
        return run_declare(session, command, error);
    case SESSION_FETCH:
    case SESSION_MOVE:
        return run_fetch(session, command, sink, out, error);
    case SESSION_CLOSE:
        return run_close(session, command, error);
    default:
        return transaction_run(session, command, out, error);
    }
}

enum err session_run_own(struct query_session *session, const struct statement *statement,
                         const struct portal_sink *sink, struct portal_outcome *out,
                         struct error *error)
{
    const struct command *command = statement->command;
    snprintf(out->tag, sizeof(out->tag), "%s", statement->command_tag);
    return command->kind == COMMAND_SET
               ? run_set(session, command, error)
               : run_session_command(session, &command->session, sink, out, error);
}

size_t session_columns(struct query_session *session, const struct statement *statement,
                       struct plan_column *line, const struct plan_column **out)
{
    bool is_own = session_is_own(statement) && statement->command->kind == COMMAND_SESSION;
    const struct session_command *command = is_own ? &statement->command->session : NULL;
    struct error error;
    struct prepared *prepared;
    struct portal *cursor;
    if (is_own && command->action == SESSION_EXECUTE &&
        session_find_prepared(session, command->name, &prepared, &error) == OK &&
        !prepared->is_empty)
        return run_columns(prepared->statement, line, out);
    if (is_own && command->action == SESSION_FETCH &&
        session_find_portal(session, command->name, &cursor, &error) == OK &&
        portal_statement(cursor) != NULL)
        return run_columns(portal_statement(cursor), line, out);
    return is_own ? 0 : run_columns(statement, line, out);
}
