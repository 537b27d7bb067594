/* Filters against a sealed segment: what of it a scan can leave out.
 *
 *   once a segment   each condition becomes a range or a set of codes or integers (texts are looked
 *                    up in the sorted dictionary); nothing left: the segment is left out. Bitmaps
 *                    whose rows are few become one set of rows.
 *   then             blocks and rows: sift.c
 *
 * Everything here may only err to one side: a row that satisfies the filter must come out. So a
 * bound that does not fit the column's type is moved outwards, and what has no order in blocks
 * (json, arrays, uuid) is not held against values at all. Two orders need care: NaN is above all
 * numbers, but below them as the digits of a numeric; and -0 equals 0, but has a place of its own
 * in the zones of doubles. */
#include "storage/segment/cursor.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define KEYS_MAX 1024 /* of a condition that are tried in a bitmap */
/* Rows of a condition's bitmaps are below row_count / BITMAP_SHARE, or a scan of its codes wins. By
 * bench/equality, 3 M rows, AVX-512: a scan costs 0.35 ns a row, a list 5 to 10 ns for each of its
 * own; what reading other columns costs for the rows found is the same both ways. */
#define BITMAP_SHARE 32
#define LIST_GAIN 4 /* a row read from a list against one whose code is picked and looked at */

/* --- bounds in the terms of blocks --- */

enum bound_side { BOUND_LOW, BOUND_HIGH };

/* A numeric in digits at the column's scale, moved outwards; *is_exact: it is such a number. */
static int64_t numeric_bound(struct numeric n, uint8_t scale, enum bound_side side, bool *is_exact)
{
    __int128 digits = n.digits;
    *is_exact = true;
    if (n.scale > scale) {
        __int128 power = numeric_power10(n.scale - scale), rest = digits % power;
        digits /= power;
        *is_exact = rest == 0;
        if (side == BOUND_LOW && rest > 0)
            digits++;
        if (side == BOUND_HIGH && rest < 0)
            digits--;
    } else if (__builtin_mul_overflow(digits, numeric_power10(scale - n.scale), &digits)) {
        digits = n.digits > 0 ? (__int128)INT64_MAX + 1 : (__int128)INT64_MIN;
    }
    if (digits > INT64_MAX || digits <= INT64_MIN)
        *is_exact = false;
    if (digits > INT64_MAX)
        return INT64_MAX;
    return digits <= INT64_MIN ? INT64_MIN + 1 : (int64_t)digits;
}

static void range_of_numeric(const struct scan_condition *asked, uint8_t scale, struct sift *sift)
{
    bool is_exact;
    sift->low = INT64_MIN + 1;
    sift->high = INT64_MAX;
    sift->has_nan = true;
    if (asked->has_low && asked->low.n.kind == NUMERIC_FINITE)
        sift->low = numeric_bound(asked->low.n, scale, BOUND_LOW, &is_exact);
    else if (asked->has_low && asked->low.n.kind != NUMERIC_MINUS_INFINITY)
        sift->low = sift->high = INT64_MAX; /* nothing but NaN */
    if (asked->has_high && asked->high.n.kind == NUMERIC_FINITE) {
        sift->high = numeric_bound(asked->high.n, scale, BOUND_HIGH, &is_exact);
        sift->has_nan = false;
    } else if (asked->has_high && asked->high.n.kind == NUMERIC_MINUS_INFINITY) {
        sift->high = INT64_MIN + 1;
        sift->has_nan = false;
    }
}

static int64_t integer_of(const struct value *value)
{
    return value->type.id == TYPE_BOOL ? value->b : value->i;
}

static void range_of_integer(const struct scan_condition *asked, struct sift *sift)
{
    sift->low = asked->has_low ? integer_of(&asked->low) : INT64_MIN;
    sift->high = asked->has_high ? integer_of(&asked->high) : INT64_MAX;
}

static int64_t float_bound(double value, enum bound_side side)
{
    if (value == 0)
        value = side == BOUND_LOW ? -0.0 : 0.0;
    return float_order(value);
}

