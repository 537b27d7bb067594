/* Views by name: what is refused, what depends on what, and what is there after a restart. */
#include "tests/unit/ingest/ingest_harness.h"

static const char *create(struct world *world, const char *name, const char *text, bool is_replace,
                          uint32_t table_id, uint32_t view_id)
{
    static struct error error;
    uint64_t position;
    struct view_column columns[] = {{SLICE("a"), SLICE("a"), {.id = TYPE_INT8}}};
    struct view_definition view = {.name = slice_from_cstr(name),
                                   .text = slice_from_cstr(text),
                                   .column_count = 1,
                                   .columns = columns,
                                   .table_count = table_id != UINT32_MAX,
                                   .table_ids = &table_id,
                                   .view_count = view_id != UINT32_MAX,
                                   .view_ids = &view_id};
    enum err err = ingest_create_view(world->ingest, &view, is_replace, &position, &error);
    assert_true(err != OK || position > 0);
    return err == OK ? "ok" : error.sqlstate;
}

/* A view bound against a version of a table, and against a view as it was. */
static const char *create_late(struct world *world, uint32_t table_id, uint64_t version,
                               uint32_t view_id, uint64_t mark)
{
    static struct error error;
    uint64_t position;
    struct view_column columns[] = {{SLICE("a"), SLICE("a"), {.id = TYPE_INT8}}};
    struct view_definition view = {.name = SLICE("late"),
                                   .text = SLICE("SELECT a FROM t"),
                                   .column_count = 1,
                                   .columns = columns,
                                   .table_count = 1,
                                   .table_ids = &table_id,
                                   .table_marks = &version,
                                   .view_count = 1,
                                   .view_ids = &view_id,
                                   .view_marks = &mark};
    return ingest_create_view(world->ingest, &view, true, &position, &error) == OK ? "ok"
                                                                                   : error.sqlstate;
}

static void test_changes_since_it_was_bound(void **state)
{
    (void)state;
    struct world world;
    struct arena arena;
    struct view_definition view;
    uint64_t position;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    uint32_t table = schema->table_id, version = schema->version;
    schema_unref(schema);
    assert_string_equal(create(&world, "v", "SELECT a FROM t", false, UINT32_MAX, UINT32_MAX),
                        "ok");
    arena_init(&arena);
    assert_true(ingest_find_view(world.ingest, SLICE("v"), &arena, &view));
    uint64_t mark = view_mark(&view);
    assert_string_equal(create_late(&world, table, version, view.id, mark), "ok");
    struct ingest_rename rename = {
        .name = SLICE("v"), .column = SLICE("a"), .new_name = SLICE("b"), .is_view = true};
    assert_int_equal(ingest_drop_views(world.ingest, &(struct slice){"late", 4}, 1, false, false,
                                       &position, NULL),
                     OK);
    assert_int_equal(ingest_rename(world.ingest, &rename, &position, NULL), OK);
    assert_string_equal(create_late(&world, table, version, view.id, mark), "40001");
    assert_true(ingest_find_view(world.ingest, SLICE("v"), &arena, &view));
    mark = view_mark(&view);
    assert_string_equal(create_late(&world, table, version, view.id, mark), "ok");
    assert_string_equal(create_late(&world, table, version + 1, view.id, mark), "40001");
    arena_deinit(&arena);
    world_deinit(&world);
}

static const char *drop(struct world *world, const char *name, const char *other)
{
    static struct error error;
    uint64_t position;
    struct slice names[] = {slice_from_cstr(name), slice_from_cstr(other)};
    return ingest_drop_views(world->ingest, names, *other == 0 ? 1 : 2, false, false, &position,
                             &error) == OK
               ? "ok"
               : error.sqlstate;
}

static uint32_t id_of(struct world *world, const char *name)
{
    struct arena arena;
    struct view_definition view;
    arena_init(&arena);
    assert_true(ingest_find_view(world->ingest, slice_from_cstr(name), &arena, &view));
    arena_deinit(&arena);
    return view.id;
}

static void test_views(void **state)
{
    (void)state;
    struct world world;
    struct writer text;
    struct error error;
    uint64_t position;
    writer_init(&text);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    uint32_t t = schema->table_id, none = UINT32_MAX;
    schema_unref(schema);
    uint64_t version = ingest_view_version(world.ingest);
    assert_string_equal(create(&world, "v", "SELECT a FROM t", false, t, none), "ok");
    assert_true(ingest_view_version(world.ingest) > version);
    uint32_t v = id_of(&world, "v");
    assert_string_equal(create(&world, "v", "SELECT 1", false, none, none), "42P07");
    assert_string_equal(create(&world, "t", "SELECT 1", false, none, none), "42P07");
    assert_string_equal(create(&world, "t", "SELECT 1", true, none, none), "42809");
    assert_string_equal(create(&world, "w", "SELECT a FROM v", false, none, v), "ok");
    assert_string_equal(create(&world, "x", "SELECT 1", false, t + 50, none), "40001");
    assert_string_equal(create(&world, "x", "SELECT 1", false, none, v + 50), "40001");
    assert_string_equal(create(&world, "v", "SELECT a FROM w", true, none, id_of(&world, "w")),
                        "42P17");
    for (int round = 0; round < 2; round++) {
        world_print_provider(&world, "views", &text);
        expect_text(text, "v|SELECT a FROM t|a bigint|~|;w|SELECT a FROM v|a bigint|~|;");
        assert_string_equal(drop(&world, "v", ""), "2BP01");
        assert_string_equal(drop(&world, "t", ""), "42809");
        assert_string_equal(drop(&world, "w", "nope"), "42P01");
        struct slice name = SLICE("t");
        assert_int_equal(ingest_drop_tables(world.ingest, &name, 1, false, &position, &error),
                         ERR_INPUT);
        assert_string_equal(error.sqlstate, "2BP01");
        assert_int_equal(
            ingest_drop_column(world.ingest, SLICE("t"), SLICE("a"), false, &position, &error),
            ERR_INPUT);
        assert_string_equal(error.sqlstate, "2BP01");
        world_reopen(&world);
    }
    assert_string_equal(create(&world, "v", "SELECT 2 AS a", true, none, none), "ok");
    assert_int_equal(id_of(&world, "v"), v);
    struct slice name = SLICE("t");
    assert_int_equal(ingest_drop_tables(world.ingest, &name, 1, false, &position, &error), OK);
    assert_string_equal(drop(&world, "v", "w"), "ok");
    world_reopen(&world);
    world_print_provider(&world, "views", &text);
    expect_text(text, "");
    assert_string_equal(create(&world, "v", "SELECT 3 AS a", false, none, none), "ok");
    assert_true(id_of(&world, "v") > v); /* ids never come back */
    world_deinit(&world);
    writer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_views),
                                       cmocka_unit_test(test_changes_since_it_was_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
