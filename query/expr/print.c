/* Expressions as SQL-like text, for EXPLAIN and for names of things: every operator in parentheses,
 * casts as ::type. */
#include "query/expr/expr.h"

#include "query/func/func.h"

#include <string.h>

static void print_constant(const struct value *value, struct writer *out)
{
    if (value->is_null) {
        writer_cstr(out, "NULL");
        return;
    }
    bool is_bare = value->type.id >= TYPE_INT2 && value->type.id <= TYPE_NUMERIC;
    struct text_context context = {.zone = timezone_utc};
    if (value->type.id == TYPE_BOOL) {
        writer_cstr(out, value->b ? "true" : "false");
        return;
    }
    if (!is_bare)
        writer_u8(out, '\'');
    value_print(value, &context, out);
    if (is_bare)
        return;
    writer_u8(out, '\'');
    if (value->type.id != TYPE_UNKNOWN) {
        writer_cstr(out, "::");
        type_print(type_of(value->type.id), out);
    }
}

static void print_list(const struct expr *expr, uint32_t first, const char *separator,
                       const struct slice *names, struct writer *out)
{
    for (uint32_t i = first; i < expr->argument_count; i++) {
        if (i > first)
            writer_cstr(out, separator);
        expr_print(expr->arguments[i], names, out);
    }
}

static void print_call(const struct expr *expr, const struct slice *names, struct writer *out)
{
    bool is_operator = function_is_operator(expr->function);
    if (is_operator && expr->argument_count == 2) {
        writer_u8(out, '(');
        expr_print(expr->arguments[0], names, out);
        writer_printf(out, " %s ", expr->function->name);
        expr_print(expr->arguments[1], names, out);
        writer_u8(out, ')');
        return;
    }
    writer_printf(out, "%s(", expr->function->name);
    print_list(expr, 0, ", ", names, out);
    writer_u8(out, ')');
}

static void print_case(const struct expr *expr, const struct slice *names, struct writer *out)
{
    writer_cstr(out, "CASE");
    for (uint32_t i = 0; i + 1 < expr->argument_count; i += 2) {
        writer_cstr(out, " WHEN ");
        expr_print(expr->arguments[i], names, out);
        writer_cstr(out, " THEN ");
        expr_print(expr->arguments[i + 1], names, out);
    }
    if (expr->argument_count % 2 == 1) {
        writer_cstr(out, " ELSE ");
        expr_print(expr->arguments[expr->argument_count - 1], names, out);
    }
    writer_cstr(out, " END");
}

static void print_named(const char *name, const struct expr *expr, const struct slice *names,
                        struct writer *out)
{
    writer_printf(out, "%s(", name);
    print_list(expr, 0, ", ", names, out);
    writer_u8(out, ')');
}

static void print_test(const struct expr *expr, const char *what, const struct slice *names,
                       struct writer *out)
{
    writer_u8(out, '(');
    expr_print(expr->arguments[0], names, out);
    writer_printf(out, " IS %s%s)", expr->is_negated ? "NOT " : "", what);
}

static void print_in(const struct expr *expr, const struct slice *names, struct writer *out)
{
    writer_u8(out, '(');
    expr_print(expr->arguments[0], names, out);
    writer_cstr(out, expr->is_negated ? " NOT IN (" : " IN (");
    if (expr->kind == EXPR_IN_SUBQUERY)
        writer_printf(out, "subquery %u", expr->parameter + 1);
    else
        print_list(expr, 1, ", ", names, out);
    writer_cstr(out, "))");
}

static void print_joined(const struct expr *expr, const char *separator, const struct slice *names,
                         struct writer *out)
{
    writer_u8(out, '(');
    print_list(expr, 0, separator, names, out);
    writer_u8(out, ')');
}

static void print_column(const struct expr *expr, const struct slice *names, struct writer *out)
{
    if (names != NULL)
        writer_slice(out, names[expr->column]);
    else
        writer_printf(out, "#%u", expr->column);
}

static void print_cast(const struct expr *expr, const struct slice *names, struct writer *out)
{
    writer_u8(out, '(');
    expr_print(expr->arguments[0], names, out);
    writer_cstr(out, ")::");
    type_print(expr->type, out);
}

static void print_array_compare(const struct expr *expr, const struct slice *names,
                                struct writer *out)
{
    writer_u8(out, '(');
    expr_print(expr->arguments[0], names, out);
    writer_printf(out, " %s %s (", expr->function->name, expr->is_all ? "ALL" : "ANY");
    expr_print(expr->arguments[1], names, out);
    writer_cstr(out, "))");
}

