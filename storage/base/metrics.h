/* The process's counters and gauges: one table, printed by /metrics in the Prometheus text format
 * and by the system table `metrics`, with the histograms of latency.h behind it. Each is a global
 * that its owner updates with relaxed atomics; labelled families (rows by fate and source) are
 * printed by collectors that the owners register. */
#ifndef FRESHET_STORAGE_BASE_METRICS_H
#define FRESHET_STORAGE_BASE_METRICS_H

#include "storage/base/bytes.h"

#include <stdatomic.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

/* X(identifier, kind, name, help). Names by Prometheus' rules: base units, counters end in _total.
 */
/* clang-format off: a row a metric */
#define METRICS_TABLE(X)                                                                           \
    X(log_bytes, METRIC_COUNTER, "freshet_log_bytes_total", "Bytes written to the log.")           \
    X(log_groups, METRIC_COUNTER, "freshet_log_groups_total", "Groups made durable by the log.")   \
    X(log_sync_failures, METRIC_COUNTER, "freshet_log_sync_failures_total",                        \
      "Writes or syncs of the log that failed.")                                                   \
    X(ingest_bytes, METRIC_COUNTER, "freshet_ingest_bytes_total",                                  \
      "Bytes of ingest bodies taken, after inflating.")                                            \
    X(ingest_requests, METRIC_COUNTER, "freshet_ingest_requests_total",                            \
      "Ingest requests answered.")                                                                 \
    X(ingest_backpressure, METRIC_COUNTER, "freshet_backpressure_total",                           \
      "Ingest requests refused because memory or disk was full.")                                  \
    X(backpressure_at, METRIC_GAUGE, "freshet_backpressure_timestamp_seconds",                     \
      "Unix time when rows were last refused, or partitions paused, for that; 0: never.")          \
    X(http_requests, METRIC_COUNTER, "freshet_http_requests_total", "HTTP requests answered.")     \
    X(http_connections, METRIC_GAUGE, "freshet_http_connections", "HTTP connections open.")        \
    X(seals, METRIC_COUNTER, "freshet_seals_total",                                                \
      "Sealed segments written from rows in memory.")                                              \
    X(sealed_rows, METRIC_COUNTER, "freshet_sealed_rows_total", "Rows sealed from memory.")        \
    X(merges, METRIC_COUNTER, "freshet_merges_total", "Sealed segments written from others.")      \
    X(checkpoints, METRIC_COUNTER, "freshet_checkpoints_total", "Checkpoints written.")            \
    X(retained_rows, METRIC_COUNTER, "freshet_retention_rows_total", "Rows dropped by retention.") \
    X(damaged_segments, METRIC_COUNTER, "freshet_damaged_segments_total",                          \
      "Sealed segments that could not be read, which merging leaves alone.")                       \
    X(upkeep_failures, METRIC_COUNTER, "freshet_upkeep_failures_total",                            \
      "Steps of sealing, merging, retention and checkpoints that failed.")                         \
    X(write_failure_at, METRIC_GAUGE, "freshet_write_failure_timestamp_seconds",                   \
      "Unix time of the last failure of the log or of upkeep; 0: never.")                          \
    X(query_ok, METRIC_COUNTER, "freshet_queries_ok_total", "Queries that gave their result.")     \
    X(plan_text_hits, METRIC_COUNTER, "freshet_plan_cache_text_hits_total",                        \
      "Statements whose plan was kept from the same text.")                                        \
    X(plan_shape_hits, METRIC_COUNTER, "freshet_plan_cache_shape_hits_total",                      \
      "Statements that took the plan of a text with other literals.")                              \
    X(plan_misses, METRIC_COUNTER, "freshet_plan_cache_misses_total",                              \
      "Statements that were parsed and planned.")
/* clang-format on */

struct metric {
    _Atomic int64_t value;
};

struct metrics {
#define X(id, kind, name, help) struct metric id;
    METRICS_TABLE(X)
#undef X
};
extern struct metrics metrics;

static inline void metric_add(struct metric *metric, int64_t amount)
{
    atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}
static inline void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}
static inline int64_t metric_get(struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* Now, in a metric that is a time. */
void metric_mark(struct metric *at);

/* A collector appends complete families (HELP, TYPE, samples). At most 16, registered at start. */
typedef void (*metrics_collector)(void *context, struct writer *out);
void metrics_register(metrics_collector collector, void *context);
void metrics_unregister_all(void);
/* The whole page, text format 0.0.4. */
void metrics_print(struct writer *out);
void metrics_print_family(struct writer *out, const char *name, const char *type, const char *help);
/* One sample line: name{labels} value; labels is preformatted text without braces, or NULL. Use
 * metrics_label() to escape values. */
void metrics_print_sample(struct writer *out, const char *name, const char *labels, double value);
/* A family of one sample without labels. */
void metrics_print_figure(struct writer *out, const char *name, const char *type, const char *help,
                          double value);
void metrics_label(struct writer *out, const char *key, struct slice value);

#endif
