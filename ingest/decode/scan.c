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

scan_text_function scan_text_of(enum decode_isa isa)
{
    switch (isa) {
    case DECODE_ISA_PLAIN:
        return scan_text_plain;
    case DECODE_ISA_SSE2:
        return scan_text_sse2;
    case DECODE_ISA_AVX2:
        return __builtin_cpu_supports("avx2") ? scan_text_avx2 : NULL;
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
