/* Selections from unpacked values, and which instruction set is used.
 *
 * A comparison gives a mask of a few rows, and compressing row numbers by that mask gives the
 * selection without a branch. AVX-512 has the instruction: its form that goes to a register is
 * used, followed by a whole store that runs over the end, because the form that goes to memory is
 * several times slower on some processors. AVX2 makes the permutation from the mask with two BMI2
 * instructions. What is written past the end is why selections have SELECT_ROOM.
 *
 * Sets of codes are looked up in registers as long as they have at most 4,096 codes (256 with
 * AVX2), and gathered above. Every variant is tested against the plain one.
 */
#include "storage/encoding/kernels.h"

#include "storage/base/fault.h"

#include <stdatomic.h>

static uint32_t select32_base(const uint32_t *values, uint32_t count, uint32_t low, uint32_t span,
                              uint32_t *selection)
{
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i++) {
        selection[selected] = i;
        selected += values[i] - low <= span;
    }
    return selected;
}

static uint32_t select64_base(const uint64_t *values, uint32_t count, uint64_t low, uint64_t span,
                              uint32_t *selection)
{
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i++) {
        selection[selected] = i;
        selected += values[i] - low <= span;
    }
    return selected;
}

static uint32_t select_set_base(const uint32_t *codes, uint32_t count, const uint64_t *set,
                                uint32_t limit, uint32_t *selection)
{
    (void)limit;
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i++) {
        selection[selected] = i;
        selected += set[codes[i] / 64] >> codes[i] % 64 & 1;
    }
    return selected;
}

/* In one of the ranges, all of which are asked: a test that stops early is a branch to guess. */
static uint32_t select_runs_base(const uint32_t *values, uint32_t count,
                                 const struct value_run *runs, uint32_t *selection)
{
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool is_hit = false;
        for (uint32_t run = 0; run < SELECT_RUNS; run++)
            is_hit |= values[i] - runs[run].low <= runs[run].span;
        selection[selected] = i;
        selected += is_hit;
    }
    return selected;
}

static uint32_t sum32_base(const uint32_t *values, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

/* Halves add up apart, in 64 bits each; the upper ones moved up to where none is negative. What the
 * compiler makes of the vector depends on the instruction set it is inlined under. */
typedef uint64_t eight __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) __int128 sum64_body(const int64_t *values,
                                                                 uint32_t count)
{
    const uint64_t top = UINT64_C(1) << 63, half = UINT32_MAX;
    eight lows = {0}, highs = {0}, value;
    uint64_t low = 0, high = 0;
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __builtin_memcpy(&value, values + i, sizeof(value));
        lows += value & half;
        highs += (value ^ top) >> 32;
    }
    for (int lane = 0; lane < 8; lane++) {
        low += lows[lane];
        high += highs[lane];
    }
    for (; i < count; i++) {
        low += (uint64_t)values[i] & half;
        high += ((uint64_t)values[i] ^ top) >> 32;
    }
    return ((__int128)high - ((__int128)count << 31)) * ((__int128)1 << 32) + low;
}

static __int128 sum64_base(const int64_t *values, uint32_t count)
{
    return sum64_body(values, count);
}

/* Doubles: compensated (Neumaier, by Knuth's two-sum) in four lanes side by side: one addition
 * waits for the one before, four chains do not wait for each other. Nothing is multiplied, so no
 * variant can fuse anything: the lanes are the same everywhere, and so is the result, to the bit.
 */
typedef double four __attribute__((vector_size(32)));
#define LANES 4

static inline __attribute__((always_inline)) double load_double(const uint8_t *from)
{
    double value;
    __builtin_memcpy(&value, from, sizeof(value));
    return value;
}

