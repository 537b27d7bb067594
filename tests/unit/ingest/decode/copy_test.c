/* COPY's three formats to rows, and where their whole rows end. */
#include "tests/unit/ingest/decode/decode_harness.h"

#include "storage/column/binary_form.h"

static const struct copy_options text_options = {
    .format = COPY_TEXT, .delimiter = '\t', .null = {.data = "\\N", .size = 2}};
static const struct copy_options text_header = {.format = COPY_TEXT,
                                                .header = COPY_HEADER_MATCH,
                                                .delimiter = '|',
                                                .null = {.data = "", .size = 0}};
static const struct copy_options csv_options = {
    .format = COPY_CSV, .delimiter = ',', .quote = '"', .escape = '"', .null = {.data = ""}};
static const struct copy_options csv_header = {.format = COPY_CSV,
                                               .header = COPY_HEADER_LINE,
                                               .delimiter = ',',
                                               .quote = '"',
                                               .escape = '"',
                                               .null = {.data = ""}};
static const struct copy_options csv_other = {.format = COPY_CSV,
                                              .header = COPY_HEADER_MATCH,
                                              .delimiter = ';',
                                              .quote = '\'',
                                              .escape = '\\',
                                              .null = {.data = "nil", .size = 3}};
static const struct copy_options binary_options = {.format = COPY_BINARY};

#define SIGNATURE "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"

static const struct {
    const char *columns;
    const struct copy_options *options;
    struct slice input;
    const char *want;
} cases[] = {
    {"a bigint, t text", &text_options, SLICE("1\tx\n2\t\\N\n3\t\n"), "1|x;2|~;3|;"},
    {"a bigint, t text", &text_options, SLICE("1\tx\r\n2\ty"), "1|x;2|y;"},
    {"a bigint, t text", &text_options, SLICE("1\ta\\tb\\\\c\\n\\r\\b\\f\\v\\q\n"),
     "1|a\tb\\c\n\r\b\f\vq;"},
    {"a bigint, t text", &text_options, SLICE("1\t\\x41\\102\\x4z\\0603\n"), "1|AB\x04z03;"},
    {"a bigint, t text", &text_options, SLICE("1\ta\\\nb\n2\ta\\\\\n"), "1|a\nb;2|a\\;"},
    {"a bigint, t text", &text_options, SLICE("1\tx\n\\.\n2\ty\n"), "1|x;"},
    {"a bigint, t text", &text_options, SLICE("1\n1\tx\ty\nz\tx\n\n7\tx\n"),
     "7|x;!1::22P04;!2::22P04;!3:a:22P02;!4::22P04;"},
    {"a bigint, t text", &text_options, SLICE("1\t\xff\n2\t\\xff\n3\t\\0\n4\tx\n"),
     "4|x;!1::22021;!2:t:22021;!3:t:22021;"},
    {"a bigint!, t text", &text_options, SLICE("\\N\tx\n"), "!1:a:23502;"},
    {"t text", &text_options, SLICE("\nx\n"), ";x;"},
    {"a bigint, t text", &text_header, SLICE("a|t\n1|x\n2|\n"), "1|x;2|~;"},
    {"a bigint, t text", &text_header, SLICE("a|u\n1|x\n"), "400 22P04"},
    {"a bigint, t text", &text_header, SLICE("a|t|x\n"), "400 22P04"},
    {"a bigint, t text", &text_header, SLICE("a\n"), "400 22P04"},
    {"ts timestamptz, b boolean, f float8, u uuid, y bytea, x text[]", &text_options,
     SLICE("2026-05-01 10:00:00+02\tt\t1e3\ta0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\t\\\\x00ff\t"
           "{a,\"b c\"}\n"),
     "2026-05-01 08:00:00+00|t|1000|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\\x00ff|{a,\"b c\"};"},
    {"a bigint, t text", &csv_options, SLICE("1,x\r\n2,\n3,\"\"\n4,\"a,\"\"b\"\"\nc\"\n"),
     "1|x;2|~;3|;4|a,\"b\"\nc;"},
    {"a bigint, t text", &csv_options, SLICE("1,a\"b,c\"d\n2,\"x\"y\"\"z\r\n"), "1|ab,cd;2|xyz;"},
    {"a bigint, t text", &csv_options, SLICE("1,\"x\n"), "400 22P04"},
    {"a bigint, t text", &csv_options, SLICE("1,x\n\\.\n2,y\n"), "1|x;"},
    {"a bigint, t text", &csv_options, SLICE("1,x\n\"\\.\",y\n"), "1|x;!2:a:22P02;"},
    {"a bigint, t text", &csv_options, SLICE("1\n\n1,2,3\n5,x\n"),
     "5|x;!1::22P04;!2::22P04;!3::22P04;"},
    {"t text", &csv_options, SLICE("\nx\n"), "~;x;"},
    {"a bigint, t text", &csv_header, SLICE("nothing,like,it\n1,x\n"), "1|x;"},
    {"a bigint, t text", &csv_other, SLICE("a;t\n1;nil\n2;'nil'\n3;'a\\'b\\\\'\n"),
     "1|~;2|nil;3|a'b\\;"},
    {"a bigint, t text", &csv_other, SLICE("t;a\n"), "400 22P04"},
    {"a bigint, t text", &binary_options,
     SLICE(SIGNATURE "\0\2\0\0\0\10\0\0\0\0\0\0\0\7\0\0\0\1x"
                     "\0\2\377\377\377\377\0\0\0\0\377\377"),
     "7|x;~|;"},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE), ""},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE "\377\377"), ""},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE "\377\377x"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE("PGCOPY\n\377\r\n\1\0\0\0\0\0\0\0\0"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE("PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\1"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\1z\377\377"), ""},
    {"a bigint, t text", &binary_options, SLICE(""), "400 22P04"},
    {"a bigint, t text", &binary_options,
     SLICE(SIGNATURE "\0\2\0\0\0\4\0\0\0\7\0\0\0\1x" /* an int4 */
                     "\0\1\0\0\0\10\0\0\0\0\0\0\0\7"
                     "\0\3\377\377\377\377\377\377\377\377\377\377\377\377"
                     "\0\2\0\0\0\10\0\0\0\0\0\0\0\10\0\0\0\1\377"
                     "\0\2\0\0\0\10\0\0\0\0\0\0\0\11\0\0\0\1y"),
     "9|y;!1:a:22P03;!2::22P04;!3::22P04;!4:t:22021;"},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE "\0\2\200\0\0\0"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE "\0\2\0\0\0\10"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE "\200\0"), "400 22P04"},
    {"a bigint, t text", &binary_options, SLICE(SIGNATURE "\0"), "400 22P04"},
};

