/* One column's values to numbers: what keys.c, key_bytes.c, key_codes.c, key_offsets.c and
 * key_hash.c share. Internal to these five. */
#ifndef FRESHET_QUERY_EXEC_KEY_TABLE_H
#define FRESHET_QUERY_EXEC_KEY_TABLE_H

#include "query/exec/keys.h"

/* The rows of one call. */
struct key_rows {
    const struct column *column;
    const uint32_t *selection;
    size_t count;
    bool is_insert;
};

static inline size_t row_at(const struct key_rows *rows, size_t i)
{
    return rows->selection != NULL ? rows->selection[i] : i;
}

static inline size_t value_size(const struct key_table *table)
{
    return physical_size(table->physical);
}

/* query/exec/key_hash.c: values that there is to be room for, so many new ones among them. */
size_t key_values_wanted(const struct key_table *table, size_t extra);
/* query/exec/keys.c: NULL's number; KEY_NONE if it has none and is not to get one. */
uint32_t key_null_number(struct key_table *table, bool is_insert);
/* Of the values that are not NULL, integers; low above high: there are none. */
void key_range(const struct key_rows *rows, int64_t *low, int64_t *high);
/* Numbers for a column's rows; those of offsets are covered. */
MUST_CHECK enum err key_column_ids(struct key_table *table, const struct key_rows *rows,
                                   uint32_t *ids, struct error *error);
/* Gives back what finds the values' numbers, and the values. */
void key_values_free(struct key_table *table);

/* query/exec/key_offsets.c: before rows of a column are numbered, of several: goes over to offsets
 * where that pays, makes them cover the rows, or leaves them. */
MUST_CHECK enum err key_offsets_reserve(struct tuple_table *tuples, size_t column,
                                        const struct key_rows *rows, struct error *error);
/* Their numbers, by row. */
void key_offsets_ids(struct key_table *table, const struct key_rows *rows, uint32_t *ids);
/* The values of such numbers. */
void key_offsets_values(const struct key_table *table, const uint32_t *ids, size_t count,
                        int64_t *values);

/* query/exec/key_bytes.c: room for so many new texts, numerics or intervals by hash. */
MUST_CHECK enum err key_bytes_reserve(struct key_table *table, size_t extra, struct error *error);
/* Their numbers, by row; values have room. */
MUST_CHECK enum err key_bytes_ids(struct key_table *table, const struct key_rows *rows,
                                  uint32_t *ids, struct error *error);
/* The number of a value by its bytes and their hash; `value` is its physical form, kept for a new
 * number (texts: their bytes are). */
uint32_t key_bytes_number(struct key_table *table, struct slice bytes, uint32_t hash,
                          const void *value, bool is_insert);
/* Asks for the memory of what will be looked up: up to TEXTS_AHEAD texts. */
#define TEXTS_AHEAD 32
void key_bytes_ask_ahead(const struct key_table *table, const uint32_t *hashes, uint32_t count);

/* query/exec/key_codes.c: numbers of a DICTIONARY column's texts; values have room. */
MUST_CHECK enum err key_codes_ids(struct key_table *table, const struct key_rows *rows,
                                  uint32_t *ids, struct error *error);
/* Before texts are looked up in any other way: they are by their bytes from then on. */
MUST_CHECK enum err key_codes_leave(struct key_table *table, struct error *error);

#endif
