/* Expressions of libpg_query's tree. One function a node kind, found by name in a table at the end;
 * a kind that is not in the table is refused with 0A000 and its place. */
#include "query/sql/convert.h"
#include "query/sql/sql.h"
#include "storage/base/number.h"

/* --- small helpers --- */

static struct ast_node *new_node(struct converter *c, enum ast_kind kind, int32_t position)
{
    struct ast_node *node = arena_alloc_zero(c->arena, sizeof(*node));
    node->kind = kind;
    node->position = position;
    return node;
}

enum err convert_exprs(struct converter *c, const struct json_value *list, struct ast_node ***out,
                       uint32_t *count)
{
    *count = 0;
    *out = arena_alloc_array(c->arena, tree_count(list), sizeof(**out));
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        enum err result = convert_expr(c, item, &(*out)[*count]);
        if (result != OK)
            return result;
        ++*count;
    }
    return OK;
}

/* The items of {"List":{"items":[…]}}, or NULL. */
static const struct json_value *list_items(const struct json_value *wrapped)
{
    struct tree_node node = tree_unwrap(wrapped);
    return tree_is(&node, "List") ? tree_get(node.fields, "items") : NULL;
}

/* `left` and what follows, as arguments. */
static enum err set_arguments(struct converter *c, struct ast_node *node,
                              const struct json_value *const *values, size_t count)
{
    node->arguments = arena_alloc_array(c->arena, count, sizeof(*node->arguments));
    for (size_t index = 0; index < count; index++) {
        enum err result = convert_expr(c, values[index], &node->arguments[index]);
        if (result != OK)
            return result;
    }
    node->count = (uint32_t)count;
    return OK;
}

/* --- node kinds --- */

static enum err convert_column(struct converter *c, const struct json_value *fields,
                               struct ast_node **out)
{
    struct ast_node *node = new_node(c, AST_COLUMN, tree_position(c, fields));
    const struct json_value *names = tree_get(fields, "fields");
    node->fields = arena_alloc_array(c->arena, tree_count(names), sizeof(*node->fields));
    for (const struct json_value *item = names == NULL ? NULL : names->child; item != NULL;
         item = item->next) {
        struct tree_node part = tree_unwrap(item);
        if (tree_is(&part, "A_Star"))
            node->kind = AST_STAR;
        else
            node->fields[node->field_count++] = tree_string(c, item);
    }
    if (node->field_count + (node->kind == AST_STAR) > 3)
        return convert_error(c, node->position, "42601",
                             "improper qualified name (too many dotted names)");
    *out = node;
    return OK;
}

static enum err convert_constant(struct converter *c, const struct json_value *fields,
                                 struct ast_node **out)
{
    int32_t position = tree_position(c, fields);
    const struct json_value *part;
    struct ast_node *node = new_node(c, AST_NULL, position);
    if ((part = tree_get(fields, "ival")) != NULL) {
        node->kind = AST_NUMBER;
        node->text = tree_digits(c, part, tree_offset(c, fields));
    } else if ((part = tree_get(fields, "fval")) != NULL) {
        node->kind = AST_NUMBER;
        node->text = arena_copy(c->arena, tree_text(part, "fval"));
    } else if ((part = tree_get(fields, "sval")) != NULL) {
        node->kind = AST_STRING;
        node->text = arena_copy(c->arena, tree_text(part, "sval"));
    } else if ((part = tree_get(fields, "boolval")) != NULL) {
        node->kind = AST_BOOL;
        node->is_true = tree_bool(part, "boolval");
    } else if (tree_get(fields, "bsval") != NULL) {
        return convert_unsupported(c, position, "a bit string");
    } else if (!tree_bool(fields, "isnull")) {
        return convert_unsupported(c, position, "this constant");
    }
    *out = node;
    return OK;
}

static enum err operator_name(struct converter *c, const struct json_value *fields,
                              int32_t position, struct slice *out)
{
    const struct json_value *names = tree_get(fields, "name");
    const struct json_value *last = names == NULL ? NULL : names->child;
    while (last != NULL && last->next != NULL)
        last = last->next;
    if (last == NULL)
        return convert_unsupported(c, position, "this operator");
    *out = tree_string(c, last);
    return OK;
}

