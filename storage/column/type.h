/* Types: what a column may hold, how it lies in memory, how it reads as text.
 *
 * A type has two memory forms. In a `struct column` (batches, expressions) it is one of six
 * physical classes, so kernels are few: every integer and time is an int64, real and double are
 * double. In a mutable chunk, the log and files it is as narrow as the type. */
#ifndef FRESHET_STORAGE_COLUMN_TYPE_H
#define FRESHET_STORAGE_COLUMN_TYPE_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/datetime.h"
#include "storage/base/error.h"
#include "storage/base/numeric.h"

enum type_id {                   /* stored in files and the log: never renumbered */
               TYPE_UNKNOWN = 0, /* an untyped literal or NULL: text until resolved */
               TYPE_BOOL = 1,
               TYPE_INT2 = 2,
               TYPE_INT4 = 3,
               TYPE_INT8 = 4,
               TYPE_FLOAT4 = 5,
               TYPE_FLOAT8 = 6,
               TYPE_NUMERIC = 7,
               TYPE_TEXT = 8,
               TYPE_VARCHAR = 9,
               TYPE_TIMESTAMPTZ = 10,
               TYPE_TIMESTAMP = 11,
               TYPE_DATE = 12,
               TYPE_INTERVAL = 13,
               TYPE_UUID = 14,
               TYPE_BYTEA = 15,
               TYPE_JSONB = 16,
               TYPE_JSON = 17,
               TYPE_TEXT_ARRAY = 18,
               TYPE_INT8_ARRAY = 19,
               TYPE_BOOL_ARRAY = 20,
               TYPE_INT2_ARRAY = 21,
               TYPE_INT4_ARRAY = 22,
               TYPE_FLOAT4_ARRAY = 23,
               TYPE_FLOAT8_ARRAY = 24,
               TYPE_NUMERIC_ARRAY = 25,
               TYPE_TIMESTAMPTZ_ARRAY = 26,
               TYPE_TIMESTAMP_ARRAY = 27,
               TYPE_DATE_ARRAY = 28,
               TYPE_INTERVAL_ARRAY = 29,
               TYPE_UUID_ARRAY = 30,
               TYPE_BYTEA_ARRAY = 31,
               TYPE_JSONB_ARRAY = 32,
               TYPE_JSON_ARRAY = 33,
               TYPE_COUNT
};

/* Types of PostgreSQL's catalogue, which are bigint, text and arrays of them here. Drivers read
 * them by what they are there, so values of catalogue columns keep the name. Never stored. */
enum type_alias {
    ALIAS_NONE,
    ALIAS_OID,
    ALIAS_XID,
    ALIAS_NAME,
    ALIAS_CHAR, /* "char" */
    ALIAS_INT2VECTOR,
    ALIAS_OIDVECTOR,
    ALIAS_OID_ARRAY,
    ALIAS_NAME_ARRAY,
    ALIAS_CHAR_ARRAY,
    ALIAS_COUNT
};

struct type {
    uint8_t id;        /* enum type_id */
    uint8_t precision; /* numeric(precision, scale): 1 … 18 in a column; 0: unconstrained
                          (expressions) */
    uint8_t scale;
    uint8_t alias;   /* enum type_alias: what it is called on the wire; type_equal() ignores it */
    uint32_t length; /* varchar(length) in characters; 0: none */
};

enum physical {
    PHYSICAL_BOOL,    /* uint8_t, 0 or 1 */
    PHYSICAL_INT,     /* int64_t: smallint integer bigint timestamptz timestamp date */
    PHYSICAL_FLOAT,   /* double; real is a double that is exactly a float */
    PHYSICAL_NUMERIC, /* struct numeric */
    PHYSICAL_TEXT, /* struct slice: text varchar bytea uuid (16 bytes) json jsonb arrays unknown */
    PHYSICAL_INTERVAL /* struct interval */
};

static inline struct type type_of(enum type_id id)
{
    return (struct type){.id = (uint8_t)id};
}
static inline struct type type_plain(struct type type)
{
    type.alias = ALIAS_NONE;
    return type;
}
static inline bool type_equal(struct type a, struct type b)
{
    return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.length == b.length;
}

enum physical type_physical(enum type_id id);
/* Bytes of one element of the physical class: 1, 8, 8, 32, 16, 16. */
size_t physical_size(enum physical physical);
/* Bytes of a fixed-width value in chunks and the log: bool 1, smallint 2, integer date real 4,
 * bigint times double numeric(<=18) 8, uuid 16; 0: variable length. */
