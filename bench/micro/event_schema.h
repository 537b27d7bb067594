/* The table of the generator's events (bench/loadgen/event.c), for programs without a server. */
#ifndef FRESHET_BENCH_MICRO_EVENT_SCHEMA_H
#define FRESHET_BENCH_MICRO_EVENT_SCHEMA_H

#include "storage/column/schema.h"

static const struct {
    const char *name;
    enum type_id type;
    uint8_t precision, scale;
} event_columns[] = {
    {"ts", TYPE_TIMESTAMPTZ, 0, 0},    {"event_id", TYPE_UUID, 0, 0},
    {"event", TYPE_TEXT, 0, 0},        {"user_id", TYPE_INT8, 0, 0},
    {"session_id", TYPE_TEXT, 0, 0},   {"country", TYPE_TEXT, 0, 0},
    {"city", TYPE_TEXT, 0, 0},         {"device", TYPE_TEXT, 0, 0},
    {"os", TYPE_TEXT, 0, 0},           {"browser", TYPE_TEXT, 0, 0},
    {"page", TYPE_TEXT, 0, 0},         {"referrer", TYPE_TEXT, 0, 0},
    {"campaign", TYPE_TEXT, 0, 0},     {"status", TYPE_INT2, 0, 0},
    {"latency_ms", TYPE_FLOAT8, 0, 0}, {"amount", TYPE_NUMERIC, 12, 2},
    {"bytes", TYPE_INT4, 0, 0},        {"is_new", TYPE_BOOL, 0, 0},
    {"ip", TYPE_TEXT, 0, 0},           {"agent", TYPE_TEXT, 0, 0},
    {"message", TYPE_TEXT, 0, 0},
};

/* The caller has its one reference. */
static inline struct schema *event_schema(void)
{
    struct schema *schema = schema_create();
    size_t count = sizeof(event_columns) / sizeof(event_columns[0]);
    schema->table_id = 1;
    schema->name = SLICE("events");
    schema->columns = arena_alloc_zero(&schema->arena, count * sizeof(*schema->columns));
    for (uint32_t index = 0; index < count; index++) {
        struct type type = {.id = (uint8_t)event_columns[index].type,
                            .precision = event_columns[index].precision,
                            .scale = event_columns[index].scale};
        schema->columns[index] =
            (struct column_definition){.id = index + 1,
                                       .name = slice_from_cstr(event_columns[index].name),
                                       .type = type,
                                       .missing = {.type = type, .is_null = true}};
    }
    schema->column_count = (uint32_t)count;
    schema->time_column = 0;
    return schema;
}

#endif
