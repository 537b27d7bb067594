/* Numbers as text: forms, edges and errors as PostgreSQL 15 gives them. */
#include "storage/base/number.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>

#include "tests/unit/storage/cases.h"

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
    const char *input, *float8, *float4;
} float_cases[] = {
    {"1e22", "1e+22", "1e+22"},
    {"9007199254740993", "9.007199254740992e+15", "9.007199e+15"},
    {"4503599627370496.5", "4.503599627370496e+15", "4.5035996e+15"},
    {"0.1", "0.1", "0.1"},
    {"1e-7", "1e-07", "1e-07"},
    {"123456789.123456789", "123456789.12345679", "1.2345679e+08"},
    {"3.4e38", "3.4e+38", "3.4e+38"},
    {"1.17549435e-38", "1.17549435e-38", "1.1754944e-38"},
    {"1e-45", "1e-45", "1e-45"},
    {"7.1e-46", "7.1e-46", "1e-45"},
    {"2.2250738585072011e-308", "2.225073858507201e-308", "!22003"},
    {"4.9406564584124654e-324", "5e-324", "!22003"},
    {"1.7976931348623159e308", "!22003", "!22003"},
    {"179769313486231580000e289", "!22003", "!22003"},
    {"0.000123", "0.000123", "0.000123"},
    {"12345678.9", "12345678.9", "1.2345679e+07"},
    {"99999.95", "99999.95", "99999.95"},
    {"999999.5", "999999.5", "999999.5"},
    {"9999995", "9999995", "9.999995e+06"},
    {"0.00001", "1e-05", "1e-05"},
    {"16777217", "16777217", "1.6777216e+07"},
    {"33554432", "33554432", "3.3554432e+07"},
    {"1e+5", "100000", "100000"},
    {"1E5", "100000", "100000"},
    {"+.5", "0.5", "0.5"},
    {"5.", "5", "5"},
    {"1e5.5", "!22P02", "!22P02"},
    {"0x1p-2", "0.25", "0.25"},
    {"inf", "Infinity", "Infinity"},
    {"-Infinity", "-Infinity", "-Infinity"},
    {"infinit", "!22P02", "!22P02"},
    {"nan(1)", "NaN", "NaN"},
    {"1e99999999999", "!22003", "!22003"},
    {"  12  ", "12", "12"},
    {"1 2", "!22P02", "!22P02"},
    {"8.5e-4", "0.00085", "0.00085"},
    {"1.0000000000000002", "1.0000000000000002", "1"},
    {"0.3", "0.3", "0.3"},
    {"2.5", "2.5", "2.5"},
    {"1234567890123456", "1.234567890123456e+15", "1.234568e+15"},
    {"123456789012345.6", "123456789012345.6", "1.2345679e+14"},
    {"12345678901234.56", "12345678901234.56", "1.2345679e+13"},
    {"100", "100", "100"},
    {"1e2", "100", "100"},
    {"1e21", "1e+21", "1e+21"},
    {"9.95e-5", "9.95e-05", "9.95e-05"},
    {"0.0001234567", "0.0001234567", "0.0001234567"},
    {"5e-5", "5e-05", "5e-05"},
    {"3.14159265358979323846", "3.141592653589793", "3.1415927"},
    {"10928588.983213553", "10928588.983213553", "1.0928589e+07"},
    {"1.4186613525849614e+134", "1.4186613525849614e+134", "!22003"},
    {"-7.571968556055867e-74", "-7.571968556055867e-74", "!22003"},
    {"-1.4074705188261364e+113", "-1.4074705188261364e+113", "!22003"},
    {"-3.3339745473042614e-121", "-3.3339745473042614e-121", "!22003"},
    {"-1.2342180766211395e-271", "-1.2342180766211395e-271", "!22003"},
    {"-5.126864004244935e+111", "-5.126864004244935e+111", "!22003"},
    {"-2.1520217579844227e+32", "-2.1520217579844227e+32", "-2.1520218e+32"},
    {"0.1399601630397701", "0.1399601630397701", "0.13996017"},
    {"1.01853664031722e-244", "1.01853664031722e-244", "!22003"},
    {"2.9704598186234577e-115", "2.9704598186234577e-115", "!22003"},
    {"3.0534183338726823e+150", "3.0534183338726823e+150", "!22003"},
    {"-2.3027782228163463e+146", "-2.3027782228163463e+146", "!22003"},
    {"3.56409621163656e+161", "3.56409621163656e+161", "!22003"},
    {"6.352929017207453e-183", "6.352929017207453e-183", "!22003"},
    {"0.3146575865605324", "0.3146575865605324", "0.3146576"},
    {"-1.2761724801771812e-23", "-1.2761724801771812e-23", "-1.2761725e-23"},
    {"2.0868668176225336e+195", "2.0868668176225336e+195", "!22003"},
    {"3.66898827745704e-84", "3.66898827745704e-84", "!22003"},
    {"-1.389122273370197e+145", "-1.389122273370197e+145", "!22003"},
    {"1.7548715433165102e+172", "1.7548715433165102e+172", "!22003"},
    {"-1039514241563211.8", "-1.0395142415632118e+15", "-1.0395142e+15"},
    {"5.7804021771411506e-220", "5.7804021771411506e-220", "!22003"},
    {"-2.8497478716107576e-163", "-2.8497478716107576e-163", "!22003"},
    {"3.490691392124745e+240", "3.490691392124745e+240", "!22003"},
    {"1.3282314387596086e-145", "1.3282314387596086e-145", "!22003"},
    {"-2.9317061175715426e+274", "-2.9317061175715426e+274", "!22003"},
    {"4.1124768973349897e-302", "4.1124768973349897e-302", "!22003"},
    {"-2.5983853818656714e+29", "-2.5983853818656714e+29", "-2.5983854e+29"},
    {"-2.5839922981649337e+259", "-2.5839922981649337e+259", "!22003"},
    {"3.7615508677292285e-104", "3.7615508677292285e-104", "!22003"},
    {"2.1435728770450893e-103", "2.1435728770450893e-103", "!22003"},
    {"6.3583676891104784e+78", "6.3583676891104784e+78", "!22003"},
    {"2.0062829023357212e-63", "2.0062829023357212e-63", "!22003"},
    {"-6.792475937705741e+155", "-6.792475937705741e+155", "!22003"},
    {"-1.1878910286585398e-153", "-1.1878910286585398e-153", "!22003"},
    {"1.1477511623364303e-84", "1.1477511623364303e-84", "!22003"},
    {"-6.384685499984821e+269", "-6.384685499984821e+269", "!22003"},
    {"6.725524671613862e-66", "6.725524671613862e-66", "!22003"},
    {"-3.3367034274052276e+265", "-3.3367034274052276e+265", "!22003"},
    {"5e-324", "5e-324", "!22003"},
    {"1e-323", "1e-323", "!22003"},
    {"8.095e-320", "8.095e-320", "!22003"},
    {"1.1125369292536007e-308", "1.1125369292536007e-308", "!22003"},
    {"2.2250738585072014e-308", "2.2250738585072014e-308", "!22003"},
    {"4.450147717014403e-308", "4.450147717014403e-308", "!22003"},
    {"3.054936363499605e-151", "3.054936363499605e-151", "!22003"},
    {"1.401298464324817e-45", "1.401298464324817e-45", "1e-45"},
    {"7.174648137343064e-43", "7.174648137343064e-43", "7.17e-43"},
    {"5.877471754111438e-39", "5.877471754111438e-39", "5.877472e-39"},
    {"1.1754943508222875e-38", "1.1754943508222875e-38", "1.1754944e-38"},
    {"2.350988701644575e-38", "2.350988701644575e-38", "2.3509887e-38"},
    {"5.684341886080802e-14", "5.684341886080802e-14", "5.684342e-14"},
    {"5.960464477539063e-08", "5.960464477539063e-08", "5.9604645e-08"},
    {"8388608.0", "8388608", "8.388608e+06"},
    {"16777216.0", "16777216", "1.6777216e+07"},
    {"9007199254740992.0", "9.007199254740992e+15", "9.007199e+15"},
    {"1.8014398509481984e+16", "1.8014398509481984e+16", "1.8014399e+16"},
    {"6.189700196426902e+26", "6.189700196426902e+26", "6.1897002e+26"},
    {"1.2676506002282294e+30", "1.2676506002282294e+30", "1.2676506e+30"},
    {"1.7014118346046923e+38", "1.7014118346046923e+38", "1.7014118e+38"},
    {"3.402823669209385e+38", "3.402823669209385e+38", "!22003"},
    {"3.273390607896142e+150", "3.273390607896142e+150", "!22003"},
    {"8.98846567431158e+307", "8.98846567431158e+307", "!22003"},
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
        if (err == OK)
            float8_print(value, &out);
        check("float8", float_cases[index].input, err, &error, &out, float_cases[index].float8);
        err = float4_parse(input, &value, &error);
        if (err == OK)
            float4_print(value, &out);
        check("float4", float_cases[index].input, err, &error, &out, float_cases[index].float4);
    }
    writer_deinit(&out);
    assert_int_equal(wrong_count, 0);
}

