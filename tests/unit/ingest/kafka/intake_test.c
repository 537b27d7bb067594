/* Messages to rows: what becomes of each, what is refused, what a restart finds; and a random
 * program of assignments, redelivery and restarts against a model. */
#include "ingest/kafka/intake.h"
#include "tests/unit/ingest/ingest_harness.h"

#include "storage/base/fault.h"

static void subscribe(struct world *world, const char *map)
{
    const struct ingest_option options[] = {{.name = SLICE("table"), .value = SLICE("t")},
                                            {.name = SLICE("map"), .value = slice_from_cstr(map)}};
    struct ingest_subscription subscription = {.name = SLICE("s"),
                                               .connection = SLICE("kafka://localhost:9092"),
                                               .topic = SLICE("topic"),
                                               .option_count = map[0] == 0 ? 1 : 2,
                                               .options = options};
    uint64_t position;
    struct error error;
    if (ingest_create_subscription(world->ingest, &subscription, &position, &error) != OK)
        fail_msg("subscribe: %s", error.text);
}

static void give_headers(const void *origin, kafka_header_each each, void *context)
{
    (void)origin;
    each(context, SLICE("a"), SLICE("b"), true);
    each(context, SLICE("raw"), SLICE("\x00\xff"), true);
    each(context, SLICE("none"), (struct slice){0}, false);
}

static struct intake *open_intake(struct world *world)
{
    struct intake *intake;
    struct error error;
    struct intake_options options = {
        .ingest = world->ingest, .subscription = SLICE("s"), .headers = give_headers};
    if (intake_open(&options, &intake, &error) != OK)
        fail_msg("open: %s", error.text);
    return intake;
}

static void place(struct intake *intake, int32_t partitions, int64_t offset)
{
    struct error error;
    struct intake_position positions[64];
    for (int32_t i = 0; i < partitions; i++)
        positions[i] = (struct intake_position){.partition = i, .offset = offset};
    if (intake_place(intake, positions, (size_t)partitions, true, &error) != OK)
        fail_msg("place: %s", error.text);
}

static struct kafka_message message(int32_t partition, int64_t offset, const char *value)
{
    return (struct kafka_message){.partition = partition,
                                  .offset = offset,
                                  .timestamp_us = INT64_C(1780000000000000),
                                  .has_value = value != NULL,
                                  .value =
                                      value == NULL ? (struct slice){0} : slice_from_cstr(value)};
}

/* Decodes, submits, waits. */
static enum err give(struct intake *intake, const struct kafka_message *messages, size_t count)
{
    struct error error;
    struct intake_batch *batch;
    enum err err = intake_decode(intake, messages, count, &batch, &error);
    if (err == OK && batch != NULL)
        err = intake_submit(intake, batch, &error);
    return err == OK ? intake_wait(intake, &error) : err;
}

