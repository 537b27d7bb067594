/* The evaluator over batches: selections, NULLs, dictionaries, and who may raise. */
#include "query/expr/build.h"
#include "query/expr/eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 8

struct fixture {
    struct arena arena;
    struct error error;
    struct builder builder;
    struct eval_context context;
    struct column
        columns[3]; /* n integer with NULL at 3, s text dictionary with NULL at 5, f double */
    struct batch batch;
};

static const int64_t numbers[ROWS] = {5, 0, 7, 0, -3, 2, 0, 9};
static const uint8_t number_validity[ROWS] = {1, 1, 1, 0, 1, 1, 1, 1};
static const double floats[ROWS] = {0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5};
static const uint32_t codes[ROWS] = {0, 1, 2, 0, 1, 0, 2, 1};
static const uint8_t text_validity[ROWS] = {1, 1, 1, 1, 1, 0, 1, 1};

static int setup(void **state)
{
    static const struct slice entries[4] = {{"de", 2}, {"12", 2}, {"fr", 2}, {"never", 5}};
    struct fixture *f = memory_alloc_zero(sizeof(*f));
    arena_init(&f->arena);
    f->builder = (struct builder){.arena = &f->arena, .zone = timezone_utc, .error = &f->error};
    f->context = (struct eval_context){.zone = timezone_utc, .now_us = 1000000};
    f->columns[0] =
        (struct column){.type = type_of(TYPE_INT4), .validity = number_validity, .i = numbers};
    f->columns[1] = (struct column){.type = type_of(TYPE_TEXT),
                                    .form = COLUMN_DICTIONARY,
                                    .validity = text_validity,
                                    .codes = codes,
                                    .dictionary = entries,
                                    .dictionary_count = 4,
                                    .dictionary_id = 77};
    f->columns[2] = (struct column){.type = type_of(TYPE_FLOAT8), .f = floats};
    f->batch = (struct batch){.row_count = ROWS, .column_count = 3, .columns = f->columns};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_deinit(&f->arena);
    memory_free(f);
    return 0;
}

static struct expr *column(struct fixture *f, uint32_t index)
{
    return build_column(&f->builder, index, f->columns[index].type, 0);
}

static struct expr *number(struct fixture *f, const char *text)
{
    return build_number(&f->builder, slice_from_cstr(text), 0);
}

static struct expr *string(struct fixture *f, const char *text)
{
    return build_string(&f->builder, slice_from_cstr(text), 0);
}

static struct expr *operator(struct fixture *f, struct expr *left, const char *name,
                             struct expr *right)
{
    struct expr *out = NULL;
    assert_int_equal(build_operator(&f->builder, slice_from_cstr(name), left, right, 0, &out), OK);
    return out;
}

static struct expr *node(struct fixture *f, enum expr_kind kind, struct expr *a, struct expr *b,
                         struct expr *c)
{
    struct expr *arguments[3] = {a, b, c}, *out = NULL;
    size_t count = c != NULL ? 3 : b != NULL ? 2 : 1;
    assert_int_equal(build_node(&f->builder, kind, false, arguments, count, 0, &out), OK);
    return out;
}

static enum err run(struct fixture *f, const struct expr *expr, const uint32_t *selection,
                    size_t count, struct evaluator **evaluator, struct column *out)
{
    *evaluator = evaluator_create(expr, &f->context);
    return evaluator_run(*evaluator, &f->batch, selection, count, out, &f->error);
}

/* Expected booleans by row: 0, 1, or 2 for NULL. */
static void expect_bools(struct fixture *f, const struct expr *expr, const uint8_t expected[ROWS])
{
    struct evaluator *evaluator;
    struct column out;
    assert_int_equal(run(f, expr, NULL, 0, &evaluator, &out), OK);
    uint32_t selected[ROWS];
    size_t count, wanted = 0;
    for (size_t i = 0; i < ROWS; i++) {
        struct value value = column_value(&out, i);
        assert_int_equal(value.is_null ? 2 : value.b, expected[i]);
    }
    assert_int_equal(evaluator_filter(evaluator, &f->batch, NULL, 0, selected, &count, &f->error),
                     OK);
    for (size_t i = 0; i < ROWS; i++) {
        if (expected[i] == 1)
            assert_int_equal(selected[wanted++], i);
    }
    assert_int_equal(count, wanted);
    evaluator_destroy(evaluator);
}

