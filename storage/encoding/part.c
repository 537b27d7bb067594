/* Aggregates over part of a block: a run of its rows, or some of them by number.
 *
 *   run    vectors one behind the other, the first and the last cut; sums of integers as the
 *          encoding knows them (a vector up to its end, less the same up to the beginning)
 *   some   many of a vector: decoded whole, gathered; few: picked one by one
 *
 * Doubles are compensated in lanes that are the same with every instruction set (kernels.c), a
 * vector's rows at a time, and those sums added up in order of rows: the result depends on which
 * rows they are and on nothing else. A sum that is not finite is made again row by row, so that an
 * infinite value is told from an overflow. Rows have no NULL among them: the caller's matter. */
#include "storage/encoding/private.h"

#include "storage/base/fault.h"

#include <math.h>

#define DENSE_SHARE 8 /* at least 1 row in so many: the vector is decoded whole */
#define PIECE_ROOM (BLOCK_VECTOR_ROWS + SELECT_ROOM)

/* Values of a part, at most a vector's rows at a time. */
struct pieces {
    const struct block *block;
    struct block_scratch *scratch;
    const uint32_t *rows;
    uint32_t next, end;
    uint64_t values[PIECE_ROOM];
};

static void pieces_begin(struct pieces *pieces, const struct block *block,
                         const struct block_part *part, struct block_scratch *scratch)
{
    assert(part->begin <= part->end);
    assert(part->begin == part->end ||
           (part->rows == NULL ? part->end : part->rows[part->end - 1] + 1) <= block->row_count);
    pieces->block = block;
    pieces->scratch = scratch;
    pieces->rows = part->rows;
    pieces->next = part->begin;
    pieces->end = part->end;
}

static enum err read_run(struct pieces *pieces, const uint64_t **out, uint32_t *count,
                         struct error *error)
{
    uint32_t begin = pieces->next, vector = begin / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
    uint32_t left = pieces->end - vector;
    uint32_t end = vector + (left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS);
    pieces->next = end;
    *out = pieces->values + (begin - vector);
    *count = end - begin;
    return block_read(pieces->block, vector, end - vector, pieces->scratch, pieces->values, error);
}

static enum err read_some(struct pieces *pieces, const uint64_t **out, uint32_t *count,
                          struct error *error)
{
    const uint32_t *rows = pieces->rows + pieces->next;
    uint32_t left = pieces->end - pieces->next, some = 1;
    uint32_t most = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
    uint32_t vector = rows[0] / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
    uint32_t last = rows[most - 1] / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
    *out = pieces->values;
    if ((uint64_t)most * DENSE_SHARE < last - vector + BLOCK_VECTOR_ROWS) {
        *count = most;
        pieces->next += most;
        return block_read_at(pieces->block, rows, most, pieces->scratch, pieces->values, error);
    }
    while (some < most && rows[some] - vector < BLOCK_VECTOR_ROWS)
        some++;
    *count = some;
    pieces->next += some;
    enum err err = block_read(pieces->block, vector, rows[some - 1] - vector + 1, pieces->scratch,
                              pieces->values, error);
    for (uint32_t i = 0; i < some; i++) /* a row never lies before its place */
        pieces->values[i] = pieces->values[rows[i] - vector];
    return err;
}

/* *count 0: there are no more. */
static enum err pieces_next(struct pieces *pieces, const uint64_t **out, uint32_t *count,
                            struct error *error)
{
    *count = 0;
    if (pieces->next >= pieces->end)
        return OK;
    return pieces->rows == NULL ? read_run(pieces, out, count, error)
                                : read_some(pieces, out, count, error);
}

/* --- integers --- */

