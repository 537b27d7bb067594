/* The store against a model: chance commits, snapshots held across changes, reopening with and
 * without a checkpoint; and by hand: refusals, the memory limit, TRUNCATE at the limit, waiting,
 * threads. */
#include "storage/segment/view.h"
#include "tests/model/store_model.h"
#include "tests/unit/scratch.h"

#include "storage/base/logger.h"
#include "storage/io/sim.h"
#include "storage/table/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char path[64];
    struct io *io;
};

static void place_make(struct place *place)
{
    snprintf(place->path, sizeof(place->path), "/tmp/freshet-store-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    assert_int_equal(io_open("plain", place->path, &place->io, NULL), OK);
}

static void place_remove(struct place *place)
{
    place->io->ops->destroy(place->io);
    scratch_remove(place->path);
}

static struct store *open_store(struct place *place, struct model_extension *extension,
                                bool is_threaded)
{
    struct store_options options = {.io = place->io,
                                    .directory = "",
                                    .log_file_size = 1 << 20,
                                    .rows_memory_limit = (size_t)1 << 30,
                                    .is_threaded = is_threaded};
    if (extension != NULL)
        options.extension = model_extension(extension);
    struct store *store = NULL;
    struct error error = {0};
    if (store_open(&options, &store, &error) != OK)
        fail_msg("store_open: %s", error.text);
    return store;
}

static void expect_equal(struct store *store, struct model *model,
                         const struct model_extension *extension)
{
    struct model_state state;
    char why[200];
    model_replay(model, store_position(store), &state);
    struct snapshot *snapshot = snapshot_open(store);
    if (!model_compare(&state, snapshot, why, sizeof(why)))
        fail_msg("%s", why);
    if (extension != NULL) {
        assert_int_equal(extension->section_count, state.section_count);
        assert_int_equal(extension->section_sum, state.section_sum);
        assert_int_equal(extension->row_count, state.row_count);
        assert_false(extension->is_out_of_order);
    }
    snapshot_close(snapshot);
    model_state_deinit(&state);
}

static void step(struct store *store, struct model *model, struct model_state *state)
{
    struct model_op *op;
    struct commit *commit = model_commit(model, store, state, &op);
    uint64_t position = 0;
    struct error error = {0};
    if (store_commit(store, commit, &position, &error) != OK)
        fail_msg("store_commit: %s", error.text);
    assert_true(store_position(store) >= position);
    op->position = position;
    model_replay_op(state, op);
}

static void run_model(uint64_t seed, int steps, uint32_t rows_max, bool is_threaded)
{
    struct place place;
    struct model model;
    struct model_state state = {0};
    struct model_extension extension;
    place_make(&place);
    model_init(&model, seed, rows_max);
    struct store *store = open_store(&place, &extension, is_threaded);
    struct snapshot *held = NULL;
    for (int i = 0; i < steps; i++) {
        step(store, &model, &state);
        if (i % 29 == 7) {
            if (held != NULL) { /* it still shows its moment */
                struct model_state then;
                char why[200];
                model_replay(&model, snapshot_position(held), &then);
                if (!model_compare(&then, held, why, sizeof(why)))
                    fail_msg("seed %llu, held snapshot: %s", (unsigned long long)seed, why);
                model_state_deinit(&then);
                snapshot_close(held);
            }
            held = snapshot_open(store);
            expect_equal(store, &model, &extension);
        }
        if (i % 41 == 3)
            assert_int_equal(store_checkpoint(store, NULL), OK);
        if (i % 67 == 66) {
            snapshot_close(held);
            held = NULL;
            store_close(store);
            place.io->ops->destroy(place.io); /* with it the lock */
            assert_int_equal(io_open("plain", place.path, &place.io, NULL), OK);
            store = open_store(&place, &extension, is_threaded);
            expect_equal(store, &model, &extension);
        }
    }
    if (held != NULL)
        snapshot_close(held);
    expect_equal(store, &model, &extension);
    store_close(store);
    model_state_deinit(&state);
    model_deinit(&model);
    place_remove(&place);
}

static void test_random_commits_match_the_model(void **test_state)
{
    (void)test_state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_model(seed, 150, 600, seed % 2 == 0);
}

static void test_long_tables_match_the_model(void **test_state)
{
    (void)test_state;
    run_model(77, 60, 12000, true);
}

/* --- by hand --- */

static struct schema *schema_kv(uint32_t table_id, const char *name)
{
    struct schema *schema = schema_create();
    schema->table_id = table_id;
    schema->version = 1;
    schema->name = slice_from_cstr(name);
    schema->column_count = 2;
    schema->columns = arena_alloc_zero(&schema->arena, 2 * sizeof(*schema->columns));
    schema->columns[0] =
        (struct column_definition){.id = 1, .name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ)};
    schema->columns[1] =
        (struct column_definition){.id = 2, .name = SLICE("v"), .type = type_of(TYPE_TEXT)};
    schema->columns[0].missing = (struct value){.type = schema->columns[0].type, .is_null = true};
    schema->columns[1].missing = (struct value){.type = schema->columns[1].type, .is_null = true};
    schema->next_column_id = 3;
    schema->time_column = 0;
    return schema;
}

