/* Lists of rows as varints of their distances, the form that nearly all keys of an index have.
 *
 * Where a value is one of 200, half of the distances take one byte and the others two, as chance
 * has it: going from one to the next costs a load and two steps that wait for each other. So four
 * are taken at a time where the processor can spread bytes by a mask, in 1.3 ns a row against 3.5.
 */
#include "storage/base/fault.h"
#include "storage/encoding/kernels.h"
#include "storage/index/bitmap_private.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__x86_64__)

/* Four deltas of one or two bytes each lie in the next eight bytes; which bytes have another one
 * behind them says where each begins. By those eight bits: the mask that spreads the bytes over
 * four fields of 16 bits, and how many bytes that took (0: one of the four is longer). So the next
 * four wait for a load and a table, not for four lengths one after the other. */
struct four_deltas {
    uint64_t spread;
    uint8_t size;
};
#define LENGTH_AT(m, at) (1 + ((m) >> (at)&1))
#define SECOND(m) LENGTH_AT(m, 0)
#define THIRD(m) (SECOND(m) + LENGTH_AT(m, SECOND(m)))
#define FOURTH(m) (THIRD(m) + LENGTH_AT(m, THIRD(m)))
#define BEHIND(m) (FOURTH(m) + LENGTH_AT(m, FOURTH(m)))
#define FIELD(m, at) (LENGTH_AT(m, at) == 2 ? UINT64_C(0xFFFF) : UINT64_C(0xFF))
#define IS_LONG(m, at) (((m) >> (at)&3) == 3)
#define FOUR(m)                                                                                    \
    {FIELD(m, 0) | FIELD(m, SECOND(m)) << 16 | FIELD(m, THIRD(m)) << 32 |                          \
         FIELD(m, FOURTH(m)) << 48,                                                                \
     IS_LONG(m, 0) || IS_LONG(m, SECOND(m)) || IS_LONG(m, THIRD(m)) || IS_LONG(m, FOURTH(m))       \
         ? 0                                                                                       \
         : BEHIND(m)},
#define FOURS_4(m) FOUR(m) FOUR((m) + 1) FOUR((m) + 2) FOUR((m) + 3)
#define FOURS_16(m) FOURS_4(m) FOURS_4((m) + 4) FOURS_4((m) + 8) FOURS_4((m) + 12)
#define FOURS_64(m) FOURS_16(m) FOURS_16((m) + 16) FOURS_16((m) + 32) FOURS_16((m) + 48)
static const struct four_deltas four_deltas[256] = {FOURS_64(0) FOURS_64(64) FOURS_64(128)
                                                        FOURS_64(192)};

/* As many fours as there are from row `i` > 0 on; moves *at and *row along and returns the next i.
 * A delta of 0 sets *is_bad. Rows only grow, so the caller holds the last one to the bound. */
__attribute__((target("bmi2"))) static uint32_t read_fours(const uint8_t **at, const uint8_t *end,
                                                           uint32_t i, uint32_t count,
                                                           uint64_t *row, uint32_t *rows,
                                                           bool *is_bad)
{
    const uint8_t *next = *at;
    uint64_t last = *row, zero = 0;
    while (count - i >= 4 && end - next >= 8) {
        uint64_t bytes;
        memcpy(&bytes, next, sizeof(bytes));
        const struct four_deltas *four = &four_deltas[_pext_u64(bytes, 0x8080808080808080)];
        if (four->size == 0)
            break;
        next += four->size;
        uint64_t fields = _pdep_u64(bytes, four->spread);
        fields = (fields & 0x007F007F007F007F) | (fields >> 1 & 0x3F803F803F803F80);
        zero |= (fields - 0x0001000100010001) & ~fields & 0x8000800080008000;
        uint64_t pairs = fields + (fields << 16); /* sums of neighbours, below 2^15 */
        rows[i] = (uint32_t)(last + (fields & 0xFFFF));
        rows[i + 1] = (uint32_t)(last += pairs >> 16 & 0xFFFF);
        rows[i + 2] = (uint32_t)(last + (fields >> 32 & 0xFFFF));
        rows[i + 3] = (uint32_t)(last += pairs >> 48);
        i += 4;
    }
    *at = next;
    *row = last;
    *is_bad |= zero != 0;
    return i;
}

#else

static uint32_t read_fours(const uint8_t **at, const uint8_t *end, uint32_t i, uint32_t count,
                           uint64_t *row, uint32_t *rows, bool *is_bad)
{
    (void)at, (void)end, (void)count, (void)row, (void)rows, (void)is_bad;
    return i;
}

#endif

