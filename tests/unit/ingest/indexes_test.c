/* Indexes by name: what a definition says of its columns after each statement and after a restart,
 * and the names that are made up. */
#include "tests/unit/ingest/ingest_harness.h"

#define LONG_NAME "a23456789012345678901234567890123456789012345678901234567890123"

static const struct ingest_column columns[] = {
    {.name = SLICE("ts"), .type = {.id = TYPE_TIMESTAMPTZ}, .is_not_null = true},
    {.name = SLICE("a"), .type = {.id = TYPE_INT8}},
    {.name = SLICE(LONG_NAME), .type = {.id = TYPE_TEXT}},
    {.name = SLICE("f"), .type = {.id = TYPE_FLOAT8}},
};

static void create_table(struct world *world, const char *name)
{
    struct error error;
    uint64_t position;
    struct ingest_table table = {
        .name = slice_from_cstr(name), .column_count = array_count(columns), .columns = columns};
    assert_int_equal(ingest_create_table(world->ingest, &table, &position, &error), OK);
}

static const char *create_index(struct world *world, const char *name, const char *table,
                                const char *column)
{
    static struct error error;
    uint64_t position;
    struct ingest_index index = {.name = slice_from_cstr(name),
                                 .table = slice_from_cstr(table),
                                 .column = slice_from_cstr(column),
                                 .column_position = 9};
    error.text_position = 0;
    return ingest_create_index(world->ingest, &index, &position, &error) == OK ? "ok"
                                                                               : error.sqlstate;
}

static const char *drop_index(struct world *world, const char *name)
{
    static struct error error;
    uint64_t position;
    struct slice slice = slice_from_cstr(name);
    return ingest_drop_indexes(world->ingest, &slice, 1, false, &position, &error) == OK
               ? "ok"
               : error.sqlstate;
}

/* "version index_version column:policy:name …" of the columns that have a policy. */
static void expect_schema(struct world *world, const char *table, uint32_t index_version,
                          uint32_t column, enum index_policy policy, const char *name)
{
    const struct schema *schema = ingest_schema(world->ingest, slice_from_cstr(table));
    assert_int_equal(schema->index_version, index_version);
    assert_int_equal(schema->columns[column].index, policy);
    assert_true(slice_equal(schema->columns[column].index_name, slice_from_cstr(name)));
    schema_unref(schema);
}

static void test_policies(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    create_table(&world, "x");
    static const struct {
        bool is_drop;
        const char *name, *column, *want;
        uint32_t version;
        enum index_policy policy;
        const char *has;
    } steps[] = {
        {false, "", "a", "ok", 1, INDEX_ON, "x_a_idx"},
        {false, "", "a", "42P07", 1, INDEX_ON, "x_a_idx"},
        {false, "x", "a", "42P07", 1, INDEX_ON, "x_a_idx"},
        {false, "", "f", "0A000", 1, INDEX_ON, "x_a_idx"},
        {false, "", "zz", "42703", 1, INDEX_ON, "x_a_idx"},
        {true, "x_a_idx", "a", "ok", 2, INDEX_OFF, ""},
        {true, "x_a_idx", "a", "42704", 2, INDEX_OFF, ""},
        {true, "x", "a", "42809", 2, INDEX_OFF, ""},
        {false, "mine", "a", "ok", 3, INDEX_ON, "mine"},
        {true, "mine", "a", "ok", 4, INDEX_OFF, ""},
    };
    for (size_t i = 0; i < array_count(steps); i++) {
        const char *got = steps[i].is_drop
                              ? drop_index(&world, steps[i].name)
                              : create_index(&world, steps[i].name, "x", steps[i].column);
        if (strcmp(got, steps[i].want) != 0)
            fail_msg("step %zu: %s, want %s", i, got, steps[i].want);
        expect_schema(&world, "x", steps[i].version, 1, steps[i].policy, steps[i].has);
        if (i % 3 == 0)
            world_reopen(&world);
        expect_schema(&world, "x", steps[i].version, 1, steps[i].policy, steps[i].has);
    }
    world_deinit(&world);
}

/* 63 bytes in all; the next free number behind it when another table has the name. */
static void test_names(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    create_table(&world, "x");
    create_table(&world, "y");
    static const char cut[] = "x_a2345678901234567890123456789012345678901234567890123456_idx";
    assert_string_equal(create_index(&world, "", "x", LONG_NAME), "ok");
    const struct schema *schema = ingest_schema(world.ingest, SLICE("x"));
    assert_int_equal(schema->columns[2].index_name.size, IDENTIFIER_SIZE_MAX);
    assert_memory_equal(schema->columns[2].index_name.data, cut, sizeof(cut) - 6);
    schema_unref(schema);
    assert_string_equal(create_index(&world, "y_a_idx", "x", "a"), "ok");
    assert_string_equal(create_index(&world, "", "y", "a"), "ok");
    expect_schema(&world, "y", 1, 1, INDEX_ON, "y_a_idx1");
    assert_string_equal(create_index(&world, "y_a_idx1", "y", "ts"), "42P07");
    create_table(&world, "y_ts_idx");
    assert_string_equal(create_index(&world, "", "y", "ts"), "ok");
    expect_schema(&world, "y", 2, 0, INDEX_ON, "y_ts_idx1");
    assert_string_equal(drop_index(&world, "y_ts_idx1"), "ok");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_policies),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
