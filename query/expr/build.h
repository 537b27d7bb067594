/* Builds typed expressions by PostgreSQL 15's rules: operator and function resolution with implicit
 * casts, unknown literals taking the other side's type, common types for CASE/UNION/IN. Every
 * function gives 42883 (no such function/operator, with the argument types in the text and a hint),
 * 42804, 42846, 42725 … with the text position. Constant subtrees of immutable functions are folded
 * unless that raises. */
#ifndef FRESHET_QUERY_EXPR_BUILD_H
#define FRESHET_QUERY_EXPR_BUILD_H

#include "query/expr/expr.h"
#include "storage/base/arena.h"

/* A parameter: $1 (no name) or parameter('name'). Its type is unknown until a place where it stands
 * decides, as in PostgreSQL. */
struct parameter {
    struct slice name;
    struct type type;
    bool is_used;
    bool is_bare;     /* stands somewhere without a default */
    bool has_default; /* a literal, of the type that will be found */
    bool is_null_default;
    bool has_own_default; /* an expression, where it stands */
    struct slice default_text;
};

#define PARAMETERS_MAX 65535
#define NAMED_PARAMETERS_MAX 1000

struct parameter_list {
    size_t count, capacity;
    struct parameter *items;
};

/* What is found out about them while a statement is built. */
struct parameters {
    bool is_numbered_allowed, is_named_allowed; /* else 42P02: there is no $1 */
    struct parameter_list numbered, named;      /* $1 is numbered.items[0] */
    bool needs_values;                          /* some place takes constants only … */
    const struct value *values;                 /* … then these, numbered ones first; else NULL */
    size_t value_count, numbered_value_count;
};

struct builder {
    struct arena *arena;
    const struct timezone *zone; /* session time zone for literals */
    struct error *error;
    struct parameters *parameters; /* NULL: there can be none */
    int64_t fold_until_us; /* on the monotonic clock: constants made after it are left to the run;
                              0: none was made yet */
    /* Called now and then with the bytes that the plan has taken; its error ends the preparation.
     * NULL: nothing. */
    enum err (*look)(void *context, size_t bytes, struct error *error);
    void *look_context;
    size_t looks;    /* steps so far */
    enum err looked; /* what it said last */
    /* By literal of the text: what the plan is depends on it. NULL: nobody asks. */
    bool *is_literal_fixed;
};

/* What the plan is depends on the literals in it. */
void build_fix_literals(struct builder *b, const struct expr *expr);
/* A step is done: looks, every so many. Once it has failed it does so for good, so whoever cannot
 * return it may go on with whatever is quick. */
MUST_CHECK enum err build_look(struct builder *b);

enum cast_context { CAST_IMPLICIT, CAST_ASSIGNMENT, CAST_EXPLICIT };

struct expr *build_constant(struct builder *b, const struct value *value, int32_t position);
/* An SQL string literal: TYPE_UNKNOWN until something resolves it. */
struct expr *build_string(struct builder *b, struct slice text, int32_t position);
struct expr *build_null(struct builder *b, int32_t position);
/* An SQL number: integer, bigint or numeric by PostgreSQL's rule. */
struct expr *build_number(struct builder *b, struct slice text, int32_t position);
/* The value of a literal that was made a constant of this type, from a text of the same shape; its
 * position is not set in an error. False: it is another thing there, or none. */
bool build_literal_value(struct builder *b, struct slice text, bool is_string, struct type type,
                         struct value *out);
struct expr *build_column(struct builder *b, uint32_t column, struct type type, int32_t position);

/* $number, or (0) parameter('name'): of its type as far as that is known. 42P02. */
MUST_CHECK enum err build_parameter(struct builder *b, uint32_t number, struct slice name,
                                    int32_t position, struct expr **out);
/* Types of $1 … that are known beforehand; TYPE_UNKNOWN where one is not. */
void build_give_types(struct builder *b, const struct type *types, size_t count);
/* For places that take constants only: where a parameter stands in *expr, a constant of the type
 * stands in for it, and the statement is built again when its value is known. */
