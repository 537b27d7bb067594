/* Upkeep: sealing, merging, retention, checkpoints and recycling, by hand and in a script that is
 * cut by a crash at every operation of the disk, in and between all of its steps. Faults planted in
 * the steps are found by the same script. */
#include "tests/model/upkeep_world.h"
#include "tests/unit/scratch.h"

#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/base/random.h"
#include "storage/base/worker.h"
#include "storage/segment/footer.h"
#include "storage/segment/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* One operation in so many is a crash point; sanitizers look for other things, and what is planted
 * is found by the release build. */
#ifdef FRESHET_CHECK
#define CRASH_SHARE 40
#define POINTS_MIN 10
#else
#define CRASH_SHARE 2
#define POINTS_MIN 300
#endif

/* --- by hand --- */

static void test_full_segments_are_sealed(void **state)
{
    (void)state;
    struct world *world = world_make(&small, 1);
    change(world, 0, CHANGE_CREATE);
    for (int i = 0; i < 9; i++)
        insert(world, 0, 10);
    assert_int_equal(statistics_of(world, 0).sealed_count, 0);
    assert_int_not_equal(run_upkeep(world), 0);
    struct table_statistics statistics = statistics_of(world, 0);
    assert_int_equal(statistics.rows, 90);
    assert_int_equal(statistics.mutable_rows, 10);
    assert_int_not_equal(statistics.sealed_count, 0);
    expect_truth(world);
    reopen(world);
    assert_int_equal(statistics_of(world, 0).mutable_rows, 10);
    for (int i = 0; i < 9; i++)
        insert(world, 0, 10);
    (void)run_upkeep(world);
    reopen(world);
    world_remove(world);
}

/* No table is large, yet together they fill the memory for rows. */
static void test_many_small_tables_make_room(void **state)
{
    (void)state;
    struct store_options options = {
        .seal_rows = 1 << 20, .rows_memory_limit = 128 << 10, .log_bytes_max = 64 << 20};
    struct world *world = world_make(&options, 7);
    struct store_status status;
    for (uint32_t i = 0; i < TABLES; i++)
        change(world, i, CHANGE_CREATE);
    do {
        for (uint32_t i = 0; i < TABLES; i++)
            insert(world, i, 20);
        store_status(world->store, &status);
    } while (status.rows_memory_used <= options.rows_memory_limit / 2);
    assert_int_not_equal(run_upkeep(world), 0);
    store_status(world->store, &status);
    assert_true(status.rows_memory_used <= options.rows_memory_limit / 2);
    expect_truth(world);
    reopen(world);
    world_remove(world);
}

static void test_checkpoint_seals_everything_and_recycles(void **state)
{
    (void)state;
    struct world *world = world_make(&small, 2);
    change(world, 0, CHANGE_CREATE);
    change(world, 1, CHANGE_CREATE);
    for (int round = 0; round < 30; round++) {
        insert(world, 0, 200);
        insert(world, 1, 1);
        checkpoint(world);
        assert_int_equal(statistics_of(world, 0).mutable_rows, 0);
        assert_int_equal(statistics_of(world, 1).mutable_rows, 0);
        expect_truth(world);
        struct store_status status;
        store_status(world->store, &status);
        assert_true(status.log_files <= 8);
        (void)run_upkeep(world); /* merges */
        assert_true(statistics_of(world, 1).segment_count <= 12);
        assert_int_equal(segment_files(world), statistics_of(world, 0).segment_count +
                                                   statistics_of(world, 1).segment_count);
        expect_truth(world);
        if (round % 7 == 6)
            reopen(world);
    }
    world_remove(world);
}

/* A bit of one segment: what cannot be read stays as it is, all else is merged. */
static void test_a_damaged_segment_is_set_aside(void **state)
{
    (void)state;
    struct store_options options = small;
    options.seal_rows = 600;
    options.merge_segments_min = 2;
    struct world *world = world_make(&options, 4);
    change(world, 0, CHANGE_CREATE);
    change(world, 1, CHANGE_CREATE);
    for (int i = 0; i < 6; i++) {
        insert(world, 0, 20);
        insert(world, 1, 20);
        checkpoint(world);
    }
    assert_int_equal(statistics_of(world, 0).sealed_count, 6);
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find_id(snapshot, world->ids[0]);
    char path[SEALED_PATH_SIZE];
    sealed_path("", sealed_info(view->closed->entries[2].sealed)->number, path, sizeof(path));
    snapshot_close(snapshot);
    assert_true(sim_flip_bit(world->sim, path, SEALED_HEADER_SIZE + 9, 3));
    int64_t before = metric_get(&metrics.damaged_segments);
    (void)run_upkeep(world);
    assert_int_equal(statistics_of(world, 0).sealed_count, 3);
    assert_int_equal(statistics_of(world, 1).sealed_count, 1);
    assert_int_equal(metric_get(&metrics.damaged_segments), before + 1);
    world_remove(world);
}