/* `codes` NULL: values one behind the other. */
static inline __attribute__((always_inline)) void sum_doubles_body(const uint8_t *values,
                                                                   const uint32_t *codes,
                                                                   size_t count, double *sum,
                                                                   double *lost)
{
    four total = {0}, rest = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        four value;
        if (codes == NULL)
            __builtin_memcpy(&value, values + i * 8, sizeof(value));
        else
            value = (four){load_double(values + (size_t)codes[i] * 8),
                           load_double(values + (size_t)codes[i + 1] * 8),
                           load_double(values + (size_t)codes[i + 2] * 8),
                           load_double(values + (size_t)codes[i + 3] * 8)};
        four next = total + value, part = next - total;
        rest += (total - (next - part)) + (value - part);
        total = next;
    }
    for (; i < count; i++) {
        double value = load_double(values + (codes == NULL ? i : codes[i]) * 8);
        double next = total[0] + value, part = next - total[0];
        rest[0] += (total[0] - (next - part)) + (value - part);
        total[0] = next;
    }
    double all = 0, small = 0;
    for (int lane = 0; lane < LANES; lane++) {
        double next = all + total[lane], part = next - all;
        small += (all - (next - part)) + (total[lane] - part) + rest[lane];
        all = next;
    }
    *sum = all;
    *lost = small;
}

static void sum_doubles_base(const uint64_t *values, size_t count, double *sum, double *lost)
{
    sum_doubles_body((const uint8_t *)values, NULL, count, sum, lost);
}

static void sum_entries_base(const uint8_t *entries, const uint32_t *codes, size_t count,
                             double *sum, double *lost)
{
    sum_doubles_body(entries, codes, count, sum, lost);
}

/* Sums begin at a number that no value comes near: then what an addition loses is told by two
 * operations in place of five (Dekker's fast two-sum), and what it began at can be taken away again
 * without a loss, since all of a lane's values together are less. */
static inline __attribute__((always_inline)) void sum_near_body(const uint8_t *entries,
                                                                const uint32_t *codes, size_t count,
                                                                double near, double *sum,
                                                                double *lost)
{
    double start = near * SUM_NEAR_MAX, all = 0, small = 0;
    four total = {start, start, start, start}, rest = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        four value = {load_double(entries + (size_t)codes[i] * 8),
                      load_double(entries + (size_t)codes[i + 1] * 8),
                      load_double(entries + (size_t)codes[i + 2] * 8),
                      load_double(entries + (size_t)codes[i + 3] * 8)};
        four next = total + value;
        rest += value - (next - total);
        total = next;
    }
    for (; i < count; i++) {
        double value = load_double(entries + (size_t)codes[i] * 8), next = total[0] + value;
        rest[0] += value - (next - total[0]);
        total[0] = next;
    }
    for (int lane = 0; lane < LANES; lane++) {
        double value = total[lane] - start, next = all + value, part = next - all;
        small += (all - (next - part)) + (value - part) + rest[lane];
        all = next;
    }
    *sum = all;
    *lost = fault_is("kernels.near_lost") ? 0 : small;
}

static void sum_near_base(const uint8_t *entries, const uint32_t *codes, size_t count, double near,
                          double *sum, double *lost)
{
    sum_near_body(entries, codes, count, near, sum, lost);
}

/* Halves of the values, made unsigned, apart: a product has at most 48 bits. */
typedef uint16_t eight_lengths __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) __int128
sum_runs_body(const int64_t *values, const uint16_t *lengths, uint32_t count)
{
    const uint64_t top = UINT64_C(1) << 63, half = UINT32_MAX;
    eight lows = {0}, highs = {0}, rows = {0}, value;
    eight_lengths narrow;
    uint64_t low = 0, high = 0, row_count = 0;
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __builtin_memcpy(&value, values + i, sizeof(value));
        __builtin_memcpy(&narrow, lengths + i, sizeof(narrow));
        eight length = __builtin_convertvector(narrow, eight);
        value ^= top;
        lows += (value & half) * length;
        highs += (value >> 32) * length;
        rows += length;
    }
    for (int lane = 0; lane < 8; lane++) {
        low += lows[lane];
        high += highs[lane];
        row_count += rows[lane];
    }
    for (; i < count; i++) {
        uint64_t one = (uint64_t)values[i] ^ top;
        low += (one & half) * lengths[i];
        high += (one >> 32) * lengths[i];
        row_count += lengths[i];
    }
    unsigned __int128 sum = ((unsigned __int128)high << 32) + low;
    return (__int128)(sum - ((unsigned __int128)row_count << 63));
}

