/* Deep and long statements: answered or refused with 54001, never a crash; and positions in
 * multibyte text. */
#include "query/sql/parse.h"
#include "tests/unit/query/sql/group.h"

/* before, `unit` times, between, `close` times, after */
struct shape {
    const char *name, *before, *unit, *between, *close, *after;
};

static char *build_text(const struct shape *shape, size_t count)
{
    size_t unit = strlen(shape->unit);
    size_t close = strlen(shape->close);
    size_t size = strlen(shape->before) + strlen(shape->between) + strlen(shape->after) +
                  count * (unit + close) + 1;
    char *text = malloc(size);
    char *at = stpcpy(text, shape->before);
    for (size_t index = 0; index < count; index++)
        at = stpcpy(at, shape->unit);
    at = stpcpy(at, shape->between);
    for (size_t index = 0; index < count; index++)
        at = stpcpy(at, shape->close);
    stpcpy(at, shape->after);
    return text;
}

static void run_shape(const struct shape *shape, size_t count, const char *want)
{
    struct prepare_job job;
    char *text = build_text(shape, count);
    prepare(&catalogue, slice_from_cstr(text), &job);
    free(text);
    const char *got = job.result == OK ? "ok" : job.error.sqlstate;
    if (strcmp(got, want) != 0)
        fail_msg("%s x %zu: %s %s, wanted %s", shape->name, count, got, job.error.text, want);
    if (job.result == OK)
        statement_unref(job.statement);
}

/* Trees that get deeper with each unit: 900 are answered, more than the text's limit allows are
 * refused. */
static void test_deep(void **state)
{
    static const struct shape shapes[] = {
        {"plus", "select 1", "+1", "", "", ""},
        {"concat", "select n", "-n", "", "", " from clicks"},
        {"parentheses", "select ", "(", "1", ")", ""},
        {"not", "select ", "not ", "true", "", ""},
        {"minus", "select ", "- ", "n", "", " from clicks"},
        {"cast", "select n", "::bigint", "", "", " from clicks"},
        {"coalesce", "select ", "coalesce(", "n", ")", " from clicks"},
        {"case", "select ", "case when true then ", "n", " end", " from clicks"},
        {"is null", "select n", " is null", "", "", " from clicks"},
        {"and", "select ", "true and (", "true", ")", ""},
        {"union", "select 1", " union all select 1", "", "", ""},
    };
    (void)state;
    for (size_t index = 0; index < array_count(shapes); index++) {
        run_shape(&shapes[index], 400, "ok");
        run_shape(&shapes[index], 5000, "54001");
        size_t unit = strlen(shapes[index].unit) + strlen(shapes[index].close);
        run_shape(&shapes[index], (SQL_TEXT_SIZE_MAX - 64) / unit, "54001");
    }
    run_shape(&shapes[0], 900, "ok");
    run_shape(&shapes[0], 100000, "54001");
    run_shape(&shapes[2], 100000, "54001");
}

static void test_subselects(void **state)
{
    static const struct shape scalar = {"scalar", "select ", "(select ", "1", ")", ""};
    static const struct shape from = {"from", "select * from ", "(select * from ", "users", ") x",
                                      ""};
    (void)state;
    run_shape(&scalar, 100, "ok");
    run_shape(&scalar, 3000, "54001");
    run_shape(&from, 100, "ok");
    run_shape(&from, 3000, "54001");
    run_shape(&from, 14000, "54001");
}

/* Long, but flat: these are answered whatever their length. */
static void test_wide(void **state)
{
    static const struct shape in = {"in", "select n in (1", ",1", ")", "", " from clicks"};
    static const struct shape and = {"and", "select true", " and n=1", "", "", " from clicks"};
    static const struct shape targets = {"targets", "select 1", ",1", "", "", ""};
    (void)state;
    run_shape(&in, 131000, "ok");
    run_shape(&and, 32000, "ok");
    run_shape(&targets, 4000, "ok");
    run_shape(&targets, 100000, "54011");
}

/* What repeats a part of itself must not grow without bound. */
static void test_growth(void **state)
{
    static const struct shape between = {
        "between", "select ", "(", "true", " between false and true)", ""};
    static const struct shape with = {
        "case", "select ", "case ", "1", " when 1 then 1 when 2 then 2 end", ""};
    (void)state;
    run_shape(&between, 10, "ok");
    run_shape(&between, 400, "54001");
    run_shape(&with, 10, "ok");
    run_shape(&with, 400, "54001");
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "with a0 as (select 1 as x)");
    for (int index = 1; index < 30; index++)
        writer_printf(&text, ", a%d as (select p.x from a%d p, a%d q)", index, index - 1,
                      index - 1);
    writer_cstr(&text, " select * from a29");
    writer_u8(&text, 0);
    char *got = prepare_text(&catalogue, (const char *)text.data, false);
    assert_string_equal(got, "54001 @0");
    free(got);
    writer_deinit(&text);
}

static void test_positions(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"SELECT 'a', x FROM users", "42703 @13"},
        {"SELECT '\xc3\xa9\xc3\xa9', x FROM users", "42703 @14"},
        {"SELECT '\xe2\x82\xac' FRO M", "42601 @16"},
        {"SELECT '\xf0\x9f\x98\x80' /* \xc3\xa9 */ + foo(1)", "42883 @22"},
        {"SELECT 'unterminated", "42601 @8"},
        {"SELECT", "ok"},
        {"", "42601 @0"},
        {" ; ; ", "42601 @0"},
        {"select 1;", "ok"},
        {"select 1; select 2", "42601 @0"},
        {"select $0", "42P02 @8"},
    };
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        char *got = prepare_text(&catalogue, cases[index].text, false);
        if (strcmp(got, cases[index].want) != 0)
            fail_msg("%s: %s, wanted %s", cases[index].text, got, cases[index].want);
        free(got);
    }
    /* Far into a long multibyte text the table of character counts is used. */
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "select '");
    for (int index = 0; index < 10000; index++)
        writer_cstr(&text, "\xc3\xa9");
    writer_cstr(&text, "', nope from users");
    writer_u8(&text, 0);
    char *got = prepare_text(&catalogue, (const char *)text.data, false);
    assert_string_equal(got, "42703 @10012");
    free(got);
    writer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep), cmocka_unit_test(test_subselects), cmocka_unit_test(test_wide),
        cmocka_unit_test(test_growth), cmocka_unit_test(test_positions)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
