/* Statements by the plans of others that differ from them in literals. */
#ifndef FRESHET_TESTS_SQL_SHAPES_H
#define FRESHET_TESTS_SQL_SHAPES_H

#include "query/query.h"

/* Runs the statement, and others made of it by changing literals, with the plan cache off and on.
 * False, and why in `out`: they were not told the same, to the byte. */
bool shapes_check(struct query_engine *engine, struct slice sql, struct writer *out);

#endif
