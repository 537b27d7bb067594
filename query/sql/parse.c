/* The one file that knows libpg_query.
 *
 *   text ─prescan─▶ pg_query_parse ─JSON─▶ json_value tree ─convert─▶ struct ast_statement
 *
 * The JSON form is used because the protobuf form costs several times as much. Its errors
 * come with a 1-based character, which is what callers see; its trees with a 0-based byte (tree.c).
 *
 * Depth: the parser's own stack ends at 10,000 symbols ("memory exhausted", 54001 here), but
 * left-deep trees (1+1+…) come out as deep as the text is long, so its JSON is read without
 * recursion and refused past JSON_DEPTH_MAX; the converter then holds the tree to SQL_DEPTH_MAX.
 * Measured: 131,000 terms of 1+1 parse on a 16 MiB stack in 0.26 s. */
#include "query/sql/parse.h"

#include "query/sql/convert.h"
#include "query/sql/lexer.h"
#include "query/sql/sql.h"
#include "storage/base/number.h"

#include <assert.h>
#include <pg_query.h>

/* One level of SQL is at most eight of JSON (a sub-select in a target list). */
#define JSON_DEPTH_MAX (8 * SQL_DEPTH_MAX + 64)

/* --- the JSON as a tree --- */

struct tree_builder {
    struct arena *arena;
    struct json_value *open[JSON_DEPTH_MAX + 1]; /* objects and arrays not closed yet */
    struct json_value *last[JSON_DEPTH_MAX + 1]; /* their newest child */
    size_t depth;
    struct json_value *root;
    struct slice key;
};

static struct json_value *tree_add(struct tree_builder *builder, enum json_token kind)
{
    struct json_value *value = arena_alloc_zero(builder->arena, sizeof(*value));
    value->kind = kind;
    value->key = builder->key;
    builder->key = (struct slice){0};
    if (builder->depth == 0) {
        builder->root = value;
        return value;
    }
    struct json_value *parent = builder->open[builder->depth - 1];
    struct json_value *before = builder->last[builder->depth - 1];
    if (before == NULL)
        parent->child = value;
    else
        before->next = value;
    builder->last[builder->depth - 1] = value;
    parent->count++;
    return value;
}

/* ERR_LIMIT when it is deeper than JSON_DEPTH_MAX. */
static enum err tree_build(struct slice json, struct arena *arena, struct json_value **out)
{
    struct json_parser parser;
    uint8_t stack[JSON_DEPTH_MAX / 8 + 1];
    json_parser_init_deep(&parser, json, stack, JSON_DEPTH_MAX);
    struct tree_builder *builder = memory_alloc_zero(sizeof(*builder));
    builder->arena = arena;
    enum err result = OK;
    for (enum json_token token; result == OK && (token = json_next(&parser)) != JSON_END;) {
        switch (token) {
        case JSON_ERROR:
            result = parser.depth >= JSON_DEPTH_MAX ? ERR_LIMIT : ERR_CORRUPT;
            break;
        case JSON_OBJECT_BEGIN:
        case JSON_ARRAY_BEGIN:
            builder->open[builder->depth] = tree_add(builder, token);
            builder->last[builder->depth++] = NULL;
            break;
        case JSON_OBJECT_END:
        case JSON_ARRAY_END:
            builder->depth--;
            break;
        case JSON_KEY:
            builder->key = parser.text;
            break;
        case JSON_STRING: {
            struct json_value *value = tree_add(builder, token);
            if (!json_unescape(parser.text, arena, &value->text))
                result = ERR_CORRUPT;
            break;
        }
        default:
            tree_add(builder, token)->text = parser.text;
        }
    }
    *out = builder->root;
    memory_free(builder);
    return result;
}

/* --- errors --- */

static enum err parse_error(const PgQueryError *pg, struct slice text, struct error *error)
{
    const char *message = pg->message == NULL ? "syntax error" : pg->message;
    if (strstr(message, "memory exhausted") != NULL ||
        strstr(message, "stack depth limit") != NULL) {
        error_set(error, ERR_LIMIT, "54001", "the statement is nested more than %d levels deep",
                  SQL_DEPTH_MAX);
        if (error != NULL)
            error->text_position = pg->cursorpos;
        return ERR_LIMIT;
    }
    const char *sqlstate = "42601";
    bool is_limit =
        strstr(message, "LIMIT #,#") != NULL; /* a syntax error for PostgreSQL, whatever it says */
    if (is_limit)
        message = "syntax error: LIMIT a, b";
    else if (strstr(message, "is not supported") != NULL ||
             strstr(message, "not yet implemented") != NULL ||
             strstr(message, "not implemented") != NULL)
        sqlstate = "0A000";
    else if (strncmp(message, "frame ", 6) == 0) /* a frame that ends before it starts */
        sqlstate = "42P20";
    else if (strstr(message, "out of range") != NULL || strstr(message, "is too big") != NULL)
        sqlstate = "22003";
    else if (strstr(message, "Unicode") != NULL || strstr(message, "byte sequence") != NULL)
        sqlstate = "22021";
    error_set(error, ERR_INPUT, sqlstate, "%s", message);
    if (error != NULL) {
        error->text_position = pg->cursorpos > 0 ? pg->cursorpos : 0;
        hint_syntax(text, error);
        if (is_limit)
            error_hint(error, "LIMIT a, b is written LIMIT b OFFSET a");
    }
    return ERR_INPUT;
}

