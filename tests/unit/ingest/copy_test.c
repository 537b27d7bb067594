/* COPY from bytes in any pieces to rows: one record or several, exactly once, bad rows. */
#include "tests/unit/ingest/ingest_harness.h"

#include "storage/base/latency.h"

#include <stdlib.h>

static const struct copy_options text_format = {
    .format = COPY_TEXT, .delimiter = '\t', .null = {.data = "\\N", .size = 2}};

struct trial {
    struct ingest_copy *copy;
    struct ingest_copy_answer answer;
    enum err result;
    struct error error;
};

static void begin(struct world *world, struct trial *trial, struct ingest_copy_options options)
{
    static const uint32_t all[] = {0, 1, 2};
    const struct schema *schema = ingest_schema(world->ingest, SLICE("t"));
    uint32_t ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = schema->columns[all[i]].id;
    options.table = SLICE("t");
    if (options.column_count == 0)
        options.column_count = 3;
    options.column_ids = ids;
    if (options.format == NULL)
        options.format = &text_format;
    *trial = (struct trial){.copy = ingest_copy_begin(world->ingest, &options)};
    schema_unref(schema);
}

/* `size` bytes at a time. */
static void feed(struct trial *trial, struct slice bytes, size_t size)
{
    for (size_t at = 0; at < bytes.size && trial->result == OK; at += size) {
        size_t left = bytes.size - at;
        trial->result = ingest_copy_feed(
            trial->copy, slice_of(bytes.data + at, left < size ? left : size), &trial->error);
    }
}

static void end(struct trial *trial)
{
    if (trial->result == OK)
        trial->result = ingest_copy_end(trial->copy, &trial->answer, &trial->error);
    ingest_copy_destroy(trial->copy);
}

static struct trial run(struct world *world, struct ingest_copy_options options, const char *bytes)
{
    struct trial trial;
    begin(world, &trial, options);
    feed(&trial, slice_from_cstr(bytes), strlen(bytes) + 1);
    end(&trial);
    return trial;
}

static void expect(struct world *world, const char *provider, const char *want)
{
    struct writer out;
    writer_init(&out);
    if (provider == NULL)
        world_print_table(world, "t", &out);
    else
        world_print_provider(world, provider, &out);
    if (!slice_equal(writer_as_slice(&out), slice_from_cstr(want)))
        fail_msg("%s: %.*s\n want %s", provider == NULL ? "rows" : provider, (int)out.size,
                 (const char *)out.data, want);
    writer_deinit(&out);
}

#define ROW1 "2026-05-01 10:00:00+00\t1\tx\n"
#define ROW2 "2026-05-01 10:00:01+00\t\\N\ty\n"

/* How many times until rows of COPY were visible have been taken. */
static long freshness_count(void)
{
    static const char name[] = "freshet_freshness_seconds_count{source=\"copy\"} ";
    struct writer page;
    writer_init(&page);
    latency_print(&page);
    writer_u8(&page, 0);
    long count = strtol(strstr((const char *)page.data, name) + strlen(name), NULL, 10);
    writer_deinit(&page);
    return count;
}

static void test_any_pieces(void **state)
{
    (void)state;
    for (size_t size = 1; size < 60; size += size < 8 ? 1 : 13) {
        struct world world;
        struct trial trial;
        world_init(&world);
        world_create_table(&world, NULL, 0);
        long before = freshness_count();
        begin(&world, &trial, (struct ingest_copy_options){0});
        feed(&trial, SLICE(ROW1 ROW2), size);
        end(&trial);
        assert_int_equal(trial.result, OK);
        assert_int_equal(freshness_count(), before + 1);
        assert_int_equal(trial.answer.rows, 2);
        assert_int_equal(trial.answer.position, 2);
        assert_int_equal(trial.answer.rejected, 0);
        expect(&world, NULL, "2026-05-01 10:00:00+00|1|x;2026-05-01 10:00:01+00|~|y;");
        expect(&world, "ledger", "2026-05-28 20:26:00+00|t|copy|2|2|0|0|0|0|0|0;");
        world_deinit(&world);
    }
}

static void test_dead_letters(void **state)
{
    (void)state;
    struct world world;
    struct writer out;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct trial trial = run(&world, (struct ingest_copy_options){0}, ROW1 "bad\tline\n" ROW2);
    assert_int_equal(trial.result, OK);
    assert_int_equal(trial.answer.rows, 2);
    assert_int_equal(trial.answer.rejected, 1);
    assert_string_equal(trial.answer.reason.text, "row 2: missing data for the last columns");
    expect(&world, "ledger", "2026-05-28 20:26:00+00|t|copy|3|2|0|0|0|0|0|1;");
    writer_init(&out);
    world_print_provider(&world, "dead_letters", &out);
    assert_non_null(memmem(out.data, out.size, "|t|copy|2|2|~|22P04|", 20));
    assert_non_null(memmem(out.data, out.size, "\\x626164096c696e65", 18));
    writer_deinit(&out);
    /* strict: none of it, and the error names row and column */
    trial = run(&world, (struct ingest_copy_options){.is_strict = true},
                ROW1 "2026-05-01 10:00:00+00\tz\tx\n");
    assert_int_equal(trial.result, ERR_INPUT);
    assert_string_equal(trial.error.sqlstate, "22P02");
    assert_string_equal(trial.error.text, "row 2: a: invalid input syntax for type bigint: \"z\"");
    assert_int_equal(world_rows(&world, "t"), 2);
    world_deinit(&world);
}

