/* Values in PostgreSQL's binary forms. The bytes are what PostgreSQL 15's send functions gave. */
#include "storage/base/random.h"
#include "storage/column/binary_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/storage/cases.h"

static const struct {
    const char *type, *text, *hex;
} golden[] = {
    /* clang-format off */
    {"boolean", "t", "01"},
    {"boolean", "f", "00"},
    {"smallint", "-32768", "8000"},
    {"smallint", "32767", "7fff"},
    {"smallint", "0", "0000"},
    {"integer", "-2147483648", "80000000"},
    {"integer", "7", "00000007"},
    {"bigint", "-2", "fffffffffffffffe"},
    {"bigint", "9223372036854775807", "7fffffffffffffff"},
    {"real", "0.1", "3dcccccd"},
    {"real", "NaN", "7fc00000"},
    {"real", "-0", "80000000"},
    {"real", "Infinity", "7f800000"},
    {"double precision", "0.1", "3fb999999999999a"},
    {"double precision", "NaN", "7ff8000000000000"},
    {"double precision", "-Infinity", "fff0000000000000"},
    {"double precision", "1e-300", "01a56e1fc2f8f359"},
    {"double precision", "-0", "8000000000000000"},
    {"numeric", "12345.6789", "0003000100000004000109291a85"},
    {"numeric", "-0.00012", "0002ffff40000005000107d0"},
    {"numeric", "0", "0000000000000000"},
    {"numeric", "10000", "00010001000000000001"},
    {"numeric", "NaN", "00000000c0000000"},
    {"numeric", "Infinity", "00000000d0000020"},
    {"numeric", "-Infinity", "00000000f0000020"},
    {"numeric", "0.00", "0000000000000002"},
    {"numeric", "1", "00010000000000000001"},
    {"numeric", "-1", "00010000400000000001"},
    {"numeric", "99999999999999999999999999999999999999", "000a0009000000000063270f270f270f270f270f270f270f270f270f"},
    {"numeric", "0.00000000000000000000000000000000000001", "0001fff6000000260064"},
    {"numeric", "-12345678901234567890.123456789012345678", "000a00044000001204d2162e23340d801ed204d2162e23340d801e78"},
    {"numeric", "100000000", "00010002000000000001"},
    {"numeric", "0.5", "0001ffff000000011388"},
    {"numeric", "1.50", "000200000000000200011388"},
    {"numeric", "1000000.0001", "0003000100000004006400000001"},
    {"numeric", "9999", "0001000000000000270f"},
    {"numeric", "10000.00", "00010001000000020001"},
    {"numeric", "0.0100", "0001ffff000000040064"},
    {"numeric", "18446744073709551616", "000500040000000007341a5802e103bb0650"},
    {"numeric", "123.4", "0002000000000001007b0fa0"},
    {"numeric", "123.45", "0002000000000002007b1194"},
    {"numeric", "123.456", "0002000000000003007b11d0"},
    {"text", "", ""},
    {"text", "abc", "616263"},
    {"text", "äö", "c3a4c3b6"},
    {"character varying", "x", "78"},
    {"timestamp with time zone", "2024-01-02 03:04:05.678901+00", "0002b0ec85204f35"},
    {"timestamp with time zone", "2000-01-01 00:00:00+00", "0000000000000000"},
    {"timestamp with time zone", "1969-12-31 23:59:59.999999+00", "fffca2fec4c81fff"},
    {"timestamp with time zone", "infinity", "7fffffffffffffff"},
    {"timestamp with time zone", "-infinity", "8000000000000000"},
    {"timestamp with time zone", "4714-11-24 00:00:00+00 BC", "fd0f7cc1411fa000"},
    {"timestamp without time zone", "2024-01-02 03:04:05.678901", "0002b0ec85204f35"},
    {"timestamp without time zone", "infinity", "7fffffffffffffff"},
    {"date", "2024-01-02", "0000223f"},
    {"date", "1999-12-31", "ffffffff"},
    {"date", "infinity", "7fffffff"},
    {"date", "-infinity", "80000000"},
    {"interval", "1 mon 2 days 00:00:03", "00000000002dc6c00000000200000001"},
    {"interval", "-1 days", "0000000000000000ffffffff00000000"},
    {"interval", "00:00:00", "00000000000000000000000000000000"},
    {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {"bytea", "\\x00ff", "00ff"},
    {"bytea", "\\x", ""},
    {"json", "{\"a\": 1}", "7b2261223a20317d"},
    {"jsonb", "{\"a\": 1}", "017b2261223a20317d"},
    {"text[]", "{}", "000000000000000000000019"},
    {"text[]", "{a,NULL}", "00000001000000010000001900000002000000010000000161ffffffff"},
    {"text[]", "{a,\"b c\",\"\"}", "000000010000000000000019000000030000000100000001610000000362206300000000"},
    {"bigint[]", "{1,-2,NULL}", "000000010000000100000014000000030000000100000008000000000000000100000008fffffffffffffffeffffffff"},
    {"bigint[]", "{}", "000000000000000000000014"},
    /* clang-format on */
};

/* What is refused, and forms that only others write. */
static const struct {
    uint32_t oid;
    const char *hex, *want;
} received[] = {
    {OID_BOOL, "", "!22P03"},
    {OID_BOOL, "0100", "!22P03"},
    {OID_BOOL, "02", "t"},
    {OID_INT4, "0000", "!22P03"},
    {OID_INT8, "0000000000000000ff", "!22P03"},
    {OID_OID, "ffffffff", "4294967295"},
    {OID_REGCLASS, "00004000", "16384"},
    {OID_NAME, "6162", "ab"},
    {OID_BPCHAR, "6120", "a "},
    {OID_TEXT, "ff", "!22021"},
    {OID_TEXT, "6100", "!22021"},
    {OID_UUID, "00", "!22P03"},
    {OID_DATE, "7ffffffe", "!22008"},
    {OID_TIMESTAMPTZ, "7ffffffffffffffe", "!22008"},
    {OID_TIMESTAMPTZ, "8000000000000001", "!22008"},
    {OID_INTERVAL, "00", "!22P03"},
    {OID_JSONB, "", "!22P03"},
    {OID_JSONB, "027b7d", "!22P03"},
    {OID_JSONB, "017b", "!22P02"},
    {OID_JSON, "7b7d", "{}"},
    {1083, "0000000000000000", "!0A000"},
    {OID_NUMERIC, "", "!22P03"},
    {OID_NUMERIC, "000100000000000000", "!22P03"},
    {OID_NUMERIC, "00010000000000002710", "!22P03"},     /* a group of 10000 */
    {OID_NUMERIC, "00010000123400000001", "!22P03"},     /* a sign there is not */
    {OID_NUMERIC, "0001000000000002000107d0", "!22P03"}, /* bytes behind the last group */
    {OID_NUMERIC, "0002000000000002000107d0", "1.20"},   /* digits past the scale are cut */
    {OID_NUMERIC, "00020000000000010001270f", "1.9"},
    {OID_NUMERIC, "00017fff000000000001", "!22003"},
    {OID_NUMERIC, "00018000000000000001", "0"},
    {OID_NUMERIC, "0000000000003fff", "!22003"},
    {OID_NUMERIC, "0000000000000003", "0.000"},
    {OID_NUMERIC, "00030001000000000000000a0001", "10"}, /* leading zeros, cut fraction */
    {1005, "000000010000000000000015000000010000000100000002fffe", "{-2}"},
    {1007, "00000001000000000000001700000001000000010000000400000005", "{5}"},
    {1231,
     "0000000100000000000006a40000000100000001"
     "0000000a00010000000000010001",
     "{1.0}"},
    {1000,
     "000000010000000000000010000000010000000100000001"
     "01",
     "{t}"},
    {OID_TEXT_ARRAY, "0000000000000000", "!22P03"},
    {OID_TEXT_ARRAY, "00000002000000000000001900000001000000010000000100000001", "!0A000"},
    {OID_TEXT_ARRAY, "0000000100000000000000197fffffff00000001", "!22P03"},
    {OID_TEXT_ARRAY, "00000001000000000000001900000001000000017fffffff", "!22P03"},
    {OID_TEXT_ARRAY, "0000000100000000000003f10000000100000001ffffffff", "!22P03"},
    {OID_INT8_ARRAY,
     "000000010000000000000019000000010000000100000001"
     "78",
     "!22P02"},
};

static struct slice unhex(const char *hex, struct arena *arena)
{
    size_t size = strlen(hex) / 2;
    uint8_t *bytes = arena_alloc(arena, size + 1);
    for (size_t index = 0; index < size; index++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * index, "%2x", &byte), 1);
        bytes[index] = (uint8_t)byte;
    }
    return slice_of(bytes, size);
}