static __int128 sum_runs_base(const int64_t *values, const uint16_t *lengths, uint32_t count)
{
    return sum_runs_body(values, lengths, count);
}

static void sum_lengths_base(const uint32_t *values, const uint16_t *lengths, uint32_t count,
                             uint64_t *rows, uint64_t *sum)
{
    *rows = *sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        *rows += lengths[i];
        *sum += (uint64_t)values[i] * lengths[i];
    }
}

static void range32_base(const uint32_t *values, uint32_t count, uint32_t *least,
                         uint32_t *greatest)
{
    uint32_t low = values[0], high = values[0];
    for (uint32_t i = 1; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *least = low;
    *greatest = high;
}

static const struct kernels base = {.name = "base",
                                    .isa = KERNEL_BASE,
                                    .pack = &bitpack_base,
                                    .fold = &fold_base,
                                    .alphabet = &alphabet_base,
                                    .select32 = select32_base,
                                    .select64 = select64_base,
                                    .select_runs = select_runs_base,
                                    .select_set = select_set_base,
                                    .sum32 = sum32_base,
                                    .sum64 = sum64_base,
                                    .sum_doubles = sum_doubles_base,
                                    .sum_entries = sum_entries_base,
                                    .sum_near = sum_near_base,
                                    .range32 = range32_base,
                                    .sum_lengths = sum_lengths_base,
                                    .sum_runs = sum_runs_base};

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi2,popcnt")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")))

/* --- AVX2: 8 rows at a time --- */

/* Stores the row numbers first + k of the bits k of `mask`. */
AVX2 static inline uint32_t emit8(uint32_t mask, uint32_t first, uint32_t *selection)
{
    uint64_t bytes = _pdep_u64(mask, UINT64_C(0x0101010101010101)) * 0xff;
    uint64_t offsets = _pext_u64(UINT64_C(0x0706050403020100), bytes);
    __m256i rows = _mm256_add_epi32(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)offsets)),
                                    _mm256_set1_epi32((int)first));
    _mm256_storeu_si256((__m256i *)(void *)selection, rows);
    return (uint32_t)_mm_popcnt_u32(mask);
}

static inline uint32_t low_bits(uint32_t count)
{
    return count >= 32 ? UINT32_MAX : (UINT32_C(1) << count) - 1;
}

AVX2 static uint32_t select32_avx2(const uint32_t *values, uint32_t count, uint32_t low,
                                   uint32_t span, uint32_t *selection)
{
    const __m256i lows = _mm256_set1_epi32((int)low), spans = _mm256_set1_epi32((int)span);
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i += 8) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
        v = _mm256_sub_epi32(v, lows);
        __m256i hit = _mm256_cmpeq_epi32(_mm256_min_epu32(v, spans), v);
        uint32_t mask = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(hit));
        mask &= low_bits(count - i);
        selected += emit8(mask, i, selection + selected);
    }
    return selected;
}

AVX2 static uint32_t select64_avx2(const uint64_t *values, uint32_t count, uint64_t low,
                                   uint64_t span, uint32_t *selection)
{
    const __m256i top = _mm256_set1_epi64x(INT64_MIN), lows = _mm256_set1_epi64x((long long)low),
                  spans = _mm256_xor_si256(_mm256_set1_epi64x((long long)span), top);
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i += 8) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(values + i + 4));
        a = _mm256_xor_si256(_mm256_sub_epi64(a, lows), top);
        b = _mm256_xor_si256(_mm256_sub_epi64(b, lows), top);
        uint32_t miss_a =
            (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(a, spans)));
        uint32_t miss_b =
            (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(b, spans)));
        uint32_t mask = ~(miss_a | miss_b << 4) & 0xff & low_bits(count - i);
        selected += emit8(mask, i, selection + selected);
    }
    return selected;
}

