/* The front door: formats, limits, cancel, time, ids, settings, at_least, plans that outlive a
 * table. */
#include "query/engine.h"
#include "query/session/session.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"
#include "storage/base/thread.h"
#include "tests/unit/query/made_store.h"

#include <math.h>

static void setup(struct made_store *f)
{
    made_store_open(f, &(struct made_options){0});
}

/* CREATE TABLE numbers (n bigint), and another version of it. */
static uint32_t create_table(struct made_store *f, const char *column, enum type_id type)
{
    bool is_time = type == TYPE_TIMESTAMPTZ;
    struct schema *schema = schema_create();
    struct error error;
    uint32_t id = schema->table_id = store_next_table_id(f->store);
    schema->version = 1;
    schema->name = SLICE("numbers");
    schema->column_count = 1;
    schema->columns = arena_alloc_zero(&schema->arena, sizeof(*schema->columns));
    schema->columns[0] =
        (struct column_definition){.id = 1,
                                   .name = slice_from_cstr(column),
                                   .type = type_of(type),
                                   .is_not_null = is_time,
                                   .missing = {.type = type_of(type), .is_null = true}};
    schema->next_column_id = 2;
    schema->time_column = is_time ? 0 : -1;
    schema->options.rest_column = schema->options.whole_column = -1;
    struct commit *commit = commit_create(f->store);
    commit_set_change(commit, CHANGE_CREATE, id, schema);
    assert_int_equal(store_commit(f->store, commit, &f->position, &error), OK);
    return id;
}

static void insert_values(struct made_store *f, uint32_t table_id, enum type_id type, int64_t first,
                          int64_t count)
{
    struct error error;
    static int64_t values[100000];
    const uint32_t column_id = 1;
    for (int64_t i = 0; i < count; i++)
        values[i] = first + i;
    struct column column = {.type = type_of(type), .i = values};
    struct batch batch = {.row_count = (size_t)count, .column_count = 1, .columns = &column};
    struct commit *commit = commit_create(f->store);
    struct snapshot *snapshot = snapshot_open(f->store);
    const struct table_view *view = snapshot_find_id(snapshot, table_id);
    commit_add_rows(commit, table_view_schema(view), &column_id, &batch);
    snapshot_close(snapshot);
    assert_int_equal(store_commit(f->store, commit, &f->position, &error), OK);
}

static void insert_numbers(struct made_store *f, uint32_t table_id, int64_t count)
{
    insert_values(f, table_id, TYPE_INT8, 0, count);
}

static void drop_table(struct made_store *f, uint32_t table_id)
{
    struct error error;
    struct commit *commit = commit_create(f->store);
    commit_set_change(commit, CHANGE_DROP, table_id, NULL);
    assert_int_equal(store_commit(f->store, commit, &f->position, &error), OK);
}

static struct query_request request_of(const char *text)
{
    return (struct query_request){
        .text = slice_from_cstr(text), .format = RESULT_CSV, .timeout_us = -1, .max_rows = -1};
}

static void expect(struct made_store *f, const struct query_request *request, const char *want)
{
    struct query_answer answer;
    if (query_run(f->engine, request, &answer) != OK)
        fail_msg("%s: %s", answer.error.sqlstate, answer.error.text);
    assert_int_equal(strlen(answer.query_id),
                     request->query_id.size != 0 ? request->query_id.size : 32);
    writer_u8(&answer.body, 0);
    assert_string_equal((const char *)answer.body.data, want);
    writer_deinit(&answer.body);
}

static void expect_error(struct made_store *f, const struct query_request *request,
                         const char *sqlstate)
{
    struct query_answer answer;
    if (query_run(f->engine, request, &answer) == OK)
        fail_msg("%.*s: went well", SLICE_ARGS(request->text));
    if (strcmp(answer.error.sqlstate, sqlstate) != 0)
        fail_msg("%s was expected, not %s: %s", sqlstate, answer.error.sqlstate, answer.error.text);
    assert_int_equal(answer.body.size, 0);
    writer_deinit(&answer.body);
}

/* --- tests --- */

