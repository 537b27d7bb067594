/* Inner loops over packed values, in a variant per instruction set. */
#ifndef FRESHET_STORAGE_ENCODING_KERNELS_H
#define FRESHET_STORAGE_ENCODING_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A unit: so many values, packed in lanes that lie side by side (bitpack.c). A unit of width w has
 * 128 * w bytes, lanes of 32 bits up to width 32 and of 64 bits above. */
#define UNIT_VALUES 1024u
#define UNIT_ROW_BYTES 128u
#define SELECT_ROOM 16u /* what selections are written past their end, and values read */

#define SUM_NEAR_MAX 8192u

enum kernel_isa { KERNEL_BASE, KERNEL_AVX2, KERNEL_AVX512, KERNEL_ISA_COUNT };

/* Input has any alignment. Packed input is a whole unit, output a whole unit. */
typedef void unpack32_function(const uint8_t *restrict packed, uint32_t *restrict out);
typedef void codes32_function(const uint8_t *restrict packed, uint32_t base, uint32_t limit,
                              uint32_t *restrict out);
typedef void unpack64_function(const uint8_t *restrict packed, uint64_t *restrict out);

struct bitpack {                        /* bitpack.c */
    unpack32_function *const *unpack32; /* [width], 0 … 32 */
    codes32_function *const *codes32;   /* [width], 1 … 32: min(base + value, limit) */
    unpack64_function *const *unpack64; /* [width - 33], 33 … 64 */
    void (*pack32)(const uint32_t *restrict values, uint32_t width, uint8_t *restrict out);
    void (*pack64)(const uint64_t *restrict values, uint32_t width, uint8_t *restrict out);
    /* out[i] = ((values[i] - base) >> shift) * factor modulo 2^32, the difference modulo 2^64 */
    void (*narrow)(const uint64_t *restrict values, uint32_t count, uint64_t base, uint32_t shift,
                   uint32_t factor, uint32_t *restrict out);
    /* out[i] = base + values[i] * scale */
    void (*widen)(const uint32_t *restrict values, uint32_t count, uint64_t base, uint64_t scale,
                  uint64_t *restrict out);
    /* out[i] = min(base + values[i] * scale, limit), 32 bits throughout */
    void (*codes)(const uint32_t *restrict values, uint32_t count, uint32_t base, uint32_t scale,
                  uint32_t limit, uint32_t *restrict out);
};
extern const struct bitpack bitpack_base, bitpack_avx2, bitpack_avx512;

/* Of all values of a unit of up to 32 bits, lane by lane. */
struct lane_ends {
    uint32_t least[32], greatest[32];
};
typedef uint64_t fold_sum_function(const uint8_t *restrict packed);
typedef void fold_ends_function(const uint8_t *restrict packed, struct lane_ends *restrict ends);
#define FOLD_SUM_WIDTH_MAX 54 /* a unit's sum has 64 bits */

struct fold {                      /* fold.c */
    fold_sum_function *const *sum; /* [width], 1 … FOLD_SUM_WIDTH_MAX */
    fold_ends_function *const
        *ends; /* [width], 1 … 32: moves `ends` apart where values are beyond */
};
extern const struct fold fold_base, fold_avx2, fold_avx512;

/* Rows of a vector's first `count` values with value - low <= span (modulo 2^32); width 1 … 32. Its
 * units end with the last row of words that has a value in it (packed.c). The selection is writable
 * SELECT_ROOM past their number. */
typedef uint32_t select_packed_function(const uint8_t *units, uint32_t width, uint32_t count,
                                        uint32_t low, uint32_t span, uint32_t *selection);
extern select_packed_function select_packed_avx512; /* between.c */
/* The same of values whose bit is set in `table`; width 1 … packed_set_width_max(), a bit for each
 * value of so many bits. */
#define PACKED_SET_WIDTH_MAX 12
#define PACKED_SET_WIDTH_MAX_PLAIN 9
typedef uint32_t select_packed_set_function(const uint8_t *units, uint32_t width, uint32_t count,
                                            const uint64_t *table, uint32_t *selection);
extern select_packed_set_function select_packed_set_avx512; /* between.c */
uint32_t packed_set_width_max_avx512(void);                 /* narrow.c */
/* And in one of SELECT_RUNS ranges that end within values of so many bits. */
#define SELECT_RUNS 4
struct value_run {
    uint32_t low, span;
};
#define PACKED_RUNS_WIDTH_MIN 10
#define PACKED_RUNS_WIDTH_MAX 16
typedef uint32_t select_packed_runs_function(const uint8_t *units, uint32_t width, uint32_t count,
                                             const struct value_run *runs, uint32_t *selection);
extern select_packed_runs_function select_packed_runs_avx512; /* between.c */
/* Bits of these rows, as list_hits_avx512() wants them, more values at a time than one for each
 * lane (narrow.c). False: not with this width, or processor. */
bool narrow_find_range(const uint8_t *units, uint32_t width, uint32_t count, uint32_t low,
                       uint32_t span, uint16_t *hits);
bool narrow_find_set(const uint8_t *units, uint32_t width, uint32_t count, const uint64_t *table,
                     uint16_t *hits);
bool narrow_find_runs(const uint8_t *units, uint32_t width, uint32_t count,
                      const struct value_run *runs, uint16_t *hits);