static __int128 sum_of_run(const struct block *block, uint32_t begin, uint32_t end)
{
    __int128 sum = 0;
    for (uint32_t next; begin < end; begin = next) {
        uint32_t vector = begin / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
        next = vector + BLOCK_VECTOR_ROWS < end ? vector + BLOCK_VECTOR_ROWS : end;
        sum += encoding_of(block->encoding, block->class)->sum(block, vector, next - vector);
        if (begin != vector && !fault_is("sealed.run_begins_early"))
            sum -= encoding_of(block->encoding, block->class)->sum(block, vector, begin - vector);
    }
    return sum;
}

__int128 block_part_sum(const struct block *block, const struct block_part *part)
{
    struct pieces pieces;
    const uint64_t *values;
    uint32_t count;
    __int128 sum = 0;
    assert(block->class == BLOCK_INTEGER);
    pieces_begin(&pieces, block, part, NULL);
    if (part->rows == NULL && encoding_of(block->encoding, block->class)->sum != NULL)
        return sum_of_run(block, part->begin, part->end);
    while (pieces_next(&pieces, &values, &count, NULL) == OK && count != 0)
        sum += kernels_chosen()->sum64((const int64_t *)values, count);
    return sum;
}

void block_part_range(const struct block *block, const struct block_part *part, int64_t *least,
                      int64_t *greatest)
{
    struct pieces pieces;
    const uint64_t *values;
    uint32_t count;
    int64_t low = INT64_MAX, high = INT64_MIN;
    assert(block->class == BLOCK_INTEGER && part->begin < part->end);
    pieces_begin(&pieces, block, part, NULL);
    while (pieces_next(&pieces, &values, &count, NULL) == OK && count != 0) {
        for (uint32_t i = 0; i < count; i++) {
            int64_t value = (int64_t)values[i];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    }
    *least = low;
    *greatest = high;
}

/* --- doubles --- */

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void total_add(struct float_total *total, double value)
{
    double sum = total->sum + value, part = sum - total->sum;
    total->lost += (total->sum - (sum - part)) + (value - part);
    total->sum = sum;
}

static void total_add_piece(struct float_total *total, const uint64_t *values, uint32_t count)
{
    double sum, lost;
    kernels_chosen()->sum_doubles(values, count, &sum, &lost);
    if (isfinite(sum) && isfinite(lost)) { /* then so was every value */
        total_add(total, sum);
        total->lost += lost;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        total_add(total, double_of(values[i]));
        total->infinite_count += isinf(double_of(values[i])) != 0;
    }
}

enum err block_part_total(const struct block *block, const struct block_part *part,
                          struct block_scratch *scratch, struct float_total *out,
                          struct error *error)
{
    struct pieces pieces;
    const uint64_t *values;
    uint32_t count;
    assert(block->class == BLOCK_FLOAT);
    *out = (struct float_total){0};
    pieces_begin(&pieces, block, part, scratch);
    for (;;) {
        enum err err = pieces_next(&pieces, &values, &count, error);
        if (err != OK || count == 0)
            return err;
        total_add_piece(out, values, count);
    }
}

/* NaN is above every number, and not above NaN. */
static bool is_above(double a, double b)
{
    return a > b || (isnan(a) && !isnan(b));
}

enum err block_part_extremes(const struct block *block, const struct block_part *part,
                             struct block_scratch *scratch, double *least, double *greatest,
                             struct error *error)
{
    struct pieces pieces;
    const uint64_t *values;
    uint32_t count;
    bool is_first = true;
    assert(block->class == BLOCK_FLOAT && part->begin < part->end);
    pieces_begin(&pieces, block, part, scratch);
    for (;;) {
        enum err err = pieces_next(&pieces, &values, &count, error);
        if (err != OK || count == 0)
            return err;
        if (is_first)
            *least = *greatest = double_of(values[0]);
        is_first = false;
        double low = *least, high = *greatest;
        for (uint32_t i = 0; i < count; i++) {
            double value = double_of(values[i]);
            low = is_above(low, value) ? value : low;
            high = is_above(value, high) ? value : high;
        }
        *least = low;
        *greatest = high;
    }
}
