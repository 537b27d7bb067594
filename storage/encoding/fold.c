/* Sums and extremes of a unit's packed values (bitpack.c), lane by lane in registers: no value is
 * written anywhere. What is behind a lane's last value is not looked at.
 *
 * Sums of up to 16 bits take several values at a time. Of the words of 32 bits that begin with a
 * value, every second value is added as it lies, then the others, moved down by one: each has as
 * many bits again for its sum to grow into.
 *
 *   width 5:   .. 5 4 3 2 1 0   ─▶   4 | 2 | 0   +   5 | 3 | 1     fields of 10 bits
 *
 * A lane has 32 values, of which a field gets at most 2 * ceil(32 / n) where a word has n: their
 * sum fits, which is asserted below for each width. So n / 2 values take two instructions where
 * each took three, or five if it ran over into the next word. From 17 bits on values come one by
 * one: up to 27 their sums keep within 32 bits, up to 32 they are made of the sum modulo 2^32 and
 * that of the values' upper halves.
 *
 * As in bitpack.c the compiler makes vector instructions of the loop over lanes. */
#include "storage/encoding/kernels.h"

#include "storage/base/fault.h"
#include "storage/encoding/lanes.h"

#include <assert.h>

#define NEAR_WIDTH_MAX 16  /* two values and room for their sums in a word */
#define ALONE_WIDTH_MAX 27 /* 32 values of so many bits add up within 32 */

/* Values of a word: an even number of them. */
#define WORD_VALUES(width) (32u / (width) / 2 * 2)
#define WORDS_OF(width) ((32u + WORD_VALUES(width) - 1) / WORD_VALUES(width))
#define FIELDS_FIT(width)                                                                          \
    ((width) == NEAR_WIDTH_MAX ||                                                                  \
     2 * WORDS_OF(width) * ((UINT64_C(1) << (width)) - 1) < UINT64_C(1) << 2 * (width))
static_assert(FIELDS_FIT(2) && FIELDS_FIT(3) && FIELDS_FIT(4) && FIELDS_FIT(5) && FIELDS_FIT(6) &&
                  FIELDS_FIT(7) && FIELDS_FIT(8) && FIELDS_FIT(9) && FIELDS_FIT(10) &&
                  FIELDS_FIT(11) && FIELDS_FIT(12) && FIELDS_FIT(13) && FIELDS_FIT(14) &&
                  FIELDS_FIT(15) && FIELDS_FIT(16),
              "sums of a lane's values stay in their fields");

/* --- sums, up to 16 bits --- */

/* Words begin with value `index`; of what is above its last value nothing is used. */
BODY uint32_t add_word(const uint8_t *in, unsigned width, unsigned index, unsigned lane)
{
    unsigned rest = 32 - index, count = WORD_VALUES(width) < rest ? WORD_VALUES(width) : rest;
    unsigned word = index * width / 32, shift = index * width % 32;
    uint32_t seconds =
        (uint32_t)(((UINT64_C(1) << width) - 1) *
                   (((UINT64_C(1) << width * count) - 1) / ((UINT64_C(1) << 2 * width) - 1)));
    uint32_t values = load32(in + (word * 32 + lane) * 4) >> shift;
    if (shift + width * count > 32)
        values |= load32(in + ((word + 1) * 32 + lane) * 4) << (32 - shift);
    return (values & seconds) + (values >> width & seconds);
}

#ifdef FRESHET_CHECK /* loops: with sanitizers the compiler takes minutes over the rows */
#define ALL_WORDS                                                                                  \
    for (unsigned i = 0; i < WORDS_OF(width); i++)                                                 \
        fields += add_word(in, width, i * WORD_VALUES(width), lane);
#define ALL_FIELDS                                                                                 \
    for (unsigned i = 0; i < WORD_VALUES(width) / 2; i++)                                          \
        sum += fields >> i * 2 * width & mask;
#else
#define WORD(i)                                                                                    \
    if ((i) < WORDS_OF(width))                                                                     \
        fields += add_word(in, width, (i)*WORD_VALUES(width), lane);
#define ALL_WORDS                                                                                  \
    WORD(0)                                                                                        \
    WORD(1)                                                                                        \
    WORD(2) WORD(3) WORD(4) WORD(5) WORD(6) WORD(7) WORD(8) WORD(9) WORD(10) WORD(11) WORD(12)     \
        WORD(13) WORD(14) WORD(15)
#define FIELD(i)                                                                                   \
    if ((i) < WORD_VALUES(width) / 2)                                                              \
        sum += fields >> (i)*2 * width & mask;
#define ALL_FIELDS FIELD(0) FIELD(1) FIELD(2) FIELD(3) FIELD(4) FIELD(5) FIELD(6) FIELD(7)
#endif

BODY uint64_t sum_near_body(unsigned width, const uint8_t *restrict in)
{
    uint32_t sums[32], mask = (uint32_t)((UINT64_C(1) << 2 * width) - 1);
    uint64_t all = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t fields = 0, sum = 0;
        ALL_WORDS
        ALL_FIELDS
        sums[lane] = sum;
    }
    for (unsigned lane = 0; lane < 32; lane++)
        all += sums[lane];
    return all;
}

/* In four sums, none of which waits for the others. */
#define BITS_OF(i) (uint64_t) __builtin_popcountll(load64(in + (i)*8))
#define BITS_OF_FOUR(i) (BITS_OF(i) + BITS_OF((i) + 4) + (BITS_OF((i) + 8) + BITS_OF((i) + 12)))
BODY uint64_t sum_bits_body(const uint8_t *restrict in)
{
    return BITS_OF_FOUR(0) + BITS_OF_FOUR(1) + (BITS_OF_FOUR(2) + BITS_OF_FOUR(3));
}

