/* Where words begin: a byte that is no letter or digit behind one that is.
 *
 *   bytes    GET /item/12?q=red
 *   words    GET| /item|/12|?q|=red
 *
 * Bytes above 127 are letters: those of UTF-8. 64 bytes become 64 bits, and the bits that are set
 * places. What separates words goes with the word behind it, so that texts of words and blanks have
 * one code a word. With AVX-512 a text is copied on the way, from the registers it is looked at in:
 * a load of what was stored a moment ago, 64 bytes that are parts of two stores, waits for both. */
#include "storage/encoding/words.h"

#include "storage/base/fault.h"

#define BLOCK 64u
#define BODY static inline __attribute__((always_inline))

/* Bit i: byte i is a letter or digit. 64 bytes can be read. */
typedef uint64_t classify_function(const uint8_t *bytes);
/* Places of the bits, `at` added, of which no two are side by side; 32 are written. */
typedef void place_function(uint64_t bits, uint32_t count, uint32_t at, uint16_t *out);
typedef uint32_t split_function(const uint8_t *bytes, uint32_t size, uint32_t from,
                                uint16_t *starts);
/* Of bytes of which none behind the last can be read: they are copied to `to`. */
typedef uint32_t take_function(const uint8_t *bytes, uint32_t size, uint32_t from, uint8_t *to,
                               uint16_t *starts);

BODY uint32_t split_body(const uint8_t *bytes, uint32_t size, uint32_t from, uint16_t *starts,
                         classify_function *classify, place_function *place)
{
    uint32_t count = 1;
    uint64_t before = 0; /* the last bit of the 64 bytes before */
    starts[0] = (uint16_t)from;
    for (uint32_t at = 0; at < size; at += BLOCK) {
        uint64_t word = classify(bytes + at), begins = ~word & (word << 1 | before);
        before = word >> 63;
        if (size - at < BLOCK)
            begins &= (UINT64_C(1) << (size - at)) - 1;
        uint32_t found = (uint32_t)__builtin_popcountll(begins);
        place(begins, found, from + at, starts + count);
        count += found;
    }
    return count;
}

/* By fours: what is written too much is written over. */
BODY void place_bits(uint64_t bits, uint32_t count, uint32_t at, uint16_t *out)
{
    for (uint32_t done = 0; done < count; done += 4) {
        for (uint32_t k = 0; k < 4; k++) {
            out[done + k] = (uint16_t)(at + (bits == 0 ? 0 : (uint32_t)__builtin_ctzll(bits)));
            bits &= bits - 1;
        }
    }
}

static inline bool is_word_byte(uint8_t byte)
{
    uint8_t letter = (uint8_t)((byte | 0x20) - 'a'), digit = (uint8_t)(byte - '0');
    return letter < 26 || digit < 10 || byte >= 128;
}

BODY uint64_t classify_base(const uint8_t *bytes)
{
    uint64_t set = 0;
    for (uint32_t i = 0; i < BLOCK; i++)
        set |= (uint64_t)is_word_byte(bytes[i]) << i;
    return set;
}

static uint32_t split_base(const uint8_t *bytes, uint32_t size, uint32_t from, uint16_t *starts)
{
    return split_body(bytes, size, from, starts, classify_base, place_bits);
}

static uint32_t take_base(const uint8_t *bytes, uint32_t size, uint32_t from, uint8_t *to,
                          uint16_t *starts)
{
    memcpy(to, bytes, size);
    return split_base(to, size, from, starts);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define AVX512 __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vl")))
#define VBMI2 __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi2")))

/* Signed comparisons: bytes above 127 are below all others, and always letters. */
AVX2 BODY uint32_t classify_32(const uint8_t *bytes)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    __m256i small = _mm256_or_si256(x, _mm256_set1_epi8(0x20));
    __m256i letter = _mm256_andnot_si256(_mm256_cmpgt_epi8(small, _mm256_set1_epi8('z')),
                                         _mm256_cmpgt_epi8(small, _mm256_set1_epi8('a' - 1)));
    __m256i digit = _mm256_andnot_si256(_mm256_cmpgt_epi8(x, _mm256_set1_epi8('9')),
                                        _mm256_cmpgt_epi8(x, _mm256_set1_epi8('0' - 1)));
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(letter, digit), x));
}

AVX2 BODY uint64_t classify_avx2(const uint8_t *bytes)
{
    return classify_32(bytes) | (uint64_t)classify_32(bytes + 32) << 32;
}

AVX2 BODY void place_avx2(uint64_t bits, uint32_t count, uint32_t at, uint16_t *out)
{
    for (uint32_t done = 0; done < count; done += 4) {
        for (uint32_t k = 0; k < 4; k++) {
            out[done + k] = (uint16_t)(at + _tzcnt_u64(bits)); /* 64 where there is none */
            bits = _blsr_u64(bits);
        }
    }
}

AVX2 static uint32_t split_avx2(const uint8_t *bytes, uint32_t size, uint32_t from,
                                uint16_t *starts)
{
    return split_body(bytes, size, from, starts, classify_avx2, place_avx2);
}

AVX2 static uint32_t take_avx2(const uint8_t *bytes, uint32_t size, uint32_t from, uint8_t *to,
                               uint16_t *starts)
{
    memcpy(to, bytes, size);
    return split_avx2(to, size, from, starts);
}

