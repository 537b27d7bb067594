/* The least and the greatest of an array of integers, in eight lanes of a vector. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

typedef int64_t lanes __attribute__((vector_size(64)));
#define LANES 8
#define BODY static inline __attribute__((always_inline))

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

BODY void range_body(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    lanes lows, highs, value;
    int64_t first = values[0], last = values[0];
    size_t i = 0;
    if (count >= LANES) {
        __builtin_memcpy(&lows, values, sizeof(lows));
        highs = lows;
        for (i = LANES; i + LANES <= count; i += LANES) {
            __builtin_memcpy(&value, values + i, sizeof(value));
            lanes is_below = value<lows, is_above = value> highs;
            lows = (value & is_below) | (lows & ~is_below);
            highs = (value & is_above) | (highs & ~is_above);
        }
        for (int lane = 0; lane < LANES; lane++) {
            first = least(first, lows[lane]);
            last = greatest(last, highs[lane]);
        }
    }
    for (; i < count; i++) {
        first = least(first, values[i]);
        last = greatest(last, values[i]);
    }
    *low = first;
    *high = last;
}

static void range_base(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    range_body(values, count, low, high);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void range_avx2(const int64_t *values, size_t count,
                                                       int64_t *low, int64_t *high)
{
    range_body(values, count, low, high);
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) static void
range_avx512(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    range_body(values, count, low, high);
}

#else
#define range_avx2 range_base
#define range_avx512 range_base
#endif

void range_ints(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    static void (*const variants[KERNEL_ISA_COUNT])(const int64_t *, size_t, int64_t *,
                                                    int64_t *) = {
        [KERNEL_BASE] = range_base, [KERNEL_AVX2] = range_avx2, [KERNEL_AVX512] = range_avx512};
    variants[kernels_chosen()->isa](values, count, low, high);
}
