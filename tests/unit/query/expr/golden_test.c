/* Constant expressions against what PostgreSQL 15 answered (tests/sql/expr_golden.txt): through
 * parser, binder and evaluator, result type, value text and SQLSTATE of errors. Each line is
 * `expression <tab> type <tab> value` or `expression <tab> ! <tab> sqlstate`; lines with # are
 * comments. */
#include "query/expr/eval.h"
#include "query/func/aggregate.h"
#include "query/func/func.h"
#include "query/sql/sql.h"
#include "tests/unit/zones.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct expr *only_expression(const struct plan *plan)
{
    while (plan->kind != PLAN_PROJECT && plan->kind != PLAN_VALUES && plan->child_count > 0)
        plan = plan->children[0];
    if (plan->kind == PLAN_PROJECT)
        return plan->project.exprs[0];
    return plan->kind == PLAN_VALUES && plan->column_count > 0 ? plan->values.cells[0] : NULL;
}

/* "type\tvalue" or "!\tsqlstate" into `out`. */
static void evaluate(struct slice expression, char *out, size_t size, struct error *error)
{
    struct arena arena;
    arena_init(&arena);
    struct sql_context context = {.zone = timezone_utc};
    struct eval_context eval = {.zone = timezone_utc, .now_us = 1777630623000000};
    struct statement *statement = NULL;
    char *text = arena_printf(&arena, "SELECT %.*s", SLICE_ARGS(expression));
    struct value value;
    *error = (struct error){0};
    enum err err = sql_prepare(slice_from_cstr(text), &context, &statement, error);
    if (err == OK) {
        const struct expr *expr = only_expression(statement->plan);
        assert_non_null(expr);
        err = expr_evaluate_constant(expr, &eval, &arena, &value, error);
    }
    if (err != OK) {
        snprintf(out, size, "!\t%s", error->sqlstate);
    } else {
        struct writer writer;
        writer_init(&writer);
        type_print(type_of(value.type.id), &writer);
        writer_u8(&writer, '\t');
        struct text_context text_context = {.zone = timezone_utc};
        if (value.is_null)
            writer_cstr(&writer, "NULL");
        else
            value_print(&value, &text_context, &writer);
        snprintf(out, size, "%.*s", SLICE_ARGS(writer_as_slice(&writer)));
        writer_deinit(&writer);
    }
    if (statement != NULL)
        statement_unref(statement);
    arena_deinit(&arena);
}

static void test_golden(void **state)
{
    (void)state;
    const char *path = getenv("FRESHET_GOLDEN");
    FILE *file = fopen(path != NULL ? path : FRESHET_SOURCE_DIR "/tests/sql/expr_golden.txt", "r");
    assert_non_null(file);
    static char line[16384], got[16384];
    size_t count = 0, failed = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *tab = strchr(line, '\t');
        if (line[0] == '#' || tab == NULL)
            continue;
        struct error error;
        evaluate(slice_of(line, (size_t)(tab - line)), got, sizeof(got), &error);
        count++;
        if (strcmp(got, tab + 1) == 0)
            continue;
        failed++;
        fprintf(stderr, "%.*s\n    want %s\n    got  %s %s\n", (int)(tab - line), line, tab + 1,
                got, error.text);
    }
    fclose(file);
    fprintf(stderr, "%zu expressions, %zu differ\n", count, failed);
    assert_true(path != NULL || count >= 400);
    assert_int_equal(failed, 0);
}

/* The example of every function runs. */
static void test_examples(void **state)
{
    (void)state;
    size_t count = 0, failed = 0;
    char got[4096];
    for (size_t g = 0; function_table(g) != NULL; g++) {
        for (size_t i = 0; i < function_table(g)->count; i++) {
            const struct function *function = &function_table(g)->functions[i];
            struct error error;
            assert_non_null(function->doc);
            evaluate(slice_from_cstr(function->example), got, sizeof(got), &error);
            count++;
            if (got[0] == '!') {
                failed++;
                fprintf(stderr, "%s: %s %s\n", function->example, got, error.text);
            }
        }
    }
    assert_true(count > 400);
    assert_int_equal(failed, 0);
}

int main(void)
{
    timezone_set_loader(zones_load);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
