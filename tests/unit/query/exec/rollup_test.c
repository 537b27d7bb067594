/* Queries answered by rollups against the same queries by rows: over sealed and mutable segments,
 * after a start from files, after changes, and with mistakes planted. */
#include "query/engine.h"

#include "query/exec/rollup.h"
#include "query/sql/command.h"
#include "tests/unit/planted.h"
#include "tests/unit/query/made_events.h"
#include "tests/unit/zones.h"

#define COLUMNS MADE_PAGE

#define VIEWS_MAX 8

struct fixture {
    struct made_store made;
    struct arena arena;
    struct view_definition views[VIEWS_MAX];
    size_t view_count;
};

static void insert(struct made_store *made, uint32_t first, uint32_t count)
{
    made_events_insert(made, COLUMNS, made_event_cell, first, count);
}

/* --- views, as a server keeps them --- */

static struct view_definition copy_view(const struct view_definition *view, struct arena *arena)
{
    struct view_definition out = *view;
    out.name = arena_copy(arena, view->name);
    out.text = arena_copy(arena, view->text);
    out.zone = arena_copy(arena, view->zone);
    out.table_count = 0; /* found by name */
    out.columns = arena_alloc_array(arena, view->column_count, sizeof(*out.columns));
    for (size_t i = 0; i < view->column_count; i++)
        out.columns[i] = (struct view_column){.name = arena_copy(arena, view->columns[i].name),
                                              .source = arena_copy(arena, view->columns[i].source),
                                              .type = view->columns[i].type};
    return out;
}

static enum err run_command(void *context, const struct command *command,
                            const struct batch *batches, size_t batch_count,
                            struct command_answer *out, struct error *error)
{
    struct fixture *f = context;
    (void)batches, (void)batch_count, (void)out, (void)error;
    assert_int_equal(command->kind, COMMAND_CREATE_VIEW);
    assert_true(command->view.is_materialized && f->view_count < VIEWS_MAX);
    struct view_definition *view = &f->views[f->view_count];
    *view = copy_view(&command->view, &f->arena);
    view->id = (uint32_t)++f->view_count;
    return OK;
}

static bool find_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out)
{
    struct fixture *f = context;
    for (size_t i = 0; i < f->view_count; i++)
        if (name.size > 0 ? slice_equal(f->views[i].name, name) : f->views[i].id == id) {
            *out = copy_view(&f->views[i], arena);
            return true;
        }
    return false;
}

static uint64_t view_version(void *context)
{
    return ((struct fixture *)context)->view_count;
}

static size_t list_views(void *context, struct arena *arena, struct view_definition **out)
{
    struct fixture *f = context;
    *out = arena_alloc_array(arena, f->view_count, sizeof(**out));
    for (size_t i = 0; i < f->view_count; i++)
        (*out)[i] = copy_view(&f->views[i], arena);
    return f->view_count;
}

/* --- answers --- */

static char answers[2][1 << 20];
static const char *optimizer = "on";

static void run(struct fixture *f, const char *text, const char *rollups, const char *zone,
                char *out)
{
    const struct made_setting settings[] = {{"freshet.rollups", rollups},
                                            {"freshet.partial_cache", "off"},
                                            {"freshet.optimizer", optimizer},
                                            {"timezone", zone},
                                            {0}};
    made_answer(f->made.engine, text, settings, out, sizeof(answers[0]));
}

#define ROLLUP "CREATE MATERIALIZED VIEW "
static const char *const rollups[] = {
    ROLLUP
    "a WITH (rollup = 'true') AS SELECT time_bucket('1 second', ts) AS s, kind, sum(n), "
    "avg(price), min(n), max(word), approx_count_distinct(word), "
    "approx_percentile(0.5, ratio), sum(ratio) AS total, max(price) AS top FROM t GROUP BY 1, 2",
    ROLLUP "b WITH (rollup = 'true') AS SELECT kind, word, count(*), sum(n) FROM t WHERE n IS NOT "
           "NULL GROUP BY 1, 2",
    ROLLUP "c WITH (rollup = 'true') AS SELECT time_bucket('1 hour', ts), count(n) FILTER (WHERE "
           "kind = 'red') AS reds, min(word) FROM t GROUP BY 1",
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    arena_init(&f->arena);
    made_store_open(&f->made, &(struct made_options){.engine = {.partial_memory = 16 << 20,
                                                                .context = f,
                                                                .command = run_command,
                                                                .find_view = find_view,
                                                                .view_version = view_version,
                                                                .list_views = list_views}});
    made_events_begin(&f->made, COLUMNS, made_event_cell);
    for (size_t i = 0; i < array_count(rollups); i++)
        run(f, rollups[i], "on", "UTC", answers[0]);
    made_store_seal(&f->made);
    query_engine_finish_upkeep(f->made.engine);
    made_events_end(&f->made, COLUMNS, made_event_cell);
    query_engine_finish_upkeep(f->made.engine);
}

