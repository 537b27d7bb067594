/* Names and types: our tree to a plan. Internal to query/sql. */
#ifndef FRESHET_QUERY_SQL_BIND_H
#define FRESHET_QUERY_SQL_BIND_H

#include "query/expr/build.h"
#include "query/sql/ast.h"
#include "query/sql/sql.h"

/* Aggregates of a SELECT stand in its bound expressions as columns from here on, until the GROUP is
 * built. */
#define AGGREGATE_COLUMN_FIRST (UINT32_C(1) << 24)
/* … and calls with OVER from here on, until their WINDOW is built. */
#define OVER_COLUMN_FIRST (UINT32_C(1) << 25)
/* … and grouping(…) from here on. */
#define GROUPING_COLUMN_FIRST (UINT32_C(1) << 26)
/* … and functions that give rows from here on. */
#define SERIES_COLUMN_FIRST (UINT32_C(1) << 27)
/* Plan nodes of a statement: WITH is bound at each reference, so a short text could ask for very
 * many. */
#define PLAN_NODES_MAX 10000
/* … and bytes: each join of a chain names the columns of all before it. */
#define PLAN_SIZE_MAX ((size_t)256 << 20)
/* How often one written expression may stand in the plan (BETWEEN and CASE x WHEN repeat theirs).
 */
#define EXPR_COPIES_MAX 20000

struct scope_column {
    struct slice schema, table, name;
    struct type type;
    bool is_merged; /* one of two that USING made one: only its table's name finds it */
    bool is_hidden; /* a system column: * does not give it */
};

/* A column that USING or NATURAL made of two. */
struct scope_merged {
    struct slice name;
    uint32_t column; /* of the plan below */
    uint32_t first;  /* of its join's columns: * gives it before that one */
};

struct scope_relation {
    struct slice schema, name;
};

struct scope;

struct cte_scope { /* innermost first */
    const struct ast_cte *cte;
    const struct cte_scope *outer;
    const struct scope
        *around; /* of the query that has the WITH: what its names may mean besides */
    struct recursion *recursion; /* of its own query, while that is bound; else NULL */
};

/* A query of WITH RECURSIVE that is being bound. */
struct recursion {
    bool is_open; /* its name may be used: in the side after UNION */
    uint32_t number;
    size_t use_count;
    struct plan *base; /* the side before it: what names and types its rows have */
};

/* What a subquery, or a LATERAL item of FROM, takes of the query around it: each name found there
 * becomes a slot (EXPR_OUTER inside) and an argument (an expression of the query around). */
struct correlation {
    struct scope *around;
    const struct scope *beyond; /* where names go on that `around` has not */
    size_t count, capacity;
    struct expr **arguments;
    size_t slot_capacity;
    uint32_t *slots;
    size_t uses;
    bool is_refused; /* LATERAL to the right of RIGHT or FULL JOIN */
};

struct grouping_call { /* grouping(…) */
    int32_t position;
    uint32_t count;
    struct expr **arguments;
};

/* GROUPING SETS: bit n of a set is key n. count 0: GROUP BY has none. */
struct grouping_sets {
    size_t count;
    uint64_t *sets;
};

/* Binds an expression of GROUP BY: *key is its number. */
struct set_keys {
    void *context;
    enum err (*bind)(void *context, const struct ast_node *node, size_t *key);
};

/* A call with OVER and its window. */
struct over_call {
    struct window_call call;
    size_t partition_count, key_count; /* the first are PARTITION BY */
    struct sort_key *keys;
};

struct scope {
    const struct scope *outer; /* the border to the query around, NULL: none */
    /* The border to what stands before in FROM, while an item of FROM is bound: LATERAL looks
     * there, and then in `outer`. NULL: nothing does. */
    const struct scope *lateral;
    struct correlation *correlation; /* a border: has no columns, but leads to those around */
    const struct cte_scope *ctes;
    size_t column_count, column_capacity;
    struct scope_column *columns; /* index = column of the plan below */
    size_t relation_count, relation_capacity;
    struct scope_relation *relations;
    size_t merged_count, merged_capacity;
    struct scope_merged *merged; /* those of an outer join before those of its sides */
    /* Aggregates are collected here while is_aggregate_allowed; else the clause's name is in the
     * error. */
    bool is_aggregate_allowed, is_in_aggregate;
    const char *clause;
    size_t aggregate_count, aggregate_capacity;
    struct aggregate_call *aggregates;
    /* Functions that give rows are collected here while is_series_allowed. */
    bool is_series_allowed;
    size_t series_count, series_capacity;
    struct series_call *series;
    size_t grouping_count, grouping_capacity;
    struct grouping_call *groupings;
    /* Calls with OVER are collected here while is_over_allowed. */
    bool is_over_allowed, is_in_over;
    const struct ast_select *select; /* its WINDOW clause; NULL: none */
    size_t over_count, over_capacity;
    struct over_call *overs;
};