static enum err refuse_row(struct converter *c, const struct json_value *value, int32_t position)
{
    struct tree_node node = tree_unwrap(value);
    return tree_is(&node, "RowExpr") ? convert_unsupported(c, position, "a row value") : OK;
}

/* IN (list), BETWEEN: the left side, then the items of the right. */
static enum err convert_listed(struct converter *c, const struct json_value *fields,
                               struct ast_node *node)
{
    const struct json_value *items = list_items(tree_get(fields, "rexpr"));
    struct ast_node **rest;
    uint32_t rest_count;
    struct ast_node *left;
    enum err result = refuse_row(c, tree_get(fields, "lexpr"), node->position);
    if (result == OK)
        result = convert_expr(c, tree_get(fields, "lexpr"), &left);
    if (result == OK)
        result = convert_exprs(c, items, &rest, &rest_count);
    if (result != OK)
        return result;
    node->count = rest_count + 1;
    node->arguments = arena_alloc_array(c->arena, node->count, sizeof(*node->arguments));
    node->arguments[0] = left;
    memcpy(node->arguments + 1, rest, rest_count * sizeof(*rest));
    return OK;
}

static enum err convert_binary(struct converter *c, const struct json_value *fields,
                               struct ast_node *node)
{
    const struct json_value *left = tree_get(fields, "lexpr");
    const struct json_value *right = tree_get(fields, "rexpr");
    enum err result = refuse_row(c, left, node->position);
    if (result != OK)
        return result;
    const struct json_value *both[] = {left, right};
    return set_arguments(c, node, left == NULL ? both + 1 : both, left == NULL ? 1 : 2);
}

/* a::regtype = 'integer'::regtype compares numbers, so the name of a is not asked for. */
static void compare_reg_numbers(struct ast_node *node)
{
    if (node->kind != AST_OPERATOR || node->count != 2)
        return;
    for (uint32_t index = 0; index < 2; index++)
        if (node->arguments[index]->kind != AST_CAST || node->arguments[index]->text.size == 0 ||
            node->arguments[index]->type.id != TYPE_INT8)
            return;
    for (uint32_t index = 0; index < 2; index++)
        if (node->arguments[index]->arguments[0]->kind != AST_STRING)
            node->arguments[index]->text = SLICE("");
}

static enum err convert_operator(struct converter *c, const struct json_value *fields,
                                 struct ast_node **out)
{
    static const struct {
        const char *name;
        enum ast_kind kind;
        bool is_listed, is_negated, is_all, is_symmetric;
    } kinds[] = {
        {"AEXPR_OP", AST_OPERATOR, false, false, false, false},
        {"AEXPR_LIKE", AST_OPERATOR, false, false, false, false},
        {"AEXPR_ILIKE", AST_OPERATOR, false, false, false, false},
        {"AEXPR_SIMILAR", AST_OPERATOR, false, false, false, false},
        {"AEXPR_OP_ANY", AST_ARRAY_COMPARE, false, false, false, false},
        {"AEXPR_OP_ALL", AST_ARRAY_COMPARE, false, false, true, false},
        {"AEXPR_DISTINCT", AST_IS_DISTINCT, false, false, false, false},
        {"AEXPR_NOT_DISTINCT", AST_IS_DISTINCT, false, true, false, false},
        {"AEXPR_NULLIF", AST_NULLIF, false, false, false, false},
        {"AEXPR_IN", AST_IN, true, false, false, false},
        {"AEXPR_BETWEEN", AST_BETWEEN, true, false, false, false},
        {"AEXPR_NOT_BETWEEN", AST_BETWEEN, true, true, false, false},
        {"AEXPR_BETWEEN_SYM", AST_BETWEEN, true, false, false, true},
        {"AEXPR_NOT_BETWEEN_SYM", AST_BETWEEN, true, true, false, true},
    };
    int32_t position = tree_position(c, fields);
    for (size_t index = 0; index < array_count(kinds); index++) {
        if (!tree_text_is(fields, "kind", kinds[index].name))
            continue;
        struct ast_node *node = new_node(c, kinds[index].kind, position);
        node->is_negated = kinds[index].is_negated;
        node->is_all = kinds[index].is_all;
        node->is_symmetric = kinds[index].is_symmetric;
        enum err result = operator_name(c, fields, position, &node->text);
        if (result == OK)
            result = kinds[index].is_listed ? convert_listed(c, fields, node)
                                            : convert_binary(c, fields, node);
        if (result == OK)
            compare_reg_numbers(node);
        if (node->kind == AST_IN)
            node->is_negated = slice_equal(node->text, SLICE("<>"));
        *out = node;
        return result;
    }
    return convert_unsupported(c, position, "this operator");
}

