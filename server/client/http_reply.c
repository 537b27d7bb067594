/* HTTP/1.1 replies from bytes.
 *
 *   HEAD ──length──▶ LENGTH ─────────────────────────────▶ COMPLETE
 *     ├──chunked──▶ CHUNK_SIZE ─▶ CHUNK_DATA ─▶ CHUNK_END      ▲
 *     │                │  ▲────────────────────────┘           │
 *     │                └─size 0─▶ TRAILER ────empty line───────┤
 *     ├──neither──▶ UNTIL_CLOSE ──http_reply_end()─────────────┤
 *     └──1xx──▶ HEAD     └──204, 304, HEAD request─────────────┘
 *
 * Anything that does not fit leads to BROKEN, which is final. Written for our own server and strict
 * about what that sends: lines end in CRLF, a chunk has no extension. Cost: body bytes are copied
 * once. */
#include "server/client/http_reply.h"

#include <assert.h>

void http_reply_init(struct http_reply *reply)
{
    assert(reply != NULL);
    *reply = (struct http_reply){.state = HTTP_REPLY_HEAD};
    writer_init(&reply->head);
    writer_init(&reply->body);
    writer_init(&reply->line);
    reply->head.limit = HTTP_REPLY_HEAD_MAX;
    reply->line.limit = 1024;
}

void http_reply_deinit(struct http_reply *reply)
{
    writer_deinit(&reply->head);
    writer_deinit(&reply->body);
    writer_deinit(&reply->line);
}

void http_reply_reset(struct http_reply *reply)
{
    writer_reset(&reply->head);
    writer_reset(&reply->body);
    writer_reset(&reply->line);
    reply->state = HTTP_REPLY_HEAD;
    reply->status = 0;
    reply->left = 0;
    reply->is_keep_alive = false;
    reply->is_head_only = false;
}

struct slice http_reply_header(const struct http_reply *reply, const char *name)
{
    struct slice head = writer_as_slice(&reply->head), wanted = slice_from_cstr(name);
    const char *at = head.data, *end = head.data + head.size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) {
            break;
        }
        struct slice line = slice_trim(slice_of(at, (size_t)(line_end - at)));
        const char *colon = line.size > 0 ? memchr(line.data, ':', line.size) : NULL;
        if (colon != NULL) {
            size_t name_size = (size_t)(colon - line.data);
            if (slice_equal_ignore_case(slice_of(line.data, name_size), wanted)) {
                return slice_trim(slice_of(colon + 1, line.size - name_size - 1));
            }
        }
        at = line_end + 1;
    }
    return (struct slice){NULL, 0};
}

static bool parse_u64(struct slice text, int base, uint64_t *out)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 15) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : 99;
        if (digit >= base) {
            return false;
        }
        value = value * (uint64_t)base + (uint64_t)digit;
    }
    *out = value;
    return true;
}

/* The head is whole: what does the body look like? */
static enum http_reply_state classify(struct http_reply *reply)
{
    struct slice head = writer_as_slice(&reply->head);
    uint64_t status;
    if (head.size < 14 || memcmp(head.data, "HTTP/1.", 7) != 0 || head.data[8] != ' ' ||
        !parse_u64(slice_of(head.data + 9, 3), 10, &status) || status < 100) {
        return HTTP_REPLY_BROKEN;
    }
    reply->status = (int)status;
    if (status < 200) {
        writer_reset(&reply->head);
        return HTTP_REPLY_HEAD;
    }
    struct slice connection = http_reply_header(reply, "connection");
    reply->is_keep_alive = head.data[7] == '1'
                               ? !slice_equal_ignore_case(connection, SLICE("close"))
                               : slice_equal_ignore_case(connection, SLICE("keep-alive"));
    if (status == 204 || status == 304 || reply->is_head_only) {
        return HTTP_REPLY_COMPLETE;
    }
    struct slice coding = http_reply_header(reply, "transfer-encoding");
    if (coding.data != NULL) {
        return slice_equal_ignore_case(coding, SLICE("chunked")) ? HTTP_REPLY_CHUNK_SIZE
                                                                 : HTTP_REPLY_BROKEN;
    }
    struct slice length = http_reply_header(reply, "content-length");
    if (length.data == NULL) {
        reply->is_keep_alive = false;
        return HTTP_REPLY_UNTIL_CLOSE;
    }
    if (!parse_u64(length, 10, &reply->left)) {
        return HTTP_REPLY_BROKEN;
    }
    return reply->left == 0 ? HTTP_REPLY_COMPLETE : HTTP_REPLY_LENGTH;
}

