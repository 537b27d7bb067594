/* Rows of a unit whose packed values lie in a range or a set, found without the values being
 * written anywhere: a row of lanes is unpacked into registers, compared, and only its bits of hits
 * go on.
 *
 *   lanes of 32 rows ─▶ unpack, compare ─▶ 32 bits ─▶ 64 rows' bits ─▶ their numbers
 *
 * Numbers of rows come out 64 at a time as bytes, where the processor can squeeze bytes (VBMI2),
 * and are widened by sixteens: as many as there are. Where it cannot they come out by sixteens.
 * A set of values of up to 9 bits is one register: the word of a value's bit is picked from it, and
 * turned until the bit is the lowest.
 *
 * There is an AVX-512 form only; the others unpack and then select (kernels.c), and so does this
 * one in effect: the same numbers, which a test checks for each width. About 0.07 ns a row where a
 * tenth is hit. */
#include "storage/encoding/packed_units.h"

#include "storage/base/fault.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <assert.h>
#include <string.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")))
#define VBMI2 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,bmi2,popcnt")))
#define BODY static inline __attribute__((always_inline))

typedef uint32_t sixteen __attribute__((vector_size(64), aligned(1), may_alias));

/* Values `index` of lanes [16 * half, 16 * half + 16). */
AVX512 BODY __m512i take(const uint8_t *in, unsigned width, unsigned index, unsigned half)
{
    const sixteen *words = (const sixteen *)(const void *)in;
    unsigned word = index * width / 32 * 2 + half, shift = index * width % 32;
    sixteen value = words[word] >> shift;
    if (shift + width > 32)
        value |= words[word + 2] << (32 - shift);
    if (shift + width != 32)
        value &= width == 32 ? UINT32_MAX : (UINT32_C(1) << width) - 1;
    return (__m512i)value;
}

AVX512 BODY void compare(const uint8_t *in, unsigned width, unsigned index, __m512i low,
                         __m512i span, uint16_t *hits)
{
    for (unsigned half = 0; half < 2; half++)
        hits[2 * index + half] =
            _mm512_cmple_epu32_mask(_mm512_sub_epi32(take(in, width, index, half), low), span);
}

/* hits[i]: bit b of it is row 16 * i + b. */
#ifdef FRESHET_CHECK /* by a loop: with sanitizers the compiler takes minutes over the rows */
#define ALL                                                                                        \
    for (unsigned index = 0; index < 32; index++)                                                  \
        compare(in, width, index, lows, spans, hits);
#else
#define ONE(index) compare(in, width, (index), lows, spans, hits);
#define EIGHT(index)                                                                               \
    ONE(index)                                                                                     \
    ONE(index + 1)                                                                                 \
    ONE(index + 2) ONE(index + 3) ONE(index + 4) ONE(index + 5) ONE(index + 6) ONE(index + 7)
#define ALL EIGHT(0) EIGHT(8) EIGHT(16) EIGHT(24)
#endif

/* The same of values whose bit is set in a register of 512. */
AVX512 BODY void look_up(const uint8_t *in, unsigned width, unsigned index, __m512i table,
                         uint16_t *hits)
{
    for (unsigned half = 0; half < 2; half++) {
        __m512i value = take(in, width, index, half);
        __m512i word = width <= 5 ? table /* the same one in all */
                                  : _mm512_permutexvar_epi32(_mm512_srli_epi32(value, 5), table);
        hits[2 * index + half] =
            _mm512_test_epi32_mask(_mm512_rorv_epi32(word, value), _mm512_set1_epi32(1));
    }
}

#ifdef FRESHET_CHECK
#define ALL_RUNS                                                                                   \
    for (unsigned index = 0; index < 32; index++)                                                  \
        compare_runs(in, width, index, lows, spans, hits);
#define ALL_LOOKED_UP                                                                              \
    for (unsigned index = 0; index < 32; index++)                                                  \
        look_up(in, width, index, words, hits);
#else
#define RUNS(index) compare_runs(in, width, (index), lows, spans, hits);
#define RUNS_EIGHT(index)                                                                          \
    RUNS(index)                                                                                    \
    RUNS(index + 1)                                                                                \
    RUNS(index + 2) RUNS(index + 3) RUNS(index + 4) RUNS(index + 5) RUNS(index + 6) RUNS(index + 7)
#define ALL_RUNS RUNS_EIGHT(0) RUNS_EIGHT(8) RUNS_EIGHT(16) RUNS_EIGHT(24)
#define LOOK(index) look_up(in, width, (index), words, hits);
#define LOOK_EIGHT(index)                                                                          \
    LOOK(index)                                                                                    \
    LOOK(index + 1)                                                                                \
    LOOK(index + 2) LOOK(index + 3) LOOK(index + 4) LOOK(index + 5) LOOK(index + 6) LOOK(index + 7)
#define ALL_LOOKED_UP LOOK_EIGHT(0) LOOK_EIGHT(8) LOOK_EIGHT(16) LOOK_EIGHT(24)
#endif

