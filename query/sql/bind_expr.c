/* Expressions: each node's parts are bound, then query/expr/build types them by PostgreSQL's rules.
 * Aggregates become columns past AGGREGATE_COLUMN_FIRST and are collected in the scope: of the
 * query they stand in, or of the one around whose columns alone they name. */
#include "query/func/func.h"
#include "query/sql/bind.h"

#include "query/func/aggregate.h"
#include "query/func/over.h"
#include "query/sql/shape.h"
#include "storage/base/fault.h"
#include "storage/base/number.h"

#include <assert.h>

enum err bind_arguments(struct binder *b, struct scope *scope, const struct ast_node *node,
                        struct expr ***out)
{
    *out = arena_alloc_array(b->arena, (size_t)node->count + 1, sizeof(**out));
    for (uint32_t index = 0; index < node->count; index++) {
        enum err result = bind_expr(b, scope, node->arguments[index], &(*out)[index]);
        if (result != OK)
            return result;
    }
    return OK;
}

/* --- leaves --- */

static enum err bind_number(struct binder *b, const struct ast_node *node, struct expr **out)
{
    /* The grammar folds a sign into the constant: -5 is an integer, not a numeric. */
    struct value value = {0};
    bool has_sign = node->text.size > 0 && node->text.data[0] == '-';
    bool is_integer = has_sign && node->text.size > 1;
    for (size_t index = 1; index < node->text.size; index++)
        is_integer = is_integer && node->text.data[index] >= '0' && node->text.data[index] <= '9';
    if (is_integer && int_parse(node->text, INT64_MIN, INT64_MAX, "bigint", &value.i, NULL) == OK) {
        value.type = type_of(value.i >= INT32_MIN ? TYPE_INT4 : TYPE_INT8);
        *out = build_constant(&b->build, &value, node->position);
        return OK;
    }
    *out = build_number(&b->build, node->text, node->position);
    if (*out != NULL) {
        (*out)->literal = node->literal;
        return OK;
    }
    b->error->text_position = node->position;
    return b->error->code;
}

/* --- what repeats a part of itself --- */

/* Notes that the part is used `times`; nesting multiplies. The caller restores b->copies. */
static enum err enter_copies(struct binder *b, const struct ast_node *part, size_t times)
{
    if (part->count == 0 && part->kind != AST_CASE)
        return OK;
    b->copies *= times > 0 ? times : 1;
    if (b->copies <= EXPR_COPIES_MAX)
        return OK;
    error_set(b->error, ERR_LIMIT, "54001",
              "BETWEEN and CASE are nested so that the statement grows too large");
    b->error->text_position = part->position;
    return ERR_LIMIT;
}

static enum err bind_range(struct binder *b, struct expr **parts, bool is_negated, int32_t position,
                           struct expr **out)
{
    struct expr *tests[2];
    enum err result = build_operator(&b->build, is_negated ? SLICE("<") : SLICE(">="), parts[0],
                                     parts[1], position, &tests[0]);
    if (result == OK)
        result = build_operator(&b->build, is_negated ? SLICE(">") : SLICE("<="), parts[0],
                                parts[2], position, &tests[1]);
    if (result != OK)
        return result;
    return build_node(&b->build, is_negated ? EXPR_OR : EXPR_AND, false, tests, 2, position, out);
}

static enum err bind_between(struct binder *b, struct scope *scope, const struct ast_node *node,
                             struct expr **out)
{
    struct expr **parts;
    size_t copies = b->copies;
    enum err result = OK;
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        if (index == 0 || node->is_symmetric)
            result = enter_copies(b, node->arguments[index], 2);
    if (result == OK)
        result = bind_arguments(b, scope, node, &parts);
    if (result == OK)
        result = bind_range(b, parts, node->is_negated, node->position, out);
    if (result == OK && node->is_symmetric) {
        struct expr *other[2] = {*out, NULL};
        struct expr *swapped[3] = {parts[0], parts[2], parts[1]};
        result = bind_range(b, swapped, node->is_negated, node->position, &other[1]);
        if (result == OK)
            result = build_node(&b->build, node->is_negated ? EXPR_AND : EXPR_OR, false, other, 2,
                                node->position, out);
    }
    b->copies = copies;
    return result;
}

