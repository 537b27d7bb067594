/* GROUP BY over one table in a form that can be compared: what a rollup holds and what a query
 * asks, both said of the table's columns. */
#ifndef FRESHET_QUERY_PLAN_ROLLUP_H
#define FRESHET_QUERY_PLAN_ROLLUP_H

#include "query/expr/eval.h"
#include "query/plan/rewrite.h"

struct rollup_call {
    const struct aggregate *aggregate;
    uint32_t argument_count;
    struct expr **arguments;
    struct expr *filter; /* NULL: none */
    int32_t text_position;
};

/* Expressions are over the places of the schema's columns. */
struct rollup_form {
    const struct schema *schema;
    size_t key_count, call_count;
    struct expr **keys;
    struct rollup_call *calls;
    struct expr_list conditions; /* of WHERE, in the order they are asked in */
};

/* Of a PLAN_GROUP. With a context what is one value for all rows becomes that value; NULL: it stays
 * as it is. False: it is not of that form, or too large. In the arena. */
bool rollup_form_make(const struct plan *group, const struct eval_context *context,
                      struct arena *arena, struct rollup_form *out);
/* The same value for every row, to the last digit. */
bool rollup_is_same(const struct expr *a, const struct expr *b);
/* Does the aggregate add up from states of parts, to the same as if all rows had come to one? */
bool rollup_is_mergeable(const struct aggregate *aggregate);
/* Are states of one those of the other? */
bool rollup_is_one_state(const struct aggregate *a, const struct aggregate *b);
/* The first part that may be another value tomorrow, or for somebody else; NULL: none. */
const struct expr *rollup_find_loose(const struct expr *expr);

#endif
