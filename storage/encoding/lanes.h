/* Values of a unit (bitpack.c) lane by lane: where the innermost loop goes over lanes, the rest are
 * constants once a width is, and a function per width and instruction set comes from one body. */
#ifndef FRESHET_STORAGE_ENCODING_LANES_H
#define FRESHET_STORAGE_ENCODING_LANES_H

#include <stdint.h>
#include <string.h>

#define BODY static inline __attribute__((always_inline))

BODY uint32_t load32(const uint8_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

BODY uint64_t load64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

BODY uint32_t take32(const uint8_t *in, unsigned width, unsigned index, unsigned lane)
{
    unsigned word = index * width / 32, shift = index * width % 32;
    uint32_t value = load32(in + (word * 32 + lane) * 4) >> shift;
    if (shift + width > 32)
        value |= load32(in + ((word + 1) * 32 + lane) * 4) << (32 - shift);
    return width == 32 ? value : value & ((UINT32_C(1) << width) - 1);
}

BODY uint64_t take64(const uint8_t *in, unsigned width, unsigned index, unsigned lane)
{
    unsigned word = index * width / 64, shift = index * width % 64;
    uint64_t value = load64(in + (word * 16 + lane) * 8) >> shift;
    if (shift + width > 64)
        value |= load64(in + ((word + 1) * 16 + lane) * 8) << (64 - shift);
    return width == 64 ? value : value & ((UINT64_C(1) << width) - 1);
}

/* clang-format off: M(isa, attributes, width) for each width. */
#define WIDTHS32_OF(M, I, A)                                                                       \
    M(I, A, 1)                                                                                     \
    M(I, A, 2) M(I, A, 3) M(I, A, 4) M(I, A, 5) M(I, A, 6) M(I, A, 7) M(I, A, 8) M(I, A, 9)        \
        M(I, A, 10) M(I, A, 11) M(I, A, 12) M(I, A, 13) M(I, A, 14) M(I, A, 15) M(I, A, 16)        \
            M(I, A, 17) M(I, A, 18) M(I, A, 19) M(I, A, 20) M(I, A, 21) M(I, A, 22) M(I, A, 23)    \
                M(I, A, 24) M(I, A, 25) M(I, A, 26) M(I, A, 27) M(I, A, 28) M(I, A, 29)            \
                    M(I, A, 30) M(I, A, 31) M(I, A, 32)
#define WIDTHS54_OF(M, I, A)                                                                       \
    M(I, A, 33)                                                                                    \
    M(I, A, 34) M(I, A, 35) M(I, A, 36) M(I, A, 37) M(I, A, 38) M(I, A, 39) M(I, A, 40)            \
        M(I, A, 41) M(I, A, 42) M(I, A, 43) M(I, A, 44) M(I, A, 45) M(I, A, 46) M(I, A, 47)        \
            M(I, A, 48) M(I, A, 49) M(I, A, 50) M(I, A, 51) M(I, A, 52) M(I, A, 53) M(I, A, 54)
#define WIDTHS64_OF(M, I, A)                                                                       \
    WIDTHS54_OF(M, I, A)                                                                           \
    M(I, A, 55)                                                                                    \
    M(I, A, 56) M(I, A, 57) M(I, A, 58) M(I, A, 59) M(I, A, 60) M(I, A, 61) M(I, A, 62)            \
        M(I, A, 63) M(I, A, 64)
/* clang-format on */

#endif
