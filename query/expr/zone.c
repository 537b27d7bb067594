/* What expressions depend on beside their arguments: nothing, the session's zone, or more (other
 * settings, the clock, the catalogue, chance). Results that are kept may depend on the zone, which
 * is told with them, and on nothing more. */
#include "query/expr/expr.h"

#include "query/func/func.h"

#include <string.h>

static bool is_of(const struct function *function, const struct function_group *group)
{
    return function >= group->functions && function < group->functions + group->count;
}

/* Of the functions that settings change: those that only the zone does. */
static bool is_known_by_zone(const struct function *function)
{
    static const struct function_group *const groups[] = {&functions_time, &functions_time_arith,
                                                          &functions_extract, &functions_time_parts,
                                                          &functions_format_time};
    if (function->volatility == IMMUTABLE)
        return true;
    if (function->volatility != STABLE ||
        (strcmp(function->name, "age") == 0 && function->argument_count == 1)) /* since today */
        return false;
    for (size_t i = 0; i < array_count(groups); i++)
        if (is_of(function, groups[i]))
            return true;
    return false;
}

static bool is_cast_known(enum type_id from, enum type_id to)
{
    bool is_time = from == TYPE_TIMESTAMPTZ || from == TYPE_TIMESTAMP || from == TYPE_DATE;
    bool is_plain = to == TYPE_TIMESTAMPTZ || to == TYPE_TIMESTAMP || to == TYPE_DATE ||
                    to == TYPE_TEXT || to == TYPE_VARCHAR;
    return cast_is_immutable(from, to) || (is_time && is_plain);
}

bool expr_is_zoned(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CALL:
    case EXPR_NULLIF:
    case EXPR_ARRAY_COMPARE:
        return is_known_by_zone(expr->function);
    case EXPR_CAST:
        return is_cast_known((enum type_id)expr->arguments[0]->type.id,
                             (enum type_id)expr->type.id);
    case EXPR_COLUMN:
    case EXPR_CONSTANT:
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS_NULL:
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
    case EXPR_IS_UNKNOWN:
    case EXPR_IS_DISTINCT:
    case EXPR_CASE:
    case EXPR_COALESCE:
    case EXPR_GREATEST:
    case EXPR_LEAST:
    case EXPR_IN:
    case EXPR_ARRAY:
        return true;
    default:
        return false; /* also of nodes that this file does not know */
    }
}
