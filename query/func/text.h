/* What the files of text functions share. */
#ifndef FRESHET_QUERY_FUNC_TEXT_H
#define FRESHET_QUERY_FUNC_TEXT_H

#include "query/func/func.h"

/* No single text may become larger: 54000 past it. */
#define TEXT_RESULT_SIZE_MAX ((size_t)256 << 20)

enum text_case { CASE_LOWER, CASE_UPPER, CASE_INITIAL };
/* Letters by the C.UTF-8 locale's tables, as PostgreSQL with --locale=C.UTF-8; in the arena (or
 * `text` itself). */
struct slice text_change_case(struct slice text, enum text_case to, struct arena *arena);
/* Bytes of the first `count` characters. */
size_t text_prefix_size(struct slice text, size_t count);
/* Where `part` starts in `text`, SIZE_MAX if nowhere. */
size_t text_find(struct slice text, struct slice part);
/* A name as SQL wants it: quoted where it must be. query/func/quote.c */
void text_write_identifier(struct writer *out, struct slice text);
/* Room for a result of `size` bytes, or 54000. */
enum err text_reserve(struct call *call, size_t size, char **out);

#define TEXT_FUNCTION(name_text, n, list, to, kind, row_form, doc_text, example_text)              \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define LIST(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#endif
