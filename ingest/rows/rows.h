/* Rows under construction: cells in any order, one row at a time, into the columns of one batch.
 *
 * A decoder calls rows_begin, rows_null … rows_document for the cells it meets, rows_end; a row
 * that breaks a rule becomes a rejection with its raw bytes, and the batch goes on. Texts are
 * borrowed from the body or from the arena and must live until the batch is encoded. One owner
 * thread. */
#ifndef FRESHET_INGEST_ROWS_ROWS_H
#define FRESHET_INGEST_ROWS_ROWS_H

#include "ingest/rows/dictionary.h"
#include "ingest/rows/mapping.h"
#include "storage/column/column.h"

#define ROW_STRING_SIZE_MAX ((size_t)1 << 20)
#define ROWS_UNKNOWN_MAX 1000

/* DEFAULT of a column without one in the row. */
struct rows_defaults {
    void *context;
    /* *is_volatile: ask again for each row. */
    enum err (*get)(void *context, uint32_t column, struct arena *arena, struct value *out,
                    bool *is_volatile, struct error *error);
};

struct rows_options {
    struct mapping *mapping; /* borrowed */
    struct arena *arena;
    int64_t now_us;
    size_t rows_max, row_size_max;
    uint64_t first_row;                   /* rows that came before, for the numbers of rejections */
    size_t capacity;                      /* rows expected; a hint */
    const struct rows_defaults *defaults; /* NULL: DEFAULT reads as NULL */
    /* Takes the rows that are there (rows_finish) whenever so many cells are: rows go on with none.
     * NULL: whoever decodes takes all at the end. An error ends the decoding. */
    enum err (*take_section)(void *context, struct error *error);
    void *section_context;
    size_t section_cells;
};

struct rows_rejection {
    uint64_t row;        /* 1-based within the body */
    struct slice column; /* empty: the row as a whole */
    char sqlstate[6];
    struct slice reason;
    struct slice raw; /* borrowed from the body */
    bool is_raw_cut;  /* longer than row_size_max */
};

struct rows_unknown {
    struct slice path;
    struct slice example;
    uint64_t count;
};

/* A decimal number as it stood in the input: (-1)^is_negative * mantissa * 10^exponent if is_exact.
 */
struct decimal {
    struct slice text;
    uint64_t mantissa;
    int32_t exponent;
    bool is_negative, is_exact;
};

enum coerce; /* rows/coerce.h */
struct rows_column {
    const struct column_definition *definition;
    uint8_t coerce;   /* enum coerce */
    bool is_required; /* NOT NULL without DEFAULT */
    bool has_default;
    bool is_touched; /* all rows so far are in the arrays; else those before `behind`, if any */
    bool is_dictionary;
    bool has_null;
    bool is_default_known, is_default_volatile;
    int64_t min, max; /* integers */
    uint64_t mark;    /* row and rank of the cell now there */
    uint64_t error_mark;
    uint8_t *validity;
    union {
        void *values;
        uint8_t *b;
        int64_t *i;
        double *f;
        struct numeric *n;
        struct slice *text;
        uint32_t *codes;
    };
    /* Behind what values are written by, which is one line of the cache. */
    struct local_dictionary dictionary;
    struct value default_value;
    bool has_arrays;
    bool is_watched; /* a row without a value has to be looked at */
    size_t behind;
    size_t since, missed; /* the row by which it was touched, rows without a value since */
};

struct rows {
    struct rows_options options;
    const struct schema *schema;
    struct arena *arena;
    size_t received;   /* rows begun: counted where bytes become rows, for the ledger */
    size_t row_number; /* of the row under construction, 1-based */
    size_t count;      /* good ones: the batch, or what it has since the last section */
    size_t sectioned;  /* good ones in sections before */
    size_t capacity;
    uint64_t mark; /* row_number << 2 */
    uint32_t set_count, required_set;
    uint32_t touched_count; /* watched columns */
    uint32_t required_count;
    uint32_t error_count;  /* columns of this row in error */
    uint32_t error_column; /* of the first */
    bool has_row_error;
    struct error error; /* of this row */
    struct rows_column *columns;
    uint64_t *looked_at; /* a bit for each column that is watched or required */
    uint64_t lapses;     /* columns that are not touched any more: their writers touch them anew */
    size_t section_rows;
    struct writer rest; /* members for the rest column, JSON */
    bool wants_rest;
    int64_t future_limit_us;
    size_t rejection_count, rejection_capacity;
    struct rows_rejection *rejections; /* until rows_deinit */
    size_t unknown_count, unknown_capacity;
    struct rows_unknown *unknown;
    uint64_t unknown_other; /* of paths past ROWS_UNKNOWN_MAX */
    uint64_t duplicate_keys;
};

