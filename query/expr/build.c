/* Literals, calls, operators and casts: the leaves and the joints of typed expressions.
 *
 * A string literal stays unknown until its place says what it is; then the type's input function
 * reads it here, once, so a malformed literal is an error of the statement with its position and
 * not of a row. Each new node whose arguments are constants is computed at once and replaced by its
 * value, unless that raises: then the error belongs to the rows that reach it (CASE, AND), as in
 * PostgreSQL. build_nodes.c has the kinds with rules of their own. */
#include "query/expr/resolve.h"

#include "storage/base/clock.h"
#include "storage/base/number.h"
#include "storage/column/binary_form.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum err build_fail(struct builder *b, const char *sqlstate, int32_t position, const char *format,
                    ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set(b->error, ERR_INPUT, sqlstate, "%s", text);
    if (b->error != NULL)
        b->error->text_position = position;
    return ERR_INPUT;
}

struct expr *build_expr(struct builder *b, enum expr_kind kind, struct type type,
                        uint32_t argument_count, int32_t position)
{
    struct expr *expr = arena_alloc_zero(b->arena, sizeof(*expr));
    expr->kind = kind;
    expr->type = type;
    expr->text_position = position;
    expr->argument_count = argument_count;
    if (argument_count > 0)
        expr->arguments = arena_alloc_zero(b->arena, argument_count * sizeof(struct expr *));
    return expr;
}

/* --- leaves --- */

struct expr *build_constant(struct builder *b, const struct value *value, int32_t position)
{
    struct expr *expr = build_expr(b, EXPR_CONSTANT, value->type, 0, position);
    expr->constant = *value;
    return expr;
}

struct expr *build_string(struct builder *b, struct slice text, int32_t position)
{
    struct value value = {.type = type_of(TYPE_UNKNOWN), .text = text};
    return build_constant(b, &value, position);
}

struct expr *build_null(struct builder *b, int32_t position)
{
    struct value value = {.type = type_of(TYPE_UNKNOWN), .is_null = true};
    return build_constant(b, &value, position);
}

struct expr *build_number(struct builder *b, struct slice text, int32_t position)
{
    struct value value = {.type = type_of(TYPE_NUMERIC)};
    bool is_integer = text.size > 0;
    for (size_t i = 0; i < text.size; i++)
        is_integer &= text.data[i] >= '0' && text.data[i] <= '9';
    if (is_integer && int_parse(text, INT64_MIN, INT64_MAX, "bigint", &value.i, NULL) == OK) {
        value.type = type_of(value.i <= INT32_MAX ? TYPE_INT4 : TYPE_INT8);
    } else {
        value = (struct value){.type = type_of(TYPE_NUMERIC)};
        bool has_exponent =
            memchr(text.data, 'e', text.size) != NULL || memchr(text.data, 'E', text.size) != NULL;
        if (numeric_parse(text, &value.n, b->error) != OK) {
            /* 1e308 is past numeric's 38 digits, and meant as a double. */
            value = (struct value){.type = type_of(TYPE_FLOAT8)};
            if (!has_exponent || float8_parse(text, &value.f, b->error) != OK)
                return NULL;
        }
    }
    return build_constant(b, &value, position);
}

struct expr *build_column(struct builder *b, uint32_t column, struct type type, int32_t position)
{
    struct expr *expr = build_expr(b, EXPR_COLUMN, type, 0, position);
    expr->column = column;
    return expr;
}

/* A larger constant is not kept in plans: each run makes and charges its own. */
#define FOLDED_BYTES_MAX ((size_t)4 << 20)
/* Nor does planning, which nothing interrupts, spend longer on all of a statement's constants. */
#define FOLD_TIME_US 500000
#define STEPS_PER_LOOK 64

enum err build_look(struct builder *b)
{
    if (b->looked == OK && b->look != NULL && ++b->looks % STEPS_PER_LOOK == 0)
        b->looked = b->look(b->look_context, b->arena->total, b->error);
    return b->looked;
}

/* --- literals that became something else --- */

static bool has_literal(const struct expr *expr)
{
    bool has = expr->literal != 0 || expr->folded != NULL;
    for (uint32_t i = 0; !has && i < expr->argument_count; i++)
        has = has_literal(expr->arguments[i]);
    return has;
}

void build_fix_literals(struct builder *b, const struct expr *expr)
{
    if (b->is_literal_fixed != NULL && expr->literal != 0)
        b->is_literal_fixed[expr->literal - 1] = true;
    if (expr->folded != NULL)
        build_fix_literals(b, expr->folded);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        build_fix_literals(b, expr->arguments[i]);
}

