/* Manifest edits: random programs of edits against a naive model, over simulated disks that cut
 * power; edits over many blocks count whole or not at all; version 1 is read. */
#include "storage/log/edit.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIVE_MAX 400
#define TABLES 5

/* What is live, as lists in no order. */
struct model {
    uint64_t numbers[LIVE_MAX];
    size_t count;
    uint64_t sealed[TABLES]; /* 0: none */
    uint64_t checkpoint_number;
    uint64_t last_number;
};

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static struct sealed_info info_of(uint64_t number)
{
    return (struct sealed_info){.number = number,
                                .table_id = (uint32_t)(number % TABLES),
                                .schema_version = 3,
                                .index_version = (uint32_t)(number % 2),
                                .row_count = (uint32_t)(number * 3),
                                .bytes = number << 20,
                                .min_time_us = -(int64_t)number,
                                .max_time_us = INT64_MAX,
                                .first_position = number * 10,
                                .last_position = number * 10 + 9,
                                .created_at_us = 77,
                                .footer_offset = number * 5,
                                .footer_size = 12,
                                .footer_checksum = ~number};
}

static void expect_model(const struct manifest *manifest, const struct model *model)
{
    uint64_t sorted[LIVE_MAX];
    size_t count;
    memcpy(sorted, model->numbers, model->count * sizeof(sorted[0]));
    qsort(sorted, model->count, sizeof(sorted[0]), by_number);
    const struct sealed_info *segments = manifest_segments(manifest, &count);
    assert_int_equal(count, model->count);
    for (size_t i = 0; i < count; i++) {
        struct sealed_info want = info_of(sorted[i]);
        assert_memory_equal(&segments[i], &want, offsetof(struct sealed_info, footer_size));
        assert_int_equal(segments[i].footer_size, want.footer_size);
        assert_true(segments[i].footer_checksum == want.footer_checksum);
    }
    size_t tables = 0;
    for (uint32_t t = 0; t < TABLES; t++) {
        assert_int_equal(manifest_sealed_position(manifest, t), model->sealed[t]);
        tables += model->sealed[t] != 0;
    }
    (void)manifest_sealed_positions(manifest, &count);
    assert_int_equal(count, tables);
    struct manifest_checkpoint checkpoint = {0};
    (void)manifest_checkpoint(manifest, 0, &checkpoint);
    assert_int_equal(checkpoint.number, model->checkpoint_number);
}

/* A random edit; `next` is the model behind it. */
static enum err random_edit(struct manifest *manifest, struct random_stream *chance,
                            const struct model *model, struct model *next)
{
    struct sealed_info add[90];
    uint64_t removed[90];
    uint32_t forgotten;
    struct manifest_sealed sealed;
    struct manifest_checkpoint checkpoint;
    struct manifest_edit edit = {.add = add, .remove = removed};
    *next = *model;
    size_t removals = random_below(chance, 4) == 0 ? random_below(chance, 80) : 0;
    for (; edit.remove_count < removals && next->count > 0; edit.remove_count++) {
        size_t at = random_below(chance, next->count);
        removed[edit.remove_count] = next->numbers[at];
        next->numbers[at] = next->numbers[--next->count];
    }
    qsort(removed, edit.remove_count, sizeof(removed[0]), by_number);
    size_t additions = random_below(chance, 5) == 0 ? random_below(chance, 90) : 1;
    for (; edit.add_count < additions && next->count < LIVE_MAX; edit.add_count++) {
        next->last_number = manifest_next_number(manifest);
        assert_true(next->last_number > model->last_number);
        add[edit.add_count] = info_of(next->last_number);
        next->numbers[next->count++] = next->last_number;
    }
    if (random_below(chance, 2) == 0) {
        uint32_t table = (uint32_t)random_below(chance, TABLES);
        sealed = (struct manifest_sealed){.table_id = table, .position = next->sealed[table] + 1};
        next->sealed[table]++;
        edit.sealed_count = 1;
        edit.sealed = &sealed;
    }
    if (random_below(chance, 9) == 0) {
        forgotten = (uint32_t)random_below(chance, TABLES);
        next->sealed[forgotten] = 0;
        edit.forget_count = 1;
        edit.forget = &forgotten;
    }
    if (random_below(chance, 3) == 0) {
        checkpoint = (struct manifest_checkpoint){.number = manifest_next_number(manifest)};
        next->last_number = next->checkpoint_number = checkpoint.number;
        edit.checkpoint = &checkpoint;
    }
    return manifest_append(manifest, &edit, NULL);
}

static void test_random_edits_match_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct random_stream chance;
        random_stream_init(&chance, seed);
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        struct io *io;
        struct manifest *manifest;
        sim_open(sim, &io);
        assert_int_equal(manifest_open(io, "", &manifest, NULL), OK);
        struct model model = {0}, next;
        for (int i = 0; i < 150; i++) {
            assert_int_equal(random_edit(manifest, &chance, &model, &next), OK);
            model = next;
            if (random_below(&chance, 10) == 0) {
                manifest_close(manifest);
                assert_int_equal(manifest_open(io, "", &manifest, NULL), OK);
            }
            expect_model(manifest, &model);
        }
        manifest_close(manifest);
        io->ops->destroy(io);
        sim_destroy(sim);
    }
}

