/* Bytes to numbers in an alphabet of at most 64, eight of them in `width` bytes, and back.
 *
 * The plain form looks every byte up and squeezes eight numbers together in three steps of shifts
 * and masks over a word. The wide form (AVX2, 32 bytes at a time) has no table of 256 in a
 * register, but one of 16 it has: the bytes of an alphabet share few upper halves (letters and
 * digits: four), and there is one look-up for each of them that gives zero for all other bytes.
 * Two multiplications that add neighbours squeeze numbers to fours, a shift makes eights of them.
 * Whether a byte is of the alphabet at all is a bit in the row of its lower half. */
#include "storage/encoding/kernels.h"

#include <assert.h>
#include <string.h>

void alphabet_code_make(const uint8_t *bytes, uint32_t count, struct alphabet_code *code)
{
    assert(count > 0 && count <= ALPHABET_MAX);
    memset(code, 0, sizeof(*code));
    code->width = 1;
    while (1u << code->width < count)
        code->width++;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t half = bytes[i] >> 4, low = bytes[i] & 15;
        code->numbers[bytes[i]] = (uint8_t)i;
        code->is_member[bytes[i]] = 1;
        code->sets[half / 8][low] |= (uint8_t)(1u << half % 8);
        if (code->row_count == 0 || code->row_first[code->row_count - 1] != half << 4)
            code->row_first[code->row_count++] = (uint8_t)(half << 4);
        code->row_numbers[code->row_count - 1][low] = (uint8_t)i;
    }
}

/* --- plain --- */

static inline uint64_t load_word(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

/* Eight numbers of a byte each to the lowest 8 * width bits. */
static inline uint64_t squeeze(uint64_t x, uint32_t width)
{
    uint32_t spare = 8 - width;
    uint64_t pair = (UINT64_C(1) << 2 * width) - 1, four = (UINT64_C(1) << 4 * width) - 1;
    x = (x & 0x00ff00ff00ff00ff) | (x & 0xff00ff00ff00ff00) >> spare;
    x &= pair * 0x0001000100010001;
    x = (x & 0x0000ffff0000ffff) | (x & 0xffff0000ffff0000) >> 2 * spare;
    x &= four * 0x0000000100000001;
    return (x & 0x00000000ffffffff) | (x & 0xffffffff00000000) >> 4 * spare;
}

static inline uint64_t widen(uint64_t x, uint32_t width)
{
    uint32_t spare = 8 - width;
    uint64_t one = (UINT64_C(1) << width) - 1, pair = (UINT64_C(1) << 2 * width) - 1;
    uint64_t four = (UINT64_C(1) << 4 * width) - 1;
    x = (x & four) | (x & four << 4 * width) << 4 * spare;
    x = (x & pair * 0x0000000100000001) | (x & (pair << 2 * width) * 0x0000000100000001)
                                              << 2 * spare;
    return (x & one * 0x0001000100010001) | (x & (one << width) * 0x0001000100010001) << spare;
}

/* Eight bytes to their numbers. */
static inline uint64_t numbers_of(uint64_t word, const uint8_t *numbers)
{
    return (uint64_t)numbers[word & 255] | (uint64_t)numbers[word >> 8 & 255] << 8 |
           (uint64_t)numbers[word >> 16 & 255] << 16 | (uint64_t)numbers[word >> 24 & 255] << 24 |
           (uint64_t)numbers[word >> 32 & 255] << 32 | (uint64_t)numbers[word >> 40 & 255] << 40 |
           (uint64_t)numbers[word >> 48 & 255] << 48 | (uint64_t)numbers[word >> 56] << 56;
}

static bool has_all_base(const struct alphabet_code *code, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!code->is_member[bytes[i]])
            return false;
    }
    return true;
}

static void narrow_base(const struct alphabet_code *code, const uint8_t *bytes, size_t eights,
                        uint8_t *out)
{
    for (size_t eight = 0; eight < eights; eight++) {
        uint64_t word =
            squeeze(numbers_of(load_word(bytes + eight * 8), code->numbers), code->width);
        memcpy(out + eight * code->width, &word, sizeof(word)); /* the next covers what is over */
    }
}

static void widen_base(const uint8_t *alphabet, uint32_t width, const uint8_t *packed,
                       size_t eights, uint8_t *out)
{
    uint64_t used = (UINT64_C(1) << 8 * width) - 1; /* width <= 6 */
    for (size_t eight = 0; eight < eights; eight++) {
        uint64_t word = 0;
        memcpy(&word, packed + eight * width, width);
        word = widen(word & used, width);
        uint8_t *to = out + eight * 8;
        for (uint32_t i = 0; i < 8; i++)
            to[i] = alphabet[word >> 8 * i & 63];
    }
}

