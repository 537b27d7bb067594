/* f(…, VARIADIC array), in the words of a function or operator that takes the array. */
#include "query/sql/convert.h"

static struct ast_node *new_node(struct converter *c, enum ast_kind kind, int32_t position)
{
    struct ast_node *node = arena_alloc_zero(c->arena, sizeof(*node));
    node->kind = kind;
    node->position = position;
    return node;
}

enum err convert_variadic(struct converter *c, struct ast_node *node)
{
    static const struct {
        const char *name, *over;
        uint32_t count;
    } forms[] = {{"concat", "array_to_string", 1},     {"concat_ws", "array_to_string", 2},
                 {"json_extract_path", "#>", 2},       {"jsonb_extract_path", "#>", 2},
                 {"json_extract_path_text", "#>>", 2}, {"jsonb_extract_path_text", "#>>", 2}};
    for (size_t index = 0; index < array_count(forms); index++) {
        if (!slice_equal(node->text, slice_from_cstr(forms[index].name)) ||
            node->count != forms[index].count)
            continue;
        struct ast_node **arguments = arena_alloc_array(c->arena, 2, sizeof(*arguments));
        bool is_join = index < 2;
        struct ast_node *original = node->arguments[0];
        arguments[is_join ? 1 : 0] = original;
        arguments[is_join ? 0 : 1] = node->arguments[node->count - 1];
        if (node->count == 1) {
            arguments[1] = new_node(c, AST_STRING, node->position);
            arguments[1]->text = SLICE("");
        }
        node->text = slice_from_cstr(forms[index].over);
        node->arguments = arguments;
        node->count = 2;
        if (is_join)
            return OK;
        node->kind = AST_OPERATOR;
        if (arguments[0]->kind != AST_STRING) /* whose type the operator would not know */
            return OK;
        bool is_jsonb = slice_starts_with(slice_from_cstr(forms[index].name), SLICE("jsonb"));
        arguments[0] = new_node(c, AST_CAST, node->position);
        arguments[0]->type = type_of(is_jsonb ? TYPE_JSONB : TYPE_JSON);
        arguments[0]->arguments = arena_alloc_array(c->arena, 1, sizeof(*arguments));
        arguments[0]->arguments[0] = original;
        arguments[0]->count = 1;
        return OK;
    }
    return convert_unsupported(c, node->position, "VARIADIC in %.*s", SLICE_ARGS(node->text));
}
