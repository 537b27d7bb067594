/* Bit-packing: a unit of 1,024 values in w bits each.
 *
 * Lanes lie side by side: value i belongs to lane i % L and is the (i / L)-th of it, where L is 32
 * lanes of 32 bits up to width 32, and 16 lanes of 64 bits above. A lane's values follow each other
 * from the lowest bit up and run over into its next word; word k of lane l is at (k * L + l) words.
 *
 *   width 3:   word 0 of lane 0 | word 0 of lane 1 | … | word 0 of lane 31 | word 1 of lane 0 | …
 *              values 0, 32, 64 … 320 (its low 2 bits)                       values 320 (1 bit), …
 *
 * All lanes do the same at the same time, so the loop over lanes becomes vector instructions of any
 * breadth without shuffling: the compiler does it from the plain loop below, once per instruction
 * set. Shifts are constants because each width has its own function. A value is found alone from
 * two words. Cost: about 0.05 ns a value to unpack where there is AVX-512, 0.3 ns to pack.
 */
#include "storage/encoding/kernels.h"

#include "storage/encoding/lanes.h"

#ifdef FRESHET_CHECK /* the same by loops: with sanitizers the compiler takes minutes over the     \
                        rows */
#define ALL32                                                                                      \
    for (unsigned j = 0; j < 32; j++)                                                              \
        out[j * 32 + lane] = take32(in, width, j, lane);
#define ALL64                                                                                      \
    for (unsigned j = 0; j < 64; j++)                                                              \
        out[j * 16 + lane] = take64(in, width, j, lane);
#else
/* clang-format off: all of a lane in a row, so that the loop over lanes is the innermost one. */
#define TAKE32(j) out[(j)*32 + lane] = take32(in, width, (j), lane);
#define ALL32                                                                                      \
    TAKE32(0)                                                                                      \
    TAKE32(1)                                                                                      \
    TAKE32(2)                                                                                      \
    TAKE32(3)                                                                                      \
    TAKE32(4)                                                                                      \
    TAKE32(5)                                                                                      \
    TAKE32(6)                                                                                      \
    TAKE32(7)                                                                                      \
    TAKE32(8)                                                                                      \
    TAKE32(9)                                                                                      \
    TAKE32(10)                                                                                     \
    TAKE32(11) TAKE32(12) TAKE32(13) TAKE32(14) TAKE32(15) TAKE32(16) TAKE32(17) TAKE32(18)        \
        TAKE32(19) TAKE32(20) TAKE32(21) TAKE32(22) TAKE32(23) TAKE32(24) TAKE32(25) TAKE32(26)    \
            TAKE32(27) TAKE32(28) TAKE32(29) TAKE32(30) TAKE32(31)
#define TAKE64(j) out[(j)*16 + lane] = take64(in, width, (j), lane);
#define ALL64                                                                                      \
    TAKE64(0)                                                                                      \
    TAKE64(1)                                                                                      \
    TAKE64(2)                                                                                      \
    TAKE64(3)                                                                                      \
    TAKE64(4)                                                                                      \
    TAKE64(5)                                                                                      \
    TAKE64(6)                                                                                      \
    TAKE64(7)                                                                                      \
    TAKE64(8)                                                                                      \
    TAKE64(9)                                                                                      \
    TAKE64(10)                                                                                     \
    TAKE64(11) TAKE64(12) TAKE64(13) TAKE64(14) TAKE64(15) TAKE64(16) TAKE64(17) TAKE64(18)        \
        TAKE64(19) TAKE64(20) TAKE64(21) TAKE64(22) TAKE64(23) TAKE64(24) TAKE64(25) TAKE64(26)    \
            TAKE64(27) TAKE64(28) TAKE64(29) TAKE64(30) TAKE64(31) TAKE64(32) TAKE64(33)           \
                TAKE64(34) TAKE64(35) TAKE64(36) TAKE64(37) TAKE64(38) TAKE64(39) TAKE64(40)       \
                    TAKE64(41) TAKE64(42) TAKE64(43) TAKE64(44) TAKE64(45) TAKE64(46) TAKE64(47)   \
                        TAKE64(48) TAKE64(49) TAKE64(50) TAKE64(51) TAKE64(52) TAKE64(53)          \
                            TAKE64(54) TAKE64(55) TAKE64(56) TAKE64(57) TAKE64(58) TAKE64(59)      \
                                TAKE64(60) TAKE64(61) TAKE64(62) TAKE64(63)
/* clang-format on */
#endif

BODY void unpack32_body(unsigned width, const uint8_t *restrict in, uint32_t *restrict out)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        ALL32
    }
}

