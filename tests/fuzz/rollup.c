/* Fuzz target: bytes as the file of what a rollup made of a segment, behind the head that names the
 * rollup (a file of another is refused by it). What is read can be finished, and written, and that
 * is read again. */
#include "query/exec/rollup.h"

#include "query/engine.h"
#include "query/sql/command.h"
#include "storage/io/sim.h"
#include "storage/store.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 5
#define ROWS 60
#define HEAD_SIZE (4 + 8 + 8) /* format, mark, segment */

static struct {
    struct arena arena;
    struct view_definition view;
    bool has_view;
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct query_engine *engine;
    struct budget memory;
    uint64_t position;
    struct rollup *rollup;
    struct slice file; /* a whole one, with its head */
    uint64_t segment;
} world;

static const struct type types[COLUMNS] = {{.id = TYPE_TIMESTAMPTZ},
                                           {.id = TYPE_INT8},
                                           {.id = TYPE_NUMERIC, .precision = 10, .scale = 2},
                                           {.id = TYPE_FLOAT8},
                                           {.id = TYPE_TEXT}};

static enum err run_command(void *context, const struct command *command,
                            const struct batch *batches, size_t batch_count,
                            struct command_answer *out, struct error *error)
{
    (void)context, (void)batches, (void)batch_count, (void)out, (void)error;
    const struct view_definition *view = &command->view;
    world.view = *view;
    world.view.id = 1;
    world.view.name = arena_copy(&world.arena, view->name);
    world.view.text = arena_copy(&world.arena, view->text);
    world.view.zone = arena_copy(&world.arena, view->zone);
    world.view.table_count = 0; /* found by name */
    world.view.columns =
        arena_alloc_array(&world.arena, view->column_count, sizeof(*view->columns));
    for (size_t i = 0; i < view->column_count; i++)
        world.view.columns[i] =
            (struct view_column){.name = arena_copy(&world.arena, view->columns[i].name),
                                 .source = arena_copy(&world.arena, view->columns[i].source),
                                 .type = view->columns[i].type};
    world.has_view = true;
    return OK;
}

static bool find_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out)
{
    (void)context, (void)arena;
    *out = world.view;
    return world.has_view && (name.size > 0 ? slice_equal(name, world.view.name) : id == 1);
}

static uint64_t view_version(void *context)
{
    (void)context;
    return world.has_view;
}

static size_t list_views(void *context, struct arena *arena, struct view_definition **out)
{
    (void)context;
    *out = arena_alloc(arena, sizeof(**out));
    **out = world.view;
    return world.has_view;
}

static void commit(struct commit *change)
{
    struct error error;
    enum err err = store_commit(world.store, change, &world.position, &error);
    assert(err == OK);
    (void)err;
}

static uint32_t create_table(void)
{
    static const char *const names[COLUMNS] = {"ts", "n", "price", "ratio", "word"};
    struct schema *schema = schema_create();
    schema->table_id = store_next_table_id(world.store);
    schema->version = 1;
    schema->name = SLICE("t");
    schema->column_count = COLUMNS;
    schema->columns = arena_alloc_zero(&schema->arena, COLUMNS * sizeof(*schema->columns));
    for (uint32_t i = 0; i < COLUMNS; i++)
        schema->columns[i] =
            (struct column_definition){.id = i + 1,
                                       .name = slice_from_cstr(names[i]),
                                       .type = types[i],
                                       .is_not_null = i == 0,
                                       .index_name = SLICE(""),
                                       .missing = {.type = types[i], .is_null = true}};
    schema->next_column_id = COLUMNS + 1;
    schema->time_column = 0;
    schema->options.rest_column = schema->options.whole_column = -1;
    uint32_t id = schema->table_id;
    struct commit *change = commit_create(world.store);
    commit_set_change(change, CHANGE_CREATE, id, schema);
    commit(change);
    return id;
}

static void insert(uint32_t table_id)
{
    static const char *const words[] = {"red", "green", ""};
    uint32_t ids[COLUMNS];
    struct column columns[COLUMNS];
    struct snapshot *snapshot = snapshot_open(world.store);
    const struct schema *schema = table_view_schema(snapshot_find_id(snapshot, table_id));
    for (uint32_t column = 0; column < COLUMNS; column++) {
        struct column_builder builder;
        ids[column] = column + 1;
        column_builder_init(&builder, types[column], &world.arena);
        for (uint32_t row = 0; row < ROWS; row++) {
            struct value value = {.type = types[column], .i = (int64_t)row * 100000};
            if (column == 2)
                value.n = (struct numeric){.digits = row, .scale = 2};
            else if (column == 3)
                value.f = row / 7.0;
            else if (column == 4)
                value.text = slice_from_cstr(words[row % 3]);
            value.is_null = column == 1 && row % 5 == 0;
            column_builder_add(&builder, &value);
        }
        columns[column] = column_builder_finish(&builder);
    }
    struct batch batch = {.row_count = ROWS, .column_count = COLUMNS, .columns = columns};
    struct commit *change = commit_create(world.store);
    commit_add_rows(change, schema, ids, &batch);
    snapshot_close(snapshot);
    commit(change);
}