static void test_fates(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct intake *intake = open_intake(&world);
    assert_false(intake_is_placed(intake));
    assert_int_equal(intake_next(intake, 0), -1);
    assert_int_equal(intake_assign(intake, 0), -1);
    place(intake, 3, 10);
    assert_true(intake_is_placed(intake));
    assert_int_equal(intake_assign(intake, 0), 10);
    assert_int_equal(intake_assign(intake, 1), 10);
    struct kafka_message messages[] = {
        message(1, 10, "{\"ts\":1780000001,\"a\":1}"),
        message(0, 10, "{\"ts\":1780000000,\"a\":2,\"zz\":1}"),
        message(1, 10, "{\"ts\":1780000001,\"a\":1}"), /* again */
        message(0, 13, "nonsense"),                    /* behind a gap */
        message(0, 14, NULL),
        message(2, 10, "{\"ts\":1780000001,\"a\":9}"), /* not assigned */
        message(1, 11, "[{\"ts\":1780000003,\"a\":3},{\"a\":4},5, {\"ts\":1780000004,\"a\":4}]"),
        message(1, 12, "[]"),
        message(1, 13, "[{\"ts\":1780000003}"),
        message(0, 15, ""),
        message(0, 16, "{\"ts\":1780000005,\"a\":5} x"),
    };
    messages[3].has_key = true;
    messages[3].key = SLICE("k\"1");
    assert_int_equal(give(intake, messages, array_count(messages)), OK);
    assert_int_equal(intake_next(intake, 0), 17);
    assert_int_equal(intake_next(intake, 1), 14);
    assert_int_equal(intake_next(intake, 2), 10);
    intake_close(intake);
    for (int round = 0; round < 3; round++) {
        world_print_table(&world, "t", &out);
        expect_text(out, "2026-05-28 20:26:40+00|2|~;2026-05-28 20:26:41+00|1|~;"
                         "2026-05-28 20:26:43+00|3|~;2026-05-28 20:26:44+00|4|~;");
        world_print_provider(&world, "ledger", &out);
        expect_text(out, "2026-05-28 20:26:00+00|t|s/0|5|1|0|1|0|0|0|3;"
                         "2026-05-28 20:26:00+00|t|s/1|7|3|1|0|0|0|0|3;");
        world_print_provider(&world, "watermarks", &out);
        expect_text(out, "t|s/0|2026-05-28 20:26:10+00|2026-05-28 20:26:40+00|f;"
                         "t|s/1|2026-05-28 20:26:10+00|2026-05-28 20:26:44+00|f;");
        world_print_provider(&world, "dead_letters", &out);
        const char *want =
            "{\"topic\":\"topic\",\"partition\":0,\"offset\":13,"
            "\"timestamp\":\"2026-05-28T20:26:40+00:00\",\"key\":\"k\\\"1\",\"headers\":["
            "{\"name\":\"a\",\"value\":\"b\"},{\"name\":\"raw\",\"value\":{\"hex\":\"00ff\"}},"
            "{\"name\":\"none\",\"value\":null}]};";
        assert_non_null(memmem(out.data, out.size, want, strlen(want)));
        want = "t|s/1|6|2|ts|23502|null value in column \"ts\" violates not-null constraint|"
               "\\x7b2261223a347d|new|{\"topic\":\"topic\",\"partition\":1,\"offset\":11,";
        if (memmem(out.data, out.size, "t|s/1|", 6) == NULL)
            fail_msg("no dead letter of s/1");
        const char *tail = strchr(want, '2');
        assert_non_null(memmem(out.data, out.size, tail, strlen(tail)));
        want = "|the row is not a JSON object|\\x35|new|"
               "{\"topic\":\"topic\",\"partition\":1,\"offset\":11};";
        assert_non_null(memmem(out.data, out.size, want, strlen(want)));
        world_print_provider(&world, "drift", &out);
        assert_non_null(memmem(out.data, out.size, "t|s/0|zz|unknown field|", 23));
        assert_null(memmem(out.data, out.size, "t|s/1|zz|", 9));
        if (round == 1)
            assert_int_equal(store_checkpoint(world.store, NULL), OK);
        world_reopen(&world);
    }
    writer_deinit(&out);
    world_deinit(&world);
}

/* Late rows are judged by what was promised before the record, whatever order its partitions have.
 */
static void test_watermarks_of_one_record(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct intake *intake = open_intake(&world);
    place(intake, 2, 0);
    assert_int_equal(intake_assign(intake, 0), 0);
    assert_int_equal(intake_assign(intake, 1), 0);
    struct kafka_message messages[] = {message(0, 0, "{\"ts\":1779999990}"),
                                       message(1, 0, "{\"ts\":1779990000}")};
    assert_int_equal(give(intake, messages, 2), OK);
    struct completeness completeness;
    struct arena arena;
    arena_init(&arena);
    uint32_t table_id = 1;
    ingest_completeness(world.ingest, &table_id, 1, &arena, &completeness);
    assert_int_equal(completeness.late_rows, 0);
    assert_true(completeness.complete_through_us == INT64_C(1779989970000000));
    assert_int_equal(completeness.sources_total, 2);
    arena_deinit(&arena);
    intake_close(intake);
    writer_deinit(&out);
    world_deinit(&world);
}