static void test_select(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    insert_numbers(&f, create_table(&f, "n", TYPE_INT8), 10000);
    struct query_request request =
        request_of("SELECT count(*), sum(n), max(n) FROM numbers WHERE n >= 100");
    for (int i = 0; i < 3; i++) /* planned once, run from the cache then */
        expect(&f, &request, "count,sum,max\r\n9900,49990050,9999\r\n");
    request = request_of("SELECT 1 AS a, 'x' AS b");
    request.query_id = SLICE("my-id_1");
    request.format = RESULT_NDJSON;
    expect(
        &f, &request,
        "{\"columns\":[{\"name\":\"a\",\"type\":\"integer\"},{\"name\":\"b\",\"type\":\"text\"}]}\n"
        "[1,\"x\"]\n{\"end\":true,\"rows\":1,\"completeness\":{\"position\":\"2\",\"complete_"
        "through\":null,"
        "\"sources\":[],\"sources_total\":0,\"late_rows\":0,\"dead_rows\":0,\"recovering\":false}}"
        "\n");
    made_store_close(&f);
}

/* The same text against a table that was dropped and made anew: the cached plan must not run. */
static void test_plans_follow_definitions(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    struct query_request request = request_of("SELECT * FROM numbers");
    expect_error(&f, &request, "42P01");
    uint32_t id = create_table(&f, "n", TYPE_INT8);
    insert_numbers(&f, id, 1);
    expect(&f, &request, "n\r\n0\r\n");
    drop_table(&f, id);
    expect_error(&f, &request, "42P01");
    id = create_table(&f, "word", TYPE_TEXT);
    expect(&f, &request, "word\r\n");
    made_store_close(&f);
}

/* The newest and the oldest rows of a table in time order, which need only its ends. */
static void test_top_by_time(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    uint32_t id = create_table(&f, "ts", TYPE_TIMESTAMPTZ);
    for (int64_t i = 0; i < 5; i++)
        insert_values(&f, id, TYPE_TIMESTAMPTZ, i * 100000, 100000);
    struct query_request request =
        request_of("SELECT ts FROM numbers ORDER BY ts DESC LIMIT 2 OFFSET 1");
    expect(&f, &request,
           "ts\r\n1970-01-01 00:00:00.499998+00\r\n1970-01-01 00:00:00.499997+00\r\n");
    request.text =
        SLICE("SELECT x FROM (SELECT ts AS x FROM numbers WHERE ts < '1970-01-01 00:00:00.25') s "
              "ORDER BY x DESC LIMIT 1");
    expect(&f, &request, "x\r\n1970-01-01 00:00:00.249999+00\r\n");
    request.text = SLICE("SELECT ts FROM numbers ORDER BY ts LIMIT 1 OFFSET 20000");
    expect(&f, &request, "ts\r\n1970-01-01 00:00:00.02+00\r\n");
    request.text = SLICE("SELECT ts FROM numbers ORDER BY ts DESC LIMIT 1 OFFSET 400000");
    expect(&f, &request, "ts\r\n1970-01-01 00:00:00.099999+00\r\n");
    struct query_answer answer;
    request.text = SLICE("SELECT ts FROM numbers ORDER BY ts DESC LIMIT 5");
    request.format = RESULT_JSON;
    assert_int_equal(query_run(f.engine, &request, &answer), OK);
    writer_u8(&answer.body, 0);
    const char *scanned = strstr((char *)answer.body.data, "\"rows_scanned\":");
    assert_non_null(scanned);
    assert_true(strtoull(scanned + 15, NULL, 10) <= 200000);
    writer_deinit(&answer.body);
    made_store_close(&f);
}

/* Rows that the lookup of an EXPLAIN ANALYZE gave, and those it kept. */
static void count_lookup(struct made_store *f, const char *text, uint64_t *given, uint64_t *kept)
{
    struct query_request request = request_of(text);
    struct query_answer answer;
    if (query_run(f->engine, &request, &answer) != OK)
        fail_msg("%s: %s", answer.error.sqlstate, answer.error.text);
    writer_u8(&answer.body, 0);
    const char *line = strstr((const char *)answer.body.data, "Lookup by");
    assert_non_null(line);
    const char *rows = strstr(line, "(rows=");
    *given = *kept = strtoull(rows + 6, NULL, 10);
    const char *of = strstr(rows, " of ");
    if (of != NULL && of < strchr(rows, ')'))
        *kept = strtoull(of + 4, NULL, 10);
    writer_deinit(&answer.body);
}

