/* From masks to selection vectors: every row number is written, and the place moves on only where
 * the row counts, so the loop has no branch to mispredict (about 1 ns a row whatever the
 * selectivity). Where there are vectors they write eight or sixteen row numbers at once, those that
 * count in front: never past the last row's place, since no more rows count than were looked at. */
#include "query/kernel/kernel.h"
#include "storage/base/fault.h"
#include "storage/encoding/kernels.h"

typedef size_t mask_function(const uint8_t *mask, const uint8_t *validity, size_t count,
                             uint32_t *out);

/* Rows begin … count - 1, behind those selected. */
static inline size_t select_rest(const uint8_t *mask, const uint8_t *validity, size_t begin,
                                 size_t count, uint32_t *out, size_t selected)
{
    if (validity == NULL) {
        for (size_t i = begin; i < count; i++) {
            out[selected] = (uint32_t)i;
            selected += mask[i] != 0;
        }
        return selected;
    }
    for (size_t i = begin; i < count; i++) {
        out[selected] = (uint32_t)i;
        selected += (mask[i] != 0) & (validity[i] != 0);
    }
    return selected;
}

static size_t mask_base(const uint8_t *mask, const uint8_t *validity, size_t count, uint32_t *out)
{
    return select_rest(mask, validity, 0, count, out, 0);
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,bmi2,popcnt"))) static size_t
mask_avx2(const uint8_t *mask, const uint8_t *validity, size_t count, uint32_t *out)
{
    const __m128i zero = _mm_setzero_si128();
    size_t selected = 0, i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i no =
            _mm_cmpeq_epi8(_mm_loadl_epi64((const __m128i *)(const void *)(mask + i)), zero);
        if (validity != NULL)
            no = _mm_or_si128(
                no, _mm_cmpeq_epi8(_mm_loadl_epi64((const __m128i *)(const void *)(validity + i)),
                                   zero));
        uint32_t bits = ~(uint32_t)_mm_movemask_epi8(no) & 0xff;
        uint64_t bytes = _pdep_u64(bits, UINT64_C(0x0101010101010101)) * 0xff;
        uint64_t offsets = _pext_u64(UINT64_C(0x0706050403020100), bytes);
        __m256i rows = _mm256_add_epi32(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)offsets)),
                                        _mm256_set1_epi32((int)i));
        _mm256_storeu_si256((__m256i *)(void *)(out + selected), rows);
        selected += (size_t)_mm_popcnt_u32(bits);
    }
    return select_rest(mask, validity, i, count, out, selected);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt"))) static size_t
mask_avx512(const uint8_t *mask, const uint8_t *validity, size_t count, uint32_t *out)
{
    const __m512i counting = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t selected = 0, i = 0;
    for (; i + 16 <= count; i += 16) {
        __m128i value = _mm_loadu_si128((const __m128i *)(const void *)(mask + i));
        __mmask16 bits = _mm_test_epi8_mask(value, value);
        if (validity != NULL) {
            __m128i valid = _mm_loadu_si128((const __m128i *)(const void *)(validity + i));
            bits = (__mmask16)(bits & _mm_test_epi8_mask(valid, valid));
        }
        __m512i rows = _mm512_add_epi32(counting, _mm512_set1_epi32((int)i));
        _mm512_storeu_si512(out + selected, _mm512_maskz_compress_epi32(bits, rows));
        selected += (size_t)_mm_popcnt_u32(bits);
    }
    return select_rest(mask, validity, i, count, out, selected);
}
#else
#define mask_avx2 mask_base
#define mask_avx512 mask_base
#endif

size_t select_mask(const uint8_t *mask, const uint8_t *validity, size_t count, uint32_t *out)
{
    static mask_function *const variants[KERNEL_ISA_COUNT] = {
        [KERNEL_BASE] = mask_base, [KERNEL_AVX2] = mask_avx2, [KERNEL_AVX512] = mask_avx512};
    if (fault_is("kernel.select_last") && count > 16)
        count--;
    return variants[kernels_chosen()->isa](mask, validity, count, out);
}

size_t select_rows(const uint8_t *mask, const uint8_t *validity, const uint32_t *selection,
                   size_t count, uint32_t *out)
{
    size_t selected = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = selection[i];
        out[selected] = row;
        selected += (mask[row] != 0) & (validity == NULL || validity[row] != 0);
    }
    return selected;
}

void validity_and(const uint8_t *a, const uint8_t *b, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] & b[i];
}
