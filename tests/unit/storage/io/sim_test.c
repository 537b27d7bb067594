/* The simulated disk itself: what is synced stays, what is not may go, faults do what they say,
 * forks are apart. */
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct io *disk(struct sim **sim, uint64_t seed)
{
    struct sim_options options = {.seed = seed};
    struct io *io;
    *sim = sim_create(&options);
    sim_open(*sim, &io);
    assert_string_equal(io->name, "sim");
    return io;
}

static enum err put(struct io_file *file, const char *text, uint64_t offset, bool sync)
{
    struct io_write_options write = {
        .data = text, .size = strlen(text), .offset = offset, .sync = sync};
    assert_int_equal(file->io->ops->write_begin(file, &write), OK);
    return file->io->ops->write_wait(file, NULL);
}

/* "-" if there is no such file. */
static void content(struct sim *sim, const char *name, char out[64])
{
    struct io *io;
    struct io_file *file;
    size_t got = 0;
    sim_open(sim, &io);
    memset(out, 0, 64);
    out[0] = '-';
    if (io->ops->open(io, name, 0, &file, NULL) == OK) {
        assert_int_equal(io->ops->read(file, out, 63, 0, &got, NULL), OK);
        out[got] = '\0';
        assert_int_equal(io->ops->close(file, NULL), OK);
    }
    io->ops->destroy(io);
}

static void test_synced_stays_unsynced_may_go(void **state)
{
    (void)state;
    struct sim *sim;
    struct io *io = disk(&sim, 1);
    struct io_file *file;
    size_t lost_count = 0;
    size_t kept_count = 0;
    size_t torn_count = 0;
    assert_int_equal(io->ops->open(io, "a", IO_CREATE | IO_WRITE, &file, NULL), OK);
    assert_int_equal(put(file, "AAAA", 0, true), OK);
    assert_int_equal(io->ops->sync_directory(io, "", NULL), OK);
    assert_int_equal(put(file, "bbbb", 4, false), OK);
    for (uint64_t seed = 0; seed < 300; seed++) {
        char text[64];
        struct sim *after = sim_fork(sim, SIM_POWER_CUT, seed);
        content(after, "a", text);
        assert_memory_equal(text, "AAAA", 4);
        if (strcmp(text, "AAAA") == 0)
            lost_count++;
        else if (strcmp(text, "AAAAbbbb") == 0)
            kept_count++;
        else
            torn_count++;
        sim_destroy(after);
        after = sim_fork(sim, SIM_KILL, seed);
        content(after, "a", text);
        assert_string_equal(text, "AAAAbbbb");
        sim_destroy(after);
    }
    assert_true(lost_count > 30);
    assert_true(kept_count > 30);
    assert_true(torn_count > 5);
    assert_int_equal(io->ops->close(file, NULL), OK);
    io->ops->destroy(io);
    sim_destroy(sim);
}

static void test_names_need_a_directory_sync(void **state)
{
    (void)state;
    struct sim *sim;
    struct io *io = disk(&sim, 2);
    size_t gone_count = 0;
    size_t both_count = 0;
    assert_int_equal(io_replace_file(io, "kept", SLICE("old"), NULL), OK);
    struct io_file *file;
    assert_int_equal(io->ops->open(io, "new", IO_CREATE | IO_WRITE, &file, NULL), OK);
    assert_int_equal(put(file, "new", 0, true), OK);
    assert_int_equal(io->ops->close(file, NULL), OK);
    assert_int_equal(io->ops->rename(io, "new", "kept", NULL), OK);
    for (uint64_t seed = 0; seed < 200; seed++) {
        char kept[64];
        char other[64];
        struct sim *after = sim_fork(sim, SIM_POWER_CUT, seed);
        content(after, "kept", kept);
        content(after, "new", other);
        assert_true(strcmp(kept, "old") == 0 || strcmp(kept, "new") == 0); /* never neither */
        gone_count += strcmp(kept, "old") == 0;
        both_count += strcmp(other, "new") == 0;
        sim_destroy(after);
    }
    assert_true(gone_count > 20 && gone_count < 200);
    assert_true(both_count > 0);
    assert_int_equal(io->ops->sync_directory(io, "", NULL), OK);
    char kept[64];
    struct sim *after = sim_fork(sim, SIM_POWER_CUT, 5);
    content(after, "kept", kept);
    assert_string_equal(kept, "new");
    sim_destroy(after);
    io->ops->destroy(io);
    sim_destroy(sim);
}