static void test_golden(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out, hex;
    arena_init(&arena);
    writer_init(&out);
    writer_init(&hex);
    for (size_t index = 0; index < array_count(golden); index++) {
        struct value value;
        struct error error;
        enum type_id id;
        assert_true(type_find(slice_from_cstr(golden[index].type), &id));
        assert_int_equal(type_parse(type_of(id), slice_from_cstr(golden[index].text), NULL, &arena,
                                    &value, &error),
                         OK);
        value_send(&value, &out);
        for (size_t i = 0; i < out.size; i++)
            writer_printf(&hex, "%02x", out.data[i]);
        check(golden[index].type, golden[index].text, OK, NULL, &hex, golden[index].hex);
        writer_reset(&out);
        enum err err =
            type_receive(type_of(id), unhex(golden[index].hex, &arena), &arena, &value, &error);
        if (err == OK)
            value_print(&value, NULL, &out);
        check(golden[index].type, golden[index].hex, err, &error, &out, golden[index].text);
    }
    writer_deinit(&hex);
    writer_deinit(&out);
    arena_deinit(&arena);
    assert_int_equal(wrong_count, 0);
}

static void test_received(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out;
    arena_init(&arena);
    writer_init(&out);
    for (size_t index = 0; index < array_count(received); index++) {
        struct value value;
        struct error error;
        struct type type;
        enum err err = oid_receive(received[index].oid, unhex(received[index].hex, &arena), &arena,
                                   &value, &error);
        if (err == OK) {
            value_print(&value, NULL, &out);
            assert_true(type_of_oid(received[index].oid, &type));
            assert_int_equal(value.type.id, type.id);
        }
        check("received", received[index].hex, err, &error, &out, received[index].want);
    }
    writer_deinit(&out);
    arena_deinit(&arena);
    assert_int_equal(wrong_count, 0);
}

