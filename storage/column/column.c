/* Columns of batches: the small set of moves that every stage shares.
 *
 * A column is a view: it owns nothing, its arrays lie in somebody's arena or chunk. Each function
 * here either borrows further (gather of texts keeps pointing at the old payloads) or copies all of
 * it (column_copy), and says so in the header. The three forms are kept as long as that costs
 * nothing:
 *
 *   flatten   CONSTANT, DICTIONARY -> FLAT       one pass, texts borrowed
 *   gather    form kept; CONSTANT stays as is    one pass over the selection
 *   copy      payload bytes too; a dictionary much larger than the rows becomes FLAT
 *
 * Values are moved by element size, never by type, so a new type that fits a physical class costs
 * nothing here. What a NULL row holds is moved like any other value: it is initialized by contract.
 */
#include "storage/column/column.h"

#include <assert.h>
#include <string.h>

/* Rows a builder starts with. */
#define BUILDER_CAPACITY_FIRST 64

static size_t element_size(const struct column *column)
{
    return physical_size(type_physical(column->type.id));
}

static bool is_text(const struct column *column)
{
    return type_physical(column->type.id) == PHYSICAL_TEXT;
}

/* --- cells --- */

struct value column_value(const struct column *column, size_t row)
{
    struct value value = {.type = column->type};
    if (column_is_null(column, row)) {
        value.is_null = true;
        return value;
    }
    size_t index = column_index(column, row);
    switch (type_physical(column->type.id)) {
    case PHYSICAL_BOOL:
        value.b = column->b[index] != 0;
        break;
    case PHYSICAL_INT:
        value.i = column->i[index];
        break;
    case PHYSICAL_FLOAT:
        value.f = column->f[index];
        break;
    case PHYSICAL_NUMERIC:
        value.n = column->n[index];
        break;
    case PHYSICAL_TEXT:
        value.text = column_text(column, row);
        break;
    case PHYSICAL_INTERVAL:
        value.interval = column->interval[index];
        break;
    }
    return value;
}

/* Stores one value, or zeros for NULL, at `index` of an array of its physical class. */
static void element_set(void *values, size_t index, enum physical physical,
                        const struct value *value)
{
    size_t size = physical_size(physical);
    if (value->is_null) {
        memset((char *)values + index * size, 0, size);
        return;
    }
    switch (physical) {
    case PHYSICAL_BOOL:
        ((uint8_t *)values)[index] = value->b ? 1 : 0;
        break;
    case PHYSICAL_INT:
        ((int64_t *)values)[index] = value->i;
        break;
    case PHYSICAL_FLOAT:
        ((double *)values)[index] = value->f;
        break;
    case PHYSICAL_NUMERIC:
        ((struct numeric *)values)[index] = value->n;
        break;
    case PHYSICAL_TEXT:
        ((struct slice *)values)[index] = value->text;
        break;
    case PHYSICAL_INTERVAL:
        ((struct interval *)values)[index] = value->interval;
        break;
    }
}

struct column column_from_value(const struct value *value, struct arena *arena)
{
    enum physical physical = type_physical(value->type.id);
    struct column column = {.type = value->type, .form = COLUMN_CONSTANT};
    void *values = arena_alloc_zero(arena, physical_size(physical));
    element_set(values, 0, physical, value);
    if (physical == PHYSICAL_TEXT && !value->is_null)
        *(struct slice *)values = arena_copy(arena, value->text);
    column.values = values;
    if (value->is_null)
        column.validity = arena_alloc_zero(arena, 1);
    return column;
}

/* --- moves --- */

/* out[i] = in[selection[i]]; one loop per element size, so that each compiles to plain loads and
 * stores. */
static void gather_elements(void *out, const void *in, size_t size, const uint32_t *selection,
                            size_t count)
{
    if (size == 1) {
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = ((const uint8_t *)in)[selection[i]];
    } else if (size == 4) {
        for (size_t i = 0; i < count; i++)
            ((uint32_t *)out)[i] = ((const uint32_t *)in)[selection[i]];
    } else if (size == 8) {
        for (size_t i = 0; i < count; i++)
            ((uint64_t *)out)[i] = ((const uint64_t *)in)[selection[i]];
    } else if (size == sizeof(struct slice)) {
        for (size_t i = 0; i < count; i++)
            ((struct slice *)out)[i] = ((const struct slice *)in)[selection[i]];
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy((char *)out + i * size, (const char *)in + (size_t)selection[i] * size, size);
    }
}

/* `count` copies of one element. */
static void repeat_element(void *out, const void *element, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy((char *)out + i * size, element, size);
}

struct column column_flatten(const struct column *column, size_t row_count, struct arena *arena)
{
    if (column->form == COLUMN_FLAT)
        return *column;
    size_t size = element_size(column);
    void *values = arena_alloc_array(arena, row_count, size);
    struct column out = {.type = column->type, .form = COLUMN_FLAT, .values = values};
    if (column->form == COLUMN_DICTIONARY) {
        assert(is_text(column));
        out.validity = column->validity;
        if (column->dictionary_count == 0) /* every row is NULL: code 0 names no entry */
            memset(values, 0, row_count * size);
        else
            gather_elements(values, column->dictionary, size, column->codes, row_count);
        return out;
    }
    repeat_element(values, column->values, size, row_count);
    if (column->validity != NULL && column->validity[0] == 0)
        out.validity = arena_alloc_zero(arena, row_count);
    return out;
}

