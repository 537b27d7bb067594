/* A writer, readers, sealing, merging and checkpoints at once, on a real disk: every snapshot has
 * the rows of its position, each once, whatever moves below it. Rows are numbered from 0, so a
 * table is right if its count and sum fit, and rows that a filter leaves are known. Run it under
 * the tsan preset. */
#include "tests/model/cursor_model.h"
#include "tests/unit/scratch.h"
#include "tests/model/store_model.h"

#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "storage/base/random.h"
#include "storage/base/thread.h"
#include "storage/base/worker.h"
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define READERS 2
#define ROWS 60000
#define VALUES 50 /* texts */

struct stage {
    struct store *store;
    struct schema *schema;
    _Atomic bool is_done;
    _Atomic uint64_t scans, sealed_seen, wrong; /* relaxed: counters, read after the joins */
};

static struct schema *make_schema(uint32_t table_id)
{
    static const struct {
        const char *name;
        enum type_id type;
    } columns[] = {{"ts", TYPE_TIMESTAMPTZ}, {"v", TYPE_INT8}, {"s", TYPE_TEXT}};
    struct schema *schema = schema_create();
    schema->table_id = table_id;
    schema->version = 1;
    schema->name = SLICE("t");
    schema->column_count = array_count(columns);
    schema->columns =
        arena_alloc_zero(&schema->arena, array_count(columns) * sizeof(*schema->columns));
    for (uint32_t i = 0; i < array_count(columns); i++) {
        schema->columns[i] = (struct column_definition){.id = i + 1,
                                                        .name = slice_from_cstr(columns[i].name),
                                                        .type = type_of(columns[i].type),
                                                        .is_not_null = i == 0};
        schema->columns[i].missing =
            (struct value){.type = schema->columns[i].type, .is_null = true};
    }
    schema->next_column_id = array_count(columns) + 1;
    schema->time_column = 0;
    return schema;
}

/* --- the writer --- */

static void write_rows(struct stage *stage, uint64_t first, uint32_t count)
{
    static const uint32_t ids[] = {1, 2, 3};
    struct arena arena;
    struct column columns[3];
    struct error error = {0};
    arena_init(&arena);
    for (uint32_t c = 0; c < 3; c++) {
        struct column_builder builder;
        column_builder_init(&builder, stage->schema->columns[c].type, &arena);
        for (uint64_t row = first; row < first + count; row++) {
            char text[24];
            struct value value = {.type = stage->schema->columns[c].type};
            if (c == 0) /* some come late */
                value.i = (int64_t)row * 1000 - (int64_t)(row % 7 == 0 ? row % 900 * 1000 : 0);
            else if (c == 1)
                value.i = (int64_t)row;
            else
                value.text = slice_of(text, (size_t)snprintf(text, sizeof(text), "s%llu",
                                                             (unsigned long long)(row % VALUES)));
            column_builder_add(&builder, &value);
        }
        columns[c] = column_builder_finish(&builder);
    }
    struct batch batch = {.row_count = count, .column_count = 3, .columns = columns};
    struct commit *commit = commit_create(stage->store);
    uint64_t position;
    commit_add_rows(commit, stage->schema, ids, &batch);
    test_must(store_commit(stage->store, commit, &position, &error), &error);
    arena_deinit(&arena);
}

/* --- readers --- */

struct sums {
    uint64_t count, sum, filtered;
};

static void add_up(const struct table_view *view, const struct scan_filter *filter,
                   const struct slice *only, struct sums *out)
{
    static const uint32_t columns[] = {1, 2};
    struct cursor *cursor = cursor_open(view, columns, 2, filter);
    struct error error = {0};
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        struct batch batch;
        bool has;
        test_must(cursor_seek(cursor, morsel, &has, &error), &error);
        while (has) {
            test_must(cursor_next(cursor, &batch, &has, &error), &error);
            for (size_t i = 0; has && i < batch.row_count; i++) {
                if (only != NULL && !slice_equal(column_text(&batch.columns[1], i), *only))
                    continue;
                out->count++;
                out->sum += (uint64_t)batch.columns[0].i[column_index(&batch.columns[0], i)];
            }
        }
    }
    cursor_close(cursor);
}