static struct slice random_bytes_of(struct random_stream *random, struct arena *arena, bool is_text)
{
    size_t size = random_below(random, 20);
    char *bytes = arena_alloc(arena, size + 1);
    for (size_t index = 0; index < size; index++)
        bytes[index] = (char)(is_text ? ' ' + random_below(random, 95) : random_below(random, 256));
    return slice_of(bytes, size);
}

static struct value random_value(enum type_id id, struct random_stream *random,
                                 struct arena *arena);

static void random_array(struct random_stream *random, struct arena *arena, struct value *value)
{
    struct value elements[5];
    size_t count = random_below(random, 6);
    for (size_t index = 0; index < count; index++) {
        bool is_null = random_below(random, 4) == 0;
        elements[index] = random_value(type_element((enum type_id)value->type.id), random, arena);
        elements[index].is_null = is_null;
    }
    value->text = array_build((enum type_id)value->type.id, elements, count, arena);
}

static struct value random_value(enum type_id id, struct random_stream *random, struct arena *arena)
{
    struct value value = {.type = type_of(id)};
    if (type_is_array(id)) {
        random_array(random, arena, &value);
        return value;
    }
    unsigned shift = (unsigned)random_below(random, 64);
    int64_t bits = (int64_t)random_next(random) >> shift;
    switch (id) {
    case TYPE_BOOL:
        value.b = bits & 1;
        break;
    case TYPE_INT2:
        value.i = (int16_t)bits;
        break;
    case TYPE_INT4:
        value.i = (int32_t)bits;
        break;
    case TYPE_FLOAT4:
        value.f = (double)((float)bits / 1000);
        break;
    case TYPE_FLOAT8:
        value.f = (double)bits / 1000;
        break;
    case TYPE_NUMERIC:
        value.n = numeric_from_int128(
            (__int128)bits * (random_below(random, 2) == 0 ? 1 : (int64_t)random_next(random)) %
                numeric_power10(NUMERIC_DIGITS_MAX),
            (int32_t)random_below(random, NUMERIC_DIGITS_MAX + 1));
        break;
    case TYPE_DATE:
        value.i = bits % 100000000;
        value.i = value.i < -2000000 ? -value.i : value.i;
        break;
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
        value.i = bits % TIME_MAX;
        value.i = value.i < TIME_MIN ? -value.i : value.i;
        break;
    case TYPE_INTERVAL:
        value.interval = (struct interval){
            .months = (int32_t)bits, .days = (int32_t)(bits >> 3), .microseconds = bits};
        break;
    case TYPE_UUID:
        value.text = arena_copy(arena, SLICE("0123456789abcdef"));
        break;
    case TYPE_JSON:
    case TYPE_JSONB:
        value.text = slice_from_cstr(arena_printf(arena, "[%lld]", (long long)bits));
        break;
    case TYPE_INT8:
        value.i = bits;
        break;
    default:
        value.text = random_bytes_of(random, arena, id != TYPE_BYTEA);
        break;
    }
    return value;
}

