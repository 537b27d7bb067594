/* Calls with OVER: what they may be, their windows and frames.
 *
 * They are bound where they stand, over the input's columns like aggregates, and stand in the bound
 * expressions as columns from OVER_COLUMN_FIRST on. bind_group rewrites what is inside of them.
 * Then they become steps of the plan (bind_over_plan.c). */
#include "query/sql/bind.h"

#include "query/func/aggregate.h"
#include "query/func/over.h"

/* --- calls --- */

static enum err missing_function(struct binder *b, const struct ast_node *node,
                                 struct expr *const *arguments)
{
    struct writer types;
    writer_init(&types);
    for (uint32_t index = 0; index < node->count; index++)
        writer_printf(&types, "%s%s", index > 0 ? ", " : "",
                      type_name((enum type_id)arguments[index]->type.id));
    bind_error(b, node->position, "42883", "function %.*s(%.*s) does not exist",
               SLICE_ARGS(node->text), SLICE_ARGS(writer_as_slice(&types)));
    writer_deinit(&types);
    error_hint(b->error, "No function matches the given name and argument types. You might need to "
                         "add explicit type casts.");
    return ERR_INPUT;
}

static enum err coerce(struct binder *b, const struct ast_node *node, struct expr **arguments,
                       uint32_t index, enum type_id type)
{
    struct expr *cast;
    if (build_cast(&b->build, arguments[index], type_of(type), CAST_IMPLICIT, node->position,
                   &cast) != OK)
        return missing_function(b, node, arguments);
    arguments[index] = cast;
    return OK;
}

/* The types of a window function's arguments and result. */
static enum err type_function(struct binder *b, const struct ast_node *node,
                              const struct over_function *function, struct window_call *call)
{
    struct expr **arguments = call->aggregate.arguments;
    if (node->count < function->argument_min || node->count > function->argument_max)
        return missing_function(b, node, arguments);
    enum err result = OK;
    if (function->kind == OVER_NTILE)
        result = coerce(b, node, arguments, 0, TYPE_INT4);
    if (function->kind == OVER_INTERPOLATE)
        result = coerce(b, node, arguments, 0, TYPE_FLOAT8);
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        if (function->result == OVER_SAME && index != 1)
            arguments[index] = build_finish(&b->build, arguments[index]);
    if (result == OK && function->result == OVER_SAME && node->count > 1)
        result = coerce(b, node, arguments, 1, TYPE_INT4);
    call->aggregate.type =
        function->result == OVER_SAME ? arguments[0]->type : type_of(function->result);
    if (result != OK || node->count < 3)
        return result;
    struct expr *both[2] = {arguments[0], arguments[2]};
    result = build_common_type(&b->build, both, 2, "default", &call->aggregate.type);
    if (result != OK)
        return missing_function(b, node, arguments);
    result = coerce(b, node, arguments, 0, (enum type_id)call->aggregate.type.id);
    return result != OK ? result
                        : coerce(b, node, arguments, 2, (enum type_id)call->aggregate.type.id);
}

static enum err bind_filter_of(struct binder *b, struct scope *scope, const struct ast_node *node,
                               struct expr **out)
{
    *out = NULL;
    if (node->filter == NULL)
        return OK;
    enum err result = bind_expr(b, scope, node->filter, out);
    return result != OK ? result : build_condition(&b->build, *out, "FILTER", out);
}

static enum err bind_function(struct binder *b, struct scope *scope, const struct ast_node *node,
                              struct window_call *call)
{
    call->function = over_find(node->text);
    call->aggregate.text_position = node->position;
    enum err result = bind_arguments(b, scope, node, &call->aggregate.arguments);
    if (result != OK)
        return result;
    call->aggregate.argument_count = node->count;
    if (call->function == NULL) { /* a plain function, or none at all */
        struct expr *unused;
        result = build_call(&b->build, node->text, call->aggregate.arguments, node->count,
                            node->position, &unused);
        return result != OK ? result
                            : bind_error(b, node->position, "42809",
                                         "OVER specified, but %.*s is not a window function nor an "
                                         "aggregate function",
                                         SLICE_ARGS(node->text));
    }
    if (node->filter != NULL)
        return bind_unsupported(b, node->position,
                                "FILTER of a window function that is no aggregate");
    return type_function(b, node, call->function, call);
}

