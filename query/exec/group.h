/* The inside of GROUP BY, shared by group.c and group_spill.c. */
#ifndef FRESHET_QUERY_EXEC_GROUP_H
#define FRESHET_QUERY_EXEC_GROUP_H

#include "query/exec/distinct.h"
#include "query/exec/ordered.h"
#include "query/exec/spill.h"
#include "query/func/aggregate.h"

#define GROUP_ARGUMENTS_MAX (AGGREGATE_ARGUMENTS_MAX + 1)

/* One aggregate's call. */
struct group_call {
    const struct aggregate_call *call;
    size_t state_offset;
    size_t argument_count; /* order_by comes last */
    struct evaluator *arguments[GROUP_ARGUMENTS_MAX];
    struct evaluator *filter;
    bool is_digested; /* may be told of whole morsels instead of rows */
    bool is_tallied;  /* rows that a tally takes are not for it; tally.c */
};

/* What a call keeps beside its states. */
struct group_rest {
    struct distinct distinct;
    struct ordered *ordered; /* ORDER BY in the call; NULL: rows go on as they come */
};

/* The groups of the rows of one source: of all of them, or of those of a part. */
struct group_tier {
    struct exec_memory memory;          /* of keys */
    struct exec_memory aggregate_arena; /* of states that grow: charged here, batch by batch */
    struct aggregate_memory aggregate_memory;
    struct tuple_table keys;
    char *states;
    size_t state_capacity;
    uint32_t state_count;
    struct group_rest *own; /* by call */
    struct group_rest
        *above; /* by call, of the groups of a closed tier above; NULL: there is none */
    struct spill_stream *parts; /* frozen: rows put aside, by their keys' hashes; NULL: it is not */
    bool is_closed;             /* all further rows are put aside */
    uint8_t *part_of;           /* closed: by group */
    size_t part_capacity;
    bool is_portion;             /* never frozen: it stays small, or is given up */
    struct spill_stream *source; /* NULL: the child */
    unsigned part;               /* of the tier above, that the source is */
    size_t used_before;          /* of the query's memory */
    enum { TIER_READS, TIER_GIVES, TIER_SPLITS } phase;
    uint32_t next_above, next_out;
    unsigned next_part;
};

struct group {
    struct evaluator **key_exprs;
    struct type *key_types, *types; /* of keys, of the child's columns */
    size_t call_count;
    struct group_call *calls;
    size_t stride, state_align;
    bool has_distinct, is_digested, is_open;
    bool can_spill; /* keys that can be told again from rows put aside */
    struct group_tier tiers[SPILL_DEPTH_MAX];
    size_t tier_count;
    struct group_tier *digest_tier; /* whose states a digest adds to */
    const atomic_bool *is_unwanted; /* of another thread: nobody asks for its portion; or NULL */
    struct portions *portions;      /* NULL: rows are grouped as they come; partial_run.c */
    struct spans *spans;            /* NULL: one thread; span.c */
    struct split *split;            /* NULL: all groups are the tiers'; split.c */
    struct tally *tally;            /* NULL: no rows are taken by their codes */
    uint32_t *guessed;              /* sizes, as no run has left them; NULL: none */
    size_t sampled;                 /* morsels for that, which the first tier has the rows of */
};

/* Rows of a batch that are of one tier's groups. */
struct group_rows {
    const uint32_t *group; /* NULL: all rows are of one group */
    uint32_t only;         /* that group */
    uint32_t group_count;
    const uint32_t *selection; /* NULL: all */
    size_t count;
    bool is_tallied; /* some calls have had them */
};

/* Where a call's state lies behind those before it, which end at `end`. */
static inline size_t group_state_offset(size_t end, const struct aggregate *aggregate)
{
    size_t align = aggregate->state_size % 16 == 0 ? 16 : 8;
    return (end + align - 1) / align * align;
}

/* --- group.c --- */

void group_tier_open(struct exec_node *node, struct group_tier *tier);
/* Keys, states and what else groups take; parts stay. */
void group_tier_forget(struct exec_node *node, struct group_tier *tier);
/* The same where the node may be at another tier, on another thread. */
void group_tier_free(struct exec_node *node, struct group_tier *tier);
/* States that there is to be room for, of so many groups; a stride is there. */
size_t group_states_wanted(const struct group *group, const struct group_tier *tier, size_t count);
MUST_CHECK enum err group_grow_states(struct exec_node *node, struct group_tier *tier,
                                      struct error *error);
/* The first one of a group without keys. */
MUST_CHECK enum err group_grow_only(struct exec_node *node, struct group_tier *tier,
                                    struct error *error);
