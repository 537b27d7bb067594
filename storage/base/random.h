/* Chance: the kernel's for what must not be guessed, and a seeded stream for everything else. */
#ifndef FRESHET_STORAGE_BASE_RANDOM_H
#define FRESHET_STORAGE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t size); /* getrandom, or the installed stream */
uint64_t random_u64(void);                 /* likewise */

/* xoshiro256** (Blackman, Vigna 2018), seeded through splitmix64. */
struct random_stream {
    uint64_t state[4];
};
void random_stream_init(struct random_stream *stream, uint64_t seed);
uint64_t random_next(struct random_stream *stream);
/* 0 … bound - 1; bound > 0. */
uint64_t random_below(struct random_stream *stream, uint64_t bound);
double random_unit(struct random_stream *stream); /* [0, 1) */

/* From now on random_bytes and random_u64 draw from `stream`, for simulations: one thread at a
 * time. NULL goes back to the kernel. */
void random_install(struct random_stream *stream);

#endif