static enum err bind_aggregate_of(struct binder *b, struct scope *scope,
                                  const struct ast_node *node, struct window_call *call)
{
    if (node->count == 0 && !node->is_star)
        return bind_error(b, node->position, "42809",
                          "%.*s(*) must be used to call a parameterless aggregate function",
                          SLICE_ARGS(node->text));
    struct aggregate_request request = {.name = node->text,
                                        .argument_count = node->count,
                                        .is_star = node->is_star,
                                        .position = node->position};
    enum err result = bind_arguments(b, scope, node, &request.arguments);
    if (result == OK)
        result = bind_filter_of(b, scope, node, &request.filter);
    return result != OK ? result : build_aggregate(&b->build, &request, &call->aggregate);
}

/* --- windows --- */

static const struct ast_window *find_window(const struct scope *scope, struct slice name,
                                            size_t limit)
{
    for (size_t index = 0; scope->select != NULL && index < limit; index++)
        if (slice_equal(scope->select->windows[index]->name, name))
            return scope->select->windows[index];
    return NULL;
}

static size_t place_of(const struct scope *scope, const struct ast_window *window)
{
    size_t count = scope->select == NULL ? 0 : scope->select->window_count;
    for (size_t index = 0; index < count; index++)
        if (scope->select->windows[index] == window)
            return index;
    return count;
}

static enum err missing_window(struct binder *b, const struct ast_window *window, struct slice name)
{
    return bind_error(b, window->position, "42704", "window \"%.*s\" does not exist",
                      SLICE_ARGS(name));
}

/* Where partition and order of a window come from: its base may give what it does not say itself.
 */
static enum err inherit(struct binder *b, const struct scope *scope,
                        const struct ast_window *window, const struct ast_window **partition,
                        const struct ast_window **order)
{
    *partition = *order = window;
    if (window->base.size == 0)
        return OK;
    size_t place = place_of(scope, window);
    const struct ast_window *base = find_window(scope, window->base, place);
    if (base == NULL)
        return missing_window(b, window, window->base);
    const struct ast_window *base_order;
    enum err result = inherit(b, scope, base, partition, &base_order);
    if (result != OK)
        return result;
    const char *refused = window->partition_count > 0 ? "cannot override PARTITION BY clause of"
                          : window->order_count > 0 && base_order->order_count > 0
                              ? "cannot override ORDER BY clause of"
                              : NULL;
    if (refused != NULL)
        return bind_error(b, window->position, "42P20", "%s window \"%.*s\"", refused,
                          SLICE_ARGS(window->base));
    if (base->is_frame_written) {
        result = bind_error(b, window->position, "42P20",
                            "cannot copy window \"%.*s\" because it has a frame clause",
                            SLICE_ARGS(window->base));
        if (window->name.size == 0 && window->order_count == 0 && !window->is_frame_written)
            error_hint(b->error, "Omit the parentheses in this OVER clause.");
        return result;
    }
    if (window->order_count == 0)
        *order = base_order;
    return OK;
}

static enum err bind_key(struct binder *b, struct scope *scope, const struct ast_node *node,
                         struct expr **out)
{
    enum err result = bind_expr(b, scope, node, out);
    if (result != OK)
        return result;
    *out = build_finish(&b->build, *out);
    if ((*out)->type.id != TYPE_JSON)
        return OK;
    return bind_error(b, node->position, "42883",
                      "could not identify an ordering operator for type json");
}

static enum err bind_keys(struct binder *b, struct scope *scope, const struct ast_window *partition,
                          const struct ast_window *order, struct over_call *over)
{
    over->partition_count = partition->partition_count;
    over->key_count = partition->partition_count + order->order_count;
    over->keys = arena_alloc_zero(b->arena, (over->key_count + 1) * sizeof(*over->keys));
    enum err result = OK;
    for (size_t index = 0; index < over->partition_count && result == OK; index++)
        result = bind_key(b, scope, partition->partition[index], &over->keys[index].expr);
    for (size_t index = 0; index < order->order_count && result == OK; index++) {
        struct sort_key *key = &over->keys[over->partition_count + index];
        key->is_descending = order->order[index].is_descending;
        key->is_nulls_first = order->order[index].is_nulls_first;
        result = bind_key(b, scope, order->order[index].node, &key->expr);
    }
    return result;
}

/* What RANGE adds to a key of that type; TYPE_UNKNOWN: nothing. */
static enum type_id offset_type(enum type_id key)
{
    switch (key) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        return TYPE_INT8;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return TYPE_FLOAT8;
    case TYPE_NUMERIC:
        return TYPE_NUMERIC;
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
        return TYPE_INTERVAL;
    default:
        return TYPE_UNKNOWN;
    }
}

