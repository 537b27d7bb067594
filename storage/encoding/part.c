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

/* A part span by span, at most a vector's rows each. */
struct pieces {
    const struct block *block;
    const struct encoding *encoding;
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
    pieces->encoding = encoding_of(block->encoding, block->class);
    pieces->scratch = scratch;
    pieces->rows = part->rows;
    pieces->next = part->begin;
    pieces->end = part->end;
}

static uint32_t vector_of(uint32_t row)
{
    return row / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
}

/* The next rows; *is_sparse: of several vectors, to be picked. False: there are none. */
static bool next_span(struct pieces *pieces, struct span *out, bool *is_sparse)
{
    *is_sparse = false;
    if (pieces->next >= pieces->end)
        return false;
    if (pieces->rows == NULL) {
        uint32_t begin = pieces->next, vector = vector_of(begin), left = pieces->end - vector;
        pieces->next = vector + (left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS);
        *out = (struct span){.vector = vector, .first = begin, .count = pieces->next - begin};
        return true;
    }
    const uint32_t *rows = pieces->rows + pieces->next;
    uint32_t left = pieces->end - pieces->next;
    uint32_t most = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS, some = 1;
    *out = (struct span){.vector = vector_of(rows[0]), .rows = rows};
    *is_sparse =
        (uint64_t)most * DENSE_SHARE < vector_of(rows[most - 1]) - out->vector + BLOCK_VECTOR_ROWS;
    for (uint32_t end = most; some < end;) { /* the first row of another vector, by halving */
        uint32_t middle = some + (end - some) / 2;
        if (rows[middle] - out->vector < BLOCK_VECTOR_ROWS)
            some = middle + 1;
        else
            end = middle;
    }
    out->count = *is_sparse ? most : some;
    pieces->next += out->count;
    return true;
}

/* The values of a span. */
static enum err read_span(struct pieces *pieces, const struct span *span, bool is_sparse,
                          const uint64_t **out, struct error *error)
{
    uint64_t *values = pieces->values;
    *out = values;
    if (is_sparse)
        return block_read_at(pieces->block, span->rows, span->count, pieces->scratch, values,
                             error);
    enum err err =
        block_read(pieces->block, span->vector, span_reach(span), pieces->scratch, values, error);
    if (span->rows == NULL)
        *out = values + (span->first - span->vector);
    for (uint32_t i = 0; span->rows != NULL && i < span->count; i++)
        values[i] = values[span->rows[i] - span->vector]; /* never before its place */
    return err;
}

/* *count 0: there are no more. */
static enum err pieces_next(struct pieces *pieces, const uint64_t **out, uint32_t *count,
                            struct error *error)
{
    struct span span;
    bool is_sparse;
    *count = 0;
    if (!next_span(pieces, &span, &is_sparse))
        return OK;
    *count = span.count;
    return read_span(pieces, &span, is_sparse, out, error);
}

/* --- integers --- */

static __int128 sum_of_run(const struct block *block, uint32_t begin, uint32_t end)
{
    const struct encoding *encoding = encoding_of(block->encoding, block->class);
    uint32_t reach = encoding->sum_reach == 0 ? BLOCK_VECTOR_ROWS : encoding->sum_reach;
    __int128 sum = 0;
    for (uint32_t next; begin < end; begin = next) {
        uint32_t vector = vector_of(begin);
        next = end - vector < reach ? end : vector + reach;
        sum += encoding->sum(block, vector, next - vector);
        if (begin != vector && !fault_is("sealed.run_begins_early"))
            sum -= encoding->sum(block, vector, begin - vector);
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
    struct span span;
    bool is_sparse;
    int64_t low = INT64_MAX, high = INT64_MIN;
    assert(block->class == BLOCK_INTEGER && part->begin < part->end);
    pieces_begin(&pieces, block, part, NULL);
    while (next_span(&pieces, &span, &is_sparse)) {
        int64_t lowest, highest;
        if (is_sparse || pieces.encoding->range == NULL ||
            !pieces.encoding->range(block, &span, &lowest, &highest)) {
            const uint64_t *values;
            enum err err = read_span(&pieces, &span, is_sparse, &values, NULL);
            assert(err == OK);
            integers_range((const int64_t *)values, span.count, &lowest, &highest);
        }
        low = lowest < low ? lowest : low;
        high = highest > high ? highest : high;
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

/* False: not a sum of finite values. */
static bool total_add_sum(struct float_total *total, double sum, double lost)
{
    if (!isfinite(sum) || !isfinite(lost))
        return false;
    total_add(total, sum);
    total->lost += lost;
    return true;
}

static void total_add_piece(struct float_total *total, const uint64_t *values, uint32_t count)
{
    double sum, lost;
    kernels_chosen()->sum_doubles(values, count, &sum, &lost);
    if (total_add_sum(total, sum, lost))
        return;
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
    struct span span;
    bool is_sparse;
    enum err err = OK;
    assert(block->class == BLOCK_FLOAT);
    double all, rest;
    *out = (struct float_total){0};
    pieces_begin(&pieces, block, part, scratch);
    if (part->rows == NULL && pieces.encoding->total_run != NULL &&
        pieces.encoding->total_run(block, part->begin, part->end, &all, &rest) &&
        total_add_sum(out, all, rest))
        return OK;
    while (err == OK && next_span(&pieces, &span, &is_sparse)) {
        const uint64_t *values;
        double sum, lost;
        if (!is_sparse && pieces.encoding->total != NULL) {
            pieces.encoding->total(block, &span, &sum, &lost);
            if (total_add_sum(out, sum, lost))
                continue;
        }
        err = read_span(&pieces, &span, is_sparse, &values, error);
        if (err == OK)
            total_add_piece(out, values, span.count);
    }
    return err;
}

/* NaN is above every number, and not above NaN. */
static bool is_above(double a, double b)
{
    return a > b || (isnan(a) && !isnan(b));
}

static void widen(const uint64_t *values, uint32_t count, double *least, double *greatest)
{
    double low = *least, high = *greatest;
    for (uint32_t i = 0; i < count; i++) {
        double value = double_of(values[i]);
        low = is_above(low, value) ? value : low;
        high = is_above(value, high) ? value : high;
    }
    *least = low;
    *greatest = high;
}

enum err block_part_extremes(const struct block *block, const struct block_part *part,
                             struct block_scratch *scratch, double *least, double *greatest,
                             struct error *error)
{
    struct pieces pieces;
    struct span span;
    bool is_sparse, is_first = true;
    assert(block->class == BLOCK_FLOAT && part->begin < part->end);
    pieces_begin(&pieces, block, part, scratch);
    for (; next_span(&pieces, &span, &is_sparse); is_first = false) {
        uint64_t both[2];
        const uint64_t *values = both;
        double low, high;
        uint32_t count = span.count;
        if (!is_sparse && pieces.encoding->extremes != NULL &&
            pieces.encoding->extremes(block, &span, &low, &high)) {
            memcpy(&both[0], &low, sizeof(low));
            memcpy(&both[1], &high, sizeof(high));
            count = 2;
        } else {
            enum err err = read_span(&pieces, &span, is_sparse, &values, error);
            if (err != OK)
                return err;
        }
        if (is_first)
            *least = *greatest = double_of(values[0]);
        widen(values, count, least, greatest);
    }
    return OK;
}