static void test_sequence(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct ingest_copy_options options = {
        .producer = SLICE("p"), .has_sequence = true, .sequence = 5};
    for (int round = 0; round < 4; round++) {
        struct trial trial = run(&world, options, ROW1 ROW2);
        assert_int_equal(trial.result, OK);
        assert_int_equal(trial.answer.rows, 2);
        assert_int_equal(trial.answer.is_repeated, round > 0);
        assert_int_equal(trial.answer.position, 2);
        assert_int_equal(world_rows(&world, "t"), 2);
        world_reopen(&world);
    }
    struct trial trial = run(&world, options, ROW1);
    assert_string_equal(trial.error.sqlstate, "22023"); /* another body */
    options.sequence = 7;
    trial = run(&world, options, ROW1);
    assert_string_equal(trial.error.sqlstate, "55000"); /* a gap */
    assert_string_equal(trial.error.text, "sequence 7 leaves a gap: expected 6");
    options.sequence = 6;
    trial = run(&world, options, ROW1);
    assert_int_equal(trial.result, OK);
    assert_int_equal(world_rows(&world, "t"), 3);
    options.sequence = 3;
    trial = run(&world, options, ROW1);
    assert_int_equal(trial.result, OK);
    assert_int_equal(trial.answer.rows, 0);
    assert_int_equal(trial.answer.duplicates, 1);
    assert_int_equal(world_rows(&world, "t"), 3);
    world_deinit(&world);
}

/* Longer than a body: several records, each durable before its bytes are let go; a failure leaves
 * what was stored and says how much that is. */
static void test_many_records(void **state)
{
    (void)state;
    struct world world;
    struct trial trial;
    struct writer text;
    writer_init(&text);
    world_init(&world);
    world.options.limits.body_max = 1000;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    for (int i = 0; i < 200; i++)
        writer_printf(&text, "2026-05-01 10:00:00+00\t%s%d\ttext %d\n", i == 150 ? "x" : "", i, i);
    begin(&world, &trial, (struct ingest_copy_options){0});
    feed(&trial, writer_as_slice(&text), 77);
    uint64_t before = world_rows(&world, "t");
    assert_int_equal(before, ingest_copy_stored(trial.copy));
    assert_true(before > 150);
    end(&trial);
    assert_int_equal(trial.result, OK);
    assert_int_equal(trial.answer.rows, 199);
    assert_string_equal(trial.answer.reason.text,
                        "row 151: a: invalid input syntax for type bigint: \"x150\"");
    assert_int_equal(world_rows(&world, "t"), 199);

    begin(&world, &trial, (struct ingest_copy_options){.is_strict = true});
    feed(&trial, writer_as_slice(&text), 77);
    assert_int_equal(trial.result, ERR_INPUT);
    uint64_t stored = world_rows(&world, "t") - 199;
    char hint[100];
    snprintf(hint, sizeof(hint), "The first %llu rows of this COPY are stored, in ",
             (unsigned long long)stored);
    assert_memory_equal(trial.error.hint, hint, strlen(hint));
    assert_int_equal(ingest_copy_feed(trial.copy, SLICE("x"), &trial.error), ERR_INPUT);
    assert_int_equal(ingest_copy_end(trial.copy, &trial.answer, &trial.error), ERR_INPUT);
    ingest_copy_destroy(trial.copy);

    begin(
        &world, &trial,
        (struct ingest_copy_options){.producer = SLICE("p"), .has_sequence = true, .sequence = 1});
    feed(&trial, writer_as_slice(&text), 77);
    assert_int_equal(trial.result, ERR_LIMIT);
    assert_string_equal(trial.error.sqlstate, "54000");
    ingest_copy_destroy(trial.copy);
    char long_row[1200];
    memset(long_row, 'x', sizeof(long_row));
    begin(&world, &trial, (struct ingest_copy_options){0});
    feed(&trial, slice_of(long_row, sizeof(long_row)), 100);
    assert_string_equal(trial.error.sqlstate, "54000");
    ingest_copy_destroy(trial.copy);
    assert_int_equal(world_rows(&world, "t"), 199 + stored);
    writer_deinit(&text);
    world_deinit(&world);
}