/* Casts and calls can be computed again of other literals. A truth is another matter: what the plan
 * is may depend on it. */
static void note_folded(struct builder *b, struct expr *expr, struct expr *constant)
{
    if (b->is_literal_fixed == NULL || !has_literal(expr))
        return;
    if ((expr->kind == EXPR_CAST || expr->kind == EXPR_CALL) && expr->type.id != TYPE_BOOL)
        constant->folded = expr;
    else
        build_fix_literals(b, expr);
}

struct expr *build_fold(struct builder *b, struct expr *expr)
{
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (expr->arguments[i]->kind != EXPR_CONSTANT)
            return expr;
    }
    if (expr->argument_count == 0 && expr->kind != EXPR_CALL && expr->kind != EXPR_ARRAY)
        return expr;
    if (!expr_is_constant(expr))
        return expr;
    int64_t now_us = clock_monotonic_us();
    if (b->fold_until_us == 0)
        b->fold_until_us = now_us + FOLD_TIME_US;
    if (now_us >= b->fold_until_us)
        return expr;
    struct budget budget = {.limit = FOLDED_BYTES_MAX, .name = "a constant"};
    struct eval_context context = {.zone = b->zone != NULL ? b->zone : timezone_utc,
                                   .budget = &budget,
                                   .deadline_us = b->fold_until_us};
    struct value value;
    if (expr_evaluate_constant(expr, &context, b->arena, &value, NULL) != OK)
        return expr;
    value.type = expr->type;
    struct expr *constant = build_constant(b, &value, expr->text_position);
    note_folded(b, expr, constant);
    return constant;
}

/* --- casts --- */

static bool holds_word(struct slice text, struct slice word)
{
    for (size_t at = 0; at + word.size <= text.size; at++)
        if (slice_equal_ignore_case(slice_of(text.data + at, word.size), word))
            return true;
    return false;
}

/* 'now' and its like mean the statement's time, so they are read when it runs. */
static bool is_moving_time(struct slice text, enum type_id type)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    bool is_array = type_is_array(type);
    type = is_array ? type_element(type) : type;
    if (type != TYPE_TIMESTAMPTZ && type != TYPE_TIMESTAMP && type != TYPE_DATE)
        return false;
    for (size_t i = 0; i < array_count(words); i++) {
        if (is_array && holds_word(text, slice_from_cstr(words[i])))
            return true;
        if (slice_equal_ignore_case(slice_trim(text), slice_from_cstr(words[i])))
            return true;
    }
    return false;
}

static enum err read_literal(struct builder *b, struct slice text, struct type type,
                             struct value *out)
{
    struct text_context context = {.zone = b->zone};
    enum err err = type_parse(type_of(type.id), text, &context, b->arena, out, b->error);
    return err != OK ? err : alias_fit(out, (enum type_alias)type.alias, true, b->error);
}

static enum err literal_become(struct builder *b, struct expr *in, struct type type,
                               struct expr **out)
{
    struct value value = {.is_null = true};
    if (!in->constant.is_null) {
        enum err err = read_literal(b, in->constant.text, type, &value);
        if (err != OK) {
            if (b->error != NULL)
                b->error->text_position = in->text_position;
            return err;
        }
    }
    value.type = type_of(type.id);
    value.type.alias = type.alias;
    *out = build_constant(b, &value, in->text_position);
    (*out)->literal = in->literal;
    return OK;
}

bool build_literal_value(struct builder *b, struct slice text, bool is_string, struct type type,
                         struct value *out)
{
    if (!is_string) {
        struct expr *number = build_number(b, text, 0);
        if (number != NULL)
            *out = number->constant;
        return number != NULL;
    }
    if (is_moving_time(text, (enum type_id)type.id) || read_literal(b, text, type, out) != OK)
        return false;
    out->type = type;
    return true;
}

/* The same value, called otherwise. A cast goes on doing what its own type asks for. */
static struct expr *renamed(struct builder *b, const struct expr *in, uint8_t alias)
{
    struct expr *copy = arena_alloc(b->arena, sizeof(*copy));
    *copy = *in;
    copy->type.alias = alias;
    return copy;
}

