/* Queries in a memory far too small for them, with a disk to go to, against the same ones in one
 * that holds them: the answers are equal byte for byte (as sets of lines where the query does not
 * order them). Then the same with mistakes planted, and with a disk that fails. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "tests/unit/query/made_store.h"

#define LARGE "256MB"
/* Sanitizers see fewer queries. */
#ifdef FRESHET_CHECK
#define RANDOM_QUERIES 6
#else
#define RANDOM_QUERIES 16
#endif

static void setup(struct made_store *f)
{
    made_store_open(f, &(struct made_options){.memory_limit = (size_t)1 << 30,
                                              .has_temp = true,
                                              .engine = {.query_memory_limit = 256 << 20}});
}

/* --- a run --- */

struct outcome {
    enum err err;
    struct error error;
    char *text;       /* csv; NULL: it failed */
    uint64_t spilled; /* bytes */
};

static struct outcome run(struct made_store *f, const char *text, const char *memory,
                          const char *spill)
{
    const struct made_setting settings[] = {
        {"freshet.query_memory", memory}, {"freshet.spill", spill}, {0}};
    struct query_answer answer;
    struct temp_figures before, after;
    temp_space_figures(f->temp, &before);
    struct outcome outcome = {.err = made_query(f->engine, text, settings, RESULT_CSV, &answer)};
    temp_space_figures(f->temp, &after);
    assert_int_equal(after.used, 0);
    outcome.spilled = after.written - before.written;
    outcome.error = answer.error;
    if (outcome.err == OK) {
        writer_u8(&answer.body, 0);
        outcome.text = strdup((const char *)answer.body.data);
    }
    writer_deinit(&answer.body);
    return outcome;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in order of their bytes. */
static void sort_lines(char *text)
{
    size_t count = 0, size = strlen(text), at = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    char **lines = malloc((count + 1) * sizeof(*lines));
    char *copy = strdup(text);
    count = 0;
    for (char *line = copy, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(*lines), compare_lines);
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, size + 1 - at, "%s\n", lines[i]);
    free(lines);
    free(copy);
}

enum verdict { SAME, DIFFERENT, FAILED };

/* One query in both memories. */
static enum verdict compare(struct made_store *f, const char *text, const char *memory,
                            uint64_t *spilled)
{
    struct outcome large = run(f, text, LARGE, "on"), small = run(f, text, memory, "on");
    bool is_ordered = strstr(text, "/* ordered */") != NULL;
    if (large.err != OK)
        fail_msg("%s: %s %s", text, large.error.sqlstate, large.error.text);
    assert_int_equal(large.spilled, 0);
    enum verdict verdict = small.err == OK ? SAME : FAILED;
    if (small.err == OK && !is_ordered) {
        sort_lines(large.text);
        sort_lines(small.text);
    }
    if (small.err == OK && strcmp(large.text, small.text) != 0)
        verdict = DIFFERENT;
    if (verdict != SAME && !atomic_load(&fault_is_planted))
        print_error("%s: %s %s\n", text, small.error.sqlstate, small.error.text);
    *spilled = small.spilled;
    free(large.text);
    free(small.text);
    return verdict;
}

/* --- the queries --- */

#define SOURCE                                                                                     \
    "(SELECT i, (i * 7919) % 10007 AS k, md5((i % 5000)::text) AS s, "                             \
    "CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 31) % 997 END AS n, i % 1000 / 7.0::float8 AS d, "   \
    "(i % 300)::numeric(10, 2) AS p FROM generate_series(1, 20000) AS g(i)) AS t"

struct query {
    const char *memory, *text;
};

/* The answer itself is charged too: of many rows some are given, by a condition that stays above
 * everything. */
#define SOME_TAIL ") AS q WHERE CASE WHEN random() >= 0 THEN i % 13 = 0 END"
#define SOME_OF(query) "SELECT * FROM (" query SOME_TAIL

