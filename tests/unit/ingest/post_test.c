/* Requests from body to answer: what is stored, what is said, what survives a restart. */
#include "tests/unit/ingest/ingest_harness.h"

#include "storage/base/fault.h"
#include "storage/base/metrics.h"

static void test_rows_answer_and_dead_letters(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct reply reply = world_post(&world, "t",
                                    "{\"ts\":\"2026-05-01T10:00:00Z\",\"a\":1,\"t\":\"x\"}\n"
                                    "{\"ts\":\"2026-05-01T10:00:01Z\",\"a\":\"bad\"}\n"
                                    "nonsense\n"
                                    "{\"ts\":\"2099-01-01T00:00:00Z\"}\n"
                                    "{\"ts\":1777629602,\"zz\":1}\n");
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.outcome, INGEST_STORED);
    assert_string_equal(
        reply.body,
        "{\"position\":\"2\",\"rows\":2,\"duplicates\":0,\"rejected_rows\":3,\"rejected\":["
        "{\"row\":2,\"column\":\"a\",\"error\":\"invalid input syntax for type bigint: "
        "\\\"bad\\\"\",\"sqlstate\":\"22P02\"},"
        "{\"row\":3,\"column\":null,\"error\":\"the line is not a JSON object at byte "
        "1\",\"sqlstate\":\"22P02\"},"
        "{\"row\":4,\"column\":\"ts\",\"error\":\"event time in column \\\"ts\\\" is further ahead "
        "of the server's "
        "clock than "
        "the table's option \\\"future\\\" "
        "allows\",\"sqlstate\":\"22008\"}],\"unknown\":{\"zz\":1}}");
    const char *want_rows = "2026-05-01 10:00:00+00|1|x;2026-05-01 10:00:02+00|~|~;";
    const char *want_ledger = "2026-05-28 20:26:00+00|t|http|5|2|0|0|0|0|0|3;";
    const char *want_drift =
        "t|http|zz|unknown field|2026-05-28 20:26:40+00|2026-05-28 20:26:40+00|1|1;"
        "t|http|a|type mismatch|2026-05-28 20:26:40+00|2026-05-28 20:26:40+00|1|invalid input "
        "syntax "
        "for type bigint: \"bad\";"
        "t|http|~|other|2026-05-28 20:26:40+00|2026-05-28 20:26:40+00|1|the line is not a JSON "
        "object "
        "at byte 1;"
        "t|http|ts|other|2026-05-28 20:26:40+00|2026-05-28 20:26:40+00|1|event time in column "
        "\"ts\" is "
        "further ahead of the server's clock than the table's option \"future\" allows;";
    for (int round = 0; round < 3; round++) {
        world_print_table(&world, "t", &out);
        expect_text(out, want_rows);
        world_print_provider(&world, "ledger", &out);
        expect_text(out, want_ledger);
        world_print_provider(&world, "drift", &out);
        expect_text(out, want_drift);
        world_print_provider(&world, "dead_letters", &out);
        assert_non_null(memmem(
            out.data, out.size,
            "|t|http|2|3|~|22P02|the line is not a JSON object at byte 1|\\x6e6f6e73656e7365|new;",
            70));
        if (round == 1)
            assert_int_equal(store_checkpoint(world.store, NULL), OK);
        world_reopen(&world);
    }
    writer_deinit(&out);
    world_deinit(&world);
}

