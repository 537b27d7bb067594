/* A small SQL lexer: enough to bound nesting before the parser sees the text, and to find words for
 * hints. */
#ifndef FRESHET_QUERY_SQL_LEXER_H
#define FRESHET_QUERY_SQL_LEXER_H

#include "storage/base/error.h"
#include "storage/base/slice.h"

enum lexer_token {
    LEXER_END,
    LEXER_WORD,   /* identifier or keyword, not quoted */
    LEXER_QUOTED, /* "…" */
    LEXER_STRING,
    LEXER_NUMBER,
    LEXER_SYMBOL /* one byte of anything else */
};

struct lexer {
    struct slice text;
    size_t offset;
    struct slice token; /* as written */
    size_t token_offset;
};

/* Never fails: what does not end runs to the end of the text (the parser says so better). */
enum lexer_token lexer_next(struct lexer *lexer);
bool lexer_is_word(const struct lexer *lexer, enum lexer_token token, const char *word);

/* Refuses what must not reach the parser: longer than SQL_TEXT_SIZE_MAX (54000), NUL or invalid
 * UTF-8 (22021), nesting of ( [ CASE deeper than SQL_DEPTH_MAX (54001). */
MUST_CHECK enum err sql_prescan(struct slice text, struct error *error);
/* Spaces instead of each slash-star comment, at the same offsets; `out` is text.size bytes. The
 * parser's own lexer looks at the rest of a run of operator characters again at each comment of it,
 * which costs the square of the text. One that does not end stays: the parser says so. */
void sql_blank_comments(struct slice text, char *out);
/* 1-based character of a byte offset. */
int64_t sql_position(struct slice text, size_t offset);
/* Byte offset of a 1-based character. */
size_t sql_offset(struct slice text, int64_t position);

#endif