static void test_comparisons_and_logic(void **state)
{
    struct fixture *f = *state;
    struct expr *positive = operator(f, column(f, 0), ">", number(f, "0"));
    expect_bools(f, positive, (uint8_t[]){1, 0, 1, 2, 0, 1, 0, 1});
    struct expr *german = operator(f, column(f, 1), "=", string(f, "de"));
    expect_bools(f, german, (uint8_t[]){1, 0, 0, 1, 0, 2, 0, 0});
    expect_bools(f, node(f, EXPR_AND, positive, german, NULL), (uint8_t[]){1, 0, 0, 2, 0, 2, 0, 0});
    expect_bools(f, node(f, EXPR_OR, positive, german, NULL), (uint8_t[]){1, 0, 1, 1, 0, 1, 0, 1});
    expect_bools(f, node(f, EXPR_NOT, german, NULL, NULL), (uint8_t[]){0, 1, 1, 0, 1, 2, 1, 1});
    expect_bools(f, node(f, EXPR_IS_NULL, column(f, 1), NULL, NULL),
                 (uint8_t[]){0, 0, 0, 0, 0, 1, 0, 0});
}

static void test_dictionary_functions(void **state)
{
    struct fixture *f = *state;
    expect_bools(f, operator(f, column(f, 1), "~~", string(f, "%e%")),
                 (uint8_t[]){1, 0, 0, 1, 0, 2, 0, 0});
    expect_bools(f, operator(f, column(f, 1), "~", string(f, "^[df]")),
                 (uint8_t[]){1, 0, 1, 1, 0, 2, 1, 0});
    expect_bools(f, node(f, EXPR_IN, column(f, 1), string(f, "fr"), string(f, "12")),
                 (uint8_t[]){0, 1, 1, 0, 1, 2, 1, 1});
    struct expr *known = node(f, EXPR_COALESCE, column(f, 1), string(f, "none"), NULL);
    expect_bools(f, operator(f, known, "=", string(f, "none")),
                 (uint8_t[]){0, 0, 0, 0, 0, 1, 0, 0});
}

/* Casting 'de' to an integer raises, but only if a selected row says 'de': "12" is the only entry
 * rows 1, 4, 7 use. */
