/* Calls with OVER: what the operator (window.c) shares with the parts that compute. Internal to
 * exec/window*.c. */
#ifndef FRESHET_QUERY_EXEC_WINDOW_H
#define FRESHET_QUERY_EXEC_WINDOW_H

#include "query/exec/rowset.h"
#include "query/exec/spill.h"

#define WINDOW_NO_ROW UINT32_MAX
#define WINDOW_PIECES_MAX 3
#define WINDOW_LEVELS_MAX 11

/* Rows [begin, end). */
struct window_range {
    size_t begin, end;
};

/* A whole partition of the rows that the operator keeps. */
struct window_partition {
    size_t begin, end;
    const uint32_t *group;       /* by row: the number of its peers */
    const uint32_t *group_first; /* by that number: the first of them; one more at the end */
    struct column key;           /* the first ORDER BY key; type 0: there is none */
    bool is_descending, is_nulls_first;
};

/* --- query/exec/window_store.c --- */

/* The rows of a block: whole partitions and the beginning of the next. */
struct window_store {
    struct exec_node *node;
    const struct type *types;  /* of the child's columns */
    struct rowset rows;        /* from `first` on */
    size_t first;              /* rows before it are in `aside` */
    struct spill_stream aside; /* zeroed: there are none */
    uint32_t key;              /* the first ORDER BY key's column */
    bool has_keys;             /* which is looked at in any row: */
    struct rowset keys;        /* of all rows, while some are aside */
};
void window_store_init(struct window_store *store, struct exec_node *node);
void window_store_deinit(struct window_store *store); /* a zeroed one is fine */
static inline size_t window_store_count(const struct window_store *store)
{
    return store->first + store->rows.row_count;
}
/* Before a batch is added, for which `need` bytes will be taken elsewhere too: puts rows aside
 * where that is due. */
MUST_CHECK enum err window_store_make_room(struct window_store *store, const struct batch *in,
                                           size_t need, struct error *error);
MUST_CHECK enum err window_store_append(struct window_store *store, const struct batch *in,
                                        struct error *error);
/* Between the last row of a block and the first that is read. */
MUST_CHECK enum err window_store_end(struct window_store *store, struct error *error);
/* The first ORDER BY key of all rows; where looks at it were not foreseen, of those from `first`.
 */
struct column window_store_key(const struct window_store *store);
/* The next rows, from `row` on, where the last ones ended: at most *count, which becomes how many
 * there are. The columns hold until the next call. */
MUST_CHECK enum err window_store_read(struct window_store *store, size_t row, size_t *count,
                                      struct column *columns, struct error *error);
/* Rows before `row`, all of which were read, go. */
MUST_CHECK enum err window_store_drop(struct window_store *store, size_t row, struct error *error);

/* --- query/exec/window_frame.c --- */

/* The frame of one call, row after row. */
struct frame_walk {
    const struct exec_node *node;
    const struct window_frame *frame;
    bool has_offsets;         /* the two below were asked for */
    struct value start, end;  /* offsets */
    bool is_checked;          /* RANGE: their signs were */
    uint32_t group;           /* RANGE, GROUPS: base is that of this group; KEY_NONE: none yet */
    size_t head, tail;        /* RANGE with offsets: where the last frame began and ended */
    struct window_range base; /* before EXCLUDE */
};
void frame_walk_init(struct frame_walk *walk, const struct exec_node *node,
                     const struct window_frame *frame);
void frame_walk_begin(struct frame_walk *walk, const struct window_partition *partition);
/* The pieces of the row's frame, in order, none empty. Rows ascend within a partition. 22013,
 * 22004, 22008. */
MUST_CHECK enum err frame_walk_row(struct frame_walk *walk,
                                   const struct window_partition *partition, size_t row,
                                   struct window_range *pieces, size_t *count, struct error *error);

/* --- a call --- */

struct window_tree; /* window_aggregate.c */

/* How an aggregate's frames are added up. */
enum window_strategy {
    STRATEGY_GROW,  /* frames begin where the partition does: what comes is added */
    STRATEGY_SLIDE, /* what goes is taken away again */
    STRATEGY_TREE,  /* sums of 8, 64, … rows are kept, a frame is put together from some */
    STRATEGY_EACH   /* each frame anew */
};

struct window_run { /* one call's */
    struct exec_node *node;
    const struct window_call *call;
    struct frame_walk walk;
    size_t argument_count;
    struct evaluator **arguments;
    struct evaluator *filter;
    struct rowset inputs; /* the arguments; with FILTER only of rows that pass */
    uint32_t *passed;     /* FILTER: how many rows before this one pass */
    size_t passed_capacity;
    struct exec_memory memory;

    /* Results of the batch in hand. */
    size_t filled;
    void *values;      /* numbers */
    uint8_t *validity; /* NULL where a number is missing */
    bool has_null;
    uint32_t *rows; /* of inputs, whose first argument is the value; WINDOW_NO_ROW: NULL */
    bool *is_default;
    struct column_builder builder; /* aggregates */

    /* window_value.c, within a partition */
    int64_t tile, tile_rows, tile_limit, tile_rest; /* ntile */
    uint32_t last_known, next_known;                /* locf, interpolate */
    bool is_next_known;

    /* window_aggregate.c */
    enum window_strategy strategy;
    char *state;
    struct exec_memory states;   /* what states of a partition hold */
    struct exec_memory frame;    /* TREE, EACH: what the state of one frame holds */
    struct exec_memory finished; /* payloads of results of a batch */
    size_t begin, end;           /* rows in `state` (GROW, SLIDE) */
    bool has_last;
    size_t last_count;
    struct window_range last[WINDOW_PIECES_MAX]; /* the last frame, whose value is … */
    struct value last_value;
    bool has_tree;
    size_t tree_first;
    char *levels[WINDOW_LEVELS_MAX];
    size_t level_count[WINDOW_LEVELS_MAX], level_capacity[WINDOW_LEVELS_MAX];
};

/* --- query/exec/window_value.c: row_number … interpolate --- */
void window_value_begin(struct window_run *run, const struct window_partition *partition);
/* Results for rows [first, first + count) of the partition, behind those of the batch before. */
MUST_CHECK enum err window_value_fill(struct window_run *run,
                                      const struct window_partition *partition, size_t first,
                                      size_t count, struct error *error);

/* --- query/exec/window_aggregate.c --- */
void window_aggregate_open(struct window_run *run);
void window_aggregate_close(struct window_run *run);
void window_aggregate_begin(struct window_run *run, const struct window_partition *partition);
MUST_CHECK enum err window_aggregate_fill(struct window_run *run,
                                          const struct window_partition *partition, size_t first,
                                          size_t count, struct error *error);

#endif