static void teardown(struct fixture *f)
{
    made_store_close(&f->made);
    arena_deinit(&f->arena);
}

static const struct {
    const char *text;
    bool is_answered; /* by a rollup, in UTC */
} queries[] = {
    {"SELECT count(*), sum(n), avg(n), count(n), avg(price), sum(price), min(n), max(price) FROM t",
     true},
    {"SELECT kind, max(word), count(ts) FROM t GROUP BY 1 ORDER BY 1", true},
    {"SELECT time_bucket('1 second', ts), kind, sum(n) FROM t GROUP BY 1, 2 ORDER BY 1, 2", true},
    {"SELECT time_bucket('5 seconds', ts), sum(n) FROM t GROUP BY 1 ORDER BY 1", true},
    {"SELECT date_trunc('minute', ts), kind, avg(n) FROM t WHERE kind <> 'red' GROUP BY 1, 2 ORDER "
     "BY 1, 2",
     true},
    {"SELECT date_trunc('month', ts), upper(kind), count(*) FROM t GROUP BY 1, 2 ORDER BY 1, 2",
     true},
    {"SELECT date_bin('10 seconds', ts, timestamptz '1970-01-01 00:00:03+00'), count(*) FROM t "
     "GROUP BY 1 ORDER BY 1",
     true},
    {"SELECT kind, count(*) FROM t WHERE ts >= to_timestamp(10) AND ts < to_timestamp(30) GROUP BY "
     "1 ORDER BY 1",
     true},
    {"SELECT count(*) FILTER (WHERE kind = 'red'), count(*), sum(n) FILTER (WHERE kind > 'c') FROM "
     "t WHERE ts > to_timestamp(12) - interval '1 microsecond'",
     true},
    {"SELECT count(*) FROM t WHERE to_timestamp(70) > ts AND ts <= to_timestamp(69.999999)", true},
    {"SELECT count(*), sum(n) FROM t WHERE ts BETWEEN to_timestamp(5) AND to_timestamp(20.5)",
     true},
    {"SELECT count(*), sum(n) FROM t WHERE ts >= to_timestamp(10.5)", true},
    {"SELECT window_start, kind, approx_count_distinct(word) FROM tumble(t, ts, interval '10 "
     "seconds') GROUP BY 1, 2 ORDER BY 1, 2",
     true},
    {"SELECT k, sum(c) FROM (SELECT upper(kind) AS k, n AS c, ts FROM t WHERE kind IN ('red', "
     "'blue')) s GROUP BY 1 ORDER BY 1",
     true},
    {"SELECT extract(minute FROM time_bucket('1 second', ts)), count(*) FROM t GROUP BY 1 ORDER BY "
     "1",
     true},
    {"SELECT approx_percentile(0.9, ratio), approx_percentile(0.1, ratio), count(ts) FROM t", true},
    {"SELECT kind, sum(n), avg(n) FROM t WHERE n IS NOT NULL AND word LIKE 'w1%' GROUP BY 1 ORDER "
     "BY 1",
     true},
    {"SELECT date_trunc('day', ts), count(n) FILTER (WHERE kind = 'red'), min(word) FROM t GROUP "
     "BY 1 ORDER BY 1",
     true},
    {"SELECT * FROM a ORDER BY 1, 2", true},
    {"SELECT sum(reds) FROM c", true},
    {"SELECT time_bucket('1500 milliseconds', ts), count(*) FROM t GROUP BY 1 ORDER BY 1", false},
    {"SELECT time_bucket('2 hours', ts), min(word) FROM t WHERE ts < to_timestamp(1) GROUP BY 1 "
     "ORDER BY 1",
     true},
    {"SELECT date_bin('10 seconds', ts, timestamptz '1970-01-01 00:00:03.5+00'), count(*) FROM t "
     "GROUP BY 1 ORDER BY 1",
     false},
    /* as Grafana writes them */
    {"SELECT floor(extract(epoch from ts)/5)*5 AS \"time\", kind AS metric, sum(n) FROM t WHERE ts "
     "BETWEEN '1970-01-01T00:00:05Z' AND '1970-01-01T00:01:00Z' GROUP BY 1, 2 ORDER BY 1, 2",
     true},
    {"SELECT floor(extract(epoch from ts)/5)*5, count(*) FROM t GROUP BY "
     "floor(extract(epoch from ts)/5)*5 ORDER BY 1",
     true},
    {"SELECT floor(extract(epoch from ts)/7)*3, floor(extract(epoch from ts)/2), count(*) FROM t "
     "GROUP BY 1, 2 ORDER BY 1, 2",
     true},
    {"SELECT floor(extract(epoch from ts)/10)::bigint*10, count(*) FROM t GROUP BY 1 ORDER BY 1",
     true},
    {"SELECT to_timestamp(floor(extract(epoch from ts)/60)*60), kind, avg(n) FROM t WHERE "
     "floor(extract(epoch from ts)/20)*20 > 10 GROUP BY 1, 2 ORDER BY 1, 2",
     true},
    {"SELECT floor(extract(epoch from ts)/7200)*7200, min(word) FROM t GROUP BY 1 ORDER BY 1",
     true},
    {"SELECT floor(extract(epoch from ts)/25)*25, min(word) FROM t GROUP BY 1 ORDER BY 1", false},
    {"SELECT floor(extract(epoch from ts)/5400)*5400, min(word) FROM t GROUP BY 1 ORDER BY 1",
     false},
    {"SELECT floor(extract(epoch from ts)/1.5)*1.5, count(*) FROM t GROUP BY 1 ORDER BY 1", false},
    {"SELECT (extract(epoch from ts)::bigint/5)*5, count(*) FROM t GROUP BY 1 ORDER BY 1", false},
    {"SELECT floor(extract(epoch from ts::timestamp)/5)*5, count(*) FROM t GROUP BY 1 ORDER BY 1",
     false},
    {"SELECT count(*) FROM t WHERE ts >= '-infinity' AND ts < 'infinity'", true},
    {"SELECT count(*) FROM t WHERE n > 5", false},
    {"SELECT kind, sum(n + 1) FROM t GROUP BY 1 ORDER BY 1", false},
    {"SELECT max(ratio) FROM t", false},
    {"SELECT word, count(*) FROM t GROUP BY 1 ORDER BY 1", false},
    {"SELECT count(DISTINCT kind) FROM t", false},
    {"SELECT extract(second FROM ts), count(*) FROM t WHERE ts < to_timestamp(3) GROUP BY 1 ORDER "
     "BY 1 LIMIT 5",
     false},
    {"SELECT count(*) FILTER (WHERE word < 'w2') FROM t", false},
};

