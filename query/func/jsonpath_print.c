/* SQL/JSON paths as PostgreSQL's output function writes them: keys quoted, operands in parentheses
 * where the operator around them binds tighter or as tight (and, as there, not where a step
 * follows). Depth is bounded by the parser. */
#include "query/func/jsonpath.h"

#include "storage/base/json.h"

const char *jsonpath_operator(enum jsonpath_kind kind)
{
    static const char *const names[] = {
        [JSONPATH_PLUS] = "+",           [JSONPATH_MINUS] = "-",
        [JSONPATH_TIMES] = "*",          [JSONPATH_DIVIDE] = "/",
        [JSONPATH_MODULO] = "%",         [JSONPATH_OR] = "||",
        [JSONPATH_AND] = "&&",           [JSONPATH_EQUAL] = "==",
        [JSONPATH_NOT_EQUAL] = "!=",     [JSONPATH_LESS] = "<",
        [JSONPATH_GREATER] = ">",        [JSONPATH_LESS_EQUAL] = "<=",
        [JSONPATH_GREATER_EQUAL] = ">=", [JSONPATH_STARTS_WITH] = "starts with",
    };
    return names[kind];
}

static bool is_unary(const struct jsonpath_node *node)
{
    return (node->kind == JSONPATH_PLUS || node->kind == JSONPATH_MINUS) && node->right == NULL;
}

static int priority(const struct jsonpath_node *node)
{
    switch (node->kind) {
    case JSONPATH_OR:
        return 0;
    case JSONPATH_AND:
        return 1;
    case JSONPATH_EQUAL:
    case JSONPATH_NOT_EQUAL:
    case JSONPATH_LESS:
    case JSONPATH_GREATER:
    case JSONPATH_LESS_EQUAL:
    case JSONPATH_GREATER_EQUAL:
    case JSONPATH_STARTS_WITH:
        return 2;
    case JSONPATH_PLUS:
    case JSONPATH_MINUS:
        return is_unary(node) ? 5 : 3;
    case JSONPATH_TIMES:
    case JSONPATH_DIVIDE:
    case JSONPATH_MODULO:
        return 4;
    default:
        return 6;
    }
}

static void print_node(const struct jsonpath_node *node, bool is_bracketed, struct writer *out);

static void print_operand(const struct jsonpath_node *node, const struct jsonpath_node *around,
                          struct writer *out)
{
    print_node(node, priority(node) <= priority(around), out);
}

static void print_operator(const struct jsonpath_node *node, bool is_bracketed, struct writer *out)
{
    writer_cstr(out, is_bracketed ? "(" : "");
    if (is_unary(node)) {
        writer_cstr(out, jsonpath_operator(node->kind));
        print_operand(node->left, node, out);
    } else {
        print_operand(node->left, node, out);
        if (node->kind == JSONPATH_LIKE_REGEX) {
            writer_cstr(out, " like_regex ");
            json_write_string(out, node->text);
            if (node->written_flags.size > 0)
                writer_printf(out, " flag \"%.*s\"", SLICE_ARGS(node->written_flags));
        } else {
            writer_printf(out, " %s ", jsonpath_operator(node->kind));
            print_operand(node->right, node, out);
        }
    }
    writer_cstr(out, is_bracketed ? ")" : "");
}

static void print_level(int32_t level, struct writer *out)
{
    if (level == JSONPATH_LEVEL_LAST)
        writer_cstr(out, "last");
    else
        writer_printf(out, "%d", level);
}

static void print_levels(const struct jsonpath_node *node, struct writer *out)
{
    writer_cstr(out, ".**");
    if (node->first == 0 && node->last == JSONPATH_LEVEL_LAST)
        return;
    writer_u8(out, '{');
    print_level(node->first, out);
    if (node->first != node->last) {
        writer_cstr(out, " to ");
        print_level(node->last, out);
    }
    writer_u8(out, '}');
}

static void print_subscripts(const struct jsonpath_node *node, struct writer *out)
{
    writer_u8(out, '[');
    for (const struct jsonpath_node *range = node->left; range != NULL; range = range->next) {
        writer_cstr(out, range != node->left ? "," : "");
        print_node(range->left, false, out);
        if (range->right != NULL) {
            writer_cstr(out, " to ");
            print_node(range->right, false, out);
        }
    }
    writer_u8(out, ']');
}

/* Parts in other words than the node's own. */
static void print_around(const char *before, const struct jsonpath_node *node, const char *after,
                         struct writer *out)
{
    writer_cstr(out, before);
    print_node(node, false, out);
    writer_cstr(out, after);
}

static void print_one(const struct jsonpath_node *node, bool is_bracketed, struct writer *out)
{
    switch (node->kind) {
    case JSONPATH_ROOT:
        writer_u8(out, '$');
        break;
    case JSONPATH_CURRENT:
        writer_u8(out, '@');
        break;
    case JSONPATH_LAST:
        writer_cstr(out, "last");
        break;
    case JSONPATH_NULL:
        writer_cstr(out, "null");
        break;
    case JSONPATH_TRUE:
        writer_cstr(out, "true");
        break;
    case JSONPATH_FALSE:
        writer_cstr(out, "false");
        break;
    case JSONPATH_NUMBER:
        writer_printf(out, node->next != NULL ? "(%.*s)" : "%.*s", SLICE_ARGS(node->text));
        break;
    case JSONPATH_VARIABLE:
    case JSONPATH_KEY:
    case JSONPATH_STRING:
        writer_cstr(out, node->kind == JSONPATH_VARIABLE ? "$"
                         : node->kind == JSONPATH_KEY    ? "."
                                                         : "");
        json_write_string(out, node->text);
        break;
    case JSONPATH_ANY_KEY:
        writer_cstr(out, ".*");
        break;
    case JSONPATH_ANY_ELEMENT:
        writer_cstr(out, "[*]");
        break;
    case JSONPATH_SUBSCRIPT:
        print_subscripts(node, out);
        break;
    case JSONPATH_ANY_LEVEL:
        print_levels(node, out);
        break;
    case JSONPATH_FILTER:
        print_around("?(", node->left, ")", out);
        break;
    case JSONPATH_METHOD:
        writer_printf(out, ".%s()", jsonpath_method_name(node->method));
        break;
    case JSONPATH_NOT:
        print_around("!(", node->left, ")", out);
        break;
    case JSONPATH_IS_UNKNOWN:
        print_around("(", node->left, ") is unknown", out);
        break;
    case JSONPATH_EXISTS:
        print_around("exists (", node->left, ")", out);
        break;
    default:
        print_operator(node, is_bracketed, out);
        break;
    }
}

static void print_node(const struct jsonpath_node *node, bool is_bracketed, struct writer *out)
{
    print_one(node, is_bracketed, out);
    for (node = node->next; node != NULL; node = node->next)
        print_one(node, true, out);
}

void jsonpath_print(const struct jsonpath *path, struct writer *out)
{
    writer_cstr(out, path->is_strict ? "strict " : "");
    print_node(path->root, true, out);
}