/* One of any length. */
static bool read_delta(const uint8_t **at, const uint8_t *end, uint64_t *delta)
{
    unsigned shift = 0;
    *delta = 0;
    for (; *at < end && **at >= 0x80 && shift < 28; shift += 7)
        *delta |= (uint64_t)(*(*at)++ & 0x7F) << shift;
    if (*at == end || **at >= 0x80)
        return false;
    *delta |= (uint64_t) * (*at)++ << shift;
    return true;
}

bool deltas_read(struct slice list, uint32_t count, uint32_t row_count, uint32_t *rows)
{
    const uint8_t *at = (const uint8_t *)list.data, *end = at + list.size;
    bool has_fours = kernels_chosen()->isa != KERNEL_BASE, is_bad = false;
    uint64_t row = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t delta;
        if (has_fours && i > 0)
            i = read_fours(&at, end, i, count, &row, rows, &is_bad);
        if (is_bad || row >= row_count)
            return false;
        if (i == count)
            break;
        if (!read_delta(&at, end, &delta) || delta >= row_count || (i > 0 && delta == 0))
            return false;
        row += delta;
        if (row >= row_count)
            return false;
        rows[i] = (uint32_t)row;
    }
    return at == end;
}

/* --- writing --- */

/* One byte or two without a branch, as chance has it which: writes a byte past the end. */
static uint8_t *put_delta(uint8_t *to, uint32_t value)
{
    for (; value >= 1u << 14; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    uint32_t has_two = value >= 0x80 ? 1 : 0;
    to[0] = (uint8_t)((value & 0x7F) | has_two << 7);
    to[1] = (uint8_t)(value >> 7);
    return to + 1 + has_two;
}

#if defined(__x86_64__)
#define VBMI2 __attribute__((target("bmi,bmi2,popcnt,avx2,avx512f,avx512bw,avx512vl,avx512vbmi2")))

static bool has_sixteens(void)
{
    return kernels_chosen()->isa == KERNEL_AVX512 && __builtin_cpu_supports("avx512vbmi2");
}

/* Sixteen distances of one or two bytes each, as long as there are so many from row `i` > 0 on:
 * each in two bytes, of which those move together that count. Returns the next i. */
VBMI2 static uint32_t write_sixteens(const uint32_t *rows, uint32_t i, uint32_t count, uint8_t **to,
                                     uint32_t *neighbours)
{
    uint8_t *end = *to;
    for (; count - i >= 16; i += 16) {
        __m512i delta =
            _mm512_sub_epi32(_mm512_loadu_si512(rows + i), _mm512_loadu_si512(rows + i - 1));
        if (_mm512_cmpge_epu32_mask(delta, _mm512_set1_epi32(1 << 14)) != 0)
            break;
        __mmask16 has_two = _mm512_cmpge_epu32_mask(delta, _mm512_set1_epi32(0x80));
        __m512i pair = _mm512_or_si512(_mm512_and_si512(delta, _mm512_set1_epi32(0x7F)),
                                       _mm512_slli_epi32(_mm512_srli_epi32(delta, 7), 8));
        pair = _mm512_mask_or_epi32(pair, has_two, pair, _mm512_set1_epi32(0x80));
        __mmask32 counts = 0x55555555 | _pdep_u32(has_two, 0xAAAAAAAA);
        if (fault_is("deltas.one_byte"))
            counts = 0x55555555;
        __m256i bytes = _mm256_maskz_compress_epi8(counts, _mm512_cvtepi32_epi16(pair));
        _mm256_storeu_si256((__m256i *)(void *)end, bytes);
        end += 16 + (uint32_t)_mm_popcnt_u32(has_two);
        *neighbours +=
            (uint32_t)_mm_popcnt_u32(_mm512_cmpeq_epi32_mask(delta, _mm512_set1_epi32(1)));
    }
    *to = end;
    return i;
}
#else
static bool has_sixteens(void)
{
    return false;
}

static uint32_t write_sixteens(const uint32_t *rows, uint32_t i, uint32_t count, uint8_t **to,
                               uint32_t *neighbours)
{
    (void)rows, (void)count, (void)to, (void)neighbours;
    return i;
}
#endif

uint8_t *deltas_write(const uint32_t *rows, uint32_t count, uint8_t *to, uint32_t *neighbours)
{
    bool is_wide = has_sixteens();
    *neighbours = 0;
    for (uint32_t i = 0; i < count;) {
        if (is_wide && i > 0)
            i = write_sixteens(rows, i, count, &to, neighbours);
        /* The first, those that are left, or sixteen of which one is longer. */
        uint32_t alone = i == 0 ? 1 : 16;
        for (; alone > 0 && i < count; alone--, i++) {
            uint32_t delta = rows[i] - (i == 0 ? 0 : rows[i - 1]);
            *neighbours += delta == 1 ? 1 : 0;
            to = put_delta(to, delta);
        }
    }
    return to;
}
