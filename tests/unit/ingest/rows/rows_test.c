/* Cells that rows do not have: NULLs and DEFAULTs filled by runs, in whole bodies and in sections,
 * against the same rows decoded one by one, where there are no runs. */
#include "tests/unit/ingest/decode/decode_harness.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#define COLUMNS                                                                                    \
    "ts timestamptz, a bigint, b smallint!, c float8, d boolean, e text, f text, g uuid, h "       \
    "numeric(9;2), i text[], j jsonb, k varchar(9), v bigint, n text!"
#define ROWS_MAX 400
#define SECTION_ROWS 70

/* What the DEFAULT of each column gives; NULL: it has none. `v` is volatile. */
static const struct {
    const char *name, *text;
} defaults[] = {
    {"ts", "2026-05-01 00:00:00+00"},
    {"a", "7"},
    {"c", "0.5"},
    {"d", "t"},
    {"e", "common"},
    {"f", ""},
    {"g", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {"h", "1.25"},
    {"j", "~"}, /* is NULL */
    {"v", "0"},
    {"n", "a default that is longer than sixteen bytes"},
};

struct default_context {
    const struct schema *schema;
    int64_t next; /* of v */
};

static const char *default_of(struct slice name)
{
    for (size_t i = 0; i < array_count(defaults); i++) {
        if (slice_equal(name, slice_from_cstr(defaults[i].name)))
            return defaults[i].text;
    }
    return NULL;
}

static enum err default_get(void *context, uint32_t column, struct arena *arena, struct value *out,
                            bool *is_volatile, struct error *error)
{
    struct default_context *defaults_context = context;
    const struct column_definition *definition = &defaults_context->schema->columns[column];
    const char *text = default_of(definition->name);
    *is_volatile = slice_equal(definition->name, SLICE("v"));
    *out = (struct value){.type = definition->type, .is_null = true};
    if (*is_volatile) {
        *out = (struct value){.type = definition->type, .i = defaults_context->next++};
        return OK;
    }
    if (strcmp(text, "~") == 0)
        return OK;
    return type_parse(definition->type, slice_from_cstr(text), NULL, arena, out, error);
}

struct sections {
    struct harness *harness;
    struct writer *out;
    size_t count;
};

static void print_rows(struct harness *h, struct writer *out)
{
    size_t rejections = h->rows.rejection_count;
    h->rows.rejection_count = 0;
    rows_finish(&h->rows, &h->batch, &h->column_ids);
    harness_print(h, out);
    h->rows.rejection_count = rejections;
}

static enum err take_section(void *context, struct error *error)
{
    (void)error;
    struct sections *sections = context;
    print_rows(sections->harness, sections->out);
    sections->count++;
    return OK;
}

static void print_rejections(const struct harness *h, size_t row_base, struct writer *out)
{
    for (size_t i = 0; i < h->rows.rejection_count; i++) {
        const struct rows_rejection *r = &h->rows.rejections[i];
        writer_printf(out, "!%zu:%.*s:%s:%.*s;", row_base + (size_t)r->row, SLICE_ARGS(r->column),
                      r->sqlstate, SLICE_ARGS(r->reason));
    }
}

/* Rows to `out`, rejections to `bad`. */
static void decode(struct harness *h, struct default_context *context, struct slice body,
                   size_t section_rows, size_t row_base, struct writer *out, struct writer *bad)
{
    struct sections sections = {.harness = h, .out = out};
    struct rows_defaults interface = {.context = context, .get = default_get};
    struct rows_options options = {
        .mapping = h->mapping,
        .arena = &h->arena,
        .now_us = HARNESS_NOW_US,
        .rows_max = 1000000,
        .row_size_max = 4 << 20,
        .defaults = &interface,
        .take_section = section_rows == 0 ? NULL : take_section,
        .section_context = &sections,
        .section_cells = section_rows * (h->schema->column_count + 1),
    };
    struct decode_options decode = {.depth_max = 64, .keys_max = 4096};
    rows_deinit(&h->rows);
    arena_reset(&h->arena);
    rows_init(&h->rows, &options);
    assert_int_equal(decode_ndjson(&h->rows, body, &decode, &h->error), OK);
    assert_int_equal(h->rows.received, h->rows.row_number);
    size_t good = h->rows.row_number - h->rows.rejection_count;
    assert_int_equal(h->rows.sectioned + h->rows.count, good);
    if (section_rows > 0 && good > 0 && !fault_is("rows.section_lost"))
        assert_int_equal(sections.count, (good - 1) / section_rows + (h->rows.count == 0));
    if (h->rows.count > 0)
        print_rows(h, out);
    print_rejections(h, row_base, bad);
}

static struct schema *schema_with_defaults(void)
{
    struct schema *schema = harness_schema(COLUMNS);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (default_of(schema->columns[i].name) != NULL)
            schema->columns[i].default_text = SLICE("of the test");
    }
    return schema;
}