static void test_only_used_entries_raise(void **state)
{
    struct fixture *f = *state;
    struct expr *cast = NULL;
    struct column out;
    struct evaluator *evaluator;
    const uint32_t rows[] = {1, 4, 7};
    assert_int_equal(
        build_cast(&f->builder, column(f, 1), type_of(TYPE_INT4), CAST_EXPLICIT, 0, &cast), OK);
    assert_int_equal(run(f, cast, rows, 3, &evaluator, &out), OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(column_value(&out, rows[i]).i, 12);
    assert_int_equal(evaluator_run(evaluator, &f->batch, NULL, 0, &out, &f->error), ERR_INPUT);
    assert_string_equal(f->error.sqlstate, "22P02");
    assert_int_equal(evaluator_run(evaluator, &f->batch, rows, 3, &out, &f->error), OK);
    evaluator_destroy(evaluator);
}

/* A dictionary that grows under the same id keeps what is known and adds the rest. */
static void test_dictionary_grows(void **state)
{
    struct fixture *f = *state;
    static const struct slice longer[5] = {
        {"de", 2}, {"12", 2}, {"fr", 2}, {"never", 5}, {"dk", 2}};
    static const uint32_t later[ROWS] = {4, 0, 4, 1, 1, 0, 2, 4};
    struct expr *starts = operator(f, column(f, 1), "~~", string(f, "d%"));
    struct evaluator *evaluator;
    struct column out;
    assert_int_equal(run(f, starts, NULL, 0, &evaluator, &out), OK);
    f->columns[1].dictionary = longer;
    f->columns[1].dictionary_count = 5;
    f->columns[1].codes = later;
    assert_int_equal(evaluator_run(evaluator, &f->batch, NULL, 0, &out, &f->error), OK);
    const uint8_t expected[ROWS] = {1, 1, 1, 0, 0, 2, 0, 1};
    for (size_t i = 0; i < ROWS; i++) {
        struct value value = column_value(&out, i);
        assert_int_equal(value.is_null ? 2 : value.b, expected[i]);
    }
    f->columns[1].dictionary_id = 78; /* another dictionary: nothing known holds */
    static const struct slice other[5] = {{"x", 1}, {"da", 2}, {"x2", 2}, {"x3", 2}, {"x4", 2}};
    f->columns[1].dictionary = other;
    assert_int_equal(evaluator_run(evaluator, &f->batch, NULL, 0, &out, &f->error), OK);
    assert_int_equal(column_value(&out, 0).b, 0);
    assert_int_equal(column_value(&out, 3).b, 1);
    evaluator_destroy(evaluator);
}

static void test_division_raises_only_where_reached(void **state)
{
    struct fixture *f = *state;
    struct evaluator *evaluator;
    struct column out;
    struct expr *quotient = operator(f, number(f, "10"), "/", column(f, 0));
    assert_int_equal(run(f, quotient, NULL, 0, &evaluator, &out), ERR_INPUT);
    assert_string_equal(f->error.sqlstate, "22012");
    const uint32_t rows[] = {0, 3, 5}; /* row 3 is NULL with a zero below it */
    assert_int_equal(evaluator_run(evaluator, &f->batch, rows, 3, &out, &f->error), OK);
    assert_int_equal(column_value(&out, 0).i, 2);
    assert_true(column_value(&out, 3).is_null);
    evaluator_destroy(evaluator);
    struct expr *guarded = node(f, EXPR_AND, operator(f, column(f, 0), "<>", number(f, "0")),
                                             operator(f, quotient, ">", number(f, "1")), NULL);
    expect_bools(f, guarded, (uint8_t[]){1, 0, 0, 2, 0, 1, 0, 0});
    struct expr *branch = node(f, EXPR_CASE, operator(f, column(f, 0), "<>", number(f, "0")),
                               quotient, number(f, "-1"));
    assert_int_equal(run(f, branch, NULL, 0, &evaluator, &out), OK);
    const int64_t expected[ROWS] = {2, -1, 1, -1, -3, 5, -1, 1};
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(column_value(&out, i).i, expected[i]);
    evaluator_destroy(evaluator);
}

static void test_overflow_of_the_sql_type(void **state)
{
    struct fixture *f = *state;
    struct evaluator *evaluator;
    struct column out;
    struct expr *sum = operator(f, column(f, 0), "+", number(f, "2147483640"));
    assert_int_equal(run(f, sum, NULL, 0, &evaluator, &out), ERR_INPUT);
    assert_string_equal(f->error.sqlstate, "22003");
    assert_string_equal(f->error.text, "integer out of range");
    const uint32_t rows[] = {0, 2, 4};
    assert_int_equal(evaluator_run(evaluator, &f->batch, rows, 3, &out, &f->error), OK);
    assert_int_equal(column_value(&out, 2).i, 2147483647);
    evaluator_destroy(evaluator);
}

static void test_missing_operator_names_types(void **state)
{
    struct fixture *f = *state;
    struct expr *out;
    assert_int_equal(build_operator(&f->builder, SLICE("+"), column(f, 1), number(f, "1"), 9, &out),
                     ERR_INPUT);
    assert_string_equal(f->error.sqlstate, "42883");
    assert_string_equal(f->error.text, "operator does not exist: text + integer");
    assert_int_equal(f->error.text_position, 9);
    assert_true(f->error.hint[0] != 0);
}

static void test_equal_and_copy(void **state)
{
    struct fixture *f = *state;
    struct expr *a = operator(f, column(f, 0), "+", number(f, "1"));
    struct expr *b = operator(f, column(f, 0), "+", number(f, "1"));
    assert_true(expr_equal(a, b));
    assert_false(expr_equal(a, operator(f, column(f, 0), "+", number(f, "2"))));
    assert_false(expr_equal(number(f, "1.0"), number(f, "1.00")));
    const uint32_t map[] = {2, 1, 0};
    assert_int_equal(expr_copy(a, map, &f->arena)->arguments[0]->column, 2);
    struct expr *random = NULL;
    assert_int_equal(build_call(&f->builder, SLICE("random"), NULL, 0, 0, &random), OK);
    assert_false(expr_equal(random, random));
    assert_true(expr_is_volatile(random));
    struct writer text;
    writer_init(&text);
    expr_print(a, NULL, &text);
    assert_memory_equal(text.data, "(#0 + 1)", 8);
    writer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comparisons_and_logic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dictionary_functions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_used_entries_raise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dictionary_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_division_raises_only_where_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overflow_of_the_sql_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_operator_names_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_and_copy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
