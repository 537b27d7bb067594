/* GROUP BY. Targets, HAVING and ORDER BY are bound over the input like anything else, with
 * aggregates standing as columns past AGGREGATE_COLUMN_FIRST. Here every such expression is
 * rewritten to the GROUP's output: a subtree equal to a key becomes that key's column, an aggregate
 * its column, and a column of the input that is left over is 42803. */
#include "query/sql/bind.h"

#include "query/func/aggregate.h"

struct group_rewrite {
    struct binder *b;
    const struct scope *scope;
    struct expr **keys;
    size_t key_count;
    size_t aggregate_first; /* columns of the GROUP: keys, set, groupings, then these */
    bool has_sets;
};

static enum err ungrouped(const struct group_rewrite *rewrite, const struct expr *expr)
{
    if (expr->column >= rewrite->scope->column_count) /* of a function that gives rows */
        return bind_error(rewrite->b, expr->text_position, "42803",
                          "a function that gives rows must appear in the GROUP BY clause as it is "
                          "in the select list");
    const struct scope_column *column = &rewrite->scope->columns[expr->column];
    bool has_table = column->table.size > 0;
    return bind_error(rewrite->b, expr->text_position, "42803",
                      "column \"%.*s%s%.*s\" must appear in the GROUP BY clause or be used in an "
                      "aggregate function",
                      SLICE_ARGS(column->table), has_table ? "." : "", SLICE_ARGS(column->name));
}

/* Without grouping sets every key is grouped by. */
static struct expr *grouping_column(const struct group_rewrite *rewrite, const struct expr *in)
{
    struct builder *build = &rewrite->b->build;
    struct value zero = {.type = type_of(TYPE_INT4)};
    uint32_t index = in->column - GROUPING_COLUMN_FIRST;
    return rewrite->has_sets ? build_column(build, (uint32_t)rewrite->key_count + 1 + index,
                                            in->type, in->text_position)
                             : build_constant(build, &zero, in->text_position);
}

static enum err rewrite_expr(const struct group_rewrite *rewrite, struct expr *in,
                             struct expr **out)
{
    struct builder *build = &rewrite->b->build;
    for (size_t key = 0; key < rewrite->key_count; key++) {
        if (in->kind != EXPR_CONSTANT && expr_equal(in, rewrite->keys[key])) {
            *out = build_column(build, (uint32_t)key, rewrite->keys[key]->type, in->text_position);
            return OK;
        }
    }
    if (in->kind == EXPR_COLUMN && in->column >= SERIES_COLUMN_FIRST) {
        *out = in;
        return OK;
    }
    if (in->kind == EXPR_COLUMN && in->column >= GROUPING_COLUMN_FIRST) {
        *out = grouping_column(rewrite, in);
        return OK;
    }
    if (in->kind == EXPR_COLUMN && in->column >= OVER_COLUMN_FIRST) {
        *out = in;
        return OK;
    }
    if (in->kind == EXPR_COLUMN && in->column >= AGGREGATE_COLUMN_FIRST) {
        uint32_t column = (uint32_t)rewrite->aggregate_first + in->column - AGGREGATE_COLUMN_FIRST;
        *out = build_column(build, column, in->type, in->text_position);
        return OK;
    }
    if (in->kind == EXPR_COLUMN)
        return ungrouped(rewrite, in);
    *out = in;
    if (in->argument_count == 0)
        return OK;
    struct expr *copy = *out = arena_alloc(rewrite->b->arena, sizeof(*copy));
    *copy = *in;
    copy->arguments =
        arena_alloc_array(rewrite->b->arena, in->argument_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < in->argument_count; index++) {
        enum err result = rewrite_expr(rewrite, in->arguments[index], &copy->arguments[index]);
        if (result != OK)
            return result;
    }
    return OK;
}

static struct slice key_name(const struct scope *scope, const struct expr *key)
{
    bool is_column = key->kind == EXPR_COLUMN && key->column < scope->column_count;
    return is_column ? scope->columns[key->column].name : SLICE("?column?");
}

/* The keys of the GROUP with grouping sets: columns of the EXPAND below. */
static enum err put_expand(struct binder *b, const struct scope *scope,
                           const struct group_request *request, struct expr ***keys,
                           struct plan **plan)
{
    uint32_t first = (uint32_t)(*plan)->column_count;
    enum err result =
        bind_expand(b, scope, &request->sets, request->keys, request->key_count, plan);
    if (result != OK || request->sets.count == 0)
        return result;
    size_t count = (*plan)->column_count - first;
    *keys = arena_alloc_array(b->arena, count, sizeof(struct expr *));
    for (uint32_t index = 0; index < count; index++)
        (*keys)[index] =
            build_column(&b->build, first + index, (*plan)->columns[first + index].type, 0);
    return OK;
}

enum err bind_group(struct binder *b, struct scope *scope, const struct group_request *request,
                    struct plan **plan)
{
    bool has_sets = request->sets.count > 0;
    size_t extra = has_sets ? 1 + scope->grouping_count : 0;
    size_t key_count = request->key_count + extra;
    struct expr **keys = request->keys;
    struct group_rewrite rewrite = {.b = b,
                                    .scope = scope,
                                    .keys = keys,
                                    .key_count = request->key_count,
                                    .aggregate_first = key_count,
                                    .has_sets = has_sets};
    enum err result = OK;
    for (size_t index = 0; index < request->expr_count && result == OK; index++)
        if (request->exprs[index] != NULL)
            result = rewrite_expr(&rewrite, request->exprs[index], &request->exprs[index]);
    /* Also without sets where grouping(…) stands: its arguments are looked at there. */
    struct plan *child = *plan;
    if (result == OK && (has_sets || scope->grouping_count > 0))
        result = put_expand(b, scope, request, &keys, &child);
    if (has_sets)
        *plan = child;
    struct plan *group;
    if (result == OK)
        result = bind_new_plan(b, PLAN_GROUP, key_count + scope->aggregate_count, 1, &group);
    if (result != OK)
        return result;
    group->children[0] = *plan;
    group->group.key_count = key_count;
    group->group.keys = keys;
    group->group.aggregate_count = scope->aggregate_count;
    group->group.aggregates = scope->aggregates;
    for (size_t index = 0; index < key_count; index++)
        group->columns[index] = (struct plan_column){
            index < request->key_count ? key_name(scope, request->keys[index]) : SLICE("?column?"),
            keys[index]->type};
    for (size_t index = 0; index < scope->aggregate_count; index++)
        group->columns[key_count + index] =
            (struct plan_column){slice_from_cstr(scope->aggregates[index].aggregate->name),
                                 scope->aggregates[index].type};
    *plan = group;
    return OK;
}
