/* Cursors over sealed segments against the cells they were made of: all rows, and random filters
 * re-checked row by row, with and without bitmaps, with caches of every size; damage; many readers;
 * faults planted in the reader, each of which must be found. */
#include "tests/model/sealed_model.h"

#include "storage/base/fault.h"
#include "storage/base/thread.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define READ_ERROR_SHARE 6500 /* of 65,536 */
#define FIRST_ROWS 67000      /* two blocks */
#define SECOND_ROWS 3000
#define MUTABLE_ROWS 2500
/* Sanitizers see fewer filters. */
#ifdef FRESHET_CHECK
#define SHARE 3
#else
#define SHARE 1
#endif
#define ALL_ROWS (FIRST_ROWS + SECOND_ROWS + MUTABLE_ROWS)

static const uint32_t all_columns[M_COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

struct place {
    struct model_place base;
    struct table_view view; /* sealed, mutable, sealed */
    uint8_t *satisfied;     /* per row, by the filter that was judged last */
};

static void place_make_of(struct place *place, uint64_t seed, size_t cache_size,
                          uint32_t first_rows)
{
    *place = (struct place){0};
    model_place_init(&place->base, seed, first_rows + MUTABLE_ROWS + SECOND_ROWS, cache_size);
    place->satisfied = memory_alloc_zero(place->base.model.row_count);
    place->view = model_view_make(&place->base, &(struct model_parts){.first = first_rows,
                                                                      .in_memory = MUTABLE_ROWS,
                                                                      .second = SECOND_ROWS});
}

static void place_make(struct place *place, uint64_t seed, size_t cache_size)
{
    place_make_of(place, seed, cache_size, FIRST_ROWS);
}

static void place_remove(struct place *place)
{
    memory_free(place->satisfied);
    segment_list_unref(place->view.closed);
    model_place_deinit(&place->base);
}

/* --- scans --- */

struct result {
    uint32_t rows; /* that satisfy the filter */
    uint32_t given;
    struct scan_counts counts;
    char wrong[512]; /* empty: all as it must be */
};

static void judge(struct place *place, const struct scan_filter *filter)
{
    const struct model *m = &place->base.model;
    memset(place->satisfied, 1, m->row_count);
    for (size_t i = 0; filter != NULL && i < filter->condition_count; i++) {
        const struct scan_condition *condition = &filter->conditions[i];
        for (uint32_t row = 0; row < m->row_count; row++) {
            if (place->satisfied[row])
                place->satisfied[row] =
                    model_satisfies(condition, &m->cells[condition->column][row]);
        }
    }
}

static bool same_value(const struct value *got, const struct value *want)
{
    if (got->is_null || want->is_null)
        return got->is_null == want->is_null;
    return value_compare(got, want) == 0 && (type_physical(want->type.id) != PHYSICAL_FLOAT ||
                                             isnan(want->f) || signbit(got->f) == signbit(want->f));
}

static void check_row(const struct model *m, const struct batch *batch, size_t i, uint32_t row,
                      struct result *result)
{
    bool is_sample = row % 8 == 0 || i == 0 || i + 1 == batch->row_count;
    for (size_t c = 0; is_sample && c < batch->column_count; c++) {
        struct value got = column_value(&batch->columns[c], i);
        if (!same_value(&got, &m->cells[c][row]))
            snprintf(result->wrong, sizeof(result->wrong), "row %u: wrong %s", row,
                     model_columns[c].name);
    }
}

/* Every row that satisfies the filter comes, in order, with its own cells; rows that do not may,
 * unless the cursor says that it is exact. */
static void scan(struct place *place, const struct scan_filter *filter, struct result *result)
{
    const struct model *m = &place->base.model;
    struct error error = {0};
    enum err err = OK;
    struct cursor *cursor = cursor_open(&place->view, all_columns, M_COLUMNS, filter);
    *result = (struct result){0};
    uint32_t next = 0; /* rows before it have been seen to */
    for (size_t morsel = 0; err == OK && morsel < table_view_morsel_count(&place->view); morsel++) {
        bool has;
        struct batch batch;
        err = cursor_seek(cursor, morsel, &has, &error);
        while (err == OK && has && (err = cursor_next(cursor, &batch, &has, &error)) == OK && has) {
            for (size_t i = 0; i < batch.row_count; i++) {
                uint32_t row = (uint32_t)batch.columns[M_ID].i[i];
                for (; next < row && next < m->row_count; next++) {
                    if (place->satisfied[next])
                        snprintf(result->wrong, sizeof(result->wrong), "row %u is left out", next);
                }
                if (row >= m->row_count || next != row) {
                    snprintf(result->wrong, sizeof(result->wrong), "row %u out of order", row);
                    break;
                }
                check_row(m, &batch, i, row, result);
                result->rows += place->satisfied[row] ? 1 : 0;
                if (filter != NULL && !place->satisfied[row] && cursor_is_exact(cursor))
                    snprintf(result->wrong, sizeof(result->wrong), "row %u comes as exact", row);
                result->given++;
                next = row + 1;
            }
            if (result->wrong[0] != 0)
                break;
        }
        if (result->wrong[0] != 0)
            break;
    }
    for (; next < m->row_count; next++) {
        if (result->wrong[0] == 0 && place->satisfied[next])
            snprintf(result->wrong, sizeof(result->wrong), "row %u is left out at the end", next);
    }
    if (err != OK)
        snprintf(result->wrong, sizeof(result->wrong), "%s", error.text);
    result->counts = *cursor_counts(cursor);
    cursor_close(cursor);
}

static void test_every_row_comes_back(void **state)
{
    (void)state;
    static const size_t caches[] = {0, 1, 100000};
    for (size_t i = 0; i < array_count(caches); i++) {
        struct place place;
        place_make(&place, i + 1, caches[i]);
        for (int round = 0; round < 2; round++) {
            struct result result;
            judge(&place, NULL);
            scan(&place, NULL, &result);
            assert_string_equal(result.wrong, "");
            assert_int_equal(result.rows, ALL_ROWS);
            if (caches[i] == 0 && round == 1)
                assert_int_equal(result.counts.pages_read, 0);
        }
        struct sealed_source_status status;
        sealed_source_status(place.base.source, &status);
        assert_true(caches[i] == 0 ? status.hits >= status.misses : status.evictions > 0);
        place_remove(&place);
    }
}

/* Random filters of up to three conditions, the same for both ways. Returns what was wrong first.
 */
static void run_filters(struct place *place, uint64_t seed, int count, struct scan_counts *totals,
                        char *wrong, size_t wrong_size)
{
    struct random_stream random;
    struct arena arena;
    random_stream_init(&random, seed);
    arena_init(&arena);
    wrong[0] = 0;
    for (int i = 0; i < count && wrong[0] == 0; i++) {
        struct scan_condition conditions[3];
        struct scan_filter filter = {.condition_count = 1 + random_below(&random, 3),
                                     .conditions = conditions};
        for (size_t c = 0; c < filter.condition_count; c++)
            conditions[c] = model_condition(&place->base.model, &random, &arena);
        struct result results[2];
        judge(place, &filter);
        for (int way = 0; way < 2; way++) {
            filter.is_without_bitmaps = way == 1;
            scan(place, &filter, &results[way]);
            if (results[way].wrong[0] != 0 || results[way].rows != results[0].rows)
                snprintf(wrong, wrong_size, "seed %llu filter %d%s: %s", (unsigned long long)seed,
                         i, way == 1 ? " without bitmaps" : "", results[way].wrong);
        }
        totals->morsels_skipped += results[0].counts.morsels_skipped;
        totals->bitmaps_used += results[0].counts.bitmaps_used;
        totals->rows_by_bitmap += results[0].counts.rows_by_bitmap;
        totals->segments_skipped += results[0].counts.segments_skipped;
        if (results[1].counts.bitmaps_used != 0)
            snprintf(wrong, wrong_size, "a bitmap was used though they were turned off");
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void test_random_filters(void **state)
{
    (void)state;
    static const size_t caches[] = {0, 1, 60000};
    struct scan_counts totals = {0};
    for (size_t i = 0; i < array_count(caches); i++) {
        struct place place;
        char wrong[640];
        place_make(&place, 100 + i, caches[i]);
        run_filters(&place, 1000 + i, 30 / SHARE, &totals, wrong, sizeof(wrong));
        assert_string_equal(wrong, "");
        place_remove(&place);
    }
    /* And it was worth it. */
    assert_true(totals.morsels_skipped > 100 / SHARE);
    assert_true(totals.segments_skipped > 10 / SHARE);
    assert_true(totals.bitmaps_used > 10 / SHARE);
    assert_true(totals.rows_by_bitmap > 100 / SHARE);
}

/* --- what is known of rows that are not looked at --- */

#define WANTS 3

struct known {
    bool is_known;
    struct scan_extent extent;
};

/* Takes the rows of a morsel's batches; columns that were left out must be NULL. */
static uint32_t take_rows(struct cursor *cursor, const bool *left_out, uint32_t *rows)
{
    struct error error;
    struct batch batch;
    uint32_t count = 0;
    for (bool has = true; has;) {
        assert_int_equal(cursor_next(cursor, &batch, &has, &error), OK);
        for (size_t i = 0; has && i < batch.row_count; i++) {
            for (size_t c = 0; c < M_COLUMNS; c++) {
                if (left_out[c])
                    assert_true(column_is_null(&batch.columns[c], i));
            }
            rows[count++] = (uint32_t)batch.columns[M_ID].i[i];
        }
    }
    return count;
}

static bool is_near(double a, double b, double size)
{
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-10 * size;
}

/* False: the extent is not what the rows give. */
static bool check_extent(const struct model *m, int column, int want, const uint32_t *rows,
                         uint32_t count, const struct scan_extent *extent)
{
    struct scan_extent model = {.row_count = count};
    const struct value *least = NULL, *greatest = NULL;
    bool is_float = false;
    double total = 0, size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct value *value = &m->cells[column][rows[i]];
        model.null_count += value->is_null;
        if (value->is_null)
            continue;
        least = least == NULL || value_compare(value, least) < 0 ? value : least;
        greatest = greatest == NULL || value_compare(value, greatest) > 0 ? value : greatest;
        is_float = type_physical(value->type.id) == PHYSICAL_FLOAT;
        if (is_float) {
            total += value->f;
            size += fabs(value->f);
        }
        if (!is_float)
            model.sum += value->type.id == TYPE_NUMERIC ? value->n.digits : value->i;
    }
    bool is_same = extent->row_count == count && extent->null_count == model.null_count;
    if (want == SCAN_WANT_RANGE && least != NULL)
        is_same =
            is_same && same_value(&extent->least, least) && same_value(&extent->greatest, greatest);
    if (want == SCAN_WANT_SUM)
        is_same = is_same && (is_float ? is_near(extent->total + extent->lost, total, size)
                                       : extent->sum == model.sum);
    return is_same;
}

/* Random filters: each extent that is said to be known, against the rows that come. Returns how
 * many were known; *wrong: one was not right. */
static uint64_t run_extents(struct place *place, uint64_t seed, int count, bool *wrong)
{
    const struct model *m = &place->base.model;
    struct random_stream random;
    struct arena arena;
    struct error error;
    uint32_t *rows = memory_alloc(m->row_count * sizeof(*rows));
    uint64_t known_count = 0;
    random_stream_init(&random, seed);
    arena_init(&arena);
    *wrong = false;
    for (int i = 0; i < count; i++) {
        struct scan_condition conditions[2];
        struct scan_filter filter = {.condition_count = random_below(&random, 3),
                                     .conditions = conditions};
        for (size_t c = 0; c < filter.condition_count; c++)
            conditions[c] = model_condition(&place->base.model, &random, &arena);
        struct cursor *cursor = cursor_open(&place->view, all_columns, M_COLUMNS, &filter);
        for (size_t morsel = 0; morsel < table_view_morsel_count(&place->view); morsel++) {
            struct known known[M_COLUMNS][WANTS];
            bool has, left_out[M_COLUMNS] = {0};
            assert_int_equal(cursor_seek(cursor, morsel, &has, &error), OK);
            for (int k = 0; has && k < M_COLUMNS * WANTS; k++) {
                struct known *one = &known[k / WANTS][k % WANTS];
                size_t column = (size_t)(k / WANTS);
                enum scan_want want = (enum scan_want)(k % WANTS);
                bool is_told;
                assert_int_equal(cursor_extent(cursor, column, want, &is_told, NULL, &error), OK);
                assert_int_equal(
                    cursor_extent(cursor, column, want, &one->is_known, &one->extent, &error), OK);
                assert_int_equal(is_told, one->is_known);
            }
            if (!has)
                continue;
            left_out[M_MESSAGE] = left_out[M_USER] = random_below(&random, 2) == 0;
            cursor_leave_out(cursor, left_out);
            uint32_t row_count = take_rows(cursor, left_out, rows);
            for (int k = 0; k < M_COLUMNS * WANTS; k++) {
                const struct known *one = &known[k / WANTS][k % WANTS];
                known_count += one->is_known;
                *wrong = *wrong || (one->is_known && !check_extent(m, k / WANTS, k % WANTS, rows,
                                                                   row_count, &one->extent));
            }
        }
        cursor_close(cursor);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    memory_free(rows);
    return known_count;
}

static void test_extents(void **state)
{
    (void)state;
    struct place place;
    bool wrong;
    place_make(&place, 300, 0);
    assert_true(run_extents(&place, 301, 40 / SHARE, &wrong) > 500 / SHARE);
    assert_false(wrong);
    fault_plant("sealed.extent_of_zone");
    run_extents(&place, 302, 5, &wrong);
    fault_clear();
    assert_true(wrong);
    place_remove(&place);
}

/* --- single filters: what must be left out --- */

struct lean_case {
    const char *what;
    struct scan_condition condition;
    uint64_t pages_max; /* read, of a cold cache */
    uint32_t given_max;
};

static void test_what_is_left_out(void **state)
{
    (void)state;
    struct value nobody = {.type = type_of(TYPE_TEXT), .text = SLICE("nobody")};
    struct value rare = {.type = type_of(TYPE_TEXT), .text = SLICE("user-17")};
    struct value late = {.type = type_of(TYPE_INT2), .i = 41};
    const struct lean_case cases[] = {
        {"a text that is nowhere: two dictionaries",
         {.test = SCAN_IN, .column = M_USER, .value_count = 1, .values = &nobody},
         2,
         MUTABLE_ROWS},
        {"a rare text: its rows only",
         {.test = SCAN_IN, .column = M_USER, .value_count = 1, .values = &rare},
         100,
         MUTABLE_ROWS + 60},
        {"times of the second segment: one block of each column",
         {.test = SCAN_RANGE,
          .column = M_TS,
          .has_low = true,
          .low = {.type = type_of(TYPE_TIMESTAMPTZ), .i = (ALL_ROWS - 10) * 1000}},
         20,
         10},
        {"a column the segments lack, with another value",
         {.test = SCAN_IN, .column = M_LATE, .value_count = 1, .values = &late},
         0,
         MUTABLE_ROWS},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct place place;
        struct result result;
        place_make(&place, 7, 0);
        struct scan_filter filter = {.condition_count = 1, .conditions = &cases[i].condition};
        judge(&place, &filter);
        scan(&place, &filter, &result);
        if (result.wrong[0] != 0 || result.counts.pages_read > cases[i].pages_max ||
            result.given > cases[i].given_max)
            fail_msg("%s: %llu pages, %u rows given; %s", cases[i].what,
                     (unsigned long long)result.counts.pages_read, result.given, result.wrong);
        place_remove(&place);
    }
}

/* --- planted faults --- */

#ifndef FRESHET_CHECK /* the sensitivity is shown once, by the release build */
static void test_planted_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"sealed.zone_off_by_one", "sealed.code_set_edge",
                                         "sealed.bitmap_wrong_key", "sealed.stale_page"};
    struct place place;
    place_make(&place, 200, 0);
    for (size_t i = 0; i < array_count(faults); i++) {
        struct scan_counts totals = {0};
        char wrong[640];
        fault_plant(faults[i]);
        run_filters(&place, 2000 + i, 300, &totals, wrong, sizeof(wrong));
        fault_clear();
        if (wrong[0] == 0)
            fail_msg("%s was not found", faults[i]);
    }
    place_remove(&place);
}
#endif

/* --- damage --- */

/* A flipped bit anywhere: an error that names the file and a place, or no difference. */
static void test_flipped_bits_are_told(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 99);
    int told = 0;
    for (int i = 0; i < 6; i++) {
        struct place place;
        place_make_of(&place, 3, 0, 100);
        const struct sealed_info *info = sealed_info(place.view.closed->entries[2].sealed);
        char path[SEALED_PATH_SIZE];
        sealed_path("", info->number, path, sizeof(path));
        for (int flip = 0; flip < 6; flip++)
            assert_true(sim_flip_bit(place.base.sim, path, random_below(&random, info->bytes),
                                     (unsigned)random_below(&random, 8)));
        struct result result;
        scan(&place, NULL, &result);
        if (result.wrong[0] != 0) {
            assert_non_null(strstr(result.wrong, "segments/0000000000000006.fseg, offset "));
            told++;
        }
        place_remove(&place);
    }
    assert_true(told >= 5);
}

