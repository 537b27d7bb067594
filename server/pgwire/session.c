/* A session: which message goes where. */
#include "server/pgwire/inside.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/worker.h"

/* For all that is done at once on the loop's thread. */
#define SHORT_US 1000
/* Of the messages that wait. */
#define SHOWN_MAX 4096

struct pg_session *pg_session_create(const struct pg_session_options *options)
{
    struct pg_session *session = memory_alloc_zero(sizeof(*session));
    session->options = *options;
    writer_init(&session->out);
    arena_init(&session->arena);
    access_known_init(&session->known);
    return session;
}

void pg_session_destroy(struct pg_session *session)
{
    if (session->is_listed)
        backends_remove(session->options.backends, &session->backend);
    login_destroy(session);
    ingest_copy_destroy(session->copy);
    schema_unref(session->copy_schema);
    copy_forget_out(session);
    query_session_destroy(session->query);
    writer_deinit(&session->out);
    arena_deinit(&session->arena);
    access_known_deinit(&session->known);
    memory_free(session);
}

/* Who has not logged in is heard but shortly. */
static size_t size_max(const struct pg_session *session)
{
    return session->state == PG_LOGIN ? MESSAGE_LOGIN_MAX : session->options.message_max;
}

static enum message_found next(const struct pg_session *session, struct slice input,
                               struct message *out)
{
    return session->state == PG_STARTUP ? message_first(input, out)
                                        : message_next(input, size_max(session), out);
}

size_t pg_session_wanted(const struct pg_session *session, struct slice input)
{
    return session->state == PG_STARTUP ? message_first_size(input)
                                        : message_next_size(input, size_max(session));
}

bool pg_session_has_ended(const struct pg_session *session)
{
    return session->state == PG_ENDED;
}

void session_cancel_statement(void *context)
{
    struct pg_session *session = context;
    struct query_session *query = session->query;
    atomic_store(&session->is_copy_cancelled, true);
    if (query != NULL)
        session_cancel(query);
    if (session->options.end_waiting != NULL)
        session->options.end_waiting(session->options.context);
}

/* --- what waits for others to end --- */

bool pg_session_is_query(const struct pg_session *session)
{
    return !session->skips_to_sync || fault_is("pgwire.sync_waits");
}

/* Up to the NUL or as far as it is there, and of whole characters. */
static struct slice shown_text(const struct reader *reader)
{
    struct slice text = slice_of(reader->data + reader->offset, reader_left(reader));
    const char *end = text.size == 0 ? NULL : memchr(text.data, 0, text.size);
    text.size = end == NULL ? text.size : (size_t)(end - text.data);
    text.size = utf8_validate(text);
    return text;
}

static struct slice bound_text(struct pg_session *session, struct slice name)
{
    struct prepared *prepared;
    struct error error;
    enum err err = session_find_prepared(session->query, name, &prepared, &error);
    return err == OK ? prepared->text : SLICE("");
}

static struct slice opened_text(struct pg_session *session, struct slice name)
{
    struct portal *portal;
    struct error error;
    enum err err = session_find_portal(session->query, name, &portal, &error);
    return err == OK ? portal_text(portal) : SLICE("");
}

/* The text that the first of these messages runs, as far as it is shown; data NULL: none does. */
static struct slice first_text(struct pg_session *session, struct slice input)
{
    struct reader messages = reader_of(input);
    while (reader_left(&messages) >= 5) {
        uint8_t type = reader_u8(&messages);
        uint32_t size = message_u32(&messages) - 4; /* a broken one is very large, and the last */
        size_t left = reader_left(&messages);
        struct slice body = reader_bytes(&messages, size < left ? size : left);
        struct reader reader = reader_of(body);
        if (type == 'P' || type == 'B')
            (void)message_text(&reader); /* the name of what it makes */
        if (type == 'Q' || type == 'P')
            return shown_text(&reader);
        if (type == 'B')
            return bound_text(session, message_text(&reader));
        if (type == 'E')
            return opened_text(session, message_text(&reader));
    }
    return (struct slice){NULL, 0};
}