static enum err bind_case(struct binder *b, struct scope *scope, const struct ast_node *node,
                          struct expr **out)
{
    struct expr **parts;
    struct expr *base = NULL;
    size_t copies = b->copies;
    bool is_series_allowed = scope->is_series_allowed;
    scope->is_series_allowed = false; /* which rows ask for them is not known */
    enum err result = node->base == NULL ? OK : enter_copies(b, node->base, node->count / 2);
    if (result == OK && node->base != NULL)
        result = bind_expr(b, scope, node->base, &base);
    b->copies = copies;
    if (result == OK && base != NULL)
        base = build_finish(&b->build, base);
    if (result == OK)
        result = bind_arguments(b, scope, node, &parts);
    scope->is_series_allowed = is_series_allowed;
    for (uint32_t index = 0; index + 1 < node->count && base != NULL && result == OK; index += 2)
        result = build_operator(&b->build, SLICE("="), base, parts[index],
                                node->arguments[index]->position, &parts[index]);
    return result != OK
               ? result
               : build_node(&b->build, EXPR_CASE, false, parts, node->count, node->position, out);
}

/* --- calls --- */

static bool same_aggregate(const struct aggregate_call *a, const struct aggregate_call *b)
{
    if (a->aggregate != b->aggregate || a->argument_count != b->argument_count ||
        a->is_distinct != b->is_distinct || a->is_star != b->is_star || a->order_count != 0 ||
        b->order_count != 0 || a->aggregate->direct[0] != 0 || !type_equal(a->type, b->type) ||
        a->order_by != NULL || b->order_by != NULL)
        return false;
    if ((a->filter == NULL) != (b->filter == NULL) ||
        (a->filter != NULL && !expr_equal(a->filter, b->filter)))
        return false;
    for (uint32_t index = 0; index < a->argument_count; index++)
        if (!expr_equal(a->arguments[index], b->arguments[index]))
            return false;
    return true;
}

static struct expr *add_aggregate(struct binder *b, struct scope *scope,
                                  const struct aggregate_call *call)
{
    size_t index = 0;
    while (index < scope->aggregate_count && !same_aggregate(&scope->aggregates[index], call))
        index++;
    if (index == scope->aggregate_count) {
        scope->aggregates = bind_grow(b->arena, scope->aggregates, scope->aggregate_count,
                                      &scope->aggregate_capacity, sizeof(*scope->aggregates));
        scope->aggregates[scope->aggregate_count++] = *call;
    } else if (call->filter != NULL && !fault_is("cache.shape_merges_filters")) { /* one for both */
        build_fix_literals(&b->build, call->filter);
        build_fix_literals(&b->build, scope->aggregates[index].filter);
    }
    return build_column(&b->build, AGGREGATE_COLUMN_FIRST + (uint32_t)index, call->type,
                        call->text_position);
}

/* agg(… ORDER BY …) */
static enum err bind_call_order(struct binder *b, struct scope *scope, const struct ast_node *node,
                                struct aggregate_request *request)
{
    struct aggregate_order *orders =
        arena_alloc_array(b->arena, node->order_count, sizeof(*orders));
    request->order_keys =
        arena_alloc_array(b->arena, node->order_count, sizeof(*request->order_keys));
    for (uint32_t index = 0; index < node->order_count; index++) {
        const struct ast_order *order = &node->orders[index];
        enum err result = bind_expr(b, scope, order->node, &request->order_keys[index]);
        if (result != OK)
            return result;
        orders[index] = (struct aggregate_order){order->is_descending, order->is_nulls_first};
    }
    request->orders = orders;
    request->order_count = node->order_count;
    return OK;
}

/* Does the call name columns of queries around, and none of this one? */
static bool is_of_outer(const struct aggregate_request *request)
{
    bool has_outer = request->filter != NULL && expr_has_kind(request->filter, EXPR_OUTER);
    bool has_own = request->filter != NULL && expr_has_kind(request->filter, EXPR_COLUMN);
    for (size_t index = 0; index < request->argument_count + request->order_count; index++) {
        const struct expr *expr = index < request->argument_count
                                      ? request->arguments[index]
                                      : request->order_keys[index - request->argument_count];
        has_outer = has_outer || expr_has_kind(expr, EXPR_OUTER);
        has_own = has_own || expr_has_kind(expr, EXPR_COLUMN);
    }
    return has_outer && !has_own;
}

static enum err bind_aggregate_parts(struct binder *b, struct scope *scope,
                                     const struct ast_node *node, struct aggregate_request *request)
{
    scope->is_in_aggregate = true;
    enum err result = bind_arguments(b, scope, node, &request->arguments);
    if (node->filter != NULL && bind_can_lift(b))
        shape_mark(b->context->shape, node->filter, b->arena);
    if (result == OK && node->filter != NULL)
        result = bind_expr(b, scope, node->filter, &request->filter);
    if (result == OK && request->filter != NULL)
        result = build_condition(&b->build, request->filter, "FILTER", &request->filter);
    if (result == OK && node->order_count > 0)
        result = bind_call_order(b, scope, node, request);
    scope->is_in_aggregate = false;
    return result;
}

