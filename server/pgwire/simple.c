/* The simple protocol: a text of statements, each answered whole, then ReadyForQuery.
 *
 * The first error ends the text. A text without a statement is answered EmptyQueryResponse: drivers
 * ping so. */
#include "server/pgwire/inside.h"

#include "query/sql/sql.h"

static enum err resume_piece(struct pg_session *session, struct error *error)
{
    struct portal *portal;
    session->is_resumed = false;
    enum err err = session_find_portal(session->query, SLICE(""), &portal, error);
    if (err != OK)
        return err;
    err = copy_is_out(portal_statement(portal)) ? copy_run_out(session, portal, error)
                                                : rows_run(session, portal, 0, error);
    if (!session->is_stopped)
        session_close_portal(session->query, SLICE(""));
    return err;
}

static enum err run_piece(struct pg_session *session, struct slice text, bool is_last,
                          struct error *error)
{
    if (session->is_resumed)
        return resume_piece(session, error);
    struct portal *portal;
    struct plan_column line;
    const struct plan_column *columns;
    const struct portal_options options = {.text = text};
    enum err err = portal_open(session->query, &options, &portal, error);
    if (err == OK)
        err = portal_start(portal, error);
    const struct statement *statement = err == OK ? portal_statement(portal) : NULL;
    if (copy_is_in(statement) && !is_last)
        err = error_set(error, ERR_UNSUPPORTED, NULL,
                        "COPY … FROM STDIN with statements behind it is not supported");
    else if (copy_is_in(statement))
        err = copy_begin(session, portal, true, error);
    else if (copy_is_out(statement))
        err = copy_run_out(session, portal, error);
    else if (err == OK) {
        if (session_columns(session->query, portal_statement(portal), &line, &columns) > 0)
            rows_describe(session, portal_statement(portal), NULL);
        err = rows_run(session, portal, 0, error);
    }
    if (!session->is_stopped)
        session_close_portal(session->query, SLICE(""));
    return err;
}

static enum err run_text(struct pg_session *session, struct slice text, struct error *error)
{
    struct sql_piece *pieces;
    size_t count;
    session->text_position = 0;
    enum err err = sql_split(text, &session->arena, &pieces, &count, error);
    if (err == OK && count == 0)
        answer_bare(session, 'I');
    for (size_t i = session->piece; i < count && err == OK && !session->is_stopped; i++) {
        session->piece = i;
        session->text_position = (int64_t)utf8_count(slice_of(text.data, pieces[i].offset));
        err = run_piece(session, pieces[i].text, i + 1 == count, error);
    }
    return err;
}

void simple_query(struct pg_session *session, struct slice body)
{
    struct error error;
    struct reader reader = reader_of(body);
    struct slice text = message_text(&reader);
    if (!session->is_resumed)
        session_close_prepared(session->query, SLICE(""));
    enum err err = reader.failed || reader_left(&reader) > 0
                       ? answer_violation(&error, "invalid message format")
                       : run_text(session, text, &error);
    if (err == OK && session->is_stopped)
        return;
    session->piece = 0;
    if (err != OK)
        answer_error(session, &error);
    session->text_position = 0;
    if (session->copy != NULL) /* it is not over */
        return;
    session_sync(session->query);
    answer_ready(session);
}