/* As when a query reads another page of it. */
static void read_elsewhere(struct world *world, uint64_t number)
{
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find_id(snapshot, world->ids[0]);
    for (uint32_t i = 0; i < view->closed->count; i++) {
        if (sealed_info(view->closed->entries[i].sealed)->number == number)
            sealed_note_read(view->closed->entries[i].sealed);
    }
    snapshot_close(snapshot);
}

/* A sector that cannot be read, in a segment whose other pages are read all the time: after a few
 * attempts the others are merged around it. */
static void test_a_segment_with_a_bad_sector_is_set_aside(void **state)
{
    (void)state;
    struct store_options options = small;
    options.seal_rows = 600;
    options.merge_segments_min = 2;
    options.cache_size = 1; /* nothing is kept */
    struct world *world = world_make(&options, 4);
    change(world, 0, CHANGE_CREATE);
    for (int i = 0; i < 6; i++) {
        insert(world, 0, 20);
        checkpoint(world);
    }
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find_id(snapshot, world->ids[0]);
    uint64_t number = sealed_info(view->closed->entries[2].sealed)->number;
    char path[SEALED_PATH_SIZE];
    sealed_path("", number, path, sizeof(path));
    snapshot_close(snapshot);
    assert_true(sim_break_sector(world->sim, path, SEALED_HEADER_SIZE + 9));
    int64_t before = metric_get(&metrics.damaged_segments), rounds = 0;
    while (metric_get(&metrics.damaged_segments) == before) {
        (void)run_upkeep(world);
        assert_true(++rounds < 20);
        read_elsewhere(world, number);
        sim_advance(world->sim, INT64_C(3600) * 1000000); /* past every wait */
    }
    assert_int_equal(run_upkeep(world), 0);
    assert_int_equal(statistics_of(world, 0).sealed_count, 3);
    int64_t merges = metric_get(&metrics.merges), failures = metric_get(&metrics.upkeep_failures);
    for (int i = 0; i < 3; i++) {
        insert(world, 0, 20);
        checkpoint(world);
    }
    (void)run_upkeep(world);
    assert_true(metric_get(&metrics.merges) > merges);
    assert_int_equal(metric_get(&metrics.upkeep_failures), failures);
    assert_int_equal(metric_get(&metrics.damaged_segments), before + 1);
    world_remove(world);
}

static void test_retention_goes_by_event_time(void **state)
{
    (void)state;
    struct world *world = world_make(&small, 4);
    change(world, 0, CHANGE_CREATE);
    struct schema *schema = make_schema(world->ids[0], 0);
    schema->version = 2;
    schema->options.retention_us = INT64_C(1000) * 1000000;
    struct commit *commit = commit_create(world->store);
    commit_set_change(commit, CHANGE_ALTER, world->ids[0], schema);
    (void)truth_at(world, submit(world, commit));
    settle(world);
    insert_at(world, 0, 30, 0);
    checkpoint(world);
    insert_at(world, 0, 30, INT64_C(900) * 1000000);
    checkpoint(world);
    (void)run_upkeep(world);
    expect_truth(
        world); /* nothing is older than the newest less 1,000 s, whatever the clock says */
    uint64_t before = world->truths[world->last][0].rows;
    insert_at(world, 0, 30, INT64_C(1400) * 1000000);
    assert_int_equal(run_upkeep(world), 0); /* what is in memory does not count */
    checkpoint(world);
    (void)run_upkeep(world);
    assert_int_equal(before, 60);
    assert_int_equal(statistics_of(world, 0).rows, 60);
    assert_int_equal(statistics_of(world, 0).min_time_us, INT64_C(900) * 1000000);
    world_close(world);
    world_open(world);
    assert_int_equal(statistics_of(world, 0).rows, 60);
    assert_int_equal(segment_files(world), statistics_of(world, 0).segment_count);
    world_remove(world);
}

/* What the pause in the middle of a step does. */
struct meddling {
    struct world *world;
    enum change_kind change;
    int countdown;
};

static void meddle(void *context)
{
    struct meddling *meddling = context;
    if (meddling->countdown-- != 0)
        return;
    change(meddling->world, 0, meddling->change);
}

