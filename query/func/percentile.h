/* What percentile_cont and percentile_disc share: one fraction, or an array of them. For query/func
 * only. */
#ifndef FRESHET_QUERY_FUNC_PERCENTILE_H
#define FRESHET_QUERY_FUNC_PERCENTILE_H

#include "query/func/aggregate.h"

/* The value at a fraction from 0 to 1; out->type is set. */
typedef enum err percentile_at(void *context, double fraction, struct value *out,
                               struct error *error);

/* Checks call->direct[0], a double precision or an array of them: 22003 for what is not from 0
 * to 1. *is_done: the result is NULL, of no rows or no fraction. */
MUST_CHECK enum err percentile_begin(const struct aggregate_call *call, size_t row_count,
                                     struct value *out, bool *is_done, struct error *error);
/* The result of percentile_begin(): `at` asked for each fraction that is not NULL. */
MUST_CHECK enum err percentile_each(const struct aggregate_call *call, percentile_at *at,
                                    void *context, struct aggregate_memory *memory,
                                    struct value *out, struct error *error);

#endif