static enum err convert_bool(struct converter *c, const struct json_value *fields,
                             struct ast_node **out)
{
    enum ast_kind kind = tree_text_is(fields, "boolop", "AND_EXPR")  ? AST_AND
                         : tree_text_is(fields, "boolop", "OR_EXPR") ? AST_OR
                                                                     : AST_NOT;
    *out = new_node(c, kind, tree_position(c, fields));
    return convert_exprs(c, tree_get(fields, "args"), &(*out)->arguments, &(*out)->count);
}

static enum err convert_null_test(struct converter *c, const struct json_value *fields,
                                  struct ast_node **out)
{
    *out = new_node(c, AST_IS_NULL, tree_position(c, fields));
    (*out)->is_negated = tree_text_is(fields, "nulltesttype", "IS_NOT_NULL");
    const struct json_value *argument = tree_get(fields, "arg");
    enum err result = refuse_row(c, argument, (*out)->position);
    return result != OK ? result : set_arguments(c, *out, &argument, 1);
}

static enum err convert_bool_test(struct converter *c, const struct json_value *fields,
                                  struct ast_node **out)
{
    struct slice test = tree_text(fields, "booltesttype");
    bool is_negated = slice_starts_with(test, SLICE("IS_NOT_"));
    struct slice name =
        slice_of(test.data + (is_negated ? 7 : 3), test.size - (is_negated ? 7 : 3));
    enum ast_kind kind = slice_equal(name, SLICE("TRUE"))    ? AST_IS_TRUE
                         : slice_equal(name, SLICE("FALSE")) ? AST_IS_FALSE
                                                             : AST_IS_UNKNOWN;
    *out = new_node(c, kind, tree_position(c, fields));
    (*out)->is_negated = is_negated;
    const struct json_value *argument = tree_get(fields, "arg");
    return set_arguments(c, *out, &argument, 1);
}

static enum err convert_case(struct converter *c, const struct json_value *fields,
                             struct ast_node **out)
{
    struct ast_node *node = *out = new_node(c, AST_CASE, tree_position(c, fields));
    const struct json_value *whens = tree_get(fields, "args");
    const struct json_value *base = tree_get(fields, "arg");
    const struct json_value *other = tree_get(fields, "defresult");
    enum err result = base == NULL ? OK : convert_expr(c, base, &node->base);
    node->arguments =
        arena_alloc_array(c->arena, 2 * tree_count(whens) + 1, sizeof(*node->arguments));
    for (const struct json_value *item = whens == NULL ? NULL : whens->child;
         item != NULL && result == OK; item = item->next) {
        struct tree_node when = tree_unwrap(item);
        result = convert_expr(c, tree_get(when.fields, "expr"), &node->arguments[node->count++]);
        if (result == OK)
            result =
                convert_expr(c, tree_get(when.fields, "result"), &node->arguments[node->count++]);
    }
    if (result == OK && other != NULL)
        result = convert_expr(c, other, &node->arguments[node->count++]);
    return result;
}

