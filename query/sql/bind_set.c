/* VALUES, UNION, INTERSECT and EXCEPT: several rows or queries become one by the types all of them
 * can be. */
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
        if (!type_equal(plan->columns[index].type, types[index]) ||
            (types[index].alias != ALIAS_NONE &&
             types[index].alias != plan->columns[index].type.alias))
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

static enum err put_append(struct binder *b, struct plan **sides, const struct plan_column *columns,
                           struct plan **out)
{
    for (size_t side = 0; side < 2; side++) {
        enum err result = OK;
        if (sides[side]->kind != PLAN_PROJECT && sides[side]->kind != PLAN_UNION_ALL)
            result = wrap(b, &sides[side]);
        if (result != OK)
            return result;
    }
    /* A chain of UNION ALL is one node: its depth would follow the text's length. */
    bool is_chain = sides[0]->kind == PLAN_UNION_ALL;
    size_t before = is_chain ? sides[0]->child_count : 1;
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_UNION_ALL, sides[0]->column_count, before + 1, &plan);
    if (result != OK)
        return result;
    memcpy(plan->children, is_chain ? sides[0]->children : sides, before * sizeof(struct plan *));
    plan->children[before] = sides[1];
    memcpy(plan->columns, columns, plan->column_count * sizeof(*columns));
    *out = plan;
    return OK;
}

static enum err put_distinct(struct binder *b, struct plan **plan)
{
    struct plan *group;
    struct plan *child = *plan;
    enum err result = bind_new_plan(b, PLAN_GROUP, child->column_count, 1, &group);
    if (result != OK)
        return result;
    memcpy(group->columns, child->columns, child->column_count * sizeof(*child->columns));
    group->children[0] = child;
    group->group.key_count = child->column_count;
    group->group.keys = arena_alloc_array(b->arena, child->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < child->column_count; index++)
        group->group.keys[index] = build_column(&b->build, index, child->columns[index].type, 0);
    *plan = group;
    return OK;
}

/* UNION of a UNION tells rows apart once. */
static void skip_distinct(const struct ast_select *left, const struct type *types,
                          struct plan **side)
{
    if (left->kind == SELECT_SET && left->set == SET_UNION && (*side)->kind == PLAN_GROUP &&
        (*side)->children[0]->kind == PLAN_UNION_ALL && same_types(*side, types))
        *side = (*side)->children[0];
}

static enum err put_compare(struct binder *b, const struct ast_select *select,
                            struct plan *const *sides, const struct plan_column *columns,
                            struct plan **out)
{
    enum err result = bind_new_plan(b, PLAN_SET, sides[0]->column_count, 2, out);
    if (result != OK)
        return result;
    memcpy((*out)->children, sides, 2 * sizeof(*sides));
    memcpy((*out)->columns, columns, (*out)->column_count * sizeof(*columns));
    (*out)->set.is_except = select->set == SET_EXCEPT;
    (*out)->set.is_all = select->is_all;
    return OK;
}

enum err bind_set_types(struct binder *b, const struct ast_select *select,
                        struct plan *const *sides, const char *what, struct plan_column *columns,
                        struct type *types)
{
    bool is_compared = select->set != SET_UNION || !select->is_all;
    size_t count = sides[0]->column_count;
    if (sides[1]->column_count != count)
        return bind_error(b, 0, "42601", "each %s query must have the same number of columns",
                          what);
    if (count == 0 && is_compared)
        return bind_unsupported(b, 0, "a comparison of rows without columns");
    for (uint32_t index = 0; index < count; index++) {
        struct expr *both[2] = {column_expr(b, sides[0], index), column_expr(b, sides[1], index)};
        enum err result = build_common_type(&b->build, both, 2, what, &types[index]);
        if (result != OK)
            return result;
        if (is_compared && types[index].id == TYPE_JSON)
            return bind_error(b, 0, "42883",
                              "could not identify an equality operator for type json");
        columns[index] = (struct plan_column){sides[0]->columns[index].name, types[index]};
    }
    return OK;
}

enum err bind_set_sides(struct binder *b, const struct ast_select *select, struct plan **sides,
                        struct plan **out)
{
    static const char *const names[] = {"UNION", "INTERSECT", "EXCEPT"};
    size_t count = sides[0]->column_count;
    struct type *types = arena_alloc_array(b->arena, count, sizeof(*types));
    struct plan_column *columns = arena_alloc_array(b->arena, count, sizeof(*columns));
    enum err result = bind_set_types(b, select, sides, names[select->set], columns, types);
    if (result == OK && select->set == SET_UNION && !select->is_all)
        skip_distinct(select->left, types, &sides[0]);
    for (size_t side = 0; side < 2 && result == OK; side++)
        result = bind_cast_columns(b, &sides[side], types);
    if (result != OK)
        return result;
    if (select->set != SET_UNION)
        return put_compare(b, select, sides, columns, out);
    result = put_append(b, sides, columns, out);
    return result != OK || select->is_all ? result : put_distinct(b, out);
}

enum err bind_set_operation(struct binder *b, const struct scope *outer,
                            const struct cte_scope *ctes, const struct ast_select *select,
                            struct plan **out)
{
    struct plan *sides[2];
    enum err result = bind_select(b, outer, ctes, select->left, true, &sides[0]);
    if (result == OK)
        result = bind_select(b, outer, ctes, select->right, true, &sides[1]);
    return result != OK ? result : bind_set_sides(b, select, sides, out);
}
