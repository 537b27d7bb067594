/* Joining texts, MD5, codes of characters, counting NULLs, chance. */
#include "query/func/text.h"

#include "storage/base/random.h"

#include <stdio.h>

/* --- joining --- */

static enum err join_two(struct call *call, struct slice left, struct slice right,
                         struct value *out)
{
    char *buffer;
    enum err err = text_reserve(call, left.size + right.size, &buffer);
    if (err != OK)
        return err;
    if (left.size > 0)
        memcpy(buffer, left.data, left.size);
    if (right.size > 0)
        memcpy(buffer + left.size, right.data, right.size);
    out->text = slice_of(buffer, left.size + right.size);
    return OK;
}

/* x || y: anything that is not text is cast, so true reads 'true'. */
static enum err join_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct slice parts[2];
    for (size_t i = 0; i < 2; i++) {
        struct value text = {.type = type_of(TYPE_TEXT)};
        enum err err = a[i].type.id == TYPE_BYTEA && out->type.id == TYPE_BYTEA
                           ? OK
                           : cast_value(call, &a[i], false, &text);
        if (err != OK)
            return err;
        parts[i] = out->type.id == TYPE_BYTEA ? a[i].text : text.text;
    }
    return join_two(call, parts[0], parts[1], out);
}

enum { CONCAT, CONCAT_WS };

/* concat, concat_ws: each as its output function writes it, so true reads 't'; NULLs are left out.
 */
static enum err concat_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    bool has_separator = call->function->operation == CONCAT_WS, is_first = true;
    if (has_separator && a[0].is_null) {
        out->is_null = true;
        return OK;
    }
    struct writer writer;
    text_begin(&writer);
    for (size_t i = has_separator ? 1 : 0; i < count; i++) {
        if (a[i].is_null)
            continue;
        if (has_separator && !is_first)
            writer_slice(&writer, a[0].text);
        is_first = false;
        writer_slice(&writer, value_to_text(&a[i], call->context, call->arena));
    }
    return text_end(call, &writer, OK, out);
}

/* --- md5 (RFC 1321) --- */

static uint32_t rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

static const uint32_t md5_sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t md5_shifts[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static void md5_block(uint32_t state[4], const uint8_t *block)
{
    uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
    memcpy(words, block, 64); /* little-endian, as the machine is */
    for (unsigned i = 0; i < 64; i++) {
        uint32_t mix;
        unsigned index;
        if (i < 16) {
            mix = (b & c) | (~b & d);
            index = i;
        } else if (i < 32) {
            mix = (d & b) | (~d & c);
            index = (5 * i + 1) % 16;
        } else if (i < 48) {
            mix = b ^ c ^ d;
            index = (3 * i + 5) % 16;
        } else {
            mix = c ^ (b | ~d);
            index = 7 * i % 16;
        }
        uint32_t next =
            b + rotate(a + mix + md5_sines[i] + words[index], md5_shifts[i / 16][i % 4]);
        a = d;
        d = c;
        c = b;
        b = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static enum err md5_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct slice text = a[0].text;
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    size_t whole = text.size / 64 * 64, rest = text.size - whole;
    struct labour labour = {.call = call};
    for (size_t offset = 0; offset < whole; offset += 64) {
        md5_block(state, (const uint8_t *)text.data + offset);
        enum err err = labour_step(&labour, 64);
        if (err != OK)
            return err;
    }
    uint8_t tail[128] = {0};
    if (rest > 0)
        memcpy(tail, text.data + whole, rest);
    tail[rest] = 0x80;
    size_t tail_size = rest < 56 ? 64 : 128;
    uint64_t bits = (uint64_t)text.size * 8;
    memcpy(tail + tail_size - 8, &bits, 8);
    for (size_t offset = 0; offset < tail_size; offset += 64)
        md5_block(state, tail + offset);
    const uint8_t *digest = (const uint8_t *)state;
    static const char digits[] = "0123456789abcdef";
    char *hex = arena_alloc(call->arena, 32);
    for (size_t i = 0; i < 16; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    out->text = slice_of(hex, 32);
    return OK;
}

/* --- codes --- */

static enum err chr_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    int64_t code = a[0].i;
    if (code < 0)
        return error_set(call->error, ERR_INPUT, "22023", "character number must be positive");
    if (code == 0)
        return error_set(call->error, ERR_INPUT, "54000", "null character not permitted");
    if (code > 0x10FFFF)
        return error_set(call->error, ERR_INPUT, "54000",
                         "requested character too large for encoding: %lld", (long long)code);
    if (code >= 0xD800 && code <= 0xDFFF)
        return error_set(call->error, ERR_INPUT, "54000",
                         "requested character not valid for encoding: %lld", (long long)code);
    char *bytes = arena_alloc(call->arena, 4);
    out->text = slice_of(bytes, utf8_encode((uint32_t)code, bytes));
    return OK;
}

static enum err ascii_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)call, (void)count;
    size_t size;
    out->i = a[0].text.size == 0 ? 0 : (int64_t)utf8_decode(a[0].text, &size);
    return OK;
}

