/* Rows of quiet tables in checkpoints: they do not hold the log, not even when they are more than
 * checkpoints carry; and they are read again whatever checkpoint was there in between. */
#include "tests/model/upkeep_world.h"

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
        memcpy(before, newest, sizeof(before));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_tables_do_not_hold_the_log),
        cmocka_unit_test(test_too_many_quiet_tables),
        cmocka_unit_test(test_borders_of_a_checkpoint_that_was_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