static void widen(struct sift *sift, int64_t low, int64_t high)
{
    sift->low = low < sift->low ? low : sift->low;
    sift->high = high > sift->high ? high : sift->high;
}

static bool is_ordered_text(struct type type)
{
    return type.id == TYPE_TEXT || type.id == TYPE_VARCHAR || type.id == TYPE_BYTEA;
}

/* Values that blocks hold in an order of their own, which only zones are held against. */
static void zone_of(const struct scan_condition *asked, bool is_float, struct sift *sift)
{
    sift->way = SIFT_ZONE;
    if (asked->test == SCAN_RANGE) {
        sift->low = INT64_MIN;
        sift->high = INT64_MAX;
        if (asked->has_low)
            sift->low =
                is_float ? float_bound(asked->low.f, BOUND_LOW) : text_order(asked->low.text);
        if (asked->has_high)
            sift->high =
                is_float ? float_bound(asked->high.f, BOUND_HIGH) : text_order(asked->high.text);
        return;
    }
    sift->low = INT64_MAX;
    sift->high = INT64_MIN;
    for (size_t i = 0; i < asked->value_count; i++) {
        const struct value *value = &asked->values[i];
        if (is_float)
            widen(sift, float_bound(value->f, BOUND_LOW), float_bound(value->f, BOUND_HIGH));
        else
            widen(sift, text_order(value->text), text_order(value->text));
    }
}

/* --- lists --- */