static enum err to_hex_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    uint64_t bits = a[0].type.id == TYPE_INT8 ? (uint64_t)a[0].i : (uint32_t)a[0].i;
    char *text = arena_printf(call->arena, "%llx", (unsigned long long)bits);
    out->text = slice_from_cstr(text);
    return OK;
}

/* --- counting NULLs --- */

static enum err nulls_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    out->i = 0;
    for (size_t i = 0; i < count; i++)
        out->i += a[i].is_null == (call->function->operation == 0);
    return OK;
}

/* --- chance --- */

static enum err uuid_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)a, (void)count;
    uint8_t *bytes = arena_alloc(call->arena, 16);
    random_bytes(bytes, 16);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    out->text = slice_of(bytes, 16);
    return OK;
}

static enum err random_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)call, (void)a, (void)count;
    out->f = (double)(random_u64() >> 11) * 0x1.0p-53;
    return OK;
}

#define T TYPE_TEXT
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("||", 2, LIST(T, T), T, 0, join_row, "both, one after the other", "'a' || 'b'")
    F("||", 2, LIST(T, TYPE_ANY_NONARRAY), T, 0, join_row, "text and anything as text", "'a' || 1")
    F("||", 2, LIST(TYPE_ANY_NONARRAY, T), T, 0, join_row, "anything as text and text", "1 || 'a'")
    F("||", 2, LIST(TYPE_BYTEA, TYPE_BYTEA), TYPE_BYTEA, 0, join_row, "both, one after the other",
      "'\\x0a'::bytea || '\\x0b'::bytea")
    {.name = "concat",
     .is_variadic = true,
     .is_null_tolerant = true,
     .result = T,
     .operation = CONCAT,
     .volatility = STABLE,
     .row = concat_row,
     .doc = "all as text, NULLs left out",
     .example = "concat('a', 1, NULL)"},
    {.name = "concat_ws",
     .argument_count = 1,
     .arguments = {T},
     .is_variadic = true,
     .is_null_tolerant = true,
     .result = T,
     .operation = CONCAT_WS,
     .volatility = STABLE,
     .row = concat_row,
     .doc = "all as text with a separator, NULLs left out",
     .example = "concat_ws(', ', 'a', 1)"},
    F("md5", 1, LIST(T), T, 0, md5_row, "the MD5 digest in hexadecimal", "md5('abc')")
    F("md5", 1, LIST(TYPE_BYTEA), T, 0, md5_row, "the MD5 digest in hexadecimal",
      "md5('\\x0a'::bytea)")
    F("chr", 1, LIST(TYPE_INT4), T, 0, chr_row, "the character of a code point", "chr(65)")
    F("ascii", 1, LIST(T), TYPE_INT4, 0, ascii_row, "the first character's code point",
      "ascii('A')")
    F("to_hex", 1, LIST(TYPE_INT4), T, 0, to_hex_row, "in hexadecimal", "to_hex(255)")
    F("to_hex", 1, LIST(TYPE_INT8), T, 0, to_hex_row, "in hexadecimal", "to_hex(255::bigint)")
    {.name = "gen_random_uuid",
     .result = TYPE_UUID,
     .volatility = VOLATILE,
     .row = uuid_row,
     .doc = "a random UUID (version 4)",
     .example = "gen_random_uuid()"},
    {.name = "random",
     .result = TYPE_FLOAT8,
     .volatility = VOLATILE,
     .row = random_row,
     .doc = "a random number, 0 <= x < 1",
     .example = "random()"},
    {.name = "num_nulls",
     .is_variadic = true,
     .is_null_tolerant = true,
     .result = TYPE_INT4,
     .operation = 0,
     .row = nulls_row,
     .doc = "how many arguments are NULL",
     .example = "num_nulls(1, NULL, 'a')"},
    {.name = "num_nonnulls",
     .is_variadic = true,
     .is_null_tolerant = true,
     .result = TYPE_INT4,
     .operation = 1,
     .row = nulls_row,
     .doc = "how many arguments are not NULL",
     .example = "num_nonnulls(1, NULL, 'a')"},
};
/* clang-format on */

const struct function_group functions_misc = {functions, array_count(functions)};
