/* sql_prepare: text to a bound, rewritten, numbered statement. */
#include "query/sql/bind.h"

#include "query/plan/rewrite.h"
#include "query/sql/parse.h"

#include <assert.h>

uint32_t bind_add_subplan(struct binder *b, struct plan *plan, const struct subplan_slots *slots)
{
    struct statement *statement = b->statement;
    size_t capacity = b->subplan_capacity;
    statement->subplan_slots = bind_grow(b->arena, statement->subplan_slots,
                                         statement->subplan_count, &capacity, sizeof(*slots));
    statement->subplan_slots[statement->subplan_count] = *slots;
    statement->subplans = bind_grow(b->arena, statement->subplans, statement->subplan_count,
                                    &b->subplan_capacity, sizeof(*statement->subplans));
    statement->subplans[statement->subplan_count] = plan;
    return (uint32_t)statement->subplan_count++;
}

static void number_plan(struct statement *statement, struct plan *plan)
{
    plan->id = statement->plan_count++;
    plan_make_sizes(plan, &statement->arena);
    for (size_t index = 0; index < plan->child_count; index++)
        number_plan(statement, plan->children[index]);
}

static void optimize_plans(struct binder *b)
{
    struct statement *statement = b->statement;
    /* Outer ones have the higher numbers, and take inner ones into themselves. */
    if (statement->plan != NULL)
        statement->plan = plan_decorrelate(&b->build, statement, statement->plan);
    for (size_t index = statement->subplan_count; index-- > 0;)
        if (statement->subplans[index] != NULL)
            statement->subplans[index] =
                plan_decorrelate(&b->build, statement, statement->subplans[index]);
    if (statement->plan != NULL)
        plan_lookups(&b->build, statement->plan, false);
    for (size_t index = 0; index < statement->subplan_count; index++)
        if (statement->subplans[index] != NULL)
            plan_lookups(&b->build, statement->subplans[index],
                         statement->subplan_slots[index].count > 0);
    if (statement->plan != NULL)
        statement->plan = plan_rewrite(&b->build, statement->plan);
    for (size_t index = 0; index < statement->subplan_count; index++)
        if (statement->subplans[index] != NULL)
            statement->subplans[index] = plan_rewrite(&b->build, statement->subplans[index]);
    plan_lift(&b->build, b->context->shape, statement);
    if (statement->plan != NULL)
        plan_bound_scans(&b->build, statement->plan);
    for (size_t index = 0; index < statement->subplan_count; index++)
        if (statement->subplans[index] != NULL)
            plan_bound_scans(&b->build, statement->subplans[index]);
}

static enum err finish_plans(struct binder *b)
{
    struct statement *statement = b->statement;
    if (!b->context->is_unoptimized)
        optimize_plans(b);
    if (statement->plan != NULL)
        number_plan(statement, statement->plan);
    for (size_t index = 0; index < statement->subplan_count; index++)
        if (statement->subplans[index] != NULL)
            number_plan(statement, statement->subplans[index]);
    return b->build.looked;
}

static enum err bind_statement(struct binder *b, struct ast_statement *ast)
{
    struct statement *statement = b->statement;
    switch (ast->kind) {
    case AST_STATEMENT_COMMAND:
        statement->kind = STATEMENT_COMMAND;
        return bind_command(b, ast);
    case AST_STATEMENT_SHOW:
        statement->kind = STATEMENT_SELECT;
        statement->is_read_only = true;
        return bind_show(b, ast->show);
    case AST_STATEMENT_EXPLAIN:
        statement->kind = STATEMENT_EXPLAIN;
        statement->is_analyze = ast->is_analyze;
        statement->is_json = ast->is_json;
        statement->is_cacheable = ast->is_analyze; /* it runs as what it explains does */
        statement->command_tag = "EXPLAIN";
        break;
    case AST_STATEMENT_COPY:
        statement->kind = STATEMENT_SELECT;
        statement->copy = ast->copy;
        statement->command_tag = "COPY";
        break;
    case AST_STATEMENT_SELECT:
        statement->kind = STATEMENT_SELECT;
        statement->command_tag = "SELECT";
        statement->is_cacheable = true;
        b->outermost = ast->select;
        break;
    }
    statement->is_read_only = true;
    return bind_select(b, NULL, NULL, ast->select, false, &statement->plan);
}

/* Those that PostgreSQL plans itself; what other statements hold has no values of its own. */
static bool takes_numbered(const struct ast_statement *ast)
{
    return ast->kind == AST_STATEMENT_SELECT || ast->kind == AST_STATEMENT_EXPLAIN ||
           (ast->kind == AST_STATEMENT_COMMAND &&
            (ast->command->kind == COMMAND_INSERT || ast->command->is_as));
}

enum err sql_prepare(struct slice text, const struct sql_context *context, struct statement **out,
                     struct error *error)
{
    struct error local;
    struct statement *statement = memory_alloc_zero(sizeof(*statement));
    arena_init(&statement->arena);
    atomic_init(&statement->references, 1);
    struct binder b = {.arena = &statement->arena,
                       .context = context,
                       .statement = statement,
                       .error = error == NULL ? &local : error,
                       .copies = 1};
    b.build = (struct builder){.arena = b.arena,
                               .zone = context->zone == NULL ? timezone_utc : context->zone,
                               .error = b.error,
                               .look = context->look,
                               .look_context = context->look_context};
    struct parameters parameters = {.is_named_allowed = true,
                                    .values = context->parameter_values,
                                    .value_count = context->parameter_value_count,
                                    .numbered_value_count = context->numbered_value_count};
    b.build.parameters = &parameters;
    struct ast_statement ast;
    enum err result = sql_parse(text, b.arena, &ast, b.error);
    const struct text_shape *shape = context->shape;
    if (result == OK && shape != NULL && shape->count > 0 && ast.kind == AST_STATEMENT_SELECT)
        b.build.is_literal_fixed = arena_alloc_zero(b.arena, shape->count * sizeof(bool));
    if (result == OK) {
        parameters.is_numbered_allowed = takes_numbered(&ast);
        build_give_types(&b.build, context->parameter_types, context->parameter_type_count);
        result = bind_statement(&b, &ast);
    }
    if (result == OK)
        result = bind_finish_parameters(&b);
    if (result == OK)
        result = finish_plans(&b);
    if (result != OK) {
        statement_unref(statement);
        return result;
    }
    assert(statement->plan != NULL || statement->kind == STATEMENT_COMMAND);
    *out = statement;
    return OK;
}