static int compare_keys(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Ascending and distinct; bounds and way follow. False: the list is empty. */
static bool finish_keys(struct sift *sift)
{
    size_t kept = 0;
    qsort(sift->keys, sift->key_count, sizeof(*sift->keys), compare_keys);
    for (size_t i = 0; i < sift->key_count; i++) {
        if (kept == 0 || sift->keys[kept - 1] != sift->keys[i])
            sift->keys[kept++] = sift->keys[i];
    }
    sift->key_count = kept;
    if (kept == 0)
        return false;
    sift->low = sift->keys[0];
    sift->high = sift->keys[kept - 1];
    bool is_run = (uint64_t)sift->high - (uint64_t)sift->low == kept - 1;
    sift->way = is_run ? SIFT_RANGE : SIFT_LIST;
    return true;
}

static bool list_of_integers(const struct scan_condition *asked, const struct type *type,
                             struct arena *arena, struct sift *sift)
{
    sift->keys = arena_alloc_array(arena, asked->value_count, sizeof(*sift->keys));
    for (size_t i = 0; i < asked->value_count; i++) {
        const struct value *value = &asked->values[i];
        bool is_exact = true;
        int64_t key = INT64_MIN;
        if (type->id != TYPE_NUMERIC)
            key = integer_of(value);
        else if (value->n.kind == NUMERIC_FINITE)
            key = numeric_bound(value->n, type->scale, BOUND_LOW, &is_exact);
        else
            is_exact = value->n.kind == NUMERIC_NAN;
        if (is_exact)
            sift->keys[sift->key_count++] = key;
    }
    return finish_keys(sift);
}

/* --- codes --- */

/* The first code whose text is not less than `text` (or greater, with `is_after`). */
static uint32_t find_text(const struct cache_entry *dictionary, struct slice text, bool is_after)
{
    uint32_t first = 0, last = dictionary->text_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        int order = slice_compare(dictionary->texts[middle], text);
        if (order < 0 || (is_after && order == 0))
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static void list_codes_in(const struct scan_condition *asked, const struct cache_entry *dictionary,
                          struct sift *sift)
{
    for (size_t i = 0; i < asked->value_count; i++) {
        uint32_t code = find_text(dictionary, asked->values[i].text, false);
        if (code < dictionary->text_count &&
            slice_equal(dictionary->texts[code], asked->values[i].text))
            sift->keys[sift->key_count++] = code;
    }
}

static void list_codes_matching(const struct scan_condition *asked,
                                const struct cache_entry *dictionary, struct sift *sift)
{
    for (uint32_t code = 0; code < dictionary->text_count; code++) {
        if (asked->matches(asked->context, dictionary->texts[code]))
            sift->keys[sift->key_count++] = code;
    }
}

/* A list of codes as a set. */
static void make_set(struct sift *sift, uint32_t code_count, struct arena *arena)
{
    uint64_t *set = arena_alloc_zero(arena, ((size_t)code_count / 64 + 1) * sizeof(*set));
    for (size_t i = 0; i < sift->key_count; i++)
        set[sift->keys[i] / 64] |= UINT64_C(1) << (sift->keys[i] % 64);
    if (fault_is("sealed.code_set_edge"))
        set[sift->high / 64] &= ~(UINT64_C(1) << (sift->high % 64));
    sift->way = SIFT_SET;
    sift->set = set;
}

static void list_range(struct sift *sift, struct arena *arena)
{
    uint64_t count = (uint64_t)sift->high - (uint64_t)sift->low + 1;
    if (count == 0 || count > KEYS_MAX)
        return;
    sift->keys = arena_alloc_array(arena, count, sizeof(*sift->keys));
    sift->key_count = count;
    for (uint64_t i = 0; i < count; i++)
        sift->keys[i] = sift->low + (int64_t)i;
}

/* False: no code passes. */
static bool sift_codes(const struct scan_condition *asked, const struct cache_entry *dictionary,
                       struct arena *arena, struct sift *sift)
{
    uint32_t text_count = dictionary->text_count;
    if (asked->test == SCAN_RANGE) {
        uint32_t first = asked->has_low ? find_text(dictionary, asked->low.text, false) : 0;
        uint32_t end = asked->has_high ? find_text(dictionary, asked->high.text, true) : text_count;
        if (first >= end)
            return false;
        sift->way = SIFT_RANGE;
        sift->low = first;
        sift->high = end - 1;
        list_range(sift, arena);
    } else {
        size_t room = asked->test == SCAN_IN ? asked->value_count : text_count;
        sift->keys = arena_alloc_array(arena, room, sizeof(*sift->keys));
        if (asked->test == SCAN_IN)
            list_codes_in(asked, dictionary, sift);
        else
            list_codes_matching(asked, dictionary, sift);
        if (!finish_keys(sift))
            return false;
        if (sift->way == SIFT_LIST)
            make_set(sift, text_count, arena);
    }
    if (sift->low == 0 && sift->high == text_count - 1 && sift->way == SIFT_RANGE)
        sift->way = SIFT_NOT_NULL;
    return true;
}

/* --- columns that the segment lacks --- */

static bool is_comparable(struct type type)
{
    return type_physical(type.id) != PHYSICAL_TEXT || is_ordered_text(type);
}

/* Whether the one value that all rows have can pass. */
static bool constant_passes(const struct scan_condition *asked, const struct value *value)
{
    if (asked->test == SCAN_NULL || asked->test == SCAN_NOT_NULL)
        return value->is_null == (asked->test == SCAN_NULL);
    if (value->is_null)
        return false;
    if (!is_comparable(value->type))
        return true;
    if (asked->test == SCAN_MATCHES)
        return asked->matches(asked->context, value->text);
    if (asked->test == SCAN_RANGE)
        return (!asked->has_low || value_compare(&asked->low, value) <= 0) &&
               (!asked->has_high || value_compare(value, &asked->high) <= 0);
    for (size_t i = 0; i < asked->value_count; i++) {
        if (value_compare(&asked->values[i], value) == 0)
            return true;
    }
    return false;
}

/* --- one condition --- */

enum err sieve_make_sift(struct cursor *cursor, const struct scan_condition *asked,
                         struct arena *arena, struct sift *out, bool *passes, bool *is_told,
                         struct error *error)
{
    struct sieve *sieve = &cursor->place.sieve;
    struct cursor_column *column = &cursor->columns[asked->column];
    struct sift sift = {.way = SIFT_RANGE, .column = column};
    *passes = true;
    *is_told = false;
    if (column->sealed == NULL) {
        struct value missing = column->definition->missing;
        missing.type = column->definition->type;
        *passes = constant_passes(asked, &missing);
        sieve->is_loose = sieve->is_loose || !is_comparable(missing.type);
        return OK;
    }
    struct type type = column->sealed->type;
    enum block_class class = block_class_of(type.id);
    if (asked->test == SCAN_NULL || asked->test == SCAN_NOT_NULL) {
        sift.way = asked->test == SCAN_NULL ? SIFT_NULL : SIFT_NOT_NULL;
    } else if (column->sealed->entry_count != 0) {
        const struct cache_entry *dictionary;
        if (!is_ordered_text(type)) {
            sieve->is_loose = true;
            return OK;
        }
        enum err err = cursor_dictionary(cursor, column, &dictionary, error);
        if (err != OK)
            return err;
        *passes = sift_codes(asked, dictionary, arena, &sift);
    } else if (asked->test == SCAN_MATCHES || class == BLOCK_WIDE ||
               (class == BLOCK_TEXT && !is_ordered_text(type))) {
        sift.way = SIFT_NOT_NULL;
        sieve->is_loose = true;
    } else if (class != BLOCK_INTEGER) {
        zone_of(asked, class == BLOCK_FLOAT, &sift);
    } else if (asked->test == SCAN_IN) {
        *passes = list_of_integers(asked, &type, arena, &sift);
    } else {
        if (type.id == TYPE_NUMERIC)
            range_of_numeric(asked, type.scale, &sift);
        else
            range_of_integer(asked, &sift);
        list_range(&sift, arena);
    }
    *is_told = true;
    *out = sift;
    return OK;
}

/* --- bitmaps --- */

/* Rows of all keys together; false: some key is not indexed. */
static bool count_rows(const struct bitmap_index *index, const struct sift *sift, uint64_t *total)
{
    *total = 0;
    for (size_t i = 0; i < sift->key_count; i++) {
        uint32_t rows;
        if (!bitmap_index_find(index, sift->keys[i], &rows))
            return false;
        *total += rows;
    }
    return true;
}

/* A condition that an index can answer. */
struct candidate {
    struct sift *sift;
    struct cache_entry *entry;
    uint64_t row_count;
};

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->row_count > y->row_count) - (x->row_count < y->row_count);
}

