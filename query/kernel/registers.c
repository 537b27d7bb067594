/* Registers of a sketch of distinct values: hashes of integers, the greatest rank by register, and
 * the greater of each two.
 *
 * A hash's first REGISTERS_BITS bits name its register, the place of the first 1 behind them is its
 * rank. A bit below the others makes that one more than their number where all are 0, so there is
 * no branch: what decides is the load and the store of one byte. Multiplications of 64 bits are
 * eight at a time with AVX-512, and counting zeros is one instruction from AVX2 on. */
#include "query/kernel/kernel.h"
#include "storage/base/hash.h"
#include "storage/encoding/kernels.h"

#include <string.h>

#define BODY static inline __attribute__((always_inline))

typedef uint64_t words __attribute__((vector_size(64)));
typedef uint8_t lanes __attribute__((vector_size(64)));
#define WORDS 8

/* hash_mix() of storage/base/hash.h, of eight. */
BODY void hash_body(const int64_t *values, size_t count, uint64_t *hashes)
{
    size_t i = 0;
    for (; i + WORDS <= count; i += WORDS) {
        words x;
        memcpy(&x, values + i, sizeof(x));
        x ^= x >> 33;
        x *= 0xff51afd7ed558ccdULL;
        x ^= x >> 33;
        x *= 0xc4ceb9fe1a85ec53ULL;
        x ^= x >> 33;
        memcpy(hashes + i, &x, sizeof(x));
    }
    for (; i < count; i++)
        hashes[i] = hash_mix((uint64_t)values[i]);
}

BODY void add_body(uint8_t *registers, const uint64_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t rest = hashes[i] << REGISTERS_BITS | (uint64_t)1 << (REGISTERS_BITS - 1);
        uint8_t *place = &registers[hashes[i] >> (64 - REGISTERS_BITS)];
        uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1), before = *place;
        *place = rank > before ? rank : before;
    }
}

BODY void max_body(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < REGISTERS_COUNT; i += sizeof(lanes)) {
        lanes a, b;
        memcpy(&a, to + i, sizeof(a));
        memcpy(&b, from + i, sizeof(b));
        lanes is_above = (lanes)(b > a);
        a = (b & is_above) | (a & ~is_above);
        memcpy(to + i, &a, sizeof(a));
    }
}

static void hash_base(const int64_t *values, size_t count, uint64_t *hashes)
{
    for (size_t i = 0; i < count; i++)
        hashes[i] = hash_mix((uint64_t)values[i]);
}

static void add_base(uint8_t *registers, const uint64_t *hashes, size_t count)
{
    add_body(registers, hashes, count);
}

static void max_base(uint8_t *to, const uint8_t *from)
{
    max_body(to, from);
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,lzcnt,bmi,bmi2")))
#define AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,lzcnt,bmi,bmi2")))

AVX2 static void hash_avx2(const int64_t *values, size_t count, uint64_t *hashes)
{
    for (size_t i = 0; i < count; i++)
        hashes[i] = hash_mix((uint64_t)values[i]);
}

AVX512 static void hash_avx512(const int64_t *values, size_t count, uint64_t *hashes)
{
    hash_body(values, count, hashes);
}

AVX2 static void add_avx2(uint8_t *registers, const uint64_t *hashes, size_t count)
{
    add_body(registers, hashes, count);
}

AVX2 static void max_avx2(uint8_t *to, const uint8_t *from)
{
    max_body(to, from);
}

AVX512 static void max_avx512(uint8_t *to, const uint8_t *from)
{
    max_body(to, from);
}

#else
#define hash_avx2 hash_base
#define hash_avx512 hash_base
#define add_avx2 add_base
#define max_avx2 max_base
#define max_avx512 max_base
#endif

void hash_ints(const int64_t *values, size_t count, uint64_t *hashes)
{
    static void (*const variants[KERNEL_ISA_COUNT])(const int64_t *, size_t, uint64_t *) = {
        [KERNEL_BASE] = hash_base, [KERNEL_AVX2] = hash_avx2, [KERNEL_AVX512] = hash_avx512};
    variants[kernels_chosen()->isa](values, count, hashes);
}

void registers_add(uint8_t *registers, const uint64_t *hashes, size_t count)
{
    static void (*const variants[KERNEL_ISA_COUNT])(uint8_t *, const uint64_t *, size_t) = {
        [KERNEL_BASE] = add_base, [KERNEL_AVX2] = add_avx2, [KERNEL_AVX512] = add_avx2};
    variants[kernels_chosen()->isa](registers, hashes, count);
}

void registers_max(uint8_t *to, const uint8_t *from)
{
    static void (*const variants[KERNEL_ISA_COUNT])(uint8_t *, const uint8_t *) = {
        [KERNEL_BASE] = max_base, [KERNEL_AVX2] = max_avx2, [KERNEL_AVX512] = max_avx512};
    variants[kernels_chosen()->isa](to, from);
}
