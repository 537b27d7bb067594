/* What the files of this folder share: the table's row, a block being encoded, packed vectors. */
#ifndef FRESHET_STORAGE_ENCODING_PRIVATE_H
#define FRESHET_STORAGE_ENCODING_PRIVATE_H

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/encoding/encoding.h"
#include "storage/encoding/kernels.h"

#include <assert.h>

#define BLOCK_VECTORS_MAX (BLOCK_ROWS_MAX / BLOCK_VECTOR_ROWS)
#define BLOCK_HEADER_SIZE 32u
#define BODY_IMPOSSIBLE UINT64_MAX /* of measure: this encoding does not fit */
#define SAMPLE_VECTORS_STEP 8u     /* one vector in so many is looked at before all are measured */
#define CLASS_BIT(class) (1u << (class))

static inline uint32_t vector_count_of(uint32_t row_count)
{
    return (row_count + BLOCK_VECTOR_ROWS - 1) / BLOCK_VECTOR_ROWS;
}

static inline uint32_t vector_rows_of(uint32_t row_count, uint32_t vector)
{
    uint32_t left = row_count - vector * BLOCK_VECTOR_ROWS;
    return left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
}

static inline uint64_t align8(uint64_t size)
{
    return (size + 7) & ~UINT64_C(7);
}

static inline uint16_t load_u16(const uint8_t *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t load_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint64_t load_u64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
}

static inline int64_t text_order_of(struct slice text)
{
    uint64_t first = 0;
    if (text.size >= sizeof(first))
        return (int64_t)(__builtin_bswap64(load_u64((const uint8_t *)text.data)) ^ UINT64_C(1)
                                                                                       << 63);
    for (size_t i = 0; i < sizeof(first); i++)
        first = first << 8 | (i < text.size ? (uint8_t)text.data[i] : 0);
    return (int64_t)(first ^ UINT64_C(1) << 63);
}

/* Exact division by a number that is known ahead: a shift and a multiplication by the inverse of
 * its odd part modulo 2^64, several times faster than the instruction for dividing. */
struct divisor {
    uint64_t value, inverse, limit;
    uint32_t shift;
};
struct divisor divisor_of(uint64_t value); /* not 0 */

static inline bool is_divisible(uint64_t number, const struct divisor *divisor)
{
    uint64_t odd = number >> divisor->shift;
    return odd << divisor->shift == number && odd * divisor->inverse <= divisor->limit;
}

static inline uint64_t divide_exactly(uint64_t number, const struct divisor *divisor)
{
    return (number >> divisor->shift) * divisor->inverse;
}

/* Greatest common divisor of all distances from `low`, the least of them; at least 1. */
uint64_t integers_scale(const int64_t *values, uint32_t row_count, int64_t low);

/* --- range.c: the least and the greatest; count is not 0 --- */
void integers_range(const int64_t *values, uint32_t count, int64_t *low, int64_t *high);

/* --- fixed.c: doubles of a dictionary as multiples of near / 2^60 --- */
/* None is below 0 or as much as `near`, a power of two from 2^-900 to 2^900. */
void fixed_make(const uint8_t *entries, uint32_t count, double near, uint64_t *fixed);
unsigned __int128 fixed_sum(const uint64_t *fixed, const uint32_t *codes, uint32_t count);
/* Such a sum of `count` values, and what rounding it lost. False: values are too small beside
 * `near`. */
bool fixed_result(unsigned __int128 all, uint32_t count, double near, double *sum, double *lost);

/* --- packed.c: integers packed by vectors of 2,048, each with a base and a width of its own --- */

struct packed_plan {
    uint32_t row_count;
    uint64_t scale; /* every value is its vector's base plus a multiple of it; at least 1 */
    uint64_t size;  /* of the whole section, a multiple of 8 */
    int64_t base[BLOCK_VECTORS_MAX];
    uint8_t width[BLOCK_VECTORS_MAX];
};
void packed_plan_make(const int64_t *values, uint32_t row_count, uint64_t scale,
                      struct packed_plan *plan);
void packed_write(const struct packed_plan *plan, const int64_t *values, struct writer *out);

