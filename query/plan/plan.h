/* Plans: what a SELECT does, as a tree of operators over bound expressions. Read-only after
 * planning; holds no snapshot, so it can be cached and shared; execution state is a parallel
 * structure (exec/). */
#ifndef FRESHET_QUERY_PLAN_PLAN_H
#define FRESHET_QUERY_PLAN_PLAN_H

#include "query/expr/build.h"
#include "query/plan/frame.h"
#include "query/plan/literal.h"
#include "query/provider.h"
#include "storage/column/schema.h"
#include "storage/segment/filter.h"

enum plan_kind {
    PLAN_SCAN,     /* a user table */
    PLAN_PROVIDER, /* a system table */
    PLAN_VALUES,   /* literal rows; no FROM is one row of no columns */
    PLAN_FILTER,
    PLAN_PROJECT,
    PLAN_GROUP, /* GROUP BY, and DISTINCT (no aggregates); no keys: exactly one row out */
    PLAN_SORT,  /* with limit: top-N */
    PLAN_LIMIT,
    PLAN_JOIN,
    PLAN_APPLY,  /* LATERAL: the right side is run for each left row, by the values of its slots */
    PLAN_LOOKUP, /* rows kept by keys over all runs of a subquery: those of its values */
    PLAN_UNION_ALL,
    PLAN_HOP,       /* hop(): each row once per window it falls in */
    PLAN_EXPAND,    /* grouping sets: each row once for each set */
    PLAN_SERIES,    /* functions that give rows */
    PLAN_SET,       /* INTERSECT and EXCEPT: children[0] by what children[1] has */
    PLAN_FIRST,     /* DISTINCT ON: the first row of each key */
    PLAN_WINDOW,    /* calls with OVER, over rows sorted by partition and order */
    PLAN_RECURSION, /* children[0]'s rows, then children[1]'s over the last ones, until none come */
    PLAN_WORKING    /* the last rows of the recursion of that number */
};

enum join_kind {
    JOIN_INNER,
    JOIN_LEFT,
    JOIN_CROSS,
    JOIN_RIGHT,
    JOIN_FULL,
    JOIN_SEMI, /* left rows that meet a right row; the left columns only */
    JOIN_ANTI  /* left rows that meet none; the left columns only */
};

struct plan_column {
    struct slice name;
    struct type type;
};

struct sort_key {
    struct expr *expr;
    bool is_descending, is_nulls_first;
};

/* A hint to the scan, implied by its filter: rows that fail it need not be looked at. */
struct plan_condition {
    enum condition_kind {
        CONDITION_COMPARE, /* column operation values[0] */
        CONDITION_IN,      /* equal to one of values */
        CONDITION_ANY,     /* equal to an element of the array values[0] */
        CONDITION_NULL,
        CONDITION_NOT_NULL,
        CONDITION_MATCHES /* predicate over one text column, in it #0 */
    } kind;
    uint32_t column;    /* of the scan's output */
    unsigned operation; /* enum compare_operation */
    size_t value_count;
    struct expr **values; /* without columns: evaluated when the scan opens */
    struct expr *predicate;
    struct slice head; /* LIKE: every match starts so */
    bool is_head_all;  /* … and whatever starts so matches */
};

struct over_function; /* query/func/over.h */

struct window_frame {
    enum frame_mode mode;
    enum frame_bound start, end;
    /* Constant expressions, NULL: none. ROWS, GROUPS: bigint; RANGE: what is added to the key. */
    struct expr *start_offset, *end_offset;
    enum frame_exclusion exclusion;
};

/* One call with OVER. `aggregate` holds arguments, FILTER, type and position of either kind. */
struct window_call {
    const struct over_function *function; /* NULL: the aggregate */
    struct aggregate_call aggregate;
    struct window_frame frame;
};

struct series_function; /* query/func/series.h */

/* A function in FROM. */
struct series_call {
    const struct series_function *function; /* NULL: the one argument is the value of one row */
    uint32_t argument_count;
    struct expr **arguments; /* without columns; slots may stand in them */
    size_t column_count;
};

/* Values that a plan takes of the query around it: EXPR_OUTER stands for them. Numbers are the
 * statement's own, so a value is in its place however deep it is used. */
struct subplan_slots {
    size_t count;
    uint32_t *slots;
};

