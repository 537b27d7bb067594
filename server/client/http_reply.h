/* HTTP/1.1 replies from bytes, fed in any pieces: the half of a client that owns no socket. */
#ifndef FRESHET_SERVER_CLIENT_HTTP_REPLY_H
#define FRESHET_SERVER_CLIENT_HTTP_REPLY_H

#include "storage/base/bytes.h"

#define HTTP_REPLY_HEAD_MAX ((size_t)64 << 10)

enum http_reply_state {
    HTTP_REPLY_HEAD,   /* nothing or a part of the head */
    HTTP_REPLY_LENGTH, /* body of known length */
    HTTP_REPLY_CHUNK_SIZE,
    HTTP_REPLY_CHUNK_DATA,
    HTTP_REPLY_CHUNK_END, /* the CRLF behind a chunk */
    HTTP_REPLY_TRAILER,
    HTTP_REPLY_UNTIL_CLOSE, /* neither length nor chunks: complete when the peer closes */
    HTTP_REPLY_COMPLETE,
    HTTP_REPLY_BROKEN
};

struct http_reply {
    enum http_reply_state state;
    int status; /* known once the state has left HEAD */
    bool is_keep_alive;
    bool is_head_only;  /* set before the first byte: the request was HEAD, no body follows */
    struct writer head; /* with its final empty line */
    struct writer body; /* chunks joined */
    /* private */
    uint64_t left;
    struct writer line;
};

void http_reply_init(struct http_reply *reply);
void http_reply_deinit(struct http_reply *reply);
/* Ready for the next reply of the connection; memory is kept. */
void http_reply_reset(struct http_reply *reply);
/* Takes bytes until the reply is complete or broken; returns how many were taken. Interim replies
 * (1xx) are passed over. */
size_t http_reply_feed(struct http_reply *reply, struct slice bytes);
/* The peer closed: COMPLETE where that ends the body, BROKEN where something is missing. */
void http_reply_end(struct http_reply *reply);
/* Value of a header without blanks around, data NULL if it is not there. Case does not matter. */
struct slice http_reply_header(const struct http_reply *reply, const char *name);

#endif
