/* The conditions of a scan with their values, as the cursor wants them. */
#ifndef FRESHET_QUERY_EXEC_CONDITION_H
#define FRESHET_QUERY_EXEC_CONDITION_H

#include "query/exec/operator.h"

struct scan_matcher;

struct scan_conditions {
    bool is_never; /* no row can pass */
    struct scan_filter filter;
    /* private */
    size_t matcher_count;
    struct scan_matcher *matchers;
};

/* Event-time bounds of the scan, which its buckets may imply beyond its comparisons. */
struct scan_bounds {
    bool has_from, has_to;
    int64_t from_us, to_us;
};

/* Never fails: what cannot be evaluated or does not fit is left to the filter. Memory is the
 * exec's. */
void scan_conditions_open(struct exec *exec, const struct plan *plan,
                          const struct scan_bounds *bounds, struct scan_conditions *out);
void scan_conditions_close(struct scan_conditions *conditions);

#endif
