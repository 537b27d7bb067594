/* Hashes. XXH3 is inlined here and only here, so its header's cost is paid once. CRC32C guards
 * every stored byte: the SSE4.2 instruction does 8 bytes in 3 cycles, three times
 * as many where stretches can be put together (PCLMUL), the table (one byte a step)
 * is for machines without it. The choice is made at each call by a bit test that the compiler's
 * runtime keeps, which costs less than an indirect call. */
#include "storage/base/hash.h"

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
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    if (size >= 3 * STRETCH && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return ~crc32c_three(~crc, data, size);
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse42(~crc, data, size);
#endif
    return ~crc32c_table(~crc, data, size);
}
