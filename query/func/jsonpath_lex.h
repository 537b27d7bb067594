/* Words of SQL/JSON paths. For query/func/jsonpath_parse.c. */
#ifndef FRESHET_QUERY_FUNC_JSONPATH_LEX_H
#define FRESHET_QUERY_FUNC_JSONPATH_LEX_H

#include "storage/base/arena.h"

/* A sign of one character is its own number. */
enum jsonpath_token {
    JSONPATH_TOKEN_END = 256,
    JSONPATH_TOKEN_BAD, /* see failure */
    JSONPATH_TOKEN_WORD,
    JSONPATH_TOKEN_STRING,
    JSONPATH_TOKEN_VARIABLE,
    JSONPATH_TOKEN_INTEGER,
    JSONPATH_TOKEN_NUMBER,
    JSONPATH_TOKEN_AND,
    JSONPATH_TOKEN_OR,
    JSONPATH_TOKEN_ANY,
    JSONPATH_TOKEN_EQUAL,
    JSONPATH_TOKEN_NOT_EQUAL,
    JSONPATH_TOKEN_LESS_EQUAL,
    JSONPATH_TOKEN_GREATER_EQUAL
};

struct jsonpath_lexer {
    struct slice text;
    struct arena *arena;
    size_t at, token_at; /* token_at: where the token starts */
    enum jsonpath_token token;
    struct slice value; /* of words, strings, variables and numbers */
    const char *failure, *sqlstate;
    /* private */
    char *words, *word;
    size_t word_size;
};

/* At the first token. */
void jsonpath_lexer_init(struct jsonpath_lexer *lexer, struct slice text, struct arena *arena);
void jsonpath_next(struct jsonpath_lexer *lexer);

#endif
