/* PostgreSQL's messages, protocol 3.0: where one ends, what stands in it, how ours are written.
 * Owns no socket: bytes in, messages out. */
#ifndef FRESHET_SERVER_PGWIRE_MESSAGE_H
#define FRESHET_SERVER_PGWIRE_MESSAGE_H

#include "storage/base/bytes.h"

#define MESSAGE_STARTUP_MAX 10000 /* as PostgreSQL's */
#define MESSAGE_LOGIN_MAX 8192    /* passwords and their kin */

enum message_code {
    MESSAGE_CODE_CANCEL = 80877102,
    MESSAGE_CODE_SSL = 80877103,
    MESSAGE_CODE_GSS = 80877104,
    MESSAGE_CODE_PROTOCOL_3 = 3 << 16
};

enum message_found {
    MESSAGE_MORE, /* the first message is not all there */
    MESSAGE_WHOLE,
    MESSAGE_BROKEN /* a length that cannot be */
};

struct message {
    char type;         /* 0: the start-up packet, whose body begins with its code */
    struct slice body; /* without type and length; borrowed */
    size_t size;       /* of all of it */
};

/* The packet that a connection begins with. */
enum message_found message_first(struct slice input, struct message *out);
/* Any later one; no longer than size_max, type and length not counted. */
enum message_found message_next(struct slice input, size_t size_max, struct message *out);

/* Bytes of the whole message that begins so, or of its head while that is not there; 0: broken. */
size_t message_first_size(struct slice input);
size_t message_next_size(struct slice input, size_t size_max);

/* A sticky reader of a body: past the end it gives zeros and `failed` is set. */
uint16_t message_u16(struct reader *reader);
uint32_t message_u32(struct reader *reader);
/* Up to the NUL, without it. */
struct slice message_text(struct reader *reader);

/* Writing: begin, fields, end. */
size_t message_begin(struct writer *out, char type);
void message_end(struct writer *out, size_t begin);
void message_put_u16(struct writer *out, uint16_t value);
void message_put_u32(struct writer *out, uint32_t value);
void message_put_text(struct writer *out, struct slice text); /* and a NUL */
void message_patch_u16(struct writer *out, size_t offset, uint16_t value);

#endif