const struct alphabet_kernels alphabet_base = {
    .has_all = has_all_base, .narrow = narrow_base, .widen = widen_base};

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi2,popcnt")))

/* 16 entries in both halves of a register. */
AVX2 static inline __m256i load_table(const uint8_t *entries)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)entries));
}

struct member_tables {
    __m256i low, high, bits, half;
};

/* 255 where a byte is not of the alphabet. */
AVX2 static inline __m256i strangers(__m256i x, const struct member_tables *tables)
{
    __m256i bit =
        _mm256_shuffle_epi8(tables->bits, _mm256_and_si256(_mm256_srli_epi16(x, 4), tables->half));
    __m256i row = _mm256_or_si256(
        _mm256_shuffle_epi8(tables->low, x),
        _mm256_shuffle_epi8(tables->high, _mm256_xor_si256(x, _mm256_set1_epi8((char)0x80))));
    return _mm256_cmpeq_epi8(_mm256_and_si256(row, bit), _mm256_setzero_si256());
}

/* At most 31 bytes, as two loads that overlap. */
AVX2 static inline __m256i load_short(const uint8_t *bytes, size_t size)
{
    if (size >= 16)
        return _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(const void *)(bytes + size - 16)),
                                _mm_loadu_si128((const __m128i *)(const void *)bytes));
    uint64_t first, last;
    if (size >= 8) {
        first = load_word(bytes);
        last = load_word(bytes + size - 8);
    } else if (size >= 4) {
        uint32_t begin, end;
        memcpy(&begin, bytes, sizeof(begin));
        memcpy(&end, bytes + size - sizeof(end), sizeof(end));
        first = last = (uint64_t)end << 32 | begin;
    } else {
        uint32_t all = bytes[0] | (uint32_t)bytes[size / 2] << 8 | (uint32_t)bytes[size - 1] << 16 |
                       (uint32_t)bytes[0] << 24;
        first = last = (uint64_t)all << 32 | all;
    }
    return _mm256_set_epi64x((int64_t)last, (int64_t)first, (int64_t)last, (int64_t)first);
}

AVX2 static bool has_all_avx2(const struct alphabet_code *code, const uint8_t *bytes, size_t size)
{
    static const uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const struct member_tables tables = {.low = load_table(code->sets[0]),
                                         .high = load_table(code->sets[1]),
                                         .bits = load_table(bits),
                                         .half = _mm256_set1_epi8(15)};
    __m256i found = _mm256_setzero_si256();
    if (size == 0)
        return true;
    if (size < 32)
        return _mm256_testz_si256(strangers(load_short(bytes, size), &tables),
                                  _mm256_set1_epi8(-1));
    for (size_t i = 0; i + 32 <= size; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + i));
        found = _mm256_or_si256(found, strangers(x, &tables));
    }
    __m256i last = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + size - 32));
    found = _mm256_or_si256(found, strangers(last, &tables));
    return _mm256_testz_si256(found, found);
}

/* The entry for `x` if it lies from `first` up to 15 behind it, else 0. */
AVX2 static inline __m256i look_up(__m256i table, __m256i first, __m256i x)
{
    __m256i place = _mm256_adds_epu8(_mm256_sub_epi8(x, first), _mm256_set1_epi8(0x70));
    return _mm256_shuffle_epi8(table, place); /* 0x70 … 0x7f: within; above 0x7f: zero */
}

/* What brings the lowest `width` bytes of both words of a half together; its reverse. */
AVX2 static inline __m256i gather_bytes(uint32_t width)
{
    uint8_t places[16];
    for (uint32_t i = 0; i < 16; i++)
        places[i] = (uint8_t)(i < width ? i : i < 2 * width ? 8 + i - width : 0x80);
    return load_table(places);
}

AVX2 static inline __m256i spread_bytes(uint32_t width)
{
    uint8_t places[16];
    for (uint32_t i = 0; i < 16; i++)
        places[i] = (uint8_t)(i % 8 >= width ? 0x80 : i < 8 ? i : width + i - 8);
    return load_table(places);
}

