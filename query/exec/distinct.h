/* What DISTINCT in an aggregate's call has seen: combinations of a group and of the arguments. */
#ifndef FRESHET_QUERY_EXEC_DISTINCT_H
#define FRESHET_QUERY_EXEC_DISTINCT_H

#include "query/exec/keys.h"
#include "query/exec/seen_bits.h"
#include "query/exec/text_set.h"

struct distinct {
    /* private */
    struct exec_memory *memory;
    struct tuple_table values; /* the arguments, numbered */
    uint32_t known;            /* of them: have a group */
    size_t pair_count;
    /* Without groups, one argument that is an integer: a bit a value while that takes little, and
     * then they are not numbered. */
    bool is_integer, has_direct;
    struct seen_bits direct;
    uint32_t next_try; /* so many values numbered: see whether bits would take little by now */
    /* Few combinations: a bit each, at value << group_bits | group. */
    uint64_t *bits;
    size_t bits_capacity, word_count;
    unsigned group_bits;
    /* Many: the first group of each value, and a set of the other pairs. */
    bool is_sparse;
    uint32_t *first;
    uint64_t *others;
    size_t first_capacity, others_capacity, others_count;
    uint32_t others_expected; /* of the last run; 0: not known */
    /* Without groups, one argument that is a text: many go to a set that tells what is in it at the
     * end. */
    bool can_defer, is_deferred, has_null;
    uint64_t row_count; /* so far, while can_defer */
    size_t told_late;   /* values, at the end */
    struct text_set texts;
};

/* The rows of a batch that are asked for. */
struct distinct_rows {
    const uint32_t *group;     /* by row; NULL: there are no groups, in any call */
    uint32_t group_count;      /* a bound of their numbers */
    const uint32_t *selection; /* NULL: rows 0 … count - 1 */
    size_t count;
    bool is_insert; /* what is asked for is seen from now on */
};

/* `types` are the arguments'. Memory comes from `memory`, which must outlive it. */
void distinct_init(struct distinct *distinct, const struct type *types, size_t count,
                   struct exec_memory *memory);
void distinct_deinit(struct distinct *distinct);
/* Of the rows those whose (group, arguments) were not seen before, in order, into `fresh`
 * (VECTOR_ROWS_MAX; may be the selection itself). */
MUST_CHECK enum err distinct_keep(struct distinct *distinct, const struct column *arguments,
                                  const struct distinct_rows *rows, uint32_t *fresh,
                                  size_t *fresh_count, struct error *error);
/* How many values and pairs there are, into distinct_sizes_count() numbers; and what to expect, of
 * the last run's. */
static inline size_t distinct_sizes_count(const struct distinct *distinct)
{
    return tuple_sizes_count(distinct->values.column_count) + 1;
}
void distinct_sizes(const struct distinct *distinct, uint32_t *sizes);
void distinct_expect(struct distinct *distinct, const uint32_t *sizes);
/* From now on distinct_keep() may leave rows out for distinct_rest() to give their values: where
 * the order in which values come is of no importance. Without groups only. */
void distinct_defer(struct distinct *distinct);
/* After the last row, until *count is 0: arguments that were left out, up to VECTOR_ROWS_MAX of
 * them as a column; each once. */
MUST_CHECK enum err distinct_rest(struct distinct *distinct, struct slice *texts,
                                  struct column *column, size_t *count, struct error *error);
/* Up to VECTOR_ROWS_MAX of the pairs seen, each once in all calls from a zeroed *at on, by numbers
 * of groups (is_grouped: all rows so far were) and of values; 0: the end. Not while has_direct. */
struct distinct_at {
    size_t place;
    bool is_null_told; /* the caller's */
};
size_t distinct_list(const struct distinct *distinct, bool is_grouped, struct distinct_at *at,
                     uint32_t *groups, uint32_t *values);
/* Bytes that so many further rows may take at most, texts aside. */
size_t distinct_growth(const struct distinct *distinct, size_t extra);

#endif
