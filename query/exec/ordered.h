/* Aggregates whose rows come in an order: string_agg(x ORDER BY y). For query/exec only. */
#ifndef FRESHET_QUERY_EXEC_ORDERED_H
#define FRESHET_QUERY_EXEC_ORDERED_H

#include "query/exec/operator.h"
#include "query/func/aggregate.h"

struct ordered; /* the rows of one call, of all groups */

struct ordered *ordered_create(struct exec *exec, const struct aggregate_call *call);
void ordered_destroy(struct ordered *ordered); /* NULL is nothing */
/* Keeps rows: `arguments` are the call's, keys last; group NULL: all are of group `only`. */
MUST_CHECK enum err ordered_add(struct ordered *ordered, const struct column *arguments,
                                size_t row_count, const uint32_t *group, uint32_t only,
                                const uint32_t *selection, size_t count, struct error *error);
/* Adds rows of another one of the same call: those of the groups whose part_of is `part`. */
MUST_CHECK enum err ordered_add_part(struct ordered *ordered, const struct ordered *from,
                                     const uint8_t *part_of, unsigned part, struct error *error);
/* Bytes that ordered_finish() will take. */
size_t ordered_need(const struct ordered *ordered);
/* Gives all rows to the aggregate, group by group in their order, and frees them. `charge` is where
 * the states' memory is charged, batch by batch. */
MUST_CHECK enum err ordered_finish(struct ordered *ordered, char *states, size_t stride,
                                   struct aggregate_memory *memory, struct exec_memory *charge,
                                   struct error *error);

#endif
