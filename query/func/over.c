/* The table of window functions. All but the last two are PostgreSQL's; locf and interpolate fill
 * gaps (TimescaleDB's names, as window functions: the order is the window's, so they need no query
 * of a shape of its own). */
#include "query/func/over.h"

const struct over_function over_functions[] = {
    {"row_number", OVER_ROW_NUMBER, 0, 0, TYPE_INT8, "the row's place in its partition, from 1",
     "row_number() OVER (ORDER BY 1)"},
    {"rank", OVER_RANK, 0, 0, TYPE_INT8, "the place of the first of the row's peers",
     "rank() OVER (ORDER BY 1)"},
    {"dense_rank", OVER_DENSE_RANK, 0, 0, TYPE_INT8, "the place of the row's peers, without gaps",
     "dense_rank() OVER (ORDER BY 1)"},
    {"percent_rank", OVER_PERCENT_RANK, 0, 0, TYPE_FLOAT8, "(rank - 1) / (rows - 1)",
     "percent_rank() OVER (ORDER BY 1)"},
    {"cume_dist", OVER_CUME_DIST, 0, 0, TYPE_FLOAT8,
     "the share of rows up to the last of the row's peers", "cume_dist() OVER (ORDER BY 1)"},
    {"ntile", OVER_NTILE, 1, 1, TYPE_INT4, "the row's part of so many equal parts",
     "ntile(4) OVER (ORDER BY 1)"},
    {"lag", OVER_LAG, 1, 3, OVER_SAME, "the value so many rows before, or the default",
     "lag(7, 1, 0) OVER (ORDER BY 1)"},
    {"lead", OVER_LEAD, 1, 3, OVER_SAME, "the value so many rows after, or the default",
     "lead(7, 1, 0) OVER (ORDER BY 1)"},
    {"first_value", OVER_FIRST_VALUE, 1, 1, OVER_SAME, "the value at the frame's first row",
     "first_value(7) OVER (ORDER BY 1)"},
    {"last_value", OVER_LAST_VALUE, 1, 1, OVER_SAME, "the value at the frame's last row",
     "last_value(7) OVER (ORDER BY 1)"},
    {"nth_value", OVER_NTH_VALUE, 2, 2, OVER_SAME, "the value at the frame's n-th row",
     "nth_value(7, 1) OVER (ORDER BY 1)"},
    {"locf", OVER_LOCF, 1, 1, OVER_SAME,
     "the last value that is not NULL, up to the row (last observation carried forward)",
     "locf(7) OVER (ORDER BY 1)"},
    {"interpolate", OVER_INTERPOLATE, 1, 1, TYPE_FLOAT8,
     "the value, or a straight line between its neighbours by the window's one ORDER BY key",
     "interpolate(7) OVER (ORDER BY 1)"},
};

const size_t over_function_count = array_count(over_functions);

const struct over_function *over_find(struct slice name)
{
    for (size_t index = 0; index < over_function_count; index++)
        if (slice_equal(slice_from_cstr(over_functions[index].name), name))
            return &over_functions[index];
    return NULL;
}
