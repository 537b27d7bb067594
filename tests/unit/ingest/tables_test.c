/* DDL and options: what is made, what is refused and with which SQLSTATE, and that it is there
 * after a restart. */
#include "tests/unit/ingest/ingest_harness.h"

#include "query/asker.h"

static const struct ingest_column columns[] = {
    {.name = SLICE("ts"), .type = {.id = TYPE_TIMESTAMPTZ}, .is_not_null = true},
    {.name = SLICE("a"), .type = {.id = TYPE_INT8}},
    {.name = SLICE("j"), .type = {.id = TYPE_JSONB}},
};

static const char *create(struct world *world, const char *option, const char *value)
{
    static struct error error;
    struct ingest_option options = {.name = slice_from_cstr(option),
                                    .value = slice_from_cstr(value)};
    struct ingest_table table = {.name = SLICE("x"),
                                 .column_count = array_count(columns),
                                 .columns = columns,
                                 .options = &options,
                                 .option_count = option[0] != 0};
    uint64_t position;
    if (ingest_create_table(world->ingest, &table, &position, &error) != OK)
        return error.sqlstate;
    struct slice name = SLICE("x");
    assert_int_equal(ingest_drop_tables(world->ingest, &name, 1, false, &position, &error), OK);
    return "ok";
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *option, *value, *want;
    } cases[] = {
        {"", "", "ok"},
        {"time", "ts", "ok"},
        {"TIME", "ts", "ok"},
        {"time", "a", "22023"},
        {"time", "nope", "42703"},
        {"lateness", "5 minutes", "ok"},
        {"lateness", "0 s", "ok"},
        {"lateness", "-1 s", "22023"},
        {"lateness", "soon", "22023"},
        {"future", "1 d", "ok"},
        {"late", "amend", "ok"},
        {"late", "divert", "0A000"},
        {"late", "drop", "0A000"},
        {"late", "x", "22023"},
        {"retention", "30 d", "ok"},
        {"retention", "off", "ok"},
        {"order_by", "a, ts desc", "ok"},
        {"order_by", "nope", "22023"},
        {"map", "{\"a\":\"/x/y\"}", "ok"},
        {"map", "{\"a\":\"x\"}", "22023"},
        {"map", "{\"nope\":\"/x\"}", "42703"},
        {"map", "[]", "22023"},
        {"rest", "j", "ok"},
        {"rest", "a", "22023"},
        {"whole", "off", "ok"},
        {"whole", "j", "ok"},
        {"unknown", "reject", "ok"},
        {"unknown", "x", "22023"},
        {"raw", "7 d", "ok"},
        {"raw", "off", "ok"},
        {"version", "a", "ok"},
        {"version", "nope", "42703"},
        {"schema_on_write", "off", "ok"},
        {"schema_on_write", "on", "0A000"},
        {"colour", "red", "22023"},
    };
    struct world world;
    world_init(&world);
    for (size_t i = 0; i < array_count(cases); i++) {
        const char *got = create(&world, cases[i].option, cases[i].value);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s = '%s': %s, want %s", cases[i].option, cases[i].value, got, cases[i].want);
    }
    world_deinit(&world);
}

static void expect_error(enum err err, const struct error *error, const char *sqlstate)
{
    assert_int_not_equal(err, OK);
    assert_string_equal(error->sqlstate, sqlstate);
}