static const struct query sorts[] = {
    {"1MB", "/* ordered */ " SOME_OF("SELECT * FROM " SOURCE " ORDER BY k, i")},
    {"600kB", "/* ordered */ SELECT i FROM " SOURCE " ORDER BY n"}, /* stable */
    {"1MB", "/* ordered */ " SOME_OF("SELECT i, s FROM " SOURCE " ORDER BY s DESC, i")},
    {"1MB", "/* ordered */ " SOME_OF("SELECT i, n FROM " SOURCE " ORDER BY n DESC NULLS LAST, -i")},
    {"1MB", "/* ordered */ " SOME_OF("SELECT i, d, s FROM " SOURCE
                                     " ORDER BY d DESC, p, s, i OFFSET 777")},
    {"1MB", "/* ordered */ " SOME_OF("SELECT i, s FROM " SOURCE
                                     " ORDER BY k DESC, i LIMIT 9000 OFFSET 5000")},
    {"1MB", "/* ordered */ " SOME_OF("SELECT i, s FROM " SOURCE " ORDER BY i LIMIT 12000")},
    {"1MB",
     "/* ordered */ " SOME_OF("SELECT i, s, k FROM " SOURCE " ORDER BY i LIMIT 10 OFFSET 19985")},
    {"1MB", "/* ordered */ " SOME_OF("SELECT p, i FROM " SOURCE " ORDER BY p, i DESC")},
    {"320kB",
     "/* ordered */ " SOME_OF("SELECT * FROM " SOURCE " ORDER BY s, i")}, /* runs of runs */
    {"6MB", "/* ordered */ " SOME_OF("SELECT i, repeat(s, 30 + i::int % 40) AS r FROM " SOURCE
                                     " WHERE i < 8000 ORDER BY k, i") " AND i < 1000"},
};

static void check_all(const struct query *queries, size_t count)
{
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < count; i++) {
        uint64_t spilled;
        assert_int_equal(compare(&f, queries[i].text, queries[i].memory, &spilled), SAME);
        if (spilled == 0)
            fail_msg("%s: nothing was spilled", queries[i].text);
    }
    made_store_close(&f);
}

static void test_sorts(void **state)
{
    (void)state;
    check_all(sorts, array_count(sorts));
}

static const struct query groups[] = {
    {"1MB",
     SOME_OF("SELECT k AS i, count(*), sum(n), min(i), max(d), avg(p) FROM " SOURCE " GROUP BY k")},
    {"1MB", SOME_OF("SELECT i, k, count(*) AS c FROM " SOURCE " GROUP BY i, k")},
    {"2MB", SOME_OF("SELECT i, s, n, d, p FROM " SOURCE " GROUP BY i, s, n, d, p")},
    {"1MB", "SELECT count(*), sum(i), max(s) FROM (SELECT DISTINCT i, s FROM " SOURCE ") AS q"},
    {"1MB", "SELECT count(*), sum(c), sum(i) FROM (SELECT i, i::text AS t, count(*) AS c "
            "FROM generate_series(1, 400000) AS g(i) GROUP BY 1, 2) AS q"}, /* parts of parts */
    {"1MB", SOME_OF("SELECT i / 2 AS i, min(s), max(s) FROM " SOURCE " GROUP BY i / 2")},
    {"1MB", SOME_OF("SELECT i % 4000 AS i, array_agg(n), string_agg(s, ',') FROM " SOURCE
                    " WHERE i <= 9000 GROUP BY 1")},
    {"2MB", SOME_OF("SELECT i % 3000 AS i, count(DISTINCT n), sum(DISTINCT k) FROM " SOURCE
                    " GROUP BY 1")},
    {"2MB", SOME_OF("SELECT i % 3001 AS i, string_agg(s, ',' ORDER BY n DESC, s), "
                    "array_agg(DISTINCT k % 3) FROM " SOURCE " GROUP BY 1")},
    {"4MB",
     SOME_OF("SELECT i % 5000 AS i, percentile_cont(0.3) WITHIN GROUP (ORDER BY d), "
             "first(s, n), count(*) FILTER (WHERE n > 500), mode() WITHIN GROUP (ORDER BY k), "
             "approx_count_distinct(s) FROM " SOURCE " GROUP BY 1")},
    {"1MB", SOME_OF("SELECT i, k % 10 AS k, grouping(i), count(*) FROM " SOURCE
                    " GROUP BY ROLLUP (i, k % 10)")},
    {"1MB", "SELECT n, d::numeric, count(*), sum(i) FROM " SOURCE " GROUP BY n, d::numeric, i % 7 "
            "HAVING sum(i) % 50 = 0"},
};

static void test_groups(void **state)
{
    (void)state;
    check_all(groups, array_count(groups));
}

/* What DISTINCT has seen of a group must be there at once (query/README.md): of a group of 20,000
 * integers far apart beside 63 of 1,270, 115 bytes an integer are enough, 30 are not. */
