/* What DISTINCT in an aggregate's call has seen.
 *
 *   arguments ── keys.c ──▶ number of the value ─┐
 *   number of the group ─────────────────────────┴▶ seen before?
 *
 * Only whether a pair was seen is asked for, never its number, so it takes far less than GROUP BY's
 * pairs do. While there are few values and groups a pair is a bit. Where that would take more than
 * the pairs themselves, the group that a value was first seen with stands in an array, and only the
 * pairs of further groups are in a hash set of eight bytes each, at most five eighths full. Of
 * values that are nearly all different (sessions by country) that set stays small, and what is
 * written goes to the array's end: 4 bytes a value beside the value itself. Early on pairs look
 * like that even where each value will be in several groups, so what the last run had decides, if
 * it is known: bits stay where they take less than its pairs would.
 *
 * Without groups, integers that lie close together are not even numbered (seen_bits.c), and where
 * values may be told at the end, texts that are many go to parts by their hashes (text_set.c).
 *
 * Values get their numbers in the order of rows, so a number not below `known` is of a value that
 * this very row has brought. */
#include "query/exec/distinct.h"

#include "storage/base/hash.h"

#include <assert.h>
#include <string.h>

#define BITS_MIN ((size_t)1 << 20) /* bytes of bits that are fine however few pairs there are */
#define BITS_SHARE 32              /* … of the query's memory, where that is small */
#define GROUP_BITS_MAX 24
#define BITS_FAR ((size_t)1 << 16) /* words: they are asked for ahead */
#define TRY_MIN 8192               /* values */
#define LEAVE_COST 4 /* an array and a set take at most so many times what the bits took */
#define DEFER_MIN ((uint32_t)1 << 14) /* texts: with their table more than the second cache */
#define DEFER_ROWS 4                  /* rows a text, so far */
#define PAIR_FREE UINT64_MAX          /* no pair: KEY_NONE is no number */

void distinct_init(struct distinct *distinct, const struct type *types, size_t count,
                   struct exec_memory *memory)
{
    *distinct = (struct distinct){.memory = memory};
    tuple_table_init(&distinct->values, types, count, memory);
    distinct->is_integer = count == 1 && type_physical(types[0].id) == PHYSICAL_INT;
    seen_bits_init(&distinct->direct, memory);
}

static void free_bits(struct distinct *distinct)
{
    exec_memory_release(distinct->memory, distinct->bits,
                        distinct->bits_capacity * sizeof(*distinct->bits));
    distinct->bits = NULL;
    distinct->bits_capacity = distinct->word_count = 0;
}

void distinct_deinit(struct distinct *distinct)
{
    tuple_table_deinit(&distinct->values);
    seen_bits_deinit(&distinct->direct);
    if (distinct->is_deferred)
        text_set_deinit(&distinct->texts);
    free_bits(distinct);
    exec_memory_release(distinct->memory, distinct->first,
                        distinct->first_capacity * sizeof(*distinct->first));
    exec_memory_release(distinct->memory, distinct->others,
                        distinct->others_capacity * sizeof(*distinct->others));
}

static uint64_t pair_of(uint32_t group, uint32_t value)
{
    return (uint64_t)group << 32 | value;
}

/* --- the set of pairs --- */

static size_t capacity_for(const struct distinct *distinct, size_t extra)
{
    return key_room(distinct->others_capacity, distinct->others_count + extra,
                    distinct->others_expected, KEY_LOAD, sizeof(*distinct->others),
                    distinct->memory->budget);
}

/* Where a pair is, or the free place that it would have. */
static inline size_t place_of(const uint64_t *others, size_t capacity, uint64_t pair)
{
    size_t place = hash_mix(pair) & (capacity - 1);
    while (others[place] != PAIR_FREE && others[place] != pair)
        place = (place + 1) & (capacity - 1);
    return place;
}

