/* numeric: text, the five operations with their scales, rounding, casts, order and hashes.
 * Expected values are PostgreSQL 15's. */
#include "storage/base/numeric.h"

#include "storage/base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/storage/cases.h"

static const struct {
    const char *input, *want;
} parse_cases[] = {
    {"0", "0"},
    {"1", "1"},
    {"-1", "-1"},
    {"0.00", "0.00"},
    {"00012.500", "12.500"},
    {"1e5", "100000"},
    {"1.5e-3", "0.0015"},
    {"1.5E+2", "150"},
    {".5", "0.5"},
    {"5.", "5"},
    {"-.5", "-0.5"},
    {"+7", "7"},
    {" 12.30 ", "12.30"},
    {"NaN", "NaN"},
    {"nan", "NaN"},
    {"Infinity", "Infinity"},
    {"-inf", "-Infinity"},
    {"+Infinity", "Infinity"},
    {"1e", "!22P02"},
    {"e5", "!22P02"},
    {"", "!22P02"},
    {"-", "!22P02"},
    {"1.2.3", "!22P02"},
    {"1,5", "!22P02"},
    {"12345678901234567890.123456789", "12345678901234567890.123456789"},
    {"0.1e1", "1"},
    {"1e-10", "0.0000000001"},
    {"100e-2", "1.00"},
    {"0e10", "0"},
    {"0e-5", "0.00000"},
    {"1_000", "!22P02"},
    {"0x1", "!22P02"},
    {"infinityx", "!22P02"},
    {"99999999999999999999999999999999999999", "99999999999999999999999999999999999999"},
};

