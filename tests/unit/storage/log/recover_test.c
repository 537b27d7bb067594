/* Recovery on bytes that someone changed, and the log's way into failure and back, on the simulated
 * disk. */
#include "storage/base/hash.h"
#include "storage/io/sim.h"
#include "storage/log/format.h"
#include "storage/log/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FILE_SIZE ((size_t)64 << 10)
#define FIRST_FILE "log-0000000000000001.flog"

struct fixture {
    struct sim *sim;
    struct io *io;
    struct log *log;
    uint64_t replayed;
    uint64_t published;
    uint64_t abandoned;
    enum err last_result;
    struct log_entry entries[64];
    size_t entry_count;
};

static enum err on_replay(void *context, uint64_t position, struct slice payload,
                          struct error *error)
{
    struct fixture *fixture = context;
    char want[32];
    (void)error;
    snprintf(want, sizeof(want), "record %llu", (unsigned long long)position);
    assert_true(slice_equal(payload, slice_from_cstr(want)));
    assert_int_equal(position, fixture->replayed + 1);
    fixture->replayed = position;
    return OK;
}

static void on_publish(void *context, uint64_t position)
{
    ((struct fixture *)context)->published = position;
}

static void on_abandon(void *context, uint64_t position)
{
    ((struct fixture *)context)->abandoned = position;
}

static void on_done(struct log_entry *entry, enum err result, const struct error *error)
{
    struct fixture *fixture = entry->context;
    (void)error;
    fixture->last_result = result;
    free((void *)entry->payload.data);
}

static enum err open_log(struct fixture *fixture, bool point_in_time, struct error *error)
{
    struct log_options options = {.io = fixture->io,
                                  .directory = "",
                                  .file_size = FILE_SIZE,
                                  .first_position = 1,
                                  .recover_point_in_time = point_in_time,
                                  .context = fixture,
                                  .replay = on_replay,
                                  .publish = on_publish,
                                  .abandon = on_abandon};
    fixture->replayed = 0;
    return log_open(&options, &fixture->log, error);
}

static void close_log(struct fixture *fixture)
{
    log_stop(fixture->log);
    log_close(fixture->log);
    fixture->log = NULL;
}

/* As a crash would leave it. */
static void drop_log(struct fixture *fixture)
{
    log_close(fixture->log);
    fixture->log = NULL;
}

static enum err add(struct fixture *fixture)
{
    struct log_status status;
    log_status(fixture->log, &status);
    char *text = malloc(32);
    snprintf(text, 32, "record %llu", (unsigned long long)status.next_position);
    struct log_entry *entry =
        &fixture->entries[fixture->entry_count++ % array_count(fixture->entries)];
    *entry =
        (struct log_entry){.payload = slice_from_cstr(text), .context = fixture, .done = on_done};
    enum err result = log_submit(fixture->log, entry, NULL);
    if (result != OK) {
        free(text);
        return result;
    }
    assert_true(log_run(fixture->log));
    return fixture->last_result;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct sim_options options = {.seed = 7};
    fixture->sim = sim_create(&options);
    sim_open(fixture->sim, &fixture->io);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->log != NULL)
        close_log(fixture);
    fixture->io->ops->destroy(fixture->io);
    sim_destroy(fixture->sim);
    free(fixture);
    return 0;
}

static void fill(struct fixture *fixture, int count)
{
    struct error error;
    assert_int_equal(open_log(fixture, false, &error), OK);
    for (int index = 0; index < count; index++)
        assert_int_equal(add(fixture), OK);
}

static void test_damage_is_told_and_where(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 6);
    drop_log(fixture);
    /* Blocks 1 to 6 hold a record each; the fourth is damaged and the sixth says that it was
     * durable. */
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 4 * 4096 + 130, 3));
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, FIRST_FILE));
    assert_non_null(strstr(error.text, "offset 16384"));
    assert_non_null(strstr(error.text, "positions 4 to 5"));
    assert_int_equal(open_log(fixture, true, &error), OK);
    assert_int_equal(fixture->replayed, 3);
    assert_int_equal(add(fixture), OK); /* takes position 4 */
    close_log(fixture);
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 4);
}

static void test_torn_tail_is_cut(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 6);
    drop_log(fixture);
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 6 * 4096 + 8, 0));
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 5);
    drop_log(fixture);
    /* It stays cut, whatever becomes of those bytes. */
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 6 * 4096 + 8, 0));
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 5);
}

static void test_after_good_order_even_the_last_record_is_held(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 6);
    close_log(fixture);
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 6 * 4096 + 8, 0));
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, "positions 6 to 6"));
}

static void test_damage_before_a_newer_file(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 2);
    close_log(fixture);
    fill(fixture, 1);
    close_log(fixture);
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 2 * 4096 + 8, 0));
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, "position"));
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 2 * 4096 + 8, 0));
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 20, 0)); /* its header */
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_int_equal(open_log(fixture, true, &error), OK);
    assert_int_equal(fixture->replayed, 0);
}

