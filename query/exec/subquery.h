/* Subqueries: their rows, by the values they are given of the query around. */
#ifndef FRESHET_QUERY_EXEC_SUBQUERY_H
#define FRESHET_QUERY_EXEC_SUBQUERY_H

#include "query/exec/rowset.h"

struct subquery_entry; /* subquery.c */

struct subquery {
    const struct plan *plan;
    const struct subplan_slots *slots;
    /* What is remembered, in `memory`: rows by the values of the slots. */
    struct exec_memory memory;
    struct subquery_entry *entries;     /* open addressing */
    size_t entry_count, entry_capacity; /* the capacity: a power of two, or 0 */
    struct rowset rows;                 /* of the run under way, or of the only one */
    struct arena run;                   /* the plan's nodes during a run */
    struct writer key;
};

void subquery_init(struct subquery *subquery, const struct plan *plan,
                   const struct subplan_slots *slots, struct budget *budget);
void subquery_deinit(struct subquery *subquery); /* a zeroed one is fine */
/* The rows, run if these values were not met before (by their bytes; NULL for no slots). They hold
 * until the next call. */
MUST_CHECK enum err subquery_rows(struct subquery *subquery, struct exec *exec,
                                  const struct value *values, const struct parameter_rows **out,
                                  struct error *error);

/* query/exec/lookup.c; NULL is nothing. */
void lookup_rows_free(struct lookup_rows *rows);

#endif
