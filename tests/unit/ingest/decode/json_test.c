/* The JSON column decoder: grammar, framings, names, values, limits; and every instruction set
 * against the plain one and against the tokenizer of base, on random and on mutated input. */
#include "tests/unit/ingest/decode/decode_harness.h"

#include "ingest/decode/scan.h"
#include "storage/base/json.h"
#include "storage/base/random.h"

static const struct {
    const char *name, *columns, *input, *want;
} line_cases[] = {
    {"plain", "a bigint, t text", "{\"a\":1,\"t\":\"x\"}\n{\"t\":\"y\",\"a\":-2}\n", "1|x;-2|y;"},
    {"no final newline, CRLF, blanks", "a bigint",
     "{\"a\":1}\r\n\n  \n { \"a\" : 2 } \n\t{\"a\":3}", "1;2;3;"},
    {"missing and null", "a bigint, t text", "{}\n{\"a\":null,\"t\":null}\n{\"t\":\"\"}\n",
     "~|~;~|~;~|;"},
    {"not null", "a bigint!, t text", "{\"t\":\"x\"}\n{\"a\":null}\n{\"a\":1}\n",
     "1|~;!1:a:23502;!2:a:23502;"},
    {"bad line spoils itself only", "a bigint", "{\"a\":1}\n{\"a\":\n{\"a\":3}\nnonsense\n[1]\n",
     "1;3;!2::22P02;!4::22P02;!5::22P02;"},
    {"text after the object", "a bigint", "{\"a\":1} {\"a\":2}\n{\"a\":3}\n", "3;!1::22P02;"},
    {"newline inside an object ends the row", "a bigint", "{\"a\"\n:1}\n", "!1::22P02;!2::22P02;"},
    {"trailing comma, single quote, bare word", "a bigint",
     "{\"a\":1,}\n{'a':1}\n{\"a\":nul}\n{\"a\":tru}\n", "!1::22P02;!2::22P02;!3::22P02;!4::22P02;"},
    {"numbers of the grammar", "f float8",
     "{\"f\":-0}\n{\"f\":1.5e3}\n{\"f\":1E-2}\n{\"f\":0.1}\n{\"f\":123456789012345678901234567890}"
     "\n",
     "-0;1500;0.01;0.1;1.2345678901234568e+29;"},
    {"numbers that are not", "f float8",
     "{\"f\":01}\n{\"f\":1.}\n{\"f\":.5}\n{\"f\":+1}\n{\"f\":1e}\n{\"f\":-}\n{\"f\":0x1}\n{\"f\":"
     "NaN}\n",
     "!1::22P02;!2::22P02;!3::22P02;!4::22P02;!5::22P02;!6::22P02;!7::22P02;!8::22P02;"},
    {"float out of range", "f float8, r real", "{\"f\":1e999}\n{\"r\":1e39}\n{\"f\":1e308}\n",
     "1e+308|~;!1:f:22003;!2:r:22003;"},
    {"integers", "a smallint, b integer, c bigint",
     "{\"a\":32767,\"b\":-2147483648,\"c\":9223372036854775807}\n{\"a\":32768}\n{\"b\":2147483648}"
     "\n{\"c\":"
     "9223372036854775808}\n"
     "{\"c\":-9223372036854775808}\n{\"c\":1e30}\n{\"c\":"
     "123456789012345678901234567890123456789012345}\n",
     "32767|-2147483648|9223372036854775807;~|~|-9223372036854775808;!2:a:22003;!3:b:22003;!4:c:"
     "22003;!6:c:22003;!7:"
     "c:22003;"},
    {"integral numbers", "a integer",
     "{\"a\":1.0}\n{\"a\":1e3}\n{\"a\":1.50}\n{\"a\":120e-1}\n{\"a\":0e99}\n{\"a\":1."
     "0000000000000000000000}\n{\"a\":"
     "true}\n{\"a\":{}}\n",
     "1;1000;12;0;1;!3:a:22P02;!7:a:22P02;!8:a:22P02;"},
    {"text as values", "a integer, f float8, b boolean, n numeric(10;2)",
     "{\"a\":\"12\",\"f\":\"1.5\",\"b\":\"yes\",\"n\":\"1.005\"}\n{\"a\":\"1.0\"}\n{\"b\":"
     "\"maybe\"}\n{\"f\":\"x\"}"
     "\n",
     "12|1.5|t|1.01;!2:a:22P02;!3:b:22P02;!4:f:22P02;"},
    {"numeric", "n numeric(10;2)",
     "{\"n\":1}\n{\"n\":-1.239}\n{\"n\":1e2}\n{\"n\":99999999.99}\n{\"n\":100000000}\n",
     "1.00;-1.24;100.00;99999999.99;!5:n:22003;"},
    {"scalars for text", "t text",
     "{\"t\":1.50}\n{\"t\":true}\n{\"t\":{\"a\": [1, 2]}}\n{\"t\":[ ]}\n",
     "1.50;true;{\"a\": [1, 2]};[ ];"},
    {"jsonb keeps its source", "j jsonb",
     "{\"j\":{\"a\": 1}}\n{\"j\":\"x\\n\"}\n{\"j\":12}\n{\"j\":false}\n{\"j\":null}\n",
     "{\"a\": 1};\"x\\n\";12;false;~;"},
    {"arrays", "t text[], i bigint[]",
     "{\"t\":[\"a\",null,\"b "
     "c\",1,true],\"i\":[1,2.0,null,\"3\"]}\n{\"t\":\"{x,y}\"}\n{\"i\":[1.5]}\n{\"t\":[[1]]}\n{"
     "\"i\":7}\n",
     "{a,NULL,\"b c\",1,true}|{1,2,NULL,3};{x,y}|~;!3:i:22P02;!4:t:22P02;!5:i:22P02;"},
    {"epoch by size", "ts timestamptz",
     "{\"ts\":1714500000}\n{\"ts\":1714500000.25}\n{\"ts\":1714500000123}\n{\"ts\":"
     "1714500000123456}\n{\"ts\":"
     "1714500000123456789}\n{\"ts\":\"1714500000\"}\n{\"ts\":0}\n{\"ts\":-1}\n",
     "2024-04-30 18:00:00+00;2024-04-30 18:00:00.25+00;2024-04-30 18:00:00.123+00;2024-04-30 "
     "18:00:00.123456+00;"
     "2024-04-30 18:00:00.123456+00;2024-04-30 18:00:00+00;1970-01-01 00:00:00+00;1969-12-31 "
     "23:59:59+00;"},
    {"times as text", "ts timestamptz, d date",
     "{\"ts\":\"2026-05-01T10:00:00Z\"}\n{\"ts\":\"2026-05-01 "
     "10:00:00.5+02\"}\n{\"ts\":\"2026-05-01T10:00:00\",\"d\":\"2026-05-01\"}\n{\"ts\":\"?\"}\n{"
     "\"ts\":true}\n{\"d\":"
     "5}\n",
     "2026-05-01 10:00:00+00|~;2026-05-01 08:00:00.5+00|~;2026-05-01 "
     "10:00:00+00|2026-05-01;!4:ts:22007;!5:ts:22007;!6:d:22P02;"},
    {"future", "ts timestamptz, a bigint",
     "{\"ts\":\"2099-01-01T00:00:00Z\",\"a\":1}\n{\"ts\":\"2026-05-01T00:00:00Z\"}\n",
     "2026-05-01 00:00:00+00|~;!1:ts:22008;"},
    {"uuid and varchar", "u uuid, v varchar(3)",
     "{\"u\":\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\",\"v\":\"abc\"}\n{\"v\":"
     "\"\xC3\xA4\xC3\xB6\xC3\xBC\"}\n{\"v\":"
     "\"abcd\"}\n{\"u\":\"x\"}\n",
     "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|abc;~|\xC3\xA4\xC3\xB6\xC3\xBC;!3:v:22001;!4:u:22P02;"},
    {"nearly uuids", "u uuid",
     "{\"u\":\"01234567-89ab-cdef-0123-456789abcdef\"}\n{\"u\":\"g1234567-89ab-cdef-0123-"
     "456789abcdef\"}\n"
     "{\"u\":\"01234567-89ab-cdef-0123-456789abcde/"
     "\"}\n{\"u\":\"01234567-89ab-cdef-0123-456789abcde:\"}\n"
     "{\"u\":\"01234567-89ab-cdef-0123-456789abcd\xC3\xA4\"}\n{\"u\":\"01234567-89ab-cdef-01234-"
     "56789abcdef\"}\n"
     "{\"u\":\"01234567-89ab-cdef-0123-4567@9abcdef\"}\n",
     "01234567-89ab-cdef-0123-456789abcdef;!2:u:22P02;!3:u:22P02;!4:u:22P02;!5:u:22P02;!6:u:22P02;!"
     "7:u:22P02;"},
    {"escapes", "t text",
     "{\"t\":\"a\\\"\\\\\\/"
     "\\b\\f\\n\\r\\t\\u0041\\u00e4\\ud83d\\ude00\"}\n{\"t\":\"\\x\"}\n{\"t\":\"\\u12g4\"}\n{\"t\":"
     "\"\\u0000\"}\n{"
     "\"t\":\"\\ud83d\"}\n",
     "a\"\\/\b\f\n\r\tA\xC3\xA4\xF0\x9F\x98\x80;!2::22P02;!3::22P02;!4:t:22P05;!5:t:22P05;"},
    {"control character, bad UTF-8", "t text",
     "{\"t\":\"a\tb\"}\n{\"t\":\"\xC3\"}\n{\"t\":\"\xED\xA0\x80\"}\n{\"t\":\"\xC3\xA4\"}\n{\"u\":"
     "\"\xFF\"}\n",
     "\xC3\xA4;!1::22P02;!2::22021;!3::22021;!5::22021;"},
    {"names ignore case unless ambiguous", "UserId bigint, a text, A text",
     "{\"userid\":1}\n{\"USERID\":2,\"UserId\":3}\n{\"UserId\":4,\"userid\":5}\n{\"A\":\"x\",\"a\":"
     "\"y\"}\n",
     "1|~|~;3|~|~;4|~|~;~|y|x;"},
    {"nested by dots, dotted key first", "user.id bigint, user.geo.city text, user jsonb",
     "{\"user\":{\"id\":7,\"geo\":{\"city\":\"Bern\",\"zip\":1}}}\n{\"user\":{\"id\":7},\"user."
     "id\":8}\n{\"user\":3}"
     "\n",
     "7|Bern|{\"id\":7,\"geo\":{\"city\":\"Bern\",\"zip\":1}};8|~|{\"id\":7};~|~|3;?user.geo.zip="
     "1;"},
    {"unknown fields", "a bigint",
     "{\"x\":1,\"a\":1,\"y\":{\"z\":[1,{\"q\":2}]}}\n{\"a\":2,\"x\":\"s\"}\n", "1;2;?x=2;?y=1;"},
    {"duplicate keys: the last wins", "a bigint, t text",
     "{\"a\":1,\"a\":2}\n{\"a\":\"bad\",\"a\":3}\n{\"a\":4,\"a\":\"bad\"}\n{\"t\":null,\"t\":\"x\"}"
     "\n",
     "2|~;3|~;~|x;!3:a:22P02;"},
    {"key with escapes", "t text", "{\"\\u0074\":\"x\"}\n{\"t\":\"y\"}\n{\"\\u0074\":\"z\"}\n",
     "x;y;z;"},
    {"empty body", "a bigint", "", ""},
    {"only blanks", "a bigint", " \r\n\n\t\n", ""},
    {"byte order mark", "a bigint", "\xEF\xBB\xBF{\"a\":1}\n", "1;"},
    {"unterminated", "t text", "{\"t\":\"abc", "!1::22P02;"},
    {"lone brace", "t text", "{", "!1::22P02;"},
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(line_cases); i++) {
        struct harness h;
        harness_init(&h, harness_schema(line_cases[i].columns));
        harness_check(&h, INGEST_NDJSON, slice_from_cstr(line_cases[i].input), line_cases[i].want);
        harness_deinit(&h);
    }
}

