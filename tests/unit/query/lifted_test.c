/* Plans that serve other texts of their shape: what is lifted, what is not, and that the answers
 * are those of the text's own plan. Also covers query/plan/lift.c and the shapes of query/cache.c.
 */
#include "query/query.h"

#include "storage/base/fault.h"
#include "storage/base/metrics.h"
#include "tests/unit/query/made_store.h"

#define ROWS 200
#define START_US INT64_C(1777593600000000) /* 2026-05-01 00:00 */

static const struct {
    const char *name;
    enum type_id type;
    uint8_t precision;
} columns[] = {{"t", TYPE_TIMESTAMPTZ, 0}, {"n", TYPE_INT4, 0},    {"b", TYPE_INT8, 0},
               {"x", TYPE_FLOAT8, 0},      {"v", TYPE_NUMERIC, 9}, {"s", TYPE_TEXT, 0}};
#define COLUMNS array_count(columns)

static void create_table(struct made_store *f, struct error *error)
{
    struct schema *schema = schema_create();
    schema->table_id = store_next_table_id(f->store);
    schema->version = 1;
    schema->name = SLICE("e");
    schema->column_count = COLUMNS;
    schema->columns = arena_alloc_zero(&schema->arena, COLUMNS * sizeof(*schema->columns));
    for (size_t i = 0; i < COLUMNS; i++)
        schema->columns[i] = (struct column_definition){
            .id = (uint32_t)i + 1,
            .name = slice_from_cstr(columns[i].name),
            .type = {.id = columns[i].type, .precision = columns[i].precision},
            .is_not_null = i == 0,
            .missing = {.type = type_of(columns[i].type), .is_null = true}};
    schema->next_column_id = COLUMNS + 1;
    schema->options.rest_column = schema->options.whole_column = -1;
    struct commit *commit = commit_create(f->store);
    uint64_t position;
    commit_set_change(commit, CHANGE_CREATE, schema->table_id, schema);
    if (store_commit(f->store, commit, &position, error) != OK)
        fail_msg("%s", error->text);
}

static void insert_rows(struct made_store *f, struct error *error)
{
    static const char *const words[] = {"a", "b", "it's", "\xc3\xa9t\xc3\xa9", "5"};
    int64_t times[ROWS], numbers[ROWS];
    double doubles[ROWS];
    struct numeric numerics[ROWS];
    struct slice texts[ROWS];
    uint32_t ids[COLUMNS];
    for (int i = 0; i < ROWS; i++) {
        times[i] = START_US + (int64_t)i * 600000000;
        numbers[i] = i % 12;
        doubles[i] = i / 4.0;
        numerics[i] = numeric_from_int(i % 7);
        texts[i] = slice_from_cstr(words[i % 5]);
    }
    for (size_t i = 0; i < COLUMNS; i++)
        ids[i] = (uint32_t)i + 1;
    struct column in[COLUMNS] = {{.type = type_of(TYPE_TIMESTAMPTZ), .i = times},
                                 {.type = type_of(TYPE_INT4), .i = numbers},
                                 {.type = type_of(TYPE_INT8), .i = numbers},
                                 {.type = type_of(TYPE_FLOAT8), .f = doubles},
                                 {.type = type_of(TYPE_NUMERIC), .n = numerics},
                                 {.type = type_of(TYPE_TEXT), .text = texts}};
    struct batch batch = {.row_count = ROWS, .column_count = COLUMNS, .columns = in};
    struct commit *commit = commit_create(f->store);
    struct snapshot *snapshot = snapshot_open(f->store);
    uint64_t position;
    commit_add_rows(commit, table_view_schema(snapshot_find(snapshot, SLICE("e"))), ids, &batch);
    snapshot_close(snapshot);
    if (store_commit(f->store, commit, &position, error) != OK)
        fail_msg("%s", error->text);
}

static void setup(struct made_store *f)
{
    struct error error;
    made_store_open(f, &(struct made_options){0});
    create_table(f, &error);
    insert_rows(f, &error);
}

