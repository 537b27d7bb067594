/* Heads that the ring takes.
 *
 *   POST /v1/ingest/{table}[?parameters] HTTP/1.1 CRLF
 *   Name: value CRLF …      names of one list, each at most once, values of printable ASCII
 *   CRLF
 *
 * with one Host, one Content-Length of 1 to 9 digits and not 0, and at most `Connection:
 * keep-alive`. Whatever else there may be in HTTP (another header, Expect, Transfer-Encoding,
 * Upgrade, a fold, a blank where none is due, a second of anything) is not refused here but left to
 * h2o, from its first byte: who is in doubt leaves. So nothing that two parsers could read in two
 * ways is ever taken, and a head that is taken has no complaint of http_head_check() (the fuzz
 * target compares).
 *
 * The parser has no state: an incomplete head is parsed anew when more has come, so the caller
 * bounds how often that may be. A usual head of 150 bytes takes 0.1 us. */
#include "server/ring/head.h"

#include <assert.h>

#define HEADER_SIZE(text) (sizeof(text) - 1)
#define NAME(text)                                                                                 \
    {                                                                                              \
        text, HEADER_SIZE(text)                                                                    \
    }

static const struct slice names[RING_HEADER_COUNT] = {
    [RING_ACCEPT] = NAME("accept"),
    [RING_ACCEPT_ENCODING] = NAME("accept-encoding"),
    [RING_ACCEPT_LANGUAGE] = NAME("accept-language"),
    [RING_AUTHORIZATION] = NAME("authorization"),
    [RING_CACHE_CONTROL] = NAME("cache-control"),
    [RING_CONNECTION] = NAME("connection"),
    [RING_CONTENT_ENCODING] = NAME("content-encoding"),
    [RING_CONTENT_LENGTH] = NAME("content-length"),
    [RING_CONTENT_TYPE] = NAME("content-type"),
    [RING_FORWARDED] = NAME("forwarded"),
    [RING_FRESHET_PRODUCER] = NAME("freshet-producer"),
    [RING_FRESHET_SEQUENCE] = NAME("freshet-sequence"),
    [RING_HOST] = NAME("host"),
    [RING_IDEMPOTENCY_KEY] = NAME("idempotency-key"),
    [RING_TRACEPARENT] = NAME("traceparent"),
    [RING_TRACESTATE] = NAME("tracestate"),
    [RING_USER_AGENT] = NAME("user-agent"),
    [RING_X_FORWARDED_FOR] = NAME("x-forwarded-for"),
    [RING_X_FORWARDED_PROTO] = NAME("x-forwarded-proto"),
    [RING_X_REAL_IP] = NAME("x-real-ip"),
    [RING_X_REQUEST_ID] = NAME("x-request-id"),
};

static const char prefix[] = "POST /v1/ingest/";
static const char version[] = " HTTP/1.1";

static bool is_printable(struct slice text)
{
    bool is = true;
    for (size_t i = 0; i < text.size; i++)
        is &= text.data[i] >= 0x20 && text.data[i] < 0x7f;
    return is;
}

/* "POST /v1/ingest/…" without its end of line. */
static bool parse_request_line(struct slice line, struct ring_head *out)
{
    const size_t prefix_size = sizeof(prefix) - 1, version_size = sizeof(version) - 1;
    const size_t method_size = sizeof("POST ") - 1;
    if (line.size <= prefix_size + version_size || memcmp(line.data, prefix, prefix_size) != 0 ||
        memcmp(line.data + line.size - version_size, version, version_size) != 0)
        return false;
    struct slice target = slice_of(line.data + method_size, line.size - method_size - version_size);
    if (!is_printable(target) || memchr(target.data, ' ', target.size) != NULL)
        return false;
    const char *mark = memchr(target.data, '?', target.size);
    size_t path_size = mark == NULL ? target.size : (size_t)(mark - target.data);
    size_t query_begin = mark == NULL ? target.size : path_size + 1;
    out->path = slice_of(target.data, path_size);
    out->query = slice_of(target.data + query_begin, target.size - query_begin);
    size_t fixed = prefix_size - method_size;
    return path_size > fixed && memchr(target.data + fixed, '/', path_size - fixed) == NULL;
}

