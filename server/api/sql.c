/* POST and GET /v1/sql, DELETE /v1/sql/{query_id}: text or JSON to a query_request, its answer to a
 * reply.
 *
 * The request is read in the worker job (a body may be large), then query_run() does everything in
 * the same job. The result comes back whole, so the head is only sent when the result is certain:
 * nothing that failed is ever 200. */
#include "server/api/sql.h"

#include "server/api/api.h"

#include "server/app.h"
#include "server/http/target.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/base/metrics.h"
#include "storage/base/number.h"

#include <assert.h>
#include <stdio.h>

#define SETTINGS_MAX 32

static enum err wrong(struct error *error, const char *sqlstate, const char *text)
{
    return error_set(error, ERR_INPUT, sqlstate, "%s", text);
}

#define FIELD_SHOWN 80 /* bytes of a name in messages */

static enum err twice(struct error *error, const char *what, struct slice name)
{
    return error_set(error, ERR_INPUT, "22023", "%s \"%.*s\" is given twice", what,
                     (int)(name.size < FIELD_SHOWN ? name.size : FIELD_SHOWN), name.data);
}

static enum err read_format(struct slice name, enum result_format *out, struct error *error)
{
    if (slice_equal(name, SLICE("json"))) {
        *out = RESULT_JSON;
    } else if (slice_equal(name, SLICE("ndjson"))) {
        *out = RESULT_NDJSON;
    } else if (slice_equal(name, SLICE("csv"))) {
        *out = RESULT_CSV;
    } else if (slice_equal(name, SLICE("arrow"))) {
        return error_set(error, ERR_UNSUPPORTED, NULL, "the format arrow is not there yet");
    } else {
        return wrong(error, "22023", "the format is json, ndjson or csv");
    }
    return OK;
}

/* The first media type of the list that we know; weights are not weighed. JSON where nothing fits.
 */
static enum err read_accept(struct slice accept, enum result_format *out, struct error *error)
{
    while (accept.size > 0) {
        const char *comma = memchr(accept.data, ',', accept.size);
        size_t size = comma == NULL ? accept.size : (size_t)(comma - accept.data);
        const char *semicolon = memchr(accept.data, ';', size);
        struct slice type = slice_trim(
            slice_of(accept.data, semicolon == NULL ? size : (size_t)(semicolon - accept.data)));
        if (slice_equal_ignore_case(type, SLICE("application/json")) ||
            slice_equal(type, SLICE("*/*"))) {
            *out = RESULT_JSON;
            return OK;
        }
        if (slice_equal_ignore_case(type, SLICE("application/x-ndjson")) ||
            slice_equal_ignore_case(type, SLICE("application/ndjson"))) {
            *out = RESULT_NDJSON;
            return OK;
        }
        if (slice_equal_ignore_case(type, SLICE("text/csv"))) {
            *out = RESULT_CSV;
            return OK;
        }
        if (slice_starts_with(type, SLICE("application/vnd.apache.arrow"))) {
            return error_set(error, ERR_UNSUPPORTED, NULL, "the format arrow is not there yet");
        }
        size += comma == NULL ? 0 : 1;
        accept = slice_of(accept.data + size, accept.size - size);
    }
    *out = RESULT_JSON;
    return OK;
}

/* A whole number as a JSON number, or as text where 64 bits do not fit a double. */
static enum err read_count(const struct json_value *value, const char *name, int64_t max,
                           int64_t *out, struct error *error)
{
    if ((value->kind == JSON_NUMBER || value->kind == JSON_STRING) &&
        int_parse(value->text, 0, max, "bigint", out, error) == OK) {
        return OK;
    }
    return error_set(error, ERR_INPUT, "22023", "%s must be a whole number of 0 or more", name);
}

static enum err read_text(const struct json_value *value, const char *name, struct slice *out,
                          struct error *error)
{
    if (value->kind != JSON_STRING) {
        return error_set(error, ERR_INPUT, "22023", "%s must be a text", name);
    }
    *out = value->text;
    return OK;
}

