/* Shapes: a dashboard's statements differ from one refresh to the next in their times only, and
 * what differs in literals only can run by one plan (plan/lift.c says which literals may differ).
 *
 *   SELECT … WHERE t >= '2026-05-01' AND n > 5      literals: '2026-05-01', 5
 *   ^^^^^^^^^^^^^^^^^^^^             ^^^^^^^^^      the rest, byte for byte, is the shape
 *
 * A comment (whose request it is, say) is a literal that means nothing.
 *
 * Two texts of one shape must be read by the parser in the same way up to their literals, so only
 * literals count that begin and end for the parser where they do for this lexer, whatever stands in
 * them: '…' with nothing of its own before it (U&'…') or behind it (a string on the next line goes
 * on with it), and digits with no letter, point or $ at either side. */
#include "query/sql/shape.h"

#include "query/sql/lexer.h"
#include "storage/base/hash.h"
#include "storage/base/number.h"

#include <string.h>

#define SHAPE_TEXT_MAX ((size_t)16 << 10)
#define SHAPE_LITERALS_MAX 128
#define SHAPE_LIST_MAX 32 /* of IN: a longer one is made a set once, with the plan */

/* --- text to shape --- */

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '.' || (unsigned char)c >= 0x80;
}

static bool is_plain_number(const struct lexer *lexer)
{
    struct slice token = lexer->token;
    size_t points = 0;
    for (size_t i = 0; i < token.size; i++)
        points += token.data[i] == '.';
    size_t begin = lexer->token_offset, end = lexer->offset;
    return points <= 1 && token.data[0] != '.' && token.data[token.size - 1] != '.' &&
           (begin == 0 || !is_word_byte(lexer->text.data[begin - 1])) &&
           (end == lexer->text.size || !is_word_byte(lexer->text.data[end]));
}

static bool is_plain_string(const struct lexer *lexer)
{
    struct slice token = lexer->token;
    size_t begin = lexer->token_offset;
    return token.size >= 2 && token.data[0] == '\'' && token.data[token.size - 1] == '\'' &&
           (begin == 0 || lexer->text.data[begin - 1] != '&');
}

/* As build_number() types it. */
static uint8_t number_type(struct slice digits)
{
    int64_t value;
    if (memchr(digits.data, '.', digits.size) != NULL ||
        int_parse(digits, INT64_MIN, INT64_MAX, "bigint", &value, NULL) != OK)
        return TYPE_NUMERIC;
    return value <= INT32_MAX ? TYPE_INT4 : TYPE_INT8;
}

static bool is_query(struct slice text)
{
    struct lexer lexer = {.text = text};
    enum lexer_token token = lexer_next(&lexer);
    return lexer_is_word(&lexer, token, "select") || lexer_is_word(&lexer, token, "with");
}

