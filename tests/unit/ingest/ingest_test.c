/* State that rides on records: ticks and idle sources, completeness, limits of dead letters and
 * drift, dropped tables, metrics; and threads that post at once. */
#include "tests/unit/ingest/ingest_harness.h"

#include "storage/base/thread.h"

static void post_at(struct world *world, const char *producer, uint64_t sequence, int64_t ts_us)
{
    char body[100];
    snprintf(body, sizeof(body), "{\"ts\":\"%lld\"}\n", (long long)ts_us);
    assert_int_equal(world_post_sequence(world, producer, sequence, body).status, 200);
}

static struct completeness completeness_of(struct world *world, struct arena *arena)
{
    struct completeness out;
    const struct schema *schema = ingest_schema(world->ingest, SLICE("t"));
    ingest_completeness(world->ingest, &schema->table_id, 1, arena, &out);
    schema_unref(schema);
    return out;
}

#define SECOND MICROSECONDS_PER_SECOND

static void test_completeness_and_ticks(void **state)
{
    (void)state;
    struct world world;
    struct arena arena;
    arena_init(&arena);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    int64_t start = world.wall_us;
    struct completeness c = completeness_of(&world, &arena);
    assert_int_equal(c.complete_through_us, NO_TIME);
    post_at(&world, "fast", 1, start);
    post_at(&world, "slow", 1, start - 100 * SECOND);
    c = completeness_of(&world, &arena);
    assert_int_equal(c.complete_through_us,
                     start - 30 * SECOND); /* promised before `slow` was known */
    assert_int_equal(c.sources_total, 2);
    assert_int_equal(c.late_rows, 1);
    assert_true(slice_equal(c.sources[0].source, SLICE("slow")));
    world.wall_us += 50 * SECOND;
    post_at(&world, "fast", 2, start + 50 * SECOND);
    assert_int_equal(completeness_of(&world, &arena).complete_through_us, start - 30 * SECOND);
    ingest_tick(world.ingest);
    assert_int_equal(completeness_of(&world, &arena).complete_through_us, start - 30 * SECOND);
    uint64_t position = store_position(world.store);
    world.wall_us += 11 * SECOND; /* `slow` is silent for more than a minute now */
    ingest_tick(world.ingest);
    assert_int_equal(store_position(world.store), position + 1);
    ingest_tick(world.ingest);
    assert_int_equal(store_position(world.store), position + 1);
    for (int round = 0; round < 3; round++) {
        c = completeness_of(&world, &arena);
        assert_int_equal(c.complete_through_us, start + 20 * SECOND);
        assert_int_equal(c.source_count, 2);
        assert_true(slice_equal(c.sources[0].source, SLICE("fast")));
        if (round == 1)
            assert_int_equal(store_checkpoint(world.store, NULL), OK);
        world_reopen(&world);
    }
    post_at(&world, "slow", 2, start + 20 * SECOND);
    c = completeness_of(&world, &arena);
    assert_int_equal(c.late_rows, 2);
    assert_int_equal(c.complete_through_us, start + 20 * SECOND);
    arena_deinit(&arena);
    world_deinit(&world);
}

static void test_limits(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    writer_init(&out);
    world_init(&world);
    world.options.limits.dead_letter_bytes_max = 3000;
    world.options.limits.drift_paths_max = 3;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            world_post(&world, "t", "{\"ts\":0,\"u1\":1,\"u2\":1,\"u3\":1,\"u4\":2}\nbad\n").status,
            200);
    assert_true(world.ingest->dead.bytes <= 3000);
    assert_int_equal(world.ingest->dead.count + world.ingest->dead.dropped, 50);
    assert_int_equal(dead_letters_get(&world.ingest->dead, world.ingest->dead.count - 1)->id, 50);
    world_print_provider(&world, "drift", &out);
    assert_non_null(memmem(out.data, out.size, "t|http|u3|unknown field|", 24));
    assert_null(memmem(out.data, out.size, "u4", 2));
    assert_non_null(memmem(out.data, out.size, "t|~|~|total|", 12));
    uint64_t dropped = world.ingest->dead.dropped;
    world_reopen(&world);
    assert_int_equal(world.ingest->dead.dropped, dropped);
    world.wall_us += world.options.limits.dead_letter_age_us;
    ingest_tick(world.ingest);
    assert_int_equal(world.ingest->dead.count, 0);
    world_print_provider(&world, "ledger", &out);
    assert_int_equal(out.size, 0);
    writer_deinit(&out);
    world_deinit(&world);
}

