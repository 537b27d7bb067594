/* What an answer says about how complete it is. Filled by ingest, printed by query/format. */
#ifndef FRESHET_QUERY_COMPLETENESS_H
#define FRESHET_QUERY_COMPLETENESS_H

#include "storage/base/slice.h"

#define COMPLETENESS_SOURCES_MAX 16
struct completeness_source {
    struct slice table, source;
    int64_t watermark_us; /* INT64_MIN: none yet */
    int64_t lag_rows;     /* -1: unknown (null) */
};
struct completeness {
    int64_t complete_through_us; /* INT64_MIN: nothing (null) */
    size_t source_count;         /* in `sources`: the furthest behind, lowest watermark first */
    struct completeness_source sources[COMPLETENESS_SOURCES_MAX];
    uint64_t sources_total, late_rows, dead_rows;
};

#endif
