/* INSERT … RETURNING: the plan that gives the rows gives what is returned beside them.
 *
 *   source ─▶ PROJECT all columns of the table, DEFAULTs in their places
 *          ─▶ PROJECT the same, and behind them the expressions of RETURNING
 *
 * So each row is stored and returned from one evaluation, volatile DEFAULTs too, and an error in
 * RETURNING is found before anything is stored. */
#include "query/sql/bind.h"

/* The table's columns in their order; the plan has those of `columns`. */
static enum err complete_rows(struct binder *b, const struct schema *schema,
                              const uint32_t *columns, size_t count, struct plan *source,
                              struct plan **out)
{
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_PROJECT, schema->column_count, 1, &plan);
    if (result != OK)
        return result;
    plan->children[0] = source;
    plan->project.exprs = arena_alloc_zero(b->arena, schema->column_count * sizeof(struct expr *));
    for (uint32_t index = 0; index < count; index++)
        plan->project.exprs[columns[index]] =
            build_column(&b->build, index, source->columns[index].type, 0);
    for (uint32_t index = 0; index < schema->column_count && result == OK; index++) {
        const struct column_definition *column = &schema->columns[index];
        struct expr **expr = &plan->project.exprs[index];
        plan->columns[index] = (struct plan_column){column->name, column->type};
        if (*expr != NULL)
            continue;
        if (column->default_text.size > 0) {
            result = sql_bind_default(schema, index, b->arena, expr, b->error);
        } else {
            *expr = build_null(&b->build, 0);
            result = build_cast(&b->build, *expr, column->type, CAST_ASSIGNMENT, 0, expr);
        }
    }
    *out = plan;
    return result;
}

static enum err add_relation(struct binder *b, struct scope *scope, const struct schema *schema,
                             struct slice alias, int32_t position, struct plan *plan)
{
    struct ast_from from = {.kind = FROM_TABLE, .position = position, .name = schema->name};
    from.alias = alias;
    return bind_add_columns(b, scope, &from, SLICE("public"), schema->name, plan);
}

/* RETURNING's items, * spread out; at most as many as a select list may have. */
static enum err bind_items(struct binder *b, struct scope *scope, const struct ast_select *list,
                           struct plan_column *columns, struct expr **exprs, size_t *count)
{
    for (size_t item = 0; item < list->target_count; item++) {
        const struct ast_target *target = &list->targets[item];
        const struct ast_node *node = target->node;
        bool is_star = node->kind == AST_STAR;
        size_t found = 0;
        for (uint32_t index = 0; is_star && index < scope->column_count; index++) {
            const struct scope_column *column = &scope->columns[index];
            if (!scope_column_matches(column, node->fields, node->field_count))
                continue;
            columns[*count] = (struct plan_column){column->name, column->type};
            exprs[(*count)++] = build_column(&b->build, index, column->type, node->position);
            found++;
        }
        if (is_star && found == 0)
            return bind_error(b, node->position, "42P01",
                              "missing FROM-clause entry for table \"%.*s\"",
                              SLICE_ARGS(node->fields[node->field_count - 1]));
        if (is_star)
            continue;
        enum err result = bind_expr(b, scope, node, &exprs[*count]);
        if (result == OK && exprs[*count]->type.id == TYPE_UNKNOWN)
            result = build_cast(&b->build, exprs[*count], type_of(TYPE_TEXT), CAST_ASSIGNMENT,
                                node->position, &exprs[*count]);
        if (result != OK)
            return result;
        columns[*count] = (struct plan_column){
            target->alias.size > 0 ? target->alias : bind_label(node), exprs[*count]->type};
        ++*count;
    }
    return OK;
}

static size_t count_items(const struct ast_select *list, size_t width)
{
    size_t count = 0;
    for (size_t item = 0; item < list->target_count; item++)
        count += list->targets[item].node->kind == AST_STAR ? width : 1;
    return count;
}

enum err bind_returning(struct binder *b, struct ast_statement *ast, const struct schema *schema,
                        const uint32_t *columns, size_t count, struct plan **plan)
{
    struct command *command = ast->command;
    struct scope scope = {.clause = "RETURNING"};
    size_t width = schema->column_count, most = count_items(ast->returning, width), extra = 0;
    struct plan *rows, *wide;
    if (most > SCHEMA_COLUMNS_MAX * 4)
        return bind_error(b, 0, "54011", "target lists can have at most %d entries",
                          SCHEMA_COLUMNS_MAX * 4);
    struct plan_column *names = arena_alloc_array(b->arena, most, sizeof(*names));
    struct expr **exprs = arena_alloc_array(b->arena, most, sizeof(struct expr *));
    enum err result = complete_rows(b, schema, columns, count, *plan, &rows);
    if (result == OK)
        result = add_relation(b, &scope, schema, ast->alias, command->text_position, rows);
    if (result == OK)
        result = bind_items(b, &scope, ast->returning, names, exprs, &extra);
    if (result == OK)
        result = bind_widen(b, rows, extra, &wide);
    if (result != OK)
        return result;
    memcpy(wide->columns + width, names, extra * sizeof(*names));
    memcpy(wide->project.exprs + width, exprs, extra * sizeof(*exprs));
    command->column_id_count = width;
    command->column_ids = arena_alloc_array(b->arena, width, sizeof(uint32_t));
    for (size_t index = 0; index < width; index++)
        command->column_ids[index] = schema->columns[index].id;
    command->returning_count = extra;
    *plan = wide;
    return OK;
}
