/* The cursor: rows of a view as vectors. This file has the calls and the chunks of mutable
 * segments; cursor_sealed.c has the blocks of sealed ones.
 *
 * Per vector and column of a chunk the cheapest of four ways:
 *
 *   borrow    bigint, times, double, boolean, plain text: the vector points into the chunk
 *   widen     narrow integers, real, numeric, uuid: one pass into the cursor's buffer
 *   codes     16-bit codes widened to 32 bits, the dictionary borrowed
 *   constant  the chunk is older than the column: its `missing` value
 *
 * Validity is borrowed, and left out for vectors that end before the chunk's first NULL. A
 * dictionary may get longer from one vector to the next, under the same id and with the same codes.
 * Cost per value: 0 for borrowed, about 0.3 ns for codes and narrow integers. */
#include "storage/segment/cursor.h"

#include <assert.h>

struct cursor *cursor_open(const struct table_view *view, const uint32_t *columns,
                           size_t column_count, const struct scan_filter *filter)
{
    struct cursor *cursor = memory_alloc_zero(sizeof(*cursor));
    cursor->view = view;
    view_pins_init(&cursor->own_pins);
    cursor->filter = filter;
    cursor->morsel = SIZE_MAX;
    cursor->column_count = column_count;
    arena_init(&cursor->arena);
    cursor->columns = arena_alloc_zero(&cursor->arena, column_count * sizeof(*cursor->columns));
    cursor->vectors = arena_alloc_zero(&cursor->arena, column_count * sizeof(*cursor->vectors));
    cursor->place.selection = arena_alloc_array(&cursor->arena, VECTOR_ROOM, sizeof(uint32_t));
    cursor->place.picked = arena_alloc_array(&cursor->arena, VECTOR_ROOM, sizeof(uint32_t));
    cursor->place.other = arena_alloc_array(&cursor->arena, VECTOR_ROOM, sizeof(uint32_t));
    for (size_t i = 0; i < column_count; i++) {
        assert(columns[i] < view->schema->column_count);
        struct cursor_column *column = &cursor->columns[i];
        column->index = columns[i];
        column->definition = &view->schema->columns[columns[i]];
        struct value missing = column->definition->missing;
        missing.type = column->definition->type;
        column->constant = column_from_value(&missing, &cursor->arena);
        column->null = column_from_value(&(struct value){.type = missing.type, .is_null = true},
                                         &cursor->arena);
        block_scratch_init(&column->scratch);
    }
    return cursor;
}

/* The chunk's column of this id; most often it stands where the definition has it. */
static const struct chunk_column *find_source(const struct chunk *chunk,
                                              const struct cursor_column *column)
{
    uint32_t id = column->definition->id;
    if (column->index < chunk->column_count && chunk->columns[column->index].column_id == id)
        return &chunk->columns[column->index];
    for (uint32_t i = 0; i < chunk->column_count; i++) {
        if (chunk->columns[i].column_id == id)
            return &chunk->columns[i];
    }
    return NULL;
}

/* Whether a condition on the event time leaves nothing of the morsel. */
static bool is_out_of_time(const struct cursor *cursor, size_t morsel)
{
    const struct scan_filter *filter = cursor->filter;
    const struct schema *schema = cursor->view->schema;
    int64_t min_us, max_us;
    if (filter == NULL || !table_view_morsel_times(cursor->view, morsel, &min_us, &max_us))
        return false;
    for (size_t i = 0; i < filter->condition_count; i++) {
        const struct scan_condition *asked = &filter->conditions[i];
        bool is_time = cursor->columns[asked->column].index == (uint32_t)schema->time_column;
        if (is_time && asked->test == SCAN_RANGE &&
            ((asked->has_low && max_us < asked->low.i) ||
             (asked->has_high && min_us > asked->high.i)))
            return true;
    }
    return false;
}

static void mutable_seek(struct cursor *cursor, size_t morsel, struct morsel_place place)
{
    struct morsel_range range = table_view_morsel(cursor->view, morsel);
    const struct segment *segment =
        place.entry != NULL ? place.entry->segment : cursor->view->segment;
    cursor->chunk = segment_chunk(segment, place.index);
    cursor->row = 0;
    cursor->end = range.end - range.begin;
    cursor->counts.rows_considered += cursor->end;
    for (size_t i = 0; i < cursor->column_count; i++)
        cursor->columns[i].source = find_source(cursor->chunk, &cursor->columns[i]);
}

enum err cursor_seek(struct cursor *cursor, size_t morsel, bool *has, struct error *error)
{
    enum err err = OK;
    struct morsel_place place = view_morsel_place(cursor->view, morsel);
    cursor->morsel = morsel;
    cursor->chunk = NULL;
    cursor->row = cursor->end = 0;
    cursor->place.row = cursor->place.end = 0;
    cursor->place.held = (struct sealed_vector){0};
    cursor->place.block_row_count = cursor->place.block_row_next = 0;
    cursor->place.has_block_rows = true;
    cursor->counts.morsels++;
    cursor_leave_out(cursor, NULL);
    *has = !is_out_of_time(cursor, morsel);
    if (*has && place.entry != NULL && place.entry->sealed != NULL)
        err = sealed_seek(cursor, morsel, place, has, error);
    else if (*has)
        mutable_seek(cursor, morsel, place);
    cursor->counts.morsels_skipped += *has ? 0 : 1;
    return err;
}