/* And of values in one of SELECT_RUNS ranges: those that are in none of those before are asked on,
 * so that masks are not joined. Written out, for at -O2 a loop within stays a loop. */
AVX512 BODY __mmask16 misses(__mmask16 before, __m512i value, __m512i low, __m512i span)
{
    return _mm512_mask_cmpgt_epu32_mask(before, _mm512_sub_epi32(value, low), span);
}

AVX512 BODY void compare_runs(const uint8_t *in, unsigned width, unsigned index,
                              const __m512i *lows, const __m512i *spans, uint16_t *hits)
{
    static_assert(SELECT_RUNS == 4, "each is here");
    for (unsigned half = 0; half < 2; half++) {
        __m512i value = take(in, width, index, half);
        __mmask16 first = misses(UINT16_MAX, value, lows[0], spans[0]);
        __mmask16 other = misses(UINT16_MAX, value, lows[2], spans[2]);
        first = misses(first, value, lows[1], spans[1]);
        other = misses(other, value, lows[3], spans[3]);
        hits[2 * index + half] = (uint16_t)~_kand_mask16(first, other);
    }
}

AVX512 BODY void find_runs_body(unsigned width, const uint8_t *restrict in,
                                const struct value_run *runs, uint16_t *restrict hits)
{
    const __m512i lows[SELECT_RUNS] = {
        _mm512_set1_epi32((int)runs[0].low), _mm512_set1_epi32((int)runs[1].low),
        _mm512_set1_epi32((int)runs[2].low), _mm512_set1_epi32((int)runs[3].low)};
    const __m512i spans[SELECT_RUNS] = {
        _mm512_set1_epi32((int)runs[0].span), _mm512_set1_epi32((int)runs[1].span),
        _mm512_set1_epi32((int)runs[2].span), _mm512_set1_epi32((int)runs[3].span)};
    ALL_RUNS
}

AVX512 BODY void find_set_body(unsigned width, const uint8_t *restrict in, const uint64_t *table,
                               uint16_t *restrict hits)
{
    const __m512i words =
        width <= 5 ? _mm512_set1_epi32((int)table[0])
                   : _mm512_maskz_loadu_epi64((__mmask8)((1u << (1u << (width - 6))) - 1), table);
    ALL_LOOKED_UP
}

AVX512 BODY void find_body(unsigned width, const uint8_t *restrict in, uint32_t low, uint32_t span,
                           uint16_t *restrict hits)
{
    const __m512i lows = _mm512_set1_epi32((int)low), spans = _mm512_set1_epi32((int)span);
    ALL
}

/* clang-format off: one line per function of a table. */
#define WIDTHS(M)                                                                                  \
    M(1)                                                                                           \
    M(2)                                                                                           \
    M(3)                                                                                           \
    M(4)                                                                                           \
    M(5)                                                                                           \
    M(6)                                                                                           \
    M(7)                                                                                           \
    M(8)                                                                                           \
    M(9)                                                                                           \
    M(10) M(11) M(12) M(13) M(14) M(15) M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24)      \
        M(25) M(26) M(27) M(28) M(29) M(30) M(31) M(32)
#define FIND(width)                                                                                \
    AVX512 static void find_##width(const uint8_t *restrict in, uint32_t low, uint32_t span,       \
                                    uint16_t *restrict hits)                                       \
    {                                                                                              \
        find_body(width, in, low, span, hits);                                                     \
    }
WIDTHS(FIND)
#define FIND_SET(width)                                                                            \
    AVX512 static void find_set_##width(const uint8_t *restrict in, const uint64_t *table,         \
                                        uint16_t *restrict hits)                                   \
    {                                                                                              \
        find_set_body(width, in, table, hits);                                                     \
    }
#define SET_WIDTHS(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9)
SET_WIDTHS(FIND_SET)
#define FIND_RUNS(width)                                                                           \
    AVX512 static void find_runs_##width(const uint8_t *restrict in, const struct value_run *runs, \
                                         uint16_t *restrict hits)                                  \
    {                                                                                              \
        find_runs_body(width, in, runs, hits);                                                     \
    }
#define RUNS_WIDTHS(M) M(10) M(11) M(12) M(13) M(14) M(15) M(16)
RUNS_WIDTHS(FIND_RUNS)
#define ROW(width) find_##width,
static void (*const find[33])(const uint8_t *restrict in, uint32_t low, uint32_t span,
                              uint16_t *restrict hits) = {NULL, WIDTHS(ROW)};
#define SET_ROW(width) find_set_##width,
static void (*const find_set[PACKED_SET_WIDTH_MAX_PLAIN + 1])(const uint8_t *restrict in,
                                                              const uint64_t *table,
                                                              uint16_t *restrict hits) = {
    NULL, SET_WIDTHS(SET_ROW)};
#define RUNS_ROW(width) find_runs_##width,
static void (*const find_runs[])(const uint8_t *restrict in, const struct value_run *runs,
                                 uint16_t *restrict hits) = {RUNS_WIDTHS(RUNS_ROW)};
