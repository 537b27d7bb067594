/* Aggregates over a whole table or condition that can do without rows. */
#ifndef FRESHET_QUERY_EXEC_DIGEST_H
#define FRESHET_QUERY_EXEC_DIGEST_H

#include "query/exec/operator.h"
#include "query/func/aggregate.h"

struct digest_call {
    const struct aggregate_call *call;
    size_t offset;    /* of its state, in the states of the one group */
    bool is_digested; /* out */
};
struct group_tier;
/* Tells an open scan what these aggregates, all there are above it, want to know of its morsels;
 * from then on they get it, in the states of the tier that *tier is then. False: none of them can
 * do without rows. */
bool digest_open(struct exec_node *scan, struct digest_call *calls, size_t count,
                 struct group_tier *const *tier);
/* Whether a scan can tell of a call without rows, and what it has to be asked for. */
bool digest_item(const struct plan *scan, const struct aggregate_call *call,
                 struct scan_digest_item *item);

#endif