/* Groups the rows of a batch in the last tier. */
MUST_CHECK enum err group_add_batch(struct exec_node *node, const struct batch *in,
                                    struct error *error);
/* The same in a tier that rows are not put aside of; ids: of VECTOR_ROWS_MAX, the rows' groups, or
 * of the first row alone where all are of its. */
MUST_CHECK enum err group_add_whole(struct exec_node *node, struct group_tier *tier,
                                    const struct batch *in, uint32_t *ids, struct error *error);
/* Keys and results of so many groups of a tier from `first` on, in the node's scratch memory. */
MUST_CHECK enum err group_give(struct exec_node *node, struct group_tier *tier, uint32_t first,
                               size_t count, struct column *columns, struct error *error);
/* Adds rows to the states of `owner` (the tier, or the closed one above it); `rest` is what the
 * tier keeps for its groups. */
struct group_target {
    struct group_tier *tier, *owner;
    struct group_rest *rest;
};
MUST_CHECK enum err group_update(struct exec_node *node, const struct group_target *target,
                                 const struct batch *in, struct group_rows rows,
                                 struct error *error);

/* --- group_sizes.c --- */

/* What tables of a tier are to expect, one of `share` among which there are to be as many groups as
 * the plan's last run had. Before rows come. */
void group_sizes_expect(struct exec_node *node, struct group_tier *tier, uint32_t share);
/* What they have, for the next run. After the tier's last row. */
void group_sizes_note(struct exec_node *node, const struct group_tier *tier);

/* Does the plan know of any that are many? */
bool group_sizes_are_known(const struct exec_node *node);
/* What a tier has by now: as many numbers as the plan's sizes, of which DISTINCT's pairs are all
 * and not the others. And what to expect of all rows, by two such counts and what it has now. */
#define GROWTH_COUNTS 2
struct group_growth {
    uint32_t *counts[GROWTH_COUNTS];
    uint64_t rows[GROWTH_COUNTS + 1], all_rows;
};
void group_sizes_count(const struct exec_node *node, const struct group_tier *tier,
                       uint32_t *sizes);
void group_sizes_guess(struct exec_node *node, const struct group_tier *tier,
                       const struct group_growth *growth);

/* --- group_sample.c --- */

/* Where it is not known how large tables will be: groups rows of the scan's morsels from *first on
 * as one thread does until it can be guessed; *first is moved behind the morsels read. *is_done:
 * two threads have grouped all of them. */
MUST_CHECK enum err group_sample(struct exec_node *node, size_t *first, bool *is_done,
                                 struct error *error);

/* --- partial_run.c --- */

/* Sets group->portions where rows are to be grouped portion by portion. */
MUST_CHECK enum err portions_open(struct exec_node *node, struct error *error);
/* The rows that are, into the first tier; the child's rows after that are the others, which begin
 * at the morsel *rest. */
MUST_CHECK enum err portions_read(struct exec_node *node, size_t *rest, struct error *error);
void portions_close(struct exec_node *group, struct portions *portions); /* NULL is nothing */

/* Whether so many groups may be added to where rows go now. */
bool group_can_add(struct exec_node *node, size_t group_count);
/* The states of the group that the keys of a batch of one row name; they hold until the next. */
MUST_CHECK enum err group_states_of(struct exec_node *node, const struct batch *one, char **states,
                                    struct error *error);

/* --- runs.c --- */

/* Tells the scan below what it may be told of run by run, if anything. */
void group_runs_open(struct exec_node *node);

/* --- group_spill.c --- */

/* The closed tier right above, whose groups this one's rows may be of; NULL: there is none. */
struct group_tier *group_tier_above(struct group *group, const struct group_tier *tier);
/* Bytes that a tier may take more of for so many rows, what their states point to aside. */
size_t group_need(const struct group *group, const struct group_tier *tier, size_t rows);
/* Before so many rows are added: freezes or closes the tier where that is due. Is the batch one for
 * group_spill_batch()? */
bool group_spill_check(struct exec_node *node, struct group_tier *tier, size_t row_count);
/* Adds a batch to a tier that is frozen, closed or below a closed one; `keys` are its key columns.
 */
MUST_CHECK enum err group_spill_batch(struct exec_node *node, struct group_tier *tier,
                                      const struct batch *in, const struct column *keys,
                                      struct error *error);
/* After the tier's last row. */
MUST_CHECK enum err group_spill_end(struct exec_node *node, struct group_tier *tier,
                                    struct error *error);
/* The next part of the last tier as a tier of its own; without one the tier goes. */
MUST_CHECK enum err group_next_part(struct exec_node *node, struct error *error);
void group_drop_tier(struct exec_node *node); /* the last one, with all it has */

#endif