static const struct {
    const char *a, *operation, *b, *want;
} operator_cases[] = {
    {"1", "+", "3", "4"},
    {"2", "+", "3", "5"},
    {"10", "+", "3", "13"},
    {"1", "+", "7", "8"},
    {"100", "+", "7", "107"},
    {"1.00", "+", "3", "4.00"},
    {"1", "+", "3.0000", "4.0000"},
    {"22", "+", "7", "29"},
    {"1", "+", "9999", "10000"},
    {"1", "+", "10000", "10001"},
    {"10000", "+", "3", "10003"},
    {"99999", "+", "10000", "109999"},
    {"1", "+", "0.0003", "1.0003"},
    {"0.0003", "+", "7", "7.0003"},
    {"1234.5678", "+", "9.87", "1244.4378"},
    {"123456789012.345", "+", "1000", "123456790012.345"},
    {"5", "+", "0", "5"},
    {"0", "+", "5", "5"},
    {"0.00", "+", "5", "5.00"},
    {"-7", "+", "2", "-5"},
    {"7", "+", "-2", "5"},
    {"-7.5", "+", "-2.5", "-10.0"},
    {"NaN", "+", "0", "NaN"},
    {"1", "+", "NaN", "NaN"},
    {"Infinity", "+", "2", "Infinity"},
    {"Infinity", "+", "-2", "Infinity"},
    {"2", "+", "Infinity", "Infinity"},
    {"Infinity", "+", "Infinity", "Infinity"},
    {"-Infinity", "+", "Infinity", "NaN"},
    {"Infinity", "+", "0", "Infinity"},
    {"0", "+", "Infinity", "Infinity"},
    {"0.1", "+", "0.2", "0.3"},
    {"1.10", "+", "2.205", "3.305"},
    {"999999999999999999", "+", "999999999999999999", "1999999999999999998"},
    {"123.456", "+", "0.001", "123.457"},
    {"1e10", "+", "3", "10000000003"},
    {"1e-10", "+", "3", "3.0000000001"},
    {"98765.4321", "+", "12345678", "12444443.4321"},
    {"3", "+", "1.5", "4.5"},
    {"100.0000000000", "+", "0.03", "100.0300000000"},
    {"4999", "+", "5000", "9999"},
    {"5000", "+", "5000", "10000"},
    {"5001", "+", "5000", "10001"},
    {"12345678901234567890", "+", "9876543210.12345", "12345678911111111100.12345"},
    {"1", "-", "3", "-2"},
    {"2", "-", "3", "-1"},
    {"10", "-", "3", "7"},
    {"1", "-", "7", "-6"},
    {"100", "-", "7", "93"},
    {"1.00", "-", "3", "-2.00"},
    {"1", "-", "3.0000", "-2.0000"},
    {"22", "-", "7", "15"},
    {"1", "-", "9999", "-9998"},
    {"1", "-", "10000", "-9999"},
    {"10000", "-", "3", "9997"},
    {"99999", "-", "10000", "89999"},
    {"1", "-", "0.0003", "0.9997"},
    {"0.0003", "-", "7", "-6.9997"},
    {"1234.5678", "-", "9.87", "1224.6978"},
    {"123456789012.345", "-", "1000", "123456788012.345"},
    {"5", "-", "0", "5"},
    {"0", "-", "5", "-5"},
    {"0.00", "-", "5", "-5.00"},
    {"-7", "-", "2", "-9"},
    {"7", "-", "-2", "9"},
    {"-7.5", "-", "-2.5", "-5.0"},
    {"NaN", "-", "0", "NaN"},
    {"1", "-", "NaN", "NaN"},
    {"Infinity", "-", "2", "Infinity"},
    {"Infinity", "-", "-2", "Infinity"},
    {"2", "-", "Infinity", "-Infinity"},
    {"Infinity", "-", "Infinity", "NaN"},
    {"-Infinity", "-", "Infinity", "-Infinity"},
    {"Infinity", "-", "0", "Infinity"},
    {"0", "-", "Infinity", "-Infinity"},
    {"0.1", "-", "0.2", "-0.1"},
    {"1.10", "-", "2.205", "-1.105"},
    {"999999999999999999", "-", "999999999999999999", "0"},
    {"123.456", "-", "0.001", "123.455"},
    {"1e10", "-", "3", "9999999997"},
    {"1e-10", "-", "3", "-2.9999999999"},
    {"98765.4321", "-", "12345678", "-12246912.5679"},
    {"3", "-", "1.5", "1.5"},
    {"100.0000000000", "-", "0.03", "99.9700000000"},
    {"4999", "-", "5000", "-1"},
    {"5000", "-", "5000", "0"},
    {"5001", "-", "5000", "1"},
    {"12345678901234567890", "-", "9876543210.12345", "12345678891358024679.87655"},
    {"1", "*", "3", "3"},
    {"2", "*", "3", "6"},
    {"10", "*", "3", "30"},
    {"1", "*", "7", "7"},
    {"100", "*", "7", "700"},
    {"1.00", "*", "3", "3.00"},
    {"1", "*", "3.0000", "3.0000"},
    {"22", "*", "7", "154"},
    {"1", "*", "9999", "9999"},
    {"1", "*", "10000", "10000"},
    {"10000", "*", "3", "30000"},
    {"99999", "*", "10000", "999990000"},
    {"1", "*", "0.0003", "0.0003"},
    {"0.0003", "*", "7", "0.0021"},
    {"1234.5678", "*", "9.87", "12185.184186"},
    {"123456789012.345", "*", "1000", "123456789012345.000"},
    {"5", "*", "0", "0"},
    {"0", "*", "5", "0"},
    {"0.00", "*", "5", "0.00"},
    {"-7", "*", "2", "-14"},
    {"7", "*", "-2", "-14"},
    {"-7.5", "*", "-2.5", "18.75"},
    {"NaN", "*", "0", "NaN"},
    {"1", "*", "NaN", "NaN"},
    {"Infinity", "*", "2", "Infinity"},
    {"Infinity", "*", "-2", "-Infinity"},
    {"2", "*", "Infinity", "Infinity"},
    {"Infinity", "*", "Infinity", "Infinity"},
    {"-Infinity", "*", "Infinity", "-Infinity"},
    {"Infinity", "*", "0", "NaN"},
    {"0", "*", "Infinity", "NaN"},
    {"0.1", "*", "0.2", "0.02"},
    {"1.10", "*", "2.205", "2.42550"},
    {"999999999999999999", "*", "999999999999999999", "999999999999999998000000000000000001"},
    {"123.456", "*", "0.001", "0.123456"},
    {"1e10", "*", "3", "30000000000"},
    {"1e-10", "*", "3", "0.0000000003"},
    {"98765.4321", "*", "12345678", "1219326222237.4638"},
    {"3", "*", "1.5", "4.5"},
    {"100.0000000000", "*", "0.03", "3.000000000000"},
    {"4999", "*", "5000", "24995000"},
    {"5000", "*", "5000", "25000000"},
    {"5001", "*", "5000", "25005000"},
    {"12345678901234567890", "*", "9876543210.12345", "121932631126352606171620934306.02050"},
    {"1", "/", "3", "0.33333333333333333333"},
    {"2", "/", "3", "0.66666666666666666667"},
    {"10", "/", "3", "3.3333333333333333"},
    {"1", "/", "7", "0.14285714285714285714"},
    {"100", "/", "7", "14.2857142857142857"},
    {"1.00", "/", "3", "0.33333333333333333333"},
    {"1", "/", "3.0000", "0.33333333333333333333"},
    {"22", "/", "7", "3.1428571428571429"},
    {"1", "/", "9999", "0.00010001000100010001"},
    {"1", "/", "10000", "0.000100000000000000000000"},
    {"10000", "/", "3", "3333.3333333333333333"},
    {"99999", "/", "10000", "9.9999000000000000"},
    {"1", "/", "0.0003", "3333.3333333333333333"},
    {"0.0003", "/", "7", "0.000042857142857142857143"},
    {"1234.5678", "/", "9.87", "125.0828571428571429"},
    {"123456789012.345", "/", "1000", "123456789.01234500"},
    {"5", "/", "0", "!22012"},
    {"0", "/", "5", "0.00000000000000000000"},
    {"0.00", "/", "5", "0.00000000000000000000"},
    {"-7", "/", "2", "-3.5000000000000000"},
    {"7", "/", "-2", "-3.5000000000000000"},
    {"-7.5", "/", "-2.5", "3.0000000000000000"},
    {"NaN", "/", "0", "NaN"},
    {"1", "/", "NaN", "NaN"},
    {"Infinity", "/", "2", "Infinity"},
    {"Infinity", "/", "-2", "-Infinity"},
    {"2", "/", "Infinity", "0"},
    {"Infinity", "/", "Infinity", "NaN"},
    {"-Infinity", "/", "Infinity", "NaN"},
    {"Infinity", "/", "0", "!22012"},
    {"0", "/", "Infinity", "0"},
    {"0.1", "/", "0.2", "0.50000000000000000000"},
    {"1.10", "/", "2.205", "0.49886621315192743764"},
    {"999999999999999999", "/", "999999999999999999", "1.00000000000000000000"},
    {"123.456", "/", "0.001", "123456.000000000000"},
    {"1e10", "/", "3", "3333333333.33333333"},
    {"1e-10", "/", "3", "0.0000000000333333333333333333"},
    {"98765.4321", "/", "12345678", "0.00800000065610005380"},
    {"3", "/", "1.5", "2.0000000000000000"},
    {"100.0000000000", "/", "0.03", "3333.3333333333333333"},
    {"4999", "/", "5000", "0.99980000000000000000"},
    {"5000", "/", "5000", "1.00000000000000000000"},
    {"5001", "/", "5000", "1.0002000000000000"},
    {"12345678901234567890", "/", "9876543210.12345", "1249999988.71875086"},
    {"1", "%", "3", "1"},
    {"2", "%", "3", "2"},
    {"10", "%", "3", "1"},
    {"1", "%", "7", "1"},
    {"100", "%", "7", "2"},
    {"1.00", "%", "3", "1.00"},
    {"1", "%", "3.0000", "1.0000"},
    {"22", "%", "7", "1"},
    {"1", "%", "9999", "1"},
    {"1", "%", "10000", "1"},
    {"10000", "%", "3", "1"},
    {"99999", "%", "10000", "9999"},
    {"1", "%", "0.0003", "0.0001"},
    {"0.0003", "%", "7", "0.0003"},
    {"1234.5678", "%", "9.87", "0.8178"},
    {"123456789012.345", "%", "1000", "12.345"},
    {"5", "%", "0", "!22012"},
    {"0", "%", "5", "0"},
    {"0.00", "%", "5", "0.00"},
    {"-7", "%", "2", "-1"},
    {"7", "%", "-2", "1"},
    {"-7.5", "%", "-2.5", "0.0"},
    {"NaN", "%", "0", "NaN"},
    {"1", "%", "NaN", "NaN"},
    {"Infinity", "%", "2", "NaN"},
    {"Infinity", "%", "-2", "NaN"},
    {"2", "%", "Infinity", "2"},
    {"Infinity", "%", "Infinity", "NaN"},
    {"-Infinity", "%", "Infinity", "NaN"},
    {"Infinity", "%", "0", "!22012"},
    {"0", "%", "Infinity", "0"},
    {"0.1", "%", "0.2", "0.1"},
    {"1.10", "%", "2.205", "1.100"},
    {"999999999999999999", "%", "999999999999999999", "0"},
    {"123.456", "%", "0.001", "0.000"},
    {"1e10", "%", "3", "1"},
    {"1e-10", "%", "3", "0.0000000001"},
    {"98765.4321", "%", "12345678", "98765.4321"},
    {"3", "%", "1.5", "0.0"},
    {"100.0000000000", "%", "0.03", "0.0100000000"},
    {"4999", "%", "5000", "4999"},
    {"5000", "%", "5000", "0"},
    {"5001", "%", "5000", "1"},
    {"12345678901234567890", "%", "9876543210.12345", "7098773911.48140"},
};