static bool is_answered(struct fixture *f, const char *query)
{
    char text[1024];
    snprintf(text, sizeof(text), "EXPLAIN ANALYZE %s", query);
    run(f, text, "on", "UTC", answers[1]);
    return strstr(answers[1], "rollup=") != NULL;
}

/* Is some answer another one than that of the rows? */
static bool is_different(struct fixture *f)
{
    static const char *const zones[] = {"UTC", "Asia/Kathmandu"};
    for (size_t i = 0; i < array_count(queries); i++)
        for (size_t zone = 0; zone < 2; zone++) {
            run(f, queries[i].text, "off", zones[zone], answers[0]);
            run(f, queries[i].text, "on", zones[zone], answers[1]);
            /* Doubles added up in another order. */
            if (strcmp(answers[0], answers[1]) == 0 || strstr(queries[i].text, "FROM a") != NULL)
                continue;
            if (!atomic_load(&fault_is_planted))
                print_message("%s: %.300s, not %.300s\n", queries[i].text, answers[1], answers[0]);
            return true;
        }
    return false;
}

static void test_same_answers(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        if (is_answered(&f, queries[i].text) != queries[i].is_answered)
            fail_msg("%s: answered by a rollup: %d", queries[i].text, !queries[i].is_answered);
    assert_false(is_different(&f));
    run(&f, "SELECT view_name, segments, segments_covered, rows_covered FROM freshet.rollups", "on",
        "UTC", answers[0]);
    assert_non_null(strstr(answers[0], "a,2,2,73000"));
    made_store_stop(&f.made); /* what was made is found again */
    made_store_start(&f.made);
    assert_false(is_answered(&f, queries[0].text) && strstr(answers[1], "segments=2") != NULL);
    query_engine_finish_upkeep(f.made.engine);
    assert_true(is_answered(&f, queries[0].text));
    assert_non_null(strstr(answers[1], "segments=2"));
    assert_false(is_different(&f));
    teardown(&f);
}

