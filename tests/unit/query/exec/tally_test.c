/* GROUP BY by codes against the same GROUP BY with a key more that no table of codes is for, and is
 * the same in all rows. */
#include "query/query.h"

#include "tests/unit/planted.h"
#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#define ROWS 70000 /* two blocks */
#define NEWEST 3000
#define COLUMNS 7

static const struct made_column definitions[COLUMNS] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_AUTO},
    {"kind", {.id = TYPE_TEXT}, INDEX_AUTO}, /* 200 values */
    {"word", {.id = TYPE_TEXT}, INDEX_AUTO}, /* 3 values, NULL later on */
    {"small", {.id = TYPE_INT4}, INDEX_AUTO},
    {"ratio", {.id = TYPE_FLOAT8}, INDEX_AUTO}, /* not below 0 */
    {"wild", {.id = TYPE_FLOAT8}, INDEX_AUTO},  /* anything */
    {"maybe", {.id = TYPE_FLOAT8}, INDEX_AUTO}, /* NULLs */
};

static struct value make_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                              struct arena *arena)
{
    (void)arena;
    struct value value = {.type = definitions[column].type};
    static const char *const words[] = {"red", "green", "blue"};
    static char names[200][8];
    uint32_t name = (uint32_t)random_below(chance, random_below(chance, 200) + 1);
    switch (column) {
    case 0:
        value.i = (int64_t)row * 1000 + (int64_t)random_below(chance, row > ROWS ? 90000 : 3000);
        break;
    case 1:
        snprintf(names[name], sizeof(names[name]), "k%u", name);
        value.text = slice_from_cstr(names[name]);
        break;
    case 2:
        value.is_null = row > 60000 && random_below(chance, 3) == 0;
        value.text = slice_from_cstr(words[random_below(chance, 3)]);
        break;
    case 3:
        value.i = (int32_t)random_next(chance);
        break;
    case 4:
        value.f = random_below(chance, 9) == 0 ? 0 : (double)random_below(chance, 1000000) / 1000;
        value.f = row == 50000 ? 1e12 : row == 20000 ? 1e-12 : value.f; /* out of the window */
        break;
    case 5:
        value.f = ((double)random_below(chance, 1000000) - 500000) / 7;
        value.f = row == 66000 ? 1.0 / 0.0 : row == ROWS + 10 ? -1.0 / 0.0 : value.f;
        break;
    default:
        value.is_null = row > 40000 && row % 7 == 0;
        value.f = (double)random_below(chance, 1000);
        break;
    }
    return value;
}

static void setup(struct made_store *f)
{
    made_store_open(f, &(struct made_options){.engine = {.partial_memory = 16 << 20}});
    f->table_id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (uint32_t row = 0; row < ROWS; row += 10000)
        made_table_insert(f->store, f->table_id, COLUMNS, make_cell, row, 10000, &f->position);
    made_store_seal(f);
    made_table_insert(f->store, f->table_id, COLUMNS, make_cell, ROWS, NEWEST, &f->position);
}

static char answers[2][8 << 20];

static void run(struct made_store *f, const char *text, char *out)
{
    made_answer(f->engine, text, NULL, out, sizeof(answers[0]));
}

#define RATIOS "count(*), round(sum(ratio)::numeric, 3), round(avg(ratio)::numeric, 6)"
/* @: further keys. Groups come in order of first sight: no query has an ORDER BY. */
static const char *const queries[] = {
    "SELECT kind, count(*) FROM t GROUP BY 1@",
    "SELECT kind, sum(small), avg(small), count(*) FILTER (WHERE ratio > 500) FROM t GROUP BY 1@",
    "SELECT word, " RATIOS " FROM t GROUP BY 1@",
    "SELECT date_trunc('second', ts), kind, " RATIOS ", max(small) FROM t GROUP BY 1, 2@",
    "SELECT kind, date_trunc('second', ts), count(*) FILTER (WHERE small < 0), sum(small) FROM t "
    "GROUP BY 1, 2@",
    "SELECT kind, round(sum(wild)::numeric, 2), count(*) FROM t WHERE abs(wild) < 1e9 GROUP BY 1@",
    "SELECT kind, sum(wild), count(*) FROM t WHERE kind < 'k11' OR wild = 'Infinity' GROUP BY 1@ "
    "HAVING sum(wild) = 'Infinity' OR sum(wild) = '-Infinity' OR sum(wild) = 'NaN'",
    "SELECT kind, sum(maybe), count(maybe), avg(maybe), count(*) FROM t GROUP BY 1@",
    "SELECT kind, sum(small)::text || count(*), count(DISTINCT word) FROM t GROUP BY 1@",
    "SELECT kind, word, count(*), sum(ratio) > 0 FROM t GROUP BY 1, 2@",
    "SELECT kind, small % 3, count(*), sum(small) FROM t WHERE ratio < 900 GROUP BY 1, 2@",
    "SELECT date_trunc('minute', ts), kind, count(*), sum(ratio) > 1 FROM t WHERE small > 5 "
    "GROUP BY 1, 2@ ORDER BY 1, 2 LIMIT 50",
};

static bool is_different(struct made_store *f, const char *query)
{
    run(f, made_put(query, ""), answers[0]);
    run(f, made_put(query, ", ts < timestamptz '1900-01-01 00:00:00+00'"), answers[1]);
    bool is = strcmp(answers[0], answers[1]) != 0;
    if (is && !atomic_load(&fault_is_planted))
        print_message("%s: %.300s, row by row %.300s\n", query, answers[0], answers[1]);
    return is;
}

static bool is_any_different(void *store)
{
    bool is = false;
    for (size_t i = 0; !is && i < array_count(queries); i++)
        is = is_different(store, queries[i]);
    return is;
}

static void test_same_answers(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    assert_false(is_any_different(&f));
    made_store_close(&f);
}

/* Buckets of many rows in order of time, and of rows that are not, by three functions. */
static bool are_buckets_right(struct made_store *f)
{
    static const char *const buckets[] = {"date_trunc('second', ts)",
                                          "time_bucket(interval '1 second', ts)",
                                          "date_bin(interval '1 second', ts, to_timestamp(0))"};
    bool are = true;
    for (size_t i = 0; i < array_count(buckets); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "SELECT count(*) FROM t WHERE %s <> to_timestamp(floor(extract(epoch FROM ts)))",
                 buckets[i]);
        run(f, text, answers[0]);
        are = are && strstr(answers[0], "\n0") != NULL;
    }
    return are;
}

static void test_buckets(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    assert_true(are_buckets_right(&f));
    fault_plant("bucket.run_end");
    assert_false(are_buckets_right(&f));
    fault_clear();
    made_store_close(&f);
}

#ifndef FRESHET_CHECK
static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"kernel.tally_parts", "tally.flush_last",
                                         "tally.other_bucket"};
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
        cmocka_unit_test(test_buckets),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_faults_are_found),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
