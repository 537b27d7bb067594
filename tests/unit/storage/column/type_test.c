/* The type table, order, hashes and bytes of values, arrays. */
#include "storage/column/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum type_id id;
    } names[] = {{"int8", TYPE_INT8},
                 {"BIGINT", TYPE_INT8},
                 {"timestamp with time zone", TYPE_TIMESTAMPTZ},
                 {"timestamptz", TYPE_TIMESTAMPTZ},
                 {"bool", TYPE_BOOL},
                 {"float8", TYPE_FLOAT8},
                 {"decimal", TYPE_NUMERIC},
                 {"_text", TYPE_TEXT_ARRAY},
                 {"text[]", TYPE_TEXT_ARRAY},
                 {"int8[]", TYPE_INT8_ARRAY},
                 {"pg_catalog.varchar", TYPE_VARCHAR},
                 {"timestamp", TYPE_TIMESTAMP}};
    enum type_id id;
    for (size_t index = 0; index < array_count(names); index++) {
        assert_true(type_find(slice_from_cstr(names[index].name), &id));
        assert_int_equal(id, names[index].id);
    }
    assert_false(type_find(SLICE("uint64"), &id));
    assert_false(type_find(SLICE(""), &id));
    struct writer out;
    writer_init(&out);
    type_print((struct type){.id = TYPE_NUMERIC, .precision = 18, .scale = 3}, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("numeric(18,3)")));
    writer_reset(&out);
    type_print((struct type){.id = TYPE_VARCHAR, .length = 10}, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("character varying(10)")));
    writer_deinit(&out);
    for (int type = 0; type < TYPE_COUNT; type++) {
        assert_true(type_find(slice_from_cstr(type_name((enum type_id)type)), &id));
        assert_int_equal(id, type);
        assert_true(physical_size(type_physical((enum type_id)type)) <= 32);
    }
    assert_false(type_is_storable(TYPE_UNKNOWN));
    assert_false(type_is_storable(TYPE_INTERVAL));
    assert_int_equal(type_stored_width(TYPE_UUID), 16);
    assert_int_equal(type_stored_width(TYPE_TEXT), 0);
}

/* Ascending within a type; equal neighbours are marked by a repeated rank. */
static const struct {
    enum type_id type;
    int rank;
    const char *text;
} ladder[] = {
    {TYPE_BOOL, 0, "f"},
    {TYPE_BOOL, 1, "t"},
    {TYPE_INT8, 0, "-5"},
    {TYPE_INT8, 1, "7"},
    {TYPE_FLOAT8, 0, "-Infinity"},
    {TYPE_FLOAT8, 1, "-0"},
    {TYPE_FLOAT8, 1, "0"},
    {TYPE_FLOAT8, 2, "5e-324"},
    {TYPE_FLOAT8, 3, "Infinity"},
    {TYPE_FLOAT8, 4, "NaN"},
    {TYPE_NUMERIC, 0, "-1"},
    {TYPE_NUMERIC, 1, "1.0"},
    {TYPE_NUMERIC, 1, "1.000"},
    {TYPE_NUMERIC, 2, "NaN"},
    {TYPE_TEXT, 0, ""},
    {TYPE_TEXT, 1, "a"},
    {TYPE_TEXT, 2, "ab"},
    {TYPE_TEXT, 3, "b"},
    {TYPE_TEXT, 4, "\xc3\xa9"},
    {TYPE_INTERVAL, 0, "-1 day"},
    {TYPE_INTERVAL, 1, "1 month"},
    {TYPE_INTERVAL, 1, "30 days"},
    {TYPE_TEXT_ARRAY, 0, "{}"},
    {TYPE_TEXT_ARRAY, 1, "{a}"},
    {TYPE_TEXT_ARRAY, 2, "{a,b}"},
    {TYPE_TEXT_ARRAY, 3, "{a,NULL}"},
    {TYPE_TEXT_ARRAY, 4, "{b}"},
    {TYPE_INT8_ARRAY, 0, "{-1}"},
    {TYPE_INT8_ARRAY, 1, "{2,3}"},
    {TYPE_INT8_ARRAY, 2, "{10}"},
    {TYPE_DATE, 0, "-infinity"},
    {TYPE_DATE, 1, "2026-05-01"},
    {TYPE_DATE, 2, "infinity"},
    {TYPE_UUID, 0, "00000000-0000-0000-0000-000000000001"},
    {TYPE_UUID, 1, "f0000000-0000-0000-0000-000000000000"},
};

static struct value parsed(size_t index, struct arena *arena)
{
    struct value value;
    struct error error;
    assert_int_equal(type_parse(type_of(ladder[index].type), slice_from_cstr(ladder[index].text),
                                NULL, arena, &value, &error),
                     OK);
    return value;
}

static void test_order_hash_and_bytes(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out;
    arena_init(&arena);
    writer_init(&out);
    for (size_t a = 0; a < array_count(ladder); a++) {
        struct value x = parsed(a, &arena);
        for (size_t b = 0; b < array_count(ladder); b++) {
            if (ladder[a].type != ladder[b].type)
                continue;
            struct value y = parsed(b, &arena);
            int want = (ladder[a].rank > ladder[b].rank) - (ladder[a].rank < ladder[b].rank);
            int got = value_compare(&x, &y);
            assert_int_equal((got > 0) - (got < 0), want);
            assert_int_equal(value_hash(&x) == value_hash(&y), want == 0);
        }
        writer_reset(&out);
        value_write(&x, &out);
        struct value back;
        struct reader reader = reader_of(writer_as_slice(&out));
        assert_int_equal(value_read(&reader, &arena, &back), OK);
        assert_int_equal(reader_left(&reader), 0);
        assert_true(type_equal(x.type, back.type));
        assert_int_equal(value_compare(&x, &back), 0);
        for (size_t size = 0; size < out.size; size++) { /* every torn tail is found */
            reader = reader_of(slice_of(out.data, size));
            assert_int_equal(value_read(&reader, &arena, &back), ERR_CORRUPT);
        }
    }
    struct value null = {.type = type_of(TYPE_UUID), .is_null = true}, back;
    writer_reset(&out);
    value_write(&null, &out);
    struct reader reader = reader_of(writer_as_slice(&out));
    assert_int_equal(value_read(&reader, &arena, &back), OK);
    assert_true(back.is_null);
    out.data[0] = TYPE_COUNT;
    reader = reader_of(writer_as_slice(&out));
    assert_int_equal(value_read(&reader, &arena, &back), ERR_CORRUPT);
    writer_deinit(&out);
    arena_deinit(&arena);
}

static void test_malformed_arrays(void **state)
{
    (void)state;
    struct array_reader array;
    struct value element;
    assert_false(array_begin(&array, TYPE_TEXT_ARRAY, SLICE("")));
    assert_false(array_begin(&array, TYPE_TEXT_ARRAY, SLICE("\xff\xff\xff\xff")));
    assert_true(array_begin(&array, TYPE_TEXT_ARRAY, SLICE("\1\0\0\0\x09\0\0\0ab")));
    assert_false(array_next(&array, &element));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_order_hash_and_bytes),
        cmocka_unit_test(test_malformed_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
