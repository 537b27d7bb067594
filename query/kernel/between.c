/* Doubles as integers in the same order, and those of them that lie in a range.
 *
 * The bits of a double, the sign bit turned over where it is positive and all bits where it is
 * negative, are in the order of the doubles: -0 right below 0, and NaN is put above everything. */
#include "query/kernel/kernel.h"
#include "storage/base/fault.h"
#include "storage/encoding/kernels.h"

#include <string.h>

#define SIGN ((uint64_t)1 << 63)

static inline uint64_t key_of(double value)
{
    uint64_t word;
    memcpy(&word, &value, sizeof(word));
    word ^= word >> 63 != 0 ? UINT64_MAX : SIGN;
    return value != value ? UINT64_MAX : word;
}

void keys_of_doubles(const double *values, size_t count, uint64_t *keys)
{
    for (size_t i = 0; i < count; i++)
        keys[i] = key_of(values[i]);
}

double double_of_key(uint64_t key)
{
    key ^= key >> 63 != 0 ? SIGN : UINT64_MAX;
    double value;
    memcpy(&value, &key, sizeof(value));
    return value;
}

static size_t between_base(const double *values, size_t count, uint64_t low, uint64_t high,
                           uint64_t *keys, size_t *below)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = key_of(values[i]);
        keys[kept] = key;
        kept += (size_t)(key >= low) & (size_t)(key <= high);
        *below += key < low;
    }
    return kept;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f,avx512dq,avx512vl,popcnt"))) static size_t
between_avx512(const double *values, size_t count, uint64_t low, uint64_t high, uint64_t *keys,
               size_t *below)
{
    const __m512i sign = _mm512_set1_epi64(INT64_MIN), most = _mm512_set1_epi64(-1),
                  lows = _mm512_set1_epi64((long long)low),
                  highs = _mm512_set1_epi64((long long)high);
    size_t kept = 0, under = 0;
    for (size_t i = 0; i < count; i += 8) {
        __mmask8 rows = count - i < 8 ? (__mmask8)((1U << (count - i)) - 1) : 0xff;
        __m512d value = _mm512_maskz_loadu_pd(rows, values + i);
        __m512i key = _mm512_castpd_si512(value);
        key = _mm512_xor_si512(key, _mm512_or_si512(_mm512_srai_epi64(key, 63), sign));
        key = _mm512_mask_mov_epi64(key, _mm512_cmp_pd_mask(value, value, _CMP_UNORD_Q), most);
        __mmask8 is_under = _mm512_mask_cmplt_epu64_mask(rows, key, lows);
        __mmask8 is_in = _mm512_mask_cmple_epu64_mask(rows & (__mmask8)~is_under, key, highs);
        _mm512_storeu_si512(keys + kept, _mm512_maskz_compress_epi64(is_in, key));
        kept += (size_t)_mm_popcnt_u32(is_in);
        under += (size_t)_mm_popcnt_u32(is_under);
    }
    *below += under;
    return kept;
}

#else
#define between_avx512 between_base
#endif

size_t keys_between(const double *values, size_t count, uint64_t low, uint64_t high, uint64_t *keys,
                    size_t *below)
{
    static size_t (*const variants[KERNEL_ISA_COUNT])(const double *, size_t, uint64_t, uint64_t,
                                                      uint64_t *, size_t *) = {
        [KERNEL_BASE] = between_base,
        [KERNEL_AVX2] = between_base,
        [KERNEL_AVX512] = between_avx512};
    if (fault_is("kernel.between") && count % 8 != 0)
        count -= count % 8; /* the rest forgotten */
    return variants[kernels_chosen()->isa](values, count, low, high, keys, below);
}