struct binder {
    struct builder build;
    struct arena *arena;
    const struct sql_context *context;
    struct statement *statement;
    struct error *error;
    size_t node_count;
    size_t copies;
    size_t subplan_capacity, table_capacity;
    size_t view_depth, view_bytes;        /* views within views; text of all of them */
    const struct view_definition *inside; /* the view whose text is bound, NULL: none */
    const struct ast_select *outermost;   /* of a statement that may have a shape, else NULL */
    struct view_dependencies *depends;    /* CREATE VIEW: what its own text names; else NULL */
};

/* May literals that are bound now become values of the plan? Not those of a view's text. */
static inline bool bind_can_lift(const struct binder *b)
{
    return b->build.is_literal_fixed != NULL && b->inside == NULL;
}

struct dependency_list {
    size_t count, capacity;
    uint32_t *ids;
    struct slice *names; /* in the text */
    uint64_t *marks;     /* a table's version, view_mark() */
};

struct view_dependencies {
    struct dependency_list tables, views;
};

enum err bind_error(struct binder *b, int32_t position, const char *sqlstate, const char *format,
                    ...) PRINTF_LIKE(4, 5);
enum err bind_unsupported(struct binder *b, int32_t position, const char *what);
/* Grows an array in the arena to hold one more; returns it. */
void *bind_grow(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size);

/* query/sql/scope.c */
void scope_add_column(struct binder *b, struct scope *scope, const struct scope_column *column);
/* 42712 if the name is there already. */
MUST_CHECK enum err scope_add_relation(struct binder *b, struct scope *scope, struct slice schema,
                                       struct slice name, int32_t position);
void scope_add_merged(struct binder *b, struct scope *scope, const struct scope_merged *merged);
/* Columns that an unqualified name finds, the last of them in *column. */
size_t scope_find_name(const struct scope *scope, struct slice name, uint32_t *column);
/* Columns of the scope in the order of *, by number; `out` has room for column_count. */
size_t scope_star(const struct scope *scope, uint32_t *out);
/* A name of one to three parts, here or in a query around; 42703, 42702, 42P01. */
MUST_CHECK enum err scope_find(struct binder *b, const struct scope *scope,
                               const struct ast_node *node, struct expr **out);
/* What stands inside for an expression of the query around. */
struct expr *scope_cross(struct binder *b, struct correlation *correlation, struct expr *expr);
/* The same, here only. */
MUST_CHECK enum err scope_resolve(struct binder *b, const struct scope *scope,
                                  const struct ast_node *node, uint32_t *column);
/* Is there exactly such an unqualified column? No error. */
bool scope_has_column(const struct scope *scope, struct slice name);
bool scope_column_matches(const struct scope_column *column, const struct slice *qualifier,
                          size_t count);

/* query/sql/bind_expr.c */
MUST_CHECK enum err bind_expr(struct binder *b, struct scope *scope, const struct ast_node *node,
                              struct expr **out);
/* Each of a node's arguments; the list has room for one more. */
MUST_CHECK enum err bind_arguments(struct binder *b, struct scope *scope,
                                   const struct ast_node *node, struct expr ***out);
/* Boolean, for WHERE and the like; aggregates refused under that name unless the scope allows them.
 */
MUST_CHECK enum err bind_condition(struct binder *b, struct scope *scope,
                                   const struct ast_node *node, const char *clause,
                                   struct expr **out);
/* The name PostgreSQL gives a column of this expression. */
struct slice bind_label(const struct ast_node *node);

/* query/sql/bind_returning.c: INSERT's rows, `count` of the table's columns, get all of them and
 * behind them what RETURNING says. */
struct schema;
MUST_CHECK enum err bind_returning(struct binder *b, struct ast_statement *ast,
                                   const struct schema *schema, const uint32_t *columns,
                                   size_t count, struct plan **plan);

/* query/sql/bind_parameter.c: parameter('name' [, default]) */
MUST_CHECK enum err bind_parameter(struct binder *b, struct scope *scope,
                                   const struct ast_node *node, struct expr **out);
/* When all is bound: each has a type and a default that is of it; they go into the statement. */
MUST_CHECK enum err bind_finish_parameters(struct binder *b);

/* query/sql/bind_from.c */
MUST_CHECK enum err bind_from_list(struct binder *b, struct scope *scope,
                                   struct ast_from *const *items, size_t count, struct plan **out);
/* query/sql/bind_subquery.c: (SELECT …) as a value, EXISTS, IN, ANY, ALL, ARRAY. */
MUST_CHECK enum err bind_subquery(struct binder *b, struct scope *scope,
                                  const struct ast_node *node, struct expr **out);

