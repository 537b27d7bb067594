/* Views as bytes: sections, checkpoints, damage to both at every place; who reads whom. */
#include "ingest/state/views.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void put(struct views *views, uint32_t id, const char *name, size_t count,
                const uint32_t *view_ids)
{
    struct view_column columns[] = {
        {SLICE("a"), SLICE("x"), {.id = TYPE_INT4}},
        {SLICE("n"), SLICE("sum"), {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}}};
    uint32_t table_ids[] = {7, id + 100}, copies[8];
    struct slice names[8] = {SLICE("t"), SLICE("u")};
    for (size_t i = 0; i < count; i++)
        copies[i] = view_ids[i];
    struct view_definition view = {.id = id,
                                   .name = slice_from_cstr(name),
                                   .text = SLICE("SELECT x, sum(y) FROM t"),
                                   .column_count = 2,
                                   .columns = columns,
                                   .table_count = 2,
                                   .table_ids = table_ids,
                                   .view_count = count,
                                   .view_ids = copies,
                                   .table_names = names,
                                   .view_names = names,
                                   .endpoint = slice_from_cstr(name),
                                   .parameters = SLICE("a integer = '1'")};
    struct writer section;
    struct error error;
    writer_init(&section);
    view_write_put(&section, &view);
    assert_int_equal(views_apply_change(views, writer_as_slice(&section), &error), OK);
    for (size_t size = 0; size < section.size; size++) {
        struct slice cut = slice_of((const char *)section.data, size);
        assert_int_equal(views_apply_change(views, cut, &error), ERR_CORRUPT);
    }
    writer_u8(&section, 0);
    assert_int_equal(views_apply_change(views, writer_as_slice(&section), &error), ERR_CORRUPT);
    writer_deinit(&section);
}

static void drop(struct views *views, uint32_t id)
{
    struct writer section;
    struct error error;
    writer_init(&section);
    view_write_drop(&section, id);
    assert_int_equal(views_apply_change(views, writer_as_slice(&section), &error), OK);
    writer_deinit(&section);
}

/* a <- b <- c, d on its own */
static void fill(struct views *views)
{
    put(views, 1, "a", 0, NULL);
    put(views, 2, "b", 1, (uint32_t[]){1});
    put(views, 3, "c", 2, (uint32_t[]){9, 2});
    put(views, 5, "d", 0, NULL);
}

static void test_changes(void **state)
{
    (void)state;
    struct views views = {0};
    fill(&views);
    assert_int_equal(views.count, 4);
    assert_int_equal(views.next_id, 6);
    const struct view_definition *view = views_find(&views, SLICE("b"));
    assert_true(view == views_get(&views, 2) && slice_equal(view->columns[1].source, SLICE("sum")));
    assert_int_equal(view->columns[1].type.scale, 2);
    assert_null(views_find(&views, SLICE("nope")));
    put(&views, 2, "b", 1, (uint32_t[]){5}); /* in its place */
    assert_int_equal(views.count, 4);
    drop(&views, 5);
    drop(&views, 5);
    assert_null(views_find(&views, SLICE("d")));
    assert_int_equal(views.next_id, 6);
    views_deinit(&views);
}

static void test_readers(void **state)
{
    (void)state;
    struct views views = {0};
    fill(&views);
    assert_true(views_reach(&views, (uint32_t[]){3}, 1, 1));
    assert_true(views_reach(&views, (uint32_t[]){5, 2}, 2, 2));
    assert_false(views_reach(&views, (uint32_t[]){1, 5}, 2, 3));
    assert_false(views_reach(&views, NULL, 0, 1));
    assert_true(views_reader(&views, 1, true) == views_get(&views, 2));
    assert_null(views_reader(&views, 5, true));
    assert_true(views_reader(&views, 105, false) == views_get(&views, 5));
    assert_null(views_reader(&views, 99, false));
    views_deinit(&views);
}