/* Where no segment is skipped, a bound that no bucket holds is the rollup's to refuse. */
static void test_bound_without_bucket(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    optimizer = "off";
    for (size_t i = 0; i < 2; i++) {
        run(&f, "SELECT count(*), sum(n) FROM t WHERE ts < '-infinity'", i == 0 ? "on" : "off",
            "UTC", answers[i]);
        assert_non_null(strstr(answers[i], "\n0,"));
    }
    assert_string_equal(answers[0], answers[1]);
    assert_false(is_different(&f));
    fault_plant("rollup.bound_in_bucket");
    run(&f, "SELECT count(*), sum(n) FROM t WHERE ts < '-infinity'", "on", "UTC", answers[0]);
    fault_clear();
    assert_string_not_equal(answers[0], answers[1]); /* a rollup was asked */
    optimizer = "on";
    teardown(&f);
}

/* --- changes --- */

static void replace_rows(struct fixture *f)
{
    made_store_change(&f->made, CHANGE_TRUNCATE, NULL);
    for (uint32_t row = 0; row < 80000; row += 10000)
        insert(&f->made, 1000000 + row, 10000);
    made_store_seal(&f->made);
}

static void test_changes(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    made_column_replace(&f.made, MADE_KIND, "red");
    assert_false(is_different(&f));
    query_engine_finish_upkeep(f.made.engine);
    query_engine_finish_upkeep(f.made.engine);
    assert_true(is_answered(&f, queries[0].text));
    assert_false(is_different(&f));
    replace_rows(&f);
    assert_false(is_different(&f));
    query_engine_finish_upkeep(f.made.engine);
    assert_true(is_answered(&f, queries[0].text));
    assert_false(is_different(&f));
    teardown(&f);
}

/* --- files --- */

struct names {
    size_t count;
    char list[16][ROLLUP_NAME_SIZE];
};

static void note_name(void *context, const char *name)
{
    struct names *names = context;
    assert_true(names->count < 16 && strlen(name) < ROLLUP_NAME_SIZE);
    memcpy(names->list[names->count++], name, strlen(name) + 1);
}

/* One byte of each file's end is another. */
static void damage(struct fixture *f)
{
    struct names names = {0};
    struct error error;
    struct arena arena;
    arena_init(&arena);
    assert_int_equal(store_side_list(f->made.store, note_name, &names, &error), OK);
    assert_int_equal(names.count, 6);
    for (size_t i = 0; i < names.count; i++) {
        char path[80];
        struct slice bytes;
        snprintf(path, sizeof(path), "data/sides/%s", names.list[i]);
        assert_int_equal(io_read_file(f->made.io, path, &arena, &bytes, &error), OK);
        char *copy = arena_alloc(&arena, bytes.size);
        memcpy(copy, bytes.data, bytes.size);
        copy[bytes.size - 16] ^= 4; /* a count of rows, which comes last */
        assert_int_equal(io_replace_file(f->made.io, path, slice_of(copy, bytes.size), &error), OK);
    }
    arena_deinit(&arena);
}