/* query/sql/bind_join.c: JOIN … ON, USING, NATURAL. */
MUST_CHECK enum err bind_join(struct binder *b, struct scope *scope, const struct ast_from *from,
                              struct plan **out);
MUST_CHECK enum err bind_new_join(struct binder *b, struct plan *left, struct plan *right,
                                  enum join_kind kind, struct plan **out);
/* Binds an item that may look at what `around` has so far (LATERAL, functions), and joins it: an
 * APPLY if it did. */
MUST_CHECK enum err bind_right_item(struct binder *b, struct scope *around,
                                    const struct ast_from *from, enum join_kind kind,
                                    struct plan *left, struct plan **out);
/* A PROJECT of the child's columns and of `extra` ones after them, to be filled in. */
MUST_CHECK enum err bind_widen(struct binder *b, struct plan *child, size_t extra,
                               struct plan **out);
/* query/sql/bind_from.c: the columns of a FROM item under the name given, or its alias. */
MUST_CHECK enum err bind_add_columns(struct binder *b, struct scope *scope,
                                     const struct ast_from *from, struct slice schema,
                                     struct slice name, struct plan *plan);
/* query/sql/bind_series.c: functions in FROM */
MUST_CHECK enum err bind_series(struct binder *b, struct scope *scope, const struct ast_from *from,
                                struct plan **out);
bool bind_is_series(struct slice name);
/* A call of one that gives rows; casts `arguments`. */
MUST_CHECK enum err bind_series_call(struct binder *b, struct slice name, struct expr **arguments,
                                     size_t count, int32_t position, struct series_call *call);
MUST_CHECK enum err bind_series_plan(struct binder *b, const struct series_call *calls,
                                     size_t call_count, const struct plan_column *columns,
                                     size_t column_count, struct plan **out);
/* query/sql/bind_project_set.c: such functions elsewhere, as columns past SERIES_COLUMN_FIRST */
MUST_CHECK enum err bind_series_target(struct binder *b, struct scope *scope,
                                       const struct ast_node *node, struct expr **out);
bool bind_has_series(const struct expr *expr);
/* As bind_over_exprs and bind_over_replace, for their arguments. */
size_t bind_series_exprs(const struct scope *scope, struct expr **exprs);
void bind_series_replace(struct scope *scope, struct expr *const *exprs);
/* Joins them to *plan; rewrites exprs[0 … count) to its columns. None is left in the scope. */
MUST_CHECK enum err bind_series_join(struct binder *b, struct scope *scope, struct expr **exprs,
                                     size_t count, struct plan **plan);
/* query/sql/bind_window.c */
bool bind_is_window(const struct ast_from *from);
MUST_CHECK enum err bind_window(struct binder *b, struct scope *scope, const struct ast_from *from,
                                struct plan **out);
/* One item; its columns are added to the scope. */
MUST_CHECK enum err bind_from_item(struct binder *b, struct scope *scope,
                                   const struct ast_from *from, struct plan **out);

/* query/sql/bind_select.c */
/* keeps_unknown: literals of a bare SELECT may stay untyped (UNION decides). */
MUST_CHECK enum err bind_select(struct binder *b, const struct scope *outer,
                                const struct cte_scope *ctes, const struct ast_select *select,
                                bool keeps_unknown, struct plan **out);
/* query/sql/bind_set.c: VALUES, UNION, INTERSECT, EXCEPT */
MUST_CHECK enum err bind_values(struct binder *b, const struct scope *outer,
                                const struct cte_scope *ctes, const struct ast_select *select,
                                struct plan **out);
MUST_CHECK enum err bind_set_operation(struct binder *b, const struct scope *outer,
                                       const struct cte_scope *ctes,
                                       const struct ast_select *select, struct plan **out);
/* query/sql/bind_group.c */
/* Puts a GROUP over *plan; rewrites exprs[0 … expr_count) from its input's columns to its output's.
 * 42803. */
struct group_request {
    struct expr **keys;
    size_t key_count;
    struct grouping_sets sets;
    struct expr **exprs;
    size_t expr_count;
};
MUST_CHECK enum err bind_group(struct binder *b, struct scope *scope,
                               const struct group_request *request, struct plan **plan);

/* query/sql/bind_sets.c: ROLLUP, CUBE, GROUPING SETS */
bool bind_has_sets(const struct ast_select *select);
MUST_CHECK enum err bind_sets(struct binder *b, const struct ast_select *select,
                              const struct set_keys *keys, struct grouping_sets *out);
/* grouping(…), as a column past GROUPING_COLUMN_FIRST. */
MUST_CHECK enum err bind_grouping(struct binder *b, struct scope *scope,
                                  const struct ast_node *node, struct expr **out);
/* Puts an EXPAND over *plan: its columns, the keys, the set's number, one for each grouping(…). */
MUST_CHECK enum err bind_expand(struct binder *b, const struct scope *scope,
                                const struct grouping_sets *sets, struct expr **keys,
                                size_t key_count, struct plan **plan);

