/* Sums of whole arrays.
 *
 * Doubles are the storage's matter (storage/encoding/kernels.c: the same result with every
 * instruction set). Numerics of one scale add up as 128-bit integers; what does not fit that shape
 * is told, and the caller adds one by one. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

void sum_doubles(const double *values, size_t count, double *sum, double *compensation)
{
    kernels_chosen()->sum_doubles((const uint64_t *)(const void *)values, count, sum, compensation);
}

bool sum_numerics(const struct numeric *values, size_t count, struct numeric *sum)
{
    unsigned __int128 digits = 0;
    uint64_t odd = 0; /* not finite, of another scale, or beyond 64 bits */
    for (size_t i = 0; i < count; i++) {
        __int128 value = values[i].digits;
        digits += (unsigned __int128)value;
        odd |= (uint64_t)(value >> 64) ^ (uint64_t)((int64_t)value >> 63);
        odd |= (uint64_t)(uint32_t)(values[i].scale ^ values[0].scale);
        odd |= (uint64_t)(values[i].kind ^ NUMERIC_FINITE);
    }
    if (odd != 0 || count == 0)
        return false;
    *sum = values[0];
    sum->digits = (__int128)digits;
    return true;
}