static void test_a_missing_file_is_told(void **state)
{
    (void)state;
    struct place place;
    struct result result;
    place_make_of(&place, 3, 0, 100);
    assert_int_equal(
        place.base.io->ops->unlink(place.base.io, "segments/0000000000000005.fseg", NULL), OK);
    scan(&place, NULL, &result);
    assert_non_null(strstr(result.wrong, "0000000000000005.fseg"));
    place_remove(&place);
}

/* Reads that fail now and then: that is told, is no damage, and is forgotten with the next read. */
static void test_a_failed_read_is_no_damage(void **state)
{
    (void)state;
    uint32_t told = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct place place;
        struct result result;
        place_make_of(&place, 300 + seed, 0, 100);
        struct sealed *sealed = place.view.closed->entries[0].sealed;
        sim_set_faults(place.base.sim, &(struct sim_faults){.read_error = READ_ERROR_SHARE});
        judge(&place, NULL);
        scan(&place, NULL, &result);
        told += result.wrong[0] != 0 && sealed_is_unreadable(sealed);
        assert_false(sealed_is_damaged(sealed));
        sim_set_faults(place.base.sim, NULL);
        judge(&place, NULL);
        scan(&place, NULL, &result);
        assert_string_equal(result.wrong, "");
        assert_false(sealed_is_unreadable(sealed));
        place_remove(&place);
    }
    assert_true(told >= 3);
}

