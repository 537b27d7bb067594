/* What operators are made of: the node, its table of functions, memory that is charged to the
 * query. */
#ifndef FRESHET_QUERY_EXEC_OPERATOR_H
#define FRESHET_QUERY_EXEC_OPERATOR_H

#include "query/exec/exec.h"

struct exec_node;

struct exec_operator {
    const char *name;
    size_t state_size;
    bool is_right_lazy; /* the last child is not opened: the operator does it, if and when */
    enum err (*open)(struct exec_node *node,
                     struct error *error); /* children are open; NULL: nothing to do */
    enum err (*next)(struct exec_node *node, struct batch *out, struct error *error);
    void (*close)(struct exec_node *node); /* also after a failed open: state is zeroed before it */
};

struct exec_node {
    struct exec *exec;
    const struct plan *plan;
    const struct exec_operator *operator;
    void *state;
    struct exec_node **children;
    const struct error *raised; /* what the next call gives instead of rows; NULL: rows */
    struct arena scratch; /* reset by the operator at each next(): the batch given lies in it */
};

extern const struct exec_operator exec_lookup_operator;
extern const struct exec_operator exec_scan_operator, exec_provider_operator, exec_values_operator,
    exec_filter_operator, exec_project_operator, exec_group_operator, exec_sort_operator,
    exec_limit_operator, exec_join_operator, exec_apply_operator, exec_union_operator,
    exec_hop_operator, exec_window_operator, exec_set_operator, exec_first_operator,
    exec_series_operator, exec_expand_operator, exec_recursion_operator, exec_working_operator;

/* Memory that lives as long as its operator, charged to the query's budget. */
struct exec_memory {
    struct budget *budget;
    struct arena arena;
    size_t arena_charged;
    uint64_t keys_moved;                /* as tables of keys were made larger */
    const struct eval_context *context; /* what long loops look at; NULL: they do not */
};
void exec_memory_init(struct exec_memory *memory, struct budget *budget);
void exec_memory_deinit(struct exec_memory *memory); /* gives back what the arena was charged for */
/* In long loops over what it holds: context_look(). */
MUST_CHECK enum err exec_memory_look(const struct exec_memory *memory, struct error *error);
/* Charges what the arena has grown by since the last call. */
MUST_CHECK enum err exec_memory_settle(struct exec_memory *memory, struct error *error);
/* Makes room for `needed` elements in a malloc'ed array (growing by a share of itself), charged
 * before it is taken. */
MUST_CHECK enum err exec_memory_grow(struct exec_memory *memory, void **array, size_t *capacity,
                                     size_t needed, size_t element_size, struct error *error);
/* What that would charge. */
size_t exec_memory_growth(size_t capacity, size_t needed, size_t element_size);
/* What the arena's next block may take at most, of small allocations. */
size_t exec_memory_step(const struct exec_memory *memory);
/* Frees a malloc'ed array that was charged. */
void exec_memory_release(struct exec_memory *memory, void *array, size_t size);

/* Evaluators of `count` expressions in the exec's arena. */
struct evaluator **exec_evaluators(struct exec *exec, struct expr *const *exprs, size_t count);
void exec_evaluators_destroy(struct evaluator **evaluators, size_t count);
/* Their values for all rows of a batch, into `count` columns; they hold until the next call. */
MUST_CHECK enum err exec_evaluate(struct evaluator **evaluators, size_t count,
                                  const struct batch *in, struct column *out, struct error *error);
/* An id for a dictionary that an operator makes, unlike all others' (storage counts from 1). */
static inline uint64_t exec_dictionary_id(struct exec *exec)
{
    return UINT64_MAX - exec->dictionary_count++;
}
/* LIMIT or OFFSET: *out is -1 if expr is NULL or gives NULL; 2201W / 2201X if negative. */
MUST_CHECK enum err exec_row_limit(struct exec *exec, const struct expr *expr, bool is_offset,
                                   int64_t *out, struct error *error);

/* Gives each batch of a child to `take` until the child ends or that fails: for operators that
 * block. Counts the rows, and looks at the flags every EXEC_CHECK_ROWS. */
MUST_CHECK enum err exec_each(struct exec_node *node, size_t child,
                              enum err (*take)(struct exec_node *node, const struct batch *in,
                                               struct error *error),
                              struct error *error);
/* Keeps the rows of *batch that the predicate is true for, in scratch memory; all of them: as they
 * are. If a row raises, those before it, and the node's next call does; at once if none is kept. */
MUST_CHECK enum err exec_keep(struct exec_node *node, struct evaluator *predicate,
                              struct batch *batch, struct error *error);
/* The first eight bytes of a value in a form that is in order as the values are. sort.c */
uint64_t sort_prefix(const struct column *column, size_t row);
struct column column_null(struct type type); /* a CONSTANT NULL */
/* What an EXPAND puts behind its child's columns for one set; keys NULL: all are. expand.c */
void exec_expand_set(const struct plan *plan, size_t set, const struct column *keys,
                     struct arena *arena, struct column *out);