static enum err type_range_offset(struct binder *b, const struct over_call *over,
                                  const struct ast_node *node, struct expr **offset)
{
    if (over->key_count - over->partition_count != 1)
        return bind_error(b, node->position, "42P20",
                          "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY "
                          "column");
    enum type_id key = (enum type_id)over->keys[over->partition_count].expr->type.id;
    enum type_id type = offset_type(key);
    if (type == TYPE_UNKNOWN) {
        bind_error(b, node->position, "0A000",
                   "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s",
                   type_name(key));
        return ERR_INPUT;
    }
    enum type_id given = (enum type_id)(*offset)->type.id;
    enum err result =
        build_cast(&b->build, *offset, type_of(type), CAST_IMPLICIT, node->position, offset);
    if (result == OK || given == TYPE_UNKNOWN)
        return result;
    return bind_error(b, node->position, "0A000",
                      "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s "
                      "and offset type %s",
                      type_name(key), type_name(given));
}

static enum err bind_offset(struct binder *b, struct scope *scope, const struct over_call *over,
                            const struct ast_window *window, const struct ast_node *node,
                            struct expr **out)
{
    static const char *const names[] = {"RANGE", "ROWS", "GROUPS"};
    static const char *const clauses[] = {"window RANGE", "window ROWS", "window GROUPS"};
    *out = NULL;
    if (node == NULL)
        return OK;
    bool is_aggregate_allowed = scope->is_aggregate_allowed;
    const char *clause = scope->clause;
    scope->is_aggregate_allowed = false;
    scope->clause = clauses[window->mode];
    enum err result = bind_expr(b, scope, node, out);
    scope->is_aggregate_allowed = is_aggregate_allowed;
    scope->clause = clause;
    if (result != OK)
        return result;
    if (expr_has_kind(*out, EXPR_COLUMN))
        return bind_error(b, node->position, "42P10", "argument of %s must not contain variables",
                          names[window->mode]);
    if (window->mode == FRAME_RANGE)
        return type_range_offset(b, over, node, out);
    enum type_id given = (enum type_id)(*out)->type.id;
    result = build_cast(&b->build, *out, type_of(TYPE_INT8), CAST_ASSIGNMENT, node->position, out);
    if (result == OK || given == TYPE_UNKNOWN)
        return result;
    return bind_error(b, node->position, "42804", "argument of %s must be type bigint, not type %s",
                      names[window->mode], type_name(given));
}

static enum err bind_definition(struct binder *b, struct scope *scope,
                                const struct ast_window *window, struct over_call *over)
{
    const struct ast_window *partition;
    const struct ast_window *order;
    struct window_frame *frame = &over->call.frame;
    enum err result = inherit(b, scope, window, &partition, &order);
    if (result == OK)
        result = bind_keys(b, scope, partition, order, over);
    if (result != OK)
        return result;
    *frame = (struct window_frame){.mode = window->mode,
                                   .start = window->start,
                                   .end = window->end,
                                   .exclusion = window->exclusion};
    if (frame->mode == FRAME_GROUPS && over->key_count == over->partition_count)
        return bind_error(b, window->position, "42P20", "GROUPS mode requires an ORDER BY clause");
    result = bind_offset(b, scope, over, window, window->start_offset, &frame->start_offset);
    return result != OK
               ? result
               : bind_offset(b, scope, over, window, window->end_offset, &frame->end_offset);
}

static enum err bind_window_of(struct binder *b, struct scope *scope, const struct ast_node *node,
                               struct over_call *over)
{
    const struct ast_window *window = node->over;
    if (window->name.size > 0) {
        size_t count = scope->select == NULL ? 0 : scope->select->window_count;
        window = find_window(scope, node->over->name, count);
        if (window == NULL)
            return missing_window(b, node->over, node->over->name);
    }
    enum err result = bind_definition(b, scope, window, over);
    if (result != OK || over->call.function == NULL ||
        over->call.function->kind != OVER_INTERPOLATE)
        return result;
    enum type_id key = over->key_count == over->partition_count + 1
                           ? (enum type_id)over->keys[over->partition_count].expr->type.id
                           : TYPE_UNKNOWN;
    if (offset_type(key) == TYPE_UNKNOWN || key == TYPE_INTERVAL)
        return bind_error(b, node->position, "42P20",
                          "interpolate requires a window with one ORDER BY column, a number or a "
                          "time");
    return OK;
}

enum err bind_over_definitions(struct binder *b, struct scope *scope)
{
    for (size_t index = 0; index < scope->select->window_count; index++) {
        struct over_call unused = {0};
        scope->is_in_over = true;
        enum err result = bind_definition(b, scope, scope->select->windows[index], &unused);
        scope->is_in_over = false;
        if (result != OK)
            return result;
    }
    return OK;
}

/* --- calls collected --- */

static bool same_expr(const struct expr *a, const struct expr *b)
{
    return a == NULL || b == NULL ? a == b : expr_equal(a, b);
}

