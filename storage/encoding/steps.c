/* Values of times from the steps between them (delta.c): sixteen at a time, sums of 2, 4, 8 and 16
 * neighbours, each from those of half as many; only the last of sixteen is waited for by the next
 * sixteen. With AVX-512 only: four lanes of 64 bits gain little on an addition a value. */
#include "storage/encoding/kernels.h"

#include "storage/base/fault.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")))

AVX512 static inline __attribute__((always_inline)) void
add_steps_body(const uint32_t *values, uint32_t count, uint64_t first, uint64_t step,
               uint64_t scale, uint64_t *out)
{
    const __m512i none = _mm512_setzero_si512(), last = _mm512_set1_epi32(15);
    const __m512i scales = _mm512_set1_epi64((long long)scale);
    const __mmask16 carried = fault_is("kernels.carry_lost") ? 0 : UINT16_MAX;
    __m512i carry = none, row[2], far = _mm512_set1_epi64((long long)(16 * step));
    uint64_t rows[16];
    for (uint32_t i = 0; i < 16; i++)
        rows[i] = first + i * step;
    row[0] = _mm512_loadu_si512(rows);
    row[1] = _mm512_loadu_si512(rows + 8);
    for (uint32_t i = 0; i < count; i += 16) {
        __mmask16 present = (__mmask16)(count - i >= 16 ? UINT16_MAX : (1u << (count - i)) - 1);
        __m512i sum = _mm512_maskz_loadu_epi32(i == 0 ? UINT16_MAX - 1 : UINT16_MAX, values + i);
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, none, 15));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, none, 14));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, none, 12));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, none, 8));
        __m512i all = _mm512_maskz_permutexvar_epi32(carried, last, sum);
        sum = _mm512_add_epi32(sum, carry);
        carry = _mm512_add_epi32(carry, all);
        __m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(sum));
        __m512i high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(sum, 1));
        low = scale == 1 ? low : _mm512_mullo_epi64(low, scales);
        high = scale == 1 ? high : _mm512_mullo_epi64(high, scales);
        low = _mm512_add_epi64(low, row[0]);
        high = _mm512_add_epi64(high, row[1]);
        _mm512_mask_storeu_epi64(out + i, (__mmask8)present, low);
        _mm512_mask_storeu_epi64(out + i + 8, (__mmask8)(present >> 8), high);
        row[0] = _mm512_add_epi64(row[0], far);
        row[1] = _mm512_add_epi64(row[1], far);
    }
}

AVX512 void add_steps_avx512(const uint32_t *values, uint32_t count, uint64_t first, uint64_t step,
                             uint64_t scale, uint64_t *out)
{
    if (scale == 1)
        add_steps_body(values, count, first, step, 1, out);
    else
        add_steps_body(values, count, first, step, scale, out);
}
#endif