static void test_refusals(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.options.limits.body_max = 1000;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    uint64_t position = store_position(world.store);
    static const char long_body[2000] = {[0 ... 1998] = ' '};
    static const struct {
        struct ingest_request request;
        int status;
    } cases[] = {
        {{.table = SLICE("nope"), .body = SLICE("{}")}, 404},
        {{.table = SLICE("t"), .body = SLICE("[{\"a\":1}")}, 400},
        {{.table = SLICE("t"), .body = SLICE("a,t\n1,\"x"), .format = INGEST_CSV}, 400},
        {{.table = SLICE("t"), .body = {.data = long_body, .size = 1500}}, 413},
        {{.table = SLICE("t"), .body = SLICE("rubbish"), .encoding = INGEST_GZIP}, 400},
        {{.table = SLICE("t"), .body = SLICE("rubbish"), .encoding = INGEST_ZSTD}, 400},
        {{.table = SLICE("t"), .body = SLICE("{}"), .producer = SLICE("p")}, 400},
        {{.table = SLICE("t"), .body = SLICE("{}"), .has_sequence = true}, 400},
        {{.table = SLICE("t"),
          .body = SLICE("{}"),
          .producer = SLICE("p"),
          .has_sequence = true,
          .idempotency_key = SLICE("k")},
         400},
        {{.table = SLICE("t"),
          .body = SLICE("{}"),
          .idempotency_key = {.data = long_body, .size = 129}},
         400},
        {{.table = SLICE("t"),
          .body = SLICE("{}"),
          .producer = SLICE("\xFF"),
          .has_sequence = true},
         400},
        {{.table = SLICE("new"), .body = SLICE(""), .is_create = true}, 400},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct reply reply;
        world_send(&world, &cases[i].request, &reply);
        if (reply.status != cases[i].status)
            fail_msg("case %zu: %d, want %d (%s)", i, reply.status, cases[i].status,
                     reply.error.text);
        assert_int_equal(reply.outcome, INGEST_REFUSED);
    }
    assert_int_equal(store_position(world.store), position);
    assert_int_equal(world_rows(&world, "t"), 0);
    struct reply reply = world_post(&world, "t", "\n \n");
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"rows\":0,"));
    world_deinit(&world);
}

static void test_create_infers(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    struct ingest_request request = {
        .table = SLICE("ev"),
        .is_create = true,
        .body = SLICE("{\"ts\":\"2026-05-01T10:00:00Z\",\"n\":1,\"f\":1.5,\"ok\":true,\"s\":\"x\","
                      "\"o\":{\"a\":1}}\n"
                      "{\"ts\":\"2026-05-01T10:00:01Z\",\"n\":2,\"f\":2}\n")};
    struct reply reply;
    world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 200);
    world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 200);
    world_print_table(&world, "ev", &out);
    expect_text(out,
                "2026-05-01 10:00:00+00|1|1.5|t|x|{\"a\":1};2026-05-01 10:00:01+00|2|2|~|~|~;"
                "2026-05-01 10:00:00+00|1|1.5|t|x|{\"a\":1};2026-05-01 10:00:01+00|2|2|~|~|~;");
    const struct schema *schema = ingest_schema(world.ingest, SLICE("ev"));
    assert_int_equal(schema->time_column, 0);
    schema_unref(schema);
    writer_deinit(&out);
    world_deinit(&world);
}

static void test_defaults(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    const struct ingest_column columns[] = {
        {.name = SLICE("ts"),
         .type = type_of(TYPE_TIMESTAMPTZ),
         .is_not_null = true,
         .default_text = SLICE("now()")},
        {.name = SLICE("a"), .type = type_of(TYPE_INT8), .default_text = SLICE("7")},
        {.name = SLICE("t"), .type = type_of(TYPE_TEXT), .default_text = SLICE("'x'")},
    };
    struct ingest_table table = {
        .name = SLICE("t"), .column_count = array_count(columns), .columns = columns};
    uint64_t position;
    struct error error;
    assert_int_equal(ingest_create_table(world.ingest, &table, &position, &error), OK);
    struct reply reply =
        world_post(&world, "t", "{}\n{\"a\":null,\"t\":\"y\"}\n{\"ts\":null}\n{\"ts\":0}\n");
    assert_int_equal(reply.status, 200);
    world_print_table(&world, "t", &out);
    expect_text(
        out, "2026-05-28 20:26:40+00|7|x;2026-05-28 20:26:40+00|~|y;1970-01-01 00:00:00+00|7|x;");
    writer_deinit(&out);
    world_deinit(&world);
}

#define ROW "{\"ts\":\"2026-05-01T10:00:00Z\",\"a\":1}\n"
#define OTHER "{\"ts\":\"2026-05-01T10:00:00Z\",\"a\":2}\n"

