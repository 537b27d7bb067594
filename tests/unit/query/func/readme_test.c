/* The table of functions in query/README.md is what the descriptors say, and the results in it are
 * what the examples give here. With FRESHET_PRINT_FUNCTIONS=1 it is printed, to be put between the
 * marker lines. */
#include "query/func/aggregate.h"
#include "query/func/func.h"
#include "query/func/over.h"
#include "query/func/series.h"
#include "query/query.h"
#include "storage/base/bytes.h"
#include "tests/unit/query/made_store.h"
#include "tests/unit/zones.h"

#define MARK_BEGIN "<!-- functions: begin -->\n"
#define MARK_END "<!-- functions: end -->\n"

/* A cell of a Markdown table: a bar would end it. */
static void write_cell(struct writer *out, const char *text)
{
    for (const char *c = text != NULL ? text : ""; *c != 0; c++)
        writer_printf(out, "%s%c", *c == '|' ? "\\" : "", *c);
}

/* What examples of aggregates run over. */
#define ROWS                                                                                       \
    " FROM (VALUES (1, 10, 'a', timestamptz '2026-05-01 10:00:00Z'), (2, 21, 'b', "                \
    "timestamptz '2026-05-01 10:00:30Z'), (4, 39, 'a', timestamptz '2026-05-01 10:02:00Z')) AS "   \
    "v(x, y, s, t)"
#define RESULT_SIZE_MAX 100

/* Is the result another one each time? */
static bool is_moving(const char *example)
{
    static const char *const words[] = {
        "now()",  "clock_timestamp",      "current_", "localtimestamp", "statement_timestamp",
        "random", "transaction_timestamp"};
    for (size_t i = 0; i < array_count(words); i++)
        if (strstr(example, words[i]) != NULL)
            return true;
    return false;
}

/* The rows of the answer, side by side. */
static void write_result(struct made_store *f, struct writer *out, const char *example,
                         const char *kind)
{
    struct writer text;
    struct query_answer answer;
    bool is_rows = strcmp(kind, "rows") == 0;
    if (is_moving(example))
        return;
    writer_init(&text);
    writer_printf(&text, "SELECT %s%s%s", is_rows ? "* FROM " : "", example,
                  strcmp(kind, "aggregate") == 0 ? ROWS : "");
    struct query_request request = {
        .text = writer_as_slice(&text), .format = RESULT_CSV, .timeout_us = -1, .max_rows = -1};
    if (query_run(f->engine, &request, &answer) != OK)
        fail_msg("%s: %s %s", example, answer.error.sqlstate, answer.error.text);
    writer_u8(&answer.body, 0);
    char *line = strchr((char *)answer.body.data, '\n');
    assert_non_null(line);
    line++;
    size_t size = strlen(line) > 0 ? strlen(line) - 1 : 0;
    for (size_t i = 0; i < size; i++)
        line[i] = line[i] == '\n' || line[i] == '\r' ? ' ' : line[i];
    line[size] = 0;
    while (size > 0 && line[size - 1] == ' ')
        line[--size] = 0;
    bool is_long = size > RESULT_SIZE_MAX;
    if (is_long)
        line[RESULT_SIZE_MAX] = 0;
    writer_cstr(out, size > 0 ? "`" : "");
    write_cell(out, line);
    writer_cstr(out, size > 0 ? "`" : "");
    writer_cstr(out, is_long ? " …" : "");
    writer_deinit(&answer.body);
    writer_deinit(&text);
}

static void write_row(struct made_store *f, struct writer *out, const char *name, const char *doc,
                      const char *example, const char *kind)
{
    writer_printf(out, "| `");
    write_cell(out, name);
    writer_printf(out, "` | %s | ", kind);
    write_cell(out, doc);
    writer_printf(out, " | `");
    write_cell(out, example);
    writer_printf(out, "` | ");
    write_result(f, out, example, kind);
    writer_printf(out, " |\n");
}

/* One row a name, in the order of the groups: forms of one name by type are one function to a
 * reader. */
static void write_table(struct made_store *f, struct writer *out)
{
    writer_printf(out, "| name | kind | what | example | result |\n|---|---|---|---|---|\n");
    const struct function_group *group;
    for (size_t index = 0; (group = function_table(index)) != NULL; index++) {
        for (size_t i = 0; i < group->count; i++) {
            const struct function *function = &group->functions[i];
            if (function_next(slice_from_cstr(function->name), NULL) == function)
                write_row(f, out, function->name, function->doc, function->example,
                          function_is_operator(function) ? "operator" : "function");
        }
    }
    const struct aggregate_group *aggregates;
    for (size_t index = 0; (aggregates = aggregate_table(index)) != NULL; index++) {
        for (size_t i = 0; i < aggregates->count; i++) {
            const struct aggregate *aggregate = &aggregates->aggregates[i];
            if (aggregate_next(slice_from_cstr(aggregate->name), NULL) == aggregate)
                write_row(f, out, aggregate->name, aggregate->doc, aggregate->example, "aggregate");
        }
    }
    for (size_t index = 0; index < over_function_count; index++)
        write_row(f, out, over_functions[index].name, over_functions[index].doc,
                  over_functions[index].example, "window");
    for (size_t index = 0; index < series_function_count; index++) {
        const struct series_function *function = &series_functions[index];
        if (series_find(slice_from_cstr(function->name), NULL) == function)
            write_row(f, out, function->name, function->doc, function->example, "rows");
    }
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void test_readme_is_current(void **state)
{
    (void)state;
    struct writer want;
    struct made_store f;
    timezone_set_loader(zones_load);
    made_store_open(&f, &(struct made_options){.engine = {.max_rows = 1000}});
    writer_init(&want);
    write_table(&f, &want);
    made_store_close(&f);
    if (getenv("FRESHET_PRINT_FUNCTIONS") != NULL)
        printf("%.*s", SLICE_ARGS(writer_as_slice(&want)));
    char *readme = read_text(FRESHET_SOURCE_DIR "/query/README.md");
    const char *begin = strstr(readme, MARK_BEGIN), *end = strstr(readme, MARK_END);
    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(MARK_BEGIN);
    if (!slice_equal(slice_of(begin, (size_t)(end - begin)), writer_as_slice(&want)))
        fail_msg("the table of functions in query/README.md is not current: "
                 "FRESHET_PRINT_FUNCTIONS=1 prints it");
    free(readme);
    writer_deinit(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readme_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
