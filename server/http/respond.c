/* Answers: texts, problems, reasons. Everything of an exchange that does not need the transport. */
#include "server/http/exchange.h"

#include "query/query.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void http_refusal_json(int status, size_t body_max, struct writer *out)
{
    struct error error;
    if (status == 413) {
        (void)error_set(&error, ERR_LIMIT, "54000",
                        "the body is larger than %zu bytes, the setting body_max", body_max);
        error_hint(&error, "Send smaller batches; freshet load splits files of any size.");
    } else {
        (void)error_set(&error, ERR_INPUT, "08P01", "the request is not well-formed HTTP/1.1");
    }
    query_error_json(&error, status, NULL, out);
}

enum http_method http_method_of(struct slice name)
{
    static const struct {
        struct slice name;
        enum http_method method;
    } methods[] = {
        {{"GET", 3}, HTTP_GET},       {{"POST", 4}, HTTP_POST},       {{"HEAD", 4}, HTTP_HEAD},
        {{"DELETE", 6}, HTTP_DELETE}, {{"OPTIONS", 7}, HTTP_OPTIONS},
    };
    for (size_t i = 0; i < array_count(methods); i++) {
        if (slice_equal(methods[i].name, name)) {
            return methods[i].method;
        }
    }
    return HTTP_OTHER;
}

void exchange_add_header(struct exchange *exchange, const char *name, const char *format, ...)
{
    assert(exchange->header_count < EXCHANGE_HEADERS_MAX);
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert(size >= 0);
    size_t kept = (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1;
    /* Values come from clients here and there: a line break in one would be a header of theirs. */
    for (size_t i = 0; i < kept; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            text[i] = ' ';
        }
    }
    exchange->headers[exchange->header_count++] = (struct exchange_header){
        .name = slice_from_cstr(name),
        .value = arena_copy(&exchange->arena, slice_of(text, kept)),
    };
}

void exchange_answer_text(struct exchange *exchange, int status, const char *content_type,
                          struct slice text)
{
    exchange->status = status;
    exchange->content_type = slice_from_cstr(content_type);
    writer_slice(&exchange->content, text);
    exchange_answer(exchange);
}

static bool has_header(const struct exchange *exchange, struct slice name)
{
    for (size_t i = 0; i < exchange->header_count; i++) {
        if (slice_equal(exchange->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

void exchange_answer_error(struct exchange *exchange, int status, const struct error *error,
                           const char *query_id)
{
    assert(status >= 400);
    exchange->status = status;
    exchange->content_type = SLICE("application/problem+json");
    writer_reset(&exchange->content);
    query_error_json(error, status, query_id, &exchange->content);
    bool wants_retry = status == 429 || status == 503 || status == 507;
    if (wants_retry && !has_header(exchange, SLICE("retry-after"))) {
        exchange_add_header(exchange, "retry-after", "%d", status == 507 ? 5 : 1);
    }
    exchange_answer(exchange);
}

void exchange_answer_problem(struct exchange *exchange, int status, const char *sqlstate,
                             const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct error error;
    enum err code = status == 404   ? ERR_NOT_FOUND
                    : status == 503 ? ERR_BUSY
                    : status == 501 ? ERR_UNSUPPORTED
                                    : ERR_INPUT;
    (void)error_set(&error, code, sqlstate, "%s", text);
    exchange_answer_error(exchange, status, &error, NULL);
}
