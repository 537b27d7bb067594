/* The cursor in sealed segments: vectors out of blocks.
 *
 *   enter segment ── footer, columns by id, the filter against it (sieve.c)
 *   seek block    ── zones and bitmaps; nothing read yet
 *   next vector   ── rows that can pass; none: the next one, no other column touched
 *                    all: columns decoded, many: decoded and gathered, few: picked
 *
 * A column's page is fetched when the first vector of the block needs it, so columns that a filter
 * leaves no rows for are not read at all. Codes come out with the segment's dictionary, which is
 * pinned to the snapshot when it is first handed out; everything else as the physical class of its
 * type. Integers and times are decoded straight into what the batch points to; booleans, numerics
 * and uuids take a second pass. */
#include "storage/segment/cursor.h"

#include "storage/base/fault.h"

#include <assert.h>

#define PICK_SHARE 16 /* at most 1 row in so many: they are picked one by one */
#define STREAK_AHEAD 2
#define STREAK_GAP 8 /* morsels that other threads may have taken in between */

/* --- pages --- */

static void drop_page(struct cursor_column *column)
{
    if (column->page != NULL)
        cache_entry_unref(column->page);
    column->page = NULL;
    column->scratch.tag = 0; /* of a block that may be gone, or read again elsewhere */
}

enum err cursor_page(struct cursor *cursor, struct cursor_column *column, const struct block **out,
                     struct error *error)
{
    struct sealed_place *place = &cursor->place;
    if (column->page != NULL && column->page_block != place->block &&
        !(fault_is("sealed.stale_page") && column->page->block.row_count > place->end))
        drop_page(column);
    if (column->page == NULL) {
        struct source_block which = {.sealed = place->sealed,
                                     .column = column->sealed,
                                     .block = place->block,
                                     .is_ahead = place->streak >= STREAK_AHEAD,
                                     .pauser = cursor->pauser};
        enum err err = source_read_block(&which, &cursor->counts, &column->page, error);
        if (err != OK)
            return err;
        column->page_block = place->block;
    }
    *out = &column->page->block;
    return OK;
}

enum err cursor_dictionary(struct cursor *cursor, struct cursor_column *column,
                           const struct cache_entry **out, struct error *error)
{
    if (column->dictionary == NULL) {
        enum err err = source_read_dictionary(cursor->place.sealed, column->sealed, cursor->pauser,
                                              &cursor->counts, &column->dictionary, error);
        if (err != OK)
            return err;
    }
    *out = column->dictionary;
    return OK;
}

/* The dictionary for a batch: whoever gets it may keep it as long as the snapshot. While the cache
 * has room for it, it is counted there and shared by all who read; only what is held past that is
 * the scan's own. */
static enum err hand_out_dictionary(struct cursor *cursor, struct cursor_column *column,
                                    struct column *out, struct error *error)
{
    const struct cache_entry *dictionary;
    enum err err = cursor_dictionary(cursor, column, &dictionary, error);
    if (err != OK)
        return err;
    if (!column->is_pinned) {
        struct view_pins *pins =
            cursor->view->pins != NULL ? cursor->view->pins : &cursor->own_pins;
        size_t size = cache_entry_size(column->dictionary);
        if (view_pins_add(pins, column->dictionary)) {
            size_t excess = source_excess(cursor->place.sealed);
            cursor->counts.bytes_pinned += size < excess ? size : excess;
        }
        column->is_pinned = true;
    }
    out->dictionary = dictionary->texts;
    out->dictionary_count = dictionary->text_count;
    out->notes = &column->dictionary->notes;
    out->is_lasting = cursor->view->pins != NULL;
    out->dictionary_id = sealed_dictionary_id(cursor->place.sealed, column->sealed);
    return OK;
}

/* --- segments and blocks --- */