/* Rows, counted from `row`, whose bits are set: bit b of hits[i] is of the (16 * i + b)-th. There
 * is room for the bits of a multiple of 64 rows; those past `count` do not count. */
uint32_t list_hits_avx512(uint16_t *hits, uint32_t count, uint32_t row, uint32_t *selection);

/* out[i] = first + i * step + scale * (values[1] + … + values[i]), modulo 2^64. The sum of values
 * keeps within 32 bits; they are readable up to the next multiple of SELECT_ROOM. */
typedef void add_steps_function(const uint32_t *values, uint32_t count, uint64_t first,
                                uint64_t step, uint64_t scale, uint64_t *out);
extern add_steps_function add_steps_avx512; /* steps.c */

/* An alphabet of bytes, each with a number; made by alphabet_code_make(). */
#define ALPHABET_MAX 64u
#define ALPHABET_ROOM 32u /* what narrow() writes past its end */
struct alphabet_code {
    uint32_t width;       /* bits of a number: 1 … 6 */
    uint8_t numbers[256]; /* by byte; 0 for those that are not of it */
    uint8_t is_member[256];
    uint8_t sets[2][16]; /* by lower half: bits of the upper halves 0 … 7, 8 … 15 */
    uint32_t row_count;  /* upper halves that occur, each with the numbers of its bytes */
    uint8_t row_first[16];
    uint8_t row_numbers[16][16];
};
/* `bytes` ascending, 1 … ALPHABET_MAX of them. */
void alphabet_code_make(const uint8_t *bytes, uint32_t count, struct alphabet_code *code);

struct alphabet_kernels { /* alphabet_code.c */
    bool (*has_all)(const struct alphabet_code *code, const uint8_t *bytes, size_t size);
    /* Eight bytes, all members, to `width` bytes. */
    void (*narrow)(const struct alphabet_code *code, const uint8_t *bytes, size_t eights,
                   uint8_t *out);
    /* And back; `alphabet` has ALPHABET_MAX bytes. Any packed bytes are fine. */
    void (*widen)(const uint8_t *alphabet, uint32_t width, const uint8_t *packed, size_t eights,
                  uint8_t *out);
};
extern const struct alphabet_kernels alphabet_base, alphabet_avx2;

struct kernels { /* kernels.c */
    const char *name;
    enum kernel_isa isa;
    const struct bitpack *pack;
    const struct fold *fold;
    const struct alphabet_kernels *alphabet;
    /* Index of every value with value - low <= span (unsigned, wrapping). Values are readable, and
     * the selection is writable, up to the next multiple of SELECT_ROOM. */
    uint32_t (*select32)(const uint32_t *values, uint32_t count, uint32_t low, uint32_t span,
                         uint32_t *selection);
    uint32_t (*select64)(const uint64_t *values, uint32_t count, uint64_t low, uint64_t span,
                         uint32_t *selection);
    select_packed_function *select_packed; /* NULL: unpacked first */
    select_packed_set_function *select_packed_set;
    uint32_t (*packed_set_width_max)(void);
    select_packed_runs_function *select_packed_runs;
    /* Index of every value that is in one of SELECT_RUNS ranges, each as select32() has it. */
    uint32_t (*select_runs)(const uint32_t *values, uint32_t count, const struct value_run *runs,
                            uint32_t *selection);
    /* Index of every code whose bit is set; no code is above `limit`, which `set` covers. Codes are
     * readable, and the selection is writable, as above. */
    uint32_t (*select_set)(const uint32_t *codes, uint32_t count, const uint64_t *set,
                           uint32_t limit, uint32_t *selection);
    /* Their sum modulo 2^32. */
    uint32_t (*sum32)(const uint32_t *values, uint32_t count);
    /* The sum, of at most 2^31 values. */
    __int128 (*sum64)(const int64_t *values, uint32_t count);
    /* The sum of doubles, given by their bits, and what rounding lost of it: bit by bit the same in
     * every variant. */
    void (*sum_doubles)(const uint64_t *values, size_t count, double *sum, double *lost);
    /* The same of entries[codes[i]], 8 bytes each, wherever they lie. */
    void (*sum_entries)(const uint8_t *entries, const uint32_t *codes, size_t count, double *sum,
                        double *lost);
    /* The same again of at most SUM_NEAR_MAX, none below 0, all at most `near`: a power of two,
     * from 2^-900 to 2^900. */
    void (*sum_near)(const uint8_t *entries, const uint32_t *codes, size_t count, double near,
                     double *sum, double *lost);
    /* The least and the greatest; count is not 0. */
    void (*range32)(const uint32_t *values, uint32_t count, uint32_t *least, uint32_t *greatest);
    add_steps_function *add_steps; /* NULL: nothing better than an addition a value */
    /* The sum of lengths, and of each value times its length, of at most 2^15. */
    void (*sum_lengths)(const uint32_t *values, const uint16_t *lengths, uint32_t count,
                        uint64_t *rows, uint64_t *sum);
    /* The sum of each value times its length, of at most 2^15 of both. */
    __int128 (*sum_runs)(const int64_t *values, const uint16_t *lengths, uint32_t count);
};

/* NULL: not on this processor. */
const struct kernels *kernels_of(enum kernel_isa isa);
/* The best there is, chosen at the first call; any thread. */
const struct kernels *kernels_chosen(void);
/* From now on this one, for tests and benchmarks; false: not on this processor. */
bool kernels_choose(enum kernel_isa isa);

#endif
