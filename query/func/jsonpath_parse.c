/* SQL/JSON paths: text to a tree by recursive descent, and a tree to text.
 *
 *   path       [lax | strict] or
 *   or         and {|| and}             and        not {&& not}
 *   not        ! delimited | test
 *   test       sum [comparison sum | starts with … | like_regex "…" [flag "…"]]
 *   sum        product {+ - product}    product    sign {* / % sign}
 *   sign       + - sign | primary {step}
 *   primary    literal | $name | $ | @ | last | ( or ) [is unknown] | exists ( sum )
 *   step       .key .* .method() [*] [a, b to c] .**{a to b} ?( predicate )
 *
 * Predicates and values are one grammar here and are told apart by their nodes: a predicate is an
 * operand only of logic, and in parentheses with a step behind it a value. Levels of nesting are
 * counted; a chain of steps is a list, so a long path is not a deep one. */
#include "query/func/jsonpath.h"

#include "query/func/jsonpath_lex.h"
#include "storage/base/json.h"

#include <stdlib.h>
#include <string.h>

struct parser {
    struct jsonpath_lexer lexer;
    struct arena *arena;
    struct error *error;
    struct jsonpath *path;
    unsigned depth, filters, subscripts;
};

static enum err parse_or(struct parser *p, struct jsonpath_node **out);
static enum err parse_sum(struct parser *p, struct jsonpath_node **out);

static enum err syntax_error(struct parser *p)
{
    const struct jsonpath_lexer *lexer = &p->lexer;
    if (lexer->token == JSONPATH_TOKEN_END)
        return error_set(p->error, ERR_INPUT, "42601", "syntax error at end of jsonpath input");
    const char *what = lexer->token == JSONPATH_TOKEN_BAD ? lexer->failure : "syntax error";
    struct slice rest =
        slice_of(lexer->text.data + lexer->token_at, lexer->text.size - lexer->token_at);
    if (lexer->token != JSONPATH_TOKEN_BAD)
        rest.size = lexer->at - lexer->token_at;
    const char *sqlstate = lexer->token == JSONPATH_TOKEN_BAD ? lexer->sqlstate : "42601";
    return error_set(p->error, ERR_INPUT, sqlstate, "%s at or near \"%.*s\" of jsonpath input",
                     what, SLICE_ARGS(rest));
}

static bool take(struct parser *p, int token)
{
    if ((int)p->lexer.token != token)
        return false;
    jsonpath_next(&p->lexer);
    return true;
}

static enum err expect(struct parser *p, int token)
{
    return take(p, token) ? OK : syntax_error(p);
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->lexer.token == JSONPATH_TOKEN_WORD &&
           slice_equal_ignore_case(p->lexer.value, slice_from_cstr(word));
}

static bool take_word(struct parser *p, const char *word)
{
    if (!is_word(p, word))
        return false;
    jsonpath_next(&p->lexer);
    return true;
}

static enum err enter(struct parser *p)
{
    return ++p->depth <= JSONPATH_DEPTH_MAX
               ? OK
               : error_set(p->error, ERR_LIMIT, "54001", "jsonpath nests deeper than %d levels",
                           JSONPATH_DEPTH_MAX);
}

static struct jsonpath_node *make(struct parser *p, enum jsonpath_kind kind,
                                  struct jsonpath_node *left, struct jsonpath_node *right)
{
    struct jsonpath_node *node = arena_alloc_zero(p->arena, sizeof(*node));
    node->kind = kind;
    node->left = left;
    node->right = right;
    return node;
}

static enum err want_value(struct parser *p, const struct jsonpath_node *node)
{
    return jsonpath_is_predicate(node) ? syntax_error(p) : OK;
}

static enum err want_predicate(struct parser *p, const struct jsonpath_node *node)
{
    return jsonpath_is_predicate(node) ? OK : syntax_error(p);
}

/* --- steps --- */

static const char *const methods[] = {"type",  "size", "double",  "ceiling",
                                      "floor", "abs",  "keyvalue"};

const char *jsonpath_method_name(enum jsonpath_method method)
{
    return methods[method];
}

static enum err parse_level(struct parser *p, int32_t *out)
{
    *out = JSONPATH_LEVEL_LAST;
    if (take_word(p, "last"))
        return OK;
    if (p->lexer.token != JSONPATH_TOKEN_INTEGER || p->lexer.value.size > 9)
        return syntax_error(p);
    *out = 0;
    for (size_t i = 0; i < p->lexer.value.size; i++)
        *out = *out * 10 + (p->lexer.value.data[i] - '0');
    jsonpath_next(&p->lexer);
    return OK;
}

