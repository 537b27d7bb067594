/* A store of a few small tables with numbered rows for tests of upkeep: a table is known by its
 * count and sum at a position. Included once, by the test. */
#ifndef FRESHET_TESTS_MODEL_UPKEEP_WORLD_H
#define FRESHET_TESTS_MODEL_UPKEEP_WORLD_H

#include "storage/table/private.h"

#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TABLES 3
#define POSITIONS_MAX 4000
#define ROWS_FIRST 5

struct truth { /* of one table after a record */
    uint64_t rows;
    int64_t sum;
    bool is_there;
};

struct world {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct store_options options;
    uint32_t ids[TABLES];
    struct schema *schemas[TABLES];
    struct truth truths[POSITIONS_MAX][TABLES];
    uint64_t last; /* truths are known up to here */
    int64_t next_value;
    uint64_t firm; /* acknowledged */
};

/* --- the world --- */

static inline struct schema *make_schema(uint32_t table_id, uint32_t index)
{
    struct schema *schema = schema_create();
    schema->table_id = table_id;
    schema->version = 1;
    schema->name = slice_from_cstr(arena_printf(&schema->arena, "t%u", index));
    schema->column_count = 2;
    schema->columns = arena_alloc_zero(&schema->arena, 2 * sizeof(*schema->columns));
    schema->columns[0] = (struct column_definition){
        .id = 1, .name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ), .is_not_null = true};
    schema->columns[1] =
        (struct column_definition){.id = 2, .name = SLICE("v"), .type = type_of(TYPE_INT8)};
    for (int i = 0; i < 2; i++)
        schema->columns[i].missing =
            (struct value){.type = schema->columns[i].type, .is_null = true};
    schema->next_column_id = 3;
    schema->time_column = 0;
    return schema;
}

static inline enum err open_store(struct world *world, struct io *io, struct store **out,
                                  struct error *error)
{
    struct store_options options = world->options;
    options.io = io;
    if (io != world->io) /* a fork: what happens in pauses is the first one's */
        options.upkeep_pause = NULL;
    return store_open(&options, out, error);
}

static inline void world_open(struct world *world)
{
    struct error error = {0};
    sim_open(world->sim, &world->io);
    if (open_store(world, world->io, &world->store, &error) != OK)
        fail_msg("store_open: %s", error.text);
}

static inline void world_close(struct world *world)
{
    store_close(world->store);
    world->store = NULL;
    world->io->ops->destroy(world->io);
}

static inline struct world *world_make(const struct store_options *options, uint64_t seed)
{
    static struct world world;
    world = (struct world){.options = *options};
    world.sim = sim_create(&(struct sim_options){.seed = seed});
    world.options.directory = "";
    world.options.log_file_size = 16 << 10;
    world.options.log_piece_size = 4 << 10;
    world_open(&world);
    return &world;
}

static inline void world_remove(struct world *world)
{
    if (world->store != NULL)
        world_close(world);
    sim_destroy(world->sim);
    for (int i = 0; i < TABLES; i++)
        schema_unref(world->schemas[i]);
}

/* --- commits --- */

/* What the record at `position` will leave; positions of upkeep's own records in between change
 * nothing. */
static inline struct truth *truth_at(struct world *world, uint64_t position)
{
    assert_true(position < POSITIONS_MAX && position > world->last);
    for (uint64_t p = world->last + 1; p <= position; p++)
        memcpy(world->truths[p], world->truths[world->last], sizeof(world->truths[p]));
    world->last = position;
    return world->truths[position];
}

static inline void note_done(void *context, uint64_t position, enum err result,
                             const struct error *error)
{
    struct world *world = context;
    (void)error;
    assert_int_equal(result, OK);
    world->firm = position;
}

static inline uint64_t submit(struct world *world, struct commit *commit)
{
    uint64_t position;
    struct error error = {0};
    if (world->options.is_threaded) {
        assert_int_equal(store_commit(world->store, commit, &position, &error), OK);
        return world->firm = position;
    }
    if (store_submit(world->store, commit, note_done, world, &position, &error) != OK)
        fail_msg("store_submit: %s", error.text);
    return position;
}

static inline void settle(struct world *world)
{
    while (!world->options.is_threaded && store_run(world->store))
        continue;
}

static inline void change(struct world *world, uint32_t index, enum change_kind kind)
{
    struct commit *commit = commit_create(world->store);
    struct schema *schema = NULL;
    if (kind == CHANGE_CREATE) {
        world->ids[index] = store_next_table_id(world->store);
        schema_unref(world->schemas[index]);
        world->schemas[index] = make_schema(world->ids[index], index);
        schema = make_schema(world->ids[index], index);
    }
    commit_set_change(commit, kind, world->ids[index], schema);
    uint64_t position = submit(world, commit);
    truth_at(world, position)[index] = (struct truth){.is_there = kind != CHANGE_DROP};
    settle(world);
}