static enum err others_reserve(struct distinct *distinct, size_t extra, struct error *error)
{
    struct exec_memory *memory = distinct->memory;
    size_t capacity = capacity_for(distinct, extra), none = 0;
    uint64_t *others = NULL;
    if (capacity == distinct->others_capacity)
        return OK;
    enum err err =
        exec_memory_grow(memory, (void **)&others, &none, capacity, sizeof(*others), error);
    if (err != OK)
        return err;
    assert(none == capacity);
    memory->keys_moved += distinct->others_count;
    memset(others, 0xFF, capacity * sizeof(*others));
    for (size_t i = 0; i < distinct->others_capacity; i++)
        if (distinct->others[i] != PAIR_FREE)
            others[place_of(others, capacity, distinct->others[i])] = distinct->others[i];
    exec_memory_release(memory, distinct->others,
                        distinct->others_capacity * sizeof(*distinct->others));
    distinct->others = others;
    distinct->others_capacity = capacity;
    return OK;
}

/* Is this pair, of a value that has a first group, a new one? */
static inline bool add_other(struct distinct *distinct, uint64_t pair)
{
    size_t place = place_of(distinct->others, distinct->others_capacity, pair);
    if (distinct->others[place] == pair)
        return false;
    distinct->others[place] = pair;
    distinct->others_count++;
    return true;
}

static bool has_other(const struct distinct *distinct, uint64_t pair)
{
    return distinct->others_capacity != 0 &&
           distinct->others[place_of(distinct->others, distinct->others_capacity, pair)] == pair;
}

/* --- bits --- */

static unsigned bits_for(uint32_t count)
{
    unsigned bits = 0;
    while (((uint64_t)1 << bits) < count)
        bits++;
    return bits;
}

static size_t words_for(size_t value_count, unsigned group_bits)
{
    return ((value_count << group_bits) + 63) / 64;
}

static bool bit_is(const struct distinct *distinct, uint32_t group, uint32_t value)
{
    size_t at = (size_t)value << distinct->group_bits | group;
    return (distinct->bits[at / 64] >> at % 64 & 1) != 0;
}

/* The next pair at or behind the place *at, whose bits are in order of values; false: the end. */
static bool next_pair(const struct distinct *distinct, size_t *at, uint32_t *group, uint32_t *value)
{
    size_t word = *at / 64;
    if (word >= distinct->word_count)
        return false;
    uint64_t left = distinct->bits[word] >> *at % 64 << *at % 64;
    while (left == 0 && ++word < distinct->word_count)
        left = distinct->bits[word];
    if (left == 0)
        return false;
    size_t found = word * 64 + (size_t)__builtin_ctzll(left);
    *group = (uint32_t)(found & (((size_t)1 << distinct->group_bits) - 1));
    *value = (uint32_t)(found >> distinct->group_bits);
    *at = found + 1;
    return true;
}

static enum err bits_grow(struct distinct *distinct, size_t word_count, struct error *error)
{
    if (word_count <= distinct->word_count)
        return OK;
    enum err err =
        exec_memory_grow(distinct->memory, (void **)&distinct->bits, &distinct->bits_capacity,
                         word_count, sizeof(*distinct->bits), error);
    if (err != OK)
        return err;
    memset(distinct->bits + distinct->word_count, 0,
           (word_count - distinct->word_count) * sizeof(*distinct->bits));
    distinct->word_count = word_count;
    return OK;
}

/* The same bits, for more groups. */
static enum err bits_widen(struct distinct *distinct, unsigned group_bits, struct error *error)
{
    struct distinct wide = {.memory = distinct->memory, .group_bits = group_bits};
    enum err err = bits_grow(&wide, words_for(distinct->known, group_bits), error);
    if (err != OK)
        return err;
    uint32_t group, value;
    for (size_t from = 0; next_pair(distinct, &from, &group, &value);) {
        size_t at = (size_t)value << group_bits | group;
        wide.bits[at / 64] |= (uint64_t)1 << at % 64;
    }
    free_bits(distinct);
    distinct->bits = wide.bits;
    distinct->bits_capacity = wide.bits_capacity;
    distinct->word_count = wide.word_count;
    distinct->group_bits = group_bits;
    return OK;
}

