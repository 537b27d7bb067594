/* Aggregates that are told of whole morsels, or of runs of time, against the same ones that are
 * made to see each row, over sealed and mutable segments, with and without bitmaps. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "storage/io/sim.h"
#include "tests/unit/query/made_table.h"

#include <stdio.h>

#define ROWS 70000 /* two blocks */
#define NEWEST 3000
#define COLUMNS 6

struct fixture {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct query_engine *engine;
    struct budget memory;
    uint64_t position;
};

static const struct made_column definitions[COLUMNS] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_OFF},
    {"n", {.id = TYPE_INT8}, INDEX_OFF}, /* half of them NULL in places */
    {"price", {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}, INDEX_OFF},
    {"ratio", {.id = TYPE_FLOAT8}, INDEX_OFF}, /* nothing but zeros of both signs in places */
    {"word", {.id = TYPE_TEXT}, INDEX_ON},     /* 300 values */
    {"kind", {.id = TYPE_TEXT}, INDEX_OFF},
};

static struct value make_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                              struct arena *arena)
{
    (void)arena;
    struct value value = {.type = definitions[column].type};
    static const char *const words[] = {"red", "green", "blue"};
    static char names[300][8];
    uint32_t name = (uint32_t)random_below(chance, 300);
    switch (column) {
    case 0:
        value.i = (int64_t)row * 1000 + (int64_t)random_below(chance, 3000);
        break;
    case 1:
        value.is_null = row > 40000 && random_below(chance, 2) == 0;
        value.i = (int64_t)random_next(chance) >> (row < 40000 ? 1 : 40);
        break;
    case 2:
        value.n = (struct numeric){.digits = random_below(chance, 5) == 0 ? row : 0, .scale = 2};
        value.n.kind = row > ROWS && row % 1000 == 0 ? NUMERIC_NAN : NUMERIC_FINITE;
        break;
    case 3:
        value.f = row < 66000 ? (double)row / 7 - 300 : random_below(chance, 2) == 0 ? -0.0 : 0.0;
        break;
    case 4:
        snprintf(names[name], sizeof(names[name]), "w%u", name);
        value.text = slice_from_cstr(names[name]);
        break;
    default:
        value.text = slice_from_cstr(words[random_below(chance, 3)]);
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
                                          .max_rows = 1000000};
    f->engine = query_engine_create(&engine);
    uint32_t id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (uint32_t row = 0; row < ROWS; row += 10000)
        insert(f, id, row, 10000);
    assert_int_equal(store_checkpoint(f->store, &error), OK);
    insert(f, id, ROWS, NEWEST); /* one more segment, small */
    assert_int_equal(store_checkpoint(f->store, &error), OK);
    insert(f, id, ROWS + NEWEST, NEWEST); /* in memory */
}

static void teardown(struct fixture *f)
{
    query_engine_destroy(f->engine);
    store_close(f->store);
    f->io->ops->destroy(f->io);
    sim_destroy(f->sim);
}

static void run(struct fixture *f, const char *text, bool has_bitmaps, char *out, size_t out_size)
{
    const struct query_setting settings[] = {
        {.name = SLICE("freshet.bitmaps"), .value = has_bitmaps ? SLICE("on") : SLICE("off")}};
    struct query_request request = {.text = slice_from_cstr(text),
                                    .format = RESULT_CSV,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .settings = settings,
                                    .setting_count = array_count(settings)};
    struct query_answer answer;
    if (query_run(f->engine, &request, &answer) != OK)
        fail_msg("%s: %s: %s", text, answer.error.sqlstate, answer.error.text);
    writer_u8(&answer.body, 0);
    snprintf(out, out_size, "%s", strchr((const char *)answer.body.data, '\n'));
    writer_deinit(&answer.body);
}

static const char *const lists[] = {
    "count(*)%s",
    "count(*)%s, max(ts)%s, min(ts)%s",
    "count(n)%s, sum(n)%s, avg(n)%s, min(n)%s, max(n)%s",
    "count(word)%s, min(word)%s, max(kind)%s",
    "sum(price)%s, max(price)%s, avg(price)%s, min(price)%s",
    "min(ratio)%s, max(ratio)%s",
    "sum(n)%s, sum(ratio)%s, count(*)%s, max(ts)%s",
};

static const char *const conditions[] = {
    "true",
    "word = 'w17'",
    "word = 'w17' AND kind = 'red'",
    "word IN ('w1', 'w2', 'w250') AND n IS NOT NULL",
    "word = 'nowhere'",
    "ts >= timestamptz '1970-01-01 00:01:10+00'",
    "word = 'w9' AND ts < timestamptz '1970-01-01 00:01:11+00'",
    "ratio > 4000",
    "kind = 'blue'",
};