/* Rows as harness_print() has them. */
static enum err decode(struct harness *h, const struct copy_options *options, struct slice body,
                       bool is_first, uint64_t first_row, struct writer *out, bool *is_ended)
{
    struct rows_options rows = {.mapping = h->mapping,
                                .arena = &h->arena,
                                .now_us = HARNESS_NOW_US,
                                .rows_max = 1000000,
                                .row_size_max = 4 << 20,
                                .first_row = first_row};
    static const uint32_t columns[] = {0, 1, 2, 3, 4, 5};
    struct copy_decode copy = {.options = options,
                               .columns = columns,
                               .column_count = h->schema->column_count,
                               .is_first = is_first};
    rows_deinit(&h->rows);
    arena_reset(&h->arena);
    rows_init(&h->rows, &rows);
    enum err err = decode_copy(&h->rows, body, &copy, &h->error);
    *is_ended = copy.is_ended;
    if (err != OK) {
        writer_printf(out, "400 %s", h->error.sqlstate);
        return err;
    }
    assert_int_equal(h->rows.received, h->rows.count + h->rows.rejection_count);
    rows_finish(&h->rows, &h->batch, &h->column_ids);
    harness_print(h, out);
    return OK;
}

static void test_cases(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct harness h;
        bool is_ended;
        harness_init(&h, harness_schema(cases[i].columns));
        decode(&h, cases[i].options, cases[i].input, true, 0, &out, &is_ended);
        if (!slice_equal(writer_as_slice(&out), slice_from_cstr(cases[i].want)))
            fail_msg("case %zu: gives %.*s\n want %s", i, (int)out.size, (const char *)out.data,
                     cases[i].want);
        writer_reset(&out);
        harness_deinit(&h);
    }
    writer_deinit(&out);
}

