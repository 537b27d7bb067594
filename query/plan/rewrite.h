/* Makes a plan cheaper without changing what it means. For query/sql; each pass works on one tree.
 * What is asked of expressions and plans below is for query/exec too. */
#ifndef FRESHET_QUERY_PLAN_REWRITE_H
#define FRESHET_QUERY_PLAN_REWRITE_H

#include "query/expr/build.h"
#include "query/kernel/kernel.h"
#include "query/plan/plan.h"

/* All passes, in order: conditions down, projections merged, columns pruned, sorts' heads … */
struct plan *plan_rewrite(struct builder *build, struct plan *plan);
/* … and, last of all, what scans can leave out. */
void plan_bound_scans(struct builder *build, struct plan *plan);
/* query/plan/lift.c: between the two, literals become values. */
void plan_lift(struct builder *build, const struct text_shape *shape, struct statement *statement);

/* query/plan/decorrelate.c: conditions that are subqueries become semi and anti joins; subplans
 * that were used up are NULL then. */
struct plan *plan_decorrelate(struct builder *build, struct statement *statement,
                              struct plan *plan);
/* query/plan/lookup.c: filters by values of the query around become lookups. is_inside: the plan is
 * a subquery that takes such values; else only the right sides of APPLY are. */
void plan_lookups(struct builder *build, struct plan *plan, bool is_inside);
/* query/plan/visit.c: all expressions of a plan and those below it. */
void plan_visit(const struct plan *plan, void (*visit)(void *context, const struct expr *expr),
                void *context);
/* … of this node alone. */
void plan_visit_node(const struct plan *plan, void (*visit)(void *context, const struct expr *expr),
                     void *context);
/* Is one of these slots (NULL: of any) used? */
bool expr_uses_slots(const struct expr *expr, const struct subplan_slots *slots);
bool plan_uses_slots(const struct plan *plan, const struct subplan_slots *slots);
bool plan_is_volatile(const struct plan *plan);

/* query/plan/push.c: conditions go as near to the scans as they may; equalities of joins become
 * hash keys. */
struct plan *plan_push(struct builder *build, struct plan *plan);
/* query/plan/merge.c: a projection below a projection or a GROUP goes into it. */
struct plan *plan_merge(struct builder *build, struct plan *plan);
/* query/plan/prune.c: only the columns that are used above. */
void plan_prune(struct builder *build, struct plan *plan);

/* query/plan/heads.c: sorts of which only the first rows of each key are wanted. */
void plan_heads(struct builder *build, struct plan *plan);
/* query/plan/condition.c: what a scan can leave out by its filter. */
void plan_conditions(struct builder *build, struct plan *plan);
/* Surely raises for no row of its own: rows may be kept from it without an error being lost. */
bool plan_is_safe(const struct expr *expr);

/* query/plan/rewrite.c: helpers of the passes. */
struct expr_list {
    size_t count, capacity;
    struct expr **items;
};
void expr_list_add(struct arena *arena, struct expr_list *list, struct expr *expr);
/* AND taken apart, left to right; what is always true is left out. */
void expr_split(struct arena *arena, struct expr *expr, struct expr_list *out);
/* And put together again; NULL for none. */
struct expr *expr_join(struct arena *arena, const struct expr_list *list);
/* A copy in which column n is exprs[n]. */
struct expr *expr_substitute(const struct expr *expr, struct expr *const *exprs,
                             struct arena *arena);
/* Nodes below and itself, counted up to `limit`. */
size_t expr_size(const struct expr *expr, size_t limit);
/* Columns referenced: the least and greatest; false if none. */
bool expr_column_range(const struct expr *expr, uint32_t *least, uint32_t *greatest);
/* Does a subquery's value stand in it? */
bool expr_has_parameter(const struct expr *expr);
/* Are values of both kept and compared alike? int2, int4 and int8 are, real and double are. */
bool type_is_alike(struct type a, struct type b);
bool expr_is_operator(const struct expr *expr, const char *name);
/* Which of = < <= > >= it is, with its sides exchanged if is_swapped; false: none of them. */
bool expr_comparison(const struct expr *expr, bool is_swapped, enum compare_operation *out);

#endif
