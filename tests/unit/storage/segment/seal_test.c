/* Sealing: rows of mutable and sealed segments in any order become one segment that has the same
 * rows in the order of their times; indexes by policy; giving up at any pause, failing at any
 * operation of the disk. */
#include "storage/base/fault.h"
#include "tests/model/sealed_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PIECES 5

static struct room room; /* of all that is sealed here, as in a store */

struct place {
    struct model_place base;
    struct table_view view; /* pieces of the model's rows, out of order */
};

/* Columns of fixed width without NULLs go another way. */
static void give_values(struct model *model)
{
    for (uint32_t row = 0; row < model->row_count; row++) {
        model->cells[M_NUMBER][row].is_null = false;
        model->cells[M_RATIO][row].is_null = false;
        model->cells[M_FLAG][row].is_null = false;
        if (model->cells[M_PRICE][row].is_null)
            model->cells[M_PRICE][row].n = (struct numeric){.scale = 2, .kind = NUMERIC_NAN};
        model->cells[M_PRICE][row].is_null = false;
    }
}

/* Pieces of the rows, in an order that is not theirs; every second one sealed already. */
static void place_make(struct place *place, uint64_t seed, uint32_t row_count)
{
    *place = (struct place){0};
    model_place_init(&place->base, seed, row_count, 0);
    if (seed % 2 == 1)
        give_values(&place->base.model);
    struct segment_entry entries[PIECES];
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t piece = seed % 4 == 0 ? i : (i * 3 + 1) % PIECES;
        uint32_t first = piece * (row_count / PIECES);
        uint32_t end = piece + 1 == PIECES ? row_count : first + row_count / PIECES;
        entries[i] = (struct segment_entry){0};
        if (i % 2 == 0) {
            entries[i].segment = segment_create(place->base.pool);
            model_append(&place->base.model, entries[i].segment, first, end - first);
            entries[i].published = (struct published){
                .rows = end - first, .chunk_count = segment_chunk_count(entries[i].segment)};
        } else {
            struct sealed_info info =
                model_write_segment(&place->base.model, place->base.io, i + 1, first, end - first);
            entries[i].sealed = sealed_create(place->base.source, &info);
        }
    }
    place->view = (struct table_view){.schema = place->base.model.schema,
                                      .closed = segment_list_create(entries, PIECES)};
    for (uint32_t i = 0; i < PIECES; i++) {
        if (entries[i].sealed != NULL)
            sealed_unref(entries[i].sealed);
        else
            segment_unref(entries[i].segment);
    }
}

static void place_remove(struct place *place)
{
    segment_list_unref(place->view.closed);
    model_place_deinit(&place->base);
}

static enum err seal(struct place *place, uint64_t number, bool (*pause)(void *), void *context,
                     struct sealed_info *info, struct error *error)
{
    struct seal_options options = {.io = place->base.io,
                                   .directory = "",
                                   .number = number,
                                   .view = &place->view,
                                   .created_at_us = 77,
                                   .first_position = 3,
                                   .last_position = 9,
                                   .pause = pause,
                                   .context = context,
                                   .budget = &place->base.budget,
                                   .room = &room};
    enum err err = sealed_write(&options, info, error);
    assert_int_equal(room_mark(&room), 0);
    return err;
}

static bool same_value(const struct value *got, const struct value *want)
{
    if (got->is_null || want->is_null)
        return got->is_null == want->is_null;
    return value_compare(got, want) == 0;
}