static void test_truncate_and_drop_between_the_steps(void **state)
{
    (void)state;
    static const enum change_kind kinds[] = {CHANGE_TRUNCATE, CHANGE_DROP};
    for (int countdown = 0; countdown < 8; countdown++) {
        for (size_t kind = 0; kind < array_count(kinds); kind++) {
            struct meddling meddling = {.change = kinds[kind], .countdown = countdown};
            struct store_options options = small;
            options.upkeep_pause = meddle;
            options.upkeep_context = &meddling;
            struct world *world = world_make(&options, 5);
            meddling.world = world;
            change(world, 0, CHANGE_CREATE);
            for (int i = 0; i < 10; i++)
                insert(world, 0, 20);
            (void)run_upkeep(world);
            expect_truth(world);
            meddling.countdown = -1;
            (void)run_upkeep(world);
            assert_int_equal(segment_files(world), statistics_of(world, 0).segment_count);
            reopen(world);
            world_remove(world);
        }
    }
}

static void test_closing_seals_what_is_not_carried(void **state)
{
    (void)state;
    struct world *world = world_make(&small, 6);
    change(world, 0, CHANGE_CREATE);
    change(world, 1, CHANGE_CREATE);
    insert(world, 0, 39);
    insert(world, 1, 3);
    reopen(world);
    assert_int_equal(statistics_of(world, 0).mutable_rows, 0);
    assert_int_equal(statistics_of(world, 1).mutable_rows, 3);
    world_remove(world);
}

/* --- crashes everywhere --- */

struct crashes {
    struct world *world;
    struct random_stream chance;
    bool is_closing;
    uint64_t points;
    char violation[600];
};

static void on_operation(void *context)
{
    struct crashes *crashes = context;
    struct world *world = crashes->world;
    if (crashes->violation[0] != 0 || random_below(&crashes->chance, CRASH_SHARE) != 0)
        return;
    struct io *io;
    struct store *store;
    struct error error = {0};
    enum sim_crash how = random_below(&crashes->chance, 3) == 0 ? SIM_KILL : SIM_POWER_CUT;
    struct sim *sim = sim_fork(world->sim, how, random_next(&crashes->chance));
    sim_open(sim, &io);
    crashes->points++;
    uint64_t limit = UINT64_MAX;
    /* And again, while it recovers or works on. */
    for (int again = random_below(&crashes->chance, 2) == 0; again >= 0; again--) {
        if (again != 0)
            sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&crashes->chance, 40));
        if (open_store(world, io, &store, &error) == OK) {
            limit = store_position(store) < limit ? store_position(store) : limit;
            const char *text = differs(world, store, limit);
            if (!sim_is_crashed(sim) && text[0] != 0)
                snprintf(crashes->violation, sizeof(crashes->violation), "%s", text);
            for (int step = 0; step < 3; step++)
                (void)store_upkeep_run(store);
            text = differs(world, store, limit);
            if (!sim_is_crashed(sim) && text[0] != 0)
                snprintf(crashes->violation, sizeof(crashes->violation), "after upkeep: %s", text);
            store_close(store);
        } else if (!sim_is_crashed(sim)) {
            snprintf(crashes->violation, sizeof(crashes->violation), "does not open: %s",
                     error.text);
        }
        io->ops->destroy(io);
        if (again != 0)
            sim_recover(sim, SIM_POWER_CUT, random_next(&crashes->chance));
        if (again != 0)
            sim_open(sim, &io);
    }
    sim_destroy(sim);
}

/* Commits in the middle of the steps too. */
static void commit_in_pause(void *context)
{
    struct crashes *crashes = context;
    struct world *world = crashes->world;
    uint64_t dice = random_below(&crashes->chance, 12);
    if (crashes->is_closing)
        return;
    if (dice < 4)
        insert(world, (uint32_t)random_below(&crashes->chance, 2), 1 + 9 * dice);
    else if (dice == 4)
        change(world, 1, CHANGE_TRUNCATE);
}

static void run_script(struct crashes *crashes, uint64_t seed)
{
    struct store_options options = small;
    options.seal_rows = 600; /* so that there are small ones to merge */
    options.upkeep_pause = commit_in_pause;
    options.upkeep_context = crashes;
    struct world *world = world_make(&options, seed);
    crashes->world = world;
    random_stream_init(&crashes->chance, seed);
    change(world, 0, CHANGE_CREATE);
    change(world, 1, CHANGE_CREATE);
    change(world, 2, CHANGE_CREATE);
    sim_watch(world->sim, on_operation, crashes);
    for (int round = 0; round < 14 && crashes->violation[0] == 0; round++) {
        uint64_t dice = random_below(&crashes->chance, 10);
        for (int i = 0; i < 3; i++)
            insert(world, (uint32_t)(i % 2), 1 + random_below(&crashes->chance, 40));
        if (dice == 0)
            change(world, 0, CHANGE_TRUNCATE);
        if (dice == 1)
            change(world, 2, world->truths[world->last][2].is_there ? CHANGE_DROP : CHANGE_CREATE);
        if (dice == 2 && world->truths[world->last][2].is_there)
            insert(world, 2, 60);
        if (dice > 6)
            checkpoint(world);
        (void)run_upkeep(world);
        if (crashes->violation[0] == 0)
            expect_truth(world);
    }
    sim_watch(world->sim, NULL, NULL);
    crashes->is_closing = true;
    world_remove(world);
    crashes->is_closing = false;
}

