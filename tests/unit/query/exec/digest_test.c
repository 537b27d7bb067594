/* Aggregates that are told of whole morsels, or of runs of time, against the same ones that are
 * made to see each row, over sealed and mutable segments, with and without bitmaps. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "tests/unit/query/made_events.h"

#define COLUMNS MADE_EVENT_COLUMNS
#define LONG_TEXT 300

/* The greatest of all pages is long, the next ones differ in their last byte; in places a page is
 * met once and no dictionary is worth it, and all are NULL. */
static struct value make_page(struct value value, uint32_t row, struct arena *arena)
{
    bool is_lone = row >= MADE_EVENTS_ROWS && row < MADE_EVENTS_ROWS + 3000;
    if (row % 6000 == 11 || is_lone) {
        char *text = arena_alloc(arena, LONG_TEXT);
        memset(text, is_lone ? 'y' : 'z', LONG_TEXT);
        snprintf(text + LONG_TEXT - 8, 8, "%07u", (unsigned)(row * 31 % 100000));
        value = (struct value){.type = value.type, .text = slice_of(text, LONG_TEXT - 1)};
    }
    value.is_null = value.is_null || (row >= 65530 && row < MADE_EVENTS_ROWS);
    return value;
}

/* "ratio" is nothing but zeros of both signs in places. */
static struct value make_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                              struct arena *arena)
{
    struct value value = made_event_cell(chance, column, row, arena);
    if (column == MADE_RATIO)
        value.f = row < 66000 ? (double)row / 7 - 300 : random_below(chance, 2) == 0 ? -0.0 : 0.0;
    return column == MADE_PAGE ? make_page(value, row, arena) : value;
}

static void setup(struct made_store *f)
{
    made_store_open(f, &(struct made_options){0});
    made_events_begin(f, COLUMNS, make_cell);
    made_store_seal(f);
    made_events_end(f, COLUMNS, make_cell);
}

/* The rows, without their head. */
static void run(struct made_store *f, const char *text, bool has_bitmaps, char *out,
                size_t out_size)
{
    const struct made_setting settings[] = {{"freshet.bitmaps", has_bitmaps ? "on" : "off"}, {0}};
    made_answer(f->engine, text, settings, out, out_size);
    const char *rows = strchr(out, '\n');
    memmove(out, rows, strlen(rows) + 1);
}

static const char *const lists[] = {
    "count(*)%s",
    "count(*)%s, max(ts)%s, min(ts)%s",
    "count(n)%s, sum(n)%s, avg(n)%s, min(n)%s, max(n)%s",
    "count(word)%s, min(word)%s, max(kind)%s",
    "sum(price)%s, max(price)%s, avg(price)%s, min(price)%s",
    "min(ratio)%s, max(ratio)%s",
    "sum(n)%s, sum(ratio)%s, count(*)%s, max(ts)%s",
    "min(page)%s, max(page)%s",
    "max(word)%s, count(*)%s, max(page)%s, count(page)%s, sum(n)%s",
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
    "page IS NULL",
    "page > ''",
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
    return fault_is("sealed.extent_of_codes") || fault_is("sealed.extent_of_zone") ||
           fault_is("sealed.run_begins_early") || fault_is("sealed.run_ends_late") ||
           fault_is("sealed.list_short") || fault_is("group.run_last_window");
}

static uint32_t count_differences(struct made_store *f, size_t form)
{
    static char answer[3][4 << 20];
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
    struct made_store f;
    setup(&f);
    for (size_t form = 0; form < array_count(forms); form++)
        assert_int_equal(count_differences(&f, form), 0);
#ifndef FRESHET_CHECK /* the sensitivity is shown once, by the release build */
    static const struct {
        const char *name;
        size_t form;
    } faults[] = {
        {"sealed.extent_of_codes", 0},  {"sealed.extent_of_zone", 0}, {"sealed.list_short", 0},
        {"sealed.run_begins_early", 2}, {"sealed.run_ends_late", 1},  {"group.run_last_window", 5},
    };
    for (size_t i = 0; i < array_count(faults); i++) {
        fault_plant(faults[i].name);
        if (count_differences(&f, faults[i].form) == 0)
            fail_msg("%s was not found", faults[i].name);
        fault_clear();
    }
#endif
    made_store_close(&f);
}

/* Conditions that blocks are asked for, and the same ones hidden from them. */
static uint32_t count_wrong_pairs(struct made_store *f)
{
    static const char *const pairs[][2] = {
        {"kind IN ('blue', 'red') AND ratio > -100",
         "kind || '' IN ('blue', 'red') AND ratio + 0 > -100"},
        {"ratio > -200 AND ratio < 5000 AND kind = 'green'",
         "ratio + 0 > -200 AND ratio + 0 < 5000 AND kind || '' = 'green'"},
        {"kind <> 'blue' AND n > 0 AND ratio < 7000",
         "kind || '' <> 'blue' AND n + 0 > 0 AND ratio + 0 < 7000"},
        {"n IS NOT NULL AND kind = 'red'", "n + 0 IS NOT NULL AND kind || '' = 'red'"},
    };
    static char answer[2][4 << 20];
    uint32_t wrong = 0;
    for (size_t pair = 0; pair < array_count(pairs); pair++) {
        for (size_t side = 0; side < 2; side++) {
            char query[1024];
            snprintf(
                query, sizeof(query),
                "SELECT date_trunc('second', ts), count(*), min(ratio), max(ratio), sum(price), "
                "count(n) FROM t WHERE %s GROUP BY 1 ORDER BY 1",
                pairs[pair][side]);
            run(f, query, false, answer[side], sizeof(answer[side]));
        }
        wrong += strcmp(answer[0], answer[1]) != 0;
    }
    return wrong;
}

static void test_conditions_together(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    assert_int_equal(count_wrong_pairs(&f), 0);
    fault_plant("sealed.common_short");
    assert_true(count_wrong_pairs(&f) > 0);
    fault_clear();
    made_store_close(&f);
}

/* What the footers say is not read. */
static void test_nothing_is_read(void **state)
{
    (void)state;
    struct made_store f;
    char plan[2048];
    setup(&f);
    run(&f, "EXPLAIN ANALYZE SELECT count(*), max(ts), min(n), count(word) FROM t", true, plan,
        sizeof(plan));
    assert_null(strstr(plan, "pages="));
    run(&f, "EXPLAIN ANALYZE SELECT count(*), max(ts), sum(n) FROM t", true, plan, sizeof(plan));
    assert_non_null(strstr(plan, "pages="));
    run(&f, "EXPLAIN ANALYZE SELECT min(kind), max(word) FROM t", true, plan, sizeof(plan));
    assert_non_null(strstr(plan, "pages=4 ")); /* the dictionaries of two segments, no block */
    made_store_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_read),
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_conditions_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
