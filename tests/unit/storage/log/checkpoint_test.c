/* Checkpoints through the manifest, over real files: newest wins, a damaged one falls back, damage
 * is told. */
#include "storage/log/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
    char path[64];
    struct io *io;
    struct manifest *manifest;
    struct arena arena;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct error error;
    snprintf(fixture->path, sizeof(fixture->path), "/tmp/freshet-ckp-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    assert_int_equal(io_open("plain", fixture->path, &fixture->io, &error), OK);
    assert_int_equal(manifest_open(fixture->io, "", &fixture->manifest, &error), OK);
    arena_init(&fixture->arena);
    *state = fixture;
    return 0;
}

static void remove_name(void *context, const char *name)
{
    struct io *io = context;
    assert_int_equal(io->ops->unlink(io, name, NULL), OK);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->manifest != NULL)
        manifest_close(fixture->manifest);
    arena_deinit(&fixture->arena);
    fixture->io->ops->list(fixture->io, "", remove_name, fixture->io, NULL);
    fixture->io->ops->destroy(fixture->io);
    assert_int_equal(rmdir(fixture->path), 0);
    free(fixture);
    return 0;
}

static enum err reopen(struct fixture *fixture, struct error *error)
{
    if (fixture->manifest != NULL)
        manifest_close(fixture->manifest);
    fixture->manifest = NULL;
    return manifest_open(fixture->io, "", &fixture->manifest, error);
}

static void write_number(struct fixture *fixture, uint64_t number)
{
    char text[64];
    struct error error;
    snprintf(text, sizeof(text), "state at %llu", (unsigned long long)number);
    assert_int_equal(checkpoint_write(fixture->manifest,
                                      &(struct manifest_checkpoint){.position = number},
                                      slice_from_cstr(text), &error),
                     OK);
}

static void expect_number(struct fixture *fixture, uint64_t number)
{
    char text[64];
    struct error error;
    struct slice payload;
    struct manifest_checkpoint found;
    snprintf(text, sizeof(text), "state at %llu", (unsigned long long)number);
    assert_int_equal(checkpoint_read(fixture->manifest, &fixture->arena, &found, &payload, &error),
                     OK);
    assert_int_equal(found.position, number);
    assert_true(slice_equal(payload, slice_from_cstr(text)));
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

static void test_newest_wins_through_many_rewrites(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    struct slice payload;
    struct manifest_checkpoint found;
    assert_int_equal(checkpoint_read(fixture->manifest, &fixture->arena, &found, &payload, &error),
                     ERR_NOT_FOUND);
    for (uint64_t number = 1; number < 60; number++) {
        write_number(fixture, number);
        expect_number(fixture, number);
        if (number % 7 == 0)
            assert_int_equal(reopen(fixture, &error), OK);
        expect_number(fixture, number);
    }
    size_t count = 0;
    fixture->io->ops->list(fixture->io, "", count_name, &count, NULL);
    assert_int_equal(count, 3); /* the manifest and two checkpoints */
    assert_int_equal(checkpoint_write(fixture->manifest,
                                      &(struct manifest_checkpoint){.position = 60}, SLICE(""),
                                      &error),
                     OK);
    assert_int_equal(checkpoint_read(fixture->manifest, &fixture->arena, &found, &payload, &error),
                     OK);
    assert_int_equal(payload.size, 0);
    assert_int_equal(found.position, 60);
}

static void flip(struct fixture *fixture, const char *name, long offset)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, offset, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, offset, SEEK_SET);
    fputc(byte ^ 4, file);
    fclose(file);
}

static void test_damaged_checkpoint_falls_back(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    struct slice payload;
    struct manifest_checkpoint found;
    write_number(fixture, 10);
    write_number(fixture, 20);
    flip(fixture, "checkpoint-0000000000000002.fckp", 70);
    expect_number(fixture, 10);
    flip(fixture, "checkpoint-0000000000000001.fckp", 20);
    assert_int_equal(checkpoint_read(fixture->manifest, &fixture->arena, &found, &payload, &error),
                     ERR_CORRUPT);
    assert_non_null(strstr(error.text, "checkpoint-0000000000000002.fckp"));
}

static void test_manifest_tells_torn_from_damaged(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    write_number(fixture, 1);
    write_number(fixture, 2);
    write_number(fixture, 3);
    manifest_close(fixture->manifest);
    fixture->manifest = NULL;
    flip(fixture, "manifest",
         3 * 4096 + 40); /* the last edit: a torn tail, as far as anyone can tell */
    assert_int_equal(reopen(fixture, &error), OK);
    struct manifest_checkpoint checkpoint;
    assert_true(manifest_checkpoint(fixture->manifest, 0, &checkpoint));
    assert_int_equal(checkpoint.position, 2);
    manifest_close(fixture->manifest);
    fixture->manifest = NULL;
    flip(fixture, "manifest", 1 * 4096 + 40); /* one with another behind it */
    assert_int_equal(reopen(fixture, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, "offset 4096"));
    flip(fixture, "manifest", 1 * 4096 + 40);
    flip(fixture, "manifest", 16);
    assert_int_equal(reopen(fixture, &error), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_newest_wins_through_many_rewrites, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_checkpoint_falls_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_manifest_tells_torn_from_damaged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