/* Counts of slots at each border on the way out, to take back what was noted since. */
static void borders_save(struct binder *b, const struct scope *border, size_t **out)
{
    size_t depth = 0;
    for (const struct scope *at = border; at != NULL; at = at->correlation->beyond)
        depth++;
    *out = arena_alloc_array(b->arena, depth + 1, sizeof(**out));
    depth = 0;
    for (const struct scope *at = border; at != NULL; at = at->correlation->beyond)
        (*out)[depth++] = at->correlation->count;
}

static void borders_restore(const struct scope *border, const size_t *saved)
{
    for (const struct scope *at = border; at != NULL; at = at->correlation->beyond)
        at->correlation->count = *saved++;
}

static enum err bind_aggregate(struct binder *b, struct scope *scope, const struct ast_node *node,
                               struct expr **out)
{
    bool is_nested = scope->is_in_aggregate;
    if (is_nested && scope->outer == NULL)
        return bind_error(b, node->position, "42803", "aggregate function calls cannot be nested");
    if (node->count == 0 && !node->is_star && !node->is_within)
        return bind_error(b, node->position, "42809",
                          "%.*s(*) must be used to call a parameterless aggregate function",
                          SLICE_ARGS(node->text));
    struct aggregate_request request = {.name = node->text,
                                        .argument_count = node->count,
                                        .is_star = node->is_star,
                                        .is_distinct = node->is_distinct,
                                        .is_within = node->is_within,
                                        .position = node->position};
    struct aggregate_call call;
    size_t *saved = NULL;
    if (scope->outer == NULL && !scope->is_aggregate_allowed)
        return bind_error(b, node->position, "42803", "aggregate functions are not allowed in %s",
                          scope->clause);
    borders_save(b, scope->outer, &saved);
    enum err result = bind_aggregate_parts(b, scope, node, &request);
    scope->is_in_aggregate = is_nested;
    if (result == OK && is_of_outer(&request)) {
        borders_restore(scope->outer, saved);
        result = bind_aggregate(b, scope->outer->correlation->around, node, out);
        if (result == OK)
            *out = scope_cross(b, scope->outer->correlation, *out);
        return result;
    }
    if (result == OK && is_nested)
        return bind_error(b, node->position, "42803", "aggregate function calls cannot be nested");
    if (result == OK && !scope->is_aggregate_allowed)
        return bind_error(b, node->position, "42803", "aggregate functions are not allowed in %s",
                          scope->clause);
    if (result == OK)
        result = build_aggregate(&b->build, &request, &call);
    if (result == OK)
        *out = add_aggregate(b, scope, &call);
    return result;
}

/* current_timestamp and its kin are words of the grammar; below them is now(). */
static enum err bind_now(struct binder *b, const struct ast_node *node, bool *is_found,
                         struct expr **out)
{
    static const struct {
        const char *name;
        enum type_id type;
    } forms[] = {{"current_timestamp", TYPE_TIMESTAMPTZ},
                 {"localtimestamp", TYPE_TIMESTAMP},
                 {"current_date", TYPE_DATE}};
    for (size_t index = 0; index < array_count(forms) && node->count == 0; index++) {
        if (!slice_equal(node->text, slice_from_cstr(forms[index].name)))
            continue;
        *is_found = true;
        enum err result = build_call(&b->build, SLICE("now"), NULL, 0, node->position, out);
        if (result == OK)
            result = build_cast(&b->build, *out, type_of(forms[index].type), CAST_EXPLICIT,
                                node->position, out);
        return result;
    }
    return OK;
}

static enum err bind_call(struct binder *b, struct scope *scope, const struct ast_node *node,
                          struct expr **out)
{
    if (node->over != NULL)
        return bind_over(b, scope, node, out);
    if (bind_is_series(node->text))
        return bind_series_target(b, scope, node, out);
    if (build_is_aggregate(node->text) && (node->is_within || over_find(node->text) == NULL))
        return bind_aggregate(b, scope, node, out);
    enum err result = bind_check_over(b, node);
    if (result != OK)
        return result;
    const char *wrong = node->is_star           ? "(*) specified, but"
                        : node->is_distinct     ? "DISTINCT specified, but"
                        : node->filter != NULL  ? "FILTER specified, but"
                        : node->is_within       ? "WITHIN GROUP specified, but"
                        : node->order_count > 0 ? "ORDER BY specified, but"
                                                : NULL;
    if (wrong != NULL)
        return bind_error(b, node->position, "42809", "%s %.*s is not an aggregate function", wrong,
                          SLICE_ARGS(node->text));
    bool is_found = false;
    if (slice_equal(node->text, SLICE("parameter")) && node->count > 0)
        return bind_parameter(b, scope, node, out);
    result = bind_now(b, node, &is_found, out);
    if (result != OK || is_found)
        return result;
    struct expr **arguments;
    result = bind_arguments(b, scope, node, &arguments);
    return result != OK
               ? result
               : build_call(&b->build, node->text, arguments, node->count, node->position, out);
}

