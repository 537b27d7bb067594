/* Skipping plain text.
 *
 * Most bytes of events are inside strings, and most of those need no look at all: not a quote, not
 * a backslash, not a control character, not above ASCII. Signed comparison with 0x20 finds the last
 * two at once: bytes from 0x80 on are negative. Every variant stops at the same byte; tests run all
 * against the plain one. Loads never pass `end`. */
#include "ingest/decode/scan.h"

#include <assert.h>

static inline bool is_special(char c)
{
    return c == '"' || c == '\\' || (signed char)c < 0x20;
}

static const char *scan_text_plain(const char *p, const char *end)
{
    while (p < end && !is_special(*p))
        p++;
    return p;
}

#if defined(__x86_64__)
#include <immintrin.h>

static const char *scan_text_sse2(const char *p, const char *end)
{
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(0x20);
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                         _mm_cmplt_epi8(v, space));
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
    return scan_text_plain(p, end);
}

__attribute__((target("avx2"))) static const char *scan_text_avx2(const char *p, const char *end)
{
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'),
                  space = _mm256_set1_epi8(0x20);
    for (; end - p >= 32; p += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i hit = _mm256_or_si256(
            _mm256_or_si256(_mm256_cmpeq_epi8(v, quote), _mm256_cmpeq_epi8(v, backslash)),
            _mm256_cmpgt_epi8(space, v));
        unsigned mask = (unsigned)_mm256_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    return scan_text_sse2(p, end);
}

/* Masked loads read no byte past `end`, so there is no tail to do byte by byte. */
__attribute__((target("avx512f,avx512bw,bmi2"))) static const char *
scan_text_avx512(const char *p, const char *end)
{
    const __m512i quote = _mm512_set1_epi8('"'), backslash = _mm512_set1_epi8('\\'),
                  space = _mm512_set1_epi8(0x20);
    while (p < end) {
        size_t size = (size_t)(end - p) < 64 ? (size_t)(end - p) : 64;
        __mmask64 inside = _bzhi_u64(UINT64_MAX, (unsigned)size);
        __m512i v = _mm512_maskz_loadu_epi8(inside, p);
        __mmask64 hit = (_mm512_cmpeq_epi8_mask(v, quote) | _mm512_cmpeq_epi8_mask(v, backslash) |
                         _mm512_cmplt_epi8_mask(v, space)) &
                        inside;
        if (hit != 0)
            return p + __builtin_ctzll(hit);
        p += size;
    }
    return p;
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("bmi2");
}

scan_text_function scan_text_of(enum decode_isa isa)
{
    switch (isa) {
    case DECODE_ISA_PLAIN:
        return scan_text_plain;
    case DECODE_ISA_SSE2:
        return scan_text_sse2;
    case DECODE_ISA_AVX2:
        return __builtin_cpu_supports("avx2") ? scan_text_avx2 : NULL;
    case DECODE_ISA_AVX512:
        return has_avx512() ? scan_text_avx512 : NULL;
    case DECODE_ISA_BEST:
        break;
    }
    return __builtin_cpu_supports("avx2") ? scan_text_avx2 : scan_text_sse2;
}
#else
scan_text_function scan_text_of(enum decode_isa isa)
{
    return isa == DECODE_ISA_PLAIN || isa == DECODE_ISA_BEST ? scan_text_plain : NULL;
}
#endif
