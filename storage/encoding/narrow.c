/* Hits of a range, a set or a few ranges among a unit's packed values of up to 16 bits, with more
 * values in a register than it has lanes: 64 bytes or 32 halves, in order of rows.
 *
 *   1, 2, 4 bits   bytes of the words as they are, each twice, turned so that two values come down
 *   8, 16          words as they are
 *   others         values of four or two rows of lanes moved into one word
 *
 *   lanes 0 … 15 | lanes 16 … 31  ─▶  values of 64 rows side by side  ─▶  a bit each
 *
 * Values of up to 7 bits are looked up in a register or two that say yes or no for each, whatever
 * was asked, and what is above a value's bits is not even cleared: a table goes on with copies of
 * itself. Of 8 bits a set is 32 bytes, one of them picked and a bit of it tested; of up to 12 they
 * are eight registers. All bits of a unit come out, in 16 words; list_hits_avx512() makes
 * rows of them.
 *
 * For processors that pick bytes out of two registers (VBMI) and turn halves (VBMI2); others have
 * between.c, 16 values at a time, with the same hits, which tests compare. */
#include "storage/encoding/packed_units.h"

#include "storage/base/fault.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <string.h>

#define VBMI2                                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi2,"        \
                          "popcnt")))
#define BODY static inline __attribute__((always_inline))
#define BYTES_WIDTH_MAX 8u
#define EIGHT_BITS ((long long)UINT64_C(0x8040201008040201)) /* byte i has bit i */
#define SET_WIDTH_MIN 10u /* of halves; up to 9 bits between.c has a register for */

typedef uint32_t sixteen __attribute__((vector_size(64), aligned(1), may_alias));

static bool has_vbmi2(void)
{
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           !fault_is("kernels.no_vbmi2");
}

uint32_t packed_set_width_max_avx512(void)
{
    return has_vbmi2() ? PACKED_SET_WIDTH_MAX : PACKED_SET_WIDTH_MAX_PLAIN;
}

/* --- values side by side --- */

/* Places of 64 bytes: of byte `first` of 32 words in two registers, then of byte `second`. */
struct places {
    uint8_t at[64];
};
#define PLACE(byte, lane) ((lane)*4 + (byte))
#define PLACES4(byte, lane)                                                                        \
    PLACE(byte, lane), PLACE(byte, (lane) + 1), PLACE(byte, (lane) + 2), PLACE(byte, (lane) + 3)
#define PLACES32(byte)                                                                             \
    PLACES4(byte, 0), PLACES4(byte, 4), PLACES4(byte, 8), PLACES4(byte, 12), PLACES4(byte, 16),    \
        PLACES4(byte, 20), PLACES4(byte, 24), PLACES4(byte, 28)
static const _Alignas(64) struct places pair_places[2] = {{{PLACES32(0), PLACES32(1)}},
                                                          {{PLACES32(2), PLACES32(3)}}};
static const _Alignas(64) struct places twice_places[4] = {{{PLACES32(0), PLACES32(0)}},
                                                           {{PLACES32(1), PLACES32(1)}},
                                                           {{PLACES32(2), PLACES32(2)}},
                                                           {{PLACES32(3), PLACES32(3)}}};
/* Of two halves a word, the lower bytes of all the first and of all the second, then the upper. */
static const _Alignas(64) struct places half_bytes[2] = {{{PLACES32(0), PLACES32(2)}},
                                                         {{PLACES32(1), PLACES32(3)}}};
/* The same of halves, in order: 32 of the first, 32 of the second of each word. */
#define HALF4(half, lane)                                                                          \
    (lane) * 2 + (half), (lane)*2 + 2 + (half), (lane)*2 + 4 + (half), (lane)*2 + 6 + (half)
#define HALVES32(half)                                                                             \
    HALF4(half, 0), HALF4(half, 4), HALF4(half, 8), HALF4(half, 12), HALF4(half, 16),              \
        HALF4(half, 20), HALF4(half, 24), HALF4(half, 28)
static const _Alignas(64) uint16_t half_places[2][32] = {{HALVES32(0)}, {HALVES32(1)}};

/* The words of values `index`, moved so that the values begin at bit `target`; bits around them are
 * not cleared. */
VBMI2 BODY sixteen move(const uint8_t *in, unsigned width, unsigned index, unsigned half,
                        unsigned target)
{
    const sixteen *words = (const sixteen *)(const void *)in;
    unsigned word = index * width / 32 * 2 + half, shift = index * width % 32;
    if (shift + width <= 32)
        return shift >= target ? words[word] >> (shift - target) : words[word] << (target - shift);
    sixteen low = words[word] >> shift, all = low | words[word + 2] << (32 - shift);
    return target == 0 ? all : all << target;
}

