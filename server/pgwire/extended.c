/* The extended protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync.
 *
 * Each answers for itself; after an error all are skipped up to Sync. What Describe says of a
 * statement is known without values: the binder finds the types of parameters from where they
 * stand, but for those that Parse named. */
#include "server/pgwire/inside.h"

#include "server/pgwire/value.h"

#define PARAMETERS_ON_WIRE_MAX 65535

static enum err check_end(const struct reader *reader, struct error *error)
{
    return reader->failed || reader_left(reader) > 0
               ? answer_violation(error, "invalid message format")
               : OK;
}

static enum err parse(struct pg_session *session, struct reader reader, struct error *error)
{
    struct slice name = message_text(&reader);
    struct slice text = message_text(&reader);
    size_t count = message_u16(&reader);
    if (count * 4 != reader_left(&reader))
        return answer_violation(error, "invalid message format");
    uint32_t *oids = arena_alloc_array(&session->arena, count, sizeof(*oids));
    struct type *types = arena_alloc_array(&session->arena, count, sizeof(*types));
    for (size_t i = 0; i < count; i++) {
        oids[i] = message_u32(&reader);
        enum err err = value_parameter_type(oids[i], &types[i], error);
        if (err != OK)
            return err;
    }
    enum err err = check_end(&reader, error);
    if (err != OK)
        return err;
    struct prepared *prepared;
    const struct prepare_options options = {
        .name = name, .text = text, .type_count = count, .types = types, .oids = oids};
    err = session_prepare(session->query, &options, &prepared, error);
    if (err == OK)
        answer_bare(session, '1');
    return err;
}

/* --- Bind --- */

static enum err read_formats(struct reader *reader, struct arena *arena, size_t *count,
                             int16_t **out, struct error *error)
{
    *count = message_u16(reader);
    if (*count * 2 > reader_left(reader))
        return answer_violation(error, "invalid message format");
    *out = arena_alloc_array(arena, *count, sizeof(**out));
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = (int16_t)message_u16(reader);
        if ((*out)[i] != VALUE_TEXT && (*out)[i] != VALUE_BINARY)
            return error_set(error, ERR_INPUT, "22023", "invalid format code: %d", (*out)[i]);
    }
    return OK;
}

struct bind_formats {
    size_t count;
    int16_t *list;
};

static enum err read_value(struct pg_session *session, const struct prepared *prepared,
                           size_t index, enum value_format format, struct reader *reader,
                           struct query_parameter *out, struct error *error)
{
    const struct statement *statement = prepared->statement;
    uint32_t size = message_u32(reader);
    struct value_given given = {
        .oid = index < prepared->type_count ? prepared->oids[index] : 0,
        .format = format,
        .is_null = size == UINT32_MAX,
    };
    if (!given.is_null)
        given.bytes = reader_bytes(reader, size);
    if (reader->failed)
        return answer_violation(error, "insufficient data left in message");
    const struct text_context text = {.zone = session_settings(session->query)->zone};
    return value_parameter(index + 1, &given, statement->parameters[index].type, &text,
                           &session->arena, out, error);
}

