/* A store on a simulated disk with two tables, and one provider: what statements are bound against
 * in tests. */
#ifndef FRESHET_TESTS_CATALOGUE_H
#define FRESHET_TESTS_CATALOGUE_H

#include "query/sql/sql.h"
#include "storage/io/sim.h"

#include <assert.h>

struct catalogue {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct snapshot *snapshot;
    struct sql_context context;
};

static void catalogue_create_table(struct store *store, const char *name,
                                   const struct column_definition *columns, uint32_t count,
                                   int32_t time_column)
{
    struct schema *schema = schema_create();
    schema->table_id = store_next_table_id(store);
    schema->version = 1;
    schema->name = arena_copy(&schema->arena, slice_from_cstr(name));
    schema->column_count = count;
    schema->columns = arena_alloc_zero(&schema->arena, count * sizeof(*columns));
    for (uint32_t index = 0; index < count; index++) {
        schema->columns[index] = columns[index];
        schema->columns[index].id = schema->next_column_id++;
        schema->columns[index].missing =
            (struct value){.type = columns[index].type, .is_null = true};
    }
    schema->time_column = time_column;
    struct commit *commit = commit_create(store);
    commit_set_change(commit, CHANGE_CREATE, schema->table_id, schema);
    uint64_t position;
    enum err result = store_commit(store, commit, &position, NULL);
    assert(result == OK);
    (void)result;
}

static enum err catalogue_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)context;
    (void)scan;
    (void)error;
    return OK;
}

static const struct provider_column catalogue_columns[] = {{"table_name", {.id = TYPE_TEXT}},
                                                           {"rows", {.id = TYPE_INT8}},
                                                           {"bytes", {.id = TYPE_INT8}},
                                                           {"time_column", {.id = TYPE_TEXT}}};
static const struct table_provider catalogue_provider = {.schema_name = "freshet",
                                                         .name = "tables",
                                                         .column_count = 4,
                                                         .columns = catalogue_columns,
                                                         .scan = catalogue_scan};
static const struct table_provider *const catalogue_providers[] = {&catalogue_provider};

static struct slice catalogue_setting(void *context, struct slice name, bool *is_known)
{
    (void)context;
    *is_known = slice_equal(name, SLICE("timezone"));
    return *is_known ? SLICE("UTC") : SLICE("");
}

static void catalogue_open(struct catalogue *c)
{
    static const struct column_definition clicks[] = {
        {.name = {"ts", 2}, .type = {.id = TYPE_TIMESTAMPTZ}, .is_not_null = true},
        {.name = {"user_id", 7}, .type = {.id = TYPE_INT8}},
        {.name = {"country", 7}, .type = {.id = TYPE_TEXT}},
        {.name = {"latency_ms", 10}, .type = {.id = TYPE_FLOAT8}},
        {.name = {"amount", 6}, .type = {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}},
        {.name = {"tags", 4}, .type = {.id = TYPE_TEXT_ARRAY}},
        {.name = {"n", 1}, .type = {.id = TYPE_INT4}, .default_text = {"1 + 2", 5}},
    };
    static const struct column_definition users[] = {
        {.name = {"id", 2}, .type = {.id = TYPE_INT8}},
        {.name = {"name", 4}, .type = {.id = TYPE_TEXT}},
        {.name = {"country", 7}, .type = {.id = TYPE_TEXT}},
    };
    c->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(c->sim, &c->io);
    struct store_options options = {.io = c->io,
                                    .directory = "",
                                    .log_file_size = 1 << 20,
                                    .rows_memory_limit = (size_t)1 << 26};
    enum err result = store_open(&options, &c->store, NULL);
    assert(result == OK);
    (void)result;
    catalogue_create_table(c->store, "clicks", clicks, array_count(clicks), 0);
    catalogue_create_table(c->store, "users", users, array_count(users), -1);
    c->snapshot = snapshot_open(c->store);
    c->context = (struct sql_context){.snapshot = c->snapshot,
                                      .providers = catalogue_providers,
                                      .provider_count = 1,
                                      .zone = timezone_utc,
                                      .setting = catalogue_setting};
}

__attribute__((unused)) static void catalogue_close(struct catalogue *c)
{
    snapshot_close(c->snapshot);
    store_close(c->store);
    c->io->ops->destroy(c->io);
    sim_destroy(c->sim);
}

#endif