AVX2 static uint32_t select_set_avx2(const uint32_t *codes, uint32_t count, const uint64_t *set,
                                     uint32_t limit, uint32_t *selection)
{
    if (limit >= 256)
        return select_set_base(codes, count, set, limit, selection);
    uint64_t words[4] = {0};
    for (uint32_t word = 0; word <= limit / 64; word++)
        words[word] = set[word];
    const __m256i table = _mm256_loadu_si256((const __m256i *)(const void *)words);
    uint32_t selected = 0;
    for (uint32_t i = 0; i < count; i += 8) {
        __m256i code = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i));
        __m256i word = _mm256_permutevar8x32_epi32(table, _mm256_srli_epi32(code, 5));
        __m256i place = _mm256_and_si256(code, _mm256_set1_epi32(31));
        __m256i bit = _mm256_slli_epi32(_mm256_srlv_epi32(word, place), 31);
        uint32_t mask = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(bit));
        mask &= low_bits(count - i);
        selected += emit8(mask, i, selection + selected);
    }
    return selected;
}

AVX2 static uint32_t select_runs_avx2(const uint32_t *values, uint32_t count,
                                      const struct value_run *runs, uint32_t *selection)
{
    __m256i lows[SELECT_RUNS], spans[SELECT_RUNS];
    uint32_t selected = 0;
    for (uint32_t run = 0; run < SELECT_RUNS; run++) {
        lows[run] = _mm256_set1_epi32((int)runs[run].low);
        spans[run] = _mm256_set1_epi32((int)runs[run].span);
    }
    for (uint32_t i = 0; i < count; i += 8) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
        __m256i hit = _mm256_setzero_si256();
        for (uint32_t run = 0; run < SELECT_RUNS; run++) {
            __m256i v = _mm256_sub_epi32(value, lows[run]);
            hit = _mm256_or_si256(hit, _mm256_cmpeq_epi32(_mm256_min_epu32(v, spans[run]), v));
        }
        uint32_t mask = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(hit));
        mask &= low_bits(count - i);
        selected += emit8(mask, i, selection + selected);
    }
    return selected;
}

AVX2 static uint32_t sum32_avx2(const uint32_t *values, uint32_t count)
{
    __m256i a = _mm256_setzero_si256(), b = a;
    uint32_t i = 0, lanes[8], sum = 0;
    for (; i + 16 <= count; i += 16) {
        a = _mm256_add_epi32(a, _mm256_loadu_si256((const __m256i *)(const void *)(values + i)));
        b = _mm256_add_epi32(b,
                             _mm256_loadu_si256((const __m256i *)(const void *)(values + i + 8)));
    }
    _mm256_storeu_si256((__m256i *)(void *)lanes, _mm256_add_epi32(a, b));
    for (uint32_t lane = 0; lane < 8; lane++)
        sum += lanes[lane];
    for (; i < count; i++)
        sum += values[i];
    return sum;
}

AVX2 static __int128 sum64_avx2(const int64_t *values, uint32_t count)
{
    return sum64_body(values, count);
}

AVX2 static void sum_doubles_avx2(const uint64_t *values, size_t count, double *sum, double *lost)
{
    sum_doubles_body((const uint8_t *)values, NULL, count, sum, lost);
}

AVX2 static void sum_entries_avx2(const uint8_t *entries, const uint32_t *codes, size_t count,
                                  double *sum, double *lost)
{
    sum_doubles_body(entries, codes, count, sum, lost);
}

AVX2 static void sum_near_avx2(const uint8_t *entries, const uint32_t *codes, size_t count,
                               double near, double *sum, double *lost)
{
    sum_near_body(entries, codes, count, near, sum, lost);
}

AVX2 static __int128 sum_runs_avx2(const int64_t *values, const uint16_t *lengths, uint32_t count)
{
    return sum_runs_body(values, lengths, count);
}

/* Products of the even ones of 8 and of the odd ones; what is left over is added plainly. */
AVX2 static void sum_lengths_avx2(const uint32_t *values, const uint16_t *lengths, uint32_t count,
                                  uint64_t *rows, uint64_t *sum)
{
    __m256i sums = _mm256_setzero_si256(), all = sums;
    uint64_t lanes[4];
    uint32_t narrow[8], i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
        __m256i length =
            _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(lengths + i)));
        sums = _mm256_add_epi64(sums, _mm256_mul_epu32(value, length));
        sums = _mm256_add_epi64(
            sums, _mm256_mul_epu32(_mm256_srli_epi64(value, 32), _mm256_srli_epi64(length, 32)));
        all = _mm256_add_epi32(all, length);
    }
    sum_lengths_base(values + i, lengths + i, count - i, rows, sum);
    _mm256_storeu_si256((__m256i *)(void *)lanes, sums);
    _mm256_storeu_si256((__m256i *)(void *)narrow, all);
    for (uint32_t lane = 0; lane < 4; lane++)
        *sum += lanes[lane];
    for (uint32_t lane = 0; lane < 8; lane++)
        *rows += narrow[lane];
}