static const struct {
    const char *input, *want;
} document_cases[] = {
    {"{\"a\":1}", "1;"},
    {"{\n  \"a\" : 1\n}\n", "1;"},
    {"[{\"a\":1},{\"a\":2}]", "1;2;"},
    {"{\"a\":1}{\"a\":2}\n{\"a\":3}", "1;2;3;"},
    {"[]", ""},
    {" [ ] ", ""},
    {"", ""},
    {"[{\"a\":1},7,{\"a\":\"x\"},null]", "1;!2::22P02;!3:a:22P02;!4::22P02;"},
    {"[{\"a\":1},]", "400 22P02"},
    {"[{\"a\":1}", "400 22P02"},
    {"[{\"a\":1} {\"a\":2}]", "400 22P02"},
    {"[{\"a\":1}]]", "400 22P02"},
    {"7", "400 22P02"},
    {"\"x\"", "400 22P02"},
    {"{\"a\":1", "400 22P02"},
    {"[{\"a\":\"\xFF\"}]", "400 22021"},
    {"[{\"b\":\"\\u0000\"}]", "~;?b=1;"},
};

static void test_documents(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, harness_schema("a bigint"));
    for (size_t i = 0; i < array_count(document_cases); i++)
        harness_check(&h, INGEST_JSON, slice_from_cstr(document_cases[i].input),
                      document_cases[i].want);
    harness_deinit(&h);
}

