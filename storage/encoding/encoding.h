/* Encodings: one block of one column of a sealed segment, to bytes and back.
 *
 * A block has at most BLOCK_ROWS_MAX rows. The encoder measures every encoding of the table that
 * fits the class and writes the smallest; the reader checks all of a block's bytes once, in
 * block_open(), and after that no read can leave them. The bytes are in FORMAT.md of this folder.
 */
#ifndef FRESHET_STORAGE_ENCODING_ENCODING_H
#define FRESHET_STORAGE_ENCODING_ENCODING_H

#include "storage/column/type.h"

#define BLOCK_ROWS_MAX 65536
/* Reads begin at multiples of this and have at most as many rows: the vectors of a scan. */
#define BLOCK_VECTOR_ROWS 2048

enum block_class {
    BLOCK_INTEGER, /* int64_t: boolean, integers, date, times, numeric as its digits at the column's
                      scale (NaN is INT64_MIN), and the codes of a segment's dictionary */
    BLOCK_FLOAT,   /* double; real too, which is a double that is exactly a float */
    BLOCK_WIDE,    /* 16 bytes a value: uuid */
    BLOCK_TEXT     /* struct slice */
};
enum block_class block_class_of(enum type_id id); /* of values; codes are BLOCK_INTEGER */

/* What is encoded. NULL rows have any value (the encoder puts what costs least in their place). */
struct block_values {
    enum block_class class;
    uint32_t row_count;      /* 1 … BLOCK_ROWS_MAX */
    const uint8_t *validity; /* a byte a row, NULL: no row is NULL */
    union {
        const void *values;
        const int64_t *i;
        const double *f;
        const uint8_t *wide;
        const struct slice *text;
    };
};

/* What the footer keeps of a block, so that scans can leave it out unread. */
struct block_zone {
    uint32_t null_count;
    bool has_range; /* false: all NULL, or a class without order here (wide) */
    /* INTEGER: least and greatest value. FLOAT: the bits of the same as an int64 that orders like
     * the doubles do (float_order), NaN greatest. TEXT: the first 8 bytes big-endian, as uint64
     * with the top bit flipped, of the least and the greatest; longer texts are cut, so the range
     * is not narrower than the texts. */
    int64_t min, max;
};
/* Values as `min` and `max` have them, and a double back (both zeros are one, and all NaNs). */
int64_t float_order(double value);
double float_unorder(int64_t ordered);
int64_t text_order(struct slice text);

/* Names of encodings, for freshet.columns: "constant", "rle", "frame", "delta", "dictionary",
 * "plain", "lz4", "alphabet", "words", "alp". */
const char *encoding_name(uint8_t encoding);
#define ENCODING_COUNT_MAX 16

struct block_encoded {
    uint8_t encoding;
    uint64_t raw_bytes; /* of the values as they are, NULLs none */
    struct block_zone zone;
};
struct words; /* encoding/words.h */
/* What one block of a column tells the next: zeros at first. One thread at a time. An encoding that
 * lost is not measured for one block, then for three, at most for fifteen, as long as the one that
 * is taken does not do worse than it did. */
struct encode_memory {
    struct words *words; /* the last dictionary of words */
    double rate;         /* of what was last taken: bytes of the body a row, or a byte of text */
    struct {
        uint8_t lost, left; /* times in a row; blocks without it that are still to come */
    } trials[ENCODING_COUNT_MAX];
};
void encode_memory_deinit(struct encode_memory *memory);
/* Forgets a dictionary of more than so many words; 0: any. */
void encode_memory_trim(struct encode_memory *memory, uint32_t words_max);

/* Between pieces of work of well under 5 ms the encoder calls `pause` (NULL: never), which may give
 * the processor away. */
struct encode_options {
    void (*pause)(void *context);
    /* Both or neither. drain: what stands in `out` is done with for now, and multiples of 8 bytes
     * of it may be taken away; called now and then while a large block is made. restart: back to
     * where the block began, what was taken is void. */
    void (*drain)(void *context);
    void (*restart)(void *context);
    void *context;
    struct encode_memory *memory; /* NULL: each block for itself */
    uint32_t forbidden;           /* bit per encoding: tests leave some out */
};
/* Appends one block to `out` (8-byte aligned at its start if `out` was). */
void block_encode(const struct block_values *values, const struct encode_options *options,
                  struct writer *out, struct block_encoded *encoded);