/* A COPY, and a statement whose reader was behind, were under way before. */
int64_t pg_session_wait(struct pg_session *session, struct slice begun, struct slice input)
{
    uint8_t bytes[SHOWN_MAX];
    if (session->is_stopped)
        return session->stop_deadline_us;
    if (session->state != PG_READY || session->copy != NULL)
        return 0;
    size_t begun_size = begun.size < sizeof(bytes) ? begun.size : sizeof(bytes);
    size_t room = sizeof(bytes) - begun_size, more = input.size < room ? input.size : room;
    if (begun_size > 0)
        memcpy(bytes, begun.data, begun_size);
    if (more > 0)
        memcpy(bytes + begun_size, input.data, more);
    struct slice text = first_text(session, slice_of(bytes, begun_size + more));
    if (text.data == NULL)
        return 0;
    session_wait(session->query, text);
    return session_due_us(session->query);
}

bool pg_session_is_over(const struct pg_session *session)
{
    struct query_session *query = session->query;
    return query != NULL && (session_is_over(query) ||
                             (session->copy != NULL && atomic_load(&session->is_copy_cancelled)));
}

/* Who has not waited goes on to where the statement that is over ends, or what is skipped. */
static bool must_cut(const struct pg_session *session)
{
    return !session_is_waiting(session->query) &&
           (!session->skips_to_sync || fault_is("pgwire.sync_waits")) &&
           !fault_is("pgwire.others_go_on");
}

/* What a message has not run, none of those behind its end is. */
static void end_waiting(struct pg_session *session, char type)
{
    if (session->query != NULL && (type == 'Q' || type == 'S') && !fault_is("pgwire.waits_on"))
        session_end_waiting(session->query);
}

void pg_session_cancel(struct pg_session *session)
{
    atomic_store(&session->is_stopping, true);
    session_cancel_statement(session);
}

void pg_session_stop(struct pg_session *session)
{
    struct error error;
    if (session->state == PG_ENDED)
        return;
    error_set(&error, ERR_BUSY, "57P01", "terminating connection due to administrator command");
    answer_fatal(session, &error);
}

int64_t pg_session_due(const struct pg_session *session, int64_t idle_timeout_us)
{
    if (session->state != PG_READY)
        return 0;
    if (session->is_stopped)
        return session->stop_deadline_us;
    const struct settings *settings = session_settings(session->query);
    int64_t limit_us = session_state(session->query) == 'I' ? settings->idle_session_timeout_us
                                                            : settings->idle_transaction_timeout_us;
    if (session->copy != NULL)
        limit_us = settings->statement_timeout_us;
    else if (limit_us == 0)
        limit_us = idle_timeout_us;
    return limit_us == 0 ? 0 : clock_monotonic_us() + limit_us;
}

void pg_session_overdue(struct pg_session *session)
{
    struct error error;
    if (session->state != PG_READY || session->is_stopped)
        return;
    if (session->copy != NULL) {
        copy_time_out(session);
        answer_flush(session);
        return;
    }
    if (session_state(session->query) == 'I')
        error_set(&error, ERR_TIMEOUT, "57P05",
                  "terminating connection due to idle-session timeout");
    else
        error_set(&error, ERR_TIMEOUT, "25P03",
                  "terminating connection due to idle-in-transaction timeout");
    answer_fatal(session, &error);
}

static void refuse_message(struct pg_session *session, const struct message *message)
{
    struct error error;
    bool is_call = message->type == 'F';
    if (is_call)
        error_set(&error, ERR_UNSUPPORTED, "0A000", "the function call protocol is not supported");
    else
        error_set(&error, ERR_INPUT, "08P01", "invalid frontend message type %d",
                  (unsigned char)message->type);
    if (!is_call) {
        answer_fatal(session, &error);
        return;
    }
    answer_error(session, &error);
    answer_ready(session);
}