/* --- the rest --- */

static enum expr_kind node_kind(enum ast_kind kind)
{
    switch (kind) {
    case AST_AND:
        return EXPR_AND;
    case AST_OR:
        return EXPR_OR;
    case AST_NOT:
        return EXPR_NOT;
    case AST_IS_NULL:
        return EXPR_IS_NULL;
    case AST_IS_TRUE:
        return EXPR_IS_TRUE;
    case AST_IS_FALSE:
        return EXPR_IS_FALSE;
    case AST_IS_UNKNOWN:
        return EXPR_IS_UNKNOWN;
    case AST_IS_DISTINCT:
        return EXPR_IS_DISTINCT;
    case AST_COALESCE:
        return EXPR_COALESCE;
    case AST_NULLIF:
        return EXPR_NULLIF;
    case AST_GREATEST:
        return EXPR_GREATEST;
    case AST_LEAST:
        return EXPR_LEAST;
    case AST_IN:
        return EXPR_IN;
    default:
        assert(kind == AST_ARRAY);
        return EXPR_ARRAY;
    }
}

/* ARRAY[…]::type[] */
static bool is_array_of(const struct ast_node *node)
{
    return node->arguments[0]->kind == AST_ARRAY && type_is_array((enum type_id)node->type.id);
}

static enum err bind_array_compare(struct binder *b, struct scope *scope,
                                   const struct ast_node *node, struct expr **out)
{
    struct array_compare compare = {node->text, node->is_all, node->position};
    struct expr *left, *array, **items;
    const struct ast_node *right = node->arguments[1];
    enum err result = bind_expr(b, scope, node->arguments[0], &left);
    if (result == OK && right->kind == AST_ARRAY) {
        result = bind_arguments(b, scope, right, &items);
        return result != OK
                   ? result
                   : build_list_compare(&b->build, &compare, left, items, right->count, out);
    }
    if (result == OK)
        result = bind_expr(b, scope, right, &array);
    return result != OK ? result : build_array_compare(&b->build, &compare, left, array, out);
}

/* A call like regclass(text), whose number stands for what it is the name of. */
static bool is_reg_call(const struct expr *expr)
{
    return expr->kind == EXPR_CALL && expr->function->result == TYPE_INT8 &&
           strncmp(expr->function->name, "reg", 3) == 0 && expr->argument_count == 1;
}

/* What is a regclass already stays one. */
static enum err bind_reg_cast(struct binder *b, const struct ast_node *node, struct expr *argument,
                              struct expr **out)
{
    if (!is_reg_call(argument) ||
        !slice_equal(node->text, slice_from_cstr(argument->function->name)))
        return build_call(&b->build, node->text, &argument, 1, node->position, out);
    *out = argument;
    return OK;
}

static enum err bind_compound(struct binder *b, struct scope *scope, const struct ast_node *node,
                              struct expr **out)
{
    struct expr **arguments;
    if (node->kind == AST_CAST && is_array_of(node)) {
        enum err err = bind_arguments(b, scope, node->arguments[0], &arguments);
        return err != OK ? err
                         : build_typed_array(&b->build, arguments, node->arguments[0]->count,
                                             node->type, node->position, out);
    }
    bool is_series_allowed = scope->is_series_allowed;
    scope->is_series_allowed = is_series_allowed && node->kind != AST_COALESCE;
    enum err result = bind_arguments(b, scope, node, &arguments);
    scope->is_series_allowed = is_series_allowed;
    if (result != OK)
        return result;
    switch (node->kind) {
    case AST_OPERATOR:
        result = build_operator(&b->build, node->text, node->count == 1 ? NULL : arguments[0],
                                arguments[node->count - 1], node->position, out);
        if (result != OK && slice_equal(node->text, SLICE("==")))
            error_hint(b->error, "write = for equality");
        return result;
    case AST_SUBSCRIPT:
        return build_subscript(&b->build, arguments, node->count, node->position, out);
    case AST_CAST:
        if (node->text.size > 0) /* regclass and its like */
            return bind_reg_cast(b, node, arguments[0], out);
        if (node->type.id == TYPE_TEXT && is_reg_call(arguments[0]))
            return build_call(&b->build, slice_from_cstr(arguments[0]->function->name), arguments,
                              1, node->position, out);
        return build_cast(&b->build, arguments[0], node->type, CAST_EXPLICIT, node->position, out);
    default:
        return build_node(&b->build, node_kind(node->kind), node->is_negated, arguments,
                          node->count, node->position, out);
    }
}