static char *repeat(const char *head, char c, size_t count, const char *tail)
{
    char *text = malloc(strlen(head) + count + strlen(tail) + 1);
    assert_non_null(text);
    memcpy(text, head, strlen(head));
    memset(text + strlen(head), c, count);
    memcpy(text + strlen(head) + count, tail, strlen(tail) + 1);
    return text;
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        char c;
        size_t count;
        const char *tail, *want;
    } cases[] = {
        {"{\"x\":", '[', 10000, "", "!1::54001;"},
        {"{\"x\":", '[', 64, "1]}", "!1::54001;"},
        {"{\"f\":", '1', 400, "}", "!1:f:22003;"},
        {"{\"f\":", '1', 401, "}", "!1::22003;"},
        {"{\"f\":", '1', 10 << 20, "}", "!1::22003;"},
        {"{\"t\":\"", 'x', 1 << 20, "\"}", NULL},
        {"{\"t\":\"", 'x', (1 << 20) + 1, "\"}", "!1:t:54000;"},
        {"{\"x\":\"", 'x', 5 << 20, "\"}", "!1::54000;"},
    };
    struct harness h;
    harness_init(&h, harness_schema("f float8, t text"));
    for (size_t i = 0; i < array_count(cases); i++) {
        char *text = repeat(cases[i].head, cases[i].c, cases[i].count, cases[i].tail);
        if (cases[i].want != NULL) {
            assert_int_equal(
                harness_decode(&h, INGEST_NDJSON, slice_from_cstr(text), DECODE_ISA_BEST), OK);
            h.rows.unknown_count = 0;
            struct writer out;
            writer_init(&out);
            harness_print(&h, &out);
            assert_true(slice_equal(writer_as_slice(&out), slice_from_cstr(cases[i].want)));
            writer_deinit(&out);
        } else {
            assert_int_equal(
                harness_decode(&h, INGEST_NDJSON, slice_from_cstr(text), DECODE_ISA_BEST), OK);
            assert_int_equal(h.rows.count, 1);
        }
        free(text);
    }
    harness_deinit(&h);
}

