/* GROUP BY: expressions, and ROLLUP, CUBE and GROUPING SETS as trees of sets. */
#include "query/sql/convert.h"

static enum err convert_item(struct converter *c, const struct json_value *value,
                             struct ast_node **out);

static enum err convert_items(struct converter *c, const struct json_value *list,
                              struct ast_node *node)
{
    node->arguments = arena_alloc_array(c->arena, tree_count(list) + 1, sizeof(struct ast_node *));
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        enum err result = convert_item(c, item, &node->arguments[node->count]);
        if (result != OK)
            return result;
        node->count++;
    }
    return OK;
}

static enum err convert_sets(struct converter *c, const struct json_value *fields,
                             struct ast_node *node)
{
    static const struct {
        const char *kind;
        enum ast_sets sets;
    } kinds[] = {{"GROUPING_SET_EMPTY", SETS_ROW},
                 {"GROUPING_SET_ROLLUP", SETS_ROLLUP},
                 {"GROUPING_SET_CUBE", SETS_CUBE},
                 {"GROUPING_SET_SETS", SETS_LIST}};
    for (size_t index = 0; index < array_count(kinds); index++) {
        if (!tree_text_is(fields, "kind", kinds[index].kind))
            continue;
        node->sets = kinds[index].sets;
        return convert_items(c, tree_get(fields, "content"), node);
    }
    return convert_unsupported(c, node->position, "this GROUP BY");
}

static enum err convert_item(struct converter *c, const struct json_value *value,
                             struct ast_node **out)
{
    struct tree_node item = tree_unwrap(value);
    bool is_row = tree_is(&item, "RowExpr");
    int32_t position = tree_position(c, item.fields);
    if (!is_row && !tree_is(&item, "GroupingSet"))
        return convert_expr(c, value, out);
    enum err result = convert_enter(c, position);
    struct ast_node *node = *out = arena_alloc_zero(c->arena, sizeof(*node));
    node->kind = AST_GROUPING_SET;
    node->position = position;
    if (result == OK)
        result = is_row ? convert_items(c, tree_get(item.fields, "args"), node)
                        : convert_sets(c, item.fields, node);
    c->depth--;
    return result;
}

enum err convert_group(struct converter *c, const struct json_value *list,
                       struct ast_select *select)
{
    struct ast_node all = {0};
    enum err result = convert_items(c, list, &all);
    select->group = all.arguments;
    select->group_count = all.count;
    return result;
}