static void check_producer_round(struct world *world)
{
    struct reply first = world_post_sequence(world, "p", 10, ROW "bad\n");
    assert_int_equal(first.status, 200);
    struct reply again = world_post_sequence(world, "p", 10, ROW "bad\n");
    assert_int_equal(again.status, 200);
    assert_int_equal(again.outcome, INGEST_REPEATED);
    assert_string_equal(again.body, first.body);
    assert_int_equal(world_post_sequence(world, "p", 10, OTHER).status, 422);
    struct reply gap = world_post_sequence(world, "p", 12, OTHER);
    assert_int_equal(gap.status, 409);
    assert_int_equal(gap.expected_sequence, 11);
    assert_int_equal(world_post_sequence(world, "p", 11, OTHER).status, 200);
    struct reply older = world_post_sequence(world, "p", 10, ROW "bad\n");
    assert_int_equal(older.status, 200);
    assert_non_null(strstr(older.body, "\"rows\":0,\"duplicates\":2,\"rejected_rows\":0"));
}

static void test_producers(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    check_producer_round(&world);
    assert_int_equal(world_rows(&world, "t"), 2);
    struct reply last = world_post_sequence(&world, "p", 11, OTHER);
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            assert_int_equal(store_checkpoint(world.store, NULL), OK);
        world_reopen(&world);
        struct reply again = world_post_sequence(&world, "p", 11, OTHER);
        assert_string_equal(again.body, last.body);
        assert_int_equal(world_rows(&world, "t"), 2);
    }
    world_print_provider(&world, "producers", &out);
    assert_non_null(memmem(out.data, out.size, "t|p|11|", 7));
    world_print_provider(&world, "ledger", &out);
    expect_text(out, "2026-05-28 20:26:00+00|t|p|11|2|8|0|0|0|0|1;");
    writer_deinit(&out);
    world_deinit(&world);
}

static void test_keys(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.options.limits.keys_window = 5;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    struct reply first = world_post_key(&world, "k", ROW);
    assert_int_equal(first.status, 200);
    assert_int_equal(first.key_expires_us, world.wall_us + world.options.limits.key_lifetime_us);
    for (int round = 0; round < 2; round++) {
        struct reply again = world_post_key(&world, "k", ROW);
        assert_string_equal(again.body, first.body);
        assert_int_equal(again.key_expires_us, first.key_expires_us);
        assert_int_equal(world_post_key(&world, "k", OTHER).status, 422);
        world_reopen(&world);
    }
    assert_int_equal(world_rows(&world, "t"), 1);
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof(key), "n%d", i);
        assert_int_equal(world_post_key(&world, key, ROW).outcome, INGEST_STORED);
    }
    world_reopen(&world);
    assert_int_equal(world_post_key(&world, "k", ROW).outcome,
                     INGEST_REPEATED); /* four newer ones */
    assert_int_equal(world_post_key(&world, "n4", ROW).outcome, INGEST_STORED);
    world_reopen(&world);
    assert_int_equal(world_post_key(&world, "k", ROW).outcome, INGEST_STORED); /* five */
    assert_int_equal(world_rows(&world, "t"), 7);
    world.wall_us += world.options.limits.key_lifetime_us - 1;
    assert_int_equal(world_post_key(&world, "k", ROW).outcome, INGEST_REPEATED);
    world.wall_us += 1;
    assert_int_equal(world_post_key(&world, "k", ROW).outcome, INGEST_STORED);
    world_deinit(&world);
}

/* Two requests of one name at once: the second is told to wait. */
static void test_in_progress(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct reply first = {0}, second = {0}, third = {0};
    struct ingest_request request = {
        .table = SLICE("t"), .body = SLICE(ROW), .idempotency_key = SLICE("k")};
    ingest_post(world.ingest, &request, world_done, &first);
    assert_int_equal(first.calls, 0);
    ingest_post(world.ingest, &request, world_done, &second);
    assert_int_equal(second.status, 409);
    while (first.calls == 0)
        assert_true(store_run(world.store));
    ingest_post(world.ingest, &request, world_done, &third);
    while (third.calls == 0)
        assert_true(store_run(world.store));
    assert_int_equal(third.outcome, INGEST_REPEATED);
    assert_int_equal(world_rows(&world, "t"), 1);
    world_deinit(&world);
}

