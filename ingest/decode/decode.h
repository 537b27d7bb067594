/* Decoders: bytes of one body to rows. */
#ifndef FRESHET_INGEST_DECODE_DECODE_H
#define FRESHET_INGEST_DECODE_DECODE_H

#include "ingest/ingest.h"
#include "ingest/rows/rows.h"

/* Which instructions a decoder uses: tests run all of them. */
enum decode_isa {
    DECODE_ISA_BEST,
    DECODE_ISA_PLAIN,
    DECODE_ISA_SSE2,
    DECODE_ISA_AVX2,
    DECODE_ISA_AVX512
};

struct decode_options {
    uint32_t depth_max; /* at most 64 */
    uint32_t keys_max;  /* per object */
    enum decode_isa isa;
    bool is_complete; /* every row by the complete parser: what the quick form is compared with */
};

/* One object a line; a bad line is one rejected row. Only a limit is an error. */
MUST_CHECK enum err decode_ndjson(struct rows *rows, struct slice body,
                                  const struct decode_options *options, struct error *error);
/* An object, an array of objects, or objects in sequence. ERR_INPUT (22P02, with the byte in the
 * text) if it is not JSON: the rows so far must be thrown away. */
MUST_CHECK enum err decode_json(struct rows *rows, struct slice body,
                                const struct decode_options *options, struct error *error);
/* JSON in messages that come one by one (a topic's): what was learned of keys is kept from message
 * to message. In the rows' arena; messages must live as long as the batch. */
struct decoder;
#define MESSAGE_ROWS_MAX 65536
struct decoder *decode_messages_begin(struct rows *rows, const struct decode_options *options);
/* One object is a row; an array of objects is a row each, at most MESSAGE_ROWS_MAX. A message that
 * is neither is one rejected row, whole; a bad element of an array is one by itself, and so is all
 * that comes behind too many. Only the rows'
 * own limit is an error. */
MUST_CHECK enum err decode_message(struct decoder *decoder, struct slice message,
                                   struct error *error);
/* RFC 4180 with a header line. ERR_INPUT (22P04) if quotes do not close or no header name is a
 * column. */
MUST_CHECK enum err decode_csv(struct rows *rows, struct slice body,
                               const struct decode_options *options, struct error *error);
/* NDJSON, JSON or CSV by the first bytes. */
enum ingest_format decode_sniff(struct slice body);

/* Decompresses into `out` (its limit is taken over). ERR_LIMIT past `limit` bytes or 16 members'
 * worth of nonsense (413), ERR_INPUT if the bytes are damaged (400). */
MUST_CHECK enum err decode_inflate(struct slice in, enum ingest_encoding encoding, size_t limit,
                                   struct writer *out, struct error *error);

#endif
