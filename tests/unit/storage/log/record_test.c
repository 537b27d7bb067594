/* Commit records: every type and form to bytes and back, at edge values; parts in order; hostile
 * bytes. */
#include "storage/log/record.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 301

static const struct type types[] = {
    {.id = TYPE_BOOL},
    {.id = TYPE_INT2},
    {.id = TYPE_INT4},
    {.id = TYPE_INT8},
    {.id = TYPE_FLOAT4},
    {.id = TYPE_FLOAT8},
    {.id = TYPE_NUMERIC, .precision = 18, .scale = 4},
    {.id = TYPE_TEXT},
    {.id = TYPE_VARCHAR, .length = 50},
    {.id = TYPE_TIMESTAMPTZ},
    {.id = TYPE_TIMESTAMP},
    {.id = TYPE_DATE},
    {.id = TYPE_UUID},
    {.id = TYPE_BYTEA},
    {.id = TYPE_JSONB},
    {.id = TYPE_JSON},
    {.id = TYPE_TEXT_ARRAY},
    {.id = TYPE_INT8_ARRAY},
};
#define TYPES array_count(types)

static struct schema *make_schema(void)
{
    struct schema *schema = schema_create();
    schema->table_id = 3;
    schema->version = 5;
    schema->name = SLICE("all_types");
    schema->column_count = TYPES;
    schema->columns = arena_alloc_zero(&schema->arena, TYPES * sizeof(*schema->columns));
    for (uint32_t i = 0; i < TYPES; i++) {
        schema->columns[i].id = i + 10;
        schema->columns[i].name = slice_from_cstr(arena_printf(&schema->arena, "c%u", i));
        schema->columns[i].type = types[i];
        schema->columns[i].missing = (struct value){.type = types[i], .is_null = true};
    }
    schema->next_column_id = 100;
    return schema;
}

/* The edges first, then anything. */
static struct value value_of(struct type type, uint64_t x, struct arena *arena)
{
    static const int64_t edges[] = {0, -1, 1, INT64_MAX, INT64_MIN};
    struct value value = {.type = type};
    int64_t i = x < array_count(edges) ? edges[x] : (int64_t)(x * UINT64_C(0x9E3779B97F4A7C15));
    switch (type_physical(type.id)) {
    case PHYSICAL_BOOL:
        value.b = x & 1;
        break;
    case PHYSICAL_INT:
        value.i = type_stored_width(type.id) == 2   ? (x == 3   ? INT16_MAX
                                                       : x == 4 ? INT16_MIN
                                                                : (int16_t)i)
                  : type_stored_width(type.id) == 4 ? (x == 3   ? INT32_MAX
                                                       : x == 4 ? INT32_MIN
                                                                : (int32_t)i)
                                                    : i;
        break;
    case PHYSICAL_FLOAT: {
        static const double floats[] = {0, -0.0, INFINITY, -INFINITY, 1.17549435e-38};
        value.f = x < array_count(floats) ? (double)(float)floats[x] : (double)(float)i;
        break;
    }
    case PHYSICAL_NUMERIC:
        value.n = numeric_from_int128(x == 3   ? 999999999999999999
                                      : x == 4 ? -999999999999999999
                                               : i % 1000000,
                                      4);
        if (x == 0)
            value.n = (struct numeric){.kind = NUMERIC_NAN};
        break;
    case PHYSICAL_TEXT:
        if (type.id == TYPE_UUID) {
            uint64_t id[2] = {x, ~x};
            value.text = arena_copy(arena, slice_of(id, 16));
        } else if (x != 0) {
            value.text = slice_from_cstr(
                arena_printf(arena, "%0*llu", (int)(x % 30) + 1, (unsigned long long)x % 90));
        }
        break;
    default:
        break;
    }
    return value;
}

/* `kind`: 0 flat, 1 with NULLs, 2 constant, 3 NULL, 4 dictionary with NULLs and unused entries, 5
 * and 6 dictionary without either, of few and of many entries. */
