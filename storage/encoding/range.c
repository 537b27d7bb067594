/* The least and the greatest of many integers, which every block and every packed vector asks for
 * when it is written: 0.15 ns a value with AVX-512 and 1.4 in plain C, beside other work. */
#include "storage/encoding/private.h"

#include "storage/base/fault.h"

static void range_base(const int64_t *values, uint32_t count, int64_t *low, int64_t *high)
{
    int64_t least = values[0], greatest = least;
    for (uint32_t i = 1; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    *low = least;
    *high = greatest;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 8u

/* Two of each, so that no comparison waits for the one before it. What is left over is compared
 * with the last eight. */
__attribute__((target("avx512f"))) static void range_avx512(const int64_t *values, uint32_t count,
                                                            int64_t *low, int64_t *high)
{
    if (count < LANES) {
        range_base(values, count, low, high);
        return;
    }
    __m512i first = _mm512_loadu_si512(values), last = _mm512_loadu_si512(values + count - LANES);
    if (fault_is("range.no_rest"))
        last = first;
    __m512i least[2] = {first, last}, greatest[2] = {first, last};
    for (uint32_t i = 0; i + 2 * LANES <= count; i += 2 * LANES) {
        for (uint32_t k = 0; k < 2; k++) {
            __m512i eight = _mm512_loadu_si512(values + i + (size_t)k * LANES);
            least[k] = _mm512_min_epi64(least[k], eight);
            greatest[k] = _mm512_max_epi64(greatest[k], eight);
        }
    }
    if (count % (2 * LANES) >= LANES) {
        __m512i eight = _mm512_loadu_si512(values + count / (2 * LANES) * (2 * LANES));
        least[0] = _mm512_min_epi64(least[0], eight);
        greatest[0] = _mm512_max_epi64(greatest[0], eight);
    }
    *low = _mm512_reduce_min_epi64(_mm512_min_epi64(least[0], least[1]));
    *high = _mm512_reduce_max_epi64(_mm512_max_epi64(greatest[0], greatest[1]));
}

void integers_range(const int64_t *values, uint32_t count, int64_t *low, int64_t *high)
{
    assert(count > 0);
    if (kernels_chosen()->isa == KERNEL_AVX512)
        range_avx512(values, count, low, high);
    else
        range_base(values, count, low, high);
}
#else
void integers_range(const int64_t *values, uint32_t count, int64_t *low, int64_t *high)
{
    assert(count > 0);
    range_base(values, count, low, high);
}
#endif
