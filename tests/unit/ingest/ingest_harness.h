/* A store with ingest on it, in a directory of its own, and requests that wait for their answer. */
#ifndef FRESHET_TESTS_UNIT_INGEST_HARNESS_H
#define FRESHET_TESTS_UNIT_INGEST_HARNESS_H

#include "ingest/internal.h"
#include "query/expr/build.h"
#include "tests/unit/scratch.h"
#include "tests/model/cursor_model.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char path[64];
    struct io *io;
    struct store *store;
    struct ingest *ingest;
    struct ingest_options options;
    int64_t wall_us, monotonic_us; /* the installed clock */
    size_t rows_memory_limit;
    struct clock_source clock;
};

static inline int64_t world_wall(void *context)
{
    return ((struct world *)context)->wall_us;
}

static inline int64_t world_monotonic(void *context)
{
    return ((struct world *)context)->monotonic_us++;
}

/* DEFAULTs of tests: now() is volatile-free `now`, a number, or a quoted text. */
static inline enum err world_bind_default(const struct schema *schema, uint32_t column,
                                          struct arena *arena, struct expr **out,
                                          struct error *error)
{
    struct builder builder = {.arena = arena, .zone = timezone_utc, .error = error};
    struct slice text = schema->columns[column].default_text;
    struct expr *expr = NULL;
    enum err err = OK;
    if (slice_equal(text, SLICE("now()")))
        err = build_call(&builder, SLICE("now"), NULL, 0, 0, &expr);
    else if (text.data[0] == '\'')
        expr = build_string(&builder, slice_of(text.data + 1, text.size - 2), 0);
    else
        expr = build_number(&builder, text, 0);
    if (err == OK)
        err = build_cast(&builder, expr, schema->columns[column].type, CAST_ASSIGNMENT, 0, out);
    return err;
}

static inline void world_open(struct world *world)
{
    struct error error = {0};
    assert_int_equal(io_open("plain", world->path, &world->io, &error), OK);
    world->ingest = ingest_create(&world->options);
    struct store_options options = {.io = world->io,
                                    .directory = "",
                                    .log_file_size = 4 << 20,
                                    .rows_memory_limit = world->rows_memory_limit,
                                    .extension = ingest_extension(world->ingest),
                                    .is_threaded = false};
    if (store_open(&options, &world->store, &error) != OK)
        fail_msg("store_open: %s", error.text);
    ingest_attach(world->ingest, world->store);
}

static inline void world_close(struct world *world)
{
    store_close(world->store);
    ingest_destroy(world->ingest);
    world->io->ops->destroy(world->io);
}

static inline void world_reopen(struct world *world)
{
    world_close(world);
    world_open(world);
}

static inline void world_init(struct world *world)
{
    memset(world, 0, sizeof(*world));
    snprintf(world->path, sizeof(world->path), "/tmp/freshet-ingest-XXXXXX");
    assert_non_null(mkdtemp(world->path));
    world->options = (struct ingest_options){.limits = ingest_limits_default,
                                             .source_idle_us = 60 * MICROSECONDS_PER_SECOND,
                                             .bind_default = world_bind_default};
    world->wall_us = INT64_C(1780000000000000);
    world->rows_memory_limit = (size_t)1 << 30;
    logger_set_level(LOG_ERROR);
    world->clock = (struct clock_source){
        .wall_us = world_wall, .monotonic_us = world_monotonic, .context = world};
    clock_install(&world->clock);
    world_open(world);
}

static inline void world_deinit(struct world *world)
{
    world_close(world);
    scratch_remove(world->path);
    clock_install(NULL);
}

/* --- requests --- */

struct reply {
    int calls, status;
    enum ingest_outcome outcome;
    uint64_t position, expected_sequence;
    int64_t key_expires_us, retry_after_s;
    struct error error;
    char body[4096];
};

static inline void world_done(void *context, const struct ingest_answer *answer)
{
    struct reply *reply = context;
    reply->calls++;
    reply->status = answer->http_status;
    reply->outcome = answer->outcome;
    reply->position = answer->position;
    reply->expected_sequence = answer->expected_sequence;
    reply->key_expires_us = answer->key_expires_us;
    reply->retry_after_s = answer->retry_after_s;
    reply->error = answer->error;
    size_t size =
        answer->body.size < sizeof(reply->body) - 1 ? answer->body.size : sizeof(reply->body) - 1;
    if (size > 0)
        memcpy(reply->body, answer->body.data, size);
    reply->body[size] = 0;
}

static inline void world_send(struct world *world, const struct ingest_request *request,
                              struct reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    ingest_post(world->ingest, request, world_done, reply);
    while (reply->calls == 0 && store_run(world->store))
        continue;
    assert_int_equal(reply->calls, 1);
}

