/* Upkeep: sealing, merging, retention, checkpoints and recycling, by hand and in a script that is
 * cut by a crash at every operation of the disk, in and between all of its steps. Rows are
 * numbered, so a table is known by its count and sum at a position. Faults planted in the steps are
 * found by the same script. */
#include "storage/table/private.h"

#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/base/random.h"
#include "storage/base/worker.h"
#include "storage/io/sim.h"
#include "storage/segment/footer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TABLES 3
/* One operation in so many is a crash point; sanitizers look for other things, and what is planted
 * is found by the release build. */
#ifdef FRESHET_CHECK
#define CRASH_SHARE 40
#define POINTS_MIN 10
#else
#define CRASH_SHARE 2
#define POINTS_MIN 300
#endif
#define POSITIONS_MAX 4000
#define ROWS_FIRST 5

struct truth { /* of one table after a record */
    uint64_t rows;
    int64_t sum;
    bool is_there;
};

struct world {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct store_options options;
    uint32_t ids[TABLES];
    struct schema *schemas[TABLES];
    struct truth truths[POSITIONS_MAX][TABLES];
    uint64_t last; /* truths are known up to here */
    int64_t next_value;
    uint64_t firm; /* acknowledged */
};

/* --- the world --- */

static struct schema *make_schema(uint32_t table_id, uint32_t index)
{
    struct schema *schema = schema_create();
    schema->table_id = table_id;
    schema->version = 1;
    schema->name = slice_from_cstr(arena_printf(&schema->arena, "t%u", index));
    schema->column_count = 2;
    schema->columns = arena_alloc_zero(&schema->arena, 2 * sizeof(*schema->columns));
    schema->columns[0] = (struct column_definition){
        .id = 1, .name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ), .is_not_null = true};
    schema->columns[1] =
        (struct column_definition){.id = 2, .name = SLICE("v"), .type = type_of(TYPE_INT8)};
    for (int i = 0; i < 2; i++)
        schema->columns[i].missing =
            (struct value){.type = schema->columns[i].type, .is_null = true};
    schema->next_column_id = 3;
    schema->time_column = 0;
    return schema;
}

static enum err open_store(struct world *world, struct io *io, struct store **out,
                           struct error *error)
{
    struct store_options options = world->options;
    options.io = io;
    if (io != world->io) /* a fork: what happens in pauses is the first one's */
        options.upkeep_pause = NULL;
    return store_open(&options, out, error);
}

static void world_open(struct world *world)
{
    struct error error = {0};
    sim_open(world->sim, &world->io);
    if (open_store(world, world->io, &world->store, &error) != OK)
        fail_msg("store_open: %s", error.text);
}

static void world_close(struct world *world)
{
    store_close(world->store);
    world->store = NULL;
    world->io->ops->destroy(world->io);
}

static struct world *world_make(const struct store_options *options, uint64_t seed)
{
    static struct world world;
    world = (struct world){.options = *options};
    world.sim = sim_create(&(struct sim_options){.seed = seed});
    world.options.directory = "";
    world.options.log_file_size = 16 << 10;
    world.options.log_piece_size = 4 << 10;
    world_open(&world);
    return &world;
}

static void world_remove(struct world *world)
{
    if (world->store != NULL)
        world_close(world);
    sim_destroy(world->sim);
    for (int i = 0; i < TABLES; i++)
        schema_unref(world->schemas[i]);
}

/* --- commits --- */

/* What the record at `position` will leave; positions of upkeep's own records in between change
 * nothing. */
static struct truth *truth_at(struct world *world, uint64_t position)
{
    assert_true(position < POSITIONS_MAX && position > world->last);
    for (uint64_t p = world->last + 1; p <= position; p++)
        memcpy(world->truths[p], world->truths[world->last], sizeof(world->truths[p]));
    world->last = position;
    return world->truths[position];
}

static void note_done(void *context, uint64_t position, enum err result, const struct error *error)
{
    struct world *world = context;
    (void)error;
    assert_int_equal(result, OK);
    world->firm = position;
}

static uint64_t submit(struct world *world, struct commit *commit)
{
    uint64_t position;
    struct error error = {0};
    if (world->options.is_threaded) {
        assert_int_equal(store_commit(world->store, commit, &position, &error), OK);
        return world->firm = position;
    }
    if (store_submit(world->store, commit, note_done, world, &position, &error) != OK)
        fail_msg("store_submit: %s", error.text);
    return position;
}

static void settle(struct world *world)
{
    while (!world->options.is_threaded && store_run(world->store))
        continue;
}