/* Opens the index of a sift; *is_one false, and nothing held: it has no answer. */
static enum err open_candidate(struct cursor *cursor, struct sift *sift, struct candidate *out,
                               bool *is_one, struct error *error)
{
    *out = (struct candidate){.sift = sift};
    *is_one = sift->column->sealed->index.size != 0 && sift->key_count != 0 &&
              sift->key_count <= KEYS_MAX && !sift->has_nan;
    if (!*is_one)
        return OK;
    enum err err = source_read_index(cursor->place.sealed, sift->column->sealed, &cursor->counts,
                                     &out->entry, error);
    if (err != OK)
        return err;
    if (fault_is("sealed.bitmap_wrong_key"))
        sift->keys[0] += sift->keys[0] > 0 ? -1 : 1;
    *is_one = count_rows(&out->entry->index, sift, &out->row_count);
    if (*is_one)
        sift->share = (double)(out->row_count + 1) / cursor->place.footer->row_count;
    else
        cache_entry_unref(out->entry);
    return OK;
}

/* Makes the rows of a condition the sieve's, or what both have in common. */
static enum err use_bitmap(struct cursor *cursor, const struct candidate *candidate,
                           struct error *error)
{
    struct sieve *sieve = &cursor->place.sieve;
    struct sift *sift = candidate->sift;
    struct row_set *rows = NULL;
    enum err err =
        bitmap_index_rows(&candidate->entry->index, sift->keys, sift->key_count, &rows, error);
    if (err != OK)
        return err;
    sift->is_by_bitmap = true;
    cursor->counts.bitmaps_used++;
    size_t column = (size_t)(sift->column - cursor->columns);
    cursor->counts.bitmap_columns |= column < 64 ? UINT64_C(1) << column : 0;
    if (sieve->rows == NULL) {
        sieve->rows = rows;
        return OK;
    }
    row_set_intersect(sieve->rows, rows);
    row_set_destroy(rows);
    return OK;
}

