/* The log over real files: order, reopening, rotation, large records, threads, damage. What a crash
 * does is the simulation's business (tests/sim/log_sim_test.c). */
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/base/thread.h"
#include "storage/log/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define FILE_SIZE ((size_t)1 << 20)

struct model {
    uint64_t replayed;
    uint64_t applied;
    atomic_ullong published;
    atomic_ullong done;
    atomic_ullong failed;
    uint64_t needed; /* with recycling: replay may begin anywhere up to behind it */
    uint64_t first_file, keep_file;
    enum err failure; /* of the last that failed */
};

struct test_entry {
    struct log_entry entry;
    struct model *model;
    char *data;
};

/* Content of a record follows from its position. */
static size_t record_size(uint64_t position)
{
    struct random_stream stream;
    random_stream_init(&stream, position);
    switch (random_below(&stream, 8)) {
    case 0:
        return random_below(&stream, 3);
    case 1:
        return 4096 - 140 + random_below(&stream, 8);
    case 2:
        return random_below(&stream, 300000);
    default:
        return random_below(&stream, 2000);
    }
}

static void record_fill(uint64_t position, char *data, size_t size)
{
    for (size_t index = 0; index < size; index++)
        data[index] = (char)(position * 31 + index * 7 + (index >> 8));
}

static enum err on_replay(void *context, uint64_t position, struct slice payload,
                          struct error *error)
{
    struct model *model = context;
    (void)error;
    if (model->needed != 0 && model->replayed == 0)
        assert_true(position <= model->needed + 1);
    else
        assert_int_equal(position, model->replayed + 1);
    assert_int_equal(payload.size, record_size(position));
    char *want = malloc(payload.size + 1);
    record_fill(position, want, payload.size);
    assert_memory_equal(payload.data, want, payload.size);
    free(want);
    model->replayed = position;
    return OK;
}

static void on_apply(void *context, struct log_entry *entry)
{
    struct model *model = context;
    assert_int_equal(entry->position, model->applied + 1);
    model->applied = entry->position;
}

static void on_publish(void *context, uint64_t position)
{
    struct model *model = context;
    assert_true(position == model->applied);
    atomic_store(&model->published, position);
}

static void on_done(struct log_entry *entry, enum err result, const struct error *error)
{
    struct test_entry *test = (struct test_entry *)entry;
    assert_true(result != OK || entry->position <= atomic_load(&test->model->published));
    if (result != OK) {
        assert_int_equal(error->code, result);
        test->model->failure = result;
    }
    atomic_fetch_add(result == OK ? &test->model->done : &test->model->failed, 1);
    free(test->data);
    free(test);
}

