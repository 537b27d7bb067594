/* The first rows of an order against the whole order cut by hand: with every column, few of them, a
 * computed one; one key and several, of columns and expressions, in both directions, NULLs at both
 * ends, many rows equal in all keys; conditions that blocks answer and that they do not; rows
 * sealed, in memory, and of columns that came later; past the query's memory. */
#include "query/query.h"

#include "tests/unit/planted.h"
#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#include <math.h>

#ifdef FRESHET_CHECK
#define ROWS 9000
#define PART 3000
#else
#define ROWS 70000 /* sealed: two blocks, then segments of PART rows */
#define PART 10000
#endif
#define NEWEST 3000
#define COLUMNS 9

static const struct made_column definitions[COLUMNS] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_AUTO},
    {"id", {.id = TYPE_INT8}, INDEX_AUTO},
    {"few", {.id = TYPE_INT4}, INDEX_AUTO},     /* 6 values, NULLs */
    {"kind", {.id = TYPE_TEXT}, INDEX_AUTO},    /* 30 values, NULLs */
    {"word", {.id = TYPE_TEXT}, INDEX_AUTO},    /* each its own */
    {"ratio", {.id = TYPE_FLOAT8}, INDEX_AUTO}, /* NaN, both zeros, NULLs */
    {"price", {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}, INDEX_AUTO},
    {"flag", {.id = TYPE_BOOL}, INDEX_AUTO},
    {"step", {.id = TYPE_INT8}, INDEX_AUTO}, /* follows the rows, falling */
};

static struct value make_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                              struct arena *arena)
{
    static const double special[] = {0.0, -0.0, 1e300, -1e300};
    struct value value = {.type = definitions[column].type};
    char text[32];
    uint64_t drawn = random_below(chance, 1000000);
    value.is_null = column > 1 && column < 8 && random_below(chance, 40) == 0;
    switch (column) {
    case 0: /* some come late */
        value.i = (int64_t)row * 1000000 - (drawn % 50 == 0 ? 30000000000 : 0);
        break;
    case 1:
        value.i = row;
        break;
    case 2:
        value.i = (int64_t)(drawn % 6);
        break;
    case 3:
    case 4:
        snprintf(text, sizeof(text), column == 3 ? "k%u" : "word %u of its own",
                 column == 3 ? (unsigned)(drawn % 30) : row * 7919 % 100003);
        value.text = arena_copy(arena, slice_from_cstr(text));
        break;
    case 5:
        value.f = (double)drawn / 7 - 50000;
        value.f = drawn % 3000 == 1 ? special[drawn / 3000 % 4] : value.f;
        if (drawn % 3000 == 2)
            value.f = (double)NAN;
        break;
    case 6:
        value.n = numeric_from_int128((int64_t)(drawn % 90000), 2);
        break;
    case 7:
        value.b = drawn % 2 == 0;
        break;
    default:
        value.i = 1000000 - (int64_t)(row / 5);
        break;
    }
    return value;
}

static void insert(struct made_store *f, uint32_t first, uint32_t count)
{
    made_table_insert(f->store, f->table_id, COLUMNS, make_cell, first, count, &f->position);
}

static void setup(struct made_store *f)
{
    made_store_open(
        f, &(struct made_options){.has_temp = true, .engine = {.query_memory_limit = 128 << 20}});
    f->table_id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (uint32_t row = 0; row < ROWS; row += PART)
        insert(f, row, PART);
    made_store_seal(f);
    insert(f, ROWS, PART);
    made_store_seal(f);
    insert(f, ROWS + PART, NEWEST); /* in memory */
}

static char answers[2][24 << 20];

static void run_within(struct made_store *f, const char *text, const char *memory, char *out)
{
    const struct made_setting settings[] = {{"freshet.query_memory", memory}, {0}};
    made_answer(f->engine, text, settings, out, sizeof(answers[0]));
}

static void run(struct made_store *f, const char *text, char *out)
{
    run_within(f, text, "128MB", out);
}

static const char *skip_lines(const char *text, size_t count)
{
    for (; count > 0 && *text != 0; count--)
        text = strchr(text, '\n') == NULL ? text + strlen(text) : strchr(text, '\n') + 1;
    return text;
}

