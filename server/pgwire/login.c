/* Who a session is: SCRAM-SHA-256 in PostgreSQL's messages, and the rights of its statements.
 *
 *   start-up packet ─▶ AuthenticationSASL: mechanisms
 *   SASLInitialResponse ─▶ are attempts left? ─▶ AuthenticationSASLContinue
 *   SASLResponse ─▶ are some left now? ─▶ right: AuthenticationSASLFinal, welcome
 *                                    └──▶ wrong: FATAL 28P01, one attempt less
 *
 * A name that is no role's goes the same way to the same end. Of the start-up packet only the names
 * are read before the password is proved; the rest waits. The time that all of it may take is the
 * connection's (login_timeout). An exchange that ends half-way is an attempt that failed, with its
 * line in the log. */
#include "server/pgwire/inside.h"

#include "server/access/access.h"
#include "server/access/crypto.h"
#include "server/access/scram.h"

#include <assert.h>

enum sasl { SASL_BEGIN = 10, SASL_CONTINUE = 11, SASL_FINAL = 12 }; /* of AuthenticationRequest */

struct entry {
    struct writer packet; /* the start-up packet's parameters */
    struct verifier verifier;
    struct scram scram;
    bool is_begun, is_over; /* the exchange, and access_login_end() has been told */
};

bool login_is_needed(const struct pg_session *session)
{
    return session->options.access != NULL && access_has_users(session->options.access);
}

static struct slice name_of(const struct pg_session *session)
{
    return slice_from_cstr(session->user);
}

static struct slice client_of(const struct pg_session *session)
{
    return slice_from_cstr(session->options.peer);
}

static void put_sasl(struct pg_session *session, enum sasl kind, struct slice text)
{
    size_t begin = message_begin(&session->out, 'R');
    message_put_u32(&session->out, kind);
    writer_slice(&session->out, text);
    message_end(&session->out, begin);
}

void login_begin(struct pg_session *session, struct slice packet)
{
    struct entry *login = memory_alloc_zero(sizeof(*login));
    struct writer names;
    session->login = login;
    session->state = PG_LOGIN;
    writer_init(&login->packet);
    writer_slice(&login->packet, packet);
    writer_init(&names);
    for (const char *const *name = scram_mechanisms(session->binding); *name != NULL; name++)
        message_put_text(&names, slice_from_cstr(*name));
    writer_u8(&names, 0);
    put_sasl(session, SASL_BEGIN, writer_as_slice(&names));
    writer_deinit(&names);
    answer_flush(session);
}

/* The attempt's end. LOGIN_OK: they are who they say. */
static enum login end_attempt(struct pg_session *session, bool is_right)
{
    struct entry *login = session->login;
    struct asker asker;
    assert(login->is_begun);
    assert(!login->is_over);
    login->is_over = true;
    enum login end = access_login_end(session->options.access, name_of(session), client_of(session),
                                      is_right, &login->verifier, &session->arena, &asker);
    session->known.id = end == LOGIN_OK ? asker.id : 0;
    return end;
}

void login_destroy(struct pg_session *session)
{
    struct entry *login = session->login;
    if (login == NULL)
        return;
    if (login->is_begun && !login->is_over)
        (void)end_attempt(session, false);
    if (login->is_begun)
        scram_deinit(&login->scram);
    crypto_wipe(&login->verifier, sizeof(login->verifier));
    writer_deinit(&login->packet);
    memory_free(login);
    session->login = NULL;
}

static enum err refuse_attempt(struct error *error)
{
    return error_set(error, ERR_BUSY, "28000", "too many attempts to log in");
}

/* Mechanism, length, the exchange's first message. */
static enum err initial(struct pg_session *session, struct slice body, struct writer *out,
                        struct error *error)
{
    struct entry *login = session->login;
    struct reader reader = reader_of(body);
    struct slice mechanism = message_text(&reader);
    uint32_t size = message_u32(&reader);
    struct slice text = slice_of((const char *)reader.data + reader.offset, reader_left(&reader));
    bool is_empty = size == UINT32_MAX && text.size == 0; /* none is sent along */
    if (reader.failed || is_empty || text.size != size)
        return answer_violation(error, "malformed SASL initial response");
    if (access_login_begin(session->options.access, name_of(session), client_of(session),
                           &login->verifier) != LOGIN_OK)
        return refuse_attempt(error);
    login->is_begun = true;
    scram_init(&login->scram, &login->verifier, session->binding, NULL);
    return scram_first(&login->scram, mechanism, text, out, error);
}