static struct literal *add(struct text_shape *out, struct slice text, size_t begin, size_t end)
{
    size_t counted = 0;
    int64_t before = 0;
    if (out->count > 0) {
        const struct literal *last = &out->literals[out->count - 1];
        counted = last->offset;
        before = last->position - 1;
    }
    struct slice gap = slice_of(text.data + counted, begin - counted);
    struct literal *literal = &out->literals[out->count++];
    *literal = (struct literal){
        .offset = (uint32_t)begin,
        .size = (uint32_t)(end - begin),
        .position = (int32_t)(before + (int64_t)utf8_count(gap)) + 1,
        .characters = (int32_t)utf8_count(slice_of(text.data + begin, end - begin)),
        .type = TYPE_UNKNOWN,
    };
    return literal;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* To the parser of PostgreSQL 15 \v is none, but within a comment or a string. */
static bool has_odd_blank(struct slice text)
{
    return memchr(text.data, '\v', text.size) != NULL;
}

/* Does a comment that runs to the end of the text end there for the parser too? */
static bool is_closed(struct slice text, size_t begin)
{
    for (size_t at = begin, depth = 0; at < text.size; at++) {
        bool has_next = at + 1 < text.size;
        bool is_open = has_next && text.data[at] == '/' && text.data[at + 1] == '*';
        bool is_close = has_next && text.data[at] == '*' && text.data[at + 1] == '/';
        bool is_line = has_next && text.data[at] == '-' && text.data[at + 1] == '-';
        if (depth == 0 && is_line)
            while (at + 1 < text.size && text.data[at + 1] != '\n' && text.data[at + 1] != '\r')
                at++;
        depth += is_open;
        depth -= depth > 0 && is_close;
        at += is_open || is_close;
        if (at + 1 >= text.size)
            return depth == 0;
    }
    return true;
}

/* All comments between two tokens are one; blanks before and behind are the shape's, the line's end
 * that closes a comment among them. */
static void add_comment(struct text_shape *out, struct slice text, size_t begin, size_t end)
{
    while (begin < end && is_blank(text.data[begin]))
        begin++;
    while (begin < end && is_blank(text.data[end - 1]))
        end--;
    if (begin < end && out->count < SHAPE_LITERALS_MAX)
        add(out, text, begin, end)->is_comment = true;
}

static struct slice gap_before(const struct text_shape *shape, size_t index)
{
    size_t begin = 0, end = shape->text.size;
    if (index > 0)
        begin = shape->literals[index - 1].offset + shape->literals[index - 1].size;
    if (index < shape->count)
        end = shape->literals[index].offset;
    return slice_of(shape->text.data + begin, end - begin);
}

static uint64_t shape_hash(const struct text_shape *shape)
{
    uint64_t hash = shape->count;
    for (size_t i = 0; i <= shape->count; i++) {
        struct slice gap = gap_before(shape, i);
        hash = hash64_seed(gap.data, gap.size, hash);
    }
    return hash;
}

void shape_make(struct slice text, struct arena *arena, struct text_shape *out)
{
    struct lexer lexer = {.text = text};
    bool was_string = false;
    size_t end = 0; /* of the token before */
    *out = (struct text_shape){.text = text};
    if (text.size > SHAPE_TEXT_MAX || !is_query(text) || has_odd_blank(text))
        return;
    out->literals = arena_alloc_array(arena, SHAPE_LITERALS_MAX, sizeof(*out->literals));
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        bool is_string = token == LEXER_STRING;
        add_comment(out, text, end, lexer.token_offset);
        end = lexer.offset;
        bool is_literal = is_string               ? is_plain_string(&lexer)
                          : token == LEXER_NUMBER ? is_plain_number(&lexer)
                                                  : false;
        if ((is_string && was_string) || (is_literal && out->count == SHAPE_LITERALS_MAX)) {
            out->count = 0;
            return;
        }
        was_string = is_string;
        if (is_literal) {
            struct literal *literal = add(out, text, lexer.token_offset, lexer.offset);
            literal->is_string = is_string;
            literal->type = is_string ? TYPE_UNKNOWN : number_type(lexer.token);
        }
    }
    if (!is_closed(text, end)) {
        out->count = 0;
        return;
    }
    add_comment(out, text, end, text.size);
    out->hash = shape_hash(out);
}

bool shape_equal(const struct text_shape *a, const struct text_shape *b)
{
    if (a->count != b->count || a->hash != b->hash)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->literals[i].is_string != b->literals[i].is_string ||
            a->literals[i].is_comment != b->literals[i].is_comment)
            return false;
    for (size_t i = 0; i <= a->count; i++)
        if (!slice_equal(gap_before(a, i), gap_before(b, i)))
            return false;
    return true;
}

struct slice shape_literal(const struct text_shape *shape, size_t index)
{
    const struct literal *literal = &shape->literals[index];
    return slice_of(shape->text.data + literal->offset, literal->size);
}