/* `count` values of rows of lanes from `index` on in each word, in bits of their own, those above
 * the values zero. */
VBMI2 BODY __m512i collect(const uint8_t *in, unsigned width, unsigned index, unsigned half,
                           unsigned count)
{
    unsigned step = 32 / count;
    uint32_t mask = (UINT32_C(1) << width) - 1;
    if (width == step)
        return _mm512_loadu_si512(in + (index / count * 2 + half) * 64);
    sixteen all = move(in, width, index, half, 0) & mask;
    for (unsigned i = 1; i < count; i++)
        all |= move(in, width, index + i, half, i * step) & mask << i * step;
    return (__m512i)all;
}

VBMI2 BODY __m512i pick_bytes(const struct places *places, __m512i low, __m512i high)
{
    return _mm512_permutex2var_epi8(low, _mm512_load_si512(places), high);
}

VBMI2 BODY __m512i pick_halves(unsigned which, __m512i low, __m512i high)
{
    return _mm512_permutex2var_epi16(low, _mm512_load_si512(half_places[which]), high);
}

/* Bytes, the upper 32 turned right by `shift + width`, the lower by `shift`: what comes in from
 * above are bits of others. */
VBMI2 BODY __m512i turn(__m512i bytes, unsigned shift, unsigned width)
{
    uint64_t eight = UINT64_C(0x3830282018100800), ones = UINT64_C(0x0101010101010101);
    long long low = (long long)(eight + ones * shift);
    long long high = (long long)(eight + ones * (shift + width));
    __m512i control = _mm512_set_epi64(high, high, high, high, low, low, low, low);
    return _mm512_multishift_epi64_epi8(control, bytes);
}

BODY void put(uint16_t *hits, unsigned index, uint64_t bits)
{
    memcpy(hits + 2 * index, &bits, sizeof(bits));
}

/* --- up to 8 bits --- */

/* What is asked: of up to 7 bits `tables` has a byte for each value, its first bit the answer; of 8
 * a bit for each in the first of them. */
struct question {
    __m512i tables[2];
    __m512i low, span; /* of a range of 8 bits */
    uint64_t hit_one, hit_zero;
};

VBMI2 BODY uint64_t ask(unsigned width, bool is_range, __m512i values, const struct question *asked)
{
    if (width <= 6)
        return _mm512_movepi8_mask(_mm512_permutexvar_epi8(values, asked->tables[0]));
    if (width == 7)
        return _mm512_movepi8_mask(
            _mm512_permutex2var_epi8(asked->tables[0], values, asked->tables[1]));
    if (is_range)
        return _mm512_cmple_epu8_mask(_mm512_sub_epi8(values, asked->low), asked->span);
    __m512i bits = _mm512_permutexvar_epi8(_mm512_srli_epi16(values, 3), asked->tables[0]);
    return _mm512_test_epi8_mask(bits, _mm512_permutexvar_epi8(values, asked->tables[1]));
}

/* Each bit of 32 bytes, of which there are two: two bits' rows are 64. */
VBMI2 BODY void find_bits(__m512i bytes, unsigned index, const struct question *asked,
                          uint16_t *hits)
{
    for (unsigned bit = 0; bit < 8; bit += 2) {
        __m512i bits = _mm512_inserti64x4(_mm512_set1_epi8((char)(1 << bit)),
                                          _mm256_set1_epi8((char)(2 << bit)), 1);
        uint64_t ones = _mm512_test_epi8_mask(bytes, bits);
        put(hits, index + bit, (ones & asked->hit_one) | (~ones & asked->hit_zero));
    }
}

/* A row of words whose bytes have whole values in them. */
VBMI2 BODY void find_parts(const uint8_t *in, unsigned width, unsigned word, unsigned byte,
                           const struct question *asked, uint16_t *hits)
{
    unsigned index = (word * 32 + byte * 8) / width;
    __m512i low = _mm512_loadu_si512(in + (size_t)word * 128);
    __m512i high = _mm512_loadu_si512(in + (size_t)word * 128 + 64);
    __m512i bytes = pick_bytes(&twice_places[byte], low, high);
    if (width == 1)
        find_bits(bytes, index, asked, hits);
    for (unsigned shift = 0; width > 1 && shift < 8; shift += 2 * width)
        put(hits, index + shift / width, ask(width, false, turn(bytes, shift, width), asked));
}

