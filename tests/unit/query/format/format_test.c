/* Formats: every class of value in json, ndjson and csv, completeness, commands, problems. */
#include "query/format/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct plan_column columns[] = {
    {SLICE("n"), {.id = TYPE_INT8}},
    {SLICE("a \"name\""), {.id = TYPE_TEXT}},
    {SLICE("n"), {.id = TYPE_TIMESTAMPTZ}},
    {SLICE("f"), {.id = TYPE_FLOAT8}},
};

static void print(enum result_format format, const struct copy_options *copy, struct writer *out)
{
    static const int64_t ints[] = {INT64_MIN, 7};
    static const struct slice texts[] = {SLICE("x,\"\n"), SLICE("")};
    static const int64_t times[] = {1777629600500000, 0};
    static const double floats[] = {0.1, 0.0 / 0.0};
    static const uint8_t second_null[] = {1, 0};
    struct column cells[] = {
        {.type = columns[0].type, .i = ints, .validity = second_null},
        {.type = columns[1].type, .text = texts},
        {.type = columns[2].type, .i = times},
        {.type = columns[3].type, .f = floats},
    };
    struct batch batch = {.row_count = 2, .column_count = 4, .columns = cells};
    struct completeness completeness = {
        .complete_through_us = 0,
        .source_count = 1,
        .sources = {{SLICE("t"), SLICE("http"), INT64_MIN, -1}},
        .sources_total = 1,
        .late_rows = 2,
        .dead_rows = 3,
    };
    struct format_end end = {.position = 18446744073709551615ULL,
                             .completeness = &completeness,
                             .elapsed_ms = 1.5,
                             .rows_scanned = 9};
    struct format_writer writer = {.format = format,
                                   .out = out,
                                   .command = "SELECT",
                                   .columns = columns,
                                   .column_count = 4,
                                   .copy = copy};
    format_begin(&writer);
    format_rows(&writer, &batch);
    format_end(&writer, &end);
}

#define COLUMNS                                                                                    \
    "\"columns\":[{\"name\":\"n\",\"type\":\"bigint\"},{\"name\":\"a "                             \
    "\\\"name\\\"\",\"type\":\"text\"},"                                                           \
    "{\"name\":\"n\",\"type\":\"timestamp with time zone\"},{\"name\":\"f\",\"type\":\"double "    \
    "precision\"}]"
#define ROW_1 "[-9223372036854775808,\"x,\\\"\\n\",\"2026-05-01T10:00:00.5+00:00\",0.1]"
#define ROW_2 "[null,\"\",\"1970-01-01T00:00:00+00:00\",\"NaN\"]"
#define COMPLETENESS                                                                               \
    "\"completeness\":{\"position\":\"18446744073709551615\","                                     \
    "\"complete_through\":\"1970-01-01T00:00:00+00:00\",\"sources\":[{\"table\":\"t\",\"source\":" \
    "\"http\","                                                                                    \
    "\"watermark\":null,\"lag_rows\":null}],\"sources_total\":1,\"late_rows\":2,\"dead_rows\":3,"  \
    "\"recovering\":false}"

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        enum result_format format;
        const char *want;
    } cases[] = {
        {RESULT_JSON,
         "{\"command\":\"SELECT\"," COLUMNS ",\"rows\":[" ROW_1 "," ROW_2 "]," COMPLETENESS
         ",\"stats\":{\"elapsed_ms\":1.500,\"rows_scanned\":9,\"segments\":0,"
         "\"segments_skipped\":0,\"spilled_bytes\":0}}\n"},
        {RESULT_NDJSON,
         "{" COLUMNS "}\n" ROW_1 "\n" ROW_2 "\n{\"end\":true,\"rows\":2," COMPLETENESS "}\n"},
        {RESULT_CSV, "n,\"a \"\"name\"\"\",n,f\r\n"
                     "-9223372036854775808,\"x,\"\"\n\",2026-05-01 10:00:00.5+00,0.1\r\n"
                     ",\"\",1970-01-01 00:00:00+00,NaN\r\n"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct writer out;
        writer_init(&out);
        print(cases[i].format, NULL, &out);
        writer_u8(&out, 0);
        assert_string_equal((const char *)out.data, cases[i].want);
        writer_deinit(&out);
    }
}

