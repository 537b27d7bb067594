/* A table made of "name type[!]" texts, and bodies decoded into it. Shared by the decoder and row
 * tests. */
#ifndef FRESHET_TESTS_UNIT_INGEST_DECODE_HARNESS_H
#define FRESHET_TESTS_UNIT_INGEST_DECODE_HARNESS_H

#include "ingest/decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HARNESS_NOW_US INT64_C(1780000000000000) /* 2026-05-28 */

struct harness {
    struct schema *schema;
    struct mapping *mapping;
    struct arena arena;
    struct rows rows;
    struct batch batch;
    const uint32_t *column_ids;
    struct error error;
};

/* `columns`: "ts timestamptz!, a bigint, t text"; ! is NOT NULL. The first timestamptz is the event
 * time. */
static inline struct schema *harness_schema(const char *columns)
{
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->version = 1;
    schema->name = SLICE("t");
    schema->columns = arena_alloc_zero(&schema->arena, 64 * sizeof(*schema->columns));
    for (const char *p = columns; *p != 0;) {
        size_t size = strcspn(p, ",");
        struct slice part = slice_trim(slice_of(p, size));
        p += size + (p[size] == ',');
        bool is_not_null = part.data[part.size - 1] == '!';
        part.size -= is_not_null;
        const char *space = memchr(part.data, ' ', part.size);
        assert_non_null(space);
        struct column_definition *column = &schema->columns[schema->column_count++];
        column->id = schema->next_column_id++;
        column->name = arena_copy(&schema->arena, slice_of(part.data, (size_t)(space - part.data)));
        struct slice type = slice_trim(slice_of(space, part.size - (size_t)(space - part.data)));
        const char *open = memchr(type.data, '(', type.size);
        unsigned a = 0, b = 0;
        if (open != NULL) {
            sscanf(open, "(%u;%u)", &a, &b); /* numeric(10;2): the comma parts columns */
            type.size = (size_t)(open - type.data);
        }
        enum type_id id;
        assert_true(type_find(type, &id));
        column->type = type_of(id);
        if (id == TYPE_NUMERIC) {
            column->type.precision = (uint8_t)a;
            column->type.scale = (uint8_t)b;
        } else {
            column->type.length = a;
        }
        column->missing = (struct value){.type = column->type, .is_null = true};
        column->is_not_null = is_not_null;
        if (id == TYPE_TIMESTAMPTZ && schema->time_column < 0)
            schema->time_column = (int32_t)schema->column_count - 1;
    }
    return schema;
}

/* Takes over the schema. */
static inline void harness_init(struct harness *h, struct schema *schema)
{
    memset(h, 0, sizeof(*h));
    h->schema = schema;
    assert_int_equal(mapping_create(schema, &h->mapping, &h->error), OK);
    arena_init(&h->arena);
}

static inline void harness_deinit(struct harness *h)
{
    rows_deinit(&h->rows);
    arena_deinit(&h->arena);
    mapping_unref(h->mapping);
    schema_unref(h->schema);
}

static inline enum err harness_decode(struct harness *h, enum ingest_format format,
                                      struct slice body, enum decode_isa isa)
{
    struct rows_options options = {.mapping = h->mapping,
                                   .arena = &h->arena,
                                   .now_us = HARNESS_NOW_US,
                                   .rows_max = 1000000,
                                   .row_size_max = 4 << 20};
    struct decode_options decode = {.depth_max = 64, .keys_max = 4096, .isa = isa};
    rows_deinit(&h->rows);
    arena_reset(&h->arena);
    rows_init(&h->rows, &options);
    enum err err = format == INGEST_CSV    ? decode_csv(&h->rows, body, &decode, &h->error)
                   : format == INGEST_JSON ? decode_json(&h->rows, body, &decode, &h->error)
                                           : decode_ndjson(&h->rows, body, &decode, &h->error);
    rows_finish(&h->rows, &h->batch, &h->column_ids);
    return err;
}

/* Rows as "v|v|…;" with NULL as ~, rejections as "!row:column:sqlstate;", unknown as "?path=n;". */
static inline void harness_print(const struct harness *h, struct writer *out)
{
    for (size_t row = 0; row < h->batch.row_count; row++) {
        for (size_t i = 0; i < h->batch.column_count; i++) {
            struct value value = column_value(&h->batch.columns[i], row);
            if (i > 0)
                writer_u8(out, '|');
            if (value.is_null)
                writer_u8(out, '~');
            else
                value_print(&value, NULL, out);
        }
        writer_u8(out, ';');
    }
    for (size_t i = 0; i < h->rows.rejection_count; i++) {
        const struct rows_rejection *r = &h->rows.rejections[i];
        writer_printf(out, "!%llu:%.*s:%s;", (unsigned long long)r->row, SLICE_ARGS(r->column),
                      r->sqlstate);
    }
    for (size_t i = 0; i < h->rows.unknown_count; i++)
        writer_printf(out, "?%.*s=%llu;", SLICE_ARGS(h->rows.unknown[i].path),
                      (unsigned long long)h->rows.unknown[i].count);
}

/* Decodes and compares the print; want "400 …": an error with that SQLSTATE. */
static inline void harness_check(struct harness *h, enum ingest_format format, struct slice body,
                                 const char *want)
{
    struct writer out;
    writer_init(&out);
    enum err err = harness_decode(h, format, body, DECODE_ISA_BEST);
    if (err != OK)
        writer_printf(&out, "400 %s", h->error.sqlstate);
    else
        harness_print(h, &out);
    if (!slice_equal(writer_as_slice(&out), slice_from_cstr(want)))
        fail_msg("%.*s\n gives %.*s\n want  %s", (int)(body.size < 300 ? body.size : 300),
                 body.data, (int)out.size, (const char *)out.data, want);
    writer_deinit(&out);
}

#endif