static const struct {
    const char *function, *input, *scale, *want;
} function_cases[] = {
    {"round", "0", "0", "0"},
    {"round", "0", "2", "0.00"},
    {"round", "0", "-2", "0"},
    {"round", "0", "6", "0.000000"},
    {"trunc", "0", "0", "0"},
    {"trunc", "0", "2", "0.00"},
    {"trunc", "0", "-2", "0"},
    {"trunc", "0", "6", "0.000000"},
    {"floor", "0", "", "0"},
    {"ceil", "0", "", "0"},
    {"bigint", "0", "", "0"},
    {"numeric(5,2)", "0", "", "0.00"},
    {"float8", "0", "", "0"},
    {"round", "2.5", "0", "3"},
    {"round", "2.5", "2", "2.50"},
    {"round", "2.5", "-2", "0"},
    {"round", "2.5", "6", "2.500000"},
    {"trunc", "2.5", "0", "2"},
    {"trunc", "2.5", "2", "2.50"},
    {"trunc", "2.5", "-2", "0"},
    {"trunc", "2.5", "6", "2.500000"},
    {"floor", "2.5", "", "2"},
    {"ceil", "2.5", "", "3"},
    {"bigint", "2.5", "", "3"},
    {"numeric(5,2)", "2.5", "", "2.50"},
    {"float8", "2.5", "", "2.5"},
    {"round", "-2.5", "0", "-3"},
    {"round", "-2.5", "2", "-2.50"},
    {"round", "-2.5", "-2", "0"},
    {"round", "-2.5", "6", "-2.500000"},
    {"trunc", "-2.5", "0", "-2"},
    {"trunc", "-2.5", "2", "-2.50"},
    {"trunc", "-2.5", "-2", "0"},
    {"trunc", "-2.5", "6", "-2.500000"},
    {"floor", "-2.5", "", "-3"},
    {"ceil", "-2.5", "", "-2"},
    {"bigint", "-2.5", "", "-3"},
    {"numeric(5,2)", "-2.5", "", "-2.50"},
    {"float8", "-2.5", "", "-2.5"},
    {"round", "0.5", "0", "1"},
    {"round", "0.5", "2", "0.50"},
    {"round", "0.5", "-2", "0"},
    {"round", "0.5", "6", "0.500000"},
    {"trunc", "0.5", "0", "0"},
    {"trunc", "0.5", "2", "0.50"},
    {"trunc", "0.5", "-2", "0"},
    {"trunc", "0.5", "6", "0.500000"},
    {"floor", "0.5", "", "0"},
    {"ceil", "0.5", "", "1"},
    {"bigint", "0.5", "", "1"},
    {"numeric(5,2)", "0.5", "", "0.50"},
    {"float8", "0.5", "", "0.5"},
    {"round", "-0.5", "0", "-1"},
    {"round", "-0.5", "2", "-0.50"},
    {"round", "-0.5", "-2", "0"},
    {"round", "-0.5", "6", "-0.500000"},
    {"trunc", "-0.5", "0", "0"},
    {"trunc", "-0.5", "2", "-0.50"},
    {"trunc", "-0.5", "-2", "0"},
    {"trunc", "-0.5", "6", "-0.500000"},
    {"floor", "-0.5", "", "-1"},
    {"ceil", "-0.5", "", "0"},
    {"bigint", "-0.5", "", "-1"},
    {"numeric(5,2)", "-0.5", "", "-0.50"},
    {"float8", "-0.5", "", "-0.5"},
    {"round", "1234.5678", "0", "1235"},
    {"round", "1234.5678", "2", "1234.57"},
    {"round", "1234.5678", "-2", "1200"},
    {"round", "1234.5678", "6", "1234.567800"},
    {"trunc", "1234.5678", "0", "1234"},
    {"trunc", "1234.5678", "2", "1234.56"},
    {"trunc", "1234.5678", "-2", "1200"},
    {"trunc", "1234.5678", "6", "1234.567800"},
    {"floor", "1234.5678", "", "1234"},
    {"ceil", "1234.5678", "", "1235"},
    {"bigint", "1234.5678", "", "1235"},
    {"numeric(5,2)", "1234.5678", "", "!22003"},
    {"float8", "1234.5678", "", "1234.5678"},
    {"round", "-1234.5678", "0", "-1235"},
    {"round", "-1234.5678", "2", "-1234.57"},
    {"round", "-1234.5678", "-2", "-1200"},
    {"round", "-1234.5678", "6", "-1234.567800"},
    {"trunc", "-1234.5678", "0", "-1234"},
    {"trunc", "-1234.5678", "2", "-1234.56"},
    {"trunc", "-1234.5678", "-2", "-1200"},
    {"trunc", "-1234.5678", "6", "-1234.567800"},
    {"floor", "-1234.5678", "", "-1235"},
    {"ceil", "-1234.5678", "", "-1234"},
    {"bigint", "-1234.5678", "", "-1235"},
    {"numeric(5,2)", "-1234.5678", "", "!22003"},
    {"float8", "-1234.5678", "", "-1234.5678"},
    {"round", "99.995", "0", "100"},
    {"round", "99.995", "2", "100.00"},
    {"round", "99.995", "-2", "100"},
    {"round", "99.995", "6", "99.995000"},
    {"trunc", "99.995", "0", "99"},
    {"trunc", "99.995", "2", "99.99"},
    {"trunc", "99.995", "-2", "0"},
    {"trunc", "99.995", "6", "99.995000"},
    {"floor", "99.995", "", "99"},
    {"ceil", "99.995", "", "100"},
    {"bigint", "99.995", "", "100"},
    {"numeric(5,2)", "99.995", "", "100.00"},
    {"float8", "99.995", "", "99.995"},
    {"round", "0.005", "0", "0"},
    {"round", "0.005", "2", "0.01"},
    {"round", "0.005", "-2", "0"},
    {"round", "0.005", "6", "0.005000"},
    {"trunc", "0.005", "0", "0"},
    {"trunc", "0.005", "2", "0.00"},
    {"trunc", "0.005", "-2", "0"},
    {"trunc", "0.005", "6", "0.005000"},
    {"floor", "0.005", "", "0"},
    {"ceil", "0.005", "", "1"},
    {"bigint", "0.005", "", "0"},
    {"numeric(5,2)", "0.005", "", "0.01"},
    {"float8", "0.005", "", "0.005"},
    {"round", "149", "0", "149"},
    {"round", "149", "2", "149.00"},
    {"round", "149", "-2", "100"},
    {"round", "149", "6", "149.000000"},
    {"trunc", "149", "0", "149"},
    {"trunc", "149", "2", "149.00"},
    {"trunc", "149", "-2", "100"},
    {"trunc", "149", "6", "149.000000"},
    {"floor", "149", "", "149"},
    {"ceil", "149", "", "149"},
    {"bigint", "149", "", "149"},
    {"numeric(5,2)", "149", "", "149.00"},
    {"float8", "149", "", "149"},
    {"round", "-150", "0", "-150"},
    {"round", "-150", "2", "-150.00"},
    {"round", "-150", "-2", "-200"},
    {"round", "-150", "6", "-150.000000"},
    {"trunc", "-150", "0", "-150"},
    {"trunc", "-150", "2", "-150.00"},
    {"trunc", "-150", "-2", "-100"},
    {"trunc", "-150", "6", "-150.000000"},
    {"floor", "-150", "", "-150"},
    {"ceil", "-150", "", "-150"},
    {"bigint", "-150", "", "-150"},
    {"numeric(5,2)", "-150", "", "-150.00"},
    {"float8", "-150", "", "-150"},
    {"round", "1.5", "0", "2"},
    {"round", "1.5", "2", "1.50"},
    {"round", "1.5", "-2", "0"},
    {"round", "1.5", "6", "1.500000"},
    {"trunc", "1.5", "0", "1"},
    {"trunc", "1.5", "2", "1.50"},
    {"trunc", "1.5", "-2", "0"},
    {"trunc", "1.5", "6", "1.500000"},
    {"floor", "1.5", "", "1"},
    {"ceil", "1.5", "", "2"},
    {"bigint", "1.5", "", "2"},
    {"numeric(5,2)", "1.5", "", "1.50"},
    {"float8", "1.5", "", "1.5"},
    {"round", "NaN", "0", "NaN"},
    {"round", "NaN", "2", "NaN"},
    {"round", "NaN", "-2", "NaN"},
    {"round", "NaN", "6", "NaN"},
    {"trunc", "NaN", "0", "NaN"},
    {"trunc", "NaN", "2", "NaN"},
    {"trunc", "NaN", "-2", "NaN"},
    {"trunc", "NaN", "6", "NaN"},
    {"floor", "NaN", "", "NaN"},
    {"ceil", "NaN", "", "NaN"},
    {"bigint", "NaN", "", "!0A000"},
    {"numeric(5,2)", "NaN", "", "NaN"},
    {"float8", "NaN", "", "NaN"},
    {"round", "Infinity", "0", "Infinity"},
    {"round", "Infinity", "2", "Infinity"},
    {"round", "Infinity", "-2", "Infinity"},
    {"round", "Infinity", "6", "Infinity"},
    {"trunc", "Infinity", "0", "Infinity"},
    {"trunc", "Infinity", "2", "Infinity"},
    {"trunc", "Infinity", "-2", "Infinity"},
    {"trunc", "Infinity", "6", "Infinity"},
    {"floor", "Infinity", "", "Infinity"},
    {"ceil", "Infinity", "", "Infinity"},
    {"bigint", "Infinity", "", "!0A000"},
    {"numeric(5,2)", "Infinity", "", "!22003"},
    {"float8", "Infinity", "", "Infinity"},
    {"round", "2.4999", "0", "2"},
    {"round", "2.4999", "2", "2.50"},
    {"round", "2.4999", "-2", "0"},
    {"round", "2.4999", "6", "2.499900"},
    {"trunc", "2.4999", "0", "2"},
    {"trunc", "2.4999", "2", "2.49"},
    {"trunc", "2.4999", "-2", "0"},
    {"trunc", "2.4999", "6", "2.499900"},
    {"floor", "2.4999", "", "2"},
    {"ceil", "2.4999", "", "3"},
    {"bigint", "2.4999", "", "2"},
    {"numeric(5,2)", "2.4999", "", "2.50"},
    {"float8", "2.4999", "", "2.4999"},
    {"round", "-0.4", "0", "0"},
    {"round", "-0.4", "2", "-0.40"},
    {"round", "-0.4", "-2", "0"},
    {"round", "-0.4", "6", "-0.400000"},
    {"trunc", "-0.4", "0", "0"},
    {"trunc", "-0.4", "2", "-0.40"},
    {"trunc", "-0.4", "-2", "0"},
    {"trunc", "-0.4", "6", "-0.400000"},
    {"floor", "-0.4", "", "-1"},
    {"ceil", "-0.4", "", "0"},
    {"bigint", "-0.4", "", "0"},
    {"numeric(5,2)", "-0.4", "", "-0.40"},
    {"float8", "-0.4", "", "-0.4"},
    {"round", "1e20", "0", "100000000000000000000"},
    {"round", "1e20", "2", "100000000000000000000.00"},
    {"round", "1e20", "-2", "100000000000000000000"},
    {"round", "1e20", "6", "100000000000000000000.000000"},
    {"trunc", "1e20", "0", "100000000000000000000"},
    {"trunc", "1e20", "2", "100000000000000000000.00"},
    {"trunc", "1e20", "-2", "100000000000000000000"},
    {"trunc", "1e20", "6", "100000000000000000000.000000"},
    {"floor", "1e20", "", "100000000000000000000"},
    {"ceil", "1e20", "", "100000000000000000000"},
    {"bigint", "1e20", "", "!22003"},
    {"numeric(5,2)", "1e20", "", "!22003"},
    {"float8", "1e20", "", "1e+20"},
};