/* Each with a LIMIT against itself without one. The event time alone in its order is met from the
 * end: rows equal in it may come in another order than the whole sort's, so there it is not. */
static const char *const queries[] = {
    "SELECT * FROM t ORDER BY few",
    "SELECT * FROM t ORDER BY few DESC",
    "SELECT * FROM t ORDER BY few DESC NULLS LAST",
    "SELECT * FROM t ORDER BY few NULLS FIRST, kind DESC",
    "SELECT * FROM t ORDER BY kind, ratio DESC",
    "SELECT word, id, price FROM t ORDER BY kind DESC",
    "SELECT * FROM t ORDER BY word DESC",
    "SELECT id, word AS w, kind FROM t ORDER BY w",
    "SELECT * FROM t ORDER BY ratio",
    "SELECT * FROM t ORDER BY ratio DESC NULLS LAST",
    "SELECT * FROM t WHERE ratio < 40000 ORDER BY ratio DESC",
    "SELECT id, few, step FROM t ORDER BY price, few",
    "SELECT * FROM t ORDER BY price DESC",
    "SELECT id / 7000 AS part, kind FROM t ORDER BY part, kind DESC, id",
    "SELECT id / 7000 AS part, kind FROM t ORDER BY part DESC, kind DESC, id",
    "SELECT * FROM t ORDER BY flag, step",
    "SELECT * FROM t ORDER BY step",
    "SELECT * FROM t ORDER BY step DESC",
    "SELECT * FROM t WHERE few = 3 ORDER BY step",
    "SELECT * FROM t WHERE few = 3 AND kind > 'k2' ORDER BY id DESC",
    "SELECT word FROM t WHERE kind = 'k7' ORDER BY step, id DESC",
    "SELECT * FROM t WHERE kind LIKE 'k1%' ORDER BY price DESC, word",
    "SELECT * FROM t WHERE length(word) > 17 AND few IS NOT NULL ORDER BY few, step",
    "SELECT * FROM t WHERE few IS NULL ORDER BY kind NULLS FIRST",
    "SELECT * FROM t WHERE id % 1000 = 7 ORDER BY ratio",
    "SELECT word, few + 1 AS more, kind FROM t ORDER BY more DESC, id",
    "SELECT word, upper(kind) AS u, ratio FROM t ORDER BY step",
    "SELECT word, kind FROM t ORDER BY abs(ratio), id",
    "SELECT * FROM t WHERE kind < 'a' ORDER BY few",
    "SELECT * FROM t ORDER BY ts DESC, id",
    "SELECT * FROM t ORDER BY ts, id DESC",
    "SELECT word, kind FROM t WHERE flag ORDER BY ts DESC, id",
    "SELECT x.word, x.id FROM (SELECT * FROM t WHERE few > 1) x ORDER BY x.price DESC, x.id",
    "SELECT 1, word, word, NULL, few FROM t ORDER BY id DESC",
    "SELECT id FROM t ORDER BY id DESC",
    "SELECT * FROM t ORDER BY few, kind DESC, id",
    "SELECT id, few FROM t ORDER BY few DESC NULLS LAST, word",
    "SELECT id, few FROM t ORDER BY few DESC NULLS LAST",
    "SELECT id, few FROM t ORDER BY few",
    "SELECT id FROM t WHERE few > 2 ORDER BY few, ratio DESC",
    "SELECT id, flag FROM t ORDER BY flag DESC",
    "SELECT id, flag FROM t ORDER BY flag DESC NULLS LAST",
    "SELECT flag, ratio FROM t WHERE kind IN ('k1', 'k2', 'k29') ORDER BY flag, ratio, id",
    "SELECT id, step FROM t WHERE id < 75000 ORDER BY step, id DESC",
    "SELECT id, step FROM t WHERE kind = 'k3' ORDER BY step",
    "SELECT ratio, id FROM t WHERE ratio > 49000 OR ratio = 0 ORDER BY ratio DESC NULLS LAST",
    "SELECT kind, id FROM t ORDER BY kind NULLS FIRST, id DESC",
    "SELECT kind, id FROM t ORDER BY kind DESC NULLS LAST",
    "SELECT price, kind FROM t WHERE price < 5 ORDER BY price DESC, id",
    "SELECT ts, id FROM t WHERE few = 2 ORDER BY ts DESC, id",
};
static const struct {
    size_t limit, offset;
} parts[] = {{1, 0}, {10, 0}, {10, 7}, {65, 2000}, {600, 40}, {3000, 0}, {0, 5}};