static struct column make_column(struct type type, int kind, struct arena *arena)
{
    if (kind == 2 || kind == 3) {
        struct value value = value_of(type, 4, arena);
        value.is_null = kind == 3;
        return column_from_value(&value, arena);
    }
    struct column_builder builder;
    column_builder_init(&builder, type, arena);
    for (uint64_t row = 0; row < ROWS; row++) {
        uint64_t x = kind == 4 || kind == 5 ? row % 50 : kind == 6 ? row % 300 : row;
        struct value value = value_of(type, x, arena);
        value.is_null = (kind == 1 || kind == 4) && row % 9 == 4;
        column_builder_add(&builder, &value);
    }
    struct column column = column_builder_finish(&builder);
    if (kind < 4 || type_physical(type.id) != PHYSICAL_TEXT)
        return column;
    uint32_t used = kind == 6 ? 300 : 50;
    struct slice *entries = arena_alloc_array(arena, 300, sizeof(*entries));
    uint32_t *codes = arena_alloc_array(arena, ROWS, sizeof(*codes));
    for (uint32_t i = 0; i < 300; i++)
        entries[i] = i < used ? value_of(type, i, arena).text
                              : slice_from_cstr(arena_printf(arena, "unused %u", i));
    for (uint32_t row = 0; row < ROWS; row++)
        codes[row] = row % used;
    column.form = COLUMN_DICTIONARY;
    column.codes = codes;
    column.dictionary = entries;
    column.dictionary_count = kind == 5 ? used : 300;
    return column;
}

static void expect_equal(const struct column *want, const struct column *got)
{
    for (size_t row = 0; row < ROWS; row++) {
        struct value a = column_value(want, row), b = column_value(got, row);
        assert_int_equal(a.is_null, b.is_null);
        if (a.is_null)
            continue;
        if (type_physical(a.type.id) == PHYSICAL_TEXT) /* arrays and json are bytes here */
            assert_true(slice_equal(a.text, b.text));
        else if (type_physical(a.type.id) == PHYSICAL_FLOAT)
            assert_memory_equal(&a.f, &b.f, sizeof(a.f));
        else
            assert_int_equal(value_compare(&a, &b), 0);
    }
}

static void write_sample(int kind, struct schema *schema, struct writer *bytes,
                         struct column *columns, struct arena *arena)
{
    uint32_t ids[TYPES];
    for (uint32_t i = 0; i < TYPES; i++) {
        ids[i] = i + 10;
        columns[i] = make_column(types[i], kind, arena);
    }
    struct batch batch = {.row_count = ROWS, .column_count = TYPES, .columns = columns};
    record_begin(bytes);
    record_add_section(bytes, 77, SLICE("first"));
    record_add_rows(bytes, schema, ids, &batch);
    record_add_change(bytes, CHANGE_ALTER, 3, schema);
    record_add_section(bytes, 78, SLICE(""));
    record_add_rows(bytes, schema, ids, &(struct batch){0}); /* no rows: no part */
    record_set_time(bytes, -5);
}

static void test_every_type_and_form(void **state)
{
    (void)state;
    struct schema *schema = make_schema();
    for (int kind = 0; kind <= 6; kind++) {
        struct arena arena;
        struct writer bytes;
        struct column columns[TYPES];
        struct record record;
        struct error error = {0};
        arena_init(&arena);
        writer_init(&bytes);
        write_sample(kind, schema, &bytes, columns, &arena);
        assert_int_equal(record_decode(writer_as_slice(&bytes), &arena, &record, &error), OK);
        assert_int_equal(record.at_us, -5);
        assert_int_equal(record.rows_count, 1);
        assert_int_equal(record.section_count, 2);
        assert_int_equal(record.sections[0].kind, 77);
        assert_true(slice_equal(record.sections[0].bytes, SLICE("first")));
        assert_int_equal(record.sections[1].bytes.size, 0);
        assert_int_equal(record.change, CHANGE_ALTER);
        assert_int_equal(record.change_table_id, 3);
        const struct stored_rows *rows = &record.rows[0];
        assert_int_equal(rows->table_id, 3);
        assert_int_equal(rows->schema_version, 5);
        struct batch back = stored_to_batch(rows, &arena);
        assert_int_equal(back.row_count, ROWS);
        for (uint32_t i = 0; i < TYPES; i++) {
            assert_int_equal(rows->columns[i].column_id, i + 10);
            assert_true(type_equal(rows->columns[i].type, types[i]));
            if (rows->columns[i].encoding == STORED_DICTIONARY && kind == 4)
                assert_true(rows->columns[i].entry_count <= 50); /* the unused ones stay out */
            expect_equal(&columns[i], &back.columns[i]);
        }
        /* From an odd address it is copied first. */
        char *odd = arena_alloc(&arena, bytes.size + 8);
        memcpy(odd + 3, bytes.data, bytes.size);
        assert_int_equal(record_decode(slice_of(odd + 3, bytes.size), &arena, &record, &error), OK);
        back = stored_to_batch(&record.rows[0], &arena);
        expect_equal(&columns[0], &back.columns[0]);
        writer_deinit(&bytes);
        arena_deinit(&arena);
    }
    schema_unref(schema);
}