static void test_rows_of_a_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.options.limits.rows_max = 3;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    uint64_t position = store_position(world.store);
    struct trial trial =
        run(&world, (struct ingest_copy_options){0}, ROW1 ROW1 ROW1 ROW2 ROW2 ROW2 ROW1);
    assert_int_equal(trial.result, OK);
    assert_int_equal(trial.answer.rows, 7);
    assert_int_equal(store_position(world.store), position + 3);
    world_deinit(&world);
}

/* The table that it began with, whatever has its name by now. */
static void test_renamed_meanwhile(void **state)
{
    (void)state;
    struct world world;
    struct trial trial;
    struct error error;
    uint64_t position;
    const struct ingest_rename rename = {.name = SLICE("t"), .new_name = SLICE("other")};
    world_init(&world);
    world_create_table(&world, NULL, 0);
    const struct schema *schema = ingest_schema(world.ingest, SLICE("t"));
    struct ingest_copy_options options = {.table_id = schema->table_id};
    schema_unref(schema);
    begin(&world, &trial, options);
    assert_int_equal(ingest_rename(world.ingest, &rename, &position, &error), OK);
    world_create_table(&world, NULL, 0);
    feed(&trial, SLICE(ROW1), 100);
    end(&trial);
    assert_int_equal(trial.result, OK);
    assert_int_equal(world_rows(&world, "t"), 0);
    assert_int_equal(world_rows(&world, "other"), 1);
    /* gone, and another one in its place */
    begin(&world, &trial, options);
    const struct slice dropped = SLICE("other");
    assert_int_equal(ingest_drop_tables(world.ingest, &dropped, 1, false, &position, &error), OK);
    feed(&trial, SLICE(ROW1), 100);
    end(&trial);
    assert_string_equal(trial.error.sqlstate, "42P01");
    assert_int_equal(world_rows(&world, "t"), 0);
    struct reply reply;
    struct ingest_request request = {.table = SLICE("t"),
                                     .table_id = options.table_id,
                                     .is_create = true,
                                     .body = SLICE("{\"a\":1}")};
    world_send(&world, &request, &reply);
    assert_int_equal(reply.status, 404);
    assert_int_equal(world_rows(&world, "t"), 0);
    world_deinit(&world);
}

static void test_end_marks(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    struct trial trial = run(&world, (struct ingest_copy_options){0}, ROW1 "\\.\nnonsense\n");
    assert_int_equal(trial.result, OK);
    assert_int_equal(trial.answer.rows, 1);
    trial = run(&world, (struct ingest_copy_options){0}, "");
    assert_int_equal(trial.result, OK);
    assert_int_equal(trial.answer.rows, 0);
    struct copy_options binary = {.format = COPY_BINARY};
    trial = run(&world, (struct ingest_copy_options){.format = &binary}, "");
    assert_string_equal(trial.error.text, "COPY file signature not recognized");
    world_deinit(&world);
}

/* Memory that is full is waited for, and then said: 53200. */
static void test_memory(void **state)
{
    (void)state;
    struct world world;
    struct trial first, second;
    world_init(&world);
    world.options.limits.copy_bytes_max = 100000;
    world_reopen(&world);
    world_create_table(&world, NULL, 0);
    begin(&world, &first, (struct ingest_copy_options){0});
    feed(&first, SLICE(ROW1), 100);
    begin(&world, &second, (struct ingest_copy_options){0});
    world.monotonic_us = 0;
    atomic_bool is_cancelled = true;
    ingest_copy_destroy(second.copy);
    begin(&world, &second, (struct ingest_copy_options){.is_cancelled = &is_cancelled});
    feed(&second, SLICE(ROW1), 100);
    assert_string_equal(second.error.sqlstate, "57014");
    ingest_copy_destroy(second.copy);
    end(&first);
    assert_int_equal(first.result, OK);
    second = run(&world, (struct ingest_copy_options){0}, ROW1);
    assert_int_equal(second.result, OK);
    assert_int_equal(atomic_load(&world.ingest->copy_bytes), 0);
    world_deinit(&world);
}

static void test_disk_nearly_full(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_create_table(&world, NULL, 0);
    ingest_set_disk_low(world.ingest, true);
    struct trial trial = run(&world, (struct ingest_copy_options){0}, ROW1);
    assert_int_equal(trial.result, ERR_SPACE);
    assert_string_equal(trial.error.sqlstate, "53100");
    ingest_set_disk_low(world.ingest, false);
    trial = run(&world, (struct ingest_copy_options){0}, ROW1);
    assert_int_equal(trial.result, OK);
    assert_int_equal(world_rows(&world, "t"), 1);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_pieces),        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_sequence),          cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_rows_of_a_record),  cmocka_unit_test(test_end_marks),
        cmocka_unit_test(test_renamed_meanwhile), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_disk_nearly_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