void sealed_leave(struct cursor *cursor)
{
    struct sealed_place *place = &cursor->place;
    if (place->sealed == NULL)
        return;
    for (size_t i = 0; i < cursor->column_count; i++) {
        struct cursor_column *column = &cursor->columns[i];
        drop_page(column);
        if (column->dictionary != NULL && !column->is_pinned)
            cache_entry_unref(column->dictionary);
        column->dictionary = NULL;
        column->is_pinned = false;
    }
    sieve_leave(&place->sieve);
    cursor->counts.segments_skipped += place->is_read ? 0 : 1;
    place->sealed = NULL;
}

static enum err enter(struct cursor *cursor, struct sealed *sealed, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    enum err err = sealed_open(sealed, &place->footer, error);
    if (err != OK)
        return err;
    place->sealed = sealed;
    place->is_read = false;
    cursor->counts.segments++;
    for (size_t i = 0; i < cursor->column_count; i++) {
        struct cursor_column *column = &cursor->columns[i];
        struct type type = column->definition->type;
        column->sealed = sealed_column_find(place->footer, column->definition->id);
        if (column->sealed != NULL &&
            type_physical(column->sealed->type.id) != type_physical(type.id))
            column->sealed = NULL; /* not what the definition says: as if it were not there */
    }
    err = sieve_enter(cursor, error);
    if (err != OK)
        sealed_leave(cursor);
    return err;
}

enum err sealed_seek(struct cursor *cursor, size_t morsel, struct morsel_place where, bool *has,
                     struct error *error)
{
    struct sealed_place *place = &cursor->place;
    enum err err = OK;
    *has = false;
    if (place->sealed != where.entry->sealed) {
        sealed_leave(cursor);
        err = enter(cursor, where.entry->sealed, error);
        if (err != OK)
            return err;
    }
    uint32_t left = place->footer->row_count - where.index * BLOCK_ROWS_MAX;
    place->block = where.index;
    place->row = 0;
    place->held = (struct sealed_vector){0};
    place->has_block_rows = false;
    place->is_listed = false;
    for (size_t i = 0; i < cursor->column_count; i++)
        cursor->columns[i].is_fixed = false;
    place->end = left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX;
    err = bound_follow(cursor, error);
    if (err != OK)
        return err;
    if (!sieve_block(&place->sieve, where.index, place->end))
        return OK;
    bool is_on = morsel > place->last_morsel && morsel - place->last_morsel <= STREAK_GAP;
    place->streak = is_on ? place->streak + 1 : 0;
    place->last_morsel = morsel;
    place->is_read = true;
    cursor->counts.rows_considered += place->end;
    *has = true;
    return OK;
}

/* --- values --- */

/* What a batch is made of: one vector, or rows picked from several of a block. */
struct wanted {
    struct sealed_vector vector;
    const uint32_t *picked; /* in the block, ascending; NULL: the vector */
    uint32_t row_count;
};

/* Moves the wanted of a vector's values to the front: a row never lies before its place. */
#define GATHER(type, values, vector)                                                               \
    do {                                                                                           \
        type *restrict at = (values);                                                              \
        for (uint32_t i = 0; i < (vector)->row_count; i++)                                         \
            at[i] = at[(vector)->rows[i]];                                                         \
    } while (0)

struct wide_value {
    uint64_t low, high;
};

static size_t value_size(const struct block *block)
{
    return block->class == BLOCK_WIDE || block->class == BLOCK_TEXT ? 16 : 8;
}

/* Room for a vector of any class. */
static void *cursor_raw(struct cursor *cursor, struct cursor_column *column)
{
    if (column->raw == NULL)
        column->raw = arena_alloc_array(&cursor->arena, VECTOR_ROOM, 16);
    return column->raw;
}

/* The next picked rows that lie in one vector: from `first` to below what is returned. */
static uint32_t group_end(const struct wanted *wanted, uint32_t first)
{
    uint32_t vector = wanted->picked[first] / BLOCK_VECTOR_ROWS, end = first + 1;
    while (end < wanted->row_count && wanted->picked[end] / BLOCK_VECTOR_ROWS == vector)
        end++;
    return end;
}

/* Texts of a vector lie in its scratch, which the next one needs. */
static void keep_texts(struct arena *arena, struct slice *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        texts[i] = arena_copy(arena, texts[i]);
}