/* clang-format on */

AVX512 BODY __m512i rows_of(__m128i offsets, __m512i first)
{
    return _mm512_add_epi32(_mm512_cvtepu8_epi32(offsets), first);
}

AVX512 BODY void put_some(__m128i offsets, __m512i first, uint64_t present, uint32_t *out)
{
    _mm512_mask_storeu_epi32(out, (__mmask16)present, rows_of(offsets, first));
}

AVX512 static uint32_t list(const uint16_t *hits, uint32_t values, uint32_t row, uint32_t *out)
{
    const __m128i counting = _mm_set_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < values; i += 16) {
        uint32_t mask = hits[i / 16];
        __m512i rows = rows_of(counting, _mm512_set1_epi32((int)(row + i)));
        _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32((__mmask16)mask, rows));
        count += (uint32_t)_mm_popcnt_u32(mask);
    }
    return count;
}

VBMI2 static uint32_t list_vbmi2(const uint16_t *hits, uint32_t values, uint32_t row, uint32_t *out)
{
    uint8_t counting[64];
    uint32_t count = 0;
    for (unsigned i = 0; i < 64; i++)
        counting[i] = (uint8_t)i;
    const __m512i all = _mm512_loadu_si512(counting), stride = _mm512_set1_epi32(64);
    __m512i first = _mm512_set1_epi32((int)row);
    for (uint32_t i = 0; i < values; i += 64) {
        uint64_t mask;
        memcpy(&mask, hits + i / 16, sizeof(mask));
        uint32_t found = (uint32_t)_mm_popcnt_u64(mask);
        __m512i offsets = _mm512_maskz_compress_epi8(mask, all);
        _mm512_storeu_si512(out + count, rows_of(_mm512_castsi512_si128(offsets), first));
        if (found > 16) { /* the rest without a branch: how many more there are is chance */
            uint64_t present = _bzhi_u64(UINT64_MAX, found);
            put_some(_mm512_extracti32x4_epi32(offsets, 1), first, present >> 16, out + count + 16);
            put_some(_mm512_extracti32x4_epi32(offsets, 2), first, present >> 32, out + count + 32);
            put_some(_mm512_extracti32x4_epi32(offsets, 3), first, present >> 48, out + count + 48);
        }
        count += found;
        first = _mm512_add_epi32(first, stride);
    }
    return count;
}

uint32_t list_hits_avx512(uint16_t *hits, uint32_t count, uint32_t row, uint32_t *selection)
{
    uint32_t end = fault_is("kernels.hit_behind") ? count : (count + 63) / 64 * 64;
    for (uint32_t i = count; i < end; i += 16 - i % 16) /* rows that are none */
        hits[i / 16] &= (uint16_t)((1u << i % 16) - 1);
    if (__builtin_cpu_supports("avx512vbmi2") && !fault_is("kernels.no_vbmi2"))
        return list_vbmi2(hits, count, row, selection);
    return list(hits, count, row, selection);
}

uint32_t select_packed_avx512(const uint8_t *units, uint32_t width, uint32_t count, uint32_t low,
                              uint32_t span, uint32_t *selection)
{
    uint16_t hits[BLOCK_VECTOR_ROWS / 16];
    uint8_t rest[UNIT_VALUES * sizeof(uint32_t)];
    if (!narrow_find_range(units, width, count, low, span, hits))
        for (uint32_t done = 0; done < count; done += UNIT_VALUES)
            find[width](unit_of(units, width, count, done, rest), low, span, hits + done / 16);
    return list_hits_avx512(hits, count, 0, selection);
}

uint32_t select_packed_set_avx512(const uint8_t *units, uint32_t width, uint32_t count,
                                  const uint64_t *table, uint32_t *selection)
{
    uint16_t hits[BLOCK_VECTOR_ROWS / 16];
    uint8_t rest[UNIT_VALUES * sizeof(uint32_t)];
    if (!narrow_find_set(units, width, count, table, hits))
        for (uint32_t done = 0; done < count; done += UNIT_VALUES)
            find_set[width](unit_of(units, width, count, done, rest), table, hits + done / 16);
    return list_hits_avx512(hits, count, 0, selection);
}

uint32_t select_packed_runs_avx512(const uint8_t *units, uint32_t width, uint32_t count,
                                   const struct value_run *runs, uint32_t *selection)
{
    uint16_t hits[BLOCK_VECTOR_ROWS / 16];
    uint8_t rest[UNIT_VALUES * sizeof(uint32_t)];
    if (!narrow_find_runs(units, width, count, runs, hits))
        for (uint32_t done = 0; done < count; done += UNIT_VALUES)
            find_runs[width - PACKED_RUNS_WIDTH_MIN](unit_of(units, width, count, done, rest), runs,
                                                     hits + done / 16);
    return list_hits_avx512(hits, count, 0, selection);
}
#endif