AVX2 static void range32_avx2(const uint32_t *values, uint32_t count, uint32_t *least,
                              uint32_t *greatest)
{
    __m256i low = _mm256_set1_epi32((int)values[0]), high = low;
    uint32_t i = 0, ends[2][8];
    for (; i + 8 <= count; i += 8) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
        low = _mm256_min_epu32(low, v);
        high = _mm256_max_epu32(high, v);
    }
    _mm256_storeu_si256((__m256i *)(void *)ends[0], low);
    _mm256_storeu_si256((__m256i *)(void *)ends[1], high);
    *least = *greatest = values[0];
    for (uint32_t lane = 0; lane < 8; lane++) {
        *least = ends[0][lane] < *least ? ends[0][lane] : *least;
        *greatest = ends[1][lane] > *greatest ? ends[1][lane] : *greatest;
    }
    for (; i < count; i++) {
        *least = values[i] < *least ? values[i] : *least;
        *greatest = values[i] > *greatest ? values[i] : *greatest;
    }
}

static const struct kernels avx2 = {.name = "avx2",
                                    .isa = KERNEL_AVX2,
                                    .pack = &bitpack_avx2,
                                    .fold = &fold_avx2,
                                    .alphabet = &alphabet_avx2,
                                    .select32 = select32_avx2,
                                    .select64 = select64_avx2,
                                    .select_runs = select_runs_avx2,
                                    .select_set = select_set_avx2,
                                    .sum32 = sum32_avx2,
                                    .sum64 = sum64_avx2,
                                    .sum_doubles = sum_doubles_avx2,
                                    .sum_entries = sum_entries_avx2,
                                    .sum_near = sum_near_avx2,
                                    .range32 = range32_avx2,
                                    .sum_lengths = sum_lengths_avx2,
                                    .sum_runs = sum_runs_avx2};

/* --- AVX-512: 16 rows at a time --- */

AVX512 static inline __mmask16 rest16(uint32_t left)
{
    return (__mmask16)low_bits(left);
}

/* So many rows have their hits found before these are made a list. */
#define CHUNK UNIT_VALUES

static inline uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

AVX512 static uint32_t select32_avx512(const uint32_t *values, uint32_t count, uint32_t low,
                                       uint32_t span, uint32_t *selection)
{
    const __m512i lows = _mm512_set1_epi32((int)low), spans = _mm512_set1_epi32((int)span);
    uint16_t hits[CHUNK / 16];
    uint32_t selected = 0;
    for (uint32_t done = 0; done < count; done += CHUNK) {
        uint32_t rows = least_of(count - done, CHUNK);
        for (uint32_t i = 0; i < rows; i += 16) {
            __m512i v = _mm512_sub_epi32(_mm512_loadu_si512(values + done + i), lows);
            hits[i / 16] = _mm512_cmple_epu32_mask(v, spans);
        }
        selected += list_hits_avx512(hits, rows, done, selection + selected);
    }
    return selected;
}

AVX512 static uint32_t select64_avx512(const uint64_t *values, uint32_t count, uint64_t low,
                                       uint64_t span, uint32_t *selection)
{
    const __m512i lows = _mm512_set1_epi64((long long)low),
                  spans = _mm512_set1_epi64((long long)span);
    uint16_t hits[CHUNK / 16];
    uint32_t selected = 0;
    for (uint32_t done = 0; done < count; done += CHUNK) {
        uint32_t rows = least_of(count - done, CHUNK);
        for (uint32_t i = 0; i < rows; i += 16) {
            const uint64_t *at = values + done + i;
            uint32_t a =
                _mm512_cmple_epu64_mask(_mm512_sub_epi64(_mm512_loadu_si512(at), lows), spans);
            uint32_t b =
                _mm512_cmple_epu64_mask(_mm512_sub_epi64(_mm512_loadu_si512(at + 8), lows), spans);
            hits[i / 16] = (uint16_t)(a | b << 8);
        }
        selected += list_hits_avx512(hits, rows, done, selection + selected);
    }
    return selected;
}