/* And moved by `base`, modulo 2^32, up to `limit` at most. */
#ifdef FRESHET_CHECK
#define CODES                                                                                      \
    for (unsigned j = 0; j < 32; j++) {                                                            \
        uint32_t code = base + take32(in, width, j, lane);                                         \
        out[j * 32 + lane] = code < limit ? code : limit;                                          \
    }
#else
#define CODE(j)                                                                                    \
    {                                                                                              \
        uint32_t code = base + take32(in, width, (j), lane);                                       \
        out[(j)*32 + lane] = code < limit ? code : limit;                                          \
    }
#define CODE_EIGHT(j)                                                                              \
    CODE(j)                                                                                        \
    CODE(j + 1) CODE(j + 2) CODE(j + 3) CODE(j + 4) CODE(j + 5) CODE(j + 6) CODE(j + 7)
#define CODES CODE_EIGHT(0) CODE_EIGHT(8) CODE_EIGHT(16) CODE_EIGHT(24)
#endif

BODY void codes32_body(unsigned width, const uint8_t *restrict in, uint32_t base, uint32_t limit,
                       uint32_t *restrict out)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        CODES
    }
}

BODY void unpack64_body(unsigned width, const uint8_t *restrict in, uint64_t *restrict out)
{
    for (unsigned lane = 0; lane < 16; lane++) {
        ALL64
    }
}

BODY void pack32_body(const uint32_t *restrict values, uint32_t width, uint8_t *restrict out)
{
    uint32_t word[32] = {0};
    uint32_t used = 0;
    for (uint32_t index = 0; index < 32; index++, values += 32) {
        for (unsigned lane = 0; lane < 32; lane++)
            word[lane] |= values[lane] << used;
        used += width;
        if (used < 32)
            continue;
        memcpy(out, word, sizeof(word));
        out += sizeof(word);
        used -= 32;
        for (unsigned lane = 0; lane < 32; lane++)
            word[lane] = used == 0 ? 0 : values[lane] >> (width - used);
    }
}

BODY void pack64_body(const uint64_t *restrict values, uint32_t width, uint8_t *restrict out)
{
    uint64_t word[16] = {0};
    uint32_t used = 0;
    for (uint32_t index = 0; index < 64; index++, values += 16) {
        for (unsigned lane = 0; lane < 16; lane++)
            word[lane] |= values[lane] << used;
        used += width;
        if (used < 64)
            continue;
        memcpy(out, word, sizeof(word));
        out += sizeof(word);
        used -= 64;
        for (unsigned lane = 0; lane < 16; lane++)
            word[lane] = used == 0 ? 0 : values[lane] >> (width - used);
    }
}

/* Strides of a fixed length: what the compiler makes vectors of without checking for a rest. */
#define STRIDE 32u

BODY void narrow_some(const uint64_t *restrict values, uint32_t count, uint64_t base,
                      uint32_t shift, uint32_t factor, uint32_t *restrict out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = (uint32_t)((values[i] - base) >> shift) * factor;
}

BODY void narrow_body(const uint64_t *restrict values, uint32_t count, uint64_t base,
                      uint32_t shift, uint32_t factor, uint32_t *restrict out)
{
    uint32_t done = 0;
    for (; done + STRIDE <= count; done += STRIDE)
        narrow_some(values + done, STRIDE, base, shift, factor, out + done);
    narrow_some(values + done, count - done, base, shift, factor, out + done);
}

BODY void widen_some(const uint32_t *restrict values, uint32_t count, uint64_t base, uint64_t scale,
                     uint64_t *restrict out)
{
    if (scale == 1) {
        for (uint32_t i = 0; i < count; i++)
            out[i] = base + values[i];
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        out[i] = base + values[i] * scale;
}

BODY void widen_body(const uint32_t *restrict values, uint32_t count, uint64_t base, uint64_t scale,
                     uint64_t *restrict out)
{
    uint32_t done = 0;
    for (; done + STRIDE <= count; done += STRIDE)
        widen_some(values + done, STRIDE, base, scale, out + done);
    widen_some(values + done, count - done, base, scale, out + done);
}

BODY void codes_some(const uint32_t *restrict values, uint32_t count, uint32_t base, uint32_t scale,
                     uint32_t limit, uint32_t *restrict out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = base + values[i] * scale;
        out[i] = code < limit ? code : limit;
    }
}

BODY void codes_body(const uint32_t *restrict values, uint32_t count, uint32_t base, uint32_t scale,
                     uint32_t limit, uint32_t *restrict out)
{
    uint32_t done = 0;
    for (; done + STRIDE <= count; done += STRIDE)
        codes_some(values + done, STRIDE, base, scale, limit, out + done);
    codes_some(values + done, count - done, base, scale, limit, out + done);
}

