/* How long things take: one table of series by stage and source, each with a histogram since the
 * start, which /metrics prints, and one of the last one to two minutes, which `freshet.latency`
 * shows. Any thread records and reads; nothing blocks. */
#ifndef FRESHET_STORAGE_BASE_LATENCY_H
#define FRESHET_STORAGE_BASE_LATENCY_H

#include "storage/base/bytes.h"

#include <stdint.h>

/* X(identifier, stage, source, family of /metrics, help). Source "" where there is none. Rows of
 * one family stand together. */
/* clang-format off: a row a series */
#define LATENCY_TABLE(X)                                                                           \
    X(LATENCY_ACK, "ack", "http", "freshet_ack_seconds",                                           \
      "Request body complete until the answer is ready.")                                          \
    X(LATENCY_FRESH_HTTP, "freshness", "http", "freshet_freshness_seconds",                        \
      "From the whole request, or the time the broker gave the message, until rows are visible.")  \
    X(LATENCY_FRESH_KAFKA, "freshness", "kafka", "freshet_freshness_seconds", "")                  \
    X(LATENCY_FRESH_SQL, "freshness", "sql", "freshet_freshness_seconds", "")                      \
    X(LATENCY_FRESH_COPY, "freshness", "copy", "freshet_freshness_seconds", "")                    \
    X(LATENCY_SYNC, "sync", "", "freshet_log_sync_seconds",                                        \
      "Write and sync of one group of the log.")                                                   \
    X(LATENCY_QUERY, "query", "", "freshet_query_seconds",                                         \
      "Queries, from text to the last byte of the result.")                                        \
    X(LATENCY_QUEUED, "queued", "", "freshet_query_queued_seconds",                                \
      "Queries, from their request until a worker began with them.")                               \
    X(LATENCY_YIELDED, "yielded", "", "freshet_query_yielded_seconds",                             \
      "Queries, what others had their worker for meanwhile.")                                      \
    X(LATENCY_SEAL, "seal", "", "freshet_seal_seconds", "One segment sealed, waiting included.")   \
    X(LATENCY_MERGE, "merge", "", "freshet_merge_seconds",                                         \
      "One segment merged, waiting included.")                                                     \
    X(LATENCY_CHECKPOINT, "checkpoint", "", "freshet_checkpoint_seconds",                          \
      "One checkpoint, log recycled.")
/* clang-format on */

enum latency {
#define X(id, stage, source, family, help) id,
    LATENCY_TABLE(X)
#undef X
        LATENCY_COUNT
};

#define LATENCY_WINDOW_US INT64_C(60000000)

/* A time that ended now; below 0 counts as 0. */
void latency_record(enum latency id, int64_t elapsed_us);
/* The same at a time given by the caller's monotonic clock. */
void latency_record_at(enum latency id, int64_t elapsed_us, int64_t now_us);

/* Of what ended in the last one to two windows; microseconds, 0 where count is 0. */
struct latency_figures {
    const char *stage, *source;
    uint64_t count, p50_us, p95_us, p99_us, max_us;
};
void latency_read(enum latency id, int64_t now_us, struct latency_figures *out);

/* The families, as histograms in seconds with fixed bounds from 0.5 ms to 10 s. */
void latency_print(struct writer *out);

#endif
