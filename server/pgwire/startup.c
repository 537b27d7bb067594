/* How a connection begins: encryption asked for, cancel requests, the start-up packet.
 *
 * Unknown parameters are taken and forgotten, as drivers send names of their own; those that are
 * settings are set and must be right. Without users everybody may come in, by any name and to any
 * database; with users login.c asks for the password first. */
#include "server/pgwire/inside.h"

#include "server/net/listener.h"

#include <ctype.h>
#include <stdio.h>

static void copy_name(char out[SETTING_NAME_MAX], struct slice text)
{
    snprintf(out, SETTING_NAME_MAX, "%.*s", SLICE_ARGS(text));
}

/* --- parameters --- */

static enum err set_parameter(struct pg_session *session, struct slice name, struct slice value,
                              struct error *error)
{
    return setting_find(name) == NULL ? OK
                                      : session_set_initial(session->query, name, value, error);
}

/* The next word of `options`; a backslash takes what follows as it is. Empty at the end. */
static struct slice next_word(struct slice *rest, struct arena *arena)
{
    size_t at = 0, size = 0;
    while (at < rest->size && isspace((unsigned char)rest->data[at]))
        at++;
    char *word = arena_alloc(arena, rest->size + 1);
    while (at < rest->size && !isspace((unsigned char)rest->data[at])) {
        if (rest->data[at] == '\\' && at + 1 < rest->size)
            at++;
        word[size++] = rest->data[at++];
    }
    *rest = slice_of(rest->data + at, rest->size - at);
    return slice_of(word, size);
}

/* "-c name=value", "-cname=value", "--name=value"; with dashes for underscores. */
static enum err set_options(struct pg_session *session, struct slice options, struct error *error)
{
    for (;;) {
        struct slice word = next_word(&options, &session->arena);
        if (word.size == 0)
            return OK;
        bool is_switch = slice_starts_with(word, SLICE("-c"));
        bool is_long = slice_starts_with(word, SLICE("--"));
        if (is_switch && word.size == 2)
            word = next_word(&options, &session->arena);
        else if (is_switch || is_long)
            word = slice_of(word.data + 2, word.size - 2);
        const char *equals = memchr(word.data, '=', word.size);
        if (!(is_switch || is_long) || equals == NULL)
            return error_set(error, ERR_INPUT, "42601", "invalid command-line argument: %.*s",
                             (int)(word.size < 80 ? word.size : 80), word.data);
        char *name =
            arena_copy_cstr(&session->arena, slice_of(word.data, (size_t)(equals - word.data)));
        for (char *c = name; *c != 0; c++)
            *c = *c == '-' ? '_' : *c;
        struct slice value = slice_of(equals + 1, word.size - (size_t)(equals - word.data) - 1);
        enum err err = session_set_initial(session->query, slice_from_cstr(name), value, error);
        if (err != OK)
            return err;
    }
}

static enum err read_names(struct pg_session *session, struct reader body, struct error *error)
{
    for (;;) {
        struct slice name = message_text(&body);
        if (name.size == 0)
            break;
        struct slice value = message_text(&body);
        if (slice_equal(name, SLICE("user")))
            copy_name(session->user, value);
        else if (slice_equal(name, SLICE("database")))
            copy_name(session->database, value);
        else if (slice_equal(name, SLICE("replication")) && !slice_equal(value, SLICE("false")))
            return error_set(error, ERR_UNSUPPORTED, "0A000", "replication is not supported");
    }
    if (body.failed)
        return answer_violation(error, "invalid startup packet layout: expected terminator as "
                                       "last byte");
    if (session->user[0] == 0)
        return error_set(error, ERR_INPUT, "28000",
                         "no PostgreSQL user name specified in startup packet");
    if (session->database[0] == 0)
        memcpy(session->database, session->user, sizeof(session->database));
    return OK;
}

static enum err read_settings(struct pg_session *session, struct reader body, struct error *error)
{
    for (;;) {
        struct slice name = message_text(&body);
        if (name.size == 0)
            return OK;
        struct slice value = message_text(&body);
        enum err err = slice_equal(name, SLICE("options"))
                           ? set_options(session, value, error)
                           : set_parameter(session, name, value, error);
        if (err != OK)
            return err;
    }
}

/* A minor version or options of the protocol that we do not know: told, and gone on without. */
static void negotiate(struct pg_session *session, uint32_t code, struct reader body)
{
    struct writer names;
    uint32_t count = 0;
    writer_init(&names);
    for (;;) {
        struct slice name = message_text(&body);
        if (name.size == 0)
            break;
        (void)message_text(&body);
        if (!slice_starts_with(name, SLICE("_pq_.")))
            continue;
        message_put_text(&names, name);
        count++;
    }
    if (count > 0 || (code & 0xFFFF) > 0) {
        size_t begin = message_begin(&session->out, 'v');
        message_put_u32(&session->out, MESSAGE_CODE_PROTOCOL_3);
        message_put_u32(&session->out, count);
        writer_slice(&session->out, writer_as_slice(&names));
        message_end(&session->out, begin);
    }
    writer_deinit(&names);
}

