/* The lexer knows PostgreSQL's quoting ('…' with '' inside, E'…' with backslashes, "…",
 * $tag$…$tag$), its comments (-- and nested slash-star) and nothing of its grammar. Brackets inside
 * quotes and comments do not nest, so a text of 100,000 opening parentheses is refused by one pass
 * over it, and a long string is not. */
#include "query/sql/lexer.h"

#include "query/sql/sql.h"

static bool is_word_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_part(unsigned char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static unsigned char at(const struct lexer *lexer, size_t offset)
{
    return offset < lexer->text.size ? (unsigned char)lexer->text.data[offset] : 0;
}

/* False if it does not end. */
static bool skip_comment(struct lexer *lexer)
{
    size_t depth = 1;
    lexer->offset += 2;
    while (lexer->offset < lexer->text.size && depth > 0) {
        if (at(lexer, lexer->offset) == '/' && at(lexer, lexer->offset + 1) == '*') {
            depth++;
            lexer->offset += 2;
        } else if (at(lexer, lexer->offset) == '*' && at(lexer, lexer->offset + 1) == '/') {
            depth--;
            lexer->offset += 2;
        } else {
            lexer->offset++;
        }
    }
    return depth == 0;
}

static void skip_blank(struct lexer *lexer)
{
    while (lexer->offset < lexer->text.size) {
        unsigned char c = at(lexer, lexer->offset);
        unsigned char next = at(lexer, lexer->offset + 1);
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            lexer->offset++;
        } else if (c == '-' && next == '-') {
            while (lexer->offset < lexer->text.size && at(lexer, lexer->offset) != '\n' &&
                   at(lexer, lexer->offset) != '\r')
                lexer->offset++;
        } else if (c == '/' && next == '*') {
            skip_comment(lexer);
        } else {
            return;
        }
    }
}

/* From the opening quote past the closing one. */
static void skip_quoted(struct lexer *lexer, char quote, bool has_backslash)
{
    lexer->offset++;
    while (lexer->offset < lexer->text.size) {
        unsigned char c = at(lexer, lexer->offset++);
        if (c == '\\' && has_backslash)
            lexer->offset++;
        else if (c == (unsigned char)quote && at(lexer, lexer->offset) == (unsigned char)quote)
            lexer->offset++;
        else if (c == (unsigned char)quote)
            break;
    }
    if (lexer->offset > lexer->text.size)
        lexer->offset = lexer->text.size;
}

/* At '$': a dollar quote, or false. */
static bool skip_dollar(struct lexer *lexer)
{
    size_t end = lexer->offset + 1;
    if (is_digit(at(lexer, end)))
        return false;
    while (is_word_part(at(lexer, end)) && at(lexer, end) != '$')
        end++;
    if (at(lexer, end) != '$')
        return false;
    size_t tag_size = end + 1 - lexer->offset;
    const char *tag = lexer->text.data + lexer->offset;
    const char *body = tag + tag_size;
    size_t left = lexer->text.size - lexer->offset - tag_size;
    const char *close = memmem(body, left, tag, tag_size);
    lexer->offset =
        close == NULL ? lexer->text.size : (size_t)(close - lexer->text.data) + tag_size;
    return true;
}

static enum lexer_token skip_word(struct lexer *lexer)
{
    unsigned char first = at(lexer, lexer->offset) | 0x20;
    if (at(lexer, lexer->offset + 1) == '\'' &&
        (first == 'e' || first == 'b' || first == 'x' || first == 'n')) {
        lexer->offset++;
        skip_quoted(lexer, '\'', first == 'e');
        return LEXER_STRING;
    }
    while (is_word_part(at(lexer, lexer->offset)))
        lexer->offset++;
    return LEXER_WORD;
}