/* Values that are not the model's. */
static uint32_t count_wrong(struct place *place, const struct sealed_info *info)
{
    static const uint32_t columns[M_COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    struct segment_entry entry = {.sealed = sealed_create(place->base.source, info)};
    struct table_view view = {.schema = place->base.model.schema,
                              .closed = segment_list_create(&entry, 1)};
    struct cursor *cursor = cursor_open(&view, columns, M_COLUMNS, NULL);
    uint32_t row = 0, wrong = 0;
    for (size_t morsel = 0; morsel < table_view_morsel_count(&view); morsel++) {
        struct error error = {0};
        struct batch batch;
        bool has;
        model_must(cursor_seek(cursor, morsel, &has, &error), &error);
        for (;;) {
            model_must(cursor_next(cursor, &batch, &has, &error), &error);
            if (!has)
                break;
            for (size_t i = 0; i < batch.row_count; i++, row++) {
                for (size_t c = 0; c < M_COLUMNS; c++) {
                    struct value got = column_value(&batch.columns[c], i);
                    bool is_wrong = !same_value(&got, &place->base.model.cells[c][row]);
                    if (is_wrong && wrong++ == 0)
                        print_message("row %u: wrong %s\n", row, model_columns[c].name);
                }
            }
        }
    }
    assert_int_equal(row, place->base.model.row_count);
    cursor_close(cursor);
    segment_list_unref(view.closed);
    sealed_unref(entry.sealed);
    return wrong;
}

static void test_nulls_are_told(void **state)
{
    (void)state;
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    place_make(&place, 2, 7000);
    fault_plant("collect.null_overlooked");
    model_must(seal(&place, 100, NULL, NULL, &info, &error), &error);
    fault_clear();
    assert_true(count_wrong(&place, &info) > 0);
    place_remove(&place);
}

static void test_rows_come_back_in_order(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {5, 100, 7000, 70000};
    for (uint64_t i = 0; i < 8; i++) {
        struct place place;
        struct sealed_info info;
        struct error error = {0};
        place_make(&place, i + 1, sizes[i % array_count(sizes)] + (uint32_t)i);
        size_t used = atomic_load(&place.base.budget.used);
        model_must(seal(&place, 100, NULL, NULL, &info, &error), &error);
        assert_int_equal(atomic_load(&place.base.budget.used), used);
        assert_int_equal(info.row_count, place.base.model.row_count);
        assert_int_equal(info.min_time_us, place.base.model.cells[M_TS][0].i);
        assert_int_equal(info.max_time_us,
                         place.base.model.cells[M_TS][place.base.model.row_count - 1].i);
        assert_int_equal(info.first_position, 3);
        assert_int_equal(info.bytes % 4096, 0);
        assert_int_equal(count_wrong(&place, &info), 0);
        place_remove(&place);
    }
}

#define SHORT_RUN 30

/* Every second run of few rows before the one it comes after: rows have an order each. */
static void test_short_runs(void **state)
{
    static const uint32_t sizes[] = {60, 240, 1020, 65580, 66000};
    (void)state;
    for (uint64_t i = 0; i < array_count(sizes); i++) {
        struct place place = {0};
        struct sealed_info info;
        struct error error = {0};
        uint64_t row_count;
        model_place_init(&place.base, i + 1, sizes[i], 0);
        struct segment_entry entry = {.segment = segment_create(place.base.pool)};
        for (uint32_t run = 0; run < sizes[i] / SHORT_RUN; run++)
            model_append(&place.base.model, entry.segment, (run ^ 1) * SHORT_RUN, SHORT_RUN);
        entry.published =
            (struct published){.rows = sizes[i], .chunk_count = segment_chunk_count(entry.segment)};
        place.view = (struct table_view){.schema = place.base.model.schema,
                                         .closed = segment_list_create(&entry, 1)};
        segment_unref(entry.segment);
        model_must(seal(&place, 100, NULL, NULL, &info, &error), &error);
        assert_int_equal(count_wrong(&place, &info), 0);
        model_must(sealed_check(place.base.io, "", 100, &info, &row_count, &error), &error);
        fault_plant("seal.row_taken_twice");
        model_must(seal(&place, 101, NULL, NULL, &info, &error), &error);
        fault_clear();
        assert_true(count_wrong(&place, &info) > 0);
        place_remove(&place);
    }
}

/* --- indexes and dictionaries --- */

/* Texts of the first dictionary that are met again in the second one. */
static void test_texts_of_two_dictionaries(void **state)
{
    (void)state;
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    uint64_t row_count;
    place_make(&place, 2, 7000);
    fault_plant("collect.not_looked_for");
    model_must(seal(&place, 100, NULL, NULL, &info, &error), &error);
    fault_clear();
    assert_int_equal(sealed_check(place.base.io, "", 100, &info, &row_count, &error), ERR_CORRUPT);
    model_must(seal(&place, 101, NULL, NULL, &info, &error), &error);
    model_must(sealed_check(place.base.io, "", 101, &info, &row_count, &error), &error);
    place_remove(&place);
}

/* Rows of each text are counted on their way into blocks; NULLs have the code of some text. */
static void test_indexes_have_all_rows(void **state)
{
    (void)state;
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    uint64_t row_count;
    place_make(&place, 2, 7000);
    for (uint32_t column = 0; column < M_COLUMNS; column++)
        place.base.model.schema->columns[column].index = INDEX_ON;
    fault_plant("seal.row_uncounted");
    model_must(seal(&place, 100, NULL, NULL, &info, &error), &error);
    fault_clear();
    assert_int_equal(sealed_check(place.base.io, "", 100, &info, &row_count, &error), ERR_CORRUPT);
    model_must(seal(&place, 101, NULL, NULL, &info, &error), &error);
    model_must(sealed_check(place.base.io, "", 101, &info, &row_count, &error), &error);
    place_remove(&place);
}

static void test_indexes_follow_the_policy(void **state)
{
    (void)state;
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    place_make(&place, 2, 70000);
    struct column_definition *columns = place.base.model.schema->columns;
    columns[M_COUNTRY].index = INDEX_OFF;
    columns[M_NUMBER].index = INDEX_ON;
    model_must(seal(&place, 100, NULL, NULL, &info, &error), &error);
    struct sealed *sealed = sealed_create(place.base.source, &info);
    const struct sealed_footer *footer;
    model_must(sealed_open(sealed, &footer, &error), &error);
    static const struct {
        int column;
        bool has_index, has_dictionary;
    } want[] = {{M_ID, false, false},    {M_NUMBER, true, false}, {M_COUNTRY, false, true},
                {M_RATIO, false, false}, {M_BLOB, false, true},   {M_LATE, false, false},
                {M_MESSAGE, false, true}};
    for (size_t i = 0; i < array_count(want); i++) {
        const struct sealed_column *column = &footer->columns[want[i].column];
        assert_int_equal(column->column_id, want[i].column + 1);
        if ((column->index.size != 0) != want[i].has_index ||
            (column->entry_count != 0) != want[i].has_dictionary)
            fail_msg("%s: index of %u bytes, %u entries", model_columns[want[i].column].name,
                     column->index.size, column->entry_count);
    }
    sealed_unref(sealed);
    place_remove(&place);
}

/* --- giving up --- */

struct patience {
    int left;
    int count;
    const struct budget *budget; /* NULL: not looked at */
    size_t used;                 /* of it, at the last pause */
};

static bool be_patient(void *context)
{
    struct patience *patience = context;
    patience->count++;
    if (patience->budget != NULL)
        patience->used = atomic_load(&patience->budget->used);
    return patience->left-- > 0;
}

static void count_file(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

static size_t files(struct place *place)
{
    size_t count = 0;
    assert_int_equal(
        place->base.io->ops->list(place->base.io, SEALED_DIRECTORY, count_file, &count, NULL), OK);
    return count;
}

static void test_giving_up_leaves_nothing(void **state)
{
    (void)state;
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    place_make(&place, 3, 7000);
    struct patience all = {.left = INT32_MAX, .budget = &place.base.budget};
    size_t rows_used = atomic_load(&place.base.budget.used);
    model_must(seal(&place, 100, be_patient, &all, &info, &error), &error);
    assert_true(all.count > 50);
    assert_int_equal(all.used, rows_used + 7000 * (size_t)SEAL_ROW_MEMORY);
    size_t before = files(&place), used = atomic_load(&place.base.budget.used);
    for (int left = 0; left < all.count; left += 1 + all.count / 40) {
        struct patience patience = {.left = left};
        assert_int_equal(seal(&place, 101, be_patient, &patience, &info, &error), ERR_CANCELLED);
        assert_int_equal(files(&place), before);
        assert_int_equal(atomic_load(&place.base.budget.used), used);
    }
    place_remove(&place);
}

static void test_a_failing_disk_is_told(void **state)
{
    (void)state;
    static const enum sim_fault faults[] = {SIM_FAULT_ERROR, SIM_FAULT_SPACE};
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    place_make(&place, 3, 700);
    for (size_t f = 0; f < array_count(faults); f++) {
        bool is_through = false;
        for (uint64_t step = 1; !is_through && step < 50; step++) {
            sim_fail_at(place.base.sim, sim_operation_count(place.base.sim) + step, faults[f],
                        false);
            enum err err = seal(&place, 200 + f * 100 + step, NULL, NULL, &info, &error);
            is_through = err == OK;
            if (err != OK)
                assert_int_equal(err, faults[f] == SIM_FAULT_SPACE ? ERR_SPACE : ERR_IO);
            sim_fail_at(place.base.sim, 0, SIM_FAULT_NONE, false);
        }
        assert_true(is_through);
    }
    place_remove(&place);
}

/* A write that says it was done and was not: found when the file is read back, which is gone then.
 */
static void test_a_lost_write_is_found(void **state)
{
    (void)state;
    struct place place;
    struct sealed_info info;
    struct error error = {0};
    place_make(&place, 3, 200000);
    assert_int_equal(seal(&place, 300, NULL, NULL, &info, &error), OK);
    assert_true(info.bytes > 2 << 20);
    fault_plant("sink.write_lost");
    enum err err = seal(&place, 301, NULL, NULL, &info, &error);
    fault_clear();
    assert_int_equal(err, ERR_CORRUPT);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back_in_order),
        cmocka_unit_test(test_nulls_are_told),
        cmocka_unit_test(test_short_runs),
        cmocka_unit_test(test_texts_of_two_dictionaries),
        cmocka_unit_test(test_indexes_have_all_rows),
        cmocka_unit_test(test_indexes_follow_the_policy),
        cmocka_unit_test(test_giving_up_leaves_nothing),
        cmocka_unit_test(test_a_failing_disk_is_told),
        cmocka_unit_test(test_a_lost_write_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