enum err bind_expr(struct binder *b, struct scope *scope, const struct ast_node *node,
                   struct expr **out)
{
    struct value boolean = {.type = type_of(TYPE_BOOL), .b = node->is_true};
    enum err err = build_look(&b->build);
    if (err != OK)
        return err;
    switch (node->kind) {
    case AST_COLUMN:
        return scope_find(b, scope, node, out);
    case AST_STAR:
        return bind_error(b, node->position, "42601", "* stands only in a select list or count(*)");
    case AST_STRING:
        *out = build_string(&b->build, node->text, node->position);
        (*out)->literal = node->literal;
        return OK;
    case AST_NUMBER:
        return bind_number(b, node, out);
    case AST_BOOL:
        *out = build_constant(&b->build, &boolean, node->position);
        return OK;
    case AST_NULL:
        *out = build_null(&b->build, node->position);
        return OK;
    case AST_CALL:
        return bind_call(b, scope, node, out);
    case AST_PARAMETER:
        return build_parameter(&b->build, node->number, SLICE(""), node->position, out);
    case AST_GROUPING:
        return bind_grouping(b, scope, node, out);
    case AST_GROUPING_SET:
        return bind_error(b, node->position, "42601", "grouping sets stand in GROUP BY only");
    case AST_CASE:
        return bind_case(b, scope, node, out);
    case AST_BETWEEN:
        return bind_between(b, scope, node, out);
    case AST_SUBQUERY:
    case AST_EXISTS:
    case AST_IN_SUBQUERY:
    case AST_ARRAY_SUBQUERY:
        return bind_subquery(b, scope, node, out);
    case AST_ARRAY_COMPARE:
        return bind_array_compare(b, scope, node, out);
    case AST_DEFAULT:
        return bind_error(b, node->position, "42601", "DEFAULT is not allowed in this context");
    default:
        return bind_compound(b, scope, node, out);
    }
}

enum err bind_condition(struct binder *b, struct scope *scope, const struct ast_node *node,
                        const char *clause, struct expr **out)
{
    scope->clause = clause;
    enum err result = bind_expr(b, scope, node, out);
    return result != OK ? result : build_condition(&b->build, *out, clause, out);
}

/* *strength 2: a name of its own; 1: one that a cast or CASE around it may replace. */
static struct slice label(const struct ast_node *node, int *strength)
{
    struct slice inner = {0};
    *strength = 2;
    switch (node->kind) {
    case AST_COLUMN:
        return node->fields[node->field_count - 1];
    case AST_CALL:
        return node->text;
    case AST_COALESCE:
        return SLICE("coalesce");
    case AST_NULLIF:
        return SLICE("nullif");
    case AST_GREATEST:
        return SLICE("greatest");
    case AST_LEAST:
        return SLICE("least");
    case AST_ARRAY:
    case AST_ARRAY_SUBQUERY:
        return SLICE("array");
    case AST_EXISTS:
        return SLICE("exists");
    case AST_GROUPING:
        return SLICE("grouping");
    case AST_SUBSCRIPT:
        return label(node->arguments[0], strength);
    case AST_SUBQUERY:
        if (node->select->target_count == 1 && node->select->targets[0].alias.size > 0)
            return node->select->targets[0].alias;
        if (node->select->target_count == 1)
            return label(node->select->targets[0].node, strength);
        break;
    case AST_CAST:
        inner = label(node->arguments[0], strength);
        if (*strength == 2)
            return inner;
        *strength = 1;
        return node->label;
    case AST_CASE:
        if (node->count % 2 == 1)
            inner = label(node->arguments[node->count - 1], strength);
        if (node->count % 2 == 1 && *strength == 2)
            return inner;
        *strength = 1;
        return SLICE("case");
    default:
        break;
    }
    *strength = 0;
    return SLICE("?column?");
}

struct slice bind_label(const struct ast_node *node)
{
    int strength;
    return label(node, &strength);
}
