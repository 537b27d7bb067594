/* Codes of words, eight at a time: for processors that have AVX-512.
 *
 *   16 bytes of each of eight words ─▶ two registers: the first eight bytes of each, and the rest
 *   ─▶ what belongs to another word cleared ─▶ hash ─▶ kept: keys, parts of the hash
 *   each word: distance, slot ─▶ the same two registers ─▶ compared ─▶ codes, 0 where they differ
 *
 * The two lines are two loops over up to 128 words, so that no load waits for the one before it;
 * one after the other for each eight, they take a fifth longer. The loads are done one by one: the
 * processor's own gathering costs more than it saves. 11 instructions a word, 22 with a word in
 * one register; both find the same codes, and the hash is the one of plain C. */
#include "storage/encoding/words.h"

#include "storage/base/fault.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl")))
#define INLINE512 AVX512 static inline __attribute__((always_inline))
#define GROUP 8u
#define GROUPS_MAX 16u

/* What the first loop leaves to the second one. */
struct hashed {
    __m512i low[GROUPS_MAX], high[GROUPS_MAX]; /* keys */
    uint64_t which[GROUPS_MAX * GROUP];        /* distance */
    uint64_t offsets[GROUPS_MAX * GROUP];      /* where a slot would be at distance 0 */
};

INLINE512 __m256i pair(const uint8_t *first, const uint8_t *second)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)first)),
        _mm_loadu_si128((const __m128i *)(const void *)second), 1);
}

/* The first eight bytes of what is at eight places, and the eight behind them. A macro: from a list
 * of places gcc makes registers, and takes them apart again. AT(i) is a place. */
#define LOAD_EIGHT(AT, LOW, HIGH)                                                                  \
    do {                                                                                           \
        __m512i even =                                                                             \
            _mm512_inserti64x4(_mm512_castsi256_si512(pair(AT(0), AT(2))), pair(AT(4), AT(6)), 1); \
        __m512i odd =                                                                              \
            _mm512_inserti64x4(_mm512_castsi256_si512(pair(AT(1), AT(3))), pair(AT(5), AT(7)), 1); \
        (LOW) = _mm512_unpacklo_epi64(even, odd);                                                  \
        (HIGH) = _mm512_unpackhi_epi64(even, odd);                                                 \
    } while (0)
#define WORD_AT(I) (bytes + starts[I])
#define SLOT_AT(I) (slots + (offsets[I] ^ distances[which[I]]))

/* hash_plain() of each. */
INLINE512 __m512i hash_eight(__m512i low, __m512i high, __m512i factor)
{
    __m512i mixed = _mm512_xor_si512(low, _mm512_rol_epi64(high, WORDS_MIX_TURN));
    mixed = _mm512_xor_si512(mixed, _mm512_srli_epi64(mixed, 32));
    return _mm512_mullo_epi64(mixed, factor);
}

AVX512 static void hash_words(const struct words_table *table, const uint8_t *bytes,
                              const uint16_t *starts, uint32_t groups, struct hashed *out)
{
    const __m512i factor = _mm512_set1_epi64((int64_t)table->factor);
    const __m512i mask = _mm512_set1_epi64(table->mask), ones = _mm512_set1_epi64(-1);
    const __m128i shift = _mm_cvtsi32_si128((int)(64 - table->distance_bits));
    const __m512i most = _mm512_set1_epi64(WORDS_KEY_MAX * 8);
    for (uint32_t group = 0; group < groups; group++, starts += GROUP) {
        __m512i begin =
            _mm512_cvtepu16_epi64(_mm_loadu_si128((const __m128i *)(const void *)starts));
        __m512i end =
            _mm512_cvtepu16_epi64(_mm_loadu_si128((const __m128i *)(const void *)(starts + 1)));
        __m512i bits = _mm512_slli_epi64(_mm512_sub_epi64(end, begin), 3), low, high;
        __mmask8 fits = _mm512_cmple_epu64_mask(bits, most);
        LOAD_EIGHT(WORD_AT, low, high);
        /* Those that are too long become a key that is empty, which no slot with a code has. */
        low = _mm512_maskz_andnot_epi64(fits, _mm512_sllv_epi64(ones, bits), low);
        bits = _mm512_subs_epu16(bits, _mm512_set1_epi64(64)); /* not below 0 */
        high = _mm512_maskz_andnot_epi64(fits, _mm512_sllv_epi64(ones, bits), high);
        __m512i hash = hash_eight(low, high, factor);
        out->low[group] = low;
        out->high[group] = high;
        _mm512_storeu_si512(out->which + (size_t)group * GROUP, _mm512_srl_epi64(hash, shift));
        _mm512_storeu_si512(out->offsets + (size_t)group * GROUP,
                            _mm512_and_si512(_mm512_srli_epi64(hash, WORDS_OFFSET_SHIFT), mask));
    }
}

