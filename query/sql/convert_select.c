/* SELECT, VALUES, UNION and its like, and what stands in FROM. */
#include "query/sql/convert.h"

/* --- FROM --- */

static struct ast_from *new_from(struct converter *c, enum ast_from_kind kind, int32_t position)
{
    struct ast_from *from = arena_alloc_zero(c->arena, sizeof(*from));
    from->kind = kind;
    from->position = position;
    return from;
}

static enum err convert_from(struct converter *c, const struct json_value *value,
                             struct ast_from **out);

static void set_alias(struct converter *c, const struct json_value *fields, struct ast_from *from)
{
    const struct json_value *alias = tree_get(fields, "alias");
    if (alias == NULL)
        return;
    from->alias = arena_copy(c->arena, tree_text(alias, "aliasname"));
    from->column_alias_count = tree_strings(c, tree_get(alias, "colnames"), &from->column_aliases);
}

static enum err convert_table(struct converter *c, const struct json_value *fields,
                              struct ast_from **out)
{
    struct ast_from *from = *out = new_from(c, FROM_TABLE, tree_position(c, fields));
    if (tree_text(fields, "catalogname").size > 0)
        return convert_unsupported(c, from->position, "a table of another database");
    from->schema = arena_copy(c->arena, tree_text(fields, "schemaname"));
    from->name = arena_copy(c->arena, tree_text(fields, "relname"));
    set_alias(c, fields, from);
    return OK;
}

static enum err convert_subselect(struct converter *c, const struct json_value *fields,
                                  struct ast_from **out)
{
    struct tree_node select = tree_unwrap(tree_get(fields, "subquery"));
    *out = new_from(c, FROM_SELECT, 0);
    (*out)->is_lateral = tree_bool(fields, "lateral");
    if (!tree_is(&select, "SelectStmt"))
        return convert_unsupported(c, 0, "this subquery");
    set_alias(c, fields, *out);
    return convert_select(c, select.fields, &(*out)->select);
}

static enum err convert_join(struct converter *c, const struct json_value *fields,
                             struct ast_from **out)
{
    static const struct {
        const char *type;
        enum ast_join join;
    } kinds[] = {{"JOIN_INNER", AST_JOIN_INNER},
                 {"JOIN_LEFT", AST_JOIN_LEFT},
                 {"JOIN_RIGHT", AST_JOIN_RIGHT},
                 {"JOIN_FULL", AST_JOIN_FULL}};
    struct ast_from *from = *out = new_from(c, FROM_JOIN, 0);
    const struct json_value *on = tree_get(fields, "quals");
    for (size_t index = 0; index < array_count(kinds); index++)
        if (tree_text_is(fields, "jointype", kinds[index].type))
            from->join = kinds[index].join;
    from->is_natural = tree_bool(fields, "isNatural");
    from->using_count = tree_strings(c, tree_get(fields, "usingClause"), &from->using_names);
    if (from->join == AST_JOIN_INNER && on == NULL && !from->is_natural && from->using_count == 0)
        from->join = AST_JOIN_CROSS;
    if (tree_get(fields, "join_using_alias") != NULL)
        return convert_unsupported(c, 0, "an alias of USING");
    set_alias(c, fields, from);
    enum err result = convert_from(c, tree_get(fields, "larg"), &from->left);
    if (result == OK)
        result = convert_from(c, tree_get(fields, "rarg"), &from->right);
    return result != OK || on == NULL ? result : convert_expr(c, on, &from->on);
}

