/* Types of parameters against PostgreSQL's, from the file that tests/differential holds to it. */
#include "tests/unit/query/sql/prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void print_types(const struct statement *statement, struct writer *out)
{
    for (size_t index = 0; index < statement->parameter_count; index++) {
        if (index > 0)
            writer_cstr(out, ", ");
        type_print(statement->parameters[index].type, out);
    }
}

/* "types | text" or "!sqlstate | text", and " ==> ours" where we differ from PostgreSQL. */
static bool check_line(struct catalogue *catalogue, char *line)
{
    struct prepare_job job;
    struct writer got;
    char *text = strstr(line, " | ");
    assert_non_null(text);
    *text = 0;
    text += 3;
    char *ours = strstr(text, " ==> ");
    if (ours != NULL)
        *ours = 0;
    const char *want = ours == NULL ? line : ours + 5;
    prepare(catalogue, slice_from_cstr(text), &job);
    writer_init(&got);
    if (job.result == OK) {
        print_types(job.statement, &got);
        statement_unref(job.statement);
    } else {
        writer_printf(&got, "!%s", job.error.sqlstate);
    }
    bool is_same = slice_equal(writer_as_slice(&got), slice_from_cstr(want));
    if (!is_same)
        print_error("%s\n  want %s\n  got  %.*s %s\n", text, want, (int)got.size, got.data,
                    job.result == OK ? "" : job.error.text);
    writer_deinit(&got);
    return is_same;
}

static void types_are_those_of_postgresql(void **state)
{
    (void)state;
    struct catalogue catalogue;
    char line[1024];
    size_t wrong = 0, count = 0;
    FILE *file = fopen(FRESHET_SOURCE_DIR "/tests/sql/parameter_types.txt", "r");
    assert_non_null(file);
    catalogue_open(&catalogue);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || line[0] == 0)
            continue;
        count++;
        wrong += !check_line(&catalogue, line);
    }
    catalogue_close(&catalogue);
    fclose(file);
    assert_true(count >= 80);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(types_are_those_of_postgresql)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
