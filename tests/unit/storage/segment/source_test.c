/* The source of sealed segments on a real disk, by ring and by plain calls: more files than are
 * kept open, several threads, a cache that keeps nothing, segments discarded under their readers;
 * bits that turn on a simulated one. Run it under the tsan preset. */
#include "tests/model/sealed_model.h"

#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/thread.h"
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SEGMENTS 300 /* files kept open are 256 */
#define SEGMENT_ROWS 30
#define THREADS 4

struct stage {
    char path[64];
    struct io *io;
    struct sealed_source *source;
    struct model model;
    struct sealed *sealed[SEGMENTS];
    _Atomic uint64_t wrong; /* relaxed: a counter, read after the joins */
    int steps;
};

static void stage_make(struct stage *stage, const char *kind, size_t cache_size)
{
    struct error error = {0};
    *stage = (struct stage){.steps = 400};
    snprintf(stage->path, sizeof(stage->path), "/tmp/freshet-source-XXXXXX");
    assert_non_null(mkdtemp(stage->path));
    model_must(io_open(kind, stage->path, &stage->io, &error), &error);
    stage->source = sealed_source_create(&(struct sealed_source_options){
        .io = stage->io, .directory = "", .cache_size = cache_size});
    model_init(&stage->model, 5, SEGMENTS * SEGMENT_ROWS);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct sealed_info info =
            model_write_segment(&stage->model, stage->io, i + 1, i * SEGMENT_ROWS, SEGMENT_ROWS);
        stage->sealed[i] = sealed_create(stage->source, &info);
    }
}

static void count_file(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

/* All segments discarded: their files are gone with them. */
static void stage_remove(struct stage *stage)
{
    size_t left = 0;
    struct error error = {0};
    for (int i = 0; i < SEGMENTS; i++) {
        sealed_discard(stage->sealed[i]);
        sealed_unref(stage->sealed[i]);
    }
    model_must(stage->io->ops->list(stage->io, SEALED_DIRECTORY, count_file, &left, &error),
               &error);
    assert_int_equal(left, 0);
    sealed_source_destroy(stage->source);
    stage->io->ops->destroy(stage->io);
    model_deinit(&stage->model);
    char inner[80];
    snprintf(inner, sizeof(inner), "%s/%s", stage->path, SEALED_DIRECTORY);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(stage->path), 0);
}

/* Two columns of one segment, through a view of its own. */
static bool is_right(struct stage *stage, uint32_t index)
{
    struct segment_entry entry = {.sealed = stage->sealed[index]};
    struct table_view view = {.schema = stage->model.schema,
                              .closed = segment_list_create(&entry, 1)};
    static const uint32_t columns[] = {M_ID, M_USER};
    struct cursor *cursor = cursor_open(&view, columns, 2, NULL);
    struct batch batch;
    bool has, is_right = false;
    struct error error = {0};
    if (cursor_seek(cursor, 0, &has, &error) == OK && has &&
        cursor_next(cursor, &batch, &has, &error) == OK && has)
        is_right = batch.row_count == SEGMENT_ROWS;
    for (uint32_t i = 0; is_right && i < SEGMENT_ROWS; i++) {
        uint32_t row = index * SEGMENT_ROWS + i;
        is_right =
            batch.columns[0].i[i] == row &&
            slice_equal(column_text(&batch.columns[1], i), stage->model.cells[M_USER][row].text);
    }
    cursor_close(cursor);
    segment_list_unref(view.closed);
    return is_right;
}

static void run(void *context)
{
    struct stage *stage = context;
    struct random_stream random;
    random_stream_init(&random, (uintptr_t)&random);
    for (int i = 0; i < stage->steps; i++) {
        if (!is_right(stage, (uint32_t)random_below(&random, SEGMENTS)))
            atomic_fetch_add_explicit(&stage->wrong, 1, memory_order_relaxed);
    }
}

