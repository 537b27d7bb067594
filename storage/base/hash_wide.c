/* XXH3 of long inputs, by the widest registers the machine has: the library's own dispatcher, which
 * gives the same hashes as its header. The header inlined in hash.c is SSE2 whatever the machine;
 * it is for short inputs, where a call through a table costs more than it gains. Bodies of requests
 * and pages of segments are long: 1 MiB in 87 us by AVX-512 where the inlined code needs 540. */
#include "storage/base/hash.h"

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
#include <assert.h>

uint64_t hash64_seed_wide(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128 hash128_wide(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct hash128){.low = hash.low64, .high = hash.high64};
}

/* --- in pieces --- */

static_assert(sizeof(XXH3_state_t) <= sizeof(struct hash_stream), "room for the library's state");

static XXH3_state_t *state_of(const struct hash_stream *stream)
{
    return (XXH3_state_t *)(void *)stream->state;
}

void hash_stream_init(struct hash_stream *stream, uint64_t seed)
{
    XXH3_INITSTATE(state_of(stream));
    (void)XXH3_64bits_reset_withSeed(state_of(stream), seed);
}

void hash_stream_add(struct hash_stream *stream, const void *data, size_t size)
{
    (void)XXH3_64bits_update(state_of(stream), data, size);
}

uint64_t hash_stream_end(const struct hash_stream *stream)
{
    return XXH3_64bits_digest(state_of(stream));
}
