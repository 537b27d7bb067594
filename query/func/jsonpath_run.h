/* SQL/JSON paths over values. For query/func. */
#ifndef FRESHET_QUERY_FUNC_JSONPATH_RUN_H
#define FRESHET_QUERY_FUNC_JSONPATH_RUN_H

#include "query/func/func.h"
#include "query/func/jsonpath.h"
#include "storage/base/json.h"

struct jsonpath_result {
    const struct json_value **items;
    size_t count, capacity;
    bool is_failed; /* silently: `items` are those before what failed */
};

struct jsonpath_run {
    struct call *call; /* its arena holds what comes out */
    const struct jsonpath *path;
    const struct json_value *value;
    const struct json_value *variables; /* an object, or NULL: none are defined */
    bool is_operator; /* it cannot have variables: all are null, as PostgreSQL's */
    bool is_silent;   /* what does not fit the path is no error but is_failed */
    bool is_test;     /* only whether there is an item: lax paths stop at the first */
};

/* What the path selects. Steps are counted: 57014 when the query is cancelled or out of time, 53200
 * where the query has no room for the items. */
MUST_CHECK enum err jsonpath_run(const struct jsonpath_run *run, struct jsonpath_result *out);
/* Compiles the patterns of like_regex, so that a wrong one is told before the path is run: 2201B.
 */
MUST_CHECK enum err jsonpath_compile(struct jsonpath *path, struct call *call);
/* Gives back what jsonpath_compile or running the path has compiled. */
void jsonpath_release(struct jsonpath *path);

#endif
