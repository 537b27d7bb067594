/* libpg_query's tree (as JSON) to our own. Internal to query/sql. */
#ifndef FRESHET_QUERY_SQL_CONVERT_H
#define FRESHET_QUERY_SQL_CONVERT_H

#include "query/sql/ast.h"
#include "storage/base/json.h"

struct converter {
    struct arena *arena; /* of the result: strings are copied into it */
    struct slice text;
    uint32_t *character_counts; /* tree_count_characters(); NULL: the text is ASCII */
    uint32_t depth;
    bool is_stored; /* the type is a column's: those that stand for others in expressions are not */
    struct error *error;
};

/* --- tree.c --- */

/* Once, before the first position is asked for. */
void tree_count_characters(struct converter *c);
/* Node wrapper {"Type": {…}}: the inner object and its type's name. */
struct tree_node {
    struct slice type;
    const struct json_value *fields;
};
struct tree_node tree_unwrap(const struct json_value *value);
bool tree_is(const struct tree_node *node, const char *type);
const struct json_value *tree_get(const struct json_value *fields,
                                  const char *key); /* NULL if missing or null */
struct slice tree_text(const struct json_value *fields, const char *key); /* empty if missing */
bool tree_bool(const struct json_value *fields, const char *key);
bool tree_text_is(const struct json_value *fields, const char *key, const char *want);
int32_t tree_position(const struct converter *c,
                      const struct json_value *fields); /* of "location", 0 if none */
size_t tree_offset(const struct converter *c,
                   const struct json_value *fields); /* its byte, text.size if none */
size_t tree_count(const struct json_value *list);
struct slice tree_string(struct converter *c,
                         const struct json_value *wrapped); /* {"String":{"sval":…}} */
/* Names of a list of strings. */
size_t tree_strings(struct converter *c, const struct json_value *list, struct slice **out);
/* {"ival":n} as digits; `offset` is where the text has it, which is asked when n is missing. */
struct slice tree_digits(struct converter *c, const struct json_value *integer, size_t offset);
/* The integer of an A_Const; false if it is none. */
bool tree_integer(struct converter *c, const struct json_value *constant, int64_t *out);

enum err convert_error(struct converter *c, int32_t position, const char *sqlstate,
                       const char *format, ...) PRINTF_LIKE(4, 5);
/* 0A000 "<what> is not supported" */
enum err convert_unsupported(struct converter *c, int32_t position, const char *format, ...)
    PRINTF_LIKE(3, 4);
MUST_CHECK enum err convert_enter(struct converter *c,
                                  int32_t position); /* 54001; pair with c->depth-- */

/* --- convert_*.c --- */

MUST_CHECK enum err convert_expr(struct converter *c, const struct json_value *value,
                                 struct ast_node **out);
MUST_CHECK enum err convert_exprs(struct converter *c, const struct json_value *list,
                                  struct ast_node ***out, uint32_t *count);
MUST_CHECK enum err convert_type(struct converter *c, const struct json_value *type_name,
                                 struct type *out, struct slice *label);
/* regclass and its like: casts to these are calls of the function of that name. */
bool convert_is_reg_type(struct slice name);
MUST_CHECK enum err convert_order(struct converter *c, const struct json_value *sort_by,
                                  struct ast_order *out);
/* `fields` of a WindowDef: query/sql/convert_over.c */
MUST_CHECK enum err convert_over(struct converter *c, const struct json_value *fields,
                                 struct ast_window **out);
/* GROUP BY: query/sql/convert_group.c */
MUST_CHECK enum err convert_group(struct converter *c, const struct json_value *list,
                                  struct ast_select *select);
/* SELECT's WINDOW clause. */
MUST_CHECK enum err convert_windows(struct converter *c, const struct json_value *list,
                                    struct ast_select *select);
/* A list of ResTarget. */
MUST_CHECK enum err convert_targets(struct converter *c, const struct json_value *list,
                                    struct ast_select *select);
/* `fields` of a SelectStmt. */
MUST_CHECK enum err convert_select(struct converter *c, const struct json_value *fields,
                                   struct ast_select **out);
/* Puts the queries of a WITH that stands before the statement ahead of the SELECT's own. */
MUST_CHECK enum err convert_outer_with(struct converter *c, const struct json_value *with,
                                       struct ast_select *select);
MUST_CHECK enum err convert_statement(struct converter *c, const struct json_value *wrapped,
                                      struct ast_statement *out);

/* A RangeVar of schema public; 42622, 42501, 3F000. */
MUST_CHECK enum err convert_relation(struct converter *c, const struct json_value *relation,
                                     struct slice *name, int32_t *position);
/* query/sql/convert_session.c: SET, BEGIN, PREPARE, DECLARE …; *is_known false: none of these. */
MUST_CHECK enum err convert_session(struct converter *c, struct tree_node node, bool *is_known,
                                    struct ast_statement *out);
/* query/sql/convert_index.c */
MUST_CHECK enum err convert_create_index(struct converter *c, const struct json_value *fields,
                                         struct ast_statement *out);
/* query/sql/convert_copy.c */
MUST_CHECK enum err convert_copy(struct converter *c, const struct json_value *fields,
                                 struct ast_statement *out);
/* query/sql/convert_view.c */
MUST_CHECK enum err convert_create_materialized(struct converter *c,
                                                const struct json_value *fields,
                                                struct ast_statement *out);
MUST_CHECK enum err convert_create_view(struct converter *c, const struct json_value *fields,
                                        struct ast_statement *out);
/* `fields` of a DefElem: WITH (name = value). */
struct command_option;
MUST_CHECK enum err convert_option(struct converter *c, const struct json_value *fields,
                                   struct command_option *option);
/* query/sql/convert_subscription.c */
MUST_CHECK enum err convert_create_subscription(struct converter *c,
                                                const struct json_value *fields,
                                                struct ast_statement *out);
MUST_CHECK enum err convert_alter_subscription(struct converter *c, const struct json_value *fields,
                                               struct ast_statement *out);
MUST_CHECK enum err convert_drop_subscription(struct converter *c, const struct json_value *fields,
                                              struct ast_statement *out);
/* query/sql/convert_role.c */
MUST_CHECK enum err convert_create_role(struct converter *c, const struct json_value *fields,
                                        struct ast_statement *out);
MUST_CHECK enum err convert_alter_role(struct converter *c, const struct json_value *fields,
                                       struct ast_statement *out);
MUST_CHECK enum err convert_drop_role(struct converter *c, const struct json_value *fields,
                                      struct ast_statement *out);
MUST_CHECK enum err convert_grant(struct converter *c, const struct json_value *fields,
                                  struct ast_statement *out);
MUST_CHECK enum err convert_grant_role(struct converter *c, const struct json_value *fields,
                                       struct ast_statement *out);

/* query/sql/hints.c: words of other dialects. */
void hint_syntax(struct slice text, struct error *error);
/* Our type for another system's name, NULL if none is known. */
const char *hint_type(struct slice name);

/* Has one of a call's arguments a name? And all in their places; query/sql/convert_named.c. */
bool convert_has_names(const struct json_value *arguments);
MUST_CHECK enum err convert_named(struct converter *c, const struct json_value *arguments,
                                  struct ast_node *call);
/* A call whose last argument is VARIADIC; query/sql/convert_variadic.c. */
enum err convert_variadic(struct converter *c, struct ast_node *node);

#endif