static enum err read_settings(const struct json_value *value, struct query_request *request,
                              struct arena *arena, struct error *error)
{
    if (value->kind != JSON_OBJECT_BEGIN || value->count > SETTINGS_MAX) {
        return wrong(error, "22023", "settings must be an object of at most 32 names");
    }
    struct query_setting *settings = arena_alloc_array(arena, value->count, sizeof(*settings));
    size_t count = 0;
    for (const struct json_value *at = value->child; at != NULL; at = at->next) {
        struct slice text = at->kind == JSON_TRUE    ? SLICE("on")
                            : at->kind == JSON_FALSE ? SLICE("off")
                                                     : at->text;
        bool is_scalar = at->kind == JSON_STRING || at->kind == JSON_NUMBER ||
                         at->kind == JSON_TRUE || at->kind == JSON_FALSE;
        if (!is_scalar) {
            return wrong(error, "22023",
                         "the value of a setting must be a text, a number or a boolean");
        }
        for (size_t index = 0; index < count; index++) {
            if (slice_equal(settings[index].name, at->key)) {
                return twice(error, "the setting", at->key);
            }
        }
        settings[count++] = (struct query_setting){.name = at->key, .value = text};
    }
    request->settings = settings;
    request->setting_count = count;
    return OK;
}

enum field {
    FIELD_QUERY,
    FIELD_PARAMS,
    FIELD_FORMAT,
    FIELD_TIMEOUT,
    FIELD_QUERY_ID,
    FIELD_MAX_ROWS,
    FIELD_AT_LEAST,
    FIELD_SETTINGS,
    FIELD_COUNT
};

static const char *const fields[FIELD_COUNT] = {
    [FIELD_QUERY] = "query",        [FIELD_PARAMS] = "params",     [FIELD_FORMAT] = "format",
    [FIELD_TIMEOUT] = "timeout_ms", [FIELD_QUERY_ID] = "query_id", [FIELD_MAX_ROWS] = "max_rows",
    [FIELD_AT_LEAST] = "at_least",  [FIELD_SETTINGS] = "settings",
};

static enum err find_field(struct slice key, enum field *out, struct error *error)
{
    for (size_t index = 0; index < FIELD_COUNT; index++) {
        if (slice_equal(key, slice_from_cstr(fields[index]))) {
            *out = (enum field)index;
            return OK;
        }
    }
    return error_set(error, ERR_INPUT, "42704", "there is no field \"%.*s\"",
                     (int)(key.size < FIELD_SHOWN ? key.size : FIELD_SHOWN), key.data);
}

static enum err read_params(struct slice text, struct sql_reader *reader, struct error *error)
{
    struct query_parameter *list;
    enum err result =
        parameters_from_json(text, reader->arena, &list, &reader->request->parameter_count, error);
    reader->request->parameters = list;
    return result;
}

/* A field once in a request, by whichever way. */
static enum err read_member(struct sql_reader *reader, const struct json_value *member,
                            struct error *error)
{
    struct query_request *request = reader->request;
    struct slice text = {NULL, 0};
    int64_t count;
    enum field field = FIELD_COUNT;
    enum err result = find_field(member->key, &field, error);
    if (result == OK && (reader->given >> field & 1) != 0) {
        result = twice(error, "the field", member->key);
    }
    if (result != OK) {
        return result;
    }
    reader->given |= 1u << field;
    if (member->kind == JSON_NULL && field != FIELD_QUERY) {
        return OK;
    }
    switch (field) {
    case FIELD_QUERY:
        return read_text(member, "query", &request->text, error);
    case FIELD_PARAMS:
        return read_params(member->text, reader, error);
    case FIELD_FORMAT:
        result = read_text(member, "format", &text, error);
        return result != OK ? result : read_format(text, &request->format, error);
    case FIELD_TIMEOUT: /* 0: none, as statement_timeout */
        result = read_count(member, "timeout_ms", INT64_MAX / 1000, &count, error);
        request->timeout_us = result == OK ? count * 1000 : -1;
        return result;
    case FIELD_QUERY_ID:
        result = read_text(member, "query_id", &request->query_id, error);
        bool fits = request->query_id.size > 0 && request->query_id.size < 40;
        return result != OK ? result
               : fits       ? OK
                            : wrong(error, "22023", "query_id has 1 to 39 bytes");
    case FIELD_MAX_ROWS:
        return read_count(member, "max_rows", INT64_MAX, &request->max_rows, error);
    case FIELD_AT_LEAST:
        result = read_count(member, "at_least", INT64_MAX, &count, error);
        request->at_least = result == OK ? (uint64_t)count : 0;
        return result;
    case FIELD_SETTINGS:
        return read_settings(member, request, reader->arena, error);
    case FIELD_COUNT:
        break;
    }
    return OK;
}

