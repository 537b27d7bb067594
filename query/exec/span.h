/* Rows grouped by several threads, each a run of the table's rows of its own. */
#ifndef FRESHET_QUERY_EXEC_SPAN_H
#define FRESHET_QUERY_EXEC_SPAN_H

#include "query/exec/crew.h"
#include "query/exec/group.h"

/* --- span.c --- */

/* The rows of the scan's morsels from `first` on into the first tier, as one thread would group
 * them. *is_done false: nothing was done, there is to be one thread. What groups may point to is
 * there until spans_close(). */
MUST_CHECK enum err spans_read(struct exec_node *node, size_t first, bool *is_done,
                               struct error *error);
void spans_close(struct spans *spans); /* NULL is nothing */

/* --- span_merge.c --- */

/* Can the groups of several threads be added up for the same result, bit by bit? By the plan alone.
 */
bool span_is_for(const struct plan *group);
/* Is so much of the query's memory used, or will be with `need` more, that there is to be one
 * thread? */
bool span_is_short(const struct exec_node *node, size_t need);
/* Adds the groups of a tier of another node to this one's first, whose rows come before. *is_done
 * false: there is no memory for that, and nothing was done. Of that tier nothing is of use
 * afterwards but what its arenas hold, which groups here may point to. */
MUST_CHECK enum err span_merge(struct exec_node *node, struct exec_node *other,
                               struct group_tier *tier, bool *is_done, struct error *error);

#endif