static enum err convert_function(struct converter *c, const struct json_value *fields,
                                 struct ast_from **out)
{
    struct ast_from *from = *out = new_from(c, FROM_FUNCTION, 0);
    const struct json_value *functions = tree_get(fields, "functions");
    from->has_ordinality = tree_bool(fields, "ordinality");
    from->functions =
        arena_alloc_array(c->arena, tree_count(functions) + 1, sizeof(struct ast_node *));
    set_alias(c, fields, from);
    for (const struct json_value *item = functions == NULL ? NULL : functions->child; item != NULL;
         item = item->next) {
        struct tree_node list = tree_unwrap(item);
        const struct json_value *parts = tree_get(list.fields, "items");
        struct ast_node **node = &from->functions[from->function_count];
        enum err result = convert_expr(c, parts == NULL ? NULL : parts->child, node);
        if (result != OK)
            return result;
        const struct json_value *columns = parts == NULL ? NULL : parts->child->next;
        struct tree_node definition = tree_unwrap(columns);
        if (definition.fields != NULL && definition.fields->count > 0)
            return convert_unsupported(c, (*node)->position, "a list of columns with types");
        from->function_count++;
    }
    if (from->function_count == 0 || tree_get(fields, "coldeflist") != NULL)
        return convert_unsupported(c, 0, "this function in FROM");
    from->position = from->functions[0]->position;
    from->name = from->functions[0]->text;
    from->argument_count = from->functions[0]->count;
    from->arguments = from->functions[0]->arguments;
    return OK;
}

/* Each row by itself, with SYSTEM too: pages are not ours to choose from. */
static enum err convert_sample(struct converter *c, const struct json_value *fields,
                               struct ast_from **out)
{
    int32_t position = tree_position(c, fields);
    struct slice *names;
    struct ast_node **arguments;
    uint32_t count = 0;
    size_t name_count = tree_strings(c, tree_get(fields, "method"), &names);
    struct slice method = name_count == 0 ? SLICE("") : names[name_count - 1];
    if (!slice_equal(method, SLICE("bernoulli")) && !slice_equal(method, SLICE("system")))
        return convert_error(c, position, "42704", "tablesample method %.*s does not exist",
                             SLICE_ARGS(method));
    if (tree_get(fields, "repeatable") != NULL)
        return convert_unsupported(c, position, "REPEATABLE");
    enum err result = convert_from(c, tree_get(fields, "relation"), out);
    if (result == OK)
        result = convert_exprs(c, tree_get(fields, "args"), &arguments, &count);
    if (result == OK && count != 1)
        return convert_error(c, position, "2202H",
                             "tablesample method %.*s requires 1 argument, not %u",
                             SLICE_ARGS(method), count);
    if (result == OK)
        (*out)->sample = arguments[0];
    return result;
}

static enum err convert_from(struct converter *c, const struct json_value *value,
                             struct ast_from **out)
{
    struct tree_node node = tree_unwrap(value);
    enum err result = convert_enter(c, tree_position(c, node.fields));
    if (result != OK)
        return result;
    if (tree_is(&node, "RangeVar"))
        result = convert_table(c, node.fields, out);
    else if (tree_is(&node, "RangeSubselect"))
        result = convert_subselect(c, node.fields, out);
    else if (tree_is(&node, "JoinExpr"))
        result = convert_join(c, node.fields, out);
    else if (tree_is(&node, "RangeFunction"))
        result = convert_function(c, node.fields, out);
    else if (tree_is(&node, "RangeTableSample"))
        result = convert_sample(c, node.fields, out);
    else
        result = convert_unsupported(c, tree_position(c, node.fields), "%.*s in FROM",
                                     SLICE_ARGS(node.type));
    c->depth--;
    return result;
}

/* --- clauses --- */