enum err build_cast(struct builder *b, struct expr *in, struct type type, enum cast_context context,
                    int32_t position, struct expr **out)
{
    bool has_modifiers = type.precision != 0 || type.length != 0;
    bool is_fitted =
        type.alias != in->type.alias && (type.alias != ALIAS_NONE || in->kind == EXPR_CAST);
    if (in->type.id == type.id && (!has_modifiers || type_equal(in->type, type)) && !is_fitted) {
        *out = in->type.alias == type.alias ? in : renamed(b, in, type.alias);
        return OK;
    }
    if (in->type.id == TYPE_UNKNOWN && in->kind == EXPR_BOUND) {
        enum err err = parameter_become(b, in, type, position);
        if (err != OK || !has_modifiers) {
            *out = in;
            return err;
        }
    }
    if (in->type.id == TYPE_UNKNOWN && in->kind == EXPR_CONSTANT &&
        (in->constant.is_null || !is_moving_time(in->constant.text, type.id))) {
        enum err err = literal_become(b, in, type, &in);
        if (err != OK || !has_modifiers) {
            *out = in;
            return err;
        }
    }
    if (!cast_exists(in->type.id, type.id, context)) {
        struct writer target;
        writer_init(&target);
        type_print(type_of(type.id), &target);
        build_fail(b, context == CAST_EXPLICIT ? "42846" : "42804", position,
                   "cannot cast type %s to %.*s", type_name(in->type.id),
                   SLICE_ARGS(writer_as_slice(&target)));
        writer_deinit(&target);
        return ERR_INPUT;
    }
    struct expr *cast = build_expr(b, EXPR_CAST, type, 1, position);
    cast->arguments[0] = in;
    cast->is_all = context == CAST_EXPLICIT;
    *out = build_fold(b, cast);
    return OK;
}

enum err build_coerce(struct builder *b, struct expr **expr, struct type type)
{
    return build_cast(b, *expr, type, CAST_IMPLICIT, (*expr)->text_position, expr);
}

struct expr *build_finish(struct builder *b, struct expr *in)
{
    if (in->type.id != TYPE_UNKNOWN)
        return in;
    struct expr *out = in;
    return build_coerce(b, &out, type_of(TYPE_TEXT)) == OK ? out : in;
}

/* --- calls --- */

enum err build_chosen(struct builder *b, const struct function *function, struct expr **arguments,
                      size_t count, int32_t position, struct expr **out)
{
    struct expr *call =
        build_expr(b, EXPR_CALL, type_of(function->result), (uint32_t)count, position);
    call->function = function;
    for (size_t i = 0; i < count; i++) {
        int type = function_argument(function, i);
        bool takes_any = type == TYPE_ANY_NONARRAY || type == TYPE_ANY;
        bool is_any = takes_any && function->evaluate_as == 0;
        if (is_any && is_unknown_parameter(arguments[i])) { /* nothing here says its type */
            call->arguments[i] = arguments[i];
            continue;
        }
        if (takes_any)
            type = arguments[i]->type.id == TYPE_UNKNOWN ? TYPE_TEXT : arguments[i]->type.id;
        if (function->evaluate_as != 0)
            type = function->evaluate_as;
        call->arguments[i] = arguments[i];
        enum err err = build_coerce(b, &call->arguments[i], type_of((enum type_id)type));
        if (err != OK)
            return err;
    }
    *out = build_fold(b, call);
    return OK;
}

static void print_types(const enum type_id *types, size_t count, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < count && used + 1 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 type_name(types[i]));
}

/* date('2026-05-01'), int4(1.5): a type's name called with one argument is a cast. */
static bool is_cast_call(struct slice name, enum type_id from, enum type_id *to)
{
    return type_find(name, to) && cast_exists(from, *to, CAST_EXPLICIT);
}

/* Functions of PostgreSQL's that clients call for what there is not. */
static bool is_refused(struct slice name)
{
    static const char *const beginnings[] = {"pg_advisory_", "pg_try_advisory_", "lo_"};
    static const char *const names[] = {"pg_notify",         "pg_listening_channels",
                                        "pg_cancel_backend", "pg_terminate_backend",
                                        "nextval",           "currval",
                                        "lastval",           "setval",
                                        "to_tsvector",       "to_tsquery",
                                        "txid_current",      "pg_current_xact_id",
                                        "pg_current_wal_lsn"};
    for (size_t i = 0; i < array_count(beginnings); i++)
        if (slice_starts_with(name, slice_from_cstr(beginnings[i])))
            return true;
    for (size_t i = 0; i < array_count(names); i++)
        if (slice_equal(name, slice_from_cstr(names[i])))
            return true;
    return false;
}

