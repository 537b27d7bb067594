/* 64- and 128-bit hashes (XXH3) and CRC32C (Castagnoli, RFC 3720 B.4; SSE4.2 where there is one).
 */
#ifndef FRESHET_STORAGE_BASE_HASH_H
#define FRESHET_STORAGE_BASE_HASH_H

#include "storage/base/slice.h"

/* Files have such hashes as checksums: they never change. */
uint64_t hash64(const void *data, size_t size);
/* hash64() of each of so many. */
void hash64_each(const struct slice *items, size_t count, uint64_t *hashes);
uint64_t hash64_seed(const void *data, size_t size, uint64_t seed);
struct hash128 {
    uint64_t low, high;
};
struct hash128 hash128_of(const void *data, size_t size);
/* The same hashes by the widest registers; what the two above do from HASH_WIDE_SIZE on. */
#define HASH_WIDE_SIZE ((size_t)1024)
uint64_t hash64_seed_wide(const void *data, size_t size, uint64_t seed);
struct hash128 hash128_wide(const void *data, size_t size);
/* hash64_seed() of bytes that come in pieces. */
struct hash_stream {
    _Alignas(64) uint8_t state[640];
};
void hash_stream_init(struct hash_stream *stream, uint64_t seed);
void hash_stream_add(struct hash_stream *stream, const void *data, size_t size);
uint64_t hash_stream_end(const struct hash_stream *stream);
/* `crc` is 0 at the start, or what an earlier call returned to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* One integer, well mixed (murmur3 finalizer). */
static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

#endif
