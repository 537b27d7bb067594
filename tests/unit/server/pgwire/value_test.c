/* Types as clients are told of them, and parameters as clients send them. */
#include "server/pgwire/value.h"

#include "query/func/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/storage/cases.h"

/* Every type of ours has a row in pg_type, and its name there finds the type again. */
static void test_every_type(void **state)
{
    (void)state;
    for (enum type_id id = TYPE_UNKNOWN; id < TYPE_COUNT; id++) {
        struct value_description description = value_describe(type_of(id));
        const struct catalog_type *row = catalog_type_by_oid(description.oid);
        struct type type;
        assert_non_null(row);
        assert_int_equal(description.size, row->size);
        assert_int_equal(description.modifier, -1);
        assert_true(type_of_oid(type_oid(id), &type));
        assert_int_equal(type.id, id);
        assert_int_equal(description.oid, id == TYPE_UNKNOWN ? OID_TEXT : type_oid(id));
    }
    /* and every number that is taken for a type is one of pg_type's, arrays being arrays */
    for (uint32_t oid = 1; oid < 10000; oid++) {
        struct type type;
        if (!type_of_oid(oid, &type))
            continue;
        const struct catalog_type *row = catalog_type_by_oid(oid);
        assert_non_null(row);
        assert_int_equal(type_is_array((enum type_id)type.id), row->category == 'A');
    }
}

static void test_described(void **state)
{
    (void)state;
    struct value_description description =
        value_describe((struct type){.id = TYPE_NUMERIC, .precision = 18, .scale = 3});
    assert_int_equal(description.oid, 1700);
    assert_int_equal(description.array_oid, 1231);
    assert_int_equal(description.modifier, (18 << 16 | 3) + 4);
    description = value_describe((struct type){.id = TYPE_VARCHAR, .length = 10});
    assert_int_equal(description.modifier, 14);
    assert_int_equal(value_describe(type_of(TYPE_TIMESTAMPTZ)).size, 8);
}

static void test_parameter_types(void **state)
{
    (void)state;
    struct type type;
    struct error error;
    assert_int_equal(value_parameter_type(0, &type, &error), OK);
    assert_int_equal(type.id, TYPE_UNKNOWN);
    assert_int_equal(value_parameter_type(OID_INT2, &type, &error), OK);
    assert_int_equal(type.id, TYPE_INT2);
    assert_int_equal(value_parameter_type(600, &type, &error), ERR_UNSUPPORTED);
    assert_string_equal(error.text, "parameters of type point are not supported");
    assert_int_equal(value_parameter_type(99999, &type, &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "42704");
}

static const struct {
    uint32_t oid;
    enum value_format format;
    struct slice bytes;
    enum type_id type;
    const char *want;
} parameters[] = {
    {OID_INT2, VALUE_BINARY, SLICE("\0\xc8"), TYPE_INT8, "200"},
    {OID_INT2, VALUE_BINARY, SLICE("\0\xc8"), TYPE_NUMERIC, "200"},
    {OID_INT2, VALUE_BINARY, SLICE("\0\xc8"), TYPE_FLOAT8, "200"},
    {OID_INT2, VALUE_BINARY, SLICE("\0\xc8"), TYPE_TEXT, "200"},
    {OID_INT8, VALUE_BINARY, SLICE("\0\0\0\1\0\0\0\0"), TYPE_INT4, "!22003"},
    {OID_INT8, VALUE_BINARY, SLICE("\xff\xff\xff\xff\xff\xff\xff\xfe"), TYPE_INT2, "-2"},
    {0, VALUE_BINARY, SLICE("\0\0\0\7"), TYPE_INT4, "7"},
    {0, VALUE_BINARY, SLICE("\0\7"), TYPE_INT4, "!22P03"},
    {0, VALUE_BINARY, SLICE("abc"), TYPE_UNKNOWN, "abc"},
    {OID_UNKNOWN, VALUE_TEXT, SLICE("2024-01-02"), TYPE_DATE, "2024-01-02"},
    {0, VALUE_TEXT, SLICE("7"), TYPE_INT8, "7"},
    {0, VALUE_TEXT, SLICE("x"), TYPE_INT8, "!22P02"},
    {0, VALUE_TEXT, SLICE("99999999999"), TYPE_INT4, "!22003"},
    {0, VALUE_TEXT, SLICE("a\0b"), TYPE_TEXT, "!22021"},
    {0, VALUE_TEXT, SLICE("\xff"), TYPE_TEXT, "!22021"},
    {OID_VARCHAR, VALUE_TEXT, SLICE("2026-05-01 10:00:00+02"), TYPE_TIMESTAMPTZ,
     "2026-05-01 08:00:00+00"},
    {OID_TEXT, VALUE_BINARY, SLICE("2026-05-01"), TYPE_TIMESTAMPTZ, "2026-05-01 00:00:00+00"},
    {OID_FLOAT8, VALUE_BINARY, SLICE("\x3f\xf8\0\0\0\0\0\0"), TYPE_NUMERIC, "1.5"},
    {OID_DATE, VALUE_BINARY, SLICE("\0\0\x22\x3f"), TYPE_TIMESTAMP, "2024-01-02 00:00:00"},
    {1005, VALUE_BINARY, SLICE("\0\0\0\1\0\0\0\0\0\0\0\x15\0\0\0\1\0\0\0\1\0\0\0\2\0\5"),
     TYPE_INT8_ARRAY, "{5}"},
    {0, VALUE_TEXT, SLICE("{1,NULL}"), TYPE_INT8_ARRAY, "{1,NULL}"},
    {1005, VALUE_BINARY, SLICE("\0\0\0\1\0\0\0\0\0\0\0\x15\0\0\0\1\0\0\0\1\0\0\0\2\0\5"),
     TYPE_TEXT_ARRAY, "{5}"},
};

static void test_parameters(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out;
    arena_init(&arena);
    writer_init(&out);
    for (size_t index = 0; index < array_count(parameters); index++) {
        struct value_given given = {.oid = parameters[index].oid,
                                    .format = parameters[index].format,
                                    .bytes = parameters[index].bytes};
        struct query_parameter parameter;
        struct error error;
        enum err err = value_parameter(3, &given, type_of(parameters[index].type), NULL, &arena,
                                       &parameter, &error);
        if (err == OK) {
            assert_int_equal(parameter.value.type.id, parameters[index].type);
            value_print(&parameter.value, NULL, &out);
        } else {
            assert_non_null(strstr(error.text, "$3"));
        }
        char name[16];
        snprintf(name, sizeof(name), "%zu", index);
        check("parameter", name, err, &error, &out, parameters[index].want);
    }
    struct value_given null = {.is_null = true};
    struct query_parameter parameter;
    struct error error;
    assert_int_equal(
        value_parameter(1, &null, type_of(TYPE_INT8), NULL, &arena, &parameter, &error), OK);
    assert_int_equal(parameter.kind, PARAMETER_NULL);
    writer_deinit(&out);
    arena_deinit(&arena);
    assert_int_equal(wrong_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_described),
        cmocka_unit_test(test_parameter_types),
        cmocka_unit_test(test_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
