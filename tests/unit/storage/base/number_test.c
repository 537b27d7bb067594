/* Numbers as text: forms, edges and errors as PostgreSQL 15 gives them. */
#include "storage/base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

static const struct {
    const char *input;
    int64_t min, max, want;
    const char *sqlstate; /* NULL: fine */
} int_cases[] = {
    {"0", INT64_MIN, INT64_MAX, 0, NULL},
    {" -12 ", INT64_MIN, INT64_MAX, -12, NULL},
    {"+7", INT64_MIN, INT64_MAX, 7, NULL},
    {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, NULL},
    {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, NULL},
    {"9223372036854775808", INT64_MIN, INT64_MAX, 0, "22003"},
    {"-9223372036854775809", INT64_MIN, INT64_MAX, 0, "22003"},
    {"99999999999999999999999", INT64_MIN, INT64_MAX, 0, "22003"},
    {"32768", INT16_MIN, INT16_MAX, 0, "22003"},
    {"-32768", INT16_MIN, INT16_MAX, -32768, NULL},
    {"", INT64_MIN, INT64_MAX, 0, "22P02"},
    {"-", INT64_MIN, INT64_MAX, 0, "22P02"},
    {"1.0", INT64_MIN, INT64_MAX, 0, "22P02"},
    {"1 2", INT64_MIN, INT64_MAX, 0, "22P02"},
    {"0x10", INT64_MIN, INT64_MAX, 0, "22P02"},
};

static void test_int_parse(void **state)
{
    (void)state;
    for (size_t index = 0; index < array_count(int_cases); index++) {
        int64_t value = 0;
        struct error error;
        enum err err = int_parse(slice_from_cstr(int_cases[index].input), int_cases[index].min,
                                 int_cases[index].max, "integer", &value, &error);
        assert_int_equal(err, int_cases[index].sqlstate == NULL ? OK : ERR_INPUT);
        if (err == OK)
            assert_true(value == int_cases[index].want);
        else
            assert_string_equal(error.sqlstate, int_cases[index].sqlstate);
    }
    struct error error;
    int64_t value;
    assert_int_equal(int_parse(SLICE("x y"), 0, 1, "bigint", &value, &error), ERR_INPUT);
    assert_string_equal(error.text, "invalid input syntax for type bigint: \"x y\"");
    assert_int_equal(int_parse(SLICE("40000"), 0, 1, "smallint", &value, &error), ERR_INPUT);
    assert_string_equal(error.text, "value \"40000\" is out of range for type smallint");
}

static void assert_printed(struct writer *out, const char *want)
{
    writer_u8(out, 0);
    assert_string_equal((const char *)out->data, want);
    writer_reset(out);
}

static void test_int_print(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    int_print(INT64_MIN, &out);
    assert_printed(&out, "-9223372036854775808");
    int_print(0, &out);
    assert_printed(&out, "0");
    uint_print(UINT64_MAX, &out);
    assert_printed(&out, "18446744073709551615");
    writer_deinit(&out);
}

static const struct {
    const char *input, *float8, *float4; /* NULL: refused */
} float_cases[] = {
    {"0", "0", "0"},
    {"-0", "-0", "-0"},
    {"1", "1", "1"},
    {"0.1", "0.1", "0.1"},
    {" 1.5e3 ", "1500", "1500"},
    {"1e15", "1e+15", "1e+15"},
    {"999999999999999", "999999999999999", "1e+15"},
    {"1e14", "100000000000000", "1e+14"},
    {"123456789012345680", "1.2345678901234568e+17", "1.2345679e+17"},
    {"1e-4", "0.0001", "0.0001"},
    {"1e-5", "1e-05", "1e-05"},
    {"123456.7", "123456.7", "123456.7"},
    {"1234567", "1234567", "1.234567e+06"},
    {"100000", "100000", "100000"},
    {"1000000", "1000000", "1e+06"},
    {"5e-324", "5e-324", NULL},
    {"1.7976931348623157e308", "1.7976931348623157e+308", NULL},
    {"1e400", NULL, NULL},
    {"1e-400", NULL, NULL},
    {"NaN", "NaN", "NaN"},
    {"nan", "NaN", "NaN"},
    {"Infinity", "Infinity", "Infinity"},
    {"-inf", "-Infinity", "-Infinity"},
    {"0x10", "16", "16"},
    {"", NULL, NULL},
    {"1e", NULL, NULL},
    {"1,5", NULL, NULL},
    {"abc", NULL, NULL},
    {"0.30000000000000004", "0.30000000000000004", "0.3"},
    {"2.2250738585072014e-308", "2.2250738585072014e-308", NULL},
};

static void test_floats(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < array_count(float_cases); index++) {
        struct slice input = slice_from_cstr(float_cases[index].input);
        double value;
        struct error error;
        enum err err = float8_parse(input, &value, &error);
        assert_int_equal(err == OK, float_cases[index].float8 != NULL);
        if (err == OK) {
            float8_print(value, &out);
            assert_printed(&out, float_cases[index].float8);
        }
        err = float4_parse(input, &value, &error);
        assert_int_equal(err == OK, float_cases[index].float4 != NULL);
        if (err == OK) {
            float4_print(value, &out);
            assert_printed(&out, float_cases[index].float4);
        }
    }
    writer_deinit(&out);
}

static void test_json_number(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "-", "01", "+1", ".5", "1.", "1e", "1e+", "0x1", "1 ", "NaN", "--1", "1.e5"};
    bool is_integer;
    int64_t i;
    double d;
    for (size_t index = 0; index < array_count(wrong); index++)
        assert_false(json_number_parse(slice_from_cstr(wrong[index]), &is_integer, &i, &d));
    assert_true(json_number_parse(SLICE("-9223372036854775808"), &is_integer, &i, &d));
    assert_true(is_integer && i == INT64_MIN && d == -0x1p63);
    assert_true(json_number_parse(SLICE("9223372036854775808"), &is_integer, &i, &d));
    assert_true(!is_integer && d == 0x1p63);
    assert_true(json_number_parse(SLICE("1.25e2"), &is_integer, &i, &d));
    assert_true(!is_integer && d == 125);
    assert_true(json_number_parse(SLICE("1e999"), &is_integer, &i, &d));
    assert_true(isinf(d));
    assert_true(json_number_parse(SLICE("12345678901234567890123"), &is_integer, &i, &d));
    assert_true(!is_integer && d == 12345678901234567890123.0);
    assert_true(json_number_parse(SLICE("0.1000000000000000055511151231257827"), &is_integer, &i, &d));
    assert_true(d == 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int_parse),
        cmocka_unit_test(test_int_print),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_json_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
