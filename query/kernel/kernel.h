/* Plain loops over flat arrays that the compiler turns into vector code. No NULLs, no selections,
 * no errors: the caller joins validity and looks at flags. An argument that is one value for all
 * rows has `is_constant` set. */
#ifndef FRESHET_QUERY_KERNEL_KERNEL_H
#define FRESHET_QUERY_KERNEL_KERNEL_H

#include "storage/base/numeric.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum compare_operation { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };

struct kernel_int {
    const int64_t *values;
    bool is_constant;
};
struct kernel_float {
    const double *values;
    bool is_constant;
};

/* out[i] = a[i] op b[i], 0 or 1. */
void compare_int(enum compare_operation operation, struct kernel_int a, struct kernel_int b,
                 size_t count, uint8_t *out);
/* PostgreSQL's order: NaN equals NaN and is above everything. */
void compare_float(enum compare_operation operation, struct kernel_float a, struct kernel_float b,
                   size_t count, uint8_t *out);

enum arith_operation { ARITH_ADD, ARITH_SUBTRACT, ARITH_MULTIPLY };
/* out[i] = a[i] op b[i] modulo 2^64; true if any result leaves [min, max] (or int64). */
bool arith_int(enum arith_operation operation, struct kernel_int a, struct kernel_int b,
               int64_t min, int64_t max, size_t count, int64_t *out);
/* out[i] = a[i] op b[i]; true if any result is infinite or NaN, or zero (a product that may have
 * underflowed). */
bool arith_float(enum arith_operation operation, struct kernel_float a, struct kernel_float b,
                 bool is_single, size_t count, double *out);

/* The sum and what rounding took from it. Infinities and NaN come out as such in the sum. */
void sum_doubles(const double *values, size_t count, double *sum, double *compensation);
/* False if they are not all finite, of one scale and within 64 bits. */
bool sum_numerics(const struct numeric *values, size_t count, struct numeric *sum);

/* The least and the greatest of at least one. */
void range_ints(const int64_t *values, size_t count, int64_t *low, int64_t *high);

/* By code: counts, and sums. Each code has TALLY_LANES places side by side, and row i goes to place
 * i % TALLY_LANES. tally_rows gives all counts found there, or-ed. */
#define TALLY_LANES 4
struct tally_sum {
    double sum, lost;
};
uint32_t tally_rows(const uint32_t *codes, size_t count, uint32_t *counts);
void tally_selected(const uint32_t *codes, const uint32_t *selection, size_t count,
                    uint32_t *counts); /* one place a code */
/* The caller sees to it that no sum overflows. */
void tally_ints(const uint32_t *codes, const int64_t *values, size_t count, int64_t *sums);
/* Compensated. */
void tally_doubles(const uint32_t *codes, const double *values, size_t count,
                   struct tally_sum *sums);
/* Doubles that are 0 or lie between two powers of two, none below 0, can be added up in two parts
 * for a better sum at less cost: up to 2^TALLY_ROWS_BIT rows from places that are 0. */
#define TALLY_ROWS_BIT 18
struct tally_window {
    int64_t low, high; /* as bits, inclusive */
    double magic;
};
/* A window for values like these (at least one); false: there is none. */
bool tally_window_make(const double *values, size_t count, struct tally_window *window);
bool tally_window_holds(const struct tally_window *window, const double *values, size_t count);
/* counts NULL: not counted; else as tally_rows. */
uint32_t tally_parts(const struct tally_window *window, const uint32_t *codes, const double *values,
                     size_t count, struct tally_sum *sums, uint32_t *counts);

/* Is any of them infinite? */
bool has_infinite(const double *values, size_t count);

/* The key of that rank (0: the least); keys are moved about. */
uint64_t select_rank(uint64_t *keys, size_t count, size_t rank);
/* … and the one after it (the same at the end). */
void select_pair(uint64_t *keys, size_t count, size_t rank, uint64_t pair[2]);

/* Doubles as integers that are in the same order: -0 below 0, NaN above everything. */
void keys_of_doubles(const double *values, size_t count, uint64_t *keys);
double double_of_key(uint64_t key);
/* Of those keys the ones from low to high, and added to *below how many are less. `keys` has room
 * for count + BETWEEN_ROOM. */
#define BETWEEN_ROOM 8
size_t keys_between(const double *values, size_t count, uint64_t low, uint64_t high, uint64_t *keys,
                    size_t *below);

/* Sketches of distinct values: a hash's first bits name a register, which keeps the greatest rank
 * (the place of the first 1 behind them). */
#define REGISTERS_BITS 14
#define REGISTERS_COUNT ((size_t)1 << REGISTERS_BITS)
void hash_ints(const int64_t *values, size_t count, uint64_t *hashes); /* hash_mix() of each */
void registers_add(uint8_t *registers, const uint64_t *hashes, size_t count);
void registers_max(uint8_t *to, const uint8_t *from); /* to = the greater of each two */

/* Row numbers i where mask[i] and (validity NULL or valid[i]); out has room for count. Returns how
 * many. */
size_t select_mask(const uint8_t *mask, const uint8_t *validity, size_t count, uint32_t *out);
/* The same over the rows of a selection. `out` may be `selection`. */
size_t select_rows(const uint8_t *mask, const uint8_t *validity, const uint32_t *selection,
                   size_t count, uint32_t *out);
/* out[i] = a[i] & b[i]. */
void validity_and(const uint8_t *a, const uint8_t *b, size_t count, uint8_t *out);

#endif
