/* The metrics page. The table in metrics.h makes the scalars; latencies and collectors follow. */
#include "storage/base/metrics.h"

#include "storage/base/clock.h"
#include "storage/base/latency.h"
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

void metric_mark(struct metric *at)
{
    metric_set(at, clock_wall_us() / 1000000);
}

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

void metrics_print_figure(struct writer *out, const char *name, const char *type, const char *help,
                          double value)
{
    metrics_print_family(out, name, type, help);
    metrics_print_sample(out, name, NULL, value);
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

void metrics_print(struct writer *out)
{
    for (size_t index = 0; index < array_count(scalars); index++) {
        metrics_print_family(out, scalars[index].name, scalars[index].type, scalars[index].help);
        writer_printf(out, "%s %lld\n", scalars[index].name,
                      (long long)metric_get(scalars[index].metric));
    }
    latency_print(out);
    for (size_t index = 0; index < collector_count; index++)
        collectors[index].collect(collectors[index].context, out);
}