static void test_checkpoint(void **state)
{
    (void)state;
    struct views views = {0}, again = {0};
    struct writer first, second;
    fill(&views);
    drop(&views, 5);
    writer_init(&first);
    writer_init(&second);
    views_write(&views, &first);
    struct reader reader = reader_of(writer_as_slice(&first));
    assert_true(views_read(&again, VIEWS_FORMAT, &reader) && reader_left(&reader) == 0);
    assert_int_equal(again.next_id, 6);
    views_write(&again, &second);
    assert_true(slice_equal(writer_as_slice(&first), writer_as_slice(&second)));
    for (size_t size = 0; size < first.size; size++) {
        struct views damaged = {0};
        reader = reader_of(slice_of((const char *)first.data, size));
        assert_false(views_read(&damaged, VIEWS_FORMAT, &reader));
        views_deinit(&damaged);
    }
    writer_deinit(&first);
    writer_deinit(&second);
    views_deinit(&views);
    views_deinit(&again);
}

/* What was written before there were endpoints. */
static void test_first_format(void **state)
{
    (void)state;
    struct views views = {0};
    struct view_column column = {SLICE("a"), SLICE("a"), {.id = TYPE_INT4}};
    struct view_definition view = {.id = 4,
                                   .name = SLICE("old"),
                                   .text = SLICE("SELECT 1 AS a"),
                                   .column_count = 1,
                                   .columns = &column};
    struct writer section;
    struct error error;
    writer_init(&section);
    view_write_put(&section, &view);
    section.data[0] = 2;
    section.size -= 2; /* the kind, an empty text */
    assert_int_equal(views_apply_change(&views, writer_as_slice(&section), &error), OK);
    assert_false(views_find(&views, SLICE("old"))->is_materialized);
    section.data[0] = 1;
    section.size -= 2; /* two empty texts */
    assert_int_equal(views_apply_change(&views, writer_as_slice(&section), &error), OK);
    assert_int_equal(views_find(&views, SLICE("old"))->endpoint.size, 0);
    section.data[0] = 4;
    assert_int_equal(views_apply_change(&views, writer_as_slice(&section), &error), ERR_CORRUPT);
    writer_deinit(&section);
    views_deinit(&views);
}

static void test_materialized(void **state)
{
    (void)state;
    struct views views = {0};
    struct view_definition view = {.id = 4,
                                   .name = SLICE("r"),
                                   .text = SLICE("SELECT 1 AS a"),
                                   .is_materialized = true,
                                   .zone = SLICE("Europe/Berlin")};
    struct writer section;
    struct error error;
    writer_init(&section);
    view_write_put(&section, &view);
    assert_int_equal(views_apply_change(&views, writer_as_slice(&section), &error), OK);
    const struct view_definition *kept = views_find(&views, SLICE("r"));
    assert_true(kept->is_materialized && slice_equal(kept->zone, SLICE("Europe/Berlin")));
    section.data[section.size - 15] = 2; /* a kind that there is not */
    assert_int_equal(views_apply_change(&views, writer_as_slice(&section), &error), ERR_CORRUPT);
    writer_deinit(&section);
    views_deinit(&views);
}

static void test_endpoints(void **state)
{
    (void)state;
    struct views views = {0};
    fill(&views);
    const struct view_definition *view = views_find_endpoint(&views, SLICE("c"));
    assert_true(view == views_get(&views, 3) && slice_equal(view->view_names[1], SLICE("u")));
    assert_true(slice_equal(view->parameters, SLICE("a integer = '1'")));
    assert_null(views_find_endpoint(&views, SLICE("")));
    assert_null(views_find_endpoint(&views, SLICE("nope")));
    views_deinit(&views);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_format), cmocka_unit_test(test_materialized),
        cmocka_unit_test(test_endpoints),    cmocka_unit_test(test_changes),
        cmocka_unit_test(test_readers),      cmocka_unit_test(test_checkpoint)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