/* Cut anywhere: the whole rows before the cut, then the rest with what comes behind it, are the
 * rows of all of it. In memory of exactly their size. */
static void check_cut(struct harness *h, const struct copy_options *options, struct slice body,
                      size_t cut, const char *want)
{
    struct writer out;
    size_t rows;
    bool is_ended = false;
    writer_init(&out);
    char *exact = malloc(cut + 1);
    memcpy(exact, body.data, cut);
    size_t whole = copy_whole_rows(options, slice_of(exact, cut), true, 1000, &rows);
    assert_true(whole <= cut);
    size_t seen = 0;
    if (whole > 0) {
        assert_int_equal(decode(h, options, slice_of(exact, whole), true, 0, &out, &is_ended), OK);
        seen = h->rows.row_number;
    }
    free(exact);
    struct slice rest = slice_of(body.data + whole, body.size - whole);
    if (!is_ended)
        assert_int_equal(decode(h, options, rest, whole == 0, seen, &out, &is_ended), OK);
    if (!slice_equal(writer_as_slice(&out), slice_from_cstr(want)))
        fail_msg("cut at %zu: gives %.*s\n want %s", cut, (int)out.size, (const char *)out.data,
                 want);
    writer_deinit(&out);
}

static void test_every_cut(void **state)
{
    (void)state;
    static const struct {
        const struct copy_options *options;
        struct slice input;
        const char *want;
    } bodies[] = {
        {&text_options, SLICE("1\ta\\\nb\n2\t\\\\\\\\\r\n3\t\\N\n4\ty"), "1|a\nb;2|\\\\;3|~;4|y;"},
        {&csv_options, SLICE("1,\"a\"\"\n\"\r\n2,x\"\n\"y\n3,\n4,z"), "1|a\"\n;2|x\ny;3|~;4|z;"},
        {&csv_other, SLICE("a;t\n1;'a\\'\n\\\\'\n2;'\n'\n3;nil\n"), "1|a'\n\\;2|\n;3|~;"},
        {&binary_options,
         SLICE(SIGNATURE "\0\2\0\0\0\10\0\0\0\0\0\0\0\7\0\0\0\1x"
                         "\0\2\377\377\377\377\0\0\0\3abc\377\377"),
         "7|x;~|abc;"},
    };
    for (size_t i = 0; i < array_count(bodies); i++) {
        struct harness h;
        harness_init(&h, harness_schema("a bigint, t text"));
        for (size_t cut = 0; cut <= bodies[i].input.size; cut++)
            check_cut(&h, bodies[i].options, bodies[i].input, cut, bodies[i].want);
        harness_deinit(&h);
    }
}

static void test_whole_rows_limit(void **state)
{
    (void)state;
    size_t rows;
    assert_int_equal(copy_whole_rows(&text_options, SLICE("a\nb\nc\n"), true, 2, &rows), 4);
    assert_int_equal(rows, 2);
    assert_int_equal(copy_whole_rows(&csv_header, SLICE("h\nb\nc\n"), true, 1, &rows), 4);
    assert_int_equal(copy_whole_rows(&csv_header, SLICE("h\nb\nc\n"), false, 1, &rows), 2);
    assert_int_equal(copy_whole_rows(&text_options, SLICE("abc"), true, 2, &rows), 0);
    assert_int_equal(rows, 0);
    /* what is broken is the decoder's */
    assert_int_equal(copy_whole_rows(&binary_options, SLICE("\200\0x"), false, 2, &rows), 3);
    assert_int_equal(copy_whole_rows(&binary_options, SLICE("\377\377"), false, 2, &rows), 2);
    assert_int_equal(copy_whole_rows(&binary_options, SLICE("\0\1\0\0"), false, 2, &rows), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_whole_rows_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
