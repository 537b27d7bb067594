/* Texts of sealed segments in the order of a new one: segments whose times lie across each other
 * are merged, with texts of all lengths that are too many for a dictionary, and compared row by row
 * with what was written; when gathering is possible at all; how much is done between two pauses. */
#include "tests/model/sealed_model.h"

#include "storage/base/random.h"
#include "storage/segment/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEGMENTS 4
#define LONG_TEXT ((size_t)3 << 19) /* longer than a piece of memory, and than a pause apart */

struct place {
    struct model_place base;
    struct random_stream chance;
    uint64_t text_bytes;
    uint64_t pauses, operations; /* of the disk, at the last pause */
    uint64_t operations_most;    /* between two */
    struct segment_entry entries[SEGMENTS];
};

/* Texts of their own in every row. */
static void make_texts(struct place *place)
{
    struct model *model = &place->base.model;
    for (uint32_t row = 0; row < model->row_count; row++) {
        struct value *cell = &model->cells[M_MESSAGE][row];
        size_t size = 12 + random_below(&place->chance, 60);
        if (cell->is_null)
            continue;
        if (random_below(&place->chance, 200) == 0)
            size = random_below(&place->chance, 9000);
        if (row == model->row_count / 2)
            size = LONG_TEXT;
        char *text = arena_alloc(&model->arena, size + 12);
        memset(text, 'a' + (int)random_below(&place->chance, 26), size);
        snprintf(text, 12, "%u", row);
        cell->text = slice_of(text, row % 97 == 0 ? 0 : size);
        place->text_bytes += cell->text.size;
    }
}

static bool note_pause(void *context)
{
    struct place *place = context;
    uint64_t now = sim_operation_count(place->base.sim);
    if (now - place->operations > place->operations_most)
        place->operations_most = now - place->operations;
    place->operations = now;
    place->pauses++;
    return true;
}

static struct sealed_info seal(struct place *place, struct segment_entry *entries, uint32_t count,
                               uint64_t number)
{
    struct error error = {0};
    struct sealed_info info;
    struct table_view view = {.schema = place->base.model.schema,
                              .closed = segment_list_create(entries, count)};
    place->pauses = place->operations_most = 0;
    place->operations = sim_operation_count(place->base.sim);
    struct seal_options options = {.io = place->base.io,
                                   .directory = "",
                                   .number = number,
                                   .view = &view,
                                   .pause = note_pause,
                                   .context = place};
    model_must(sealed_write(&options, &info, &error), &error);
    segment_list_unref(view.closed);
    return info;
}

/* The rows in runs of any length, each to the next segment; all sealed. */
static void place_make(struct place *place, uint64_t seed, uint32_t row_count, uint32_t run_max)
{
    *place = (struct place){0};
    random_stream_init(&place->chance, seed);
    model_place_init(&place->base, seed, row_count, 0);
    make_texts(place);
    struct segment *segments[SEGMENTS];
    for (uint32_t i = 0; i < SEGMENTS; i++)
        segments[i] = segment_create(place->base.pool);
    for (uint32_t row = 0, turn = 0; row < row_count; turn++) {
        uint32_t left = row_count - row, size = 1 + (uint32_t)random_below(&place->chance, run_max);
        size = size < left ? size : left;
        model_append(&place->base.model, segments[turn % SEGMENTS], row, size);
        row += size;
    }
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct segment_entry entry = {
            .segment = segments[i],
            .published = {.rows = segment_rows(segments[i]),
                          .chunk_count = segment_chunk_count(segments[i])}};
        struct sealed_info info = seal(place, &entry, 1, i + 1);
        place->entries[i] =
            (struct segment_entry){.sealed = sealed_create(place->base.source, &info)};
        segment_unref(segments[i]);
    }
}

static void place_remove(struct place *place)
{
    for (uint32_t i = 0; i < SEGMENTS; i++)
        sealed_unref(place->entries[i].sealed);
    model_place_deinit(&place->base);
}

static void check_texts(struct place *place, const struct sealed_info *info)
{
    static const uint32_t columns[] = {M_MESSAGE};
    struct segment_entry entry = {.sealed = sealed_create(place->base.source, info)};
    struct table_view view = {.schema = place->base.model.schema,
                              .closed = segment_list_create(&entry, 1)};
    const struct sealed_footer *footer;
    struct error error = {0};
    model_must(sealed_open(entry.sealed, &footer, &error), &error);
    assert_int_equal(footer->columns[M_MESSAGE].entry_count, 0); /* or this tests something else */
    assert_int_equal(footer->columns[M_MESSAGE].raw_bytes, place->text_bytes);
    struct cursor *cursor = cursor_open(&view, columns, 1, NULL);
    uint32_t row = 0;
    for (size_t morsel = 0; morsel < table_view_morsel_count(&view); morsel++) {
        struct batch batch;
        bool has;
        model_must(cursor_seek(cursor, morsel, &has, &error), &error);
        while (has) {
            model_must(cursor_next(cursor, &batch, &has, &error), &error);
            for (size_t i = 0; has && i < batch.row_count; i++, row++) {
                const struct value *want = &place->base.model.cells[M_MESSAGE][row];
                assert_int_equal(column_is_null(&batch.columns[0], i), want->is_null);
                if (!want->is_null && !slice_equal(column_text(&batch.columns[0], i), want->text))
                    fail_msg("row %u: another text", row);
            }
        }
    }
    assert_int_equal(row, place->base.model.row_count);
    cursor_close(cursor);
    segment_list_unref(view.closed);
    sealed_unref(entry.sealed);
}

static void test_segments_across_each_other(void **state)
{
    static const struct {
        uint32_t rows, run_max;
    } cases[] = {{40, 3}, {9000, 50}, {30000, 5000}, {80000, 9000}};
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct place place;
        place_make(&place, i + 1, cases[i].rows, cases[i].run_max);
        struct sealed_source_status before, after;
        sealed_source_status(place.base.source, &before);
        struct sealed_info info = seal(&place, place.entries, SEGMENTS, 100);
        sealed_source_status(place.base.source, &after);
        assert_int_equal(after.cache_used, before.cache_used); /* queries' pages stay */
        assert_int_equal(info.row_count, cases[i].rows);
        check_texts(&place, &info);
        /* The end of a file (its last block, its first, syncs) is one piece. */
        assert_true(place.operations_most <= 8);
        assert_true(place.pauses >= place.text_bytes / ((size_t)256 << 10));
        place_remove(&place);
    }
}

static void test_when_it_is_possible(void **state)
{
    struct place place;
    (void)state;
    place_make(&place, 9, 400, 30);
    struct table_view view = {.schema = place.base.model.schema,
                              .closed = segment_list_create(place.entries, SEGMENTS)};
    uint32_t order[400];
    for (uint32_t i = 0; i < array_count(order); i++)
        order[i] = i;
    assert_true(gather_is_possible(&view, NULL, 400));
    assert_true(gather_is_possible(&view, order, 400));
    assert_false(gather_is_possible(&view, NULL, 399));
    /* Segments may change places, rows of one may not. */
    uint32_t second = (uint32_t)view.closed->first_rows[1];
    uint32_t last = order[second - 1];
    order[second - 1] = order[second];
    order[second] = last;
    assert_true(gather_is_possible(&view, order, 400));
    uint32_t first = order[0];
    order[0] = order[1];
    order[1] = first;
    assert_false(gather_is_possible(&view, order, 400));
    segment_list_unref(view.closed);
    view.closed = NULL;
    assert_false(gather_is_possible(&view, NULL, 400));
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_across_each_other),
        cmocka_unit_test(test_when_it_is_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