/* What is sent is received: the same value, and the same bytes when it is sent again. */
static void test_round_trip(void **state)
{
    (void)state;
    struct random_stream random;
    struct arena arena;
    struct writer first, second;
    uint64_t seed = 20260501;
    random_stream_init(&random, seed);
    arena_init(&arena);
    writer_init(&first);
    writer_init(&second);
    for (size_t round = 0; round < 40000; round++) {
        enum type_id id = (enum type_id)(1 + random_below(&random, TYPE_COUNT - 1));
        struct value value = random_value(id, &random, &arena), back;
        struct error error = {0};
        writer_reset(&first);
        writer_reset(&second);
        value_send(&value, &first);
        enum err err = type_receive(type_of(id), writer_as_slice(&first), &arena, &back, &error);
        if (err != OK)
            fail_msg("seed %llu round %zu: %s: %s", (unsigned long long)seed, round, type_name(id),
                     error.text);
        value_send(&back, &second);
        assert_int_equal(value_compare(&value, &back), 0);
        assert_true(slice_equal(writer_as_slice(&first), writer_as_slice(&second)));
        arena_reset(&arena);
    }
    writer_deinit(&first);
    writer_deinit(&second);
    arena_deinit(&arena);
}

static void test_fields(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out;
    arena_init(&arena);
    writer_init(&out);
    struct value value = {.type = type_of(TYPE_INT4), .i = 7};
    struct column column = column_from_value(&value, &arena);
    column_send(&column, 5, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("\0\0\0\4\0\0\0\7")));
    writer_reset(&out);
    column_send_text(&column, 0, NULL, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("\0\0\0\1"
                                                         "7")));
    writer_reset(&out);
    value.is_null = true;
    column = column_from_value(&value, &arena);
    column_send(&column, 0, &out);
    column_send_text(&column, 0, NULL, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("\xff\xff\xff\xff\xff\xff\xff\xff")));
    writer_deinit(&out);
    arena_deinit(&arena);
}

static void test_modifiers(void **state)
{
    (void)state;
    struct arena arena;
    struct value value;
    struct error error;
    arena_init(&arena);
    struct type varchar = {.id = TYPE_VARCHAR, .length = 3};
    struct type numeric = {.id = TYPE_NUMERIC, .precision = 4, .scale = 1};
    assert_int_equal(type_receive(varchar, SLICE("abc "), &arena, &value, &error), OK);
    assert_true(slice_equal(value.text, SLICE("abc")));
    assert_int_equal(type_receive(varchar, SLICE("abcd"), &arena, &value, &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "22001");
    struct slice long_one = unhex("0003000100000004000109291a85", &arena);
    assert_int_equal(type_receive(numeric, long_one, &arena, &value, &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "22003");
    numeric.precision = 6;
    assert_int_equal(type_receive(numeric, long_one, &arena, &value, &error), OK);
    assert_int_equal(value.n.scale, 1);
    assert_true(value.n.digits == 123457);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_received),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_modifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