static bool at_once(struct world *world, const struct ingest_request *request, struct reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    bool is_taken = ingest_post_at_once(world->ingest, request, world_done, reply);
    while (is_taken && reply->calls == 0)
        assert_true(store_run(world->store));
    assert_int_equal(reply->calls, is_taken);
    return is_taken;
}

/* A change of the table that is submitted, but not yet in any snapshot. */
static void submit_drop(struct world *world)
{
    const struct schema *schema = ingest_schema(world->ingest, SLICE("t"));
    struct commit *commit = commit_create(world->store);
    struct error error;
    commit_set_change(commit, CHANGE_DROP, schema->table_id, NULL);
    assert_int_equal(store_submit(world->store, commit, NULL, NULL, NULL, &error), OK);
    schema_unref(schema);
}

/* Answers as ingest_post does; hands on what it would have to wait for, with nothing stored or
 * counted. */
static void test_at_once(void **state)
{
    (void)state;
    static const char *const bodies[] = {ROW, "", "\n", ("nonsense\n" ROW), "{\"a\":true}\n", "[1"};
    struct world world;
    struct reply here, there;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    for (size_t i = 0; i < array_count(bodies); i++) {
        struct ingest_request request = {.table = SLICE("t"), .body = slice_from_cstr(bodies[i])};
        assert_true(at_once(&world, &request, &here));
        world_send(&world, &request, &there);
        assert_int_equal(here.status, there.status);
        const char *rest = strchr(here.body, ','), *same = strchr(there.body, ',');
        assert_string_equal(rest == NULL ? "" : rest, same == NULL ? "" : same);
        assert_string_equal(here.error.text, there.error.text);
    }
    struct ingest_request request = {.table = SLICE("other"), .body = SLICE(ROW)};
    assert_true(at_once(&world, &request, &here));
    assert_int_equal(here.status, 404);
    request.is_create = true;
    assert_false(at_once(&world, &request, &here));
    assert_int_equal(world_rows(&world, "other"), UINT64_MAX);

    request = (struct ingest_request){
        .table = SLICE("t"), .body = SLICE(ROW), .idempotency_key = SLICE("k")};
    submit_drop(&world);
    int64_t bytes = metric_get(&metrics.ingest_bytes);
    assert_false(at_once(&world, &request, &here));
    assert_false(at_once(&world, &request, &here)); /* its key is not under way */
    assert_int_equal(metric_get(&metrics.ingest_bytes), bytes);
    fault_plant("ingest.never_hands_on");
    assert_true(at_once(&world, &request, &here));
    assert_int_equal(here.status, 503);
    fault_clear();
    assert_true(store_run(world.store));
    assert_true(at_once(&world, &request, &here));
    assert_int_equal(here.status, 404);
    world_deinit(&world);
}

/* A checkpoint may have the lock for as long as it takes to write a GiB. */
static void test_at_once_locked(void **state)
{
    (void)state;
    struct world world;
    struct reply here;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct ingest_request request = {.table = SLICE("t"), .body = SLICE(ROW)};
    mutex_lock(&world.ingest->lock);
    assert_false(at_once(&world, &request, &here));
    mutex_unlock(&world.ingest->lock);
    assert_true(at_once(&world, &request, &here));
    assert_int_equal(here.status, 200);
    assert_int_equal(world_rows(&world, "t"), 1);
    world_deinit(&world);
}

/* `count` lines, all alike but the first. */
static struct slice lines(struct writer *out, const char *first, const char *line, size_t count)
{
    writer_init(out);
    writer_slice(out, slice_from_cstr(first));
    for (size_t i = 1; i < count; i++)
        writer_slice(out, slice_from_cstr(line));
    return writer_as_slice(out);
}

/* Few bytes can be many cells, whatever the first line says: such bodies are another thread's, with
 * nothing kept of them; what is just within the bound is decoded. */