/* Rows of one table; `time_us` is the event time of the first, a second apart. */
static inline void insert_at(struct world *world, uint32_t index, size_t count, int64_t time_us)
{
    struct arena arena;
    arena_init(&arena);
    struct column_builder ts, v;
    column_builder_init(&ts, type_of(TYPE_TIMESTAMPTZ), &arena);
    column_builder_init(&v, type_of(TYPE_INT8), &arena);
    struct truth added = {.rows = count};
    for (size_t i = 0; i < count; i++) {
        int64_t value = ++world->next_value;
        added.sum += value;
        column_builder_add(&ts,
                           &(struct value){.type = ts.type, .i = time_us + (int64_t)i * 1000000});
        column_builder_add(&v, &(struct value){.type = v.type, .i = value});
    }
    struct column columns[2] = {column_builder_finish(&ts), column_builder_finish(&v)};
    struct batch batch = {.row_count = count, .column_count = 2, .columns = columns};
    const uint32_t ids[2] = {1, 2};
    struct commit *commit = commit_create(world->store);
    commit_add_rows(commit, world->schemas[index], ids, &batch);
    uint64_t position = submit(world, commit);
    struct truth *truth = &truth_at(world, position)[index];
    truth->rows += added.rows;
    truth->sum += added.sum;
    settle(world);
    arena_deinit(&arena);
}

static inline void insert(struct world *world, uint32_t index, size_t count)
{
    insert_at(world, index, count, world->next_value * 1000000);
}

static inline void checkpoint(struct world *world)
{
    struct error error = {0};
    if (store_checkpoint(world->store, &error) != OK)
        fail_msg("store_checkpoint: %s", error.text);
}

static inline int run_upkeep(struct world *world)
{
    int count = 0;
    while (store_upkeep_run(world->store))
        assert_true(++count < 1000);
    return count;
}

/* --- looking --- */

static inline struct truth read_table(const struct table_view *view)
{
    struct truth found = {.rows = table_view_rows(view), .is_there = true};
    const uint32_t columns[1] = {1};
    uint64_t seen = 0;
    struct cursor *cursor = cursor_open(view, columns, 1, NULL);
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        bool has = false;
        struct error error = {0};
        enum err err = cursor_seek(cursor, morsel, &has, &error);
        while (err == OK && has) {
            struct batch batch;
            err = cursor_next(cursor, &batch, &has, &error);
            for (size_t row = 0; err == OK && has && row < batch.row_count; row++)
                found.sum += column_value(&batch.columns[0], row).i;
            seen += err == OK && has ? batch.row_count : 0;
        }
        if (err != OK)
            found.sum = INT64_MIN;
    }
    cursor_close(cursor);
    if (seen != found.rows)
        found.sum = INT64_MIN;
    return found;
}

/* Empty if the store has exactly what the records up to its position left; those behind `limit` are
 * upkeep's own. */
static inline const char *differs(struct world *world, struct store *store, uint64_t limit)
{
    static char text[200];
    struct snapshot *snapshot = snapshot_open(store);
    uint64_t position = snapshot_position(snapshot);
    text[0] = 0;
    if (position < world->firm)
        snprintf(text, sizeof(text), "position %llu, acknowledged %llu",
                 (unsigned long long)position, (unsigned long long)world->firm);
    uint64_t known = position < world->last ? position : world->last;
    known = known < limit ? known : limit;
    for (uint32_t i = 0; i < TABLES && text[0] == 0; i++) {
        char name[4] = {'t', (char)('0' + i), 0};
        const struct table_view *view = snapshot_find(snapshot, slice_from_cstr(name));
        const struct truth *want = &world->truths[known][i];
        struct truth found = view != NULL ? read_table(view) : (struct truth){0};
        if (found.is_there != want->is_there || found.rows != want->rows || found.sum != want->sum)
            snprintf(text, sizeof(text),
                     "position %llu, table %u: %llu rows, sum %lld instead of %llu, %lld",
                     (unsigned long long)position, i, (unsigned long long)found.rows,
                     (long long)found.sum, (unsigned long long)want->rows, (long long)want->sum);
    }
    snapshot_close(snapshot);
    return text;
}

static inline void expect_truth(struct world *world)
{
    const char *text = differs(world, world->store, UINT64_MAX);
    if (text[0] != 0)
        fail_msg("%s", text);
}

static inline struct table_statistics statistics_of(struct world *world, uint32_t index)
{
    struct table_statistics statistics = {0};
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find_id(snapshot, world->ids[index]);
    if (view != NULL)
        table_view_statistics(view, &statistics);
    snapshot_close(snapshot);
    return statistics;
}

static inline void count_name(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

static inline size_t segment_files(struct world *world)
{
    size_t count = 0;
    assert_int_equal(world->io->ops->list(world->io, SEALED_DIRECTORY, count_name, &count, NULL),
                     OK);
    return count;
}

static inline void reopen(struct world *world)
{
    world_close(world);
    world_open(world);
    expect_truth(world);
}

static const struct store_options small = {
    .seal_rows = 40, .carry_rows = 16, .log_bytes_max = 24 << 10, .merge_segments_min = 3};

#endif
