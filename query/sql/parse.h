/* SQL text to our tree, by libpg_query. Internal to query/sql. */
#ifndef FRESHET_QUERY_SQL_PARSE_H
#define FRESHET_QUERY_SQL_PARSE_H

#include "query/sql/ast.h"

/* One statement; 42601 for syntax, none or several of them. Everything in *out lies in the arena.
 * Wants a stack of 64 MiB: libpg_query recurses over left-deep trees as deep as the text is long.
 */
MUST_CHECK enum err sql_parse(struct slice text, struct arena *arena, struct ast_statement *out,
                              struct error *error);

#endif