size_t type_stored_width(enum type_id id);
bool type_is_storable(enum type_id id); /* not UNKNOWN, not INTERVAL, not arrays of it */
/* What an array's elements are; TYPE_UNKNOWN where the type is no array. */
enum type_id type_element(enum type_id id);
/* The array of such elements (of varchar: text[]); TYPE_UNKNOWN where there is none. */
enum type_id type_array_of(enum type_id element);
static inline bool type_is_array(enum type_id id)
{
    return id >= TYPE_TEXT_ARRAY && id < TYPE_COUNT;
}
/* format_type text: 'timestamp with time zone', 'character varying(10)', 'numeric(18,3)',
 * 'bigint[]'. */
void type_print(struct type type, struct writer *out);
const char *type_name(enum type_id id); /* without modifiers */
/* PostgreSQL's names and aliases, any case, as they stand in SQL or pg_catalog: int8, bigint,
 * "timestamp with time zone", timestamptz, bool, float8, decimal, string types, _text, text[]. */
bool type_find(struct slice name, enum type_id *out);

/* A single value. text-class payloads are borrowed; who made it says from where. */
struct value {
    struct type type;
    bool is_null;
    union {
        bool b;
        int64_t i;
        double f;
        struct numeric n;
        struct slice text;
        struct interval interval;
    };
};

/* Settings that text forms depend on. */
struct text_context {
    const struct timezone *zone; /* NULL: UTC */
    int64_t now_us;              /* for 'now', 'today' */
};

/* Text to a value as PostgreSQL's input function for the type does it, modifiers applied
 * (varchar(n): 22001, numeric(p,s): rounds, 22003). Payloads go into the arena or borrow `text`.
 * 22P02 … */
MUST_CHECK enum err type_parse(struct type type, struct slice text,
                               const struct text_context *context, struct arena *arena,
                               struct value *out, struct error *error);
/* PostgreSQL's output function: 't', '2026-05-01 10:00:00+00', '{a,"b c",NULL}', '\x0a'. NULL
 * prints nothing. */
void value_print(const struct value *value, const struct text_context *context, struct writer *out);
/* As to_json writes it: numbers bare, NaN quoted, text quoted and escaped, json inline, arrays as
 * arrays, times in ISO 8601 with T; NULL is null. */
void value_print_json(const struct value *value, const struct text_context *context,
                      struct writer *out);
/* Order within one type (both not NULL): numbers by value with NaN last, text by bytes, false <
 * true, arrays element by element. */
int value_compare(const struct value *a, const struct value *b);
uint64_t value_hash(
    const struct value *value); /* equal values of one type hash equal (-0 and 0, numeric scales) */
/* Byte form for the log, checkpoints and schemas; reads back exactly. */
void value_write(const struct value *value, struct writer *out);
MUST_CHECK enum err value_read(struct reader *reader, struct arena *arena, struct value *out);
/* The same without the type, for whoever knows it; texts are copied into the arena. */
void value_write_bare(const struct value *value, struct writer *out);
MUST_CHECK enum err value_read_bare(struct reader *reader, struct type type, struct arena *arena,
                                    struct value *out);
void type_write(struct type type, struct writer *out);
struct type type_read(struct reader *reader); /* reader->failed on an unknown id */

/* Arrays lie in one text-class payload: u32 count, then per element u32 size (UINT32_MAX for NULL)
 * and its bytes: texts as they are, whole numbers, times and doubles 8 bytes little-endian,
 * booleans one, numerics 18 (digits, scale, kind), intervals 16 (months, days, microseconds). One
 * dimension.
 */
struct array_reader {
    struct reader reader;
    uint32_t count, index;
    enum type_id element;
};
bool array_begin(struct array_reader *array, enum type_id array_type,
                 struct slice payload);                             /* false: malformed */
bool array_next(struct array_reader *array, struct value *element); /* false at the end */
/* The same piece by piece: a writer_u32() of the count, patched at the end, then elements, each of
 * the array's element type. */
void array_write_element(struct writer *out, const struct value *element);
/* Builds a payload in the arena from `count` elements of the element type. */
struct slice array_build(enum type_id array_type, const struct value *elements, size_t count,
                         struct arena *arena);

#endif