static void test_map_of_the_subscription(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "{\"a\": \"/x/y\", \"ts\": \"/when\"}");
    struct intake *intake = open_intake(&world);
    place(intake, 1, 0);
    assert_int_equal(intake_assign(intake, 0), 0);
    struct kafka_message first = message(0, 0, "{\"when\":1780000001,\"x\":{\"y\":7}}");
    assert_int_equal(give(intake, &first, 1), OK);
    world_print_table(&world, "t", &out);
    expect_text(out, "2026-05-28 20:26:41+00|7|~;");
    const struct ingest_column column = {.name = SLICE("b"), .type = type_of(TYPE_INT8)};
    uint64_t position;
    struct error error;
    assert_int_equal(ingest_add_column(world.ingest, SLICE("t"), &column, false, &position, &error),
                     OK);
    struct kafka_message second = message(0, 1, "{\"when\":1780000002,\"x\":{\"y\":8},\"b\":9}");
    assert_int_equal(give(intake, &second, 1), OK);
    world_print_table(&world, "t", &out);
    expect_text(out, "2026-05-28 20:26:41+00|7|~|~;2026-05-28 20:26:42+00|8|~|9;");
    intake_close(intake);
    writer_deinit(&out);
    world_deinit(&world);
}

/* What was read under an older assignment is refused; without the fence it would be there twice. */
static uint64_t rows_after_rebalance(bool has_fence)
{
    struct world world;
    struct error error;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct intake *old = open_intake(&world), *new = open_intake(&world);
    place(old, 1, 0);
    assert_int_equal(intake_assign(old, 0), 0);
    struct kafka_message messages[] = {message(0, 0, "{\"ts\":1780000001}"),
                                       message(0, 1, "{\"ts\":1780000002}")};
    struct intake_batch *batch;
    assert_int_equal(intake_decode(old, messages, 2, &batch, &error), OK);
    if (!has_fence)
        fault_plant("kafka.no_fence");
    assert_int_equal(intake_assign(new, 0), 0);
    assert_int_equal(give(new, messages, 2), OK);
    enum err err = intake_submit(old, batch, &error);
    assert_int_equal(err, has_fence ? ERR_CANCELLED : OK);
    (void)!intake_wait(old, &error);
    fault_clear();
    uint64_t rows = world_rows(&world, "t");
    intake_close(old);
    intake_close(new);
    world_deinit(&world);
    return rows;
}

static void test_fence(void **state)
{
    (void)state;
    assert_int_equal(rows_after_rebalance(true), 2);
    assert_int_equal(rows_after_rebalance(false), 4);
}

static void test_revoked_batch(void **state)
{
    (void)state;
    struct world world;
    struct error error;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct intake *intake = open_intake(&world);
    place(intake, 1, 5);
    assert_int_equal(intake_assign(intake, 0), 5);
    struct kafka_message first = message(0, 5, "{\"ts\":1780000001}");
    struct intake_batch *batch;
    assert_int_equal(intake_decode(intake, &first, 1, &batch, &error), OK);
    intake_revoke(intake, 0);
    assert_int_equal(intake_submit(intake, batch, &error), ERR_CANCELLED);
    assert_string_equal(error.sqlstate, "40001");
    assert_int_equal(intake_decode(intake, &first, 1, &batch, &error), OK);
    assert_null(batch); /* not ours any more */
    assert_int_equal(intake_assign(intake, 0), 5);
    assert_int_equal(give(intake, &first, 1), OK);
    assert_int_equal(world_rows(&world, "t"), 1);
    struct intake_position ahead = {.partition = 0, .offset = 9}, behind = {.partition = 0};
    assert_int_equal(intake_place(intake, &ahead, 1, false, &error), OK);
    assert_int_equal(intake_place(intake, &behind, 1, false, &error), OK);
    assert_int_equal(intake_next(intake, 0), 9);
    struct kafka_message old = message(0, 8, "{\"ts\":1780000001}");
    assert_int_equal(give(intake, &old, 1), OK);
    assert_int_equal(world_rows(&world, "t"), 1);
    intake_close(intake);
    world_deinit(&world);
}

static void test_what_is_gone(void **state)
{
    (void)state;
    struct world world;
    struct error error;
    uint64_t position;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct slice table = SLICE("t");
    assert_int_equal(ingest_drop_tables(world.ingest, &table, 1, false, &position, &error),
                     ERR_INPUT);
    assert_string_equal(error.sqlstate, "2BP01");
    struct intake *intake = open_intake(&world);
    place(intake, 1, 0);
    assert_int_equal(intake_assign(intake, 0), 0);
    assert_int_equal(ingest_drop_subscription(world.ingest, SLICE("s"), false, &position, &error),
                     OK);
    struct kafka_message first = message(0, 0, "{\"ts\":1780000001}");
    assert_int_equal(give(intake, &first, 1), ERR_NOT_FOUND);
    intake_close(intake);
    struct intake_options options = {.ingest = world.ingest, .subscription = SLICE("s")};
    assert_int_equal(intake_open(&options, &intake, &error), ERR_NOT_FOUND);
    assert_string_equal(error.sqlstate, "42704");
    world_deinit(&world);
}