static enum err convert_args(struct converter *c, enum ast_kind kind,
                             const struct json_value *fields, const char *list,
                             struct ast_node **out)
{
    *out = new_node(c, kind, tree_position(c, fields));
    return convert_exprs(c, tree_get(fields, list), &(*out)->arguments, &(*out)->count);
}

static enum err convert_coalesce(struct converter *c, const struct json_value *fields,
                                 struct ast_node **out)
{
    return convert_args(c, AST_COALESCE, fields, "args", out);
}

static enum err convert_min_max(struct converter *c, const struct json_value *fields,
                                struct ast_node **out)
{
    enum ast_kind kind = tree_text_is(fields, "op", "IS_GREATEST") ? AST_GREATEST : AST_LEAST;
    return convert_args(c, kind, fields, "args", out);
}

static enum err convert_grouping(struct converter *c, const struct json_value *fields,
                                 struct ast_node **out)
{
    return convert_args(c, AST_GROUPING, fields, "args", out);
}

static enum err convert_array(struct converter *c, const struct json_value *fields,
                              struct ast_node **out)
{
    return convert_args(c, AST_ARRAY, fields, "elements", out);
}

static enum err convert_sublink(struct converter *c, const struct json_value *fields,
                                struct ast_node **out)
{
    int32_t position = tree_position(c, fields);
    struct tree_node select = tree_unwrap(tree_get(fields, "subselect"));
    struct ast_node *node = *out = new_node(c, AST_SUBQUERY, position);
    const struct json_value *test = tree_get(fields, "testexpr");
    if (!tree_is(&select, "SelectStmt"))
        return convert_unsupported(c, position, "this subquery");
    const struct json_value *operator_names = tree_get(fields, "operName");
    struct slice name = operator_names == NULL ? SLICE("=") : tree_string(c, operator_names->child);
    static const struct {
        const char *type;
        enum ast_kind kind;
        bool is_all;
    } kinds[] = {{"EXISTS_SUBLINK", AST_EXISTS, false},
                 {"EXPR_SUBLINK", AST_SUBQUERY, false},
                 {"ARRAY_SUBLINK", AST_ARRAY_SUBQUERY, false},
                 {"ANY_SUBLINK", AST_IN_SUBQUERY, false},
                 {"ALL_SUBLINK", AST_IN_SUBQUERY, true}};
    size_t kind = 0;
    while (kind < array_count(kinds) && !tree_text_is(fields, "subLinkType", kinds[kind].type))
        kind++;
    if (kind == array_count(kinds))
        return convert_unsupported(c, position, "a row compared with a subquery");
    node->kind = kinds[kind].kind;
    node->is_all = kinds[kind].is_all;
    node->text = name;
    struct tree_node row = tree_unwrap(test);
    enum err result = OK;
    if (tree_is(&row, "RowExpr"))
        result = convert_exprs(c, tree_get(row.fields, "args"), &node->arguments, &node->count);
    else if (test != NULL)
        result = set_arguments(c, node, &test, 1);
    return result != OK ? result : convert_select(c, select.fields, &node->select);
}

enum err convert_order(struct converter *c, const struct json_value *sort_by, struct ast_order *out)
{
    struct tree_node sort = tree_unwrap(sort_by);
    if (tree_text_is(sort.fields, "sortby_dir", "SORTBY_USING"))
        return convert_unsupported(c, 0, "ORDER BY … USING");
    out->is_descending = tree_text_is(sort.fields, "sortby_dir", "SORTBY_DESC");
    out->is_nulls_first = out->is_descending;
    if (tree_text_is(sort.fields, "sortby_nulls", "SORTBY_NULLS_FIRST"))
        out->is_nulls_first = true;
    else if (tree_text_is(sort.fields, "sortby_nulls", "SORTBY_NULLS_LAST"))
        out->is_nulls_first = false;
    return convert_expr(c, tree_get(sort.fields, "node"), &out->node);
}