static enum err pick_values(struct cursor *cursor, struct cursor_column *column,
                            const struct block *block, const struct wanted *wanted, void *out,
                            struct error *error)
{
    enum err err = OK;
    if (block->class != BLOCK_TEXT)
        return block_read_at(block, wanted->picked, wanted->row_count, &column->scratch, out,
                             error);
    for (uint32_t i = 0, end; err == OK && i < wanted->row_count; i = end) {
        end = group_end(wanted, i);
        char *target = (char *)out + i * value_size(block);
        err = block_read_at(block, wanted->picked + i, end - i, &column->scratch, target, error);
        if (err == OK && end - i < wanted->row_count)
            keep_texts(&cursor->place.texts, (struct slice *)(void *)target, end - i);
    }
    return err;
}

/* Wanted values as the block's class has them, into `out`. */
static enum err read_values(struct cursor *cursor, struct cursor_column *column,
                            const struct block *block, const struct wanted *wanted, void *out,
                            struct error *error)
{
    const struct sealed_vector *vector = &wanted->vector;
    if (wanted->picked != NULL)
        return pick_values(cursor, column, block, wanted, out, error);
    enum err err = block_read(block, vector->begin, vector->count, &column->scratch, out, error);
    if (err != OK || vector->rows == NULL)
        return err;
    if (block->class == BLOCK_WIDE)
        GATHER(struct wide_value, out, vector);
    else if (block->class == BLOCK_TEXT)
        GATHER(struct slice, out, vector);
    else
        GATHER(int64_t, out, vector);
    return OK;
}

static enum err read_codes(struct cursor *cursor, struct cursor_column *column,
                           const struct block *block, const struct wanted *wanted,
                           struct column *out, struct error *error)
{
    uint32_t *codes = cursor_buffer(cursor, column);
    out->form = COLUMN_DICTIONARY;
    out->codes = codes;
    enum err err = hand_out_dictionary(cursor, column, out, error);
    if (err != OK)
        return err;
    if (wanted->picked != NULL) {
        int64_t *raw = cursor_raw(cursor, column);
        err = pick_values(cursor, column, block, wanted, raw, error);
        uint32_t last = column->sealed->entry_count - 1; /* single values are not held to it */
        for (uint32_t i = 0; err == OK && i < wanted->row_count; i++)
            codes[i] = (uint64_t)raw[i] < last ? (uint32_t)raw[i] : last;
        return err;
    }
    block_read_codes(block, wanted->vector.begin, wanted->vector.count, codes);
    if (wanted->vector.rows != NULL)
        GATHER(uint32_t, codes, &wanted->vector);
    return OK;
}

/* From a block's class to the physical class of the type, where they differ. */
void cursor_convert(struct type type, const void *raw, uint32_t count, void *out)
{
    if (type.id == TYPE_BOOL) {
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = ((const int64_t *)raw)[i] != 0;
        return;
    }
    stored_widen(type, raw, count, out);
}

static enum err read_plain(struct cursor *cursor, struct cursor_column *column,
                           const struct block *block, const struct wanted *wanted,
                           struct column *out, struct error *error)
{
    struct type type = column->sealed->type;
    bool is_converted =
        type.id == TYPE_BOOL || type.id == TYPE_NUMERIC || block->class == BLOCK_WIDE;
    void *raw = cursor_raw(cursor, column);
    enum err err = read_values(cursor, column, block, wanted, raw, error);
    if (err != OK)
        return err;
    out->values = raw;
    if (is_converted) {
        void *buffer = cursor_buffer(cursor, column);
        cursor_convert(type, raw, wanted->row_count, buffer);
        out->values = buffer;
    }
    return OK;
}