void cursor_limit(struct cursor *cursor, uint64_t begin, uint64_t end)
{
    assert(cursor->chunk != NULL && cursor->row == 0);
    assert(begin <= end && end <= cursor->end);
    cursor->counts.rows_considered -= cursor->end - (end - begin);
    cursor->row = begin;
    cursor->end = end;
}

void *cursor_buffer(struct cursor *cursor, struct cursor_column *column)
{
    if (column->buffer == NULL) {
        size_t size = physical_size(type_physical(column->definition->type.id));
        column->buffer = arena_alloc_array(&cursor->arena, VECTOR_ROOM, size);
    }
    return column->buffer;
}

static bool is_borrowed(struct type type)
{
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
    case TYPE_INT8:
    case TYPE_FLOAT8:
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
        return true;
    default:
        return false;
    }
}

static struct column read_codes(struct cursor *cursor, struct cursor_column *column, uint64_t row,
                                size_t count)
{
    const struct chunk_column *source = column->source;
    struct column out = {.type = column->definition->type, .form = COLUMN_DICTIONARY};
    out.dictionary = dictionary_entries(source->dictionary, &out.dictionary_count);
    if (out.dictionary_count == 0) /* nothing but NULLs: code 0 would name nothing */
        return column->null;
    const uint16_t *codes = (const uint16_t *)source->values + row;
    uint32_t *wide = cursor_buffer(cursor, column);
    for (size_t i = 0; i < count; i++)
        wide[i] = codes[i];
    out.codes = wide;
    out.dictionary_id = dictionary_id(source->dictionary);
    out.notes = dictionary_notes(source->dictionary);
    out.is_lasting = true;
    return out;
}

struct column cursor_chunk_vector(struct cursor *cursor, struct cursor_column *column, uint64_t row,
                                  size_t count)
{
    const struct chunk_column *source = column->source;
    if (column->is_left_out)
        return column->null;
    if (source == NULL)
        return column->constant;
    struct column out = {.type = column->definition->type, .form = COLUMN_FLAT};
    if (source->form == CHUNK_CODES) {
        out = read_codes(cursor, column, row, count);
        if (out.form == COLUMN_CONSTANT)
            return out;
    } else {
        const char *values = (const char *)source->values + row * source->width;
        if (source->form == CHUNK_TEXT || is_borrowed(out.type)) {
            out.values = values;
        } else {
            void *buffer = cursor_buffer(cursor, column);
            stored_widen(out.type, values, count, buffer);
            out.values = buffer;
        }
    }
    uint32_t first_null = atomic_load_explicit(&source->first_null, memory_order_acquire);
    if (first_null < row + count)
        out.validity = atomic_load_explicit(&source->validity, memory_order_relaxed) + row;
    return out;
}

enum err cursor_next(struct cursor *cursor, struct batch *batch, bool *has, struct error *error)
{
    if (cursor->chunk == NULL)
        return sealed_next(cursor, batch, has, error);
    *has = cursor->row < cursor->end;
    if (!*has)
        return OK;
    size_t left = cursor->end - cursor->row;
    size_t count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
    for (size_t i = 0; i < cursor->column_count; i++)
        cursor->vectors[i] = cursor_chunk_vector(cursor, &cursor->columns[i], cursor->row, count);
    cursor->last = (struct batch_place){.base = cursor->row, .count = count};
    cursor->row += count;
    *batch = (struct batch){
        .row_count = count, .column_count = cursor->column_count, .columns = cursor->vectors};
    return OK;
}

void cursor_leave_out(struct cursor *cursor, const bool *columns)
{
    for (size_t i = 0; i < cursor->column_count; i++)
        cursor->columns[i].is_left_out = columns != NULL && columns[i];
}

bool cursor_is_exact(const struct cursor *cursor)
{
    return cursor->place.sealed != NULL && cursor->chunk == NULL && cursor->filter != NULL &&
           cursor->filter->is_whole && cursor->place.sieve.is_exact;
}

const struct scan_counts *cursor_counts(const struct cursor *cursor)
{
    return &cursor->counts;
}

void cursor_close(struct cursor *cursor)
{
    sealed_leave(cursor);
    view_pins_release(&cursor->own_pins);
    arena_deinit(&cursor->place.texts);
    for (size_t i = 0; i < cursor->column_count; i++)
        block_scratch_deinit(&cursor->columns[i].scratch);
    arena_deinit(&cursor->arena);
    memory_free(cursor);
}