static void test_failed_sync_marks_clean(void **state)
{
    (void)state;
    struct sim *sim;
    struct io *io = disk(&sim, 3);
    struct io_file *file;
    char text[64];
    assert_int_equal(io->ops->open(io, "a", IO_CREATE | IO_WRITE, &file, NULL), OK);
    assert_int_equal(io->ops->sync_directory(io, "", NULL), OK);
    sim_fail_at(sim, sim_operation_count(sim) + 2, SIM_FAULT_ERROR, false);
    assert_int_equal(put(file, "data", 0, true), ERR_IO);
    assert_int_equal(io->ops->sync(file, NULL), OK); /* the lie */
    content(sim, "a", text);
    assert_string_equal(text, "data");
    struct sim *after = sim_fork(sim, SIM_POWER_CUT, 1);
    content(after, "a", text);
    assert_string_equal(text, "");
    sim_destroy(after);
    assert_int_equal(io->ops->close(file, NULL), OK);
    io->ops->destroy(io);
    sim_destroy(sim);
}

static void test_space_and_short_writes(void **state)
{
    (void)state;
    struct sim *sim;
    struct io *io = disk(&sim, 4);
    struct io_file *file;
    static char large[4096 * 4];
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(io->ops->open(io, "a", IO_CREATE | IO_WRITE, &file, NULL), OK);
    sim_set_capacity(sim, 1000);
    assert_int_equal(put(file, large, 0, true), ERR_SPACE);
    assert_int_equal(put(file, "fits", 0, true), OK);
    uint64_t free_bytes;
    uint64_t total_bytes;
    assert_int_equal(io->ops->space(io, &free_bytes, &total_bytes, NULL), OK);
    assert_int_equal(free_bytes, 996);
    sim_set_capacity(sim, 0);
    sim_set_faults(sim, &(struct sim_faults){.write_short = 40000});
    assert_int_equal(put(file, large, 0, true), OK); /* gone on with inside */
    uint64_t size;
    assert_int_equal(io->ops->size(file, &size, NULL), OK);
    assert_int_equal(size, sizeof(large) - 1);
    assert_int_equal(io->ops->close(file, NULL), OK);
    io->ops->destroy(io);
    sim_destroy(sim);
}

static void test_crash_in_place(void **state)
{
    (void)state;
    struct sim *sim;
    struct io *io = disk(&sim, 5);
    struct error error;
    assert_int_equal(io->ops->lock(io, &error), OK);
    assert_int_equal(io_replace_file(io, "a", SLICE("one"), &error), OK);
    sim_crash_at(sim, sim_operation_count(sim) + 3);
    assert_int_equal(io_replace_file(io, "a", SLICE("two"), &error), ERR_IO);
    assert_true(sim_is_crashed(sim));
    assert_int_equal(io_replace_file(io, "a", SLICE("two"), &error), ERR_IO);
    sim_recover(sim, SIM_POWER_CUT, 9);
    assert_int_equal(io_replace_file(io, "a", SLICE("two"), &error), ERR_IO); /* of before */
    io->ops->destroy(io);
    char text[64];
    content(sim, "a", text);
    assert_string_equal(text, "one");
    sim_open(sim, &io);
    assert_int_equal(io->ops->lock(io, &error), OK); /* the lock died with its holder */
    assert_int_equal(io_replace_file(io, "a", SLICE("two"), &error), OK);
    assert_true(sim_flip_bit(sim, "a", 0, 0));
    assert_false(sim_flip_bit(sim, "a", 3, 0));
    content(sim, "a", text);
    assert_string_equal(text, "uwo");
    io->ops->destroy(io);
    sim_destroy(sim);
}

static void test_directories_and_clock(void **state)
{
    (void)state;
    struct sim *sim;
    struct io *io = disk(&sim, 6);
    struct error error;
    struct clock_source clock = sim_clock(sim);
    int64_t before = clock.monotonic_us(clock.context);
    assert_int_equal(io->ops->mkdir(io, "sub", &error), OK);
    assert_int_equal(io_replace_file(io, "sub/x", SLICE("deep"), &error), OK);
    assert_true(clock.monotonic_us(clock.context) > before);
    size_t lost_count = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        char text[64];
        struct sim *after = sim_fork(sim, SIM_POWER_CUT, seed);
        content(after, "sub/x", text);
        lost_count += strcmp(text, "-") == 0; /* the name of "sub" was never synced */
        sim_destroy(after);
    }
    assert_true(lost_count > 0 && lost_count < 50);
    io->ops->destroy(io);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synced_stays_unsynced_may_go),
        cmocka_unit_test(test_names_need_a_directory_sync),
        cmocka_unit_test(test_failed_sync_marks_clean),
        cmocka_unit_test(test_space_and_short_writes),
        cmocka_unit_test(test_crash_in_place),
        cmocka_unit_test(test_directories_and_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
