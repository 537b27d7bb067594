/* INSERT: DEFAULTs of columns not named, NOT NULL and `future` refuse all, the ledger's source
 * `sql`. */
#include "tests/unit/ingest/ingest_harness.h"

#include "storage/base/fault.h"

static struct error error;

/* ts and a, by rows of (ts, a); a < 0 is NULL. */
static enum err insert(struct world *world, const int64_t *ts, const int64_t *a, size_t count,
                       uint64_t *rows)
{
    const struct schema *schema = ingest_schema(world->ingest, SLICE("t"));
    struct arena arena;
    arena_init(&arena);
    struct column_builder builders[2];
    column_builder_init(&builders[0], type_of(TYPE_INT8), &arena);
    column_builder_init(&builders[1], type_of(TYPE_TIMESTAMPTZ), &arena);
    for (size_t i = 0; i < count; i++) {
        column_builder_add(
            &builders[0],
            &(struct value){.type = type_of(TYPE_INT8), .i = a[i], .is_null = a[i] < 0});
        column_builder_add(
            &builders[1],
            &(struct value){.type = type_of(TYPE_TIMESTAMPTZ), .i = ts[i], .is_null = ts[i] < 0});
    }
    struct column columns[2] = {column_builder_finish(&builders[0]),
                                column_builder_finish(&builders[1])};
    struct batch batches[2] = {{.row_count = count, .column_count = 2, .columns = columns},
                               {.row_count = 0, .column_count = 2, .columns = columns}};
    uint32_t ids[2] = {schema->columns[1].id, schema->columns[0].id};
    uint64_t position;
    enum err err = ingest_insert(world->ingest, schema, ids, batches, 2, &position, rows, &error);
    arena_deinit(&arena);
    schema_unref(schema);
    return err;
}

static void test_insert(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    uint64_t rows, position;
    writer_init(&out);
    world_init(&world);
    const struct ingest_column columns[] = {
        {.name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ), .is_not_null = true},
        {.name = SLICE("a"), .type = type_of(TYPE_INT8)},
        {.name = SLICE("d"), .type = type_of(TYPE_TEXT), .default_text = SLICE("'x'")},
        {.name = SLICE("n"), .type = type_of(TYPE_TEXT)},
    };
    struct ingest_table table = {
        .name = SLICE("t"), .column_count = array_count(columns), .columns = columns};
    assert_int_equal(ingest_create_table(world.ingest, &table, &position, &error), OK);
    int64_t hour = MICROSECONDS_PER_HOUR;
    assert_int_equal(insert(&world, (int64_t[]){0, hour}, (int64_t[]){1, -1}, 2, &rows), OK);
    assert_int_equal(rows, 2);
    assert_int_not_equal(insert(&world, (int64_t[]){0, -1}, (int64_t[]){1, 2}, 2, &rows), OK);
    assert_string_equal(error.sqlstate, "23502");
    assert_int_not_equal(
        insert(&world, (int64_t[]){0, world.wall_us + 25 * hour}, (int64_t[]){1, 2}, 2, &rows), OK);
    assert_string_equal(error.sqlstate, "22008");
    assert_int_equal(insert(&world, NULL, NULL, 0, &rows), OK);
    world_print_table(&world, "t", &out);
    expect_text(out, "1970-01-01 00:00:00+00|1|x|~;1970-01-01 01:00:00+00|~|x|~;");
    world_print_provider(&world, "ledger", &out);
    expect_text(out, "2026-05-28 20:26:00+00|t|sql|2|2|0|0|0|0|0|0;");
    world_print_provider(&world, "sources", &out);
    expect_text(out, "t|sql|sql|~|~|~|~|~|~|1970-01-01 00:59:30+00|live|~|2026-05-28 20:26:40+00;");
    writer_deinit(&out);
    world_deinit(&world);
}

/* Rows of two tables, one of them twice, from commits that are joined: one record, whose sources
 * and ledger are those of each. */