static void test_distinct_of_one_group(void **state)
{
    (void)state;
    static const char text[] =
        "SELECT count(*), sum(c) FROM (SELECT CASE WHEN i <= 20000 THEN 0 ELSE i % 63 + 1 END, "
        "count(DISTINCT i::bigint * 1000003) AS c FROM generate_series(1, 100000) AS g(i) "
        "GROUP BY 1) AS q";
    struct made_store f;
    uint64_t spilled;
    setup(&f);
    assert_int_equal(compare(&f, text, "2300kB", &spilled), SAME);
    assert_true(spilled != 0);
    struct outcome small = run(&f, text, "600kB", "on");
    assert_int_equal(small.err, ERR_LIMIT);
    assert_string_equal(small.error.sqlstate, "53200");
    free(small.text);
    assert_int_equal(f.memory.used, 0);
    made_store_close(&f);
}

/* Keys of both sides: some in one of them alone, some NULL, some on many rows. */
#define LEFT                                                                                       \
    "(SELECT i, CASE WHEN i % 17 = 0 THEN NULL ELSE i % 9000 END AS a, md5((i % 6000)::text) AS "  \
    "s "                                                                                           \
    "FROM generate_series(1, 12000) AS g(i)) AS l"
#define RIGHT                                                                                      \
    "(SELECT j, CASE WHEN j % 19 = 0 THEN NULL ELSE j % 8000 + 500 END AS b, "                     \
    "md5((j % 7000)::text) AS t FROM generate_series(1, 14000) AS g(j)) AS r"
#define SUM_OF(columns, rest) "SELECT count(*), " columns " FROM (SELECT * FROM " rest ") AS q"
#define ALL_SUMS "count(i), sum(i), count(j), sum(j), sum(i * j % 1009), max(s), min(t), count(t)"

static const struct query joins[] = {
    {"1MB", SUM_OF(ALL_SUMS, LEFT " JOIN " RIGHT " ON a = b")},
    {"1MB", SUM_OF(ALL_SUMS, LEFT " LEFT JOIN " RIGHT " ON a = b")},
    {"1MB", SUM_OF(ALL_SUMS, LEFT " RIGHT JOIN " RIGHT " ON a = b")},
    {"1MB", SUM_OF(ALL_SUMS, LEFT " FULL JOIN " RIGHT " ON a = b")},
    {"1MB", SUM_OF(ALL_SUMS, LEFT " FULL JOIN " RIGHT " ON s = t AND a = b")},
    {"1MB", SUM_OF(ALL_SUMS, LEFT " LEFT JOIN " RIGHT " ON a = b AND i % 5 < j % 7")},
    {"1MB", SUM_OF("sum(i), max(s)", LEFT " WHERE EXISTS (SELECT FROM " RIGHT " WHERE a = b)")},
    {"1MB", SUM_OF("sum(i), max(s)", LEFT " WHERE NOT EXISTS (SELECT FROM " RIGHT " WHERE a = b)")},
    {"1MB", SUM_OF("sum(i), max(s)",
                   LEFT " WHERE EXISTS (SELECT FROM " RIGHT " WHERE a = b AND i % 5 < j % 7)")},
    {"1MB", SUM_OF("sum(i), max(s)",
                   LEFT " WHERE NOT EXISTS (SELECT FROM " RIGHT " WHERE s = t AND i % 5 < j % 7)")},
    /* one key on all rows, and no key: passes */
    {"1MB", SUM_OF("sum(i), sum(j), max(t)", "(SELECT i, s FROM " LEFT " WHERE i < 40) AS l2 "
                                             "LEFT JOIN (SELECT j, t FROM " RIGHT
                                             ") AS r2 ON i % 2 = j - j AND j % 50 = i % 50")},
    {"1MB",
     SUM_OF("sum(i), sum(j), max(t), count(t)",
            "(SELECT i, s FROM " LEFT " WHERE i < 40) AS l2 LEFT JOIN (SELECT j, t FROM " RIGHT
            ") AS r2 ON i * 300 > j + 9000")},
    {"1MB", SUM_OF("sum(i), sum(j), max(t)",
                   "(SELECT i, s FROM " LEFT
                   " WHERE i < 30) AS l2 CROSS JOIN (SELECT j, t FROM " RIGHT ") AS r2")},
};

static void test_joins(void **state)
{
    (void)state;
    check_all(joins, array_count(joins));
}

/* Sides that have some rows once, some often, some not at all, NULLs among them. */
#define SIDE_A                                                                                     \
    "SELECT CASE WHEN i % 41 = 0 THEN NULL ELSE i % 9000 END AS i, md5((i % 9000)::text) AS s, "   \
    "((i % 9000) / 10.0)::numeric(10, 2) AS p FROM generate_series(1, 16000) AS g(i)"
