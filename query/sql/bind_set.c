/* VALUES and UNION ALL: several rows or queries become one by the types all of them can be. */
#include "query/sql/bind.h"

#include <assert.h>

static enum err cast_cells(struct binder *b, struct plan *plan, const struct type *types)
{
    for (size_t cell = 0; cell < plan->values.row_count * plan->column_count; cell++) {
        struct expr **expr = &plan->values.cells[cell];
        enum err result = build_cast(&b->build, *expr, types[cell % plan->column_count],
                                     CAST_IMPLICIT, (*expr)->text_position, expr);
        if (result != OK)
            return result;
    }
    return OK;
}

static enum err cast_project(struct binder *b, struct plan *plan, const struct type *types)
{
    for (size_t index = 0; index < plan->column_count; index++) {
        struct expr **expr = &plan->project.exprs[index];
        enum err result =
            build_cast(&b->build, *expr, types[index], CAST_IMPLICIT, (*expr)->text_position, expr);
        if (result != OK)
            return result;
    }
    return OK;
}

static bool same_types(const struct plan *plan, const struct type *types)
{
    for (size_t index = 0; index < plan->column_count; index++)
        if (!type_equal(plan->columns[index].type, types[index]))
            return false;
    return true;
}

/* Puts a projection of all columns above. */
static enum err wrap(struct binder *b, struct plan **plan)
{
    struct plan *project;
    struct plan *child = *plan;
    enum err result = bind_new_plan(b, PLAN_PROJECT, child->column_count, 1, &project);
    if (result != OK)
        return result;
    memcpy(project->columns, child->columns, child->column_count * sizeof(*child->columns));
    project->children[0] = child;
    project->project.exprs =
        arena_alloc_array(b->arena, child->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < child->column_count; index++)
        project->project.exprs[index] =
            build_column(&b->build, index, child->columns[index].type, 0);
    *plan = project;
    return OK;
}

enum err bind_cast_columns(struct binder *b, struct plan **plan, const struct type *types)
{
    enum err result = OK;
    if (same_types(*plan, types))
        return OK;
    switch ((*plan)->kind) {
    case PLAN_VALUES:
        result = cast_cells(b, *plan, types);
        break;
    case PLAN_PROJECT:
        result = cast_project(b, *plan, types);
        break;
    case PLAN_UNION_ALL:
        for (size_t index = 0; index < (*plan)->child_count && result == OK; index++)
            result = bind_cast_columns(b, &(*plan)->children[index], types);
        break;
    default:
        result = wrap(b, plan);
        if (result == OK)
            result = cast_project(b, *plan, types);
    }
    for (size_t index = 0; index < (*plan)->column_count; index++)
        (*plan)->columns[index].type = types[index];
    return result;
}

enum err bind_values(struct binder *b, const struct scope *outer, const struct cte_scope *ctes,
                     const struct ast_select *select, struct plan **out)
{
    struct scope empty = {.outer = outer, .ctes = ctes, .clause = "VALUES"};
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_VALUES, select->column_count, 0, &plan);
    if (result != OK)
        return result;
    size_t count = select->row_count * select->column_count;
    plan->values.row_count = select->row_count;
    plan->values.cells = arena_alloc_array(b->arena, count, sizeof(struct expr *));
    for (size_t cell = 0; cell < count && result == OK; cell++)
        result = bind_expr(b, &empty, select->cells[cell], &plan->values.cells[cell]);
    struct type *types = arena_alloc_array(b->arena, select->column_count, sizeof(*types));
    struct expr **column = arena_alloc_array(b->arena, select->row_count, sizeof(struct expr *));
    for (size_t index = 0; index < select->column_count && result == OK; index++) {
        for (size_t row = 0; row < select->row_count; row++)
            column[row] = plan->values.cells[row * select->column_count + index];
        result = build_common_type(&b->build, column, select->row_count, "VALUES", &types[index]);
        plan->columns[index].name = slice_from_cstr(arena_printf(b->arena, "column%zu", index + 1));
        plan->columns[index].type = types[index];
    }
    *out = plan;
    return result != OK ? result : cast_cells(b, plan, types);
}

/* An expression that stands for a column when types are compared: the literal itself where it is
 * one. */
static struct expr *column_expr(struct binder *b, const struct plan *plan, uint32_t index)
{
    if (plan->kind == PLAN_PROJECT)
        return plan->project.exprs[index];
    return build_column(&b->build, index, plan->columns[index].type, 0);
}

enum err bind_union(struct binder *b, const struct scope *outer, const struct cte_scope *ctes,
                    const struct ast_select *select, struct plan **out)
{
    struct plan *sides[2];
    enum err result = bind_select(b, outer, ctes, select->left, true, &sides[0]);
    if (result == OK)
        result = bind_select(b, outer, ctes, select->right, true, &sides[1]);
    if (result != OK)
        return result;
    size_t count = sides[0]->column_count;
    if (sides[1]->column_count != count)
        return bind_error(b, 0, "42601", "each UNION query must have the same number of columns");
    struct type *types = arena_alloc_array(b->arena, count, sizeof(*types));
    for (uint32_t index = 0; index < count && result == OK; index++) {
        struct expr *both[2] = {column_expr(b, sides[0], index), column_expr(b, sides[1], index)};
        result = build_common_type(&b->build, both, 2, "UNION", &types[index]);
    }
    struct plan_column *names = sides[0]->columns;
    for (size_t side = 0; side < 2 && result == OK; side++) {
        result = bind_cast_columns(b, &sides[side], types);
        if (result == OK && sides[side]->kind != PLAN_PROJECT &&
            sides[side]->kind != PLAN_UNION_ALL)
            result = wrap(b, &sides[side]);
    }
    /* A chain of UNION ALL is one node: its depth would follow the text's length. */
    size_t before = sides[0]->kind == PLAN_UNION_ALL ? sides[0]->child_count : 1;
    struct plan *plan;
    if (result == OK)
        result = bind_new_plan(b, PLAN_UNION_ALL, count, before + 1, &plan);
    if (result != OK)
        return result;
    memcpy(plan->children,
           before > 1 || sides[0]->kind == PLAN_UNION_ALL ? sides[0]->children : sides,
           before * sizeof(struct plan *));
    plan->children[before] = sides[1];
    for (size_t index = 0; index < count; index++)
        plan->columns[index] = (struct plan_column){names[index].name, types[index]};
    *out = plan;
    return OK;
}