/* For each row that the sort keeps so many bytes are left free for who reads it: it goes to disk
 * the sooner. sort.c */
void exec_sort_leave_room(struct exec_node *sort, size_t row_bytes);

/* query/exec/estimate.c: rows that a plan may give, roughly. */
uint64_t exec_estimate(struct exec *exec, const struct plan *plan);

/* Top-N by event time: `node` (a scan) starts at the end that the order starts at. Later the sort
 * narrows it with the worst time it still wants, and morsels that lie wholly beyond are skipped. */
void exec_scan_follow_order(struct exec_node *node, bool is_descending);
void exec_scan_bound(struct exec_node *node, int64_t worst_us);

/* Top-N by any column: the scan is told of the first key, before its first batch, and later of the
 * worst row still wanted, by its value and (key->is_by_place, which is set here: morsels come in
 * another order than they lie in) its number; it leaves out what cannot be better. is_ordered:
 * their order is not to be touched. query/exec/top.h */
struct top_key;
MUST_CHECK enum err exec_scan_top(struct exec_node *scan, struct top_key *key, bool is_ordered,
                                  struct error *error);
void exec_scan_worst(struct exec_node *scan, const struct value *worst, uint64_t row);

/* Columns (by place, true) that come as NULLs, unread, from blocks in which rows have been held
 * against the whole filter already (`if_exact`), and from all others. Both outlive the node. */
void exec_scan_leave_out(struct exec_node *scan, const bool *columns, const bool *if_exact);
/* From now on: the numbers in the view of the last batch's rows, which hold as long as it. */
void exec_scan_number_rows(struct exec_node *scan);
const struct column *exec_scan_row_numbers(const struct exec_node *scan);

/* The scan's rows piece by piece (query/exec/partial_run.c): what it reads of; whether nothing of a
 * morsel can pass its bounds; from now on those of morsels begin … end - 1, then the end. */
const struct table_view *exec_scan_view(const struct exec_node *scan);
bool exec_scan_can_skip(const struct exec_node *scan, size_t morsel);
void exec_scan_range(struct exec_node *scan, size_t begin, size_t end);
/* Of these, which are one morsel of a mutable segment, only rows [begin, end). */
void exec_scan_rows(struct exec_node *scan, uint64_t begin, uint64_t end);
/* `other`, which is about to be closed, read some of what this one is there for. */
void exec_scan_join(struct exec_node *scan, struct exec_node *other);

/* Windows of hop() that rows of a time are in, where they are told of by runs: an open hop node
 * whose windows are on a clock that stands still, query/window/hop.c. */
bool exec_hop_has_runs(const struct exec_node *hop);
/* The rows in hand are not asked for: the next ones come from below. */
void exec_hop_drop(struct exec_node *hop);
struct hop_run {
    int64_t end_us;              /* rows up to here, exclusive, are in the same windows */
    int64_t window, last_window; /* none: window > last_window */
};
/* False: in no window. */
bool exec_hop_run(struct exec_node *hop, int64_t us, struct hop_run *out);
void exec_hop_window(const struct exec_node *hop, int64_t window, int64_t *start, int64_t *end);

/* What a group without keys wants to know of a scan's morsels instead of their rows. */
struct scan_digest {
    size_t item_count;
    const struct scan_digest_item {
        bool has_column; /* else only row_count matters */
        uint32_t column; /* of the scan's output */
        enum scan_want want;
    } * items;
    const bool *is_unread; /* by column: nothing else needs it */
    bool is_all;           /* nothing else is needed of rows at all */
    /* Once a morsel of which all items are known and that has rows; an extent for each item. */
    enum err (*take)(void *context, const struct scan_extent *extents, struct error *error);
    void *context;
    const struct scan_runs *runs; /* NULL: of whole morsels. Else of runs of time; is_all then */
};
/* A morsel whose rows come in order of time may be told of run by run. */
struct scan_runs {
    uint32_t time_column; /* of the scan's output */
    /* The first time behind the run that `us` is in; false: it is in none that has an end. */
    bool (*find_end)(void *context, int64_t us, int64_t *end_us);
    /* Before the first of so many runs of a morsel; false: the rows come instead. */
    bool (*begin)(void *context, size_t run_count);
    /* Once a run, in order, in place of the digest's take(); `us` is the time of its first row. */
    enum err (*take)(void *context, int64_t us, const struct scan_extent *extents,
                     struct error *error);
    void *context;
};
/* Before the first batch; NULL: none. `digest` must outlive the node. */
void exec_scan_digest(struct exec_node *scan, const struct scan_digest *digest);
/* Whether the last batch is of a morsel that take() got. */
bool exec_scan_is_digested(const struct exec_node *scan);

#endif
