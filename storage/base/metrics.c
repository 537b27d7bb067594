/* The metrics page. The table in metrics.h makes the scalars; histograms and collectors follow.
 * Within a histogram _count is taken from the buckets, so that it equals the +Inf bucket even while
 * others record. */
#include "storage/base/metrics.h"

#include "storage/base/number.h"

#include <assert.h>
#include <math.h>

#define COLLECTORS_MAX 16

struct metrics metrics;

static struct {
    metrics_collector collect;
    void *context;
} collectors[COLLECTORS_MAX];
static size_t collector_count;

static const struct {
    const char *name, *type, *help;
    struct metric *metric;
} scalars[] = {
#define TYPE_METRIC_COUNTER "counter"
#define TYPE_METRIC_GAUGE "gauge"
#define X(id, kind, name, help) {name, TYPE_##kind, help, &metrics.id},
    METRICS_TABLE(X)
#undef X
};

static const struct {
    const char *name, *help;
    struct histogram *histogram;
} histograms[] = {
    {"freshet_seal_seconds", "One segment sealed, waiting included.", &metrics.seal_us},
    {"freshet_merge_seconds", "One segment merged, waiting included.", &metrics.merge_us},
    {"freshet_checkpoint_seconds", "One checkpoint, log recycled.", &metrics.checkpoint_us},
    {"freshet_log_sync_seconds", "Write and sync of one group of the log.", &metrics.log_sync_us},
    {"freshet_ack_seconds", "Request body complete until the answer is ready.", &metrics.ack_us},
    {"freshet_freshness_seconds", "Request body complete until its rows are visible.",
     &metrics.freshness_us},
    {"freshet_query_seconds", "Queries, from text to the last byte of the result.",
     &metrics.query_us},
};

/* Microseconds. */
static const uint64_t bounds[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                  100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void metrics_register(metrics_collector collector, void *context)
{
    assert(collector_count < COLLECTORS_MAX);
    collectors[collector_count].collect = collector;
    collectors[collector_count].context = context;
    collector_count++;
}

void metrics_unregister_all(void)
{
    collector_count = 0;
}

void metrics_print_family(struct writer *out, const char *name, const char *type, const char *help)
{
    writer_printf(out, "# HELP %s ", name);
    for (const char *p = help; *p != '\0'; p++) {
        if (*p == '\\' || *p == '\n')
            writer_cstr(out, *p == '\n' ? "\\n" : "\\\\");
        else
            writer_u8(out, (uint8_t)*p);
    }
    writer_printf(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_print_sample(struct writer *out, const char *name, const char *labels, double value)
{
    writer_cstr(out, name);
    if (labels != NULL && labels[0] != '\0')
        writer_printf(out, "{%s}", labels);
    writer_u8(out, ' ');
    if (isinf(value))
        writer_cstr(out, value > 0 ? "+Inf" : "-Inf");
    else
        float8_print(value, out);
    writer_u8(out, '\n');
}

void metrics_label(struct writer *out, const char *key, struct slice value)
{
    if (out->size > 0)
        writer_u8(out, ',');
    writer_printf(out, "%s=\"", key);
    for (size_t index = 0; index < value.size; index++) {
        char c = value.data[index];
        if (c == '\\' || c == '"')
            writer_u8(out, '\\');
        if (c == '\n')
            writer_cstr(out, "\\n");
        else
            writer_u8(out, (uint8_t)c);
    }
    writer_u8(out, '"');
}

static void print_histogram(struct writer *out, const char *name, const char *help,
                            const struct histogram *histogram)
{
    metrics_print_family(out, name, "histogram", help);
    uint64_t seen = 0;
    for (size_t index = 0; index < array_count(bounds); index++) {
        uint64_t count = histogram_count_at_most(histogram, bounds[index]);
        seen = count > seen ? count : seen;
        writer_printf(out, "%s_bucket{le=\"", name);
        float8_print((double)bounds[index] / 1e6, out);
        writer_printf(out, "\"} %llu\n", (unsigned long long)seen);
    }
    uint64_t count = histogram_count_at_most(histogram, UINT64_MAX);
    seen = count > seen ? count : seen;
    writer_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", name, (unsigned long long)seen,
                  name);
    float8_print((double)atomic_load_explicit(&histogram->sum, memory_order_relaxed) / 1e6, out);
    writer_printf(out, "\n%s_count %llu\n", name, (unsigned long long)seen);
}

void metrics_print(struct writer *out)
{
    for (size_t index = 0; index < array_count(scalars); index++) {
        metrics_print_family(out, scalars[index].name, scalars[index].type, scalars[index].help);
        writer_printf(out, "%s %lld\n", scalars[index].name,
                      (long long)metric_get(scalars[index].metric));
    }
    for (size_t index = 0; index < array_count(histograms); index++)
        print_histogram(out, histograms[index].name, histograms[index].help,
                        histograms[index].histogram);
    for (size_t index = 0; index < collector_count; index++)
        collectors[index].collect(collectors[index].context, out);
}
