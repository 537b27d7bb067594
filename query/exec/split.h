/* Very many groups by two threads, each with the groups of half of a key's values. The structs are
 * for split.c and split_give.c alone. */
#ifndef FRESHET_QUERY_EXEC_SPLIT_H
#define FRESHET_QUERY_EXEC_SPLIT_H

#include "query/exec/crew.h"
#include "query/exec/group.h"

#define HALVES 2

struct partial_counted;

struct half {
    struct exec_memory memory;
    struct group_tier *tier;
    struct arena scratch;           /* a batch's rows of this half */
    const struct exec_node *reader; /* who is at it; NULL: nobody */
    size_t at;                      /* morsels read */
    uint64_t *first_rows;           /* by group, then UINT64_MAX: morsel << 32 | row of it */
    size_t first_capacity;
    uint8_t *halves; /* by code of the dictionary, plus one; 0: not known yet */
    size_t halves_capacity, code_count;
    uint64_t dictionary_id;
    uint32_t next_out;
};

struct split {
    struct exec_node *node;
    struct crew *crew;
    uint32_t column; /* of the child, whose values are halved */
    enum physical physical;
    uint32_t value_count; /* of that column, in the last run */
    size_t morsel_count;
    size_t *morsels; /* that may hold rows, in order */
    struct half halves[HALVES];
    bool is_failed; /* one thread is to begin anew; with the crew locked */
    size_t unchecked;
};

/* --- split.c --- */

/* Few nodes between a group and its scan, and none whose rows stop within a batch? */
bool split_is_chain(const struct plan *group);

enum split_end {
    SPLIT_NOT,  /* nothing was done: there is to be one thread */
    SPLIT_DONE, /* group->split is set, the groups are split_give()'s */
    SPLIT_ANEW, /* the same, but the first tier is empty and the scan is at `first` */
};
/* The rows of the scan's morsels from `first` on, grouped by two threads. What the first tier has
 * is of a sample of them, to be forgotten then with what was counted since `sampled`; NULL: it is
 * empty. */
MUST_CHECK enum err split_read(struct exec_node *node, size_t first,
                               const struct partial_counted *sampled, enum split_end *end,
                               struct error *error);
/* The tier that has groups beside the first one's. */
const struct group_tier *split_tier(const struct split *split);
void split_close(struct split *split); /* NULL is nothing */

/* --- split_give.c --- */

/* The next groups, in order of first sight, in the node's scratch memory; 0 rows: the end. */
MUST_CHECK enum err split_give(struct exec_node *node, struct batch *out, struct error *error);

#endif
