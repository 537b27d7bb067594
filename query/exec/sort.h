/* The inside of ORDER BY, shared by sort.c and sort_merge.c. */
#ifndef FRESHET_QUERY_EXEC_SORT_H
#define FRESHET_QUERY_EXEC_SORT_H

#include "query/exec/heads.h"
#include "query/exec/late.h"
#include "query/exec/rowset.h"
#include "query/exec/spill.h"

struct sort_entry {
    uint64_t prefix;
    uint32_t null_rank; /* of the first key: 0 NULLs before, 1 values, 2 NULLs after */
    uint32_t row;
};

/* Two rows' order by all keys, in two sets of columns. */
struct sort_order {
    const struct sort_key *keys;
    size_t key_count;
    const uint32_t *places; /* by key: its column */
    bool is_exact;          /* one key whose prefix is its whole order */
    size_t first;           /* the first key that entries do not decide alone */
};

struct sort_run {
    struct spill_stream rows; /* in order */
};

#define SORT_LATE UINT32_MAX

struct sort_merge; /* query/exec/sort_merge.c */

struct sort {
    struct rowset rows;         /* the child's columns, then the keys that are none of them */
    size_t column_count;        /* of rows: behind these and the keys stand row numbers */
    struct late late;           /* columns that rows do not keep: */
    uint32_t *slots;            /* by the child's column: its column of rows, SORT_LATE: late */
    struct exec_node *numbered; /* the scan whose rows have numbers; NULL: not kept */
    uint32_t number_place;      /* the row numbers' column of rows */
    struct exec_node *top_scan; /* the scan that is told of a bound; NULL: none */
    bool is_by_place;           /* rows equal in all keys: by their numbers */
    struct type *types;         /* of its columns */
    uint32_t *places;           /* by key: its column */
    struct evaluator **exprs;   /* by key, NULL: a column of the child */
    struct sort_order order;
    struct heads heads;
    int64_t limit, offset;
    size_t top; /* rows wanted; SIZE_MAX: all */
    struct sort_entry *entries;
    size_t entry_capacity;
    size_t entry_count;
    struct exec_memory memory; /* of the entries */
    bool has_bound, is_sorted;
    struct sort_entry bound;
    struct exec_node *time_scan; /* the scan below whose event time is the first key, NULL: none */
    size_t next;
    size_t room_row_bytes; /* left free for who reads the rows, of each */
    size_t uncut_batches;  /* since rows were last cut to those wanted */
    struct sort_run *runs; /* what did not fit: each sorted, in the order it came in */
    size_t run_count, run_capacity;
    struct sort_merge *merge;
};

struct sort_entry sort_make_entry(const struct sort_key *key, const struct column *column,
                                  size_t row);
/* Is row a of these columns, whose entry is given, behind row b of those? */
static inline bool sort_is_after(const struct sort_order *order, const struct sort_entry *a,
                                 const struct column *a_columns, const struct sort_entry *b,
                                 const struct column *b_columns);
int sort_compare_rows(const struct sort_order *order, const struct column *a_columns, uint32_t a,
                      const struct column *b_columns, uint32_t b);
/* Puts entries of rows of these columns in order; rows equal in all keys stay as they came. Those
 * behind the first `wanted` are in any order. `spare` has room for `count`.
 * query/exec/sort_entries.c */
MUST_CHECK enum err sort_entries(struct exec *exec, const struct sort_order *order,
                                 const struct column *columns, struct sort_entry *entries,
                                 size_t count, size_t wanted, struct sort_entry *spare,
                                 struct error *error);
/* Rows that come out, from `first` on and as the rowset has them, to the sort's output: all of them
 * where none of their columns comes late, else at least one. */
MUST_CHECK enum err sort_arrange(struct exec_node *node, const struct batch *kept, size_t first,
                                 struct batch *out, struct error *error);
/* Writes the rows kept, sorted already, as the next run, and forgets them. */
MUST_CHECK enum err sort_spill_run(struct exec_node *node, struct error *error);
/* After the last run: makes ready to merge. */
MUST_CHECK enum err sort_merge_begin(struct exec_node *node, struct error *error);
/* The next rows of all runs in order. */
MUST_CHECK enum err sort_merge_next(struct exec_node *node, struct batch *out, struct error *error);
void sort_merge_end(struct exec_node *node); /* also if none began; runs go too */

static inline bool sort_is_after(const struct sort_order *order, const struct sort_entry *a,
                                 const struct column *a_columns, const struct sort_entry *b,
                                 const struct column *b_columns)
{
    if (a->null_rank != b->null_rank)
        return a->null_rank > b->null_rank;
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    return !order->is_exact && sort_compare_rows(order, a_columns, a->row, b_columns, b->row) > 0;
}

#endif