/* From bits to an array and a set, for good. */
static enum err leave_bits(struct distinct *distinct, struct error *error)
{
    enum err err =
        exec_memory_grow(distinct->memory, (void **)&distinct->first, &distinct->first_capacity,
                         (size_t)distinct->known + 1, sizeof(*distinct->first), error);
    if (err == OK)
        err = others_reserve(distinct, distinct->pair_count - distinct->known, error);
    if (err != OK)
        return err;
    uint32_t group, value, count = 0;
    for (size_t from = 0; next_pair(distinct, &from, &group, &value);) {
        if (value == count)
            distinct->first[count++] = group;
        else
            add_other(distinct, pair_of(group, value));
    }
    assert(count == distinct->known);
    free_bits(distinct);
    distinct->is_sparse = true;
    return OK;
}

/* What an array and a set would take for values and pairs of the last run; 0: it is not known. */
static size_t expected_sparse(const struct distinct *distinct)
{
    size_t values = distinct->values.columns[0].expected, others = distinct->others_expected;
    if (distinct->values.column_count > 1)
        values = distinct->values.pairs[distinct->values.column_count - 1].expected;
    return values == 0 || others == 0
               ? 0
               : values * sizeof(*distinct->first) +
                     key_places(0, others, KEY_LOAD) * sizeof(*distinct->others);
}

/* Bits take less in the end where the last run's pairs come again, and a row looks at one place in
 * place of two. */
static bool are_bits_less(const struct distinct *distinct, unsigned group_bits, size_t size)
{
    const struct tuple_table *values = &distinct->values;
    const struct budget *budget = distinct->memory->budget;
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t left = used < budget->limit ? budget->limit - used : 0;
    size_t expected = values->column_count > 1 ? values->pairs[values->column_count - 1].expected
                                               : values->columns[0].expected;
    size_t count = values->count > expected ? values->count : expected;
    return words_for(count, group_bits) * sizeof(*distinct->bits) <= expected_sparse(distinct) &&
           size <= left / EXPECT_BUDGET_SHARE;
}

/* Before pairs of so many groups are added, by as many rows; their values are numbered. */
static enum err reserve(struct distinct *distinct, uint32_t group_count, size_t rows,
                        struct error *error)
{
    size_t value_count = distinct->values.count;
    enum err err = OK;
    if (!distinct->is_sparse) {
        unsigned needed = bits_for(group_count), group_bits = distinct->group_bits;
        size_t share = distinct->memory->budget->limit / BITS_SHARE;
        size_t fine = share < BITS_MIN ? share : BITS_MIN;
        if (needed > group_bits)
            group_bits = needed + (expected_sparse(distinct) == 0 ? 1 : 0); /* one in reserve */
        size_t size = words_for(value_count, group_bits) * sizeof(*distinct->bits);
        if (group_bits > GROUP_BITS_MAX ||
            (size > fine && size > distinct->pair_count * sizeof(*distinct->others) &&
             !are_bits_less(distinct, group_bits, size)))
            err = leave_bits(distinct, error);
        else if (group_bits != distinct->group_bits)
            err = bits_widen(distinct, group_bits, error);
    }
    if (err == OK && !distinct->is_sparse)
        return bits_grow(distinct, words_for(value_count, distinct->group_bits), error);
    if (err == OK)
        err =
            exec_memory_grow(distinct->memory, (void **)&distinct->first, &distinct->first_capacity,
                             value_count, sizeof(*distinct->first), error);
    return err == OK ? others_reserve(distinct, rows, error) : err;
}