static char *make_directory(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/freshet-log-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void remove_name(void *context, const char *name)
{
    struct io *io = context;
    assert_int_equal(io->ops->unlink(io, name, NULL), OK);
}

static enum err open_log(struct io *io, struct model *model, struct log **log, struct error *error)
{
    struct log_options options = {.io = io,
                                  .directory = "",
                                  .file_size = FILE_SIZE,
                                  .place_min = 1000,
                                  .first_position = 1,
                                  .first_file = model->first_file,
                                  .keep_file = model->keep_file,
                                  .context = model,
                                  .replay = on_replay,
                                  .apply = on_apply,
                                  .publish = on_publish};
    model->replayed = 0;
    enum err result = log_open(&options, log, error);
    model->applied = model->replayed;
    return result;
}

static void submit(struct log *log, struct model *model, uint64_t position)
{
    struct test_entry *test = calloc(1, sizeof(*test));
    size_t size = record_size(position);
    test->model = model;
    test->entry = (struct log_entry){.done = on_done};
    char *payload;
    if (position % 2 == 0 || position % 64 >= 32) { /* the log may write it from where it is */
        size_t room = size + position / 2 % 2 * IO_ALIGNMENT;
        test->data = aligned_alloc(
            IO_ALIGNMENT, (LOG_ENTRY_HEAD + room) / IO_ALIGNMENT * IO_ALIGNMENT + IO_ALIGNMENT);
        payload = test->data + LOG_ENTRY_HEAD;
        test->entry.room = room;
    } else {
        payload = test->data = malloc(size + 1);
    }
    record_fill(position, payload, size);
    test->entry.payload = slice_of(payload, size);
    struct error error;
    assert_int_equal(log_submit(log, &test->entry, &error), OK);
}

static void run_rounds(const char *kind, bool is_threaded)
{
    char *path = make_directory();
    struct error error;
    struct io *io;
    assert_int_equal(io_open(kind, path, &io, &error), OK);
    struct model model = {0};
    uint64_t sent = 0;
    for (int round = 0; round < 4; round++) {
        struct log *log;
        if (open_log(io, &model, &log, &error) != OK)
            fail_msg("%s", error.text);
        assert_int_equal(model.replayed, sent);
        if (is_threaded)
            log_start(log);
        for (int index = 0; index < 40; index++) {
            submit(log, &model, ++sent);
            if (!is_threaded && index % 5 == 0)
                assert_true(log_run(log));
        }
        while (!is_threaded && log_run(log))
            continue;
        log_stop(log);
        assert_int_equal(atomic_load(&model.done), sent);
        struct log_status status;
        log_status(log, &status);
        assert_int_equal(status.durable_position, sent);
        assert_int_equal(status.next_position, sent + 1);
        assert_false(status.is_failed);
        log_close(log);
    }
    struct log *log;
    assert_int_equal(open_log(io, &model, &log, &error), OK);
    log_close(log);
    assert_int_equal(model.replayed, sent);
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

static void test_rounds_plain(void **state)
{
    (void)state;
    run_rounds("plain", false);
    run_rounds("plain", true);
}

static void test_rounds_uring(void **state)
{
    (void)state;
    run_rounds("uring", false);
    run_rounds("uring", true);
}

/* The log thread waits for as many as came together last time; one that comes alone then is
 * written nevertheless, and so is what is left at the end. */
static void test_gathering_ends(void **state)
{
    (void)state;
    char *path = make_directory();
    struct error error;
    struct io *io;
    assert_int_equal(io_open("plain", path, &io, &error), OK);
    struct model model = {0};
    struct log *log;
    assert_int_equal(open_log(io, &model, &log, &error), OK);
    log_start(log);
    uint64_t sent = 0;
    for (int round = 0; round < 20; round++) {
        for (int count = round % 2 == 0 ? 8 : 1; count > 0; count--)
            submit(log, &model, ++sent);
        while (atomic_load(&model.done) < sent)
            clock_sleep_us(100);
    }
    for (int index = 0; index < 8; index++)
        submit(log, &model, ++sent);
    log_stop(log);
    assert_int_equal(atomic_load(&model.done), sent);
    log_close(log);
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

/* Files, or all of the directory, removed by somebody: one file is made anew, and without the
 * directory the log fails as one whose disk does, not with "not found". True: so it failed. */
static bool fails_by_io(bool is_directory_gone)
{
    char *path = make_directory();
    struct error error;
    struct io *io;
    assert_int_equal(io_open("plain", path, &io, &error), OK);
    struct model model = {0};
    struct log *log;
    assert_int_equal(open_log(io, &model, &log, &error), OK);
    for (uint64_t sent = 1; sent < 400 && model.failure == OK; sent++) {
        submit(log, &model, sent);
        if (sent == 100)
            assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
        if (sent == 100 && is_directory_gone)
            assert_int_equal(rmdir(path), 0);
        assert_true(log_run(log));
    }
    bool is_io = model.failure == ERR_IO;
    assert_int_equal(is_directory_gone, model.failure != OK);
    if (is_directory_gone) { /* nor does trying again */
        struct log_status status;
        log_revive(log);
        assert_true(log_run(log));
        log_status(log, &status);
        assert_true(status.is_failed);
        is_io = is_io && status.failure.code == ERR_IO;
    }
    log_stop(log);
    log_close(log);
    if (!is_directory_gone) {
        assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
        assert_int_equal(rmdir(path), 0);
    }
    io->ops->destroy(io);
    return is_io;
}

static void test_files_removed(void **state)
{
    (void)state;
    assert_false(fails_by_io(false));
    assert_true(fails_by_io(true));
    fault_plant("log.not_found");
    assert_false(fails_by_io(true));
    fault_clear();
}

/* --- written from where they are --- */

static void count_done(struct log_entry *entry, enum err result, const struct error *error)
{
    (void)error;
    assert_int_equal(result, OK);
    ++*(int *)entry->context;
}

/* Puts `count` records of 300 bytes into one group. How many of them have been written from where
 * they are: a piece's header is in front of such a one. */
static int placed_of_group(struct log *log, int count)
{
    static _Alignas(IO_ALIGNMENT) char blocks[3][IO_ALIGNMENT];
    struct log_entry entries[3];
    int done = 0, placed = 0;
    for (int i = 0; i < count; i++) {
        memset(blocks[i], 0, IO_ALIGNMENT);
        entries[i] = (struct log_entry){.payload = slice_of(blocks[i] + LOG_ENTRY_HEAD, 300),
                                        .room = IO_ALIGNMENT - LOG_ENTRY_HEAD,
                                        .context = &done,
                                        .done = count_done};
        assert_int_equal(log_submit(log, &entries[i], NULL), OK);
    }
    assert_true(log_run(log));
    assert_int_equal(done, count);
    for (int i = 0; i < count; i++) {
        bool is_placed = false;
        for (size_t byte = 0; byte < LOG_ENTRY_HEAD; byte++)
            is_placed |= blocks[i][byte] != 0;
        placed += is_placed;
    }
    return placed;
}

/* A record that is its group's only one has a piece of its own: it need not be copied. */
static void test_alone_in_place(void **state)
{
    (void)state;
    char *path = make_directory();
    struct io *io;
    struct log *log;
    assert_int_equal(io_open("plain", path, &io, NULL), OK);
    struct log_options options = {
        .io = io, .directory = "", .file_size = FILE_SIZE, .place_min = 1000, .first_position = 1};
    assert_int_equal(log_open(&options, &log, NULL), OK);
    assert_int_equal(placed_of_group(log, 1), 1);
    assert_int_equal(placed_of_group(log, 3), 0);
    assert_int_equal(placed_of_group(log, 1), 1);
    log_stop(log);
    log_close(log);
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

static enum err count_replayed(void *context, uint64_t position, struct slice payload,
                               struct error *error)
{
    size_t *count = context;
    (void)position;
    (void)error;
    for (size_t i = 0; i < payload.size; i++)
        assert_int_equal(payload.data[i], (char)(payload.size + i % 7));
    ++*count;
    return OK;
}

/* One record of `size` bytes; is it written from where it is? */
static bool is_placed(struct log *log, size_t size)
{
    size_t blocks = (LOG_ENTRY_HEAD + size + IO_ALIGNMENT - 1) / IO_ALIGNMENT;
    char *data = aligned_alloc(IO_ALIGNMENT, blocks * IO_ALIGNMENT);
    int done = 0;
    memset(data, 0, LOG_ENTRY_HEAD);
    for (size_t i = 0; i < size; i++)
        data[LOG_ENTRY_HEAD + i] = (char)(size + i % 7);
    struct log_entry entry = {.payload = slice_of(data + LOG_ENTRY_HEAD, size),
                              .room = blocks * IO_ALIGNMENT - LOG_ENTRY_HEAD,
                              .context = &done,
                              .done = count_done};
    assert_int_equal(log_submit(log, &entry, NULL), OK);
    while (done == 0)
        assert_true(log_run(log));
    bool result = memcmp(data, (char[LOG_ENTRY_HEAD]){0}, LOG_ENTRY_HEAD) != 0;
    free(data);
    return result;
}

struct large {
    struct io *io;
    struct log *log;
    struct log_options options;
    size_t count;
};

static void large_open(struct large *large)
{
    large->count = 0;
    large->options.context = &large->count;
    assert_int_equal(log_open(&large->options, &large->log, NULL), OK);
}

static void large_close(struct large *large)
{
    log_stop(large->log);
    log_close(large->log);
}

static void large_remove(struct large *large, const char *path)
{
    assert_int_equal(large->io->ops->list(large->io, "", remove_name, large->io, NULL), OK);
    large->io->ops->destroy(large->io);
    assert_int_equal(rmdir(path), 0);
}

/* From where it is, a record is a piece of up to four times the size of a shared one. */
static void test_large_in_place(void **state)
{
    (void)state;
    char *path = make_directory();
    struct large large = {.options = {.directory = "",
                                      .file_size = 20 * IO_ALIGNMENT,
                                      .piece_size = IO_ALIGNMENT,
                                      .place_min = 1000,
                                      .first_position = 1,
                                      .replay = count_replayed}};
    assert_int_equal(io_open("plain", path, &large.io, NULL), OK);
    large.options.io = large.io;
    large_open(&large);
    size_t most = 4 * large.options.piece_size - LOG_ENTRY_HEAD;
    assert_true(is_placed(large.log, most / 2));
    assert_true(is_placed(large.log, most));
    assert_false(is_placed(large.log, most + 1)); /* in pieces */
    assert_true(is_placed(large.log, most));
    assert_true(is_placed(large.log, most - 2 * IO_ALIGNMENT));
    assert_false(is_placed(large.log, most)); /* a block of the file is left */
    assert_true(is_placed(large.log, most));
    large_close(&large);
    large_open(&large);
    assert_int_equal(large.count, 7);
    log_close(large.log);
    large_remove(&large, path);
}

/* The largest piece there is; planted: recovery knows those of older versions only. */
static void test_largest_piece(void **state)
{
    (void)state;
    char *path = make_directory();
    struct large large = {.options = {.directory = "",
                                      .file_size = (size_t)16 << 20,
                                      .first_position = 1,
                                      .recover_point_in_time = true,
                                      .replay = count_replayed}};
    assert_int_equal(io_open("plain", path, &large.io, NULL), OK);
    large.options.io = large.io;
    large_open(&large);
    assert_true(is_placed(large.log, ((size_t)1 << 20) - LOG_ENTRY_HEAD));
    assert_true(is_placed(large.log, ((size_t)1 << 20) - LOG_ENTRY_HEAD + 1));
    assert_true(is_placed(large.log, ((size_t)4 << 20) - LOG_ENTRY_HEAD));
    assert_false(is_placed(large.log, ((size_t)4 << 20) - LOG_ENTRY_HEAD + 1));
    large_close(&large);
    large_open(&large);
    assert_int_equal(large.count, 4);
    large_close(&large);
    fault_plant("log.large_piece_is_torn");
    large_open(&large);
    fault_clear();
    assert_int_equal(large.count, 1);
    log_close(large.log);
    large_remove(&large, path);
}

/* --- files used again --- */

/* As a store does: two points from which the log is needed, the newer one is started from; records
 * straddle files. */
static void run_recycling(uint64_t seed, bool is_threaded)
{
    char *path = make_directory();
    struct error error;
    struct io *io;
    struct log *log;
    struct model model = {0};
    struct random_stream chance;
    uint64_t sent = 0, older = 0;
    random_stream_init(&chance, seed);
    assert_int_equal(io_open("plain", path, &io, &error), OK);
    assert_int_equal(open_log(io, &model, &log, &error), OK);
    if (is_threaded)
        log_start(log);
    for (int round = 0; round < 40; round++) {
        for (uint64_t count = 1 + random_below(&chance, 30); count > 0; count--)
            submit(log, &model, ++sent);
        while (!is_threaded && log_run(log))
            continue;
        while (atomic_load(&model.done) < sent)
            thread_yield();
        struct log_status status;
        log_status(log, &status);
        assert_true(status.bytes <= 12 * FILE_SIZE);
        older = model.needed;
        model.keep_file = model.first_file;
        model.needed = sent - random_below(&chance, sent - older + 1);
        model.first_file = log_first_file_after(log, model.needed);
        assert_true(model.first_file >= model.keep_file);
        log_recycle(log, older);
        if (random_below(&chance, 4) != 0)
            continue;
        log_stop(log);
        log_close(log);
        if (open_log(io, &model, &log, &error) != OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.text);
        assert_true(model.replayed == sent || (model.replayed == 0 && model.needed == sent));
        model.applied = sent;
        if (is_threaded)
            log_start(log);
    }
    log_stop(log);
    log_close(log);
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

static void test_files_are_used_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_recycling(seed, seed % 2 == 0);
}

/* The file ahead is not made at once: an idle log has part of it, and a log that stops then does
 * not wait for ever. */
static void test_the_next_file_is_made_at_the_pace_of_the_log(void **state)
{
    (void)state;
    char *path = make_directory();
    struct error error;
    struct io *io;
    struct log *log;
    struct model model = {0};
    uint64_t sent = 0;
    assert_int_equal(io_open("plain", path, &io, &error), OK);
    assert_int_equal(open_log(io, &model, &log, &error), OK);
    log_start(log);
    struct log_status status;
    for (int look = 0; look < 20; look++) {
        log_status(log, &status);
        assert_int_equal(status.file_count, 1);
        clock_sleep_us(1000);
    }
    do { /* one after the other, so that half a file is not passed in one group */
        submit(log, &model, ++sent);
        while (atomic_load(&model.done) < sent)
            thread_yield();
        clock_sleep_us(100);
        log_status(log, &status);
    } while (status.file_count == 1 && sent < 100000);
    assert_true(status.file_count > 1);
    log_stop(log);
    log_close(log);
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

/* --- several threads submit --- */

#define THREAD_COUNT 4
#define THREAD_RECORDS 300

struct parallel {
    struct log *log;
    uint32_t seen[THREAD_COUNT]; /* at replay: the next number of each thread */
    uint64_t total;
};
struct submitter {
    struct parallel *parallel;
    uint32_t index;
    atomic_uint answered;
    struct {
        struct log_entry entry;
        uint32_t words[2];
    } records[THREAD_RECORDS];
};

static enum err on_parallel_replay(void *context, uint64_t position, struct slice payload,
                                   struct error *error)
{
    struct parallel *parallel = context;
    uint32_t words[2];
    (void)error;
    assert_int_equal(position, ++parallel->total);
    assert_int_equal(payload.size, sizeof(words));
    memcpy(words, payload.data, sizeof(words));
    assert_true(words[0] < THREAD_COUNT);
    assert_int_equal(words[1], parallel->seen[words[0]]++);
    return OK;
}

static void on_parallel_done(struct log_entry *entry, enum err result, const struct error *error)
{
    struct submitter *submitter = entry->context;
    (void)error;
    assert_int_equal(result, OK);
    atomic_fetch_add(&submitter->answered, 1);
}

static void run_submitter(void *context)
{
    struct submitter *submitter = context;
    for (uint32_t number = 0; number < THREAD_RECORDS; number++) {
        struct log_entry *entry = &submitter->records[number].entry;
        uint32_t *words = submitter->records[number].words;
        words[0] = submitter->index;
        words[1] = number;
        *entry = (struct log_entry){.payload = slice_of(words, 2 * sizeof(*words)),
                                    .context = submitter,
                                    .done = on_parallel_done};
        assert_int_equal(log_submit(submitter->parallel->log, entry, NULL), OK);
        while (number % 16 == 15 && atomic_load(&submitter->answered) + 8 < number)
            thread_yield();
    }
}

static void test_threads_submit(void **state)
{
    (void)state;
    char *path = make_directory();
    struct error error;
    struct io *io;
    assert_int_equal(io_open("auto", path, &io, &error), OK);
    struct parallel parallel = {0};
    struct log_options options = {.io = io,
                                  .directory = "",
                                  .file_size = FILE_SIZE,
                                  .first_position = 1,
                                  .context = &parallel,
                                  .replay = on_parallel_replay};
    assert_int_equal(log_open(&options, &parallel.log, &error), OK);
    log_start(parallel.log);
    static struct submitter submitters[THREAD_COUNT];
    struct thread *threads[THREAD_COUNT];
    for (uint32_t index = 0; index < THREAD_COUNT; index++) {
        submitters[index].parallel = &parallel;
        submitters[index].index = index;
        threads[index] = thread_start(&(struct thread_options){
            .name = "submitter", .run = run_submitter, .context = &submitters[index]});
    }
    for (uint32_t index = 0; index < THREAD_COUNT; index++)
        thread_join(threads[index]);
    log_stop(parallel.log);
    log_close(parallel.log);
    for (uint32_t index = 0; index < THREAD_COUNT; index++)
        assert_int_equal(atomic_load(&submitters[index].answered), THREAD_RECORDS);
    assert_int_equal(log_open(&options, &parallel.log, &error), OK);
    assert_int_equal(parallel.total, THREAD_COUNT * THREAD_RECORDS);
    log_close(parallel.log);
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_plain),
        cmocka_unit_test(test_rounds_uring),
        cmocka_unit_test(test_gathering_ends),
        cmocka_unit_test(test_files_removed),
        cmocka_unit_test(test_alone_in_place),
        cmocka_unit_test(test_large_in_place),
        cmocka_unit_test(test_largest_piece),
        cmocka_unit_test(test_files_are_used_again),
        cmocka_unit_test(test_the_next_file_is_made_at_the_pace_of_the_log),
        cmocka_unit_test(test_threads_submit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