static void run(struct made_store *f, const char *text, const char *mode, struct query_answer *out)
{
    const struct made_setting settings[] = {{"freshet.plan_cache", mode}, {0}};
    if (made_query(f->engine, text, settings, RESULT_CSV, out) == OK)
        out->error = (struct error){0};
}

static bool is_same(const struct query_answer *a, const struct query_answer *b)
{
    return a->result == b->result && strcmp(a->error.sqlstate, b->error.sqlstate) == 0 &&
           strcmp(a->error.text, b->error.text) == 0 &&
           a->error.text_position == b->error.text_position &&
           slice_equal(writer_as_slice(&a->body), writer_as_slice(&b->body));
}

/* Is the text's answer the one of its own plan? *is_hit: it was another text's plan. */
static bool is_right(struct made_store *f, const char *text, bool *is_hit)
{
    struct query_answer off, on;
    run(f, text, "off", &off);
    int64_t before = metric_get(&metrics.plan_shape_hits);
    run(f, text, "on", &on);
    *is_hit = metric_get(&metrics.plan_shape_hits) != before;
    bool is = is_same(&off, &on);
    writer_deinit(&off.body);
    writer_deinit(&on.body);
    return is;
}

/* --- tests --- */

struct pair {
    const char *first, *second;
    bool is_shared; /* the second runs by the plan of the first */
};

