/* What a session says that is no row: errors and notices, settings, ReadyForQuery. */
#include "server/pgwire/inside.h"

#include <stdio.h>

static void put_field(struct writer *out, char field, const char *text)
{
    writer_u8(out, (uint8_t)field);
    message_put_text(out, slice_from_cstr(text));
}

static void write_error(struct pg_session *session, const char *severity, const struct error *error)
{
    struct writer *out = &session->out;
    char position[24];
    size_t begin = message_begin(out, 'E');
    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', error->sqlstate);
    put_field(out, 'M', error->text);
    if (error->hint[0] != 0)
        put_field(out, 'H', error->hint);
    if (error->text_position > 0) {
        snprintf(position, sizeof(position), "%lld",
                 (long long)(error->text_position + session->text_position));
        put_field(out, 'P', position);
    }
    if (session->routine != NULL)
        put_field(out, 'R', session->routine);
    session->routine = NULL;
    writer_u8(out, 0);
    message_end(out, begin);
}

void answer_error(struct pg_session *session, const struct error *error)
{
    write_error(session, "ERROR", error);
    if (session->query != NULL)
        session_set_failed(session->query);
}

void answer_fatal(struct pg_session *session, const struct error *error)
{
    write_error(session, "FATAL", error);
    session->state = PG_ENDED;
    answer_flush(session);
}

void answer_notice(void *context, const char *severity, const char *sqlstate, const char *text)
{
    struct pg_session *session = context;
    struct writer *out = &session->out;
    size_t begin = message_begin(out, 'N');
    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', sqlstate);
    put_field(out, 'M', text);
    writer_u8(out, 0);
    message_end(out, begin);
}

enum err answer_violation(struct error *error, const char *what)
{
    return error_set(error, ERR_INPUT, "08P01", "%s", what);
}

void answer_bare(struct pg_session *session, char type)
{
    message_end(&session->out, message_begin(&session->out, type));
}

void answer_complete(struct pg_session *session, const char *tag)
{
    size_t begin = message_begin(&session->out, 'C');
    message_put_text(&session->out, slice_from_cstr(tag));
    message_end(&session->out, begin);
}

/* --- settings --- */

static void put_status(struct pg_session *session, const char *name, struct slice value)
{
    size_t begin = message_begin(&session->out, 'S');
    message_put_text(&session->out, slice_from_cstr(name));
    message_put_text(&session->out, value);
    message_end(&session->out, begin);
}

static void put_setting(struct pg_session *session, const char *name)
{
    struct arena scratch;
    arena_init(&scratch);
    put_status(session, name, session_show(session->query, slice_from_cstr(name), &scratch));
    arena_deinit(&scratch);
}

static void remember(struct pg_session *session)
{
    const struct settings *settings = session_settings(session->query);
    session->told_zone = settings->zone;
    session->told_read_only = settings->is_read_only_default;
    memcpy(session->told_name, settings->application_name, sizeof(session->told_name));
}

void answer_all_settings(struct pg_session *session)
{
    static const char *const names[] = {
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "IntervalStyle",
        "server_encoding",
        "TimeZone",
        "server_version",
        "standard_conforming_strings",
    };
    for (size_t i = 0; i < array_count(names); i++)
        put_setting(session, names[i]);
    put_status(session, "in_hot_standby", SLICE("off"));
    put_status(session, "integer_datetimes", SLICE("on"));
    put_status(session, "is_superuser", login_is_admin(session) ? SLICE("on") : SLICE("off"));
    put_status(session, "session_authorization", slice_from_cstr(session->user));
    remember(session);
}

/* The other settings that are told have one value only. */
static void answer_changed_settings(struct pg_session *session)
{
    const struct settings *settings = session_settings(session->query);
    if (settings->zone != session->told_zone)
        put_setting(session, "TimeZone");
    if (settings->is_read_only_default != session->told_read_only)
        put_setting(session, "default_transaction_read_only");
    if (strcmp(settings->application_name, session->told_name) != 0)
        put_setting(session, "application_name");
    remember(session);
}

/* --- the end of a turn --- */

void answer_flush(struct pg_session *session)
{
    struct error error;
    if (session->out.size == 0)
        return;
    /* A client that has gone is noticed by the loop. */
    (void)!session->options.send(session->options.context, writer_as_slice(&session->out), &error);
    writer_reset(&session->out);
}

void answer_ready(struct pg_session *session)
{
    answer_changed_settings(session);
    size_t begin = message_begin(&session->out, 'Z');
    writer_u8(&session->out, (uint8_t)session_state(session->query));
    message_end(&session->out, begin);
    answer_flush(session);
}