static enum err not_json(const struct json_parser *parser, struct error *error)
{
    size_t position = utf8_count(slice_of(parser->data, parser->offset)) + 1;
    error_set(error, ERR_INPUT, "22P02", "invalid JSON: %s at character %zu",
              parser->error_text == NULL ? "the end came too early" : parser->error_text, position);
    error->text_position = (int64_t)position;
    return ERR_INPUT;
}

/* A member's value: a tree, but params stay text, for there may be a million of them. */
static enum err read_body_member(struct json_parser *parser, struct sql_reader *reader,
                                 struct error *error)
{
    struct arena *arena = reader->arena;
    struct slice key;
    if (!json_unescape(parser->text, arena, &key)) {
        return wrong(error, "22P02", "invalid JSON: a key that is not a text");
    }
    enum json_token token = json_next(parser);
    size_t begin = parser->token_offset;
    struct slice inner = parser->text;
    if (token == JSON_ERROR || token == JSON_END || !json_skip(parser, token)) {
        return not_json(parser, error);
    }
    struct slice text = slice_of(parser->data + begin, parser->offset - begin);
    struct json_value member = {.kind = token, .text = text};
    struct json_value *parsed = &member;
    bool is_params = slice_equal(key, SLICE("params"));
    bool is_text = !is_params && token == JSON_STRING && json_unescape(inner, arena, &member.text);
    enum err result = OK;
    if (!is_params && !is_text) {
        struct slice until = slice_of(parser->data, parser->offset);
        result = json_parse_rest(until, begin, arena, 16, &parsed, error);
    }
    if (result != OK) {
        return result;
    }
    parsed->key = key;
    return read_member(reader, parsed, error);
}

static enum err read_json(struct slice body, struct sql_reader *reader, struct error *error)
{
    struct json_parser parser;
    json_parser_init(&parser, body, 1000);
    enum json_token token = json_next(&parser);
    if (token == JSON_ERROR || token == JSON_END) {
        return not_json(&parser, error);
    }
    if (token != JSON_OBJECT_BEGIN) {
        return wrong(error, "22023", "the body must be a JSON object");
    }
    while ((token = json_next(&parser)) == JSON_KEY) {
        enum err result = read_body_member(&parser, reader, error);
        if (result != OK) {
            return result;
        }
    }
    if (token != JSON_OBJECT_END || json_next(&parser) != JSON_END) {
        return not_json(&parser, error);
    }
    return reader->request->text.data == NULL
               ? wrong(error, "22023", "the field \"query\" is missing")
               : OK;
}

enum err sql_read_field(struct sql_reader *reader, struct slice name, struct slice value,
                        struct error *error)
{
    struct json_value member = {.kind = JSON_STRING, .text = value, .key = name};
    return read_member(reader, &member, error);
}

