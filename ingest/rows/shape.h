/* The shape of a stream's rows: which fields follow each other, in which bytes, and what becomes of
 * their values. Learned by decode/template.c and kept with the mapping, so that the next body need
 * not learn it again. One allocation, no pointers into anything else, immutable once given away. */
#ifndef FRESHET_INGEST_ROWS_SHAPE_H
#define FRESHET_INGEST_ROWS_SHAPE_H

#include <stdint.h>

#define SHAPE_SLOTS_MAX 256
#define SHAPE_LITERAL_MAX 64
/* Shapes that one mapping keeps. */
#define SHAPES_MAX 8

/* How a value is read and what it becomes. */
enum shape_take {
    TAKE_TEXT,    /* string to text */
    TAKE_TIME,    /* string to timestamptz */
    TAKE_UUID,    /* string to uuid */
    TAKE_STRING,  /* string to anything else */
    TAKE_INT,     /* number to integers */
    TAKE_FLOAT,   /* number to float8 */
    TAKE_NUMERIC, /* number to numeric */
    TAKE_NUMBER,  /* number to anything else */
    TAKE_BOOL,    /* true, false to boolean */
    TAKE_ANY,     /* whatever is there to whatever the column is */
    TAKE_UNKNOWN  /* no column takes it */
};

struct shape_slot {
    /* What stands between the value before and this one: `,"key":`, and the opening quote of a
     * string. Zeros behind. */
    char literal[SHAPE_LITERAL_MAX];
    uint32_t mask; /* a bit for each of the first 32 bytes that count */
    uint16_t literal_size;
    uint16_t name_begin, name_size; /* of the key, within the literal */
    uint8_t take;
    uint8_t rank;    /* of the name, enum mapping_rank */
    uint32_t column; /* not TAKE_UNKNOWN */
};

struct shape {
    uint32_t slot_count;
    uint32_t column_count;  /* slots that are not TAKE_UNKNOWN */
    struct shape_slot tail; /* the bytes before and with the closing brace */
    struct shape_slot slots[];
};

#endif