AVX2 static inline void narrow_32(__m256i numbers, uint32_t width, __m256i gather, uint8_t *out)
{
    __m256i pairs = _mm256_maddubs_epi16(numbers, _mm256_set1_epi16((short)(1 | 1 << width << 8)));
    __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(1 | 1 << 2 * width << 16));
    /* The lower four against the upper one, then both down. */
    int spare = (int)(32 - 4 * width);
    __m256i eights = _mm256_srl_epi64(_mm256_sllv_epi32(fours, _mm256_set1_epi64x(spare)),
                                      _mm_cvtsi32_si128(spare));
    __m256i packed = _mm256_shuffle_epi8(eights, gather);
    _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(packed));
    _mm_storeu_si128((__m128i *)(void *)(out + 2 * (size_t)width),
                     _mm256_extracti128_si256(packed, 1));
}

AVX2 static void narrow_avx2(const struct alphabet_code *code, const uint8_t *bytes, size_t eights,
                             uint8_t *out)
{
    uint32_t width = code->width;
    __m256i gather = gather_bytes(width), tables[16], firsts[16];
    for (uint32_t row = 0; row < code->row_count; row++) {
        tables[row] = load_table(code->row_numbers[row]);
        firsts[row] = _mm256_set1_epi8((char)code->row_first[row]);
    }
    size_t eight = 0;
    for (; eight + 4 <= eights; eight += 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + eight * 8));
        __m256i numbers = look_up(tables[0], firsts[0], x);
        for (uint32_t row = 1; row < code->row_count; row++)
            numbers = _mm256_or_si256(numbers, look_up(tables[row], firsts[row], x));
        narrow_32(numbers, width, gather, out + eight * width);
    }
    narrow_base(code, bytes + eight * 8, eights - eight, out + eight * width);
}

/* What each lane has in its lower half, and next to it what belongs in its upper half. */
AVX2 static inline __m256i part(__m256i x, __m256i lower, __m256i upper, int shift)
{
    return _mm256_or_si256(_mm256_and_si256(x, lower),
                           _mm256_and_si256(_mm256_sll_epi64(x, _mm_cvtsi32_si128(shift)), upper));
}

AVX2 static void widen_avx2(const uint8_t *alphabet, uint32_t width, const uint8_t *packed,
                            size_t eights, uint8_t *out)
{
    uint32_t tables_used = width <= 4 ? 1 : 1u << (width - 4);
    int spare = (int)(8 - width);
    int64_t one = (INT64_C(1) << width) - 1, two = (INT64_C(1) << 2 * width) - 1;
    int64_t four = (INT64_C(1) << 4 * width) - 1;
    __m256i spread = spread_bytes(width), tables[4], firsts[4];
    __m256i low4 = _mm256_set1_epi64x(four), high4 = _mm256_set1_epi64x(four << 32);
    __m256i low2 = _mm256_set1_epi32((int)two), high2 = _mm256_set1_epi32((int)(two << 16));
    __m256i low1 = _mm256_set1_epi16((short)one), high1 = _mm256_set1_epi16((short)(one << 8));
    for (uint32_t i = 0; i < tables_used; i++) {
        tables[i] = load_table(alphabet + (size_t)i * 16);
        firsts[i] = _mm256_set1_epi8((char)(i * 16));
    }
    size_t eight = 0;
    /* Two loads of 16 bytes, the second from the middle on: never past the last eight's bytes. */
    for (; eight + 4 <= eights && (eights - eight) * width >= 2 * (size_t)width + 16; eight += 4) {
        const uint8_t *from = packed + eight * width;
        __m256i x = _mm256_set_m128i(
            _mm_loadu_si128((const __m128i *)(const void *)(from + 2 * (size_t)width)),
            _mm_loadu_si128((const __m128i *)(const void *)from));
        x = _mm256_shuffle_epi8(x, spread);
        x = part(x, low4, high4, 4 * spare);
        x = part(x, low2, high2, 2 * spare);
        x = part(x, low1, high1, spare);
        __m256i bytes = look_up(tables[0], firsts[0], x);
        for (uint32_t i = 1; i < tables_used; i++)
            bytes = _mm256_or_si256(bytes, look_up(tables[i], firsts[i], x));
        _mm256_storeu_si256((__m256i *)(void *)(out + eight * 8), bytes);
    }
    widen_base(alphabet, width, packed + eight * width, eights - eight, out + eight * 8);
}

const struct alphabet_kernels alphabet_avx2 = {
    .has_all = has_all_avx2, .narrow = narrow_avx2, .widen = widen_avx2};
#endif