static enum err convert_with(struct converter *c, const struct json_value *with,
                             struct ast_select *select)
{
    const struct json_value *ctes = tree_get(with, "ctes");
    select->ctes = arena_alloc_zero(c->arena, tree_count(ctes) * sizeof(*select->ctes));
    for (const struct json_value *item = ctes == NULL ? NULL : ctes->child; item != NULL;
         item = item->next) {
        struct tree_node node = tree_unwrap(item);
        struct tree_node query = tree_unwrap(tree_get(node.fields, "ctequery"));
        int32_t position = tree_position(c, node.fields);
        struct ast_cte *cte = &select->ctes[select->cte_count];
        cte->name = arena_copy(c->arena, tree_text(node.fields, "ctename"));
        cte->is_recursive = tree_bool(with, "recursive");
        if (tree_get(node.fields, "search_clause") != NULL ||
            tree_get(node.fields, "cycle_clause") != NULL)
            return convert_unsupported(c, position, "SEARCH or CYCLE in WITH");
        cte->column_alias_count =
            tree_strings(c, tree_get(node.fields, "aliascolnames"), &cte->column_aliases);
        for (size_t index = 0; index < select->cte_count; index++)
            if (slice_equal(select->ctes[index].name, cte->name))
                return convert_error(c, position, "42712",
                                     "WITH query name \"%.*s\" specified more than once",
                                     SLICE_ARGS(cte->name));
        if (!tree_is(&query, "SelectStmt"))
            return convert_unsupported(c, position, "a statement other than SELECT in WITH");
        enum err result = convert_select(c, query.fields, &cte->select);
        if (result != OK)
            return result;
        select->cte_count++;
    }
    return OK;
}

enum err convert_outer_with(struct converter *c, const struct json_value *with,
                            struct ast_select *select)
{
    struct ast_select outer = {0};
    enum err result = convert_with(c, with, &outer);
    if (result != OK)
        return result;
    size_t count = outer.cte_count + select->cte_count;
    struct ast_cte *ctes = arena_alloc_zero(c->arena, count * sizeof(*ctes));
    memcpy(ctes, outer.ctes, outer.cte_count * sizeof(*ctes));
    if (select->cte_count > 0)
        memcpy(ctes + outer.cte_count, select->ctes, select->cte_count * sizeof(*ctes));
    select->ctes = ctes;
    select->cte_count = count;
    return OK;
}

enum err convert_targets(struct converter *c, const struct json_value *list,
                         struct ast_select *select)
{
    select->targets = arena_alloc_zero(c->arena, tree_count(list) * sizeof(*select->targets));
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        struct tree_node node = tree_unwrap(item);
        struct ast_target *target = &select->targets[select->target_count++];
        target->alias = arena_copy(c->arena, tree_text(node.fields, "name"));
        enum err result = convert_expr(c, tree_get(node.fields, "val"), &target->node);
        if (result != OK)
            return result;
    }
    return OK;
}

static enum err convert_values(struct converter *c, const struct json_value *lists,
                               struct ast_select *select)
{
    select->kind = SELECT_VALUES;
    for (const struct json_value *item = lists->child; item != NULL; item = item->next) {
        struct tree_node list = tree_unwrap(item);
        struct ast_node **row;
        uint32_t count;
        enum err result = convert_exprs(c, tree_get(list.fields, "items"), &row, &count);
        if (result != OK)
            return result;
        if (select->row_count == 0) {
            select->column_count = count;
            select->cells =
                arena_alloc_array(c->arena, lists->count * (size_t)count, sizeof(*select->cells));
        }
        if (count != select->column_count)
            return convert_error(c, count > 0 ? row[0]->position : 0, "42601",
                                 "VALUES lists must all be the same length");
        memcpy(select->cells + select->row_count * count, row, count * sizeof(*row));
        select->row_count++;
    }
    return OK;
}

static enum err convert_order_list(struct converter *c, const struct json_value *list,
                                   struct ast_select *select)
{
    select->order = arena_alloc_zero(c->arena, tree_count(list) * sizeof(*select->order));
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        enum err result = convert_order(c, item, &select->order[select->order_count]);
        if (result != OK)
            return result;
        select->order_count++;
    }
    return OK;
}

static enum err convert_optional(struct converter *c, const struct json_value *fields,
                                 const char *key, struct ast_node **out)
{
    const struct json_value *value = tree_get(fields, key);
    return value == NULL ? OK : convert_expr(c, value, out);
}