size_t distinct_growth(const struct distinct *distinct, size_t extra)
{
    size_t value_count = distinct->values.count + extra;
    size_t bytes = tuple_table_growth(&distinct->values, extra + distinct->direct.count) +
                   2 * distinct->direct.capacity * sizeof(uint64_t);
    if (!distinct->is_sparse)
        return bytes +
               LEAVE_COST * words_for(value_count, distinct->group_bits) * sizeof(*distinct->bits);
    size_t capacity = capacity_for(distinct, extra);
    bytes += exec_memory_growth(distinct->first_capacity, value_count, sizeof(*distinct->first));
    return bytes +
           (capacity == distinct->others_capacity ? 0 : capacity * sizeof(*distinct->others));
}

void distinct_sizes(const struct distinct *distinct, uint32_t *sizes)
{
    bool has_pairs = distinct->pair_count > distinct->known; /* there are none without groups */
    size_t others = distinct->is_sparse ? distinct->others_count
                    : has_pairs         ? distinct->pair_count - distinct->known
                                        : 0;
    tuple_table_sizes(&distinct->values, sizes);
    if (distinct->is_deferred)
        sizes[0] = distinct->told_late < UINT32_MAX ? (uint32_t)distinct->told_late : UINT32_MAX;
    sizes[tuple_sizes_count(distinct->values.column_count)] =
        others < UINT32_MAX ? (uint32_t)others : UINT32_MAX;
}

void distinct_expect(struct distinct *distinct, const uint32_t *sizes)
{
    uint32_t others = sizes[tuple_sizes_count(distinct->values.column_count)];
    tuple_table_expect(&distinct->values, sizes);
    distinct->others_expected = others < UINT32_MAX / 2 ? others + others / 64 : others;
}

/* --- rows --- */

static bool is_seen(const struct distinct *distinct, uint32_t group, uint32_t value)
{
    if (value >= distinct->known) /* KEY_NONE too */
        return false;
    if (!distinct->is_sparse)
        return group >> distinct->group_bits == 0 && bit_is(distinct, group, value);
    return distinct->first[value] == group || has_other(distinct, pair_of(group, value));
}

/* Sees a pair; was it new? */
static inline bool add_pair(struct distinct *distinct, uint32_t group, uint32_t value)
{
    if (value >= distinct->known) {
        assert(value == distinct->known);
        distinct->known++;
        if (distinct->is_sparse) {
            distinct->first[value] = group;
            return true;
        }
    }
    if (distinct->is_sparse)
        return distinct->first[value] != group && add_other(distinct, pair_of(group, value));
    size_t at = (size_t)value << distinct->group_bits | group;
    uint64_t bit = (uint64_t)1 << at % 64, *word = &distinct->bits[at / 64];
    bool is_new = (*word & bit) == 0;
    *word |= bit;
    return is_new;
}

/* Asks for the places of pairs in the set, or of their bits. */
static void prefetch(const struct distinct *distinct, const struct distinct_rows *rows,
                     const uint32_t *values)
{
    for (size_t i = 0; !distinct->is_sparse && i < rows->count; i++) {
        uint32_t row = rows->selection != NULL ? rows->selection[i] : (uint32_t)i;
        size_t at = (size_t)values[row] << distinct->group_bits | rows->group[row];
        __builtin_prefetch(&distinct->bits[at / 64], 1);
    }
    if (!distinct->is_sparse)
        return;
    for (size_t i = 0; i < rows->count; i++) {
        uint32_t row = rows->selection != NULL ? rows->selection[i] : (uint32_t)i;
        uint32_t group = rows->group[row], value = values[row];
        if (value < distinct->known && distinct->first[value] != group)
            __builtin_prefetch(&distinct->others[hash_mix(pair_of(group, value)) &
                                                 (distinct->others_capacity - 1)],
                               1);
    }
}

/* Without groups a value is new where its number is. */
static size_t keep_values(struct distinct *distinct, const struct distinct_rows *rows,
                          const uint32_t *values, uint32_t *fresh)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        uint32_t row = rows->selection != NULL ? rows->selection[i] : (uint32_t)i;
        if (values[row] < distinct->known)
            continue;
        distinct->known += rows->is_insert ? 1 : 0;
        fresh[count++] = row;
    }
    return count;
}

