/* Which function a name and argument types mean: PostgreSQL's rules for overloads. For query/expr
 * only. */
#ifndef FRESHET_QUERY_EXPR_RESOLVE_H
#define FRESHET_QUERY_EXPR_RESOLVE_H

#include "query/expr/build.h"
#include "query/func/func.h"

enum resolution { RESOLVED, RESOLVE_NONE, RESOLVE_AMBIGUOUS };

/* B boolean, N number, S string, D date and time, T interval, A array, X unknown, U the rest. */
char type_category(enum type_id type);
bool type_is_preferred(enum type_id type);
/* Implicitly; unknown becomes anything. */
bool type_can_become(enum type_id from, enum type_id to);
enum resolution resolve_function(struct slice name, const enum type_id *types, size_t count,
                                 bool is_operator, const struct function **out);
/* Is there a function of exactly these types? */
const struct function *resolve_exact(struct slice name, const enum type_id *types, size_t count);

/* Fills b->error: ERR_INPUT. */
enum err build_fail(struct builder *b, const char *sqlstate, int32_t position, const char *format,
                    ...) PRINTF_LIKE(4, 5);
struct expr *build_expr(struct builder *b, enum expr_kind kind, struct type type,
                        uint32_t argument_count, int32_t position);
/* Replaces a subtree of constants by its value, unless computing it raises. */
struct expr *build_fold(struct builder *b, struct expr *expr);
/* An unknown parameter takes a type, 42P08 if it has another. query/expr/parameter.c */
bool is_unknown_parameter(const struct expr *expr);
enum err parameter_become(struct builder *b, struct expr *in, struct type type, int32_t position);
/* Implicit cast that is known to exist. */
enum err build_coerce(struct builder *b, struct expr **expr, struct type type);
/* A call of a function that has been chosen; arguments are cast. */
enum err build_chosen(struct builder *b, const struct function *function, struct expr **arguments,
                      size_t count, int32_t position, struct expr **out);
enum err build_operator_find(struct builder *b, struct slice name, enum type_id left,
                             enum type_id right, bool is_unary, int32_t position,
                             const struct function **out);

#endif