/* Four rows of lanes. */
VBMI2 BODY void find_four(const uint8_t *in, unsigned width, unsigned index, bool is_range,
                          const struct question *asked, uint16_t *hits)
{
    __m512i low = collect(in, width, index, 0, 4), high = collect(in, width, index, 1, 4);
    put(hits, index, ask(width, is_range, pick_bytes(&pair_places[0], low, high), asked));
    put(hits, index + 2, ask(width, is_range, pick_bytes(&pair_places[1], low, high), asked));
}

#ifdef FRESHET_CHECK /* loops: with sanitizers the compiler takes minutes over the rows */
#define EACH_PART                                                                                  \
    for (unsigned word = 0; word < width; word++)                                                  \
        for (unsigned byte = 0; byte < 4; byte++)                                                  \
            find_parts(in, width, word, byte, asked, hits);
#define EACH_FOUR                                                                                  \
    for (unsigned index = 0; index < 32; index += 4)                                               \
        find_four(in, width, index, is_range, asked, hits);
#define EACH_TWO(DO)                                                                               \
    for (unsigned index = 0; index < 32; index += 2)                                               \
        DO(index);
#else
#define PART(word)                                                                                 \
    if ((word) < width) {                                                                          \
        find_parts(in, width, (word), 0, asked, hits);                                             \
        find_parts(in, width, (word), 1, asked, hits);                                             \
        find_parts(in, width, (word), 2, asked, hits);                                             \
        find_parts(in, width, (word), 3, asked, hits);                                             \
    }
#define EACH_PART PART(0) PART(1) PART(2) PART(3)
#define FOUR(index) find_four(in, width, (index), is_range, asked, hits);
#define EACH_FOUR FOUR(0) FOUR(4) FOUR(8) FOUR(12) FOUR(16) FOUR(20) FOUR(24) FOUR(28)
#define EIGHT(DO, index) DO(index) DO((index) + 2) DO((index) + 4) DO((index) + 6)
#define EACH_TWO(DO) EIGHT(DO, 0) EIGHT(DO, 8) EIGHT(DO, 16) EIGHT(DO, 24)
#endif

VBMI2 BODY void find_bytes_body(unsigned width, bool is_range, const uint8_t *restrict in,
                                const struct question *restrict asked, uint16_t *restrict hits)
{
    if (width == 1 || width == 2 || width == 4) {
        EACH_PART
    } else {
        EACH_FOUR
    }
}

/* --- up to 16 bits --- */

VBMI2 BODY uint32_t ask_runs(__m512i value, const __m512i *lows, const __m512i *spans)
{
    __mmask32 first = _mm512_cmpgt_epu16_mask(_mm512_sub_epi16(value, lows[0]), spans[0]);
    __mmask32 other = _mm512_cmpgt_epu16_mask(_mm512_sub_epi16(value, lows[2]), spans[2]);
    first = _mm512_mask_cmpgt_epu16_mask(first, _mm512_sub_epi16(value, lows[1]), spans[1]);
    other = _mm512_mask_cmpgt_epu16_mask(other, _mm512_sub_epi16(value, lows[3]), spans[3]);
    return ~_kand_mask32(first, other);
}

VBMI2 BODY void find_runs_body(unsigned width, const uint8_t *restrict in,
                               const struct value_run *restrict runs, uint16_t *restrict hits)
{
    __m512i lows[SELECT_RUNS], spans[SELECT_RUNS];
    for (unsigned run = 0; run < SELECT_RUNS; run++) {
        lows[run] = _mm512_set1_epi16((short)runs[run].low);
        spans[run] = _mm512_set1_epi16((short)runs[run].span);
    }
#define RUNS_OF_TWO(index)                                                                         \
    {                                                                                              \
        __m512i low = collect(in, width, (index), 0, 2), high = collect(in, width, (index), 1, 2); \
        uint64_t first = ask_runs(pick_halves(0, low, high), lows, spans);                         \
        uint64_t second = ask_runs(pick_halves(1, low, high), lows, spans);                        \
        put(hits, (index), first | second << 32);                                                  \
    }
    EACH_TWO(RUNS_OF_TWO)
}

/* Of two halves a word each: the byte that a value's bit is in is told by seven bits of it above
 * the lowest three, which of up to four pairs of registers by what is above these. */