/* What is asked about: everything, and groups by time, which are told of runs of rows. */
static const struct {
    const char *begin, *from, *end;
} forms[] = {
    {"SELECT ", "t", ""},
    {"SELECT date_trunc('second', ts) AS k, ", "t", " GROUP BY 1 ORDER BY 1"},
    {"SELECT time_bucket(interval '7 seconds', ts), ", "t", " GROUP BY 1 ORDER BY 1"},
    {"SELECT floor(extract(epoch from ts) / 5) * 5, ", "t", " GROUP BY 1 ORDER BY 1"},
    {"SELECT date_bin('9 seconds', ts, timestamptz '2001-01-01 00:00:01Z'), date_trunc('minute', "
     "ts), ",
     "t", " GROUP BY 1, 2 ORDER BY 1, 2"},
    {"SELECT window_end, ", "hop(t, ts, interval '2 seconds', interval '6 seconds')",
     " GROUP BY 1 ORDER BY 1"},
    {"SELECT window_start, window_end, ",
     "(SELECT * FROM hop(t, ts, interval '3 seconds', interval '3 seconds')) AS h",
     " GROUP BY 1, 2 ORDER BY 1"},
    {"SELECT date_bin('20 milliseconds', ts, timestamptz '2001-01-01Z'), ", "t",
     " AND ts < timestamptz '1970-01-01 00:00:05+00' GROUP BY 1 ORDER BY 1"},
    /* The rows' times are where buckets begin, not what is put into them. */
    {"SELECT date_bin('20 milliseconds', timestamptz '2030-01-01Z', ts), ", "t",
     " GROUP BY 1 ORDER BY 1"},
};

/* With a FILTER that every row passes nothing is told of morsels. */
static void compose(size_t form, const char *list, const char *filter, const char *condition,
                    char *out, size_t out_size)
{
    size_t size = (size_t)snprintf(out, out_size, "%s", forms[form].begin);
    for (const char *at = list; *at != 0 && size + 1 < out_size;) {
        if (strncmp(at, "%s", 2) == 0) {
            size += (size_t)snprintf(out + size, out_size - size, "%s", filter);
            at += 2;
        } else {
            out[size++] = *at++;
        }
    }
    snprintf(out + size, out_size - size, " FROM %s WHERE %s%s", forms[form].from, condition,
             forms[form].end);
}

static bool is_any_fault(void)
{
    return fault_is("sealed.extent_of_zone") || fault_is("sealed.run_begins_early") ||
           fault_is("sealed.run_ends_late") || fault_is("sealed.list_short") ||
           fault_is("group.run_last_window");
}

static uint32_t count_differences(struct fixture *f, size_t form)
{
    static char answer[3][128 << 10];
    uint32_t differences = 0;
    for (size_t list = 0; list < array_count(lists); list++) {
        for (size_t condition = 0; condition < array_count(conditions); condition++) {
            char query[2][1024];
            if (form != 0 && (list + condition + form) % 3 != 0)
                continue;
            compose(form, lists[list], "", conditions[condition], query[0], sizeof(query[0]));
            compose(form, lists[list], " FILTER (WHERE ts IS NOT NULL)", conditions[condition],
                    query[1], sizeof(query[1]));
            run(f, query[0], true, answer[0], sizeof(answer[0]));
            run(f, query[0], false, answer[1], sizeof(answer[1]));
            run(f, query[1], true, answer[2], sizeof(answer[2]));
            bool is_same = strcmp(answer[0], answer[1]) == 0 && strcmp(answer[0], answer[2]) == 0;
            differences += is_same ? 0 : 1;
            if (!is_same && !is_any_fault())
                fail_msg("%s: %.2000s, without bitmaps %.2000s, row by row %.2000s", query[0],
                         answer[0], answer[1], answer[2]);
        }
    }
    return differences;
}

static void test_same_answers(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t form = 0; form < array_count(forms); form++)
        assert_int_equal(count_differences(&f, form), 0);
#ifndef FRESHET_CHECK /* the sensitivity is shown once, by the release build */
    static const struct {
        const char *name;
        size_t form;
    } faults[] = {
        {"sealed.extent_of_zone", 0}, {"sealed.list_short", 0},     {"sealed.run_begins_early", 2},
        {"sealed.run_ends_late", 1},  {"group.run_last_window", 5},
    };
    for (size_t i = 0; i < array_count(faults); i++) {
        fault_plant(faults[i].name);
        assert_true(count_differences(&f, faults[i].form) > 0);
        fault_clear();
    }
#endif
    teardown(&f);
}

/* What the footers say is not read. */
static void test_nothing_is_read(void **state)
{
    (void)state;
    struct fixture f;
    char plan[2048];
    setup(&f);
    run(&f, "EXPLAIN ANALYZE SELECT count(*), max(ts), min(n), count(word) FROM t", true, plan,
        sizeof(plan));
    assert_null(strstr(plan, "pages="));
    run(&f, "EXPLAIN ANALYZE SELECT count(*), max(ts), sum(n) FROM t", true, plan, sizeof(plan));
    assert_non_null(strstr(plan, "pages="));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_read),
        cmocka_unit_test(test_same_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
