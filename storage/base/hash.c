/* Hashes. XXH3 is inlined here and only here, so its header's cost is paid once. CRC32C guards
 * every stored byte: the SSE4.2 instruction does 8 bytes in 3 cycles, three times as many where
 * stretches can be put together (PCLMUL), multiplications of whole registers (VPCLMULQDQ) three
 * times as many again; the table (one byte a step) is for machines without. The choice is made at
 * each call by a bit test that the compiler's runtime keeps, which costs less than an indirect
 * call. */
#include "storage/base/hash.h"

#include "storage/base/fault.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

void hash64_each(const struct slice *items, size_t count, uint64_t *hashes)
{
    for (size_t i = 0; i < count; i++)
        hashes[i] = XXH3_64bits(items[i].data, items[i].size);
}

uint64_t hash64_seed(const void *data, size_t size, uint64_t seed)
{
    if (size >= HASH_WIDE_SIZE)
        return hash64_seed_wide(data, size, seed);
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128 hash128_of(const void *data, size_t size)
{
    if (size >= HASH_WIDE_SIZE)
        return hash128_wide(data, size);
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct hash128){.low = hash.low64, .high = hash.high64};
}

/* The reflected polynomial 0x82F63B78, four bits at a time: 16 entries are enough for a fallback.
 */
static const uint32_t crc_nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t crc32c_table(uint32_t crc, const unsigned char *p, size_t size)
{
    for (; size > 0; size--, p++) {
        crc ^= *p;
        crc = (crc >> 4) ^ crc_nibbles[crc & 15];
        crc = (crc >> 4) ^ crc_nibbles[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define STRETCH ((size_t)1024)
#define STRETCH_POWER UINT32_C(0x170076fa)       /* x^(8 * 1024 - 33) */
#define STRETCH_TWICE_POWER UINT32_C(0xa51b6135) /* x^(8 * 2048 - 33) */

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *p,
                                                               size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--, p++)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}

/* The CRC as if `size` zero bytes had followed: one multiplication by `power`, x^(8 * size - 33)
 * modulo the polynomial. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t crc32c_shift(uint64_t crc, uint32_t power)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128(power), 0);
    return __builtin_ia32_crc32di(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* The instruction takes a new pair every cycle but answers after three, so three stretches go side
 * by side. */
__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc32c_three(uint32_t crc, const unsigned char *p, size_t size)
{
    for (; size >= 3 * STRETCH; p += 3 * STRETCH, size -= 3 * STRETCH) {
        uint64_t first = crc, second = 0, third = 0;
        for (size_t i = 0; i < STRETCH; i += 8) {
            uint64_t a, b, c;
            memcpy(&a, p + i, 8);
            memcpy(&b, p + STRETCH + i, 8);
            memcpy(&c, p + 2 * STRETCH + i, 8);
            first = __builtin_ia32_crc32di(first, a);
            second = __builtin_ia32_crc32di(second, b);
            third = __builtin_ia32_crc32di(third, c);
        }
        crc = (uint32_t)(crc32c_shift(first, STRETCH_TWICE_POWER) ^
                         crc32c_shift(second, STRETCH_POWER) ^ third);
    }
    return crc32c_sse42(crc, p, size);
}

/* Whole registers: what is d bytes ahead is brought here by x^(8 * d) modulo the polynomial, each
 * half of 16 bytes by a power of its own, x^(8 * d + 63) for the first and x^(8 * d - 1) for the
 * second, 32 bits reflected at the top of a word. Four registers go side by side; in the end they
 * become one, that 16 bytes, and those go through the instruction. */
#define FOLD_TARGET __attribute__((target("sse4.2,pclmul,vpclmulqdq,avx512f,avx512vl")))
#define FOLD_STEP ((size_t)256)
#define FOLD_SIZE_MIN (2 * FOLD_STEP)
#define FOLD_POWERS(first, second)                                                                 \
    (long long)((uint64_t)(second) << 32), (long long)((uint64_t)(first) << 32)

FOLD_TARGET static inline __m512i fold(__m512i far, __m512i powers, __m512i near)
{
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(far, powers, 0x00),
                                     _mm512_clmulepi64_epi128(far, powers, 0x11), near, 0x96);
}

FOLD_TARGET static uint32_t crc32c_fold(uint32_t crc, const unsigned char *p, size_t size)
{
    size_t head = -(uintptr_t)p & 63;
    if (!fault_is("hash.fold_begins_anew"))
        crc = crc32c_sse42(crc, p, head);
    p += head;
    size -= head;
    const __m512i by_256 = _mm512_broadcast_i32x4(
        _mm_set_epi64x(FOLD_POWERS(UINT32_C(0xe9a5d8be), UINT32_C(0x1426a815))));
    const __m512i by_64 = _mm512_broadcast_i32x4(
        _mm_set_epi64x(FOLD_POWERS(UINT32_C(0x1c19243b), UINT32_C(0x75bba45b))));
    const __m512i *from = (const __m512i *)(const void *)p;
    __m512i a = _mm512_xor_si512(from[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
    __m512i b = from[1], c = from[2], d = from[3];
    for (from += 4, size -= FOLD_STEP; size >= FOLD_STEP; from += 4, size -= FOLD_STEP) {
        a = fold(a, by_256, from[0]);
        b = fold(b, by_256, from[1]);
        c = fold(c, by_256, from[2]);
        d = fold(d, by_256, from[3]);
    }
    a = fold(fold(fold(a, by_64, b), by_64, c), by_64, d);
    /* The four quarters by 48, 32 and 16 bytes; the last is where it belongs. */
    const __m512i by_quarter =
        _mm512_set_epi64(0, 0, FOLD_POWERS(UINT32_C(0x3743f7bd), UINT32_C(0x3171d430)),
                         FOLD_POWERS(UINT32_C(0x33ccbbbc), UINT32_C(0xa2158b34)),
                         FOLD_POWERS(UINT32_C(0xa46ef4aa), UINT32_C(0x6051243f)));
    __m512i moved = fold(a, by_quarter, _mm512_setzero_si512());
    __m128i last = _mm_xor_si128(
        _mm_xor_si128(_mm512_castsi512_si128(moved), _mm512_extracti32x4_epi32(moved, 1)),
        _mm_xor_si128(_mm512_extracti32x4_epi32(moved, 2), _mm512_extracti32x4_epi32(a, 3)));
    uint64_t wide = __builtin_ia32_crc32di(0, (uint64_t)_mm_cvtsi128_si64(last));
    wide = __builtin_ia32_crc32di(wide, (uint64_t)_mm_extract_epi64(last, 1));
    return crc32c_sse42((uint32_t)wide, (const unsigned char *)from, size);
}

static bool can_fold(void)
{
    return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("sse4.2");
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    if (size >= FOLD_SIZE_MIN && can_fold())
        return ~crc32c_fold(~crc, data, size);
    if (size >= 3 * STRETCH && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return ~crc32c_three(~crc, data, size);
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse42(~crc, data, size);
#endif
    return ~crc32c_table(~crc, data, size);
}
