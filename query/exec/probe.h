/* The right side of an APPLY for a batch of left rows at once, where it is a lookup. */
#ifndef FRESHET_QUERY_EXEC_PROBE_H
#define FRESHET_QUERY_EXEC_PROBE_H

#include "query/exec/operator.h"

struct probe;

/* NULL: the right side is something else, and has to be run for each row. */
MUST_CHECK enum err probe_open(struct exec *exec, const struct plan *right,
                               const struct subplan_slots *slots, struct probe **out,
                               struct error *error);
void probe_close(struct probe *probe); /* NULL is nothing */
/* Finds the rows of each left row; `values` are the slots' by left row, and hold while these rows
 * are taken. *is_kept is false where the lookup cannot keep its rows: then nothing can be taken. */
MUST_CHECK enum err probe_begin(struct probe *probe, const struct column *values, size_t row_count,
                                bool *is_kept, struct error *error);
/* Up to VECTOR_ROWS_MAX pairs: the right rows, which hold until the next call, and the left row of
 * each. None: the batch is at its end. */
MUST_CHECK enum err probe_take(struct probe *probe, struct arena *scratch, struct batch *right,
                               uint32_t *numbers, struct error *error);
void probe_end(struct probe *probe); /* nothing more is taken for the batch */

#endif