AVX512 BODY uint64_t classify_register(__m512i x)
{
    __m512i small = _mm512_or_si512(x, _mm512_set1_epi8(0x20));
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(small, _mm512_set1_epi8('a')),
                                  _mm512_set1_epi8(26)) |
           _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, _mm512_set1_epi8('0')), _mm512_set1_epi8(10)) |
           _mm512_movepi8_mask(x);
}

AVX512 BODY uint64_t classify_avx512(const uint8_t *bytes)
{
    return classify_register(_mm512_loadu_si512(bytes));
}

/* Of each two bits at most one is set, so 32 pairs are looked at: of 16 numbers at a time, those
 * whose pair has one move together. */
AVX512 BODY void place_avx512(uint64_t bits, uint32_t count, uint32_t at, uint16_t *out)
{
    uint32_t odd = (uint32_t)_pext_u64(bits, UINT64_C(0xaaaaaaaaaaaaaaaa));
    uint32_t some = (uint32_t)_pext_u64(bits, UINT64_C(0x5555555555555555)) | odd;
    const __m512i one = _mm512_set1_epi32(1);
    __m512i numbers = _mm512_add_epi32(
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0),
        _mm512_set1_epi32((int)at));
    (void)count;
    __m512i first = _mm512_mask_add_epi32(numbers, (__mmask16)odd, numbers, one);
    first = _mm512_maskz_compress_epi32((__mmask16)some, first);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_cvtepi32_epi16(first));
    out += _mm_popcnt_u32(some & 0xffff);
    numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(32));
    __m512i second = _mm512_mask_add_epi32(numbers, (__mmask16)(odd >> 16), numbers, one);
    second = _mm512_maskz_compress_epi32((__mmask16)(some >> 16), second);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_cvtepi32_epi16(second));
}

/* The numbers of all bytes, of which those move together whose bits are set. */
VBMI2 BODY void place_vbmi2(uint64_t bits, uint32_t count, uint32_t at, uint16_t *out)
{
    const __m512i numbers = _mm512_set_epi64(
        0x3f3e3d3c3b3a3938, 0x3736353433323130, 0x2f2e2d2c2b2a2928, 0x2726252423222120,
        0x1f1e1d1c1b1a1918, 0x1716151413121110, 0x0f0e0d0c0b0a0908, 0x0706050403020100);
    (void)count;
    __m256i places = _mm512_castsi512_si256(_mm512_maskz_compress_epi8(bits, numbers));
    _mm512_storeu_si512(
        out, _mm512_add_epi16(_mm512_cvtepu8_epi16(places), _mm512_set1_epi16((short)at)));
}

AVX512 static uint32_t split_avx512(const uint8_t *bytes, uint32_t size, uint32_t from,
                                    uint16_t *starts)
{
    return split_body(bytes, size, from, starts, classify_avx512, place_avx512);
}

AVX512 BODY uint32_t take_body(const uint8_t *bytes, uint32_t size, uint32_t from, uint8_t *to,
                               uint16_t *starts, place_function *place)
{
    uint32_t count = 1;
    uint64_t before = 0;
    starts[0] = (uint16_t)from;
    for (uint32_t at = 0; at < size; at += BLOCK) {
        __mmask64 has = size - at < BLOCK ? (UINT64_C(1) << (size - at)) - 1 : UINT64_MAX;
        __m512i some = _mm512_maskz_loadu_epi8(has, bytes + at);
        _mm512_storeu_si512(to + at, some);
        uint64_t word = classify_register(some), begins = has & ~word & (word << 1 | before);
        before = fault_is("words.glued") ? 0 : word >> 63;
        place(begins, 0, from + at, starts + count);
        count += (uint32_t)_mm_popcnt_u64(begins);
    }
    return count;
}

AVX512 static uint32_t take_avx512(const uint8_t *bytes, uint32_t size, uint32_t from, uint8_t *to,
                                   uint16_t *starts)
{
    return take_body(bytes, size, from, to, starts, place_avx512);
}

VBMI2 static uint32_t take_vbmi2(const uint8_t *bytes, uint32_t size, uint32_t from, uint8_t *to,
                                 uint16_t *starts)
{
    return take_body(bytes, size, from, to, starts, place_vbmi2);
}

static split_function *splitter(void)
{
    enum kernel_isa isa = kernels_chosen()->isa;
    return isa == KERNEL_BASE ? split_base : isa == KERNEL_AVX2 ? split_avx2 : split_avx512;
}

static take_function *taker(void)
{
    enum kernel_isa isa = kernels_chosen()->isa;
    if (isa != KERNEL_AVX512)
        return isa == KERNEL_BASE ? take_base : take_avx2;
    return __builtin_cpu_supports("avx512vbmi2") && !fault_is("words.no_vbmi2") ? take_vbmi2
                                                                                : take_avx512;
}
#else
static split_function *splitter(void)
{
    return split_base;
}

static take_function *taker(void)
{
    return take_base;
}
#endif

uint32_t words_split(const uint8_t *bytes, uint32_t from, uint32_t size, uint16_t *starts)
{
    assert(size > 0 && from + size <= WORDS_PIECE);
    return splitter()(bytes + from, size, from, starts);
}

uint32_t words_take(struct slice text, uint32_t from, uint8_t *piece, uint16_t *starts)
{
    assert(text.size > 0 && from + text.size <= WORDS_PIECE);
    return taker()((const uint8_t *)text.data, (uint32_t)text.size, from, piece + from, starts);
}
