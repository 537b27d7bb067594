/* A log-linear histogram.
 *
 * Values below 64 have a bucket each; above, every octave [2^k, 2^(k+1)) is cut into 64 equal
 * steps:
 *
 *     bucket = ((k - 6 + 1) << 6) + (value >> (k - 6)) - 64
 *
 * Recording is three relaxed adds and one compare loop for the maximum that nearly always ends at
 * the first look. Readers may see a record half done; totals for quantiles are therefore taken from
 * the buckets themselves. */
#include "storage/base/histogram.h"

#include <assert.h>

#define SUB_COUNT (UINT64_C(1) << HISTOGRAM_SUB_BITS)

static size_t bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift) - SUB_COUNT;
}

/* The greatest value that falls into a bucket. */
static uint64_t bucket_last(size_t bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t first = (SUB_COUNT + (bucket & (SUB_COUNT - 1))) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void histogram_reset(struct histogram *histogram)
{
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++)
        atomic_store_explicit(&histogram->counts[bucket], 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->total, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->max, 0, memory_order_relaxed);
}

static void raise_max(struct histogram *histogram, uint64_t value)
{
    uint64_t max = load(&histogram->max);
    while (value > max &&
           !atomic_compare_exchange_weak_explicit(&histogram->max, &max, value,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram_record_many(histogram, value, 1);
}

void histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t count)
{
    if (count == 0)
        return;
    size_t bucket = bucket_of(value);
    assert(bucket < HISTOGRAM_BUCKET_COUNT);
    atomic_fetch_add_explicit(&histogram->counts[bucket], count, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->total, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value * count, memory_order_relaxed);
    raise_max(histogram, value);
}

void histogram_merge(struct histogram *target, const struct histogram *source)
{
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++) {
        uint64_t count = load(&source->counts[bucket]);
        if (count != 0)
            atomic_fetch_add_explicit(&target->counts[bucket], count, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&target->total, load(&source->total), memory_order_relaxed);
    atomic_fetch_add_explicit(&target->sum, load(&source->sum), memory_order_relaxed);
    raise_max(target, load(&source->max));
}

uint64_t histogram_count(const struct histogram *histogram)
{
    return load(&histogram->total);
}

uint64_t histogram_max(const struct histogram *histogram)
{
    return load(&histogram->max);
}

double histogram_mean(const struct histogram *histogram)
{
    uint64_t total = load(&histogram->total);
    return total == 0 ? 0 : (double)load(&histogram->sum) / (double)total;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
    assert(q >= 0 && q <= 1);
    uint64_t total = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++)
        total += load(&histogram->counts[bucket]);
    if (total == 0)
        return 0;
    double exact = q * (double)total;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++;
    uint64_t max = load(&histogram->max);
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++) {
        seen += load(&histogram->counts[bucket]);
        if (seen >= rank)
            return bucket_last(bucket) < max ? bucket_last(bucket) : max;
    }
    return max;
}

uint64_t histogram_count_at_most(const struct histogram *histogram, uint64_t bound)
{
    uint64_t count = 0;
    size_t last = bucket_of(bound);
    for (size_t bucket = 0; bucket <= last; bucket++)
        count += load(&histogram->counts[bucket]);
    return count;
}
