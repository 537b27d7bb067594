/* A borrowed run of bytes: text views everywhere, never owned, never NUL-terminated. */
#ifndef FRESHET_STORAGE_BASE_SLICE_H
#define FRESHET_STORAGE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t size;
};

#define SLICE(literal) ((struct slice){.data = (literal), .size = sizeof(literal) - 1})
/* For printf: ("%.*s", SLICE_ARGS(s)). */
#define SLICE_ARGS(s) (int)(s).size, (s).data
#define array_count(array) (sizeof(array) / sizeof((array)[0]))

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){.data = (const char *)data, .size = size};
}

static inline struct slice slice_from_cstr(const char *text)
{
    return (struct slice){.data = text, .size = strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Byte order (collation C): <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);
/* ASCII case only. */
bool slice_equal_ignore_case(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
/* Without leading and trailing space, tab, CR and LF (and VT, FF). */
struct slice slice_trim(struct slice s);
/* At most size_max bytes of it, cut at a character boundary: for quoting input in error texts. */
struct slice slice_cut(struct slice s, size_t size_max);

/* The first byte that does not belong to valid UTF-8 (RFC 3629), or s.size if all is valid. SIMD on
 * ASCII runs. */
size_t utf8_validate(struct slice s);
/* Characters (code points) in valid UTF-8. */
size_t utf8_count(struct slice s);
/* Encodes one code point into at most 4 bytes, returns how many. */
size_t utf8_encode(uint32_t code_point, char out[4]);
/* Decodes the character at s.data (valid UTF-8, s.size > 0); *size its bytes. */
uint32_t utf8_decode(struct slice s, size_t *size);

#endif