static void test_lost_file_and_lost_header(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 2);
    close_log(fixture);
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 20, 0));
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 20, 0));
    fill(fixture, 1);
    close_log(fixture);
    assert_int_equal(fixture->io->ops->unlink(fixture->io, FIRST_FILE, &error), OK);
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, FIRST_FILE));
}

static void test_failed_sync_goes_to_a_new_file(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    struct log_status status;
    fill(fixture, 2);
    sim_fail_at(fixture->sim, sim_operation_count(fixture->sim) + 2, SIM_FAULT_ERROR, false);
    assert_int_equal(add(fixture), OK);
    log_status(fixture->log, &status);
    assert_false(status.is_failed);
    assert_int_equal(status.file_count, 2);
    assert_int_equal(add(fixture), OK);
    close_log(fixture);
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 4);
}

/* The second file's header is lost, its piece is not: it may not come back under the next header.
 */
static void test_used_file_without_header_is_not_used_again(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 2);
    sim_fail_at(fixture->sim, sim_operation_count(fixture->sim) + 1, SIM_FAULT_SPACE, false);
    assert_int_equal(add(fixture), OK);
    drop_log(fixture);
    assert_true(sim_flip_bit(fixture->sim, "log-0000000000000002.flog", 20, 0));
    for (int round = 0; round < 3; round++) {
        assert_int_equal(open_log(fixture, false, &error), OK);
        assert_int_equal(fixture->replayed, 2);
        drop_log(fixture);
    }
}

static void test_second_failure_is_final_until_revived(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    struct log_status status;
    fill(fixture, 2);
    fixture->abandoned = 99;
    sim_fail_at(fixture->sim, sim_operation_count(fixture->sim) + 1, SIM_FAULT_SPACE, true);
    assert_int_equal(add(fixture), ERR_SPACE);
    assert_int_equal(fixture->abandoned, 2);
    assert_int_equal(fixture->published, 2);
    log_status(fixture->log, &status);
    assert_true(status.is_failed);
    assert_int_equal(status.failure.code, ERR_SPACE);
    assert_string_equal(status.failure.sqlstate, "53100");
    assert_int_equal(status.next_position, 3);
    assert_int_equal(add(fixture), ERR_SPACE);
    log_revive(fixture->log);
    assert_true(log_run(fixture->log)); /* still full */
    log_status(fixture->log, &status);
    assert_true(status.is_failed);
    sim_fail_at(fixture->sim, 0, SIM_FAULT_NONE, false);
    log_revive(fixture->log);
    assert_true(log_run(fixture->log));
    log_status(fixture->log, &status);
    assert_false(status.is_failed);
    assert_int_equal(add(fixture), OK);
    close_log(fixture);
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 3);
}

/* The way back fails at each of its steps in turn; what was made for it is gone each time. */
static void test_failed_revivals_leave_no_files(void **state)
{
    struct fixture *fixture = *state;
    struct log_status status;
    fill(fixture, 2);
    sim_fail_at(fixture->sim, sim_operation_count(fixture->sim) + 1, SIM_FAULT_SPACE, true);
    assert_int_equal(add(fixture), ERR_SPACE);
    sim_fail_at(fixture->sim, 0, SIM_FAULT_NONE, false);
    log_status(fixture->log, &status);
    uint32_t file_count = status.file_count;
    int failures = 0;
    for (;; failures++) {
        sim_fail_at(fixture->sim, sim_operation_count(fixture->sim) + 1 + (uint64_t)failures,
                    SIM_FAULT_ERROR, false);
        log_revive(fixture->log);
        assert_true(log_run(fixture->log));
        log_status(fixture->log, &status);
        if (!status.is_failed)
            break;
        assert_int_equal(status.file_count, file_count);
        assert_true(failures < 1000);
    }
    assert_true(failures > 2);
    sim_fail_at(fixture->sim, 0, SIM_FAULT_NONE, false);
    assert_int_equal(add(fixture), OK);
}

static void test_stopped_log_takes_nothing(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 1);
    log_stop(fixture->log);
    assert_int_equal(add(fixture), ERR_BUSY);
}

/* A store that is restarted often and written to rarely keeps to a few blocks a restart, not a
 * whole file. */
