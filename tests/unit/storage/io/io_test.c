/* The io seam over real files: the same table of behaviour for plain calls and for the ring. */
#include "storage/base/fault.h"
#include "storage/io/io.h"
#include "storage/io/transfer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const kinds[] = {"plain", "uring"};

static char *make_directory(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/freshet-io-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void remove_name(void *context, const char *name)
{
    struct io *io = context;
    assert_int_equal(io->ops->unlink(io, name, NULL), OK);
}

static void empty_and_remove(struct io *io, const char *path)
{
    assert_int_equal(io->ops->list(io, "", remove_name, io, NULL), OK);
    io->ops->destroy(io);
    assert_int_equal(rmdir(path), 0);
}

static enum err write_at(struct io_file *file, const void *data, size_t size, uint64_t offset,
                         bool sync)
{
    struct io_write_options write = {.data = data, .size = size, .offset = offset, .sync = sync};
    enum err result = file->io->ops->write_begin(file, &write);
    return result != OK ? result : file->io->ops->write_wait(file, NULL);
}

/* Several parts in one operation, the first blocks again: alone, behind what is not synced yet, and
 * as many as there may be. */
static void write_parts(struct io_file *file, const char *bytes)
{
    const struct io_ops *ops = file->io->ops;
    char *back = io_buffer_alloc(file->io, 16 * 4096), *other = io_buffer_alloc(file->io, 8192);
    memcpy(other, bytes + 100, 8192);
    for (size_t count = 1; count <= IO_PARTS_MAX; count++) {
        struct io_part parts[IO_PARTS_MAX];
        for (size_t i = 0; i < count; i++)
            parts[i] = i % 2 == 0 ? (struct io_part){other, 8192}
                                  : (struct io_part){bytes + 4096 * i, 4096};
        struct io_write_options write = {.data = bytes + 8192,
                                         .size = 4096,
                                         .parts = parts,
                                         .part_count = count,
                                         .offset = 4096,
                                         .sync = count % 3 != 0};
        assert_int_equal(ops->write_begin(file, &write), OK);
        assert_int_equal(ops->write_wait(file, NULL), OK);
        size_t got, at = 4096;
        assert_int_equal(ops->read(file, back, 16 * 4096, 4096, &got, NULL), OK);
        assert_memory_equal(back, bytes + 8192, 4096);
        for (size_t i = 0; i < count; at += parts[i++].size)
            assert_memory_equal(back + at, parts[i].data, parts[i].size);
    }
    io_buffer_free(file->io, other);
    io_buffer_free(file->io, back);
}

static void test_direct_writes_read_back(void **state)
{
    (void)state;
    for (size_t index = 0; index < array_count(kinds); index++) {
        char *path = make_directory();
        struct error error;
        struct io *io;
        assert_int_equal(io_open(kinds[index], path, &io, &error), OK);
        assert_string_equal(io->name, kinds[index]);
        struct io_file *file;
        assert_int_equal(io->ops->open(io, "a", IO_CREATE | IO_WRITE | IO_DIRECT, &file, &error),
                         OK);
        char *registered = io_buffer_alloc(io, 1 << 20);
        char *large = io_buffer_alloc(io, 4 << 20);
        for (size_t byte = 0; byte < 1 << 20; byte++)
            registered[byte] = (char)(byte * 7 + index);
        assert_int_equal(write_at(file, registered, 1 << 20, 0, true), OK);
        assert_int_equal(write_at(file, registered, 4096, 1 << 20, false), OK);
        assert_int_equal(write_at(file, registered + 4096, 8192, (1 << 20) + 4096, true), OK);
        assert_int_equal(io->ops->sync(file, &error), OK);
        size_t got;
        assert_int_equal(io->ops->read(file, large, 4 << 20, 0, &got, &error), OK);
        assert_int_equal(got, (1 << 20) + 4096 + 8192);
        assert_memory_equal(large, registered, 1 << 20);
        assert_memory_equal(large + (1 << 20), registered, 4096 + 8192);
        write_parts(file, registered);
        uint64_t size;
        assert_int_equal(io->ops->size(file, &size, &error), OK);
        assert_int_equal(size, got);
        assert_int_equal(io->ops->truncate(file, 4096, &error), OK);
        assert_int_equal(io->ops->read(file, large, 8192, 0, &got, &error), OK);
        assert_int_equal(got, 4096);
        assert_int_equal(io->ops->read(file, large, 8192, 8192, &got, &error), OK);
        assert_int_equal(got, 0);
        io_buffer_free(io, registered);
        io_buffer_free(io, large);
        assert_int_equal(io->ops->close(file, &error), OK);
        empty_and_remove(io, path);
    }
}

static void test_unregistered_buffers_do(void **state)
{
    fault_plant("io.registration_refused");
    test_direct_writes_read_back(state);
    fault_clear();
}

static void collect(void *context, const char *name)
{
    char *names = context;
    size_t used = strlen(names);
    snprintf(names + used, 256 - used, "%s ", name);
}

static void test_names(void **state)
{
    (void)state;
    for (size_t index = 0; index < array_count(kinds); index++) {
        char *path = make_directory();
        struct error error;
        struct io *io;
        assert_int_equal(io_open(kinds[index], path, &io, &error), OK);
        struct io_file *file;
        assert_int_equal(io->ops->open(io, "none", 0, &file, &error), ERR_NOT_FOUND);
        assert_non_null(strstr(error.text, "none"));
        assert_int_equal(error.os_error, ENOENT);
        assert_int_equal(io->ops->mkdir(io, "sub", &error), OK);
        assert_int_equal(io->ops->mkdir(io, "sub", &error), OK);
        assert_int_equal(io_replace_file(io, "sub/x", SLICE("one"), &error), OK);
        assert_int_equal(io_replace_file(io, "sub/x", SLICE("twice"), &error), OK);
        assert_int_equal(io_replace_file(io, "b", SLICE(""), &error), OK);
        assert_int_equal(io->ops->open(io, "b", IO_CREATE | IO_WRITE, &file, &error), ERR_EXISTS);
        struct arena arena;
        arena_init(&arena);
        struct slice content;
        assert_int_equal(io_read_file(io, "sub/x", &arena, &content, &error), OK);
        assert_true(slice_equal(content, SLICE("twice")));
        assert_int_equal(io_read_file(io, "b", &arena, &content, &error), OK);
        assert_int_equal(content.size, 0);
        arena_deinit(&arena);
        char names[256] = "";
        assert_int_equal(io->ops->list(io, "", collect, names, &error), OK);
        assert_string_equal(names, "b sub ");
        names[0] = '\0';
        assert_int_equal(io->ops->list(io, "sub", collect, names, &error), OK);
        assert_string_equal(names, "x ");
        uint64_t free_bytes;
        uint64_t total_bytes;
        assert_int_equal(io->ops->space(io, &free_bytes, &total_bytes, &error), OK);
        assert_true(total_bytes > 0 && free_bytes <= total_bytes);
        assert_int_equal(io->ops->rename(io, "sub/x", "y", &error), OK);
        assert_int_equal(io->ops->unlink(io, "none", &error), ERR_NOT_FOUND);
        char sub[96];
        snprintf(sub, sizeof(sub), "%s/sub", path);
        assert_int_equal(rmdir(sub), 0);
        empty_and_remove(io, path);
    }
}

static void test_lock_is_exclusive(void **state)
{
    (void)state;
    char *path = make_directory();
    struct error error;
    struct io *first;
    struct io *second;
    assert_int_equal(io_open("plain", path, &first, &error), OK);
    assert_int_equal(io_clone(first, &second, &error), OK);
    assert_int_equal(first->ops->lock(first, &error), OK);
    assert_int_equal(second->ops->lock(second, &error), ERR_BUSY);
    assert_int_equal(second->ops->lock_to_look(second, &error), ERR_BUSY);
    char id[32];
    snprintf(id, sizeof(id), "id %ld", (long)getpid());
    assert_non_null(strstr(error.text, id));
    first->ops->destroy(first);
    assert_int_equal(second->ops->lock(second, &error), OK);
    empty_and_remove(second, path);
}

static void test_auto_falls_back_where_the_ring_is_refused(void **state)
{
    (void)state;
    char *path = make_directory();
    struct error error;
    struct io *io;
    fault_plant("io.ring_refused");
    assert_int_equal(io_open("uring", path, &io, &error), ERR_IO);
    assert_int_equal(io_open("auto", path, &io, &error), OK);
    fault_clear();
    assert_string_equal(io->name, "plain");
    assert_int_equal(io_replace_file(io, "x", SLICE("works"), &error), OK);
    empty_and_remove(io, path);
    assert_int_equal(io_open("elsewhere", "/tmp", &io, &error), ERR_INPUT);
}

/* The ring, or none where the kernel has none to give. */
static struct io *open_ring(const char *path)
{
    struct io *io;
    return io_open("uring", path, &io, NULL) == OK ? io : NULL;
}

/* What was refused never happens, not with the next operation either; what was under way is. */
static void test_refused_entries_are_gone(void **state)
{
    (void)state;
    char *path = make_directory();
    struct io *io = open_ring(path);
    if (io == NULL)
        skip();
    struct io_file *file;
    char got[8] = {0};
    size_t size;
    assert_int_equal(io->ops->open(io, "x", IO_WRITE | IO_CREATE, &file, NULL), OK);
    assert_int_equal(write_at(file, "first", 5, 0, false), OK);
    fault_plant("io.submit_refused");
    assert_int_equal(write_at(file, "SECOND", 6, 0, true), ERR_IO);
    assert_int_equal(io->ops->read(file, got, 5, 0, &size, NULL), ERR_IO);
    assert_int_equal(io->ops->sync(file, NULL), ERR_IO);
    fault_clear();
    assert_int_equal(io->ops->read(file, got, sizeof(got), 0, &size, NULL), OK);
    assert_int_equal(size, 5);
    assert_memory_equal(got, "first", 5);
    assert_int_equal(write_at(file, "third", 5, 5, true), OK);
    assert_int_equal(io->ops->read(file, got, sizeof(got), 0, &size, NULL), OK);
    assert_memory_equal(got, "firstthi", 8);
    assert_int_equal(io->ops->close(file, NULL), OK);
    empty_and_remove(io, path);
}

/* What cannot be waited for stays the kernel's: nothing of this ring is used again. */
static void test_ring_that_cannot_wait_is_given_up(void **state)
{
    (void)state;
    char *path = make_directory();
    struct io *io = open_ring(path);
    if (io == NULL)
        skip();
    struct io_file *file;
    size_t size;
    static char got[8]; /* outlives the read */
    assert_int_equal(io->ops->open(io, "x", IO_WRITE | IO_CREATE, &file, NULL), OK);
    assert_int_equal(write_at(file, "first", 5, 0, true), OK);
    fault_plant("io.wait_refused");
    assert_int_equal(io->ops->read(file, got, 5, 0, &size, NULL), ERR_IO);
    fault_clear();
    assert_int_equal(io->ops->read(file, got, 5, 0, &size, NULL), ERR_IO);
    assert_int_equal(write_at(file, "second", 6, 0, true), ERR_IO);
    assert_int_equal(io->ops->close(file, NULL), OK);
    empty_and_remove(io, path);
}

/* --- what raw results mean: a back end that plays a script --- */

static struct transfer_result script[8];
static size_t script_index;
static size_t submit_count;
static size_t submitted_size;
static struct io_write_options submitted;

static void play_submit(struct io_file *file, const struct io_write_options *write)
{
    (void)file;
    submit_count++;
    submitted_size = write->size;
    submitted = *write;
}

static void play_reap(struct io_file *file, struct transfer_result *result)
{
    (void)file;
    *result = script[script_index++];
}

static void test_raw_results(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct transfer_result script[4];
        enum err want;
        size_t want_submits;
        size_t want_last_size;
    } cases[] = {
        {"whole", {{8192, 0}}, OK, 1, 8192},
        {"short, then the rest", {{4096, -ECANCELED}, {4096, 0}}, OK, 2, 4096},
        {"short inside a block", {{5000, -ECANCELED}, {4096, 0}}, OK, 2, 4096},
        {"interrupted", {{-EINTR, -ECANCELED}, {8192, 0}}, OK, 2, 8192},
        {"failed sync is final", {{8192, -EIO}, {8192, 0}}, ERR_IO, 1, 8192},
        {"cancelled sync is no sync", {{8192, -ECANCELED}}, ERR_IO, 1, 8192},
        {"no space at the sync", {{8192, -ENOSPC}}, ERR_SPACE, 1, 8192},
        {"no space", {{-ENOSPC, -ECANCELED}}, ERR_SPACE, 1, 8192},
        {"short, then no space", {{4096, -ECANCELED}, {-ENOSPC, -ECANCELED}}, ERR_SPACE, 2, 4096},
    };
    static const struct transfer_ops ops = {play_submit, play_reap, false};
    for (size_t index = 0; index < array_count(cases); index++) {
        memcpy(script, cases[index].script, sizeof(cases[index].script));
        script_index = submit_count = 0;
        struct transfer transfer = {0};
        struct io_write_options write = {.data = "", .size = 8192, .offset = 4096, .sync = true};
        struct error error;
        transfer_begin(&transfer, &ops, NULL, &write);
        enum err result = transfer_wait(&transfer, &ops, NULL, "x", &error);
        if (result != cases[index].want)
            fail_msg("%s: %s", cases[index].name, err_name(result));
        assert_int_equal(submit_count, cases[index].want_submits);
        assert_int_equal(submitted_size, cases[index].want_last_size);
    }
}