static enum err change(struct store *store, enum change_kind kind, uint32_t table_id,
                       struct schema *schema, struct error *error)
{
    struct commit *commit = commit_create(store);
    commit_set_change(commit, kind, table_id, schema);
    return store_commit(store, commit, NULL, error);
}

static void add_rows(struct commit *commit, const struct schema *schema, size_t count,
                     size_t text_size, struct random_stream *stream)
{
    struct arena arena;
    arena_init(&arena);
    struct column_builder ts, v;
    column_builder_init(&ts, type_of(TYPE_TIMESTAMPTZ), &arena);
    column_builder_init(&v, type_of(TYPE_TEXT), &arena);
    char *text = arena_alloc(&arena, text_size);
    memset(text, 'x', text_size);
    for (size_t i = 0; i < count; i++) {
        if (text_size >= 100) /* long texts are all different */
            memcpy(text, &(uint64_t){random_next(stream)}, 8);
        column_builder_add(&ts, &(struct value){.type = ts.type, .i = (int64_t)i});
        column_builder_add(&v, &(struct value){.type = v.type, .text = slice_of(text, text_size)});
    }
    struct column columns[2] = {column_builder_finish(&ts), column_builder_finish(&v)};
    struct batch batch = {.row_count = count, .column_count = 2, .columns = columns};
    const uint32_t ids[2] = {1, 2};
    commit_add_rows(commit, schema, ids, &batch);
    arena_deinit(&arena);
}

static enum err insert(struct store *store, const struct schema *schema, size_t count,
                       size_t text_size, struct random_stream *stream, struct error *error)
{
    struct commit *commit = commit_create(store);
    add_rows(commit, schema, count, text_size, stream);
    return store_commit(store, commit, NULL, error);
}

