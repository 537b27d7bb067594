/* Rows before the one that raises, against the rows themselves: batches of all sizes at edges with
 * the raising row at each place. Whole plans: tests/sql/raise.test. */
#include "query/exec/raise.h"
#include "query/expr/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct budget budget;
    struct error error;
    struct builder build;
    struct eval_context context;
    struct evaluator *quotient; /* 6 / (x - 100) */
    struct evaluator *less;     /* 6 / (x - 100) < y */
    int64_t x[VECTOR_ROWS_MAX], y[VECTOR_ROWS_MAX];
    struct column columns[2];
    struct batch batch;
};

static struct expr *binary(struct fixture *f, struct slice name, struct expr *left,
                           struct expr *right)
{
    struct expr *out;
    assert_int_equal(build_operator(&f->build, name, left, right, 0, &out), OK);
    return out;
}

static struct expr *whole(struct fixture *f, int64_t i)
{
    return build_constant(&f->build, &(struct value){.type = type_of(TYPE_INT8), .i = i}, 0);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){.budget = {.limit = 64 << 20, .name = "query"}};
    arena_init(&f->arena);
    f->build = (struct builder){.arena = &f->arena, .zone = timezone_utc, .error = &f->error};
    f->context = (struct eval_context){.zone = timezone_utc, .budget = &f->budget};
    struct type type = type_of(TYPE_INT8);
    struct expr *x = build_column(&f->build, 0, type, 0), *y = build_column(&f->build, 1, type, 0);
    struct expr *quotient =
        binary(f, SLICE("/"), whole(f, 6), binary(f, SLICE("-"), x, whole(f, 100)));
    f->quotient = evaluator_create(quotient, &f->context);
    f->less = evaluator_create(binary(f, SLICE("<"), quotient, y), &f->context);
    f->columns[0] = (struct column){.type = type, .form = COLUMN_FLAT, .values = f->x};
    f->columns[1] = (struct column){.type = type, .form = COLUMN_FLAT, .values = f->y};
}

static void teardown(struct fixture *f)
{
    evaluator_destroy(f->quotient);
    evaluator_destroy(f->less);
    arena_deinit(&f->arena);
}

/* Rows of which `raising` and all behind it but one divide by zero; SIZE_MAX: none does. */
static void fill(struct fixture *f, size_t count, size_t raising)
{
    for (size_t i = 0; i < count; i++) {
        bool is_raising = i >= raising && i != raising + 1;
        f->x[i] = is_raising ? 100 : 101 + (int64_t)(i % 9);
        f->y[i] = (int64_t)(i % 7);
    }
    f->batch = (struct batch){.row_count = count, .column_count = 2, .columns = f->columns};
}

static void check(struct fixture *f, size_t count, size_t raising)
{
    uint32_t selection[VECTOR_ROWS_MAX + 16];
    size_t selected = SIZE_MAX, wanted = 0, passing = raising < count ? raising : count;
    struct column out;
    fill(f, count, raising);
    assert_int_equal(raise_evaluate(&f->quotient, 1, &f->batch, &out, &f->error), OK);
    assert_int_equal(f->batch.row_count, passing);
    for (size_t i = 0; i < passing; i++)
        assert_int_equal(out.i[column_index(&out, i)], 6 / (f->x[i] - 100));
    if (passing < count)
        assert_string_equal(f->error.sqlstate, "22012");

    fill(f, count, raising);
    f->error = (struct error){.code = OK};
    assert_int_equal(raise_filter(f->less, &f->batch, selection, &selected, &f->error), OK);
    assert_int_equal(f->batch.row_count, passing);
    for (size_t i = 0; i < passing; i++)
        if (6 / (f->x[i] - 100) < f->y[i])
            assert_int_equal(selection[wanted++], i);
    assert_int_equal(selected, wanted);
    if (passing < count)
        assert_string_equal(f->error.sqlstate, "22012");
}

static void test_rows_before(void **state)
{
    (void)state;
    static const size_t counts[] = {
        1, 2, 3, 63, 64, 65, 1000, VECTOR_ROWS_MAX - 1, VECTOR_ROWS_MAX};
    struct fixture f;
    setup(&f);
    for (size_t c = 0; c < array_count(counts); c++) {
        size_t count = counts[c];
        check(&f, count, SIZE_MAX - 1);
        for (size_t raising = 0; raising < count; raising += raising < 70 ? 1 : 119)
            check(&f, count, raising);
        check(&f, count, count - 1);
    }
    teardown(&f);
}

/* The budget is no row's: what failed for it is not tried again, and is returned. */
static void test_memory_is_no_rows(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    fill(&f, 100, SIZE_MAX - 1);
    struct expr *arguments[2] = {build_string(&f.build, SLICE("x"), 0),
                                 build_column(&f.build, 0, type_of(TYPE_INT8), 0)};
    struct expr *repeated, *times;
    assert_int_equal(
        build_cast(&f.build, arguments[1], type_of(TYPE_INT4), CAST_EXPLICIT, 0, &arguments[1]),
        OK);
    assert_int_equal(build_call(&f.build, SLICE("repeat"), arguments, 2, 0, &repeated), OK);
    times = repeated;
    for (size_t i = 0; i < 100; i++)
        f.x[i] = 10000000;
    struct evaluator *evaluator = evaluator_create(times, &f.context);
    struct column out;
    assert_int_equal(raise_evaluate(&evaluator, 1, &f.batch, &out, &f.error), ERR_LIMIT);
    assert_string_equal(f.error.sqlstate, "53200");
    evaluator_destroy(evaluator);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_before),
        cmocka_unit_test(test_memory_is_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