VBMI2 BODY uint64_t ask_set(unsigned width, __m512i low, __m512i high, const __m512i *table)
{
    __m512i lows = pick_bytes(&half_bytes[0], low, high);
    __m512i place =
        pick_bytes(&half_bytes[0], _mm512_srli_epi16(low, 3), _mm512_srli_epi16(high, 3));
    __m512i bit = _mm512_permutexvar_epi8(lows, _mm512_set1_epi64(EIGHT_BITS));
    __m512i byte = _mm512_permutex2var_epi8(table[0], place, table[1]);
    if (width > 10) {
        __m512i tops = pick_bytes(&half_bytes[1], low, high);
        __mmask64 upper = _mm512_test_epi8_mask(tops, _mm512_set1_epi8(1 << 2));
        byte =
            _mm512_mask_mov_epi8(byte, upper, _mm512_permutex2var_epi8(table[2], place, table[3]));
        if (width > 11) {
            __mmask64 top = _mm512_test_epi8_mask(tops, _mm512_set1_epi8(1 << 3));
            __m512i more = _mm512_permutex2var_epi8(table[4], place, table[5]);
            more = _mm512_mask_mov_epi8(more, upper,
                                        _mm512_permutex2var_epi8(table[6], place, table[7]));
            byte = _mm512_mask_mov_epi8(byte, top, more);
        }
    }
    return _mm512_test_epi8_mask(byte, bit);
}

VBMI2 BODY void find_set_body(unsigned width, const uint8_t *restrict in,
                              const uint64_t *restrict set, uint16_t *restrict hits)
{
    __m512i table[8];
    for (unsigned part = 0; part < 1u << (width - 9); part++)
        table[part] = _mm512_loadu_si512(set + (size_t)part * 8);
#define SET_OF_TWO(index)                                                                          \
    put(hits, (index),                                                                             \
        ask_set(width, collect(in, width, (index), 0, 2), collect(in, width, (index), 1, 2),       \
                table));
    EACH_TWO(SET_OF_TWO)
}

/* --- a function per width --- */

/* clang-format off: one line per function of a table. */
#define FIND_BYTES(width)                                                                          \
    VBMI2 static void find_bytes_##width(const uint8_t *restrict in,                               \
                                         const struct question *restrict asked,                    \
                                         uint16_t *restrict hits)                                  \
    {                                                                                              \
        find_bytes_body(width, false, in, asked, hits);                                            \
    }
#define BYTES_WIDTHS(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8)
BYTES_WIDTHS(FIND_BYTES)
VBMI2 static void find_range_8(const uint8_t *restrict in, const struct question *restrict asked,
                               uint16_t *restrict hits)
{
    find_bytes_body(8, true, in, asked, hits);
}
#define FIND_RUNS(width)                                                                           \
    VBMI2 static void find_runs_##width(const uint8_t *restrict in,                                \
                                        const struct value_run *restrict runs,                     \
                                        uint16_t *restrict hits)                                   \
    {                                                                                              \
        find_runs_body(width, in, runs, hits);                                                     \
    }
#define RUNS_WIDTHS(M) M(10) M(11) M(12) M(13) M(14) M(15) M(16)
RUNS_WIDTHS(FIND_RUNS)
#define FIND_SET(width)                                                                            \
    VBMI2 static void find_set_##width(const uint8_t *restrict in, const uint64_t *restrict set,   \
                                       uint16_t *restrict hits)                                    \
    {                                                                                              \
        find_set_body(width, in, set, hits);                                                       \
    }
#define SET_WIDTHS(M) M(10) M(11) M(12)
SET_WIDTHS(FIND_SET)
#define BYTES_ROW(width) find_bytes_##width,
static void (*const find_bytes[BYTES_WIDTH_MAX + 1])(const uint8_t *restrict in,
                                                     const struct question *restrict asked,
                                                     uint16_t *restrict hits) = {
    NULL, BYTES_WIDTHS(BYTES_ROW)};
#define RUNS_ROW(width) find_runs_##width,
static void (*const find_runs[])(const uint8_t *restrict in, const struct value_run *restrict runs,
                                 uint16_t *restrict hits) = {RUNS_WIDTHS(RUNS_ROW)};
#define SET_ROW(width) find_set_##width,
static void (*const find_set[])(const uint8_t *restrict in, const uint64_t *restrict set,
                                uint16_t *restrict hits) = {SET_WIDTHS(SET_ROW)};
/* clang-format on */

/* --- questions --- */