static void test_options(void **state)
{
    (void)state;
    struct schema *schema = harness_schema("a bigint, gw bigint, rest jsonb, whole text");
    schema->options.map = SLICE("{\"gw\":\"/gateway/i~1d\"}");
    schema->options.rest_column = 2;
    schema->options.whole_column = 3;
    struct harness h;
    harness_init(&h, schema);
    harness_check(&h, INGEST_NDJSON,
                  SLICE("{\"a\":1,\"gateway\":{\"i/d\":5,\"n\":\"x\"},\"q\":[1, "
                        "2]}\n{\"gw\":6,\"gateway\":{\"i/d\":5}}\n"),
                  "1|5|{\"gateway.n\":\"x\",\"q\":[1, "
                  "2]}|{\"a\":1,\"gateway\":{\"i/d\":5,\"n\":\"x\"},\"q\":[1, 2]};"
                  "~|6|~|{\"gw\":6,\"gateway\":{\"i/d\":5}};?gateway.n=1;?q=1;");
    harness_deinit(&h);
    schema = harness_schema("a bigint");
    schema->options.unknown = UNKNOWN_REJECT;
    harness_init(&h, schema);
    harness_check(&h, INGEST_NDJSON, SLICE("{\"a\":1}\n{\"a\":1,\"b\":2}\n"), "1;!2::42703;?b=1;");
    harness_deinit(&h);
}