static const struct {
    const char *input, *from8, *from4;
} double_cases[] = {
    {"0.1", "0.1", "0.1"},
    {"1", "1", "1"},
    {"1e15", "1000000000000000", "1000000000000000"},
    {"123456789.123456789", "123456789.123457", "123457000"},
    {"0.30000000000000004", "0.3", "0.3"},
    {"1e-5", "0.00001", "0.00001"},
    {"-2.5", "-2.5", "-2.5"},
    {"1e20", "100000000000000000000", "100000000000000000000"},
    {"3.14159265358979", "3.14159265358979", "3.14159"},
    {"1e37", "10000000000000000000000000000000000000", "10000000000000000000000000000000000000"},
    {"NaN", "NaN", "NaN"},
    {"Infinity", "Infinity", "Infinity"},
    {"-0", "0", "0"},
    {"100", "100", "100"},
    {"1234567.1", "1234567.1", "1234570"},
};

static struct numeric parsed(const char *text)
{
    struct numeric n;
    struct error error;
    assert_int_equal(numeric_parse(slice_from_cstr(text), &n, &error), OK);
    return n;
}

static void test_parse(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < array_count(parse_cases); index++) {
        struct numeric n;
        struct error error;
        enum err err = numeric_parse(slice_from_cstr(parse_cases[index].input), &n, &error);
        if (err == OK)
            numeric_print(n, &out);
        check("numeric", parse_cases[index].input, err, &error, &out, parse_cases[index].want);
    }
    writer_deinit(&out);
    assert_int_equal(wrong_count, 0);
}

