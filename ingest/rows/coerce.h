/* One cell of input to one value of a column: what it takes and refuses is the same in
 * every format. For rows.c. */
#ifndef FRESHET_INGEST_ROWS_COERCE_H
#define FRESHET_INGEST_ROWS_COERCE_H

#include "ingest/rows/rows.h"

enum coerce {
    COERCE_BOOL,
    COERCE_INT,
    COERCE_FLOAT8,
    COERCE_FLOAT4,
    COERCE_NUMERIC,
    COERCE_TEXT,
    COERCE_VARCHAR,
    COERCE_TIMESTAMPTZ,
    COERCE_TIMESTAMP,
    COERCE_JSON,
    COERCE_UUID,
    COERCE_ARRAY,
    COERCE_PARSE /* date, bytea: by type_parse from text only */
};

enum coerce coerce_of(enum type_id id, int64_t *min, int64_t *max);

/* Each fills *out (text payloads borrowed or in the arena), or *error with its SQLSTATE. */
MUST_CHECK enum err coerce_bool(const struct rows_column *column, bool value, struct value *out,
                                struct error *error);
MUST_CHECK enum err coerce_number(const struct rows_column *column, const struct decimal *number,
                                  struct arena *arena, struct value *out, struct error *error);
MUST_CHECK enum err coerce_text(const struct rows_column *column, struct slice text,
                                struct arena *arena, struct value *out, struct error *error);
MUST_CHECK enum err coerce_document(const struct rows_column *column, struct slice source,
                                    struct arena *arena, struct value *out, struct error *error);
/* The canonical form of 36 characters; false if it is anything else. out: UUID_SIZE bytes. */
#define UUID_SIZE 16
bool coerce_uuid(struct slice text, uint8_t *out);
/* A run of digits with sign, point and exponent, JSON's grammar; false if it is anything else. */
bool decimal_parse(struct slice text, struct decimal *out);

#endif