struct packed {
    const uint8_t *heads; /* per vector: base, offset, width */
    const uint8_t *units;
    uint64_t scale;
    uint32_t row_count;
};
/* Takes the section from the front of `bytes`; *size its length. False: not one. */
bool packed_open(struct slice bytes, uint32_t row_count, struct packed *out, size_t *size);
void packed_read(const struct packed *packed, uint32_t vector, uint32_t count, int64_t *out);
/* Values as 32 bits, none above `limit` whatever the bytes are. */
void packed_read_codes(const struct packed *packed, uint32_t vector, uint32_t count, uint32_t limit,
                       uint32_t *out);
int64_t packed_at(const struct packed *packed, uint32_t row);
__int128 packed_sum(const struct packed *packed, uint32_t vector, uint32_t count);
/* Of rows [begin, begin + count) of a vector, begin a unit's first, what is added `scale` times to
 * *base. False: packed so that they have to be read. `out` has room for whole units. */
bool packed_read_narrow(const struct packed *packed, uint32_t vector, uint32_t begin,
                        uint32_t count, uint32_t *out, int64_t *base);
/* The least and the greatest of rows [first, first + count) of a vector. False: packed so that they
 * have to be read for it. */
bool packed_range(const struct packed *packed, uint32_t vector, uint32_t first, uint32_t count,
                  int64_t *least, int64_t *greatest);
/* Ascending rows of any vectors. */
void packed_pick(const struct packed *packed, const uint32_t *rows, uint32_t count, int64_t *out);
uint32_t packed_select(const struct packed *packed, uint32_t vector, uint32_t count, int64_t low,
                       int64_t high, uint32_t *selection);

/* Codes, none above `limit` whatever the bytes are, whose bit is set; `set` covers the limit. */
uint32_t packed_select_set(const struct packed *packed, uint32_t vector, uint32_t count,
                           const uint64_t *set, uint32_t limit, uint32_t *selection);

/* Bytes of `count` <= 2,048 packed values; writing (value - base) / scale of each, which is exact;
 * and reading what is packed. */
struct units_from {
    uint64_t base;
    struct divisor scale;
};
uint32_t units_size(uint32_t count, uint32_t width);
void units_write(const uint64_t *values, uint32_t count, const struct units_from *from,
                 uint32_t width, uint8_t *out);
/* `out` has room for 2,048 values: uint32_t up to width 32, uint64_t above. */
void units_read(const uint8_t *units, uint32_t count, uint32_t width, void *out);

/* --- a block being encoded --- */

struct dictionary_plan;
struct alp_plan;
struct words;

struct encode_job {
    const struct encode_options *options;
    enum block_class class;
    uint32_t row_count;
    uint32_t width; /* bytes of a value; 0: text */
    /* One of them, NULL rows filled with what costs least. */
    const uint8_t *bytes;
    const int64_t *integers; /* the same memory where width is 8: FLOAT as its bits */
    const struct slice *text;
    const uint8_t *validity;
    bool is_constant;
    uint32_t first_valid; /* row_count: none */
    int64_t low, high;    /* INTEGER; TEXT: as text_order(), of the rows that were noted */
    uint32_t noted_rows;  /* TEXT: all, or none that counts */
    uint64_t scale;       /* greatest common divisor of all differences; at least 1 */
    uint64_t best;        /* bytes of the best body so far: measuring may stop at it */
    uint64_t text_size;   /* TEXT: all bytes of all rows */
    uint64_t vector_size[BLOCK_VECTORS_MAX];
    int64_t *lengths; /* of each text */
    struct packed_plan frame, sizes, codes;
    struct delta_plan {
        uint64_t size, scale;
        int64_t step[BLOCK_VECTORS_MAX];
        uint8_t width[BLOCK_VECTORS_MAX];
    } delta;
    struct dictionary_plan *dictionary; /* freed by dictionary_plan_destroy() */
    struct alp_plan *alp;               /* memory_free() */
    /* An alphabet is judged by a sample; a text that has another byte is met while it is written,
     * and then all is measured anew, by all texts. */
    bool is_strict, is_misjudged;
    struct {
        uint8_t bytes[ALPHABET_MAX]; /* ascending; those that occur, if they are so few */
        uint32_t count;
        struct alphabet_code code;
    } alphabet;
    struct words *words;  /* freed by words_destroy() */
    struct writer pieces; /* what lz4 made of the values */
    struct {
        uint64_t stored;
        uint64_t raw;
    } piece_sizes[BLOCK_VECTORS_MAX];
};
void dictionary_plan_destroy(struct dictionary_plan *plan);