enum err build_call(struct builder *b, struct slice name, struct expr **arguments, size_t count,
                    int32_t position, struct expr **out)
{
    enum type_id *types = arena_alloc_array(b->arena, count + 1, sizeof(*types));
    for (size_t i = 0; i < count; i++)
        types[i] = arguments[i]->type.id;
    const struct function *function = resolve_exact(name, types, count);
    if (function != NULL && !function_is_operator(function))
        return build_chosen(b, function, arguments, count, position, out);
    enum type_id target;
    if (count == 1 && is_cast_call(name, types[0], &target))
        return build_cast(b, arguments[0], type_of(target), CAST_EXPLICIT, position, out);
    switch (resolve_function(name, types, count, false, &function)) {
    case RESOLVED:
        return build_chosen(b, function, arguments, count, position, out);
    case RESOLVE_NONE:
    case RESOLVE_AMBIGUOUS:
        break;
    }
    char text[256];
    print_types(types, count, text, sizeof(text));
    if (function == NULL && is_refused(name)) {
        build_fail(b, "0A000", position, "%.*s() is not supported", SLICE_ARGS(name));
    } else if (function == NULL) {
        build_fail(b, "42883", position, "function %.*s(%s) does not exist", SLICE_ARGS(name),
                   text);
        error_hint(
            b->error,
            "No function matches the given name and argument types. You might need to add explicit "
            "type casts.");
    } else {
        build_fail(b, "42725", position, "function %.*s(%s) is not unique", SLICE_ARGS(name), text);
        error_hint(b->error, "Could not choose a best candidate function. You might need to add "
                             "explicit type casts.");
    }
    return ERR_INPUT;
}

enum err build_operator_find(struct builder *b, struct slice name, enum type_id left,
                             enum type_id right, bool is_unary, int32_t position,
                             const struct function **out)
{
    enum type_id types[2] = {is_unary ? right : left, right};
    if (name.size == 2 && memcmp(name.data, "!=", 2) == 0)
        name = SLICE("<>");
    enum resolution resolution = resolve_function(name, types, is_unary ? 1 : 2, true, out);
    if (resolution == RESOLVED)
        return OK;
    bool is_missing = resolution == RESOLVE_NONE;
    const char *what = is_missing ? "does not exist" : "is not unique";
    if (is_unary)
        build_fail(b, is_missing ? "42883" : "42725", position, "operator %s: %.*s %s", what,
                   SLICE_ARGS(name), type_name(right));
    else
        build_fail(b, is_missing ? "42883" : "42725", position, "operator %s: %s %.*s %s", what,
                   type_name(left), SLICE_ARGS(name), type_name(right));
    if (is_missing)
        error_hint(b->error,
                   "No operator matches the given name and argument type%s. You might need to add "
                   "explicit "
                   "type casts.",
                   is_unary ? "" : "s");
    else
        error_hint(b->error, "Could not choose a best candidate operator. You might need to add "
                             "explicit type casts.");
    return ERR_INPUT;
}

enum err build_operator(struct builder *b, struct slice name, struct expr *left, struct expr *right,
                        int32_t position, struct expr **out)
{
    assert(right != NULL);
    const struct function *function;
    enum err err = build_operator_find(b, name, left != NULL ? left->type.id : TYPE_UNKNOWN,
                                       right->type.id, left == NULL, position, &function);
    if (err != OK)
        return err;
    struct expr *arguments[2] = {left != NULL ? left : right, right};
    return build_chosen(b, function, arguments, left != NULL ? 2 : 1, position, out);
}

/* --- subscripts --- */

enum err build_subscript(struct builder *b, struct expr **arguments, size_t count, int32_t position,
                         struct expr **out)
{
    enum type_id type = arguments[0]->type.id;
    bool is_json = type == TYPE_JSONB && count == 2;
    if (!is_json && type_category(type) != 'A')
        return build_fail(b, "42804", position,
                          "cannot subscript type %s because it does not support subscripting",
                          type_name(type));
    if (is_json) {
        enum type_id index = arguments[1]->type.id;
        bool is_number = index >= TYPE_INT2 && index <= TYPE_INT8;
        enum err err = build_cast(b, arguments[1], type_of(is_number ? TYPE_INT4 : TYPE_TEXT),
                                  CAST_ASSIGNMENT, position, &arguments[1]);
        return err != OK
                   ? err
                   : build_operator(b, SLICE("->"), arguments[0], arguments[1], position, out);
    }
    for (size_t i = 1; i < count; i++) {
        enum err err = build_cast(b, arguments[i], type_of(TYPE_INT4), CAST_ASSIGNMENT, position,
                                  &arguments[i]);
        if (err != OK)
            return err;
    }
    return count == 2 ? build_operator(b, SLICE("[]"), arguments[0], arguments[1], position, out)
                      : build_call(b, SLICE("array_slice"), arguments, count, position, out);
}