/* Power is cut in an edit: all of it or nothing. */
static bool cut_matches(uint64_t seed)
{
    struct random_stream chance;
    random_stream_init(&chance, seed);
    struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
    struct io *io;
    struct manifest *manifest;
    sim_open(sim, &io);
    assert_int_equal(manifest_open(io, "", &manifest, NULL), OK);
    struct model model = {0}, next = {0};
    sim_crash_at(sim, 10 + random_below(&chance, 60));
    while (random_edit(manifest, &chance, &model, &next) == OK)
        model = next;
    manifest_close(manifest);
    io->ops->destroy(io);
    sim_recover(sim, SIM_POWER_CUT, seed);
    sim_open(sim, &io);
    assert_int_equal(manifest_open(io, "", &manifest, NULL), OK);
    size_t count;
    (void)manifest_segments(manifest, &count);
    struct manifest_checkpoint checkpoint = {0};
    (void)manifest_checkpoint(manifest, 0, &checkpoint);
    bool is_old = count == model.count && checkpoint.number == model.checkpoint_number;
    bool is_new = count == next.count && checkpoint.number == next.checkpoint_number;
    if (is_old || is_new)
        expect_model(manifest, is_new && !is_old ? &next : &model);
    manifest_close(manifest);
    io->ops->destroy(io);
    sim_destroy(sim);
    return is_old || is_new;
}

static void test_an_edit_is_whole_or_not_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        if (!cut_matches(seed))
            fail_msg("seed %llu: half an edit", (unsigned long long)seed);
    }
}

/* The first parts of a torn edit must not be taken. */
static size_t live_after_torn_edit(void)
{
    enum { ADDED = 80 }; /* three blocks */
    struct sealed_info add[ADDED];
    for (uint64_t i = 0; i < ADDED; i++)
        add[i] = info_of(i + 1);
    struct manifest_edit edit = {.add_count = ADDED, .add = add};
    struct manifest_state live = {0};
    struct edit_place place = {.file_number = 9, .block_index = 1, .edit_number = 1};
    char *blocks = calloc(4, MANIFEST_BLOCK_SIZE);
    uint64_t file_number = 0;
    assert_int_equal(edit_block_count(&edit), 3);
    edit_encode_header(9, 0, blocks);
    edit_encode(&edit, &place, blocks + MANIFEST_BLOCK_SIZE);
    blocks[3 * MANIFEST_BLOCK_SIZE + 1000] ^= 1;
    assert_int_equal(edit_replay(blocks, 4, &live, &file_number, NULL), OK);
    assert_int_equal(file_number, 9);
    size_t count = live.segment_count;
    manifest_state_deinit(&live);
    free(blocks);
    return count;
}

static void test_half_an_edit_is_found_when_planted(void **state)
{
    (void)state;
    assert_int_equal(live_after_torn_edit(), 0);
    fault_plant("manifest.half_edit");
    size_t count = live_after_torn_edit();
    fault_clear();
    assert_int_not_equal(count, 0);
}

static void test_damage_is_told_from_a_torn_tail(void **state)
{
    (void)state;
    struct sealed_info add[2] = {info_of(1), info_of(2)};
    char *blocks = calloc(3, MANIFEST_BLOCK_SIZE);
    edit_encode_header(4, 0, blocks);
    for (uint64_t i = 0; i < 2; i++) {
        struct manifest_edit edit = {.add_count = 1, .add = &add[i]};
        struct edit_place place = {.file_number = 4, .block_index = 1 + i, .edit_number = 1 + i};
        edit_encode(&edit, &place, blocks + (1 + i) * MANIFEST_BLOCK_SIZE);
    }
    static const struct {
        size_t block;
        enum err result;
        size_t live;
    } cases[] = {{0, ERR_CORRUPT, 0}, {1, ERR_CORRUPT, 0}, {2, OK, 1}};
    for (size_t i = 0; i < array_count(cases); i++) {
        for (size_t byte = 0; byte < MANIFEST_BLOCK_SIZE; byte += 37) {
            char *at = blocks + cases[i].block * MANIFEST_BLOCK_SIZE + byte;
            struct manifest_state live = {0};
            uint64_t file_number;
            *at ^= 16;
            assert_int_equal(edit_replay(blocks, 3, &live, &file_number, NULL), cases[i].result);
            if (cases[i].result == OK)
                assert_int_equal(live.segment_count, cases[i].live);
            *at ^= 16;
            manifest_state_deinit(&live);
        }
    }
    free(blocks);
}

static void test_version_1_is_read(void **state)
{
    (void)state;
    char *blocks = calloc(3, MANIFEST_BLOCK_SIZE);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t fields[11] = {0x314e414d48535246ULL, 0, (i == 0 ? 1ULL : 2ULL) << 32 | 1, 6, i};
        if (i > 0) {
            fields[5] = i + 10; /* number, position, size, checksum, first log file */
            fields[6] = i * 100;
            fields[7] = i;
            fields[8] = i * 7;
        }
        fields[1] = crc32c(0, &fields[2], sizeof(fields) - 16);
        memcpy(blocks + i * MANIFEST_BLOCK_SIZE, fields, sizeof(fields));
    }
    struct manifest_state live = {0};
    uint64_t file_number = 0;
    assert_int_equal(edit_replay(blocks, 3, &live, &file_number, NULL), OK);
    assert_int_equal(file_number, 6);
    assert_int_equal(live.checkpoints[0].number, 12);
    assert_int_equal(live.checkpoints[0].position, 200);
    assert_int_equal(live.checkpoints[0].checksum, 14);
    assert_int_equal(live.checkpoints[1].number, 11);
    assert_int_equal(live.last_number, 12);
    manifest_state_deinit(&live);
    free(blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_edits_match_the_model),
        cmocka_unit_test(test_an_edit_is_whole_or_not_there),
        cmocka_unit_test(test_half_an_edit_is_found_when_planted),
        cmocka_unit_test(test_damage_is_told_from_a_torn_tail),
        cmocka_unit_test(test_version_1_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
