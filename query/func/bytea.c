/* Bytes and text: convert_from, convert_to, encode and decode, so that a dead letter can be read as
 * it came. */
#include "query/func/text.h"

#define BASE64_LINE 76 /* PostgreSQL breaks lines there, RFC 2045 */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits[] = "0123456789abcdef";

static enum err check_encoding(struct call *call, struct slice name)
{
    if (slice_equal_ignore_case(name, SLICE("utf8")) ||
        slice_equal_ignore_case(name, SLICE("utf-8")) ||
        slice_equal_ignore_case(name, SLICE("unicode")))
        return OK;
    error_set(call->error, ERR_INPUT, "22023", "invalid encoding name \"%.*s\"", SLICE_ARGS(name));
    error_hint(call->error, "UTF8 is the one encoding here");
    return ERR_INPUT;
}

static enum err convert_from_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    enum err err = check_encoding(call, a[1].text);
    if (err != OK)
        return err;
    size_t bad = utf8_validate(a[0].text);
    const char *zero = a[0].text.size > 0 ? memchr(a[0].text.data, 0, a[0].text.size) : NULL;
    if (zero != NULL && (size_t)(zero - a[0].text.data) < bad)
        bad = (size_t)(zero - a[0].text.data);
    if (bad < a[0].text.size)
        return error_set(call->error, ERR_INPUT, "22021",
                         "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                         (unsigned char)a[0].text.data[bad]);
    out->text = a[0].text;
    return OK;
}

static enum err convert_to_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    enum err err = check_encoding(call, a[1].text);
    out->text = a[0].text;
    return err;
}

enum byte_format { FORMAT_HEX, FORMAT_BASE64, FORMAT_ESCAPE };

static enum err find_format(struct call *call, struct slice name, enum byte_format *out)
{
    static const char *const names[] = {"hex", "base64", "escape"};
    for (size_t i = 0; i < array_count(names); i++) {
        if (slice_equal_ignore_case(name, slice_from_cstr(names[i]))) {
            *out = (enum byte_format)i;
            return OK;
        }
    }
    return error_set(call->error, ERR_INPUT, "22023", "unrecognized encoding: \"%.*s\"",
                     SLICE_ARGS(name));
}

static char *write_hex(struct slice in, char *p)
{
    for (size_t i = 0; i < in.size; i++) {
        *p++ = hex_digits[(unsigned char)in.data[i] >> 4];
        *p++ = hex_digits[(unsigned char)in.data[i] & 15];
    }
    return p;
}