/* 8,192 bytes, 4,096 and 12,288 from three places: what is asked for last. */
static void test_raw_results_of_parts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool takes_parts;
        struct transfer_result script[4];
        enum err want;
        size_t want_submits;
        char want_place; /* and byte in it */
        size_t want_skip, want_size, want_parts;
        uint64_t want_offset;
    } cases[] = {
        {"whole", true, {{24576, 0}}, OK, 1, 'a', 0, 8192, 2, 4096},
        {"short in the first",
         true,
         {{5000, -ECANCELED}, {20480, 0}},
         OK,
         2,
         'a',
         4096,
         4096,
         2,
         8192},
        {"short at a border",
         true,
         {{8192, -ECANCELED}, {16384, 0}},
         OK,
         2,
         'b',
         0,
         4096,
         1,
         12288},
        {"short in the last",
         true,
         {{16384, -ECANCELED}, {8192, 0}},
         OK,
         2,
         'c',
         4096,
         8192,
         0,
         20480},
        {"short twice",
         true,
         {{8192, -ECANCELED}, {4096, -ECANCELED}, {12288, 0}},
         OK,
         3,
         'c',
         0,
         12288,
         0,
         16384},
        {"sync fails", true, {{24576, -EIO}}, ERR_IO, 1, 'a', 0, 8192, 2, 4096},
        {"one by one", false, {{8192, 0}, {4096, 0}, {12288, 0}}, OK, 3, 'c', 0, 12288, 0, 16384},
        {"one by one, short",
         false,
         {{8192, 0}, {4096, 0}, {4096, -ECANCELED}, {8192, 0}},
         OK,
         4,
         'c',
         4096,
         8192,
         0,
         20480},
        {"the second fails",
         false,
         {{8192, 0}, {-ENOSPC, 0}},
         ERR_SPACE,
         2,
         'b',
         0,
         4096,
         0,
         12288},
        {"the last sync fails",
         false,
         {{8192, 0}, {4096, 0}, {12288, -EIO}},
         ERR_IO,
         3,
         'c',
         0,
         12288,
         0,
         16384},
    };
    static char a[8192], b[4096], c[12288];
    static const struct io_part parts[] = {{b, sizeof(b)}, {c, sizeof(c)}};
    for (size_t i = 0; i < array_count(cases); i++) {
        const struct transfer_ops ops = {play_submit, play_reap, cases[i].takes_parts};
        memcpy(script, cases[i].script, sizeof(cases[i].script));
        script_index = submit_count = 0;
        struct transfer transfer = {0};
        struct io_write_options write = {.data = a,
                                         .size = sizeof(a),
                                         .parts = parts,
                                         .part_count = array_count(parts),
                                         .offset = 4096,
                                         .sync = true};
        transfer_begin(&transfer, &ops, NULL, &write);
        assert_int_equal(submitted.sync, cases[i].takes_parts);
        enum err result = transfer_wait(&transfer, &ops, NULL, "x", NULL);
        if (result != cases[i].want || submit_count != cases[i].want_submits)
            fail_msg("%s: %s, %zu", cases[i].name, err_name(result), submit_count);
        const char *place = cases[i].want_place == 'a' ? a : cases[i].want_place == 'b' ? b : c;
        assert_ptr_equal(submitted.data, place + cases[i].want_skip);
        assert_int_equal(submitted.size, cases[i].want_size);
        assert_int_equal(submitted.part_count, cases[i].want_parts);
        assert_int_equal(submitted.offset, cases[i].want_offset);
        assert_int_equal(submitted.sync, cases[i].takes_parts || place == c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct_writes_read_back),
        cmocka_unit_test(test_unregistered_buffers_do),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lock_is_exclusive),
        cmocka_unit_test(test_auto_falls_back_where_the_ring_is_refused),
        cmocka_unit_test(test_refused_entries_are_gone),
        cmocka_unit_test(test_ring_that_cannot_wait_is_given_up),
        cmocka_unit_test(test_raw_results),
        cmocka_unit_test(test_raw_results_of_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