/* The rarest first. Another one only if its list is read sooner than the rows left so far are held
 * against its codes. */
static enum err use_bitmaps(struct cursor *cursor, struct error *error)
{
    struct sieve *sieve = &cursor->place.sieve;
    struct candidate *candidates =
        arena_alloc_array(&sieve->arena, sieve->sift_count, sizeof(*candidates));
    size_t count = 0;
    uint64_t left = cursor->place.footer->row_count / BITMAP_SHARE;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < sieve->sift_count; i++) {
        bool is_one;
        err = open_candidate(cursor, &sieve->sifts[i], &candidates[count], &is_one, error);
        count += err == OK && is_one ? 1 : 0;
    }
    if (count != 0)
        qsort(candidates, count, sizeof(*candidates), compare_candidates);
    for (size_t i = 0; err == OK && i < count && candidates[i].row_count < left; i++) {
        err = use_bitmap(cursor, &candidates[i], error);
        if (err == OK)
            left = row_set_count(sieve->rows) * LIST_GAIN;
    }
    for (size_t i = 0; i < count; i++)
        cache_entry_unref(candidates[i].entry);
    if (err == OK && sieve->rows != NULL && row_set_count(sieve->rows) == 0)
        sieve->is_empty = true;
    return err;
}

/* --- a segment --- */

/* How much of the rows a condition leaves: all entries of a dictionary are thought to be as
 * frequent, an integer to be one of a thousand values, and of ranges nothing is known. What an
 * index says about its keys was noted already. */
static void guess_share(struct sift *sift)
{
    uint32_t entry_count = sift->column->sealed->entry_count;
    if (sift->share != 0)
        return;
    if (sift->way == SIFT_NULL || sift->way == SIFT_NOT_NULL || sift->way == SIFT_ZONE)
        sift->share = 1;
    else if (entry_count != 0)
        sift->share = (sift->key_count != 0 ? (double)sift->key_count
                                            : (double)(sift->high - sift->low + 1)) /
                      entry_count;
    else
        sift->share = sift->key_count != 0 ? (double)sift->key_count / 1000 : 0.5;
}

/* Those that leave the least first: the columns of the others may not be needed then, or for few
 * rows only. */
static int compare_sifts(const void *a, const void *b)
{
    const struct sift *x = a, *y = b;
    return (x->share > y->share) - (x->share < y->share);
}

enum err sieve_enter(struct cursor *cursor, struct error *error)
{
    struct sieve *sieve = &cursor->place.sieve;
    const struct scan_filter *filter = cursor->filter;
    *sieve = (struct sieve){0};
    if (filter == NULL || (filter->condition_count == 0 && filter->bound == NULL))
        return OK;
    sieve->sifts =
        arena_alloc_array(&sieve->arena, filter->condition_count + 1, sizeof(*sieve->sifts));
    sieve->sifts++; /* before them is the bound's place */
    enum err err = OK;
    for (size_t i = 0; err == OK && !sieve->is_empty && i < filter->condition_count; i++) {
        bool passes = true, is_told = false;
        assert(filter->conditions[i].column < cursor->column_count);
        err = sieve_make_sift(cursor, &filter->conditions[i], &sieve->arena,
                              &sieve->sifts[sieve->sift_count], &passes, &is_told, error);
        sieve->sift_count += err == OK && is_told ? 1 : 0;
        sieve->is_empty = err == OK && !passes;
    }
    if (err == OK && !sieve->is_empty && !filter->is_without_bitmaps)
        err = use_bitmaps(cursor, error);
    for (size_t i = 0; i < sieve->sift_count; i++)
        guess_share(&sieve->sifts[i]);
    qsort(sieve->sifts, sieve->sift_count, sizeof(*sieve->sifts), compare_sifts);
    if (err != OK)
        sieve_leave(sieve);
    return err;
}

void sieve_leave(struct sieve *sieve)
{
    row_set_destroy(sieve->rows);
    arena_deinit(&sieve->bound_arena);
    arena_deinit(&sieve->arena);
    *sieve = (struct sieve){0};
}