static char *write_base64(struct slice in, char *p)
{
    size_t on_line = 0;
    for (size_t i = 0; i < in.size; i += 3) {
        uint32_t bits = 0;
        size_t have = in.size - i < 3 ? in.size - i : 3;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < have ? (unsigned char)in.data[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            *p++ = k <= have ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
        on_line += 4;
        if (on_line == BASE64_LINE) {
            *p++ = '\n';
            on_line = 0;
        }
    }
    return p;
}

static char *write_escape(struct slice in, char *p)
{
    for (size_t i = 0; i < in.size; i++) {
        unsigned char c = (unsigned char)in.data[i];
        if (c == 0 || c >= 0x80) {
            *p++ = '\\';
            *p++ = (char)('0' + (c >> 6));
            *p++ = (char)('0' + (c >> 3 & 7));
            *p++ = (char)('0' + (c & 7));
        } else {
            if (c == '\\')
                *p++ = '\\';
            *p++ = (char)c;
        }
    }
    return p;
}

static enum err encode_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    enum byte_format format = FORMAT_HEX;
    enum err err = find_format(call, a[1].text, &format);
    char *buffer = NULL;
    if (err == OK)
        err = text_reserve(call, a[0].text.size * 4 + 8, &buffer);
    if (err != OK)
        return err;
    char *end = format == FORMAT_HEX      ? write_hex(a[0].text, buffer)
                : format == FORMAT_BASE64 ? write_base64(a[0].text, buffer)
                                          : write_escape(a[0].text, buffer);
    out->text = slice_of(buffer, (size_t)(end - buffer));
    return OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static const char *hex_digit(char c)
{
    char low = c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c;
    return low == '\0' ? NULL : strchr(hex_digits, low);
}

/* Each gives false with the text of the error in `why`. */
static bool read_hex(struct slice in, char *buffer, size_t *size, const char **why)
{
    for (size_t i = 0; i < in.size; i++) {
        if (is_blank(in.data[i]))
            continue;
        const char *high = hex_digit(in.data[i]),
                   *low = i + 1 < in.size ? hex_digit(in.data[i + 1]) : NULL;
        *why = high == NULL || (i + 1 < in.size && low == NULL)
                   ? "invalid hexadecimal digit"
                   : "invalid hexadecimal data: odd number of digits";
        if (high == NULL || low == NULL)
            return false;
        buffer[(*size)++] = (char)((high - hex_digits) << 4 | (low - hex_digits));
        i++;
    }
    return true;
}

static bool read_base64(struct slice in, char *buffer, size_t *size, const char **why)
{
    uint32_t bits = 0, digits = 0, padding = 0;
    *why = "invalid base64 data";
    for (size_t i = 0; i < in.size; i++) {
        char c = in.data[i];
        if (is_blank(c))
            continue;
        const char *digit = c == '\0' ? NULL : strchr(base64_digits, c);
        if ((digit == NULL && c != '=') || (digit != NULL && padding > 0) ||
            (c == '=' && digits < 2))
            return false;
        padding += c == '=';
        bits = bits << 6 | (uint32_t)(digit != NULL ? digit - base64_digits : 0);
        if (++digits < 4)
            continue;
        for (uint32_t k = 0; k < 3 - padding; k++)
            buffer[(*size)++] = (char)(bits >> (16 - 8 * k));
        if (padding > 2)
            return false;
        bits = digits = padding = 0;
    }
    return digits == 0;
}

static bool read_escape(struct slice in, char *buffer, size_t *size, const char **why)
{
    *why = "invalid input syntax for type bytea";
    for (size_t i = 0; i < in.size; i++) {
        if (in.data[i] != '\\') {
            buffer[(*size)++] = in.data[i];
        } else if (i + 1 < in.size && in.data[i + 1] == '\\') {
            buffer[(*size)++] = '\\';
            i++;
        } else if (i + 3 < in.size && in.data[i + 1] >= '0' && in.data[i + 1] <= '3' &&
                   in.data[i + 2] >= '0' && in.data[i + 2] <= '7' && in.data[i + 3] >= '0' &&
                   in.data[i + 3] <= '7') {
            buffer[(*size)++] = (char)((in.data[i + 1] - '0') << 6 | (in.data[i + 2] - '0') << 3 |
                                       (in.data[i + 3] - '0'));
            i += 3;
        } else {
            return false;
        }
    }
    return true;
}

static enum err decode_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    enum byte_format format = FORMAT_HEX;
    enum err err = find_format(call, a[1].text, &format);
    char *buffer = NULL;
    if (err == OK)
        err = text_reserve(call, a[0].text.size + 3, &buffer);
    if (err != OK)
        return err;
    size_t size = 0;
    const char *why = "";
    bool is_good = format == FORMAT_HEX      ? read_hex(a[0].text, buffer, &size, &why)
                   : format == FORMAT_BASE64 ? read_base64(a[0].text, buffer, &size, &why)
                                             : read_escape(a[0].text, buffer, &size, &why);
    if (!is_good)
        return error_set(call->error, ERR_INPUT, format == FORMAT_ESCAPE ? "22P02" : "22023", "%s",
                         why);
    out->text = slice_of(buffer, size);
    return OK;
}

#define T TYPE_TEXT
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("convert_from", 2, LIST(TYPE_BYTEA, T), T, 0, convert_from_row,
      "bytes of an encoding as text", "convert_from('\\x6162'::bytea, 'UTF8')")
    F("convert_to", 2, LIST(T, T), TYPE_BYTEA, 0, convert_to_row, "text as bytes of an encoding",
      "convert_to('ab', 'UTF8')")
    F("encode", 2, LIST(TYPE_BYTEA, T), T, 0, encode_row, "bytes as text: hex, base64 or escape",
      "encode('\\x0a'::bytea, 'hex')")
    F("decode", 2, LIST(T, T), TYPE_BYTEA, 0, decode_row, "bytes from text: hex, base64 or escape",
      "decode('0a', 'hex')")
};
/* clang-format on */

const struct function_group functions_bytea = {functions, array_count(functions)};
