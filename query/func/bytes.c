/* bytea as a row of bytes and bits: parts, trimming, finding, single bytes and bits. */
#include "query/func/text.h"

#include <limits.h>
#include <string.h>

/* Bytes `first` … `end` - 1, from 1, wherever these lie. */
static struct slice part(struct slice bytes, int64_t first, int64_t end)
{
    int64_t size = (int64_t)bytes.size;
    first = first < 1 ? 1 : first;
    end = end > size + 1 ? size + 1 : end;
    return end <= first ? (struct slice){0}
                        : slice_of(bytes.data + first - 1, (size_t)(end - first));
}

static enum err negative_length(struct call *call)
{
    return error_set(call->error, ERR_INPUT, "22011", "negative substring length not allowed");
}

static enum err part_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    if (count > 2 && a[2].i < 0)
        return negative_length(call);
    out->text = part(a[0].text, a[1].i, count > 2 ? a[1].i + a[2].i : INT64_MAX);
    return OK;
}

static enum err overlay_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    int64_t first = a[2].i, length = count > 3 ? a[3].i : (int64_t)a[1].text.size;
    if (first <= 0)
        return negative_length(call);
    if (first + length > INT_MAX || first + length < INT_MIN)
        return error_out_of_range(call->error, "integer");
    struct slice parts[] = {part(a[0].text, 1, first), a[1].text,
                            part(a[0].text, first + length, INT64_MAX)};
    char *buffer;
    enum err err = text_reserve(call, parts[0].size + parts[1].size + parts[2].size, &buffer);
    if (err != OK)
        return err;
    out->text = slice_of(buffer, 0);
    for (size_t i = 0; i < array_count(parts); i++) {
        if (parts[i].size > 0)
            memcpy(buffer + out->text.size, parts[i].data, parts[i].size);
        out->text.size += parts[i].size;
    }
    return OK;
}

enum { TRIM_LEFT = 1, TRIM_RIGHT = 2, TRIM_BOTH = 3 };

static enum err trim_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    bool is_cut[256] = {false};
    struct slice bytes = a[0].text;
    const unsigned char *data = (const unsigned char *)bytes.data;
    size_t first = 0, end = bytes.size;
    for (size_t i = 0; i < a[1].text.size; i++)
        is_cut[(unsigned char)a[1].text.data[i]] = true;
    while (call->function->operation & TRIM_LEFT && first < end && is_cut[data[first]])
        first++;
    while (call->function->operation & TRIM_RIGHT && first < end && is_cut[data[end - 1]])
        end--;
    out->text = slice_of(bytes.data + first, end - first);
    return OK;
}

static enum err position_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)call, (void)count;
    size_t offset = text_find(a[0].text, a[1].text);
    out->i = offset == SIZE_MAX ? 0 : (int64_t)offset + 1;
    return OK;
}

/* --- one byte, one bit: from 0, of a byte the lowest bit first --- */

enum { BYTES, BITS };

static enum err check_index(struct call *call, struct slice bytes, int64_t index)
{
    int64_t size = (int64_t)bytes.size * (call->function->operation == BITS ? 8 : 1);
    return index >= 0 && index < size ? OK
                                      : error_set(call->error, ERR_INPUT, "2202E",
                                                  "index %lld out of valid range, 0..%lld",
                                                  (long long)index, (long long)size - 1);
}

static enum err get_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    const unsigned char *data = (const unsigned char *)a[0].text.data;
    enum err err = check_index(call, a[0].text, a[1].i);
    if (err == OK)
        out->i =
            call->function->operation == BITS ? data[a[1].i / 8] >> a[1].i % 8 & 1 : data[a[1].i];
    return err;
}

static enum err set_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    bool is_bit = call->function->operation == BITS;
    enum err err = check_index(call, a[0].text, a[1].i);
    if (err == OK && is_bit && a[2].i != 0 && a[2].i != 1)
        err = error_set(call->error, ERR_INPUT, "22023", "new bit must be 0 or 1");
    if (err != OK)
        return err;
    out->text = arena_copy(call->arena, a[0].text);
    unsigned char *byte = (unsigned char *)out->text.data + a[1].i / (is_bit ? 8 : 1);
    unsigned bit = 1u << a[1].i % 8;
    *byte = (unsigned char)(!is_bit ? a[2].i : a[2].i == 1 ? *byte | bit : *byte & ~bit);
    return OK;
}

static enum err bit_count_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)call, (void)count;
    out->i = 0;
    for (size_t i = 0; i < a[0].text.size; i++)
        out->i += __builtin_popcount((unsigned char)a[0].text.data[i]);
    return OK;
}

#define B TYPE_BYTEA
#define I TYPE_INT4
#define L TYPE_INT8
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("substr", 2, LIST(B, I), B, 0, part_row, "from that byte on", "substr('\\x0a0b0c'::bytea, 2)")
    F("substr", 3, LIST(B, I, I), B, 0, part_row, "so many bytes from there",
      "substr('\\x0a0b0c'::bytea, 2, 1)")
    F("substring", 2, LIST(B, I), B, 0, part_row, "from that byte on",
      "substring('\\x0a0b0c'::bytea FROM 2)")
    F("substring", 3, LIST(B, I, I), B, 0, part_row, "so many bytes from there",
      "substring('\\x0a0b0c'::bytea FROM 2 FOR 1)")
    F("overlay", 3, LIST(B, B, I), B, 0, overlay_row, "with a part put over",
      "overlay('\\x0a0b0c'::bytea PLACING '\\xff'::bytea FROM 2)")
    F("overlay", 4, LIST(B, B, I, I), B, 0, overlay_row, "with a part put over so many bytes",
      "overlay('\\x0a0b0c'::bytea PLACING '\\xff'::bytea FROM 2 FOR 2)")
    F("btrim", 2, LIST(B, B), B, TRIM_BOTH, trim_row, "without these bytes at either end",
      "btrim('\\x000a00'::bytea, '\\x00'::bytea)")
    F("ltrim", 2, LIST(B, B), B, TRIM_LEFT, trim_row, "without these bytes at the start",
      "ltrim('\\x000a00'::bytea, '\\x00'::bytea)")
    F("rtrim", 2, LIST(B, B), B, TRIM_RIGHT, trim_row, "without these bytes at the end",
      "rtrim('\\x000a00'::bytea, '\\x00'::bytea)")
    F("position", 2, LIST(B, B), I, 0, position_row, "where the bytes start, 0 if nowhere",
      "position('\\x0b'::bytea IN '\\x0a0b'::bytea)")
    F("get_byte", 2, LIST(B, I), I, BYTES, get_row, "the byte of that number, from 0",
      "get_byte('\\x0a0b'::bytea, 1)")
    F("set_byte", 3, LIST(B, I, I), B, BYTES, set_row, "with that byte changed",
      "set_byte('\\x0a0b'::bytea, 1, 255)")
    F("get_bit", 2, LIST(B, L), I, BITS, get_row, "the bit of that number, from 0",
      "get_bit('\\x0a'::bytea, 1)")
    F("set_bit", 3, LIST(B, L, I), B, BITS, set_row, "with that bit changed",
      "set_bit('\\x0a'::bytea, 0, 1)")
    F("bit_count", 1, LIST(B), L, 0, bit_count_row, "how many bits are set",
      "bit_count('\\x0aff'::bytea)")
};
/* clang-format on */

const struct function_group functions_bytes = {functions, array_count(functions)};