#define E "SELECT count(*), sum(n), min(s) FROM e WHERE "
static const struct pair pairs[] = {
    /* values */
    {E "n > 5", E "n > 7", true},
    {E "n > 5 OR n = 2", E "n > 11 OR n = 3", true},
    {E "NOT n = 5", E "NOT n = 6", true},
    {E "5 < n", E "7 < n", true},
    {E "b > 5", E "b > 7", true},
    {E "x > 5", E "x > 7", true},
    {E "x > 5.5", E "x > 7.25", true},
    {E "v = 5", E "v = 3", true},
    {E "n > 1.5", E "n > 2.25", true},
    {E "n > '5'", E "n > '7'", true},
    {E "s = 'a'", E "s = 'b'", true},
    {E "s = 'a'", E "s = 'it''s'", true},
    {E "s = '\xc3\xa9t\xc3\xa9'", E "s = 'a'", true},
    {E "s <> 'a' AND n BETWEEN 2 AND 4", E "s <> 'b' AND n BETWEEN 3 AND 9", true},
    {E "n NOT BETWEEN 2 AND 4", E "n NOT BETWEEN 5 AND 9", true},
    {E "n BETWEEN SYMMETRIC 4 AND 2", E "n BETWEEN SYMMETRIC 3 AND 9", true},
    {E "s IN ('a', 'b')", E "s IN ('5', 'a')", true},
    {E "n IN (1, 2.5)", E "n IN (3, 4.5)", true},
    {E "t >= '2026-05-01T03:00:00Z' AND t < '2026-05-01T09:00:00Z'",
     E "t >= '2026-05-01T04:30:00.5Z' AND t < '2026-05-01T07:00:00Z'", true},
    {E "t >= '2026-05-01 03:00'::timestamptz", E "t >= '2026-05-01 05:00'::timestamptz", true},
    {E "t >= timestamptz '2026-05-01 03:00'", E "t >= timestamptz '2026-05-01 05:00'", true},
    {E "t > '2026-05-01 09:00'::timestamptz - '1 hour'::interval",
     E "t > '2026-05-01 08:00'::timestamptz - '3 hours'::interval", false},
    {E "t > to_timestamp(1777600000)", E "t > to_timestamp(1777610000)", true},
    {E "extract(epoch FROM t) >= 1777600000", E "extract(epoch FROM t) >= 1777610000", true},
    {E "t > to_timestamp(1777600000123/1000)", E "t > to_timestamp(1777610000456/1000)", true},
    {E "t BETWEEN to_timestamp(1777600000123/1000.0) AND now()",
     E "t BETWEEN to_timestamp(1777610000456/1000.0) AND now()", true},
    {E "n > 10 / 2", E "n > 29 / 4", true},
    {E "n > 10 / 2", E "n > 10 / 0", false},
    {E "n > 10 / 2", E "n > 10 / 2.5", false},
    {E "n > 1 AND n > 1", E "n > 7 AND n > 1", true},
    {E "n > 7 OR n > 7", E "n > 7 OR n > 1", true},
    {E "t > TIMESTAMP '2026-05-01 03:00'", E "t > TIMESTAMP '2026-05-01 05:00'", true},
    {E "t < DATE '2026-05-02'", E "t < DATE '2026-05-01'", true},
    {E "t < DATE '2026-05-02'", E "t < TIMESTAMP '2026-05-01'", false},
    {E "t > TIMESTAMP '2026-05-01 03:00'", E "t > TIMESTAMP 'yesterday'", false},
    {E "t > TIMESTAMP '2026-05-01 03:00'", E "t > TIMESTAMP 'nonsense'", false},
    {E "t IN (TIMESTAMP '2026-05-01 03:00', '2026-05-01 04:00Z')",
     E "t IN (TIMESTAMP '2026-05-01 05:00', '2026-05-01 04:10Z')", true},
    {E "n > 5 AND 12 > 3", E "n > 7 AND 12 > 3", true},
    {"SELECT n FROM e WHERE n > 5 GROUP BY n ORDER BY 1",
     "SELECT n FROM e WHERE n > 7 GROUP BY n ORDER BY 1", true},
    {"WITH c AS (SELECT n FROM e WHERE n > 5) SELECT count(*) FROM c, c AS d",
     "WITH c AS (SELECT n FROM e WHERE n > 9) SELECT count(*) FROM c, c AS d", true},
    {E "n = (SELECT max(n) FROM e WHERE n < 9)", E "n = (SELECT max(n) FROM e WHERE n < 4)", true},
    {"SELECT count(*) FROM e a JOIN e b USING (t) WHERE a.n > 5 AND b.x < 30",
     "SELECT count(*) FROM e a JOIN e b USING (t) WHERE a.n > 7 AND b.x < 10", true},
    {"SELECT count(*) FROM e a JOIN e b ON a.t = b.t AND a.n > 5 AND b.x < 30",
     "SELECT count(*) FROM e a JOIN e b ON a.t = b.t AND a.n > 7 AND b.x < 10", true},
    {"SELECT count(*), count(b.n) FROM e a LEFT JOIN e b ON a.t = b.t AND b.n > 5 WHERE a.n > 3",
     "SELECT count(*), count(b.n) FROM e a LEFT JOIN e b ON a.t = b.t AND b.n > 7 WHERE a.n > 4",
     true},
    {"SELECT count(*), count(b.n) FROM e a LEFT JOIN e b ON a.t = b.t AND a.n > 5",
     "SELECT count(*), count(b.n) FROM e a LEFT JOIN e b ON a.t = b.t AND a.n > 7", false},
    /* comments */
    {"SELECT count(*) FROM e /* of ann */", "SELECT count(*) FROM e /* of \xc3\xa9ric's */", true},
    {"/* 1 */ SELECT count(*) FROM e -- a", "/* 2 -- '*/ SELECT count(*) FROM e -- 'b", true},
    {"SELECT n /*a*/ FROM e -- b\nWHERE n > 5 ORDER BY t",
     "SELECT n -- 1\n /* /* c */ */ FROM e -- \nWHERE n > 7 ORDER BY t", false},
    {"SELECT n /*a*/ FROM e -- b\nWHERE n > 5 ORDER BY t",
     "SELECT n /* 5 /* c */ */ FROM e --\nWHERE n > 7 ORDER BY t", true},
    {"SELECT count(*) FROM e /* a */ WHERE 1 / (n - n) > 0",
     "SELECT count(*) FROM e /* \xc3\xa9\xc3\xa9 of others */ WHERE 1 / (n - n) > 0", true},
    {"SELECT n + 1 /* a */ FROM e ORDER BY t", "SELECT n + 2 /* b */ FROM e ORDER BY t", false},
    {"SELECT count(*) FROM e /* a */", "SELECT count(*) FROM e -- a */", true},
    {"SELECT count(*) FROM e /* a */", "SELECT count(*) FROM e", false},
    {"SELECT count(*) FROM e /* a */", "SELECT count(*) FROM e /* a", false},
    {"SELECT count(*) FROM e /* a */", "SELECT count(*) FROM e /*/", false},
    {"SELECT count(*) FROM e /* a */", "SELECT count(*) FROM e /**/ -- /*\n/*/*/ */", false},
    {"SELECT count(*) FROM e /* a */", "SELECT count(*) FROM e /***/ --*/ /*\n/*/**/ */", true},
    {"SELECT count(*) FROM e -- a\v", "SELECT count(*) FROM e /*a*/\v", false},
    {"SELECT count(*) FROM e --a\nWHERE n > 5", "SELECT count(*) FROM e --a WHERE n > 5", false},
    {"SELECT 'a' --b\n'c' FROM e", "SELECT 'a' --d\n'c' FROM e", false},
    {"SELECT 5 */* a */2 FROM e LIMIT 1", "SELECT 5 */* b */2 FROM e LIMIT 1", true},
    {"SELECT count(*) FROM e WHERE n <--a\n5", "SELECT count(*) FROM e WHERE n <--b\n7", true},
    /* FILTER */
    {"SELECT count(*) FILTER (WHERE t > '2026-05-01 03:00Z'), sum(n) FILTER (WHERE n > 5 AND x < "
     "20), count(*) FROM e",
     "SELECT count(*) FILTER (WHERE t > '2026-05-01 07:00Z'), sum(n) FILTER (WHERE n > 7 AND x < "
     "30), count(*) FROM e",
     true},
    {"SELECT s, count(*) FILTER (WHERE n > 5), count(*) FILTER (WHERE n > 6) FROM e WHERE x > 3 "
     "GROUP BY s ORDER BY 1",
     "SELECT s, count(*) FILTER (WHERE n > 9), count(*) FILTER (WHERE n > 2) FROM e WHERE x > 7 "
     "GROUP BY s ORDER BY 1",
     true},
    {"SELECT count(*) FILTER (WHERE n > 5), count(*) FILTER (WHERE n > 6) FROM e",
     "SELECT count(*) FILTER (WHERE n > 7), count(*) FILTER (WHERE n > 7) FROM e", true},
    {"SELECT count(*) FILTER (WHERE n > 5), count(*) FILTER (WHERE n > 5) FROM e",
     "SELECT count(*) FILTER (WHERE n > 7), count(*) FILTER (WHERE n > 5) FROM e", false},
    {"SELECT count(*) FILTER (WHERE n > 5), count(*) FILTER (WHERE n > 5) FROM e",
     "SELECT count(*) FILTER (WHERE n > 5), count(*) FILTER (WHERE n > 7) FROM e", false},
    {"SELECT n, count(*) FILTER (WHERE x > 5) FROM e GROUP BY n HAVING count(*) FILTER (WHERE x > "
     "5) > 12 ORDER BY n",
     "SELECT n, count(*) FILTER (WHERE x > 9) FROM e GROUP BY n HAVING count(*) FILTER (WHERE x > "
     "5) > 12 ORDER BY n",
     false},
    {"SELECT count(*) FILTER (WHERE n > 5) FROM e", "SELECT count(*) FILTER (WHERE n > 5.5) FROM e",
     false},
    {"SELECT count(*) FILTER (WHERE n + 1 > 5 AND n > 3 + 1) FROM e",
     "SELECT count(*) FILTER (WHERE n + 1 > 6 AND n > 7 + 1) FROM e", true},
    {"SELECT count(*) FILTER (WHERE n + 1 > 5) FROM e",
     "SELECT count(*) FILTER (WHERE n + 3 > 5) FROM e", false},
    {"SELECT n, count(*) FILTER (WHERE x > 5) OVER () FROM e ORDER BY t LIMIT 3",
     "SELECT n, count(*) FILTER (WHERE x > 9) OVER () FROM e ORDER BY t LIMIT 3", false},
    {"SELECT count(DISTINCT n) FILTER (WHERE s > 'a') FROM e",
     "SELECT count(DISTINCT n) FILTER (WHERE s > 'b') FROM e", true},
    /* functions in FROM */
    {"SELECT count(*), min(g), max(g) FROM generate_series('2026-05-01 03:00Z'::timestamptz, "
     "'2026-05-01 09:00Z', '5 minutes') g",
     "SELECT count(*), min(g), max(g) FROM generate_series('2026-05-01 04:00Z'::timestamptz, "
     "'2026-05-01 09:30Z', '10 minutes') g",
     true},
    {"SELECT count(*), max(g) FROM generate_series(1, 10 * 2) g",
     "SELECT count(*), max(g) FROM generate_series(3, 9 * 5) g", true},
    {"SELECT count(*), max(g) FROM generate_series(1, 10) g",
     "SELECT count(*), max(g) FROM generate_series(3, 3000000000) g LIMIT 0", false},
    {"SELECT count(*), max(g) FROM generate_series(1, 10, 2) g",
     "SELECT count(*), max(g) FROM generate_series(1, 10, 0) g", true},
    {"SELECT count(*), max(g) FROM generate_series(1, 10) g",
     "SELECT count(*), max(g) FROM generate_series(1, 10.5) g", false},
    {"SELECT g, count(e.t) FROM generate_series('2026-05-01 00:00Z'::timestamptz, '2026-05-01 "
     "20:00Z', interval '2 hours') g LEFT JOIN e ON date_bin('2 hours', e.t, '2026-05-01Z') = g "
     "AND e.t >= '2026-05-01 01:00Z' GROUP BY 1 ORDER BY 1",
     "SELECT g, count(e.t) FROM generate_series('2026-05-01 02:00Z'::timestamptz, '2026-05-01 "
     "22:00Z', interval '2 hours') g LEFT JOIN e ON date_bin('2 hours', e.t, '2026-05-01Z') = g "
     "AND e.t >= '2026-05-01 03:00Z' GROUP BY 1 ORDER BY 1",
     true},
    {"SELECT a.n, g FROM e a, generate_series(a.n, 5) g ORDER BY a.t, g LIMIT 9",
     "SELECT a.n, g FROM e a, generate_series(a.n, 7) g ORDER BY a.t, g LIMIT 9", true},
    {"SELECT * FROM unnest(ARRAY[1, 2]) u", "SELECT * FROM unnest(ARRAY[1, 3]) u", false},
    /* errors of rows, and where they are */
    {E "s = 'a' AND 1 / (n - n) > 0", E "s = 'it''s' AND 1 / (n - n) > 0", true},
    {E "s <> '\xc3\xa9' AND n::text::int / (n - n) > 0",
     E "s <> 'abcdefg' AND n::text::int / (n - n) > 0", true},
    {E "s <> 'z' AND s::int > 0", E "s <> 'zzzzz' AND s::int > 0", true},
    /* literals that cannot be read so, or mean something else */
    {E "t > '2026-05-01'", E "t > 'yesterday'", false},
    {E "t > '2026-05-01'", E "t > 'nonsense'", false},
    {E "t > 'yesterday'", E "t > 'nonsense'", false},
    {E "t > 'yesterday'", E "t > '2026-05-01'", false},
    {"SELECT n FROM e WHERE t <= 'now' LIMIT 0", "SELECT n FROM e WHERE t <= 'nonsense' LIMIT 0",
     false},
    {"SELECT count(*) FILTER (WHERE t > 'now') FROM e WHERE false",
     "SELECT count(*) FILTER (WHERE t > 'nonsense') FROM e WHERE false", false},
    {"SELECT count(*) FROM e a LEFT JOIN e b ON a.t = b.t AND b.t > 'today'",
     "SELECT count(*) FROM e a LEFT JOIN e b ON a.t = b.t AND b.t > '2026-13-45'", false},
    {E "n > '5'", E "n > 'x'", false},
    {E "n > 5", E "n > 5.5", false},
    {E "n > 5", E "n > 3000000000", false},
    {E "n > 5", E "n > 99999999999999999999999", false},
    {E "n > 5", E "n > '5'", false},
    {E "n > 5", E "n > -5", false},
    {E "n > 5", E "n > 5e1", false},
    {E "s = 'a'", E "s = E'\\x62'", false},
    {E "s = U&'a'", E "s = U&'\\0062'", false},
    {E "s = 'a'\n'b'", E "s = 'i'\n't''s'", false},
    /* literals that say what the plan is, or what the answer looks like */
    {"SELECT n, count(*) FROM e GROUP BY 1 ORDER BY 1",
     "SELECT n, count(*) FROM e GROUP BY 1 ORDER BY 2", false},
    {"SELECT n, b FROM e WHERE n > 5 ORDER BY 1, t", "SELECT n, b FROM e WHERE n > 5 ORDER BY 2, t",
     false},
    {"SELECT n + 1 FROM e WHERE n > 5", "SELECT n + 2 FROM e WHERE n > 5", false},
    {"SELECT n FROM e WHERE n > 5 ORDER BY t LIMIT 3",
     "SELECT n FROM e WHERE n > 6 ORDER BY t LIMIT 4", true},
    {"SELECT n FROM e ORDER BY t LIMIT 3", "SELECT n FROM e ORDER BY t LIMIT 0", true},
    {"SELECT n FROM e ORDER BY t DESC LIMIT 3", "SELECT n FROM e ORDER BY t DESC LIMIT 1000", true},
    {"SELECT n FROM e ORDER BY n, t LIMIT 3 OFFSET 2",
     "SELECT n FROM e ORDER BY n, t LIMIT 5 OFFSET 0", true},
    {"SELECT n FROM e ORDER BY t OFFSET 3", "SELECT n FROM e ORDER BY t OFFSET 30000", true},
    {"SELECT count(*) FROM e LIMIT 1", "SELECT count(*) FROM e LIMIT 0", true},
    {"SELECT n, count(*) FROM e GROUP BY n ORDER BY 2 DESC, 1 LIMIT 2",
     "SELECT n, count(*) FROM e GROUP BY n ORDER BY 2 DESC, 1 LIMIT 7", true},
    {"SELECT n FROM e UNION ALL SELECT 5 ORDER BY 1 LIMIT 2",
     "SELECT n FROM e UNION ALL SELECT 5 ORDER BY 1 LIMIT 9", true},
    {"SELECT DISTINCT ON (n) n, t FROM e ORDER BY n, t LIMIT 1",
     "SELECT DISTINCT ON (n) n, t FROM e ORDER BY n, t LIMIT 3", true},
    {"WITH q AS (SELECT n FROM e WHERE n > 5) SELECT n FROM q ORDER BY 1 LIMIT 2",
     "WITH q AS (SELECT n FROM e WHERE n > 4) SELECT n FROM q ORDER BY 1 LIMIT 3", true},
    {"SELECT n FROM e ORDER BY t FETCH FIRST 2 ROWS ONLY",
     "SELECT n FROM e ORDER BY t FETCH FIRST 5 ROWS ONLY", true},
    {"SELECT n FROM e ORDER BY t LIMIT 2.5", "SELECT n FROM e ORDER BY t LIMIT 3.4", true},
    {"SELECT n FROM e ORDER BY t LIMIT 2.5", "SELECT n FROM e ORDER BY t LIMIT 3", false},
    {"SELECT n FROM e ORDER BY t LIMIT 2", "SELECT n FROM e ORDER BY t LIMIT 3000000000", false},
    {"SELECT n FROM e ORDER BY t LIMIT 2.5",
     "SELECT n FROM e ORDER BY t LIMIT 99999999999999999999", false},
    {"SELECT n FROM e ORDER BY t LIMIT 2", "SELECT n FROM e ORDER BY t LIMIT '2'", false},
    {"SELECT n FROM e ORDER BY t LIMIT '2'", "SELECT n FROM e ORDER BY t LIMIT '-2'", false},
    {"SELECT n FROM e ORDER BY t LIMIT -2", "SELECT n FROM e ORDER BY t LIMIT -3", false},
    {"SELECT n FROM e ORDER BY t LIMIT 2", "SELECT n FROM e ORDER BY t LIMIT NULL", false},
    {"SELECT n FROM e ORDER BY t LIMIT 2", "SELECT n FROM e ORDER BY t LIMIT ALL", false},
    {"SELECT n FROM e ORDER BY t LIMIT 1 + 1", "SELECT n FROM e ORDER BY t LIMIT 1 + 2", false},
    /* inside of another, how many rows there are is part of the plan */
    {"SELECT n FROM (SELECT n FROM e ORDER BY t LIMIT 3) q ORDER BY 1",
     "SELECT n FROM (SELECT n FROM e ORDER BY t LIMIT 5) q ORDER BY 1", false},
    {"SELECT count(*) FROM e WHERE EXISTS (SELECT 1 FROM e f WHERE f.n = e.n LIMIT 1)",
     "SELECT count(*) FROM e WHERE EXISTS (SELECT 1 FROM e f WHERE f.n = e.n LIMIT 0)", false},
    {"SELECT n, (SELECT x FROM e f WHERE f.n = e.n ORDER BY t LIMIT 1) FROM e ORDER BY t LIMIT 3",
     "SELECT n, (SELECT x FROM e f WHERE f.n = e.n ORDER BY t LIMIT 0) FROM e ORDER BY t LIMIT 3",
     false},
    {"(SELECT n FROM e ORDER BY t LIMIT 1) UNION ALL SELECT 7 ORDER BY 1",
     "(SELECT n FROM e ORDER BY t LIMIT 2) UNION ALL SELECT 7 ORDER BY 1", false},
    {"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM e WHERE n > 5",
     "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY x) FROM e WHERE n > 5", false},
    {"SELECT time_bucket('1 hour', t) AS h, count(*) FROM e WHERE n > 5 GROUP BY h ORDER BY h",
     "SELECT time_bucket('2 hour', t) AS h, count(*) FROM e WHERE n > 5 GROUP BY h ORDER BY h",
     false},
    {E "n > 5 AND s LIKE 'a%'", E "n > 5 AND s LIKE 'i%'", false},
    {E "n > 5 AND n + 3 > 7", E "n > 5 AND n + 4 > 7", false},
    {E "n / 2 > 2", E "n / 0 > 2", false},
    {E "5 BETWEEN n AND 7", E "9 BETWEEN n AND 7", false},
    {E "n > 5 AND 1 = 1", E "n > 5 AND 1 = 2", false},
    {"SELECT * FROM (SELECT 5 AS k, n FROM e) q WHERE n > k ORDER BY n LIMIT 3",
     "SELECT * FROM (SELECT 7 AS k, n FROM e) q WHERE n > k ORDER BY n LIMIT 3", false},
    {"SELECT * FROM (SELECT t, row_number() OVER (ORDER BY t) AS r FROM e) q WHERE r <= 3",
     "SELECT * FROM (SELECT t, row_number() OVER (ORDER BY t) AS r FROM e) q WHERE r <= 5", false},
    {"SELECT n, count(*) FROM e GROUP BY n HAVING count(*) > 16 ORDER BY n",
     "SELECT n, count(*) FROM e GROUP BY n HAVING count(*) > 5 ORDER BY n", false},
    {"SELECT count(*) FROM e a JOIN e b ON a.n = b.n AND a.x > 3",
     "SELECT count(*) FROM e a JOIN e b ON a.n = b.n AND a.x > 9", true},
    {"SELECT count(*) FROM e a JOIN e b ON a.n = b.n AND a.x > b.x + 3",
     "SELECT count(*) FROM e a JOIN e b ON a.n = b.n AND a.x > b.x + 9", false},
    {"SELECT count(*) FROM e a LEFT JOIN e b ON a.n = b.n AND a.x > b.x AND a.n > 3",
     "SELECT count(*) FROM e a LEFT JOIN e b ON a.n = b.n AND a.x > b.x AND a.n > 9", false},
};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * array_count(pairs); i++) { /* each way round */
        const struct pair *pair = &pairs[i / 2];
        const char *first = i % 2 == 0 ? pair->first : pair->second;
        const char *second = i % 2 == 0 ? pair->second : pair->first;
        struct made_store f;
        bool is_hit;
        setup(&f);
        if (!is_right(&f, first, &is_hit) || is_hit)
            fail_msg("%s: its own plan tells something else", first);
        if (!is_right(&f, second, &is_hit) || !is_right(&f, first, &is_hit))
            fail_msg("%s: not what it says without the cache, after %s", second, first);
        (void)is_right(&f, second, &is_hit);
        made_store_close(&f);
    }
}