/* The latest row of each key and as-of joins look at a few rows for each row on the left, whatever
 * there is on the right: 20,000 by 20,000 would be 400 million. */
static void test_rows_of_lookups(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "EXPLAIN ANALYZE SELECT sum(s.n) FROM numbers k, LATERAL (SELECT t.n FROM numbers t "
        "WHERE t.n % 100 = k.n % 100 ORDER BY t.n DESC LIMIT 1) s",
        "EXPLAIN ANALYZE SELECT sum(s.n) FROM numbers k, LATERAL (SELECT t.n FROM numbers t "
        "WHERE t.n % 100 = k.n % 100 AND t.n <= k.n ORDER BY t.n DESC LIMIT 1) s",
        "EXPLAIN ANALYZE SELECT sum(s.n) FROM numbers k LEFT JOIN LATERAL (SELECT t.n FROM numbers "
        "t WHERE t.n > k.n AND t.n < k.n + 5 ORDER BY t.n LIMIT 3) s ON true",
        "EXPLAIN ANALYZE SELECT sum((SELECT t.n FROM numbers t WHERE t.n = k.n)) FROM numbers k"};
    struct made_store f;
    setup(&f);
    insert_numbers(&f, create_table(&f, "n", TYPE_INT8), 20000);
    for (size_t i = 0; i < array_count(texts); i++) {
        uint64_t given, kept;
        count_lookup(&f, texts[i], &given, &kept);
        assert_true(given <= UINT64_C(20000) * 16);
        assert_int_equal(kept, 20000);
    }
    struct query_request request =
        request_of("SELECT sum(s.n) AS s FROM numbers k, LATERAL (SELECT t.n FROM numbers t WHERE "
                   "t.n <= k.n - 1 ORDER BY t.n DESC LIMIT 1) s");
    expect(&f, &request, "s\r\n199970001\r\n");
    made_store_close(&f);
}

/* Rows that do not fit: an unordered lookup reads them anew, a join and an ordered lookup say so.
 */
static void test_memory_of_joins(void **state)
{
    (void)state;
    const struct query_setting small[] = {{SLICE("freshet.query_memory"), SLICE("1MB")}};
    struct made_store f;
    setup(&f);
    insert_numbers(&f, create_table(&f, "n", TYPE_INT8), 100000);
    struct query_request request =
        request_of("SELECT (SELECT count(*) FROM numbers t WHERE t.n % 1000 = k.n) AS c FROM "
                   "(VALUES (3), (-1), (999)) k (n)");
    request.settings = small;
    request.setting_count = 1;
    expect(&f, &request, "c\r\n100\r\n0\r\n100\r\n");
    request.text = SLICE("SELECT count(*) FROM numbers a FULL JOIN numbers b USING (n)");
    expect_error(&f, &request, "53200");
    request.text = SLICE("SELECT (SELECT t.n FROM numbers t WHERE t.n < k.n ORDER BY t.n LIMIT 1) "
                         "FROM (VALUES (3)) k (n)");
    expect_error(&f, &request, "53200");
    made_store_close(&f);
}