/* query/sql/bind_over.c */
/* A call with OVER, as a column past OVER_COLUMN_FIRST. */
MUST_CHECK enum err bind_over(struct binder *b, struct scope *scope, const struct ast_node *node,
                              struct expr **out);
/* 42809 where a window function stands without OVER. */
MUST_CHECK enum err bind_check_over(struct binder *b, const struct ast_node *node);
/* The WINDOW clause's definitions, also those that nothing uses. */
MUST_CHECK enum err bind_over_definitions(struct binder *b, struct scope *scope);
/* The expressions of all calls: written to exprs (NULL: only counted), or put back from them. */
size_t bind_over_exprs(const struct scope *scope, struct expr **exprs);
void bind_over_replace(struct scope *scope, struct expr *const *exprs);
/* query/sql/bind_over_plan.c: puts SORT and WINDOW nodes over *plan; rewrites exprs[0 … count) to
 * their output. */
MUST_CHECK enum err bind_over_plan(struct binder *b, struct scope *scope, struct expr **exprs,
                                   size_t count, struct plan **plan);
bool bind_has_over(const struct expr *expr);
/* Are the first `count` keys of both the same? */
bool bind_same_keys(const struct over_call *a, const struct over_call *b, size_t count);

/* query/sql/bind_view.c: a name in FROM that may be a view's; *is_view tells. */
MUST_CHECK enum err bind_view(struct binder *b, struct scope *scope, const struct ast_from *from,
                              bool *is_view, struct plan **out);
/* query/sql/bind_rollup.c: 0A000 for what cannot be grouped segment by segment. */
MUST_CHECK enum err bind_check_rollup(struct binder *b, const struct ast_statement *ast,
                                      const struct view_dependencies *depends,
                                      const struct plan *plan);
MUST_CHECK enum err bind_create_view(struct binder *b, struct ast_statement *ast);
/* The table that the text of the view around calls so; false: ask by name. */
bool bind_view_table_id(const struct binder *b, struct slice name, uint32_t *id);
void bind_depend_on_table(struct binder *b, const struct schema *schema);
/* 42501 unless the asker has the right on what the statement itself names. */
MUST_CHECK enum err bind_check_right(struct binder *b, int32_t position, struct slice name,
                                     uint32_t id, enum right right);

/* query/sql/bind_command.c, bind_show.c */
MUST_CHECK enum err bind_command(struct binder *b, struct ast_statement *ast);
MUST_CHECK enum err bind_show(struct binder *b, struct slice name);

/* Nodes. Each counts against PLAN_NODES_MAX. */
MUST_CHECK enum err bind_new_plan(struct binder *b, enum plan_kind kind, size_t column_count,
                                  size_t child_count, struct plan **out);
MUST_CHECK enum err bind_filter(struct binder *b, struct plan *child, struct expr *predicate,
                                struct plan **out);
/* A SORT over *plan, which takes its place; the keys are copied. */
MUST_CHECK enum err bind_sort(struct binder *b, const struct sort_key *keys, size_t key_count,
                              struct plan **plan);
/* The columns of a set operation: the left side's names, the types both sides can be. */
MUST_CHECK enum err bind_set_types(struct binder *b, const struct ast_select *select,
                                   struct plan *const *sides, const char *what,
                                   struct plan_column *columns, struct type *types);
/* Both sides, bound with keeps_unknown, become one plan; then its ORDER BY and LIMIT: output names,
 * places; over VALUES expressions too. */
MUST_CHECK enum err bind_set_sides(struct binder *b, const struct ast_select *select,
                                   struct plan **sides, struct plan **out);
MUST_CHECK enum err bind_order_set(struct binder *b, const struct scope *outer,
                                   const struct cte_scope *ctes, const struct ast_select *select,
                                   struct plan **plan);
/* The query of a WITH RECURSIVE, whether it names itself or not; and its name within it. */
MUST_CHECK enum err bind_recursive(struct binder *b, const struct cte_scope *entry,
                                   struct plan **out);
MUST_CHECK enum err bind_working(struct binder *b, const struct scope *scope,
                                 const struct ast_from *from, const struct cte_scope *entry,
                                 struct plan **out);
/* What stands in its WITH, put before the others. */
const struct cte_scope *bind_with(struct binder *b, const struct scope *outer,
                                  const struct cte_scope *ctes, const struct ast_select *select);
MUST_CHECK enum err bind_cast_columns(struct binder *b, struct plan **plan,
                                      const struct type *types);
uint32_t bind_add_subplan(struct binder *b, struct plan *plan, const struct subplan_slots *slots);
/* is_read: rows of it are asked for. */
void bind_add_table(struct binder *b, const struct schema *schema, bool is_read);

#endif
