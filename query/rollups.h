/* The rollups of an engine: which there are, and that they keep up with the segments. */
#ifndef FRESHET_QUERY_ROLLUPS_H
#define FRESHET_QUERY_ROLLUPS_H

#include "query/exec/rollup.h"

struct query_engine;
struct rollups;

struct rollups *rollups_create(struct query_engine *engine);
void rollups_destroy(struct rollups *rollups); /* no job and no query is under way */
/* One reference; NULL: there are none. can_bind: views that have changed are bound anew, which
 * wants the stack of a worker job; else it is the set of before. */
struct rollup_set *rollups_current(struct rollups *rollups, bool can_bind);
/* One thread, now and then: lets a worker do what is due. */
void rollups_upkeep(struct rollups *rollups);
/* Does all that is due on the caller's thread: for engines without workers. */
void rollups_finish(struct rollups *rollups);
/* Ends the job that is under way, soon. */
void rollups_stop(struct rollups *rollups);
void rollups_metrics(struct rollups *rollups, struct writer *out);

#endif