static bool is_right(struct stage *stage, struct random_stream *random)
{
    struct snapshot *snapshot = snapshot_open(stage->store);
    const struct table_view *view = snapshot_find(snapshot, SLICE("t"));
    uint64_t rows = table_view_rows(view), key = random_below(random, VALUES);
    struct sums all = {0}, some = {0};
    add_up(view, NULL, NULL, &all);
    char text[24];
    struct value value = {.type = type_of(TYPE_TEXT)};
    value.text =
        slice_of(text, (size_t)snprintf(text, sizeof(text), "s%llu", (unsigned long long)key));
    struct scan_condition condition = {
        .test = SCAN_IN, .column = 1, .value_count = 1, .values = &value};
    struct scan_filter filter = {.condition_count = 1, .conditions = &condition};
    add_up(view, &filter, &value.text, &some);
    struct table_statistics statistics;
    table_view_statistics(view, &statistics);
    if (statistics.sealed_count > 1)
        atomic_fetch_add_explicit(&stage->sealed_seen, 1, memory_order_relaxed);
    snapshot_close(snapshot);
    uint64_t of_key = rows / VALUES + (key < rows % VALUES ? 1 : 0);
    uint64_t sum_of_key = of_key == 0 ? 0 : of_key * key + VALUES * (of_key * (of_key - 1) / 2);
    return all.count == rows && all.sum == rows * (rows == 0 ? 0 : rows - 1) / 2 &&
           some.count == of_key && some.sum == sum_of_key;
}

static void read_on(void *context)
{
    struct stage *stage = context;
    struct random_stream random;
    random_stream_init(&random, (uintptr_t)&random);
    while (!atomic_load_explicit(&stage->is_done, memory_order_acquire)) {
        atomic_fetch_add_explicit(&stage->scans, 1, memory_order_relaxed);
        if (!is_right(stage, &random))
            atomic_fetch_add_explicit(&stage->wrong, 1, memory_order_relaxed);
    }
}

static void keep_up(void *context)
{
    struct stage *stage = context;
    while (!atomic_load_explicit(&stage->is_done, memory_order_acquire)) {
        store_upkeep(stage->store);
        thread_yield();
    }
}

static void test_everything_at_once(void **state)
{
    (void)state;
    char path[] = "/tmp/freshet-concurrent-XXXXXX";
    struct error error = {0};
    struct io *io;
    struct stage stage = {0};
    assert_non_null(mkdtemp(path));
    test_must(io_open("auto", path, &io, &error), &error);
    struct worker_pool *pool = worker_pool_create(&(struct worker_options){.core_count = 2});
    struct store_options options = {.io = io,
                                    .directory = "",
                                    .log_file_size = 1 << 20,
                                    .rows_memory_limit = (size_t)1 << 30,
                                    .is_threaded = true,
                                    .workers = pool,
                                    .cache_size = 50000,
                                    .seal_rows = 3000,
                                    .merge_segments_min = 3};
    test_must(store_open(&options, &stage.store, &error), &error);
    stage.schema = make_schema(store_next_table_id(stage.store));
    struct commit *create = commit_create(stage.store);
    uint64_t position;
    schema_ref(stage.schema);
    commit_set_change(create, CHANGE_CREATE, stage.schema->table_id, stage.schema);
    test_must(store_commit(stage.store, create, &position, &error), &error);

    struct thread *threads[READERS + 1];
    for (int i = 0; i < READERS; i++)
        threads[i] = thread_start(
            &(struct thread_options){.name = "reader", .run = read_on, .context = &stage});
    threads[READERS] =
        thread_start(&(struct thread_options){.name = "upkeep", .run = keep_up, .context = &stage});
    struct random_stream random;
    random_stream_init(&random, 12);
    for (uint64_t row = 0; row < ROWS;) {
        uint32_t count = 1 + (uint32_t)random_below(&random, 600);
        write_rows(&stage, row, count);
        row += count;
        if (random_below(&random, 40) == 0)
            test_must(store_checkpoint(stage.store, &error), &error);
    }
    test_must(store_checkpoint(stage.store, &error), &error);
    atomic_store_explicit(&stage.is_done, true, memory_order_release);
    for (int i = 0; i <= READERS; i++)
        thread_join(threads[i]);
    assert_true(is_right(&stage, &random));
    assert_int_equal(atomic_load(&stage.wrong), 0);
    assert_true(atomic_load(&stage.scans) > 0);
    assert_true(atomic_load(&stage.sealed_seen) > 0);
    store_close(stage.store);
    worker_pool_destroy(pool);
    schema_unref(stage.schema);
    io->ops->destroy(io);
    scratch_remove(path);
}

