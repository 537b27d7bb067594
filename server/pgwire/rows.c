/* Rows on the wire: their description, and DataRow after DataRow as the plan gives them.
 *
 * Rows leave when SEND_AT bytes of them are there. A reader that is slow stops the plan: the job
 * ends, the message stays where it is, and is fed again when there is room. Formats are copied
 * before the first row: a statement may end its own portal. */
#include "server/pgwire/inside.h"

#include "query/func/catalog.h"
#include "server/pgwire/value.h"

#include <assert.h>

#define FIELDS_MAX 65535

/* Not of a table behind a view that who asks may not see. */
static struct plan_origin origin_of(struct pg_session *session, const struct statement *statement,
                                    size_t column)
{
    struct plan_origin origin = {0};
    if (statement->kind == STATEMENT_SELECT)
        origin = plan_origin(statement->plan, column);
    int64_t table_id = table_id_of_oid(origin.table_oid);
    if (table_id >= 0 && !login_may_see(session, (uint32_t)table_id))
        return (struct plan_origin){0};
    return origin;
}

void rows_describe(struct pg_session *session, const struct statement *statement,
                   const struct portal *portal)
{
    struct writer *out = &session->out;
    struct plan_column line;
    const struct plan_column *columns = NULL;
    size_t count =
        statement == NULL ? 0 : session_columns(session->query, statement, &line, &columns);
    if (count == 0) {
        answer_bare(session, 'n');
        return;
    }
    assert(count <= FIELDS_MAX);
    size_t begin = message_begin(out, 'T');
    message_put_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        struct value_description type = value_describe(columns[i].type);
        message_put_text(out, columns[i].name);
        struct plan_origin origin = origin_of(session, statement, i);
        message_put_u32(out, origin.table_oid);
        message_put_u16(out, origin.attribute);
        message_put_u32(out, type.oid);
        message_put_u16(out, (uint16_t)type.size);
        message_put_u32(out, (uint32_t)type.modifier);
        message_put_u16(out, portal == NULL ? 0 : (uint16_t)portal_format(portal, i));
    }
    message_end(out, begin);
}

struct row_writer {
    struct pg_session *session;
    size_t format_count;
    const int16_t *formats;
    const struct plan_column *columns;
    struct text_context text;
};

static enum value_format format_of(const struct row_writer *writer, size_t column)
{
    int16_t format = writer->format_count == 1       ? writer->formats[0]
                     : column < writer->format_count ? writer->formats[column]
                                                     : VALUE_TEXT;
    return format == VALUE_BINARY ? VALUE_BINARY : VALUE_TEXT;
}

static bool is_over(void *context)
{
    return session_is_interrupted(context);
}

enum err rows_hand_over(struct pg_session *session, bool *is_full, struct error *error)
{
    const struct pg_session_options *options = &session->options;
    if (session->is_short)
        return session_put_off(session->query, error);
    enum err err = options->send(options->context, writer_as_slice(&session->out), error);
    writer_reset(&session->out);
    if (err != OK || options->is_behind == NULL)
        return err;
    bool goes_on =
        options->wait(options->context, is_full == NULL ? is_over : NULL, session->query);
    if (is_full != NULL)
        *is_full = options->is_behind(options->context);
    return goes_on ? OK
                   : error_set(error, ERR_CANCELLED, "57014",
                               "canceling statement: the client does not read its rows");
}

enum err rows_check_size(struct pg_session *session, size_t begin, struct error *error)
{
    if (session->out.size - begin <= ROW_SIZE_MAX)
        return OK;
    session->out.size = begin;
    return error_set(error, ERR_LIMIT, "54000", "a row of the result is longer than %zu bytes",
                     ROW_SIZE_MAX);
}

static enum err write_row(struct row_writer *writer, const struct batch *batch, size_t row,
                          struct error *error)
{
    struct writer *out = &writer->session->out;
    size_t start = out->size;
    size_t begin = message_begin(out, 'D');
    enum err err = OK;
    message_put_u16(out, (uint16_t)batch->column_count);
    for (size_t i = 0; i < batch->column_count && err == OK; i++) {
        value_field(&batch->columns[i], row, (enum type_alias)writer->columns[i].type.alias,
                    format_of(writer, i), &writer->text, out);
        err = rows_check_size(writer->session, start, error);
    }
    if (err == OK)
        message_end(out, begin);
    return err;
}

static enum err write_rows(void *context, const struct batch *batch, size_t first, size_t *count,
                           bool may_stop, struct error *error)
{
    struct row_writer *writer = context;
    struct writer *out = &writer->session->out;
    enum err err = OK;
    bool is_full = false;
    size_t row = first;
    for (; row < first + *count && err == OK && !is_full; row++) {
        err = write_row(writer, batch, row, error);
        if (err == OK && out->size >= SEND_AT)
            err = rows_hand_over(writer->session, may_stop ? &is_full : NULL, error);
    }
    *count = row - first;
    return err;
}

void rows_stop(struct pg_session *session, int64_t deadline_us)
{
    session->is_stopped = true;
    session->stop_deadline_us = deadline_us;
}

enum err rows_run(struct pg_session *session, struct portal *portal, uint64_t max_rows,
                  struct error *error)
{
    size_t count = portal_format_count(portal);
    int16_t *formats = arena_alloc_array(&session->arena, count, sizeof(*formats));
    for (size_t i = 0; i < count; i++)
        formats[i] = portal_format(portal, i);
    struct plan_column line;
    const struct plan_column *columns = NULL;
    if (portal_statement(portal) != NULL)
        session_columns(session->query, portal_statement(portal), &line, &columns);
    struct row_writer writer = {
        .session = session,
        .format_count = count,
        .formats = formats,
        .columns = columns,
        .text = {.zone = session_settings(session->query)->zone},
    };
    const struct portal_sink sink = {.context = &writer, .rows = write_rows, .may_stop = true};
    struct portal_outcome outcome;
    enum err err = portal_run(portal, max_rows, &sink, &outcome, error);
    if (err != OK)
        return err;
    if (outcome.is_stopped)
        rows_stop(session, outcome.deadline_us);
    else if (outcome.is_suspended)
        answer_bare(session, 's');
    else
        answer_complete(session, outcome.tag);
    return OK;
}
