/* Columns and batches: rows as columns, the unit that moves between stages, in and out.
 *
 * A column has one of three forms, so that constants and dictionaries survive as long as they pay:
 *   FLAT        values[row]
 *   CONSTANT    values[0] for every row (validity[0] too)
 *   DICTIONARY  text only: dictionary[codes[row]]; the dictionary may hold codes that no row uses,
 * and holds each text at most once, so equal codes are equal texts and different codes differ
 * validity is a byte a row (1 valid, 0 NULL), or NULL where every row is valid. What a NULL row's
 * value holds is unspecified but initialized (0 or an empty slice, code 0), so kernels may compute
 * over it. */
#ifndef FRESHET_STORAGE_COLUMN_COLUMN_H
#define FRESHET_STORAGE_COLUMN_COLUMN_H

#include "storage/column/type.h"

#include <stdatomic.h>

/* Rows of one step of the query engine. Ingest batches may be longer. */
#define VECTOR_ROWS_MAX 2048

enum column_form { COLUMN_FLAT, COLUMN_CONSTANT, COLUMN_DICTIONARY };

/* What readers of a dictionary learned of its texts and leave with it for the next ones; of one
 * that grows, of those that were there. A note is one piece of memory that begins with this struct;
 * who owns the dictionary frees all of them with it. */
struct dictionary_note {
    struct dictionary_note *older;
};
struct dictionary_notes {
    _Atomic(struct dictionary_note *) newest; /* release: a note is complete once it is here */
    _Atomic size_t size;                      /* bytes of all; relaxed: a figure */
    _Atomic uint32_t missed; /* readers that did without a note; relaxed: for them to count */
};

struct column {
    struct type type;
    enum column_form form;
    const uint8_t *validity;
    union { /* by type_physical(type.id), for FLAT and CONSTANT */
        const void *values;
        const uint8_t *b;
        const int64_t *i;
        const double *f;
        const struct numeric *n;
        const struct slice *text;
        const struct interval *interval;
    };
    const uint32_t *codes; /* DICTIONARY */
    const struct slice *dictionary;
    uint32_t dictionary_count;
    bool is_lasting; /* the dictionary's texts last as long as the snapshot that the rows are of */
    /* Identity of the dictionary: equal non-zero ids mean the same dictionary, or a longer version
     * of it with the same codes. 0: only this column's. */
    uint64_t dictionary_id;
    struct dictionary_notes *notes; /* NULL: nowhere to leave any */
};

struct batch {
    size_t row_count;
    size_t column_count;
    struct column *columns;
};

/* One more, by whoever is alone in leaving any. */
void dictionary_notes_add(struct dictionary_notes *notes, struct dictionary_note *note,
                          size_t size);
void dictionary_notes_free(struct dictionary_notes *notes);

static inline bool column_is_null(const struct column *column, size_t row)
{
    return column->validity != NULL &&
           column->validity[column->form == COLUMN_CONSTANT ? 0 : row] == 0;
}
static inline size_t column_index(const struct column *column, size_t row)
{
    return column->form == COLUMN_CONSTANT ? 0 : row;
}
static inline struct slice column_text(const struct column *column, size_t row)
{
    if (column->form == COLUMN_DICTIONARY)
        return column->dictionary[column->codes[row]];
    return column->text[column->form == COLUMN_CONSTANT ? 0 : row];
}

/* One cell; text payloads are borrowed from the column. */
struct value column_value(const struct column *column, size_t row);
/* A CONSTANT column of a value, in the arena. */
struct column column_from_value(const struct value *value, struct arena *arena);
/* The same rows as FLAT (returned as is if it is already), new memory in the arena. */
struct column column_flatten(const struct column *column, size_t row_count, struct arena *arena);
/* Rows selected by `selection` (row indexes), form kept. */
struct column column_gather(const struct column *column, const uint32_t *selection, size_t count,
                            struct arena *arena);
/* The rows from `first` on, as a view. */
struct column column_from(const struct column *column, size_t first);
/* Deep copy: nothing borrowed afterwards. */
struct column column_copy(const struct column *column, size_t row_count, struct arena *arena);

/* A growing FLAT column of one type; values are copied in (text into the arena). */
struct column_builder {
    struct type type;
    struct arena *arena;
    size_t count, capacity;
    uint8_t *validity;
    void *values;
    bool has_null;
};
/* The column borrows the arena's memory; the builder is of no use afterwards. */
void column_builder_init(struct column_builder *builder, struct type type, struct arena *arena);
void column_builder_add(struct column_builder *builder, const struct value *value);
void column_builder_add_null(struct column_builder *builder);
struct column column_builder_finish(struct column_builder *builder);

#endif