#define SIDE_B                                                                                     \
    "SELECT CASE WHEN i % 43 = 0 THEN NULL ELSE i % 12000 + 3000 END, "                            \
    "md5((i % 12000 + 3000)::text), ((i % 12000 + 3000) / 10.0)::numeric(10, 3) "                  \
    "FROM generate_series(1, 30000) AS g(i)"
#define SET_OF(word) SOME_OF(SIDE_A " " word " " SIDE_B)
#define SET_SUM(word)                                                                              \
    "SELECT count(*), count(i), sum(i), max(s), sum(p) FROM (" SIDE_A " " word " " SIDE_B ") AS q"

static const struct query sets[] = {
    {"1MB", SET_OF("INTERSECT")},
    {"1MB", SET_OF("EXCEPT")},
    {"1MB", SET_SUM("INTERSECT ALL")},
    {"1MB", SET_SUM("EXCEPT ALL")},
    {"1MB",
     "SELECT count(*), sum(i) FROM (SELECT i, i::text AS t FROM generate_series(1, 100000) AS "
     "g(i) EXCEPT SELECT i, i::text FROM generate_series(100, 90000, 3) AS g(i)) AS q"},
    {"1MB", "SELECT count(*), sum(i) FROM (SELECT i % 20000 AS i, 'a' FROM "
            "generate_series(1, 200000) AS g(i) EXCEPT ALL SELECT i, 'a' FROM "
            "generate_series(1, 19999) AS g(i)) AS q"},
};

static void test_sets(void **state)
{
    (void)state;
    check_all(sets, array_count(sets));
}

/* Partitions of all rows, of a third, of one row and of most; each kind of frame and function. */
static const struct query windows[] = {
    {"2MB", SOME_OF("SELECT i, s, p, row_number() OVER w, rank() OVER w, dense_rank() OVER w "
                    "FROM " SOURCE " WINDOW w AS (ORDER BY n, s, i / 3)")},
    {"2MB", SOME_OF("SELECT i, s, sum(k) OVER (PARTITION BY i % 3 ORDER BY k, i) FROM " SOURCE)},
    {"2MB", SOME_OF("SELECT i, s, d, lag(k, 3) OVER w, lead(n, 2, -1) OVER w FROM " SOURCE
                    " WINDOW w AS (ORDER BY k DESC, i)")},
    {"2MB", SOME_OF("SELECT i, s, s AS t, avg(d) OVER (ORDER BY k, i ROWS BETWEEN 50 PRECEDING "
                    "AND 7 FOLLOWING) FROM " SOURCE)},
    {"2MB", SOME_OF("SELECT i, s, count(*) FILTER (WHERE n > 400) OVER (ORDER BY k RANGE BETWEEN "
                    "10 PRECEDING AND 5 FOLLOWING) FROM " SOURCE)},
    {"2MB", SOME_OF("SELECT i, s, ntile(7) OVER w, percent_rank() OVER w, cume_dist() OVER w "
                    "FROM " SOURCE " WINDOW w AS (PARTITION BY i % 2 ORDER BY k)")},
    {"3MB", SOME_OF("SELECT i, s, p, sum(k) OVER (), max(k) OVER (ORDER BY n NULLS FIRST GROUPS "
                    "2 PRECEDING EXCLUDE TIES) FROM " SOURCE)},
    {"2MB", SOME_OF("SELECT i, s, interpolate(n) OVER (ORDER BY i), locf(n) OVER (ORDER BY i) "
                    "FROM " SOURCE)},
    {"2MB", SOME_OF("SELECT i, s, p, d, row_number() OVER (PARTITION BY CASE WHEN i < 15000 THEN 0 "
                    "ELSE i END ORDER BY k, i), first_value(k) OVER (PARTITION BY CASE WHEN i < "
                    "4000 THEN -i ELSE 1 END ORDER BY k, i) FROM " SOURCE)},
    {"2MB", SOME_OF("SELECT i, s, min(k) OVER (PARTITION BY i % 4000 ORDER BY i) FROM " SOURCE)},
};

static void test_windows(void **state)
{
    (void)state;
    check_all(windows, array_count(windows));
}

