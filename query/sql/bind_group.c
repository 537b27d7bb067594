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
};

static enum err ungrouped(const struct group_rewrite *rewrite, const struct expr *expr)
{
    const struct scope_column *column = &rewrite->scope->columns[expr->column];
    bool has_table = column->table.size > 0;
    return bind_error(rewrite->b, expr->text_position, "42803",
                      "column \"%.*s%s%.*s\" must appear in the GROUP BY clause or be used in an "
                      "aggregate function",
                      SLICE_ARGS(column->table), has_table ? "." : "", SLICE_ARGS(column->name));
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
    if (in->kind == EXPR_COLUMN && in->column >= OVER_COLUMN_FIRST) {
        *out = in;
        return OK;
    }
    if (in->kind == EXPR_COLUMN && in->column >= AGGREGATE_COLUMN_FIRST) {
        uint32_t column = (uint32_t)rewrite->key_count + in->column - AGGREGATE_COLUMN_FIRST;
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

enum err bind_group(struct binder *b, struct scope *scope, struct expr **keys, size_t key_count,
                    struct expr **exprs, size_t expr_count, struct plan **plan)
{
    struct group_rewrite rewrite = {.b = b, .scope = scope, .keys = keys, .key_count = key_count};
    for (size_t index = 0; index < expr_count; index++) {
        enum err result =
            exprs[index] == NULL ? OK : rewrite_expr(&rewrite, exprs[index], &exprs[index]);
        if (result != OK)
            return result;
    }
    struct plan *group;
    enum err result = bind_new_plan(b, PLAN_GROUP, key_count + scope->aggregate_count, 1, &group);
    if (result != OK)
        return result;
    group->children[0] = *plan;
    group->group.key_count = key_count;
    group->group.keys = keys;
    group->group.aggregate_count = scope->aggregate_count;
    group->group.aggregates = scope->aggregates;
    for (size_t index = 0; index < key_count; index++)
        group->columns[index] =
            (struct plan_column){key_name(scope, keys[index]), keys[index]->type};
    for (size_t index = 0; index < scope->aggregate_count; index++)
        group->columns[key_count + index] =
            (struct plan_column){slice_from_cstr(scope->aggregates[index].aggregate->name),
                                 scope->aggregates[index].type};
    *plan = group;
    return OK;
}
