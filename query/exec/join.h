/* The inside of joins, shared by join.c and join_spill.c. */
#ifndef FRESHET_QUERY_EXEC_JOIN_H
#define FRESHET_QUERY_EXEC_JOIN_H

#include "query/exec/keys.h"
#include "query/exec/rowset.h"
#include "query/exec/spill.h"

/* Rows of both sides whose keys' hashes are in one part. */
struct join_task {
    struct spill_stream build, probe;
    unsigned depth;
};

struct join {
    struct exec_memory memory;
    unsigned build, probe; /* children: 0 left, 1 right */
    bool is_probe_outer, is_build_outer;
    bool is_first_enough; /* semi and anti, left probing: one match tells all */
    bool is_marking;      /* semi and anti, left built: only what met something is noted */
    bool is_keys_only;    /* … and there are keys and no condition: built rows are not kept */
    bool can_spill;
    struct rowset rows; /* the built side */
    struct column
        *names; /* by its columns: texts as a dictionary, where they are few; NULL: none */
    struct tuple_table keys;
    struct type *key_types, *side_types[2];
    struct evaluator **side_keys[2];
    struct evaluator *condition;
    bool *is_in_condition; /* by column of left and right: gathered before the condition */
    uint32_t *heads;       /* by key number: first built row, KEY_NONE: none */
    uint32_t *chain;       /* by built row: the next one of its key */
    uint32_t *tails;       /* while building */
    bool is_chained;       /* some key is of several built rows */
    uint8_t *is_met;       /* by built row, if is_build_outer */
    size_t head_capacity, chain_capacity, tail_capacity, met_capacity;
    bool is_built, is_probe_done;
    uint32_t next_unmet; /* built row to look at next, once the probing side is done */
    /* the probing batch in hand */
    struct batch in;
    uint32_t row;
    uint32_t candidate; /* built row to try next for `row`, KEY_NONE: none */
    uint32_t ids[VECTOR_ROWS_MAX];
    uint8_t has_match[VECTOR_ROWS_MAX];
    size_t unchecked;
    /* join_spill.c */
    bool is_split;
    struct join_task *tasks; /* the next one last */
    size_t task_count, task_capacity;
    struct join_task task; /* the one that is joined */
    bool has_task;
    struct batch pending; /* read of the build side, and kept with the next pass; 0 rows: none */
    bool is_more;         /* there will be another pass */
    uint8_t *probe_met;   /* by row of the probing side, with several passes: what passes met */
    size_t probe_met_capacity;
    uint64_t probe_row; /* of the batch in hand, its first */
};

/* --- join.c --- */

void join_tables_open(struct exec_node *node);
void join_tables_close(struct exec_node *node); /* all built rows are forgotten */
/* A batch's keys, in scratch memory; exprs NULL: it is nothing but keys. */
MUST_CHECK enum err join_keys(struct exec_node *node, struct evaluator **exprs,
                              const struct batch *in, struct column **out, struct error *error);
/* Adds rows to the built side. */
MUST_CHECK enum err join_keep(struct exec_node *node, const struct batch *in, struct error *error);

/* --- join_spill.c --- */

/* Has the built side to be put aside before these rows are added? */
bool join_spill_is_due(const struct exec_node *node, const struct batch *in);
/* Puts the built rows aside, and from now on all that come. */
MUST_CHECK enum err join_split(struct exec_node *node, struct error *error);
MUST_CHECK enum err join_route_build(struct exec_node *node, const struct batch *in,
                                     struct error *error);
/* After the build side's last row: reads all of the probing side. */
MUST_CHECK enum err join_split_probe(struct exec_node *node, struct error *error);
/* Builds for the next pass of the task or the next task; *is_end: there is none. */
MUST_CHECK enum err join_next_pass(struct exec_node *node, bool *is_end, struct error *error);
/* The next batch of the probing side, into join->in. */
MUST_CHECK enum err join_read_probe(struct exec_node *node, struct error *error);
/* The batch in hand is done with in a pass that is not the last: what it met is noted. */
void join_note_pass(struct join *join);
void join_spill_close(struct exec_node *node);

#endif