static void test_refusals_name_the_reason(void **test_state)
{
    (void)test_state;
    struct place place;
    struct error error = {0};
    place_make(&place);
    struct store *store = open_store(&place, NULL, true);
    uint32_t id = store_next_table_id(store);
    assert_int_equal(change(store, CHANGE_CREATE, id, schema_kv(id, "kv"), &error), OK);
    uint32_t other = store_next_table_id(store);
    assert_int_not_equal(other, id);
    assert_int_equal(change(store, CHANGE_CREATE, other, schema_kv(other, "kv"), &error),
                     ERR_EXISTS);
    assert_string_equal(error.sqlstate, "42P07");
    assert_int_equal(change(store, CHANGE_DROP, other, NULL, &error), ERR_NOT_FOUND);
    assert_string_equal(error.sqlstate, "42P01");

    struct schema *known = schema_kv(id, "kv");
    assert_int_equal(insert(store, known, 3, 4, NULL, &error), OK);
    struct schema *altered = schema_copy(known); /* without v */
    altered->version = 2;
    altered->column_count = 1;
    struct schema *late = schema_copy(altered);
    assert_int_equal(change(store, CHANGE_ALTER, id, altered, &error), OK);
    assert_int_equal(change(store, CHANGE_ALTER, id, late, &error), ERR_BUSY);
    assert_int_equal(insert(store, known, 3, 4, NULL, &error), ERR_NOT_FOUND);
    assert_string_equal(error.sqlstate, "42P01");
    assert_int_equal(change(store, CHANGE_DROP, id, NULL, &error), OK);
    assert_int_equal(insert(store, known, 3, 4, NULL, &error), ERR_NOT_FOUND);
    schema_unref(known);

    struct snapshot *snapshot = snapshot_open(store);
    assert_int_equal(snapshot_table_count(snapshot), 0);
    assert_int_equal(snapshot_position(snapshot), store_position(store));
    snapshot_close(snapshot);
    assert_int_equal(store_wait(store, store_position(store), 0, &error), OK);
    assert_int_equal(store_wait(store, store_position(store) + 1, 1000, &error), ERR_TIMEOUT);
    store_close(store);
    place_remove(&place);
}

static void test_memory_limit_refuses_rows_and_truncate_frees(void **test_state)
{
    (void)test_state;
    struct place place;
    struct error error = {0};
    place_make(&place);
    struct store_options options = {.io = place.io,
                                    .directory = "",
                                    .log_file_size = 1 << 20,
                                    .rows_memory_limit = 4 << 20,
                                    .is_threaded = true};
    struct store *store;
    struct random_stream stream;
    random_stream_init(&stream, 1);
    assert_int_equal(store_open(&options, &store, &error), OK);
    uint32_t id = store_next_table_id(store);
    assert_int_equal(change(store, CHANGE_CREATE, id, schema_kv(id, "kv"), &error), OK);
    struct schema *schema = schema_kv(id, "kv");
    for (int round = 0; round < 3; round++) {
        int count = 0;
        while (insert(store, schema, 100, 700 + (size_t)count % 30, &stream, &error) == OK) {
            count++;
            assert_true(count < 1000);
        }
        assert_string_equal(error.sqlstate, "53200");
        struct store_status status;
        store_status(store, &status);
        assert_false(status.is_failed);
        assert_true(status.rows_memory_used <= status.rows_memory_limit + (1 << 20));
        assert_int_equal(change(store, CHANGE_TRUNCATE, id, NULL, &error), OK);
        store_status(store, &status);
        assert_true(status.rows_memory_used < 1 << 16);
    }
    schema_unref(schema);
    store_close(store);
    place_remove(&place);
}

/* Rows, and the sum of what their texts begin with. */
static uint64_t sum_texts(struct store *store, uint64_t *rows)
{
    static const uint32_t columns[] = {1};
    struct snapshot *snapshot = snapshot_open(store);
    const struct table_view *view = snapshot_find(snapshot, SLICE("kv"));
    struct cursor *cursor = cursor_open(view, columns, 1, NULL);
    uint64_t sum = 0;
    *rows = 0;
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        struct batch batch;
        bool has;
        assert_int_equal(cursor_seek(cursor, morsel, &has, NULL), OK);
        while (has) {
            assert_int_equal(cursor_next(cursor, &batch, &has, NULL), OK);
            for (size_t i = 0; has && i < batch.row_count; i++, (*rows)++) {
                struct slice text = column_text(&batch.columns[0], i);
                uint64_t first;
                memcpy(&first, text.data, sizeof(first));
                sum += first + (uint64_t)(text.data[text.size - 1] != 'x');
            }
        }
    }
    cursor_close(cursor);
    snapshot_close(snapshot);
    return sum;
}

