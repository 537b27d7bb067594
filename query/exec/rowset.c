/* Rowsets: what operators that block keep of their input.
 *
 * One growing array a column, flat, with a byte of validity a row; texts are copied into an arena,
 * since a batch may borrow from anything its maker reuses. Appending costs a gather and a copy; row
 * numbers are 32-bit, far past what a query's memory limit lets in. */
#include "query/exec/rowset.h"

#include <assert.h>
#include <string.h>

#define ROOMY_MIN ((size_t)64 << 20)

static void init_empty(struct rowset *rowset, size_t count, struct budget *budget)
{
    *rowset = (struct rowset){.column_count = count};
    exec_memory_init(&rowset->memory, budget);
    arena_init(&rowset->scratch);
    rowset->columns = memory_alloc_zero((count + 1) * sizeof(*rowset->columns));
}

void rowset_init(struct rowset *rowset, const struct plan_column *columns, size_t count,
                 struct budget *budget)
{
    init_empty(rowset, count, budget);
    for (size_t i = 0; i < count; i++)
        rowset->columns[i].type = columns[i].type;
}

void rowset_init_types(struct rowset *rowset, const struct type *types, size_t count,
                       struct budget *budget)
{
    init_empty(rowset, count, budget);
    for (size_t i = 0; i < count; i++)
        rowset->columns[i].type = types[i];
}

static size_t element_size(const struct rowset_column *column)
{
    return physical_size(type_physical(column->type.id));
}

void rowset_deinit(struct rowset *rowset)
{
    if (rowset->columns == NULL)
        return;
    size_t bytes = 0;
    for (size_t i = 0; i < rowset->column_count; i++) {
        struct rowset_column *column = &rowset->columns[i];
        bytes += column->values_capacity * element_size(column) + column->validity_capacity;
        memory_free(column->values);
        memory_free(column->validity);
    }
    if (bytes != 0)
        budget_release(rowset->memory.budget, bytes);
    memory_free(rowset->columns);
    exec_memory_deinit(&rowset->memory);
    arena_deinit(&rowset->scratch);
    *rowset = (struct rowset){0};
}

void rowset_clear(struct rowset *rowset)
{
    rowset->row_count = 0;
    for (size_t i = 0; i < rowset->column_count; i++)
        rowset->columns[i].has_null = false;
    arena_reset(&rowset->memory.arena);
    size_t total = rowset->memory.arena.total;
    if (rowset->memory.arena_charged > total) {
        budget_release(rowset->memory.budget, rowset->memory.arena_charged - total);
        rowset->memory.arena_charged = total;
    }
}

/* Copies the bytes of `count` texts into the arena, in one piece. */
static void own_texts(struct slice *texts, const uint8_t *validity, size_t count,
                      struct arena *arena)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += validity[i] != 0 ? texts[i].size : 0;
    char *bytes = arena_alloc(arena, total);
    for (size_t i = 0; i < count; i++) {
        size_t size = validity[i] != 0 ? texts[i].size : 0;
        if (size != 0)
            memcpy(bytes, texts[i].data, size);
        texts[i] = slice_of(bytes, size);
        bytes += size;
    }
}

static enum err append_column(struct rowset *rowset, struct rowset_column *target,
                              const struct column *in, const uint32_t *selection, size_t count,
                              struct error *error)
{
    size_t size = element_size(target), needed = rowset->row_count + count;
    enum err err = exec_memory_grow(&rowset->memory, &target->values, &target->values_capacity,
                                    needed, size, error);
    if (err == OK)
        err = exec_memory_grow(&rowset->memory, (void **)&target->validity,
                               &target->validity_capacity, needed, 1, error);
    if (err != OK)
        return err;
    struct column column = *in;
    if (selection != NULL)
        column = column_gather(&column, selection, count, &rowset->scratch);
    column = column_flatten(&column, count, &rowset->scratch);
    char *values = (char *)target->values + rowset->row_count * size;
    uint8_t *validity = target->validity + rowset->row_count;
    memcpy(values, column.values, count * size);
    if (column.validity != NULL) {
        memcpy(validity, column.validity, count);
        target->has_null = target->has_null || memchr(validity, 0, count) != NULL;
    } else {
        memset(validity, 1, count);
    }
    if (type_physical(target->type.id) == PHYSICAL_TEXT)
        own_texts((struct slice *)(void *)values, validity, count, &rowset->memory.arena);
    return OK;
}