/* Reads all that was decoded, so that a pointer astray shows under ASan. */
static void decode_and_read(struct slice payload)
{
    struct arena arena;
    struct record record;
    struct error error;
    arena_init(&arena);
    if (record_decode(payload, &arena, &record, &error) == OK) {
        for (uint32_t i = 0; i < record.rows_count; i++) {
            if (record.rows[i].row_count <= 100000)
                (void)stored_to_batch(&record.rows[i], &arena);
        }
    }
    arena_deinit(&arena);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    struct schema *schema = make_schema();
    struct random_stream random;
    random_stream_init(&random, 99);
    for (int kind = 0; kind <= 4; kind++) {
        struct arena arena;
        struct writer bytes;
        struct column columns[TYPES];
        arena_init(&arena);
        writer_init(&bytes);
        write_sample(kind, schema, &bytes, columns, &arena);
        struct record record;
        struct error error = {0};
        for (size_t size = 0; size < bytes.size; size += 1 + size / 64) {
            /* A cut between parts is a shorter record; the log's lengths and checksums are above
             * this. */
            void *exact = memory_alloc(size);
            memcpy(exact, bytes.data, size);
            decode_and_read(slice_of(exact, size));
            memory_free(exact);
        }
        for (int round = 0; round < 3000; round++) {
            uint64_t at = random_below(&random, bytes.size);
            uint8_t old = bytes.data[at];
            bytes.data[at] = (uint8_t)random_next(&random);
            decode_and_read(writer_as_slice(&bytes));
            bytes.data[at] = old;
        }
        bytes.data[0] ^= 1;
        assert_int_equal(record_decode(writer_as_slice(&bytes), &arena, &record, &error),
                         ERR_CORRUPT);
        writer_deinit(&bytes);
        arena_deinit(&arena);
    }
    schema_unref(schema);
}

/* Entries that no row uses stay out, and the codes behind them move up. */
static void test_codes_move_up_over_unused_entries(void **state)
{
    (void)state;
    struct schema *schema = make_schema();
    static const struct slice entries[] = {SLICE("zero"), SLICE("one"), SLICE("two")};
    uint32_t codes[ROWS], id = 0;
    for (uint32_t row = 0; row < ROWS; row++)
        codes[row] = 1 + row % 2;
    for (uint32_t i = 0; i < TYPES; i++)
        id = types[i].id == TYPE_TEXT ? i + 10 : id;
    struct column column = {.type = {.id = TYPE_TEXT},
                            .form = COLUMN_DICTIONARY,
                            .codes = codes,
                            .dictionary = entries,
                            .dictionary_count = array_count(entries)};
    struct batch batch = {.row_count = ROWS, .column_count = 1, .columns = &column};
    for (int is_planted = 0; is_planted <= 1; is_planted++) {
        struct arena arena;
        struct writer bytes;
        struct record record;
        struct error error = {0};
        arena_init(&arena);
        writer_init(&bytes);
        if (is_planted)
            fault_plant("stored.codes_unmapped");
        record_begin(&bytes);
        record_add_rows(&bytes, schema, &id, &batch);
        fault_clear();
        assert_int_equal(record_decode(writer_as_slice(&bytes), &arena, &record, &error),
                         is_planted ? ERR_CORRUPT : OK);
        if (!is_planted) {
            struct batch back = stored_to_batch(&record.rows[0], &arena);
            expect_equal(&column, &back.columns[0]);
            assert_int_equal(record.rows[0].columns[0].entry_count, 2);
        }
        writer_deinit(&bytes);
        arena_deinit(&arena);
    }
    schema_unref(schema);
}

static void test_a_code_past_the_dictionary_is_refused(void **state)
{
    (void)state;
    struct schema *schema = make_schema();
    struct arena arena;
    struct writer bytes;
    struct record record;
    struct error error = {0};
    arena_init(&arena);
    writer_init(&bytes);
    struct column column = make_column(types[7], 4, &arena);
    const uint32_t id = 17;
    record_begin(&bytes);
    record_add_rows(&bytes, schema, &id,
                    &(struct batch){.row_count = ROWS, .column_count = 1, .columns = &column});
    assert_int_equal(record_decode(writer_as_slice(&bytes), &arena, &record, &error), OK);
    uint8_t *codes = (uint8_t *)record.rows[0].columns[0].codes;
    codes[100] = (uint8_t)record.rows[0].columns[0].entry_count;
    assert_int_equal(record_decode(writer_as_slice(&bytes), &arena, &record, &error), ERR_CORRUPT);
    writer_deinit(&bytes);
    arena_deinit(&arena);
    schema_unref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_and_form),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_codes_move_up_over_unused_entries),
        cmocka_unit_test(test_a_code_past_the_dictionary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