/* Any part of the query's rows, against the whole of them; both begin with the columns' names. */
static bool is_different(struct made_store *f, const char *query, const char *memory)
{
    bool is = false;
    run(f, query, answers[0]);
    for (size_t part = 0; !is && part < array_count(parts); part++) {
        char text[512];
        size_t limit = parts[part].limit, offset = parts[part].offset;
        snprintf(text, sizeof(text), "%s LIMIT %zu OFFSET %zu", query, limit, offset);
        run_within(f, text, memory, answers[1]);
        const char *first = skip_lines(answers[1], 1);
        const char *begin = skip_lines(answers[0], 1 + offset), *end = skip_lines(begin, limit);
        size_t size = (size_t)(end - begin);
        is = strlen(first) != size || memcmp(first, begin, size) != 0;
        if (is && !atomic_load(&fault_is_planted))
            print_message("%s: %.300s\n", text, first);
    }
    return is;
}

static void test_same_answers(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        assert_false(is_different(&f, queries[i], "128MB"));
    made_store_close(&f);
}

/* Rows put aside keep their numbers. */
static void test_little_memory(void **state)
{
    (void)state;
    struct made_store f;
    struct temp_figures before, after;
    setup(&f);
    temp_space_figures(f.temp, &before);
    for (size_t i = 0; i < array_count(queries); i += 3)
        assert_false(is_different(&f, queries[i], "1MB"));
    temp_space_figures(f.temp, &after);
    assert_true(after.written > before.written);
    made_store_close(&f);
}

static void test_explain(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    run(&f, "EXPLAIN ANALYZE SELECT * FROM t ORDER BY few LIMIT 10 OFFSET 2", answers[0]);
    assert_non_null(strstr(answers[0], "(late rows=10 columns=8)"));
    run(&f, "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM t ORDER BY few LIMIT 10", answers[0]);
    assert_non_null(strstr(answers[0], "Late Rows"));
    /* What is computed may raise, so it is computed for every row. */
    run(&f, "EXPLAIN ANALYZE SELECT id / 2, word FROM t ORDER BY few LIMIT 10", answers[0]);
    assert_non_null(strstr(answers[0], "(late rows=10 columns=1)"));
    struct query_request request = {
        .text = SLICE("SELECT 1 / (id - 9), word FROM t ORDER BY few LIMIT 1"),
        .format = RESULT_CSV,
        .timeout_us = -1,
        .max_rows = -1};
    struct query_answer answer;
    assert_int_not_equal(query_run(f.engine, &request, &answer), OK);
    assert_string_equal(answer.error.sqlstate, "22012");
    writer_deinit(&answer.body);
#ifndef FRESHET_CHECK /* the rows in memory have the first ones */
    run(&f, "EXPLAIN ANALYZE SELECT * FROM t ORDER BY step LIMIT 10", answers[0]);
print_message("%s\n", answers[0]);
    assert_non_null(strstr(answers[0], "segments=3 skipped=2"));
    assert_non_null(strstr(answers[0], "considered=3000"));
#endif
    made_store_close(&f);
}

#ifndef FRESHET_CHECK
static bool is_any_different(void *store)
{
    bool is = false;
    for (size_t query = 0; !is && query < array_count(queries); query++)
        is = is_different(store, queries[query], "128MB");
    return is;
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"topn.late_row",        "cursor.pick_beside",
                                         "topn.prune_equal",     "topn.equal_lost",
                                         "topn.order_of_blocks", "bound.null_lost",
                                         "sort.bound",           "sort.narrow"};
    struct made_store f;
    setup(&f);
    planted_are_seen(faults, array_count(faults), is_any_different, &f);
    made_store_close(&f);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_explain),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_faults_are_found),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
