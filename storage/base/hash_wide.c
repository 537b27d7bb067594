/* XXH3 of long inputs, by the widest registers the machine has: the library's own dispatcher, which
 * gives the same hashes as its header. The header inlined in hash.c is SSE2 whatever the machine;
 * it is for short inputs, where a call through a table costs more than it gains. Bodies of requests
 * and pages of segments are long: 1 MiB in 87 us by AVX-512 where the inlined code needs 540. */
#include "storage/base/hash.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

uint64_t hash64_seed_wide(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128 hash128_wide(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct hash128){.low = hash.low64, .high = hash.high64};
}
