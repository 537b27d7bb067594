/* The window over a file with known bytes, on the simulated disk and on both real back ends:
 * whatever is looked at, in small and large steps across borders of windows, back and forth, the
 * bytes are those of the file. */
#include "storage/base/random.h"
#include "storage/io/sim.h"
#include "storage/log/format.h"
#include "storage/log/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define FILE_SIZE (2 * LOG_WINDOW_SIZE + ((size_t)1 << 20) + LOG_BLOCK_SIZE)
#define NAME "bytes"

static uint32_t word_at(size_t offset)
{
    return (uint32_t)(offset / 4 * 2654435761U);
}

static struct io_file *make_file(struct io *io)
{
    struct io_file *file;
    assert_int_equal(io->ops->open(io, NAME, IO_CREATE | IO_WRITE | IO_DIRECT, &file, NULL), OK);
    char *bytes = io_buffer_alloc(io, FILE_SIZE);
    for (size_t offset = 0; offset < FILE_SIZE; offset += 4) {
        uint32_t word = word_at(offset);
        memcpy(bytes + offset, &word, sizeof(word));
    }
    struct io_write_options write = {.data = bytes, .size = FILE_SIZE, .sync = true};
    assert_int_equal(io->ops->write_begin(file, &write), OK);
    assert_int_equal(io->ops->write_wait(file, NULL), OK);
    io_buffer_free(io, bytes);
    return file;
}

static void check(struct window *window, size_t offset, size_t want)
{
    const char *data;
    size_t available;
    assert_int_equal(log_window_look(window, offset, want, &data, &available, NULL), OK);
    size_t left = offset < FILE_SIZE ? FILE_SIZE - offset : 0;
    assert_true(available >= (want < left ? want : left));
    assert_true(available <= left);
    for (size_t at = 0; at < available && at < want; at += at + 8 < want ? 4 : 1) {
        uint32_t word = word_at(offset + at);
        assert_int_equal(data[at], ((const char *)&word)[(offset + at) % 4]);
    }
}

static void walk(struct io *io, size_t step)
{
    struct io_file *file = make_file(io);
    struct window window;
    log_window_init(&window, io);
    struct random_stream chance;
    random_stream_init(&chance, 5);
    for (int round = 0; round < 3; round++) {
        log_window_open(&window, file, FILE_SIZE, step);
        size_t want_max = step < LOG_WINDOW_SIZE ? step : LOG_PIECE_SIZE_MAX;
        /* As recovery goes: a header, the whole piece, on to the next block. */
        for (size_t offset = 0; offset < FILE_SIZE + LOG_BLOCK_SIZE;) {
            size_t want = 1 + random_below(&chance, want_max);
            check(&window, offset, 128);
            check(&window, offset, want);
            offset += (want + LOG_BLOCK_SIZE - 1) / LOG_BLOCK_SIZE * LOG_BLOCK_SIZE;
        }
        check(&window, LOG_BLOCK_SIZE, 4);
        check(&window, FILE_SIZE - 8, LOG_BLOCK_SIZE);
        check(&window, 0, 128); /* a read ahead is under way at the end */
        assert_ptr_equal(log_window_close(&window), file);
    }
    log_window_deinit(&window);
    assert_int_equal(io->ops->close(file, NULL), OK);
    assert_int_equal(io->ops->unlink(io, NAME, NULL), OK);
}

static void test_real_files(void **state)
{
    (void)state;
    static const char *const kinds[] = {"plain", "uring"};
    for (size_t index = 0; index < array_count(kinds); index++) {
        char path[] = "/tmp/freshet-window-XXXXXX";
        assert_non_null(mkdtemp(path));
        struct io *io;
        assert_int_equal(io_open(kinds[index], path, &io, NULL), OK);
        walk(io, LOG_WINDOW_SIZE);
        walk(io, LOG_BLOCK_SIZE);
        io->ops->destroy(io);
        assert_int_equal(rmdir(path), 0);
    }
}

static void test_simulated_file(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&(struct sim_options){.seed = 3});
    struct io *io;
    sim_open(sim, &io);
    walk(io, LOG_WINDOW_SIZE);
    io->ops->destroy(io);
    sim_destroy(sim);
}

/* A read that fails is told to who needs its bytes, and not before. */
static void test_read_error(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&(struct sim_options){.seed = 3});
    struct io *io;
    sim_open(sim, &io);
    struct io_file *file = make_file(io);
    struct window window;
    log_window_init(&window, io);
    log_window_open(&window, file, FILE_SIZE, LOG_WINDOW_SIZE);
    check(&window, 0, 128);
    sim_set_faults(sim, &(struct sim_faults){.read_error = 65536});
    check(&window, LOG_WINDOW_SIZE - 128, 128);
    const char *data;
    size_t available;
    struct error error;
    enum err result =
        log_window_look(&window, LOG_WINDOW_SIZE - 64, 128, &data, &available, &error);
    assert_int_equal(result, ERR_IO);
    sim_set_faults(sim, NULL);
    check(&window, LOG_WINDOW_SIZE - 64, 128);
    assert_ptr_equal(log_window_close(&window), file);
    log_window_deinit(&window);
    assert_int_equal(io->ops->close(file, NULL), OK);
    io->ops->destroy(io);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_files),
        cmocka_unit_test(test_simulated_file),
        cmocka_unit_test(test_read_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
