/* Temporary files: blocks come back or are refused, limits hold, nothing is left behind. */
#include "storage/io/temp.h"

#include "storage/base/fault.h"
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define BLOCK ((size_t)8192)

struct fixture {
    struct sim *sim;
    struct io *io;
    struct temp_space *space;
    struct error error;
};

static void setup(struct fixture *f, uint64_t limit, uint64_t low_mark)
{
    *f = (struct fixture){.sim = sim_create(&(struct sim_options){.seed = 1})};
    sim_open(f->sim, &f->io);
    struct temp_options options = {
        .io = f->io, .limit_name = "spill_limit", .limit = limit, .low_mark = low_mark};
    assert_int_equal(temp_space_create(&options, &f->space, &f->error), OK);
}

static void teardown(struct fixture *f)
{
    temp_space_destroy(f->space);
    f->io->ops->destroy(f->io);
    sim_destroy(f->sim);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

static size_t names_left(struct fixture *f)
{
    size_t count = 0;
    assert_int_equal(f->io->ops->list(f->io, "spill", count_name, &count, &f->error), OK);
    return count;
}

static void test_blocks_come_back(void **state)
{
    (void)state;
    struct fixture f;
    struct temp_file *file;
    uint32_t blocks[40];
    setup(&f, 64 * BLOCK, 0);
    assert_int_equal(temp_file_create(f.space, BLOCK, &file, &f.error), OK);
    assert_int_equal(names_left(&f), 0); /* it has no name from the start */
    char *buffer = temp_file_buffer(file);
    for (uint32_t i = 0; i < 40; i++) {
        memset(buffer, (int)i, BLOCK);
        assert_int_equal(temp_file_write(file, buffer, 100 + i, &blocks[i], &f.error), OK);
    }
    for (uint32_t i = 40; i-- > 0;) {
        assert_int_equal(temp_file_read(file, blocks[i], 100 + i, buffer, &f.error), OK);
        for (size_t at = TEMP_HEADER_SIZE; at < BLOCK; at++)
            assert_int_equal((uint8_t)buffer[at], i);
    }
    assert_int_equal(temp_file_read(file, blocks[3], 104, buffer, &f.error), ERR_CORRUPT);
    fault_plant("temp.checksum_ignored");
    assert_int_equal(temp_file_read(file, blocks[3], 104, buffer, &f.error), OK);
    fault_clear();
    struct temp_figures figures;
    temp_space_figures(f.space, &figures);
    assert_int_equal(figures.used, 40 * BLOCK);
    for (uint32_t i = 0; i < 40; i++)
        temp_file_forget(file, blocks[i]);
    for (uint32_t i = 0; i < 40; i++) /* the same places */
        assert_int_equal(temp_file_write(file, buffer, i, &blocks[i], &f.error), OK);
    temp_space_figures(f.space, &figures);
    assert_int_equal(figures.used, 40 * BLOCK);
    assert_int_equal(figures.written, 80 * BLOCK);
    temp_file_buffer_free(file, buffer);
    temp_file_destroy(file);
    temp_space_figures(f.space, &figures);
    assert_int_equal(figures.used, 0);
    teardown(&f);
}

static void test_limits(void **state)
{
    (void)state;
    struct fixture f;
    struct temp_file *files[2];
    uint32_t block;
    setup(&f, 4 * BLOCK, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(temp_file_create(f.space, BLOCK, &files[i], &f.error), OK);
    char *buffer = temp_file_buffer(files[0]);
    memset(buffer, 0, BLOCK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(temp_file_write(files[i % 2], buffer, 0, &block, &f.error), OK);
    assert_int_equal(temp_file_write(files[0], buffer, 0, &block, &f.error), ERR_LIMIT);
    assert_memory_equal(f.error.sqlstate, "53200", 5);
    assert_non_null(strstr(f.error.text, "spill_limit"));
    temp_file_destroy(files[1]); /* what it had is for others */
    assert_int_equal(temp_file_write(files[0], buffer, 0, &block, &f.error), OK);
    temp_file_buffer_free(files[0], buffer);
    temp_file_destroy(files[0]);
    teardown(&f);

    setup(&f, 1 << 30, (uint64_t)1 << 40); /* more than the disk is to stay free */
    assert_int_equal(temp_file_create(f.space, BLOCK, &files[0], &f.error), OK);
    buffer = temp_file_buffer(files[0]);
    memset(buffer, 0, BLOCK);
    assert_int_equal(temp_file_write(files[0], buffer, 0, &block, &f.error), ERR_SPACE);
    assert_memory_equal(f.error.sqlstate, "53100", 5);
    temp_file_buffer_free(files[0], buffer);
    temp_file_destroy(files[0]);
    teardown(&f);
}

static void test_disk_errors(void **state)
{
    (void)state;
    static const struct {
        enum sim_fault fault;
        enum err err;
    } cases[] = {{SIM_FAULT_SPACE, ERR_SPACE}, {SIM_FAULT_ERROR, ERR_IO}, {SIM_FAULT_SHORT, OK}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        struct temp_file *file;
        uint32_t block;
        setup(&f, 0, 0);
        assert_int_equal(temp_file_create(f.space, BLOCK, &file, &f.error), OK);
        char *buffer = temp_file_buffer(file);
        memset(buffer, 7, BLOCK);
        sim_fail_at(f.sim, sim_operation_count(f.sim) + 1, cases[i].fault, false);
        assert_int_equal(temp_file_write(file, buffer, 1, &block, &f.error), cases[i].err);
        assert_int_equal(temp_file_write(file, buffer, 2, &block, &f.error), OK);
        assert_int_equal(temp_file_read(file, block, 2, buffer, &f.error), OK);
        temp_file_buffer_free(file, buffer);
        temp_file_destroy(file);
        assert_int_equal(names_left(&f), 0);
        teardown(&f);
    }
}

/* A file whose name stayed, as if the process had died before it was taken away. */
static void test_left_over(void **state)
{
    (void)state;
    struct fixture f;
    struct io_file *file;
    setup(&f, 0, 0);
    assert_int_equal(f.io->ops->open(f.io, "spill/17", IO_CREATE | IO_WRITE, &file, &f.error), OK);
    assert_int_equal(f.io->ops->close(file, &f.error), OK);
    temp_space_destroy(f.space);
    assert_int_equal(names_left(&f), 1);
    struct temp_options options = {.io = f.io, .limit_name = "spill_limit"};
    assert_int_equal(temp_space_create(&options, &f.space, &f.error), OK);
    assert_int_equal(names_left(&f), 0);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_come_back),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_disk_errors),
        cmocka_unit_test(test_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
