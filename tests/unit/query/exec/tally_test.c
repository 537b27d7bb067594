/* GROUP BY by codes against the same GROUP BY with a key more that no table of codes is for, and is
 * the same in all rows. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "storage/io/sim.h"
#include "tests/unit/query/made_table.h"

#include <stdio.h>
#include <string.h>

#define ROWS 70000 /* two blocks */
#define NEWEST 3000
#define COLUMNS 7

struct fixture {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct query_engine *engine;
    struct budget memory;
    uint64_t position;
    uint32_t table_id;
};

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

static void insert(struct fixture *f, uint32_t table_id, uint32_t first, uint32_t count)
{
    made_table_insert(f->store, table_id, COLUMNS, make_cell, first, count, &f->position);
}

static void setup(struct fixture *f)
{
    struct error error;
    *f = (struct fixture){.memory = {.limit = 256 << 20, .name = "queries"}};
    f->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(f->sim, &f->io);
    struct store_options options = {
        .io = f->io, .directory = "data", .log_file_size = 4 << 20, .rows_memory_limit = 64 << 20};
    assert_int_equal(store_open(&options, &f->store, &error), OK);
    struct query_engine_options engine = {.store = f->store,
                                          .memory = &f->memory,
                                          .query_memory_limit = 64 << 20,
                                          .statement_timeout_us = 30000000,
                                          .max_rows = 1000000,
                                          .partial_memory = 16 << 20};
    f->engine = query_engine_create(&engine);
    uint32_t id = f->table_id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (uint32_t row = 0; row < ROWS; row += 10000)
        insert(f, id, row, 10000);
    assert_int_equal(store_checkpoint(f->store, &error), OK);
    insert(f, id, ROWS, NEWEST); /* in memory */
}

static void teardown(struct fixture *f)
{
    query_engine_destroy(f->engine);
    store_close(f->store);
    f->io->ops->destroy(f->io);
    sim_destroy(f->sim);
}

static void run(struct fixture *f, const char *text, char *out, size_t out_size)
{
    struct query_request request = {
        .text = slice_from_cstr(text), .format = RESULT_CSV, .timeout_us = -1, .max_rows = -1};
    struct query_answer answer;
    if (query_run(f->engine, &request, &answer) != OK)
        fail_msg("%s: %s: %s", text, answer.error.sqlstate, answer.error.text);
    assert_true(answer.body.size < out_size);
    memcpy(out, answer.body.data, answer.body.size);
    out[answer.body.size] = 0;
    writer_deinit(&answer.body);
}

static char answers[2][8 << 20];

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

static const char *put_keys(const char *query, const char *keys)
{
    static char text[2048];
    const char *at = strchr(query, '@');
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - query), query, keys, at + 1);
    return text;
}

static bool is_different(struct fixture *f, const char *query)
{
    run(f, put_keys(query, ""), answers[0], sizeof(answers[0]));
    run(f, put_keys(query, ", ts < timestamptz '1900-01-01 00:00:00+00'"), answers[1],
        sizeof(answers[1]));
    bool is = strcmp(answers[0], answers[1]) != 0;
    if (is && !atomic_load(&fault_is_planted))
        print_message("%s: %.300s, row by row %.300s\n", query, answers[0], answers[1]);
    return is;
}

static void test_same_answers(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        assert_false(is_different(&f, queries[i]));
    teardown(&f);
}

/* Buckets of many rows in order of time, and of rows that are not, by three functions. */
static bool are_buckets_right(struct fixture *f)
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
        run(f, text, answers[0], sizeof(answers[0]));
        are = are && strstr(answers[0], "\n0") != NULL;
    }
    return are;
}

static void test_buckets(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    assert_true(are_buckets_right(&f));
    fault_plant("bucket.run_end");
    assert_false(are_buckets_right(&f));
    fault_clear();
    teardown(&f);
}

#ifndef FRESHET_CHECK
static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"kernel.tally_parts", "tally.flush_last",
                                         "tally.other_bucket"};
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < array_count(faults); i++) {
        bool is_found = false;
        fault_plant(faults[i]);
        for (size_t query = 0; !is_found && query < array_count(queries); query++)
            is_found = is_different(&f, queries[query]);
        fault_clear();
        if (!is_found)
            fail_msg("%s is not found", faults[i]);
    }
    teardown(&f);
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
