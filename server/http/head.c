/* The raw head, looked at once more.
 *
 * h2o 2.2.5 takes heads on which two parsers can disagree: Content-Length beside Transfer-Encoding,
 * either of them twice, folded lines, bare LF, no Host or two. Behind a proxy each is a way to
 * smuggle a request, so each is 400 here and the connection ends. One pass over the lines, no
 * allocation; cost is a few hundred nanoseconds for a usual head. */
#include "server/http/head.h"

#include <stddef.h>

static bool is_named(struct slice line, struct slice name)
{
    return line.size > name.size && line.data[name.size] == ':' &&
           slice_equal_ignore_case(slice_of(line.data, name.size), name);
}

static struct slice skip_empty_lines(struct slice bytes)
{
    while (bytes.size >= 2 && bytes.data[0] == '\r' && bytes.data[1] == '\n') {
        bytes = slice_of(bytes.data + 2, bytes.size - 2);
    }
    return bytes;
}

static struct http_head complain(const char *text)
{
    return (struct http_head){.complaint = text};
}

struct http_head http_head_check(struct slice bytes)
{
    bytes = skip_empty_lines(bytes);
    struct http_head head = {0};
    unsigned host_count = 0, length_count = 0, coding_count = 0;
    size_t offset = 0;
    for (bool is_first = true;; is_first = false) {
        const char *newline =
            offset < bytes.size ? memchr(bytes.data + offset, '\n', bytes.size - offset) : NULL;
        if (newline == NULL) {
            return complain("the head does not end");
        }
        struct slice line = slice_of(bytes.data + offset, (size_t)(newline - bytes.data) - offset);
        offset += line.size + 1;
        if (offset > HTTP_HEAD_SIZE_MAX) {
            return complain("the head is larger than 32 KiB");
        }
        if (line.size == 0 || line.data[line.size - 1] != '\r') {
            return complain("a line of the head ends in LF without CR");
        }
        line.size--;
        if (line.size == 0) {
            break;
        }
        if (memchr(line.data, '\r', line.size) != NULL || memchr(line.data, 0, line.size) != NULL) {
            return complain("a line of the head has a control character");
        }
        if (is_first) {
            continue;
        }
        if (line.data[0] == ' ' || line.data[0] == '\t') {
            return complain("a header is folded over two lines");
        }
        if (is_named(line, SLICE("host"))) {
            host_count++;
            head.host = slice_trim(slice_of(line.data + 5, line.size - 5));
        }
        length_count += is_named(line, SLICE("content-length"));
        coding_count += is_named(line, SLICE("transfer-encoding"));
    }
    if (length_count + coding_count > 1) {
        return complain("more than one Content-Length or Transfer-Encoding");
    }
    if (host_count != 1) {
        return complain(host_count == 0 ? "the Host header is missing"
                                        : "more than one Host header");
    }
    return head;
}
