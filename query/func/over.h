/* Window functions that are no aggregates: what they are called, take and give. What they do over
 * the rows of a partition is in query/exec/window_value.c. */
#ifndef FRESHET_QUERY_FUNC_OVER_H
#define FRESHET_QUERY_FUNC_OVER_H

#include "storage/column/type.h"

enum over_kind {
    OVER_ROW_NUMBER,
    OVER_RANK,
    OVER_DENSE_RANK,
    OVER_PERCENT_RANK,
    OVER_CUME_DIST,
    OVER_NTILE,
    OVER_LAG,
    OVER_LEAD,
    OVER_FIRST_VALUE,
    OVER_LAST_VALUE,
    OVER_NTH_VALUE,
    OVER_LOCF,
    OVER_INTERPOLATE
};

struct over_function {
    const char *name;
    enum over_kind kind;
    uint8_t argument_min, argument_max;
    uint8_t result; /* enum type_id; OVER_SAME: as the first argument */
    const char *doc, *example;
};

enum { OVER_SAME = 252 };

extern const struct over_function over_functions[];
extern const size_t over_function_count;
/* NULL if there is none of that name. */
const struct over_function *over_find(struct slice name);

#endif
