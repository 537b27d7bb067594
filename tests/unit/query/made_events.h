/* A table "t" of made-up events, most of it sealed: 70,000 rows in a segment of two blocks, 3,000
 * in one more, and 3,000 in memory. Tests of what is kept or told of whole segments ask of it. */
#ifndef FRESHET_TESTS_UNIT_QUERY_MADE_EVENTS_H
#define FRESHET_TESTS_UNIT_QUERY_MADE_EVENTS_H

#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#define MADE_EVENTS_ROWS 70000u
#define MADE_EVENTS_NEWEST 3000u

enum {
    MADE_TS,
    MADE_N,
    MADE_PRICE,
    MADE_RATIO,
    MADE_WORD,
    MADE_KIND,
    MADE_PAGE,
    MADE_EVENT_COLUMNS
};

static const struct made_column made_event_columns[MADE_EVENT_COLUMNS] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_OFF},
    {"n", {.id = TYPE_INT8}, INDEX_OFF}, /* half of them NULL in places */
    {"price", {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}, INDEX_OFF},
    {"ratio", {.id = TYPE_FLOAT8}, INDEX_OFF}, /* sums depend on the order */
    {"word", {.id = TYPE_TEXT}, INDEX_ON},     /* 300 values */
    {"kind", {.id = TYPE_TEXT}, INDEX_OFF},    /* 3 values */
    {"page", {.id = TYPE_TEXT}, INDEX_OFF},    /* ever more of them, NULL and '' among them */
};

static inline struct value made_event_cell(struct random_stream *chance, uint32_t column,
                                           uint32_t row, struct arena *arena)
{
    static const char *const kinds[] = {"red", "green", "blue"};
    struct value value = {.type = made_event_columns[column].type};
    uint32_t page;
    switch (column) {
    case MADE_TS:
        value.i = (int64_t)row * 1000 + (int64_t)random_below(chance, 3000);
        break;
    case MADE_N:
        value.is_null = row > 40000 && random_below(chance, 2) == 0;
        value.i = (int64_t)random_next(chance) >> (row < 40000 ? 1 : 40);
        break;
    case MADE_PRICE:
        value.n = (struct numeric){.digits = random_below(chance, 5) == 0 ? row : 0, .scale = 2};
        value.n.kind = row > MADE_EVENTS_ROWS && row % 1000 == 0 ? NUMERIC_NAN : NUMERIC_FINITE;
        break;
    case MADE_RATIO:
        value.f =
            ((double)random_below(chance, 1000000) - 500000) / 7 + (row % 3000 == 0 ? 1e15 : 0);
        break;
    case MADE_WORD:
        value.text =
            slice_from_cstr(arena_printf(arena, "w%u", (unsigned)random_below(chance, 300)));
        break;
    case MADE_PAGE:
        page = (uint32_t)random_below(chance, row / 16 + 2);
        value.is_null = page % 1000 == 999;
        value.text =
            page % 1000 == 0 ? SLICE("") : slice_from_cstr(arena_printf(arena, "/page/%u", page));
        break;
    default:
        value.text = slice_from_cstr(kinds[random_below(chance, 3)]);
        break;
    }
    return value;
}

/* A test may take the first columns only, and cells of its own for some of them. */
static inline void made_events_insert(struct made_store *made, uint32_t column_count,
                                      made_cell *cell, uint32_t first, uint32_t count)
{
    made_table_insert(made->store, made->table_id, column_count, cell, first, count,
                      &made->position);
}

/* The column is another one of its name from now on, with a text for the rows there are. */
static inline void made_column_replace(struct made_store *made, uint32_t column, const char *text)
{
    struct snapshot *snapshot = snapshot_open(made->store);
    struct schema *schema =
        schema_copy(table_view_schema(snapshot_find_id(snapshot, made->table_id)));
    snapshot_close(snapshot);
    struct column_definition *definition = &schema->columns[column];
    schema->version++;
    definition->id = schema->next_column_id++;
    definition->missing = (struct value){.type = definition->type, .text = slice_from_cstr(text)};
    made_store_change(made, CHANGE_ALTER, schema);
}

/* The table, and the rows that are sealed first. */
static inline void made_events_begin(struct made_store *made, uint32_t column_count,
                                     made_cell *cell)
{
    made->table_id =
        made_table_create(made->store, made_event_columns, column_count, &made->position);
    for (uint32_t row = 0; row < MADE_EVENTS_ROWS; row += 10000)
        made_events_insert(made, column_count, cell, row, 10000);
}

/* The other rows, once the first ones are sealed. */
static inline void made_events_end(struct made_store *made, uint32_t column_count, made_cell *cell)
{
    made_events_insert(made, column_count, cell, MADE_EVENTS_ROWS, MADE_EVENTS_NEWEST);
    made_store_seal(made); /* one more segment, small */
    made_events_insert(made, column_count, cell, MADE_EVENTS_ROWS + MADE_EVENTS_NEWEST,
                       MADE_EVENTS_NEWEST);
}

#endif