/* Behind .** */
static enum err parse_levels(struct parser *p, struct jsonpath_node *node)
{
    node->last = JSONPATH_LEVEL_LAST;
    if (!take(p, '{'))
        return OK;
    enum err err = parse_level(p, &node->first);
    node->last = node->first;
    if (err == OK && take_word(p, "to"))
        err = parse_level(p, &node->last);
    return err == OK ? expect(p, '}') : err;
}

static enum err parse_key(struct parser *p, struct jsonpath_node **out)
{
    struct jsonpath_node *node = make(p, JSONPATH_KEY, NULL, NULL);
    bool is_bare = p->lexer.token == JSONPATH_TOKEN_WORD;
    *out = node;
    if (take(p, '*')) {
        node->kind = JSONPATH_ANY_KEY;
        return OK;
    }
    if (take(p, JSONPATH_TOKEN_ANY)) {
        node->kind = JSONPATH_ANY_LEVEL;
        return parse_levels(p, node);
    }
    if (!is_bare && p->lexer.token != JSONPATH_TOKEN_STRING)
        return syntax_error(p);
    node->text = p->lexer.value;
    jsonpath_next(&p->lexer);
    if (!is_bare || p->lexer.token != '(')
        return OK;
    if (slice_equal_ignore_case(node->text, SLICE("datetime")))
        return error_set(p->error, ERR_UNSUPPORTED, "0A000",
                         "jsonpath item method .datetime() is not supported");
    for (size_t i = 0; i < array_count(methods); i++) {
        if (!slice_equal_ignore_case(node->text, slice_from_cstr(methods[i])))
            continue;
        node->kind = JSONPATH_METHOD;
        node->method = (enum jsonpath_method)i;
        jsonpath_next(&p->lexer);
        return expect(p, ')');
    }
    return syntax_error(p);
}

static enum err parse_range(struct parser *p, struct jsonpath_node **out)
{
    struct jsonpath_node *node = make(p, JSONPATH_RANGE, NULL, NULL);
    *out = node;
    enum err err = parse_sum(p, &node->left);
    if (err == OK)
        err = want_value(p, node->left);
    if (err == OK && take_word(p, "to")) {
        err = parse_sum(p, &node->right);
        if (err == OK)
            err = want_value(p, node->right);
    }
    return err;
}

static enum err parse_subscript(struct parser *p, struct jsonpath_node **out)
{
    if (take(p, '*')) {
        *out = make(p, JSONPATH_ANY_ELEMENT, NULL, NULL);
        return expect(p, ']');
    }
    *out = make(p, JSONPATH_SUBSCRIPT, NULL, NULL);
    struct jsonpath_node **place = &(*out)->left;
    enum err err;
    p->subscripts++;
    do {
        err = parse_range(p, place);
        place = &(*place)->next;
    } while (err == OK && take(p, ','));
    p->subscripts--;
    return err == OK ? expect(p, ']') : err;
}

static enum err parse_filter(struct parser *p, struct jsonpath_node **out)
{
    *out = make(p, JSONPATH_FILTER, NULL, NULL);
    enum err err = expect(p, '(');
    p->filters++;
    if (err == OK)
        err = parse_or(p, &(*out)->left);
    p->filters--;
    if (err == OK)
        err = want_predicate(p, (*out)->left);
    return err == OK ? expect(p, ')') : err;
}

static enum err parse_steps(struct parser *p, struct jsonpath_node *node)
{
    enum err err = OK;
    while (node->next != NULL)
        node = node->next;
    for (; err == OK; node = node->next) {
        if (take(p, '.'))
            err = parse_key(p, &node->next);
        else if (take(p, '['))
            err = parse_subscript(p, &node->next);
        else if (take(p, '?'))
            err = parse_filter(p, &node->next);
        else
            break;
    }
    return err;
}

/* --- values --- */