struct column column_gather(const struct column *column, const uint32_t *selection, size_t count,
                            struct arena *arena)
{
    struct column out = *column;
    if (column->form == COLUMN_CONSTANT)
        return out;
    if (column->validity != NULL) {
        uint8_t *validity = arena_alloc(arena, count);
        gather_elements(validity, column->validity, 1, selection, count);
        out.validity = validity;
    }
    if (column->form == COLUMN_DICTIONARY) {
        uint32_t *codes = arena_alloc_array(arena, count, sizeof(*codes));
        gather_elements(codes, column->codes, sizeof(*codes), selection, count);
        out.codes = codes;
        return out;
    }
    size_t size = element_size(column);
    void *values = arena_alloc_array(arena, count, size);
    gather_elements(values, column->values, size, selection, count);
    out.values = values;
    return out;
}

struct column column_from(const struct column *column, size_t first)
{
    struct column out = *column;
    if (column->form == COLUMN_CONSTANT || first == 0)
        return out;
    if (column->validity != NULL)
        out.validity = column->validity + first;
    if (column->form == COLUMN_DICTIONARY)
        out.codes = column->codes + first;
    else
        out.values = (const char *)column->values + first * element_size(column);
    return out;
}

/* Slices and their bytes, the bytes in one piece. */
static const struct slice *copy_texts(const struct slice *texts, const uint8_t *validity,
                                      size_t count, struct arena *arena)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += validity == NULL || validity[i] != 0 ? texts[i].size : 0;
    struct slice *out = arena_alloc_array(arena, count, sizeof(*out));
    char *bytes = arena_alloc(arena, total);
    for (size_t i = 0; i < count; i++) {
        size_t size = validity == NULL || validity[i] != 0 ? texts[i].size : 0;
        if (size != 0)
            memcpy(bytes, texts[i].data, size);
        out[i] = slice_of(bytes, size);
        bytes += size;
    }
    return out;
}

static const void *copy_bytes(const void *data, size_t size, struct arena *arena)
{
    void *out = arena_alloc(arena, size);
    if (size != 0)
        memcpy(out, data, size);
    return out;
}

void dictionary_notes_add(struct dictionary_notes *notes, struct dictionary_note *note, size_t size)
{
    note->older = atomic_load_explicit(&notes->newest, memory_order_relaxed);
    atomic_store_explicit(&notes->newest, note, memory_order_release);
    atomic_fetch_add_explicit(&notes->size, size, memory_order_relaxed);
}

void dictionary_notes_free(struct dictionary_notes *notes)
{
    struct dictionary_note *note = atomic_load_explicit(&notes->newest, memory_order_relaxed);
    while (note != NULL) {
        struct dictionary_note *older = note->older;
        memory_free(note);
        note = older;
    }
    atomic_store_explicit(&notes->newest, NULL, memory_order_relaxed);
    atomic_store_explicit(&notes->missed, 0, memory_order_relaxed);
}

struct column column_copy(const struct column *column, size_t row_count, struct arena *arena)
{
    struct column out = *column;
    if (out.form == COLUMN_DICTIONARY && out.dictionary_count > 2 * row_count)
        out = column_flatten(column, row_count, arena);
    size_t count = out.form == COLUMN_CONSTANT ? 1 : row_count;
    if (out.validity != NULL)
        out.validity = copy_bytes(out.validity, count, arena);
    if (out.form == COLUMN_DICTIONARY) {
        out.codes = copy_bytes(out.codes, count * sizeof(*out.codes), arena);
        out.dictionary = copy_texts(out.dictionary, NULL, out.dictionary_count, arena);
        out.values = NULL;
        out.is_lasting = false;
        out.notes = NULL; /* they are the original's, which may go before the copy does */
        return out;
    }
    if (is_text(column))
        out.text = copy_texts(out.text, out.validity, count, arena);
    else
        out.values = copy_bytes(out.values, count * element_size(column), arena);
    return out;
}

/* --- builder --- */

void column_builder_init(struct column_builder *builder, struct type type, struct arena *arena)
{
    *builder = (struct column_builder){.type = type, .arena = arena};
}

/* Room for one more row: arrays double, the old ones stay behind in the arena. */
static void builder_grow(struct column_builder *builder)
{
    if (builder->count < builder->capacity)
        return;
    size_t size = physical_size(type_physical(builder->type.id));
    size_t capacity = builder->capacity == 0 ? BUILDER_CAPACITY_FIRST : builder->capacity * 2;
    void *values = arena_alloc_array(builder->arena, capacity, size);
    uint8_t *validity = arena_alloc(builder->arena, capacity);
    if (builder->count != 0) {
        memcpy(values, builder->values, builder->count * size);
        memcpy(validity, builder->validity, builder->count);
    }
    builder->values = values;
    builder->validity = validity;
    builder->capacity = capacity;
}

void column_builder_add(struct column_builder *builder, const struct value *value)
{
    enum physical physical = type_physical(builder->type.id);
    assert(value->is_null || type_physical(value->type.id) == physical);
    builder_grow(builder);
    struct value own = *value;
    if (physical == PHYSICAL_TEXT && !own.is_null)
        own.text = arena_copy(builder->arena, own.text);
    element_set(builder->values, builder->count, physical, &own);
    builder->validity[builder->count] = own.is_null ? 0 : 1;
    builder->has_null |= own.is_null;
    builder->count++;
}

void column_builder_add_null(struct column_builder *builder)
{
    column_builder_add(builder, &(struct value){.type = builder->type, .is_null = true});
}

struct column column_builder_finish(struct column_builder *builder)
{
    if (builder->capacity == 0)
        builder_grow(builder); /* empty columns point at memory too */
    return (struct column){
        .type = builder->type,
        .form = COLUMN_FLAT,
        .validity = builder->has_null ? builder->validity : NULL,
        .values = builder->values,
    };
}