static void test_operators(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < array_count(operator_cases); index++) {
        struct numeric a = parsed(operator_cases[index].a), b = parsed(operator_cases[index].b), n;
        struct error error;
        char operation = operator_cases[index].operation[0];
        enum err err = operation == '+'   ? numeric_add(a, b, &n, &error)
                       : operation == '-' ? numeric_subtract(a, b, &n, &error)
                       : operation == '*' ? numeric_multiply(a, b, &n, &error)
                       : operation == '/' ? numeric_divide(a, b, &n, &error)
                                          : numeric_modulo(a, b, &n, &error);
        if (err == OK)
            numeric_print(n, &out);
        char what[100];
        snprintf(what, sizeof(what), "%s %c %s", operator_cases[index].a, operation,
                 operator_cases[index].b);
        check("operator", what, err, &error, &out, operator_cases[index].want);
    }
    writer_deinit(&out);
    assert_int_equal(wrong_count, 0);
}

static enum err call(const char *name, struct numeric n, int32_t scale, struct writer *out,
                     struct error *error)
{
    int64_t i;
    struct numeric result;
    enum err err = OK;
    if (strcmp(name, "bigint") == 0) {
        err = numeric_to_int(n, &i, error);
        if (err == OK)
            int_print(i, out);
        return err;
    }
    if (strcmp(name, "float8") == 0) {
        float8_print(numeric_to_double(n), out);
        return OK;
    }
    if (strcmp(name, "round") == 0)
        err = numeric_round(n, scale, &result, error);
    else if (strcmp(name, "trunc") == 0)
        result = numeric_truncate(n, scale);
    else if (strcmp(name, "floor") == 0)
        result = numeric_floor(n);
    else if (strcmp(name, "ceil") == 0)
        result = numeric_ceil(n);
    else
        err = numeric_fit(n, 5, 2, &result, error);
    if (err == OK)
        numeric_print(result, out);
    return err;
}