static void test_create_and_drop(void **state)
{
    (void)state;
    struct world world;
    struct error error;
    uint64_t position;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct ingest_table table = {.name = SLICE("t"), .column_count = 1, .columns = columns};
    expect_error(ingest_create_table(world.ingest, &table, &position, &error), &error, "42P07");
    table.if_not_exists = true;
    assert_int_equal(ingest_create_table(world.ingest, &table, &position, &error), OK);
    const struct ingest_column twice[] = {{.name = SLICE("a"), .type = {.id = TYPE_INT8}},
                                          {.name = SLICE("a"), .type = {.id = TYPE_INT8}}};
    struct ingest_table bad = {.name = SLICE("b"), .column_count = 2, .columns = twice};
    expect_error(ingest_create_table(world.ingest, &bad, &position, &error), &error, "42701");
    bad.column_count = 1;
    bad.name = SLICE("a234567890123456789012345678901234567890123456789012345678901234");
    expect_error(ingest_create_table(world.ingest, &bad, &position, &error), &error, "42622");
    struct slice names[] = {SLICE("t"), SLICE("nope")};
    expect_error(ingest_drop_tables(world.ingest, names, 2, false, &position, &error), &error,
                 "42P01");
    assert_int_equal(world_rows(&world, "t"), 0);
    assert_int_equal(world_post(&world, "t", "{\"ts\":0}").status, 200);
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    struct table_right grant = {.table_id = schema->table_id, .rights = RIGHT_INSERT};
    struct asker asker = {.grant_count = 1, .grants = &grant};
    schema_unref(schema);
    expect_error(ingest_truncate(world.ingest, names, 1, &asker, &position, &error), &error,
                 "42501");
    asker.grant_count = 0;
    expect_error(ingest_truncate(world.ingest, names, 1, &asker, &position, &error), &error,
                 "42P01");
    assert_int_equal(world_rows(&world, "t"), 1);
    asker.grant_count = 1;
    grant.rights |= RIGHT_TRUNCATE;
    assert_int_equal(ingest_truncate(world.ingest, names, 1, &asker, &position, &error), OK);
    assert_int_equal(world_rows(&world, "t"), 0);
    assert_int_equal(ingest_drop_tables(world.ingest, names, 2, true, &position, &error), OK);
    assert_int_equal(world_rows(&world, "t"), UINT64_MAX);
    expect_error(ingest_truncate(world.ingest, names, 1, NULL, &position, &error), &error, "42P01");
    world_deinit(&world);
}

static void test_alter(void **state)
{
    (void)state;
    struct world world;
    struct error error;
    struct writer out;
    uint64_t position;
    writer_init(&out);
    world_init(&world);
    world_create_table(&world, NULL, 0);
    assert_int_equal(world_post(&world, "t", "{\"ts\":0,\"a\":1,\"t\":\"x\"}\n").status, 200);
    struct value seven = {.type = type_of(TYPE_INT8), .i = 7};
    struct expr expr = {.kind = EXPR_CONSTANT, .type = type_of(TYPE_INT8), .constant = seven};
    struct ingest_column added = {.name = SLICE("b"),
                                  .type = type_of(TYPE_INT8),
                                  .default_text = SLICE("7"),
                                  .default_expr = &expr,
                                  .is_not_null = true};
    struct ingest_column hard = {
        .name = SLICE("c"), .type = type_of(TYPE_INT8), .is_not_null = true};
    struct slice t = SLICE("t");
    assert_int_equal(ingest_add_column(world.ingest, t, &added, false, &position, &error), OK);
    expect_error(ingest_add_column(world.ingest, t, &added, false, &position, &error), &error,
                 "42701");
    assert_int_equal(ingest_add_column(world.ingest, t, &added, true, &position, &error), OK);
    expect_error(ingest_add_column(world.ingest, t, &hard, false, &position, &error), &error,
                 "23502");
    assert_int_equal(world_post(&world, "t", "{\"ts\":1}\n{\"ts\":2,\"b\":8}\n").status, 200);
    assert_int_equal(ingest_drop_column(world.ingest, t, SLICE("t"), false, &position, &error), OK);
    expect_error(ingest_drop_column(world.ingest, t, SLICE("t"), false, &position, &error), &error,
                 "42703");
    assert_int_equal(ingest_drop_column(world.ingest, t, SLICE("t"), true, &position, &error), OK);
    expect_error(ingest_drop_column(world.ingest, t, SLICE("ts"), false, &position, &error), &error,
                 "2BP01");
    assert_int_equal(
        ingest_comment(world.ingest, t, SLICE("a"), SLICE("about a"), &position, &error), OK);
    expect_error(ingest_comment(world.ingest, t, SLICE("z"), SLICE(""), &position, &error), &error,
                 "42703");
    for (int round = 0; round < 2; round++) {
        world_print_table(&world, "t", &out);
        expect_text(
            out,
            "1970-01-01 00:00:00+00|1|7;1970-01-01 00:00:01+00|~|7;1970-01-01 00:00:02+00|~|8;");
        const struct schema *schema = ingest_schema(world.ingest, t);
        assert_true(slice_equal(schema->columns[1].comment, SLICE("about a")));
        schema_unref(schema);
        world_reopen(&world);
    }
    writer_deinit(&out);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_create_and_drop),
        cmocka_unit_test(test_alter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