/* A few built rows with long texts that fit are not kept twice. */
static void test_documents(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    struct outcome outcome =
        run(&f,
            "SELECT count(*), sum(length(t)) FROM generate_series(1, 4000) AS g(i) JOIN "
            "(SELECT j, repeat(md5(j::text), 160) AS t FROM generate_series(1, 1000) AS h(j)) AS r "
            "ON i = j",
            "14MB", "on");
    if (outcome.err != OK)
        fail_msg("%s %s", outcome.error.sqlstate, outcome.error.text);
    assert_string_equal(outcome.text, "count,sum\r\n1000,5120000\r\n");
    assert_int_equal(outcome.spilled, 0);
    free(outcome.text);
    made_store_close(&f);
}

/* --- random programs --- */

static const char *pick(struct random_stream *chance, const char *const *words, size_t count)
{
    return words[random_below(chance, count)];
}
#define PICK(chance, words) pick(chance, words, array_count(words))

/* A query of one of five shapes over a source with NULLs, doubles, numerics and long texts. */
static void compose(struct random_stream *chance, char *out, size_t size)
{
    static const char *const keys[] = {"i", "k",      "s",      "n",  "d",
                                       "p", "i % 77", "s || k", "-d", "n, s"};
    static const char *const orders[] = {"", " DESC", " NULLS FIRST", " DESC NULLS LAST"};
    static const char *const calls[] = {"count(*)",
                                        "count(n)",
                                        "sum(n)",
                                        "sum(p)",
                                        "max(s)",
                                        "min(d)",
                                        "count(DISTINCT k % 9)",
                                        "string_agg(left(s, 2), '' ORDER BY i)",
                                        "array_agg(n)",
                                        "bool_or(n > 990)",
                                        "last(s, i)",
                                        "sum(k) FILTER (WHERE n IS NULL)"};
    static const char *const kinds[] = {"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"};
    static const char *const conditions[] = {"a = b", "s = t", "a = b AND i < j",
                                             "i = j AND s = t"};
    static const char *const words[] = {"INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"};
    static const char *const over[] = {
        "row_number()", "rank()",      "lag(k, 2)",     "lead(s)",
        "sum(n)",       "avg(d)",      "max(s)",        "count(n) FILTER (WHERE k > 5000)",
        "ntile(9)",     "cume_dist()", "last_value(p)", "locf(n)"};
    static const char *const frames[] = {
        "", " ROWS BETWEEN 9 PRECEDING AND CURRENT ROW",
        " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        " GROUPS BETWEEN 3 PRECEDING AND 2 FOLLOWING EXCLUDE GROUP",
        " RANGE BETWEEN 40 PRECEDING AND 5 FOLLOWING"};
    static const char *const partitions[] = {"", "PARTITION BY i % 3 ", "PARTITION BY i / 12000 ",
                                             "PARTITION BY n "};
    static const char *const parts[] = {"i, s, n", "k, d, s", "n, p, s", "s, n, i"};
    char rest[64] = "";
    switch (random_below(chance, 5)) {
    case 0:
        if (random_below(chance, 2) == 0)
            snprintf(rest, sizeof(rest), " LIMIT %u OFFSET %u",
                     (unsigned)random_below(chance, 15000), (unsigned)random_below(chance, 9000));
        snprintf(out, size, "%s%s%s, i%s%s",
                 "/* ordered */ SELECT * FROM (SELECT i, n, d, s FROM " SOURCE " ORDER BY ",
                 PICK(chance, keys), PICK(chance, orders), rest, SOME_TAIL);
        return;
    case 1:
        snprintf(out, size, "SELECT * FROM (SELECT i, %s, %s FROM %s%s%s", PICK(chance, calls),
                 PICK(chance, calls), SOURCE " GROUP BY i, ", PICK(chance, keys), SOME_TAIL);
        return;
    case 2: {
        const char *columns = PICK(chance, parts);
        snprintf(out, size,
                 "SELECT count(*), count(a), max(a::text), min(b::text), max(c::text) FROM (SELECT "
                 "%s FROM %s %s SELECT %s FROM %s) AS q(a, b, c)",
                 columns, SOURCE " WHERE i % 5 <> 1", PICK(chance, words), columns,
                 SOURCE " WHERE i % 3 <> 1");
        return;
    }
    case 3: {
        const char *partition = PICK(chance, partitions), *frame = PICK(chance, frames);
        snprintf(out, size,
                 "SELECT * FROM (SELECT i, s, p, %s OVER (w%s), %s OVER (w%s) FROM %s WINDOW w AS "
                 "(%sORDER BY i + k * 0)%s",
                 PICK(chance, over), frame, PICK(chance, over), frame, SOURCE, partition,
                 SOME_TAIL);
        return;
    }
    default:
        snprintf(out, size, "%s %s %s ON %s) AS q",
                 "SELECT count(*), " ALL_SUMS " FROM (SELECT * FROM " LEFT, PICK(chance, kinds),
                 RIGHT, PICK(chance, conditions));
    }
}