static void test_at_once_few_rows(void **state)
{
    (void)state;
    static const char *const kinds[] = {"{}\n", "x\n", ROW};
    struct world world;
    struct reply here;
    struct writer body;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    size_t most = 32768 / (schema->column_count + 4);
    schema_unref(schema);
    for (size_t i = 0; i < array_count(kinds); i++) {
        char first[256];
        memset(first, ' ', sizeof(first));
        snprintf(first + 100, sizeof(first) - 100, "%s", kinds[i]);
        for (int is_long = 0; is_long <= 1; is_long++) {
            struct ingest_request request = {
                .table = SLICE("t"), .format = INGEST_NDJSON, .idempotency_key = SLICE("k")};
            const char *line = is_long ? first : kinds[i];
            uint64_t before = world_rows(&world, "t");
            request.body = lines(&body, line, kinds[i], most + 1);
            assert_false(at_once(&world, &request, &here));
            assert_false(at_once(&world, &request, &here)); /* its key is not under way */
            assert_int_equal(world_rows(&world, "t"), before);
            writer_deinit(&body);
            request.idempotency_key = (struct slice){0};
            request.body = lines(&body, line, kinds[i], most);
            assert_true(at_once(&world, &request, &here));
            assert_int_equal(here.status, 200);
            writer_deinit(&body);
        }
    }
    struct ingest_request request = {.table = SLICE("t"), .format = INGEST_NDJSON};
    request.body = lines(&body, "{}\n", "{}\n", 4 * most);
    fault_plant("ingest.at_once_unbounded");
    assert_true(at_once(&world, &request, &here));
    fault_clear();
    assert_false(at_once(&world, &request, &here));
    writer_deinit(&body);
    world_deinit(&world);
}

static void test_memory_limit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.rows_memory_limit = 256 << 10;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    struct reply reply = {.status = 200};
    uint64_t stored = 0;
    for (int i = 0; i < 20000 && reply.status == 200; i++) {
        reply = world_post(&world, "t", ROW);
        stored += reply.status == 200;
    }
    assert_int_equal(reply.status, 429);
    assert_true(reply.retry_after_s > 0);
    assert_int_equal(world_rows(&world, "t"), stored);
    struct slice name = SLICE("t");
    uint64_t position;
    struct error error;
    assert_int_equal(ingest_truncate(world.ingest, &name, 1, NULL, &position, &error), OK);
    assert_int_equal(world_post(&world, "t", ROW).status, 200); /* it goes on by itself */
    assert_int_equal(world_rows(&world, "t"), 1);
    world_deinit(&world);
}

/* Good rows, bad ones, unknown fields, a line that is none. */
static struct slice mixed_body(struct writer *out, size_t count)
{
    writer_init(out);
    for (size_t i = 0; i < count; i++) {
        if (i % 7 == 3)
            writer_printf(out, "{\"a\":%zu}\n", i);
        else if (i % 11 == 5)
            writer_cstr(out, i % 2 == 0 ? "nonsense\n" : "{\"ts\":1,\"a\":\"x\"}\n");
        else if (i / 50 % 2 == 0)
            writer_printf(out, "{\"ts\":%zu,\"t\":\"text %zu\",\"u\":0}\n", i, i % 5);
        else
            writer_printf(out, "{\"ts\":%zu,\"a\":%zu}\n", i, i);
    }
    return writer_as_slice(out);
}

/* A body in sections is one record with the answer, the rows and the dead letters that it has when
 * it is decoded as one; and so is its repetition. */