static size_t keep_pairs(struct distinct *distinct, const struct distinct_rows *rows,
                         const uint32_t *values, uint32_t *fresh)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        uint32_t row = rows->selection != NULL ? rows->selection[i] : (uint32_t)i;
        uint32_t group = rows->group[row], value = values[row];
        if (rows->is_insert ? add_pair(distinct, group, value) : !is_seen(distinct, group, value))
            fresh[count++] = row;
    }
    distinct->pair_count += rows->is_insert ? count : 0;
    return count;
}

/* --- integers without groups --- */

static uint32_t next_try(uint32_t count)
{
    return count < TRY_MIN / 2 ? TRY_MIN : count > UINT32_MAX / 2 ? UINT32_MAX : 2 * count;
}

/* Sees the values with numbers begin … end - 1, none of them NULL. */
static enum err see_numbered(struct distinct *distinct, uint32_t begin, uint32_t end, bool *fits,
                             struct error *error)
{
    const struct key_table *known = &distinct->values.columns[0];
    struct column column = {.type = known->type, .form = COLUMN_FLAT, .values = known->values};
    uint32_t fresh[VECTOR_ROWS_MAX];
    enum err err = OK;
    for (; err == OK && *fits && begin < end; begin += VECTOR_ROWS_MAX) {
        struct column part = column_from(&column, begin);
        uint32_t left = end - begin;
        struct seen_rows rows = {.column = &part,
                                 .count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX,
                                 .is_insert = true};
        err = seen_bits_cover(&distinct->direct, &rows, known->count, fits, error);
        if (err == OK && *fits)
            seen_bits_keep(&distinct->direct, &rows, fresh);
    }
    return err;
}

/* From numbers to bits, if those take little. */
static enum err enter_direct(struct distinct *distinct, struct error *error)
{
    struct type type = distinct->values.columns[0].type;
    uint32_t count = distinct->values.count, null_id = distinct->values.columns[0].null_id;
    uint32_t null_at = null_id == KEY_NONE ? count : null_id;
    bool fits = true;
    distinct->next_try = next_try(count);
    enum err err = see_numbered(distinct, 0, null_at, &fits, error);
    if (err == OK && fits && null_at < count)
        err = see_numbered(distinct, null_at + 1, count, &fits, error);
    if (err != OK || !fits) {
        seen_bits_deinit(&distinct->direct);
        return err;
    }
    distinct->direct.has_null = null_id != KEY_NONE;
    distinct->has_direct = true;
    tuple_table_deinit(&distinct->values);
    tuple_table_init(&distinct->values, &type, 1, distinct->memory);
    distinct->known = 0;
    return OK;
}

/* From bits to numbers. */
static enum err leave_direct(struct distinct *distinct, struct error *error)
{
    int64_t values[VECTOR_ROWS_MAX];
    uint32_t ids[VECTOR_ROWS_MAX];
    uint8_t null = 0;
    struct column column = {
        .type = distinct->values.columns[0].type, .form = COLUMN_FLAT, .i = values};
    enum err err = OK;
    size_t at = 0, count;
    while (err == OK &&
           (count = seen_bits_list(&distinct->direct, &at, values, VECTOR_ROWS_MAX)) != 0)
        err = tuple_table_ids(&distinct->values, &column, NULL, count, true, ids, error);
    column.validity = &null;
    if (err == OK && distinct->direct.has_null)
        err = tuple_table_ids(&distinct->values, &column, NULL, 1, true, ids, error);
    distinct->known = distinct->values.count;
    distinct->next_try = next_try(distinct->known);
    distinct->has_direct = false;
    seen_bits_deinit(&distinct->direct);
    return err;
}