static int find_name(struct slice name)
{
    for (int i = 0; i < RING_HEADER_COUNT; i++) {
        if (names[i].size == name.size && slice_equal_ignore_case(names[i], name))
            return i;
    }
    return -1;
}

/* "Name: value" without its end of line, the value without the blanks before it. */
static bool parse_header(struct slice line, struct ring_head *out)
{
    const char *colon = memchr(line.data, ':', line.size);
    if (colon == NULL)
        return false;
    size_t begin = (size_t)(colon - line.data) + 1;
    int name = find_name(slice_of(line.data, begin - 1));
    if (name < 0 || out->values[name].data != NULL)
        return false;
    while (begin < line.size && line.data[begin] == ' ')
        begin++;
    struct slice value = slice_of(line.data + begin, line.size - begin);
    if (value.size == 0 || value.data[value.size - 1] == ' ' || !is_printable(value))
        return false;
    out->values[name] = value;
    return true;
}

static bool parse_length(struct slice text, size_t *out)
{
    if (text.size == 0 || text.size > 9)
        return false;
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *out = *out * 10 + (size_t)(text.data[i] - '0');
    }
    return true;
}

static bool is_complete(struct ring_head *head, size_t body_max)
{
    struct slice connection = head->values[RING_CONNECTION];
    return head->values[RING_HOST].data != NULL &&
           parse_length(head->values[RING_CONTENT_LENGTH], &head->body_size) &&
           head->body_size > 0 && head->body_size <= body_max &&
           (connection.data == NULL || slice_equal_ignore_case(connection, SLICE("keep-alive")));
}

/* Of bytes without a whole first line. */
static enum ring_verdict judge_beginning(struct slice bytes)
{
    size_t size = bytes.size < sizeof(prefix) - 1 ? bytes.size : sizeof(prefix) - 1;
    return memcmp(bytes.data, prefix, size) == 0 && bytes.size < RING_HEAD_SIZE_MAX ? RING_MORE
                                                                                    : RING_LEAVE;
}

enum ring_verdict ring_head_parse(struct slice bytes, size_t body_max, struct ring_head *out)
{
    *out = (struct ring_head){0};
    size_t limit = bytes.size < RING_HEAD_SIZE_MAX ? bytes.size : RING_HEAD_SIZE_MAX;
    for (size_t offset = 0; offset < limit;) {
        const char *newline = memchr(bytes.data + offset, '\n', limit - offset);
        if (newline == NULL)
            return offset == 0                  ? judge_beginning(bytes)
                   : limit < RING_HEAD_SIZE_MAX ? RING_MORE
                                                : RING_LEAVE;
        struct slice line = slice_of(bytes.data + offset, (size_t)(newline - bytes.data) - offset);
        bool is_first = offset == 0;
        offset += line.size + 1;
        if (line.size == 0 || line.data[line.size - 1] != '\r')
            return RING_LEAVE;
        line.size--;
        if (line.size == 0 && !is_first) {
            out->size = offset;
            return is_complete(out, body_max) ? RING_TAKE : RING_LEAVE;
        }
        if (!(is_first ? parse_request_line(line, out) : parse_header(line, out)))
            return RING_LEAVE;
    }
    return limit < RING_HEAD_SIZE_MAX ? RING_MORE : RING_LEAVE;
}

static void move(struct slice *slice, const char *from, const char *to)
{
    if (slice->data != NULL)
        slice->data = to + (slice->data - from);
}

void ring_head_move(struct ring_head *head, const char *from, const char *to)
{
    move(&head->path, from, to);
    move(&head->query, from, to);
    for (size_t i = 0; i < RING_HEADER_COUNT; i++)
        move(&head->values[i], from, to);
}

struct slice ring_head_value(const struct ring_head *head, const char *name)
{
    int at = find_name(slice_from_cstr(name));
    return at < 0 ? (struct slice){NULL, 0} : head->values[at];
}