static void test_sections(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 63, 64, 65, 127, 128, 129, 1000};
    for (size_t i = 0; i < array_count(counts); i++) {
        struct writer body, printed[2][3];
        struct reply replies[2][2];
        struct slice bytes = mixed_body(&body, counts[i]);
        for (int is_split = 0; is_split <= 1; is_split++) {
            struct world world;
            world_init(&world);
            world.options.limits.section_cells = is_split ? 1 : 1 << 20; /* 64 rows at least */
            world_reopen(&world);
            world_create_table(&world, NULL, 0);
            struct ingest_request request = {.table = SLICE("t"),
                                             .format = INGEST_NDJSON,
                                             .body = bytes,
                                             .idempotency_key = SLICE("k")};
            world_send(&world, &request, &replies[is_split][0]);
            world_send(&world, &request, &replies[is_split][1]);
            for (int p = 0; p < 3; p++)
                writer_init(&printed[is_split][p]);
            world_print_table(&world, "t", &printed[is_split][0]);
            world_print_provider(&world, "ledger", &printed[is_split][1]);
            world_reopen(&world);
            world_print_table(&world, "t", &printed[is_split][2]);
            assert_true(slice_equal(writer_as_slice(&printed[is_split][0]),
                                    writer_as_slice(&printed[is_split][2])));
            world_deinit(&world);
        }
        for (int p = 0; p < 3; p++) {
            assert_true(
                slice_equal(writer_as_slice(&printed[0][p]), writer_as_slice(&printed[1][p])));
            writer_deinit(&printed[0][p]);
            writer_deinit(&printed[1][p]);
        }
        for (int r = 0; r < 2; r++) {
            assert_int_equal(replies[0][r].status, 200);
            assert_int_equal(replies[1][r].status, 200);
            assert_int_equal(replies[1][r].position, replies[0][r].position);
            assert_string_equal(replies[1][r].body, replies[0][r].body);
        }
        writer_deinit(&body);
    }
}

/* Times that fall, a minute a row, further than `lateness` allows: none is late within its own
 * body. */
static uint64_t late_rows_of(size_t section_cells, const char *fault)
{
    struct world world;
    struct writer body;
    struct reply reply;
    world_init(&world);
    world.options.limits.section_cells = section_cells;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    writer_init(&body);
    for (int i = 0; i < 200; i++)
        writer_printf(&body, "{\"ts\":%d}\n", 100000 - i * 60);
    struct ingest_request request = {
        .table = SLICE("t"), .format = INGEST_NDJSON, .body = writer_as_slice(&body)};
    if (fault != NULL)
        fault_plant(fault);
    world_send(&world, &request, &reply);
    fault_clear();
    assert_int_equal(reply.status, 200);
    mutex_lock(&world.ingest->lock);
    uint64_t late = world.ingest->tables[0]->sources.late_rows;
    mutex_unlock(&world.ingest->lock);
    writer_deinit(&body);
    world_deinit(&world);
    return late;
}

static void test_late_within_a_body(void **state)
{
    (void)state;
    assert_int_equal(late_rows_of(1 << 20, NULL), 0);
    assert_int_equal(late_rows_of(1, NULL), 0); /* 64 rows at a time */
    assert_int_equal(late_rows_of(1, "ingest.late_by_part"), 200 - 64);
}

/* What a body's rows take as columns is asked for before they are there: NULLs are as wide as
 * values. Nothing of a refused one is kept, in any section. */
static void test_rows_memory(void **state)
{
    (void)state;
    struct world world;
    struct writer body;
    struct store_status status;
    world_init(&world);
    world.rows_memory_limit = 256 << 10;
    world.options.limits.section_cells = 1;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    struct ingest_request request = {.table = SLICE("t"), .format = INGEST_NDJSON};
    struct reply reply;
    /* ts and a: 16 bytes of a row, 1 of them in the record's bitmap where it is NULL. */
    request.body = lines(&body, "{\"ts\":1}\n", "{\"ts\":1}\n", 20000);
    world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 413); /* for good */
    assert_int_equal(world_rows(&world, "t"), 0);
    store_status(world.store, &status);
    assert_int_equal(status.rows_memory_used, 0);
    writer_deinit(&body);
    request.body = lines(&body, "{\"ts\":1}\n", "{\"ts\":1}\n", 5000);
    world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 200);
    for (int i = 0; i < 100 && reply.status == 200; i++)
        world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 429); /* for now */
    uint64_t rows = world_rows(&world, "t");
    assert_int_equal(rows % 5000, 0);
    writer_deinit(&body);
    world_deinit(&world);
}

/* Rows that would fit with less in memory are not refused until what is there grows old: it is
 * sealed for them, though it is less than half of the memory and sealed by no other rule. */