struct lookup_bound {   /* order[0] operation value */
    unsigned operation; /* enum compare_operation */
    struct expr *value;
};

struct plan {
    enum plan_kind kind;
    uint32_t id;         /* 0 … statement->plan_count - 1 */
    size_t column_count; /* output */
    struct plan_column *columns;
    size_t child_count;
    struct plan **children;
    union {
        struct {
            const struct schema *schema;
            uint32_t *columns;   /* schema indexes of the output columns: only what is used above */
            struct expr *filter; /* over the output columns, NULL: none */
            /* Event-time bounds implied by the filter when constant at plan time or over now():
             * expressions of type timestamptz, NULL if none. Inclusive; only for skipping morsels,
             * the filter still holds the exact condition. */
            struct expr *time_from, *time_to;
            size_t condition_count;
            struct plan_condition *conditions;
            bool is_conditions_whole; /* they are all there is to the filter */
            bool *is_only_filter;     /* by column: nothing above needs it; NULL: not known */
            struct slice alias;
        } scan;
        struct {
            const struct table_provider *provider;
            uint32_t *columns;
            struct expr *filter;
        } provider;
        struct {
            size_t row_count;
            struct expr **cells; /* row-major, row_count * column_count */
        } values;
        struct {
            struct expr *predicate;
            bool is_gate; /* it has no columns: one value for all rows */
        } filter;
        struct {
            struct expr **exprs; /* column_count of them, over the child's columns */
        } project;
        struct {
            size_t key_count;
            struct expr **keys; /* over the child's columns; output: keys, then aggregates */
            size_t aggregate_count;
            struct aggregate_call *aggregates;
            /* Keys that its tables had in the last run, of any text of the plan's; 0: few, or not
             * known. The one thing that runs write. query/exec/group_sizes.c */
            size_t size_count;
            _Atomic uint32_t *sizes; /* relaxed: hints */
        } group;
        struct {
            size_t key_count;
            struct sort_key *keys;
            struct expr *limit,
                *offset; /* constant expressions of type bigint (may hold parameters); NULL: none */
            /* Of rows equal in the first head_keys keys only the first head_rows are wanted, by the
             * key after these if has_head_order, else any; others may stay. 0: all are. */
            size_t head_keys, head_rows;
            bool has_head_order;
        } sort; /* also PLAN_LIMIT (key_count 0) */
        struct {
            enum join_kind kind;
            size_t key_count; /* equality: left_keys over children[0]'s columns, right_keys over
                                 children[1]'s */
            struct expr **left_keys, **right_keys;
            struct expr *condition; /* over left columns then right columns, NULL: none */
            /* APPLY: kind is INNER, CROSS or LEFT, there are no keys. */
            struct subplan_slots slots;
            struct expr **arguments; /* values of the slots, over children[0]'s columns */
        } join;                      /* output: left columns, then right columns (not SEMI, ANTI) */
        struct {
            size_t key_count;
            struct expr **keys;     /* over the child's columns */
            struct expr **values;   /* of the slots: what the keys are to be equal to */
            struct expr *condition; /* what else the rows must meet; NULL: nothing */
            size_t order_count;     /* rows come in this order, if there is one */
            struct sort_key *order;
            size_t bound_count;
            struct lookup_bound *bounds;
            size_t top; /* so many rows of a key are ever wanted; 0: all may be */
        } lookup;       /* output: the child's columns */
        struct {
            uint32_t time_column; /* of the child, timestamptz or timestamp; rows with NULL time
                                     give no window */
            struct interval slide, size;
            const struct timezone *zone;
        } hop; /* output: child's columns, window_start, window_end */
        struct {
            size_t key_count;
            struct expr **keys; /* over the child's columns */
            size_t set_count;
            uint64_t *sets; /* bit n: key n is of the set, else it is NULL */
            size_t mask_count;
            int64_t *masks; /* set after set: what each grouping() gives */
        } expand;           /* output: the child's columns, keys, set number, a column a mask */
        struct {
            size_t call_count;
            struct series_call *calls;
            bool has_ordinality;
        } series; /* output: the columns of each call, the row's number */
        struct {
            bool is_except, is_all;
        } set; /* output: children[0]'s columns, by all of which rows are compared */
        struct {
            uint32_t number;  /* of the statement's recursions */
            bool is_distinct; /* a row that came before does not come again */
        } recursion;          /* and PLAN_WORKING */
        struct {
            size_t key_count;
            struct expr **keys; /* over the child's columns */
        } first;                /* output: the child's columns, its rows in their order */
        struct {
            /* Columns of the child, which gives its rows in this order. The first
             * partition_count are PARTITION BY. */
            size_t partition_count, key_count;
            struct sort_key *keys;
            /* session(): a partition also begins where the key after PARTITION BY, a time, is this
             * much or more after the row before. All 0: it does not. */
            struct interval gap;
            size_t call_count;
            struct window_call *calls;
        } window; /* output: child's columns, a column a call */
    };
};