static void test_limits(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    insert_numbers(&f, create_table(&f, "n", TYPE_INT8), 100000);
    struct query_request request = request_of("SELECT n FROM numbers LIMIT 11");
    request.max_rows = 10;
    expect_error(&f, &request, "54000");
    request.max_rows = 11;
    request.text = SLICE("SELECT count(*) FROM numbers");
    expect(&f, &request, "count\r\n100000\r\n");
    const struct query_setting small[] = {{SLICE("freshet.query_memory"), SLICE("1MB")}};
    request = request_of("SELECT n, count(*) FROM numbers GROUP BY n");
    request.settings = small;
    request.setting_count = 1;
    expect_error(&f, &request, "53200");
    request.text = SLICE("SELECT n FROM numbers ORDER BY n DESC");
    expect_error(&f, &request, "53200");
    /* Of one value: refused before the memory is taken, and only if the pieces are many. */
    request.text = SLICE("SELECT cardinality(string_to_array(repeat('a,', n), ',')) AS c FROM "
                         "(VALUES (50000)) v (n)");
    expect_error(&f, &request, "53200");
    request.text = SLICE("SELECT cardinality(regexp_split_to_array(repeat('a,', n), ',')) AS c "
                         "FROM (VALUES (50000)) v (n)");
    expect_error(&f, &request, "53200");
    request.text = SLICE("SELECT jsonb_pretty(('[' || repeat('1,', n) || '1]')::jsonb) AS c FROM "
                         "(VALUES (50000)) v (n)");
    expect_error(&f, &request, "53200");
    request.text = SLICE("SELECT cardinality(('{' || repeat('1,', n) || '1}')::bigint[]) AS c "
                         "FROM (VALUES (50000)) v (n)");
    expect_error(&f, &request, "53200");
    request.text = SLICE("SELECT cardinality(string_to_array(repeat('a', n), ',')) AS c FROM "
                         "(VALUES (100000)) v (n)");
    expect(&f, &request, "c\r\n1\r\n");
    const struct query_setting unknown[] = {{SLICE("no_such_setting"), SLICE("1MB")}};
    request.settings = unknown;
    expect_error(&f, &request, "42704");
    made_store_close(&f);
}

static void test_time_and_cancel(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    insert_numbers(&f, create_table(&f, "n", TYPE_INT8), 100000);
    struct query_request request =
        request_of("SELECT count(*) FROM numbers a, numbers b WHERE a.n + b.n < 0");
    request.timeout_us = 30000;
    expect_error(&f, &request, "57014");
    /* Inside of one call, which would take minutes. */
    request.text = SLICE("SELECT length(translate(repeat('x', n), repeat('abcdefgh', n), 'b')) "
                         "FROM (VALUES (1000000)) v (n)");
    expect_error(&f, &request, "57014");
    request.text = SLICE("SELECT ('[' || repeat('2,', n) || '1]')::jsonb @> "
                         "('[' || repeat('1,', n) || '1]')::jsonb FROM (VALUES (150000)) v (n)");
    expect_error(&f, &request, "57014");
    request.text = SLICE("SELECT length(to_char(timestamp '2026-05-01', repeat('YYYY', n))) "
                         "FROM (VALUES (2000000)) v (n)");
    expect_error(&f, &request, "57014");
    request.text = SLICE("SELECT count(*) FROM numbers a, numbers b WHERE a.n + b.n < 0");
    static const _Atomic bool is_gone = true;
    request.timeout_us = 0;
    request.is_cancelled = &is_gone;
    expect_error(&f, &request, "57014");
    request = request_of("SELECT 1 AS a");
    request.at_least = f.position;
    expect(&f, &request, "a\r\n1\r\n");
    request.at_least = f.position + 100;
    request.timeout_us = 20000;
    expect_error(&f, &request, "57014");
    struct error error;
    assert_int_equal(query_cancel(f.engine, SLICE("nothing"), NULL, &error), ERR_NOT_FOUND);
    made_store_close(&f);
}

struct canceller {
    struct query_engine *engine;
    _Atomic bool is_done;
};

static void cancel_soon(void *context)
{
    struct canceller *canceller = context;
    while (query_cancel(canceller->engine, SLICE("long"), NULL, NULL) != OK)
        thread_yield();
    atomic_store(&canceller->is_done, true);
}

static void test_cancel_by_id(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    insert_numbers(&f, create_table(&f, "n", TYPE_INT8), 100000);
    struct canceller canceller = {.engine = f.engine};
    struct thread *thread = thread_start(
        &(struct thread_options){.name = "cancel", .run = cancel_soon, .context = &canceller});
    struct query_request request =
        request_of("SELECT count(*) FROM numbers a, numbers b WHERE a.n + b.n < 0");
    request.query_id = SLICE("long");
    expect_error(&f, &request, "57014");
    thread_join(thread);
    assert_true(canceller.is_done);
    struct writer out;
    writer_init(&out);
    query_engine_metrics(f.engine, &out);
    writer_u8(&out, 0);
    assert_non_null(strstr((char *)out.data, "freshet_queries_total{outcome=\"cancelled\"} 1\n"));
    writer_deinit(&out);
    made_store_close(&f);
}