static void add_value(struct writer *row, struct random_stream *random, char column)
{
    unsigned draw = (unsigned)random_below(random, 40);
    switch (draw < 2 ? '0' + (int)draw : column) {
    case '0':
        writer_cstr(row, "null");
        break;
    case '1':
        writer_cstr(row, "\"bad for most\"");
        break;
    case 't':
        writer_printf(row, "\"20%02u-05-01T10:00:%02uZ\"", draw == 2 ? 99 : 26, draw);
        break;
    case 'c':
    case 'h':
        writer_printf(row, "%u.25", draw);
        break;
    case 'd':
        writer_cstr(row, draw % 2 == 0 ? "true" : "false");
        break;
    case 'g':
        writer_printf(row, "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd3800%02u\"", draw);
        break;
    case 'i':
    case 'j':
        writer_printf(row, "[%u]", draw);
        break;
    case 'e':
        writer_printf(row, "\"a text that does not repeat %u\"",
                      (unsigned)random_below(random, 1u << 30));
        break;
    case 'f':
    case 'k':
    case 'n':
        writer_printf(row, "\"%u\"", draw);
        break;
    default:
        writer_printf(row, "%u", draw);
    }
}

/* Runs of rows that have the same few columns, so that shapes are learned and columns fall behind
 * and come back. */
static void add_row(struct writer *body, struct random_stream *random, uint32_t columns)
{
    bool is_first = true;
    writer_u8(body, '{');
    for (uint32_t i = 0; i < 14; i++) {
        static const char names[] = "tabcdefghijkvn";
        if ((columns >> i & 1) == 0)
            continue;
        writer_printf(body, "%s\"%c%s\":", is_first ? "" : ",", names[i], i == 0 ? "s" : "");
        is_first = false;
        add_value(body, random, names[i]);
    }
    writer_cstr(body, "}\n");
}

static void make_body(struct writer *body, struct random_stream *random)
{
    static const uint32_t always = 1u << 2; /* b, which a row must have */
    size_t count = random_below(random, ROWS_MAX);
    uint32_t columns = always, left = 0;
    for (size_t i = 0; i < count; i++, left--) {
        if (left == 0) {
            bool is_long = random_below(random, 2) == 0;
            left = 1 + (uint32_t)random_below(random, is_long ? 150 : 4);
            columns = (uint32_t)(random_next(random) & random_next(random)) & 0x3fff;
            if (random_below(random, 8) != 0)
                columns |= always;
        }
        add_row(body, random, columns);
    }
}

/* Rows of one shape; bad ones, from which no shape is learned, while `a` falls behind; it comes
 * back in a row that is read by its shape. */
static void make_pause(struct writer *body, size_t pause)
{
    for (size_t i = 0; i < 3; i++)
        writer_cstr(body, "{\"b\":1,\"a\":5}\n");
    for (size_t i = 0; i < pause; i++)
        writer_cstr(body, "{\"b\":\"bad\"}\n");
    for (size_t i = 0; i < 3; i++)
        writer_cstr(body, "{\"b\":1,\"a\":6}\n");
}

