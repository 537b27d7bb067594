/* unistr: characters written as their numbers, \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX. Two halves
 * of a surrogate pair, one after the other, are the one character they stand for. */
#include "query/func/text.h"

#include <string.h>

static enum err bad_pair(struct call *call)
{
    return error_set(call->error, ERR_INPUT, "42601", "invalid Unicode surrogate pair");
}

/* The number of an escape that starts at `at`, a backslash: how many bytes it takes, 0: none. */
static size_t read_escape(struct slice text, size_t at, uint32_t *code)
{
    char kind = at + 1 < text.size ? text.data[at + 1] : '\0';
    size_t digits = kind == '+' ? 6 : kind == 'U' ? 8 : 4;
    size_t first = at + (kind == '+' || kind == 'u' || kind == 'U' ? 2 : 1);
    if (first + digits > text.size)
        return 0;
    *code = 0;
    for (size_t i = first; i < first + digits; i++) {
        char c = text.data[i], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *code = *code << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *code = *code << 4 | (uint32_t)(low - 'a' + 10);
        else
            return 0;
    }
    return first + digits - at;
}

struct reading {
    struct call *call;
    char *target;
    size_t size;
    uint32_t high; /* the first half of a pair, 0: none */
};

static enum err add_character(struct reading *r, uint32_t code)
{
    bool is_high = code >= 0xD800 && code < 0xDC00, is_low = code >= 0xDC00 && code < 0xE000;
    if ((r->high != 0) != is_low)
        return bad_pair(r->call);
    if (is_high) {
        r->high = code;
        return OK;
    }
    if (is_low)
        code = 0x10000 + ((r->high - 0xD800) << 10) + (code - 0xDC00);
    r->high = 0;
    if (code == 0 || code > 0x10FFFF)
        return error_set(r->call->error, ERR_INPUT, "22023", "invalid Unicode code point: %04X",
                         (unsigned)code);
    r->size += utf8_encode(code, r->target + r->size);
    return OK;
}

static enum err unistr_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    struct slice text = a[0].text;
    struct reading r = {.call = call};
    enum err err = text_reserve(call, text.size + 4, &r.target);
    for (size_t at = 0; at < text.size && err == OK;) {
        bool is_backslash = text.data[at] == '\\';
        bool is_plain = !is_backslash || (at + 1 < text.size && text.data[at + 1] == '\\');
        uint32_t code;
        if (is_plain) {
            if (r.high != 0)
                return bad_pair(call);
            r.target[r.size++] = text.data[at];
            at += is_backslash ? 2 : 1;
            continue;
        }
        size_t size = read_escape(text, at, &code);
        if (size == 0) {
            err = error_set(call->error, ERR_INPUT, "42601", "invalid Unicode escape");
            error_hint(call->error,
                       "Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.");
            return err;
        }
        err = add_character(&r, code);
        at += size;
    }
    if (err == OK && r.high != 0)
        err = bad_pair(call);
    out->text = slice_of(r.target, r.size);
    return err;
}

/* clang-format off */
static const struct function functions[] = {
    TEXT_FUNCTION("unistr", 1, LIST(TYPE_TEXT), TYPE_TEXT, 0, unistr_row,
                  "with characters that are written as their numbers",
                  "unistr('d\\0061t\\+000061')")
};
/* clang-format on */

const struct function_group functions_unicode = {functions, array_count(functions)};