/* A role that was dropped and made again is another, whatever its name. */
static void test_queries_belong_to_roles(void **state)
{
    (void)state;
    const struct asker first = {.name = SLICE("ann"), .id = 1};
    const struct asker second = {.name = SLICE("ann"), .id = 2};
    const struct asker admin = {.name = SLICE("root"), .id = 3, .is_admin = true};
    struct query_registry registry;
    struct query_entry old = {.query_id = "one", .user = SLICE("ann"), .user_id = 1};
    struct query_entry again = old, new = {.query_id = "one", .user = SLICE("ann"), .user_id = 2};
    struct error error;
    registry_init(&registry);
    assert_int_equal(registry_add(&registry, &old, true, &error), OK);
    assert_int_equal(registry_add(&registry, &again, true, &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "22023");
    assert_int_equal(registry_add(&registry, &new, true, &error), OK);
    assert_true(registry_cancel(&registry, SLICE("one"), &second));
    assert_true(atomic_load(&new.is_cancelled) && !atomic_load(&old.is_cancelled));
    registry_remove(&registry, &new);
    assert_false(registry_cancel(&registry, SLICE("one"), &second));
    assert_false(query_entry_is_seen(&old, &second));
    assert_true(query_entry_is_seen(&old, &first) && query_entry_is_seen(&old, &admin));
    assert_true(registry_cancel(&registry, SLICE("one"), &admin));
    assert_true(atomic_load(&old.is_cancelled));
    registry_remove(&registry, &old);
    registry_deinit(&registry);
}

/* Rights on very many tables. */
static enum err ask_granted(void *context, struct arena *arena, const struct asker **out,
                            struct error *error)
{
    size_t count = 100000;
    struct asker *asker = arena_alloc(arena, sizeof(*asker));
    struct table_right *grants = arena_alloc_array(arena, count, sizeof(*grants));
    (void)context;
    (void)error;
    for (size_t i = 0; i < count; i++)
        grants[i] = (struct table_right){.table_id = (uint32_t)i + 1, .rights = RIGHT_SELECT};
    *asker = (struct asker){.name = SLICE("ann"), .id = 1, .grant_count = count, .grants = grants};
    *out = asker;
    return OK;
}

/* What a session keeps of who asks is its memory: 64 MiB are full long before it has as many
 * statements or portals as it may have. */
static void test_kept_rights_are_charged(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    for (int is_portal = 0; is_portal < 2; is_portal++) {
        struct query_session *session =
            query_session_create(&(struct query_session_options){.engine = f.engine,
                                                                 .user = SLICE("reader"),
                                                                 .client = SLICE("127.0.0.1:1"),
                                                                 .asker = ask_granted});
        struct error error;
        enum err err = OK;
        size_t count = 0;
        for (; err == OK && count < SESSION_PORTALS_MAX; count++) {
            char name[16];
            snprintf(name, sizeof(name), "p%zu", count);
            struct portal *portal;
            struct prepared *prepared;
            const struct portal_options of_portal = {.name = slice_from_cstr(name),
                                                     .text = SLICE("SELECT 1")};
            const struct prepare_options of_statement = {.name = slice_from_cstr(name),
                                                         .text = SLICE("SELECT 1")};
            err = is_portal ? portal_open(session, &of_portal, &portal, &error)
                            : session_prepare(session, &of_statement, &prepared, &error);
            if (err == OK && is_portal)
                err = portal_start(portal, &error);
        }
        assert_int_equal(err, ERR_LIMIT);
        assert_string_equal(error.sqlstate, "53200");
        assert_in_range(count, 60, 85);
        query_session_destroy(session);
    }
    made_store_close(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sqlstate;
    } cases[] = {
        {"", "42601"},
        {"SELECT \xff", "22021"},
        {"DROP TABLE numbers", "25006"},
        {"INSERT INTO numbers VALUES (1)", "25006"},
    };
    struct made_store f;
    setup(&f);
    create_table(&f, "n", TYPE_INT8);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct query_request request = request_of(cases[i].text);
        request.is_read_only = true;
        expect_error(&f, &request, cases[i].sqlstate);
    }
    struct query_request request = request_of("SELECT 1");
    request.query_id = SLICE("not an id");
    expect_error(&f, &request, "22023");
    request.query_id = SLICE("");
    request.text = slice_of("SELECT 1\0", 9);
    expect_error(&f, &request, "22021");
    made_store_close(&f);
}

