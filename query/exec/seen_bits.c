/* Integers seen, a bit each.
 *
 *   value ──▶ word value / 64 - first ──▶ bit value % 64: seen before?
 *
 * A million users are 125 KB, which the second cache holds, where their numbers in an array or a
 * hash table take 4 to 32 MB; and a row costs one load and one store without a branch. Bits are
 * used while they take no more than a hash table of the values would, or are few altogether. Words
 * keep their values when the range grows at either end, with an eighth of it in reserve. */
#include "query/exec/seen_bits.h"

#include "query/kernel/kernel.h"
#include "storage/base/fault.h"

#include <string.h>

#define WORDS_FINE ((size_t)1 << 14) /* however few values there are */
#define FINE_SHARE 32                /* of the query's memory, where that is small */
#define WORDS_A_VALUE 4              /* what a hash table takes of a value, about */
#define WORD_BITS 64

void seen_bits_init(struct seen_bits *bits, struct exec_memory *memory)
{
    *bits = (struct seen_bits){.memory = memory};
}

void seen_bits_deinit(struct seen_bits *bits)
{
    exec_memory_release(bits->memory, bits->words, bits->capacity * sizeof(*bits->words));
    *bits = (struct seen_bits){.memory = bits->memory};
}

static inline int64_t word_of(int64_t value)
{
    return value >> 6;
}

static inline size_t row_at(const struct seen_rows *rows, size_t i)
{
    return rows->selection != NULL ? rows->selection[i] : i;
}

/* The words of the values of rows that are not NULL; false: there are none. */
static bool range_of(const struct seen_rows *rows, int64_t *low, int64_t *high)
{
    const struct column *column = rows->column;
    if (rows->count == 0)
        return false;
    if (rows->selection == NULL && column->validity == NULL) {
        range_ints(column->i, rows->count, low, high);
    } else {
        *low = INT64_MAX;
        *high = INT64_MIN;
        for (size_t i = 0; i < rows->count; i++) {
            size_t row = row_at(rows, i);
            if (column_is_null(column, row))
                continue;
            int64_t value = column->i[column_index(column, row)];
            *low = value < *low ? value : *low;
            *high = value > *high ? value : *high;
        }
    }
    *low = word_of(*low);
    *high = word_of(*high);
    return *low <= *high;
}

enum err seen_bits_cover(struct seen_bits *bits, const struct seen_rows *rows, size_t known_count,
                         bool *fits, struct error *error)
{
    int64_t low, high;
    int64_t end = bits->first + (int64_t)bits->word_count; /* words are below 2^58 */
    *fits = true;
    if (!range_of(rows, &low, &high) || (low >= bits->first && high < end))
        return OK;
    if (bits->word_count != 0) {
        low = low < bits->first ? low : bits->first;
        high = high >= end ? high : end - 1;
    }
    size_t span = (size_t)(high - low) + 1, share = bits->memory->budget->limit / FINE_SHARE;
    size_t fine =
        share / sizeof(*bits->words) < WORDS_FINE ? share / sizeof(*bits->words) : WORDS_FINE;
    *fits = span <= fine || span <= known_count * WORDS_A_VALUE;
    if (!*fits)
        return OK;
    int64_t reserve = (int64_t)(span / 8);
    struct seen_bits next = {.memory = bits->memory,
                             .first = low - reserve,
                             .count = bits->count,
                             .has_null = bits->has_null};
    next.word_count = span + 2 * (size_t)reserve;
    enum err err = exec_memory_grow(bits->memory, (void **)&next.words, &next.capacity,
                                    next.word_count, sizeof(*next.words), error);
    if (err != OK)
        return err;
    memset(next.words, 0, next.word_count * sizeof(*next.words));
    if (bits->word_count != 0 && !fault_is("distinct.grown_bits"))
        memcpy(next.words + (bits->first - next.first), bits->words,
               bits->word_count * sizeof(*bits->words));
    seen_bits_deinit(bits);
    *bits = next;
    return OK;
}

/* Sees a value; 1 if it is new. */
static inline size_t see(uint64_t *words, int64_t first, int64_t value)
{
    uint64_t *word = &words[word_of(value) - first];
    uint64_t bit = (uint64_t)1 << (value & (WORD_BITS - 1)), before = *word;
    *word = before | bit;
    return (before & bit) == 0;
}

static bool is_seen(const struct seen_bits *bits, int64_t value)
{
    int64_t place = word_of(value) - bits->first;
    return place >= 0 && place < (int64_t)bits->word_count &&
           (bits->words[place] >> (value & (WORD_BITS - 1)) & 1) != 0;
}

static size_t see_each(struct seen_bits *bits, const struct seen_rows *rows, uint32_t *fresh)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        bool is_new;
        if (column_is_null(rows->column, row)) {
            is_new = !bits->has_null;
            bits->has_null = bits->has_null || rows->is_insert;
        } else {
            int64_t value = rows->column->i[column_index(rows->column, row)];
            is_new =
                rows->is_insert ? see(bits->words, bits->first, value) != 0 : !is_seen(bits, value);
            bits->count += is_new && rows->is_insert;
        }
        if (is_new)
            fresh[kept++] = (uint32_t)row;
    }
    return kept;
}

size_t seen_bits_keep(struct seen_bits *bits, const struct seen_rows *rows, uint32_t *fresh)
{
    const int64_t *values = rows->column->i;
    uint64_t *words = bits->words;
    int64_t first = bits->first;
    size_t kept = 0;
    if (rows->selection != NULL || rows->column->validity != NULL || !rows->is_insert)
        return see_each(bits, rows, fresh);
    for (size_t row = 0; row < rows->count; row++) {
        fresh[kept] = (uint32_t)row;
        kept += see(words, first, values[row]);
    }
    bits->count += kept;
    return kept;
}

size_t seen_bits_list(const struct seen_bits *bits, size_t *at, int64_t *values, size_t count)
{
    size_t listed = 0;
    for (; listed < count && *at < bits->word_count * WORD_BITS; (*at)++) {
        uint64_t left = bits->words[*at / WORD_BITS] >> *at % WORD_BITS;
        if (left == 0) {
            *at |= WORD_BITS - 1;
            continue;
        }
        *at += (size_t)__builtin_ctzll(left);
        values[listed++] =
            (int64_t)((uint64_t)(bits->first + (int64_t)(*at / WORD_BITS)) * WORD_BITS +
                      *at % WORD_BITS);
    }
    return listed;
}

enum err seen_bits_add(struct seen_bits *bits, const struct seen_bits *other, bool *fits,
                       size_t *count, struct error *error)
{
    size_t begin = 0, end = other->word_count;
    while (begin < end && other->words[begin] == 0)
        begin++;
    while (end > begin && other->words[end - 1] == 0)
        end--;
    *fits = true;
    *count = 0;
    if (begin == end)
        return OK;
    int64_t ends[] = {(other->first + (int64_t)begin) * WORD_BITS,
                      (other->first + (int64_t)end - 1) * WORD_BITS};
    struct column column = {.type = type_of(TYPE_INT8), .form = COLUMN_FLAT, .i = ends};
    struct seen_rows rows = {.column = &column, .count = 2};
    enum err err = seen_bits_cover(bits, &rows, bits->count + other->count, fits, error);
    if (err != OK || !*fits)
        return err;
    uint64_t *words = bits->words + (other->first - bits->first);
    for (size_t i = begin; i < end; i++) {
        *count += (size_t)__builtin_popcountll(other->words[i] & ~words[i]);
        words[i] |= other->words[i];
    }
    bits->count += *count;
    return OK;
}