/* Bits of values 0 … 63 to a table that goes on with copies of those of `width` bits. */
VBMI2 static uint64_t copies(uint64_t bits, uint32_t width)
{
    for (uint32_t some = width; some < 6; some++)
        bits = (bits & ((UINT64_C(1) << (1u << some)) - 1)) * ((UINT64_C(1) << (1u << some)) + 1);
    return bits;
}

VBMI2 static void question_of_bits(const uint64_t *bits, uint32_t width, struct question *asked)
{
    asked->hit_zero = (bits[0] & 1) != 0 ? UINT64_MAX : 0;
    asked->hit_one = (bits[0] & 2) != 0 ? UINT64_MAX : 0;
    asked->tables[0] = _mm512_movm_epi8(width < 6 ? copies(bits[0], width) : bits[0]);
    if (width == 7)
        asked->tables[1] = _mm512_movm_epi8(bits[1]);
    if (width == 8) {
        asked->tables[0] = _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)bits));
        asked->tables[1] = _mm512_set1_epi64(EIGHT_BITS);
    }
}

/* Of values from `first` on, the next 64, those of the range. */
static uint64_t bits_of_range(uint32_t first, uint32_t low, uint32_t span)
{
    uint32_t last = low + span;
    uint32_t begin = low > first ? low - first : 0, end = last - first;
    if (last < first || begin > 63)
        return 0;
    return UINT64_MAX << begin & UINT64_MAX >> (end < 63 ? 63 - end : 0);
}

#define EACH_UNIT                                                                                  \
    for (uint32_t done = 0; done < count; done += UNIT_VALUES, hits += UNIT_VALUES / 16)
#define UNIT unit_of(units, width, count, done, rest)

VBMI2 static void ask_range(const uint8_t *units, uint32_t width, uint32_t count, uint32_t low,
                            uint32_t span, uint16_t *hits)
{
    uint8_t rest[UNIT_VALUES * sizeof(uint16_t)];
    struct question asked;
    if (width == 8) {
        asked.low = _mm512_set1_epi8((char)low);
        asked.span = _mm512_set1_epi8((char)span);
        EACH_UNIT find_range_8(UNIT, &asked, hits);
        return;
    }
    const uint64_t bits[2] = {bits_of_range(0, low, span), bits_of_range(64, low, span)};
    question_of_bits(bits, width, &asked);
    EACH_UNIT find_bytes[width](UNIT, &asked, hits);
}

bool narrow_find_range(const uint8_t *units, uint32_t width, uint32_t count, uint32_t low,
                       uint32_t span, uint16_t *hits)
{
    uint32_t most = UINT8_MAX; /* of what wraps around nothing is asked here */
    if (width > BYTES_WIDTH_MAX || low > most || span > most - low || !has_vbmi2())
        return false;
    span -= span > 0 && fault_is("narrow.range_short") ? 1 : 0;
    ask_range(units, width, count, low, span, hits);
    return true;
}

VBMI2 static void ask_bytes_set(const uint8_t *units, uint32_t width, uint32_t count,
                                const uint64_t *table, uint16_t *hits)
{
    uint8_t rest[UNIT_VALUES * sizeof(uint16_t)];
    struct question asked;
    question_of_bits(table, width, &asked);
    EACH_UNIT find_bytes[width](UNIT, &asked, hits);
}

bool narrow_find_set(const uint8_t *units, uint32_t width, uint32_t count, const uint64_t *table,
                     uint16_t *hits)
{
    uint8_t rest[UNIT_VALUES * sizeof(uint16_t)];
    bool is_halves = width >= SET_WIDTH_MIN && width <= PACKED_SET_WIDTH_MAX;
    if ((width > BYTES_WIDTH_MAX && !is_halves) || !has_vbmi2())
        return false;
    table += fault_is("narrow.table_shifted") && width > 6 ? 1 : 0;
    if (is_halves)
        EACH_UNIT find_set[width - SET_WIDTH_MIN](UNIT, table, hits);
    else
        ask_bytes_set(units, width, count, table, hits);
    return true;
}

bool narrow_find_runs(const uint8_t *units, uint32_t width, uint32_t count,
                      const struct value_run *runs, uint16_t *hits)
{
    uint8_t rest[UNIT_VALUES * sizeof(uint16_t)];
    if (!has_vbmi2())
        return false;
    runs = fault_is("narrow.runs_lost") ? (struct value_run[SELECT_RUNS]){runs[0]} : runs;
    EACH_UNIT find_runs[width - PACKED_RUNS_WIDTH_MIN](UNIT, runs, hits);
    return true;
}
#endif