/* Encoders of texts that look at every text anyway note each, and the block's range costs no look
 * of its own at what lies all over memory. */
static inline void job_note_text(struct encode_job *job, uint32_t row)
{
    job->noted_rows++;
    if (job->validity != NULL && !job->validity[row] && !fault_is("encoding.null_noted"))
        return;
    int64_t order = text_order_of(job->text[row]);
    job->low = order < job->low ? order : job->low;
    job->high = order > job->high ? order : job->high;
}

static inline void job_pause(const struct encode_job *job)
{
    if (job->options != NULL && job->options->pause != NULL)
        job->options->pause(job->options->context);
}

static inline void job_drain(const struct encode_job *job)
{
    if (job->options != NULL && job->options->drain != NULL)
        job->options->drain(job->options->context);
}

/* --- lz4.c: one piece of bytes --- */

/* Appends `raw` compressed, or as it is where that is no larger; what was appended. Such a piece is
 * told by its size. */
uint32_t piece_write(struct slice raw, struct writer *out);
/* False: not `raw_size` bytes. */
bool piece_read(struct slice stored, uint8_t *raw, size_t raw_size);
/* What a piece of so many bytes can be at most when it is read back. */
static inline bool piece_is_possible(uint64_t stored, uint64_t raw)
{
    return stored > 0 && stored <= raw && raw <= stored * 256 + 64;
}

/* --- text.c: what encodings of texts share --- */

/* Where one is in texts that lie anywhere. */
struct text_walk {
    const struct slice *text;
    size_t offset; /* in *text */
};
/* Copies the next `size` bytes, of as many texts as that takes. */
void text_walk_take(struct text_walk *walk, size_t size, uint8_t *out);
/* Offsets of the first `count` texts of a vector that holds `raw` bytes, and their end: count + 1
 * numbers. False: they do not add up. */
bool text_read_offsets(const struct packed *sizes, uint32_t vector, uint32_t count, uint64_t raw,
                       uint64_t *offsets);

/* --- the table --- */

/* Rows of one vector, which begins at row `vector`. */
struct span {
    uint32_t vector;
    uint32_t first, count; /* a run, where `rows` is NULL */
    const uint32_t *rows;  /* `count` of them, ascending */
};
/* Rows of the vector that have to be decoded for it. */
static inline uint32_t span_reach(const struct span *span)
{
    return (span->rows == NULL ? span->first + span->count : span->rows[span->count - 1] + 1) -
           span->vector;
}

struct encoding {
    const char *name;
    const char *doc;
    uint8_t tag;      /* in files: never renumbered */
    uint8_t handicap; /* taken only if smaller by so many percent: what reading it costs more */
    uint8_t classes;  /* CLASS_BIT of each it can be */
    bool is_dear;     /* to measure, so that it is not tried for each block (encode_memory) */
    /* Bytes of the body, or BODY_IMPOSSIBLE; and the body. Of words it is what a sample says, of
     * all others just that many. */
    uint64_t (*measure)(struct encode_job *job);
    void (*encode)(struct encode_job *job, struct writer *out);
    /* Fills block_own(); false: not such a body. */
    bool (*open)(struct block *block, struct slice body);
    enum err (*read)(const struct block *block, uint32_t begin, uint32_t count,
                     struct block_scratch *scratch, void *out, struct error *error);
    enum err (*read_at)(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error);
    bool is_at_anywhere; /* read_at takes rows of any vectors; else of one */
    /* NULL: from read(). All four for INTEGER blocks only, whose reads cannot fail; they know
     * nothing of NULLs. `limit`: no code above it. */
    void (*codes)(const struct block *block, uint32_t begin, uint32_t count, uint32_t limit,
                  uint32_t *out);
    __int128 (*sum)(const struct block *block, uint32_t begin, uint32_t count);
    uint32_t sum_reach; /* rows of several vectors that `sum` takes at once; 0: a vector's */
    /* NULL: from read(). `range` of INTEGER blocks, the others of FLOAT; count is not 0. `range`
     * and `extremes` may say false: not by this way. */
    bool (*range)(const struct block *block, const struct span *span, int64_t *least,
                  int64_t *greatest);
    void (*total)(const struct block *block, const struct span *span, double *sum, double *lost);
    /* NULL, or false: by spans. Rows [begin, end) of any vectors. */
    bool (*total_run)(const struct block *block, uint32_t begin, uint32_t end, double *sum,
                      double *lost);
    bool (*extremes)(const struct block *block, const struct span *span, double *least,
                     double *greatest);
    uint32_t (*select_range)(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                             int64_t high, uint32_t *selection);
    uint32_t (*select_set)(const struct block *block, uint32_t begin, uint32_t count,
                           const uint64_t *set, uint32_t limit, uint32_t *selection);
};
extern const struct encoding encoding_constant, encoding_rle, encoding_frame, encoding_delta,
    encoding_dictionary, encoding_plain, encoding_lz4, encoding_text_plain, encoding_text_lz4,
    encoding_alphabet, encoding_words, encoding_alp;

