/* Rows at stored width: what a commit record carries and a mutable segment appends.
 *
 * A `struct batch` has six physical classes so that kernels are few; here a column is as narrow as
 * its type, and the arrays point straight into the record's bytes. The bytes are specified in
 * storage/log/FORMAT.md, "Rows". */
#ifndef FRESHET_STORAGE_COLUMN_STORED_H
#define FRESHET_STORAGE_COLUMN_STORED_H

#include "storage/column/column.h"
#include "storage/column/schema.h"

/* Rows of one part. A bound for hostile bytes only: constants cost no bytes per row. */
#define STORED_ROWS_MAX (UINT32_C(1) << 27)

enum stored_encoding {                   /* in the log: never renumbered */
                       STORED_FIXED = 1, /* values[row_count] of type_stored_width() bytes */
                       STORED_CONSTANT =
                           2, /* one such value for every row; none at all under STORED_NULL */
                       STORED_TEXT = 3, /* sizes[row_count], bytes one behind the other */
                       STORED_DICTIONARY =
                           4 /* sizes[entry_count], codes[row_count] of code_width bytes, bytes */
};
enum stored_validity { STORED_VALID = 0, STORED_BITMAP = 1, STORED_NULL = 2 };

/* Unused members are zero. numeric is its digits at the column's scale, NaN is INT64_MIN. */
struct stored_column {
    uint32_t column_id;
    struct type type;
    enum stored_encoding encoding;
    enum stored_validity validity;
    const uint8_t *bitmap; /* STORED_BITMAP: bit row % 8 of byte row / 8, 1 is valid; 8 whole bytes
                              at the end */
    const void *values;
    const uint32_t *sizes; /* a NULL row's is 0 */
    struct slice bytes;
    uint32_t entry_count; /* 1 … ; entries differ from each other */
    uint32_t code_width;  /* 1, 2, 4; 0: every row has code 0 */
    const void *codes;    /* a NULL row's is 0 */
};

struct stored_rows {
    uint32_t table_id;
    uint32_t schema_version;
    uint32_t row_count;
    uint32_t column_count;
    struct stored_column *columns;
};

/* Appends the bytes of a batch; `out` stands at a multiple of 8 and does so afterwards. Each
 * column's type is that of its definition, to which the values fit already. */
void stored_write(const struct schema *schema, const uint32_t *column_ids,
                  const struct batch *batch, struct writer *out);
/* Points into the reader's bytes, which must be aligned to 8; the column array lies in the arena.
 * Everything is bounds-checked, codes and sizes too. ERR_CORRUPT. */
MUST_CHECK enum err stored_read(struct reader *reader, struct arena *arena,
                                struct stored_rows *out);
/* The same rows as physical columns, in the arena; text payloads and times may borrow the record's
 * bytes. */
struct column stored_to_column(const struct stored_column *stored, size_t row_count,
                               struct arena *arena);
struct batch stored_to_batch(const struct stored_rows *rows, struct arena *arena);

static inline bool stored_is_null(const struct stored_column *column, size_t row)
{
    if (column->validity == STORED_BITMAP)
        return (column->bitmap[row / 8] >> (row % 8) & 1) == 0;
    return column->validity == STORED_NULL;
}

static inline uint32_t stored_code(const struct stored_column *column, size_t row)
{
    switch (column->code_width) {
    case 1:
        return ((const uint8_t *)column->codes)[row];
    case 2:
        return ((const uint16_t *)column->codes)[row];
    case 4:
        return ((const uint32_t *)column->codes)[row];
    default:
        return 0;
    }
}

/* Writes 1 or 0 for rows [begin, begin + count) of a bitmap. */
void stored_expand_bitmap(const uint8_t *bitmap, size_t begin, size_t count, uint8_t *out);

/* One value at stored width to its physical class, and many: `out` is an array of the physical
 * class. Text-class fixed types (uuid) become slices of `values`. */
void stored_widen(struct type type, const void *values, size_t count, void *out);
/* One value, not NULL, of a fixed-width type to its stored form: type_stored_width() bytes. */
void stored_narrow_value(const struct value *value, struct type type, void *out);

#endif
