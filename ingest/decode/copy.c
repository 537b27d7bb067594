/* What the three formats of COPY share: the choice of the decoder, and where rows end.
 *
 * Bytes come in any pieces and are gathered until they make a commit; then the whole rows among
 * them are decoded and the rest waits for more. Finding the end of the last whole row reads the
 * bytes once more, by memchr or by lengths, and only where a COPY is longer than one commit. */
#include "ingest/decode/decode.h"

#include "storage/base/bytes.h"

enum err decode_copy(struct rows *rows, struct slice body, struct copy_decode *copy,
                     struct error *error)
{
    switch (copy->options->format) {
    case COPY_TEXT:
        return decode_copy_text(rows, body, copy, error);
    case COPY_CSV:
        return decode_copy_csv(rows, body, copy, error);
    case COPY_BINARY:
        break;
    }
    return decode_copy_binary(rows, body, copy, error);
}

const char *copy_find_plain(const char *p, const char *end, char c)
{
    for (const char *at = p;; at++) {
        at = memchr(at, c, (size_t)(end - at));
        if (at == NULL)
            return NULL;
        size_t backslashes = 0;
        while (at - backslashes > p && at[-1 - (ptrdiff_t)backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return at;
    }
}

static size_t whole_lines(struct slice bytes, size_t rows_max, size_t *rows)
{
    const char *end = bytes.data + bytes.size, *whole = bytes.data;
    for (*rows = 0; *rows < rows_max && whole < end; ++*rows) {
        const char *line_end = copy_find_plain(whole, end, '\n');
        if (line_end == NULL)
            break;
        whole = line_end + 1;
    }
    return (size_t)(whole - bytes.data);
}

/* A record ends at LF outside of quotes. Where quote and escape are the same, a doubled one closes
 * and opens again. */
static size_t whole_records(const struct copy_options *options, struct slice bytes, size_t rows_max,
                            size_t *rows)
{
    size_t whole = 0;
    bool is_quoted = false;
    *rows = 0;
    for (size_t index = 0; index < bytes.size && *rows < rows_max; index++) {
        char c = bytes.data[index];
        if (is_quoted && c == options->escape && c != options->quote) {
            index += index + 1 < bytes.size &&
                     (bytes.data[index + 1] == options->quote || bytes.data[index + 1] == c);
        } else if (c == options->quote) {
            is_quoted = !is_quoted;
        } else if (c == '\n' && !is_quoted) {
            whole = index + 1;
            ++*rows;
        }
    }
    return whole;
}

static bool skip_header(struct reader *reader)
{
    reader_bytes(reader, COPY_SIGNATURE_SIZE);
    reader_be32(reader);
    reader_bytes(reader, reader_be32(reader));
    return !reader->failed;
}

/* Over one row; false if it is not whole, or (*is_over) if there is no way past it: the end, or
 * sizes that are none. By hand: it looks at each field of each row. */
static bool skip_tuple(struct reader *reader, bool *is_over)
{
    uint16_t count = reader_be16(reader);
    size_t at = reader->offset, end = at + reader_left(reader);
    *is_over = !reader->failed && count > INT16_MAX;
    if (reader->failed || *is_over)
        return false;
    for (uint16_t field = 0; field < count; field++) {
        uint32_t size;
        if (end - at < sizeof(size))
            return false;
        memcpy(&size, reader->data + at, sizeof(size));
        at += sizeof(size);
        size = __builtin_bswap32(size);
        if (size == UINT32_MAX)
            continue;
        *is_over = size > INT32_MAX;
        if (*is_over || end - at < size)
            return false;
        at += size;
    }
    reader->offset = at;
    return true;
}

static size_t whole_tuples(struct slice bytes, bool is_first, size_t rows_max, size_t *rows)
{
    struct reader reader = reader_of(bytes);
    bool is_over = false;
    *rows = 0;
    if (is_first && !skip_header(&reader))
        return 0;
    size_t whole = reader.offset;
    while (*rows < rows_max && skip_tuple(&reader, &is_over)) {
        whole = reader.offset;
        ++*rows;
    }
    return is_over ? bytes.size : whole;
}

size_t copy_whole_rows(const struct copy_options *options, struct slice bytes, bool is_first,
                       size_t rows_max, size_t *rows)
{
    bool has_header = is_first && options->header != COPY_HEADER_NONE;
    switch (options->format) {
    case COPY_TEXT:
        return whole_lines(bytes, rows_max + has_header, rows);
    case COPY_CSV:
        return whole_records(options, bytes, rows_max + has_header, rows);
    case COPY_BINARY:
        break;
    }
    return whole_tuples(bytes, is_first, rows_max, rows);
}