enum err rowset_append(struct rowset *rowset, const struct batch *batch, const uint32_t *selection,
                       size_t count, struct error *error)
{
    assert(batch->column_count == rowset->column_count);
    if (count == 0)
        return OK;
    if (rowset->row_count + count > UINT32_MAX)
        return error_set(error, ERR_LIMIT, "54000", "a query cannot keep more than %u rows",
                         UINT32_MAX);
    arena_reset(&rowset->scratch);
    for (size_t i = 0; i < rowset->column_count; i++) {
        enum err err =
            append_column(rowset, &rowset->columns[i], &batch->columns[i], selection, count, error);
        if (err != OK)
            return err;
    }
    rowset->row_count += count;
    return exec_memory_settle(&rowset->memory, error);
}

/* Texts of one batch are not worth adding up while there is so much room: it is for thousands of
 * times what a batch has as a rule. */
static bool is_roomy(const struct budget *budget)
{
    if (budget->limit < ROOMY_MIN)
        return false;
    for (; budget != NULL; budget = budget->parent)
        if (atomic_load_explicit(&budget->used, memory_order_relaxed) > budget->limit / 4)
            return false;
    return true;
}

size_t rowset_text_size(const struct rowset *rowset, const struct batch *batch,
                        const uint32_t *selection, size_t count)
{
    size_t bytes = 0;
    bool is_skipped = is_roomy(rowset->memory.budget);
    for (size_t i = 0; !is_skipped && i < rowset->column_count; i++) {
        const struct column *in = &batch->columns[i];
        bool is_text = type_physical(rowset->columns[i].type.id) == PHYSICAL_TEXT;
        for (size_t k = 0; is_text && k < count; k++) {
            size_t row = selection != NULL ? selection[k] : k;
            bytes += column_is_null(in, row) ? 0 : column_text(in, row).size;
        }
    }
    return bytes;
}

size_t rowset_growth(const struct rowset *rowset, const struct batch *batch,
                     const uint32_t *selection, size_t count)
{
    size_t needed = rowset->row_count + count;
    size_t texts = rowset_text_size(rowset, batch, selection, count);
    size_t bytes = texts == 0 ? 0 : texts + exec_memory_step(&rowset->memory);
    for (size_t i = 0; i < rowset->column_count; i++) {
        const struct rowset_column *column = &rowset->columns[i];
        bytes += exec_memory_growth(column->values_capacity, needed, element_size(column));
        bytes += exec_memory_growth(column->validity_capacity, needed, 1);
    }
    return bytes;
}

size_t rowset_size(const struct rowset *rowset)
{
    size_t bytes = rowset->memory.arena_charged;
    for (size_t i = 0; i < rowset->column_count; i++)
        bytes += rowset->row_count * (element_size(&rowset->columns[i]) + 1);
    return rowset->row_count == 0 ? 0 : bytes;
}

struct column rowset_column(const struct rowset *rowset, size_t index, size_t first)
{
    const struct rowset_column *column = &rowset->columns[index];
    static const _Alignas(16) char nothing[64] = {0};
    if (column->values == NULL)
        return (struct column){.type = column->type, .form = COLUMN_FLAT, .values = nothing};
    return (struct column){
        .type = column->type,
        .form = COLUMN_FLAT,
        .validity = column->has_null ? column->validity + first : NULL,
        .values = (const char *)column->values + first * element_size(column),
    };
}

enum err rowset_compact(struct rowset *rowset, const uint32_t *selection, size_t count,
                        struct error *error)
{
    struct rowset next;
    init_empty(&next, rowset->column_count, rowset->memory.budget);
    struct column *columns = memory_alloc((next.column_count + 1) * sizeof(*columns));
    for (size_t i = 0; i < next.column_count; i++) {
        next.columns[i].type = rowset->columns[i].type;
        columns[i] = rowset_column(rowset, i, 0);
    }
    struct batch all = {
        .row_count = rowset->row_count, .column_count = next.column_count, .columns = columns};
    enum err err = rowset_append(&next, &all, selection, count, error);
    memory_free(columns);
    rowset_deinit(rowset);
    *rowset = next;
    return err;
}

enum err rowset_drop_front(struct rowset *rowset, size_t first, struct error *error)
{
    size_t count = rowset->row_count - first;
    uint32_t *selection = memory_alloc((count + 1) * sizeof(*selection));
    for (size_t index = 0; index < count; index++)
        selection[index] = (uint32_t)(first + index);
    enum err err = rowset_compact(rowset, selection, count, error);
    memory_free(selection);
    return err;
}