static enum err parse_number(struct parser *p, struct jsonpath_node **out)
{
    struct numeric number;
    struct writer writer;
    *out = make(p, JSONPATH_NUMBER, NULL, NULL);
    enum err err = numeric_parse(p->lexer.value, &number, p->error);
    if (err != OK)
        return err;
    writer_init(&writer);
    numeric_print(number, &writer);
    (*out)->text = arena_copy(p->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    jsonpath_next(&p->lexer);
    return OK;
}

static enum err parse_exists(struct parser *p, struct jsonpath_node **out)
{
    *out = make(p, JSONPATH_EXISTS, NULL, NULL);
    jsonpath_next(&p->lexer);
    enum err err = expect(p, '(');
    if (err == OK)
        err = parse_or(p, &(*out)->left);
    if (err == OK)
        err = want_value(p, (*out)->left);
    return err == OK ? expect(p, ')') : err;
}

static enum err parse_parentheses(struct parser *p, struct jsonpath_node **out)
{
    jsonpath_next(&p->lexer);
    enum err err = enter(p);
    if (err == OK)
        err = parse_or(p, out);
    if (err == OK)
        err = expect(p, ')');
    p->depth--;
    if (err != OK || !jsonpath_is_predicate(*out) || !take_word(p, "is"))
        return err;
    *out = make(p, JSONPATH_IS_UNKNOWN, *out, NULL);
    return take_word(p, "unknown") ? OK : syntax_error(p);
}

/* null, true and false are written small; nothing else is a word here but last. */
static enum err parse_literal(struct parser *p, struct jsonpath_node **out)
{
    static const struct {
        const char *word;
        enum jsonpath_kind kind;
    } words[] = {{"null", JSONPATH_NULL}, {"true", JSONPATH_TRUE}, {"false", JSONPATH_FALSE}};
    for (size_t i = 0; i < array_count(words); i++) {
        if (!slice_equal(p->lexer.value, slice_from_cstr(words[i].word)))
            continue;
        *out = make(p, words[i].kind, NULL, NULL);
        jsonpath_next(&p->lexer);
        return OK;
    }
    if (!is_word(p, "last"))
        return syntax_error(p);
    *out = make(p, JSONPATH_LAST, NULL, NULL);
    if (p->subscripts == 0)
        return error_set(p->error, ERR_INPUT, "42601", "LAST is allowed only in array subscripts");
    jsonpath_next(&p->lexer);
    return OK;
}

static enum err parse_primary(struct parser *p, struct jsonpath_node **out)
{
    enum jsonpath_token token = p->lexer.token;
    switch ((int)token) {
    case JSONPATH_TOKEN_STRING:
    case JSONPATH_TOKEN_VARIABLE:
        *out = make(p, token == JSONPATH_TOKEN_STRING ? JSONPATH_STRING : JSONPATH_VARIABLE, NULL,
                    NULL);
        (*out)->text = p->lexer.value;
        jsonpath_next(&p->lexer);
        return OK;
    case JSONPATH_TOKEN_INTEGER:
    case JSONPATH_TOKEN_NUMBER:
        return parse_number(p, out);
    case '$':
        *out = make(p, JSONPATH_ROOT, NULL, NULL);
        jsonpath_next(&p->lexer);
        return OK;
    case '@':
        *out = make(p, JSONPATH_CURRENT, NULL, NULL);
        jsonpath_next(&p->lexer);
        return p->filters > 0 ? OK
                              : error_set(p->error, ERR_INPUT, "42601",
                                          "@ is not allowed in root expressions");
    case '(':
        return parse_parentheses(p, out);
    case JSONPATH_TOKEN_WORD:
        return is_word(p, "exists") ? parse_exists(p, out) : parse_literal(p, out);
    default:
        return syntax_error(p);
    }
}

/* A step makes a value of a predicate in parentheses. */
static enum err parse_chain(struct parser *p, struct jsonpath_node **out)
{
    bool is_closed = p->lexer.token == '(';
    enum err err = parse_primary(p, out);
    if (err == OK && (is_closed || !jsonpath_is_predicate(*out)))
        err = parse_steps(p, *out);
    return err;
}

/* A sign before a number is part of it. */
static enum err parse_sign(struct parser *p, struct jsonpath_node **out)
{
    int sign = (int)p->lexer.token;
    if (sign != '+' && sign != '-')
        return parse_chain(p, out);
    jsonpath_next(&p->lexer);
    enum err err = enter(p);
    struct jsonpath_node *operand = NULL;
    if (err == OK)
        err = parse_sign(p, &operand);
    p->depth--;
    if (err == OK)
        err = want_value(p, operand);
    if (err != OK)
        return err;
    *out = operand;
    if (operand->kind != JSONPATH_NUMBER || operand->next != NULL)
        *out = make(p, sign == '+' ? JSONPATH_PLUS : JSONPATH_MINUS, operand, NULL);
    else if (sign == '-' && operand->text.data[0] == '-')
        operand->text = slice_of(operand->text.data + 1, operand->text.size - 1);
    else if (sign == '-' && !slice_equal(operand->text, SLICE("0")))
        operand->text = slice_from_cstr(arena_printf(p->arena, "-%.*s", SLICE_ARGS(operand->text)));
    return OK;
}

/* Joins left operands as they come: a - b - c is (a - b) - c, as deep as there are operators. */
static enum err join(struct parser *p, enum jsonpath_kind kind, struct jsonpath_node **left,
                     enum err (*parse)(struct parser *, struct jsonpath_node **))
{
    struct jsonpath_node *right = NULL;
    jsonpath_next(&p->lexer);
    enum err err = want_value(p, *left);
    if (err == OK)
        err = enter(p);
    if (err == OK)
        err = parse(p, &right);
    if (err == OK)
        err = want_value(p, right);
    if (err == OK)
        *left = make(p, kind, *left, right);
    return err;
}

static enum err parse_product(struct parser *p, struct jsonpath_node **out)
{
    unsigned depth = p->depth;
    enum err err = parse_sign(p, out);
    while (err == OK) {
        int sign = (int)p->lexer.token;
        if (sign != '*' && sign != '/' && sign != '%')
            break;
        err = join(p,
                   sign == '*'   ? JSONPATH_TIMES
                   : sign == '/' ? JSONPATH_DIVIDE
                                 : JSONPATH_MODULO,
                   out, parse_sign);
    }
    p->depth = depth;
    return err;
}

static enum err parse_sum(struct parser *p, struct jsonpath_node **out)
{
    unsigned depth = p->depth;
    enum err err = enter(p);
    if (err == OK)
        err = parse_product(p, out);
    while (err == OK && (p->lexer.token == '+' || p->lexer.token == '-'))
        err = join(p, p->lexer.token == '+' ? JSONPATH_PLUS : JSONPATH_MINUS, out, parse_product);
    p->depth = depth;
    return err;
}

/* --- predicates --- */

static enum err parse_starts_with(struct parser *p, struct jsonpath_node **out)
{
    struct jsonpath_node *prefix = NULL;
    if (!take_word(p, "starts") || !take_word(p, "with") ||
        (p->lexer.token != JSONPATH_TOKEN_STRING && p->lexer.token != JSONPATH_TOKEN_VARIABLE))
        return syntax_error(p);
    enum err err = parse_primary(p, &prefix);
    if (err == OK)
        *out = make(p, JSONPATH_STARTS_WITH, *out, prefix);
    return err;
}

/* XQuery's letters as PostgreSQL takes them: without s no newline for a point, with m lines for
 * ^ and $, q for no signs at all. */
static enum err read_flags(struct parser *p, struct jsonpath_node *node, struct slice flags)
{
    static const char letters[] = "ismxq";
    bool has[5] = {false};
    for (size_t i = 0; i < flags.size; i++) {
        const char *letter = flags.data[i] == '\0' ? NULL : strchr(letters, flags.data[i]);
        if (letter == NULL)
            return error_set(p->error, ERR_INPUT, "42601",
                             "invalid input syntax for type %s: unrecognized flag character "
                             "\"%c\" in LIKE_REGEX predicate",
                             "jsonpath", flags.data[i]);
        has[letter - letters] = true;
    }
    if (has[3] && !has[4])
        return error_set(p->error, ERR_UNSUPPORTED, "0A000",
                         "XQuery \"x\" flag (expanded regular expressions) is not implemented");
    node->flags = arena_printf(p->arena, "%s%s", has[0] ? "i" : "",
                               has[4]             ? "q"
                               : has[1] && has[2] ? "w"
                               : has[1]           ? "s"
                               : has[2]           ? "n"
                                                  : "p");
    char *written = arena_alloc(p->arena, sizeof(letters));
    size_t count = 0;
    for (size_t i = 0; i < array_count(has); i++)
        if (has[i])
            written[count++] = letters[i];
    node->written_flags = slice_of(written, count);
    return OK;
}

static enum err parse_like_regex(struct parser *p, struct jsonpath_node **out)
{
    struct slice flags = {0};
    jsonpath_next(&p->lexer);
    if (p->lexer.token != JSONPATH_TOKEN_STRING)
        return syntax_error(p);
    struct jsonpath_node *node = make(p, JSONPATH_LIKE_REGEX, *out, NULL);
    node->text = p->lexer.value;
    jsonpath_next(&p->lexer);
    if (take_word(p, "flag")) {
        if (p->lexer.token != JSONPATH_TOKEN_STRING)
            return syntax_error(p);
        flags = p->lexer.value;
        jsonpath_next(&p->lexer);
    }
    node->right = p->path->patterns;
    p->path->patterns = node;
    *out = node;
    return read_flags(p, node, flags);
}

static enum err parse_test(struct parser *p, struct jsonpath_node **out)
{
    static const struct {
        int token;
        enum jsonpath_kind kind;
    } comparisons[] = {
        {JSONPATH_TOKEN_EQUAL, JSONPATH_EQUAL},
        {JSONPATH_TOKEN_NOT_EQUAL, JSONPATH_NOT_EQUAL},
        {'<', JSONPATH_LESS},
        {'>', JSONPATH_GREATER},
        {JSONPATH_TOKEN_LESS_EQUAL, JSONPATH_LESS_EQUAL},
        {JSONPATH_TOKEN_GREATER_EQUAL, JSONPATH_GREATER_EQUAL},
    };
    enum err err = parse_sum(p, out);
    if (err != OK)
        return err;
    if (is_word(p, "starts") || is_word(p, "like_regex")) {
        err = want_value(p, *out);
        if (err != OK)
            return err;
        return is_word(p, "starts") ? parse_starts_with(p, out) : parse_like_regex(p, out);
    }
    for (size_t i = 0; i < array_count(comparisons); i++) {
        if ((int)p->lexer.token != comparisons[i].token)
            continue;
        unsigned depth = p->depth;
        err = join(p, comparisons[i].kind, out, parse_sum);
        p->depth = depth;
        return err;
    }
    return OK;
}

static enum err parse_not(struct parser *p, struct jsonpath_node **out)
{
    if (!take(p, '!'))
        return parse_test(p, out);
    *out = make(p, JSONPATH_NOT, NULL, NULL);
    enum err err = p->lexer.token == '(' || is_word(p, "exists") ? parse_primary(p, &(*out)->left)
                                                                 : syntax_error(p);
    return err == OK ? want_predicate(p, (*out)->left) : err;
}

static enum err parse_logic(struct parser *p, enum jsonpath_kind kind, struct jsonpath_node **out)
{
    unsigned depth = p->depth;
    int token = kind == JSONPATH_OR ? JSONPATH_TOKEN_OR : JSONPATH_TOKEN_AND;
    enum err err = kind == JSONPATH_OR ? parse_logic(p, JSONPATH_AND, out) : parse_not(p, out);
    while (err == OK && take(p, token)) {
        struct jsonpath_node *right = NULL;
        err = want_predicate(p, *out);
        if (err == OK)
            err = enter(p);
        if (err == OK)
            err = kind == JSONPATH_OR ? parse_logic(p, JSONPATH_AND, &right) : parse_not(p, &right);
        if (err == OK)
            err = want_predicate(p, right);
        if (err == OK)
            *out = make(p, kind, *out, right);
    }
    p->depth = depth;
    return err;
}

static enum err parse_or(struct parser *p, struct jsonpath_node **out)
{
    unsigned depth = p->depth;
    enum err err = enter(p);
    if (err == OK)
        err = parse_logic(p, JSONPATH_OR, out);
    p->depth = depth;
    return err;
}

enum err jsonpath_parse(struct slice text, struct arena *arena, struct jsonpath *out,
                        struct error *error)
{
    struct parser p = {.arena = arena, .error = error, .path = out};
    *out = (struct jsonpath){0};
    jsonpath_lexer_init(&p.lexer, text, arena);
    out->is_strict = take_word(&p, "strict");
    if (!out->is_strict)
        take_word(&p, "lax");
    if (p.lexer.token == JSONPATH_TOKEN_END && text.size == 0)
        return error_set(error, ERR_INPUT, "22P02", "invalid input syntax for type %s: \"\"",
                         "jsonpath");
    enum err err = parse_or(&p, &out->root);
    return err == OK && p.lexer.token != JSONPATH_TOKEN_END ? syntax_error(&p) : err;
}