static enum err convert_call_order(struct converter *c, const struct json_value *fields,
                                   struct ast_node *node)
{
    const struct json_value *order = tree_get(fields, "agg_order");
    if (order == NULL)
        return OK;
    struct ast_order *keys = arena_alloc_zero(c->arena, (tree_count(order) + 1) * sizeof(*keys));
    uint32_t count = 0;
    for (const struct json_value *item = order->child; item != NULL; item = item->next) {
        enum err result = convert_order(c, item, &keys[count++]);
        if (result != OK)
            return result;
    }
    node->is_within = tree_bool(fields, "agg_within_group");
    node->orders = keys;
    node->order_count = count;
    return OK;
}

static enum err convert_call(struct converter *c, const struct json_value *fields,
                             struct ast_node **out)
{
    struct ast_node *node = *out = new_node(c, AST_CALL, tree_position(c, fields));
    size_t count = tree_strings(c, tree_get(fields, "funcname"), &node->fields);
    if (count == 0)
        return convert_unsupported(c, node->position, "this function");
    node->text = node->fields[count - 1];
    if (count > 1 && !slice_equal(node->fields[0], SLICE("pg_catalog")) &&
        !slice_equal(node->fields[0], SLICE("information_schema")))
        return convert_error(c, node->position, "42883", "function %.*s.%.*s does not exist",
                             SLICE_ARGS(node->fields[0]), SLICE_ARGS(node->text));
    node->is_star = tree_bool(fields, "agg_star");
    node->is_distinct = tree_bool(fields, "agg_distinct");
    const struct json_value *over = tree_get(fields, "over");
    enum err result = convert_call_order(c, fields, node);
    if (result == OK && over != NULL)
        result = convert_over(c, over, &node->over);
    const struct json_value *filter = tree_get(fields, "agg_filter");
    if (result == OK && filter != NULL)
        result = convert_expr(c, filter, &node->filter);
    const struct json_value *arguments = tree_get(fields, "args");
    if (result == OK && convert_has_names(arguments))
        return convert_named(c, arguments, node);
    if (result == OK)
        result = convert_exprs(c, arguments, &node->arguments, &node->count);
    return result == OK && tree_bool(fields, "func_variadic") ? convert_variadic(c, node) : result;
}

/* interval '5' minute: the unit stands in the type as a bit mask and belongs to a bare number. */
static enum err append_unit(struct converter *c, const struct json_value *type,
                            struct ast_node *cast)
{
    static const struct {
        int64_t mask;
        const char *unit;
    } units[] = {{1 << 1, "month"}, {1 << 2, "year"},    {1 << 3, "day"},
                 {1 << 10, "hour"}, {1 << 11, "minute"}, {1 << 12, "second"}};
    const struct json_value *modifiers = tree_get(type, "typmods");
    int64_t mask;
    if (cast->type.id != TYPE_INTERVAL || modifiers == NULL)
        return OK;
    struct ast_node *literal = cast->arguments[0];
    for (size_t index = 0; index < array_count(units) && modifiers->count == 1; index++) {
        if (!tree_integer(c, modifiers->child, &mask) || mask != units[index].mask ||
            literal->kind != AST_STRING)
            continue;
        bool is_number = literal->text.size > 0;
        for (size_t at = 0; at < literal->text.size; at++)
            is_number = is_number && strchr("0123456789.-+ ", literal->text.data[at]) != NULL;
        if (is_number)
            literal->text = slice_from_cstr(
                arena_printf(c->arena, "%.*s %s", SLICE_ARGS(literal->text), units[index].unit));
        return OK;
    }
    return convert_unsupported(c, cast->position, "this interval qualifier");
}

static enum err convert_cast(struct converter *c, const struct json_value *fields,
                             struct ast_node **out)
{
    const struct json_value *type = tree_get(fields, "typeName");
    int32_t position = tree_position(c, fields);
    if (position == 0)
        position = tree_position(c, type);
    *out = new_node(c, AST_CAST, position);
    const struct json_value *argument = tree_get(fields, "arg");
    enum err result = convert_type(c, type, &(*out)->type, &(*out)->label);
    if (result == OK)
        result = set_arguments(c, *out, &argument, 1);
    if (result == OK && convert_is_reg_type((*out)->label) &&
        tree_count(tree_get(type, "arrayBounds")) == 0)
        (*out)->text = (*out)->label;
    return result != OK ? result : append_unit(c, type, *out);
}