struct slice shape_unquote(struct slice literal, struct arena *arena)
{
    struct slice inner = slice_of(literal.data + 1, literal.size - 2);
    if (inner.size == 0 || memchr(inner.data, '\'', inner.size) == NULL)
        return inner;
    char *out = arena_alloc(arena, inner.size);
    size_t size = 0;
    for (size_t i = 0; i < inner.size; i++) {
        out[size++] = inner.data[i];
        i += inner.data[i] == '\''; /* the second of two */
    }
    return slice_of(out, size);
}

int64_t shape_place(const struct text_shape *from, const struct text_shape *to, int64_t position)
{
    int64_t moved = position;
    for (size_t i = 0; i < from->count && position > from->literals[i].position; i++)
        moved += to->literals[i].characters - from->literals[i].characters;
    return moved;
}

/* --- what may be a value --- */

struct marker {
    const struct text_shape *shape;
    struct arena *arena;
};

/* The text's literal that the node is, if it says just what the node does. */
static void mark_literal(const struct marker *m, struct ast_node *node)
{
    bool is_string = node->kind == AST_STRING;
    for (size_t i = 0; i < m->shape->count; i++) {
        const struct literal *literal = &m->shape->literals[i];
        if (literal->position != node->position || literal->is_string != is_string)
            continue;
        struct slice text = shape_literal(m->shape, i);
        if (slice_equal(is_string ? shape_unquote(text, m->arena) : text, node->text))
            node->literal = (uint32_t)i + 1;
        return;
    }
}

static bool is_one_of(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(name, slice_from_cstr(names[i])))
            return true;
    return false;
}

/* A literal, or what casts and sums make of some. */
static void mark_operand(const struct marker *m, struct ast_node *node)
{
    static const char *const sums[] = {"+", "-", "*", "/"};
    static const char *const calls[] = {"to_timestamp"};
    bool is_passed = false;
    if (node->kind == AST_STRING || node->kind == AST_NUMBER)
        mark_literal(m, node);
    else if (node->kind == AST_CAST)
        is_passed = node->text.size == 0 && !type_is_array((enum type_id)node->type.id);
    else if (node->kind == AST_OPERATOR)
        is_passed = node->count == 2 && is_one_of(node->text, sums, array_count(sums));
    else if (node->kind == AST_CALL)
        is_passed = node->count == 1 && is_one_of(node->text, calls, array_count(calls));
    for (uint32_t i = 0; is_passed && i < node->count; i++)
        mark_operand(m, node->arguments[i]);
}

static void mark_tests(const struct marker *m, struct ast_node *node)
{
    static const char *const comparisons[] = {"=", "<>", "!=", "<", "<=", ">", ">="};
    switch (node->kind) {
    case AST_AND:
    case AST_OR:
    case AST_NOT:
        for (uint32_t i = 0; i < node->count; i++)
            mark_tests(m, node->arguments[i]);
        return;
    case AST_OPERATOR:
        if (node->count != 2 || !is_one_of(node->text, comparisons, array_count(comparisons)))
            return;
        break;
    case AST_BETWEEN:
        break;
    case AST_IN:
        if (node->count > SHAPE_LIST_MAX + 1)
            return;
        break;
    default:
        return;
    }
    for (uint32_t i = 0; i < node->count; i++)
        mark_operand(m, node->arguments[i]);
}

void shape_mark(const struct text_shape *shape, struct ast_node *where, struct arena *arena)
{
    mark_tests(&(struct marker){.shape = shape, .arena = arena}, where);
}

void shape_mark_values(const struct text_shape *shape, const struct ast_node *call,
                       struct arena *arena)
{
    for (uint32_t i = 0; i < call->count; i++)
        mark_operand(&(struct marker){.shape = shape, .arena = arena}, call->arguments[i]);
}

void shape_mark_limit(const struct text_shape *shape, struct ast_node *node, struct arena *arena)
{
    if (node != NULL && node->kind == AST_NUMBER)
        mark_literal(&(struct marker){.shape = shape, .arena = arena}, node);
}