/* The words of the set that 16 codes are in: of at most 512 codes one register has them all, of up
 * to 4,096 eight do; others gather theirs. `parts`: how many registers, 0 for gathering. */
AVX512 static inline __attribute__((always_inline)) __m512i
words_of_codes(const __m512i *table, uint32_t parts, __m512i place, const uint64_t *set,
               __mmask16 present)
{
    if (parts == 0)
        return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), present, place, set, 4);
    if (parts == 1)
        return _mm512_permutexvar_epi32(place, table[0]);
    __m512i word = _mm512_permutex2var_epi32(table[0], place, table[1]);
    for (uint32_t pair = 1; pair < parts / 2; pair++) {
        __m512i others = _mm512_permutex2var_epi32(table[2 * pair], place, table[2 * pair + 1]);
        __mmask16 is_there = _mm512_cmpge_epu32_mask(place, _mm512_set1_epi32((int)(pair * 32)));
        word = _mm512_mask_mov_epi32(word, is_there, others);
    }
    return word;
}

AVX512 static inline __attribute__((always_inline)) uint32_t
select_set_body(uint32_t parts, const uint32_t *codes, uint32_t count, const uint64_t *set,
                uint32_t limit, uint32_t *selection)
{
    __m512i table[8];
    uint16_t hits[CHUNK / 16];
    uint32_t selected = 0;
    for (uint32_t part = 0; part < parts; part++) {
        uint32_t words = limit / 64 + 1, done = part * 8;
        __mmask8 there = (__mmask8)(words > done ? low_bits(words - done) : 0);
        table[part] = _mm512_maskz_loadu_epi64(there, set + (there != 0 ? done : 0));
    }
    for (uint32_t done = 0; done < count; done += CHUNK) {
        uint32_t rows = least_of(count - done, CHUNK);
        for (uint32_t i = 0; i < rows; i += 16) {
            __mmask16 present = parts == 0 ? rest16(rows - i) : UINT16_MAX;
            __m512i code = _mm512_loadu_si512(codes + done + i);
            __m512i word = words_of_codes(table, parts, _mm512_srli_epi32(code, 5), set, present);
            hits[i / 16] =
                _mm512_test_epi32_mask(_mm512_rorv_epi32(word, code), _mm512_set1_epi32(1));
        }
        selected += list_hits_avx512(hits, rows, done, selection + selected);
    }
    return selected;
}

AVX512 static uint32_t select_set_avx512(const uint32_t *codes, uint32_t count, const uint64_t *set,
                                         uint32_t limit, uint32_t *selection)
{
    return limit < 512    ? select_set_body(1, codes, count, set, limit, selection)
           : limit < 1024 ? select_set_body(2, codes, count, set, limit, selection)
           : limit < 4096 ? select_set_body(8, codes, count, set, limit, selection)
                          : select_set_body(0, codes, count, set, limit, selection);
}

AVX512 static uint32_t sum32_avx512(const uint32_t *values, uint32_t count)
{
    __m512i sums = _mm512_setzero_si512();
    uint32_t lanes[16], sum = 0;
    for (uint32_t i = 0; i < count; i += 16)
        sums = _mm512_add_epi32(sums, _mm512_maskz_loadu_epi32(rest16(count - i), values + i));
    _mm512_storeu_si512(lanes, sums);
    for (uint32_t lane = 0; lane < 16; lane++) /* _mm512_reduce_add_epi32 adds with a sign */
        sum += lanes[lane];
    return sum;
}

AVX512 static __int128 sum64_avx512(const int64_t *values, uint32_t count)
{
    return sum64_body(values, count);
}