static void change(struct world *world, uint32_t index, enum change_kind kind)
{
    struct commit *commit = commit_create(world->store);
    struct schema *schema = NULL;
    if (kind == CHANGE_CREATE) {
        world->ids[index] = store_next_table_id(world->store);
        schema_unref(world->schemas[index]);
        world->schemas[index] = make_schema(world->ids[index], index);
        schema = make_schema(world->ids[index], index);
    }
    commit_set_change(commit, kind, world->ids[index], schema);
    uint64_t position = submit(world, commit);
    truth_at(world, position)[index] = (struct truth){.is_there = kind != CHANGE_DROP};
    settle(world);
}

/* Rows of one table; `time_us` is the event time of the first, a second apart. */
static void insert_at(struct world *world, uint32_t index, size_t count, int64_t time_us)
{
    struct arena arena;
    arena_init(&arena);
    struct column_builder ts, v;
    column_builder_init(&ts, type_of(TYPE_TIMESTAMPTZ), &arena);
    column_builder_init(&v, type_of(TYPE_INT8), &arena);
    struct truth added = {.rows = count};
    for (size_t i = 0; i < count; i++) {
        int64_t value = ++world->next_value;
        added.sum += value;
        column_builder_add(&ts,
                           &(struct value){.type = ts.type, .i = time_us + (int64_t)i * 1000000});
        column_builder_add(&v, &(struct value){.type = v.type, .i = value});
    }
    struct column columns[2] = {column_builder_finish(&ts), column_builder_finish(&v)};
    struct batch batch = {.row_count = count, .column_count = 2, .columns = columns};
    const uint32_t ids[2] = {1, 2};
    struct commit *commit = commit_create(world->store);
    commit_add_rows(commit, world->schemas[index], ids, &batch);
    uint64_t position = submit(world, commit);
    struct truth *truth = &truth_at(world, position)[index];
    truth->rows += added.rows;
    truth->sum += added.sum;
    settle(world);
    arena_deinit(&arena);
}

static void insert(struct world *world, uint32_t index, size_t count)
{
    insert_at(world, index, count, world->next_value * 1000000);
}

static void checkpoint(struct world *world)
{
    struct error error = {0};
    if (store_checkpoint(world->store, &error) != OK)
        fail_msg("store_checkpoint: %s", error.text);
}

static int run_upkeep(struct world *world)
{
    int count = 0;
    while (store_upkeep_run(world->store))
        assert_true(++count < 1000);
    return count;
}

/* --- looking --- */

static struct truth read_table(const struct table_view *view)
{
    struct truth found = {.rows = table_view_rows(view), .is_there = true};
    const uint32_t columns[1] = {1};
    uint64_t seen = 0;
    struct cursor *cursor = cursor_open(view, columns, 1, NULL);
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        bool has = false;
        struct error error = {0};
        enum err err = cursor_seek(cursor, morsel, &has, &error);
        while (err == OK && has) {
            struct batch batch;
            err = cursor_next(cursor, &batch, &has, &error);
            for (size_t row = 0; err == OK && has && row < batch.row_count; row++)
                found.sum += column_value(&batch.columns[0], row).i;
            seen += err == OK && has ? batch.row_count : 0;
        }
        if (err != OK)
            found.sum = INT64_MIN;
    }
    cursor_close(cursor);
    if (seen != found.rows)
        found.sum = INT64_MIN;
    return found;
}

/* Empty if the store has exactly what the records up to its position left; those behind `limit` are
 * upkeep's own. */
static const char *differs(struct world *world, struct store *store, uint64_t limit)
{
    static char text[200];
    struct snapshot *snapshot = snapshot_open(store);
    uint64_t position = snapshot_position(snapshot);
    text[0] = 0;
    if (position < world->firm)
        snprintf(text, sizeof(text), "position %llu, acknowledged %llu",
                 (unsigned long long)position, (unsigned long long)world->firm);
    uint64_t known = position < world->last ? position : world->last;
    known = known < limit ? known : limit;
    for (uint32_t i = 0; i < TABLES && text[0] == 0; i++) {
        char name[4] = {'t', (char)('0' + i), 0};
        const struct table_view *view = snapshot_find(snapshot, slice_from_cstr(name));
        const struct truth *want = &world->truths[known][i];
        struct truth found = view != NULL ? read_table(view) : (struct truth){0};
        if (found.is_there != want->is_there || found.rows != want->rows || found.sum != want->sum)
            snprintf(text, sizeof(text),
                     "position %llu, table %u: %llu rows, sum %lld instead of %llu, %lld",
                     (unsigned long long)position, i, (unsigned long long)found.rows,
                     (long long)found.sum, (unsigned long long)want->rows, (long long)want->sum);
    }
    snapshot_close(snapshot);
    return text;
}

static void expect_truth(struct world *world)
{
    const char *text = differs(world, world->store, UINT64_MAX);
    if (text[0] != 0)
        fail_msg("%s", text);
}

