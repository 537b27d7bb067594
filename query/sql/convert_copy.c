/* COPY table FROM STDIN, COPY table | (query) TO STDOUT, with PostgreSQL's options.
 *
 * COPY TO is a query: of a table it is SELECT of the columns named, or of all. COPY FROM is a
 * command whose rows come from elsewhere, over a protocol that can carry them. */
#include "query/sql/convert.h"

struct copy_clause {
    struct copy_options options;
    /* What was said, so that what does not go together is found whatever the order. */
    bool has_format, has_delimiter, has_null, has_header, has_quote, has_escape;
};

static bool read_switch(struct slice value, bool *out)
{
    static const struct {
        const char *word;
        bool is_on;
    } words[] = {{"true", true},   {"on", true},   {"1", true},
                 {"false", false}, {"off", false}, {"0", false}};
    for (size_t index = 0; index < array_count(words); index++)
        if (slice_equal_ignore_case(value, slice_from_cstr(words[index].word))) {
            *out = words[index].is_on;
            return true;
        }
    return false;
}

static enum err take_format(struct converter *c, const struct command_option *option,
                            struct copy_clause *clause)
{
    static const char *const names[] = {
        [COPY_TEXT] = "text", [COPY_CSV] = "csv", [COPY_BINARY] = "binary"};
    for (enum copy_format format = COPY_TEXT; format <= COPY_BINARY; format++)
        if (slice_equal(option->value, slice_from_cstr(names[format]))) {
            clause->options.format = format;
            return OK;
        }
    return convert_error(c, option->text_position, "22023", "COPY format \"%.*s\" not recognized",
                         SLICE_ARGS(option->value));
}

static enum err take_header(struct converter *c, const struct command_option *option,
                            struct copy_clause *clause)
{
    bool is_on;
    if (slice_equal_ignore_case(option->value, SLICE("match"))) {
        clause->options.header = COPY_HEADER_MATCH;
        return OK;
    }
    if (!read_switch(option->value, &is_on))
        return convert_error(c, option->text_position, "42601",
                             "header requires a Boolean value or \"match\"");
    clause->options.header = is_on ? COPY_HEADER_LINE : COPY_HEADER_NONE;
    return OK;
}

/* One byte that does not end a line. */
static enum err take_byte(struct converter *c, const struct command_option *option, char *out)
{
    if (option->value.size != 1 || (unsigned char)option->value.data[0] >= 0x80)
        return convert_error(c, option->text_position, "0A000",
                             "COPY %.*s must be a single one-byte character",
                             SLICE_ARGS(option->name));
    *out = option->value.data[0];
    if (*out == '\n' || *out == '\r')
        return convert_error(c, option->text_position, "22023",
                             "COPY %.*s cannot be newline or carriage return",
                             SLICE_ARGS(option->name));
    return OK;
}

static enum err take_null(struct converter *c, const struct command_option *option,
                          struct copy_clause *clause)
{
    clause->options.null = option->value;
    if (option->value.size > 0 && (memchr(option->value.data, '\n', option->value.size) != NULL ||
                                   memchr(option->value.data, '\r', option->value.size) != NULL))
        return convert_error(c, option->text_position, "22023",
                             "COPY null representation cannot use newline or carriage return");
    return OK;
}

static enum err take_encoding(struct converter *c, const struct command_option *option)
{
    if (slice_equal_ignore_case(option->value, SLICE("utf8")) ||
        slice_equal_ignore_case(option->value, SLICE("utf-8")))
        return OK;
    return convert_unsupported(c, option->text_position, "COPY in another encoding than UTF8");
}

static enum err take_option(struct converter *c, const struct command_option *option,
                            struct copy_clause *clause)
{
    static const char *const others[] = {"force_quote", "force_not_null", "force_null", "freeze"};
    struct {
        const char *name;
        bool *has;
    } known[] = {{"format", &clause->has_format}, {"delimiter", &clause->has_delimiter},
                 {"null", &clause->has_null},     {"header", &clause->has_header},
                 {"quote", &clause->has_quote},   {"escape", &clause->has_escape}};
    size_t which = 0;
    while (which < array_count(known) &&
           !slice_equal(option->name, slice_from_cstr(known[which].name)))
        which++;
    for (size_t index = 0; index < array_count(others); index++)
        if (slice_equal(option->name, slice_from_cstr(others[index])))
            return convert_unsupported(c, option->text_position, "COPY with option \"%s\"",
                                       others[index]);
    if (slice_equal(option->name, SLICE("encoding")))
        return take_encoding(c, option);
    if (which == array_count(known))
        return convert_error(c, option->text_position, "42601", "option \"%.*s\" not recognized",
                             SLICE_ARGS(option->name));
    if (*known[which].has)
        return convert_error(c, option->text_position, "42601", "conflicting or redundant options");
    *known[which].has = true;
    switch (which) {
    case 0:
        return take_format(c, option, clause);
    case 1:
        return take_byte(c, option, &clause->options.delimiter);
    case 2:
        return take_null(c, option, clause);
    case 3:
        return take_header(c, option, clause);
    case 4:
        return take_byte(c, option, &clause->options.quote);
    default:
        return take_byte(c, option, &clause->options.escape);
    }
}

