/* A text's shape: it without its literals. */
#ifndef FRESHET_QUERY_SQL_SHAPE_H
#define FRESHET_QUERY_SQL_SHAPE_H

#include "query/plan/literal.h"
#include "query/sql/ast.h"

/* Leaves out->count 0 for what is no query, has no literals or very many, or is not certain to be
 * read by the parser as it is here. The text is borrowed. */
void shape_make(struct slice text, struct arena *arena, struct text_shape *out);
/* Are the texts the same but for literals, which are of the same kinds? */
bool shape_equal(const struct text_shape *a, const struct text_shape *b);
/* The literal as written. */
struct slice shape_literal(const struct text_shape *shape, size_t index);
/* What a string says: itself without quotes, or in the arena. */
struct slice shape_unquote(struct slice literal, struct arena *arena);
/* Notes at literals of a condition (WHERE, ON, FILTER) which of the text's they are, where a value
 * could take their place: beside a comparison, BETWEEN, IN. */
void shape_mark(const struct text_shape *shape, struct ast_node *where, struct arena *arena);
/* The same at the arguments of a call in FROM that gives rows, and at what sums and casts make of
 * literals there. */
void shape_mark_values(const struct text_shape *shape, const struct ast_node *call,
                       struct arena *arena);
/* The same at the number of rows of a LIMIT or OFFSET, NULL: none. Not at a string: it may be
 * negative, which is a mistake of the statement with its place. */
void shape_mark_limit(const struct text_shape *shape, struct ast_node *node, struct arena *arena);
/* A place in the text of `from` as one in that of `to`. */
int64_t shape_place(const struct text_shape *from, const struct text_shape *to, int64_t position);

#endif