static void collect_odd(void *context, struct writer *out)
{
    (void)context;
    metrics_print_family(out, "odd", "gauge", "Odd labels.");
    metrics_print_sample(out, "odd", "bb=\"x\\\\ \\\" \\n}\",a=\"{,=\"", -0.5);
    metrics_print_sample(out, "odd", NULL, INFINITY);
    metrics_print_sample(out, "odd", "bad=\"\xff\"", 3);
}

/* The page as rows: labels in jsonb's order, unescaped; what is no text has none. */
static void test_figures(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    metrics_register(collect_odd, NULL);
    latency_record(LATENCY_CHECKPOINT, 1500);
    struct query_request request =
        request_of("SELECT labels, value FROM freshet.metrics WHERE name = 'odd'");
    expect(&f, &request,
           "labels,value\r\n"
           "\"{\"\"a\"\": \"\"{,=\"\", \"\"bb\"\": \"\"x\\\\ \\\"\" \\n}\"\"}\",-0.5\r\n"
           "{},Infinity\r\n{},3\r\n");
    request = request_of("SELECT source IS NULL AS n, count > 0 AS c, max_ms >= 1.5 AS m, "
                         "(SELECT count(*) FROM freshet.latency WHERE source = 'kafka' AND "
                         "p99_ms IS NULL) AS k FROM freshet.latency WHERE stage = 'checkpoint'");
    expect(&f, &request, "n,c,m,k\r\nt,t,t,1\r\n");
    metrics_unregister_all();
    made_store_close(&f);
}

/* A clock that moves at each look: how often a query that has a timeout looks. */
static int64_t looked;

static int64_t look_at_clock(void *context)
{
    (void)context;
    return ++looked;
}

static int64_t count_looks(struct made_store *f, const char *text, const char *fault,
                           const char *want)
{
    const struct clock_source source = {.wall_us = look_at_clock, .monotonic_us = look_at_clock};
    struct query_request request = request_of(text);
    request.timeout_us = INT64_C(1000000000);
    looked = 1000000;
    if (fault != NULL)
        fault_plant(fault);
    clock_install(&source);
    expect(f, &request, want);
    clock_install(NULL);
    fault_clear();
    return looked - 1000000;
}

/* However many rows there are, who sorts them looks every EXEC_CHECK_ROWS. */
static void test_sorts_look(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault, *want;
        int64_t least; /* of looks that the fault takes away */
    } cases[] = {
        {"SELECT (array_agg(g ORDER BY -g))[1] AS n FROM generate_series(1, 300000) g",
         "ordered.sorts_blindly", "n\r\n300000\r\n", 16 * (300000 / EXEC_CHECK_ROWS)},
        {"SELECT max(x) AS n FROM (SELECT (g * 7) % 100003 x FROM generate_series(1, 300000) g "
         "ORDER BY 1 OFFSET 1) s",
         "sort.looks_never", "n\r\n100002\r\n", 300000 / EXEC_CHECK_ROWS},
    };
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < array_count(cases); i++) {
        int64_t looks = count_looks(&f, cases[i].text, NULL, cases[i].want);
        int64_t fewer = count_looks(&f, cases[i].text, cases[i].fault, cases[i].want);
        if (looks < fewer + cases[i].least)
            fail_msg("%s: %lld looks, %lld with the fault", cases[i].text, (long long)looks,
                     (long long)fewer);
    }
    made_store_close(&f);
}

static void run_all(void *context)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_by_time),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_plans_follow_definitions),
        cmocka_unit_test(test_rows_of_lookups),
        cmocka_unit_test(test_memory_of_joins),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_time_and_cancel),
        cmocka_unit_test(test_cancel_by_id),
        cmocka_unit_test(test_queries_belong_to_roles),
        cmocka_unit_test(test_kept_rights_are_charged),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_sorts_look),
    };
    *(int *)context = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    int failures = 1; /* on a stack as large as a worker's */
    struct thread *thread = thread_start(&(struct thread_options){
        .name = "tests", .stack_size = 64 << 20, .run = run_all, .context = &failures});
    thread_join(thread);
    return failures;
}