/* Does decoding at once, and in sections, give what decoding row by row gives? */
static bool is_same_body(struct slice body)
{
    struct harness h;
    harness_init(&h, schema_with_defaults());
    struct writer want, got, want_bad, got_bad;
    struct writer *all[] = {&want, &got, &want_bad, &got_bad};
    for (size_t i = 0; i < array_count(all); i++)
        writer_init(all[i]);
    struct default_context context = {.schema = h.schema};
    const char *line = body.data, *next;
    for (size_t i = 0; line != body.data + body.size; i++, line = next) {
        next = (const char *)memchr(line, '\n', (size_t)(body.data + body.size - line)) + 1;
        decode(&h, &context, slice_of(line, (size_t)(next - line)), 0, i, &want, &want_bad);
    }
    bool same = true;
    for (size_t section = 0; section <= SECTION_ROWS; section += SECTION_ROWS) {
        writer_reset(&got);
        writer_reset(&got_bad);
        context.next = 0;
        decode(&h, &context, body, section, 0, &got, &got_bad);
        same = same && slice_equal(writer_as_slice(&got), writer_as_slice(&want)) &&
               slice_equal(writer_as_slice(&got_bad), writer_as_slice(&want_bad));
    }
    for (size_t i = 0; i < array_count(all); i++)
        writer_deinit(all[i]);
    harness_deinit(&h);
    return same;
}

#define SEEDS 200
#define PAUSES 80

/* By random rows, and by pauses. */
static bool is_same(uint64_t seed)
{
    struct random_stream random;
    struct writer body;
    random_stream_init(&random, seed);
    writer_init(&body);
    if (seed < SEEDS)
        make_body(&body, &random);
    else
        make_pause(&body, seed - SEEDS);
    bool same = is_same_body(writer_as_slice(&body));
    writer_deinit(&body);
    return same;
}

static void test_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS + PAUSES; seed++) {
        if (!is_same(seed))
            fail_msg("seed %llu", (unsigned long long)seed);
    }
}

static void test_planted(void **state)
{
    (void)state;
    static const char *const faults[] = {"rows.run_of_nulls", "rows.lapse_uncounted",
                                         "rows.section_lost"};
    for (size_t i = 0; i < array_count(faults); i++) {
        bool is_found = false;
        fault_plant(faults[i]);
        for (uint64_t seed = 0; seed < SEEDS + PAUSES && !is_found; seed++)
            is_found = !is_same(seed);
        fault_clear();
        if (!is_found)
            fail_msg("%s is not found", faults[i]);
    }
}

/* `count` rows without a value, then one with, then as many without. */
static void test_edges(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 513};
    for (size_t i = 0; i < array_count(counts); i++) {
        struct harness h;
        struct writer body, out, bad;
        writer_init(&body);
        writer_init(&out);
        writer_init(&bad);
        harness_init(&h, schema_with_defaults());
        struct default_context context = {.schema = h.schema};
        for (size_t row = 0; row < counts[i]; row++)
            writer_cstr(&body, "{\"b\":1}\n");
        writer_cstr(&body, "{\"b\":2,\"a\":-9223372036854775808,\"e\":\"x\",\"k\":\"y\"}\n");
        for (size_t row = 0; row < counts[i]; row++)
            writer_cstr(&body, "{\"b\":3}\n");
        decode(&h, &context, writer_as_slice(&body), 0, 0, &out, &bad);
        assert_int_equal(h.batch.row_count, 2 * counts[i] + 1);
        for (size_t row = 0; row < h.batch.row_count; row++) {
            bool is_there = row == counts[i];
            assert_int_equal(column_value(&h.batch.columns[1], row).i, is_there ? INT64_MIN : 7);
            assert_true(slice_equal(column_text(&h.batch.columns[5], row),
                                    is_there ? SLICE("x") : SLICE("common")));
            assert_int_equal(column_is_null(&h.batch.columns[11], row), !is_there);
        }
        assert_int_equal(h.batch.columns[6].form, COLUMN_CONSTANT); /* never had a value */
        harness_deinit(&h);
        writer_deinit(&bad);
        writer_deinit(&out);
        writer_deinit(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_planted),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
