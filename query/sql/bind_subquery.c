/* Subqueries in expressions: (SELECT …) as a value, EXISTS, IN, ANY, ALL, ARRAY.
 *
 * Each becomes a plan of its own (statement->subplans) and an expression that names it. Columns of
 * the query around that it uses are slots in the plan and arguments of the expression, so that
 * whatever moves or renumbers expressions there has nothing to know of subqueries. IN of one column
 * that takes nothing from around stays a set; other comparisons are a test of each row. ARRAY is
 * array_agg over the subquery, {} where that is NULL. */
#include "query/sql/bind.h"

struct subselect {
    struct correlation correlation;
    struct plan *plan;
};

static enum err bind_inner(struct binder *b, struct scope *scope, const struct ast_node *node,
                           struct subselect *out)
{
    *out = (struct subselect){.correlation = {.around = scope, .beyond = scope->outer}};
    struct scope border = {.correlation = &out->correlation};
    return bind_select(b, &border, scope->ctes, node->select, false, &out->plan);
}

static struct expr *new_subquery(struct binder *b, enum expr_kind kind, struct type type,
                                 const struct subselect *inner, struct expr *const *left,
                                 uint32_t left_count, int32_t position)
{
    const struct correlation *c = &inner->correlation;
    struct expr *expr = arena_alloc_zero(b->arena, sizeof(*expr));
    expr->kind = kind;
    expr->type = type;
    expr->text_position = position;
    expr->argument_count = left_count + (uint32_t)c->count;
    expr->arguments = arena_alloc_array(b->arena, expr->argument_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < left_count; index++)
        expr->arguments[index] = left[index];
    for (size_t index = 0; index < c->count; index++)
        expr->arguments[left_count + index] = c->arguments[index];
    struct subplan_slots slots = {.count = c->count, .slots = c->slots};
    expr->parameter = bind_add_subplan(b, inner->plan, &slots);
    return expr;
}

/* The first `count` rows only. */
static enum err limit_rows(struct binder *b, int64_t count, struct plan **plan)
{
    struct plan *first;
    enum err result = bind_new_plan(b, PLAN_LIMIT, (*plan)->column_count, 1, &first);
    if (result != OK)
        return result;
    struct value value = {.type = type_of(TYPE_INT8), .i = count};
    memcpy(first->columns, (*plan)->columns, first->column_count * sizeof(*first->columns));
    first->children[0] = *plan;
    first->sort.limit = build_constant(&b->build, &value, 0);
    *plan = first;
    return OK;
}

static bool is_one_row(const struct plan *plan)
{
    while (plan->kind == PLAN_PROJECT)
        plan = plan->children[0];
    return plan->kind == PLAN_GROUP && plan->group.key_count == 0;
}

static enum err check_one_column(struct binder *b, const struct ast_node *node,
                                 const struct plan *plan)
{
    return plan->column_count == 1
               ? OK
               : bind_error(b, node->position, "42601", "subquery must return only one column");
}

static enum err bind_scalar(struct binder *b, struct scope *scope, const struct ast_node *node,
                            struct expr **out)
{
    struct subselect inner;
    enum err result = bind_inner(b, scope, node, &inner);
    if (result == OK)
        result = check_one_column(b, node, inner.plan);
    if (result != OK)
        return result;
    struct type type = inner.plan->columns[0].type;
    if (!is_one_row(inner.plan)) /* of others a second row is an error already */
        result = limit_rows(b, 2, &inner.plan);
    *out = new_subquery(b, EXPR_PARAMETER, type, &inner, NULL, 0, node->position);
    return result;
}

static enum err bind_exists(struct binder *b, struct scope *scope, const struct ast_node *node,
                            struct expr **out)
{
    struct subselect inner;
    enum err result = bind_inner(b, scope, node, &inner);
    if (result == OK)
        result = limit_rows(b, 1, &inner.plan);
    if (result == OK)
        *out = new_subquery(b, EXPR_EXISTS, type_of(TYPE_BOOL), &inner, NULL, 0, node->position);
    return result;
}

static enum err bind_array(struct binder *b, struct scope *scope, const struct ast_node *node,
                           struct expr **out)
{
    struct subselect inner;
    struct plan *group;
    enum err result = bind_inner(b, scope, node, &inner);
    if (result == OK)
        result = check_one_column(b, node, inner.plan);
    if (result == OK)
        result = bind_new_plan(b, PLAN_GROUP, 1, 1, &group);
    if (result != OK)
        return result;
    struct aggregate_call *call = arena_alloc_zero(b->arena, sizeof(*call));
    struct expr **argument = arena_alloc_array(b->arena, 1, sizeof(*argument));
    argument[0] = build_column(&b->build, 0, inner.plan->columns[0].type, node->position);
    struct aggregate_request request = {.name = SLICE("array_agg"),
                                        .arguments = argument,
                                        .argument_count = 1,
                                        .position = node->position};
    result = build_aggregate(&b->build, &request, call);
    if (result != OK)
        return result;
    group->children[0] = inner.plan;
    group->columns[0] = (struct plan_column){SLICE("array"), call->type};
    group->group.aggregate_count = 1;
    group->group.aggregates = call;
    inner.plan = group;
    struct expr *both[2];
    both[0] = new_subquery(b, EXPR_PARAMETER, call->type, &inner, NULL, 0, node->position);
    both[1] = build_string(&b->build, SLICE("{}"), node->position);
    result = build_cast(&b->build, both[1], call->type, CAST_EXPLICIT, node->position, &both[1]);
    return result != OK ? result
                        : build_node(&b->build, EXPR_COALESCE, false, both, 2, node->position, out);
}

