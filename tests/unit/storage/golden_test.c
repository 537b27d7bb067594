/* Data directories of every released set of formats are read for ever: tests/golden/<n> was written
 * once, by this program with `--write FOLDER`, by the version of its time. Each has a table of all
 * types with rows in a sealed segment, rows in a checkpoint and rows in the log alone, and two
 * checkpoints. What they hold follows from the row's number. */
#include "storage/check.h"
#include "storage/io/sim.h"
#include "storage/store.h"

#include "storage/base/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEALED_ROWS 3000
#define CHECKPOINT_ROWS 40
#define LOG_ROWS 30
#define ROWS (SEALED_ROWS + CHECKPOINT_ROWS + LOG_ROWS)

static const struct {
    const char *name;
    struct type type;
} definitions[] = {
    {"at", {.id = TYPE_TIMESTAMPTZ}},
    {"bool", {.id = TYPE_BOOL}},
    {"int2", {.id = TYPE_INT2}},
    {"int4", {.id = TYPE_INT4}},
    {"int8", {.id = TYPE_INT8}},
    {"float4", {.id = TYPE_FLOAT4}},
    {"float8", {.id = TYPE_FLOAT8}},
    {"numeric", {.id = TYPE_NUMERIC, .precision = 12, .scale = 3}},
    {"text", {.id = TYPE_TEXT}},
    {"varchar", {.id = TYPE_VARCHAR, .length = 30}},
    {"timestamp", {.id = TYPE_TIMESTAMP}},
    {"date", {.id = TYPE_DATE}},
    {"uuid", {.id = TYPE_UUID}},
    {"bytea", {.id = TYPE_BYTEA}},
    {"jsonb", {.id = TYPE_JSONB}},
    {"json", {.id = TYPE_JSON}},
    {"texts", {.id = TYPE_TEXT_ARRAY}},
    {"int8s", {.id = TYPE_INT8_ARRAY}},
};
#define COLUMNS array_count(definitions)

static void print_value(uint32_t column, unsigned row, char *out, size_t size)
{
    unsigned mixed = row * 2654435761u >> 8;
    switch ((enum type_id)definitions[column].type.id) {
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
        snprintf(out, size, "2026-05-01 %02u:%02u:%02u.%06u", row / 3600 % 24, row / 60 % 60,
                 row % 60, mixed % 1000000);
        break;
    case TYPE_BOOL:
        snprintf(out, size, "%s", mixed % 3 == 0 ? "t" : "f");
        break;
    case TYPE_INT2:
        snprintf(out, size, "%d", (int)(mixed % 60000) - 30000);
        break;
    case TYPE_INT8:
        snprintf(out, size, "%lld", ((long long)mixed - 8000000) * 1000003);
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        if (row % 100 == 1)
            snprintf(out, size, "%s", row % 200 == 1 ? "NaN" : "-Infinity");
        else
            snprintf(out, size, "%u.%u", mixed % 1000, row % 10);
        break;
    case TYPE_NUMERIC:
        snprintf(out, size, "%d.%03u", (int)(mixed % 100000) - 50000, row % 1000);
        break;
    case TYPE_TEXT: /* more rows than texts, some empty */
        if (row % 90 == 0)
            out[0] = 0;
        else
            snprintf(out, size, "naïve text %u", mixed % 120);
        break;
    case TYPE_VARCHAR: /* every one is another */
        snprintf(out, size, "row %u of many", row);
        break;
    case TYPE_DATE:
        snprintf(out, size, "20%02u-%02u-%02u", row % 70, 1 + row % 12, 1 + row % 28);
        break;
    case TYPE_UUID:
        snprintf(out, size, "%08x-1234-5678-9abc-%012x", mixed, row);
        break;
    case TYPE_BYTEA:
        snprintf(out, size, "\\x%08x00", row);
        break;
    case TYPE_JSONB:
    case TYPE_JSON:
        snprintf(out, size, "{\"row\": %u, \"list\": [1, null, \"two\"]}", row);
        break;
    case TYPE_TEXT_ARRAY:
        snprintf(out, size, row % 50 == 0 ? "{}" : "{a,\"b %u\",NULL}", row % 20);
        break;
    case TYPE_INT8_ARRAY:
        snprintf(out, size, "{%u,NULL,-1}", row);
        break;
    default:
        snprintf(out, size, "%d", (int)mixed - 8000000);
    }
}

