/* Checking segment files: what sealing writes is good, at the borders of blocks too; no bit of it
 * can change unseen; lies in the manifest and in blocks whose checksums hold are told. */
#include "tests/model/sealed_model.h"

#include "storage/base/fault.h"
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct stage {
    struct model model;
    struct sim *sim;
    struct io *io;
    struct budget budget;
    struct pool *pool;
    struct segment *segment;
    struct sealed_info info;
};

/* One sealed segment of that many rows, appended in three pieces that are out of order. */
static void stage_make(struct stage *stage, uint32_t row_count)
{
    struct error error = {0};
    *stage = (struct stage){.budget = {.limit = SIZE_MAX, .name = "rows"}};
    model_init(&stage->model, row_count, row_count);
    stage->model.schema->columns[M_NUMBER].index = INDEX_ON;
    stage->model.schema->columns[M_DAY].index = INDEX_ON;
    stage->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(stage->sim, &stage->io);
    model_must(stage->io->ops->mkdir(stage->io, SEALED_DIRECTORY, &error), &error);
    stage->pool = pool_create(&stage->budget);
    stage->segment = segment_create(stage->pool);
    uint32_t third = row_count / 3;
    model_append(&stage->model, stage->segment, third, third);
    model_append(&stage->model, stage->segment, 0, third);
    model_append(&stage->model, stage->segment, 2 * third, row_count - 2 * third);
    struct segment_entry entry = {
        .segment = stage->segment,
        .published = {.rows = row_count, .chunk_count = segment_chunk_count(stage->segment)}};
    struct table_view view = {.schema = stage->model.schema,
                              .closed = segment_list_create(&entry, 1)};
    struct seal_options options = {.io = stage->io,
                                   .directory = "",
                                   .number = 0x1f,
                                   .view = &view,
                                   .created_at_us = 5,
                                   .first_position = 2,
                                   .last_position = 3};
    model_must(sealed_write(&options, &stage->info, &error), &error);
    segment_list_unref(view.closed);
}

static void stage_remove(struct stage *stage)
{
    segment_unref(stage->segment);
    pool_destroy(stage->pool);
    stage->io->ops->destroy(stage->io);
    sim_destroy(stage->sim);
    model_deinit(&stage->model);
}

static enum err look(struct stage *stage, const struct sealed_info *info, struct error *error)
{
    uint64_t rows;
    enum err err = sealed_check(stage->io, "", 0x1f, info, &rows, error);
    assert_int_equal(rows, err == OK ? stage->model.row_count : 0);
    return err;
}

static void test_good(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 100, 2048, 2049, 65536, 65537};
    for (size_t i = 0; i < array_count(sizes); i++) {
        struct stage stage;
        struct error error = {0};
        stage_make(&stage, sizes[i]);
        if (look(&stage, &stage.info, &error) != OK || look(&stage, NULL, &error) != OK)
            fail_msg("%u rows: %s", sizes[i], error.text);
        stage_remove(&stage);
    }
}

/* Also with the manifest out of the way: the file vouches for itself. */
static void test_flipped_bits(void **state)
{
    (void)state;
    struct stage stage;
    stage_make(&stage, 700);
    uint64_t bits = stage.info.bytes * 8;
    for (uint64_t bit = 0; bit < bits; bit += bit < 512 ? 1 : 1009) {
        struct error error = {0};
        assert_true(sim_flip_bit(stage.sim, "segments/000000000000001f.fseg", bit / 8, bit % 8));
        if (look(&stage, NULL, &error) != ERR_CORRUPT)
            fail_msg("bit %llu changed unseen", (unsigned long long)bit);
        assert_non_null(strstr(error.text, "000000000000001f.fseg, offset "));
        assert_true(sim_flip_bit(stage.sim, "segments/000000000000001f.fseg", bit / 8, bit % 8));
    }
    struct error error = {0};
    assert_int_equal(look(&stage, &stage.info, &error), OK);
    stage_remove(&stage);
}

static void test_manifest_lies(void **state)
{
    (void)state;
    struct stage stage;
    stage_make(&stage, 100);
    for (int lie = 0; lie < 12; lie++) {
        struct sealed_info info = stage.info;
        struct error error = {0};
        info.table_id += lie == 0;
        info.row_count += lie == 1;
        info.bytes += lie == 2;
        info.min_time_us -= lie == 3;
        info.max_time_us += lie == 4;
        info.first_position -= lie == 5;
        info.last_position += lie == 6;
        info.created_at_us += lie == 7;
        info.footer_offset += lie == 8;
        info.footer_size += lie == 9;
        info.footer_checksum += lie == 10;
        info.schema_version += lie == 11;
        if (look(&stage, &info, &error) != ERR_CORRUPT)
            fail_msg("believed lie %d", lie);
    }
    uint64_t rows;
    struct error error = {0};
    assert_int_equal(sealed_check(stage.io, "", 0x20, NULL, &rows, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, "no such file"));
    stage_remove(&stage);
}

/* Checksums hold, zones do not: a planted fault of sealing. */
static void test_zone_lies(void **state)
{
    (void)state;
    struct stage stage;
    struct error error = {0};
    fault_plant("seal.zone");
    stage_make(&stage, 3000);
    fault_clear();
    assert_int_equal(look(&stage, &stage.info, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, "outside of what the footer says"));
    stage_remove(&stage);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_manifest_lies),
        cmocka_unit_test(test_zone_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
