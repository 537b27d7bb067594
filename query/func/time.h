/* Time buckets over batches. For query/func and query/expr. */
#ifndef FRESHET_QUERY_FUNC_TIME_H
#define FRESHET_QUERY_FUNC_TIME_H

#include "query/func/func.h"

enum { WINDOW_START, WINDOW_END };

enum err date_trunc_vector(struct call *call, const struct vector *v);
enum err date_bin_vector(struct call *call, const struct vector *v);
enum err window_vector(struct call *call, const struct vector *v);
/* How long a unit is where that is always the same, else 0. */
int64_t time_unit_span(enum time_unit unit);
/* Are all times in [start, end)? There is at least one. */
bool time_all_within(const int64_t *times, size_t count, int64_t start, int64_t end);

#endif