static enum err read_target(struct exchange *exchange, struct sql_reader *reader,
                            struct error *error)
{
    struct slice rest = exchange->query;
    struct target_parameter parameter;
    enum err result;
    while ((result = target_next_parameter(&rest, &exchange->arena, &parameter, error)) == OK) {
        /* The same names as in a JSON body, so that a GET can say what a POST can. */
        struct slice name =
            slice_equal(parameter.name, SLICE("q")) ? SLICE("query") : parameter.name;
        if (slice_equal(name, SLICE("query")) && exchange->method != HTTP_GET) {
            return wrong(error, "22023", "a POST has its query in the body");
        }
        result = sql_read_field(reader, name, parameter.value, error);
        if (result != OK) {
            return result;
        }
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

/* Anything that is not JSON by its type is SQL as text: curl's default type must work. */
static bool is_json(struct exchange *exchange)
{
    struct slice type = exchange_request_header(exchange, "content-type");
    const char *semicolon = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    type.size = semicolon == NULL ? type.size : (size_t)(semicolon - type.data);
    if (slice_equal_ignore_case(slice_trim(type), SLICE("application/json"))) {
        return true;
    }
    struct slice body = slice_trim(exchange->body);
    return body.size > 0 && body.data[0] == '{'; /* no SQL statement begins so */
}

struct query_request sql_request(struct exchange *exchange)
{
    return (struct query_request){
        .timeout_us = -1,
        .max_rows = -1,
        .asker = exchange->asker,
        .user = exchange->asker == NULL ? SLICE("") : exchange->asker->name,
        .client = exchange_client(exchange),
        .arrived_us = exchange->begin_us,
        .is_cancelled = &exchange->is_cancelled,
    };
}

enum err sql_read_accept(struct exchange *exchange, struct query_request *request,
                         struct error *error)
{
    return read_accept(exchange_request_header(exchange, "accept"), &request->format, error);
}

static enum err read_request(struct exchange *exchange, struct query_request *request,
                             struct error *error)
{
    struct sql_reader reader = {.request = request, .arena = &exchange->arena};
    enum err result = sql_read_accept(exchange, request, error);
    result = result != OK ? result : read_target(exchange, &reader, error);
    if (result != OK) {
        return result;
    }
    if (exchange->method == HTTP_GET) {
        request->is_read_only = true;
        return request->text.data == NULL ? wrong(error, "22023", "the parameter q is missing")
                                          : OK;
    }
    if (is_json(exchange)) {
        return read_json(exchange->body, &reader, error);
    }
    request->text = exchange->body;
    return OK;
}

static void answer_failed(struct exchange *exchange, struct query_answer *answer, bool is_read_only)
{
    int status = sqlstate_http_status(answer->error.sqlstate);
    if (is_read_only && strcmp(answer->error.sqlstate, "25006") == 0) {
        exchange_add_header(exchange, "allow", "POST");
        status = 405;
    } else if (answer->result == ERR_BUSY || strncmp(answer->error.sqlstate, "57P", 3) == 0) {
        status = 503;
    }
    writer_deinit(&answer->body);
    exchange_answer_error(exchange, status < 400 ? 500 : status, &answer->error, answer->query_id);
}

void sql_answer(struct exchange *exchange, const struct query_request *request)
{
    static const char *const types[] = {
        [RESULT_JSON] = "application/json",
        [RESULT_NDJSON] = "application/x-ndjson",
        [RESULT_CSV] = "text/csv; charset=utf-8; header=present",
    };
    struct app *app = exchange->context;
    struct query_answer answer = {0};
    writer_init(&answer.body);
    if (query_run(app->engine, request, &answer) != OK) {
        answer_failed(exchange, &answer, request->is_read_only);
        return;
    }
    exchange->status = 200;
    exchange->content_type =
        slice_from_cstr(answer.format == RESULT_COPY ? answer.content_type : types[answer.format]);
    exchange_add_header(exchange, "freshet-query-id", "%s", answer.query_id);
    writer_deinit(&exchange->content);
    exchange->content = answer.body;
    exchange_answer(exchange);
}

static bool is_coded(const struct exchange *exchange)
{
    struct slice coding = exchange_request_header(exchange, "content-encoding");
    return coding.size > 0 && !slice_equal_ignore_case(coding, SLICE("identity"));
}

void api_sql_wait(struct exchange *exchange)
{
    struct app *app = exchange->context;
    struct query_request *request = arena_alloc(&exchange->arena, sizeof(*request));
    struct error error; /* api_sql() meets it again, and says so */
    *request = sql_request(exchange);
    if (!is_coded(exchange) && read_request(exchange, request, &error) == OK) {
        exchange->waiting = query_wait(app->engine, request, &exchange->arena);
    }
}

void api_sql(struct exchange *exchange)
{
    struct query_request request = sql_request(exchange);
    struct error error;
    if (is_coded(exchange)) {
        exchange_answer_problem(exchange, 415, "0A000", "SQL is taken without Content-Encoding");
        return;
    }
    enum err result = read_request(exchange, &request, &error);
    if (result != OK) {
        assert(exchange->waiting == NULL); /* then it was read before */
        exchange_answer_error(exchange, sqlstate_http_status(error.sqlstate), &error, NULL);
        return;
    }
    request.waiting = exchange->waiting;
    sql_answer(exchange, &request);
}

void api_sql_cancel(struct exchange *exchange)
{
    struct app *app = exchange->context;
    struct error error;
    if (query_cancel(app->engine, exchange->argument, exchange->asker, &error) != OK) {
        exchange_answer_error(exchange, 404, &error, NULL);
        return;
    }
    struct writer *out = &exchange->content;
    writer_cstr(out, "{\"query_id\":");
    json_write_string(out, exchange->argument);
    writer_cstr(out, ",\"cancelled\":true}");
    exchange->status = 200;
    exchange->content_type = SLICE("application/json");
    exchange_answer(exchange);
}
