/* Partial results of GROUP: the groups of a portion of a table's rows, and how portions are run,
 * kept and combined. For query/exec, and the engine, which owns what is kept. */
#ifndef FRESHET_QUERY_EXEC_PARTIAL_H
#define FRESHET_QUERY_EXEC_PARTIAL_H

#include "query/exec/group.h"
#include "query/exec/partial_cache.h"

/* Keys and states of the groups of some rows, in order of first sight. Immutable, shared by count;
 * owns all it points to. */
struct partial {
    _Atomic uint32_t references;
    struct arena arena;
    /* group_count rows each: DICTIONARY of the texts there are, with numbers where the lexicon has
     * them, and FLAT. */
    struct column *keys;
    size_t key_count;
    struct dictionary_notes *notes; /* by key; NULL: none */
    bool is_plain;                  /* states are their bytes, they point to nothing */
    char *states;                   /* as a group's tier has them */
    size_t stride;
    uint32_t group_count;
    size_t size; /* bytes in all */
    /* Of several portions put together: theirs, in order. */
    const struct partial_place *places;
    size_t place_count;
};

/* Of a segment: blocks of 64 Ki rows. */
#define PORTION_MORSELS 2
/* A table of fewer rows is read as it is. */
#define PORTIONS_ROWS_MIN ((uint64_t)64 << 10)

/* Rows of the scan that are grouped together: a run of morsels of one segment. */
struct portion {
    size_t begin, end; /* morsels */
    uint64_t rows;
    struct morsel_home home;     /* of the first one */
    uint64_t row_begin, row_end; /* of its one morsel; row_end 0: all rows of all of them */
    bool is_closed;              /* no rows come to it any more */
    bool is_piece;               /* of a portion that rows still come to */
    bool is_half;                /* one of two blocks */
    uint64_t groups_max;         /* with more it does not pay */
};

/* --- partial.c --- */

/* May rows be grouped portion by portion, for the same result? By the plan alone. */
bool partial_is_for(const struct plan *group);
/* Of that: the rows are those of a scan, and they and their keys the same whenever they are asked
 * for, and by whom; a call's arguments are. */
bool partial_rows_are_steady(const struct plan *group);
bool partial_call_is_steady(const struct aggregate_call *call);
/* The scan below such a group. */
struct exec_node *partial_scan(const struct exec_node *group);
/* From now on the rows of morsels begin … end - 1 come, or those of a portion, and none of those
 * before: a portion may be given up within a batch. */
void partial_seek(const struct exec_node *group, const struct portion *portion);
void partial_range(const struct exec_node *group, size_t begin, size_t end);
/* Bytes that a tier's groups take, the same for the same rows. */
size_t partial_tier_size(const struct group *group, const struct group_tier *tier);
/* The rows of a portion, grouped by a group's node. *out NULL: they are too many groups for it to
 * pay. One reference. */
MUST_CHECK enum err partial_compute(struct exec_node *group, const struct portion *portion,
                                    struct partial **out, struct error *error);
/* Its rows, added to the first tier; some may be put aside, and then all that come later are. */
MUST_CHECK enum err partial_add_rows(struct exec_node *group, const struct portion *portion,
                                     struct error *error);
/* Rows that the run has scanned, and what EXPLAIN tells of the group and the nodes below it; of the
 * first ones, where they are more than so many. What was counted by then, and back to that: rows of
 * a portion that is given up are read again. */
#define PARTIAL_CHAIN_MAX 16 /* nodes between a group and its scan */
struct partial_counted {
    uint64_t scanned;
    struct {
        uint64_t rows, rows_in;
    } nodes[PARTIAL_CHAIN_MAX + 2];
};
struct partial_counted partial_counted(const struct exec_node *group);
void partial_count_back(struct exec_node *group, const struct partial_counted *counted);
/* What is made ahead of its turn may be for nobody. What has been counted since is taken out of the
 * count and added to *taken, and counts for the query's own group once its turn has come. */