/* --- coming in --- */

static void welcome(struct pg_session *session)
{
    size_t begin = message_begin(&session->out, 'R');
    message_put_u32(&session->out, 0); /* AuthenticationOk */
    message_end(&session->out, begin);
    answer_all_settings(session);
    begin = message_begin(&session->out, 'K');
    message_put_u32(&session->out, (uint32_t)session->backend.pid);
    message_put_u32(&session->out, session->backend.secret);
    message_end(&session->out, begin);
    session->state = PG_READY;
    if (session->options.logged_in != NULL)
        session->options.logged_in(session->options.context);
    answer_ready(session);
}

static bool is_encrypted(struct pg_session *session)
{
    const struct pg_session_options *options = &session->options;
    return options->is_encrypted != NULL &&
           options->is_encrypted(options->context, &session->binding);
}

static enum err begin_session(struct pg_session *session, struct reader body, struct error *error)
{
    struct query_engine *engine = session->options.engine(session->options.context);
    if (engine == NULL)
        return error_set(error, ERR_BUSY, "57P03", "the database system is starting up");
    session->backend.cancel = session_cancel_statement;
    session->backend.context = session;
    backends_add(session->options.backends, &session->backend);
    session->is_listed = true;
    session->query = query_session_create(&(struct query_session_options){
        .engine = engine,
        .user = slice_from_cstr(session->user),
        .client = slice_from_cstr(session->options.peer),
        .asker = login_asker,
        .backend_pid = session->backend.pid,
        .is_gone = session->options.is_gone,
        .notice = answer_notice,
        .context = session,
    });
    return read_settings(session, body, error);
}

void startup_enter(struct pg_session *session, struct slice parameters)
{
    struct error error;
    if (begin_session(session, reader_of(parameters), &error) == OK)
        welcome(session);
    else
        answer_fatal(session, &error);
}

static enum err check(struct pg_session *session, uint32_t code, struct reader body,
                      struct error *error)
{
    if (code >> 16 != 3)
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
                         code >> 16, code & 0xFFFF);
    enum err err = read_names(session, body, error);
    if (err != OK || !login_is_needed(session) || !session->options.is_tls_required ||
        is_encrypted(session) || listener_is_loopback_peer(session->options.peer))
        return err;
    err = error_set(error, ERR_UNSUPPORTED, "28000", "this server logs in by TLS only");
    error_hint(error, "Connect with sslmode=require, or better verify-full.");
    return err;
}

static void start(struct pg_session *session, uint32_t code, struct reader body)
{
    struct error error;
    struct slice parameters = slice_of((const char *)body.data + body.offset, reader_left(&body));
    if (check(session, code, body, &error) != OK) {
        answer_fatal(session, &error);
        return;
    }
    negotiate(session, code, body);
    if (login_is_needed(session))
        login_begin(session, parameters);
    else
        startup_enter(session, parameters);
}

static void cancel(struct pg_session *session, struct reader body)
{
    int32_t pid = (int32_t)message_u32(&body);
    uint32_t secret = message_u32(&body);
    if (!body.failed && reader_left(&body) == 0)
        (void)backends_cancel(session->options.backends, pid, secret);
    session->state = PG_ENDED; /* no answer, whatever came of it */
}

/* What stands behind a request for TLS was said before there was any: taking it for something that
 * was said in private would let anybody on the way put words in (CVE-2021-23214). */
static void encrypt(struct pg_session *session)
{
    struct error error;
    if (session->options.start_tls == NULL) {
        writer_u8(&session->out, 'N');
        answer_flush(session);
    } else if (is_encrypted(session)) {
        (void)answer_violation(&error, "TLS within TLS");
        answer_fatal(session, &error);
    } else if (session->is_followed || !session->options.start_tls(session->options.context)) {
        (void)answer_violation(&error, "received unencrypted data after SSL request");
        answer_fatal(session, &error);
    }
}

void startup_message(struct pg_session *session, struct slice text)
{
    struct reader body = reader_of(text);
    uint32_t code = message_u32(&body);
    switch (code) {
    case MESSAGE_CODE_SSL:
        encrypt(session);
        break;
    case MESSAGE_CODE_GSS:
        writer_u8(&session->out, 'N');
        answer_flush(session);
        break;
    case MESSAGE_CODE_CANCEL:
        cancel(session, body);
        break;
    default:
        start(session, code, body);
    }
}