void build_want_constant(struct builder *b, struct expr **expr);
/* 42P18, 42P08 for a parameter whose type was not found, in `expr` or at all. */
MUST_CHECK enum err build_check_parameter(struct builder *b, const struct expr *expr);
MUST_CHECK enum err build_check_parameters(struct builder *b);

/* Each returns ERR_INPUT and fills b->error, or OK and *out. */
MUST_CHECK enum err build_call(struct builder *b, struct slice name, struct expr **arguments,
                               size_t count, int32_t position, struct expr **out);
/* Prefix operators: left NULL. Names as written: + - * / % ^ || = <> != < <= > >= ~ ~* !~ !~* ~~
 * (LIKE) ~~* !~~ !~~*
 * -> ->> #> #>> @> && AND the rest of PostgreSQL's names, refused as 42883. */
MUST_CHECK enum err build_operator(struct builder *b, struct slice name, struct expr *left,
                                   struct expr *right, int32_t position, struct expr **out);
MUST_CHECK enum err build_cast(struct builder *b, struct expr *in, struct type type,
                               enum cast_context context, int32_t position, struct expr **out);
/* AND, OR, NOT, IS …, CASE, COALESCE, NULLIF, GREATEST, LEAST, IN, ARRAY: `kind` says which;
 * arguments as expr.h lays them out, still untyped where literals are. Coerces to boolean or to the
 * common type. */
MUST_CHECK enum err build_node(struct builder *b, enum expr_kind kind, bool is_negated,
                               struct expr **arguments, size_t count, int32_t position,
                               struct expr **out);
/* ARRAY[…]::type[]: each item cast to the element's type; may be empty. */
MUST_CHECK enum err build_typed_array(struct builder *b, struct expr **items, size_t count,
                                      struct type type, int32_t position, struct expr **out);
/* left op ANY|ALL (array). An untyped array has elements of left's type. */
struct array_compare {
    struct slice operator_name;
    bool is_all;
    int32_t position;
};
MUST_CHECK enum err build_array_compare(struct builder *b, const struct array_compare *compare,
                                        struct expr *left, struct expr *array, struct expr **out);
/* left op ANY|ALL (ARRAY[…]): other than texts and whole numbers are compared as a list, which
 * scans know more of. */
MUST_CHECK enum err build_list_compare(struct builder *b, const struct array_compare *compare,
                                       struct expr *left, struct expr **items, size_t count,
                                       struct expr **out);
/* array[index], jsonb['key'], array[from:to] (three arguments). 42804 for what has no elements. */
MUST_CHECK enum err build_subscript(struct builder *b, struct expr **arguments, size_t count,
                                    int32_t position, struct expr **out);
/* The type all of these can be, as UNION and VALUES choose it (unknown alone becomes text); 42804
 * names `what`. */
MUST_CHECK enum err build_common_type(struct builder *b, struct expr *const *exprs, size_t count,
                                      const char *what, struct type *out);
/* WHERE and the like: boolean or 42804 "argument of WHERE must be type boolean, not type integer".
 */
MUST_CHECK enum err build_condition(struct builder *b, struct expr *in, const char *clause,
                                    struct expr **out);
/* Unknown literals left at the top of a target list become text. */
struct expr *build_finish(struct builder *b, struct expr *in);

/* Is `name` an aggregate (count, sum, …)? */
bool build_is_aggregate(struct slice name);
struct aggregate_request {
    struct slice name;
    struct expr **arguments;
    size_t argument_count;
    bool is_star, is_distinct;
    struct expr *filter; /* may be NULL */
    size_t order_count;  /* ORDER BY in the call … */
    bool is_within;      /* … or of WITHIN GROUP */
    struct expr **order_keys;
    const struct aggregate_order *orders;
    int32_t position;
};
MUST_CHECK enum err build_aggregate(struct builder *b, const struct aggregate_request *request,
                                    struct aggregate_call *out);

#endif
