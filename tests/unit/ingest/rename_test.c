/* Renaming: rows, maps and options follow, what cannot follow refuses, a restart knows it. */
#include "tests/unit/ingest/ingest_harness.h"

static const char *rename_to(struct world *world, const char *table, const char *column,
                             const char *name)
{
    static struct error error;
    struct ingest_rename rename = {.name = slice_from_cstr(table),
                                   .column = slice_from_cstr(column),
                                   .new_name = slice_from_cstr(name)};
    uint64_t position;
    return ingest_rename(world->ingest, &rename, &position, &error) == OK ? "ok" : error.sqlstate;
}

static void create_view(struct world *world, struct slice table_name)
{
    struct error error;
    uint64_t position;
    struct view_column column = {SLICE("a"), SLICE("a"), {.id = TYPE_INT8}};
    const struct schema *schema = ingest_schema(world->ingest, SLICE("t"));
    uint32_t id = schema->table_id;
    schema_unref(schema);
    struct view_definition view = {.name = SLICE("v"),
                                   .text = SLICE("SELECT a FROM t"),
                                   .column_count = 1,
                                   .columns = &column,
                                   .table_count = 1,
                                   .table_ids = &id,
                                   .table_names = &table_name};
    assert_int_equal(ingest_create_view(world->ingest, &view, true, &position, &error), OK);
}

static void test_tables(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    assert_string_equal(rename_to(&world, "nope", "", "x"), "42P01");
    assert_string_equal(rename_to(&world, "t", "", "t"), "42P07");
    create_view(&world, SLICE("")); /* one that does not know its names */
    assert_string_equal(rename_to(&world, "t", "", "x"), "2BP01");
    create_view(&world, SLICE("t"));
    assert_string_equal(rename_to(&world, "t", "", "v"), "42P07");
    assert_string_equal(rename_to(&world, "t", "", "x"), "ok");
    assert_int_equal(world_rows(&world, "x"), 0);
    assert_int_equal(world_rows(&world, "t"), UINT64_MAX);
    assert_string_equal(rename_to(&world, "v", "", "x"), "42P07");
    assert_string_equal(rename_to(&world, "v", "", "w"), "ok");
    assert_true(ingest_is_view(world.ingest, SLICE("w")));
    assert_string_equal(rename_to(&world, "w", "nope", "b"), "42703");
    assert_string_equal(rename_to(&world, "x", "a", "b"), "2BP01");
    world_deinit(&world);
}

static void test_columns(void **state)
{
    (void)state;
    struct world world;
    const struct ingest_option options[] = {
        {.name = SLICE("time"), .value = SLICE("ts")},
        {.name = SLICE("map"), .value = SLICE("{\"a\":\"/x/a\",\"t\":\"/t\"}")},
        {.name = SLICE("order_by"), .value = SLICE("t, ts")}};
    world_init(&world);
    world_create_table(&world, options, 2);
    assert_string_equal(rename_to(&world, "t", "nope", "x"), "42703");
    assert_string_equal(rename_to(&world, "t", "a", "t"), "42701");
    assert_string_equal(rename_to(&world, "t", "a", "b \"c\""), "ok");
    assert_string_equal(rename_to(&world, "t", "ts", "at"), "ok");
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    assert_true(slice_equal(schema->options.map, SLICE("{\"b \\\"c\\\"\":\"/x/a\",\"t\":\"/t\"}")));
    assert_true(slice_equal(schema->options.text,
                            SLICE("{\"time\":\"at\",\"map\":\"{\\\"b \\\\\\\"c\\\\\\\"\\\":"
                                  "\\\"/x/a\\\",\\\"t\\\":\\\"/t\\\"}\"}")));
    assert_int_equal(schema->time_column, 0);
    schema_unref(schema);
    world_deinit(&world);
    world_init(&world);
    world_create_table(&world, options, 3);
    assert_string_equal(rename_to(&world, "t", "t", "u"), "2BP01"); /* order_by is text */
    assert_string_equal(rename_to(&world, "t", "ts", "u"), "2BP01");
    world_deinit(&world);
    /* A name within another name is none. */
    const struct ingest_option parts[] = {
        {.name = SLICE("time"), .value = SLICE("ts")},
        {.name = SLICE("version"), .value = SLICE("a")},
        {.name = SLICE("order_by"), .value = SLICE("\"ts\" desc")}};
    world_init(&world);
    world_create_table(&world, parts, 3);
    assert_string_equal(rename_to(&world, "t", "t", "u"), "ok");
    assert_string_equal(rename_to(&world, "t", "a", "b"), "ok");
    assert_string_equal(rename_to(&world, "t", "ts", "at"), "2BP01");
    schema = ingest_schema(world.ingest, SLICE("t"));
    assert_true(
        slice_equal(schema->options.text, SLICE("{\"time\":\"ts\",\"version\":\"b\",\"order_by\":"
                                                "\"\\\"ts\\\" desc\"}")));
    schema_unref(schema);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
