/* Table definitions: bytes and back, what validation refuses, and that no cut or flipped byte does
 * harm. */
#include "storage/column/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct schema *sample(void)
{
    struct schema *schema = schema_create();
    schema->table_id = 7;
    schema->version = 3;
    schema->name = SLICE("clicks");
    schema->comment = SLICE("what people press");
    schema->created_at_us = 1234567;
    schema->next_column_id = 9;
    schema->time_column = 0;
    schema->options.lateness_us = 5;
    schema->options.unknown = UNKNOWN_REJECT;
    schema->options.rest_column = 2;
    schema->options.map = SLICE("{\"a\":\"/b\"}");
    schema->options.text = SLICE("{\"lateness\":\"5 us\"}");
    schema->column_count = 3;
    schema->columns = arena_alloc_zero(&schema->arena, 3 * sizeof(*schema->columns));
    schema->columns[0] =
        (struct column_definition){.id = 1,
                                   .name = SLICE("ts"),
                                   .type = type_of(TYPE_TIMESTAMPTZ),
                                   .is_not_null = true,
                                   .missing = {.type = type_of(TYPE_TIMESTAMPTZ), .is_null = true}};
    schema->columns[1] =
        (struct column_definition){.id = 8,
                                   .name = SLICE("price"),
                                   .type = {.id = TYPE_NUMERIC, .precision = 18, .scale = 3},
                                   .default_text = SLICE("1.5"),
                                   .comment = SLICE("with tax")};
    schema->columns[1].missing =
        (struct value){.type = schema->columns[1].type, .n = numeric_from_int128(1500, 3)};
    schema->columns[2] =
        (struct column_definition){.id = 4,
                                   .name = SLICE("rest"),
                                   .type = type_of(TYPE_JSONB),
                                   .missing = {.type = type_of(TYPE_JSONB), .text = SLICE("{}")}};
    return schema;
}

static void expect_equal(const struct schema *a, const struct schema *b)
{
    struct writer x, y;
    writer_init(&x);
    writer_init(&y);
    schema_write(a, &x);
    schema_write(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    writer_deinit(&x);
    writer_deinit(&y);
}

static void test_bytes_and_back(void **state)
{
    (void)state;
    struct schema *schema = sample();
    struct error error = {0};
    assert_int_equal(schema_validate(schema, &error), OK);
    struct writer bytes;
    writer_init(&bytes);
    schema_write(schema, &bytes);
    struct reader reader = reader_of(writer_as_slice(&bytes));
    struct schema *back;
    assert_int_equal(schema_read(&reader, &back, &error), OK);
    assert_int_equal(reader_left(&reader), 0);
    assert_int_equal(back->columns[1].id, 8);
    assert_int_equal(back->columns[1].missing.n.digits, 1500);
    assert_true(slice_equal(back->options.map, schema->options.map));
    expect_equal(schema, back);
    struct schema *copy = schema_copy(back);
    schema_unref(back);
    expect_equal(schema, copy);
    assert_int_equal(schema_find(copy, SLICE("rest")), 2);
    assert_int_equal(schema_find(copy, SLICE("Rest")), -1);
    assert_int_equal(schema_find_id(copy, 8), 1);
    assert_int_equal(schema_find_id(copy, 2), -1);
    schema_unref(schema_ref(copy));
    schema_unref(copy);
    schema_unref(NULL);

    /* Cut anywhere: refused. Any byte changed: refused or another definition, never harm. */
    for (size_t size = 0; size < bytes.size; size++) {
        reader = reader_of(slice_of(bytes.data, size));
        assert_int_equal(schema_read(&reader, &back, &error), ERR_CORRUPT);
    }
    for (size_t i = 0; i < bytes.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (uint8_t)(1 << bit);
            reader = reader_of(writer_as_slice(&bytes));
            if (schema_read(&reader, &back, &error) == OK)
                schema_unref(back);
            bytes.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    writer_deinit(&bytes);
    schema_unref(schema);
}

static void no_name(struct schema *s)
{
    s->name = SLICE("");
}
static void long_name(struct schema *s)
{
    s->name = SLICE("a23456789012345678901234567890123456789012345678901234567890abcd");
}
static void bad_utf8(struct schema *s)
{
    s->columns[0].name = SLICE("a\xff");
}
static void twice(struct schema *s)
{
    s->columns[2].name = SLICE("ts");
}
static void same_id(struct schema *s)
{
    s->columns[2].id = 1;
}
static void id_past(struct schema *s)
{
    s->columns[2].id = 9;
}
static void no_columns(struct schema *s)
{
    s->column_count = 0;
}
static void interval(struct schema *s)
{
    s->columns[2].type = type_of(TYPE_INTERVAL);
}
static void wide_numeric(struct schema *s)
{
    s->columns[1].type.precision = 19;
}
static void time_type(struct schema *s)
{
    s->time_column = 1;
}
static void time_index(struct schema *s)
{
    s->time_column = 3;
}
static void rest_index(struct schema *s)
{
    s->options.rest_column = 3;
}
static void missing_type(struct schema *s)
{
    s->columns[1].missing = (struct value){.type = type_of(TYPE_INT8)};
}

static void test_validation(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct schema *);
        const char *sqlstate;
    } cases[] = {
        {no_name, "42602"},      {long_name, "42622"}, {bad_utf8, "22021"},   {twice, "42701"},
        {same_id, "XX000"},      {id_past, "XX000"},   {no_columns, "42P16"}, {interval, "42P16"},
        {wide_numeric, "0A000"}, {time_type, "42P16"}, {time_index, "42703"}, {rest_index, "42703"},
        {missing_type, "42804"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct schema *schema = sample();
        struct error error = {0};
        cases[i].spoil(schema);
        assert_int_not_equal(schema_validate(schema, &error), OK);
        assert_string_equal(error.sqlstate, cases[i].sqlstate);
        schema_unref(schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_and_back),
        cmocka_unit_test(test_validation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
