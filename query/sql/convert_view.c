/* CREATE VIEW and CREATE MATERIALIZED VIEW: the query as a tree, to be bound now, and as the text
 * that is kept. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"

/* What stands behind AS, without the end of the statement and, before it, WITH DATA. */
static struct slice query_text(struct converter *c)
{
    struct lexer lexer = {.text = c->text};
    size_t depth = 0, begin = 0, end = 0, before_with = 0;
    bool is_behind = false, was_with = false;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        char symbol = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        if (symbol == '(' || symbol == '[')
            depth++;
        else if ((symbol == ')' || symbol == ']') && depth > 0)
            depth--;
        if (is_behind && begin == 0)
            begin = lexer.token_offset;
        is_behind = is_behind || (depth == 0 && lexer_is_word(&lexer, token, "as"));
        bool is_with = lexer_is_word(&lexer, token, "with");
        if (is_with)
            before_with = end;
        if (was_with && depth == 0 && lexer_is_word(&lexer, token, "data"))
            end = before_with; /* of a query it can be no part */
        else if (symbol != ';')
            end = lexer.offset;
        was_with = is_with;
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

static enum err convert_endpoint(struct converter *c, const struct command_option *option,
                                 struct view_definition *view)
{
    if (view->endpoint.size > 0)
        return convert_error(c, option->text_position, "22023",
                             "parameter \"endpoint\" specified more than once");
    if (slice_equal(option->value, SLICE("off")) || slice_equal(option->value, SLICE("false")))
        return OK;
    if (slice_equal(option->value, SLICE("on")) || slice_equal(option->value, SLICE("true"))) {
        convert_error(c, option->text_position, "22023", "an endpoint needs a name");
        error_hint(c->error, "write WITH (endpoint = '%.*s')", SLICE_ARGS(view->name));
        return ERR_INPUT;
    }
    if (!is_endpoint_name(option->value))
        return convert_error(c, option->text_position, "22023",
                             "the name of an endpoint is one part of a path, of 1 to 255 bytes");
    view->endpoint = option->value;
    return OK;
}

static enum err convert_switch(struct converter *c, const struct command_option *option, bool *out)
{
    static const char *const words[2][2] = {{"off", "false"}, {"on", "true"}};
    for (int is_on = 0; is_on < 2; is_on++)
        for (size_t index = 0; index < 2; index++)
            if (slice_equal_ignore_case(option->value, slice_from_cstr(words[is_on][index]))) {
                *out = is_on == 1;
                return OK;
            }
    return convert_error(c, option->text_position, "22023",
                         "invalid value for boolean option \"%.*s\": %.*s",
                         SLICE_ARGS(option->name), SLICE_ARGS(option->value));
}

static enum err convert_view_option(struct converter *c, const struct command_option *option,
                                    bool is_materialized, struct view_definition *view)
{
    if (slice_equal(option->name, SLICE("endpoint")))
        return convert_endpoint(c, option, view);
    if (is_materialized && slice_equal(option->name, SLICE("rollup")))
        return convert_switch(c, option, &view->is_materialized);
    if (!is_materialized || !slice_equal(option->name, SLICE("emit")))
        return convert_error(c, option->text_position, "22023", "unrecognized parameter \"%.*s\"",
                             SLICE_ARGS(option->name));
    if (slice_equal(option->value, SLICE("off")) || slice_equal(option->value, SLICE("false")))
        return OK;
    return convert_unsupported(c, option->text_position, "the option \"emit\"");
}

static enum err convert_view_options(struct converter *c, const struct json_value *options,
                                     bool is_materialized, struct view_definition *view)
{
    for (const struct json_value *item = options == NULL ? NULL : options->child; item != NULL;
         item = item->next) {
        struct command_option option;
        enum err result = convert_option(c, tree_unwrap(item).fields, &option);
        if (result == OK)
            result = convert_view_option(c, &option, is_materialized, view);
        if (result != OK)
            return result;
    }
    return OK;
}

/* What both kinds have: names of columns and the query. */
static enum err convert_view_query(struct converter *c, const struct json_value *names,
                                   const struct json_value *wrapped, struct ast_statement *out)
{
    struct command *command = out->command;
    struct slice *list;
    out->name_count = tree_strings(c, names, &list);
    out->names = arena_alloc_zero(c->arena, (out->name_count + 1) * sizeof(*out->names));
    for (size_t index = 0; index < out->name_count; index++)
        out->names[index].name = list[index];
    struct tree_node query = tree_unwrap(wrapped);
    if (!tree_is(&query, "SelectStmt"))
        return convert_unsupported(c, command->text_position, "a view of anything but a query");
    command->view.text = arena_copy(c->arena, query_text(c));
    return convert_select(c, query.fields, &out->select);
}

enum err convert_create_materialized(struct converter *c, const struct json_value *fields,
                                     struct ast_statement *out)
{
    struct command *command = out->command;
    const struct json_value *into = tree_get(fields, "into");
    command->kind = COMMAND_CREATE_VIEW;
    command->is_materialized = true;
    command->if_exists = tree_bool(fields, "if_not_exists");
    enum err result =
        convert_relation(c, tree_get(into, "rel"), &command->table, &command->text_position);
    command->view.name = command->table;
    if (result == OK)
        result = convert_view_options(c, tree_get(into, "options"), true, &command->view);
    if (result == OK && !command->view.is_materialized) {
        convert_unsupported(c, command->text_position,
                            "CREATE MATERIALIZED VIEW without the option \"rollup\"");
        error_hint(c->error, "write WITH (rollup = 'true') for a view that GROUP BY makes, or "
                             "CREATE VIEW");
        return ERR_UNSUPPORTED;
    }
    if (result == OK && tree_bool(into, "skipData"))
        result = convert_unsupported(c, command->text_position, "WITH NO DATA");
    if (result == OK &&
        (tree_get(into, "accessMethod") != NULL || tree_get(into, "tableSpaceName") != NULL))
        result = convert_unsupported(c, command->text_position,
                                     "CREATE MATERIALIZED VIEW … USING or TABLESPACE");
    return result != OK
               ? result
               : convert_view_query(c, tree_get(into, "colNames"), tree_get(fields, "query"), out);
}

enum err convert_create_view(struct converter *c, const struct json_value *fields,
                             struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_CREATE_VIEW;
    command->is_replace = tree_bool(fields, "replace");
    enum err result =
        convert_relation(c, tree_get(fields, "view"), &command->table, &command->text_position);
    if (result == OK)
        result = refuse_extras(c, fields, command->text_position);
    command->view.name = command->table;
    if (result == OK)
        result = convert_view_options(c, tree_get(fields, "options"), false, &command->view);
    return result != OK
               ? result
               : convert_view_query(c, tree_get(fields, "aliases"), tree_get(fields, "query"), out);
}