/* What is printed reads back as the same bits, whatever they are. */
static void test_round_trips(void **state)
{
    (void)state;
    struct random_stream stream;
    struct writer out;
    writer_init(&out);
    random_stream_init(&stream, 17);
    for (int index = 0; index < 20000; index++) {
        uint64_t bits = random_next(&stream);
        double value, back;
        memcpy(&value, &bits, sizeof(value));
        if (index % 2 != 0) /* decimals as people write them */
            value = (double)(int64_t)(bits >> 30) / (double)(index % 7 == 0 ? 1000000 : 100);
        if (!isfinite(value))
            continue;
        writer_reset(&out);
        float8_print(value, &out);
        assert_int_equal(float8_parse(writer_as_slice(&out), &back, NULL), OK);
        assert_memory_equal(&value, &back, sizeof(value));
        value = (double)(float)value;
        if (!isfinite(value) || value == 0)
            continue;
        writer_reset(&out);
        float4_print(value, &out);
        assert_int_equal(float4_parse(writer_as_slice(&out), &back, NULL), OK);
        assert_memory_equal(&value, &back, sizeof(value));
    }
    writer_deinit(&out);
}

/* The digits alone, without zeros at either end. */
static void bare_digits(const char *text, size_t size, char *out)
{
    size_t count = 0;
    for (size_t i = 0; i < size && text[i] != 'e'; i++)
        if (text[i] >= '0' && text[i] <= '9' && (count > 0 || text[i] != '0'))
            out[count++] = text[i];
    while (count > 0 && out[count - 1] == '0')
        count--;
    out[count] = 0;
}

