/* Fuzz target: bytes as CSV, and as input to infer a table from: refused or decoded, rows and
 * rejections add up. */
#include "ingest/decode/decode.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static struct mapping *make_mapping(void)
{
    static const enum type_id ids[] = {TYPE_TIMESTAMPTZ, TYPE_BOOL, TYPE_INT8,
                                       TYPE_FLOAT8,      TYPE_TEXT, TYPE_JSONB};
    static const char *const names[] = {"ts", "b", "i", "f", "t", "j"};
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->name = SLICE("t");
    schema->columns = arena_alloc_zero(&schema->arena, array_count(ids) * sizeof(*schema->columns));
    for (uint32_t i = 0; i < array_count(ids); i++)
        schema->columns[i] = (struct column_definition){
            .id = i + 1, .name = slice_from_cstr(names[i]), .type = type_of(ids[i])};
    schema->column_count = array_count(ids);
    schema->options.whole_column = 5;
    struct mapping *mapping;
    enum err err = mapping_create(schema, &mapping, NULL);
    assert(err == OK);
    schema_unref(schema);
    return mapping;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mapping *mapping;
    if (mapping == NULL)
        mapping = make_mapping();
    char *copy = malloc(size == 0 ? 1 : size);
    memcpy(copy, data, size);
    struct slice body = slice_of(copy, size);
    struct arena arena;
    struct rows rows;
    struct error error;
    arena_init(&arena);
    struct rows_options options = {
        .mapping = mapping, .arena = &arena, .rows_max = 100000, .row_size_max = 4 << 20};
    struct decode_options decode = {.depth_max = 64, .keys_max = 4096};
    rows_init(&rows, &options);
    if (decode_csv(&rows, body, &decode, &error) == OK)
        assert(rows.received == rows.count + rows.rejection_count);
    rows_deinit(&rows);
    struct slice text;
    enum err err = ingest_infer(body, INGEST_SNIFF, SLICE("t"), &arena, &text, &error);
    assert(err == OK || err == ERR_INPUT);
    arena_deinit(&arena);
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const char *const seeds[] = {
        "ts,b,i,f,t\r\n2026-05-01T10:00:00Z,t,1,1.5,x\r\n,,,,\r\n",
        "t,j\n\"a \"\"quoted\"\" text,\nover lines\",\"{\"\"a\"\":1}\"\n",
        "\"i\",zz\n1,2\n3\n4,5,6\n\n",
        "{\"ts\":\"2026-05-01T10:00:00Z\",\"a\":1,\"b\":{\"c\":[]}}\n{\"a\":1.5}\n",
    };
    return index < array_count(seeds) ? slice_from_cstr(seeds[index]) : (struct slice){0};
}
