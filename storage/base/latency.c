/* Latency series.
 *
 * A series' recent values lie in two histograms, one for even windows of a minute and one for odd
 * ones. Whoever records first in a new window empties its half, which holds what is two windows
 * old: so both halves together are the last one to two minutes. A value that is recorded while
 * another thread empties the half may be lost from it; the histogram since the start has them all.
 * A half whose window is over two windows old, because nothing was recorded since, is not read. */
#include "storage/base/latency.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/histogram.h"
#include "storage/base/metrics.h"
#include "storage/base/number.h"

struct half {
    _Atomic int64_t window; /* its number + 1; 0: never used */
    struct histogram values;
};

static struct series {
    const char *stage, *source, *family, *help;
    struct histogram all;
    struct half halves[2];
} series[LATENCY_COUNT] = {
#define X(id, name, from, of, text)                                                                \
    [id] = {.stage = (name), .source = (from), .family = (of), .help = (text)},
    LATENCY_TABLE(X)
#undef X
};

/* Microseconds. */
static const uint64_t bounds[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                  100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void latency_record_at(enum latency id, int64_t elapsed_us, int64_t now_us)
{
    struct series *one = &series[id];
    uint64_t value = elapsed_us > 0 ? (uint64_t)elapsed_us : 0;
    int64_t window = now_us / LATENCY_WINDOW_US + 1;
    struct half *half = &one->halves[window & 1];
    int64_t seen = atomic_load_explicit(&half->window, memory_order_relaxed);
    if (seen < window &&
        atomic_compare_exchange_strong_explicit(&half->window, &seen, window, memory_order_relaxed,
                                                memory_order_relaxed))
        histogram_reset(&half->values);
    histogram_record(&half->values, value);
    histogram_record(&one->all, value);
}

void latency_record(enum latency id, int64_t elapsed_us)
{
    latency_record_at(id, elapsed_us, clock_monotonic_us());
}

void latency_read(enum latency id, int64_t now_us, struct latency_figures *out)
{
    struct series *one = &series[id];
    int64_t window = now_us / LATENCY_WINDOW_US + 1;
    struct histogram *sum = memory_alloc_zero(sizeof(*sum));
    for (int i = 0; i < 2; i++)
        if (atomic_load_explicit(&one->halves[i].window, memory_order_relaxed) >= window - 1)
            histogram_merge(sum, &one->halves[i].values);
    *out = (struct latency_figures){
        .stage = one->stage,
        .source = one->source,
        .count = histogram_count(sum),
        .p50_us = histogram_quantile(sum, 0.5),
        .p95_us = histogram_quantile(sum, 0.95),
        .p99_us = histogram_quantile(sum, 0.99),
        .max_us = histogram_max(sum),
    };
    memory_free(sum);
}

/* _count is taken from the buckets, so that it equals the +Inf bucket even while others record. */
static void print_one(struct writer *out, const struct series *one)
{
    struct writer source;
    writer_init(&source);
    if (one->source[0] != '\0')
        metrics_label(&source, "source", slice_from_cstr(one->source));
    int size = (int)source.size;
    const char *text = size == 0 ? "" : (const char *)source.data;
    uint64_t seen = 0;
    for (size_t index = 0; index <= array_count(bounds); index++) {
        bool is_last = index == array_count(bounds);
        uint64_t count = histogram_count_at_most(&one->all, is_last ? UINT64_MAX : bounds[index]);
        seen = count > seen ? count : seen;
        writer_printf(out, "%s_bucket{%.*s%sle=\"", one->family, size, text, size == 0 ? "" : ",");
        if (is_last)
            writer_cstr(out, "+Inf");
        else
            float8_print((double)bounds[index] / 1e6, out);
        writer_printf(out, "\"} %llu\n", (unsigned long long)seen);
    }
    const char *open = size == 0 ? "" : "{", *close = size == 0 ? "" : "}";
    writer_printf(out, "%s_sum%s%.*s%s ", one->family, open, size, text, close);
    float8_print((double)atomic_load_explicit(&one->all.sum, memory_order_relaxed) / 1e6, out);
    writer_printf(out, "\n%s_count%s%.*s%s %llu\n", one->family, open, size, text, close,
                  (unsigned long long)seen);
    writer_deinit(&source);
}

void latency_print(struct writer *out)
{
    for (int i = 0; i < LATENCY_COUNT; i++) {
        if (i == 0 || strcmp(series[i].family, series[i - 1].family) != 0)
            metrics_print_family(out, series[i].family, "histogram", series[i].help);
        print_one(out, &series[i]);
    }
}