AVX512 static __int128 sum_runs_avx512(const int64_t *values, const uint16_t *lengths,
                                       uint32_t count)
{
    return sum_runs_body(values, lengths, count);
}

AVX512 static void sum_lengths_avx512(const uint32_t *values, const uint16_t *lengths,
                                      uint32_t count, uint64_t *rows, uint64_t *sum)
{
    __m512i sums = _mm512_setzero_si512(), others = sums, all = sums;
    uint32_t narrow[16], i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i value = _mm512_loadu_si512(values + i);
        __m512i length =
            _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(lengths + i)));
        sums = _mm512_add_epi64(sums, _mm512_mul_epu32(value, length));
        others = _mm512_add_epi64(
            others, _mm512_mul_epu32(_mm512_srli_epi64(value, 32), _mm512_srli_epi64(length, 32)));
        all = _mm512_add_epi32(all, length);
    }
    sum_lengths_base(values + i, lengths + i, count - i, rows, sum);
    *sum += (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(sums, others));
    _mm512_storeu_si512(narrow, all);
    for (uint32_t lane = 0; lane < 16; lane++)
        *rows += narrow[lane];
}

AVX512 static void range32_avx512(const uint32_t *values, uint32_t count, uint32_t *least,
                                  uint32_t *greatest)
{
    __m512i low = _mm512_set1_epi32((int)values[0]), high = low;
    for (uint32_t i = 0; i < count; i += 16) {
        __mmask16 present = rest16(count - i);
        __m512i v = _mm512_maskz_loadu_epi32(present, values + i);
        low = _mm512_mask_min_epu32(low, present, low, v);
        high = _mm512_mask_max_epu32(high, present, high, v);
    }
    *least = _mm512_reduce_min_epu32(low);
    *greatest = _mm512_reduce_max_epu32(high);
}

static const struct kernels avx512 = {.name = "avx512",
                                      .isa = KERNEL_AVX512,
                                      .pack = &bitpack_avx512,
                                      .fold = &fold_avx512,
                                      .alphabet = &alphabet_avx2,
                                      .select32 = select32_avx512,
                                      .select64 = select64_avx512,
                                      .select_packed = select_packed_avx512,
                                      .select_packed_set = select_packed_set_avx512,
                                      .packed_set_width_max = packed_set_width_max_avx512,
                                      .select_packed_runs = select_packed_runs_avx512,
                                      .select_runs = select_runs_avx2,
                                      .select_set = select_set_avx512,
                                      .sum32 = sum32_avx512,
                                      .sum64 = sum64_avx512,
                                      .sum_doubles = sum_doubles_avx2,
                                      .sum_entries = sum_entries_avx2,
                                      .sum_near = sum_near_avx2,
                                      .range32 = range32_avx512,
                                      .add_steps = add_steps_avx512,
                                      .sum_lengths = sum_lengths_avx512,
                                      .sum_runs = sum_runs_avx512};

static bool has_avx2(void)
{
    if (fault_is("kernels.base_only")) /* to compare the variants with each other */
        return false;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
    return has_avx2() && !fault_is("kernels.no_avx512") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

const struct kernels *kernels_of(enum kernel_isa isa)
{
    if (isa == KERNEL_AVX512)
        return has_avx512() ? &avx512 : NULL;
    if (isa == KERNEL_AVX2)
        return has_avx2() ? &avx2 : NULL;
    return &base;
}
#else
const struct kernels *kernels_of(enum kernel_isa isa)
{
    return isa == KERNEL_BASE ? &base : NULL;
}
#endif

/* Relaxed: tables are constant, and every thread that finds none chooses the same one. */
static const struct kernels *_Atomic chosen;

const struct kernels *kernels_chosen(void)
{
    const struct kernels *kernels = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (__builtin_expect(kernels != NULL, 1))
        return kernels;
    for (int isa = KERNEL_ISA_COUNT - 1; kernels == NULL; isa--)
        kernels = kernels_of((enum kernel_isa)isa);
    atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    return kernels;
}

bool kernels_choose(enum kernel_isa isa)
{
    const struct kernels *kernels = kernels_of(isa);
    if (kernels != NULL)
        atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    return kernels != NULL;
}
