/* CREATE INDEX and DROP INDEX.
 *
 * There is one kind of index, a bitmap over one column, and it only ever makes an answer come
 * sooner; so what PostgreSQL's statement can say beyond that (UNIQUE, several columns, expressions,
 * conditions, other methods) is refused by name rather than half done. CONCURRENTLY is accepted: an
 * index never blocks anybody. Whether the column is there and of a type that can be indexed is
 * ingest's to say, which serializes definitions. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"

/* What the tree does not keep: whether a method was written (it says "btree" either way), and where
 * it and the first element stand. */
struct index_text {
    size_t method, element; /* bytes, text.size: not found */
};

static struct index_text scan_text(struct converter *c, size_t relation)
{
    struct lexer lexer = {.text = c->text, .offset = relation};
    struct index_text out = {c->text.size, c->text.size};
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        if (lexer_is_word(&lexer, token, "using")) {
            (void)lexer_next(&lexer);
            out.method = lexer.token_offset;
        } else if (token == LEXER_SYMBOL && lexer.token.data[0] == '(') {
            (void)lexer_next(&lexer);
            out.element = lexer.token_offset;
            break;
        }
    }
    return out;
}

static enum err refuse_extras(struct converter *c, const struct json_value *fields,
                              int32_t position)
{
    static const struct {
        const char *key, *name;
    } extras[] = {{"indexIncludingParams", "INCLUDE in CREATE INDEX"},
                  {"whereClause", "a partial index (CREATE INDEX … WHERE)"},
                  {"options", "WITH in CREATE INDEX"},
                  {"tableSpace", "TABLESPACE in CREATE INDEX"}};
    if (tree_bool(fields, "unique"))
        return convert_unsupported(c, position, "CREATE UNIQUE INDEX");
    for (size_t index = 0; index < array_count(extras); index++)
        if (tree_get(fields, extras[index].key) != NULL)
            return convert_unsupported(c, position, "%s", extras[index].name);
    return OK;
}

static enum err check_method(struct converter *c, const struct json_value *fields, size_t written)
{
    if (written == c->text.size ||
        slice_equal_ignore_case(tree_text(fields, "accessMethod"), SLICE("bitmap")))
        return OK;
    enum err result =
        convert_unsupported(c, (int32_t)sql_position(c->text, written), "an index USING %.*s",
                            SLICE_ARGS(tree_text(fields, "accessMethod")));
    if (c->error != NULL)
        error_hint(c->error, "Write USING bitmap, the one method there is. Ranges of event time "
                             "and least and greatest values of each block need no index.");
    return result;
}

static enum err convert_element(struct converter *c, const struct json_value *fields,
                                int32_t position, struct command *command)
{
    static const struct {
        const char *key, *name;
    } extras[] = {{"expr", "an index over an expression"},
                  {"collation", "COLLATE in CREATE INDEX"},
                  {"opclass", "an operator class"}};
    for (size_t index = 0; index < array_count(extras); index++)
        if (tree_get(fields, extras[index].key) != NULL)
            return convert_unsupported(c, position, "%s", extras[index].name);
    if (!tree_text_is(fields, "ordering", "SORTBY_DEFAULT") ||
        !tree_text_is(fields, "nulls_ordering", "SORTBY_NULLS_DEFAULT"))
        return convert_unsupported(c, position, "the order of an index");
    command->index_column = arena_copy(c->arena, tree_text(fields, "name"));
    command->index_column_position = position;
    return OK;
}

enum err convert_create_index(struct converter *c, const struct json_value *fields,
                              struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_CREATE_INDEX;
    command->if_exists = tree_bool(fields, "if_not_exists");
    const struct json_value *relation = tree_get(fields, "relation");
    enum err result = convert_relation(c, relation, &command->table, &command->text_position);
    if (result == OK)
        result = refuse_extras(c, fields, command->text_position);
    struct index_text text = scan_text(c, tree_offset(c, relation));
    if (result == OK)
        result = check_method(c, fields, text.method);
    const struct json_value *elements = tree_get(fields, "indexParams");
    if (result == OK && tree_count(elements) != 1)
        result = convert_unsupported(c, command->text_position, "an index over several columns");
    if (result != OK)
        return result;
    command->index = arena_copy(c->arena, tree_text(fields, "idxname"));
    if (command->index.size > IDENTIFIER_SIZE_MAX)
        return convert_error(c, command->text_position, "42622",
                             "the name \"%.*s\" is longer than %d bytes",
                             SLICE_ARGS(command->index), IDENTIFIER_SIZE_MAX);
    return convert_element(c, tree_unwrap(elements->child).fields,
                           (int32_t)sql_position(c->text, text.element), command);
}
