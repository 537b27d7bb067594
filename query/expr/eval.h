/* Runs bound expressions over batches. One evaluator per expression and thread: it holds compiled
 * regular expressions, IN sets and scratch memory. */
#ifndef FRESHET_QUERY_EXPR_EVAL_H
#define FRESHET_QUERY_EXPR_EVAL_H

#include "query/asker.h"
#include "query/expr/expr.h"
#include "storage/column/column.h"

/* The rows of a subquery, made when first asked for. */
struct parameter_rows {
    size_t row_count, column_count;
    const struct column *columns;
};

struct snapshot;

struct view_definition; /* query/view.h */
struct prepared_entry;  /* query/provider.h */

struct eval_context {
    const struct timezone *zone;        /* session */
    int64_t now_us;                     /* statement start: now() */
    struct budget *budget;              /* the query's memory; may be NULL */
    const _Atomic bool *is_cancelled;   /* looked at inside long loops; may be NULL */
    const _Atomic bool *is_client_gone; /* likewise */
    int64_t deadline_us; /* of the monotonic clock, looked at in the same places; 0: none */
    /* A subquery's rows with its slots at these values (none: NULL); they hold until the next call
     * for it. NULL without subqueries. */
    enum err (*parameter)(void *context, uint32_t parameter, const struct value *values,
                          const struct parameter_rows **out, struct error *error);
    void *parameter_context;
    const struct value *outer; /* by slot */
    /* EXPR_BOUND: values of $1 …, then from bound[bound_named] those of named parameters, from
     * bound[bound_lifted] those of literals. They
     * outlive every evaluator. */
    const struct value *bound;
    uint32_t bound_named, bound_lifted;
    /* A setting of the request as SHOW prints it; NULL: none. */
    struct slice (*setting)(void *context, struct slice name, struct arena *arena, bool *is_known);
    void *setting_context;
    const struct snapshot *snapshot; /* for functions over the catalogue; NULL: no tables */
    /* Views by name, or (empty) by id, for the same; NULL: there are none. */
    bool (*find_view)(void *context, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out);
    void *view_context;
    const struct asker *asker; /* NULL: everybody may everything */
    /* The roles that the asker may see; NULL: none. */
    size_t (*list_roles)(void *context, struct arena *arena, struct role_entry **out);
    void *roles_context;
    /* The prepared statements of the session that asks; NULL: there is none. */
    size_t (*list_prepared)(void *context, struct arena *arena, struct prepared_entry **out);
    void *prepared_context;
};

/* What an EXPR_BOUND stands for. */
static inline const struct value *eval_bound(const struct eval_context *context,
                                             const struct expr *expr)
{
    uint32_t at = expr->parameter < BOUND_NAMED_FIRST ? expr->parameter
                  : expr->parameter < BOUND_LIFTED_FIRST
                      ? context->bound_named + expr->parameter - BOUND_NAMED_FIRST
                      : context->bound_lifted + expr->parameter - BOUND_LIFTED_FIRST;
    return &context->bound[at];
}

struct evaluator;
/* `context` and `expr` must outlive it. */
struct evaluator *evaluator_create(const struct expr *expr, const struct eval_context *context);
void evaluator_destroy(struct evaluator *evaluator);
/* Values for the rows named in `selection` (ascending row indexes, NULL: all rows); other rows of
 * *out hold unspecified but initialized values. *out has in->row_count rows (or is CONSTANT), may
 * borrow from `in`, and holds until the next call. Only selected rows can raise. */
MUST_CHECK enum err evaluator_run(struct evaluator *evaluator, const struct batch *in,
                                  const uint32_t *selection, size_t selection_count,
                                  struct column *out, struct error *error);
/* The selected rows where a boolean expression is true, in order; `out` has room for
 * selection_count (or row_count). */
MUST_CHECK enum err evaluator_filter(struct evaluator *evaluator, const struct batch *in,
                                     const uint32_t *selection, size_t selection_count,
                                     uint32_t *out, size_t *out_count, struct error *error);
/* A constant expression (no columns), once. Payload in the arena. */
MUST_CHECK enum err expr_evaluate_constant(const struct expr *expr,
                                           const struct eval_context *context, struct arena *arena,
                                           struct value *out, struct error *error);

#endif