/* As few digits as the C library needs, and the same ones: averages and the neighbours of short
 * decimals. */
static void test_fewest_digits(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 17);
    struct writer out;
    writer_init(&out);
    for (int i = 0; i < 60000; i++) {
        double value = (double)random_below(&random, UINT64_C(1) << (i % 53 + 1)) /
                       (double)(1 + random_below(&random, UINT64_C(1) << (i % 21)));
        if (i % 3 == 0)
            value = nextafter((double)random_below(&random, 1000000) / 1000, i % 2 == 0 ? 0 : 1e9);
        if (value == 0)
            continue;
        char text[40], want[40], got[40];
        for (int precision = 15; precision <= 17; precision++) {
            snprintf(text, sizeof(text), "%.*e", precision - 1, value);
            if (strtod(text, NULL) == value)
                break;
        }
        writer_reset(&out);
        float8_print(value, &out);
        bare_digits(text, strlen(text), want);
        bare_digits((const char *)out.data, out.size, got);
        if (strcmp(want, got) != 0)
            fail_msg("%a: %s, want %s", value, got, want);
        writer_u8(&out, 0);
        assert_true(strtod((const char *)out.data, NULL) == value);
    }
    writer_deinit(&out);
}

static void test_json_number(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "-",   "01", "+1",  ".5",  "1.",  "1e",
                                        "1e+", "0x1", "1 ", "NaN", "--1", "1.e5"};
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
    assert_true(
        json_number_parse(SLICE("0.1000000000000000055511151231257827"), &is_integer, &i, &d));
    assert_true(d == 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int_parse),     cmocka_unit_test(test_int_print),
        cmocka_unit_test(test_floats),        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_fewest_digits), cmocka_unit_test(test_json_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