static size_t feed_head(struct http_reply *reply, struct slice bytes)
{
    size_t taken = 0;
    while (taken < bytes.size) {
        const char *newline = memchr(bytes.data + taken, '\n', bytes.size - taken);
        size_t end = newline == NULL ? bytes.size : (size_t)(newline - bytes.data) + 1;
        writer_bytes(&reply->head, bytes.data + taken, end - taken);
        taken = end;
        if (reply->head.failed) {
            reply->state = HTTP_REPLY_BROKEN;
            return taken;
        }
        size_t size = reply->head.size;
        if (newline != NULL && size >= 4 &&
            memcmp(reply->head.data + size - 4, "\r\n\r\n", 4) == 0) {
            reply->state = classify(reply);
            return taken;
        }
    }
    return taken;
}

static size_t feed_counted(struct http_reply *reply, struct slice bytes, enum http_reply_state next)
{
    size_t size = bytes.size < reply->left ? bytes.size : (size_t)reply->left;
    writer_bytes(&reply->body, bytes.data, size);
    reply->left -= size;
    if (reply->left == 0) {
        reply->state = next;
    }
    return size;
}

/* One line of the chunk framing: size, the line behind the data, trailers. */
static size_t feed_line(struct http_reply *reply, struct slice bytes)
{
    const char *newline = memchr(bytes.data, '\n', bytes.size);
    size_t size = newline == NULL ? bytes.size : (size_t)(newline - bytes.data) + 1;
    writer_bytes(&reply->line, bytes.data, size);
    if (reply->line.failed) {
        reply->state = HTTP_REPLY_BROKEN;
        return size;
    }
    if (newline == NULL) {
        return size;
    }
    struct slice line = slice_trim(writer_as_slice(&reply->line));
    if (reply->state == HTTP_REPLY_CHUNK_END) {
        reply->state = line.size == 0 ? HTTP_REPLY_CHUNK_SIZE : HTTP_REPLY_BROKEN;
    } else if (reply->state == HTTP_REPLY_TRAILER) {
        reply->state = line.size == 0 ? HTTP_REPLY_COMPLETE : HTTP_REPLY_TRAILER;
    } else if (!parse_u64(line, 16, &reply->left)) {
        reply->state = HTTP_REPLY_BROKEN;
    } else {
        reply->state = reply->left == 0 ? HTTP_REPLY_TRAILER : HTTP_REPLY_CHUNK_DATA;
    }
    writer_reset(&reply->line);
    return size;
}

size_t http_reply_feed(struct http_reply *reply, struct slice bytes)
{
    size_t taken = 0;
    while (taken < bytes.size) {
        struct slice rest = slice_of(bytes.data + taken, bytes.size - taken);
        switch (reply->state) {
        case HTTP_REPLY_HEAD:
            taken += feed_head(reply, rest);
            break;
        case HTTP_REPLY_LENGTH:
            taken += feed_counted(reply, rest, HTTP_REPLY_COMPLETE);
            break;
        case HTTP_REPLY_CHUNK_DATA:
            taken += feed_counted(reply, rest, HTTP_REPLY_CHUNK_END);
            break;
        case HTTP_REPLY_CHUNK_SIZE:
        case HTTP_REPLY_CHUNK_END:
        case HTTP_REPLY_TRAILER:
            taken += feed_line(reply, rest);
            break;
        case HTTP_REPLY_UNTIL_CLOSE:
            writer_bytes(&reply->body, rest.data, rest.size);
            taken = bytes.size;
            break;
        case HTTP_REPLY_COMPLETE:
        case HTTP_REPLY_BROKEN:
            return taken;
        }
    }
    return taken;
}

void http_reply_end(struct http_reply *reply)
{
    if (reply->state != HTTP_REPLY_COMPLETE) {
        reply->state =
            reply->state == HTTP_REPLY_UNTIL_CLOSE ? HTTP_REPLY_COMPLETE : HTTP_REPLY_BROKEN;
    }
}
