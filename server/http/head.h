/* What the transport's parser lets pass and must not: a check of the raw head of a request. */
#ifndef FRESHET_SERVER_HTTP_HEAD_H
#define FRESHET_SERVER_HTTP_HEAD_H

#include "storage/base/slice.h"

#define HTTP_HEAD_SIZE_MAX ((size_t)32 << 10)

struct http_head {
    struct slice host;     /* value of the one Host header */
    const char *complaint; /* NULL: the head is fine */
};

/* `bytes` begin with the head (empty lines before it are allowed) and may go on behind it. */
struct http_head http_head_check(struct slice bytes);

#endif
