/* parameter('name' [, default]): a value that the caller of the statement gives by name, as $1 is
 * one given by place. It is what published endpoints take.
 *
 * A literal default ('DE', 10, NULL) is of the type that the parameter's places ask for, as any
 * literal is. Another default is an expression where it stands, coalesce(parameter, default), and
 * says the type. Without either the value must be given. */
#include "query/sql/bind.h"

#include "query/plan/rewrite.h"

static bool is_literal(const struct ast_node *node)
{
    return node->kind == AST_STRING || node->kind == AST_NUMBER || node->kind == AST_BOOL ||
           node->kind == AST_NULL;
}

static struct slice literal_text(const struct ast_node *node)
{
    return node->kind == AST_BOOL ? (node->is_true ? SLICE("true") : SLICE("false")) : node->text;
}

static enum err set_default(struct binder *b, struct parameter *parameter,
                            const struct ast_node *node)
{
    struct slice text = node->kind == AST_NULL ? SLICE("") : literal_text(node);
    bool is_null = node->kind == AST_NULL;
    if (parameter->has_default &&
        (parameter->is_null_default != is_null || !slice_equal(parameter->default_text, text)))
        return bind_error(b, node->position, "42601", "parameter \"%.*s\" has two defaults",
                          SLICE_ARGS(parameter->name));
    parameter->has_default = true;
    parameter->is_null_default = is_null;
    parameter->default_text = text;
    return OK;
}

static struct parameter *find(struct binder *b, struct slice name)
{
    struct parameter_list *named = &b->build.parameters->named;
    size_t index = 0;
    while (!slice_equal(named->items[index].name, name))
        index++;
    return &named->items[index];
}

enum err bind_parameter(struct binder *b, struct scope *scope, const struct ast_node *node,
                        struct expr **out)
{
    if (node->count > 2 || node->arguments[0]->kind != AST_STRING ||
        node->arguments[0]->text.size == 0 || node->arguments[0]->text.size > 255)
        return bind_error(b, node->position, "42601",
                          "a parameter is written parameter('name') or parameter('name', default)");
    struct slice name = node->arguments[0]->text;
    struct expr *both[2] = {NULL, NULL};
    enum err result = build_parameter(&b->build, 0, name, node->position, &both[0]);
    if (result != OK)
        return result;
    *out = both[0];
    if (node->count == 1) {
        find(b, name)->is_bare = true;
        return OK;
    }
    if (is_literal(node->arguments[1]))
        return set_default(b, find(b, name), node->arguments[1]);
    result = bind_expr(b, scope, node->arguments[1], &both[1]);
    if (result != OK)
        return result;
    find(b, name)->has_own_default = true;
    return build_node(&b->build, EXPR_COALESCE, false, both, 2, node->position, out);
}

/* --- at the end --- */

struct check {
    struct binder *b;
    enum err result;
};

static void check_expr(void *context, const struct expr *expr)
{
    struct check *check = context;
    if (check->result == OK)
        check->result = build_check_parameter(&check->b->build, expr);
}

static enum err check_default(struct binder *b, const struct parameter *parameter)
{
    struct value unused;
    struct text_context context = {.zone = b->build.zone};
    if (!parameter->has_default || parameter->is_null_default)
        return OK;
    return type_parse(parameter->type, parameter->default_text, &context, b->arena, &unused,
                      b->error);
}

/* Fields of a request: an endpoint cannot have parameters of these names. */
static bool is_field(struct slice name)
{
    static const char *const fields[] = {"q",        "query",      "params",
                                         "format",   "timeout_ms", "query_id",
                                         "max_rows", "at_least",   "settings"};
    for (size_t index = 0; index < array_count(fields); index++)
        if (slice_equal(name, slice_from_cstr(fields[index])))
            return true;
    return false;
}

/* What a view takes, told for people: its values come when it is read. */
static enum err describe(struct binder *b, struct view_definition *view)
{
    const struct parameter_list *named = &b->build.parameters->named;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < named->count; index++) {
        const struct parameter *parameter = &named->items[index];
        if (view->endpoint.size > 0 && is_field(parameter->name)) {
            writer_deinit(&out);
            return bind_error(b, 0, "42601",
                              "an endpoint cannot have a parameter \"%.*s\": requests have a field "
                              "of that name",
                              SLICE_ARGS(parameter->name));
        }
        writer_cstr(&out, index > 0 ? ", " : "");
        writer_slice(&out, parameter->name);
        writer_u8(&out, ' ');
        type_print(parameter->type, &out);
        if (parameter->has_default && parameter->is_null_default)
            writer_cstr(&out, " = NULL");
        else if (parameter->has_default)
            writer_printf(&out, " = '%.*s'", SLICE_ARGS(parameter->default_text));
        else if (parameter->has_own_default && !parameter->is_bare)
            writer_cstr(&out, " = …");
    }
    view->parameters = arena_copy(b->arena, writer_as_slice(&out));
    writer_deinit(&out);
    return OK;
}

enum err bind_finish_parameters(struct binder *b)
{
    struct statement *statement = b->statement;
    const struct parameters *parameters = b->build.parameters;
    struct check check = {.b = b};
    if (parameters->values != NULL || parameters->numbered.count + parameters->named.count == 0)
        return OK;
    enum err result = build_check_parameters(&b->build);
    if (result == OK && statement->plan != NULL)
        plan_visit(statement->plan, check_expr, &check);
    for (size_t index = 0; result == OK && index < statement->subplan_count; index++)
        if (statement->subplans[index] != NULL)
            plan_visit(statement->subplans[index], check_expr, &check);
    result = result == OK ? check.result : result;
    for (size_t index = 0; index < parameters->named.count && result == OK; index++)
        result = check_default(b, &parameters->named.items[index]);
    if (result == OK && statement->kind == STATEMENT_COMMAND &&
        statement->command->kind == COMMAND_CREATE_VIEW)
        return describe(b, &statement->command->view);
    if (result != OK)
        return result;
    statement->needs_values = parameters->needs_values;
    statement->numbered_count = parameters->numbered.count;
    statement->parameter_count = statement->numbered_count + parameters->named.count;
    statement->parameters =
        arena_alloc_zero(b->arena, statement->parameter_count * sizeof(*statement->parameters));
    if (statement->numbered_count > 0)
        memcpy(statement->parameters, parameters->numbered.items,
               statement->numbered_count * sizeof(*statement->parameters));
    if (parameters->named.count > 0)
        memcpy(statement->parameters + statement->numbered_count, parameters->named.items,
               parameters->named.count * sizeof(*statement->parameters));
    return OK;
}