static void test_sharing(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(pairs); i++) {
        struct made_store f;
        bool is_hit;
        setup(&f);
        assert_true(is_right(&f, pairs[i].first, &is_hit));
        assert_true(is_right(&f, pairs[i].second, &is_hit));
        if (is_hit != pairs[i].is_shared)
            fail_msg("%s: %s by the plan of %s", pairs[i].second, is_hit ? "ran" : "did not run",
                     pairs[i].first);
        made_store_close(&f);
    }
}

/* The places of a mistake must be found by the pairs above. */
static void test_faults(void **state)
{
    (void)state;
    static const char *const faults[] = {"cache.shape_ignores_type", "cache.shape_lifts_ordinal",
                                         "cache.shape_keeps_limit", "cache.shape_merges_filters",
                                         "cache.shape_lifts_texts"};
    for (size_t fault = 0; fault < array_count(faults); fault++) {
        size_t found = 0;
        fault_plant(faults[fault]);
        for (size_t i = 0; i < array_count(pairs); i++) {
            struct made_store f;
            bool is_hit;
            setup(&f);
            (void)is_right(&f, pairs[i].first, &is_hit);
            found += !is_right(&f, pairs[i].second, &is_hit);
            made_store_close(&f);
        }
        fault_clear();
        if (found == 0)
            fail_msg("%s was not found", faults[fault]);
    }
}