/* Validity of picked rows, vector by vector; false: none of them is NULL. */
static bool pick_validity(const struct block *block, const struct wanted *wanted, uint8_t *out)
{
    uint8_t whole[VECTOR_ROOM];
    bool has_null = false;
    memset(out, 1, wanted->row_count);
    for (uint32_t i = 0, end; i < wanted->row_count; i = end) {
        uint32_t begin = wanted->picked[i] / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
        uint32_t left = block->row_count - begin;
        uint32_t count = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
        end = group_end(wanted, i);
        if (!block_validity(block, begin, count, whole))
            continue;
        has_null = true;
        for (uint32_t k = i; k < end; k++)
            out[k] = whole[wanted->picked[k] - begin];
    }
    return has_null;
}

static void read_validity(struct cursor *cursor, struct cursor_column *column,
                          const struct block *block, const struct wanted *wanted,
                          struct column *out)
{
    const struct sealed_vector *vector = &wanted->vector;
    if (block->null_count == 0)
        return;
    if (column->validity == NULL)
        column->validity = arena_alloc(&cursor->arena, VECTOR_ROOM);
    bool has_null = wanted->picked != NULL
                        ? pick_validity(block, wanted, column->validity)
                        : block_validity(block, vector->begin, vector->count, column->validity);
    if (!has_null)
        return;
    if (wanted->picked == NULL && vector->rows != NULL)
        GATHER(uint8_t, column->validity, vector);
    out->validity = column->validity;
}

/* A column whose value follows from the filter. */
static enum err fix_column(struct cursor *cursor, struct cursor_column *column, struct column *out,
                           struct error *error)
{
    struct type type = column->sealed->type;
    *out = (struct column){.type = column->definition->type, .form = COLUMN_CONSTANT};
    out->values = &column->fixed_value;
    if (column->sealed->entry_count == 0) {
        int64_t raw = column->fixed;
        if (type.id == TYPE_BOOL || type.id == TYPE_NUMERIC)
            cursor_convert(type, &raw, 1, &column->fixed_value);
        else
            column->fixed_value.i = raw;
        return OK;
    }
    struct column dictionary;
    enum err err = hand_out_dictionary(cursor, column, &dictionary, error);
    if (err == OK)
        column->fixed_value.text = dictionary.dictionary[column->fixed];
    return err;
}

static enum err read_column(struct cursor *cursor, struct cursor_column *column,
                            const struct wanted *wanted, struct column *out, struct error *error)
{
    *out = column->is_left_out ? column->null : column->constant;
    if (column->sealed == NULL || column->is_left_out)
        return OK;
    size_t index = (size_t)(column - cursor->columns);
    const struct scan_filter *filter = cursor->filter;
    if (filter != NULL && filter->is_only_tested != NULL && filter->is_only_tested[index] &&
        cursor_is_exact(cursor)) {
        *out = column->null;
        return OK;
    }
    if (column->is_fixed)
        return fix_column(cursor, column, out, error);
    const struct block *block;
    enum err err = cursor_page(cursor, column, &block, error);
    if (err != OK)
        return err;
    *out = (struct column){.type = column->definition->type, .form = COLUMN_FLAT};
    if (column->sealed->entry_count != 0)
        err = read_codes(cursor, column, block, wanted, out, error);
    else
        err = read_plain(cursor, column, block, wanted, out, error);
    if (err == OK)
        read_validity(cursor, column, block, wanted, out);
    return err;
}

/* --- batches --- */

enum err cursor_block_rows(struct cursor *cursor, struct error *error)
{
    enum err err = OK;
    if (!cursor->place.has_block_rows)
        err = sieve_rows(cursor, error);
    cursor->place.has_block_rows = cursor->place.has_block_rows || err == OK;
    return err;
}

/* Takes as many of the bitmaps' rows as a batch has. */
static enum err pick_by_bitmap(struct cursor *cursor, struct wanted *wanted, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    enum err err = cursor_block_rows(cursor, error);
    if (err != OK)
        return err;
    uint32_t left = place->block_row_count - place->block_row_next;
    *wanted = (struct wanted){
        .picked = place->block_rows + place->block_row_next,
        .row_count = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS,
    };
    place->block_row_next += wanted->row_count;
    return OK;
}

