/* Literals of a statement's text, and which of them its plan takes as values.
 *
 * Texts that are equal but for literals have one shape, and may share one plan: see query/shape.c
 * (text to shape), query/plan/lift.c (what a plan can take as a value), query/lifted.c (values). */
#ifndef FRESHET_QUERY_PLAN_LITERAL_H
#define FRESHET_QUERY_PLAN_LITERAL_H

#include "storage/column/type.h"

/* '…' or digits with at most one point. Others ($tag$…$tag$, E'…', 1e5) are text like any other.
 * Comments between two tokens, up to the end of the last, are a literal that nothing is made of. */
struct literal {
    uint32_t offset, size; /* bytes of the text, quotes among them */
    int32_t position;      /* 1-based character */
    int32_t characters;
    bool is_string, is_comment;
    uint8_t type; /* of a number: int4, int8 or numeric */
};

struct text_shape {
    struct slice text;
    uint64_t hash; /* of all but the literals */
    size_t count;  /* 0: it has no shape of its own */
    struct literal *literals;
};

struct expr;

/* A value that the plan asks for by EXPR_BOUND, from BOUND_LIFTED_FIRST on. */
struct lifted {
    uint32_t literal; /* which of the text's … */
    struct type type; /* … and what it is read as; */
    /* or computed of values before it: an expression without columns. NULL: it is the literal. */
    const struct expr *formula;
};

struct lifted_list {
    struct text_shape shape; /* of the text that the plan was made from */
    bool has_shape;          /* other texts may have it: a value is lifted, or it has a comment */
    bool *is_lifted;         /* by literal; others must be the same in every text */
    size_t count;
    struct lifted *items;
};

#endif