static void test_restarts_do_not_pile_up_files(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    struct log_status status;
    for (int restart = 0; restart < 100; restart++) {
        assert_int_equal(open_log(fixture, false, &error), OK);
        assert_int_equal(fixture->replayed, restart / 2);
        if (restart % 2 == 1)
            assert_int_equal(add(fixture), OK);
        log_status(fixture->log, &status);
        if (restart % 3 == 0)
            close_log(fixture);
        else
            drop_log(fixture);
    }
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 50);
    log_status(fixture->log, &status);
    assert_true(status.bytes <= 2 * FILE_SIZE + 50 * 3 * (uint64_t)IO_ALIGNMENT);
    uint64_t free_bytes, total_bytes;
    assert_int_equal(fixture->io->ops->space(fixture->io, &free_bytes, &total_bytes, &error), OK);
    assert_int_equal(total_bytes - free_bytes, status.bytes);
    close_log(fixture);
}

/* --- files of version 1 --- */

static void read_or_write(struct fixture *fixture, char *bytes, bool is_write)
{
    const struct io_ops *ops = fixture->io->ops;
    struct error error;
    struct io_file *file;
    size_t got;
    int flags = IO_DIRECT | (is_write ? IO_WRITE : 0);
    assert_int_equal(ops->open(fixture->io, FIRST_FILE, flags, &file, &error), OK);
    if (is_write) {
        struct io_write_options write = {.data = bytes, .size = FILE_SIZE, .sync = true};
        assert_int_equal(ops->write_begin(file, &write), OK);
        assert_int_equal(ops->write_wait(file, &error), OK);
    } else {
        assert_int_equal(ops->read(file, bytes, FILE_SIZE, 0, &got, &error), OK);
        assert_int_equal(got, FILE_SIZE);
    }
    assert_int_equal(ops->close(file, &error), OK);
}

/* A frame's length stands alone in version 1: takes the padding behind it out of a piece with one
 * frame, or with none. */
static void shorten_frame(char *piece, uint32_t *previous_crc)
{
    struct log_piece_header header;
    assert_true(log_piece_decode(piece, IO_ALIGNMENT, &header));
    char *frame = piece + LOG_PIECE_HEADER_SIZE;
    size_t cut = LOG_FRAME_HEADER_SIZE - LOG_FRAME_HEADER_SIZE_1;
    if (header.size != 0) {
        header.size -= (uint32_t)cut;
        memmove(frame + LOG_FRAME_HEADER_SIZE_1, frame + LOG_FRAME_HEADER_SIZE,
                header.size - LOG_FRAME_HEADER_SIZE_1);
        memset(frame + header.size, 0, cut);
    }
    header.previous_crc = *previous_crc;
    log_piece_encode(&header, piece);
    *previous_crc = header.crc;
}

/* The first file under another version, `count` pieces of it with one record each as the first
 * version had them. */
static void make_version(struct fixture *fixture, size_t count, uint32_t version)
{
    char *bytes = io_buffer_alloc(fixture->io, FILE_SIZE);
    uint32_t crc = 0;
    read_or_write(fixture, bytes, false);
    memcpy(bytes + 12, &version, sizeof(version));
    uint32_t header_crc = crc32c(0, bytes + 12, 96 - 12);
    memcpy(bytes + 8, &header_crc, sizeof(header_crc));
    for (size_t block = 1; block <= count; block++)
        shorten_frame(bytes + block * LOG_BLOCK_SIZE, &crc);
    read_or_write(fixture, bytes, true);
    io_buffer_free(fixture->io, bytes);
}

static void test_version_1_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 6);
    drop_log(fixture);
    make_version(fixture, 6, 1);
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 6);
    assert_int_equal(add(fixture), OK); /* of the newest version, in a file of its own */
    assert_int_equal(add(fixture), OK);
    drop_log(fixture);
    for (int start = 0; start < 2; start++) {
        assert_int_equal(open_log(fixture, false, &error), OK);
        assert_int_equal(fixture->replayed, 8);
        close_log(fixture);
    }
}

static void test_damage_in_version_1(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 6);
    drop_log(fixture);
    make_version(fixture, 6, 1);
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 4 * 4096 + 130, 3));
    assert_int_equal(open_log(fixture, false, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, "positions 4 to 5"));
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 4 * 4096 + 130, 3));
    assert_true(sim_flip_bit(fixture->sim, FIRST_FILE, 6 * 4096 + 8, 0)); /* the tail */
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 5);
}

static void test_later_version_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    fill(fixture, 1);
    drop_log(fixture);
    make_version(fixture, 0, LOG_VERSION + 1);
    assert_int_not_equal(open_log(fixture, false, &error), OK);
    assert_non_null(strstr(error.text, "version"));
    make_version(fixture, 0, LOG_VERSION);
    assert_int_equal(open_log(fixture, false, &error), OK);
    assert_int_equal(fixture->replayed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damage_is_told_and_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_torn_tail_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_good_order_even_the_last_record_is_held, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_damage_before_a_newer_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_file_and_lost_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed_sync_goes_to_a_new_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_used_file_without_header_is_not_used_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_failed_revivals_leave_no_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_failure_is_final_until_revived, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_log_takes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restarts_do_not_pile_up_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_1_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_in_version_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_later_version_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
