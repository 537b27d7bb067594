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
enum err text_too_large(struct call *call); /* 54000 */
/* Room for a result of `size` bytes, or 54000. */
enum err text_reserve(struct call *call, size_t size, char **out);
/* A result that is written piece by piece: what came before is the call's result or, with an error,
 * nothing; 54000 past the size. */
void text_begin(struct writer *writer);
enum err text_end(struct call *call, struct writer *writer, enum err err, struct value *out);

#define TEXT_FUNCTION(name_text, n, list, to, kind, row_form, doc_text, example_text)              \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},
/* The same, called with NULLs too. */
#define TEXT_FUNCTION_TOLERANT(name_text, n, list, to, kind, row_form, doc_text, example_text)     \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .is_null_tolerant = true,                                                                     \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},
/* X(array, element, an array, an element) for each type of array whose elements can be compared, in
 * a row, and for the others. */
#define FOR_COMPARED_ARRAYS(X)                                                                     \
    X(TYPE_TEXT_ARRAY, TYPE_TEXT, "'{a,b}'::text[]", "'a'::text")                                  \
    X(TYPE_INT8_ARRAY, TYPE_INT8, "'{1,2}'::bigint[]", "1::bigint")                                \
    X(TYPE_INT4_ARRAY, TYPE_INT4, "'{1,2}'::int[]", "1")                                           \
    X(TYPE_INT2_ARRAY, TYPE_INT2, "'{1,2}'::smallint[]", "1::smallint")                            \
    X(TYPE_FLOAT8_ARRAY, TYPE_FLOAT8, "'{1.5,2}'::float8[]", "1.5::float8")                        \
    X(TYPE_FLOAT4_ARRAY, TYPE_FLOAT4, "'{1.5,2}'::real[]", "1.5::real")                            \
    X(TYPE_NUMERIC_ARRAY, TYPE_NUMERIC, "'{1.5,2}'::numeric[]", "1.5")                             \
    X(TYPE_BOOL_ARRAY, TYPE_BOOL, "'{t,f}'::boolean[]", "true")                                    \
    X(TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ, "'{2026-05-01 00:00Z}'::timestamptz[]",            \
      "timestamptz '2026-05-01 00:00Z'")                                                           \
    X(TYPE_TIMESTAMP_ARRAY, TYPE_TIMESTAMP, "'{2026-05-01}'::timestamp[]",                         \
      "timestamp '2026-05-01'")                                                                    \
    X(TYPE_DATE_ARRAY, TYPE_DATE, "'{2026-05-01}'::date[]", "date '2026-05-01'")                   \
    X(TYPE_INTERVAL_ARRAY, TYPE_INTERVAL, "'{1 day}'::interval[]", "interval '1 day'")             \
    X(TYPE_UUID_ARRAY, TYPE_UUID, "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid[]",              \
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid")                                              \
    X(TYPE_BYTEA_ARRAY, TYPE_BYTEA, "ARRAY['\\x0a'::bytea]", "'\\x0a'::bytea")
#define FOR_OTHER_ARRAYS(X)                                                                        \
    X(TYPE_JSONB_ARRAY, TYPE_JSONB, "ARRAY['1'::jsonb]", "'1'::jsonb")                             \
    X(TYPE_JSON_ARRAY, TYPE_JSON, "ARRAY['1'::json]", "'1'::json")

#endif
