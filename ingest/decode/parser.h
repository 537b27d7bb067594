/* The complete JSON parser, for the files beside it: documents.c, messages.c and template.c. */
#ifndef FRESHET_INGEST_DECODE_PARSER_H
#define FRESHET_INGEST_DECODE_PARSER_H

#include "ingest/decode/decode.h"
#include "ingest/decode/scan.h"

struct level;
struct template_state;

struct decoder {
    struct rows *rows;
    struct arena *arena;
    const struct decode_options *options;
    const char *begin, *end;
    scan_text_function scan;
    bool is_inline; /* look at the first 16 bytes of a string in place */
    bool is_lines;
    bool has_escape; /* of the last string */
    const char *error_text;
    const char *error_sqlstate;
    const char *error_at;
    struct level *root;
    struct template_state *template; /* NULL: every row by the complete parser */
};

/* `options` must live as long as the decoder. */
void decoder_init(struct decoder *d, struct rows *rows, struct slice body,
                  const struct decode_options *options, bool is_lines);
/* All of these take the place of the first byte and give the place behind, or NULL after an error,
 * which is then kept in the decoder. */
const char *decoder_fail_with(struct decoder *d, const char *at, const char *sqlstate,
                              const char *text);
const char *decoder_fail(struct decoder *d, const char *at, const char *text); /* 22P02 */
const char *decoder_skip_bom(struct slice body);
/* Any value, checked. depth: of objects and arrays around it. */
const char *decoder_skip_value(struct decoder *d, const char *p, uint32_t depth);
/* p: behind the opening quote. *text: what is between the quotes. */
const char *decoder_read_string(struct decoder *d, const char *p, struct slice *text);
/* The object of one row, into the cells of the row under construction. */
const char *decoder_read_object(struct decoder *d, const char *p);
/* A member that no column takes: counted, and kept where the table wants it. */
void decoder_count_unknown(struct decoder *d, struct slice name, struct slice source);
/* The row under construction is rejected for the decoder's error; `origin`: where byte 1 is. */
void decoder_reject(struct decoder *d, struct slice raw, const char *origin);

static inline const char *decoder_skip_blanks(const struct decoder *d, const char *p)
{
    while (p < d->end && (*p == ' ' || *p == '\t' || *p == '\r' || (*p == '\n' && !d->is_lines)))
        p++;
    return p;
}

#endif
