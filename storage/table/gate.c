/* The gate: definitions as of the last submitted position, in an array by table id. Looked at once
 * per commit and part, changed by DDL only. */
#include "storage/table/gate.h"

#include <assert.h>

void gate_init(struct gate *gate)
{
    *gate = (struct gate){0};
}

static void clear(struct gate *gate)
{
    for (uint32_t i = 0; i < gate->table_count; i++)
        schema_unref(gate->tables[i]);
    gate->table_count = 0;
}

void gate_deinit(struct gate *gate)
{
    clear(gate);
    memory_free(gate->tables);
}

static uint32_t lower_bound(const struct gate *gate, uint32_t table_id)
{
    uint32_t first = 0, last = gate->table_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        if (gate->tables[middle]->table_id < table_id)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static const struct schema *find(const struct gate *gate, uint32_t table_id)
{
    uint32_t index = lower_bound(gate, table_id);
    bool is_found = index < gate->table_count && gate->tables[index]->table_id == table_id;
    return is_found ? gate->tables[index] : NULL;
}

static void insert(struct gate *gate, const struct schema *schema)
{
    if (gate->table_count == gate->table_capacity) {
        gate->table_capacity = gate->table_capacity == 0 ? 16 : gate->table_capacity * 2;
        gate->tables = memory_realloc(gate->tables, gate->table_capacity * sizeof(*gate->tables));
    }
    uint32_t index = lower_bound(gate, schema->table_id);
    memmove(&gate->tables[index + 1], &gate->tables[index],
            (gate->table_count - index) * sizeof(*gate->tables));
    gate->tables[index] = schema_ref(schema);
    gate->table_count++;
}

void gate_reset(struct gate *gate, const struct catalog *catalog)
{
    clear(gate);
    for (uint32_t i = 0; i < catalog->table_count; i++)
        insert(gate, catalog->tables[i].schema);
}

static bool is_name_taken(const struct gate *gate, struct slice name, uint32_t except_id)
{
    for (uint32_t i = 0; i < gate->table_count; i++) {
        if (gate->tables[i]->table_id != except_id && slice_equal(gate->tables[i]->name, name))
            return true;
    }
    return false;
}

/* A column keeps its type for life: what lies in chunks and the log is read by it. */
static enum err check_alter(const struct schema *old, const struct schema *schema,
                            struct error *error)
{
    if (schema->version <= old->version)
        return error_set(error, ERR_BUSY, "40001", "table \"%.*s\" was altered by another session",
                         SLICE_ARGS(old->name));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        int32_t index = schema_find_id(old, schema->columns[i].id);
        if (index < 0 ? schema->columns[i].id < old->next_column_id
                      : !type_equal(old->columns[index].type, schema->columns[i].type))
            return error_set(error, ERR_UNSUPPORTED, NULL,
                             "cannot change the type of column \"%.*s\"",
                             SLICE_ARGS(schema->columns[i].name));
    }
    return OK;
}

enum err gate_check_change(const struct gate *gate, enum change_kind kind, uint32_t table_id,
                           const struct schema *schema, struct error *error)
{
    if (kind == CHANGE_NONE)
        return OK;
    const struct schema *old = find(gate, table_id);
    if (schema != NULL) {
        enum err err = schema_validate(schema, error);
        if (err != OK)
            return err;
        if (is_name_taken(gate, schema->name, table_id) || (kind == CHANGE_CREATE && old != NULL))
            return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                             SLICE_ARGS(schema->name));
    }
    if (kind == CHANGE_CREATE)
        return OK;
    if (old == NULL)
        return error_set(error, ERR_NOT_FOUND, "42P01", "the table does not exist any more");
    return kind == CHANGE_ALTER ? check_alter(old, schema, error) : OK;
}

static bool is_named(const struct gate_part *part, uint32_t column_id)
{
    for (size_t i = 0; i < part->column_count; i++) {
        if (part->column_ids[i] == column_id)
            return true;
    }
    return false;
}

enum err gate_check_rows(const struct gate *gate, const struct gate_part *part,
                         const struct schema *changed, struct error *error)
{
    const struct schema *now = find(gate, part->schema->table_id);
    if (changed != NULL && changed->table_id == part->schema->table_id)
        now = changed;
    if (now == NULL)
        return error_set(error, ERR_NOT_FOUND, "42P01", "relation \"%.*s\" does not exist",
                         SLICE_ARGS(part->schema->name));
    if (now->version == part->schema->version)
        return OK;
    for (size_t i = 0; i < part->column_count; i++) {
        if (schema_find_id(now, part->column_ids[i]) < 0)
            return error_set(error, ERR_NOT_FOUND, "42P01",
                             "table \"%.*s\" was altered: a column of these rows is gone",
                             SLICE_ARGS(now->name));
    }
    for (uint32_t i = 0; i < now->column_count; i++) {
        const struct column_definition *column = &now->columns[i];
        if (column->is_not_null && column->missing.is_null && !is_named(part, column->id))
            return error_set(error, ERR_NOT_FOUND, "42P01",
                             "table \"%.*s\" was altered: column \"%.*s\" must not be null",
                             SLICE_ARGS(now->name), SLICE_ARGS(column->name));
    }
    return OK;
}

void gate_change(struct gate *gate, enum change_kind kind, uint32_t table_id,
                 const struct schema *schema)
{
    if (kind == CHANGE_NONE || kind == CHANGE_TRUNCATE)
        return;
    uint32_t index = lower_bound(gate, table_id);
    bool is_found = index < gate->table_count && gate->tables[index]->table_id == table_id;
    assert(is_found == (kind != CHANGE_CREATE));
    if (kind == CHANGE_CREATE) {
        insert(gate, schema);
    } else if (kind == CHANGE_ALTER) {
        schema_unref(gate->tables[index]);
        gate->tables[index] = schema_ref(schema);
    } else {
        schema_unref(gate->tables[index]);
        memmove(&gate->tables[index], &gate->tables[index + 1],
                (gate->table_count - index - 1) * sizeof(*gate->tables));
        gate->table_count--;
    }
}
