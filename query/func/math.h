/* What the files of mathematical functions share. */
#ifndef FRESHET_QUERY_FUNC_MATH_H
#define FRESHET_QUERY_FUNC_MATH_H

#include "query/func/func.h"

/* 2201E */
enum err error_log_argument(struct error *error, bool is_zero);

#endif
