/* Rows of GROUP BY counted by the codes of a dictionary, and added to their groups later. */
#ifndef FRESHET_QUERY_EXEC_TALLY_H
#define FRESHET_QUERY_EXEC_TALLY_H

#include "query/exec/group.h"

/* Sets group->tally where a group's calls can gain by it. */
void tally_open(struct exec_node *node);
void tally_close(struct tally *tally); /* NULL is nothing */
/* Takes the rows of a batch, with their keys, for the last tier: groups that were not met before
 * are made, in row order. *is_taken false: nothing was done, the rows are to be grouped one by one.
 */
MUST_CHECK enum err tally_add(struct exec_node *node, struct group_tier *tier,
                              const struct batch *in, const struct column *keys, bool *is_taken,
                              struct error *error);
/* What was taken goes to the groups' states. Before they are read, and before a tier's rows are put
 * aside. */
MUST_CHECK enum err tally_flush(struct exec_node *node, struct group_tier *tier,
                                struct error *error);
/* For another tier: what was taken of the last one is forgotten, and what was learned of its rows.
 */
void tally_reset(struct group *group);

#endif
