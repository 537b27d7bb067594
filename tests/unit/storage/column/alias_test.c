/* Values of PostgreSQL's catalogue types, byte for byte as PostgreSQL 15 sends them. */
#include "storage/base/arena.h"
#include "storage/column/binary_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    for (int alias = ALIAS_NONE + 1; alias < ALIAS_COUNT; alias++) {
        assert_int_equal(alias_of_oid(alias_oid((enum type_alias)alias)), alias);
        assert_int_not_equal(alias_array((enum type_alias)alias), alias);
    }
    for (enum type_id id = TYPE_UNKNOWN; id < TYPE_COUNT; id++)
        assert_int_equal(alias_of_oid(type_oid(id)), ALIAS_NONE);
    assert_int_equal(alias_of_oid(0), ALIAS_NONE);
    assert_int_equal(type_wire_oid(type_of(TYPE_INT8)), OID_INT8);
    assert_int_equal(type_wire_oid((struct type){.id = TYPE_INT8, .alias = ALIAS_OID}), OID_OID);
    assert_int_equal(alias_array(ALIAS_OID), ALIAS_OID_ARRAY);
    assert_int_equal(alias_element(ALIAS_OID_ARRAY), ALIAS_OID);
    assert_int_equal(alias_element(ALIAS_INT2VECTOR), ALIAS_NONE);
    assert_int_equal(alias_element(ALIAS_OID), ALIAS_NONE);
}

struct bytes_case {
    enum type_alias alias;
    enum type_id type;
    const char *text; /* NULL: NULL */
    const char *wanted_text, *wanted;
    size_t size;
};

#define BYTES(literal) literal, sizeof(literal) - 1

static void test_forms(void **state)
{
    static const struct bytes_case cases[] = {
        {ALIAS_OID, TYPE_INT8, "4294967295", "4294967295", BYTES("\0\0\0\4\xff\xff\xff\xff")},
        {ALIAS_XID, TYPE_INT8, "7", "7", BYTES("\0\0\0\4\0\0\0\7")},
        {ALIAS_OID, TYPE_INT8, NULL, NULL, BYTES("\xff\xff\xff\xff")},
        {ALIAS_NAME, TYPE_TEXT, "pg_class", "pg_class", BYTES("\0\0\0\10pg_class")},
        {ALIAS_CHAR, TYPE_TEXT, "r", "r", BYTES("\0\0\0\1r")},
        {ALIAS_INT2VECTOR, TYPE_INT8_ARRAY, "{1,-2}", "1 -2",
         BYTES("\0\0\0\40\0\0\0\1\0\0\0\0\0\0\0\25\0\0\0\2\0\0\0\0\0\0\0\2\0\1\0\0\0\2\xff\xfe")},
        {ALIAS_INT2VECTOR, TYPE_INT8_ARRAY, "{}", "", BYTES("\0\0\0\14\0\0\0\0\0\0\0\0\0\0\0\25")},
        {ALIAS_INT2VECTOR, TYPE_INT8_ARRAY, NULL, NULL, BYTES("\xff\xff\xff\xff")},
        {ALIAS_OIDVECTOR, TYPE_INT8_ARRAY, "{26}", "26",
         BYTES("\0\0\0\34\0\0\0\1\0\0\0\0\0\0\0\32\0\0\0\1\0\0\0\0\0\0\0\4\0\0\0\32")},
        {ALIAS_OID_ARRAY, TYPE_INT8_ARRAY, "{26,NULL}", "{26,NULL}",
         BYTES("\0\0\0\40\0\0\0\1\0\0\0\1\0\0\0\32\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\32\xff\xff\xff"
               "\xff")},
        {ALIAS_NAME_ARRAY, TYPE_TEXT_ARRAY, "{ab}", "{ab}",
         BYTES("\0\0\0\32\0\0\0\1\0\0\0\0\0\0\0\23\0\0\0\1\0\0\0\1\0\0\0\2ab")},
    };
    struct arena arena;
    struct error error;
    (void)state;
    arena_init(&arena);
    for (size_t index = 0; index < array_count(cases); index++) {
        const struct bytes_case *each = &cases[index];
        struct value value = {.is_null = each->text == NULL, .type = type_of(each->type)};
        if (each->text != NULL)
            assert_int_equal(type_parse(type_of(each->type), slice_from_cstr(each->text),
                                        &(struct text_context){0}, &arena, &value, &error),
                             OK);
        struct column_builder builder;
        struct writer out;
        column_builder_init(&builder, type_of(each->type), &arena);
        if (value.is_null)
            column_builder_add_null(&builder);
        else
            column_builder_add(&builder, &value);
        struct column column = column_builder_finish(&builder);
        writer_init(&out);
        alias_send(&column, 0, each->alias, &out);
        assert_int_equal(out.size, each->size);
        assert_memory_equal(out.data, each->wanted, each->size);
        writer_reset(&out);
        alias_send_text(&column, 0, each->alias, &(struct text_context){0}, &out);
        if (each->wanted_text != NULL) {
            assert_int_equal(out.size, 4 + strlen(each->wanted_text));
            assert_memory_equal(out.data + 4, each->wanted_text, strlen(each->wanted_text));
        } else {
            assert_memory_equal(out.data, "\xff\xff\xff\xff", 4);
        }
        writer_deinit(&out);
    }
    arena_deinit(&arena);
}

