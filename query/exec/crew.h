/* Further threads for one query: jobs of the worker pool that work beside its own thread. */
#ifndef FRESHET_QUERY_EXEC_CREW_H
#define FRESHET_QUERY_EXEC_CREW_H

#include "query/exec/operator.h"

struct crew;

/* What helpers do: a piece of it, by a node of the helper's own over the plan of the query's group.
 * Called and left with the crew locked, which it lets go meanwhile. False: there is nothing to do
 * now, and the helper goes. */
struct crew_work {
    bool (*run)(void *context, struct exec_node *node);
    /* Locked: this helper goes, and may come again. NULL is nothing. */
    void (*leave)(void *context, struct exec_node *node);
    void *context;
};

/* NULL: the query's thread is to be alone. `group` must outlive it. */
struct crew *crew_create(const struct exec_node *group, struct crew_work work);
/* The query's thread and its helpers, at most. */
size_t crew_size(const struct crew *crew);
/* What they share is looked at and changed with it locked; crew_tell() wakes who waits. */
void crew_lock(struct crew *crew);
void crew_unlock(struct crew *crew);
void crew_tell(struct crew *crew);
/* Locked: one more helper, if there is a permit to spare. */
void crew_call(struct crew *crew);
/* Locked: has one been called that has not gone? */
bool crew_is_called(const struct crew *crew);
/* Locked, which is let go meanwhile: until somebody has told something, or for a while; as
 * exec_check(). For the query's thread alone. */
MUST_CHECK enum err crew_wait(struct crew *crew, struct exec *exec, struct error *error);
/* Waits until all have left, and nobody comes any more; their nodes stay. NULL is nothing. */
void crew_close(struct crew *crew);
/* That, then what they counted is the query's, and their nodes are closed. NULL is nothing. */
void crew_end(struct crew *crew);

#endif