static void start(void)
{
    struct error error;
    world.memory = (struct budget){.limit = 64 << 20, .name = "queries"};
    arena_init(&world.arena);
    world.sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(world.sim, &world.io);
    struct store_options store = {.io = world.io,
                                  .directory = "data",
                                  .log_file_size = 1 << 20,
                                  .rows_memory_limit = 16 << 20};
    enum err err = store_open(&store, &world.store, &error);
    assert(err == OK);
    struct query_engine_options engine = {.store = world.store,
                                          .memory = &world.memory,
                                          .query_memory_limit = 16 << 20,
                                          .statement_timeout_us = 30000000,
                                          .max_rows = 1000,
                                          .partial_memory = 4 << 20,
                                          .command = run_command,
                                          .find_view = find_view,
                                          .view_version = view_version,
                                          .list_views = list_views};
    world.engine = query_engine_create(&engine);
    (void)err;
}

static void make_view(void)
{
    struct query_request request = {
        .text = SLICE("CREATE MATERIALIZED VIEW m WITH (rollup = 'true') AS SELECT "
                      "time_bucket('1 second', ts) AS s, word, n > 100 AS much, count(*), sum(n), "
                      "avg(price), min(n), max(word), max(price) AS top, sum(ratio) AS total, "
                      "approx_count_distinct(word), approx_percentile(0.5, ratio) "
                      "FROM t GROUP BY 1, 2, 3"),
        .format = RESULT_CSV,
        .timeout_us = -1,
        .max_rows = -1};
    struct query_answer answer;
    enum err err = query_run(world.engine, &request, &answer);
    assert(err == OK);
    writer_deinit(&answer.body);
    (void)err;
}

static void note_name(void *context, const char *name)
{
    char *out = context;
    assert(strlen(name) < ROLLUP_NAME_SIZE);
    memcpy(out, name, strlen(name) + 1);
}

/* A table, a rollup of it and the file of one sealed segment: once, and kept. */
static void world_make(void)
{
    struct error error;
    char name[ROLLUP_NAME_SIZE] = "";
    uint32_t view;
    if (world.rollup != NULL)
        return;
    start();
    insert(create_table());
    make_view();
    enum err err = store_checkpoint(world.store, &error);
    assert(err == OK);
    query_engine_finish_upkeep(world.engine);
    struct rollup_set *set = rollups_current(world.engine->rollups, true);
    err = store_side_list(world.store, note_name, name, &error);
    assert(err == OK && set->count == 1);
    bool is_one = rollup_parse_name(name, &view, &world.segment);
    err = store_side_read(world.store, name, &world.arena, &world.file, &error);
    assert(is_one && err == OK && world.file.size > HEAD_SIZE);
    world.rollup = set->list[0];
    (void)err, (void)is_one;
}

static void finish_all(const struct partial *part)
{
    const struct plan *group = world.rollup->group;
    struct error error;
    struct arena arena;
    arena_init(&arena);
    struct aggregate_memory memory = {.arena = &arena};
    for (size_t a = 0; a < group->group.aggregate_count; a++)
        for (size_t i = 0; i < part->group_count; i++) {
            const struct aggregate_call *call = &group->group.aggregates[a];
            struct value value;
            (void)call->aggregate->finish(part->states + i * part->stride +
                                              world.rollup->offsets[a],
                                          call, &memory, &value, &error);
        }
    arena_deinit(&arena);
}

/* False: refused. */
static bool try_file(struct slice bytes, struct writer *again)
{
    struct rollup_cover cover;
    struct error error;
    if (rollup_read(world.rollup, world.segment, bytes, &cover, &error) != OK)
        return false;
    for (uint32_t i = 0; i < cover.portion_count; i++)
        if (cover.parts[i] != NULL)
            finish_all(cover.parts[i]);
    rollup_write(world.rollup, &cover, again);
    rollup_cover_drop_parts(&cover);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct writer once, twice;
    world_make();
    char *bytes = malloc(HEAD_SIZE + size); /* its end is where a sanitizer sees it */
    memcpy(bytes, world.file.data, HEAD_SIZE);
    if (size > 0)
        memcpy(bytes + HEAD_SIZE, data, size);
    writer_init(&once);
    writer_init(&twice);
    if (try_file(slice_of(bytes, HEAD_SIZE + size), &once) && !once.failed) {
        bool is_read = try_file(writer_as_slice(&once), &twice);
        assert(is_read);
    }
    writer_deinit(&once);
    writer_deinit(&twice);
    free(bytes);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    world_make();
    return index == 0 ? slice_of(world.file.data + HEAD_SIZE, world.file.size - HEAD_SIZE)
                      : (struct slice){0};
}
