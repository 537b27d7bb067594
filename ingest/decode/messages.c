/* JSON in messages that come one by one, as a topic's do.
 *
 * The decoder of a batch lives from message to message, so what it learned of keys and shapes is
 * kept. A message that is an array is checked as a whole before its first element becomes a row:
 * either all of it is rows, or it is one dead letter. */
#include "ingest/decode/parser.h"

struct decoder *decode_messages_begin(struct rows *rows, const struct decode_options *options)
{
    struct decoder *d = arena_alloc(rows->arena, sizeof(*d));
    struct decode_options *kept = arena_alloc(rows->arena, sizeof(*kept));
    *kept = *options;
    decoder_init(d, rows, (struct slice){0}, kept, false);
    return d;
}

/* The elements of an array that is JSON as a whole; what is too many is one bad row. */
static enum err read_elements(struct decoder *d, const char *p, struct error *error)
{
    p = decoder_skip_blanks(d, p + 1);
    for (size_t count = 0; *p != ']'; count++) {
        enum err err = rows_begin(d->rows, error);
        if (err != OK)
            return err;
        if (count == MESSAGE_ROWS_MAX) {
            rows_reject(d->rows, slice_of(p, (size_t)(d->end - p)), "54000",
                        "too many elements in one message");
            return OK;
        }
        const char *end = decoder_skip_value(d, p, 1);
        struct slice source = slice_of(p, (size_t)(end - p));
        if (*p != '{')
            rows_reject(d->rows, source, "22P02", "the row is not a JSON object");
        else if (decoder_read_object(d, p) == NULL)
            decoder_reject(d, source, d->begin);
        else
            rows_end(d->rows, source, source);
        p = decoder_skip_blanks(d, end);
        if (*p == ',')
            p = decoder_skip_blanks(d, p + 1);
    }
    return OK;
}

enum err decode_message(struct decoder *d, struct slice message, struct error *error)
{
    d->begin = message.data;
    d->end = message.data + message.size;
    const char *start = message.data, *p = NULL;
    if (message.size == 0 || *start != '{') /* nearly all begin so */
        start = decoder_skip_blanks(d, decoder_skip_bom(message));
    if (start < d->end && *start == '[') {
        p = decoder_skip_value(d, start, 0);
        if (p != NULL && decoder_skip_blanks(d, p) == d->end)
            return read_elements(d, start, error);
    }
    enum err err = rows_begin(d->rows, error);
    if (err != OK)
        return err;
    if (start == d->end)
        decoder_fail(d, start, "the message is empty");
    else if (*start == '{')
        p = decoder_read_object(d, start);
    else if (*start != '[')
        decoder_fail(d, start, "the message is not a JSON object");
    if (p != NULL && decoder_skip_blanks(d, p) == d->end) {
        struct slice source = slice_of(start, (size_t)(p - start));
        rows_end(d->rows, source, source);
        return OK;
    }
    if (p != NULL)
        decoder_fail(d, decoder_skip_blanks(d, p), "text after the message");
    decoder_reject(d, message, message.data);
    return OK;
}