/* What PostgreSQL 15's COPY … TO writes of the same rows. */
static void test_copy(void **state)
{
    (void)state;
    static const struct {
        struct copy_options options;
        struct slice want;
    } cases[] = {
        {{.format = COPY_TEXT, .delimiter = '\t', .null = {.data = "\\N", .size = 2}},
         SLICE("-9223372036854775808\tx,\"\\n\t2026-05-01 10:00:00.5+00\t0.1\n"
               "\\N\t\t1970-01-01 00:00:00+00\tNaN\n")},
        {{.format = COPY_TEXT,
          .header = COPY_HEADER_LINE,
          .delimiter = ',',
          .null = {.data = "nil", .size = 3}},
         SLICE("n,a \"name\",n,f\n"
               "-9223372036854775808,x\\,\"\\n,2026-05-01 10:00:00.5+00,0.1\n"
               "nil,,1970-01-01 00:00:00+00,NaN\n")},
        {{.format = COPY_CSV, .delimiter = ',', .quote = '"', .escape = '"', .null = {.data = ""}},
         SLICE("-9223372036854775808,\"x,\"\"\n\",2026-05-01 10:00:00.5+00,0.1\n"
               ",\"\",1970-01-01 00:00:00+00,NaN\n")},
        {{.format = COPY_CSV,
          .header = COPY_HEADER_LINE,
          .delimiter = ';',
          .quote = '\'',
          .escape = '\\',
          .null = {.data = "NaN", .size = 3}},
         SLICE("n;a \"name\";n;f\n"
               "-9223372036854775808;'x,\"\n';2026-05-01 10:00:00.5+00;0.1\n"
               "NaN;;1970-01-01 00:00:00+00;'NaN'\n")},
        {{.format = COPY_BINARY},
         SLICE("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
               "\0\4\0\0\0\10\200\0\0\0\0\0\0\0\0\0\0\4x,\"\n"
               "\0\0\0\10\0\2\xF3\xBD\x69\xA9\x69\x20"
               "\0\0\0\10\x3F\xB9\x99\x99\x99\x99\x99\x9A"
               "\0\4\377\377\377\377\0\0\0\0"
               "\0\0\0\10\xFF\xFC\xA2\xFE\xC4\xC8\x20\0"
               "\0\0\0\10\x7F\xF8\0\0\0\0\0\0\377\377")},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct writer out;
        writer_init(&out);
        print(RESULT_COPY, &cases[i].options, &out);
        if (!slice_equal(writer_as_slice(&out), cases[i].want))
            fail_msg("case %zu: %.*s", i, (int)out.size, (const char *)out.data);
        writer_deinit(&out);
    }
    assert_string_equal(copy_content_type(&cases[0].options),
                        "text/tab-separated-values; charset=utf-8");
    assert_string_equal(copy_content_type(&cases[2].options),
                        "text/csv; charset=utf-8; header=absent");
    assert_string_equal(copy_content_type(&cases[4].options), "application/octet-stream");
}

/* The same time again, a NULL between, another one, two columns in turn. */
static void test_times_that_come_again(void **state)
{
    (void)state;
    static const int64_t first[] = {0, 0, 0, 1000000, 0, INT64_MAX}, second[] = {0, 5, 5, 5, 0, 5};
    static const uint8_t validity[] = {1, 0, 1, 1, 1, 1};
    const struct plan_column time_columns[] = {{SLICE("a"), {.id = TYPE_TIMESTAMPTZ}},
                                               {SLICE("b"), {.id = TYPE_TIMESTAMPTZ}}};
    struct column cells[] = {{.type = time_columns[0].type, .i = first, .validity = validity},
                             {.type = time_columns[1].type, .i = second}};
    struct batch batch = {.row_count = 6, .column_count = 2, .columns = cells};
    struct writer out;
    writer_init(&out);
    struct format_writer writer = {.format = RESULT_NDJSON,
                                   .out = &out,
                                   .command = "SELECT",
                                   .columns = time_columns,
                                   .column_count = 2};
    format_rows(&writer, &batch);
    writer_u8(&out, 0);
    assert_string_equal((const char *)out.data,
                        "[\"1970-01-01T00:00:00+00:00\",\"1970-01-01T00:00:00+00:00\"]\n"
                        "[null,\"1970-01-01T00:00:00.000005+00:00\"]\n"
                        "[\"1970-01-01T00:00:00+00:00\",\"1970-01-01T00:00:00.000005+00:00\"]\n"
                        "[\"1970-01-01T00:00:01+00:00\",\"1970-01-01T00:00:00.000005+00:00\"]\n"
                        "[\"1970-01-01T00:00:00+00:00\",\"1970-01-01T00:00:00+00:00\"]\n"
                        "[\"infinity\",\"1970-01-01T00:00:00.000005+00:00\"]\n");
    writer_deinit(&out);
}

static void test_names(void **state)
{
    (void)state;
    enum result_format format;
    assert_true(format_find(SLICE("csv"), &format));
    assert_int_equal(format, RESULT_CSV);
    assert_false(format_find(SLICE("arrow"), &format));
}

static void test_commands_and_problems(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    format_command("INSERT", &(struct command_answer){.position = 12, .row_count = 3}, &out);
    format_command("SET", &(struct command_answer){0}, &out);
    struct error error;
    error_set(&error, ERR_INPUT, "42P01", "relation \"x\" does not exist");
    error.text_position = 15;
    query_error_json(&error, 0, "q1", &out);
    query_error_json(&error, 404, NULL, &out);
    writer_u8(&out, 0);
    assert_string_equal(
        (const char *)out.data,
        "{\"command\":\"INSERT\",\"position\":\"12\",\"rows\":3}\n{\"command\":\"SET\"}\n"
        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
        "\"detail\":\"relation \\\"x\\\" does not "
        "exist\",\"sqlstate\":\"42P01\",\"text_position\":15,"
        "\"hint\":null,\"query_id\":\"q1\",\"errors\":[]}\n"
        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
        "\"detail\":\"relation \\\"x\\\" does not "
        "exist\",\"sqlstate\":\"42P01\",\"text_position\":15,"
        "\"hint\":null,\"query_id\":null,\"errors\":[]}\n");
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_times_that_come_again),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_commands_and_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