/* Bits of the words that have no code, those past `count` too. */
AVX512 static uint64_t find_hashed(const struct words_table *table, const struct hashed *hashed,
                                   uint32_t groups, uint16_t *codes)
{
    const uint8_t *slots = (const uint8_t *)table->slots;
    const uint32_t *distances = table->distances;
    /* The code is in the two bytes that no key has: 16 bits that are not compared. */
    const __m128i apart = _mm_cvtsi32_si128(fault_is("words.half_compared") ? 64 : 16);
    __mmask8 missing = 0, of_group = 0;
    for (uint32_t group = 0; group < groups; group++) {
        const uint64_t *which = hashed->which + (size_t)group * GROUP;
        const uint64_t *offsets = hashed->offsets + (size_t)group * GROUP;
        __m512i low, high;
        LOAD_EIGHT(SLOT_AT, low, high);
        __m512i differ =
            _mm512_or_si512(_mm512_xor_si512(low, hashed->low[group]),
                            _mm512_sll_epi64(_mm512_xor_si512(high, hashed->high[group]), apart));
        __m512i found = _mm512_maskz_srli_epi64(_mm512_testn_epi64_mask(differ, differ), high, 48);
        _mm_storeu_si128((__m128i *)(void *)(codes + (size_t)group * GROUP),
                         _mm512_cvtepi64_epi16(found));
        missing |= of_group;
        of_group = _mm512_testn_epi64_mask(found, found);
    }
    return (uint64_t)missing << 8 | of_group;
}

AVX512 bool words_find_all_avx512(const struct words_table *table, const uint8_t *bytes,
                                  const uint16_t *starts, uint32_t count, uint16_t *codes)
{
    struct hashed hashed;
    uint64_t missing = 0;
    while (count > 0) {
        uint32_t words = count < GROUPS_MAX * GROUP ? count : GROUPS_MAX * GROUP;
        uint32_t groups = (words + GROUP - 1) / GROUP, last = words - (groups - 1) * GROUP;
        hash_words(table, bytes, starts, groups, &hashed);
        missing |= find_hashed(table, &hashed, groups, codes) & (((1u << last) - 1) | 0xff00);
        starts += words;
        codes += words;
        count -= words;
    }
    return missing == 0;
}

/* Four times eight codes at a time: neighbours are put together, to 32 bits, to 64 and to 128, of
 * which the first bytes are used. */
AVX512 void words_pack_avx512(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out)
{
    const __m128i one = _mm_cvtsi32_si128((int)width);
    const __m128i two = _mm_cvtsi32_si128((int)(2 * width) - fault_is("words.packed_short"));
    const __m512i low16 = _mm512_set1_epi32(0xffff), low32 = _mm512_set1_epi64(0xffffffff);
    /* Of the second 64 bits what belongs to the first, and the rest of it. */
    const __m512i up = _mm512_set4_epi64(64, 4 * (int)width, 64, 4 * (int)width);
    const __m512i down = _mm512_set4_epi64(64 - 4 * (int)width, 0, 64 - 4 * (int)width, 0);
    for (uint32_t eight = 0; eight < eights; eight += 4, codes += 32) {
        __m512i x = _mm512_loadu_si512(codes);
        x = _mm512_or_si512(_mm512_and_si512(x, low16),
                            _mm512_sll_epi32(_mm512_srli_epi32(x, 16), one));
        x = _mm512_or_si512(_mm512_and_si512(x, low32),
                            _mm512_sll_epi64(_mm512_srli_epi64(x, 32), two));
        __m512i other = _mm512_shuffle_epi32(x, _MM_PERM_BADC);
        x = _mm512_or_si512(_mm512_srlv_epi64(x, down), _mm512_sllv_epi64(other, up));
        _mm_storeu_si128((__m128i *)(void *)out, _mm512_castsi512_si128(x));
        out += width;
        _mm_storeu_si128((__m128i *)(void *)out, _mm512_extracti64x2_epi64(x, 1));
        out += width;
        _mm_storeu_si128((__m128i *)(void *)out, _mm512_extracti64x2_epi64(x, 2));
        out += width;
        _mm_storeu_si128((__m128i *)(void *)out, _mm512_extracti64x2_epi64(x, 3));
        out += width;
    }
}
#endif