static void test_functions(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < array_count(function_cases); index++) {
        struct error error;
        int32_t scale = (int32_t)strtol(function_cases[index].scale, NULL, 10);
        enum err err = call(function_cases[index].function, parsed(function_cases[index].input),
                            scale, &out, &error);
        check(function_cases[index].function, function_cases[index].input, err, &error, &out,
              function_cases[index].want);
    }
    for (size_t index = 0; index < array_count(double_cases); index++) {
        struct error error;
        struct numeric n;
        double value;
        assert_int_equal(float8_parse(slice_from_cstr(double_cases[index].input), &value, &error),
                         OK);
        enum err err = numeric_from_double(value, 15, &n, &error);
        if (err == OK)
            numeric_print(n, &out);
        check("from double", double_cases[index].input, err, &error, &out,
              double_cases[index].from8);
        assert_int_equal(float4_parse(slice_from_cstr(double_cases[index].input), &value, &error),
                         OK);
        err = numeric_from_double(value, 6, &n, &error);
        if (err == OK)
            numeric_print(n, &out);
        check("from real", double_cases[index].input, err, &error, &out, double_cases[index].from4);
    }
    writer_deinit(&out);
    assert_int_equal(wrong_count, 0);
}

static void test_order_and_hash(void **state)
{
    (void)state;
    /* Ascending; equal neighbours share a number. */
    static const struct {
        const char *text;
        int rank;
    } ladder[] = {{"-Infinity", 0},
                  {"-99999999999999999999999999999999999999", 1},
                  {"-1.5", 2},
                  {"-1.50", 2},
                  {"-0.00", 3},
                  {"0", 3},
                  {"0.00000000000000000000000000000000000001", 4},
                  {"0.5", 5},
                  {"0.500000", 5},
                  {"1", 6},
                  {"1.000000000000000000", 6},
                  {"10000000000000000000.0", 7},
                  {"1e19", 7},
                  {"99999999999999999999999999999999999999", 8},
                  {"Infinity", 9},
                  {"NaN", 10}};
    for (size_t a = 0; a < array_count(ladder); a++) {
        for (size_t b = 0; b < array_count(ladder); b++) {
            struct numeric x = parsed(ladder[a].text), y = parsed(ladder[b].text);
            int want = (ladder[a].rank > ladder[b].rank) - (ladder[a].rank < ladder[b].rank);
            assert_int_equal(numeric_compare(x, y), want);
            assert_int_equal(numeric_hash(x) == numeric_hash(y), want == 0);
        }
    }
}

