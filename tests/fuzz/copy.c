/* Fuzz target: bytes as COPY … FROM in its three formats, with several sets of characters: refused
 * or decoded, rows and rejections add up, and a cut behind whole rows gives the same rows. */
#include "ingest/decode/decode.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static const struct copy_options formats[] = {
    {.format = COPY_TEXT, .delimiter = '\t', .null = {.data = "\\N", .size = 2}},
    {.format = COPY_TEXT, .header = COPY_HEADER_LINE, .delimiter = '|', .null = {.data = ""}},
    {.format = COPY_CSV, .delimiter = ',', .quote = '"', .escape = '"', .null = {.data = ""}},
    {.format = COPY_CSV,
     .header = COPY_HEADER_MATCH,
     .delimiter = ';',
     .quote = '\'',
     .escape = '\\',
     .null = {.data = "nil", .size = 3}},
    {.format = COPY_BINARY},
};

static struct mapping *make_mapping(void)
{
    static const enum type_id ids[] = {TYPE_TIMESTAMPTZ, TYPE_BOOL,  TYPE_INT8,
                                       TYPE_FLOAT8,      TYPE_TEXT,  TYPE_JSONB,
                                       TYPE_NUMERIC,     TYPE_BYTEA, TYPE_TEXT_ARRAY};
    static const char *const names[] = {"ts", "b", "i", "f", "t", "j", "n", "y", "a"};
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->name = SLICE("t");
    schema->columns = arena_alloc_zero(&schema->arena, array_count(ids) * sizeof(*schema->columns));
    for (uint32_t i = 0; i < array_count(ids); i++)
        schema->columns[i] = (struct column_definition){
            .id = i + 1, .name = slice_from_cstr(names[i]), .type = type_of(ids[i])};
    schema->columns[6].type.precision = 18;
    schema->columns[6].type.scale = 3;
    schema->column_count = array_count(ids);
    struct mapping *mapping;
    enum err err = mapping_create(schema, &mapping, NULL);
    assert(err == OK);
    schema_unref(schema);
    return mapping;
}

struct counts {
    size_t rows, rejected;
    bool is_ended;
};

static enum err decode(struct mapping *mapping, const struct copy_options *format,
                       struct slice body, bool is_first, size_t column_count, struct counts *counts)
{
    static const uint32_t columns[] = {2, 4, 0, 1, 3, 5, 6, 7, 8};
    struct arena arena;
    struct rows rows;
    struct error error = {0};
    arena_init(&arena);
    struct rows_options options = {
        .mapping = mapping, .arena = &arena, .rows_max = 100000, .row_size_max = 4 << 20};
    struct copy_decode copy = {
        .options = format, .columns = columns, .column_count = column_count, .is_first = is_first};
    rows_init(&rows, &options);
    enum err err = decode_copy(&rows, body, &copy, &error);
    if (err == OK)
        assert(rows.received == rows.count + rows.rejection_count);
    else
        assert(error.sqlstate[0] != 0);
    counts->rows += rows.count;
    counts->rejected += rows.rejection_count;
    counts->is_ended = copy.is_ended;
    rows_deinit(&rows);
    arena_deinit(&arena);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mapping *mapping;
    if (mapping == NULL)
        mapping = make_mapping();
    if (size < 2)
        return 0;
    size_t column_count = 1 + data[0] % 9, cut = data[1];
    char *copy = malloc(size);
    memcpy(copy, data + 2, size - 2);
    struct slice body = slice_of(copy, size - 2);
    for (size_t i = 0; i < array_count(formats); i++) {
        struct counts all = {0}, parts = {0};
        size_t rows;
        enum err err = decode(mapping, &formats[i], body, true, column_count, &all);
        if (err != OK)
            continue;
        size_t whole = copy_whole_rows(
            &formats[i], slice_of(copy, cut < body.size ? cut : body.size), true, 100000, &rows);
        if (whole > 0)
            err = decode(mapping, &formats[i], slice_of(copy, whole), true, column_count, &parts);
        assert(err == OK);
        if (!parts.is_ended)
            err = decode(mapping, &formats[i], slice_of(copy + whole, body.size - whole),
                         whole == 0, column_count, &parts);
        assert(err == OK);
        assert(all.rows == parts.rows && all.rejected == parts.rejected);
    }
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const struct slice seeds[] = {
        SLICE("\1\20"
              "1\tx\\ty\n2\t\\N\n\\.\n"),
        SLICE("\2\20"
              "i|t|ts\n1|\\x41\\101|2026-05-01\n2||\n"),
        SLICE("\1\20"
              "1,\"a \"\"b\"\"\nc\"\r\n2,x\"y\"z\n,\n"),
        SLICE("\1\20"
              "i;t\n1;'a\\'b'\n2;nil\n"),
        SLICE("\1\40PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\2\0\0\0\10\0\0\0\0\0\0\0\7\0\0\0\1x"
              "\0\2\377\377\377\377\0\0\0\0\377\377"),
    };
    return index < array_count(seeds) ? seeds[index] : (struct slice){0};
}