/* --- life --- */

/* Dictionaries outlive the cursor and the cache, as long as the view's pins. */
static void test_handed_out_dictionaries_stay(void **state)
{
    (void)state;
    struct place place;
    struct view_pins pins;
    view_pins_init(&pins);
    place_make(&place, 3, 1);
    place.view.pins = &pins;
    struct column kept[2];
    uint32_t column = M_USER;
    for (int i = 0; i < 2; i++) {
        struct cursor *cursor = cursor_open(&place.view, &column, 1, NULL);
        struct batch batch;
        bool has;
        assert_int_equal(cursor_seek(cursor, 0, &has, NULL), OK);
        assert_int_equal(cursor_next(cursor, &batch, &has, NULL), OK);
        kept[i] = batch.columns[0];
        assert_int_equal(cursor_seek(cursor, table_view_morsel_count(&place.view) - 1, &has, NULL),
                         OK);
        assert_int_equal(cursor_next(cursor, &batch, &has, NULL), OK);
        assert_int_not_equal(batch.columns[0].dictionary_id, kept[i].dictionary_id);
        /* Held once, and told once, whoever hands it out. */
        assert_int_equal(cursor_counts(cursor)->bytes_pinned != 0, i == 0);
        cursor_close(cursor);
    }
    assert_int_equal(kept[0].dictionary_id, kept[1].dictionary_id);
    assert_int_equal(kept[0].dictionary_count, 4000);
    assert_true(slice_equal(kept[0].dictionary[0], SLICE("user-0")));
    assert_true(slice_equal(kept[0].dictionary[3999], SLICE("user-999")));
    view_pins_release(&pins);
    place_remove(&place);
}

