/* Where words begin: a byte that is no letter or digit behind one that is.
 *
 *   bytes    GET /item/12?q=red
 *   words    GET| /item|/12|?q|=red
 *
 * Bytes above 127 are letters: those of UTF-8. 64 bytes become 64 bits, and the bits that are set
 * places; 0.1 ns a byte where there is AVX2. What separates words goes with the word behind it, so
 * that texts of words and blanks have one code a word. */
#include "storage/encoding/words.h"

#define BLOCK 64u
#define BODY static inline __attribute__((always_inline))

/* Bit i: byte i is a letter or digit. 64 bytes can be read. */
typedef uint64_t classify_function(const uint8_t *bytes);
/* Places of the bits, `at` added, of which no two are side by side; 32 are written. */
typedef void place_function(uint64_t bits, uint32_t count, uint32_t at, uint32_t *out);
typedef uint32_t split_function(const uint8_t *bytes, uint32_t size, uint32_t from,
                                uint32_t *starts);

BODY uint32_t split_body(const uint8_t *bytes, uint32_t size, uint32_t from, uint32_t *starts,
                         classify_function *classify, place_function *place)
{
    uint32_t count = 1;
    uint64_t before = 0; /* the last bit of the 64 bytes before */
    starts[0] = from;
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
BODY void place_bits(uint64_t bits, uint32_t count, uint32_t at, uint32_t *out)
{
    for (uint32_t done = 0; done < count; done += 4) {
        for (uint32_t k = 0; k < 4; k++) {
            out[done + k] = at + (bits == 0 ? 0 : (uint32_t)__builtin_ctzll(bits));
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

static uint32_t split_base(const uint8_t *bytes, uint32_t size, uint32_t from, uint32_t *starts)
{
    return split_body(bytes, size, from, starts, classify_base, place_bits);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define AVX512 __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vl")))

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

AVX2 BODY void place_avx2(uint64_t bits, uint32_t count, uint32_t at, uint32_t *out)
{
    for (uint32_t done = 0; done < count; done += 4) {
        for (uint32_t k = 0; k < 4; k++) {
            out[done + k] = at + (uint32_t)_tzcnt_u64(bits); /* 64 where there is none */
            bits = _blsr_u64(bits);
        }
    }
}

AVX2 static uint32_t split_avx2(const uint8_t *bytes, uint32_t size, uint32_t from,
                                uint32_t *starts)
{
    return split_body(bytes, size, from, starts, classify_avx2, place_avx2);
}

AVX512 BODY uint64_t classify_avx512(const uint8_t *bytes)
{
    __m512i x = _mm512_loadu_si512(bytes);
    __m512i small = _mm512_or_si512(x, _mm512_set1_epi8(0x20));
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(small, _mm512_set1_epi8('a')),
                                  _mm512_set1_epi8(26)) |
           _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, _mm512_set1_epi8('0')), _mm512_set1_epi8(10)) |
           _mm512_movepi8_mask(x);
}

/* Of each two bits at most one is set, so 32 pairs are looked at: of 16 numbers at a time, those
 * whose pair has one move together. */
AVX512 BODY void place_avx512(uint64_t bits, uint32_t count, uint32_t at, uint32_t *out)
{
    uint32_t odd = (uint32_t)_pext_u64(bits, UINT64_C(0xaaaaaaaaaaaaaaaa));
    uint32_t some = (uint32_t)_pext_u64(bits, UINT64_C(0x5555555555555555)) | odd;
    const __m512i one = _mm512_set1_epi32(1);
    __m512i numbers = _mm512_add_epi32(
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0),
        _mm512_set1_epi32((int)at));
    (void)count;
    __m512i first = _mm512_mask_add_epi32(numbers, (__mmask16)odd, numbers, one);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32((__mmask16)some, first));
    out += _mm_popcnt_u32(some & 0xffff);
    numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(32));
    __m512i second = _mm512_mask_add_epi32(numbers, (__mmask16)(odd >> 16), numbers, one);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32((__mmask16)(some >> 16), second));
}

AVX512 static uint32_t split_avx512(const uint8_t *bytes, uint32_t size, uint32_t from,
                                    uint32_t *starts)
{
    return split_body(bytes, size, from, starts, classify_avx512, place_avx512);
}

static split_function *splitter(void)
{
    enum kernel_isa isa = kernels_chosen()->isa;
    return isa == KERNEL_BASE ? split_base : isa == KERNEL_AVX2 ? split_avx2 : split_avx512;
}
#else
static split_function *splitter(void)
{
    return split_base;
}
#endif

uint32_t words_split(const uint8_t *bytes, uint32_t from, uint32_t size, uint32_t *starts)
{
    assert(size > 0 && from + size <= WORDS_PIECE);
    return splitter()(bytes + from, size, from, starts);
}