static enum err convert_value_function(struct converter *c, const struct json_value *fields,
                                       struct ast_node **out)
{
    static const struct {
        const char *op, *name;
    } functions[] = {{"SVFOP_CURRENT_DATE", "current_date"},
                     {"SVFOP_CURRENT_TIMESTAMP", "current_timestamp"},
                     {"SVFOP_LOCALTIMESTAMP", "localtimestamp"},
                     {"SVFOP_CURRENT_USER", "current_user"},
                     {"SVFOP_USER", "current_user"},
                     {"SVFOP_SESSION_USER", "session_user"},
                     {"SVFOP_CURRENT_ROLE", "current_role"},
                     {"SVFOP_CURRENT_CATALOG", "current_catalog"},
                     {"SVFOP_CURRENT_SCHEMA", "current_schema"}};
    int32_t position = tree_position(c, fields);
    for (size_t index = 0; index < array_count(functions); index++) {
        if (tree_text_is(fields, "op", functions[index].op)) {
            *out = new_node(c, AST_CALL, position);
            (*out)->text = slice_from_cstr(functions[index].name);
            return OK;
        }
    }
    return convert_unsupported(c, position, "this form of the current time");
}

/* A bound of a slice; one that is left out is the array's own. */
static enum err convert_bound(struct converter *c, const struct json_value *bound,
                              const char *missing, const struct ast_node *array,
                              struct ast_node **out)
{
    if (bound != NULL)
        return convert_expr(c, bound, out);
    *out = new_node(c, AST_NUMBER, array->position);
    (*out)->text = slice_from_cstr(missing);
    return OK;
}

/* The one row value there is: what information_schema._pg_expandarray gives, kept as an array. */
static bool is_pair_field(struct slice name)
{
    return slice_equal(name, SLICE("x")) || slice_equal(name, SLICE("n"));
}

static enum err convert_indirection(struct converter *c, const struct json_value *fields,
                                    struct ast_node **out)
{
    enum err result = convert_expr(c, tree_get(fields, "arg"), out);
    const struct json_value *steps = tree_get(fields, "indirection");
    for (const struct json_value *item = steps == NULL ? NULL : steps->child;
         item != NULL && result == OK; item = item->next) {
        struct tree_node step = tree_unwrap(item);
        const struct json_value *index = tree_get(step.fields, "uidx");
        bool is_slice = tree_bool(step.fields, "is_slice");
        if (tree_is(&step, "String") && is_pair_field(tree_text(step.fields, "sval"))) {
            struct ast_node *field = new_node(c, AST_CALL, (*out)->position);
            field->text = slice_from_cstr(arena_printf(c->arena, "_pg_field_%.*s",
                                                       SLICE_ARGS(tree_text(step.fields, "sval"))));
            field->arguments = arena_alloc(c->arena, sizeof(*field->arguments));
            field->arguments[0] = *out;
            field->count = 1;
            *out = field;
            c->depth++;
            continue;
        }
        if (!tree_is(&step, "A_Indices") || (index == NULL && !is_slice))
            return convert_unsupported(c, (*out)->position, "a field of a row value");
        result = convert_enter(c, (*out)->position);
        if (result != OK)
            return result;
        struct ast_node *node = new_node(c, AST_SUBSCRIPT, (*out)->position);
        node->arguments = arena_alloc_array(c->arena, 3, sizeof(*node->arguments));
        node->arguments[0] = *out;
        node->count = is_slice ? 3 : 2;
        if (is_slice)
            result =
                convert_bound(c, tree_get(step.fields, "lidx"), "1", *out, &node->arguments[1]);
        if (result == OK)
            result =
                convert_bound(c, index, "2147483647", *out, &node->arguments[is_slice ? 2 : 1]);
        *out = node;
    }
    c->depth -= (uint32_t)(result == OK ? tree_count(steps) : 0);
    return result;
}