/* Hints around the sizes of buffers, true and false ones, before rows and between them; more
 * commits at a time than there are large buffers; some forgotten, some made of two. */
static void test_commits_of_all_sizes_hold_their_rows(void **test_state)
{
    (void)test_state;
    enum { AT_A_TIME = COMMIT_LARGE + 4 };
    static const size_t hints[] = {0,
                                   1,
                                   COMMIT_LARGE_MIN - IO_ALIGNMENT - 17,
                                   COMMIT_LARGE_MIN - IO_ALIGNMENT - 16,
                                   1000000,
                                   COMMIT_LARGE_SIZE - IO_ALIGNMENT - 16,
                                   COMMIT_LARGE_SIZE - IO_ALIGNMENT - 15,
                                   (size_t)5 << 20,
                                   LOG_RECORD_SIZE_MAX};
    static const size_t counts[] = {1, 300, 17000}; /* the last of 4.5 MB */
    struct place place;
    place_make(&place);
    struct store *store = open_store(&place, NULL, true);
    uint32_t id = store_next_table_id(store);
    assert_int_equal(change(store, CHANGE_CREATE, id, schema_kv(id, "kv"), NULL), OK);
    struct schema *schema = schema_kv(id, "kv");
    struct random_stream stream, same;
    random_stream_init(&stream, 5);
    random_stream_init(&same, 5);
    uint64_t sum = 0, rows = 0, found;
    struct commit *commits[AT_A_TIME];
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < AT_A_TIME; i++) {
            size_t n = round * AT_A_TIME + i;
            size_t hint = hints[n % array_count(hints)], count = counts[n % array_count(counts)];
            commits[i] = commit_create(store);
            if (round % 2 == 1)
                add_rows(commits[i], schema, 1, 256, &stream);
            commit_reserve(commits[i], hint);
            add_rows(commits[i], schema, count, 256, &stream);
            for (size_t row = round % 2 == 1 ? 0 : 1; row <= count; row++, rows++)
                sum += random_next(&same);
        }
        commit_append(commits[0], commits[1]);
        commit_append(commits[AT_A_TIME - 2], commits[AT_A_TIME - 1]);
        struct commit *forgotten = commit_create(store);
        commit_reserve(forgotten, 1000000);
        commit_destroy(forgotten);
        for (size_t i = 0; i < AT_A_TIME - 1; i++) {
            if (i != 1)
                assert_int_equal(store_commit(store, commits[i], NULL, NULL), OK);
        }
    }
    assert_int_equal(sum_texts(store, &found), sum);
    assert_int_equal(found, rows);
    store_close(store);
    place.io->ops->destroy(place.io);
    assert_int_equal(io_open("plain", place.path, &place.io, NULL), OK);
    store = open_store(&place, NULL, false);
    assert_int_equal(sum_texts(store, &found), sum);
    assert_int_equal(found, rows);
    store_close(store);
    schema_unref(schema);
    place_remove(&place);
}

static void test_statistics_describe_the_table(void **test_state)
{
    (void)test_state;
    struct place place;
    place_make(&place);
    struct store *store = open_store(&place, NULL, false);
    uint32_t id = store_next_table_id(store);
    assert_int_equal(change(store, CHANGE_CREATE, id, schema_kv(id, "kv"), NULL), OK);
    struct schema *schema = schema_kv(id, "kv");
    for (int i = 0; i < 5; i++)
        assert_int_equal(insert(store, schema, 5000, 10, NULL, NULL), OK);
    schema_unref(schema);
    struct snapshot *snapshot = snapshot_open(store);
    const struct table_view *view = snapshot_find(snapshot, SLICE("kv"));
    struct table_statistics statistics;
    table_view_statistics(view, &statistics);
    assert_int_equal(statistics.rows, 25000);
    assert_int_equal(statistics.min_time_us, 0);
    assert_int_equal(statistics.max_time_us, 4999);
    assert_int_equal(statistics.first_position, 2);
    assert_int_equal(statistics.last_position, 6);
    uint64_t bytes, raw;
    char encodings[40];
    table_view_column_statistics(view, 1, &bytes, &raw, encodings, sizeof(encodings));
    assert_string_equal(encodings, "dictionary");
    assert_int_equal(bytes, 50000);
    assert_int_equal(raw, 250000);
    assert_true(table_view_morsel_count(view) > 2);
    snapshot_close(snapshot);
    store_close(store);
    place_remove(&place);
}