/* *is_kept: it was done here. */
static enum err keep_integers(struct distinct *distinct, const struct column *column,
                              const struct distinct_rows *rows, uint32_t *fresh,
                              size_t *fresh_count, bool *is_kept, struct error *error)
{
    bool fits = true;
    enum err err = OK;
    struct seen_rows seen = {.column = column,
                             .selection = rows->selection,
                             .count = rows->count,
                             .is_insert = rows->is_insert};
    if (column->form == COLUMN_CONSTANT && rows->is_insert && rows->count > 1)
        seen.count = 1;
    *is_kept = false;
    if (!distinct->has_direct && distinct->values.count >= distinct->next_try)
        err = enter_direct(distinct, error);
    if (err != OK || !distinct->has_direct)
        return err;
    if (rows->is_insert)
        err = seen_bits_cover(&distinct->direct, &seen, distinct->direct.count, &fits, error);
    if (err == OK && !fits)
        return leave_direct(distinct, error);
    *is_kept = true;
    if (err == OK)
        *fresh_count = seen_bits_keep(&distinct->direct, &seen, fresh);
    return err;
}

/* --- texts without groups --- */

void distinct_defer(struct distinct *distinct)
{
    const struct tuple_table *values = &distinct->values;
    distinct->can_defer = values->column_count == 1 && values->columns[0].physical == PHYSICAL_TEXT;
}

/* Worth it: most rows bring a new text, and they are many, or were so in the last run. */
static bool is_to_defer(const struct distinct *distinct, const struct column *column)
{
    uint32_t count = distinct->values.count;
    bool was_many = distinct->values.columns[0].expected >= DEFER_MIN;
    return column->form == COLUMN_FLAT && count >= (was_many ? 1 : DEFER_MIN) &&
           distinct->row_count <= DEFER_ROWS * (uint64_t)count &&
           text_set_is_fine(distinct->memory);
}

/* What has been told goes to the set; then there are no numbers any more. */
static enum err enter_set(struct distinct *distinct, struct error *error)
{
    const struct key_table *known = &distinct->values.columns[0];
    const struct slice *texts = (const struct slice *)(const void *)known->values;
    struct type type = known->type;
    uint32_t null_id = known->null_id, count = 0;
    struct slice told[VECTOR_ROWS_MAX];
    enum err err = OK;
    for (uint32_t id = 0; id < known->count; id++)
        distinct->can_defer = distinct->can_defer && texts[id].size <= TEXT_SET_SIZE_MAX;
    if (!distinct->can_defer)
        return OK;
    text_set_init(&distinct->texts, distinct->memory);
    distinct->is_deferred = true;
    for (uint32_t id = 0; err == OK && id < known->count; id++) {
        if (id != null_id)
            told[count++] = texts[id];
        if (count == VECTOR_ROWS_MAX || id + 1 == known->count) {
            err = text_set_add(&distinct->texts, told, count, true, error);
            count = 0;
        }
    }
    distinct->has_null = null_id != KEY_NONE;
    distinct->told_late = known->count;
    tuple_table_deinit(&distinct->values);
    tuple_table_init(&distinct->values, &type, 1, distinct->memory);
    distinct->known = 0;
    return err;
}

/* Rows of texts that are not for the set, and the first NULL, in order, go on as ever. */
static enum err keep_texts(struct distinct *distinct, const struct column *column,
                           const struct distinct_rows *rows, uint32_t *fresh, size_t *fresh_count,
                           struct error *error)
{
    struct slice texts[VECTOR_ROWS_MAX];
    uint32_t others[VECTOR_ROWS_MAX], values[VECTOR_ROWS_MAX];
    size_t count = 0, other_count = 0;
    assert(rows->is_insert);
    for (size_t i = 0; i < rows->count; i++) {
        uint32_t row = rows->selection != NULL ? rows->selection[i] : (uint32_t)i;
        bool is_null = column_is_null(column, row);
        struct slice text = is_null ? slice_of(NULL, 0) : column_text(column, row);
        if (text.size > TEXT_SET_SIZE_MAX || (is_null && !distinct->has_null))
            others[other_count++] = row;
        else if (!is_null)
            texts[count++] = text;
        distinct->has_null = distinct->has_null || is_null;
    }
    enum err err = text_set_add(&distinct->texts, texts, count, false, error);
    if (err != OK || other_count == 0)
        return err;
    struct distinct_rows rest = {.selection = others, .count = other_count, .is_insert = true};
    err = tuple_table_ids(&distinct->values, column, others, other_count, true, values, error);
    if (err == OK)
        *fresh_count = keep_values(distinct, &rest, values, fresh);
    distinct->told_late += *fresh_count;
    return err;
}

