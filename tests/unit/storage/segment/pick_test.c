/* Rows by number, out of sealed and mutable segments: sets of all densities, with caches that hold
 * everything and next to nothing, cell by cell; the numbers that a scan tells of its rows, under
 * filters that come as ranges, lists and bitmaps. */
#include "tests/model/sealed_model.h"

#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define FIRST_ROWS 67000 /* two blocks */
#define MUTABLE_ROWS 9000
#define SECOND_ROWS 3000
#define ALL_ROWS (FIRST_ROWS + MUTABLE_ROWS + SECOND_ROWS)
#ifdef FRESHET_CHECK
#define ROUNDS 6
#else
#define ROUNDS 40
#endif

struct place {
    struct model_place base;
    struct table_view view; /* sealed, mutable, sealed */
};

static void place_make(struct place *place, uint64_t seed, size_t cache_size)
{
    *place = (struct place){0};
    model_place_init(&place->base, seed, ALL_ROWS, cache_size);
    place->view = model_view_make(&place->base, &(struct model_parts){.first = FIRST_ROWS,
                                                                      .in_memory = MUTABLE_ROWS,
                                                                      .second = SECOND_ROWS});
}

static void place_remove(struct place *place)
{
    segment_list_unref(place->view.closed);
    model_place_deinit(&place->base);
}

static bool is_cell(const struct value *got, const struct value *want)
{
    if (got->is_null || want->is_null)
        return got->is_null == want->is_null;
    return value_compare(got, want) == 0;
}

static bool are_cells(const struct model *m, const struct batch *batch, const uint64_t *rows)
{
    for (uint32_t c = 0; c < M_COLUMNS; c++)
        for (size_t i = 0; i < batch->row_count; i++) {
            struct value got = column_value(&batch->columns[c], i);
            if (!is_cell(&got, &m->cells[c][rows[i]]))
                return false;
        }
    return true;
}

/* All of these rows, however many come at once; they say themselves which they are. */
static bool are_picked(struct place *place, const uint64_t *rows, size_t count)
{
    static const uint32_t columns[M_COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    static int64_t numbers[VECTOR_ROWS_MAX];
    struct cursor *cursor = cursor_open(&place->view, columns, M_COLUMNS, NULL);
    struct error error = {0};
    bool are = true;
    for (size_t done = 0; are && done < count;) {
        struct batch batch;
        assert_int_equal(cursor_pick(cursor, rows + done, count - done, &batch, &error), OK);
        assert_true(batch.row_count > 0 && batch.row_count <= count - done);
        are = are_cells(&place->base.model, &batch, rows + done);
        cursor_row_numbers(cursor, numbers);
        for (size_t i = 0; i < batch.row_count; i++)
            are = are && (uint64_t)numbers[i] == rows[done + i];
        done += batch.row_count;
    }
    cursor_close(cursor);
    return are;
}

/* Runs and single rows, one of `sparse` on average. */
static size_t draw_rows(struct random_stream *chance, uint64_t sparse, uint64_t *rows)
{
    size_t count = 0;
    for (uint64_t row = random_below(chance, sparse); row < ALL_ROWS;
         row += 1 + random_below(chance, 2 * sparse))
        rows[count++] = row;
    return count;
}

static void test_sets(void **state)
{
    (void)state;
    static const size_t caches[] = {0, 60000};
    static uint64_t rows[ALL_ROWS];
    for (size_t i = 0; i < array_count(caches); i++) {
        struct place place;
        struct random_stream chance;
        place_make(&place, 30 + i, caches[i]);
        random_stream_init(&chance, 7 + i);
        for (int round = 0; round < ROUNDS; round++) {
            size_t count = draw_rows(&chance, UINT64_C(40) << (round % 12), rows);
            assert_true(are_picked(&place, rows, count));
        }
        place_remove(&place);
    }
}

static void test_edges(void **state)
{
    (void)state;
    static const uint64_t ends[] = {0,
                                    1,
                                    2047,
                                    2048,
                                    BLOCK_ROWS_MAX - 1,
                                    BLOCK_ROWS_MAX,
                                    FIRST_ROWS - 1,
                                    FIRST_ROWS,
                                    FIRST_ROWS + 2047,
                                    FIRST_ROWS + 2048,
                                    FIRST_ROWS + MUTABLE_ROWS - 1,
                                    FIRST_ROWS + MUTABLE_ROWS,
                                    ALL_ROWS - 1};
    static uint64_t all[ALL_ROWS];
    struct place place;
    place_make(&place, 3, 0);
    assert_true(are_picked(&place, ends, array_count(ends)));
    for (size_t i = 0; i < array_count(ends); i++)
        assert_true(are_picked(&place, &ends[i], 1));
    for (uint64_t row = 0; row < ALL_ROWS; row++)
        all[row] = row;
    static const size_t counts[] = {1, 63, 64, 65, 2047, 2048, 2049, 5000};
    for (size_t i = 0; i < array_count(counts); i++) {
        assert_true(are_picked(&place, all, counts[i]));
        assert_true(are_picked(&place, all + FIRST_ROWS - 30, counts[i]));
    }
    place_remove(&place);
}

/* The column `id` is the number. */
static bool are_numbered(struct place *place, const struct scan_filter *filter)
{
    static const uint32_t columns[M_COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    static int64_t numbers[VECTOR_ROWS_MAX];
    struct cursor *cursor = cursor_open(&place->view, columns, M_COLUMNS, filter);
    struct error error = {0};
    bool are = true;
    for (size_t morsel = 0; morsel < table_view_morsel_count(&place->view); morsel++) {
        struct batch batch;
        bool has;
        assert_int_equal(cursor_seek(cursor, morsel, &has, &error), OK);
        while (has) {
            assert_int_equal(cursor_next(cursor, &batch, &has, &error), OK);
            if (!has)
                break;
            cursor_row_numbers(cursor, numbers);
            for (size_t i = 0; i < batch.row_count; i++)
                are = are && numbers[i] == column_value(&batch.columns[M_ID], i).i;
        }
    }
    cursor_close(cursor);
    return are;
}

static void test_numbers(void **state)
{
    (void)state;
    struct place place;
    struct random_stream chance;
    struct arena arena;
    arena_init(&arena);
    place_make(&place, 11, 0);
    random_stream_init(&chance, 12);
    assert_true(are_numbered(&place, NULL));
    for (int round = 0; round < 3 * ROUNDS; round++) {
        struct scan_condition conditions[3];
        struct scan_filter filter = {.condition_count = 1 + random_below(&chance, 3),
                                     .conditions = conditions,
                                     .is_without_bitmaps = round % 3 == 0};
        for (size_t i = 0; i < filter.condition_count; i++)
            conditions[i] = model_condition(&place.base.model, &chance, &arena);
        assert_true(are_numbered(&place, &filter));
        arena_reset(&arena);
    }
    place_remove(&place);
    arena_deinit(&arena);
}

#ifndef FRESHET_CHECK
static void test_faults_are_found(void **state)
{
    (void)state;
    struct place place;
    static const uint64_t rows[] = {5, 70000, FIRST_ROWS + MUTABLE_ROWS + 1};
    place_make(&place, 4, 0);
    fault_plant("cursor.pick_beside");
    for (size_t i = 0; i < array_count(rows); i++)
        assert_false(are_picked(&place, &rows[i], 1));
    fault_clear();
    assert_true(are_picked(&place, rows, array_count(rows)));
    place_remove(&place);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_numbers),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_faults_are_found),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