static void test_insert_into(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    uint64_t rows, position, before;
    writer_init(&out);
    world_init(&world);
    const struct ingest_column columns[] = {
        {.name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ), .is_not_null = true}};
    static const char *const names[] = {"t", "u"};
    const struct schema *schemas[2];
    for (size_t i = 0; i < 2; i++) {
        struct ingest_table table = {
            .name = slice_from_cstr(names[i]), .column_count = 1, .columns = columns};
        assert_int_equal(ingest_create_table(world.ingest, &table, &position, &error), OK);
        schemas[i] = ingest_schema(world.ingest, slice_from_cstr(names[i]));
    }
    before = store_position(world.store);
    struct commit *whole = commit_create(world.store);
    static const struct {
        size_t table;
        int64_t hour;
    } parts[] = {{0, 1}, {1, 2}, {0, 3}};
    for (size_t i = 0; i < array_count(parts); i++) {
        int64_t ts = parts[i].hour * MICROSECONDS_PER_HOUR;
        struct column column = {
            .type = type_of(TYPE_TIMESTAMPTZ), .form = COLUMN_CONSTANT, .values = &ts};
        struct batch batch = {.row_count = i + 1, .column_count = 1, .columns = &column};
        struct commit *commit = commit_create(world.store);
        const struct schema *schema = schemas[parts[i].table];
        uint32_t id = schema->columns[0].id;
        assert_int_equal(
            ingest_insert_into(world.ingest, commit, schema, &id, &batch, 1, &rows, &error), OK);
        assert_int_equal(rows, i + 1);
        commit_append(whole, commit);
    }
    assert_int_equal(store_commit(world.store, whole, &position, &error), OK);
    assert_int_equal(position, before + 1);
    world_print_provider(&world, "ledger", &out);
    expect_text(out, "2026-05-28 20:26:00+00|t|sql|4|4|0|0|0|0|0|0;"
                     "2026-05-28 20:26:00+00|u|sql|2|2|0|0|0|0|0|0;");
    world_print_provider(&world, "sources", &out);
    expect_text(out, "t|sql|sql|~|~|~|~|~|~|1970-01-01 02:59:30+00|live|~|2026-05-28 20:26:40+00;"
                     "u|sql|sql|~|~|~|~|~|~|1970-01-01 01:59:30+00|live|~|2026-05-28 20:26:40+00;");
    for (size_t i = 0; i < 2; i++)
        schema_unref(schemas[i]);
    writer_deinit(&out);
    world_deinit(&world);
}

/* Rows of one value each are asked for as wide as they will be. */
static enum err insert_wide(const char *fault)
{
    struct world world;
    struct store_status status;
    uint64_t rows;
    world_init(&world);
    world.rows_memory_limit = 256 << 10;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    int64_t ts = MICROSECONDS_PER_HOUR;
    struct column column = {
        .type = type_of(TYPE_TIMESTAMPTZ), .form = COLUMN_CONSTANT, .values = &ts};
    struct batch batches[2] = {{.row_count = 9000, .column_count = 1, .columns = &column},
                               {.row_count = 9000, .column_count = 1, .columns = &column}};
    uint32_t id = schema->columns[0].id;
    uint64_t position;
    if (fault != NULL)
        fault_plant(fault);
    enum err err = ingest_insert(world.ingest, schema, &id, batches, 2, &position, &rows, &error);
    fault_clear();
    store_status(world.store, &status);
    assert_int_equal(world_rows(&world, "t"), err == OK ? 18000 : 0);
    if (err != OK)
        assert_int_equal(status.rows_memory_used, 0);
    schema_unref(schema);
    world_deinit(&world);
    return err;
}

static void test_rows_memory(void **state)
{
    (void)state;
    assert_int_equal(insert_wide(NULL), ERR_LIMIT);
    assert_string_equal(error.sqlstate, "54000");
    assert_int_equal(insert_wide("insert.rows_uncharged"), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert),
        cmocka_unit_test(test_insert_into),
        cmocka_unit_test(test_rows_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