static bool same_over(const struct over_call *a, const struct over_call *b)
{
    const struct aggregate_call *x = &a->call.aggregate;
    const struct aggregate_call *y = &b->call.aggregate;
    const struct window_frame *f = &a->call.frame;
    const struct window_frame *g = &b->call.frame;
    if (a->call.function != b->call.function || x->aggregate != y->aggregate ||
        x->argument_count != y->argument_count || !type_equal(x->type, y->type) ||
        a->partition_count != b->partition_count || a->key_count != b->key_count ||
        f->mode != g->mode || f->start != g->start || f->end != g->end ||
        f->exclusion != g->exclusion || (x->aggregate != NULL && x->aggregate->direct[0] != 0))
        return false;
    for (uint32_t index = 0; index < x->argument_count; index++)
        if (!expr_equal(x->arguments[index], y->arguments[index]))
            return false;
    return same_expr(f->start_offset, g->start_offset) && same_expr(f->end_offset, g->end_offset) &&
           same_expr(x->filter, y->filter) && bind_same_keys(a, b, a->key_count);
}

enum err bind_over(struct binder *b, struct scope *scope, const struct ast_node *node,
                   struct expr **out)
{
    if (scope->is_in_aggregate)
        return bind_error(b, node->position, "42803",
                          "aggregate function calls cannot contain window function calls");
    if (scope->is_in_over)
        return bind_error(b, node->position, "42P20", "window function calls cannot be nested");
    if (!scope->is_over_allowed)
        return bind_error(b, node->position, "42P20", "window functions are not allowed in %s",
                          scope->clause == NULL ? "this place" : scope->clause);
    bool is_aggregate = build_is_aggregate(node->text) && over_find(node->text) == NULL;
    if (node->is_distinct)
        return bind_unsupported(b, node->position, "DISTINCT in a call with OVER");
    if (node->is_within)
        return bind_unsupported(b, node->position, "an ordered-set aggregate with OVER");
    if (node->order_count > 0)
        return bind_unsupported(b, node->position, "ORDER BY inside a call with OVER");
    struct over_call over = {0};
    scope->is_in_over = true;
    enum err result = is_aggregate ? bind_aggregate_of(b, scope, node, &over.call)
                                   : bind_function(b, scope, node, &over.call);
    if (result == OK)
        result = bind_window_of(b, scope, node, &over);
    scope->is_in_over = false;
    if (result != OK)
        return result;
    size_t index = 0;
    while (index < scope->over_count && !same_over(&scope->overs[index], &over))
        index++;
    if (index == scope->over_count) {
        scope->overs = bind_grow(b->arena, scope->overs, scope->over_count, &scope->over_capacity,
                                 sizeof(*scope->overs));
        scope->overs[scope->over_count++] = over;
    }
    *out = build_column(&b->build, OVER_COLUMN_FIRST + (uint32_t)index, over.call.aggregate.type,
                        node->position);
    return OK;
}

enum err bind_check_over(struct binder *b, const struct ast_node *node)
{
    if (over_find(node->text) == NULL)
        return OK;
    return bind_error(b, node->position, "42809", "window function %.*s requires an OVER clause",
                      SLICE_ARGS(node->text));
}

bool bind_has_over(const struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->column >= OVER_COLUMN_FIRST && expr->column < GROUPING_COLUMN_FIRST;
    for (uint32_t index = 0; index < expr->argument_count; index++)
        if (bind_has_over(expr->arguments[index]))
            return true;
    return false;
}

/* Every expression of every call, in one order; `exprs` NULL: only their number. */
static size_t walk_exprs(const struct scope *scope, struct expr **exprs, bool is_put)
{
    size_t count = 0;
    for (size_t index = 0; index < scope->over_count; index++) {
        struct over_call *over = &scope->overs[index];
        struct aggregate_call *call = &over->call.aggregate;
        for (size_t part = 0; part < call->argument_count + 1 + over->key_count; part++) {
            size_t key = part - call->argument_count - 1;
            struct expr **expr = part < call->argument_count    ? &call->arguments[part]
                                 : part == call->argument_count ? &call->filter
                                                                : &over->keys[key].expr;
            if (exprs != NULL && is_put)
                *expr = exprs[count];
            else if (exprs != NULL)
                exprs[count] = *expr;
            count++;
        }
    }
    return count;
}

size_t bind_over_exprs(const struct scope *scope, struct expr **exprs)
{
    return walk_exprs(scope, exprs, false);
}

void bind_over_replace(struct scope *scope, struct expr *const *exprs)
{
    walk_exprs(scope, (struct expr **)exprs, true);
}
