/* Fuzz target: bytes as a commit record. Refused, or everything in it can be read: as a batch, and
 * appended to a segment whose definition is made from the record's own columns and read back
 * through a cursor, cell by cell the same. */
#include "tests/model/cursor_model.h"
#include "storage/log/record.h"
#include "storage/segment/view.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define ROWS_MAX 20000

static struct schema *schema_of(const struct stored_rows *rows)
{
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->version = 1;
    schema->name = SLICE("t");
    schema->columns =
        arena_alloc_zero(&schema->arena, (rows->column_count + 1) * sizeof(*schema->columns));
    for (uint32_t i = 0; i < rows->column_count; i++) {
        struct column_definition *column = &schema->columns[schema->column_count];
        if (schema_find_id(schema, rows->columns[i].column_id) >= 0)
            continue;
        column->id = rows->columns[i].column_id;
        column->type = rows->columns[i].type;
        column->missing = (struct value){.type = column->type, .is_null = true};
        schema->column_count++;
    }
    return schema;
}

static bool is_same(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    switch (type_physical(a->type.id)) {
    case PHYSICAL_TEXT:
        return slice_equal(a->text, b->text);
    case PHYSICAL_BOOL:
        return a->b == b->b;
    case PHYSICAL_NUMERIC:
        return a->n.digits == b->n.digits && a->n.kind == b->n.kind;
    default:
        return a->i == b->i;
    }
}

static void compare(const struct table_view *view, const struct batch *want,
                    const struct stored_rows *rows, uint32_t index)
{
    uint32_t source = 0;
    while (rows->columns[source].column_id != view->schema->columns[index].id)
        source++;
    struct cursor *cursor = cursor_open(view, &index, 1, NULL);
    size_t row = 0;
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        struct batch batch;
        test_seek(cursor, morsel);
        while (test_next(cursor, &batch)) {
            for (size_t i = 0; i < batch.row_count; i++, row++) {
                struct value a = column_value(&want->columns[source], row);
                struct value b = column_value(&batch.columns[0], i);
                assert(is_same(&a, &b));
            }
        }
    }
    assert(row == rows->row_count);
    cursor_close(cursor);
}

static void append_and_read(const struct stored_rows *rows, struct arena *arena)
{
    struct budget budget = {.limit = SIZE_MAX, .name = "fuzz"};
    struct batch want = stored_to_batch(rows, arena);
    struct pool *pool = pool_create(&budget);
    struct schema *schema = schema_of(rows);
    struct table_view view = {.schema = schema, .segment = segment_create(pool)};
    segment_append(view.segment, schema, rows);
    view.published.rows = segment_rows(view.segment);
    view.published.chunk_count = segment_chunk_count(view.segment);
    for (uint32_t i = 0; i < schema->column_count; i++)
        compare(&view, &want, rows, i);
    segment_unref(view.segment);
    schema_unref(schema);
    assert(atomic_load(&budget.used) == 0);
    pool_destroy(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct record record;
    struct error error;
    uint8_t *copy = malloc(size + 1); /* exact: a read past the end shows */
    memcpy(copy, data, size);
    arena_init(&arena);
    if (record_decode(slice_of(copy, size), &arena, &record, &error) == OK) {
        for (uint32_t i = 0; i < record.rows_count; i++) {
            if (record.rows[i].row_count <= ROWS_MAX)
                append_and_read(&record.rows[i], &arena);
        }
        struct reader reader = reader_of(record.change_schema);
        struct schema *schema;
        if (record.change_schema.size != 0 && schema_read(&reader, &schema, &error) == OK)
            schema_unref(schema);
    }
    arena_deinit(&arena);
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static struct writer bytes;
    if (index >= 4) {
        writer_deinit(&bytes);
        return (struct slice){0};
    }
    static const enum type_id ids[] = {TYPE_BOOL, TYPE_INT2, TYPE_INT8, TYPE_FLOAT4,
                                       TYPE_TEXT, TYPE_UUID, TYPE_BYTEA};
    struct arena arena;
    arena_init(&arena);
    struct schema *schema = schema_create();
    struct column columns[array_count(ids)];
    uint32_t column_ids[array_count(ids)];
    schema->table_id = 1;
    schema->name = SLICE("t");
    schema->columns = arena_alloc_zero(&schema->arena, sizeof(*schema->columns) * array_count(ids));
    for (uint32_t i = 0; i < array_count(ids); i++) {
        schema->columns[i] = (struct column_definition){
            .id = i + 1, .name = slice_from_cstr(type_name(ids[i])), .type = type_of(ids[i])};
        schema->columns[i].missing = (struct value){.type = type_of(ids[i]), .is_null = true};
        column_ids[i] = i + 1;
        struct column_builder builder;
        column_builder_init(&builder, type_of(ids[i]), &arena);
        for (size_t row = 0; row < 9 * index + 1; row++) {
            struct value value = {.type = type_of(ids[i]), .is_null = index > 1 && row % 3 == 1};
            if (ids[i] == TYPE_UUID)
                value.text = SLICE("0123456789abcdef");
            else if (type_physical(ids[i]) == PHYSICAL_TEXT)
                value.text = row % 2 ? SLICE("odd") : SLICE("even rows");
            column_builder_add(&builder, &value);
        }
        columns[i] = column_builder_finish(&builder);
        if (ids[i] == TYPE_TEXT && index == 3) {
            static const struct slice entries[] = {{"odd", 3}, {"even rows", 9}};
            uint32_t *codes = arena_alloc_zero(&arena, (9 * index + 1) * sizeof(*codes));
            codes[0] = 1;
            columns[i].form = COLUMN_DICTIONARY;
            columns[i].codes = codes;
            columns[i].dictionary = entries;
            columns[i].dictionary_count = 2;
        }
    }
    schema->column_count = array_count(ids);
    schema->next_column_id = array_count(ids) + 1;
    writer_reset(&bytes);
    record_begin(&bytes);
    if (index == 0)
        record_add_change(&bytes, CHANGE_CREATE, 1, schema);
    record_add_rows(&bytes, schema, column_ids,
                    &(struct batch){.row_count = 9 * index + 1,
                                    .column_count = array_count(ids),
                                    .columns = columns});
    record_add_section(&bytes, 5, SLICE("section"));
    schema_unref(schema);
    arena_deinit(&arena);
    return writer_as_slice(&bytes);
}
