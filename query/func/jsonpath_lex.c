/* Words of SQL/JSON paths.
 *
 * A key without quotes is any run of characters that mean nothing else, so keys may be in any
 * language; quoted ones and strings have JavaScript's escapes. Numbers are JavaScript's, and no
 * letter may follow one at once. */
#include "query/func/jsonpath_lex.h"

#include "storage/base/slice.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Part of a key without quotes. */
static bool is_plain(char c)
{
    return c != '\0' && strchr("?%$.[]{}()|&!=<>@#,*:-+/\\\"", c) == NULL && !is_blank(c);
}

static char peek(const struct jsonpath_lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.size ? lexer->text.data[at] : '\0';
}

static bool fail_as(struct jsonpath_lexer *lexer, const char *sqlstate, const char *what)
{
    lexer->sqlstate = sqlstate;
    lexer->failure = what;
    lexer->token = JSONPATH_TOKEN_BAD;
    return false;
}

static bool fail(struct jsonpath_lexer *lexer, const char *what)
{
    return fail_as(lexer, "42601", what);
}

static bool fail_pair(struct jsonpath_lexer *lexer)
{
    return fail_as(lexer, "22P02", "Unicode low surrogate must follow a high surrogate");
}

static int hex_value(char c)
{
    char low = (char)(c | 0x20);
    return is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* `digits` of them, or with 0 up to six in braces. */
static bool read_hex(struct jsonpath_lexer *lexer, size_t digits, uint32_t *out)
{
    bool has_braces = digits == 0 && peek(lexer, 0) == '{';
    size_t most = has_braces ? 6 : digits == 0 ? 4 : digits, count = 0;
    *out = 0;
    lexer->at += has_braces;
    for (; count < most && hex_value(peek(lexer, 0)) >= 0; count++, lexer->at++)
        *out = *out << 4 | (uint32_t)hex_value(peek(lexer, 0));
    if (has_braces ? count == 0 || peek(lexer, 0) != '}' : count < most)
        return fail(lexer, digits == 2 ? "invalid hexadecimal character sequence"
                                       : "invalid Unicode escape sequence");
    lexer->at += has_braces;
    return true;
}

/* \u…: the second half of a pair has to follow the first. */
static bool read_unicode(struct jsonpath_lexer *lexer, uint32_t *out)
{
    uint32_t low;
    if (!read_hex(lexer, 0, out))
        return false;
    if (*out >= 0xD800 && *out < 0xDC00) {
        if (peek(lexer, 0) != '\\' || peek(lexer, 1) != 'u')
            return fail_pair(lexer);
        lexer->at += 2;
        if (!read_hex(lexer, 0, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail_pair(lexer);
        *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
    } else if (*out >= 0xDC00 && *out <= 0xDFFF) {
        return fail_pair(lexer);
    }
    if (*out == 0)
        return fail_as(lexer, "22P05", "unsupported Unicode escape sequence");
    return *out <= 0x10FFFF || fail(lexer, "invalid Unicode escape sequence");
}

/* What follows a backslash, into the word. */
static bool read_escape(struct jsonpath_lexer *lexer)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    char c = peek(lexer, 0);
    uint32_t code;
    if (lexer->at >= lexer->text.size)
        return fail(lexer, "unexpected end after backslash");
    const char *plain = c == '\0' ? NULL : strchr(from, c);
    lexer->at++;
    if (plain != NULL) {
        lexer->word[lexer->word_size++] = to[plain - from];
        return true;
    }
    if (c != 'x' && c != 'u') {
        lexer->word[lexer->word_size++] = c;
        return true;
    }
    if (c == 'x' ? !read_hex(lexer, 2, &code) : !read_unicode(lexer, &code))
        return false;
    if (code == 0)
        return fail_as(lexer, "22P05", "unsupported Unicode escape sequence");
    lexer->word_size += utf8_encode(code, lexer->word + lexer->word_size);
    return true;
}

static bool read_quoted(struct jsonpath_lexer *lexer)
{
    lexer->at++;
    while (lexer->at < lexer->text.size && peek(lexer, 0) != '"') {
        char c = lexer->text.data[lexer->at++];
        if (c != '\\')
            lexer->word[lexer->word_size++] = c;
        else if (!read_escape(lexer))
            return false;
    }
    if (lexer->at >= lexer->text.size)
        return fail(lexer, "unterminated quoted string");
    lexer->at++;
    return true;
}

static bool read_plain(struct jsonpath_lexer *lexer)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (c == '\\') {
            lexer->at++;
            if (!read_escape(lexer))
                return false;
        } else if (is_plain(c)) {
            lexer->word[lexer->word_size++] = c;
            lexer->at++;
        } else {
            return true;
        }
    }
}