struct plan_table { /* what the plan was bound against: a cached plan is valid while these are
                       current */
    const struct schema *schema; /* referenced */
    bool is_read;                /* not only written to */
};

struct statement {
    struct arena arena; /* everything below lies in it */
    _Atomic uint32_t references;
    enum statement_kind { STATEMENT_SELECT, STATEMENT_EXPLAIN, STATEMENT_COMMAND } kind;
    bool is_analyze;                 /* EXPLAIN ANALYZE */
    bool is_json;                    /* EXPLAIN (FORMAT JSON) */
    const struct copy_options *copy; /* COPY … TO STDOUT: what the rows are written as; or NULL */
    bool is_read_only;               /* SELECT, VALUES, SHOW, EXPLAIN of those: what GET may run */
    bool is_cacheable;
    const char *command_tag; /* "SELECT", "EXPLAIN", "SHOW", "CREATE TABLE" … */
    struct plan *plan;       /* SELECT, EXPLAIN; INSERT's source */
    struct plan **subplans;  /* by parameter number; NULL: became part of another plan */
    struct subplan_slots *subplan_slots; /* beside them */
    uint32_t slot_count;
    size_t subplan_count;
    uint32_t recursion_count;
    uint32_t plan_count; /* nodes, for execution state */
    struct plan_table *tables;
    size_t table_count;
    bool has_views;          /* it stands on definitions of views … */
    uint64_t view_version;   /* … as of this version */
    struct command *command; /* query/sql/command.h */
    /* Its parameters: $1 …, then named ones. */
    size_t parameter_count, numbered_count;
    struct parameter *parameters;
    struct lifted_list lifted; /* literals that it takes as values */
    bool needs_values; /* stands for its types only: to be run it is prepared with the values */
};

/* The column of a table that a column of the output is; zeros if it is none of a table's. */
struct plan_origin {
    uint32_t table_oid;
    uint16_t attribute; /* from 1 */
};

struct plan_origin plan_origin(const struct plan *plan, size_t column);

/* Room for the sizes of a plan's own tables, if it is a GROUP of not too many. */
void plan_make_sizes(struct plan *plan, struct arena *arena);

struct statement *statement_ref(struct statement *statement);
void statement_unref(struct statement *statement);
/* EXPLAIN's lines. `actual` (by plan id) may be NULL. */
struct plan_actual {
    uint64_t rows, rows_in;
    int64_t time_ns;
    uint64_t spilled_bytes; /* written to disk for want of memory */
    /* Of a GROUP: keys that its tables had room for as the last run said, and those moved as tables
     * grew nevertheless. */
    uint64_t keys_expected, keys_moved;
    /* Portions of rows that a GROUP found grouped by an earlier query, and that it grouped. */
    uint64_t partials_found, partials_made;
    uint64_t helpers; /* further threads that grouped some */
    /* Of a sort: rows of which so many columns were read by number, when they came out. */
    uint64_t late_rows, late_columns;
    /* … and that a rollup had: whose name this is; empty: none answers the GROUP. */
    struct slice rollup;
    uint64_t rollup_portions, rollup_segments, rollup_rows;
    uint64_t rollup_last; /* the segment of the last of them */
    /* Scans. */
    uint64_t segments, segments_skipped, blocks, blocks_skipped;
    struct scan_counts counts; /* of the cursor */
};
/* One operator without what is below it. */
void plan_explain_node(const struct plan *plan, struct writer *out);
/* EXPLAIN (FORMAT JSON): one document. */
void plan_explain_json(const struct statement *statement, const struct plan_actual *actual,
                       double elapsed_ms, struct writer *out);
void plan_explain(const struct statement *statement, const struct plan_actual *actual,
                  struct writer *lines);

#endif