/* What the cache has room for is nobody's own, however many segments a scan goes through. */
static void test_dictionaries_in_the_cache_are_not_charged(void **state)
{
    (void)state;
    struct place place;
    struct view_pins pins;
    view_pins_init(&pins);
    place_make(&place, 3, (size_t)64 << 20);
    place.view.pins = &pins;
    uint32_t columns[] = {M_USER, M_COUNTRY, M_PAGE};
    struct cursor *cursor = cursor_open(&place.view, columns, array_count(columns), NULL);
    for (size_t morsel = 0; morsel < table_view_morsel_count(&place.view); morsel++) {
        struct batch batch;
        bool has;
        assert_int_equal(cursor_seek(cursor, morsel, &has, NULL), OK);
        assert_int_equal(cursor_next(cursor, &batch, &has, NULL), OK);
    }
    assert_int_equal(cursor_counts(cursor)->bytes_pinned, 0);
    cursor_close(cursor);
    view_pins_release(&pins);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_comes_back),
        cmocka_unit_test(test_random_filters),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_what_is_left_out),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_planted_faults_are_found),
#endif
        cmocka_unit_test(test_flipped_bits_are_told),
        cmocka_unit_test(test_a_missing_file_is_told),
        cmocka_unit_test(test_a_failed_read_is_no_damage),
        cmocka_unit_test(test_handed_out_dictionaries_stay),
        cmocka_unit_test(test_dictionaries_in_the_cache_are_not_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