static enum err check_together(struct converter *c, const struct copy_clause *clause)
{
    const struct copy_options *options = &clause->options;
    const char *problem = NULL;
    if (options->format == COPY_BINARY && clause->has_delimiter)
        problem = "cannot specify DELIMITER in BINARY mode";
    else if (options->format == COPY_BINARY && clause->has_null)
        problem = "cannot specify NULL in BINARY mode";
    else if (options->format == COPY_BINARY && options->header != COPY_HEADER_NONE)
        problem = "cannot specify HEADER in BINARY mode";
    else if (options->format != COPY_CSV && clause->has_quote)
        problem = "COPY quote available only in CSV mode";
    else if (options->format != COPY_CSV && clause->has_escape)
        problem = "COPY escape available only in CSV mode";
    if (problem != NULL)
        return convert_error(c, 0, "42601", "%s", problem);
    if (options->format == COPY_TEXT && options->delimiter != 0 &&
        strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", options->delimiter) != NULL)
        problem = "COPY delimiter cannot be a letter, a digit, a point or a backslash";
    else if (options->format == COPY_CSV && options->delimiter == options->quote)
        problem = "COPY delimiter and quote must be different";
    else if (options->null.size > 0 &&
             memchr(options->null.data, options->delimiter, options->null.size) != NULL)
        problem = "COPY delimiter must not appear in the NULL specification";
    else if (options->format == COPY_CSV && options->null.size > 0 &&
             memchr(options->null.data, options->quote, options->null.size) != NULL)
        problem = "CSV quote character must not appear in the NULL specification";
    return problem == NULL ? OK : convert_error(c, 0, "22023", "%s", problem);
}

static enum err convert_options(struct converter *c, const struct json_value *list,
                                struct copy_options **out)
{
    struct copy_clause clause = {0};
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        struct command_option option;
        enum err result = convert_option(c, tree_unwrap(item).fields, &option);
        if (result == OK)
            result = take_option(c, &option, &clause);
        if (result != OK)
            return result;
    }
    struct copy_options *options = *out = arena_alloc(c->arena, sizeof(*options));
    bool is_csv = clause.options.format == COPY_CSV;
    if (!clause.has_delimiter)
        clause.options.delimiter = is_csv ? ',' : '\t';
    if (is_csv && !clause.has_quote)
        clause.options.quote = '"';
    if (is_csv && !clause.has_escape)
        clause.options.escape = clause.options.quote;
    if (!clause.has_null)
        clause.options.null = is_csv ? SLICE("") : SLICE("\\N");
    *options = clause.options;
    return check_together(c, &clause);
}

/* SELECT of the columns, or of all. */
static struct ast_select *select_table(struct converter *c, struct slice name, int32_t position,
                                       const struct ast_statement *ast)
{
    struct ast_select *select = arena_alloc_zero(c->arena, sizeof(*select));
    struct ast_from *from = arena_alloc_zero(c->arena, sizeof(*from));
    *from = (struct ast_from){.kind = FROM_TABLE, .position = position, .name = name};
    select->from = arena_alloc(c->arena, sizeof(struct ast_from *));
    select->from[0] = from;
    select->from_count = 1;
    select->target_count = ast->name_count == 0 ? 1 : ast->name_count;
    select->targets = arena_alloc_zero(c->arena, select->target_count * sizeof(*select->targets));
    for (size_t index = 0; index < select->target_count; index++) {
        struct ast_node *node = arena_alloc_zero(c->arena, sizeof(*node));
        select->targets[index].node = node;
        node->kind = ast->name_count == 0 ? AST_STAR : AST_COLUMN;
        node->position = position;
        if (ast->name_count == 0)
            continue;
        node->fields = arena_alloc(c->arena, sizeof(struct slice));
        node->fields[0] = ast->names[index].name;
        node->field_count = 1;
    }
    return select;
}

static enum err convert_table(struct converter *c, const struct json_value *fields,
                              struct ast_statement *out)
{
    struct slice *names;
    struct command *command = out->command;
    bool is_from = tree_bool(fields, "is_from");
    enum err result =
        convert_relation(c, tree_get(fields, "relation"), &command->table, &command->text_position);
    if (result != OK)
        return result;
    out->name_count = tree_strings(c, tree_get(fields, "attlist"), &names);
    out->names = arena_alloc_zero(c->arena, out->name_count * sizeof(*out->names));
    for (size_t index = 0; index < out->name_count; index++)
        out->names[index] =
            (struct ast_name){.name = names[index], .position = command->text_position};
    if (tree_get(fields, "whereClause") != NULL)
        return convert_unsupported(c, command->text_position, "COPY … WHERE");
    if (!is_from) {
        out->kind = AST_STATEMENT_COPY;
        out->select = select_table(c, command->table, command->text_position, out);
        return OK;
    }
    command->kind = COMMAND_COPY;
    command->copy = out->copy;
    return OK;
}

enum err convert_copy(struct converter *c, const struct json_value *fields,
                      struct ast_statement *out)
{
    struct tree_node query = tree_unwrap(tree_get(fields, "query"));
    if (tree_bool(fields, "is_program") || tree_text(fields, "filename").size > 0)
        return convert_unsupported(c, 0, "COPY with a file or program of the server");
    if (query.fields != NULL && !tree_is(&query, "SelectStmt"))
        return convert_unsupported(c, 0, "COPY of anything but a query");
    struct copy_options *options = NULL;
    enum err result = convert_options(c, tree_get(fields, "options"), &options);
    out->copy = options;
    if (result != OK)
        return result;
    if (query.fields == NULL)
        return convert_table(c, fields, out);
    out->kind = AST_STATEMENT_COPY;
    return convert_select(c, query.fields, &out->select);
}
