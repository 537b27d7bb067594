/* CREATE VIEW: the query as a tree, to be bound now, and as the text that is kept. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"

/* What stands behind AS, without the end of the statement. */
static struct slice query_text(struct converter *c)
{
    struct lexer lexer = {.text = c->text};
    size_t depth = 0, begin = 0, end = 0;
    bool is_behind = false;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        char symbol = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        if (symbol == '(' || symbol == '[')
            depth++;
        else if ((symbol == ')' || symbol == ']') && depth > 0)
            depth--;
        if (is_behind && begin == 0)
            begin = lexer.token_offset;
        is_behind = is_behind || (depth == 0 && lexer_is_word(&lexer, token, "as"));
        if (symbol != ';')
            end = lexer.offset;
    }
    return slice_of(c->text.data + begin, end - begin);
}

static enum err refuse_extras(struct converter *c, const struct json_value *fields,
                              int32_t position)
{
    struct slice check = tree_text(fields, "withCheckOption");
    if (tree_text_is(tree_get(fields, "view"), "relpersistence", "t"))
        return convert_unsupported(c, position, "CREATE TEMPORARY VIEW");
    if (check.size > 0 && !slice_equal(check, SLICE("NO_CHECK_OPTION")))
        return convert_unsupported(c, position, "WITH CHECK OPTION");
    return OK;
}

/* A name that is one part of a path. */
static bool is_endpoint_name(struct slice name)
{
    if (name.size == 0 || name.size > 255)
        return false;
    for (size_t index = 0; index < name.size; index++)
        if ((unsigned char)name.data[index] < ' ' || name.data[index] == '/' ||
            name.data[index] == 0x7F)
            return false;
    return !slice_equal(name, SLICE(".")) && !slice_equal(name, SLICE(".."));
}

static enum err convert_view_options(struct converter *c, const struct json_value *options,
                                     struct view_definition *view)
{
    for (const struct json_value *item = options == NULL ? NULL : options->child; item != NULL;
         item = item->next) {
        struct command_option option;
        enum err result = convert_option(c, tree_unwrap(item).fields, &option);
        if (result != OK)
            return result;
        if (!slice_equal(option.name, SLICE("endpoint")))
            return convert_error(c, option.text_position, "22023",
                                 "unrecognized parameter \"%.*s\"", SLICE_ARGS(option.name));
        if (view->endpoint.size > 0)
            return convert_error(c, option.text_position, "22023",
                                 "parameter \"endpoint\" specified more than once");
        if (slice_equal(option.value, SLICE("off")) || slice_equal(option.value, SLICE("false")))
            continue;
        if (slice_equal(option.value, SLICE("on")) || slice_equal(option.value, SLICE("true"))) {
            convert_error(c, option.text_position, "22023", "an endpoint needs a name");
            error_hint(c->error, "write WITH (endpoint = '%.*s')", SLICE_ARGS(view->name));
            return ERR_INPUT;
        }
        if (!is_endpoint_name(option.value))
            return convert_error(
                c, option.text_position, "22023",
                "the name of an endpoint is one part of a path, of 1 to 255 bytes");
        view->endpoint = option.value;
    }
    return OK;
}

enum err convert_create_view(struct converter *c, const struct json_value *fields,
                             struct ast_statement *out)
{
    struct command *command = out->command;
    struct slice *names;
    command->kind = COMMAND_CREATE_VIEW;
    command->is_replace = tree_bool(fields, "replace");
    enum err result =
        convert_relation(c, tree_get(fields, "view"), &command->table, &command->text_position);
    if (result == OK)
        result = refuse_extras(c, fields, command->text_position);
    command->view.name = command->table;
    if (result == OK)
        result = convert_view_options(c, tree_get(fields, "options"), &command->view);
    if (result != OK)
        return result;
    out->name_count = tree_strings(c, tree_get(fields, "aliases"), &names);
    out->names = arena_alloc_zero(c->arena, (out->name_count + 1) * sizeof(*out->names));
    for (size_t index = 0; index < out->name_count; index++)
        out->names[index].name = names[index];
    struct tree_node query = tree_unwrap(tree_get(fields, "query"));
    if (!tree_is(&query, "SelectStmt"))
        return convert_unsupported(c, command->text_position, "a view of anything but a query");
    command->view.text = arena_copy(c->arena, query_text(c));
    return convert_select(c, query.fields, &out->select);
}
