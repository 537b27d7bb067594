/* COPY within a session.
 *
 *   READY ──COPY … FROM──▶ COPYING ──CopyDone, CopyFail, an error──▶ READY
 *
 * In COPYING each CopyData is fed to the ingest_copy; Flush and Sync mean nothing (libpq sends a
 * Sync with the statement, before it knows that it is a COPY, and another at the end). After an
 * error what is left of the data is passed over by session.c, and in the extended protocol all is
 * up to the next Sync.
 *
 * Rows are taken for as long as who sends them may write them: each message of data asks.
 *
 * In a transaction its rows are held, and stored with all others by COMMIT.
 *
 * COPY … TO gives a CopyData a row, the signature of binary with the first. */
#include "server/pgwire/copy.h"
#include "server/pgwire/inside.h"

#include "query/format/format.h"

#include <stdio.h>

bool copy_is_in(const struct statement *statement)
{
    return statement != NULL && statement->kind == STATEMENT_COMMAND &&
           statement->command->kind == COMMAND_COPY;
}

bool copy_is_out(const struct statement *statement)
{
    return statement != NULL && statement->copy != NULL;
}

/* --- out --- */

struct copy_out {
    struct pg_session *session;
    struct copy_options options; /* the portal ends with its last row */
    struct text_context text;
    struct copy_writer writer;
    size_t message; /* of a CopyData that is begun */
    bool is_begun;
};

static void begin_data(struct copy_out *copy)
{
    if (!copy->is_begun)
        copy->message = message_begin(&copy->session->out, 'd');
    copy->is_begun = true;
}

static void end_data(struct copy_out *copy)
{
    message_end(&copy->session->out, copy->message);
    copy->is_begun = false;
}

static enum err write_rows(void *context, const struct batch *batch, size_t first, size_t *count,
                           bool may_stop, struct error *error)
{
    struct copy_out *copy = context;
    enum err err = OK;
    bool is_full = false;
    size_t row = first;
    for (; row < first + *count && err == OK && !is_full; row++) {
        begin_data(copy);
        copy_write_row(&copy->writer, batch, row);
        end_data(copy);
        err = rows_check_size(copy->session, copy->message - 1, error); /* its letter */
        if (err == OK && copy->session->out.size >= SEND_AT)
            err = rows_hand_over(copy->session, may_stop ? &is_full : NULL, error);
    }
    *count = row - first;
    return err;
}

/* What stands before the rows: a header line is a CopyData of its own, binary's signature waits for
 * the first row. */
static void begin_out(struct pg_session *session, const struct statement *statement)
{
    struct copy_out *copy = memory_alloc_zero(sizeof(*copy));
    struct writer *out = &session->out;
    session->copy_out = copy;
    copy->session = session;
    copy->options = *statement->copy;
    copy->text.zone = session_settings(session->query)->zone;
    copy->writer.options = &copy->options;
    copy->writer.context = &copy->text;
    copy->writer.columns = statement->plan->columns;
    copy->writer.column_count = statement->plan->column_count;
    copy->writer.out = out;
    copy_writer_init(&copy->writer);
    size_t begin = message_begin(out, 'H');
    copy_print_response(copy->options.format, copy->writer.column_count, out);
    message_end(out, begin);
    if (copy->options.format == COPY_BINARY || copy->options.header != COPY_HEADER_NONE) {
        begin_data(copy);
        copy_write_begin(&copy->writer);
    }
    if (copy->is_begun && copy->options.format != COPY_BINARY)
        end_data(copy);
}

static void end_out(struct copy_out *copy)
{
    if (copy->options.format == COPY_BINARY) {
        begin_data(copy);
        copy_write_end(&copy->writer);
        end_data(copy);
    }
    answer_bare(copy->session, 'c');
}

void copy_forget_out(struct pg_session *session)
{
    if (session->copy_out == NULL)
        return;
    copy_writer_deinit(&session->copy_out->writer);
    memory_free(session->copy_out);
    session->copy_out = NULL;
}

enum err copy_run_out(struct pg_session *session, struct portal *portal, struct error *error)
{
    struct portal_outcome outcome;
    enum err err = portal_check_done(portal, error);
    if (err != OK)
        return err;
    if (session->copy_out == NULL)
        begin_out(session, portal_statement(portal));
    struct copy_out *copy = session->copy_out;
    const struct portal_sink sink = {.context = copy, .rows = write_rows, .may_stop = true};
    err = portal_run(portal, 0, &sink, &outcome, error);
    if (err == OK && outcome.is_stopped) {
        rows_stop(session, outcome.deadline_us);
        return OK;
    }
    if (err == OK) {
        char tag[40];
        end_out(copy);
        snprintf(tag, sizeof(tag), "COPY %llu", (unsigned long long)outcome.row_count);
        answer_complete(session, tag);
    } else if (copy->is_begun) {
        session->out.size = copy->message - 1; /* nobody sees half a message, nor its letter */
    }
    copy_forget_out(session);
    return err;
}