/* An open block: borrows its bytes, which must outlive it. No memory of its own. */
struct block {
    enum block_class class;
    uint8_t encoding;
    uint32_t row_count;
    uint32_t null_count;
    const uint8_t *data; /* private from here on */
    size_t size;
    uint64_t state[12];
};
/* ERR_CORRUPT for bytes that this class and row count cannot have. Everything that later reads
 * depend on is checked here. Cost: small against one read of the whole block. */
MUST_CHECK enum err block_open(struct slice bytes, enum block_class class, uint32_t row_count,
                               struct block *out, struct error *error);

/* INTEGER: the least and the greatest value that reads of rows that are not NULL give, exactly.
 * Both come from the block's bytes: codes that reads and sets see are never above `high` whatever
 * the rest of the bytes is, so a dictionary with more entries than that is safe from them. False:
 * all rows are NULL (reads give 0), or another class. */
bool block_bounds(const struct block *block, int64_t *low, int64_t *high);

/* Memory of reads, the caller's for as long as it likes; what text reads return lies in it (or in
 * the block) until the next text read with the same scratch. */
struct block_scratch {
    char *data;
    size_t capacity;
    uint64_t tag; /* which piece of which block is in `data`: reading on is free */
};
void block_scratch_init(struct block_scratch *scratch);
void block_scratch_deinit(struct block_scratch *scratch);

/* Rows [begin, begin + count): begin a multiple of BLOCK_VECTOR_ROWS, count <= BLOCK_VECTOR_ROWS.
 * `out` by class: int64_t, double, 16 bytes, struct slice. Values of NULL rows are unspecified but
 * harmless (codes stay below the largest code of the block). ERR_CORRUPT: text that does not
 * decompress to what the block says (checked at each read, lz4 being a stream). */
MUST_CHECK enum err block_read(const struct block *block, uint32_t begin, uint32_t count,
                               struct block_scratch *scratch, void *out, struct error *error);
/* The same for an INTEGER block whose values fit 32 bits: codes, none above block_bounds()'s high.
 */
void block_read_codes(const struct block *block, uint32_t begin, uint32_t count, uint32_t *out);
/* Single rows, ascending, `rows` relative to the block; of TEXT all within one vector. */
MUST_CHECK enum err block_read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                                  struct block_scratch *scratch, void *out, struct error *error);
/* 1 or 0 per row. False: no row of them is NULL and `out` was not written. */
bool block_validity(const struct block *block, uint32_t begin, uint32_t count, uint8_t *out);

/* The sum of rows [begin, begin + count) of an INTEGER block that are not NULL. */
__int128 block_sum(const struct block *block, uint32_t begin, uint32_t count);

/* Part of a block that has no NULL in it: rows [begin, end), or those that rows[begin … end - 1]
 * name, ascending. */
struct block_part {
    uint32_t begin, end;
    const uint32_t *rows; /* NULL: a run */
};
/* INTEGER: the sum; the least and the greatest, where there is a row at all. */
__int128 block_part_sum(const struct block *block, const struct block_part *part);
void block_part_range(const struct block *block, const struct block_part *part, int64_t *least,
                      int64_t *greatest);
/* FLOAT: the sum and what rounding lost of it, the same whatever the instruction set; the first of
 * the least and of the greatest, NaN being the greatest. Errors as of block_read(). */
struct float_total {
    double sum, lost;
    uint64_t infinite_count; /* rows; 0 where the sum overflowed by itself */
};
MUST_CHECK enum err block_part_total(const struct block *block, const struct block_part *part,
                                     struct block_scratch *scratch, struct float_total *out,
                                     struct error *error);
MUST_CHECK enum err block_part_extremes(const struct block *block, const struct block_part *part,
                                        struct block_scratch *scratch, double *least,
                                        double *greatest, struct error *error);

/* Predicates on encoded values, one vector at a time. Rows that are not NULL and satisfy it, as
 * offsets from `begin`, ascending, into `selection` (room for BLOCK_VECTOR_ROWS + 16); their number
 * is returned. INTEGER only. */
uint32_t block_select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                            int64_t high, uint32_t *selection);
/* Codes whose bit is set: bit code % 64 of word code / 64; the set covers all codes up to
 * block_bounds()'s high (code 0 where that is false). */
uint32_t block_select_set(const struct block *block, uint32_t begin, uint32_t count,
                          const uint64_t *set, uint32_t *selection);

#endif
