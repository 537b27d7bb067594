/* Bound expressions: names resolved, every node typed, casts explicit. Read-only after binding;
 * shared by plans, the plan cache and threads. Built by build.h, run by eval.h. */
#ifndef FRESHET_QUERY_EXPR_EXPR_H
#define FRESHET_QUERY_EXPR_EXPR_H

#include "storage/column/type.h"

struct function; /* query/func/func.h */

enum expr_kind {
    EXPR_CONSTANT, /* constant */
    EXPR_BOUND,    /* parameter: $1 … are 0 …, named ones BOUND_NAMED_FIRST …, literals
                      BOUND_LIFTED_FIRST …; a value of the run */
    EXPR_COLUMN,   /* column: index into the input batch */
    /* Subqueries, run when first asked for. Those that name columns of the query around have as
     * arguments, last of all, what stands for these: the values of the subquery's slots. */
    EXPR_PARAMETER,  /* parameter: the one value of a scalar subquery */
    EXPR_EXISTS,     /* parameter: does that subquery give a row */
    EXPR_QUANTIFIED, /* test of left_count arguments and each row of subquery `parameter`: is it
                        true for some row, or for all (is_all) */
    EXPR_OUTER,      /* parameter: the slot, a value of the query around, set while this one runs */
    EXPR_IN_SUBQUERY, /* arguments[0] = ANY (the one column of subquery `parameter`); is_negated:
                         NOT IN */
    EXPR_CALL,        /* function(arguments…): operators and scalar functions */
    EXPR_CAST, /* arguments[0] to `type`, with its modifiers; is_all: written by hand, so varchar(n)
                  cuts */
    EXPR_AND,
    EXPR_OR, /* 2 or more arguments, left to right on selection vectors */
    EXPR_NOT,
    EXPR_IS_NULL, /* is_negated: IS NOT NULL */
    EXPR_IS_TRUE,
    EXPR_IS_FALSE,
    EXPR_IS_UNKNOWN,  /* is_negated */
    EXPR_IS_DISTINCT, /* arguments[0] IS [NOT] DISTINCT FROM arguments[1], same type */
    EXPR_CASE, /* when, then, when, then …, [else]: odd count has an else; conditions are boolean */
    EXPR_COALESCE,
    EXPR_NULLIF, /* two arguments as `function`, an "=", wants them */
    EXPR_GREATEST,
    EXPR_LEAST,
    EXPR_IN,            /* arguments[0] IN (arguments[1] …), one type; is_negated */
    EXPR_ARRAY_COMPARE, /* arguments[0] `function` ANY|ALL (arguments[1] is an array); is_all */
    EXPR_ARRAY          /* ARRAY[…]: elements of one type */
};

#define BOUND_NAMED_FIRST (UINT32_C(1) << 16)
/* Literals that were lifted out of the text: query/plan/lift.c. */
#define BOUND_LIFTED_FIRST (UINT32_C(1) << 17)

struct expr {
    enum expr_kind kind;
    struct type type;
    int32_t text_position; /* 1-based character in the query, 0 unknown: errors name it */
    bool is_negated, is_all;
    uint32_t argument_count;
    /* CONSTANT: which literal of the text it is, from 1; 0: none, or not to be asked for … */
    uint32_t literal;
    const struct expr *folded; /* … and the expression over such that it was computed of, or NULL */
    struct expr **arguments;
    union {
        struct value constant;
        uint32_t column;
        struct {
            uint32_t parameter;
            uint32_t left_count;
            struct expr *test; /* over the left values, then the subquery's columns */
        };
        const struct function *function;
    };
};

struct aggregate; /* query/func/aggregate.h */

#define EXPR_DIRECT_MAX 2

/* A key of ORDER BY within an aggregate's call. */
struct aggregate_order {
    bool is_descending, is_nulls_first;
};

/* One aggregate in a GROUP BY's target list. */
struct aggregate_call {
    const struct aggregate *aggregate;
    struct type type; /* of the result */
    uint32_t argument_count;
    struct expr **arguments; /* over the group's input; casts already in */
    /* The last `order_count` of the arguments are not update's: rows go to it in their order. */
    uint32_t order_count;
    struct aggregate_order *orders;
    struct expr *filter; /* FILTER (WHERE …) or NULL */
    bool is_distinct;
    bool is_star;          /* count(*) */
    struct expr *order_by; /* WITHIN GROUP (ORDER BY …) of percentile_cont, else NULL */
    bool is_descending;    /* of order_by */
    struct value direct[EXPR_DIRECT_MAX]; /* constants: the fraction of percentile_cont */
    int32_t text_position;
};

/* Equal in structure (for GROUP BY matching): positions ignored, volatile calls never equal. */
bool expr_equal(const struct expr *a, const struct expr *b);
/* No column, parameter or volatile call below. STABLE (now()) counts as variable for folding. */
bool expr_is_constant(const struct expr *expr);
bool expr_is_volatile(const struct expr *expr);
/* query/expr/zone.c: is the node's value given by its arguments' and the session's zone alone? Not
 * asked of what is below it. False of subqueries and values of the run. */
bool expr_is_zoned(const struct expr *expr);
/* Is it, or is something below it, of that kind? */
bool expr_has_kind(const struct expr *expr, enum expr_kind kind);
/* Is it a subquery? */
bool expr_is_subquery(const struct expr *expr);
/* Calls `visit` on each EXPR_COLUMN below. */
void expr_visit_columns(const struct expr *expr, void (*visit)(void *context, uint32_t column),
                        void *context);
/* Copy with columns renumbered by map[old] (map NULL: a plain copy). */
struct expr *expr_copy(const struct expr *expr, const uint32_t *map, struct arena *arena);
/* SQL-like text for EXPLAIN; column names from `names` (NULL: #n). */
void expr_print(const struct expr *expr, const struct slice *names, struct writer *out);

#endif