void partial_count_take(struct exec_node *group, const struct partial_counted *since,
                        struct partial_counted *taken);
void partial_count_add(struct exec_node *group, const struct partial_counted *taken);
/* Do the aggregates give the same whatever is added to what first? By the plan alone. */
bool partial_is_exact(const struct plan *group);
bool partial_call_is_exact(const struct aggregate_call *call);
/* Several made one, in order. */
MUST_CHECK enum err partial_merge(struct exec_node *group, struct partial *const *list,
                                  size_t count, struct partial **out, struct error *error);
/* Without groups. */
struct partial *partial_create(void);
/* Adds its groups to the last tier. is_held: it lasts as long as that does. */
MUST_CHECK enum err partial_combine(struct exec_node *group, const struct partial *partial,
                                    bool is_held, struct error *error);
/* Adds states of groups, one after the other, to those of the groups `ids` of a tier; not of calls
 * that have more than states: DISTINCT, and those that adopt. */
MUST_CHECK enum err partial_combine_states(struct exec_node *group, struct group_tier *tier,
                                           const char *states, const uint32_t *ids, size_t count,
                                           struct error *error);
struct partial *partial_ref(struct partial *partial);
void partial_unref(struct partial *partial); /* NULL is nothing */

/* --- partial_many.c --- */

/* Are portions of many groups to be made? */
bool partial_many_is_on(const struct exec_node *group, struct partial_cache *cache,
                        const struct partial_plan *plan);
/* So many of so many rows pay. */
uint64_t partial_many_groups_max(bool is_on, uint64_t rows);
/* A portion had more. */
void partial_many_given_up(const struct exec_node *group, struct partial_cache *cache,
                           struct partial_plan *plan, const struct portion *portion, bool is_on);
/* What the portions at these places gave together, of as many as there is, at least two; NULL:
 * nothing. One reference. */
struct partial *partial_many_find(struct partial_cache *cache, const struct partial_plan *plan,
                                  const struct partial_place *places, size_t count);
/* Puts together what is there for the next query to find: `run` (NULL: nothing) and the portions
 * behind it. *out: one reference, NULL if that does not pay yet. */
MUST_CHECK enum err partial_many_merge(struct exec_node *group, struct partial_cache *cache,
                                       struct partial_plan *plan, struct partial *run,
                                       struct partial *const *behind,
                                       const struct partial_place *places, size_t behind_count,
                                       struct partial **out, struct error *error);

/* --- partial_crew.c --- */

/* Threads for portions of one query, the caller's and what helpers there are. NULL: the caller is
 * to be alone. `list` must outlive it. */
struct partial_crew *partial_crew_create(const struct exec_node *group, const struct portion *list,
                                         size_t count);
/* Before the first get: this portion is not to be computed. */
void partial_crew_found(struct partial_crew *crew, size_t index);
/* As partial_compute() gives it; in ascending order. */
MUST_CHECK enum err partial_crew_get(struct partial_crew *crew, struct exec_node *group,
                                     size_t index, struct partial **out, struct error *error);
/* Waits until all have left. NULL is nothing. */
void partial_crew_end(struct partial_crew *crew);

/* --- partial_key.c --- */

#define PARTIAL_BOUNDS_MAX 8
struct partial_key {
    struct writer bytes; /* the caller deinits it */
    size_t bound_count;
    struct partial_bound {  /* event time operation us: what else a row must meet */
        unsigned operation; /* enum compare_operation */
        int64_t us;
    } bounds[PARTIAL_BOUNDS_MAX];
};
/* Of an open group that partial_is_for(). False: its results are not to be kept. */
bool partial_key_make(const struct exec_node *group, struct partial_key *key);
/* Do all rows with such event times meet the bounds? */
bool partial_key_is_met(const struct partial_key *key, int64_t min_us, int64_t max_us);

#endif