/* --- replay --- */

struct replaying {
    struct store *store;
    struct model *model;
    _Atomic bool is_done, is_wrong;
    _Atomic uint64_t looks;
    char why[200]; /* the reader's */
};

static void read_replayed(void *context)
{
    struct replaying *replaying = context;
    while (!atomic_load(&replaying->is_done) && !atomic_load(&replaying->is_wrong)) {
        if (!store_is_readable(replaying->store))
            continue;
        struct snapshot *snapshot = snapshot_open(replaying->store);
        struct model_state state;
        model_replay(replaying->model, snapshot_position(snapshot), &state);
        if (!model_compare(&state, snapshot, replaying->why, sizeof(replaying->why)))
            atomic_store(&replaying->is_wrong, true);
        model_state_deinit(&state);
        snapshot_close(snapshot);
        atomic_fetch_add(&replaying->looks, 1);
    }
}

/* Goes on when the reader has looked again, so that it sees many moments on any machine. */
static void wait_for_look(void *context, struct store *store)
{
    struct replaying *replaying = context;
    uint64_t looks = atomic_load(&replaying->looks);
    while (store_is_readable(store) && store_position(store) % 8 == 0 &&
           atomic_load(&replaying->looks) < looks + 2 && !atomic_load(&replaying->is_wrong))
        clock_sleep_us(100);
}

/* A store that ended without a checkpoint is read by another thread while its log is replayed. */
static void test_snapshots_during_replay(void **test_state)
{
    (void)test_state;
    struct sim *sim = sim_create(&(struct sim_options){.seed = 3});
    struct model model;
    struct model_state state = {0};
    struct error error = {0};
    struct replaying replaying = {.model = &model};
    struct store_options options = {.directory = "",
                                    .log_file_size = 1 << 20,
                                    .replayed = wait_for_look,
                                    .replayed_context = &replaying};
    sim_open(sim, &options.io);
    model_init(&model, 21, 60);
    test_must(store_open(&options, &replaying.store, &error), &error);
    for (int i = 0; i < 120; i++) {
        struct model_op *op;
        struct commit *commit = model_commit(&model, replaying.store, &state, &op);
        test_must(store_commit(replaying.store, commit, &op->position, &error), &error);
        model_replay_op(&state, op);
    }
    uint64_t last = store_position(replaying.store);
    sim_crash_at(sim, sim_operation_count(sim) + 1);
    store_close(replaying.store);
    options.io->ops->destroy(options.io);
    sim_recover(sim, SIM_POWER_CUT, 1);

    sim_open(sim, &options.io);
    test_must(store_open_begin(&options, &replaying.store, &error), &error);
    assert_false(store_is_readable(replaying.store));
    struct thread *reader = thread_start(
        &(struct thread_options){.name = "reader", .run = read_replayed, .context = &replaying});
    test_must(store_open_end(replaying.store, &error), &error);
    atomic_store(&replaying.is_done, true);
    thread_join(reader);
    if (atomic_load(&replaying.is_wrong))
        fail_msg("%s", replaying.why);
    assert_true(atomic_load(&replaying.looks) > 8);
    assert_int_equal(store_position(replaying.store), last);
    store_close(replaying.store);
    options.io->ops->destroy(options.io);
    model_state_deinit(&state);
    model_deinit(&model);
    sim_destroy(sim);
}

int main(void)
{
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_at_once),
                                       cmocka_unit_test(test_snapshots_during_replay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
