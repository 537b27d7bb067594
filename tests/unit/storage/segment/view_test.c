/* Views over sealed, frozen and open segments together: rows, morsels, times, figures; references
 * and the files of discarded segments. */
#include "storage/segment/view.h"

#include "storage/encoding/encoding.h"

#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct schema *make_schema(void)
{
    struct schema *schema = schema_create();
    schema->table_id = 7;
    schema->version = 1;
    schema->name = SLICE("t");
    schema->column_count = 2;
    schema->columns = arena_alloc_zero(&schema->arena, 2 * sizeof(*schema->columns));
    schema->columns[0] =
        (struct column_definition){.id = 1, .name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ)};
    schema->columns[1] =
        (struct column_definition){.id = 2, .name = SLICE("n"), .type = type_of(TYPE_INT8)};
    for (int i = 0; i < 2; i++)
        schema->columns[i].missing =
            (struct value){.type = schema->columns[i].type, .is_null = true};
    schema->next_column_id = 3;
    schema->time_column = 0;
    schema->created_at_us = 5;
    return schema;
}

/* Rows with times and numbers first, first + 1, … */
static void append(struct segment *segment, const struct schema *schema, int64_t first,
                   uint32_t count)
{
    struct arena arena;
    arena_init(&arena);
    int64_t *numbers = arena_alloc_array(&arena, count, sizeof(*numbers));
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = first + i;
    struct stored_column columns[2] = {{.column_id = 1, .type = schema->columns[0].type},
                                       {.column_id = 2, .type = schema->columns[1].type}};
    for (int i = 0; i < 2; i++) {
        columns[i].encoding = STORED_FIXED;
        columns[i].values = numbers;
    }
    struct stored_rows rows = {.table_id = 7,
                               .schema_version = 1,
                               .row_count = count,
                               .column_count = 2,
                               .columns = columns};
    segment_append(segment, schema, &rows);
    arena_deinit(&arena);
}

static struct published published(const struct segment *segment, uint64_t first, uint64_t last)
{
    return (struct published){.rows = segment_rows(segment),
                              .chunk_count = segment_chunk_count(segment),
                              .first_position = first,
                              .last_position = last};
}

struct place {
    struct sim *sim;
    struct io *io;
    struct sealed_source *source;
    struct budget budget;
    struct pool *pool;
    struct schema *schema;
};

static void place_make(struct place *place)
{
    *place = (struct place){.budget = {.limit = SIZE_MAX, .name = "rows"}};
    place->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(place->sim, &place->io);
    place->source =
        sealed_source_create(&(struct sealed_source_options){.io = place->io, .directory = ""});
    place->pool = pool_create(&place->budget);
    place->schema = make_schema();
}

static void place_remove(struct place *place)
{
    schema_unref(place->schema);
    assert_int_equal(atomic_load(&place->budget.used), 0);
    pool_destroy(place->pool);
    sealed_source_destroy(place->source);
    place->io->ops->destroy(place->io);
    sim_destroy(place->sim);
}

static struct sealed *make_sealed(struct place *place, uint64_t number, uint32_t rows,
                                  int64_t min_us)
{
    struct sealed_info info = {.number = number,
                               .table_id = 7,
                               .row_count = rows,
                               .bytes = 1000 * number,
                               .min_time_us = min_us,
                               .max_time_us = min_us + 10,
                               .first_position = number,
                               .last_position = number + 1,
                               .created_at_us = 99};
    return sealed_create(place->source, &info);
}

/* sealed 70,000 rows (2 blocks) | frozen 100 rows | frozen, empty | sealed 65,536 rows | open 10 */
static struct table_view make_view(struct place *place)
{
    struct segment_entry entries[4] = {
        {.sealed = make_sealed(place, 10, 70000, 1000)},
        {.segment = segment_create(place->pool)},
        {.segment = segment_create(place->pool)},
        {.sealed = make_sealed(place, 30, BLOCK_ROWS_MAX, 3000)},
    };
    append(entries[1].segment, place->schema, 2000, 100);
    entries[1].published = published(entries[1].segment, 20, 29);
    struct table_view view = {.schema = place->schema,
                              .closed = segment_list_create(entries, 4),
                              .segment = segment_create(place->pool)};
    append(view.segment, place->schema, 500, 10);
    view.published = published(view.segment, 40, 41);
    sealed_unref(entries[0].sealed);
    segment_unref(entries[1].segment);
    segment_unref(entries[2].segment);
    sealed_unref(entries[3].sealed);
    return view;
}

static void drop_view(struct table_view *view)
{
    segment_list_unref(view->closed);
    segment_unref(view->segment);
}

static void test_morsels_of_all_kinds(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    struct table_view view = make_view(&place);
    assert_int_equal(table_view_rows(&view), 70000 + 100 + 65536 + 10);
    static const struct {
        uint64_t begin, end;
        int64_t min_us, max_us;
    } want[] = {
        {0, 65536, 1000, 1010},      {65536, 70000, 1000, 1010}, {70000, 70100, 2000, 2099},
        {70100, 135636, 3000, 3010}, {135636, 135646, 500, 509},
    };
    assert_int_equal(table_view_morsel_count(&view), array_count(want));
    for (size_t i = 0; i < array_count(want); i++) {
        struct morsel_range range = table_view_morsel(&view, i);
        int64_t min_us = 0, max_us = 0;
        assert_int_equal(range.begin, want[i].begin);
        assert_int_equal(range.end, want[i].end);
        assert_true(table_view_morsel_times(&view, i, &min_us, &max_us));
        assert_int_equal(min_us, want[i].min_us);
        assert_int_equal(max_us, want[i].max_us);
    }
    assert_int_equal(view_morsel_place(&view, 1).index, 1);
    assert_ptr_equal(view_morsel_place(&view, 1).entry, &view.closed->entries[0]);
    assert_null(view_morsel_place(&view, 4).entry);
    drop_view(&view);
    place_remove(&place);
}

