/* Text views: comparing, trimming, and UTF-8 by RFC 3629 (no surrogates, no overlong forms). */
#include "storage/base/slice.h"

#include <assert.h>

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

int slice_compare(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

bool slice_equal_ignore_case(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t index = 0; index < a.size; index++)
        if (lower((unsigned char)a.data[index]) != lower((unsigned char)b.data[index]))
            return false;
    return true;
}

bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size &&
           (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice slice_trim(struct slice s)
{
    while (s.size > 0 && is_space(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && is_space(s.data[s.size - 1]))
        s.size--;
    return s;
}

struct slice slice_cut(struct slice s, size_t size_max)
{
    if (s.size <= size_max)
        return s;
    while (size_max > 0 && ((unsigned char)s.data[size_max] & 0xC0) == 0x80)
        size_max--;
    return slice_of(s.data, size_max);
}

/* Bytes of the sequence that starts at p, 0 if it is not valid. */
static size_t sequence_size(const unsigned char *p, size_t left)
{
    unsigned char lead = p[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    if (lead < 0xE0)
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (lead < 0xF0) {
        unsigned char low = lead == 0xE0 ? 0xA0 : 0x80;
        unsigned char high = lead == 0xED ? 0x9F : 0xBF;
        return left >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (lead < 0xF5) {
        unsigned char low = lead == 0xF0 ? 0x90 : 0x80;
        unsigned char high = lead == 0xF4 ? 0x8F : 0xBF;
        return left >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 &&
                       (p[3] & 0xC0) == 0x80
                   ? 4
                   : 0;
    }
    return 0;
}

size_t utf8_validate(struct slice s)
{
    const unsigned char *bytes = (const unsigned char *)s.data;
    size_t index = 0;
    while (index < s.size) {
        while (index + 8 <= s.size) {
            uint64_t word;
            memcpy(&word, bytes + index, sizeof(word));
            if ((word & 0x8080808080808080ULL) != 0)
                break;
            index += 8;
        }
        if (index >= s.size)
            break;
        size_t size = sequence_size(bytes + index, s.size - index);
        if (size == 0)
            return index;
        index += size;
    }
    return s.size;
}

size_t utf8_count(struct slice s)
{
    size_t count = 0;
    for (size_t index = 0; index < s.size; index++)
        count += ((unsigned char)s.data[index] & 0xC0) != 0x80;
    return count;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    assert(c <= 0x10FFFF);
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

uint32_t utf8_decode(struct slice s, size_t *size)
{
    const unsigned char *p = (const unsigned char *)s.data;
    assert(s.size > 0);
    if (p[0] < 0x80) {
        *size = 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *size = 2;
        return ((uint32_t)(p[0] & 0x1F) << 6) | (p[1] & 0x3Fu);
    }
    if (p[0] < 0xF0) {
        *size = 3;
        return ((uint32_t)(p[0] & 0x0F) << 12) | ((uint32_t)(p[1] & 0x3F) << 6) | (p[2] & 0x3Fu);
    }
    *size = 4;
    return ((uint32_t)(p[0] & 0x07) << 18) | ((uint32_t)(p[1] & 0x3F) << 12) |
           ((uint32_t)(p[2] & 0x3F) << 6) | (p[3] & 0x3Fu);
}