/* --- damage --- */

struct first_file {
    char name[64];
};

static void note_log_file(void *context, const char *name)
{
    struct first_file *first = context;
    if (strncmp(name, "log-", 4) == 0 && first->name[0] == 0)
        snprintf(first->name, sizeof(first->name), "%s", name);
}

/* A flipped bit in the middle of the log: refused, with the place; cut there on demand, and
 * everything before it is as the model says, though a checkpoint from behind the cut is there. */
static void test_damage_refuses_and_can_be_cut(void **test_state)
{
    (void)test_state;
    struct sim_options sim_options = {.seed = 5};
    struct sim *sim = sim_create(&sim_options);
    struct place place;
    struct model model;
    struct model_state state = {0};
    struct model_extension extension;
    struct error error = {0};
    struct first_file first = {{0}};
    sim_open(sim, &place.io);
    model_init(&model, 11, 100);
    struct store *store = open_store(&place, &extension, false);
    for (int i = 0; i < 60; i++)
        step(store, &model, &state);
    uint64_t last = store_position(store);
    store_close(store); /* with a checkpoint */
    assert_int_equal(place.io->ops->list(place.io, "", note_log_file, &first, NULL), OK);
    assert_true(sim_flip_bit(sim, first.name, 4096 * 25 + 200, 3));
    place.io->ops->destroy(place.io);

    logger_set_level((enum log_level)(LOG_ERROR + 1));
    sim_open(sim, &place.io);
    struct store_options options = {.io = place.io, .directory = "", .log_file_size = 1 << 20};
    assert_int_equal(store_open(&options, &store, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.text, first.name));
    place.io->ops->destroy(place.io);

    sim_open(sim, &place.io);
    options.io = place.io;
    options.recover_point_in_time = true;
    options.extension = model_extension(&extension);
    assert_int_equal(store_open(&options, &store, &error), OK);
    assert_true(store_position(store) > 0 && store_position(store) < last);
    expect_equal(store, &model, &extension);

    /* And it goes on from there: past where the old checkpoint stood, which must not come back. */
    for (struct model_op *op = model.first; op != NULL; op = op->next)
        op->position = op->position > store_position(store) ? 0 : op->position;
    model_state_deinit(&state);
    model_replay(&model, UINT64_MAX, &state);
    while (store_position(store) < last + 5)
        step(store, &model, &state);
    expect_equal(store, &model, &extension);
    store_close(store);
    place.io->ops->destroy(place.io);
    sim_open(sim, &place.io);
    store = open_store(&place, &extension, false);
    expect_equal(store, &model, &extension);
    store_close(store);
    place.io->ops->destroy(place.io);
    logger_set_level(LOG_ERROR);
    model_state_deinit(&state);
    model_deinit(&model);
    sim_destroy(sim);
}

int main(void)
{
    logger_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_commits_match_the_model),
        cmocka_unit_test(test_long_tables_match_the_model),
        cmocka_unit_test(test_refusals_name_the_reason),
        cmocka_unit_test(test_memory_limit_refuses_rows_and_truncate_frees),
        cmocka_unit_test(test_commits_of_all_sizes_hold_their_rows),
        cmocka_unit_test(test_statistics_describe_the_table),
        cmocka_unit_test(test_damage_refuses_and_can_be_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
