/* INSERT: typed rows from the query engine become one commit record of the source `sql`, all or
 * nothing.
 *
 * Each batch brings some columns; the others take their DEFAULT (evaluated once a statement,
 * volatile ones once a row), else NULL. What POST would make a dead letter is an error here: the
 * statement's author is there to read it. The memory is asked for rows as wide as the table: most
 * columns of a batch may be one value each. */
#include "ingest/internal.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/latency.h"

#include <assert.h>

struct insert {
    const struct schema *schema;
    const uint32_t *column_ids; /* given */
    size_t given_count;         /* columns of each batch */
    struct definition_defaults defaults;
    struct arena arena;
    int64_t now_us;
};

/* Place of a table column among the given ones, or SIZE_MAX. */
static size_t given_place(const struct insert *insert, uint32_t column_id)
{
    for (size_t i = 0; i < insert->given_count; i++)
        if (insert->column_ids[i] == column_id)
            return i;
    return SIZE_MAX;
}

static enum err null_refused(const struct insert *insert, uint32_t column, struct error *error)
{
    return error_set(
        error, ERR_INPUT, "23502",
        "null value in column \"%.*s\" of relation \"%.*s\" violates not-null constraint",
        SLICE_ARGS(insert->schema->columns[column].name), SLICE_ARGS(insert->schema->name));
}

static enum err check_column(const struct insert *insert, uint32_t index,
                             const struct column *column, size_t row_count, struct error *error)
{
    if (insert->schema->columns[index].is_not_null)
        for (size_t row = 0; row < row_count; row++)
            if (column_is_null(column, row))
                return null_refused(insert, index, error);
    if ((int32_t)index != insert->schema->time_column)
        return OK;
    int64_t limit;
    if (__builtin_add_overflow(insert->now_us, insert->schema->options.future_us, &limit))
        return OK;
    for (size_t row = 0; row < row_count; row++)
        if (!column_is_null(column, row) && column->i[column_index(column, row)] > limit)
            return error_set(error, ERR_INPUT, "22008",
                             "event time in column \"%.*s\" is further ahead of the server's clock "
                             "than the table's "
                             "option \"future\" allows",
                             SLICE_ARGS(insert->schema->columns[index].name));
    return OK;
}

static enum err default_column(struct insert *insert, uint32_t index, size_t row_count,
                               struct column *out, struct error *error)
{
    struct value value;
    bool is_volatile;
    const struct rows_defaults *defaults = &insert->defaults.interface;
    enum err err =
        defaults->get(defaults->context, index, &insert->arena, &value, &is_volatile, error);
    if (err != OK)
        return err;
    value.type = insert->schema->columns[index].type;
    if (!is_volatile) {
        *out = column_from_value(&value, &insert->arena);
        return OK;
    }
    struct column_builder builder;
    column_builder_init(&builder, value.type, &insert->arena);
    for (size_t row = 0; row < row_count; row++) {
        if (row > 0 && (err = defaults->get(defaults->context, index, &insert->arena, &value,
                                            &is_volatile, error)) != OK)
            return err;
        column_builder_add(&builder, &value);
    }
    *out = column_builder_finish(&builder);
    return OK;
}

static enum err add_batch(struct insert *insert, const struct batch *batch, struct commit *commit,
                          struct error *error)
{
    uint32_t count = insert->schema->column_count;
    struct column *columns = arena_alloc_array(&insert->arena, count, sizeof(*columns));
    uint32_t *ids = arena_alloc_array(&insert->arena, count, sizeof(*ids));
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = insert->schema->columns[i].id;
        size_t place = given_place(insert, ids[i]);
        enum err err = OK;
        if (place == SIZE_MAX)
            err = default_column(insert, i, batch->row_count, &columns[i], error);
        else
            columns[i] = batch->columns[place];
        columns[i].type = insert->schema->columns[i].type;
        if (err == OK)
            err = check_column(insert, i, &columns[i], batch->row_count, error);
        if (err != OK)
            return err;
    }
    struct batch full = {.row_count = batch->row_count, .column_count = count, .columns = columns};
    commit_add_rows(commit, insert->schema, ids, &full);
    return OK;
}

static void add_section(struct commit *commit, const struct schema *schema, uint64_t rows)
{
    struct section_request section = {.table_id = schema->table_id,
                                      .table = schema->name,
                                      .source = SLICE("sql"),
                                      .source_kind = SOURCE_SQL};
    section.counts[FATE_RECEIVED] = rows;
    section.counts[FATE_STORED] = rows;
    struct writer bytes;
    writer_init(&bytes);
    section_begin(&bytes, &section);
    section_begin_drift(&bytes, 0);
    commit_add_section(commit, SECTION_REQUEST, writer_as_slice(&bytes));
    writer_deinit(&bytes);
}

enum err insert_add(struct commit *commit, struct definition *definition,
                    const struct schema *schema, const uint32_t *column_ids,
                    const struct batch *batches, size_t batch_count, uint64_t *row_count,
                    struct error *error)
{
    enum err err = OK;
    struct insert insert = {.schema = schema, .column_ids = column_ids, .now_us = clock_wall_us()};
    definition_defaults_init(&insert.defaults, definition, insert.now_us);
    arena_init(&insert.arena);
    *row_count = 0;
    for (size_t i = 0; i < batch_count && err == OK; i++) {
        if (batches[i].row_count == 0)
            continue;
        insert.given_count = batches[i].column_count;
        err = add_batch(&insert, &batches[i], commit, error);
        if (err == OK && !fault_is("insert.rows_uncharged"))
            err = commit_charge(commit, error);
        *row_count += batches[i].row_count;
    }
    if (err == OK && *row_count > 0)
        add_section(commit, schema, *row_count);
    arena_deinit(&insert.arena);
    return err;
}

enum err ingest_insert_into(struct ingest *ingest, struct commit *commit,
                            const struct schema *schema, const uint32_t *column_ids,
                            const struct batch *batches, size_t batch_count, uint64_t *row_count,
                            struct error *error)
{
    struct definition *definition;
    enum err err = ingest_definition(ingest, schema, &definition, error);
    if (err != OK)
        return err;
    err =
        insert_add(commit, definition, schema, column_ids, batches, batch_count, row_count, error);
    definition_unref(definition);
    return err;
}

enum err ingest_insert(struct ingest *ingest, const struct schema *schema,
                       const uint32_t *column_ids, const struct batch *batches, size_t batch_count,
                       uint64_t *position, uint64_t *row_count, struct error *error)
{
    struct definition *definition;
    int64_t begin_us = clock_monotonic_us();
    *position = 0;
    enum err err = ingest_definition(ingest, schema, &definition, error);
    if (err != OK)
        return err;
    struct commit *commit = commit_create(ingest->store);
    err =
        insert_add(commit, definition, schema, column_ids, batches, batch_count, row_count, error);
    if (err == OK && *row_count > 0)
        err = store_commit(ingest->store, commit, position, error);
    else
        commit_destroy(commit);
    if (err == OK && *position != 0)
        latency_record(LATENCY_FRESH_SQL, clock_monotonic_us() - begin_us);
    definition_unref(definition);
    return err;
}