static void test_a_crash_at_every_operation(void **state)
{
    (void)state;
    static struct crashes crashes;
    crashes = (struct crashes){0};
    for (uint64_t seed = 1; seed <= 2; seed++) {
        run_script(&crashes, seed);
        if (crashes.violation[0] != 0)
            fail_msg("seed %llu: %s", (unsigned long long)seed, crashes.violation);
    }
    assert_true(crashes.points > POINTS_MIN);
}

#ifndef FRESHET_CHECK
static void test_planted_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"upkeep.delete_before_manifest", "upkeep.sealed_position",
                                         "store.carry_twice", "log.recycle_early"};
    for (size_t i = 0; i < array_count(faults); i++) {
        static struct crashes crashes;
        crashes = (struct crashes){0};
        fault_plant(faults[i]);
        for (uint64_t seed = 1; seed <= 40 && crashes.violation[0] == 0; seed++)
            run_script(&crashes, seed);
        fault_clear();
        if (crashes.violation[0] == 0)
            fail_msg("%s was not found in %llu points", faults[i],
                     (unsigned long long)crashes.points);
    }
}

#endif

/* --- threads --- */

struct checkpointer {
    struct store *store;
    _Atomic uint32_t left;
};

static void checkpoint_job(void *context)
{
    struct checkpointer *checkpointer = context;
    assert_int_equal(store_checkpoint(checkpointer->store, NULL), OK);
    atomic_fetch_sub(&checkpointer->left, 1);
}

/* More rows than memory: sealing frees it. CHECKPOINTs by workers beside it. */
static void test_ingest_goes_on_at_the_memory_limit(void **state)
{
    (void)state;
    char path[] = "/tmp/freshet-upkeep-XXXXXX";
    assert_non_null(mkdtemp(path));
    static struct world world;
    world = (struct world){0};
    struct worker_pool *workers = worker_pool_create(&(struct worker_options){.core_count = 2});
    assert_int_equal(io_open("plain", path, &world.io, NULL), OK);
    struct store_options options = {.io = world.io,
                                    .directory = "",
                                    .log_file_size = 1 << 20,
                                    .rows_memory_limit = 4 << 20,
                                    .log_bytes_max = 4 << 20,
                                    .is_threaded = true,
                                    .workers = workers};
    assert_int_equal(store_open(&options, &world.store, NULL), OK);
    world.options = options;
    struct checkpointer checkpointer = {.store = world.store};
    change(&world, 0, CHANGE_CREATE);
    uint64_t want = 0;
    for (int round = 0; round < 200; round++) {
        struct store_status status;
        store_status(world.store, &status);
        while (status.rows_memory_used > 3 << 20) {
            store_upkeep(world.store);
            thread_yield();
            store_status(world.store, &status);
        }
        insert(&world, 0, 3000);
        want += 3000;
        if (round % 50 == 20) {
            atomic_fetch_add(&checkpointer.left, 2);
            assert_int_equal(worker_submit(workers, WORKER_QUERY, checkpoint_job, &checkpointer),
                             OK);
            assert_int_equal(worker_submit(workers, WORKER_QUERY, checkpoint_job, &checkpointer),
                             OK);
        }
    }
    while (atomic_load(&checkpointer.left) != 0)
        thread_yield();
    store_upkeep_stop(world.store);
    worker_pool_destroy(workers);
    store_close(world.store);
    options.workers = NULL;
    world.io->ops->destroy(world.io);
    assert_int_equal(io_open("plain", path, &world.io, NULL), OK);
    options.io = world.io;
    assert_int_equal(store_open(&options, &world.store, NULL), OK);
    assert_int_equal(statistics_of(&world, 0).rows, want);
    expect_truth(&world);
    store_close(world.store);
    schema_unref(world.schemas[0]);
    world.io->ops->destroy(world.io);
    scratch_remove(path);
}

int main(void)
{
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_segments_are_sealed),
        cmocka_unit_test(test_many_small_tables_make_room),
        cmocka_unit_test(test_checkpoint_seals_everything_and_recycles),
        cmocka_unit_test(test_a_damaged_segment_is_set_aside),
        cmocka_unit_test(test_a_segment_with_a_bad_sector_is_set_aside),
        cmocka_unit_test(test_retention_goes_by_event_time),
        cmocka_unit_test(test_truncate_and_drop_between_the_steps),
        cmocka_unit_test(test_closing_seals_what_is_not_carried),
        cmocka_unit_test(test_a_crash_at_every_operation),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_planted_faults_are_found),
#endif
        cmocka_unit_test(test_ingest_goes_on_at_the_memory_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