static struct value value_at(uint32_t column, unsigned row, struct arena *arena)
{
    char text[128];
    struct value value = {.type = definitions[column].type, .is_null = true};
    struct text_context context = {0};
    if (column != 0 && (row + column) % 11 == 0)
        return value;
    print_value(column, row, text, sizeof(text));
    struct slice kept = arena_copy(arena, slice_from_cstr(text));
    struct error error = {0};
    if (type_parse(definitions[column].type, kept, &context, arena, &value, &error) != OK) {
        fprintf(stderr, "%s: %s\n", text, error.text);
        abort();
    }
    return value;
}

static struct schema *make_schema(uint32_t table_id)
{
    struct schema *schema = schema_create();
    schema->table_id = table_id;
    schema->version = 1;
    schema->name = SLICE("everything");
    schema->column_count = COLUMNS;
    schema->columns = arena_alloc_zero(&schema->arena, COLUMNS * sizeof(*schema->columns));
    for (uint32_t i = 0; i < COLUMNS; i++) {
        struct column_definition *column = &schema->columns[i];
        column->id = i + 1;
        column->name = slice_from_cstr(definitions[i].name);
        column->type = definitions[i].type;
        column->is_not_null = i == 0;
        column->missing = (struct value){.type = column->type, .is_null = true};
        column->index = definitions[i].type.id == TYPE_INT2 ? INDEX_ON : INDEX_AUTO;
        column->index_name = i == 2 ? SLICE("everything_int2") : SLICE("");
    }
    schema->next_column_id = COLUMNS + 1;
    schema->time_column = 0;
    return schema;
}

/* --- writing, once a version --- */

static void must(enum err err, const struct error *error)
{
    if (err == OK)
        return;
    fprintf(stderr, "%s\n", error->text);
    abort();
}

static void insert(struct store *store, const struct schema *schema, unsigned first, unsigned count)
{
    struct arena arena;
    struct error error = {0};
    struct column columns[COLUMNS];
    uint32_t ids[COLUMNS];
    arena_init(&arena);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        struct column_builder builder;
        column_builder_init(&builder, definitions[c].type, &arena);
        for (unsigned row = first; row < first + count; row++) {
            struct value value = value_at(c, row, &arena);
            column_builder_add(&builder, &value);
        }
        columns[c] = column_builder_finish(&builder);
        ids[c] = c + 1;
    }
    struct batch batch = {.row_count = count, .column_count = COLUMNS, .columns = columns};
    struct commit *commit = commit_create(store);
    commit_add_rows(commit, schema, ids, &batch);
    must(store_commit(store, commit, NULL, &error), &error);
    arena_deinit(&arena);
}

/* Left as by SIGKILL: the log's tail is in no checkpoint. */
static int write_folder(const char *folder)
{
    struct io *io;
    struct store *store;
    struct error error = {0};
    must(io_open("plain", folder, &io, &error), &error);
    struct store_options options = {.io = io, .directory = "", .log_file_size = 64 << 10};
    must(store_open(&options, &store, &error), &error);
    uint32_t id = store_next_table_id(store);
    struct schema *schema = make_schema(id);
    struct commit *commit = commit_create(store);
    commit_set_change(commit, CHANGE_CREATE, id, make_schema(id));
    must(store_commit(store, commit, NULL, &error), &error);
    for (unsigned row = 0; row < SEALED_ROWS; row += 100)
        insert(store, schema, row, 100);
    must(store_checkpoint(store, &error), &error);
    insert(store, schema, SEALED_ROWS, CHECKPOINT_ROWS);
    store_close(store);
    io->ops->destroy(io);
    must(io_open("plain", folder, &io, &error), &error);
    options.io = io;
    must(store_open(&options, &store, &error), &error);
    insert(store, schema, SEALED_ROWS + CHECKPOINT_ROWS, LOG_ROWS);
    schema_unref(schema);
    return 0;
}

/* --- reading, for ever --- */

struct golden {
    struct io *from, *to;
    const char *folder; /* below the data directory */
    size_t file_count;
};

static void copy_file(void *context, const char *name)
{
    struct golden *golden = context;
    char path[256];
    struct arena arena;
    struct slice content;
    struct error error = {0};
    if (strcmp(name, "segments") == 0 || strcmp(name, "lock") == 0)
        return;
    snprintf(path, sizeof(path), "%s%s%s", golden->folder, golden->folder[0] == 0 ? "" : "/", name);
    arena_init(&arena);
    must(io_read_file(golden->from, path, &arena, &content, &error), &error);
    must(io_replace_file(golden->to, path, content, &error), &error);
    golden->file_count++;
    arena_deinit(&arena);
}