/* The start-up packet again, for what is behind the names. */
static void enter(struct pg_session *session)
{
    struct writer packet = session->login->packet;
    writer_init(&session->login->packet);
    login_destroy(session);
    session->is_somebody = true;
    startup_enter(session, writer_as_slice(&packet));
    writer_deinit(&packet);
}

static enum err final(struct pg_session *session, struct slice body, struct error *error)
{
    struct writer out;
    bool is_right;
    writer_init(&out);
    enum err err = scram_final(&session->login->scram, body, &is_right, &out, error);
    enum login end = end_attempt(session, err == OK && is_right);
    if (err == OK && end == LOGIN_LIMITED)
        err = refuse_attempt(error);
    else if (err == OK && end != LOGIN_OK)
        err = error_set(error, ERR_INPUT, "28P01", "password authentication failed for user \"%s\"",
                        session->user);
    if (err == OK) {
        put_sasl(session, SASL_FINAL, writer_as_slice(&out));
        enter(session);
    }
    writer_deinit(&out);
    return err;
}

static enum err respond(struct pg_session *session, const struct message *message,
                        struct error *error)
{
    struct writer out;
    if (message->type != 'p')
        return answer_violation(error, "expected SASL response");
    if (session->login->is_begun)
        return final(session, message->body, error);
    writer_init(&out);
    enum err err = initial(session, message->body, &out, error);
    if (err == OK) {
        put_sasl(session, SASL_CONTINUE, writer_as_slice(&out));
        answer_flush(session);
    }
    writer_deinit(&out);
    return err;
}

void login_message(struct pg_session *session, const struct message *message)
{
    struct error error;
    if (respond(session, message, &error) != OK) {
        login_destroy(session);
        answer_fatal(session, &error);
    }
}

/* They hold until the next call. */
static enum err ask(struct pg_session *session, const struct asker **out, struct error *error)
{
    *out = NULL;
    if (!login_is_needed(session))
        return OK;
    if (session->is_somebody)
        *out = access_ask(session->options.access, name_of(session), &session->known);
    if (*out == NULL)
        return error_set(error, ERR_INPUT, "28000",
                         session->is_somebody ? "the role of this session has been dropped"
                                              : "this server has users by now: connect again");
    return OK;
}

enum err login_asker(void *context, struct arena *arena, const struct asker **out,
                     struct error *error)
{
    enum err err = ask(context, out, error);
    if (err == OK && *out != NULL)
        *out = asker_copy(*out, arena); /* the statement may outlast the rights of now */
    return err;
}

bool login_may_see(struct pg_session *session, uint32_t table_id)
{
    const struct asker *asker;
    struct error ignored;
    return ask(session, &asker, &ignored) == OK && asker_rights(asker, table_id) != 0;
}

enum err login_check_insert(struct pg_session *session, const struct schema *schema,
                            struct error *error)
{
    const struct asker *asker;
    enum err err = ask(session, &asker, error);
    uint32_t rights = err == OK ? asker_rights(asker, schema->table_id) : 0;
    if (err != OK || (rights & RIGHT_INSERT) != 0)
        return err;
    if (rights == 0)
        return error_set(error, ERR_NOT_FOUND, "42P01", "relation \"%.*s\" does not exist",
                         SLICE_ARGS(schema->name));
    return error_set(error, ERR_INPUT, "42501", "permission denied for table %.*s",
                     SLICE_ARGS(schema->name));
}

bool login_is_admin(struct pg_session *session)
{
    const struct asker *asker;
    struct error ignored;
    return ask(session, &asker, &ignored) == OK && asker_is_admin(asker);
}
