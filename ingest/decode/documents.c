/* JSON bodies: where a row begins and ends, and what an error takes with it.
 *
 *   lines      a row a line; LF ends it whatever else is open, and an error spoils its line alone:
 *              the rest is read from behind the LF
 *   document   objects in a sequence, or in arrays; everything must hold together, and an error
 *              spoils all, but a value that is no object is one bad row
 *
 * What stands in a row is json.c's. The third framing, messages that come one by one, is
 * messages.c. */
#include "ingest/decode/parser.h"

#include <string.h>

/* One object; NULL if it is not JSON. In a document, values that are not objects are rows that are
 * bad. */
static const char *read_row(struct decoder *d, const char *p)
{
    const char *start = p;
    if (*p != '{') {
        p = decoder_skip_value(d, p, 0);
        if (p != NULL)
            rows_reject(d->rows, slice_of(start, (size_t)(p - start)), "22P02",
                        "the row is not a JSON object");
        return p;
    }
    p = decoder_read_object(d, p);
    if (p != NULL && !d->is_lines) {
        struct slice source = slice_of(start, (size_t)(p - start));
        rows_end(d->rows, source, source);
    }
    return p;
}

/* A line from its first byte that is not blank; gives the place behind its end. */
static const char *read_line(struct decoder *d, const char *start)
{
    const char *p = NULL;
    if (*start == '{') {
        p = decoder_read_object(d, start);
        if (p != NULL) {
            const char *after = decoder_skip_blanks(d, p);
            if (after == d->end || *after == '\n') {
                struct slice source = slice_of(start, (size_t)(p - start));
                rows_end(d->rows, source, source);
                return after == d->end ? after : after + 1;
            }
            decoder_fail(d, after, "text after the object");
        }
    } else {
        decoder_fail(d, start, "the line is not a JSON object");
    }
    const char *line_end = memchr(start, '\n', (size_t)(d->end - start));
    const char *next = line_end == NULL ? d->end : line_end + 1;
    if (line_end == NULL)
        line_end = d->end;
    if (line_end > start && line_end[-1] == '\r')
        line_end--;
    decoder_reject(d, slice_of(start, (size_t)(line_end - start)), start);
    return next;
}

enum err decode_ndjson(struct rows *rows, struct slice body, const struct decode_options *options,
                       struct error *error)
{
    struct decoder d;
    decoder_init(&d, rows, body, options, true);
    const char *p = decoder_skip_bom(body);
    while (p < d.end) {
        p = decoder_skip_blanks(&d, p);
        if (p == d.end)
            break;
        if (*p == '\n') {
            p++;
            continue;
        }
        enum err err = rows_begin(rows, error);
        if (err != OK)
            return err;
        p = read_line(&d, p);
    }
    return OK;
}

static enum err document_error(const struct decoder *d, struct error *error)
{
    return error_set(error, ERR_INPUT, d->error_sqlstate,
                     "the body is not valid JSON: %s at byte %zu", d->error_text,
                     (size_t)(d->error_at - d->begin) + 1);
}

/* The elements of the array at p. */
static const char *read_array(struct decoder *d, const char *p, enum err *err, struct error *error)
{
    p = decoder_skip_blanks(d, p + 1);
    if (p < d->end && *p == ']')
        return p + 1;
    for (;;) {
        if (p == d->end)
            return decoder_fail(d, p, "unexpected end of input");
        *err = rows_begin(d->rows, error);
        if (*err != OK)
            return NULL;
        p = read_row(d, p);
        if (p == NULL)
            return NULL;
        p = decoder_skip_blanks(d, p);
        if (p < d->end && *p == ']')
            return p + 1;
        if (p == d->end || *p != ',')
            return decoder_fail(d, p, "expected a comma or the end of the array");
        p = decoder_skip_blanks(d, p + 1);
    }
}

enum err decode_json(struct rows *rows, struct slice body, const struct decode_options *options,
                     struct error *error)
{
    struct decoder d;
    enum err err = OK;
    decoder_init(&d, rows, body, options, false);
    const char *p = decoder_skip_blanks(&d, decoder_skip_bom(body));
    while (p < d.end) {
        if (*p == '[') {
            p = read_array(&d, p, &err, error);
        } else if (*p == '{') {
            err = rows_begin(rows, error);
            p = err == OK ? read_row(&d, p) : NULL;
        } else {
            p = decoder_fail(&d, p, "expected an object or an array");
        }
        if (err != OK)
            return err;
        if (p == NULL)
            return document_error(&d, error);
        p = decoder_skip_blanks(&d, p);
    }
    return OK;
}