/* --- in --- */

enum err copy_begin(struct pg_session *session, struct portal *portal, bool is_simple,
                    struct error *error)
{
    struct ingest *ingest = session->options.ingest(session->options.context);
    struct budget *held;
    atomic_store(&session->is_copy_cancelled, false);
    enum err err = portal_check_done(portal, error);
    if (err == OK)
        err = portal_check_asker(portal, error);
    if (err == OK)
        err = session_hold(session->query, &held, error);
    if (err != OK)
        return err;
    const struct command *command = portal_statement(portal)->command;
    err = copy_begin_in(ingest, command, session_settings(session->query),
                        &session->is_copy_cancelled, held, &session->copy, error);
    if (err != OK)
        return err;
    portal_end(portal);
    session->copy_schema = schema_ref(command->schema);
    session->is_copy_held = held != NULL;
    session->is_copy_simple = is_simple;
    size_t begin = message_begin(&session->out, 'G');
    copy_print_response(command->copy->format, command->column_id_count, &session->out);
    message_end(&session->out, begin);
    answer_flush(session);
    return OK;
}

/* Back to READY, by an error if there is one. */
static void leave(struct pg_session *session, enum err result, struct error *error)
{
    uint64_t stored = ingest_copy_stored(session->copy);
    ingest_copy_destroy(session->copy);
    schema_unref(session->copy_schema);
    session->copy = NULL;
    session->copy_schema = NULL;
    if (result != OK) {
        if (stored > 0 && error->hint[0] == 0)
            error_hint(error, "The first %llu rows of this COPY are stored.",
                       (unsigned long long)stored);
        answer_error(session, error);
        session->skips_to_sync = !session->is_copy_simple;
    }
    if (session->is_copy_simple) {
        session_sync(session->query);
        answer_ready(session);
    }
}

static void finish(struct pg_session *session)
{
    struct ingest_copy_answer answer;
    struct error error;
    char tag[40];
    enum err err = ingest_copy_end(session->copy, &answer, &error);
    if (err != OK) {
        leave(session, err, &error);
        return;
    }
    struct writer text;
    writer_init(&text);
    if (copy_print_warning(&answer, session->is_copy_held, &text)) {
        writer_u8(&text, 0);
        answer_notice(session, "WARNING", "01000", (const char *)text.data);
    }
    writer_deinit(&text);
    if (session->is_copy_held)
        session_take(session->query, session->copy_schema, ingest_copy_take(session->copy));
    snprintf(tag, sizeof(tag), "COPY %llu", (unsigned long long)answer.rows);
    answer_complete(session, tag);
    leave(session, OK, NULL);
}

void copy_time_out(struct pg_session *session)
{
    struct error error;
    enum err err = error_set(&error, ERR_TIMEOUT, "57014",
                             "canceling statement due to statement timeout: nothing came in");
    leave(session, err, &error);
}

void copy_message(struct pg_session *session, const struct message *message)
{
    struct error error;
    enum err err = OK;
    bool is_data = message->type == 'd' || message->type == 'c';
    if (is_data && atomic_load(&session->is_copy_cancelled)) {
        err = error_set(&error, ERR_CANCELLED, "57014", "canceling statement due to user request");
        leave(session, err, &error);
        return;
    }
    if (is_data && login_check_insert(session, session->copy_schema, &error) != OK) {
        leave(session, error.code, &error);
        return;
    }
    switch (message->type) {
    case 'd':
        err = ingest_copy_feed(session->copy, message->body, &error);
        break;
    case 'c':
        finish(session);
        return;
    case 'f': {
        struct reader reader = reader_of(message->body);
        struct slice reason = message_text(&reader);
        err = error_set(&error, ERR_CANCELLED, "57014", "COPY from stdin failed: %.*s",
                        SLICE_ARGS(slice_cut(reason, 300)));
        break;
    }
    case 'H':
    case 'S':
        return;
    default:
        err = error_set(&error, ERR_INPUT, "08P01",
                        "unexpected message type 0x%02X during COPY from stdin",
                        (unsigned char)message->type);
    }
    if (err != OK)
        leave(session, err, &error);
}