static struct table_statistics statistics_of(struct world *world, uint32_t index)
{
    struct table_statistics statistics = {0};
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find_id(snapshot, world->ids[index]);
    if (view != NULL)
        table_view_statistics(view, &statistics);
    snapshot_close(snapshot);
    return statistics;
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

static size_t segment_files(struct world *world)
{
    size_t count = 0;
    assert_int_equal(world->io->ops->list(world->io, SEALED_DIRECTORY, count_name, &count, NULL),
                     OK);
    return count;
}

static void reopen(struct world *world)
{
    world_close(world);
    world_open(world);
    expect_truth(world);
}

static const struct store_options small = {
    .seal_rows = 40, .carry_rows = 16, .log_bytes_max = 24 << 10, .merge_segments_min = 3};

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

static void test_quiet_tables_do_not_hold_the_log(void **state)
{
    (void)state;
    struct world *world = world_make(&small, 3);
    change(world, 0, CHANGE_CREATE);
    change(world, 1, CHANGE_CREATE);
    insert(world, 1, ROWS_FIRST); /* and no more for long */
    for (int round = 0; round < 60; round++) {
        insert(world, 0, 100);
        (void)run_upkeep(world);
        struct store_status status;
        store_status(world->store, &status);
        assert_true(status.log_files <= 10);
        assert_int_equal(statistics_of(world, 1).mutable_rows, ROWS_FIRST);
        if (round % 20 == 19)
            reopen(world);
    }
    for (int i = 0; i < 20; i++) /* grows out of it */
        insert(world, 1, 3);
    (void)run_upkeep(world);
    reopen(world);
    insert(world, 0, 400);
    (void)run_upkeep(world);
    reopen(world);
    world_remove(world);
}

/* More quiet rows than checkpoints carry: some of them are sealed, or the log would wait for them.
 */
static void test_too_many_quiet_tables(void **state)
{
    (void)state;
    struct store_options options = small;
    options.carry_bytes = 48 << 10; /* one segment has 32 KiB */
    struct world *world = world_make(&options, 6);
    for (uint32_t i = 0; i < TABLES; i++)
        change(world, i, CHANGE_CREATE);
    insert(world, 1, ROWS_FIRST);
    insert(world, 2, ROWS_FIRST);
    for (int round = 0; round < 30; round++) {
        insert(world, 0, 100);
        (void)run_upkeep(world);
        struct store_status status;
        store_status(world->store, &status);
        assert_true(status.log_files <= 10);
    }
    assert_int_equal(statistics_of(world, 1).mutable_rows + statistics_of(world, 2).mutable_rows,
                     ROWS_FIRST);
    reopen(world);
    world_remove(world);
}

static void keep_newest(void *context, const char *name)
{
    if (strncmp(name, "checkpoint-", 11) == 0) /* sorted */
        snprintf(context, 64, "%s", name);
}

/* A start that falls back to the older checkpoint, with room for fewer rows in a segment than
 * before, then one that can read the newer one again: the rows it carries lie on both sides of no
 * border. */
static void test_borders_of_a_checkpoint_that_was_not_read(void **state)
{
    (void)state;
    struct world *world = world_make(&small, 5);
    char newest[64] = "", before[64];
    change(world, 0, CHANGE_CREATE);
    change(world, 1, CHANGE_CREATE);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++)
            insert(world, 1, 2);
        strcpy(before, newest);
        while (strcmp(before, newest) == 0) {
            insert(world, 0, 100);
            (void)run_upkeep(world);
            assert_int_equal(world->io->ops->list(world->io, "", keep_newest, newest, NULL), OK);
        }
    }
    assert_int_equal(statistics_of(world, 1).mutable_rows, 12);
    assert_true(sim_flip_bit(world->sim, newest, 200, 1));
    world->options.seal_rows = 7;
    world->options.log_bytes_max = 1 << 20; /* no other checkpoint */
    reopen(world);
    (void)run_upkeep(world);
    assert_int_equal(statistics_of(world, 1).rows, 12);
    struct sim *later = sim_fork(world->sim, SIM_KILL, 1);
    struct io *io;
    struct store *store;
    struct error error = {0};
    sim_open(later, &io);
    assert_true(sim_flip_bit(later, newest, 200, 1));
    if (open_store(world, io, &store, &error) != OK)
        fail_msg("store_open: %s", error.text);
    assert_string_equal(differs(world, store, UINT64_MAX), "");
    store_close(store);
    io->ops->destroy(io);
    sim_destroy(later);
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
    char command[96];
    snprintf(command, sizeof(command), "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_segments_are_sealed),
        cmocka_unit_test(test_checkpoint_seals_everything_and_recycles),
        cmocka_unit_test(test_quiet_tables_do_not_hold_the_log),
        cmocka_unit_test(test_too_many_quiet_tables),
        cmocka_unit_test(test_borders_of_a_checkpoint_that_was_not_read),
        cmocka_unit_test(test_a_damaged_segment_is_set_aside),
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