static void test_fits(void **state)
{
    static const struct {
        enum type_alias alias;
        bool wraps;
        int64_t value, wanted; /* -1: 22003 */
    } numbers[] = {
        {ALIAS_OID, false, 0, 0},
        {ALIAS_OID, false, UINT32_MAX, UINT32_MAX},
        {ALIAS_OID, false, (int64_t)UINT32_MAX + 1, -1},
        {ALIAS_OID, true, 5000000000, -1},
        {ALIAS_OID, false, -1, -1},
        {ALIAS_OID, true, -1, UINT32_MAX},
        {ALIAS_OID, true, INT32_MIN, 2147483648},
        {ALIAS_OID, true, (int64_t)INT32_MIN - 1, -1},
        {ALIAS_XID, true, -3, 4294967293},
        {ALIAS_XID, false, 5000000000, -1},
        {ALIAS_NONE, false, -7, -7},
    };
    static const struct {
        enum type_alias alias;
        const char *text;
        size_t wanted;
    } texts[] = {
        {ALIAS_CHAR, "abc", 1},
        {ALIAS_CHAR, "", 0},
        {ALIAS_CHAR, "\xc3\xa9z", 2},
        {ALIAS_NAME, "short", 5},
        {ALIAS_NAME, "123456789012345678901234567890123456789012345678901234567890123", 63},
        {ALIAS_NAME, "1234567890123456789012345678901234567890123456789012345678901234", 63},
        {ALIAS_NAME, "12345678901234567890123456789012345678901234567890123456789012\xc3\xa9", 62},
    };
    static const struct {
        enum type_alias alias;
        const char *text;
        enum err wanted;
    } arrays[] = {
        {ALIAS_INT2VECTOR, "{32767,-32768,NULL}", OK}, {ALIAS_INT2VECTOR, "{32768}", ERR_INPUT},
        {ALIAS_OID_ARRAY, "{0,4294967295}", OK},       {ALIAS_OID_ARRAY, "{1,-1}", ERR_INPUT},
        {ALIAS_OIDVECTOR, "{4294967296}", ERR_INPUT},
    };
    struct arena arena;
    struct error error;
    (void)state;
    for (size_t index = 0; index < array_count(numbers); index++) {
        struct value value = {.type = type_of(TYPE_INT8), .i = numbers[index].value};
        enum err err = alias_fit(&value, numbers[index].alias, numbers[index].wraps, &error);
        assert_int_equal(err, numbers[index].wanted == -1 ? ERR_INPUT : OK);
        if (err == OK)
            assert_int_equal(value.i, numbers[index].wanted);
        else
            assert_string_equal(error.sqlstate, "22003");
    }
    for (size_t index = 0; index < array_count(texts); index++) {
        struct value value = {.type = type_of(TYPE_TEXT),
                              .text = slice_from_cstr(texts[index].text)};
        assert_int_equal(alias_fit(&value, texts[index].alias, true, &error), OK);
        assert_int_equal(value.text.size, texts[index].wanted);
    }
    arena_init(&arena);
    for (size_t index = 0; index < array_count(arrays); index++) {
        struct value value = {.type = type_of(TYPE_INT8_ARRAY)};
        assert_int_equal(type_parse(value.type, slice_from_cstr(arrays[index].text),
                                    &(struct text_context){0}, &arena, &value, &error),
                         OK);
        assert_int_equal(alias_fit(&value, arrays[index].alias, true, &error),
                         arrays[index].wanted);
    }
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_fits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