/* The next vector with rows that can pass; row_count 0: the block is done. */
static enum err find_vector(struct cursor *cursor, struct sealed_vector *out, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    *out = place->held;
    place->held = (struct sealed_vector){0};
    while (out->row_count == 0 && place->row < place->end) {
        uint32_t left = place->end - place->row, selected;
        out->begin = place->row;
        out->count = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
        enum err err = sieve_vector(cursor, out->begin, out->count, &selected, error);
        if (err != OK)
            return err;
        place->row += out->count;
        out->rows = selected == UINT32_MAX ? NULL : place->selection;
        out->row_count = selected == UINT32_MAX ? out->count : selected;
    }
    return OK;
}

static bool is_sparse(const struct sealed_vector *vector)
{
    return vector->rows != NULL && vector->row_count * PICK_SHARE <= vector->count;
}

/* A batch's rows: vectors that have few are put together, so that what a batch costs is paid for
 * more than a handful of rows. *has false: the block is done. */
static enum err find_rows(struct cursor *cursor, struct wanted *wanted, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    *wanted = (struct wanted){0};
    while (wanted->row_count + BLOCK_VECTOR_ROWS / PICK_SHARE <= BLOCK_VECTOR_ROWS) {
        struct sealed_vector vector;
        enum err err = find_vector(cursor, &vector, error);
        if (err != OK || vector.row_count == 0)
            return err;
        if (!is_sparse(&vector)) {
            if (wanted->row_count != 0)
                place->held = vector;
            else
                *wanted = (struct wanted){.vector = vector, .row_count = vector.row_count};
            return OK;
        }
        for (uint32_t i = 0; i < vector.row_count; i++)
            place->picked[wanted->row_count++] = vector.begin + vector.rows[i];
        wanted->picked = place->picked;
    }
    return OK;
}

/* *has false: since the block was sought the bound has moved past all of it. */
static enum err follow_bound(struct cursor *cursor, bool *has, struct error *error)
{
    struct sealed_place *place = &cursor->place;
    uint64_t version = place->sieve.bound_version;
    *has = true;
    enum err err = bound_follow(cursor, error);
    if (err == OK && version != place->sieve.bound_version)
        *has = bound_block(&place->sieve, place->block, place->end);
    return err;
}

static enum err read_batch(struct cursor *cursor, const struct wanted *wanted, struct batch *batch,
                           struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < cursor->column_count; i++)
        err = read_column(cursor, &cursor->columns[i], wanted, &cursor->vectors[i], error);
    if (err != OK)
        return err;
    cursor->last = (struct batch_place){.rows = wanted->picked, .count = wanted->row_count};
    if (wanted->picked == NULL) {
        cursor->last.rows = wanted->vector.rows;
        cursor->last.base = wanted->vector.begin;
    }
    *batch = (struct batch){.row_count = wanted->row_count,
                            .column_count = cursor->column_count,
                            .columns = cursor->vectors};
    return OK;
}

enum err sealed_next(struct cursor *cursor, struct batch *batch, bool *has, struct error *error)
{
    static_assert(BLOCK_VECTOR_ROWS <= VECTOR_ROWS_MAX, "a vector is a batch");
    struct sealed_place *place = &cursor->place;
    struct wanted wanted = {0};
    enum err err = follow_bound(cursor, has, error);
    if (err != OK || !*has)
        return err;
    arena_reset(&place->texts);
    if (place_has_list(place))
        err = pick_by_bitmap(cursor, &wanted, error);
    else
        err = find_rows(cursor, &wanted, error);
    *has = err == OK && wanted.row_count != 0;
    return *has ? read_batch(cursor, &wanted, batch, error) : err;
}

enum err sealed_pick(struct cursor *cursor, const uint32_t *rows, uint32_t count,
                     struct batch *batch, struct error *error)
{
    struct wanted wanted = {.picked = rows, .row_count = count};
    assert(count <= BLOCK_VECTOR_ROWS);
    arena_reset(&cursor->place.texts);
    return read_batch(cursor, &wanted, batch, error);
}