enum lexer_token lexer_next(struct lexer *lexer)
{
    skip_blank(lexer);
    lexer->token_offset = lexer->offset;
    enum lexer_token token = LEXER_SYMBOL;
    unsigned char c = at(lexer, lexer->offset);
    if (lexer->offset >= lexer->text.size) {
        token = LEXER_END;
    } else if (is_word_start(c)) {
        token = skip_word(lexer);
    } else if (c == '\'') {
        skip_quoted(lexer, '\'', false);
        token = LEXER_STRING;
    } else if (c == '"') {
        skip_quoted(lexer, '"', false);
        token = LEXER_QUOTED;
    } else if (is_digit(c) || (c == '.' && is_digit(at(lexer, lexer->offset + 1)))) {
        while (is_digit(at(lexer, lexer->offset)) || at(lexer, lexer->offset) == '.')
            lexer->offset++;
        token = LEXER_NUMBER;
    } else if (c == '$' && skip_dollar(lexer)) {
        token = LEXER_STRING;
    } else {
        lexer->offset++;
    }
    lexer->token =
        slice_of(lexer->text.data + lexer->token_offset, lexer->offset - lexer->token_offset);
    return token;
}

bool lexer_is_word(const struct lexer *lexer, enum lexer_token token, const char *word)
{
    return token == LEXER_WORD && slice_equal_ignore_case(lexer->token, slice_from_cstr(word));
}

int64_t sql_position(struct slice text, size_t offset)
{
    if (offset > text.size)
        offset = text.size;
    return (int64_t)utf8_count(slice_of(text.data, offset)) + 1;
}

size_t sql_offset(struct slice text, int64_t position)
{
    size_t offset = 0;
    for (int64_t left = position; offset < text.size; offset++)
        if (((unsigned char)text.data[offset] & 0xC0) != 0x80 && --left <= 0)
            break;
    return offset;
}

static enum err too_deep(struct slice text, size_t offset, struct error *error)
{
    error_set(error, ERR_LIMIT, "54001", "the statement is nested more than %d levels deep",
              SQL_DEPTH_MAX);
    if (error != NULL)
        error->text_position = sql_position(text, offset);
    return ERR_LIMIT;
}

void sql_blank_comments(struct slice text, char *out)
{
    memcpy(out, text.data, text.size);
    struct lexer lexer = {.text = text};
    for (enum lexer_token token = LEXER_WORD; token != LEXER_END;) {
        struct lexer gap = {.text = text, .offset = lexer.offset};
        token = lexer_next(&lexer);
        while (gap.offset < lexer.token_offset) {
            size_t begin = gap.offset;
            if (at(&gap, begin) == '-') {
                while (gap.offset < lexer.token_offset && at(&gap, gap.offset) != '\n' &&
                       at(&gap, gap.offset) != '\r')
                    gap.offset++;
            } else if (at(&gap, begin) == '/') {
                if (!skip_comment(&gap))
                    return;
                memset(out + begin, ' ', gap.offset - begin);
            } else {
                gap.offset++;
            }
        }
    }
}

enum err sql_prescan(struct slice text, struct error *error)
{
    if (text.size > SQL_TEXT_SIZE_MAX)
        return error_set(error, ERR_LIMIT, "54000",
                         "the statement is %zu bytes long, the limit is %zu", text.size,
                         SQL_TEXT_SIZE_MAX);
    size_t valid = utf8_validate(text);
    const char *nul = text.size == 0 ? NULL : memchr(text.data, '\0', text.size);
    if (nul != NULL && (size_t)(nul - text.data) < valid)
        valid = (size_t)(nul - text.data);
    if (valid != text.size) {
        error_set(error, ERR_INPUT, "22021", "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                  (unsigned)(unsigned char)text.data[valid]);
        if (error != NULL)
            error->text_position = sql_position(text, valid);
        return ERR_INPUT;
    }
    struct lexer lexer = {.text = text};
    size_t brackets = 0;
    size_t cases = 0;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        char c = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        if (c == '(' || c == '[')
            brackets++;
        else if ((c == ')' || c == ']') && brackets > 0)
            brackets--;
        else if (lexer_is_word(&lexer, token, "case"))
            cases++;
        else if (lexer_is_word(&lexer, token, "end") && cases > 0)
            cases--;
        if (brackets > SQL_DEPTH_MAX || cases > SQL_DEPTH_MAX)
            return too_deep(text, lexer.token_offset, error);
    }
    return OK;
}