static void run_all(const char *kind, size_t cache_size)
{
    struct stage stage;
    stage_make(&stage, kind, cache_size);
    struct thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] =
            thread_start(&(struct thread_options){.name = "reader", .run = run, .context = &stage});
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    assert_int_equal(atomic_load(&stage.wrong), 0);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        assert_true(is_right(&stage, i));
    struct sealed_source_status status;
    sealed_source_status(stage.source, &status);
    assert_true(status.bytes_read > 0);
    stage_remove(&stage);
}

static void test_ring(void **state)
{
    (void)state;
    run_all("auto", 1);
}

static void test_plain(void **state)
{
    (void)state;
    run_all("plain", 200000);
}

/* A segment of its own each time, so that nothing of it is known. False: it is told to be corrupt.
 */
static bool read_ids(struct stage *stage, const struct sealed_info *info, int64_t *ids)
{
    struct segment_entry entry = {.sealed = sealed_create(stage->source, info)};
    struct table_view view = {.schema = stage->model.schema,
                              .closed = segment_list_create(&entry, 1)};
    static const uint32_t columns[] = {M_ID};
    struct cursor *cursor = cursor_open(&view, columns, 1, NULL);
    struct batch batch;
    bool has;
    struct error error = {0};
    enum err err = cursor_seek(cursor, 0, &has, &error);
    if (err == OK)
        err = cursor_next(cursor, &batch, &has, &error);
    if (err == OK) {
        assert_int_equal(batch.row_count, SEGMENT_ROWS);
        memcpy(ids, batch.columns[0].i, SEGMENT_ROWS * sizeof(*ids));
    } else {
        assert_int_equal(err, ERR_CORRUPT);
    }
    cursor_close(cursor);
    segment_list_unref(view.closed);
    sealed_unref(entry.sealed);
    return err == OK;
}

/* How many bits of a file change what is read of it. */
static uint64_t count_unseen(struct stage *stage, struct sim *sim, const struct sealed_info *info)
{
    int64_t good[SEGMENT_ROWS], ids[SEGMENT_ROWS];
    uint64_t unseen = 0, seen = 0;
    assert_true(read_ids(stage, info, good));
    for (uint64_t bit = 0; bit < info->footer_offset * 8; bit += 11) {
        const char *path = SEALED_DIRECTORY "/0000000000000001.fseg";
        assert_true(sim_flip_bit(sim, path, bit / 8, bit % 8));
        bool is_read = read_ids(stage, info, ids);
        unseen += is_read && memcmp(ids, good, sizeof(good)) != 0;
        seen += !is_read;
        assert_true(sim_flip_bit(sim, path, bit / 8, bit % 8));
    }
    assert_true(seen != 0 || unseen != 0);
    return unseen;
}

static void test_turned_bits(void **state)
{
    (void)state;
    struct stage stage = {.steps = 0};
    struct error error = {0};
    struct sim *sim = sim_create(&(struct sim_options){.seed = 1});
    logger_set_level((enum log_level)(LOG_ERROR + 1)); /* each one would be told */
    sim_open(sim, &stage.io);
    model_must(stage.io->ops->mkdir(stage.io, SEALED_DIRECTORY, &error), &error);
    stage.source = sealed_source_create(&(struct sealed_source_options){
        .io = stage.io, .directory = "", .cache_size = 1});
    model_init(&stage.model, 5, SEGMENT_ROWS);
    struct sealed_info info = model_write_segment(&stage.model, stage.io, 1, 0, SEGMENT_ROWS);
    assert_int_equal(count_unseen(&stage, sim, &info), 0);
    fault_plant("sealed.no_checksum");
    assert_int_not_equal(count_unseen(&stage, sim, &info), 0);
    fault_clear();
    sealed_source_destroy(stage.source);
    stage.io->ops->destroy(stage.io);
    model_deinit(&stage.model);
    sim_destroy(sim);
    logger_set_level(LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_turned_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