static enum err read_values(struct pg_session *session, const struct prepared *prepared,
                            const struct bind_formats *formats, struct reader *reader,
                            struct query_parameter **out, size_t *count, struct error *error)
{
    size_t wanted = prepared->statement == NULL ? 0 : prepared->statement->numbered_count;
    *count = message_u16(reader);
    if (formats->count > 1 && formats->count != *count)
        return error_set(error, ERR_INPUT, "08P01",
                         "bind message has %zu parameter formats but %zu parameters",
                         formats->count, *count);
    if (*count != wanted)
        return error_set(error, ERR_INPUT, "08P01",
                         "bind message supplies %zu parameters, but prepared statement \"%.*s\" "
                         "requires %zu",
                         *count, SLICE_ARGS(prepared->name), wanted);
    *out = arena_alloc_zero(&session->arena, (*count + 1) * sizeof(**out));
    for (size_t i = 0; i < *count; i++) {
        int16_t format = formats->count == 0   ? VALUE_TEXT
                         : formats->count == 1 ? formats->list[0]
                                               : formats->list[i];
        enum err err =
            read_value(session, prepared, i, (enum value_format)format, reader, &(*out)[i], error);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err check_result_formats(struct pg_session *session, const struct prepared *prepared,
                                     size_t count, struct error *error)
{
    struct plan_column line;
    const struct plan_column *columns;
    size_t width = prepared->statement == NULL
                       ? 0
                       : session_columns(session->query, prepared->statement, &line, &columns);
    if (count <= 1 || count == width)
        return OK;
    return error_set(error, ERR_INPUT, "08P01",
                     "bind message has %zu result formats but query has %zu columns", count, width);
}

static enum err bind(struct pg_session *session, struct reader reader, struct error *error)
{
    struct slice name = message_text(&reader);
    struct slice source = message_text(&reader);
    struct prepared *prepared;
    struct bind_formats formats, results;
    struct query_parameter *values = NULL;
    size_t count = 0;
    enum err err = session_find_prepared(session->query, source, &prepared, error);
    if (err == OK)
        err = read_formats(&reader, &session->arena, &formats.count, &formats.list, error);
    if (err == OK)
        err = read_values(session, prepared, &formats, &reader, &values, &count, error);
    if (err == OK)
        err = read_formats(&reader, &session->arena, &results.count, &results.list, error);
    if (err == OK)
        err = check_end(&reader, error);
    if (err == OK)
        err = check_result_formats(session, prepared, results.count, error);
    if (err != OK)
        return err;
    struct portal *portal;
    const struct portal_options options = {
        .name = name,
        .prepared = prepared,
        .parameter_count = count,
        .parameters = values,
        .format_count = results.count,
        .formats = results.list,
    };
    err = portal_open(session->query, &options, &portal, error);
    if (err == OK)
        answer_bare(session, '2');
    return err;
}

/* --- the others --- */

static void describe_parameters(struct pg_session *session, const struct prepared *prepared)
{
    struct writer *out = &session->out;
    const struct statement *statement = prepared->statement;
    size_t count = statement == NULL ? 0 : statement->numbered_count;
    size_t begin = message_begin(out, 't');
    message_put_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        uint32_t given = i < prepared->type_count ? prepared->oids[i] : 0;
        bool is_named = given != 0 && given != OID_UNKNOWN;
        message_put_u32(out, is_named ? given : value_describe(statement->parameters[i].type).oid);
    }
    message_end(out, begin);
}

/* COPY tells of its columns by itself. */
static void describe_rows(struct pg_session *session, const struct statement *statement,
                          const struct portal *portal)
{
    bool is_copy = statement != NULL && copy_is_out(statement);
    rows_describe(session, is_copy ? NULL : statement, portal);
}

/* pgjdbc tells by the routine's name that it may prepare the statement anew and go on. */
static enum err start(struct pg_session *session, struct portal *portal, struct error *error)
{
    enum err err = portal_start(portal, error);
    if (err != OK && portal_is_outdated(portal))
        session->routine = "RevalidateCachedQuery";
    return err;
}

static enum err describe(struct pg_session *session, struct reader reader, struct error *error)
{
    uint8_t kind = reader_u8(&reader);
    struct slice name = message_text(&reader);
    struct prepared *prepared;
    struct portal *portal;
    enum err err = check_end(&reader, error);
    if (err == OK && kind != 'S' && kind != 'P')
        err = answer_violation(error, "invalid DESCRIBE message subtype");
    if (err == OK && kind == 'S') {
        err = session_find_prepared(session->query, name, &prepared, error);
        if (err == OK) {
            describe_parameters(session, prepared);
            describe_rows(session, prepared->statement, NULL);
        }
        return err;
    }
    if (err == OK)
        err = session_find_portal(session->query, name, &portal, error);
    if (err == OK)
        err = start(session, portal, error);
    if (err == OK)
        describe_rows(session, portal_statement(portal), portal);
    return err;
}

static enum err execute(struct pg_session *session, struct reader reader, struct error *error)
{
    struct slice name = message_text(&reader);
    int32_t max_rows = (int32_t)message_u32(&reader);
    struct portal *portal;
    enum err err = check_end(&reader, error);
    if (err == OK)
        err = session_find_portal(session->query, name, &portal, error);
    if (err != OK)
        return err;
    if (portal_is_empty(portal)) {
        answer_bare(session, 'I');
        return OK;
    }
    err = start(session, portal, error);
    if (err == OK && copy_is_in(portal_statement(portal)))
        return copy_begin(session, portal, false, error);
    if (err == OK && copy_is_out(portal_statement(portal)))
        return copy_run_out(session, portal, error);
    return err != OK ? err
                     : rows_run(session, portal, max_rows > 0 ? (uint64_t)max_rows : 0, error);
}

static enum err close_one(struct pg_session *session, struct reader reader, struct error *error)
{
    uint8_t kind = reader_u8(&reader);
    struct slice name = message_text(&reader);
    enum err err = check_end(&reader, error);
    if (err == OK && kind != 'S' && kind != 'P')
        err = answer_violation(error, "invalid CLOSE message subtype");
    if (err != OK)
        return err;
    if (kind == 'S')
        session_close_prepared(session->query, name);
    else
        session_close_portal(session->query, name);
    answer_bare(session, '3');
    return OK;
}

static enum err run_message(struct pg_session *session, const struct message *message,
                            struct error *error)
{
    struct reader reader = reader_of(message->body);
    switch (message->type) {
    case 'P':
        return parse(session, reader, error);
    case 'B':
        return bind(session, reader, error);
    case 'D':
        return describe(session, reader, error);
    case 'E':
        return execute(session, reader, error);
    default:
        return close_one(session, reader, error);
    }
}

/* --- what is short --- */

/* Bind, Describe and Execute of one portal after the other, all of statements that were short when
 * they ran before. */
bool pg_session_is_short(const struct pg_session *session, struct slice input)
{
    struct slice bound = SLICE("");
    bool is_bound = false;
    struct message message;
    if (session->state != PG_READY || session->skips_to_sync || session->copy != NULL)
        return false;
    for (size_t at = 0; at < input.size; at += message.size) {
        struct slice rest = slice_of(input.data + at, input.size - at);
        if (message_next(rest, session->options.message_max, &message) != MESSAGE_WHOLE)
            return false;
        struct reader reader = reader_of(message.body);
        switch (message.type) {
        case 'B':
            bound = message_text(&reader);
            is_bound = session_is_short(session->query, message_text(&reader));
            if (!is_bound)
                return false;
            break;
        case 'D':
            if (!is_bound || reader_u8(&reader) != 'P' ||
                !slice_equal(message_text(&reader), bound))
                return false;
            break;
        case 'E':
            if (!is_bound || !slice_equal(message_text(&reader), bound))
                return false;
            is_bound = false;
            break;
        case 'H':
        case 'S':
            break;
        default:
            return false;
        }
    }
    return true;
}

void extended_message(struct pg_session *session, const struct message *message)
{
    struct error error;
    size_t begin = session->out.size;
    if (message->type == 'S') {
        session->skips_to_sync = false;
        session_sync(session->query);
        answer_ready(session);
    } else if (session->skips_to_sync) {
        return;
    } else if (message->type == 'H') {
        answer_flush(session);
    } else if (run_message(session, message, &error) == OK) {
        return;
    } else if (session->is_short && session_is_put_off(session->query)) {
        session->out.size = begin; /* a job does it anew */
        session->is_put_off = true;
    } else {
        answer_error(session, &error);
        session->skips_to_sync = true;
    }
}
