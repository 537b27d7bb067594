/* Answers: texts, problems, reasons. Everything of an exchange that does not need the transport,
 * and the door to it for what does. */
#include "server/http/exchange.h"

#include "query/query.h"
#include "server/net/listener.h"
#include "storage/base/number.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

/* ---- what the transport knows ---- */

struct slice exchange_request_header(const struct exchange *exchange, const char *name)
{
    return exchange->transport->header(exchange, name);
}

size_t exchange_request_header_count(const struct exchange *exchange, const char *name)
{
    return exchange->transport->header_count(exchange, name);
}

void exchange_watch(struct exchange *exchange)
{
    assert(exchange->transport->watch != NULL);
    exchange->transport->watch(exchange);
}

bool exchange_later(struct exchange *exchange, exchange_work work)
{
    return exchange->transport->later != NULL && exchange->transport->later(exchange, work);
}

void exchange_answer(struct exchange *exchange)
{
    assert(exchange->status >= 200);
    exchange->transport->answer(exchange);
}

/* "127.0.0.1:40112", as the C library prints it, which takes longer than many an answer. */
static struct slice print_ipv4(struct arena *arena, const struct sockaddr_in *address)
{
    struct writer out;
    writer_init(&out);
    uint32_t bits = ntohl(address->sin_addr.s_addr);
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint_print(bits >> shift & 0xff, &out);
        writer_u8(&out, shift > 0 ? '.' : ':');
    }
    uint_print(ntohs(address->sin_port), &out);
    struct slice text = arena_copy(arena, writer_as_slice(&out));
    writer_deinit(&out);
    return text;
}

struct slice exchange_client(struct exchange *exchange)
{
    struct sockaddr_storage address;
    char text[NI_MAXHOST];
    size_t size = exchange->transport->peer(exchange, &address);
    if (size >= sizeof(struct sockaddr_in) && address.ss_family == AF_INET)
        return print_ipv4(&exchange->arena, (const struct sockaddr_in *)&address);
    if (size < sizeof(struct sockaddr_in6) || address.ss_family != AF_INET6 ||
        getnameinfo((struct sockaddr *)&address, (socklen_t)size, text, sizeof(text), NULL, 0,
                    NI_NUMERICHOST) != 0) {
        return SLICE("");
    }
    int port = ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return slice_from_cstr(arena_printf(&exchange->arena, "%s:%d", text, port));
}

bool exchange_is_private(struct exchange *exchange)
{
    if (exchange->is_loopback || exchange->transport->is_encrypted(exchange)) {
        return true;
    }
    const char *peer = arena_copy_cstr(&exchange->arena, exchange_client(exchange));
    return listener_is_loopback_peer(peer);
}

/* ---- answers ---- */

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