/* " of x, y": what the subquery is given of the query around. */
static void print_given(const struct expr *expr, uint32_t first, const struct slice *names,
                        struct writer *out)
{
    if (expr->argument_count == first)
        return;
    writer_cstr(out, " of ");
    print_list(expr, first, ", ", names, out);
}

static const char *operator_name(const struct expr *expr)
{
    if (expr->kind == EXPR_CALL)
        return expr->function->name;
    const char *name = "test";
    for (uint32_t i = 0; i < expr->argument_count && strcmp(name, "test") == 0; i++)
        name = operator_name(expr->arguments[i]);
    return name;
}

static void print_quantified(const struct expr *expr, const struct slice *names, struct writer *out)
{
    struct expr left = *expr;
    left.argument_count = expr->left_count;
    writer_cstr(out, "((");
    print_list(&left, 0, ", ", names, out);
    writer_printf(out, ") %s %s (subquery %u", operator_name(expr->test),
                  expr->is_all ? "ALL" : "ANY", expr->parameter + 1);
    print_given(expr, expr->left_count, names, out);
    writer_cstr(out, "))");
}

/* What is known when it runs: subqueries, values of the query around, parameters. */
static void print_of_run(const struct expr *expr, const struct slice *names, struct writer *out)
{
    switch (expr->kind) {
    case EXPR_PARAMETER:
        writer_printf(out, "(subquery %u", expr->parameter + 1);
        print_given(expr, 0, names, out);
        writer_u8(out, ')');
        break;
    case EXPR_QUANTIFIED:
        print_quantified(expr, names, out);
        break;
    case EXPR_BOUND:
        if (expr->parameter >= BOUND_LIFTED_FIRST)
            writer_printf(out, "literal(%u)", expr->parameter - BOUND_LIFTED_FIRST + 1);
        else if (expr->parameter < BOUND_NAMED_FIRST)
            writer_printf(out, "$%u", expr->parameter + 1);
        else
            writer_printf(out, "parameter(%u)", expr->parameter - BOUND_NAMED_FIRST + 1);
        break;
    case EXPR_OUTER:
        writer_printf(out, "$%u", expr->parameter + 1);
        break;
    case EXPR_EXISTS:
        writer_printf(out, "EXISTS (subquery %u", expr->parameter + 1);
        print_given(expr, 0, names, out);
        writer_u8(out, ')');
        break;
    default:
        break;
    }
}

void expr_print(const struct expr *expr, const struct slice *names, struct writer *out)
{
    switch (expr->kind) {
    case EXPR_CONSTANT:
        print_constant(&expr->constant, out);
        return;
    case EXPR_COLUMN:
        print_column(expr, names, out);
        return;
    case EXPR_PARAMETER:
    case EXPR_QUANTIFIED:
    case EXPR_BOUND:
    case EXPR_OUTER:
    case EXPR_EXISTS:
        print_of_run(expr, names, out);
        return;
    case EXPR_CALL:
        print_call(expr, names, out);
        return;
    case EXPR_CAST:
        print_cast(expr, names, out);
        return;
    case EXPR_AND:
        print_joined(expr, " AND ", names, out);
        return;
    case EXPR_OR:
        print_joined(expr, " OR ", names, out);
        return;
    case EXPR_NOT:
        print_named("NOT ", expr, names, out);
        return;
    case EXPR_IS_NULL:
        print_test(expr, "NULL", names, out);
        return;
    case EXPR_IS_TRUE:
        print_test(expr, "TRUE", names, out);
        return;
    case EXPR_IS_FALSE:
        print_test(expr, "FALSE", names, out);
        return;
    case EXPR_IS_UNKNOWN:
        print_test(expr, "UNKNOWN", names, out);
        return;
    case EXPR_IS_DISTINCT:
        print_joined(expr, expr->is_negated ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ",
                     names, out);
        return;
    case EXPR_CASE:
        print_case(expr, names, out);
        return;
    case EXPR_COALESCE:
        print_named("COALESCE", expr, names, out);
        return;
    case EXPR_NULLIF:
        print_named("NULLIF", expr, names, out);
        return;
    case EXPR_GREATEST:
        print_named("GREATEST", expr, names, out);
        return;
    case EXPR_LEAST:
        print_named("LEAST", expr, names, out);
        return;
    case EXPR_IN:
    case EXPR_IN_SUBQUERY:
        print_in(expr, names, out);
        return;
    case EXPR_ARRAY_COMPARE:
        print_array_compare(expr, names, out);
        return;
    case EXPR_ARRAY:
        writer_cstr(out, "ARRAY[");
        print_list(expr, 0, ", ", names, out);
        writer_u8(out, ']');
        return;
    }
}