enum err distinct_rest(struct distinct *distinct, struct slice *texts, struct column *column,
                       size_t *count, struct error *error)
{
    *count = 0;
    if (!distinct->is_deferred)
        return OK;
    enum err err = text_set_next(&distinct->texts, texts, count, error);
    *column = (struct column){
        .type = distinct->values.columns[0].type, .form = COLUMN_FLAT, .values = texts};
    distinct->told_late += *count;
    return err;
}

enum err distinct_keep(struct distinct *distinct, const struct column *arguments,
                       const struct distinct_rows *rows, uint32_t *fresh, size_t *fresh_count,
                       struct error *error)
{
    uint32_t values[VECTOR_ROWS_MAX];
    assert(fresh_count != &rows->count);
    *fresh_count = 0;
    if (rows->group == NULL && distinct->is_integer) {
        bool is_kept;
        enum err err =
            keep_integers(distinct, arguments, rows, fresh, fresh_count, &is_kept, error);
        if (err != OK || is_kept)
            return err;
    }
    if (distinct->can_defer && rows->group == NULL) {
        enum err err = OK;
        if (!distinct->is_deferred && is_to_defer(distinct, arguments))
            err = enter_set(distinct, error);
        if (err != OK || distinct->is_deferred)
            return err != OK ? err
                             : keep_texts(distinct, arguments, rows, fresh, fresh_count, error);
        distinct->row_count += rows->count;
    }
    enum err err = tuple_table_ids(&distinct->values, arguments, rows->selection, rows->count,
                                   rows->is_insert, values, error);
    if (err == OK && rows->group != NULL && rows->is_insert)
        err = reserve(distinct, rows->group_count, rows->count, error);
    if (err != OK)
        return err;
    bool is_far = distinct->is_sparse || distinct->word_count >= BITS_FAR;
    if (rows->group != NULL && is_far && rows->is_insert)
        prefetch(distinct, rows, values);
    *fresh_count = rows->group == NULL ? keep_values(distinct, rows, values, fresh)
                                       : keep_pairs(distinct, rows, values, fresh);
    return OK;
}

/* --- told again --- */

static bool next_sparse(const struct distinct *distinct, size_t *at, uint32_t *group,
                        uint32_t *value)
{
    if (*at < distinct->known) {
        *value = (uint32_t)*at;
        *group = distinct->first[(*at)++];
        return true;
    }
    size_t place = *at - distinct->known;
    while (place < distinct->others_capacity && distinct->others[place] == PAIR_FREE)
        place++;
    *at = distinct->known + place + 1;
    if (place >= distinct->others_capacity)
        return false;
    *group = (uint32_t)(distinct->others[place] >> 32);
    *value = (uint32_t)distinct->others[place];
    return true;
}

size_t distinct_list(const struct distinct *distinct, bool is_grouped, struct distinct_at *at,
                     uint32_t *groups, uint32_t *values)
{
    size_t count = 0;
    assert(!distinct->has_direct);
    for (; count < VECTOR_ROWS_MAX; count++) {
        bool has;
        if (!is_grouped) {
            has = at->place < distinct->known;
            values[count] = (uint32_t)at->place++;
        } else if (distinct->is_sparse) {
            has = next_sparse(distinct, &at->place, &groups[count], &values[count]);
        } else {
            has = next_pair(distinct, &at->place, &groups[count], &values[count]);
        }
        if (!has)
            break;
    }
    return count;
}
