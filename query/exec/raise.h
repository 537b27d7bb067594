/* Rows before the one that raises: batches are evaluated whole, and who reads them may need only
 * the rows before it. */
#ifndef FRESHET_QUERY_EXEC_RAISE_H
#define FRESHET_QUERY_EXEC_RAISE_H

#include "query/exec/operator.h"

/* As evaluator_filter() over a whole batch, but if one of its rows raises, over those before it
 * alone: batch->row_count, which may become 0, says how many, and *error what that row raises.
 * Errors that are of no row (memory, cancel) are returned. */
MUST_CHECK enum err raise_filter(struct evaluator *predicate, struct batch *batch,
                                 uint32_t *selection, size_t *count, struct error *error);
/* As exec_evaluate(), the same way. */
MUST_CHECK enum err raise_evaluate(struct evaluator **evaluators, size_t count, struct batch *batch,
                                   struct column *out, struct error *error);
/* From now on exec_next() of the node gives this error; its rows before that have come. In place of
 * one that it was to give: who reads its rows raises at one of those that have come. */
void raise_next(struct exec_node *node, const struct error *error);

#endif