static void test_mutable_rows_of_all_segments_are_read(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    struct table_view view = make_view(&place);
    static const uint32_t columns[] = {1};
    static const struct {
        size_t morsel;
        int64_t first;
        size_t rows;
    } want[] = {{2, 2000, 100}, {4, 500, 10}};
    struct cursor *cursor = cursor_open(&view, columns, 1, NULL);
    for (size_t i = 0; i < array_count(want); i++) {
        struct batch batch;
        bool has = false;
        assert_int_equal(cursor_seek(cursor, want[i].morsel, &has, NULL), OK);
        assert_true(has);
        assert_int_equal(cursor_next(cursor, &batch, &has, NULL), OK);
        assert_true(has);
        assert_int_equal(batch.row_count, want[i].rows);
        for (size_t row = 0; row < batch.row_count; row++)
            assert_int_equal(batch.columns[0].i[row], want[i].first + (int64_t)row);
        assert_int_equal(cursor_next(cursor, &batch, &has, NULL), OK);
        assert_false(has);
    }
    cursor_close(cursor);
    drop_view(&view);
    place_remove(&place);
}

static void test_figures(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    struct table_view view = make_view(&place);
    struct table_statistics all;
    table_view_statistics(&view, &all);
    assert_int_equal(all.rows, table_view_rows(&view));
    assert_int_equal(all.mutable_rows, 110);
    assert_int_equal(all.bytes, 40000 + all.mutable_bytes);
    assert_int_equal(all.segment_count, 4);
    assert_int_equal(all.sealed_count, 2);
    assert_int_equal(all.min_time_us, 500);
    assert_int_equal(all.max_time_us, 3010);
    assert_int_equal(all.first_position, 10);
    assert_int_equal(all.last_position, 41);
    static const struct {
        const char *id;
        bool is_sealed;
        uint64_t rows, first, last;
    } want[] = {
        {"s10", true, 70000, 10, 11},
        {"m7-1", false, 100, 20, 29},
        {"s30", true, 65536, 30, 31},
        {"m7-2", false, 10, 40, 41},
    };
    assert_int_equal(table_view_segment_count(&view), array_count(want));
    for (size_t i = 0; i < array_count(want); i++) {
        struct segment_statistics one;
        table_view_segment(&view, i, &one);
        assert_string_equal(one.id, want[i].id);
        assert_int_equal(one.is_sealed, want[i].is_sealed);
        assert_int_equal(one.rows, want[i].rows);
        assert_int_equal(one.first_position, want[i].first);
        assert_int_equal(one.last_position, want[i].last);
        assert_int_equal(one.created_at_us, one.is_sealed ? 99 : 5);
    }
    drop_view(&view);
    place_remove(&place);
}

static void test_no_segments(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    assert_null(segment_list_create(NULL, 0));
    segment_list_unref(segment_list_ref(NULL));
    struct table_view view = {.schema = place.schema};
    struct table_statistics all;
    table_view_statistics(&view, &all);
    assert_int_equal(all.rows, 0);
    assert_true(all.min_time_us > all.max_time_us);
    assert_int_equal(table_view_morsel_count(&view), 0);
    assert_int_equal(table_view_segment_count(&view), 0);
    place_remove(&place);
}

static bool has_file(struct io *io, const char *name)
{
    struct io_file *file;
    if (io->ops->open(io, name, 0, &file, NULL) != OK)
        return false;
    assert_int_equal(io->ops->close(file, NULL), OK);
    return true;
}

/* The file of a discarded segment goes with the last list that has it, not before. */
static void test_a_discarded_segment_takes_its_file_along(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    static const char path[] = "segments/00000000000000ab.fseg";
    char got[SEALED_PATH_SIZE];
    sealed_path("", 0xab, got, sizeof(got));
    assert_string_equal(got, path);
    assert_int_equal(place.io->ops->mkdir(place.io, SEALED_DIRECTORY, NULL), OK);
    struct io_file *file;
    assert_int_equal(place.io->ops->open(place.io, path, IO_CREATE | IO_WRITE, &file, NULL), OK);
    assert_int_equal(place.io->ops->close(file, NULL), OK);

    struct segment_entry entry = {.sealed = make_sealed(&place, 0xab, 5, 0)};
    struct segment_list *first = segment_list_create(&entry, 1);
    sealed_unref(entry.sealed);
    struct segment_list *second = segment_list_create(&first->entries[0], 1);
    segment_list_unref(first);
    assert_true(has_file(place.io, path));
    sealed_discard(second->entries[0].sealed);
    assert_true(has_file(place.io, path));
    segment_list_unref(second);
    assert_false(has_file(place.io, path));
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_morsels_of_all_kinds),
        cmocka_unit_test(test_mutable_rows_of_all_segments_are_read),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_no_segments),
        cmocka_unit_test(test_a_discarded_segment_takes_its_file_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
