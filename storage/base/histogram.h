/* A log-linear histogram in the manner of HdrHistogram (Tene): 64-bit values, 64 linear steps an
 * octave, so a recorded value is at most 1.6 % off. Counts are relaxed atomics: any thread records.
 */
#ifndef FRESHET_STORAGE_BASE_HISTOGRAM_H
#define FRESHET_STORAGE_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKET_COUNT ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKET_COUNT];
    _Atomic uint64_t total;
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
};

/* No record may be under way. */
void histogram_reset(struct histogram *histogram);
void histogram_record(struct histogram *histogram, uint64_t value);
void histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t count);
void histogram_merge(struct histogram *target, const struct histogram *source);
uint64_t histogram_count(const struct histogram *histogram);
uint64_t histogram_max(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram);
/* The greatest value of the bucket that holds the q-quantile, 0 <= q <= 1; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);
/* Values recorded that are at most `bound` (to bucket precision): for cumulative exports. */
uint64_t histogram_count_at_most(const struct histogram *histogram, uint64_t bound);

#endif