/* --- many rows --- */

/* Rows of three partitions, some of a message, with what makes a row bad, unknown or late. */
static size_t many_messages(size_t count, char (*texts)[128], struct kafka_message *out)
{
    for (size_t i = 0; i < count; i++) {
        int ts = 1780000000 - (int)(i % 50) * 100;
        int size = sizeof(texts[i]);
        if (i % 11 == 3)
            snprintf(texts[i], size, "nonsense %zu", i);
        else if (i % 7 == 2)
            snprintf(texts[i], size, "[{\"ts\":%d,\"t\":\"x%zu\"},{},{\"ts\":%d}]", ts, i, ts);
        else if (i % 5 == 1)
            snprintf(texts[i], size, "{\"ts\":%d,\"zz\":%zu}", ts, i);
        else
            snprintf(texts[i], size, "{\"ts\":%d,\"a\":%zu,\"t\":\"t%zu\"}", ts, i, i % 3);
        out[i] = message((int32_t)(i % 3), (int64_t)(i / 3), texts[i]);
    }
    return count;
}

/* A batch in sections leaves what it leaves as one. */
static void test_sections(void **state)
{
    (void)state;
    static const char *const providers[] = {"ledger", "watermarks", "dead_letters", "drift"};
    static const size_t counts[] = {1, 63, 64, 65, 127, 128, 129, 1000};
    static char texts[1000][128];
    static struct kafka_message messages[1000];
    for (size_t i = 0; i < array_count(counts); i++) {
        struct writer printed[2][1 + array_count(providers)];
        for (int is_split = 0; is_split <= 1; is_split++) {
            struct world world;
            world_init(&world);
            world.options.limits.section_cells = is_split ? 1 : 1 << 20; /* 64 rows at least */
            world_reopen(&world);
            world_create_table(&world, NULL, 0);
            subscribe(&world, "");
            struct intake *intake = open_intake(&world);
            place(intake, 3, 0);
            for (int32_t p = 0; p < 3; p++)
                assert_int_equal(intake_assign(intake, p), 0);
            size_t count = many_messages(counts[i], texts, messages);
            assert_int_equal(give(intake, messages, count), OK);
            assert_int_equal(intake_next(intake, 0), (counts[i] + 2) / 3);
            intake_close(intake);
            for (int round = 0; round < 2; round++) { /* before a restart and behind it */
                struct writer *out = printed[is_split];
                for (size_t p = 0; p <= array_count(providers) && round == 0; p++)
                    writer_init(&out[p]);
                world_print_table(&world, "t", &out[0]);
                for (size_t p = 0; p < array_count(providers); p++)
                    world_print_provider(&world, providers[p], &out[1 + p]);
                world_reopen(&world);
            }
            world_deinit(&world);
        }
        for (size_t p = 0; p <= array_count(providers); p++) {
            assert_true(
                slice_equal(writer_as_slice(&printed[0][p]), writer_as_slice(&printed[1][p])));
            writer_deinit(&printed[0][p]);
            writer_deinit(&printed[1][p]);
        }
    }
}

/* An array of so many rows without a value but their time, at ts and a 16 bytes each. */
static struct slice array_of(struct writer *out, size_t rows)
{
    writer_init(out);
    for (size_t i = 0; i < rows; i++)
        writer_printf(out, "%s{\"ts\":1}", i == 0 ? "[" : ",");
    writer_printf(out, "]");
    return writer_as_slice(out);
}

/* Rows are asked for as wide as they will be, before they are there; what is refused leaves
 * nothing. A message that never fits becomes a dead letter when its giver says so. */
