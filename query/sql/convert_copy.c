/* COPY (query) TO STDOUT: a query whose answer is csv, whatever the request asked for. */
#include "query/sql/convert.h"

static bool is_on(struct slice value)
{
    return !slice_equal_ignore_case(value, SLICE("false")) &&
           !slice_equal_ignore_case(value, SLICE("off")) && !slice_equal(value, SLICE("0"));
}

static enum err convert_copy_option(struct converter *c, const struct command_option *option,
                                    bool *is_csv, bool *has_header)
{
    static const char *const others[] = {"delimiter",   "null",           "quote",      "escape",
                                         "force_quote", "force_not_null", "force_null", "freeze"};
    if (slice_equal(option->name, SLICE("format"))) {
        *is_csv = slice_equal_ignore_case(option->value, SLICE("csv"));
        if (*is_csv || slice_equal_ignore_case(option->value, SLICE("text")))
            return OK;
        return convert_unsupported(c, option->text_position, "COPY in format \"%.*s\"",
                                   SLICE_ARGS(option->value));
    }
    if (slice_equal(option->name, SLICE("header"))) {
        *has_header = is_on(option->value);
        return OK;
    }
    if (slice_equal(option->name, SLICE("encoding")) &&
        (slice_equal_ignore_case(option->value, SLICE("utf8")) ||
         slice_equal_ignore_case(option->value, SLICE("utf-8"))))
        return OK;
    for (size_t index = 0; index < array_count(others); index++)
        if (slice_equal(option->name, slice_from_cstr(others[index])))
            return convert_unsupported(c, option->text_position, "COPY with option \"%s\"",
                                       others[index]);
    if (slice_equal(option->name, SLICE("encoding")))
        return convert_unsupported(c, option->text_position, "COPY in another encoding than UTF8");
    return convert_error(c, option->text_position, "42601", "option \"%.*s\" not recognized",
                         SLICE_ARGS(option->name));
}

enum err convert_copy(struct converter *c, const struct json_value *fields,
                      struct ast_statement *out)
{
    struct tree_node query = tree_unwrap(tree_get(fields, "query"));
    bool is_csv = false;
    out->kind = AST_STATEMENT_COPY;
    if (tree_bool(fields, "is_from"))
        return convert_unsupported(c, 0, "COPY … FROM");
    if (tree_bool(fields, "is_program") || tree_text(fields, "filename").size > 0)
        return convert_unsupported(c, 0, "COPY to a file or program");
    if (query.fields == NULL)
        return convert_unsupported(c, 0, "COPY of a table by name (COPY (SELECT …) TO STDOUT is)");
    if (!tree_is(&query, "SelectStmt"))
        return convert_unsupported(c, 0, "COPY of anything but a query");
    const struct json_value *options = tree_get(fields, "options");
    for (const struct json_value *item = options == NULL ? NULL : options->child; item != NULL;
         item = item->next) {
        struct command_option option;
        enum err result = convert_option(c, tree_unwrap(item).fields, &option);
        if (result == OK)
            result = convert_copy_option(c, &option, &is_csv, &out->has_header);
        if (result != OK)
            return result;
    }
    if (!is_csv)
        return convert_unsupported(c, 0, "COPY in format text (write WITH (FORMAT csv))");
    return convert_select(c, query.fields, &out->select);
}
