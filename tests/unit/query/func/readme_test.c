/* The table of functions in query/README.md is what the descriptors say. With
 * FRESHET_PRINT_FUNCTIONS=1 it is printed, to be put between the marker lines. */
#include "query/func/aggregate.h"
#include "query/func/func.h"
#include "query/func/over.h"
#include "query/func/series.h"
#include "storage/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MARK_BEGIN "<!-- functions: begin -->\n"
#define MARK_END "<!-- functions: end -->\n"

/* A cell of a Markdown table: a bar would end it. */
static void write_cell(struct writer *out, const char *text)
{
    for (const char *c = text != NULL ? text : ""; *c != 0; c++)
        writer_printf(out, "%s%c", *c == '|' ? "\\" : "", *c);
}

static void write_row(struct writer *out, const char *name, const char *doc, const char *example,
                      const char *kind)
{
    writer_printf(out, "| `");
    write_cell(out, name);
    writer_printf(out, "` | %s | ", kind);
    write_cell(out, doc);
    writer_printf(out, " | `");
    write_cell(out, example);
    writer_printf(out, "` |\n");
}

/* One row a name, in the order of the groups: forms of one name by type are one function to a
 * reader. */
static void write_table(struct writer *out)
{
    writer_printf(out, "| name | kind | what | example |\n|---|---|---|---|\n");
    const struct function_group *group;
    for (size_t index = 0; (group = function_table(index)) != NULL; index++) {
        for (size_t i = 0; i < group->count; i++) {
            const struct function *function = &group->functions[i];
            if (function_next(slice_from_cstr(function->name), NULL) == function)
                write_row(out, function->name, function->doc, function->example,
                          function_is_operator(function) ? "operator" : "function");
        }
    }
    const struct aggregate_group *aggregates;
    for (size_t index = 0; (aggregates = aggregate_table(index)) != NULL; index++) {
        for (size_t i = 0; i < aggregates->count; i++) {
            const struct aggregate *aggregate = &aggregates->aggregates[i];
            if (aggregate_next(slice_from_cstr(aggregate->name), NULL) == aggregate)
                write_row(out, aggregate->name, aggregate->doc, aggregate->example, "aggregate");
        }
    }
    for (size_t index = 0; index < over_function_count; index++)
        write_row(out, over_functions[index].name, over_functions[index].doc,
                  over_functions[index].example, "window");
    for (size_t index = 0; index < series_function_count; index++) {
        const struct series_function *function = &series_functions[index];
        if (series_find(slice_from_cstr(function->name), NULL) == function)
            write_row(out, function->name, function->doc, function->example, "rows");
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
    writer_init(&want);
    write_table(&want);
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