/* --- sums, wider --- */

#ifdef FRESHET_CHECK
#define EACH32(DO)                                                                                 \
    for (unsigned j = 0; j < 32; j++) {                                                            \
        DO(j)                                                                                      \
    }
#define EACH64(DO)                                                                                 \
    for (unsigned j = 0; j < 64; j++) {                                                            \
        DO(j)                                                                                      \
    }
#else
#define EIGHT(DO, j) DO(j) DO(j + 1) DO(j + 2) DO(j + 3) DO(j + 4) DO(j + 5) DO(j + 6) DO(j + 7)
#define EACH32(DO) EIGHT(DO, 0) EIGHT(DO, 8) EIGHT(DO, 16) EIGHT(DO, 24)
#define EACH64(DO) EACH32(DO) EIGHT(DO, 32) EIGHT(DO, 40) EIGHT(DO, 48) EIGHT(DO, 56)
#endif

#define ADD_ALONE(j) sum += take32(in, width, (j), lane);
BODY uint64_t sum_alone_body(unsigned width, const uint8_t *restrict in)
{
    uint32_t sums[32];
    uint64_t all = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t sum = 0;
        EACH32(ADD_ALONE)
        sums[lane] = sum;
    }
    for (unsigned lane = 0; lane < 32; lane++)
        all += sums[lane];
    return all;
}

/* The sum of lower halves has 21 bits: what the whole has above that of the upper halves. */
#define ADD_HALVES(j)                                                                              \
    {                                                                                              \
        uint32_t value = take32(in, width, (j), lane);                                             \
        sum += value;                                                                              \
        upper += value >> 16;                                                                      \
    }
BODY uint64_t sum_halves_body(unsigned width, const uint8_t *restrict in)
{
    uint32_t lowers[32], uppers[32];
    uint64_t low = 0, high = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t sum = 0, upper = 0;
        EACH32(ADD_HALVES)
        lowers[lane] = sum - (upper << 16);
        uppers[lane] = upper;
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        low += lowers[lane];
        high += uppers[lane];
    }
    return (high << 16) + low;
}

BODY uint64_t sum32_body(unsigned width, const uint8_t *restrict in)
{
    return width == 1                 ? sum_bits_body(in)
           : width <= NEAR_WIDTH_MAX  ? sum_near_body(width, in)
           : width <= ALONE_WIDTH_MAX ? sum_alone_body(width, in)
                                      : sum_halves_body(width, in);
}

#define ADD_WIDE(j) sum += take64(in, width, (j), lane);
BODY uint64_t sum64_body(unsigned width, const uint8_t *restrict in)
{
    uint64_t sums[16], all = 0;
    for (unsigned lane = 0; lane < 16; lane++) {
        uint64_t sum = 0;
        EACH64(ADD_WIDE)
        sums[lane] = sum;
    }
    for (unsigned lane = 0; lane < 16; lane++)
        all += sums[lane];
    return all;
}

/* --- extremes --- */

#define WIDEN_ENDS(j)                                                                              \
    {                                                                                              \
        uint32_t value = take32(in, width, (j), lane);                                             \
        least = value < least ? value : least;                                                     \
        greatest = value > greatest ? value : greatest;                                            \
    }
BODY void ends_body(unsigned width, const uint8_t *restrict in, struct lane_ends *restrict ends)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t least = ends->least[lane], greatest = ends->greatest[lane];
        EACH32(WIDEN_ENDS)
        ends->least[lane] = least;
        ends->greatest[lane] = greatest;
    }
}

/* --- a function per width --- */

/* clang-format off: one line per function of a table. */
#define SUM32(isa, attributes, width)                                                              \
    attributes static uint64_t sum_##width##_##isa(const uint8_t *restrict in)                     \
    {                                                                                              \
        return sum32_body(width, in);                                                              \
    }
#define SUM64(isa, attributes, width)                                                              \
    attributes static uint64_t sum_##width##_##isa(const uint8_t *restrict in)                     \
    {                                                                                              \
        return sum64_body(width, in);                                                              \
    }
#define ENDS(isa, attributes, width)                                                               \
    attributes static void ends_##width##_##isa(const uint8_t *restrict in,                        \
                                                struct lane_ends *restrict ends)                   \
    {                                                                                              \
        ends_body(width, in, ends);                                                                \
    }
#define SUM_ROW(isa, attributes, width) sum_##width##_##isa,
#define ENDS_ROW(isa, attributes, width) ends_##width##_##isa,
#define TABLES(isa, attributes)                                                                    \
    WIDTHS32_OF(SUM32, isa, attributes)                                                            \
    WIDTHS54_OF(SUM64, isa, attributes)                                                            \
    WIDTHS32_OF(ENDS, isa, attributes)                                                             \
    static fold_sum_function *const sum_##isa[FOLD_SUM_WIDTH_MAX + 1] = {                          \
        NULL, WIDTHS32_OF(SUM_ROW, isa, attributes) WIDTHS54_OF(SUM_ROW, isa, attributes)};        \
    static fold_ends_function *const ends_##isa[33] = {NULL,                                       \
                                                       WIDTHS32_OF(ENDS_ROW, isa, attributes)};    \
    const struct fold fold_##isa = {.sum = sum_##isa, .ends = ends_##isa};

TABLES(base, )
#if defined(__x86_64__)
TABLES(avx2, __attribute__((target("avx2,bmi2,popcnt"))))
TABLES(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt"))))
#endif
/* clang-format on */
