/* Splitting at semicolons by PostgreSQL's lexical rules: '…', E'…\'…', "…", $tag$…$tag$, -- to the
 * end of line, nested block comments. Only boundaries are found here; whether the statement makes
 * sense is the server's business. */
#include "server/cli/statement.h"

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (unsigned char)c >= 0x80;
}

/* Each skip_ gives the offset behind the thing that starts at `at`, or text.size if it does not
 * end. */
static size_t skip_quoted(struct slice text, size_t at, char quote, bool has_backslash)
{
    for (size_t i = at + 1; i < text.size; i++) {
        if (has_backslash && text.data[i] == '\\') {
            i++;
        } else if (text.data[i] == quote) {
            return i + 1; /* a doubled quote begins the next piece: the same in effect */
        }
    }
    return text.size + 1;
}

static size_t skip_line_comment(struct slice text, size_t at)
{
    const char *newline = memchr(text.data + at, '\n', text.size - at);
    return newline == NULL ? text.size : (size_t)(newline - text.data) + 1;
}

static size_t skip_block_comment(struct slice text, size_t at)
{
    int depth = 0;
    for (size_t i = at; i + 1 < text.size; i++) {
        if (text.data[i] == '/' && text.data[i + 1] == '*') {
            depth++;
            i++;
        } else if (text.data[i] == '*' && text.data[i + 1] == '/') {
            i++;
            if (--depth == 0) {
                return i + 1;
            }
        }
    }
    return text.size + 1;
}

/* A '$' that starts no tag is one character. */
static size_t skip_dollar(struct slice text, size_t at)
{
    size_t end = at + 1;
    while (end < text.size && is_word(text.data[end])) {
        end++;
    }
    bool is_digit = end > at + 1 && text.data[at + 1] >= '0' && text.data[at + 1] <= '9';
    if (end >= text.size || text.data[end] != '$' || is_digit ||
        (at > 0 && is_word(text.data[at - 1]))) {
        return at + 1;
    }
    size_t tag_size = end + 1 - at;
    const char *close = memmem(text.data + end + 1, text.size - end - 1, text.data + at, tag_size);
    return close == NULL ? text.size + 1 : (size_t)(close - text.data) + tag_size;
}

static size_t skip_token(struct slice text, size_t at)
{
    char c = text.data[at], next = at + 1 < text.size ? text.data[at + 1] : 0;
    bool is_escape_string =
        at > 0 && (text.data[at - 1] | 32) == 'e' && (at < 2 || !is_word(text.data[at - 2]));
    switch (c) {
    case '\'':
        return skip_quoted(text, at, '\'', is_escape_string);
    case '"':
        return skip_quoted(text, at, '"', false);
    case '$':
        return skip_dollar(text, at);
    case '-':
        return next == '-' ? skip_line_comment(text, at) : at + 1;
    case '/':
        return next == '*' ? skip_block_comment(text, at) : at + 1;
    default:
        return at + 1;
    }
}

size_t statement_next(struct slice text, bool is_last, struct slice *out)
{
    size_t at = 0;
    while (at < text.size && text.data[at] != ';') {
        at = skip_token(text, at);
    }
    if (at < text.size) {
        *out = slice_trim(slice_of(text.data, at));
        return at + 1;
    }
    *out = slice_trim(text);
    return is_last && out->size > 0 ? text.size : 0;
}