static enum err convert_collate(struct converter *c, const struct json_value *fields,
                                struct ast_node **out)
{
    const struct json_value *names = tree_get(fields, "collname");
    const struct json_value *last = names == NULL ? NULL : names->child;
    while (last != NULL && last->next != NULL)
        last = last->next;
    struct slice name = tree_string(c, last);
    if (!slice_equal(name, SLICE("C")) && !slice_equal(name, SLICE("POSIX")) &&
        !slice_equal(name, SLICE("default")))
        return convert_unsupported(c, tree_position(c, fields), "the collation \"%.*s\"",
                                   SLICE_ARGS(name));
    return convert_expr(c, tree_get(fields, "arg"), out);
}

static enum err convert_default(struct converter *c, const struct json_value *fields,
                                struct ast_node **out)
{
    *out = new_node(c, AST_DEFAULT, tree_position(c, fields));
    return OK;
}

static enum err convert_parameter(struct converter *c, const struct json_value *fields,
                                  struct ast_node **out)
{
    int64_t number;
    *out = new_node(c, AST_PARAMETER, tree_position(c, fields));
    if (int_parse(tree_text(fields, "number"), 1, PARAMETERS_MAX, "integer", &number, NULL) != OK) {
        struct slice text = slice_of(c->text.data + tree_offset(c, fields) + 1, 0);
        const char *end = c->text.data + c->text.size;
        while (text.data + text.size < end && text.size < 20 && text.data[text.size] >= '0' &&
               text.data[text.size] <= '9')
            text.size++;
        return convert_error(c, (*out)->position, "42P02", "there is no parameter $%.*s",
                             SLICE_ARGS(text));
    }
    (*out)->number = (uint32_t)number;
    return OK;
}

enum err convert_expr(struct converter *c, const struct json_value *value, struct ast_node **out)
{
    static const struct {
        const char *type;
        enum err (*convert)(struct converter *c, const struct json_value *fields,
                            struct ast_node **out);
    } kinds[] = {
        {"ColumnRef", convert_column},
        {"A_Const", convert_constant},
        {"A_Expr", convert_operator},
        {"FuncCall", convert_call},
        {"BoolExpr", convert_bool},
        {"TypeCast", convert_cast},
        {"NullTest", convert_null_test},
        {"CaseExpr", convert_case},
        {"CoalesceExpr", convert_coalesce},
        {"MinMaxExpr", convert_min_max},
        {"BooleanTest", convert_bool_test},
        {"SubLink", convert_sublink},
        {"A_ArrayExpr", convert_array},
        {"GroupingFunc", convert_grouping},
        {"SQLValueFunction", convert_value_function},
        {"A_Indirection", convert_indirection},
        {"CollateClause", convert_collate},
        {"SetToDefault", convert_default},
        {"ParamRef", convert_parameter},
    };
    static const struct {
        const char *type, *name;
    } refused[] = {{"RowExpr", "a row value"},
                   {"GroupingSet", "GROUPING SETS"},
                   {"XmlExpr", "XML"},
                   {"NamedArgExpr", "a named argument"},
                   {"MultiAssignRef", "multiple assignment"},
                   {"CurrentOfExpr", "WHERE CURRENT OF"},
                   {"XmlSerialize", "XML"},
                   {"List", "a list of values"}};
    struct tree_node node = tree_unwrap(value);
    int32_t position = tree_position(c, node.fields);
    for (size_t index = 0; index < array_count(kinds); index++) {
        if (!tree_is(&node, kinds[index].type))
            continue;
        enum err result = convert_enter(c, position);
        if (result == OK)
            result = kinds[index].convert(c, node.fields, out);
        c->depth--;
        return result;
    }
    for (size_t index = 0; index < array_count(refused); index++)
        if (tree_is(&node, refused[index].type))
            return convert_unsupported(c, position, "%s", refused[index].name);
    return convert_unsupported(c, position, "this expression (%.*s)", SLICE_ARGS(node.type));
}