/* Past 38 digits there is an error, never a wrong value. */
static void test_limits(void **state)
{
    (void)state;
    struct numeric most = parsed("99999999999999999999999999999999999999"), one = parsed("1"), n;
    struct error error;
    assert_int_equal(numeric_add(most, one, &n, &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "22003");
    assert_int_equal(numeric_multiply(most, parsed("10"), &n, &error), ERR_INPUT);
    assert_int_equal(numeric_add(most, parsed("0.1"), &n, &error), ERR_INPUT);
    assert_int_equal(numeric_parse(SLICE("123456789012345678901234567890123456789"), &n, &error),
                     ERR_INPUT);
    assert_int_equal(numeric_parse(SLICE("1e38"), &n, &error), ERR_INPUT);
    assert_int_equal(numeric_parse(SLICE("1e-39"), &n, &error), ERR_INPUT);
    assert_int_equal(numeric_round(most, 1, &n, &error), ERR_INPUT);
    assert_int_equal(numeric_round(most, -1, &n, &error), ERR_INPUT);
    assert_int_equal(
        numeric_parse(SLICE("1.50000000000000000000000000000000000000000000"), &n, &error), OK);
    assert_int_equal(numeric_compare(n, parsed("1.5")), 0);
    assert_int_equal(numeric_divide(most, parsed("3"), &n, &error), OK);
    assert_int_equal(numeric_compare(n, parsed("33333333333333333333333333333333333333")), 0);
    assert_int_equal(numeric_divide(one, most, &n, &error), OK);
    assert_int_equal(numeric_modulo(most, parsed("7"), &n, &error), OK);
    assert_int_equal(numeric_fit(parsed("999.995"), 5, 2, &n, &error), ERR_INPUT);
    assert_string_equal(
        error.hint,
        "A field with precision 5, scale 2 must round to an absolute value less than 10^3.");
    assert_true(numeric_compare(numeric_from_int(-5), numeric_from_int128(-50, 1)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_operators),
        cmocka_unit_test(test_functions), cmocka_unit_test(test_order_and_hash),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