static bool finds_room(const char *fault)
{
    struct world world;
    struct writer body;
    struct store_status status;
    struct reply reply;
    world_init(&world);
    world.rows_memory_limit = 1 << 20;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    struct ingest_request request = {.table = SLICE("t"), .format = INGEST_NDJSON};
    request.body = lines(&body, "{\"ts\":1}\n", "{\"ts\":1}\n", 10000);
    world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 200);
    writer_deinit(&body);
    while (store_upkeep_run(world.store))
        continue;
    store_status(world.store, &status);
    assert_in_range(status.rows_memory_used, 1, world.rows_memory_limit / 2);
    if (fault != NULL)
        fault_plant(fault);
    request.body = lines(&body, "{\"ts\":1}\n", "{\"ts\":1}\n", 40000);
    reply.status = 429;
    for (int i = 0; i < 3 && reply.status == 429; i++) {
        world_send(&world, &request, &reply);
        assert_true(i > 0 || reply.status == 429);
        while (reply.status == 429 && store_upkeep_run(world.store))
            continue;
    }
    fault_clear();
    writer_deinit(&body);
    world_deinit(&world);
    return reply.status == 200;
}

static void test_room_for_refused_rows(void **state)
{
    (void)state;
    assert_true(finds_room(NULL));
    assert_false(finds_room("upkeep.refused_forgotten"));
}

/* R14: what the generator sent against the ledger; each planted miscount is seen. */
static bool ledger_is_right(const char *fault)
{
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    if (fault != NULL)
        fault_plant(fault);
    struct random_stream random;
    random_stream_init(&random, 3);
    uint64_t sent[FATE_COUNT] = {0};
    struct writer body;
    writer_init(&body);
    for (uint64_t sequence = 1; sequence <= 60; sequence++) {
        uint64_t good = random_below(&random, 8) + 1, bad = random_below(&random, 4) + 1,
                 times = random_below(&random, 3);
        writer_reset(&body);
        for (uint64_t i = 0; i < good + bad; i++)
            writer_cstr(&body, i < good ? ROW : "bad\n");
        writer_u8(&body, 0);
        for (uint64_t i = 0; i <= times; i++)
            assert_int_equal(
                world_post_sequence(&world, "p", sequence, (const char *)body.data).status, 200);
        sent[FATE_RECEIVED] += (good + bad) * (times + 1);
        sent[FATE_STORED] += good;
        sent[FATE_DEAD] += bad;
        sent[FATE_DUPLICATE] += (good + bad) * times;
    }
    writer_deinit(&body);
    fault_clear();
    bool is_right = true;
    mutex_lock(&world.ingest->lock);
    const struct table_state *table = world.ingest->tables[0];
    uint64_t got[FATE_COUNT] = {0};
    for (uint32_t i = 0; i < table->ledger.count; i++)
        for (size_t f = 0; f < FATE_COUNT; f++)
            got[f] += ledger_get(&table->ledger, i)->counts[f];
    for (size_t f = 0; f < FATE_COUNT; f++)
        is_right &= got[f] == sent[f];
    mutex_unlock(&world.ingest->lock);
    is_right &= world_rows(&world, "t") == sent[FATE_STORED];
    is_right &= world.ingest->dead.count == sent[FATE_DEAD];
    world_deinit(&world);
    return is_right;
}

static void test_ledger_and_planted_miscounts(void **state)
{
    (void)state;
    assert_true(ledger_is_right(NULL));
    assert_false(ledger_is_right("ingest.miscount.received"));
    assert_false(ledger_is_right("ingest.miscount.stored"));
    assert_false(ledger_is_right("ingest.miscount.duplicate"));
    assert_false(ledger_is_right("ingest.miscount.dead"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_answer_and_dead_letters),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_create_infers),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_producers),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_in_progress),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_at_once_locked),
        cmocka_unit_test(test_at_once_few_rows),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_late_within_a_body),
        cmocka_unit_test(test_rows_memory),
        cmocka_unit_test(test_room_for_refused_rows),
        cmocka_unit_test(test_ledger_and_planted_miscounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