/* --- IN, ANY, ALL --- */

/* x IN (SELECT …) as a set. */
static enum err bind_set(struct binder *b, const struct ast_node *node, struct subselect *inner,
                         struct expr *left, struct expr **out)
{
    struct type type;
    struct expr *both[2] = {
        left, build_column(&b->build, 0, inner->plan->columns[0].type, node->position)};
    enum err result = build_common_type(&b->build, both, 2, "IN", &type);
    if (result != OK) { /* then there is no operator either, which is what PostgreSQL says */
        struct expr *unused;
        return build_operator(&b->build, SLICE("="), both[0], both[1], node->position, &unused) !=
                       OK
                   ? ERR_INPUT
                   : result;
    }
    result = build_cast(&b->build, left, type, CAST_IMPLICIT, node->position, &left);
    if (result == OK)
        result = bind_cast_columns(b, &inner->plan, &type);
    if (result != OK)
        return result;
    *out = new_subquery(b, EXPR_IN_SUBQUERY, type_of(TYPE_BOOL), inner, &left, 1, node->position);
    (*out)->is_negated = node->is_all;
    return OK;
}

/* left operator (column `index` of the row): the test over columns, and the left value as the
 * operator takes it. */
static enum err build_test(struct binder *b, const struct ast_node *node, const struct plan *plan,
                           uint32_t index, struct expr **left, struct expr **out)
{
    struct expr *right =
        build_column(&b->build, node->count + index, plan->columns[index].type, node->position);
    enum err result = build_operator(&b->build, node->text, *left, right, node->position, out);
    if (result != OK)
        return result;
    struct expr *test = *out;
    if (test->kind != EXPR_CALL || test->argument_count != 2)
        return bind_unsupported(b, node->position, "this comparison with a subquery");
    *left = test->arguments[0];
    test->arguments[0] = build_column(&b->build, index, (*left)->type, node->position);
    return build_condition(&b->build, test, "IN", out);
}

static enum err bind_quantified(struct binder *b, const struct ast_node *node,
                                const struct subselect *inner, struct expr **left,
                                struct expr **out)
{
    bool is_equal = slice_equal(node->text, SLICE("="));
    if (node->count > 1 && !is_equal && !slice_equal(node->text, SLICE("<>")))
        return bind_unsupported(b, node->position, "the order of rows of several columns");
    struct expr **tests = arena_alloc_array(b->arena, node->count, sizeof(*tests));
    enum err result = OK;
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        result = build_test(b, node, inner->plan, index, &left[index], &tests[index]);
    struct expr *test = tests[0];
    if (result == OK && node->count > 1)
        result = build_node(&b->build, is_equal ? EXPR_AND : EXPR_OR, false, tests, node->count,
                            node->position, &test);
    if (result != OK)
        return result;
    *out = new_subquery(b, EXPR_QUANTIFIED, type_of(TYPE_BOOL), inner, left, node->count,
                        node->position);
    (*out)->is_all = node->is_all;
    (*out)->left_count = node->count;
    (*out)->test = test;
    return OK;
}

static enum err bind_in(struct binder *b, struct scope *scope, const struct ast_node *node,
                        struct expr **out)
{
    struct subselect inner;
    struct expr **left = arena_alloc_array(b->arena, node->count, sizeof(*left));
    enum err result = OK;
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        result = bind_expr(b, scope, node->arguments[index], &left[index]);
    if (result == OK)
        result = bind_inner(b, scope, node, &inner);
    if (result != OK)
        return result;
    if (inner.plan->column_count != node->count)
        return bind_error(b, node->position, "42601", "subquery has too %s columns",
                          inner.plan->column_count < node->count ? "few" : "many");
    bool is_set = node->count == 1 && inner.correlation.count == 0 &&
                  slice_equal(node->text, node->is_all ? SLICE("<>") : SLICE("="));
    return is_set ? bind_set(b, node, &inner, left[0], out)
                  : bind_quantified(b, node, &inner, left, out);
}

enum err bind_subquery(struct binder *b, struct scope *scope, const struct ast_node *node,
                       struct expr **out)
{
    switch (node->kind) {
    case AST_EXISTS:
        return bind_exists(b, scope, node, out);
    case AST_IN_SUBQUERY:
        return bind_in(b, scope, node, out);
    case AST_ARRAY_SUBQUERY:
        return bind_array(b, scope, node, out);
    default:
        return bind_scalar(b, scope, node, out);
    }
}