/* clang-format off: one line per function of a table. */
#define WIDTH_ZERO(isa, attributes)                                                                \
    attributes static void unpack32_0_##isa(const uint8_t *restrict in, uint32_t *restrict out)    \
    {                                                                                              \
        (void)in;                                                                                  \
        memset(out, 0, UNIT_VALUES * sizeof(*out));                                                \
    }
#define UNPACK32(isa, attributes, width)                                                           \
    attributes static void unpack32_##width##_##isa(const uint8_t *restrict in,                    \
                                                    uint32_t *restrict out)                        \
    {                                                                                              \
        unpack32_body(width, in, out);                                                             \
    }
#define CODES32(isa, attributes, width)                                                            \
    attributes static void codes32_##width##_##isa(const uint8_t *restrict in, uint32_t base,      \
                                                   uint32_t limit, uint32_t *restrict out)         \
    {                                                                                              \
        codes32_body(width, in, base, limit, out);                                                 \
    }
#define UNPACK64(isa, attributes, width)                                                           \
    attributes static void unpack64_##width##_##isa(const uint8_t *restrict in,                    \
                                                    uint64_t *restrict out)                        \
    {                                                                                              \
        unpack64_body(width, in, out);                                                             \
    }
#define OTHERS(isa, attributes)                                                                    \
    attributes static void pack32_##isa(const uint32_t *restrict v, uint32_t width,                \
                                        uint8_t *restrict out)                                     \
    {                                                                                              \
        pack32_body(v, width, out);                                                                \
    }                                                                                              \
    attributes static void pack64_##isa(const uint64_t *restrict v, uint32_t width,                \
                                        uint8_t *restrict out)                                     \
    {                                                                                              \
        pack64_body(v, width, out);                                                                \
    }                                                                                              \
    attributes static void narrow_##isa(const uint64_t *restrict v, uint32_t count, uint64_t base, \
                                        uint32_t shift, uint32_t factor, uint32_t *restrict out)   \
    {                                                                                              \
        narrow_body(v, count, base, shift, factor, out);                                           \
    }                                                                                              \
    attributes static void widen_##isa(const uint32_t *restrict v, uint32_t count, uint64_t base,  \
                                       uint64_t scale, uint64_t *restrict out)                     \
    {                                                                                              \
        widen_body(v, count, base, scale, out);                                                    \
    }                                                                                              \
    attributes static void codes_##isa(const uint32_t *restrict v, uint32_t count, uint32_t base,  \
                                       uint32_t scale, uint32_t limit, uint32_t *restrict out)     \
    {                                                                                              \
        codes_body(v, count, base, scale, limit, out);                                             \
    }
#define TABLE_ROW32(isa, attributes, width) unpack32_##width##_##isa,
#define CODES_ROW32(isa, attributes, width) codes32_##width##_##isa,
#define TABLE_ROW64(isa, attributes, width) unpack64_##width##_##isa,
#define TABLES(isa, attributes)                                                                    \
    WIDTH_ZERO(isa, attributes)                                                                    \
    WIDTHS32_OF(UNPACK32, isa, attributes)                                                         \
    WIDTHS32_OF(CODES32, isa, attributes)                                                          \
    WIDTHS64_OF(UNPACK64, isa, attributes)                                                         \
    OTHERS(isa, attributes)                                                                        \
    static unpack32_function *const unpack32_##isa[33] = {                                         \
        unpack32_0_##isa, WIDTHS32_OF(TABLE_ROW32, isa, attributes)};                              \
    static unpack64_function *const unpack64_##isa[32] = {                                         \
        WIDTHS64_OF(TABLE_ROW64, isa, attributes)};                                                \
    static codes32_function *const codes32_##isa[33] = {                                           \
        NULL, WIDTHS32_OF(CODES_ROW32, isa, attributes)};                                          \
    const struct bitpack bitpack_##isa = {.unpack32 = unpack32_##isa,                              \
                                          .codes32 = codes32_##isa,                                \
                                          .unpack64 = unpack64_##isa,                              \
                                          .pack32 = pack32_##isa,                                  \
                                          .pack64 = pack64_##isa,                                  \
                                          .narrow = narrow_##isa,                                  \
                                          .widen = widen_##isa,                                    \
                                          .codes = codes_##isa};

TABLES(base, )
#if defined(__x86_64__)
TABLES(avx2, __attribute__((target("avx2,bmi2"))))
TABLES(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2"))))
#endif
/* clang-format on */