static void test_random(void **state)
{
    (void)state;
    struct made_store f;
    struct random_stream chance;
    static const char *const memories[] = {"2MB", "3MB", "4MB"};
    uint64_t seed = 20261121, spilled_count = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    random_stream_init(&chance, seed);
    setup(&f);
    for (int i = 0; i < RANDOM_QUERIES; i++) {
        char text[2048];
        uint64_t spilled;
        compose(&chance, text, sizeof(text));
        const char *memory = PICK(&chance, memories);
        if (compare(&f, text, memory, &spilled) != SAME)
            fail_msg("%s: %s", memory, text);
        spilled_count += spilled != 0;
    }
    assert_true(spilled_count >= RANDOM_QUERIES / 2);
    made_store_close(&f);
}

/* --- off --- */

static void test_off(void **state)
{
    (void)state;
    const struct query *all[] = {&sorts[0], &groups[2], &joins[0], &sets[0], &windows[0]};
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < array_count(all); i++) {
        struct outcome outcome = run(&f, all[i]->text, all[i]->memory, "off");
        assert_int_equal(outcome.err, ERR_LIMIT);
        assert_memory_equal(outcome.error.sqlstate, "53200", 5);
        assert_int_equal(outcome.spilled, 0);
        free(outcome.text);
    }
    made_store_close(&f);
}

/* --- planted mistakes --- */

#ifndef FRESHET_CHECK /* the sensitivity is shown once, by the release build */

static const struct {
    const char *fault;
    const struct query *query;
} planted[] = {
    {"sort.run_dropped", &sorts[0]},         {"sort.merge_order", &sorts[1]},
    {"spill.part_lost", &groups[3]},         {"spill.part_twice", &groups[0]},
    {"spill.part_lost", &groups[7]},         {"spill.part_lost", &joins[0]},
    {"spill.part_twice", &joins[3]},         {"join.pass_forgotten", &joins[11]},
    {"spill.part_lost", &sets[0]},           {"spill.part_twice", &sets[3]},
    {"setop.right_not_put_aside", &sets[3]}, {"window.last_row_aside", &windows[0]},
    {"window.last_row_aside", &windows[4]},
};

static void test_planted(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(planted); i++) {
        struct made_store f;
        uint64_t spilled;
        setup(&f);
        fault_plant(planted[i].fault);
        enum verdict verdict =
            compare(&f, planted[i].query->text, planted[i].query->memory, &spilled);
        fault_clear();
        if (verdict == SAME)
            fail_msg("%s is not found", planted[i].fault);
        made_store_close(&f);
    }
}

#endif

/* --- a disk that fails --- */

/* Each operation of a query fails once: a clear error, and nothing left behind. */
static void test_disk_errors(void **state)
{
    (void)state;
    static const struct query *const victims[] = {&sorts[0], &groups[0], &groups[7],
                                                  &joins[3], &sets[1],   &windows[0]};
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < array_count(victims); i++) {
        uint64_t first = sim_operation_count(f.sim), failures = 0;
        struct outcome outcome = run(&f, victims[i]->text, victims[i]->memory, "on");
        uint64_t count = sim_operation_count(f.sim) - first;
        assert_int_equal(outcome.err, OK);
        free(outcome.text);
        for (uint64_t at = 1; at <= count; at += 1 + count / 9) {
            enum sim_fault fault = at % 2 == 0 ? SIM_FAULT_ERROR : SIM_FAULT_SPACE;
            sim_fail_at(f.sim, sim_operation_count(f.sim) + at, fault, false);
            outcome = run(&f, victims[i]->text, victims[i]->memory, "on");
            sim_fail_at(f.sim, 0, SIM_FAULT_NONE, false);
            failures += outcome.err != OK;
            bool is_clear = outcome.err == OK || outcome.err == ERR_IO || outcome.err == ERR_SPACE;
            if (!is_clear)
                fail_msg("%s: %s", outcome.error.sqlstate, outcome.error.text);
            free(outcome.text);
            assert_int_equal(atomic_load(&f.memory.used), 0);
        }
        assert_true(failures > 0);
    }
    made_store_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorts),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_distinct_of_one_group),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_off),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_planted),
#endif
        cmocka_unit_test(test_disk_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