/* Many rows: dictionaries that hold, that give up, sparse columns, growth. */
static void test_many_rows(void **state)
{
    (void)state;
    struct writer body;
    writer_init(&body);
    enum { ROWS = 5000 };
    for (int i = 0; i < ROWS; i++) {
        writer_printf(&body, "{\"c\":\"c%d\",\"u\":\"u%d\"", i % 7, i);
        if (i >= 1000 && i % 3 == 0)
            writer_printf(&body, ",\"late\":%d", i);
        writer_cstr(&body, i % 100 == 50 ? ",\"c\":\n" : "}\n");
    }
    struct harness h;
    harness_init(&h, harness_schema("c text, u text, late bigint"));
    for (int round = 0; round < 3; round++) {
        assert_int_equal(harness_decode(&h, INGEST_NDJSON, writer_as_slice(&body), DECODE_ISA_BEST),
                         OK);
        assert_int_equal(h.rows.received, ROWS);
        assert_int_equal(h.rows.rejection_count, ROWS / 100);
        assert_int_equal(h.batch.row_count, ROWS - ROWS / 100);
        assert_int_equal(h.batch.columns[0].form, COLUMN_DICTIONARY);
        assert_int_equal(h.batch.columns[0].dictionary_count, 7);
        assert_int_equal(h.batch.columns[1].form, COLUMN_FLAT);
        size_t row = 0;
        for (int i = 0; i < ROWS; i++) {
            if (i % 100 == 50)
                continue;
            char want[16];
            snprintf(want, sizeof(want), "u%d", i);
            assert_true(slice_equal(column_text(&h.batch.columns[1], row), slice_from_cstr(want)));
            snprintf(want, sizeof(want), "c%d", i % 7);
            assert_true(slice_equal(column_text(&h.batch.columns[0], row), slice_from_cstr(want)));
            bool has_late = i >= 1000 && i % 3 == 0;
            assert_int_equal(column_is_null(&h.batch.columns[2], row), !has_late);
            if (has_late)
                assert_int_equal(h.batch.columns[2].i[row], i);
            row++;
        }
    }
    writer_deinit(&body);
    harness_deinit(&h);
}

/* --- against the tokenizer of base --- */

static void random_value(struct random_stream *random, struct writer *out, int depth);

static void random_string(struct random_stream *random, struct writer *out)
{
    static const char *const pieces[] = {"a",
                                         "bc",
                                         " ",
                                         "\\n",
                                         "\\u00e4",
                                         "\\\"",
                                         "\xC3\xA4",
                                         "\xF0\x9F\x98\x80",
                                         "0123456789abcdef",
                                         "/",
                                         "the quick brown fox jumps over the lazy dog",
                                         "{",
                                         "]",
                                         ",",
                                         "\\\\"};
    writer_u8(out, '"');
    for (uint64_t n = random_below(random, 6); n > 0; n--)
        writer_cstr(out, pieces[random_below(random, array_count(pieces))]);
    writer_u8(out, '"');
}

static void random_object(struct random_stream *random, struct writer *out, int depth)
{
    static const char *const keys[] = {"a", "f", "t", "b", "x", "ts", "user", "j", "id", "T"};
    writer_u8(out, '{');
    for (uint64_t n = random_below(random, 7), i = 0; i < n; i++) {
        writer_printf(out, "%s\"%s\"%s:", i == 0 ? "" : ",",
                      keys[random_below(random, array_count(keys))],
                      random_below(random, 9) == 0 ? " " : "");
        random_value(random, out, depth + 1);
    }
    writer_u8(out, '}');
}

static void random_value(struct random_stream *random, struct writer *out, int depth)
{
    static const char *const words[] = {
        "true", "false", "null", "0", "-1", "1.5e3", "12345678901234567890", "1714500000"};
    switch (random_below(random, depth > 4 ? 2 : 4)) {
    case 0:
        writer_cstr(out, words[random_below(random, array_count(words))]);
        break;
    case 1:
        random_string(random, out);
        break;
    case 2:
        random_object(random, out, depth);
        break;
    default:
        writer_u8(out, '[');
        for (uint64_t n = random_below(random, 4), i = 0; i < n; i++) {
            if (i > 0)
                writer_u8(out, ',');
            random_value(random, out, depth + 1);
        }
        writer_u8(out, ']');
    }
}

