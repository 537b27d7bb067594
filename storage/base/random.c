/* Chance. xoshiro256** passes BigCrush and costs a nanosecond; splitmix64 spreads small seeds over
 * its state. With a stream installed, random_bytes and random_u64 draw from it, so that a
 * simulation repeats by its seed; that is for one thread at a time. */
#include "storage/base/random.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEPT_COUNT 32

static struct random_stream *installed;

void random_install(struct random_stream *stream)
{
    installed = stream;
}

void random_bytes(void *out, size_t size)
{
    unsigned char *p = out;
    while (installed != NULL && size > 0) {
        uint64_t word = random_next(installed);
        size_t part = size < sizeof(word) ? size : sizeof(word);
        memcpy(p, &word, part);
        p += part;
        size -= part;
    }
    while (size > 0) {
        ssize_t got = getrandom(p, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        size -= (size_t)got;
    }
}

/* The kernel is asked for many at once, by each thread; what has been given is forgotten. */
uint64_t random_u64(void)
{
    static _Thread_local uint64_t kept[KEPT_COUNT];
    static _Thread_local size_t kept_count;
    if (installed != NULL)
        return random_next(installed);
    if (kept_count == 0) {
        random_bytes(kept, sizeof(kept));
        kept_count = KEPT_COUNT;
    }
    uint64_t value = kept[--kept_count];
    kept[kept_count] = 0;
    return value;
}

void random_stream_init(struct random_stream *stream, uint64_t seed)
{
    for (size_t index = 0; index < 4; index++) {
        seed += 0x9e3779b97f4a7c15ULL;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        stream->state[index] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t random_next(struct random_stream *stream)
{
    uint64_t *s = stream->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Multiply and shift with rejection (Lemire 2019): no bias, a division only when it is close. */
uint64_t random_below(struct random_stream *stream, uint64_t bound)
{
    assert(bound > 0);
    unsigned __int128 product = (unsigned __int128)random_next(stream) * bound;
    if ((uint64_t)product < bound) {
        uint64_t least = -bound % bound;
        while ((uint64_t)product < least)
            product = (unsigned __int128)random_next(stream) * bound;
    }
    return (uint64_t)(product >> 64);
}

double random_unit(struct random_stream *stream)
{
    return (double)(random_next(stream) >> 11) * 0x1.0p-53;
}