static inline struct reply world_post(struct world *world, const char *table, const char *body)
{
    struct reply reply;
    struct ingest_request request = {.table = slice_from_cstr(table),
                                     .body = slice_from_cstr(body)};
    world_send(world, &request, &reply);
    return reply;
}

static inline struct reply world_post_sequence(struct world *world, const char *producer,
                                               uint64_t sequence, const char *body)
{
    struct reply reply;
    struct ingest_request request = {.table = SLICE("t"),
                                     .body = slice_from_cstr(body),
                                     .producer = slice_from_cstr(producer),
                                     .has_sequence = true,
                                     .sequence = sequence};
    world_send(world, &request, &reply);
    return reply;
}

static inline struct reply world_post_key(struct world *world, const char *key, const char *body)
{
    struct reply reply;
    struct ingest_request request = {.table = SLICE("t"),
                                     .body = slice_from_cstr(body),
                                     .idempotency_key = slice_from_cstr(key)};
    world_send(world, &request, &reply);
    return reply;
}

/* t(ts timestamptz not null, a bigint, t text) */
static inline void world_create_table(struct world *world, const struct ingest_option *options,
                                      size_t option_count)
{
    const struct ingest_column columns[] = {
        {.name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ), .is_not_null = true},
        {.name = SLICE("a"), .type = type_of(TYPE_INT8)},
        {.name = SLICE("t"), .type = type_of(TYPE_TEXT)},
    };
    struct ingest_table table = {.name = SLICE("t"),
                                 .column_count = array_count(columns),
                                 .columns = columns,
                                 .options = options,
                                 .option_count = option_count};
    uint64_t position;
    struct error error;
    if (ingest_create_table(world->ingest, &table, &position, &error) != OK)
        fail_msg("create: %s", error.text);
}

static inline uint64_t world_rows(struct world *world, const char *table)
{
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find(snapshot, slice_from_cstr(table));
    uint64_t rows = view == NULL ? UINT64_MAX : table_view_rows(view);
    snapshot_close(snapshot);
    return rows;
}

/* All of a table as "v|v;v|v;" in row order. */
static inline void world_print_table(struct world *world, const char *table, struct writer *out)
{
    writer_reset(out);
    struct snapshot *snapshot = snapshot_open(world->store);
    const struct table_view *view = snapshot_find(snapshot, slice_from_cstr(table));
    assert_non_null(view);
    uint32_t count = table_view_schema(view)->column_count, indexes[64];
    for (uint32_t i = 0; i < count; i++)
        indexes[i] = i;
    struct cursor *cursor = cursor_open(view, indexes, count, NULL);
    for (size_t m = 0; m < table_view_morsel_count(view); m++) {
        struct batch batch;
        test_seek(cursor, m);
        while (test_next(cursor, &batch)) {
            for (size_t row = 0; row < batch.row_count; row++) {
                for (size_t i = 0; i < count; i++) {
                    struct value value = column_value(&batch.columns[i], row);
                    if (i > 0)
                        writer_u8(out, '|');
                    if (value.is_null)
                        writer_u8(out, '~');
                    else
                        value_print(&value, NULL, out);
                }
                writer_u8(out, ';');
            }
        }
    }
    cursor_close(cursor);
    snapshot_close(snapshot);
}

/* A system table as "v|v;v|v;". */
static inline void world_print_provider(struct world *world, const char *name, struct writer *out)
{
    size_t count;
    const struct table_provider *const *providers = ingest_providers(world->ingest, &count);
    const struct table_provider *provider = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(providers[i]->name, name) == 0)
            provider = providers[i];
    assert_non_null(provider);
    struct arena arena;
    arena_init(&arena);
    struct column_builder builders[32];
    for (size_t i = 0; i < provider->column_count; i++)
        column_builder_init(&builders[i], provider->columns[i].type, &arena);
    struct provider_scan scan = {.arena = &arena, .builders = builders};
    struct error error;
    assert_int_equal(provider->scan(provider->context, &scan, &error), OK);
    writer_reset(out);
    size_t rows = builders[0].count;
    struct column columns[32];
    for (size_t i = 0; i < provider->column_count; i++) {
        assert_int_equal(builders[i].count, rows);
        columns[i] = column_builder_finish(&builders[i]);
    }
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < provider->column_count; i++) {
            struct value value = column_value(&columns[i], row);
            if (i > 0)
                writer_u8(out, '|');
            if (value.is_null)
                writer_u8(out, '~');
            else
                value_print(&value, NULL, out);
        }
        writer_u8(out, ';');
    }
    arena_deinit(&arena);
}

#define expect_text(writer, want)                                                                  \
    do {                                                                                           \
        if (!slice_equal(writer_as_slice(&(writer)), slice_from_cstr(want)))                       \
            fail_msg("got  %.*s\n want %s", (int)(writer).size, (const char *)(writer).data,       \
                     want);                                                                        \
    } while (0)

#endif