/* Whatever the bytes are, they are read to an end or refused. */
static void test_hostile_bytes(void **state)
{
    (void)state;
    struct fixture f;
    struct names names = {0};
    struct error error;
    struct arena arena;
    struct random_stream chance;
    setup(&f);
    arena_init(&arena);
    random_stream_init(&chance, 7);
    assert_int_equal(store_side_list(f.made.store, note_name, &names, &error), OK);
    for (size_t i = 0; i < names.count; i++) {
        struct slice bytes;
        uint32_t view;
        uint64_t segment;
        assert_int_equal(store_side_read(f.made.store, names.list[i], &arena, &bytes, &error), OK);
        assert_true(rollup_parse_name(names.list[i], &view, &segment));
        char *copy = arena_alloc(&arena, bytes.size);
        struct rollup_set *set = rollups_current(f.made.engine->rollups, true);
        for (int round = 0; round < 300; round++) {
            struct rollup_cover cover;
            size_t size =
                random_below(&chance, 4) == 0 ? random_below(&chance, bytes.size) : bytes.size;
            memcpy(copy, bytes.data, bytes.size);
            for (int k = 0; k < 3 && round > 0; k++)
                copy[random_below(&chance, k == 0 ? 64 : bytes.size)] ^=
                    (char)(1 << random_below(&chance, 8));
            enum err err =
                rollup_read(set->list[view - 1], segment, slice_of(copy, size), &cover, &error);
            assert_true(round > 0 || size < bytes.size || err == OK);
            if (err == OK)
                rollup_cover_drop_parts(&cover);
        }
        rollup_set_unref(set);
    }
    arena_deinit(&arena);
    teardown(&f);
}

static bool is_different_after_damage(struct fixture *f)
{
    damage(f);
    made_store_stop(&f->made);
    made_store_start(&f->made);
    query_engine_finish_upkeep(f->made.engine);
    return is_different(f);
}

static void test_damage(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    assert_false(is_different_after_damage(&f));
    assert_true(is_answered(&f, queries[0].text));
    teardown(&f);
}

static void test_leftovers(void **state)
{
    (void)state;
    struct fixture f;
    struct names names = {0};
    struct error error;
    setup(&f);
    f.view_count = 2; /* the last is dropped */
    query_engine_finish_upkeep(f.made.engine);
    assert_int_equal(store_side_list(f.made.store, note_name, &names, &error), OK);
    assert_int_equal(names.count, 4);
    made_store_change(&f.made, CHANGE_TRUNCATE, NULL);
    query_engine_finish_upkeep(f.made.engine);
    names.count = 0;
    assert_int_equal(store_side_list(f.made.store, note_name, &names, &error), OK);
    assert_int_equal(names.count, 0);
    teardown(&f);
}

static void test_names(void **state)
{
    (void)state;
    char name[ROLLUP_NAME_SIZE];
    uint32_t view;
    uint64_t segment;
    rollup_file_name(0xabcdef01, UINT64_C(0x123456789abcdef0), name);
    assert_string_equal(name, "rollup-abcdef01-123456789abcdef0");
    assert_true(rollup_parse_name(name, &view, &segment));
    assert_true(view == 0xabcdef01 && segment == UINT64_C(0x123456789abcdef0));
    assert_false(rollup_parse_name("rollup-abcdef01-123456789abcdef0.tmp", &view, &segment));
    assert_false(rollup_parse_name("rollup-abcdef01-123456789abcdef", &view, &segment));
    assert_false(rollup_parse_name("other", &view, &segment));
}

/* --- planted faults --- */

static bool is_any_different(void *fixture)
{
    return is_different(fixture);
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const plain[] = {"rollup.bucket_edges", "rollup.bound_in_bucket",
                                        "rollup.filter_ignored", "rollup.call_filter"};
    struct fixture f;
    setup(&f);
    planted_are_seen(plain, array_count(plain), is_any_different, &f);
    fault_plant("side.checksum_ignored");
    assert_true(is_different_after_damage(&f));
    fault_clear();
    fault_plant("rollup.stale_after_truncate");
    replace_rows(&f);
    assert_true(is_different(&f));
    fault_clear();
    teardown(&f);
    fault_plant("rollup.definition_ignored");
    setup(&f);
    made_column_replace(&f.made, MADE_KIND, "red");
    query_engine_finish_upkeep(f.made.engine);
    query_engine_finish_upkeep(f.made.engine);
    assert_true(is_different(&f));
    fault_clear();
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_answers),
                                       cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_bound_without_bucket),
                                       cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_leftovers),
                                       cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_hostile_bytes),
                                       cmocka_unit_test(test_faults_are_found)};
    timezone_set_loader(zones_load);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