static enum err convert_result(struct converter *c, struct slice json, struct ast_statement *out)
{
    struct arena scratch;
    arena_init(&scratch);
    struct json_value *root = NULL;
    enum err result = tree_build(json, &scratch, &root);
    if (result == ERR_LIMIT) {
        error_set(c->error, ERR_LIMIT, "54001", "the statement is nested more than %d levels deep",
                  SQL_DEPTH_MAX);
    } else if (result != OK || root == NULL) {
        result = error_set(c->error, ERR_CORRUPT, "XX000", "the parser's tree cannot be read");
    } else {
        const struct json_value *statements = json_get(root, "stmts");
        size_t count = statements == NULL ? 0 : statements->count;
        if (count == 0)
            result = error_set(c->error, ERR_INPUT, "42601", "the text holds no statement");
        else if (count > 1)
            result =
                convert_error(c, 0, "42601", "cannot insert multiple commands into one request");
        else
            result = convert_statement(c, json_get(statements->child, "stmt"), out);
        if (count > 1 && c->error != NULL)
            error_hint(c->error, "send one statement a request");
    }
    arena_deinit(&scratch);
    return result;
}

enum err sql_parse(struct slice text, struct arena *arena, struct ast_statement *out,
                   struct error *error)
{
    enum err result = sql_prescan(text, error);
    if (result != OK)
        return result;
    char *copy = arena_copy_cstr(arena, text);
    struct converter converter = {
        .arena = arena, .text = slice_of(copy, text.size), .error = error};
    char *blanked = arena_copy_cstr(arena, text);
    sql_blank_comments(text, blanked);
    PgQueryParseResult parsed = pg_query_parse(blanked);
    if (parsed.error != NULL) {
        result = parse_error(parsed.error, converter.text, error);
    } else {
        tree_count_characters(&converter);
        result = convert_result(&converter, slice_from_cstr(parsed.parse_tree), out);
    }
    pg_query_free_parse_result(parsed);
    return result;
}

/* --- several statements --- */

/* Is there anything behind the first semicolon? *has_any: anything at all. */
static bool has_several(struct slice text, bool *has_any)
{
    struct lexer lexer = {.text = text};
    bool has_ended = false;
    *has_any = false;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        bool is_semicolon = token == LEXER_SYMBOL && lexer.token.data[0] == ';';
        if (!is_semicolon && has_ended)
            return true;
        *has_any = *has_any || !is_semicolon;
        has_ended = is_semicolon && *has_any;
    }
    return false;
}

static enum err split_by_grammar(struct slice text, struct arena *arena, struct sql_piece **out,
                                 size_t *count, struct error *error)
{
    char *blanked = arena_copy_cstr(arena, text);
    sql_blank_comments(text, blanked);
    PgQuerySplitResult split = pg_query_split_with_parser(blanked);
    enum err result = OK;
    if (split.error != NULL) {
        result = parse_error(split.error, text, error);
    } else {
        *count = (size_t)split.n_stmts;
        *out = arena_alloc_array(arena, *count, sizeof(**out));
        for (size_t i = 0; i < *count; i++)
            (*out)[i] = (struct sql_piece){
                .offset = (size_t)split.stmts[i]->stmt_location,
                .text = slice_of(text.data + split.stmts[i]->stmt_location,
                                 (size_t)split.stmts[i]->stmt_len),
            };
    }
    pg_query_free_split_result(split);
    return result;
}

enum err sql_split(struct slice text, struct arena *arena, struct sql_piece **out, size_t *count,
                   struct error *error)
{
    bool has_any;
    enum err result = sql_prescan(text, error);
    *count = 0;
    if (result != OK)
        return result;
    if (has_several(text, &has_any))
        return split_by_grammar(text, arena, out, count, error);
    *out = arena_alloc(arena, sizeof(**out));
    **out = (struct sql_piece){.text = text};
    *count = has_any ? 1 : 0;
    return OK;
}