/* Off is off, text is the text alone; another zone reads the literals otherwise. */
static void test_settings(void **state)
{
    (void)state;
    struct made_store f;
    struct query_answer answer;
    setup(&f);
    static const char *const modes[] = {"off", "text", "on", "off", "text"};
    static const int64_t text_hits[] = {0, 0, 1, 0, 1}, misses[] = {1, 1, 0, 1, 0};
    for (size_t i = 0; i < array_count(modes); i++) {
        int64_t hits = metric_get(&metrics.plan_text_hits),
                missed = metric_get(&metrics.plan_misses);
        run(&f, E "n > 5", modes[i], &answer);
        writer_deinit(&answer.body);
        assert_int_equal(metric_get(&metrics.plan_text_hits) - hits, text_hits[i]);
        assert_int_equal(metric_get(&metrics.plan_misses) - missed, misses[i]);
    }
    run(&f, E "n > 5", "perhaps", &answer);
    assert_string_equal(answer.error.sqlstate, "22023");
    writer_deinit(&answer.body);
    made_store_close(&f);
}

/* As many plans of a shape as there may be, and more: the cache stays bounded and right. */
static void test_many_variants(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 40; i++) {
            char text[100];
            bool is_hit;
            snprintf(text, sizeof(text), "SELECT n + %d FROM e WHERE n > %d ORDER BY t LIMIT 3", i,
                     (i + round) % 9);
            assert_true(is_right(&f, text, &is_hit));
        }
    made_store_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),         cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_faults),        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_many_variants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
