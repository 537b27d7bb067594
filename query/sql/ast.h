/* The statement as written, in our own small tree: only what is supported gets this far. Positions
 * are 1-based characters of the text. Everything lies in the statement's arena. */
#ifndef FRESHET_QUERY_SQL_AST_H
#define FRESHET_QUERY_SQL_AST_H

#include "query/sql/command.h"
#include "query/plan/frame.h"
#include "storage/base/arena.h"
#include "storage/column/type.h"

enum ast_kind {
    AST_COLUMN, /* fields */
    AST_STAR,   /* fields: the qualifier, may be none */
    AST_STRING,
    AST_NUMBER,
    AST_BOOL,
    AST_NULL,
    AST_CALL,     /* text, arguments, and what aggregates add */
    AST_OPERATOR, /* text; one argument: prefix */
    AST_AND,
    AST_OR,
    AST_NOT,
    AST_IS_NULL,
    AST_IS_TRUE,
    AST_IS_FALSE,
    AST_IS_UNKNOWN,
    AST_IS_DISTINCT,
    AST_CASE, /* base (may be NULL); when, then … [else] */
    AST_COALESCE,
    AST_NULLIF,
    AST_GREATEST,
    AST_LEAST,
    AST_IN,            /* arguments[0] IN (arguments[1] …) */
    AST_BETWEEN,       /* arguments[0] BETWEEN arguments[1] AND arguments[2]; is_symmetric */
    AST_ARRAY_COMPARE, /* arguments[0] text ANY|ALL (arguments[1]) */
    AST_ARRAY,
    AST_CAST,      /* type */
    AST_SUBSCRIPT, /* arguments[0] [ arguments[1] ] */
    AST_SUBQUERY,
    AST_EXISTS,
    AST_GROUPING,     /* grouping(arguments) */
    AST_GROUPING_SET, /* in GROUP BY: sets of arguments */
    AST_IN_SUBQUERY,  /* arguments `text` ANY (select), or ALL (is_all): a row of several, or one */
    AST_ARRAY_SUBQUERY,
    AST_PARAMETER, /* $number */
    AST_DEFAULT    /* a cell of INSERT */
};

struct ast_node;
struct ast_select;

struct ast_order {
    struct ast_node *node;
    bool is_descending, is_nulls_first;
};

/* OVER (…), OVER name, and WINDOW name AS (…). */
struct ast_window {
    int32_t position;
    struct slice name;     /* WINDOW: what is defined; OVER without parentheses: what is meant */
    struct slice base;     /* (base PARTITION BY …): the definition it adds to; empty: none */
    bool is_frame_written; /* else the frame below is PostgreSQL's default */
    size_t partition_count;
    struct ast_node **partition;
    size_t order_count;
    struct ast_order *order;
    enum frame_mode mode;
    enum frame_bound start, end;
    struct ast_node *start_offset, *end_offset; /* NULL: the bound has none */
    enum frame_exclusion exclusion;
};

/* SETS_ROW: (a, b), also of none. */
enum ast_sets { SETS_ROW, SETS_LIST, SETS_ROLLUP, SETS_CUBE };

struct ast_node {
    enum ast_kind kind;
    enum ast_sets sets; /* AST_GROUPING_SET */
    int32_t position;
    bool is_negated, is_all, is_star, is_distinct, is_symmetric, is_true;
    struct slice text;
    uint32_t field_count, count;
    uint32_t number;  /* AST_PARAMETER */
    uint32_t literal; /* STRING, NUMBER: which of the text's it is, from 1, if a value could be in
                         its place; else 0 */
    struct slice *fields;
    struct ast_node **arguments;
    struct ast_node *base, *filter;
    struct ast_order *orders; /* AST_CALL: (… ORDER BY …), or WITHIN GROUP (ORDER BY …) */
    uint32_t order_count;
    bool is_within;
    struct ast_window *over; /* AST_CALL: NULL if none */
    struct ast_select *select;
    struct type type;
    struct slice label; /* AST_CAST: the type's name as PostgreSQL labels columns */
};

struct ast_target {
    struct ast_node *node;
    struct slice alias; /* empty: none */
};

enum ast_from_kind { FROM_TABLE, FROM_SELECT, FROM_JOIN, FROM_FUNCTION };
enum ast_join { AST_JOIN_INNER, AST_JOIN_LEFT, AST_JOIN_CROSS, AST_JOIN_RIGHT, AST_JOIN_FULL };

struct ast_from {
    enum ast_from_kind kind;
    int32_t position;
    struct slice schema, name; /* TABLE; name: FUNCTION */
    struct slice alias;
    size_t column_alias_count;
    struct slice *column_aliases;
    struct ast_node *sample; /* TABLE: TABLESAMPLE (percent); NULL: all rows */
    struct ast_select *select;
    enum ast_join join;
    struct ast_from *left, *right;
    struct ast_node *on;
    bool is_lateral; /* SELECT; functions always may */
    bool is_natural; /* JOIN: USING every common name */
    size_t using_count;
    struct slice *using_names;
    size_t function_count; /* FUNCTION: several are ROWS FROM */
    struct ast_node **functions;
    bool has_ordinality;
    size_t argument_count; /* of the first of them */
    struct ast_node **arguments;
};

struct ast_cte {
    struct slice name;
    size_t column_alias_count;
    struct slice *column_aliases;
    struct ast_select *select;
    bool is_recursive; /* WITH RECURSIVE: its query may name it */
};

struct ast_select {
    enum { SELECT_PLAIN, SELECT_VALUES, SELECT_SET } kind;
    size_t cte_count;
    struct ast_cte *ctes;
    enum ast_set { SET_UNION, SET_INTERSECT, SET_EXCEPT } set;
    bool is_all;
    struct ast_select *left, *right;
    size_t row_count, column_count; /* VALUES */
    struct ast_node **cells;
    size_t target_count;
    struct ast_target *targets;
    size_t from_count;
    struct ast_from **from;
    struct ast_node *where, *having, *limit, *offset;
    bool is_distinct;
    size_t distinct_count; /* DISTINCT ON (…) */
    struct ast_node **distinct;
    bool is_group_distinct;
    size_t group_count;
    struct ast_node **group;
    size_t order_count;
    struct ast_order *order;
    size_t window_count; /* WINDOW name AS (…) */
    struct ast_window **windows;
};

struct ast_name {
    struct slice name;
    int32_t position;
};

struct ast_statement {
    enum {
        AST_STATEMENT_SELECT,
        AST_STATEMENT_EXPLAIN,
        AST_STATEMENT_COPY,
        AST_STATEMENT_SHOW,
        AST_STATEMENT_COMMAND
    } kind;
    bool is_analyze;
    bool is_json;                    /* EXPLAIN (FORMAT JSON) */
    const struct copy_options *copy; /* COPY */
    struct slice alias;              /* INSERT INTO t AS alias */
    struct ast_select *returning;    /* its targets: RETURNING; NULL: none */
    bool is_values;                  /* VALUES on its own: a SELECT to callers */
    struct ast_select *select; /* SELECT, EXPLAIN, VIEW, INSERT's source (NULL: DEFAULT VALUES) */
    struct slice show;
    struct command *command;    /* filled but for what needs names bound */
    struct ast_node **defaults; /* by column (CREATE) or action (ALTER); NULL: none */
    size_t name_count;          /* columns of INSERT and CREATE VIEW, as written */
    struct ast_name *names;
};

#endif
