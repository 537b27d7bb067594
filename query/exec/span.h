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
/* What the first tier's group of that number gives for a call, if some thread has finished it;
 * else NULL. `spans` may be NULL. */
const struct value *spans_find_result(const struct spans *spans, size_t call, size_t number);

/* --- span_finish.c --- */

struct span_results;
/* Of the first tier's groups, whose rows are all there; NULL: there is nothing to share, or no
 * memory. In the query's arena. */
struct span_results *span_results_open(struct exec_node *node);
void span_results_close(struct span_results *results); /* NULL is nothing */
/* Some groups that nobody has taken yet, by a thread and its own node. The crew is locked, and let
 * go meanwhile. False: there are none. */
bool span_results_next(struct span_results *results, struct crew *crew, struct exec_node *node);
bool span_results_are_there(const struct span_results *results);
/* NULL: not by anybody. `results` may be NULL. */
const struct value *span_results_find(const struct span_results *results, size_t call,
                                      size_t number);

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