/* One value and nothing else, by base's tokenizer; *is_object. */
static bool is_json(struct slice text, bool *is_object)
{
    struct json_parser parser;
    json_parser_init(&parser, text, 64);
    enum json_token token = json_next(&parser);
    *is_object = token == JSON_OBJECT_BEGIN;
    if (token == JSON_END || token == JSON_ERROR)
        return false;
    if ((token == JSON_OBJECT_BEGIN || token == JSON_ARRAY_BEGIN) && !json_skip(&parser, token))
        return false;
    return json_next(&parser) == JSON_END;
}

static void print_into(struct harness *h, struct slice body, enum decode_isa isa,
                       struct writer *out)
{
    assert_int_equal(harness_decode(h, INGEST_NDJSON, body, isa), OK);
    writer_reset(out);
    harness_print(h, out);
}

static void test_against_base(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 7);
    struct harness h;
    harness_init(
        &h, harness_schema(
                "ts timestamptz, a bigint, f float8, t text, b boolean, user.id bigint, j jsonb"));
    struct writer body, plain, other;
    writer_init(&body);
    writer_init(&plain);
    writer_init(&other);
    size_t good = 0, bad = 0;
    for (int round = 0; round < 20000; round++) {
        writer_reset(&body);
        random_object(&random, &body, 0);
        for (uint64_t n = random_below(&random, 3); n > 0 && round % 2 == 0; n--)
            body.data[random_below(&random, body.size)] =
                (uint8_t) "\"\\{}[]:,0e.\xC3\x80\x1f x"[random_below(&random, 16)];
        if (slice_trim(writer_as_slice(&body)).size == 0)
            continue; /* a blank line is no row */
        /* Exact memory, so that a read past the end shows under ASan. */
        char *exact = malloc(body.size);
        memcpy(exact, body.data, body.size);
        struct slice text = slice_of(exact, body.size);
        print_into(&h, text, DECODE_ISA_PLAIN, &plain);
        bool has_lexical_error = false, is_object;
        for (size_t i = 0; i < h.rows.rejection_count; i++)
            has_lexical_error |= h.rows.rejections[i].column.size == 0;
        bool is_valid = is_json(text, &is_object) && is_object;
        if (is_valid == has_lexical_error)
            fail_msg("base says %d, decoder says %d: %.*s", is_valid, !has_lexical_error,
                     SLICE_ARGS(text));
        good += is_valid;
        bad += !is_valid;
        for (enum decode_isa isa = DECODE_ISA_SSE2; isa <= DECODE_ISA_AVX512; isa++) {
            if (scan_text_of(isa) == NULL)
                continue;
            print_into(&h, text, isa, &other);
            assert_true(slice_equal(writer_as_slice(&plain), writer_as_slice(&other)));
        }
        free(exact);
    }
    assert_true(good > 5000);
    assert_true(bad > 5000);
    writer_deinit(&body);
    writer_deinit(&plain);
    writer_deinit(&other);
    harness_deinit(&h);
}

/* Every prefix of a body ends cleanly, in exact memory. */
static void test_every_cut(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":-12.5e+1,\"t\":\"x\\u00e4\xC3\xA4yzabcdefghijklmnopqrstuvwxyz0123456789\","
        "\"user\":{\"id\":[true,null]}}";
    struct harness h;
    harness_init(&h, harness_schema("a float8, t text, user.id bigint"));
    for (size_t size = 1; size < sizeof(text) - 1; size++) {
        char *exact = malloc(size);
        memcpy(exact, text, size);
        assert_int_equal(harness_decode(&h, INGEST_NDJSON, slice_of(exact, size), DECODE_ISA_BEST),
                         OK);
        assert_int_equal(h.rows.rejection_count, 1);
        assert_int_equal(harness_decode(&h, INGEST_JSON, slice_of(exact, size), DECODE_ISA_BEST),
                         ERR_INPUT);
        free(exact);
    }
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_documents),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_options),
        cmocka_unit_test(test_many_rows), cmocka_unit_test(test_against_base),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