/* The directory on a simulated disk: reading it may write, and the files of the tree stay as they
 * are. */
static void load(const char *path, struct io *to)
{
    struct golden golden = {.to = to, .folder = ""};
    struct error error = {0};
    must(io_open("plain", path, &golden.from, &error), &error);
    must(to->ops->mkdir(to, "segments", &error), &error);
    must(golden.from->ops->list(golden.from, "", copy_file, &golden, &error), &error);
    golden.folder = "segments";
    must(golden.from->ops->list(golden.from, "segments", copy_file, &golden, &error), &error);
    assert_true(golden.file_count >= 5);
    golden.from->ops->destroy(golden.from);
}

static void say(void *context, const char *text)
{
    (void)context;
    print_message("%s\n", text);
}

static void check_files(struct io *io)
{
    struct store_check_result result;
    struct error error = {0};
    const struct store_check_options options = {
        .io = io, .directory = "", .problem = say, .note = say};
    must(store_check(&options, &result, &error), &error);
    assert_int_equal(result.problems, 0);
    assert_int_equal(result.segment_rows, SEALED_ROWS);
    assert_int_equal(result.checkpoints, 2);
}

static void check_batch(const struct batch *batch, bool *seen, struct arena *arena)
{
    /* The row's number is in its jsonb, or where that is NULL in its varchar. */
    for (size_t i = 0; i < batch->row_count; i++) {
        struct value json = column_value(&batch->columns[14], i);
        struct value other = column_value(&batch->columns[9], i);
        unsigned row;
        char text[64];
        struct slice named = json.is_null ? other.text : json.text;
        snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(named));
        assert_int_equal(sscanf(text, json.is_null ? "row %u" : "{\"row\": %u", &row), 1);
        assert_true(row < ROWS);
        assert_false(seen[row]);
        seen[row] = true;
        for (uint32_t c = 0; c < COLUMNS; c++) {
            struct value want = value_at(c, row, arena);
            struct value got = column_value(&batch->columns[c], i);
            if (want.is_null != got.is_null || (!want.is_null && value_compare(&want, &got) != 0))
                fail_msg("row %u: %s is another", row, definitions[c].name);
        }
    }
}

static void check_rows(struct store *store)
{
    static bool seen[ROWS];
    uint32_t columns[COLUMNS];
    struct error error = {0};
    struct arena arena;
    arena_init(&arena);
    memset(seen, 0, sizeof(seen));
    for (uint32_t c = 0; c < COLUMNS; c++)
        columns[c] = c;
    struct snapshot *snapshot = snapshot_open(store);
    const struct table_view *view = snapshot_find(snapshot, SLICE("everything"));
    assert_non_null(view);
    assert_int_equal(table_view_rows(view), ROWS);
    struct cursor *cursor = cursor_open(view, columns, COLUMNS, NULL);
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        bool has;
        struct batch batch;
        must(cursor_seek(cursor, morsel, &has, &error), &error);
        while (has) {
            must(cursor_next(cursor, &batch, &has, &error), &error);
            if (has)
                check_batch(&batch, seen, &arena);
        }
    }
    cursor_close(cursor);
    snapshot_close(snapshot);
    for (unsigned row = 0; row < ROWS; row++)
        assert_true(seen[row]);
    arena_deinit(&arena);
}

static void test_every_version(void **state)
{
    (void)state;
    static const char *const versions[] = {"1"};
    for (size_t i = 0; i < array_count(versions); i++) {
        char path[512];
        struct io *io;
        struct store *store;
        struct error error = {0};
        struct sim *sim = sim_create(&(struct sim_options){.seed = 1});
        snprintf(path, sizeof(path), "%s/tests/golden/%s", FRESHET_SOURCE_DIR, versions[i]);
        sim_open(sim, &io);
        load(path, io);
        check_files(io);
        io->ops->destroy(io);
        sim_open(sim, &io);
        struct store_options options = {.io = io, .directory = "", .log_file_size = 64 << 10};
        must(store_open(&options, &store, &error), &error);
        check_rows(store);
        store_close(store);
        io->ops->destroy(io);
        sim_destroy(sim);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 3 && strcmp(arguments[1], "--write") == 0)
        return write_folder(arguments[2]);
    logger_set_level(LOG_ERROR);
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_version)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