/* NULL: no encoding of that tag has the class. */
const struct encoding *encoding_of(uint8_t tag, enum block_class class);

/* The words of block->state: the first are common to all encodings, the rest is its own. */
enum block_state {
    STATE_BODY,     /* offset of the body; the bitmap of validity lies before it */
    STATE_VALIDITY, /* enum validity_kind */
    STATE_SERIAL,   /* no two opened blocks of a process have the same */
    STATE_LOW,      /* INTEGER: least and greatest value */
    STATE_HIGH,
    STATE_OWN
};
#define BLOCK_OWN_SIZE (sizeof((struct block){0}.state) - STATE_OWN * sizeof(uint64_t))

/* block_own(block, &own) and block_set_own(block, &own): a struct of at most BLOCK_OWN_SIZE. */
#define block_own(block, own)                                                                      \
    do {                                                                                           \
        static_assert(sizeof(*(own)) <= BLOCK_OWN_SIZE, "fits the block's state");                 \
        memcpy((own), &(block)->state[STATE_OWN], sizeof(*(own)));                                 \
    } while (0)
#define block_set_own(block, own)                                                                  \
    do {                                                                                           \
        static_assert(sizeof(*(own)) <= BLOCK_OWN_SIZE, "fits the block's state");                 \
        memcpy(&(block)->state[STATE_OWN], (own), sizeof(*(own)));                                 \
    } while (0)

static inline uint32_t block_width(enum block_class class)
{
    return class == BLOCK_TEXT ? 0 : class == BLOCK_WIDE ? 16 : 8;
}

/* A tag of scratch for a vector of an open block. */
static inline uint64_t block_tag(const struct block *block, uint32_t vector)
{
    return block->state[STATE_SERIAL] * (BLOCK_VECTORS_MAX + 1) + vector + 1;
}
/* Room for `size` bytes; false: there is no memory. What was in it is lost, the tag is 0. */
bool scratch_reserve(struct block_scratch *scratch, size_t size);
enum err error_block(struct error *error, const char *what);

/* Row numbers 0 … count - 1, or those of [begin, end) */
uint32_t select_rows_between(uint32_t begin, uint32_t end, uint32_t *selection, uint32_t selected);

/* --- validity.c --- */

enum validity_kind { VALIDITY_ALL, VALIDITY_NONE, VALIDITY_BITMAP, VALIDITY_COUNT };
size_t validity_size(enum validity_kind kind, uint32_t row_count);
void validity_write(const uint8_t *validity, uint32_t row_count, struct writer *out);
/* Bits behind the last row are 0, and as many rows are NULL as `null_count` says. */
bool validity_check(const uint8_t *bitmap, enum validity_kind kind, uint32_t row_count,
                    uint32_t null_count);
/* As block_validity(). */
bool validity_read(const uint8_t *bitmap, enum validity_kind kind, uint32_t begin, uint32_t count,
                   uint8_t *out);
uint32_t validity_filter(const uint8_t *bitmap, enum validity_kind kind, uint32_t begin,
                         uint32_t *selection, uint32_t selected);

#endif
