/* A table "t" of made-up rows, for tests that ask the same of it in two ways. */
#ifndef FRESHET_TESTS_UNIT_QUERY_MADE_TABLE_H
#define FRESHET_TESTS_UNIT_QUERY_MADE_TABLE_H

#include "storage/base/random.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MADE_COLUMNS_MAX 16u

/* The first column is the event time, and NOT NULL. */
struct made_column {
    const char *name;
    struct type type;
    enum index_policy index;
};

/* A column's cell of a row; texts live as long as the arena, or longer. Called column by column,
 * row by row, with one stream of chance for a whole insertion. */
typedef struct value made_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                               struct arena *arena);

/* Its id; `position` becomes that of the change. */
static inline uint32_t made_table_create(struct store *store, const struct made_column *columns,
                                         uint32_t column_count, uint64_t *position)
{
    struct schema *schema = schema_create();
    struct error error;
    schema->table_id = store_next_table_id(store);
    schema->version = 1;
    schema->name = SLICE("t");
    schema->column_count = column_count;
    schema->columns = arena_alloc_zero(&schema->arena, column_count * sizeof(*schema->columns));
    for (uint32_t i = 0; i < column_count; i++)
        schema->columns[i] = (struct column_definition){
            .id = i + 1,
            .name = slice_from_cstr(columns[i].name),
            .type = columns[i].type,
            .is_not_null = i == 0,
            .index = columns[i].index,
            .index_name =
                columns[i].index == INDEX_ON
                    ? slice_from_cstr(arena_printf(&schema->arena, "t_%s_idx", columns[i].name))
                    : SLICE(""),
            .missing = {.type = columns[i].type, .is_null = true}};
    schema->next_column_id = column_count + 1;
    schema->time_column = 0;
    schema->options.rest_column = schema->options.whole_column = -1;
    uint32_t id = schema->table_id;
    struct commit *commit = commit_create(store);
    commit_set_change(commit, CHANGE_CREATE, id, schema);
    assert_int_equal(store_commit(store, commit, position, &error), OK);
    return id;
}

/* Rows [first, first + row_count) as one record. The first `column_count` columns get cells, those
 * that the table has got since are missing. */
static inline void made_table_insert(struct store *store, uint32_t table_id, uint32_t column_count,
                                     made_cell *cell, uint32_t first, uint32_t row_count,
                                     uint64_t *position)
{
    struct arena arena;
    struct error error;
    struct random_stream chance;
    uint32_t ids[MADE_COLUMNS_MAX];
    struct column columns[MADE_COLUMNS_MAX];
    struct snapshot *snapshot = snapshot_open(store);
    const struct schema *schema = table_view_schema(snapshot_find_id(snapshot, table_id));
    arena_init(&arena);
    random_stream_init(&chance, first + 1);
    for (uint32_t column = 0; column < column_count; column++) {
        struct column_builder builder;
        ids[column] = schema->columns[column].id;
        column_builder_init(&builder, schema->columns[column].type, &arena);
        for (uint32_t row = first; row < first + row_count; row++) {
            struct value value = cell(&chance, column, row, &arena);
            column_builder_add(&builder, &value);
        }
        columns[column] = column_builder_finish(&builder);
    }
    struct batch batch = {.row_count = row_count, .column_count = column_count, .columns = columns};
    struct commit *commit = commit_create(store);
    commit_add_rows(commit, schema, ids, &batch);
    snapshot_close(snapshot);
    assert_int_equal(store_commit(store, commit, position, &error), OK);
    arena_deinit(&arena);
}

#endif
