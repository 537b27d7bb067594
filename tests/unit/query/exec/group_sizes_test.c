/* Sizes of a plan's last run: kept with the plan, for texts of one shape too, and no answer depends
 * on them. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#define ROWS 40000
#define COLUMNS 4

static const struct made_column definitions[COLUMNS] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_AUTO},
    {"id", {.id = TYPE_INT8}, INDEX_AUTO},    /* far apart */
    {"word", {.id = TYPE_TEXT}, INDEX_AUTO},  /* nearly all different */
    {"kind", {.id = TYPE_TEXT}, INDEX_AUTO}}; /* 20 values */

static struct value make_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                              struct arena *arena)
{
    struct value value = {.type = definitions[column].type};
    if (column == 0)
        value.i = (int64_t)row * 1000;
    else if (column == 1)
        value.i = (int64_t)random_below(chance, 30000) * 1000003;
    else
        value.text = slice_from_cstr(
            arena_printf(arena, "w%u", (unsigned)random_below(chance, column == 2 ? 1000000 : 20)));
    return value;
}

static void setup(struct made_store *f)
{
    made_store_open(f, &(struct made_options){0});
    f->table_id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (uint32_t row = 0; row < ROWS; row += 10000)
        made_table_insert(f->store, f->table_id, COLUMNS, make_cell, row, 10000, &f->position);
    made_store_seal(f);
}

static char answers[2][4 << 20];

/* @: the end of a window of time, in microseconds. */
static const char *run(struct made_store *f, const char *before, const char *query,
                       uint32_t last_row, size_t answer)
{
    char text[1024];
    const char *at = strchr(query, '@');
    snprintf(text, sizeof(text), "%s%.*stimestamptz '1970-01-01 00:00:%02u.%06u+00'%s", before,
             (int)(at - query), query, last_row * 1000 / 1000000, last_row * 1000 % 1000000,
             at + 1);
    made_answer(f->engine, text, NULL, answers[answer], sizeof(answers[answer]));
    return answers[answer];
}

static const char *const queries[] = {
    "SELECT id, count(*), sum(length(word)) FROM t WHERE ts < @ GROUP BY id",
    "SELECT count(DISTINCT word), count(*) FROM t WHERE ts < @",
    "SELECT kind, count(DISTINCT id), count(DISTINCT word) FROM t WHERE ts < @ GROUP BY kind",
    "SELECT id, kind, count(*) FROM t WHERE ts < @ GROUP BY id, kind",
    "SELECT word, id, kind, min(ts) FROM t WHERE ts < @ GROUP BY 1, 2, 3",
    "SELECT DISTINCT word FROM t WHERE ts < @",
};

/* What a plan's next run is to expect, as EXPLAIN ANALYZE has it of its own last run. */
static unsigned long long expected_of(struct made_store *f, const char *query, uint32_t last_row,
                                      unsigned long long *moved)
{
    const char *at = strstr(run(f, "EXPLAIN ANALYZE ", query, last_row, 1), "(keys expected=");
    unsigned long long expected = 0;
    *moved = 0;
    if (at != NULL)
        assert_int_equal(sscanf(at, "(keys expected=%llu moved=%llu)", &expected, moved), 2);
    return expected;
}

static void test_answers_are_the_same(void **state)
{
    (void)state;
    static const uint32_t windows[] = {ROWS, ROWS, 100, ROWS, 20000, ROWS, 0, ROWS};
    for (size_t i = 0; i < array_count(queries); i++) {
        struct made_store f;
        setup(&f);
        for (size_t w = 0; w < array_count(windows); w++) {
            struct made_store other; /* which knows of no run */
            setup(&other);
            run(&f, "", queries[i], windows[w], 0);
            run(&other, "", queries[i], windows[w], 1);
            assert_string_equal(answers[0], answers[1]);
            made_store_close(&other);
        }
        made_store_close(&f);
    }
}

/* Does the second run have room at once, and one after a run of few rows none? */
static bool are_sizes_right(struct made_store *f, const char *query)
{
    unsigned long long moved, first, second;
    first = expected_of(f, query, ROWS, &moved);
    second = expected_of(f, query, ROWS, &moved);
    return first == 0 && second > 20000 && second < 5 * ROWS && moved < second / 4;
}

static void test_the_next_run_has_room(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        if (!are_sizes_right(&f, queries[i]))
            fail_msg("%s: %s", queries[i], answers[1]);
    made_store_close(&f);
    setup(&f);
    fault_plant("group.size_stale");
    assert_false(are_sizes_right(&f, queries[0]));
    fault_clear();
    made_store_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_the_same),
        cmocka_unit_test(test_the_next_run_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
