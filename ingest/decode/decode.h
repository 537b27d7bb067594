/* Decoders: bytes of one body to rows. */
#ifndef FRESHET_INGEST_DECODE_DECODE_H
#define FRESHET_INGEST_DECODE_DECODE_H

#include "ingest/ingest.h"
#include "ingest/rows/rows.h"
#include "query/copy.h"

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
/* Bytes of COPY … FROM, or a part of them that begins and ends with whole rows. Fields are of the
 * columns given, in that order; a bad row is one rejected row. `is_ended` is set where the bytes
 * say that they end: what follows is no row. ERR_INPUT (22P04) where it is no longer known where
 * rows begin: the rows so far must be thrown away. */
struct copy_decode {
    const struct copy_options *options;
    const uint32_t *columns; /* indexes into the schema */
    size_t column_count;
    bool is_first; /* with what stands before the first row: a header line, a signature */
    bool is_ended;
};
MUST_CHECK enum err decode_copy(struct rows *rows, struct slice body, struct copy_decode *copy,
                                struct error *error);
/* The formats of it. */
MUST_CHECK enum err decode_copy_text(struct rows *rows, struct slice body, struct copy_decode *copy,
                                     struct error *error);
MUST_CHECK enum err decode_copy_csv(struct rows *rows, struct slice body, struct copy_decode *copy,
                                    struct error *error);
MUST_CHECK enum err decode_copy_binary(struct rows *rows, struct slice body,
                                       struct copy_decode *copy, struct error *error);
/* The first c from p on that no backslash escapes, in the text format: an LF ends a line, a
 * delimiter a field. NULL: there is none. */
const char *copy_find_plain(const char *p, const char *end, char c);
/* How many bytes at the beginning are whole rows, at most rows_max of them and what stands before
 * the first. *rows: how many, a header line among them. What is malformed is left to the decoder:
 * it counts as whole. */
size_t copy_whole_rows(const struct copy_options *options, struct slice bytes, bool is_first,
                       size_t rows_max, size_t *rows);
/* NDJSON, JSON or CSV by the first bytes. */
enum ingest_format decode_sniff(struct slice body);

/* Decompresses into `out` (its limit is taken over). ERR_LIMIT past `limit` bytes or 16 members'
 * worth of nonsense (413), ERR_INPUT if the bytes are damaged (400). */
MUST_CHECK enum err decode_inflate(struct slice in, enum ingest_encoding encoding, size_t limit,
                                   struct writer *out, struct error *error);

#endif
