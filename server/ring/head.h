/* The strict subset of HTTP/1.1 that the ring takes: `POST /v1/ingest/{table}` with a length. */
#ifndef FRESHET_SERVER_RING_HEAD_H
#define FRESHET_SERVER_RING_HEAD_H

#include "storage/base/slice.h"

#define RING_HEAD_SIZE_MAX ((size_t)8 << 10)

enum ring_header {
    RING_ACCEPT,
    RING_ACCEPT_ENCODING,
    RING_ACCEPT_LANGUAGE,
    RING_AUTHORIZATION,
    RING_CACHE_CONTROL,
    RING_CONNECTION,
    RING_CONTENT_ENCODING,
    RING_CONTENT_LENGTH,
    RING_CONTENT_TYPE,
    RING_FORWARDED,
    RING_FRESHET_PRODUCER,
    RING_FRESHET_SEQUENCE,
    RING_HOST,
    RING_IDEMPOTENCY_KEY,
    RING_TRACEPARENT,
    RING_TRACESTATE,
    RING_USER_AGENT,
    RING_X_FORWARDED_FOR,
    RING_X_FORWARDED_PROTO,
    RING_X_REAL_IP,
    RING_X_REQUEST_ID,
    RING_HEADER_COUNT
};

struct ring_head {
    size_t size;      /* of the head, the empty line included */
    size_t body_size; /* > 0 */
    struct slice path, query;
    struct slice values[RING_HEADER_COUNT]; /* data NULL: not there */
};

enum ring_verdict {
    RING_TAKE,
    RING_MORE, /* so far it may become one that is taken */
    RING_LEAVE /* not ours, whatever comes behind it */
};

/* `bytes` begin with a request. RING_TAKE: `out` is filled, its slices are parts of `bytes`, which
 * may go on behind the head. */
enum ring_verdict ring_head_parse(struct slice bytes, size_t body_max, struct ring_head *out);
/* The bytes have been copied from `from` to `to`: so have the slices. */
void ring_head_move(struct ring_head *head, const char *from, const char *to);
/* The value of a header by its name in lower case; data NULL if it is not there, or no such name is
 * taken. */
struct slice ring_head_value(const struct ring_head *head, const char *name);

#endif