void rows_init(struct rows *rows, const struct rows_options *options);
void rows_deinit(struct rows *rows); /* not the arena */
/* ERR_LIMIT (54000): more than rows_max. */
MUST_CHECK enum err rows_begin(struct rows *rows, struct error *error);
/* Cells. A value that does not fit makes the row bad, unless a later duplicate of the same field
 * fits. */
void rows_null(struct rows *rows, const struct mapping_ref *ref);
void rows_bool(struct rows *rows, const struct mapping_ref *ref, bool value);
void rows_number(struct rows *rows, const struct mapping_ref *ref, const struct decimal *number);
/* JSON string: `text` unescaped, `source` with its quotes. */
void rows_string(struct rows *rows, const struct mapping_ref *ref, struct slice text,
                 struct slice source);
/* Text that is cast as PostgreSQL reads it (CSV). */
void rows_text(struct rows *rows, const struct mapping_ref *ref, struct slice text);
/* A value of the column's type; its payload is borrowed. */
void rows_value(struct rows *rows, const struct mapping_ref *ref, const struct value *value);
/* Source text of an object or array. */
void rows_document(struct rows *rows, const struct mapping_ref *ref, struct slice source);
/* The same for a decoder that knows that each column of the row has one cell: no marks, no counts.
 * The column has been touched, and rows->lapses is as it was then. False if the value does not fit;
 * nothing is kept then, and the row is to be decoded anew by the functions above. Cells may be set
 * again. */
void rows_touch(struct rows *rows, uint32_t column);
bool rows_put_null(struct rows *rows, uint32_t column);
bool rows_put_bool(struct rows *rows, uint32_t column, bool value);
bool rows_put_number(struct rows *rows, uint32_t column, const struct decimal *number);
bool rows_put_string(struct rows *rows, uint32_t column, struct slice text, struct slice source);
bool rows_put_document(struct rows *rows, uint32_t column, struct slice source);
void rows_put_any_text(struct rows *rows, struct rows_column *column, struct slice text);
/* Of a column with a dictionary that does not have this text yet, of at most DICTIONARY_SHORT_MAX
 * bytes; as many can be read from text.data on. */
void rows_put_new_text(struct rows *rows, struct rows_column *column, struct slice text);
/* The same in place for the most usual texts. readable: bytes that may be read from text.data on.
 */
static inline __attribute__((always_inline)) void
rows_put_text(struct rows *rows, struct rows_column *column, struct slice text, size_t readable)
{
    size_t row = rows->count;
    if (!column->is_dictionary) {
        column->validity[row] = 1;
        column->text[row] = text;
        return;
    }
    if (text.size > DICTIONARY_SHORT_MAX || readable < DICTIONARY_SHORT_MAX) {
        rows_put_any_text(rows, column, text);
        return;
    }
    uint32_t code = local_dictionary_find_short(&column->dictionary, text);
    if (code == DICTIONARY_NONE) {
        rows_put_new_text(rows, column, text);
        return;
    }
    column->validity[row] = 1;
    column->codes[row] = code;
}
/* Such a cell is this row's, by a name of this rank. */
void rows_mark(struct rows *rows, uint32_t column, enum mapping_rank rank);
/* A value that cannot be one, for a reason the decoder knows. */
void rows_bad(struct rows *rows, const struct mapping_ref *ref, const char *sqlstate,
              const char *reason);
/* A field that no column takes. `id` is the decoder's memory of it: SIZE_MAX at first. */
void rows_unknown(struct rows *rows, size_t *id, struct slice path, struct slice example);
/* Keeps a member for `rest`: key with quotes, value, both JSON. Only where wants_rest. */
void rows_rest(struct rows *rows, struct slice key_source, struct slice value_source);
/* Ends the row: missing cells, NOT NULL, `future`; keeps or rejects it. raw: its bytes; document:
 * its JSON, for `whole`. */
void rows_end(struct rows *rows, struct slice raw, struct slice document);
/* rows_end's: one more, whose column may be empty. Texts but the reason are borrowed. */
void rows_add_rejection(struct rows *rows, struct slice raw, struct slice column,
                        const char *sqlstate, struct slice reason);
/* Ends the row as rejected as a whole. */
void rows_reject(struct rows *rows, struct slice raw, const char *sqlstate, const char *reason);
/* The batch: columns of the definition in order, `column_ids` beside them, in the arena. */
void rows_finish(struct rows *rows, struct batch *batch, const uint32_t **column_ids);

#endif
