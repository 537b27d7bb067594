/* COPY's text format: a row a line, fields apart by one character, backslash before what would be
 * read as something else.
 *
 *   \b \f \n \r \t \v  as in C      \ooo, \xhh  a byte      \ and anything else: that itself
 *   \N (or what the statement says) as a whole field is NULL; \. as a whole line is the end
 *
 * A line ends at LF; a CR before it belongs to the line's end, as a CR that is meant is written \r.
 * Texts without backslash are borrowed from the body. */
#include "ingest/decode/decode.h"

struct copy_text {
    struct rows *rows;
    const struct copy_decode *copy;
    bool is_valid; /* the body as a whole is UTF-8 without zero bytes */
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* The byte that stands behind a backslash at p; *next is behind what says it. */
static char read_escape(const char *p, const char *end, const char **next)
{
    *next = p + 1;
    switch (*p) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    default:
        break;
    }
    if (*p == 'x' && p + 1 < end && hex_digit(p[1]) >= 0) {
        int value = hex_digit(p[1]);
        bool is_pair = p + 2 < end && hex_digit(p[2]) >= 0;
        *next = p + 2 + is_pair;
        return (char)(is_pair ? value << 4 | hex_digit(p[2]) : value);
    }
    if (!is_octal(*p))
        return *p;
    int value = 0;
    const char *digit = p;
    while (digit < end && digit < p + 3 && is_octal(*digit))
        value = value << 3 | (*digit++ - '0');
    *next = digit;
    return (char)value;
}

static struct slice unescape(struct slice in, struct arena *arena)
{
    const char *p = in.data, *end = in.data + in.size;
    char *text = arena_alloc(arena, in.size);
    size_t size = 0;
    while (p < end) {
        char c = *p++;
        if (c == '\\' && p < end)
            c = read_escape(p, end, &p);
        text[size++] = c;
    }
    return slice_of(text, size);
}

static bool is_clean(struct slice text)
{
    return utf8_validate(text) == text.size &&
           (text.size == 0 || memchr(text.data, 0, text.size) == NULL);
}

static void take_field(struct copy_text *text, size_t index, struct slice field, bool has_escape)
{
    struct mapping_ref ref = {.column = text->copy->columns[index], .rank = RANK_EXACT};
    if (slice_equal(field, text->copy->options->null)) {
        rows_null(text->rows, &ref);
        return;
    }
    if (has_escape) {
        field = unescape(field, text->rows->arena);
        if (!is_clean(field)) {
            rows_bad(text->rows, &ref, "22021", "invalid byte sequence for encoding \"UTF8\"");
            return;
        }
    }
    rows_text(text->rows, &ref, field);
}

static void take_line(struct copy_text *text, struct slice line)
{
    const char delimiter = text->copy->options->delimiter;
    const char *p = line.data, *end = line.data + line.size;
    size_t count = 0;
    if (!text->is_valid && !is_clean(line)) {
        rows_reject(text->rows, line, "22021", "invalid byte sequence for encoding \"UTF8\"");
        return;
    }
    bool may_escape = memchr(line.data, '\\', line.size) != NULL;
    for (;;) {
        const char *start = p;
        const char *found = copy_find_plain(p, end, delimiter);
        p = found == NULL ? end : found;
        bool has_escape = may_escape && memchr(start, '\\', (size_t)(p - start)) != NULL;
        if (count == text->copy->column_count) {
            rows_reject(text->rows, line, "22P04", "extra data after last expected column");
            return;
        }
        take_field(text, count++, slice_of(start, (size_t)(p - start)), has_escape);
        if (p == end)
            break;
        p++;
    }
    if (count < text->copy->column_count)
        rows_reject(text->rows, line, "22P04", "missing data for the last columns");
    else
        rows_end(text->rows, line, (struct slice){0});
}

/* The line at p without its end, which *next is behind. */
static struct slice read_line(const char *p, const char *end, const char **next)
{
    const char *line_end = copy_find_plain(p, end, '\n');
    *next = line_end == NULL ? end : line_end + 1;
    struct slice line = slice_of(p, (size_t)((line_end == NULL ? end : line_end) - p));
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

/* HEADER MATCH: the names of the columns, in their order. */
static enum err check_header(struct copy_text *text, struct slice line, struct error *error)
{
    const char *p = line.data, *end = line.data + line.size;
    for (size_t index = 0; index < text->copy->column_count; index++) {
        const char *start = p;
        while (p < end && *p != text->copy->options->delimiter)
            p += *p == '\\' && p + 1 < end ? 2 : 1;
        struct slice name = unescape(slice_of(start, (size_t)(p - start)), text->rows->arena);
        struct slice want = text->rows->schema->columns[text->copy->columns[index]].name;
        bool is_last = index + 1 == text->copy->column_count;
        if (!slice_equal(name, want) || is_last != (p == end))
            return error_set(error, ERR_INPUT, "22P04",
                             "column name mismatch in header line field %zu: got \"%.*s\", "
                             "expected \"%.*s\"",
                             index + 1, SLICE_ARGS(slice_cut(name, 100)), SLICE_ARGS(want));
        p += !is_last;
    }
    return OK;
}

enum err decode_copy_text(struct rows *rows, struct slice body, struct copy_decode *copy,
                          struct error *error)
{
    struct copy_text text = {.rows = rows, .copy = copy, .is_valid = is_clean(body)};
    const char *p = body.data, *end = body.data + body.size;
    bool is_header = copy->is_first && copy->options->header != COPY_HEADER_NONE;
    enum err err = OK;
    while (p < end && err == OK) {
        struct slice line = read_line(p, end, &p);
        if (slice_equal(line, SLICE("\\."))) {
            copy->is_ended = true;
            break;
        }
        if (is_header) {
            if (copy->options->header == COPY_HEADER_MATCH)
                err = check_header(&text, line, error);
            is_header = false;
            continue;
        }
        err = rows_begin(rows, error);
        if (err == OK)
            take_line(&text, line);
    }
    return err;
}