/* A table that is dropped and made again begins anew; its ledger stays. */
static void test_dropped_table(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    struct error error;
    uint64_t position;
    struct slice name = SLICE("t");
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    post_at(&world, "p", 5, 0);
    assert_int_equal(ingest_drop_tables(world.ingest, &name, 1, false, &position, &error), OK);
    world_create_table(&world, NULL, 0);
    post_at(&world, "p", 5, 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(world_rows(&world, "t"), 1);
        world_print_provider(&world, "producers", &out);
        expect_text(out, "t|p|5|5|2026-05-28 20:26:40+00;");
        world_print_provider(&world, "ledger", &out);
        expect_text(out, "2026-05-28 20:26:00+00|t|p|1|1|0|0|0|0|0|0;2026-05-28 "
                         "20:26:00+00|t|p|1|1|0|0|0|0|0|0;");
        writer_reset(&out);
        ingest_metrics(world.ingest, &out);
        writer_u8(&out, 0);
        assert_non_null(strstr((const char *)out.data,
                               "freshet_rows_total{table=\"t\",source=\"p\",fate=\"stored\"} 1\n"));
        world_reopen(&world);
    }
    writer_deinit(&out);
    world_deinit(&world);
}

/* --- threads --- */

#define THREADS 4
#define POSTS 150

struct poster {
    struct world *world;
    char name[16];
    _Atomic int answered;
    _Atomic bool is_wrong;
};

static void poster_done(void *context, const struct ingest_answer *answer)
{
    struct poster *poster = context;
    if (answer->http_status != 200)
        atomic_store(&poster->is_wrong, true);
    atomic_fetch_add(&poster->answered, 1);
}

static void poster_run(void *context)
{
    struct poster *poster = context;
    struct arena arena;
    arena_init(&arena);
    for (int i = 1; i <= POSTS; i++) {
        struct ingest_request request = {.table = SLICE("t"),
                                         .body = SLICE("{\"ts\":0,\"a\":1,\"x\":2}\nbad\n"),
                                         .producer = slice_from_cstr(poster->name),
                                         .has_sequence = true,
                                         .sequence = (uint64_t)i};
        ingest_post(poster->world->ingest, &request, poster_done, poster);
        while (atomic_load(&poster->answered) < i)
            thread_yield();
        if (i % 20 == 0)
            (void)completeness_of(poster->world, &arena);
        if (i % 50 == 0)
            ingest_tick(poster->world->ingest);
    }
    arena_deinit(&arena);
}

static void test_threads(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    store_close(world.store);
    ingest_destroy(world.ingest);
    world.io->ops->destroy(world.io);
    clock_install(NULL);
    world.ingest = ingest_create(&world.options);
    struct error error;
    assert_int_equal(io_open("plain", world.path, &world.io, &error), OK);
    struct store_options options = {.io = world.io,
                                    .directory = "",
                                    .log_file_size = 4 << 20,
                                    .rows_memory_limit = (size_t)1 << 30,
                                    .extension = ingest_extension(world.ingest),
                                    .is_threaded = true};
    assert_int_equal(store_open(&options, &world.store, &error), OK);
    ingest_attach(world.ingest, world.store);
    struct poster posters[THREADS];
    struct thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){.world = &world};
        snprintf(posters[i].name, sizeof(posters[i].name), "p%d", i);
        struct thread_options thread = {
            .name = "poster", .run = poster_run, .context = &posters[i]};
        threads[i] = thread_start(&thread);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        assert_false(atomic_load(&posters[i].is_wrong));
    }
    assert_int_equal(world_rows(&world, "t"), THREADS * POSTS);
    assert_int_equal(world.ingest->dead.count, THREADS * POSTS);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completeness_and_ticks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_dropped_table),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