static void run_message(struct pg_session *session, const struct message *message)
{
    if (session->copy != NULL && message->type != 'X') {
        copy_message(session, message);
        return;
    }
    switch (message->type) {
    case 'Q':
        if (!session->skips_to_sync)
            simple_query(session, message->body);
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
    case 'H':
    case 'S':
        extended_message(session, message);
        break;
    case 'X':
        session->state = PG_ENDED;
        break;
    case 'd': /* left over from a COPY that failed */
    case 'c':
    case 'f':
        break;
    default:
        if (!session->skips_to_sync)
            refuse_message(session, message);
    }
}

/* What is left of the input waits, or is of no more use: a text of small messages can ask for much
 * more than it is long. */
static bool must_pause(const struct pg_session *session)
{
    const struct pg_session_options *options = &session->options;
    return atomic_load(&session->is_stopping) ||
           (options->is_gone != NULL && atomic_load(options->is_gone)) ||
           (options->is_behind != NULL && options->is_behind(options->context) &&
            !session->must_go_on);
}

size_t pg_session_feed(struct pg_session *session, struct slice input)
{
    size_t used = 0;
    struct message message;
    struct error error;
    /* Then it has not waited. */
    bool is_over = pg_session_is_over(session) || !pg_session_is_query(session);
    session->is_cut = false;
    session->is_resumed = session->is_stopped && !must_pause(session);
    session->is_stopped = session->is_stopped && !session->is_resumed;
    while (session->state != PG_ENDED && !must_pause(session)) {
        enum message_found found =
            next(session, slice_of(input.data + used, input.size - used), &message);
        if (found == MESSAGE_MORE)
            break;
        if (found == MESSAGE_BROKEN) {
            (void)answer_violation(&error, session->state == PG_STARTUP
                                               ? "invalid length of startup packet"
                                               : "invalid message length");
            answer_fatal(session, &error);
            break;
        }
        session->is_followed = used + message.size < input.size;
        if (session->state == PG_STARTUP)
            startup_message(session, message.body);
        else if (session->state == PG_LOGIN)
            login_message(session, &message);
        else
            run_message(session, &message);
        session->must_go_on = session->is_resumed = false;
        if (session->is_put_off || session->is_stopped)
            break;
        used += message.size;
        arena_reset(&session->arena);
        if (session->out.size >= SEND_AT)
            answer_flush(session);
        end_waiting(session, message.type);
        session->is_cut = is_over && must_cut(session);
        if (session->is_cut)
            break;
        worker_yield();
    }
    if (session->query != NULL)
        session_end_waiting(session->query);
    answer_flush(session);
    if (session->arena.total > SEND_AT) { /* an idle session is small */
        arena_deinit(&session->arena);
        arena_init(&session->arena);
    }
    if (session->out.capacity > SEND_AT) {
        writer_deinit(&session->out);
        writer_init(&session->out);
    }
    return used;
}

bool pg_session_is_cut(const struct pg_session *session)
{
    return session->is_cut;
}

size_t pg_session_feed_short(struct pg_session *session, struct slice input, bool *is_put_off)
{
    session_begin_short(session->query, clock_monotonic_us() + SHORT_US);
    session->is_short = true;
    size_t used = pg_session_feed(session, input);
    *is_put_off = session->is_put_off;
    session->is_short = session->is_put_off = false;
    session_end_short(session->query);
    return used;
}

void pg_session_rest(struct pg_session *session)
{
    arena_deinit(&session->arena);
    arena_init(&session->arena);
    if (session->out.size == 0) {
        writer_deinit(&session->out);
        writer_init(&session->out);
    }
}

void pg_session_hurry(struct pg_session *session)
{
    session->must_go_on = session->is_stopped;
}