static void read_number(struct jsonpath_lexer *lexer)
{
    size_t first = lexer->at;
    lexer->token = JSONPATH_TOKEN_INTEGER;
    bool is_zero = peek(lexer, 0) == '0';
    while (is_digit(peek(lexer, 0)))
        lexer->at++;
    bool is_bad = is_zero && lexer->at > first + 1; /* 01 */
    if (peek(lexer, 0) == '.') {
        lexer->token = JSONPATH_TOKEN_NUMBER;
        for (lexer->at++; is_digit(peek(lexer, 0));)
            lexer->at++;
    }
    if ((peek(lexer, 0) | 0x20) == 'e') {
        size_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-' ? 1 : 0;
        lexer->token = JSONPATH_TOKEN_NUMBER;
        is_bad = is_bad || !is_digit(peek(lexer, 1 + sign));
        lexer->at += 1 + sign;
        while (is_digit(peek(lexer, 0)))
            lexer->at++;
    }
    if (is_bad || is_plain(peek(lexer, 0)) || peek(lexer, 0) == '\\')
        fail(lexer, "trailing junk after numeric literal");
    else
        lexer->value = slice_of(lexer->text.data + first, lexer->at - first);
}

/* Blanks and comments. */
static bool skip(struct jsonpath_lexer *lexer)
{
    for (;;) {
        if (is_blank(peek(lexer, 0))) {
            lexer->at++;
        } else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
            for (lexer->at += 2; peek(lexer, 0) != '*' || peek(lexer, 1) != '/'; lexer->at++)
                if (lexer->at >= lexer->text.size)
                    return fail(lexer, "unexpected end of comment");
            lexer->at += 2;
        } else {
            return true;
        }
    }
}

static bool next_is_number(const struct jsonpath_lexer *lexer)
{
    return is_digit(peek(lexer, 0)) || (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1)));
}

/* One or two characters that mean something together. */
static enum jsonpath_token read_sign(struct jsonpath_lexer *lexer)
{
    static const struct {
        char signs[3];
        enum jsonpath_token token;
    } pairs[] = {
        {"&&", JSONPATH_TOKEN_AND},        {"||", JSONPATH_TOKEN_OR},
        {"**", JSONPATH_TOKEN_ANY},        {"==", JSONPATH_TOKEN_EQUAL},
        {"!=", JSONPATH_TOKEN_NOT_EQUAL},  {"<>", JSONPATH_TOKEN_NOT_EQUAL},
        {"<=", JSONPATH_TOKEN_LESS_EQUAL}, {">=", JSONPATH_TOKEN_GREATER_EQUAL},
    };
    for (size_t i = 0; i < array_count(pairs); i++) {
        if (peek(lexer, 0) == pairs[i].signs[0] && peek(lexer, 1) == pairs[i].signs[1]) {
            lexer->at += 2;
            return pairs[i].token;
        }
    }
    return (enum jsonpath_token)(unsigned char)lexer->text.data[lexer->at++];
}

void jsonpath_lexer_init(struct jsonpath_lexer *lexer, struct slice text, struct arena *arena)
{
    *lexer = (struct jsonpath_lexer){.text = text, .arena = arena};
    lexer->words = arena_alloc(arena, text.size + 8);
    jsonpath_next(lexer);
}

void jsonpath_next(struct jsonpath_lexer *lexer)
{
    /* No word is longer than the text it was read from, so all of them fit. */
    lexer->word = lexer->words;
    lexer->word_size = 0;
    if (lexer->token == JSONPATH_TOKEN_BAD || !skip(lexer))
        return;
    lexer->token_at = lexer->at;
    char c = peek(lexer, 0);
    if (lexer->at >= lexer->text.size) {
        lexer->token = JSONPATH_TOKEN_END;
    } else if (next_is_number(lexer)) {
        read_number(lexer);
        return;
    } else if (c == '"') {
        lexer->token = JSONPATH_TOKEN_STRING;
        read_quoted(lexer);
    } else if (c == '$' && (peek(lexer, 1) == '"' || is_plain(peek(lexer, 1)))) {
        lexer->token = JSONPATH_TOKEN_VARIABLE;
        lexer->at++;
        if (peek(lexer, 0) == '"')
            read_quoted(lexer);
        else
            read_plain(lexer);
    } else if (is_plain(c) || c == '\\') {
        lexer->token = JSONPATH_TOKEN_WORD;
        read_plain(lexer);
    } else {
        lexer->token = read_sign(lexer);
        return;
    }
    lexer->value = slice_of(lexer->word, lexer->word_size);
    lexer->words += lexer->word_size;
}
