/* Inside of the evaluator: one node per expression, with what it remembers between batches. For
 * query/expr only. */
#ifndef FRESHET_QUERY_EXPR_NODE_H
#define FRESHET_QUERY_EXPR_NODE_H

#include "query/expr/eval.h"
#include "query/func/func.h"

struct value_set;
struct dictionary_cache;

/* floor(extract(epoch from t) / n) * factor: see eval_bucket.c. */
struct bucket {
    int64_t width_us; /* 0: the node is something else */
    int64_t factor;
    int depth;
};

struct node {
    const struct expr *expr;
    struct node *children;
    struct call call;               /* CALL, CAST, NULLIF, ARRAY_COMPARE */
    struct value_set *set;          /* IN over constants, IN_SUBQUERY: made at first use */
    struct dictionary_cache *cache; /* see dictionary_column */
    struct evaluator *test;         /* QUANTIFIED */
    struct bucket bucket;
    int64_t
        dictionary_column; /* the one text column this subtree depends on, -1: not of that kind */
};

/* One run. `replaced` stands for every column: an evaluation over dictionary entries instead of
 * rows. */
struct frame {
    struct evaluator *evaluator;
    const struct batch *in;
    const struct column *replaced;
    size_t row_count;
    struct error *error;
};

struct evaluator {
    const struct expr *expr;
    const struct eval_context *context;
    struct arena arena; /* the nodes */
    struct arena batch; /* results, until the next run */
    size_t charged;     /* of `batch`, to the context's budget */
    size_t looked_at;   /* its total at the last look */
    size_t read;        /* bytes of texts given to calls since then */
    struct node root;
};

/* Rows to compute: selection[0 … count-1], or 0 … count-1 where NULL (then count is the frame's
 * row_count). */
struct rows {
    const uint32_t *selection;
    size_t count;
};
static inline size_t rows_at(struct rows rows, size_t k)
{
    return rows.selection != NULL ? rows.selection[k] : k;
}

enum err node_run(struct frame *frame, struct node *node, struct rows rows, struct column *out);
/* All of its arguments, a column each, in the batch's memory. */
enum err node_run_children(struct frame *frame, struct node *node, struct rows rows,
                           struct column **out);

/* --- results --- */
/* A FLAT column of zeroed values, valid everywhere. */
struct column result_create(struct frame *frame, struct type type);
/* Stores one value (NULL too: `*validity` is made when the first one comes). */
void result_set(struct frame *frame, struct column *column, size_t row, const struct value *value);
/* Copies the rows of another column of the same type. */
void result_copy(struct frame *frame, struct column *column, const struct column *from,
                 struct rows rows);
/* Marks a row NULL. */
void result_set_null(struct frame *frame, struct column *column, size_t row);
struct column result_constant(struct frame *frame, const struct value *value);

/* --- by kind, in eval_logic.c --- */
enum err logic_run(struct frame *frame, struct node *node, struct rows rows, struct column *out);
/* --- sets: IN, IN (subquery) in eval_set.c --- */
enum err in_run(struct frame *frame, struct node *node, struct rows rows, struct column *out);
enum err array_compare_run(struct frame *frame, struct node *node, struct rows rows,
                           struct column *out);
void value_set_destroy(struct value_set *set);
/* --- epoch buckets, in eval_bucket.c --- */
bool bucket_match(const struct expr *expr, struct bucket *out);
enum err bucket_run(struct frame *frame, struct node *node, struct rows rows, struct column *out);
/* --- dictionaries, in eval_dictionary.c --- */
enum err dictionary_run(struct frame *frame, struct node *node, struct rows rows,
                        const struct column *in, struct column *out);
void dictionary_cache_destroy(struct dictionary_cache *cache);
/* Is the cached way worth it for this column and so many rows? */
bool dictionary_pays(const struct column *in, size_t count);
/* --- subqueries, in eval_subquery.c --- */
enum err subquery_run(struct frame *frame, struct node *node, struct rows rows, struct column *out);
/* The subquery's rows. */
enum err parameter_get(struct frame *frame, uint32_t parameter, const struct value *values,
                       const struct parameter_rows **out);

#endif