static enum err convert_tail(struct converter *c, const struct json_value *fields,
                             struct ast_select *select)
{
    if (tree_text_is(fields, "limitOption", "LIMIT_OPTION_WITH_TIES"))
        return convert_unsupported(c, 0, "FETCH FIRST … WITH TIES");
    if (tree_get(fields, "lockingClause") != NULL)
        return convert_unsupported(c, 0, "FOR UPDATE and FOR SHARE");
    enum err result = convert_order_list(c, tree_get(fields, "sortClause"), select);
    if (result == OK)
        result = convert_optional(c, fields, "limitCount", &select->limit);
    if (result == OK)
        result = convert_optional(c, fields, "limitOffset", &select->offset);
    return result;
}

/* DISTINCT is a list of nothing, DISTINCT ON one of expressions. */
static enum err convert_distinct(struct converter *c, const struct json_value *list,
                                 struct ast_select *select)
{
    if (list == NULL)
        return OK;
    uint32_t count = 0;
    enum err result = OK;
    struct tree_node first = tree_unwrap(list->child);
    if (first.fields != NULL)
        result = convert_exprs(c, list, &select->distinct, &count);
    select->distinct_count = count;
    select->is_distinct = first.fields == NULL;
    return result;
}

static enum err convert_plain(struct converter *c, const struct json_value *fields,
                              struct ast_select *select)
{
    if (tree_get(fields, "intoClause") != NULL)
        return convert_unsupported(c, 0, "SELECT INTO");
    select->is_group_distinct = tree_bool(fields, "groupDistinct");
    enum err result = convert_distinct(c, tree_get(fields, "distinctClause"), select);
    if (result == OK)
        result = convert_targets(c, tree_get(fields, "targetList"), select);
    const struct json_value *from = tree_get(fields, "fromClause");
    select->from = arena_alloc_array(c->arena, tree_count(from), sizeof(struct ast_from *));
    for (const struct json_value *item = from == NULL ? NULL : from->child;
         item != NULL && result == OK; item = item->next)
        result = convert_from(c, item, &select->from[select->from_count++]);
    if (result == OK)
        result = convert_optional(c, fields, "whereClause", &select->where);
    if (result == OK)
        result = convert_group(c, tree_get(fields, "groupClause"), select);
    if (result == OK)
        result = convert_windows(c, tree_get(fields, "windowClause"), select);
    return result != OK ? result : convert_optional(c, fields, "havingClause", &select->having);
}

static enum err convert_set(struct converter *c, const struct json_value *fields,
                            struct ast_select *select)
{
    select->kind = SELECT_SET;
    select->is_all = tree_bool(fields, "all");
    select->set = tree_text_is(fields, "op", "SETOP_UNION")       ? SET_UNION
                  : tree_text_is(fields, "op", "SETOP_INTERSECT") ? SET_INTERSECT
                                                                  : SET_EXCEPT;
    enum err result = convert_select(c, tree_get(fields, "larg"), &select->left);
    return result != OK ? result : convert_select(c, tree_get(fields, "rarg"), &select->right);
}

enum err convert_select(struct converter *c, const struct json_value *fields,
                        struct ast_select **out)
{
    struct ast_select *select = *out = arena_alloc_zero(c->arena, sizeof(*select));
    const struct json_value *with = tree_get(fields, "withClause");
    const struct json_value *values = tree_get(fields, "valuesLists");
    enum err result = convert_enter(c, 0);
    if (result != OK)
        return result;
    if (with != NULL)
        result = convert_with(c, with, select);
    if (result == OK && values != NULL)
        result = convert_values(c, values, select);
    else if (result == OK && tree_get(fields, "larg") != NULL)
        result = convert_set(c, fields, select);
    else if (result == OK)
        result = convert_plain(c, fields, select);
    if (result == OK)
        result = convert_tail(c, fields, select);
    c->depth--;
    return result;
}