static enum err give_wide(const char *fault)
{
    struct world world;
    struct store_status status;
    struct writer large, small;
    world_init(&world);
    world.rows_memory_limit = 256 << 10;
    world.options.limits.section_cells = 1;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct intake *intake = open_intake(&world);
    place(intake, 1, 0);
    assert_int_equal(intake_assign(intake, 0), 0);
    struct kafka_message messages[] = {message(0, 0, ""), message(0, 1, ""), message(0, 2, "")};
    messages[0].value = array_of(&large, 20000);
    messages[1].value = messages[2].value = array_of(&small, 5000);
    if (fault != NULL)
        fault_plant(fault);
    struct intake_batch *batch;
    struct error error;
    enum err err = intake_decode(intake, messages, 1, &batch, &error);
    fault_clear();
    if (err == OK) {
        intake_batch_destroy(batch);
    } else {
        assert_string_equal(error.sqlstate, "54000");
        store_status(world.store, &status);
        assert_int_equal(status.rows_memory_used, 0);
        assert_int_equal(intake_next(intake, 0), 0);
        messages[0].is_too_large = true;
        assert_int_equal(give(intake, messages, 2), OK);
        assert_int_equal(intake_next(intake, 0), 2);
        assert_int_equal(world_rows(&world, "t"), 5000);
        assert_int_equal(intake_decode(intake, &messages[2], 1, &batch, &error), ERR_LIMIT);
        assert_string_equal(error.sqlstate, "53200"); /* for now */
        struct writer out;
        writer_init(&out);
        world_print_provider(&world, "ledger", &out);
        expect_text(out, "2026-05-28 20:26:00+00|t|s/0|5001|5000|0|0|0|0|0|1;");
        writer_deinit(&out);
    }
    intake_close(intake);
    writer_deinit(&large);
    writer_deinit(&small);
    world_deinit(&world);
    return err;
}

static void test_rows_memory(void **state)
{
    (void)state;
    assert_int_equal(give_wide(NULL), ERR_LIMIT);
    assert_int_equal(give_wide("kafka.rows_uncharged"), OK);
}

/* --- a random program --- */

#define PARTITIONS 4
#define MESSAGES 60

static void check_rows(struct world *world, const int64_t next[PARTITIONS], uint64_t seed)
{
    uint64_t want = 0;
    for (int p = 0; p < PARTITIONS; p++)
        for (int64_t offset = 0; offset < next[p]; offset++)
            want += offset % 7 != 3 && offset % 5 != 4; /* gaps and tombstones */
    if (world_rows(world, "t") != want)
        fail_msg("seed %llu: %llu rows, want %llu", (unsigned long long)seed,
                 (unsigned long long)world_rows(world, "t"), (unsigned long long)want);
}

/* Any offsets from somewhere at or before the next one on: what a broker may deliver again. */
static size_t deliver(struct random_stream *random, const int64_t next[PARTITIONS],
                      struct kafka_message *out)
{
    size_t count = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        int64_t back = (int64_t)random_below(random, 3);
        int64_t first = next[p] > back ? next[p] - back : 0;
        int64_t last = first + (int64_t)random_below(random, 9);
        for (int64_t offset = first; offset < last && offset < MESSAGES; offset++)
            if (offset % 7 != 3)
                out[count++] = message(p, offset, offset % 5 == 4 ? NULL : "{\"ts\":1780000001}");
    }
    return count;
}

static void run_random(uint64_t seed)
{
    struct world world;
    struct random_stream random = {0};
    random_stream_init(&random, seed);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    subscribe(&world, "");
    struct intake *intake = open_intake(&world);
    place(intake, PARTITIONS, 0);
    int64_t next[PARTITIONS] = {0};
    for (int step = 0; step < 60; step++) {
        struct kafka_message messages[PARTITIONS * 16];
        int32_t p = (int32_t)random_below(&random, PARTITIONS);
        switch (random_below(&random, 8)) {
        case 0:
            assert_int_equal(intake_assign(intake, p), next[p]);
            break;
        case 1:
            intake_revoke(intake, p);
            break;
        case 2:
            intake_close(intake);
            if (random_below(&random, 2) == 0)
                assert_int_equal(store_checkpoint(world.store, NULL), OK);
            world_reopen(&world);
            intake = open_intake(&world);
            break;
        default: {
            size_t count = deliver(&random, next, messages);
            assert_int_equal(give(intake, messages, count), OK);
        }
        }
        for (int i = 0; i < PARTITIONS; i++) {
            int64_t now = intake_next(intake, i);
            assert_true(now >= next[i]);
            next[i] = now;
        }
        check_rows(&world, next, seed);
    }
    intake_close(intake);
    world_deinit(&world);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_random(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fates),
        cmocka_unit_test(test_watermarks_of_one_record),
        cmocka_unit_test(test_map_of_the_subscription),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_revoked_batch),
        cmocka_unit_test(test_what_is_gone),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_rows_memory),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
